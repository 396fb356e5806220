#include "probes/tls_line.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "probes/dial.h"

#define READ_MAX 2048

struct tls_line {
	struct tls_place place;
	struct dial *dial;   /* while it connects */
	struct event *event; /* while it talks */
	struct starttls talk;
	int fd;
	int64_t connected, began;
	void (*on_end)(void *ctx, const struct tls_line_end *);
	void *ctx;
};

void tls_line_stop(struct tls_line *l)
{
	if (l == NULL)
		return;
	dial_stop(l->dial);
	if (l->event != NULL) {
		event_free(l->event);
		starttls_fini(&l->talk);
	}
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

int64_t tls_line_connected(const struct tls_line *l)
{
	return l->connected;
}

/* words "": it is ready. */
static void finish(struct tls_line *l, bool ours, const char *words)
{
	struct tls_line_end end = {.fd = -1, .connected = l->connected, .ours = ours, .words = words};
	void (*on_end)(void *ctx, const struct tls_line_end *) = l->on_end;
	void *ctx = l->ctx;

	if (*words == '\0') {
		end.fd = l->fd;
		l->fd = -1;
		end.dialogue = l->event != NULL ? clock_mono() - l->began : 0;
	}
	tls_line_stop(l);
	on_end(ctx, &end);
}

static void fail(struct tls_line *l, const char *words)
{
	char text[300];

	snprintf(text, sizeof text, "%s: %s", starttls_name(l->place.starttls), words);
	finish(l, false, text);
}

/* In one piece: a new connection takes more than a dialogue has. */
static int send_out(struct tls_line *l)
{
	struct buf *out = &l->talk.out;

	if (out->len > 0 && send(l->fd, out->data, out->len, MSG_NOSIGNAL) != (ssize_t)out->len)
		return -1;
	return 0;
}

static const char *words_of(ssize_t n)
{
	if (n == 0)
		return "closed by peer before TLS";
	return errno == ECONNRESET || errno == EPIPE ? "reset by peer before TLS" : strerror(errno);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct tls_line *l = ctx;
	uint8_t room[READ_MAX];
	ssize_t n = recv(fd, room, sizeof room, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(l, words_of(n));
		return;
	}
	switch (starttls_feed(&l->talk, room, (size_t)n)) {
	case STARTTLS_MORE:
		if (send_out(l) < 0)
			fail(l, words_of(-1));
		return;
	case STARTTLS_READY:
		finish(l, false, "");
		return;
	case STARTTLS_FAILED: {
		char words[sizeof l->talk.words];

		memcpy(words, l->talk.words, sizeof words);
		fail(l, words);
	}
	}
}

static void begin_dialogue(struct tls_line *l)
{
	starttls_init(&l->talk, l->place.starttls);
	l->event = event_new(l->place.base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
	assert(l->event != NULL);
	event_add(l->event, NULL);
	l->began = clock_mono();
	if (send_out(l) < 0)
		fail(l, words_of(-1));
}

static void on_dialled(void *ctx, const struct dial_end *e)
{
	struct tls_line *l = ctx;

	l->dial = NULL;
	l->fd = e->fd;
	if (e->error != 0) {
		finish(l, e->ours, dial_reason(e));
		return;
	}
	l->connected = e->elapsed;
	if (l->place.starttls == STARTTLS_NONE)
		finish(l, false, "");
	else
		begin_dialogue(l);
}

struct tls_line *tls_line_start(const struct tls_place *place, void (*on_end)(void *ctx, const struct tls_line_end *),
	void *ctx)
{
	struct tls_line *l = mem_alloc(sizeof *l);

	*l = (struct tls_line){.place = *place, .fd = -1, .connected = -1, .on_end = on_end, .ctx = ctx};
	l->dial = dial_start(place->base, place->address, place->len, place->port, on_dialled, l);
	return l;
}

#include "probes/tls_peek.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"

#define READ_MAX 16384

struct tls_peek {
	struct event_base *base;
	struct tls_hello hello;
	struct tls_line *line; /* until it is connected */
	int fd;
	struct event *event;   /* while it is answered */
	struct tls_flight flight;
	void (*on_end)(void *ctx, const struct tls_peek_end *);
	void *ctx;
};

void tls_peek_stop(struct tls_peek *p)
{
	if (p == NULL)
		return;
	tls_line_stop(p->line);
	if (p->event != NULL)
		event_free(p->event);
	if (p->fd >= 0)
		close(p->fd);
	tls_flight_fini(&p->flight);
	free(p);
}

static void finish(struct tls_peek *p, struct tls_peek_end end)
{
	if (end.answer != TLS_PEEK_NOT_ASKED)
		end.flight = &p->flight;
	p->on_end(p->ctx, &end);
	tls_peek_stop(p);
}

static void refused(struct tls_peek *p, const char *words)
{
	finish(p, (struct tls_peek_end){.answer = TLS_PEEK_REFUSED, .words = words});
}

static const char *words_of(ssize_t n)
{
	if (n == 0)
		return "closed by peer";
	return errno == ECONNRESET || errno == EPIPE ? "reset by peer" : strerror(errno);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct tls_peek *p = ctx;
	uint8_t room[READ_MAX];
	ssize_t n = recv(fd, room, sizeof room, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		refused(p, words_of(n));
		return;
	}
	switch (tls_flight_feed(&p->flight, room, (size_t)n)) {
	case TLS_FLIGHT_MORE:
		return;
	case TLS_FLIGHT_AGREED:
		finish(p, (struct tls_peek_end){.answer = TLS_PEEK_AGREED, .words = ""});
		return;
	case TLS_FLIGHT_REFUSED:
		refused(p, p->flight.words);
	}
}

static void ask(struct tls_peek *p)
{
	struct buf out = {0};
	ssize_t n;

	tls_hello_encode(&p->hello, &out);
	n = send(p->fd, out.data, out.len, MSG_NOSIGNAL);
	n = n == (ssize_t)out.len ? n : -1; /* a new connection takes it in one piece */
	buf_fini(&out);
	if (n < 0) {
		refused(p, words_of(n));
		return;
	}
	p->event = event_new(p->base, p->fd, EV_READ | EV_PERSIST, on_readable, p);
	assert(p->event != NULL);
	event_add(p->event, NULL);
}

static void on_line(void *ctx, const struct tls_line_end *e)
{
	struct tls_peek *p = ctx;

	p->line = NULL;
	p->fd = e->fd;
	if (e->fd >= 0)
		ask(p);
	else
		finish(p, (struct tls_peek_end){.answer = TLS_PEEK_NOT_ASKED, .words = e->words, .ours = e->ours});
}

struct tls_peek *tls_peek_start(const struct tls_place *place, const struct tls_hello *hello,
	void (*on_end)(void *ctx, const struct tls_peek_end *), void *ctx)
{
	struct tls_peek *p = mem_alloc(sizeof *p);

	*p = (struct tls_peek){.base = place->base, .hello = *hello, .fd = -1, .on_end = on_end, .ctx = ctx};
	tls_flight_init(&p->flight, hello->version);
	p->line = tls_line_start(place, on_line, p);
	return p;
}

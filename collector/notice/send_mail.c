/*
 * Mail. libcurl speaks it, but waits inside its call for the server's answer to the whole mail (smtp_done, up to two minutes), and for
 * the one to QUIT: on the loop, one server that looks at mails for long would hold up all channels. So each mail has a thread of its
 * own, which shares nothing with us but one end of a socket pair: it writes there what came of it, and gives up when the other end is
 * closed. With that we get the handle back: its connection serves the next mail of the channel, as servers count who logs in.
 */
#include <assert.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/notice/lookup.h"
#include "collector/notice/send_kind.h"
#include "lib/err.h"
#include "lib/mem.h"

/* What came of it, as one message. */
struct mail_end {
	CURLcode rc;
	long status;
	size_t refused;  /* of its receivers */
	bool is_for_now; /* one of them for now only */
	char refusals[400], words[CURL_ERROR_SIZE];
	CURL *easy; /* the reader's from here on */
};

/* What the thread owns. */
struct mail {
	int fd, alive;
	struct letter letter;
	CURL *easy;
	struct curl_slist *to;
	const struct curl_slist *named; /* the receiver that the server was told last; NULL: none yet */
	bool is_naming;                 /* it has not answered for that one yet */
	size_t sent;                    /* of the body */
	struct mail_end end;
};

/* A handle that has a connection, maybe, and waits for the next mail of its channel. */
struct mail_line {
	LIST_ENTRY(mail_line) link;
	char *channel;
	CURL *easy;
	int alive; /* of the thread that ends it */
};

struct mail_wait {
	struct sender *sender;
	struct send *send;
	const struct roster_channel *channel;
	int fd;
	struct event *event;
};

/* ---- in the thread */

static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
	struct mail *m = ctx;
	size_t left = m->letter.body.len - m->sent, len = size * count < left ? size * count : left;

	memcpy(out, m->letter.body.data + m->sent, len);
	m->sent += len;
	return len;
}

/* What the server says of one receiver: address and words. */
static void note_refusal(struct mail *m, const char *line, size_t len)
{
	size_t used = strlen(m->end.refusals);

	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	m->end.refused++;
	m->end.is_for_now = m->end.is_for_now || line[0] != '5';
	snprintf(m->end.refusals + used, sizeof m->end.refusals - used, "%s%s: %.*s", used > 0 ? "; " : "", m->named->data, (int)len, line);
}

/* libcurl goes on without receivers whom the server refuses, and tells nobody who they are: the talk shows it. */
static int on_talk(CURL *easy, curl_infotype type, char *data, size_t size, void *ctx)
{
	struct mail *m = ctx;

	(void)easy;
	if (type == CURLINFO_HEADER_OUT) {
		m->is_naming = size > 8 && memcmp(data, "RCPT TO:", 8) == 0;
		if (m->is_naming)
			m->named = m->named != NULL && m->named->next != NULL ? m->named->next : m->to;
	} else if (type == CURLINFO_HEADER_IN && m->is_naming && size > 3 && data[3] != '-') {
		m->is_naming = false;
		if (data[0] != '2')
			note_refusal(m, data, size);
	}
	return 0;
}

/* Asked once a second at least. */
static int on_progress(void *ctx, curl_off_t down, curl_off_t downloaded, curl_off_t up, curl_off_t uploaded)
{
	const struct mail *m = ctx;
	char byte;

	(void)down, (void)downloaded, (void)up, (void)uploaded;
	return recv(m->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void mail_free(struct mail *m)
{
	if (m->easy != NULL)
		curl_easy_cleanup(m->easy);
	curl_slist_free_all(m->to);
	letter_fini(&m->letter);
	close(m->fd);
	close(m->alive);
	free(m);
}

static void *thread_main(void *ctx)
{
	struct mail *m = ctx;

	m->end.rc = curl_easy_perform(m->easy);
	curl_easy_getinfo(m->easy, CURLINFO_RESPONSE_CODE, &m->end.status);
	curl_easy_reset(m->easy); /* nothing of it points here */
	m->end.easy = m->easy;
	if (send(m->fd, &m->end, sizeof m->end, MSG_NOSIGNAL) > 0)
		m->easy = NULL;
	mail_free(m);
	return NULL;
}

/* The server may be slow to answer goodbye as well. */
static void *end_line(void *ctx)
{
	struct mail_line *l = ctx;

	curl_easy_cleanup(l->easy);
	if (l->alive >= 0)
		close(l->alive);
	free(l->channel);
	free(l);
	return NULL;
}

/* ---- on the loop */

static void keep_line(struct sender *s, const struct roster_channel *c, CURL *easy)
{
	struct mail_line *l = mem_alloc(sizeof *l);

	*l = (struct mail_line){.channel = mem_strdup(c->id), .easy = easy};
	LIST_INSERT_HEAD(&s->lines, l, link);
}

static CURL *take_line(struct sender *s, const struct roster_channel *c)
{
	struct mail_line *l;
	CURL *easy;

	LIST_FOREACH(l, &s->lines, link)
	{
		if (strcmp(l->channel, c->id) != 0)
			continue;
		easy = l->easy;
		LIST_REMOVE(l, link);
		free(l->channel);
		free(l);
		return easy;
	}
	return curl_easy_init();
}

void send_mail_end_lines(struct sender *s)
{
	struct mail_line *l;

	while ((l = LIST_FIRST(&s->lines)) != NULL) {
		LIST_REMOVE(l, link);
		l->alive = sender_thread(s);
		if (lookup_start_thread(end_line, l) != 0)
			end_line(l);
	}
}

/* A mail server that refuses says so by its code; all else did not arrive. */
static enum letter_outcome failed(const struct mail_end *end, size_t receivers, struct err *words)
{
	if (end->refused > 0 && end->refused == receivers) {
		err_set(words, "no receiver is taken: %.300s", end->refusals);
		return end->is_for_now ? LETTER_AGAIN : LETTER_REFUSED;
	}
	err_set(words, "%.200s", end->words[0] != '\0' ? end->words : curl_easy_strerror(end->rc));
	return end->status >= 500 ? LETTER_REFUSED : LETTER_AGAIN;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct mail_wait *w = ctx;
	size_t receivers = w->channel->to.count;
	enum letter_outcome outcome;
	struct mail_end end;
	struct err words;

	(void)what;
	if (recv(fd, &end, sizeof end, 0) != (ssize_t)sizeof end) {
		send_ended(w->send, LETTER_AGAIN, "this machine has no thread for a mail");
		return;
	}
	keep_line(w->sender, w->channel, end.easy);
	outcome = end.rc == CURLE_OK ? letter_answer(w->channel, end.status, "", 0, &words) : failed(&end, receivers, &words);
	if (outcome == LETTER_TAKEN && end.refused > 0)
		err_set(&words, "for %zu of %zu receivers, refused for %.300s", receivers - end.refused, receivers, end.refusals);
	send_ended(w->send, outcome, words.text);
}

static void set_all(struct mail *m, const struct roster_channel *c, const char *password)
{
	for (size_t i = 0; i < c->to.count; i++)
		m->to = curl_slist_append(m->to, c->to.items[i]);
	send_set_curl(m->easy, c, buf_text(&m->letter.url));
	curl_easy_setopt(m->easy, CURLOPT_ERRORBUFFER, m->end.words);
	curl_easy_setopt(m->easy, CURLOPT_USE_SSL, lookup_is_this_machine(c->url) ? (long)CURLUSESSL_TRY : (long)CURLUSESSL_ALL);
	curl_easy_setopt(m->easy, CURLOPT_MAIL_FROM, c->from);
	curl_easy_setopt(m->easy, CURLOPT_MAIL_RCPT, m->to);
	curl_easy_setopt(m->easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L); /* one mailbox that is gone keeps no others from reading */
	curl_easy_setopt(m->easy, CURLOPT_DEBUGFUNCTION, on_talk);
	curl_easy_setopt(m->easy, CURLOPT_DEBUGDATA, m);
	curl_easy_setopt(m->easy, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(m->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(m->easy, CURLOPT_XFERINFODATA, m);
	curl_easy_setopt(m->easy, CURLOPT_NOPROGRESS, 0L);
	if (c->user[0] != '\0') {
		curl_easy_setopt(m->easy, CURLOPT_USERNAME, c->user);
		curl_easy_setopt(m->easy, CURLOPT_PASSWORD, password);
	}
	curl_easy_setopt(m->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(m->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(m->easy, CURLOPT_READDATA, m);
}

static void *mail_start(struct sender *sender, struct send *send, const struct send_order *o, struct err *words)
{
	struct mail_wait *w = mem_alloc(sizeof *w);
	struct mail *m = mem_alloc(sizeof *m);
	int fds[2] = {-1, -1};

	(void)words;
	curl_global_init(CURL_GLOBAL_DEFAULT); /* and never undone: a thread may outlive us */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		fds[0] = fds[1] = -1;
	*w = (struct mail_wait){.sender = sender, .send = send, .channel = o->channel, .fd = fds[0]};
	w->event = event_new(sender->base, w->fd, EV_READ, on_readable, w);
	*m = (struct mail){.fd = fds[1], .alive = sender_thread(sender), .easy = take_line(sender, o->channel)};
	assert(w->event != NULL && m->easy != NULL);
	letter_write(o->channel, o->intent, o->phrase, o->facts, &m->letter);
	set_all(m, o->channel, o->facts->token);
	if (w->fd >= 0 && m->alive >= 0 && lookup_start_thread(thread_main, m) == 0) {
		event_add(w->event, NULL);
		return w;
	}
	mail_free(m);
	event_active(w->event, EV_READ, 0); /* nothing can be read */
	return w;
}

static void mail_late(void *state, struct err *words)
{
	(void)state;
	err_set(words, "no answer in time");
}

static void mail_stop(void *state)
{
	struct mail_wait *w = state;
	struct mail_end end;

	event_free(w->event);
	if (w->fd >= 0) {
		shutdown(w->fd, SHUT_RD);
		/* What was on its way already has a handle that is ours. */
		if (recv(w->fd, &end, sizeof end, MSG_DONTWAIT) == (ssize_t)sizeof end)
			keep_line(w->sender, w->channel, end.easy);
		close(w->fd);
	}
	free(w);
}

const struct send_kind send_mail = {.start = mail_start, .late = mail_late, .stop = mail_stop};

#include "collector/notice/send.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/notice/phrase.h"
#include "collector/notice/roster.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/mem.h"
#include "lib/tls.h"
#include "probes/snmp_talk.h"

#define THREADS_MS 1500 /* the parent waits no longer for our end */

struct send {
	const struct send_kind *kind;
	void *state;
	struct event *timer; /* the deadline, and then the end */
	bool has_ended;
	enum letter_outcome outcome;
	struct err words;
	int64_t timeout;
	void (*on_end)(void *, enum letter_outcome, const char *);
	void *ctx;
};

static const struct send_kind *const kinds[ROSTER_KINDS] = {
	[ROSTER_SMTP] = &send_mail,
	[ROSTER_WECOM] = &send_web,
	[ROSTER_DINGTALK] = &send_web,
	[ROSTER_FEISHU] = &send_web,
	[ROSTER_ALERTMANAGER] = &send_web,
	[ROSTER_SMS] = &send_web,
	[ROSTER_SYSLOG] = &send_syslog,
	[ROSTER_INFORM] = &send_inform,
	[ROSTER_COMMAND] = &send_command,
};

int send_read_secret(const char *path, char out[SEND_SECRET_MAX], struct err *e)
{
	struct stat st;
	ssize_t n = 0;
	int fd;

	out[0] = '\0';
	if (path[0] == '\0')
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_errno(e, "cannot open %.200s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
		close(fd);
		return err_set(e, "%.200s: not a file that its owner alone may read: chmod 600", path);
	}
	n = read(fd, out, SEND_SECRET_MAX - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	if (strcspn(out, "\r\n") == SEND_SECRET_MAX - 1) {
		out[0] = '\0';
		return err_set(e, "%.200s: its first line is longer than %d bytes", path, SEND_SECRET_MAX - 2);
	}
	out[strcspn(out, "\r\n")] = '\0';
	return out[0] != '\0' ? 0 : err_set(e, "%.200s: no secret in its first line", path);
}

static int check_secret(const char *path, struct err *e)
{
	char secret[SEND_SECRET_MAX];
	int rc = send_read_secret(path, secret, e);

	explicit_bzero(secret, sizeof secret);
	return rc;
}

static int check_pems(const struct roster_channel *c, struct err *e)
{
	X509 *ca = c->ca[0] != '\0' ? tls_read_certificate(c->ca, e) : NULL;
	X509 *own = c->certificate[0] != '\0' ? tls_read_certificate(c->certificate, e) : NULL;
	EVP_PKEY *key = c->key[0] != '\0' ? tls_read_key(c->key, e) : NULL;
	bool is_good = (ca != NULL || c->ca[0] == '\0') && (own != NULL || c->certificate[0] == '\0') &&
		(key != NULL || c->key[0] == '\0');

	X509_free(ca);
	X509_free(own);
	EVP_PKEY_free(key);
	return is_good ? 0 : -1;
}

int send_check_files(const struct roster_channel *c, struct err *e)
{
	struct err why;

	if (check_secret(c->token_file, &why) < 0 || check_secret(c->secret_file, &why) < 0 || check_pems(c, &why) < 0)
		return config_error(&c->where, e, "channel %s: %s", c->id, why.text);
	return 0;
}

/* ---- what sends share */

struct sender *sender_new(struct event_base *base)
{
	struct sender *s = mem_alloc(sizeof *s);

	s->base = base;
	LIST_INIT(&s->lines);
	s->runner = s->threads[0] = s->threads[1] = -1;
	return s;
}

int sender_thread(struct sender *s)
{
	if (s->threads[0] < 0 && pipe2(s->threads, O_CLOEXEC) < 0)
		s->threads[0] = s->threads[1] = -1;
	return s->threads[1] >= 0 ? fcntl(s->threads[1], F_DUPFD_CLOEXEC, 3) : -1;
}

/* A thread inside a library while the process ends would find half of that gone. */
static void wait_for_threads(struct sender *s)
{
	struct pollfd p = {.fd = s->threads[0], .events = POLLIN};

	if (s->threads[0] < 0)
		return;
	close(s->threads[1]);
	poll(&p, 1, THREADS_MS);
	close(s->threads[0]);
}

void sender_give_runner(struct sender *s, int fd)
{
	if (s->runner >= 0)
		close(s->runner);
	s->runner = fd;
}

void sender_free(struct sender *s)
{
	if (s == NULL)
		return;
	send_mail_end_lines(s);
	wait_for_threads(s);
	http_client_free(s->http);
	snmp_stack_close(s->snmp);
	sender_give_runner(s, -1);
	free(s);
}

/* ---- one of them */

static void send_free(struct send *s)
{
	if (s->state != NULL)
		s->kind->stop(s->state);
	event_free(s->timer);
	free(s);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct send *s = ctx, end;

	(void)fd, (void)what;
	if (!s->has_ended) {
		s->outcome = LETTER_AGAIN;
		s->kind->late(s->state, &s->words);
	}
	end = *s;
	send_free(s);
	end.on_end(end.ctx, end.outcome, end.words.text);
}

/* What answered may be anybody: for logs, ledgers and terminals it is as clean as what a notice holds. */
static void put_words(struct send *s, const char *words)
{
	struct buf clean = {0};
	const char *text;

	phrase_add_clean(&clean, words);
	text = buf_text(&clean);
	err_set(&s->words, "%.*s", (int)phrase_cut(text, sizeof s->words.text - 1), text);
	buf_fini(&clean);
}

void send_ended(struct send *s, enum letter_outcome outcome, const char *words)
{
	if (s->has_ended)
		return;
	s->has_ended = true;
	s->outcome = outcome;
	put_words(s, words);
	event_active(s->timer, EV_TIMEOUT, 0); /* whoever calls is in the middle of what will be freed */
}

struct send *send_start(struct sender *sender, const struct send_order *o,
	void (*on_end)(void *ctx, enum letter_outcome, const char *words), void *ctx)
{
	const struct timeval limit = {o->timeout / NS_PER_S, o->timeout % NS_PER_S / NS_PER_US};
	struct send *s = mem_alloc(sizeof *s);
	struct err e;

	*s = (struct send){.kind = kinds[o->channel->kind], .timeout = o->timeout, .on_end = on_end, .ctx = ctx};
	s->timer = evtimer_new(sender->base, on_timer, s);
	assert(s->timer != NULL);
	evtimer_add(s->timer, &limit);
	s->state = s->kind->start(sender, s, o, &e);
	if (s->state == NULL)
		send_ended(s, LETTER_REFUSED, e.text);
	return s;
}

void send_cancel(struct send *s)
{
	send_free(s);
}

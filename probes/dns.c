#include "probes/dns.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog_dns.h"
#include "probes/datagram.h"
#include "probes/dial.h"
#include "probes/dns_judge.h"
#include "probes/dns_packet.h"

#define RETRY_MAX NS_PER_S /* silence after which a query counts as lost, at most */
#define QUERIES_MAX 8      /* retries, and one each for case and EDNS */
#define FRAME 2            /* the length before a message over TCP */
#define DRAWS 5            /* at once: of up to 256 bytes getrandom never fails, nor gives fewer */
/* A port serves questions to the same server for so long, but no more than 16: id and letters are drawn for each (32 bits
 * for a name of 16 letters), and what is answered is looked at, not believed for hours as in a cache. */
#define PORT_TIME (2 * NS_PER_S)

/* What chance says for a run. */
struct draw {
	uint16_t ids[QUERIES_MAX];
	uint8_t coins[(DNS_NAME_MAX + 7) / 8]; /* a bit for each letter */
};

/* Of all runs of the process. */
struct shared {
	struct datagram_pool *pool;
	struct draw draws[DRAWS];
	size_t draws_left;
};

struct query {
	uint16_t id;
	int64_t sent;
	unsigned lost; /* before it */
};

struct dns {
	struct run *run;
	struct shared *shared;
	struct dns_query ask;
	uint8_t name[DNS_NAME_MAX];
	struct draw drawn;
	bool mixed; /* the letters of the name are of random case, which must come back */
	struct query queries[QUERIES_MAX];
	unsigned count, lost, foreign;
	struct datagram *udp;
	struct event *timer; /* until the next retry */
	struct dial *dial;
	int fd;
	struct event *tcp;
	struct buf in;
	bool truncated;
	char trouble[128]; /* the last thing that went wrong on the way to an answer */
};

static void dns_free(struct dns *d)
{
	run_set_private(d->run, NULL);
	datagram_close(d->udp);
	event_free(d->timer);
	dial_stop(d->dial);
	if (d->tcp != NULL)
		event_free(d->tcp);
	if (d->fd >= 0)
		close(d->fd);
	buf_fini(&d->in);
	free(d);
}

/* ---- the end of a run */

static void tell_state(const struct dns *d)
{
	run_value(d->run, DNS_LOST, d->lost);
	run_value(d->run, DNS_FOREIGN, d->foreign);
	run_value(d->run, DNS_IS_TRUNCATED, d->truncated);
	run_value(d->run, DNS_IS_TCP, d->udp == NULL);
}

static void end_down(struct dns *d, const char *words, ...) __attribute__((format(printf, 2, 3)));

static void end_down(struct dns *d, const char *words, ...)
{
	struct run *r = d->run;
	char why[256];
	va_list ap;

	va_start(ap, words);
	vsnprintf(why, sizeof why, words, ap);
	va_end(ap);
	tell_state(d);
	run_down(r, "%s%s", d->truncated ? "truncated over UDP, then: " : "", why);
	dns_free(d);
}

static void end_unknown(struct dns *d, const char *words)
{
	struct run *r = d->run;

	dns_free(d);
	run_unknown(r, "%s", words);
}

static void tell_answer(struct run *r, const struct dns_message *m, const struct dns_answers *a)
{
	run_value(r, DNS_ANSWERS, a->count);
	if (a->count > 0)
		run_value(r, DNS_TTL, a->ttl);
	run_value(r, DNS_RCODE, m->rcode);
	run_value(r, DNS_SIZE, (double)m->len);
	run_value(r, DNS_IS_AUTHENTIC, m->authentic);
	run_value(r, DNS_IS_AUTHORITATIVE, m->authoritative);
}

/* An answer to one of our queries, its records decoded. */
static void finish(struct dns *d, const struct dns_message *m, const struct query *q, int64_t arrived)
{
	struct run *r = d->run;
	struct dns_answers answers;
	struct buf why = {0};
	bool good;

	dns_message_follow(m, d->ask.type, &answers);
	good = dns_judge(run_options(r), m, d->ask.type, &answers, &why);
	d->lost = q->lost;
	run_value(r, DNS_TIME, (double)(arrived - q->sent) / NS_PER_S);
	run_value(r, DNS_TOTAL, (double)(arrived - run_started(r)) / NS_PER_S);
	tell_answer(r, m, &answers);
	tell_state(d);
	dns_free(d);
	if (good)
		run_up(r);
	else
		run_down(r, "%s", buf_text(&why));
	buf_fini(&why);
}

static void at_deadline(void *state, struct run *r)
{
	struct dns *d = run_private(r);
	const char *before = d->truncated ? "truncated over UDP, then: " : "";
	const char *between = *d->trouble != '\0' ? ": " : "";
	char limit[NUM_TEXT];

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	if (d->udp != NULL)
		d->lost++;
	tell_state(d);
	if (d->udp != NULL)
		run_down(r, "no answer to %u quer%s within %s%s%s", d->count, d->count == 1 ? "y" : "ies", limit, between,
			d->trouble);
	else if (d->dial != NULL)
		run_down(r, "%sno answer to the TCP connection attempt within %s", before, limit);
	else
		run_down(r, "%sconnected over TCP, no answer within %s", before, limit);
}

/* ---- what is asked */

static struct query *next_query(struct dns *d)
{
	struct query *q = &d->queries[d->count];

	assert(d->count < QUERIES_MAX);
	q->id = d->drawn.ids[d->count++];
	q->lost = d->lost;
	q->sent = clock_mono();
	d->ask.id = q->id;
	return q;
}

/* Letters that a spoofer has to guess as well (draft-vixie-dnsext-dns0x20). */
static void mix_case(struct dns *d)
{
	for (size_t i = 0; i < d->ask.name_len; i++) {
		if (isalpha(d->name[i]) && (d->drawn.coins[i / 8] >> i % 8 & 1))
			d->name[i] ^= 0x20;
	}
	d->mixed = true;
}

static void unmix_case(struct dns *d)
{
	for (size_t i = 0; i < d->ask.name_len; i++)
		d->name[i] = (uint8_t)tolower(d->name[i]);
	d->mixed = false;
}

/* The query that a message answers; NULL when it answers none of ours. Without a question only what says that the
 * question was not even looked at. */
static const struct query *query_of(const struct dns *d, const struct dns_message *m)
{
	bool refuses = m->rcode != DNS_NOERROR && m->rcode != DNS_NXDOMAIN;

	if (!m->is_response || m->opcode != 0)
		return NULL;
	if (m->questions == 0 ? !refuses
			      : m->type != d->ask.type || m->class != 1 ||
				!dns_name_equal(m->name, m->name_len, d->ask.name, d->ask.name_len))
		return NULL;
	for (unsigned i = d->count; i > 0; i--) {
		if (d->queries[i - 1].id == m->id)
			return &d->queries[i - 1];
	}
	return NULL;
}

/* ---- over TCP */

static void on_frame(struct dns *d)
{
	struct dns_message m;
	const struct query *q;
	struct err e;

	if (dns_message_head(d->in.data + FRAME, d->in.len - FRAME, &m, &e) < 0) {
		end_down(d, "the answer over TCP is damaged: %s", e.text);
		return;
	}
	q = query_of(d, &m);
	if (q != &d->queries[d->count - 1])
		end_down(d, "what came over TCP does not answer the question");
	else if (dns_message_records(&m, &e) < 0)
		end_down(d, "the answer over TCP is damaged: %s", e.text);
	else
		finish(d, &m, q, clock_mono());
}

static size_t wanted_bytes(const struct dns *d)
{
	return d->in.len < FRAME ? FRAME : FRAME + (size_t)(d->in.data[0] << 8 | d->in.data[1]);
}

static void on_tcp(evutil_socket_t fd, short what, void *ctx)
{
	struct dns *d = ctx;
	size_t room = wanted_bytes(d) - d->in.len;
	ssize_t n = recv(fd, buf_reserve(&d->in, room), room, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		end_down(d, "%s", errno == ECONNRESET ? "reset by peer before the answer" : strerror(errno));
	else if (n == 0)
		end_down(d, "closed by peer before the answer");
	if (n <= 0)
		return;
	d->in.len += (size_t)n;
	if (d->in.len >= FRAME && d->in.len == wanted_bytes(d))
		on_frame(d);
}

/* Length and query in one piece (RFC 7766 section 8). */
static int send_frame(struct dns *d)
{
	uint8_t frame[FRAME + DNS_QUERY_MAX];
	size_t n;

	next_query(d);
	n = dns_query_encode(&d->ask, frame + FRAME);
	frame[0] = (uint8_t)(n >> 8);
	frame[1] = (uint8_t)n;
	return send(d->fd, frame, FRAME + n, MSG_NOSIGNAL) == (ssize_t)(FRAME + n) ? 0 : errno;
}

static void on_dialled(void *ctx, const struct dial_end *end)
{
	struct dns *d = ctx;
	int error;

	d->dial = NULL;
	d->fd = end->fd;
	if (end->error != 0) {
		if (end->ours)
			end_unknown(d, dial_reason(end));
		else
			end_down(d, "%s", dial_reason(end));
		return;
	}
	error = send_frame(d);
	if (error != 0) {
		end_down(d, "closed by peer as soon as connected");
		return;
	}
	d->tcp = event_new(run_env(d->run)->base, d->fd, EV_READ | EV_PERSIST, on_tcp, d);
	assert(d->tcp != NULL);
	event_add(d->tcp, NULL);
}

static void go_tcp(struct dns *d)
{
	const struct dns_options *o = run_options(d->run);
	socklen_t len;
	const struct sockaddr *address = run_address(d->run, &len);

	datagram_close(d->udp);
	d->udp = NULL;
	event_del(d->timer);
	d->dial = dial_start(run_env(d->run)->base, address, len, (uint16_t)o->port, on_dialled, d);
}

/* ---- over UDP */

static int64_t retry_after(const struct run *r)
{
	const struct dns_options *o = run_options(r);
	int64_t share = (run_deadline(r) - run_started(r)) / (o->retries + 1);

	return share < RETRY_MAX ? share : RETRY_MAX;
}

static void send_query(struct dns *d)
{
	uint8_t bytes[DNS_QUERY_MAX];
	int64_t wait = retry_after(d->run);
	struct timeval tv = {wait / NS_PER_S, wait % NS_PER_S / NS_PER_US};
	int error;

	next_query(d);
	error = datagram_send(d->udp, bytes, dns_query_encode(&d->ask, bytes));
	if (error == 0) {
		evtimer_add(d->timer, &tv);
		return;
	}
	end_unknown(d, datagram_refusal_words(error));
}

static void on_silence(evutil_socket_t fd, short what, void *ctx)
{
	struct dns *d = ctx;
	const struct dns_options *o = run_options(d->run);

	(void)fd, (void)what;
	if (d->lost == (unsigned)o->retries)
		return; /* the last one has until the deadline */
	d->lost++;
	/* Old boxes say nothing to letters that they take as they stand, or to EDNS, with which the last one goes without. */
	if (d->mixed)
		unmix_case(d);
	if (d->lost == (unsigned)o->retries && o->dnssec == DNS_SECURITY_OFF)
		d->ask.edns = false;
	send_query(d);
}

/* Another host cannot be told from a broken server, so both are waited out. */
static void reject(struct dns *d, const char *words)
{
	d->foreign++;
	snprintf(d->trouble, sizeof d->trouble, "%s", words);
}

static bool lacks_edns(const struct dns *d, const struct dns_message *m)
{
	const struct dns_options *o = run_options(d->run);

	return d->ask.edns && !m->has_edns && o->dnssec == DNS_SECURITY_OFF &&
		(m->rcode == DNS_FORMERR || m->rcode == DNS_NOTIMP);
}

/* There are servers to whom WwW is another name than www: before an error is believed they are asked without. */
static bool may_know_small_letters(const struct dns *d, const struct dns_message *m)
{
	const struct dns_options *o = run_options(d->run);

	return d->mixed && m->rcode != DNS_NOERROR && (o->expect_status == DNS_WANT_NODATA || m->rcode != (unsigned)o->expect_status);
}

/* A message that answers one of our queries. */
static void on_answer(struct dns *d, struct dns_message *m, const struct query *q, int64_t arrived)
{
	struct err e;
	char words[100], rcode[DNS_TYPE_TEXT];

	if (d->mixed && m->questions > 0 && memcmp(m->name, d->name, m->name_len) != 0) {
		unmix_case(d);
		send_query(d);
	} else if (m->truncated) {
		d->truncated = true;
		go_tcp(d);
	} else if (dns_message_records(m, &e) < 0) {
		snprintf(words, sizeof words, "the answer is damaged: %.60s", e.text);
		reject(d, words);
	} else if (lacks_edns(d, m)) {
		d->ask.edns = false;
		send_query(d);
	} else if (may_know_small_letters(d, m)) {
		snprintf(d->trouble, sizeof d->trouble, "the first answer was %s", dns_rcode_text(m->rcode, rcode));
		unmix_case(d);
		send_query(d);
	} else {
		finish(d, m, q, arrived);
	}
}

static void on_packet(void *ctx, const struct datagram_packet *p)
{
	struct dns *d = ctx;
	const struct query *q = NULL;
	struct dns_message m;
	struct err e;

	if (dns_message_head(p->data, p->len, &m, &e) == 0)
		q = query_of(d, &m);
	if (q != NULL)
		on_answer(d, &m, q, p->mono);
	else
		reject(d, "what came did not answer the question");
}

/* The host itself says that nobody listens; what routers say may pass. */
static void on_error(void *ctx, int error)
{
	struct dns *d = ctx;

	if (error == ECONNREFUSED)
		end_down(d, "%s", datagram_error_words(error));
	else
		snprintf(d->trouble, sizeof d->trouble, "%s", datagram_error_words(error));
}

static void start_udp(struct dns *d)
{
	const struct dns_options *o = run_options(d->run);
	const struct datagram_events events = {.on_packet = on_packet, .on_error = on_error, .ctx = d};
	socklen_t len;
	const struct sockaddr *address = run_address(d->run, &len);
	int error;

	d->udp = datagram_take(d->shared->pool, address, len, (uint16_t)o->port, &events, &error);
	if (d->udp == NULL) {
		end_unknown(d, datagram_refusal_words(error));
		return;
	}
	mix_case(d);
	send_query(d);
}

/* ---- the type */

static struct draw draw(struct shared *s)
{
	if (s->draws_left == 0) {
		_Static_assert(sizeof s->draws <= 256, "getrandom gives them all");
		if (getrandom(s->draws, sizeof s->draws, 0) != sizeof s->draws)
			assert(!"getrandom of so few bytes never fails");
		s->draws_left = DRAWS;
	}
	return s->draws[--s->draws_left];
}

static void fill_question(struct dns *d, const struct dns_options *o)
{
	struct err e;
	int type = dns_type_parse(o->record, &e), n = dns_name_parse(o->name, type == DNS_PTR, d->name, &e);

	assert(type >= 0 && n > 0);
	d->drawn = draw(d->shared);
	d->ask = (struct dns_query){.type = (uint16_t)type, .name = d->name, .name_len = (size_t)n,
		.recursion = o->recursion, .edns = true, .dnssec_ok = o->dnssec != DNS_SECURITY_OFF};
}

static void dns_start(void *state, struct run *r)
{
	const struct dns_options *o = run_options(r);
	struct dns *d = mem_alloc(sizeof *d);

	d->run = r;
	d->shared = state;
	d->fd = -1;
	d->timer = evtimer_new(run_env(r)->base, on_silence, d);
	assert(d->timer != NULL);
	fill_question(d, o);
	run_set_private(r, d);
	run_on_deadline(r, at_deadline);
	if (o->protocol == DNS_OVER_TCP)
		go_tcp(d);
	else
		start_udp(d);
}

static void dns_cancel(void *state, struct run *r)
{
	struct dns *d = run_private(r);

	(void)state;
	if (d != NULL)
		dns_free(d);
}

static int dns_open(const struct probe_env *env, void **state, struct err *e)
{
	struct shared *s = mem_alloc(sizeof *s);

	(void)e;
	s->pool = datagram_pool_new(env->base, PORT_TIME);
	*state = s;
	return 0;
}

static void dns_close(void *state)
{
	struct shared *s = state;

	datagram_pool_free(s->pool);
	free(s);
}

const struct probe_type dns_probe = {.catalog = &catalog_dns, .open = dns_open, .start = dns_start, .cancel = dns_cancel,
	.close = dns_close};

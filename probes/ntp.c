#include "probes/ntp.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog_ntp.h"
#include "probes/datagram.h"
#include "probes/ntp_packet.h"

#define RETRY_MAX NS_PER_S /* silence after which a query counts as lost, at most */
#define QUERIES_MAX 6

struct query {
	uint64_t cookie;
	int64_t real, mono; /* when it was sent */
};

struct ntp {
	struct run *run;
	struct datagram *udp;
	struct event *timer; /* until the next retry */
	struct query queries[QUERIES_MAX];
	unsigned count, foreign;
	char trouble[128]; /* the last thing that went wrong on the way to an answer */
};

static void ntp_free(struct ntp *n)
{
	run_set_private(n->run, NULL);
	datagram_close(n->udp);
	event_free(n->timer);
	free(n);
}

/* ---- the end of a run */

static void end_unknown(struct ntp *n, const char *words)
{
	struct run *r = n->run;

	ntp_free(n);
	run_unknown(r, "%s", words);
}

static void end_down(struct ntp *n, const char *words)
{
	struct run *r = n->run;

	run_value(r, NTP_LOST, n->count);
	run_value(r, NTP_FOREIGN, n->foreign);
	ntp_free(n);
	run_down(r, "%s", words);
}

static void tell_figures(struct run *r, const struct ntp_packet *p, const struct ntp_figures *f)
{
	run_value(r, NTP_OFFSET, f->offset);
	run_value(r, NTP_DELAY, f->delay);
	run_value(r, NTP_STRATUM, p->stratum);
	run_value(r, NTP_LEAP, p->leap);
	run_value(r, NTP_ROOT_DELAY, p->root_delay);
	run_value(r, NTP_ROOT_DISPERSION, p->root_dispersion);
	run_value(r, NTP_ROOT_DISTANCE, f->root_distance);
	if (f->reference_age >= 0)
		run_value(r, NTP_REFERENCE_AGE, f->reference_age);
}

static void judge_kiss(struct run *r, const struct ntp_packet *p)
{
	const char *words = ntp_kiss_text(p->kiss);

	if (strcmp(p->kiss, "RATE") == 0)
		run_unknown(r, "kiss-o'-death RATE: %s", words);
	else
		run_down(r, "kiss-o'-death %s%s%s", p->kiss, words != NULL ? ": " : "", words != NULL ? words : "");
}

static void judge(struct run *r, const struct ntp_packet *p, const struct ntp_figures *f)
{
	const struct ntp_options *o = run_options(r);

	if (p->leap == 3 || p->stratum == 0 || p->stratum > 15)
		run_down(r, "not synchronised (leap indicator %u, stratum %u)", p->leap, p->stratum);
	else if ((int64_t)(p->transmit - p->receive) < 0)
		run_down(r, "its times make no sense: it answered before it was asked");
	else if (f->root_distance >= NTP_DISTANCE_MAX)
		run_down(r, "not synchronised: root distance %.1f s", f->root_distance);
	else if (p->stratum > o->stratum_max)
		run_down(r, "stratum %u, expected at most %d", p->stratum, (int)o->stratum_max);
	else
		run_up(r);
}

static void finish(struct ntp *n, const struct ntp_packet *p, const struct query *q, int64_t arrived)
{
	struct run *r = n->run;
	struct ntp_figures f;

	run_value(r, NTP_LOST, (double)(q - n->queries));
	run_value(r, NTP_FOREIGN, n->foreign);
	ntp_packet_figures(p, q->real, arrived - q->mono, &f);
	ntp_free(n);
	if (*p->kiss != '\0') {
		judge_kiss(r, p);
		return;
	}
	tell_figures(r, p, &f);
	judge(r, p, &f);
}

static void at_deadline(void *state, struct run *r)
{
	struct ntp *n = run_private(r);
	char limit[NUM_TEXT];

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	run_value(r, NTP_LOST, n->count);
	run_value(r, NTP_FOREIGN, n->foreign);
	run_down(r, "no answer to %u quer%s within %s%s%s", n->count, n->count == 1 ? "y" : "ies", limit,
		*n->trouble != '\0' ? ": " : "", n->trouble);
}

/* ---- out */

static void send_query(struct ntp *n)
{
	const struct ntp_options *o = run_options(n->run);
	int64_t wait = (run_deadline(n->run) - run_started(n->run)) / (o->retries + 1);
	struct query *q = &n->queries[n->count++];
	uint8_t bytes[NTP_PACKET_SIZE];
	struct timeval tv;
	int error;

	assert(n->count <= QUERIES_MAX);
	if (getrandom(&q->cookie, sizeof q->cookie, 0) != sizeof q->cookie)
		assert(!"getrandom of so few bytes never fails");
	ntp_packet_encode(q->cookie, bytes);
	q->real = clock_real();
	q->mono = clock_mono();
	error = datagram_send(n->udp, bytes, sizeof bytes);
	if (error != 0) {
		end_unknown(n, datagram_refusal_words(error));
		return;
	}
	wait = wait < RETRY_MAX ? wait : RETRY_MAX;
	tv = (struct timeval){wait / NS_PER_S, wait % NS_PER_S / NS_PER_US};
	evtimer_add(n->timer, &tv);
}

static void on_silence(evutil_socket_t fd, short what, void *ctx)
{
	struct ntp *n = ctx;
	const struct ntp_options *o = run_options(n->run);

	(void)fd, (void)what;
	if (n->count <= (unsigned)o->retries)
		send_query(n); /* the last one has until the deadline */
}

/* ---- in */

static void on_packet(void *ctx, const struct datagram_packet *d)
{
	struct ntp *n = ctx;
	struct ntp_packet p;

	if (ntp_packet_decode(d->data, d->len, &p)) {
		for (unsigned i = 0; i < n->count; i++) {
			if (ntp_packet_answers(&p, n->queries[i].cookie)) {
				finish(n, &p, &n->queries[i], d->mono);
				return;
			}
		}
	}
	n->foreign++;
	snprintf(n->trouble, sizeof n->trouble, "what came did not answer the query");
}

/* The host itself says that nobody listens; what routers say may pass. */
static void on_error(void *ctx, int error)
{
	struct ntp *n = ctx;

	if (error == ECONNREFUSED)
		end_down(n, datagram_error_words(error));
	else
		snprintf(n->trouble, sizeof n->trouble, "%s", datagram_error_words(error));
}

/* ---- the type */

static void ntp_start(void *state, struct run *r)
{
	const struct ntp_options *o = run_options(r);
	struct ntp *n = mem_alloc(sizeof *n);
	const struct datagram_events events = {.on_packet = on_packet, .on_error = on_error, .ctx = n};
	socklen_t len;
	const struct sockaddr *address = run_address(r, &len);
	int error;

	(void)state;
	n->run = r;
	n->timer = evtimer_new(run_env(r)->base, on_silence, n);
	assert(n->timer != NULL);
	run_set_private(r, n);
	run_on_deadline(r, at_deadline);
	n->udp = datagram_open(run_env(r)->base, address, len, (uint16_t)o->port, &events, &error);
	if (n->udp == NULL)
		end_unknown(n, datagram_refusal_words(error));
	else
		send_query(n);
}

static void ntp_cancel(void *state, struct run *r)
{
	struct ntp *n = run_private(r);

	(void)state;
	if (n != NULL)
		ntp_free(n);
}

const struct probe_type ntp_probe = {.catalog = &catalog_ntp, .start = ntp_start, .cancel = ntp_cancel};

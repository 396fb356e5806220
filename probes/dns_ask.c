#include "probes/dns_ask.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/datagram.h"
#include "probes/dns_packet.h"

struct dns_ask {
	struct dns_query query;
	uint8_t name[DNS_NAME_MAX];
	struct datagram *udp;
	struct event *timer; /* the next try; before the first one, the beginning */
	int64_t timeout;
	unsigned tries, sent;
	int refusal; /* errno of the socket that could not be had */
	void (*on_end)(void *ctx, const struct dns_ask_end *);
	void *ctx;
};

void dns_ask_stop(struct dns_ask *a)
{
	if (a == NULL)
		return;
	datagram_close(a->udp);
	event_free(a->timer);
	free(a);
}

static void finish(struct dns_ask *a, const struct dns_message *m, const char *reason, bool ours)
{
	const struct dns_ask_end end = {.message = m, .reason = reason, .ours = ours};

	a->on_end(a->ctx, &end);
	dns_ask_stop(a);
}

static void on_packet(void *ctx, const struct datagram_packet *p)
{
	struct dns_ask *a = ctx;
	struct dns_message m;
	struct err e;

	if (dns_message_head(p->data, p->len, &m, &e) < 0 || !m.is_response || m.id != a->query.id || m.questions != 1 ||
		m.type != a->query.type || !dns_name_equal(m.name, m.name_len, a->name, a->query.name_len))
		return; /* not ours: the answer may still come */
	if (m.truncated || dns_message_records(&m, &e) == 0)
		finish(a, &m, "", false);
	else
		finish(a, NULL, "the answer is damaged", false);
}

static void on_error(void *ctx, int error)
{
	if (error == ECONNREFUSED)
		finish(ctx, NULL, datagram_error_words(error), false);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct dns_ask *a = ctx;
	int64_t wait = a->timeout / a->tries;
	struct timeval tv = {wait / NS_PER_S, wait % NS_PER_S / NS_PER_US};
	uint8_t bytes[DNS_QUERY_MAX];
	char limit[NUM_TEXT], words[80];
	int error = a->refusal;

	(void)fd, (void)what;
	if (a->sent == a->tries) {
		num_format_duration(a->timeout, limit);
		snprintf(words, sizeof words, "no answer within %s", limit);
		finish(a, NULL, words, false);
		return;
	}
	a->sent++;
	if (error == 0)
		error = datagram_send(a->udp, bytes, dns_query_encode(&a->query, bytes));
	if (error == 0)
		evtimer_add(a->timer, &tv);
	else
		finish(a, NULL, datagram_refusal_words(error), true);
}

struct dns_ask *dns_ask_start(struct event_base *base, const struct sockaddr_storage *address,
	const struct dns_ask_question *question, int64_t timeout, unsigned tries,
	void (*on_end)(void *ctx, const struct dns_ask_end *), void *ctx)
{
	struct dns_ask *a = mem_alloc(sizeof *a);
	const struct datagram_events events = {.on_packet = on_packet, .on_error = on_error, .ctx = a};
	bool six = address->ss_family == AF_INET6;
	uint16_t port = six ? ((const struct sockaddr_in6 *)address)->sin6_port : ((const struct sockaddr_in *)address)->sin_port;
	struct err e;
	int n;

	*a = (struct dns_ask){.timeout = timeout, .tries = tries, .on_end = on_end, .ctx = ctx};
	n = dns_name_parse(question->name, false, a->name, &e);
	assert(n > 0);
	a->query = (struct dns_query){.type = question->type, .name = a->name, .name_len = (size_t)n,
		.recursion = question->recursion};
	if (getrandom(&a->query.id, sizeof a->query.id, 0) != sizeof a->query.id)
		assert(!"getrandom of two bytes never fails");
	a->udp = datagram_open(base, (const struct sockaddr *)address,
		six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in), port != 0 ? ntohs(port) : 53, &events, &a->refusal);
	if (a->udp != NULL)
		a->refusal = 0;
	a->timer = evtimer_new(base, on_timer, a);
	assert(a->timer != NULL);
	event_active(a->timer, EV_TIMEOUT, 0);
	return a;
}

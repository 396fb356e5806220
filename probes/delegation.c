#include "probes/delegation.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/dns_ask.h"
#include "probes/dns_packet.h"
#include "probes/probe.h"
#include "probes/resolve.h"

#define TRIES 2

struct delegation {
	const struct probe_env *env;
	char *host;
	const char *zone; /* inside host */
	int64_t wait;
	struct dns_ask *ask;
	struct resolve_query *query;
	struct sockaddr_storage resolvers[RESOLVE_MAX];
	size_t resolver_count, resolver;
	char *servers[DELEGATION_SERVERS_MAX];
	size_t server_count, server;
	struct sockaddr_storage addresses[DELEGATION_ADDRESSES_MAX]; /* of the server under way */
	size_t address_count, address;
	size_t answer_v6;
	char reason[300];
	void (*on_end)(void *ctx, const struct delegation_end *);
	void *ctx;
};

void delegation_stop(struct delegation *d)
{
	if (d == NULL)
		return;
	dns_ask_stop(d->ask);
	if (d->query != NULL)
		resolve_cancel(d->query);
	for (size_t i = 0; i < d->server_count; i++)
		free(d->servers[i]);
	free(d->host);
	free(d);
}

static void finish(struct delegation *d, bool measured)
{
	const struct delegation_end end = {.measured = measured, .servers = d->server_count, .answer_v6 = d->answer_v6,
		.zone = d->zone, .reason = d->reason};

	d->on_end(d->ctx, &end);
	delegation_stop(d);
}

static void say(struct delegation *d, const char *words, ...) __attribute__((format(printf, 2, 3)));

/* The first one is told. */
static void say(struct delegation *d, const char *words, ...)
{
	va_list ap;

	if (d->reason[0] != '\0')
		return;
	va_start(ap, words);
	vsnprintf(d->reason, sizeof d->reason, words, ap);
	va_end(ap);
}

static void cannot(struct delegation *d, const char *words)
{
	d->reason[0] = '\0';
	say(d, "%s", words);
	finish(d, false);
}

/* ---- the servers, one address after the other */

static void next_address(struct delegation *);
static void next_server(struct delegation *);

static void server_failed(struct delegation *d, const char *words)
{
	say(d, "%s %s", d->servers[d->server], words);
	d->server++;
	next_server(d);
}

static void judge_answer(struct delegation *d, const struct dns_message *m)
{
	char address[64], code[DNS_TYPE_TEXT], words[160];
	struct dns_answers answers = {0};

	resolve_format((struct sockaddr *)&d->addresses[d->address], address, sizeof address);
	if (!m->truncated)
		dns_message_follow(m, DNS_SOA, &answers);
	if (m->rcode == DNS_NOERROR && m->authoritative && (m->truncated || answers.count > 0)) {
		d->address++;
		next_address(d);
		return;
	}
	if (m->rcode != DNS_NOERROR)
		snprintf(words, sizeof words, "answers %s at %s", dns_rcode_text(m->rcode, code), address);
	else
		snprintf(words, sizeof words, "is lame at %s", address);
	server_failed(d, words);
}

static void on_server_answer(void *ctx, const struct dns_ask_end *e)
{
	struct delegation *d = ctx;
	char address[64], words[200];

	d->ask = NULL;
	if (e->message != NULL) {
		judge_answer(d, e->message);
		return;
	}
	resolve_format((struct sockaddr *)&d->addresses[d->address], address, sizeof address);
	snprintf(words, sizeof words, "at %s: %.100s", address, e->reason);
	if (e->ours)
		cannot(d, words);
	else
		server_failed(d, words);
}

static void next_address(struct delegation *d)
{
	const struct dns_ask_question soa = {.name = d->zone, .type = DNS_SOA};
	const struct sockaddr_storage *to = &d->addresses[d->address];

	if (d->address == d->address_count) {
		d->answer_v6++;
		d->server++;
		next_server(d);
	} else if (!d->env->may_probe(d->env->ctx, (const struct sockaddr *)to)) {
		cannot(d, "an address of a name server is not allowed here");
	} else {
		d->ask = dns_ask_start(d->env->base, to, &soa, d->wait, TRIES, on_server_answer, d);
	}
}

static void on_server_addresses(void *ctx, const struct resolve_answer *a)
{
	struct delegation *d = ctx;
	char words[160];

	d->query = NULL;
	if (a->status == RESOLVE_FAILED) {
		snprintf(words, sizeof words, "%.60s: %.90s", d->servers[d->server], a->reason);
		cannot(d, words);
	} else if (a->status != RESOLVE_OK) {
		snprintf(words, sizeof words, "has %.100s", a->reason);
		server_failed(d, words);
	} else {
		d->address = 0;
		d->address_count = a->count < DELEGATION_ADDRESSES_MAX ? a->count : DELEGATION_ADDRESSES_MAX;
		memcpy(d->addresses, a->addresses, d->address_count * sizeof *d->addresses);
		next_address(d);
	}
}

static void next_server(struct delegation *d)
{
	if (d->server == d->server_count)
		finish(d, true);
	else
		d->query = resolve_start(d->env->resolver, d->servers[d->server], FAMILY_V6, d->wait * TRIES,
			on_server_addresses, d);
}

/* ---- the zone */

static void ask_zone(struct delegation *);

/* Names that the resolver can be asked for, sorted, so that every run says the same. */
static void take_servers(struct delegation *d, const struct dns_message *m, const struct dns_answers *answers)
{
	struct dns_walk walk = {0};
	struct dns_record record;
	struct buf text = {0};

	while (d->server_count < DELEGATION_SERVERS_MAX && dns_answer_next(m, answers, DNS_NS, &walk, &record)) {
		size_t at = d->server_count;
		char *name;

		buf_clear(&text);
		dns_record_text(m, &record, &text);
		name = mem_strdup(buf_text(&text));
		for (; at > 0 && strcmp(d->servers[at - 1], name) > 0; at--)
			d->servers[at] = d->servers[at - 1];
		d->servers[at] = name;
		d->server_count++;
	}
	buf_fini(&text);
}

static void on_zone_answer(void *ctx, const struct dns_ask_end *e)
{
	struct delegation *d = ctx;
	struct dns_answers answers = {0};
	const char *dot;
	char words[160];

	d->ask = NULL;
	if (e->message == NULL || e->message->truncated ||
		(e->message->rcode != DNS_NOERROR && e->message->rcode != DNS_NXDOMAIN)) {
		snprintf(words, sizeof words, "no NS records from the resolver: %.100s",
			e->message == NULL ? e->reason : e->message->truncated ? "truncated" : "it failed");
		d->resolver++;
		if (d->resolver < d->resolver_count)
			ask_zone(d);
		else
			cannot(d, words);
		return;
	}
	dns_message_follow(e->message, DNS_NS, &answers);
	if (e->message->rcode == DNS_NOERROR && answers.aliases == 0 && answers.count > 0) {
		take_servers(d, e->message, &answers);
		next_server(d);
		return;
	}
	dot = strchr(d->zone, '.');
	if (dot == NULL || strchr(dot + 1, '.') == NULL) {
		cannot(d, "no zone with name servers was found");
		return;
	}
	d->zone = dot + 1;
	ask_zone(d);
}

static void ask_zone(struct delegation *d)
{
	const struct dns_ask_question ns = {.name = d->zone, .type = DNS_NS, .recursion = true};

	d->ask = dns_ask_start(d->env->base, &d->resolvers[d->resolver], &ns, d->wait, TRIES, on_zone_answer, d);
}

static void on_nothing(void *ctx, const struct resolve_answer *a)
{
	struct delegation *d = ctx;

	(void)a;
	d->query = NULL;
	cannot(d, "this host has no resolver");
}

struct delegation *delegation_start(const struct probe_env *env, const char *host, int64_t wait,
	void (*on_end)(void *ctx, const struct delegation_end *), void *ctx)
{
	struct delegation *d = mem_alloc(sizeof *d);
	size_t n = strlen(host);

	d->env = env;
	d->zone = d->host = mem_strdup(host);
	if (n > 0 && host[n - 1] == '.')
		d->host[n - 1] = '\0';
	d->wait = wait;
	d->on_end = on_end;
	d->ctx = ctx;
	d->resolver_count = resolver_servers(env->resolver, d->resolvers);
	if (d->resolver_count > 0)
		ask_zone(d);
	else
		d->query = resolve_start(env->resolver, "localhost", FAMILY_V4, wait, on_nothing, d); /* from the loop */
	return d;
}

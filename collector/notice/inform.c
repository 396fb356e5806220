#include "collector/notice/inform.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/notice/facts.h"
#include "collector/notice/lookup.h"
#include "collector/notice/phrase.h"
#include "collector/notice/send_kind.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/credentials.h"
#include "probes/snmp_talk.h"

#define ROOT "1.3.6.1.4.1."

/* ---- the message */

/* DateAndTime of RFC 2579, in the time of Shanghai. */
static size_t put_time(int64_t ns, uint8_t out[11])
{
	time_t s = (time_t)(ns / NS_PER_S) + 8 * 3600;
	struct tm t;

	gmtime_r(&s, &t);
	out[0] = (uint8_t)((t.tm_year + 1900) >> 8);
	out[1] = (uint8_t)(t.tm_year + 1900);
	out[2] = (uint8_t)(t.tm_mon + 1);
	out[3] = (uint8_t)t.tm_mday;
	out[4] = (uint8_t)t.tm_hour;
	out[5] = (uint8_t)t.tm_min;
	out[6] = (uint8_t)t.tm_sec;
	out[7] = (uint8_t)(ns % NS_PER_S / (100 * NS_PER_MS));
	out[8] = '+';
	out[9] = 8;
	out[10] = 0;
	return 11;
}

/* root, then 0 and the number of a notification, or 1, that of an object, and 0 for its one instance. */
static struct snmp_oid oid_of(const struct roster_channel *c, uint32_t branch, uint32_t number)
{
	char *text = mem_format(ROOT "%s", c->enterprise);
	struct snmp_oid o;

	snmp_oid_parse(text, &o);
	free(text);
	o.part[o.len++] = branch;
	o.part[o.len++] = number;
	if (branch == 1)
		o.part[o.len++] = 0;
	return o;
}

static void put_text(struct snmp_binding *b, const char *text, size_t max)
{
	b->kind = SNMP_BINDING_OCTETS;
	b->octets = text;
	b->len = phrase_cut(text, max);
}

static void put_number(struct snmp_binding *b, int number)
{
	b->kind = SNMP_BINDING_INTEGER;
	b->integer = number;
}

void inform_write(const struct roster_channel *c, const struct facts *f, int64_t uptime, struct snmp_binding *bindings,
	uint8_t since[11], struct snmp_inform *out)
{
	static const struct {
		enum fact fact;
		size_t max;
	} texts[INFORM_END] = {
		[INFORM_KEY] = {FACT_KEY, INFORM_LINE_MAX},
		[INFORM_KIND] = {FACT_KIND, INFORM_LINE_MAX},
		[INFORM_INCIDENT] = {FACT_INCIDENT, INFORM_LINE_MAX},
		[INFORM_SUBJECT] = {FACT_SUBJECT, INFORM_LINE_MAX},
		[INFORM_UNIT] = {FACT_UNIT, INFORM_LINE_MAX},
		[INFORM_CAUSE] = {FACT_REASON, INFORM_LINE_MAX},
		[INFORM_TITLE] = {FACT_TITLE, INFORM_LINE_MAX},
		[INFORM_TEXT] = {FACT_TEXT, INFORM_TEXT_MAX},
		[INFORM_COLLECTOR] = {FACT_COLLECTOR, INFORM_LINE_MAX},
	};

	for (uint32_t i = 1; i < INFORM_END; i++) {
		struct snmp_binding *b = &bindings[i - 1];

		*b = (struct snmp_binding){.name = oid_of(c, 1, i)};
		if (i == INFORM_STATE)
			put_number(b, f->state);
		else if (i == INFORM_SEVERITY)
			put_number(b, (int)f->severity);
		else if (i != INFORM_SINCE)
			put_text(b, f->text[texts[i].fact], texts[i].max);
	}
	bindings[INFORM_SINCE - 1].kind = SNMP_BINDING_OCTETS;
	bindings[INFORM_SINCE - 1].octets = since;
	bindings[INFORM_SINCE - 1].len = put_time(f->since != 0 ? f->since : f->at, since);
	*out = (struct snmp_inform){.uptime = (uint32_t)(uptime / (10 * NS_PER_MS)), .name = oid_of(c, 0, f->type), .count = INFORM_END - 1,
		.bindings = bindings};
}

/* ---- the way there */

struct inform {
	struct sender *sender;
	struct send *send;
	char host[LOOKUP_HOST_MAX + 1];
	uint16_t port;
	struct credential credential; /* the passwords are owned */
	struct facts facts;
	uint8_t since[11];
	struct snmp_binding bindings[INFORM_END - 1];
	struct snmp_inform message;
	struct lookup *lookup;
	struct lookup_answer addresses;
	size_t tried;
	struct snmp_talk *talk;
};

static void talk_next(struct inform *i, const char *trouble);

static void on_varbind(void *ctx, size_t at, const struct snmp_oid *name, const struct snmp_value *value, int64_t mono)
{
	(void)ctx, (void)at, (void)name, (void)value, (void)mono;
}

/* A response with an error (RFC 3416, 4.2.7: tooBig) is a refusal. */
static void on_reply(void *ctx, const struct snmp_answer *a)
{
	struct inform *i = ctx;
	struct err e;

	if (a->status == 0) {
		send_ended(i->send, LETTER_TAKEN, "confirmed by the receiver");
		return;
	}
	err_set(&e, "the receiver answers with error-status %ld", a->status);
	send_ended(i->send, LETTER_REFUSED, e.text);
}

static void on_end(void *ctx, enum outcome outcome, const char *words)
{
	struct inform *i = ctx;

	(void)outcome;
	if (snmp_talk_was_refused(i->talk))
		send_ended(i->send, LETTER_REFUSED, words);
	else
		talk_next(i, words);
}

static void talk_next(struct inform *i, const char *trouble)
{
	static const struct snmp_talk_events events = {.on_varbind = on_varbind, .on_reply = on_reply, .on_end = on_end};
	struct snmp_talk_events mine = events;
	struct err e;

	snmp_talk_close(i->talk);
	i->talk = NULL;
	if (i->tried == i->addresses.count) {
		send_ended(i->send, LETTER_AGAIN, trouble);
		return;
	}
	mine.ctx = i;
	i->talk = snmp_talk_open(i->sender->snmp, &(struct snmp_talk_options){.base = i->sender->base,
		.address = (const struct sockaddr *)&i->addresses.items[i->tried].address, .address_len = i->addresses.items[i->tried].len,
		.port = i->port, .credential = &i->credential, .retry = INFORM_RETRY_S * NS_PER_S}, &mine, &e);
	i->tried++;
	if (i->talk != NULL)
		snmp_talk_inform(i->talk, &i->message);
	else
		talk_next(i, e.text);
}

static void on_addresses(void *ctx, const struct lookup_answer *a)
{
	struct inform *i = ctx;
	struct err e;

	i->lookup = NULL;
	i->addresses = *a;
	err_set(&e, "%.100s: %s", i->host, lookup_words(a->error));
	talk_next(i, e.text);
}

static void inform_stop(void *state)
{
	struct inform *i = state;

	lookup_cancel(i->lookup);
	snmp_talk_close(i->talk);
	facts_fini(&i->facts);
	free((char *)i->credential.user);
	free((char *)i->credential.auth_password);
	free((char *)i->credential.priv_password);
	free(i);
}

static struct credential credential_of(const struct send_order *o)
{
	return (struct credential){.id = o->channel->id, .community = "", .user = mem_strdup(o->channel->user),
		.auth = CREDENTIAL_SHA256 + o->channel->auth, .priv = CREDENTIAL_AES128 + o->channel->priv,
		.auth_password = mem_strdup(o->facts->token), .priv_password = mem_strdup(o->facts->secret)};
}

static void *inform_start(struct sender *sender, struct send *send, const struct send_order *o, struct err *words)
{
	struct inform *i = mem_alloc(sizeof *i);

	*i = (struct inform){.sender = sender, .send = send, .credential = credential_of(o)};
	facts_make(o->channel, o->intent, o->phrase, o->facts, &i->facts);
	inform_write(o->channel, &i->facts, clock_mono(), i->bindings, i->since, &i->message);
	if (sender->snmp == NULL)
		sender->snmp = snmp_stack_open();
	if (lookup_parse_url(o->channel->url, "udp://", i->host, &i->port, words) < 0) {
		inform_stop(i);
		return NULL;
	}
	i->lookup = lookup_start(sender->base, i->host, on_addresses, i);
	return i;
}

static void inform_late(void *state, struct err *words)
{
	struct inform *i = state;
	char text[256] = "the address of the host was not found in time";

	if (i->talk != NULL)
		snmp_talk_silence(i->talk, "the time for it", text, sizeof text);
	err_set(words, "%s", text);
}

const struct send_kind send_inform = {.start = inform_start, .late = inform_late, .stop = inform_stop};

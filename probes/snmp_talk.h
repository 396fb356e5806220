/*
 * snmp_talk: requests, notifications and answers with one device over one connected UDP socket: of v2c by messages of our own
 * (snmp_packet.h), of v3 by libnetsnmp's, which is loaded for the first device that is spoken to so.
 *
 *   snmp_stack_open (once a process)
 *   snmp_talk_open -> snmp_talk_ask -> on_varbind ..., on_reply -> snmp_talk_ask -> ... -> snmp_talk_close, or on_end
 *
 * SNMPv3 finds the engine of the device first, without waiting: an empty request, whose Report names it. The first request waits
 * for that. Silence is asked again each `retry`; the caller owns the deadline. The
 * second time on, v2c asks for half as many repetitions each: answers that are fragments get lost on some ways.
 * Callbacks may close it, but on_varbind must not. After on_end nothing comes any more.
 * Thread: the loop's. Limit: answers of DATAGRAM_MAX bytes.
 */
#ifndef PROBES_SNMP_TALK_H
#define PROBES_SNMP_TALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/sample.h"
#include "probes/snmp_table.h"

struct credential;
struct err;
struct event_base;
struct snmp_request;
struct snmp_stack;
struct snmp_talk;
struct snmp_value;

struct snmp_talk_events {
	void (*on_varbind)(void *ctx, size_t i, const struct snmp_oid *, const struct snmp_value *, int64_t mono);
	void (*on_reply)(void *ctx, const struct snmp_answer *); /* all of its varbinds have been given */
	void (*on_end)(void *ctx, enum outcome, const char *words);
	void *ctx;
};

/* What a notification says beside its name (RFC 3416, 4.2.7): an object and its value. */
struct snmp_binding {
	struct snmp_oid name;
	enum { SNMP_BINDING_INTEGER, SNMP_BINDING_OCTETS } kind;
	int32_t integer;
	const void *octets;
	size_t len;
};
struct snmp_inform {
	uint32_t uptime; /* hundredths of a second */
	struct snmp_oid name;
	size_t count;
	const struct snmp_binding *bindings;
};

struct snmp_talk_options {
	struct event_base *base;
	const struct sockaddr *address;
	socklen_t address_len;
	uint16_t port;
	const struct credential *credential; /* copied */
	int64_t retry;
};

struct snmp_talk_counts {
	unsigned requests, again, foreign;
};

struct snmp_stack *snmp_stack_open(void);
void snmp_stack_close(struct snmp_stack *); /* accepts NULL */

/* NULL with words: this host cannot. */
struct snmp_talk *snmp_talk_open(struct snmp_stack *, const struct snmp_talk_options *, const struct snmp_talk_events *,
	struct err *);
void snmp_talk_close(struct snmp_talk *); /* accepts NULL */
/* One at a time; borrowed until its reply. */
void snmp_talk_ask(struct snmp_talk *, const struct snmp_request *);
/* The same of a notification that is to be confirmed, of v3: on_reply when it is. Borrowed until then. */
void snmp_talk_inform(struct snmp_talk *, const struct snmp_inform *);
/* In on_end: the device itself has said that it will not have us: not this user, password, or level. */
bool snmp_talk_was_refused(const struct snmp_talk *);
struct snmp_talk_counts snmp_talk_counts(const struct snmp_talk *);
/* What to say when not all came within a time; whether that is down or cannot be known: a device that still answers has more to
 * read than fits the time, which is none of its faults. */
enum outcome snmp_talk_silence(const struct snmp_talk *, const char *limit, char *out, size_t room);

#endif

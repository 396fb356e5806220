/*
 * send_kind: what is sent, and what a kind of channel does for it (send.h is for those who send).
 *
 *   start -> send_ended once, from the loop or from inside start -> stop; without send_ended: late or a cancel, then stop
 *
 * Thread: the loop's.
 */
#ifndef COLLECTOR_NOTICE_SEND_KIND_H
#define COLLECTOR_NOTICE_SEND_KIND_H

#include <stdint.h>
#include <sys/queue.h>

#include "collector/notice/letter.h"

struct err;
struct event_base;
struct http_client;
struct send;
struct sender;
struct snmp_stack;

struct send_order {
	const struct roster_channel *channel; /* borrowed until the end */
	const struct incident_intent *intent; /* these three: for the call */
	const struct phrase *phrase;
	const struct letter_facts *facts;
	int64_t timeout; /* ns */
};

struct send_kind {
	/* Begins. NULL with words: it cannot, and only an operator mends it. */
	void *(*start)(struct sender *, struct send *, const struct send_order *, struct err *words);
	/* The time is over: what was waited for. */
	void (*late)(void *, struct err *words);
	void (*stop)(void *); /* gives up what is under way, and frees */
};

extern const struct send_kind send_web; /* libcurl: bots, webhooks, short messages */
extern const struct send_kind send_mail, send_syslog, send_inform, send_command;

/* Shared by sends; made when the first one needs it. */
struct sender {
	struct event_base *base;
	struct http_client *http;
	struct snmp_stack *snmp;
	int runner;     /* -1: no commands */
	LIST_HEAD(, mail_line) lines; /* connections that wait for mails: send_mail.c */
	int threads[2]; /* a pipe whose writing end each thread that sends has as well; -1: none was made yet */
};
/* For a thread that sends to close when it ends: who frees the sender waits for that, a little. -1: there is none. */
int sender_thread(struct sender *);

void send_mail_end_lines(struct sender *); /* when no mail is under way */

/* What all that libcurl sends have in common: TLS, roots, no proxy. */
void send_set_curl(void *easy, const struct roster_channel *, const char *url);

void send_ended(struct send *, enum letter_outcome, const char *words);

#endif

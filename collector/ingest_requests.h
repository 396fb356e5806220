/*
 * ingest_requests: where people ask: a UNIX socket in the state folder that commands of this host connect to. One request a
 * connection: its bytes (wire.proto Request) and the end of writing; the answer (Answer) comes when it is synced.
 *
 *   requests_listen (the parent, before its fence) -> requests_new -> take ... requests_synced -> requests_free
 *
 * Who may ask: root, and the user that the collector runs as, as the kernel knows them; the socket is theirs alone. The
 * parent keeps the socket, so that who asks while ingest starts again waits instead of being refused.
 * Thread: the loop's. Limits: REQUESTS_MAX connections, WIRE_REQUEST_MAX bytes, silence of REQUESTS_WITHIN.
 */
#ifndef COLLECTOR_INGEST_REQUESTS_H
#define COLLECTOR_INGEST_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"
#include "lib/journal.h"

struct err;
struct event_base;
struct requests;
struct wire_answer;
struct wire_request;

#define REQUESTS_FILE "requests"  /* below the state folder */
#define REQUESTS_MAX 32
#define REQUESTS_WITHIN (5 * NS_PER_S)

/* Makes the socket in the state folder in place of an old one; it belongs to the folder's owner. A descriptor, or -1. */
int requests_listen(const char *state, struct err *);

/* Takes the descriptor. take: what is asked, uid and real being set, is to be put into the journal: 0 with its seq, or -1 with
 * words: it is refused. */
struct requests *requests_new(struct event_base *, int fd,
	int (*take)(void *ctx, const struct wire_request *, uint64_t *seq, struct err *), void *ctx);
/* What is answered is sent before: who hears nothing asks again, and a plan stands twice. Accepts NULL. */
void requests_free(struct requests *);
/* The journal is synced further: answers those up to there. */
void requests_synced(struct requests *, const struct journal *);

/* ---- the other side: sends a request and waits for the answer, `within` ns at most. -1 with words: whether it was kept
 * is only known when *sent is false. */
int requests_ask(const char *state, const struct wire_request *, int64_t within, struct wire_answer *, bool *sent, struct err *);

#endif

/*
 * ask: questions of the web process to its peers over their channels, each answered exactly once.
 *
 *   ask_new -> ask_connect when a channel is there (again) -> ask_send ... on_answer -> ask_free
 *
 * A question to a peer that is not there, that goes away, or does not answer in time fails with words; nobody waits for a
 * peer longer than the question says. A channel whose peer breaks the rules is closed and counts as gone.
 * Thread: the loop's. Limits: ASK_WAITING questions to one peer.
 */
#ifndef COLLECTOR_WEB_ASK_H
#define COLLECTOR_WEB_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/process.h"

struct ask;
struct event_base;
struct ipc_message;

#define ASK_WAITING 256

/* m NULL: it failed, words say why. Never called from inside ask_send. */
typedef void ask_on_answer(void *ctx, const struct ipc_message *m, const char *words);

struct ask *ask_new(struct event_base *);
void ask_free(struct ask *); /* fails what waits; accepts NULL */
void ask_connect(struct ask *, enum process_role peer, int fd); /* takes the descriptor */
bool ask_is_connected(const struct ask *, enum process_role peer);
/* The body is copied. timeout in ns. */
void ask_send(struct ask *, enum process_role peer, uint16_t type, const void *body, size_t len, int64_t timeout,
	ask_on_answer *, void *ctx);

#endif

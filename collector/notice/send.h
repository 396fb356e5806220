/*
 * send: one try of a notice through a channel of any kind, and what came of it. Kinds are rows of a table: send_kind.h.
 *
 *   sender_new -> send_start -> on_end, or send_cancel -> sender_free
 *
 * Nothing blocks the loop. on_end comes exactly once, from the loop, never from inside send_start; what did not end within
 * `timeout` is cut then and ends as LETTER_AGAIN. Trying again, quotas and fall-backs are the caller's.
 * A mail has a thread of its own, which libcurl keeps waiting for the server (send_mail.c). No redirect is followed, no proxy of the environment used; TLS from 1.2 with the roots of the channel or of the machine, and
 * mail leaves in the clear only towards the machine itself. Answers beyond LETTER_ANSWER_MAX are cut. Thread: the loop's.
 */
#ifndef COLLECTOR_NOTICE_SEND_H
#define COLLECTOR_NOTICE_SEND_H

#include "collector/notice/send_kind.h"

#define SEND_SECRET_MAX 4096 /* tokens of services are long */

/* What all sends of a process share. */
struct sender *sender_new(struct event_base *);
void sender_free(struct sender *); /* when no send is under way; accepts NULL */
/* Takes the socket of the runner of commands (runner.h), without which channels of commands fail. */
void sender_give_runner(struct sender *, int fd);
/* The words are borrowed for the call, in which other sends may be started. */
struct send *send_start(struct sender *, const struct send_order *,
	void (*on_end)(void *ctx, enum letter_outcome, const char *words), void *ctx);
void send_cancel(struct send *); /* no callback */

/* The first line of a file that nobody but its owner may read; "" of path "". */
int send_read_secret(const char *path, char out[SEND_SECRET_MAX], struct err *);
/* Can the files that a channel names be used, by whoever asks? 0, or -1 with err that says where the channel is written. */
int send_check_files(const struct roster_channel *, struct err *);

#endif

/*
 * ipc: framed messages of fixed types over a socket pair between processes of one program.
 *
 * A frame is length u32, type u16, flags u16 (1: a descriptor rides with it, SCM_RIGHTS), id u32,
 * body. The side with more rights treats the other as hostile: lengths and flags are checked before
 * a body is read, a frame that breaks the rules closes the channel; types are the user's to check.
 * Two ways of use: on the loop (ipc_start, ipc_send) or blocking (ipc_send_wait, ipc_receive).
 * Thread: the one of the loop. Limits: body <= IPC_BODY_MAX, one descriptor per frame.
 */
#ifndef LIB_IPC_H
#define LIB_IPC_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct event_base;
struct ipc;

#define IPC_BODY_MAX (8u << 20)

struct ipc_message {
	uint16_t type;
	uint32_t id; /* chosen by the asker, repeated in the answer; 0: no answer is expected */
	const uint8_t *body;
	size_t len;
	int fd; /* -1 when none; the receiver owns it and closes it */
};

/* Two connected ends, close-on-exec. */
int ipc_pair(int fds[2], struct err *);
struct ipc *ipc_new(int fd); /* takes the descriptor */
void ipc_free(struct ipc *); /* closes it; accepts NULL */
int ipc_fd(const struct ipc *);

/* On the loop: on_message for each frame; on_gone once when the peer ended or broke the rules, as the last
 * call. The body is borrowed for the call. Both may ipc_free the channel. What is queued to a peer
 * that does not read grows up to 4 x IPC_BODY_MAX, then the channel is closed. */
void ipc_start(struct ipc *, struct event_base *, void (*on_message)(void *ctx, struct ipc_message *),
	void (*on_gone)(void *ctx, const char *why), void *ctx);
/* Queues a frame; calls nothing back. fd is dup'ed, -1 for none. -1 when the channel is gone. */
int ipc_send(struct ipc *, uint16_t type, uint32_t id, const void *body, size_t len, int fd);

/* Blocking, before ipc_start or without it: one frame out; one frame in, within timeout ns (-1: for
 * ever). The body of a received frame is borrowed until the next call. 0, or -1 with err. */
int ipc_send_wait(struct ipc *, uint16_t type, uint32_t id, const void *body, size_t len, int fd, struct err *);
int ipc_receive(struct ipc *, struct ipc_message *, int64_t timeout, struct err *);

#endif

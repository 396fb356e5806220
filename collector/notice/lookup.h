/*
 * lookup: the addresses of the host of a channel, as this machine's resolver has them (hosts file, DNS, whatever else it
 * is set up with), as libcurl finds those of the other channels. A literal is answered without asking.
 *
 *   lookup_start -> on_answer, or lookup_cancel
 *
 * getaddrinfo blocks and cannot be stopped: it has a thread of its own, which ends by itself and shares nothing with us but one end
 * of a socket pair that it writes its answer into. Thread: the loop's. Limit: LOOKUP_MAX addresses.
 */
#ifndef COLLECTOR_NOTICE_LOOKUP_H
#define COLLECTOR_NOTICE_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define LOOKUP_HOST_MAX 253
#define LOOKUP_MAX 8

struct err;
struct event_base;
struct lookup;

struct lookup_answer {
	int error; /* of getaddrinfo; 0: count is 1 at least. Words: lookup_words */
	size_t count;
	struct {
		struct sockaddr_storage address; /* without port */
		socklen_t len;
	} items[LOOKUP_MAX]; /* in the order in which they should be tried */
};

/* on_answer comes once, never from inside this call; the lookup is gone by then. Borrowed. */
struct lookup *lookup_start(struct event_base *, const char *host, void (*on_answer)(void *ctx, const struct lookup_answer *),
	void *ctx);
void lookup_cancel(struct lookup *); /* accepts NULL */
const char *lookup_words(int error);

/* A thread that nobody waits for and that takes no signals. 0, or a number of errno. */
int lookup_start_thread(void *(*main)(void *ctx), void *ctx);

/* "tls://host:6514", "udp://[2001:db8::1]:162": host without brackets, port; scheme with its "://". */
int lookup_parse_url(const char *url, const char *scheme, char host[LOOKUP_HOST_MAX + 1], uint16_t *port, struct err *);

/* Whether what is said there stays on this machine: its host is localhost, 127.0.0.0/8 or ::1, and nothing that only begins so. */
bool lookup_is_this_machine(const char *url);

#endif

/*
 * beats: the listener that end points report to, over HTTPS and UDP; what they said is in the book (beat_book.h).
 *
 *   beats_listen (while the process may have a port below 1024) -> beats_start -> beats_ask ... -> beats_close
 *
 * HTTPS, from TLS 1.2 on, without early data (which could be replayed): POST /heartbeat/WINDOW, "Authorization: Bearer TOKEN", the report as the
 * body. 204 taken, 401 not that window's token, 400 no report. UDP: one datagram (beat_packet.h), never answered.
 * Who reported may keep its connection for the next report, for 150 s; others have 10 s. Of BEATS_CONNECTIONS_MAX connections
 * one that has brought no report, or else the one that is silent for the longest, is ended for a new one: slow ones and strangers
 * keep nobody out. Thread: the loop's.
 */
#ifndef AGENT_BEATS_H
#define AGENT_BEATS_H

#include <stdbool.h>
#include <stdint.h>

#define BEATS_CONNECTIONS_MAX 4096

struct agent_settings_heartbeat;
struct beats;
struct err;
struct event_base;
struct heartbeat_seen;

struct beats_stats {
	uint64_t taken, replayed, foreign, malformed;
};

/* Whether the certificate and its key can be used. */
int beats_check(const struct agent_settings_heartbeat *, struct err *);
/* Takes the addresses alone. NULL with err. */
struct beats *beats_listen(const struct agent_settings_heartbeat *, struct err *);
/* Reads the certificate. -1 with err. */
int beats_start(struct beats *, struct event_base *, const struct agent_settings_heartbeat *, struct err *);
/* The certificate, the windows and the skew anew; after an error all is as it was. */
int beats_reload(struct beats *, const struct agent_settings_heartbeat *, struct err *);
void beats_close(struct beats *); /* accepts NULL */
bool beats_ask(struct beats *, const char *window, struct heartbeat_seen *); /* as beat_book_ask */
struct beats_stats beats_stats(const struct beats *); /* accepts NULL: zeros */

#endif

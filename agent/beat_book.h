/*
 * beat_book: which end points may report to this agent, what each said last, and what is a replay. Pure: time is told.
 *
 *   windows = ( { id = "window-0001"; token = "..."; }, { id = "window-0002"; token = "..."; } );
 *
 *   beat_windows_load; beat_book_new -> beat_book_set (again after a reload) -> beat_book_hear_..., beat_book_ask -> beat_book_free
 *
 * A datagram is taken once: its time is within `skew` of our clock, and later than that of the last one taken, or the
 * same with a larger counter, so that no sender needs to keep its counter over a restart. Nothing is written to disk:
 * of a window that has not been heard since the agent began (or since it was put into the file), a time is taken only when
 * it is later than that beginning + skew. What was taken before was not later than its arrival + skew, so none
 * of it is taken again; the price is that a window's datagrams are refused for the first `skew` after a start. The beginning is
 * reckoned by the clock as it is when a datagram arrives, so that a clock that is set right after a start neither shuts
 * windows out nor lets old datagrams in. By as much as the clock of this host was set back since a datagram was taken, or skew made
 * smaller, one of before the restart could be taken again.
 * Others who are heard by the same way (UDP or HTTPS, IPv4 or IPv6) prove that we hear: time without a report of anybody for
 * BEAT_GAP, or in which connections could not be taken (beat_book_interrupt), is not counted as silence of a window in `missing`
 * of struct heartbeat_seen.
 * A sender whose clock was set back is refused until it has passed the last time that was taken: skew at most, or it is
 * out of bounds.
 * Limit: BEAT_WINDOWS_MAX. Thread: any one.
 */
#ifndef AGENT_BEAT_BOOK_H
#define AGENT_BEAT_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/sample.h"

#define BEAT_WINDOWS_MAX 20000
#define BEAT_TOKEN_MIN 32
#define BEAT_GAP (120 * NS_PER_S) /* windows report each minute */

struct beat_book;
struct beat_packet;
struct beat_report;
struct err;
struct heartbeat_seen;

struct beat_window {
	const char *id, *token;
	struct config_where where;
};

struct beat_windows {
	struct config_list list; /* struct beat_window */
};

extern const struct config_schema beat_windows_schema; /* of the file, for the manual */

/* Into the arena. A file that others than its owner can read is refused. */
int beat_windows_load(const char *path, struct arena *, struct beat_windows *, struct err *);

/* When and over which family something came. */
struct beat_arrival {
	int64_t mono, real; /* ns */
	enum family family;
};

enum beat_end { BEAT_TAKEN, BEAT_REPLAYED, BEAT_FOREIGN /* no such window, not its key, time out of bounds */ };

struct beat_book *beat_book_new(void);
void beat_book_free(struct beat_book *); /* accepts NULL */
/* The windows from now on; copied. What is known of one that stays is kept. skew in ns. */
void beat_book_set(struct beat_book *, const struct beat_windows *, int64_t skew, int64_t mono);
/* data: the datagram that was decoded. */
enum beat_end beat_book_hear_packet(struct beat_book *, const struct beat_packet *, const void *data,
	const struct beat_arrival *);
/* Over HTTPS. */
enum beat_end beat_book_hear_report(struct beat_book *, const char *window, const char *token, const struct beat_report *,
	const struct beat_arrival *);
/* Connections cannot be taken: from the last report over HTTPS, whoever it was from, to the next one nobody counts as silent. */
void beat_book_interrupt(struct beat_book *);
/* Whether the token is that of the window, in a time that does not tell how much of it is right. */
bool beat_book_knows(const struct beat_book *, const char *window, const char *token);
/* False: no such window. Counting begins anew. */
bool beat_book_ask(struct beat_book *, const char *window, struct heartbeat_seen *);

#endif

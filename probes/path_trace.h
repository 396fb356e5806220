/*
 * path_trace: the bookkeeping of one look at a path: what is sent next, whose answer came when, which
 * sizes pass, and how two paths differ. Pure.
 *
 *   path_trace_init -> _next, _sent ... _answer -> (sizes: path_sizes_begin, _next, _end ...) -> figures
 *
 * Hops are asked in rounds, near ones first, no farther than the destination once its distance is known. Sizes are
 * tried in waves between the largest that passed and the smallest that did not, PATH_SIZE_TRIES packets each.
 * Where sizes vanish and nobody said "too big", a router may only limit how many errors it sends. So the smallest that
 * vanished is sent again after a pause; then one of the size that passed, and large and small ones that each hop in turn
 * must report. The last hop that reports the large one is where they get to. A try is sure when the hop behind it reports
 * the small one or is the destination: then both ends of that link speak, and one of them would have said it.
 * Times in ns.
 */
#ifndef PROBES_PATH_TRACE_H
#define PROBES_PATH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

#define PATH_HOPS_MAX 30
#define PATH_TRIES_MAX 10
#define PATH_SIZE_MAX 9216
#define PATH_SIZE_MIN_V4 576  /* every host takes so much (RFC 791 section 3.2) */
#define PATH_SIZE_MIN_V6 1280 /* RFC 8200 section 5 */
#define PATH_SIZE_TRIES 2
#define PATH_WAVE 32          /* sizes of a wave */
#define PATH_WAVES_MAX 4
#define PATH_HOLE_TRIES 4     /* that a suspected black hole is asked again, at most */
#define PATH_HOLE_SURE 2      /* of those, so many settle it */
#define PATH_PROBES_MAX (PATH_HOPS_MAX * PATH_TRIES_MAX + PATH_WAVES_MAX * PATH_WAVE * PATH_SIZE_TRIES + \
	PATH_HOLE_TRIES * 2 * PATH_HOPS_MAX)
#define PATH_ADDRESS 64

struct path_probe {
	uint8_t ttl;    /* 0: of a size */
	uint16_t size;  /* 0: of a hop. With a ttl: what a hop must report, which does not count for it; 1: a small one */
	bool is_answered, is_reported; /* the latter: its time was exceeded */
	int64_t sent;
};

struct path_hop {
	char address[PATH_ADDRESS]; /* who answered first; "" silent */
	unsigned sent, answered;
	int64_t min, max, sum;
};

struct path_known {
	unsigned count;
	char hops[PATH_HOPS_MAX][PATH_ADDRESS]; /* "" silent */
};

struct path_trace {
	unsigned hops_max, tries;
	unsigned destination; /* its distance; 0: it has not answered */
	unsigned stopped;     /* nearest at which somebody said that it goes no further; 0: nobody */
	struct path_hop hops[PATH_HOPS_MAX + 1]; /* from 1 on */
	struct path_probe probes[PATH_PROBES_MAX];
	unsigned count, round, next_ttl;
	/* sizes */
	unsigned passed, failed; /* largest answered, smallest that was not */
	unsigned wave_at, wave_step, wave_try, waves, wave_first;
	unsigned wanted;         /* the largest that is tried */
	bool is_told; /* somebody said too big */
	/* black holes */
	unsigned hole_tries, hole_sure, hole_first, hole_at; /* the hop before it; 0: there is none */
};

enum path_answer {
	PATH_ANSWER_HOP,         /* time exceeded */
	PATH_ANSWER_DESTINATION, /* it came to its end */
	PATH_ANSWER_TOO_BIG,
	PATH_ANSWER_UNREACHABLE, /* somebody on the way says that it goes no further */
};

void path_trace_init(struct path_trace *, unsigned hops_max, unsigned tries);
unsigned path_trace_next(struct path_trace *); /* the hop to ask now; 0: all were asked */
unsigned path_trace_sent(struct path_trace *, unsigned ttl, unsigned size, int64_t now); /* index of the probe */
/* False: no such probe is out, or it has its answer. */
bool path_trace_answer(struct path_trace *, unsigned index, enum path_answer, const char *from, int64_t now);
bool path_trace_is_complete(const struct path_trace *); /* all that were asked, up to the destination, answered */
unsigned path_trace_silent(const struct path_trace *);  /* hops before the destination, or before the last answer */
unsigned path_trace_last(const struct path_trace *);    /* the farthest hop that answered, or who goes no further; 0 none */

void path_sizes_begin(struct path_trace *, enum family, unsigned mtu);
unsigned path_sizes_next(struct path_trace *);    /* the size to send now; 0: the wave is out */
bool path_sizes_are_answered(const struct path_trace *); /* all of this wave */
bool path_sizes_end(struct path_trace *);         /* of a wave; true: another one begins */
bool path_sizes_know(const struct path_trace *);  /* the path MTU is path_trace.passed */
bool path_sizes_resume(struct path_trace *);      /* what vanished has come: another wave; false: there were enough */

bool path_hole_suspected(const struct path_trace *); /* sizes vanish, and nobody said too big */
bool path_hole_is_settled(const struct path_trace *); /* it was asked often enough */
bool path_hole_is_sure(const struct path_trace *);
void path_hole_begin(struct path_trace *);        /* a try */
bool path_hole_next(struct path_trace *, unsigned *ttl, unsigned *size); /* what to send now; false: the try is out */
void path_hole_end(struct path_trace *);          /* of a try */

void path_known_take(struct path_known *, const struct path_trace *);
/* A hop that was silent once is no change. False: the same path. words: the hops that differ, of both. */
bool path_known_differs(const struct path_known *was, const struct path_known *now, char *words, size_t room);

/* ---- what udp packets carry, so that the quotes in errors name them: the sum of all is the same (one flow) */
#define PATH_PAYLOAD 16
void path_payload_encode(uint64_t nonce, uint16_t index, uint8_t out[PATH_PAYLOAD]);
/* -1: not ours, or cut too short. */
int path_payload_decode(uint64_t nonce, const void *data, size_t len);

#endif

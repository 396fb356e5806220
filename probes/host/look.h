/*
 * look: how the probe types of the own host run. A type reads what the kernel tells now; rates come from what it
 * read the time before, which is kept for each check between its runs.
 *
 *   run in an agent    look_start -> kind->look (at once) -> up, or down or unknown with words
 *   first run there    the same, without rates: elapsed is 0
 *   one-shot           look_start -> kind->look, nothing is told -> 200 ms by a timer -> kind->look
 *
 * A kind remembers in `memory`, zeroed at first, which goes when its check has not run for LOOK_KEPT, or when the root
 * is another one. Files stay open between the runs when they are of /proc or /sys (those begin anew at each read).
 * Nothing here waits: the kernel answers these reads from memory.
 * Thread: the loop's. Limit: FILES of LOOK_TEXT_MAX bytes.
 */
#ifndef PROBES_HOST_LOOK_H
#define PROBES_HOST_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/host/scan.h"
#include "probes/probe.h"

#define LOOK_TEXT_MAX (16u << 20)

struct look;

#define LOOK_GOES_ON 1

struct look_kind {
	size_t size; /* of the memory */
	bool has_rates;
	/* Reads, tells, remembers. -1: nothing can be known, with err. LOOK_GOES_ON: it is called again on the next turn of the
	 * loop, as what there is to read would hold up others; look_begins says when it begins, also after it was left off. */
	int (*look)(struct look *, struct err *);
	void (*forget)(void *memory); /* may be NULL */
};

/* A file that may stay open; zeroed: it is not. */
struct look_file {
	int fd_plus_one;
};

/* For the functions of a probe type. */
int look_open(const struct probe_env *, void **state, struct err *);
void look_start(void *state, struct run *, const struct look_kind *);
void look_cancel(void *state, struct run *);
void look_close(void *state);

/* ---- what a kind may ask */
void *look_memory(struct look *);
const void *look_options(const struct look *);
double look_elapsed(const struct look *);   /* s since the look before; 0: there was none */
bool look_begins(const struct look *);
uint32_t look_number(const struct look *);  /* 1, 2, ...: to tell what was there the time before */
int look_root(const struct look *);         /* descriptor of the folder that paths start at */
bool look_root_is_moved(const struct look *);

/* The bytes of a file below the root, valid until the next call. -1: it cannot be read. */
int look_read(struct look *, struct look_file *, const char *path, struct scan *text, struct err *);
/* The same of a file that is not kept open. */
int look_read_once(struct look *, const char *path, struct scan *text, struct err *);
/* A short one, as of sysfs, without the end of its line, into a place of its own (f NULL: not kept open); its length,
 * or -1 with errno. */
int look_read_short(struct look *, struct look_file *, const char *path, char *out, size_t room);
void look_file_close(struct look_file *);

/* How far counters of one thing moved since the look before. A counter that fell was set back with its thing: false, so
 * that no rate is made of it; but one alone that falls from near 2^32 to near 0 has wrapped (kernels of 32 bits). */
bool look_moved(const uint64_t *before, const uint64_t *now, size_t count, uint64_t *moved);
/* Per second; NaN, which is not told, without a look before. */
double look_rate(const struct look *, double moved);

/* ---- what it tells; nothing happens in a look that is not told */
bool look_is_told(const struct look *);
const struct probe_env *look_env(const struct look *); /* of one that is told */
void look_value(struct look *, uint32_t metric, double number); /* NaN is left out */
void look_down(struct look *, const char *why, ...) __attribute__((format(printf, 2, 3)));
void look_note(struct look *, const char *what, ...) __attribute__((format(printf, 2, 3))); /* up, though: what it lacks */
struct run_part *look_part(struct look *, const char *label); /* NULL: not told */
void look_part_value(struct run_part *, uint32_t metric, double number); /* accepts NULL */

/* A probe type NAME_probe of a kind NAME_kind and a catalog_NAME. */
#define LOOK_PROBE(name)                                                                           \
	static void name##_start(void *state, struct run *r)                                       \
	{                                                                                          \
		look_start(state, r, &name##_kind);                                                \
	}                                                                                          \
	const struct probe_type name##_probe = {.catalog = &catalog_##name, .open = look_open,     \
		.start = name##_start, .cancel = look_cancel, .close = look_close}

#endif

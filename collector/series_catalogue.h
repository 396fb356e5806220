/*
 * series_catalogue: which series there are, the number of each part, the files and columns of
 * each, and the latest outcome: what the journal has told so far, without its values.
 *
 *   new -> (decode a checkpoint) -> touch, result, now by the fold -> encode into a checkpoint
 *
 * A series is (check, vantage, family, part). Its numbers stand in one main file, rrd/<check>/
 * <vantage>/<4|6>[.<part number>].rrd: "up" and the metrics of its type when it began. Each metric
 * that came later, or that this build does not know, has a sibling file of one column,
 * <...>.m<metric>.rrd. Texts of a part never become a name: they have numbers from 1 on, given in
 * the order in which the journal first tells them.
 * Pure. Thread: one. Limits: max_parts per check, vantage and family, SERIES_AGENT_FILES of an agent.
 */
#ifndef COLLECTOR_SERIES_CATALOGUE_H
#define COLLECTOR_SERIES_CATALOGUE_H

#include <sys/queue.h>

#include "collector/series_queue.h"
#include "lib/journal.h"
#include "lib/sample.h"

struct buf;
struct channel_row;
struct err;
struct map;

#define SERIES_AGENT_FILES 20000
#define SERIES_PATH_MAX (2 * SAMPLE_ID_MAX + 64)

/* The columns of a file, in order; shared by all files that look alike. */
struct series_layout {
	bool has_up;
	size_t metrics_count;
	uint32_t metrics[SAMPLE_VALUES_MAX];
	size_t columns;                       /* has_up + metrics_count */
	uint8_t decimals[SERIES_COLUMNS_MAX]; /* per column */
};

/* What all series of one check at one vantage share. */
struct series_group {
	char check[SAMPLE_ID_MAX + 1], vantage[SAMPLE_ID_MAX + 1];
	uint32_t numbers[2]; /* last part number given: IPv4, IPv6 */
};

struct series_file {
	struct series *series;
	struct series_file *next;         /* sibling */
	uint32_t metric;                  /* 0: the main file */
	const struct series_layout *layout;
	struct series_queue queue;        /* accepted, not in the file yet */
	int64_t last;                     /* s; newest value set accepted: queued or written; 0 none */
	int64_t written;                  /* s; newest that is in the file, or a little less */
	int64_t queued_at;                /* when the oldest of the queue came, clock of the caller, ns */
	struct position before;           /* of the entry before that of the oldest of the queue */
	bool is_new;                      /* no round has held it yet */
	uint8_t failures;                 /* in a row */
};

/* An outcome at one time. Texts owned, NULL when empty. */
struct series_outcome {
	enum outcome outcome; /* 0: none */
	int64_t measured, since; /* real ns */
	char *address, *reason;
};

struct series {
	struct series_group *group;
	const char *type;
	char *unknown_type, *part; /* part: NULL when empty */
	uint32_t part_number, interval_s;
	enum family family;
	struct series_outcome latest;       /* of results */
	struct series_outcome *provisional; /* of a Now that is newer; NULL: none */
	uint64_t version;
	struct series_file file;
	TAILQ_ENTRY(series) by_version;
};

struct series_catalogue;
struct series_catalogue *series_catalogue_new(uint32_t max_parts);
void series_catalogue_free(struct series_catalogue *); /* accepts NULL */
void series_catalogue_set_max_parts(struct series_catalogue *, uint32_t max_parts);

size_t series_catalogue_count(const struct series_catalogue *);
struct series *series_catalogue_at(const struct series_catalogue *, size_t i);
uint64_t series_catalogue_version(const struct series_catalogue *);
size_t series_catalogue_queued_bytes(const struct series_catalogue *);
size_t series_catalogue_queued_sets(const struct series_catalogue *);
size_t series_catalogue_files(const struct series_catalogue *);

struct series *series_catalogue_find(const struct series_catalogue *, const char *check,
	const char *vantage, enum family, const char *part);
struct series *series_catalogue_find_number(const struct series_catalogue *, const char *check,
	const char *vantage, enum family, uint32_t part_number);
/* Makes the series of a result of this vantage; NULL: a limit is reached (*why names it). */
struct series *series_catalogue_add(struct series_catalogue *, const char *vantage,
	const struct result *, const char **why);
/* The file of that metric, made when there is none; NULL when the agent's quota is reached. */
struct series_file *series_catalogue_file(struct series_catalogue *, struct series *, uint32_t metric);

/* Puts a value set behind the file's queue; numbers as in its layout. The caller has judged time. */
void series_catalogue_queue(struct series_catalogue *, struct series_file *, int64_t time,
	uint32_t interval_s, const double *numbers, struct position before, int64_t now);
/* The file holds what is up to and with `time` (s): that goes from the queue. */
void series_catalogue_written(struct series_catalogue *, struct series_file *, int64_t time);

/* The outcome of a result, of a Now. Older ones than what stands there change nothing, unless that is from a time that was
 * not yet when this one was received (real ns): our clock was put back since. */
void series_catalogue_result(struct series_catalogue *, struct series *, const struct result *,
	int64_t measured, int64_t received);
void series_catalogue_now(struct series_catalogue *, struct series *, const struct result *,
	int64_t measured, int64_t received);

/* Rows changed since a version, oldest change first, for as long as on_row returns true. */
void series_catalogue_changed(const struct series_catalogue *, uint64_t since,
	bool (*on_row)(void *ctx, const struct channel_row *), void *ctx);

/* `was`: the series of a check (of a vantage) go on under a new id, group by group; one that is there under the new id
 * already stays as it is. move renames its folder; where it says no the group stays. True when something changed. */
bool series_catalogue_rename(struct series_catalogue *, bool is_vantage, const char *was,
	const char *now, bool (*move)(void *ctx, const struct series_group *was, const struct series_group *now),
	void *ctx);

/* "check/vantage/4.2.rrd", below the folder of the files. Returns out. */
char *series_file_path(const struct series_file *, char out[SERIES_PATH_MAX]);
/* Name of column i as librrd has it: "up", "rtt_min", "m4711". Returns out. */
char *series_file_column(const struct series_file *, size_t i, char out[20]);

/* Rows first .. first+count-1 as bytes, without queues; decode adds them. */
void series_catalogue_encode(const struct series_catalogue *, size_t first, size_t count, struct buf *);
int series_catalogue_decode(struct series_catalogue *, const void *, size_t, struct err *);

#endif

/*
 * ingest_parts: what the role's own files share. Of these alone.
 *
 *   ingest.c        syncing, marks on disk, life
 *   ingest_push.c   what agents send -> the journal
 *   ingest_view.c   the processes that read the journal
 */
#ifndef COLLECTOR_INGEST_PARTS_H
#define COLLECTOR_INGEST_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/ingest_metrics.h"
#include "collector/ingest_probes.h"
#include "collector/process.h"
#include "lib/wire.h"

struct buf;
struct event;
struct evhttp_request;
struct ingest;
struct ipc;
struct map;

#define INGEST_VIEWS 4

enum note_kind { NOTE_CLONED, NOTE_FORGED, NOTE_SKEW, NOTE_UNASSIGNED, NOTE_KINDS };

struct view {
	struct ingest *ingest;
	const char *cursor;
	struct ipc *ipc; /* NULL: away */
	bool due; /* is to be told how far the journal is synced */
};

struct ingest {
	struct process *process;
	struct ingest_server *server;
	struct assign *assign;
	struct self *self;
	struct requests *requests; /* NULL: the parent has not given the socket yet */
	struct journal *journal;
	struct marks *marks;
	struct rights *rights;
	struct map *agents; /* of struct agent, made when one asks */
	struct view views[INGEST_VIEWS];
	struct event *sync, *tick;
	struct pending *pending; /* answers that wait for the next sync */
	size_t pending_count, pending_room;
	char *marks_path, *rights_path;
	uint64_t saved_seq; /* of the marks on disk */
	size_t unsaved_bytes; /* appended behind them */
	bool rights_unsaved, sync_failed;
	bool is_ending; /* the last sync is done: nothing more is taken */
	unsigned ticks;
	struct ingest_stats stats;
};

/* What is known of an agent while this process lives. */
struct agent {
	double tokens; /* batches that it may send now */
	int64_t filled; /* mono */
	int64_t told[NOTE_KINDS]; /* mono, 0: not */
	/* Checks that judgement wants run now: go with the next answer, until some time has passed. */
	struct probes probes;
};

struct pending {
	struct evhttp_request *request;
	struct wire_answer answer;
	struct agent *agent; /* whose batch it answers, or NULL */
};

/* ---- ingest.c */
void ingest_put(struct ingest *, uint8_t kind, const struct buf *); /* into the journal; the next sync covers it */
uint64_t ingest_boot(const struct wire_batch *); /* in which its results were measured */

/* ---- ingest_push.c */
void ingest_request(void *ingest, struct evhttp_request *, const char *identity); /* of an agent, for ingest_server */
void ingest_answer(struct evhttp_request *, int status, const struct wire_answer *);
void ingest_ask_to_wait(struct ingest *, struct evhttp_request *, enum ingest_refusal, int status, int seconds);

/* ---- ingest_view.c */
void ingest_view_init(struct ingest *);
void ingest_take_view(void *ingest, enum process_role, int fd); /* a channel to it is there */
void ingest_tell_views(struct ingest *); /* how far the journal is synced, those that are to be told */
void ingest_close_views(struct ingest *);

#endif

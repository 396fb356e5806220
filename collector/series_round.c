#include "collector/series_round.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/series_catalogue.h"
#include "collector/series_checkpoint.h"
#include "collector/series_folder.h"
#include "collector/series_recovery.h"
#include "collector/series_rrd.h"
#include "collector/settings.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

#define FILES_LEAST 32   /* of a round, when that many are queued */
#define STRIKES 2

struct item {
	struct series_file *file;
	struct series_rrd rrd;
	bool is_new;
};

enum phase { PHASE_IDLE, PHASE_UPDATE, PHASE_SYNC, PHASE_FOLDERS };

struct series_round {
	struct series_folder files;
	int folder; /* series/ */
	struct series_at_work *at_work;
	struct series_catalogue *catalogue;
	struct config_list archives;
	struct position cursor, folded;
	uint64_t number;
	size_t files_max;
	/* under way */
	enum phase phase;
	struct series_checkpoint *checkpoint;
	struct position folded_at_begin;
	struct item *items;
	size_t count, at, creates;
	struct map *synced; /* folders, by path */
	bool may_create;
	int64_t began;
	struct series_round_stats stats;
};

struct series_catalogue *series_round_catalogue(struct series_round *r)
{
	return r->catalogue;
}

struct position series_round_cursor(const struct series_round *r)
{
	return r->cursor;
}

struct position series_round_folded(const struct series_round *r)
{
	return r->folded;
}

void series_round_forget_journal(struct series_round *r)
{
	r->cursor = r->folded = r->folded_at_begin = (struct position){0, 0};
}

const struct series_round_stats *series_round_stats(struct series_round *r)
{
	r->stats.quarantined = r->files.quarantined;
	return &r->stats;
}

const char *series_round_folder(const struct series_round *r)
{
	return r->files.path;
}

bool series_round_is_active(const struct series_round *r)
{
	return r->phase != PHASE_IDLE;
}

void series_round_set_archives(struct series_round *r, const struct config_list *archives)
{
	free(r->archives.items);
	r->archives.count = archives->count;
	r->archives.items = mem_copy(archives->items, archives->count * sizeof(struct settings_archive));
}

/* ---- open, close */

/* Files stay open from their check to their sync, so that no error of writing them back is missed. */
static size_t files_at_once(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 256;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 512)
		return 128;
	return limit.rlim_cur / 2 < SERIES_ROUND_FILES ? limit.rlim_cur / 2 : SERIES_ROUND_FILES;
}

static int open_state(struct series_round *r, const char *state, struct err *e)
{
	char *path = mem_format("%s/series", state);
	int rc = 0;

	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		rc = err_errno(e, "%s: cannot make the folder", path);
	r->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rc == 0 && r->folder < 0)
		rc = err_errno(e, "%s: cannot open", path);
	free(path);
	if (rc < 0 || series_folder_open(&r->files, state, e) < 0) /* syncs the names of both */
		return -1;
	r->at_work = series_at_work_open(r->folder, e);
	return r->at_work != NULL ? 0 : -1;
}

struct series_round *series_round_open(const char *state, const struct config_list *archives,
	uint32_t max_parts, int died_of, struct err *e)
{
	struct series_round *r = mem_alloc(sizeof *r);
	struct series_checkpoint_head head;

	r->folder = r->files.fd = -1;
	r->files_max = files_at_once();
	series_round_set_archives(r, archives);
	if (open_state(r, state, e) == 0)
		r->catalogue = series_recovery_run(r->folder, &r->files, max_parts, &head,
			&r->stats.restored, e);
	if (r->catalogue == NULL) {
		series_round_close(r);
		return NULL;
	}
	r->number = head.number;
	r->cursor = head.cursor;
	r->folded = head.folded;
	series_at_work_judge(r->at_work, died_of, &r->files, r->catalogue);
	return r;
}

static void drop_items(struct series_round *r)
{
	for (size_t i = 0; i < r->count; i++)
		series_rrd_close(&r->items[i].rrd);
	free(r->items);
	r->items = NULL;
	r->count = r->at = 0;
	map_free(r->synced, NULL);
	r->synced = NULL;
}

void series_round_close(struct series_round *r)
{
	if (r == NULL)
		return;
	drop_items(r);
	series_checkpoint_free(r->checkpoint);
	series_catalogue_free(r->catalogue);
	series_at_work_close(r->at_work);
	if (r->folder >= 0)
		close(r->folder);
	series_folder_close(&r->files);
	free(r->archives.items);
	free(r);
}

/* ---- choosing */

static int by_age(const void *a, const void *b)
{
	const struct series_file *x = *(struct series_file *const *)a, *y = *(struct series_file *const *)b;

	if (x->is_new != y->is_new)
		return x->is_new ? -1 : 1;
	return (x->before.seq > y->before.seq) - (x->before.seq < y->before.seq);
}

/* All files with a queue, new ones first, then the oldest queue first. */
static struct series_file **queued_files(const struct series_round *r, size_t *count)
{
	struct series_file **files = mem_array(series_catalogue_files(r->catalogue), sizeof(struct series_file *));

	*count = 0;
	for (size_t i = 0; i < series_catalogue_count(r->catalogue); i++) {
		struct series_file *f = &series_catalogue_at(r->catalogue, i)->file;

		for (; f != NULL; f = f->next) {
			if (f->queue.count > 0)
				files[(*count)++] = f;
		}
	}
	qsort(files, *count, sizeof(struct series_file *), by_age);
	return files;
}

/* Makes a file; the caller opens it. */
static int create(struct series_round *r, struct series_file *f, const char *path, struct err *e)
{
	struct series_queue_walk w = series_queue_walk(&f->queue, f->layout->columns);
	struct series_set first;
	char full[SERIES_FOLDER_ROOM];
	int rc;

	series_queue_next(&w, &first);
	if (series_folder_make(&r->files, f->series->group, e) < 0)
		return -1;
	series_at_work_hold(r->at_work, path);
	rc = series_rrd_create(series_folder_path(&r->files, path, full), f, first.time, first.interval_s, &r->archives, e);
	series_at_work_release(r->at_work);
	return rc;
}

static bool fill(struct series_round *r, struct series_file *f, const char *path, struct item *item)
{
	char full[SERIES_FOLDER_ROOM];
	struct err e;

	if (!r->may_create)
		return false;
	if (series_rrd_fill(series_folder_path(&r->files, path, full), &e) < 0) {
		log_warn("a sparse series file cannot be filled: %s", e.text);
		return false;
	}
	log_warn("a series file had holes and was filled file=%s", path);
	/* Blocks that are reserved but were never written look like holes to some kernels still: good enough now. */
	return series_rrd_open(full, f->layout->columns, &item->rrd, &e) == SERIES_RRD_GOOD;
}

static bool choose_damaged(struct series_round *r, struct series_file *f, const char *path, const struct err *why)
{
	f->failures++;
	log_warn("a series file is damaged: %s", why->text);
	if (f->failures < STRIKES)
		return false;
	series_folder_quarantine(&r->files, path, why->text);
	f->failures = 0;
	f->is_new = true;
	return true;
}

/* A file that this catalogue has not made: that of a part cannot be trusted to be the same part. */
static bool is_foreign(const struct series_file *f)
{
	return f->is_new && f->series->part_number > 0;
}

/* New files that one round makes. Each round writes the whole catalogue: with a fixed number, the files of a new province would
 * cost by the square of their number. */
static size_t creates_most(const struct series_round *r)
{
	size_t part = series_catalogue_files(r->catalogue) / 64;

	return part > SERIES_ROUND_CREATES ? part : SERIES_ROUND_CREATES;
}

/* Opens a file for the round. False: not in this one. */
static bool choose(struct series_round *r, struct series_file *f, struct item *item)
{
	char path[SERIES_PATH_MAX], full[SERIES_FOLDER_ROOM];
	struct err e;
	enum series_rrd_found found;

	*item = (struct item){.file = f};
	series_folder_path(&r->files, series_file_path(f, path), full);
	found = series_rrd_open(full, f->layout->columns, &item->rrd, &e);
	if (found == SERIES_RRD_GOOD && is_foreign(f)) {
		series_rrd_close(&item->rrd);
		series_folder_quarantine(&r->files, path, "left by a catalogue that is lost");
		found = SERIES_RRD_ABSENT;
	}
	if (found == SERIES_RRD_DAMAGED && choose_damaged(r, f, path, &e))
		found = SERIES_RRD_ABSENT;
	switch (found) {
	case SERIES_RRD_GOOD:
		if (item->rrd.last > f->written)
			series_catalogue_written(r->catalogue, f, item->rrd.last);
		return f->queue.count > 0 || (series_rrd_close(&item->rrd), false);
	case SERIES_RRD_ABSENT:
		item->is_new = true;
		return r->may_create && r->creates++ < creates_most(r);
	case SERIES_RRD_SPARSE:
		log_warn("a series file is sparse, it is not written: %s", e.text);
		return fill(r, f, path, item);
	case SERIES_RRD_DAMAGED:
		return false;
	case SERIES_RRD_FAILED:
		log_warn("a series file cannot be opened: %s", e.text);
		return false;
	}
	return false;
}

static size_t how_many(enum series_round_choice choice, size_t queued)
{
	if (choice == SERIES_ROUND_ALL)
		return queued;
	if (choice == SERIES_ROUND_NEW)
		return 0;
	return queued / 8 > FILES_LEAST ? queued / 8 : FILES_LEAST;
}

static void choose_files(struct series_round *r, enum series_round_choice choice, int64_t flush_within, int64_t now)
{
	size_t queued, wanted, taken = 0, creates = creates_most(r);
	struct series_file **files = queued_files(r, &queued);

	r->items = mem_array(queued < r->files_max ? queued : r->files_max, sizeof *r->items);
	r->stats.held = 0;
	r->creates = 0;
	wanted = how_many(choice, queued);
	for (size_t i = 0; i < queued && r->count < r->files_max; i++) {
		struct series_file *f = files[i];
		bool is_due = now - f->queued_at >= flush_within / 5 * 4, is_new = f->is_new;

		if (!is_new && !is_due && taken >= wanted)
			break;
		/* Not even looked for: a new province has 100,000 of them, and each round would open them all. */
		if (is_new && r->creates >= creates) {
			r->creates++;
			r->stats.held++;
			continue;
		}
		if (choose(r, f, &r->items[r->count]))
			r->count++;
		else
			r->stats.held++;
		taken += !is_new;
	}
	r->stats.waiting_new = r->may_create && r->creates > creates ? r->creates - creates : 0;
	free(files);
}

/* ---- the round */

static struct position earlier(struct position a, struct position b)
{
	return b.seq < a.seq ? b : a;
}

/* Behind what is the journal to be read again: the oldest value that is in no file, or the last entry folded. */
static struct position cursor_at(const struct series_round *r, struct position folded)
{
	struct position cursor = folded;

	for (size_t i = 0; i < series_catalogue_count(r->catalogue); i++) {
		const struct series_file *f = &series_catalogue_at(r->catalogue, i)->file;

		for (; f != NULL; f = f->next) {
			if (f->queue.count > 0)
				cursor = earlier(cursor, f->before);
		}
	}
	return cursor;
}

static int write_checkpoint(struct series_round *r, struct position folded, struct err *e)
{
	const struct series_checkpoint_head head = {r->number + 1, cursor_at(r, folded), folded};
	char path[SERIES_PATH_MAX];

	series_checkpoint_free(r->checkpoint);
	r->checkpoint = series_checkpoint_begin(r->folder, &head, r->catalogue, e);
	if (r->checkpoint == NULL)
		return -1;
	for (size_t i = 0; i < r->count; i++) {
		const struct item *item = &r->items[i];

		if (series_checkpoint_add(r->checkpoint, series_file_path(item->file, path),
			    item->is_new ? NULL : item->rrd.head.data, item->rrd.head.len,
			    item->rrd.static_len, e) < 0)
			return -1;
	}
	if (series_checkpoint_finish(r->checkpoint, e) < 0)
		return -1;
	r->number++;
	r->cursor = head.cursor;
	r->stats.checkpoint_bytes += series_checkpoint_bytes(r->checkpoint);
	return 0;
}

static void give_up_checkpoint(struct series_round *r)
{
	series_checkpoint_free(r->checkpoint);
	r->checkpoint = NULL;
	for (size_t i = 0; i < r->count; i++)
		r->items[i].file->is_new = r->items[i].is_new;
	drop_items(r);
}

int series_round_begin(struct series_round *r, enum series_round_choice choice, struct position folded,
	int64_t flush_within, int64_t now, struct err *e)
{
	unsigned percent = series_folder_free(&r->files);

	r->began = now;
	r->may_create = percent >= SERIES_FREE_CREATE;
	if (!r->stats.paused && percent < SERIES_FREE_UPDATE)
		log_error("the disk is nearly full, series wait free=%u%% folder=%s", percent, r->files.path);
	r->stats.paused = percent < SERIES_FREE_UPDATE;
	if (r->stats.paused)
		return 1;
	if (choice != SERIES_ROUND_NONE)
		choose_files(r, choice, flush_within, now);
	if (r->count == 0 && choice != SERIES_ROUND_NONE) {
		drop_items(r);
		return 1;
	}
	/* From this checkpoint on they are files of this catalogue, also when it does not come to making them. */
	for (size_t i = 0; i < r->count; i++)
		r->items[i].file->is_new = false;
	if (write_checkpoint(r, folded, e) < 0) {
		give_up_checkpoint(r);
		return -1;
	}
	r->folded_at_begin = folded;
	r->synced = map_new();
	/* The bytes are in the checkpoint now. */
	for (size_t i = 0; i < r->count; i++)
		buf_fini(&r->items[i].rrd.head);
	r->phase = PHASE_UPDATE;
	return 0;
}

static int create_and_open(struct series_round *r, struct item *item, const char *path, struct err *e)
{
	char full[SERIES_FOLDER_ROOM];

	series_folder_path(&r->files, path, full);
	if (create(r, item->file, path, e) < 0)
		return -1;
	if (series_rrd_open(full, item->file->layout->columns, &item->rrd, e) != SERIES_RRD_GOOD)
		return -1;
	buf_fini(&item->rrd.head);
	r->stats.created++;
	return 0;
}

/* What a refused update has left: the sets up to there are in the file. */
static void take_stock(struct series_round *r, struct item *item, const char *full)
{
	struct series_rrd now;
	struct err ignored;

	if (series_rrd_open(full, item->file->layout->columns, &now, &ignored) != SERIES_RRD_GOOD)
		return;
	if (now.last > item->file->written)
		series_catalogue_written(r->catalogue, item->file, now.last);
	series_rrd_close(&now);
}

/* So that the disk is at it while the other files are updated; errors come with the sync. */
static void start_writing_back(int fd)
{
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static void update_one(struct series_round *r, struct item *item)
{
	struct series_file *f = item->file;
	char path[SERIES_PATH_MAX], full[SERIES_FOLDER_ROOM];
	size_t sets = f->queue.count;
	struct err e;
	int rc = 0;

	series_folder_path(&r->files, series_file_path(f, path), full);
	if (item->is_new)
		rc = create_and_open(r, item, path, &e);
	if (rc == 0) {
		series_at_work_hold(r->at_work, path);
		rc = series_rrd_update(full, &item->rrd, f, &e);
		series_at_work_release(r->at_work);
	}
	if (rc == 0) {
		start_writing_back(item->rrd.fd);
		series_catalogue_written(r->catalogue, f, f->queue.newest);
		r->stats.files++;
		r->stats.sets += sets;
		f->failures = 0;
		return;
	}
	/* Locked by a reader, no descriptors, no space to make it: it is taken again in a later round. */
	log_warn("a series file was not written: %s", e.text);
	r->stats.failures++;
	r->stats.held++;
	take_stock(r, item, full);
}

/* One by one: a syncfs of 1,250 files takes 0.15 s against 0.26 s, but in one piece, and as long as it takes to write what
 * anybody has dirtied in that file system. */
static int sync_step(const struct item *item, struct err *e)
{
	if (item->rrd.fd < 0) /* was to be made and could not */
		return 0;
	return fdatasync(item->rrd.fd) < 0 ? err_errno(e, "cannot sync a series file") : 0;
}

/* The names of a new file: in its own folder, and that one's, and that one's; each folder once in a round, as all files of
 * the round are made by then. */
static int sync_folders(struct series_round *r, const struct item *item, struct err *e)
{
	char path[SERIES_PATH_MAX], full[SERIES_FOLDER_ROOM];

	series_folder_path(&r->files, series_file_path(item->file, path), full);
	for (int level = 0; level < 3; level++) {
		char *name = strrchr(full, '/');
		bool is_synced;

		*name = '\0';
		is_synced = map_set(r->synced, full, r) != NULL;
		*name = '/';
		if (!is_synced && series_folder_sync_of(full, e) < 0)
			return -1;
		*name = '\0';
	}
	return 0;
}

static void finish(struct series_round *r, int64_t now)
{
	struct position cursor = cursor_at(r, r->folded_at_begin);
	struct err e;

	drop_items(r);
	r->phase = PHASE_IDLE;
	r->stats.rounds++;
	r->stats.round_ns = now - r->began;
	/* Without it the files are done as well; just the cursor stays until the next checkpoint. */
	if (series_checkpoint_done(r->checkpoint, cursor, &e) < 0)
		log_warn("the end of a round was not noted, it may be done again: %s", e.text);
	else
		r->cursor = cursor;
	series_checkpoint_free(r->checkpoint);
	r->checkpoint = NULL;
}

int series_round_step(struct series_round *r, int64_t now, struct err *e)
{
	if (r->at == r->count) {
		r->at = 0;
		if (r->count > 0 && r->phase < PHASE_FOLDERS) {
			r->phase++;
			return 1;
		}
		finish(r, now);
		return 0;
	}
	switch (r->phase) {
	case PHASE_IDLE:
		return 0;
	case PHASE_UPDATE:
		update_one(r, &r->items[r->at]);
		break;
	case PHASE_SYNC:
		if (sync_step(&r->items[r->at], e) < 0)
			return -1;
		break;
	case PHASE_FOLDERS:
		if (r->items[r->at].is_new && r->items[r->at].rrd.fd >= 0 &&
			sync_folders(r, &r->items[r->at], e) < 0)
			return -1;
		break;
	}
	r->at++;
	return 1;
}

/* ---- rename */

static bool move_folder(void *ctx, const struct series_group *was, const struct series_group *now)
{
	const struct series_round *r = ctx;

	return series_folder_move(&r->files, was, now);
}

int series_round_rename(struct series_round *r, bool is_vantage, const char *was, const char *id,
	struct position folded, int64_t now, struct err *e)
{
	int rc = 1;

	if (!series_catalogue_rename(r->catalogue, is_vantage, was, id, move_folder, r))
		return 0;
	if (series_round_begin(r, SERIES_ROUND_NONE, folded, 0, now, e) < 0)
		return -1;
	while (series_round_is_active(r) && rc > 0)
		rc = series_round_step(r, now, e);
	return rc;
}

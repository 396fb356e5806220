#include "collector/series_recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/series_catalogue.h"
#include "collector/series_folder.h"
#include "collector/series_rrd.h"
#include "lib/err.h"
#include "lib/log.h"

#define STRIKES 2

/* ---- putting back: durable before the next checkpoint can replace this one */

struct recovery {
	struct series_folder *folder;
	struct err *err;
	uint64_t restored;
	bool has_failed; /* a sync: err says which */
};

static void sync_folder(struct recovery *v, const char *full)
{
	char folder[SERIES_FOLDER_ROOM];

	/* It may not have been made, or not have come over a power cut. */
	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(full, '/') - full), full);
	if (access(folder, F_OK) == 0 && series_folder_sync_of(full, v->err) < 0)
		v->has_failed = true;
}

static void remove_file(struct recovery *v, const char *full)
{
	if (unlink(full) < 0 && errno != ENOENT && errno != ENOTDIR) {
		err_errno(v->err, "%s: cannot be removed", full);
		v->has_failed = true;
	}
	series_rrd_remove_leftovers(full);
	sync_folder(v, full);
	v->restored++;
}

static void on_file(void *ctx, const char *path, const uint8_t *head, size_t len)
{
	struct recovery *v = ctx;
	char full[SERIES_FOLDER_ROOM];
	struct err e;
	int fd;

	series_folder_path(v->folder, path, full);
	if (head == NULL) {
		remove_file(v, full);
		return;
	}
	fd = series_rrd_restore(full, head, len, &e);
	if (fd < 0) {
		/* Gone or damaged: judged when it is opened next. */
		log_warn("the header of a series file cannot be put back: %s", e.text);
		return;
	}
	if (fdatasync(fd) < 0) {
		err_errno(v->err, "%s: cannot sync", full);
		v->has_failed = true;
	}
	close(fd);
	v->restored++;
}

/* ---- reading checkpoints */

static void put_aside(int checkpoints, const char *name, const struct err *why)
{
	char to[64];

	snprintf(to, sizeof to, "%s.quarantine", name);
	log_error("the checkpoint of the series is damaged and put aside, the one before and the journal must do: %s",
		why->text);
	renameat(checkpoints, name, checkpoints, to);
}

struct series_catalogue *series_recovery_run(int checkpoints, struct series_folder *folder, uint32_t max_parts,
	struct series_checkpoint_head *head, uint64_t *restored, struct err *e)
{
	static const char *const names[] = {"checkpoint", "checkpoint.previous"};
	struct recovery v = {.folder = folder, .err = e};
	const struct series_checkpoint_reader to = {on_file, &v};
	struct series_catalogue *c = series_catalogue_new(max_parts);
	int rc = 0;

	for (size_t i = 0; i < 2 && rc != 1; i++) {
		bool is_done;

		rc = series_checkpoint_read(checkpoints, names[i], head, c, &is_done, &to, e);
		if (rc == 1 && !is_done)
			log_info("a round was not done, its files were put back files=%llu",
				(unsigned long long)v.restored);
		if (rc == 1)
			continue;
		if (rc < 0)
			put_aside(checkpoints, names[i], e);
		series_catalogue_free(c);
		c = series_catalogue_new(max_parts);
		*head = (struct series_checkpoint_head){0};
	}
	*restored = v.restored;
	if (v.has_failed) {
		series_catalogue_free(c);
		return NULL;
	}
	return c;
}

/* ---- which file */

struct series_at_work {
	char path[SERIES_PATH_MAX];   /* in librrd's hands; "": none */
	char struck[SERIES_PATH_MAX]; /* the file that a process died of last */
	uint32_t strikes;
};

struct series_at_work *series_at_work_open(int checkpoints, struct err *e)
{
	int fd = openat(checkpoints, "at-work", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map = MAP_FAILED;

	/* Its page has its block from here on, so that storing to it needs no space later. */
	if (fd >= 0 && posix_fallocate(fd, 0, sizeof(struct series_at_work)) == 0)
		map = mmap(NULL, sizeof(struct series_at_work), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err_errno(e, "cannot map series/at-work");
	if (fd >= 0)
		close(fd);
	return map != MAP_FAILED ? map : NULL;
}

void series_at_work_close(struct series_at_work *w)
{
	if (w != NULL)
		munmap(w, sizeof *w);
}

void series_at_work_hold(struct series_at_work *w, const char *path)
{
	memcpy(w->path, path, strlen(path) + 1);
}

void series_at_work_release(struct series_at_work *w)
{
	w->path[0] = '\0';
}

static bool is_death_by_file(int signal_number)
{
	return signal_number == SIGBUS || signal_number == SIGSEGV || signal_number == SIGABRT ||
		signal_number == SIGFPE || signal_number == SIGILL;
}

static struct series_file *find_by_path(const struct series_catalogue *c, const char *path)
{
	char own[SERIES_PATH_MAX];

	for (size_t i = 0; i < series_catalogue_count(c); i++) {
		struct series_file *f = &series_catalogue_at(c, i)->file;

		for (; f != NULL; f = f->next) {
			if (strcmp(series_file_path(f, own), path) == 0)
				return f;
		}
	}
	return NULL;
}

void series_at_work_judge(struct series_at_work *w, int died_of, struct series_folder *folder,
	struct series_catalogue *c)
{
	struct series_file *f;

	w->path[sizeof w->path - 1] = w->struck[sizeof w->struck - 1] = '\0';
	f = find_by_path(c, w->path);
	if (f != NULL && is_death_by_file(died_of)) {
		w->strikes = strcmp(w->path, w->struck) == 0 ? w->strikes + 1 : 1;
		memcpy(w->struck, w->path, sizeof w->struck);
		log_warn("the process died while it wrote a file file=%s signal=%d times=%u", w->struck,
			died_of, w->strikes);
		if (w->strikes >= STRIKES) {
			series_folder_quarantine(folder, w->struck, "processes died of it");
			f->is_new = true;
			w->strikes = 0;
		}
	}
	w->path[0] = '\0';
}

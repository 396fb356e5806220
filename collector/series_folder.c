#include "collector/series_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/log.h"

static int make_folder(const char *path, struct err *e)
{
	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return 0;
	return err_errno(e, "%s: cannot make the folder", path);
}

int series_folder_open(struct series_folder *f, const char *state, struct err *e)
{
	*f = (struct series_folder){.fd = -1};
	if (strlen(state) > sizeof f->path - 16)
		return err_set(e, "the path of the state folder is too long");
	snprintf(f->path, sizeof f->path, "%s/rrd", state);
	if (make_folder(f->path, e) < 0 || series_folder_sync_of(f->path, e) < 0)
		return -1;
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->fd < 0 ? err_errno(e, "%s: cannot open", f->path) : 0;
}

void series_folder_close(struct series_folder *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

char *series_folder_path(const struct series_folder *f, const char *path, char out[SERIES_FOLDER_ROOM])
{
	snprintf(out, SERIES_FOLDER_ROOM, "%s/%s", f->path, path);
	return out;
}

static void group_path(const struct series_folder *f, const struct series_group *g, char out[SERIES_FOLDER_ROOM])
{
	snprintf(out, SERIES_FOLDER_ROOM, "%s/%s/%s", f->path, g->check, g->vantage);
}

int series_folder_make(const struct series_folder *f, const struct series_group *g, struct err *e)
{
	char path[SERIES_FOLDER_ROOM];

	snprintf(path, sizeof path, "%s/%s", f->path, g->check);
	if (make_folder(path, e) < 0)
		return -1;
	group_path(f, g, path);
	return make_folder(path, e);
}

int series_folder_sync_of(const char *full, struct err *e)
{
	char folder[SERIES_FOLDER_ROOM];
	int fd, rc = 0;

	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(full, '/') - full), full);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s: cannot open", folder);
	if (fsync(fd) < 0)
		rc = err_errno(e, "%s: cannot sync", folder);
	close(fd);
	return rc;
}

unsigned series_folder_free(const struct series_folder *f)
{
	struct statvfs s;
	uint64_t usable;

	if (fstatvfs(f->fd, &s) < 0)
		return 100;
	usable = s.f_blocks - s.f_bfree + s.f_bavail;
	return usable > 0 ? (unsigned)(s.f_bavail * 100 / usable) : 100;
}

void series_folder_quarantine(struct series_folder *f, const char *path, const char *why)
{
	char from[SERIES_FOLDER_ROOM], to[SERIES_FOLDER_ROOM + 32];
	struct err e;

	series_folder_path(f, path, from);
	snprintf(to, sizeof to, "%s.quarantine", from);
	for (int i = 1; i < 100 && access(to, F_OK) == 0; i++)
		snprintf(to, sizeof to, "%s.%d.quarantine", from, i);
	if (rename(from, to) < 0 && errno != ENOENT) {
		log_error("a series file is damaged and cannot be put aside file=%s error=\"%s\"", path,
			strerror(errno));
		return;
	}
	if (series_folder_sync_of(from, &e) < 0)
		log_warn("%s", e.text);
	f->quarantined++;
	log_error("a series file was put aside, a new one is begun file=%s why=\"%s\"", path, why);
}

bool series_folder_move(const struct series_folder *f, const struct series_group *was,
	const struct series_group *now)
{
	char from[SERIES_FOLDER_ROOM], to[SERIES_FOLDER_ROOM];
	struct err e;

	group_path(f, was, from);
	group_path(f, now, to);
	if (access(from, F_OK) < 0) /* moved before a crash, or never written */
		return true;
	if (series_folder_make(f, now, &e) < 0) {
		log_error("series cannot go on under a new id: %s", e.text);
		return false;
	}
	rmdir(to); /* the one just made; one that holds files stays and wins */
	if (rename(from, to) < 0) {
		log_error("series cannot go on under a new id, their folder stays folder=%s error=\"%s\"", from,
			strerror(errno));
		return false;
	}
	if (series_folder_sync_of(from, &e) < 0 || series_folder_sync_of(to, &e) < 0)
		log_warn("%s", e.text);
	*strrchr(from, '/') = '\0';
	rmdir(from); /* when it was the last one */
	log_info("series go on under a new id was=%s/%s now=%s/%s", was->check, was->vantage, now->check,
		now->vantage);
	return true;
}

/*
 * series_folder: the folder of the RRD files, rrd/<check>/<vantage>/: names in it, made durable, given up, moved.
 *
 * Paths are below the folder unless said otherwise. Thread: one.
 */
#ifndef COLLECTOR_SERIES_FOLDER_H
#define COLLECTOR_SERIES_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/series_catalogue.h"

struct err;

#define SERIES_FOLDER_MAX 3072
#define SERIES_FOLDER_ROOM (SERIES_FOLDER_MAX + SERIES_PATH_MAX + 32) /* of a full path */

struct series_folder {
	char path[SERIES_FOLDER_MAX]; /* absolute */
	int fd;
	uint64_t quarantined;
};

/* Makes state/rrd when missing. */
int series_folder_open(struct series_folder *, const char *state, struct err *);
void series_folder_close(struct series_folder *);
char *series_folder_path(const struct series_folder *, const char *path, char out[SERIES_FOLDER_ROOM]);
/* Makes <check>/<vantage>/. */
int series_folder_make(const struct series_folder *, const struct series_group *, struct err *);
/* Syncs the folder that holds this full path. */
int series_folder_sync_of(const char *full, struct err *);
/* Percent of the space that users may have which is free. */
unsigned series_folder_free(const struct series_folder *);
/* Renames a file that is given up to *.quarantine and tells it. */
void series_folder_quarantine(struct series_folder *, const char *path, const char *why);
/* Moves what is in one <check>/<vantage>/ to another that does not hold files. True: it is there, or there was none. */
bool series_folder_move(const struct series_folder *, const struct series_group *was, const struct series_group *now);

#endif

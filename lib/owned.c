#include "lib/owned.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"

/* In a folder with the sticky bit others cannot rename what is not theirs. */
static int check_owner(const char *path, const struct stat *st, struct err *e)
{
	bool is_sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0;

	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(e, "%.300s belongs to user %u, it must be root's", path, (unsigned)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0 && !is_sticky)
		return err_set(e, "%.300s can be changed by others than its owner (mode %03o)", path,
			(unsigned)st->st_mode & 0777);
	return 0;
}

/* The folders above a path without links. One that has become a link since then is not followed. */
static int check_folders(const char *real, struct err *e)
{
	char folder[PATH_MAX] = "/";
	struct stat st;

	for (const char *slash = real; slash != NULL; slash = strchr(slash + 1, '/')) {
		if (slash > real) {
			memcpy(folder, real, (size_t)(slash - real));
			folder[slash - real] = '\0';
		}
		if (lstat(folder, &st) != 0)
			return err_errno(e, "%.300s", folder);
		if (!S_ISDIR(st.st_mode))
			return err_set(e, "%.300s is not a folder", folder);
		if (check_owner(folder, &st, e) < 0)
			return -1;
	}
	return 0;
}

char *owned_resolve(const char *path, bool is_executable, struct err *e)
{
	char *real = realpath(path, NULL);
	struct stat st;

	if (real == NULL || lstat(real, &st) != 0)
		err_errno(e, "%.300s", path);
	else if (!S_ISREG(st.st_mode))
		err_set(e, "%.300s is not a file", path);
	else if (is_executable && (st.st_mode & 0111) == 0)
		err_set(e, "%.300s cannot be executed", path);
	else if (check_owner(real, &st, e) == 0 && check_folders(real, e) == 0)
		return real;
	free(real);
	return NULL;
}

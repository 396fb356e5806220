#include "collector/ingest_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

#define FILE_MAX (256 << 20)

int ingest_file_read(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), status = 1;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%.200s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		status = err_set(e, "%.200s is not a file of a sane size", path);
	} else {
		n = read(fd, buf_reserve(out, (size_t)st.st_size + 1), (size_t)st.st_size);
		if (n == st.st_size)
			out->len = (size_t)n;
		else
			status = err_set(e, "%.200s could not be read whole", path);
	}
	close(fd);
	return status;
}

static int write_synced(const char *path, const struct buf *b, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), status = 0;

	if (fd < 0)
		return err_errno(e, "%.200s", path);
	for (size_t at = 0; at < b->len && status == 0;) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			status = err_errno(e, "%.200s", path);
	}
	if (status == 0 && fdatasync(fd) < 0)
		status = err_errno(e, "%.200s", path);
	close(fd);
	return status;
}

static int sync_folder_of(const char *path, struct err *e)
{
	char *copy = mem_strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;

	free(copy);
	if (fd < 0 || fsync(fd) < 0)
		status = err_errno(e, "folder of %.200s", path);
	if (fd >= 0)
		close(fd);
	return status;
}

int ingest_file_write(const char *path, const struct buf *b, struct err *e)
{
	char *beside = mem_format("%s.tmp", path);
	int status = write_synced(beside, b, e);

	if (status == 0 && rename(beside, path) < 0)
		status = err_errno(e, "%.200s", path);
	if (status == 0)
		status = sync_folder_of(path, e);
	else
		unlink(beside);
	free(beside);
	return status;
}

#include "agent/trap_boots.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/num.h"

#define FILE_NAME "engine-boots"
#define SINCE INT64_C(1704067200) /* 2024-01-01 */

/* 0: nothing that is a number. */
static int64_t read_kept(int folder)
{
	char text[32] = "";
	int fd = openat(folder, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct err ignored;
	int64_t number = 0;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	close(fd);
	text[strcspn(text, "\n")] = '\0';
	return num_parse_int(text, 1, INT32_MAX - 1, &number, &ignored) == 0 ? number : 0;
}

static int keep(int folder, uint32_t boots, struct err *e)
{
	int fd = openat(folder, FILE_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), status;

	if (fd < 0)
		return err_errno(e, FILE_NAME);
	status = dprintf(fd, "%u\n", boots) > 0 && fsync(fd) == 0 ? 0 : err_errno(e, FILE_NAME);
	close(fd);
	if (status == 0 && (renameat(folder, FILE_NAME ".new", folder, FILE_NAME) < 0 || fsync(folder) < 0))
		status = err_errno(e, FILE_NAME);
	return status;
}

int trap_boots_next(const char *state, int64_t real, uint32_t *boots, struct err *e)
{
	int folder = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
	int64_t minutes = (real / NS_PER_S - SINCE) / 60, next = folder >= 0 ? read_kept(folder) + 1 : 1;

	if (next < minutes)
		next = minutes;
	*boots = (uint32_t)(next < INT32_MAX ? next : INT32_MAX - 1);
	if (folder < 0)
		return err_errno(e, "%.200s", state);
	status = keep(folder, *boots, e);
	close(folder);
	return status;
}

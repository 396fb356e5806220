#include "agent/reboot.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"

#define DIGITS 16

/* 0: there is none, or nothing that was written here. */
static uint64_t read_boot(const char *path)
{
	char text[DIGITS + 1] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, DIGITS) : -1;

	if (fd >= 0)
		close(fd);
	if (n != DIGITS || strspn(text, "0123456789abcdef") != DIGITS)
		return 0;
	return strtoull(text, NULL, 16);
}

static int write_boot(const char *path, uint64_t boot, struct err *e)
{
	char *fresh = mem_format("%s.new", path), text[DIGITS + 2];
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), status;

	snprintf(text, sizeof text, "%016" PRIx64 "\n", boot);
	status = fd >= 0 && write(fd, text, DIGITS + 1) == DIGITS + 1 && fdatasync(fd) == 0 && rename(fresh, path) == 0 ? 0
		: err_errno(e, "%s", path);
	if (fd >= 0)
		close(fd);
	free(fresh);
	return status;
}

bool reboot_note(const char *state, uint64_t boot)
{
	char *path = mem_format("%s/boot", state);
	uint64_t before = read_boot(path);
	struct err e;

	if (boot != 0 && before != boot && write_boot(path, boot, &e) < 0)
		log_warn("the boot of this host cannot be noted, its next one may be told twice: %s", e.text);
	free(path);
	return boot != 0 && before != 0 && before != boot;
}

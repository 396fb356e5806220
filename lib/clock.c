#include "lib/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_mono(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_real(void)
{
	return read_clock(CLOCK_REALTIME);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

uint64_t clock_boot_id(void)
{
	char text[40] = "";
	uint64_t id = 0;
	unsigned digits = 0;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 20)
		text[0] = '\0';
	close(fd);
	for (const char *p = text; *p != '\0' && digits < 16; p++) {
		int d = hex_digit(*p);

		if (d >= 0) {
			id = id << 4 | (uint64_t)d;
			digits++;
		}
	}
	return digits == 16 ? id : 0;
}

char *clock_format_utc(int64_t real, char *out, size_t room)
{
	time_t s = (time_t)(real / NS_PER_S - (real % NS_PER_S < 0));
	struct tm tm;

	if (gmtime_r(&s, &tm) == NULL || strftime(out, room, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, room, "time-out-of-range");
	return out;
}

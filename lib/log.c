#include "lib/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

#define DAMP_SLOTS 64
#define DAMP_BURST 10
#define DAMP_WINDOW (10 * NS_PER_S)

struct damp {
	const char *format;
	int64_t since;
	unsigned count;
};

static struct {
	const char *program;
	enum log_level level;
	unsigned long counts[4];
	struct damp damp[DAMP_SLOTS];
} state = {.program = "xunjian", .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_open(const char *program, enum log_level level)
{
	state.program = program;
	state.level = level;
}

void log_level_set(enum log_level level)
{
	state.level = level;
}

int log_level_parse(const char *text, enum log_level *out)
{
	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

static size_t put_clean(char *out, size_t room, const char *text)
{
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0' && n + 5 < room; p++) {
		if (*p < 0x20 || *p == 0x7f)
			n += (size_t)snprintf(out + n, 5, "\\x%02x", *p);
		else
			out[n++] = (char)*p;
	}
	out[n] = '\0';
	return n;
}

static void write_line(enum log_level level, const char *text)
{
	char line[2400];
	struct timespec ts;
	struct tm tm;
	size_t n;
	ssize_t ignored;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s: ", ts.tv_nsec / 1000000,
		level_names[level], state.program);
	n += put_clean(line + n, sizeof line - n - 1, text);
	line[n++] = '\n';
	/* One write per line keeps lines of several processes whole. */
	ignored = write(STDERR_FILENO, line, n);
	(void)ignored;
	state.counts[level]++;
}

/* Says whether this line may be written; tells about those held back when their window ends. */
static int damp_allows(const char *format, enum log_level level)
{
	struct damp *d = &state.damp[((uintptr_t)format >> 3) % DAMP_SLOTS];
	int64_t now = clock_mono();

	if (d->format != format || now - d->since >= DAMP_WINDOW) {
		unsigned held = d->format != NULL && d->count > DAMP_BURST ? d->count - DAMP_BURST : 0;
		char text[200];

		if (held > 0) {
			snprintf(text, sizeof text, "line repeated held_back=%u text=\"%.100s\"", held,
				d->format);
			write_line(level, text);
		}
		*d = (struct damp){.format = format, .since = now};
	}
	return ++d->count <= DAMP_BURST;
}

static void log_at(enum log_level level, const char *format, va_list ap)
{
	char text[2048];

	if (level > state.level)
		return;
	if (level != LOG_LEVEL_DEBUG && !damp_allows(format, level))
		return;
	vsnprintf(text, sizeof text, format, ap);
	write_line(level, text);
}

#define DEFINE_LOG(name, level)                                                                    \
	void name(const char *format, ...)                                                         \
	{                                                                                          \
		va_list ap;                                                                        \
		va_start(ap, format);                                                              \
		log_at(level, format, ap);                                                         \
		va_end(ap);                                                                        \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)

unsigned long log_count(enum log_level level)
{
	return state.counts[level];
}

/*
 * series_bench: what a round of the series costs against librrd alone with the same bundles, in one run.
 *
 * usage: series_bench FOLDER [files=1000] [sets=5] [rounds=4] [archives=0:86400,300:604800]
 *
 * FOLDER should be on the disk in question; the files are made there twice (state/, bare/) and stay. Prints, for rounds
 * of both kinds in turn: value sets per second of wall time, CPU of this process per set; then the ratio, the time of a
 * round, the bytes of its checkpoint, and the memory of so many series with their queues full.
 */
#include <inttypes.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/series_catalogue.h"
#include "collector/series_round.h"
#include "collector/series_rrd.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog.h"

#define START 1700000040
#define INTERVAL 60

struct bench {
	const char *folder;
	long files, sets, rounds;
	struct settings_archive rings[16];
	struct config_list archives;
	struct series_round *round;
	struct series_file **file;
	int64_t time;
	uint64_t seq;
};

struct cost {
	double wall, cpu;
};

static double cpu_now(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static long rss_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kib = 0;

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	}
	if (f != NULL)
		fclose(f);
	return kib;
}

static void fill(double numbers[SERIES_COLUMNS_MAX], size_t columns, long file, int64_t time)
{
	double rtt = (double)((file * 31 + time) % 97700) / 1e6;

	numbers[0] = 1;
	for (size_t i = 1; i < columns; i++)
		numbers[i] = i < 4 ? (double)(i * 5) : i < 10 ? rtt + (double)i / 1e6 : (double)i;
}

static struct cost since(double wall, double cpu)
{
	return (struct cost){(double)clock_mono() / 1e9 - wall, cpu_now() - cpu};
}

static void add(struct cost *to, struct cost more)
{
	to->wall += more.wall;
	to->cpu += more.cpu;
}

/* ---- ours */

static void make_series(struct bench *b)
{
	struct series_catalogue *c = series_round_catalogue(b->round);

	b->file = mem_array((size_t)b->files, sizeof(struct series_file *));
	for (long i = 0; i < b->files; i++) {
		char id[64], vantage[64], reason[64];
		struct result r = {.check = id, .type = "icmp", .interval_s = INTERVAL, .family = i % 2 ? FAMILY_V6 : FAMILY_V4,
			.outcome = OUTCOME_UP, .part = "", .address = "2001:db8:1234:5678::1", .reason = reason};
		const char *why;
		struct series *s;

		snprintf(id, sizeof id, "system-portal-%ld", i / 2);
		snprintf(vantage, sizeof vantage, "county-%ld", i % 4 / 2);
		snprintf(reason, sizeof reason, "%s", "");
		s = series_catalogue_find(c, id, vantage, r.family, "");
		if (s == NULL)
			s = series_catalogue_add(c, vantage, &r, &why);
		series_catalogue_result(c, s, &r, START, START);
		b->file[i] = &s->file;
		if (s->file.last >= b->time)
			b->time = s->file.last + INTERVAL;
	}
}

static void queue_sets(struct bench *b)
{
	double numbers[SERIES_COLUMNS_MAX];

	for (long k = 0; k < b->sets; k++) {
		b->seq++;
		for (long i = 0; i < b->files; i++) {
			struct series_file *f = b->file[i];
			int64_t time = b->time + k * INTERVAL;

			fill(numbers, f->layout->columns, i, time);
			series_catalogue_queue(series_round_catalogue(b->round), f, time, INTERVAL, numbers,
				(struct position){1, b->seq}, 0);
		}
	}
}

static void do_rounds(struct bench *b)
{
	struct err e;

	while (series_catalogue_queued_sets(series_round_catalogue(b->round)) > 0) {
		if (series_round_begin(b->round, SERIES_ROUND_ALL, (struct position){1, b->seq}, NS_PER_S, clock_mono(), &e) != 0) {
			fprintf(stderr, "no round\n");
			exit(1);
		}
		while (series_round_step(b->round, clock_mono(), &e) == 1)
			;
	}
}

static struct cost ours(struct bench *b)
{
	double wall = (double)clock_mono() / 1e9, cpu = cpu_now();

	queue_sets(b);
	do_rounds(b);
	return since(wall, cpu);
}

/* ---- librrd alone */

static char *bare_path(const struct bench *b, long i)
{
	return mem_format("%s/bare/%03ld/%05ld.rrd", b->folder, i % 100, i);
}

static void make_bare(const struct bench *b)
{
	struct err e;

	for (long i = 0; i < b->files; i++) {
		char *path = bare_path(b, i), *folder = mem_format("%s/bare/%03ld", b->folder, i % 100);

		mkdir(folder, 0755);
		if (access(path, F_OK) < 0 &&
			series_rrd_create(path, b->file[i], b->time, INTERVAL, &b->archives, &e) < 0) {
			fprintf(stderr, "%s\n", e.text);
			exit(1);
		}
		free(path);
		free(folder);
	}
}

static struct cost bare(struct bench *b)
{
	double wall = (double)clock_mono() / 1e9, cpu = cpu_now(), numbers[SERIES_COLUMNS_MAX];
	char (*text)[512] = mem_array((size_t)b->sets, sizeof *text);
	const char **argv = mem_array((size_t)b->sets, sizeof(char *));

	for (long i = 0; i < b->files; i++) {
		const struct series_layout *l = b->file[i]->layout;
		char *path = bare_path(b, i);

		for (long k = 0; k < b->sets; k++) {
			int n = snprintf(text[k], sizeof *text, "%" PRId64, b->time + k * INTERVAL);

			fill(numbers, l->columns, i, b->time + k * INTERVAL);
			for (size_t c = 0; c < l->columns; c++)
				n += snprintf(text[k] + n, sizeof *text - (size_t)n, ":%.6g", numbers[c]);
			argv[k] = text[k];
		}
		rrd_clear_error();
		if (rrd_updatex_r(path, NULL, 0, (int)b->sets, argv) != 0) {
			fprintf(stderr, "%s: %s\n", path, rrd_get_error());
			exit(1);
		}
		free(path);
	}
	free(text);
	free(argv);
	return since(wall, cpu);
}

/* ---- */

static void take_option(struct bench *b, const char *text)
{
	char *end;

	if (strncmp(text, "files=", 6) == 0)
		b->files = strtol(text + 6, NULL, 10);
	else if (strncmp(text, "sets=", 5) == 0)
		b->sets = strtol(text + 5, NULL, 10);
	else if (strncmp(text, "rounds=", 7) == 0)
		b->rounds = strtol(text + 7, NULL, 10);
	else if (strncmp(text, "archives=", 9) == 0) {
		b->archives.count = 0;
		for (text += 9; *text != '\0' && b->archives.count < 16; text = *end == ',' ? end + 1 : end) {
			struct settings_archive *a = &b->rings[b->archives.count++];

			a->step = strtoll(text, &end, 10) * NS_PER_S;
			a->keep = strtoll(end + 1, &end, 10) * NS_PER_S;
		}
	}
}

static void print_cost(const struct bench *b, const char *what, struct cost c)
{
	double sets = (double)(b->files * b->sets * b->rounds);

	printf("%-12s %9.0f sets/s %7.2f us of CPU per set\n", what, sets / c.wall, c.cpu / sets * 1e6);
}

static void measure(struct bench *b)
{
	struct cost a = {0}, c = {0};

	for (long i = 0; i < b->rounds; i++) {
		add(&a, bare(b));
		sync();
		add(&c, ours(b));
		b->time += b->sets * INTERVAL;
	}
	print_cost(b, "librrd alone", a);
	print_cost(b, "in rounds", c);
	printf("ratio: %.2f by wall time (the rounds are synced, librrd alone is not), %.2f by CPU\n", a.wall / c.wall,
		a.cpu / c.cpu);
	printf("a round of all %ld files: %.2f s, checkpoint of %.1f KiB per file\n", b->files, c.wall / (double)b->rounds,
		(double)series_round_stats(b->round)->checkpoint_bytes / (double)series_round_stats(b->round)->files / 1024);
}

int main(int argc, char **argv)
{
	struct bench b = {.files = 1000, .sets = 5, .rounds = 4, .time = START};
	long empty = rss_kib(), idle;
	char *path;
	struct err e;

	if (argc < 2) {
		fprintf(stderr, "usage: series_bench FOLDER [files=] [sets=] [rounds=] [archives=]\n");
		return 2;
	}
	b.folder = argv[1];
	b.archives.items = b.rings;
	take_option(&b, "archives=0:86400,300:604800");
	for (int i = 2; i < argc; i++)
		take_option(&b, argv[i]);
	path = mem_format("%s/state", b.folder);
	mkdir(b.folder, 0755);
	mkdir(path, 0755);
	b.round = series_round_open(path, &b.archives, 64, 0, &e);
	if (b.round == NULL) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	make_series(&b);
	free(path);
	path = mem_format("%s/bare", b.folder);
	mkdir(path, 0755);
	make_bare(&b);
	idle = rss_kib();
	queue_sets(&b);
	printf("memory of %ld series: %ld KiB, with %ld sets queued for each: %ld KiB\n", b.files, idle - empty, b.sets,
		rss_kib() - empty);
	do_rounds(&b);
	b.time += b.sets * INTERVAL;
	sync();
	measure(&b);
	printf("memory at the end: %ld KiB\n", rss_kib());
	series_round_close(b.round);
	free(path);
	free(b.file);
	return 0;
}

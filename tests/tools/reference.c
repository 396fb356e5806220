/*
 * reference: what the RRD files must be, made the plain way, and how they differ.
 *
 * usage: reference build JOURNAL FOLDER [archives=0:3600,60:7200] [max_parts=64]
 *        reference compare FOLDER RRD
 *        reference JOURNAL RRD [archives=...] [max_parts=...]        both, in a folder that is removed
 *
 * build reads a journal from its start and gives every value, one by one, to rrd_update_r as soon as it is read: no
 * queue, no bundles, no checkpoint, one file after the other; nothing of collector/ is used. compare dumps both sides
 * (all rows in the order of time, the state of primary and consolidated points) and names what differs: bytes cannot
 * be compared, librrd begins each ring at a random row. Exit status: 0 equal, 1 different, 2 could not be done.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/wire.h"
#include "probes/catalog.h"

#define EARLIEST 631152000
#define COLUMNS 80

struct archive {
	long step, keep;
};

/* A file being made. metrics[0] is 0 for "up"; of a file for one metric it is that. */
struct file {
	char path[512];
	uint32_t metrics[COLUMNS];
	int columns;
	long last, heartbeat;
};

struct build {
	const char *folder;
	struct map *files; /* path -> file */
	struct map *parts;  /* check/vantage/family/part -> its number, as a pointer */
	struct map *counts; /* check/vantage/family -> the last number given */
	struct archive archives[16];
	int archives_count;
	long max_parts;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "reference: %s: %s\n", what, why);
	exit(2);
}

static long get_count(const struct map *m, const char *key)
{
	return (long)(intptr_t)map_find(m, key);
}

static void set_count(struct map *m, const char *key, long n)
{
	map_set(m, key, (void *)(intptr_t)n);
}

/* ---- files */

static void add_archive_words(const struct build *b, long interval, char words[][64], int *n)
{
	static const char *const functions[] = {"AVERAGE", "MIN", "MAX"};
	long pdps[16], rows[16];
	int rings = 0;

	for (int i = 0; i < b->archives_count; i++) {
		long k = b->archives[i].step <= interval ? 1 : (b->archives[i].step + interval - 1) / interval;
		long r = (b->archives[i].keep + k * interval - 1) / (k * interval);
		int at = 0;

		while (at < rings && pdps[at] != k)
			at++;
		if (at == rings) {
			pdps[rings] = k;
			rows[rings++] = 1;
		}
		if (r > rows[at])
			rows[at] = r;
	}
	for (int i = 0; i < rings; i++) {
		for (int f = 0; f < (pdps[i] == 1 ? 1 : 3); f++)
			snprintf(words[(*n)++], 64, "RRA:%s:0.5:%ld:%ld", functions[f], pdps[i], rows[i]);
	}
}

static void make_file(struct build *b, struct file *f, bool is_main, long first, long interval)
{
	char words[COLUMNS + 64][64];
	const char *argv[COLUMNS + 64];
	int n = 0;

	for (; n < f->columns; n++) {
		const struct metric *m = is_main ? catalog_metric(f->metrics[n]) : NULL;

		if (f->metrics[n] == 0)
			snprintf(words[n], 64, "DS:up:GAUGE:%ld:U:U", 3 * interval);
		else if (m != NULL)
			snprintf(words[n], 64, "DS:%s:GAUGE:%ld:U:U", m->name, 3 * interval);
		else
			snprintf(words[n], 64, "DS:m%u:GAUGE:%ld:U:U", f->metrics[n], 3 * interval);
	}
	add_archive_words(b, interval, words, &n);
	for (int i = 0; i < n; i++)
		argv[i] = words[i];
	for (char *slash = strchr(f->path + strlen(b->folder) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(f->path, 0755);
		*slash = '/';
	}
	rrd_clear_error();
	if (rrd_create_r(f->path, (unsigned long)interval, first - interval, n, argv) != 0)
		die(f->path, rrd_get_error());
	f->heartbeat = 3 * interval;
}

/* The same by rrdtool's own words: rrdtool tune FILE --heartbeat NAME:SECONDS ... */
static void tune(struct file *f, bool is_main, long heartbeat)
{
	char words[COLUMNS][64], tune_word[] = "tune", option[] = "--heartbeat";
	char *argv[2 + 2 * COLUMNS];
	int argc = 0;

	argv[argc++] = tune_word;
	argv[argc++] = f->path;
	for (int i = 0; i < f->columns; i++) {
		const struct metric *m = is_main ? catalog_metric(f->metrics[i]) : NULL;

		if (f->metrics[i] == 0)
			snprintf(words[i], 64, "up:%ld", heartbeat);
		else if (m != NULL)
			snprintf(words[i], 64, "%s:%ld", m->name, heartbeat);
		else
			snprintf(words[i], 64, "m%u:%ld", f->metrics[i], heartbeat);
		argv[argc++] = option;
		argv[argc++] = words[i];
	}
	rrd_clear_error();
	if (rrd_tune(argc, argv) != 0)
		die(f->path, rrd_get_error());
	f->heartbeat = heartbeat;
}

static void add_number(struct buf *out, uint32_t metric, double number)
{
	int decimals = metric == 0 ? 0 : (int)catalog_decimals(metric);
	char text[64];

	if (isnan(number)) {
		buf_add_text(out, ":U");
		return;
	}
	snprintf(text, sizeof text, "%.*f", decimals, number);
	if (fabs(number * pow(10, decimals)) >= 0x1p53 || strtod(text, NULL) != number)
		snprintf(text, sizeof text, "%.17g", number);
	buf_add_format(out, ":%s", text);
}

static void update(struct build *b, struct file *f, bool is_main, long time, long interval, const double *numbers)
{
	struct buf text = {0};
	const char *argv[1];

	if (time <= f->last)
		return;
	if (f->last == 0)
		make_file(b, f, is_main, time, interval);
	if (f->heartbeat != 3 * interval)
		tune(f, is_main, 3 * interval);
	buf_add_format(&text, "%ld", time);
	for (int i = 0; i < f->columns; i++)
		add_number(&text, f->metrics[i], numbers[i]);
	argv[0] = buf_text(&text);
	rrd_clear_error();
	if (rrd_update_r(f->path, NULL, 1, argv) != 0)
		die(argv[0], rrd_get_error());
	buf_fini(&text);
	f->last = time;
}

/* ---- results */

static struct file *find_file(struct build *b, const char *check, const char *vantage, const struct result *r, long part,
	uint32_t metric)
{
	const struct catalog_type *type = catalog_find(r->type);
	char path[512], suffix[64] = "";
	struct file *f;

	if (part > 0)
		snprintf(suffix, sizeof suffix, ".%ld", part);
	if (metric > 0)
		snprintf(suffix + strlen(suffix), sizeof suffix - strlen(suffix), ".m%u", metric);
	snprintf(path, sizeof path, "%s/%s/%s/%d%s.rrd", b->folder, check, vantage, (int)r->family, suffix);
	f = map_find(b->files, path);
	if (f != NULL)
		return f;
	f = mem_alloc(sizeof *f);
	strcpy(f->path, path);
	map_set(b->files, path, f);
	if (metric > 0) {
		f->metrics[f->columns++] = metric;
		return f;
	}
	f->metrics[f->columns++] = 0;
	if (type == NULL)
		return f;
	for (const struct metric *m = type->metrics; m->number != 0; m++) {
		if (catalog_family_has(type, r->family, m->number))
			f->metrics[f->columns++] = m->number;
	}
	return f;
}

/* Number of a part, given in the order of appearance; -1: there are too many. */
static long part_number(struct build *b, const char *vantage, const struct result *r)
{
	char key[600], family[170];
	long number;

	snprintf(key, sizeof key, "%s/%s/%d/%s", r->check, vantage, (int)r->family, r->part);
	snprintf(family, sizeof family, "%s/%s/%d", r->check, vantage, (int)r->family);
	if (r->part[0] == '\0')
		return 0;
	number = get_count(b->parts, key);
	if (number > 0)
		return number;
	if (get_count(b->counts, family) >= b->max_parts)
		return -1;
	number = get_count(b->counts, family) + 1;
	set_count(b->counts, family, number);
	set_count(b->parts, key, number);
	return number;
}

static void take_result(struct build *b, const struct wire_envelope *v, const struct result *r)
{
	long time = (long)floor((double)((r->mono + v->offset) / NS_PER_MS) / 1000.0), part;
	double numbers[COLUMNS];
	struct file *f;

	if (r->interval_s == 0 || time > v->received_real / NS_PER_S + 120 || time < EARLIEST)
		return;
	part = part_number(b, v->agent, r);
	if (part < 0)
		return;
	f = find_file(b, r->check, v->agent, r, part, 0);
	for (int i = 0; i < f->columns; i++)
		numbers[i] = NAN;
	if (r->outcome != OUTCOME_UNKNOWN)
		numbers[0] = r->outcome == OUTCOME_UP;
	for (size_t k = 0; k < r->count; k++) {
		int i = 1;

		while (i < f->columns && f->metrics[i] != r->values[k].metric)
			i++;
		if (i < f->columns)
			numbers[i] = r->values[k].number;
		else
			update(b, find_file(b, r->check, v->agent, r, part, r->values[k].metric), false, time,
				r->interval_s, &r->values[k].number);
	}
	update(b, f, true, time, r->interval_s, numbers);
}

static bool is_refused(const struct wire_envelope *v, size_t row)
{
	for (size_t i = 0; i < v->refused_count; i++) {
		if (v->refused[i] == row)
			return true;
	}
	return false;
}

static void take_batch(struct build *b, const struct journal_entry *entry)
{
	struct err e;
	struct wire_envelope *v = wire_envelope_decode(entry->payload, entry->len, &e);
	struct wire_batch *batch = v != NULL ? wire_batch_decode(v->body, v->body_len, &e) : NULL;

	if (batch == NULL)
		die("entry", e.text);
	for (size_t i = 0; i < wire_rows_count(batch->rows); i++) {
		struct result r;
		uint64_t seq;

		wire_rows_next(batch->rows, &r, &seq);
		if (!v->time_unknown && !is_refused(v, i))
			take_result(b, v, &r);
	}
	wire_batch_free(batch);
	wire_envelope_free(v);
}

static void build(const char *journal, struct build *b)
{
	struct err e;
	struct journal_reader *reader = journal_reader_open(journal, (struct position){0, 0}, &e);
	struct journal_entry entry;
	int rc;

	if (reader == NULL)
		die(journal, e.text);
	b->files = map_new();
	b->parts = map_new();
	b->counts = map_new();
	while ((rc = journal_read_next(reader, &entry, &e)) == 1) {
		if (entry.kind == ENTRY_BATCH)
			take_batch(b, &entry);
	}
	if (rc < 0)
		die(journal, e.text);
	journal_reader_close(reader);
	map_free(b->files, free);
	map_free(b->parts, NULL);
	map_free(b->counts, NULL);
}

/* ---- comparing */

static size_t on_dump(const void *data, size_t len, void *user)
{
	buf_add(user, data, len);
	return len;
}

static const char *dump(const char *path, struct buf *out)
{
	rrd_clear_error();
	if (rrd_dump_cb_r(path, 1, on_dump, out) != 0)
		return NULL;
	return buf_text(out);
}

static int compare_file(const char *wanted, const char *found)
{
	struct buf a = {0}, b = {0};
	const char *x = dump(wanted, &a), *y = dump(found, &b);
	int differs = 1;

	if (x == NULL)
		die(wanted, rrd_get_error());
	if (y == NULL) {
		printf("%s: %s\n", found, rrd_get_error());
	} else if (strcmp(x, y) == 0) {
		differs = 0;
	} else {
		size_t at = 0, line = 1;

		for (; x[at] == y[at]; at++)
			line += x[at] == '\n';
		while (at > 0 && x[at - 1] != '\n')
			at--;
		printf("%s: differs from line %zu of its dump\n  wanted %.*s\n  found  %.*s\n", found, line,
			(int)strcspn(x + at, "\n"), x + at, (int)strcspn(y + at, "\n"), y + at);
	}
	buf_fini(&a);
	buf_fini(&b);
	return differs;
}

static bool is_rrd(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".rrd") == 0;
}

/* Counts files of `from` that are not alike in `to`; with just_there: that are not there. */
static int walk(const char *from, const char *to, bool just_there, int *files)
{
	DIR *d = opendir(from);
	struct dirent *entry;
	int differ = 0;

	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		char *a = mem_format("%s/%s", from, entry->d_name), *b = mem_format("%s/%s", to, entry->d_name);
		struct stat st;

		if (entry->d_name[0] == '.' || lstat(a, &st) < 0) {
			;
		} else if (S_ISDIR(st.st_mode)) {
			differ += walk(a, b, just_there, files);
		} else if (is_rrd(entry->d_name)) {
			(*files)++;
			if (access(b, F_OK) < 0)
				printf("%s: %s\n", just_there ? a : b, just_there ? "should not be there" : "is missing");
			differ += access(b, F_OK) < 0 ? 1 : just_there ? 0 : compare_file(a, b);
		}
		free(a);
		free(b);
	}
	closedir(d);
	return differ;
}

static int compare(const char *wanted, const char *found)
{
	int files = 0, others = 0;
	int differ = walk(wanted, found, false, &files) + walk(found, wanted, true, &others);

	printf("%d files, %d differ\n", files, differ);
	return differ > 0 ? 1 : 0;
}

/* ---- */

static void take_options(struct build *b, int argc, char **argv)
{
	const char *text = "0:3600,60:7200";
	char *end;

	b->max_parts = 64;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "archives=", 9) == 0)
			text = argv[i] + 9;
		else if (strncmp(argv[i], "max_parts=", 10) == 0)
			b->max_parts = strtol(argv[i] + 10, NULL, 10);
	}
	while (*text != '\0' && b->archives_count < 16) {
		struct archive *a = &b->archives[b->archives_count++];

		a->step = strtol(text, &end, 10);
		a->keep = strtol(end + 1, &end, 10);
		text = *end == ',' ? end + 1 : end;
	}
}

static int build_and_compare(const char *journal, const char *found, struct build *b)
{
	char folder[] = "/tmp/xunjian-reference-XXXXXX";
	char *remove;
	int status;

	if (mkdtemp(folder) == NULL)
		die(folder, strerror(errno));
	b->folder = folder;
	build(journal, b);
	status = compare(folder, found);
	remove = mem_format("rm -rf %s", folder);
	if (system(remove) != 0)
		fprintf(stderr, "reference: %s stays\n", folder);
	free(remove);
	return status;
}

int main(int argc, char **argv)
{
	struct build b = {0};

	if (argc >= 4 && strcmp(argv[1], "build") == 0) {
		take_options(&b, argc - 4, argv + 4);
		b.folder = argv[3];
		mkdir(b.folder, 0755);
		build(argv[2], &b);
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "compare") == 0)
		return compare(argv[2], argv[3]);
	if (argc >= 3) {
		take_options(&b, argc - 3, argv + 3);
		return build_and_compare(argv[1], argv[2], &b);
	}
	fprintf(stderr, "usage: reference [build|compare] JOURNAL-OR-FOLDER FOLDER [archives=0:3600,60:7200] [max_parts=64]\n");
	return 2;
}

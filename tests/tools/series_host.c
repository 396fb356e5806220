/*
 * series_host: the series role alone, in a process of its own, with this program in the place of its parent and of
 * ingest; for tests that kill it. It runs collector/series.c as it is.
 *
 * usage: series_host STATE key=value ...
 *   flush_ms=100   flush_within            max_parts=64     died_of=0
 *   archives=0:3600,60:7200   seconds of step:keep
 *   feed=0         entries that become synced per second since began=NS (CLOCK_MONOTONIC); 0: all at once
 *   exit=1         ends when everything is passed; 0: runs until SIGTERM
 * Prints "ready", "passed SEQ". With "latest" or "fetch CHECK VANTAGE FAMILY PART FROM TO POINTS" or "metrics" on its
 * standard input it answers as the page would see it. Exit status: that of the role.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/inventory.h"
#include "collector/process.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/mem.h"

struct process {
	struct event_base *base;
	struct settings settings;
	struct inventory inventory;
	struct process_events events;
	void *ctx;
	int status, died_of;
	/* in the place of ingest and web */
	struct ipc *ingest, *web;
	struct event *feeding, *input, *term;
	struct position *positions;
	size_t count, fed;
	int64_t feed, began;
	bool exits;
};

struct event_base *process_base(struct process *p)
{
	return p->base;
}

const struct settings *process_settings(const struct process *p)
{
	return &p->settings;
}

const struct inventory *process_inventory(const struct process *p)
{
	return &p->inventory;
}

int process_died_of(const struct process *p)
{
	return p->died_of;
}

void process_on(struct process *p, const struct process_events *events, void *ctx)
{
	p->events = *events;
	p->ctx = ctx;
}

void process_end(struct process *p, int status)
{
	p->status = status;
	event_base_loopbreak(p->base);
}

void process_ready(struct process *p)
{
	(void)p;
	puts("ready");
	fflush(stdout);
}

/* ---- in the place of ingest */

static void on_feeding(evutil_socket_t fd, short what, void *ctx)
{
	struct process *p = ctx;
	struct timeval ms = {0, 1000};
	struct buf out = {0};
	struct timespec now;
	size_t fed = p->count;

	(void)fd, (void)what;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (p->feed > 0)
		fed = (size_t)((now.tv_sec * NS_PER_S + now.tv_nsec - p->began) / NS_PER_MS * p->feed / 1000);
	if (fed > p->count)
		fed = p->count;
	if (fed > p->fed) {
		channel_position_encode(p->positions[fed - 1], &out);
		ipc_send(p->ingest, CHANNEL_SYNCED, 0, out.data, out.len, -1);
		buf_fini(&out);
		p->fed = fed;
	}
	if (p->fed < p->count)
		evtimer_add(p->feeding, &ms);
}

static void on_series(void *ctx, struct ipc_message *m)
{
	struct process *p = ctx;
	struct position passed;
	char view[32];

	if (m->type != CHANNEL_PASSED || channel_passed_decode(m->body, m->len, view, &passed) < 0)
		return;
	printf("passed %" PRIu64 "\n", passed.seq);
	fflush(stdout);
	if (p->exits && passed.seq == p->positions[p->count - 1].seq)
		p->events.on_stop(p->ctx);
}

static void on_gone(void *ctx, const char *why)
{
	(void)ctx, (void)why;
}

/* ---- in the place of web */

static void on_row(void *ctx, const struct channel_row *r)
{
	(void)ctx;
	printf("row %s %s %d %u %s \"%s\" \"%s\" %" PRId64 " %" PRId64 " %" PRIu64 "\n", r->check, r->vantage,
		(int)r->family, r->part_number, outcome_name(r->outcome), r->part, r->reason, r->measured, r->since,
		r->version);
}

static void print_values(const struct ipc_message *m)
{
	struct channel_values v;
	void *block;

	if (channel_values_decode(m->body, m->len, &v, &block) < 0) {
		puts("undecodable");
		return;
	}
	printf("values %" PRId64 " %" PRId64 " %zu %zu\n", v.start, v.step, v.rows, v.columns);
	for (size_t c = 0; c < v.columns; c++) {
		printf("column %u %u", v.column[c].metric, v.column[c].function);
		for (size_t i = 0; i < v.rows; i++)
			printf(" %.10g", v.column[c].numbers[i]);
		puts("");
	}
	free(block);
}

static void on_answer(void *ctx, struct ipc_message *m)
{
	uint64_t version, instance;

	(void)ctx;
	if (m->type == CHANNEL_LATEST_ROWS && channel_rows_decode(m->body, m->len, &version, &instance, on_row, NULL) == 0)
		printf("version %" PRIu64 "\n", version);
	else if (m->type == CHANNEL_VALUES)
		print_values(m);
	else if (m->type == CHANNEL_METRICS_TEXT || m->type == CHANNEL_FAILED)
		printf("%.*s\n", (int)m->len, (const char *)m->body);
	puts("end");
	fflush(stdout);
}

static void ask_fetch(struct process *p, const char *line)
{
	struct channel_fetch q;
	struct buf out = {0};
	int family;

	if (sscanf(line, "fetch %63s %63s %d %u %" SCNd64 " %" SCNd64 " %u", q.check, q.vantage, &family, &q.part_number,
		    &q.from, &q.to, &q.points) != 7)
		return;
	q.family = (enum family)family;
	channel_fetch_encode(&q, &out);
	ipc_send(p->web, CHANNEL_FETCH, 1, out.data, out.len, -1);
	buf_fini(&out);
}

static void ask_latest(struct process *p)
{
	struct buf out = {0};

	buf_add_u64(&out, 0);
	ipc_send(p->web, CHANNEL_LATEST, 1, out.data, out.len, -1);
	buf_fini(&out);
}

static void on_input(evutil_socket_t fd, short what, void *ctx)
{
	struct process *p = ctx;
	char line[512];
	ssize_t n = read(fd, line, sizeof line - 1);

	(void)what;
	if (n <= 0) {
		event_del(p->input);
		return;
	}
	line[n] = '\0';
	if (strncmp(line, "latest", 6) == 0)
		ask_latest(p);
	else if (strncmp(line, "metrics", 7) == 0)
		ipc_send(p->web, CHANNEL_METRICS, 1, NULL, 0, -1);
	else
		ask_fetch(p, line);
}

static void on_term(evutil_socket_t sig, short what, void *ctx)
{
	struct process *p = ctx;

	(void)sig, (void)what;
	p->events.on_stop(p->ctx);
}

/* ---- life */

static struct ipc *connect_peer(struct process *p, enum process_role role,
	void (*on_message)(void *, struct ipc_message *))
{
	struct ipc *mine;
	struct err e;
	int fds[2];

	if (ipc_pair(fds, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	mine = ipc_new(fds[0]);
	ipc_start(mine, p->base, on_message, on_gone, p);
	p->events.on_peer(p->ctx, role, fds[1]);
	return mine;
}

int process_loop(struct process *p)
{
	struct timeval now = {0, 0};
	struct stat st;

	p->ingest = connect_peer(p, PROCESS_INGEST, on_series);
	p->web = connect_peer(p, PROCESS_WEB, on_answer);
	p->feeding = evtimer_new(p->base, on_feeding, p);
	evtimer_add(p->feeding, &now);
	if (fstat(0, &st) == 0 && S_ISFIFO(st.st_mode)) {
		p->input = event_new(p->base, 0, EV_READ | EV_PERSIST, on_input, p);
		event_add(p->input, NULL);
	}
	p->term = evsignal_new(p->base, SIGTERM, on_term, p);
	evsignal_add(p->term, NULL);
	event_base_dispatch(p->base);
	return p->status;
}

/* Where every entry is: what ingest knows as it syncs. */
static void find_positions(struct process *p)
{
	char *folder = mem_format("%s/journal", p->settings.state);
	struct err e;
	struct journal_reader *r = journal_reader_open(folder, (struct position){0, 0}, &e);
	struct journal_entry entry;

	while (r != NULL && journal_read_next(r, &entry, &e) == 1) {
		p->positions = mem_resize(p->positions, p->count + 1, sizeof *p->positions);
		p->positions[p->count++] = entry.at;
	}
	if (p->count == 0) {
		fprintf(stderr, "%s: no journal\n", folder);
		exit(1);
	}
	journal_reader_close(r);
	free(folder);
}

static void take_archives(struct settings_series *s, const char *text)
{
	struct settings_archive *list = mem_array(16, sizeof *list);
	char *end;

	s->archives = (struct config_list){0, list};
	while (*text != '\0' && s->archives.count < 16) {
		struct settings_archive *a = &list[s->archives.count++];

		a->step = strtoll(text, &end, 10) * NS_PER_S;
		a->keep = strtoll(end + 1, &end, 10) * NS_PER_S;
		text = *end == ',' ? end + 1 : end;
	}
}

static void take_option(struct process *p, const char *text)
{
	struct settings_series *s = &p->settings.series;
	const char *value = strchr(text, '=');
	int64_t n = value != NULL ? strtoll(value + 1, NULL, 10) : 0;

	if (strncmp(text, "flush_ms=", 9) == 0)
		s->flush_within = n * NS_PER_MS;
	else if (strncmp(text, "max_parts=", 10) == 0)
		s->max_parts = n;
	else if (strncmp(text, "died_of=", 8) == 0)
		p->died_of = (int)n;
	else if (strncmp(text, "feed=", 5) == 0)
		p->feed = n;
	else if (strncmp(text, "began=", 6) == 0)
		p->began = n;
	else if (strncmp(text, "exit=", 5) == 0)
		p->exits = n != 0;
	else if (strncmp(text, "archives=", 9) == 0)
		take_archives(s, value + 1);
}

int main(int argc, char **argv)
{
	struct process p = {.exits = true, .settings.series = {.flush_within = 100 * NS_PER_MS, .max_parts = 64}};

	if (argc < 2) {
		fprintf(stderr, "usage: series_host STATE key=value ...\n");
		return 2;
	}
	log_open("series_host", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	p.settings.state = argv[1];
	p.settings.inventory = argv[1];
	take_archives(&p.settings.series, "0:3600,60:7200");
	for (int i = 2; i < argc; i++)
		take_option(&p, argv[i]);
	p.base = event_base_new();
	find_positions(&p);
	return series_run(&p);
}

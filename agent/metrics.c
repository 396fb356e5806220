#include "agent/metrics.h"

#include <dirent.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"

/* ---- the text */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_add_format(out, "# HELP xunjian_agent_%s %s\n# TYPE xunjian_agent_%s %s\n", name, help, name, type);
}

static void counter(struct buf *out, const char *name, const char *help, uint64_t n)
{
	head(out, name, "counter", help);
	buf_add_format(out, "xunjian_agent_%s %llu\n", name, (unsigned long long)n);
}

static void gauge(struct buf *out, const char *name, const char *help, double n)
{
	head(out, name, "gauge", help);
	buf_add_format(out, "xunjian_agent_%s %.15g\n", name, n);
}

static void add_checks(struct buf *out, const struct metrics_figures *f)
{
	const struct timetable_stats *t = &f->patrol.timetable;

	gauge(out, "checks", "Checks in the timetable.", (double)t->items);
	gauge(out, "checks_refused", "Checks that were assigned and cannot be done here.",
		(double)f->refused_checks);
	gauge(out, "checks_running", "Checks under way.", (double)t->running);
	gauge(out, "checks_waiting", "Checks that are due and wait for a free place.", (double)t->waiting);
	counter(out, "runs_total", "Runs that began.", t->started);
	counter(out, "runs_repeated_total", "Runs that asked again after one that was not up.", t->repeated);
	counter(out, "runs_missed_total", "Slots of the timetable that passed without a run.", t->missed);
	head(out, "results_total", "counter", "Results by outcome.");
	buf_add_format(out,
		"xunjian_agent_results_total{outcome=\"up\"} %llu\n"
		"xunjian_agent_results_total{outcome=\"down\"} %llu\n"
		"xunjian_agent_results_total{outcome=\"unknown\"} %llu\n",
		(unsigned long long)f->patrol.up, (unsigned long long)f->patrol.down,
		(unsigned long long)f->patrol.unknown);
	head(out, "notifications_total", "counter", "SNMP notifications by what came of them.");
	buf_add_format(out,
		"xunjian_agent_notifications_total{end=\"taken\"} %llu\n"
		"xunjian_agent_notifications_total{end=\"other\"} %llu\n"
		"xunjian_agent_notifications_total{end=\"foreign\"} %llu\n"
		"xunjian_agent_notifications_total{end=\"again\"} %llu\n"
		"xunjian_agent_notifications_total{end=\"reported\"} %llu\n",
		(unsigned long long)f->traps.taken, (unsigned long long)f->traps.other,
		(unsigned long long)f->traps.foreign, (unsigned long long)f->traps.again,
		(unsigned long long)f->traps.reported);
	head(out, "heartbeats_total", "counter", "Reports of windows by what came of them.");
	buf_add_format(out,
		"xunjian_agent_heartbeats_total{end=\"taken\"} %llu\n"
		"xunjian_agent_heartbeats_total{end=\"replayed\"} %llu\n"
		"xunjian_agent_heartbeats_total{end=\"foreign\"} %llu\n"
		"xunjian_agent_heartbeats_total{end=\"malformed\"} %llu\n",
		(unsigned long long)f->beats.taken, (unsigned long long)f->beats.replayed,
		(unsigned long long)f->beats.foreign, (unsigned long long)f->beats.malformed);
}

static void add_journal(struct buf *out, const struct metrics_figures *f)
{
	const struct journal_stats *j = &f->journal;
	double age = j->oldest_real > 0 ? (double)(f->now_real - j->oldest_real) / 1e9 : 0;

	counter(out, "journal_appended_total", "Entries appended to the journal.", j->appended);
	counter(out, "journal_syncs_total", "Times the journal was synced.", j->syncs);
	counter(out, "journal_sync_failures_total", "Times the disk did not take it.", j->sync_failures);
	counter(out, "journal_damaged_total", "Records that failed their checksum.", j->damaged);
	counter(out, "journal_dropped_total", "Entries dropped by its bounds.", j->dropped);
	gauge(out, "journal_bytes", "Size of all segments.", (double)j->bytes);
	gauge(out, "journal_segments", "Segments.", (double)j->segments);
	gauge(out, "journal_oldest_seconds", "Age of the oldest segment.", age);
	gauge(out, "spool_waiting", "Results in memory that the journal does not take.",
		(double)f->spool.waiting);
	gauge(out, "spool_waiting_bytes", "Their size.", (double)f->spool.waiting_bytes);
	counter(out, "results_lost_total", "Results that did not fit into memory any more.", f->spool.lost);
}

static void add_uplink(struct buf *out, const struct metrics_figures *f)
{
	const struct uplink_stats *u = &f->uplink;

	if (!f->has_collector)
		return;
	counter(out, "uplink_batches_total", "Batches that the collector took.", u->batches);
	counter(out, "uplink_entries_total", "Entries in them.", u->entries);
	counter(out, "uplink_bytes_total", "Bytes sent for them.", u->bytes);
	counter(out, "uplink_failures_total", "Tries that failed.", u->failures);
	counter(out, "uplink_refused_total", "Entries that the collector refused for good.", u->refused);
	gauge(out, "uplink_backlog", "Entries still to be sent.", (double)u->backlog);
	if (u->last_success_mono > 0)
		gauge(out, "uplink_last_success_seconds", "Time since the collector last took a batch.",
			(double)(f->now_mono - u->last_success_mono) / 1e9);
}

static void add_self(struct buf *out, const struct metrics_figures *f)
{
	head(out, "info", "gauge", "Who this is.");
	buf_add_format(out, "xunjian_agent_info{id=\"%s\"} 1\n", f->id);
	gauge(out, "helper_up", "Whether the process with rights is there.", f->helper_is_there);
	gauge(out, "landlock_active", "Whether the kernel bounds the paths that the engine can open (Landlock).",
		f->has_landlock);
	counter(out, "reloads_total", "Reloads of the settings.", f->reloads);
	counter(out, "reload_failures_total", "Reloads that were refused.", f->reload_failures);
	head(out, "log_lines_total", "counter", "Lines logged by level.");
	buf_add_format(out,
		"xunjian_agent_log_lines_total{level=\"error\"} %lu\n"
		"xunjian_agent_log_lines_total{level=\"warn\"} %lu\n",
		log_count(LOG_LEVEL_ERROR), log_count(LOG_LEVEL_WARN));
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and the folder itself */
}

static double resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* The names that every Prometheus client uses for its own process. */
static void add_process(struct buf *out)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	buf_add_format(out,
		"# HELP process_cpu_seconds_total CPU time used.\n"
		"# TYPE process_cpu_seconds_total counter\n"
		"process_cpu_seconds_total %.6f\n"
		"# HELP process_resident_memory_bytes Resident memory.\n"
		"# TYPE process_resident_memory_bytes gauge\n"
		"process_resident_memory_bytes %.0f\n"
		"# HELP process_open_fds Open descriptors.\n"
		"# TYPE process_open_fds gauge\n"
		"process_open_fds %u\n",
		seconds_of(use.ru_utime) + seconds_of(use.ru_stime), resident_bytes(), open_descriptors());
}

void metrics_format(const struct metrics_figures *f, struct buf *out)
{
	add_self(out, f);
	add_checks(out, f);
	add_journal(out, f);
	add_uplink(out, f);
	add_process(out);
}

/* ---- the server */

struct metrics {
	struct evhttp *http;
	void (*collect)(void *, struct metrics_figures *);
	void *ctx;
};

static void reply(struct evhttp_request *r, int code, const char *words, const char *type, const void *body,
	size_t len)
{
	struct evbuffer *b = evbuffer_new();

	evbuffer_add(b, body, len);
	evhttp_add_header(evhttp_request_get_output_headers(r), "Content-Type", type);
	evhttp_send_reply(r, code, words, b);
	evbuffer_free(b);
}

static void on_metrics(struct evhttp_request *r, void *ctx)
{
	struct metrics *m = ctx;
	struct metrics_figures f = {0};
	struct buf text = {0};

	m->collect(m->ctx, &f);
	metrics_format(&f, &text);
	reply(r, HTTP_OK, "OK", "text/plain; version=0.0.4; charset=utf-8", text.data, text.len);
	buf_fini(&text);
}

static void on_healthy(struct evhttp_request *r, void *ctx)
{
	(void)ctx;
	reply(r, HTTP_OK, "OK", "text/plain", "healthy\n", 8);
}

static void on_ready(struct evhttp_request *r, void *ctx)
{
	static const char not_ready[] = "the journal cannot be written\n";
	struct metrics *m = ctx;
	struct metrics_figures f = {0};

	m->collect(m->ctx, &f);
	if (f.is_ready)
		reply(r, HTTP_OK, "OK", "text/plain", "ready\n", 6);
	else
		reply(r, HTTP_SERVUNAVAIL, "Not Ready", "text/plain", not_ready, sizeof not_ready - 1);
}

/* No descriptor is left, mostly: the connection waits, and would be tried again at once, for ever. Unlike accept_rest of lib/accept, as
 * listeners may go by a reload. */
static void on_accept_failed(struct evconnlistener *listener, void *ctx)
{
	(void)ctx;
	log_warn("the figures are not served for a while error=\"%s\"", strerror(errno));
	evconnlistener_disable(listener);
}

static void accept_again(struct evhttp_bound_socket *bound, void *ctx)
{
	(void)ctx;
	evconnlistener_enable(evhttp_bound_socket_get_listener(bound));
}

void metrics_accept_again(struct metrics *m)
{
	if (m != NULL)
		evhttp_foreach_bound_socket(m->http, accept_again, NULL);
}

static int bind_to(struct metrics *m, const char *text, struct err *e)
{
	struct evhttp_bound_socket *bound;
	char host[64];
	uint16_t port;

	if (agent_settings_parse_listen(text, host, &port, e) < 0)
		return -1;
	bound = evhttp_bind_socket_with_handle(m->http, host, port);
	if (bound == NULL)
		return err_errno(e, "cannot listen on %s", text);
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), on_accept_failed);
	return 0;
}

struct metrics *metrics_open(struct event_base *base, const struct config_texts *listen,
	void (*collect)(void *ctx, struct metrics_figures *), void *ctx, struct err *e)
{
	struct metrics *m = mem_alloc(sizeof *m);

	m->collect = collect;
	m->ctx = ctx;
	m->http = evhttp_new(base);
	evhttp_set_allowed_methods(m->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(m->http, 8192);
	evhttp_set_max_body_size(m->http, 0);
	evhttp_set_timeout(m->http, 10);
	evhttp_set_cb(m->http, "/metrics", on_metrics, m);
	evhttp_set_cb(m->http, "/-/healthy", on_healthy, m);
	evhttp_set_cb(m->http, "/-/ready", on_ready, m);
	for (size_t i = 0; i < listen->count; i++) {
		if (bind_to(m, listen->items[i], e) < 0) {
			metrics_close(m);
			return NULL;
		}
	}
	return m;
}

void metrics_close(struct metrics *m)
{
	if (m == NULL)
		return;
	evhttp_free(m->http);
	free(m);
}

#include "collector/ingest_metrics.h"

#include "collector/ingest_server.h"
#include "lib/buf.h"
#include "lib/journal.h"
#include "lib/log.h"

#define PREFIX "xunjian_ingest_"

static const double bounds[INGEST_SYNC_BUCKETS] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2};

static const struct {
	const char *code, *reason;
} refusals[REFUSED_KINDS] = {
	[REFUSED_MALFORMED] = {"400", "malformed"},
	[REFUSED_FORGED] = {"403", "forged"},
	[REFUSED_STRANGER] = {"403", "stranger"},
	[REFUSED_PATH] = {"404", "path"},
	[REFUSED_EXPECTED] = {"409", "expected"},
	[REFUSED_LIMITED] = {"429", "limited"},
	[REFUSED_BUSY] = {"503", "busy"},
};

void ingest_metrics_add_sync(struct ingest_stats *s, double seconds)
{
	size_t i = 0;

	while (i < INGEST_SYNC_BUCKETS && seconds > bounds[i])
		i++;
	s->syncs[i]++;
	s->sync_seconds += seconds;
}

static void add_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_add_format(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void add(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	add_head(out, name, type, help);
	buf_add_format(out, PREFIX "%s %llu\n", name, (unsigned long long)value);
}

static void add_refusal(struct buf *out, const char *code, const char *reason, uint64_t value)
{
	buf_add_format(out, PREFIX "refused_requests_total{code=\"%s\",reason=\"%s\"} %llu\n", code, reason,
		(unsigned long long)value);
}

static void write_refusals(const struct ingest_stats *s, const struct ingest_server_stats *server, struct buf *out)
{
	add_head(out, "refused_requests_total", "counter", "Requests that were not answered by what they asked for.");
	for (int i = 0; i < REFUSED_KINDS; i++)
		add_refusal(out, refusals[i].code, refusals[i].reason, s->refused[i]);
	add_refusal(out, "400", "ambiguous", server->malformed);
	add_refusal(out, "403", "nameless", server->nameless);
}

static void write_connections(const struct ingest_server_stats *server, struct buf *out)
{
	add(out, "connections", "gauge", "Connections that are open.", server->connections);
	add(out, "requests_total", "counter", "Whole requests.", server->requests);
	add_head(out, "connections_ended_total", "counter", "Connections that ended badly: without having shown a "
		"certificate; closed as slow; closed as too many or too large.");
	buf_add_format(out, PREFIX "connections_ended_total{reason=\"unproven\"} %llu\n",
		(unsigned long long)server->unproven);
	buf_add_format(out, PREFIX "connections_ended_total{reason=\"slow\"} %llu\n", (unsigned long long)server->slow);
	buf_add_format(out, PREFIX "connections_ended_total{reason=\"excess\"} %llu\n",
		(unsigned long long)server->excess);
}

static void write_syncs(const struct ingest_stats *s, struct buf *out)
{
	uint64_t count = 0;

	add_head(out, "sync_seconds", "histogram", "How long syncs of the journal took.");
	for (size_t i = 0; i < INGEST_SYNC_BUCKETS; i++) {
		count += s->syncs[i];
		buf_add_format(out, PREFIX "sync_seconds_bucket{le=\"%g\"} %llu\n", bounds[i], (unsigned long long)count);
	}
	count += s->syncs[INGEST_SYNC_BUCKETS];
	buf_add_format(out, PREFIX "sync_seconds_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)count);
	buf_add_format(out, PREFIX "sync_seconds_sum %.9g\n" PREFIX "sync_seconds_count %llu\n", s->sync_seconds,
		(unsigned long long)count);
	add(out, "sync_failures_total", "counter", "Syncs of the journal that failed.", s->sync_failures);
}

static void write_journal(const struct journal_stats *j, struct buf *out)
{
	add(out, "journal_entries_total", "counter", "Entries of the journal that were synced.", j->synced);
	add(out, "journal_dropped_total", "counter", "Entries that left the journal at its bound.", j->dropped);
	add(out, "journal_bytes", "gauge", "Size of the journal.", j->bytes);
	add(out, "journal_segments", "gauge", "Files of the journal.", j->segments);
	add(out, "journal_damaged", "gauge", "Damaged places of the journal found at start.", j->damaged);
	add(out, "journal_torn_bytes", "gauge", "Bytes of unfinished entries cut off at start.", j->torn_bytes);
}

void ingest_metrics_write(const struct ingest_stats *s, const struct ingest_server_stats *server,
	const struct journal_stats *journal, struct buf *out)
{
	write_connections(server, out);
	write_refusals(s, server, out);
	add(out, "batches_total", "counter", "Batches taken.", s->batches);
	add(out, "entries_total", "counter", "Entries of agents' journals taken.", s->entries);
	add(out, "nows_total", "counter", "Now messages taken.", s->nows);
	add(out, "results_total", "counter", "Results taken.", s->results);
	add(out, "values_total", "counter", "Values of results taken.", s->values);
	add(out, "duplicates_total", "counter", "Batches that had been taken before.", s->duplicates);
	add(out, "cloned_total", "counter", "Epochs of state folders that were cloned or put back.", s->cloned);
	add(out, "unassigned_results_total", "counter", "Results of checks that the agent may not report.", s->unassigned);
	add(out, "untimed_results_total", "counter", "Results whose time of measurement is not known.", s->untimed);
	add(out, "notes_total", "counter", "Notes about agents.", s->notes);
	add(out, "asked_total", "counter", "Requests of people that were kept.", s->requests);
	add(out, "probes_total", "counter", "Checks that agents are asked to run now.", s->probes);
	write_syncs(s, out);
	write_journal(journal, out);
	add_head(out, "log_lines_total", "counter", "Lines logged at this level by the ingest process.");
	buf_add_format(out, PREFIX "log_lines_total{level=\"error\"} %lu\n", log_count(LOG_LEVEL_ERROR));
	buf_add_format(out, PREFIX "log_lines_total{level=\"warn\"} %lu\n", log_count(LOG_LEVEL_WARN));
}

#include "agent/engine_parts.h"

#include <string.h>
#include <sys/stat.h>

#include "agent/assignments.h"
#include "agent/beats.h"
#include "agent/engine.h"
#include "agent/patrol.h"
#include "agent/settings.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/tls.h"
#include "lib/uplink.h"
#include "lib/wire.h"

/* ---- assignments */

static void on_refused(void *ctx, const char *check, const char *why)
{
	(void)ctx;
	log_warn("a check cannot be done here check=%s why=\"%s\"", check, why);
}

void engine_set_checks(struct engine *g, const struct agent_settings *settings)
{
	struct assignments *set = assignments_new(settings, g->assigned, on_refused, NULL);
	struct patrol_change change;

	g->refused = set->refused;
	patrol_set(g->patrol, set, &change);
	log_info("checks=%zu added=%zu removed=%zu changed=%zu refused=%zu", set->count, change.added,
		change.removed, change.changed, set->refused);
	assignments_drop(set);
}

static struct wire_assignments *decode_ours(const struct agent_settings *s, const void *data, size_t len,
	struct err *e)
{
	struct wire_assignments *a = wire_assignments_decode(data, len, e);

	if (a != NULL && strcmp(a->agent, s->id) != 0) {
		err_set(e, "assignments are for the agent \"%s\"", a->agent);
		wire_assignments_free(a);
		return NULL;
	}
	return a;
}

static void on_assignments(void *ctx, const void *data, size_t len)
{
	struct engine *g = ctx;
	struct err e;
	struct wire_assignments *a = decode_ours(g->settings, data, len, &e);

	if (a == NULL) {
		log_error("assignments refused, the old ones stay: %s", e.text);
		return;
	}
	wire_assignments_free(g->assigned);
	g->assigned = a;
	if (assignments_write(g->settings->state, data, len, &e) < 0)
		log_warn("assignments are not kept over a restart: %s", e.text);
	engine_set_checks(g, g->settings);
}

void engine_recall_assignments(struct engine *g)
{
	struct buf data = {0};
	struct err e;
	int status = assignments_read(g->settings->state, &data, &e);

	if (status == 1)
		g->assigned = decode_ours(g->settings, data.data, data.len, &e);
	if (status < 0 || (status == 1 && g->assigned == NULL))
		log_error("assignments of the last time are of no use, waiting for the collector: %s", e.text);
	buf_fini(&data);
}

static void add_now(void *ctx, struct wire_packer *packer)
{
	struct engine *g = ctx;

	patrol_add_now(g->patrol, journal_synced(g->journal), packer);
}

/* ---- uplink */

bool engine_has_collector(const struct agent_settings *s)
{
	return *s->collector.url != '\0';
}

uint64_t engine_files_stamp(const struct tls_files *files)
{
	const char *const paths[] = {files->ca, files->certificate, files->key};
	uint64_t stamp = 0;

	for (size_t i = 0; i < 3; i++) {
		struct stat st;

		if (stat(paths[i], &st) != 0)
			continue;
		stamp = (stamp ^ (uint64_t)st.st_ino ^ (uint64_t)st.st_size << 40) * UINT64_C(0x100000001b3);
		stamp = (stamp ^ (uint64_t)st.st_mtim.tv_sec << 20 ^ (uint64_t)st.st_mtim.tv_nsec) *
			UINT64_C(0x100000001b3);
	}
	return stamp;
}

static void on_probe(void *ctx, const char *check)
{
	struct engine *g = ctx;
	bool is_known = patrol_hasten_check(g->patrol, check);

	log_debug("the collector wants a check run now check=%s known=%d", check, is_known);
}

int engine_open_uplink(struct engine *g, const struct agent_settings *s, struct uplink **out, struct err *e)
{
	const struct uplink_options options = {.url = s->collector.url, .agent = s->id, .tls = s->collector.tls,
		.address = *s->collector.address != '\0' ? s->collector.address : NULL,
		.add_now = add_now, .on_assignments = on_assignments, .on_probe = on_probe, .ctx = g};

	*out = NULL;
	if (!engine_has_collector(s))
		return 0;
	*out = uplink_new(g->base, g->journal, &options, e);
	return *out != NULL ? 0 : -1;
}

bool engine_same_uplink(const struct engine *g, const struct agent_settings *now)
{
	const struct agent_settings_collector *a = &g->settings->collector, *b = &now->collector;

	return strcmp(a->url, b->url) == 0 && strcmp(a->address, b->address) == 0 &&
		strcmp(a->tls.ca, b->tls.ca) == 0 && strcmp(a->tls.certificate, b->tls.certificate) == 0 &&
		strcmp(a->tls.key, b->tls.key) == 0 && g->uplink_files == engine_files_stamp(&b->tls);
}

int engine_check_files(const struct agent_settings *s, struct err *e)
{
	char identity[TLS_NAME_MAX + 1];

	if (beats_check(&s->heartbeat, e) < 0)
		return -1;
	if (!engine_has_collector(s))
		return 0;
	if (tls_own_identity(s->collector.tls.certificate, identity, sizeof identity, e) < 0)
		return -1;
	if (strcmp(identity, s->id) != 0)
		return config_error(&s->collector.where, e, "the certificate is of \"%s\", not of our id \"%s\"",
			identity, s->id);
	return 0;
}

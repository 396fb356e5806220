#include "tests/support/fake_peers.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/channel.h"
#include "collector/inventory.h"
#include "collector/judge/verdict.h"
#include "collector/render_draw.h"
#include "collector/web/front.h"
#include "collector/web/model.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/catalog_http.h"
#include "probes/catalog_icmp.h"

#define INSTANCE 42
#define ROWS_MAX 2000

struct fake_row {
	const struct inventory_check *check;
	const char *vantage;
	enum family family;
	enum outcome outcome;
	char reason[SAMPLE_TEXT_MAX + 1], address[64];
	int64_t measured, since;
	uint64_t version;
};

struct fake_peer {
	struct fake_peers *all;
	enum process_role role;
	struct ipc *channel;
	bool is_mute;
};

/* What judgement says of a subject: folded from the outcomes, as the model does, or as it was told to say. */
struct fake_verdict {
	size_t families[MODEL_FAMILIES][MODEL_STATES];
	bool is_told;
	uint8_t state, v4, v6;
};

struct fake_peers {
	struct event_base *base;
	struct map *verdicts; /* subject -> fake_verdict */
	uint64_t verdicts_version;
	const struct inventory *inventory;
	struct fake_peer peers[PROCESS_ROLES];
	struct fake_row *rows;
	size_t count;
	uint64_t version;
};

static uint32_t hash_of(const char *text, uint32_t seed)
{
	uint32_t h = 2166136261u ^ seed;

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return h ^ h >> 15;
}

static void set_address(struct fake_row *r)
{
	struct catalog_target_options t;

	if (r->family == FAMILY_NONE)
		return;
	t = catalog_target_options(r->check->of_options);
	snprintf(r->address, sizeof r->address, "%s", r->family == FAMILY_V4 ? t.ipv4 : t.ipv6);
}

static void add_row(struct fake_peers *p, const struct inventory_check *c, const char *vantage, enum family family)
{
	uint32_t luck = hash_of(c->subject, (uint32_t)family * 77u) % 100;
	struct fake_row *r;

	if (hash_of(c->subject, 5) % 100 == 7) /* never heard of */
		return;
	p->rows = mem_resize(p->rows, p->count + 1, sizeof *p->rows);
	r = &p->rows[p->count++];
	*r = (struct fake_row){.check = c, .vantage = vantage, .family = family, .outcome = OUTCOME_UP,
		.version = ++p->version, .measured = clock_real(),
		.since = clock_real() - (int64_t)(hash_of(c->id, 9) % 900000) * NS_PER_S};
	set_address(r);
	if (luck < 4) {
		r->outcome = OUTCOME_DOWN;
		snprintf(r->reason, sizeof r->reason, "connect: connection refused by %s", r->address);
	} else if (luck == 5) {
		r->outcome = OUTCOME_UNKNOWN;
		snprintf(r->reason, sizeof r->reason, "no route to this family from the agent itself");
	}
}

struct fake_peers *fake_peers_new(struct event_base *base, const struct inventory *v)
{
	struct fake_peers *p = mem_alloc(sizeof *p);

	p->base = base;
	p->inventory = v;
	p->verdicts = map_new();
	for (int i = 0; i < PROCESS_ROLES; i++)
		p->peers[i] = (struct fake_peer){.all = p, .role = (enum process_role)i};
	for (size_t i = 0; i < v->checks_count; i++) {
		const struct inventory_check *c = &v->checks[i];

		for (size_t k = 0; k < c->vantages.count; k++) {
			bool is_own = !catalog_has_family(c->of_type, c->of_options);

			if (is_own)
				add_row(p, c, c->vantages.items[k], FAMILY_NONE);
			if (c->families != 2 && !is_own)
				add_row(p, c, c->vantages.items[k], FAMILY_V4);
			if (c->families != 1 && !is_own)
				add_row(p, c, c->vantages.items[k], FAMILY_V6);
		}
	}
	render_draw_init();
	return p;
}

void fake_peers_free(struct fake_peers *p)
{
	for (int i = 0; i < PROCESS_ROLES; i++)
		ipc_free(p->peers[i].channel);
	map_free(p->verdicts, free);
	free(p->rows);
	free(p);
}

void fake_peers_beat(struct fake_peers *p)
{
	for (size_t i = 0; i < p->count; i++) {
		p->rows[i].measured = clock_real();
		p->rows[i].version = ++p->version;
	}
}

void fake_peers_set(struct fake_peers *p, const char *check, enum family family, enum outcome outcome,
	const char *reason)
{
	for (size_t i = 0; i < p->count; i++) {
		struct fake_row *r = &p->rows[i];

		if (strcmp(r->check->id, check) != 0 || r->family != family)
			continue;
		r->outcome = outcome;
		r->since = r->measured = clock_real();
		snprintf(r->reason, sizeof r->reason, "%s", reason);
		r->version = ++p->version;
	}
}

void fake_peers_mute(struct fake_peers *p, enum process_role role, bool mute)
{
	p->peers[role].is_mute = mute;
}

/* ---- answers */

static void answer_latest(struct fake_peer *p, const struct ipc_message *m)
{
	struct cursor c = cursor_over(m->body, m->len);
	uint64_t since = cursor_u64(&c);
	struct buf out = {0};

	channel_rows_begin(p->all->version, INSTANCE, &out);
	for (size_t i = 0; i < p->all->count; i++) {
		const struct fake_row *r = &p->all->rows[i];

		if (r->version > since)
			channel_rows_add(&(struct channel_row){.check = r->check->id, .vantage = r->vantage,
				.type = r->check->type, .part = "", .address = r->address, .reason = r->reason,
				.interval_s = (uint32_t)(r->check->interval / NS_PER_S), .family = r->family,
				.outcome = r->outcome, .measured = r->measured, .since = r->since,
				.version = r->version}, &out);
	}
	ipc_send(p->channel, CHANNEL_LATEST_ROWS, m->id, out.data, out.len, -1);
	buf_fini(&out);
}

static double wave(int64_t t, uint32_t seed, double size)
{
	double jitter = (double)(((uint64_t)t * 2654435761u + seed) >> 7 & 1023) / 1023;

	return size * (1 + 0.35 * sin((double)t / 9000 + seed % 7) + 0.25 * jitter);
}

static double value_of(const struct metric *metric, const char *type, int64_t t, uint32_t seed)
{
	static const double smoke[] = {0.7, 0.85, 1, 1.2, 1.7};
	bool is_lossy = (t / 1800 + seed) % 37 == 0;

	if (metric->number == ICMP_LOSS)
		return is_lossy ? 30 : 0;
	if (metric->number >= ICMP_RTT_MIN && metric->number <= ICMP_RTT_MAX)
		return wave(t, seed, 0.012) * smoke[metric->number - ICMP_RTT_MIN];
	if (strcmp(type, "http") == 0 && metric->number == HTTP_TOTAL)
		return wave(t, seed, 0.05);
	if (strcmp(type, "http") == 0 && metric->number < HTTP_TOTAL)
		return wave(t, seed, 0.05) / 4;
	if (metric->number == HTTP_STATUS)
		return 200;
	if (metric->number == HTTP_CERT_DAYS)
		return 87.5;
	return wave(t, seed, 0.008);
}

static void fill(double *numbers, const struct metric *metric, const char *type, const struct channel_values *v,
	uint32_t seed)
{
	for (size_t i = 0; i < v->rows; i++) {
		int64_t t = v->start + (int64_t)(i + 1) * v->step;
		bool is_down = (t / 1200 + seed) % 61 == 0, is_missing = (t / 2400 + seed) % 53 == 0;

		numbers[i] = is_missing ? NAN : metric == NULL ? !is_down : is_down ? NAN :
			value_of(metric, type, t, seed);
	}
}

static void answer_fetch(struct fake_peer *p, const struct ipc_message *m)
{
	struct channel_fetch f;
	struct channel_values v = {0};
	struct channel_column columns[32];
	const struct catalog_type *type = NULL;
	struct buf out = {0};

	assert(channel_fetch_decode(m->body, m->len, &f) == 0);
	for (size_t i = 0; i < p->all->count && type == NULL; i++) {
		if (strcmp(p->all->rows[i].check->id, f.check) == 0)
			type = p->all->rows[i].check->of_type;
	}
	if (type == NULL) {
		ipc_send(p->channel, CHANNEL_FAILED, m->id, "no such series", 14, -1);
		return;
	}
	v.step = (f.to - f.from) / f.points + 1;
	v.step = v.step < 10 ? 10 : (v.step + 59) / 60 * 60;
	v.start = f.from / v.step * v.step;
	v.rows = (size_t)((f.to - v.start) / v.step);
	v.rows = v.rows < ROWS_MAX ? v.rows : ROWS_MAX;
	for (const struct metric *metric = NULL; v.columns < 32; v.columns++) {
		double *numbers;

		metric = metric == NULL && v.columns > 0 ? type->metrics : v.columns > 1 ? metric + 1 : metric;
		while (metric != NULL && metric->number != 0 && !catalog_family_has(type, f.family, metric->number))
			metric++;
		if (metric != NULL && metric->number == 0)
			break;
		numbers = mem_array(v.rows + 1, sizeof *numbers);
		fill(numbers, metric, type->name, &v, hash_of(f.check, (uint32_t)f.family));
		columns[v.columns] = (struct channel_column){metric != NULL ? metric->number : 0, 0, numbers};
	}
	v.column = columns;
	channel_values_encode(&v, &out);
	ipc_send(p->channel, CHANNEL_VALUES, m->id, out.data, out.len, -1);
	buf_fini(&out);
	for (size_t i = 0; i < v.columns; i++)
		free((void *)(uintptr_t)columns[i].numbers);
}

static void answer_render(struct fake_peer *p, const struct ipc_message *m)
{
	struct channel_render r;
	void *block;
	struct buf out = {0};
	struct err e;

	assert(channel_render_decode(m->body, m->len, &r, &block) == 0);
	if (render_draw(&r, &out, &e) == 0)
		ipc_send(p->channel, CHANNEL_PICTURE, m->id, out.data, out.len, -1);
	else
		ipc_send(p->channel, CHANNEL_FAILED, m->id, e.text, strlen(e.text), -1);
	free(block);
	buf_fini(&out);
}

static struct fake_verdict *verdict_of(struct fake_peers *p, const char *subject)
{
	struct fake_verdict *v = map_find(p->verdicts, subject);

	if (v == NULL) {
		v = mem_alloc(sizeof *v);
		map_set(p->verdicts, subject, v);
	}
	return v;
}

void fake_peers_judge(struct fake_peers *p, const char *subject, uint8_t state, uint8_t v4, uint8_t v6)
{
	struct fake_verdict *v = verdict_of(p, subject);

	v->is_told = true;
	v->state = state;
	v->v4 = v4;
	v->v6 = v6;
}

static void count_row(struct fake_peers *p, const struct fake_row *r)
{
	enum model_state state = r->outcome == OUTCOME_UP ? MODEL_UP : r->outcome == OUTCOME_DOWN ? MODEL_DOWN : MODEL_UNKNOWN;

	verdict_of(p, r->check->subject)->families[r->family == FAMILY_V4 ? MODEL_V4 : MODEL_V6][state]++;
}

static void count_outcomes(struct fake_peers *p)
{
	for (size_t i = 0; i < map_count(p->verdicts); i++) {
		struct fake_verdict *v = map_at(p->verdicts, i, NULL);

		memset(v->families, 0, sizeof v->families);
	}
	for (size_t i = 0; i < p->inventory->checks_count; i++) {
		const struct inventory_check *c = &p->inventory->checks[i];

		/* One voice of each family that knows nothing, which others outweigh. */
		verdict_of(p, c->subject)->families[MODEL_V4][MODEL_UNKNOWN] += c->families != 2;
		verdict_of(p, c->subject)->families[MODEL_V6][MODEL_UNKNOWN] += c->families != 1;
	}
	for (size_t i = 0; i < p->count; i++)
		count_row(p, &p->rows[i]);
}

static uint8_t said(enum model_state s)
{
	static const uint8_t states[MODEL_STATES] = {[MODEL_UP] = STATE_UP, [MODEL_UNKNOWN] = STATE_UNKNOWN,
		[MODEL_DEGRADED] = STATE_DEGRADED, [MODEL_DOWN] = STATE_DOWN};

	return states[s];
}

static struct channel_state state_of(const struct fake_verdict *v)
{
	size_t over[MODEL_STATES] = {0};
	enum model_state families[MODEL_FAMILIES];

	if (v->is_told)
		return (struct channel_state){.state = v->state, .v4 = v->v4, .v6 = v->v6};
	for (int f = 0; f < MODEL_FAMILIES; f++) {
		families[f] = model_fold(v->families[f], false);
		over[families[f]]++;
	}
	return (struct channel_state){.state = said(model_fold(over, true)), .v4 = said(families[MODEL_V4]),
		.v6 = said(families[MODEL_V6])};
}

static void answer_states(struct fake_peer *p, const struct ipc_message *m)
{
	struct buf out = {0};

	count_outcomes(p->all);
	channel_states_begin(++p->all->verdicts_version, clock_real(), &out);
	for (size_t i = 0; i < map_count(p->all->verdicts); i++) {
		const char *subject;
		struct channel_state s = state_of(map_at(p->all->verdicts, i, &subject));

		s.subject = subject;
		s.since = clock_real() / NS_PER_S / 600 * 600 * NS_PER_S;
		channel_states_add(&s, &out);
	}
	ipc_send(p->channel, CHANNEL_STATES_ROWS, m->id, out.data, out.len, -1);
	buf_fini(&out);
}

/* A link that IPv6 does not pass, with one system behind it, and a clock of the monitoring itself that is right again. */
static const char incidents[] =
	"{\"reached\": 1790000000, \"incidents\": [{\"id\": 7, \"phase\": \"open\", \"subject\": \"link/link-dongyuan\", \"state\":"
	" \"degraded\", \"families\": [6], \"reason\": \"no reply\", \"since\": 1789999000, \"opened\": 1789999030, \"closed\": null, \"flapping\": false,"
	" \"acknowledged_by\": null, \"affected_count\": 2, \"affected\": [\"link/link-dongyuan\", \"system/identity\"]},"
	" {\"id\": 6, \"phase\": \"watched\", \"subject\": \"monitoring/clock-agent-city\", \"state\": \"degraded\", \"families\": [], \"reason\": \"off by 9 s\","
	" \"since\": 1789998000, \"opened\": 1789998030, \"closed\": null, \"flapping\": false, \"acknowledged_by\": null,"
	" \"affected_count\": 1, \"affected\": [\"monitoring/clock-agent-city\"]}]}";

/* Up but for the middle tenth of the span, with work planned in the eighth. */
static void answer_ledger(struct fake_peer *p, const struct ipc_message *m)
{
	char subject[CHANNEL_SUBJECT];
	int64_t from, until, s, tenth;
	struct buf out = {0};

	assert(channel_ledger_decode(m->body, m->len, subject, &from, &until) == 0);
	s = from / NS_PER_S;
	tenth = (until - from) / NS_PER_S / 10;
	buf_add_format(&out, "{\"reached\": %lld, \"begin\": %lld, \"whole\": [[%lld, %lld, \"up\"], [%lld, %lld, \"down\"], [%lld, %lld,"
		" \"up\"]], \"v4\": [[%lld, %lld, \"up\"]], \"v6\": [[%lld, %lld, \"unknown\"]], \"planned\": [[%lld, %lld]],"
		" \"revisions\": 1}",
		(long long)(s + 10 * tenth), (long long)s, (long long)s, (long long)(s + 5 * tenth), (long long)(s + 5 * tenth),
		(long long)(s + 6 * tenth), (long long)(s + 6 * tenth), (long long)(s + 10 * tenth), (long long)s,
		(long long)(s + 10 * tenth), (long long)s, (long long)(s + 10 * tenth), (long long)(s + 7 * tenth),
		(long long)(s + 8 * tenth));
	ipc_send(p->channel, CHANNEL_JSON, m->id, out.data, out.len, -1);
	buf_fini(&out);
}

static void on_message(void *ctx, struct ipc_message *m)
{
	static const char *const names[PROCESS_ROLES] = {"ingest", "series", "judge", "web", "render", "notify"};
	struct fake_peer *p = ctx;
	const char *name = names[p->role];
	struct buf out = {0};

	if (p->is_mute)
		return;
	switch (m->type) {
	case CHANNEL_LATEST:
		answer_latest(p, m);
		break;
	case CHANNEL_FETCH:
		answer_fetch(p, m);
		break;
	case CHANNEL_RENDER:
		answer_render(p, m);
		break;
	case CHANNEL_STATES:
		answer_states(p, m);
		break;
	case CHANNEL_INCIDENTS:
		buf_add_text(&out, incidents);
		ipc_send(p->channel, CHANNEL_JSON, m->id, out.data, out.len, -1);
		break;
	case CHANNEL_LEDGER:
		answer_ledger(p, m);
		break;
	case CHANNEL_AVAILABILITY: {
		struct channel_availability asked;

		assert(channel_availability_decode(m->body, m->len, &asked) == 0);
		buf_add_format(&out, "{\"period\": \"%s\", \"unit\": \"%s\", \"system\": \"%s\", \"link\": \"%s\", \"family\": %d,"
			" \"flags\": %d}", asked.period, asked.unit, asked.system, asked.link, (int)asked.family,
			asked.always + 2 * asked.measured + 4 * asked.with_planned);
		ipc_send(p->channel, CHANNEL_JSON, m->id, out.data, out.len, -1);
		break;
	}
	case CHANNEL_METRICS:
		buf_add_format(&out, "# HELP xunjian_fake_%s_total A figure.\n"
			"# TYPE xunjian_fake_%s_total counter\nxunjian_fake_%s_total 1", name, name, name);
		ipc_send(p->channel, CHANNEL_METRICS_TEXT, m->id, out.data, out.len, -1);
		break;
	default:
		assert(false);
	}
	buf_fini(&out);
}

void fake_peers_disconnect(struct fake_peers *p, enum process_role role)
{
	ipc_free(p->peers[role].channel);
	p->peers[role].channel = NULL;
}

static void on_gone(void *ctx, const char *why)
{
	struct fake_peer *p = ctx;

	(void)why;
	fake_peers_disconnect(p->all, p->role);
}

void fake_peers_connect(struct fake_peers *p, struct front *front, enum process_role role)
{
	int fds[2];
	struct err e;

	if (ipc_pair(fds, &e) < 0)
		abort();
	fake_peers_disconnect(p, role);
	p->peers[role].channel = ipc_new(fds[0]);
	ipc_start(p->peers[role].channel, p->base, on_message, on_gone, &p->peers[role]);
	front_connect(front, role, fds[1]);
}

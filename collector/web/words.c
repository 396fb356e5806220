#include "collector/web/words.h"

#include "collector/process.h"
#include "collector/web/ask.h"
#include "collector/web/json.h"
#include "collector/web/state.h"

void words_states(struct json *j, const struct model_subject *s)
{
	json_text(j, "state", model_state_name(s->now.state));
	json_text(j, "v4", model_state_name(s->now.families[MODEL_V4]));
	json_text(j, "v6", model_state_name(s->now.families[MODEL_V6]));
	json_time(j, "since", s->now.since);
}

void words_counts(struct json *j, const char *key, const size_t counts[MODEL_STATES])
{
	json_open(j, key, '{');
	for (int i = 0; i < MODEL_STATES; i++)
		json_int(j, model_state_name((enum model_state)i), (int64_t)counts[i]);
	json_close(j, '}');
}

static void put_totals_of(struct json *j, const char *key, const struct model *m, enum subject_kind kind)
{
	size_t n, over[MODEL_STATES] = {0}, families[MODEL_FAMILIES][MODEL_STATES] = {{0}};
	const struct model_subject *s = model_subjects(m, kind, &n);

	for (size_t i = 0; i < n; i++) {
		over[s[i].now.state]++;
		for (int f = 0; f < MODEL_FAMILIES; f++)
			families[f][s[i].now.families[f]]++;
	}
	json_open(j, key, '{');
	json_int(j, "count", (int64_t)n);
	words_counts(j, "states", over);
	words_counts(j, "v4", families[MODEL_V4]);
	words_counts(j, "v6", families[MODEL_V6]);
	json_close(j, '}');
}

void words_totals(struct json *j, const struct model *m)
{
	json_open(j, "totals", '{');
	json_int(j, "units", (int64_t)model_inventory(m)->units_count);
	put_totals_of(j, "systems", m, SUBJECT_SYSTEM);
	put_totals_of(j, "links", m, SUBJECT_LINK);
	json_close(j, '}');
}

void words_agent(struct json *j, const struct model_agent *a, bool full)
{
	json_open(j, NULL, '{');
	json_text(j, "id", a->of->id);
	if (full) {
		json_text(j, "name", a->of->name);
		json_text(j, "name_en", a->of->name_en);
		json_text(j, "site", a->of->site);
	}
	json_text(j, "state", !a->is_lost ? "heard" : a->seen != 0 ? "lost" : "never");
	json_time(j, "seen", a->seen);
	json_close(j, '}');
}

void words_clock(struct json *j, const struct web *w, int64_t now)
{
	json_time(j, "now", now);
	json_time(j, "newest", model_newest(w->model));
	json_open(j, "peers", '{');
	json_bool(j, "ingest", ask_is_connected(w->ask, PROCESS_INGEST));
	json_bool(j, "series", ask_is_connected(w->ask, PROCESS_SERIES) && w->has_rows);
	json_bool(j, "judge", ask_is_connected(w->ask, PROCESS_JUDGE));
	json_bool(j, "render", ask_is_connected(w->ask, PROCESS_RENDER));
	json_close(j, '}');
	json_bool(j, "judged", model_is_judged(w->model));
}

void words_unit(struct json *j, const struct model *m, const struct inventory_unit *u, bool full)
{
	size_t counts[MODEL_STATES];
	uint64_t changed;

	json_open(j, NULL, '{');
	json_text(j, "id", u->id);
	if (full) {
		json_text(j, "name", u->name);
		json_text(j, "name_en", u->name_en);
	}
	json_text(j, "state", model_state_name(model_unit_state(m, u, counts, &changed)));
	words_counts(j, "systems", counts);
	json_close(j, '}');
}

#include "collector/web/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/channel.h"
#include "lib/clock.h"
#include "lib/err.h"

#define NOW (INT64_C(1700000000) * NS_PER_S)

static const char inventory_text[] =
	"units = ( { id = \"u1\"; name = \"一局\"; }, { id = \"u2\"; name = \"二局\"; } );\n"
	"systems = ( { id = \"s1\"; unit = \"u1\"; name = \"系统一\"; }, { id = \"s2\"; unit = \"u1\"; name = \"系统二\"; },\n"
	"  { id = \"s3\"; unit = \"u2\"; name = \"系统三\"; } );\n"
	"sites = ( { id = \"city\"; level = \"city\"; name = \"市\"; },\n"
	"  { id = \"county\"; level = \"county\"; parent = \"city\"; name = \"县\"; } );\n"
	"links = ( { id = \"l1\"; site = \"county\"; ipv4 = \"192.0.2.1\"; ipv6 = \"2001:db8::1\"; } );\n"
	"agents = ( { id = \"a1\"; name = \"甲\"; site = \"city\"; }, { id = \"a2\"; name = \"乙\"; site = \"county\"; } );\n"
	"checks = (\n"
	"  { id = \"c1\"; type = \"icmp\"; subject = \"system/s1\"; vantages = [ \"a1\", \"a2\" ]; interval = \"60s\"; host = \"192.0.2.9\"; families = \"ipv4\"; },\n"
	"  { id = \"c2\"; type = \"icmp\"; subject = \"system/s2\"; vantages = [ \"a1\" ]; interval = \"60s\"; host = \"s2.example\"; },\n"
	"  { id = \"c3\"; type = \"tcp\"; subject = \"system/s2\"; vantages = [ \"a1\" ]; interval = \"60s\"; host = \"s2.example\"; port = 80; },\n"
	"  { id = \"c4\"; type = \"icmp\"; subject = \"link/l1\"; vantages = [ \"a1\" ]; interval = \"60s\"; host = \"county.example\"; } );\n";

struct fixture {
	struct inventory *inventory;
	struct model *model;
};

static int begin(void **state)
{
	static struct fixture f;
	char folder[] = "/tmp/xj-model-XXXXXX", path[64];
	struct err e;
	FILE *file;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/a.conf", folder);
	file = fopen(path, "w");
	fputs(inventory_text, file);
	fclose(file);
	f.inventory = inventory_load(folder, &e);
	unlink(path);
	rmdir(folder);
	if (f.inventory == NULL)
		fail_msg("%s", e.text);
	f.model = model_new(f.inventory, NULL);
	model_settle(f.model, NOW);
	*state = &f;
	return 0;
}

static int finish(void **state)
{
	struct fixture *f = *state;

	model_free(f->model);
	inventory_free(f->inventory);
	return 0;
}

static bool take(struct fixture *f, const char *check, const char *vantage, enum family family, uint32_t part,
	enum outcome outcome, int64_t ago_s)
{
	return model_take(f->model, &(struct channel_row){.check = check, .vantage = vantage, .type = "icmp",
		.part = part == 0 ? "" : "p", .address = "", .reason = "", .part_number = part, .interval_s = 60,
		.family = family, .outcome = outcome, .measured = NOW - ago_s * NS_PER_S,
		.since = NOW - 1000 * NS_PER_S});
}

static enum model_state state_of(struct fixture *f, enum subject_kind kind, const char *id)
{
	model_settle(f->model, NOW);
	return model_subject(f->model, kind, id)->now.state;
}

static void nothing_heard_is_unknown_and_nothing_checked_is_none(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_UNKNOWN);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s3"), MODEL_NONE);
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s1")->now.families[MODEL_V6], MODEL_NONE);
	assert_null(model_subject(f->model, SUBJECT_SYSTEM, "s9"));
}

static void vantages_that_disagree_make_it_degraded(void **state)
{
	struct fixture *f = *state;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_UP, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_UP);
	take(f, "c1", "a2", FAMILY_V4, 0, OUTCOME_DOWN, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_DEGRADED);
	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_DOWN, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_DOWN);
	take(f, "c1", "a2", FAMILY_V4, 0, OUTCOME_UNKNOWN, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_DOWN);
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s1")->now.since, NOW - 1000 * NS_PER_S);
}

static void what_is_down_as_a_whole_is_down_whatever_parts_are_up(void **state)
{
	struct fixture *f = *state;

	take(f, "c2", "a1", FAMILY_V6, 0, OUTCOME_DOWN, 1);
	take(f, "c2", "a1", FAMILY_V6, 1, OUTCOME_UP, 1);
	take(f, "c2", "a1", FAMILY_V4, 0, OUTCOME_UP, 1);
	take(f, "c2", "a1", FAMILY_V4, 1, OUTCOME_DOWN, 1);
	model_settle(f->model, NOW);
	assert_int_equal(model_check(f->model, "c2")->families[MODEL_V6], MODEL_DOWN);
	assert_int_equal(model_check(f->model, "c2")->families[MODEL_V4], MODEL_DEGRADED);
}

static void unknown_is_never_shown_as_up(void **state)
{
	struct fixture *f = *state;

	/* One check is up in both families, the other not heard of. */
	take(f, "c2", "a1", FAMILY_V4, 0, OUTCOME_UP, 1);
	take(f, "c2", "a1", FAMILY_V6, 0, OUTCOME_UP, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s2"), MODEL_UNKNOWN);
	take(f, "c3", "a1", FAMILY_V4, 0, OUTCOME_UP, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s2"), MODEL_UNKNOWN);
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s2")->now.families[MODEL_V4], MODEL_UP);
	take(f, "c3", "a1", FAMILY_V6, 0, OUTCOME_UP, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s2"), MODEL_UP);
}

static void one_family_down_is_degraded(void **state)
{
	struct fixture *f = *state;

	take(f, "c4", "a1", FAMILY_V4, 0, OUTCOME_UP, 1);
	take(f, "c4", "a1", FAMILY_V6, 0, OUTCOME_DOWN, 1);
	assert_int_equal(state_of(f, SUBJECT_LINK, "l1"), MODEL_DEGRADED);
	assert_ptr_equal(model_site(f->model, "county")->link, model_subject(f->model, SUBJECT_LINK, "l1"));
}

static void an_outcome_grows_old(void **state)
{
	struct fixture *f = *state;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_UP, 199);
	take(f, "c1", "a2", FAMILY_V4, 0, OUTCOME_UP, 100000);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_UP);
	assert_true(model_settle(f->model, NOW + 2 * NS_PER_S));
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s1")->now.state, MODEL_UNKNOWN);
	assert_false(model_settle(f->model, NOW + 3 * NS_PER_S));
}

/* The collector's clock was put back an hour. */
static void an_outcome_of_a_time_that_is_not_yet_is_unknown(void **state)
{
	struct fixture *f = *state;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_UP, -100);
	take(f, "c1", "a2", FAMILY_V4, 0, OUTCOME_UP, -100);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_UP);
	take(f, "c4", "a1", FAMILY_V4, 0, OUTCOME_UP, 3605);
	assert_true(model_settle(f->model, NOW - 3600 * NS_PER_S));
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s1")->now.state, MODEL_UNKNOWN);
	assert_int_equal(model_newest(f->model), NOW - 3605 * NS_PER_S);
}

static void an_address_that_is_gone_does_not_count(void **state)
{
	struct fixture *f = *state;

	take(f, "c1", "a1", FAMILY_V4, 1, OUTCOME_DOWN, 90000);
	take(f, "c1", "a1", FAMILY_V4, 2, OUTCOME_UP, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_UP);
	assert_true(model_check(f->model, "c1")->rows[0].is_gone);
	take(f, "c1", "a1", FAMILY_V4, 1, OUTCOME_DOWN, 1);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_DEGRADED);
}

static void rows_of_other_inventories_are_left_out(void **state)
{
	struct fixture *f = *state;

	assert_false(take(f, "c9", "a1", FAMILY_V4, 0, OUTCOME_DOWN, 1));
	assert_false(take(f, "c2", "a2", FAMILY_V4, 0, OUTCOME_DOWN, 1));
	assert_int_equal(model_rows(f->model), 0);
}

static void only_what_changed_gets_a_version(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_UP, 50);
	model_settle(f->model, NOW);
	before = model_version(f->model);
	/* The same again, newer: only its time is another one. */
	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_UP, 1);
	assert_false(model_settle(f->model, NOW));
	assert_int_equal(model_version(f->model), before);
	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_DOWN, 0);
	assert_true(model_settle(f->model, NOW));
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s1")->changed, before + 1);
	assert_true(model_subject(f->model, SUBJECT_SYSTEM, "s2")->changed <= before);
}

static void what_a_host_says_of_itself_stands_for_both_families(void **state)
{
	struct fixture *f = *state;

	assert_true(take(f, "c1", "a1", FAMILY_NONE, 0, OUTCOME_DOWN, 1));
	model_settle(f->model, NOW);
	assert_int_equal(model_check(f->model, "c1")->families[MODEL_V4], MODEL_DOWN);
}

static void an_agent_is_lost_when_all_it_said_is_old(void **state)
{
	struct fixture *f = *state;
	size_t n;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_UP, 1);
	model_settle(f->model, NOW);
	assert_false(model_agents(f->model, &n)[0].is_lost);
	assert_true(model_agents(f->model, &n)[1].is_lost);
	model_settle(f->model, NOW + 1000 * NS_PER_S);
	assert_true(model_agents(f->model, &n)[0].is_lost);
	assert_int_equal(model_agents(f->model, &n)[0].seen, NOW - NS_PER_S);
}

/* Stopped for two hours: what is shown is unknown, as nobody measured for us; yet no agent is called lost. */
static void nobody_is_lost_to_a_collector_that_was_stopped(void **state)
{
	const int64_t back = NOW + 7200 * NS_PER_S;
	struct fixture *f = *state;
	struct model *m;
	size_t n;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_UP, 1);
	m = model_new(f->inventory, f->model);
	model_set_opened(m, back);
	model_settle(m, back + NS_PER_S);
	assert_int_equal(model_subject(m, SUBJECT_SYSTEM, "s1")->now.state, MODEL_UNKNOWN);
	assert_false(model_agents(m, &n)[0].is_lost);
	assert_true(model_agents(m, &n)[1].is_lost); /* never heard */
	model_settle(m, back + 319 * NS_PER_S);
	assert_false(model_agents(m, &n)[0].is_lost);
	model_settle(m, back + 321 * NS_PER_S);
	assert_true(model_agents(m, &n)[0].is_lost);
	model_free(m);
}

static void a_new_generation_keeps_what_is_known(void **state)
{
	struct fixture *f = *state;
	struct model *next;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_DOWN, 1);
	model_settle(f->model, NOW);
	next = model_new(f->inventory, f->model);
	model_settle(next, NOW);
	assert_int_equal(model_subject(next, SUBJECT_SYSTEM, "s1")->now.state, MODEL_DOWN);
	assert_true(model_version(next) > model_version(f->model));
	model_free(next);
}

static void a_unit_is_as_its_worst_system(void **state)
{
	struct fixture *f = *state;
	size_t counts[MODEL_STATES];
	uint64_t changed;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_DOWN, 1);
	model_settle(f->model, NOW);
	assert_int_equal(model_unit_state(f->model, &f->inventory->units[0], counts, &changed), MODEL_DOWN);
	assert_int_equal(counts[MODEL_DOWN], 1);
	assert_int_equal(counts[MODEL_UNKNOWN], 1);
	assert_int_equal(model_unit_state(f->model, &f->inventory->units[1], counts, &changed), MODEL_NONE);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, finish)

/* ---- judgement */

static void judge(struct fixture *f, const char *subject, enum model_state state, enum model_state v4, enum model_state v6)
{
	model_judge(f->model, subject, &(struct model_judgement){.state = state, .families = {v4, v6}, .since = NOW - 5});
}

static void judgement_has_the_last_word_on_subjects(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_DOWN, 10);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_DOWN);
	assert_false(model_is_judged(f->model));
	model_judge_begin(f->model);
	judge(f, "system/s1", MODEL_UP, MODEL_UP, MODEL_NONE);
	judge(f, "system/s2", MODEL_MAINTENANCE, MODEL_DOWN, MODEL_UP);
	judge(f, "system/nobody", MODEL_UP, MODEL_UP, MODEL_UP);
	model_judged_up_to(f->model, NOW - 2 * NS_PER_S);
	before = model_version(f->model);
	assert_true(model_settle(f->model, NOW));
	assert_true(model_is_judged(f->model));
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_UP);
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s1")->now.since, NOW - 5);
	assert_true(model_subject(f->model, SUBJECT_SYSTEM, "s1")->changed > before);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s2"), MODEL_MAINTENANCE);
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s2")->now.families[MODEL_V4], MODEL_DOWN);
	assert_int_equal(state_of(f, SUBJECT_LINK, "l1"), MODEL_NONE); /* it says nothing of it */
	/* The check below still tells what was measured. */
	assert_int_equal(model_check(f->model, "c1")->families[MODEL_V4], MODEL_DOWN);
	/* The same again is no change. */
	model_judged_up_to(f->model, NOW - NS_PER_S);
	assert_false(model_settle(f->model, NOW));
}

static void without_judgement_the_latest_outcomes_are_shown(void **state)
{
	struct fixture *f = *state;

	take(f, "c1", "a1", FAMILY_V4, 0, OUTCOME_DOWN, 10);
	model_judge_begin(f->model);
	judge(f, "system/s1", MODEL_UP, MODEL_UP, MODEL_NONE);
	model_judged_up_to(f->model, NOW - MODEL_UNJUDGED);
	assert_int_equal(state_of(f, SUBJECT_SYSTEM, "s1"), MODEL_UP);
	assert_true(model_settle(f->model, NOW + 1));
	assert_false(model_is_judged(f->model));
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s1")->now.state, MODEL_DOWN);
	model_judged_up_to(f->model, NOW);
	assert_true(model_settle(f->model, NOW + 1));
	assert_int_equal(model_subject(f->model, SUBJECT_SYSTEM, "s1")->now.state, MODEL_UP);
}

static void judgement_survives_a_reload(void **state)
{
	struct fixture *f = *state;
	struct model *next;

	model_judge_begin(f->model);
	judge(f, "system/s1", MODEL_DEGRADED, MODEL_UP, MODEL_DOWN);
	model_judged_up_to(f->model, NOW);
	model_settle(f->model, NOW);
	next = model_new(f->inventory, f->model);
	model_settle(next, NOW);
	assert_true(model_is_judged(next));
	assert_int_equal(model_subject(next, SUBJECT_SYSTEM, "s1")->now.state, MODEL_DEGRADED);
	model_free(next);
}

static void maintenance_worries_less_than_unknown(void **state)
{
	struct fixture *f = *state;
	size_t counts[MODEL_STATES];
	uint64_t changed;

	model_judge_begin(f->model);
	judge(f, "system/s1", MODEL_UP, MODEL_UP, MODEL_NONE);
	judge(f, "system/s2", MODEL_MAINTENANCE, MODEL_DOWN, MODEL_DOWN);
	model_judged_up_to(f->model, NOW);
	model_settle(f->model, NOW);
	assert_int_equal(model_unit_state(f->model, &f->inventory->units[0], counts, &changed), MODEL_MAINTENANCE);
	model_judge_begin(f->model);
	judge(f, "system/s1", MODEL_UNKNOWN, MODEL_UNKNOWN, MODEL_NONE);
	judge(f, "system/s2", MODEL_MAINTENANCE, MODEL_DOWN, MODEL_DOWN);
	model_settle(f->model, NOW);
	assert_int_equal(model_unit_state(f->model, &f->inventory->units[0], counts, &changed), MODEL_UNKNOWN);
	assert_int_equal(counts[MODEL_MAINTENANCE], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(nothing_heard_is_unknown_and_nothing_checked_is_none),
		test(vantages_that_disagree_make_it_degraded),
		test(what_is_down_as_a_whole_is_down_whatever_parts_are_up),
		test(unknown_is_never_shown_as_up),
		test(one_family_down_is_degraded),
		test(an_outcome_grows_old), test(an_outcome_of_a_time_that_is_not_yet_is_unknown),
		test(an_address_that_is_gone_does_not_count),
		test(rows_of_other_inventories_are_left_out),
		test(only_what_changed_gets_a_version),
		test(what_a_host_says_of_itself_stands_for_both_families),
		test(an_agent_is_lost_when_all_it_said_is_old),
		test(nobody_is_lost_to_a_collector_that_was_stopped),
		test(a_new_generation_keeps_what_is_known),
		test(a_unit_is_as_its_worst_system),
		test(judgement_has_the_last_word_on_subjects),
		test(without_judgement_the_latest_outcomes_are_shown),
		test(judgement_survives_a_reload),
		test(maintenance_worries_less_than_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

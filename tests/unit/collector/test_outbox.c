/* Numbers of notices in the outbox, and how long they stay. */
#include "collector/judge/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "lib/err.h"

#define DAY (86400 * NS_PER_S)
#define NOW (20000 * DAY)

static struct incident_intent intent_of(uint64_t key, int64_t at)
{
	return (struct incident_intent){.key = key, .kind = INTENT_PROBLEM, .audience = "", .incident = key, .subject = "system/a",
		.state = STATE_DOWN, .since = at, .at = at, .author = "", .text = "", .reason = "no answer"};
}

static void on_intent(void *ctx, const struct incident_intent *in)
{
	uint64_t *sum = ctx;

	sum[0]++;
	sum[1] += in->key;
}

static int begin(void **state)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	*state = db;
	return 0;
}

static int end(void **state)
{
	return sqlite3_close(*state);
}

static struct outbox *open_it(sqlite3 *db)
{
	struct outbox *o;
	struct err e;

	o = outbox_open(db, &e);
	assert_non_null(o);
	return o;
}

static void a_key_is_of_one_notice_alone(void **state)
{
	struct outbox *o = open_it(*state);
	struct incident_intent in = intent_of(7, NOW);
	uint64_t incident, key;
	struct err e;

	assert_int_equal(outbox_numbers(o, &incident, &key, &e), 0);
	assert_int_equal(key, 0);
	assert_int_equal(outbox_put(o, &in, &e), 0);
	assert_int_equal(outbox_put(o, &in, &e), 0); /* the same again */
	in.at++;
	assert_int_equal(outbox_put(o, &in, &e), -1);
	assert_non_null(strstr(e.text, "notice 7 is another one"));
	assert_int_equal(outbox_numbers(o, &incident, &key, &e), 0);
	assert_int_equal(key, 7);
	outbox_close(o);
}

static void old_notices_go_and_the_newest_stays(void **state)
{
	struct outbox *o = open_it(*state);
	uint64_t left[2];
	struct err e;

	for (uint64_t key = 1; key <= 300; key++) {
		struct incident_intent in = intent_of(key, key <= 250 ? NOW - 401 * DAY : NOW - 399 * DAY);

		assert_int_equal(outbox_put(o, &in, &e), 0);
	}
	for (int minute = 0; minute < 5; minute++)
		assert_int_equal(outbox_beat(o, NOW + minute * OUTBOX_BEAT, &e), 0);
	memset(left, 0, sizeof left);
	assert_int_equal(outbox_intents(o, 0, on_intent, left, &e), 0);
	assert_int_equal(left[0], 50);
	assert_int_equal(left[1], (251 + 300) * 25);
	for (int minute = 0; minute < 5; minute++)
		assert_int_equal(outbox_beat(o, NOW + 400 * DAY + minute * OUTBOX_BEAT, &e), 0);
	memset(left, 0, sizeof left);
	assert_int_equal(outbox_intents(o, 0, on_intent, left, &e), 0);
	assert_int_equal(left[0], 1);
	assert_int_equal(left[1], 300);
	outbox_close(o);
}

static void state_of(struct incidents *all, const char *subject, enum state state, int64_t at)
{
	const struct incident_event e = {.kind = INCIDENT_STATE, .subject = subject, .state = state,
		.faults = state == STATE_DOWN ? FAULT_V4 : 0, .since = at, .measured = at, .reason = ""};
	struct err why;

	assert_int_equal(incidents_step(all, &e, at, &why), 0);
}

static void on_incident(void *ctx, const struct outbox_incident *i)
{
	size_t *count = ctx;

	(*count)++;
	assert_string_equal(i->affected, "link/a system/x site/s");
	assert_int_equal(i->affected_count, 3);
}

static void what_comes_and_goes_is_affected_once(void **state)
{
	struct topology *t = topology_new();
	struct incidents *all = incidents_new(&(struct incident_settings){0});
	struct outbox *o = open_it(*state);
	size_t count = 0;
	struct err e;

	topology_add(t, &(struct topology_node){.id = "link/a", .unit = "", .interval = 60 * NS_PER_S, .measured = FAULT_V4});
	topology_add(t, &(struct topology_node){.id = "site/s", .unit = "", .interval = 60 * NS_PER_S, .measured = FAULT_V4});
	topology_add(t, &(struct topology_node){.id = "system/x", .unit = "u", .interval = 60 * NS_PER_S, .measured = FAULT_V4});
	topology_need(t, 1, 0, 0);
	topology_need(t, 2, 0, 0);
	assert_int_equal(topology_seal(t, &e), 0);
	incidents_topology(all, t, NOW);
	state_of(all, "link/a", STATE_DOWN, NOW);
	for (int i = 1; i < 7; i++) {
		state_of(all, "site/s", i % 2 == 1 ? STATE_DOWN : STATE_UP, NOW + i * NS_PER_S);
		state_of(all, "system/x", i % 2 == 1 ? STATE_DOWN : STATE_UP, NOW + i * NS_PER_S);
	}
	assert_int_equal(outbox_note(o, all, 1, &e), 0);
	assert_int_equal(outbox_incidents(o, true, 0, on_incident, &count, &e), 0);
	assert_int_equal(count, 1);
	outbox_close(o);
	incidents_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_key_is_of_one_notice_alone, begin, end),
		cmocka_unit_test_setup_teardown(old_notices_go_and_the_newest_stays, begin, end),
		cmocka_unit_test_setup_teardown(what_comes_and_goes_is_affected_once, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

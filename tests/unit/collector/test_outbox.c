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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_key_is_of_one_notice_alone, begin, end),
		cmocka_unit_test_setup_teardown(old_notices_go_and_the_newest_stays, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "probes/catalog_heartbeat.h"
#include "probes/heartbeat.h"
#include "tests/unit/probes/one_run.h"

static struct heartbeat_seen seen;

static bool ask(void *ctx, const char *window, struct heartbeat_seen *out)
{
	(void)ctx;
	if (strcmp(window, "window-1") != 0)
		return false;
	*out = seen;
	return true;
}

/* Heard so long ago. */
static void set_seen(int64_t ago, bool is_up, const char *text)
{
	seen = (struct heartbeat_seen){.listening = clock_mono() - 3600 * NS_PER_S, .heard = clock_mono() - ago, .is_up = is_up,
		.family = FAMILY_V6, .has_clock = true, .clock = -1.5, .reports = 2, .missed = 1};
	snprintf(seen.text, sizeof seen.text, "%s", text);
}

static void the_newest_report_is_the_result(void **state)
{
	struct one_run o;

	(void)state;
	one_run_open(&o);
	o.env.heartbeat = ask;
	set_seen(20 * NS_PER_S, true, "");
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  up");
	assert_true(one_run_value(&o, 0, HEARTBEAT_AGE) >= 20 && one_run_value(&o, 0, HEARTBEAT_AGE) < 60);
	assert_true(one_run_value(&o, 0, HEARTBEAT_REPORTS) == 2 && one_run_value(&o, 0, HEARTBEAT_MISSED) == 1);
	assert_true(one_run_value(&o, 0, HEARTBEAT_CLOCK) == -1.5 && one_run_value(&o, 0, HEARTBEAT_FAMILY) == 6);
	set_seen(20 * NS_PER_S, true, "printing");
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  up: printing");
	set_seen(20 * NS_PER_S, false, "no paper");
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  down: no paper");
	set_seen(20 * NS_PER_S, false, "");
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  down: reported down");
	one_run_close(&o);
}

static void silence_is_unknown(void **state)
{
	struct one_run o;

	(void)state;
	one_run_open(&o);
	o.env.heartbeat = ask;
	set_seen(180 * NS_PER_S, false, "no paper");
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  unknown: silent for 3m");
	one_run_of(&o, &heartbeat_probe, "window=window-1", "silent=10m");
	assert_lines(&o, "-  down: no paper");
	seen = (struct heartbeat_seen){.listening = clock_mono() - 12 * NS_PER_S};
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  unknown: no report yet, listening for 12s");
	assert_true(isnan(one_run_value(&o, 0, HEARTBEAT_AGE)));
	one_run_close(&o);
}

static void silence_while_others_are_heard_is_down(void **state)
{
	struct one_run o;

	(void)state;
	one_run_open(&o);
	o.env.heartbeat = ask;
	set_seen(600 * NS_PER_S, true, "");
	seen.missing = 539 * NS_PER_S;
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  unknown: silent for 10m");
	seen.missing = 540 * NS_PER_S;
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  down: silent for 10m, others are heard");
	one_run_of(&o, &heartbeat_probe, "window=window-1", "down_after=541s");
	assert_lines(&o, "-  unknown: silent for 10m");
	seen.heard = 0;
	one_run_of(&o, &heartbeat_probe, "window=window-1", "silent=1m", "down_after=9m");
	assert_lines(&o, "-  down: no report yet, listening for 1h, others are heard");
	one_run_close(&o);
}

static void who_is_not_heard_here_is_unknown(void **state)
{
	struct one_run o;

	(void)state;
	one_run_open(&o);
	one_run_of(&o, &heartbeat_probe, "window=window-1");
	assert_lines(&o, "-  unknown: only an agent at work hears reports");
	o.env.heartbeat = ask;
	one_run_of(&o, &heartbeat_probe, "window=window-2");
	assert_lines(&o, "-  unknown: this agent knows no window \"window-2\" (heartbeat in agent.conf)");
	one_run_close(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_report_is_the_result),
		cmocka_unit_test(silence_is_unknown),
		cmocka_unit_test(silence_while_others_are_heard_is_down),
		cmocka_unit_test(who_is_not_heard_here_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

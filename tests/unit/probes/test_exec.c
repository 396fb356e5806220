#include "probes/exec.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "probes/catalog_exec.h"
#include "tests/unit/probes/one_run.h"

/* Another process, played: each call ends soon in the way that the test wants, or never. */
struct exec_call {
	struct fake *fake;
	struct event *event;
	void (*on_end)(void *, const struct exec_end *);
	void *ctx;
};

static struct fake {
	struct one_run run;
	struct exec_end end;
	bool never, waits;
	long delay_ms; /* until it ends, of which nothing is its own */
	const char *refused; /* words of a call that cannot be made */
	unsigned calls, cancelled;
	char asked[4096]; /* "plugin[arg][arg]" of each call, a space between them */
} fake;

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct exec_call *c = ctx;

	(void)fd, (void)what;
	event_free(c->event);
	c->on_end(c->ctx, &c->fake->end);
	free(c);
}

static struct exec_call *start(void *ctx, const struct exec_request *q,
	void (*on_end)(void *, const struct exec_end *), void *call_ctx, struct err *e)
{
	struct exec_call *c = mem_alloc(sizeof *c);
	size_t n = strlen(fake.asked);

	(void)ctx;
	n += (size_t)snprintf(fake.asked + n, sizeof fake.asked - n, "%s%s", n > 0 ? " " : "", q->plugin);
	for (size_t i = 0; i < q->count; i++)
		n += (size_t)snprintf(fake.asked + n, sizeof fake.asked - n, "[%s]", q->args[i]);
	fake.calls++;
	if (fake.refused != NULL) {
		err_set(e, "%s", fake.refused);
		free(c);
		return NULL;
	}
	*c = (struct exec_call){&fake, NULL, on_end, call_ctx};
	c->event = event_new(fake.run.base, -1, 0, on_event, c);
	if (fake.delay_ms > 0)
		event_add(c->event, &(struct timeval){fake.delay_ms / 1000, fake.delay_ms % 1000 * 1000});
	else if (!fake.never)
		event_active(c->event, EV_TIMEOUT, 0);
	return c;
}

static bool cancel(void *ctx, struct exec_call *c)
{
	(void)ctx;
	fake.cancelled++;
	event_free(c->event);
	free(c);
	return !fake.waits;
}

static int begin(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof fake);
	one_run_open(&fake.run);
	fake.run.env.exec_start = start;
	fake.run.env.exec_cancel = cancel;
	return 0;
}

static int end(void **state)
{
	(void)state;
	one_run_close(&fake.run);
	return 0;
}

static void ends(enum exec_how how, int status, const char *out, const char *err)
{
	fake.end = (struct exec_end){.how = how, .status = status, .elapsed = 250 * NS_PER_MS,
		.out = (const uint8_t *)out, .out_len = strlen(out), .err = (const uint8_t *)err, .err_len = strlen(err)};
}

static void the_four_states_are_told_apart(void **state)
{
	struct one_run *o = &fake.run;

	(void)state;
	ends(EXEC_EXITED, 0, "OK - fine\n", "");
	one_run_of(o, &exec_probe, "plugin=check_x");
	assert_lines(o, "-  up");
	assert_true(one_run_value(o, 0, EXEC_STATE) == 0 && one_run_value(o, 0, EXEC_TIME) == 0.25);
	ends(EXEC_EXITED, 1, "WARNING - soon\n", "");
	one_run_of(o, &exec_probe, "plugin=check_x");
	assert_lines(o, "-  up: WARNING - soon");
	assert_true(one_run_value(o, 0, EXEC_STATE) == 1);
	ends(EXEC_EXITED, 2, "CRITICAL - 100% | a=1\n", "");
	one_run_of(o, &exec_probe, "plugin=check_x");
	assert_string_equal(o->lines[0], "-  down: CRITICAL - 100%");
	assert_true(one_run_value(o, 0, EXEC_STATE) == 2);
	ends(EXEC_EXITED, 3, "UNKNOWN - what?\n", "");
	one_run_of(o, &exec_probe, "plugin=check_x");
	assert_lines(o, "-  unknown: UNKNOWN - what?");
	assert_true(one_run_value(o, 0, EXEC_STATE) == 3);
}

static void long_output_stands_behind_the_first_line(void **state)
{
	struct one_run *o = &fake.run;
	char text[700];

	(void)state;
	ends(EXEC_EXITED, 2, "CRITICAL - 2 of 3 | n=2\nmail: silent\nweb: 503\n", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_string_equal(o->lines[0], "-  down: CRITICAL - 2 of 3 / mail: silent web: 503");
	ends(EXEC_EXITED, 3, "\nno first line\n", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: no first line");
	snprintf(text, sizeof text, "short\n%0600d\n", 7);
	ends(EXEC_EXITED, 2, text, "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_int_equal(strlen(o->reasons[0]), SAMPLE_TEXT_MAX);
	assert_memory_equal(o->reasons[0], "short / 000", 11);
}

static void what_is_no_state_is_unknown(void **state)
{
	struct one_run *o = &fake.run;

	(void)state;
	ends(EXEC_EXITED, 127, "", "\nsh: not found\n");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: exit status 127 is none of a plugin: sh: not found");
	assert_true(isnan(one_run_value(o, 0, EXEC_STATE)));
	ends(EXEC_SIGNALLED, SIGSEGV, "", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: the plugin was ended by signal 11 (Segmentation fault): it wrote nothing");
	ends(EXEC_LATE, 0, "OK\n", "");
	o->timeout = 2 * NS_PER_S;
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: the plugin did not end within 2s, it was killed");
	ends(EXEC_FLOODED, 0, "OK\n", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: the plugin wrote without end, it was killed");
	ends(EXEC_FAILED, 0, "", "plugin x is not allowed on this host");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: plugin x is not allowed on this host");
	fake.refused = "the process that starts plugins has ended";
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: the process that starts plugins has ended");
	o->env.exec_start = NULL;
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: no plugin is allowed here");
}

static void performance_data_are_parts_in_base_units(void **state)
{
	struct one_run *o = &fake.run;

	(void)state;
	ends(EXEC_EXITED, 0, "OK | time=20ms;100;200:300;0;1000 '/ x'=2KB;;;0; use=5%;@1:2;~:9 n=3;4: u=U bad\n", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_int_equal(o->count, 6);
	assert_true(one_run_value(o, 0, EXEC_REFUSED) == 1);
	assert_string_equal(o->parts[1], "time [s]");
	assert_true(one_run_value(o, 1, EXEC_PLAIN) == 0.02 && one_run_value(o, 1, EXEC_PLAIN + EXEC_AT_WARN) == 0.1);
	assert_true(one_run_value(o, 1, EXEC_PLAIN + EXEC_AT_CRIT) == 0.3);
	assert_true(one_run_value(o, 1, EXEC_PLAIN + EXEC_AT_CRIT_LOW) == 0.2);
	assert_true(isnan(one_run_value(o, 1, EXEC_PLAIN + EXEC_AT_WARN_LOW)));
	assert_true(one_run_value(o, 1, EXEC_PLAIN + EXEC_AT_MIN) == 0 && one_run_value(o, 1, EXEC_PLAIN + EXEC_AT_MAX) == 1);
	assert_string_equal(o->parts[2], "/ x");
	assert_true(one_run_value(o, 2, EXEC_BYTES) == 2048);
	assert_true(isnan(one_run_value(o, 2, EXEC_BYTES + EXEC_AT_MAX)));
	assert_true(one_run_value(o, 3, EXEC_PLAIN) == 5 && one_run_value(o, 3, EXEC_PLAIN + EXEC_AT_CRIT) == 9);
	assert_true(one_run_value(o, 4, EXEC_PLAIN) == 3 && one_run_value(o, 4, EXEC_PLAIN + EXEC_AT_WARN) == 4);
	assert_string_equal(o->parts[3], "use [%]");
	assert_string_equal(o->lines[5], "-  unknown: the plugin could not take the value");
}

static void a_value_that_could_not_be_taken_is_of_the_same_part(void **state)
{
	struct one_run *o = &fake.run;

	(void)state;
	o->check = "fickle";
	ends(EXEC_EXITED, 0, "OK | time=20ms", "");
	one_run_of(o, &exec_probe, "plugin=x");
	ends(EXEC_EXITED, 3, "UNKNOWN | time=U", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_string_equal(o->parts[1], "time [s]");
	assert_string_equal(o->lines[1], "-  unknown: the plugin could not take the value");
}

static void each_address_is_given_to_a_plugin_of_its_own(void **state)
{
	struct one_run *o = &fake.run;

	(void)state;
	ends(EXEC_EXITED, 2, "no\n", "");
	one_run_of(o, &exec_probe, "plugin=x", "host=name.example", "ipv4=192.0.2.1", "ipv6=2001:db8::1", "args=-H", "args={address}",
		"args=-{family}", "args=--name={host}{host} {x}");
	assert_lines(o, "IPv4 192.0.2.1 down: no", "IPv6 2001:db8::1 down: no");
	assert_string_equal(fake.asked, "x[-H][192.0.2.1][-4][--name=name.examplename.example {x}] "
		"x[-H][2001:db8::1][-6][--name=name.examplename.example {x}]");
	o->forbidden = "192.0.2.9";
	one_run_of(o, &exec_probe, "plugin=x", "host=192.0.2.9", "args={address}");
	assert_lines(o, "IPv4 192.0.2.9 unknown: address is not allowed here");
	assert_int_equal(fake.calls, 2);
}

static void an_argument_that_grows_too_long_is_not_sent(void **state)
{
	struct one_run *o = &fake.run;
	char name[220], host[240], args[1100] = "args=";

	(void)state;
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	for (int i = 0; i < 170; i++)
		memcpy(args + strlen(args), "{host}", 7);
	snprintf(host, sizeof host, "host=%s", name);
	one_run_of(o, &exec_probe, "plugin=x", host, "ipv4=192.0.2.1", "ipv6=::1", args);
	assert_lines(o, "IPv4 192.0.2.1 unknown: argument 1 is too long with the address in it",
		"IPv6 ::1 unknown: argument 1 is too long with the address in it");
	assert_int_equal(fake.calls, 0);
}

static void at_the_deadline_it_is_cancelled_and_unknown(void **state)
{
	struct one_run *o = &fake.run;

	(void)state;
	fake.never = true;
	o->timeout = 20 * NS_PER_MS;
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: the plugin did not end within 20ms, it was killed");
	assert_int_equal(fake.cancelled, 1);
	fake.waits = true;
	one_run_of(o, &exec_probe, "plugin=x");
	assert_lines(o, "-  unknown: other plugins had all places for 20ms");
	assert_int_equal(fake.cancelled, 2);
}

static void a_cancelled_run_cancels_its_call(void **state)
{
	struct one_run *o = &fake.run;
	struct run_group *g;

	(void)state;
	fake.never = true;
	g = one_run_begin(o, &exec_probe, (const char *const[]){"plugin=x", NULL});
	while (fake.calls == 0)
		event_base_loop(o->base, EVLOOP_ONCE);
	run_group_cancel(g);
	assert_int_equal(fake.cancelled, 1);
}

static void a_counter_gives_a_rate_from_its_second_run_on(void **state)
{
	struct one_run *o = &fake.run;
	double rate;

	(void)state;
	o->check = "counted";
	ends(EXEC_EXITED, 0, "OK | n=100c", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_true(isnan(one_run_value(o, 1, EXEC_RATE)) && one_run_value(o, 1, EXEC_PLAIN) == 100);
	ends(EXEC_EXITED, 0, "OK | n=200c", "");
	one_run_of(o, &exec_probe, "plugin=x");
	rate = one_run_value(o, 1, EXEC_RATE);
	assert_true(rate > 0);
	ends(EXEC_EXITED, 0, "OK | n=50c", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_true(isnan(one_run_value(o, 1, EXEC_RATE)));
}

/* What it waited for a place is no time of the counter: told by when the runs began, this would be a thousand times as much. */
static void the_rate_of_a_counter_is_by_the_time_that_the_plugin_ran(void **state)
{
	struct one_run *o = &fake.run;

	(void)state;
	o->check = "waited";
	ends(EXEC_EXITED, 0, "OK | n=100c", "");
	fake.end.elapsed = 0;
	one_run_of(o, &exec_probe, "plugin=x");
	fake.delay_ms = 200;
	ends(EXEC_EXITED, 0, "OK | n=200c", "");
	fake.end.elapsed = 0;
	one_run_of(o, &exec_probe, "plugin=x");
	assert_true(one_run_value(o, 1, EXEC_RATE) > 0 && one_run_value(o, 1, EXEC_RATE) <= 500);
}

/* One series has one source. */
static void labels_that_say_the_same_are_told_once(void **state)
{
	struct one_run *o = &fake.run;

	(void)state;
	ends(EXEC_EXITED, 0, "OK | time=1s 'time [s]'=2 time=3 n=4 n=5c", "");
	one_run_of(o, &exec_probe, "plugin=x");
	assert_int_equal(o->count, 3);
	assert_string_equal(o->parts[1], "time [s]");
	assert_true(one_run_value(o, 1, EXEC_PLAIN) == 1);
	assert_string_equal(o->parts[2], "n");
	assert_true(one_run_value(o, 0, EXEC_REFUSED) == 3);
}

static void refused(const char *words, const char *const *texts)
{
	struct config_pair items[8];
	struct config_pairs pairs = {.items = items};
	struct arena *a = arena_new();
	void *options;
	struct err e;

	for (; texts[pairs.count] != NULL; pairs.count++) {
		char *key = arena_strdup(a, texts[pairs.count]), *equals = strchr(key, '=');

		*equals = '\0';
		items[pairs.count] = (struct config_pair){.key = key, .value = equals + 1};
	}
	assert_int_equal(catalog_options(&catalog_exec, &pairs, a, &options, &e), -1);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
	arena_free(a);
}

static void options_that_make_no_sense_are_told(void **state)
{
	(void)state;
	refused("plugin must be given", (const char *const[]){"args=x", NULL});
	refused("is not the name of a plugin", (const char *const[]){"plugin=../x", NULL});
	refused("is not the name of a plugin", (const char *const[]){"plugin=/bin/sh", NULL});
	refused("is not the name of a plugin", (const char *const[]){"plugin=.x", NULL});
	refused("{address} stands for what belongs to a host", (const char *const[]){"plugin=x", "args={address}", NULL});
	refused("none says {address}", (const char *const[]){"plugin=x", "host=a", "args=b", NULL});
	refused("give host as well", (const char *const[]){"plugin=x", "ipv4=192.0.2.1", NULL});
	refused("is an address already", (const char *const[]){"plugin=x", "host=::1", "ipv4=192.0.2.1", "args={address}", NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_four_states_are_told_apart, begin, end),
		cmocka_unit_test_setup_teardown(long_output_stands_behind_the_first_line, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_state_is_unknown, begin, end),
		cmocka_unit_test_setup_teardown(performance_data_are_parts_in_base_units, begin, end),
		cmocka_unit_test_setup_teardown(a_value_that_could_not_be_taken_is_of_the_same_part, begin, end),
		cmocka_unit_test_setup_teardown(each_address_is_given_to_a_plugin_of_its_own, begin, end),
		cmocka_unit_test_setup_teardown(an_argument_that_grows_too_long_is_not_sent, begin, end),
		cmocka_unit_test_setup_teardown(at_the_deadline_it_is_cancelled_and_unknown, begin, end),
		cmocka_unit_test_setup_teardown(a_cancelled_run_cancels_its_call, begin, end),
		cmocka_unit_test_setup_teardown(a_counter_gives_a_rate_from_its_second_run_on, begin, end),
		cmocka_unit_test_setup_teardown(the_rate_of_a_counter_is_by_the_time_that_the_plugin_ran, begin, end),
		cmocka_unit_test_setup_teardown(labels_that_say_the_same_are_told_once, begin, end),
		cmocka_unit_test(options_that_make_no_sense_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

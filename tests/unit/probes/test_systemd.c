/* The probe type systemd: what it makes of an answer, of none, and of words. Who asks is played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/systemd.h"
#include "probes/host/types.h"
#include "tests/unit/probes/one_run.h"

/* Plays the process that asks: answers on the next turn of the loop. */
struct fixture {
	struct one_run one;
	const char *refusal;  /* why it is not asked at all */
	const char *why;      /* answered instead of units */
	bool is_silent;
	struct systemd_units units;
	char asked[1024];
	void (*on_end)(void *, const struct systemd_units *, const char *);
	void *call_ctx;
	struct event *timer;
	size_t cancelled;
};

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct fixture *f = ctx;

	(void)fd, (void)what;
	f->on_end(f->call_ctx, f->why == NULL ? &f->units : NULL, f->why);
}

static struct systemd_call *ask(void *ctx, const struct systemd_request *q,
	void (*on_end)(void *, const struct systemd_units *, const char *), void *call_ctx, struct err *e)
{
	struct fixture *f = ctx;
	const struct timeval now = {0, 0};

	if (f->refusal != NULL) {
		err_set(e, "%s", f->refusal);
		return NULL;
	}
	f->asked[0] = '\0';
	for (size_t i = 0; i < q->count; i++)
		snprintf(f->asked + strlen(f->asked), sizeof f->asked - strlen(f->asked), "%s ", q->names[i]);
	f->on_end = on_end;
	f->call_ctx = call_ctx;
	if (!f->is_silent)
		evtimer_add(f->timer, &now);
	return (struct systemd_call *)f;
}

static void cancel(void *ctx, struct systemd_call *call)
{
	struct fixture *f = ctx;

	assert_ptr_equal(call, f);
	f->cancelled++;
	evtimer_del(f->timer);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	one_run_open(&f->one);
	/* The env is the runner's already; its context is that of the fixture's first member. */
	f->one.env.systemd_ask = ask;
	f->one.env.systemd_cancel = cancel;
	f->timer = evtimer_new(f->one.base, on_turn, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	event_free(f->timer);
	one_run_close(&f->one);
	free(f);
	return 0;
}

static void set_unit(struct systemd_unit *u, const char *name, const char *load, const char *active, const char *sub)
{
	snprintf(u->name, sizeof u->name, "%s", name);
	snprintf(u->load, sizeof u->load, "%s", load);
	snprintf(u->active, sizeof u->active, "%s", active);
	snprintf(u->sub, sizeof u->sub, "%s", sub);
}

static void add_failed(struct fixture *f, const char *name)
{
	uint32_t i = f->units.failed_count++;

	if (i < SYSTEMD_FAILED_MAX)
		set_unit(&f->units.failed[i], name, "loaded", "failed", "failed");
}

static void without_failed_units_it_is_up(void **state)
{
	struct fixture *f = *state;

	one_run_of(&f->one, &systemd_probe, NULL);
	assert_lines(&f->one, "-  up");
	assert_true(one_run_value(&f->one, 0, SYSTEMD_FAILED) == 0);
	assert_string_equal(f->asked, "");
}

static void failed_units_are_down_and_named(void **state)
{
	struct fixture *f = *state;

	add_failed(f, "nginx.service");
	one_run_of(&f->one, &systemd_probe, NULL);
	assert_lines(&f->one, "-  down: 1 unit failed: nginx.service");
	add_failed(f, "data.mount");
	one_run_of(&f->one, &systemd_probe, NULL);
	assert_lines(&f->one, "-  down: 2 units failed: nginx.service, data.mount");
	assert_true(one_run_value(&f->one, 0, SYSTEMD_FAILED) == 2);
}

static void of_many_the_first_are_named(void **state)
{
	struct fixture *f = *state;
	char name[64];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "a-unit-with-a-long-name-%03d.service", i);
		add_failed(f, name);
	}
	one_run_of(&f->one, &systemd_probe, "ignore=*-00?.service");
	assert_lines(&f->one, "-  down: 90 units failed: a-unit-with-a-long-name-010.service, "
		"a-unit-with-a-long-name-011.service, a-unit-with-a-long-name-012.service and 87 more");
	assert_true(one_run_value(&f->one, 0, SYSTEMD_FAILED) == 90);
}

static void units_that_are_ignored_are_not_counted(void **state)
{
	struct fixture *f = *state;

	add_failed(f, "kdump.service");
	add_failed(f, "user@1000.service");
	one_run_of(&f->one, &systemd_probe, "ignore=kdump.service", "ignore=user@*");
	assert_lines(&f->one, "-  up");
	assert_true(one_run_value(&f->one, 0, SYSTEMD_FAILED) == 0);
}

static void named_units_must_be_active(void **state)
{
	struct fixture *f = *state;

	f->units.named_count = 6;
	set_unit(&f->units.named[0], "sshd.service", "loaded", "active", "running");
	set_unit(&f->units.named[1], "nginx.service", "loaded", "reloading", "reload");
	set_unit(&f->units.named[2], "db.service", "loaded", "activating", "auto-restart");
	set_unit(&f->units.named[3], "gone.service", "not-found", "inactive", "dead");
	set_unit(&f->units.named[4], "off.timer", "masked", "inactive", "dead");
	set_unit(&f->units.named[5], "data.mount", "loaded", "failed", "failed");
	one_run_of(&f->one, &systemd_probe, "names=sshd", "names=nginx.service", "names=db", "names=gone", "names=off.timer",
		"names=data.mount");
	assert_string_equal(f->asked, "sshd.service nginx.service db.service gone.service off.timer data.mount ");
	assert_lines(&f->one, "-  up", "-  up", "-  up", "-  down: activating (auto-restart)", "-  down: there is no such unit",
		"-  down: inactive (dead), its file is \"masked\"", "-  down: failed (failed)");
	assert_string_equal(f->one.results[1].part, "sshd");
	assert_true(one_run_value(&f->one, 1, SYSTEMD_ACTIVE) == 1);
	assert_true(one_run_value(&f->one, 3, SYSTEMD_ACTIVE) == 0);
}

static void what_cannot_be_asked_is_unknown(void **state)
{
	struct fixture *f = *state;

	f->refusal = "this host is not run by systemd";
	one_run_of(&f->one, &systemd_probe, NULL);
	assert_lines(&f->one, "-  unknown: this host is not run by systemd");
	f->refusal = NULL;
	f->why = "the system bus hung up";
	one_run_of(&f->one, &systemd_probe, NULL);
	assert_lines(&f->one, "-  unknown: the system bus hung up");
	f->why = NULL;
	one_run_of(&f->one, &systemd_probe, "names=sshd"); /* told of none */
	assert_lines(&f->one, "-  unknown: systemd told of 0 units, asked for 1");
	f->one.env.systemd_ask = NULL;
	one_run_of(&f->one, &systemd_probe, NULL);
	assert_lines(&f->one, "-  unknown: systemd cannot be asked here");
}

static void no_answer_in_time_is_unknown(void **state)
{
	struct fixture *f = *state;

	f->is_silent = true;
	f->one.timeout = 20 * NS_PER_MS;
	one_run_of(&f->one, &systemd_probe, NULL);
	assert_lines(&f->one, "-  unknown: no answer from systemd within 20ms");
	assert_int_equal(f->cancelled, 1);
	f->one.timeout = 10 * NS_PER_S;
	run_group_cancel(one_run_begin(&f->one, &systemd_probe, (const char *const[]){NULL}));
}

static void names_of_units_are_checked(void **state)
{
	static const struct {
		const char *name, *words;
	} bad[] = {{"getty@.service", "is a template"}, {"getty@", "is a template"}, {"ss*", "no pattern"}, {".service", "not the name"},
		{"a b", "not the name"}, {"/etc", "not the name"}, {"@x.service", "not the name"}};
	struct arena *a = arena_new();
	void *options;
	struct err e;
	char whole[SYSTEMD_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct config_pair pair = {.key = "names", .value = bad[i].name};

		assert_int_equal(catalog_options(&catalog_systemd, &(struct config_pairs){.items = &pair, .count = 1}, a, &options, &e), -1);
		assert_non_null(strstr(e.text, bad[i].words));
	}
	catalog_unit_name("sshd", whole);
	assert_string_equal(whole, "sshd.service");
	catalog_unit_name("dbus-org.freedesktop.login1", whole);
	assert_string_equal(whole, "dbus-org.freedesktop.login1.service");
	catalog_unit_name("srv-data.mount", whole);
	assert_string_equal(whole, "srv-data.mount");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(without_failed_units_it_is_up),
		CASE(failed_units_are_down_and_named),
		CASE(of_many_the_first_are_named),
		CASE(units_that_are_ignored_are_not_counted),
		CASE(named_units_must_be_active),
		CASE(what_cannot_be_asked_is_unknown),
		CASE(no_answer_in_time_is_unknown),
		CASE(names_of_units_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

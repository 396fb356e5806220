/* What is said to the system bus and what it answers: good, cut, hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/bus_packet.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "probes/host/systemd.h"
#include "tests/unit/agent/fake_bus.h"

static const char *const failed[][4] = {{"nginx.service", "loaded", "failed", "failed"}, {"data.mount", "loaded", "failed", "failed"}};
static const char *const named[][4] = {{"sshd.service", "loaded", "active", "running"}, {"gone.service", "not-found", "inactive", "dead"},
	{"db.service", "loaded", "activating", "auto-restart"}};

static struct bus_bytes bytes;
static struct systemd_units units;

static int clear(void **state)
{
	(void)state;
	bytes.len = 0;
	return 0;
}

static void refused_with(size_t names, const char *words)
{
	struct err e;

	assert_int_equal(bus_read_answers(bytes.at, bytes.len, names, &units, &e), BUS_BROKEN);
	if (strstr(e.text, words) == NULL)
		fail_msg("%s", e.text);
}

static void add_ok(void)
{
	bus_bytes_add(&bytes, "OK 12\r\n", 7);
}

static void questions_are_whole_messages(void **state)
{
	static const char auth[] = "\0AUTH EXTERNAL 31303030\r\nBEGIN\r\n";
	const char *const names[] = {"sshd.service", "a.timer"};
	struct buf b = {0};
	size_t at = sizeof auth - 1, count = 0;

	(void)state;
	bus_put_questions(&b, 1000, names, 2);
	assert_memory_equal(b.data, auth, at);
	for (; at < b.len; count++) {
		uint32_t body, fields;

		assert_true(b.len - at >= 16);
		assert_memory_equal(b.data + at, "l\1\2\1", 4);
		memcpy(&body, b.data + at + 4, 4);
		memcpy(&fields, b.data + at + 12, 4);
		at += 16 + (fields + 7) / 8 * 8 + body;
	}
	assert_int_equal(at, b.len);
	assert_int_equal(count, 3);
	/* The last thing is the list: its length, then both names, each at a multiple of four. */
	assert_memory_equal(b.data + b.len - 36, "\40\0\0\0\14\0\0\0sshd.service\0\0\0\0\7\0\0\0a.timer", 36);
	buf_clear(&b);
	bus_put_questions(&b, 0, NULL, 0);
	assert_memory_equal(b.data, "\0AUTH EXTERNAL 30\r\n", 19);
	assert_null(memmem(b.data, b.len, "ByNames", 7));
	buf_fini(&b);
}

static void both_lists_are_read(void **state)
{
	struct err e;

	(void)state;
	bus_bytes_whole(&bytes, failed, 2, named, 3);
	assert_int_equal(bus_read_answers(bytes.at, bytes.len, 3, &units, &e), BUS_DONE);
	assert_int_equal(units.failed_count, 2);
	assert_string_equal(units.failed[1].name, "data.mount");
	assert_int_equal(units.named_count, 3);
	assert_string_equal(units.named[1].load, "not-found");
	assert_string_equal(units.named[2].active, "activating");
	assert_string_equal(units.named[2].sub, "auto-restart");
	bytes.len = 0;
	bus_bytes_whole(&bytes, failed, 0, NULL, 0);
	assert_int_equal(bus_read_answers(bytes.at, bytes.len, 0, &units, &e), BUS_DONE);
	assert_int_equal(units.failed_count, 0);
}

static void what_is_cut_anywhere_is_waited_for(void **state)
{
	struct err e;

	(void)state;
	bus_bytes_whole(&bytes, failed, 2, named, 3);
	for (size_t len = 0; len < bytes.len; len++)
		assert_int_equal(bus_read_answers(bytes.at, len, 3, &units, &e), BUS_MORE);
}

static void more_failed_units_than_are_kept_are_counted(void **state)
{
	static const char *many[500][4];
	static char names[500][16];
	struct err e;

	(void)state;
	for (size_t i = 0; i < 500; i++) {
		memcpy(many[i], failed[0], sizeof failed[0]);
		snprintf(names[i], sizeof names[i], "%zu.service", i);
		many[i][0] = names[i];
	}
	bus_bytes_whole(&bytes, (const char *const (*)[4])many, 500, named, 1);
	assert_int_equal(bus_read_answers(bytes.at, bytes.len, 1, &units, &e), BUS_DONE);
	assert_int_equal(units.failed_count, 500);
	assert_string_equal(units.failed[0].name, "0.service");
	assert_string_equal(units.failed[SYSTEMD_FAILED_MAX - 1].name, "63.service");
	assert_string_equal(units.named[0].name, "sshd.service");
}

static void texts_that_are_too_long_are_cut(void **state)
{
	static char name[1000];
	const char *const unit[1][4] = {{name, "loaded", "failed", name}};
	struct err e;

	(void)state;
	memset(name, 'x', sizeof name - 1);
	bus_bytes_whole(&bytes, unit, 1, NULL, 0);
	assert_int_equal(bus_read_answers(bytes.at, bytes.len, 0, &units, &e), BUS_DONE);
	assert_int_equal(strlen(units.failed[0].name), SYSTEMD_NAME_MAX);
	assert_int_equal(strlen(units.failed[0].sub), sizeof units.failed[0].sub - 1);
}

static void refusals_are_told_in_words(void **state)
{
	(void)state;
	bus_bytes_add(&bytes, "REJECTED EXTERNAL\r\n", 19);
	refused_with(0, "does not let us in");
	bytes.len = 0;
	add_ok();
	bus_bytes_words(&bytes, 3, 2, "org.freedesktop.DBus.Error.AccessDenied", "Rejected send message");
	refused_with(0, "systemd does not answer: Rejected send message");
	bytes.len = 0;
	add_ok();
	bus_bytes_words(&bytes, 3, 3, "org.freedesktop.DBus.Error.UnknownMethod", "Unknown method");
	refused_with(1, "older than 230");
}

static void what_is_not_of_the_protocol_is_refused(void **state)
{
	size_t start;

	(void)state;
	memset(bytes.at, 'x', 600); /* a line without end */
	bytes.len = 600;
	refused_with(0, "does not let us in");
	bytes.len = 0;
	add_ok();
	start = bytes.len;
	bus_bytes_units(&bytes, 2, failed, 2);
	bytes.at[start] = 'B';
	refused_with(0, "does not speak D-Bus");
	bytes.at[start] = 'l';
	bus_bytes_patch(&bytes, start + 4, BUS_ANSWER_MAX + 1); /* a body beyond all bounds is not waited for */
	refused_with(0, "does not speak D-Bus");
	bytes.len = 0;
	add_ok();
	bus_bytes_words(&bytes, 2, 2, NULL, "of another signature");
	refused_with(0, "a form that is not known");
	bytes.len = 0;
	add_ok();
	bus_bytes_units(&bytes, 2, failed, 2);
	bus_bytes_units(&bytes, 3, named, 3);
	refused_with(2, "a form that is not known"); /* three answers of two questions */
}

/* Lengths that lie: of the array, of a text. */
static void lengths_that_lie_are_refused(void **state)
{
	size_t start, body;

	(void)state;
	for (int field = 0; field < 2; field++) {
		bytes.len = 0;
		add_ok();
		start = bytes.len;
		bus_bytes_units(&bytes, 2, failed, 2);
		body = start + 16 + (size_t)(bytes.at[start + 12] + 7) / 8 * 8;
		bytes.at[body + (field == 0 ? 0 : 8) + 1] ^= 0x40;
		refused_with(0, "a form that is not known");
	}
	bytes.len = 0;
	add_ok();
	start = bytes.len;
	bus_bytes_units(&bytes, 2, failed, 2);
	bus_bytes_patch(&bytes, start + 16 + (size_t)(bytes.at[start + 12] + 7) / 8 * 8, 0); /* none, it says, and more follows */
	refused_with(0, "a form that is not known");
}

static void no_bytes_make_it_read_outside(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct err e;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 20000; round++) {
		uint8_t *copy;

		bytes.len = 0;
		bus_bytes_whole(&bytes, failed, 2, named, 3);
		for (int i = rand() % 6; i >= 0; i--)
			bytes.at[(size_t)rand() % bytes.len] = (uint8_t)rand();
		copy = malloc(bytes.len); /* exact, so that a sanitizer sees one byte too many */
		assert_non_null(copy);
		memcpy(copy, bytes.at, bytes.len);
		if (bus_read_answers(copy, bytes.len, 3, &units, &e) == BUS_DONE)
			assert_true(units.named_count <= 3);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup(name, clear)
		CASE(questions_are_whole_messages),
		CASE(both_lists_are_read),
		CASE(what_is_cut_anywhere_is_waited_for),
		CASE(more_failed_units_than_are_kept_are_counted),
		CASE(texts_that_are_too_long_are_cut),
		CASE(refusals_are_told_in_words),
		CASE(what_is_not_of_the_protocol_is_refused),
		CASE(lengths_that_lie_are_refused),
		CASE(no_bytes_make_it_read_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

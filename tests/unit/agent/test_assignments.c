#include "agent/assignments.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/catalog_tcp.h"
#include "probes/probe.h"
#include "probes/run.h"

static char folder[] = "/tmp/xj-assignments-XXXXXX";
static char *path, *kept;

static int begin(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	path = mem_format("%s/agent.conf", folder);
	kept = mem_format("%s/assignments", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	unlink(kept);
	assert_int_equal(rmdir(folder), 0);
	free(path);
	free(kept);
	return 0;
}

static struct agent_settings *settings(const char *checks)
{
	FILE *f = fopen(path, "w");
	struct agent_settings *s;
	struct err e;

	fprintf(f, "id = \"a\";\nchecks = (%s);\n", checks);
	fclose(f);
	s = agent_settings_load(path, &e);
	if (s == NULL)
		fail_msg("%s", e.text);
	return s;
}

struct refused {
	char text[1024];
};

static void on_refused(void *ctx, const char *check, const char *why)
{
	struct refused *r = ctx;
	size_t n = strlen(r->text);

	snprintf(r->text + n, sizeof r->text - n, "%s: %s\n", check, why);
}

#define LOCAL "{ id = \"gate\"; type = \"tcp\"; host = \"192.0.2.1\"; port = 22; interval = \"30s\"; }"

static const struct wire_option ssh[] = {{"host", "gov.example"}, {"port", "22"}};
static const struct wire_check good = {.id = "portal", .type = "tcp", .interval_s = 60, .families = 3,
	.timeout_ms = 5000, .priority = true, .options_count = 2, .options = ssh};

static void local_and_assigned_checks_make_one_set(void **state)
{
	struct agent_settings *s = settings(LOCAL);
	const struct wire_assignments remote = {"a", 77, 1, &good};
	struct refused refused = {""};
	struct assignments *set = assignments_new(s, &remote, on_refused, &refused);

	(void)state;
	agent_settings_free(s); /* the set stands on its own */
	assert_string_equal(refused.text, "");
	assert_int_equal(set->count, 2);
	assert_string_equal(set->checks[0].id, "gate");
	assert_int_equal(set->checks[0].generation, 0);
	assert_int_equal(set->checks[0].interval, 30 * NS_PER_S);
	assert_string_equal(set->checks[1].id, "portal");
	assert_ptr_equal(set->checks[1].type->catalog, &catalog_tcp);
	assert_int_equal(set->checks[1].generation, 77);
	assert_int_equal(set->checks[1].families, RUN_BOTH);
	assert_int_equal(set->checks[1].timeout, 5 * NS_PER_S);
	assert_true(set->checks[1].priority);
	assert_string_equal(((const struct tcp_options *)set->checks[1].options)->host, "gov.example");
	assignments_drop(set);
}

static void a_check_that_cannot_be_done_costs_itself_alone(void **state)
{
	static const struct wire_option bad_port[] = {{"host", "x"}, {"port", "70000"}};
	static const struct wire_option later[] = {{"host", "x"}, {"port", "1"}, {"colour", "red"}};
	static const struct wire_option plugin[] = {{"plugin", "check_x"}};
	struct wire_check checks[] = {good, good, good, good, good, good, good};
	const struct wire_assignments remote = {"a", 77, 7, checks};
	struct agent_settings *s = settings(LOCAL);
	struct refused refused = {""};
	struct assignments *set;

	(void)state;
	checks[0].id = "new";
	checks[0].type = "smoke";
	checks[1].id = "port";
	checks[1].options = bad_port;
	checks[2].id = "later";
	checks[2].options = later;
	checks[2].options_count = 3;
	checks[3].id = "gate";
	checks[4].id = "slow";
	checks[4].timeout_ms = 60001;
	checks[5].id = "patient";
	checks[5].type = "exec";
	checks[5].interval_s = 900;
	checks[5].timeout_ms = 300001;
	checks[5].options = plugin;
	checks[5].options_count = 1;
	set = assignments_new(s, &remote, on_refused, &refused);
	assert_string_equal(refused.text, "new: unknown probe type \"smoke\"\n"
		"port: port: 70000 is outside 1 to 65535\n"
		"later: unknown setting \"colour\": known here are host, ipv4, ipv6, port, send, expect\n"
		"gate: the local list has a check of this id\n"
		"slow: timeout is longer than the interval of 1m\n"
		"patient: timeout is longer than a run of type exec may take: write \"5m\" or less\n");
	assert_int_equal(set->refused, 6);
	assert_int_equal(set->count, 2);
	assert_string_equal(set->checks[1].id, "portal");
	assignments_drop(set);
	agent_settings_free(s);
}

/* What is measured changes the hash, how often does not. */
static void the_hash_is_of_what_is_measured(void **state)
{
	static const struct wire_option other[] = {{"host", "gov.example"}, {"port", "23"}};
	struct wire_check checks[] = {good, good, good, good};
	const struct wire_assignments remote = {"a", 77, 4, checks};
	struct agent_settings *s = settings("");
	struct refused refused = {""};
	struct assignments *set;

	(void)state;
	checks[1].id = "often";
	checks[1].interval_s = 10;
	checks[2].id = "elsewhere";
	checks[2].options = other;
	checks[3].id = "narrow";
	checks[3].families = 1;
	set = assignments_new(s, &remote, on_refused, &refused);
	assert_int_equal(set->count, 4);
	assert_true(set->checks[0].what == set->checks[1].what);
	assert_true(set->checks[0].what != set->checks[2].what);
	assert_true(set->checks[0].what != set->checks[3].what);
	assignments_drop(assignments_hold(set));
	assert_string_equal(set->checks[0].id, "portal"); /* still held */
	assignments_drop(set);
	agent_settings_free(s);
}

static void what_is_kept_is_read_again(void **state)
{
	struct buf out = {0};
	struct err e;

	(void)state;
	unlink(kept);
	assert_int_equal(assignments_read(folder, &out, &e), 0);
	assert_int_equal(assignments_write(folder, "first", 5, &e), 0);
	assert_int_equal(assignments_write(folder, "second one", 10, &e), 0);
	assert_int_equal(assignments_read(folder, &out, &e), 1);
	assert_int_equal(out.len, 10);
	assert_memory_equal(out.data, "second one", 10);
	buf_fini(&out);
}

/* Any byte changed, cut or added is noticed. */
static void what_is_damaged_is_told(void **state)
{
	struct buf out = {0}, whole = {0};
	struct err e;
	int fd;

	(void)state;
	assert_int_equal(assignments_write(folder, "what to do", 10, &e), 0);
	fd = open(kept, O_RDWR);
	buf_reserve(&whole, 64);
	whole.len = (size_t)read(fd, whole.data, 64);
	assert_int_equal(whole.len, 22);
	for (size_t i = 0; i <= whole.len; i++) {
		uint8_t byte = i < whole.len ? (uint8_t)(whole.data[i] ^ 0x10) : 0;

		assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
		assert_int_equal(assignments_read(folder, &out, &e), -1);
		assert_non_null(strstr(e.text, "damaged"));
		assert_int_equal(pwrite(fd, whole.data, whole.len, 0), whole.len);
		assert_int_equal(ftruncate(fd, (off_t)whole.len), 0);
		buf_clear(&out);
	}
	assert_int_equal(assignments_read(folder, &out, &e), 1);
	assert_int_equal(ftruncate(fd, 21), 0);
	buf_clear(&out);
	assert_int_equal(assignments_read(folder, &out, &e), -1);
	close(fd);
	buf_fini(&out);
	buf_fini(&whole);
}

static void a_folder_that_takes_nothing_is_told_and_keeps_the_old(void **state)
{
	char *in_the_way = mem_format("%s.new", kept);
	struct buf out = {0};
	struct err e;

	(void)state;
	assert_int_equal(assignments_write(folder, "old", 3, &e), 0);
	assert_int_equal(assignments_write("/proc/self/no-such-folder", "new", 3, &e), -1);
	assert_int_equal(mkdir(in_the_way, 0700), 0);
	assert_int_equal(assignments_write(folder, "new", 3, &e), -1);
	assert_int_equal(assignments_read(folder, &out, &e), 1);
	assert_memory_equal(out.data, "old", 3);
	rmdir(in_the_way);
	free(in_the_way);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_and_assigned_checks_make_one_set),
		cmocka_unit_test(a_check_that_cannot_be_done_costs_itself_alone),
		cmocka_unit_test(the_hash_is_of_what_is_measured),
		cmocka_unit_test(what_is_kept_is_read_again),
		cmocka_unit_test(what_is_damaged_is_told),
		cmocka_unit_test(a_folder_that_takes_nothing_is_told_and_keeps_the_old),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

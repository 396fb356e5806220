/* Tests of rules, as an operator writes them: what holds, what does not, what is no test. */
#include "collector/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"

#define OUTPUT_MAX 20000

struct fixture {
	char folder[32];
	char *output; /* of the last command, both streams */
};

static int begin(void **state)
{
	static struct fixture f;

	strcpy(f.folder, "/tmp/xj-rules-XXXXXX");
	f.output = NULL;
	assert_non_null(mkdtemp(f.folder));
	*state = &f;
	return 0;
}

static int finish(void **state)
{
	struct fixture *f = *state;
	char *command = mem_format("rm -rf %s", f->folder);

	free(f->output);
	assert_int_equal(system(command), 0);
	free(command);
	return 0;
}

/* The exit status of the command over one file; what it said is in f->output. */
static int run(struct fixture *f, const char *path)
{
	char *said = mem_format("%s/said", f->folder), *argv[] = {"test-rules", (char *)path, NULL};
	int out, err, status;
	FILE *file;
	size_t len;

	fflush(stdout);
	fflush(stderr);
	out = dup(STDOUT_FILENO);
	err = dup(STDERR_FILENO);
	file = fopen(said, "w+");
	assert_non_null(file);
	dup2(fileno(file), STDOUT_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	status = rules_main(2, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	rewind(file);
	free(f->output);
	f->output = mem_alloc(OUTPUT_MAX);
	len = fread(f->output, 1, OUTPUT_MAX - 1, file);
	f->output[len] = '\0';
	fclose(file);
	free(said);
	return status;
}

/* Of a file of one test with this body. */
static int play(struct fixture *f, const char *body)
{
	char *path = mem_format("%s/a.conf", f->folder), folder[4096];
	FILE *file = fopen(path, "w");
	int status;

	assert_non_null(getcwd(folder, sizeof folder));
	fprintf(file, "inventory = \"%s/conf/city/inventory.d\";\ntests = ( {\n  name = \"it\";\n  %s } );\n", folder, body);
	fclose(file);
	status = run(f, path);
	free(path);
	return status;
}

static void assert_said(const struct fixture *f, const char *words)
{
	if (strstr(f->output, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, f->output);
}

static void the_rules_of_the_example_city_hold(void **state)
{
	struct fixture *f = *state;

	if (run(f, "conf/city/rules/city.conf") != 0)
		fail_msg("%s", f->output);
	assert_said(f, " 0 failed");
}

static void what_comes_otherwise_is_told_with_its_line(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(play(f, "input = ( { checks = \"eseal-http\"; series = \"up x6 down\"; } );\n"
		"  expect = ( { at = \"1m\"; },\n    { at = \"5m\"; open = \"system/eseal\"; told = \"zsj problem system/eseal\"; } );"), 1);
	assert_said(f, "a.conf:6: it: at 5m, told: expected \"zsj problem system/eseal\", got \"operations problem system/eseal\", "
		"\"zsj problem system/eseal\"");
	assert_said(f, "0 passed, 1 failed");
	assert_int_equal(play(f, "expect = ( { at = \"1m\"; states = \"system/eseal down\"; } );"), 1);
	assert_said(f, "expected \"system/eseal down\", got \"system/eseal up\"");
	assert_int_equal(play(f, "expect = ( { at = \"1m\"; open = \"system/eseal\"; } );"), 1);
	assert_said(f, "open: expected \"system/eseal\", got nothing");
}

static void an_acknowledgement_is_told_and_ends(void **state)
{
	struct fixture *f = *state;
	int status = play(f, "input = ( { checks = \"eseal-http\"; series = \"up x6 down\"; } );\n"
		"  actions = ( { at = \"6m\"; do = \"acknowledge\"; subject = \"system/eseal\"; for = \"5m\"; } );\n"
		"  expect = ( { at = \"5m\"; open = \"system/eseal\"; told = [ \"operations problem system/eseal\", \"zsj problem system/eseal\" ]; },\n"
		"    { at = \"10m\"; open = \"system/eseal\"; told = [ \"operations acknowledged system/eseal\", \"zsj acknowledged system/eseal\" ]; },\n"
		"    { at = \"12m\"; open = \"system/eseal\"; told = [ \"operations unacknowledged system/eseal\", \"zsj unacknowledged system/eseal\" ]; } );");

	if (status != 0)
		fail_msg("%s", f->output);
	assert_int_equal(play(f, "actions = ( { at = \"1m\"; do = \"acknowledge\"; subject = \"system/eseal\"; } );\n"
		"  expect = ( { at = \"5m\"; } );"), 1);
	assert_said(f, "refused: ");
}

/* Over an inventory of its own, in which a limit stands. */
static int play_limit(struct fixture *f, const char *body)
{
	char *path = mem_format("%s/inventory.d", f->folder);
	FILE *file;
	int status;

	mkdir(path, 0700);
	free(path);
	path = mem_format("%s/inventory.d/a.conf", f->folder);
	file = fopen(path, "w");
	fputs("units = ( { id = \"u\"; } ); systems = ( { id = \"s\"; unit = \"u\"; } ); sites = ( { id = \"c\"; level = \"city\"; } );\n"
	      "agents = ( { id = \"a\"; site = \"c\"; } ); checks = ( { id = \"ping\"; type = \"icmp\"; subject = \"system/s\";"
	      " vantages = ( \"a\" ); interval = \"60s\"; host = \"s.test\"; limits = ( \"loss above 20 for 3m\" ); } );\n", file);
	fclose(file);
	free(path);
	path = mem_format("%s/b.conf", f->folder);
	file = fopen(path, "w");
	fprintf(file, "inventory = \"inventory.d\";\ntests = ( {\n  name = \"it\";\n  %s } );\n", body);
	fclose(file);
	status = run(f, path);
	free(path);
	return status;
}

static void limits_are_tried_with_values(void **state)
{
	struct fixture *f = *state;

	/* 0, 10 .. 60 and on: beyond 20 from the third minute on; 0 from the fifteenth on. */
	if (play_limit(f, "input = ( { checks = \"ping\"; metric = \"loss\"; values = \"0+10x6 60x7 0\"; step = \"1m\"; } );\n"
		"  expect = ( { at = \"5m\"; states = \"system/s up\"; },\n"
		"    { at = \"8m\"; open = \"system/s\"; states = \"system/s degraded\"; told = [ \"operations problem system/s\", \"u problem system/s\" ]; },\n"
		"    { at = \"20m\"; states = \"system/s up\"; told = [ \"operations close system/s\", \"u close system/s\" ]; } );") != 0)
		fail_msg("%s", f->output);
	/* The last one stays; what is not measured is no evidence. */
	if (play_limit(f, "input = ( { checks = \"ping\"; metric = \"loss\"; values = \"21x2 _x10 0 -3-1x2\"; step = \"1m\"; } );\n"
		"  expect = ( { at = \"30m\"; states = \"system/s up\"; } );") != 0)
		fail_msg("%s", f->output);
	assert_int_equal(play_limit(f, "input = ( { checks = \"ping\"; metric = \"cert_days\"; values = \"0\"; } ); expect = ( { at = \"1m\"; } );"), 3);
	assert_said(f, "b.conf:4: \"cert_days\" is no value of check \"ping\"");
	assert_int_equal(play_limit(f, "input = ( { checks = \"ping\"; values = \"0\"; } ); expect = ( { at = \"1m\"; } );"), 3);
	assert_said(f, "b.conf:4: metric and values stand together");
	assert_int_equal(play_limit(f, "input = ( { checks = \"ping\"; } ); expect = ( { at = \"1m\"; } );"), 3);
	assert_said(f, "b.conf:4: an input has a series, or a metric and values");
	for (size_t i = 0; i < 6; i++) {
		static const char *const bad[] = {"0+x5", "1x", "a", "1+1", "_x0", "0x1000000"};
		char *body = mem_format("input = ( { checks = \"ping\"; metric = \"loss\"; values = \"%s\"; } ); expect = ( { at = \"1m\"; } );",
			bad[i]);

		assert_int_equal(play_limit(f, body), 3);
		assert_said(f, "b.conf:4: values: ");
		free(body);
	}
}

static void a_vantage_that_measures_nothing_is_unknown(void **state)
{
	struct fixture *f = *state;

	if (play(f, "input = ( { checks = [ \"link-dongyuan-icmp\" ]; series = \"up x6 _\"; } );\n"
		"  expect = ( { at = \"6m\"; states = \"link/link-dongyuan unknown\"; } );") != 0)
		fail_msg("%s", f->output);
}

static void what_is_no_test_is_told_with_its_line(void **state)
{
	static const struct {
		const char *body, *words;
	} cases[] = {
		{"input = ( { checks = \"nobody\"; series = \"up\"; } ); expect = ( { at = \"1m\"; } );",
			"a.conf:4: no check \"nobody\" is in the inventory"},
		{"input = ( { checks = \"eseal-http\"; vantages = \"agent-longchuan-t01\"; series = \"up\"; } ); expect = ( { at = \"1m\"; } );",
			"agent \"agent-longchuan-t01\" does not run check \"eseal-http\""},
		{"input = ( { checks = \"eseal-http\"; series = \"up y3\"; } ); expect = ( { at = \"1m\"; } );", "a.conf:4: "},
		{"input = ( { checks = \"eseal-http\"; series = \"up x0\"; } ); expect = ( { at = \"1m\"; } );", "each with xN"},
		{"input = ( { checks = \"eseal-http\"; series = \"\"; } ); expect = ( { at = \"1m\"; } );", "a.conf:4: "},
		{"expect = ( { at = \"2m\"; },\n { at = \"1m\"; } );", "a.conf:5: expectations stand in order of time"},
		{"actions = ( { at = \"2m\"; do = \"plan\"; subject = \"system/eseal\"; },\n { at = \"1m\"; do = \"plan\"; subject = "
		 "\"system/eseal\"; } ); expect = ( { at = \"3m\"; } );", "a.conf:5: actions stand in order of time"},
		{"actions = ( { at = \"2m\"; do = \"plan\"; subject = \"system/eseal\"; },\n { at = \"3m\"; do = \"plan\"; subject = "
		 "\"system/eseal\"; } ); expect = ( { at = \"3m\"; } );", "a.conf:5: nothing is expected after this action"},
		{"expect = ( { at = \"1m\"; opne = \"x\"; } );", "opne"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(play(f, cases[i].body), 3);
		assert_said(f, cases[i].words);
	}
	assert_int_equal(run(f, "/nowhere/a.conf"), 3);
	assert_said(f, "/nowhere/a.conf");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_rules_of_the_example_city_hold),
		CASE(what_comes_otherwise_is_told_with_its_line),
		CASE(an_acknowledgement_is_told_and_ends),
		CASE(limits_are_tried_with_values),
		CASE(a_vantage_that_measures_nothing_is_unknown),
		CASE(what_is_no_test_is_told_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

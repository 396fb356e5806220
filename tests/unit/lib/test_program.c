#include "lib/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int called_with;
static char *first;

static int run(int argc, char **argv)
{
	called_with = argc;
	first = argv[0];
	return 7;
}

static const struct program_command list[] = {
	{"run", "[-c FILE]", "run in the foreground", run},
	{"probe", "TYPE key=value ...", "measure once", run},
};
static const struct program program = {"xunjian-test", list, 2, 20, "FILE is a file.\n"};

/* What the program says to `stream`, which is of the C library, of those words. */
static int said(FILE **stream, char **text, const char *words)
{
	char *copy = strdup(words), *rest = copy, *argv[8];
	FILE *kept = *stream;
	int argc = 0, status;
	size_t len;

	while (argc < 8 && (argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	*stream = open_memstream(text, &len);
	status = program_main(&program, argc, argv);
	fclose(*stream);
	*stream = kept;
	free(copy);
	return status;
}

static void the_command_that_is_named_is_called_with_what_follows(void **state)
{
	char program_name[] = "p", name[] = "probe", one[] = "tcp", two[] = "--help", *argv[] = {program_name, name, one, two, NULL};

	(void)state;
	assert_int_equal(program_main(&program, 4, argv), 7);
	assert_int_equal(called_with, 3);
	assert_ptr_equal(first, name);
}

static void the_help_lists_every_command(void **state)
{
	static const char wanted[] =
		"usage: xunjian-test COMMAND ...\n\n"
		"  run [-c FILE]        run in the foreground\n"
		"  probe TYPE key=value ... measure once\n"
		"  version              print the version\n"
		"\nFILE is a file.\nManual: xunjian-test(8).\n";
	char *text;

	(void)state;
	for (int i = 0; i < 3; i++) {
		static const char *const words[] = {"p --help", "p -h", "p help"};

		assert_int_equal(said(&stdout, &text, words[i]), EXIT_FINE);
		assert_string_equal(text, wanted);
		free(text);
	}
	assert_int_equal(said(&stderr, &text, "p"), EXIT_USAGE);
	assert_string_equal(text, wanted);
	free(text);
}

static void the_version_and_what_is_unknown(void **state)
{
	char *text;

	(void)state;
	assert_int_equal(said(&stdout, &text, "p version"), EXIT_FINE);
	assert_string_equal(text, "xunjian-test " PROGRAM_VERSION "\n");
	free(text);
	assert_int_equal(said(&stdout, &text, "p --version"), EXIT_FINE);
	assert_string_equal(text, "xunjian-test " PROGRAM_VERSION "\n");
	free(text);
	assert_int_equal(said(&stderr, &text, "p ruN"), EXIT_USAGE);
	assert_string_equal(text, "xunjian-test: unknown command 'ruN'; see --help\n");
	free(text);
}

static void options_stand_in_front_of_so_many_arguments(void **state)
{
	char name[] = "plan", c[] = "-c", file[] = "there", other[] = "folder", *text;
	char *with[] = {name, c, file, other, NULL}, *without[] = {name, other, NULL};
	const char *settings;
	FILE *kept = stderr;
	size_t len;

	(void)state;
	assert_int_equal(program_take_options(4, with, "here", &settings, 1), 3);
	assert_string_equal(settings, "there");
	assert_int_equal(program_take_options(2, without, "here", &settings, 1), 1);
	assert_string_equal(settings, "here");
	stderr = open_memstream(&text, &len);
	assert_int_equal(program_take_options(2, without, "here", &settings, 0), -1);
	assert_int_equal(program_take_options(3, with, "here", &settings, 1), -1);
	fclose(stderr);
	stderr = kept;
	assert_string_equal(text, "plan: expected 0 arguments after the options, got 1\n"
		"plan: expected 1 argument after the options, got 0\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_that_is_named_is_called_with_what_follows),
		cmocka_unit_test(the_help_lists_every_command),
		cmocka_unit_test(the_version_and_what_is_unknown),
		cmocka_unit_test(options_stand_in_front_of_so_many_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

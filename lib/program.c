#include "lib/program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print_row(FILE *out, int column, const char *name, const char *arguments, const char *summary)
{
	char left[48];

	snprintf(left, sizeof left, "%s %s", name, arguments);
	fprintf(out, "  %-*s %s\n", column, left, summary);
}

static void print_help(const struct program *c, FILE *out)
{
	fprintf(out, "usage: %s COMMAND ...\n\n", c->name);
	for (size_t i = 0; i < c->count; i++)
		print_row(out, c->column, c->list[i].name, c->list[i].arguments, c->list[i].summary);
	print_row(out, c->column, "version", "", "print the version");
	fprintf(out, "\n%sManual: %s(8).\n", c->notes, c->name);
}

int program_main(const struct program *c, int argc, char **argv)
{
	if (argc < 2) {
		print_help(c, stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(c, stdout);
		return EXIT_FINE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		printf("%s %s\n", c->name, PROGRAM_VERSION);
		return EXIT_FINE;
	}
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(argv[1], c->list[i].name) == 0)
			return c->list[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "%s: unknown command '%s'; see --help\n", c->name, argv[1]);
	return EXIT_USAGE;
}

int program_take_options(int argc, char **argv, const char *fallback, const char **settings, int arguments)
{
	int option;

	*settings = fallback;
	optind = 1;
	while ((option = getopt(argc, argv, "+c:")) != -1) {
		if (option != 'c')
			return -1; /* getopt has said why */
		*settings = optarg;
	}
	if (argc - optind == arguments)
		return optind;
	fprintf(stderr, "%s: expected %d argument%s after the options, got %d\n", argv[0], arguments, arguments == 1 ? "" : "s",
		argc - optind);
	return -1;
}

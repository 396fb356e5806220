/*
 * xunjian-agent: the commands of the agent.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/engine.h"
#include "agent/helper.h"
#include "agent/plugins.h"
#include "agent/probe_command.h"
#include "agent/settings.h"
#include "lib/err.h"
#include "lib/log.h"

#define VERSION "0.1.0"

enum { EXIT_FINE = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3 };

struct command {
	const char *name, *arguments, *summary;
	int (*run)(int argc, char **argv);
};

/* Reads "-c FILE" and nothing else; -1 with a message on anything else. */
static int take_settings(int argc, char **argv, const char **settings)
{
	int option;

	*settings = AGENT_SETTINGS_DEFAULT;
	optind = 1;
	while ((option = getopt(argc, argv, "+c:")) != -1) {
		if (option != 'c')
			return -1; /* getopt has said why */
		*settings = optarg;
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument '%s'\n", argv[0], argv[optind]);
		return -1;
	}
	return 0;
}

static int command_run(int argc, char **argv)
{
	const char *path;
	struct helper *helper;
	struct err e;

	if (take_settings(argc, argv, &path) < 0)
		return EXIT_USAGE;
	helper = helper_start(&e);
	if (helper == NULL) {
		log_error("cannot start: %s", e.text);
		return EXIT_RUNTIME;
	}
	return engine_run(path, helper);
}

static int check_plugins(const struct agent_settings *s, struct err *e)
{
	const struct plugin *items;
	struct plugins *plugins;
	int status = 0;

	if (*s->plugins == '\0')
		return 0;
	plugins = plugins_load(s->plugins, e);
	if (plugins == NULL)
		return -1;
	items = plugins->list.items;
	for (size_t i = 0; i < plugins->list.count && status == 0; i++)
		status = plugins_check(&items[i], e);
	plugins_free(plugins);
	return status;
}

static int command_check_config(int argc, char **argv)
{
	const char *path;
	struct agent_settings *settings;
	struct err e;
	int status = EXIT_CONFIG;

	if (take_settings(argc, argv, &path) < 0)
		return EXIT_USAGE;
	settings = agent_settings_load(path, &e);
	if (settings != NULL && engine_check_files(settings, &e) == 0 && check_plugins(settings, &e) == 0) {
		printf("%s: good: agent %s, %s%s, %zu local check%s\n", path, settings->id,
			*settings->collector.url != '\0' ? "collector " : "no collector", settings->collector.url,
			settings->checks.count, settings->checks.count == 1 ? "" : "s");
		status = EXIT_FINE;
	} else {
		fprintf(stderr, "%s\n", e.text);
	}
	agent_settings_free(settings);
	return status;
}

static int command_version(int argc, char **argv)
{
	(void)argc, (void)argv;
	puts("xunjian-agent " VERSION);
	return EXIT_FINE;
}

static const struct command commands[] = {
	{"run", "[-c FILE]", "run in the foreground until SIGTERM; SIGHUP reloads", command_run},
	{"check-config", "[-c FILE]", "read the settings and say what is wrong", command_check_config},
	{"probe", "TYPE key=value ...", "measure once, now; probe --help lists the types", probe_command},
	{"version", "", "print the version", command_version},
};

static void print_help(FILE *out)
{
	fputs("usage: xunjian-agent COMMAND ...\n\n", out);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		char left[48];

		snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].arguments);
		fprintf(out, "  %-26s %s\n", left, commands[i].summary);
	}
	fputs("\nFILE is " AGENT_SETTINGS_DEFAULT " unless given. Exit status: 0 fine, 1 runtime error,\n"
	      "2 usage, 3 configuration not valid; of probe: 0 all up, 1 any down, 2 usage, 3 unknown.\n"
	      "Manual: xunjian-agent(8).\n", out);
}

int main(int argc, char **argv)
{
	log_open("agent", LOG_LEVEL_INFO);
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return EXIT_FINE;
	}
	if (strcmp(argv[1], "--version") == 0)
		return command_version(argc, argv);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "xunjian-agent: unknown command '%s'; see --help\n", argv[1]);
	return EXIT_USAGE;
}

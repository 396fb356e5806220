/*
 * xunjian-agent: the commands of the agent.
 */
#include <event2/event.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/engine.h"
#include "agent/helper.h"
#include "agent/plugins.h"
#include "agent/probe_command.h"
#include "agent/settings.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/log.h"
#include "lib/program.h"
#include "lib/tls.h"
#include "probes/resolve.h"

static int command_run(int argc, char **argv)
{
	const char *path;
	struct helper *helper;
	struct err e;

	if (program_take_options(argc, argv, AGENT_SETTINGS_DEFAULT, &path, 0) < 0)
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

/* Asks nobody: whether the list is one. */
static int check_resolver(const struct agent_settings *s, struct err *e)
{
	struct event_base *base;
	struct resolver *r;

	if (*s->resolver == '\0')
		return 0;
	base = event_base_new();
	r = resolver_new(base, s->resolver, e);
	if (r == NULL)
		err_wrap(e, "%s", s->path);
	resolver_free(r);
	event_base_free(base);
	return r != NULL ? 0 : -1;
}

/* Root reads everything; the engine reads these as the user that it becomes. */
static int check_tls(const struct agent_settings *s, struct err *e)
{
	X509 *ca;
	EVP_PKEY *key;
	bool is_good;

	if (*s->collector.url == '\0')
		return 0;
	if (geteuid() == 0 && fence_drop_rights(s->user, e) < 0)
		return -1;
	ca = tls_read_certificate(s->collector.tls.ca, e);
	key = ca != NULL ? tls_read_key(s->collector.tls.key, e) : NULL;
	is_good = key != NULL;
	EVP_PKEY_free(key);
	X509_free(ca);
	return is_good ? 0 : -1;
}

static int command_check_config(int argc, char **argv)
{
	const char *path;
	struct agent_settings *settings;
	struct err e;
	int status = EXIT_CONFIG;

	if (program_take_options(argc, argv, AGENT_SETTINGS_DEFAULT, &path, 0) < 0)
		return EXIT_USAGE;
	settings = agent_settings_load(path, &e);
	if (settings != NULL && engine_check_files(settings, &e) == 0 && check_plugins(settings, &e) == 0 &&
		check_resolver(settings, &e) == 0 && check_tls(settings, &e) == 0) {
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

static const struct program_command list[] = {
	{"run", "[-c FILE]", "run in the foreground until SIGTERM; SIGHUP reloads", command_run},
	{"check-config", "[-c FILE]", "read the settings and say what is wrong", command_check_config},
	{"probe", "TYPE key=value ...", "measure once, now; probe --help lists the types", probe_command},
};

int main(int argc, char **argv)
{
	static const struct program program = {"xunjian-agent", list, sizeof list / sizeof *list, 26,
		"FILE is " AGENT_SETTINGS_DEFAULT " unless given. Exit status: 0 fine, 1 runtime error,\n"
		"2 usage, 3 configuration not valid; of probe: 0 all up, 1 any down, 2 usage, 3 unknown.\n"};

	log_open("agent", LOG_LEVEL_INFO);
	return program_main(&program, argc, argv);
}

/*
 * xunjian-collector: the commands of the collector.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/availability.h"
#include "collector/ca.h"
#include "collector/incidents.h"
#include "collector/inventory.h"
#include "collector/judge/calendar.h"
#include "collector/notice/commands.h"
#include "collector/notice/roster.h"
#include "collector/notice/send.h"
#include "collector/notices.h"
#include "collector/notify_test.h"
#include "collector/people.h"
#include "collector/process.h"
#include "collector/rules.h"
#include "collector/settings.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/log.h"
#include "lib/program.h"
#include "lib/tls.h"

static int command_run(int argc, char **argv)
{
	const char *path;

	if (program_take_options(argc, argv, SETTINGS_DEFAULT, &path, 0) < 0)
		return EXIT_USAGE;
	return process_parent_run(path);
}

static bool owns_a_system(const struct inventory *inventory, const struct inventory_unit *u)
{
	for (size_t i = 0; i < inventory->systems_count; i++) {
		if (inventory->systems[i].of_unit == u)
			return true;
	}
	return false;
}

/* It may be meant so: no error. */
static void tell_who_is_left_out(const char *path, const struct roster *r, const struct inventory *inventory)
{
	size_t count = 0;

	if (!roster_leads_to(r, ""))
		printf("%s: no route leads to operations: nobody there is told anything\n", path);
	for (size_t i = 0; i < inventory->units_count; i++) {
		const struct inventory_unit *u = &inventory->units[i];

		if (roster_leads_to(r, u->id) || !owns_a_system(inventory, u))
			continue;
		if (count == 0)
			printf("%s: no route leads to these units, which have systems:", path);
		printf(" %s", u->id);
		count++;
	}
	if (count > 0)
		printf("\n");
}

static int check_channels(const struct roster *r, struct err *e)
{
	const struct roster_channel *of = r->channels.items;

	for (size_t i = 0; i < r->channels.count; i++)
		if (send_check_files(&of[i], e) < 0)
			return -1;
	return 0;
}

/* Root reads everything; what the processes read, they read as the user that they become. */
static int become_user(const struct settings *s, struct err *e)
{
	return geteuid() == 0 ? fence_drop_rights(s->user, e) : 0;
}

static int check_inventory(const char *path, struct err *e)
{
	struct inventory *again = inventory_load(path, e);
	bool is_good = again != NULL;

	inventory_free(again);
	return is_good ? 0 : -1;
}

static int check_tls(const struct tls_files *files, struct err *e)
{
	SSL_CTX *tls = tls_server(files, e);
	bool is_good = tls != NULL;

	SSL_CTX_free(tls);
	return is_good ? 0 : -1;
}

/* Files that the settings name beside the inventory. */
static int check_others(const struct settings *s, const struct inventory *inventory, struct err *e)
{
	struct calendar *calendar = s->calendar[0] != '\0' ? calendar_load(s->calendar, e) : NULL;
	struct roster *roster = NULL;
	bool is_good = calendar != NULL || s->calendar[0] == '\0';

	if (is_good && s->notice[0] != '\0') {
		roster = roster_load(s->notice, inventory, e);
		is_good = roster != NULL && commands_check(roster, s->commands, e) == 0 &&
			roster_check_steps(roster, s->incidents.escalate.count, e) == 0 && become_user(s, e) == 0 &&
			check_channels(roster, e) == 0;
		if (is_good)
			tell_who_is_left_out(s->notice, roster, inventory);
	}
	calendar_free(calendar);
	roster_free(roster);
	return is_good ? 0 : -1;
}

static int command_check_config(int argc, char **argv)
{
	const char *path;
	struct settings *settings;
	struct inventory *inventory = NULL;
	bool is_good;
	struct err e;

	if (program_take_options(argc, argv, SETTINGS_DEFAULT, &path, 0) < 0)
		return EXIT_USAGE;
	settings = settings_load(path, &e);
	if (settings != NULL)
		inventory = inventory_load(settings->inventory, &e);
	is_good = inventory != NULL && check_others(settings, inventory, &e) == 0 && become_user(settings, &e) == 0 &&
		check_inventory(settings->inventory, &e) == 0 && check_tls(&settings->ingest.tls, &e) == 0;
	if (!is_good)
		fprintf(stderr, "%s\n", e.text);
	else
		printf("%s: good: %zu units, %zu systems, %zu sites, %zu links, %zu agents, %zu checks\n",
			path, inventory->units_count, inventory->systems_count, inventory->sites_count,
			inventory->links_count, inventory->agents_count, inventory->checks_count);
	settings_free(settings);
	inventory_free(inventory);
	return is_good ? EXIT_FINE : EXIT_CONFIG;
}

static int command_plan(int argc, char **argv)
{
	const char *path;
	struct settings *settings;
	struct inventory *old = NULL, *now = NULL;
	struct err e;
	int at = program_take_options(argc, argv, SETTINGS_DEFAULT, &path, 1), status = EXIT_CONFIG;

	if (at < 0)
		return EXIT_USAGE;
	settings = settings_load(path, &e);
	if (settings != NULL)
		old = inventory_load(settings->inventory, &e);
	if (old != NULL)
		now = inventory_load(argv[at], &e);
	if (now != NULL && inventory_plan(old, now, &settings->series, stdout, &e) == 0)
		status = EXIT_FINE;
	else
		fprintf(stderr, "%s\n", e.text);
	inventory_free(old);
	inventory_free(now);
	settings_free(settings);
	return status;
}

static const struct program_command list[] = {
	{"run", "[-c FILE]", "run in the foreground until SIGTERM; SIGHUP reloads", command_run},
	{"check-config", "[-c FILE]", "read settings and inventory and say what is wrong",
		command_check_config},
	{"plan", "[-c FILE] FOLDER", "what a new inventory folder would add, remove and change",
		command_plan},
	{"availability", "[OPTIONS] PERIOD", "figures of systems, units and links from the ledger", availability_main},
	{"incidents", "[OPTIONS] [PERIOD]", "open incidents, or those of a period", incidents_main},
	{"notices", "[OPTIONS]", "what was told to whom, through which channel, and what came of it", notices_main},
	{"test-rules", "FILE ...", "play what is measured, and see which incidents and notices come of it", rules_main},
	{"ack", "INCIDENT [OPTIONS]", "somebody works on it: until it closes, or a time", people_main},
	{"unack", "INCIDENT", "nobody does any more", people_main},
	{"assign", "INCIDENT WHOM", "who is to work on it", people_main},
	{"comment", "INCIDENT TEXT", "words for those who are told of it", people_main},
	{"maintain", "SUBJECT ... [OPTIONS]", "planned work, whose trouble wakes nobody", people_main},
	{"cancel", "MAINTENANCE", "planned work that will not be", people_main},
	{"correct", "SUBJECT [OPTIONS]", "what the ledger should have said", people_main},
	{"requests", "[-c FILE] [--json]", "what people asked, and what came of it", requests_main},
	{"notify-test", "[-c FILE] CHANNEL", "send a test notice and print what is answered", notify_test_main},
	{"ca", "init|issue ...", "a small certificate authority for agents and collectors", ca_main},
};

int main(int argc, char **argv)
{
	static const struct program program = {"xunjian-collector", list, sizeof list / sizeof *list, 30,
		"FILE is " SETTINGS_DEFAULT " unless given. Exit status: 0 fine, 1 runtime error,\n"
		"2 usage, 3 configuration not valid. "};

	log_open("collector", LOG_LEVEL_INFO);
	return program_main(&program, argc, argv);
}

#include "collector/notices.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/calendar.h"
#include "collector/listing.h"
#include "collector/notice/deliveries.h"
#include "collector/settings.h"
#include "collector/web/json.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/program.h"

#define USUAL_COUNT 200

struct wish {
	const char *settings;
	struct deliveries_wish which;
	bool is_json;
};

static const char *const help =
	"usage: xunjian-collector notices [-c FILE] [--json] [--incident N] [--unit ID] [--failed] [--last N]\n\n"
	"What was told to whom, newest first: a row for each channel, with the tries it took and the last answer. --failed: what\n"
	"was given up, or waits after a try that failed. --last: so many rows, 200 unless given. --unit \"\": operations.\n"
	"Exit status: 0 fine, 1 runtime error, 2 usage, 3 configuration not valid.\n";

static const char *const outcomes[] = {
	[LETTER_TAKEN] = "taken", [LETTER_AGAIN] = "not taken", [LETTER_SLOWER] = "too many", [LETTER_REFUSED] = "refused"};

static int read_number(const char *text, int64_t *out)
{
	struct err e;

	if (num_parse_int(text, 1, INT64_MAX, out, &e) == 0)
		return 0;
	fprintf(stderr, "notices: %s\n", e.text);
	return -1;
}

static int read_option(int option, const char *value, struct wish *w)
{
	int64_t number = 0;

	if (option == 'c')
		w->settings = value;
	else if (option == 'j')
		w->is_json = true;
	else if (option == 'u')
		w->which.unit = value;
	else if (option == 'f')
		w->which.failed_only = true;
	else if ((option != 'i' && option != 'n') || read_number(value, &number) < 0)
		return -1; /* getopt has said why */
	if (option == 'i')
		w->which.incident = (uint64_t)number;
	if (option == 'n')
		w->which.count = number;
	return 0;
}

static int read_wish(int argc, char **argv, struct wish *w)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"incident", required_argument, NULL, 'i'},
		{"unit", required_argument, NULL, 'u'}, {"failed", no_argument, NULL, 'f'}, {"last", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;

	*w = (struct wish){.settings = SETTINGS_DEFAULT, .which = {.count = USUAL_COUNT}};
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'h')
			return 1;
		if (read_option(option, optarg, w) < 0)
			return -1;
	}
	if (optind == argc)
		return 0;
	fputs("notices: no arguments are expected; see --help\n", stderr);
	return -1;
}

/* ---- as a table */

static void print_row(void *ctx, const struct delivery_row *r)
{
	char at[CALENDAR_TIME], into[40] = "";

	(void)ctx;
	if (r->into != 0)
		snprintf(into, sizeof into, " -> %" PRIu64, r->into);
	printf("%-6" PRIu64 " %-7" PRIu64 " %-20s %-9" PRIu64 " %-14s %-16s %-16s %-8s%s %5u  %s  %s\n", r->d.id, r->d.notice,
		calendar_format(r->at, at), r->d.incident, incident_intent_name(r->d.kind),
		r->d.audience[0] != '\0' ? r->d.audience : "operations", r->d.channel, delivery_state_name(r->d.state), into, r->d.tries,
		r->subject, r->words);
}

/* ---- as JSON */

struct writer {
	struct json json;
	struct deliveries *db;
	struct err *e;
	int rc;
};

static void write_try(void *ctx, const struct delivery_try *t)
{
	struct json *j = ctx;

	json_open(j, NULL, '{');
	json_time(j, "at", t->at);
	json_number(j, "seconds", (double)t->took / 1e9, 6);
	json_text(j, "outcome", t->is_under_way ? "under way" : outcomes[t->outcome]);
	json_text(j, "answer", t->words);
	json_close(j, '}');
}

static void write_row(void *ctx, const struct delivery_row *r)
{
	struct writer *w = ctx;
	struct json *j = &w->json;

	json_open(j, NULL, '{');
	json_int(j, "id", (int64_t)r->d.id);
	json_int(j, "notice", (int64_t)r->d.notice);
	json_time(j, "at", r->at);
	json_int(j, "incident", (int64_t)r->d.incident);
	json_text(j, "kind", incident_intent_name(r->d.kind));
	json_text(j, "audience", r->d.audience[0] != '\0' ? r->d.audience : "operations");
	json_text(j, "subject", r->subject);
	json_text(j, "channel", r->d.channel);
	json_text(j, "route", r->d.route);
	json_text(j, "state", delivery_state_name(r->d.state));
	json_int(j, "into", (int64_t)r->into);
	json_time(j, "ended", r->ended);
	json_text(j, "words", r->words);
	json_open(j, "tries", '[');
	if (w->rc == 0)
		w->rc = deliveries_tries(w->db, r->d.id, write_try, j, w->e);
	json_close(j, ']');
	json_close(j, '}');
}

static int print_table(const struct wish *w, struct deliveries *db, struct err *e)
{
	printf("%-6s %-7s %-20s %-9s %-14s %-16s %-16s %-8s %5s  %s\n", "id", "notice", "at", "incident", "kind", "audience", "channel",
		"state", "tries", "cause and last answer");
	return deliveries_list(db, &w->which, print_row, NULL, e);
}

static int print_json(const struct wish *w, struct deliveries *db, struct err *e)
{
	struct writer writer = {.db = db, .e = e};
	int rc;

	listing_begin_json(&writer.json);
	rc = deliveries_list(db, &w->which, write_row, &writer, e);
	if (rc == 0)
		rc = writer.rc;
	listing_end_json(&writer.json, rc == 0);
	return rc;
}

static int print_all(const char *state, const void *ctx, struct err *e)
{
	char *path = mem_format("%s/%s", state, DELIVERIES_FILE);
	struct deliveries *db = deliveries_open_file(path, e);
	const struct wish *w = ctx;
	int rc = -1;

	if (db != NULL)
		rc = w->is_json ? print_json(w, db, e) : print_table(w, db, e);
	deliveries_close(db);
	free(path);
	return rc;
}

int notices_main(int argc, char **argv)
{
	struct wish w;
	int status = read_wish(argc, argv, &w);

	if (status > 0)
		fputs(help, stdout);
	if (status != 0)
		return status > 0 ? EXIT_FINE : EXIT_USAGE;
	return listing_run("notices", w.settings, print_all, &w);
}

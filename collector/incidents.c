#include "collector/incidents.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/answer.h"
#include "collector/judge/book.h"
#include "collector/judge/calendar.h"
#include "collector/judge/outbox.h"
#include "collector/listing.h"
#include "collector/settings.h"
#include "collector/web/json.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/program.h"

struct wish {
	const char *settings;
	struct span period; /* {0, 0}: the open ones */
	bool is_json;
};

static const char *const help =
	"usage: xunjian-collector incidents [-c FILE] [--json] [PERIOD]\n\n"
	"Open incidents, newest first: one cause each, with what it affects. With PERIOD (as for availability): all that\n"
	"opened in it. Exit status: 0 fine, 1 runtime error, 2 usage, 3 configuration not valid.\n";

static int read_wish(int argc, char **argv, struct wish *w)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct err e;
	int option;

	*w = (struct wish){.settings = SETTINGS_DEFAULT};
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'h')
			return 1;
		if (option == 'c')
			w->settings = optarg;
		else if (option == 'j')
			w->is_json = true;
		else
			return -1; /* getopt has said why */
	}
	if (optind < argc - 1) {
		fputs("incidents: one period only; see --help\n", stderr);
		return -1;
	}
	if (optind < argc && calendar_period(argv[optind], &w->period, &e) < 0) {
		fprintf(stderr, "incidents: %s\n", e.text);
		return -1;
	}
	return 0;
}

/* ---- as a table */

static const char *families_of(unsigned faults)
{
	faults &= FAULT_V4 | FAULT_V6;
	return faults == FAULT_V4 ? "IPv4" : faults == FAULT_V6 ? "IPv6" : faults != 0 ? "both" : "-";
}

static void print_row(void *ctx, const struct outbox_incident *i)
{
	const struct incident_view *v = &i->view;
	const struct wish *w = ctx;
	char since[32], until[32];

	if (w->period.until != 0 && v->opened >= w->period.until)
		return;
	printf("%-6" PRIu64 " %-8s %-9s %-9s %-20s %-20s %-32s %8zu  %s%s%s%s%s\n", v->id, answer_phase(v->phase), verdict_state_name(v->state),
		families_of(v->faults), clock_format_utc(v->since, since, sizeof since),
		v->closed == 0 ? "-" : clock_format_utc(v->closed, until, sizeof until), v->subject, i->affected_count, v->reason,
		v->is_flapping ? " [flapping]" : "", v->is_acknowledged ? " [acknowledged by " : "",
		v->is_acknowledged ? v->acknowledged_by : "", v->is_acknowledged ? "]" : "");
	if (v->assignee != NULL && v->assignee[0] != '\0')
		printf("       assigned to %s\n", v->assignee);
	if (i->affected_count > 1)
		printf("       affects %s%s\n", i->affected, i->affected_count > OUTBOX_AFFECTED ? " ..." : "");
}

/* ---- as JSON */

struct writer {
	const struct wish *wish;
	struct json json;
};

static void write_row(void *ctx, const struct outbox_incident *i)
{
	struct writer *w = ctx;

	if (w->wish->period.until == 0 || i->view.opened < w->wish->period.until)
		answer_incident(&w->json, i);
}

static int print_table(const struct wish *w, struct outbox *o, struct err *e)
{
	printf("%-6s %-8s %-9s %-9s %-20s %-20s %-32s %8s  %s\n", "id", "phase", "state", "families", "since", "closed", "cause", "affected",
		"reason");
	return outbox_incidents(o, w->period.until == 0, w->period.from, print_row, (void *)(uintptr_t)w, e);
}

static int print_json(const struct wish *w, struct outbox *o, struct err *e)
{
	struct writer writer = {.wish = w};
	int rc;

	listing_begin_json(&writer.json);
	rc = outbox_incidents(o, w->period.until == 0, w->period.from, write_row, &writer, e);
	listing_end_json(&writer.json, rc == 0);
	return rc;
}

static int print_all(const char *state, const void *ctx, struct err *e)
{
	char *path = mem_format("%s/%s", state, BOOK_FILE);
	struct outbox *o = outbox_open_file(path, e);
	const struct wish *w = ctx;
	int rc = -1;

	if (o != NULL)
		rc = w->is_json ? print_json(w, o, e) : print_table(w, o, e);
	outbox_close(o);
	free(path);
	return rc;
}

int incidents_main(int argc, char **argv)
{
	struct wish w;
	int status = read_wish(argc, argv, &w);

	if (status > 0)
		fputs(help, stdout);
	if (status != 0)
		return status > 0 ? EXIT_FINE : EXIT_USAGE;
	return listing_run("incidents", w.settings, print_all, &w);
}

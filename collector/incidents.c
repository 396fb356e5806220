#include "collector/incidents.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/answer.h"
#include "collector/judge/book.h"
#include "collector/judge/calendar.h"
#include "collector/judge/outbox.h"
#include "collector/listing.h"
#include "collector/settings.h"
#include "collector/web/json.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/program.h"
#include "lib/sample.h"

struct wish {
	const char *settings;
	const char *unit, *system; /* NULL: whomever they affect */
	struct span period; /* {0, 0}: the open ones */
	bool is_json;
	const struct inventory *inventory;
};

static const char *const help =
	"usage: xunjian-collector incidents [-c FILE] [--unit ID | --system ID] [--json] [PERIOD]\n\n"
	"Open incidents, newest first: one cause each, with what it affects. With PERIOD (as for availability): all that\n"
	"opened in it. With --unit or --system: those alone that affect a system of the unit, or the system, whatever their\n"
	"cause. Exit status: 0 fine, 1 runtime error, 2 usage, 3 configuration not valid.\n";

static int read_wish(int argc, char **argv, struct wish *w)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
		{"unit", required_argument, NULL, 'u'}, {"system", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
	struct err e;
	int option;

	*w = (struct wish){.settings = SETTINGS_DEFAULT};
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'h')
			return 1;
		if (option == 'c')
			w->settings = optarg;
		else if (option == 'u')
			w->unit = optarg;
		else if (option == 's')
			w->system = optarg;
		else if (option == 'j')
			w->is_json = true;
		else
			return -1; /* getopt has said why */
	}
	if (w->unit != NULL && w->system != NULL) {
		fputs("incidents: --unit or --system, not both\n", stderr);
		return -1;
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

/* ---- which */

static bool is_meant(const struct wish *w, const char *id, size_t len)
{
	static const char kind[] = "system/";
	const struct inventory_system *s;
	char text[SAMPLE_ID_MAX + 1];

	if (len <= sizeof kind - 1 || len - (sizeof kind - 1) > SAMPLE_ID_MAX || memcmp(id, kind, sizeof kind - 1) != 0)
		return false;
	snprintf(text, sizeof text, "%.*s", (int)(len - (sizeof kind - 1)), id + sizeof kind - 1);
	if (w->system != NULL)
		return strcmp(text, w->system) == 0;
	s = inventory_system(w->inventory, text);
	return s != NULL && strcmp(s->unit, w->unit) == 0;
}

/* All systems that it affects are among the affected, however many there are. */
static bool is_wanted(const struct wish *w, const struct outbox_incident *i)
{
	if (w->period.until != 0 && i->view.opened >= w->period.until)
		return false;
	if (w->unit == NULL && w->system == NULL)
		return true;
	for (const char *id = i->affected; *id != '\0';) {
		size_t len = strcspn(id, " ");

		if (is_meant(w, id, len))
			return true;
		id += len + (id[len] == ' ');
	}
	return false;
}

static bool is_known(const struct wish *w, struct err *e)
{
	if (w->unit != NULL && inventory_unit(w->inventory, w->unit) == NULL)
		err_set(e, "there is no unit \"%.63s\" in the inventory", w->unit);
	else if (w->system != NULL && inventory_system(w->inventory, w->system) == NULL)
		err_set(e, "there is no system \"%.63s\" in the inventory", w->system);
	else
		return true;
	return false;
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
	char since[CALENDAR_TIME], until[CALENDAR_TIME];

	if (!is_wanted(w, i))
		return;
	printf("%-6" PRIu64 " %-8s %-9s %-9s %-20s %-20s %-32s %8zu  %s%s%s%s%s\n", v->id, answer_phase(v->phase), verdict_state_name(v->state),
		families_of(v->faults), calendar_format(v->since, since),
		v->closed == 0 ? "-" : calendar_format(v->closed, until), v->subject, i->affected_count, v->reason,
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

	if (is_wanted(w->wish, i))
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

static struct inventory *load_inventory(const struct wish *w, struct err *e)
{
	struct settings *settings = settings_load(w->settings, e);
	struct inventory *inventory = settings != NULL ? inventory_load(settings->inventory, e) : NULL;

	settings_free(settings);
	return inventory;
}

int incidents_main(int argc, char **argv)
{
	struct inventory *inventory = NULL;
	struct wish w;
	struct err e;
	int status = read_wish(argc, argv, &w);

	if (status > 0)
		fputs(help, stdout);
	if (status != 0)
		return status > 0 ? EXIT_FINE : EXIT_USAGE;
	if (w.unit != NULL || w.system != NULL) {
		w.inventory = inventory = load_inventory(&w, &e);
		if (inventory == NULL || !is_known(&w, &e)) {
			fprintf(stderr, "incidents: %s\n", e.text);
			status = inventory == NULL ? EXIT_CONFIG : EXIT_USAGE;
		}
	}
	if (status == EXIT_FINE)
		status = listing_run("incidents", w.settings, print_all, &w);
	inventory_free(inventory);
	return status;
}

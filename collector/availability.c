#include "collector/availability.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/figures.h"
#include "collector/inventory.h"
#include "collector/judge/book.h"
#include "collector/judge/calendar.h"
#include "collector/judge/ledger.h"
#include "collector/judge/planned.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/program.h"

/* What was asked for. */
struct wish {
	const char *settings;
	enum figures_form form;
	struct figures_wish of;
};

/* What is needed to answer. */
struct sources {
	struct settings *settings;
	struct inventory *inventory;
	struct calendar *calendar;
	struct ledger *ledger;
	struct planned *planned;
};

static const char *const help =
	"usage: xunjian-collector availability [OPTIONS] PERIOD\n\n"
	"Figures from the ledger. PERIOD: 2026, 2026-Q3, 2026-10, 2026-10-05 or 2026-10-05..2026-10-20, Asia/Shanghai.\n\n"
	"  -c FILE               settings (" SETTINGS_DEFAULT ")\n"
	"  --unit ID             the systems of a unit, and their sum\n"
	"  --system ID           one system\n"
	"  --link ID             one link\n"
	"  --family ipv4|ipv6    of one family instead of the whole\n"
	"  --month, --quarter, --year P  other words for PERIOD\n"
	"  --always              all hours instead of the hours of service\n"
	"  --measured            as measured, without corrections by hand\n"
	"  --maintenance excluded|included  whether planned work is left out, as it is unless given\n"
	"  --json, --csv         instead of a table\n\n"
	"Without --unit, --system or --link: all systems. strict: what was not measured counts as if it had failed;\n"
	"lenient: it is left out; coverage: how much was measured. Fractions are cut, not rounded.\n"
	"Exit status: 0 fine, 1 runtime error, 2 usage, 3 configuration not valid.\n";

/* ---- arguments */

static const struct option options[] = {
	{"unit", required_argument, NULL, 'u'}, {"system", required_argument, NULL, 's'},
	{"link", required_argument, NULL, 'l'}, {"family", required_argument, NULL, 'f'},
	{"month", required_argument, NULL, 'p'}, {"quarter", required_argument, NULL, 'p'},
	{"year", required_argument, NULL, 'p'}, {"period", required_argument, NULL, 'p'},
	{"always", no_argument, NULL, 'a'}, {"measured", no_argument, NULL, 'm'}, {"maintenance", required_argument, NULL, 'w'}, {"json", no_argument, NULL, 'j'},
	{"csv", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};

static int take_option(struct wish *w, int option, const char *text)
{
	switch (option) {
	case 'c': w->settings = text; break;
	case 'u': w->of.unit = text; break;
	case 's': w->of.system = text; break;
	case 'l': w->of.link = text; break;
	case 'p': w->of.period = text; break;
	case 'a': w->of.always = true; break;
	case 'm': w->of.measured = true; break;
	case 'j': w->form = FIGURES_JSON; break;
	case 'v': w->form = FIGURES_CSV; break;
	case 'w':
		w->of.with_planned = strcmp(text, "included") == 0;
		if (w->of.with_planned || strcmp(text, "excluded") == 0)
			break;
		fprintf(stderr, "availability: --maintenance is excluded or included, not \"%s\"\n", text);
		return -1;
	case 'f':
		w->of.family = strcmp(text, "ipv4") == 0 ? FAMILY_V4 : FAMILY_V6;
		if (strcmp(text, "ipv4") == 0 || strcmp(text, "ipv6") == 0)
			break;
		fprintf(stderr, "availability: --family is ipv4 or ipv6, not \"%s\"\n", text);
		return -1;
	default:
		return -1; /* getopt has said why */
	}
	return 0;
}

/* 0, or -1 with words on stderr; 1: help was asked for. */
static int read_wish(int argc, char **argv, struct wish *w)
{
	int option;

	*w = (struct wish){.settings = SETTINGS_DEFAULT};
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'h')
			return 1;
		if (take_option(w, option, optarg) < 0)
			return -1;
	}
	if (optind < argc && w->of.period == NULL)
		w->of.period = argv[optind++];
	if (optind < argc || w->of.period == NULL ||
		(w->of.unit != NULL) + (w->of.system != NULL) + (w->of.link != NULL) > 1) {
		fprintf(stderr, "availability: %s; see --help\n", optind < argc ? "one period only"
			: w->of.period == NULL ? "no period is given" : "one of --unit, --system, --link");
		return -1;
	}
	return 0;
}

/* ---- sources */

static int open_sources(const struct wish *w, struct sources *s, struct err *e)
{
	char *path;

	s->settings = settings_load(w->settings, e);
	if (s->settings != NULL)
		s->inventory = inventory_load(s->settings->inventory, e);
	if (s->inventory == NULL)
		return EXIT_CONFIG;
	if (s->settings->calendar[0] != '\0') {
		s->calendar = calendar_load(s->settings->calendar, e);
		if (s->calendar == NULL)
			return EXIT_CONFIG;
	}
	path = mem_format("%s/%s", s->settings->state, BOOK_FILE);
	s->ledger = ledger_open_file(path, e);
	if (s->ledger != NULL)
		s->planned = planned_open_file(path, e);
	free(path);
	return s->planned == NULL ? EXIT_RUNTIME : EXIT_FINE;
}

static void close_sources(struct sources *s)
{
	ledger_close(s->ledger);
	planned_close(s->planned);
	calendar_free(s->calendar);
	inventory_free(s->inventory);
	settings_free(s->settings);
}

static int answer(const struct wish *w, struct sources *s, struct err *e)
{
	static const int statuses[] = {[FIGURES_FINE] = EXIT_FINE, [FIGURES_FAILED] = EXIT_RUNTIME, [FIGURES_WRONG] = EXIT_USAGE};
	struct figures f = {0};
	struct buf out = {0};
	int status = open_sources(w, s, e);

	if (status == EXIT_FINE)
		status = statuses[figures_make(&w->of, &(struct figures_sources){s->inventory, s->calendar, s->ledger, s->planned},
			&f, e)];
	if (status == EXIT_FINE) {
		figures_write(&w->of, &f, w->form, &out);
		if (w->form == FIGURES_JSON)
			buf_add_u8(&out, '\n');
		fwrite(out.data, 1, out.len, stdout);
	}
	buf_fini(&out);
	figures_fini(&f);
	return status;
}

int availability_main(int argc, char **argv)
{
	struct sources s = {0};
	struct wish w;
	struct err e;
	int status = read_wish(argc, argv, &w);

	if (status != 0) {
		if (status > 0)
			fputs(help, stdout);
		return status > 0 ? EXIT_FINE : EXIT_USAGE;
	}
	status = answer(&w, &s, &e);
	if (status != EXIT_FINE)
		fprintf(stderr, "availability: %s\n", e.text);
	close_sources(&s);
	return status;
}

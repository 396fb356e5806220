#include "collector/availability.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/availability.h"
#include "collector/judge/book.h"
#include "collector/judge/calendar.h"
#include "collector/judge/ledger.h"
#include "collector/judge/planned.h"
#include "collector/settings.h"
#include "collector/web/json.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define DEFAULT_SETTINGS "/etc/xunjian/collector.conf"

enum { EXIT_FINE = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3 };
enum form { FORM_TABLE, FORM_JSON, FORM_CSV };

/* What was asked for. */
struct wish {
	const char *settings, *period, *unit, *system, *link;
	enum family family;
	enum form form;
	bool always, measured; /* all hours; without people's corrections */
	bool with_planned;     /* planned work counts as any other time */
};

/* What is needed to answer. */
struct sources {
	struct settings *settings;
	struct inventory *inventory;
	struct calendar *calendar;
	struct ledger *ledger;
	struct planned *planned;
	struct span period; /* clipped to what the ledger reaches */
	bool is_partial;
};

struct figure {
	const char *subject, *name; /* name: NULL of a group */
	struct availability a;
	unsigned revisions;
};

struct figures {
	struct figure *rows;
	size_t count;
	struct availability sum;
};

static const char *const help =
	"usage: xunjian-collector availability [OPTIONS] PERIOD\n\n"
	"Figures from the ledger. PERIOD: 2026, 2026-Q3, 2026-10, 2026-10-05 or 2026-10-05..2026-10-20, Asia/Shanghai.\n\n"
	"  -c FILE               settings (" DEFAULT_SETTINGS ")\n"
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
	case 'u': w->unit = text; break;
	case 's': w->system = text; break;
	case 'l': w->link = text; break;
	case 'p': w->period = text; break;
	case 'a': w->always = true; break;
	case 'm': w->measured = true; break;
	case 'j': w->form = FORM_JSON; break;
	case 'v': w->form = FORM_CSV; break;
	case 'w':
		w->with_planned = strcmp(text, "included") == 0;
		if (w->with_planned || strcmp(text, "excluded") == 0)
			break;
		fprintf(stderr, "availability: --maintenance is excluded or included, not \"%s\"\n", text);
		return -1;
	case 'f':
		w->family = strcmp(text, "ipv4") == 0 ? FAMILY_V4 : FAMILY_V6;
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

	*w = (struct wish){.settings = DEFAULT_SETTINGS};
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'h')
			return 1;
		if (take_option(w, option, optarg) < 0)
			return -1;
	}
	if (optind < argc && w->period == NULL)
		w->period = argv[optind++];
	if (optind < argc || w->period == NULL ||
		(w->unit != NULL) + (w->system != NULL) + (w->link != NULL) > 1) {
		fprintf(stderr, "availability: %s; see --help\n", optind < argc ? "one period only"
			: w->period == NULL ? "no period is given" : "one of --unit, --system, --link");
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

static int take_period(const struct wish *w, struct sources *s, struct err *e)
{
	int64_t reached = ledger_reached(s->ledger);
	char at[32];

	if (calendar_period(w->period, &s->period, e) < 0)
		return EXIT_USAGE;
	if (reached <= s->period.from) {
		err_set(e, "the ledger reaches %s, which is before this period",
			reached == 0 ? "nothing yet" : clock_format_utc(reached, at, sizeof at));
		return EXIT_RUNTIME;
	}
	s->is_partial = reached < s->period.until;
	if (s->is_partial)
		s->period.until = reached;
	return EXIT_FINE;
}

/* ---- figures */

static void count_revision(void *ctx, const struct ledger_revision *r)
{
	(void)r;
	++*(unsigned *)ctx;
}

static int service_of(const struct wish *w, const struct sources *s, const struct config_texts *service,
	struct spans *out, struct err *e)
{
	struct hours hours = {0};

	if (!w->always && service != NULL && hours_parse(service, &hours, e) < 0)
		return -1;
	return hours_spans(&hours, s->calendar, s->period, out, e);
}

static int add_figure(const struct wish *w, struct sources *s, struct figures *f, const char *kind, const char *id,
	const char *name, const struct config_texts *hours, struct err *e)
{
	struct figure row = {.subject = mem_format("%s/%s", kind, id), .name = name};
	struct spans service = {0}, excluded = {0};
	struct stretch *stretches = NULL;
	size_t count;
	int rc = -1;

	if (service_of(w, s, hours, &service, e) == 0 &&
		(w->with_planned || planned_read(s->planned, row.subject, s->period, &excluded, e) == 0) && ledger_read(s->ledger, row.subject, w->family, s->period, !w->measured,
			&stretches, &count, e) == 0 &&
		ledger_revisions(s->ledger, row.subject, w->family, s->period, count_revision, &row.revisions, e) == 0) {
		availability_count(stretches, count, &service, &excluded, &row.a);
		availability_add(&f->sum, &row.a);
		rc = 0;
	}
	free(stretches);
	spans_fini(&service);
	spans_fini(&excluded);
	f->rows = mem_resize(f->rows, f->count + 1, sizeof *f->rows);
	f->rows[f->count++] = row;
	return rc;
}

static int add_system(const struct wish *w, struct sources *s, struct figures *f, const struct inventory_system *system,
	struct err *e)
{
	const struct config_texts *hours = system->service.count > 0 ? &system->service : &system->of_unit->service;

	return add_figure(w, s, f, "system", system->id, system->name, hours, e);
}

static int add_systems(const struct wish *w, struct sources *s, struct figures *f, struct err *e)
{
	for (size_t i = 0; i < s->inventory->systems_count; i++) {
		const struct inventory_system *system = &s->inventory->systems[i];

		if ((w->unit == NULL || strcmp(system->unit, w->unit) == 0) && add_system(w, s, f, system, e) < 0)
			return EXIT_RUNTIME;
	}
	return EXIT_FINE;
}

static int unknown(const char *kind, const char *id, struct err *e)
{
	err_set(e, "there is no %s \"%s\" in the inventory", kind, id);
	return EXIT_USAGE;
}

static int make_figures(const struct wish *w, struct sources *s, struct figures *f, struct err *e)
{
	const struct inventory_system *system = w->system != NULL ? inventory_system(s->inventory, w->system) : NULL;
	const struct inventory_link *link = w->link != NULL ? inventory_link(s->inventory, w->link) : NULL;

	if (w->unit != NULL && inventory_unit(s->inventory, w->unit) == NULL)
		return unknown("unit", w->unit, e);
	if (w->system != NULL && system == NULL)
		return unknown("system", w->system, e);
	if (w->link != NULL && link == NULL)
		return unknown("link", w->link, e);
	if (system != NULL)
		return add_system(w, s, f, system, e) < 0 ? EXIT_RUNTIME : EXIT_FINE;
	if (link != NULL)
		return add_figure(w, s, f, "link", link->id, link->name, NULL, e) < 0 ? EXIT_RUNTIME : EXIT_FINE;
	return add_systems(w, s, f, e);
}

static void figures_fini(struct figures *f)
{
	for (size_t i = 0; i < f->count; i++)
		free((char *)f->rows[i].subject);
	free(f->rows);
}

/* ---- texts */

static const char *format_percent(int fraction, char out[32])
{
	if (fraction < 0)
		strcpy(out, "-");
	else
		snprintf(out, 32, "%d.%04d", fraction / 10000, fraction % 10000);
	return out;
}

static const char *format_length(int64_t ns, char out[32])
{
	int64_t s = ns / NS_PER_S;

	if (ns < 0)
		strcpy(out, "-");
	else
		snprintf(out, 32, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
	return out;
}

static void print_row(const char *subject, const struct availability *a, unsigned revisions)
{
	char t[8][32];

	printf("%-28s %9s %9s %9s %12s %5" PRIu64 " %11s %11s %11s %12s%s\n", subject, format_percent(availability_strict(a), t[0]),
		format_percent(availability_lenient(a), t[1]), format_percent(availability_coverage(a), t[2]),
		format_length(availability_counted(a), t[3]), a->outages, format_length(a->down, t[4]),
		format_length(a->longest, t[5]), format_length(availability_mttr(a), t[6]),
		format_length(availability_mtbf(a), t[7]), revisions > 0 ? " *" : "");
}

static void print_table(const struct wish *w, const struct sources *s, const struct figures *f)
{
	bool revised = false;
	char at[32];

	printf("%-28s %9s %9s %9s %12s %5s %11s %11s %11s %12s\n", w->period, "strict %", "lenient %", "covered %", "counted",
		"down", "time down", "longest", "MTTR", "MTBF");
	for (size_t i = 0; i < f->count; i++) {
		print_row(f->rows[i].subject, &f->rows[i].a, f->rows[i].revisions);
		revised |= f->rows[i].revisions > 0;
	}
	if (f->count > 1)
		print_row(w->unit != NULL ? w->unit : "all", &f->sum, 0);
	if (s->is_partial)
		printf("The period is not over: up to %s.\n", clock_format_utc(s->period.until, at, sizeof at));
	if (revised)
		puts("* The past of this subject was corrected, by late evidence or by hand.");
}

static void json_fraction(struct json *j, const char *key, int fraction)
{
	if (fraction < 0)
		json_nothing(j, key);
	else
		json_number(j, key, fraction / 1e6, 6);
}

static void json_seconds(struct json *j, const char *key, int64_t ns)
{
	if (ns < 0)
		json_nothing(j, key);
	else
		json_int(j, key, ns / NS_PER_S);
}

static void json_figures(struct json *j, const struct availability *a)
{
	json_fraction(j, "strict", availability_strict(a));
	json_fraction(j, "lenient", availability_lenient(a));
	json_fraction(j, "coverage", availability_coverage(a));
	json_seconds(j, "service", a->service);
	json_seconds(j, "maintenance", a->maintenance);
	json_seconds(j, "unmonitored", a->unmonitored);
	json_seconds(j, "up", a->up);
	json_seconds(j, "degraded", a->degraded);
	json_seconds(j, "down", a->down);
	json_seconds(j, "unknown", a->unknown);
	json_int(j, "outages", (int64_t)a->outages);
	json_seconds(j, "longest", a->longest);
	json_seconds(j, "mttr", availability_mttr(a));
	json_seconds(j, "mtbf", availability_mtbf(a));
}

static void print_json(const struct wish *w, const struct sources *s, const struct figures *f)
{
	struct json j = {0};

	json_open(&j, NULL, '{');
	json_text(&j, "period", w->period);
	json_int(&j, "from", s->period.from / NS_PER_S);
	json_int(&j, "until", s->period.until / NS_PER_S);
	json_bool(&j, "partial", s->is_partial);
	json_int(&j, "family", w->family);
	json_bool(&j, "service_hours", !w->always);
	json_bool(&j, "corrected", !w->measured);
	json_bool(&j, "maintenance_excluded", !w->with_planned);
	json_open(&j, "subjects", '[');
	for (size_t i = 0; i < f->count; i++) {
		json_open(&j, NULL, '{');
		json_text(&j, "subject", f->rows[i].subject);
		json_text(&j, "name", f->rows[i].name);
		json_int(&j, "revisions", f->rows[i].revisions);
		json_figures(&j, &f->rows[i].a);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_open(&j, "sum", '{');
	json_int(&j, "members", (int64_t)f->sum.members);
	json_figures(&j, &f->sum);
	json_close(&j, '}');
	json_close(&j, '}');
	printf("%.*s\n", (int)j.out.len, (const char *)j.out.data);
	json_fini(&j);
}

/* For spreadsheets: UTF-8 with a mark, CRLF; names are quoted, and none can begin a formula. */
static void print_csv_text(const char *text)
{
	fputs(strchr("=+-@\t", text[0]) != NULL && text[0] != '\0' ? "\"'" : "\"", stdout);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static void print_csv_row(const char *subject, const char *name, const struct availability *a, unsigned revisions)
{
	char t[3][32];

	print_csv_text(subject);
	putchar(',');
	print_csv_text(name);
	printf(",%s,%s,%s", format_percent(availability_strict(a), t[0]), format_percent(availability_lenient(a), t[1]),
		format_percent(availability_coverage(a), t[2]));
	for (size_t i = 0; i < 7; i++)
		printf(",%" PRId64, (const int64_t[]){a->service, a->maintenance, a->unmonitored, a->up, a->degraded, a->down,
			a->unknown}[i] / NS_PER_S);
	printf(",%" PRIu64 ",%" PRId64 ",%u\r\n", a->outages, a->longest / NS_PER_S, revisions);
}

static void print_csv(const struct wish *w, const struct figures *f)
{
	printf("\xef\xbb\xbfsubject,name,strict %%,lenient %%,coverage %%,service s,maintenance s,unmonitored s,up s,degraded s,"
	       "down s,unknown s,outages,longest s,revisions\r\n");
	for (size_t i = 0; i < f->count; i++)
		print_csv_row(f->rows[i].subject, f->rows[i].name, &f->rows[i].a, f->rows[i].revisions);
	if (f->count > 1)
		print_csv_row(w->unit != NULL ? w->unit : "all", "", &f->sum, 0);
}

static int answer(const struct wish *w, struct sources *s, struct err *e)
{
	struct figures f = {0};
	int status = open_sources(w, s, e);

	if (status == EXIT_FINE)
		status = take_period(w, s, e);
	if (status == EXIT_FINE)
		status = make_figures(w, s, &f, e);
	if (status == EXIT_FINE && w->form == FORM_TABLE)
		print_table(w, s, &f);
	else if (status == EXIT_FINE && w->form == FORM_JSON)
		print_json(w, s, &f);
	else if (status == EXIT_FINE)
		print_csv(w, &f);
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

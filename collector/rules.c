#include "collector/rules.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/limit.h"
#include "collector/judge/rehearse.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/sample.h"
#include "probes/catalog.h"

#define STEPS_MAX 100000
#define TEXTS_MAX 4096

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3 };

/* ---- the file */

struct rule_input {
	struct config_texts checks, vantages;
	int families;       /* enum inventory_families */
	int64_t step;
	const char *series, *metric, *values, *reason; /* "" what is not given */
	struct config_where where;
};
enum rule_deed { DEED_PLAN, DEED_ACKNOWLEDGE };
struct rule_action {
	int64_t at, lasts;
	int deed;
	const char *subject;
	struct config_where where;
};
struct rule_expect {
	int64_t at;
	struct config_texts open, told, states;
	struct config_where where;
};
struct rule_test {
	const char *name;
	struct config_list input, actions, expect;
	struct config_where where;
};
struct rule_file {
	const char *inventory;
	struct config_texts escalate;
	struct config_where where;
	struct config_list tests;
};

#define FIELD(type, field, sort, ...) {.name = #field, .kind = sort, .offset = offsetof(struct type, field), __VA_ARGS__}
#define SCHEMA(type, table) {.size = sizeof(struct type), .fields = table, .where_offset = offsetof(struct type, where)}
#define DAYS (30 * 86400 * NS_PER_S)

static int check_series(const char *, struct err *);
static int check_values(const char *, struct err *);
static int check_step(const char *, struct err *);

static const struct config_field input_fields[] = {
	FIELD(rule_input, checks, CONFIG_TEXTS, .min = 1, .max = TEXTS_MAX, .help = "ids of the checks that are measured so"),
	FIELD(rule_input, vantages, CONFIG_TEXTS, .fallback = "", .max = TEXTS_MAX, .help = "only by these agents; none: by all of the check"),
	FIELD(rule_input, families, CONFIG_CHOICE, .choices = "both|ipv4|ipv6", .fallback = "both", .help = "only in this family"),
	FIELD(rule_input, series, CONFIG_TEXT, .fallback = "", .max = 4096, .check = check_series,
		.help = "up, down, unknown or _ (nothing is measured), each for a step or with xN for N; the last one stays"),
	FIELD(rule_input, metric, CONFIG_TEXT, .fallback = "", .max = LIMIT_METRIC - 1, .help = "a value that limits judge, as in \"loss\""),
	FIELD(rule_input, values, CONFIG_TEXT, .fallback = "", .max = 4096, .check = check_values,
		.help = "of the metric, each for a step: 3, or 0+1x5 (0 to 5), 60x9 (ten times), _ and _x5 (none); the last one stays"),
	FIELD(rule_input, step, CONFIG_DURATION, .fallback = "10s", .min = NS_PER_S, .max = DAYS, .help = "time of one word of the series, or of one value"),
	FIELD(rule_input, reason, CONFIG_TEXT, .fallback = "as the rules say", .max = 200, .help = "words of what is not up"),
	{.name = NULL},
};
static const struct config_schema input_schema = SCHEMA(rule_input, input_fields);

static const struct config_field action_fields[] = {
	FIELD(rule_action, at, CONFIG_DURATION, .max = DAYS, .help = "when, from the beginning"),
	{.name = "do", .kind = CONFIG_CHOICE, .offset = offsetof(struct rule_action, deed), .choices = "plan|acknowledge",
		.help = "plan: maintenance begins; acknowledge: the open incident of the subject"},
	FIELD(rule_action, subject, CONFIG_TEXT, .min = 3, .max = 100, .help = "\"system/portal\""),
	{.name = "for", .kind = CONFIG_DURATION, .offset = offsetof(struct rule_action, lasts), .fallback = "1h", .min = NS_PER_S,
		.max = DAYS, .help = "how long it lasts"},
	{.name = NULL},
};
static const struct config_schema action_schema = SCHEMA(rule_action, action_fields);

static const struct config_field expect_fields[] = {
	FIELD(rule_expect, at, CONFIG_DURATION, .max = DAYS, .help = "when, from the beginning"),
	FIELD(rule_expect, open, CONFIG_TEXTS, .fallback = "", .max = TEXTS_MAX,
		.help = "root causes of the open incidents then; none: no incident is open"),
	FIELD(rule_expect, told, CONFIG_TEXTS, .fallback = "", .max = TEXTS_MAX,
		.help = "notices since the moment before, as in \"operations problem link/east\" (a unit's id in the place of operations, or "
			"escalation/1); none: nobody was told anything"),
	FIELD(rule_expect, states, CONFIG_TEXTS, .fallback = "", .max = TEXTS_MAX, .help = "states then, as in \"system/portal degraded\""),
	{.name = NULL},
};
static const struct config_schema expect_schema = SCHEMA(rule_expect, expect_fields);

static const struct config_field test_fields[] = {
	FIELD(rule_test, name, CONFIG_TEXT, .min = 1, .max = 200, .help = "what must be true, in words"),
	FIELD(rule_test, input, CONFIG_LIST, .fallback = "", .max = TEXTS_MAX, .sub = &input_schema,
		.help = "what is measured otherwise than up"),
	FIELD(rule_test, actions, CONFIG_LIST, .fallback = "", .max = 1000, .sub = &action_schema, .help = "what people do, in order of time"),
	FIELD(rule_test, expect, CONFIG_LIST, .min = 1, .max = 1000, .sub = &expect_schema, .help = "what must come of it, in order of time"),
	{.name = NULL},
};
static const struct config_schema test_schema = SCHEMA(rule_test, test_fields);

static const struct config_field file_fields[] = {
	FIELD(rule_file, inventory, CONFIG_TEXT, .min = 1, .max = 4096, .help = "folder of the inventory, from the folder of this file on"),
	FIELD(rule_file, escalate, CONFIG_TEXTS, .fallback = "", .max = INCIDENT_STEPS, .check = check_step,
		.help = "steps of the escalation, as in collector.conf(5), all hours counted: 15m, 1h"),
	FIELD(rule_file, tests, CONFIG_LIST, .min = 1, .max = 10000, .sub = &test_schema, .help = "each begins anew"),
	{.name = NULL},
};
const struct config_schema rules_schema = SCHEMA(rule_file, file_fields);

/* ---- series: "up x5 down x3 _ up" */

enum word { WORD_UP, WORD_DOWN, WORD_UNKNOWN, WORD_NOTHING, WORD_NONE };

/* The next word and how often it stands; NULL behind the last, with *word WORD_NONE; -1 in *times: not one. */
static const char *next_word(const char *at, enum word *word, int64_t *times)
{
	static const char *const words[] = {"up", "down", "unknown", "_"};
	size_t n;

	at += strspn(at, " \t\n");
	n = strcspn(at, " \t\n");
	*word = WORD_NONE;
	*times = n == 0 ? 0 : -1;
	for (int i = 0; i < WORD_NONE && n > 0; i++) {
		if (strlen(words[i]) == n && strncmp(at, words[i], n) == 0) {
			*word = (enum word)i;
			*times = 1;
		}
	}
	if (*times != 1)
		return NULL;
	at += n;
	at += strspn(at, " \t\n");
	if (at[0] == 'x') {
		char *end;

		*times = strtoll(at + 1, &end, 10);
		if (end == at + 1 || strcspn(end, " \t\n") != 0 || *times < 1 || *times > STEPS_MAX)
			*times = -1;
		at = end;
	}
	return *times > 0 ? at : NULL;
}

static int check_series(const char *text, struct err *e)
{
	enum word word;
	int64_t times;
	size_t count = 0;

	while ((text = next_word(text, &word, &times)) != NULL)
		count++;
	if (times < 0)
		return err_set(e, "\"up\", \"down\", \"unknown\" or \"_\" stands there, each with xN behind it at most (N up to %d)", STEPS_MAX);
	return count > 0 ? 0 : err_set(e, "a series has one word at least");
}

static enum word word_at(const struct rule_input *in, int64_t since_start)
{
	int64_t step = since_start / in->step, times;
	const char *at = in->series;
	enum word word, last = WORD_UP;

	while ((at = next_word(at, &word, &times)) != NULL) {
		last = word;
		if (step < times)
			break;
		step -= times;
	}
	return last;
}

/* ---- values: "0+10x5 60x20 _x3 0", as promtool writes them */

struct run_of_values {
	double first, step;
	int64_t times;
	bool is_nothing;
};

/* A decimal number; NULL: none stands there. */
static const char *next_number(const char *at, double *out)
{
	char text[40];
	size_t n = strspn(at + (at[0] == '-'), "0123456789.") + (at[0] == '-');
	struct err ignored;

	if (n >= sizeof text)
		return NULL;
	memcpy(text, at, n);
	text[n] = '\0';
	return num_parse_double(text, out, &ignored) == 0 ? at + n : NULL;
}

/* Behind the next word; NULL behind the last one, and with times -1 at what is none. */
static const char *next_run(const char *at, struct run_of_values *out)
{
	double sign;

	at += strspn(at, " \t\n");
	*out = (struct run_of_values){.times = *at == '\0' ? 0 : -1, .is_nothing = *at == '_'};
	if (*at == '\0')
		return NULL;
	at = out->is_nothing ? at + 1 : next_number(at, &out->first);
	if (at != NULL && !out->is_nothing && (*at == '+' || *at == '-')) {
		sign = *at == '-' ? -1 : 1;
		at = next_number(at + 1, &out->step);
		out->step *= sign;
		if (at == NULL || *at != 'x')
			return NULL;
	}
	if (at == NULL)
		return NULL;
	out->times = 1;
	if (*at == 'x') {
		char *end;

		/* N times more, but "_x3" is nothing three times. */
		out->times = strtoll(at + 1, &end, 10) + !out->is_nothing;
		if (end == at + 1 || at[1] == '-' || out->times < 1 || out->times > STEPS_MAX)
			out->times = -1;
		at = end;
	}
	if (strcspn(at, " \t\n") != 0)
		out->times = -1;
	return out->times > 0 ? at : NULL;
}

static int check_values(const char *text, struct err *e)
{
	struct run_of_values run;

	while ((text = next_run(text, &run)) != NULL)
		;
	return run.times == 0 ? 0
		: err_set(e, "values are numbers, 0+1x5 (from 0 on five times 1 more), 3x5 or _ (nothing), at most %d", STEPS_MAX);
}

static int check_step(const char *text, struct err *e)
{
	int64_t after;

	if (num_parse_duration(text, &after, e) < 0)
		return -1;
	return after >= NS_PER_S && after <= DAYS ? 0 : err_set(e, "\"%.60s\" is not between 1s and 30d", text);
}

/* False: there is none then. */
static bool value_at(const struct rule_input *in, int64_t since_start, double *out)
{
	int64_t step = since_start / in->step;
	const char *at = in->values;
	struct run_of_values run, last = {.is_nothing = true};

	while ((at = next_run(at, &run)) != NULL) {
		last = run;
		if (step < run.times)
			break;
		step -= run.times;
	}
	if (at == NULL)
		step = last.times - 1;
	*out = last.first + last.step * (double)step;
	return !last.is_nothing;
}

/* ---- playing a test */

struct texts {
	char **items;
	size_t count;
};

struct play {
	const struct rule_test *test;
	struct texts told; /* since the last expectation */
};

static void add_text(struct texts *t, char *text)
{
	t->items = mem_resize(t->items, t->count + 1, sizeof *t->items);
	t->items[t->count++] = text;
}

static void clear_texts(struct texts *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->items[i]);
	free(t->items);
	*t = (struct texts){0};
}

static bool names(const struct config_texts *t, const char *id)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->items[i], id) == 0)
			return true;
	return false;
}

static bool is_about(const struct rule_input *in, const char *check, const char *vantage, enum family family)
{
	return names(&in->checks, check) && (in->vantages.count == 0 || names(&in->vantages, vantage)) &&
		(in->families == FAMILIES_BOTH || family == (in->families == FAMILIES_IPV4 ? FAMILY_V4 : FAMILY_V6));
}

/* The last input that speaks of it has the word. */
static bool outcome(void *ctx, const struct inventory_check *c, const char *vantage, enum family family, int64_t at,
	enum outcome *outcome, const char **reason)
{
	const struct play *p = ctx;
	const struct rule_input *inputs = p->test->input.items;

	for (size_t i = p->test->input.count; i-- > 0;) {
		enum word word;

		if (inputs[i].series[0] == '\0' || !is_about(&inputs[i], c->id, vantage, family))
			continue;
		word = word_at(&inputs[i], at - REHEARSE_START);
		if (word == WORD_DOWN || word == WORD_UNKNOWN) {
			*outcome = word == WORD_DOWN ? OUTCOME_DOWN : OUTCOME_UNKNOWN;
			*reason = inputs[i].reason;
		}
		return word != WORD_NOTHING;
	}
	return true;
}

/* 0: it has no such metric. */
static uint32_t metric_of(const struct inventory_check *c, const char *name)
{
	const struct metric *m = c->of_type->metrics;

	while (m->number != 0 && strcmp(m->name, name) != 0)
		m++;
	return m->number;
}

/* Of each metric the last input that speaks of it. */
static size_t values(void *ctx, const struct inventory_check *c, const char *vantage, enum family family, int64_t at,
	struct verdict_value *out, size_t room)
{
	const struct play *p = ctx;
	const struct rule_input *inputs = p->test->input.items;
	size_t count = 0;

	for (size_t i = p->test->input.count; i-- > 0 && count < room;) {
		struct verdict_value v = {.baseline = NAN};
		bool is_known = false;

		if (inputs[i].values[0] == '\0' || !is_about(&inputs[i], c->id, vantage, family))
			continue;
		v.metric = metric_of(c, inputs[i].metric);
		for (size_t k = 0; k < count; k++)
			is_known = is_known || out[k].metric == v.metric;
		if (!is_known && value_at(&inputs[i], at - REHEARSE_START, &v.number))
			out[count++] = v;
	}
	return count;
}

static void on_intent(void *ctx, const struct incident_intent *in, int64_t now)
{
	struct play *p = ctx;

	(void)now;
	if (in->kind == INTENT_PROBE)
		return;
	add_text(&p->told, mem_format("%s %s %s", in->audience[0] != '\0' ? in->audience : "operations", incident_intent_name(in->kind),
		in->kind == INTENT_DIGEST ? "-" : in->subject));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(FILE *out, const struct texts *t)
{
	for (size_t i = 0; i < t->count; i++)
		fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", t->items[i]);
	if (t->count == 0)
		fputs("nothing", out);
}

/* Both in order; 1 and said when they differ. Clears what there is. */
static int compare(const struct rule_test *t, const struct rule_expect *x, const char *what, const struct config_texts *want,
	struct texts *is)
{
	struct texts wanted = {0};
	char at[NUM_TEXT];
	int differ;

	for (size_t i = 0; i < want->count; i++)
		add_text(&wanted, mem_strdup(want->items[i]));
	if (wanted.count > 0)
		qsort(wanted.items, wanted.count, sizeof *wanted.items, by_text);
	if (is->count > 0)
		qsort(is->items, is->count, sizeof *is->items, by_text);
	differ = wanted.count != is->count;
	for (size_t i = 0; i < wanted.count && !differ; i++)
		differ = strcmp(wanted.items[i], is->items[i]) != 0;
	if (differ) {
		num_format_duration(x->at, at);
		printf("%s:%u: %s: at %s, %s: expected ", x->where.file, x->where.line, t->name, at, what);
		list(stdout, &wanted);
		printf(", got ");
		list(stdout, is);
		putchar('\n');
	}
	clear_texts(&wanted);
	clear_texts(is);
	return differ;
}

static int compare_open(const struct rule_test *t, const struct rule_expect *x, const struct incidents *c)
{
	struct incident_view v;
	struct texts is = {0};

	for (size_t i = 0; incidents_at(c, i, &v); i++)
		if (v.phase == INCIDENT_OPEN)
			add_text(&is, mem_strdup(v.subject));
	return compare(t, x, "open", &x->open, &is);
}

/* The states of the subjects that the expectation names. */
static int compare_states(const struct rule_test *t, const struct rule_expect *x, const struct incidents *c)
{
	struct texts is = {0};

	for (size_t i = 0; i < x->states.count; i++) {
		char *subject = mem_format("%.*s", (int)strcspn(x->states.items[i], " "), x->states.items[i]);

		add_text(&is, mem_format("%s %s", subject, verdict_state_name(incidents_state(c, subject))));
		free(subject);
	}
	return compare(t, x, "states", &x->states, &is);
}

/* Of the open incident whose root is this subject; 0: there is none. */
static uint64_t open_incident(const struct incidents *c, const char *subject)
{
	struct incident_view v;

	for (size_t i = 0; incidents_at(c, i, &v); i++)
		if (v.phase != INCIDENT_CLOSED && strcmp(v.subject, subject) == 0)
			return v.id;
	return 0;
}

/* 1 and said when it is refused. */
static int act(struct rehearse *r, const struct rule_test *t, const struct rule_action *a)
{
	struct maintenance m = {.id = "rules", .subject = a->subject, .author = "rules", .reason = "as the rules say",
		.from = REHEARSE_START + a->at, .to = REHEARSE_START + a->at + a->lasts};
	struct incident_event event = {.kind = INCIDENT_PLAN, .author = "rules", .text = "", .maintenance = &m};
	struct err e;

	if (a->deed == DEED_ACKNOWLEDGE) {
		event.kind = INCIDENT_ACKNOWLEDGE;
		event.incident = open_incident(rehearse_incidents(r), a->subject);
		event.until = m.to;
	}
	if (rehearse_request(r, &event, &e) == 0)
		return 0;
	printf("%s:%u: %s: refused: %s\n", a->where.file, a->where.line, t->name, e.text);
	return 1;
}

/* How many things came otherwise; -1 with err when the inventory cannot be judged. */
static int play(const struct rule_test *t, const struct incident_settings *settings, const struct inventory *v, struct err *e)
{
	struct play p = {.test = t};
	const struct rehearse_options o = {outcome, values, on_intent, &p, *settings};
	struct rehearse *r = rehearse_new(v, &o, e);
	const struct rule_expect *expect = t->expect.items;
	const struct rule_action *actions = t->actions.items;
	size_t done = 0;
	int wrong = 0;

	if (r == NULL)
		return -1;
	for (size_t i = 0; i < t->expect.count; i++) {
		for (; done < t->actions.count && actions[done].at < expect[i].at; done++) {
			rehearse_until(r, REHEARSE_START + actions[done].at);
			wrong += act(r, t, &actions[done]);
		}
		rehearse_until(r, REHEARSE_START + expect[i].at);
		wrong += compare_open(t, &expect[i], rehearse_incidents(r));
		wrong += compare(t, &expect[i], "told", &expect[i].told, &p.told);
		wrong += compare_states(t, &expect[i], rehearse_incidents(r));
	}
	clear_texts(&p.told);
	rehearse_free(r);
	return wrong;
}

/* ---- what the schema cannot check */

static int check_input(const struct rule_input *in, const struct inventory *v, struct err *e)
{
	if (in->series[0] == '\0' && in->values[0] == '\0')
		return config_error(&in->where, e, "an input has a series, or a metric and values");
	if ((in->metric[0] == '\0') != (in->values[0] == '\0'))
		return config_error(&in->where, e, "metric and values stand together");
	for (size_t i = 0; i < in->checks.count; i++) {
		const struct inventory_check *c = inventory_check(v, in->checks.items[i]);

		if (c == NULL)
			return config_error(&in->where, e, "no check \"%s\" is in the inventory", in->checks.items[i]);
		if (in->metric[0] != '\0' && metric_of(c, in->metric) == 0)
			return config_error(&in->where, e, "\"%s\" is no value of check \"%s\"", in->metric, c->id);
		for (size_t k = 0; k < in->vantages.count; k++)
			if (!names(&c->vantages, in->vantages.items[k]))
				return config_error(&in->where, e, "agent \"%s\" does not run check \"%s\"", in->vantages.items[k], c->id);
	}
	return 0;
}

static int check_test(const struct rule_test *t, const struct inventory *v, struct err *e)
{
	const struct rule_input *in = t->input.items;
	const struct rule_action *a = t->actions.items;
	const struct rule_expect *x = t->expect.items;

	for (size_t i = 0; i < t->input.count; i++)
		if (check_input(&in[i], v, e) < 0)
			return -1;
	for (size_t i = 1; i < t->actions.count; i++)
		if (a[i].at < a[i - 1].at)
			return config_error(&a[i].where, e, "actions stand in order of time");
	for (size_t i = 1; i < t->expect.count; i++)
		if (x[i].at <= x[i - 1].at)
			return config_error(&x[i].where, e, "expectations stand in order of time, each later than the one before");
	/* The list has one at least. */
	for (size_t i = 0; i < t->actions.count; i++)
		if (a[i].at >= x[t->expect.count - 1].at)
			return config_error(&a[i].where, e, "nothing is expected after this action: it would not be played");
	return 0;
}

static char *beside(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');

	if (path[0] == '/' || slash == NULL)
		return mem_strdup(path);
	return mem_format("%.*s/%s", (int)(slash - file), file, path);
}

/* ---- the command */

static int read_steps(const struct rule_file *f, struct incident_settings *s, struct err *e)
{
	for (size_t i = 0; i < f->escalate.count; i++) {
		struct err why;

		if (num_parse_duration(f->escalate.items[i], &s->after[i], &why) < 0)
			return config_error(&f->where, e, "escalate: %s", why.text);
		if (i > 0 && s->after[i] <= s->after[i - 1])
			return config_error(&f->where, e, "escalate: each step comes later than the one before");
	}
	s->steps = f->escalate.count;
	return 0;
}

static int run_tests(const struct rule_file *f, const struct inventory *v, int *passed, int *failed, struct err *e)
{
	const struct rule_test *tests = f->tests.items;
	struct incident_settings settings = {0};

	for (size_t i = 0; i < f->tests.count; i++)
		if (check_test(&tests[i], v, e) < 0)
			return -1;
	if (read_steps(f, &settings, e) < 0)
		return -1;
	for (size_t i = 0; i < f->tests.count; i++) {
		int wrong = play(&tests[i], &settings, v, e);

		if (wrong < 0)
			return -1;
		if (wrong == 0)
			printf("  ok    %s\n", tests[i].name);
		else
			printf("  FAIL  %s\n", tests[i].name);
		*(wrong == 0 ? passed : failed) += 1;
	}
	return 0;
}

static int run_file(const char *path, int *passed, int *failed, struct err *e)
{
	struct arena *arena = arena_new();
	struct inventory *v = NULL;
	struct rule_file f;
	char *folder;
	int rc = config_load(path, &rules_schema, arena, &f, e);

	if (rc == 0) {
		folder = beside(path, f.inventory);
		v = inventory_load(folder, e);
		free(folder);
		rc = v != NULL ? run_tests(&f, v, passed, failed, e) : -1;
	}
	inventory_free(v);
	arena_free(arena);
	return rc;
}

static const char help[] =
	"usage: xunjian-collector test-rules FILE ...\n\n"
	"Plays each test of the files over their inventory in virtual time, and compares incidents, notices and states with\n"
	"what the test expects; xunjian-rules(5) describes the files. Exit status: 0 all as expected, 1 something came otherwise,\n"
	"2 usage, 3 a file is not valid.\n";

int rules_main(int argc, char **argv)
{
	int passed = 0, failed = 0;
	struct err e;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(help, stdout);
		return EXIT_FINE;
	}
	if (argc < 2 || argv[1][0] == '-') {
		fputs(argc < 2 ? "test-rules: expected a file; see --help\n" : "test-rules: it has no such option; see --help\n", stderr);
		return EXIT_USAGE;
	}
	for (int i = 1; i < argc; i++) {
		if (run_file(argv[i], &passed, &failed, &e) < 0) {
			fprintf(stderr, "%s\n", e.text);
			return EXIT_CONFIG;
		}
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 ? EXIT_FINE : EXIT_FAILED;
}

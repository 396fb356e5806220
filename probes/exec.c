#include "probes/exec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog_exec.h"
#include "probes/datagram.h"
#include "probes/exec_output.h"
#include "probes/resolve.h"

#define DISCARD 9 /* a port that nothing is sent to */
#define WORDS_MAX (SAMPLE_TEXT_MAX + EXEC_LONG_MAX + 4)
#define SEEN_MAX 20000 /* items remembered; then all are forgotten */

/* An item of performance data the time before. */
struct seen {
	char unit[EXEC_UNIT_MAX + 1];
	double value;
	int64_t mono; /* 0: never */
};

struct state {
	struct map *seen; /* by check, address and label */
};

struct exec {
	struct run *run;
	struct state *state;
	struct exec_call *call; /* NULL once it has ended */
	int64_t began;          /* when the plugin did, which may have waited for a place */
};

/* ---- what it measured */

/* The end at which an alert begins: the upper one, or the lower one where that is the only one. */
static void tell_range(struct run_part *part, uint32_t at, uint32_t low_at, const struct exec_range *r)
{
	if (!r->is_given)
		return;
	run_part_value(part, at, isfinite(r->high) ? r->high : r->low);
	/* "10" is 0..10, where nobody wrote the 0. */
	if (isfinite(r->high) && isfinite(r->low) && r->low != 0)
		run_part_value(part, low_at, r->low);
}

/* NULL in the one-shot command. */
static struct seen *find_seen(struct exec *x, const struct exec_perf *p)
{
	struct map *all = x->state->seen;
	char text[64] = "", *key;
	socklen_t len;
	const struct sockaddr *address = run_address(x->run, &len);
	struct seen *s;

	if (*run_check(x->run) == '\0')
		return NULL;
	if (address != NULL)
		resolve_format(address, text, sizeof text);
	key = mem_format("%s\n%s\n%s", run_check(x->run), text, p->label);
	s = map_find(all, key);
	if (s == NULL && map_count(all) == SEEN_MAX) {
		map_free(all, free);
		all = x->state->seen = map_new();
	}
	if (s == NULL) {
		s = mem_alloc(sizeof *s);
		map_set(all, key, s);
	}
	free(key);
	return s;
}

/* The label and the unit, which the number of bytes and of counters says itself. A value that could not be taken has
 * none: it is still the same thing. */
static struct run_part *part_of(struct exec *x, const struct exec_perf *p, const struct seen *s, struct map *labels)
{
	const char *unit = p->is_known || s == NULL ? p->unit : s->unit;
	bool is_shown = *unit != '\0' && strcmp(unit, "B") != 0 && strcmp(unit, "c") != 0;
	char label[EXEC_LABEL_MAX + EXEC_UNIT_MAX + 4];

	snprintf(label, sizeof label, is_shown ? "%s [%s]" : "%s", p->label, unit);
	return map_set(labels, label, x) == NULL ? run_add_part(x->run, label) : NULL;
}

/* Per second since the run before; a counter that fell was set back. */
static void tell_rate(const struct exec *x, struct run_part *part, const struct exec_perf *p, const struct seen *s)
{
	if (strcmp(p->unit, "c") == 0 && s->mono > 0 && p->value >= s->value && x->began > s->mono)
		run_part_value(part, EXEC_RATE, (p->value - s->value) * NS_PER_S / (double)(x->began - s->mono));
}

/* labels: of those told before. One that says the same as another, unit and all, would be written into its series: false. */
static bool tell_perf(struct exec *x, const struct exec_perf *p, struct map *labels)
{
	struct seen *s = find_seen(x, p);
	struct run_part *part = part_of(x, p, s, labels);
	uint32_t number = strcmp(p->unit, "B") == 0 ? EXEC_BYTES : EXEC_PLAIN;

	if (part == NULL)
		return false;
	if (!p->is_known) {
		run_part_unknown(part, "the plugin could not take the value"); /* nor is the unit of its limits known */
		return true;
	}
	run_part_value(part, number + EXEC_AT_VALUE, p->value);
	tell_range(part, number + EXEC_AT_WARN, number + EXEC_AT_WARN_LOW, &p->warn);
	tell_range(part, number + EXEC_AT_CRIT, number + EXEC_AT_CRIT_LOW, &p->crit);
	run_part_value(part, number + EXEC_AT_MIN, p->min);
	run_part_value(part, number + EXEC_AT_MAX, p->max);
	if (s == NULL)
		return true;
	tell_rate(x, part, p, s);
	*s = (struct seen){.value = p->value, .mono = x->began};
	memcpy(s->unit, p->unit, sizeof s->unit);
	return true;
}

static void tell_all_perf(struct exec *x, const struct exec_output *o)
{
	struct map *labels = map_new();
	size_t refused = o->refused;

	for (size_t i = 0; i < o->count; i++)
		refused += !tell_perf(x, &o->perf[i], labels);
	run_value(x->run, EXEC_REFUSED, (double)refused);
	map_free(labels, NULL);
}

/* ---- how it ended */

/* Its first line and behind it the others, of which a result has what there is room for; where it wrote none, what else it said. */
static const char *words_of(const struct exec_output *o, const struct exec_end *end, char room[WORDS_MAX])
{
	if (o->line[0] != '\0' && o->long_text[0] != '\0')
		snprintf(room, WORDS_MAX, "%s / %s", o->line, o->long_text);
	if (o->long_text[0] != '\0')
		return o->line[0] != '\0' ? room : o->long_text;
	if (o->line[0] != '\0')
		return o->line;
	exec_output_line(end->err, end->err_len, room);
	return room[0] != '\0' ? room : "it wrote nothing";
}

/* A plugin takes our own want of a way for the fault of what it asks; of a plugin with a host we know where to. */
static void tell_critical(struct run *r, const char *words)
{
	const struct datagram_events none = {0};
	struct datagram *d = NULL;
	socklen_t len;
	const struct sockaddr *to = run_address(r, &len);
	int error = 0;

	if (to != NULL)
		d = datagram_open(run_env(r)->base, to, len, DISCARD, &none, &error);
	datagram_close(d);
	if (error != 0)
		run_unknown(r, "%s: %s", datagram_refusal_words(error), words);
	else
		run_down(r, "%s", words);
}

static void tell_exit(struct exec *x, const struct exec_end *end, const struct exec_output *o)
{
	char room[WORDS_MAX];
	const char *words = words_of(o, end, room);
	struct run *r = x->run;

	if (end->status <= 3)
		run_value(r, EXEC_STATE, end->status);
	tell_all_perf(x, o);
	switch (end->status) {
	case 0:
		run_up(r);
		break;
	case 1:
		run_up_noting(r, "%s", words);
		break;
	case 2:
		tell_critical(r, words);
		break;
	case 3:
		run_unknown(r, "%s", words);
		break;
	default:
		run_unknown(r, "exit status %d is none of a plugin: %s", end->status, words);
		break;
	}
}

static void tell_late(struct run *r)
{
	char limit[NUM_TEXT];

	num_format_duration(run_deadline(r) - run_started(r), limit);
	run_unknown(r, "the plugin did not end within %s, it was killed", limit);
}

static void tell_end(struct exec *x, const struct exec_end *end, struct exec_output *o)
{
	struct run *r = x->run;
	char words[WORDS_MAX];

	if (end->how != EXEC_FAILED)
		run_value(r, EXEC_TIME, (double)end->elapsed / NS_PER_S);
	exec_output_parse(end->out, end->out_len, o);
	switch (end->how) {
	case EXEC_EXITED:
		tell_exit(x, end, o);
		break;
	case EXEC_SIGNALLED:
		run_unknown(r, "the plugin was ended by signal %d (%s): %s", end->status, strsignal(end->status),
			words_of(o, end, words));
		break;
	case EXEC_LATE:
		tell_late(r);
		break;
	case EXEC_FLOODED:
		run_unknown(r, "the plugin wrote without end, it was killed");
		break;
	case EXEC_FAILED:
		exec_output_line(end->err, end->err_len, words);
		run_unknown(r, "%s", words);
		break;
	}
}

static void exec_free(struct exec *x)
{
	run_set_private(x->run, NULL);
	free(x);
}

static void on_end(void *ctx, const struct exec_end *end)
{
	struct exec_output *o = mem_alloc(sizeof *o);
	struct exec *x = ctx;

	x->call = NULL;
	x->began = clock_mono() - end->elapsed;
	tell_end(x, end, o);
	exec_free(x);
	free(o);
}

static void at_deadline(void *state, struct run *r)
{
	struct exec *x = run_private(r);
	const struct probe_env *env = run_env(r);
	char limit[NUM_TEXT];

	(void)state;
	if (env->exec_cancel(env->ctx, x->call)) {
		tell_late(r);
	} else {
		num_format_duration(run_deadline(r) - run_started(r), limit);
		run_unknown(r, "other plugins had all places for %s", limit);
	}
	exec_free(x);
}

/* ---- how it begins */

static void add_argument(struct buf *out, const char *text, const char *const words[3], const char *const values[3])
{
	while (*text != '\0') {
		size_t i = 0;

		while (i < 3 && strncmp(text, words[i], strlen(words[i])) != 0)
			i++;
		if (i < 3) {
			buf_add_text(out, values[i]);
			text += strlen(words[i]);
		} else {
			buf_add_u8(out, (uint8_t)*text++);
		}
	}
	buf_add_u8(out, '\0');
}

/* All arguments one after the other, each with its NUL. */
static void add_arguments(const struct run *r, struct buf *out)
{
	static const char *const words[] = {EXEC_ADDRESS, EXEC_FAMILY, EXEC_HOST};
	const struct exec_options *o = run_options(r);
	char address[64] = "", family[2] = {(char)('0' + (int)run_family(r)), '\0'};
	const char *const values[] = {address, family, run_host(r)};
	socklen_t len;
	const struct sockaddr *to = run_address(r, &len);

	if (to != NULL)
		resolve_format(to, address, sizeof address);
	for (size_t i = 0; i < o->args.count; i++)
		add_argument(out, o->args.items[i], words, values);
}

/* Points args at each; -1: one is not what the other process would take. */
static int split_arguments(struct buf *texts, size_t count, const char **args, struct err *e)
{
	const char *at = buf_text(texts);

	for (size_t i = 0; i < count; i++) {
		if (!text_is_clean(at, EXEC_FILLED_MAX))
			return err_set(e, "argument %zu is too long with the address in it", i + 1);
		args[i] = at;
		at += strlen(at) + 1;
	}
	return 0;
}

static struct exec_call *call(struct exec *x, struct err *e)
{
	const struct exec_options *o = run_options(x->run);
	const struct probe_env *env = run_env(x->run);
	const char *args[EXEC_ARGS_MAX];
	struct buf texts = {0};
	struct exec_request request = {.plugin = o->plugin, .args = args, .count = o->args.count,
		.deadline = run_deadline(x->run)};
	struct exec_call *c = NULL;

	add_arguments(x->run, &texts);
	if (split_arguments(&texts, o->args.count, args, e) == 0)
		c = env->exec_start(env->ctx, &request, on_end, x, e);
	buf_fini(&texts);
	return c;
}

static void exec_start(void *state, struct run *r)
{
	struct exec *x = mem_alloc(sizeof *x);
	struct err e;

	x->run = r;
	x->state = state;
	if (run_env(r)->exec_start == NULL) {
		err_set(&e, "no plugin is allowed here");
	} else {
		x->call = call(x, &e);
	}
	if (x->call == NULL) {
		free(x);
		run_unknown(r, "%s", e.text);
		return;
	}
	run_set_private(r, x);
	run_on_deadline(r, at_deadline);
}

static void exec_cancel(void *state, struct run *r)
{
	struct exec *x = run_private(r);
	const struct probe_env *env = run_env(r);

	(void)state;
	if (x == NULL)
		return; /* the deadline has ended it */
	env->exec_cancel(env->ctx, x->call);
	exec_free(x);
}

static int exec_open(const struct probe_env *env, void **state, struct err *e)
{
	struct state *s = mem_alloc(sizeof *s);

	(void)env, (void)e;
	s->seen = map_new();
	*state = s;
	return 0;
}

static void exec_close(void *state)
{
	struct state *s = state;

	map_free(s->seen, free);
	free(s);
}

const struct probe_type exec_probe = {.catalog = &catalog_exec, .open = exec_open, .start = exec_start,
	.cancel = exec_cancel, .close = exec_close};

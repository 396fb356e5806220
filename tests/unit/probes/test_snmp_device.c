/* Devices that answer from a list of objects: what is read, what is told, and that no spike can come of it. */
#include "probes/snmp_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog.h"

#define OBJECTS 5000

struct object {
	struct snmp_oid name;
	struct snmp_value value;
	char text[SNMP_TEXT_MAX * 2];
};

struct fixture {
	struct arena *arena;
	struct snmp_options *options;
	struct snmp_rates *rates;
	struct snmp_report report;
	struct object *objects; /* of the device, in any order */
	size_t count;
	int64_t mono;
	uint32_t uptime;
	/* how it answers */
	size_t varbinds_max; /* more: tooBig; 0: any */
	size_t cut;          /* varbinds that fit an answer; 0: any */
	bool tells_len;
	size_t len_max;      /* of answers that are not lost: the second time half is asked for; 0: any */
	bool loops;          /* walks never go up */
	const char *fails;   /* genErr for what is below; NULL: nothing */
	unsigned restarts_at; /* before it answers this request; 0: never */
	unsigned requests;
	unsigned lost;
	size_t longest; /* of its answers */
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	f->arena = arena_new();
	f->rates = snmp_rates_new();
	f->objects = mem_array(OBJECTS, sizeof *f->objects);
	f->uptime = 100000;
	f->mono = 1000 * NS_PER_S;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	snmp_report_fini(&f->report);
	snmp_rates_free(f->rates);
	arena_free(f->arena);
	free(f->objects);
	free(f);
	return 0;
}

/* ---- the device */

static struct object *object_of(struct fixture *f, const char *oid)
{
	struct snmp_oid name;

	snmp_oid_parse(oid, &name);
	for (size_t i = 0; i < f->count; i++) {
		if (snmp_oid_order(&f->objects[i].name, &name) == 0)
			return &f->objects[i];
	}
	assert_true(f->count < OBJECTS);
	f->objects[f->count] = (struct object){.name = name};
	return &f->objects[f->count++];
}

static void set(struct fixture *f, const char *oid, enum snmp_kind kind, uint64_t number)
{
	object_of(f, oid)->value = (struct snmp_value){.kind = kind, .number = number, .integer = (int64_t)number};
}

static void set_text(struct fixture *f, const char *oid, const char *text)
{
	struct object *o = object_of(f, oid);

	snprintf(o->text, sizeof o->text, "%s", text);
	o->value = (struct snmp_value){.kind = SNMP_KIND_TEXT, .text = o->text, .text_len = strlen(text)};
}

static void set_at(struct fixture *f, const char *column, unsigned index, enum snmp_kind kind, uint64_t number)
{
	char oid[200];

	snprintf(oid, sizeof oid, "%s.%u", column, index);
	set(f, oid, kind, number);
}

static void set_text_at(struct fixture *f, const char *column, unsigned index, const char *text)
{
	char oid[200];

	snprintf(oid, sizeof oid, "%s.%u", column, index);
	set_text(f, oid, text);
}

static const struct object *next_object(const struct fixture *f, const struct snmp_oid *after)
{
	const struct object *best = NULL;

	for (size_t i = 0; i < f->count; i++) {
		if (snmp_oid_order(&f->objects[i].name, after) > 0 &&
			(best == NULL || snmp_oid_order(&f->objects[i].name, &best->name) < 0))
			best = &f->objects[i];
	}
	return best;
}

static void answer_get(struct fixture *f, struct snmp_device *d, const struct snmp_request *q)
{
	for (size_t i = 0; i < q->count; i++) {
		struct snmp_value v = {.kind = SNMP_KIND_NO_OBJECT};

		for (size_t k = 0; k < f->count; k++) {
			if (snmp_oid_order(&f->objects[k].name, &q->oids[i]) == 0)
				v = f->objects[k].value;
		}
		snmp_device_take(d, i, &q->oids[i], &v, f->mono);
	}
}

/* In a message: heads, name, value. */
static size_t len_of(const struct object *o)
{
	return 6 + o->name.len + (o->value.kind == SNMP_KIND_TEXT ? o->value.text_len : 4);
}

static size_t bulk_len(const struct fixture *f, const struct snmp_request *q, unsigned repetitions)
{
	size_t len = 60;

	for (size_t c = 1; c < q->count; c++) {
		const struct object *o = next_object(f, &q->oids[c]);

		for (unsigned r = 0; r < repetitions && o != NULL; r++, o = next_object(f, &o->name))
			len += len_of(o);
	}
	return len;
}

static void answer_bulk(struct fixture *f, struct snmp_device *d, const struct snmp_request *q, unsigned repetitions)
{
	static const struct snmp_value end = {.kind = SNMP_KIND_END};
	struct snmp_oid at[SNMP_VARBINDS + 1];
	size_t given = 0;

	memcpy(at, q->oids, q->count * sizeof *at);
	for (unsigned r = 0; r < repetitions; r++) {
		for (size_t c = r == 0 ? 0 : 1; c < q->count; c++, given++) {
			const struct object *o = next_object(f, &at[c]);

			if (f->cut > 0 && given >= f->cut)
				return;
			if (o == NULL) {
				snmp_device_take(d, given, &at[c], &end, f->mono);
				continue;
			}
			if (!f->loops)
				at[c] = o->name;
			snmp_device_take(d, given, &o->name, &o->value, f->mono);
		}
	}
}

/* The place of an object that it fails at, from 1 on; 0: there is none. */
static long failing(const struct fixture *f, const struct snmp_request *q)
{
	struct snmp_oid prefix;

	for (size_t i = 0; f->fails != NULL && i < q->count; i++) {
		snmp_oid_parse(f->fails, &prefix);
		if (snmp_oid_order(&q->oids[i], &prefix) == 0 || snmp_oid_is_below(&q->oids[i], &prefix))
			return (long)i + 1;
	}
	return 0;
}

static bool answer(struct fixture *f, struct snmp_device *d, const struct snmp_request *q, char *why)
{
	size_t varbinds = q->is_bulk ? 1 + (q->count - 1) * q->repetitions : q->count;
	struct snmp_answer a = {.repetitions = q->repetitions};

	f->requests++;
	if (f->requests == f->restarts_at)
		set(f, "1.3.6.1.2.1.1.3.0", SNMP_KIND_UNSIGNED, 5);
	if (f->varbinds_max > 0 && varbinds > f->varbinds_max)
		return snmp_device_replied(d, &(struct snmp_answer){.status = 1}, why);
	if (failing(f, q) > 0)
		return snmp_device_replied(d, &(struct snmp_answer){.status = 5, .index = failing(f, q)}, why);
	if (q->is_bulk && f->tells_len) {
		while (f->len_max > 0 && bulk_len(f, q, a.repetitions) > f->len_max && a.repetitions > 1)
			a.repetitions /= 2;
		f->lost += a.repetitions < q->repetitions;
		a.len = bulk_len(f, q, a.repetitions);
		f->longest = a.len > f->longest ? a.len : f->longest;
	}
	if (q->is_bulk)
		answer_bulk(f, d, q, a.repetitions);
	else
		answer_get(f, d, q);
	return snmp_device_replied(d, &a, why);
}

/* "" or why it could not go on. */
static const char *read_device(struct fixture *f)
{
	static char why[SAMPLE_TEXT_MAX + 1];
	struct snmp_device *d = mem_alloc(sizeof *d);
	struct snmp_request *q = mem_alloc(sizeof *q);

	why[0] = '\0';
	f->requests = f->lost = 0;
	f->longest = 0;
	set(f, "1.3.6.1.2.1.1.3.0", SNMP_KIND_UNSIGNED, f->uptime);
	snmp_device_begin(d, f->options);
	while (why[0] == '\0' && snmp_device_ask(d, q)) {
		if (!answer(f, d, q, why))
			break;
		assert_true(f->requests < 3000);
	}
	snmp_report_fini(&f->report);
	if (why[0] == '\0')
		snmp_device_tell(d, f->rates, &f->report);
	snmp_device_fini(d);
	free(d);
	free(q);
	return why;
}

static void pass(struct fixture *f, unsigned seconds)
{
	f->mono += seconds * NS_PER_S;
	f->uptime += seconds * 100;
}

static void want(struct fixture *f, const char *const *texts)
{
	struct config_pair items[20] = {{.key = "host", .value = "192.0.2.1"}, {.key = "community", .value = "c"}};
	struct config_pairs pairs = {.items = items, .count = 2};
	void *options;
	struct err e;

	for (; *texts != NULL; texts += 2)
		items[pairs.count++] = (struct config_pair){.key = texts[0], .value = texts[1]};
	assert_int_equal(catalog_options(&catalog_snmp, &pairs, f->arena, &options, &e), 0);
	f->options = options;
}
#define want(f, ...) want(f, (const char *const[]){__VA_ARGS__, NULL})

static const struct snmp_part *part(const struct fixture *f, const char *label)
{
	for (size_t i = 0; i < f->report.count; i++) {
		if (strcmp(f->report.parts[i]->label, label) == 0)
			return f->report.parts[i];
	}
	return NULL;
}

static double value_of(const struct snmp_part *p, uint32_t metric)
{
	assert_non_null(p);
	for (size_t i = 0; i < p->count; i++) {
		if (p->values[i].metric == metric)
			return p->values[i].number;
	}
	return (double)NAN;
}

static double value(const struct fixture *f, const char *label, uint32_t metric)
{
	return value_of(*label == '\0' ? &f->report.own : part(f, label), metric);
}

#define assert_near(a, b) assert_true(fabs((a) - (double)(b)) <= 1e-6 * (1 + fabs((double)(b))))

#define IF "1.3.6.1.2.1.2.2.1."
#define IFX "1.3.6.1.2.1.31.1.1.1."

static void set_interface(struct fixture *f, unsigned index, const char *name, uint64_t rx, uint64_t tx)
{
	set_text_at(f, IF "2", index, name);
	set_at(f, IF "7", index, SNMP_KIND_INTEGER, 1);
	set_at(f, IF "8", index, SNMP_KIND_INTEGER, 1);
	set_at(f, IF "14", index, SNMP_KIND_COUNTER32, 10);
	set_text_at(f, IFX "1", index, name);
	set_text_at(f, IFX "18", index, "");
	set_at(f, IFX "6", index, SNMP_KIND_COUNTER64, rx);
	set_at(f, IFX "10", index, SNMP_KIND_COUNTER64, tx);
	set_at(f, IFX "15", index, SNMP_KIND_UNSIGNED, 1000);
}

/* ---- cases */

static void test_counters_become_rates_from_the_second_run_on(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_interface(f, 3, "ge-0/0/1", 1000000, 5000000);
	assert_string_equal(read_device(f), "");
	assert_int_equal(f->report.count, 1);
	assert_true(isnan(value(f, "ge-0/0/1", SNMP_RX_BYTES)));
	assert_near(value(f, "ge-0/0/1", SNMP_SPEED), 1e9);
	assert_near(value(f, "ge-0/0/1", SNMP_LINK), 1);
	assert_near(value(f, "", SNMP_UPTIME), 1000);
	pass(f, 60);
	set_interface(f, 3, "ge-0/0/1", 1000000 + 60 * 125000, 5000000 + 60 * 62500000ull);
	set_at(f, IF "14", 3, SNMP_KIND_COUNTER32, 10 + 30);
	read_device(f);
	assert_near(value(f, "ge-0/0/1", SNMP_RX_BYTES), 125000);
	assert_near(value(f, "ge-0/0/1", SNMP_RX_SHARE), 0.1);
	assert_near(value(f, "ge-0/0/1", SNMP_TX_SHARE), 50);
	assert_near(value(f, "ge-0/0/1", SNMP_RX_ERRORS), 0.5);
	assert_true(isnan(value(f, "ge-0/0/1", SNMP_TX_ERRORS))); /* not counted by this device */
}

static void test_after_a_restart_there_is_no_rate_even_when_counters_are_higher(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	f->uptime = 1000; /* it was up for 10 s */
	set_interface(f, 1, "a", 1000, 1000);
	read_device(f);
	f->mono += 60 * NS_PER_S;
	f->uptime = 3000; /* 30 s: more than before, and yet it was restarted */
	set_interface(f, 1, "a", 900000000, 900000000);
	read_device(f);
	assert_true(isnan(value(f, "a", SNMP_RX_BYTES)));
	pass(f, 60);
	set_interface(f, 1, "a", 900000000 + 6000, 900000000);
	read_device(f);
	assert_near(value(f, "a", SNMP_RX_BYTES), 100);
}

static void test_a_restart_while_it_is_read_makes_no_rate(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	for (unsigned run = 0; run < 3; run++) {
		for (unsigned i = 1; i <= 20; i++) {
			char name[20];

			snprintf(name, sizeof name, "ge%u", i);
			set_interface(f, i, name, 1000 + run * 600, 0);
		}
		f->restarts_at = run == 1 ? 3 : 0;
		read_device(f);
		assert_true(f->requests > 3);
		for (size_t i = 0; i < f->report.count; i++)
			assert_true(isnan(value_of(f->report.parts[i], SNMP_RX_BYTES)));
		pass(f, 60);
		f->uptime = run == 1 ? 6005 : f->uptime; /* it was 5 when the second run was half done */
	}
}

static void test_the_uptime_that_wraps_is_no_restart(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	f->uptime = UINT32_MAX - 1000;
	set_interface(f, 1, "a", 0, 0);
	read_device(f);
	pass(f, 60);
	set_interface(f, 1, "a", 600, 0);
	read_device(f);
	assert_near(value(f, "a", SNMP_RX_BYTES), 10);
}

static void test_another_device_behind_the_address_makes_no_rate(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_interface(f, 1, "a", 1000, 0);
	read_device(f);
	pass(f, 60);
	f->uptime += 9000000; /* its twin has been up for longer */
	set_interface(f, 1, "a", 1u << 31, 0);
	read_device(f);
	assert_true(isnan(value(f, "a", SNMP_RX_BYTES)));
}

static void test_counters_that_began_anew_make_no_rate(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_interface(f, 1, "a", 1000, 1000);
	set_at(f, IFX "19", 1, SNMP_KIND_UNSIGNED, 0);
	read_device(f);
	pass(f, 60);
	set_interface(f, 1, "a", 500000, 10); /* tx fell */
	read_device(f);
	assert_near(value(f, "a", SNMP_RX_BYTES), 499000.0 / 60);
	assert_true(isnan(value(f, "a", SNMP_TX_BYTES)));
	pass(f, 60);
	set_interface(f, 1, "a", 900000, 20);
	set_at(f, IFX "19", 1, SNMP_KIND_UNSIGNED, f->uptime - 500);
	read_device(f);
	assert_true(isnan(value(f, "a", SNMP_RX_BYTES)));
}

/* A device of old: names and counters of ifTable alone. */
static void set_plain(struct fixture *f, unsigned index, const char *name, uint32_t rx, uint32_t speed)
{
	set_text_at(f, IF "2", index, name);
	set_at(f, IF "5", index, SNMP_KIND_UNSIGNED, speed);
	set_at(f, IF "7", index, SNMP_KIND_INTEGER, 1);
	set_at(f, IF "8", index, SNMP_KIND_INTEGER, 1);
	set_at(f, IF "10", index, SNMP_KIND_COUNTER32, rx);
}

static void test_a_wrap_of_32_bits_is_believed_when_the_speed_allows_it(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_plain(f, 1, "eth1", UINT32_MAX - 999, 100000000);
	read_device(f);
	pass(f, 60);
	set_plain(f, 1, "eth1", 5000, 100000000);
	read_device(f);
	assert_near(value(f, "eth1", SNMP_RX_BYTES), 100);
	pass(f, 60);
	set_plain(f, 1, "eth1", 4000, 100000000); /* a wrap of nearly 2^32 bytes in 60 s: 572 Mbit/s on 100 */
	read_device(f);
	assert_true(isnan(value(f, "eth1", SNMP_RX_BYTES)));
}

static void test_32_bits_that_can_have_wrapped_unseen_make_no_rate(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_plain(f, 1, "eth1", 1000, 1000000000);
	read_device(f);
	pass(f, 60);
	set_plain(f, 1, "eth1", 7000, 1000000000);
	read_device(f);
	assert_true(isnan(value(f, "eth1", SNMP_RX_BYTES)));
	pass(f, 10);
	set_plain(f, 1, "eth1", 17000, 1000000000);
	read_device(f);
	assert_near(value(f, "eth1", SNMP_RX_BYTES), 1000);
}

static void test_a_wrap_without_a_known_speed_makes_no_rate(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_plain(f, 1, "eth1", UINT32_MAX - 10, 0);
	read_device(f);
	pass(f, 60);
	set_plain(f, 1, "eth1", 100, 0);
	read_device(f);
	assert_true(isnan(value(f, "eth1", SNMP_RX_BYTES)));
}

static void test_an_interface_keeps_its_name_when_its_index_moves(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_interface(f, 1, "a", 1000, 0);
	set_interface(f, 2, "b", 1u << 30, 0);
	read_device(f);
	pass(f, 60);
	set_interface(f, 1, "b", (1u << 30) + 600, 0);
	set_interface(f, 2, "a", 2000, 0);
	read_device(f);
	assert_non_null(part(f, "a"));
	assert_true(isnan(value(f, "a", SNMP_RX_BYTES)) && isnan(value(f, "b", SNMP_RX_BYTES)));
	pass(f, 60);
	set_interface(f, 1, "b", (1u << 30) + 1200, 0);
	read_device(f);
	assert_near(value(f, "b", SNMP_RX_BYTES), 10);
}

static void test_two_of_one_name_are_told_apart(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_interface(f, 7, "port", 0, 0);
	set_interface(f, 9, "port", 0, 0);
	set_interface(f, 11, "", 0, 0);
	set_interface(f, 12, "x\n\x1b[31m\xff", 0, 0);
	read_device(f);
	assert_int_equal(f->report.count, 4);
	assert_non_null(part(f, "port (ifIndex 7)"));
	assert_non_null(part(f, "port (ifIndex 9)"));
	assert_non_null(part(f, "ifIndex 11"));
	for (size_t i = 0; i < 4; i++)
		assert_true(text_is_clean(f->report.parts[i]->label, SAMPLE_TEXT_MAX));
}

static void test_an_interface_that_must_be_up_says_why_it_is_not(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces", "interfaces", "up*", "interfaces", "gone", "interfaces", "to the county", "interfaces", "lo");
	set_interface(f, 1, "up1", 0, 0);
	set_interface(f, 2, "up2", 0, 0);
	set_interface(f, 3, "x3", 0, 0);
	set_interface(f, 4, "x4", 0, 0);
	set_interface(f, 5, "lo", 0, 0);
	set_text_at(f, IFX "18", 3, "to the county");
	set_at(f, IF "8", 3, SNMP_KIND_INTEGER, 7);
	set_at(f, IF "7", 2, SNMP_KIND_INTEGER, 2);
	set_at(f, IF "8", 2, SNMP_KIND_INTEGER, 2);
	set_at(f, IF "8", 4, SNMP_KIND_INTEGER, 2);
	read_device(f);
	assert_int_equal(part(f, "up1")->outcome, OUTCOME_UP);
	assert_string_equal(part(f, "up2")->why, "the interface is switched off");
	assert_string_equal(part(f, "x3")->why, "ifOperStatus is lowerLayerDown (to the county)");
	assert_int_equal(part(f, "x3")->outcome, OUTCOME_DOWN);
	assert_int_equal(part(f, "x4")->outcome, OUTCOME_UP); /* nobody said that it must be */
	assert_string_equal(part(f, "gone")->why, "there is no such interface");
	assert_non_null(part(f, "lo")); /* named: not ignored */
	assert_near(value(f, "", SNMP_INTERFACES), 5);
	assert_near(value(f, "", SNMP_INTERFACES_DOWN), 2);
}

static void drop(struct fixture *f, const char *oid)
{
	struct object *o = object_of(f, oid);

	*o = f->objects[--f->count];
	if (o->value.text != NULL)
		o->value.text = o->text;
}

static void assert_gone(const struct fixture *f, enum outcome outcome, const char *why)
{
	const struct snmp_part *p = part(f, "gone");

	assert_non_null(p);
	assert_string_equal(p->why, why);
	assert_int_equal(p->outcome, outcome);
}

#define UNSEEN "it is not among the interfaces that were read: "

static void test_a_missing_interface_is_down_only_when_all_were_read(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces", "interfaces", "gone");
	read_device(f);
	assert_gone(f, OUTCOME_UNKNOWN, UNSEEN "the device shows no interfaces");
	assert_string_equal(f->report.own.why, "noSuchObject: the device has no IF-MIB, or does not show it");
	set_interface(f, 1, "a", 0, 0);
	set_interface(f, 2, "b", 0, 0);
	read_device(f);
	assert_gone(f, OUTCOME_DOWN, "there is no such interface");
	set(f, "1.3.6.1.2.1.2.1.0", SNMP_KIND_INTEGER, 2);
	read_device(f);
	assert_gone(f, OUTCOME_DOWN, "there is no such interface");
	set(f, "1.3.6.1.2.1.2.1.0", SNMP_KIND_INTEGER, 3); /* a view hides one */
	read_device(f);
	assert_gone(f, OUTCOME_UNKNOWN, UNSEEN "the device has more interfaces (ifNumber) than it shows");
	drop(f, "1.3.6.1.2.1.2.1.0");
	f->loops = true;
	read_device(f);
	assert_gone(f, OUTCOME_UNKNOWN, UNSEEN "the device does not go up in a walk: what it has after that is not read");
	f->loops = false;
	f->fails = IFX "1";
	read_device(f);
	assert_gone(f, OUTCOME_UNKNOWN, UNSEEN "the device failed at a column of a table, which is not read");
	assert_string_equal(f->report.own.why, "the device failed at a column of a table, which is not read");
	assert_int_equal(f->report.own.outcome, OUTCOME_UP);
	f->fails = NULL;
	drop(f, IFX "18.2");
	read_device(f);
	assert_gone(f, OUTCOME_UNKNOWN, UNSEEN "the device does not show ifAlias of all");
	drop(f, IFX "1.1");
	read_device(f);
	assert_gone(f, OUTCOME_UNKNOWN, UNSEEN "the device does not show ifName of all");
}

static void test_a_missing_interface_of_a_device_with_too_many_is_unknown(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces", "interfaces", "gone");
	for (unsigned i = 1; i <= SNMP_ROWS_MAX + 1; i++) {
		char name[20];

		snprintf(name, sizeof name, "ge%u", i);
		set_text_at(f, IFX "1", i, name);
		set_text_at(f, IFX "18", i, "");
	}
	read_device(f);
	assert_gone(f, OUTCOME_UNKNOWN, UNSEEN "the device has more rows in a table than are read");
	assert_string_equal(f->report.own.why, "the device has more rows in a table than are read");
	assert_int_equal(f->report.own.outcome, OUTCOME_UP);
}

static void test_walks_go_on_whatever_fits_an_answer(void **state)
{
	struct fixture *f = *state;
	static const size_t cuts[] = {0, 2, 7, 13, 40};

	want(f, "what", "interfaces");
	for (unsigned i = 1; i <= 60; i++) {
		char name[20];

		snprintf(name, sizeof name, "ge%u", i);
		set_interface(f, i, name, i, i);
	}
	for (size_t i = 0; i < 5; i++) {
		f->cut = cuts[i];
		assert_string_equal(read_device(f), "");
		assert_int_equal(f->report.count, 60);
		assert_near(value(f, "ge60", SNMP_SPEED), 1e9);
	}
	f->cut = 0;
	f->varbinds_max = 14; /* tooBig above */
	assert_string_equal(read_device(f), "");
	assert_int_equal(f->report.count, 60);
	f->varbinds_max = 5; /* not even one row */
	assert_string_equal(read_device(f), "the device answered with tooBig");
}

static void set_interfaces(struct fixture *f, unsigned count, const char *alias)
{
	for (unsigned i = 1; i <= count; i++) {
		char name[20];

		snprintf(name, sizeof name, "ge%u", i);
		set_interface(f, i, name, i, i);
		set_text_at(f, IFX "18", i, alias);
	}
}

static void test_answers_are_filled_and_stay_in_one_piece(void **state)
{
	struct fixture *f = *state;
	unsigned plain;

	want(f, "what", "interfaces");
	set_interfaces(f, 60, "");
	read_device(f);
	plain = f->requests;
	f->tells_len = true;
	read_device(f);
	assert_int_equal(f->report.count, 60);
	assert_true(f->requests < plain);
	assert_true(f->longest <= SNMP_ANSWER_MAX && f->longest > SNMP_ANSWER_MAX * 3 / 4);
	set_interfaces(f, 60, "to the county, by the line of the second carrier, leased until the end of next year, 10 Gbit/s");
	read_device(f);
	assert_int_equal(f->report.count, 60);
	assert_true(f->longest <= SNMP_ANSWER_MAX);
}

static void test_answers_that_get_lost_are_asked_for_smaller(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_interfaces(f, 60, "");
	f->tells_len = true;
	f->len_max = 1100;
	read_device(f);
	assert_int_equal(f->report.count, 60);
	assert_int_equal(f->lost, 1);
}

static void test_a_walk_that_goes_nowhere_ends(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces");
	set_interface(f, 1, "a", 0, 0);
	f->loops = true;
	assert_string_equal(read_device(f), "");
	assert_true(f->requests < 10);
	assert_string_equal(f->report.own.why, "the device does not go up in a walk: what it has after that is not read");
}

static void test_what_the_device_does_not_have_is_unknown(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "ups");
	assert_string_equal(read_device(f), "");
	assert_int_equal(f->report.own.outcome, OUTCOME_UNKNOWN);
	assert_string_equal(f->report.own.why, "noSuchObject: the device has no UPS-MIB, or does not show it");
}

static void test_objects_are_values_rates_or_say_what_they_are(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "system", "oids", "load=1.3.6.1.4.1.1.1.0", "oids", "text=1.3.6.1.4.1.1.2.0", "oids", "count=.1.3.6.1.4.1.1.3.0",
		"oids", "none=1.3.6.1.4.1.1.4.0", "oids", "words=1.3.6.1.4.1.1.5.0");
	set(f, "1.3.6.1.4.1.1.1.0", SNMP_KIND_INTEGER, (uint64_t)-42);
	set_text(f, "1.3.6.1.4.1.1.2.0", "23.5");
	set(f, "1.3.6.1.4.1.1.3.0", SNMP_KIND_COUNTER32, 100);
	set_text(f, "1.3.6.1.4.1.1.5.0", "hot");
	read_device(f);
	assert_near(value(f, "oid load", SNMP_OBJECT_VALUE), -42);
	assert_near(value(f, "oid text", SNMP_OBJECT_VALUE), 23.5);
	assert_int_equal(part(f, "oid count")->count, 0);
	assert_string_equal(part(f, "oid none")->why, "noSuchObject: the device does not have it, or does not show it");
	assert_string_equal(part(f, "oid words")->why, "is a text, not a number");
	assert_int_equal(f->report.own.outcome, OUTCOME_UP);
	pass(f, 50);
	set(f, "1.3.6.1.4.1.1.3.0", SNMP_KIND_COUNTER32, 200);
	read_device(f);
	assert_near(value(f, "oid count", SNMP_OBJECT_RATE), 2);
}

static void test_a_ups_tells_its_battery_and_its_lines(void **state)
{
	struct fixture *f = *state;

#define UPS "1.3.6.1.2.1.33.1."
	want(f, "what", "ups");
	set(f, UPS "2.1.0", SNMP_KIND_INTEGER, 2);
	set(f, UPS "2.2.0", SNMP_KIND_INTEGER, 77);
	set(f, UPS "2.3.0", SNMP_KIND_INTEGER, 30);
	set(f, UPS "2.4.0", SNMP_KIND_INTEGER, 95);
	set(f, UPS "2.5.0", SNMP_KIND_INTEGER, 546);
	set(f, UPS "4.1.0", SNMP_KIND_INTEGER, 5);
	set(f, UPS "3.3.1.3.1", SNMP_KIND_INTEGER, 228);
	set(f, UPS "3.3.1.2.1", SNMP_KIND_INTEGER, 499);
	set(f, UPS "4.4.1.5.1", SNMP_KIND_INTEGER, 41);
	read_device(f);
	assert_near(value(f, "", SNMP_UPS_ON_BATTERY), 1);
	assert_near(value(f, "", SNMP_UPS_BATTERY_VOLTAGE), 54.6);
	assert_near(value(f, "", SNMP_UPS_MINUTES), 1800);
	assert_near(value(f, "ups input 1", SNMP_LINE_VOLTAGE), 228);
	assert_near(value(f, "ups input 1", SNMP_LINE_FREQUENCY), 49.9);
	assert_near(value(f, "ups output 1", SNMP_LINE_LOAD), 41);
}

static void test_sensors_are_scaled(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned index, type, scale, precision, status;
		int value;
		const char *name;
	} sensors[] = {{1001, 8, 9, 1, 1, 235, "CPU"}, {1002, 4, 8, 0, 1, 12050, "12V"}, {1003, 10, 9, 0, 3, 0, "FAN 1"},
		{1004, 8, 9, 0, 1, -4, "outside"}};

	want(f, "what", "sensors");
	for (size_t i = 0; i < 4; i++) {
		set_at(f, "1.3.6.1.2.1.99.1.1.1.1", sensors[i].index, SNMP_KIND_INTEGER, sensors[i].type);
		set_at(f, "1.3.6.1.2.1.99.1.1.1.2", sensors[i].index, SNMP_KIND_INTEGER, sensors[i].scale);
		set_at(f, "1.3.6.1.2.1.99.1.1.1.3", sensors[i].index, SNMP_KIND_INTEGER, sensors[i].precision);
		set_at(f, "1.3.6.1.2.1.99.1.1.1.4", sensors[i].index, SNMP_KIND_INTEGER, (uint64_t)(int64_t)sensors[i].value);
		set_at(f, "1.3.6.1.2.1.99.1.1.1.5", sensors[i].index, SNMP_KIND_INTEGER, sensors[i].status);
		set_text_at(f, "1.3.6.1.2.1.47.1.1.1.1.7", sensors[i].index, sensors[i].name);
	}
	read_device(f);
	assert_near(value(f, "sensor CPU", SNMP_SENSOR_TEMPERATURE), 23.5);
	assert_near(value(f, "sensor 12V", SNMP_SENSOR_VOLTAGE), 12.05);
	assert_near(value(f, "sensor outside", SNMP_SENSOR_TEMPERATURE), -4);
	assert_string_equal(part(f, "sensor FAN 1")->why, "the sensor is not operational");
	assert_int_equal(part(f, "sensor FAN 1")->outcome, OUTCOME_UNKNOWN);
}

static void test_families_are_counted_apart(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "ip", "what", "interfaces");
	for (unsigned run = 0; run < 2; run++) {
		set_interface(f, 5, "core", 0, 0);
		set(f, "1.3.6.1.2.1.4.31.1.1.4.1", SNMP_KIND_COUNTER64, 1000 + run * 600);
		set(f, "1.3.6.1.2.1.4.31.1.1.3.2", SNMP_KIND_COUNTER32, 1000 + run * 60);
		set(f, "1.3.6.1.2.1.4.31.1.1.20.2", SNMP_KIND_COUNTER32, 1000 + run * 6);
		set(f, "1.3.6.1.2.1.4.31.3.1.6.1.5", SNMP_KIND_COUNTER64, run * 60000);
		set(f, "1.3.6.1.2.1.4.31.3.1.33.2.5", SNMP_KIND_COUNTER64, run * 6000);
		assert_string_equal(read_device(f), "");
		pass(f, 60);
	}
	assert_near(value(f, "", SNMP_IP4_IN), 10);
	assert_near(value(f, "", SNMP_IP6_IN), 1);
	assert_near(value(f, "", SNMP_IP6_OUT), 0.1);
	assert_near(value(f, "core", SNMP_V4_RX_BYTES), 1000);
	assert_near(value(f, "core", SNMP_V6_TX_BYTES), 100);
}

static void test_a_host_tells_its_storages(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "host");
	set_text_at(f, "1.3.6.1.2.1.25.2.3.1.3", 31, "/");
	set_at(f, "1.3.6.1.2.1.25.2.3.1.4", 31, SNMP_KIND_INTEGER, 4096);
	set_at(f, "1.3.6.1.2.1.25.2.3.1.5", 31, SNMP_KIND_INTEGER, (uint64_t)(int64_t)INT32_MIN); /* 2^31 of them */
	set_at(f, "1.3.6.1.2.1.25.2.3.1.6", 31, SNMP_KIND_INTEGER, 1u << 30);
	set_at(f, "1.3.6.1.2.1.25.3.3.1.2", 196608, SNMP_KIND_INTEGER, 10);
	set_at(f, "1.3.6.1.2.1.25.3.3.1.2", 196609, SNMP_KIND_INTEGER, 30);
	read_device(f);
	assert_near(value(f, "storage /", SNMP_STORAGE_SIZE), 2147483648.0 * 4096);
	assert_near(value(f, "storage /", SNMP_STORAGE_SHARE), 50);
	assert_near(value(f, "", SNMP_HOST_CPU), 20);
	assert_near(value(f, "", SNMP_HOST_CPUS), 2);
}

static void test_more_interfaces_than_fit_are_counted(void **state)
{
	struct fixture *f = *state;

	want(f, "what", "interfaces", "interfaces", "last", "interfaces", "gone");
	for (unsigned i = 1; i <= 300; i++) {
		char name[20];

		snprintf(name, sizeof name, i == 300 ? "last" : "ge%u", i);
		set_interface(f, i, name, 0, 0);
	}
	read_device(f);
	assert_int_equal(f->report.count, SNMP_REPORT_PARTS);
	assert_near(value(f, "", SNMP_OMITTED), 301 - SNMP_REPORT_PARTS);
	assert_non_null(part(f, "last"));
	assert_gone(f, OUTCOME_DOWN, "there is no such interface"); /* before those that nobody asked for */
}

/* Any life of a device: restarts, resets, wraps, holes. What is told is never above what the interface did at most. */
static void test_no_rate_is_above_what_happened(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL), told = 0;
	uint64_t wide = 0;
	uint32_t narrow = 0;
	const double peak = 12500000; /* 100 Mbit/s in bytes, the speed of both */

	print_message("seed %u\n", seed);
	srand(seed);
	want(f, "what", "interfaces");
	for (int run = 0; run < 3000; run++) {
		unsigned seconds = 20 + (unsigned)rand() % 200;
		uint64_t moved = (uint64_t)(peak * seconds * (rand() % 1000) / 1000);

		if (rand() % 40 == 0) { /* restarted on the way */
			f->uptime = (unsigned)rand() % (seconds * 100);
			f->mono += seconds * NS_PER_S;
			wide = narrow = 0;
			moved = (uint64_t)(peak * f->uptime / 100 * (rand() % 1000) / 1000);
		} else {
			pass(f, seconds);
		}
		if (rand() % 40 == 0) { /* a card was changed: its counters began anew, and nobody says so */
			wide = narrow = 0;
			moved = moved / 2;
		}
		wide += moved;
		narrow += (uint32_t)moved;
		set_interface(f, 1, "wide", wide, 0);
		set_at(f, IFX "15", 1, SNMP_KIND_UNSIGNED, 100);
		set_plain(f, 2, "narrow", narrow, 100000000);
		if (rand() % 30 == 0)
			continue; /* this run failed */
		read_device(f);
		for (size_t i = 0; i < f->report.count; i++) {
			double rate = value_of(f->report.parts[i], SNMP_RX_BYTES);

			told += isfinite(rate);
			if (isfinite(rate) && (rate < 0 || rate > 1.05 * peak)) {
				print_error("run %d, %s: %f\n", run, f->report.parts[i]->label, rate);
				fail();
			}
		}
	}
	assert_true(told > 3000); /* and most of the time something is told */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_counters_become_rates_from_the_second_run_on),
		CASE(test_after_a_restart_there_is_no_rate_even_when_counters_are_higher),
		CASE(test_a_restart_while_it_is_read_makes_no_rate),
		CASE(test_the_uptime_that_wraps_is_no_restart),
		CASE(test_another_device_behind_the_address_makes_no_rate),
		CASE(test_counters_that_began_anew_make_no_rate),
		CASE(test_a_wrap_of_32_bits_is_believed_when_the_speed_allows_it),
		CASE(test_32_bits_that_can_have_wrapped_unseen_make_no_rate),
		CASE(test_a_wrap_without_a_known_speed_makes_no_rate),
		CASE(test_an_interface_keeps_its_name_when_its_index_moves),
		CASE(test_two_of_one_name_are_told_apart),
		CASE(test_an_interface_that_must_be_up_says_why_it_is_not),
		CASE(test_a_missing_interface_is_down_only_when_all_were_read),
		CASE(test_a_missing_interface_of_a_device_with_too_many_is_unknown),
		CASE(test_walks_go_on_whatever_fits_an_answer),
		CASE(test_answers_are_filled_and_stay_in_one_piece),
		CASE(test_answers_that_get_lost_are_asked_for_smaller),
		CASE(test_a_walk_that_goes_nowhere_ends),
		CASE(test_what_the_device_does_not_have_is_unknown),
		CASE(test_objects_are_values_rates_or_say_what_they_are),
		CASE(test_a_ups_tells_its_battery_and_its_lines),
		CASE(test_sensors_are_scaled),
		CASE(test_families_are_counted_apart),
		CASE(test_a_host_tells_its_storages),
		CASE(test_more_interfaces_than_fit_are_counted),
		CASE(test_no_rate_is_above_what_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "collector/judge/incident.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/judge/flap.h"
#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define SECOND NS_PER_S
#define MINUTE (60 * SECOND)
#define HOURS (60 * MINUTE)
#define DAYS (24 * HOURS)
#define START (INT64_C(1790000000) * SECOND)
#define BOTH (FAULT_V4 | FAULT_V6)

/* ---- flapping: golden vectors */

/* Icinga 2, test/icinga-checkable-flapping.cpp, host_flapping_docs_example: the example of its manual ("Flapping"), 39.1 %. The
 * first result is a change there, from "not checked yet". */
static void icingas_own_example_gives_39_1_percent(void **state)
{
	static const char results[] = "CCCWCWOOOOWWWWOOOWWWC";
	struct flap_icinga f = {0};
	double value = 0;
	int between = 0;
	char before = '-';

	(void)state;
	for (size_t i = 0; results[i] != '\0'; i++) {
		value = flap_icinga_take(&f, results[i] != before, FLAP_ICINGA_LOW, FLAP_ICINGA_HIGH);
		before = results[i];
	}
	assert_float_equal(value, 39.1, 1e-9);
	assert_true(f.is_flapping);
	for (int i = 0; i < 7; i++) {
		value = flap_icinga_take(&f, false, FLAP_ICINGA_LOW, FLAP_ICINGA_HIGH);
		between += value > FLAP_ICINGA_LOW && value <= FLAP_ICINGA_HIGH;
		assert_int_equal(f.is_flapping, value > FLAP_ICINGA_LOW);
	}
	assert_true(between > 0);
	assert_true(value < 25);
	assert_false(f.is_flapping);
}

/* The same file, host_flapping: a change with every result flaps from the sixth on. */
static void icinga_flaps_at_the_sixth_change_in_a_row(void **state)
{
	struct flap_icinga f = {0};

	(void)state;
	for (int i = 1; i < 25; i++) {
		flap_icinga_take(&f, i > 1, FLAP_ICINGA_LOW, FLAP_ICINGA_HIGH);
		assert_int_equal(f.is_flapping, i >= 7);
	}
}

/* Nagios Core manual, "Detection and Handling of State Flapping": changes at t3, t4, t5, t9, t12, t16 and t19 of 21 states. The
 * weights of base/flapping.c, 0.75 + 0.5 * (t - 1) / 19, make 100 * (7 * 0.75 + 0.5 * 61 / 19) / 20 of them. */
static void nagios_weighs_the_changes_of_its_manual(void **state)
{
	static const int changes[] = {3, 4, 5, 9, 12, 16, 19};
	struct flap_nagios f = {0}, all = {0};
	uint8_t now = 0;
	double value = 0;

	(void)state;
	for (int t = 0, k = 0; t <= 20; t++) {
		if (k < 7 && changes[k] == t) {
			now ^= 1;
			k++;
		}
		value = flap_nagios_take(&f, now, FLAP_NAGIOS_LOW, FLAP_NAGIOS_HIGH);
	}
	assert_float_equal(value, 34.276316, 1e-5);
	assert_true(f.is_flapping);
	assert_float_equal(flap_nagios_take(&all, 1, FLAP_NAGIOS_LOW, FLAP_NAGIOS_HIGH), 6.25, 1e-9); /* newest alone */
	for (int t = 0; t < 20; t++)
		value = flap_nagios_take(&all, (uint8_t)(t % 2), FLAP_NAGIOS_LOW, FLAP_NAGIOS_HIGH);
	assert_float_equal(value, 100, 1e-9); /* each one */
}

static void nagios_keeps_its_mind_between_the_bounds(void **state)
{
	struct flap_nagios f = {0};
	double value;
	int steps = 0;

	(void)state;
	for (int i = 0; i < 21; i++)
		flap_nagios_take(&f, (uint8_t)(i % 2), FLAP_NAGIOS_LOW, FLAP_NAGIOS_HIGH);
	assert_true(f.is_flapping);
	while ((value = flap_nagios_take(&f, 0, FLAP_NAGIOS_LOW, FLAP_NAGIOS_HIGH)) > FLAP_NAGIOS_LOW) {
		assert_true(f.is_flapping);
		steps++;
	}
	assert_false(f.is_flapping);
	assert_true(steps > 15);
}

/* ---- maintenance */

static void once_is_from_to(void **state)
{
	struct maintenance m = {.id = "m", .subject = "s", .from = START, .to = START + HOURS};

	(void)state;
	assert_false(maintenance_covers(&m, START - 1));
	assert_true(maintenance_covers(&m, START));
	assert_false(maintenance_covers(&m, START + HOURS));
	assert_int_equal(maintenance_next(&m, START - 5), START);
	assert_int_equal(maintenance_next(&m, START), START + HOURS);
	assert_true(maintenance_next(&m, START + HOURS) == INT64_MAX);
}

static void the_second_saturday_of_a_month_in_shanghai(void **state)
{
	/* 2026-10-10 is the second Saturday of October 2026; 01:00 there is 17:00 UTC the day before. */
	int64_t oct_10 = (INT64_C(1791565200)) * SECOND;
	struct maintenance m = {.id = "m", .subject = "s", .from = oct_10, .to = oct_10 + 4 * HOURS, .is_repeated = true,
		.weekdays = 1 << 5, .weeks = 1 << 1};

	(void)state;
	assert_true(maintenance_covers(&m, oct_10));
	assert_int_equal(maintenance_next(&m, oct_10), oct_10 + 4 * HOURS);
	assert_false(maintenance_covers(&m, oct_10 + 7 * DAYS));
	/* 2026-11-14 */
	assert_int_equal(maintenance_next(&m, oct_10 + 4 * HOURS), oct_10 + 35 * DAYS);
	assert_true(maintenance_covers(&m, oct_10 + 35 * DAYS + 3 * HOURS));
	m.until = oct_10 + 35 * DAYS;
	assert_false(maintenance_covers(&m, oct_10 + 35 * DAYS + 3 * HOURS));
	assert_true(maintenance_next(&m, oct_10 + 5 * HOURS) == INT64_MAX);
}

static void next_is_where_covers_changes(void **state)
{
	uint64_t seed = 4711;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct maintenance m = {.id = "m", .subject = "s", .from = START + (int64_t)(seed % 86400) * SECOND,
			.is_repeated = round % 4 != 0, .weekdays = (uint8_t)(seed >> 20 & 0x7f)};
		int64_t at;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		m.to = m.from + (int64_t)(1 + (seed >> 33) % (3 * 86400)) * SECOND;
		at = m.from - HOURS;
		for (int i = 0; i < 200; i++, at += 25 * MINUTE) {
			bool changes = maintenance_covers(&m, at) != maintenance_covers(&m, at + 25 * MINUTE);

			if (changes)
				assert_true(maintenance_next(&m, at) <= at + 25 * MINUTE);
		}
	}
}

/* ---- topology */

struct map_of_city { struct topology *t; uint32_t city, links[4], sites[4], systems[3]; };

/* city - link/n - site/n - link/n1 - site/n1; city - link/s - site/s; systems: portal needs link/n, tax needs portal,
 * pair needs one of link/n and link/s. link 3 and site 3 hang below site/s. */
static struct map_of_city small_city(void)
{
	static const char *const links[] = {"link/n", "link/n1", "link/s", "link/s1"};
	static const char *const sites[] = {"site/n", "site/n1", "site/s", "site/s1"};
	static const char *const systems[] = {"system/portal", "system/tax", "system/pair"};
	static const char *const units[] = {"a", "b", "a"};
	struct map_of_city m = {.t = topology_new()};
	struct err err;

	m.city = topology_add(m.t, &(struct topology_node){.id = "site/city", .unit = ""});
	for (int i = 0; i < 4; i++) {
		m.links[i] = topology_add(m.t, &(struct topology_node){.id = links[i], .unit = "", .interval = MINUTE,
			.measured = BOTH});
		m.sites[i] = topology_add(m.t, &(struct topology_node){.id = sites[i], .unit = ""});
		topology_need(m.t, m.sites[i], m.links[i], 0);
		topology_need(m.t, m.links[i], i % 2 == 0 ? m.city : m.sites[i - 1], 0);
	}
	for (int i = 0; i < 3; i++)
		m.systems[i] = topology_add(m.t, &(struct topology_node){.id = systems[i], .unit = units[i],
			.interval = MINUTE, .measured = BOTH, .is_system = true});
	topology_need(m.t, m.systems[0], m.links[0], 0);
	topology_need(m.t, m.systems[1], m.systems[0], 0);
	topology_need(m.t, m.systems[2], m.links[0], 0);
	topology_need(m.t, m.systems[2], m.links[2], 0);
	assert_int_equal(topology_seal(m.t, &err), 0);
	return m;
}

static void a_circle_is_refused_with_its_names(void **state)
{
	struct topology *t = topology_new();
	uint32_t a = topology_add(t, &(struct topology_node){.id = "system/a", .unit = ""});
	uint32_t b = topology_add(t, &(struct topology_node){.id = "system/b", .unit = ""});
	struct err err;

	(void)state;
	topology_need(t, a, b, 0);
	topology_need(t, b, a, 0);
	assert_int_equal(topology_seal(t, &err), -1);
	assert_non_null(strstr(err.text, "\"system/a\" depends on itself"));
	assert_non_null(strstr(err.text, "\"system/b\""));
	topology_free(t);
}

static void each_edge_of_a_tree_cut_once_is_found(void **state)
{
	struct topology *t = topology_new();
	enum { LINKS = 400 };
	uint32_t city = topology_add(t, &(struct topology_node){.id = "site/city", .unit = ""});
	uint32_t links[LINKS], sites[LINKS], found[4];
	struct topology_sight *sights = mem_array(3 * LINKS, sizeof *sights);
	uint64_t seed = 1;
	struct err err;

	(void)state;
	for (uint32_t i = 0; i < LINKS; i++) {
		char id[32];
		uint32_t up = i < 6 ? city : sites[(seed = seed * 48271 % 2147483647) % i];

		snprintf(id, sizeof id, "link/l%u", i);
		links[i] = topology_add(t, &(struct topology_node){.id = id, .unit = "", .measured = BOTH});
		snprintf(id, sizeof id, "site/s%u", i);
		sites[i] = topology_add(t, &(struct topology_node){.id = id, .unit = ""});
		topology_need(t, sites[i], links[i], 0);
		topology_need(t, links[i], up, 0);
	}
	assert_int_equal(topology_seal(t, &err), 0);
	/* Three vantages: in the city, and at two sites; what is behind the cut is not reached, and what is on the
	 * same side is. */
	for (int cut = 0; cut < LINKS; cut++) {
		uint32_t from[] = {city, sites[1], sites[4]};
		size_t n = 0;

		for (int v = 0; v < 3; v++)
			for (int i = 0; i < LINKS; i++)
				sights[n++] = (struct topology_sight){from[v], links[i],
					topology_is_below(t, from[v], links[cut]) ==
						topology_is_below(t, links[i], links[cut])};
		assert_int_equal(topology_locate(t, sights, n, found, 4), 1);
		assert_int_equal(found[0], links[cut]);
	}
	free(sights);
	topology_free(t);
}

static void two_cuts_are_two_causes(void **state)
{
	struct map_of_city m = small_city();
	struct topology_sight sights[] = {{m.city, m.links[0], true}, {m.city, m.links[1], false}, {m.city, m.links[2], false},
		{m.city, m.links[3], false}};
	uint32_t found[4];

	(void)state;
	assert_int_equal(topology_locate(m.t, sights, 4, found, 4), 2);
	assert_int_equal(found[0], m.links[2]);
	assert_int_equal(found[1], m.links[1]);
	topology_free(m.t);
}

/* ---- incidents: a bench that is told of states and writes down who is told what */

struct bench {
	struct incidents *c;
	int64_t now;
	struct buf said; /* "problem:link/n@ " per notice; "@a" to a unit */
	unsigned probes;
	bool hears_steps; /* also what is told to whom the steps of the escalation lead */
};

static void listen_to(struct bench *b)
{
	size_t count;
	const struct incident_intent *in = incidents_intents(b->c, &count);

	for (size_t i = 0; i < count; i++) {
		if (in[i].kind == INTENT_PROBE) {
			b->probes++;
			continue;
		}
		if (incident_is_escalation(in[i].audience) && !b->hears_steps)
			continue;
		buf_add_format(&b->said, "%s:%s@%s", incident_intent_name(in[i].kind), in[i].subject, in[i].audience);
		if (in[i].kind == INTENT_DIGEST)
			for (size_t k = 0; k < in[i].items_count; k++)
				buf_add_format(&b->said, "%s%s:%s", k == 0 ? "[" : ",",
					incident_intent_name(in[i].items[k].kind), in[i].items[k].subject);
		buf_add_text(&b->said, in[i].kind == INTENT_DIGEST ? "] " : " ");
	}
	incidents_clear(b->c);
}

static int step(struct bench *b, const struct incident_event *e)
{
	struct err err;
	int rc = incidents_step(b->c, e, b->now, &err);

	listen_to(b);
	return rc;
}

static void told(struct bench *b, const char *expected)
{
	assert_string_equal(buf_text(&b->said), expected);
	buf_clear(&b->said);
}

static void fault_at(struct bench *b, const char *subject, unsigned faults, int64_t since)
{
	step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = subject, .faults = faults,
		.state = (faults & BOTH) == BOTH ? STATE_DOWN : faults != 0 ? STATE_DEGRADED : STATE_UP, .since = since,
		.measured = b->now, .reason = faults == 0 ? "" : "timeout"});
}

static void fault(struct bench *b, const char *subject, unsigned faults)
{
	fault_at(b, subject, faults, b->now);
}

static void seen(struct bench *b, const char *subject, bool is_up)
{
	for (int f = 0; f < 2; f++)
		step(b, &(struct incident_event){.kind = INCIDENT_SEEN, .subject = subject, .is_up = is_up,
			.family = f == 0 ? FAMILY_V4 : FAMILY_V6, .measured = b->now});
}

static void pass(struct bench *b, int64_t time)
{
	for (; time >= SECOND; time -= SECOND) {
		b->now += SECOND;
		step(b, &(struct incident_event){.kind = INCIDENT_TICK});
	}
}

static const char *const subjects[] = {"link/n", "link/n1", "link/s", "link/s1", "system/portal", "system/tax", "system/pair"};

static const struct incident_settings settings = {.steps = 2, .after = {30 * MINUTE, 2 * HOURS}, .notices_per_minute = 5};

static int setup(void **state)
{
	struct bench *b = mem_alloc(sizeof *b);

	b->c = incidents_new(&settings);
	b->now = START;
	incidents_topology(b->c, small_city().t, b->now);
	for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
		fault(b, subjects[i], 0);
	pass(b, 2 * SECOND);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	incidents_free(b->c);
	buf_fini(&b->said);
	free(b);
	return 0;
}

static void a_link_without_parents_is_told_at_once_and_closed_once(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	told(b, "problem:link/n@ ");
	pass(b, MINUTE);
	fault(b, "link/n", 0);
	told(b, "close:link/n@ ");
	pass(b, HOURS);
	told(b, "");
}

/* What nothing judged looks at any more cannot be seen failing or working: nobody waits for it, whatever it counted as. */
static void a_parent_that_is_not_judged_holds_nobody(void **state)
{
	struct bench *b = *state;
	struct topology *t = topology_new();
	struct err err;

	topology_add(t, &(struct topology_node){.id = "link/n", .unit = ""});
	topology_add(t, &(struct topology_node){.id = "system/portal", .unit = "a", .is_system = true, .interval = MINUTE, .measured = BOTH});
	topology_need(t, topology_find(t, "system/portal"), topology_find(t, "link/n"), 0);
	assert_int_equal(topology_seal(t, &err), 0);
	incidents_topology(b->c, t, b->now);
	pass(b, SECOND);
	fault(b, "system/portal", BOTH);
	told(b, "problem:system/portal@ problem:system/portal@a ");
}

static void a_child_is_held_until_its_parent_was_seen_again(void **state)
{
	struct bench *b = *state;

	fault(b, "system/portal", BOTH);
	told(b, "");
	assert_true(incidents_is_held(b->c, "system/portal"));
	assert_int_equal(b->probes, 1);
	pass(b, 5 * SECOND);
	seen(b, "link/n", true);
	told(b, "problem:system/portal@ problem:system/portal@a ");
	fault(b, "system/portal", 0);
	told(b, "close:system/portal@ close:system/portal@a ");
}

/* The link of a town counts as up, as its other vantage was heard a moment ago: behind the county's link, which is cut. */
static void what_fails_far_below_a_cut_goes_with_it_at_once(void **state)
{
	struct bench *b = *state;
	struct topology *t = topology_new();
	static const char *const ids[] = {"link/county", "link/town", "link/village"};
	struct err err;

	for (uint32_t i = 0; i < 3; i++) {
		topology_add(t, &(struct topology_node){.id = ids[i], .unit = "", .interval = MINUTE, .measured = BOTH});
		if (i > 0)
			topology_need(t, i, i - 1, 0);
	}
	assert_int_equal(topology_seal(t, &err), 0);
	incidents_topology(b->c, t, b->now);
	for (int i = 0; i < 3; i++) {
		fault(b, ids[i], 0);
		seen(b, ids[i], true);
	}
	pass(b, 20 * SECOND);
	fault(b, "link/village", BOTH);
	fault(b, "link/county", BOTH);
	told(b, "problem:link/county@ ");
	pass(b, 5 * MINUTE);
	told(b, "");
	assert_int_equal(incidents_of(b->c, "link/village"), incidents_of(b->c, "link/county"));
	fault(b, "link/county", 0);
	seen(b, "link/county", true);
	pass(b, 2 * MINUTE);
	seen(b, "link/village", false); /* and it fails on while both work */
	seen(b, "link/town", true);
	pass(b, MINUTE);
	told(b, "problem:link/village@ close:link/county@ ");
}

static void a_child_nobody_can_clear_is_told_after_its_hold(void **state)
{
	struct bench *b = *state;

	fault(b, "system/portal", BOTH);
	pass(b, MINUTE + INCIDENT_HOLD - SECOND);
	told(b, "");
	pass(b, SECOND);
	told(b, "problem:system/portal@ problem:system/portal@a ");
}

static void a_cut_link_is_one_notice_and_one_to_each_unit(void **state)
{
	struct bench *b = *state;
	struct incident_affected affected;
	uint64_t id;

	/* Children are found first, in any order. */
	fault(b, "system/tax", BOTH);
	pass(b, 3 * SECOND);
	fault(b, "link/n1", BOTH);
	fault(b, "system/portal", BOTH);
	pass(b, 10 * SECOND);
	told(b, "");
	fault_at(b, "link/n", BOTH, b->now - 20 * SECOND);
	told(b, "problem:link/n@ ");
	pass(b, INCIDENT_GROUP);
	told(b, "problem:link/n@a problem:link/n@b ");
	id = incidents_of(b->c, "link/n");
	assert_int_equal(incidents_of(b->c, "system/tax"), id);
	assert_int_equal(incidents_of(b->c, "link/n1"), id);
	assert_true(incidents_affected(b->c, id, 0, &affected));
	assert_string_equal(affected.subject, "link/n");
	assert_false(incidents_affected(b->c, id, 4, &affected));
	fault(b, "link/n", 0);
	told(b, "");
	fault(b, "link/n1", 0);
	fault(b, "system/portal", 0);
	told(b, "");
	fault(b, "system/tax", 0);
	told(b, "close:link/n@ close:link/n@a close:link/n@b ");
}

static void a_unit_whose_system_came_back_before_it_was_told_is_not_told(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	fault(b, "system/portal", BOTH);
	pass(b, 20 * SECOND);
	fault(b, "link/n", 0);
	fault(b, "system/portal", 0);
	pass(b, 10 * MINUTE);
	told(b, "problem:link/n@ close:link/n@ ");
}

static void a_child_that_fails_on_when_its_parent_works_has_its_own(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	fault(b, "system/portal", BOTH);
	pass(b, INCIDENT_GROUP);
	told(b, "problem:link/n@ problem:link/n@a ");
	fault(b, "link/n", 0);
	pass(b, 59 * SECOND);
	seen(b, "link/n", true);
	seen(b, "system/portal", false);
	told(b, "");
	pass(b, 2 * SECOND);
	seen(b, "system/portal", false);
	told(b, "");
	pass(b, 2 * SECOND);
	seen(b, "link/n", true); /* and not because the link has failed again */
	/* The new one first: nobody reads that all is well while it is not. */
	told(b, "problem:system/portal@ problem:system/portal@a close:link/n@ close:link/n@a ");
	fault(b, "system/portal", 0);
	told(b, "close:system/portal@ close:system/portal@a ");
}

static void a_fault_that_was_there_before_stays_its_own(void **state)
{
	struct bench *b = *state;

	fault(b, "system/portal", BOTH);
	pass(b, 5 * SECOND);
	seen(b, "link/n", true);
	told(b, "problem:system/portal@ problem:system/portal@a ");
	pass(b, 5 * MINUTE);
	fault(b, "link/n", BOTH);
	told(b, "problem:link/n@ ");
	assert_true(incidents_of(b->c, "system/portal") != incidents_of(b->c, "link/n"));
	fault(b, "link/n", 0);
	told(b, "close:link/n@ ");
	fault(b, "system/portal", 0);
	told(b, "close:system/portal@ close:system/portal@a ");
}

/* Looks that find nothing are told of when their time is over, those that find something at once: what was seen failing while its
 * parent did may be judged when that works again already. Between the parent's last failing look and its next nobody knows. */
static void what_failed_before_its_parent_was_seen_again_is_the_parents(void **state)
{
	struct bench *b = *state;
	int64_t began;

	seen(b, "link/n", false);
	pass(b, 4 * SECOND);
	began = b->now; /* the child's first look that fails */
	pass(b, 16 * SECOND);
	seen(b, "link/n", false);
	fault_at(b, "link/n", BOTH, began - 4 * SECOND);
	told(b, "problem:link/n@ ");
	pass(b, 4 * SECOND); /* its third; it is told of at its end */
	pass(b, 3 * SECOND);
	fault(b, "link/n", 0);
	seen(b, "link/n", true);
	buf_clear(&b->said);
	pass(b, SECOND);
	step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = "link/n1", .faults = BOTH, .state = STATE_DOWN,
		.since = began, .measured = b->now, .looked = b->now - 4 * SECOND, .reason = "timeout"});
	pass(b, SECOND);
	seen(b, "link/n", true);
	told(b, "");
	assert_true(incidents_is_held(b->c, "link/n1"));
	pass(b, 10 * SECOND); /* it fails by itself: now that is known */
	seen(b, "link/n1", false);
	pass(b, SECOND);
	seen(b, "link/n", true);
	told(b, "problem:link/n1@ ");
}

/* The same of a parent that was seen failing too seldom to be judged. */
static void what_failed_before_its_parent_was_seen_again_may_be_the_parents(void **state)
{
	struct bench *b = *state;
	int64_t began;

	seen(b, "link/n", true);
	pass(b, 2 * SECOND);
	began = b->now;
	pass(b, 6 * SECOND);
	seen(b, "link/n", false);
	pass(b, 10 * SECOND);
	seen(b, "link/n", false);
	pass(b, 8 * SECOND); /* works again, before the third look */
	seen(b, "link/n", true);
	step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = "link/n1", .faults = BOTH, .state = STATE_DOWN,
		.since = began, .measured = b->now, .looked = b->now - 4 * SECOND, .reason = "timeout"});
	pass(b, SECOND);
	seen(b, "link/n", true);
	told(b, "");
	fault(b, "link/n1", 0); /* so did the child: nobody is told anything */
	pass(b, 3 * MINUTE);
	told(b, "");
}

static void seen_at(struct bench *b, const char *subject, bool is_up, int64_t measured)
{
	for (int f = 0; f < 2; f++)
		step(b, &(struct incident_event){.kind = INCIDENT_SEEN, .subject = subject, .is_up = is_up,
			.family = f == 0 ? FAMILY_V4 : FAMILY_V6, .measured = measured});
}

/* Two vantages look at the parent: one finds nothing, which is known when its time is over, later than what the other finds. */
static void in_which_order_looks_at_a_parent_become_known_changes_nothing(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		struct bench *b;
		int64_t began;

		assert_int_equal(setup((void **)&b), 0);
		seen(b, "link/n", true);
		pass(b, 10 * SECOND);
		began = b->now;
		pass(b, 6 * SECOND);
		seen_at(b, "link/n", late != 0, b->now - (late != 0 ? 0 : 2 * SECOND));
		seen_at(b, "link/n", late == 0, b->now - (late != 0 ? 2 * SECOND : 0));
		pass(b, SECOND);
		step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = "link/n1", .faults = BOTH, .state = STATE_DOWN,
			.since = began, .measured = b->now, .looked = b->now - 4 * SECOND, .reason = "timeout"});
		told(b, "");
		assert_true(incidents_is_held(b->c, "link/n1"));
		fault(b, "link/n1", 0);
		pass(b, 3 * MINUTE);
		told(b, "");
		teardown((void **)&b);
	}
}

static void a_parent_found_late_takes_its_child_and_each_is_closed_once(void **state)
{
	struct bench *b = *state;
	int64_t cut = b->now;

	fault(b, "system/portal", BOTH);
	pass(b, 2 * MINUTE);
	told(b, "problem:system/portal@ problem:system/portal@a ");
	fault_at(b, "link/n", BOTH, cut);
	told(b, "problem:link/n@ merged:system/portal@ merged:system/portal@a ");
	fault(b, "link/n", 0);
	fault(b, "system/portal", 0);
	told(b, "close:link/n@ close:link/n@a ");
}

static void one_family_of_the_link_explains_that_family_alone(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", FAULT_V6);
	fault(b, "system/portal", FAULT_V6);
	pass(b, 2 * MINUTE);
	told(b, "problem:link/n@ problem:link/n@a ");
	seen(b, "link/n", true); /* v4 works */
	pass(b, 10 * SECOND);
	fault(b, "system/portal", BOTH);
	pass(b, 10 * SECOND);
	seen(b, "link/n", true);
	pass(b, 70 * SECOND);
	seen(b, "link/n", true);
	seen(b, "system/portal", false);
	told(b, "problem:system/portal@ problem:system/portal@a ");
}

static void what_is_half_down_is_told_when_the_other_half_had_its_time(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", FAULT_V4);
	assert_int_equal(b->probes, 1);
	told(b, "");
	pass(b, INCIDENT_ROW - SECOND);
	fault(b, "link/n", BOTH);
	told(b, "problem:link/n@ "); /* at once, and as down */
	pass(b, HOURS / 4);
	fault(b, "link/n", 0);
	told(b, "close:link/n@ ");
	fault(b, "link/s", FAULT_V6);
	pass(b, INCIDENT_ROW - SECOND);
	told(b, "");
	pass(b, SECOND);
	told(b, "problem:link/s@ ");
	fault(b, "link/s", 0);
	told(b, "close:link/s@ ");
}

static void what_was_told_as_degraded_is_told_again_when_it_is_down(void **state)
{
	struct bench *b = *state;

	fault(b, "system/portal", FAULT_V6);
	pass(b, 5 * SECOND);
	seen(b, "link/n", true);
	pass(b, INCIDENT_ROW);
	told(b, "problem:system/portal@ problem:system/portal@a ");
	step(b, &(struct incident_event){.kind = INCIDENT_ACKNOWLEDGE, .incident = incidents_of(b->c, "system/portal"),
		.author = "wu", .text = "", .until = 0});
	buf_clear(&b->said);
	fault(b, "system/portal", BOTH);
	pass(b, 5 * SECOND);
	seen(b, "link/n", true);
	told(b, "worse:system/portal@ worse:system/portal@a ");
	fault(b, "system/portal", FAULT_V4);
	fault(b, "system/portal", BOTH);
	pass(b, HOURS / 4);
	told(b, "");
	fault(b, "system/portal", 0);
	told(b, "close:system/portal@ close:system/portal@a ");
}

static void what_a_host_says_of_itself_is_its_own(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	fault(b, "system/portal", FAULT_OWN);
	told(b, "problem:link/n@ problem:system/portal@ problem:system/portal@a ");
}

static void of_two_ways_one_that_works_clears_both(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	buf_clear(&b->said);
	pass(b, 5 * SECOND);
	fault(b, "system/pair", BOTH);
	pass(b, 5 * SECOND);
	told(b, "");
	seen(b, "link/s", true);
	told(b, "problem:system/pair@ problem:system/pair@a ");
}

static void of_two_ways_both_down_are_the_cause(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	fault(b, "link/s", BOTH);
	fault(b, "system/pair", BOTH);
	pass(b, 2 * MINUTE);
	told(b, "problem:link/n@ problem:link/s@ problem:link/n@a ");
	assert_int_equal(incidents_of(b->c, "system/pair"), incidents_of(b->c, "link/n"));
}

static void a_way_that_was_down_for_long_does_not_hide_that_the_other_failed(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	for (int i = 0; i < 20; i++, pass(b, MINUTE))
		seen(b, "system/pair", true); /* by the other one */
	buf_clear(&b->said);
	fault(b, "system/pair", BOTH);
	pass(b, 10 * SECOND);
	fault(b, "link/s", BOTH);
	pass(b, MINUTE);
	told(b, "problem:link/s@ problem:link/n@a ");
}

static void a_family_that_a_link_does_not_measure_goes_with_the_other(void **state)
{
	struct bench *b = *state;
	struct topology *t = topology_new();
	struct err err;

	topology_add(t, &(struct topology_node){.id = "link/n", .unit = "", .interval = MINUTE, .measured = FAULT_V4});
	topology_add(t, &(struct topology_node){.id = "system/portal", .unit = "a", .interval = MINUTE, .measured = BOTH});
	topology_need(t, 1, 0, 0);
	assert_int_equal(topology_seal(t, &err), 0);
	incidents_topology(b->c, t, b->now);
	fault(b, "link/n", FAULT_V4);
	fault(b, "system/portal", BOTH);
	pass(b, MINUTE);
	told(b, "problem:link/n@ problem:link/n@a ");
}

static void a_loss_that_outlasts_that_of_its_link_is_its_own(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", FAULT_VALUE);
	fault(b, "system/portal", FAULT_VALUE);
	told(b, "problem:link/n@ ");
	assert_int_equal(incidents_of(b->c, "system/portal"), incidents_of(b->c, "link/n"));
	fault(b, "link/n", 0);
	buf_clear(&b->said);
	pass(b, 70 * SECOND);
	seen(b, "system/portal", true); /* it answers, with loss */
	pass(b, SECOND);
	seen(b, "link/n", true);
	told(b, "problem:system/portal@ problem:system/portal@a close:link/n@ ");
}

static void who_waits_for_one_that_waits_is_not_told_of_first(void **state)
{
	struct bench *b = *state;

	fault(b, "system/tax", BOTH);
	pass(b, 100 * SECOND);
	fault(b, "system/portal", BOTH);
	pass(b, MINUTE + INCIDENT_HOLD - SECOND);
	told(b, "");
	pass(b, INCIDENT_GROUP + SECOND);
	told(b, "problem:system/portal@ problem:system/portal@a problem:system/portal@b ");
}

static void what_was_cleared_after_it_was_told_stays_its_own(void **state)
{
	struct bench *b = *state;

	fault(b, "system/portal", BOTH);
	pass(b, 2 * MINUTE);
	told(b, "problem:system/portal@ problem:system/portal@a ");
	seen(b, "link/n", true);
	pass(b, 10 * MINUTE);
	seen(b, "system/portal", false);
	pass(b, 10 * SECOND);
	fault(b, "link/n", BOTH);
	told(b, "problem:link/n@ ");
}

static void unknown_neither_opens_nor_closes(void **state)
{
	struct bench *b = *state;
	struct incident_event e = {.kind = INCIDENT_STATE, .subject = "link/n", .state = STATE_UNKNOWN, .since = b->now,
		.measured = b->now, .reason = "not measured"};

	step(b, &e);
	pass(b, HOURS);
	told(b, "");
	fault(b, "link/n", BOTH);
	told(b, "problem:link/n@ ");
	e.measured = b->now;
	step(b, &e);
	pass(b, MINUTE);
	told(b, "");
	fault(b, "link/n", 0);
	told(b, "close:link/n@ ");
}

static void old_evidence_opens_nothing(void **state)
{
	struct bench *b = *state;

	pass(b, 10 * MINUTE);
	step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = "link/n", .state = STATE_DOWN, .faults = BOTH,
		.since = b->now - 5 * MINUTE, .measured = b->now - 3 * MINUTE, .reason = "late"});
	pass(b, 10 * MINUTE);
	told(b, "");
}

static void duplicates_and_late_states_change_nothing(void **state)
{
	struct bench *b = *state;
	struct incident_event down = {.kind = INCIDENT_STATE, .subject = "link/n", .state = STATE_DOWN, .faults = BOTH,
		.since = b->now, .measured = b->now, .reason = "timeout"};

	step(b, &down);
	step(b, &down);
	told(b, "problem:link/n@ ");
	pass(b, 30 * SECOND);
	fault(b, "link/n", 0);
	told(b, "close:link/n@ ");
	step(b, &down);
	pass(b, MINUTE);
	told(b, "");
}

static void plan(struct bench *b, const char *id, const char *subject, int64_t from, int64_t to)
{
	struct maintenance m = {.id = id, .subject = subject, .author = "zhang", .reason = "switch", .from = from, .to = to};

	assert_int_equal(step(b, &(struct incident_event){.kind = INCIDENT_PLAN, .author = "zhang", .maintenance = &m}), 0);
}

static void planned_work_is_silent_and_covers_what_hangs_below(void **state)
{
	struct bench *b = *state;

	plan(b, "m1", "link/n", b->now + MINUTE, b->now + HOURS);
	assert_int_equal(incidents_state(b->c, "system/portal"), STATE_UP);
	pass(b, MINUTE);
	assert_int_equal(incidents_state(b->c, "link/n"), STATE_MAINTENANCE);
	assert_int_equal(incidents_state(b->c, "system/tax"), STATE_MAINTENANCE);
	assert_int_equal(incidents_state(b->c, "system/pair"), STATE_UP); /* has another way */
	fault(b, "link/n", BOTH);
	fault(b, "system/portal", BOTH);
	pass(b, 10 * MINUTE);
	fault(b, "link/n", 0);
	fault(b, "system/portal", 0);
	pass(b, 2 * HOURS);
	told(b, "");
	assert_int_equal(incidents_state(b->c, "link/n"), STATE_UP);
	assert_null(incidents_maintenance_at(b->c, 0));
	plan(b, "m2", "link/s", b->now, b->now + HOURS);
	assert_int_equal(incidents_state(b->c, "link/s1"), STATE_MAINTENANCE);
	assert_int_equal(incidents_state(b->c, "system/pair"), STATE_UP);
}

static void silence_does_not_outlive_its_end(void **state)
{
	struct bench *b = *state;

	plan(b, "m1", "link/n", b->now, b->now + 10 * MINUTE);
	fault(b, "link/n", BOTH);
	pass(b, 9 * MINUTE);
	told(b, "");
	pass(b, MINUTE);
	told(b, "problem:link/n@ ");
	fault(b, "link/n", 0);
	told(b, "close:link/n@ ");
}

static void maintenance_never_swallows_the_closing_of_what_was_told(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	told(b, "problem:link/n@ ");
	plan(b, "m1", "link/n", b->now, b->now + HOURS);
	pass(b, MINUTE);
	fault(b, "link/n", 0);
	told(b, "close:link/n@ ");
}

static void an_acknowledgement_stops_the_escalation_until_its_end(void **state)
{
	struct bench *b = *state;
	struct incident_event ack = {.kind = INCIDENT_ACKNOWLEDGE, .author = "li", .text = "on my way"};

	fault(b, "link/n", BOTH);
	told(b, "problem:link/n@ ");
	ack.incident = incidents_of(b->c, "link/n");
	ack.until = b->now + 3 * HOURS;
	assert_int_equal(step(b, &ack), 0);
	told(b, "acknowledged:link/n@ ");
	pass(b, 3 * HOURS - SECOND);
	told(b, "");
	pass(b, SECOND);
	told(b, "unacknowledged:link/n@ escalate:link/n@ escalate:link/n@ ");
	ack.until = b->now - 1;
	assert_int_equal(step(b, &ack), -1);
	ack.incident = 99;
	assert_int_equal(step(b, &ack), -1);
	told(b, "");
}

static void an_acknowledgement_ends_by_either_clock(void **state)
{
	static const int64_t jumps[] = {-HOURS, 3 * HOURS}; /* set back; stopped over its end */
	struct bench *b = *state;

	for (int i = 0; i < 2; i++) {
		struct incident_event ack = {.kind = INCIDENT_ACKNOWLEDGE, .author = "li", .text = ""};

		fault(b, "link/n", BOTH);
		ack.incident = incidents_of(b->c, "link/n");
		ack.until = b->now + 10 * MINUTE;
		assert_int_equal(step(b, &ack), 0);
		b->now += jumps[i];
		pass(b, i == 0 ? 10 * MINUTE - SECOND : SECOND);
		told(b, i == 0 ? "problem:link/n@ acknowledged:link/n@ "
			       : "problem:link/n@ acknowledged:link/n@ unacknowledged:link/n@ ");
		pass(b, 2 * SECOND); /* the jump itself takes no time */
		told(b, i == 0 ? "unacknowledged:link/n@ " : "");
		fault(b, "link/n", 0);
		told(b, "close:link/n@ ");
		pass(b, HOURS); /* or the next would count as coming and going */
	}
}

static int64_t only_at_noon(const void *calendar, int64_t from, int64_t work)
{
	(void)work;
	return from + *(const int64_t *)calendar;
}

static void escalation_goes_by_the_given_calendar(void **state)
{
	struct bench *b = *state;
	int64_t delay = 5 * HOURS;
	struct incident_settings s = settings;

	s.add_work = only_at_noon;
	s.calendar = &delay;
	s.steps = 1;
	incidents_free(b->c);
	b->c = incidents_new(&s);
	incidents_topology(b->c, small_city().t, b->now);
	fault(b, "link/n", BOTH);
	pass(b, 5 * HOURS - SECOND);
	told(b, "problem:link/n@ ");
	pass(b, SECOND);
	told(b, "escalate:link/n@ ");
}

static void to_whom_a_step_leads_hears_of_it_and_of_the_end_alone(void **state)
{
	struct bench *b = *state;
	struct incident_event e = {.kind = INCIDENT_ACKNOWLEDGE, .author = "li", .text = "at once"};

	b->hears_steps = true;
	fault(b, "link/n", FAULT_V4);
	pass(b, 30 * MINUTE - SECOND);
	told(b, "problem:link/n@ ");
	pass(b, SECOND);
	told(b, "escalate:link/n@ escalate:link/n@escalation/1 ");
	fault(b, "link/n", BOTH);
	told(b, "worse:link/n@ ");
	pass(b, 90 * MINUTE);
	told(b, "escalate:link/n@ escalate:link/n@escalation/1 escalate:link/n@escalation/2 ");
	e.incident = incidents_of(b->c, "link/n");
	assert_int_equal(step(b, &e), 0);
	e.kind = INCIDENT_COMMENT;
	assert_int_equal(step(b, &e), 0);
	told(b, "acknowledged:link/n@ commented:link/n@ ");
	fault(b, "link/n", 0);
	told(b, "close:link/n@ close:link/n@escalation/1 close:link/n@escalation/2 ");
	/* The next one begins at its first step. */
	pass(b, HOURS);
	fault(b, "link/n", BOTH);
	fault(b, "link/n", 0);
	told(b, "problem:link/n@ close:link/n@ ");
}

static void a_step_hears_what_its_incident_became_part_of(void **state)
{
	struct bench *b = *state;
	int64_t cut = b->now;

	b->hears_steps = true;
	fault(b, "link/n1", BOTH);
	pass(b, 35 * MINUTE);
	told(b, "problem:link/n1@ escalate:link/n1@ escalate:link/n1@escalation/1 ");
	fault_at(b, "link/n", BOTH, cut);
	told(b, "problem:link/n@ merged:link/n1@ merged:link/n1@escalation/1 ");
	fault(b, "link/n1", 0);
	fault(b, "link/n", 0);
	told(b, "close:link/n@ close:link/n@escalation/1 ");
}

static void assignments_and_comments_reach_those_who_know(void **state)
{
	struct bench *b = *state;
	struct incident_event e = {.kind = INCIDENT_ASSIGN, .author = "li", .text = "wang"};
	struct incident_view view;

	fault(b, "link/n", BOTH);
	e.incident = incidents_of(b->c, "link/n");
	assert_int_equal(step(b, &e), 0);
	e.kind = INCIDENT_COMMENT;
	e.text = "the fibre is cut at the bridge";
	assert_int_equal(step(b, &e), 0);
	told(b, "problem:link/n@ assigned:link/n@ commented:link/n@ ");
	assert_true(incidents_find(b->c, e.incident, &view));
	assert_string_equal(view.assignee, "wang");
}

/* Notices since the last call: what begins or ends trouble, not what people or calendars do. */
static unsigned notices(struct bench *b)
{
	static const char *const kinds[] = {"problem:", "close:", "merged:"};
	unsigned count = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		for (const char *at = buf_text(&b->said); (at = strstr(at, kinds[i])) != NULL; at++)
			count++;
	buf_clear(&b->said);
	return count;
}

static int come_and_go(struct bench *b, int period)
{
	int times[500], told_so_far = 0;
	bool down = false;

	for (int s = 0; s < 8 * 3600; s++) {
		if (s % period == 0)
			fault(b, "link/n", (down = !down) ? BOTH : 0);
		if (s % 60 == 7)
			seen(b, "link/n", !down);
		pass(b, SECOND);
		for (unsigned n = notices(b); n > 0; n--) {
			times[told_so_far++] = s;
			assert_true(told_so_far <= INCIDENT_TELLS || s - times[told_so_far - INCIDENT_TELLS - 1] >= 3600);
		}
	}
	assert_true(told_so_far >= 3);
	return told_so_far;
}

static void flapping_is_told_once_and_closed_when_it_is_quiet(void **state)
{
	struct bench *b = *state;
	struct incident_view view;

	/* A change in every second slot, for 8 hours. */
	assert_int_equal(come_and_go(b, 120), 5);
	assert_true(incidents_find(b->c, incidents_of(b->c, "link/n"), &view));
	assert_true(view.is_flapping);
	fault(b, "link/n", 0);
	for (int m = 0; m < 30; m++) {
		seen(b, "link/n", true);
		pass(b, MINUTE);
	}
	told(b, "close:link/n@ ");
}

static void something_that_comes_and_goes_is_told_five_times_an_hour_at_most(void **state)
{
	for (int period = 40; period < 2500; period += 61) {
		struct bench *b;

		assert_int_equal(setup((void **)&b), 0);
		come_and_go(b, period);
		fault(b, "link/n", 0);
		for (int m = 0; m < 120; m++) {
			seen(b, "link/n", true);
			pass(b, MINUTE);
		}
		assert_int_equal(incidents_of(b->c, "link/n"), 0);
		teardown((void **)&b);
	}
	(void)state;
}

static void outage(struct bench *b, int64_t lasts, int64_t works)
{
	fault(b, "link/n", BOTH);
	pass(b, lasts);
	seen(b, "link/n", true);
	fault(b, "link/n", 0);
	for (; works > 0; works -= MINUTE) {
		seen(b, "link/n", true);
		pass(b, MINUTE);
	}
}

/* What was told within the hour keeps no end back in silence. */
static void a_second_outage_is_ended_in_time_and_a_third_is_told_to_come_and_go(void **state)
{
	struct bench *b = *state;

	outage(b, 5 * MINUTE, 10 * MINUTE);
	told(b, "problem:link/n@ close:link/n@ ");
	outage(b, 5 * MINUTE, 0);
	told(b, "problem:link/n@ close:link/n@ ");
	pass(b, 10 * MINUTE);
	outage(b, 5 * MINUTE, 0);
	told(b, "problem:link/n@ flapping:link/n@ ");
	pass(b, 5 * MINUTE);
	outage(b, 5 * MINUTE, 9 * MINUTE); /* it is told already */
	told(b, "");
	pass(b, 40 * MINUTE);
	told(b, "close:link/n@ ");
	outage(b, 5 * MINUTE, MINUTE);
	told(b, "problem:link/n@ close:link/n@ ");
}

struct kept {
	size_t len;
	uint8_t data[];
};

static void keep(void *ctx, const char *key, const void *data, size_t len)
{
	struct kept *k = mem_alloc(sizeof *k + len);

	k->len = len;
	memcpy(k->data, data, len);
	map_set(ctx, key, k);
}

static void forget(void *ctx, const char *key)
{
	(void)ctx, (void)key;
}

/* Another process goes on from its records; shorter: those of nodes end as they did when four tells were kept. */
static void restart(struct bench *b, size_t shorter)
{
	struct map *records = map_new();
	struct record_sink sink = {.ctx = records, .put = keep, .drop = forget};
	struct err err;
	const char *key;

	incidents_save(b->c, true, &sink);
	incidents_free(b->c);
	b->c = incidents_new(&settings);
	incidents_topology(b->c, small_city().t, b->now);
	for (size_t i = 0; i < map_count(records); i++) {
		const struct kept *k = map_at(records, i, &key);

		if (incidents_restore(b->c, key, k->data, k->len - (strncmp(key, "node/", 5) == 0 ? shorter : 0), &err) != 0)
			fail_msg("%s: %s", key, err.text);
	}
	incidents_restored(b->c);
	map_free(records, free);
}

static void records_of_the_version_before_are_read(void **state)
{
	struct bench *b = *state;

	outage(b, 5 * MINUTE, 5 * MINUTE);
	fault(b, "link/n", BOTH);
	restart(b, (INCIDENT_TELLS - 4) * sizeof(int64_t));
	fault(b, "link/n", 0);
	told(b, "problem:link/n@ close:link/n@ problem:link/n@ close:link/n@ ");
}

static void that_it_comes_and_goes_is_told_once_over_a_restart(void **state)
{
	struct bench *b = *state;

	outage(b, 5 * MINUTE, 5 * MINUTE);
	outage(b, 5 * MINUTE, 5 * MINUTE);
	outage(b, 5 * MINUTE, 0);
	told(b, "problem:link/n@ close:link/n@ problem:link/n@ close:link/n@ problem:link/n@ flapping:link/n@ ");
	restart(b, 0);
	pass(b, MINUTE);
	told(b, "");
}

static void a_storm_becomes_a_digest_that_names_all(void **state)
{
	struct bench *b = *state;
	struct topology *t = topology_new();
	struct err err;
	size_t commas = 0;

	for (int i = 0; i < 300; i++) {
		char id[32];

		snprintf(id, sizeof id, "link/x%d", i);
		topology_add(t, &(struct topology_node){.id = id, .unit = "", .interval = MINUTE, .measured = BOTH});
	}
	assert_int_equal(topology_seal(t, &err), 0);
	incidents_topology(b->c, t, b->now);
	for (int i = 0; i < 300; i++) {
		char id[32];

		snprintf(id, sizeof id, "link/x%d", i);
		fault(b, id, BOTH);
	}
	told(b, "problem:link/x0@ problem:link/x1@ problem:link/x2@ problem:link/x3@ problem:link/x4@ ");
	pass(b, MINUTE);
	for (const char *at = buf_text(&b->said); (at = strstr(at, "problem:link/x")) != NULL; at++)
		commas++;
	assert_int_equal(commas, 295);
	assert_int_equal(strncmp(buf_text(&b->said), "digest:@[problem:link/x5,", 25), 0);
}

static void a_reload_that_removes_the_root_closes_what_was_told(void **state)
{
	struct bench *b = *state;
	struct topology *t = topology_new();
	uint32_t portal;
	struct err err;

	fault(b, "link/n", BOTH);
	fault(b, "system/portal", BOTH);
	pass(b, INCIDENT_GROUP);
	told(b, "problem:link/n@ problem:link/n@a ");
	portal = topology_add(t, &(struct topology_node){.id = "system/portal", .unit = "a", .interval = MINUTE,
		.measured = BOTH});
	(void)portal;
	assert_int_equal(topology_seal(t, &err), 0);
	incidents_topology(b->c, t, b->now);
	listen_to(b);
	told(b, "close:link/n@ close:link/n@a problem:system/portal@ problem:system/portal@a ");
}

static void a_reload_that_brings_the_cause_merges_what_was_on_its_own(void **state)
{
	struct bench *b = *state;
	struct topology *t = topology_new();
	struct err err;

	topology_add(t, &(struct topology_node){.id = "system/portal", .unit = "a", .interval = MINUTE, .measured = BOTH});
	assert_int_equal(topology_seal(t, &err), 0);
	incidents_topology(b->c, t, b->now);
	fault(b, "system/portal", BOTH);
	told(b, "problem:system/portal@ problem:system/portal@a ");
	incidents_topology(b->c, small_city().t, b->now);
	listen_to(b);
	told(b, "");
	pass(b, SECOND);
	fault(b, "link/n", BOTH);
	told(b, "problem:link/n@ merged:system/portal@ merged:system/portal@a ");
}

static void who_is_not_heard_of_when_the_cause_is_over_is_let_go(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", BOTH);
	fault(b, "system/portal", BOTH);
	pass(b, INCIDENT_GROUP);
	buf_clear(&b->said);
	step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = "system/portal", .state = STATE_UNKNOWN,
		.since = b->now, .measured = b->now, .reason = "not measured"});
	fault(b, "link/n", 0);
	seen(b, "link/n", true); /* that made it so */
	pass(b, 4 * MINUTE);
	told(b, "close:link/n@ close:link/n@a ");
	assert_int_equal(incidents_of(b->c, "system/portal"), 0);
	fault(b, "system/portal", BOTH);
	pass(b, 2 * SECOND);
	seen(b, "link/n", true);
	told(b, "problem:system/portal@ problem:system/portal@a ");
}

/* Of what stands between nobody can tell: that one fault is explained hides the other one for a while alone. */
static void a_fault_beside_an_explained_one_is_told_in_the_end(void **state)
{
	struct bench *b = *state;

	fault(b, "link/n", FAULT_V6);
	step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = "system/portal", .state = STATE_UNKNOWN,
		.since = b->now, .measured = b->now, .reason = "not measured"});
	fault(b, "system/tax", FAULT_V6);
	assert_int_equal(incidents_of(b->c, "system/tax"), incidents_of(b->c, "link/n"));
	pass(b, INCIDENT_GROUP);
	buf_clear(&b->said);
	fault(b, "system/tax", BOTH);
	for (int i = 0; i < 5; i++) {
		pass(b, MINUTE);
		step(b, &(struct incident_event){.kind = INCIDENT_SEEN, .subject = "link/n", .family = FAMILY_V4, .is_up = true,
			.measured = b->now});
		seen(b, "system/tax", false);
	}
	told(b, "problem:system/tax@ problem:system/tax@b ");
}

static void a_hundred_reloads_change_nothing(void **state)
{
	struct bench *b = *state;
	struct incident_event ack = {.kind = INCIDENT_ACKNOWLEDGE, .author = "li", .text = ""};
	struct incident_view view;

	fault(b, "link/n", BOTH);
	fault(b, "system/portal", BOTH);
	fault(b, "link/s1", BOTH);
	plan(b, "m", "link/s", b->now + 30 * MINUTE, b->now + HOURS);
	ack.incident = incidents_of(b->c, "link/n");
	step(b, &ack);
	buf_clear(&b->said);
	for (int i = 0; i < 100; i++) {
		incidents_topology(b->c, small_city().t, b->now);
		listen_to(b);
	}
	told(b, "");
	assert_true(incidents_is_held(b->c, "link/s1"));
	assert_int_equal(incidents_of(b->c, "system/portal"), ack.incident);
	assert_true(incidents_find(b->c, ack.incident, &view));
	assert_true(view.is_acknowledged);
	pass(b, 31 * MINUTE);
	assert_int_equal(incidents_state(b->c, "link/s"), STATE_MAINTENANCE);
}

static void a_jump_of_the_clock_tells_nobody(void **state)
{
	static const int64_t jumps[] = {3600, -3600, 1, -1, 315360000, -315360000};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
		fault(b, "system/portal", BOTH);
		b->now += jumps[i] * SECOND;
		step(b, &(struct incident_event){.kind = INCIDENT_TICK});
		told(b, "");
		pass(b, 5 * SECOND);
		fault(b, "link/n", BOTH);
		pass(b, 5 * SECOND);
		told(b, "problem:link/n@ ");
		fault(b, "link/n", 0);
		fault(b, "system/portal", 0);
		told(b, "close:link/n@ ");
		pass(b, 2 * HOURS);
		for (size_t k = 0; k < sizeof subjects / sizeof *subjects; k++)
			seen(b, subjects[k], true);
	}
}

int main(void)
{
#define ON_BENCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(icingas_own_example_gives_39_1_percent),
		cmocka_unit_test(icinga_flaps_at_the_sixth_change_in_a_row),
		cmocka_unit_test(nagios_weighs_the_changes_of_its_manual),
		cmocka_unit_test(nagios_keeps_its_mind_between_the_bounds),
		cmocka_unit_test(once_is_from_to),
		cmocka_unit_test(the_second_saturday_of_a_month_in_shanghai),
		cmocka_unit_test(next_is_where_covers_changes),
		cmocka_unit_test(a_circle_is_refused_with_its_names),
		cmocka_unit_test(each_edge_of_a_tree_cut_once_is_found),
		cmocka_unit_test(two_cuts_are_two_causes),
		ON_BENCH(a_link_without_parents_is_told_at_once_and_closed_once),
		ON_BENCH(a_child_is_held_until_its_parent_was_seen_again),
		ON_BENCH(a_parent_that_is_not_judged_holds_nobody),
		ON_BENCH(what_fails_far_below_a_cut_goes_with_it_at_once),
		ON_BENCH(a_child_nobody_can_clear_is_told_after_its_hold),
		ON_BENCH(a_cut_link_is_one_notice_and_one_to_each_unit),
		ON_BENCH(a_unit_whose_system_came_back_before_it_was_told_is_not_told),
		ON_BENCH(a_child_that_fails_on_when_its_parent_works_has_its_own),
		ON_BENCH(a_fault_that_was_there_before_stays_its_own),
		ON_BENCH(what_failed_before_its_parent_was_seen_again_is_the_parents),
		ON_BENCH(what_failed_before_its_parent_was_seen_again_may_be_the_parents),
		cmocka_unit_test(in_which_order_looks_at_a_parent_become_known_changes_nothing),
		ON_BENCH(a_parent_found_late_takes_its_child_and_each_is_closed_once),
		ON_BENCH(one_family_of_the_link_explains_that_family_alone),
		ON_BENCH(what_is_half_down_is_told_when_the_other_half_had_its_time),
		ON_BENCH(what_was_told_as_degraded_is_told_again_when_it_is_down),
		ON_BENCH(what_a_host_says_of_itself_is_its_own),
		ON_BENCH(of_two_ways_one_that_works_clears_both),
		ON_BENCH(of_two_ways_both_down_are_the_cause),
		ON_BENCH(a_way_that_was_down_for_long_does_not_hide_that_the_other_failed),
		ON_BENCH(a_family_that_a_link_does_not_measure_goes_with_the_other),
		ON_BENCH(a_loss_that_outlasts_that_of_its_link_is_its_own),
		ON_BENCH(who_waits_for_one_that_waits_is_not_told_of_first),
		ON_BENCH(what_was_cleared_after_it_was_told_stays_its_own),
		ON_BENCH(unknown_neither_opens_nor_closes),
		ON_BENCH(old_evidence_opens_nothing),
		ON_BENCH(duplicates_and_late_states_change_nothing),
		ON_BENCH(planned_work_is_silent_and_covers_what_hangs_below),
		ON_BENCH(silence_does_not_outlive_its_end),
		ON_BENCH(maintenance_never_swallows_the_closing_of_what_was_told),
		ON_BENCH(an_acknowledgement_stops_the_escalation_until_its_end),
		ON_BENCH(escalation_goes_by_the_given_calendar),
		ON_BENCH(to_whom_a_step_leads_hears_of_it_and_of_the_end_alone),
		ON_BENCH(a_step_hears_what_its_incident_became_part_of),
		ON_BENCH(assignments_and_comments_reach_those_who_know),
		ON_BENCH(an_acknowledgement_ends_by_either_clock),
		ON_BENCH(flapping_is_told_once_and_closed_when_it_is_quiet),
		cmocka_unit_test(something_that_comes_and_goes_is_told_five_times_an_hour_at_most),
		ON_BENCH(a_second_outage_is_ended_in_time_and_a_third_is_told_to_come_and_go),
		ON_BENCH(records_of_the_version_before_are_read),
		ON_BENCH(that_it_comes_and_goes_is_told_once_over_a_restart),
		ON_BENCH(a_storm_becomes_a_digest_that_names_all),
		ON_BENCH(a_reload_that_removes_the_root_closes_what_was_told),
		ON_BENCH(a_reload_that_brings_the_cause_merges_what_was_on_its_own),
		ON_BENCH(who_is_not_heard_of_when_the_cause_is_over_is_let_go),
		ON_BENCH(a_fault_beside_an_explained_one_is_told_in_the_end),
		ON_BENCH(a_hundred_reloads_change_nothing),
		ON_BENCH(a_jump_of_the_clock_tells_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

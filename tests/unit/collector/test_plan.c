#include "collector/judge/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/inventory.h"
#include "collector/judge/incident.h"
#include "lib/err.h"

static char folder[] = "/tmp/xunjian-plan-XXXXXX";

static struct inventory *read_text(const char *text, struct err *err)
{
	char path[64];
	struct inventory *inv;
	FILE *f;

	snprintf(path, sizeof path, "%s/a.conf", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
	inv = inventory_load(folder, err);
	unlink(path);
	return inv;
}

#define CITY                                                                                       \
	"units = ( { id = \"u1\"; } );\n"                                                          \
	"sites = ( { id = \"city\"; level = \"city\"; }, { id = \"north\"; level = \"county\"; parent = \"city\"; },\n" \
	" { id = \"south\"; level = \"county\"; parent = \"city\"; } );\n"                          \
	"links = ( { id = \"n\"; site = \"north\"; ipv4 = \"192.0.2.1\"; ipv6 = \"2001:db8::1\"; },\n" \
	" { id = \"s\"; site = \"south\"; ipv4 = \"192.0.2.2\"; } );\n"                             \
	"agents = ( { id = \"a\"; site = \"city\"; }, { id = \"b\"; site = \"north\"; } );\n"
#define SYSTEMS                                                                                    \
	"systems = ( { id = \"db\"; unit = \"u1\"; }, { id = \"web\"; unit = \"u1\"; depends = \"db\";\n" \
	" either = ( \"n\", \"s\" ); } );\n"

static void an_inventory_becomes_votes_and_needs(void **state)
{
	struct err err;
	struct inventory *inv = read_text(CITY SYSTEMS
		"checks = ( { id = \"n-icmp\"; type = \"icmp\"; subject = \"link/n\"; vantages = ( \"a\", \"b\" ); interval = \"30s\";\n"
		" quorum = 2; limits = ( \"loss above 20 critical 50 for 3m\" ); },\n"
		" { id = \"s-icmp\"; type = \"icmp\"; subject = \"link/s\"; vantages = \"a\"; severity = \"minor\"; },\n"
		" { id = \"gate\"; type = \"icmp\"; subject = \"site/city\"; vantages = \"a\"; anchor = true; host = \"192.0.2.9\"; } );\n",
		&err);
	struct plan p;
	size_t count;
	const struct topology_parent *needs;

	(void)state;
	if (inv == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(plan_make(inv, &p, &err), 0);
	assert_int_equal(p.count, 3);
	assert_int_equal(p.checks[0].families, FAULT_V4 | FAULT_V6);
	assert_int_equal(p.checks[0].quorum, 2);
	assert_int_equal(p.checks[0].limits_count, 1);
	assert_float_equal(p.checks[0].limits[0].critical, 50, 0);
	assert_true(p.checks[0].limits[0].metric != 0);
	assert_int_equal(p.checks[1].families, FAULT_V4); /* the link has no IPv6 end */
	assert_int_equal(p.checks[1].severity, SEVERITY_MINOR);
	assert_true(p.checks[2].is_anchor);
	/* web needs db, and one of the two links. */
	needs = topology_parents(p.topology, topology_find(p.topology, "system/web"), &count);
	assert_int_equal(count, 3);
	assert_int_equal(needs[0].node, topology_find(p.topology, "system/db"));
	assert_int_equal(needs[1].group, needs[2].group);
	assert_true(needs[0].group != needs[1].group);
	assert_true(topology_is_below(p.topology, topology_find(p.topology, "agent/b"), topology_find(p.topology, "link/n")));
	assert_false(topology_is_below(p.topology, topology_find(p.topology, "host/a"), topology_find(p.topology, "link/n")));
	assert_int_equal(topology_node(p.topology, topology_find(p.topology, "link/n"))->interval, 30 * NS_PER_S);
	assert_int_equal(topology_node(p.topology, topology_find(p.topology, "site/city"))->measured, 0);
	assert_string_equal(topology_node(p.topology, topology_find(p.topology, "system/web"))->unit, "u1");
	plan_fini(&p);
	inventory_free(inv);
}

static void a_rule_that_cannot_be_met_is_told_where_it_stands(void **state)
{
	static const struct { const char *check, *words; } cases[] = {
		{"quorum = 2;", "a.conf:7: quorum is 2, but there are 1 vantages"},
		{"limits = \"loss over 3\";", "a.conf:7: limits: \"loss over 3\": \"over\" is not \"above\" or \"below\""},
		{"limits = \"loss above x\";", "a.conf:7: limits: \"loss above x\": above: "},
		{"limits = \"days below 3\";", "a.conf:7: limits: \"days\" is no value of icmp"},
		{"limits = \"loss\";", "a.conf:7: limits: \"loss\": write METRIC above|below NUMBER"},
		{"limits = \"loss above 3 for ever\";", "a.conf:7: limits: \"loss above 3 for ever\": for: "},
		{"limits = \"loss above 3 hysteresis 2\";", "share from 0 to less than 1"},
		{"limits = \"loss forecast 9 above 3h\";", "\"above\" is not \"within\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[2000];
		struct err err = {""};

		snprintf(text, sizeof text, CITY "checks = ( { id = \"x\"; type = \"icmp\"; subject = \"link/n\"; vantages = \"a\"; %s } );\n",
			cases[i].check);
		assert_null(read_text(text, &err));
		if (strstr(err.text, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].check, err.text);
	}
}

static void either_is_checked_as_depends_is(void **state)
{
	static const struct { const char *systems, *words; } cases[] = {
		{"{ id = \"x\"; unit = \"u1\"; either = ( \"n\", \"z\" ); }", "either \"z\" is not in the inventory"},
		{"{ id = \"x\"; unit = \"u1\"; depends = \"n\"; either = ( \"n\", \"s\" ); }", "either names \"n\" twice"},
		{"{ id = \"x\"; unit = \"u1\"; either = \"y\"; }, { id = \"y\"; unit = \"u1\"; depends = \"x\"; }", "in a circle"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[2000];
		struct err err = {""};

		snprintf(text, sizeof text, CITY "systems = ( %s );\n", cases[i].systems);
		assert_null(read_text(text, &err));
		if (strstr(err.text, cases[i].words) == NULL)
			fail_msg("%s", err.text);
	}
}

static void limits_are_written_in_words(void **state)
{
	struct limit_rule r;
	struct err err;
	char metric[LIMIT_METRIC];

	(void)state;
	assert_int_equal(limit_parse("rtt ratio above 3 for 10m", metric, &r, &err), 0);
	assert_string_equal(metric, "rtt");
	assert_int_equal(r.of, LIMIT_RATIO);
	assert_int_equal(r.hold, 600 * NS_PER_S);
	assert_true(isnan(r.critical));
	assert_int_equal(limit_parse("used forecast 100 within 4h critical 1h hysteresis 0.2", metric, &r, &err), 0);
	assert_int_equal(r.of, LIMIT_FORECAST);
	assert_true(r.is_floor);
	assert_float_equal(r.bound, 100, 0);
	assert_float_equal(r.warn, 4 * 3600, 0);
	assert_float_equal(r.critical, 3600, 0);
	assert_float_equal(r.hysteresis, 0.2, 1e-12);
	assert_int_equal(limit_parse("cert_days below 30 critical 7", metric, &r, &err), 0);
	assert_true(r.is_floor);
	assert_int_equal(limit_parse("cert_days below 7 critical 30", metric, &r, &err), -1);
	assert_non_null(strstr(err.text, "critical must be below"));
	assert_int_equal(limit_parse("loss critical 50 above 20", metric, &r, &err), -1);
	assert_int_equal(limit_parse("loss above 20 critical 10 for 1m", metric, &r, &err), -1);
	assert_non_null(strstr(err.text, "critical must be above"));
	assert_int_equal(limit_parse("loss above 20 critical 20", metric, &r, &err), 0);
	assert_int_equal(limit_parse("used forecast 100 within 1h critical 4h", metric, &r, &err), -1);
	assert_int_equal(limit_parse("", metric, &r, &err), -1);
	assert_int_equal(limit_parse("a b c d e f g h i j k l m n o p q r", metric, &r, &err), -1);
}

static void see(struct verdict *v, const char *check, const char *vantage, bool is_up)
{
	const struct verdict_subject *subject;

	for (int i = 1; i <= 3; i++)
		verdict_result(v, &(struct verdict_result){.check = check, .vantage = vantage, .part = "", .reason = "",
			.family = FAMILY_V4, .outcome = is_up ? OUTCOME_UP : OUTCOME_DOWN,
			.measured = (100 + i) * NS_PER_S}, (100 + i) * NS_PER_S, &subject);
}

static void a_cut_link_is_found_from_both_of_its_sides(void **state)
{
	struct err err;
	struct inventory *inv = read_text(CITY
		"checks = ( { id = \"n-icmp\"; type = \"icmp\"; subject = \"link/n\"; vantages = ( \"a\", \"b\" ); },\n"
		" { id = \"s-icmp\"; type = \"icmp\"; subject = \"link/s\"; vantages = ( \"a\", \"b\" ); } );\n", &err);
	struct verdict *v = verdict_new();
	struct topology_sight sights[8];
	struct plan p;
	uint32_t found[2];
	size_t count;

	(void)state;
	assert_non_null(inv);
	assert_int_equal(plan_make(inv, &p, &err), 0);
	assert_int_equal(verdict_plan(v, p.checks, p.count, 100 * NS_PER_S, &err), 0);
	assert_int_equal(plan_sights(v, p.topology, NULL, FAMILY_V4, sights, 8), 0);
	see(v, "n-icmp", "a", false); /* from the city: gone */
	see(v, "s-icmp", "a", true);
	see(v, "n-icmp", "b", true); /* from behind the cut: its lower end is there, the rest of the world is not */
	see(v, "s-icmp", "b", false);
	count = plan_sights(v, p.topology, NULL, FAMILY_V4, sights, 8);
	assert_int_equal(count, 4);
	assert_int_equal(topology_locate(p.topology, sights, count, found, 2), 1);
	assert_int_equal(found[0], topology_find(p.topology, "link/n"));
	verdict_free(v);
	plan_fini(&p);
	inventory_free(inv);
}

static void the_example_city_is_planned_whole(void **state)
{
	struct err err;
	struct inventory *inv = inventory_load("conf/city/inventory.d", &err);
	struct verdict *v = verdict_new();
	struct incidents *c = incidents_new(&(struct incident_settings){0});
	struct plan p;

	(void)state;
	if (inv == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(plan_make(inv, &p, &err), 0);
	assert_int_equal(p.count, inv->checks_count);
	assert_int_equal(verdict_plan(v, p.checks, p.count, NS_PER_S, &err), 0);
	incidents_topology(c, plan_take_topology(&p), NS_PER_S);
	for (size_t i = 0; i < inv->checks_count; i++) {
		if (inv->checks[i].anchor)
			continue;
		assert_non_null(verdict_subject(v, inv->checks[i].subject));
		assert_int_equal(incidents_state(c, inv->checks[i].subject), STATE_NONE);
	}
	incidents_free(c);
	verdict_free(v);
	plan_fini(&p);
	inventory_free(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_inventory_becomes_votes_and_needs),
		cmocka_unit_test(a_rule_that_cannot_be_met_is_told_where_it_stands),
		cmocka_unit_test(either_is_checked_as_depends_is),
		cmocka_unit_test(limits_are_written_in_words),
		cmocka_unit_test(a_cut_link_is_found_from_both_of_its_sides),
		cmocka_unit_test(the_example_city_is_planned_whole),
	};
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}

#include "collector/inventory.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/series_rrd.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/wire.h"
#include "probes/catalog.h"
#include "probes/catalog_http.h"
#include "probes/catalog_icmp.h"

/* A small city that is right; the cases below break one thing of it. */
#define UNITS "units = ( { id = \"u1\"; name = \"单位一\"; }, { id = \"u2\"; } );\n"
#define SYSTEMS                                                                                    \
	"systems = ( { id = \"portal\"; unit = \"u1\"; depends = ( \"identity\", \"l-county\" ); },\n" \
	"  { id = \"identity\"; unit = \"u2\"; } );\n"
#define SITES                                                                                      \
	"sites = ( { id = \"city\"; level = \"city\"; },\n"                                        \
	"  { id = \"county\"; level = \"county\"; parent = \"city\"; },\n"                         \
	"  { id = \"town\"; level = \"town\"; parent = \"county\"; } );\n"
#define LINKS                                                                                      \
	"links = ( { id = \"l-county\"; site = \"county\"; ipv4 = \"192.0.2.1\"; "                 \
	"ipv6 = \"2001:db8::1\"; },\n"                                                             \
	"  { id = \"l-town\"; site = \"town\"; ipv6 = \"2001:db8::3\"; } );\n"
#define AGENTS                                                                                     \
	"agents = ( { id = \"a1\"; site = \"city\"; }, { id = \"a2\"; site = \"town\"; } );\n"
#define CHECK_HTTP                                                                                 \
	"{ id = \"portal-http\"; type = \"http\"; subject = \"system/portal\"; "                   \
	"vantages = ( \"a1\", \"a2\" ); interval = \"10s\"; url = \"http://portal.example/\"; "    \
	"ipv4 = \"198.51.100.1\"; }"
#define CHECK_ICMP                                                                                 \
	"{ id = \"county-icmp\"; type = \"icmp\"; subject = \"link/l-county\"; vantages = \"a1\"; count = 5; }"
#define CHECKS "checks = (\n" CHECK_HTTP ",\n" CHECK_ICMP " );\n"
#define BASE UNITS SYSTEMS SITES LINKS AGENTS

static char folder[] = "/tmp/test-inventory-XXXXXX";

static int begin(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static void empty_folder(void)
{
	DIR *d = opendir(folder);
	char path[400];

	assert_non_null(d);
	for (struct dirent *f; (f = readdir(d)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s", folder, f->d_name);
		unlink(path);
	}
	closedir(d);
}

static int end(void **state)
{
	(void)state;
	empty_folder();
	return rmdir(folder);
}

static void add_file(const char *name, const char *text)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct inventory *load_good(void)
{
	struct err e;
	struct inventory *inv = inventory_load(folder, &e);

	if (inv == NULL)
		fail_msg("refused: %s", e.text);
	return inv;
}

static struct inventory *read_good(const char *text)
{
	empty_folder();
	add_file("all.conf", text);
	return load_good();
}

/* %s in words stands for the folder. */
static void assert_folder_refused(const char *words)
{
	char expected[600];
	struct err e;
	struct inventory *inv = inventory_load(folder, &e);

	if (inv != NULL)
		fail_msg("taken, but expected: %s", words);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(expected, sizeof expected, words, folder, folder);
#pragma GCC diagnostic pop
	assert_string_equal(e.text, expected);
}

static void assert_refused(const char *text, const char *words)
{
	empty_folder();
	add_file("all.conf", text);
	assert_folder_refused(words);
}

/* ---- what is right */

static void records_are_found_and_joined(void **state)
{
	struct inventory *inv = read_good(BASE CHECKS);
	const struct inventory_system *portal = inventory_system(inv, "portal");
	const struct inventory_site *town = inventory_site(inv, "town");
	const struct inventory_check *c = inventory_check(inv, "portal-http");

	(void)state;
	assert_int_equal(inv->units_count, 2);
	assert_int_equal(inv->checks_count, 2);
	assert_ptr_equal(portal->of_unit, inventory_unit(inv, "u1"));
	assert_int_equal(portal->depends.count, 2);
	assert_ptr_equal(town->of_parent, inventory_site(inv, "county"));
	assert_ptr_equal(town->up, inventory_link(inv, "l-town"));
	assert_null(inventory_site(inv, "city")->of_parent);
	assert_null(inventory_site(inv, "city")->up);
	assert_int_equal(town->level, LEVEL_TOWN);
	assert_ptr_equal(inventory_link(inv, "l-town")->of_site, town);
	assert_ptr_equal(inventory_agent(inv, "a2")->of_site, town);
	assert_ptr_equal(c->of_type, &catalog_http);
	assert_string_equal(((const struct http_options *)c->of_options)->ipv4, "198.51.100.1");
	assert_int_equal(c->subject_kind, SUBJECT_SYSTEM);
	assert_string_equal(c->subject_id, "portal");
	assert_null(inventory_check(inv, "nothing"));
	assert_null(inventory_unit(inv, "portal"));
	inventory_free(inv);
}

static void all_files_of_a_folder_are_one_inventory(void **state)
{
	struct inventory *inv;

	(void)state;
	empty_folder();
	add_file("2.conf", UNITS CHECKS);
	add_file("1.conf", SYSTEMS LINKS);
	add_file("3.conf", SITES AGENTS "units = ( { id = \"u3\"; } );");
	add_file("4.conf.old", "not read");
	inv = load_good();
	assert_int_equal(inv->units_count, 3);
	assert_string_equal(inv->units[2].id, "u3");
	inventory_free(inv);
}

static void a_check_of_a_link_goes_to_its_end(void **state)
{
	struct inventory *inv = read_good(BASE "checks = ( " CHECK_ICMP ",\n"
		"{ id = \"t\"; type = \"icmp\"; subject = \"link/l-town\"; vantages = \"a1\"; } );");
	const struct icmp_options *both = inventory_check(inv, "county-icmp")->of_options;
	const struct icmp_options *one = inventory_check(inv, "t")->of_options;

	(void)state;
	assert_string_equal(both->host, "l-county");
	assert_string_equal(both->ipv4, "192.0.2.1");
	assert_string_equal(both->ipv6, "2001:db8::1");
	assert_int_equal(both->count, 5);
	assert_string_equal(one->host, "2001:db8::3");
	assert_string_equal(one->ipv4, "");
	inventory_free(inv);
}

static void a_timeout_is_ten_seconds_or_half_the_interval(void **state)
{
	struct inventory *inv = read_good(BASE CHECKS);

	(void)state;
	assert_int_equal(inventory_check(inv, "portal-http")->timeout, 5 * NS_PER_S);
	assert_int_equal(inventory_check(inv, "county-icmp")->interval, 60 * NS_PER_S);
	assert_int_equal(inventory_check(inv, "county-icmp")->timeout, 10 * NS_PER_S);
	inventory_free(inv);
}

/* ---- references */

static void references_that_lead_nowhere_are_told(void **state)
{
	(void)state;
	assert_refused("systems = ( { id = \"s\"; unit = \"zfb\"; } );\nunits = ( { id = \"zfbb\"; } );",
		"%s/all.conf:1: unit \"zfb\" is not in the inventory: did you mean \"zfbb\"?");
	assert_refused("systems = ( { id = \"s\"; unit = \"zfb\"; } );",
		"%s/all.conf:1: unit \"zfb\" is not in the inventory: add it, or write one that is");
	assert_refused(UNITS "systems = ( { id = \"s\"; unit = \"u1\"; depends = \"nothing\"; } );",
		"%s/all.conf:2: depends \"nothing\" is not in the inventory: add it, or write one that is");
	assert_refused("sites = ( { id = \"a\"; level = \"town\"; parent = \"county-9\"; },\n"
		"{ id = \"county-1\"; level = \"county\"; } );",
		"%s/all.conf:1: parent \"county-9\" is not in the inventory: did you mean \"county-1\"?");
	assert_refused(SITES "\nlinks = ( { id = \"l\"; site = \"twon\"; } );",
		"%s/all.conf:5: site \"twon\" is not in the inventory: did you mean \"town\"?");
	assert_refused(SITES "agents = ( { id = \"a\"; site = \"twon\"; } );",
		"%s/all.conf:4: site \"twon\" is not in the inventory: did you mean \"town\"?");
}

static void a_check_must_lead_somewhere_too(void **state)
{
	(void)state;
	assert_refused(AGENTS SITES "checks = ( { id = \"c\"; type = \"icmp\"; subject = \"host/a1\"; "
		"vantages = \"agent\"; host = \"x\"; } );",
		"%s/all.conf:5: vantage \"agent\" is not in the inventory: add it, or write one that is");
	assert_refused(AGENTS SITES "checks = ( { id = \"c\"; type = \"icmp\"; subject = \"link/a1\"; "
		"vantages = \"a1\"; host = \"x\"; } );",
		"%s/all.conf:5: subject link \"a1\" is not in the inventory: add it, or write one that is");
	assert_refused(AGENTS SITES "checks = ( { id = \"c\"; type = \"icmp\"; subject = \"a1\"; "
		"vantages = \"a1\"; host = \"x\"; } );",
		"%s/all.conf:5: subject \"a1\" is not one: write \"system/ID\", \"link/ID\", \"site/ID\" or "
		"\"host/AGENT\"");
	assert_refused(AGENTS SITES "checks = ( { id = \"c\"; type = \"ping\"; subject = \"host/a1\"; "
		"vantages = \"a1\"; host = \"x\"; } );",
		"%s/all.conf:5: type \"ping\" is not a probe type: `xunjian-agent probe --help` lists them");
	assert_refused(AGENTS SITES "checks = ( { id = \"c\"; type = \"icmp\"; subject = \"host/a1\"; "
		"host = \"x\"; } );",
		"%s/all.conf:5: vantages must be given: ids of the agents that run it");
	assert_refused(AGENTS SITES "checks = ( { id = \"c\"; type = \"icmp\"; subject = \"host/a1\"; "
		"vantages = ( \"a1\", \"a1\" ); host = \"x\"; } );",
		"%s/all.conf:5: vantages name \"a1\" twice: remove one of the two");
}

static void duplicates_name_both_places(void **state)
{
	(void)state;
	empty_folder();
	add_file("1.conf", "\nunits = ( { id = \"u1\"; } );");
	add_file("2.conf", UNITS);
	assert_folder_refused("%s/2.conf:1: unit \"u1\" stands already in %s/1.conf:2: remove one of the two "
		"or give it another id");
	assert_refused(BASE "checks = ( " CHECK_ICMP ",\n" CHECK_ICMP ");", "%s/all.conf:11: check "
		"\"county-icmp\" stands already in %s/all.conf:10: remove one of the two or give it another id");
	assert_refused("sites = ( { id = \"same\"; level = \"city\"; } );\n"
		"agents = ( { id = \"same\"; site = \"same\"; }, { id = \"same\"; site = \"same\"; } );",
		"%s/all.conf:2: agent \"same\" stands already in %s/all.conf:2: remove one of the two or give it "
		"another id");
}

static void systems_do_not_depend_in_circles(void **state)
{
	(void)state;
	assert_refused(UNITS "systems = ( { id = \"z\"; unit = \"u1\"; depends = \"a\"; },\n"
		"{ id = \"a\"; unit = \"u1\"; depends = \"b\"; },\n"
		"{ id = \"b\"; unit = \"u1\"; depends = ( \"d\", \"c\" ); },\n"
		"{ id = \"c\"; unit = \"u1\"; depends = \"a\"; },\n"
		"{ id = \"d\"; unit = \"u1\"; } );",
		"%s/all.conf:3: systems depend on each other in a circle, remove one of: a -> b -> c -> a");
	assert_refused(UNITS "systems = ( { id = \"z\"; unit = \"u1\"; depends = \"z\"; } );",
		"%s/all.conf:2: system \"z\" depends on itself: remove it from depends");
	assert_refused(UNITS "systems = ( { id = \"z\"; unit = \"u1\"; },\n"
		"{ id = \"y\"; unit = \"u1\"; depends = ( \"z\", \"z\" ); } );",
		"%s/all.conf:3: depends names \"z\" twice: remove one of the two");
	inventory_free(read_good(UNITS "systems = ( { id = \"a\"; unit = \"u1\"; depends = ( \"b\", \"c\" ); },\n"
		"{ id = \"b\"; unit = \"u1\"; depends = \"d\"; }, { id = \"c\"; unit = \"u1\"; depends = \"d\"; },\n"
		"{ id = \"d\"; unit = \"u1\"; } );"));
}

static void a_dependence_is_a_system_or_a_link_not_both(void **state)
{
	(void)state;
	assert_refused(UNITS SITES "links = ( { id = \"x\"; site = \"town\"; } );\n"
		"systems = ( { id = \"x\"; unit = \"u1\"; }, { id = \"y\"; unit = \"u1\"; depends = \"x\"; } );",
		"%s/all.conf:6: depends \"x\" is a system and a link: give one of the two another id");
}

static void sites_are_one_tree(void **state)
{
	(void)state;
	assert_refused(SITES "sites2 = 1;", "%s/all.conf:4: unknown setting \"sites2\": did you mean \"sites\"?");
	assert_refused("sites = ( { id = \"a\"; level = \"city\"; },\n { id = \"b\"; level = \"county\"; } );",
		"%s/all.conf:2: site \"b\" has no parent, and \"a\" in %s/all.conf:1 has none: a tree has one "
		"root, write the parent of the other");
	assert_refused("sites = ( { id = \"r\"; level = \"city\"; },\n"
		"{ id = \"a\"; level = \"county\"; parent = \"c\"; },\n"
		"{ id = \"b\"; level = \"town\"; parent = \"a\"; },\n"
		"{ id = \"c\"; level = \"village\"; parent = \"b\"; } );",
		"%s/all.conf:2: sites are each other's parents in a circle, write another parent for one of: "
		"a -> c -> b -> a");
	assert_refused("sites = ( { id = \"a\"; level = \"city\"; parent = \"a\"; } );",
		"%s/all.conf:1: sites are each other's parents in a circle, write another parent for one of: "
		"a -> a");
	assert_refused("sites = ( { id = \"a\"; level = \"county\"; },\n"
		"{ id = \"b\"; level = \"county\"; parent = \"a\"; } );",
		"%s/all.conf:2: site \"b\" is a county below \"a\", which is a county: write another level or "
		"another parent");
}

static void a_site_has_one_link_up(void **state)
{
	(void)state;
	assert_refused(SITES "links = ( { id = \"l\"; site = \"town\"; },\n{ id = \"m\"; site = \"town\"; } );",
		"%s/all.conf:5: site \"town\" has link \"l\" in %s/all.conf:4 already: a site has one link to its "
		"parent");
	assert_refused(SITES "links = ( { id = \"l\"; site = \"city\"; } );",
		"%s/all.conf:4: site \"city\" is the root: no link leads up from it");
	assert_refused(SITES "links = ( { id = \"l\"; site = \"town\"; ipv4 = \"2001:db8::1\"; } );",
		"%s/all.conf:4: ipv4: \"2001:db8::1\" is not an IPv4 address: write one as in \"192.0.2.1\"");
	assert_refused(SITES "links = ( { id = \"l\"; site = \"town\"; ipv6 = \"2001:db8::1\"; },\n"
		"{ id = \"m\"; site = \"county\"; ipv6 = \"2001:DB8:0::1\"; } );",
		"%s/all.conf:5: 2001:DB8:0::1 is the end of link \"l\" in %s/all.conf:4 already: each link has an "
		"address of its own");
}

/* ---- checks */

#define CHECK_OF(what) BASE "checks = ( { id = \"c\"; type = \"icmp\"; vantages = \"a1\"; " what " } );"

static void a_run_ends_before_the_next_begins(void **state)
{
	(void)state;
	assert_refused(CHECK_OF("subject = \"host/a1\"; host = \"x\"; interval = \"10s\"; timeout = \"10s\";"),
		"%s/all.conf:10: timeout must be less than the interval of 10s: a run ends before the next one "
		"begins");
	assert_refused(CHECK_OF("subject = \"host/a1\"; host = \"x\"; interval = \"1500ms\";"),
		"%s/all.conf:10: interval must be of whole seconds");
	assert_refused(CHECK_OF("subject = \"host/a1\"; host = \"x\"; timeout = \"1500us\";"),
		"%s/all.conf:10: timeout must be of whole milliseconds");
	assert_refused(BASE "checks = ( { id = \"c\"; type = \"exec\"; vantages = \"a1\"; subject = \"host/a1\"; plugin = \"x\"; "
		"interval = \"20m\"; timeout = \"301s\"; } );", "%s/all.conf:10: timeout is longer than a run of type exec may "
		"take: write \"5m\" or less");
}

static void options_are_those_of_the_type(void **state)
{
	(void)state;
	assert_refused(CHECK_OF("subject = \"host/a1\"; host = \"x\";\n\ncuont = 3;"),
		"%s/all.conf:12: unknown setting \"cuont\": did you mean \"count\"?");
	assert_refused(CHECK_OF("subject = \"host/a1\"; host = \"x\";\nintervall = \"3s\";"),
		"%s/all.conf:11: unknown setting \"intervall\": did you mean \"interval\"?");
	assert_refused(CHECK_OF("subject = \"host/a1\"; host = \"x\";\ncount = 0;"),
		"%s/all.conf:11: count: 0 is outside 1 to 1000");
	assert_refused(CHECK_OF("subject = \"host/a1\"; host = \"http://x\";"),
		"%s/all.conf:10: host: \"http://x\" is not a host: write a name or an address alone");
	assert_refused(CHECK_OF("subject = \"host/a1\"; host = \"政务.cn\";"),
		"%s/all.conf:10: host: \"政务.cn\" has other than ASCII letters: write it in its xn-- form");
#define URL_OF(url) BASE "checks = ( { id = \"c\"; type = \"http\"; vantages = \"a1\"; subject = \"host/a1\"; url = \"" url "\"; } );"
	assert_refused(URL_OF("https://政务.cn/"), "%s/all.conf:10: url: \"政务.cn\" has other than ASCII letters: write it in its xn-- form");
	assert_refused(URL_OF("http://x:99999/"), "%s/all.conf:10: url: \"99999\" is no port: 1 to 65535");
	assert_refused(URL_OF("http://[2001:db8::1]:0/a:b"), "%s/all.conf:10: url: \"0\" is no port: 1 to 65535");
	assert_refused(URL_OF("http://x:80a?b"), "%s/all.conf:10: url: \"80a\" is no port: 1 to 65535");
	assert_refused(CHECK_OF("subject = \"host/a1\";"),
		"%s/all.conf:10: host must be given: name or address to send echo requests to");
	assert_refused(CHECK_OF("subject = \"link/l-county\"; ipv4 = \"192.0.2.1\";"),
		"%s/all.conf:10: host must be given beside ipv4 or ipv6; without all three, the check goes to the "
		"end of link \"l-county\"");
	assert_refused(UNITS SITES AGENTS "links = ( { id = \"l\"; site = \"town\"; } );\n"
		"checks = ( { id = \"c\"; type = \"icmp\"; subject = \"link/l\"; vantages = \"a1\"; } );",
		"%s/all.conf:7: host must be given, as link \"l\" has no address");
}

static void a_family_that_cannot_be_is_told(void **state)
{
	(void)state;
	assert_refused(CHECK_OF("subject = \"link/l-town\"; families = \"ipv4\";"),
		"%s/all.conf:10: families is IPv4 alone, but the target is an IPv6 address: nothing would be "
		"measured");
	assert_refused(BASE "checks = ( { id = \"c\"; type = \"http\"; vantages = \"a1\"; families = \"ipv6\"; "
		"subject = \"host/a1\"; url = \"http://192.0.2.1:80/x\"; } );",
		"%s/all.conf:10: families is IPv6 alone, but the target is an IPv4 address: nothing would be "
		"measured");
	inventory_free(read_good(CHECK_OF("subject = \"link/l-town\"; families = \"ipv6\";")));
	inventory_free(read_good(CHECK_OF("subject = \"link/l-county\"; families = \"ipv4\";")));
}

static void no_type_has_an_option_that_a_check_has_itself(void **state)
{
	static const char *const own[] = {"id", "type", "subject", "vantages", "interval", "timeout",
		"families", "priority", "was"};

	(void)state;
	for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++) {
		for (const struct config_field *f = (*t)->schema->fields; f->name != NULL; f++) {
			for (size_t i = 0; i < sizeof own / sizeof *own; i++)
				assert_string_not_equal(f->name, own[i]);
		}
	}
}

static void an_old_name_is_inherited_once(void **state)
{
	(void)state;
	assert_refused(BASE "checks = ( " CHECK_ICMP ",\n{ id = \"n\"; was = \"county-icmp\"; type = \"icmp\"; "
		"subject = \"host/a1\"; vantages = \"a1\"; host = \"x\"; } );",
		"%s/all.conf:11: was = \"county-icmp\" on \"n\": that id is still in the inventory; remove the old "
		"one or this line");
	assert_refused(SITES "agents = ( { id = \"a\"; site = \"city\"; was = \"old\"; },\n"
		"{ id = \"b\"; site = \"city\"; was = \"old\"; } );",
		"%s/all.conf:5: was = \"old\" on \"b\": the one in %s/all.conf:4 has that history already");
	assert_refused(SITES "agents = ( { id = \"a\"; site = \"city\"; was = \"a\"; } );",
		"%s/all.conf:4: was = \"a\" on \"a\": that id is still in the inventory; remove the old one or "
		"this line");
}

static void a_folder_without_files_is_refused(void **state)
{
	struct err e;

	(void)state;
	empty_folder();
	assert_folder_refused("%s: no *.conf files: an inventory needs at least one");
	assert_null(inventory_load("/tmp/no-such-folder", &e));
	assert_string_equal(e.text, "/tmp/no-such-folder: No such file or directory");
	inventory_free(NULL);
}

/* ---- generation */

static uint64_t generation_of(const char *text)
{
	struct inventory *inv = read_good(text);
	uint64_t g = inv->generation;

	inventory_free(inv);
	assert_int_not_equal(g, 0);
	return g;
}

static void the_generation_knows_no_order_file_or_comment(void **state)
{
	uint64_t g = generation_of(BASE CHECKS);
	struct inventory *inv;

	(void)state;
	assert_int_equal(generation_of("# words\n" AGENTS LINKS "/* more */" SITES SYSTEMS UNITS
		"checks = ( " CHECK_ICMP "," CHECK_HTTP " );"), g);
	assert_int_equal(generation_of(BASE "checks = ( " CHECK_ICMP ","
		"{ ipv4 = \"198.51.100.1\"; url = \"http://portal.example/\"; interval = \"10s\"; "
		"id = \"portal-http\"; type = \"http\"; subject = \"system/portal\"; vantages = ( \"a2\", \"a1\" ); "
		"timeout = \"5s\"; families = \"both\"; } );"), g);
	empty_folder();
	add_file("9.conf", UNITS SYSTEMS);
	add_file("1.conf", CHECKS AGENTS LINKS SITES);
	inv = load_good();
	assert_int_equal(inv->generation, g);
	inventory_free(inv);
}

static void every_word_moves_the_generation(void **state)
{
	static const char *const others[] = {
		UNITS SYSTEMS SITES LINKS AGENTS,
		"units = ( { id = \"u1\"; name = \"单位二\"; }, { id = \"u2\"; } );\n" SYSTEMS SITES LINKS AGENTS CHECKS,
		"units = ( { id = \"u1\"; name = \"单位一\"; }, { id = \"u2\"; name_en = \"x\"; } );\n" SYSTEMS SITES
			LINKS AGENTS CHECKS,
		UNITS "systems = ( { id = \"portal\"; unit = \"u1\"; depends = ( \"identity\" ); },\n"
			"  { id = \"identity\"; unit = \"u2\"; } );\n" SITES LINKS AGENTS CHECKS,
		UNITS "systems = ( { id = \"portal\"; unit = \"u2\"; depends = ( \"identity\", \"l-county\" ); },\n"
			"  { id = \"identity\"; unit = \"u2\"; } );\n" SITES LINKS AGENTS CHECKS,
		UNITS SYSTEMS SITES LINKS "agents = ( { id = \"a1\"; site = \"city\"; was = \"a0\"; }, "
			"{ id = \"a2\"; site = \"town\"; } );\n" CHECKS,
		BASE "checks = (\n" CHECK_HTTP ", { id = \"county-icmp\"; type = \"icmp\"; "
			"subject = \"link/l-county\"; vantages = \"a2\"; count = 5; } );\n",
		BASE "checks = (\n" CHECK_HTTP ", { id = \"county-icmp\"; type = \"icmp\"; "
			"subject = \"link/l-county\"; vantages = \"a1\"; count = 6; } );\n",
		BASE "checks = (\n" CHECK_HTTP ", { id = \"county-icmp\"; type = \"icmp\"; priority = true; "
			"subject = \"link/l-county\"; vantages = \"a1\"; count = 5; } );\n",
		BASE "checks = (\n" CHECK_HTTP ", { id = \"county-icmp\"; type = \"icmp\"; families = \"ipv6\"; "
			"subject = \"link/l-county\"; vantages = \"a1\"; count = 5; } );\n",
		BASE "checks = (\n" CHECK_HTTP ", { id = \"county-icmp\"; type = \"icmp\"; timeout = \"9s\"; "
			"subject = \"link/l-county\"; vantages = \"a1\"; count = 5; } );\n",
	};
	uint64_t seen[1 + sizeof others / sizeof *others] = {generation_of(BASE CHECKS)};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		seen[i + 1] = generation_of(others[i]);
		for (size_t j = 0; j <= i; j++)
			assert_int_not_equal(seen[i + 1], seen[j]);
	}
}

/* ---- what agents get */

static struct wire_assignments *assignments_of(const struct inventory *inv, const char *agent)
{
	struct buf b = {0};
	uint64_t generation;
	struct wire_assignments *w;
	struct err e;

	assert_int_equal(inventory_assignments(inv, agent, &b, &generation), 0);
	w = wire_assignments_decode(b.data, b.len, &e);
	if (w == NULL)
		fail_msg("not decodable: %s", e.text);
	assert_int_equal(w->generation, generation);
	assert_string_equal(w->agent, agent);
	buf_fini(&b);
	return w;
}

static void an_agent_gets_the_checks_that_name_it(void **state)
{
	struct inventory *inv = read_good(BASE CHECKS);
	struct wire_assignments *w = assignments_of(inv, "a1");
	struct buf b = {0};
	uint64_t generation;

	(void)state;
	assert_int_equal(w->count, 2);
	assert_string_equal(w->checks[0].id, "county-icmp");
	assert_int_equal(w->checks[0].interval_s, 60);
	assert_int_equal(w->checks[0].timeout_ms, 10000);
	assert_int_equal(w->checks[0].families, 3);
	assert_int_equal(w->checks[0].options_count, 4);
	assert_string_equal(w->checks[0].options[0].key, "count");
	assert_string_equal(w->checks[0].options[0].value, "5");
	assert_string_equal(w->checks[0].options[3].value, "2001:db8::1");
	assert_string_equal(w->checks[1].id, "portal-http");
	wire_assignments_free(w);
	w = assignments_of(inv, "a2");
	assert_int_equal(w->count, 1);
	wire_assignments_free(w);
	assert_int_equal(inventory_assignments(inv, "a3", &b, &generation), -1);
	assert_int_equal(b.len, 0);
	inventory_free(inv);
}

static uint64_t agent_generation(const char *text, const char *agent)
{
	struct inventory *inv = read_good(text);
	struct wire_assignments *w = assignments_of(inv, agent);
	uint64_t g = w->generation;

	wire_assignments_free(w);
	inventory_free(inv);
	return g;
}

static void a_change_elsewhere_does_not_reach_an_agent(void **state)
{
	static const char changed[] = BASE "checks = (\n" CHECK_HTTP ", { id = \"county-icmp\"; "
		"type = \"icmp\"; subject = \"link/l-county\"; vantages = \"a1\"; count = 6; } );\n";

	(void)state;
	assert_int_not_equal(agent_generation(BASE CHECKS, "a1"), agent_generation(changed, "a1"));
	assert_int_equal(agent_generation(BASE CHECKS, "a2"), agent_generation(changed, "a2"));
	assert_int_not_equal(agent_generation(BASE CHECKS, "a1"), agent_generation(BASE CHECKS, "a2"));
}

static void only_vantages_may_report(void **state)
{
	struct inventory *inv = read_good(BASE CHECKS);

	(void)state;
	assert_true(inventory_may_report(inv, "a1", "county-icmp"));
	assert_false(inventory_may_report(inv, "a2", "county-icmp"));
	assert_true(inventory_may_report(inv, "a2", "portal-http"));
	assert_false(inventory_may_report(inv, "a1", "nothing"));
	assert_false(inventory_may_report(inv, "a3", "portal-http"));
	inventory_free(inv);
}

static void an_agent_with_too_much_to_do_is_told(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_add_text(&b, BASE "checks = (\n");
	for (int i = 0; i <= WIRE_CHECKS_MAX; i++)
		buf_add_format(&b, "%s{ id = \"c%d\"; type = \"icmp\"; subject = \"host/a1\"; vantages = \"a2\"; "
			"host = \"x\"; }", i > 0 ? ",\n" : "", i);
	buf_add_text(&b, " );");
	assert_refused(buf_text(&b), "%s/all.conf:9: agent \"a2\" has 20001 checks, more than 20000: give "
		"some to another");
	buf_fini(&b);
}

/* ---- ten cities */

#define TEN_SITES 15000
#define TEN_CHECKS 20000

static void write_ten_cities(void)
{
	struct buf b = {0};

	buf_add_text(&b, "units = (\n");
	for (int i = 0; i < 330; i++)
		buf_add_format(&b, "%s{ id = \"u%d\"; name = \"单位%d\"; }", i > 0 ? ",\n" : "", i, i);
	buf_add_text(&b, " );\nsystems = (\n");
	for (int i = 0; i < 670; i++)
		buf_add_format(&b, "%s{ id = \"s%d\"; unit = \"u%d\"; name = \"系统%d\"; depends = ( %s%d\" ); }",
			i > 0 ? ",\n" : "", i, i / 3, i, i > 0 ? "\"s" : "\"l", i > 0 ? i - 1 : 0);
	buf_add_text(&b, " );\nsites = (\n{ id = \"p-1\"; level = \"city\"; }");
	for (int i = 0; i < TEN_SITES; i++)
		buf_add_format(&b, ",\n{ id = \"p%d\"; level = \"%s\"; parent = \"p%d\"; name = \"站点%d\"; }", i,
			i < 70 ? "county" : i < 1070 ? "town" : "village",
			i < 70 ? -1 : i < 1070 ? i % 70 : 70 + i % 1000, i);
	buf_add_text(&b, " );\nlinks = (\n");
	for (int i = 0; i < TEN_SITES; i++)
		buf_add_format(&b, "%s{ id = \"l%d\"; site = \"p%d\"; ipv4 = \"10.%d.%d.1\"; "
			"ipv6 = \"2001:db8::%x:1\"; }", i > 0 ? ",\n" : "", i, i, i / 256, i % 256, i);
	buf_add_text(&b, " );\nagents = (\n");
	for (int i = 0; i < 30; i++)
		buf_add_format(&b, "%s{ id = \"a%d\"; site = \"p%d\"; }", i > 0 ? ",\n" : "", i, i);
	buf_add_text(&b, " );\nchecks = (\n");
	for (int i = 0; i < TEN_CHECKS; i++) {
		if (i < TEN_SITES)
			buf_add_format(&b, "%s{ id = \"c%d\"; type = \"icmp\"; subject = \"link/l%d\"; "
				"vantages = ( \"a%d\" ); }", i > 0 ? ",\n" : "", i, i, i % 30);
		else
			buf_add_format(&b, ",\n{ id = \"c%d\"; type = \"http\"; subject = \"system/s%d\"; "
				"vantages = ( \"a%d\", \"a%d\" ); url = \"https://s%d.example/\"; "
				"ipv4 = \"198.51.100.1\"; ipv6 = \"2001:db8::1\"; expect_body = \"好\"; }", i, i % 670,
				i % 30, (i + 1) % 30, i % 670);
	}
	buf_add_text(&b, " );\n");
	empty_folder();
	add_file("all.conf", buf_text(&b));
	buf_fini(&b);
}

static void ten_cities_are_loaded(void **state)
{
	struct inventory *inv;
	struct wire_assignments *w;
	size_t count = 0;
	clock_t start;

	(void)state;
	write_ten_cities();
	start = clock();
	inv = load_good();
	print_message("%zu links, %zu checks loaded in %ld ms of processor time\n", inv->links_count,
		inv->checks_count, (clock() - start) * 1000 / CLOCKS_PER_SEC);
	assert_int_equal(inv->checks_count, TEN_CHECKS);
	assert_int_equal(inv->links_count, TEN_SITES);
	start = clock();
	for (size_t i = 0; i < inv->agents_count; i++) {
		w = assignments_of(inv, inv->agents[i].id);
		count += w->count;
		wire_assignments_free(w);
	}
	print_message("assignments of %zu agents made and read back in %ld ms\n", inv->agents_count,
		(clock() - start) * 1000 / CLOCKS_PER_SEC);
	assert_int_equal(count, TEN_SITES + 2 * (TEN_CHECKS - TEN_SITES));
	inventory_free(inv);
}

/* ---- plan */

static const struct settings_archive plan_archives[] = {
	{.step = 0, .keep = 7200 * NS_PER_S},
	{.step = 300 * NS_PER_S, .keep = 86400 * NS_PER_S},
};

/* What the plan prints, freed by the caller; status and e as it gives them. */
static char *plan(const char *before, const char *after, int64_t max_bytes, int *status, struct err *e)
{
	const struct settings_series series = {.max_bytes = max_bytes,
		.archives = {2, (void *)(uintptr_t)plan_archives}};
	struct inventory *old = read_good(before), *now = read_good(after);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	*status = inventory_plan(old, now, &series, out, e);
	fclose(out);
	inventory_free(old);
	inventory_free(now);
	return text;
}

static void assert_planned(const char *before, const char *after, const char *words)
{
	struct err e;
	int status;
	char *text = plan(before, after, INT64_C(1) << 40, &status, &e);

	assert_int_equal(status, 0);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, text);
	free(text);
}

static void a_plan_names_what_is_added_removed_changed_and_renamed(void **state)
{
	static const char other[] = "{ id = \"county-icmp\"; type = \"icmp\"; subject = \"link/l-county\"; "
		"vantages = ( \"a2\" ); count = 6; interval = \"30s\"; timeout = \"10s\"; size = 100; }";
	char changed[4000];

	(void)state;
	snprintf(changed, sizeof changed, "%schecks = ( %s, %s );", BASE, CHECK_HTTP, other);
	assert_planned(BASE CHECKS, BASE CHECKS, "checks: 2 -> 2 (0 added, 0 removed, 0 changed, 0 renamed)\n");
	assert_planned(BASE CHECKS, BASE, "checks: 2 -> 0 (0 added, 2 removed, 0 changed, 0 renamed)\n"
		"  - check portal-http\n  - check county-icmp\n");
	assert_planned(BASE, BASE CHECKS, "checks: 0 -> 2 (2 added, 0 removed, 0 changed, 0 renamed)\n"
		"  + check portal-http\n  + check county-icmp\n");
	assert_planned(BASE CHECKS, changed, "  ~ check county-icmp: vantages +a2 -a1; interval 1m -> 30s; "
		"count \"5\" -> \"6\"; size \"100\" added\n");
	assert_planned(BASE "checks = ( " CHECK_ICMP " );", BASE "checks = ( { id = \"new\"; was = "
		"\"county-icmp\"; type = \"icmp\"; subject = \"link/l-county\"; vantages = \"a1\"; count = 5; } );",
		"checks: 1 -> 1 (0 added, 0 removed, 0 changed, 1 renamed)\n  > check new, was county-icmp\n");
	assert_planned(BASE, UNITS "systems = ( { id = \"portal\"; unit = \"u2\"; depends = ( \"l-county\", "
		"\"identity\" ); }, { id = \"identity\"; unit = \"u2\"; } );" SITES LINKS AGENTS,
		"systems: 2 -> 2 (0 added, 0 removed, 1 changed, 0 renamed)\n  ~ system portal: unit \"u1\" -> "
		"\"u2\"\n");
}

static int64_t planned_size(size_t columns, uint32_t interval_s)
{
	return (series_rrd_size(columns, interval_s, &(struct config_list){2, (void *)(uintptr_t)plan_archives}) + 4095) / 4096 * 4096;
}

static void a_plan_counts_files_and_refuses_what_does_not_fit(void **state)
{
	/* portal-http at 10 s: 2 vantages, 10 columns of IPv4, 15 of IPv6, which has ratios; county-icmp at 60 s: 1, 13 and 14. */
	int64_t all = 2 * planned_size(10, 10) + 2 * planned_size(15, 10) + planned_size(13, 60) + planned_size(14, 60);
	struct err e;
	int status;
	char *text;

	(void)state;
	assert_planned(BASE, BASE CHECKS, "series: 0 -> 6 files");
	text = plan(BASE, BASE CHECKS, all, &status, &e);
	assert_int_equal(status, 0);
	free(text);
	text = plan(BASE, BASE CHECKS, all - 1, &status, &e);
	assert_int_equal(status, -1);
	assert_non_null(strstr(e.text, "more than series.max_bytes"));
	assert_non_null(strstr(text, "series: 0 -> 6 files"));
	free(text);
}

/* ---- conf/ */

static size_t sites_of(const struct inventory *inv, enum inventory_level level)
{
	size_t n = 0;

	for (size_t i = 0; i < inv->sites_count; i++)
		n += inv->sites[i].level == (int)level;
	return n;
}

static void the_example_city_is_as_it_is_told(void **state)
{
	struct err e;
	struct inventory *inv = inventory_load("conf/city/inventory.d", &e);

	(void)state;
	if (inv == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(inv->units_count, 33);
	assert_int_equal(inv->systems_count, 67);
	assert_int_equal(sites_of(inv, LEVEL_CITY), 1);
	assert_int_equal(sites_of(inv, LEVEL_COUNTY), 7);
	assert_int_equal(sites_of(inv, LEVEL_TOWN), 100);
	assert_int_equal(sites_of(inv, LEVEL_VILLAGE), 1400);
	assert_int_equal(inv->links_count, 1507);
	inventory_free(inv);
}

static bool is_checked(const struct inventory *inv, const char *type, const char *system)
{
	for (size_t i = 0; i < inv->checks_count; i++) {
		const struct inventory_check *c = &inv->checks[i];

		if (strcmp(c->type, type) == 0 && c->subject_kind == SUBJECT_SYSTEM &&
			strcmp(c->subject_id, system) == 0 && c->families == FAMILIES_BOTH)
			return true;
	}
	return false;
}

static void every_unit_of_the_city_has_a_system_and_every_system_a_check(void **state)
{
	struct err e;
	struct inventory *inv = inventory_load("conf/city/inventory.d", &e);

	(void)state;
	assert_non_null(inv);
	for (size_t i = 0; i < inv->systems_count; i++) {
		assert_true(is_checked(inv, "http", inv->systems[i].id));
		assert_true(inv->systems[i].name[0] != '\0' && inv->systems[i].name_en[0] != '\0');
	}
	for (size_t i = 0; i < inv->units_count; i++) {
		size_t owned = 0;

		for (size_t j = 0; j < inv->systems_count; j++)
			owned += inv->systems[j].of_unit == &inv->units[i];
		assert_true(owned > 0);
	}
	inventory_free(inv);
}

static void the_sample_is_good_and_shows_each_type(void **state)
{
	struct err e;
	struct inventory *inv = inventory_load("conf/inventory.d", &e);
	size_t seen = 0, types = 0;

	(void)state;
	if (inv == NULL)
		fail_msg("%s", e.text);
	for (; catalog_types[types] != NULL; types++) {
		for (size_t i = 0; i < inv->checks_count; i++) {
			if (inv->checks[i].of_type == catalog_types[types]) {
				seen++;
				break;
			}
		}
	}
	assert_int_equal(seen, types);
	inventory_free(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_found_and_joined),
		cmocka_unit_test(all_files_of_a_folder_are_one_inventory),
		cmocka_unit_test(a_check_of_a_link_goes_to_its_end),
		cmocka_unit_test(a_timeout_is_ten_seconds_or_half_the_interval),
		cmocka_unit_test(references_that_lead_nowhere_are_told),
		cmocka_unit_test(a_check_must_lead_somewhere_too),
		cmocka_unit_test(duplicates_name_both_places),
		cmocka_unit_test(systems_do_not_depend_in_circles),
		cmocka_unit_test(a_dependence_is_a_system_or_a_link_not_both),
		cmocka_unit_test(sites_are_one_tree),
		cmocka_unit_test(a_site_has_one_link_up),
		cmocka_unit_test(a_run_ends_before_the_next_begins),
		cmocka_unit_test(options_are_those_of_the_type),
		cmocka_unit_test(a_family_that_cannot_be_is_told),
		cmocka_unit_test(no_type_has_an_option_that_a_check_has_itself),
		cmocka_unit_test(an_old_name_is_inherited_once),
		cmocka_unit_test(a_folder_without_files_is_refused),
		cmocka_unit_test(the_generation_knows_no_order_file_or_comment),
		cmocka_unit_test(every_word_moves_the_generation),
		cmocka_unit_test(an_agent_gets_the_checks_that_name_it),
		cmocka_unit_test(a_change_elsewhere_does_not_reach_an_agent),
		cmocka_unit_test(only_vantages_may_report),
		cmocka_unit_test(an_agent_with_too_much_to_do_is_told),
		cmocka_unit_test(ten_cities_are_loaded),
		cmocka_unit_test(a_plan_names_what_is_added_removed_changed_and_renamed),
		cmocka_unit_test(a_plan_counts_files_and_refuses_what_does_not_fit),
		cmocka_unit_test(the_example_city_is_as_it_is_told),
		cmocka_unit_test(every_unit_of_the_city_has_a_system_and_every_system_a_check),
		cmocka_unit_test(the_sample_is_good_and_shows_each_type),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

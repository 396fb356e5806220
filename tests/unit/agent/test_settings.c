#include "agent/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_http.h"
#include "probes/catalog_icmp.h"
#include "probes/run.h"

static char folder[] = "/tmp/xj-settings-XXXXXX";
static char *path;

static int begin(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	path = mem_format("%s/agent.conf", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	rmdir(folder);
	free(path);
	return 0;
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct agent_settings *read_good(const char *text)
{
	struct agent_settings *s;
	struct err e;

	write_file(text);
	s = agent_settings_load(path, &e);
	if (s == NULL)
		fail_msg("refused: %s", e.text);
	return s;
}

/* The file is refused at this line, with these words somewhere. */
static void assert_refused(const char *text, unsigned line, const char *words)
{
	char at[128];
	struct agent_settings *s;
	struct err e;

	write_file(text);
	s = agent_settings_load(path, &e);
	if (s != NULL)
		fail_msg("taken: %s", text);
	snprintf(at, sizeof at, "%s:%u: ", path, line);
	if (strncmp(e.text, at, strlen(at)) != 0 || strstr(e.text, words) == NULL)
		fail_msg("\"%s\" is not \"%s...%s\"", e.text, at, words);
}

static void an_id_alone_is_enough(void **state)
{
	struct agent_settings *s = read_good("id = \"agent-city\";\n");

	(void)state;
	assert_string_equal(s->id, "agent-city");
	assert_string_equal(s->state, "/var/lib/xunjian-agent");
	assert_string_equal(s->collector.url, "");
	assert_string_equal(s->collector.tls.ca, "");
	assert_int_equal(s->journal.max_age, 72 * 3600 * NS_PER_S);
	assert_int_equal(s->metrics.listen.count, 0);
	assert_int_equal(s->concurrency, 256);
	assert_int_equal(s->checks.count, 0);
	assert_int_equal(s->targets.count, 0);
	agent_settings_free(s);
}

static void the_settings_of_the_city_in_a_box_are_read(void **state)
{
	struct agent_settings *s = read_good("id = \"agent-city\";\nstate = \"/tmp/x\";\n"
		"collector: { url = \"https://192.0.2.249:8443\"; ca = \"/p/ca.pem\";\n"
		"  certificate = \"/p/agent-city.pem\"; key = \"agent-city.key\"; };\n");
	char *key = mem_format("%s/agent-city.key", folder);

	(void)state;
	assert_string_equal(s->collector.url, "https://192.0.2.249:8443");
	assert_string_equal(s->collector.tls.ca, "/p/ca.pem");
	assert_string_equal(s->collector.tls.key, key); /* relative to the file */
	assert_string_equal(s->path, path);
	free(key);
	agent_settings_free(s);
}

static void checks_keep_their_options_beside_their_own_settings(void **state)
{
	struct agent_settings *s = read_good("id = \"a\";\nallow_targets = ( \"10.0.0.0/8\" );\nchecks = (\n"
		"  { id = \"gate\"; type = \"icmp\"; host = \"10.0.0.1\"; count = 5; interval = \"30s\"; },\n"
		"  { id = \"web\"; type = \"http\"; url = \"http://gov.example/\"; families = \"ipv6\";\n"
		"    headers = ( \"a: 1\", \"b: 2\" ); priority = true; timeout = \"2s\"; } );\n");
	const struct agent_settings_check *c = s->checks.items;
	const struct http_options *http = c[1].of_options;

	(void)state;
	assert_int_equal(s->checks.count, 2);
	assert_ptr_equal(c[0].of_type, &catalog_icmp);
	assert_int_equal(((const struct icmp_options *)c[0].of_options)->count, 5);
	assert_int_equal(c[0].interval, 30 * NS_PER_S);
	assert_int_equal(agent_settings_families(c[0].families), RUN_BOTH);
	assert_int_equal(agent_settings_families(c[1].families), RUN_V6);
	assert_int_equal(http->headers.count, 2);
	assert_true(c[1].priority);
	assert_int_equal(s->targets.count, 1);
	agent_settings_free(s);
}

static void what_is_wrong_is_told_where_it_stands(void **state)
{
	(void)state;
	assert_refused("", 1, "id must be given");
	assert_refused("id = \"a\";\nhostname = \"b\";\n", 2, "unknown setting");
	assert_refused("id = \"a\";\ncollector = { };\ncolector = { };\n", 3, "did you mean \"collector\"");
	assert_refused("id = \"a\";\nallow_targets = (\n\"10.0.0.0/8\",\n\"10.0.0.1/8\" );\n", 4,
		"bits behind its prefix");
	assert_refused("id = \"a\";\n\ncollector = { url = \"http://x\"; };\n", 3, "https://");
	assert_refused("id = \"a\";\n\ncollector = { url = \"https://x\"; };\n", 3, "ca must be given");
	assert_refused("id = \"a\";\n\ncollector = { key = \"x\"; };\n", 3, "url must be given");
	assert_refused("id = \"a\";\ncollector = { url = \"https://x\"; ca = \"c\"; key = \"k\";\n"
		"certificate = \"d\"; address = \"gov.example\"; };\n", 3, "is not an address");
	assert_refused("id = \"a\";\nmetrics = { listen = \"192.0.2.1:9464\"; };\n", 2, "not a loopback");
	assert_refused("id = \"a\";\nmetrics = { listen = \"127.0.0.1\"; };\n", 2, "address with port");
	assert_refused("id = \"a\";\nmetrics = { listen = \"::1:9464\"; };\n", 2, "address with port");
	assert_refused("id = \"a\";\njournal = { segment_bytes = \"1MiB\"; max_bytes = \"1MiB\"; };\n", 2,
		"twice segment_bytes");
}

static void plugins_need_a_user_of_their_own(void **state)
{
	struct agent_settings *s;
	struct err e;

	(void)state;
	write_file("id = \"a\"; plugins = \"plugins.conf\";\n");
	s = agent_settings_load(path, &e);
	assert_null(s);
	assert_non_null(strstr(e.text, ": plugin_user must be given beside plugins: a user of their own"));
	s = read_good("id = \"a\"; plugins = \"plugins.conf\"; plugin_user = \"xunjian-plugin\";\n");
	assert_string_equal(s->plugin_user, "xunjian-plugin");
	agent_settings_free(s);
}

static void a_bad_check_is_told_where_it_stands(void **state)
{
	(void)state;
	assert_refused("id = \"a\";\nchecks = (\n{ id = \"c\"; type = \"smoke\"; } );\n", 3,
		"unknown probe type \"smoke\"");
	assert_refused("id = \"a\";\nchecks = (\n{ id = \"c\"; type = \"icmp\"; } );\n", 3,
		"host must be given");
	assert_refused("id = \"a\";\nchecks = (\n{ id = \"c\"; type = \"icmp\"; host = \"x\";\nport = 5; } );\n",
		4, "unknown setting \"port\"");
	assert_refused("id = \"a\";\nchecks = (\n{ id = \"c\"; type = \"icmp\"; host = \"x\";\n"
		"timeout = \"61s\"; } );\n", 3, "longer than the interval of 1m");
	assert_refused("id = \"a\";\nchecks = (\n{ id = \"c\"; type = \"icmp\"; host = \"x\"; },\n"
		"{ id = \"c\"; type = \"icmp\"; host = \"x\"; } );\n", 4, "stands twice, first in line 3");
}

static void both_loopback_families_may_serve_figures(void **state)
{
	struct agent_settings *s =
		read_good("id = \"a\"; metrics = { listen = ( \"127.0.0.2:1\", \"[::1]:65535\" ); };");
	char host[64];
	uint16_t port;
	struct err e;

	(void)state;
	assert_int_equal(agent_settings_parse_listen(s->metrics.listen.items[1], host, &port, &e), 0);
	assert_string_equal(host, "::1");
	assert_int_equal(port, 65535);
	assert_int_equal(agent_settings_parse_listen(s->metrics.listen.items[0], host, &port, &e), 0);
	assert_string_equal(host, "127.0.0.2");
	agent_settings_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_alone_is_enough),
		cmocka_unit_test(the_settings_of_the_city_in_a_box_are_read),
		cmocka_unit_test(checks_keep_their_options_beside_their_own_settings),
		cmocka_unit_test(what_is_wrong_is_told_where_it_stands),
		cmocka_unit_test(plugins_need_a_user_of_their_own),
		cmocka_unit_test(a_bad_check_is_told_where_it_stands),
		cmocka_unit_test(both_loopback_families_may_serve_figures),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

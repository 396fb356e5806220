#include "collector/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"

#define DAY (86400 * NS_PER_S)

static char folder[] = "/tmp/test-settings-XXXXXX";
static char path[64];

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/collector.conf", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct settings *read_good(const char *text)
{
	struct settings *s;
	struct err e;

	write_file(text);
	s = settings_load(path, &e);
	if (s == NULL)
		fail_msg("refused: %s", e.text);
	return s;
}

/* Refused in this line, with words that begin like these. */
static void assert_refused(const char *text, unsigned line, const char *words)
{
	char expected[400];
	struct settings *s;
	struct err e;

	write_file(text);
	s = settings_load(path, &e);
	if (s != NULL)
		fail_msg("taken: %s", text);
	snprintf(expected, sizeof expected, "%s:%u: %s", path, line, words);
	if (strncmp(e.text, expected, strlen(expected)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", e.text, expected);
}

static void assert_below_folder(const char *given, const char *name)
{
	char expected[100];

	snprintf(expected, sizeof expected, "%s/%s", folder, name);
	assert_string_equal(given, expected);
}

static void an_empty_file_gives_a_collector_that_works(void **state)
{
	struct settings *s = read_good("");
	const struct settings_archive *a = s->series.archives.items;

	(void)state;
	assert_string_equal(s->name, "collector");
	assert_string_equal(s->state, "/var/lib/xunjian-collector");
	assert_int_equal(s->log_level, LOG_LEVEL_INFO);
	assert_int_equal(s->ingest.listen.count, 2);
	assert_string_equal(s->ingest.listen.items[0], "0.0.0.0:8443");
	assert_string_equal(s->ingest.listen.items[1], "[::]:8443");
	assert_int_equal(s->journal.segment_bytes, 64 << 20);
	assert_int_equal(s->series.flush_within, 300 * NS_PER_S);
	assert_int_equal(s->series.max_parts, 64);
	assert_int_equal(s->series.archives.count, 3);
	assert_int_equal(a[0].step, 0);
	assert_int_equal(a[0].keep, 2 * DAY);
	assert_int_equal(a[1].step, 300 * NS_PER_S);
	assert_int_equal(a[1].keep, 31 * DAY);
	assert_int_equal(a[2].step, 3600 * NS_PER_S);
	assert_int_equal(a[2].keep, 396 * DAY);
	assert_string_equal(s->web.listen.items[0], "127.0.0.1:8080");
	settings_free(s);
}

static void paths_start_where_the_file_stands(void **state)
{
	struct settings *s = read_good("state = \"state\"; ingest = { key = \"/etc/own.key\"; };");

	(void)state;
	assert_below_folder(s->state, "state");
	assert_below_folder(s->inventory, "inventory.d");
	assert_below_folder(s->ingest.tls.ca, "pki/ca.pem");
	assert_below_folder(s->ingest.tls.certificate, "pki/collector.pem");
	assert_string_equal(s->ingest.tls.key, "/etc/own.key");
	settings_free(s);
}

static void a_file_named_without_its_folder_stands_in_the_present_one(void **state)
{
	char here[200];
	struct settings *s;
	struct err e;

	(void)state;
	write_file("");
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(folder), 0);
	s = settings_load("collector.conf", &e);
	assert_int_equal(chdir(here), 0);
	assert_non_null(s);
	assert_below_folder(s->inventory, "inventory.d");
	settings_free(s);
}

static void the_pages_listen_on_loopback_alone(void **state)
{
	static const char *const others[] = {"0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080",
		"[2001:db8::1]:8080", "[::ffff:127.0.0.1]:8080", "126.255.255.255:8080", "128.0.0.1:8080"};

	(void)state;
	settings_free(read_good("web = { listen = ( \"127.255.0.9:80\", \"[::1]:8080\" ); };"));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		char text[100], words[100];

		snprintf(text, sizeof text, "web = {\n  listen = ( \"127.0.0.1:1\",\n \"%s\" ); };", others[i]);
		snprintf(words, sizeof words, "listen: \"%s\" is not a loopback address: the pages know no "
			"accounts yet", others[i]);
		assert_refused(text, 3, words);
	}
}

static void what_is_no_address_with_a_port_is_told(void **state)
{
	(void)state;
	assert_refused("ingest = { listen = \"8443\"; };", 1, "listen: \"8443\" is not an address and a port");
	assert_refused("ingest = { listen = \"192.0.2.1\"; };", 1, "listen: \"192.0.2.1\" is not");
	assert_refused("ingest = { listen = \"localhost:8443\"; };", 1, "listen: \"localhost:8443\" is not");
	assert_refused("ingest = { listen = \"192.0.2.1:0\"; };", 1, "listen: \"192.0.2.1:0\" is not");
	assert_refused("ingest = { listen = \"192.0.2.1:65536\"; };", 1, "listen: \"192.0.2.1:65536\" is not");
	assert_refused("ingest = { listen = ( ); };", 1, "listen wants at least 1");
	assert_refused("web = { listen = \"::1\"; };", 1, "listen: \"::1\" is not an address and a port");
}

static void archives_grow_coarser_and_longer(void **state)
{
	(void)state;
	settings_free(read_good("series = { archives = ( { step = \"10s\"; keep = \"1d\"; } ); };"));
	assert_refused("series = { archives = ( { step = \"1h\"; keep = \"1d\"; },\n"
		"{ step = \"5m\"; keep = \"2d\"; } ); };", 2, "each archive must have a longer step");
	assert_refused("series = { archives = ( { keep = \"2d\"; },\n { step = \"5m\"; keep = \"2d\"; } ); };", 2,
		"each archive must have a longer step and a longer keep");
	assert_refused("series = { archives = ( { step = \"1500ms\"; keep = \"2d\"; } ); };", 1,
		"step must be of whole seconds");
	assert_refused("series = { archives = ( { step = \"1d\"; keep = \"1h\"; } ); };", 1,
		"keep is less than one step");
	assert_refused("series = { archives = ( { step = \"1d\"; } ); };", 1, "keep must be given");
}

static void a_journal_holds_four_segments(void **state)
{
	(void)state;
	assert_refused("\njournal = { max_bytes = \"100MiB\"; };", 2, "max_bytes must hold at least four "
		"segments: write max_bytes = \"256MiB\"");
	settings_free(read_good("journal = { segment_bytes = \"64KiB\"; max_bytes = \"1MiB\"; };"));
}

static void connections_outlive_the_wait_for_assignments(void **state)
{
	(void)state;
	assert_refused("ingest = { idle_timeout = \"60s\"; };", 1, "idle_timeout: 60s is outside 1m10s to 1h");
	assert_refused("ingest = { max_connections_per_agent = 1; };", 1, "max_connections_per_agent: 1 is");
}

static void the_sample_says_what_is_usual(void **state)
{
	struct settings *usual = read_good(""), *s;
	struct err e;

	(void)state;
	s = settings_load("conf/collector.conf", &e);
	if (s == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(s->journal.segment_bytes, usual->journal.segment_bytes);
	assert_int_equal(s->journal.max_bytes, usual->journal.max_bytes);
	assert_int_equal(s->journal.max_age, usual->journal.max_age);
	assert_int_equal(s->series.max_bytes, usual->series.max_bytes);
	assert_int_equal(s->series.archives.count, usual->series.archives.count);
	for (size_t i = 0; i < s->series.archives.count; i++) {
		const struct settings_archive *a = s->series.archives.items, *b = usual->series.archives.items;

		assert_int_equal(a[i].step, b[i].step);
		assert_int_equal(a[i].keep, b[i].keep);
	}
	assert_string_equal(s->state, usual->state);
	assert_string_equal(s->web.listen.items[1], usual->web.listen.items[1]);
	settings_free(s);
	settings_free(usual);
}

static void a_file_that_is_not_there_is_told(void **state)
{
	struct err e;

	(void)state;
	assert_null(settings_load("/tmp/no-such-folder/collector.conf", &e));
	assert_non_null(strstr(e.text, "/tmp/no-such-folder/collector.conf: No such file"));
	settings_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_a_collector_that_works),
		cmocka_unit_test(paths_start_where_the_file_stands),
		cmocka_unit_test(a_file_named_without_its_folder_stands_in_the_present_one),
		cmocka_unit_test(the_pages_listen_on_loopback_alone),
		cmocka_unit_test(what_is_no_address_with_a_port_is_told),
		cmocka_unit_test(archives_grow_coarser_and_longer),
		cmocka_unit_test(a_journal_holds_four_segments),
		cmocka_unit_test(connections_outlive_the_wait_for_assignments),
		cmocka_unit_test(the_sample_says_what_is_usual),
		cmocka_unit_test(a_file_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

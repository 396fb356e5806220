/* Messages of syslog: their form whatever the words are, and their bound. */
#include "collector/notice/syslog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "collector/judge/incident.h"
#include "collector/notice/facts.h"
#include "collector/notice/letter.h"
#include "collector/notice/phrase.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define NOW (INT64_C(1790298000) * NS_PER_S + 123 * NS_PER_MS)
#define HEAD "<12>1 2026-09-25T09:00:00.123+08:00 host xunjian city problem [xunjian@8072.9.1"

static const struct roster_channel channel = {.id = "log", .kind = ROSTER_SYSLOG, .facility = 1, .enterprise = "8072.9.1"};
static const struct letter_facts letter = {.collector = "city", .now = NOW, .token = "", .secret = ""};

static struct incident_intent problem(void)
{
	return (struct incident_intent){.key = 7, .kind = INTENT_PROBLEM, .audience = "zsj", .incident = 3, .subject = "link/east",
		.state = STATE_DEGRADED, .faults = FAULT_V6, .since = NOW - NS_PER_S, .at = NOW, .author = "", .text = "", .reason = ""};
}

/* The message without its length, which is checked. */
static char *write(struct phrase *p)
{
	const struct incident_intent in = problem();
	struct buf out = {0};
	struct facts f;
	char *end, *copy;
	size_t len;

	facts_make(&channel, &in, p, &letter, &f);
	syslog_write(&channel, &f, "host", NOW, &out);
	facts_fini(&f);
	len = strtoul(buf_text(&out), &end, 10);
	assert_int_equal(*end, ' ');
	assert_int_equal(len, out.len - (size_t)(end + 1 - buf_text(&out)));
	assert_true(len <= SYSLOG_MAX);
	assert_int_equal(strlen(end + 1), len);
	copy = mem_strdup(end + 1);
	buf_fini(&out);
	return copy;
}

static void a_message_is_that_of_the_standard(void **state)
{
	struct phrase p = {.title = mem_strdup("故障"), .body = mem_strdup("一\n\n二\n"), .subject = mem_strdup("link/east"),
		.reason = mem_strdup("no answer"), .systems = mem_strdup("a b")};
	char *text = write(&p);

	(void)state;
	assert_string_equal(text, HEAD " key=\"city-notice-7-log\" kind=\"problem\" incident=\"3\" subject=\"link/east\" state=\"degraded\" "
		"families=\"IPv6\" severity=\"warning\" unit=\"zsj\" since=\"2026-09-25T08:59:59.123+08:00\" "
		"at=\"2026-09-25T09:00:00.123+08:00\" reason=\"no answer\" systems=\"a b\" collector=\"city\" channel=\"log\"] "
		"\xef\xbb\xbf" "故障 | 一 | 二");
	free(text);
	phrase_fini(&p);
}

/* Reads structured data as section 6.3 has it; where it ends. */
static const char *skip_structured_data(const char *p)
{
	p = strchr(p, '[');
	assert_non_null(p);
	for (p++; *p != ']' && *p != '\0'; p++) {
		if (*p != '"')
			continue;
		for (p++; *p != '"'; p++) {
			p += *p == '\\';
			assert_int_not_equal(*p, '\0');
			assert_int_not_equal(*p, '\n');
		}
	}
	assert_int_equal(*p, ']');
	return p + 1;
}

static void no_words_leave_their_place(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	printf("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 2000; i++) {
		static const char letters[] = "\"]\\[= a\xe4\xb8\xad\xff\x01\n";
		size_t len = (size_t)rand() % 700, body = (size_t)rand() % 20000;
		struct phrase p = {.title = mem_strdup("t"), .body = mem_alloc(body + 1), .subject = mem_alloc(len + 1),
			.reason = mem_alloc(len + 1), .systems = mem_alloc(len + 1)};
		const char *rest;
		char *text;

		for (size_t k = 0; k < len; k++)
			p.subject[k] = p.reason[k] = p.systems[k] = letters[(size_t)rand() % (sizeof letters - 1)];
		memset(p.body, 'x', body);
		text = write(&p);
		rest = skip_structured_data(text);
		assert_memory_equal(rest, " \xef\xbb\xbft", 5);
		assert_null(strchr(text, '\n'));
		free(text);
		phrase_fini(&p);
	}
}

static void what_is_too_long_is_cut_at_the_end_of_a_letter(void **state)
{
	struct phrase p = {.title = mem_strdup("t"), .body = mem_alloc(3 * 5000 + 1)};
	char *text;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 5000; i++)
		memcpy(p.body + 3 * i, "中", 3);
	text = write(&p);
	len = strlen(text);
	assert_true(len > SYSLOG_MAX - 8);
	assert_string_equal(text + len - 3, "中");
	free(text);
	phrase_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_that_of_the_standard),
		cmocka_unit_test(no_words_leave_their_place),
		cmocka_unit_test(what_is_too_long_is_cut_at_the_end_of_a_letter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Informs: objects and their numbers, as the MIB has them. */
#include "collector/notice/inform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/judge/incident.h"
#include "collector/notice/facts.h"
#include "collector/notice/letter.h"
#include "collector/notice/phrase.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "probes/snmp_talk.h"

#define NOW (INT64_C(1790298000) * NS_PER_S + 523 * NS_PER_MS)

static const struct roster_channel channel = {.id = "nms", .kind = ROSTER_INFORM, .enterprise = "8072.9.1"};

struct written {
	struct facts facts;
	struct snmp_binding bindings[INFORM_END - 1];
	uint8_t since[11];
	struct snmp_inform message;
};

static void write(struct written *w, const struct incident_intent *in, const struct phrase *p, enum letter_matter matter)
{
	const struct letter_facts letter = {.matter = matter, .collector = "city", .now = NOW, .token = "", .secret = ""};

	facts_make(&channel, in, p, &letter, &w->facts);
	inform_write(&channel, &w->facts, 90 * NS_PER_S, w->bindings, w->since, &w->message);
}

static void assert_oid(const struct snmp_oid *oid, const char *wanted)
{
	char text[200] = "";

	for (size_t i = 0; i < oid->len; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i > 0 ? "." : "", oid->part[i]);
	assert_string_equal(text, wanted);
}

static void assert_octets(const struct written *w, int number, const char *wanted)
{
	const struct snmp_binding *b = &w->bindings[number - 1];

	assert_int_equal(b->kind, SNMP_BINDING_OCTETS);
	assert_int_equal(b->len, strlen(wanted));
	assert_memory_equal(b->octets, wanted, b->len);
}

static void an_inform_has_all_objects(void **state)
{
	const struct incident_intent in = {.key = 7, .kind = INTENT_PROBLEM, .audience = "zsj", .incident = 3, .subject = "link/east",
		.state = STATE_DOWN, .faults = FAULT_V6, .since = NOW, .at = NOW + NS_PER_S, .author = "", .text = "", .reason = ""};
	struct phrase p = {.title = "故障", .body = "一\n二", .subject = "link/east", .reason = "no answer", .systems = "a b"};
	struct written w;

	(void)state;
	write(&w, &in, &p, LETTER_NOTICE);
	assert_oid(&w.message.name, "1.3.6.1.4.1.8072.9.1.0.1");
	assert_int_equal(w.message.uptime, 9000);
	assert_int_equal(w.message.count, 12);
	assert_oid(&w.bindings[0].name, "1.3.6.1.4.1.8072.9.1.1.1.0");
	assert_oid(&w.bindings[11].name, "1.3.6.1.4.1.8072.9.1.1.12.0");
	assert_octets(&w, INFORM_KEY, "city-notice-7-nms");
	assert_octets(&w, INFORM_KIND, "problem");
	assert_octets(&w, INFORM_INCIDENT, "3");
	assert_octets(&w, INFORM_SUBJECT, "link/east");
	assert_int_equal(w.bindings[INFORM_STATE - 1].kind, SNMP_BINDING_INTEGER);
	assert_int_equal(w.bindings[INFORM_STATE - 1].integer, 4);
	assert_int_equal(w.bindings[INFORM_SEVERITY - 1].integer, 2);
	assert_octets(&w, INFORM_UNIT, "zsj");
	assert_octets(&w, INFORM_CAUSE, "no answer");
	assert_int_equal(w.bindings[INFORM_SINCE - 1].len, 11);
	assert_memory_equal(w.since, ((const uint8_t[]){0x07, 0xea, 9, 25, 9, 0, 0, 5, '+', 8, 0}), 11);
	assert_octets(&w, INFORM_TITLE, "故障");
	assert_octets(&w, INFORM_TEXT, "一\n二");
	assert_octets(&w, INFORM_COLLECTOR, "city");
	facts_fini(&w.facts);
}

static void each_kind_has_its_notification(void **state)
{
	static const struct {
		enum incident_intent_kind kind;
		enum letter_matter matter;
		uint32_t number;
		int severity;
	} rows[] = {
		{INTENT_PROBLEM, LETTER_NOTICE, 1, FACTS_CRITICAL}, {INTENT_FLAPPING, LETTER_NOTICE, 1, FACTS_CRITICAL},
		{INTENT_ESCALATE, LETTER_NOTICE, 1, FACTS_ALERT}, {INTENT_WORSE, LETTER_NOTICE, 1, FACTS_CRITICAL},
		{INTENT_CLOSE, LETTER_NOTICE, 2, FACTS_PLAIN_NOTICE},
		{INTENT_MERGED, LETTER_NOTICE, 2, FACTS_PLAIN_NOTICE}, {INTENT_DIGEST, LETTER_NOTICE, 3, FACTS_PLAIN_NOTICE},
		{INTENT_DIGEST, LETTER_BEAT, 4, FACTS_INFO}, {INTENT_DIGEST, LETTER_TEST, 5, FACTS_INFO},
		{INTENT_ACKNOWLEDGED, LETTER_NOTICE, 6, FACTS_INFO}, {INTENT_COMMENTED, LETTER_NOTICE, 6, FACTS_INFO},
	};
	struct phrase p = {.title = "t", .body = "b"};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct incident_intent in = {.key = 7, .kind = rows[i].kind, .audience = "", .subject = "", .state = STATE_DOWN,
			.since = NOW, .at = NOW, .author = "", .text = "", .reason = ""};
		struct written w;

		write(&w, &in, &p, rows[i].matter);
		assert_int_equal(w.message.name.part[w.message.name.len - 1], rows[i].number);
		assert_int_equal(w.bindings[INFORM_SEVERITY - 1].integer, rows[i].severity);
		facts_fini(&w.facts);
	}
}

static void texts_are_cut_at_the_end_of_a_letter(void **state)
{
	const struct incident_intent in = {.key = 7, .kind = INTENT_PROBLEM, .audience = "", .subject = "", .author = "", .text = "",
		.reason = "", .since = NOW, .at = NOW};
	char body[3 * 400 + 1] = "";
	struct phrase p = {.title = body, .body = body};
	struct written w;

	(void)state;
	for (size_t i = 0; i < 400; i++)
		memcpy(body + 3 * i, "中", 3);
	write(&w, &in, &p, LETTER_NOTICE);
	assert_int_equal(w.bindings[INFORM_TITLE - 1].len, INFORM_LINE_MAX / 3 * 3);
	assert_int_equal(w.bindings[INFORM_TEXT - 1].len, INFORM_TEXT_MAX / 3 * 3);
	facts_fini(&w.facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_inform_has_all_objects),
		cmocka_unit_test(each_kind_has_its_notification),
		cmocka_unit_test(texts_are_cut_at_the_end_of_a_letter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

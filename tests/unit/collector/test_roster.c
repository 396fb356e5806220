#include "collector/notice/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/inventory.h"
#include "collector/judge/calendar.h"
#include "collector/judge/incident.h"
#include "lib/err.h"
#include "lib/mem.h"

#define MAIL "{ id = \"mail\"; kind = \"smtp\"; url = \"smtps://mail:465\"; from = \"a@b\"; to = ( \"c@d\" ); }"
#define BOT "{ id = \"bot\"; kind = \"wecom\"; url = \"https://bot/send\"; token_file = \"bot.key\"; fallback = \"mail\"; }"
#define GOOD "channels = (\n" MAIL ",\n" BOT ");\n"

static char path[] = "/tmp/test-roster-XXXXXX";

static int begin(void **state)
{
	struct err e;
	int fd = mkstemp(path);

	close(fd);
	*state = inventory_load("conf/city/inventory.d", &e);
	return fd >= 0 && *state != NULL ? 0 : -1;
}

static int end(void **state)
{
	inventory_free(*state);
	return unlink(path);
}

static struct roster *load(const struct inventory *inventory, const char *text, struct err *e)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return roster_load(path, inventory, e);
}

static void assert_refused(const struct inventory *inventory, const char *text, unsigned line, const char *words)
{
	char *want = mem_format("%s:%u: %s", path, line, words);
	struct err e;

	assert_null(load(inventory, text, &e));
	if (strncmp(e.text, want, strlen(want)) != 0)
		fail_msg("wanted \"%s\", got \"%s\"", want, e.text);
	free(want);
}

static void what_an_operator_wrote_wrong_is_told_with_its_line(void **state)
{
	const struct inventory *i = *state;

	assert_refused(i, GOOD "routes = ( { audience = \"unit/none\"; channels = \"mail\"; } );", 4,
		"audience \"unit/none\": the inventory has no such unit");
	assert_refused(i, GOOD "routes = ( { audience = \"jyj\"; channels = \"mail\"; } );", 4, "audience \"jyj\": write operations");
	assert_refused(i, GOOD "routes = ( { audience = \"operations\"; channels = \"post\"; } );", 4, "there is no channel and no duty list \"post\"");
	assert_refused(i, GOOD "templates = ( { kind = \"problem\"; language = \"zh\"; title = \"{subjct}\"; body = \"b\"; } );", 4,
		"title");
	assert_refused(i, GOOD "templates = ( { kind = \"problem\"; language = \"zh\"; title = \"t\"; body = \"{line\"; } );", 4, "body");
	assert_refused(i, GOOD "templates = ( { kind = \"worse\"; language = \"zh\"; title = \"t\"; body = \"b\"; },\n"
		"{ kind = \"worse\"; language = \"zh\"; title = \"t\"; body = \"b\"; } );", 5, "a second template of this kind and language");
	assert_refused(i, "channels = (\n" MAIL ",\n" MAIL ");", 3, "a second channel mail");
	assert_refused(i, GOOD "beat = {\n channel = \"post\"; };", 4, "beat: there is no channel \"post\"");
	assert_refused(i, GOOD "give_up = \"100d\";", 4, "give_up");
	assert_refused(i, "channels = (\n" BOT ");", 2, "channel bot: fallback: there is no channel mail");
}

static void a_duty_list_that_cannot_be_is_told_with_its_line(void **state)
{
	static const struct {
		const char *rest, *words;
		unsigned line;
	} rows[] = {
		{"id = \"mail\"; from = \"2026-11-02\"; channels = \"bot\"; }", "duty mail: a second list or channel of this name", 5},
		{"id = \"d\"; from = \"2026-11-02\"; channels = \"post\"; }", "duty d: there is no channel \"post\"", 5},
		{"id = \"d\"; from = \"2026-13-02\"; channels = \"bot\"; }", "from: ", 5},
		{"id = \"d\"; from = \"now\"; channels = \"bot\"; }", "from: write a day and a time", 5},
		{"id = \"d\"; from = \"2026-11-02\"; channels = ( ); }", "channels", 5},
		{"id = \"d\"; from = \"2026-11-02\"; each = \"1m\"; channels = \"bot\"; }", "each", 5},
		{"id = \"d\"; from = \"2026-11-02\"; channels = \"bot\"; swaps = (\n{ from = \"2026-11-03\"; until = \"2026-11-04\"; "
		 "channel = \"d\"; } ); }", "duty d: there is no channel \"d\"", 6},
		{"id = \"d\"; from = \"2026-11-02\"; channels = \"bot\"; swaps = (\n{ from = \"2026-11-04\"; until = \"2026-11-04\"; "
		 "channel = \"bot\"; } ); }", "until must be later than from", 6},
		{"id = \"d\"; from = \"2026-11-02\"; channels = \"bot\"; swaps = (\n{ from = \"2026-11-03\"; until = \"2026-11-05\"; "
		 "channel = \"bot\"; },\n{ from = \"2026-11-04\"; until = \"2026-11-06\"; channel = \"mail\"; } ); }",
		 "another exchange of this time stands in line 6", 7},
	};
	char text[2000];

	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		snprintf(text, sizeof text, GOOD "duty = (\n{ %s );", rows[k].rest);
		assert_refused(*state, text, rows[k].line, rows[k].words);
	}
}

static void assert_on_duty(const struct roster *r, const char *at, const char *want)
{
	struct err e;
	int64_t real;

	assert_int_equal(calendar_time(at, 0, &real, &e), 0);
	assert_string_equal(roster_on_duty(r, "d", real)->id, want);
}

static void turns_come_one_after_the_other_but_for_what_was_exchanged(void **state)
{
	struct err e;
	struct roster *r = load(*state, GOOD "duty = ( { id = \"d\"; from = \"2026-11-02 08:30\"; each = \"7d\"; "
		"channels = ( \"mail\", \"bot\" ); swaps = ( { from = \"2026-11-11 08:30\"; until = \"2026-11-12\"; channel = \"mail\"; "
		"} ); } );\nroutes = ( { audience = \"operations\"; channels = ( \"d\", \"mail\" ); } );", &e);

	if (r == NULL)
		fail_msg("%s", e.text);
	assert_on_duty(r, "2026-11-02 08:29:59", "bot");
	assert_on_duty(r, "2026-11-02 08:30:00", "mail");
	assert_on_duty(r, "2026-11-09 08:29:59", "mail");
	assert_on_duty(r, "2026-11-09 08:30:00", "bot");
	assert_on_duty(r, "2026-11-11 08:29:59", "bot");
	assert_on_duty(r, "2026-11-11 08:30:00", "mail");
	assert_on_duty(r, "2026-11-11 23:59:59", "mail");
	assert_on_duty(r, "2026-11-12", "bot");
	assert_on_duty(r, "2026-11-16 08:30:00", "mail");
	assert_on_duty(r, "2026-10-26 08:30:00", "bot");
	assert_on_duty(r, "2026-10-26 08:29:59", "mail");
	assert_on_duty(r, "2026-10-19 08:30:00", "mail");
	assert_string_equal(roster_on_duty(r, "bot", 0)->id, "bot");
	assert_null(roster_on_duty(r, "post", 0));
	roster_free(r);
}

static void what_stands_in_clear_or_leads_nowhere_is_refused(void **state)
{
	const struct inventory *i = *state;

	assert_refused(i, "channels = (\n{ id = \"h\"; kind = \"alertmanager\"; url = \"http://hook.example/\"; token_file = \"t\"; } );", 2,
		"channel h: its token would go in the clear");
	assert_refused(i, "channels = (\n{ id = \"l\"; kind = \"syslog\"; url = \"udp://log:514\"; } );", 2, "channel l: url: ");
	assert_refused(i, "channels = (\n{ id = \"l\"; kind = \"syslog\"; url = \"tls://log:6514\"; certificate = \"c.pem\"; } );", 2,
		"channel l: certificate and key go together");
	assert_refused(i, "channels = (\n{ id = \"n\"; kind = \"inform\"; url = \"udp://nms:162\"; user = \"xj\"; token_file = \"t\"; } );", 2,
		"channel n: informs are signed and encrypted");
	assert_refused(i, "channels = (\n{ id = \"n\"; kind = \"inform\"; url = \"udp://nms:162\"; enterprise = \"8072..1\"; } );", 2,
		"enterprise");
	assert_refused(i, "channels = (\n{ id = \"p\"; kind = \"command\"; url = \"/bin/sh\"; command = \"sh\"; } );", 2,
		"channel p: write command = \"name\", and no url");
}

static void a_circle_of_fall_backs_is_refused(void **state)
{
	assert_refused(*state, "channels = (\n{ id = \"a\"; kind = \"feishu\"; url = \"https://a\"; token_file = \"t\"; fallback = \"b\"; },\n"
		"{ id = \"b\"; kind = \"feishu\"; url = \"https://b\"; token_file = \"t\"; fallback = \"a\"; } );", 2,
		"channel a: its fall-backs go round in a circle");
}

static void the_key_of_a_bot_does_not_stand_in_the_file(void **state)
{
	assert_refused(*state, "channels = (\n{ id = \"a\"; kind = \"wecom\"; url = \"https://a/send?key=1\"; token_file = \"t\"; } );", 2,
		"channel a: the key of a bot is a secret");
}

static void an_address_of_mail_holds_nothing_but_itself(void **state)
{
	assert_refused(*state, "channels = (\n{ id = \"a\"; kind = \"smtp\"; url = \"smtp://a\"; from = \"a@b> SIZE=1\"; to = \"c@d\"; } );", 2,
		"channel a: from: ");
}

static void a_route_takes_its_audience_and_kinds(void **state)
{
	struct incident_intent in = {.kind = INTENT_PROBLEM, .audience = "jyj"};
	const struct roster_route *t;
	struct err e;
	struct roster *r = load(*state, GOOD "routes = ( { audience = ( \"unit/jyj\" ); channels = \"bot\"; kinds = ( \"assigned\" ); } );", &e);

	if (r == NULL)
		fail_msg("%s", e.text);
	t = r->routes.items;
	assert_true(roster_takes(t, &in));
	in.kind = INTENT_CLOSE; /* whoever was told of a problem is told its end */
	assert_true(roster_takes(t, &in));
	in.kind = INTENT_ASSIGNED;
	assert_true(roster_takes(t, &in));
	in.kind = INTENT_COMMENTED;
	assert_false(roster_takes(t, &in));
	in.kind = INTENT_WORSE; /* it is down now, which nobody may leave out */
	assert_true(roster_takes(t, &in));
	in.kind = INTENT_ESCALATE;
	assert_false(roster_takes(t, &in));
	in.kind = INTENT_PROBE;
	assert_false(roster_takes(t, &in));
	in = (struct incident_intent){.kind = INTENT_PROBLEM, .audience = ""};
	assert_false(roster_takes(t, &in));
	in.audience = "jy";
	assert_false(roster_takes(t, &in));
	assert_string_equal(roster_channel(r, "bot")->token_file, "/tmp/bot.key");
	roster_free(r);
}

#define STEP(audience, more) GOOD "routes = ( { audience = \"operations\"; channels = \"mail\"; },\n{ audience = \"" audience \
	"\"; channels = \"bot\"; " more " } );"

static void a_route_to_a_step_takes_escalations_and_ends_alone(void **state)
{
	static const enum incident_intent_kind kinds[] = {INTENT_ESCALATE, INTENT_CLOSE, INTENT_MERGED, INTENT_DIGEST};
	const struct roster_route *t;
	struct err e;
	struct roster *r = load(*state, STEP("escalation/2", "kinds = ( );"), &e);

	if (r == NULL)
		fail_msg("%s", e.text);
	t = (const struct roster_route *)r->routes.items + 1;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		assert_true(roster_takes(t, &(struct incident_intent){.kind = kinds[i], .audience = "escalation/2"}));
		assert_false(roster_takes(t, &(struct incident_intent){.kind = kinds[i], .audience = "escalation/1"}));
		assert_false(roster_takes(t, &(struct incident_intent){.kind = kinds[i], .audience = ""}));
		assert_false(roster_takes(t - 1, &(struct incident_intent){.kind = kinds[i], .audience = "escalation/2"}));
	}
	assert_true(roster_leads_to(r, "escalation/2"));
	assert_false(roster_leads_to(r, "escalation/1"));
	assert_int_equal(roster_check_steps(r, 2, &e), 0);
	assert_int_equal(roster_check_steps(r, 1, &e), -1);
	assert_non_null(strstr(e.text, ":5: audience \"escalation/2\": the setting incidents.escalate has 1 steps"));
	roster_free(r);
}

static void a_step_that_is_none_is_refused(void **state)
{
	static const char words[] = "write operations, unit/<id> or escalation/<step>, with a step from 1 to 8";
	const char *const texts[] = {STEP("escalation/0", ""), STEP("escalation/9", ""), STEP("escalation/", ""), STEP("escalation/11", ""),
		STEP("escalation", "")};
	struct err e;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_null(load(*state, texts[i], &e));
		assert_non_null(strstr(e.text, ":5: audience \"escalation"));
		assert_non_null(strstr(e.text, words));
	}
	assert_refused(*state, STEP("escalation/1", "kinds = ( \"escalate\", \"commented\" );"), 5, "audience \"escalation/1\": it is told of "
		"escalations and their ends alone, and of nothing as commented");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_operator_wrote_wrong_is_told_with_its_line),
		cmocka_unit_test(a_duty_list_that_cannot_be_is_told_with_its_line),
		cmocka_unit_test(turns_come_one_after_the_other_but_for_what_was_exchanged),
		cmocka_unit_test(what_stands_in_clear_or_leads_nowhere_is_refused),
		cmocka_unit_test(a_circle_of_fall_backs_is_refused),
		cmocka_unit_test(the_key_of_a_bot_does_not_stand_in_the_file),
		cmocka_unit_test(an_address_of_mail_holds_nothing_but_itself),
		cmocka_unit_test(a_route_takes_its_audience_and_kinds),
		cmocka_unit_test(a_route_to_a_step_takes_escalations_and_ends_alone),
		cmocka_unit_test(a_step_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

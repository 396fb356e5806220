/* Words and letters: what a notice says, and that nothing in it is more than words. */
#include "collector/notice/letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "collector/inventory.h"
#include "collector/judge/incident.h"
#include "collector/notice/phrase.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define NOW (INT64_C(1790298000) * NS_PER_S + 123 * NS_PER_MS)
#define SECRET "SEC0123456789abcdef"

static const struct letter_facts facts = {.collector = "city", .now = NOW, .token = "a&b=c/d", .secret = SECRET};
static const char *const to[] = {"ops@example.cn"};

static int begin(void **state)
{
	struct err e;

	*state = inventory_load("conf/city/inventory.d", &e);
	return *state != NULL ? 0 : -1;
}

static int end(void **state)
{
	inventory_free(*state);
	return 0;
}

static struct roster_channel channel_of(enum roster_kind kind)
{
	return (struct roster_channel){.id = "c", .kind = kind, .url = kind == ROSTER_SMTP ? "smtps://mail" : "https://bot/x",
		.from = "xj@example.cn", .to = {.count = 1, .items = (const char **)(uintptr_t)to}, .success = "code=0",
		.body = kind == ROSTER_SMS ? "{\"phone\":\"{to}\",\"text\":\"{text}\"}" : ""};
}

static struct incident_intent intent_of(const char *audience, const char *subject, const char *reason)
{
	return (struct incident_intent){.key = 7, .kind = INTENT_PROBLEM, .audience = audience, .incident = 3, .subject = subject,
		.state = STATE_DOWN, .faults = FAULT_V6, .since = NOW, .at = NOW, .author = "", .text = "", .reason = reason};
}

/* Two systems of different units in the example city. */
static void two_systems(const struct inventory *i, const struct inventory_system **a, const struct inventory_system **b)
{
	*a = &i->systems[0];
	*b = NULL;
	for (size_t k = 1; k < i->systems_count && *b == NULL; k++) {
		if (strcmp(i->systems[k].unit, (*a)->unit) != 0)
			*b = &i->systems[k];
	}
	assert_non_null(*b);
}

static void a_unit_reads_of_its_own_systems_alone(void **state)
{
	const struct inventory_system *own, *other;
	struct incident_intent in;
	struct incident_item items[2];
	char subject[80], affected[200];
	struct phrase p;

	two_systems(*state, &own, &other);
	snprintf(subject, sizeof subject, "system/%s", other->id);
	snprintf(affected, sizeof affected, "%s system/%s", subject, own->id);
	for (int l = ROSTER_ZH; l < ROSTER_LANGUAGES; l++) {
		in = intent_of(own->unit, subject, "no answer from 192.0.2.7");
		phrase_make(NULL, *state, &in, affected, (enum roster_language)l, &p);
		assert_null(strstr(p.title, other->id));
		assert_null(strstr(p.body, other->id));
		assert_null(strstr(p.body, other->name));
		assert_null(strstr(p.body, "192.0.2.7"));
		assert_non_null(strstr(p.body, own->id));
		assert_non_null(strstr(p.body, "IPv6"));
		/* nor do programs */
		assert_string_equal(p.subject, "");
		assert_null(strstr(p.reason, "192.0.2.7"));
		assert_string_equal(p.systems, own->id);
		phrase_fini(&p);
		in.audience = ""; /* operations read all */
		phrase_make(NULL, *state, &in, affected, (enum roster_language)l, &p);
		assert_non_null(strstr(p.title, other->id));
		assert_non_null(strstr(p.body, "192.0.2.7"));
		assert_string_equal(p.subject, subject);
		assert_string_equal(p.reason, "no answer from 192.0.2.7");
		assert_non_null(strstr(p.systems, other->id));
		phrase_fini(&p);
		items[0] = (struct incident_item){INTENT_PROBLEM, 3, 0, subject};
		items[1] = (struct incident_item){INTENT_CLOSE, 4, 0, strchr(affected, ' ') + 1};
		in = intent_of(own->unit, "", "");
		in.kind = INTENT_DIGEST;
		in.items = items;
		in.items_count = 2;
		phrase_make(NULL, *state, &in, "", (enum roster_language)l, &p);
		assert_null(strstr(p.body, other->id));
		assert_non_null(strstr(p.body, l == ROSTER_ZH ? "故障 3\n" : "problem 3\n"));
		assert_non_null(strstr(p.body, own->id));
		phrase_fini(&p);
	}
}

/* A unit whose systems all fail by another's cause: a title that names them all would leave room for nothing else. */
static void many_systems_leave_room_for_the_words(void **state)
{
	const struct inventory *i = *state;
	const char *unit = i->systems[0].unit;
	struct buf affected = {0}, three = {0};
	size_t own = 0;

	for (size_t k = 0; k < 400; k++) { /* some of them twice, for a long list */
		const struct inventory_system *s = &i->systems[k % i->systems_count];

		own += strcmp(s->unit, unit) == 0;
		if (strcmp(s->unit, unit) == 0 && own <= 3)
			buf_add_format(&three, "system/%s ", s->id);
		buf_add_format(&affected, "%ssystem/%s", k > 0 ? " " : "", s->id);
	}
	assert_true(own > 4);
	for (int l = ROSTER_ZH; l < ROSTER_LANGUAGES; l++) {
		struct incident_intent in = intent_of(unit, "site/of-others", "why");
		char end[40];
		struct phrase p;

		phrase_make(NULL, i, &in, buf_text(&affected), (enum roster_language)l, &p);
		if (l == ROSTER_ZH)
			snprintf(end, sizeof end, "等 %zu 个", own);
		else
			snprintf(end, sizeof end, "and %zu more", own - 3);
		assert_non_null(strstr(p.title, end));
		assert_true(strlen(p.title) < 400);
		assert_true(strstr(p.body, end) != NULL && strstr(p.body, end) - p.body < 400); /* as the subject; then all by name */
		assert_true(strlen(p.body) > own * strlen("system/"));
		phrase_fini(&p);
		phrase_make(NULL, i, &in, buf_text(&three), (enum roster_language)l, &p);
		assert_null(strstr(p.title, l == ROSTER_ZH ? "等 3" : "more"));
		phrase_fini(&p);
	}
	buf_fini(&three);
	buf_fini(&affected);
}

static void what_came_from_outside_stays_words(void **state)
{
	struct buf out = {0};

	(void)state;
	phrase_add_clean(&out, "a\r\nBcc: x\t\x7f<at user_id=\"all\">\xe2\x80\xae\xd8\x9c\xc2\x85\xff\xe4\xb8");
	assert_string_equal(buf_text(&out), "a  Bcc: x  ＜at user_id=\"all\"＞   ???");
	buf_clear(&out);
	phrase_add_clean(&out, "{key}"); /* not a word of the template: filled once */
	assert_string_equal(buf_text(&out), "{key}");
	buf_fini(&out);
}

/* Whatever bytes a reason has: a mail has just our headers, a bot's body is one object with just our members. */
static void hostile_reasons_break_no_letter(void **state)
{
	unsigned seed = getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : 20261127;

	printf("seed %u\n", seed);
	for (int round = 0; round < 3000; round++) {
		static const char *const parts[] = {"\r\n", "\n.\r\n", "\"", "\\", "}", "]", "<", "&", "=?", "?=", "\xe4", "\xb8\xad", "中",
			"@all", "\xf0\x9f\x98\x80", "%s", "{text}", "x"};
		char reason[400] = "";
		struct roster_channel c = channel_of((enum roster_kind)(round % 6));
		struct incident_intent in;
		struct phrase p;
		struct letter l;

		for (int i = 0; i < 40; i++)
			strcat(reason, parts[(unsigned)rand_r(&seed) % (sizeof parts / sizeof *parts)]);
		in = intent_of("", reason, reason);
		phrase_make(NULL, *state, &in, reason, ROSTER_ZH, &p);
		letter_write(&c, &in, &p, &facts, &l);
		if (c.kind == ROSTER_SMTP) {
			const char *text = buf_text(&l.body), *head = strstr(text, "\r\n\r\n");

			assert_non_null(head);
			for (const char *line = text; line < head; line = strstr(line, "\r\n") + 2) {
				assert_in_range(strcspn(line, "\r"), 1, 76 + 9);
				assert_true(*line == ' ' || strchr("FTDSMIRAC", *line) != NULL);
			}
			assert_null(strstr(text, "中"));
			for (const char *at = head + 4; *at != '\0'; at++)
				assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n", *at));
		} else {
			json_t *root = json_loadb((const char *)l.body.data, l.body.len, JSON_REJECT_DUPLICATES, NULL);

			assert_true(json_is_object(root));
			assert_int_equal(json_object_size(root), c.kind == ROSTER_FEISHU ? 4 : c.kind == ROSTER_ALERTMANAGER ? 10 : 2);
			json_decref(root);
		}
		letter_fini(&l);
		phrase_fini(&p);
	}
}

static void a_signature_is_that_of_the_manuals(void **state)
{
	struct roster_channel ding = channel_of(ROSTER_DINGTALK), fei = channel_of(ROSTER_FEISHU);
	struct incident_intent in = intent_of("", "system/x", "r");
	struct buf out = {0};
	struct phrase p;
	struct letter l;

	letter_sign("Jefe", "what do ya want for nothing?", &out); /* RFC 4231, 4.3 */
	assert_string_equal(buf_text(&out), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
	buf_fini(&out);
	phrase_make(NULL, *state, &in, "", ROSTER_EN, &p);
	letter_write(&ding, &in, &p, &facts, &l);
	assert_string_equal(buf_text(&l.url), "https://bot/x?access_token=a%26b%3Dc%2Fd&timestamp=1790298000123"
		"&sign=L%2Fyw6W20ATQFNpFxiwEdECENzu2DyKioGm6GDo0eEWo%3D");
	letter_fini(&l);
	letter_write(&fei, &in, &p, &facts, &l);
	assert_non_null(strstr(buf_text(&l.body), "\"timestamp\":\"1790298000\",\"sign\":\"9RyZxpM/lyxwI9inNBXp1fPYC+USudBtuLQWqNkkC/Y=\""));
	letter_fini(&l);
	phrase_fini(&p);
}

static void mails_of_one_incident_stand_together(void **state)
{
	struct roster_channel c = channel_of(ROSTER_SMTP);
	struct incident_intent in = intent_of("", "system/x", "r");
	struct phrase p;
	struct letter l;

	phrase_make(NULL, *state, &in, "", ROSTER_ZH, &p);
	letter_write(&c, &in, &p, &facts, &l);
	assert_string_equal(buf_text(&l.url), "smtps://mail/city");
	assert_non_null(strstr(buf_text(&l.body), "\r\nMessage-ID: <notice-7-c@city.xunjian>\r\n"));
	assert_non_null(strstr(buf_text(&l.body), "\r\nReferences: <incident-3@city.xunjian>\r\n"));
	assert_non_null(strstr(buf_text(&l.body), "\r\nSubject: =?UTF-8?B?44CQ5pWF6Zqc44CR"));
	letter_fini(&l);
	phrase_fini(&p);
}

/* Programs close each alert by itself; and a sign of life is none of a notice. */
static void a_digest_is_an_alert_for_each_of_its_items(void **state)
{
	static const struct incident_item items[] = {{INTENT_PROBLEM, 3, 0, "system/x"}, {INTENT_CLOSE, 4, 0, "system/y"}};
	struct roster_channel c = channel_of(ROSTER_ALERTMANAGER);
	struct incident_intent in = intent_of("", "", "");
	struct letter_facts beat = facts;
	struct phrase p;
	struct letter l;

	in.kind = INTENT_DIGEST;
	in.incident = 0;
	in.items = items;
	in.items_count = 2;
	phrase_make(NULL, *state, &in, "", ROSTER_ZH, &p);
	letter_write(&c, &in, &p, &facts, &l);
	assert_non_null(strstr(buf_text(&l.body), "{\"status\":\"firing\",\"labels\":{\"alertname\":\"xunjian\",\"incident\":\"3\""));
	assert_non_null(strstr(buf_text(&l.body), "{\"status\":\"resolved\",\"labels\":{\"alertname\":\"xunjian\",\"incident\":\"4\""));
	assert_string_equal(l.headers[l.headers_count - 1], "Idempotency-Key: city-notice-7-c");
	letter_fini(&l);
	beat.matter = LETTER_BEAT;
	in.items_count = 0;
	letter_write(&c, &in, &p, &beat, &l);
	assert_non_null(strstr(buf_text(&l.body), "\"alertname\":\"xunjian-beat\""));
	assert_string_equal(l.headers[l.headers_count - 1], "Idempotency-Key: city-beat-7-c");
	letter_fini(&l);
	phrase_fini(&p);
	c = channel_of(ROSTER_WECOM);
	assert_int_equal(letter_room(&c), 2048);
}

/* "title|body" as it is read. */
static void assert_reads(const struct inventory *i, const struct incident_intent *in, const char *affected, enum roster_language l,
	const char *want)
{
	struct phrase p;
	char *got;

	phrase_make(NULL, i, in, affected, l, &p);
	got = mem_format("%s\n%s", p.title, p.body);
	assert_string_equal(got, want);
	free(got);
	phrase_fini(&p);
}

#define AT "2026-09-25 09:00:00 +08:00"

static void a_cut_link_is_read_by_operations(void **state)
{
	struct incident_intent in = intent_of("", "link/link-dongyuan", "no reply");

	in.faults = FAULT_V4 | FAULT_V6;
	assert_reads(*state, &in, "link/link-dongyuan", ROSTER_ZH,
		"【故障】东源县政务服务中心的链路 (link/link-dongyuan) 中断\n对象：东源县政务服务中心的链路 (link/link-dongyuan)\n状态：中断\n"
		"网络协议：IPv4, IPv6\n开始时间：" AT "\n原因：no reply\n事件 3，通知 7");
	in.kind = INTENT_CLOSE;
	in.reason = "recovered";
	assert_reads(*state, &in, "link/link-dongyuan system/flood", ROSTER_EN,
		"[CLOSED] link of Dongyuan County service centre (link/link-dongyuan): recovered\n"
		"Subject: link of Dongyuan County service centre (link/link-dongyuan)\nSince: " AT "\nClosed: " AT "\nWas: down\n"
		"Families: IPv4, IPv6\nSystems: Flash flood warning (system/flood)\nIncident 3, notice 7");
}

static void the_title_names_the_one_family_that_fails(void **state)
{
	struct incident_intent in = intent_of("", "link/link-dongyuan", "no reply");

	in.state = STATE_DEGRADED;
	in.faults = FAULT_V6;
	assert_reads(*state, &in, "link/link-dongyuan", ROSTER_ZH,
		"【故障】东源县政务服务中心的链路 (link/link-dongyuan) 部分异常（IPv6）\n对象：东源县政务服务中心的链路 (link/link-dongyuan)\n"
		"状态：部分异常\n网络协议：IPv6\n开始时间：" AT "\n原因：no reply\n事件 3，通知 7");
	in.faults = FAULT_V4 | FAULT_VALUE;
	assert_reads(*state, &in, "link/link-dongyuan", ROSTER_EN,
		"[PROBLEM] link of Dongyuan County service centre (link/link-dongyuan) degraded (IPv4)\n"
		"Subject: link of Dongyuan County service centre (link/link-dongyuan)\nState: degraded\nFamilies: IPv4\nSince: " AT
		"\nReason: no reply\nIncident 3, notice 7");
}

/* What fails is another's: its state may be worse than what it does here. */
static void a_cut_link_is_read_by_a_unit(void **state)
{
	struct incident_intent in = intent_of("lyj", "link/link-dongyuan", "no reply from 192.0.2.7");
	const char *affected = "link/link-dongyuan system/forest-fire system/pollution link/link-dongyuan-t01";

	in.faults = FAULT_V4 | FAULT_V6;
	assert_reads(*state, &in, affected, ROSTER_ZH,
		"【故障】森林防火监测系统 (system/forest-fire) 受影响\n对象：森林防火监测系统 (system/forest-fire)\n状态：受影响\n"
		"网络协议：IPv4, IPv6\n开始时间：" AT "\n原因：原因不在本单位系统\n涉及系统：森林防火监测系统 (system/forest-fire)\n"
		"事件 3，通知 7");
	in.kind = INTENT_CLOSE;
	in.reason = "recovered";
	assert_reads(*state, &in, affected, ROSTER_ZH,
		"【已恢复】森林防火监测系统 (system/forest-fire)\n对象：森林防火监测系统 (system/forest-fire)\n开始时间：" AT "\n结束时间：" AT
		"\n曾经：受影响\n网络协议：IPv4, IPv6\n涉及系统：森林防火监测系统 (system/forest-fire)\n事件 3，通知 7");
}

static void what_was_degraded_and_is_down_is_read_as_worse(void **state)
{
	struct incident_intent in = intent_of("", "system/flood", "timeout");

	in.kind = INTENT_WORSE;
	assert_reads(*state, &in, "system/flood", ROSTER_ZH,
		"【加重】山洪灾害监测预警平台 (system/flood) 中断\n起因由部分异常变为中断。\n对象：山洪灾害监测预警平台 (system/flood)\n状态：中断\n"
		"网络协议：IPv6\n开始时间：" AT "\n原因：timeout\n涉及系统：山洪灾害监测预警平台 (system/flood)\n事件 3，通知 7");
	in.kind = INTENT_ESCALATE;
	in.level = 2;
	assert_reads(*state, &in, "", ROSTER_EN,
		"[ESCALATION 2] Flash flood warning (system/flood) down, not acknowledged\nSubject: Flash flood warning (system/flood)\n"
		"State: down\nFamilies: IPv6\nSince: " AT "\nReason: timeout\nIncident 3, notice 7");
}

static void troubles_of_the_monitoring_itself_have_names(void **state)
{
	static const struct {
		const char *subject, *zh, *en;
	} cases[] = {
		{"monitoring/disk", "巡检自身：磁盘空间 (monitoring/disk)", "the monitoring itself: disk space (monitoring/disk)"},
		{"monitoring/clock-agent-city", "市观测点的时钟 (monitoring/clock-agent-city)", "clock of City vantage (monitoring/clock-agent-city)"},
		{"agent/agent-city", "市观测点的探针 (agent/agent-city)", "agent of City vantage (agent/agent-city)"},
		{"host/agent-city", "市观测点的主机 (host/agent-city)", "host of City vantage (host/agent-city)"},
		{"site/dongyuan", "东源县政务服务中心 (site/dongyuan)", "Dongyuan County service centre (site/dongyuan)"},
		{"link/gone", "link/gone", "link/gone"},
		{"monitoring/other", "monitoring/other", "monitoring/other"},
	};

	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		for (int l = ROSTER_ZH; l < ROSTER_LANGUAGES; l++) {
			struct incident_intent in = intent_of("", cases[k].subject, "12 % left");
			const char *name = l == ROSTER_ZH ? cases[k].zh : cases[k].en;
			char *want;

			in.faults = FAULT_OWN;
			want = l == ROSTER_ZH ? mem_format("【故障】%s 中断\n对象：%s\n状态：中断\n开始时间：" AT "\n原因：12 %% left\n"
							   "事件 3，通知 7", name, name)
					      : mem_format("[PROBLEM] %s down\nSubject: %s\nState: down\nSince: " AT "\nReason: 12 %% left\n"
							   "Incident 3, notice 7", name, name);
			assert_reads(*state, &in, cases[k].subject, (enum roster_language)l, want);
			free(want);
		}
	}
}

static void the_title_of_a_digest_says_how_many(void **state)
{
	static const struct incident_item items[] = {
		{INTENT_PROBLEM, 3, 0, "system/flood"}, {INTENT_CLOSE, 4, 0, "link/link-heping"}, {INTENT_PROBLEM, 5, 0, "system/none"}};
	struct incident_intent in = intent_of("", "", "");

	in.kind = INTENT_DIGEST;
	in.items = items;
	in.items_count = 3;
	assert_reads(*state, &in, "", ROSTER_ZH, "【汇总】故障 2 条、恢复 1 条\n" AT "\n故障 3 山洪灾害监测预警平台 (system/flood)\n"
		"恢复 4 和平县政务服务中心的链路 (link/link-heping)\n故障 5 system/none\n\n通知 7");
	assert_reads(*state, &in, "", ROSTER_EN, "[DIGEST] problem: 2, close: 1\n" AT "\nproblem 3 Flash flood warning (system/flood)\n"
		"close 4 link of Heping County service centre (link/link-heping)\nproblem 5 system/none\n\nNotice 7");
}

static json_t *alert_of(const struct incident_intent *in, const struct inventory *i, const char *affected)
{
	struct roster_channel c = channel_of(ROSTER_ALERTMANAGER);
	struct phrase p;
	struct letter l;
	json_t *root;

	phrase_make(NULL, i, in, affected, ROSTER_EN, &p);
	letter_write(&c, in, &p, &facts, &l);
	root = json_loadb((const char *)l.body.data, l.body.len, 0, NULL);
	assert_non_null(root);
	letter_fini(&l);
	phrase_fini(&p);
	return root;
}

static const char *text_of(const json_t *root, const char *group, const char *key)
{
	const json_t *alert = json_array_get(json_object_get(root, "alerts"), 0);

	return json_string_value(json_object_get(group != NULL ? json_object_get(alert, group) : alert, key));
}

/* A receiver keeps alerts apart by their labels and fingerprint. */
static void operations_and_a_unit_have_alerts_of_their_own(void **state)
{
	const struct inventory_system *own, *other;
	struct incident_intent in;
	char subject[80], affected[80];
	json_t *ops, *unit, *end;

	two_systems(*state, &own, &other);
	snprintf(subject, sizeof subject, "system/%s", other->id);
	snprintf(affected, sizeof affected, "system/%s", own->id);
	in = intent_of("", subject, "");
	ops = alert_of(&in, *state, affected);
	in.audience = own->unit;
	unit = alert_of(&in, *state, affected);
	assert_string_equal(text_of(ops, "labels", "subject"), subject);
	assert_null(text_of(unit, "labels", "subject"));
	assert_string_not_equal(text_of(ops, NULL, "fingerprint"), text_of(unit, NULL, "fingerprint"));
	assert_string_not_equal(json_string_value(json_object_get(ops, "groupKey")), json_string_value(json_object_get(unit, "groupKey")));
	in.kind = INTENT_CLOSE;
	end = alert_of(&in, *state, affected);
	assert_true(json_equal(json_object_get(unit, "groupLabels"), json_object_get(end, "groupLabels")));
	assert_string_equal(text_of(end, NULL, "fingerprint"), text_of(unit, NULL, "fingerprint"));
	json_decref(ops);
	json_decref(unit);
	json_decref(end);
}

static void a_digest_is_firing_while_one_of_its_items_is(void **state)
{
	struct incident_item items[] = {{INTENT_CLOSE, 3, 0, "system/x"}, {INTENT_MERGED, 4, 5, "system/y"}};
	struct incident_intent in = intent_of("", "", "");
	json_t *root;

	in.kind = INTENT_DIGEST;
	in.incident = 0;
	in.since = 0; /* as judgement writes them */
	in.items = items;
	in.items_count = 2;
	root = alert_of(&in, *state, "");
	assert_string_equal(json_string_value(json_object_get(root, "status")), "resolved");
	assert_string_equal(text_of(root, "labels", "subject"), "system/x");
	assert_null(strstr(text_of(root, NULL, "startsAt"), "1970"));
	json_decref(root);
	items[1].kind = INTENT_PROBLEM;
	root = alert_of(&in, *state, "");
	assert_string_equal(json_string_value(json_object_get(root, "status")), "firing");
	json_decref(root);
}

static void assert_answer(enum roster_kind kind, long status, const char *body, enum letter_outcome want)
{
	struct roster_channel c = channel_of(kind);
	struct err words;
	enum letter_outcome got = letter_answer(&c, status, body, strlen(body), &words);

	if (got != want)
		fail_msg("%d, %ld, %s: outcome %d (%s)", kind, status, body, got, words.text);
}

static void success_is_the_code_of_the_receiver(void **state)
{
	(void)state;
	assert_answer(ROSTER_WECOM, 200, "{\"errcode\":0,\"errmsg\":\"ok\"}", LETTER_TAKEN);
	assert_answer(ROSTER_WECOM, 200, "{\"errcode\":93000,\"errmsg\":\"invalid webhook url\"}", LETTER_REFUSED);
	assert_answer(ROSTER_WECOM, 200, "{\"errcode\":45009,\"errmsg\":\"api freq out of limit\"}", LETTER_SLOWER);
	assert_answer(ROSTER_WECOM, 200, "{\"errcode\":\"0\"}", LETTER_AGAIN);
	assert_answer(ROSTER_WECOM, 200, "<html>", LETTER_AGAIN);
	assert_answer(ROSTER_WECOM, 200, "", LETTER_AGAIN);
	assert_answer(ROSTER_DINGTALK, 200, "{\"errcode\":130101,\"errmsg\":\"send too fast\"}", LETTER_SLOWER);
	assert_answer(ROSTER_DINGTALK, 200, "{\"errcode\":310000,\"errmsg\":\"sign not match\"}", LETTER_REFUSED);
	assert_answer(ROSTER_FEISHU, 200, "{\"code\":0,\"msg\":\"success\"}", LETTER_TAKEN);
	assert_answer(ROSTER_FEISHU, 200, "{\"StatusCode\":0}", LETTER_TAKEN);
	assert_answer(ROSTER_FEISHU, 200, "{\"code\":9499,\"msg\":\"too many request\"}", LETTER_SLOWER);
	assert_answer(ROSTER_FEISHU, 200, "{\"code\":19021,\"msg\":\"sign match fail\"}", LETTER_REFUSED);
	assert_answer(ROSTER_ALERTMANAGER, 202, "", LETTER_TAKEN);
	assert_answer(ROSTER_ALERTMANAGER, 503, "", LETTER_AGAIN);
	assert_answer(ROSTER_ALERTMANAGER, 429, "", LETTER_SLOWER);
	assert_answer(ROSTER_ALERTMANAGER, 404, "", LETTER_REFUSED);
	assert_answer(ROSTER_SMS, 200, "{\"code\":0}", LETTER_TAKEN);
	assert_answer(ROSTER_SMS, 200, "{\"code\":\"0\"}", LETTER_TAKEN);
	assert_answer(ROSTER_SMS, 200, "{\"code\":1}", LETTER_REFUSED);
	assert_answer(ROSTER_SMTP, 250, "", LETTER_TAKEN);
	assert_answer(ROSTER_SMTP, 451, "", LETTER_AGAIN);
	assert_answer(ROSTER_SMTP, 550, "", LETTER_REFUSED);
}

static void success_may_be_a_word(void **state)
{
	struct roster_channel c = channel_of(ROSTER_SMS);
	struct err words;

	(void)state;
	c.success = "ok=true";
	assert_int_equal(letter_answer(&c, 200, "{\"ok\":true}", 11, &words), LETTER_TAKEN);
	assert_string_equal(words.text, "ok is \"true\"");
	assert_int_equal(letter_answer(&c, 200, "{\"ok\":false}", 12, &words), LETTER_REFUSED);
	assert_int_equal(letter_answer(&c, 200, "{\"ok\":{}}", 9, &words), LETTER_REFUSED);
}

static void a_long_text_is_cut_between_letters(void **state)
{
	(void)state;
	assert_int_equal(phrase_cut("中文", 5), 3);
	assert_int_equal(phrase_cut("中文", 6), 6);
	assert_int_equal(phrase_cut("中文", 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unit_reads_of_its_own_systems_alone),
		cmocka_unit_test(many_systems_leave_room_for_the_words),
		cmocka_unit_test(a_cut_link_is_read_by_operations),
		cmocka_unit_test(the_title_names_the_one_family_that_fails),
		cmocka_unit_test(a_cut_link_is_read_by_a_unit),
		cmocka_unit_test(what_was_degraded_and_is_down_is_read_as_worse),
		cmocka_unit_test(troubles_of_the_monitoring_itself_have_names),
		cmocka_unit_test(the_title_of_a_digest_says_how_many),
		cmocka_unit_test(what_came_from_outside_stays_words),
		cmocka_unit_test(hostile_reasons_break_no_letter),
		cmocka_unit_test(a_signature_is_that_of_the_manuals),
		cmocka_unit_test(mails_of_one_incident_stand_together),
		cmocka_unit_test(a_digest_is_an_alert_for_each_of_its_items),
		cmocka_unit_test(operations_and_a_unit_have_alerts_of_their_own),
		cmocka_unit_test(a_digest_is_firing_while_one_of_its_items_is),
		cmocka_unit_test(success_is_the_code_of_the_receiver),
		cmocka_unit_test(success_may_be_a_word),
		cmocka_unit_test(a_long_text_is_cut_between_letters),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

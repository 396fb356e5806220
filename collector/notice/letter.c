#include "collector/notice/letter.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "collector/judge/incident.h"
#include "collector/notice/phrase.h"
#include "collector/web/json.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define WECOM_TEXT_MAX 2048
#define BOT_TEXT_MAX 15000 /* DingTalk and Feishu take 20 kB of body, in which a letter may need more */
#define SMS_TEXT_MAX 500   /* some seven parts of a long message */
#define SYSLOG_TEXT_MAX 5000 /* of SYSLOG_MAX; the rest is for what stands before it */
#define INFORM_TEXT_MAX 480
#define COMMAND_TEXT_MAX 16000 /* RUNNER_INPUT_MAX with its end */
#define OTHER_TEXT_MAX (1u << 20)
#define ENCODED_BYTES 42   /* of text in one encoded word: 56 letters of base64, 75 with its frame */
#define MAIL_LINE 57       /* bytes that make 76 letters of base64 */

static void add_base64(struct buf *out, const void *data, size_t len)
{
	uint8_t *at = buf_reserve(out, (len + 2) / 3 * 4 + 1);

	out->len += (size_t)EVP_EncodeBlock(at, data, (int)len);
}

static void add_percent(struct buf *out, const char *text)
{
	for (const uint8_t *p = (const uint8_t *)text; *p != '\0'; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-._~", *p) != NULL)
			buf_add_u8(out, *p);
		else
			buf_add_format(out, "%%%02X", *p);
	}
}

void letter_sign(const char *key, const char *message, struct buf *out)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	HMAC(EVP_sha256(), key, (int)strlen(key), (const uint8_t *)message, strlen(message), sum, &len);
	add_base64(out, sum, len);
}

/* What the key counts. */
static const char *stem_of(const struct letter_facts *f)
{
	static const char *const stems[] = {[LETTER_NOTICE] = "notice", [LETTER_TEST] = "test", [LETTER_BEAT] = "beat"};

	return stems[f->matter];
}

char *letter_key(const struct roster_channel *c, const struct incident_intent *intent, const struct letter_facts *f)
{
	return mem_format("%s-%s-%" PRIu64 "-%s", f->collector, stem_of(f), intent->key, c->id);
}

static void add_header(struct letter *l, char *text)
{
	l->headers[l->headers_count++] = text;
}

/* ---- mail */

void letter_add_encoded(struct buf *out, const char *text)
{
	for (const char *p = text; *p != '\0';) {
		size_t len = phrase_cut(p, ENCODED_BYTES);

		if (p != text)
			buf_add_text(out, "\r\n ");
		buf_add_text(out, "=?UTF-8?B?");
		add_base64(out, p, len);
		buf_add_text(out, "?=");
		p += len;
	}
}

static void add_date(struct buf *out, int64_t now)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t s = (time_t)(now / NS_PER_S);
	struct tm t;

	gmtime_r(&s, &t);
	buf_add_format(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
		t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* All mails of an incident answer one that need not exist, so that they stand together whichever came first. */
static void add_thread(struct buf *out, const struct incident_intent *intent, const char *collector)
{
	if (intent->incident == 0)
		return;
	for (int i = 0; i < 2; i++)
		buf_add_format(out, "%s: <incident-%" PRIu64 "@%s.xunjian>\r\n", i == 0 ? "In-Reply-To" : "References", intent->incident,
			collector);
}

static void write_mail(const struct roster_channel *c, const struct incident_intent *intent, const struct phrase *p,
	const struct letter_facts *f, struct letter *l)
{
	struct buf *out = &l->body, text = {0};

	buf_add_format(&l->url, "%s/%s", c->url, f->collector); /* the path is what EHLO says */
	buf_add_format(out, "From: %s\r\nTo: ", c->from);
	for (size_t i = 0; i < c->to.count; i++)
		buf_add_format(out, "%s%s", i > 0 ? ",\r\n " : "", c->to.items[i]);
	buf_add_text(out, "\r\n");
	add_date(out, f->now);
	buf_add_text(out, "Subject: ");
	letter_add_encoded(out, p->title);
	buf_add_format(out, "\r\nMessage-ID: <%s-%" PRIu64 "-%s@%s.xunjian>\r\n", stem_of(f), intent->key, c->id, f->collector);
	add_thread(out, intent, f->collector);
	buf_add_text(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n");
	for (const char *at = p->body; *at != '\0'; at++) {
		if (*at == '\n')
			buf_add_u8(&text, '\r');
		buf_add_u8(&text, (uint8_t)*at);
	}
	for (size_t at = 0; at < text.len; at += MAIL_LINE) {
		add_base64(out, text.data + at, text.len - at < MAIL_LINE ? text.len - at : MAIL_LINE);
		buf_add_text(out, "\r\n");
	}
	buf_fini(&text);
}

/* ---- bots */

static char *bot_text(const struct phrase *p, size_t max)
{
	char *text = mem_format("%s\n%s", p->title, p->body);

	text[phrase_cut(text, max)] = '\0';
	return text;
}

static void give_json(struct json *j, struct letter *l)
{
	json_close(j, '}');
	l->body = j->out;
	add_header(l, mem_strdup("Content-Type: application/json; charset=utf-8"));
}

static void write_wecom(const struct roster_channel *c, const struct phrase *p, const struct letter_facts *f, struct letter *l)
{
	char *text = bot_text(p, WECOM_TEXT_MAX);
	struct json j = {0};

	buf_add_format(&l->url, "%s?key=", c->url);
	add_percent(&l->url, f->token);
	json_open(&j, NULL, '{');
	json_text(&j, "msgtype", "text");
	json_open(&j, "text", '{');
	json_text(&j, "content", text);
	json_close(&j, '}');
	give_json(&j, l);
	free(text);
}

static void write_dingtalk(const struct roster_channel *c, const struct phrase *p, const struct letter_facts *f, struct letter *l)
{
	char *text = bot_text(p, BOT_TEXT_MAX), *signed_text = mem_format("%" PRId64 "\n%s", f->now / NS_PER_MS, f->secret);
	struct buf sign = {0};
	struct json j = {0};

	buf_add_format(&l->url, "%s?access_token=", c->url);
	add_percent(&l->url, f->token);
	if (f->secret[0] != '\0') {
		letter_sign(f->secret, signed_text, &sign);
		buf_add_format(&l->url, "&timestamp=%" PRId64 "&sign=", f->now / NS_PER_MS);
		add_percent(&l->url, buf_text(&sign));
	}
	json_open(&j, NULL, '{');
	json_text(&j, "msgtype", "text");
	json_open(&j, "text", '{');
	json_text(&j, "content", text);
	json_close(&j, '}');
	give_json(&j, l);
	buf_fini(&sign);
	free(signed_text);
	free(text);
}

static void write_feishu(const struct roster_channel *c, const struct phrase *p, const struct letter_facts *f, struct letter *l)
{
	char *text = bot_text(p, BOT_TEXT_MAX), *now = mem_format("%" PRId64, f->now / NS_PER_S);
	char *key = mem_format("%s\n%s", now, f->secret);
	struct buf sign = {0};
	struct json j = {0};

	buf_add_format(&l->url, "%s/", c->url);
	add_percent(&l->url, f->token);
	json_open(&j, NULL, '{');
	if (f->secret[0] != '\0') {
		letter_sign(key, "", &sign);
		json_text(&j, "timestamp", now);
		json_text(&j, "sign", buf_text(&sign));
	}
	json_text(&j, "msg_type", "text");
	json_open(&j, "content", '{');
	json_text(&j, "text", text);
	json_close(&j, '}');
	give_json(&j, l);
	buf_fini(&sign);
	free(key);
	free(now);
	free(text);
}

/* ---- programs */

static void put_time(struct json *j, const char *key, int64_t ns)
{
	time_t s = (time_t)(ns / NS_PER_S);
	char text[40];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_text(j, key, text);
}

/* What tells one alert from another: the same from its beginning to its end. subject "": none, or another's. */
static void put_labels(struct json *j, const char *key, const char *name, uint64_t incident, const char *audience,
	const char *subject)
{
	char number[24];

	snprintf(number, sizeof number, "%" PRIu64, incident);
	json_open(j, key, '{');
	json_text(j, "alertname", name);
	json_text(j, "incident", number);
	json_text(j, "audience", audience[0] != '\0' ? audience : "operations");
	if (subject[0] != '\0')
		json_text(j, "subject", subject);
	json_close(j, '}');
}

static void put_annotations(struct json *j, const char *key, const struct phrase *p)
{
	json_open(j, key, '{');
	json_text(j, "summary", p->title);
	json_text(j, "description", p->body);
	json_close(j, '}');
}

static const char *status_of(enum incident_intent_kind kind)
{
	return kind == INTENT_CLOSE || kind == INTENT_MERGED ? "resolved" : "firing";
}

/* Firing as long as one of a digest is. */
static const char *status_of_all(const struct incident_intent *intent)
{
	for (size_t i = 0; i < intent->items_count; i++) {
		if (strcmp(status_of(intent->items[i].kind), "firing") == 0)
			return "firing";
	}
	return intent->items_count > 0 ? "resolved" : status_of(intent->kind);
}

/* Each audience has its own alert of an incident: a receiver that tells them apart by this must not take one for the other. */
static char *group_of(uint64_t incident, const char *audience)
{
	return audience[0] == '\0' ? mem_format("incident-%" PRIu64, incident) : mem_format("incident-%" PRIu64 "-%s", incident, audience);
}

/* One alert: of the notice, or of an item of its digest. */
static void put_alert(struct json *j, const struct incident_intent *intent, const char *name, const struct incident_item *item,
	const struct phrase *p)
{
	char *group = group_of(item->incident, intent->audience);

	json_open(j, NULL, '{');
	json_text(j, "status", status_of(item->kind));
	put_labels(j, "labels", name, item->incident, intent->audience, item->subject);
	put_annotations(j, "annotations", p);
	put_time(j, "startsAt", intent->since != 0 ? intent->since : intent->at);
	if (strcmp(status_of(item->kind), "resolved") == 0)
		put_time(j, "endsAt", intent->at);
	else
		json_text(j, "endsAt", "0001-01-01T00:00:00Z");
	json_text(j, "generatorURL", "");
	json_text(j, "fingerprint", group);
	json_close(j, '}');
	free(group);
}

/* What an item is about may be another's: of a digest units do not have it by name. */
static void put_alerts(struct json *j, const struct incident_intent *intent, const char *name, const struct phrase *p)
{
	struct incident_item one = {.kind = intent->kind, .incident = intent->incident, .subject = p->subject != NULL ? p->subject : ""};

	json_open(j, "alerts", '[');
	for (size_t i = 0; i < intent->items_count; i++) {
		one = intent->items[i];
		if (incident_is_unit(intent->audience))
			one.subject = "";
		put_alert(j, intent, name, &one, p);
	}
	if (intent->items_count == 0)
		put_alert(j, intent, name, &one, p);
	json_close(j, ']');
}

static void write_alertmanager(const struct roster_channel *c, const struct incident_intent *intent, const struct phrase *p,
	const struct letter_facts *f, struct letter *l)
{
	const char *name = f->matter == LETTER_BEAT ? "xunjian-beat" : "xunjian";
	const char *subject = intent->items_count == 0 && p->subject != NULL ? p->subject : "";
	char *group = group_of(intent->incident, intent->audience);
	struct json j = {0};

	buf_add_text(&l->url, c->url);
	json_open(&j, NULL, '{');
	json_text(&j, "version", "4");
	json_text(&j, "groupKey", group);
	json_int(&j, "truncatedAlerts", 0);
	json_text(&j, "status", status_of_all(intent));
	json_text(&j, "receiver", c->id);
	put_labels(&j, "groupLabels", name, intent->incident, intent->audience, subject);
	put_labels(&j, "commonLabels", name, intent->incident, intent->audience, subject);
	put_annotations(&j, "commonAnnotations", p);
	json_text(&j, "externalURL", "");
	put_alerts(&j, intent, name, p);
	give_json(&j, l);
	if (f->token[0] != '\0')
		add_header(l, mem_format("Authorization: Bearer %s", f->token));
	free(group);
}

static void add_value(struct buf *out, const char *text, bool is_form)
{
	struct json j = {0};

	if (is_form) {
		add_percent(out, text);
		return;
	}
	json_text(&j, NULL, text);
	buf_add(out, j.out.data + 1, j.out.len - 2); /* without its quotes, which the body has */
	json_fini(&j);
}

static void write_sms(const struct roster_channel *c, const struct phrase *p, const struct letter_facts *f, struct letter *l)
{
	char *text = bot_text(p, SMS_TEXT_MAX);
	struct buf to = {0};
	size_t len;

	for (size_t i = 0; i < c->to.count; i++)
		buf_add_format(&to, "%s%s", i > 0 ? "," : "", c->to.items[i]);
	buf_add_text(&l->url, c->url);
	for (const char *at = c->body; *at != '\0'; at += len) {
		bool is_text = strncmp(at, "{text}", 6) == 0;

		if (is_text || strncmp(at, "{to}", 4) == 0) {
			add_value(&l->body, is_text ? text : buf_text(&to), c->form != 0);
			len = is_text ? 6 : 4;
		} else {
			buf_add(&l->body, at, len = 1);
		}
	}
	add_header(l, mem_strdup(c->form != 0 ? "Content-Type: application/x-www-form-urlencoded"
					      : "Content-Type: application/json; charset=utf-8"));
	if (f->token[0] != '\0')
		add_header(l, mem_format("Authorization: Bearer %s", f->token));
	buf_fini(&to);
	free(text);
}

void letter_write(const struct roster_channel *c, const struct incident_intent *intent, const struct phrase *p,
	const struct letter_facts *f, struct letter *out)
{
	char *key;

	*out = (struct letter){0};
	switch ((enum roster_kind)c->kind) {
	case ROSTER_SMTP:
		write_mail(c, intent, p, f, out);
		return;
	case ROSTER_WECOM:
		write_wecom(c, p, f, out);
		break;
	case ROSTER_DINGTALK:
		write_dingtalk(c, p, f, out);
		break;
	case ROSTER_FEISHU:
		write_feishu(c, p, f, out);
		break;
	case ROSTER_ALERTMANAGER:
		write_alertmanager(c, intent, p, f, out);
		break;
	case ROSTER_SMS:
		write_sms(c, p, f, out);
		break;
	case ROSTER_SYSLOG: /* messages of their own */
	case ROSTER_INFORM:
	case ROSTER_COMMAND:
	case ROSTER_KINDS:
		return;
	}
	key = letter_key(c, intent, f);
	add_header(out, mem_format("Idempotency-Key: %s", key));
	free(key);
}

size_t letter_room(const struct roster_channel *c)
{
	switch ((enum roster_kind)c->kind) {
	case ROSTER_WECOM:
		return WECOM_TEXT_MAX;
	case ROSTER_DINGTALK:
	case ROSTER_FEISHU:
		return BOT_TEXT_MAX;
	case ROSTER_SMS:
		return SMS_TEXT_MAX;
	case ROSTER_SYSLOG:
		return SYSLOG_TEXT_MAX;
	case ROSTER_INFORM:
		return INFORM_TEXT_MAX;
	case ROSTER_COMMAND:
		return COMMAND_TEXT_MAX;
	case ROSTER_SMTP:
	case ROSTER_ALERTMANAGER:
	case ROSTER_KINDS:
		break;
	}
	return OTHER_TEXT_MAX;
}

void letter_fini(struct letter *l)
{
	buf_fini(&l->url);
	buf_fini(&l->body);
	for (size_t i = 0; i < l->headers_count; i++)
		free(l->headers[i]);
	*l = (struct letter){0};
}

/* ---- answers */

/* Codes that say too many: WeCom 45009 and 45033, DingTalk 130101 and 410100, Feishu 9499 and 11232. */
static bool is_too_many(int64_t code)
{
	return code == 45009 || code == 45033 || code == 130101 || code == 410100 || code == 9499 || code == 11232;
}

static void words_of(json_t *answer, const char *member, int64_t code, struct err *words)
{
	const char *text = json_string_value(json_object_get(answer, member));
	struct buf clean = {0};

	phrase_add_clean(&clean, text != NULL ? text : "");
	err_set(words, "code %" PRId64 " %.200s", code, buf_text(&clean));
	buf_fini(&clean);
}

static enum letter_outcome bot_answer(const struct roster_channel *c, json_t *answer, struct err *words)
{
	bool is_feishu = c->kind == ROSTER_FEISHU;
	json_t *code = json_object_get(answer, is_feishu ? "code" : "errcode");

	if (code == NULL && is_feishu)
		code = json_object_get(answer, "StatusCode"); /* its older answers */
	if (!json_is_integer(code)) {
		err_set(words, "the answer has no code");
		return LETTER_AGAIN;
	}
	words_of(answer, is_feishu ? "msg" : "errmsg", json_integer_value(code), words);
	if (json_integer_value(code) == 0)
		return LETTER_TAKEN;
	/* -1: busy (WeCom, DingTalk). Else key, signature, words: only an operator mends it. */
	return is_too_many(json_integer_value(code)) ? LETTER_SLOWER : json_integer_value(code) == -1 ? LETTER_AGAIN : LETTER_REFUSED;
}

static enum letter_outcome sms_answer(const struct roster_channel *c, json_t *answer, struct err *words)
{
	size_t len = strcspn(c->success, "=");
	char *member = mem_copy(c->success, len + 1), number[24] = "";
	const char *value, *wanted = c->success + len + 1;
	json_t *found;

	member[len] = '\0';
	found = json_object_get(answer, member);
	if (json_is_integer(found))
		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(found));
	else if (json_is_boolean(found))
		snprintf(number, sizeof number, json_is_true(found) ? "true" : "false");
	value = json_is_string(found) ? json_string_value(found) : number;
	err_set(words, "%.60s is \"%.100s\"", member, value);
	free(member);
	return strcmp(value, wanted) == 0 ? LETTER_TAKEN : LETTER_REFUSED;
}

static enum letter_outcome status_answer(long status, struct err *words)
{
	err_set(words, "status %ld", status);
	if (status / 100 == 2)
		return LETTER_TAKEN;
	return status == 429 ? LETTER_SLOWER : status / 100 == 4 && status != 408 ? LETTER_REFUSED : LETTER_AGAIN;
}

enum letter_outcome letter_answer(const struct roster_channel *c, long status, const void *body, size_t len, struct err *words)
{
	enum letter_outcome outcome;
	json_t *answer;

	if (c->kind == ROSTER_SMTP) {
		/* 5xx is for ever, 4xx for now (RFC 5321, 4.2.1). */
		err_set(words, "status %ld", status);
		return status / 100 == 2 ? LETTER_TAKEN : status / 100 == 5 ? LETTER_REFUSED : LETTER_AGAIN;
	}
	outcome = status_answer(status, words);
	if (outcome != LETTER_TAKEN || c->kind == ROSTER_ALERTMANAGER)
		return outcome;
	answer = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(answer)) {
		err_set(words, "the answer is no JSON object");
		outcome = LETTER_AGAIN;
	} else {
		outcome = c->kind == ROSTER_SMS ? sms_answer(c, answer, words) : bot_answer(c, answer, words);
	}
	json_decref(answer);
	return outcome;
}

#include "collector/notice/phrase.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/inventory.h"
#include "collector/judge/incident.h"
#include "collector/notice/template.h"
#include "collector/reason.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define SHANGHAI (8 * 3600)
#define NAMED_IN_SHORT 3 /* systems */

struct told {
	const struct inventory *inventory;
	const struct incident_intent *intent;
	const char *affected;
	enum roster_language language;
	bool is_title;
};

struct words {
	const char *title, *body;
};

/* A line of which every word in braces stands for nothing is left out. */
#define ZH_WHAT "对象：{subject}{line}"
#define ZH_TAKEN_ALONG "涉及系统：{systems}{line}事件 {incident}，通知 {key}"
#define ZH_FACTS ZH_WHAT "状态：{state}{line}网络协议：{families}{line}开始时间：{since}{line}原因：{reason}{line}" ZH_TAKEN_ALONG
#define ZH_END ZH_WHAT "开始时间：{since}{line}结束时间：{at}{line}曾经：{state}{line}网络协议：{families}{line}" ZH_TAKEN_ALONG
#define EN_WHAT "Subject: {subject}{line}"
#define EN_TAKEN_ALONG "Systems: {systems}{line}Incident {incident}, notice {key}"
#define EN_FACTS EN_WHAT "State: {state}{line}Families: {families}{line}Since: {since}{line}Reason: {reason}{line}" EN_TAKEN_ALONG
#define EN_END EN_WHAT "Since: {since}{line}Closed: {at}{line}Was: {state}{line}Families: {families}{line}" EN_TAKEN_ALONG

static const struct words built_in[ROSTER_LANGUAGES][INTENT_KINDS] = {
	[ROSTER_ZH] = {
		[INTENT_PROBLEM] = {"【故障】{subject} {state}", ZH_FACTS},
		[INTENT_CLOSE] = {"【{reason}】{subject}", ZH_END},
		[INTENT_MERGED] = {"【合并】{subject} 并入事件 {other}",
			"起因已查明，属于事件 {other}，此后随其通知。{line}时间：{at}{line}" ZH_FACTS},
		[INTENT_FLAPPING] = {"【抖动】{subject} 时好时坏", "稳定后将通知结束。{line}" ZH_FACTS},
		[INTENT_ESCALATE] = {"【升级 {level}】{subject} {state}，无人确认", ZH_FACTS},
		[INTENT_ACKNOWLEDGED] = {"【已确认】{subject}", "确认人：{author}{line}说明：{text}{line}" ZH_FACTS},
		[INTENT_UNACKNOWLEDGED] = {"【取消确认】{subject}", "操作人：{author}{line}" ZH_FACTS},
		[INTENT_ASSIGNED] = {"【已指派】{subject}：{text}", "指派人：{author}{line}" ZH_FACTS},
		[INTENT_COMMENTED] = {"【备注】{subject}", "{author}：{text}{line}" ZH_FACTS},
		[INTENT_DIGEST] = {"【汇总】{count}", "{at}{line}{items}{line}通知 {key}"},
		[INTENT_WORSE] = {"【加重】{subject} {state}", "起因由部分异常变为中断。{line}" ZH_FACTS},
	},
	[ROSTER_EN] = {
		[INTENT_PROBLEM] = {"[PROBLEM] {subject} {state}", EN_FACTS},
		[INTENT_CLOSE] = {"[CLOSED] {subject}: {reason}", EN_END},
		[INTENT_MERGED] = {"[MERGED] {subject} into incident {other}",
			"The cause was found: it belongs to incident {other} and is told with it from now on.{line}At: {at}{line}" EN_FACTS},
		[INTENT_FLAPPING] = {"[FLAPPING] {subject} comes and goes", "Its end is told when it is quiet.{line}" EN_FACTS},
		[INTENT_ESCALATE] = {"[ESCALATION {level}] {subject} {state}, not acknowledged", EN_FACTS},
		[INTENT_ACKNOWLEDGED] = {"[ACKNOWLEDGED] {subject}", "By: {author}{line}Words: {text}{line}" EN_FACTS},
		[INTENT_UNACKNOWLEDGED] = {"[NOT ACKNOWLEDGED] {subject}", "By: {author}{line}" EN_FACTS},
		[INTENT_ASSIGNED] = {"[ASSIGNED] {subject}: {text}", "By: {author}{line}" EN_FACTS},
		[INTENT_COMMENTED] = {"[COMMENT] {subject}", "{author}: {text}{line}" EN_FACTS},
		[INTENT_DIGEST] = {"[DIGEST] {count}", "{at}{line}{items}{line}Notice {key}"},
		[INTENT_WORSE] = {"[WORSE] {subject} {state}", "What was degraded is down now.{line}" EN_FACTS},
	},
};

/* ---- what came from outside */

static size_t letter_length(const uint8_t *p)
{
	size_t n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the closing NUL too */
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
		(p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* Controls, line separators (U+2028, U+2029), marks of direction (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069). */
static bool is_control(const uint8_t *p, size_t n)
{
	if (n == 1)
		return *p < 0x20 || *p == 0x7f;
	if (n == 2)
		return (p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c);
	return n == 3 && p[0] == 0xe2 && ((p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
		(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

void phrase_add_clean(struct buf *out, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t start = out->len;

	while (*p != '\0') {
		size_t n = letter_length(p);

		if (out->len - start + 4 > PHRASE_VALUE_MAX) {
			buf_add_text(out, "…");
			return;
		}
		if (n == 0)
			buf_add_u8(out, '?');
		else if (is_control(p, n))
			buf_add_u8(out, ' ');
		else if (*p == '<' || *p == '>')
			buf_add_text(out, *p == '<' ? "＜" : "＞");
		else
			buf_add(out, p, n);
		p += n > 0 ? n : 1;
	}
}

size_t phrase_cut(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len <= max)
		return len;
	for (len = max; len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80;)
		len--;
	return len;
}

/* ---- subjects */

bool phrase_is_own(const struct inventory *inventory, const char *audience, const char *subject, size_t len)
{
	const struct inventory_system *s;
	char id[64];

	if (!incident_is_unit(audience))
		return true;
	if (len <= 7 || len - 7 >= sizeof id || strncmp(subject, "system/", 7) != 0)
		return false;
	memcpy(id, subject + 7, len - 7);
	id[len - 7] = '\0';
	s = inventory_system(inventory, id);
	return s != NULL && strcmp(s->unit, audience) == 0;
}

static bool is_own(const struct told *t, const char *subject, size_t len)
{
	return phrase_is_own(t->inventory, t->intent->audience, subject, len);
}

static const char *name_in(enum roster_language l, const char *zh, const char *en, const char *id)
{
	if (l == ROSTER_EN)
		return en != NULL && en[0] != '\0' ? en : id;
	return zh != NULL && zh[0] != '\0' ? zh : id;
}

/* Of what has no name of its own, in words; false: of what nothing is known. */
static bool add_link(const struct told *t, const char *id, struct buf *out)
{
	const struct inventory_link *l = inventory_link(t->inventory, id);

	if (l == NULL)
		return false;
	if (l->name != NULL && l->name[0] != '\0') {
		phrase_add_clean(out, l->name);
		return true;
	}
	if (t->language == ROSTER_EN)
		buf_add_text(out, "link of ");
	phrase_add_clean(out, name_in(t->language, l->of_site->name, l->of_site->name_en, l->site));
	if (t->language == ROSTER_ZH)
		buf_add_text(out, "的链路");
	return true;
}

static bool add_agent(const struct told *t, const char *id, const char *zh, const char *en, struct buf *out)
{
	const struct inventory_agent *a = inventory_agent(t->inventory, id);

	if (a != NULL && t->language == ROSTER_EN)
		buf_add_format(out, "%s ", en);
	if (a != NULL)
		phrase_add_clean(out, name_in(a->name_en[0] != '\0' ? t->language : ROSTER_ZH, a->name, a->name_en, id));
	if (a != NULL && t->language == ROSTER_ZH)
		buf_add_text(out, zh);
	return a != NULL;
}

static bool add_monitoring(const struct told *t, const char *id, struct buf *out)
{
	static const struct {
		const char *id, *words[ROSTER_LANGUAGES];
	} matters[] = {
		{"disk", {"巡检自身：磁盘空间", "the monitoring itself: disk space"}},
		{"certificate", {"巡检自身：证书到期", "the monitoring itself: its certificate"}},
		{"series", {"巡检自身：数据处理", "the monitoring itself: series"}},
		{"notice", {"巡检自身：通知送达", "the monitoring itself: delivery of notices"}},
		{"beat", {"巡检自身：心跳", "the monitoring itself: its beat"}},
		{"commands", {"巡检自身：命令通道", "the monitoring itself: commands of channels"}},
	};

	if (strncmp(id, "clock-", 6) == 0)
		return add_agent(t, id + 6, "的时钟", "clock of", out);
	for (size_t i = 0; i < sizeof matters / sizeof *matters; i++) {
		if (strcmp(matters[i].id, id) == 0) {
			buf_add_text(out, matters[i].words[t->language]);
			return true;
		}
	}
	return false;
}

static bool add_name(const struct told *t, const char *kind, const char *id, struct buf *out)
{
	const struct inventory_system *system;
	const struct inventory_site *site;
	const char *name = "";

	if (strcmp(kind, "link") == 0)
		return add_link(t, id, out);
	if (strcmp(kind, "agent") == 0)
		return add_agent(t, id, "的探针", "agent of", out);
	if (strcmp(kind, "host") == 0)
		return add_agent(t, id, "的主机", "host of", out);
	if (strcmp(kind, "monitoring") == 0)
		return add_monitoring(t, id, out);
	if (strcmp(kind, "system") == 0 && (system = inventory_system(t->inventory, id)) != NULL)
		name = name_in(t->language, system->name, system->name_en, "");
	else if (strcmp(kind, "site") == 0 && (site = inventory_site(t->inventory, id)) != NULL)
		name = name_in(t->language, site->name, site->name_en, "");
	phrase_add_clean(out, name);
	return name[0] != '\0';
}

static void add_subject(const struct told *t, const char *subject, size_t len, struct buf *out)
{
	char *whole = mem_copy(subject, len + 1), *kind = mem_copy(subject, len + 1), *slash;

	whole[len] = kind[len] = '\0';
	slash = strchr(kind, '/');
	if (slash != NULL)
		*slash = '\0';
	if (slash != NULL && add_name(t, kind, slash + 1, out)) {
		buf_add_text(out, " (");
		phrase_add_clean(out, whole);
		buf_add_text(out, ")");
	} else {
		phrase_add_clean(out, whole);
	}
	free(whole);
	free(kind);
}

/* Systems that are affected: all for operations, a unit's own for it. Their number comes back. In short not all are named: where
 * a message is cut, its words must not be lost behind names. */
static size_t add_systems(const struct told *t, bool in_short, struct buf *out)
{
	size_t count = 0;

	for (const char *p = t->affected; *p != '\0';) {
		size_t len = strcspn(p, " ");

		if (len > 7 && strncmp(p, "system/", 7) == 0 && is_own(t, p, len) && (count++ < NAMED_IN_SHORT || !in_short)) {
			if (count > 1)
				buf_add_text(out, t->language == ROSTER_ZH ? "、" : ", ");
			add_subject(t, p, len, out);
		}
		p += len + strspn(p + len, " ");
	}
	if (in_short && count > NAMED_IN_SHORT && t->language == ROSTER_ZH)
		buf_add_format(out, " 等 %zu 个", count);
	else if (in_short && count > NAMED_IN_SHORT)
		buf_add_format(out, " and %zu more", count - NAMED_IN_SHORT);
	return count;
}

/* Their ids, divided by spaces. */
static void put_ids(const struct told *t, struct buf *out)
{
	for (const char *p = t->affected; *p != '\0';) {
		size_t len = strcspn(p, " ");

		if (len > 7 && strncmp(p, "system/", 7) == 0 && is_own(t, p, len)) {
			if (out->len > 0)
				buf_add_u8(out, ' ');
			buf_add(out, p + 7, len - 7);
		}
		p += len + strspn(p + len, " ");
	}
}

static bool is_cause_own(const struct told *t)
{
	return is_own(t, t->intent->subject, strlen(t->intent->subject));
}

static void put_systems(const struct told *t, struct buf *out)
{
	if (add_systems(t, t->is_title, out) == 0)
		buf_add_text(out, "-");
}

static void put_subject(const struct told *t, struct buf *out)
{
	if (is_cause_own(t))
		add_subject(t, t->intent->subject, strlen(t->intent->subject), out);
	else if (add_systems(t, true, out) == 0)
		buf_add_text(out, t->language == ROSTER_ZH ? "本单位系统" : "systems of yours");
}

static bool is_reason_own(const struct told *t)
{
	return t->intent->kind == INTENT_CLOSE || is_cause_own(t);
}

static void put_reason(const struct told *t, struct buf *out)
{
	struct buf zh = {0};

	if (is_reason_own(t) && t->language == ROSTER_ZH) {
		reason_say_zh(t->intent->reason, &zh);
		phrase_add_clean(out, buf_text(&zh));
		buf_fini(&zh);
	} else if (is_reason_own(t)) {
		phrase_add_clean(out, t->intent->reason);
	} else {
		buf_add_text(out, t->language == ROSTER_ZH ? "原因不在本单位系统" : "the cause is outside your systems");
	}
}

/* ---- facts */

static void put_state(const struct told *t, struct buf *out)
{
	static const char *const zh[] = {"未知", "正常", "未知", "部分异常", "中断", "检修"};
	enum state s = t->intent->state;
	unsigned faults = t->intent->faults & (FAULT_V4 | FAULT_V6);

	if (!is_cause_own(t)) { /* the state is that of the cause; what it does to this unit's systems may be less */
		buf_add_text(out, t->language == ROSTER_ZH ? "受影响" : "affected");
		return;
	}
	buf_add_text(out, t->language == ROSTER_EN ? verdict_state_name(s) : s <= STATE_MAINTENANCE ? zh[s] : "未知");
	/* In a list of mails the title is all that is seen; below it the families have a line. */
	if (t->is_title && s == STATE_DEGRADED && (faults == FAULT_V4 || faults == FAULT_V6))
		buf_add_format(out, t->language == ROSTER_EN ? " (%s)" : "（%s）", faults == FAULT_V4 ? "IPv4" : "IPv6");
}

static void put_families(const struct told *t, struct buf *out)
{
	unsigned faults = t->intent->faults & (FAULT_V4 | FAULT_V6);

	buf_add_text(out, faults == FAULT_V4 ? "IPv4" : faults == FAULT_V6 ? "IPv6" : faults != 0 ? "IPv4, IPv6" : "-");
}

static void add_time(int64_t ns, struct buf *out)
{
	time_t s = (time_t)(ns / NS_PER_S) + SHANGHAI;
	struct tm tm;
	char text[40];

	gmtime_r(&s, &tm);
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +08:00", &tm);
	buf_add_text(out, text);
}

static void put_since(const struct told *t, struct buf *out)
{
	add_time(t->intent->since, out);
}

static void put_at(const struct told *t, struct buf *out)
{
	add_time(t->intent->at, out);
}

static void put_incident(const struct told *t, struct buf *out)
{
	buf_add_format(out, "%" PRIu64, t->intent->incident);
}

static void put_other(const struct told *t, struct buf *out)
{
	buf_add_format(out, "%" PRIu64, t->intent->other);
}

static void put_level(const struct told *t, struct buf *out)
{
	buf_add_format(out, "%u", t->intent->level);
}

static void put_key(const struct told *t, struct buf *out)
{
	buf_add_format(out, "%" PRIu64, t->intent->key);
}

static void put_author(const struct told *t, struct buf *out)
{
	phrase_add_clean(out, t->intent->author[0] != '\0' ? t->intent->author : "-");
}

/* Words of people about an incident of others may name anything of theirs. */
static void put_text(const struct told *t, struct buf *out)
{
	phrase_add_clean(out, is_cause_own(t) ? t->intent->text : "-");
}

static const char *kind_name(const struct told *t, enum incident_intent_kind kind)
{
	static const char *const zh[INTENT_KINDS] = {"故障", "恢复", "合并", "抖动", "升级", "已确认", "取消确认", "已指派", "备注", "汇总", "探测", "加重"};

	return t->language == ROSTER_ZH && kind < INTENT_KINDS ? zh[kind] : incident_intent_name(kind);
}

/* A unit is told which of its notices these are; the cause by name only when it is its own. */
static void put_items(const struct told *t, struct buf *out)
{
	for (size_t i = 0; i < t->intent->items_count; i++) {
		const struct incident_item *item = &t->intent->items[i];

		buf_add_format(out, "%s %" PRIu64, kind_name(t, item->kind), item->incident);
		if (is_own(t, item->subject, strlen(item->subject))) {
			buf_add_text(out, " ");
			add_subject(t, item->subject, strlen(item->subject), out);
		}
		buf_add_text(out, "\n");
	}
}

static void put_count(const struct told *t, struct buf *out)
{
	size_t counts[INTENT_KINDS] = {0};
	bool is_first = true;

	for (size_t i = 0; i < t->intent->items_count; i++)
		counts[t->intent->items[i].kind < INTENT_KINDS ? t->intent->items[i].kind : INTENT_DIGEST]++;
	for (int k = 0; k < INTENT_KINDS; k++) {
		if (counts[k] == 0)
			continue;
		if (!is_first)
			buf_add_text(out, t->language == ROSTER_ZH ? "、" : ", ");
		buf_add_format(out, t->language == ROSTER_ZH ? "%s %zu 条" : "%s: %zu", kind_name(t, (enum incident_intent_kind)k),
			counts[k]);
		is_first = false;
	}
}

static void put_line(const struct told *t, struct buf *out)
{
	(void)t;
	buf_add_text(out, "\n");
}

static void (*const puts_of[TEMPLATE_NONE])(const struct told *, struct buf *) = {
	[TEMPLATE_INCIDENT] = put_incident,
	[TEMPLATE_OTHER] = put_other,
	[TEMPLATE_SUBJECT] = put_subject,
	[TEMPLATE_SYSTEMS] = put_systems,
	[TEMPLATE_STATE] = put_state,
	[TEMPLATE_FAMILIES] = put_families,
	[TEMPLATE_SINCE] = put_since,
	[TEMPLATE_AT] = put_at,
	[TEMPLATE_REASON] = put_reason,
	[TEMPLATE_AUTHOR] = put_author,
	[TEMPLATE_TEXT] = put_text,
	[TEMPLATE_LEVEL] = put_level,
	[TEMPLATE_ITEMS] = put_items,
	[TEMPLATE_COUNT] = put_count,
	[TEMPLATE_KEY] = put_key,
	[TEMPLATE_LINE] = put_line,
};

static bool is_nothing(const struct buf *b, size_t from)
{
	return b->len == from || (b->len == from + 1 && b->data[from] == '-');
}

/* One line of a template, up to its {line} or end; where it ends. It is taken back when all its words stand for nothing. */
static const char *fill_line(const char *p, const struct told *t, struct buf *out)
{
	size_t start = out->len;
	bool has_words = false, says_something = false;
	enum template_word word = TEMPLATE_NONE;

	while (*p != '\0' && word != TEMPLATE_LINE) {
		size_t len = strcspn(p, "{"), at;

		buf_add(out, p, len);
		p += len;
		if (*p != '{')
			continue;
		word = template_word_at(p, &len); /* checked when it was read */
		at = out->len;
		puts_of[word](t, out);
		has_words |= word != TEMPLATE_LINE;
		says_something |= word != TEMPLATE_LINE && !is_nothing(out, at);
		p += len;
	}
	if (has_words && !says_something && !t->is_title)
		out->len = start;
	return p;
}

static void fill(const char *template, const struct told *t, struct buf *out)
{
	while (*template != '\0')
		template = fill_line(template, t, out);
}

static struct words words_of(const struct roster *r, enum incident_intent_kind kind, enum roster_language language)
{
	const struct roster_template *t = r != NULL ? r->templates.items : NULL;
	for (size_t i = 0; r != NULL && i < r->templates.count; i++) {
		if (t[i].kind == (int)kind && t[i].language == (int)language)
			return (struct words){t[i].title, t[i].body};
	}
	return built_in[language][kind];
}

void phrase_make(const struct roster *r, const struct inventory *inventory, const struct incident_intent *intent,
	const char *affected, enum roster_language language, struct phrase *out)
{
	struct told t = {.inventory = inventory, .intent = intent, .affected = affected, .language = language};
	struct words w = words_of(r, intent->kind, language);
	struct buf title = {0}, body = {0}, reason = {0}, systems = {0};

	out->subject = mem_strdup(is_cause_own(&t) ? intent->subject : "");
	if (intent->subject[0] != '\0' && is_reason_own(&t))
		phrase_add_clean(&reason, intent->reason); /* for programs it is one in all languages */
	else if (intent->subject[0] != '\0')
		put_reason(&t, &reason);
	out->reason = mem_strdup(buf_text(&reason));
	put_ids(&t, &systems);
	out->systems = mem_strdup(buf_text(&systems));
	t.is_title = true;
	fill(w.title, &t, &title);
	t.is_title = false;
	fill(w.body, &t, &body);
	for (size_t i = 0; i < title.len; i++) {
		if (title.data[i] == '\n')
			title.data[i] = ' ';
	}
	out->title = mem_strdup(buf_text(&title));
	out->body = mem_strdup(buf_text(&body));
	buf_fini(&reason);
	buf_fini(&systems);
	buf_fini(&title);
	buf_fini(&body);
}

void phrase_fini(struct phrase *p)
{
	free(p->title);
	free(p->body);
	free(p->subject);
	free(p->reason);
	free(p->systems);
	*p = (struct phrase){0};
}

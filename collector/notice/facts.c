#include "collector/notice/facts.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collector/judge/incident.h"
#include "collector/notice/letter.h"
#include "collector/notice/phrase.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define SHANGHAI (8 * 3600)

static const char *const names[FACTS] = {
	[FACT_KEY] = "key",
	[FACT_KIND] = "kind",
	[FACT_INCIDENT] = "incident",
	[FACT_SUBJECT] = "subject",
	[FACT_STATE] = "state",
	[FACT_FAMILIES] = "families",
	[FACT_SEVERITY] = "severity",
	[FACT_UNIT] = "unit",
	[FACT_SINCE] = "since",
	[FACT_AT] = "at",
	[FACT_REASON] = "reason",
	[FACT_SYSTEMS] = "systems",
	[FACT_AUTHOR] = "author",
	[FACT_COLLECTOR] = "collector",
	[FACT_CHANNEL] = "channel",
	[FACT_TITLE] = "title",
	[FACT_TEXT] = "text",
};

const char *facts_name(enum fact f)
{
	return names[f];
}

char *facts_format_time(int64_t ns, char *out, size_t room)
{
	time_t s = (time_t)(ns / NS_PER_S) + SHANGHAI;
	struct tm t;

	gmtime_r(&s, &t);
	snprintf(out, room, "%04d-%02d-%02dT%02d:%02d:%02d.%03d+08:00", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
		t.tm_min, t.tm_sec, (int)(ns % NS_PER_S / NS_PER_MS));
	return out;
}

/* ---- what kind of message it is, and how much it matters */

static enum facts_type type_of(enum incident_intent_kind kind, enum letter_matter matter)
{
	if (matter != LETTER_NOTICE)
		return matter == LETTER_TEST ? FACTS_TEST : FACTS_BEAT;
	switch (kind) {
	case INTENT_PROBLEM:
	case INTENT_FLAPPING:
	case INTENT_ESCALATE:
	case INTENT_WORSE:
		return FACTS_PROBLEM;
	case INTENT_CLOSE:
	case INTENT_MERGED:
		return FACTS_RECOVERY;
	case INTENT_DIGEST:
		return FACTS_DIGEST;
	case INTENT_ACKNOWLEDGED:
	case INTENT_UNACKNOWLEDGED:
	case INTENT_ASSIGNED:
	case INTENT_COMMENTED:
	case INTENT_PROBE:
	case INTENT_KINDS:
		break;
	}
	return FACTS_REMARK;
}

static bool has_problem(const struct incident_intent *in)
{
	for (size_t i = 0; i < in->items_count; i++) {
		if (type_of(in->items[i].kind, LETTER_NOTICE) == FACTS_PROBLEM)
			return true;
	}
	return false;
}

static enum facts_severity severity_of(const struct incident_intent *in, enum facts_type type)
{
	switch (type) {
	case FACTS_PROBLEM:
		if (in->kind == INTENT_ESCALATE)
			return FACTS_ALERT;
		return in->state == STATE_DOWN ? FACTS_CRITICAL : FACTS_WARNING;
	case FACTS_DIGEST:
		return has_problem(in) ? FACTS_ERROR : FACTS_PLAIN_NOTICE;
	case FACTS_RECOVERY:
		return FACTS_PLAIN_NOTICE;
	case FACTS_BEAT:
	case FACTS_TEST:
	case FACTS_REMARK:
		break;
	}
	return FACTS_INFO;
}

static const char *severity_name(enum facts_severity s)
{
	static const char *const severities[] = {"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"};

	return severities[s];
}

static const char *families_of(unsigned faults)
{
	faults &= FAULT_V4 | FAULT_V6;
	return faults == FAULT_V4 ? "IPv4" : faults == FAULT_V6 ? "IPv6" : faults != 0 ? "IPv4 IPv6" : "";
}

/* ---- values */

static char *clean(const char *text)
{
	struct buf out = {0};
	char *copy;

	phrase_add_clean(&out, text != NULL ? text : "");
	copy = mem_strdup(buf_text(&out));
	buf_fini(&out);
	return copy;
}

static void put_incident(const struct incident_intent *in, struct facts *f)
{
	char time[40];

	f->since = in->since;
	f->state = (int)in->state;
	f->text[FACT_INCIDENT] = mem_format("%" PRIu64, in->incident);
	f->text[FACT_STATE] = mem_strdup(verdict_state_name(in->state));
	f->text[FACT_FAMILIES] = mem_strdup(families_of(in->faults));
	f->text[FACT_SINCE] = mem_strdup(facts_format_time(in->since, time, sizeof time));
}

void facts_make(const struct roster_channel *c, const struct incident_intent *in, const struct phrase *p,
	const struct letter_facts *l, struct facts *f)
{
	const char *own[] = {[LETTER_NOTICE] = incident_intent_name(in->kind), [LETTER_TEST] = "test", [LETTER_BEAT] = "beat"};
	char time[40];

	*f = (struct facts){.type = type_of(in->kind, l->matter), .at = in->at};
	f->severity = severity_of(in, f->type);
	f->text[FACT_KEY] = letter_key(c, in, l);
	f->text[FACT_KIND] = mem_strdup(own[l->matter]);
	if (in->incident != 0)
		put_incident(in, f);
	f->text[FACT_SUBJECT] = clean(p->subject);
	f->text[FACT_SEVERITY] = mem_strdup(severity_name(f->severity));
	f->text[FACT_UNIT] = clean(incident_is_unit(in->audience) ? in->audience : "");
	f->text[FACT_AT] = mem_strdup(facts_format_time(in->at, time, sizeof time));
	f->text[FACT_REASON] = clean(p->reason);
	f->text[FACT_SYSTEMS] = clean(p->systems);
	f->text[FACT_AUTHOR] = clean(in->author);
	f->text[FACT_COLLECTOR] = mem_strdup(l->collector);
	f->text[FACT_CHANNEL] = mem_strdup(c->id);
	f->text[FACT_TITLE] = mem_strdup(p->title);
	f->text[FACT_TEXT] = mem_strdup(p->body);
	for (int i = 0; i < FACTS; i++) {
		if (f->text[i] == NULL)
			f->text[i] = mem_strdup("");
	}
}

void facts_fini(struct facts *f)
{
	for (int i = 0; i < FACTS; i++)
		free(f->text[i]);
	*f = (struct facts){.type = FACTS_TEST};
}

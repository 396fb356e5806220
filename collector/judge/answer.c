#include "collector/judge/answer.h"

#include <stdlib.h>
#include <string.h>

#include "collector/judge/book.h"
#include "collector/judge/ledger.h"
#include "collector/reason.h"
#include "collector/web/json.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define STRETCHES_MAX 20000

const char *answer_phase(enum incident_phase phase)
{
	switch (phase) {
	case INCIDENT_OPEN:
		return "open";
	case INCIDENT_WATCHED:
		return "watched";
	case INCIDENT_CLOSED:
		break;
	}
	return "closed";
}

static void put_affected(struct json *j, const char *ids)
{
	json_open(j, "affected", '[');
	while (*ids != '\0') {
		size_t n = strcspn(ids, " ");
		char *id = mem_format("%.*s", (int)n, ids);

		json_text(j, NULL, id);
		free(id);
		ids += n + (ids[n] == ' ');
	}
	json_close(j, ']');
}

static void put_families(struct json *j, unsigned faults)
{
	json_open(j, "families", '[');
	if (faults & FAULT_V4)
		json_int(j, NULL, 4);
	if (faults & FAULT_V6)
		json_int(j, NULL, 6);
	json_close(j, ']');
}

void answer_incident(struct json *j, const struct outbox_incident *i)
{
	const struct incident_view *v = &i->view;

	json_open(j, NULL, '{');
	json_int(j, "id", (int64_t)v->id);
	json_text(j, "phase", answer_phase(v->phase));
	json_text(j, "subject", v->subject);
	json_text(j, "state", verdict_state_name(v->state));
	put_families(j, v->faults);
	reason_put(j, v->reason);
	json_time(j, "since", v->since);
	json_time(j, "opened", v->opened);
	json_time(j, "closed", v->closed);
	json_bool(j, "flapping", v->is_flapping);
	if (v->is_acknowledged)
		json_text(j, "acknowledged_by", v->acknowledged_by);
	else
		json_nothing(j, "acknowledged_by");
	json_time(j, "acknowledged_until", v->is_acknowledged ? v->acknowledged_until : 0);
	json_text(j, "assignee", v->assignee != NULL ? v->assignee : "");
	json_int(j, "affected_count", (int64_t)i->affected_count);
	put_affected(j, i->affected);
	json_close(j, '}');
}

static void put_incident(void *ctx, const struct outbox_incident *i)
{
	answer_incident(ctx, i);
}

int answer_incidents(struct book *b, struct json *j, struct err *e)
{
	int rc;

	json_open(j, NULL, '{');
	json_time(j, "reached", book_now(b));
	json_open(j, "incidents", '[');
	rc = outbox_incidents(book_outbox(b), true, 0, put_incident, j, e);
	json_close(j, ']');
	json_close(j, '}');
	return rc;
}

static int put_family(struct book *b, const char *name, const char *subject, enum family family, struct span window,
	struct json *j, struct err *e)
{
	struct stretch *s;
	size_t count;

	if (ledger_read(book_ledger(b), subject, family, window, true, &s, &count, e) < 0)
		return -1;
	json_open(j, name, '[');
	/* The newest of a window with too many. */
	for (size_t i = count > STRETCHES_MAX ? count - STRETCHES_MAX : 0; i < count; i++) {
		json_open(j, NULL, '[');
		json_int(j, NULL, s[i].from / NS_PER_S);
		json_int(j, NULL, s[i].until / NS_PER_S);
		json_text(j, NULL, verdict_state_name(s[i].state));
		json_close(j, ']');
	}
	json_close(j, ']');
	free(s);
	return 0;
}

/* When planned work covered it, as far as the ledger reaches. */
static int put_planned(struct book *b, const char *subject, struct span window, struct json *j, struct err *e)
{
	int64_t reached = ledger_reached(book_ledger(b));
	struct spans spans = {0};

	if (window.until > reached)
		window.until = reached;
	if (window.from < window.until && book_planned(b, subject, window, &spans, e) < 0)
		return -1;
	json_open(j, "planned", '[');
	for (size_t i = spans.count > STRETCHES_MAX ? spans.count - STRETCHES_MAX : 0; i < spans.count; i++) {
		json_open(j, NULL, '[');
		json_int(j, NULL, spans.items[i].from / NS_PER_S);
		json_int(j, NULL, spans.items[i].until / NS_PER_S);
		json_close(j, ']');
	}
	json_close(j, ']');
	spans_fini(&spans);
	return 0;
}

static void count_revision(void *ctx, const struct ledger_revision *r)
{
	(void)r;
	++*(int64_t *)ctx;
}

int answer_ledger(struct book *b, const char *subject, int64_t from, int64_t until, struct json *j, struct err *e)
{
	struct span window = {from, until};
	int64_t revisions = 0;

	json_open(j, NULL, '{');
	json_time(j, "reached", ledger_reached(book_ledger(b)));
	json_time(j, "begin", ledger_begin(book_ledger(b), subject, FAMILY_NONE));
	if (put_family(b, "whole", subject, FAMILY_NONE, window, j, e) < 0 ||
		put_family(b, "v4", subject, FAMILY_V4, window, j, e) < 0 ||
		put_family(b, "v6", subject, FAMILY_V6, window, j, e) < 0 || put_planned(b, subject, window, j, e) < 0 ||
		ledger_revisions(book_ledger(b), subject, FAMILY_NONE, window, count_revision, &revisions, e) < 0)
		return -1;
	json_int(j, "revisions", revisions);
	json_close(j, '}');
	return 0;
}

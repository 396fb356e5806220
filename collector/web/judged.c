#include "collector/web/judged.h"

#include <stdlib.h>
#include <string.h>

#include "collector/channel.h"
#include "collector/web/ask.h"
#include "collector/web/model.h"
#include "collector/web/server.h"
#include "collector/web/state.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/ipc.h"

#define WAIT (5 * NS_PER_S)
#define SPAN_MAX (INT64_C(400) * 86400)

static void on_json(void *ctx, const struct ipc_message *m, const char *words)
{
	struct server_request *r = ctx;
	struct buf body = {0};

	if (m == NULL || m->type != CHANNEL_JSON) {
		if (m != NULL)
			server_fail(r, 503, "%.*s", (int)m->len, (const char *)m->body);
		else
			server_fail(r, 503, "%s", words);
		return;
	}
	buf_add(&body, m->body, m->len);
	server_answer(r, &(struct server_answer){.status = 200, .type = "application/json", .body = &body});
}

void judged_incidents(void *ctx, struct server_request *r)
{
	struct web *w = ctx;

	ask_send(w->ask, PROCESS_JUDGE, CHANNEL_INCIDENTS, NULL, 0, WAIT, on_json, r);
}

static bool is_subject(const struct model *m, const char *subject)
{
	static const struct {
		const char *prefix;
		enum subject_kind kind;
	} kinds[] = {{"system/", SUBJECT_SYSTEM}, {"link/", SUBJECT_LINK}, {"site/", SUBJECT_SITE}, {"host/", SUBJECT_HOST}};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(subject, kinds[i].prefix, n) == 0)
			return model_subject(m, kinds[i].kind, subject + n) != NULL;
	}
	return false;
}

void judged_ledger(void *ctx, struct server_request *r)
{
	struct web *w = ctx;
	const char *subject = server_query(r, "subject");
	int64_t to = clock_real() / NS_PER_S, from;
	struct buf body = {0};

	if (subject == NULL || !is_subject(w->model, subject)) {
		server_fail_absent(r);
		return;
	}
	if (server_query_int(r, "to", 0, INT64_C(1) << 40, &to) < 0)
		to = -1;
	from = to - 86400;
	if (to < 0 || server_query_int(r, "from", 0, INT64_C(1) << 40, &from) < 0 || from >= to || to - from > SPAN_MAX) {
		server_fail(r, 400, "from and to are UTC seconds, at most 400 days apart");
		return;
	}
	channel_ledger_encode(subject, from * NS_PER_S, to * NS_PER_S, &body);
	ask_send(w->ask, PROCESS_JUDGE, CHANNEL_LEDGER, body.data, body.len, WAIT, on_json, r);
	buf_fini(&body);
}

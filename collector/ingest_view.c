#include "collector/ingest_parts.h"

#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/ingest_self.h"
#include "collector/ingest_server.h"
#include "collector/inventory.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/map.h"

#define UNREAD_MAX 4096 /* bytes of a channel: a view that does not read is told when it does */

/* The processes that read what is synced, and under which name they must see all of it ("": they need not). */
static const struct {
	enum process_role role;
	const char *cursor;
} view_roles[] = {{PROCESS_SERIES, "series"}, {PROCESS_JUDGE, "judge"}, {PROCESS_WEB, ""}, {PROCESS_NOTIFY, ""}};
_Static_assert(sizeof view_roles / sizeof *view_roles == INGEST_VIEWS, "one channel for each");

static void tell_view(struct view *v, const struct buf *position)
{
	int unread = 0;

	if (v->ipc == NULL || !v->due)
		return;
	if (ioctl(ipc_fd(v->ipc), SIOCOUTQ, &unread) == 0 && unread > UNREAD_MAX)
		return;
	v->due = false;
	ipc_send(v->ipc, CHANNEL_SYNCED, 0, position->data, position->len, -1);
}

void ingest_tell_views(struct ingest *in)
{
	struct buf b = {0};

	channel_position_encode(journal_synced(in->journal), &b);
	for (size_t i = 0; i < INGEST_VIEWS; i++)
		tell_view(&in->views[i], &b);
	buf_fini(&b);
}

static void write_metrics(const struct ingest *in, struct buf *out)
{
	struct ingest_server_stats server;
	struct journal_stats journal;

	ingest_server_stats(in->server, &server);
	journal_stats(in->journal, &journal);
	ingest_metrics_write(&in->stats, &server, &journal, out);
}

/* How far a view that must see all is done. -1: it is not that one, or is nowhere. */
static int take_passed(struct ingest *in, const struct view *v, const struct ipc_message *m)
{
	struct position at, before = {0, 0};
	char view[32];

	if (channel_passed_decode(m->body, m->len, view, &at) < 0 || view[0] == '\0' || strcmp(view, v->cursor) != 0 ||
		at.seq > journal_synced(in->journal).seq)
		return -1;
	if (!journal_cursor_get(in->journal, view, &before) || at.seq > before.seq)
		journal_cursor_set(in->journal, view, at);
	return 0;
}

/* One of its checks for an agent that has come; more than fit are left out. */
static int take_probe(struct ingest *in, const struct view *v, const struct ipc_message *m)
{
	char id[SAMPLE_ID_MAX + 1], check[SAMPLE_ID_MAX + 1];
	const struct inventory_check *c;
	struct agent *a;
	bool is_its = false;

	if (strcmp(v->cursor, "judge") != 0 || channel_probe_decode(m->body, m->len, id, check) < 0)
		return -1;
	a = map_find(in->agents, id);
	c = inventory_check(process_inventory(in->process), check);
	for (size_t i = 0; c != NULL && i < c->vantages.count; i++)
		is_its |= strcmp(c->vantages.items[i], id) == 0;
	if (a != NULL && is_its && probes_add(&a->probes, check, clock_mono()))
		in->stats.probes++;
	return 0;
}

/* How delivery is; it goes where the rest of that goes. While nothing can be written it is not heard, and told again later. */
static int take_note(struct ingest *in, const struct view *v, const struct ipc_message *m)
{
	const char *words;
	size_t len;
	char text[SAMPLE_TEXT_MAX + 1];
	uint8_t matter;
	bool is_bad;

	if (v != &in->views[INGEST_VIEWS - 1] || channel_note_decode(m->body, m->len, &matter, &is_bad, &words, &len) < 0 ||
		(matter != SELF_NOTICE && matter != SELF_BEAT && matter != SELF_COMMANDS))
		return -1;
	if (!in->sync_failed)
		self_hear(in->self, (enum self_matter)matter, is_bad, text_clean(words, len, text, sizeof text));
	return 0;
}

static bool is_good_message(struct ingest *in, const struct view *v, const struct ipc_message *m)
{
	switch (m->type) {
	case CHANNEL_PROBE:
		return take_probe(in, v, m) == 0;
	case CHANNEL_NOTE:
		return take_note(in, v, m) == 0;
	case CHANNEL_PASSED:
		return take_passed(in, v, m) == 0;
	default:
		return false;
	}
}

static void view_close(struct view *v)
{
	ipc_free(v->ipc);
	v->ipc = NULL;
}

static void on_view_message(void *ctx, struct ipc_message *m)
{
	struct view *v = ctx;
	struct ingest *in = v->ingest;
	struct buf b = {0};

	if (m->fd >= 0)
		close(m->fd);
	if (m->type == CHANNEL_METRICS) {
		write_metrics(in, &b);
		ipc_send(v->ipc, CHANNEL_METRICS_TEXT, m->id, b.data, b.len, -1);
	} else if (!is_good_message(in, v, m)) {
		log_error("a view sends what it may not, its channel is closed type=%u", m->type);
		view_close(v);
	}
	buf_fini(&b);
}

static void on_view_gone(void *ctx, const char *why)
{
	log_debug("a view is gone why=\"%s\"", why);
	view_close(ctx);
}

void ingest_take_view(void *ctx, enum process_role role, int fd)
{
	struct ingest *in = ctx;
	struct view *v = NULL;

	for (size_t i = 0; i < INGEST_VIEWS; i++) {
		if (view_roles[i].role == role)
			v = &in->views[i];
	}
	if (v == NULL) {
		close(fd);
		return;
	}
	view_close(v);
	v->ipc = ipc_new(fd);
	v->due = true;
	ipc_start(v->ipc, process_base(in->process), on_view_message, on_view_gone, v);
	ingest_tell_views(in);
}

void ingest_view_init(struct ingest *in)
{
	for (size_t i = 0; i < INGEST_VIEWS; i++)
		in->views[i] = (struct view){.ingest = in, .cursor = view_roles[i].cursor};
}

void ingest_close_views(struct ingest *in)
{
	for (size_t i = 0; i < INGEST_VIEWS; i++)
		view_close(&in->views[i]);
}

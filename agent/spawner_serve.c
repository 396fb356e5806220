/* The life of the spawner's process, see spawner.h. */
#include "agent/spawner.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/plugins.h"
#include "agent/spawner_message.h"
#include "agent/spawner_run.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/mem.h"
#include "lib/offspring.h"
#include "probes/catalog_exec.h"
#include "probes/exec.h"

#define ARGV_MAX (1 + 2 * EXEC_ARGS_MAX + 1)
#define HARD_AFTER (700 * NS_PER_MS) /* a first process that was asked to end is killed */

/* A plugin that runs. */
struct place {
	LIST_ENTRY(place) link;
	struct serve *serve;
	uint32_t id;
	struct spawner_run run;
	int64_t started;
	enum exec_how killed; /* why it was, or 0 */
	struct event *out_event, *err_event, *timer;
	struct buf out, err;
	size_t written;
};

struct serve {
	const struct plugins *table;
	struct spawner_rights rights;
	struct event_base *base;
	struct ipc *channel;
	struct event *on_child;
	LIST_HEAD(, place) places;
	size_t count;
};

/* ---- answers */

static void answer(struct serve *s, uint32_t id, const struct exec_end *end)
{
	struct buf body = {0};

	spawner_message_put_end(&body, end);
	ipc_send(s->channel, SPAWNER_END, id, body.data, body.len, -1);
	buf_fini(&body);
}

static void answer_failed(struct serve *s, uint32_t id, const char *words)
{
	answer(s, id, &(struct exec_end){.how = EXEC_FAILED, .out = (const uint8_t *)"", .err = (const uint8_t *)words,
		.err_len = strlen(words)});
}

static void place_free(struct place *p)
{
	LIST_REMOVE(p, link);
	p->serve->count--;
	event_free(p->out_event);
	event_free(p->err_event);
	event_free(p->timer);
	close(p->run.out);
	close(p->run.err);
	close(p->run.status);
	buf_fini(&p->out);
	buf_fini(&p->err);
	free(p);
}

/* ---- while it runs */

static void kill_place(struct place *p, enum exec_how why)
{
	const struct timeval after = {0, HARD_AFTER / NS_PER_US};

	if (p->killed == 0)
		p->killed = why;
	spawner_run_kill(&p->serve->rights, &p->run, false);
	evtimer_add(p->timer, &after);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct place *p = ctx;

	(void)fd, (void)what;
	if (p->killed != 0)
		spawner_run_kill(&p->serve->rights, &p->run, true);
	else
		kill_place(p, EXEC_LATE);
}

/* Keeps what fits of what can be read now, and counts all; false: there is no more for now or at all. */
static bool take(struct place *p, int fd, struct buf *into, size_t max, struct event *event)
{
	char room[8192];
	ssize_t n = read(fd, room, sizeof room);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			event_del(event);
		return false;
	}
	p->written += (size_t)n;
	if (into->len < max)
		buf_add(into, room, (size_t)n < max - into->len ? (size_t)n : max - into->len);
	return p->written <= SPAWNER_FLOOD;
}

static void on_output(evutil_socket_t fd, short what, void *ctx)
{
	struct place *p = ctx;

	(void)what;
	if (fd == p->run.out)
		take(p, fd, &p->out, SPAWNER_OUT_MAX, p->out_event);
	else
		take(p, fd, &p->err, SPAWNER_ERR_MAX, p->err_event);
	if (p->written > SPAWNER_FLOOD) {
		event_del(p->out_event);
		event_del(p->err_event);
		kill_place(p, EXEC_FLOODED);
	}
}

/* ---- how it ended */

/* Why nothing began; owned. */
static char *failure_words(struct place *p, const struct spawner_run_said *said)
{
	if (said->what == EXEC_FAILED && said->status == 0)
		return mem_strdup(buf_text(&p->err));
	return mem_format("the plugin could not be started: %s", said->what == 0 ? "its first process was killed"
		: strerror(said->status));
}

static void finish(struct place *p)
{
	const struct spawner_run_said said = spawner_run_read_status(p->run.status);
	struct exec_end end = {.elapsed = clock_mono() - p->started};
	struct serve *s = p->serve;
	uint32_t id = p->id;

	while (take(p, p->run.out, &p->out, SPAWNER_OUT_MAX, p->out_event))
		;
	while (take(p, p->run.err, &p->err, SPAWNER_ERR_MAX, p->err_event))
		;
	end.how = p->killed != 0 ? p->killed : (enum exec_how)said.what;
	end.status = said.status;
	end.out = (const uint8_t *)buf_text(&p->out);
	end.out_len = p->out.len;
	end.err = (const uint8_t *)buf_text(&p->err);
	end.err_len = p->err.len;
	if (end.how == EXEC_FAILED || end.how == 0) {
		char *words = failure_words(p, &said);

		answer_failed(s, id, words);
		free(words);
	} else {
		answer(s, id, &end);
	}
	place_free(p);
}

static struct place *find_by_pid(struct serve *s, pid_t pid)
{
	struct place *p;

	LIST_FOREACH(p, &s->places, link) {
		if (p->run.pid == pid)
			return p;
	}
	return NULL;
}

/* Orphans of a first process that somebody killed have come to us. */
static void end_strays(struct serve *s)
{
	pid_t spare[SPAWNER_PLACES];
	size_t n = 0;
	struct place *p;

	LIST_FOREACH(p, &s->places, link)
		spare[n++] = p->run.pid;
	offspring_end(spare, n);
}

static void on_child(evutil_socket_t fd, short what, void *ctx)
{
	struct serve *s = ctx;
	bool was_killed = false;
	int status;
	pid_t pid;

	(void)fd, (void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct place *p = find_by_pid(s, pid);

		was_killed |= p != NULL && WIFSIGNALED(status);
		if (p != NULL)
			finish(p);
	}
	if (was_killed && !s->rights.has_namespaces)
		end_strays(s);
}

/* ---- calls */

static void open_events(struct place *p)
{
	struct event_base *base = p->serve->base;

	p->out_event = event_new(base, p->run.out, EV_READ | EV_PERSIST, on_output, p);
	p->err_event = event_new(base, p->run.err, EV_READ | EV_PERSIST, on_output, p);
	p->timer = evtimer_new(base, on_timer, p);
	event_add(p->out_event, NULL);
	event_add(p->err_event, NULL);
}

static int start_plugin(struct serve *s, const struct plugin *plugin, const struct spawner_asked *a, struct spawner_run *run,
	struct err *e)
{
	char *argv[ARGV_MAX] = {(char *)plugin->path};
	size_t n = 1;

	if (!plugin->takes_args && a->count > 0)
		return err_set(e, "plugin %s takes no arguments of a check here", plugin->name);
	for (size_t i = 0; i < plugin->argv.count; i++)
		argv[n++] = (char *)plugin->argv.items[i];
	for (size_t i = 0; i < a->count; i++)
		argv[n++] = a->args[i];
	return spawner_run_start(&s->rights, &(struct spawner_job){plugin, argv, a->timeout, s->count + 1}, run, e);
}

static void begin(struct serve *s, uint32_t id, const struct spawner_asked *a)
{
	const struct plugin *plugin = plugins_find(s->table, a->plugin);
	const struct timeval limit = {a->timeout / NS_PER_S, a->timeout % NS_PER_S / NS_PER_US};
	struct spawner_run run;
	struct place *p;
	struct err e;

	if (plugin == NULL)
		err_set(&e, "plugin %s is not allowed on this host", a->plugin);
	if (plugin == NULL || start_plugin(s, plugin, a, &run, &e) < 0) {
		answer_failed(s, id, e.text);
		return;
	}
	p = mem_alloc(sizeof *p);
	*p = (struct place){.serve = s, .id = id, .run = run, .started = clock_mono()};
	LIST_INSERT_HEAD(&s->places, p, link);
	s->count++;
	open_events(p);
	evtimer_add(p->timer, &limit);
}

static struct place *find_by_id(struct serve *s, uint32_t id)
{
	struct place *p;

	LIST_FOREACH(p, &s->places, link) {
		if (p->id == id)
			return p;
	}
	return NULL;
}

static int call(struct serve *s, const struct ipc_message *m)
{
	struct spawner_asked a = {.count = 0};
	int status = -1;

	if (m->id != 0 && s->count < SPAWNER_PLACES && find_by_id(s, m->id) == NULL && spawner_message_read_call(m->body, m->len, &a) == 0) {
		begin(s, m->id, &a);
		status = 0;
	}
	spawner_message_fini_asked(&a);
	return status;
}

/* One that has ended by now is no fault: its answer is on the way. */
static int cancel(struct serve *s, const struct ipc_message *m)
{
	struct place *p = find_by_id(s, m->id);

	if (p != NULL)
		kill_place(p, EXEC_LATE);
	return m->len == 0 ? 0 : -1;
}

static void on_message(void *ctx, struct ipc_message *m)
{
	struct serve *s = ctx;
	int status = -1;

	if (m->fd >= 0)
		close(m->fd);
	else if (m->type == SPAWNER_CALL)
		status = call(s, m);
	else if (m->type == SPAWNER_CANCEL)
		status = cancel(s, m);
	if (status < 0)
		event_base_loopbreak(s->base);
}

static void on_gone(void *ctx, const char *why)
{
	struct serve *s = ctx;

	(void)why;
	event_base_loopbreak(s->base);
}

/* First processes that are asked to end adopt and end theirs; what is left after that comes to us. */
static void end_all(struct serve *s)
{
	const struct timespec moment = {0, 10 * NS_PER_MS};
	struct place *p;

	LIST_FOREACH(p, &s->places, link)
		spawner_run_kill(&s->rights, &p->run, false);
	for (int i = 0; i < 100 && !s->rights.has_namespaces; i++) {
		pid_t pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			break;
		nanosleep(&moment, NULL);
	}
	if (!s->rights.has_namespaces)
		offspring_end(NULL, 0);
	while (!LIST_EMPTY(&s->places))
		place_free(LIST_FIRST(&s->places));
}

void spawner_serve(int fd, const struct plugins *table, const struct spawner_rights *rights)
{
	struct serve s = {.table = table, .rights = *rights, .base = event_base_new(), .channel = ipc_new(fd)};

	LIST_INIT(&s.places);
	s.rights.has_namespaces = rights->has_namespaces && spawner_run_has_namespaces();
	if (!s.rights.has_namespaces)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	s.on_child = evsignal_new(s.base, SIGCHLD, on_child, &s);
	evsignal_add(s.on_child, NULL);
	ipc_start(s.channel, s.base, on_message, on_gone, &s);
	event_base_dispatch(s.base);
	end_all(&s);
	event_free(s.on_child);
	ipc_free(s.channel);
	event_base_free(s.base);
}

#include "collector/process.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/confine.h"
#include "collector/ingest_requests.h"
#include "collector/inventory.h"
#include "collector/judge/calendar.h"
#include "collector/notice/commands.h"
#include "collector/notice/roster.h"
#include "collector/notice/runner.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/manager.h"
#include "lib/mem.h"

/* Frames on the control channel between the parent and a child. */
enum control { CONTROL_PEER = 1 /* u8 role, with a descriptor */, CONTROL_RELOAD /* text of the settings, with its NUL */,
	CONTROL_STOP, CONTROL_READY, CONTROL_SOCKET /* a descriptor */, CONTROL_ASK, CONTROL_ANSWER };

#define CLOSE_RANGE 436 /* system call, the same everywhere; older headers do not have it */
#define RESTART_DELAY_MIN (100 * NS_PER_MS)
#define RESTART_DELAY_MAX (5 * NS_PER_S)
#define STABLE_AFTER (10 * NS_PER_S) /* a child that lived this long is restarted at once */
#define STOP_TIMEOUT (5 * NS_PER_S)
#define ASKS 8 /* times in answer_within that a child is asked whether its loop turns */
#define LOCK_FILE "lock" /* below the state folder */

struct role {
	const char *name, *log_name, *comm;
	int (*run)(struct process *);
};

static const struct role roles[PROCESS_ROLES] = {
	[PROCESS_INGEST] = {"ingest", "collector/ingest", "xj-ingest", ingest_run},
	[PROCESS_SERIES] = {"series", "collector/series", "xj-series", series_run},
	[PROCESS_JUDGE] = {"judge", "collector/judge", "xj-judge", judge_run},
	[PROCESS_WEB] = {"web", "collector/web", "xj-web", web_run},
	[PROCESS_RENDER] = {"render", "collector/render", "xj-render", render_run},
	[PROCESS_NOTIFY] = {"notify", "collector/notify", "xj-notify", notify_run},
};

static const enum process_role pairs[][2] = {
	{PROCESS_INGEST, PROCESS_SERIES},
	{PROCESS_INGEST, PROCESS_JUDGE},
	{PROCESS_INGEST, PROCESS_WEB},
	{PROCESS_SERIES, PROCESS_WEB},
	{PROCESS_JUDGE, PROCESS_WEB},
	{PROCESS_WEB, PROCESS_RENDER},
	{PROCESS_INGEST, PROCESS_NOTIFY},
	{PROCESS_JUDGE, PROCESS_NOTIFY},
	{PROCESS_WEB, PROCESS_NOTIFY},
};

/* Who acknowledges goes last, so that nothing accepted waits for a view that is gone. */
static const enum process_role stop_order[] = {
	PROCESS_WEB, PROCESS_RENDER, PROCESS_NOTIFY, PROCESS_JUDGE, PROCESS_SERIES, PROCESS_INGEST};

const char *process_role_name(enum process_role r)
{
	return roles[r].name;
}

/* ---- in a child */

struct process {
	enum process_role role;
	const char *settings_path;
	struct settings *settings;
	struct inventory *inventory;
	struct roster *roster;
	struct calendar *calendar;
	struct event_base *base;
	struct ipc *control;
	struct process_events events;
	void *ctx;
	int status;
	int died_of;
};

struct event_base *process_base(struct process *p)
{
	return p->base;
}

const struct settings *process_settings(const struct process *p)
{
	return p->settings;
}

const struct inventory *process_inventory(const struct process *p)
{
	return p->inventory;
}

struct roster *process_take_roster(struct process *p)
{
	struct roster *r = p->roster;

	p->roster = NULL;
	return r;
}

struct calendar *process_take_calendar(struct process *p)
{
	struct calendar *c = p->calendar;

	p->calendar = NULL;
	return c;
}

int process_died_of(const struct process *p)
{
	return p->died_of;
}

void process_on(struct process *p, const struct process_events *events, void *ctx)
{
	p->events = *events;
	p->ctx = ctx;
}

void process_ready(struct process *p)
{
	ipc_send(p->control, CONTROL_READY, 0, NULL, 0, -1);
}

void process_end(struct process *p, int status)
{
	p->status = status;
	event_base_loopbreak(p->base);
}

static void child_stop(struct process *p)
{
	if (p->events.on_stop != NULL)
		p->events.on_stop(p->ctx);
	else
		process_end(p, 0);
}

/* The parent has checked the settings, which its fence lets no child read: its own secrets may stand beside them.
 * Should the inventory have changed since and be bad, the old generation stays. */
static void child_reload(struct process *p, const char *text)
{
	struct err e;
	struct settings *settings = settings_parse(p->settings_path, text, &e);
	struct inventory *inventory =
		settings != NULL ? inventory_load(settings->inventory, &e) : NULL;
	struct settings *old_settings = p->settings;
	struct inventory *old_inventory = p->inventory;

	if (inventory == NULL) {
		log_error("reload refused, the old settings stay: %s", e.text);
		settings_free(settings);
		return;
	}
	p->settings = settings;
	p->inventory = inventory;
	log_level_set((enum log_level)settings->log_level);
	p->events.on_reload(p->ctx);
	settings_free(old_settings);
	inventory_free(old_inventory);
}

static void on_control(void *ctx, struct ipc_message *m)
{
	struct process *p = ctx;

	switch (m->type) {
	case CONTROL_PEER:
		if (m->fd < 0 || m->len != 1 || m->body[0] >= PROCESS_ROLES)
			break;
		if (p->events.on_peer != NULL)
			p->events.on_peer(p->ctx, (enum process_role)m->body[0], m->fd);
		else
			close(m->fd);
		return;
	case CONTROL_RELOAD:
		if (p->events.on_reload != NULL && m->len > 0 && m->body[m->len - 1] == '\0')
			child_reload(p, (const char *)m->body);
		break;
	case CONTROL_STOP:
		child_stop(p);
		break;
	case CONTROL_ASK:
		ipc_send(p->control, CONTROL_ANSWER, 0, NULL, 0, -1);
		break;
	case CONTROL_SOCKET:
		if (m->fd < 0 || p->events.on_socket == NULL)
			break;
		p->events.on_socket(p->ctx, m->fd);
		return;
	default:
		break;
	}
	if (m->fd >= 0)
		close(m->fd);
}

static void on_parent_gone(void *ctx, const char *why)
{
	struct process *p = ctx;

	log_warn("the parent is gone, ending why=\"%s\"", why);
	child_stop(p);
}

int process_loop(struct process *p)
{
	ipc_start(p->control, p->base, on_control, on_parent_gone, p);
	event_base_dispatch(p->base);
	return p->status;
}

/* ---- in the parent */

struct child {
	struct parent *parent;
	enum process_role role;
	pid_t pid; /* 0: not running */
	struct ipc *control;
	struct event *timer; /* restart delay; while stopping: the limit */
	int64_t started, delay;
	int64_t asked; /* when it was asked what it has not answered yet; 0 nothing */
	int died_of; /* signal that ended the process before this one; 0 none */
	bool ready;
};

struct parent {
	const char *settings_path;
	struct settings *settings;
	struct inventory *inventory;
	struct roster *roster;     /* of channels; NULL: nobody is told */
	struct calendar *calendar; /* NULL: none is set */
	struct event_base *base;
	struct event *signals[4];
	struct event *round; /* asks the children, and tells the service manager that we are alive */
	int64_t last_round;
	struct manager manager;
	struct child children[PROCESS_ROLES];
	int lock, requests; /* lock: of the state folder; requests: socket that people ask at */
	int runner;         /* socket of the runner of commands; -1 none */
	bool stopping, told_ready;
	int status;
};

static void close_all_but(int keep)
{
	if (keep > 3)
		syscall(CLOSE_RANGE, 3, keep - 1, 0);
	if (syscall(CLOSE_RANGE, keep + 1, ~0U, 0) == 0)
		return;
	for (int fd = 3; fd < 4096; fd++) { /* kernels before 5.9 */
		if (fd != keep)
			close(fd);
	}
}

static int child_main(struct parent *parent, enum process_role role, int control_fd)
{
	struct process p = {.role = role, .settings_path = parent->settings_path,
		.settings = parent->settings, .inventory = parent->inventory, .roster = parent->roster,
		.calendar = parent->calendar, .died_of = parent->children[role].died_of};
	int status;

	close_all_but(control_fd);
	signal(SIGPIPE, SIG_IGN);
	/* A terminal's Ctrl-C reaches the whole group; the parent alone decides the order of the end. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, roles[role].comm);
	log_open(roles[role].log_name, (enum log_level)parent->settings->log_level);
	p.base = event_base_new();
	p.control = ipc_new(control_fd);
	status = roles[role].run(&p);
	ipc_free(p.control);
	event_base_free(p.base);
	settings_free(p.settings);
	inventory_free(p.inventory);
	roster_free(p.roster);
	calendar_free(p.calendar);
	return status;
}

/* Gives both ends of each pair of this role a new channel, where the other side runs. */
static void connect_peers(struct parent *parent, enum process_role role)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct child *a = &parent->children[pairs[i][0]], *b = &parent->children[pairs[i][1]];
		uint8_t role_a = (uint8_t)pairs[i][0], role_b = (uint8_t)pairs[i][1];
		struct err e;
		int fds[2];

		if ((pairs[i][0] != role && pairs[i][1] != role) || a->pid == 0 || b->pid == 0)
			continue;
		if (ipc_pair(fds, &e) < 0) {
			log_error("no channel between two processes: %s", e.text);
			continue;
		}
		ipc_send(a->control, CONTROL_PEER, 0, &role_b, 1, fds[0]);
		ipc_send(b->control, CONTROL_PEER, 0, &role_a, 1, fds[1]);
		close(fds[0]);
		close(fds[1]);
	}
}

static void on_child_message(void *ctx, struct ipc_message *m)
{
	struct child *c = ctx;
	struct parent *parent = c->parent;

	if (m->fd >= 0)
		close(m->fd);
	if (m->type == CONTROL_ANSWER)
		c->asked = 0;
	if (m->type != CONTROL_READY)
		return;
	c->ready = true;
	for (int i = 0; i < PROCESS_ROLES; i++) {
		if (!parent->children[i].ready)
			return;
	}
	if (!parent->told_ready)
		log_info("collector is ready name=%s", parent->settings->name);
	if (!parent->told_ready)
		manager_ready(&parent->manager);
	parent->told_ready = true;
}

static void set_timer(struct child *c, int64_t delay)
{
	struct timeval tv = {delay / NS_PER_S, delay % NS_PER_S / NS_PER_US};

	evtimer_add(c->timer, &tv);
}

static void on_child_channel_gone(void *ctx, const char *why)
{
	struct child *c = ctx;

	/* Most often the process is just ending, which SIGCHLD tells; one that lives on without its
	 * channel is of no use. */
	log_debug("control channel is gone role=%s why=\"%s\"", roles[c->role].name, why);
	if (!evtimer_pending(c->timer, NULL))
		set_timer(c, STOP_TIMEOUT);
}

static int start_child(struct child *c)
{
	struct err e;
	int fds[2];
	pid_t pid;

	if (ipc_pair(fds, &e) < 0) {
		log_error("cannot start a process role=%s: %s", roles[c->role].name, e.text);
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		exit(child_main(c->parent, c->role, fds[1]));
	}
	close(fds[1]);
	if (pid < 0) {
		log_error("cannot start a process role=%s error=\"%s\"", roles[c->role].name,
			strerror(errno));
		close(fds[0]);
		return -1;
	}
	c->pid = pid;
	c->started = clock_mono();
	c->asked = 0;
	c->ready = false;
	c->control = ipc_new(fds[0]);
	ipc_start(c->control, c->parent->base, on_child_message, on_child_channel_gone, c);
	if (c->role == PROCESS_INGEST)
		ipc_send(c->control, CONTROL_SOCKET, 0, NULL, 0, c->parent->requests);
	if (c->role == PROCESS_NOTIFY && c->parent->runner >= 0)
		ipc_send(c->control, CONTROL_SOCKET, 0, NULL, 0, c->parent->runner);
	connect_peers(c->parent, c->role);
	return 0;
}

/* Sends STOP to the first role of the order that still runs (web and render together). */
static void stop_next(struct parent *parent)
{
	for (size_t i = 0; i < sizeof stop_order / sizeof *stop_order; i++) {
		struct child *c = &parent->children[stop_order[i]];

		if (c->pid == 0)
			continue;
		if (evtimer_pending(c->timer, NULL))
			return;
		ipc_send(c->control, CONTROL_STOP, 0, NULL, 0, -1);
		set_timer(c, STOP_TIMEOUT);
		if (c->role != PROCESS_WEB)
			return;
	}
	for (int i = 0; i < PROCESS_ROLES; i++) {
		if (parent->children[i].pid != 0)
			return;
	}
	event_base_loopbreak(parent->base);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct child *c = ctx;

	(void)fd, (void)what;
	if (c->pid != 0) {
		log_warn("process did not end in time, killing it role=%s", roles[c->role].name);
		kill(c->pid, SIGKILL);
	} else if (c->pid == 0 && !c->parent->stopping && start_child(c) < 0) {
		set_timer(c, RESTART_DELAY_MAX);
	}
}

static void child_ended(struct child *c, int status)
{
	bool stable = clock_mono() - c->started >= STABLE_AFTER;

	c->pid = 0;
	c->died_of = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	c->ready = false;
	evtimer_del(c->timer);
	ipc_free(c->control);
	c->control = NULL;
	if (c->parent->stopping) {
		if (status != 0) {
			log_error("process did not end well role=%s status=%#x", roles[c->role].name, (unsigned)status);
			c->parent->status = 1;
		}
		stop_next(c->parent);
		return;
	}
	c->delay = stable || c->delay == 0 ? RESTART_DELAY_MIN : c->delay * 2;
	if (c->delay > RESTART_DELAY_MAX)
		c->delay = RESTART_DELAY_MAX;
	if (WIFSIGNALED(status))
		log_error("process was killed, starting it again role=%s signal=%d",
			roles[c->role].name, WTERMSIG(status));
	else
		log_error("process ended, starting it again role=%s status=%d",
			roles[c->role].name, WEXITSTATUS(status));
	set_timer(c, stable ? 0 : c->delay);
}

static void on_sigchld(evutil_socket_t sig, short what, void *ctx)
{
	struct parent *parent = ctx;
	int status;
	pid_t pid;

	(void)sig, (void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < PROCESS_ROLES; i++) {
			if (parent->children[i].pid == pid)
				child_ended(&parent->children[i], status);
		}
	}
}

static void on_sigterm(evutil_socket_t sig, short what, void *ctx)
{
	struct parent *parent = ctx;

	(void)sig, (void)what;
	if (parent->stopping)
		return;
	log_info("ending");
	manager_stopping(&parent->manager);
	parent->stopping = true;
	evtimer_del(parent->round);
	for (int i = 0; i < PROCESS_ROLES; i++)
		evtimer_del(parent->children[i].timer);
	stop_next(parent);
}

/* ---- children that hang */

static int64_t round_length(const struct parent *parent)
{
	int64_t length = parent->settings->answer_within / ASKS, watchdog = parent->manager.watchdog / 2;

	return watchdog > 0 && watchdog < length ? watchdog : length;
}

/* Its state is on disk and what comes after it goes on from there, so that a wrong guess costs a restart and no more. */
static void ask_child(struct child *c, int64_t now, int64_t limit)
{
	if (c->pid == 0 || !c->ready)
		return;
	if (c->asked == 0) {
		c->asked = now;
		ipc_send(c->control, CONTROL_ASK, 0, NULL, 0, -1);
	} else if (now - c->asked >= limit) {
		log_error("process does not answer, ending it role=%s seconds=%lld", roles[c->role].name,
			(long long)((now - c->asked) / NS_PER_S));
		kill(c->pid, SIGKILL);
		c->asked = now;
	}
}

/* Time in which we stood still ourselves, with the machine or alone, is nobody's silence. */
static void on_round(evutil_socket_t fd, short what, void *ctx)
{
	struct parent *parent = ctx;
	int64_t now = clock_mono(), length = round_length(parent);
	int64_t stood = now - parent->last_round - length;
	struct timeval tv = {length / NS_PER_S, length % NS_PER_S / NS_PER_US};

	(void)fd, (void)what;
	manager_alive(&parent->manager);
	for (int i = 0; i < PROCESS_ROLES; i++) {
		struct child *c = &parent->children[i];

		if (c->asked != 0 && stood > length)
			c->asked = now;
		ask_child(c, now, parent->settings->answer_within);
	}
	parent->last_round = now;
	evtimer_add(parent->round, &tv);
}

static void free_generation(struct parent *parent)
{
	settings_free(parent->settings);
	inventory_free(parent->inventory);
	roster_free(parent->roster);
	calendar_free(parent->calendar);
}

/* Judgement and delivery go by them: what is wrong is to be told here, with the old ones still in use. */
static int read_others(struct parent *next, struct err *e)
{
	const struct settings *s = next->settings;

	if (s->calendar[0] != '\0' && (next->calendar = calendar_load(s->calendar, e)) == NULL)
		return -1;
	if (s->notice[0] == '\0')
		return 0;
	next->roster = roster_load(s->notice, next->inventory, e);
	return next->roster != NULL && commands_check(next->roster, s->commands, e) == 0 &&
		roster_check_steps(next->roster, s->incidents.escalate.count, e) == 0 ? 0 : -1;
}

static int read_generation(const struct parent *parent, struct parent *next, struct err *e)
{
	next->settings = settings_load(parent->settings_path, e);
	next->inventory = next->settings != NULL ? inventory_load(next->settings->inventory, e) : NULL;
	if (next->inventory == NULL || read_others(next, e) < 0)
		return -1;
	return parent->settings != NULL ? confine_holds(parent->settings, next->settings, e) : 0;
}

/* All of it or nothing. A process that is started again goes by what was read here, whatever the files say meanwhile. */
static int load_generation(struct parent *parent, struct err *e)
{
	struct parent next = {0};

	if (read_generation(parent, &next, e) < 0) {
		free_generation(&next);
		return -1;
	}
	free_generation(parent);
	parent->settings = next.settings;
	parent->inventory = next.inventory;
	parent->roster = next.roster;
	parent->calendar = next.calendar;
	return 0;
}

static void on_sighup(evutil_socket_t sig, short what, void *ctx)
{
	struct parent *parent = ctx;
	const char *text;
	struct err e;

	(void)sig, (void)what;
	manager_reloading(&parent->manager);
	if (load_generation(parent, &e) < 0) {
		log_error("reload refused, the old settings stay: %s", e.text);
		manager_ready(&parent->manager);
		return;
	}
	text = parent->settings->text;
	for (int i = 0; i < PROCESS_ROLES; i++) {
		if (parent->children[i].pid != 0)
			ipc_send(parent->children[i].control, CONTROL_RELOAD, 0, text, strlen(text) + 1, -1);
	}
	log_info("reloaded checks=%zu agents=%zu", parent->inventory->checks_count,
		parent->inventory->agents_count);
	manager_ready(&parent->manager);
}

static void parent_init(struct parent *parent)
{
	static const struct {
		int number;
		event_callback_fn on_signal;
	} handled[4] = {{SIGCHLD, on_sigchld}, {SIGTERM, on_sigterm}, {SIGINT, on_sigterm},
		{SIGHUP, on_sighup}};

	signal(SIGPIPE, SIG_IGN);
	parent->base = event_base_new();
	for (size_t i = 0; i < 4; i++) {
		parent->signals[i] = evsignal_new(parent->base, handled[i].number,
			handled[i].on_signal, parent);
		evsignal_add(parent->signals[i], NULL);
	}
	for (int i = 0; i < PROCESS_ROLES; i++) {
		struct child *c = &parent->children[i];

		*c = (struct child){.parent = parent, .role = (enum process_role)i};
		c->timer = evtimer_new(parent->base, on_timer, c);
	}
	parent->round = evtimer_new(parent->base, on_round, parent);
}

static void parent_fini(struct parent *parent)
{
	for (int i = 0; i < PROCESS_ROLES; i++)
		event_free(parent->children[i].timer);
	for (size_t i = 0; i < 4; i++)
		event_free(parent->signals[i]);
	event_free(parent->round);
	event_base_free(parent->base);
	manager_close(&parent->manager);
	close(parent->requests);
	if (parent->runner >= 0)
		close(parent->runner);
	close(parent->lock);
	free_generation(parent);
}

/* A second collector would take the socket and the journal from the first. A lock of this process alone: no child holds it after
 * it, however it ends. */
static int lock_state(const char *state, struct err *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char *path = mem_format("%s/" LOCK_FILE, state);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0) {
		free(path);
		return fd;
	}
	err_errno(e, "%s: lock", path);
	if (fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		err_set(e, "%s: a collector runs there already, it is process %ld", state, (long)lock.l_pid);
	if (fd >= 0)
		close(fd);
	free(path);
	return -1;
}

int process_parent_run(const char *settings_path)
{
	struct parent parent = {.settings_path = settings_path, .lock = -1, .requests = -1, .runner = -1};
	struct err e;

	if (load_generation(&parent, &e) < 0) {
		log_error("%s", e.text);
		return 3;
	}
	log_level_set((enum log_level)parent.settings->log_level);
	manager_open(&parent.manager);
	if (!fence_has_landlock())
		log_warn("this kernel has no Landlock: paths are bounded by the rights of the user alone");
	/* The runner of commands has rights that we give up. */
	if (parent.settings->commands[0] != '\0' && (parent.runner = runner_start(parent.settings->commands, parent.settings->user, &e)) < 0) {
		log_error("%s", e.text);
		free_generation(&parent);
		return 3;
	}
	/* The parent's fence makes no such socket. */
	if (fence_give_folder(parent.settings->state, 0700, parent.settings->user, &e) == 0)
		parent.lock = lock_state(parent.settings->state, &e);
	if (parent.lock >= 0)
		parent.requests = requests_listen(parent.settings->state, &e);
	if (parent.requests < 0 || confine_parent(parent.settings, &e) < 0) {
		log_error("%s", e.text);
		free_generation(&parent);
		return 1;
	}
	parent_init(&parent);
	log_info("starting name=%s units=%zu systems=%zu checks=%zu agents=%zu",
		parent.settings->name, parent.inventory->units_count, parent.inventory->systems_count,
		parent.inventory->checks_count, parent.inventory->agents_count);
	for (int i = 0; i < PROCESS_ROLES; i++) {
		if (start_child(&parent.children[i]) < 0)
			set_timer(&parent.children[i], RESTART_DELAY_MIN);
	}
	parent.last_round = clock_mono();
	on_round(-1, 0, &parent);
	event_base_dispatch(parent.base);
	log_info("ended");
	parent_fini(&parent);
	return parent.status;
}

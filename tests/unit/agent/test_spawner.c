#include "agent/spawner.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/plugins.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/mem.h"
#include "probes/catalog_exec.h"
#include "probes/exec.h"
#include "tests/support/children.h"

#define UID 61237 /* of plugins here; nobody else's */
#define CALLS_MAX 40

static struct bench {
	char folder[64];
	struct plugins *table;
	struct event_base *base;
	struct event *limit; /* of a wait */
	bool late;
	struct spawner *spawner;
	size_t ended;
	struct told {
		bool ended;
		struct exec_end end;
		char out[SPAWNER_OUT_MAX + 1], err[SPAWNER_ERR_MAX + 1];
	} told[CALLS_MAX];
	unsigned gone, back, lost;
} b;

/* ---- a table of its own */

static void add_script(struct buf *table, const char *name, const char *body)
{
	char *path = mem_format("%s/%s", b.folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", body);
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
	buf_add_format(table, "%s{ name = \"%s\"; path = \"%s\"; }", table->len > 0 ? ",\n" : "plugins = (\n", name, path);
	free(path);
}

static const char *in_folder(const char *name)
{
	static char path[400];

	snprintf(path, sizeof path, "%s/%s", b.folder, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_folder(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(in_folder(name), 0644), 0);
}

static int make_table(void **state)
{
	struct buf table = {0};
	struct err e;

	(void)state;
	strcpy(b.folder, "/tmp/xj-spawner-XXXXXX");
	assert_non_null(mkdtemp(b.folder));
	assert_int_equal(chmod(b.folder, 0755), 0);
	add_script(&table, "say", "for a in \"$@\"; do echo \"<$a>\"; done; echo wrong >&2; exit 2");
	add_script(&table, "who", "id -u; id -G; grep NoNewPrivs /proc/self/status; ulimit -p; ulimit -c; ulimit -n; pwd; ls /proc/self/fd | wc -l; nice; "
		"cat; grep 'Cap[EP]' /proc/self/status");
	add_script(&table, "sleep", "sleep 1000");
	add_script(&table, "stubborn", "trap '' TERM INT HUP; while :; do sleep 1000; done");
	add_script(&table, "flood", "while :; do echo 0123456789012345678901234567890123456789; done");
	add_script(&table, "much", "i=0; while [ $i -lt 1000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done");
	add_script(&table, "silent", "exec >/dev/null 2>&1; sleep 1000");
	add_script(&table, "daemon", "setsid sh -c 'setsid sleep 1000 & sleep 1000' & (setsid sleep 1000 &); echo left; exit 0");
	add_script(&table, "bomb", "exec python3 -c 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'");
	add_script(&table, "forks", "i=0; while [ $i -lt 30 ]; do sleep 1 & i=$((i+1)); done; echo all");
	add_script(&table, "crowd", "exec python3 -c 'import os, time\nwhile True:\n  try:\n    if os.fork() == 0: time.sleep(1000)\n"
		"  except OSError: time.sleep(1)'");
	add_script(&table, "signal", "kill -9 $$");
	add_script(&table, "itself", "echo $0; cat /proc/self/oom_score_adj");
	buf_add_text(&table, ",\n{ name = \"fixed\"; path = \"/bin/echo\"; argv = [ \"a b\", \"c\" ]; takes_args = false; },\n"
		"{ name = \"missing\"; path = \"/nowhere/x\"; },\n");
	buf_add_format(&table, "{ name = \"linked\"; path = \"%s/link\"; } );\n", b.folder);
	assert_int_equal(symlink("itself", in_folder("link")), 0);
	write_file("plugins.conf", buf_text(&table));
	buf_fini(&table);
	b.table = plugins_load(in_folder("plugins.conf"), &e);
	if (b.table == NULL)
		fail_msg("%s", e.text);
	return 0;
}

static int drop_table(void **state)
{
	DIR *d = opendir(b.folder);
	struct dirent *entry;

	(void)state;
	plugins_free(b.table);
	while ((entry = readdir(d)) != NULL)
		unlink(in_folder(entry->d_name));
	closedir(d);
	return rmdir(b.folder);
}

/* Processes of the user of plugins that are not dead. */
static unsigned of_plugins(void)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(d)) != NULL) {
		char path[300], line[128] = "", word[16] = "";
		struct stat st;
		FILE *f;

		snprintf(path, sizeof path, "/proc/%.200s/stat", entry->d_name);
		if (stat(path, &st) != 0 || st.st_uid != UID || (f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(line, sizeof line, f) != NULL && strrchr(line, ')') != NULL)
			sscanf(strrchr(line, ')') + 1, "%15s", word);
		n += strcmp(word, "Z") != 0 && strcmp(word, "X") != 0;
		fclose(f);
	}
	closedir(d);
	return n;
}

static void none_is_left(void)
{
	int64_t until = clock_mono() + 60 * NS_PER_S;

	while (of_plugins() > 0 && clock_mono() < until)
		usleep(10000);
	assert_int_equal(of_plugins(), 0);
}

/* ---- calls and their ends */

static void on_change(void *ctx, enum keeper_change change, const char *why)
{
	(void)ctx;
	assert_true((*why == '\0') == (change == KEEPER_BACK));
	b.gone += change == KEEPER_GONE;
	b.back += change == KEEPER_BACK;
	b.lost += change == KEEPER_LOST;
	event_base_loopbreak(b.base);
}

static void on_end(void *ctx, const struct exec_end *end)
{
	struct told *t = ctx;

	assert_false(t->ended);
	assert_true(end->out_len <= SPAWNER_OUT_MAX && end->err_len <= SPAWNER_ERR_MAX);
	t->ended = true;
	t->end = *end;
	memcpy(t->out, end->out, end->out_len);
	t->out[end->out_len] = '\0';
	memcpy(t->err, end->err, end->err_len);
	t->err[end->err_len] = '\0';
	b.ended++;
	event_base_loopbreak(b.base);
}

static void on_limit(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what, (void)ctx;
	b.late = true;
	event_base_loopbreak(b.base);
}

static void open_with(const struct spawner_rights *rights)
{
	struct err e;

	memset(b.told, 0, sizeof b.told);
	b.ended = b.gone = b.back = b.lost = 0;
	b.base = event_base_new();
	b.limit = evtimer_new(b.base, on_limit, NULL);
	b.spawner = spawner_start(b.table, rights, &e);
	assert_non_null(b.spawner);
	spawner_watch(b.spawner, b.base, on_change, NULL);
}

static const struct spawner_rights other_user = {.has_user = true, .uid = UID, .gid = UID, .has_namespaces = true};

static int open_bench(void **state)
{
	(void)state;
	if (geteuid() == 0)
		open_with(&other_user);
	return 0;
}

static int close_bench(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	spawner_free(b.spawner);
	event_free(b.limit);
	event_base_free(b.base);
	none_is_left(); /* else they count for the next */
	return 0;
}

static struct exec_call *begin(size_t at, int64_t timeout, const char *plugin, const char *const *args)
{
	struct exec_request q = {.plugin = plugin, .args = args, .deadline = clock_mono() + timeout};
	struct exec_call *c;
	struct err e;

	while (args != NULL && args[q.count] != NULL)
		q.count++;
	c = spawner_call(b.spawner, &q, on_end, &b.told[at], &e);
	assert_non_null(c);
	return c;
}

/* Until something is told. */
static void wait_once(void)
{
	const struct timeval limit = {60, 0};

	b.late = false;
	evtimer_add(b.limit, &limit);
	event_base_dispatch(b.base);
	evtimer_del(b.limit);
	if (b.late)
		fail_msg("%zu calls have ended; gone %u, back %u, lost %u", b.ended, b.gone, b.back, b.lost);
}

static void wait_for(size_t ended)
{
	while (b.ended < ended && b.gone == 0)
		wait_once();
}

static const struct told *run(int64_t timeout, const char *plugin, const char *const *args)
{
	b.told[0].ended = false;
	b.ended = 0;
	begin(0, timeout, plugin, args);
	wait_for(1);
	return &b.told[0];
}

static void wait_until(const unsigned *what, unsigned count)
{
	while (*what < count)
		wait_once();
}

static void needs_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* ---- the cases */

static void arguments_come_through_as_they_are(void **state)
{
	const char *const args[] = {"a b", "$(id)", "", "; rm -rf /", "中文", "*", NULL};
	const struct told *t;

	(void)state;
	needs_root();
	t = run(10 * NS_PER_S, "say", args);
	assert_int_equal(t->end.how, EXEC_EXITED);
	assert_int_equal(t->end.status, 2);
	assert_string_equal(t->out, "<a b>\n<$(id)>\n<>\n<; rm -rf />\n<中文>\n<*>\n");
	assert_string_equal(t->err, "wrong\n");
	assert_true(t->end.elapsed > 0 && t->end.elapsed < 10 * NS_PER_S);
	t = run(10 * NS_PER_S, "fixed", NULL);
	assert_string_equal(t->out, "a b c\n");
}

static void a_plugin_has_no_rights_and_nothing_open(void **state)
{
	char expected[512];
	const struct told *t;
	int nicer;

	(void)state;
	needs_root();
	t = run(10 * NS_PER_S, "who", NULL);
	snprintf(expected, sizeof expected, "%d\n%d\nNoNewPrivs:\t1\n", UID, UID);
	assert_memory_equal(t->out, expected, strlen(expected));
	assert_non_null(strstr(t->out, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"));
	/* processes, core, descriptors; its folder; three ends and that of ls; nicer than we are */
	nicer = getpriority(PRIO_PROCESS, 0) + 10;
	snprintf(expected, sizeof expected, "\n256\n0\n256\n/\n4\n%d\n", nicer < 19 ? nicer : 19);
	assert_non_null(strstr(t->out, expected));
}

static void what_is_not_allowed_is_not_started(void **state)
{
	const char *const one[] = {"x", NULL};
	const struct told *t;

	(void)state;
	needs_root();
	t = run(10 * NS_PER_S, "nothing", NULL);
	assert_int_equal(t->end.how, EXEC_FAILED);
	assert_string_equal(t->err, "plugin nothing is not allowed on this host");
	t = run(10 * NS_PER_S, "fixed", one);
	assert_int_equal(t->end.how, EXEC_FAILED);
	assert_string_equal(t->err, "plugin fixed takes no arguments of a check here");
	t = run(10 * NS_PER_S, "missing", NULL);
	assert_int_equal(t->end.how, EXEC_FAILED);
	assert_non_null(strstr(t->err, "plugin \"missing\": /nowhere/x: No such file"));
	assert_int_equal(chmod(in_folder("say"), 0777), 0);
	t = run(10 * NS_PER_S, "say", NULL);
	assert_int_equal(chmod(in_folder("say"), 0755), 0);
	assert_int_equal(t->end.how, EXEC_FAILED);
	assert_non_null(strstr(t->err, "can be changed by others"));
	assert_int_equal(chmod(in_folder("say"), 0700), 0); /* nobody but root may */
	t = run(10 * NS_PER_S, "say", NULL);
	assert_int_equal(chmod(in_folder("say"), 0755), 0);
	assert_int_equal(t->end.how, EXEC_FAILED);
	assert_string_equal(t->err, "the plugin could not be started: Permission denied");
}

/* A link that is exchanged between the look and the start leads nowhere else. */
static void what_was_checked_is_what_is_executed(void **state)
{
	char expected[600];

	(void)state;
	needs_root();
	snprintf(expected, sizeof expected, "%s\n1000\n", in_folder("itself"));
	assert_string_equal(run(10 * NS_PER_S, "linked", NULL)->out, expected);
}

/* Only what ends at its deadline is given a short one: what ends before takes what the machine takes. */
static void hostile(const char *name, enum exec_how how)
{
	int64_t began = clock_mono(), timeout = how == EXEC_LATE ? 600 * NS_PER_MS : 60 * NS_PER_S;
	const struct told *t = run(timeout, name, NULL);
	double late = (double)(clock_mono() - began - timeout) / NS_PER_S;

	if (t->end.how != how || late > 2 || of_plugins() != 0)
		fail_msg("%s: how %d, %.2f s after its deadline, %u processes left", name, (int)t->end.how, late, of_plugins());
}

static void all_that_a_plugin_started_ends_with_it(void)
{
	hostile("sleep", EXEC_LATE);
	hostile("stubborn", EXEC_LATE);
	hostile("silent", EXEC_LATE);
	hostile("bomb", EXEC_LATE);
	hostile("flood", EXEC_FLOODED);
	hostile("daemon", EXEC_EXITED);
	hostile("signal", EXEC_SIGNALLED);
	assert_int_equal(b.told[0].end.status, SIGKILL);
}

static void hostile_plugins_are_gone_soon_after_the_deadline(void **state)
{
	(void)state;
	needs_root();
	all_that_a_plugin_started_ends_with_it();
}

/* As where the kernel or a container refuses them. */
static void without_namespaces_they_are_gone_as_well(void **state)
{
	(void)state;
	needs_root();
	close_bench(state);
	open_with(&(struct spawner_rights){.has_user = true, .uid = UID, .gid = UID});
	all_that_a_plugin_started_ends_with_it();
}

static void output_is_cut(void **state)
{
	const struct told *t;

	(void)state;
	needs_root();
	t = run(20 * NS_PER_S, "much", NULL);
	assert_int_equal(t->end.how, EXEC_EXITED);
	assert_int_equal(t->end.out_len, SPAWNER_OUT_MAX);
}

static void sixteen_run_at_once_and_others_wait(void **state)
{
	struct exec_call *calls[SPAWNER_PLACES + 2];

	(void)state;
	needs_root();
	for (size_t i = 0; i < SPAWNER_PLACES + 2; i++)
		calls[i] = begin(i, 20 * NS_PER_S, i == SPAWNER_PLACES ? "say" : "sleep", NULL);
	assert_false(spawner_cancel(b.spawner, calls[SPAWNER_PLACES + 1])); /* it waits */
	assert_true(spawner_cancel(b.spawner, calls[3]));
	wait_for(1); /* the place of that is taken by the one that waits */
	assert_true(b.told[SPAWNER_PLACES].ended);
	assert_int_equal(b.told[SPAWNER_PLACES].end.status, 2);
	for (size_t i = 0; i < SPAWNER_PLACES; i++) {
		if (i != 3)
			assert_true(spawner_cancel(b.spawner, calls[i]));
	}
	run(20 * NS_PER_S, "say", NULL);
	assert_false(b.told[3].ended); /* what was cancelled is not told */
}

/* The kernel counts processes by their user: one plugin may not take those of the next. */
static void a_crowd_leaves_processes_for_others(void **state)
{
	const struct told *t;

	(void)state;
	needs_root();
	begin(1, 20 * NS_PER_S, "crowd", NULL);
	while (of_plugins() < 256)
		event_base_loop(b.base, EVLOOP_NONBLOCK);
	t = run(10 * NS_PER_S, "forks", NULL);
	assert_int_equal(t->end.how, EXEC_EXITED);
	assert_string_equal(t->out, "all\n");
	assert_string_equal(t->err, "");
}

static pid_t spawner_pid(void)
{
	return children_youngest(children_youngest(getpid()));
}

static void a_killed_spawner_takes_all_with_it_and_is_told(void **state)
{
	struct exec_request q = {.plugin = "say", .deadline = clock_mono() + NS_PER_S};
	struct err e;

	(void)state;
	needs_root();
	for (size_t i = 0; i < SPAWNER_PLACES + 4; i++)
		begin(i, 20 * NS_PER_S, "stubborn", NULL);
	while (of_plugins() < SPAWNER_PLACES)
		event_base_loop(b.base, EVLOOP_NONBLOCK);
	kill(spawner_pid(), SIGKILL);
	wait_for(SPAWNER_PLACES + 4);
	while (b.gone == 0)
		event_base_loop(b.base, EVLOOP_ONCE);
	assert_int_equal(b.gone, 1);
	assert_int_equal(b.ended, SPAWNER_PLACES + 4);
	assert_int_equal(b.told[0].end.how, EXEC_FAILED);
	assert_string_equal(b.told[0].err, "the process that starts plugins has ended");
	assert_null(spawner_call(b.spawner, &q, on_end, NULL, &e));
	assert_string_equal(e.text, "the process that starts plugins has ended");
	none_is_left();
}

/* More than the rules allow between the two must be cut, not sent: it would end the spawner, and all plugins with it. */
static void a_deadline_far_away_is_no_end_of_the_spawner(void **state)
{
	(void)state;
	needs_root();
	assert_int_equal(run(2 * EXEC_TIMEOUT_MAX * NS_PER_S, "say", NULL)->end.how, EXEC_EXITED);
	assert_int_equal(b.gone, 0);
}

static void a_spawner_that_has_ended_is_started_anew(void **state)
{
	(void)state;
	needs_root();
	for (unsigned i = 1; i <= 2; i++) {
		kill(spawner_pid(), SIGKILL);
		wait_until(&b.gone, i);
		wait_until(&b.back, i);
		b.gone = 0;
		assert_int_equal(run(10 * NS_PER_S, "say", NULL)->end.how, EXEC_EXITED);
		b.gone = i;
	}
	assert_int_equal(b.lost, 0);
}

/* Somebody has killed even that which would start it anew. */
static void without_its_keeper_a_spawner_lives_on_and_is_lost_when_it_ends(void **state)
{
	struct exec_request q = {.plugin = "say", .deadline = clock_mono() + NS_PER_S};
	pid_t spawner;
	struct err e;

	(void)state;
	needs_root();
	spawner = spawner_pid();
	kill(children_youngest(getpid()), SIGKILL);
	assert_int_equal(run(10 * NS_PER_S, "say", NULL)->end.how, EXEC_EXITED);
	kill(spawner, SIGKILL);
	wait_until(&b.lost, 1);
	assert_null(spawner_call(b.spawner, &q, on_end, NULL, &e));
	assert_string_equal(e.text, "the process that starts plugins has ended");
}

static void the_end_of_the_agent_ends_them(void **state)
{
	(void)state;
	needs_root();
	begin(0, 20 * NS_PER_S, "stubborn", NULL);
	while (of_plugins() == 0)
		event_base_loop(b.base, EVLOOP_NONBLOCK);
	spawner_free(b.spawner);
	b.spawner = NULL;
	none_is_left();
}

/* ---- a spawner whose engine is under foreign control */

static void put_text(struct buf *out, const char *text, size_t len)
{
	buf_add_u16(out, (uint16_t)len);
	buf_add(out, text, len);
}

static void breaks_the_rules(uint16_t type, uint32_t id, const struct buf *body, bool with_fd)
{
	const struct spawner_rights rights = {.has_user = geteuid() == 0, .uid = UID, .gid = UID};
	struct ipc_message m;
	struct ipc *channel;
	struct err e;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(ipc_pair(fds, &e), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		spawner_serve(fds[1], b.table, &rights);
		_exit(0);
	}
	close(fds[1]);
	channel = ipc_new(fds[0]);
	assert_int_equal(ipc_send_wait(channel, type, id, body->data, body->len, with_fd ? STDIN_FILENO : -1, &e), 0);
	assert_int_equal(ipc_receive(channel, &m, 10 * NS_PER_S, &e), -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ipc_free(channel);
}

static void what_breaks_the_rules_ends_it(void **state)
{
	static char big[EXEC_FILLED_MAX + 1];
	struct buf good = {0}, body = {0};

	(void)state;
	memset(big, 'x', sizeof big);
	buf_add_u32(&good, 1000);
	put_text(&good, "say", 3);
	buf_add_u16(&good, 0);
	breaks_the_rules(SPAWNER_CALL, 0, &good, false);
	breaks_the_rules(SPAWNER_CALL, 1, &good, true);
	breaks_the_rules(SPAWNER_END, 1, &good, false);
	breaks_the_rules(99, 1, &good, false);
	breaks_the_rules(SPAWNER_CANCEL, 1, &good, false);
	for (int i = 0; i < 11; i++) {
		buf_clear(&body);
		buf_add_u32(&body, i == 0 ? 0 : i == 1 ? 1000000 : 1000);
		if (i == 2)
			put_text(&body, "../say", 6);
		else if (i == 3)
			put_text(&body, "s\0y", 3);
		else
			put_text(&body, "say", 3);
		buf_add_u16(&body, i == 4 ? 65 : i == 5 ? 2 : 1);
		for (int k = 0; i == 4 && k < 64; k++)
			put_text(&body, "a", 1);
		if (i == 6)
			put_text(&body, big, sizeof big);
		else if (i == 7)
			put_text(&body, "a\0b", 3);
		else if (i == 8)
			put_text(&body, "a\nb", 3);
		else if (i == 9)
			put_text(&body, "\xff", 1);
		else
			put_text(&body, "a", 1);
		if (i == 10)
			buf_add_u8(&body, 0);
		breaks_the_rules(SPAWNER_CALL, 1, &body, false);
	}
	buf_fini(&good);
	buf_fini(&body);
}

/* ---- rights and the table */

static void rights_are_never_root_or_the_agents(void **state)
{
	struct spawner_rights r;
	struct err e;

	(void)state;
	needs_root();
	assert_int_equal(spawner_rights_find("61237", "61238", false, &r, &e), 0);
	assert_true(r.has_user && r.uid == UID && r.gid == UID);
	assert_int_equal(spawner_rights_find("root", "61238", false, &r, &e), -1);
	assert_string_equal(e.text, "plugin_user: plugins do not run as root");
	assert_int_equal(spawner_rights_find("0", "61238", false, &r, &e), -1);
	assert_int_equal(spawner_rights_find("61238", "61238", false, &r, &e), -1);
	assert_non_null(strstr(e.text, "do not run as the user of the agent"));
	assert_int_equal(spawner_rights_find("no-such-user", "61238", false, &r, &e), -1);
	assert_string_equal(e.text, "plugin_user: there is no user \"no-such-user\"");
}

static void refused(const char *text, const char *words)
{
	struct err e;

	write_file("bad.conf", text);
	assert_null(plugins_load(in_folder("bad.conf"), &e));
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
}

static void a_table_is_checked(void **state)
{
	struct plugins *p;
	struct err e;

	(void)state;
	refused("plugins = ( { name = \"a\"; path = \"bin/x\"; } );", "bad.conf:1: path: \"bin/x\" must be an absolute path");
	refused("plugins = ( { name = \"a/b\"; path = \"/bin/x\"; } );", "is not the name of a plugin");
	refused("plugins = ( { name = \"a\"; path = \"/x\"; },\n { name = \"a\"; path = \"/y\"; } );",
		"bad.conf:2: plugin \"a\" stands twice, first in line 1");
	refused("plugin = ( );", "did you mean \"plugins\"");
	write_file("bad.conf", "");
	p = plugins_load(in_folder("bad.conf"), &e);
	assert_non_null(p);
	assert_null(plugins_find(p, "a"));
	plugins_free(p);
}

static void a_table_that_others_can_change_is_refused(void **state)
{
	struct err e;

	(void)state;
	needs_root();
	write_file("bad.conf", "");
	assert_int_equal(chmod(in_folder("bad.conf"), 0664), 0);
	assert_null(plugins_load(in_folder("bad.conf"), &e));
	assert_non_null(strstr(e.text, "can be changed by others than its owner (mode 664)"));
	assert_int_equal(chmod(in_folder("bad.conf"), 0644), 0);
	assert_int_equal(chown(in_folder("bad.conf"), UID, UID), 0);
	assert_null(plugins_load(in_folder("bad.conf"), &e));
	assert_non_null(strstr(e.text, "belongs to user 61237, it must be root's"));
	assert_int_equal(chown(in_folder("bad.conf"), 0, 0), 0);
	assert_int_equal(chmod(b.folder, 0777), 0);
	assert_null(plugins_load(in_folder("bad.conf"), &e));
	assert_int_equal(chmod(b.folder, 0755), 0);
	assert_non_null(strstr(e.text, "can be changed by others"));
	assert_null(plugins_load(b.folder, &e));
	assert_non_null(strstr(e.text, "is not a file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arguments_come_through_as_they_are, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_plugin_has_no_rights_and_nothing_open, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(what_is_not_allowed_is_not_started, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(what_was_checked_is_what_is_executed, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(hostile_plugins_are_gone_soon_after_the_deadline, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(without_namespaces_they_are_gone_as_well, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_crowd_leaves_processes_for_others, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(output_is_cut, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(sixteen_run_at_once_and_others_wait, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_killed_spawner_takes_all_with_it_and_is_told, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_deadline_far_away_is_no_end_of_the_spawner, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_spawner_that_has_ended_is_started_anew, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(without_its_keeper_a_spawner_lives_on_and_is_lost_when_it_ends, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(the_end_of_the_agent_ends_them, open_bench, close_bench),
		cmocka_unit_test(what_breaks_the_rules_ends_it),
		cmocka_unit_test(rights_are_never_root_or_the_agents),
		cmocka_unit_test(a_table_is_checked),
		cmocka_unit_test(a_table_that_others_can_change_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_table, drop_table);
}

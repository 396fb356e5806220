/* Commands of channels as processes: what they are given, what they may, how they end; and what hostile asks do: nothing. */
#include "collector/notice/runner.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/judge/incident.h"
#include "collector/notice/command.h"
#include "collector/notice/facts.h"
#include "collector/notice/phrase.h"
#include "collector/notice/runner_message.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "tests/support/children.h"

#define WAIT_MS 60000

static char folder[] = "/tmp/test-runner-XXXXXX";
static char table[64];
static int runner = -1;
static uid_t user; /* nobody else has it on this machine */

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static const struct {
	const char *name, *text;
} scripts[] = {
	{"tell", "echo \"$1 $XUNJIAN_KIND $(id -u) $(id -G) $(pwd)\"; cat; grep -E 'NoNewPrivs|CapEff' /proc/self/status | tr '\\n' ' '\n"
		"ls /proc/self/fd | wc -l\nenv | grep -cv XUNJIAN_\n"},
	{"fail", "echo out; echo because >&2; exit 3\n"},
	{"hang", "trap '' TERM HUP\necho begun\n( setsid sh -c 'trap \"\" TERM; sleep 1000' & )\nwhile :; do sleep 1000; done\n"},
	{"flood", "echo begun; exec yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"},
	{"deaf", "exec <&-; exit 0\n"},
	{"leave", "( setsid sleep 1000 & ) >&- 2>&-\nexit 0\n"},
	{"open", "exit 0\n"},
	{"kill", "kill -9 $$\n"},
};

static int begin(void **state)
{
	struct buf text = {0};
	struct err e;

	(void)state;
	if (geteuid() != 0)
		return 0;
	if (mkdtemp(folder) == NULL || chmod(folder, 0755) != 0)
		return -1;
	user = 1000000 + (uid_t)getpid();
	snprintf(table, sizeof table, "%s/commands.conf", folder);
	buf_add_format(&text, "user = \"%u\";\ncommands = (\n", (unsigned)user);
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		char *script = mem_format("#!/bin/sh\n%s", scripts[i].text);

		write_file(scripts[i].name, script, 0755);
		free(script);
		buf_add_format(&text, "{ name = \"%s\"; path = \"%s/%s\"; argv = ( \"an arg'; exit 1\" ); },\n", scripts[i].name, folder,
			scripts[i].name);
	}
	buf_add_format(&text, "{ name = \"nothing\"; path = \"%s/nothing\"; } );\n", folder);
	write_file("commands.conf", buf_text(&text), 0644);
	buf_fini(&text);
	runner = runner_start(table, "", &e);
	if (runner < 0)
		printf("%s\n", e.text);
	return runner < 0 ? -1 : 0;
}

static int end(void **state)
{
	char *line = mem_format("rm -rf %s", folder);

	(void)state;
	close(runner);
	if (geteuid() == 0 && system(line) != 0)
		return -1;
	free(line);
	return 0;
}

struct ended {
	enum runner_how how;
	int status;
	char output[RUNNER_OUTPUT_MAX + 1];
};

static int ask(const char *name, int64_t timeout, const char *input)
{
	char variable[] = "XUNJIAN_KIND=a b; $(c)";
	const struct runner_ask a = {.timeout = timeout, .name = name, .count = 1, .variables = {variable}, .input = input,
		.input_len = strlen(input)};
	struct err e;
	int fd;

	while ((fd = runner_send(runner, &a, &e)) < 0 && strstr(e.text, "is busy") != NULL)
		poll(NULL, 0, 10);
	assert_true(fd >= 0);
	return fd;
}

/* Bytes that come until the end; -1 when that does not come. */
static ssize_t read_all(int fd, uint8_t *out, size_t room)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t len = 0;

	while (poll(&p, 1, WAIT_MS) == 1) {
		ssize_t n = read(fd, out + len, room - len);

		if (n <= 0)
			return n == 0 || errno == ECONNRESET ? (ssize_t)len : -1;
		len += (size_t)n;
	}
	return -1;
}

static struct ended end_of(int fd)
{
	uint8_t bytes[RUNNER_OUTPUT_MAX + 64];
	ssize_t n = read_all(fd, bytes, sizeof bytes);
	struct ended ended = {.how = RUNNER_BUSY};
	struct runner_end e;

	assert_true(n > 0);
	assert_int_equal(runner_message_read_end(bytes, (size_t)n, &e), 0);
	ended.how = e.how;
	ended.status = e.status;
	memcpy(ended.output, e.output, e.len);
	close(fd);
	return ended;
}

static struct ended run(const char *name, int64_t timeout, const char *input)
{
	return end_of(ask(name, timeout, input));
}

static void skip_without_root(void)
{
	if (geteuid() != 0)
		skip();
}

static bool is_anything_left(void)
{
	DIR *d = opendir("/proc");
	const struct dirent *entry;
	bool found = false;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		struct stat st;

		found |= fstatat(dirfd(d), entry->d_name, &st, 0) == 0 && st.st_uid == user;
	}
	closedir(d);
	return found;
}

/* Nothing of the user of commands runs, or becomes so soon. */
static void assert_nothing_left(void)
{
	for (int i = 0; i < WAIT_MS / 10 && is_anything_left(); i++)
		poll(NULL, 0, 10);
	assert_false(is_anything_left());
}

static void a_command_has_its_facts_and_no_rights(void **state)
{
	struct ended e;
	char *wanted;

	(void)state;
	skip_without_root();
	e = run("tell", 60 * NS_PER_S, "title\ntext; $(reboot)\n");
	assert_int_equal(e.how, RUNNER_EXITED);
	assert_int_equal(e.status, 0);
	/* its argument and variable as they are; no group but its own; three descriptors and that of ls; PATH, HOME, LC_ALL, PWD */
	wanted = mem_format("an arg'; exit 1 a b; $(c) %u %u /\ntitle\ntext; $(reboot)\n"
		"CapEff:\t0000000000000000 NoNewPrivs:\t1 4\n4\n", (unsigned)user, (unsigned)user);
	assert_string_equal(e.output, wanted);
	free(wanted);
}

static void how_it_ended_is_told(void **state)
{
	struct ended e;

	(void)state;
	skip_without_root();
	e = run("fail", 60 * NS_PER_S, "");
	assert_int_equal(e.how, RUNNER_EXITED);
	assert_int_equal(e.status, 3);
	assert_string_equal(e.output, "out\nbecause\n");
	e = run("kill", 60 * NS_PER_S, "");
	assert_int_equal(e.how, RUNNER_SIGNALLED);
	assert_int_equal(e.status, SIGKILL);
	e = run("nothing", 60 * NS_PER_S, "");
	assert_int_equal(e.how, RUNNER_FAILED);
	assert_non_null(strstr(e.output, "command \"nothing\""));
	assert_non_null(strstr(e.output, "commands.conf:11: "));
	e = run("unknown", 60 * NS_PER_S, "");
	assert_int_equal(e.how, RUNNER_FAILED);
	assert_non_null(strstr(e.output, "no command unknown"));
}

static void one_that_others_can_change_is_not_started(void **state)
{
	struct ended e;
	char path[128];

	(void)state;
	skip_without_root();
	assert_int_equal(run("open", 60 * NS_PER_S, "").how, RUNNER_EXITED);
	snprintf(path, sizeof path, "%s/open", folder);
	assert_int_equal(chmod(path, 0757), 0);
	e = run("open", 60 * NS_PER_S, "");
	assert_int_equal(e.how, RUNNER_FAILED);
	assert_non_null(strstr(e.output, "can be changed by others"));
}

static void the_deadline_ends_all_of_it(void **state)
{
	struct ended e;

	(void)state;
	skip_without_root();
	e = run("hang", 500 * NS_PER_MS, "");
	assert_int_equal(e.how, RUNNER_LATE);
	assert_string_equal(e.output, "begun\n");
	assert_nothing_left();
	e = run("flood", 500 * NS_PER_MS, "");
	assert_int_equal(e.how, RUNNER_LATE);
	assert_int_equal(strlen(e.output), RUNNER_OUTPUT_MAX);
	assert_nothing_left();
}

static void what_is_left_behind_ends_with_it(void **state)
{
	(void)state;
	skip_without_root();
	assert_int_equal(run("leave", 60 * NS_PER_S, "").how, RUNNER_EXITED);
	assert_nothing_left();
}

static void it_ends_when_nobody_waits_any_more(void **state)
{
	(void)state;
	skip_without_root();
	close(ask("hang", 200 * NS_PER_S, ""));
	assert_nothing_left();
}

/* Once it is there. */
static pid_t runner_of(pid_t guard, pid_t before)
{
	pid_t pid;

	for (int i = 0; i < WAIT_MS / 10 && ((pid = children_youngest(guard)) == 0 || pid == before); i++)
		poll(NULL, 0, 10);
	assert_true(pid > 0 && pid != before);
	return pid;
}

static char state_of(pid_t pid)
{
	char *path = mem_format("/proc/%d/stat", (int)pid), state = '?';
	FILE *f = fopen(path, "r");

	free(path);
	if (f != NULL && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	if (f != NULL)
		fclose(f);
	return state;
}

static void signal_until(pid_t pid, int number, char wanted)
{
	assert_int_equal(kill(pid, number), 0);
	for (int i = 0; i < WAIT_MS / 10 && state_of(pid) != wanted; i++)
		poll(NULL, 0, 10);
	assert_int_equal(state_of(pid), wanted);
}

static void one_that_was_killed_is_started_again(void **state)
{
	pid_t guard, first;
	int fd;

	(void)state;
	skip_without_root();
	guard = children_youngest(getpid());
	first = runner_of(guard, 0);
	signal_until(guard, SIGSTOP, 'T');
	signal_until(first, SIGKILL, 'Z');
	fd = ask("fail", 60 * NS_PER_S, ""); /* waits for the next one */
	assert_int_equal(kill(guard, SIGCONT), 0);
	assert_int_equal(end_of(fd).how, RUNNER_EXITED);
	assert_true(runner_of(guard, first) > 0);
}

static void without_its_guard_it_is_gone_for_good(void **state)
{
	char variable[] = "XUNJIAN_KIND=x";
	const struct runner_ask a = {.timeout = NS_PER_S, .name = "fail", .count = 1, .variables = {variable}, .input = ""};
	struct pollfd hang_up;
	pid_t guard, its;
	struct err e;
	int other;

	(void)state;
	skip_without_root();
	other = runner_start(table, "", &e);
	assert_true(other >= 0);
	guard = children_youngest(getpid());
	its = runner_of(guard, 0);
	assert_int_equal(kill(guard, SIGKILL), 0);
	assert_int_equal(waitpid(guard, NULL, 0), guard);
	assert_int_equal(kill(its, SIGKILL), 0);
	hang_up = (struct pollfd){.fd = other, .events = POLLIN};
	assert_int_equal(poll(&hang_up, 1, WAIT_MS), 1);
	assert_int_equal(runner_send(other, &a, &e), RUNNER_GONE);
	assert_string_equal(e.text, RUNNER_GONE_WORDS);
	close(other);
}

static void input_that_is_not_read_holds_nobody(void **state)
{
	char *input = mem_alloc(RUNNER_INPUT_MAX + 1);

	(void)state;
	skip_without_root();
	memset(input, 'x', RUNNER_INPUT_MAX);
	assert_int_equal(run("deaf", 60 * NS_PER_S, input).how, RUNNER_EXITED);
	free(input);
}

static void more_than_may_run_are_refused(void **state)
{
	int fds[RUNNER_PLACES];

	(void)state;
	skip_without_root();
	assert_nothing_left();
	for (int i = 0; i < RUNNER_PLACES; i++)
		fds[i] = ask("hang", 200 * NS_PER_S, "");
	assert_int_equal(run("fail", 60 * NS_PER_S, "").how, RUNNER_BUSY);
	for (int i = 0; i < RUNNER_PLACES; i++)
		close(fds[i]);
	assert_nothing_left();
	/* keepers end a little after what they kept */
	for (int i = 0; i < 100 && run("fail", 60 * NS_PER_S, "").how == RUNNER_BUSY; i++)
		poll(NULL, 0, 100);
	assert_int_equal(run("fail", 60 * NS_PER_S, "").how, RUNNER_EXITED);
}

static void hostile_asks_start_nothing(void **state)
{
	char good[] = "XUNJIAN_KIND=x", bad[] = "LD_PRELOAD=/tmp/x.so";
	const struct runner_ask a = {.timeout = NS_PER_S, .name = "fail", .count = 1, .variables = {good}, .input = "in", .input_len = 2};
	const struct runner_ask b = {.timeout = NS_PER_S, .name = "fail", .count = 1, .variables = {bad}, .input = "", .input_len = 0};
	unsigned seed = (unsigned)time(NULL);
	struct runner_ask out;
	struct buf bytes = {0};
	size_t taken = 0;

	(void)state;
	printf("seed %u\n", seed);
	srand(seed);
	runner_message_put_ask(&bytes, &b);
	assert_int_equal(runner_message_read_ask(bytes.data, bytes.len, &out), -1);
	runner_message_fini_ask(&out);
	buf_clear(&bytes);
	runner_message_put_ask(&bytes, &a);
	for (int i = 0; i < 100000; i++) {
		uint8_t copy[256];
		size_t len = (size_t)rand() % 8 == 0 ? (size_t)rand() % bytes.len : bytes.len;

		memcpy(copy, bytes.data, bytes.len);
		for (int k = rand() % 4; k >= 0; k--)
			copy[(size_t)rand() % bytes.len] = (uint8_t)rand();
		if (runner_message_read_ask(copy, len, &out) == 0) {
			taken++;
			assert_true(out.timeout >= NS_PER_MS && out.timeout <= RUNNER_TIMEOUT_MAX * NS_PER_S);
			assert_true(out.count == 0 || strncmp(out.variables[0], "XUNJIAN_", 8) == 0);
		}
		runner_message_fini_ask(&out);
		if (i % 1000 == 0 && runner >= 0)
			send(runner, copy, i % 3000 == 0 ? 0 : len, MSG_NOSIGNAL); /* without a descriptor to answer by */
	}
	assert_true(taken > 0);
	buf_fini(&bytes);
	if (runner >= 0)
		assert_int_equal(run("fail", 60 * NS_PER_S, "").how, RUNNER_EXITED);
}

static void an_ask_has_all_facts(void **state)
{
	const struct roster_channel channel = {.id = "pager", .kind = ROSTER_COMMAND, .command = "tell"};
	const struct letter_facts letter = {.collector = "city", .token = "", .secret = ""};
	const struct incident_intent in = {.key = 7, .kind = INTENT_PROBLEM, .audience = "", .incident = 3, .subject = "link/east",
		.state = STATE_DOWN, .since = NS_PER_S, .at = NS_PER_S, .author = "", .text = "", .reason = ""};
	char long_words[RUNNER_INPUT_MAX * 2] = "";
	struct phrase p = {.title = "t", .body = long_words, .subject = "link/east", .reason = "a\nb=\"c\"", .systems = ""};
	struct runner_ask a, out;
	struct buf input = {0}, bytes = {0};
	struct facts f;
	bool has_reason = false;

	(void)state;
	memset(long_words, 'x', sizeof long_words - 1);
	facts_make(&channel, &in, &p, &letter, &f);
	command_write(&channel, &f, 30 * NS_PER_S, &input, &a);
	runner_message_put_ask(&bytes, &a);
	assert_true(bytes.len <= RUNNER_ASK_MAX);
	assert_int_equal(runner_message_read_ask(bytes.data, bytes.len, &out), 0);
	assert_int_equal(out.timeout, 29 * NS_PER_S);
	for (size_t i = 0; i < out.count; i++)
		has_reason |= strcmp(out.variables[i], "XUNJIAN_REASON=a b=\"c\"") == 0;
	assert_true(has_reason);
	assert_memory_equal(out.input, "t\nxxx", 5);
	runner_message_fini_ask(&out);
	command_free_ask(&a);
	facts_fini(&f);
	buf_fini(&input);
	buf_fini(&bytes);
}

static void only_success_is_success(void **state)
{
	static const struct {
		struct runner_end end;
		enum letter_outcome outcome;
		const char *words;
	} rows[] = {
		{{RUNNER_EXITED, 0, (const uint8_t *)"sent\n", 5}, LETTER_TAKEN, "exit status 0: sent"},
		{{RUNNER_EXITED, 1, (const uint8_t *)"a\x1b[1m\n<b>\n", 10}, LETTER_AGAIN, "exit status 1: a [1m ＜b＞"},
		{{RUNNER_SIGNALLED, 9, (const uint8_t *)"", 0}, LETTER_AGAIN, "ended by signal 9"},
		{{RUNNER_LATE, 0, (const uint8_t *)"", 0}, LETTER_AGAIN, "did not end in time, and was ended"},
		{{RUNNER_BUSY, 0, (const uint8_t *)"", 0}, LETTER_AGAIN, "as many commands"},
		{{RUNNER_FAILED, 0, (const uint8_t *)"why", 3}, LETTER_REFUSED, "could not be started: why"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err words;

		assert_int_equal(command_answer(&rows[i].end, &words), rows[i].outcome);
		assert_memory_equal(words.text, rows[i].words, strlen(rows[i].words));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_has_its_facts_and_no_rights),
		cmocka_unit_test(how_it_ended_is_told),
		cmocka_unit_test(one_that_others_can_change_is_not_started),
		cmocka_unit_test(the_deadline_ends_all_of_it),
		cmocka_unit_test(what_is_left_behind_ends_with_it),
		cmocka_unit_test(it_ends_when_nobody_waits_any_more),
		cmocka_unit_test(input_that_is_not_read_holds_nobody),
		cmocka_unit_test(more_than_may_run_are_refused),
		cmocka_unit_test(one_that_was_killed_is_started_again),
		cmocka_unit_test(without_its_guard_it_is_gone_for_good),
		cmocka_unit_test(hostile_asks_start_nothing),
		cmocka_unit_test(an_ask_has_all_facts),
		cmocka_unit_test(only_success_is_success),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

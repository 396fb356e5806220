/* Sends of every kind that cannot arrive: they end once, in time, from the loop, or are cancelled without a word. */
#include "collector/notice/send.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "collector/judge/incident.h"
#include "collector/notice/lookup.h"
#include "collector/notice/phrase.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

static const struct incident_intent intent = {.key = 7, .kind = INTENT_DIGEST, .audience = "", .subject = "", .author = "", .text = "",
	.reason = ""};
static const struct phrase phrase = {.title = (char *)(uintptr_t)"title", .body = (char *)(uintptr_t)"body"};
static const struct letter_facts facts = {.matter = LETTER_TEST, .collector = "city", .token = "authenticate", .secret = "encrypt me"};

struct bed {
	struct event_base *base;
	struct sender *sender;
	int silent; /* a socket of TCP and one of UDP of one port, that answer nothing */
	int silent_udp;
	uint16_t port;
	unsigned ends;
	enum letter_outcome outcome;
	char words[512];
};

static int begin(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct bed *b = mem_alloc(sizeof *b);
	socklen_t len = sizeof a;

	b->base = event_base_new();
	b->sender = sender_new(b->base);
	b->silent = socket(AF_INET, SOCK_STREAM, 0);
	b->silent_udp = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(b->silent, (struct sockaddr *)&a, sizeof a) != 0 || listen(b->silent, 8) != 0 ||
		getsockname(b->silent, (struct sockaddr *)&a, &len) != 0)
		return -1;
	b->port = ntohs(a.sin_port);
	*state = b;
	return bind(b->silent_udp, (struct sockaddr *)&a, sizeof a);
}

static int end(void **state)
{
	struct bed *b = *state;

	sender_free(b->sender);
	event_base_free(b->base);
	close(b->silent);
	close(b->silent_udp);
	free(b);
	return 0;
}

static void on_end(void *ctx, enum letter_outcome outcome, const char *words)
{
	struct bed *b = ctx;

	b->ends++;
	b->outcome = outcome;
	snprintf(b->words, sizeof b->words, "%s", words);
}

static struct roster_channel channel_of(const struct bed *b, enum roster_kind kind, char url[64])
{
	snprintf(url, 64, "%s://127.0.0.1:%u", kind == ROSTER_SYSLOG ? "tls" : kind == ROSTER_INFORM ? "udp" :
		kind == ROSTER_SMTP ? "smtp" : "http", b->port);
	return (struct roster_channel){.id = "c", .kind = kind, .url = url, .from = "", .user = "xj", .token_file = "", .secret_file = "",
		.ca = "", .certificate = "", .key = "", .enterprise = "8072.9.1", .body = "{text}", .success = "code=0"};
}

static const enum roster_kind kinds[] = {ROSTER_ALERTMANAGER, ROSTER_SYSLOG, ROSTER_INFORM, ROSTER_SMTP};

static void silence_ends_at_the_deadline(void **state)
{
	struct bed *b = *state;
	char url[64];

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct roster_channel c = channel_of(b, kinds[i], url);
		int64_t began = clock_mono();

		b->ends = 0;
		send_start(b->sender, &(struct send_order){&c, &intent, &phrase, &facts, 300 * NS_PER_MS}, on_end, b);
		assert_int_equal(b->ends, 0);
		while (b->ends == 0)
			event_base_loop(b->base, EVLOOP_ONCE);
		assert_true(clock_mono() - began >= 200 * NS_PER_MS); /* clocks of loops are coarse */
		assert_int_equal(b->outcome, LETTER_AGAIN);
		assert_true(strlen(b->words) > 5);
		event_base_loop(b->base, EVLOOP_NONBLOCK);
		assert_int_equal(b->ends, 1);
	}
}

static void one_that_is_cancelled_is_heard_of_no_more(void **state)
{
	struct bed *b = *state;
	char url[64];

	b->ends = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct roster_channel c = channel_of(b, kinds[i], url);
		struct send *s;

		for (unsigned turns = 0; turns < 20; turns++) {
			s = send_start(b->sender, &(struct send_order){&c, &intent, &phrase, &facts, 60 * NS_PER_S}, on_end, b);
			for (unsigned t = 0; t < turns; t++)
				event_base_loop(b->base, EVLOOP_NONBLOCK);
			send_cancel(s);
		}
	}
	event_base_loop(b->base, EVLOOP_NONBLOCK);
	assert_int_equal(b->ends, 0);
}

static void what_cannot_begin_ends_from_the_loop(void **state)
{
	struct bed *b = *state;
	char url[64];
	struct roster_channel c = channel_of(b, ROSTER_SYSLOG, url);

	c.ca = "/nowhere/ca.pem";
	b->ends = 0;
	send_start(b->sender, &(struct send_order){&c, &intent, &phrase, &facts, 60 * NS_PER_S}, on_end, b);
	assert_int_equal(b->ends, 0);
	while (b->ends == 0)
		event_base_loop(b->base, EVLOOP_ONCE);
	assert_int_equal(b->outcome, LETTER_REFUSED);
	assert_non_null(strstr(b->words, "/nowhere/ca.pem"));
}

static void addresses_of_channels_are_a_host_and_a_port(void **state)
{
	static const char *const bad[] = {"tls://", "tls://host", "tls://:6514", "tls://host:0", "tls://host:65536", "tls://host:6514/x",
		"udp://host:6514", "tls://2001:db8::1:6514", "tls://ho st:1", "tls://host:-1", "tls://host: 1", "tls://[]:1", "tls:/host:1"};
	char host[LOOKUP_HOST_MAX + 1];
	uint16_t port;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(lookup_parse_url(bad[i], "tls://", host, &port, &e), -1);
	assert_int_equal(lookup_parse_url("tls://[2001:db8::1]:6514", "tls://", host, &port, &e), 0);
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(port, 6514);
	assert_int_equal(lookup_parse_url("tls://log.example:1", "tls://", host, &port, &e), 0);
	assert_string_equal(host, "log.example");
}

static void only_this_machine_is_this_machine(void **state)
{
	static const char *const own[] = {"smtp://127.0.0.1:25", "http://127.9.9.9/x", "http://[::1]:80/", "http://[::1]", "http://localhost",
		"http://localhost:80/x"};
	static const char *const others[] = {"http://127.evil.example/", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
		"http://127.0.0.1@evil.example/", "http://localhost:x@evil.example", "http://[::1]evil.example", "http://127.1", "http://",
		"http://10.0.0.1", "localhost"};

	(void)state;
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		assert_true(lookup_is_this_machine(own[i]));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(lookup_is_this_machine(others[i]));
}

static void a_secret_is_one_whole_line_of_a_file(void **state)
{
	char path[] = "/tmp/test-send-XXXXXX", secret[SEND_SECRET_MAX], text[SEND_SECRET_MAX];
	int fd = mkstemp(path);
	struct err e;

	(void)state;
	assert_true(fd >= 0);
	memset(text, 'x', sizeof text);
	assert_int_equal(write(fd, text, sizeof text), sizeof text);
	assert_int_equal(send_read_secret(path, secret, &e), -1);
	assert_non_null(strstr(e.text, "longer than"));
	assert_int_equal(secret[0], '\0');
	assert_int_equal(pwrite(fd, "\n", 1, SEND_SECRET_MAX - 2), 1);
	assert_int_equal(send_read_secret(path, secret, &e), 0);
	assert_int_equal(strlen(secret), SEND_SECRET_MAX - 2);
	close(fd);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for somebody to write */
	assert_int_equal(send_read_secret(path, secret, &e), -1);
	unlink(path);
}

static void a_file_that_a_channel_cannot_use_is_told_with_its_line(void **state)
{
	char path[] = "/tmp/test-send-XXXXXX";
	struct roster_channel c = {.id = "ops", .token_file = "", .secret_file = path, .ca = "", .certificate = "", .key = "",
		.where = {"notice.conf", 7}};
	int fd = mkstemp(path);
	struct err e;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "secret\n", 7), 7);
	assert_int_equal(send_check_files(&c, &e), 0);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(send_check_files(&c, &e), -1);
	assert_non_null(strstr(e.text, "chmod 600"));
	c.secret_file = "";
	c.ca = path;
	assert_int_equal(send_check_files(&c, &e), -1); /* no certificate */
	close(fd);
	unlink(path);
	assert_int_equal(send_check_files(&c, &e), -1);
	assert_ptr_equal(strstr(e.text, "notice.conf:7: channel ops: "), e.text);
	assert_non_null(strstr(e.text, path));
}

static void words_of_others_are_cleaned(void **state)
{
	struct bed *b = *state;
	char url[64];
	struct roster_channel c = channel_of(b, ROSTER_SYSLOG, url);

	c.ca = "/nowhere/\x1b[31m\n\xff<b>/ca.pem";
	b->ends = 0;
	send_start(b->sender, &(struct send_order){&c, &intent, &phrase, &facts, 60 * NS_PER_S}, on_end, b);
	while (b->ends == 0)
		event_base_loop(b->base, EVLOOP_ONCE);
	assert_non_null(strstr(b->words, "/nowhere/ [31m ?＜b＞/ca.pem"));
}

/* ---- a mail server that looks at a mail until it is told to take it, and answers no goodbye */

struct slow {
	int listener, came, go;
	bool was_told;
};

static void say(FILE *f, const char *line)
{
	fprintf(f, "%s\r\n", line);
	fflush(f);
}

static void take_mail(struct slow *s, FILE *f)
{
	struct pollfd p = {.fd = s->go, .events = POLLIN};
	char line[1024], byte;

	say(f, "354 go on");
	while (fgets(line, sizeof line, f) != NULL && strcmp(line, ".\r\n") != 0)
		;
	if (write(s->came, "x", 1) == 1)
		s->was_told = poll(&p, 1, 20000) == 1 && read(s->go, &byte, 1) == 1;
	say(f, "250 taken");
}

static void *slow_main(void *ctx)
{
	struct slow *s = ctx;
	FILE *f = fdopen(accept(s->listener, NULL, NULL), "r+");
	char line[1024];

	say(f, "220 slow");
	while (fgets(line, sizeof line, f) != NULL && strncmp(line, "QUIT", 4) != 0) {
		if (strncmp(line, "DATA", 4) == 0)
			take_mail(s, f);
		else
			say(f, "250 fine");
	}
	fclose(f);
	return NULL;
}

static void on_came(evutil_socket_t fd, short what, void *ctx)
{
	char byte;

	(void)what;
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(write(*(int *)ctx, "x", 1), 1);
}

static void a_server_that_looks_at_mail_for_long_holds_up_nothing(void **state)
{
	struct bed *b = *state;
	struct slow slow = {.listener = b->silent};
	const char *to = "a@example.cn";
	char url[64];
	struct roster_channel c = channel_of(b, ROSTER_SMTP, url);
	int came[2], go[2];
	struct event *event;
	pthread_t server;

	assert_true(pipe(came) == 0 && pipe(go) == 0);
	slow.came = came[1];
	slow.go = go[0];
	assert_int_equal(pthread_create(&server, NULL, slow_main, &slow), 0);
	c.from = "xj@example.cn";
	c.user = "";
	c.to = (struct config_texts){.items = &to, .count = 1};
	b->ends = 0;
	event = event_new(b->base, came[0], EV_READ | EV_PERSIST, on_came, &go[1]);
	event_add(event, NULL);
	for (unsigned i = 1; i <= 3; i++) { /* through one connection: who listens accepts no other */
		send_start(b->sender, &(struct send_order){&c, &intent, &phrase, &facts, 60 * NS_PER_S}, on_end, b);
		while (b->ends < i)
			event_base_loop(b->base, EVLOOP_ONCE);
		assert_string_equal(b->words, "status 250");
		assert_int_equal(b->outcome, LETTER_TAKEN);
		assert_true(slow.was_told);
	}
	sender_free(b->sender);
	b->sender = sender_new(b->base);
	assert_int_equal(pthread_join(server, NULL), 0);
	event_free(event);
	close(came[0]);
	close(came[1]);
	close(go[0]);
	close(go[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(silence_ends_at_the_deadline, begin, end),
		cmocka_unit_test_setup_teardown(one_that_is_cancelled_is_heard_of_no_more, begin, end),
		cmocka_unit_test_setup_teardown(what_cannot_begin_ends_from_the_loop, begin, end),
		cmocka_unit_test_setup_teardown(a_server_that_looks_at_mail_for_long_holds_up_nothing, begin, end),
		cmocka_unit_test_setup_teardown(words_of_others_are_cleaned, begin, end),
		cmocka_unit_test(only_this_machine_is_this_machine),
		cmocka_unit_test(a_secret_is_one_whole_line_of_a_file),
		cmocka_unit_test(a_file_that_a_channel_cannot_use_is_told_with_its_line),
		cmocka_unit_test(addresses_of_channels_are_a_host_and_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

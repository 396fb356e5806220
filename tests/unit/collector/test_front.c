#include "collector/web/front.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <zlib.h>

#include "collector/inventory.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "tests/support/fake_peers.h"
#include "tests/support/librrd_leaks.h"

/* The page and its API over real sockets, with peers made up from the example city. */
static struct world {
	struct event_base *base;
	struct settings settings;
	struct inventory *inventory;
	struct front *front;
	struct fake_peers *peers;
	uint16_t port;
	char address[32];
	const char *listen[1];
} w;

/* ---- a client on the same loop */

struct client {
	struct bufferevent *connection;
	struct evbuffer *in;
	const char *until; /* stop when this has come; NULL: the end */
	bool done;
};

static bool has_come(struct client *c)
{
	return c->until != NULL && evbuffer_search(c->in, c->until, strlen(c->until), NULL).pos >= 0;
}

static void on_data(struct bufferevent *b, void *ctx)
{
	struct client *c = ctx;

	evbuffer_add_buffer(c->in, bufferevent_get_input(b));
	if (has_come(c)) {
		c->done = true;
		event_base_loopbreak(w.base);
	}
}

static void on_end(struct bufferevent *b, short what, void *ctx)
{
	struct client *c = ctx;

	(void)b;
	if ((what & BEV_EVENT_CONNECTED) != 0)
		return;
	c->done = true;
	event_base_loopbreak(w.base);
}

static void client_open(struct client *c, const char *request)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(w.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	*c = (struct client){.in = evbuffer_new()};
	c->connection = bufferevent_socket_new(w.base, -1, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(c->connection, on_data, NULL, on_end, c);
	bufferevent_enable(c->connection, EV_READ | EV_WRITE);
	assert_int_equal(bufferevent_socket_connect(c->connection, (struct sockaddr *)&to, sizeof to), 0);
	bufferevent_write(c->connection, request, strlen(request));
}

static void client_wait(struct client *c, const char *until)
{
	c->until = until;
	c->done = has_come(c);
	while (!c->done)
		event_base_dispatch(w.base);
	if (until != NULL && !has_come(c))
		fail_msg("never came: %s", until);
}

static void client_close(struct client *c)
{
	bufferevent_free(c->connection);
	evbuffer_free(c->in);
}

/* Sends bytes, returns all that comes back until the server closes. */
static char *exchange(const char *request)
{
	struct client c;
	size_t n;
	char *answer;

	client_open(&c, request);
	client_wait(&c, NULL);
	n = evbuffer_get_length(c.in);
	answer = mem_alloc(n + 1);
	evbuffer_remove(c.in, answer, n);
	client_close(&c);
	return answer;
}

static char *get_with(const char *target, const char *headers)
{
	char *request = mem_format("GET %s HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n%s\r\n", target,
		w.port, headers);
	char *answer = exchange(request);

	free(request);
	return answer;
}

static int status_of(const char *answer)
{
	return strncmp(answer, "HTTP/1.", 7) == 0 ? atoi(answer + 9) : 0;
}

static const char *body_of(const char *answer)
{
	return strstr(answer, "\r\n\r\n") + 4;
}

static void assert_status(const char *target, int status)
{
	char *answer = get_with(target, "");

	if (status_of(answer) != status)
		fail_msg("%s: %.300s", target, answer);
	free(answer);
}

static json_t *get_json(const char *target)
{
	char *answer = get_with(target, "");
	json_error_t e;
	json_t *v;

	if (status_of(answer) != 200)
		fail_msg("%s: %.300s", target, answer);
	v = json_loads(body_of(answer), 0, &e);
	if (v == NULL)
		fail_msg("%s: %s", target, e.text);
	free(answer);
	return v;
}

static const char *text_at(json_t *v, const char *key)
{
	const char *text = json_string_value(json_object_get(v, key));

	return text != NULL ? text : "(none)";
}

static json_t *item_with_id(json_t *list, const char *id)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		if (strcmp(text_at(v, "id"), id) == 0)
			return v;
	}
	fail_msg("no item %s", id);
	return NULL;
}

/* ---- the world */

static uint16_t free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	return ntohs(a.sin_port);
}

static void wait_until_ready(void)
{
	for (;;) {
		char *answer = get_with("/-/ready", "");
		int status = status_of(answer);

		free(answer);
		if (status == 200)
			return;
	}
}

static int begin(void **state)
{
	struct err e;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	w.base = event_base_new();
	w.inventory = inventory_load("conf/city/inventory.d", &e);
	if (w.inventory == NULL)
		fail_msg("%s", e.text);
	w.port = free_port();
	snprintf(w.address, sizeof w.address, "127.0.0.1:%u", w.port);
	w.listen[0] = w.address;
	w.settings = (struct settings){.name = "test-city"};
	w.settings.web.listen.items = (void *)w.listen;
	w.settings.web.listen.count = 1;
	w.front = front_new(w.base, &w.settings, w.inventory, &e);
	if (w.front == NULL)
		fail_msg("%s", e.text);
	w.peers = fake_peers_new(w.base, w.inventory);
	return 0;
}

static int begin_connected(void **state)
{
	begin(state);
	fake_peers_connect(w.peers, w.front, PROCESS_INGEST);
	fake_peers_connect(w.peers, w.front, PROCESS_SERIES);
	fake_peers_connect(w.peers, w.front, PROCESS_RENDER);
	fake_peers_connect(w.peers, w.front, PROCESS_JUDGE);
	wait_until_ready();
	return 0;
}

static int finish(void **state)
{
	(void)state;
	front_free(w.front);
	fake_peers_free(w.peers);
	inventory_free(w.inventory);
	event_base_free(w.base);
	return 0;
}

/* ---- guards */

static void only_plain_paths_of_this_host_reach_a_handler(void **state)
{
	static const struct {
		const char *request;
		int status;
	} cases[] = {
		{"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200},
		{"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n", 200},
		{"GET /-/healthy HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n", 200},
		{"GET /-/healthy HTTP/1.1\r\nHost: LOCALHOST\r\nConnection: close\r\n\r\n", 200},
		{"GET /-/healthy HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421},
		{"GET /-/healthy HTTP/1.1\r\nHost: localhost.evil.example\r\nConnection: close\r\n\r\n", 421},
		{"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1.nip.io\r\nConnection: close\r\n\r\n", 421},
		{"GET /-/healthy HTTP/1.1\r\nHost: 0.0.0.0\r\nConnection: close\r\n\r\n", 421},
		{"GET /-/healthy HTTP/1.1\r\nHost: [::2]\r\nConnection: close\r\n\r\n", 421},
		{"GET /-/healthy HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n\r\n", 421},
		{"GET /-/healthy HTTP/1.1\r\nHost: localhost:x\r\nConnection: close\r\n\r\n", 421},
		{"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /-/healthy HTTP/1.1\r\nConnection: close\r\n\r\n", 400},
		{"GET /-/healthy HTTP/1.0\r\n\r\n", 400},
		{"GET http://localhost/-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /assets/../-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /a%2e%2e/b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /api/v1/sites?q=%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /\\evil HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"POST /api/v1/overview HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab", 405},
		{"DELETE /api/v1/overview HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405},
		{"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab", 400},
		{"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", 400},
		{"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404},
		{"GET /api/v1/systems/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *answer = exchange(cases[i].request);

		if (status_of(answer) != cases[i].status)
			fail_msg("case %zu: %.60s: %.200s", i, cases[i].request, answer);
		free(answer);
	}
}

static void every_answer_carries_the_policy(void **state)
{
	static const char *const targets[] = {"/", "/api/v1/overview", "/nothing", "/metrics", "/-/ready"};

	(void)state;
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		char *answer = get_with(targets[i], "");

		assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'none'; script-src 'self';"));
		assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff"));
		assert_non_null(strstr(answer, "Referrer-Policy: no-referrer"));
		assert_non_null(strstr(answer, "Cache-Control: "));
		assert_null(strstr(answer, "Access-Control"));
		free(answer);
	}
}

static void a_head_that_is_too_long_is_refused(void **state)
{
	char *longest = mem_alloc(40001), *answer;

	(void)state;
	memset(longest, 'a', 40000);
	longest[0] = '/';
	answer = get_with(longest, "");
	assert_true(status_of(answer) == 0 || status_of(answer) >= 400);
	free(answer);
	free(longest);
	assert_status("/-/healthy", 200);
}

static void head_has_the_length_and_no_body(void **state)
{
	char *answer = exchange("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(answer), 200);
	assert_non_null(strstr(answer, "Content-Length: "));
	assert_null(strstr(answer, "Content-Length: 0"));
	assert_string_equal(body_of(answer), "");
	free(answer);
}

/* ---- content */

static void the_overview_counts_the_city(void **state)
{
	json_t *v = get_json("/api/v1/overview"), *totals = json_object_get(v, "totals");
	json_t *states = json_object_get(json_object_get(totals, "systems"), "states"), *n;
	const char *key;
	json_int_t sum = 0;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(v, "units")), 33);
	assert_int_equal(json_array_size(json_object_get(v, "systems")), 67);
	assert_int_equal(json_array_size(json_object_get(v, "agents")), 3);
	json_object_foreach(states, key, n)
		sum += json_integer_value(n);
	assert_int_equal(sum, 67);
	assert_true(json_integer_value(json_object_get(states, "up")) > 30);
	assert_true(json_is_true(json_object_get(json_object_get(v, "peers"), "series")));
	json_decref(v);
}

static void a_change_reaches_system_check_and_stream(void **state)
{
	struct client c;
	char *request = mem_format("GET /api/v1/events HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", w.port);
	json_t *v, *check;

	(void)state;
	client_open(&c, request);
	client_wait(&c, "event: tick");
	fake_peers_set(w.peers, "identity-http", FAMILY_V6, OUTCOME_DOWN, "</script>\xe2\x80\xae\"");
	client_wait(&c, "event: change");
	client_wait(&c, "\"identity-http\"");
	v = get_json("/api/v1/systems/identity");
	/* The other check of the system is up in that family. */
	assert_string_equal(text_at(v, "v6"), "degraded");
	check = item_with_id(json_object_get(v, "list"), "identity-http");
	assert_string_equal(text_at(check, "v6"), "down");
	assert_string_equal(text_at(check, "v4"), "up");
	assert_int_equal(json_array_size(json_object_get(check, "rows")), 6);
	json_decref(v);
	v = get_json("/api/v1/checks/identity-http");
	assert_string_equal(text_at(json_object_get(v, "subject"), "id"), "identity");
	json_decref(v);
	client_close(&c);
	free(request);
	/* The server forgets the stream. */
	assert_status("/-/healthy", 200);
}

static void a_page_that_comes_back_gets_what_it_missed(void **state)
{
	json_t *v = get_json("/api/v1/overview");
	char *request = mem_format("GET /api/v1/events HTTP/1.1\r\nHost: localhost:%u\r\nLast-Event-ID: %s\r\n\r\n",
		w.port, text_at(v, "version"));
	struct client c;

	(void)state;
	json_decref(v);
	fake_peers_set(w.peers, "credit-http", FAMILY_V4, OUTCOME_DOWN, "cut");
	for (bool is_down = false; !is_down; json_decref(v)) {
		v = get_json("/api/v1/systems/credit");
		is_down = strcmp(text_at(v, "v4"), "down") == 0;
	}
	client_open(&c, request);
	client_wait(&c, "event: tick");
	assert_true(evbuffer_search(c.in, "event: change", 13, NULL).pos >= 0);
	assert_true(evbuffer_search(c.in, "credit", 6, NULL).pos >= 0);
	assert_true(evbuffer_search(c.in, "event: reset", 12, NULL).pos < 0);
	client_close(&c);
	free(request);
	/* An id of another start of the process: read everything again. */
	request = mem_format("GET /api/v1/events HTTP/1.1\r\nHost: localhost:%u\r\nLast-Event-ID: 1.2\r\n\r\n", w.port);
	client_open(&c, request);
	client_wait(&c, "event: reset");
	client_close(&c);
	free(request);
}

static void the_tree_is_filtered_here(void **state)
{
	json_t *v = get_json("/api/v1/sites"), *root = json_array_get(json_object_get(v, "sites"), 0);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(v, "sites")), 1);
	assert_string_equal(text_at(root, "level"), "city");
	json_decref(v);
	v = get_json("/api/v1/sites?parent=city");
	assert_int_equal(json_array_size(json_object_get(v, "sites")), 7);
	json_decref(v);
	v = get_json("/api/v1/sites?under=city&limit=5000");
	assert_int_equal(json_array_size(json_object_get(v, "sites")), w.inventory->sites_count);
	json_decref(v);
	v = get_json("/api/v1/sites?q=%E4%B8%9C%E6%BA%90&limit=3&offset=1");
	assert_int_equal(json_array_size(json_object_get(v, "sites")), 3);
	assert_true(json_integer_value(json_object_get(v, "total")) > 100);
	json_decref(v);
	v = get_json("/api/v1/sites?state=notup&limit=5000");
	assert_true(json_array_size(json_object_get(v, "sites")) < 300);
	json_decref(v);
	assert_status("/api/v1/sites?state=purple", 400);
	assert_status("/api/v1/sites?limit=0", 400);
	assert_status("/api/v1/sites?parent=nowhere", 404);
}

static void values_come_as_columns(void **state)
{
	const char *target = "/api/v1/values?check=identity-http&vantage=agent-city&family=6&from=1700000000"
			     "&to=1700086400&points=1440";
	json_t *v = get_json(target), *columns = json_object_get(v, "columns"), *first = json_array_get(columns, 0);

	(void)state;
	assert_int_equal(json_array_size(columns), 15); /* with what IPv6 takes by what IPv4 takes */
	assert_string_equal(text_at(first, "name"), "up");
	assert_int_equal(json_array_size(json_object_get(first, "values")),
		json_integer_value(json_object_get(v, "rows")));
	json_decref(v);
	assert_status("/api/v1/values?check=identity-http&vantage=agent-city", 400);
	assert_status("/api/v1/values?check=identity-http&vantage=agent-city&family=5", 400);
	assert_status("/api/v1/values?check=identity-http&vantage=agent-city&family=4&from=9&to=8", 400);
	assert_status("/api/v1/values?check=identity-http&vantage=agent-city&family=4&span=2h", 400);
	assert_status("/api/v1/values?check=identity-http&vantage=elsewhere&family=4", 404);
	assert_status("/api/v1/values?check=../../etc&vantage=agent-city&family=4", 404);
}

static void long_answers_are_compressed_for_those_who_ask(void **state)
{
	static const char asked[] = "GET /api/v1/sites?under=city&limit=5000 HTTP/1.1\r\nHost: localhost\r\n"
				    "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n";
	struct client c;
	struct evbuffer_ptr head;
	size_t len;
	z_stream z = {0};
	static unsigned char plain[1 << 20];

	(void)state;
	client_open(&c, asked);
	client_wait(&c, NULL);
	assert_true(evbuffer_search(c.in, "Content-Encoding: gzip", 22, NULL).pos > 0);
	head = evbuffer_search(c.in, "\r\n\r\n", 4, NULL);
	evbuffer_drain(c.in, (size_t)head.pos + 4);
	len = evbuffer_get_length(c.in);
	z.next_in = evbuffer_pullup(c.in, -1);
	z.avail_in = (unsigned)len;
	z.next_out = plain;
	z.avail_out = sizeof plain;
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(plain[0], '{');
	assert_true(z.total_out > 5 * len);
	printf("  figure: all sites: %lu bytes, %zu compressed\n", z.total_out, len);
	inflateEnd(&z);
	client_close(&c);
}

static void pictures_are_drawn(void **state)
{
	char *answer = get_with("/api/v1/graph.svg?check=identity-http&span=24h&lang=zh", "");

	(void)state;
	assert_int_equal(status_of(answer), 200);
	assert_non_null(strstr(answer, "Content-Type: image/svg+xml"));
	assert_memory_equal(body_of(answer), "<?xml", 5);
	free(answer);
	answer = get_with("/api/v1/graph.png?check=identity-http&vantage=agent-city&family=4&span=1h&lang=en", "");
	assert_int_equal(status_of(answer), 200);
	assert_memory_equal(body_of(answer), "\x89PNG", 4);
	free(answer);
	/* What librrd would take for an hour, a month. */
	assert_status("/api/v1/graph.svg?check=identity-http&from=1&to=640000000", 200);
	assert_status("/api/v1/graph.svg?check=identity-http&from=100000&to=100001", 400);
	assert_status("/api/v1/graph.svg?check=identity-http&from=2000000001&to=2000000000", 400);
	assert_status("/api/v1/graph.png?check=nothing", 404);
	assert_status("/api/v1/graph.png?check=identity-http&lang=xx", 400);
	assert_status("/api/v1/graph.png?check=identity-http&width=99999", 400);
}

static void an_answer_that_is_known_is_not_sent_again(void **state)
{
	char *answer = get_with("/api/v1/sites", ""), *etag = strstr(answer, "ETag: "), *header;

	(void)state;
	assert_non_null(etag);
	header = mem_format("If-None-Match: %.*s\r\n", (int)strcspn(etag + 6, "\r"), etag + 6);
	free(answer);
	answer = get_with("/", "");
	free(answer);
	answer = get_with("/api/v1/sites", header);
	assert_int_equal(status_of(answer), 304);
	free(answer);
	free(header);
}

static void the_page_is_there_compressed_or_not(void **state)
{
	char *answer = get_with("/", ""), *script = strstr(answer, "/assets/app-"), *target;

	(void)state;
	assert_non_null(script);
	target = mem_format("%.*s", (int)strcspn(script, "\""), script);
	free(answer);
	answer = get_with(target, "Accept-Encoding: br, gzip\r\n");
	assert_int_equal(status_of(answer), 200);
	assert_non_null(strstr(answer, "immutable"));
	assert_non_null(strstr(answer, "Content-Encoding: gzip"));
	free(answer);
	answer = get_with(target, "Accept-Encoding: gzip;q=0\r\n");
	assert_null(strstr(answer, "Content-Encoding"));
	free(answer);
	free(target);
}

/* ---- peers */

static void ready_says_what_is_missing(void **state)
{
	char *answer = get_with("/-/ready", "");

	(void)state;
	assert_int_equal(status_of(answer), 503);
	assert_non_null(strstr(answer, "ingest"));
	free(answer);
	assert_status("/api/v1/overview", 200);
	fake_peers_connect(w.peers, w.front, PROCESS_INGEST);
	fake_peers_connect(w.peers, w.front, PROCESS_SERIES);
	wait_until_ready();
	fake_peers_disconnect(w.peers, PROCESS_SERIES);
	for (int status = 200; status == 200;) {
		answer = get_with("/-/ready", "");
		status = status_of(answer);
		free(answer);
	}
	/* What asked while it went away is answered all the same. */
	assert_status("/api/v1/values?check=identity-http&vantage=agent-city&family=4", 503);
	assert_status("/api/v1/graph.svg?check=identity-http", 503);
	fake_peers_connect(w.peers, w.front, PROCESS_SERIES);
	wait_until_ready();
	assert_status("/api/v1/values?check=identity-http&vantage=agent-city&family=4", 200);
}

static void figures_do_not_wait_for_a_peer_that_is_silent(void **state)
{
	char *answer = get_with("/metrics", "");
	int64_t begun = clock_mono(), took;

	(void)state;
	assert_non_null(strstr(answer, "xunjian_fake_series_total 1\n"));
	assert_non_null(strstr(answer, "xunjian_peer_answered{peer=\"series\"} 1\n"));
	free(answer);
	fake_peers_mute(w.peers, PROCESS_SERIES, true);
	answer = get_with("/metrics", "");
	took = clock_mono() - begun;
	assert_null(strstr(answer, "xunjian_fake_series_total"));
	assert_non_null(strstr(answer, "xunjian_peer_answered{peer=\"series\"} 0\n"));
	assert_non_null(strstr(answer, "xunjian_fake_render_total 1\n"));
	assert_in_range(took / NS_PER_MS, 900, 4000);
	free(answer);
}

static void figures_are_as_prometheus_wants_them(void **state)
{
	char *answer;
	FILE *tool;

	(void)state;
	if (system("command -v promtool >/dev/null") != 0) {
		puts("promtool is not here");
		skip();
	}
	answer = get_with("/metrics", "");
	tool = popen("promtool check metrics", "w");
	fputs(body_of(answer), tool);
	assert_int_equal(pclose(tool), 0);
	free(answer);
}

static int64_t systems_up(void)
{
	json_t *v = get_json("/api/v1/overview");
	int64_t up = json_integer_value(json_object_get(json_object_get(json_object_get(
		json_object_get(v, "totals"), "systems"), "states"), "up"));

	json_decref(v);
	return up;
}

static void availability_is_asked_of_judgement(void **state)
{
	char *answer = get_with("/api/v1/availability?period=2026-10&system=identity&family=ipv6&hours=always&measured=1"
				"&maintenance=included", "");

	(void)state;
	assert_non_null(strstr(answer, "200 OK"));
	assert_non_null(strstr(answer, "{\"period\": \"2026-10\", \"unit\": \"\", \"system\": \"identity\", \"link\": \"\", \"family\": 6,"
				       " \"flags\": 7}"));
	free(answer);
	answer = get_with("/api/v1/availability?period=2026-Q3&unit=zsj", "");
	assert_non_null(strstr(answer, "\"unit\": \"zsj\", \"system\": \"\", \"link\": \"\", \"family\": 0, \"flags\": 0}"));
	free(answer);
	assert_status("/api/v1/availability?period=2026", 200);
	assert_status("/api/v1/availability", 400);
	assert_status("/api/v1/availability?period=2026-13", 400);
	assert_status("/api/v1/availability?period=2026&unit=zsj&system=identity", 400);
	assert_status("/api/v1/availability?period=2026&unit=nobody", 404);
	assert_status("/api/v1/availability?period=2026&system=../identity", 404);
	assert_status("/api/v1/availability?period=2026&link=nobody", 404);
	assert_status("/api/v1/availability?period=2026&format=xml", 400);
	answer = get_with("/api/v1/availability?period=2026-Q3&format=csv", "");
	assert_non_null(strstr(answer, "\r\nContent-Type: text/csv; charset=utf-8\r\n"));
	assert_non_null(strstr(answer, "\r\nContent-Disposition: inline; filename=\"availability-2026-Q3.csv\"\r\n"));
	free(answer);
	answer = get_with("/api/v1/availability?period=2026-10-05..2026-10-20&format=text", "");
	assert_non_null(strstr(answer, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
	free(answer);
}

static void what_judgement_says_is_handed_on(void **state)
{
	char *answer = get_with("/api/v1/incidents", "");

	(void)state;
	assert_non_null(strstr(answer, "200 OK"));
	assert_non_null(strstr(answer, "\"phase\": \"open\""));
	free(answer);
	assert_status("/api/v1/ledger?subject=system/identity", 200);
	assert_status("/api/v1/ledger?subject=system/identity&from=100&to=90", 400);
	assert_status("/api/v1/ledger?subject=system/identity&from=1&to=1700000000", 400);
	assert_status("/api/v1/ledger?subject=system/nobody", 404);
	assert_status("/api/v1/ledger?subject=../identity", 404);
	assert_status("/api/v1/ledger", 404);
	fake_peers_disconnect(w.peers, PROCESS_JUDGE);
	assert_status("/api/v1/incidents", 503);
	fake_peers_connect(w.peers, w.front, PROCESS_JUDGE);
}

static void a_new_inventory_resets_open_pages(void **state)
{
	char *request = mem_format("GET /api/v1/events HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", w.port);
	struct client c;

	(void)state;
	client_open(&c, request);
	client_wait(&c, "event: tick");
	evbuffer_drain(c.in, evbuffer_get_length(c.in));
	front_reload(w.front, &w.settings, w.inventory);
	client_wait(&c, "event: reset");
	assert_true(systems_up() > 30);
	client_close(&c);
	free(request);
}

/* What is said of the pair of families of a check that asks for both. */
static void assert_pair(enum outcome v4, enum outcome v6, const char *expected)
{
	json_t *v;
	const char *pair;
	int64_t end = clock_mono() + 20 * NS_PER_S;

	fake_peers_set(w.peers, "eseal-http", FAMILY_V4, v4, "x");
	fake_peers_set(w.peers, "eseal-http", FAMILY_V6, v6, "x");
	do {
		v = get_json("/api/v1/checks/eseal-http");
		pair = json_string_value(json_object_get(json_array_get(json_object_get(v, "list"), 0), "pair"));
		if (pair != NULL && strcmp(pair, expected) == 0) {
			json_decref(v);
			return;
		}
		json_decref(v);
	} while (clock_mono() < end);
	fail_msg("the pair does not become %s", expected);
}

static void a_check_of_both_families_is_a_pair(void **state)
{
	(void)state;
	assert_pair(OUTCOME_UP, OUTCOME_DOWN, "v4-only");
	assert_pair(OUTCOME_DOWN, OUTCOME_UP, "v6-only");
	assert_pair(OUTCOME_DOWN, OUTCOME_DOWN, "down");
	assert_pair(OUTCOME_UNKNOWN, OUTCOME_UP, "unknown");
	assert_pair(OUTCOME_UP, OUTCOME_UP, "up");
}

/* The city without its checks. */
static struct inventory *load_unchecked(void)
{
	char folder[] = "/tmp/xj-front-XXXXXX";
	struct inventory *v;
	char *command;
	struct err e;

	assert_non_null(mkdtemp(folder));
	command = mem_format("cp conf/city/inventory.d/[1-5]*.conf %s", folder);
	assert_int_equal(system(command), 0);
	v = inventory_load(folder, &e);
	free(command);
	command = mem_format("rm -rf %s", folder);
	assert_int_equal(system(command), 0);
	free(command);
	if (v == NULL)
		fail_msg("%s", e.text);
	return v;
}

static size_t rows_of(const char *target)
{
	json_t *v = get_json(target);
	size_t rows = json_array_size(json_object_get(json_array_get(json_object_get(v, "list"), 0), "rows"));

	json_decref(v);
	return rows;
}

static void checks_that_come_with_a_reload_are_known_though_a_question_is_under_way(void **state)
{
	struct inventory *unchecked = load_unchecked();

	(void)state;
	front_reload(w.front, &w.settings, unchecked);
	for (int i = 0; i < 3; i++)
		assert_int_equal(systems_up(), 0);
	fake_peers_connect(w.peers, w.front, PROCESS_SERIES); /* asks what is newer than what is known */
	front_reload(w.front, &w.settings, w.inventory);
	inventory_free(unchecked);
	for (int i = 0; i < 200 && rows_of("/api/v1/checks/identity-http") == 0; i++)
		;
	assert_true(rows_of("/api/v1/checks/identity-http") > 0);
}

static void clients_that_leave_early_leave_nothing(void **state)
{
	static const char *const targets[] = {"/api/v1/events", "/metrics",
		"/api/v1/values?check=identity-http&vantage=agent-city&family=4", "/api/v1/graph.svg?check=identity-http"};

	(void)state;
	fake_peers_mute(w.peers, PROCESS_SERIES, true);
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		char *request = mem_format("GET %s HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", targets[i], w.port);
		struct client c;

		client_open(&c, request);
		for (int k = 0; k < 20; k++)
			event_base_loop(w.base, EVLOOP_NONBLOCK);
		client_close(&c);
		free(request);
	}
	assert_status("/-/healthy", 200);
	/* finish() ends with questions that wait for the silent peer. */
}

static void answers_are_fast(void **state)
{
	static const char *const targets[] = {"/api/v1/overview", "/api/v1/sites?under=city&limit=5000",
		"/api/v1/values?check=identity-http&vantage=agent-city&family=4&span=24h&points=1440",
		"/api/v1/graph.svg?check=identity-http&vantage=agent-city&family=4"};

	(void)state;
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		int64_t begun = clock_mono();
		size_t len = 0;

		for (int k = 0; k < 20; k++) {
			char *answer = get_with(targets[i], "");

			len = strlen(body_of(answer));
			free(answer);
		}
		printf("  figure: %s: %.2f ms, %zu bytes\n", targets[i],
			(double)(clock_mono() - begun) / 20 / NS_PER_MS, len);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin_connected, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(only_plain_paths_of_this_host_reach_a_handler),
		test(every_answer_carries_the_policy),
		test(a_head_that_is_too_long_is_refused),
		test(head_has_the_length_and_no_body),
		test(the_overview_counts_the_city),
		test(a_change_reaches_system_check_and_stream),
		test(a_page_that_comes_back_gets_what_it_missed),
		test(the_tree_is_filtered_here),
		test(values_come_as_columns),
		test(long_answers_are_compressed_for_those_who_ask),
		test(pictures_are_drawn),
		test(an_answer_that_is_known_is_not_sent_again),
		test(the_page_is_there_compressed_or_not),
		cmocka_unit_test_setup_teardown(ready_says_what_is_missing, begin, finish),
		test(figures_do_not_wait_for_a_peer_that_is_silent),
		test(figures_are_as_prometheus_wants_them),
		test(what_judgement_says_is_handed_on),
		test(availability_is_asked_of_judgement),
		test(a_new_inventory_resets_open_pages),
		test(a_check_of_both_families_is_a_pair),
		test(checks_that_come_with_a_reload_are_known_though_a_question_is_under_way),
		test(clients_that_leave_early_leave_nothing),
		test(answers_are_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

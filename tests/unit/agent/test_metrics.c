#include "agent/metrics.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

static struct metrics_figures figures(void)
{
	return (struct metrics_figures){.id = "agent-city", .helper_is_there = true, .has_landlock = true,
		.is_ready = true, .has_collector = true, .refused_checks = 2, .now_mono = 100000000000, .now_real = 2000000000000,
		.patrol = {.up = 5, .down = 6, .unknown = 7, .timetable = {.items = 30, .started = 18}},
		.journal = {.bytes = UINT64_C(5000000000), .oldest_real = 1990000000000},
		.spool = {.lost = 4}, .uplink = {.backlog = 12, .last_success_mono = 98500000000}};
}

static char *text_of(const struct metrics_figures *f)
{
	struct buf b = {0};
	char *text;

	metrics_format(f, &b);
	text = mem_strdup(buf_text(&b));
	buf_fini(&b);
	return text;
}

static void assert_line(const char *text, const char *line)
{
	char *whole = mem_format("\n%s\n", line);

	if (strstr(text, whole) == NULL)
		fail_msg("no line \"%s\" in:\n%s", line, text);
	free(whole);
}

static void figures_stand_there_with_their_values(void **state)
{
	struct metrics_figures f = figures();
	char *text = text_of(&f);

	(void)state;
	assert_line(text, "xunjian_agent_info{id=\"agent-city\"} 1");
	assert_line(text, "xunjian_agent_landlock_active 1");
	assert_line(text, "xunjian_agent_checks 30");
	assert_line(text, "xunjian_agent_checks_refused 2");
	assert_line(text, "xunjian_agent_results_total{outcome=\"unknown\"} 7");
	assert_line(text, "xunjian_agent_journal_bytes 5000000000");
	assert_line(text, "xunjian_agent_journal_oldest_seconds 10");
	assert_line(text, "xunjian_agent_results_lost_total 4");
	assert_line(text, "xunjian_agent_uplink_backlog 12");
	assert_line(text, "xunjian_agent_uplink_last_success_seconds 1.5");
	free(text);
}

static void what_is_not_known_is_left_out(void **state)
{
	struct metrics_figures f = figures();
	char *text;

	(void)state;
	f.uplink.last_success_mono = 0;
	text = text_of(&f);
	assert_null(strstr(text, "last_success"));
	free(text);
	f.has_collector = false;
	text = text_of(&f);
	assert_null(strstr(text, "uplink"));
	free(text);
}

/* The name that a line of a sample, HELP or TYPE is about. */
static void name_of(const char *line, char out[80])
{
	const char *from = strncmp(line, "# ", 2) == 0 ? line + 7 : line;

	snprintf(out, 80, "%.*s", (int)strcspn(from, " {"), from);
}

static void every_sample_follows_its_help_and_type_once(void **state)
{
	struct metrics_figures f = figures();
	struct map *seen = map_new();
	char *text = text_of(&f), *rest = text, *line, current[80] = "", name[80];
	unsigned samples = 0;

	(void)state;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		name_of(line, name);
		if (strncmp(line, "# HELP ", 7) == 0) {
			assert_null(map_set(seen, name, text));
			strcpy(current, name);
		} else {
			assert_string_equal(name, current);
			samples += *line != '#';
		}
	}
	assert_true(samples > 30);
	map_free(seen, NULL);
	free(text);
}

/* ---- served */

struct fixture {
	struct event_base *base;
	struct metrics *metrics;
	uint16_t port;
	bool ready;
	int status;
	char *body;
};

static void collect(void *ctx, struct metrics_figures *f)
{
	struct fixture *x = ctx;

	*f = figures();
	f->is_ready = x->ready;
}

static uint16_t free_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	return ntohs(a.sin_port);
}

static void on_reply(struct evhttp_request *r, void *ctx)
{
	struct fixture *x = ctx;
	struct evbuffer *in = evhttp_request_get_input_buffer(r);
	size_t n = evbuffer_get_length(in);

	x->status = evhttp_request_get_response_code(r);
	x->body = mem_alloc(n + 1);
	evbuffer_remove(in, x->body, n);
	event_base_loopbreak(x->base);
}

static void ask(struct fixture *x, enum evhttp_cmd_type how, const char *path)
{
	struct evhttp_connection *c = evhttp_connection_base_new(x->base, NULL, "127.0.0.1", x->port);
	struct evhttp_request *r = evhttp_request_new(on_reply, x);

	free(x->body);
	x->body = NULL;
	evhttp_add_header(evhttp_request_get_output_headers(r), "Connection", "close");
	assert_int_equal(evhttp_make_request(c, r, how, path), 0);
	event_base_dispatch(x->base);
	evhttp_connection_free(c);
}

static void the_figures_are_served(void **state)
{
	struct fixture x = {.base = event_base_new(), .port = free_port(), .ready = true};
	char *address = mem_format("127.0.0.1:%u", x.port);
	struct config_texts listen = {1, (const char *[]){address}};
	struct err e;

	(void)state;
	x.metrics = metrics_open(x.base, &listen, collect, &x, &e);
	assert_non_null(x.metrics);
	ask(&x, EVHTTP_REQ_GET, "/metrics");
	assert_int_equal(x.status, 200);
	assert_line(x.body, "xunjian_agent_checks 30");
	ask(&x, EVHTTP_REQ_GET, "/-/healthy");
	assert_int_equal(x.status, 200);
	ask(&x, EVHTTP_REQ_GET, "/-/ready");
	assert_int_equal(x.status, 200);
	x.ready = false;
	ask(&x, EVHTTP_REQ_GET, "/-/ready");
	assert_int_equal(x.status, 503);
	ask(&x, EVHTTP_REQ_GET, "/etc/passwd");
	assert_int_equal(x.status, 404);
	ask(&x, EVHTTP_REQ_DELETE, "/metrics");
	assert_int_equal(x.status, 501);
	free(x.body);
	/* The port is taken: told, and nothing is left open. */
	assert_null(metrics_open(x.base, &listen, collect, &x, &e));
	assert_non_null(strstr(e.text, address));
	metrics_close(x.metrics);
	x.metrics = metrics_open(x.base, &listen, collect, &x, &e);
	assert_non_null(x.metrics);
	metrics_close(x.metrics);
	event_base_free(x.base);
	free(address);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_stand_there_with_their_values),
		cmocka_unit_test(what_is_not_known_is_left_out),
		cmocka_unit_test(every_sample_follows_its_help_and_type_once),
		cmocka_unit_test(the_figures_are_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "probes/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probes/catalog_sip.h"
#include "tests/unit/probes/one_run.h"
#include "tests/unit/probes/udp_server.h"

struct fixture {
	struct one_run one;
	struct udp_server udp;
	struct event *accept, *connection;
	int listener, fd;
	char port[32], last[2048];
	unsigned silent; /* requests that are not answered */
	bool forges, rings_only;
	const char *status;
	const char *raw; /* what TCP says instead of a response */
};

static const char *field(const char *request, const char *name, char *out, size_t room)
{
	const char *at = strstr(request, name);

	assert_non_null(at);
	at += strlen(name);
	snprintf(out, room, "%.*s", (int)strcspn(at, ";\r"), at);
	return out;
}

static int respond(const struct fixture *f, const char *status, const char *branch, char *out, size_t room)
{
	char b[80], id[80], sequence[80];

	return snprintf(out, room, "SIP/2.0 %s\r\nv: SIP/2.0/UDP x;branch=%s\r\ni: %s\r\nCSeq: %s\r\nl: 0\r\n\r\n", status,
		branch != NULL ? branch : field(f->last, ";branch=", b, sizeof b),
		field(f->last, "Call-ID: ", id, sizeof id), field(f->last, "CSeq: ", sequence, sizeof sequence));
}

static void on_packet(void *ctx, const uint8_t *data, size_t len)
{
	struct fixture *f = ctx;
	char out[1024];

	snprintf(f->last, sizeof f->last, "%.*s", (int)len, (const char *)data);
	if (f->udp.received <= f->silent)
		return;
	if (f->forges) {
		udp_server_reply(&f->udp, out, (size_t)respond(f, "200 OK", "z9hG4bKforged", out, sizeof out));
		udp_server_reply(&f->udp, "noise", 5);
	}
	udp_server_reply(&f->udp, out, (size_t)respond(f, "100 Trying", NULL, out, sizeof out));
	if (!f->rings_only)
		udp_server_reply(&f->udp, out, (size_t)respond(f, f->status, NULL, out, sizeof out));
}

static void on_stream(evutil_socket_t fd, short what, void *ctx)
{
	struct fixture *f = ctx;
	char out[1024], first[512];
	ssize_t n = recv(fd, f->last, sizeof f->last - 1, 0);

	(void)what;
	event_free(f->connection);
	f->connection = NULL;
	assert_true(n > 0);
	f->last[n] = '\0';
	if (f->raw != NULL) {
		n = snprintf(out, sizeof out, "%s", f->raw);
	} else {
		respond(f, "100 Trying", NULL, first, sizeof first);
		n = snprintf(out, sizeof out, "%s", first);
		n += respond(f, f->status, NULL, out + n, sizeof out - (size_t)n);
	}
	assert_int_equal(send(fd, out, (size_t)n, MSG_NOSIGNAL), n);
	close(fd);
}

static void accept_stream(evutil_socket_t fd, short what, void *ctx)
{
	struct fixture *f = ctx;

	(void)what;
	f->fd = accept(fd, NULL, NULL);
	f->connection = event_new(f->one.base, f->fd, EV_READ, on_stream, f);
	event_add(f->connection, NULL);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	one_run_open(&f->one);
	for (;;) { /* one number for both transports */
		while (!udp_server_try(&f->udp, 0))
			;
		at.sin_port = htons(f->udp.port);
		f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(f->listener, (struct sockaddr *)&at, sizeof at) == 0)
			break;
		close(f->listener);
		close(f->udp.fds[0]);
		close(f->udp.fds[1]);
	}
	listen(f->listener, 5);
	udp_server_start(&f->udp, f->one.base, on_packet, f);
	f->accept = event_new(f->one.base, f->listener, EV_READ | EV_PERSIST, accept_stream, f);
	event_add(f->accept, NULL);
	snprintf(f->port, sizeof f->port, "port=%u", f->udp.port);
	f->status = "200 OK";
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	event_free(f->accept);
	close(f->listener);
	udp_server_close(&f->udp);
	one_run_close(&f->one);
	free(f);
	return 0;
}

static void a_server_is_up_in_both_families(void **state)
{
	struct fixture *f = *state;

	one_run_of(&f->one, &sip_probe, "host=localhost", f->port, "user=12345");
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6 ::1 up");
	for (size_t i = 0; i < 2; i++) {
		assert_true(one_run_value(&f->one, i, SIP_CODE) == 200);
		assert_true(one_run_value(&f->one, i, SIP_TIME) > 0 && one_run_value(&f->one, i, SIP_TIME) < 0.4);
		assert_true(one_run_value(&f->one, i, SIP_RETRANSMISSIONS) == 0);
	}
	assert_int_equal(strncmp(f->last, "OPTIONS sip:12345@localhost:", 28), 0);
	one_run_of(&f->one, &sip_probe, "host=::1", f->port);
	assert_int_equal(strncmp(f->last, "OPTIONS sip:[::1]:", 18), 0);
	one_run_of(&f->one, &sip_probe, "host=::1", f->port, "domain=gov.example");
	assert_int_equal(strncmp(f->last, "OPTIONS sip:gov.example SIP/2.0\r\n", 33), 0);
}

static void a_lost_request_is_counted_and_not_down(void **state)
{
	struct fixture *f = *state;

	f->silent = 1;
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, SIP_RETRANSMISSIONS) == 1);
	assert_true(one_run_value(&f->one, 0, SIP_TIME) > 0.45); /* the loop counts from its turn's begin */
	f->silent = 1000;
	f->one.timeout = 700 * NS_PER_MS;
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no response to 2 requests within 700ms");
}

static void the_code_decides(void **state)
{
	struct fixture *f = *state;

	f->status = "404 Not Found";
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: 404 Not Found, expected 200-299");
	assert_true(one_run_value(&f->one, 0, SIP_CODE) == 404);
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port, "status=200-299,404");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
}

static void a_provisional_response_is_not_enough(void **state)
{
	struct fixture *f = *state;

	f->rings_only = true;
	f->one.timeout = 300 * NS_PER_MS;
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: only a provisional response (100) within 300ms");
}

static void forged_responses_and_noise_are_counted_out(void **state)
{
	struct fixture *f = *state;

	f->forges = true;
	f->status = "486 Busy Here";
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port, "status=486");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, SIP_FOREIGN) == 2);
}

static void a_stream_is_framed_by_its_lengths(void **state)
{
	struct fixture *f = *state;

	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port, "transport=tcp");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, SIP_CONNECT) > 0);
	assert_non_null(strstr(f->last, "Via: SIP/2.0/TCP 127.0.0.1:"));
	f->raw = "HTTP/1.1 400 Bad Request\r\n\r\n";
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port, "transport=tcp");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: what came was not SIP: it is no response of SIP/2.0");
	f->raw = "SIP/2.0 200";
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", f->port, "transport=tcp");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: closed by peer before a response");
}

static void a_closed_port_is_down_at_once(void **state)
{
	struct fixture *f = *state;

	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", "port=1");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: port unreachable");
	one_run_of(&f->one, &sip_probe, "host=127.0.0.1", "port=1", "transport=tcp");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: connection refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_server_is_up_in_both_families, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_request_is_counted_and_not_down, setup, teardown),
		cmocka_unit_test_setup_teardown(the_code_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(a_provisional_response_is_not_enough, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_responses_and_noise_are_counted_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stream_is_framed_by_its_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(a_closed_port_is_down_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

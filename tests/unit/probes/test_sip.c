#include "probes/sip.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "probes/catalog_sip.h"
#include "tests/support/pki.h"
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

	signal(SIGPIPE, SIG_IGN);
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

/* ---- inside TLS: a peer on one port of both families */

#define DAY 86400L
#define TLS "host=127.0.0.1", "transport=tls"

struct tls_peer {
	struct fixture *fixture;
	SSL_CTX *ctx;
	struct evconnlistener *listeners[2];
	char port[32], folder[40], file[64], ca[80];
	struct pki root;
	const char *says; /* instead of a response; "" nothing */
	bool closes;
};

static void on_tls_event(struct bufferevent *b, short what, void *ctx)
{
	(void)ctx;
	if (what & (BEV_EVENT_ERROR | BEV_EVENT_EOF))
		bufferevent_free(b);
}

static void on_tls_written(struct bufferevent *b, void *ctx)
{
	(void)ctx;
	bufferevent_free(b);
}

static void on_tls_request(struct bufferevent *b, void *ctx)
{
	struct tls_peer *p = ctx;
	struct fixture *f = p->fixture;
	struct evbuffer *in = bufferevent_get_input(b);
	char out[1024];
	size_t n = evbuffer_get_length(in);

	assert_true(n < sizeof f->last);
	evbuffer_copyout(in, f->last, n);
	f->last[n] = '\0';
	if (strstr(f->last, "\r\n\r\n") == NULL)
		return;
	evbuffer_drain(in, n);
	if (p->says == NULL) {
		bufferevent_write(b, out, (size_t)respond(f, "100 Trying", NULL, out, sizeof out));
		bufferevent_write(b, out, (size_t)respond(f, "200 OK", "z9hG4bKanother", out, sizeof out));
		bufferevent_write(b, out, (size_t)respond(f, f->status, NULL, out, sizeof out));
	} else {
		bufferevent_write(b, p->says, strlen(p->says));
	}
	if (p->closes)
		bufferevent_setcb(b, NULL, on_tls_written, on_tls_event, p);
}

static void on_tls_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *ctx)
{
	struct tls_peer *p = ctx;
	struct bufferevent *b = bufferevent_openssl_socket_new(evconnlistener_get_base(l), fd, SSL_new(p->ctx),
		BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);

	(void)from, (void)len;
	bufferevent_setcb(b, on_tls_request, NULL, on_tls_event, p);
	bufferevent_enable(b, EV_READ | EV_WRITE);
}

static bool tls_listen(struct tls_peer *p)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct event_base *base = p->fixture->one.base;
	socklen_t len = sizeof four;

	p->listeners[0] = evconnlistener_new_bind(base, on_tls_accept, p, LEV_OPT_CLOSE_ON_FREE, 5,
		(struct sockaddr *)&four, sizeof four);
	getsockname(evconnlistener_get_fd(p->listeners[0]), (struct sockaddr *)&four, &len);
	six.sin6_port = four.sin_port;
	p->listeners[1] = evconnlistener_new_bind(base, on_tls_accept, p, LEV_OPT_CLOSE_ON_FREE, 5,
		(struct sockaddr *)&six, sizeof six);
	snprintf(p->port, sizeof p->port, "port=%u", ntohs(four.sin_port));
	if (p->listeners[1] == NULL)
		evconnlistener_free(p->listeners[0]);
	return p->listeners[1] != NULL;
}

static void tls_open(struct tls_peer *p, struct fixture *f, struct pki_spec *spec)
{
	struct pki leaf;

	*p = (struct tls_peer){.fixture = f, .ctx = SSL_CTX_new(TLS_server_method()), .root = pki_authority("a root", NULL)};
	leaf = pki_make(spec, &p->root);
	assert_int_equal(SSL_CTX_use_certificate(p->ctx, leaf.x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, leaf.key), 1);
	pki_free(&leaf);
	while (!tls_listen(p))
		;
	snprintf(p->folder, sizeof p->folder, "/tmp/xj-sip-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->file, sizeof p->file, "%s/ca.pem", p->folder);
	snprintf(p->ca, sizeof p->ca, "ca=%s", p->file);
	pki_write_certificate(p->file, &p->root.x, 1);
}

static void tls_close(struct tls_peer *p)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(p->fixture->one.base, EVLOOP_NONBLOCK);
	for (int i = 0; i < 2; i++)
		evconnlistener_free(p->listeners[i]);
	SSL_CTX_free(p->ctx);
	pki_free(&p->root);
	unlink(p->file);
	rmdir(p->folder);
}

#define GOOD_LEAF {.usage = "serverAuth", .san = "DNS:localhost, IP:127.0.0.1, IP:::1", .from = -DAY, .until = 30 * DAY}

static void tls_is_shaken_verified_and_asked_in_both_families(void **state)
{
	struct pki_spec spec = GOOD_LEAF;
	struct fixture *f = *state;
	struct tls_peer p;

	tls_open(&p, f, &spec);
	one_run_of(&f->one, &sip_probe, "host=localhost", "transport=tls", "user=12345", p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6 ::1 up");
	for (size_t i = 0; i < 2; i++) {
		assert_true(one_run_value(&f->one, i, SIP_CODE) == 200);
		assert_true(one_run_value(&f->one, i, SIP_FOREIGN) == 1);
		assert_true(one_run_value(&f->one, i, SIP_CONNECT) > 0 && one_run_value(&f->one, i, SIP_HANDSHAKE) > 0);
		assert_true(one_run_value(&f->one, i, SIP_TIME) > 0);
		assert_float_equal(one_run_value(&f->one, i, SIP_CERT_DAYS), 30, 0.01);
	}
	assert_non_null(strstr(f->last, "Via: SIP/2.0/TLS "));
	SSL_CTX_set_max_proto_version(p.ctx, TLS1_2_VERSION);
	f->status = "503 Service Unavailable";
	one_run_of(&f->one, &sip_probe, TLS, p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: 503 Service Unavailable, expected 200-299");
	tls_close(&p);
}

static void a_certificate_that_is_wrong_is_down_before_anything_is_asked(void **state)
{
	struct pki_spec late = {.usage = "serverAuth", .san = "DNS:localhost", .from = -40 * DAY, .until = -10 * DAY};
	struct pki_spec other = {.usage = "serverAuth", .san = "DNS:y.example", .from = -DAY, .until = DAY};
	struct fixture *f = *state;
	struct tls_peer p;

	tls_open(&p, f, &late);
	one_run_of(&f->one, &sip_probe, TLS, "server_name=localhost", p.port, p.ca);
	assert_non_null(strstr(f->one.lines[0], "down: certificate expired on "));
	assert_float_equal(one_run_value(&f->one, 0, SIP_CERT_DAYS), -10, 0.01);
	assert_string_equal(f->last, "");
	one_run_of(&f->one, &sip_probe, TLS, "server_name=localhost", p.port, p.ca, "verify=false");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	tls_close(&p);
	tls_open(&p, f, &other);
	one_run_of(&f->one, &sip_probe, "host=localhost", "transport=tls", p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: certificate is for other names: y.example",
		"IPv6 ::1 down: certificate is for other names: y.example");
	one_run_of(&f->one, &sip_probe, TLS, "server_name=y.example", p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	one_run_of(&f->one, &sip_probe, TLS, p.port, "ca=/nowhere/ca.pem");
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: ca: no certificate can be read from /nowhere/ca.pem");
	tls_close(&p);
}

static void what_goes_wrong_inside_tls_is_told_by_its_phase(void **state)
{
	struct pki_spec spec = GOOD_LEAF;
	struct fixture *f = *state;
	struct tls_peer p;
	char *flood = mem_alloc(40000);

	tls_open(&p, f, &spec);
	p.says = "HTTP/1.1 400 Bad Request\r\n\r\n";
	one_run_of(&f->one, &sip_probe, TLS, p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: what came was not SIP: it is no response of SIP/2.0");
	p.says = memset(flood, 'x', 39999);
	one_run_of(&f->one, &sip_probe, TLS, p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: what came was not SIP: its headers are longer than 16 KiB");
	strcpy(flood + 5000, "\r\n\r\n"); /* one record, more than is read at a time */
	one_run_of(&f->one, &sip_probe, TLS, p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: what came was not SIP: it is no response of SIP/2.0");
	p.says = "SIP/2.0 200", p.closes = true;
	one_run_of(&f->one, &sip_probe, TLS, p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: TLS ended before a response: closed by peer");
	p.says = "", p.closes = false;
	f->one.timeout = 2 * NS_PER_S;
	one_run_of(&f->one, &sip_probe, TLS, p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no response to 1 request within 2s");
	f->one.timeout = 10 * NS_PER_S;
	SSL_CTX_set_verify(p.ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	one_run_of(&f->one, &sip_probe, TLS, p.port, p.ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: TLS ended before a response: alert: certificate required");
	f->raw = "SIP/2.0 400 Bad Request\r\n\r\n"; /* of the server in clear */
	one_run_of(&f->one, &sip_probe, TLS, f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: TLS handshake failed: the answer is not TLS");
	one_run_of(&f->one, &sip_probe, TLS, "port=1");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: connection refused");
	tls_close(&p);
	free(flood);
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
		cmocka_unit_test_setup_teardown(tls_is_shaken_verified_and_asked_in_both_families, setup, teardown),
		cmocka_unit_test_setup_teardown(a_certificate_that_is_wrong_is_down_before_anything_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(what_goes_wrong_inside_tls_is_told_by_its_phase, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

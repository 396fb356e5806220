#include "collector/ingest_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <event2/event.h>

#include "collector/settings.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "tests/support/pki.h"

struct fixture {
	char folder[32];
	struct event_base *base;
	struct settings_ingest settings;
	const char *listen[1];
	struct sockaddr_in at;
	struct ingest_server *server;
};

static void on_request(void *ctx, struct evhttp_request *request, const char *identity)
{
	(void)ctx, (void)request, (void)identity;
}

static void make_certificates(struct fixture *f)
{
	struct pki root = pki_authority("ours", NULL), leaf = pki_make(&(struct pki_spec){.san = "DNS:collector", .usage = "serverAuth"}, &root);

	f->settings.tls = (struct tls_files){.ca = mem_format("%s/ca.pem", f->folder), .certificate = mem_format("%s/us.pem", f->folder),
		.key = mem_format("%s/us.key", f->folder)};
	pki_write_certificate(f->settings.tls.ca, &root.x, 1);
	pki_write_certificate(f->settings.tls.certificate, &leaf.x, 1);
	pki_write_key(f->settings.tls.key, leaf.key);
	pki_free(&leaf);
	pki_free(&root);
}

/* A port that the kernel has just found free; it may be taken again meanwhile. */
static struct ingest_server *listen_somewhere(struct fixture *f, struct err *e)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof f->at;

	f->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	assert_int_equal(bind(fd, (struct sockaddr *)&f->at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&f->at, &len), 0);
	close(fd);
	free((char *)(uintptr_t)f->listen[0]);
	f->listen[0] = mem_format("127.0.0.1:%u", ntohs(f->at.sin_port));
	return ingest_server_new(f->base, &f->settings, on_request, f, e);
}

static int begin(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct err e;

	strcpy(f->folder, "/tmp/xj-ingest-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	make_certificates(f);
	f->settings.listen = (struct config_texts){.items = f->listen, .count = 1};
	f->settings.max_connections = 10;
	f->settings.max_connections_per_agent = 2;
	f->settings.idle_timeout = 60 * NS_PER_S;
	f->base = event_base_new();
	for (int i = 0; i < 20 && f->server == NULL; i++)
		f->server = listen_somewhere(f, &e);
	if (f->server == NULL)
		fail_msg("%s", e.text);
	*state = f;
	return 0;
}

static int finish(void **state)
{
	struct fixture *f = *state;
	char *command = mem_format("rm -rf %s", f->folder);

	ingest_server_free(f->server);
	event_base_free(f->base);
	assert_int_equal(system(command), 0);
	free(command);
	free((char *)(uintptr_t)f->listen[0]);
	free((char *)(uintptr_t)f->settings.tls.ca);
	free((char *)(uintptr_t)f->settings.tls.certificate);
	free((char *)(uintptr_t)f->settings.tls.key);
	free(f);
	return 0;
}

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
	bool *is_over = ctx;

	(void)fd, (void)what;
	*is_over = true;
}

static uint64_t connections(const struct fixture *f)
{
	struct ingest_server_stats stats;

	ingest_server_stats(f->server, &stats);
	return stats.connections;
}

/* Without a rest the loop would turn as fast as it can. */
static void without_descriptors_it_has_a_rest_and_takes_who_waits_later(void **state)
{
	struct fixture *f = *state;
	const struct timeval a_while = {0, 500000}, long_enough = {60, 0};
	int fd = socket(AF_INET, SOCK_STREAM, 0), next = dup(fd), rounds = 0;
	bool is_over = false;
	struct rlimit was, few;

	close(next);
	assert_int_equal(connect(fd, (struct sockaddr *)&f->at, sizeof f->at), 0);
	getrlimit(RLIMIT_NOFILE, &was);
	few = was;
	few.rlim_cur = (rlim_t)next;
	event_base_once(f->base, -1, EV_TIMEOUT, on_time, &is_over, &a_while);
	setrlimit(RLIMIT_NOFILE, &few);
	for (; !is_over; rounds++)
		event_base_loop(f->base, EVLOOP_ONCE);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_true(rounds < 20);
	assert_int_equal(connections(f), 0);
	is_over = false;
	event_base_once(f->base, -1, EV_TIMEOUT, on_time, &is_over, &long_enough);
	while (connections(f) == 0 && !is_over)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(connections(f), 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_descriptors_it_has_a_rest_and_takes_who_waits_later, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

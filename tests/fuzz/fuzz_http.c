/*
 * Bytes of an HTTP client into the web process's server: guards, routes and answers. Whatever comes, it answers or
 * closes; a handler sees plain paths of this host alone.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/web/server.h"
#include "lib/err.h"
#include "lib/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *base;
static struct sockaddr_in address = {.sin_family = AF_INET};

static void on_request(void *ctx, struct server_request *r)
{
	const char *path = server_path(r), *q = server_query(r, "q");
	int64_t number = 0;

	(void)ctx;
	assert(path[0] == '/' && strstr(path, "..") == NULL && strstr(path, "//") == NULL && strchr(path, '%') == NULL);
	assert(q == NULL || strlen(q) <= 1024);
	if (server_query_int(r, "n", 0, 9, &number) < 0)
		server_fail(r, 400, "%s", "n is a digit");
	else
		server_answer(r, &(struct server_answer){.status = 200, .etag = "\"x\"", .data = "x", .len = 1});
}

static void on_stream_closed(void *ctx, struct server_request *r)
{
	(void)ctx, (void)r;
}

static void on_stream(void *ctx, struct server_request *r)
{
	server_stream(r, on_stream_closed, ctx);
	server_stream_send(r, "data: x\n\n", 9);
	server_stream_end(r);
}

static const struct server_route routes[] = {
	{"/", on_request}, {"/a", on_request}, {"/b/", on_request}, {"/stream", on_stream}, {NULL, NULL}};

static void start(void)
{
	socklen_t len = sizeof address;
	char text[32];
	struct err e;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	signal(SIGPIPE, SIG_IGN);
	log_open("fuzz_http", LOG_LEVEL_ERROR);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(fd, (struct sockaddr *)&address, sizeof address);
	getsockname(fd, (struct sockaddr *)&address, &len);
	close(fd);
	snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.sin_port));
	base = event_base_new();
	if (server_listen(server_new(base, routes, NULL), text, &e) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct linger at_once = {1, 0};
	char answer[4096];
	int fd;

	if (base == NULL)
		start();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		abort();
	fcntl(fd, F_SETFL, O_NONBLOCK);
	send(fd, data, size < 32768 ? size : 32768, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 50; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (recv(fd, answer, sizeof answer, 0) == 0)
			break;
	}
	/* Without it a run of this fills the table of ports. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(fd);
	event_base_loop(base, EVLOOP_NONBLOCK);
	return 0;
}

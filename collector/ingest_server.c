#include "collector/ingest_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/tls.h"
#include "lib/wire.h"

#define LISTENERS_MAX 16
#define HEADERS_MAX 8192
#define BACKLOG 512

struct ingest_server {
	struct event_base *base;
	const struct settings_ingest *settings;
	struct ssl_ctx_st *tls;
	struct evhttp *http;
	struct evconnlistener *listeners[LISTENERS_MAX];
	size_t listeners_count;
	int connection_index; /* of struct connection in an SSL */
	struct map *per_agent; /* of size_t: connections that have asked */
	struct ingest_server_stats stats;
	void (*on_request)(void *, struct evhttp_request *, const char *);
	void *ctx;
};

/* Hangs on the SSL of a connection and goes with it, however it ends. */
struct connection {
	struct ingest_server *server;
	char agent[SAMPLE_ID_MAX + 1]; /* once it has asked */
};

/* ---- connections */

static void set_listening(struct ingest_server *s, bool on)
{
	for (size_t i = 0; i < s->listeners_count; i++) {
		if (on)
			evconnlistener_enable(s->listeners[i]);
		else
			evconnlistener_disable(s->listeners[i]);
	}
}

static void connection_free(void *ssl, void *p, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	struct connection *c = p;
	struct ingest_server *s;
	size_t *count;

	(void)ssl, (void)data, (void)index, (void)argl, (void)argp;
	if (c == NULL)
		return;
	s = c->server;
	count = map_find(s->per_agent, c->agent);
	if (count != NULL && *count > 0)
		--*count;
	if ((int64_t)s->stats.connections-- == s->settings->max_connections)
		set_listening(s, true);
	free(c);
}

/* evhttp takes what comes back for its connection: never NULL, which would be one without TLS. */
static struct bufferevent *on_accept(struct event_base *base, void *ctx)
{
	struct ingest_server *s = ctx;
	struct connection *c = mem_alloc(sizeof *c);
	SSL *ssl = SSL_new(s->tls);
	struct bufferevent *b;

	if (ssl == NULL)
		abort(); /* no memory */
	c->server = s;
	SSL_set_ex_data(ssl, s->connection_index, c);
	if ((int64_t)++s->stats.connections >= s->settings->max_connections)
		set_listening(s, false);
	b = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (b == NULL)
		abort();
	bufferevent_openssl_set_allow_dirty_shutdown(b, 1);
	return b;
}

/* Counts the connection for its agent when it asks first; false: that agent has too many. */
static bool admit(struct ingest_server *s, SSL *ssl, const char *agent)
{
	struct connection *c = SSL_get_ex_data(ssl, s->connection_index);
	size_t *count = map_find(s->per_agent, agent);

	if (c->agent[0] != '\0')
		return true;
	if (count == NULL) {
		count = mem_alloc(sizeof *count);
		map_set(s->per_agent, agent, count);
	}
	if ((int64_t)*count >= s->settings->max_connections_per_agent)
		return false;
	++*count;
	memcpy(c->agent, agent, strlen(agent) + 1);
	return true;
}

/* ---- requests */

void ingest_server_answer(struct evhttp_request *req, int status, const void *body, size_t len, int retry_after)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *out = evhttp_request_get_output_buffer(req);

	if (len > 0) {
		evhttp_add_header(headers, "Content-Type", "application/x-protobuf");
		evbuffer_add(out, body, len);
	}
	if (retry_after > 0) {
		char text[16];

		snprintf(text, sizeof text, "%d", retry_after);
		evhttp_add_header(headers, "Retry-After", text);
	}
	evhttp_send_reply(req, status, NULL, NULL);
}

/* What two readers of a request could understand differently is not taken (request smuggling). */
static bool is_plain(struct evhttp_request *req)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	const struct evkeyval *h;
	unsigned lengths = 0;

	TAILQ_FOREACH(h, headers, next) {
		lengths += strcasecmp(h->key, "Content-Length") == 0;
		if (strcasecmp(h->key, "Transfer-Encoding") == 0)
			return false;
	}
	return lengths <= 1;
}

static void refuse(struct ingest_server *s, struct evhttp_request *req, int status, int retry_after)
{
	s->stats.refused++;
	evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
	ingest_server_answer(req, status, NULL, 0, retry_after);
}

static void on_any(struct evhttp_request *req, void *ctx)
{
	struct ingest_server *s = ctx;
	struct evhttp_connection *connection = evhttp_request_get_connection(req);
	SSL *ssl = bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(connection));
	char identity[SAMPLE_ID_MAX + 1];
	struct err e;

	s->stats.requests++;
	if (!is_plain(req)) {
		refuse(s, req, 400, 0);
	} else if (tls_peer_identity(ssl, identity, sizeof identity, &e) < 0) {
		log_warn("a client's certificate names nobody: %s", e.text);
		refuse(s, req, 403, 0);
	} else if (!admit(s, ssl, identity)) {
		log_warn("an agent opens too many connections agent=%s", identity);
		refuse(s, req, 429, 30);
	} else {
		s->on_request(s->ctx, req, identity);
	}
}

/* ---- life */

static int listen_on(struct ingest_server *s, const char *address, struct err *e)
{
	struct sockaddr_storage sa;
	unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
	int len = sizeof sa, on = 1;
	struct evconnlistener *l;

	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&sa, &len) < 0)
		return err_set(e, "%s is not an address and a port", address);
	if (sa.ss_family == AF_INET6)
		flags |= LEV_OPT_BIND_IPV6ONLY;
	l = evconnlistener_new_bind(s->base, NULL, NULL, flags, BACKLOG, (struct sockaddr *)&sa, len);
	if (l == NULL)
		return err_errno(e, "listening on %s", address);
	/* Accepted sockets inherit it; without, each answer on a kept connection waits for a delayed ACK. */
	setsockopt(evconnlistener_get_fd(l), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (evhttp_bind_listener(s->http, l) == NULL) {
		evconnlistener_free(l);
		return err_set(e, "listening on %s: no memory", address);
	}
	s->listeners[s->listeners_count++] = l;
	return 0;
}

static void set_limits(struct ingest_server *s)
{
	evhttp_set_timeout(s->http, (int)(s->settings->idle_timeout / NS_PER_S));
	evhttp_set_max_headers_size(s->http, HEADERS_MAX);
	evhttp_set_max_body_size(s->http, WIRE_BODY_MAX);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_POST | EVHTTP_REQ_GET);
}

struct ingest_server *ingest_server_new(struct event_base *base, const struct settings_ingest *settings,
	void (*on_request)(void *ctx, struct evhttp_request *, const char *identity), void *ctx, struct err *e)
{
	struct ingest_server *s = mem_alloc(sizeof *s);

	s->base = base;
	s->settings = settings;
	s->on_request = on_request;
	s->ctx = ctx;
	s->per_agent = map_new();
	s->http = evhttp_new(base);
	s->connection_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, connection_free);
	evhttp_set_bevcb(s->http, on_accept, s);
	evhttp_set_gencb(s->http, on_any, s);
	set_limits(s);
	s->tls = tls_server(&settings->tls, e);
	if (s->tls == NULL)
		goto failed;
	for (size_t i = 0; i < settings->listen.count && i < LISTENERS_MAX; i++) {
		if (listen_on(s, settings->listen.items[i], e) < 0)
			goto failed;
	}
	return s;
failed:
	ingest_server_free(s);
	return NULL;
}

int ingest_server_reload(struct ingest_server *s, const struct settings_ingest *settings, struct err *e)
{
	struct ssl_ctx_st *tls = tls_server(&settings->tls, e);

	s->settings = settings;
	set_limits(s);
	if (tls == NULL)
		return -1;
	SSL_CTX_free(s->tls);
	s->tls = tls;
	return 0;
}

void ingest_server_free(struct ingest_server *s)
{
	if (s == NULL)
		return;
	s->listeners_count = 0; /* they go with the server */
	evhttp_free(s->http);
	/* libevent ends bufferevents on the loop; with them go the connections that point here. */
	event_base_loop(s->base, EVLOOP_NONBLOCK);
	SSL_CTX_free(s->tls);
	map_free(s->per_agent, free);
	free(s);
}

void ingest_server_stats(const struct ingest_server *s, struct ingest_server_stats *out)
{
	*out = s->stats;
}

#include "collector/ingest_server.h"

#include <arpa/inet.h>
#include <errno.h>
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
#include <sys/resource.h>
#include <sys/socket.h>

#include "collector/settings.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/tls.h"
#include "lib/wire.h"

#define LISTENERS_MAX 16
#define HEADERS_MAX 8192
#define BACKLOG 512
#define OTHER_FILES 200               /* descriptors beside those of connections */
#define ANSWER_WITHIN (120 * NS_PER_S) /* from a whole request to its answer taken: long polls too */

enum connection_state { CONNECTION_NEW, CONNECTION_IDLE, CONNECTION_ASKING, CONNECTION_ASKED };

/* Hangs on the SSL of a connection and goes with it, however it ends. It is ended by shutting its socket down: what
 * libevent hears then is what it hears from any client that leaves. */
struct connection {
	TAILQ_ENTRY(connection) link;
	struct ingest_server *server;
	struct bufferevent *bev;
	enum connection_state state;
	bool ended;
	int64_t since; /* mono, of the state */
	size_t received; /* bytes of the request that is not whole yet */
	int64_t received_real; /* its first byte */
	char agent[SAMPLE_ID_MAX + 1]; /* "" until the handshake is done */
};

struct ingest_server {
	struct event_base *base;
	const struct settings_ingest *settings;
	struct ssl_ctx_st *tls;
	struct evhttp *http;
	struct evconnlistener *listeners[LISTENERS_MAX];
	size_t listeners_count;
	struct event *sweep;
	int connection_index; /* of struct connection in an SSL */
	TAILQ_HEAD(connections, connection) connections; /* the oldest first */
	size_t receiving; /* of all connections */
	struct ingest_server_stats stats;
	void (*on_request)(void *, struct evhttp_request *, const char *);
	void (*on_agent)(void *, const char *, int64_t, int64_t); /* or NULL */
	void *ctx;
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

static void connection_end(struct connection *c, uint64_t *counter)
{
	if (c->ended)
		return;
	c->ended = true;
	++*counter;
	shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
}

static void set_state(struct connection *c, enum connection_state state)
{
	c->state = state;
	c->since = clock_mono();
}

static void forget_received(struct connection *c)
{
	c->server->receiving -= c->received;
	c->received = 0;
}

static void connection_free(void *ssl, void *p, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	struct connection *c = p;
	struct ingest_server *s;

	(void)ssl, (void)data, (void)index, (void)argl, (void)argp;
	if (c == NULL)
		return;
	s = c->server;
	forget_received(c);
	TAILQ_REMOVE(&s->connections, c, link);
	s->stats.unproven += c->agent[0] == '\0';
	if ((int64_t)s->stats.connections-- == s->settings->max_connections)
		set_listening(s, true);
	free(c);
}

/* Room for one more: what has not shown a certificate goes first. */
static void make_room(struct ingest_server *s)
{
	struct connection *c;

	if ((int64_t)s->stats.connections < s->settings->max_connections)
		return;
	TAILQ_FOREACH(c, &s->connections, link) {
		if (c->agent[0] == '\0' && !c->ended) {
			connection_end(c, &s->stats.excess);
			return;
		}
	}
	set_listening(s, false);
}

/* Ends the connection that has been receiving longest. */
static void make_memory(struct ingest_server *s)
{
	struct connection *c, *oldest = NULL;

	TAILQ_FOREACH(c, &s->connections, link) {
		if (c->received > 0 && !c->ended && (oldest == NULL || c->since < oldest->since))
			oldest = c;
	}
	if (oldest == NULL)
		return;
	log_warn("agents send too much at once, a request is dropped agent=%s", oldest->agent);
	connection_end(oldest, &s->stats.excess);
	forget_received(oldest);
}

/* What came out of the TLS records. */
static void on_bytes(struct evbuffer *input, const struct evbuffer_cb_info *info, void *ctx)
{
	struct connection *c = ctx;

	(void)input;
	if (info->n_added == 0 || c->ended)
		return;
	if (c->received == 0)
		c->received_real = clock_real();
	if (c->state == CONNECTION_IDLE)
		set_state(c, CONNECTION_ASKING);
	c->received += info->n_added;
	c->server->receiving += info->n_added;
	if (c->server->receiving > SERVER_RECEIVING_MAX)
		make_memory(c->server);
}

/* evhttp takes what comes back for its connection: never NULL, which would be one without TLS. */
static struct bufferevent *on_accept(struct event_base *base, void *ctx)
{
	struct ingest_server *s = ctx;
	struct connection *c = mem_alloc(sizeof *c);
	SSL *ssl = SSL_new(s->tls);

	if (ssl == NULL)
		abort(); /* no memory */
	make_room(s);
	c->server = s;
	c->bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL)
		abort();
	SSL_set_ex_data(ssl, s->connection_index, c);
	TAILQ_INSERT_TAIL(&s->connections, c, link);
	set_state(c, CONNECTION_NEW);
	s->stats.connections++;
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	evbuffer_add_cb(bufferevent_get_input(c->bev), on_bytes, c);
	return c->bev;
}

/* ---- handshakes */

/* The agent's connections above its number: the oldest one is most likely a dead one of before a cut. */
static void bound_agent(struct ingest_server *s, const char *agent)
{
	struct connection *c, *oldest = NULL;
	int64_t count = 0;

	TAILQ_FOREACH(c, &s->connections, link) {
		if (c->ended || strcmp(c->agent, agent) != 0)
			continue;
		count++;
		if (oldest == NULL)
			oldest = c;
	}
	if (count <= s->settings->max_connections_per_agent)
		return;
	log_warn("an agent has too many connections, its oldest is closed agent=%s", agent);
	connection_end(oldest, &s->stats.excess);
}

static void tell_alert(const SSL *ssl, int where, int alert)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof sa;
	char address[INET6_ADDRSTRLEN] = "?";
	const void *at = &((const struct sockaddr_in6 *)&sa)->sin6_addr;

	getpeername(SSL_get_fd(ssl), (struct sockaddr *)&sa, &len);
	if (sa.ss_family == AF_INET)
		at = &((const struct sockaddr_in *)&sa)->sin_addr;
	inet_ntop(sa.ss_family, at, address, sizeof address);
	if (where & SSL_CB_WRITE)
		log_warn("a client is refused in the handshake address=%s why=\"%s\"", address,
			SSL_alert_desc_string_long(alert));
	else
		log_warn("a client refuses us in the handshake address=%s why=\"%s\"", address,
			SSL_alert_desc_string_long(alert));
}

static void tell_life(const struct ingest_server *s, SSL *ssl, const char *agent)
{
	int64_t from, until;

	if (s->on_agent != NULL && tls_peer_life(ssl, &from, &until) == 0)
		s->on_agent(s->ctx, agent, from, until);
}

static void on_handshake(const SSL *ssl, int where, int value)
{
	struct connection *c = SSL_get_ex_data(ssl, *(const int *)SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
	struct err e;

	if (c == NULL || c->agent[0] != '\0')
		return;
	if (where & SSL_CB_ALERT) {
		if ((value & 0xff) != SSL_AD_CLOSE_NOTIFY)
			tell_alert(ssl, where, value);
	} else if (where & SSL_CB_HANDSHAKE_DONE) {
		char agent[SAMPLE_ID_MAX + 1];

		if (tls_peer_identity((SSL *)(uintptr_t)ssl, agent, sizeof agent, &e) < 0) {
			log_warn("a client's certificate names nobody: %s", e.text);
			return;
		}
		memcpy(c->agent, agent, sizeof agent);
		bound_agent(c->server, agent);
		tell_life(c->server, (SSL *)(uintptr_t)ssl, agent);
	}
}

static struct ssl_ctx_st *new_tls(struct ingest_server *s, const struct settings_ingest *settings, struct err *e)
{
	struct ssl_ctx_st *tls = tls_server(&settings->tls, e);

	if (tls == NULL)
		return NULL;
	SSL_CTX_set_app_data(tls, &s->connection_index);
	SSL_CTX_set_info_callback(tls, on_handshake);
	return tls;
}

/* ---- slow ones */

static bool is_slow(const struct connection *c, int64_t now)
{
	int64_t age = now - c->since;

	switch (c->state) {
	case CONNECTION_NEW:
		return age > SERVER_FIRST_WITHIN && (age - SERVER_FIRST_WITHIN) / NS_PER_S * SERVER_RATE_MIN >=
			(int64_t)c->received;
	case CONNECTION_ASKING:
		return age > SERVER_REQUEST_WITHIN && (age - SERVER_REQUEST_WITHIN) / NS_PER_S * SERVER_RATE_MIN >=
			(int64_t)c->received;
	case CONNECTION_IDLE:
		return age > c->server->settings->idle_timeout;
	case CONNECTION_ASKED:
		return age > ANSWER_WITHIN;
	}
	return false;
}

static void on_sweep(evutil_socket_t fd, short what, void *ctx)
{
	struct ingest_server *s = ctx;
	struct connection *c;
	int64_t now = clock_mono();

	(void)fd, (void)what;
	TAILQ_FOREACH(c, &s->connections, link) {
		if (is_slow(c, now))
			connection_end(c, &s->stats.slow);
	}
	/* Those that had a rest. */
	if ((int64_t)s->stats.connections < s->settings->max_connections)
		set_listening(s, true);
}

/* ---- requests */

static struct connection *connection_of(struct evhttp_request *req)
{
	struct evhttp_connection *http = evhttp_request_get_connection(req);
	SSL *ssl;

	if (http == NULL)
		return NULL; /* it has ended */
	ssl = bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(http));
	return SSL_get_ex_data(ssl, *(const int *)SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

int64_t ingest_server_received(struct evhttp_request *req)
{
	const struct connection *c = connection_of(req);

	return c != NULL ? c->received_real : clock_real();
}

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

static void on_answered(struct evhttp_request *req, void *ctx)
{
	struct connection *c = connection_of(req);

	(void)ctx;
	if (c != NULL)
		set_state(c, c->received > 0 ? CONNECTION_ASKING : CONNECTION_IDLE);
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

static void refuse(struct evhttp_request *req, int status)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
	ingest_server_answer(req, status, NULL, 0, 0);
}

static void on_any(struct evhttp_request *req, void *ctx)
{
	struct ingest_server *s = ctx;
	struct connection *c = connection_of(req);

	s->stats.requests++;
	forget_received(c);
	set_state(c, CONNECTION_ASKED);
	evhttp_request_set_on_complete_cb(req, on_answered, NULL);
	if (!is_plain(req)) {
		s->stats.malformed++;
		refuse(req, 400);
	} else if (c->agent[0] == '\0') {
		s->stats.nameless++;
		refuse(req, 403);
	} else {
		s->on_request(s->ctx, req, c->agent);
	}
}

/* ---- life */

/* For want of descriptors, mostly: at once the same would happen, for ever. Until the next sweep, unlike accept_rest of lib/accept, as
 * listeners rest for other reasons as well, and go before the base. */
static void on_accept_failed(struct evconnlistener *listener, void *ctx)
{
	(void)ctx;
	log_warn("no connection of an agent can be taken for a while error=\"%s\"", strerror(errno));
	evconnlistener_disable(listener);
}

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
	evconnlistener_set_error_cb(l, on_accept_failed);
	s->listeners[s->listeners_count++] = l;
	return 0;
}

/* Descriptors for all connections. */
static int need_files(int64_t connections, struct err *e)
{
	rlim_t need = (rlim_t)connections + OTHER_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return 0;
	limit.rlim_cur = need;
	if (limit.rlim_max < need)
		limit.rlim_max = need; /* as root */
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return err_errno(e, "ingest: max_connections = %lld needs %llu open files", (long long)connections,
			(unsigned long long)need);
	return 0;
}

static void set_limits(struct ingest_server *s)
{
	/* The sweep is stricter; this one is for what it cannot see: bytes of a TLS record that never ends. */
	evhttp_set_timeout(s->http, (int)(s->settings->idle_timeout / NS_PER_S));
	evhttp_set_max_headers_size(s->http, HEADERS_MAX);
	evhttp_set_max_body_size(s->http, WIRE_BODY_MAX);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_POST | EVHTTP_REQ_GET);
}

void ingest_server_on_agent(struct ingest_server *s, void (*on_agent)(void *, const char *, int64_t, int64_t))
{
	s->on_agent = on_agent;
}

struct ingest_server *ingest_server_new(struct event_base *base, const struct settings_ingest *settings,
	void (*on_request)(void *ctx, struct evhttp_request *, const char *identity), void *ctx, struct err *e)
{
	struct ingest_server *s = mem_alloc(sizeof *s);
	struct timeval second = {1, 0};

	s->base = base;
	s->settings = settings;
	s->on_request = on_request;
	s->ctx = ctx;
	TAILQ_INIT(&s->connections);
	s->http = evhttp_new(base);
	s->connection_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, connection_free);
	s->sweep = event_new(base, -1, EV_PERSIST, on_sweep, s);
	event_add(s->sweep, &second);
	evhttp_set_bevcb(s->http, on_accept, s);
	evhttp_set_gencb(s->http, on_any, s);
	set_limits(s);
	s->tls = new_tls(s, settings, e);
	if (s->tls == NULL || need_files(settings->max_connections, e) < 0)
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
	struct ssl_ctx_st *tls = new_tls(s, settings, e);

	s->settings = settings;
	set_limits(s);
	set_listening(s, (int64_t)s->stats.connections < settings->max_connections);
	if (tls == NULL || need_files(settings->max_connections, e) < 0) {
		SSL_CTX_free(tls);
		return -1;
	}
	SSL_CTX_free(s->tls);
	s->tls = tls;
	return 0;
}

void ingest_server_free(struct ingest_server *s)
{
	if (s == NULL)
		return;
	s->listeners_count = 0; /* they go with the server */
	event_free(s->sweep);
	evhttp_free(s->http);
	/* libevent ends bufferevents on the loop; with them go the connections that point here. */
	event_base_loop(s->base, EVLOOP_NONBLOCK);
	SSL_CTX_free(s->tls);
	free(s);
}

void ingest_server_stats(const struct ingest_server *s, struct ingest_server_stats *out)
{
	*out = s->stats;
}

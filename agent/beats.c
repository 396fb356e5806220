#include "agent/beats.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/beat_book.h"
#include "agent/beat_packet.h"
#include "agent/settings.h"
#include "lib/accept.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/tls.h"

#define SOCKETS_MAX 8
#define A_TURN 64 /* datagrams of one turn of the loop */
#define BACKLOG 512
#define HEADERS_MAX 4096
#define IDLE_S 10
#define KEPT_S 150 /* of one that has reported: two intervals of a minute, and some */
#define RECEIVE_BYTES (4 << 20) /* all windows may report in the same second; the kernel gives what it allows */

/* Hangs on the SSL of a connection and goes with it. */
struct connection {
	TAILQ_ENTRY(connection) link;
	struct beats *beats;
	struct bufferevent *bev;
	bool is_known; /* it has brought a report */
};

TAILQ_HEAD(connections, connection);

struct listener {
	struct beats *beats;
	int fd; /* -1: evhttp has it */
	bool is_udp;
	enum family family;
	struct event *readable;
};

struct beats {
	struct listener listeners[SOCKETS_MAX];
	size_t count;
	struct event_base *base;
	struct evhttp *http;
	SSL_CTX *tls; /* NULL: no HTTPS */
	struct beat_book *book;
	int connection_index; /* of struct connection in an SSL */
	struct connections known, strangers; /* the one that is silent for the longest first */
	size_t connected;
	struct beats_stats stats;
};

static void count(struct beats *b, enum beat_end end)
{
	b->stats.taken += end == BEAT_TAKEN;
	b->stats.replayed += end == BEAT_REPLAYED;
	b->stats.foreign += end == BEAT_FOREIGN;
}

static struct beat_arrival arrival(enum family family)
{
	return (struct beat_arrival){.mono = clock_mono(), .real = clock_real(), .family = family};
}

/* ---- UDP */

static bool hear_packet(struct listener *l)
{
	uint8_t data[BEAT_PACKET_MAX + 1]; /* one more tells what is cut */
	ssize_t n = recv(l->fd, data, sizeof data, MSG_DONTWAIT);
	struct beat_packet p;
	struct beat_arrival at;

	if (n < 0)
		return false;
	if (!beat_packet_decode(data, (size_t)n, &p)) {
		l->beats->stats.malformed++;
		return true;
	}
	at = arrival(l->family);
	count(l->beats, beat_book_hear_packet(l->beats->book, &p, data, &at));
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	for (int i = 0; i < A_TURN && hear_packet(ctx); i++)
		;
}

/* ---- HTTPS */

static struct connections *list_of(struct connection *c)
{
	return c->is_known ? &c->beats->known : &c->beats->strangers;
}

static void connection_free(void *ssl, void *p, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	struct connection *c = p;

	(void)ssl, (void)data, (void)index, (void)argl, (void)argp;
	if (c == NULL)
		return;
	if (c->beats != NULL) {
		TAILQ_REMOVE(list_of(c), c, link);
		c->beats->connected--;
	}
	free(c);
}

static void move_to_end(struct connection *c, bool is_known)
{
	TAILQ_REMOVE(list_of(c), c, link);
	c->is_known = is_known;
	TAILQ_INSERT_TAIL(list_of(c), c, link);
}

/* Strangers first. Ended by shutting its socket down: libevent hears what it hears from any client that leaves. */
static void make_room(struct beats *b)
{
	struct connection *oldest = TAILQ_FIRST(&b->strangers);

	if (b->connected < BEATS_CONNECTIONS_MAX)
		return;
	if (oldest == NULL)
		oldest = TAILQ_FIRST(&b->known);
	shutdown(bufferevent_getfd(oldest->bev), SHUT_RDWR);
	/* Once is enough: the next one ends another. */
	move_to_end(oldest, oldest->is_known);
}

/* Never NULL, which would be a connection without TLS. */
static struct bufferevent *on_accept(struct event_base *base, void *ctx)
{
	struct beats *b = ctx;
	struct connection *c = mem_alloc(sizeof *c);
	SSL *ssl = SSL_new(b->tls);

	if (ssl == NULL)
		abort(); /* no memory */
	make_room(b);
	c->beats = b;
	c->bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL)
		abort();
	SSL_set_ex_data(ssl, b->connection_index, c);
	TAILQ_INSERT_TAIL(&b->strangers, c, link);
	b->connected++;
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	return c->bev;
}

static enum family family_of(struct evhttp_request *r)
{
	char *address = NULL;
	uint16_t port;

	evhttp_connection_get_peer(evhttp_request_get_connection(r), &address, &port);
	return address != NULL && strchr(address, ':') != NULL ? FAMILY_V6 : FAMILY_V4;
}

static const char *after(const char *text, const char *start)
{
	size_t len = strlen(start);

	return text != NULL && strncmp(text, start, len) == 0 ? text + len : NULL;
}

/* The window and its token; NULL where they are not. */
static const char *find_window(struct evhttp_request *r)
{
	return after(evhttp_uri_get_path(evhttp_request_get_evhttp_uri(r)), "/heartbeat/");
}

static const char *find_token(struct evhttp_request *r)
{
	return after(evhttp_find_header(evhttp_request_get_input_headers(r), "Authorization"), "Bearer ");
}

static bool decode_body(struct evhttp_request *r, struct beat_report *out)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(r);
	size_t len = evbuffer_get_length(body);

	return len <= BEAT_PACKET_MAX && beat_report_decode(len > 0 ? (const char *)evbuffer_pullup(body, -1) : "", len, out);
}

/* Without a descriptor that is free we keep others silent ourselves, whoever has a connection. */
static bool can_take_connections(int fd)
{
	int spare = dup(fd);

	if (spare >= 0)
		close(spare);
	return spare >= 0;
}

/* Who reports once a minute keeps its connection, and is the last to be ended for a new one. */
static void keep_connection(struct beats *b, struct evhttp_request *r, struct bufferevent *bev)
{
	const struct timeval idle = {KEPT_S, 0};
	struct connection *c = SSL_get_ex_data(bufferevent_openssl_get_ssl(bev), b->connection_index);

	move_to_end(c, true);
	evhttp_connection_set_timeout(evhttp_request_get_connection(r), KEPT_S);
	bufferevent_set_timeouts(bev, &idle, &idle);
}

static void on_request(struct evhttp_request *r, void *ctx)
{
	struct beats *b = ctx;
	const char *window = find_window(r), *token = find_token(r);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(r));
	struct beat_arrival at = arrival(family_of(r));
	struct beat_report report;

	if (window == NULL || token == NULL || !beat_book_knows(b->book, window, token)) {
		b->stats.foreign++;
		evhttp_add_header(evhttp_request_get_output_headers(r), "WWW-Authenticate", "Bearer");
		evhttp_send_reply(r, 401, "Unauthorized", NULL);
	} else if (!decode_body(r, &report)) {
		b->stats.malformed++;
		evhttp_send_reply(r, HTTP_BADREQUEST, "Bad Request", NULL);
	} else {
		if (!can_take_connections(bufferevent_getfd(bev)))
			beat_book_interrupt(b->book);
		count(b, beat_book_hear_report(b->book, window, token, &report, &at));
		keep_connection(b, r, bev);
		evhttp_send_reply(r, HTTP_NOCONTENT, "No Content", NULL);
	}
}

static SSL_CTX *read_certificate(const struct agent_settings_heartbeat *s, struct err *e)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = NULL;
	struct err why;

	if (tls == NULL)
		abort(); /* no memory */
	SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	/* Without tickets: a session that is taken up again costs OpenSSL 3 as much as a new one (0.35 and 0.4 ms; a signature by P-256
	 * is the least of it), and a key that seals them would have to be changed. What saves is a connection that is kept. */
	SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_num_tickets(tls, 0);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(tls, s->certificate) != 1) {
		err_set(&why, "%s: %s", s->certificate, ERR_reason_error_string(ERR_peek_last_error()));
	} else if ((key = tls_read_key(s->key, &why)) != NULL) {
		if (SSL_CTX_use_PrivateKey(tls, key) == 1 && SSL_CTX_check_private_key(tls) == 1) {
			EVP_PKEY_free(key);
			return tls;
		}
		err_set(&why, "%s: %s", s->key, ERR_reason_error_string(ERR_peek_last_error()));
	}
	config_error(&s->where, e, "heartbeat: %s", why.text);
	ERR_clear_error();
	EVP_PKEY_free(key);
	SSL_CTX_free(tls);
	return NULL;
}

int beats_check(const struct agent_settings_heartbeat *s, struct err *e)
{
	SSL_CTX *tls = s->listen_https.count > 0 ? read_certificate(s, e) : NULL;

	SSL_CTX_free(tls);
	return s->listen_https.count == 0 || tls != NULL ? 0 : -1;
}

static void start_https(struct beats *b)
{
	b->http = evhttp_new(b->base);
	if (b->http == NULL)
		abort(); /* no memory */
	evhttp_set_allowed_methods(b->http, EVHTTP_REQ_POST | EVHTTP_REQ_PUT);
	evhttp_set_max_headers_size(b->http, HEADERS_MAX);
	evhttp_set_max_body_size(b->http, BEAT_PACKET_MAX);
	evhttp_set_timeout(b->http, IDLE_S);
	evhttp_set_gencb(b->http, on_request, b);
	evhttp_set_bevcb(b->http, on_accept, b);
}

/* ---- life */

static int open_socket(const char *text, bool is_udp, enum family *family, struct err *e)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd, yes = 1;

	if (agent_settings_parse_endpoint(text, &address, &len, e) < 0)
		return -1;
	*family = address.ss_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4;
	fd = socket(address.ss_family, (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "%s", text);
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
	if (is_udp)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){RECEIVE_BYTES}, sizeof(int));
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(fd, (struct sockaddr *)&address, len) == 0 && (is_udp || listen(fd, BACKLOG) == 0))
		return fd;
	err_errno(e, "heartbeat: cannot listen on %s", text);
	close(fd);
	return -1;
}

static int add_listeners(struct beats *b, const struct config_texts *listen, bool is_udp, struct err *e)
{
	for (size_t i = 0; i < listen->count; i++) {
		struct listener *l = &b->listeners[b->count];

		*l = (struct listener){.beats = b, .is_udp = is_udp};
		l->fd = open_socket(listen->items[i], is_udp, &l->family, e);
		if (l->fd < 0)
			return -1;
		b->count++;
	}
	return 0;
}

struct beats *beats_listen(const struct agent_settings_heartbeat *s, struct err *e)
{
	struct beats *b = mem_alloc(sizeof *b);

	TAILQ_INIT(&b->known);
	TAILQ_INIT(&b->strangers);
	b->book = beat_book_new();
	if (add_listeners(b, &s->listen_https, false, e) == 0 && add_listeners(b, &s->listen_udp, true, e) == 0)
		return b;
	beats_close(b);
	return NULL;
}

static int start_accepting(struct beats *b, struct listener *l, struct err *e)
{
	struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(b->http, l->fd);

	if (bound == NULL)
		return err_set(e, "heartbeat: cannot accept connections");
	l->fd = -1;
	accept_rest(evhttp_bound_socket_get_listener(bound));
	return 0;
}

static int start_listener(struct beats *b, struct listener *l, struct err *e)
{
	if (!l->is_udp)
		return start_accepting(b, l, e);
	l->readable = event_new(b->base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
	if (l->readable == NULL)
		abort(); /* no memory */
	return event_add(l->readable, NULL);
}

int beats_start(struct beats *b, struct event_base *base, const struct agent_settings_heartbeat *s, struct err *e)
{
	b->base = base;
	if (beats_reload(b, s, e) < 0)
		return -1;
	if (b->tls != NULL) {
		b->connection_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, connection_free);
		start_https(b);
	}
	for (size_t i = 0; i < b->count; i++) {
		if (start_listener(b, &b->listeners[i], e) < 0)
			return -1;
	}
	return 0;
}

int beats_reload(struct beats *b, const struct agent_settings_heartbeat *s, struct err *e)
{
	if (s->listen_https.count > 0) {
		SSL_CTX *tls = read_certificate(s, e);

		if (tls == NULL)
			return -1;
		SSL_CTX_free(b->tls); /* connections hold it */
		b->tls = tls;
	}
	beat_book_set(b->book, &s->windows, s->skew, clock_mono());
	return 0;
}

void beats_close(struct beats *b)
{
	struct connection *c;

	if (b == NULL)
		return;
	for (size_t i = 0; i < b->count; i++) {
		if (b->listeners[i].readable != NULL)
			event_free(b->listeners[i].readable);
		if (b->listeners[i].fd >= 0)
			close(b->listeners[i].fd);
	}
	if (b->http != NULL)
		evhttp_free(b->http);
	/* Libevent frees them when the loop goes on, or ends. */
	TAILQ_FOREACH(c, &b->known, link)
		c->beats = NULL;
	TAILQ_FOREACH(c, &b->strangers, link)
		c->beats = NULL;
	SSL_CTX_free(b->tls);
	beat_book_free(b->book);
	free(b);
}

bool beats_ask(struct beats *b, const char *window, struct heartbeat_seen *out)
{
	return beat_book_ask(b->book, window, out);
}

struct beats_stats beats_stats(const struct beats *b)
{
	return b != NULL ? b->stats : (struct beats_stats){0};
}

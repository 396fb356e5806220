#include "collector/web/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <zlib.h>

#include "collector/web/json.h"
#include "lib/accept.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/sample.h"

#define TARGET_MAX 8192
#define HEAD_MAX 16384
#define QUERY_VALUE_MAX 1024
/* Longer than the loop of a live process stands still (answer_within): behind that, what has come meanwhile would count as late. */
#define IDLE (150 * NS_PER_S)
#define SENDING (150 * NS_PER_S)
#define COMPRESS_MIN 4096
#define COMPRESS_MAX (64u << 20)
#define STREAM_QUEUE_MAX (1u << 20)
#define WAITING_MAX 512 /* requests that wait for an answer, streams among them */

#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " \
	"font-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "           \
	"require-trusted-types-for 'script'; trusted-types 'none'"

static const struct {
	const char *name, *value;
} security_headers[] = {
	{"Content-Security-Policy", POLICY},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"X-Frame-Options", "DENY"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
};

struct server_request {
	struct server *server;
	struct evhttp_request *http;
	char *path; /* of the target, before '?' */
	const char *rest;
	struct evkeyvalq query;
	bool is_stream;
	void (*on_closed)(void *, struct server_request *);
	void *ctx;
	TAILQ_ENTRY(server_request) link;
};

struct server {
	struct event_base *base;
	struct evhttp *http;
	const struct server_route *routes;
	void *ctx;
	struct timeval idle, sending;
	struct server_counts counts;
	TAILQ_HEAD(, server_request) open;
};

/* ---- guards */

/* Words that say why the target is refused, or NULL. It is looked at as it came, before any decoding. */
static const char *bad_target(const char *target)
{
	size_t n = strlen(target), path = strcspn(target, "?");

	if (target[0] != '/')
		return "the target must be a path";
	if (n > TARGET_MAX)
		return "the target is too long";
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)target[i] <= ' ' || (unsigned char)target[i] >= 0x7f)
			return "the target holds a sign that must be encoded";
	}
	if (strstr(target, "%00") != NULL)
		return "the target holds a NUL";
	if (strcspn(target, "%\\#") < path)
		return "the path holds a sign that no path here has";
	if (memmem(target, path, "..", 2) != NULL || memmem(target, path, "//", 2) != NULL)
		return "the path is not plain";
	return NULL;
}

static bool is_port(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n >= 1 && n <= 5 && text[n] == '\0';
}

static bool is_loopback_name(const char *name)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (strcasecmp(name, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* host, host:port, [address], [address]:port */
static bool is_own_host(const char *host)
{
	char name[64];
	bool bracketed = host[0] == '[';
	const char *from = host + bracketed;
	size_t n = strcspn(from, bracketed ? "]" : ":");
	const char *after = from + n + (bracketed && from[n] == ']');

	if (n >= sizeof name || (bracketed && from[n] != ']'))
		return false;
	memcpy(name, from, n);
	name[n] = '\0';
	if (bracketed != (strchr(name, ':') != NULL))
		return false;
	return is_loopback_name(name) && (*after == '\0' || (*after == ':' && is_port(after + 1)));
}

/* The only value of a header; NULL when there is none or more than one. */
static const char *single_header(struct evhttp_request *http, const char *name)
{
	struct evkeyval *h;
	const char *found = NULL;

	TAILQ_FOREACH(h, evhttp_request_get_input_headers(http), next)
	{
		if (strcasecmp(h->key, name) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = h->value;
	}
	return found;
}

static bool has_body(struct evhttp_request *http)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(http);
	const char *length = evhttp_find_header(headers, "Content-Length");

	return evhttp_find_header(headers, "Transfer-Encoding") != NULL ||
		(length != NULL && strcmp(length, "0") != 0);
}

/* The status to refuse a request with and its words, or 0. */
static int guard(struct server *s, struct evhttp_request *http, const char **words)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(http);
	const char *host = single_header(http, "Host");

	*words = bad_target(evhttp_request_get_uri(http));
	if (*words != NULL)
		return 400;
	*words = "the request must name one host";
	if (host == NULL)
		return 400;
	*words = "this is served to its own host alone: ask for localhost or a loopback address";
	if (!is_own_host(host))
		return 421;
	*words = "only GET and HEAD";
	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD)
		return 405;
	*words = "a request has no body here";
	if (has_body(http))
		return 400;
	*words = "too many requests wait for an answer";
	return s->counts.open >= WAITING_MAX ? 503 : 0;
}

/* ---- answers */

static struct evkeyvalq *out_headers(struct evhttp_request *http)
{
	return evhttp_request_get_output_headers(http);
}

static void add_common_headers(struct evhttp_request *http, const char *type, const char *cache)
{
	for (size_t i = 0; i < sizeof security_headers / sizeof *security_headers; i++)
		evhttp_add_header(out_headers(http), security_headers[i].name, security_headers[i].value);
	evhttp_add_header(out_headers(http), "Cache-Control", cache != NULL ? cache : "no-store");
	if (type != NULL)
		evhttp_add_header(out_headers(http), "Content-Type", type);
}

static const char *reason_of(int status)
{
	switch (status) {
	case 200: return "OK";
	case 304: return "Not Modified";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 421: return "Misdirected Request";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	default: return "Error";
	}
}

static void count_answer(struct server *s, int status)
{
	s->counts.requests[status >= 100 && status < 600 ? status / 100 : 0]++;
}

static void request_free(struct server_request *r)
{
	TAILQ_REMOVE(&r->server->open, r, link);
	r->server->counts.open--;
	evhttp_clear_headers(&r->query);
	free(r->path);
	free(r);
}

static void free_body(const void *data, size_t len, void *extra)
{
	(void)len, (void)extra;
	free((void *)(uintptr_t)data);
}

/* The body goes into out without a copy. */
static void put_body(struct evbuffer *out, const struct server_answer *a)
{
	size_t len;
	void *data;

	if (a->data != NULL)
		evbuffer_add_reference(out, a->data, a->len, NULL, NULL);
	if (a->body == NULL)
		return;
	data = buf_take(a->body, &len);
	if (len == 0)
		free(data);
	else
		evbuffer_add_reference(out, data, len, free_body, NULL);
}

/* Pages may come through a slow tunnel; the fastest level already makes a tenth of JSON. */
static void compress_body(struct buf *body)
{
	z_stream z = {.next_in = body->data, .avail_in = (uInt)body->len};
	struct buf out = {0};
	int rc = deflateInit2(&z, 1, Z_DEFLATED, 15 + 16 /* gzip */, 8, Z_DEFAULT_STRATEGY);

	assert(rc == Z_OK);
	z.next_out = buf_reserve(&out, deflateBound(&z, body->len));
	z.avail_out = (uInt)(out.room - out.len);
	rc = deflate(&z, Z_FINISH);
	assert(rc == Z_STREAM_END);
	out.len = z.total_out;
	deflateEnd(&z);
	buf_fini(body);
	*body = out;
}

static bool is_worth_compressing(const struct server_request *r, const struct server_answer *a)
{
	return a->body != NULL && a->encoding == NULL && a->body->len >= COMPRESS_MIN && a->body->len <= COMPRESS_MAX &&
		a->type != NULL && strcmp(a->type, "image/png") != 0 && server_takes_gzip(r);
}

static bool client_has(const struct server_request *r, const char *etag)
{
	const char *known = server_header(r, "If-None-Match");

	return known != NULL && (strcmp(known, "*") == 0 || strstr(known, etag) != NULL);
}

static void send_answer(struct server *s, struct evhttp_request *http, const struct server_answer *a)
{
	struct evbuffer *out = evbuffer_new();
	char length[24];

	add_common_headers(http, a->type, a->cache);
	if (a->etag != NULL)
		evhttp_add_header(out_headers(http), "ETag", a->etag);
	if (a->encoding != NULL)
		evhttp_add_header(out_headers(http), "Content-Encoding", a->encoding);
	put_body(out, a);
	/* evhttp would send the body of an answer to HEAD. */
	if (evhttp_request_get_command(http) == EVHTTP_REQ_HEAD) {
		snprintf(length, sizeof length, "%zu", evbuffer_get_length(out));
		evhttp_add_header(out_headers(http), "Content-Length", length);
		evbuffer_drain(out, evbuffer_get_length(out));
	}
	count_answer(s, a->status);
	evhttp_send_reply(http, a->status, reason_of(a->status), out);
	evbuffer_free(out);
}

void server_answer(struct server_request *r, const struct server_answer *a)
{
	struct server_answer none = {.status = 304, .etag = a->etag, .cache = a->cache};
	char name[160];

	evhttp_add_header(out_headers(r->http), "Vary", "Accept-Encoding");
	if (a->name != NULL) {
		snprintf(name, sizeof name, "inline; filename=\"%s\"", a->name);
		evhttp_add_header(out_headers(r->http), "Content-Disposition", name);
	}
	if (a->status == 200 && a->etag != NULL && client_has(r, a->etag)) {
		send_answer(r->server, r->http, &none);
		if (a->body != NULL)
			buf_fini(a->body);
	} else {
		struct server_answer sent = *a;

		if (is_worth_compressing(r, a)) {
			compress_body(a->body);
			sent.encoding = "gzip";
		}
		send_answer(r->server, r->http, &sent);
	}
	request_free(r);
}

static void send_failure(struct server *s, struct evhttp_request *http, int status, const char *words)
{
	struct json j = {0};

	json_open(&j, NULL, '{');
	json_text(&j, "error", words);
	json_close(&j, '}');
	send_answer(s, http, &(struct server_answer){
		.status = status, .type = "application/json", .body = &j.out});
}

void server_fail(struct server_request *r, int status, const char *format, ...)
{
	char words[400];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	send_failure(r->server, r->http, status, words);
	request_free(r);
}

void server_fail_absent(struct server_request *r)
{
	server_fail(r, 404, "there is nothing here");
}

/* ---- requests */

const char *server_path(const struct server_request *r)
{
	return r->path;
}

const char *server_rest(const struct server_request *r)
{
	return r->rest;
}

const char *server_query(const struct server_request *r, const char *key)
{
	const char *value = evhttp_find_header(&r->query, key);

	return value != NULL && text_is_clean(value, QUERY_VALUE_MAX) ? value : NULL;
}

int server_query_int(const struct server_request *r, const char *key, int64_t min, int64_t max, int64_t *out)
{
	const char *text = evhttp_find_header(&r->query, key);
	struct err e;

	return text == NULL ? 0 : num_parse_int(text, min, max, out, &e);
}

const char *server_header(const struct server_request *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(r->http), name);
}

/* "gzip" among the encodings; a client that has it and refuses it says "gzip;q=0". */
bool server_takes_gzip(const struct server_request *r)
{
	const char *p = server_header(r, "Accept-Encoding");

	p = p != NULL ? strstr(p, "gzip") : NULL;
	return p != NULL && (strncmp(p, "gzip;q=0", 8) != 0 || p[8] == '.');
}

static const struct server_route *find_route(const struct server *s, const char *path, const char **rest)
{
	for (const struct server_route *t = s->routes; t->path != NULL; t++) {
		size_t n = strlen(t->path);

		*rest = path + n;
		if (strcmp(path, t->path) == 0 && (n == 1 || t->path[n - 1] != '/'))
			return t;
		if (n > 1 && t->path[n - 1] == '/' && strncmp(path, t->path, n) == 0 && path[n] != '\0')
			return t;
	}
	return NULL;
}

/* ---- time */

static void on_sent(struct evhttp_request *http, void *arg)
{
	struct server *s = arg;

	bufferevent_set_timeouts(evhttp_connection_get_bufferevent(evhttp_request_get_connection(http)), &s->idle, &s->idle);
}

/* While it sends an answer evhttp reads, to see the connection end: a client that takes it slowly says nothing, and is not idle. */
static void await_answer(struct server *s, struct evhttp_request *http)
{
	bufferevent_set_timeouts(evhttp_connection_get_bufferevent(evhttp_request_get_connection(http)), NULL, &s->sending);
	evhttp_request_set_on_complete_cb(http, on_sent, s);
}

static void on_request(struct evhttp_request *http, void *arg)
{
	struct server *s = arg;
	const char *target = evhttp_request_get_uri(http), *words, *mark;
	const struct server_route *route;
	struct server_request *r;
	int status;

	/* evhttp calls so when the connection fails while a request is read. */
	if (target == NULL) {
		evhttp_send_error(http, HTTP_BADREQUEST, NULL);
		return;
	}
	await_answer(s, http);
	status = guard(s, http, &words);
	if (status != 0) {
		s->counts.refused++;
		if (status == 405)
			evhttp_add_header(out_headers(http), "Allow", "GET, HEAD");
		send_failure(s, http, status, words);
		return;
	}
	r = mem_alloc(sizeof *r);
	r->server = s;
	r->http = http;
	mark = strchr(target, '?');
	r->path = mark != NULL ? mem_format("%.*s", (int)(mark - target), target) : mem_strdup(target);
	TAILQ_INIT(&r->query);
	if (mark != NULL)
		evhttp_parse_query_str(mark + 1, &r->query);
	TAILQ_INSERT_TAIL(&s->open, r, link);
	s->counts.open++;
	route = find_route(s, r->path, &r->rest);
	if (route == NULL)
		server_fail_absent(r);
	else
		route->handle(s->ctx, r);
}

/* ---- streams */

static void on_connection_closed(struct evhttp_connection *connection, void *arg)
{
	struct server_request *r = arg;

	(void)connection;
	r->on_closed(r->ctx, r);
	server_stream_end(r);
}

void server_stream(struct server_request *r, void (*on_closed)(void *ctx, struct server_request *), void *ctx)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(r->http);

	r->is_stream = true;
	r->on_closed = on_closed;
	r->ctx = ctx;
	r->server->counts.streams++;
	/* The client says nothing any more: a limit on reading would end the stream. */
	bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), NULL, &r->server->sending);
	evhttp_connection_set_closecb(connection, on_connection_closed, r);
	add_common_headers(r->http, "text/event-stream", NULL);
	count_answer(r->server, 200);
	evhttp_send_reply_start(r->http, 200, "OK");
}

int server_stream_send(struct server_request *r, const void *data, size_t len)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(r->http);
	struct evbuffer *chunk;

	if (connection != NULL && evbuffer_get_length(bufferevent_get_output(
			evhttp_connection_get_bufferevent(connection))) > STREAM_QUEUE_MAX)
		return -1;
	chunk = evbuffer_new();
	evbuffer_add(chunk, data, len);
	evhttp_send_reply_chunk(r->http, chunk);
	evbuffer_free(chunk);
	return 0;
}

void server_stream_end(struct server_request *r)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(r->http);

	r->server->counts.streams--;
	if (connection != NULL)
		evhttp_connection_set_closecb(connection, NULL, NULL);
	evhttp_send_reply_end(r->http);
	request_free(r);
}

/* ---- listening */

struct server *server_new(struct event_base *base, const struct server_route *routes, void *ctx)
{
	struct server *s = mem_alloc(sizeof *s);

	s->base = base;
	s->routes = routes;
	s->ctx = ctx;
	TAILQ_INIT(&s->open);
	s->http = evhttp_new(base);
	evhttp_set_gencb(s->http, on_request, s);
	/* All that evhttp knows: the guard answers them in our own way. */
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
		EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(s->http, HEAD_MAX);
	evhttp_set_max_body_size(s->http, 1024);
	evhttp_set_default_content_type(s->http, NULL);
	server_set_limits(s, IDLE, SENDING);
	return s;
}

static struct timeval timeval_of(int64_t ns)
{
	return (struct timeval){ns / NS_PER_S, ns % NS_PER_S / NS_PER_US};
}

void server_set_limits(struct server *s, int64_t idle, int64_t sending)
{
	s->idle = timeval_of(idle);
	s->sending = timeval_of(sending);
	evhttp_set_timeout_tv(s->http, &s->idle);
}

int server_listen(struct server *s, const char *address, struct err *e)
{
	struct sockaddr_storage a;
	int len = sizeof a, on = 1;
	struct evconnlistener *listener;

	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&a, &len) != 0)
		return err_set(e, "\"%.80s\" is not an address and a port", address);
	listener = evconnlistener_new_bind(s->base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE |
			(a.ss_family == AF_INET6 ? LEV_OPT_BIND_IPV6ONLY : 0),
		128, (struct sockaddr *)&a, len);
	if (listener == NULL)
		return err_errno(e, "cannot listen on %s", address);
	/* Accepted sockets inherit it; without it heads and bodies wait for each other's acknowledgement. */
	setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	accept_rest(listener);
	if (evhttp_bind_listener(s->http, listener) == NULL) {
		evconnlistener_free(listener);
		return err_set(e, "cannot serve on %s", address);
	}
	return 0;
}

void server_free(struct server *s)
{
	struct server_request *r;

	if (s == NULL)
		return;
	while ((r = TAILQ_FIRST(&s->open)) != NULL) {
		if (r->is_stream) {
			r->on_closed(r->ctx, r);
			server_stream_end(r);
		} else {
			server_fail(r, 503, "the collector is ending");
		}
	}
	evhttp_free(s->http);
	free(s);
}

const struct server_counts *server_counts(const struct server *s)
{
	return &s->counts;
}

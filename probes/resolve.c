#include "probes/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/num.h"

#define TRY_MS 1000 /* then the next server, then twice as long */
#define TRIES 3     /* of each server */
#define RECEIVE_BUFFER (1 << 20)
#define PARSE_MAX 64
#define HOSTS_FILE "/etc/resolv.conf"
#define LOOK_AGAIN NS_PER_S

/* One question, asked once however many want its answer. */
struct lookup {
	TAILQ_ENTRY(lookup) link; /* in exactly one of the resolver's lists */
	LIST_HEAD(, resolve_query) queries; /* empty: nobody waits any more */
	struct resolver *resolver;
	enum family family;
	char *key; /* family and name; NULL when it never was a question */
	enum { LOOKUP_WAITING, LOOKUP_ASKED, LOOKUP_ANSWERED } state;
	int64_t asked;
	struct resolve_answer answer;
	char reason[96];
};

struct resolve_query {
	LIST_ENTRY(resolve_query) link;
	struct lookup *lookup;
	struct event *timer;
	int64_t began;
	void (*on_answer)(void *ctx, const struct resolve_answer *);
	void *ctx;
};

/* What c-ares waits for on one descriptor. */
struct watch {
	LIST_ENTRY(watch) link;
	evutil_socket_t fd;
	struct event *event;
};

TAILQ_HEAD(lookups, lookup);

struct resolver {
	struct event_base *base;
	ares_channel channel;
	struct event *timer;   /* of c-ares */
	struct event *deliver; /* answers stand in `answered` */
	LIST_HEAD(, watch) watches;
	struct lookups waiting, asked, answered;
	struct map *by_key;
	size_t active; /* asked lookups that somebody waits for */
	bool follows_host; /* servers: of HOSTS_FILE */
	int64_t looked; /* at that file */
	struct stat seen;
	bool inside;   /* on_answer is being called */
	bool closing;
};

/* ---- answers */

static void answer_add(struct resolve_answer *a, int family, const void *bytes)
{
	struct sockaddr_storage *out = &a->addresses[a->count++];

	out->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		memcpy(&((struct sockaddr_in *)out)->sin_addr, bytes, sizeof(struct in_addr));
	else
		memcpy(&((struct sockaddr_in6 *)out)->sin6_addr, bytes, sizeof(struct in6_addr));
}

static int compare_v4(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct in_addr));
}

static int compare_v6(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct in6_addr));
}

/* Sorts and takes the lowest ones: the same set of records gives the same answer, whatever their order. */
static void answer_fill(struct lookup *l, unsigned char *bytes, size_t count)
{
	bool six = l->family == FAMILY_V6;
	size_t size = six ? sizeof(struct in6_addr) : sizeof(struct in_addr), distinct = 0;

	qsort(bytes, count, size, six ? compare_v6 : compare_v4);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && memcmp(bytes + i * size, bytes + (i - 1) * size, size) == 0)
			continue;
		if (distinct++ < RESOLVE_MAX)
			answer_add(&l->answer, six ? AF_INET6 : AF_INET, bytes + i * size);
	}
	if (distinct > RESOLVE_MAX)
		log_warn("a name has more addresses than are used name=%s family=%s addresses=%zu used=%d",
			l->key != NULL ? l->key + 1 : RESOLVE_SERVERS, family_name(l->family), distinct, RESOLVE_MAX);
}

static int parse_reply(struct lookup *l, const unsigned char *reply, int len)
{
	unsigned char bytes[PARSE_MAX * sizeof(struct in6_addr)];
	struct ares_addrttl four[PARSE_MAX];
	struct ares_addr6ttl six[PARSE_MAX];
	int n = PARSE_MAX, rc;

	if (l->family == FAMILY_V4)
		rc = ares_parse_a_reply(reply, len, NULL, four, &n);
	else
		rc = ares_parse_aaaa_reply(reply, len, NULL, six, &n);
	if (rc != ARES_SUCCESS)
		return rc;
	for (int i = 0; i < n; i++) {
		if (l->family == FAMILY_V4)
			memcpy(bytes + (size_t)i * sizeof four[i].ipaddr, &four[i].ipaddr, sizeof four[i].ipaddr);
		else
			memcpy(bytes + (size_t)i * sizeof six[i].ip6addr, &six[i].ip6addr, sizeof six[i].ip6addr);
	}
	answer_fill(l, bytes, (size_t)n);
	return n > 0 ? ARES_SUCCESS : ARES_ENODATA;
}

static const char *failure_words(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return "no answer from the resolver";
	case ARES_ECONNREFUSED: /* also when each answered SERVFAIL or REFUSED: c-ares went on to the next */
		return "no resolver gave a usable answer (failed, refused or not reachable)";
	case ARES_EBADNAME:
		return "not a name that DNS can hold";
	case ARES_EBADRESP:
	case ARES_EFORMERR:
		return "the resolver's answer makes no sense";
	default:
		return ares_strerror(status);
	}
}

static void answer_status(struct lookup *l, int status)
{
	struct resolve_answer *a = &l->answer;

	if (status == ARES_SUCCESS) {
		a->status = RESOLVE_OK;
	} else if (status == ARES_ENODATA) {
		a->status = RESOLVE_NO_RECORD;
		a->reason = l->family == FAMILY_V4 ? "no A record" : "no AAAA record";
	} else if (status == ARES_ENOTFOUND) {
		a->status = RESOLVE_NO_NAME;
		a->reason = "no such name";
	} else {
		a->status = RESOLVE_FAILED;
		a->reason = failure_words(status);
	}
}

/* ---- lookups */

static struct lookup *lookup_new(struct resolver *r, enum family family)
{
	struct lookup *l = mem_alloc(sizeof *l);

	l->resolver = r;
	l->family = family;
	l->answer.reason = "";
	LIST_INIT(&l->queries);
	return l;
}

/* Also when it stands in no list (after TAILQ_REMOVE). */
static void lookup_free(struct lookup *l)
{
	if (l->key != NULL)
		map_remove(l->resolver->by_key, l->key);
	free(l->key);
	free(l);
}

/* Its answer is given from the loop, never from inside a call. */
static void lookup_answered(struct lookup *l)
{
	l->state = LOOKUP_ANSWERED;
	TAILQ_INSERT_TAIL(&l->resolver->answered, l, link);
	event_active(l->resolver->deliver, EV_TIMEOUT, 0);
}

/* Takes it out of `asked`. */
static void lookup_leave(struct lookup *l)
{
	TAILQ_REMOVE(&l->resolver->asked, l, link);
	if (!LIST_EMPTY(&l->queries))
		l->resolver->active--;
}

/* By c-ares, exactly once for each ares_query(), maybe from inside it. */
static void on_reply(void *ctx, int status, int timeouts, unsigned char *reply, int len)
{
	struct lookup *l = ctx;
	struct resolver *r = l->resolver;

	(void)timeouts;
	lookup_leave(l);
	if (LIST_EMPTY(&l->queries) || r->closing) {
		lookup_free(l);
		return;
	}
	if (status == ARES_EDESTRUCTION) { /* other servers are asked in its place */
		l->state = LOOKUP_WAITING;
		TAILQ_INSERT_TAIL(&r->waiting, l, link);
		return;
	}
	l->answer.seconds = (double)(clock_mono() - l->asked) / NS_PER_S;
	if (status == ARES_SUCCESS)
		status = parse_reply(l, reply, len);
	answer_status(l, status);
	lookup_answered(l);
}

static void arm_timer(struct resolver *r)
{
	struct timeval tv;

	if (ares_timeout(r->channel, NULL, &tv) != NULL)
		event_add(r->timer, &tv);
	else
		event_del(r->timer);
}

/* Asks as many of those in line as there is room for. */
static void pump(struct resolver *r)
{
	struct lookup *l;

	while (r->active < RESOLVE_WINDOW && (l = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, l, link);
		l->state = LOOKUP_ASKED;
		l->asked = clock_mono();
		TAILQ_INSERT_TAIL(&r->asked, l, link);
		r->active++;
		ares_query(r->channel, l->key + 1, ns_c_in, l->family == FAMILY_V4 ? ns_t_a : ns_t_aaaa,
			on_reply, l);
	}
	arm_timer(r);
}

static void process(struct resolver *r, evutil_socket_t readable, evutil_socket_t writable)
{
	ares_process_fd(r->channel, readable, writable);
	pump(r);
}

static void on_socket(evutil_socket_t fd, short what, void *ctx)
{
	process(ctx, what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	process(ctx, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static struct watch *watch_of(struct resolver *r, evutil_socket_t fd)
{
	struct watch *w;

	LIST_FOREACH(w, &r->watches, link) {
		if (w->fd == fd)
			return w;
	}
	w = mem_alloc(sizeof *w);
	w->fd = fd;
	LIST_INSERT_HEAD(&r->watches, w, link);
	return w;
}

static void on_watch(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = ctx;
	struct watch *w = watch_of(r, fd);
	int what = EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);

	if (w->event != NULL)
		event_free(w->event);
	w->event = NULL;
	if (!readable && !writable) {
		LIST_REMOVE(w, link);
		free(w);
		return;
	}
	w->event = event_new(r->base, fd, (short)what, on_socket, r);
	assert(w->event != NULL);
	event_add(w->event, NULL);
}

/* ---- queries */

/* Nobody is told. */
static void query_free(struct resolve_query *q)
{
	struct lookup *l = q->lookup;

	LIST_REMOVE(q, link);
	event_free(q->timer);
	free(q);
	if (!LIST_EMPTY(&l->queries))
		return;
	if (l->state == LOOKUP_ASKED) {
		l->resolver->active--; /* c-ares goes on with it and cannot be stopped */
	} else if (l->state == LOOKUP_WAITING) {
		TAILQ_REMOVE(&l->resolver->waiting, l, link);
		lookup_free(l);
	} /* an answered one is freed where answers are delivered */
}

static void query_answer(struct resolve_query *q, const struct resolve_answer *a)
{
	struct resolver *r = q->lookup->resolver;
	void (*on_answer)(void *ctx, const struct resolve_answer *) = q->on_answer;
	void *ctx = q->ctx;

	query_free(q);
	r->inside = true;
	on_answer(ctx, a);
	r->inside = false;
}

static void on_deliver(evutil_socket_t fd, short what, void *ctx)
{
	struct resolver *r = ctx;
	struct lookup *l;

	(void)fd;
	(void)what;
	while ((l = TAILQ_FIRST(&r->answered)) != NULL) {
		/* Out of the map first: who asks anew from inside the call asks DNS anew. */
		if (l->key != NULL)
			map_remove(r->by_key, l->key);
		while (!LIST_EMPTY(&l->queries))
			query_answer(LIST_FIRST(&l->queries), &l->answer);
		TAILQ_REMOVE(&r->answered, l, link);
		free(l->key);
		free(l);
	}
}

static void on_query_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct resolve_query *q = ctx;
	struct resolver *r = q->lookup->resolver;
	struct resolve_answer a = {.status = RESOLVE_FAILED, .reason = "no answer from the resolver in time",
		.seconds = (double)(clock_mono() - q->began) / NS_PER_S};

	(void)fd;
	(void)what;
	query_answer(q, &a);
	pump(r);
}

static struct lookup *answered_lookup(struct resolver *r, enum family family, int status)
{
	struct lookup *l = lookup_new(r, family);

	answer_status(l, status);
	lookup_answered(l);
	return l;
}

static struct lookup *literal_lookup(struct resolver *r, enum family family, const struct sockaddr_storage *s)
{
	bool fits = s->ss_family == (family == FAMILY_V4 ? AF_INET : AF_INET6);
	struct lookup *l = answered_lookup(r, family, fits ? ARES_SUCCESS : ARES_ENODATA);

	if (fits)
		l->answer.addresses[l->answer.count++] = *s;
	return l;
}

/* RFC 6761 section 6.3: the name and all below it. */
static bool is_localhost(const char *name)
{
	static const char word[] = "localhost";
	size_t n = strlen(name), len = sizeof word - 1;

	if (n > 0 && name[n - 1] == '.')
		n--;
	return n >= len && strncasecmp(name + n - len, word, len) == 0 && (n == len || name[n - len - 1] == '.');
}

/* What can be no question to DNS: the words, or NULL. */
static const char *unaskable(const char *name)
{
	for (const char *p = name; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80)
			return "a name with other than ASCII letters must be written in its xn-- form";
		if (strchr(":%[]/ \\", *p) != NULL)
			return strchr(name, '%') != NULL ? "no such interface behind the address"
							 : "neither a name nor an address";
	}
	return strlen(name) > 255 ? "not a name that DNS can hold" : NULL;
}

/* "resolvers": the servers themselves. */
static struct lookup *servers_lookup(struct resolver *r, enum family family)
{
	struct lookup *l = answered_lookup(r, family, ARES_SUCCESS);
	unsigned char bytes[PARSE_MAX * sizeof(struct in6_addr)];
	int af = family == FAMILY_V6 ? AF_INET6 : AF_INET;
	size_t size = family == FAMILY_V6 ? sizeof(struct in6_addr) : sizeof(struct in_addr), n = 0;
	struct ares_addr_port_node *list = NULL;

	ares_get_servers_ports(r->channel, &list);
	for (struct ares_addr_port_node *s = list; s != NULL && n < PARSE_MAX; s = s->next) {
		if (s->family == af)
			memcpy(bytes + n++ * size, &s->addr, size);
	}
	ares_free_data(list);
	answer_fill(l, bytes, n);
	if (n == 0) {
		l->answer.status = RESOLVE_FAILED;
		l->answer.reason = family == FAMILY_V6 ? "this host has no IPv6 name server"
						       : "this host has no IPv4 name server";
	}
	return l;
}

size_t resolver_servers(const struct resolver *r, struct sockaddr_storage out[RESOLVE_MAX])
{
	struct ares_addr_port_node *list = NULL;
	size_t n = 0;

	ares_get_servers_ports(r->channel, &list);
	for (struct ares_addr_port_node *s = list; s != NULL && n < RESOLVE_MAX; s = s->next) {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out[n];
		struct sockaddr_in *four = (struct sockaddr_in *)&out[n];
		uint16_t port = htons((uint16_t)(s->udp_port != 0 ? s->udp_port : NS_DEFAULTPORT));

		memset(&out[n], 0, sizeof out[n]);
		if (s->family == AF_INET6) {
			six->sin6_family = AF_INET6;
			six->sin6_port = port;
			memcpy(&six->sin6_addr, &s->addr, sizeof six->sin6_addr);
			n++;
		} else if (s->family == AF_INET) {
			four->sin_family = AF_INET;
			four->sin_port = port;
			memcpy(&four->sin_addr, &s->addr, sizeof four->sin_addr);
			n++;
		}
	}
	ares_free_data(list);
	return n;
}

static struct lookup *lookup_for(struct resolver *r, const char *name, enum family family)
{
	const char *loopback = family == FAMILY_V4 ? "127.0.0.1" : "::1", *refusal;
	struct sockaddr_storage s;
	struct lookup *l;
	char key[260];
	socklen_t len;

	if (resolve_literal(is_localhost(name) ? loopback : name, &s, &len) == 0)
		return literal_lookup(r, family, &s);
	if (strcasecmp(name, RESOLVE_SERVERS) == 0)
		return servers_lookup(r, family);
	refusal = unaskable(name);
	if (refusal != NULL) {
		l = answered_lookup(r, family, ARES_EBADNAME);
		l->answer.reason = refusal;
		return l;
	}
	snprintf(key, sizeof key, "%d%s", (int)family, name);
	l = map_find(r->by_key, key);
	if (l != NULL)
		return l;
	l = lookup_new(r, family);
	l->key = mem_strdup(key);
	map_set(r->by_key, key, l);
	TAILQ_INSERT_TAIL(&r->waiting, l, link);
	return l;
}

/* DHCP and people change it while we run; an agent may even be started before it is written. A file that is gone changes nothing. */
static void follow_host(struct resolver *r)
{
	int64_t now = clock_mono();
	struct stat s;
	struct err e;

	if (!r->follows_host || now - r->looked < LOOK_AGAIN)
		return;
	r->looked = now;
	if (stat(HOSTS_FILE, &s) < 0 || (s.st_mtim.tv_sec == r->seen.st_mtim.tv_sec && s.st_mtim.tv_nsec == r->seen.st_mtim.tv_nsec &&
		s.st_ino == r->seen.st_ino && s.st_size == r->seen.st_size))
		return;
	if (resolver_reload(r, NULL, &e) < 0)
		log_warn("name servers stay as they were until a start: %s", e.text);
	else
		log_info("name servers are read again: %s has changed", HOSTS_FILE);
}

struct resolve_query *resolve_start(struct resolver *r, const char *name, enum family family, int64_t timeout,
	void (*on_answer)(void *ctx, const struct resolve_answer *), void *ctx)
{
	struct timeval tv = {timeout / NS_PER_S, timeout % NS_PER_S / NS_PER_US};
	struct resolve_query *q = mem_alloc(sizeof *q);
	struct lookup *l;

	follow_host(r);
	l = lookup_for(r, name, family);
	*q = (struct resolve_query){
		.lookup = l, .began = clock_mono(), .on_answer = on_answer, .ctx = ctx};
	if (LIST_EMPTY(&l->queries) && l->state == LOOKUP_ASKED)
		r->active++;
	LIST_INSERT_HEAD(&l->queries, q, link);
	q->timer = evtimer_new(r->base, on_query_timeout, q);
	assert(q->timer != NULL);
	event_add(q->timer, &tv);
	if (l->state == LOOKUP_WAITING)
		pump(r);
	return q;
}

void resolve_cancel(struct resolve_query *q)
{
	struct resolver *r = q->lookup->resolver;

	query_free(q);
	pump(r);
}

/* ---- the resolver */

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53" */
static bool server_is_valid(const char *text, size_t len)
{
	struct sockaddr_storage s;
	char item[128], *port = NULL;
	struct err e;
	int64_t number;
	socklen_t room;

	if (len >= sizeof item)
		return false;
	memcpy(item, text, len);
	item[len] = '\0';
	if (item[0] == '[')
		port = strchr(item, ']') != NULL ? strchr(item, ']') + 1 : NULL;
	else if (strchr(item, ':') == strrchr(item, ':'))
		port = strchr(item, ':');
	if (port != NULL && *port == ':') {
		*port++ = '\0';
		if (num_parse_int(port, 1, 65535, &number, &e) < 0)
			return false;
	}
	return resolve_literal(item, &s, &room) == 0;
}

/* c-ares itself takes what begins like an address or a number for one. */
static bool servers_are_valid(const char *list)
{
	for (;; list++) {
		size_t n = strcspn(list, ",");

		if (!server_is_valid(list, n))
			return false;
		list += n;
		if (*list == '\0')
			return true;
	}
}

static int channel_open(struct resolver *r, const char *servers, ares_channel *out, struct err *e)
{
	char lookups[] = "b";
	struct ares_options o = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES, .timeout = TRY_MS,
		.tries = TRIES, .lookups = lookups, .sock_state_cb = on_watch, .sock_state_cb_data = r,
		.socket_receive_buffer_size = RECEIVE_BUFFER};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS |
		ARES_OPT_SOCK_STATE_CB | ARES_OPT_SOCK_RCVBUF | ARES_OPT_NOROTATE;
	int rc = ares_init_options(out, &o, mask);

	if (rc != ARES_SUCCESS)
		return err_set(e, "resolver: " HOSTS_FILE " cannot be used: %s", ares_strerror(rc));
	if (servers == NULL)
		return 0;
	if (servers_are_valid(servers) && ares_set_servers_ports_csv(*out, servers) == ARES_SUCCESS)
		return 0;
	ares_destroy(*out);
	return err_set(e, "resolver: \"%.200s\" is not a list of addresses: write \"192.0.2.1,[2001:db8::1]:5353\"",
		servers);
}

/* Before the file is read, so that a change meanwhile is seen. */
static void watch_host(struct resolver *r, const char *servers)
{
	r->follows_host = servers == NULL;
	r->looked = clock_mono();
	if (servers == NULL && stat(HOSTS_FILE, &r->seen) < 0)
		memset(&r->seen, 0, sizeof r->seen);
}

struct resolver *resolver_new(struct event_base *base, const char *servers, struct err *e)
{
	struct resolver *r = mem_alloc(sizeof *r);

	ares_library_init(ARES_LIB_INIT_ALL);
	r->base = base;
	watch_host(r, servers);
	if (channel_open(r, servers, &r->channel, e) < 0) {
		ares_library_cleanup();
		free(r);
		return NULL;
	}
	r->timer = evtimer_new(base, on_timer, r);
	r->deliver = event_new(base, -1, 0, on_deliver, r);
	assert(r->timer != NULL && r->deliver != NULL);
	LIST_INIT(&r->watches);
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->asked);
	TAILQ_INIT(&r->answered);
	r->by_key = map_new();
	return r;
}

int resolver_reload(struct resolver *r, const char *servers, struct err *e)
{
	ares_channel old = r->channel;
	bool followed = r->follows_host;

	watch_host(r, servers);
	if (channel_open(r, servers, &r->channel, e) < 0) {
		r->channel = old;
		r->follows_host = followed;
		return -1;
	}
	ares_destroy(old); /* gives back what was asked, which then waits */
	pump(r);
	return 0;
}

static void drop_queries(struct lookups *list)
{
	struct resolve_query *q;
	struct lookup *l;

	TAILQ_FOREACH(l, list, link) {
		while ((q = LIST_FIRST(&l->queries)) != NULL) {
			LIST_REMOVE(q, link);
			event_free(q->timer);
			free(q);
		}
	}
}

static void drop_lookups(struct lookups *list)
{
	struct lookup *l;

	while ((l = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, l, link);
		lookup_free(l);
	}
}

void resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	assert(!r->inside);
	r->closing = true;
	drop_queries(&r->waiting);
	drop_queries(&r->asked);
	drop_queries(&r->answered);
	drop_lookups(&r->waiting);
	drop_lookups(&r->answered);
	ares_destroy(r->channel); /* gives back what was asked */
	assert(LIST_EMPTY(&r->watches) && TAILQ_EMPTY(&r->asked));
	event_free(r->timer);
	event_free(r->deliver);
	map_free(r->by_key, NULL);
	ares_library_cleanup();
	free(r);
}

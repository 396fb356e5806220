#include "collector/notice/lookup.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"

struct lookup {
	int fd;
	struct event *event;
	void (*on_answer)(void *, const struct lookup_answer *);
	void *ctx;
};

/* What the thread owns. */
struct question {
	int fd;
	char host[LOOKUP_HOST_MAX + 1];
};

static void ask(const char *host, struct lookup_answer *a)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	a->error = getaddrinfo(host, NULL, &hints, &found);
	for (struct addrinfo *i = a->error == 0 ? found : NULL; i != NULL && a->count < LOOKUP_MAX; i = i->ai_next) {
		memcpy(&a->items[a->count].address, i->ai_addr, i->ai_addrlen);
		a->items[a->count++].len = i->ai_addrlen;
	}
	if (found != NULL)
		freeaddrinfo(found);
	if (a->error == 0 && a->count == 0)
		a->error = EAI_NONAME;
}

static void *thread_main(void *ctx)
{
	struct lookup_answer answer = {.error = 0};
	struct question *q = ctx;

	ask(q->host, &answer);
	send(q->fd, &answer, sizeof answer, MSG_NOSIGNAL);
	close(q->fd);
	free(q);
	return NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct lookup_answer answer;
	struct lookup *l = ctx, end = *l;

	(void)what;
	if (recv(fd, &answer, sizeof answer, 0) != (ssize_t)sizeof answer)
		answer = (struct lookup_answer){.error = EAI_SYSTEM};
	lookup_cancel(l);
	end.on_answer(end.ctx, &answer);
}

/* Signals are for the loop's thread. */
int lookup_start_thread(void *(*main)(void *ctx), void *ctx)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, main, ctx);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

struct lookup *lookup_start(struct event_base *base, const char *host, void (*on_answer)(void *ctx, const struct lookup_answer *),
	void *ctx)
{
	struct lookup *l = mem_alloc(sizeof *l);
	struct question *q = mem_alloc(sizeof *q);
	int fds[2] = {-1, -1};
	bool has_pair = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0;

	*l = (struct lookup){.fd = fds[0], .on_answer = on_answer, .ctx = ctx};
	l->event = event_new(base, l->fd, EV_READ, on_readable, l);
	assert(l->event != NULL);
	*q = (struct question){.fd = fds[1]};
	snprintf(q->host, sizeof q->host, "%s", host);
	if (has_pair && lookup_start_thread(thread_main, q) == 0) {
		event_add(l->event, NULL);
		return l;
	}
	free(q);
	if (has_pair)
		close(fds[1]);
	event_active(l->event, EV_READ, 0); /* nothing can be read: EAI_SYSTEM */
	return l;
}

void lookup_cancel(struct lookup *l)
{
	if (l == NULL)
		return;
	event_free(l->event);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

const char *lookup_words(int error)
{
	return error == EAI_SYSTEM ? "this machine cannot ask" : gai_strerror(error);
}

int lookup_parse_url(const char *url, const char *scheme, char host[LOOKUP_HOST_MAX + 1], uint16_t *port, struct err *e)
{
	const char *at = url + strlen(scheme), *colon = strrchr(url, ':');
	size_t len;
	char *end;
	long n;

	if (strncmp(url, scheme, strlen(scheme)) != 0 || colon < at)
		return err_set(e, "\"%.200s\": write %shost:port", url, scheme);
	len = (size_t)(colon - at);
	if (len >= 2 && at[0] == '[' && at[len - 1] == ']') {
		at++;
		len -= 2;
	} else if (memchr(at, ':', len) != NULL) {
		return err_set(e, "\"%.200s\": write an IPv6 address as [address]", url);
	}
	n = strtol(colon + 1, &end, 10);
	if (len == 0 || len > LOOKUP_HOST_MAX || n < 1 || n > 65535 || *end != '\0' || colon[1] < '0' || colon[1] > '9')
		return err_set(e, "\"%.200s\": write %shost:port", url, scheme);
	memcpy(host, at, len);
	host[len] = '\0';
	*port = (uint16_t)n;
	return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:%_") == len ? 0
		: err_set(e, "\"%.200s\": neither a host name nor an address", url);
}

bool lookup_is_this_machine(const char *url)
{
	const char *host = strstr(url, "://");
	struct in_addr v4;
	char name[16];
	size_t len;

	if (host == NULL)
		return false;
	host += 3;
	if (strncmp(host, "[::1]", 5) == 0)
		return host[5] == '\0' || host[5] == ':' || host[5] == '/';
	len = strcspn(host, ":/");
	if (len >= sizeof name)
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	/* "name:password@host" ends at the colon, too, with an @ somewhere behind it */
	if (strchr(host, '@') != NULL)
		return false;
	return strcmp(name, "localhost") == 0 || (inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

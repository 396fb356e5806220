/* Names that nobody answers for: a transfer that gives up on one holds up nobody. */
#include "lib/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdbool.h>
#include <time.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <event2/event.h>

#define PATIENCE 20 /* s that the resolver takes, unless it is let go */

static sem_t asked, answer, left;
static atomic_bool is_answered;

static void wait_for(sem_t *s)
{
	while (sem_wait(s) != 0 && errno == EINTR)
		;
}

/* Instead of the C library's, for libcurl's thread. */
__attribute__((visibility("default")))
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	struct timespec limit;

	(void)host, (void)service, (void)hints, (void)out;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += PATIENCE;
	sem_post(&asked);
	while (sem_timedwait(&answer, &limit) != 0 && errno == EINTR)
		;
	is_answered = true;
	sem_post(&left);
	return EAI_AGAIN;
}

struct bed {
	struct event_base *base;
	struct http_client *http;
	CURL *easy;
	bool has_ended;
	CURLcode result;
};

static void on_done(void *ctx, CURL *easy, CURLcode result)
{
	struct bed *b = ctx;

	(void)easy;
	b->has_ended = true;
	b->result = result;
}

static void begin(struct bed *b, long timeout_ms)
{
	*b = (struct bed){.base = event_base_new()};
	b->http = http_client_new(b->base);
	b->easy = curl_easy_init();
	sem_init(&asked, 0, 0);
	sem_init(&answer, 0, 0);
	sem_init(&left, 0, 0);
	is_answered = false;
	curl_easy_setopt(b->easy, CURLOPT_URL, "http://slow.example/");
	curl_easy_setopt(b->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(b->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(b->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	http_start(b->http, b->easy, on_done, b);
	while (sem_trywait(&asked) != 0)
		event_base_loop(b->base, EVLOOP_ONCE);
}

/* Lets the thread go, and waits until it is in the resolver no more. */
static void end(struct bed *b)
{
	sem_post(&answer);
	wait_for(&left);
	curl_easy_cleanup(b->easy);
	http_client_free(b->http);
	event_base_free(b->base);
}

static void one_that_is_cancelled_does_not_wait_for_its_name(void **state)
{
	struct bed b;

	(void)state;
	begin(&b, 0);
	http_cancel(b.http, b.easy);
	assert_false(is_answered);
	assert_false(b.has_ended);
	end(&b);
}

static void one_that_is_late_does_not_wait_for_its_name(void **state)
{
	struct bed b;

	(void)state;
	begin(&b, 300);
	while (!b.has_ended)
		event_base_loop(b.base, EVLOOP_ONCE);
	assert_false(is_answered);
	assert_int_equal(b.result, CURLE_OPERATION_TIMEDOUT);
	end(&b);
}

static void one_that_is_freed_with_its_client_does_not_wait_for_its_name(void **state)
{
	struct bed b;

	(void)state;
	begin(&b, 0);
	http_client_free(b.http);
	assert_false(is_answered);
	b.http = NULL;
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_cancelled_does_not_wait_for_its_name),
		cmocka_unit_test(one_that_is_late_does_not_wait_for_its_name),
		cmocka_unit_test(one_that_is_freed_with_its_client_does_not_wait_for_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

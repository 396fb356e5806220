#include "lib/uplink_lane.h"

#include <assert.h>
#include <ctype.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/tls.h"

#define RETRY_AFTER_MAX 3600 /* s */
#define HEADERS_MAX (16u << 10)
#define CONNECT_TIMEOUT_MS 10000L

static uint64_t random_below(uint64_t bound)
{
	uint64_t r;

	if (bound == 0 || getrandom(&r, sizeof r, 0) != sizeof r)
		return 0;
	return r % bound;
}

/* Full jitter: anything up to a ceiling that doubles, so that those who were cut together come back apart. */
static int64_t pause_of(const struct uplink_lane *l)
{
	int64_t ceiling = l->first_pause;

	for (unsigned i = 1; i < l->failures && ceiling < l->most_pause; i++)
		ceiling *= 2;
	if (ceiling > l->most_pause)
		ceiling = l->most_pause;
	return (int64_t)random_below((uint64_t)ceiling + 1);
}

void uplink_lane_pause(struct uplink_lane *l, int64_t ns)
{
	struct timeval tv = {(time_t)(ns / NS_PER_S), (suseconds_t)(ns % NS_PER_S / NS_PER_US)};

	event_add(l->timer, &tv);
}

void uplink_lane_rest(struct uplink_lane *l)
{
	uplink_lane_pause(l, l->first_pause + (int64_t)random_below((uint64_t)l->first_pause));
}

bool uplink_lane_is_free(const struct uplink_lane *l)
{
	return !l->running && !evtimer_pending(l->timer, NULL);
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct uplink_lane *l = ctx;

	if (l->answer.len + size * count > l->answer_max)
		return 0;
	buf_add(&l->answer, data, size * count);
	return size * count;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
	struct uplink_lane *l = ctx;

	(void)data;
	l->headers_len += size * count;
	return l->headers_len > HEADERS_MAX ? 0 : size * count;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *ctx)
{
	struct uplink_lane *l = ctx;
	struct err e;

	(void)easy;
	return tls_client_copy(l->tls, ssl_ctx, &e) == 0 ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

void uplink_lane_init(struct uplink_lane *l, struct curl_slist *connect_to, int64_t timeout)
{
	CURL *c = curl_easy_init();

	assert(c != NULL);
	l->easy = c;
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, ""); /* not that of the environment */
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	curl_easy_setopt(c, CURLOPT_SSL_CTX_DATA, l);
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_OPTIONS, (long)CURLSSLOPT_NO_PARTIALCHAIN);
	curl_easy_setopt(c, CURLOPT_CONNECT_TO, connect_to);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(timeout / NS_PER_MS));
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "xunjian");
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, l);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, l);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, l->words);
}

void uplink_lane_fini(struct uplink_lane *l)
{
	if (l->easy != NULL) {
		http_cancel(l->http, l->easy);
		curl_easy_cleanup(l->easy);
	}
	if (l->timer != NULL)
		event_free(l->timer);
	curl_slist_free_all(l->headers);
	buf_fini(&l->answer);
}

void uplink_lane_start(struct uplink_lane *l, const char *url, void (*on_done)(void *ctx, CURL *easy, CURLcode), void *ctx)
{
	l->running = true;
	l->words[0] = '\0';
	l->headers_len = 0;
	buf_clear(&l->answer);
	curl_easy_setopt(l->easy, CURLOPT_URL, url);
	curl_easy_setopt(l->easy, CURLOPT_HTTPHEADER, l->headers);
	http_start(l->http, l->easy, on_done, ctx);
}

long uplink_lane_done(struct uplink_lane *l, CURLcode result, struct err *e)
{
	long status = 0;

	l->running = false;
	if (result == CURLE_OK)
		curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
	else if (result == CURLE_WRITE_ERROR)
		err_set(e, "answer is larger than it may be");
	else
		err_set(e, "%s", l->words[0] != '\0' ? l->words : curl_easy_strerror(result));
	return status;
}

/* How long a 429 or 503 wants us away, with some jitter, or -1. */
static int64_t told_pause(const struct uplink_lane *l)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(l->easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds <= 0)
		return -1;
	if (seconds > RETRY_AFTER_MAX)
		seconds = RETRY_AFTER_MAX;
	return seconds * NS_PER_S + (int64_t)random_below((uint64_t)(seconds * NS_PER_S / 4));
}

/* Whether both say the same but for how long it took, as in "Failed to connect to ... after 12 ms". */
static bool is_same_reason(const char *a, const char *b)
{
	static const char after[] = "after ";

	for (; *a != '\0' && *a == *b; a++, b++) {
		if (strncmp(a, after, sizeof after - 1) != 0 || strncmp(b, after, sizeof after - 1) != 0)
			continue;
		for (a += sizeof after - 1; isdigit((unsigned char)*a); a++)
			;
		for (b += sizeof after - 1; isdigit((unsigned char)*b); b++)
			;
		if (*a == '\0' || *a != *b)
			break;
	}
	return *a == *b;
}

/* Once for each reason: a certificate that is refused is not hidden by the collector that was away before. */
void uplink_lane_failed(struct uplink_lane *l, const char *what, long status, const struct err *e)
{
	int64_t told = status == 429 || status == 503 ? told_pause(l) : -1;

	if (l->failures++ == 0 || !is_same_reason(l->told.text, e->text)) {
		l->told = *e;
		log_warn("%s failed, trying again error=\"%s\"", what, e->text);
	} else {
		log_debug("%s failed again tries=%u error=\"%s\"", what, l->failures, e->text);
	}
	uplink_lane_pause(l, told >= 0 ? told : pause_of(l));
}

void uplink_lane_succeeded(struct uplink_lane *l, const char *what)
{
	if (l->failures > 0)
		log_info("%s works again tries=%u", what, l->failures + 1);
	l->failures = 0;
}

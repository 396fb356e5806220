/* Channels that libcurl speaks to: a letter as a request, and its answer. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notice/send_kind.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/mem.h"

#define CONNECT_TIMEOUT_MS 10000L

struct web {
	struct send *send;
	const struct roster_channel *channel;
	struct http_client *http;
	struct letter letter;
	CURL *easy;
	struct curl_slist *lines; /* headers */
	struct buf answer;
	char words[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct web *w = ctx;
	size_t room = LETTER_ANSWER_MAX - w->answer.len, len = size * count;

	buf_add(&w->answer, data, len < room ? len : room);
	return len;
}

static void set_post(struct web *w)
{
	w->lines = curl_slist_append(w->lines, "Expect:");
	for (size_t i = 0; i < w->letter.headers_count; i++)
		w->lines = curl_slist_append(w->lines, w->letter.headers[i]);
	curl_easy_setopt(w->easy, CURLOPT_HTTPHEADER, w->lines);
	curl_easy_setopt(w->easy, CURLOPT_POSTFIELDSIZE, (long)w->letter.body.len);
	curl_easy_setopt(w->easy, CURLOPT_POSTFIELDS, w->letter.body.data);
}

void send_set_curl(CURL *easy, const struct roster_channel *c, const char *url)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "xunjian");
	curl_easy_setopt(easy, CURLOPT_URL, url);
	if (c->ca[0] != '\0') {
		curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static void set_all(struct web *w)
{
	send_set_curl(w->easy, w->channel, buf_text(&w->letter.url));
	curl_easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(w->easy, CURLOPT_WRITEDATA, w);
	curl_easy_setopt(w->easy, CURLOPT_ERRORBUFFER, w->words);
	set_post(w);
}

static void on_done(void *ctx, CURL *easy, CURLcode rc)
{
	enum letter_outcome outcome = LETTER_AGAIN;
	struct web *w = ctx;
	struct err words;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_OK)
		outcome = letter_answer(w->channel, status, w->answer.data, w->answer.len, &words);
	else
		err_set(&words, "%.200s", w->words[0] != '\0' ? w->words : curl_easy_strerror(rc));
	send_ended(w->send, outcome, words.text);
}

static void *web_start(struct sender *sender, struct send *send, const struct send_order *o, struct err *words)
{
	struct web *w = mem_alloc(sizeof *w);

	(void)words;
	if (sender->http == NULL)
		sender->http = http_client_new(sender->base);
	*w = (struct web){.send = send, .channel = o->channel, .http = sender->http};
	letter_write(o->channel, o->intent, o->phrase, o->facts, &w->letter);
	w->easy = curl_easy_init();
	if (w->easy == NULL)
		abort(); /* no memory */
	set_all(w);
	http_start(w->http, w->easy, on_done, w);
	return w;
}

static void web_late(void *state, struct err *words)
{
	struct web *w = state;
	curl_off_t connected = 0;

	curl_easy_getinfo(w->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
	err_set(words, connected == 0 ? "no connection in time" : "no answer in time");
}

static void web_stop(void *state)
{
	struct web *w = state;

	http_cancel(w->http, w->easy);
	curl_easy_cleanup(w->easy);
	curl_slist_free_all(w->lines);
	letter_fini(&w->letter);
	buf_fini(&w->answer);
	free(w);
}

const struct send_kind send_web = {.start = web_start, .late = web_late, .stop = web_stop};

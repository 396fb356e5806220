/* Channels that libcurl speaks to: a letter as a request, and its answer. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notice/lookup.h"
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
	struct curl_slist *lines; /* headers, or who gets a mail */
	size_t sent;              /* of the body of a mail */
	size_t named;             /* receivers of a mail that the server has been told */
	bool is_naming;           /* it has not answered for the last of them yet */
	size_t refused;           /* of them */
	bool is_for_now;          /* one of them for now only */
	struct buf refusals;
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

static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
	struct web *w = ctx;
	size_t left = w->letter.body.len - w->sent, len = size * count < left ? size * count : left;

	memcpy(out, w->letter.body.data + w->sent, len);
	w->sent += len;
	return len;
}

/* What the server says of one receiver: address and words. */
static void note_refusal(struct web *w, const char *line, size_t len)
{
	const char *to = w->named <= w->channel->to.count ? w->channel->to.items[w->named - 1] : "?";

	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	w->refused++;
	w->is_for_now = w->is_for_now || line[0] != '5';
	buf_add_format(&w->refusals, "%s%s: %.*s", w->refusals.len > 0 ? "; " : "", to, (int)len, line);
}

/* libcurl goes on without receivers whom the server refuses, and tells nobody who they are: the talk shows it. */
static int on_talk(CURL *easy, curl_infotype type, char *data, size_t size, void *ctx)
{
	struct web *w = ctx;

	(void)easy;
	if (type == CURLINFO_HEADER_OUT) {
		w->is_naming = size > 8 && memcmp(data, "RCPT TO:", 8) == 0;
		w->named += w->is_naming;
	} else if (type == CURLINFO_HEADER_IN && w->is_naming && size > 3 && data[3] != '-') {
		w->is_naming = false;
		if (data[0] != '2')
			note_refusal(w, data, size);
	}
	return 0;
}

static void set_mail(struct web *w, const char *password)
{
	const struct roster_channel *c = w->channel;

	for (size_t i = 0; i < c->to.count; i++)
		w->lines = curl_slist_append(w->lines, c->to.items[i]);
	curl_easy_setopt(w->easy, CURLOPT_USE_SSL, lookup_is_this_machine(c->url) ? (long)CURLUSESSL_TRY : (long)CURLUSESSL_ALL);
	curl_easy_setopt(w->easy, CURLOPT_MAIL_FROM, c->from);
	curl_easy_setopt(w->easy, CURLOPT_MAIL_RCPT, w->lines);
	curl_easy_setopt(w->easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L); /* one mailbox that is gone keeps no others from reading */
	curl_easy_setopt(w->easy, CURLOPT_DEBUGFUNCTION, on_talk);
	curl_easy_setopt(w->easy, CURLOPT_DEBUGDATA, w);
	curl_easy_setopt(w->easy, CURLOPT_VERBOSE, 1L);
	if (c->user[0] != '\0') {
		curl_easy_setopt(w->easy, CURLOPT_USERNAME, c->user);
		curl_easy_setopt(w->easy, CURLOPT_PASSWORD, password);
	}
	curl_easy_setopt(w->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(w->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(w->easy, CURLOPT_READDATA, w);
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

static void set_all(struct web *w, const char *password)
{
	const struct roster_channel *c = w->channel;

	curl_easy_setopt(w->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(w->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(w->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(w->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(w->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(w->easy, CURLOPT_USERAGENT, "xunjian");
	curl_easy_setopt(w->easy, CURLOPT_URL, buf_text(&w->letter.url));
	curl_easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(w->easy, CURLOPT_WRITEDATA, w);
	curl_easy_setopt(w->easy, CURLOPT_ERRORBUFFER, w->words);
	if (c->ca[0] != '\0') {
		curl_easy_setopt(w->easy, CURLOPT_CAINFO, c->ca);
		curl_easy_setopt(w->easy, CURLOPT_CAPATH, NULL);
	}
	if (c->kind == ROSTER_SMTP)
		set_mail(w, password);
	else
		set_post(w);
}

/* A mail server that refuses says so by its code; all else did not arrive. */
static enum letter_outcome failed(struct web *w, long status, CURLcode rc, struct err *words)
{
	if (w->refused > 0 && w->refused == w->channel->to.count) {
		err_set(words, "no receiver is taken: %.300s", buf_text(&w->refusals));
		return w->is_for_now ? LETTER_AGAIN : LETTER_REFUSED;
	}
	err_set(words, "%.200s", w->words[0] != '\0' ? w->words : curl_easy_strerror(rc));
	return w->channel->kind == ROSTER_SMTP && status >= 500 ? LETTER_REFUSED : LETTER_AGAIN;
}

static void on_done(void *ctx, CURL *easy, CURLcode rc)
{
	enum letter_outcome outcome;
	struct web *w = ctx;
	struct err words;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_OK)
		outcome = letter_answer(w->channel, status, w->answer.data, w->answer.len, &words);
	else
		outcome = failed(w, status, rc, &words);
	if (outcome == LETTER_TAKEN && w->refused > 0)
		err_set(&words, "for %zu of %zu receivers, refused for %.300s", w->channel->to.count - w->refused,
			w->channel->to.count, buf_text(&w->refusals));
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
	set_all(w, o->facts->token);
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
	buf_fini(&w->refusals);
	buf_fini(&w->answer);
	free(w);
}

const struct send_kind send_web = {.start = web_start, .late = web_late, .stop = web_stop};

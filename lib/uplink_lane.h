/*
 * uplink_lane: one request at a time to the collector, over one connection of its own, and the pause before the next when one
 * has failed. Of lib/uplink.c, which has two: what it pushes, and what it asks for.
 *
 *   fields of the upper part -> uplink_lane_init -> uplink_lane_start -> uplink_lane_done -> failed or succeeded ... -> fini
 *
 * Thread: the loop's.
 */
#ifndef LIB_UPLINK_LANE_H
#define LIB_UPLINK_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/http.h"

struct event;
struct ssl_ctx_st;

struct uplink_lane {
	struct http_client *http;
	struct ssl_ctx_st *tls;
	struct event *timer; /* pending: a pause; nothing is started before it fires. Freed with the lane */
	int64_t first_pause, most_pause;
	size_t answer_max;

	CURL *easy;
	bool running;
	unsigned failures; /* in a row */
	size_t headers_len;
	struct buf answer;
	struct curl_slist *headers; /* of requests; the lane's */
	char words[CURL_ERROR_SIZE];
	struct err told;   /* the last failure that was logged */
};

/* connect_to: as of libcurl, or NULL; borrowed. timeout: of a whole request, ns. */
void uplink_lane_init(struct uplink_lane *, struct curl_slist *connect_to, int64_t timeout);
void uplink_lane_fini(struct uplink_lane *); /* also of one that is zero */

bool uplink_lane_is_free(const struct uplink_lane *);
void uplink_lane_pause(struct uplink_lane *, int64_t ns);
/* The first pause and up to as much again: of one that is answered too soon. */
void uplink_lane_rest(struct uplink_lane *);

void uplink_lane_start(struct uplink_lane *, const char *url, void (*on_done)(void *ctx, CURL *easy, CURLcode), void *ctx);
/* To be called first in on_done: the status of an answer that arrived whole, or 0 with err. */
long uplink_lane_done(struct uplink_lane *, CURLcode, struct err *);
/* Logs what failed, once for each reason, and pauses: as long as an answer of that status has asked for, or else with a
 * ceiling that doubles. status 0: no answer has failed. */
void uplink_lane_failed(struct uplink_lane *, const char *what, long status, const struct err *);
void uplink_lane_succeeded(struct uplink_lane *, const char *what);

#endif

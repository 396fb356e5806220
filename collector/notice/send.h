/*
 * send: one letter on its way: a handle of libcurl with all that the channel asks for, and what came of it.
 *
 *   send_new -> send_handle performed by whoever has a loop (lib/http.h), or by curl_easy_perform -> send_outcome -> send_free
 *
 * No redirect is followed, no proxy of the environment used; TLS from 1.2 with the roots of the channel or of the machine, and
 * mail leaves in the clear only towards the machine itself. Answers beyond LETTER_ANSWER_MAX are cut. Thread: one.
 */
#ifndef COLLECTOR_NOTICE_SEND_H
#define COLLECTOR_NOTICE_SEND_H

#include <curl/curl.h>

#include "collector/notice/letter.h"

struct send;

#define SEND_SECRET_MAX 512

/* Borrows the channel; takes what the letter holds. password: of the user of a mail server. */
struct send *send_new(const struct roster_channel *, const char *password, struct letter *);
void send_free(struct send *); /* not while it is performed; accepts NULL */
CURL *send_handle(struct send *);
enum letter_outcome send_outcome(struct send *, CURLcode, struct err *words);
/* The first line of a file that nobody but its owner may read; "" of path "". */
int send_read_secret(const char *path, char out[SEND_SECRET_MAX], struct err *);

#endif

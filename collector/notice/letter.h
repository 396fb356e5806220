/*
 * letter: a notice as the request that a channel takes: address, headers, body; and what its answer means. Pure.
 *
 *   letter_write(...) -> send url, headers, body -> letter_answer of what came back -> letter_fini
 *
 * The same delivery makes the same letter but for its time and signature: `key` stands in each as Message-ID, header
 * Idempotency-Key or in the words, so that who gets it twice can tell. Sources: RFC 5322, RFC 2047 (mail), the manuals of the
 * bots (WeCom: text of at most 2048 bytes; DingTalk: HMAC-SHA256 of "ms\nsecret" under the secret; Feishu: of nothing
 * under "s\nsecret"), Alertmanager's webhook version 4. Bots answer 200 whatever happens: their code in the body tells.
 * Thread: any.
 */
#ifndef COLLECTOR_NOTICE_LETTER_H
#define COLLECTOR_NOTICE_LETTER_H

#include <stddef.h>
#include <stdint.h>

#include "collector/notice/roster.h"
#include "lib/buf.h"

struct err;
struct incident_intent;
struct phrase;

#define LETTER_ANSWER_MAX 65536
#define LETTER_HEADERS 4

/* A notice that judgement asked for, or one of our own, whose intent has a key, kind DIGEST and times. */
enum letter_matter { LETTER_NOTICE, LETTER_TEST, LETTER_BEAT };

struct letter_facts {
	enum letter_matter matter;
	const char *collector; /* its name: part of Message-ID */
	int64_t now;           /* ns UTC */
	const char *token, *secret; /* "" none */
};

struct letter {
	struct buf url;  /* holds secrets: never in a log */
	struct buf body;
	size_t headers_count;
	char *headers[LETTER_HEADERS]; /* of HTTP; those of mail stand in its body */
};

void letter_write(const struct roster_channel *, const struct incident_intent *, const struct phrase *,
	const struct letter_facts *, struct letter *out);
void letter_fini(struct letter *);
/* The same for the same notice and channel, of no other. Owned. */
char *letter_key(const struct roster_channel *, const struct incident_intent *, const struct letter_facts *);
size_t letter_room(const struct roster_channel *); /* bytes of title and body that it takes before they are cut */

enum letter_outcome { LETTER_TAKEN, LETTER_AGAIN, LETTER_SLOWER /* too many: wait longer */, LETTER_REFUSED /* will not change */ };
/* status: of HTTP or SMTP. Words say what was answered. */
enum letter_outcome letter_answer(const struct roster_channel *, long status, const void *body, size_t len, struct err *words);

/* base64 of HMAC-SHA256. */
void letter_sign(const char *key, const char *message, struct buf *out);
/* RFC 2047: as it may stand in a header, folded; room for 9 bytes of the header's name. */
void letter_add_encoded(struct buf *out, const char *text);

#endif

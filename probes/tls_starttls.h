/*
 * tls_starttls: the words before TLS in the protocols that begin in clear text. Pure.
 *
 *   starttls_init -> send what is in out -> starttls_feed while MORE, sending out each time -> starttls_fini
 *
 * Sources: RFC 3207 (SMTP), RFC 9051 section 6.2.1 (IMAP), RFC 4511 section 4.14 (LDAP), PostgreSQL's SSLRequest. A server that
 * says more after it has agreed, before TLS has begun, is refused: such bytes would count as protected (CVE-2021-23222).
 * Limits: STARTTLS_MAX bytes of a dialogue.
 */
#ifndef PROBES_TLS_STARTTLS_H
#define PROBES_TLS_STARTTLS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

#define STARTTLS_MAX 16384

/* In the order of the words of the option. */
enum starttls_kind { STARTTLS_NONE, STARTTLS_SMTP, STARTTLS_IMAP, STARTTLS_LDAP, STARTTLS_POSTGRES };
enum starttls_step { STARTTLS_MORE, STARTTLS_READY, STARTTLS_FAILED };

struct starttls {
	enum starttls_kind kind;
	unsigned turn;   /* what was said by us */
	bool is_offered;
	size_t total;
	struct buf in, out;
	char words[200]; /* why it failed */
};

void starttls_init(struct starttls *, enum starttls_kind);
void starttls_fini(struct starttls *);
enum starttls_step starttls_feed(struct starttls *, const void *data, size_t len);
const char *starttls_name(enum starttls_kind); /* "SMTP" */
unsigned starttls_port(enum starttls_kind);    /* 443 for STARTTLS_NONE */

#endif

/*
 * certificate: what the certificate of a TLS server is worth: chain, name, days left. Judged inside the handshake, so that a
 * bad one is seen as well as a good one, and with stores of trusted roots that are loaded once, not for each connection.
 *
 *   certificate_stores_new -> certificate_store -> certificate_watch on each SSL_CTX -> ... -> certificate_stores_free
 *
 * A file that changed is loaded again within five minutes, a root that left the system's folder is forgotten as soon.
 * Thread: the loop's. Days are told by the wall clock of this host.
 */
#ifndef PROBES_CERTIFICATE_H
#define PROBES_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct certificate_stores;
struct asn1_string_st;
struct err;
struct ssl_ctx_st;
struct stack_st_X509;
struct x509_st;
struct x509_store_st;

/* What is asked of a connection, and what was seen; the caller's, and stays until the handshake has ended. */
struct certificate {
	const char *host;  /* the name or address it must be for */
	bool verify;       /* false: any certificate passes, and is judged all the same */
	bool seen;
	double days;       /* left of the leaf; below 0: ended */
	char words[256];   /* what is wrong with it: "certificate expired on 2026-01-31"; "" nothing */
};

struct certificate_stores *certificate_stores_new(void);
void certificate_stores_free(struct certificate_stores *); /* accepts NULL */
/* The roots of a PEM file, "" for those of the system. Borrowed until the next call. now: clock_mono(). NULL with err. */
struct x509_store_st *certificate_store(struct certificate_stores *, const char *ca, int64_t now, struct err *);
/* Makes the context judge the server by store and certificate. Takes no ownership (counts a reference of the store). */
void certificate_watch(struct ssl_ctx_st *, struct x509_store_st *, struct certificate *);
/* The same of a leaf and what came with it, outside a handshake of OpenSSL. others may be NULL. */
void certificate_judge(struct x509_store_st *, struct x509_st *leaf, struct stack_st_X509 *others, struct certificate *);

/* Days from now to a moment; 0, or -1 when it is not readable. */
int certificate_days(const struct asn1_string_st *moment, double *days);
void certificate_format_day(const struct asn1_string_st *moment, char out[16]); /* "2026-01-31" */
/* Whether its key is on the curve of SM2 (GB/T 32918, OID 1.2.156.10197.1.301). Needs no support of it by OpenSSL. */
bool certificate_is_sm2(const struct x509_st *);
/* "portal.gov.example, from Some CA": common names, or what else names them. */
void certificate_format_names(struct x509_st *, char *out, size_t room);
/* "portal.gov.example, www.gov.example": the names of the DNS that it is for, as many as there is room for. Outside text. */
void certificate_list_names(struct x509_st *, char *out, size_t room);

#endif

/*
 * tls_packet: a ClientHello as bytes, and what a server says to it until it waits for the client. Pure.
 *
 * Enough to see whether a server agrees to a version and a suite, and which certificates it shows before encryption begins,
 * without a cryptographic library: what is asked for does not depend on what our own library can or may do.
 * Sources: RFC 2246, 4346, 5246 (TLS 1.0 to 1.2), RFC 8446 (1.3), GB/T 38636 (TLCP: version 0x0101, the signing certificate
 * first, then that of encryption).
 *
 *   tls_hello_encode; tls_flight_init -> tls_flight_feed while MORE -> what the struct says -> tls_flight_fini
 *
 * Agreed is: up to 1.2 and TLCP a ServerHello of just the version asked for and all up to ServerHelloDone, 1.3 the ServerHello
 * (or HelloRetryRequest). Limits: a flight of TLS_FLIGHT_MAX bytes, TLS_CERTIFICATES_MAX certificates.
 */
#ifndef PROBES_TLS_PACKET_H
#define PROBES_TLS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

#define TLS_FLIGHT_MAX (256u << 10)
#define TLS_CERTIFICATES_MAX 16

enum { TLS_V_TLCP = 0x0101, TLS_V_1_0 = 0x0301, TLS_V_1_1, TLS_V_1_2, TLS_V_1_3 };

struct tls_hello {
	uint16_t version;
	const char *server_name; /* "" none */
	const uint16_t *suites;
	size_t suites_count;     /* at most TLS_SUITES_MAX */
	uint8_t random[96];      /* of the caller: random, session id, key share */
};

void tls_hello_encode(const struct tls_hello *, struct buf *out);

enum tls_flight_step { TLS_FLIGHT_MORE, TLS_FLIGHT_AGREED, TLS_FLIGHT_REFUSED };

struct tls_flight {
	uint16_t asked;
	bool has_hello;
	uint16_t version, suite; /* of the ServerHello */
	size_t certificates_count;
	struct {
		size_t at, len; /* in messages */
	} certificates[TLS_CERTIFICATES_MAX];
	char words[100];         /* why it is refused: "alert: handshake failure" */
	/* own: */
	size_t total, read;
	struct buf record, messages;
};

void tls_flight_init(struct tls_flight *, uint16_t asked);
void tls_flight_fini(struct tls_flight *);
/* Bytes as they come in, cut anywhere. Not after another answer than MORE. */
enum tls_flight_step tls_flight_feed(struct tls_flight *, const void *data, size_t len);
/* DER of a certificate, borrowed. */
const uint8_t *tls_flight_certificate(const struct tls_flight *, size_t i, size_t *len);

/* "TLS 1.2", "TLCP". */
const char *tls_version_name(uint16_t version);
/* "handshake failure"; "alert 99" in the caller's room when it has no name. */
const char *tls_alert_name(unsigned alert, char room[16]);

#endif

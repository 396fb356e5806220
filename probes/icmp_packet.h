/*
 * icmp_packet: echo requests as bytes, and what comes back. Pure.
 *
 * Sources: RFC 792 (ICMP), RFC 4443 (ICMPv6). An echo names its round by a slot number and a random
 * nonce in the first 16 bytes of its payload, so that a reply that was not caused by us is known as
 * foreign whatever its identifier. Errors quote the head of our request: at least 8 bytes behind
 * the IP header (RFC 792), which carry slot and index only; nonce is 0 then.
 */
#ifndef PROBES_ICMP_PACKET_H
#define PROBES_ICMP_PACKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

#define ICMP_PACKET_NAME 16                     /* bytes of payload that name the echo */
#define ICMP_PACKET_HEAD (8 + ICMP_PACKET_NAME) /* what is not zeros in a request */

struct icmp_packet_name {
	uint64_t nonce; /* of the round, never 0 */
	uint16_t slot;  /* of the round; also the identifier (a datagram socket sets that itself) */
	uint16_t index; /* of the echo in its round; also the sequence number */
};

enum icmp_packet_kind {
	ICMP_PACKET_FOREIGN, /* not for us, or not understood */
	ICMP_PACKET_REPLY,
	ICMP_PACKET_ERROR, /* somebody on the way says that a request of ours got no further */
};

struct icmp_packet {
	enum icmp_packet_kind kind;
	struct icmp_packet_name name; /* of an error: nonce 0 when too little was quoted */
	int ttl;                      /* IPv4 with its header; -1: see the control message */
	uint8_t type, code;           /* of an error */
	uint32_t mtu;                 /* of "too big", else 0 */
	uint8_t target[16];           /* of an error: where our request was going; 4 or 16 bytes */
};

/* The first ICMP_PACKET_HEAD bytes of a request whose rest is zeros; the IPv4 checksum is in it,
 * that of ICMPv6 is the kernel's affair. */
void icmp_packet_encode(enum family, const struct icmp_packet_name *, uint8_t out[ICMP_PACKET_HEAD]);
/* Puts two bytes behind such a head that make the checksum the same for all packets, so that routers that share load by
 * it (the first four bytes behind the IP header) treat all as one flow. */
#define ICMP_PACKET_LEVEL 2
void icmp_packet_level(enum family, uint8_t out[ICMP_PACKET_HEAD + ICMP_PACKET_LEVEL]);
/* A packet as a socket hands it out: with its IPv4 header when with_header, IPv6 never has one.
 * Bytes may be cut short at any place. */
void icmp_packet_decode(enum family, bool with_header, const void *data, size_t len,
	struct icmp_packet *out);
/* The same address, whatever the port. */
bool icmp_packet_same_address(const struct sockaddr *, const struct sockaddr *);
/* Whether an error is about a request of this nonce to that address. One that quotes too little to name the nonce must at
 * least name the way the request took. */
bool icmp_packet_is_about(const struct icmp_packet *, uint64_t nonce, const struct sockaddr *to);
/* The words of an error: "host unreachable"; static text. */
const char *icmp_packet_error_words(enum family, uint8_t type, uint8_t code);

#endif

/*
 * dns_packet: queries of the DNS as bytes, and the messages that come back. Pure.
 *
 * Sources: RFC 1035 section 4.1 (message, compression), RFC 6891 (EDNS0), RFC 4035 section 3.2 (DO, AD), RFC 8914
 * (extended errors). A message comes from outside: a name's pointers only lead back, so that it ends; a count that the bytes
 * do not hold is an error; nothing is read outside. A truncated message may end anywhere: decode its head alone.
 *
 *   dns_message_head -> is it ours? -> dns_message_records -> dns_message_follow -> dns_answer_next ...
 */
#ifndef PROBES_DNS_PACKET_H
#define PROBES_DNS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/dns_name.h"

#define DNS_QUERY_MAX (12 + DNS_NAME_MAX + 4 + 11)
#define DNS_UDP_SIZE 1232 /* that we offer to take: fits IPv6's smallest MTU */

struct buf;
struct err;

struct dns_query {
	uint16_t id, type;
	const uint8_t *name; /* on the wire, whose letters may be of any case */
	size_t name_len;
	bool recursion, edns, dnssec_ok; /* dnssec_ok asks for signatures and needs edns */
};
size_t dns_query_encode(const struct dns_query *, uint8_t out[DNS_QUERY_MAX]);

struct dns_message {
	const uint8_t *data; /* borrowed */
	size_t len;
	uint16_t id;
	bool is_response, authoritative, truncated, recursion_available, authentic;
	unsigned opcode, rcode; /* rcode with the upper bits of EDNS once the records are decoded */
	unsigned questions, answers, authorities, additionals;
	uint8_t name[DNS_NAME_MAX]; /* of the only question; length 0 when there is none */
	size_t name_len;
	unsigned type, class;
	/* of dns_message_records */
	size_t answers_at;
	bool has_edns;
	int error;     /* extended error, or -1 */
	bool referral; /* the authority section names other servers (NS) and no SOA */
};

/* Header and question. -1 with words: no message of the DNS, or one with more than one question. */
int dns_message_head(const void *data, size_t len, struct dns_message *, struct err *);
/* Walks all records behind the head. -1 with words. */
int dns_message_records(struct dns_message *, struct err *);

/* What an answer section holds of a name and type, behind aliases. */
struct dns_answers {
	uint8_t name[DNS_NAME_MAX]; /* where the aliases lead */
	size_t name_len;
	unsigned aliases;
	unsigned count;    /* records of the type at that name */
	uint32_t ttl;      /* the smallest of them and of the aliases; 0 without any */
	bool has_signature; /* an RRSIG over the type is at that name */
};
/* Follows CNAMEs (at most 16). ANY counts all records of the name. */
void dns_message_follow(const struct dns_message *, unsigned type, struct dns_answers *);

struct dns_record {
	uint8_t name[DNS_NAME_MAX];
	size_t name_len;
	unsigned type, class;
	uint32_t ttl;
	size_t at, len; /* of its data in the message */
};
struct dns_walk {
	size_t at;
	unsigned left;
};
/* The records that dns_message_follow counted, one after the other. Start with a walk of {0}. */
bool dns_answer_next(const struct dns_message *, const struct dns_answers *, unsigned type, struct dns_walk *,
	struct dns_record *);
/* Its data as a zone file has it, appended: names without the last dot and in small letters, TXT as its bytes joined. What is
 * not known or damaged is "\# LENGTH HEX" (RFC 3597 section 5). */
void dns_record_text(const struct dns_message *, const struct dns_record *, struct buf *out);

#endif

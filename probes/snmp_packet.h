/*
 * snmp_packet: requests of SNMP v2c as bytes, and answers from bytes (RFC 1901, RFC 3416, RFC 2578 section 7.1). Pure.
 *
 *   snmp_packet_encode -> the datagram; the answer: snmp_packet_decode -> snmp_packet_next ... until 0
 *
 * Answers are looked at as a whole before a varbind is given, so that of one that is no answer nothing is taken.
 */
#ifndef PROBES_SNMP_PACKET_H
#define PROBES_SNMP_PACKET_H

#include <stdint.h>

#include "lib/buf.h"
#include "probes/snmp_table.h"

struct snmp_request;

/* id: below 2^31; repetitions: those of the request, or less. The buffer is cleared first. */
void snmp_packet_encode(struct buf *out, const char *community, uint32_t id, unsigned repetitions,
	const struct snmp_request *);

struct snmp_packet {
	long status, index; /* RFC 3416 section 3 */
	struct cursor varbinds;
};

/* -1: it does not answer the request of that id. */
int snmp_packet_decode(const uint8_t *data, size_t len, uint32_t id, struct snmp_packet *);
/* 1: a varbind, whose text is borrowed; a name is cut at SNMP_OID_MAX. 0: there are no more. */
int snmp_packet_next(struct snmp_packet *, struct snmp_oid *, struct snmp_value *);

#endif

/*
 * trap_packet: what an SNMP notification is about, from its bytes. Pure.
 *
 * Only kinds come of it: its texts and numbers are hostile and nobody needs them, as a notification is no state, only a reason to
 * look. Read are Traps of v1, Traps and Informs of v2c (RFC 1157, 3416); of v3 (RFC 3412) that something is a Trap, as what is
 * in it is sealed with a key of its sender's, or speaks to our own engine.
 */
#ifndef AGENT_TRAP_PACKET_H
#define AGENT_TRAP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trap_kind {
	TRAP_NONE,    /* no notification */
	TRAP_OTHER,   /* one of something else */
	TRAP_START,   /* coldStart, warmStart */
	TRAP_LINK,    /* linkDown, linkUp */
	TRAP_UPS,     /* of UPS-MIB: on battery, an alarm came or went */
	TRAP_SEALED,  /* of v3 */
	TRAP_ENGINE,  /* of v3, and wants an answer: for trap_usm.h */
};

struct trap_packet {
	enum trap_kind kind;
	size_t inform_at; /* of an Inform: where the byte is that makes the same packet its answer; 0: it wants none */
};

#define TRAP_RESPONSE 0xa2 /* that byte (RFC 3416 section 4.2.7: the answer has the same request-id and varbinds) */

/* What a PDU of v2c or v3 is about, from what is in it. */
struct cursor;
enum trap_kind trap_packet_kind(struct cursor *pdu);

struct trap_packet trap_packet_decode(const uint8_t *data, size_t len);

#endif

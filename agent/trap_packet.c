#include "agent/trap_packet.h"

#include <string.h>

#include "agent/trap_ber.h"
#include "lib/buf.h"

enum { PDU_TRAP_V1 = 0xa4, PDU_INFORM = 0xa6, PDU_TRAP = 0xa7 };
enum { VERSION_1 = 0, VERSION_2C = 1, VERSION_3 = 3 };
#define ENTERPRISE_SPECIFIC 6
#define REPORTABLE 0x04 /* of msgFlags: what wants an answer */

static bool is_bytes(const struct cursor *c, const void *bytes, size_t len)
{
	return cursor_left(c) == len && memcmp(c->at, bytes, len) == 0;
}

/* upsTraps (RFC 1628) */
static const uint8_t ups[] = {0x2b, 6, 1, 2, 1, 33, 2};

/* The second varbind is snmpTrapOID.0 (RFC 3416 section 4.2.6). */
enum trap_kind trap_packet_kind(struct cursor *pdu)
{
	static const uint8_t trap_oid[] = {0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0}, standard[] = {0x2b, 6, 1, 6, 3, 1, 1, 5};
	struct cursor all, second, name, value;

	for (int i = 0; i < 3; i++) /* request-id, error-status, error-index */
		trap_ber_enter(pdu, BER_INTEGER);
	all = trap_ber_enter(pdu, BER_SEQUENCE);
	trap_ber_enter(&all, BER_SEQUENCE);
	second = trap_ber_enter(&all, BER_SEQUENCE);
	name = trap_ber_enter(&second, BER_OID);
	value = trap_ber_enter(&second, BER_OID);
	if (pdu->failed || all.failed || second.failed || !is_bytes(&name, trap_oid, sizeof trap_oid))
		return TRAP_NONE;
	if (cursor_left(&value) > sizeof ups && memcmp(value.at, ups, sizeof ups) == 0)
		return TRAP_UPS;
	if (cursor_left(&value) != sizeof standard + 1 || memcmp(value.at, standard, sizeof standard) != 0)
		return TRAP_OTHER;
	switch (value.at[sizeof standard]) {
	case 1:
	case 2:
		return TRAP_START;
	case 3:
	case 4:
		return TRAP_LINK;
	default:
		return TRAP_OTHER;
	}
}

/* RFC 1157 section 4.1.6; what is of an enterprise has the rest of its name there (RFC 3584 section 3.1). */
static enum trap_kind kind_of_v1(struct cursor *pdu)
{
	struct cursor enterprise = trap_ber_enter(pdu, BER_OID);
	int64_t generic;

	trap_ber_enter(pdu, BER_ADDRESS);
	generic = trap_ber_number(pdu);
	if (pdu->failed || generic < 0)
		return TRAP_NONE;
	if (generic == ENTERPRISE_SPECIFIC && is_bytes(&enterprise, ups, sizeof ups))
		return TRAP_UPS;
	return generic <= 1 ? TRAP_START : generic <= 3 ? TRAP_LINK : TRAP_OTHER;
}

static enum trap_kind kind_of_v3(struct cursor *message)
{
	struct cursor head = trap_ber_enter(message, BER_SEQUENCE), flags;

	trap_ber_enter(&head, BER_INTEGER);
	trap_ber_enter(&head, BER_INTEGER);
	flags = trap_ber_enter(&head, BER_OCTETS);
	if (message->failed || head.failed || cursor_left(&flags) != 1)
		return TRAP_NONE;
	return (*flags.at & REPORTABLE) == 0 ? TRAP_SEALED : TRAP_ENGINE;
}

struct trap_packet trap_packet_decode(const uint8_t *data, size_t len)
{
	struct cursor whole = cursor_over(data, len), message = trap_ber_enter(&whole, BER_SEQUENCE), pdu;
	struct trap_packet out = {TRAP_NONE, 0};
	int64_t version = trap_ber_number(&message);
	uint8_t tag;

	if (version == VERSION_3)
		out.kind = kind_of_v3(&message);
	if (version != VERSION_1 && version != VERSION_2C)
		return out;
	trap_ber_enter(&message, BER_OCTETS); /* the community, which proves nothing */
	if (message.failed || cursor_left(&message) == 0)
		return out;
	tag = *message.at;
	if (tag != (version == VERSION_1 ? PDU_TRAP_V1 : PDU_TRAP) && (version == VERSION_1 || tag != PDU_INFORM))
		return out;
	out.inform_at = tag == PDU_INFORM ? (size_t)(message.at - data) : 0;
	pdu = trap_ber_enter(&message, tag);
	if (message.failed)
		return (struct trap_packet){TRAP_NONE, 0};
	out.kind = version == VERSION_1 ? kind_of_v1(&pdu) : trap_packet_kind(&pdu);
	if (out.kind == TRAP_NONE)
		out.inform_at = 0;
	return out;
}

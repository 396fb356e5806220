/*
 * trap_ber: the few elements of ASN.1 BER that notifications and their answers are made of. Pure.
 *
 * Readers go over a cursor, whose failure sticks; writers add to a buffer. Lengths of up to two bytes: a datagram.
 */
#ifndef AGENT_TRAP_BER_H
#define AGENT_TRAP_BER_H

#include <stdint.h>

#include "lib/buf.h"

enum { BER_INTEGER = 0x02, BER_OCTETS = 0x04, BER_OID = 0x06, BER_SEQUENCE = 0x30, BER_ADDRESS = 0x40, BER_COUNTER = 0x41 };

/* What one element has in it, of the wanted tag; else the cursor has failed. */
struct cursor trap_ber_enter(struct cursor *, uint8_t tag);
/* A number from 0 to 2^31 - 1, or -1. */
int64_t trap_ber_number(struct cursor *);
void trap_ber_put(struct buf *, uint8_t tag, const void *data, size_t len);
void trap_ber_put_number(struct buf *, uint8_t tag, uint32_t number); /* below 2^31 */

#endif

/*
 * inform: notices as SNMPv3 informs (RFC 3416, 4.2.7), signed and encrypted; taken when the receiver has confirmed it. The objects are
 * those of conf/XUNJIAN-MIB.txt below 1.3.6.1.4.1.<enterprise>: its module identity.
 *
 * The receiver's engine is the authoritative one and is asked for first, so that nothing of SNMP is kept here between two
 * starts. A datagram may get lost: silence is asked again each INFORM_RETRY while the send lasts, so that a receiver whose
 * confirmation got lost sees the same key twice.
 * Thread: the loop's. Limit: texts are cut so that a message stays about as long as an Ethernet frame.
 */
#ifndef COLLECTOR_NOTICE_INFORM_H
#define COLLECTOR_NOTICE_INFORM_H

#include <stddef.h>
#include <stdint.h>

#define INFORM_TEXT_MAX 480
#define INFORM_LINE_MAX 160
#define INFORM_RETRY_S 5

/* Numbers below xunjianObjects; permanent. */
enum { INFORM_KEY = 1, INFORM_KIND, INFORM_INCIDENT, INFORM_SUBJECT, INFORM_STATE, INFORM_SEVERITY, INFORM_UNIT, INFORM_CAUSE,
	INFORM_SINCE, INFORM_TITLE, INFORM_TEXT, INFORM_COLLECTOR, INFORM_END };

struct facts;
struct roster_channel;
struct snmp_binding;
struct snmp_inform;

/* Fills bindings (INFORM_END - 1 of them) and says what is borrowed of facts; since: 11 bytes. Pure. */
void inform_write(const struct roster_channel *, const struct facts *, int64_t uptime, struct snmp_binding *bindings,
	uint8_t since[11], struct snmp_inform *);

#endif

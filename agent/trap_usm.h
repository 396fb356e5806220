/*
 * trap_usm: our SNMPv3 engine, which Informs are sent to: it says who it is, proves who sends, opens what he says and answers
 * (RFC 3412, RFC 3414; RFC 7860 for SHA-2, RFC 3826 for AES).
 *
 *   trap_usm_new -> trap_usm_set_users -> { trap_usm_take -> perhaps an answer } ... -> trap_usm_free
 *
 * The id of the engine is made of the agent's: the same after every start, on a new disk as well. How often it was started is the
 * caller's to know (trap_boots.h). Users are those that devices are asked with, each at just the level that it has there.
 * What a wire kept can be sent again for 150 s, the window of RFC 3414: within it a message that was heard moves nothing.
 * No clock, file or socket; random numbers for encryption. Thread: the loop's. Limit: TRAP_USM_RECENT messages are remembered.
 */
#ifndef AGENT_TRAP_USM_H
#define AGENT_TRAP_USM_H

#include <stddef.h>
#include <stdint.h>

#include "agent/trap_packet.h"

#define TRAP_USM_RECENT 1024

struct buf;
struct credentials;
struct trap_usm;

enum trap_usm_end {
	TRAP_USM_NONE,   /* no message, forged, or not for us: no answer */
	TRAP_USM_REPORT, /* somebody asks who we are, or has something wrong; nothing was said */
	TRAP_USM_TAKEN,
	TRAP_USM_AGAIN,  /* one that was taken before: answered, since its sender may not have heard, and nothing more */
};

struct trap_usm_said {
	enum trap_usm_end end;
	enum trap_kind kind; /* of one that was taken */
};

/* agent: its id. boots: from 1 on. start: on the clock of trap_usm_take, ns. */
struct trap_usm *trap_usm_new(const char *agent, uint32_t boots, int64_t start);
void trap_usm_free(struct trap_usm *); /* accepts NULL */
void trap_usm_set_users(struct trap_usm *, const struct credentials *); /* copied */
/* A datagram of SNMPv3 that wants an answer. The answer is put into a buffer that is empty. */
struct trap_usm_said trap_usm_take(struct trap_usm *, const uint8_t *data, size_t len, int64_t now, struct buf *answer);

#endif

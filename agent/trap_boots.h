/*
 * trap_boots: how often our SNMPv3 engine was started (snmpEngineBoots, RFC 3414 section 2.2): it never goes back, as those
 * who know a higher number would not believe a lower one. One more than what the state folder keeps; and where that was lost,
 * the minutes since 2024, which no engine has been started as often as.
 */
#ifndef AGENT_TRAP_BOOTS_H
#define AGENT_TRAP_BOOTS_H

#include <stdint.h>

struct err;

/* real: now, UTC. The number is kept before it is used. -1 with err: it cannot be kept; it is to be used all the same. */
int trap_boots_next(const char *state, int64_t real, uint32_t *boots, struct err *);

#endif

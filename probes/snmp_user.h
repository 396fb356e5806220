/*
 * snmp_user: who we are to devices of SNMPv3: keys of passwords, and users as libnetsnmp keeps them.
 *
 *   snmp_users_new (with the library) -> { snmp_user_take -> snmp_user_fill -> the engine of the device is found ->
 *   snmp_user_become -> snmp_user_leave } ... -> snmp_users_free
 *
 * The library keeps one user per engine and name; those who talk share it. A password is made a key once: a megabyte is hashed
 * for it (RFC 3414 section A.2).
 */
#ifndef PROBES_SNMP_USER_H
#define PROBES_SNMP_USER_H

#include <stdbool.h>

#include "probes/snmp_library.h"

struct credential;
struct snmp_users;

struct snmp_key {
	size_t len;
	u_char bytes[USM_AUTH_KU_LEN];
};

struct snmp_user {
	char name[33], *key; /* key: of the engine and name, once it has become one */
	int level;           /* SNMP_SEC_LEVEL_... */
	struct snmp_key auth, priv;
	const oid *auth_protocol, *priv_protocol;
	size_t auth_protocol_len, priv_protocol_len;
};

struct snmp_users *snmp_users_new(const struct snmp_library *); /* borrowed */
void snmp_users_free(struct snmp_users *);                      /* accepts NULL */
void snmp_user_take(struct snmp_users *, struct snmp_user *, const struct credential *);
void snmp_user_fill(const struct snmp_user *, netsnmp_session *); /* borrowed by it */
bool snmp_user_become(struct snmp_users *, struct snmp_user *, netsnmp_session *);
void snmp_user_leave(struct snmp_users *, struct snmp_user *, const netsnmp_session *); /* also of one that never became one */
/* The library believes the highest count of boots that it ever saw, so that a device that was set back, or that has the engine
 * of another one, would not be heard until the agent is started again. Each run learns the clock anew, by one Report more: a
 * replay gains nothing, as an answer must have the numbers of the request. Not free_enginetime, which frees those of others. */
void snmp_users_forget_clock(struct snmp_users *, const netsnmp_session *);

#endif

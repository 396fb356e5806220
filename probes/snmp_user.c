#include "probes/snmp_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"
#include "probes/credentials.h"

/* A user in the library. */
struct shared {
	unsigned count; /* of those who talk as it */
	struct snmp_key auth, priv;
};

struct snmp_users {
	const struct snmp_library *lib;
	struct map *keys;   /* of struct snmp_key, by how and from what they are made */
	struct map *shared; /* of struct shared, by engine and name */
};

/* ---- what keys are made of */

static const oid auth_protocols[][10] = {[CREDENTIAL_SHA1] = {1, 3, 6, 1, 6, 3, 10, 1, 1, 3},
	[CREDENTIAL_SHA224] = {1, 3, 6, 1, 6, 3, 10, 1, 1, 4}, [CREDENTIAL_SHA256] = {1, 3, 6, 1, 6, 3, 10, 1, 1, 5},
	[CREDENTIAL_SHA384] = {1, 3, 6, 1, 6, 3, 10, 1, 1, 6}, [CREDENTIAL_SHA512] = {1, 3, 6, 1, 6, 3, 10, 1, 1, 7}};
/* RFC 3826, and what all use for longer keys: draft-blumenthal-aes-usm-04 */
static const oid aes128[] = {1, 3, 6, 1, 6, 3, 10, 1, 2, 4}, aes192[] = {1, 3, 6, 1, 4, 1, 14832, 1, 3},
	aes256[] = {1, 3, 6, 1, 4, 1, 14832, 1, 4};

static struct snmp_key key_of(struct snmp_users *users, int auth, const char *password)
{
	char *name = mem_format("%d %s", auth, password);
	struct snmp_key *k = map_find(users->keys, name);

	if (k == NULL) {
		k = mem_alloc(sizeof *k);
		k->len = sizeof k->bytes;
		if (users->lib->generate_Ku(auth_protocols[auth], 10, (const u_char *)password, strlen(password), k->bytes,
			&k->len) != SNMPERR_SUCCESS)
			k->len = 0;
		map_set(users->keys, name, k);
	}
	free(name);
	return *k;
}

void snmp_user_take(struct snmp_users *users, struct snmp_user *u, const struct credential *c)
{
	static const struct {
		const oid *name;
		size_t len;
	} privs[] = {[CREDENTIAL_AES128] = {aes128, OID_LENGTH(aes128)}, [CREDENTIAL_AES192] = {aes192, OID_LENGTH(aes192)},
		[CREDENTIAL_AES256] = {aes256, OID_LENGTH(aes256)}};

	snprintf(u->name, sizeof u->name, "%s", c->user);
	u->level = SNMP_SEC_LEVEL_NOAUTH;
	if (c->auth == CREDENTIAL_AUTH_NONE)
		return;
	u->level = SNMP_SEC_LEVEL_AUTHNOPRIV;
	u->auth_protocol = auth_protocols[c->auth];
	u->auth_protocol_len = 10;
	u->auth = key_of(users, c->auth, c->auth_password);
	if (c->priv == CREDENTIAL_PRIV_NONE)
		return;
	u->level = SNMP_SEC_LEVEL_AUTHPRIV;
	u->priv_protocol = privs[c->priv].name;
	u->priv_protocol_len = privs[c->priv].len;
	u->priv = key_of(users, c->auth, c->priv_password);
}

/* ---- users in the library */

static void forget_user(struct snmp_users *users, const netsnmp_session *s, const char *name)
{
	struct usmUser *u = users->lib->usm_get_user(s->securityEngineID, s->securityEngineIDLen, name);

	if (u == NULL)
		return;
	users->lib->usm_remove_user(u);
	users->lib->usm_free_user(u);
}

static char *user_key(const netsnmp_session *s, const char *name)
{
	char hex[2 * 64 + 1] = "";

	for (size_t i = 0; i < s->securityEngineIDLen && i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02x", s->securityEngineID[i]);
	return mem_format("%s %s", hex, name);
}

/* Of two credentials with one name for one engine the later one holds. */
bool snmp_user_become(struct snmp_users *users, struct snmp_user *u, netsnmp_session *s)
{
	struct shared *all;

	u->key = user_key(s, u->name);
	all = map_find(users->shared, u->key);
	if (all == NULL) {
		all = mem_alloc(sizeof *all);
		map_set(users->shared, u->key, all);
	}
	if (all->count == 0 || memcmp(&all->auth, &u->auth, sizeof u->auth) != 0 || memcmp(&all->priv, &u->priv, sizeof u->priv) != 0)
		forget_user(users, s, u->name);
	all->count++;
	all->auth = u->auth;
	all->priv = u->priv;
	return users->lib->usm_create_user_from_session(s) == SNMPERR_SUCCESS;
}

void snmp_users_forget_clock(struct snmp_users *users, const netsnmp_session *s)
{
	users->lib->set_enginetime(s->securityEngineID, (u_int)s->securityEngineIDLen, 0, 0, 1);
}

void snmp_user_leave(struct snmp_users *users, struct snmp_user *u, const netsnmp_session *s)
{
	struct shared *all;

	if (u->key == NULL)
		return;
	all = map_find(users->shared, u->key);
	if (--all->count == 0) {
		forget_user(users, s, u->name);
		snmp_users_forget_clock(users, s);
		map_remove(users->shared, u->key);
		free(all);
	}
	free(u->key);
	u->key = NULL;
}

void snmp_user_fill(const struct snmp_user *u, netsnmp_session *s)
{
	s->securityLevel = u->level;
	s->securityName = (char *)u->name;
	s->securityNameLen = strlen(u->name);
	s->securityAuthProto = (oid *)u->auth_protocol;
	s->securityAuthProtoLen = u->auth_protocol_len;
	memcpy(s->securityAuthKey, u->auth.bytes, u->auth.len);
	s->securityAuthKeyLen = u->auth.len;
	s->securityPrivProto = (oid *)u->priv_protocol;
	s->securityPrivProtoLen = u->priv_protocol_len;
	memcpy(s->securityPrivKey, u->priv.bytes, u->priv.len < sizeof s->securityPrivKey ? u->priv.len
		: sizeof s->securityPrivKey);
	s->securityPrivKeyLen = u->priv.len < sizeof s->securityPrivKey ? u->priv.len : sizeof s->securityPrivKey;
}

struct snmp_users *snmp_users_new(const struct snmp_library *lib)
{
	struct snmp_users *users = mem_alloc(sizeof *users);

	users->lib = lib;
	users->keys = map_new();
	users->shared = map_new();
	return users;
}

void snmp_users_free(struct snmp_users *users)
{
	if (users == NULL)
		return;
	map_free(users->keys, free);
	map_free(users->shared, free);
	free(users);
}

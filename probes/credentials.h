/*
 * credentials: what an agent proves itself with to devices: a file of its own, so that no secret is in an inventory, on the
 * wire or in a log. Checks name an entry by its id.
 *
 *   credentials = (
 *     { id = "core"; user = "monitor"; auth = "sha256"; auth_password = "..."; priv = "aes128"; priv_password = "..."; },
 *     { id = "old";  community = "..."; },
 *     { id = "portal"; secret = "..."; hosts = [ "portal.gov.example" ]; }
 *   );
 *
 * With a user it is one of SNMPv3, with a community one of v2c, with a secret one of the steps of an http check.
 */
#ifndef PROBES_CREDENTIALS_H
#define PROBES_CREDENTIALS_H

#include "lib/config.h"

/* In the order of their words. */
enum credential_auth { CREDENTIAL_AUTH_NONE, CREDENTIAL_SHA1, CREDENTIAL_SHA224, CREDENTIAL_SHA256, CREDENTIAL_SHA384,
	CREDENTIAL_SHA512 };
enum credential_priv { CREDENTIAL_PRIV_NONE, CREDENTIAL_AES128, CREDENTIAL_AES192, CREDENTIAL_AES256 };

struct credential {
	const char *id, *community, *user;
	int auth, priv;
	const char *auth_password, *priv_password;
	const char *secret;
	struct config_texts hosts; /* that the secret may be sent to; none: any that a check names */
	struct config_where where;
};

struct credentials {
	struct config_list list; /* of struct credential */
};

extern const struct config_schema credentials_schema; /* of the file, for the manual */

/* Into the arena. A file that others than its owner can read is refused. */
int credentials_load(const char *path, struct arena *, struct credentials *, struct err *);
const struct credential *credentials_find(const struct credentials *, const char *id); /* or NULL */

#endif

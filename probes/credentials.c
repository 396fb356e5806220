#include "probes/credentials.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/err.h"

#define AT(member) offsetof(struct credential, member)
#define PASSWORD_MIN 8 /* RFC 3414 section 11.2 */
#define OTHERS (S_IRWXG | S_IRWXO)

static const struct config_field credential_fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = AT(id), .help = "what checks call it"},
	{.name = "community", .kind = CONFIG_TEXT, .offset = AT(community), .fallback = "", .max = 255,
		.help = "community of SNMP v2c"},
	{.name = "user", .kind = CONFIG_TEXT, .offset = AT(user), .fallback = "", .max = 32,
		.help = "user name of SNMPv3"},
	{.name = "auth", .kind = CONFIG_CHOICE, .offset = AT(auth), .fallback = "sha256",
		.choices = "none|sha1|sha224|sha256|sha384|sha512", .help = "how the user is proved"},
	{.name = "auth_password", .kind = CONFIG_TEXT, .offset = AT(auth_password), .fallback = "", .max = 255,
		.help = "its password, of 8 bytes or more"},
	{.name = "priv", .kind = CONFIG_CHOICE, .offset = AT(priv), .fallback = "aes128",
		.choices = "none|aes128|aes192|aes256", .help = "how it is kept secret"},
	{.name = "priv_password", .kind = CONFIG_TEXT, .offset = AT(priv_password), .fallback = "", .max = 255,
		.help = "its password, of 8 bytes or more; not given: that of auth"},
	{.name = "secret", .kind = CONFIG_TEXT, .offset = AT(secret), .fallback = "", .max = 4000,
		.help = "what steps of http checks send where ${secret:id} stands: a password, a token"},
	{.name = "hosts", .kind = CONFIG_TEXTS, .offset = AT(hosts), .fallback = "", .max = 32,
		.help = "hosts that the secret may be sent to; not given: to any that a check names"},
	{.name = NULL},
};
static const struct config_schema credential_schema = {sizeof(struct credential), credential_fields, AT(where)};

static const struct config_field fields[] = {
	{.name = "credentials", .kind = CONFIG_LIST, .offset = offsetof(struct credentials, list), .fallback = "",
		.max = 10000, .sub = &credential_schema, .help = "users and communities"},
	{.name = NULL},
};
const struct config_schema credentials_schema = {sizeof(struct credentials), fields, -1};

/* The words never have a secret in them. */
static int check_user(struct credential *c, struct err *e)
{
	if (c->auth == CREDENTIAL_AUTH_NONE && c->priv != CREDENTIAL_PRIV_NONE)
		return config_error(&c->where, e, "credential \"%s\": priv needs auth", c->id);
	if (c->priv != CREDENTIAL_PRIV_NONE && *c->priv_password == '\0')
		c->priv_password = c->auth_password;
	if (c->auth != CREDENTIAL_AUTH_NONE && strlen(c->auth_password) < PASSWORD_MIN)
		return config_error(&c->where, e, "credential \"%s\": auth_password must have %d bytes or more", c->id,
			PASSWORD_MIN);
	if (c->priv != CREDENTIAL_PRIV_NONE && strlen(c->priv_password) < PASSWORD_MIN)
		return config_error(&c->where, e, "credential \"%s\": priv_password must have %d bytes or more", c->id,
			PASSWORD_MIN);
	return 0;
}

static int check_all(const struct credentials *all, struct err *e)
{
	struct credential *items = all->list.items;

	for (size_t i = 0; i < all->list.count; i++) {
		struct credential *c = &items[i];

		if (credentials_find(all, c->id) != c)
			return config_error(&c->where, e, "credential \"%s\" stands twice", c->id);
		if ((*c->user != '\0') + (*c->community != '\0') + (*c->secret != '\0') != 1)
			return config_error(&c->where, e, "credential \"%s\": give user, community or secret, one of them", c->id);
		if (c->hosts.count > 0 && *c->secret == '\0')
			return config_error(&c->where, e, "credential \"%s\": hosts stands beside secret alone", c->id);
		if (*c->user != '\0' && check_user(c, e) < 0)
			return -1;
	}
	return 0;
}

int credentials_load(const char *path, struct arena *a, struct credentials *out, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, "%s", path);
	if ((st.st_mode & OTHERS) != 0)
		return err_set(e, "%s: others than its owner can read it: chmod 600", path);
	if (config_load(path, &credentials_schema, a, out, e) < 0)
		return -1;
	return check_all(out, e);
}

const struct credential *credentials_find(const struct credentials *all, const char *id)
{
	const struct credential *items = all->list.items;

	for (size_t i = 0; i < all->list.count; i++) {
		if (strcmp(items[i].id, id) == 0)
			return &items[i];
	}
	return NULL;
}

#include "agent/trap_usm.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/trap_ber.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "probes/credentials.h"

#define VERSION 3
#define SECURITY_USM 3
#define WINDOW 150 /* s, RFC 3414 section 2.2.3 */
#define ENGINE_LEN 21
#define KEY_MAX 64 /* bytes that a hash has at most */
#define PRIV_KEY_MAX (2 * KEY_MAX)
#define SALT_LEN 8
#define PASSWORD_BYTES 1048576 /* RFC 3414 section A.2 */
#define MESSAGE_MAX 65507
#define HEARD_LEN 12 /* bytes of a digest that are remembered: the shortest there is */

enum { FLAG_AUTH = 1, FLAG_PRIV = 2, FLAG_REPORTABLE = 4 };
enum { PDU_INFORM = 0xa6, PDU_REPORT = 0xa8 };

/* The last number of their names below usmStats. */
enum { STAT_LEVEL = 1, STAT_TIME, STAT_USER, STAT_ENGINE, STAT_DIGEST, STAT_DECRYPTION, STATS };

struct user {
	char *name, *auth_password, *priv_password;
	int auth, priv; /* enum credential_auth, credential_priv */
	bool has_keys;  /* made when they are first needed: a megabyte is hashed for each */
	uint8_t auth_key[KEY_MAX], priv_key[PRIV_KEY_MAX];
};

struct heard {
	uint8_t digest[HEARD_LEN];
	int64_t when; /* 0: none */
};

struct trap_usm {
	uint8_t engine[ENGINE_LEN];
	uint32_t boots, stats[STATS];
	int64_t start;
	uint64_t salt;
	struct user *users;
	size_t users_count;
	struct heard heard[TRAP_USM_RECENT]; /* a ring */
	size_t heard_next;
};

/* What is read of a message; borrows its bytes. */
struct message {
	uint8_t flags;
	struct cursor id, engine, user, auth, priv, data; /* contents; of data the whole element */
	int64_t boots, time;
};

/* ---- keys */

/* By enum credential_auth. */
static const EVP_MD *hash_of(const struct user *u)
{
	switch (u->auth) {
	case CREDENTIAL_SHA1:
		return EVP_sha1();
	case CREDENTIAL_SHA224:
		return EVP_sha224();
	case CREDENTIAL_SHA256:
		return EVP_sha256();
	case CREDENTIAL_SHA384:
		return EVP_sha384();
	default:
		return EVP_sha512();
	}
}

/* Bytes of a digest that are sent: RFC 3414 section 6, RFC 7860 section 4.1. */
static size_t mac_len(const struct user *u)
{
	static const size_t lens[] = {[CREDENTIAL_SHA1] = 12, [CREDENTIAL_SHA224] = 16, [CREDENTIAL_SHA256] = 24,
		[CREDENTIAL_SHA384] = 32, [CREDENTIAL_SHA512] = 48};

	return lens[u->auth];
}

static void digest_parts(const EVP_MD *md, const struct cursor *parts, size_t count, uint8_t *out)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int good = c != NULL && EVP_DigestInit_ex(c, md, NULL) == 1;

	for (size_t i = 0; i < count; i++)
		good &= good && EVP_DigestUpdate(c, parts[i].at, cursor_left(&parts[i])) == 1;
	good = good && EVP_DigestFinal_ex(c, out, NULL) == 1;
	assert(good);
	EVP_MD_CTX_free(c);
}

/* RFC 3414 section A.2: the password over and over, hashed; then that with the engine between, so that no other engine can use
 * it. out: KEY_MAX bytes. */
static void make_key(const struct trap_usm *t, const EVP_MD *md, const char *password, uint8_t *out)
{
	const size_t len = strlen(password), size = (size_t)EVP_MD_size(md);
	uint8_t *long_one = mem_alloc(PASSWORD_BYTES), key[KEY_MAX];
	const struct cursor whole = cursor_over(long_one, PASSWORD_BYTES);
	const struct cursor parts[] = {cursor_over(key, size), cursor_over(t->engine, ENGINE_LEN), cursor_over(key, size)};

	for (size_t i = 0; i < PASSWORD_BYTES; i++)
		long_one[i] = (uint8_t)password[i % len];
	digest_parts(md, &whole, 1, key);
	digest_parts(md, parts, 3, out);
	OPENSSL_cleanse(long_one, PASSWORD_BYTES);
	OPENSSL_cleanse(key, sizeof key);
	free(long_one);
}

/* Where the hash is shorter than the key for AES-192 and AES-256, its own hash follows: draft-blumenthal-aes-usm-04 section 3.1.2.1,
 * as net-snmp has it. */
static void make_keys(const struct trap_usm *t, struct user *u)
{
	const EVP_MD *md = hash_of(u);
	const size_t size = (size_t)EVP_MD_size(md);
	const struct cursor first = cursor_over(u->priv_key, size);

	if (u->has_keys || u->auth == CREDENTIAL_AUTH_NONE)
		return;
	make_key(t, md, u->auth_password, u->auth_key);
	if (u->priv != CREDENTIAL_PRIV_NONE) {
		make_key(t, md, u->priv_password, u->priv_key);
		digest_parts(md, &first, 1, u->priv_key + size);
	}
	u->has_keys = true;
}

static void mac_of(const struct user *u, const uint8_t *data, size_t len, uint8_t out[EVP_MAX_MD_SIZE])
{
	const EVP_MD *md = hash_of(u);
	unsigned out_len;
	uint8_t *made = HMAC(md, u->auth_key, EVP_MD_size(md), data, len, out, &out_len);

	assert(made != NULL);
	(void)made;
}

/* RFC 3826 section 3.1.2.1; both ways, as it is a stream. */
static void crypt_aes(const struct user *u, uint32_t boots, uint32_t time, const uint8_t salt[SALT_LEN], const struct cursor *in,
	uint8_t *out, bool encrypts)
{
	const EVP_CIPHER *cipher = u->priv == CREDENTIAL_AES128 ? EVP_aes_128_cfb128()
		: u->priv == CREDENTIAL_AES192 ? EVP_aes_192_cfb128() : EVP_aes_256_cfb128();
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t iv[16];
	int n, good;

	for (int i = 0; i < 4; i++) {
		iv[i] = (uint8_t)(boots >> (24 - 8 * i));
		iv[4 + i] = (uint8_t)(time >> (24 - 8 * i));
	}
	memcpy(iv + 8, salt, SALT_LEN);
	good = c != NULL && EVP_CipherInit_ex(c, cipher, NULL, u->priv_key, iv, encrypts) == 1 &&
		EVP_CipherUpdate(c, out, &n, in->at, (int)cursor_left(in)) == 1;
	assert(good);
	(void)good;
	EVP_CIPHER_CTX_free(c);
}

/* ---- life */

/* RFC 3411 section 5, format 5 of SnmpEngineID: sixteen bytes of our own making, below no enterprise's number. */
static void make_engine(struct trap_usm *t, const char *agent)
{
	static const uint8_t head[] = {0x80, 0, 0, 0, 5};
	uint8_t digest[EVP_MAX_MD_SIZE];
	const struct cursor parts[] = {cursor_over("xunjian agent ", 14), cursor_over(agent, strlen(agent))};

	digest_parts(EVP_sha256(), parts, 2, digest);
	memcpy(t->engine, head, sizeof head);
	memcpy(t->engine + sizeof head, digest, ENGINE_LEN - sizeof head);
}

struct trap_usm *trap_usm_new(const char *agent, uint32_t boots, int64_t start)
{
	struct trap_usm *t = mem_alloc(sizeof *t);

	make_engine(t, agent);
	t->boots = boots;
	t->start = start;
	if (getrandom(&t->salt, sizeof t->salt, 0) != sizeof t->salt)
		assert(!"getrandom of so few bytes never fails");
	return t;
}

static void forget_users(struct trap_usm *t)
{
	for (size_t i = 0; i < t->users_count; i++) {
		struct user *u = &t->users[i];

		OPENSSL_cleanse(u->auth_password, strlen(u->auth_password));
		OPENSSL_cleanse(u->priv_password, strlen(u->priv_password));
		free(u->name);
		free(u->auth_password);
		free(u->priv_password);
		OPENSSL_cleanse(u, sizeof *u);
	}
	free(t->users);
	t->users = NULL;
	t->users_count = 0;
}

void trap_usm_free(struct trap_usm *t)
{
	if (t == NULL)
		return;
	forget_users(t);
	free(t);
}

void trap_usm_set_users(struct trap_usm *t, const struct credentials *credentials)
{
	const struct credential *items = credentials->list.items;

	forget_users(t);
	t->users = mem_array(credentials->list.count + 1, sizeof *t->users);
	for (size_t i = 0; i < credentials->list.count; i++) {
		if (*items[i].user == '\0')
			continue;
		t->users[t->users_count++] = (struct user){.name = mem_strdup(items[i].user), .auth = items[i].auth,
			.priv = items[i].auth == CREDENTIAL_AUTH_NONE ? CREDENTIAL_PRIV_NONE : items[i].priv,
			.auth_password = mem_strdup(items[i].auth_password), .priv_password = mem_strdup(items[i].priv_password)};
	}
}

/* ---- what comes in */

static bool is_bytes(const struct cursor *c, const void *bytes, size_t len)
{
	return cursor_left(c) == len && memcmp(c->at, bytes, len) == 0;
}

/* -1: no message of ours. */
static int read_message(const uint8_t *data, size_t len, struct message *m)
{
	struct cursor whole = cursor_over(data, len), all = trap_ber_enter(&whole, BER_SEQUENCE);
	bool is_v3 = trap_ber_number(&all) == VERSION;
	struct cursor head = trap_ber_enter(&all, BER_SEQUENCE), security = trap_ber_enter(&all, BER_OCTETS), flags, in;

	m->id = trap_ber_enter(&head, BER_INTEGER);
	trap_ber_number(&head); /* how long an answer may be: ours are no longer than what was asked */
	flags = trap_ber_enter(&head, BER_OCTETS);
	if (trap_ber_number(&head) != SECURITY_USM || cursor_left(&flags) != 1 || cursor_left(&m->id) > 4)
		return -1;
	m->flags = *flags.at;
	in = trap_ber_enter(&security, BER_SEQUENCE);
	m->engine = trap_ber_enter(&in, BER_OCTETS);
	m->boots = trap_ber_number(&in);
	m->time = trap_ber_number(&in);
	m->user = trap_ber_enter(&in, BER_OCTETS);
	m->auth = trap_ber_enter(&in, BER_OCTETS);
	m->priv = trap_ber_enter(&in, BER_OCTETS);
	m->data = all;
	return is_v3 && !all.failed && !head.failed && !security.failed && !in.failed && m->boots >= 0 && m->time >= 0 &&
		cursor_left(&all) > 0 ? 0 : -1;
}

static unsigned level_of(const struct user *u)
{
	return u->auth == CREDENTIAL_AUTH_NONE ? 0 : u->priv == CREDENTIAL_PRIV_NONE ? FLAG_AUTH : FLAG_AUTH | FLAG_PRIV;
}

/* The digest of a message is made with zeros in its place. */
static bool is_proved(struct trap_usm *t, struct user *u, const struct message *m, const uint8_t *data, size_t len)
{
	uint8_t mac[EVP_MAX_MD_SIZE], *copy;
	bool is_good;

	if (cursor_left(&m->auth) != mac_len(u))
		return false;
	make_keys(t, u);
	copy = mem_copy(data, len);
	memset(copy + (m->auth.at - data), 0, mac_len(u));
	mac_of(u, copy, len, mac);
	is_good = CRYPTO_memcmp(mac, m->auth.at, mac_len(u)) == 0;
	free(copy);
	return is_good;
}

static uint32_t time_now(const struct trap_usm *t, int64_t now)
{
	return (uint32_t)((now - t->start) / NS_PER_S);
}

static bool is_timely(const struct trap_usm *t, const struct message *m, int64_t now)
{
	int64_t differs = m->time - (int64_t)time_now(t, now);

	return m->boots == (int64_t)t->boots && m->boots != INT32_MAX && differs >= -WINDOW && differs <= WINDOW;
}

/* Whether it was heard within the window; else it is remembered. What the window does not let in any more is not looked for. */
static bool was_heard(struct trap_usm *t, const struct message *m, int64_t now)
{
	struct heard *next = &t->heard[t->heard_next];

	for (size_t i = 0; i < TRAP_USM_RECENT; i++) {
		const struct heard *h = &t->heard[i];

		if (h->when != 0 && now - h->when <= 2 * WINDOW * NS_PER_S + NS_PER_S &&
			memcmp(h->digest, m->auth.at, HEARD_LEN) == 0)
			return true;
	}
	memcpy(next->digest, m->auth.at, HEARD_LEN);
	next->when = now;
	t->heard_next = (t->heard_next + 1) % TRAP_USM_RECENT;
	return false;
}

/* ---- what goes out */

/* u NULL: without proof. scoped: the whole element. */
static void put_message(struct trap_usm *t, struct user *u, unsigned level, const struct cursor *id, const struct buf *scoped,
	int64_t now, struct buf *out)
{
	const uint32_t time = time_now(t, now);
	const size_t mac = (level & FLAG_AUTH) != 0 ? mac_len(u) : 0, salt_len = (level & FLAG_PRIV) != 0 ? SALT_LEN : 0;
	uint8_t flags = (uint8_t)level, digest[EVP_MAX_MD_SIZE] = {0}, salt[SALT_LEN];
	struct buf head = {0}, security = {0}, all = {0}, sealed = {0}, body = {0};
	size_t behind; /* bytes of the message behind its digest */

	trap_ber_put(&head, BER_INTEGER, id->at, cursor_left(id));
	trap_ber_put_number(&head, BER_INTEGER, MESSAGE_MAX);
	trap_ber_put(&head, BER_OCTETS, &flags, 1);
	trap_ber_put_number(&head, BER_INTEGER, SECURITY_USM);
	t->salt++;
	memcpy(salt, &t->salt, SALT_LEN);
	if (salt_len > 0) {
		const struct cursor plain = cursor_over(scoped->data, scoped->len);

		crypt_aes(u, t->boots, time, salt, &plain, buf_reserve(&sealed, scoped->len), true);
		trap_ber_put(&body, BER_OCTETS, sealed.data, scoped->len);
	} else {
		buf_add(&body, scoped->data, scoped->len);
	}
	trap_ber_put(&all, BER_OCTETS, t->engine, ENGINE_LEN);
	trap_ber_put_number(&all, BER_INTEGER, t->boots);
	trap_ber_put_number(&all, BER_INTEGER, time);
	trap_ber_put(&all, BER_OCTETS, u != NULL ? u->name : "", u != NULL ? strlen(u->name) : 0);
	trap_ber_put(&all, BER_OCTETS, digest, mac);
	trap_ber_put(&all, BER_OCTETS, salt, salt_len);
	behind = 2 + salt_len + body.len;
	trap_ber_put(&security, BER_SEQUENCE, all.data, all.len);
	buf_clear(&all);
	trap_ber_put_number(&all, BER_INTEGER, VERSION);
	trap_ber_put(&all, BER_SEQUENCE, head.data, head.len);
	trap_ber_put(&all, BER_OCTETS, security.data, security.len);
	buf_add(&all, body.data, body.len);
	trap_ber_put(out, BER_SEQUENCE, all.data, all.len);
	if (mac > 0) {
		mac_of(u, out->data, out->len, digest);
		memcpy(out->data + out->len - behind - mac, digest, mac);
	}
	buf_fini(&head);
	buf_fini(&security);
	buf_fini(&all);
	buf_fini(&sealed);
	buf_fini(&body);
}

/* Which request it answers, where that can be read; else 0. */
static struct cursor request_id(const struct message *m)
{
	struct cursor at = m->data, scoped, pdu, id;
	uint8_t tag;

	if ((m->flags & FLAG_PRIV) != 0)
		return cursor_over("\0", 1);
	scoped = trap_ber_enter(&at, BER_SEQUENCE);
	trap_ber_enter(&scoped, BER_OCTETS);
	trap_ber_enter(&scoped, BER_OCTETS);
	tag = cursor_left(&scoped) > 0 ? *scoped.at : 0;
	pdu = trap_ber_enter(&scoped, tag);
	id = trap_ber_enter(&pdu, BER_INTEGER);
	return at.failed || scoped.failed || pdu.failed || cursor_left(&id) < 1 || cursor_left(&id) > 4 ? cursor_over("\0", 1) : id;
}

/* RFC 3412 section 7.1 (3): what is wrong, as a counter of it. u: whom it is proved to, or NULL. */
static struct trap_usm_said report(struct trap_usm *t, struct user *u, const struct message *m, unsigned stat, int64_t now,
	struct buf *answer)
{
	const uint8_t name[] = {0x2b, 6, 1, 6, 3, 15, 1, 1, (uint8_t)stat, 0};
	const struct cursor id = request_id(m);
	struct buf inner = {0}, outer = {0};

	t->stats[stat] = (t->stats[stat] + 1) & INT32_MAX;
	trap_ber_put(&inner, BER_OID, name, sizeof name);
	trap_ber_put_number(&inner, BER_COUNTER, t->stats[stat]);
	trap_ber_put(&outer, BER_SEQUENCE, inner.data, inner.len);
	buf_clear(&inner);
	trap_ber_put(&inner, BER_INTEGER, id.at, cursor_left(&id));
	trap_ber_put_number(&inner, BER_INTEGER, 0);
	trap_ber_put_number(&inner, BER_INTEGER, 0);
	trap_ber_put(&inner, BER_SEQUENCE, outer.data, outer.len);
	buf_clear(&outer);
	trap_ber_put(&outer, BER_OCTETS, t->engine, ENGINE_LEN);
	trap_ber_put(&outer, BER_OCTETS, "", 0);
	trap_ber_put(&outer, PDU_REPORT, inner.data, inner.len);
	buf_clear(&inner);
	trap_ber_put(&inner, BER_SEQUENCE, outer.data, outer.len);
	put_message(t, u, u != NULL ? FLAG_AUTH : 0, &m->id, &inner, now, answer);
	buf_fini(&inner);
	buf_fini(&outer);
	return (struct trap_usm_said){TRAP_USM_REPORT, TRAP_NONE};
}

/* The scoped PDU itself with another tag in it: the same request, and the same varbinds. */
static void respond(struct trap_usm *t, struct user *u, const struct message *m, struct buf *scoped, size_t tag_at, int64_t now,
	struct buf *answer)
{
	scoped->data[tag_at] = TRAP_RESPONSE;
	put_message(t, u, level_of(u), &m->id, scoped, now, answer);
}

/* ---- one message */

/* What its sender says, opened, into a buffer of the whole element. -1: it cannot be. */
static int open_scoped(const struct user *u, const struct message *m, struct buf *scoped)
{
	struct cursor at = m->data, sealed, whole, in;

	if (level_of(u) != (FLAG_AUTH | FLAG_PRIV)) {
		buf_add(scoped, at.at, cursor_left(&at));
	} else {
		sealed = trap_ber_enter(&at, BER_OCTETS);
		if (at.failed || cursor_left(&m->priv) != SALT_LEN || cursor_left(&sealed) == 0)
			return -1;
		crypt_aes(u, (uint32_t)m->boots, (uint32_t)m->time, m->priv.at, &sealed, buf_reserve(scoped, cursor_left(&sealed)),
			false);
		scoped->len = cursor_left(&sealed);
	}
	whole = cursor_over(scoped->data, scoped->len);
	in = trap_ber_enter(&whole, BER_SEQUENCE);
	scoped->len = (size_t)(in.end - scoped->data) * !whole.failed; /* what is behind it fills a block */
	return whole.failed ? -1 : 0;
}

static struct trap_usm_said take_opened(struct trap_usm *t, struct user *u, const struct message *m, struct buf *scoped,
	int64_t now, struct buf *answer)
{
	struct cursor whole = cursor_over(scoped->data, scoped->len), in = trap_ber_enter(&whole, BER_SEQUENCE), pdu;
	struct trap_usm_said said = {TRAP_USM_TAKEN, TRAP_NONE};
	size_t tag_at;

	trap_ber_enter(&in, BER_OCTETS); /* which engine and what of it are spoken of: it is the sender that we look at */
	trap_ber_enter(&in, BER_OCTETS);
	tag_at = (size_t)(in.at - scoped->data);
	pdu = trap_ber_enter(&in, PDU_INFORM);
	if (!in.failed)
		said.kind = trap_packet_kind(&pdu);
	if (said.kind == TRAP_NONE)
		return (struct trap_usm_said){TRAP_USM_NONE, TRAP_NONE};
	if ((level_of(u) & FLAG_AUTH) != 0 && was_heard(t, m, now))
		said.end = TRAP_USM_AGAIN;
	respond(t, u, m, scoped, tag_at, now, answer);
	return said;
}

static struct user *find_user(struct trap_usm *t, const struct message *m, size_t from)
{
	for (size_t i = from; i < t->users_count; i++) {
		if (is_bytes(&m->user, t->users[i].name, strlen(t->users[i].name)))
			return &t->users[i];
	}
	return NULL;
}

/* Two credentials may have one name, for different devices: the one that proves it. NULL with what is wrong. */
static struct user *prove(struct trap_usm *t, const struct message *m, const uint8_t *data, size_t len, unsigned *stat)
{
	*stat = STAT_USER;
	for (struct user *u = find_user(t, m, 0); u != NULL; u = find_user(t, m, (size_t)(u - t->users) + 1)) {
		unsigned level = level_of(u);

		if (level != (m->flags & (FLAG_AUTH | FLAG_PRIV))) {
			*stat = *stat == STAT_USER ? STAT_LEVEL : *stat;
			continue;
		}
		if (level == 0 || is_proved(t, u, m, data, len))
			return u;
		*stat = STAT_DIGEST;
	}
	return NULL;
}

struct trap_usm_said trap_usm_take(struct trap_usm *t, const uint8_t *data, size_t len, int64_t now, struct buf *answer)
{
	struct trap_usm_said said = {TRAP_USM_NONE, TRAP_NONE};
	struct buf scoped = {0};
	struct message m;
	struct user *u;
	unsigned stat;

	if (read_message(data, len, &m) < 0 || (m.flags & FLAG_REPORTABLE) == 0)
		return said;
	if (!is_bytes(&m.engine, t->engine, ENGINE_LEN))
		return report(t, NULL, &m, STAT_ENGINE, now, answer);
	u = prove(t, &m, data, len, &stat);
	if (u == NULL)
		return report(t, NULL, &m, stat, now, answer);
	if (level_of(u) != 0 && !is_timely(t, &m, now))
		return report(t, u, &m, STAT_TIME, now, answer);
	if (open_scoped(u, &m, &scoped) == 0)
		said = take_opened(t, u, &m, &scoped, now, answer);
	else if (level_of(u) == (FLAG_AUTH | FLAG_PRIV))
		said = report(t, NULL, &m, STAT_DECRYPTION, now, answer);
	OPENSSL_cleanse(scoped.data, scoped.len);
	buf_fini(&scoped);
	return said;
}

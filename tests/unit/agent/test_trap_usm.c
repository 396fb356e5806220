/* Our engine against what snmpinform 5.9.3 of net-snmp sent to the one of an agent "agent-2", with each protocol that there is. */
#include "agent/trap_usm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/trap_ber.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "probes/credentials.h"

#define BOOTS 0x1750d6
#define TIME 2
#define START (1000 * NS_PER_S)
#define NOW (START + TIME * NS_PER_S)

/* linkDown, with "maplesyrup" and "syrupmaple". */
static const struct sent {
	const char *user;
	int auth, priv;
	const char *hex;
} sent[] = {
	{"a", CREDENTIAL_SHA1, CREDENTIAL_PRIV_NONE,
		"30819b02010330110204117f59a6020300ffe30401050201030434303204158000000005deced7cfa68b2dc536f3e603"
		"0a27b5c702031750d6020102040161040c2010ce804b9e54f455b9d1060400304d041180001f88809336750b07c9086b"
		"000000000400a63602042eb99aa30201000201003028300d06082b060102010103004301643017060a2b060106030101"
		"04010006092b0601060301010503"},
	{"b", CREDENTIAL_SHA1, CREDENTIAL_AES256,
		"3081a50201033011020410978927020300ffe3040107020103043c303a04158000000005deced7cfa68b2dc536f3e603"
		"0a27b5c702031750d6020102040162040cc61c327cd522b41f6785c6f404086dd430464c70b963044f89c1a52f594cd7"
		"b64f8312320a28927b86a5b9c2d1a6ea44f72feda6cb4a7879fc1d663563facfca9d9d0b84d61fed7c6a52cc5a6cd4e2"
		"f4b6cb6ad3bfaad732423704e47e891e73a3cc054adff493"},
	{"c", CREDENTIAL_SHA224, CREDENTIAL_AES192,
		"3081a902010330110204351c3c76020300ffe30401070201030440303e04158000000005deced7cfa68b2dc536f3e603"
		"0a27b5c702031750d6020102040163041086d156ba6ec275b41bb7d593c6547e530408b4b5152143c95b59044fa80a56"
		"e6800b1354c81957eda44c6a27cce090745fd37e3e877e20c77a53580459297f39925ab820dc63912ea610ed2a8047bf"
		"5da8e340dd83ef0db78cff371ee813981edbe8877ef80a49b3339aab"},
	{"d", CREDENTIAL_SHA256, CREDENTIAL_AES128,
		"3081b1020103301102041e2d4ea1020300ffe30401070201030448304604158000000005deced7cfa68b2dc536f3e603"
		"0a27b5c702031750d6020102040164041847ce9842458b7324923bbbd914ce874a6d3ef6407eec21b4040869f151be61"
		"629f46044fbde4c2f1aa96887382efc1aa75cdfe55f21a93af7b28c000dbdb7b19291f5ea6bfa7aa3fb29629157fe2ec"
		"8a2661ae1ececbfc6d0a56c92f4037ed12e05088d67472e9df4af26d4ee54633fb0d8420"},
	{"e", CREDENTIAL_SHA384, CREDENTIAL_AES128,
		"3081b9020103301102046238de39020300ffe30401070201030450304e04158000000005deced7cfa68b2dc536f3e603"
		"0a27b5c702031750d60201020401650420024a20f4782a943ba42e56edf7eca4eefd5bc0782eaabd66a1e5093b035337"
		"a0040867fead3b717ccaf8044f898d797a61763c487fe441c16cb09a66a05233a2be9da66e4be19ce9a04bb8468b02d3"
		"b28ed7838109218cf421ac8a98a28fa72f5923601fe9c048fb06e663168ef6e73d009197b725c5b7848620b5"},
	{"f", CREDENTIAL_SHA512, CREDENTIAL_AES256,
		"3081c90201033011020416879786020300ffe30401070201030460305e04158000000005deced7cfa68b2dc536f3e603"
		"0a27b5c702031750d6020102040166043097845bf6a77e063be43ee204b918f80fd659e68cf857946c0930ee8008abdd"
		"71cf8c5fdad1e2e3c588df97ed916f86710408de740c795ef2680d044fadcbb830fe6a25ed5126d7709678f0e5dbefcd"
		"d845053ca2aea117a1d72a6c88fac016f1d0e4fb13910a4f6dc8de5b509c9c262a2212a2fb44213f3f986cd5be21444a"
		"b979e01f7b84a5a69ce4371b"},
	{"n", CREDENTIAL_AUTH_NONE, CREDENTIAL_PRIV_NONE,
		"30818f020103301102043dd31661020300ffe30401040201030428302604158000000005deced7cfa68b2dc536f3e603"
		"0a27b5c702031750d602010204016e04000400304d041180001f88809336750b07c9086b000000000400a636020424df"
		"a1150201000201003028300d06082b060102010103004301643017060a2b06010603010104010006092b060106030101"
		"0503"},
};

enum { SENT = sizeof sent / sizeof *sent, AUTH_ONLY = 0, SHA256_AES128 = 3, NO_AUTH = SENT - 1 };

struct fixture {
	struct trap_usm *usm;
	struct credential users[SENT];
	struct buf packet, answer;
};

static void set_users(struct fixture *f, const char *auth_password)
{
	const struct credentials all = {{SENT, f->users}};

	for (size_t i = 0; i < SENT; i++)
		f->users[i] = (struct credential){.id = "x", .community = "", .user = sent[i].user, .auth = sent[i].auth,
			.priv = sent[i].priv, .auth_password = auth_password, .priv_password = "syrupmaple"};
	trap_usm_set_users(f->usm, &all);
}

static int begin(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	f->usm = trap_usm_new("agent-2", BOOTS, START);
	set_users(f, "maplesyrup");
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	trap_usm_free(f->usm);
	buf_fini(&f->packet);
	buf_fini(&f->answer);
	free(f);
	return 0;
}

static uint8_t digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void load(struct fixture *f, size_t i)
{
	buf_clear(&f->packet);
	for (const char *at = sent[i].hex; *at != '\0'; at += 2)
		buf_add_u8(&f->packet, (uint8_t)(digit(at[0]) << 4 | digit(at[1])));
}

static struct trap_usm_said take(struct fixture *f, int64_t now)
{
	struct trap_usm_said said;

	buf_clear(&f->answer);
	said = trap_usm_take(f->usm, f->packet.data, f->packet.len, now, &f->answer);
	assert_true((f->answer.len > 0) == (said.end != TRAP_USM_NONE));
	return said;
}

/* The last number of the name of the counter that a Report tells, where it is not encrypted: they never are. */
static unsigned reported(const struct fixture *f)
{
	static const uint8_t stats[] = {0x2b, 6, 1, 6, 3, 15, 1, 1};
	const uint8_t *at = memmem(f->answer.data, f->answer.len, stats, sizeof stats);

	assert_non_null(at);
	return at[sizeof stats];
}

static void each_protocol_is_taken_and_answered(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < SENT; i++) {
		struct trap_usm_said said;

		load(f, i);
		said = take(f, NOW);
		if (said.end != TRAP_USM_TAKEN || said.kind != TRAP_LINK)
			fail_msg("user %s: end %d, kind %d", sent[i].user, (int)said.end, (int)said.kind);
	}
}

/* In the clear it can be seen: the PDU that came, as a Response. */
static void the_answer_has_the_same_request_and_varbinds(void **state)
{
	struct fixture *f = *state;
	const uint8_t *asked, *answered;

	for (size_t i = 0; i < SENT; i++) {
		if (sent[i].priv != CREDENTIAL_PRIV_NONE)
			continue;
		load(f, i);
		take(f, NOW);
		asked = memchr(f->packet.data + 60, 0xa6, f->packet.len - 60);
		answered = memchr(f->answer.data + 60, 0xa2, f->answer.len - 60);
		assert_non_null(asked);
		assert_non_null(answered);
		assert_int_equal(f->answer.data + f->answer.len - answered, f->packet.data + f->packet.len - asked);
		assert_memory_equal(answered + 1, asked + 1, (size_t)(f->packet.data + f->packet.len - asked - 1));
	}
}

/* Whatever is changed on its way: what is proved is not taken any more. */
static void no_byte_can_be_changed(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	for (size_t i = 0; i < NO_AUTH; i++) {
		load(f, i);
		for (size_t at = 0; at < f->packet.len; at++) {
			struct trap_usm_said said;

			f->packet.data[at] ^= (uint8_t)(1u << rand() % 8);
			said = take(f, NOW);
			if (said.end != TRAP_USM_NONE && said.end != TRAP_USM_REPORT)
				fail_msg("user %s: byte %zu", sent[i].user, at);
			load(f, i);
		}
	}
}

static void what_is_cut_is_not_taken(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < SENT; i++) {
		load(f, i);
		for (size_t len = 0; len < f->packet.len; len++) {
			uint8_t *copy = mem_copy(f->packet.data, len > 0 ? len : 1);

			buf_clear(&f->answer);
			assert_int_equal(trap_usm_take(f->usm, copy, len, NOW, &f->answer).end, TRAP_USM_NONE);
			free(copy);
		}
	}
}

static void a_replay_moves_nothing_but_is_answered(void **state)
{
	struct fixture *f = *state;

	load(f, SHA256_AES128);
	assert_int_equal(take(f, NOW).end, TRAP_USM_TAKEN);
	assert_int_equal(take(f, NOW).end, TRAP_USM_AGAIN);
	assert_int_equal(take(f, NOW + 150 * NS_PER_S).end, TRAP_USM_AGAIN);
	assert_int_equal(take(f, NOW + 151 * NS_PER_S).end, TRAP_USM_REPORT); /* out of the window of RFC 3414 */
	assert_int_equal(reported(f), 2);
}

static void what_was_sent_before_a_restart_is_not_taken(void **state)
{
	struct fixture *f = *state;

	trap_usm_free(f->usm);
	f->usm = trap_usm_new("agent-2", BOOTS + 1, START);
	set_users(f, "maplesyrup");
	for (size_t i = 0; i < NO_AUTH; i++) {
		load(f, i);
		assert_int_equal(take(f, NOW).end, TRAP_USM_REPORT);
		assert_int_equal(reported(f), 2);
	}
}

static void another_engine_and_wrong_users_are_told(void **state)
{
	struct fixture *f = *state;
	const struct credentials none = {{0, f->users}};

	load(f, SHA256_AES128);
	set_users(f, "not-maplesyrup");
	assert_int_equal(take(f, NOW).end, TRAP_USM_REPORT);
	assert_int_equal(reported(f), 5);
	trap_usm_set_users(f->usm, &none);
	assert_int_equal(take(f, NOW).end, TRAP_USM_REPORT);
	assert_int_equal(reported(f), 3);
	trap_usm_free(f->usm);
	f->usm = trap_usm_new("agent-3", BOOTS, START);
	set_users(f, "maplesyrup");
	assert_int_equal(take(f, NOW).end, TRAP_USM_REPORT);
	assert_int_equal(reported(f), 4);
}

/* Who could encrypt may not be spoken for by one who does not even prove himself. */
static void a_lower_level_than_that_of_the_user_is_refused(void **state)
{
	struct fixture *f = *state;

	f->users[NO_AUTH].auth = CREDENTIAL_SHA256;
	f->users[NO_AUTH].priv = CREDENTIAL_AES128;
	f->users[AUTH_ONLY].priv = CREDENTIAL_AES128;
	trap_usm_set_users(f->usm, &(const struct credentials){{SENT, f->users}});
	load(f, NO_AUTH);
	assert_int_equal(take(f, NOW).end, TRAP_USM_REPORT);
	assert_int_equal(reported(f), 1);
	load(f, AUTH_ONLY);
	assert_int_equal(take(f, NOW).end, TRAP_USM_REPORT);
	assert_int_equal(reported(f), 1);
}

/* Two devices with one user name, each with a password of its own. */
static void of_two_users_with_one_name_the_one_that_proves_it_is_meant(void **state)
{
	struct fixture *f = *state;

	f->users[0] = f->users[SHA256_AES128];
	f->users[0].auth_password = "something-else";
	trap_usm_set_users(f->usm, &(const struct credentials){{SENT, f->users}});
	load(f, SHA256_AES128);
	assert_int_equal(take(f, NOW).end, TRAP_USM_TAKEN);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(each_protocol_is_taken_and_answered),
		CASE(the_answer_has_the_same_request_and_varbinds),
		CASE(no_byte_can_be_changed),
		CASE(what_is_cut_is_not_taken),
		CASE(a_replay_moves_nothing_but_is_answered),
		CASE(what_was_sent_before_a_restart_is_not_taken),
		CASE(another_engine_and_wrong_users_are_told),
		CASE(a_lower_level_than_that_of_the_user_is_refused),
		CASE(of_two_users_with_one_name_the_one_that_proves_it_is_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "agent/beat_book.h"
#include "agent/beat_packet.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/heartbeat.h"

#define TOKEN_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOKEN_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SKEW 30
#define BEGIN 1000000 /* s, real */

static struct beat_window two[] = {{.id = "a", .token = TOKEN_A}, {.id = "b", .token = TOKEN_B}};
static const struct beat_windows both = {{.count = 2, .items = two}}, first = {{.count = 1, .items = two}};

static struct beat_book *new_book(int64_t real_s)
{
	struct beat_book *b = beat_book_new();

	beat_book_set(b, &both, SKEW * NS_PER_S, (real_s - BEGIN + 5) * NS_PER_S);
	return b;
}

static enum beat_end hear_at(struct beat_book *b, const char *said, const char *token, int64_t mono_s, int64_t now_s)
{
	const struct beat_arrival at = {.mono = mono_s * NS_PER_S, .real = now_s * NS_PER_S, .family = FAMILY_V6};
	unsigned char mac[EVP_MAX_MD_SIZE];
	char text[400];
	struct beat_packet p;
	unsigned len;
	int n = snprintf(text, sizeof text, "%s ", said);

	HMAC(EVP_sha256(), token, (int)strlen(token), (const unsigned char *)said, strlen(said), mac, &len);
	for (unsigned i = 0; i < len; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%02x", mac[i]);
	assert_true(beat_packet_decode(text, (size_t)n, &p));
	return beat_book_hear_packet(b, &p, text, &at);
}

/* By a clock that is right. */
static enum beat_end hear(struct beat_book *b, const char *said, const char *token, int64_t now_s)
{
	return hear_at(b, said, token, now_s - BEGIN + 5, now_s);
}

static void a_datagram_becomes_what_is_seen(void **state)
{
	struct beat_book *b = new_book(BEGIN);
	struct heartbeat_seen s;

	(void)state;
	assert_true(beat_book_ask(b, "a", &s));
	assert_int_equal(s.heard, 0);
	assert_int_equal(s.listening, 5 * NS_PER_S);
	assert_int_equal(hear(b, "xunjian1 a 1000100 1 up", TOKEN_A, 1000100), BEAT_TAKEN);
	assert_int_equal(hear(b, "xunjian1 a 1000160 4 down no paper", TOKEN_A, 1000158), BEAT_TAKEN);
	assert_true(beat_book_ask(b, "a", &s));
	assert_int_equal(s.heard, 163 * NS_PER_S);
	assert_false(s.is_up);
	assert_string_equal(s.text, "no paper");
	assert_int_equal(s.reports, 2);
	assert_int_equal(s.missed, 2);
	assert_int_equal(s.family, FAMILY_V6);
	assert_true(s.has_clock && s.clock == 2.0);
	assert_true(beat_book_ask(b, "a", &s));
	assert_int_equal(s.reports + s.missed, 0);
	assert_true(beat_book_ask(b, "b", &s));
	assert_int_equal(s.heard, 0);
	assert_false(beat_book_ask(b, "c", &s));
	beat_book_free(b);
}

static void what_another_key_sealed_is_foreign(void **state)
{
	struct beat_book *b = new_book(BEGIN);

	(void)state;
	assert_int_equal(hear(b, "xunjian1 a 1000100 1 up", TOKEN_B, 1000100), BEAT_FOREIGN);
	assert_int_equal(hear(b, "xunjian1 c 1000100 1 up", TOKEN_A, 1000100), BEAT_FOREIGN);
	assert_int_equal(hear(b, "xunjian1 a 1000100 1 up", TOKEN_A, 1000100), BEAT_TAKEN);
	beat_book_free(b);
}

static void a_datagram_is_taken_once(void **state)
{
	struct beat_book *b = new_book(BEGIN);

	(void)state;
	assert_int_equal(hear(b, "xunjian1 a 1000100 7 up", TOKEN_A, 1000100), BEAT_TAKEN);
	assert_int_equal(hear(b, "xunjian1 a 1000100 7 up", TOKEN_A, 1000101), BEAT_REPLAYED);
	assert_int_equal(hear(b, "xunjian1 a 1000100 6 up", TOKEN_A, 1000101), BEAT_REPLAYED);
	assert_int_equal(hear(b, "xunjian1 a 1000099 8 up", TOKEN_A, 1000101), BEAT_REPLAYED);
	assert_int_equal(hear(b, "xunjian1 a 1000100 8 up", TOKEN_A, 1000101), BEAT_TAKEN);
	assert_int_equal(hear(b, "xunjian1 a 1000101 1 up", TOKEN_A, 1000101), BEAT_TAKEN); /* it began anew */
	beat_book_free(b);
}

static void a_time_out_of_bounds_is_foreign(void **state)
{
	struct beat_book *b = new_book(BEGIN);

	(void)state;
	assert_int_equal(hear(b, "xunjian1 a 1000100 1 up", TOKEN_A, 1000131), BEAT_FOREIGN);
	assert_int_equal(hear(b, "xunjian1 a 1000100 1 up", TOKEN_A, 1000069), BEAT_FOREIGN);
	assert_int_equal(hear(b, "xunjian1 a 9007199254740992 1 up", TOKEN_A, 1000100), BEAT_FOREIGN);
	assert_int_equal(hear(b, "xunjian1 a 1000100 1 up", TOKEN_A, 1000130), BEAT_TAKEN);
	beat_book_free(b);
}

/* Whatever a book took at any moment up to its end, one that begins then or later does not take. */
static void nothing_is_taken_again_after_a_restart(void **state)
{
	unsigned seed = (unsigned)clock_mono();
	size_t taken = 0;

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 3000; i++) {
		struct beat_book *before = new_book(BEGIN), *later;
		int64_t now = BEGIN + rand_r(&seed) % 200, time = now + rand_r(&seed) % 80 - 40;
		int64_t again = now + rand_r(&seed) % 5;
		char said[100];

		snprintf(said, sizeof said, "xunjian1 a %lld 1 up", (long long)time);
		if (hear(before, said, TOKEN_A, now) == BEAT_TAKEN) {
			taken++;
			later = new_book(again);
			for (int64_t at = again; at < again + 100; at++)
				assert_int_not_equal(hear(later, said, TOKEN_A, at), BEAT_TAKEN);
			beat_book_free(later);
		}
		beat_book_free(before);
	}
	assert_true(taken > 500);
}

/* A host whose clock is wrong when the agent begins, and set right 10 s later. */
static void a_clock_that_is_set_right_after_the_start_changes_nothing(void **state)
{
	(void)state;
	for (int ahead = -1; ahead <= 1; ahead++) {
		struct beat_book *b = new_book(BEGIN); /* what its clock said then is of no matter */
		int64_t wrong = BEGIN + ahead * INT64_C(86400);
		char said[100];

		snprintf(said, sizeof said, "xunjian1 a %lld 1 up", (long long)wrong + 5);
		assert_int_equal(hear_at(b, said, TOKEN_A, 10, wrong + 5), BEAT_REPLAYED);
		/* Of before the start, within the bounds of the clock that is right now. */
		assert_int_equal(hear(b, "xunjian1 a 999990 1 up", TOKEN_A, BEGIN + 15), BEAT_REPLAYED);
		assert_int_equal(hear(b, "xunjian1 a 1000025 1 up", TOKEN_A, BEGIN + 15), BEAT_REPLAYED);
		assert_int_equal(hear(b, "xunjian1 a 1000031 1 up", TOKEN_A, BEGIN + 31), BEAT_TAKEN);
		beat_book_free(b);
	}
}

/* ns in which others were heard, of one of the two windows. */
static int64_t missing(struct beat_book *b, const char *window)
{
	struct heartbeat_seen s;

	assert_true(beat_book_ask(b, window, &s));
	return s.missing / NS_PER_S;
}

static void report(struct beat_book *b, const char *window, const char *token, int64_t mono_s, enum family family)
{
	const struct beat_arrival at = {.mono = mono_s * NS_PER_S, .real = BEGIN * NS_PER_S, .family = family};
	const struct beat_report up = {.is_up = true};

	assert_int_equal(beat_book_hear_report(b, window, token, &up, &at), BEAT_TAKEN);
}

static void silence_counts_while_others_are_heard_by_the_same_way(void **state)
{
	struct beat_book *b = new_book(BEGIN);

	(void)state;
	report(b, "b", TOKEN_B, 100, FAMILY_V4);
	assert_int_equal(missing(b, "a"), 0); /* once is no time */
	report(b, "b", TOKEN_B, 160, FAMILY_V4);
	assert_int_equal(missing(b, "a"), 60); /* which was never heard */
	report(b, "a", TOKEN_A, 170, FAMILY_V4);
	report(b, "b", TOKEN_B, 290, FAMILY_V4);
	assert_int_equal(missing(b, "a"), 120);
	assert_int_equal(missing(b, "b"), 0);
	report(b, "b", TOKEN_B, 411, FAMILY_V4); /* perhaps we did not hear */
	assert_int_equal(missing(b, "a"), 120);
	beat_book_interrupt(b);
	report(b, "b", TOKEN_B, 421, FAMILY_V4);
	assert_int_equal(missing(b, "a"), 120);
	report(b, "b", TOKEN_B, 430, FAMILY_V6);
	report(b, "b", TOKEN_B, 432, FAMILY_V6);
	assert_int_equal(hear(b, "xunjian1 b 1000430 1 up", TOKEN_B, 1000430), BEAT_TAKEN);
	assert_int_equal(hear(b, "xunjian1 b 1000440 1 up", TOKEN_B, 1000440), BEAT_TAKEN);
	assert_int_equal(missing(b, "a"), 120);
	report(b, "b", TOKEN_B, 460, FAMILY_V4);
	assert_int_equal(missing(b, "a"), 159);
	report(b, "a", TOKEN_A, 461, FAMILY_V6);
	assert_int_equal(missing(b, "a"), 0);
	report(b, "b", TOKEN_B, 470, FAMILY_V4);
	assert_int_equal(missing(b, "a"), 0);
	beat_book_free(b);
}

static void a_window_that_comes_back_takes_nothing_of_before(void **state)
{
	struct beat_book *b = new_book(BEGIN);
	struct heartbeat_seen s;

	(void)state;
	assert_int_equal(hear(b, "xunjian1 b 1000100 1 up", TOKEN_B, 1000100), BEAT_TAKEN);
	beat_book_set(b, &both, SKEW * NS_PER_S, 106 * NS_PER_S); /* it stays */
	assert_int_equal(hear(b, "xunjian1 b 1000100 1 up", TOKEN_B, 1000101), BEAT_REPLAYED);
	assert_true(beat_book_ask(b, "b", &s) && s.reports == 1);
	beat_book_set(b, &first, SKEW * NS_PER_S, 107 * NS_PER_S);
	assert_int_equal(hear(b, "xunjian1 b 1000102 2 up", TOKEN_B, 1000102), BEAT_FOREIGN);
	beat_book_set(b, &both, SKEW * NS_PER_S, 108 * NS_PER_S);
	assert_int_equal(hear(b, "xunjian1 b 1000100 1 up", TOKEN_B, 1000103), BEAT_REPLAYED);
	assert_int_equal(hear(b, "xunjian1 b 1000134 3 up", TOKEN_B, 1000134), BEAT_TAKEN);
	beat_book_free(b);
}

static void another_token_is_another_end_point(void **state)
{
	static struct beat_window other[] = {{.id = "a", .token = TOKEN_B}};
	const struct beat_windows now = {{.count = 1, .items = other}};
	struct beat_book *b = new_book(BEGIN);
	struct heartbeat_seen s;

	(void)state;
	assert_int_equal(hear(b, "xunjian1 a 1000100 1 up", TOKEN_A, 1000100), BEAT_TAKEN);
	beat_book_set(b, &now, SKEW * NS_PER_S, 106 * NS_PER_S);
	assert_true(beat_book_ask(b, "a", &s) && s.heard == 0);
	assert_true(beat_book_knows(b, "a", TOKEN_B));
	assert_false(beat_book_knows(b, "a", TOKEN_A));
	beat_book_free(b);
}

static void a_request_needs_the_token_of_its_window(void **state)
{
	const struct beat_arrival at = {.mono = 9 * NS_PER_S, .real = BEGIN * NS_PER_S, .family = FAMILY_V4};
	const struct beat_report up = {.is_up = true};
	struct beat_book *b = new_book(BEGIN);
	struct heartbeat_seen s;

	(void)state;
	assert_int_equal(beat_book_hear_report(b, "a", TOKEN_B, &up, &at), BEAT_FOREIGN);
	assert_int_equal(beat_book_hear_report(b, "a", "", &up, &at), BEAT_FOREIGN);
	assert_int_equal(beat_book_hear_report(b, "c", TOKEN_A, &up, &at), BEAT_FOREIGN);
	assert_int_equal(beat_book_hear_report(b, "a", TOKEN_A, &up, &at), BEAT_TAKEN);
	assert_true(beat_book_ask(b, "a", &s) && s.is_up && s.heard == at.mono && !s.has_clock && s.family == FAMILY_V4);
	beat_book_free(b);
}

static void refused(const char *text, mode_t mode, const char *words)
{
	char path[] = "/tmp/xunjian-windows-XXXXXX";
	int fd = mkstemp(path);
	struct arena *a = arena_new();
	struct beat_windows all;
	struct err e = {{0}};
	int status;

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
	close(fd);
	status = beat_windows_load(path, a, &all, &e);
	unlink(path);
	assert_int_equal(status, words != NULL ? -1 : 0);
	if (words != NULL && strstr(e.text, words) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", e.text, words);
	assert_null(strstr(e.text, TOKEN_A));
	arena_free(a);
}

static void mistakes_in_the_file_are_told_without_secrets(void **state)
{
	(void)state;
	refused("windows = ( { id = \"a\"; token = \"" TOKEN_A "\"; } );\n", 0600, NULL);
	refused("windows = ( { id = \"a\"; token = \"" TOKEN_A "\"; } );\n", 0640, "chmod 600");
	refused("windows = ( { id = \"a\"; token = \"short\"; } );\n", 0600, ":1:");
	refused("windows = ( { id = \"a\"; token = \"" TOKEN_A " x\"; } );\n", 0600, "no space");
	refused("windows = ( { id = \"a\"; token = \"" TOKEN_A "\"; },\n{ id = \"a\"; token = \"" TOKEN_B "\"; } );\n", 0600,
		"stands twice");
	refused("windows = ( { id = \"a\"; token = \"" TOKEN_A "\"; },\n{ id = \"b\"; token = \"" TOKEN_A "\"; } );\n", 0600,
		"token of another");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_becomes_what_is_seen),
		cmocka_unit_test(what_another_key_sealed_is_foreign),
		cmocka_unit_test(a_datagram_is_taken_once),
		cmocka_unit_test(a_time_out_of_bounds_is_foreign),
		cmocka_unit_test(nothing_is_taken_again_after_a_restart),
		cmocka_unit_test(a_clock_that_is_set_right_after_the_start_changes_nothing),
		cmocka_unit_test(silence_counts_while_others_are_heard_by_the_same_way),
		cmocka_unit_test(a_window_that_comes_back_takes_nothing_of_before),
		cmocka_unit_test(another_token_is_another_end_point),
		cmocka_unit_test(a_request_needs_the_token_of_its_window),
		cmocka_unit_test(mistakes_in_the_file_are_told_without_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

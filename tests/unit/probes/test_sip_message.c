#include "probes/sip_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sip_ids ids = {.branch = "z9hG4bKab12", .call_id = "c1d2", .tag = "t1", .sequence = 7};

#define GOOD "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport=5070;branch=z9hG4bKab12\r\n"            \
	"Call-ID: c1d2\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"

static enum sip_step decode(const char *text, bool is_stream, struct sip_response *r)
{
	size_t len = strlen(text);
	char *exact = malloc(len); /* so that a read past it is seen */
	enum sip_step step;

	memcpy(exact, text, len);
	step = sip_response_decode(exact, len, is_stream, r);
	free(exact);
	return step;
}

static void a_request_has_all_that_the_standard_wants(void **state)
{
	struct buf out = {.len = 0};
	const char *text;

	(void)state;
	sip_request_encode(&(struct sip_request){.transport = "UDP", .target = "sip:12345@example.cn",
		.local = "[2001:db8::1]:5070", .user_agent = "xunjian", .ids = &ids}, &out);
	text = buf_text(&out);
	assert_int_equal(strncmp(text, "OPTIONS sip:12345@example.cn SIP/2.0\r\n", 38), 0);
	assert_non_null(strstr(text, "\r\nVia: SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bKab12;rport\r\n"));
	assert_non_null(strstr(text, "\r\nMax-Forwards: 70\r\n"));
	assert_non_null(strstr(text, ";tag=t1\r\nTo: <sip:12345@example.cn>\r\n"));
	assert_non_null(strstr(text, "\r\nCall-ID: c1d2\r\nCSeq: 7 OPTIONS\r\n"));
	assert_string_equal(text + out.len - 23, "\r\nContent-Length: 0\r\n\r\n");
	buf_fini(&out);
}

static void a_response_is_read_and_matched(void **state)
{
	struct sip_response r;
	struct sip_ids other;

	(void)state;
	assert_int_equal(decode(GOOD "rest", true, &r), SIP_WHOLE);
	assert_int_equal(r.code, 200);
	assert_string_equal(r.reason, "OK");
	assert_int_equal(r.len, strlen(GOOD));
	assert_true(sip_response_answers(&r, &ids));
	other = ids, other.sequence = 8;
	assert_false(sip_response_answers(&r, &other));
	other = ids, other.branch[9] = 'X';
	assert_false(sip_response_answers(&r, &other));
	other = ids, other.call_id[0] = 'X';
	assert_false(sip_response_answers(&r, &other));
	assert_int_equal(decode("SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h;branch=z9hG4bKab12\r\ni: c1d2\r\nCSeq: 7 INVITE\r\n\r\n",
		false, &r), SIP_WHOLE);
	assert_false(sip_response_answers(&r, &ids));
}

static void compact_folded_and_oddly_written_headers_are_read(void **state)
{
	struct sip_response r;

	(void)state;
	assert_int_equal(decode("\r\n\r\nSIP/2.0 404 Not\tFound\r\nV :SIP/2.0/UDP a;x=\"q,;branch=no\"\r\n  ;BRANCH = z9hG4bKab12"
		" , SIP/2.0/UDP b;branch=z9hG4bKother\r\nv: SIP/2.0/UDP c;branch=third\r\nI:\r\n c1d2\r\ncseq:\t7\r\n OPTIONS\r\n"
		"l: 3\r\n\r\nabc", true, &r), SIP_WHOLE);
	assert_int_equal(r.code, 404);
	assert_true(sip_response_answers(&r, &ids));
}

static void every_cut_of_a_stream_wants_more(void **state)
{
	static const char text[] = "SIP/2.0 200 OK\r\nv: SIP/2.0/TCP h;branch=b\r\ni: c\r\nCSeq: 1 OPTIONS\r\nl: 4\r\n\r\nbody";
	struct sip_response r;
	char cut[sizeof text];

	(void)state;
	for (size_t n = 0; n < sizeof text - 1; n++) {
		memcpy(cut, text, n);
		cut[n] = '\0';
		assert_int_equal(decode(cut, true, &r), SIP_MORE);
		assert_int_equal(decode(cut, false, &r), SIP_INVALID);
	}
	assert_int_equal(decode(text, true, &r), SIP_WHOLE);
}

#define VIA "v: SIP/2.0/TCP h;branch=b\r\ni: c\r\nCSeq: 1 OPTIONS\r\n"

static void what_is_no_response_is_told_why(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\n\r\n", "it is no response of SIP/2.0"},
		{"SIP/2.0 20\r\n\r\n", "it is no response of SIP/2.0"},
		{"SIP/2.0 099 x\r\n" VIA "\r\n", "its status is no code from 100 to 699"},
		{"SIP/2.0 700 x\r\n" VIA "\r\n", "its status is no code from 100 to 699"},
		{"SIP/2.0 2000 x\r\n" VIA "\r\n", "its status is no code from 100 to 699"},
		{"SIP/2.0 200 x\r\nno header\r\n" VIA "\r\n", "a header has no colon"},
		{"SIP/2.0 200 x\r\ni: c\r\nl: 0\r\n\r\n", "it lacks Via, Call-ID or CSeq"},
		{"SIP/2.0 200 x\r\n" VIA "i: d\r\nl: 0\r\n\r\n", "it has two Call-IDs"},
		{"SIP/2.0 200 x\r\n" VIA "l: 1\r\nContent-Length: 2\r\n\r\n", "it has two Content-Lengths"},
		{"SIP/2.0 200 x\r\n" VIA "l: -1\r\n\r\n", "its Content-Length is no number"},
		{"SIP/2.0 200 x\r\n" VIA "l: 99999999999999999999\r\n\r\n", "its Content-Length is no number"},
		{"SIP/2.0 200 x\r\n" VIA "l: 65537\r\n\r\n", "its body is larger than 64 KiB"},
		{"SIP/2.0 200 x\r\n" VIA "\r\n", "it has no Content-Length"},
		{"SIP/2.0 200 x\r\nCSeq: OPTIONS\r\n\r\n", "its CSeq is no number and method"},
	};
	struct sip_response r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(decode(cases[i].text, true, &r), SIP_INVALID);
		assert_string_equal(r.words, cases[i].words);
	}
}

static void a_head_without_end_is_given_up(void **state)
{
	char *flood = malloc(SIP_HEAD_MAX + 2);
	struct sip_response r;

	(void)state;
	memset(flood, 'x', SIP_HEAD_MAX + 1);
	flood[SIP_HEAD_MAX + 1] = '\0';
	assert_int_equal(decode(flood, true, &r), SIP_INVALID);
	assert_string_equal(r.words, "its headers are longer than 16 KiB");
	memset(flood, '\n', SIP_HEAD_MAX + 1);
	assert_int_equal(decode(flood, true, &r), SIP_INVALID);
	free(flood);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_has_all_that_the_standard_wants),
		cmocka_unit_test(a_response_is_read_and_matched),
		cmocka_unit_test(compact_folded_and_oddly_written_headers_are_read),
		cmocka_unit_test(every_cut_of_a_stream_wants_more),
		cmocka_unit_test(what_is_no_response_is_told_why),
		cmocka_unit_test(a_head_without_end_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "probes/tls_starttls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1

struct dialogue {
	enum starttls_kind kind;
	enum starttls_step step;
	const char *said; /* by us, in all; NULL: not looked at */
	const char *words;
	const char *bytes; /* of the server */
	size_t len;
};

static const struct dialogue rows[] = {
	{STARTTLS_SMTP, STARTTLS_READY, "EHLO xunjian.invalid\r\nSTARTTLS\r\n", "",
		BYTES("220-a\r\n220 b\r\n250-x\r\n250-SIZE 1\r\n250-STARTTLS\r\n250 HELP\r\n220 go\r\n")},
	{STARTTLS_SMTP, STARTTLS_READY, NULL, "", BYTES("220\n250 starttls\n220\n")},
	{STARTTLS_SMTP, STARTTLS_FAILED, "EHLO xunjian.invalid\r\n", "STARTTLS is not offered",
		BYTES("220 b\r\n250-STARTTLSX\r\n250 HELP\r\n")},
	{STARTTLS_SMTP, STARTTLS_FAILED, "", "greeting is not 220: 421 busy", BYTES("421 busy\r\n")},
	{STARTTLS_SMTP, STARTTLS_FAILED, NULL, "EHLO is refused: 502 no", BYTES("220 b\r\n502 no\r\n")},
	{STARTTLS_SMTP, STARTTLS_FAILED, NULL, "STARTTLS is refused: 454 later",
		BYTES("220 b\r\n250 STARTTLS\r\n454 later\r\n")},
	{STARTTLS_SMTP, STARTTLS_FAILED, NULL, "speaks on before TLS has begun (4 bytes)",
		BYTES("220 b\r\n250 STARTTLS\r\n220 go\r\n250 ")},
	{STARTTLS_IMAP, STARTTLS_READY, "x STARTTLS\r\n", "", BYTES("* OK [CAPABILITY] hi\r\n* FLAGS\r\nx ok go\r\n")},
	{STARTTLS_IMAP, STARTTLS_FAILED, "", "greeting is not OK: * PREAUTH you", BYTES("* PREAUTH you\r\n")},
	{STARTTLS_IMAP, STARTTLS_FAILED, NULL, "STARTTLS is refused: x NO", BYTES("* OK\r\nx NO\r\n")},
	{STARTTLS_IMAP, STARTTLS_FAILED, NULL, "STARTTLS is refused: * BYE", BYTES("* OK\r\n* BYE\r\n")},
	{STARTTLS_LDAP, STARTTLS_READY, NULL, "", BYTES("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00")},
	{STARTTLS_LDAP, STARTTLS_READY, NULL, "",
		BYTES("\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00")},
	{STARTTLS_LDAP, STARTTLS_FAILED, NULL, "STARTTLS is refused with result code 1",
		BYTES("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x01\x04\x00\x04\x00")},
	{STARTTLS_LDAP, STARTTLS_FAILED, NULL, "STARTTLS is not offered (protocolError)",
		BYTES("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00")},
	{STARTTLS_LDAP, STARTTLS_FAILED, NULL, "the answer is not LDAP", BYTES("HTTP/1.1")},
	{STARTTLS_LDAP, STARTTLS_FAILED, NULL, "the answer is not LDAP", BYTES("\x30\x80\x00")},
	{STARTTLS_LDAP, STARTTLS_FAILED, NULL, "the answer is not LDAP", BYTES("\x30\x83\xff\xff\xff")},
	{STARTTLS_LDAP, STARTTLS_FAILED, NULL, "the answer is not LDAP",
		BYTES("\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00")},
	{STARTTLS_LDAP, STARTTLS_FAILED, NULL, "the answer is not LDAP",
		BYTES("\x30\x0c\x02\x01\x01\x78\x7f\x0a\x01\x00\x04\x00\x04\x00")},
	{STARTTLS_POSTGRES, STARTTLS_READY, NULL, "", BYTES("S")},
	{STARTTLS_POSTGRES, STARTTLS_FAILED, NULL, "TLS is not offered", BYTES("N")},
	{STARTTLS_POSTGRES, STARTTLS_FAILED, NULL, "the server answers with an error", BYTES("E")},
	{STARTTLS_POSTGRES, STARTTLS_FAILED, NULL, "the answer is not PostgreSQL", BYTES("220")},
	{STARTTLS_POSTGRES, STARTTLS_FAILED, NULL, "speaks on before TLS has begun (1 bytes)", BYTES("SX")},
};

/* A dialogue in pieces of n bytes; all that we say into said. */
static enum starttls_step talk(const struct dialogue *d, struct starttls *s, size_t n, struct buf *said)
{
	enum starttls_step step = STARTTLS_MORE;

	starttls_init(s, d->kind);
	buf_add(said, s->out.data, s->out.len);
	for (size_t at = 0; at < d->len && step == STARTTLS_MORE; at += n) {
		step = starttls_feed(s, d->bytes + at, d->len - at < n ? d->len - at : n);
		buf_add(said, s->out.data, s->out.len);
	}
	return step;
}

static void each_dialogue_ends_as_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		/* What stands behind the end is only seen when it comes with it. */
		size_t least = strstr(rows[i].words, "speaks on") != NULL ? rows[i].len : 1;

		for (size_t n = least; n <= rows[i].len; n++) {
			struct starttls s;
			struct buf said = {0};

			assert_int_equal(talk(&rows[i], &s, n, &said), rows[i].step);
			assert_string_equal(s.words, rows[i].words);
			if (rows[i].said != NULL)
				assert_string_equal(buf_text(&said), rows[i].said);
			buf_fini(&said);
			starttls_fini(&s);
		}
	}
}

static void the_first_word_is_ours_where_the_protocol_says_so(void **state)
{
	static const struct {
		enum starttls_kind kind;
		size_t len;
	} firsts[] = {{STARTTLS_SMTP, 0}, {STARTTLS_IMAP, 0}, {STARTTLS_LDAP, 31}, {STARTTLS_POSTGRES, 8}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct starttls s;

		starttls_init(&s, firsts[i].kind);
		assert_int_equal(s.out.len, firsts[i].len);
		if (firsts[i].kind == STARTTLS_LDAP)
			assert_int_equal(s.out.data[1], s.out.len - 2);
		starttls_fini(&s);
	}
}

static void endless_talk_is_cut(void **state)
{
	(void)state;
	for (int kind = STARTTLS_SMTP; kind <= STARTTLS_IMAP; kind++) {
		struct starttls s;
		size_t n = 0;

		starttls_init(&s, (enum starttls_kind)kind);
		starttls_feed(&s, "* OK\r\n", kind == STARTTLS_IMAP ? 6 : 0);
		while (starttls_feed(&s, "220-x\r\n", 7) == STARTTLS_MORE)
			n++;
		assert_string_equal(s.words, "more than 16 KiB before TLS");
		assert_in_range(n, STARTTLS_MAX / 7 - 1, STARTTLS_MAX / 7);
		starttls_fini(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_dialogue_ends_as_it_should),
		cmocka_unit_test(the_first_word_is_ours_where_the_protocol_says_so),
		cmocka_unit_test(endless_talk_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

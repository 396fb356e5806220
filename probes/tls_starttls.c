#include "probes/tls_starttls.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define QUOTED_MAX 80 /* bytes of an answer that are told */

/* LDAPMessage 1, ExtendedRequest 1.3.6.1.4.1.1466.20037. */
static const uint8_t ldap_request[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" "1.3.6.1.4.1.1466.20037";
static const uint8_t postgres_request[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};

const char *starttls_name(enum starttls_kind kind)
{
	static const char *const names[] = {"TLS", "SMTP", "IMAP", "LDAP", "PostgreSQL"};

	return names[kind];
}

unsigned starttls_port(enum starttls_kind kind)
{
	static const unsigned ports[] = {443, 25, 143, 389, 5432};

	return ports[kind];
}

void starttls_init(struct starttls *s, enum starttls_kind kind)
{
	assert(kind != STARTTLS_NONE);
	*s = (struct starttls){.kind = kind};
	if (kind == STARTTLS_LDAP)
		buf_add(&s->out, ldap_request, sizeof ldap_request - 1);
	else if (kind == STARTTLS_POSTGRES)
		buf_add(&s->out, postgres_request, sizeof postgres_request);
}

void starttls_fini(struct starttls *s)
{
	buf_fini(&s->in);
	buf_fini(&s->out);
}

static enum starttls_step fail(struct starttls *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static enum starttls_step fail(struct starttls *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->words, sizeof s->words, format, ap);
	va_end(ap);
	return STARTTLS_FAILED;
}

static enum starttls_step fail_quoting(struct starttls *s, const char *what, const char *line, size_t len)
{
	return fail(s, "%s: %.*s", what, len < QUOTED_MAX ? (int)len : QUOTED_MAX, line);
}

static enum starttls_step say(struct starttls *s, const char *text)
{
	buf_add_text(&s->out, text);
	s->turn++;
	return STARTTLS_MORE;
}

static bool starts_with(const char *line, size_t len, const char *word)
{
	return len >= strlen(word) && strncasecmp(line, word, strlen(word)) == 0;
}

/* ---- SMTP */

static enum starttls_step smtp_line(struct starttls *s, const char *line, size_t len)
{
	static const char *const wanted[] = {"220", "250", "220"};
	static const char *const bad[] = {"greeting is not 220", "EHLO is refused", "STARTTLS is refused"};

	if (len < 3 || strncmp(line, wanted[s->turn], 3) != 0)
		return fail_quoting(s, bad[s->turn], line, len);
	if (s->turn == 1 && len >= 12 && starts_with(line + 4, len - 4, "STARTTLS") && (len == 12 || line[12] == ' '))
		s->is_offered = true;
	if (len > 3 && line[3] == '-')
		return STARTTLS_MORE;
	if (s->turn == 0)
		return say(s, "EHLO xunjian.invalid\r\n");
	if (s->turn == 1 && !s->is_offered)
		return fail(s, "STARTTLS is not offered");
	return s->turn == 1 ? say(s, "STARTTLS\r\n") : STARTTLS_READY;
}

/* ---- IMAP */

static enum starttls_step imap_line(struct starttls *s, const char *line, size_t len)
{
	if (s->turn == 0)
		return starts_with(line, len, "* OK") ? say(s, "x STARTTLS\r\n")
						      : fail_quoting(s, "greeting is not OK", line, len);
	if (starts_with(line, len, "* BYE"))
		return fail_quoting(s, "STARTTLS is refused", line, len);
	if (!starts_with(line, len, "x "))
		return STARTTLS_MORE; /* untagged */
	return starts_with(line, len, "x OK") ? STARTTLS_READY : fail_quoting(s, "STARTTLS is refused", line, len);
}

/* Lines that are whole. */
static enum starttls_step feed_lines(struct starttls *s)
{
	enum starttls_step step = STARTTLS_MORE;
	size_t at = 0;
	uint8_t *newline;

	while (step == STARTTLS_MORE &&
		(newline = s->in.len > at ? memchr(s->in.data + at, '\n', s->in.len - at) : NULL) != NULL) {
		const char *line = (const char *)s->in.data + at;
		size_t len = (size_t)((const char *)newline - line);

		at += len + 1;
		if (len > 0 && line[len - 1] == '\r')
			len--;
		step = s->kind == STARTTLS_SMTP ? smtp_line(s, line, len) : imap_line(s, line, len);
	}
	buf_drop_front(&s->in, at);
	return step;
}

/* ---- LDAP */

/* Tag and length of a BER value of definite length; -1 when the tag is another one or it does not fit. */
static int ber_enter(struct cursor *c, uint8_t tag)
{
	size_t len, bytes;

	if (cursor_u8(c) != tag)
		return -1;
	len = cursor_u8(c);
	if (len >= 0x80) {
		bytes = len & 0x7f;
		if (bytes == 0 || bytes > 4)
			return -1;
		for (len = 0; bytes > 0; bytes--)
			len = len << 8 | cursor_u8(c);
	}
	if (c->failed || len > cursor_left(c))
		return -1;
	c->end = c->at + len;
	return 0;
}

/* Bytes of the message at the beginning; 0: not known yet; -1: none that is wanted. */
static int ldap_length(const struct buf *in)
{
	size_t len, bytes;

	if (in->len > 0 && in->data[0] != 0x30)
		return -1;
	if (in->len < 2)
		return 0;
	if (in->data[1] < 0x80)
		return 2 + in->data[1];
	bytes = in->data[1] & 0x7f;
	if (bytes == 0 || bytes > 4)
		return -1;
	if (in->len < 2 + bytes)
		return 0;
	len = 0;
	for (size_t i = 0; i < bytes; i++)
		len = len << 8 | in->data[2 + i];
	return len <= STARTTLS_MAX ? (int)(2 + bytes + len) : -1;
}

/* The result code of the answer; -1 when it is none. */
static int ldap_result(const uint8_t *message, size_t len)
{
	struct cursor c = cursor_over(message, len), id, code;

	if (ber_enter(&c, 0x30) < 0)
		return -1;
	id = c;
	if (ber_enter(&id, 0x02) < 0 || id.end - id.at != 1 || *id.at != 1)
		return -1;
	c.at = id.end;
	if (ber_enter(&c, 0x78) < 0) /* ExtendedResponse */
		return -1;
	code = c;
	if (ber_enter(&code, 0x0a) < 0 || code.end - code.at != 1)
		return -1;
	return *code.at;
}

static enum starttls_step feed_ldap(struct starttls *s)
{
	int len = ldap_length(&s->in), code;

	if (len == 0 || (len > 0 && s->in.len < (size_t)len))
		return STARTTLS_MORE;
	code = len > 0 ? ldap_result(s->in.data, (size_t)len) : -1;
	if (code < 0)
		return fail(s, "the answer is not LDAP");
	if (code == 2)
		return fail(s, "STARTTLS is not offered (protocolError)");
	if (code != 0)
		return fail(s, "STARTTLS is refused with result code %d", code);
	buf_drop_front(&s->in, (size_t)len);
	return STARTTLS_READY;
}

/* ---- PostgreSQL */

static enum starttls_step feed_postgres(struct starttls *s)
{
	char first = s->in.len > 0 ? (char)s->in.data[0] : '\0';

	if (s->in.len == 0)
		return STARTTLS_MORE;
	if (first == 'N')
		return fail(s, "TLS is not offered");
	if (first == 'E')
		return fail(s, "the server answers with an error");
	if (first != 'S')
		return fail(s, "the answer is not PostgreSQL");
	buf_drop_front(&s->in, 1);
	return STARTTLS_READY;
}

enum starttls_step starttls_feed(struct starttls *s, const void *data, size_t len)
{
	enum starttls_step step;

	buf_clear(&s->out);
	s->total += len;
	if (s->total > STARTTLS_MAX)
		return fail(s, "more than %u KiB before TLS", STARTTLS_MAX >> 10);
	buf_add(&s->in, data, len);
	if (s->kind == STARTTLS_LDAP)
		step = feed_ldap(s);
	else if (s->kind == STARTTLS_POSTGRES)
		step = feed_postgres(s);
	else
		step = feed_lines(s);
	if (step == STARTTLS_READY && s->in.len > 0)
		return fail(s, "speaks on before TLS has begun (%zu bytes)", s->in.len);
	return step;
}

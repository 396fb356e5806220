#include "probes/sip_message.h"

#include <string.h>
#include <strings.h>

/* ---- out */

void sip_request_encode(const struct sip_request *q, struct buf *out)
{
	const struct sip_ids *i = q->ids;

	buf_add_format(out, "OPTIONS %s SIP/2.0\r\n", q->target);
	buf_add_format(out, "Via: SIP/2.0/%s %s;branch=%s;rport\r\n", q->transport, q->local, i->branch);
	buf_add_format(out, "Max-Forwards: 70\r\nFrom: <sip:xunjian@%s>;tag=%s\r\n", q->local, i->tag);
	buf_add_format(out, "To: <%s>\r\nCall-ID: %s\r\nCSeq: %u OPTIONS\r\n", q->target, i->call_id, i->sequence);
	buf_add_format(out, "Contact: <sip:xunjian@%s;transport=%s>\r\n", q->local, q->transport);
	buf_add_format(out, "Accept: application/sdp\r\n");
	buf_add_format(out, "User-Agent: %s\r\nContent-Length: 0\r\n\r\n", q->user_agent);
}

/* ---- in */

struct span {
	const char *at;
	size_t len;
};

struct seen {
	bool via, call_id, sequence, length;
	size_t body;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct span trim(const char *at, size_t len)
{
	while (len > 0 && is_blank(*at))
		at++, len--;
	while (len > 0 && is_blank(at[len - 1]))
		len--;
	return (struct span){at, len};
}

static bool is_word(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.at, word, s.len) == 0;
}

/* What does not fit, or hides a NUL, is not ours: "". */
static void copy(struct span s, char *out, size_t room)
{
	out[0] = '\0';
	if (s.len >= room || memchr(s.at, '\0', s.len) != NULL)
		return;
	memcpy(out, s.at, s.len);
	out[s.len] = '\0';
}

/* Digits at the front; how many, 0 when there are none or too many for any use. */
static size_t digits(struct span s, unsigned *value)
{
	size_t n = 0;

	*value = 0;
	for (; n < s.len && is_digit(s.at[n]); n++) {
		if (n == 9)
			return 0;
		*value = *value * 10 + (unsigned)(s.at[n] - '0');
	}
	return n;
}

/* The next line with those folded into it (a CR LF or LF, then blanks). False: no end of line. */
static bool take_line(struct span *rest, struct span *line)
{
	size_t at = 0;

	for (;;) {
		const char *end = at < rest->len ? memchr(rest->at + at, '\n', rest->len - at) : NULL;

		if (end == NULL)
			return false;
		at = (size_t)(end - rest->at) + 1;
		if (at == rest->len || (rest->at[at] != ' ' && rest->at[at] != '\t'))
			break;
	}
	*line = (struct span){rest->at, at};
	*rest = (struct span){rest->at + at, rest->len - at};
	return true;
}

/* Bytes up to and with the empty line; 0: it is not there. */
static size_t head_length(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '\n')
			continue;
		if (i + 1 < s.len && s.at[i + 1] == '\n')
			return i + 2;
		if (i + 2 < s.len && s.at[i + 1] == '\r' && s.at[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

/* The parameter of the first of the Vias in a value, which a comma outside of quotes ends. */
static void read_via(struct span v, char *branch)
{
	size_t from = 0;
	bool quoted = false;

	branch[0] = '\0';
	for (size_t i = 0; i <= v.len; i++) {
		bool is_end = i == v.len || (!quoted && (v.at[i] == ',' || v.at[i] == ';'));

		if (i < v.len && v.at[i] == '"')
			quoted = !quoted;
		if (!is_end)
			continue;
		struct span p = trim(v.at + from, i - from);
		const char *equals = p.len > 0 ? memchr(p.at, '=', p.len) : NULL;

		if (equals != NULL && is_word(trim(p.at, (size_t)(equals - p.at)), "branch")) {
			copy(trim(equals + 1, p.len - (size_t)(equals + 1 - p.at)), branch, SIP_TOKEN_MAX);
			return;
		}
		if (i == v.len || v.at[i] == ',')
			return;
		from = i + 1;
	}
}

static const char *read_sequence(struct span v, struct sip_response *r)
{
	size_t n = digits(v, &r->sequence);

	if (n == 0 || n == v.len || !is_blank(v.at[n]))
		return "its CSeq is no number and method";
	copy(trim(v.at + n, v.len - n), r->method, sizeof r->method);
	return NULL;
}

static const char *read_length(struct span v, struct seen *seen)
{
	unsigned n;

	if (v.len == 0 || digits(v, &n) != v.len)
		return "its Content-Length is no number";
	if (seen->length && seen->body != n)
		return "it has two Content-Lengths";
	if (n > SIP_BODY_MAX)
		return "its body is larger than 64 KiB";
	seen->length = true;
	seen->body = n;
	return NULL;
}

/* NULL, or what is wrong with it. */
static const char *read_header(struct span line, struct seen *seen, struct sip_response *r)
{
	const char *colon = memchr(line.at, ':', line.len);
	struct span name, value;

	if (colon == NULL)
		return "a header has no colon";
	name = trim(line.at, (size_t)(colon - line.at));
	value = trim(colon + 1, line.len - (size_t)(colon + 1 - line.at));
	if (is_word(name, "via") || is_word(name, "v")) {
		if (!seen->via)
			read_via(value, r->branch);
		seen->via = true;
	} else if (is_word(name, "call-id") || is_word(name, "i")) {
		if (seen->call_id)
			return "it has two Call-IDs";
		seen->call_id = true;
		copy(value, r->call_id, sizeof r->call_id);
	} else if (is_word(name, "cseq")) {
		if (seen->sequence)
			return "it has two CSeqs";
		seen->sequence = true;
		return read_sequence(value, r);
	} else if (is_word(name, "content-length") || is_word(name, "l")) {
		return read_length(value, seen);
	}
	return NULL;
}

static const char *read_status(struct span line, struct sip_response *r)
{
	static const char version[] = "SIP/2.0 ";
	const size_t at = sizeof version - 1;
	struct span code, reason;

	line = trim(line.at, line.len);
	if (line.len < at + 3 || strncasecmp(line.at, version, at) != 0)
		return "it is no response of SIP/2.0";
	code = (struct span){line.at + at, 3};
	if (digits(code, &r->code) != 3 || r->code < 100 || r->code > 699)
		return "its status is no code from 100 to 699";
	if (line.len > at + 3 && line.at[at + 3] != ' ')
		return "its status is no code from 100 to 699";
	reason = trim(line.at + at + 3, line.len - at - 3);
	if (reason.len >= sizeof r->reason)
		reason.len = sizeof r->reason - 1;
	copy(reason, r->reason, sizeof r->reason);
	return NULL;
}

static const char *read_head(struct span head, struct seen *seen, struct sip_response *r)
{
	struct span line;
	const char *wrong;

	if (!take_line(&head, &line))
		return "it is no response of SIP/2.0";
	wrong = read_status(line, r);
	while (wrong == NULL && take_line(&head, &line) && trim(line.at, line.len).len > 0)
		wrong = read_header(line, seen, r);
	if (wrong == NULL && (!seen->via || !seen->call_id || !seen->sequence))
		return "it lacks Via, Call-ID or CSeq";
	return wrong;
}

static enum sip_step invalid(struct sip_response *r, const char *words)
{
	r->words = words;
	return SIP_INVALID;
}

enum sip_step sip_response_decode(const void *data, size_t len, bool is_stream, struct sip_response *r)
{
	struct span all = {data, len};
	struct seen seen = {.via = false};
	size_t skipped = 0, head;
	const char *wrong;

	*r = (struct sip_response){.words = ""};
	while (skipped < len && (all.at[skipped] == '\r' || all.at[skipped] == '\n'))
		skipped++;
	if (skipped > SIP_HEAD_MAX)
		return invalid(r, "it is nothing but empty lines");
	all = (struct span){all.at + skipped, len - skipped};
	head = head_length(all);
	if (head > SIP_HEAD_MAX || (head == 0 && all.len > SIP_HEAD_MAX))
		return invalid(r, "its headers are longer than 16 KiB");
	if (head == 0)
		return is_stream ? SIP_MORE : invalid(r, "its headers have no end");
	wrong = read_head((struct span){all.at, head}, &seen, r);
	if (wrong == NULL && is_stream && !seen.length)
		wrong = "it has no Content-Length";
	if (wrong != NULL)
		return invalid(r, wrong);
	if (!seen.length)
		seen.body = all.len - head;
	if (all.len - head < seen.body)
		return is_stream ? SIP_MORE : invalid(r, "its body is shorter than it says");
	r->len = skipped + head + seen.body;
	return SIP_WHOLE;
}

/* All of it is ours and must come back as it was sent. */
bool sip_response_answers(const struct sip_response *r, const struct sip_ids *i)
{
	return strcmp(r->branch, i->branch) == 0 && strcmp(r->call_id, i->call_id) == 0 &&
		r->sequence == i->sequence && strcmp(r->method, "OPTIONS") == 0;
}

#include "probes/dns_packet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

#define HEAD 12
#define CLASS_IN 1
#define ALIASES_MAX 16
#define JUMPS_MAX 32 /* pointers in one name: no server writes more than a few, and each costs */
#define EDNS_EXTENDED_ERROR 15

/* ---- queries */

static uint8_t *put16(uint8_t *p, unsigned v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

size_t dns_query_encode(const struct dns_query *q, uint8_t out[DNS_QUERY_MAX])
{
	uint8_t *p = out;

	assert(q->edns || !q->dnssec_ok);
	p = put16(p, q->id);
	p = put16(p, (q->recursion ? 0x0100 : 0) | (q->edns ? 0x0020 : 0)); /* AD in a query: it shall be said (RFC 6840 section 5.7) */
	p = put16(p, 1);
	p = put16(p, 0);
	p = put16(p, 0);
	p = put16(p, q->edns ? 1 : 0);
	memcpy(p, q->name, q->name_len);
	p = put16(p + q->name_len, q->type);
	p = put16(p, CLASS_IN);
	if (q->edns) {
		*p++ = 0;
		p = put16(p, DNS_OPT);
		p = put16(p, DNS_UDP_SIZE);
		p = put16(p, 0);
		p = put16(p, q->dnssec_ok ? 0x8000 : 0);
		p = put16(p, 0);
	}
	return (size_t)(p - out);
}

/* ---- bytes of a message */

/* A place in a message with a sticky failure, as struct cursor has it; big-endian, and able to go back for names. */
struct place {
	const uint8_t *data;
	size_t at, end;
	bool failed;
};

static bool has(struct place *p, size_t n)
{
	if (p->failed || p->end - p->at < n)
		p->failed = true;
	return !p->failed;
}

static unsigned get8(struct place *p)
{
	return has(p, 1) ? p->data[p->at++] : 0;
}

static unsigned get16(struct place *p)
{
	if (!has(p, 2))
		return 0;
	p->at += 2;
	return (unsigned)p->data[p->at - 2] << 8 | p->data[p->at - 1];
}

static uint32_t get32(struct place *p)
{
	uint32_t high = get16(p);

	return high << 16 | get16(p);
}

static void skip(struct place *p, size_t n)
{
	if (has(p, n))
		p->at += n;
}

/* A name, its pointers followed: each leads before the place where the labels that led to it began, so the walk ends. */
static size_t get_name(struct place *p, uint8_t out[DNS_NAME_MAX])
{
	size_t at = p->at, began = p->at, len = 0;
	unsigned jumps = 0;

	for (;;) {
		unsigned n = at < p->end ? p->data[at] : 0xff;

		if (n >= 0xc0 && at + 1 < p->end) {
			size_t to = (n & 0x3fu) << 8 | p->data[at + 1];

			if (jumps++ == 0)
				p->at = at + 2;
			if (to >= began || to < HEAD || jumps > JUMPS_MAX)
				break;
			at = began = to;
		} else if (n <= DNS_LABEL_MAX && at + 1 + n <= p->end && len + 1 + n <= DNS_NAME_MAX) {
			memcpy(out + len, p->data + at, 1 + n);
			len += 1 + n;
			at += 1 + n;
			if (n == 0) {
				if (jumps == 0)
					p->at = at;
				return len;
			}
		} else {
			break;
		}
	}
	p->failed = true;
	out[0] = 0;
	return 1;
}

static void get_record(struct place *p, struct dns_record *r)
{
	r->name_len = get_name(p, r->name);
	r->type = get16(p);
	r->class = get16(p);
	r->ttl = get32(p);
	/* RFC 2181 section 8: with the upper bit set it is zero. */
	if (r->ttl > INT32_MAX && r->type != DNS_OPT)
		r->ttl = 0;
	r->len = get16(p);
	r->at = p->at;
	skip(p, r->len);
}

/* ---- messages */

int dns_message_head(const void *data, size_t len, struct dns_message *m, struct err *e)
{
	struct place p = {.data = data, .end = len};
	unsigned flags;

	*m = (struct dns_message){.data = data, .len = len, .error = -1};
	m->id = (uint16_t)get16(&p);
	flags = get16(&p);
	m->is_response = (flags & 0x8000) != 0;
	m->opcode = flags >> 11 & 15;
	m->authoritative = (flags & 0x0400) != 0;
	m->truncated = (flags & 0x0200) != 0;
	m->recursion_available = (flags & 0x0080) != 0;
	m->authentic = (flags & 0x0020) != 0;
	m->rcode = flags & 15;
	m->questions = get16(&p);
	m->answers = get16(&p);
	m->authorities = get16(&p);
	m->additionals = get16(&p);
	if (p.failed)
		return err_set(e, "%zu bytes are no message", len);
	if (m->questions > 1)
		return err_set(e, "it has %u questions", m->questions);
	if (m->questions == 1) {
		m->name_len = get_name(&p, m->name);
		m->type = get16(&p);
		m->class = get16(&p);
	}
	m->answers_at = p.at;
	return p.failed ? err_set(e, "its question is damaged") : 0;
}

static void take_edns(struct dns_message *m, const struct dns_record *r)
{
	struct place p = {.data = m->data, .at = r->at, .end = r->at + r->len};

	m->has_edns = true;
	m->rcode |= (r->ttl >> 24) << 4;
	while (p.at < p.end && !p.failed) {
		unsigned code = get16(&p), len = get16(&p);
		size_t at = p.at;

		skip(&p, len);
		if (!p.failed && code == EDNS_EXTENDED_ERROR && len >= 2 && m->error < 0)
			m->error = m->data[at] << 8 | m->data[at + 1];
	}
}

int dns_message_records(struct dns_message *m, struct err *e)
{
	struct place p = {.data = m->data, .at = m->answers_at, .end = m->len};
	unsigned count = m->answers + m->authorities + m->additionals, servers = 0, soas = 0;

	for (unsigned i = 0; i < count; i++) {
		bool in_authority = i >= m->answers && i < m->answers + m->authorities;
		struct dns_record r;

		get_record(&p, &r);
		if (p.failed)
			return err_set(e, "record %u of %u is damaged", i + 1, count);
		servers += in_authority && r.type == DNS_NS;
		soas += in_authority && r.type == DNS_SOA;
		if (r.type == DNS_OPT && i >= m->answers + m->authorities && !m->has_edns)
			take_edns(m, &r);
	}
	m->referral = servers > 0 && soas == 0;
	return 0;
}

/* ---- answers */

static bool next_record(const struct dns_message *m, struct dns_walk *w, struct dns_record *r)
{
	struct place p = {.data = m->data, .at = w->at, .end = m->len};

	if (w->at == 0) {
		*w = (struct dns_walk){.at = m->answers_at, .left = m->answers};
		p.at = w->at;
	}
	if (w->left == 0)
		return false;
	get_record(&p, r);
	w->at = p.at;
	w->left--;
	return !p.failed;
}

static bool is_at(const struct dns_answers *a, const struct dns_record *r)
{
	return r->class == CLASS_IN && dns_name_equal(a->name, a->name_len, r->name, r->name_len);
}

/* One step along a CNAME of the name; false when there is none that leads on. */
static bool step(const struct dns_message *m, struct dns_answers *a)
{
	struct dns_walk w = {0};
	struct dns_record r;

	while (next_record(m, &w, &r)) {
		struct place p = {.data = m->data, .at = r.at, .end = m->len};

		if (r.type != DNS_CNAME || !is_at(a, &r))
			continue;
		a->ttl = r.ttl < a->ttl ? r.ttl : a->ttl;
		a->name_len = get_name(&p, a->name);
		a->aliases++;
		return !p.failed;
	}
	return false;
}

static bool is_wanted(const struct dns_answers *a, unsigned type, const struct dns_record *r)
{
	return (r->type == type || type == DNS_ANY) && is_at(a, r);
}

static void count_answers(const struct dns_message *m, unsigned type, struct dns_answers *a)
{
	struct dns_walk w = {0};
	struct dns_record r;

	while (next_record(m, &w, &r)) {
		if (is_wanted(a, type, &r)) {
			a->count++;
			a->ttl = r.ttl < a->ttl ? r.ttl : a->ttl;
		}
		if (r.type == DNS_RRSIG && is_at(a, &r) && r.len >= 2 &&
			(unsigned)(m->data[r.at] << 8 | m->data[r.at + 1]) == type)
			a->has_signature = true;
	}
}

void dns_message_follow(const struct dns_message *m, unsigned type, struct dns_answers *a)
{
	*a = (struct dns_answers){.name_len = m->name_len, .ttl = UINT32_MAX};
	memcpy(a->name, m->name, m->name_len);
	if (type != DNS_CNAME && type != DNS_ANY) {
		while (a->aliases < ALIASES_MAX && step(m, a))
			;
	}
	count_answers(m, type, a);
	if (a->ttl == UINT32_MAX)
		a->ttl = 0;
}

bool dns_answer_next(const struct dns_message *m, const struct dns_answers *a, unsigned type, struct dns_walk *w,
	struct dns_record *r)
{
	while (next_record(m, w, r)) {
		if (is_wanted(a, type, r))
			return true;
	}
	return false;
}

/* ---- data as text */

static void add_name(struct place *p, struct buf *out)
{
	uint8_t name[DNS_NAME_MAX];
	char text[DNS_NAME_TEXT];

	get_name(p, name);
	buf_add_text(out, dns_name_text(name, text));
}

static void add_hex(struct place *p, struct buf *out)
{
	while (p->at < p->end && !p->failed)
		buf_add_format(out, "%02x", get8(p));
}

static void add_base64(struct place *p, struct buf *out)
{
	static const char signs[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	while (p->at < p->end && !p->failed) {
		size_t n = p->end - p->at < 3 ? p->end - p->at : 3;
		uint32_t v = 0;

		for (size_t i = 0; i < 3; i++)
			v = v << 8 | (i < n ? get8(p) : 0);
		for (size_t i = 0; i < 4; i++)
			buf_add_u8(out, (uint8_t)(i <= n ? signs[v >> (18 - 6 * i) & 63] : '='));
	}
}

static void add_string(struct place *p, struct buf *out)
{
	size_t n = get8(p);

	if (has(p, n))
		buf_add(out, p->data + p->at, n);
	skip(p, n);
}

static void add_address(struct place *p, int family, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];
	size_t n = family == AF_INET ? 4 : 16;

	if (has(p, n))
		buf_add_text(out, inet_ntop(family, p->data + p->at, text, sizeof text));
	skip(p, n);
}

static void add_soa(struct place *p, struct buf *out)
{
	add_name(p, out);
	buf_add_text(out, " ");
	add_name(p, out);
	for (int i = 0; i < 5; i++)
		buf_add_format(out, " %u", get32(p));
}

static void add_srv(struct place *p, struct buf *out)
{
	for (int i = 0; i < 3; i++)
		buf_add_format(out, "%u ", get16(p));
	add_name(p, out);
}

static void add_caa(struct place *p, struct buf *out)
{
	buf_add_format(out, "%u ", get8(p));
	add_string(p, out);
	buf_add_text(out, " \"");
	buf_add(out, p->data + p->at, p->end - p->at);
	buf_add_text(out, "\"");
	p->at = p->end;
}

/* Three small numbers before bytes: DS, TLSA, DNSKEY. */
static void add_numbers(struct place *p, bool first_wide, bool second_wide, struct buf *out)
{
	unsigned first = first_wide ? get16(p) : get8(p), second = second_wide ? get16(p) : get8(p);

	buf_add_format(out, "%u %u %u ", first, second, get8(p));
}

/* False: a type without a form of its own. */
static bool add_known(struct place *p, unsigned type, struct buf *out)
{
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		add_address(p, type == DNS_A ? AF_INET : AF_INET6, out);
		return true;
	case DNS_MX:
		buf_add_format(out, "%u ", get16(p));
		add_name(p, out);
		return true;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
	case DNS_DNAME:
		add_name(p, out);
		return true;
	case DNS_TXT:
	case DNS_SPF:
		while (p->at < p->end && !p->failed)
			add_string(p, out);
		return true;
	case DNS_SOA:
		add_soa(p, out);
		return true;
	case DNS_SRV:
		add_srv(p, out);
		return true;
	case DNS_CAA:
		add_caa(p, out);
		return true;
	case DNS_DS:
		add_numbers(p, true, false, out);
		add_hex(p, out);
		return true;
	case DNS_TLSA:
		add_numbers(p, false, false, out);
		add_hex(p, out);
		return true;
	case DNS_DNSKEY:
		add_numbers(p, true, false, out);
		add_base64(p, out);
		return true;
	default:
		return false;
	}
}

void dns_record_text(const struct dns_message *m, const struct dns_record *r, struct buf *out)
{
	/* Names in the data lead back into the message, never behind the data. */
	struct place p = {.data = m->data, .at = r->at, .end = r->at + r->len};
	size_t len = out->len;

	if (add_known(&p, r->type, out) && !p.failed && p.at == p.end)
		return;
	out->len = len;
	p = (struct place){.data = m->data, .at = r->at, .end = r->at + r->len};
	buf_add_format(out, r->len > 0 ? "\\# %zu " : "\\# %zu", r->len);
	add_hex(&p, out);
}

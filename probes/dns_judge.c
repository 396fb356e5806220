#include "probes/dns_judge.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/match.h"

#define LIST_MAX 8 /* answers that are named in a reason */

static bool says(struct buf *why, const char *words)
{
	buf_add_text(why, words);
	return false;
}

/* ---- what kind of answer */

static bool judge_status(const struct dns_options *o, const struct dns_message *m, struct buf *why)
{
	unsigned wanted = o->expect_status == DNS_WANT_NODATA ? DNS_NOERROR : (unsigned)o->expect_status;
	char seen[DNS_TYPE_TEXT], expected[DNS_TYPE_TEXT];
	const char *error;

	if (m->rcode == wanted)
		return true;
	buf_add_format(why, "%s, expected %s", dns_rcode_text(m->rcode, seen),
		o->expect_status == DNS_WANT_NODATA ? "NODATA" : dns_rcode_text(wanted, expected));
	error = m->error >= 0 ? dns_error_text((unsigned)m->error) : NULL;
	if (error != NULL)
		buf_add_format(why, ": %s", error);
	return false;
}

static bool judge_presence(const struct dns_options *o, const struct dns_message *m, unsigned type,
	const struct dns_answers *a, struct buf *why)
{
	char word[DNS_TYPE_TEXT], name[DNS_NAME_TEXT];
	bool wants = o->expect_status == DNS_NOERROR, is_referral = m->referral && !m->authoritative;

	if (m->rcode != DNS_NOERROR || (wants && a->count > 0) || (!wants && a->count == 0 && !is_referral))
		return true;
	if (a->count > 0)
		buf_add_format(why, "%u %s record%s, expected NODATA", a->count, dns_type_text(type, word),
			a->count > 1 ? "s" : "");
	else if (is_referral)
		buf_add_format(why, "a referral to other servers, not an answer%s",
			o->recursion && !m->recursion_available ? " (it does no recursion)" : "");
	else if (a->aliases > 0)
		buf_add_format(why, "no %s record at %s, where the alias leads", dns_type_text(type, word),
			dns_name_text(a->name, name));
	else
		buf_add_format(why, "no %s record", dns_type_text(type, word));
	return false;
}

static bool judge_security(const struct dns_options *o, const struct dns_message *m, unsigned type,
	const struct dns_answers *a, struct buf *why)
{
	char word[DNS_TYPE_TEXT];

	if (o->dnssec == DNS_SECURITY_SIGNED && a->count > 0 && !a->has_signature && type != DNS_ANY) {
		buf_add_format(why, "no signature over the %s records", dns_type_text(type, word));
		return false;
	}
	if (o->dnssec == DNS_SECURITY_VALIDATED && !m->authentic &&
		(m->rcode == DNS_NOERROR || m->rcode == DNS_NXDOMAIN))
		return says(why, "not validated: the server does not set the AD flag");
	return true;
}

/* ---- expected records */

/* Bytes that are told apart by the case of their letters. */
static bool has_case(unsigned type)
{
	return type == DNS_TXT || type == DNS_SPF || type == DNS_CAA || type == DNS_DNSKEY;
}

/* "10 Mail.gov.example." as the text of a record has it: without dots at the ends of names. */
static char *without_dots(const char *text)
{
	char *out = mem_strdup(text), *to = out;

	for (const char *p = text; *p != '\0'; p++) {
		bool at_end = p[1] == '\0' || p[1] == ' ', alone = p == text || p[-1] == ' ';

		if (*p != '.' || !at_end || alone)
			*to++ = *p;
	}
	*to = '\0';
	return out;
}

/* Whether it holds an address, and then whether that is the one expected, without text in between. */
static bool is_address(const struct dns_message *m, const struct dns_record *r, const char *expected, bool *same)
{
	size_t len = r->type == DNS_A ? 4 : 16;
	uint8_t wanted[16];

	if ((r->type != DNS_A && r->type != DNS_AAAA) || r->len != len || *expected == '~')
		return false;
	*same = inet_pton(r->type == DNS_A ? AF_INET : AF_INET6, expected, wanted) == 1 &&
		memcmp(m->data + r->at, wanted, len) == 0;
	return true;
}

static bool same_text(unsigned type, const char *expected, const char *seen)
{
	char *plain;
	bool same;

	if (has_case(type))
		return strcmp(expected, seen) == 0;
	plain = without_dots(expected);
	same = strcasecmp(plain, seen) == 0;
	free(plain);
	return same;
}

static bool fits(const char *expected, const struct match *pattern, unsigned type, struct buf *text)
{
	if (*expected == '~')
		return match_find(pattern, text->data, text->len);
	return same_text(type, expected, buf_text(text));
}

static bool is_answered(const struct dns_message *m, unsigned type, const struct dns_answers *a, const char *expected)
{
	struct dns_walk w = {0};
	struct dns_record r;
	struct buf text = {0};
	struct match pattern;
	bool found = false;
	struct err e;

	if (match_init(&pattern, expected, false, &e) < 0)
		assert(!"options are checked");
	while (!found && dns_answer_next(m, a, type, &w, &r)) {
		if (is_address(m, &r, expected, &found))
			continue;
		buf_clear(&text);
		dns_record_text(m, &r, &text);
		found = fits(expected, &pattern, r.type, &text);
	}
	match_fini(&pattern);
	buf_fini(&text);
	return found;
}

static void list_answers(const struct dns_message *m, unsigned type, const struct dns_answers *a, struct buf *why)
{
	struct dns_walk w = {0};
	struct dns_record r;

	for (unsigned i = 0; dns_answer_next(m, a, type, &w, &r); i++) {
		buf_add_text(why, i == 0 ? "" : ", ");
		if (i == LIST_MAX) {
			buf_add_format(why, "and %u more", a->count - LIST_MAX);
			return;
		}
		dns_record_text(m, &r, why);
	}
}

static bool judge_records(const struct dns_options *o, const struct dns_message *m, unsigned type,
	const struct dns_answers *a, struct buf *why)
{
	for (size_t i = 0; i < o->expect.count; i++) {
		if (is_answered(m, type, a, o->expect.items[i]))
			continue;
		buf_add_format(why, "\"%.80s\" is not among the answers: ", o->expect.items[i]);
		list_answers(m, type, a, why);
		return false;
	}
	return true;
}

bool dns_judge(const struct dns_options *o, const struct dns_message *m, unsigned type, const struct dns_answers *a,
	struct buf *why)
{
	if (!judge_status(o, m, why))
		return false;
	if (o->authoritative && !m->authoritative)
		return says(why, "lame: it answers without authority (no AA flag)");
	return judge_presence(o, m, type, a, why) && judge_security(o, m, type, a, why) &&
		judge_records(o, m, type, a, why);
}

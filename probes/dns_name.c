#include "probes/dns_name.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/num.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
	const char *word;
	unsigned number;
} types[] = {
	{"A", DNS_A}, {"AAAA", DNS_AAAA}, {"NS", DNS_NS}, {"SOA", DNS_SOA}, {"MX", DNS_MX}, {"TXT", DNS_TXT},
	{"CNAME", DNS_CNAME}, {"PTR", DNS_PTR}, {"SRV", DNS_SRV}, {"CAA", DNS_CAA}, {"DS", DNS_DS},
	{"DNSKEY", DNS_DNSKEY}, {"DNAME", DNS_DNAME}, {"RRSIG", DNS_RRSIG}, {"SSHFP", DNS_SSHFP}, {"TLSA", DNS_TLSA},
	{"SPF", DNS_SPF}, {"HINFO", 13}, {"NAPTR", 35}, {"CERT", 37}, {"NSEC", 47}, {"NSEC3", 50}, {"NSEC3PARAM", 51},
	{"SMIMEA", 53}, {"CDS", 59}, {"CDNSKEY", 60}, {"OPENPGPKEY", 61}, {"CSYNC", 62}, {"SVCB", 64}, {"HTTPS", 65},
	{"URI", 256}, {"ANY", DNS_ANY},
};

static const char *const rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN",
	"YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI", NULL, NULL, NULL, NULL, "BADVERS", "BADKEY", "BADTIME",
	"BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE"};

static const char *const errors[] = {"other", "DNSKEY algorithm not supported", "DS digest not supported",
	"stale answer", "forged answer", "DNSSEC indeterminate", "DNSSEC bogus", "signature expired",
	"signature not yet valid", "DNSKEY missing", "RRSIGs missing", "no zone key bit set", "NSEC missing",
	"cached error", "not ready", "blocked", "censored", "filtered", "prohibited", "stale NXDOMAIN answer",
	"not authoritative", "not supported", "no reachable authority", "network error", "invalid data",
	"signature expired before valid", "too early", "unsupported NSEC3 iterations"};

/* ---- names */

static int parse_labels(const char *text, uint8_t wire[DNS_NAME_MAX], struct err *e)
{
	const char *p = text;
	size_t at = 0;

	while (*p != '\0') {
		size_t n = strcspn(p, ".");

		if (n == 0)
			return err_set(e, "\"%.100s\" has an empty label", text);
		if (n > DNS_LABEL_MAX)
			return err_set(e, "a label of \"%.100s\" has more than %d bytes", text, DNS_LABEL_MAX);
		if (at + 1 + n + 1 > DNS_NAME_MAX)
			return err_set(e, "\"%.100s...\" is longer than a name may be", text);
		wire[at++] = (uint8_t)n;
		memcpy(wire + at, p, n);
		at += n;
		p += n + (p[n] == '.');
	}
	wire[at++] = 0;
	return (int)at;
}

static int reverse_v4(const uint8_t b[4], uint8_t wire[DNS_NAME_MAX], struct err *e)
{
	char text[40];

	snprintf(text, sizeof text, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
	return parse_labels(text, wire, e);
}

static int reverse_v6(const uint8_t b[16], uint8_t wire[DNS_NAME_MAX], struct err *e)
{
	char text[80];
	size_t at = 0;

	for (int i = 15; i >= 0; i--)
		at += (size_t)snprintf(text + at, sizeof text - at, "%x.%x.", b[i] & 15u, b[i] >> 4u);
	snprintf(text + at, sizeof text - at, "ip6.arpa");
	return parse_labels(text, wire, e);
}

int dns_name_parse(const char *text, bool reverse, uint8_t wire[DNS_NAME_MAX], struct err *e)
{
	uint8_t address[16];
	int family = inet_pton(AF_INET, text, address) == 1 ? AF_INET
		: inet_pton(AF_INET6, text, address) == 1   ? AF_INET6
							    : 0;

	if (family != 0 && reverse)
		return family == AF_INET ? reverse_v4(address, wire, e) : reverse_v6(address, wire, e);
	if (family != 0)
		return err_set(e, "\"%s\" is an address: only record = \"PTR\" makes a name of it", text);
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80)
			return err_set(e, "a name with other than ASCII letters must be written in its xn-- form");
		if (*p <= ' ' || *p == 0x7f || *p == '\\')
			return err_set(e, "a name has neither spaces nor \\");
	}
	if (*text == '\0')
		return err_set(e, "a name is missing: write \".\" for the root");
	return parse_labels(strcmp(text, ".") == 0 ? "" : text, wire, e);
}

static size_t put_sign(uint8_t c, char *out)
{
	if (c <= ' ' || c >= 0x7f || c == '.' || c == '\\' || c == '"')
		return (size_t)snprintf(out, 5, "\\%03u", c);
	*out = (char)tolower(c);
	return 1;
}

char *dns_name_text(const uint8_t *wire, char out[DNS_NAME_TEXT])
{
	char *at = out;

	if (*wire == 0)
		*at++ = '.';
	while (*wire != 0) {
		size_t n = *wire++;

		if (at != out)
			*at++ = '.';
		for (; n > 0; n--)
			at += put_sign(*wire++, at);
	}
	*at = '\0';
	return out;
}

/* Lengths of labels are below 'A', so that they compare as they are. Most names repeat another one to the letter. */
bool dns_name_equal(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	if (a_len != b_len)
		return false;
	if (memcmp(a, b, a_len) == 0)
		return true;
	for (size_t i = 0; i < a_len; i++) {
		if (tolower(a[i]) != tolower(b[i]))
			return false;
	}
	return true;
}

/* ---- numbers */

static int number_of(const char *text)
{
	struct err e;
	int64_t n;

	if (strncasecmp(text, "TYPE", 4) == 0 && num_parse_int(text + 4, 1, 65535, &n, &e) == 0)
		return (int)n;
	for (size_t i = 0; i < COUNT(types); i++) {
		if (strcasecmp(types[i].word, text) == 0)
			return (int)types[i].number;
	}
	return -1;
}

int dns_type_parse(const char *text, struct err *e)
{
	int n = number_of(text);

	if (n < 0)
		return err_set(e, "\"%.40s\" is no type of a record: write \"A\", \"AAAA\", \"MX\" ... or \"TYPE65\"", text);
	/* RFC 6895 section 3.1: meta types ask for something else than records. */
	if (n == DNS_OPT || (n >= 128 && n <= 254))
		return err_set(e, "\"%.40s\" cannot be asked for", text);
	return n;
}

const char *dns_type_text(unsigned type, char out[DNS_TYPE_TEXT])
{
	for (size_t i = 0; i < COUNT(types); i++) {
		if (types[i].number == type)
			return types[i].word;
	}
	snprintf(out, DNS_TYPE_TEXT, "TYPE%u", type);
	return out;
}

const char *dns_rcode_text(unsigned rcode, char out[DNS_TYPE_TEXT])
{
	if (rcode < COUNT(rcodes) && rcodes[rcode] != NULL)
		return rcodes[rcode];
	snprintf(out, DNS_TYPE_TEXT, "RCODE%u", rcode);
	return out;
}

const char *dns_error_text(unsigned code)
{
	return code < COUNT(errors) ? errors[code] : NULL;
}

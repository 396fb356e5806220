/*
 * dns_name: names, record types and response codes of the DNS as words and as bytes. Pure.
 *
 * A name on the wire is labels with their lengths and a zero (RFC 1035 section 3.1), never compressed here. As text it has
 * no dot at its end, its letters are small and signs that would mislead are written \DDD; the root is ".".
 */
#ifndef PROBES_DNS_NAME_H
#define PROBES_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 255                  /* bytes on the wire (RFC 1035 section 2.3.4) */
#define DNS_NAME_TEXT (4 * DNS_NAME_MAX)  /* room for its text */
#define DNS_LABEL_MAX 63
#define DNS_TYPE_TEXT 16                  /* room for the word of a type or code */

enum {
	DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28,
	DNS_SRV = 33, DNS_DNAME = 39, DNS_OPT = 41, DNS_DS = 43, DNS_SSHFP = 44, DNS_RRSIG = 46, DNS_DNSKEY = 48,
	DNS_TLSA = 52, DNS_SPF = 99, DNS_ANY = 255, DNS_CAA = 257,
};

/* RFC 1035 section 4.1.1 and RFC 6895; from 16 on with the upper bits of EDNS. */
enum { DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4, DNS_REFUSED = 5 };

struct err;

/* "www.gov.example", with or without a dot at its end, or "."; ASCII only, without escapes. A literal address is no name,
 * but with reverse it becomes the name that its PTR record has (RFC 1035 section 3.5, RFC 3596 section 2.5). Gives the
 * length in wire, or -1 with words. */
int dns_name_parse(const char *text, bool reverse, uint8_t wire[DNS_NAME_MAX], struct err *);
/* A whole name of the wire as text; returns out. */
char *dns_name_text(const uint8_t *wire, char out[DNS_NAME_TEXT]);
/* Equal but for the case of letters. Lengths with the closing zero. */
bool dns_name_equal(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

/* "AAAA", "TYPE65" (RFC 3597), in any case: the number, or -1 with words. What is no type of a record (OPT, the transfers)
 * is refused. */
int dns_type_parse(const char *text, struct err *);
const char *dns_type_text(unsigned type, char out[DNS_TYPE_TEXT]);
const char *dns_rcode_text(unsigned rcode, char out[DNS_TYPE_TEXT]);
/* What an extended error says (RFC 8914 section 4): "DNSSEC bogus"; NULL when it is not known. */
const char *dns_error_text(unsigned code);

#endif

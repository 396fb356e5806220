#include "probes/icmp_packet.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "lib/buf.h"

#define IPV6_HEADER 40
#define IPV6_EXTENSIONS_MAX 8

/* ---- out */

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* RFC 1071; zeros behind the bytes add nothing. */
static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get_be16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void icmp_packet_encode(enum family f, const struct icmp_packet_name *name, uint8_t out[ICMP_PACKET_HEAD])
{
	memset(out, 0, ICMP_PACKET_HEAD);
	out[0] = f == FAMILY_V4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	put_be16(out + 4, name->slot);
	put_be16(out + 6, name->index);
	memcpy(out + 8, &name->nonce, sizeof name->nonce);
	put_be16(out + 16, name->slot);
	put_be16(out + 18, name->index);
	memcpy(out + 20, "xunj", 4);
	if (f == FAMILY_V4)
		put_be16(out + 2, checksum(out, ICMP_PACKET_HEAD));
}

void icmp_packet_level(enum family f, uint8_t out[ICMP_PACKET_HEAD + ICMP_PACKET_LEVEL])
{
	put_be16(out + 2, 0xc0de);
	put_be16(out + ICMP_PACKET_HEAD, 0);
	put_be16(out + ICMP_PACKET_HEAD, checksum(out, ICMP_PACKET_HEAD + ICMP_PACKET_LEVEL));
	if (f == FAMILY_V6)
		put_be16(out + 2, 0);
}

/* ---- in */

/* Steps over an IPv4 header; false when it is none or holds something else than ICMP. */
static bool skip_ipv4(struct cursor *c, int *ttl, uint8_t destination[16])
{
	const uint8_t *h = cursor_bytes(c, 20);
	size_t words;

	if (h == NULL || h[0] >> 4 != 4)
		return false;
	words = h[0] & 0xf;
	if (words < 5 || cursor_bytes(c, (words - 5) * 4) == NULL)
		return false;
	/* A fragment that is not the first has no ICMP header. */
	if (h[9] != IPPROTO_ICMP || (get_be16(h + 6) & 0x1fff) != 0)
		return false;
	*ttl = h[8];
	memcpy(destination, h + 16, 4);
	return true;
}

/* The same of IPv6, with extension headers (RFC 8200 section 4). */
static bool skip_ipv6(struct cursor *c, uint8_t destination[16])
{
	const uint8_t *h = cursor_bytes(c, IPV6_HEADER);
	uint8_t next;

	if (h == NULL || h[0] >> 4 != 6)
		return false;
	memcpy(destination, h + 24, 16);
	next = h[6];
	for (int i = 0; i < IPV6_EXTENSIONS_MAX && next != IPPROTO_ICMPV6; i++) {
		const uint8_t *x = cursor_bytes(c, 8);

		if (x == NULL)
			return false;
		if (next == IPPROTO_FRAGMENT) {
			if ((get_be16(x + 2) & 0xfff8) != 0)
				return false;
		} else if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS) {
			return false;
		} else if (cursor_bytes(c, (size_t)x[1] * 8) == NULL) {
			return false;
		}
		next = x[0];
	}
	return next == IPPROTO_ICMPV6;
}

/* Slot, index and nonce of an echo; what is missing of the payload leaves the nonce 0. */
static bool take_name(const uint8_t *h, struct cursor *c, struct icmp_packet_name *name)
{
	const uint8_t *p = cursor_left(c) >= ICMP_PACKET_NAME ? c->at : NULL;

	*name = (struct icmp_packet_name){.slot = get_be16(h + 4), .index = get_be16(h + 6)};
	if (p == NULL)
		return true;
	if (memcmp(p + 12, "xunj", 4) != 0)
		return false;
	memcpy(&name->nonce, p, sizeof name->nonce);
	/* Of a datagram socket the identifier is not ours: the payload says. */
	name->slot = get_be16(p + 8);
	name->index = get_be16(p + 10);
	return true;
}

static bool is_error(enum family f, uint8_t type)
{
	if (f == FAMILY_V4)
		return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
	return type >= ICMP6_DST_UNREACH && type <= ICMP6_PARAM_PROB;
}

static uint32_t too_big_mtu(enum family f, const uint8_t *h)
{
	if (f == FAMILY_V4)
		return h[0] == ICMP_DEST_UNREACH && h[1] == ICMP_FRAG_NEEDED ? get_be16(h + 6) : 0;
	if (h[0] != ICMP6_PACKET_TOO_BIG)
		return 0;
	return (uint32_t)get_be16(h + 4) << 16 | get_be16(h + 6);
}

/* What an error quotes must be an echo request of ours. */
static void decode_error(enum family f, const uint8_t *h, struct cursor *c, struct icmp_packet *out)
{
	const uint8_t *quoted;
	int ttl;

	if (f == FAMILY_V4 ? !skip_ipv4(c, &ttl, out->target) : !skip_ipv6(c, out->target))
		return;
	quoted = cursor_bytes(c, 8);
	if (quoted == NULL || quoted[0] != (f == FAMILY_V4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST))
		return;
	if (!take_name(quoted, c, &out->name))
		return;
	out->type = h[0];
	out->code = h[1];
	out->mtu = too_big_mtu(f, h);
	out->kind = ICMP_PACKET_ERROR;
}

void icmp_packet_decode(enum family f, bool with_header, const void *data, size_t len,
	struct icmp_packet *out)
{
	struct cursor c = cursor_over(data, len);
	uint8_t ignored[16];
	const uint8_t *h;

	*out = (struct icmp_packet){.kind = ICMP_PACKET_FOREIGN, .ttl = -1};
	if (f == FAMILY_V4 && with_header && !skip_ipv4(&c, &out->ttl, ignored))
		return;
	h = cursor_bytes(&c, 8);
	if (h == NULL)
		return;
	if (h[0] == (f == FAMILY_V4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY)) {
		if (take_name(h, &c, &out->name) && out->name.nonce != 0)
			out->kind = ICMP_PACKET_REPLY;
	} else if (is_error(f, h[0])) {
		decode_error(f, h, &c, out);
	}
}

/* ---- whose it is */

/* 4 or 16 bytes. */
static const void *address_bytes(const struct sockaddr *a)
{
	return a->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)(const void *)a)->sin_addr
		: (const void *)&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
}

static size_t address_len(const struct sockaddr *a)
{
	return a->sa_family == AF_INET ? 4 : 16;
}

bool icmp_packet_same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	return a->sa_family == b->sa_family && memcmp(address_bytes(a), address_bytes(b), address_len(a)) == 0;
}

bool icmp_packet_is_about(const struct icmp_packet *p, uint64_t nonce, const struct sockaddr *to)
{
	if (p->name.nonce != 0)
		return p->name.nonce == nonce;
	return memcmp(p->target, address_bytes(to), address_len(to)) == 0;
}

/* ---- words */

static const char *words4(uint8_t type, uint8_t code)
{
	static const char *const unreachable[] = {"network unreachable", "host unreachable",
		"protocol unreachable", "port unreachable", "packet too big", "source route failed",
		"network unknown", "host unknown", "source host isolated", "network prohibited",
		"host prohibited", "network unreachable for this service", "host unreachable for this service",
		"prohibited by a filter", "host precedence violation", "precedence cutoff"};

	if (type == ICMP_DEST_UNREACH && code < sizeof unreachable / sizeof *unreachable)
		return unreachable[code];
	if (type == ICMP_TIME_EXCEEDED)
		return code == 0 ? "TTL exceeded" : "reassembly time exceeded";
	return type == ICMP_PARAMETERPROB ? "parameter problem" : "unreachable";
}

static const char *words6(uint8_t type, uint8_t code)
{
	static const char *const unreachable[] = {"no route", "prohibited by a filter",
		"beyond scope of source address", "address unreachable", "port unreachable",
		"source address failed policy", "route rejected", "error in source routing header"};

	if (type == ICMP6_DST_UNREACH && code < sizeof unreachable / sizeof *unreachable)
		return unreachable[code];
	if (type == ICMP6_PACKET_TOO_BIG)
		return "packet too big";
	if (type == ICMP6_TIME_EXCEEDED)
		return code == 0 ? "hop limit exceeded" : "reassembly time exceeded";
	return type == ICMP6_PARAM_PROB ? "parameter problem" : "unreachable";
}

const char *icmp_packet_error_words(enum family f, uint8_t type, uint8_t code)
{
	return f == FAMILY_V4 ? words4(type, code) : words6(type, code);
}

#include "agent/targets.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

#define V4_BITS 96 /* bits of ::ffff:0:0/96 before an IPv4 address */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b}; /* RFC 6052 section 2.1 */

static const uint8_t metadata[][16] = {
	{[10] = 0xff, [11] = 0xff, [12] = 169, [13] = 254, [14] = 169, [15] = 254},
	{[10] = 0xff, [11] = 0xff, [12] = 100, [13] = 100, [14] = 100, [15] = 200},
	{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54},
	{0xfe, 0x80, [12] = 0xa9, [13] = 0xfe, [14] = 0xa9, [15] = 0xfe},
};

/* True when the bits behind the prefix are all zero. */
static bool is_network(const struct targets_net *net)
{
	for (unsigned bit = net->prefix; bit < 128; bit++) {
		if (net->address[bit / 8] & 0x80 >> bit % 8)
			return false;
	}
	return true;
}

/* Reads an address of either family; the bits that stand before it, or -1. */
static int parse_address(const char *text, uint8_t out[16])
{
	if (inet_pton(AF_INET6, text, out) == 1)
		return 0;
	memcpy(out, mapped, sizeof mapped);
	return inet_pton(AF_INET, text, out + 12) == 1 ? V4_BITS : -1;
}

int targets_parse_net(const char *text, struct targets_net *net, struct err *e)
{
	size_t n = strcspn(text, "/");
	char address[INET6_ADDRSTRLEN] = "";
	int64_t prefix;
	struct err ignored;
	int before;

	if (n < sizeof address)
		memcpy(address, text, n);
	before = parse_address(address, net->address);
	if (before < 0)
		return err_set(e, "\"%.60s\" is not a network: write \"192.0.2.0/24\" or \"2001:db8::/32\"",
			text);
	prefix = 128 - before;
	if (text[n] == '/' && num_parse_int(text + n + 1, 0, 128 - before, &prefix, &ignored) < 0)
		return err_set(e, "\"%.60s\": the prefix is a number from 0 to %d", text, 128 - before);
	net->prefix = (unsigned)(before + prefix);
	if (!is_network(net))
		return err_set(e, "\"%.60s\" has bits behind its prefix: write the network's own address, or "
			"no prefix for one address", text);
	return 0;
}

void targets_parse(const struct config_texts *texts, struct arena *a, struct targets *out)
{
	struct err e;

	out->count = texts->count;
	out->nets = arena_alloc(a, (texts->count + 1) * sizeof *out->nets);
	for (size_t i = 0; i < texts->count; i++) {
		int status = targets_parse_net(texts->items[i], &out->nets[i], &e);

		assert(status == 0);
		(void)status;
	}
}

static bool contains(const struct targets_net *net, const uint8_t address[16])
{
	unsigned whole = net->prefix / 8, bits = net->prefix % 8;

	if (memcmp(net->address, address, whole) != 0)
		return false;
	return bits == 0 || ((net->address[whole] ^ address[whole]) & 0xff00 >> bits & 0xff) == 0;
}

/* The 16 bytes to judge by; false for another family than IPv4 and IPv6. */
static bool judged_bytes(const struct sockaddr *address, uint8_t out[16])
{
	if (address->sa_family == AF_INET) {
		memcpy(out, mapped, sizeof mapped);
		memcpy(out + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	memcpy(out, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
	if (memcmp(out, nat64, sizeof nat64) == 0)
		memcpy(out, mapped, sizeof mapped);
	return true;
}

bool targets_allow(const struct targets *t, const struct sockaddr *address)
{
	uint8_t bytes[16];

	if (!judged_bytes(address, bytes))
		return false;
	for (size_t i = 0; i < sizeof metadata / sizeof *metadata; i++) {
		if (memcmp(bytes, metadata[i], 16) == 0)
			return false;
	}
	for (size_t i = 0; i < t->count; i++) {
		if (contains(&t->nets[i], bytes))
			return true;
	}
	return t->count == 0;
}

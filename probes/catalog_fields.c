#include "probes/catalog_fields.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/num.h"
#include "probes/match.h"

static bool is_address(const char *text, int family)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(family, text, room) == 1;
}

/* What the resolver would refuse each time. */
static int check_letters(const char *field, const char *host, struct err *e)
{
	for (const char *p = host; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80)
			return err_set(e, "%s: \"%.80s\" has other than ASCII letters: write it in its xn-- form", field, host);
	}
	return 0;
}

static int check_port(const char *url, struct err *e)
{
	const char *at = strstr(url, "://") + 3, *end = at + strcspn(at, "/?#"), *port = memchr(at, ']', (size_t)(end - at));
	char text[8];
	int64_t number;
	struct err ignored;

	port = memchr(port != NULL ? port : at, ':', (size_t)(end - (port != NULL ? port : at)));
	if (port == NULL || port + 1 == end)
		return 0;
	if ((size_t)(end - port) <= sizeof text) {
		memcpy(text, port + 1, (size_t)(end - port) - 1);
		text[end - port - 1] = '\0';
		if (num_parse_int(text, 1, 65535, &number, &ignored) == 0)
			return 0;
	}
	return err_set(e, "url: \"%.*s\" is no port: 1 to 65535", (int)(end - port) - 1 < 20 ? (int)(end - port) - 1 : 20, port + 1);
}

int catalog_check_host(const char *host, struct err *e)
{
	if (strpbrk(host, " /?#@\\\"") != NULL || strstr(host, "://") != NULL)
		return err_set(e, "host: \"%.80s\" is not a host: write a name or an address alone", host);
	return check_letters("host", host, e);
}

int catalog_check_pins(const char *host, const char *ipv4, const char *ipv6, struct err *e)
{
	if (*ipv4 != '\0' && !is_address(ipv4, AF_INET))
		return err_set(e, "ipv4: \"%s\" is not an IPv4 address: write one as in \"192.0.2.1\"", ipv4);
	if (*ipv6 != '\0' && !is_address(ipv6, AF_INET6))
		return err_set(e, "ipv6: \"%s\" is not an IPv6 address: write one as in \"2001:db8::1\", "
			"without brackets", ipv6);
	if ((*ipv4 != '\0' || *ipv6 != '\0') && catalog_literal_family(host) != FAMILY_NONE)
		return err_set(e, "%s is an address already: remove ipv4 and ipv6, or write a name", host);
	return 0;
}

int catalog_check_target(const void *options, struct err *e)
{
	struct catalog_target_options t = catalog_target_options(options);

	if (catalog_check_host(t.name, e) < 0)
		return -1;
	return catalog_check_pins(t.name, t.ipv4, t.ipv6, e);
}

int catalog_check_url(const char *url, const char *ipv4, const char *ipv6, struct err *e)
{
	char host[CATALOG_HOST_MAX + 1];

	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return err_set(e, "url: \"%.100s\" must start with http:// or https://", url);
	if (strpbrk(url, " \"<>\\") != NULL)
		return err_set(e, "url: \"%.100s\" holds a space or another sign that must be %%-encoded",
			url);
	if (catalog_url_host(url, host, sizeof host) < 0)
		return err_set(e, "url: \"%.100s\" has no host of its own (a user before @ is not taken)",
			url);
	if (check_letters("url", host, e) < 0 || check_port(url, e) < 0)
		return -1;
	return catalog_check_pins(host, ipv4, ipv6, e);
}

int catalog_check_match(const char *field, const char *text, bool escapes, struct err *e)
{
	struct match m;

	if (match_init(&m, text, escapes, e) < 0)
		return err_wrap(e, "%s", field);
	match_fini(&m);
	return 0;
}

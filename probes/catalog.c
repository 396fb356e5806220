#include "probes/catalog.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/match.h"

#define URL_MAX 2048
#define PATTERN_MAX 1024
#define SEND_MAX 1024

/* The first three fields of every options struct with a target, in this order. */
#define CHECK_TARGET(type, first)                                                                  \
	_Static_assert(offsetof(struct type, first) == offsetof(struct catalog_target_options, name) && \
		offsetof(struct type, ipv4) == offsetof(struct catalog_target_options, ipv4) &&    \
		offsetof(struct type, ipv6) == offsetof(struct catalog_target_options, ipv6),      \
		#type " begins with its target")

CHECK_TARGET(icmp_options, host);
CHECK_TARGET(tcp_options, host);
CHECK_TARGET(http_options, url);

#define FIELD_PINS(type)                                                                           \
	{.name = "ipv4", .kind = CONFIG_TEXT, .offset = offsetof(struct type, ipv4), .fallback = "", \
		.max = INET_ADDRSTRLEN, .help = "IPv4 address to probe instead of resolving the name"}, \
	{.name = "ipv6", .kind = CONFIG_TEXT, .offset = offsetof(struct type, ipv6), .fallback = "", \
		.max = INET6_ADDRSTRLEN, .help = "IPv6 address to probe instead of resolving the name"}

struct catalog_target_options catalog_target_options(const void *options)
{
	struct catalog_target_options t;

	memcpy(&t, options, sizeof t);
	return t;
}

/* ---- checks shared by the types */

static bool is_address(const char *text, int family)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(family, text, room) == 1;
}

/* Scope and brackets are left to the resolver: here only what is surely an address counts. */
static enum family literal_family(const char *host)
{
	char inner[INET6_ADDRSTRLEN + 1];
	size_t n = strlen(host);
	bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';

	if (bracketed)
		host++, n -= 2;
	n = strcspn(host, "%]") < n ? strcspn(host, "%]") : n;
	if (n >= sizeof inner)
		return FAMILY_NONE;
	memcpy(inner, host, n);
	inner[n] = '\0';
	if (is_address(inner, AF_INET))
		return FAMILY_V4;
	return is_address(inner, AF_INET6) ? FAMILY_V6 : FAMILY_NONE;
}

static int check_pins(const char *host, const char *ipv4, const char *ipv6, struct err *e)
{
	if (*ipv4 != '\0' && !is_address(ipv4, AF_INET))
		return err_set(e, "ipv4: \"%s\" is not an IPv4 address: write one as in \"192.0.2.1\"", ipv4);
	if (*ipv6 != '\0' && !is_address(ipv6, AF_INET6))
		return err_set(e, "ipv6: \"%s\" is not an IPv6 address: write one as in \"2001:db8::1\", "
			"without brackets", ipv6);
	if ((*ipv4 != '\0' || *ipv6 != '\0') && literal_family(host) != FAMILY_NONE)
		return err_set(e, "%s is an address already: remove ipv4 and ipv6, or write a name", host);
	return 0;
}

static int check_host(const char *host, struct err *e)
{
	if (strpbrk(host, " /?#@\\\"") != NULL || strstr(host, "://") != NULL)
		return err_set(e, "host: \"%.80s\" is not a host: write a name or an address alone", host);
	return 0;
}

/* Bytes or a pattern, see match.h. */
static int check_match(const char *field, const char *text, bool escapes, struct err *e)
{
	struct match m;

	if (match_init(&m, text, escapes, e) < 0)
		return err_wrap(e, "%s", field);
	match_fini(&m);
	return 0;
}

/* ---- icmp */

static const struct config_field icmp_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct icmp_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address to send echo requests to"},
	FIELD_PINS(icmp_options),
	{.name = "count", .kind = CONFIG_INT, .offset = offsetof(struct icmp_options, count),
		.fallback = "10", .min = 1, .max = 1000, .help = "echo requests of a round"},
	{.name = "spacing", .kind = CONFIG_DURATION, .offset = offsetof(struct icmp_options, spacing),
		.fallback = "50ms", .min = NS_PER_MS, .max = 60 * NS_PER_S,
		.help = "time between two echo requests to one target"},
	{.name = "size", .kind = CONFIG_INT, .offset = offsetof(struct icmp_options, size),
		.fallback = "56", .min = 16, .max = 65000, .help = "bytes of payload"},
	{.name = "wait", .kind = CONFIG_DURATION, .offset = offsetof(struct icmp_options, wait),
		.fallback = "1s", .min = NS_PER_MS, .max = 60 * NS_PER_S,
		.help = "time to wait for the reply to the last echo request; later ones are late"},
	{.name = NULL},
};

static const struct config_schema icmp_schema = {
	.size = sizeof(struct icmp_options), .fields = icmp_fields, .where_offset = -1};

static const struct metric icmp_metrics[] = {
	{ICMP_SENT, "sent", "1", 0, "已发送", "sent"},
	{ICMP_LOST, "lost", "1", 0, "丢失", "lost"},
	{ICMP_LOSS, "loss", "%", 2, "丢包率", "loss"},
	{ICMP_RTT_MIN, "rtt_min", "s", 6, "最小时延", "RTT minimum"},
	{ICMP_RTT_P25, "rtt_p25", "s", 6, "时延25%分位", "RTT 25th percentile"},
	{ICMP_RTT_MEDIAN, "rtt_median", "s", 6, "时延中位数", "RTT median"},
	{ICMP_RTT_P75, "rtt_p75", "s", 6, "时延75%分位", "RTT 75th percentile"},
	{ICMP_RTT_MAX, "rtt_max", "s", 6, "最大时延", "RTT maximum"},
	{ICMP_JITTER, "jitter", "s", 6, "抖动", "jitter"},
	{ICMP_DUPLICATES, "duplicates", "1", 0, "重复应答", "duplicates"},
	{ICMP_LATE, "late", "1", 0, "迟到应答", "late replies"},
	{ICMP_TTL, "ttl", "1", 0, "TTL", "TTL"},
	{.number = 0},
};

static int icmp_check(const void *options, struct err *e)
{
	const struct icmp_options *o = options;

	if (check_host(o->host, e) < 0)
		return -1;
	return check_pins(o->host, o->ipv4, o->ipv6, e);
}

const struct catalog_type catalog_icmp = {
	.name = "icmp",
	.summary = "rounds of ICMP echo: round-trip time, loss and jitter",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct icmp_options),
	.schema = &icmp_schema,
	.metrics = icmp_metrics,
	.check = icmp_check,
};

/* ---- tcp */

static const struct config_field tcp_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct tcp_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address to connect to"},
	FIELD_PINS(tcp_options),
	{.name = "port", .kind = CONFIG_INT, .offset = offsetof(struct tcp_options, port), .min = 1,
		.max = 65535, .help = "TCP port"},
	{.name = "send", .kind = CONFIG_TEXT, .offset = offsetof(struct tcp_options, send),
		.fallback = "", .max = SEND_MAX,
		.help = "bytes to send once connected; \\r \\n \\t \\xNN \\\\ are escapes"},
	{.name = "expect", .kind = CONFIG_TEXT, .offset = offsetof(struct tcp_options, expect),
		.fallback = "", .max = PATTERN_MAX,
		.help = "bytes that must appear in the answer (same escapes), "
			"or ~ and a POSIX extended pattern"},
	{.name = NULL},
};

static const struct config_schema tcp_schema = {
	.size = sizeof(struct tcp_options), .fields = tcp_fields, .where_offset = -1};

static const struct metric tcp_metrics[] = {
	{TCP_CONNECT, "connect", "s", 6, "连接", "connect"},
	{TCP_TOTAL, "total", "s", 6, "总时间", "total"},
	{.number = 0},
};

static int tcp_check(const void *options, struct err *e)
{
	const struct tcp_options *o = options;
	uint8_t room[SEND_MAX];

	if (check_host(o->host, e) < 0 || check_pins(o->host, o->ipv4, o->ipv6, e) < 0)
		return -1;
	if (match_unescape(o->send, room, e) < 0)
		return err_wrap(e, "send");
	return check_match("expect", o->expect, true, e);
}

const struct catalog_type catalog_tcp = {
	.name = "tcp",
	.summary = "a TCP connection: time to connect, an answer that must appear",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct tcp_options),
	.schema = &tcp_schema,
	.metrics = tcp_metrics,
	.check = tcp_check,
};

/* ---- http */

static const struct config_field http_fields[] = {
	{.name = "url", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, url), .min = 8,
		.max = URL_MAX, .help = "http:// or https:// address to fetch"},
	FIELD_PINS(http_options),
	{.name = "method", .kind = CONFIG_CHOICE, .offset = offsetof(struct http_options, method),
		.fallback = "GET", .choices = "GET|HEAD|POST", .help = "request method"},
	{.name = "body", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, body),
		.fallback = "", .max = 4096, .help = "sent with POST"},
	{.name = "headers", .kind = CONFIG_TEXTS, .offset = offsetof(struct http_options, headers),
		.fallback = "", .max = 16, .help = "request headers, each \"Name: value\""},
	{.name = "status", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, status),
		.fallback = "200-399", .min = 3, .max = 128,
		.help = "status codes that are up, as in \"200-399,401\""},
	{.name = "expect_header", .kind = CONFIG_TEXT,
		.offset = offsetof(struct http_options, expect_header), .fallback = "", .max = PATTERN_MAX,
		.help = "header that must be there and hold the bytes: \"Name: bytes\", or \"Name: ~\" and "
			"a POSIX extended pattern"},
	{.name = "expect_body", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, expect_body),
		.fallback = "", .max = PATTERN_MAX,
		.help = "bytes that must appear in the body, or ~ and a POSIX extended pattern"},
	{.name = "forbid_body", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, forbid_body),
		.fallback = "", .max = PATTERN_MAX, .help = "the same, must not appear"},
	{.name = "redirects", .kind = CONFIG_INT, .offset = offsetof(struct http_options, redirects),
		.fallback = "5", .min = 0, .max = 20, .help = "redirects followed at most"},
	{.name = "body_max", .kind = CONFIG_SIZE, .offset = offsetof(struct http_options, body_max),
		.fallback = "1MiB", .min = 1024, .max = INT64_C(64) << 20,
		.help = "bytes of the body that are read at most"},
	{.name = "verify", .kind = CONFIG_BOOL, .offset = offsetof(struct http_options, verify),
		.fallback = "true", .help = "whether a certificate that does not verify is down"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, ca), .fallback = "",
		.help = "PEM file on the agent to verify against instead of the system's"},
	{.name = NULL},
};

static const struct config_schema http_schema = {
	.size = sizeof(struct http_options), .fields = http_fields, .where_offset = -1};

static const struct metric http_metrics[] = {
	{HTTP_RESOLVE, "resolve", "s", 6, "解析", "resolve"},
	{HTTP_CONNECT, "connect", "s", 6, "连接", "connect"},
	{HTTP_TLS, "tls", "s", 6, "TLS握手", "TLS handshake"},
	{HTTP_FIRST_BYTE, "first_byte", "s", 6, "首字节", "first byte"},
	{HTTP_TOTAL, "total", "s", 6, "总时间", "total"},
	{HTTP_STATUS, "status", "1", 0, "状态码", "status code"},
	{HTTP_BODY_BYTES, "body_bytes", "B", 0, "正文字节", "body size"},
	{HTTP_REDIRECTS, "redirects", "1", 0, "重定向", "redirects"},
	{HTTP_CERT_DAYS, "cert_days", "d", 2, "证书剩余天数", "certificate days left"},
	{.number = 0},
};

/* Where the host of an http or https URL starts; NULL when it is neither. */
static const char *url_host(const char *url)
{
	if (strncasecmp(url, "http://", 7) == 0)
		return url + 7;
	return strncasecmp(url, "https://", 8) == 0 ? url + 8 : NULL;
}

/* Copies host or [address] out of "host:port/path"; -1 when there is none or it has a user part. */
static int copy_host(const char *from, char *out, size_t room)
{
	size_t authority = strcspn(from, "/?#"), n;

	if (memchr(from, '@', authority) != NULL)
		return -1;
	n = from[0] == '[' ? strcspn(from, "]") + 1 : strcspn(from, ":/?#");
	if (n == 0 || n > authority || n >= room)
		return -1;
	memcpy(out, from, n);
	out[n] = '\0';
	return 0;
}

static int check_url(const struct http_options *o, struct err *e)
{
	const char *at = url_host(o->url);
	char host[CATALOG_HOST_MAX + 1];

	if (at == NULL)
		return err_set(e, "url: \"%.100s\" must start with http:// or https://", o->url);
	if (strpbrk(o->url, " \"<>\\") != NULL)
		return err_set(e, "url: \"%.100s\" holds a space or another sign that must be %%-encoded",
			o->url);
	if (copy_host(at, host, sizeof host) < 0)
		return err_set(e, "url: \"%.100s\" has no host of its own (a user before @ is not taken)",
			o->url);
	return check_pins(host, o->ipv4, o->ipv6, e);
}

static int check_expected_header(const char *text, struct err *e)
{
	const char *value;

	if (*text == '\0')
		return 0;
	if (match_check_header(text, &value, e) < 0)
		return err_wrap(e, "expect_header");
	return check_match("expect_header", value, false, e);
}

static int http_check(const void *options, struct err *e)
{
	const struct http_options *o = options;
	const char *value;

	if (check_url(o, e) < 0)
		return -1;
	if (match_check_status(o->status, e) < 0)
		return err_wrap(e, "status");
	for (size_t i = 0; i < o->headers.count; i++) {
		if (match_check_header(o->headers.items[i], &value, e) < 0)
			return err_wrap(e, "headers");
	}
	if (*o->body != '\0' && o->method != 2)
		return err_set(e, "body is sent with POST only: write method = \"POST\" or remove it");
	if (check_expected_header(o->expect_header, e) < 0 ||
		check_match("expect_body", o->expect_body, false, e) < 0)
		return -1;
	return check_match("forbid_body", o->forbid_body, false, e);
}

const struct catalog_type catalog_http = {
	.name = "http",
	.summary = "an HTTP or HTTPS request: time of each phase, status, content, certificate",
	.target = CATALOG_TARGET_URL,
	.options_size = sizeof(struct http_options),
	.schema = &http_schema,
	.metrics = http_metrics,
	.check = http_check,
};

int catalog_target_host(const struct catalog_type *t, const void *options, char *out, size_t room)
{
	const char *name = catalog_target_options(options).name;
	size_t n;

	if (t->target == CATALOG_TARGET_URL) {
		name = url_host(name);
		if (name == NULL || copy_host(name, out, room) < 0)
			return -1;
	} else if (snprintf(out, room, "%s", name) >= (int)room) {
		return -1;
	}
	n = strlen(out);
	if (n > 2 && out[0] == '[' && out[n - 1] == ']') {
		memmove(out, out + 1, n - 2);
		out[n - 2] = '\0';
	}
	return 0;
}

/* ---- the table */

const struct catalog_type *const catalog_types[] = {&catalog_icmp, &catalog_tcp, &catalog_http, NULL};

const struct catalog_type *catalog_find(const char *name)
{
	for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++) {
		if (strcmp((*t)->name, name) == 0)
			return *t;
	}
	return NULL;
}

const struct metric *catalog_metric(uint32_t number)
{
	for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++) {
		for (const struct metric *m = (*t)->metrics; m->number != 0; m++) {
			if (m->number == number)
				return m;
		}
	}
	return NULL;
}

unsigned catalog_decimals(uint32_t metric)
{
	const struct metric *m = catalog_metric(metric);

	return m != NULL ? m->decimals : 6;
}

enum family catalog_literal(const struct catalog_type *t, const void *options)
{
	char host[CATALOG_HOST_MAX + 1];

	if (t->target == CATALOG_TARGET_NONE || catalog_target_host(t, options, host, sizeof host) < 0)
		return FAMILY_NONE;
	return literal_family(host);
}

int catalog_options(const struct catalog_type *t, const struct config_pairs *pairs, struct arena *a,
	void **options, struct err *e)
{
	struct err inner;

	*options = arena_alloc(a, t->options_size);
	if (config_read_pairs(t->schema, pairs, a, *options, e) < 0)
		return -1;
	if (t->check != NULL && t->check(*options, &inner) < 0)
		return config_error(&pairs->where, e, "%s", inner.text);
	return 0;
}

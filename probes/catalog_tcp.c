#include "probes/catalog_tcp.h"

#include "lib/err.h"
#include "probes/catalog_fields.h"
#include "probes/match.h"

#define SEND_MAX 1024

CATALOG_CHECK_TARGET(tcp_options, host);

static const struct config_field tcp_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct tcp_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address to connect to"},
	CATALOG_FIELD_PINS(tcp_options),
	{.name = "port", .kind = CONFIG_INT, .offset = offsetof(struct tcp_options, port), .min = 1,
		.max = 65535, .help = "TCP port"},
	{.name = "send", .kind = CONFIG_TEXT, .offset = offsetof(struct tcp_options, send),
		.fallback = "", .max = SEND_MAX,
		.help = "bytes to send once connected; \\r \\n \\t \\xNN \\\\ are escapes"},
	{.name = "expect", .kind = CONFIG_TEXT, .offset = offsetof(struct tcp_options, expect),
		.fallback = "", .max = CATALOG_PATTERN_MAX,
		.help = "bytes that must appear in the answer (same escapes), "
			"or ~ and a POSIX extended pattern"},
	{.name = NULL},
};

static const struct config_schema tcp_schema = {
	.size = sizeof(struct tcp_options), .fields = tcp_fields, .where_offset = -1};

static const struct metric tcp_metrics[] = {
	{TCP_CONNECT, "connect", "s", 6, "连接", "connect"},
	{TCP_TOTAL, "total", "s", 6, "总时间", "total"},
	CATALOG_RATIO_METRIC(TCP_CONNECT, "connect", "连接", "connect"),
	CATALOG_RATIO_METRIC(TCP_TOTAL, "total", "总时间", "total"),
	{.number = 0},
};
static const uint32_t tcp_parity[] = {TCP_CONNECT, TCP_TOTAL, 0};

static int tcp_check(const void *options, struct err *e)
{
	const struct tcp_options *o = options;
	uint8_t room[SEND_MAX];

	if (catalog_check_target(o, e) < 0)
		return -1;
	if (match_unescape(o->send, room, e) < 0)
		return err_wrap(e, "send");
	return catalog_check_match("expect", o->expect, true, e);
}

const struct catalog_type catalog_tcp = {
	.name = "tcp",
	.summary = "a TCP connection: time to connect, an answer that must appear",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct tcp_options),
	.schema = &tcp_schema,
	.metrics = tcp_metrics,
	.parity = tcp_parity,
	.check = tcp_check,
};

#include "probes/catalog_path.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "probes/catalog_fields.h"
#include "probes/path_trace.h"

CATALOG_CHECK_TARGET(path_options, host);

static const struct config_field path_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct path_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address at the end of the path"},
	CATALOG_FIELD_PINS(path_options),
	{.name = "mode", .kind = CONFIG_CHOICE, .offset = offsetof(struct path_options, mode), .fallback = "icmp",
		.choices = "icmp|udp", .help = "what is sent; udp needs no rights and measures no MTU"},
	{.name = "port", .kind = CONFIG_INT, .offset = offsetof(struct path_options, port), .fallback = "33434",
		.min = 1, .max = 65535, .help = "port of udp, where nobody should listen"},
	{.name = "hops", .kind = CONFIG_INT, .offset = offsetof(struct path_options, hops), .fallback = "30",
		.min = 1, .max = PATH_HOPS_MAX, .help = "farthest hop that is asked"},
	{.name = "probes", .kind = CONFIG_INT, .offset = offsetof(struct path_options, probes), .fallback = "3",
		.min = 1, .max = PATH_TRIES_MAX, .help = "packets to each hop"},
	{.name = "spacing", .kind = CONFIG_DURATION, .offset = offsetof(struct path_options, spacing),
		.fallback = "10ms", .min = NS_PER_MS, .max = NS_PER_S, .help = "time between two packets"},
	{.name = "wait", .kind = CONFIG_DURATION, .offset = offsetof(struct path_options, wait), .fallback = "1s",
		.min = 10 * NS_PER_MS, .max = 10 * NS_PER_S, .help = "longest time to wait for the answer to the last packet"},
	{.name = "mtu", .kind = CONFIG_INT, .offset = offsetof(struct path_options, mtu), .fallback = "1500",
		.max = PATH_SIZE_MAX,
		.help = "bytes of the largest packet that should pass; 0: the path MTU is not measured"},
	{.name = NULL},
};

static const struct config_schema path_schema = {
	.size = sizeof(struct path_options), .fields = path_fields, .where_offset = -1};

static const struct metric path_metrics[] = {
	{PATH_HOPS, "hops", "1", 0, "跳数", "hops"},
	{PATH_SILENT, "silent", "1", 0, "无应答跳数", "silent hops"},
	{PATH_CHANGED, "changed", "1", 0, "路径变化", "path changed"},
	{PATH_MTU, "mtu", "B", 0, "路径MTU", "path MTU"},
	{PATH_LOSS, "loss", "%", 2, "丢包率", "loss"},
	{PATH_RTT_MIN, "rtt_min", "s", 6, "最小时延", "RTT minimum"},
	{PATH_RTT, "rtt", "s", 6, "平均时延", "RTT mean"},
	{PATH_RTT_MAX, "rtt_max", "s", 6, "最大时延", "RTT maximum"},
	{PATH_FOREIGN, "foreign", "1", 0, "被拒收的报文", "packets not accepted"},
	CATALOG_RATIO_METRIC(PATH_RTT, "rtt", "平均时延", "RTT mean"),
	{.number = 0},
};
static const uint32_t path_parity[] = {PATH_RTT, 0};

static int path_check(const void *options, struct err *e)
{
	const struct path_options *o = options;

	if (o->mtu != 0 && o->mtu < PATH_SIZE_MIN_V6)
		return err_set(e, "mtu is %lld: write 0, or at least %d", (long long)o->mtu, PATH_SIZE_MIN_V6);
	return catalog_check_target(options, e);
}

const struct catalog_type catalog_path = {
	.name = "path",
	.summary = "hops on the way, their loss and time, path changes, path MTU and black holes",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct path_options),
	.schema = &path_schema,
	.metrics = path_metrics,
	.parity = path_parity,
	.check = path_check,
};

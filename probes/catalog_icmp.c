#include "probes/catalog_icmp.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "probes/catalog_fields.h"

CATALOG_CHECK_TARGET(icmp_options, host);

static const struct config_field icmp_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct icmp_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address to send echo requests to"},
	CATALOG_FIELD_PINS(icmp_options),
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
	CATALOG_RATIO_METRIC(ICMP_RTT_MEDIAN, "rtt_median", "时延中位数", "RTT median"),
	{.number = 0},
};
static const uint32_t icmp_parity[] = {ICMP_RTT_MEDIAN, 0};

const struct catalog_type catalog_icmp = {
	.name = "icmp",
	.summary = "rounds of ICMP echo: round-trip time, loss and jitter",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct icmp_options),
	.schema = &icmp_schema,
	.metrics = icmp_metrics,
	.parity = icmp_parity,
	.check = catalog_check_target,
};

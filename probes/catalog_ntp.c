#include "probes/catalog_ntp.h"

#include "lib/err.h"
#include "probes/catalog_fields.h"

CATALOG_CHECK_TARGET(ntp_options, host);

static const struct config_field ntp_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct ntp_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address of the time server"},
	CATALOG_FIELD_PINS(ntp_options),
	{.name = "port", .kind = CONFIG_INT, .offset = offsetof(struct ntp_options, port), .fallback = "123", .min = 1,
		.max = 65535, .help = "UDP port"},
	{.name = "stratum_max", .kind = CONFIG_INT, .offset = offsetof(struct ntp_options, stratum_max),
		.fallback = "15", .min = 1, .max = 15, .help = "largest stratum that is up"},
	{.name = "retries", .kind = CONFIG_INT, .offset = offsetof(struct ntp_options, retries), .fallback = "2",
		.max = 5, .help = "queries that may follow one that is not answered, spread over the timeout"},
	{.name = NULL},
};

static const struct config_schema ntp_schema = {
	.size = sizeof(struct ntp_options), .fields = ntp_fields, .where_offset = -1};

static const struct metric ntp_metrics[] = {
	{NTP_OFFSET, "offset", "s", 9, "时钟偏差", "offset to the clock of this host"},
	{NTP_DELAY, "delay", "s", 9, "往返时延", "round-trip delay"},
	{NTP_STRATUM, "stratum", "1", 0, "层级", "stratum"},
	{NTP_LEAP, "leap", "1", 0, "闰秒指示", "leap indicator"},
	{NTP_ROOT_DELAY, "root_delay", "s", 6, "根时延", "root delay"},
	{NTP_ROOT_DISPERSION, "root_dispersion", "s", 6, "根离散", "root dispersion"},
	{NTP_ROOT_DISTANCE, "root_distance", "s", 6, "根距离", "root distance"},
	{NTP_REFERENCE_AGE, "reference_age", "s", 1, "距上次校时", "since its last correction"},
	{NTP_LOST, "lost", "1", 0, "未获应答的查询", "queries not answered"},
	{NTP_FOREIGN, "foreign", "1", 0, "被拒收的报文", "packets not accepted"},
	CATALOG_RATIO_METRIC(NTP_DELAY, "delay", "往返时延", "round-trip delay"),
	{.number = 0},
};
static const uint32_t ntp_parity[] = {NTP_DELAY, 0};

const struct catalog_type catalog_ntp = {
	.name = "ntp",
	.summary = "a time server: offset, delay, stratum, whether it is synchronised itself",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct ntp_options),
	.schema = &ntp_schema,
	.metrics = ntp_metrics,
	.parity = ntp_parity,
	.check = catalog_check_target,
};

#include "probes/catalog_heartbeat.h"

#include <stddef.h>

#include "lib/clock.h"
#include "lib/err.h"

static const struct config_field heartbeat_fields[] = {
	{.name = "window", .kind = CONFIG_ID, .offset = offsetof(struct heartbeat_options, window),
		.help = "id of the end point, as in the file of windows of the agent that it reports to; each has one check"},
	{.name = "silent", .kind = CONFIG_DURATION, .offset = offsetof(struct heartbeat_options, silent), .fallback = "3m",
		.min = NS_PER_S, .max = 31 * 86400 * NS_PER_S, .help = "without a report for so long it is unknown"},
	{.name = "down_after", .kind = CONFIG_DURATION, .offset = offsetof(struct heartbeat_options, down_after), .fallback = "0s",
		.min = 0, .max = 100 * 86400 * NS_PER_S,
		.help = "without a report for so long it is down, and told as such, where others were heard all the while by the same way "
			"(HTTPS or UDP, IPv4 or IPv6), at least each 2 minutes: else it may be the agent that does not hear; 0: three times silent"},
	{.name = NULL},
};

static int check_heartbeat(const void *options, struct err *e)
{
	const struct heartbeat_options *o = options;

	return o->down_after == 0 || o->down_after > o->silent ? 0 : err_set(e, "down_after: must be longer than silent");
}

static const struct config_schema heartbeat_schema = {
	.size = sizeof(struct heartbeat_options), .fields = heartbeat_fields, .where_offset = -1};

static const struct metric heartbeat_metrics[] = {
	{HEARTBEAT_AGE, "age", "s", 3, "距上次报到", "since its last report"},
	{HEARTBEAT_REPORTS, "reports", "1", 0, "报到次数", "reports since the run before"},
	{HEARTBEAT_MISSED, "missed", "1", 0, "缺失的报到", "reports missed, by their counter, since the run before"},
	{HEARTBEAT_CLOCK, "clock", "s", 3, "时钟差", "its clock ahead of that of the agent"},
	{HEARTBEAT_FAMILY, "family", "1", 0, "报到所用协议族", "family of its last report: 4 or 6"},
	{.number = 0},
};

const struct catalog_type catalog_heartbeat = {
	.name = "heartbeat",
	.summary = "an end point that reports to the agent, over HTTPS or UDP: what it said, how long it has been silent",
	.target = CATALOG_TARGET_NONE,
	.options_size = sizeof(struct heartbeat_options),
	.schema = &heartbeat_schema,
	.metrics = heartbeat_metrics,
	.check = check_heartbeat,
};

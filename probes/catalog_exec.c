#include "probes/catalog_exec.h"

#include <stddef.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "probes/catalog_fields.h"

CATALOG_CHECK_TARGET(exec_options, host);

int catalog_exec_check_name(const char *name, struct err *e)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

	if (*name != '\0' && name[strspn(name, letters)] == '\0' && strchr("_.-", *name) == NULL &&
		strlen(name) <= EXEC_PLUGIN_MAX)
		return 0;
	return err_set(e, "\"%.80s\" is not the name of a plugin: letters, digits and _.- are, a path is not", name);
}

static int check_argument(const char *text, struct err *e)
{
	if (strlen(text) <= EXEC_ARG_MAX)
		return 0;
	return err_set(e, "an argument has %zu bytes, at most %d are taken", strlen(text), EXEC_ARG_MAX);
}

static const struct config_field exec_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct exec_options, host), .fallback = "",
		.max = CATALOG_HOST_MAX, .help = "name or address that the plugin asks, once for each address; "
			"without it the plugin runs once"},
	CATALOG_FIELD_PINS(exec_options),
	{.name = "plugin", .kind = CONFIG_TEXT, .offset = offsetof(struct exec_options, plugin), .min = 1,
		.max = EXEC_PLUGIN_MAX, .check = catalog_exec_check_name,
		.help = "its name in the file of plugins that the agent allows"},
	{.name = "args", .kind = CONFIG_TEXTS, .offset = offsetof(struct exec_options, args), .fallback = "",
		.max = EXEC_ARGS_MAX, .check = check_argument, .help = "its arguments, no shell looks at them; "
			EXEC_ADDRESS ", " EXEC_FAMILY " (4 or 6) and " EXEC_HOST " stand for those of the host"},
	{.name = NULL},
};

static const struct config_schema exec_schema = {
	.size = sizeof(struct exec_options), .fields = exec_fields, .where_offset = -1};

#define OF_UNIT(number, name, prefix, unit, decimals, zh, en)                                      \
	{(number) + EXEC_AT_VALUE, name, unit, decimals, zh, en},                                  \
	{(number) + EXEC_AT_WARN, prefix "warn", unit, decimals, zh "警告值", en ", warning"},     \
	{(number) + EXEC_AT_CRIT, prefix "crit", unit, decimals, zh "严重值", en ", critical"},    \
	{(number) + EXEC_AT_MIN, prefix "min", unit, decimals, zh "最小值", en ", minimum"},       \
	{(number) + EXEC_AT_MAX, prefix "max", unit, decimals, zh "最大值", en ", maximum"},       \
	{(number) + EXEC_AT_WARN_LOW, prefix "warn_low", unit, decimals, zh "警告下限", en ", lower warning"}, \
	{(number) + EXEC_AT_CRIT_LOW, prefix "crit_low", unit, decimals, zh "严重下限", en ", lower critical"}

static const struct metric exec_metrics[] = {
	{EXEC_STATE, "state", "1", 0, "插件状态", "state of the plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN"},
	{EXEC_TIME, "time", "s", 3, "运行时间", "time that it ran"},
	{EXEC_REFUSED, "refused", "1", 0, "无效性能数据", "performance data not understood"},
	{EXEC_RATE, "rate", "1/s", 6, "速率", "rate of a counter"},
	OF_UNIT(EXEC_PLAIN, "value", "", "1", 6, "数值", "value"),
	OF_UNIT(EXEC_BYTES, "bytes", "bytes_", "B", 0, "字节", "bytes"),
	CATALOG_RATIO_METRIC(EXEC_TIME, "time", "运行时间", "time that it ran"),
	{.number = 0},
};
static const uint32_t exec_parity[] = {EXEC_TIME, 0};

static bool is_used(const struct exec_options *o, const char *word)
{
	for (size_t i = 0; i < o->args.count; i++) {
		if (strstr(o->args.items[i], word) != NULL)
			return true;
	}
	return false;
}

static int exec_check(const void *options, struct err *e)
{
	static const char *const words[] = {EXEC_ADDRESS, EXEC_FAMILY, EXEC_HOST};
	const struct exec_options *o = options;
	bool is_any = false;

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (*o->host == '\0' && is_used(o, words[i]))
			return err_set(e, "args: %s stands for what belongs to a host: give host as well", words[i]);
		is_any |= is_used(o, words[i]);
	}
	if (*o->host != '\0' && !is_any)
		return err_set(e, "args: none says " EXEC_ADDRESS ", so that every address of host would be measured "
			"alike: write it where the plugin takes an address, or remove host");
	if (*o->host == '\0' && (*o->ipv4 != '\0' || *o->ipv6 != '\0'))
		return err_set(e, "ipv4 and ipv6 are addresses of a host: give host as well");
	return *o->host != '\0' ? catalog_check_target(o, e) : 0;
}

const struct catalog_type catalog_exec = {
	.name = "exec",
	.summary = "a Nagios plugin that the agent's host allows: its state, its words, its performance data",
	.target = CATALOG_TARGET_MAYBE_HOST,
	.options_size = sizeof(struct exec_options),
	.schema = &exec_schema,
	.metrics = exec_metrics,
	.parity = exec_parity,
	.timeout_max = EXEC_TIMEOUT_MAX * NS_PER_S,
	.check = exec_check,
};

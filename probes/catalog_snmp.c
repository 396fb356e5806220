#include "probes/catalog_snmp.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/num.h"
#include "probes/catalog_fields.h"

CATALOG_CHECK_TARGET(snmp_options, host);

#define PATTERNS_MAX 64

const char *const catalog_snmp_groups[SNMP_GROUPS] = {"system", "interfaces", "ip", "ups", "sensors", "host"};

/* ---- single texts */

static int group_of(const char *word)
{
	for (int i = 0; i < SNMP_GROUPS; i++) {
		if (strcmp(catalog_snmp_groups[i], word) == 0)
			return i;
	}
	return -1;
}

static int check_group(const char *text, struct err *e)
{
	if (group_of(text) >= 0)
		return 0;
	return err_set(e, "\"%.40s\" is no group: known are system, interfaces, ip, ups, sensors, host", text);
}

unsigned catalog_snmp_what(const struct snmp_options *o)
{
	unsigned bits = 0;

	for (size_t i = 0; i < o->what.count; i++)
		bits |= 1u << group_of(o->what.items[i]);
	return bits;
}

/* "1.3.6.1.2.1.1.3.0": the first is 0 to 2, each fits 32 bits, 3 to 64 of them. */
static bool is_oid(const char *text)
{
	size_t parts = 0;

	for (;; text++) {
		char part[12];
		size_t n = strspn(text, "0123456789");
		struct err ignored;
		int64_t number;

		if (n == 0 || n > 10 || ++parts > 64)
			return false;
		memcpy(part, text, n);
		part[n] = '\0';
		if (num_parse_int(part, 0, parts == 1 ? 2 : UINT32_MAX, &number, &ignored) < 0)
			return false;
		text += n;
		if (*text == '\0')
			return parts >= 3;
		if (*text != '.')
			return false;
	}
}

const char *catalog_snmp_oid(const char *item)
{
	const char *equals = strchr(item, '=');

	if (equals == NULL || equals == item || equals - item > SNMP_NAME_MAX)
		return NULL;
	equals += equals[1] == '.' ? 2 : 1;
	return is_oid(equals) ? equals : NULL;
}

static int check_oid(const char *text, struct err *e)
{
	if (catalog_snmp_oid(text) != NULL)
		return 0;
	return err_set(e, "\"%.80s\" is no object: write \"name=1.3.6.1.2.1.1.3.0\", the name of at most %d bytes", text,
		SNMP_NAME_MAX);
}

/* ---- the tables */

static const struct config_field snmp_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct snmp_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address of the device"},
	CATALOG_FIELD_PINS(snmp_options),
	{.name = "port", .kind = CONFIG_INT, .offset = offsetof(struct snmp_options, port), .fallback = "161",
		.min = 1, .max = 65535, .help = "UDP port"},
	{.name = "credentials", .kind = CONFIG_TEXT, .offset = offsetof(struct snmp_options, credentials),
		.fallback = "", .max = 63, .help = "id in the agent's own file of credentials: a user is asked as by "
			"SNMPv3, a community as by v2c"},
	{.name = "community", .kind = CONFIG_TEXT, .offset = offsetof(struct snmp_options, community), .fallback = "",
		.max = 63, .help = "community for v2c, where it is no secret"},
	{.name = "what", .kind = CONFIG_TEXTS, .offset = offsetof(struct snmp_options, what), .fallback = "interfaces",
		.max = SNMP_GROUPS, .check = check_group,
		.help = "groups that are read: system, interfaces, ip, ups, sensors, host"},
	{.name = "oids", .kind = CONFIG_TEXTS, .offset = offsetof(struct snmp_options, oids), .fallback = "",
		.max = SNMP_OBJECTS_MAX, .check = check_oid,
		.help = "single objects, as in \"load=1.3.6.1.4.1.2021.10.1.5.1\"; each is a part; counters become rates"},
	{.name = "interfaces", .kind = CONFIG_TEXTS, .offset = offsetof(struct snmp_options, interfaces),
		.fallback = "", .max = PATTERNS_MAX,
		.help = "interfaces that must be there and up: ifName or ifAlias; * and ? as in a shell"},
	{.name = "ignore", .kind = CONFIG_TEXTS, .offset = offsetof(struct snmp_options, ignore),
		.fallback = "lo lo0 [Nn]ull* NULL* InLoopBack* unrouted*", .max = PATTERNS_MAX,
		.help = "interfaces that are not told; * and ? as in a shell"},
	{.name = "retry", .kind = CONFIG_DURATION, .offset = offsetof(struct snmp_options, retry), .fallback = "1s",
		.min = 100 * NS_PER_MS, .max = 60 * NS_PER_S, .help = "time until a request is sent again"},
	{.name = NULL},
};

static const struct config_schema snmp_schema = {
	.size = sizeof(struct snmp_options), .fields = snmp_fields, .where_offset = -1};

static const struct metric snmp_metrics[] = {
	{SNMP_TIME, "time", "s", 6, "采集用时", "time of the whole reading"},
	{SNMP_REQUESTS, "requests", "1", 0, "请求数", "requests"},
	{SNMP_RETRANSMISSIONS, "retransmissions", "1", 0, "重传次数", "requests sent again"},
	{SNMP_FOREIGN, "foreign", "1", 0, "被拒收的报文", "packets not accepted"},
	{SNMP_UPTIME, "uptime", "s", 0, "设备运行时间", "time since its agent restarted"},
	{SNMP_OMITTED, "omitted", "1", 0, "未列出的分项", "parts that did not fit"},
	{SNMP_INTERFACES, "interfaces", "1", 0, "接口数", "interfaces"},
	{SNMP_INTERFACES_DOWN, "interfaces_down", "1", 0, "启用但未连接的接口", "interfaces switched on and not up"},
	{SNMP_RX_BYTES, "rx_bytes", "B/s", 0, "接收速率", "received"},
	{SNMP_TX_BYTES, "tx_bytes", "B/s", 0, "发送速率", "sent"},
	{SNMP_RX_ERRORS, "rx_errors", "1/s", 4, "接收错误", "receive errors"},
	{SNMP_TX_ERRORS, "tx_errors", "1/s", 4, "发送错误", "send errors"},
	{SNMP_RX_DISCARDS, "rx_discards", "1/s", 4, "接收丢弃", "receive discards"},
	{SNMP_TX_DISCARDS, "tx_discards", "1/s", 4, "发送丢弃", "send discards"},
	{SNMP_LINK, "link", "1", 0, "链路", "is up"},
	{SNMP_ADMIN, "admin", "1", 0, "已启用", "is switched on"},
	{SNMP_SPEED, "speed", "bit/s", 0, "速率", "speed"},
	{SNMP_RX_SHARE, "rx_share", "%", 2, "接收带宽利用率", "share of the speed received"},
	{SNMP_TX_SHARE, "tx_share", "%", 2, "发送带宽利用率", "share of the speed sent"},
	{SNMP_V4_RX_BYTES, "ipv4_rx_bytes", "B/s", 0, "IPv4接收速率", "received of IPv4"},
	{SNMP_V4_TX_BYTES, "ipv4_tx_bytes", "B/s", 0, "IPv4发送速率", "sent of IPv4"},
	{SNMP_V6_RX_BYTES, "ipv6_rx_bytes", "B/s", 0, "IPv6接收速率", "received of IPv6"},
	{SNMP_V6_TX_BYTES, "ipv6_tx_bytes", "B/s", 0, "IPv6发送速率", "sent of IPv6"},
	{SNMP_IP4_IN, "ipv4_in", "1/s", 2, "IPv4接收包", "IPv4 packets received"},
	{SNMP_IP4_OUT, "ipv4_out", "1/s", 2, "IPv4发送包", "IPv4 packets sent"},
	{SNMP_IP4_FORWARDED, "ipv4_forwarded", "1/s", 2, "IPv4转发包", "IPv4 packets forwarded"},
	{SNMP_IP4_HEADER_ERRORS, "ipv4_header_errors", "1/s", 4, "IPv4首部错误", "IPv4 header errors"},
	{SNMP_IP4_NO_ROUTES, "ipv4_no_routes", "1/s", 4, "IPv4无路由", "IPv4 without a route"},
	{SNMP_IP4_IN_DISCARDS, "ipv4_in_discards", "1/s", 4, "IPv4接收丢弃", "IPv4 receive discards"},
	{SNMP_IP4_OUT_DISCARDS, "ipv4_out_discards", "1/s", 4, "IPv4发送丢弃", "IPv4 send discards"},
	{SNMP_IP4_REASSEMBLY, "ipv4_reassembly", "1/s", 4, "IPv4重组失败", "IPv4 reassembly failures"},
	{SNMP_IP6_IN, "ipv6_in", "1/s", 2, "IPv6接收包", "IPv6 packets received"},
	{SNMP_IP6_OUT, "ipv6_out", "1/s", 2, "IPv6发送包", "IPv6 packets sent"},
	{SNMP_IP6_FORWARDED, "ipv6_forwarded", "1/s", 2, "IPv6转发包", "IPv6 packets forwarded"},
	{SNMP_IP6_HEADER_ERRORS, "ipv6_header_errors", "1/s", 4, "IPv6首部错误", "IPv6 header errors"},
	{SNMP_IP6_NO_ROUTES, "ipv6_no_routes", "1/s", 4, "IPv6无路由", "IPv6 without a route"},
	{SNMP_IP6_IN_DISCARDS, "ipv6_in_discards", "1/s", 4, "IPv6接收丢弃", "IPv6 receive discards"},
	{SNMP_IP6_OUT_DISCARDS, "ipv6_out_discards", "1/s", 4, "IPv6发送丢弃", "IPv6 send discards"},
	{SNMP_IP6_REASSEMBLY, "ipv6_reassembly", "1/s", 4, "IPv6重组失败", "IPv6 reassembly failures"},
	{SNMP_UPS_BATTERY, "ups_battery", "1", 0, "电池状态", "battery: 1 unknown, 2 normal, 3 low, 4 depleted"},
	{SNMP_UPS_ON_BATTERY, "ups_on_battery", "1", 0, "电池供电", "runs on battery"},
	{SNMP_UPS_SECONDS, "ups_battery_time", "s", 0, "已用电池时间", "time on battery"},
	{SNMP_UPS_MINUTES, "ups_left", "s", 0, "剩余供电时间", "time that the battery lasts"},
	{SNMP_UPS_CHARGE, "ups_charge", "%", 0, "电池电量", "charge"},
	{SNMP_UPS_BATTERY_VOLTAGE, "ups_voltage", "V", 1, "电池电压", "battery voltage"},
	{SNMP_UPS_TEMPERATURE, "ups_temperature", "Cel", 0, "电池温度", "battery temperature"},
	{SNMP_UPS_ALARMS, "ups_alarms", "1", 0, "告警数", "alarms present"},
	{SNMP_UPS_BYPASS, "ups_bypass", "1", 0, "旁路供电", "runs on bypass"},
	{SNMP_LINE_VOLTAGE, "line_voltage", "V", 0, "电压", "voltage"},
	{SNMP_LINE_CURRENT, "line_current", "A", 1, "电流", "current"},
	{SNMP_LINE_POWER, "line_power", "W", 0, "功率", "power"},
	{SNMP_LINE_FREQUENCY, "line_frequency", "Hz", 1, "频率", "frequency"},
	{SNMP_LINE_LOAD, "line_load", "%", 0, "负载率", "load"},
	{SNMP_SENSOR_VOLTAGE, "sensor_voltage", "V", 6, "传感器电压", "voltage of a sensor"},
	{SNMP_SENSOR_CURRENT, "sensor_current", "A", 6, "传感器电流", "current of a sensor"},
	{SNMP_SENSOR_POWER, "sensor_power", "W", 6, "传感器功率", "power of a sensor"},
	{SNMP_SENSOR_FREQUENCY, "sensor_frequency", "Hz", 3, "传感器频率", "frequency of a sensor"},
	{SNMP_SENSOR_TEMPERATURE, "sensor_temperature", "Cel", 3, "温度", "temperature"},
	{SNMP_SENSOR_HUMIDITY, "sensor_humidity", "%", 2, "相对湿度", "relative humidity"},
	{SNMP_SENSOR_FAN, "sensor_fan", "1/min", 0, "风扇转速", "fan speed"},
	{SNMP_SENSOR_FLOW, "sensor_flow", "m3/min", 3, "风量", "air flow"},
	{SNMP_SENSOR_TRUTH, "sensor_truth", "1", 0, "传感器开关量", "true or false"},
	{SNMP_SENSOR_OTHER, "sensor_other", "1", 6, "其他传感器值", "another value of a sensor"},
	{SNMP_HOST_CPU, "host_cpu", "%", 1, "处理器负载", "load of its processors"},
	{SNMP_HOST_CPUS, "host_cpus", "1", 0, "处理器数", "processors"},
	{SNMP_HOST_PROCESSES, "host_processes", "1", 0, "进程数", "processes"},
	{SNMP_HOST_USERS, "host_users", "1", 0, "登录用户数", "users logged in"},
	{SNMP_HOST_UPTIME, "host_uptime", "s", 0, "主机运行时间", "time since it was started"},
	{SNMP_STORAGE_SIZE, "storage_size", "B", 0, "存储容量", "size of a storage"},
	{SNMP_STORAGE_USED, "storage_used", "B", 0, "存储已用", "used of a storage"},
	{SNMP_STORAGE_SHARE, "storage_share", "%", 2, "存储使用率", "used share of a storage"},
	{SNMP_OBJECT_VALUE, "value", "1", 6, "值", "value of an object"},
	{SNMP_OBJECT_RATE, "rate", "1/s", 6, "速率", "rate of an object that counts"},
	CATALOG_RATIO_METRIC(SNMP_TIME, "time", "采集用时", "time of the whole reading"),
	{.number = 0},
};
static const uint32_t snmp_parity[] = {SNMP_TIME, 0};

static int snmp_check(const void *options, struct err *e)
{
	const struct snmp_options *o = options;

	if (catalog_check_target(o, e) < 0)
		return -1;
	if ((*o->community != '\0') == (*o->credentials != '\0'))
		return err_set(e, "give credentials or community, one of them");
	if (*o->credentials != '\0' && num_check_id(o->credentials, e) < 0)
		return -1;
	if (o->what.count == 0 && o->oids.count == 0)
		return err_set(e, "neither what nor oids names anything to read");
	for (size_t i = 0; i < o->oids.count; i++) {
		size_t n = strcspn(o->oids.items[i], "=") + 1;

		for (size_t k = 0; k < i; k++) {
			if (strncmp(o->oids.items[i], o->oids.items[k], n) == 0)
				return err_set(e, "oids: the name of \"%.80s\" stands twice", o->oids.items[i]);
		}
	}
	return 0;
}

const struct catalog_type catalog_snmp = {
	.name = "snmp",
	.summary = "a device by SNMP v2c or v3: interfaces, IP of both families, UPS, sensors, host resources, any object",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct snmp_options),
	.schema = &snmp_schema,
	.metrics = snmp_metrics,
	.parity = snmp_parity,
	.check = snmp_check,
};

#include "collector/drawn.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "collector/channel.h"
#include "probes/catalog.h"
#include "probes/catalog_dns.h"
#include "probes/catalog_exec.h"
#include "probes/catalog_heartbeat.h"
#include "probes/catalog_host.h"
#include "probes/catalog_http.h"
#include "probes/catalog_http_steps.h"
#include "probes/catalog_icmp.h"
#include "probes/catalog_ntp.h"
#include "probes/catalog_path.h"
#include "probes/catalog_scorecard.h"
#include "probes/catalog_sip.h"
#include "probes/catalog_snmp.h"
#include "probes/catalog_tcp.h"
#include "probes/catalog_tls.h"

/* Of a type first what its parts tell, which the whole does not have, where that is of another unit. */
static const uint32_t list[] = {
	ICMP_RTT_MEDIAN,
	TCP_CONNECT, TCP_TOTAL,
	HTTP_TOTAL,
	HTTP_STEPS_TOTAL, HTTP_STEPS_TIME, HTTP_STEPS_TIME + 1, HTTP_STEPS_TIME + 2, HTTP_STEPS_TIME + 3, HTTP_STEPS_TIME + 4,
	DNS_TIME, DNS_TOTAL,
	NTP_OFFSET, NTP_DELAY,
	TLS_CONNECT, TLS_HANDSHAKE, TLS_TOTAL,
	SIP_TIME, SIP_CONNECT, SIP_HANDSHAKE,
	PATH_RTT_MIN, PATH_RTT, PATH_RTT_MAX,
	SCORECARD_SCORE, SCORECARD_LEVEL2, SCORECARD_LEVEL3, SCORECARD_SUCCESS, SCORECARD_SAME,
	EXEC_PLAIN, EXEC_BYTES, EXEC_RATE, EXEC_TIME,
	HEARTBEAT_AGE,
	SNMP_RX_BYTES, SNMP_TX_BYTES, SNMP_V4_RX_BYTES, SNMP_V4_TX_BYTES, SNMP_V6_RX_BYTES, SNMP_V6_TX_BYTES,
	SNMP_IP4_IN, SNMP_IP4_OUT, SNMP_IP6_IN, SNMP_IP6_OUT,
	SNMP_UPS_CHARGE, SNMP_LINE_LOAD, SNMP_STORAGE_SHARE, SNMP_HOST_CPU,
	SNMP_SENSOR_TEMPERATURE, SNMP_SENSOR_HUMIDITY, SNMP_SENSOR_FAN, SNMP_SENSOR_VOLTAGE, SNMP_SENSOR_CURRENT, SNMP_SENSOR_POWER,
	SNMP_OBJECT_VALUE, SNMP_OBJECT_RATE, SNMP_TIME,
	CPU_BUSY, CPU_USER, CPU_SYSTEM, CPU_IOWAIT, CPU_STEAL,
	MEMORY_USED_SHARE, MEMORY_SWAP_SHARE,
	LOAD_1, LOAD_5, LOAD_15,
	DISK_WORST_SHARE, DISK_WORST_INODES, DISK_USED_SHARE, DISK_INODES_SHARE, DISK_BUSY,
	INTERFACE_RX_BYTES, INTERFACE_TX_BYTES,
	PRESSURE_CPU, PRESSURE_MEMORY, PRESSURE_IO,
	PROTOCOL_RECEIVED, PROTOCOL_SENT, PROTOCOL_IN, PROTOCOL_OUT,
	PROCESS_CPU, PROCESS_COUNT, PROCESS_ZOMBIES,
	DESCRIPTORS_SHARE, DESCRIPTORS_TRACKED_SHARE,
	ENTROPY_AVAILABLE,
	UPTIME_SECONDS,
	USERS_SESSIONS, USERS_REMOTE,
	SELF_CPU,
	CLOCK_OFFSET, CLOCK_ERROR_ESTIMATED,
	SYSTEMD_FAILED, SYSTEMD_ACTIVE,
};

/* Whether it was measured at all. */
static bool has_number(const struct channel_values *v, size_t column)
{
	for (size_t i = 0; i < v->rows; i++) {
		if (!isnan(v->column[column].numbers[i]))
			return true;
	}
	return false;
}

static bool find_column(const struct channel_values *v, uint32_t metric, size_t *out)
{
	for (size_t i = 0; i < v->columns; i++) {
		if (v->column[i].metric == metric && v->column[i].function == 0 && has_number(v, i)) {
			*out = i;
			return true;
		}
	}
	return false;
}

size_t drawn_columns(const struct channel_values *v, const char *unit, size_t out[DRAWN_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof list / sizeof *list && count < DRAWN_MAX; i++) {
		const struct metric *m = catalog_metric(list[i]);

		if (!find_column(v, list[i], &out[count]) || (unit != NULL && strcmp(m->unit, unit) != 0))
			continue;
		unit = m->unit;
		count++;
	}
	return count;
}

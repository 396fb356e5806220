/*
 * catalog_snmp: the settings and the numbers of the metrics of the probe type "snmp".
 */
#ifndef PROBES_CATALOG_SNMP_H
#define PROBES_CATALOG_SNMP_H

#include "probes/catalog.h"

enum {
	/* of the device as a whole */
	SNMP_TIME = 900, SNMP_REQUESTS, SNMP_RETRANSMISSIONS, SNMP_FOREIGN, SNMP_UPTIME, SNMP_OMITTED,
	SNMP_INTERFACES, SNMP_INTERFACES_DOWN,
	/* of an interface */
	SNMP_RX_BYTES = 910, SNMP_TX_BYTES, SNMP_RX_ERRORS, SNMP_TX_ERRORS, SNMP_RX_DISCARDS, SNMP_TX_DISCARDS,
	SNMP_LINK, SNMP_ADMIN, SNMP_SPEED, SNMP_RX_SHARE, SNMP_TX_SHARE, SNMP_V4_RX_BYTES, SNMP_V4_TX_BYTES,
	SNMP_V6_RX_BYTES, SNMP_V6_TX_BYTES,
	/* of the device's IPv4, in the order of enum snmp_ip_count; then of its IPv6 */
	SNMP_IP4_IN = 930, SNMP_IP4_OUT, SNMP_IP4_FORWARDED, SNMP_IP4_HEADER_ERRORS, SNMP_IP4_NO_ROUTES,
	SNMP_IP4_IN_DISCARDS, SNMP_IP4_OUT_DISCARDS, SNMP_IP4_REASSEMBLY,
	SNMP_IP6_IN = 940, SNMP_IP6_OUT, SNMP_IP6_FORWARDED, SNMP_IP6_HEADER_ERRORS, SNMP_IP6_NO_ROUTES,
	SNMP_IP6_IN_DISCARDS, SNMP_IP6_OUT_DISCARDS, SNMP_IP6_REASSEMBLY,
	/* of a UPS, then of one of its lines */
	SNMP_UPS_BATTERY = 950, SNMP_UPS_ON_BATTERY, SNMP_UPS_SECONDS, SNMP_UPS_MINUTES, SNMP_UPS_CHARGE,
	SNMP_UPS_BATTERY_VOLTAGE, SNMP_UPS_TEMPERATURE, SNMP_UPS_ALARMS, SNMP_UPS_BYPASS,
	SNMP_LINE_VOLTAGE = 960, SNMP_LINE_CURRENT, SNMP_LINE_POWER, SNMP_LINE_FREQUENCY, SNMP_LINE_LOAD,
	/* of a sensor: one of them */
	SNMP_SENSOR_VOLTAGE = 970, SNMP_SENSOR_CURRENT, SNMP_SENSOR_POWER, SNMP_SENSOR_FREQUENCY,
	SNMP_SENSOR_TEMPERATURE, SNMP_SENSOR_HUMIDITY, SNMP_SENSOR_FAN, SNMP_SENSOR_FLOW, SNMP_SENSOR_TRUTH,
	SNMP_SENSOR_OTHER,
	/* of a host, then of one of its storages */
	SNMP_HOST_CPU = 1000, SNMP_HOST_CPUS, SNMP_HOST_PROCESSES, SNMP_HOST_USERS, SNMP_HOST_UPTIME,
	SNMP_STORAGE_SIZE = 1010, SNMP_STORAGE_USED, SNMP_STORAGE_SHARE,
	/* of an object that the check names */
	SNMP_OBJECT_VALUE = 1020, SNMP_OBJECT_RATE,
};

/* In the order of the words of the option `what`. */
enum snmp_group { SNMP_GROUP_SYSTEM, SNMP_GROUP_INTERFACES, SNMP_GROUP_IP, SNMP_GROUP_UPS, SNMP_GROUP_SENSORS,
	SNMP_GROUP_HOST, SNMP_GROUPS };
extern const char *const catalog_snmp_groups[SNMP_GROUPS];

#define SNMP_OBJECTS_MAX 64 /* of the option `oids` */
#define SNMP_NAME_MAX 40    /* bytes of a name in it */

struct snmp_options {
	const char *host, *ipv4, *ipv6;
	int64_t port;
	const char *community, *credentials;
	struct config_texts what, oids, interfaces, ignore;
	int64_t retry; /* ns */
};

/* Bits 1 << enum snmp_group of checked options. */
unsigned catalog_snmp_what(const struct snmp_options *);
/* "name=1.3.6.1...": where the numbers begin; NULL when it is not that. */
const char *catalog_snmp_oid(const char *item);

#endif

/*
 * snmp_device: what is read of a device, and what is told of it. Pure: requests go out of it, varbinds come into it.
 *
 *   snmp_device_begin -> { snmp_device_ask -> the request -> snmp_device_take per varbind -> snmp_device_replied } until it asks
 *   nothing -> snmp_device_tell: the report -> snmp_device_fini
 *
 * Sources: IF-MIB (RFC 2863), IP-MIB (RFC 4293), UPS-MIB (RFC 1628), ENTITY-SENSOR-MIB (RFC 3433), HOST-RESOURCES-MIB (RFC
 * 2790). Each request asks sysUpTime first, so that a restart in between is seen.
 * Parts: an interface is its ifName (two of one name: with their ifIndex), "ups input 1", "sensor NAME", "storage NAME", "oid NAME".
 */
#ifndef PROBES_SNMP_DEVICE_H
#define PROBES_SNMP_DEVICE_H

#include "lib/sample.h"
#include "probes/catalog_snmp.h"
#include "probes/snmp_rates.h"
#include "probes/snmp_table.h"

#define SNMP_SCALARS 13
#define SNMP_TABLES 9
#define SNMP_LABEL_MAX 160
#define SNMP_REPORT_PARTS 255
#define SNMP_PART_VALUES 16

struct snmp_request {
	bool is_bulk; /* the first of the objects does not repeat */
	unsigned repetitions;
	size_t count;
	struct snmp_oid oids[SNMP_VARBINDS + 1];
};

struct snmp_device {
	const struct snmp_options *options;
	unsigned what;
	struct snmp_clock clock; /* of the first answer */
	bool has_clock, was_restarted;
	struct snmp_value scalars[SNMP_SCALARS], objects[SNMP_OBJECTS_MAX];
	int64_t objects_mono;
	struct snmp_table tables[SNMP_TABLES];
	enum snmp_lack lacks[SNMP_TABLES]; /* of each */
	/* what is under way */
	size_t step;
	struct snmp_walk walk;
	bool is_walking;
	size_t varbinds_max; /* of walks */
	size_t get_at, get_count, get_max; /* of the objects to get, in their order */
};

struct snmp_part {
	char label[SNMP_LABEL_MAX];
	enum outcome outcome;
	char why[SAMPLE_TEXT_MAX + 1];
	size_t count, room;
	struct value *values;
};

struct snmp_report {
	struct snmp_part own; /* up with a why: what it lacks though */
	struct value own_values[SAMPLE_VALUES_MAX];
	size_t count, omitted;
	struct snmp_part *parts[SNMP_REPORT_PARTS];
};

void snmp_device_begin(struct snmp_device *, const struct snmp_options *); /* borrowed */
void snmp_device_fini(struct snmp_device *);
/* Fills the request; false: all is read. */
bool snmp_device_ask(struct snmp_device *, struct snmp_request *);
/* Varbind i, 0 up, of the answer to it. */
void snmp_device_take(struct snmp_device *, size_t i, const struct snmp_oid *, const struct snmp_value *, int64_t mono);
/* The answer is whole. False with words: it cannot go on. */
bool snmp_device_replied(struct snmp_device *, const struct snmp_answer *, char why[SAMPLE_TEXT_MAX + 1]);
void snmp_device_tell(const struct snmp_device *, struct snmp_rates *, struct snmp_report *);
void snmp_report_fini(struct snmp_report *);

#endif

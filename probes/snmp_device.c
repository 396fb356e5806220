#include "probes/snmp_device.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "probes/snmp_columns.h"

#define UPTIME_INSTANCE "1.3.6.1.2.1.1.3.0"
#define UPS "1.3.6.1.2.1.33.1."
#define HOST "1.3.6.1.2.1.25."
#define GETS_MAX 24 /* objects of one GET */

/* sysUpTime and its instance: of every request */
static const struct snmp_oid uptime = {8, {1, 3, 6, 1, 2, 1, 1, 3}}, uptime_instance = {9, {1, 3, 6, 1, 2, 1, 1, 3, 0}};

/* ---- what there is to read */

#define IF "1.3.6.1.2.1.2.2.1."
#define IFX "1.3.6.1.2.1.31.1.1.1."
#define IP_SYSTEM "1.3.6.1.2.1.4.31.1.1."
#define IP_IF "1.3.6.1.2.1.4.31.3.1."
#define SENSOR "1.3.6.1.2.1.99.1.1.1."
#define ENTITY "1.3.6.1.2.1.47.1.1.1.1."

static const char *const interface_columns[IF_COLUMNS] = {[IF_NAME] = IFX "1", [IF_ALIAS] = IFX "18",
	[IF_HIGH_SPEED] = IFX "15", [IF_DISCONTINUITY] = IFX "19", [IF_ADMIN] = IF "7", [IF_OPER] = IF "8",
	[IF_HC_IN] = IFX "6", [IF_HC_OUT] = IFX "10", [IF_IN_ERRORS] = IF "14", [IF_OUT_ERRORS] = IF "20",
	[IF_IN_DISCARDS] = IF "13", [IF_OUT_DISCARDS] = IF "19"};
static const char *const plain_columns[PLAIN_COLUMNS] = {[PLAIN_DESCR] = IF "2", [PLAIN_SPEED] = IF "5",
	[PLAIN_IN] = IF "10", [PLAIN_OUT] = IF "16"};
static const char *const ip_system_columns[IP_COLUMNS] = {[IP_IN] = IP_SYSTEM "3", [IP_HC_IN] = IP_SYSTEM "4",
	[IP_HEADER_ERRORS] = IP_SYSTEM "7", [IP_NO_ROUTES] = IP_SYSTEM "8", [IP_REASSEMBLY] = IP_SYSTEM "16",
	[IP_IN_DISCARDS] = IP_SYSTEM "17", [IP_FORWARDED] = IP_SYSTEM "23", [IP_HC_FORWARDED] = IP_SYSTEM "24",
	[IP_OUT_DISCARDS] = IP_SYSTEM "25", [IP_OUT] = IP_SYSTEM "30", [IP_HC_OUT] = IP_SYSTEM "31",
	[IP_OUT_REQUESTS] = IP_SYSTEM "20", [IP_HC_OUT_REQUESTS] = IP_SYSTEM "21", [IP_DISCONTINUITY] = IP_SYSTEM "46"};
static const char *const ip_if_columns[IPIF_COLUMNS] = {[IPIF_IN] = IP_IF "5", [IPIF_HC_IN] = IP_IF "6",
	[IPIF_OUT] = IP_IF "32", [IPIF_HC_OUT] = IP_IF "33"};
static const char *const ups_input_columns[UPS_IN_COLUMNS] = {[UPS_IN_FREQUENCY] = UPS "3.3.1.2",
	[UPS_IN_VOLTAGE] = UPS "3.3.1.3", [UPS_IN_CURRENT] = UPS "3.3.1.4", [UPS_IN_POWER] = UPS "3.3.1.5"};
static const char *const ups_output_columns[UPS_OUT_COLUMNS] = {[UPS_OUT_VOLTAGE] = UPS "4.4.1.2",
	[UPS_OUT_CURRENT] = UPS "4.4.1.3", [UPS_OUT_POWER] = UPS "4.4.1.4", [UPS_OUT_LOAD] = UPS "4.4.1.5"};
static const char *const sensor_columns[SENSOR_COLUMNS] = {[SENSOR_TYPE] = SENSOR "1", [SENSOR_SCALE] = SENSOR "2",
	[SENSOR_PRECISION] = SENSOR "3", [SENSOR_VALUE] = SENSOR "4", [SENSOR_STATUS] = SENSOR "5"};
static const char *const storage_columns[STORAGE_COLUMNS] = {[STORAGE_NAME] = HOST "2.3.1.3",
	[STORAGE_UNIT] = HOST "2.3.1.4", [STORAGE_SIZE] = HOST "2.3.1.5", [STORAGE_USED] = HOST "2.3.1.6"};
static const char *const cpu_columns[1] = {HOST "3.3.1.2"};

struct step {
	unsigned needs; /* groups that must all be asked for */
	const char *const *columns;
	size_t count;
};

#define BIT(group) (1u << SNMP_GROUP_##group)
static const struct step steps[SNMP_TABLES] = {
	[TABLE_INTERFACES] = {BIT(INTERFACES), interface_columns, IF_COLUMNS},
	[TABLE_PLAIN] = {BIT(INTERFACES), plain_columns, PLAIN_COLUMNS},
	[TABLE_IP_SYSTEM] = {BIT(IP), ip_system_columns, IP_COLUMNS},
	[TABLE_IP_IF] = {BIT(IP) | BIT(INTERFACES), ip_if_columns, IPIF_COLUMNS},
	[TABLE_UPS_INPUT] = {BIT(UPS), ups_input_columns, UPS_IN_COLUMNS},
	[TABLE_UPS_OUTPUT] = {BIT(UPS), ups_output_columns, UPS_OUT_COLUMNS},
	[TABLE_SENSORS] = {BIT(SENSORS), sensor_columns, SENSOR_COLUMNS},
	[TABLE_STORAGE] = {BIT(HOST), storage_columns, STORAGE_COLUMNS},
	[TABLE_CPUS] = {BIT(HOST), cpu_columns, 1},
};

static const struct {
	unsigned needs;
	const char *oid;
} scalars[SNMP_SCALARS] = {
	[SCALAR_UPS_BATTERY] = {BIT(UPS), UPS "2.1.0"}, [SCALAR_UPS_SECONDS] = {BIT(UPS), UPS "2.2.0"},
	[SCALAR_UPS_MINUTES] = {BIT(UPS), UPS "2.3.0"}, [SCALAR_UPS_CHARGE] = {BIT(UPS), UPS "2.4.0"},
	[SCALAR_UPS_VOLTAGE] = {BIT(UPS), UPS "2.5.0"}, [SCALAR_UPS_TEMPERATURE] = {BIT(UPS), UPS "2.7.0"},
	[SCALAR_UPS_SOURCE] = {BIT(UPS), UPS "4.1.0"}, [SCALAR_UPS_ALARMS] = {BIT(UPS), UPS "6.1.0"},
	[SCALAR_HOST_UPTIME] = {BIT(HOST), HOST "1.1.0"}, [SCALAR_HOST_USERS] = {BIT(HOST), HOST "1.5.0"},
	[SCALAR_HOST_PROCESSES] = {BIT(HOST), HOST "1.6.0"},
	[SCALAR_UPTIME] = {BIT(SYSTEM), UPTIME_INSTANCE},
	[SCALAR_IF_NUMBER] = {BIT(INTERFACES), "1.3.6.1.2.1.2.1.0"},
};

void snmp_device_begin(struct snmp_device *d, const struct snmp_options *o)
{
	memset(d, 0, sizeof *d);
	d->options = o;
	d->what = catalog_snmp_what(o);
	d->get_max = GETS_MAX;
	d->varbinds_max = SNMP_VARBINDS_MAX;
	for (size_t i = 0; i < SNMP_TABLES; i++)
		snmp_table_init(&d->tables[i], steps[i].count + (i == TABLE_SENSORS));
}

void snmp_device_fini(struct snmp_device *d)
{
	for (size_t i = 0; i < SNMP_TABLES; i++)
		snmp_table_fini(&d->tables[i]);
	memset(d, 0, sizeof *d);
}

/* ---- GET: the scalars of the groups, then the objects of the check, then the names of the sensors */

static size_t gets_total(const struct snmp_device *d)
{
	return SNMP_SCALARS + d->options->oids.count + d->tables[TABLE_SENSORS].count;
}

/* How many interfaces there are says whether all were shown: it is asked where one that lacks would be down. */
static bool wants_scalar(const struct snmp_device *d, size_t i)
{
	return (scalars[i].needs & ~d->what) == 0 && (i != SCALAR_IF_NUMBER || d->options->interfaces.count > 0);
}

/* Object i of them all: what to ask; false: it is not asked. */
static bool get_name(const struct snmp_device *d, size_t i, struct snmp_oid *out)
{
	const struct snmp_table *sensors = &d->tables[TABLE_SENSORS];
	const struct snmp_row *row;

	if (i < SNMP_SCALARS) {
		snmp_oid_parse(scalars[i].oid, out);
		return wants_scalar(d, i);
	}
	i -= SNMP_SCALARS;
	if (i < d->options->oids.count) {
		snmp_oid_parse(catalog_snmp_oid(d->options->oids.items[i]), out);
		return true;
	}
	row = sensors->rows[i - d->options->oids.count];
	snmp_oid_parse(ENTITY "7", out);
	memcpy(out->part + out->len, row->index, row->index_len * sizeof *row->index);
	out->len += row->index_len;
	return true;
}

static void put_get(struct snmp_device *d, size_t i, const struct snmp_value *v, int64_t mono)
{
	struct snmp_table *sensors = &d->tables[TABLE_SENSORS];
	const struct snmp_row *row;

	if (i < SNMP_SCALARS) {
		d->scalars[i] = *v;
		d->scalars[i].text = NULL;
		d->scalars[i].text_len = 0;
	} else if (i < SNMP_SCALARS + d->options->oids.count) {
		/* of a text the number it may be is all that is told */
		struct snmp_value *to = &d->objects[i - SNMP_SCALARS];

		*to = *v;
		d->objects_mono = mono;
		to->real = snmp_number(v);
		if (v->kind == SNMP_KIND_TEXT && *snmp_kind_words(v) == '\0')
			to->kind = SNMP_KIND_REAL;
		to->text = NULL;
		to->text_len = 0;
	} else {
		row = sensors->rows[i - SNMP_SCALARS - d->options->oids.count];
		snmp_table_put(sensors, SENSOR_NAME, row->index, row->index_len, v, mono);
	}
}

static bool ask_gets(struct snmp_device *d, struct snmp_request *out)
{
	size_t total = gets_total(d);

	out->is_bulk = false;
	snmp_oid_copy(&out->oids[0], &uptime_instance);
	out->count = 1;
	for (d->get_count = 0; d->get_at + d->get_count < total && out->count <= d->get_max; d->get_count++) {
		if (get_name(d, d->get_at + d->get_count, &out->oids[out->count]))
			out->count++;
	}
	return out->count > 1;
}

static void take_get(struct snmp_device *d, size_t i, const struct snmp_oid *name, const struct snmp_value *v, int64_t mono)
{
	struct snmp_oid asked;

	for (size_t k = d->get_at; k < d->get_at + d->get_count; k++) {
		if (!get_name(d, k, &asked) || i-- > 0)
			continue;
		if (snmp_oid_order(name, &asked) == 0)
			put_get(d, k, v, mono);
		return;
	}
}

/* ---- tables, one after the other */

/* The counters of 32 bits and the names of old are asked only where the new ones are not. */
static bool needs_plain(const struct snmp_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct snmp_value *v = t->rows[i]->values;

		if (v[IF_NAME].text_len == 0 || v[IF_HC_IN].kind != SNMP_KIND_COUNTER64 ||
			v[IF_HC_OUT].kind != SNMP_KIND_COUNTER64)
			return true;
	}
	return false;
}

static bool wants_step(const struct snmp_device *d, size_t step)
{
	return (steps[step].needs & ~d->what) == 0 &&
		(step != TABLE_PLAIN || needs_plain(&d->tables[TABLE_INTERFACES]));
}

static bool ask_walk(struct snmp_device *d, struct snmp_request *out)
{
	const struct snmp_oid *at[SNMP_COLUMNS_MAX];
	size_t n = snmp_walk_ask(&d->walk, at, &out->repetitions);

	out->is_bulk = true;
	snmp_oid_copy(&out->oids[0], &uptime);
	for (size_t i = 0; i < n; i++)
		snmp_oid_copy(&out->oids[i + 1], at[i]);
	out->count = n + 1;
	return n > 0;
}

bool snmp_device_ask(struct snmp_device *d, struct snmp_request *out)
{
	for (; d->step < SNMP_TABLES; d->step++, d->is_walking = false) {
		if (!wants_step(d, d->step))
			continue;
		if (!d->is_walking)
			snmp_walk_begin(&d->walk, &d->tables[d->step], steps[d->step].columns, steps[d->step].count,
				d->varbinds_max);
		d->is_walking = true;
		if (ask_walk(d, out))
			return true;
		d->lacks[d->step] = d->walk.lack;
		d->varbinds_max = d->walk.varbinds_max;
	}
	return ask_gets(d, out);
}

/* ---- answers */

static void take_uptime(struct snmp_device *d, const struct snmp_oid *name, const struct snmp_value *v, int64_t mono)
{
	struct snmp_clock now = {mono, false, (uint32_t)v->number};

	now.has_uptime = v->kind == SNMP_KIND_UNSIGNED && snmp_oid_order(name, &uptime_instance) == 0;
	if (d->has_clock && !snmp_clock_went_on(&d->clock, &now))
		d->was_restarted = true;
	if (!d->has_clock)
		d->clock = now;
	d->has_clock = true;
}

void snmp_device_take(struct snmp_device *d, size_t i, const struct snmp_oid *name, const struct snmp_value *v, int64_t mono)
{
	if (i == 0) {
		take_uptime(d, name, v, mono);
	} else if (d->is_walking) {
		snmp_walk_take(&d->walk, i - 1, name, v, mono);
	} else {
		take_get(d, i - 1, name, v, mono);
	}
}

static const char *status_words(long status)
{
	static const char *const words[] = {"noError", "tooBig", "noSuchName", "badValue", "readOnly", "genErr", "noAccess",
		"wrongType", "wrongLength", "wrongEncoding", "wrongValue", "noCreation", "inconsistentValue",
		"resourceUnavailable", "commitFailed", "undoFailed", "authorizationError", "notWritable",
		"inconsistentName"};

	return status >= 0 && status < (long)(sizeof words / sizeof *words) ? words[status] : "an unknown error";
}

/* tooBig is asked again for less; one column that the device fails at is left out. */
bool snmp_device_replied(struct snmp_device *d, const struct snmp_answer *a, char why[SAMPLE_TEXT_MAX + 1])
{
	bool is_too_big = a->status == 1;

	if (a->status == 0) {
		if (d->is_walking)
			snmp_walk_replied(&d->walk, a);
		else
			d->get_at += d->get_count;
		return true;
	}
	if (d->is_walking && is_too_big && snmp_walk_too_big(&d->walk))
		return true;
	if (!d->is_walking && is_too_big && d->get_max > 1) {
		d->get_max /= 2;
		return true;
	}
	if (d->is_walking && !is_too_big && a->index > 1 && snmp_walk_failed_at(&d->walk, (size_t)a->index - 1))
		return true;
	snprintf(why, SAMPLE_TEXT_MAX + 1, "the device answered with %s", status_words(a->status));
	return false;
}

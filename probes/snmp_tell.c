/* What snmp_device.h tells of what was read. */
#include "probes/snmp_device.h"

#include <assert.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"
#include "probes/snmp_columns.h"

#define MEGABIT 1e6
#define TICK 0.01
#define BITS_PER_BYTE 8
#define BITS_PER_PACKET 512 /* of the shortest Ethernet frame */
#define GAUGE_FULL 4294967295.0 /* of a 32-bit ifSpeed: more than it can say */
#define SENSOR_VALUE_MAX 1e9

struct telling {
	const struct snmp_device *d;
	struct snmp_rates *rates;
	struct snmp_report *out;
};

/* ---- the report */

static void add_value(struct snmp_part *p, uint32_t metric, double number)
{
	if (p == NULL || !isfinite(number))
		return;
	assert(p->count < p->room);
	p->values[p->count++] = (struct value){metric, number};
}

static void say(struct snmp_part *p, enum outcome outcome, const char *why, ...) __attribute__((format(printf, 3, 4)));

static void say(struct snmp_part *p, enum outcome outcome, const char *why, ...)
{
	va_list ap;

	if (p == NULL)
		return;
	p->outcome = outcome;
	va_start(ap, why);
	vsnprintf(p->why, sizeof p->why, why, ap);
	va_end(ap);
}

/* NULL: there are too many. */
static struct snmp_part *add_part(struct telling *t, const char *label)
{
	struct snmp_part *p;

	if (t->out->count == SNMP_REPORT_PARTS) {
		t->out->omitted++;
		return NULL;
	}
	p = mem_alloc(sizeof *p + SNMP_PART_VALUES * sizeof *p->values);
	p->room = SNMP_PART_VALUES;
	p->values = (struct value *)(p + 1);
	p->outcome = OUTCOME_UP;
	memcpy(p->label, label, strnlen(label, sizeof p->label - 1));
	t->out->parts[t->out->count++] = p;
	return p;
}

void snmp_report_fini(struct snmp_report *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->parts[i]);
	r->count = 0;
}

/* ---- labels: texts of the device made clean; two that are alike are told apart by what follows */

#define TEXT_MAX (SNMP_TEXT_MAX + 1)

static const char *clean(const struct snmp_value *v, char out[TEXT_MAX])
{
	size_t n = v->kind == SNMP_KIND_TEXT ? v->text_len : 0;

	while (n > 0 && (v->text[n - 1] == ' ' || v->text[n - 1] == '\0'))
		n--;
	return text_clean(n > 0 ? v->text : "", n, out, TEXT_MAX);
}

/* Which names came, and which of them again. */
struct names {
	struct map *seen, *twice;
};

static void names_note(struct names *n, const char *name)
{
	if (map_set(n->seen, name, n) != NULL)
		map_set(n->twice, name, n);
}

static bool names_is_twice(const struct names *n, const char *name)
{
	return map_find(n->twice, name) != NULL;
}

static struct names names_new(void)
{
	return (struct names){map_new(), map_new()};
}

static void names_free(struct names *n)
{
	map_free(n->seen, NULL);
	map_free(n->twice, NULL);
}

/* Most patterns are told from most names by their first letter, which fnmatch is slow to see. */
static bool matches(const char *pattern, const char *text)
{
	if (*pattern != *text && strchr("*?[\\", *pattern) == NULL)
		return false;
	return fnmatch(pattern, text, 0) == 0;
}

static bool is_one_of(const struct config_texts *patterns, const char *name, const char *alias)
{
	for (size_t i = 0; i < patterns->count; i++) {
		if (matches(patterns->items[i], name) || (*alias != '\0' && matches(patterns->items[i], alias)))
			return true;
	}
	return false;
}

/* ---- interfaces */

enum { COUNT_RX, COUNT_TX, COUNT_RX_ERRORS, COUNT_TX_ERRORS, COUNT_RX_DISCARDS, COUNT_TX_DISCARDS, COUNT_V4_RX, COUNT_V4_TX,
	COUNT_V6_RX, COUNT_V6_TX };

enum { OPER_UP = 1, OPER_UNKNOWN = 4, ADMIN_UP = 1 };

static const char *oper_words(double oper)
{
	static const char *const words[] = {"", "up", "down", "testing", "unknown", "dormant", "notPresent",
		"lowerLayerDown"};

	return oper >= 1 && oper <= 7 ? words[(int)oper] : "not told";
}

static const struct snmp_row *same_row(const struct telling *t, size_t table, const struct snmp_row *row)
{
	return snmp_table_find(&t->d->tables[table], row->index, row->index_len);
}

/* The ifName, or what else tells it. */
static const char *interface_name(const struct telling *t, const struct snmp_row *row, char out[TEXT_MAX])
{
	const struct snmp_row *plain = same_row(t, TABLE_PLAIN, row);

	if (*clean(&row->values[IF_NAME], out) == '\0' && plain != NULL)
		clean(&plain->values[PLAIN_DESCR], out);
	if (*out == '\0')
		snprintf(out, TEXT_MAX, "ifIndex %u", row->index[0]);
	return out;
}

/* Bits per second; 0: not told. */
static double speed_of(const struct snmp_row *row, const struct snmp_row *plain)
{
	double high = snmp_number(&row->values[IF_HIGH_SPEED]);
	double low = plain != NULL ? snmp_number(&plain->values[PLAIN_SPEED]) : (double)NAN;

	if (high > 0)
		return high * MEGABIT;
	return low > 0 && low < GAUGE_FULL ? low : 0;
}

static const struct snmp_value *wide_or(const struct snmp_value *wide, const struct snmp_row *row, size_t column)
{
	return wide->kind == SNMP_KIND_COUNTER64 || row == NULL ? wide : &row->values[column];
}

/* The traffic of each family, where the device counts it. */
static void tell_families(struct telling *t, const struct snmp_row *row, struct snmp_past *past, double limit,
	struct snmp_part *p)
{
	static const struct {
		uint32_t version, rx, tx;
		unsigned rx_slot, tx_slot;
	} families[] = {{1, SNMP_V4_RX_BYTES, SNMP_V4_TX_BYTES, COUNT_V4_RX, COUNT_V4_TX},
		{2, SNMP_V6_RX_BYTES, SNMP_V6_TX_BYTES, COUNT_V6_RX, COUNT_V6_TX}};

	for (size_t i = 0; i < 2; i++) {
		const uint32_t index[] = {families[i].version, row->index[0]};
		const struct snmp_row *ip = snmp_table_find(&t->d->tables[TABLE_IP_IF], index, 2);

		if (ip == NULL)
			continue;
		add_value(p, families[i].rx, snmp_rate(past, families[i].rx_slot,
			wide_or(&ip->values[IPIF_HC_IN], ip, IPIF_IN), ip->mono, limit));
		add_value(p, families[i].tx, snmp_rate(past, families[i].tx_slot,
			wide_or(&ip->values[IPIF_HC_OUT], ip, IPIF_OUT), ip->mono, limit));
	}
}

static void tell_traffic(struct telling *t, const struct snmp_row *row, struct snmp_past *past, double speed,
	struct snmp_part *p)
{
	const struct snmp_row *plain = same_row(t, TABLE_PLAIN, row);
	const struct snmp_value *in = wide_or(&row->values[IF_HC_IN], plain, PLAIN_IN);
	const struct snmp_value *out = wide_or(&row->values[IF_HC_OUT], plain, PLAIN_OUT);
	double rx = snmp_rate(past, COUNT_RX, in, in == &row->values[IF_HC_IN] ? row->mono : plain->mono,
		speed / BITS_PER_BYTE);
	double tx = snmp_rate(past, COUNT_TX, out, out == &row->values[IF_HC_OUT] ? row->mono : plain->mono,
		speed / BITS_PER_BYTE);

	add_value(p, SNMP_RX_BYTES, rx);
	add_value(p, SNMP_TX_BYTES, tx);
	if (speed > 0) {
		add_value(p, SNMP_SPEED, speed);
		add_value(p, SNMP_RX_SHARE, 100 * rx * BITS_PER_BYTE / speed);
		add_value(p, SNMP_TX_SHARE, 100 * tx * BITS_PER_BYTE / speed);
	}
}

static void tell_troubles(const struct snmp_row *row, struct snmp_past *past, double speed, struct snmp_part *p)
{
	static const struct {
		uint32_t metric;
		unsigned slot, column;
	} counts[] = {{SNMP_RX_ERRORS, COUNT_RX_ERRORS, IF_IN_ERRORS}, {SNMP_TX_ERRORS, COUNT_TX_ERRORS, IF_OUT_ERRORS},
		{SNMP_RX_DISCARDS, COUNT_RX_DISCARDS, IF_IN_DISCARDS},
		{SNMP_TX_DISCARDS, COUNT_TX_DISCARDS, IF_OUT_DISCARDS}};

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		add_value(p, counts[i].metric, snmp_rate(past, counts[i].slot, &row->values[counts[i].column],
			row->mono, speed / BITS_PER_PACKET));
}

static void judge(struct snmp_part *p, double admin, double oper, const char *alias)
{
	const char *before = *alias != '\0' ? " (" : "", *after = *alias != '\0' ? ")" : "";

	if (oper == OPER_UP)
		return;
	if (admin > ADMIN_UP)
		say(p, OUTCOME_DOWN, "the interface is switched off%s%s%s", before, alias, after);
	else if (oper >= 1 && oper != OPER_UNKNOWN)
		say(p, OUTCOME_DOWN, "ifOperStatus is %s%s%s%s", oper_words(oper), before, alias, after);
	else
		say(p, OUTCOME_UNKNOWN, "ifOperStatus is %s%s%s%s", oper_words(oper), before, alias, after);
}

/* What makes its counters another row of numbers: another index, or they began anew. */
static uint64_t identity_of(const struct snmp_row *row)
{
	const struct snmp_value *since = &row->values[IF_DISCONTINUITY];

	return (uint64_t)row->index[0] << 32 | (since->kind == SNMP_KIND_UNSIGNED ? (uint32_t)since->number : 0);
}

static void tell_interface(struct telling *t, const struct snmp_row *row, const char *label, bool must,
	const char *alias)
{
	struct snmp_part *p = add_part(t, label);
	struct snmp_past *past = snmp_rates_part(t->rates, label, identity_of(row));
	double speed = speed_of(row, same_row(t, TABLE_PLAIN, row));
	double admin = snmp_number(&row->values[IF_ADMIN]), oper = snmp_number(&row->values[IF_OPER]);

	tell_traffic(t, row, past, speed, p);
	tell_troubles(row, past, speed, p);
	tell_families(t, row, past, speed / BITS_PER_BYTE, p);
	if (oper >= 1 && oper != OPER_UNKNOWN)
		add_value(p, SNMP_LINK, oper == OPER_UP);
	if (admin >= 1)
		add_value(p, SNMP_ADMIN, admin == ADMIN_UP);
	if (must)
		judge(p, admin, oper, alias);
}

/* What an interface is called, made clean once: it is looked at several times. */
struct called {
	char name[TEXT_MAX], alias[TEXT_MAX];
};

/* Of all rows, to be freed. */
static struct called *all_called(const struct telling *t, struct names *names)
{
	const struct snmp_table *all = &t->d->tables[TABLE_INTERFACES];
	struct called *called = mem_array(all->count + 1, sizeof *called);

	for (size_t i = 0; i < all->count; i++) {
		interface_name(t, all->rows[i], called[i].name);
		if (t->d->options->interfaces.count > 0) /* nobody else asks for it */
			clean(&all->rows[i]->values[IF_ALIAS], called[i].alias);
		names_note(names, called[i].name);
	}
	return called;
}

static const char *lack_words(enum snmp_lack lack)
{
	switch (lack) {
	case SNMP_LACK_ORDER:
		return "the device does not go up in a walk: what it has after that is not read";
	case SNMP_LACK_COLUMN:
		return "the device failed at a column of a table, which is not read";
	case SNMP_LACK_ROWS:
		return "the device has more rows in a table than are read";
	case SNMP_LACK_END:
		return "the device gave nothing more before the end of a table: what it has after that is not read";
	case SNMP_LACK_NONE:
		break;
	}
	return "";
}

/* Why one that is not among the interfaces that were read may be there all the same; NULL: it is not. */
static const char *why_unseen(const struct telling *t)
{
	const struct snmp_device *d = t->d;
	const struct snmp_table *all = &d->tables[TABLE_INTERFACES];

	if (d->lacks[TABLE_INTERFACES] != SNMP_LACK_NONE || d->lacks[TABLE_PLAIN] != SNMP_LACK_NONE)
		return lack_words(d->lacks[TABLE_INTERFACES] != SNMP_LACK_NONE ? d->lacks[TABLE_INTERFACES] : d->lacks[TABLE_PLAIN]);
	if (all->count == 0)
		return "the device shows no interfaces";
	if (snmp_number(&d->scalars[SCALAR_IF_NUMBER]) > (double)all->count)
		return "the device has more interfaces (ifNumber) than it shows";
	for (size_t i = 0; i < all->count; i++) {
		if (all->rows[i]->values[IF_NAME].kind != SNMP_KIND_TEXT)
			return "the device does not show ifName of all";
		if (all->rows[i]->values[IF_ALIAS].kind != SNMP_KIND_TEXT)
			return "the device does not show ifAlias of all";
	}
	return NULL;
}

static void mark_found(const struct config_texts *wanted, const char *name, const char *alias, bool *found)
{
	for (size_t i = 0; i < wanted->count; i++)
		found[i] = found[i] || is_one_of(&(struct config_texts){1, &wanted->items[i]}, name, alias);
}

/* Patterns that no interface is meant by. */
static void tell_missing(struct telling *t, const struct called *called)
{
	const struct config_texts *wanted = &t->d->options->interfaces;
	bool *found = mem_array(wanted->count + 1, sizeof *found);
	const char *why = why_unseen(t);

	for (size_t i = 0; i < t->d->tables[TABLE_INTERFACES].count; i++)
		mark_found(wanted, called[i].name, called[i].alias, found);
	for (size_t i = 0; i < wanted->count; i++) {
		if (found[i])
			continue;
		if (why != NULL)
			say(add_part(t, wanted->items[i]), OUTCOME_UNKNOWN, "it is not among the interfaces that were read: %s", why);
		else
			say(add_part(t, wanted->items[i]), OUTCOME_DOWN, "there is no such interface");
	}
	free(found);
}

/* Those that must be up, or the others. */
static void tell_rows(struct telling *t, const struct called *called, const struct names *names, bool must)
{
	const struct snmp_options *o = t->d->options;
	const struct snmp_table *all = &t->d->tables[TABLE_INTERFACES];

	for (size_t i = 0; i < all->count; i++) {
		const struct snmp_row *row = all->rows[i];
		const char *name = called[i].name;
		char label[SNMP_LABEL_MAX];

		if (is_one_of(&o->interfaces, name, called[i].alias) != must || (!must && is_one_of(&o->ignore, name, "")))
			continue;
		if (names_is_twice(names, name))
			snprintf(label, sizeof label, "%s (ifIndex %u)", name, row->index[0]);
		tell_interface(t, row, names_is_twice(names, name) ? label : name, must, called[i].alias);
	}
}

/* First those that must be up, of them those that are not there, so that they are not among those left out. */
static void tell_interfaces(struct telling *t)
{
	const struct snmp_table *all = &t->d->tables[TABLE_INTERFACES];
	struct names names = names_new();
	struct called *called = all_called(t, &names);
	double down = 0;

	if (t->d->options->interfaces.count > 0) {
		tell_missing(t, called);
		tell_rows(t, called, &names, true);
	}
	tell_rows(t, called, &names, false);
	for (size_t i = 0; i < all->count; i++) {
		const struct snmp_value *v = all->rows[i]->values;

		down += snmp_number(&v[IF_ADMIN]) == ADMIN_UP && snmp_number(&v[IF_OPER]) > OPER_UP;
	}
	free(called);
	names_free(&names);
	if (all->count == 0)
		return;
	add_value(&t->out->own, SNMP_INTERFACES, (double)all->count);
	add_value(&t->out->own, SNMP_INTERFACES_DOWN, down);
}

/* ---- IP of the whole device */

static void tell_ip_version(struct telling *t, const struct snmp_row *row, uint32_t first, const char *label)
{
	static const struct {
		unsigned wide, plain; /* columns */
	} counts[] = {{IP_HC_IN, IP_IN}, {IP_HC_OUT, IP_OUT}, {IP_HC_FORWARDED, IP_FORWARDED},
		{IP_HEADER_ERRORS, IP_HEADER_ERRORS}, {IP_NO_ROUTES, IP_NO_ROUTES},
		{IP_IN_DISCARDS, IP_IN_DISCARDS}, {IP_OUT_DISCARDS, IP_OUT_DISCARDS}, {IP_REASSEMBLY, IP_REASSEMBLY}};
	const struct snmp_value *since = &row->values[IP_DISCONTINUITY];
	struct snmp_past *past = snmp_rates_part(t->rates, label,
		since->kind == SNMP_KIND_UNSIGNED ? since->number : 0);

	for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
		const struct snmp_value *v = wide_or(&row->values[counts[i].wide], row, counts[i].plain);

		/* transmitted is what left; where it is not counted, what the device itself sent */
		if (i == 1 && v->kind != SNMP_KIND_COUNTER64 && v->kind != SNMP_KIND_COUNTER32)
			v = wide_or(&row->values[IP_HC_OUT_REQUESTS], row, IP_OUT_REQUESTS);
		add_value(&t->out->own, first + i, snmp_rate(past, i, v, row->mono, 0));
	}
}

static void tell_ip(struct telling *t)
{
	static const uint32_t four[] = {1}, six[] = {2};
	const struct snmp_table *all = &t->d->tables[TABLE_IP_SYSTEM];
	const struct snmp_row *row4 = snmp_table_find(all, four, 1), *row6 = snmp_table_find(all, six, 1);

	/* labels that no interface has: names of parts have no line feed */
	if (row4 != NULL)
		tell_ip_version(t, row4, SNMP_IP4_IN, "\nIPv4");
	if (row6 != NULL)
		tell_ip_version(t, row6, SNMP_IP6_IN, "\nIPv6");
}

/* ---- UPS */

enum { SOURCE_BYPASS = 4, SOURCE_BATTERY = 5, SOURCES = 7 };

static double at_least_zero(double number, double unit)
{
	return number >= 0 ? number * unit : (double)NAN;
}

static void tell_ups_scalars(struct telling *t)
{
	const struct snmp_value *s = t->d->scalars;
	struct snmp_part *own = &t->out->own;
	double source = snmp_number(&s[SCALAR_UPS_SOURCE]);

	add_value(own, SNMP_UPS_BATTERY, snmp_number(&s[SCALAR_UPS_BATTERY]));
	if (source >= 1 && source <= SOURCES) {
		add_value(own, SNMP_UPS_ON_BATTERY, source == SOURCE_BATTERY);
		add_value(own, SNMP_UPS_BYPASS, source == SOURCE_BYPASS);
	}
	add_value(own, SNMP_UPS_SECONDS, at_least_zero(snmp_number(&s[SCALAR_UPS_SECONDS]), 1));
	add_value(own, SNMP_UPS_MINUTES, at_least_zero(snmp_number(&s[SCALAR_UPS_MINUTES]), 60));
	add_value(own, SNMP_UPS_CHARGE, at_least_zero(snmp_number(&s[SCALAR_UPS_CHARGE]), 1));
	add_value(own, SNMP_UPS_BATTERY_VOLTAGE, at_least_zero(snmp_number(&s[SCALAR_UPS_VOLTAGE]), 0.1));
	add_value(own, SNMP_UPS_TEMPERATURE, snmp_number(&s[SCALAR_UPS_TEMPERATURE]));
	add_value(own, SNMP_UPS_ALARMS, at_least_zero(snmp_number(&s[SCALAR_UPS_ALARMS]), 1));
}

static void tell_lines(struct telling *t, size_t table, const char *word)
{
	static const struct {
		uint32_t metric;
		double unit;
	} in[] = {[UPS_IN_FREQUENCY] = {SNMP_LINE_FREQUENCY, 0.1}, [UPS_IN_VOLTAGE] = {SNMP_LINE_VOLTAGE, 1},
		[UPS_IN_CURRENT] = {SNMP_LINE_CURRENT, 0.1}, [UPS_IN_POWER] = {SNMP_LINE_POWER, 1}},
	  out[] = {[UPS_OUT_VOLTAGE] = {SNMP_LINE_VOLTAGE, 1}, [UPS_OUT_CURRENT] = {SNMP_LINE_CURRENT, 0.1},
		[UPS_OUT_POWER] = {SNMP_LINE_POWER, 1}, [UPS_OUT_LOAD] = {SNMP_LINE_LOAD, 1}};
	const struct snmp_table *lines = &t->d->tables[table];

	for (size_t i = 0; i < lines->count; i++) {
		char label[SNMP_LABEL_MAX];
		struct snmp_part *p;

		snprintf(label, sizeof label, "ups %s %u", word, lines->rows[i]->index[0]);
		p = add_part(t, label);
		for (size_t c = 0; c < lines->columns; c++) {
			const uint32_t metric = table == TABLE_UPS_INPUT ? in[c].metric : out[c].metric;
			const double unit = table == TABLE_UPS_INPUT ? in[c].unit : out[c].unit;

			add_value(p, metric, at_least_zero(snmp_number(&lines->rows[i]->values[c]), unit));
		}
	}
}

/* ---- sensors */

/* RFC 3433: a scale of 9 is one unit, each step a thousand; a precision above 0 is digits after the point. */
static double sensor_number(const struct snmp_row *row)
{
	double value = snmp_number(&row->values[SENSOR_VALUE]), scale = snmp_number(&row->values[SENSOR_SCALE]);
	double precision = snmp_number(&row->values[SENSOR_PRECISION]);

	if (!(scale >= 1 && scale <= 17) || !(fabs(value) < SENSOR_VALUE_MAX))
		return (double)NAN;
	return value * pow(10, 3 * (scale - 9) - (precision > 0 && precision <= 9 ? precision : 0));
}

static uint32_t sensor_metric(double type)
{
	static const uint32_t metrics[] = {[3] = SNMP_SENSOR_VOLTAGE, [4] = SNMP_SENSOR_VOLTAGE,
		[5] = SNMP_SENSOR_CURRENT, [6] = SNMP_SENSOR_POWER, [7] = SNMP_SENSOR_FREQUENCY,
		[8] = SNMP_SENSOR_TEMPERATURE, [9] = SNMP_SENSOR_HUMIDITY, [10] = SNMP_SENSOR_FAN,
		[11] = SNMP_SENSOR_FLOW, [12] = SNMP_SENSOR_TRUTH};

	return type >= 3 && type <= 12 ? metrics[(int)type] : SNMP_SENSOR_OTHER;
}

static void tell_sensor(struct telling *t, const struct snmp_row *row, const char *label)
{
	struct snmp_part *p = add_part(t, label);
	double status = snmp_number(&row->values[SENSOR_STATUS]), type = snmp_number(&row->values[SENSOR_TYPE]);
	double number = sensor_number(row);

	if (type == 12)
		number = snmp_number(&row->values[SENSOR_VALUE]) == 1;
	if (status == 2 || status == 3)
		say(p, OUTCOME_UNKNOWN, "the sensor is %s", status == 2 ? "unavailable" : "not operational");
	else if (!isfinite(number))
		say(p, OUTCOME_UNKNOWN, "what the sensor says is no value");
	else
		add_value(p, sensor_metric(type), number);
}

/* "sensor NAME", those of one name with their index: what names a row of a table. */
static void tell_named(struct telling *t, size_t table, size_t column, const char *word,
	void (*tell)(struct telling *, const struct snmp_row *, const char *label))
{
	const struct snmp_table *all = &t->d->tables[table];
	struct names names = names_new();
	char name[TEXT_MAX], label[SNMP_LABEL_MAX];

	for (size_t i = 0; i < all->count; i++)
		names_note(&names, clean(&all->rows[i]->values[column], name));
	for (size_t i = 0; i < all->count; i++) {
		const struct snmp_row *row = all->rows[i];

		clean(&row->values[column], name);
		if (*name == '\0')
			snprintf(label, sizeof label, "%s %u", word, row->index[0]);
		else if (names_is_twice(&names, name))
			snprintf(label, sizeof label, "%s %s (%u)", word, name, row->index[0]);
		else
			snprintf(label, sizeof label, "%s %s", word, name);
		tell(t, row, label);
	}
	names_free(&names);
}

/* ---- host resources */

/* Signed in the MIB; large ones come as negative. */
static double units_of(const struct snmp_value *v)
{
	double number = snmp_number(v);

	return number < 0 ? number + GAUGE_FULL + 1 : number;
}

static void tell_storage(struct telling *t, const struct snmp_row *row, const char *label)
{
	double unit = snmp_number(&row->values[STORAGE_UNIT]), size = units_of(&row->values[STORAGE_SIZE]);
	double used = units_of(&row->values[STORAGE_USED]);
	struct snmp_part *p;

	if (!(size > 0) || !(unit > 0))
		return;
	p = add_part(t, label);
	add_value(p, SNMP_STORAGE_SIZE, size * unit);
	add_value(p, SNMP_STORAGE_USED, used * unit);
	add_value(p, SNMP_STORAGE_SHARE, 100 * used / size);
}

static void tell_host(struct telling *t)
{
	const struct snmp_table *cpus = &t->d->tables[TABLE_CPUS];
	const struct snmp_value *s = t->d->scalars;
	struct snmp_part *own = &t->out->own;
	double sum = 0;

	for (size_t i = 0; i < cpus->count; i++)
		sum += snmp_number(&cpus->rows[i]->values[0]);
	if (cpus->count > 0) {
		add_value(own, SNMP_HOST_CPU, sum / (double)cpus->count);
		add_value(own, SNMP_HOST_CPUS, (double)cpus->count);
	}
	add_value(own, SNMP_HOST_PROCESSES, snmp_number(&s[SCALAR_HOST_PROCESSES]));
	add_value(own, SNMP_HOST_USERS, snmp_number(&s[SCALAR_HOST_USERS]));
	add_value(own, SNMP_HOST_UPTIME, snmp_number(&s[SCALAR_HOST_UPTIME]) * TICK);
	tell_named(t, TABLE_STORAGE, STORAGE_NAME, "storage", tell_storage);
}

/* ---- objects of the check */

static void tell_object(struct telling *t, size_t i)
{
	const struct snmp_value *v = &t->d->objects[i];
	const char *item = t->d->options->oids.items[i], *words = snmp_kind_words(v);
	char label[SNMP_LABEL_MAX];
	struct snmp_part *p;

	snprintf(label, sizeof label, "oid %.*s", (int)strcspn(item, "="), item);
	p = add_part(t, label);
	if (*words != '\0')
		say(p, OUTCOME_UNKNOWN, "%s", words);
	else if (v->kind == SNMP_KIND_COUNTER32 || v->kind == SNMP_KIND_COUNTER64)
		add_value(p, SNMP_OBJECT_RATE,
			snmp_rate(snmp_rates_part(t->rates, label, 0), 0, v, t->d->objects_mono, 0));
	else
		add_value(p, SNMP_OBJECT_VALUE, v->kind == SNMP_KIND_REAL ? v->real : snmp_number(v));
}

/* ---- all of it */

static bool has_scalar(const struct snmp_device *d, unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++) {
		if (isfinite(snmp_number(&d->scalars[i])))
			return true;
	}
	return false;
}

/* What was asked for and is not there is unknown: nothing was measured. */
static void judge_groups(struct telling *t)
{
	const struct snmp_device *d = t->d;
	const struct snmp_table *tables = d->tables;
	const struct {
		enum snmp_group group;
		bool is_there;
		const char *mib;
	} groups[] = {
		{SNMP_GROUP_INTERFACES, tables[TABLE_INTERFACES].count > 0, "IF-MIB"},
		{SNMP_GROUP_IP, tables[TABLE_IP_SYSTEM].count > 0, "IP-MIB ipSystemStatsTable"},
		{SNMP_GROUP_UPS, has_scalar(d, SCALAR_UPS_BATTERY, SCALAR_UPS_ALARMS), "UPS-MIB"},
		{SNMP_GROUP_SENSORS, tables[TABLE_SENSORS].count > 0, "ENTITY-SENSOR-MIB"},
		{SNMP_GROUP_HOST, has_scalar(d, SCALAR_HOST_UPTIME, SCALAR_HOST_PROCESSES) ||
			tables[TABLE_STORAGE].count > 0, "HOST-RESOURCES-MIB"},
		{SNMP_GROUP_SYSTEM, d->clock.has_uptime, "sysUpTime"},
	};

	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		if ((d->what & 1u << groups[i].group) != 0 && !groups[i].is_there) {
			say(&t->out->own, OUTCOME_UNKNOWN, "noSuchObject: the device has no %s, or does not show it",
				groups[i].mib);
			return;
		}
	}
	for (size_t i = 0; i < SNMP_TABLES; i++) {
		if (d->lacks[i] != SNMP_LACK_NONE) {
			bool is_cut = d->lacks[i] == SNMP_LACK_ORDER || d->lacks[i] == SNMP_LACK_END;

			say(&t->out->own, is_cut ? OUTCOME_UNKNOWN : OUTCOME_UP, "%s", lack_words(d->lacks[i]));
			return;
		}
	}
}

void snmp_device_tell(const struct snmp_device *d, struct snmp_rates *rates, struct snmp_report *out)
{
	struct telling t = {d, rates, out};

	memset(out, 0, sizeof *out);
	out->own.outcome = OUTCOME_UP;
	out->own.values = out->own_values;
	out->own.room = SAMPLE_VALUES_MAX;
	snmp_rates_begin(rates, &d->clock);
	if (d->was_restarted)
		snmp_rates_broken(rates);
	if (d->clock.has_uptime)
		add_value(&out->own, SNMP_UPTIME, d->clock.uptime * TICK);
	for (size_t i = 0; i < d->options->oids.count; i++)
		tell_object(&t, i);
	if (d->what & 1u << SNMP_GROUP_INTERFACES)
		tell_interfaces(&t);
	tell_ip(&t);
	tell_ups_scalars(&t);
	tell_lines(&t, TABLE_UPS_INPUT, "input");
	tell_lines(&t, TABLE_UPS_OUTPUT, "output");
	tell_named(&t, TABLE_SENSORS, SENSOR_NAME, "sensor", tell_sensor);
	tell_host(&t);
	snmp_rates_end(rates);
	judge_groups(&t);
	if (out->omitted > 0)
		add_value(&out->own, SNMP_OMITTED, (double)out->omitted);
}

/* Answers of a device, as libnetsnmp hands them on: any names and values in any order. Two readings, for rates as well. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "probes/snmp_device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *everything[] = {"system", "interfaces", "ip", "ups", "sensors", "host"};
static const char *objects[] = {"a=1.3.6.1.4.1.1.1.0", "b=1.3.6.1.4.1.1.2.0"};
static const char *patterns[] = {"eth*", "must"};

/* Mostly what was asked for or a little after it, else anything. */
static void make_name(struct cursor *c, const struct snmp_request *q, size_t i, struct snmp_oid *out)
{
	uint8_t how = cursor_u8(c);

	*out = q->oids[q->is_bulk && i > 0 ? 1 + (i - 1) % (q->count - 1) : i % q->count];
	if (how & 1 && out->len < SNMP_OID_MAX)
		out->part[out->len++] = how >> 4;
	if (how & 2)
		out->part[out->len - 1] += how >> 4;
	if (how & 4)
		out->part[how % out->len] = cursor_u32(c);
	if ((how & 15) == 8)
		out->len = 1 + cursor_u8(c) % SNMP_OID_MAX;
}

static void make_value(struct cursor *c, struct snmp_value *out)
{
	*out = (struct snmp_value){.kind = cursor_u8(c) % (SNMP_KIND_OTHER + 1)};
	out->integer = (int32_t)cursor_u32(c);
	out->number = (uint64_t)out->integer << (cursor_u8(c) % 33);
	memcpy(&out->real, &out->number, sizeof out->real);
	if (out->kind == SNMP_KIND_TEXT) {
		out->text_len = cursor_u8(c);
		out->text = (const char *)cursor_bytes(c, out->text_len);
		if (out->text == NULL)
			out->text_len = 0;
	}
}

static void read_device(struct cursor *c, const struct snmp_options *o, struct snmp_rates *rates, int64_t mono)
{
	static struct snmp_device d;
	static struct snmp_request q;
	static struct snmp_report report;
	char why[SAMPLE_TEXT_MAX + 1];
	unsigned requests = 0;

	snmp_device_begin(&d, o);
	while (cursor_left(c) > 0 && snmp_device_ask(&d, &q)) {
		size_t n = cursor_u8(c);
		struct snmp_answer answer = {.repetitions = q.repetitions};

		if (q.count > SNMP_VARBINDS + 1 || ++requests > 20000)
			abort();
		for (size_t i = 0; i < n && cursor_left(c) > 0; i++) {
			struct snmp_oid name;
			struct snmp_value v;

			make_name(c, &q, i, &name);
			make_value(c, &v);
			snmp_device_take(&d, i, &name, &v, mono);
		}
		if (n == 7) {
			answer.status = cursor_u8(c);
			answer.index = cursor_u8(c);
		} else if (n % 8 == 2) {
			answer.len = cursor_u16(c);
			answer.repetitions = q.repetitions / (1 + cursor_u8(c) % 4);
		}
		if (!snmp_device_replied(&d, &answer, why))
			break;
	}
	snmp_device_tell(&d, rates, &report);
	for (size_t i = 0; i < report.count; i++) {
		const struct snmp_part *p = report.parts[i];

		if (!text_is_clean(p->label, SNMP_LABEL_MAX) || *p->label == '\0' || !text_is_clean(p->why, SAMPLE_TEXT_MAX))
			abort();
		for (size_t k = 0; k < p->count; k++) {
			if (!isfinite(p->values[k].number))
				abort();
		}
	}
	snmp_report_fini(&report);
	snmp_device_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = cursor_over(data, len);
	struct snmp_rates *rates = snmp_rates_new();
	const struct snmp_options o = {.what = {SNMP_GROUPS, everything}, .oids = {2, objects}, .interfaces = {2, patterns}};

	read_device(&c, &o, rates, 1000 * NS_PER_S);
	read_device(&c, &o, rates, 1060 * NS_PER_S);
	snmp_rates_free(rates);
	return 0;
}

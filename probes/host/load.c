#include "probes/host/load.h"

#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

#define CORES_MAX 65536

/* ---- the texts */

bool load_parse(struct scan text, struct load_sample *out)
{
	for (int i = 0; i < 3; i++) {
		if (!scan_decimal(&text, &out->averages[i]))
			return false;
	}
	if (!scan_number(&text, &out->runnable) || text.at == text.end || *text.at != '/')
		return false;
	text.at++;
	return scan_number(&text, &out->threads);
}

uint64_t load_count_cores(struct scan text)
{
	uint64_t count = 0;
	struct scan range;

	while (scan_until(&text, ',', &range)) {
		uint64_t first, last;

		if (!scan_number(&range, &first))
			return 0;
		last = first;
		if (range.at < range.end && *range.at == '-') {
			range.at++;
			if (!scan_number(&range, &last))
				return 0;
		}
		if (last < first || last - first >= CORES_MAX)
			return 0;
		count += last - first + 1;
	}
	return count;
}

/* ---- the probe */

struct load_memory {
	struct look_file loadavg, online;
};

static int load_look(struct look *l, struct err *e)
{
	struct load_memory *m = look_memory(l);
	struct load_sample s;
	struct scan text;
	struct err ignored;
	uint64_t cores;

	if (look_read(l, &m->loadavg, "proc/loadavg", &text, e) < 0)
		return -1;
	if (!load_parse(text, &s))
		return err_set(e, "proc/loadavg is not of the form that is known");
	look_value(l, LOAD_1, s.averages[0]);
	look_value(l, LOAD_5, s.averages[1]);
	look_value(l, LOAD_15, s.averages[2]);
	look_value(l, LOAD_RUNNABLE, (double)s.runnable);
	look_value(l, LOAD_THREADS, (double)s.threads);
	if (look_read(l, &m->online, "sys/devices/system/cpu/online", &text, &ignored) < 0)
		return 0;
	cores = load_count_cores(text);
	if (cores > 0) {
		look_value(l, LOAD_1_CORE, s.averages[0] / (double)cores);
		look_value(l, LOAD_CORES, (double)cores);
	}
	return 0;
}

static void load_forget(void *memory)
{
	struct load_memory *m = memory;

	look_file_close(&m->loadavg);
	look_file_close(&m->online);
}

static const struct look_kind load_kind = {sizeof(struct load_memory), false, load_look, load_forget};
LOOK_PROBE(load);

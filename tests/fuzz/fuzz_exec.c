/* The output of a plugin. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probes/exec_output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void range_is_one(const struct exec_range *r)
{
	if (r->is_given && !(r->low <= r->high))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct exec_output o;
	char line[SAMPLE_TEXT_MAX + 1];

	exec_output_parse(data, len, &o);
	exec_output_line(data, len, line);
	if (!text_is_clean(o.line, SAMPLE_TEXT_MAX) || !text_is_clean(o.long_text, EXEC_LONG_MAX) ||
		!text_is_clean(line, SAMPLE_TEXT_MAX) || o.count > EXEC_PERF_MAX)
		abort();
	for (size_t i = 0; i < o.count; i++) {
		const struct exec_perf *p = &o.perf[i];

		if (*p->label == '\0' || !text_is_clean(p->label, EXEC_LABEL_MAX) || !text_is_clean(p->unit, EXEC_UNIT_MAX) ||
			!isfinite(p->value))
			abort();
		range_is_one(&p->warn);
		range_is_one(&p->crit);
	}
	return 0;
}

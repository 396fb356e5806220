#include "collector/ingest_probes.h"

#include <string.h>

static void drop_old(struct probes *p, int64_t mono)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++) {
		if (p->until[i] <= mono)
			continue;
		memmove(p->checks[kept], p->checks[i], sizeof p->checks[i]);
		p->until[kept++] = p->until[i];
	}
	p->count = kept;
}

bool probes_add(struct probes *p, const char *check, int64_t mono)
{
	drop_old(p, mono);
	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->checks[i], check) == 0) {
			p->until[i] = mono + PROBES_WITHIN;
			return false;
		}
	}
	if (p->count == WIRE_PROBES_MAX)
		return false;
	strcpy(p->checks[p->count], check);
	p->until[p->count++] = mono + PROBES_WITHIN;
	return true;
}

void probes_take(struct probes *p, int64_t mono, struct wire_answer *out)
{
	drop_old(p, mono);
	memcpy(out->probes, p->checks, sizeof p->checks);
	out->probes_count = p->count;
	p->count = 0;
}

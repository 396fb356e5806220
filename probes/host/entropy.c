/* What the kernel's source of random numbers holds. Since Linux 5.18 it is always 256 once it has been filled. */
#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

struct entropy_memory {
	struct look_file available;
};

static int entropy_look(struct look *l, struct err *e)
{
	struct entropy_memory *m = look_memory(l);
	struct scan text;
	uint64_t bits;

	if (look_read(l, &m->available, "proc/sys/kernel/random/entropy_avail", &text, e) < 0)
		return -1;
	if (!scan_number(&text, &bits))
		return err_set(e, "proc/sys/kernel/random/entropy_avail is no number");
	look_value(l, ENTROPY_AVAILABLE, (double)bits);
	return 0;
}

static void entropy_forget(void *memory)
{
	struct entropy_memory *m = memory;

	look_file_close(&m->available);
}

static const struct look_kind entropy_kind = {sizeof(struct entropy_memory), false, entropy_look, entropy_forget};
LOOK_PROBE(entropy);

/* Tables of the kernel that can be full: open files, connections that its firewall tracks. */
#include <string.h>

#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

struct descriptors_memory {
	struct look_file files, tracked, tracked_max;
};

static void tell(struct look *l, uint32_t metric, uint64_t used, uint64_t most)
{
	look_value(l, metric, (double)used);
	look_value(l, metric + 1, (double)most);
	if (most > 0)
		look_value(l, metric + 2, (double)used / (double)most * 100);
}

static bool read_one(struct look *l, struct look_file *f, const char *path, uint64_t *out)
{
	char text[32];
	struct scan s;

	if (look_read_short(l, f, path, text, sizeof text) < 0)
		return false;
	s = scan_over(text, strlen(text));
	return scan_number(&s, out);
}

static int descriptors_look(struct look *l, struct err *e)
{
	struct descriptors_memory *m = look_memory(l);
	uint64_t open, unused, most;
	struct scan text;

	if (look_read(l, &m->files, "proc/sys/fs/file-nr", &text, e) < 0)
		return -1;
	if (!scan_number(&text, &open) || !scan_number(&text, &unused) || !scan_number(&text, &most) || unused > open)
		return err_set(e, "proc/sys/fs/file-nr is not of the form that is known");
	tell(l, DESCRIPTORS_OPEN, open - unused, most);
	/* Where the firewall tracks nothing there are no such files. */
	if (read_one(l, &m->tracked, "proc/sys/net/netfilter/nf_conntrack_count", &open) &&
		read_one(l, &m->tracked_max, "proc/sys/net/netfilter/nf_conntrack_max", &most))
		tell(l, DESCRIPTORS_TRACKED, open, most);
	return 0;
}

static void descriptors_forget(void *memory)
{
	struct descriptors_memory *m = memory;

	look_file_close(&m->files);
	look_file_close(&m->tracked);
	look_file_close(&m->tracked_max);
}

static const struct look_kind descriptors_kind = {sizeof(struct descriptors_memory), false, descriptors_look,
	descriptors_forget};
LOOK_PROBE(descriptors);

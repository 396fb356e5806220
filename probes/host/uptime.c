/* Since when this host runs. An uptime that falls is a reboot. */
#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

struct uptime_memory {
	struct look_file uptime, stat;
};

/* "btime 1700000000" among the lines of /proc/stat. */
static bool find_boot(struct scan text, uint64_t *boot)
{
	struct scan line, word;

	while (scan_line(&text, &line))
		if (scan_word(&line, &word) && scan_is(&word, "btime"))
			return scan_number(&line, boot);
	return false;
}

static int uptime_look(struct look *l, struct err *e)
{
	struct uptime_memory *m = look_memory(l);
	struct scan text;
	struct err ignored;
	double seconds;
	uint64_t boot;

	if (look_read(l, &m->uptime, "proc/uptime", &text, e) < 0)
		return -1;
	if (!scan_decimal(&text, &seconds))
		return err_set(e, "proc/uptime is not of the form that is known");
	look_value(l, UPTIME_SECONDS, seconds);
	if (look_read(l, &m->stat, "proc/stat", &text, &ignored) == 0 && find_boot(text, &boot))
		look_value(l, UPTIME_BOOT, (double)boot);
	return 0;
}

static void uptime_forget(void *memory)
{
	struct uptime_memory *m = memory;

	look_file_close(&m->uptime);
	look_file_close(&m->stat);
}

static const struct look_kind uptime_kind = {sizeof(struct uptime_memory), false, uptime_look, uptime_forget};
LOOK_PROBE(uptime);

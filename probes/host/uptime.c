/* Since when this host runs, and whether it was started anew. The agent itself ends with its host: what it knows of the boot
 * before comes from its state folder, once for each check; where another root is looked at, from the look before. */
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/num.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

#define BOOT_ID 64

struct uptime_memory {
	struct look_file uptime, stat, boot_id;
	char boot[BOOT_ID];
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

/* What is known of before: the look before; of a first one the agent. */
static bool was_rebooted(struct look *l, const char *before, const char *now, bool *is_known)
{
	const struct probe_env *env = look_env(l);
	bool is_first = *before == '\0';

	*is_known = !is_first || env->was_rebooted != NULL;
	if (is_first)
		return *is_known && env->was_rebooted(env->ctx);
	return strcmp(before, now) != 0;
}

static void tell_reboot(struct look *l, double uptime)
{
	struct uptime_memory *m = look_memory(l);
	char id[BOOT_ID], text[NUM_TEXT];
	bool rebooted, is_known;

	if (look_read_short(l, &m->boot_id, "proc/sys/kernel/random/boot_id", id, sizeof id) <= 0)
		return;
	rebooted = was_rebooted(l, m->boot, id, &is_known);
	memcpy(m->boot, id, sizeof id);
	if (is_known)
		look_value(l, UPTIME_REBOOTED, rebooted ? 1 : 0);
	if (!rebooted)
		return;
	num_format_duration((int64_t)uptime * NS_PER_S, text);
	look_note(l, "this host was started anew %s ago", text);
}

/* As the kernel says. Where it is our own /proc the clocks tell it as well, and cost less than all of that file. */
static bool find_start(struct look *l, struct uptime_memory *m, uint64_t *boot)
{
	struct timespec real, since;
	struct scan text;
	struct err ignored;

	if (look_root_is_moved(l))
		return look_read(l, &m->stat, "proc/stat", &text, &ignored) == 0 && find_boot(text, boot);
	if (clock_gettime(CLOCK_REALTIME, &real) < 0 || clock_gettime(CLOCK_BOOTTIME, &since) < 0 || real.tv_sec < since.tv_sec)
		return false;
	*boot = (uint64_t)(real.tv_sec - since.tv_sec) - (real.tv_nsec < since.tv_nsec ? 1 : 0);
	return true;
}

static int uptime_look(struct look *l, struct err *e)
{
	struct uptime_memory *m = look_memory(l);
	struct scan text;
	double seconds;
	uint64_t boot;

	if (look_read(l, &m->uptime, "proc/uptime", &text, e) < 0)
		return -1;
	if (!scan_decimal(&text, &seconds) || seconds > 1e9)
		return err_set(e, "proc/uptime is not of the form that is known");
	look_value(l, UPTIME_SECONDS, seconds);
	tell_reboot(l, seconds);
	if (find_start(l, m, &boot))
		look_value(l, UPTIME_BOOT, (double)boot);
	return 0;
}

static void uptime_forget(void *memory)
{
	struct uptime_memory *m = memory;

	look_file_close(&m->uptime);
	look_file_close(&m->stat);
	look_file_close(&m->boot_id);
}

static const struct look_kind uptime_kind = {sizeof(struct uptime_memory), false, uptime_look, uptime_forget};
LOOK_PROBE(uptime);

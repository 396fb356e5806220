#include "probes/host/memory.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

/* ---- the texts */

static const char *const field_words[MEMORY_FIELDS] = {
	[MEMORY_FIELD_TOTAL] = "MemTotal", [MEMORY_FIELD_FREE] = "MemFree", [MEMORY_FIELD_AVAILABLE] = "MemAvailable",
	[MEMORY_FIELD_BUFFERS] = "Buffers", [MEMORY_FIELD_CACHED] = "Cached", [MEMORY_FIELD_DIRTY] = "Dirty",
	[MEMORY_FIELD_WRITEBACK] = "Writeback", [MEMORY_FIELD_SHARED] = "Shmem", [MEMORY_FIELD_SLAB] = "Slab",
	[MEMORY_FIELD_RECLAIMABLE] = "SReclaimable", [MEMORY_FIELD_UNRECLAIMABLE] = "SUnreclaim",
	[MEMORY_FIELD_COMMITTED] = "Committed_AS", [MEMORY_FIELD_SWAP_TOTAL] = "SwapTotal",
	[MEMORY_FIELD_SWAP_FREE] = "SwapFree", [MEMORY_FIELD_HUGE_TOTAL] = "HugePages_Total",
	[MEMORY_FIELD_HUGE_FREE] = "HugePages_Free", [MEMORY_FIELD_HUGE_SIZE] = "Hugepagesize",
};

static const char *const paging_words[MEMORY_PAGINGS] = {[MEMORY_SWAPPED_IN] = "pswpin",
	[MEMORY_SWAPPED_OUT] = "pswpout", [MEMORY_MAJOR] = "pgmajfault", [MEMORY_OOM] = "oom_kill"};

/* Where a word stands in a table; -1: nowhere. */
static int find_word(const char *const *words, int count, const struct scan *word)
{
	for (int i = 0; i < count; i++) {
		if (words[i][0] == *word->at && scan_is(word, words[i]))
			return i;
	}
	return -1;
}

static double or_zero(double n)
{
	return isnan(n) ? 0 : n;
}

static double estimate_available(const double f[MEMORY_FIELDS])
{
	return f[MEMORY_FIELD_FREE] + or_zero(f[MEMORY_FIELD_BUFFERS]) + or_zero(f[MEMORY_FIELD_CACHED]) +
		or_zero(f[MEMORY_FIELD_RECLAIMABLE]) - or_zero(f[MEMORY_FIELD_SHARED]);
}

void memory_parse(struct scan text, double out[MEMORY_FIELDS])
{
	struct scan line, word;
	uint64_t n;

	for (int i = 0; i < MEMORY_FIELDS; i++)
		out[i] = (double)NAN;
	while (scan_line(&text, &line)) {
		int at;

		if (!scan_until(&line, ':', &word) || word.at == word.end)
			continue;
		at = find_word(field_words, MEMORY_FIELDS, &word);
		if (at < 0 || !scan_number(&line, &n))
			continue;
		out[at] = (double)n * (scan_word(&line, &word) && scan_is(&word, "kB") ? 1024 : 1);
	}
	if (isnan(out[MEMORY_FIELD_AVAILABLE]))
		out[MEMORY_FIELD_AVAILABLE] = estimate_available(out);
}

void memory_parse_paging(struct scan text, uint64_t out[MEMORY_PAGINGS], bool has[MEMORY_PAGINGS])
{
	struct scan line, word;

	memset(out, 0, MEMORY_PAGINGS * sizeof *out);
	memset(has, 0, MEMORY_PAGINGS * sizeof *has);
	while (scan_line(&text, &line)) {
		int at = scan_word(&line, &word) ? find_word(paging_words, MEMORY_PAGINGS, &word) : -1;

		if (at >= 0)
			has[at] = scan_number(&line, &out[at]);
	}
}

/* ---- the probe */

struct memory_memory {
	struct look_file meminfo, vmstat;
	uint32_t seen; /* look of these: */
	uint64_t paging[MEMORY_PAGINGS];
};

static void tell_share(struct look *l, uint32_t metric, double used, double total)
{
	if (total > 0)
		look_value(l, metric, used / total * 100);
}

static void tell_fields(struct look *l, const double f[MEMORY_FIELDS])
{
	static const uint32_t metrics[MEMORY_FIELDS] = {[MEMORY_FIELD_TOTAL] = MEMORY_TOTAL,
		[MEMORY_FIELD_FREE] = MEMORY_FREE, [MEMORY_FIELD_AVAILABLE] = MEMORY_AVAILABLE,
		[MEMORY_FIELD_BUFFERS] = MEMORY_BUFFERS, [MEMORY_FIELD_CACHED] = MEMORY_CACHED,
		[MEMORY_FIELD_DIRTY] = MEMORY_DIRTY, [MEMORY_FIELD_WRITEBACK] = MEMORY_WRITEBACK,
		[MEMORY_FIELD_SHARED] = MEMORY_SHARED, [MEMORY_FIELD_SLAB] = MEMORY_SLAB,
		[MEMORY_FIELD_UNRECLAIMABLE] = MEMORY_UNRECLAIMABLE, [MEMORY_FIELD_COMMITTED] = MEMORY_COMMITTED,
		[MEMORY_FIELD_SWAP_TOTAL] = MEMORY_SWAP_TOTAL};
	double used = f[MEMORY_FIELD_TOTAL] - f[MEMORY_FIELD_AVAILABLE];
	double swapped = f[MEMORY_FIELD_SWAP_TOTAL] - f[MEMORY_FIELD_SWAP_FREE];

	for (int i = 0; i < MEMORY_FIELDS; i++) {
		if (metrics[i] != 0)
			look_value(l, metrics[i], f[i]);
	}
	look_value(l, MEMORY_USED, used);
	tell_share(l, MEMORY_USED_SHARE, used, f[MEMORY_FIELD_TOTAL]);
	look_value(l, MEMORY_SWAP_USED, swapped);
	tell_share(l, MEMORY_SWAP_SHARE, swapped, f[MEMORY_FIELD_SWAP_TOTAL]);
	look_value(l, MEMORY_HUGE_TOTAL, f[MEMORY_FIELD_HUGE_TOTAL] * f[MEMORY_FIELD_HUGE_SIZE]);
	look_value(l, MEMORY_HUGE_FREE, f[MEMORY_FIELD_HUGE_FREE] * f[MEMORY_FIELD_HUGE_SIZE]);
}

static void tell_paging(struct look *l, struct memory_memory *m, const uint64_t now[MEMORY_PAGINGS],
	const bool has[MEMORY_PAGINGS])
{
	static const uint32_t metrics[MEMORY_PAGINGS] = {MEMORY_SWAP_IN, MEMORY_SWAP_OUT, MEMORY_MAJOR_FAULTS,
		MEMORY_OOM_KILLS};
	double page = (double)sysconf(_SC_PAGESIZE);
	uint64_t moved[MEMORY_PAGINGS];
	bool known = m->seen + 1 == look_number(l) && look_moved(m->paging, now, MEMORY_PAGINGS, moved);

	for (int i = 0; i < MEMORY_PAGINGS && known; i++) {
		if (has[i])
			look_value(l, metrics[i], look_rate(l, (double)moved[i]) * (i <= MEMORY_SWAPPED_OUT ? page : 1));
	}
	memcpy(m->paging, now, sizeof m->paging);
	m->seen = look_number(l);
}

static int memory_look(struct look *l, struct err *e)
{
	struct memory_memory *m = look_memory(l);
	double fields[MEMORY_FIELDS];
	uint64_t paging[MEMORY_PAGINGS];
	bool has[MEMORY_PAGINGS];
	struct scan text;
	struct err ignored;

	if (look_read(l, &m->meminfo, "proc/meminfo", &text, e) < 0)
		return -1;
	memory_parse(text, fields);
	if (isnan(fields[MEMORY_FIELD_TOTAL]) || isnan(fields[MEMORY_FIELD_FREE]))
		return err_set(e, "proc/meminfo does not tell total and free memory");
	tell_fields(l, fields);
	if (look_read(l, &m->vmstat, "proc/vmstat", &text, &ignored) < 0)
		return 0;
	memory_parse_paging(text, paging, has);
	tell_paging(l, m, paging, has);
	return 0;
}

static void memory_forget(void *memory)
{
	struct memory_memory *m = memory;

	look_file_close(&m->meminfo);
	look_file_close(&m->vmstat);
}

static const struct look_kind memory_kind = {sizeof(struct memory_memory), true, memory_look, memory_forget};
LOOK_PROBE(memory);

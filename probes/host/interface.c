#include "probes/host/interface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <ifaddrs.h>
#include <math.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

#define COLUMNS 16
#define KNOWN_MAX 4096
#define MEGABIT 1e6

/* ---- the texts */

bool interface_next(struct scan *text, struct interface_line *out)
{
	static const int columns[INTERFACE_COUNTS] = {[INTERFACE_COUNT_RX_BYTES] = 0,
		[INTERFACE_COUNT_RX_PACKETS] = 1, [INTERFACE_COUNT_RX_ERRORS] = 2, [INTERFACE_COUNT_RX_DROPS] = 3,
		[INTERFACE_COUNT_MULTICAST] = 7, [INTERFACE_COUNT_TX_BYTES] = 8, [INTERFACE_COUNT_TX_PACKETS] = 9,
		[INTERFACE_COUNT_TX_ERRORS] = 10, [INTERFACE_COUNT_TX_DROPS] = 11, [INTERFACE_COUNT_COLLISIONS] = 13};
	struct scan line;

	while (scan_line(text, &line)) {
		uint64_t all[COLUMNS];
		struct scan head;
		int n = 0;

		/* The number may stand right behind the colon. */
		if (!scan_until(&line, ':', &head) || line.at == line.end || !scan_word(&head, &out->name))
			continue;
		while (n < COLUMNS && scan_number(&line, &all[n]))
			n++;
		if (n < COLUMNS)
			continue;
		for (int i = 0; i < INTERFACE_COUNTS; i++)
			out->counts[i] = all[columns[i]];
		return true;
	}
	return false;
}

/* "20010db8000000000000000000000001 02 40 00 80 eth0": address, index, prefix, scope, flags, name */
bool interface_next_global_v6(struct scan *text, struct scan *name)
{
	struct scan line;

	while (scan_line(text, &line)) {
		struct scan word, scope;

		if (scan_word(&line, &word) && scan_word(&line, &word) && scan_word(&line, &word) &&
			scan_word(&line, &scope) && scan_word(&line, &word) && scan_word(&line, name) &&
			scan_is(&scope, "00"))
			return true;
	}
	return false;
}

/* ---- what is known */

struct known {
	char name[IF_NAMESIZE];
	uint32_t seen;
	bool is_told, had_link;
	unsigned v4, v6;
	uint64_t before[INTERFACE_COUNTS], now[INTERFACE_COUNTS];
	bool has_before;
	struct look_file carrier, speed, mtu;
};

struct interface_memory {
	struct look_file dev, inet6;
	struct known **known;
	size_t count;
};

static void known_free(struct known *k)
{
	look_file_close(&k->carrier);
	look_file_close(&k->speed);
	look_file_close(&k->mtu);
	free(k);
}

/* Looked for from *hint on, as their order mostly stays. NULL: not there. */
static struct known *find_known(struct interface_memory *m, const struct scan *name, size_t hint)
{
	for (size_t i = 0; i < m->count; i++) {
		struct known *k = m->known[(hint + i) % m->count];

		if (scan_is(name, k->name))
			return k;
	}
	return NULL;
}

static struct known *add_known(struct interface_memory *m, const struct scan *name)
{
	struct known *k;

	if (m->count == KNOWN_MAX)
		return NULL;
	k = mem_alloc(sizeof *k);
	scan_copy(name, k->name, sizeof k->name);
	m->known = mem_resize(m->known, m->count + 1, sizeof(struct known *));
	m->known[m->count++] = k;
	return k;
}

static bool is_one_of(const struct config_texts *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->count; i++) {
		if (fnmatch(patterns->items[i], name, 0) == 0)
			return true;
	}
	return false;
}

static void take_line(struct look *l, struct interface_memory *m, const struct interface_line *line, size_t hint)
{
	const struct interface_options *o = look_options(l);
	struct known *k = find_known(m, &line->name, hint);

	if (k == NULL)
		k = add_known(m, &line->name);
	if (k == NULL)
		return;
	k->has_before = k->seen > 0 && k->seen + 1 == look_number(l);
	k->seen = look_number(l);
	k->is_told = is_one_of(&o->names, k->name) || !is_one_of(&o->ignore, k->name);
	k->v4 = k->v6 = 0;
	memcpy(k->before, k->now, sizeof k->before);
	memcpy(k->now, line->counts, sizeof k->now);
}

static void forget_gone(struct interface_memory *m, uint32_t number)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (m->known[i]->seen == number)
			m->known[kept++] = m->known[i];
		else
			known_free(m->known[i]);
	}
	m->count = kept;
}

/* ---- addresses */

/* Neither of the loop nor of one link (RFC 3927). */
static bool is_global_v4(const struct sockaddr *address)
{
	struct sockaddr_in in;
	uint32_t host;

	memcpy(&in, address, sizeof in);
	host = ntohl(in.sin_addr.s_addr);
	return host >> 24 != 127 && host >> 16 != 0xa9fe;
}

static void count_v4(struct interface_memory *m)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
		struct scan name = scan_over(a->ifa_name, strcspn(a->ifa_name, ":")); /* an alias is of its interface */
		struct known *k;

		if (a->ifa_addr == NULL || a->ifa_addr->sa_family != AF_INET || !is_global_v4(a->ifa_addr))
			continue;
		k = find_known(m, &name, 0);
		if (k != NULL)
			k->v4++;
	}
	freeifaddrs(all);
}

static void count_v6(struct look *l, struct interface_memory *m)
{
	struct scan text, name;
	struct err ignored;

	if (look_read(l, &m->inet6, "proc/net/if_inet6", &text, &ignored) < 0)
		return; /* the kernel has no IPv6 */
	while (interface_next_global_v6(&text, &name)) {
		struct known *k = find_known(m, &name, 0);

		if (k != NULL)
			k->v6++;
	}
}

/* ---- telling */

static void tell_rates(struct look *l, const struct known *k, struct run_part *p)
{
	static const uint32_t metrics[INTERFACE_COUNTS] = {[INTERFACE_COUNT_RX_BYTES] = INTERFACE_RX_BYTES,
		[INTERFACE_COUNT_RX_PACKETS] = INTERFACE_RX_PACKETS, [INTERFACE_COUNT_RX_ERRORS] = INTERFACE_RX_ERRORS,
		[INTERFACE_COUNT_RX_DROPS] = INTERFACE_RX_DROPS, [INTERFACE_COUNT_MULTICAST] = INTERFACE_MULTICAST,
		[INTERFACE_COUNT_TX_BYTES] = INTERFACE_TX_BYTES, [INTERFACE_COUNT_TX_PACKETS] = INTERFACE_TX_PACKETS,
		[INTERFACE_COUNT_TX_ERRORS] = INTERFACE_TX_ERRORS, [INTERFACE_COUNT_TX_DROPS] = INTERFACE_TX_DROPS,
		[INTERFACE_COUNT_COLLISIONS] = INTERFACE_COLLISIONS};
	uint64_t moved[INTERFACE_COUNTS];

	if (!k->has_before || !look_moved(k->before, k->now, INTERFACE_COUNTS, moved))
		return;
	for (int i = 0; i < INTERFACE_COUNTS; i++)
		look_part_value(p, metrics[i], look_rate(l, (double)moved[i]));
}

/* A whole number of sysfs. NaN: not told, or -1. *error: why, or 0. */
static double read_attribute(struct look *l, struct look_file *f, const struct known *k, const char *attribute,
	int *error)
{
	char path[64 + IF_NAMESIZE], text[32];
	struct scan scan;
	uint64_t n;
	int len;

	snprintf(path, sizeof path, "sys/class/net/%s/%s", k->name, attribute);
	len = look_read_short(l, f, path, text, sizeof text);
	*error = len < 0 ? errno : 0;
	scan = scan_over(text, len > 0 ? (size_t)len : 0);
	return scan_number(&scan, &n) ? (double)n : (double)NAN;
}

/* One that must have a link, or that had one and is not switched off. */
static void judge_link(struct look *l, struct known *k, double link, bool is_off, struct run_part *p)
{
	const struct interface_options *o = look_options(l);
	bool must = is_one_of(&o->names, k->name), lost = k->had_link && !is_off && link < 1;

	k->had_link = !is_off && (k->had_link || link >= 1);
	if (p == NULL)
		return;
	if (must && is_off)
		run_part_down(p, "the interface is switched off");
	else if (must && link < 1)
		run_part_down(p, "no link");
	else if (lost)
		run_part_down(p, "lost its link");
}

static void tell_interface(struct look *l, struct known *k)
{
	struct run_part *p = look_part(l, k->name);
	int why_no_link, ignored;
	double link = read_attribute(l, &k->carrier, k, "carrier", &why_no_link);
	bool is_off = why_no_link == EINVAL; /* so the kernel says it */

	tell_rates(l, k, p);
	look_part_value(p, INTERFACE_LINK, is_off ? 0 : link);
	look_part_value(p, INTERFACE_SPEED, read_attribute(l, &k->speed, k, "speed", &ignored) * MEGABIT);
	look_part_value(p, INTERFACE_MTU, read_attribute(l, &k->mtu, k, "mtu", &ignored));
	if (!look_root_is_moved(l))
		look_part_value(p, INTERFACE_GLOBAL_V4, k->v4);
	look_part_value(p, INTERFACE_GLOBAL_V6, k->v6);
	judge_link(l, k, link, is_off, p);
}

static void tell_missing(struct look *l, const struct interface_memory *m)
{
	const struct interface_options *o = look_options(l);

	for (size_t i = 0; i < o->names.count; i++) {
		bool found = false;
		struct run_part *p;

		for (size_t j = 0; j < m->count && !found; j++)
			found = fnmatch(o->names.items[i], m->known[j]->name, 0) == 0;
		p = found ? NULL : look_part(l, o->names.items[i]);
		if (p != NULL)
			run_part_down(p, "there is no such interface");
	}
}

/* ---- the probe */

static int interface_look(struct look *l, struct err *e)
{
	struct interface_memory *m = look_memory(l);
	struct interface_line line;
	struct scan text;
	size_t at = 0;

	if (look_read(l, &m->dev, "proc/net/dev", &text, e) < 0)
		return -1;
	while (interface_next(&text, &line))
		take_line(l, m, &line, at++);
	forget_gone(m, look_number(l));
	if (!look_root_is_moved(l))
		count_v4(m);
	count_v6(l, m);
	for (size_t i = 0; i < m->count; i++) {
		if (m->known[i]->is_told)
			tell_interface(l, m->known[i]);
	}
	tell_missing(l, m);
	return 0;
}

static void interface_forget(void *memory)
{
	struct interface_memory *m = memory;

	look_file_close(&m->dev);
	look_file_close(&m->inet6);
	for (size_t i = 0; i < m->count; i++)
		known_free(m->known[i]);
	free(m->known);
}

static const struct look_kind interface_kind = {
	sizeof(struct interface_memory), true, interface_look, interface_forget};
LOOK_PROBE(interface);

#include "probes/catalog.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

/* ---- targets */

struct catalog_target_options catalog_target_options(const void *options)
{
	struct catalog_target_options t;

	memcpy(&t, options, sizeof t);
	return t;
}

bool catalog_has_target(const struct catalog_type *t, const void *options)
{
	if (t->target == CATALOG_TARGET_MAYBE_HOST)
		return *catalog_target_options(options).name != '\0';
	return t->target != CATALOG_TARGET_NONE;
}

/* Scope and brackets are left to the resolver: here only what is surely an address counts. */
enum family catalog_literal_family(const char *host)
{
	char inner[INET6_ADDRSTRLEN + 1];
	unsigned char room[sizeof(struct in6_addr)];
	size_t n = strlen(host);
	bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';

	if (bracketed)
		host++, n -= 2;
	n = strcspn(host, "%]") < n ? strcspn(host, "%]") : n;
	if (n >= sizeof inner)
		return FAMILY_NONE;
	memcpy(inner, host, n);
	inner[n] = '\0';
	if (inet_pton(AF_INET, inner, room) == 1)
		return FAMILY_V4;
	return inet_pton(AF_INET6, inner, room) == 1 ? FAMILY_V6 : FAMILY_NONE;
}

/* Where the host of an http or https URL starts; NULL when it is neither. */
static const char *url_host(const char *url)
{
	if (strncasecmp(url, "http://", 7) == 0)
		return url + 7;
	return strncasecmp(url, "https://", 8) == 0 ? url + 8 : NULL;
}

/* Copies host or [address] out of "host:port/path"; -1 when there is none or it has a user part. */
static int copy_host(const char *from, char *out, size_t room)
{
	size_t authority = strcspn(from, "/?#"), n;

	if (memchr(from, '@', authority) != NULL)
		return -1;
	n = from[0] == '[' ? strcspn(from, "]") + 1 : strcspn(from, ":/?#");
	if (n == 0 || n > authority || n >= room)
		return -1;
	memcpy(out, from, n);
	out[n] = '\0';
	return 0;
}

int catalog_url_host(const char *url, char *out, size_t room)
{
	const char *at = url_host(url);

	return at != NULL ? copy_host(at, out, room) : -1;
}

int catalog_target_host(const struct catalog_type *t, const void *options, char *out, size_t room)
{
	const char *name = catalog_target_options(options).name;
	size_t n;

	if (t->target == CATALOG_TARGET_URL || t->target == CATALOG_TARGET_SITE) {
		if (catalog_url_host(name, out, room) < 0)
			return -1;
	} else if (strlen(name) >= room) {
		return -1;
	} else {
		strcpy(out, name);
	}
	n = strlen(out);
	if (n > 2 && out[0] == '[' && out[n - 1] == ']') {
		memmove(out, out + 1, n - 2);
		out[n - 2] = '\0';
	}
	return 0;
}

/* ---- the table */

const struct catalog_type *const catalog_types[] = {&catalog_icmp, &catalog_tcp, &catalog_http, &catalog_http_steps, &catalog_dns,
	&catalog_ntp, &catalog_tls, &catalog_sip, &catalog_snmp, &catalog_path, &catalog_scorecard, &catalog_exec,
	&catalog_heartbeat,
	/* the own host */
	&catalog_cpu, &catalog_memory, &catalog_load, &catalog_disk, &catalog_interface, &catalog_pressure,
	&catalog_protocol, &catalog_process, &catalog_descriptors, &catalog_entropy, &catalog_uptime, &catalog_users,
	&catalog_self, &catalog_clock, &catalog_systemd, NULL};

const struct catalog_type *catalog_find(const char *name)
{
	for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++) {
		if (strcmp((*t)->name, name) == 0)
			return *t;
	}
	return NULL;
}

const struct metric *catalog_metric(uint32_t number)
{
	for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++) {
		for (const struct metric *m = (*t)->metrics; m->number != 0; m++) {
			if (m->number == number)
				return m;
		}
	}
	return NULL;
}

unsigned catalog_decimals(uint32_t metric)
{
	const struct metric *m = catalog_metric(metric);

	return m != NULL ? m->decimals : 6;
}

bool catalog_family_has(const struct catalog_type *t, enum family family, uint32_t metric)
{
	const uint32_t *m = t->parity;

	if (family == FAMILY_V6 || m == NULL)
		return true;
	while (*m != 0 && CATALOG_RATIO(*m) != metric)
		m++;
	return *m == 0;
}

bool catalog_has_family(const struct catalog_type *t, const void *options)
{
	if (t->target == CATALOG_TARGET_MAYBE_HOST)
		return catalog_has_target(t, options);
	return t->target == CATALOG_TARGET_HOST || t->target == CATALOG_TARGET_URL;
}

enum family catalog_literal(const struct catalog_type *t, const void *options)
{
	char host[CATALOG_HOST_MAX + 1];

	if (!catalog_has_target(t, options) || catalog_target_host(t, options, host, sizeof host) < 0)
		return FAMILY_NONE;
	return catalog_literal_family(host);
}

int catalog_check_timeout(const struct catalog_type *t, int64_t timeout, struct err *e)
{
	char shown[NUM_TEXT];

	if (t->timeout_max == 0 || timeout <= t->timeout_max)
		return 0;
	num_format_duration(t->timeout_max, shown);
	return err_set(e, "timeout is longer than a run of type %s may take: write \"%s\" or less", t->name, shown);
}

int catalog_options(const struct catalog_type *t, const struct config_pairs *pairs, struct arena *a,
	void **options, struct err *e)
{
	struct err inner;

	*options = arena_alloc(a, t->options_size);
	if (config_read_pairs(t->schema, pairs, a, *options, e) < 0)
		return -1;
	if (t->check != NULL && t->check(*options, &inner) < 0)
		return config_error(&pairs->where, e, "%s", inner.text);
	return 0;
}

/*
 * catalog: the settings schema and the metric table of every probe type. Pure data that links
 * nothing of a probe: agents run by these tables, the collector checks inventories and lays out
 * series by them, --help and the manual are printed from them.
 *
 * Metric numbers are permanent and never reused; each type owns a block of 100.
 */
#ifndef PROBES_CATALOG_H
#define PROBES_CATALOG_H

#include "lib/config.h"
#include "lib/sample.h"

#define CATALOG_HOST_MAX 255 /* bytes of a host name (RFC 1035 section 2.3.4), a little less in truth */

enum catalog_target {
	CATALOG_TARGET_NONE, /* measures its own host */
	CATALOG_TARGET_HOST, /* options start with a host: a name or a literal address */
	CATALOG_TARGET_URL,
	CATALOG_TARGET_SITE, /* a URL whose name is measured as a whole: one run without a family, which uses both */
	CATALOG_TARGET_MAYBE_HOST, /* as HOST when the host is not "", else as NONE */
};

struct catalog_type {
	const char *name;    /* the word in configurations: "icmp" */
	const char *summary; /* one line for the manual */
	enum catalog_target target;
	size_t options_size;
	const struct config_schema *schema; /* flat; shared by configuration, wire and shell */
	const struct metric *metrics;       /* ends with number 0 */
	const uint32_t *parity;             /* metrics that have a ratio, ends with 0; NULL: none */
	int64_t timeout_max;                /* ns that a run may be given; 0: no bound of its own */
	/* Cross-field check of filled options; may be NULL. */
	int (*check)(const void *options, struct err *);
};

/* Of a time that is measured in both families: what it is over IPv6, by what it is over IPv4. Told with the results of IPv6
 * (run.h). A row of the type's table. */
#define CATALOG_RATIO(metric) ((metric) + 90)
#define CATALOG_RATIO_METRIC(metric, name, zh, en) {CATALOG_RATIO(metric), name "_ratio", "1", 3, zh "v6/v4", en ", v6/v4"}

/* Each stands in catalog_<type>.c, its options and the numbers of its metrics in catalog_<type>.h. */
extern const struct catalog_type catalog_icmp, catalog_tcp, catalog_http, catalog_http_steps, catalog_dns, catalog_ntp, catalog_tls,
	catalog_sip, catalog_snmp, catalog_path, catalog_scorecard, catalog_exec,
	catalog_heartbeat;
/* All in catalog_host.c. */
extern const struct catalog_type catalog_cpu, catalog_memory, catalog_load, catalog_disk, catalog_interface, catalog_pressure,
	catalog_protocol, catalog_process, catalog_descriptors, catalog_entropy, catalog_uptime, catalog_users, catalog_self,
	catalog_clock, catalog_systemd;
extern const struct catalog_type *const catalog_types[]; /* ends with NULL */
const struct catalog_type *catalog_find(const char *name);
const struct metric *catalog_metric(uint32_t number); /* or NULL */
unsigned catalog_decimals(uint32_t metric);           /* 6 when the number is not known */
/* Whether results of that family may have a metric of the type: ratios are told with IPv6. */
bool catalog_family_has(const struct catalog_type *, enum family, uint32_t metric);

/* What a type with a target begins its options with: the host or url, then addresses that are
 * probed instead of resolving that name; "" where it is resolved. They are one per family: with
 * one pinned the other family is still resolved. Never beside a literal address. */
struct catalog_target_options {
	const char *name; /* host or url */
	const char *ipv4, *ipv6;
};
/* Whether these options name a target. */
bool catalog_has_target(const struct catalog_type *, const void *options);
/* Those of a filled options struct of a type whose target is not CATALOG_TARGET_NONE. */
struct catalog_target_options catalog_target_options(const void *options);
/* The host in it, without brackets: of a URL the part that is resolved. 0, or -1 when there is none or out is too small
 * (checked options always have one of at most CATALOG_HOST_MAX bytes). */
int catalog_target_host(const struct catalog_type *, const void *options, char *out, size_t room);

/* Host or [address] of an http or https URL, as written there. -1: it has none, or a user before it. */
int catalog_url_host(const char *url, char *out, size_t room);
/* The family of a host (with or without brackets or scope) that is a literal address, else FAMILY_NONE. */
enum family catalog_literal_family(const char *host);
/* Its results are of a family each; else they have none (the own host, a site as a whole). */
bool catalog_has_family(const struct catalog_type *, const void *options);
/* The family of a target that is a literal address; FAMILY_NONE when it is a name, or there is none. */
enum family catalog_literal(const struct catalog_type *, const void *options);

/* Whether a run of the type may be given this time (ns), in words that say what to write instead. */
int catalog_check_timeout(const struct catalog_type *, int64_t timeout, struct err *);

/* Options from key=value pairs: defaults, values, cross-field check. The struct is in the arena. */
struct arena;
int catalog_options(const struct catalog_type *, const struct config_pairs *, struct arena *, void **options,
	struct err *);

#endif

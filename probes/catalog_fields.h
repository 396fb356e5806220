/*
 * catalog_fields: what the settings of several probe types have in common: the target, pinned addresses, patterns.
 * Pure; the checks give words that say what to write instead.
 */
#ifndef PROBES_CATALOG_FIELDS_H
#define PROBES_CATALOG_FIELDS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "probes/catalog.h"

#define CATALOG_PATTERN_MAX 1024 /* bytes of what is expected */

/* The first three fields of every options struct with a target, in this order. */
#define CATALOG_CHECK_TARGET(type, first)                                                          \
	_Static_assert(offsetof(struct type, first) == offsetof(struct catalog_target_options, name) && \
		offsetof(struct type, ipv4) == offsetof(struct catalog_target_options, ipv4) &&    \
		offsetof(struct type, ipv6) == offsetof(struct catalog_target_options, ipv6),      \
		#type " begins with its target")

#define CATALOG_FIELD_PINS(type)                                                                   \
	{.name = "ipv4", .kind = CONFIG_TEXT, .offset = offsetof(struct type, ipv4), .fallback = "", \
		.max = INET_ADDRSTRLEN, .help = "IPv4 address to probe instead of resolving the name"}, \
	{.name = "ipv6", .kind = CONFIG_TEXT, .offset = offsetof(struct type, ipv6), .fallback = "", \
		.max = INET6_ADDRSTRLEN, .help = "IPv6 address to probe instead of resolving the name"}

struct err;

/* A host alone and its pinned addresses. */
int catalog_check_host(const char *host, struct err *);
int catalog_check_pins(const char *host, const char *ipv4, const char *ipv6, struct err *);
/* Both of a type whose options begin with host, ipv4, ipv6. */
int catalog_check_target(const void *options, struct err *);
/* An http:// or https:// address and the pinned addresses of its host. */
int catalog_check_url(const char *url, const char *ipv4, const char *ipv6, struct err *);
/* Bytes or a pattern, see match.h; escapes: \r \n \t \xNN \\ stand for bytes. */
int catalog_check_match(const char *field, const char *text, bool escapes, struct err *);

#endif

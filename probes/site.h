/*
 * site: which links of a page lead into the same site, as whole addresses, each once, in the order of the page. Pure.
 *
 * Of the site are http and https addresses whose host is one of the given ones, with or without "www." before it, without a
 * user part. The fragment is dropped: it is of the same page.
 */
#ifndef PROBES_SITE_H
#define PROBES_SITE_H

#include <stdbool.h>
#include <stddef.h>

struct config_texts;
struct map;

struct site {
	const char *hosts[18];  /* borrowed */
	size_t host_count;
	const struct config_texts *exclude; /* texts that are in no link of it; borrowed */
	struct map *seen;       /* addresses that are known already */
};

void site_init(struct site *);
void site_fini(struct site *);
void site_add_host(struct site *, const char *host); /* borrowed; more than fit are left out */
/* The address of a link (href) on a page of that address, on the heap; NULL when it does not lead into the site, or is known. It
 * is known from now on. */
char *site_take(struct site *, const char *page, const char *href);
/* An address as it would be taken; NULL when it is none. */
char *site_canonical(const char *page, const char *href);

#endif

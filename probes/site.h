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

struct Curl_URL;
struct config_texts;
struct map;

struct site {
	const char *hosts[18];  /* borrowed */
	size_t host_count;
	const struct config_texts *exclude; /* texts that are in no link of it; borrowed */
	struct map *seen;       /* addresses that are known already */
	struct Curl_URL *page;  /* what links are relative to; NULL: none */
};

void site_init(struct site *);
void site_fini(struct site *);
void site_add_host(struct site *, const char *host); /* borrowed; more than fit are left out */
/* The page whose links are taken from now on: its address, and its base element or NULL. */
void site_set_page(struct site *, const char *url, const char *base);
/* The address of a link (href) of that page, on the heap; NULL when it does not lead into the site, or is known. It is known from
 * now on. 0.5 ms when base and link are as long as they may be. */
char *site_take(struct site *, const char *href);

#endif

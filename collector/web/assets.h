/*
 * assets: the files of the page, built from collector/web/ui/ and linked in as a table (see the Makefile).
 *
 * All but "/" have a hash of their content in their name and never change. Thread: any.
 */
#ifndef COLLECTOR_WEB_ASSETS_H
#define COLLECTOR_WEB_ASSETS_H

#include <stddef.h>
#include <stdint.h>

struct server_request;

struct asset {
	const char *path; /* "/", "/assets/app-1A2B3C4D.js" */
	const char *type, *etag;
	const uint8_t *data, *gzip; /* gzip NULL: it would not be smaller */
	size_t len, gzip_len;
};

extern const struct asset assets_table[]; /* ends with path NULL; made by the build */

void assets_handle(void *web, struct server_request *);

#endif

/*
 * probe_request: what is asked of `xunjian-agent probe`, and its help. Pure, but for what the help prints.
 *
 * Thread: any.
 */
#ifndef AGENT_PROBE_REQUEST_H
#define AGENT_PROBE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct arena;
struct catalog_type;
struct err;

struct probe_request {
	const struct catalog_type *type;
	const void *options; /* of the type, in the arena; NULL when help is wanted */
	unsigned families;   /* RUN_V4 | RUN_V6 */
	int64_t timeout;
	const char *settings; /* file that names the plugins of exec */
	const char *credentials_file; /* "": none */
	bool is_json, wants_help; /* help: of the type, or of all when that is NULL */
};

/* argv[0] is "probe". 0, or -1 with words for the usage error. */
int probe_request_read(int argc, char **argv, struct arena *, struct probe_request *, struct err *);
/* Of a type, or of all (NULL). */
void probe_request_help(const struct catalog_type *, FILE *);

#endif

/*
 * state: what the parts of the web process share: api, live and metrics read it, front makes and changes it.
 */
#ifndef COLLECTOR_WEB_STATE_H
#define COLLECTOR_WEB_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct ask;
struct event_base;
struct live;
struct model;
struct server;
struct settings;

struct web {
	struct event_base *base;
	const struct settings *settings;
	struct model *model;
	struct ask *ask;
	struct server *server;
	struct live *live;
	uint64_t instance;      /* random: versions of the model mean nothing to another start of this process */
	uint64_t rows_version, rows_instance; /* how far the catalogue of series is known */
	bool has_rows;          /* series has answered once */
	uint64_t pictures, pictures_failed;
	bool has_landlock;      /* the kernel bounds the paths of each process */
};

#endif

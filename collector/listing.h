/*
 * listing: what commands have in common that print rows of a database in the state folder, as a table or as JSON.
 *
 *   listing_run -> print: opens the database, listing_begin_json, its rows, listing_end_json -> exit status
 *
 * Thread: the command's own.
 */
#ifndef COLLECTOR_LISTING_H
#define COLLECTOR_LISTING_H

#include <stdbool.h>

struct err;
struct json;

/* settings: path of collector.conf. What goes wrong is told under the command's name; lib/program.h has the exit statuses. */
int listing_run(const char *command, const char *settings, int (*print)(const char *state, const void *wish, struct err *),
	const void *wish);

/* An array, which is printed whole or not at all. */
void listing_begin_json(struct json *);
void listing_end_json(struct json *, bool is_good);

#endif

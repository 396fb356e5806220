/*
 * ingest_rights: who may report which check. A result names the generation of the assignments it comes from: what an
 * agent measured under an older one, and sends late, is judged by that one. Pure but for load and save.
 *
 *   rights_load -> rights_note each generation that is handed out (rights_save when it says so) -> rights_allow
 *
 * Limit: RIGHTS_GENERATIONS of an agent are remembered, the newest.
 */
#ifndef COLLECTOR_INGEST_RIGHTS_H
#define COLLECTOR_INGEST_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct inventory;
struct rights;

#define RIGHTS_GENERATIONS 16

/* An absent file gives empty rights; a damaged one as well, and is told. */
struct rights *rights_load(const char *path);
void rights_free(struct rights *); /* accepts NULL */
/* Remembers what the agents of an inventory are assigned now; true when something is new. */
bool rights_note(struct rights *, const struct inventory *);
int rights_save(const struct rights *, const char *path, struct err *);
/* By the inventory of now, or by the generation that the result names. */
bool rights_allow(const struct rights *, const struct inventory *, const char *agent, uint64_t generation,
	const char *check);

#endif

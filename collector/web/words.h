/*
 * words: pieces of JSON that several answers of the web process share. Pure.
 */
#ifndef COLLECTOR_WEB_WORDS_H
#define COLLECTOR_WEB_WORDS_H

#include "collector/web/model.h"

struct json;
struct web;

/* "state", "v4", "v6", "since" as fields of the object that is open. */
void words_states(struct json *, const struct model_subject *);
/* {"up": n, ...} */
void words_counts(struct json *, const char *key, const size_t counts[MODEL_STATES]);
/* "totals": what is up and what is not, of systems and links, over and per family. */
void words_totals(struct json *, const struct model *);
/* {"id", "state", "seen"}; names too when full. */
void words_agent(struct json *, const struct model_agent *, bool full);
/* "now", "newest", "peers". */
void words_clock(struct json *, const struct web *, int64_t now);
/* {"id", "state", "systems": counts, ...} */
void words_unit(struct json *, const struct model *, const struct inventory_unit *, bool full);

#endif

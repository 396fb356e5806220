/*
 * rota: a duty list: channels of persons who take turns, one after the other, and what they have exchanged. A route names it in the
 * place of a channel, and whose turn it is when a notice comes has that notice.
 *
 *   read by rota_schema -> rota_prepare -> rota_at
 *
 * Times are those of Asia/Shanghai (judge/calendar.h). Thread: any, read only.
 */
#ifndef COLLECTOR_NOTICE_ROTA_H
#define COLLECTOR_NOTICE_ROTA_H

#include <stdint.h>

#include "lib/config.h"

struct err;

struct rota_swap {
	const char *from, *until, *channel;
	int64_t begins, ends; /* real ns, by rota_prepare */
	struct config_where where;
};

struct rota {
	const char *id, *from;
	int64_t each; /* ns */
	struct config_texts channels;
	struct config_list swaps; /* struct rota_swap */
	int64_t begins; /* real ns, by rota_prepare: of a turn of the first one */
	struct config_where where;
};

extern const struct config_schema rota_schema;

/* Reads the times. -1 with err: one is none, or two exchanges are of the same time. */
int rota_prepare(struct rota *, struct err *);
/* Id of the channel whose turn it is; before the beginning as if it had always gone on like this. */
const char *rota_at(const struct rota *, int64_t real);

#endif

/*
 * spawner_message: what engine and spawner say to each other, as bytes. Pure.
 *
 *   call  u32 timeout in ms, text name of the plugin, u16 number of arguments, their texts; a text: u16 length, bytes
 *   end   u32 how, u32 status, u64 ns, u32 length and bytes of its output, the same of its errors
 *
 * A call comes from a process with less rights and is taken only when all of it holds to the rules.
 */
#ifndef AGENT_SPAWNER_MESSAGE_H
#define AGENT_SPAWNER_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "probes/catalog_exec.h"

struct buf;
struct exec_end;
struct exec_request;

struct spawner_asked {
	char plugin[EXEC_PLUGIN_MAX + 1];
	int64_t timeout; /* ns */
	char *args[EXEC_ARGS_MAX]; /* owned */
	size_t count;
};

/* All but the timeout, which is known when there is a place for it. */
void spawner_message_put_request(struct buf *, const struct exec_request *);
/* -1: against the rules. Either way to be given to spawner_message_fini_asked. */
int spawner_message_read_call(const void *bytes, size_t len, struct spawner_asked *);
void spawner_message_fini_asked(struct spawner_asked *);

void spawner_message_put_end(struct buf *, const struct exec_end *);
/* Borrows its bytes. -1: against the rules. */
int spawner_message_read_end(const void *bytes, size_t len, struct exec_end *);

#endif

/*
 * spawner_keep: the process above the spawner: it starts one, hands the engine the other end of its channel, and starts
 * another when that has ended for whatever reason. It listens to nobody, so that nobody can end it by what he says.
 *
 *   spawner_keep (in a process of its own) -> SPAWNER_BEGINS with a channel, for each spawner -> returns when the engine is gone
 *
 * Between two of them it waits, longer each time that one ended soon.
 */
#ifndef AGENT_SPAWNER_KEEP_H
#define AGENT_SPAWNER_KEEP_H

struct plugins;
struct spawner_rights;

void spawner_keep(int fd, const struct plugins *, const struct spawner_rights *);

#endif

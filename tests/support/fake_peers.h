/*
 * fake_peers: ingest, series, judge and render as the web process sees them, made up from an inventory, on the same loop.
 *
 * Every check has an outcome for each vantage and family, most of them up, some down, unknown or not heard of (by a
 * hash of its id, always the same); each beat measures again. Values are waves. Pictures are drawn for real. Judgement
 * believes every outcome at once, but for subjects that it was told about.
 */
#ifndef TESTS_SUPPORT_FAKE_PEERS_H
#define TESTS_SUPPORT_FAKE_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/process.h"
#include "lib/sample.h"

struct event_base;
struct fake_peers;
struct front;
struct inventory;

struct fake_peers *fake_peers_new(struct event_base *, const struct inventory *);
void fake_peers_free(struct fake_peers *);
/* Makes the channel of that peer (again) and hands the other end to the front. */
void fake_peers_connect(struct fake_peers *, struct front *, enum process_role);
void fake_peers_disconnect(struct fake_peers *, enum process_role);
/* All checks measured now. */
void fake_peers_beat(struct fake_peers *);
/* One outcome is another one from now on. */
void fake_peers_set(struct fake_peers *, const char *check, enum family, enum outcome, const char *reason);
/* What judgement says of a subject ("system/portal") from now on: numbers of channel_state. */
void fake_peers_judge(struct fake_peers *, const char *subject, uint8_t state, uint8_t v4, uint8_t v6);
/* A peer that takes questions and never answers. */
void fake_peers_mute(struct fake_peers *, enum process_role, bool);

#endif

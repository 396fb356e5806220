/*
 * traps: the receiver of SNMP notifications. One that a link or a UPS has changed, or that a device was restarted, makes the
 * checks of that device begin at once; it is never a state, as anybody can send one in the device's name.
 *
 *   traps_listen (while the process may have a port below 1024) -> traps_start -> on_notice ... -> traps_close
 *
 * Informs are answered when the sender is known, so that nobody else is: those of v2c, and those of v3 of a user that devices are
 * asked with. A flood is taken one packet a turn of the loop; what it can cause is bounded by timetable_hasten. Thread: the loop's.
 */
#ifndef AGENT_TRAPS_H
#define AGENT_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

struct config_texts;
struct credentials;
struct err;
struct event_base;
struct trap_usm;
struct traps;

struct traps_stats {
	uint64_t taken, other, foreign; /* led to a look; of something else; from strangers, or no notifications */
	uint64_t again, reported;       /* of v3: was heard before; was not to be taken as it was, and its sender told why */
};

struct traps_events {
	bool (*is_known)(void *ctx, const char *address);
	/* Something changed at the address; false: it is a stranger's. */
	bool (*on_notice)(void *ctx, const char *address);
	void *ctx;
};

/* listen: addresses with port, checked by the settings. NULL with err. */
struct traps *traps_listen(const struct config_texts *listen, struct err *);
/* The engine is ours from now on; NULL: Informs of v3 are a stranger's. */
void traps_start(struct traps *, struct event_base *, struct trap_usm *, const struct traps_events *);
void traps_set_users(struct traps *, const struct credentials *); /* of the engine, copied */
void traps_close(struct traps *); /* accepts NULL */
struct traps_stats traps_stats(const struct traps *); /* accepts NULL: zeros */

#endif

/*
 * users: who is logged in. The decoders are pure; the probe type stands in types.h.
 */
#ifndef PROBES_HOST_USERS_H
#define PROBES_HOST_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/host/scan.h"

#define USERS_DISTINCT 256
#define USERS_NAME 32 /* bytes of a name that are told apart, as in utmp */

struct users_sample {
	uint64_t sessions, remote, users; /* users: different names, USERS_DISTINCT at most */
};
/* Records of utmp(5), as this machine writes them; a rest that is shorter than one is left out. */
void users_parse(const void *data, size_t len, struct users_sample *);

/* A file of /run/systemd/sessions, lines of KEY=value. False: none of a user who is logged in (a greeter, a lock screen, a manager, one that
 * is closing). */
struct users_session {
	bool is_remote;
	char name[USERS_NAME];
};
bool users_parse_session(struct scan text, struct users_session *);

#endif

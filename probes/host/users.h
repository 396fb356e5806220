/*
 * users: who is logged in. The decoder is pure; the probe type stands in types.h.
 */
#ifndef PROBES_HOST_USERS_H
#define PROBES_HOST_USERS_H

#include <stddef.h>
#include <stdint.h>

#define USERS_DISTINCT 256

struct users_sample {
	uint64_t sessions, remote, users; /* users: different names, USERS_DISTINCT at most */
};
/* Records of utmp(5), as this machine writes them; a rest that is shorter than one is left out. */
void users_parse(const void *data, size_t len, struct users_sample *);

#endif

#include "probes/host/users.h"

#include <stdlib.h>
#include <string.h>
#include <utmp.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

/* ---- the records */

static bool is_new(char (*names)[UT_NAMESIZE], uint64_t count, const char *name)
{
	for (uint64_t i = 0; i < count; i++)
		if (memcmp(names[i], name, UT_NAMESIZE) == 0)
			return false;
	return count < USERS_DISTINCT;
}

void users_parse(const void *data, size_t len, struct users_sample *out)
{
	char(*names)[UT_NAMESIZE] = mem_array(USERS_DISTINCT, sizeof *names);
	const uint8_t *at = data;

	*out = (struct users_sample){0};
	for (; len >= sizeof(struct utmp); at += sizeof(struct utmp), len -= sizeof(struct utmp)) {
		struct utmp u;

		memcpy(&u, at, sizeof u);
		if (u.ut_type != USER_PROCESS || u.ut_user[0] == '\0')
			continue;
		out->sessions++;
		out->remote += u.ut_host[0] != '\0' && u.ut_host[0] != ':'; /* ":0" is a screen of its own */
		if (is_new(names, out->users, u.ut_user))
			memcpy(names[out->users++], u.ut_user, UT_NAMESIZE);
	}
	free(names);
}

/* ---- the probe */

static int users_look(struct look *l, struct err *e)
{
	struct users_sample s;
	struct scan text;

	if (look_read_once(l, "run/utmp", &text, e) < 0)
		return -1;
	users_parse(text.at, scan_left(&text), &s);
	look_value(l, USERS_SESSIONS, (double)s.sessions);
	look_value(l, USERS_REMOTE, (double)s.remote);
	look_value(l, USERS_NAMES, (double)s.users);
	return 0;
}

static const struct look_kind users_kind = {1, false, users_look, NULL};
LOOK_PROBE(users);

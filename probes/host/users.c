#include "probes/host/users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utmp.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

_Static_assert(USERS_NAME == UT_NAMESIZE, "names are as long as those of utmp");

#define SESSIONS_MAX 10000
#define SESSION_BYTES 4096

/* ---- the texts */

struct tally {
	char (*names)[USERS_NAME];
	struct users_sample sample;
};

static void add_session(struct tally *t, const char name[USERS_NAME], bool is_remote)
{
	t->sample.sessions++;
	t->sample.remote += is_remote;
	for (uint64_t i = 0; i < t->sample.users; i++)
		if (memcmp(t->names[i], name, USERS_NAME) == 0)
			return;
	if (t->sample.users < USERS_DISTINCT)
		memcpy(t->names[t->sample.users++], name, USERS_NAME);
}

void users_parse(const void *data, size_t len, struct users_sample *out)
{
	struct tally t = {.names = mem_array(USERS_DISTINCT, USERS_NAME)};
	const uint8_t *at = data;

	for (; len >= sizeof(struct utmp); at += sizeof(struct utmp), len -= sizeof(struct utmp)) {
		struct utmp u;

		memcpy(&u, at, sizeof u);
		if (u.ut_type == USER_PROCESS && u.ut_user[0] != '\0') /* ":0" is a screen of its own */
			add_session(&t, u.ut_user, u.ut_host[0] != '\0' && u.ut_host[0] != ':');
	}
	*out = t.sample;
	free(t.names);
}

bool users_parse_session(struct scan text, struct users_session *out)
{
	bool is_of_user = false, is_closing = false;
	struct scan line, key;

	memset(out, 0, sizeof *out);
	while (scan_line(&text, &line)) {
		if (!scan_until(&line, '=', &key))
			continue;
		if (scan_is(&key, "USER"))
			scan_copy(&line, out->name, sizeof out->name);
		else if (scan_is(&key, "REMOTE"))
			out->is_remote = scan_is(&line, "1");
		else if (scan_is(&key, "CLASS"))
			is_of_user = scan_is(&line, "user") || scan_starts(&line, "user-");
		else if (scan_is(&key, "STATE"))
			is_closing = scan_is(&line, "closing");
	}
	return is_of_user && !is_closing && out->name[0] != '\0';
}

/* ---- the probe */

static void look_at_session(struct look *l, const char *id, struct tally *t)
{
	struct users_session session;
	char path[300], text[SESSION_BYTES];
	int n;

	snprintf(path, sizeof path, "run/systemd/sessions/%.255s", id);
	n = look_read_short(l, NULL, path, text, sizeof text);
	if (n > 0 && users_parse_session(scan_over(text, (size_t)n), &session))
		add_session(t, session.name, session.is_remote);
}

/* By systemd-logind, where there is no utmp (as from Debian 13 on). -1: there is that neither, with errno. */
static int look_at_sessions(struct look *l, struct users_sample *out)
{
	int fd = openat(look_root(l), "run/systemd/sessions", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct tally t = {.names = NULL};
	struct dirent *entry;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	t.names = mem_array(USERS_DISTINCT, USERS_NAME);
	/* Beside each session stands a pipe, ID.ref. */
	for (int i = 0; i < SESSIONS_MAX && (entry = readdir(d)) != NULL; i++)
		if (strchr(entry->d_name, '.') == NULL && entry->d_type != DT_FIFO)
			look_at_session(l, entry->d_name, &t);
	closedir(d);
	*out = t.sample;
	free(t.names);
	return 0;
}

static int users_look(struct look *l, struct err *e)
{
	struct users_sample s;
	struct scan text;

	if (look_read_once(l, "run/utmp", &text, e) == 0)
		users_parse(text.at, scan_left(&text), &s);
	else if (errno != ENOENT || look_at_sessions(l, &s) < 0)
		return -1; /* in the words of the first */
	look_value(l, USERS_SESSIONS, (double)s.sessions);
	look_value(l, USERS_REMOTE, (double)s.remote);
	look_value(l, USERS_NAMES, (double)s.users);
	return 0;
}

static const struct look_kind users_kind = {1, false, users_look, NULL};
LOOK_PROBE(users);

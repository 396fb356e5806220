#include "collector/confine.h"

#include <linux/capability.h>
#include <linux/limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "collector/settings.h"
#include "lib/err.h"
#include "lib/fence.h"

/* NULL-terminated, in storage of its own. */
struct paths {
	const char *list[12];
	char text[11][PATH_MAX];
	size_t count;
};

static void add(struct paths *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct paths *p, const char *format, ...)
{
	char *text = p->text[p->count];
	va_list args;

	va_start(args, format);
	vsnprintf(text, PATH_MAX, format, args);
	va_end(args);
	p->list[p->count++] = text;
}

/* The folder that a file stands in: files are renewed by renaming. */
static int folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? 1 : (int)(slash - path);
}

static void add_folder_of(struct paths *p, const char *path)
{
	add(p, "%.*s", folder_len(path), path);
}

static int make_all(const struct settings *s, const struct paths *p, struct err *e)
{
	if (fence_give_folder(s->state, 0700, "", e) < 0)
		return -1;
	for (size_t i = 0; i < p->count; i++) {
		if (fence_give_folder(p->list[i], 0750, "", e) < 0)
			return -1;
	}
	return 0;
}

static int narrow(const struct paths *readable, const struct paths *writable, unsigned calls, struct err *e)
{
	int active;

	if (fence_paths(readable->list, writable->list, &active, e) < 0)
		return -1;
	return fence_syscalls(FENCE_LOOP | calls, e);
}

int confine_ingest(const struct settings *s, struct err *e)
{
	struct paths readable = {.count = 0}, writable = {.count = 0};

	add(&readable, "%s", s->inventory);
	add_folder_of(&readable, s->ingest.tls.ca);
	add_folder_of(&readable, s->ingest.tls.certificate);
	add_folder_of(&readable, s->ingest.tls.key);
	add(&readable, "%s", s->state); /* the folder itself is synced */
	add(&readable, "/proc/sys/kernel/random"); /* the id of this boot */
	add(&writable, "%s/journal", s->state);
	add(&writable, "%s/ingest", s->state);
	if (fence_drop_rights(s->user, e) < 0 || make_all(s, &writable, e) < 0)
		return -1;
	return narrow(&readable, &writable, FENCE_READ | FENCE_WRITE | FENCE_SERVE, e);
}

int confine_series(const struct settings *s, struct err *e)
{
	struct paths readable = {.count = 0}, writable = {.count = 0}, journal = {.count = 0};

	add(&readable, "%s", s->inventory);
	add(&readable, "%s", s->state);
	add(&journal, "%s/journal", s->state); /* before ingest has made it */
	add(&writable, "%s/journal/quarantine", s->state);
	add(&writable, "%s/rrd", s->state);
	add(&writable, "%s/series", s->state);
	if (fence_drop_rights(s->user, e) < 0 || make_all(s, &journal, e) < 0 || make_all(s, &writable, e) < 0)
		return -1;
	return narrow(&readable, &writable, FENCE_READ | FENCE_WRITE, e);
}

int confine_judge(const struct settings *s, struct err *e)
{
	struct paths readable = {.count = 0}, writable = {.count = 0}, journal = {.count = 0};

	add(&readable, "%s", s->inventory);
	add(&readable, "%s", s->state);
	add(&readable, "/dev/urandom"); /* SQLite */
	if (s->calendar[0] != '\0')
		add(&readable, "%s", s->calendar);
	add(&journal, "%s/journal", s->state);
	add(&writable, "%s/journal/quarantine", s->state);
	add(&writable, "%s/judge", s->state);
	if (fence_drop_rights(s->user, e) < 0 || make_all(s, &journal, e) < 0 || make_all(s, &writable, e) < 0)
		return -1;
	return narrow(&readable, &writable, FENCE_READ | FENCE_WRITE, e);
}

int confine_web(const struct settings *s, struct err *e)
{
	struct paths readable = {.count = 0}, none = {.count = 0};

	add(&readable, "%s", s->inventory);
	if (fence_drop_rights(s->user, e) < 0)
		return -1;
	return narrow(&readable, &none, FENCE_READ | FENCE_SERVE, e);
}

int confine_render(const struct settings *s, struct err *e)
{
	/* A text may need a font that the first picture did not. */
	static const char *const fonts[] = {"/usr/share/fonts", "/usr/local/share/fonts", "/etc/fonts",
		"/usr/share/fontconfig", "/var/cache/fontconfig"};
	struct paths readable = {.count = 0}, none = {.count = 0};

	for (size_t i = 0; i < sizeof fonts / sizeof *fonts; i++)
		add(&readable, "%s", fonts[i]);
	if (fence_drop_rights(s->user, e) < 0)
		return -1;
	return narrow(&readable, &none, FENCE_READ, e);
}

int confine_parent(const struct settings *s, struct err *e)
{
	/* For its children: low ports, the files of a user that they become. For itself: to end one that hangs. */
	const uint64_t kept = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_KILL |
		UINT64_C(1) << CAP_NET_BIND_SERVICE | UINT64_C(1) << CAP_DAC_READ_SEARCH;
	struct paths readable = {.count = 0}, writable = {.count = 0};

	if (fence_give_folder(s->state, 0700, s->user, e) < 0)
		return -1;
	add(&readable, "/");
	add(&writable, "%s", s->state);
	if (fence_keep_capabilities(kept, e) < 0)
		return -1;
	return narrow(&readable, &writable, FENCE_READ | FENCE_WRITE | FENCE_SERVE | FENCE_NETWORK | FENCE_LOAD |
		FENCE_FORK | FENCE_RIGHTS, e);
}

/* ---- reload */

static int same(const char *name, const char *now, const char *next, struct err *e)
{
	if (strcmp(now, next) == 0)
		return 0;
	return err_set(e, "%s is changed by a restart, not by a reload", name);
}

static int same_folder(const char *name, const char *now, const char *next, struct err *e)
{
	int len = folder_len(now);

	if (len == folder_len(next) && strncmp(now, next, (size_t)len) == 0)
		return 0;
	return err_set(e, "the folder of %s is changed by a restart, not by a reload", name);
}

int confine_holds(const struct settings *now, const struct settings *next, struct err *e)
{
	const struct tls_files *a = &now->ingest.tls, *b = &next->ingest.tls;

	if (same("state", now->state, next->state, e) < 0 || same("user", now->user, next->user, e) < 0 ||
		same("inventory", now->inventory, next->inventory, e) < 0 ||
		same("calendar", now->calendar, next->calendar, e) < 0)
		return -1;
	if (same_folder("ca", a->ca, b->ca, e) < 0 || same_folder("key", a->key, b->key, e) < 0)
		return -1;
	return same_folder("certificate", a->certificate, b->certificate, e);
}

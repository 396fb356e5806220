#include "collector/confine.h"

#include <linux/capability.h>
#include <linux/limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "collector/notice/roster.h"
#include "collector/settings.h"
#include "lib/err.h"
#include "lib/fence.h"

#define PATHS 48

/* NULL-terminated, in storage of its own. */
struct paths {
	const char *list[PATHS + 1];
	char text[PATHS][PATH_MAX];
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

static bool has(const struct paths *p, const char *path, int len)
{
	for (size_t i = 0; i < p->count; i++) {
		if (strncmp(p->list[i], path, (size_t)len) == 0 && p->list[i][len] == '\0')
			return true;
	}
	return false;
}

/* The folders of all that channels name: mostly one. */
static int add_channels(struct paths *p, const struct roster *r, struct err *e)
{
	const struct roster_channel *c = r->channels.items;

	for (size_t i = 0; i < r->channels.count; i++) {
		const char *const files[] = {c[i].token_file, c[i].secret_file, c[i].ca, c[i].certificate, c[i].key};

		for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
			if (files[k][0] == '\0' || has(p, files[k], folder_len(files[k])))
				continue;
			if (p->count == PATHS)
				return err_set(e, "the files of channels stand in too many folders");
			add_folder_of(p, files[k]);
		}
	}
	return 0;
}

int confine_notify(const struct settings *s, const struct roster *r, struct err *e)
{
	/* Name services are loaded when a name is first looked for; roots of TLS. */
	static const char *const libraries[] = {"/etc/resolv.conf", "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf",
		"/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/ssl", "/etc/pki",
		"/etc/crypto-policies", "/etc/ca-certificates", "/etc/localtime", "/etc/ld.so.cache", "/usr", "/lib", "/lib64",
		"/dev/urandom"};
	struct paths readable = {.count = 0}, writable = {.count = 0}, judge = {.count = 0};

	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
		add(&readable, "%s", libraries[i]);
	add(&readable, "%s", s->inventory);
	add(&readable, "%s/judge", s->state);
	if (s->notice[0] != '\0')
		add_folder_of(&readable, s->notice);
	if (r != NULL && add_channels(&readable, r, e) < 0)
		return -1;
	add(&judge, "%s/judge", s->state); /* before judgement has made it */
	add(&writable, "%s/notice", s->state);
	if (fence_drop_rights(s->user, e) < 0 || make_all(s, &judge, e) < 0 || make_all(s, &writable, e) < 0)
		return -1;
	return narrow(&readable, &writable, FENCE_READ | FENCE_WRITE | FENCE_NETWORK | FENCE_LOAD, e);
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
		same("calendar", now->calendar, next->calendar, e) < 0 ||
		same("commands", now->commands, next->commands, e) < 0)
		return -1;
	if (now->notice[0] == '\0' || next->notice[0] == '\0' ? same("notice", now->notice, next->notice, e) < 0
			: same_folder("notice", now->notice, next->notice, e) < 0)
		return -1;
	if (same_folder("ca", a->ca, b->ca, e) < 0 || same_folder("key", a->key, b->key, e) < 0)
		return -1;
	return same_folder("certificate", a->certificate, b->certificate, e);
}

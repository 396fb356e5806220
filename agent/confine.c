#include "agent/confine.h"

#include <linux/capability.h>
#include <string.h>

#include "agent/settings.h"
#include "lib/fence.h"
#include "lib/mem.h"

int confine_helper(struct err *e)
{
	static const char *const none[] = {NULL};
	int active;

	if (fence_keep_capabilities(UINT64_C(1) << CAP_NET_RAW, e) < 0 || fence_paths(none, none, &active, e) < 0)
		return -1;
	return fence_syscalls(FENCE_LOOP | FENCE_ICMP, e);
}

int confine_helper_keeper(struct err *e)
{
	if (fence_keep_capabilities(UINT64_C(1) << CAP_NET_RAW, e) < 0)
		return -1;
	return fence_syscalls(FENCE_LOOP | FENCE_ICMP | FENCE_FORK | FENCE_RIGHTS, e);
}

int confine_spawner(struct err *e)
{
	/* A program with file capabilities (ping) is not even started where they could not be had: EPERM, no_new_privs or not. */
	return fence_keep_capabilities(UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_KILL |
		UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_NET_RAW | UINT64_C(1) << CAP_NET_BIND_SERVICE, e);
}

/* What stream it connects to is bounded by the rights of its user alone: Landlock does not look at that. */
int confine_units(struct err *e)
{
	static const char *const none[] = {NULL};
	int active;

	if (fence_drop_rights(NULL, e) < 0 || fence_paths(none, none, &active, e) < 0)
		return -1;
	return fence_syscalls(FENCE_LOOP | FENCE_STREAM, e);
}

int confine_units_keeper(struct err *e)
{
	if (fence_drop_rights(NULL, e) < 0)
		return -1;
	return fence_syscalls(FENCE_LOOP | FENCE_STREAM | FENCE_FORK | FENCE_RIGHTS, e);
}

int confine_probe(struct err *e)
{
	if (fence_drop_rights(NULL, e) < 0)
		return -1;
	return fence_syscalls(FENCE_LOOP | FENCE_READ | FENCE_NETWORK | FENCE_LOAD | FENCE_CLOCK, e);
}

/* The folder that a file stands in, in the arena: files are renewed by renaming. */
static const char *folder_of(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? "" : arena_format(a, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* What libraries read, what the settings name, NULL at the end; in the arena. */
static const char *const *readable_paths(const struct agent_settings *s)
{
	static const char *const libraries[] = {"/etc/resolv.conf", "/run/systemd/resolve", "/run/NetworkManager",
		"/run/resolvconf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
		"/etc/services", "/etc/ssl", "/etc/pki", "/etc/crypto-policies", "/etc/localtime", "/usr",
		"/lib", "/lib64", "/dev/urandom",
		/* What the host types look at. Of /proc the whole: the kernel makes its files anew when it is short of
		 * memory, and a rule on one of them is then a rule on nothing. */
		"/proc", "/run/utmp", "/run/systemd/sessions", "/etc/fstab", "/sys/block", "/sys/class/net", "/sys/devices"};
	const size_t count = sizeof libraries / sizeof *libraries;
	const char **paths = arena_alloc(s->arena, (count + s->readable.count + 9) * sizeof *paths);
	size_t n = 0;

	while (n < count) {
		paths[n] = libraries[n];
		n++;
	}
	for (size_t i = 0; i < s->readable.count; i++)
		paths[n++] = s->readable.items[i];
	paths[n++] = folder_of(s->arena, s->path);
	if (*s->credentials_path != '\0')
		paths[n++] = folder_of(s->arena, s->credentials_path);
	if (*s->heartbeat.tokens != '\0')
		paths[n++] = folder_of(s->arena, s->heartbeat.tokens);
	if (*s->heartbeat.certificate != '\0') {
		paths[n++] = folder_of(s->arena, s->heartbeat.certificate);
		paths[n++] = folder_of(s->arena, s->heartbeat.key);
	}
	if (*s->collector.url != '\0') {
		paths[n++] = folder_of(s->arena, s->collector.tls.ca);
		paths[n++] = folder_of(s->arena, s->collector.tls.certificate);
		paths[n++] = folder_of(s->arena, s->collector.tls.key);
	}
	return paths;
}

int confine_engine(const struct agent_settings *s, bool *has_paths, struct err *e)
{
	const char *const writable[] = {s->state, NULL};
	int active = 0;

	if (fence_paths(readable_paths(s), writable, &active, e) < 0)
		return -1;
	*has_paths = active != 0;
	/* Name services of the C library are loaded when a name is first looked for. */
	return fence_syscalls(FENCE_LOOP | FENCE_READ | FENCE_WRITE | FENCE_NETWORK | FENCE_LOAD | FENCE_CLOCK, e);
}

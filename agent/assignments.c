#include "agent/assignments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/crc32c.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/catalog.h"
#include "probes/probe.h"
#include "probes/registry.h"

#define FILE_MAGIC UINT32_C(0x31414a58) /* "XJA1" */
#define FILE_HEAD 12                    /* magic, length, crc32c of what follows */

struct set {
	struct assignments public;
	struct assigned *checks;
	struct arena *arena;
	struct map *ids;
	unsigned holders;
};

/* ---- the set */

static uint64_t hash_text(uint64_t hash, const char *text)
{
	do {
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	} while (*text++ != '\0');
	return hash;
}

static uint64_t hash_of(const struct assigned *c, const struct config_pairs *options)
{
	uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), c->type->catalog->name);

	hash = (hash ^ c->families) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < options->count; i++) {
		hash = hash_text(hash, options->items[i].key);
		hash = hash_text(hash, options->items[i].value);
	}
	return hash;
}

/* Puts a check into the set whose id, families, times and priority are filled. */
static int add(struct set *s, const struct assigned *from, const char *type, const struct config_pairs *options,
	struct err *e)
{
	struct assigned *c = &s->checks[s->public.count];
	void *filled;

	*c = *from;
	c->type = registry_find(type);
	if (c->type == NULL)
		return err_set(e, "unknown probe type \"%s\"", type);
	if (map_find(s->ids, c->id) != NULL)
		return err_set(e, "the local list has a check of this id");
	if (agent_settings_check_times(c->interval, c->timeout, e) < 0 ||
		catalog_check_timeout(c->type->catalog, c->timeout, e) < 0)
		return -1;
	if (catalog_options(c->type->catalog, options, s->arena, &filled, e) < 0)
		return -1;
	c->id = arena_strdup(s->arena, c->id);
	c->options = filled;
	c->what = hash_of(c, options);
	map_set(s->ids, c->id, c);
	s->public.count++;
	return 0;
}

static int add_local(struct set *s, const struct agent_settings_check *from, struct err *e)
{
	const struct assigned c = {.id = from->id, .families = agent_settings_families(from->families),
		.interval = from->interval, .timeout = from->timeout, .priority = from->priority};

	return add(s, &c, from->type, &from->options, e);
}

static int add_remote(struct set *s, const struct wire_check *from, uint64_t generation, struct err *e)
{
	const struct assigned c = {.id = from->id, .families = from->families,
		.interval = from->interval_s * NS_PER_S, .timeout = from->timeout_ms * NS_PER_MS,
		.priority = from->priority, .generation = generation};
	struct config_pairs options = {.items = arena_alloc(s->arena, (from->options_count + 1) *
		sizeof *options.items)};

	for (size_t i = 0; i < from->options_count; i++)
		options.items[options.count++] = (struct config_pair){
			.key = from->options[i].key, .value = from->options[i].value};
	return add(s, &c, from->type, &options, e);
}

struct assignments *assignments_new(const struct agent_settings *settings,
	const struct wire_assignments *remote,
	void (*on_refused)(void *ctx, const char *check, const char *why), void *ctx)
{
	const struct agent_settings_check *local = settings->checks.items;
	size_t remote_count = remote != NULL ? remote->count : 0;
	struct set *s = mem_alloc(sizeof *s);
	struct err e;

	s->holders = 1;
	s->arena = arena_new();
	s->ids = map_new();
	s->checks = mem_array(settings->checks.count + remote_count + 1, sizeof *s->checks);
	s->public.checks = s->checks;
	for (size_t i = 0; i < settings->checks.count; i++) {
		if (add_local(s, &local[i], &e) < 0)
			on_refused(ctx, local[i].id, e.text);
	}
	for (size_t i = 0; i < remote_count; i++) {
		if (add_remote(s, &remote->checks[i], remote->generation, &e) < 0)
			on_refused(ctx, remote->checks[i].id, e.text);
	}
	s->public.refused = settings->checks.count + remote_count - s->public.count;
	map_free(s->ids, NULL);
	s->ids = NULL;
	return &s->public;
}

struct assignments *assignments_hold(struct assignments *public)
{
	((struct set *)public)->holders++;
	return public;
}

void assignments_drop(struct assignments *public)
{
	struct set *s = (struct set *)public;

	if (s == NULL || --s->holders > 0)
		return;
	arena_free(s->arena);
	free(s->checks);
	free(s);
}

/* ---- the file */

static int write_whole(int fd, const struct buf *b)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n < 0 && errno != EINTR)
			return -1;
		at += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd);
}

static int replace(int folder, const struct buf *b, struct err *e)
{
	int fd = openat(folder, "assignments.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int status;

	if (fd < 0)
		return err_errno(e, "cannot keep the assignments");
	status = write_whole(fd, b);
	if (status < 0)
		err_errno(e, "cannot keep the assignments");
	close(fd);
	if (status < 0)
		return -1;
	if (renameat(folder, "assignments.new", folder, "assignments") < 0 || fsync(folder) < 0)
		return err_errno(e, "cannot keep the assignments");
	return 0;
}

int assignments_write(const char *state, const void *data, size_t len, struct err *e)
{
	int folder = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
	struct buf b = {0};

	if (folder < 0)
		return err_errno(e, "%.200s", state);
	buf_add_u32(&b, FILE_MAGIC);
	buf_add_u32(&b, (uint32_t)len);
	buf_add_u32(&b, crc32c(0, data, len));
	buf_add(&b, data, len);
	status = replace(folder, &b, e);
	buf_fini(&b);
	close(folder);
	return status;
}

static int read_file(int fd, struct buf *out)
{
	ssize_t n;

	do {
		n = read(fd, buf_reserve(out, 65536), 65536);
		if (n > 0)
			out->len += (size_t)n;
	} while ((n > 0 && out->len <= WIRE_BODY_MAX + FILE_HEAD) || (n < 0 && errno == EINTR));
	return n < 0 ? -1 : 0;
}

static bool is_whole(const struct buf *b)
{
	struct cursor c = cursor_over(b->data, b->len);
	bool magic = cursor_u32(&c) == FILE_MAGIC;
	uint32_t len = cursor_u32(&c), crc = cursor_u32(&c);

	return magic && !c.failed && cursor_left(&c) == len && crc32c(0, c.at, len) == crc;
}

int assignments_read(const char *state, struct buf *out, struct err *e)
{
	char *path = mem_format("%s/assignments", state);
	int fd = open(path, O_RDONLY | O_CLOEXEC), status;

	if (fd < 0 && errno == ENOENT)
		status = 0;
	else if (fd < 0 || read_file(fd, out) < 0)
		status = err_errno(e, "%.200s", path);
	else if (!is_whole(out))
		status = err_set(e, "%.200s: damaged", path);
	else
		status = 1;
	if (fd >= 0)
		close(fd);
	free(path);
	if (status == 1)
		buf_drop_front(out, FILE_HEAD);
	return status;
}

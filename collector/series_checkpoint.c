#include "collector/series_checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "collector/series_catalogue.h"
#include "lib/crc32c.h"
#include "lib/err.h"
#include "lib/mem.h"

#define MAGIC 0x4b434a58u /* "XJCK" */
#define HEAD_BYTES 20
#define SECTION_MAX (64u << 20)
#define SECTION_FULL (512u << 10) /* a section is closed when it holds this much */
#define ROWS_PER_SECTION 1000
#define LEVEL 1

enum section { SECTION_HEAD = 1, SECTION_ROWS, SECTION_FILES, SECTION_END, SECTION_DONE };

struct series_checkpoint {
	int folder, fd;
	bool finished;
	uint64_t bytes;
	struct buf files, packed; /* the FILES section being filled; room for packing */
	struct buf last_static;   /* static part of the header put last into it */
	ZSTD_CCtx *zstd;
};

/* ---- writing */

static int write_all(struct series_checkpoint *c, const void *data, size_t len, struct err *e)
{
	for (size_t put = 0; put < len;) {
		ssize_t n = write(c->fd, (const uint8_t *)data + put, len - put);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "cannot write the checkpoint");
		put += (size_t)n;
	}
	c->bytes += len;
	return 0;
}

static int write_section(struct series_checkpoint *c, enum section kind, const struct buf *raw, struct err *e)
{
	size_t bound = ZSTD_compressBound(raw->len), packed;
	struct buf *out = &c->packed;

	buf_clear(out);
	buf_reserve(out, HEAD_BYTES + bound);
	packed = ZSTD_compressCCtx(c->zstd, out->data + HEAD_BYTES, bound, raw->data, raw->len, LEVEL);
	if (ZSTD_isError(packed))
		return err_set(e, "cannot pack the checkpoint: %s", ZSTD_getErrorName(packed));
	buf_add_u32(out, MAGIC);
	buf_add_u16(out, (uint16_t)kind);
	buf_add_u16(out, 0);
	buf_add_u32(out, (uint32_t)packed);
	buf_add_u32(out, (uint32_t)raw->len);
	buf_add_u32(out, crc32c(crc32c(0, out->data, HEAD_BYTES - 4), out->data + HEAD_BYTES, packed));
	return write_all(c, out->data, HEAD_BYTES + packed, e);
}

static void add_position(struct buf *out, struct position p)
{
	buf_add_u64(out, p.epoch);
	buf_add_u64(out, p.seq);
}

static int write_head(struct series_checkpoint *c, const struct series_checkpoint_head *head,
	const struct series_catalogue *catalogue, struct err *e)
{
	struct buf raw = {0};
	int rc;

	buf_add_u64(&raw, head->number);
	add_position(&raw, head->cursor);
	add_position(&raw, head->folded);
	buf_add_u64(&raw, series_catalogue_count(catalogue));
	rc = write_section(c, SECTION_HEAD, &raw, e);
	buf_fini(&raw);
	return rc;
}

static int write_rows(struct series_checkpoint *c, const struct series_catalogue *catalogue, struct err *e)
{
	size_t count = series_catalogue_count(catalogue);
	struct buf raw = {0};
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i += ROWS_PER_SECTION) {
		buf_clear(&raw);
		series_catalogue_encode(catalogue, i,
			count - i < ROWS_PER_SECTION ? count - i : ROWS_PER_SECTION, &raw);
		rc = write_section(c, SECTION_ROWS, &raw, e);
	}
	buf_fini(&raw);
	return rc;
}

struct series_checkpoint *series_checkpoint_begin(int folder, const struct series_checkpoint_head *head,
	const struct series_catalogue *catalogue, struct err *e)
{
	struct series_checkpoint *c = mem_alloc(sizeof *c);

	c->folder = folder;
	c->zstd = ZSTD_createCCtx();
	c->fd = openat(folder, "checkpoint.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (c->fd < 0)
		err_errno(e, "cannot make the checkpoint");
	if (c->fd < 0 || write_head(c, head, catalogue, e) < 0 || write_rows(c, catalogue, e) < 0) {
		series_checkpoint_free(c);
		return NULL;
	}
	return c;
}

static int flush_files(struct series_checkpoint *c, struct err *e)
{
	int rc = c->files.len > 0 ? write_section(c, SECTION_FILES, &c->files, e) : 0;

	buf_clear(&c->files);
	buf_clear(&c->last_static);
	return rc;
}

/* Files that look alike have the same static part: it is written once in a section. */
int series_checkpoint_add(struct series_checkpoint *c, const char *path, const uint8_t *head, size_t len,
	size_t static_len, struct err *e)
{
	struct buf *out = &c->files, *last = &c->last_static;
	bool same = head != NULL && last->len == static_len && memcmp(last->data, head, static_len) == 0;

	buf_add_u16(out, (uint16_t)strlen(path));
	buf_add_text(out, path);
	buf_add_u32(out, head != NULL ? (uint32_t)len : 0);
	if (head != NULL) {
		buf_add_u32(out, (uint32_t)static_len);
		buf_add_u8(out, same);
		if (!same)
			buf_add(out, head, static_len);
		buf_add(out, head + static_len, len - static_len);
		buf_clear(last);
		buf_add(last, head, static_len);
	}
	return out->len >= SECTION_FULL ? flush_files(c, e) : 0;
}

static int rename_into_place(struct series_checkpoint *c, struct err *e)
{
	if (renameat(c->folder, "checkpoint", c->folder, "checkpoint.previous") < 0 && errno != ENOENT)
		return err_errno(e, "cannot rename the checkpoint");
	if (renameat(c->folder, "checkpoint.new", c->folder, "checkpoint") < 0)
		return err_errno(e, "cannot rename the checkpoint");
	if (fsync(c->folder) < 0)
		return err_errno(e, "cannot sync the folder of the checkpoint");
	return 0;
}

int series_checkpoint_finish(struct series_checkpoint *c, struct err *e)
{
	struct buf nothing = {0};

	if (flush_files(c, e) < 0 || write_section(c, SECTION_END, &nothing, e) < 0)
		return -1;
	if (fdatasync(c->fd) < 0)
		return err_errno(e, "cannot sync the checkpoint");
	if (rename_into_place(c, e) < 0)
		return -1;
	c->finished = true;
	buf_fini(&c->files);
	buf_fini(&c->last_static);
	return 0;
}

int series_checkpoint_done(struct series_checkpoint *c, struct position cursor, struct err *e)
{
	struct buf raw = {0};
	int rc;

	add_position(&raw, cursor);
	rc = write_section(c, SECTION_DONE, &raw, e);
	buf_fini(&raw);
	if (rc == 0 && fdatasync(c->fd) < 0)
		rc = err_errno(e, "cannot sync the checkpoint");
	return rc;
}

uint64_t series_checkpoint_bytes(const struct series_checkpoint *c)
{
	return c->bytes;
}

void series_checkpoint_free(struct series_checkpoint *c)
{
	if (c == NULL)
		return;
	if (c->fd >= 0)
		close(c->fd);
	if (!c->finished)
		unlinkat(c->folder, "checkpoint.new", 0);
	ZSTD_freeCCtx(c->zstd);
	buf_fini(&c->files);
	buf_fini(&c->packed);
	buf_fini(&c->last_static);
	free(c);
}

/* ---- reading */

struct reading {
	struct cursor bytes;
	struct series_checkpoint_head *head;
	struct series_catalogue *catalogue;
	uint64_t rows;
	struct buf raw;
};

/* Next section, unpacked into raw. 1, 0 at the end of the bytes or where a section is torn. */
static int next_section(struct cursor *c, struct buf *raw, enum section *kind)
{
	const uint8_t *head = c->at, *payload;
	uint32_t packed, unpacked, crc;
	size_t n;

	if (cursor_u32(c) != MAGIC)
		return 0;
	*kind = (enum section)cursor_u16(c);
	cursor_u16(c);
	packed = cursor_u32(c);
	unpacked = cursor_u32(c);
	crc = cursor_u32(c);
	payload = cursor_bytes(c, packed);
	if (payload == NULL || unpacked > SECTION_MAX ||
		crc != crc32c(crc32c(0, head, HEAD_BYTES - 4), payload, packed))
		return 0;
	buf_clear(raw);
	buf_reserve(raw, (size_t)unpacked + 1);
	n = ZSTD_decompress(raw->data, unpacked, payload, packed);
	if (ZSTD_isError(n) || n != unpacked)
		return 0;
	raw->len = unpacked;
	return 1;
}

static struct position take_position(struct cursor *c)
{
	struct position p = {.epoch = cursor_u64(c)};

	p.seq = cursor_u64(c);
	return p;
}

static int read_head_section(struct reading *r, struct err *e)
{
	struct cursor c = cursor_over(r->raw.data, r->raw.len);

	r->head->number = cursor_u64(&c);
	r->head->cursor = take_position(&c);
	r->head->folded = take_position(&c);
	r->rows = cursor_u64(&c);
	return c.failed ? err_set(e, "its head is cut short") : 0;
}

/* Hands out the files of one section. */
static void hand_files(const struct buf *raw, const struct series_checkpoint_reader *to)
{
	struct cursor c = cursor_over(raw->data, raw->len);
	struct buf head = {0};

	while (cursor_left(&c) > 0 && !c.failed) {
		char path[SERIES_PATH_MAX];
		size_t name_len = cursor_u16(&c), len, static_len, live_len;
		const uint8_t *name = cursor_bytes(&c, name_len), *bytes;

		len = cursor_u32(&c);
		if (name == NULL || name_len >= sizeof path)
			break;
		memcpy(path, name, name_len);
		path[name_len] = '\0';
		if (len > 0) {
			static_len = cursor_u32(&c);
			if (cursor_u8(&c) == 0) {
				bytes = cursor_bytes(&c, static_len);
				buf_clear(&head);
				if (bytes != NULL)
					buf_add(&head, bytes, static_len);
			}
			head.len = static_len;
			live_len = len - static_len;
			bytes = cursor_bytes(&c, live_len);
			if (bytes == NULL)
				break;
			buf_add(&head, bytes, live_len);
		}
		to->on_file(to->ctx, path, len > 0 ? head.data : NULL, len);
	}
	buf_fini(&head);
}

/* First way through: all that must be whole. *end: where END is; *done: its cursor. */
static int read_sections(struct reading *r, bool *is_done, struct err *e)
{
	bool has_end = false;
	enum section kind;

	*is_done = false;
	while (next_section(&r->bytes, &r->raw, &kind)) {
		struct cursor c = cursor_over(r->raw.data, r->raw.len);

		if (kind == SECTION_HEAD && read_head_section(r, e) < 0)
			return -1;
		if (kind == SECTION_ROWS && series_catalogue_decode(r->catalogue, r->raw.data, r->raw.len, e) < 0)
			return -1;
		if (kind == SECTION_END)
			has_end = true;
		if (kind == SECTION_DONE && has_end) {
			r->head->cursor = take_position(&c);
			*is_done = true;
		}
	}
	if (!has_end || r->head->number == 0)
		return err_set(e, "it is cut short or damaged");
	if (series_catalogue_count(r->catalogue) != r->rows)
		return err_set(e, "it holds %zu series of %llu", series_catalogue_count(r->catalogue),
			(unsigned long long)r->rows);
	return 0;
}

static int read_file(int folder, const char *name, struct buf *out, struct err *e)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = 1;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "cannot open");
	while (n > 0 || (n < 0 && errno == EINTR)) {
		n = read(fd, buf_reserve(out, 1 << 20), 1 << 20);
		if (n > 0)
			out->len += (size_t)n;
	}
	close(fd);
	return n < 0 ? err_errno(e, "cannot read") : 1;
}

int series_checkpoint_read(int folder, const char *name, struct series_checkpoint_head *head,
	struct series_catalogue *catalogue, bool *is_done, const struct series_checkpoint_reader *to,
	struct err *e)
{
	struct reading r = {.head = head, .catalogue = catalogue};
	struct buf bytes = {0};
	enum section kind;
	int rc = read_file(folder, name, &bytes, e);

	*head = (struct series_checkpoint_head){0};
	if (rc == 1) {
		r.bytes = cursor_over(bytes.data, bytes.len);
		rc = read_sections(&r, is_done, e) < 0 ? -1 : 1;
	}
	if (rc == 1 && !*is_done) {
		r.bytes = cursor_over(bytes.data, bytes.len);
		while (next_section(&r.bytes, &r.raw, &kind)) {
			if (kind == SECTION_FILES)
				hand_files(&r.raw, to);
		}
	}
	buf_fini(&bytes);
	buf_fini(&r.raw);
	return rc < 0 ? err_wrap(e, "%s", name) : rc;
}

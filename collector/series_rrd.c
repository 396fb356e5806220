#define RRD_EXPORT_DEPRECATED /* the layout of a file: rrd_format.h */
#include "collector/series_rrd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/series_catalogue.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"

#define RINGS_MAX 64
#define ROWS_MAX (UINT64_C(1) << 26)
#define STEP_MAX (UINT64_C(366) * 86400)
#define SETS_PER_CALL 256
#define ROWS_PER_READ 256
#define CELL sizeof(rrd_value_t)

/* ---- header */

/* Where the pieces of a header are. */
struct head {
	const stat_head_t *stat;
	const ds_def_t *ds;
	const rra_def_t *ring;
	const live_head_t *live;
	const rra_ptr_t *pointer;
	size_t static_len, len;
};

static struct head head_of(const uint8_t *bytes)
{
	struct head h = {.stat = (const void *)bytes};
	size_t columns = h.stat->ds_cnt, rings = h.stat->rra_cnt;

	h.ds = (const void *)(h.stat + 1);
	h.ring = (const void *)(h.ds + columns);
	h.live = (const void *)(h.ring + rings);
	h.static_len = (size_t)((const uint8_t *)h.live - bytes);
	h.pointer = (const void *)((const uint8_t *)(h.live + 1) + columns * sizeof(pdp_prep_t) +
		rings * columns * sizeof(cdp_prep_t));
	h.len = (size_t)((const uint8_t *)(h.pointer + rings) - bytes);
	return h;
}

static size_t head_len(size_t columns, size_t rings)
{
	return sizeof(stat_head_t) + columns * sizeof(ds_def_t) + rings * sizeof(rra_def_t) +
		sizeof(live_head_t) + columns * sizeof(pdp_prep_t) +
		rings * columns * sizeof(cdp_prep_t) + rings * sizeof(rra_ptr_t);
}

static bool is_consolidation(const char *name)
{
	return strcmp(name, "AVERAGE") == 0 || strcmp(name, "MIN") == 0 || strcmp(name, "MAX") == 0;
}

static int check_stat(const stat_head_t *s, size_t columns, struct err *e)
{
	if (memcmp(s->cookie, "RRD", 4) != 0 || memcmp(s->version, "0003", 5) != 0 ||
		s->float_cookie != FLOAT_COOKIE)
		return err_set(e, "its first bytes are not those of an RRD file of this machine");
	if (s->ds_cnt == 0 || s->ds_cnt > SERIES_COLUMNS_MAX || (columns != 0 && s->ds_cnt != columns))
		return err_set(e, "%lu data sources, expected %zu", s->ds_cnt, columns);
	if (s->rra_cnt == 0 || s->rra_cnt > RINGS_MAX || s->pdp_step == 0 || s->pdp_step > STEP_MAX)
		return err_set(e, "%lu rings of step %lu", s->rra_cnt, s->pdp_step);
	return 0;
}

static int check_sources(const struct head *h, struct err *e)
{
	for (size_t i = 0; i < h->stat->ds_cnt; i++) {
		if (memchr(h->ds[i].ds_nam, '\0', DS_NAM_SIZE) == NULL ||
			memcmp(h->ds[i].dst, "GAUGE", 6) != 0)
			return err_set(e, "data source %zu is not a gauge", i);
	}
	return 0;
}

/* Everything that librrd follows into the map, against the size of the file. */
static int check_rings(const struct head *h, uint64_t file_size, struct err *e)
{
	uint64_t size = h->len;

	for (size_t i = 0; i < h->stat->rra_cnt; i++) {
		const rra_def_t *r = &h->ring[i];

		if (memchr(r->cf_nam, '\0', CF_NAM_SIZE) == NULL || !is_consolidation(r->cf_nam))
			return err_set(e, "ring %zu is no average, minimum or maximum", i);
		if (r->row_cnt == 0 || r->row_cnt > ROWS_MAX || r->pdp_cnt == 0 || r->pdp_cnt > STEP_MAX ||
			h->pointer[i].cur_row >= r->row_cnt)
			return err_set(e, "ring %zu: row %lu of %lu", i, h->pointer[i].cur_row, r->row_cnt);
		size += r->row_cnt * h->stat->ds_cnt * CELL;
	}
	if (size != file_size)
		return err_set(e, "%llu bytes long, its rings ask for %llu",
			(unsigned long long)file_size, (unsigned long long)size);
	return 0;
}

static int check_head(const uint8_t *bytes, size_t len, size_t columns, uint64_t file_size,
	struct err *e)
{
	struct head h;

	if (len < sizeof(stat_head_t) || check_stat((const void *)bytes, columns, e) < 0)
		return -1;
	h = head_of(bytes);
	if (h.len > len)
		return err_set(e, "its header is cut short");
	if (h.live->last_up < 0 || h.live->last_up > INT64_C(1) << 40)
		return err_set(e, "last updated at %lld", (long long)h.live->last_up);
	if (check_sources(&h, e) < 0)
		return -1;
	return check_rings(&h, file_size, e);
}

static int read_at(int fd, void *to, size_t len, uint64_t at, struct err *e)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = pread(fd, (uint8_t *)to + got, len - got, (off_t)(at + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "cannot read");
		if (n == 0)
			return err_set(e, "ends early");
		got += (size_t)n;
	}
	return 0;
}

static int write_at(int fd, const void *from, size_t len, uint64_t at, struct err *e)
{
	for (size_t put = 0; put < len;) {
		ssize_t n = pwrite(fd, (const uint8_t *)from + put, len - put, (off_t)(at + put));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "cannot write");
		put += (size_t)n;
	}
	return 0;
}

static enum series_rrd_found read_head(struct series_rrd *r, size_t columns, uint64_t size, struct err *e)
{
	stat_head_t stat;
	size_t len;
	struct head h;

	if (size < sizeof stat) {
		err_set(e, "%llu bytes long", (unsigned long long)size);
		return SERIES_RRD_DAMAGED;
	}
	if (read_at(r->fd, &stat, sizeof stat, 0, e) < 0)
		return SERIES_RRD_FAILED;
	if (check_stat(&stat, columns, e) < 0)
		return SERIES_RRD_DAMAGED;
	len = head_len(stat.ds_cnt, stat.rra_cnt);
	if (len > size) {
		err_set(e, "%llu bytes long, its header alone %zu", (unsigned long long)size, len);
		return SERIES_RRD_DAMAGED;
	}
	buf_reserve(&r->head, len);
	r->head.len = len;
	if (read_at(r->fd, r->head.data, len, 0, e) < 0)
		return SERIES_RRD_FAILED;
	if (check_head(r->head.data, len, columns, size, e) < 0)
		return SERIES_RRD_DAMAGED;
	h = head_of(r->head.data);
	r->static_len = h.static_len;
	r->columns = (uint32_t)h.stat->ds_cnt;
	r->step = (uint32_t)h.stat->pdp_step;
	r->last = h.live->last_up;
	r->heartbeat = (uint32_t)h.ds[0].par[DS_mrhb_cnt].u_cnt;
	return SERIES_RRD_GOOD;
}

static enum series_rrd_found open_file(const char *path, size_t columns, struct series_rrd *r, struct err *e)
{
	struct stat st;
	off_t hole;

	r->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0 && errno == ENOENT)
		return SERIES_RRD_ABSENT;
	if (r->fd < 0 || fstat(r->fd, &st) < 0) {
		err_errno(e, "cannot open");
		return SERIES_RRD_FAILED;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, "is not a file");
		return SERIES_RRD_DAMAGED;
	}
	hole = lseek(r->fd, 0, SEEK_HOLE);
	if (hole >= 0 && hole < st.st_size) {
		err_set(e, "has a hole at byte %lld", (long long)hole);
		return SERIES_RRD_SPARSE;
	}
	return read_head(r, columns, (uint64_t)st.st_size, e);
}

enum series_rrd_found series_rrd_open(const char *path, size_t columns, struct series_rrd *r,
	struct err *e)
{
	enum series_rrd_found found;

	*r = (struct series_rrd){.fd = -1};
	found = open_file(path, columns, r, e);
	if (found != SERIES_RRD_GOOD)
		series_rrd_close(r);
	if (found != SERIES_RRD_GOOD && found != SERIES_RRD_ABSENT)
		err_wrap(e, "%s", path);
	return found;
}

void series_rrd_close(struct series_rrd *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	buf_fini(&r->head);
}

static int fill_hole(int fd, off_t hole, off_t end, struct err *e)
{
	static const uint8_t zeros[65536];

	while (hole < end) {
		size_t n = end - hole < (off_t)sizeof zeros ? (size_t)(end - hole) : sizeof zeros;

		if (write_at(fd, zeros, n, (uint64_t)hole, e) < 0)
			return -1;
		hole += (off_t)n;
	}
	return 0;
}

int series_rrd_fill(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW), rc = 0;
	off_t size, hole, data;

	if (fd < 0)
		return err_errno(e, "%s: cannot open", path);
	size = lseek(fd, 0, SEEK_END);
	for (hole = 0; rc == 0 && (hole = lseek(fd, hole, SEEK_HOLE)) >= 0 && hole < size; hole = data) {
		data = lseek(fd, hole, SEEK_DATA);
		if (data < 0)
			data = size;
		rc = fill_hole(fd, hole, data, e);
	}
	if (rc == 0 && fdatasync(fd) < 0)
		rc = err_errno(e, "cannot sync");
	close(fd);
	return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

int series_rrd_restore(const char *path, const void *head, size_t len, struct err *e)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(e, "%s: cannot open", path);
	} else if (check_head(head, len, 0, (uint64_t)st.st_size, e) < 0 ||
		write_at(fd, head, len, 0, e) < 0) {
		err_wrap(e, "%s", path);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- create */

struct ring_plan {
	uint64_t pdps, rows;
};

/* The rings of a step, finest first as the settings name them; those that come to the same width are one. */
static size_t plan_rings(struct ring_plan rings[RINGS_MAX / SERIES_RRD_FUNCTIONS], uint32_t step_s,
	const struct config_list *archives)
{
	const struct settings_archive *a = archives->items;
	int64_t step = step_s * NS_PER_S;
	size_t n = 0, at;

	for (size_t i = 0; i < archives->count; i++) {
		int64_t width = a[i].step > step ? (a[i].step + step - 1) / step * step : step;
		uint64_t pdps = (uint64_t)(width / step), rows = (uint64_t)((a[i].keep + width - 1) / width);

		for (at = 0; at < n && rings[at].pdps != pdps; at++)
			;
		if (at == RINGS_MAX / SERIES_RRD_FUNCTIONS)
			break;
		if (at == n)
			rings[n++] = (struct ring_plan){pdps, 1};
		if (rows > rings[at].rows)
			rings[at].rows = rows < ROWS_MAX ? rows : ROWS_MAX;
	}
	return n;
}

int64_t series_rrd_size(size_t columns, uint32_t interval_s, const struct config_list *archives)
{
	struct ring_plan rings[RINGS_MAX / SERIES_RRD_FUNCTIONS];
	size_t n = plan_rings(rings, interval_s, archives), count = 0;
	uint64_t cells = 0;

	for (size_t i = 0; i < n; i++) {
		size_t functions = rings[i].pdps > 1 ? SERIES_RRD_FUNCTIONS : 1;

		count += functions;
		cells += functions * rings[i].rows * columns;
	}
	return (int64_t)(head_len(columns, count) + cells * CELL);
}

static void text_of_librrd(struct err *e, const char *path)
{
	const char *words = rrd_get_error();

	/* A full disk gives none. */
	err_set(e, "%s: %s", path, words != NULL && *words != '\0' ? words : "no words (disk full?)");
}

/* A row of one step is its own minimum and maximum: there the average is enough. */
static void add_rings(const struct ring_plan *rings, size_t n, char text[][48], size_t *count)
{
	static const char *const functions[SERIES_RRD_FUNCTIONS] = {"AVERAGE", "MIN", "MAX"};

	for (size_t i = 0; i < n; i++) {
		for (size_t f = 0; f < (rings[i].pdps > 1 ? SERIES_RRD_FUNCTIONS : 1); f++)
			snprintf(text[(*count)++], 48, "RRA:%s:0.5:%llu:%llu", functions[f],
				(unsigned long long)rings[i].pdps, (unsigned long long)rings[i].rows);
	}
}

int series_rrd_create(const char *path, const struct series_file *f, int64_t first, uint32_t interval_s,
	const struct config_list *archives, struct err *e)
{
	struct ring_plan rings[RINGS_MAX / SERIES_RRD_FUNCTIONS];
	char text[SERIES_COLUMNS_MAX + RINGS_MAX][48], name[20];
	const char *argv[SERIES_COLUMNS_MAX + RINGS_MAX];
	size_t count = 0;

	for (; count < f->layout->columns; count++)
		snprintf(text[count], sizeof text[count], "DS:%s:GAUGE:%u:U:U",
			series_file_column(f, count, name), SERIES_HEARTBEAT * interval_s);
	add_rings(rings, plan_rings(rings, interval_s, archives), text, &count);
	for (size_t i = 0; i < count; i++)
		argv[i] = text[i];
	rrd_clear_error();
	if (rrd_create_r2(path, interval_s, first - interval_s, 1, NULL, NULL, (int)count, argv) == 0)
		return 0;
	text_of_librrd(e, path);
	return -1;
}

/* ---- update */

static int set_heartbeat(struct series_rrd *r, uint32_t heartbeat, struct err *e)
{
	unsigned long value = heartbeat;

	for (size_t i = 0; i < r->columns; i++) {
		size_t at = sizeof(stat_head_t) + i * sizeof(ds_def_t) + offsetof(ds_def_t, par) +
			DS_mrhb_cnt * sizeof(unival);

		if (write_at(r->fd, &value, sizeof value, at, e) < 0)
			return -1;
	}
	r->heartbeat = heartbeat;
	return 0;
}

/* Value sets of one interval as texts for one call. */
struct bundle {
	struct buf text;
	size_t count, at[SETS_PER_CALL];
};

static int bundle_write(struct bundle *b, const char *path, struct err *e)
{
	const char *argv[SETS_PER_CALL];
	int rc;

	if (b->count == 0)
		return 0;
	for (size_t i = 0; i < b->count; i++)
		argv[i] = (const char *)b->text.data + b->at[i];
	rrd_clear_error();
	rc = rrd_updatex_r(path, NULL, RRD_SKIP_PAST_UPDATES, (int)b->count, argv);
	if (rc != 0)
		text_of_librrd(e, path);
	b->count = 0;
	buf_clear(&b->text);
	return rc != 0 ? -1 : 0;
}

static void bundle_add(struct bundle *b, const struct series_set *set, const uint8_t *decimals)
{
	b->at[b->count++] = b->text.len;
	b->text.len += 1 + series_set_text(set, decimals, (char *)buf_reserve(&b->text, SERIES_SET_TEXT));
}

/* Writes a queue into the file that is open as r and found by librrd at path. */
static int write_queue(const char *path, struct series_rrd *r, const struct series_file *f, struct err *e)
{
	struct series_queue_walk w = series_queue_walk(&f->queue, f->layout->columns);
	struct bundle b = {.count = 0};
	struct series_set set;
	int rc = 0;

	while (rc == 0 && series_queue_next(&w, &set)) {
		uint32_t heartbeat = SERIES_HEARTBEAT * set.interval_s;

		if (set.time <= r->last)
			continue;
		if (heartbeat != r->heartbeat || b.count == SETS_PER_CALL)
			rc = bundle_write(&b, path, e);
		if (rc == 0 && heartbeat != r->heartbeat)
			rc = set_heartbeat(r, heartbeat, e);
		bundle_add(&b, &set, f->layout->decimals);
	}
	if (rc == 0)
		rc = bundle_write(&b, path, e);
	buf_fini(&b.text);
	return rc;
}

int series_rrd_update(const char *path, struct series_rrd *r, const struct series_file *f, struct err *e)
{
	return write_queue(path, r, f, e);
}

/* ---- reading */

/* A file as it is, and as it would be with the queue written: a header and the rows that came with it, in memory. */
struct picture {
	struct series_rrd file;
	struct buf head; /* with the queue */
	int memory;      /* descriptor, -1: nothing was queued */
};

/* librrd itself writes the queue, into a memory file that holds the header and no rows yet. */
static int picture_lay_queue(struct picture *p, const struct series_file *f, struct err *e)
{
	struct series_rrd copy = p->file;
	char path[32];
	off_t size = lseek(p->file.fd, 0, SEEK_END);

	p->memory = memfd_create("series", MFD_CLOEXEC);
	if (p->memory < 0 || ftruncate(p->memory, size) < 0)
		return err_errno(e, "cannot make a memory file");
	copy.fd = p->memory;
	snprintf(path, sizeof path, "/proc/self/fd/%d", p->memory);
	if (write_at(p->memory, p->file.head.data, p->file.head.len, 0, e) < 0 ||
		write_queue(path, &copy, f, e) < 0)
		return -1;
	return read_at(p->memory, p->head.data, p->head.len, 0, e);
}

static int picture_open(struct picture *p, const char *path, const struct series_file *f, struct err *e)
{
	enum series_rrd_found found = series_rrd_open(path, f->layout->columns, &p->file, e);

	p->memory = -1;
	if (found == SERIES_RRD_ABSENT)
		return err_set(e, "there is no file yet");
	if (found != SERIES_RRD_GOOD)
		return -1;
	buf_add(&p->head, p->file.head.data, p->file.head.len);
	return f->queue.count > 0 ? picture_lay_queue(p, f, e) : 0;
}

static void picture_close(struct picture *p)
{
	series_rrd_close(&p->file);
	buf_fini(&p->head);
	if (p->memory >= 0)
		close(p->memory);
}

/* A ring: row `newest` ends at `end`; `fresh` rows up to it are in memory only. */
struct ring {
	uint64_t at; /* byte of its row 0 */
	uint64_t rows, newest, fresh;
	int64_t width, end;
};

static struct ring ring_at(const struct picture *p, size_t index)
{
	const struct head h = head_of(p->head.data), old = head_of(p->file.head.data);
	struct ring r = {.at = h.len, .rows = h.ring[index].row_cnt, .newest = h.pointer[index].cur_row,
		.width = (int64_t)(h.ring[index].pdp_cnt * h.stat->pdp_step)};
	int64_t old_end = old.live->last_up - old.live->last_up % r.width;

	for (size_t i = 0; i < index; i++)
		r.at += h.ring[i].row_cnt * h.stat->ds_cnt * CELL;
	r.end = h.live->last_up - h.live->last_up % r.width;
	r.fresh = (uint64_t)((r.end - old_end) / r.width);
	if (r.fresh > r.rows)
		r.fresh = r.rows;
	return r;
}

static int find_ring(const struct picture *p, const char *function, uint64_t pdps)
{
	const struct head h = head_of(p->head.data);

	for (size_t i = 0; i < h.stat->rra_cnt; i++) {
		if (h.ring[i].pdp_cnt == pdps && strcmp(h.ring[i].cf_nam, function) == 0)
			return (int)i;
	}
	return -1;
}

/* Is ring a (an average) a better answer than b? */
static bool is_better(const struct ring *a, const struct ring *b, int64_t from, int64_t span, uint32_t points)
{
	int64_t a_from = a->end - (int64_t)a->rows * a->width, b_from = b->end - (int64_t)b->rows * b->width;
	bool a_enough = span / a->width >= points, b_enough = span / b->width >= points;

	if (a_from > from || b_from > from)
		return a_from < b_from;
	if (a_enough != b_enough)
		return a_enough;
	return a_enough ? a->width > b->width : a->width < b->width;
}

static int pick_ring(const struct picture *p, int64_t from, int64_t to, uint32_t points)
{
	const struct head h = head_of(p->head.data);
	struct ring best = {0};
	int at = -1;

	for (size_t i = 0; i < h.stat->rra_cnt; i++) {
		struct ring r = ring_at(p, i);

		if (strcmp(h.ring[i].cf_nam, "AVERAGE") != 0)
			continue;
		if (at < 0 || is_better(&r, &best, from, to - from, points)) {
			best = r;
			at = (int)i;
		}
	}
	return at;
}

/* Adds a number to what stands in a cell of `function`; *count is how many stand there. */
static void merge(double *cell, double number, uint32_t count, enum series_rrd_function function)
{
	switch (function) {
	case SERIES_RRD_AVERAGE:
	case SERIES_RRD_FUNCTIONS:
		*cell = count == 0 ? number : *cell + (number - *cell) / (count + 1);
		break;
	case SERIES_RRD_MIN:
		*cell = count == 0 || number < *cell ? number : *cell;
		break;
	case SERIES_RRD_MAX:
		*cell = count == 0 || number > *cell ? number : *cell;
		break;
	}
}

/* Rows of a ring that stand in one piece in one of the two files. */
struct stretch {
	uint64_t age, count; /* the first one was begun age * width before the end of the ring */
};

static struct stretch stretch_from(const struct ring *r, uint64_t age)
{
	uint64_t index = (r->newest + r->rows - (age - 1)) % r->rows, count = age;

	if (count > r->rows - index)
		count = r->rows - index;
	if (age > r->fresh && count > age - r->fresh)
		count = age - r->fresh;
	return (struct stretch){age, count < ROWS_PER_READ ? count : ROWS_PER_READ};
}

static void merge_row(struct series_rrd_values *v, enum series_rrd_function function, uint32_t *known,
	int64_t at, const double *row)
{
	if (at < 0 || (uint64_t)at >= v->rows)
		return;
	for (size_t c = 0; c < v->columns; c++) {
		size_t cell = c * v->rows + (size_t)at;

		if (!isnan(row[c]))
			merge(&v->numbers[function][cell], row[c], known[cell]++, function);
	}
}

/* Reads the rows of a ring that end after v->start into the columns of one function. */
static int read_ring(const struct picture *p, const struct ring *r, struct series_rrd_values *v,
	enum series_rrd_function function, struct err *e)
{
	size_t row_bytes = v->columns * CELL;
	uint32_t *known = mem_array(v->rows * v->columns, sizeof *known);
	double *rows = mem_array(ROWS_PER_READ, row_bytes);
	int64_t back = (r->end - v->start + r->width - 1) / r->width;
	uint64_t age = back < 0 ? 0 : (uint64_t)back < r->rows ? (uint64_t)back : r->rows;
	struct stretch s;
	int rc = 0;

	for (; age > 0 && rc == 0; age -= s.count) {
		s = stretch_from(r, age);
		rc = read_at(age <= r->fresh ? p->memory : p->file.fd, rows, s.count * row_bytes,
			r->at + (r->newest + r->rows - (age - 1)) % r->rows * row_bytes, e);
		for (uint64_t i = 0; i < s.count && rc == 0; i++)
			merge_row(v, function, known,
				(r->end - (int64_t)(age - i) * r->width - v->start) / v->step,
				rows + i * v->columns);
	}
	free(rows);
	free(known);
	return rc;
}

/* The frame of the answer: start, step and rows over [from, to) so that there are at most `points`. */
static void frame(struct series_rrd_values *v, int64_t width, int64_t from, int64_t to, uint32_t points)
{
	int64_t factor = (to - from + width * points - 1) / (width * points);

	for (factor = factor > 0 ? factor : 1;; factor++) {
		v->step = width * factor;
		v->start = from - from % v->step;
		v->rows = (size_t)((to - v->start + v->step - 1) / v->step);
		if (v->rows <= points || points <= 1)
			return;
	}
}

static double *unknown_numbers(size_t count)
{
	double *n = mem_array(count, sizeof *n);

	for (size_t i = 0; i < count; i++)
		n[i] = NAN;
	return n;
}

static int read_picture(const struct picture *p, int64_t from, int64_t to, uint32_t points,
	struct series_rrd_values *v, struct err *e)
{
	static const char *const functions[SERIES_RRD_FUNCTIONS] = {"AVERAGE", "MIN", "MAX"};
	int average = pick_ring(p, from, to, points), rc = 0;
	const struct head h = head_of(p->head.data);
	struct ring ring;

	if (average < 0)
		return err_set(e, "no ring of averages");
	ring = ring_at(p, (size_t)average);
	frame(v, ring.width, from, to, points);
	v->columns = p->file.columns;
	for (int f = 0; f < SERIES_RRD_FUNCTIONS && rc == 0; f++) {
		int at = find_ring(p, functions[f], h.ring[average].pdp_cnt);

		if (at < 0 && v->step == ring.width)
			continue;
		ring = ring_at(p, (size_t)(at >= 0 ? at : average));
		v->numbers[f] = unknown_numbers(v->rows * v->columns);
		rc = read_ring(p, &ring, v, (enum series_rrd_function)f, e);
	}
	return rc;
}

int series_rrd_read(const char *path, const struct series_file *f, int64_t from, int64_t to,
	uint32_t points, struct series_rrd_values *v, struct err *e)
{
	struct picture p = {.file = {.fd = -1}};
	int rc;

	*v = (struct series_rrd_values){0};
	rc = picture_open(&p, path, f, e);
	if (rc == 0)
		rc = read_picture(&p, from, to, points, v, e);
	picture_close(&p);
	if (rc < 0)
		series_rrd_values_fini(v);
	return rc;
}

void series_rrd_values_fini(struct series_rrd_values *v)
{
	for (int f = 0; f < SERIES_RRD_FUNCTIONS; f++)
		free(v->numbers[f]);
	*v = (struct series_rrd_values){0};
}

/* ---- what an interrupted create leaves: <name>XXXXXX in the same folder */

void series_rrd_remove_leftovers(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	char *folder = mem_format("%.*s", (int)(name - 1 - path), path);
	size_t len = strlen(name);
	DIR *d = opendir(folder);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (strncmp(entry->d_name, name, len) == 0 && strlen(entry->d_name) == len + 6 &&
			strchr(entry->d_name + len, '.') == NULL)
			unlinkat(dirfd(d), entry->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
	free(folder);
}

#include "probes/host/look.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"

#define LOOK_KEPT (INT64_C(7200) * NS_PER_S) /* the longest interval is an hour */
#define SWEEP (INT64_C(600) * NS_PER_S)
#define BETWEEN_LOOKS (200 * NS_PER_MS)
#define READ_STEP 16384

struct look {
	struct looks *all;
	const struct look_kind *kind;
	struct run *run; /* NULL: what it sees is only remembered */
	const void *options;
	struct event *timer; /* of a one-shot run, between its looks; of one that goes on */
	struct run *pending; /* whose look goes on; NULL: none does */
	bool is_once, goes_on;
	char *root;
	int root_fd;
	int64_t last, used, began; /* mono: of the last look that saw something, of the last one, of this one */
	double elapsed;
	uint32_t number;
	char down[SAMPLE_TEXT_MAX + 1], note[SAMPLE_TEXT_MAX + 1];
	void *memory;
};

/* Of one probe type. */
struct looks {
	struct map *checks; /* of struct look */
	struct buf text;
	int64_t swept;
};

/* ---- memory of checks */

static struct look *look_new(struct looks *all, const struct look_kind *kind, const char *root)
{
	struct look *l = mem_alloc(sizeof *l);

	l->all = all;
	l->kind = kind;
	l->root = mem_strdup(root);
	l->root_fd = -1;
	l->memory = mem_alloc(kind->size + 1);
	return l;
}

static void look_free(void *value)
{
	struct look *l = value;

	if (l->kind->forget != NULL)
		l->kind->forget(l->memory);
	if (l->timer != NULL)
		event_free(l->timer);
	if (l->root_fd >= 0)
		close(l->root_fd);
	free(l->memory);
	free(l->root);
	free(l);
}

/* Checks that are no more tell nobody: what they left goes after a while. */
static void sweep(struct looks *all, int64_t now)
{
	if (now - all->swept < SWEEP)
		return;
	all->swept = now;
	for (size_t i = map_count(all->checks); i-- > 0;) {
		const char *check;
		struct look *l = map_at(all->checks, i, &check);

		if (now - l->used < LOOK_KEPT || l->pending != NULL)
			continue;
		map_remove(all->checks, check);
		look_free(l);
	}
}

/* All options of the types begin alike. */
static const char *root_of(const struct run *r)
{
	return ((const struct host_options *)run_options(r))->root;
}

static struct look *look_of_check(struct looks *all, const char *check, const struct look_kind *kind,
	const char *root)
{
	struct look *l = map_find(all->checks, check);

	if (l != NULL && strcmp(l->root, root) == 0)
		return l;
	if (l != NULL) {
		map_remove(all->checks, check);
		look_free(l);
	}
	l = look_new(all, kind, root);
	map_set(all->checks, check, l);
	return l;
}

/* ---- looking */

static int begin(struct look *l, struct err *e)
{
	l->used = l->began = clock_mono();
	if (l->root_fd < 0)
		l->root_fd = open(l->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->root_fd < 0)
		return err_errno(e, "%.120s", l->root);
	l->elapsed = l->number > 0 ? (double)(l->began - l->last) / NS_PER_S : 0;
	l->down[0] = l->note[0] = '\0';
	return 0;
}

/* A look, or a part of one. One that sees nothing leaves the time before as it was: rates then go over the whole time. */
static int look_once(struct look *l, struct err *e)
{
	int status;

	if (!l->goes_on && begin(l, e) < 0)
		return -1;
	l->number++;
	status = l->kind->look(l, e);
	l->goes_on = status == LOOK_GOES_ON;
	if (status == 0)
		l->last = l->began;
	else
		l->number--;
	return status;
}

/* All parts at once. */
static int look_whole(struct look *l, struct err *e)
{
	int status;

	while ((status = look_once(l, e)) == LOOK_GOES_ON)
		;
	return status;
}

static void on_turn(evutil_socket_t fd, short what, void *ctx);

/* It is our own fault. */
static void at_turn_deadline(void *state, struct run *r)
{
	(void)state;
	run_unknown(r, "the time-out is too short for all that there is to look at");
}

static void go_on(struct look *l, struct run *r)
{
	const struct timeval now = {0, 0};

	run_set_private(r, l);
	run_on_deadline(r, at_turn_deadline);
	l->pending = r;
	if (l->timer == NULL)
		l->timer = evtimer_new(run_env(r)->base, on_turn, l);
	assert(l->timer != NULL);
	evtimer_add(l->timer, &now);
}

/* Looks and tells; the run has ended then, unless the look goes on. */
static void tell(struct look *l, struct run *r)
{
	struct err e;
	int status;

	l->run = r;
	l->options = run_options(r);
	status = l->is_once ? look_whole(l, &e) : look_once(l, &e);
	l->run = NULL;
	if (status == LOOK_GOES_ON)
		go_on(l, r);
	else if (status < 0)
		run_unknown(r, "%s", e.text);
	else if (l->down[0] != '\0')
		run_down(r, "%s", l->down);
	else if (l->note[0] != '\0')
		run_up_noting(r, "%s", l->note);
	else
		run_up(r);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct look *l = ctx;
	struct run *r = l->pending;

	(void)fd, (void)what;
	l->pending = NULL;
	run_set_private(r, NULL);
	tell(l, r);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct run *r = ctx;
	struct look *l = run_private(r);

	(void)fd, (void)what;
	run_set_private(r, NULL);
	tell(l, r);
	look_free(l);
}

/* Between the looks of a one-shot run: it is our own fault. */
static void at_deadline(void *state, struct run *r)
{
	(void)state;
	run_unknown(r, "the time-out is too short for two looks");
}

/* Without a check nothing is remembered from before: a first look, and a while later the one that is told. */
static void start_one_shot(struct looks *all, struct run *r, const struct look_kind *kind)
{
	const struct timeval wait = {0, BETWEEN_LOOKS / NS_PER_US};
	struct look *l = look_new(all, kind, root_of(r));
	struct err e;

	l->is_once = true;
	l->options = run_options(r);
	if (!kind->has_rates || look_whole(l, &e) < 0) {
		tell(l, r);
		look_free(l);
		return;
	}
	run_set_private(r, l);
	run_on_deadline(r, at_deadline);
	l->timer = evtimer_new(run_env(r)->base, on_timer, r);
	assert(l->timer != NULL);
	evtimer_add(l->timer, &wait);
}

void look_start(void *state, struct run *r, const struct look_kind *kind)
{
	struct looks *all = state;
	struct look *before;

	if (*run_check(r) == '\0') {
		start_one_shot(all, r, kind);
		return;
	}
	before = map_find(all->checks, run_check(r));
	if (before != NULL && before->pending != NULL) {
		run_unknown(r, "the look before is not done yet");
		return;
	}
	sweep(all, run_started(r));
	tell(look_of_check(all, run_check(r), kind, root_of(r)), r);
}

void look_cancel(void *state, struct run *r)
{
	struct look *l = run_private(r);

	(void)state;
	if (l == NULL)
		return;
	run_set_private(r, NULL);
	if (l->is_once) {
		look_free(l);
		return;
	}
	event_del(l->timer);
	l->pending = NULL;
	l->goes_on = false; /* the next one begins anew */
}

int look_open(const struct probe_env *env, void **state, struct err *e)
{
	struct looks *all = mem_alloc(sizeof *all);

	(void)env, (void)e;
	all->checks = map_new();
	all->swept = clock_mono();
	*state = all;
	return 0;
}

void look_close(void *state)
{
	struct looks *all = state;

	map_free(all->checks, look_free);
	buf_fini(&all->text);
	free(all);
}

/* ---- what a kind may ask */

void *look_memory(struct look *l)
{
	return l->memory;
}

double look_elapsed(const struct look *l)
{
	return l->elapsed;
}

bool look_begins(const struct look *l)
{
	return !l->goes_on;
}

uint32_t look_number(const struct look *l)
{
	return l->number;
}

int look_root(const struct look *l)
{
	return l->root_fd;
}

bool look_root_is_moved(const struct look *l)
{
	return strcmp(l->root, "/") != 0;
}

/* All of it, from its beginning. */
static int read_whole(int fd, struct buf *out)
{
	buf_clear(out);
	for (;;) {
		uint8_t *to = buf_reserve(out, READ_STEP);
		ssize_t n = pread(fd, to, READ_STEP, (off_t)out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		out->len += (size_t)n;
		if (out->len > LOOK_TEXT_MAX) {
			errno = EFBIG;
			return -1;
		}
	}
}

static int cannot_read(const struct look *l, const char *path, struct err *e)
{
	return err_errno(e, "%.100s%s%s", l->root, l->root[strlen(l->root) - 1] == '/' ? "" : "/", path);
}

int look_read_once(struct look *l, const char *path, struct scan *text, struct err *e)
{
	int fd = openat(l->root_fd, path, O_RDONLY | O_CLOEXEC), status;

	if (fd < 0)
		return cannot_read(l, path, e);
	status = read_whole(fd, &l->all->text);
	if (status < 0)
		status = cannot_read(l, path, e);
	close(fd);
	*text = scan_over(l->all->text.data, l->all->text.len);
	return status;
}

/* Files that the kernel makes at each read; others may be replaced by a new one of their name. */
static bool may_stay_open(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC);
}

static int open_or_kept(struct look *l, const struct look_file *f, const char *path)
{
	return f->fd_plus_one > 0 ? f->fd_plus_one - 1 : openat(l->root_fd, path, O_RDONLY | O_CLOEXEC);
}

int look_read(struct look *l, struct look_file *f, const char *path, struct scan *text, struct err *e)
{
	bool was_open = f->fd_plus_one > 0;
	int fd = open_or_kept(l, f, path), status;

	if (fd < 0)
		return cannot_read(l, path, e);
	status = read_whole(fd, &l->all->text);
	if (status < 0)
		status = cannot_read(l, path, e);
	f->fd_plus_one = fd + 1;
	if (status < 0 || (!was_open && !may_stay_open(fd)))
		look_file_close(f);
	*text = scan_over(l->all->text.data, l->all->text.len);
	return status;
}

/* A kept one whose thing is gone says ENODEV, though another thing of its name may be there. */
int look_read_short(struct look *l, struct look_file *f, const char *path, char *out, size_t room)
{
	struct look_file none = {0}, *file = f != NULL ? f : &none;
	bool was_open = file->fd_plus_one > 0;
	int fd = open_or_kept(l, file, path), error;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = pread(fd, out, room - 1, 0);
	error = errno;
	file->fd_plus_one = fd + 1;
	if (f == NULL || (n < 0 && error == ENODEV) || (!was_open && !may_stay_open(fd)))
		look_file_close(file);
	if (n < 0 && error == ENODEV && was_open)
		return look_read_short(l, f, path, out, room);
	errno = error;
	if (n < 0)
		return -1;
	if (n > 0 && out[n - 1] == '\n')
		n--;
	out[n] = '\0';
	return (int)n;
}

void look_file_close(struct look_file *f)
{
	if (f->fd_plus_one > 0)
		close(f->fd_plus_one - 1);
	f->fd_plus_one = 0;
}

/* ---- counters */

static bool has_wrapped(uint64_t before, uint64_t now)
{
	return before <= UINT32_MAX && before > UINT32_MAX / 4 * 3 && now < UINT32_MAX / 4;
}

bool look_moved(const uint64_t *before, const uint64_t *now, size_t count, uint64_t *moved)
{
	size_t fell = 0, went_on = 0;

	for (size_t i = 0; i < count; i++) {
		if (now[i] < before[i]) {
			fell++;
			if (!has_wrapped(before[i], now[i]))
				return false;
			moved[i] = now[i] + (UINT64_C(1) << 32) - before[i];
		} else {
			went_on += before[i] > 0;
			moved[i] = now[i] - before[i];
		}
	}
	return fell == 0 || (fell == 1 && went_on > 0);
}

double look_rate(const struct look *l, double moved)
{
	return l->elapsed > 0 ? moved / l->elapsed : (double)NAN;
}

/* ---- what it tells */

const void *look_options(const struct look *l)
{
	return l->options;
}

bool look_is_told(const struct look *l)
{
	return l->run != NULL;
}

const struct probe_env *look_env(const struct look *l)
{
	return run_env(l->run);
}

void look_value(struct look *l, uint32_t metric, double number)
{
	if (l->run != NULL)
		run_value(l->run, metric, number);
}

void look_down(struct look *l, const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	vsnprintf(l->down, sizeof l->down, why, ap);
	va_end(ap);
}

void look_note(struct look *l, const char *what, ...)
{
	va_list ap;

	va_start(ap, what);
	vsnprintf(l->note, sizeof l->note, what, ap);
	va_end(ap);
}

struct run_part *look_part(struct look *l, const char *label)
{
	return l->run != NULL ? run_add_part(l->run, label) : NULL;
}

void look_part_value(struct run_part *p, uint32_t metric, double number)
{
	if (p != NULL)
		run_part_value(p, metric, number);
}

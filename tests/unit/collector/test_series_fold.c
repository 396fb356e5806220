#include "collector/series_fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "collector/channel.h"
#include "collector/series_catalogue.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/wire.h"
#include "probes/catalog_tcp.h"

#define START 1700000000
#define ROWS_MAX 4000

/* A view that folds what it is told, and what it has told of overflow. */
struct world {
	struct series_fold fold;
	uint64_t seq;
	int overflows;
};

static void on_overflow(void *ctx, const char *check, const char *vantage, const char *why)
{
	struct world *w = ctx;

	assert_non_null(check);
	assert_string_equal(vantage, "city");
	assert_string_equal(why, "max_parts");
	w->overflows++;
}

static void world_init(struct world *w)
{
	*w = (struct world){.fold = {.catalogue = series_catalogue_new(2), .on_overflow = on_overflow}};
	w->fold.ctx = w;
}

static void world_fini(struct world *w)
{
	series_catalogue_free(w->fold.catalogue);
}

static struct result row(const char *check, int64_t second, enum outcome outcome)
{
	return (struct result){.check = check, .type = "tcp", .interval_s = 10, .family = FAMILY_V4,
		.outcome = outcome, .part = "", .address = "192.0.2.1",
		.reason = outcome == OUTCOME_UP ? "" : "refused", .boot = 7, .mono = second * NS_PER_S,
		.count = 2, .values = {{TCP_CONNECT, (double)second / 1000}, {TCP_TOTAL, 0.5}}};
}

static void encode_body(const struct result *rows, size_t count, bool is_now, struct buf *body)
{
	struct wire_batch_head head = {.agent = "city", .epoch = 9, .first = 2, .last = 1 + count, .sent_boot = 7};
	struct wire_packer *p = wire_packer_new(WIRE_BODY_MAX);
	struct buf payload = {0};
	struct err e;

	for (size_t i = 0; i < count; i++) {
		buf_clear(&payload);
		wire_result_encode(&rows[i], catalog_decimals, &payload);
		assert_int_equal(wire_packer_add(p, i + 2, ENTRY_RESULT, payload.data, payload.len, &e), 1);
	}
	if (is_now)
		wire_now_encode(p, &head, body);
	else
		wire_packer_finish(p, &head, body);
	wire_packer_free(p);
	buf_fini(&payload);
}

/* Folds one entry around these rows, received `received` seconds after START, with changes to the envelope by v. */
static void tell_envelope(struct world *w, const struct result *rows, size_t count, bool is_now,
	struct wire_envelope v, int64_t received)
{
	struct buf body = {0}, payload = {0};
	struct journal_entry entry = {.kind = is_now ? ENTRY_NOW : ENTRY_BATCH};
	struct position before = {1, w->seq};
	struct err e;

	encode_body(rows, count, is_now, &body);
	v.agent = "city";
	v.offset = START * NS_PER_S;
	v.received_real = (START + received) * NS_PER_S;
	v.body = body.data;
	v.body_len = body.len;
	wire_envelope_encode(&v, &payload);
	entry.at = (struct position){1, ++w->seq};
	entry.payload = payload.data;
	entry.len = payload.len;
	assert_int_equal(series_fold_entry(&w->fold, &entry, before, false, 0, &e), 0);
	buf_fini(&body);
	buf_fini(&payload);
}

static void tell(struct world *w, const struct result *rows, size_t count, int64_t received)
{
	tell_envelope(w, rows, count, false, (struct wire_envelope){0}, received);
}

static void tell_one(struct world *w, struct result r)
{
	tell(w, &r, 1, r.mono / NS_PER_S);
}

static struct series *find(struct world *w, const char *check)
{
	return series_catalogue_find(w->fold.catalogue, check, "city", FAMILY_V4, "");
}

/* The queue of a file as text, one set a line. */
static char *queue_text(const struct series_file *f, struct buf *out)
{
	struct series_queue_walk walk = series_queue_walk(&f->queue, f->layout->columns);
	struct series_set set;
	char text[SERIES_SET_TEXT];

	while (series_queue_next(&walk, &set)) {
		series_set_text(&set, f->layout->decimals, text);
		buf_add_format(out, "%lld%s\n", (long long)set.time - START, strchr(text, ':'));
	}
	return (char *)(uintptr_t)buf_text(out);
}

static void assert_queue(struct world *w, const char *check, const char *wanted)
{
	struct buf text = {0};

	assert_string_equal(queue_text(&find(w, check)->file, &text), wanted);
	buf_fini(&text);
}

static void a_result_gives_up_and_its_values_at_its_second(void **state)
{
	struct world w;
	struct result r = row("web", 20, OUTCOME_DOWN);

	(void)state;
	world_init(&w);
	tell_one(&w, row("web", 10, OUTCOME_UP));
	r.mono += 999 * NS_PER_MS;
	r.count = 1; /* total was not measured */
	tell_one(&w, r);
	tell_one(&w, row("web", 30, OUTCOME_UNKNOWN));
	assert_queue(&w, "web", "10:1:0.010000:0.500000\n20:0:0.020000:U\n30:U:0.030000:0.500000\n");
	assert_int_equal(w.fold.counts.sets, 3);
	assert_int_equal(find(&w, "web")->file.before.seq, 0);
	world_fini(&w);
}

static void late_and_repeated_stamps_are_counted_and_the_first_of_a_second_wins(void **state)
{
	struct world w;
	struct result again = row("web", 20, OUTCOME_DOWN);

	(void)state;
	world_init(&w);
	tell_one(&w, row("web", 20, OUTCOME_UP));
	again.mono += NS_PER_MS;
	tell_one(&w, again);
	tell_one(&w, row("web", 15, OUTCOME_UP));
	assert_queue(&w, "web", "20:1:0.020000:0.500000\n");
	assert_int_equal(w.fold.counts.late, 2);
	/* The outcome is the newest one all the same: it is a millisecond younger. */
	assert_int_equal(find(&w, "web")->latest.outcome, OUTCOME_DOWN);
	world_fini(&w);
}

static void stamps_after_receipt_and_before_1990_come_to_no_file(void **state)
{
	struct world w;
	struct result r[] = {row("web", 121, OUTCOME_UP), row("web", 120, OUTCOME_UP)};
	struct result old = row("web", 0, OUTCOME_UP);
	struct buf body = {0}, payload = {0};
	struct journal_entry entry = {.kind = ENTRY_BATCH, .at = {1, 99}};
	struct wire_envelope v = {.agent = "city", .offset = 5 * NS_PER_S, .received_real = START * NS_PER_S};
	struct err e;

	(void)state;
	world_init(&w);
	tell(&w, r, 2, 0);
	assert_queue(&w, "web", "120:1:0.120000:0.500000\n");
	assert_int_equal(w.fold.counts.future, 1);
	encode_body(&old, 1, false, &body);
	v.body = body.data;
	v.body_len = body.len;
	wire_envelope_encode(&v, &payload);
	entry.payload = payload.data;
	entry.len = payload.len;
	assert_int_equal(series_fold_entry(&w.fold, &entry, (struct position){1, 98}, false, 0, &e), 0);
	assert_int_equal(w.fold.counts.ancient, 1);
	buf_fini(&body);
	buf_fini(&payload);
	world_fini(&w);
}

/* Whatever clocks say, an honest result after them is taken. */
static void hundred_thousand_hostile_stamps_poison_nothing(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct result *r = calloc(ROWS_MAX, sizeof *r);
	struct world w;
	int64_t second = 1000;

	(void)state;
	printf("seed %u\n", seed);
	srand(seed);
	world_init(&w);
	for (int turn = 0; turn < 25; turn++) {
		for (int i = 0; i < ROWS_MAX; i++) {
			static const int64_t stamps[] = {0, 1, INT32_MAX, UINT32_MAX, 400000000};

			r[i] = row("web", 0, OUTCOME_DOWN);
			r[i].mono = stamps[rand() % 5] * NS_PER_S + rand();
			if (r[i].mono < (second + 121) * NS_PER_S) /* these would be taken */
				r[i].mono += INT32_MAX * NS_PER_S;
		}
		tell(&w, r, ROWS_MAX, second);
		second += 10;
		tell_one(&w, row("web", second, OUTCOME_UP));
	}
	assert_int_equal(w.fold.counts.future, 100000);
	assert_int_equal(find(&w, "web")->file.queue.count, 25);
	assert_int_equal(find(&w, "web")->file.last, START + second);
	free(r);
	world_fini(&w);
}

static void what_ingest_refused_or_could_not_date_is_left_out(void **state)
{
	static const uint32_t refused[] = {0, 7};
	struct world w;
	struct result r[] = {row("web", 10, OUTCOME_UP), row("dns", 10, OUTCOME_UP)};
	struct result one_shot = row("web", 40, OUTCOME_UP);

	(void)state;
	world_init(&w);
	tell_envelope(&w, r, 2, false, (struct wire_envelope){.refused = refused, .refused_count = 2}, 10);
	assert_null(find(&w, "web"));
	assert_queue(&w, "dns", "10:1:0.010000:0.500000\n");
	tell_envelope(&w, r, 2, false, (struct wire_envelope){.time_unknown = true}, 20);
	assert_int_equal(w.fold.counts.refused, 1);
	assert_int_equal(w.fold.counts.time_unknown, 2);
	one_shot.interval_s = 0;
	tell_one(&w, one_shot);
	assert_null(find(&w, "web"));
	assert_int_equal(w.fold.counts.one_shot, 1);
	world_fini(&w);
}

static void a_now_is_shown_until_its_result_comes_and_gives_no_value(void **state)
{
	struct world w;
	struct result now = row("web", 500, OUTCOME_DOWN), unheard = row("new", 500, OUTCOME_UP), backlog[2];
	struct series *s;

	(void)state;
	world_init(&w);
	tell_one(&w, row("web", 10, OUTCOME_UP));
	tell_envelope(&w, &now, 1, true, (struct wire_envelope){0}, 500);
	tell_envelope(&w, &unheard, 1, true, (struct wire_envelope){0}, 500);
	assert_null(find(&w, "new"));
	s = find(&w, "web");
	assert_queue(&w, "web", "10:1:0.010000:0.500000\n");
	assert_int_equal(s->provisional->outcome, OUTCOME_DOWN);
	assert_int_equal(s->provisional->since, (START + 500) * NS_PER_S);
	/* The backlog drains, oldest first; the now stays what is shown. */
	backlog[0] = row("web", 20, OUTCOME_UP);
	tell(&w, backlog, 1, 510);
	assert_int_equal(s->provisional->outcome, OUTCOME_DOWN);
	backlog[0] = row("web", 490, OUTCOME_DOWN);
	backlog[1] = row("web", 500, OUTCOME_DOWN);
	tell(&w, backlog, 2, 511);
	assert_null(s->provisional);
	assert_int_equal(s->latest.outcome, OUTCOME_DOWN);
	assert_int_equal(s->latest.since, (START + 490) * NS_PER_S);
	world_fini(&w);
}

static void since_is_the_first_result_in_a_row_with_that_outcome(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	tell_one(&w, row("web", 10, OUTCOME_UP));
	tell_one(&w, row("web", 20, OUTCOME_UP));
	assert_int_equal(find(&w, "web")->latest.since, (START + 10) * NS_PER_S);
	tell_one(&w, row("web", 30, OUTCOME_DOWN));
	tell_one(&w, row("web", 40, OUTCOME_DOWN));
	tell_one(&w, row("web", 5, OUTCOME_UP)); /* late: changes nothing */
	assert_int_equal(find(&w, "web")->latest.since, (START + 30) * NS_PER_S);
	assert_int_equal(find(&w, "web")->latest.measured, (START + 40) * NS_PER_S);
	assert_string_equal(find(&w, "web")->latest.reason, "refused");
	world_fini(&w);
}

/* Our own clock was eight hours ahead (as where it takes local time for UTC) and is put right. */
static void an_outcome_from_a_time_that_is_not_yet_gives_way(void **state)
{
	const int ahead = 8 * 3600;
	struct world w;
	struct result now = row("web", 30, OUTCOME_UP);
	struct series *s;

	(void)state;
	world_init(&w);
	tell_one(&w, row("web", ahead, OUTCOME_UP));
	tell_one(&w, row("web", ahead + 10, OUTCOME_UP));
	tell_one(&w, row("web", 20, OUTCOME_DOWN));
	s = find(&w, "web");
	assert_int_equal(s->latest.outcome, OUTCOME_DOWN);
	assert_int_equal(s->latest.since, (START + 20) * NS_PER_S);
	tell_envelope(&w, &now, 1, true, (struct wire_envelope){0}, 30);
	assert_int_equal(s->provisional->outcome, OUTCOME_UP);
	tell_one(&w, row("web", 30, OUTCOME_UP));
	assert_null(s->provisional);
	assert_int_equal(s->latest.since, (START + 30) * NS_PER_S);
	/* A Now gives way as well, and to a Now. */
	now.mono = ahead * NS_PER_S;
	tell_envelope(&w, &now, 1, true, (struct wire_envelope){0}, ahead);
	now.mono = 50 * NS_PER_S;
	tell_envelope(&w, &now, 1, true, (struct wire_envelope){0}, 50);
	assert_int_equal(s->provisional->measured, (START + 50) * NS_PER_S);
	/* No clock of an agent, and no way of two minutes, does that. */
	tell(&w, (struct result[]){row("web", 60, OUTCOME_UP)}, 1, 60);
	tell(&w, (struct result[]){row("web", 55, OUTCOME_DOWN)}, 1, 59);
	assert_int_equal(s->latest.outcome, OUTCOME_UP);
	world_fini(&w);
}

static void parts_get_numbers_in_order_and_too_many_are_told(void **state)
{
	static const char *const parts[] = {"eth0", "../../etc", "eth0", "eth2", ""};
	struct world w;
	const struct series *s;
	char path[SERIES_PATH_MAX];

	(void)state;
	world_init(&w);
	for (int i = 0; i < 5; i++) {
		struct result r = row("web", 10 + i, OUTCOME_UP);

		r.part = parts[i];
		tell_one(&w, r);
	}
	s = series_catalogue_find(w.fold.catalogue, "web", "city", FAMILY_V4, "../../etc");
	assert_string_equal(series_file_path(&s->file, path), "web/city/4.2.rrd");
	assert_string_equal(series_file_path(&find(&w, "web")->file, path), "web/city/4.rrd");
	assert_int_equal(series_catalogue_count(w.fold.catalogue), 3);
	assert_int_equal(w.overflows, 1);
	assert_int_equal(w.fold.counts.overflow, 1);
	world_fini(&w);
}

static void metrics_that_the_file_has_not_go_to_files_of_their_own(void **state)
{
	struct world w;
	struct result r = row("web", 10, OUTCOME_UP);
	struct series_file *f;
	struct buf text = {0};
	char path[SERIES_PATH_MAX], name[20];

	(void)state;
	world_init(&w);
	r.values[0].metric = 4711;
	tell_one(&w, r);
	assert_queue(&w, "web", "10:1:U:0.500000\n");
	f = find(&w, "web")->file.next;
	assert_string_equal(series_file_path(f, path), "web/city/4.m4711.rrd");
	assert_string_equal(series_file_column(f, 0, name), "m4711");
	assert_string_equal(queue_text(f, &text), "10:0.010000\n");
	buf_fini(&text);
	world_fini(&w);
}

static void series_go_on_under_a_new_id(void **state)
{
	struct world w;
	struct map *checks = map_new();
	char now[] = "portal";

	(void)state;
	world_init(&w);
	map_set(checks, "web", now);
	w.fold.checks = checks;
	tell_one(&w, row("web", 10, OUTCOME_UP));
	tell_one(&w, row("portal", 20, OUTCOME_UP));
	assert_null(find(&w, "web"));
	assert_queue(&w, "portal", "10:1:0.010000:0.500000\n20:1:0.020000:0.500000\n");
	map_free(checks, NULL);
	world_fini(&w);
}

static void an_entry_that_does_not_decode_is_counted_and_passed_over(void **state)
{
	static const uint8_t bytes[] = {0xff, 0xff, 0xff};
	struct journal_entry entry = {.kind = ENTRY_BATCH, .at = {1, 1}, .payload = bytes, .len = sizeof bytes};
	struct journal_entry other = {.kind = 200, .at = {1, 2}, .payload = bytes, .len = sizeof bytes};
	struct world w;
	struct err e;

	(void)state;
	world_init(&w);
	assert_int_equal(series_fold_entry(&w.fold, &entry, (struct position){0, 0}, false, 0, &e), -1);
	assert_int_equal(series_fold_entry(&w.fold, &other, (struct position){1, 1}, false, 0, &e), 0);
	assert_int_equal(w.fold.counts.undecodable, 1);
	assert_int_equal(w.fold.counts.entries, 2);
	world_fini(&w);
}

/* Entries that come again, after any of them were written, leave each file with just what it lacks. */
static void a_replay_over_files_that_hold_a_prefix_changes_nothing(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct world once, twice;
	struct result r[200];
	struct buf a = {0}, b = {0};

	(void)state;
	printf("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 200; i++) {
		r[i] = row(i % 3 == 0 ? "a" : "b", 1000 + rand() % 400, (enum outcome)(1 + rand() % 3));
		r[i].values[0].metric = rand() % 4 == 0 ? 4711 : TCP_CONNECT;
	}
	world_init(&once);
	tell(&once, r, 200, 2000);
	for (int written = 1000; written < 1400; written += 50) {
		world_init(&twice);
		tell(&twice, r, 200, 2000);
		/* What was written of "b" so far is gone from the queue; then all is told again. */
		series_catalogue_written(twice.fold.catalogue, &find(&twice, "b")->file, START + written);
		tell(&twice, r, 200, 2000);
		buf_clear(&a);
		buf_clear(&b);
		queue_text(&find(&once, "b")->file, &a);
		queue_text(&find(&twice, "b")->file, &b);
		/* The second is the tail of the first. */
		assert_true(b.len <= a.len && memcmp(a.data + a.len - b.len, b.data, b.len) == 0);
		assert_true(find(&twice, "b")->latest.measured == find(&once, "b")->latest.measured &&
			find(&twice, "b")->latest.since == find(&once, "b")->latest.since);
		buf_clear(&a);
		buf_clear(&b);
		queue_text(&find(&once, "a")->file, &a);
		assert_string_equal(buf_text(&a), queue_text(&find(&twice, "a")->file, &b));
		world_fini(&twice);
	}
	buf_fini(&a);
	buf_fini(&b);
	world_fini(&once);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_result_gives_up_and_its_values_at_its_second),
		cmocka_unit_test(late_and_repeated_stamps_are_counted_and_the_first_of_a_second_wins),
		cmocka_unit_test(stamps_after_receipt_and_before_1990_come_to_no_file),
		cmocka_unit_test(hundred_thousand_hostile_stamps_poison_nothing),
		cmocka_unit_test(what_ingest_refused_or_could_not_date_is_left_out),
		cmocka_unit_test(a_now_is_shown_until_its_result_comes_and_gives_no_value),
		cmocka_unit_test(since_is_the_first_result_in_a_row_with_that_outcome),
		cmocka_unit_test(an_outcome_from_a_time_that_is_not_yet_gives_way),
		cmocka_unit_test(parts_get_numbers_in_order_and_too_many_are_told),
		cmocka_unit_test(metrics_that_the_file_has_not_go_to_files_of_their_own),
		cmocka_unit_test(series_go_on_under_a_new_id),
		cmocka_unit_test(an_entry_that_does_not_decode_is_counted_and_passed_over),
		cmocka_unit_test(a_replay_over_files_that_hold_a_prefix_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

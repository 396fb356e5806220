/* The outbox as those who deliver read it, and the ledger of what they did. */
#include "collector/notice/deliveries.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "collector/judge/outbox.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define S NS_PER_S
#define NOW (INT64_C(1790298000) * S)

struct fixture {
	char folder[40];
	struct deliveries *d;
};

static int begin(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct err e;

	strcpy(f->folder, "/tmp/test-deliveries-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->d = deliveries_open(f->folder, &e);
	if (f->d == NULL)
		fail_msg("%s", e.text);
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;
	char *command = mem_format("rm -r '%s'", f->folder);

	deliveries_close(f->d);
	assert_int_equal(system(command), 0);
	free(command);
	free(f);
	return 0;
}

static struct incident_intent intent_of(uint64_t key, enum incident_intent_kind kind, uint64_t incident)
{
	return (struct incident_intent){.key = key, .kind = kind, .audience = "", .incident = incident, .subject = "system/a",
		.state = STATE_DOWN, .since = NOW - 60 * S, .at = NOW, .author = "", .text = "", .reason = "no answer"};
}

static uint64_t note(struct fixture *f, const struct incident_intent *in)
{
	uint64_t notice;
	struct err e;

	if (deliveries_note(f->d, in, "system/a system/b", NOW, &notice, &e) != 1)
		fail_msg("not new, or %s", e.text);
	return notice;
}

static uint64_t add(struct fixture *f, uint64_t notice, enum incident_intent_kind kind, uint64_t incident, const char *channel,
	const char *route)
{
	uint64_t id;
	struct err e;

	if (deliveries_add(f->d, &(struct delivery){.notice = notice, .incident = incident, .kind = kind, .audience = "", .route = route,
		.channel = channel, .created = NOW}, &id, &e) != 1)
		fail_msg("not added, or %s", e.text);
	return id;
}

static void finish(struct fixture *f, uint64_t id, enum delivery_state how, uint64_t into)
{
	struct err e;

	if (deliveries_end(f->d, id, how, into, NOW + S, "", &e) < 0)
		fail_msg("%s", e.text);
}

static void on_notice(void *ctx, const struct incident_intent *in, const char *affected)
{
	char **out = ctx;

	*out = mem_format("%llu %s %llu %s %s [%s] %zu", (unsigned long long)in->key, incident_intent_name(in->kind),
		(unsigned long long)in->incident, in->subject, in->reason, affected, in->items_count);
}

static void a_notice_is_kept_whole_and_known_again(void **state)
{
	struct fixture *f = *state;
	struct incident_intent in = intent_of(41, INTENT_PROBLEM, 9);
	uint64_t notice = note(f, &in), again;
	char *seen = NULL;
	struct err e;

	assert_int_equal(deliveries_note(f->d, &in, "", NOW, &again, &e), 0);
	assert_int_equal(again, notice);
	in.at += S; /* judgement began anew: the same key, another notice */
	assert_int_equal(deliveries_note(f->d, &in, "", NOW, &again, &e), 1);
	assert_int_not_equal(again, notice);
	assert_true(deliveries_read(f->d, notice, on_notice, &seen, &e));
	assert_string_equal(seen, "1 problem 9 system/a no answer [system/a system/b] 0");
	free(seen);
	assert_false(deliveries_read(f->d, 99, on_notice, &seen, &e));
}

static void digests_of_our_own_are_always_new(void **state)
{
	static const struct incident_item items[] = {{INTENT_PROBLEM, 3, 0, "system/a"}, {INTENT_CLOSE, 12, 0, "link/b c"}};
	struct fixture *f = *state;
	struct incident_intent in = intent_of(0, INTENT_DIGEST, 0);
	char *seen = NULL;
	struct err e;

	in.items = items;
	in.items_count = 2;
	assert_int_not_equal(note(f, &in), note(f, &in));
	assert_true(deliveries_read(f->d, 1, on_notice, &seen, &e));
	assert_string_equal(seen, "1 digest 0 system/a no answer [system/a system/b] 2");
	free(seen);
}

static void collect(void *ctx, const struct delivery *d)
{
	struct buf *out = ctx;

	buf_add_format(out, "%llu:%s:%u ", (unsigned long long)d->id, d->channel, d->tries);
}

static void one_delivery_to_a_channel_and_what_waits_is_found_again(void **state)
{
	struct fixture *f = *state;
	struct incident_intent in = intent_of(1, INTENT_PROBLEM, 9);
	uint64_t notice = note(f, &in), a = add(f, notice, INTENT_PROBLEM, 9, "a", "a"), b = add(f, notice, INTENT_PROBLEM, 9, "b", "b"), id;
	struct buf seen = {0};
	char *path;
	struct err e;

	assert_int_equal(deliveries_add(f->d, &(struct delivery){.notice = notice, .audience = "", .route = "x", .channel = "a"}, &id, &e), 0);
	assert_int_equal(id, a);
	assert_int_equal(deliveries_depart(f->d, a, NOW, &e), 0);
	assert_int_equal(deliveries_try(f->d, a, &(struct delivery_try){.took = S, .outcome = LETTER_AGAIN, .words = "status 500"}, &e), 0);
	finish(f, b, DELIVERY_TAKEN, 0);
	assert_int_equal(deliveries_move_cursor(f->d, 77, &e), 0);
	deliveries_close(f->d);
	f->d = deliveries_open(f->folder, &e);
	assert_non_null(f->d);
	assert_int_equal(deliveries_load(f->d, collect, &seen, &e), 0);
	assert_string_equal(buf_text(&seen), "1:a:1 ");
	assert_int_equal(deliveries_cursor(f->d, &id, &e), 0);
	assert_int_equal(id, 77);
	buf_fini(&seen);
	path = mem_format("%s/%s", f->folder, DELIVERIES_FILE);
	assert_int_equal(access(path, R_OK), 0);
	free(path);
}

static void what_is_not_committed_is_not_there(void **state)
{
	struct fixture *f = *state;
	struct incident_intent in = intent_of(1, INTENT_PROBLEM, 9);
	struct buf seen = {0};
	struct err e;

	assert_int_equal(deliveries_begin(f->d, &e), 0);
	add(f, note(f, &in), INTENT_PROBLEM, 9, "a", "a");
	assert_int_equal(deliveries_move_cursor(f->d, 1, &e), 0);
	deliveries_close(f->d);
	f->d = deliveries_open(f->folder, &e);
	assert_int_equal(deliveries_load(f->d, collect, &seen, &e), 0);
	assert_string_equal(buf_text(&seen), "");
	buf_fini(&seen);
}

static void the_end_follows_the_problem(void **state)
{
	const struct delivery close = {.id = 90, .incident = 9, .audience = "", .route = "a"};
	struct fixture *f = *state;
	struct incident_intent in = intent_of(1, INTENT_PROBLEM, 9);
	uint64_t notice = note(f, &in), first = add(f, notice, INTENT_PROBLEM, 9, "a", "a"), second;
	char channel[64];
	bool is_first;
	struct err e;

	assert_int_equal(deliveries_where(f->d, &close, channel, &e), 0);
	assert_string_equal(channel, "a");
	second = add(f, notice, INTENT_PROBLEM, 9, "b", "a");
	finish(f, first, DELIVERY_MOVED, second);
	finish(f, second, DELIVERY_TAKEN, 0);
	assert_int_equal(deliveries_where(f->d, &close, channel, &e), 0);
	assert_string_equal(channel, "b");
	assert_int_equal(deliveries_is_first(f->d, &close, &is_first, &e), 0);
	assert_false(is_first);
	finish(f, second, DELIVERY_JOINED, 90);
	assert_int_equal(deliveries_is_first(f->d, &close, &is_first, &e), 0);
	assert_true(is_first);
	finish(f, second, DELIVERY_FAILED, 0);
	assert_int_equal(deliveries_is_first(f->d, &close, &is_first, &e), 0);
	assert_true(is_first);
	assert_int_equal(deliveries_where(f->d, &close, channel, &e), 0);
	assert_string_equal(channel, "");
}

static void on_row(void *ctx, const struct delivery_row *r)
{
	buf_add_format(ctx, "%llu %s %s;", (unsigned long long)r->d.id, delivery_state_name(r->d.state), r->words);
}

static void assert_lists(struct fixture *f, struct deliveries_wish w, const char *want)
{
	struct buf seen = {0};
	struct err e;

	w.count = 10;
	assert_int_equal(deliveries_list(f->d, &w, on_row, &seen, &e), 0);
	assert_string_equal(buf_text(&seen), want);
	buf_fini(&seen);
}

static void people_see_what_came_of_it(void **state)
{
	struct fixture *f = *state;
	struct incident_intent in = intent_of(1, INTENT_PROBLEM, 9), other = intent_of(2, INTENT_PROBLEM, 10);
	uint64_t one = note(f, &in), two = note(f, &other), a = add(f, one, INTENT_PROBLEM, 9, "a", "a");
	struct err e;

	add(f, two, INTENT_PROBLEM, 10, "a", "a");
	assert_lists(f, (struct deliveries_wish){.incident = 0}, "2 waiting ;1 waiting ;");
	assert_lists(f, (struct deliveries_wish){.incident = 10}, "2 waiting ;");
	assert_lists(f, (struct deliveries_wish){.failed_only = true}, "");
	assert_int_equal(deliveries_depart(f->d, a, NOW, &e), 0);
	assert_int_equal(deliveries_try(f->d, a, &(struct delivery_try){.took = S, .outcome = LETTER_AGAIN, .words = "status 500"}, &e), 0);
	assert_lists(f, (struct deliveries_wish){.failed_only = true}, "1 waiting status 500;");
	assert_lists(f, (struct deliveries_wish){.unit = "jyj"}, "");
	assert_lists(f, (struct deliveries_wish){.unit = ""}, "2 waiting ;1 waiting status 500;");
	finish(f, a, DELIVERY_TAKEN, 0);
	assert_lists(f, (struct deliveries_wish){.incident = 9}, "1 taken status 500;");
	/* What waits stays, whatever its age. */
	assert_int_equal(deliveries_forget(f->d, NOW + S, &e), 0);
	assert_lists(f, (struct deliveries_wish){.incident = 0}, "2 waiting ;");
}

static void on_try(void *ctx, const struct delivery_try *t)
{
	struct buf *out = ctx;

	buf_add_format(out, "%lld %d %d %s;", (long long)((t->at - NOW) / S), t->is_under_way, (int)t->outcome, t->words);
}

static void assert_tries(struct fixture *f, uint64_t id, const char *want)
{
	struct buf seen = {0};
	struct err e;

	assert_int_equal(deliveries_tries(f->d, id, on_try, &seen, &e), 0);
	assert_string_equal(buf_text(&seen), want);
	buf_fini(&seen);
}

static void a_try_that_a_death_cut_off_is_known_and_counts(void **state)
{
	struct fixture *f = *state;
	struct incident_intent in = intent_of(1, INTENT_PROBLEM, 9);
	uint64_t a = add(f, note(f, &in), INTENT_PROBLEM, 9, "a", "a");
	struct buf seen = {0};
	struct err e;

	assert_int_equal(deliveries_depart(f->d, a, NOW, &e), 0);
	assert_tries(f, a, "0 1 1 ;");
	deliveries_close(f->d);
	f->d = deliveries_open(f->folder, &e);
	assert_int_equal(deliveries_load(f->d, collect, &seen, &e), 0);
	assert_string_equal(buf_text(&seen), "1:a:1 ");
	assert_tries(f, a, "0 0 1 cut off: it may have been taken;");
	assert_lists(f, (struct deliveries_wish){.failed_only = true}, "1 waiting cut off: it may have been taken;");
	assert_int_equal(deliveries_depart(f->d, a, NOW + S, &e), 0);
	assert_int_equal(deliveries_try(f->d, a, &(struct delivery_try){.took = S, .outcome = LETTER_TAKEN, .words = ""}, &e), 0);
	finish(f, a, DELIVERY_TAKEN, 0);
	assert_tries(f, a, "0 0 1 cut off: it may have been taken;1 0 0 ;");
	buf_fini(&seen);
}

static void an_error_says_where_and_which(void **state)
{
	struct fixture *f = *state;
	struct incident_intent in = intent_of(1, INTENT_PROBLEM, 9);
	char *want = mem_format("%s/%s: COMMIT: disk I/O error (778)", f->folder, DELIVERIES_FILE);
	struct rlimit before, none;
	struct err e;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(deliveries_begin(f->d, &e), 0);
	note(f, &in);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(deliveries_commit(f->d, &e), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_string_equal(e.text, want);
	free(want);
}

static void items_are_read_as_they_were_written(void **state)
{
	static const struct incident_item items[] = {{INTENT_PROBLEM, 3, 0, "system/a"}, {INTENT_MERGED, UINT64_MAX, UINT64_MAX - 1, "link/b"}};
	struct incident_intent in = {.items = items, .items_count = 2};
	struct outbox_items read;
	struct buf text = {0};

	(void)state;
	outbox_format_items(&in, &text);
	outbox_parse_items(buf_text(&text), &read);
	assert_int_equal(read.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(read.items[i].kind, items[i].kind);
		assert_true(read.items[i].incident == items[i].incident && read.items[i].other == items[i].other);
		assert_string_equal(read.items[i].subject, items[i].subject);
	}
	outbox_items_fini(&read);
	outbox_parse_items("problem 1\nnothing 2 x\n\nclose 4 system/y\nproblem 5 cut", &read);
	assert_int_equal(read.count, 1);
	assert_int_equal(read.items[0].incident, 4);
	outbox_items_fini(&read);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_notice_is_kept_whole_and_known_again, begin, end),
		cmocka_unit_test_setup_teardown(digests_of_our_own_are_always_new, begin, end),
		cmocka_unit_test_setup_teardown(one_delivery_to_a_channel_and_what_waits_is_found_again, begin, end),
		cmocka_unit_test_setup_teardown(what_is_not_committed_is_not_there, begin, end),
		cmocka_unit_test_setup_teardown(the_end_follows_the_problem, begin, end),
		cmocka_unit_test_setup_teardown(people_see_what_came_of_it, begin, end),
		cmocka_unit_test_setup_teardown(a_try_that_a_death_cut_off_is_known_and_counts, begin, end),
		cmocka_unit_test_setup_teardown(an_error_says_where_and_which, begin, end),
		cmocka_unit_test(items_are_read_as_they_were_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

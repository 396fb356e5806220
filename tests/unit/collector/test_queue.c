/* What is next on a channel, in virtual time. */
#include "collector/notice/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"

#define S NS_PER_S
#define MIDDLE 200 /* of chance: the back-off as it is written */

struct bench {
	struct queue *queue;
	struct queue_channel *channel;
	int64_t now;
	uint64_t id;
	struct queue_plan plan;
};

static void begin(struct bench *b, int64_t per_minute, int64_t fallback_after)
{
	*b = (struct bench){.queue = queue_new(), .now = 1000 * S};
	b->channel = queue_channel(b->queue, "c");
	queue_limit(b->channel, per_minute, fallback_after);
}

static void end(struct bench *b)
{
	queue_plan_fini(&b->plan);
	queue_free(b->queue);
}

static struct queue_item *put_to(struct bench *b, enum incident_intent_kind kind, uint64_t incident, const char *audience)
{
	return queue_put(b->channel, &(struct queue_item){.id = ++b->id, .notice = b->id, .incident = incident, .kind = kind,
		.audience = (char *)(uintptr_t)audience, .route = (char *)(uintptr_t)"c", .created = b->now});
}

static struct queue_item *put(struct bench *b, enum incident_intent_kind kind, uint64_t incident)
{
	return put_to(b, kind, incident, "");
}

static enum queue_step next(struct bench *b)
{
	queue_plan_fini(&b->plan);
	return queue_next(b->channel, b->now, &b->plan);
}

/* Sends what is next; its id. */
static uint64_t begin_next(struct bench *b)
{
	assert_int_equal(next(b), QUEUE_SEND);
	queue_began(b->plan.item, b->now);
	return b->plan.item->id;
}

static void finish(struct bench *b, enum letter_outcome outcome)
{
	struct queue_item *i = b->plan.item;

	queue_ended(i, outcome, b->now, MIDDLE);
	if (outcome == LETTER_TAKEN)
		queue_drop(i);
}

static void one_letter_at_a_time_in_order(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	put(&b, INTENT_PROBLEM, 2);
	assert_int_equal(begin_next(&b), 1);
	assert_int_equal(next(&b), QUEUE_WAIT);
	assert_true(b.plan.at == INT64_MAX);
	b.plan.item = NULL;
	end(&b);
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	put(&b, INTENT_PROBLEM, 2);
	begin_next(&b);
	finish(&b, LETTER_TAKEN);
	assert_int_equal(begin_next(&b), 2);
	finish(&b, LETTER_TAKEN);
	assert_int_equal(next(&b), QUEUE_WAIT);
	end(&b);
}

static void what_failed_comes_again_later_and_later(void **state)
{
	static const int waits[] = {5, 10, 20, 40, 80, 160, 300, 300, 300};
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
		begin_next(&b);
		finish(&b, LETTER_AGAIN);
		assert_int_equal(next(&b), QUEUE_WAIT);
		assert_int_equal(b.plan.at, b.now + waits[i] * S);
		b.now = b.plan.at - 1;
		assert_int_equal(next(&b), QUEUE_WAIT);
		b.now++;
	}
	begin_next(&b);
	finish(&b, LETTER_TAKEN);
	put(&b, INTENT_PROBLEM, 2);
	begin_next(&b);
	finish(&b, LETTER_AGAIN);
	next(&b);
	assert_int_equal(b.plan.at, b.now + 5 * S);
	end(&b);
}

static void chance_moves_it_a_fifth_each_way_and_no_more(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 12; n++) {
		int64_t middle = queue_backoff(n, MIDDLE);

		for (uint32_t c = 0; c < 1000; c++) {
			assert_true(queue_backoff(n, c) >= middle / 10 * 8);
			assert_true(queue_backoff(n, c) <= middle / 10 * 12);
		}
		assert_true(queue_backoff(n, 0) < queue_backoff(n, 400));
	}
	assert_true(queue_backoff(UINT32_MAX, 400) <= QUEUE_LONGEST / 10 * 12);
}

static void who_says_too_many_is_left_alone_for_a_minute(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	begin_next(&b);
	finish(&b, LETTER_SLOWER);
	assert_int_equal(next(&b), QUEUE_WAIT);
	assert_int_equal(b.plan.at, b.now + 60 * S);
	end(&b);
}

/* The end of an incident, while its beginning waits: one letter, which is the end. */
static void an_end_takes_along_what_waits_of_its_incident(void **state)
{
	struct queue_item *problem, *flapping, *close;
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	problem = put(&b, INTENT_PROBLEM, 1);
	put(&b, INTENT_PROBLEM, 2);
	put_to(&b, INTENT_PROBLEM, 1, "unit");
	flapping = put(&b, INTENT_FLAPPING, 1);
	close = put(&b, INTENT_CLOSE, 1);
	assert_int_equal(next(&b), QUEUE_MERGE);
	assert_ptr_equal(b.plan.item, close);
	assert_int_equal(b.plan.count, 2);
	assert_ptr_equal(b.plan.others[0], problem);
	assert_ptr_equal(b.plan.others[1], flapping);
	queue_drop(problem);
	queue_drop(flapping);
	assert_int_equal(begin_next(&b), 2);
	end(&b);
}

static void an_end_waits_for_its_beginning_that_is_on_its_way(void **state)
{
	struct bench b;
	struct queue_item *problem, *close;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	begin_next(&b);
	problem = b.plan.item;
	close = put(&b, INTENT_CLOSE, 1);
	assert_int_equal(next(&b), QUEUE_WAIT);
	queue_ended(problem, LETTER_TAKEN, b.now, MIDDLE);
	queue_drop(problem);
	assert_int_equal(begin_next(&b), close->id);
	finish(&b, LETTER_TAKEN);
	/* And when that did not come through, they go together. */
	put(&b, INTENT_PROBLEM, 3);
	begin_next(&b);
	problem = b.plan.item;
	close = put(&b, INTENT_CLOSE, 3);
	assert_int_equal(next(&b), QUEUE_WAIT);
	queue_ended(problem, LETTER_AGAIN, b.now, MIDDLE);
	assert_int_equal(next(&b), QUEUE_MERGE);
	assert_ptr_equal(b.plan.item, close);
	assert_ptr_equal(b.plan.others[0], problem);
	end(&b);
}

static void nothing_overtakes_its_incident_but_others_may(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	begin_next(&b);
	finish(&b, LETTER_AGAIN);
	put(&b, INTENT_ESCALATE, 1);
	put(&b, INTENT_PROBLEM, 2);
	b.plan.item = NULL;
	b.now += 4 * S;
	assert_int_equal(next(&b), QUEUE_WAIT); /* the channel rests */
	b.now += S;
	assert_int_equal(begin_next(&b), 3); /* it was tried least, and is of another */
	finish(&b, LETTER_TAKEN);
	assert_int_equal(begin_next(&b), 1);
	finish(&b, LETTER_AGAIN);
	b.now += 10 * S - 1;
	assert_int_equal(next(&b), QUEUE_WAIT);
	b.now++;
	assert_int_equal(begin_next(&b), 1);
	finish(&b, LETTER_TAKEN);
	assert_int_equal(begin_next(&b), 2);
	finish(&b, LETTER_TAKEN);
	end(&b);
}

static void the_last_of_a_minute_is_for_all_that_waits(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 5, 0);
	for (int i = 1; i <= 9; i++)
		put(&b, INTENT_PROBLEM, (uint64_t)i);
	for (int i = 1; i <= 4; i++) {
		assert_int_equal(begin_next(&b), i);
		finish(&b, LETTER_TAKEN);
	}
	put_to(&b, INTENT_PROBLEM, 5, "unit"); /* another reads its own alone */
	assert_int_equal(next(&b), QUEUE_DIGEST);
	assert_int_equal(b.plan.count, 5);
	while (b.plan.count > 0)
		queue_drop(b.plan.others[--b.plan.count]);
	queue_put(b.channel, &(struct queue_item){.id = ++b.id, .kind = INTENT_DIGEST, .audience = (char *)(uintptr_t)"",
		.route = (char *)(uintptr_t)"c", .is_part = true});
	assert_int_equal(begin_next(&b), 10);
	finish(&b, LETTER_TAKEN);
	assert_int_equal(next(&b), QUEUE_WAIT);
	assert_int_equal(b.plan.at, b.now + 60 * S);
	b.now += 60 * S;
	assert_int_equal(begin_next(&b), 11);
	finish(&b, LETTER_TAKEN);
	end(&b);
}

static void digests_that_wait_are_not_made_into_digests(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 1, 0);
	for (int i = 0; i < 3; i++)
		queue_put(b.channel, &(struct queue_item){.id = ++b.id, .kind = INTENT_DIGEST, .audience = (char *)(uintptr_t)"",
			.route = (char *)(uintptr_t)"c", .is_part = true});
	put(&b, INTENT_PROBLEM, 1);
	put(&b, INTENT_PROBLEM, 2);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(begin_next(&b), i);
		finish(&b, LETTER_TAKEN);
		b.now += 60 * S;
	}
	assert_int_equal(next(&b), QUEUE_DIGEST);
	assert_int_equal(b.plan.count, 2);
	end(&b);
}

static void a_digest_is_in_order_with_all_of_its_audience(void **state)
{
	struct queue_item *digest;
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_DIGEST, 0);
	begin_next(&b);
	finish(&b, LETTER_AGAIN);
	digest = b.plan.item;
	put(&b, INTENT_CLOSE, 7);
	put_to(&b, INTENT_CLOSE, 7, "unit");
	b.now += 5 * S;
	digest->due = b.now + 100 * S;
	assert_int_equal(begin_next(&b), 3);
	finish(&b, LETTER_TAKEN);
	assert_int_equal(next(&b), QUEUE_WAIT);
	assert_int_equal(b.plan.at, digest->due);
	end(&b);
}

static void what_is_refused_holds_up_nothing(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_DIGEST, 0);
	begin_next(&b);
	finish(&b, LETTER_REFUSED);
	put(&b, INTENT_PROBLEM, 7);
	assert_int_equal(begin_next(&b), 2);
	finish(&b, LETTER_TAKEN);
	b.now += 4 * S;
	assert_int_equal(next(&b), QUEUE_WAIT);
	b.now += S;
	assert_int_equal(begin_next(&b), 1);
	finish(&b, LETTER_REFUSED);
	end(&b);
}

/* However often: it waits longer and longer, and each of the others is told when it comes. */
static void a_letter_that_never_passes_is_not_the_rest_of_its_channel(void **state)
{
	struct queue_view v;
	struct bench b;

	(void)state;
	begin(&b, 20, 3);
	put(&b, INTENT_PROBLEM, 1);
	for (int i = 0; i < 20; i++) {
		begin_next(&b);
		finish(&b, LETTER_REFUSED);
		queue_view(b.channel, &v);
		assert_int_equal(v.failures, 1);
		put(&b, INTENT_PROBLEM, 2);
		begin_next(&b);
		finish(&b, LETTER_TAKEN);
		assert_int_equal(next(&b), QUEUE_WAIT);
		b.now = b.plan.at;
	}
	/* Nor is it what makes all of them move. */
	for (int i = 0; i < 4; i++) {
		begin_next(&b);
		finish(&b, LETTER_REFUSED);
		next(&b);
		b.now = b.plan.at;
	}
	queue_view(b.channel, &v);
	assert_int_equal(v.failures, 4); /* people are told, though */
	put(&b, INTENT_PROBLEM, 3);
	begin_next(&b);
	finish(&b, LETTER_AGAIN);
	assert_int_equal(next(&b), QUEUE_WAIT);
	assert_int_equal(b.plan.at, b.now + 5 * S);
	end(&b);
}

/* A mended file does not make a provider take more. */
static void who_said_too_many_rests_over_a_reload(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	begin_next(&b);
	finish(&b, LETTER_SLOWER);
	b.now += 10 * S;
	queue_refresh(b.queue);
	assert_int_equal(next(&b), QUEUE_WAIT);
	assert_int_equal(b.plan.at, b.now + 50 * S);
	b.now += 50 * S;
	begin_next(&b);
	finish(&b, LETTER_AGAIN);
	queue_refresh(b.queue);
	begin_next(&b);
	finish(&b, LETTER_TAKEN);
	end(&b);
}

static void what_fails_too_often_is_spent_where_there_is_a_fall_back(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 20, 2);
	put(&b, INTENT_PROBLEM, 1);
	begin_next(&b);
	finish(&b, LETTER_AGAIN);
	assert_false(queue_is_spent(b.plan.item, LETTER_AGAIN));
	assert_true(queue_is_spent(b.plan.item, LETTER_REFUSED));
	b.now += 5 * S;
	begin_next(&b);
	finish(&b, LETTER_AGAIN);
	assert_true(queue_is_spent(b.plan.item, LETTER_AGAIN));
	queue_drop(b.plan.item);
	/* The channel as a whole has failed as often. */
	put(&b, INTENT_PROBLEM, 2);
	assert_int_equal(next(&b), QUEUE_MOVE);
	assert_int_equal(b.plan.count, 1);
	assert_int_equal(b.plan.others[0]->id, 2);
	queue_drop(b.plan.others[0]);
	/* When its rest is over, one is tried again. */
	b.now += 10 * S;
	put(&b, INTENT_PROBLEM, 3);
	assert_int_equal(begin_next(&b), 3);
	finish(&b, LETTER_TAKEN);
	put(&b, INTENT_PROBLEM, 4);
	assert_int_equal(begin_next(&b), 4);
	finish(&b, LETTER_TAKEN);
	end(&b);
}

static void an_operator_who_mended_it_need_not_wait(void **state)
{
	struct queue_view v;
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	for (int i = 0; i < 4; i++) {
		begin_next(&b);
		finish(&b, LETTER_REFUSED);
		next(&b);
		b.now = b.plan.at;
	}
	b.now -= S;
	queue_view(b.channel, &v);
	assert_int_equal(v.failures, 4);
	assert_int_equal(v.waiting, 1);
	assert_int_equal(v.oldest, 1000 * S);
	assert_int_equal(next(&b), QUEUE_WAIT);
	queue_refresh(b.queue);
	assert_int_equal(begin_next(&b), 1);
	queue_view(b.channel, &v);
	assert_int_equal(v.failures, 0);
	end(&b);
}

static void channels_do_not_wait_for_each_other(void **state)
{
	struct queue_channel *other;
	struct queue_plan p;
	struct bench b;

	(void)state;
	begin(&b, 20, 0);
	put(&b, INTENT_PROBLEM, 1);
	begin_next(&b); /* hangs */
	other = queue_channel(b.queue, "d");
	queue_put(other, &(struct queue_item){.id = 9, .incident = 1, .audience = (char *)(uintptr_t)"", .route = (char *)(uintptr_t)"d"});
	assert_int_equal(queue_next(other, b.now, &p), QUEUE_SEND);
	end(&b);
}

/* Whatever comes and fails: each is taken or joined once, order is kept per incident, and never more than the quota go out. */
struct random_run {
	struct bench b;
	uint64_t done[400];    /* by id: 1 taken, 2 joined */
	uint64_t newest[8];    /* by incident: id that was taken last */
	int64_t sent[4000];
	size_t sent_count;
	bool was_refused[400]; /* these hold up nobody, and come when they come */
};

static void take_out(struct random_run *r, struct queue_item *i, uint64_t how)
{
	assert_int_equal(r->done[i->id], 0);
	r->done[i->id] = how;
	queue_drop(i);
}

static void check_quota(const struct random_run *r, int64_t per_minute)
{
	size_t n = r->sent_count, k = (size_t)per_minute;

	if (n > k)
		assert_true(r->sent[n - 1] - r->sent[n - 1 - k] >= 60 * S);
}

static void try_next(struct random_run *r, int64_t per_minute)
{
	struct bench *b = &r->b;
	enum letter_outcome outcome = (enum letter_outcome)(rand() % 5 == 0 ? rand() % 4 : LETTER_TAKEN);
	struct queue_item *i;

	queue_began(b->plan.item, b->now);
	i = b->plan.item;
	r->sent[r->sent_count++] = b->now;
	check_quota(r, per_minute);
	b->now += rand() % 3 * S;
	queue_ended(i, outcome, b->now, (uint32_t)rand());
	r->was_refused[i->id] |= outcome == LETTER_REFUSED;
	if (outcome != LETTER_TAKEN)
		return;
	if (i->incident > 0 && !r->was_refused[i->id]) {
		assert_true(i->id > r->newest[i->incident]);
		r->newest[i->incident] = i->id;
	}
	take_out(r, i, 1);
}

static void step_random(struct random_run *r, int64_t per_minute)
{
	struct bench *b = &r->b;

	switch (next(b)) {
	case QUEUE_SEND:
		try_next(r, per_minute);
		break;
	case QUEUE_MERGE:
		while (b->plan.count > 0)
			take_out(r, b->plan.others[--b->plan.count], 2);
		break;
	case QUEUE_DIGEST:
		while (b->plan.count > 0)
			take_out(r, b->plan.others[--b->plan.count], 2);
		queue_put(b->channel, &(struct queue_item){.id = ++b->id, .kind = INTENT_DIGEST, .audience = (char *)(uintptr_t)"",
			.route = (char *)(uintptr_t)"c", .is_part = true});
		break;
	case QUEUE_WAIT:
		b->now = b->plan.at < b->now + 30 * S ? b->plan.at : b->now + 30 * S;
		break;
	case QUEUE_MOVE:
		fail();
	}
}

static void all_are_told_once_in_order_within_the_quota(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	for (int run = 0; run < 200; run++, seed++) {
		int64_t per_minute = 1 + (int64_t)(seed % 7);
		struct random_run r = {.sent_count = 0};
		uint64_t last;

		srand(seed);
		begin(&r.b, per_minute, 0);
		for (int i = 0; i < 300; i++) {
			if (r.b.id < 100 && rand() % 3 == 0)
				put(&r.b, (enum incident_intent_kind)(rand() % INTENT_DIGEST), (uint64_t)(1 + rand() % 7));
			step_random(&r, per_minute);
		}
		for (int i = 0; i < 3000; i++)
			step_random(&r, per_minute);
		last = r.b.id;
		for (uint64_t id = 1; id <= last; id++) {
			if (r.done[id] == 0)
				fail_msg("seed %u: %llu was never told", seed, (unsigned long long)id);
		}
		end(&r.b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_letter_at_a_time_in_order),
		cmocka_unit_test(what_failed_comes_again_later_and_later),
		cmocka_unit_test(chance_moves_it_a_fifth_each_way_and_no_more),
		cmocka_unit_test(who_says_too_many_is_left_alone_for_a_minute),
		cmocka_unit_test(an_end_takes_along_what_waits_of_its_incident),
		cmocka_unit_test(an_end_waits_for_its_beginning_that_is_on_its_way),
		cmocka_unit_test(nothing_overtakes_its_incident_but_others_may),
		cmocka_unit_test(the_last_of_a_minute_is_for_all_that_waits),
		cmocka_unit_test(digests_that_wait_are_not_made_into_digests),
		cmocka_unit_test(a_digest_is_in_order_with_all_of_its_audience),
		cmocka_unit_test(what_is_refused_holds_up_nothing),
		cmocka_unit_test(a_letter_that_never_passes_is_not_the_rest_of_its_channel),
		cmocka_unit_test(who_said_too_many_rests_over_a_reload),
		cmocka_unit_test(what_fails_too_often_is_spent_where_there_is_a_fall_back),
		cmocka_unit_test(an_operator_who_mended_it_need_not_wait),
		cmocka_unit_test(channels_do_not_wait_for_each_other),
		cmocka_unit_test(all_are_told_once_in_order_within_the_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "collector/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buf.h"

static const double numbers[] = {1.5, 2.5, 3.5};
static const struct channel_column columns[] = {
	{.metric = 105, .function = 0, .numbers = numbers},
	{.metric = 0, .function = 1, .numbers = numbers},
};
static const struct channel_values values = {
	.start = 1700000000, .step = 60, .rows = 3, .columns = 2, .column = columns};

static void assert_values_equal(const struct channel_values *v)
{
	assert_int_equal(v->start, values.start);
	assert_int_equal(v->step, 60);
	assert_int_equal(v->rows, 3);
	assert_int_equal(v->columns, 2);
	assert_int_equal(v->column[0].metric, 105);
	assert_int_equal(v->column[1].function, 1);
	assert_memory_equal(v->column[1].numbers, numbers, sizeof numbers);
}

static void values_come_back_as_they_went(void **state)
{
	struct buf b = {0};
	struct channel_values v;
	void *block;

	(void)state;
	channel_values_encode(&values, &b);
	assert_int_equal(channel_values_decode(b.data, b.len, &v, &block), 0);
	assert_values_equal(&v);
	free(block);
	buf_fini(&b);
}

static int decode_span(int64_t from, int64_t to, uint32_t points)
{
	struct channel_fetch f = {.check = "a", .vantage = "b", .family = FAMILY_V6, .from = from, .to = to,
		.points = points};
	struct buf b = {0};
	int rc;

	channel_fetch_encode(&f, &b);
	rc = channel_fetch_decode(b.data, b.len, &f);
	buf_fini(&b);
	return rc;
}

static void values_are_asked_of_a_span_that_can_be_reckoned_with(void **state)
{
	(void)state;
	assert_int_equal(decode_span(1700000000, 1700003600, 600), 0);
	assert_int_equal(decode_span(1700000000, 1700000000, 600), -1);
	assert_int_equal(decode_span(-1, 1700000000, 600), -1);
	assert_int_equal(decode_span(1700000000, 1700003600, 0), -1);
	assert_int_equal(decode_span(0, INT64_MAX, 600), -1);
}

static void a_position_and_who_passed_it_come_back(void **state)
{
	struct buf b = {0};
	struct position p;
	char view[32];

	(void)state;
	channel_passed_encode("series", (struct position){7, 9}, &b);
	assert_int_equal(channel_passed_decode(b.data, b.len, view, &p), 0);
	assert_string_equal(view, "series");
	assert_int_equal(p.epoch, 7);
	assert_int_equal(p.seq, 9);
	assert_int_equal(channel_passed_decode(b.data, b.len - 1, view, &p), -1);
	buf_fini(&b);
}

static void a_question_of_availability_comes_back_the_same(void **state)
{
	const struct channel_availability asked = {.period = "2026-10-05..2026-10-20", .unit = "zsj", .family = FAMILY_V6, .always = true,
		.with_planned = true, .form = 2};
	struct channel_availability out;
	struct buf b = {0};

	(void)state;
	channel_availability_encode(&asked, &b);
	assert_int_equal(channel_availability_decode(b.data, b.len, &out), 0);
	assert_string_equal(out.period, asked.period);
	assert_string_equal(out.unit, "zsj");
	assert_string_equal(out.system, "");
	assert_int_equal(out.family, FAMILY_V6);
	assert_true(out.always && out.with_planned && !out.measured && out.form == 2);
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(channel_availability_decode(b.data, len, &out), -1);
	buf_fini(&b);
}

static void a_check_to_be_run_now_comes_back(void **state)
{
	char agent[SAMPLE_ID_MAX + 1], check[SAMPLE_ID_MAX + 1];
	struct buf b = {0};

	(void)state;
	channel_probe_encode("agent-city", "portal-http", &b);
	assert_int_equal(channel_probe_decode(b.data, b.len, agent, check), 0);
	assert_string_equal(agent, "agent-city");
	assert_string_equal(check, "portal-http");
	assert_int_equal(channel_probe_decode(b.data, b.len - 1, agent, check), -1);
	buf_fini(&b);
}

static void on_row(void *ctx, const struct channel_row *r)
{
	int *count = ctx;

	assert_string_equal(r->check, "sys-portal");
	assert_string_equal(r->reason, "连接被拒绝");
	assert_int_equal(r->family, FAMILY_V6);
	assert_int_equal(r->outcome, OUTCOME_DOWN);
	assert_int_equal(r->since, -5);
	(*count)++;
}

static const struct channel_row row = {.check = "sys-portal", .vantage = "city", .type = "http",
	.part = "", .address = "2001:db8::1", .reason = "连接被拒绝", .family = FAMILY_V6,
	.outcome = OUTCOME_DOWN, .measured = 1, .since = -5, .version = 3};

static void rows_come_back_one_by_one(void **state)
{
	struct buf b = {0};
	uint64_t version, instance;
	int count = 0;

	(void)state;
	channel_rows_begin(3, 99, &b);
	channel_rows_add(&row, &b);
	channel_rows_add(&row, &b);
	assert_int_equal(channel_rows_decode(b.data, b.len, &version, &instance, on_row, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(version, 3);
	assert_int_equal(instance, 99);
	buf_fini(&b);
}

static void a_picture_request_comes_back_with_its_layers(void **state)
{
	struct channel_layer layers[] = {{"IPv4 city", FAMILY_V4, values}, {"IPv6", FAMILY_V6, values}};
	struct channel_render r = {.format = 1, .width = 800, .height = 300, .title = "时延",
		.language = "zh", .from = 1, .to = 2, .layers_count = 2, .layers = layers};
	struct channel_render got;
	struct buf b = {0};
	void *block;

	(void)state;
	channel_render_encode(&r, &b);
	assert_int_equal(channel_render_decode(b.data, b.len, &got, &block), 0);
	assert_string_equal(got.title, "时延");
	assert_int_equal(got.layers_count, 2);
	assert_string_equal(got.layers[1].label, "IPv6");
	assert_values_equal(&got.layers[1].values);
	free(block);
	buf_fini(&b);
}

static void ignore_row(void *ctx, const struct channel_row *r)
{
	(void)ctx, (void)r;
}

/* Each decoder over every truncation and every single changed byte: refused or read, never outside. */
static void decode_all(const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1); /* its end is guarded under asan */
	struct channel_values v;
	struct channel_render r;
	struct channel_fetch f;
	uint64_t a, b;
	void *block;

	memcpy(exact, data, len);
	if (channel_values_decode(exact, len, &v, &block) == 0)
		free(block);
	if (channel_render_decode(exact, len, &r, &block) == 0)
		free(block);
	(void)channel_fetch_decode(exact, len, &f);
	(void)channel_rows_decode(exact, len, &a, &b, ignore_row, NULL);
	free(exact);
}

static void cut_and_changed_bodies_are_survived(void **state)
{
	struct channel_layer layers[] = {{"IPv4 city", FAMILY_V4, values}};
	struct channel_render r = {.title = "t", .language = "zh", .layers_count = 1, .layers = layers};
	struct channel_fetch f = {.check = "a", .vantage = "b", .family = FAMILY_V4};
	struct buf b[4] = {{0}};

	(void)state;
	channel_values_encode(&values, &b[0]);
	channel_render_encode(&r, &b[1]);
	channel_fetch_encode(&f, &b[2]);
	channel_rows_begin(1, 1, &b[3]);
	channel_rows_add(&row, &b[3]);
	for (int i = 0; i < 4; i++) {
		for (size_t n = 0; n < b[i].len; n++) {
			uint8_t kept = b[i].data[n];

			decode_all(b[i].data, n);
			for (int bit = 0; bit < 8; bit++) {
				b[i].data[n] = (uint8_t)(kept ^ 1 << bit);
				decode_all(b[i].data, b[i].len);
			}
			b[i].data[n] = kept;
		}
		buf_fini(&b[i]);
	}
}

static void how_delivery_is_goes_through_as_it_was(void **state)
{
	struct buf out = {0};
	const char *words;
	uint8_t matter;
	size_t len;
	bool is_bad;

	(void)state;
	channel_note_encode(4, true, "none came", &out);
	assert_int_equal(channel_note_decode(out.data, out.len, &matter, &is_bad, &words, &len), 0);
	assert_int_equal(matter, 4);
	assert_true(is_bad);
	assert_int_equal(len, 9);
	assert_memory_equal(words, "none came", 9);
	assert_int_equal(channel_note_decode(out.data, 2, &matter, &is_bad, &words, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(channel_note_decode(out.data, 1, &matter, &is_bad, &words, &len), -1);
	assert_int_equal(channel_note_decode(out.data, 0, &matter, &is_bad, &words, &len), -1);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_of_availability_comes_back_the_same),
		cmocka_unit_test(values_come_back_as_they_went),
		cmocka_unit_test(values_are_asked_of_a_span_that_can_be_reckoned_with),
		cmocka_unit_test(a_position_and_who_passed_it_come_back),
		cmocka_unit_test(a_check_to_be_run_now_comes_back),
		cmocka_unit_test(rows_come_back_one_by_one),
		cmocka_unit_test(a_picture_request_comes_back_with_its_layers),
		cmocka_unit_test(cut_and_changed_bodies_are_survived),
		cmocka_unit_test(how_delivery_is_goes_through_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

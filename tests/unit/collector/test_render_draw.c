#include "collector/render_draw.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/channel.h"
#include "collector/confine.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "probes/catalog_http.h"
#include "probes/catalog_icmp.h"
#include "probes/catalog_ntp.h"
#include "probes/catalog_snmp.h"
#include "tests/support/librrd_leaks.h"

#define ROWS 480
#define START 1700006400

static double up[ROWS], low[ROWS], p25[ROWS], middle[ROWS], p75[ROWS], high[ROWS], loss[ROWS], short_time[ROWS];
static const struct channel_column smoke[] = {{0, 0, up}, {ICMP_LOSS, 0, loss}, {ICMP_RTT_MIN, 0, low},
	{ICMP_RTT_P25, 0, p25}, {ICMP_RTT_MEDIAN, 0, middle}, {ICMP_RTT_P75, 0, p75}, {ICMP_RTT_MAX, 0, high}};
static const struct channel_column phases[] = {{0, 0, up}, {HTTP_RESOLVE, 0, short_time},
	{HTTP_CONNECT, 0, short_time}, {HTTP_TLS, 0, short_time}, {HTTP_FIRST_BYTE, 0, p25},
	{HTTP_TOTAL, 0, high}, {HTTP_STATUS, 0, up}};

static int make_values(void **state)
{
	(void)state;
	for (int i = 0; i < ROWS; i++) {
		double wave = 0.012 + 0.004 * sin(i / 40.0);
		bool is_down = i > 200 && i < 215, is_missing = i > 330 && i < 360;

		up[i] = is_missing ? NAN : !is_down;
		loss[i] = is_missing ? NAN : is_down ? 100 : i > 100 && i < 120 ? 30 : 0;
		middle[i] = is_missing || is_down ? NAN : wave + 0.001 * (i % 7) / 7;
		low[i] = middle[i] - 0.002;
		p25[i] = middle[i] - 0.001;
		p75[i] = middle[i] + 0.002;
		high[i] = middle[i] + 0.006;
		short_time[i] = middle[i] / 8;
	}
	render_draw_init();
	return 0;
}

static struct channel_layer layer_of(const char *label, enum family family, const struct channel_column *column,
	size_t columns)
{
	return (struct channel_layer){.label = label, .family = family,
		.values = {.start = START, .step = 180, .rows = ROWS, .columns = columns, .column = column}};
}

static struct channel_render picture_of(uint8_t format, const struct channel_layer *layers, size_t count)
{
	return (struct channel_render){.format = format, .width = 900, .height = 300,
		.title = "统一身份认证平台  identity-http", .language = "zh", .from = START,
		.to = START + ROWS * 180, .layers = layers, .layers_count = count};
}

/* For the eye: RENDER_KEEP=folder keeps what the tests draw. */
static void keep(const struct buf *b, const char *name)
{
	const char *folder = getenv("RENDER_KEEP");
	char path[300];
	FILE *f;

	if (folder == NULL)
		return;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	fwrite(b->data, 1, b->len, f);
	fclose(f);
}

static void draw_well(const struct channel_render *r, const char *name)
{
	static const char *const begins[] = {"<?xml", "\x89PNG"};
	struct buf out = {0};
	struct err e;

	if (render_draw(r, &out, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(out.len > 2000);
	assert_memory_equal(out.data, begins[r->format], 4);
	keep(&out, name);
	buf_fini(&out);
}

/* Of any other type the lines of its list, below zero as well; several layers in one unit, those without it left out. */
static void other_types_are_lines(void **state)
{
	static double below[ROWS];
	const struct channel_column clock[] = {{0, 0, up}, {NTP_DELAY, 0, middle}, {NTP_OFFSET, 0, below}};
	const struct channel_column device[] = {{0, 0, up}, {SNMP_TIME, 0, middle}}, port[] = {{0, 0, up}, {SNMP_RX_BYTES, 0, high}};
	struct channel_layer one = layer_of("IPv4", FAMILY_V4, clock, 3);
	struct channel_layer some[] = {layer_of("IPv4", FAMILY_V4, port, 2), layer_of("IPv4", FAMILY_V4, device, 2),
		layer_of("IPv6", FAMILY_V6, port, 2)};
	struct channel_render r = picture_of(1, &one, 1);

	(void)state;
	for (int i = 0; i < ROWS; i++)
		below[i] = -middle[i];
	draw_well(&r, "clock.png");
	r.language = "en";
	r.format = 0;
	draw_well(&r, "clock.svg");
	r = picture_of(1, some, 3);
	draw_well(&r, "ports.png");
}

static void one_layer_shows_all_that_its_type_knows(void **state)
{
	struct channel_layer icmp = layer_of("IPv4", FAMILY_V4, smoke, 7);
	struct channel_layer http = layer_of("IPv6", FAMILY_V6, phases, 7);
	struct channel_render r = picture_of(1, &icmp, 1);

	(void)state;
	draw_well(&r, "smoke.png");
	r.layers = &http;
	r.language = "en";
	draw_well(&r, "phases.png");
	r.format = 0;
	draw_well(&r, "phases.svg");
}

static void layers_share_one_picture(void **state)
{
	struct channel_layer both[] = {layer_of("IPv4 市观测点", FAMILY_V4, phases, 7),
		layer_of("IPv6 市观测点", FAMILY_V6, smoke, 7)};
	struct channel_render r = picture_of(1, both, 2);

	(void)state;
	draw_well(&r, "layers.png");
	r.from = r.to - 3600;
	draw_well(&r, "hour.png");
	r.from = r.to - 366 * 86400;
	draw_well(&r, "year.png");
}

static void no_text_breaks_out_of_its_place(void **state)
{
	static const char *const hostile[] = {"a:b:LINE9:x#ff0000", "\\g\\l\\s\\u", "%s%n%lf%%", "</svg><script>",
		"\x01\x1b[31m", "\xff\xfe\x80", "\xe2\x80\xae" "drawkcab", "--imginfo=/tmp/x", "cb//0", ":", "\\", "",
		"巡检:检测\\"};
	char longest[2000];

	(void)state;
	memset(longest, ':', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	for (size_t i = 0; i <= sizeof hostile / sizeof *hostile; i++) {
		const char *text = i < sizeof hostile / sizeof *hostile ? hostile[i] : longest;
		struct channel_layer both[] = {
			layer_of(text, FAMILY_V4, smoke, 7), layer_of(text, FAMILY_V6, smoke, 7)};
		struct channel_render r = picture_of(0, both, 2);
		struct buf out = {0};
		struct err e;

		r.title = text;
		if (render_draw(&r, &out, &e) < 0)
			fail_msg("text %zu: %s", i, e.text);
		assert_null(memmem(out.data, out.len, "<script", 7));
		buf_fini(&out);
	}
}

static void nothing_measured_is_a_picture_too(void **state)
{
	struct channel_layer none = layer_of("IPv4", FAMILY_V4, NULL, 0);
	struct channel_layer empty = layer_of("IPv4", FAMILY_V4, smoke, 7);
	struct channel_render r = picture_of(1, &none, 1);

	(void)state;
	draw_well(&r, "none.png");
	r.layers_count = 0;
	draw_well(&r, "none.png");
	empty.values.rows = 0;
	r.layers = &empty;
	r.layers_count = 1;
	draw_well(&r, "empty.png");
}

/* In a child of its own: what is given up does not come back. */
static int draw_behind_the_fence(void)
{
	struct channel_layer both[] = {layer_of("IPv4 市观测点 ☂", FAMILY_V4, phases, 7),
		layer_of("IPv6 العربية", FAMILY_V6, smoke, 7)};
	struct channel_render r = picture_of(1, both, 2);
	const struct settings settings = {.user = ""};
	struct buf out = {0};
	struct err e;

	render_draw_warm_up();
	if (confine_render(&settings, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	if (render_draw(&r, &out, &e) < 0 || out.len < 2000)
		return 2;
	if (open("/tmp/xj-render", O_WRONLY | O_CREAT, 0600) >= 0)
		return 3;
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0)
		return 4;
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static void behind_the_fence_it_draws_and_can_do_nothing_else(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(draw_behind_the_fence());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void a_drawn_picture_costs_little_time_and_no_memory(void **state)
{
	struct channel_layer icmp = layer_of("IPv4", FAMILY_V4, smoke, 7);
	int64_t begun;

	(void)state;
	for (uint8_t format = 0; format < 2; format++) {
		struct channel_render r = picture_of(format, &icmp, 1);
		struct buf out = {0};
		struct err e;

		begun = clock_mono();
		for (int i = 0; i < 20; i++) {
			buf_clear(&out);
			assert_int_equal(render_draw(&r, &out, &e), 0);
		}
		printf("  figure: %s of %d rows: %.1f ms, %zu bytes\n", format == 0 ? "SVG" : "PNG", ROWS,
			(double)(clock_mono() - begun) / 20 / NS_PER_MS, out.len);
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_layer_shows_all_that_its_type_knows),
		cmocka_unit_test(other_types_are_lines),
		cmocka_unit_test(layers_share_one_picture),
		cmocka_unit_test(no_text_breaks_out_of_its_place),
		cmocka_unit_test(nothing_measured_is_a_picture_too),
		cmocka_unit_test(behind_the_fence_it_draws_and_can_do_nothing_else),
		cmocka_unit_test(a_drawn_picture_costs_little_time_and_no_memory),
	};

	return cmocka_run_group_tests(tests, make_values, NULL);
}

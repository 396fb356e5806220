#include "collector/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/clock.h"

static const char *zh(const char *reason)
{
	static struct buf out;

	buf_clear(&out);
	reason_say_zh(reason, &out);
	return buf_text(&out);
}

static void what_probes_say_is_said_in_chinese(void **state)
{
	(void)state;
	assert_string_equal(zh("no reply to 10 echo requests"), "10 个 ping 请求均无应答");
	assert_string_equal(zh("no answer to the connection attempt within 5s"), "5s 内连接无应答");
	assert_string_equal(zh("status 503, expected 200-399"), "状态码 503，应为 200-399");
	assert_string_equal(zh("503 Service Unavailable, expected 200-299"), "503 Service Unavailable，应为 200-299");
	assert_string_equal(zh("connected in 0.238 ms, no answer to the request within 700ms"), "0.238 毫秒连上，700ms 内请求无应答");
	assert_string_equal(zh("prohibited by a filter, said 2001:db8::"), "被过滤规则禁止（2001:db8:: 告知）");
	assert_string_equal(zh("$.queue is 120, expected < 100"), "$.queue is 120，应为 < 100");
}

static void reasons_in_reasons_are_said_too(void **state)
{
	(void)state;
	assert_string_equal(zh("connection refused; not reached by 2 of 2 vantages above it; reached by 1 of 1 vantages below it"),
		"连接被拒绝；其上方 2 个观测点中有 2 个不能到达；其下方 1 个观测点中有 1 个能到达");
	assert_string_equal(zh("redirected to https://portal.gov.example:56763/: certificate expired on 2026-11-17"),
		"重定向到 https://portal.gov.example:56763/：证书已于 2026-11-17 过期");
	assert_string_equal(zh("home page over IPv6: redirected to http://only4.gov.cn/: no AAAA record"),
		"首页经 IPv6：重定向到 http://only4.gov.cn/：没有 AAAA 记录");
	assert_string_equal(zh("level 2: 3 of 12 links not over IPv6: http://a.cn/page1 status 404; level 3: 2 of 12 links not over IPv6: "
			       "http://a.cn/deep/4 status 500"),
		"2 级链接：12 个中有 3 个不能经 IPv6 访问：http://a.cn/page1 状态码 404；"
		"3 级链接：12 个中有 2 个不能经 IPv6 访问：http://a.cn/deep/4 状态码 500");
	assert_string_equal(zh("the AAAA record is no global address; port 8081 is open over IPv6 only"),
		"AAAA 记录不是全球单播地址；端口 8081 只在 IPv6 上开放");
	assert_string_equal(zh("no answer to 3 queries within 700ms: prohibited, says a router on the way"),
		"700ms 内 3 次查询均无应答：途中路由器称被禁止");
	assert_string_equal(zh("sshd: no such process runs"), "sshd：没有这样的进程在运行");
	assert_string_equal(zh("SMTP: STARTTLS is not offered"), "SMTP：对端不提供 STARTTLS");
}

static void what_is_not_known_stays_as_it_is(void **state)
{
	static const char *const words[] = {"", "CRITICAL: why not", "a: b; c: d; e", "; ", ": ", "no reply to many echo requests", "{}",
		"检查: 失败"};

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		assert_string_equal(zh(words[i]), words[i]);
	assert_string_equal(zh("this host has no route to it: CRITICAL: [Errno 101] x"), "本机没有到它的路由：CRITICAL: [Errno 101] x");
}

/* So that a hole that zh names is one that en has, and the other way round. */
static void every_shape_is_whole(void **state)
{
	(void)state;
	for (const struct reason_shape *s = reason_shapes; s->en != NULL; s++) {
		unsigned holes = 0, named = 0;

		for (const char *at = strchr(s->en, '{'); at != NULL; at = strchr(at + 1, '{')) {
			holes++;
			if (strncmp(at, "{}", 2) != 0 && strncmp(at, "{#}", 3) != 0 && strncmp(at, "{*}", 3) != 0)
				fail_msg("%s", s->en);
		}
		for (const char *at = strchr(s->zh, '{'); at != NULL; at = strchr(at + 1, '{')) {
			if (at[1] < '1' || at[1] > '9' || (unsigned)(at[1] - '0') > holes || at[2] != '}')
				fail_msg("%s", s->zh);
			named |= 1u << (at[1] - '1');
		}
		assert_true(holes <= 9);
		if (holes < 2 && named != (1u << holes) - 1)
			fail_msg("%s: %s", s->en, s->zh);
	}
}

/* No shape is hidden behind one above it. */
static void every_shape_says_its_own_words(void **state)
{
	(void)state;
	for (const struct reason_shape *s = reason_shapes; s->en != NULL; s++) {
		char reason[512], wanted[512];
		size_t n = 0, w = 0;

		for (const char *at = s->en; *at != '\0'; at++) {
			if (*at != '{') {
				reason[n++] = *at;
				continue;
			}
			reason[n++] = '7';
			at += at[1] == '}' ? 1 : 2;
		}
		for (const char *at = s->zh; *at != '\0'; at++) {
			if (*at != '{') {
				wanted[w++] = *at;
				continue;
			}
			wanted[w++] = '7';
			at += 2;
		}
		reason[n] = wanted[w] = '\0';
		assert_string_equal(zh(reason), wanted);
	}
}

static void hostile_words_cost_no_more_than_their_length(void **state)
{
	static const char *const bits[] = {"; ", ": ", "level 2: ", "redirected to x: ", "a", "no answer within 1s: ", "7", " of ", "{"};
	unsigned seed = (unsigned)time(NULL);
	int64_t began = clock_mono();

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 90; round++) {
		char text[1024] = "";

		for (size_t n = 0; n < 1000;) {
			const char *bit = bits[rand() % (round % 9 + 1)];

			n += (size_t)snprintf(text + n, sizeof text - n, "%s", bit);
		}
		assert_true(strlen(zh(text)) < 5 * sizeof text);
	}
	assert_true(clock_mono() - began < 120 * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_probes_say_is_said_in_chinese),
		cmocka_unit_test(reasons_in_reasons_are_said_too),
		cmocka_unit_test(what_is_not_known_stays_as_it_is),
		cmocka_unit_test(every_shape_is_whole),
		cmocka_unit_test(every_shape_says_its_own_words),
		cmocka_unit_test(hostile_words_cost_no_more_than_their_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

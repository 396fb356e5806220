#include "probes/dns.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probes/catalog_dns.h"
#include "tests/unit/probes/one_run.h"
#include "tests/unit/probes/udp_server.h"

#define ANSWER_A "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1"
#define ANSWER_A2 "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2"
#define ANSWER(records) records, sizeof records - 1

/* What the server does with a query; the last one with all further ones. */
enum manner {
	MANNER_END,
	ANSWERS,    /* with `answer` */
	SILENT,
	TRUNCATES,
	FORGES,     /* other id, other question, other port; then answers */
	LOWERS,     /* repeats the question in small letters */
	STRICT,     /* NXDOMAIN when there are capital letters */
	MUTE,       /* nothing then */
	MUTE_EDNS,  /* nothing when the query has EDNS */
	NO_EDNS,    /* FORMERR when the query has EDNS */
	DAMAGED,    /* promises a record more than there is */
	HEADLESS,   /* SERVFAIL without a question */
	CLOSES,     /* TCP only */
	LIES,       /* TCP only: another question */
};

struct fixture {
	struct one_run one;
	struct udp_server udp;
	int listener;
	struct event *accepts;
	char port[32];
	enum manner manners[8];
	unsigned turn, tcp_queries;
	unsigned flags, answered; /* of `answer` */
	struct buf answer;
	uint8_t queries[8][512];
	size_t lengths[8];
	unsigned held; /* bytes of an answer over TCP that never come */
};

static enum manner next_manner(struct fixture *f)
{
	enum manner m = f->manners[f->turn];

	if (f->manners[f->turn + 1] != MANNER_END)
		f->turn++;
	return m;
}

static size_t question_len(const uint8_t *query)
{
	size_t at = 12;

	while (query[at] != 0)
		at += 1 + query[at];
	return at + 5 - 12;
}

/* The answer to a query: its id and question, `flags`, and the records of the fixture. */
static struct buf respond(struct fixture *f, const uint8_t *query, unsigned flags, unsigned answered)
{
	struct buf b = {0};

	buf_add(&b, query, 2);
	put16(&b, 0x8000 | flags);
	put16(&b, 1);
	put16(&b, answered);
	put16(&b, 0);
	put16(&b, 0);
	buf_add(&b, query + 12, question_len(query));
	if (answered > 0)
		buf_add(&b, f->answer.data, f->answer.len);
	return b;
}

static void reply(struct fixture *f, struct buf *b)
{
	udp_server_reply(&f->udp, b->data, b->len);
	buf_fini(b);
}

static void forge(struct fixture *f, const uint8_t *query)
{
	struct buf b = respond(f, query, f->flags, f->answered);
	int other = udp_bind(f->udp.from.ss_family, 0);

	assert_int_equal(sendto(other, b.data, b.len, 0, (struct sockaddr *)&f->udp.from, f->udp.from_len), b.len);
	close(other);
	b.data[0] ^= 1;
	reply(f, &b);
	b = respond(f, query, f->flags, f->answered);
	b.data[13] ^= 1;
	reply(f, &b);
	b = respond(f, query, f->flags, f->answered);
	b.data[2] &= 0x7f; /* a query */
	reply(f, &b);
	udp_server_reply(&f->udp, "x", 1);
}

static bool has_capitals(const uint8_t *query)
{
	for (size_t i = 12; i < 12 + question_len(query); i++) {
		if (isupper(query[i]))
			return true;
	}
	return false;
}

static void on_packet(void *ctx, const uint8_t *query, size_t len)
{
	struct fixture *f = ctx;
	enum manner m = next_manner(f);
	struct buf b = {0};

	assert_true(len <= sizeof f->queries[0] && f->udp.received <= 8);
	memcpy(f->queries[f->udp.received - 1], query, len);
	f->lengths[f->udp.received - 1] = len;
	if (m == SILENT || (m == MUTE && has_capitals(query)) || (m == MUTE_EDNS && query[11] == 1))
		return;
	if (m == FORGES)
		forge(f, query);
	b = respond(f, query, f->flags, f->answered);
	if (m == TRUNCATES)
		buf_fini(&b), b = respond(f, query, f->flags | TRUNCATED, 0);
	if (m == LOWERS) {
		for (size_t i = 12; i < 12 + question_len(query); i++)
			b.data[i] = (uint8_t)tolower(b.data[i]);
	}
	if (m == STRICT && has_capitals(query))
		buf_fini(&b), b = respond(f, query, NXDOMAIN, 0);
	if (m == NO_EDNS && query[11] == 1)
		buf_fini(&b), b = respond(f, query, 1, 0);
	if (m == DAMAGED)
		b.data[7]++;
	if (m == HEADLESS) {
		buf_fini(&b);
		b = respond(f, query, SERVFAIL, 0);
		b.data[5] = 0;
		b.len = 12;
	}
	reply(f, &b);
}

/* A query over TCP, which loopback gives in one piece; nothing when the probe was cancelled. */
static void on_frame(evutil_socket_t fd, short what, void *ctx)
{
	struct fixture *f = ctx;
	enum manner m = next_manner(f);
	uint8_t query[600];
	struct buf b, frame = {0};
	ssize_t n = recv(fd, query, sizeof query, MSG_DONTWAIT);

	(void)what;
	if (n <= 0) {
		close(fd);
		return;
	}
	assert_int_equal(n, 2 + (query[0] << 8 | query[1]));
	f->tcp_queries++;
	b = respond(f, query + 2, f->flags, f->answered);
	if (m == LIES)
		b.data[13] ^= 1;
	put16(&frame, (unsigned)b.len);
	buf_add(&frame, b.data, b.len);
	if (m == ANSWERS || m == LIES)
		assert_int_equal(send(fd, frame.data, frame.len - f->held, MSG_NOSIGNAL), frame.len - f->held);
	if (m != SILENT)
		close(fd);
	buf_fini(&b);
	buf_fini(&frame);
}

static void on_stream(evutil_socket_t listener, short what, void *ctx)
{
	struct fixture *f = ctx;

	(void)what;
	event_base_once(f->one.base, accept(listener, NULL, NULL), EV_READ, on_frame, f, NULL);
}

static int listen_at(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0)
		return fd;
	close(fd);
	return -1;
}

/* UDP and TCP on one port. */
static void open_port(struct fixture *f)
{
	f->listener = -1;
	while (f->listener < 0) {
		while (!udp_server_try(&f->udp, 0))
			;
		f->listener = listen_at(f->udp.port);
		if (f->listener < 0)
			close(f->udp.fds[0]), close(f->udp.fds[1]);
	}
	f->accepts = event_new(f->one.base, f->listener, EV_READ | EV_PERSIST, on_stream, f);
	event_add(f->accepts, NULL);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	one_run_open(&f->one);
	open_port(f);
	udp_server_start(&f->udp, f->one.base, on_packet, f);
	snprintf(f->port, sizeof f->port, "port=%u", f->udp.port);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	event_free(f->accepts);
	close(f->listener);
	udp_server_close(&f->udp);
	buf_fini(&f->answer);
	one_run_close(&f->one);
	free(f);
	return 0;
}

/* What is answered from now on, and how. */
static void serve(struct fixture *f, unsigned flags, unsigned answered, const void *records, size_t len,
	const enum manner *manners)
{
	size_t n = 0;

	buf_clear(&f->answer);
	buf_add(&f->answer, records, len);
	f->flags = flags;
	f->answered = answered;
	f->turn = f->tcp_queries = 0;
	f->udp.received = 0;
	memset(f->manners, 0, sizeof f->manners);
	do
		f->manners[n] = manners[n];
	while (manners[n++] != MANNER_END);
}

#define MANNERS(...) ((const enum manner[]){__VA_ARGS__, MANNER_END})
#define ASK "host=127.0.0.1", f->port, "name=www.gov.example"

static void an_answer_is_up_with_its_values_in_both_families(void **state)
{
	struct fixture *f = *state;

	serve(f, 0x0420, 2, ANSWER(ANSWER_A ANSWER_A2), MANNERS(ANSWERS));
	one_run_of(&f->one, &dns_probe, "host=localhost", f->port, "name=www.gov.example", "expect=192.0.2.2",
		"expect=192.0.2.1", "expect=~^192\\.0\\.");
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6 ::1 up");
	for (size_t i = 0; i < 2; i++) {
		double time = one_run_value(&f->one, i, DNS_TIME);

		assert_true(time > 0 && time <= one_run_value(&f->one, i, DNS_TOTAL) && time < 1);
		assert_true(one_run_value(&f->one, i, DNS_ANSWERS) == 2);
		assert_true(one_run_value(&f->one, i, DNS_TTL) == 60);
		assert_true(one_run_value(&f->one, i, DNS_RCODE) == 0);
		assert_true(one_run_value(&f->one, i, DNS_LOST) == 0);
		assert_true(one_run_value(&f->one, i, DNS_FOREIGN) == 0);
		assert_true(one_run_value(&f->one, i, DNS_SIZE) == 12 + 21 + 32);
		assert_true(one_run_value(&f->one, i, DNS_IS_AUTHENTIC) == 1);
		assert_true(one_run_value(&f->one, i, DNS_IS_AUTHORITATIVE) == 1);
		assert_true(one_run_value(&f->one, i, DNS_IS_TRUNCATED) == 0);
		assert_true(one_run_value(&f->one, i, DNS_IS_TCP) == 0);
	}
}

static void ids_and_letters_are_never_twice_the_same(void **state)
{
	struct fixture *f = *state;
	unsigned differ = 0;

	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(ANSWERS));
	for (int i = 0; i < 4; i++)
		one_run_of(&f->one, &dns_probe, ASK);
	assert_int_equal(f->udp.received, 4);
	for (int i = 1; i < 4; i++) {
		differ += memcmp(f->queries[0], f->queries[i], 2) != 0;
		differ += memcmp(f->queries[0] + 12, f->queries[i] + 12, 17) != 0;
		assert_int_equal(strncasecmp((char *)f->queries[0] + 12, (char *)f->queries[i] + 12, 17), 0);
	}
	assert_true(differ >= 4);
}

static void a_lost_query_is_counted_and_not_down(void **state)
{
	struct fixture *f = *state;

	f->one.timeout = 300 * NS_PER_MS;
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(SILENT, ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, DNS_LOST) == 1);
	assert_true(one_run_value(&f->one, 0, DNS_TIME) < 0.09);
	assert_true(one_run_value(&f->one, 0, DNS_TOTAL) >= 0.1);
	assert_memory_not_equal(f->queries[0], f->queries[1], 2);
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(SILENT));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no answer to 3 queries within 300ms");
	assert_int_equal(f->udp.received, 3);
	assert_true(one_run_value(&f->one, 0, DNS_LOST) == 3);
	one_run_of(&f->one, &dns_probe, ASK, "retries=0");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no answer to 1 query within 300ms");
}

static void forged_answers_are_counted_out(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(FORGES));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	/* The one from another port never gets here: the socket is connected. */
	assert_true(one_run_value(&f->one, 0, DNS_FOREIGN) == 4);
}

static void a_server_that_changes_letters_is_asked_without(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(LOWERS));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(f->udp.received <= 2); /* by chance all coins may have fallen on small letters */
	assert_memory_equal(f->queries[f->udp.received - 1] + 12, "\3www\3gov\7example", 17);
	assert_true(one_run_value(&f->one, 0, DNS_LOST) == 0);
}

/* By chance all coins may have fallen on small letters: one time of 8,000. */
static void a_server_that_takes_letters_as_they_stand_is_asked_without(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(STRICT));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(f->udp.received <= 2);
	assert_true(one_run_value(&f->one, 0, DNS_LOST) == 0);
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(MUTE));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, DNS_LOST) <= 1);
	serve(f, NXDOMAIN, 0, ANSWER(ANSWER_A), MANNERS(ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK, "expect_status=NXDOMAIN");
	assert_int_equal(f->udp.received, 1); /* what is expected is believed at once */
	f->one.timeout = 900 * NS_PER_MS;
	serve(f, NXDOMAIN, 0, ANSWER(ANSWER_A), MANNERS(ANSWERS, SILENT));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_non_null(strstr(f->one.lines[0], " queries within 900ms: the first answer was NXDOMAIN"));
}

static void a_server_without_edns_is_asked_without(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(NO_EDNS));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_int_equal(f->udp.received, 2);
	assert_int_equal(f->lengths[0], f->lengths[1] + 11);
	one_run_of(&f->one, &dns_probe, ASK, "dnssec=signed");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: FORMERR, expected NOERROR");
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(MUTE_EDNS));
	one_run_of(&f->one, &dns_probe, ASK, "retries=1");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, DNS_LOST) == 1);
}

static void what_is_truncated_is_asked_again_over_tcp(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(TRUNCATES, ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK, "expect=192.0.2.1");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_int_equal(f->tcp_queries, 1);
	assert_true(one_run_value(&f->one, 0, DNS_IS_TRUNCATED) == 1);
	assert_true(one_run_value(&f->one, 0, DNS_IS_TCP) == 1);
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(TRUNCATES, CLOSES));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: truncated over UDP, then: closed by peer before the answer");
	f->held = 3;
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK, "protocol=tcp");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: closed by peer before the answer");
	f->held = 0;
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(LIES));
	one_run_of(&f->one, &dns_probe, ASK, "protocol=tcp");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: what came over TCP does not answer the question");
	f->one.timeout = 100 * NS_PER_MS;
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(TRUNCATES, SILENT));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: truncated over UDP, then: connected over TCP, no answer within 100ms");
}

static void response_codes_are_told_apart(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned rcode;
		const char *line, *option;
	} codes[] = {
		{NXDOMAIN, "IPv4 127.0.0.1 down: NXDOMAIN, expected NOERROR", "expect_status=NXDOMAIN"},
		{SERVFAIL, "IPv4 127.0.0.1 down: SERVFAIL, expected NOERROR", "expect_status=SERVFAIL"},
		{REFUSED, "IPv4 127.0.0.1 down: REFUSED, expected NOERROR", "expect_status=REFUSED"},
		{0, "IPv4 127.0.0.1 down: no A record", "expect_status=NODATA"},
	};

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		serve(f, codes[i].rcode, 0, "", 0, MANNERS(ANSWERS));
		one_run_of(&f->one, &dns_probe, ASK);
		assert_lines(&f->one, codes[i].line);
		one_run_of(&f->one, &dns_probe, ASK, codes[i].option);
		assert_lines(&f->one, "IPv4 127.0.0.1 up");
	}
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK, "expect_status=NXDOMAIN");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: NOERROR, expected NXDOMAIN");
	one_run_of(&f->one, &dns_probe, ASK, "expect_status=NODATA");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: 1 A record, expected NODATA");
	serve(f, 0, 0, "", 0, MANNERS(HEADLESS));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: SERVFAIL, expected NOERROR");
}

static void conditions_say_what_is_missing(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 2, ANSWER(ANSWER_A ANSWER_A2), MANNERS(ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK, "expect=192.0.2.1", "expect=192.0.2.9");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: \"192.0.2.9\" is not among the answers: 192.0.2.1, 192.0.2.2");
	one_run_of(&f->one, &dns_probe, ASK, "expect=~^198");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: \"~^198\" is not among the answers: 192.0.2.1, 192.0.2.2");
	one_run_of(&f->one, &dns_probe, ASK, "dnssec=signed");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no signature over the A records");
	one_run_of(&f->one, &dns_probe, ASK, "dnssec=validated");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: not validated: the server does not set the AD flag");
	one_run_of(&f->one, &dns_probe, ASK, "authoritative=true");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: lame: it answers without authority (no AA flag)");
}

static void names_are_expected_without_regard_to_case_and_last_dot(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 1, ANSWER("\xc0\x0c\0\x0f\0\1\0\0\0\1\0\x09\0\x0a\4MAIL\xc0\x10"), MANNERS(ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK, "record=mx", "expect=10 Mail.gov.Example.");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	serve(f, 0, 1, ANSWER("\xc0\x0c\0\x10\0\1\0\0\0\1\0\3\2Ab"), MANNERS(ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK, "record=TXT", "expect=Ab");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	one_run_of(&f->one, &dns_probe, ASK, "record=TXT", "expect=ab");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: \"ab\" is not among the answers: Ab");
}

static void a_damaged_answer_is_waited_out_and_told(void **state)
{
	struct fixture *f = *state;

	f->one.timeout = 150 * NS_PER_MS;
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(DAMAGED, ANSWERS));
	one_run_of(&f->one, &dns_probe, ASK);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(DAMAGED));
	one_run_of(&f->one, &dns_probe, ASK, "retries=0");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no answer to 1 query within 150ms: the answer is damaged: "
		"record 2 of 2 is damaged");
}

static void a_closed_port_is_down_at_once(void **state)
{
	struct fixture *f = *state;
	int64_t began = clock_mono();
	int fd = udp_bind(AF_INET, 0);
	struct sockaddr_in at;
	socklen_t len = sizeof at;
	char port[32];

	getsockname(fd, (struct sockaddr *)&at, &len);
	close(fd);
	snprintf(port, sizeof port, "port=%u", ntohs(at.sin_port));
	one_run_of(&f->one, &dns_probe, "host=localhost", port, "name=a");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: port unreachable", "IPv6 ::1 down: port unreachable");
	one_run_of(&f->one, &dns_probe, "host=127.0.0.1", port, "name=a", "protocol=tcp");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: connection refused");
	assert_true(clock_mono() - began < 5 * NS_PER_S);
}

/* The resolver of the fixture asks one server, on IPv4; the probe asks it at the port given. */
static void the_resolvers_of_the_host_are_asked_each(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(ANSWERS));
	one_run_of(&f->one, &dns_probe, "host=resolvers", f->port, "name=www.gov.example");
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6  unknown: this host has no IPv6 name server");
}

static void nothing_is_held_after_a_cancel(void **state)
{
	struct fixture *f = *state;
	const char *const texts[] = {"host=localhost", f->port, "name=www.gov.example", NULL};

	for (int steps = 0; steps < 10; steps++) {
		struct run_group *g;

		serve(f, 0, 1, ANSWER(ANSWER_A), MANNERS(TRUNCATES, TRUNCATES, SILENT));
		g = one_run_begin(&f->one, &dns_probe, texts);
		for (int i = 0; i < steps; i++)
			event_base_loop(f->one.base, EVLOOP_NONBLOCK);
		run_group_cancel(g);
		assert_false(f->one.done);
	}
}

static void settings_that_cannot_be_meant_are_refused_with_words(void **state)
{
	static const struct {
		const char *const pairs[4];
		const char *words;
	} bad[] = {
		{{"name", "192.0.2.1", "record", "A"}, "name: \"192.0.2.1\" is an address: only record = \"PTR\" makes a name of it"},
		{{"name", "a", "record", "AXFR"},
			"record: \"AXFR\" is no type of a record: write \"A\", \"AAAA\", \"MX\" ... or \"TYPE65\""},
		{{"name", "a..b", "record", "A"}, "name: \"a..b\" has an empty label"},
		{{"name", "a", "expect", "~["}, NULL},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct config_pair items[3] = {{.key = "host", .value = "localhost"},
			{.key = bad[i].pairs[0], .value = bad[i].pairs[1]},
			{.key = bad[i].pairs[2], .value = bad[i].pairs[3]}};
		struct config_pairs pairs = {.items = items, .count = 3};
		void *options;
		struct err e;

		assert_int_equal(catalog_options(&catalog_dns, &pairs, f->one.arena, &options, &e), -1);
		if (bad[i].words != NULL)
			assert_string_equal(e.text, bad[i].words);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(an_answer_is_up_with_its_values_in_both_families),
		TEST(ids_and_letters_are_never_twice_the_same),
		TEST(a_lost_query_is_counted_and_not_down),
		TEST(forged_answers_are_counted_out),
		TEST(a_server_that_changes_letters_is_asked_without),
		TEST(a_server_that_takes_letters_as_they_stand_is_asked_without),
		TEST(a_server_without_edns_is_asked_without),
		TEST(what_is_truncated_is_asked_again_over_tcp),
		TEST(response_codes_are_told_apart),
		TEST(conditions_say_what_is_missing),
		TEST(names_are_expected_without_regard_to_case_and_last_dot),
		TEST(a_damaged_answer_is_waited_out_and_told),
		TEST(a_closed_port_is_down_at_once),
		TEST(the_resolvers_of_the_host_are_asked_each),
		TEST(nothing_is_held_after_a_cancel),
		TEST(settings_that_cannot_be_meant_are_refused_with_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

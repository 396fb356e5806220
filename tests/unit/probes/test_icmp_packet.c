#include "probes/icmp_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct icmp_packet_name name = {.nonce = 0x1122334455667788, .slot = 513, .index = 7};

/* An IPv4 header without options. */
static size_t put_ipv4(uint8_t *out, uint8_t protocol, const uint8_t destination[4])
{
	memset(out, 0, 20);
	out[0] = 0x45;
	out[8] = 61;
	out[9] = protocol;
	memcpy(out + 16, destination, 4);
	return 20;
}

static size_t put_ipv6(uint8_t *out, uint8_t next)
{
	memset(out, 0, 40);
	out[0] = 0x60;
	out[6] = next;
	out[24] = 0x20, out[25] = 0x01, out[39] = 9;
	return 40;
}

/* A reply to `name` as a raw IPv4 socket gives it. */
static size_t reply4(uint8_t *out)
{
	size_t n = put_ipv4(out, 1, (const uint8_t[]){192, 0, 2, 1});

	icmp_packet_encode(FAMILY_V4, &name, out + n);
	out[n] = 0;
	return n + ICMP_PACKET_HEAD;
}

/* An error of a router about a request to 192.0.2.9, quoting `quoted` bytes behind the IP header. */
static size_t error4(uint8_t *out, uint8_t type, uint8_t code, size_t quoted)
{
	size_t n = put_ipv4(out, 1, (const uint8_t[]){198, 51, 100, 1});
	uint8_t request[ICMP_PACKET_HEAD];

	memset(out + n, 0, 8);
	out[n] = type;
	out[n + 1] = code;
	n += 8;
	n += put_ipv4(out + n, 1, (const uint8_t[]){192, 0, 2, 9});
	icmp_packet_encode(FAMILY_V4, &name, request);
	memcpy(out + n, request, quoted);
	return n + quoted;
}

static void the_checksum_of_an_ipv4_request_is_right(void **state)
{
	uint8_t out[ICMP_PACKET_HEAD];
	uint32_t sum = 0;

	(void)state;
	icmp_packet_encode(FAMILY_V4, &name, out);
	assert_int_equal(out[0], 8);
	for (size_t i = 0; i < sizeof out; i += 2)
		sum += (uint32_t)(out[i] << 8 | out[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
	icmp_packet_encode(FAMILY_V6, &name, out);
	assert_int_equal(out[0], 128);
	assert_int_equal(out[2] << 8 | out[3], 0);
}

static void a_reply_names_its_echo(void **state)
{
	uint8_t bytes[128];
	struct icmp_packet p;

	(void)state;
	icmp_packet_decode(FAMILY_V4, true, bytes, reply4(bytes), &p);
	assert_int_equal(p.kind, ICMP_PACKET_REPLY);
	assert_int_equal(p.ttl, 61);
	assert_memory_equal(&p.name, &name, sizeof name);
	icmp_packet_encode(FAMILY_V6, &name, bytes);
	bytes[0] = 129;
	icmp_packet_decode(FAMILY_V6, false, bytes, ICMP_PACKET_HEAD, &p);
	assert_int_equal(p.kind, ICMP_PACKET_REPLY);
	assert_int_equal(p.ttl, -1);
}

static void what_another_program_caused_is_foreign(void **state)
{
	uint8_t bytes[128];
	size_t n = reply4(bytes);
	struct icmp_packet p;

	(void)state;
	bytes[20 + 20] = 'X'; /* another's payload */
	icmp_packet_decode(FAMILY_V4, true, bytes, n, &p);
	assert_int_equal(p.kind, ICMP_PACKET_FOREIGN);
	reply4(bytes);
	bytes[20] = 8; /* a request, as loopback shows it */
	icmp_packet_decode(FAMILY_V4, true, bytes, n, &p);
	assert_int_equal(p.kind, ICMP_PACKET_FOREIGN);
	reply4(bytes);
	bytes[9] = 17;
	icmp_packet_decode(FAMILY_V4, true, bytes, n, &p);
	assert_int_equal(p.kind, ICMP_PACKET_FOREIGN);
	icmp_packet_decode(FAMILY_V4, true, bytes, 20 + 8, &p);
	assert_int_equal(p.kind, ICMP_PACKET_FOREIGN);
}

static void an_error_names_the_echo_and_the_way(void **state)
{
	uint8_t bytes[128];
	struct icmp_packet p;

	(void)state;
	icmp_packet_decode(FAMILY_V4, true, bytes, error4(bytes, 3, 1, ICMP_PACKET_HEAD), &p);
	assert_int_equal(p.kind, ICMP_PACKET_ERROR);
	assert_memory_equal(&p.name, &name, sizeof name);
	assert_int_equal(p.target[3], 9);
	assert_string_equal(icmp_packet_error_words(FAMILY_V4, p.type, p.code), "host unreachable");
}

static void an_error_that_quotes_eight_bytes_still_names_slot_and_index(void **state)
{
	uint8_t bytes[128];
	struct icmp_packet p;

	(void)state;
	icmp_packet_decode(FAMILY_V4, true, bytes, error4(bytes, 11, 0, 8), &p);
	assert_int_equal(p.kind, ICMP_PACKET_ERROR);
	assert_int_equal(p.name.nonce, 0);
	assert_int_equal(p.name.slot, name.slot);
	assert_int_equal(p.name.index, name.index);
	icmp_packet_decode(FAMILY_V4, true, bytes, error4(bytes, 11, 0, 7), &p);
	assert_int_equal(p.kind, ICMP_PACKET_FOREIGN);
}

static void too_big_tells_the_mtu_of_both_families(void **state)
{
	uint8_t bytes[128];
	size_t n = error4(bytes, 3, 4, 8);
	struct icmp_packet p;

	(void)state;
	bytes[20 + 6] = 1400 >> 8;
	bytes[20 + 7] = (uint8_t)1400;
	icmp_packet_decode(FAMILY_V4, true, bytes, n, &p);
	assert_int_equal(p.mtu, 1400);
	memset(bytes, 0, 8);
	bytes[0] = 2;
	bytes[6] = 1280 >> 8;
	n = 8 + put_ipv6(bytes + 8, 58);
	icmp_packet_encode(FAMILY_V6, &name, bytes + n);
	icmp_packet_decode(FAMILY_V6, false, bytes, n + ICMP_PACKET_HEAD, &p);
	assert_int_equal(p.kind, ICMP_PACKET_ERROR);
	assert_int_equal(p.mtu, 1280);
	assert_int_equal(p.target[15], 9);
}

static void extension_headers_of_a_quoted_ipv6_packet_are_stepped_over(void **state)
{
	uint8_t bytes[160] = {1, 3};
	size_t n = 8 + put_ipv6(bytes + 8, 0);
	struct icmp_packet p;

	(void)state;
	memset(bytes + n, 0, 24);
	bytes[n] = 44, bytes[n + 1] = 1; /* hop-by-hop, 16 bytes; then a first fragment */
	bytes[n + 16] = 58;
	n += 24;
	icmp_packet_encode(FAMILY_V6, &name, bytes + n);
	icmp_packet_decode(FAMILY_V6, false, bytes, n + ICMP_PACKET_HEAD, &p);
	assert_int_equal(p.kind, ICMP_PACKET_ERROR);
	bytes[n - 8 + 3] = 8; /* not the first fragment: there is no ICMP header in it */
	icmp_packet_decode(FAMILY_V6, false, bytes, n + ICMP_PACKET_HEAD, &p);
	assert_int_equal(p.kind, ICMP_PACKET_FOREIGN);
}

static void an_error_is_about_the_request_that_it_quotes(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)}, other = to;
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = {{{0x20, 1, [15] = 9}}}}, six2 = six;
	struct icmp_packet p = {.kind = ICMP_PACKET_ERROR, .name.nonce = 7, .target = {192, 0, 2, 2}};

	(void)state;
	assert_true(icmp_packet_is_about(&p, 7, (struct sockaddr *)&to));
	assert_false(icmp_packet_is_about(&p, 8, (struct sockaddr *)&to));
	p.name.nonce = 0; /* too little was quoted: the way must be that of the request */
	assert_false(icmp_packet_is_about(&p, 7, (struct sockaddr *)&to));
	p.target[3] = 1;
	assert_true(icmp_packet_is_about(&p, 7, (struct sockaddr *)&to));
	memcpy(p.target, &six.sin6_addr, 16);
	assert_true(icmp_packet_is_about(&p, 7, (struct sockaddr *)&six));
	p.target[15] = 8;
	assert_false(icmp_packet_is_about(&p, 7, (struct sockaddr *)&six));
	other.sin_port = 5;
	six2.sin6_port = 5;
	assert_true(icmp_packet_same_address((struct sockaddr *)&to, (struct sockaddr *)&other));
	assert_true(icmp_packet_same_address((struct sockaddr *)&six, (struct sockaddr *)&six2));
	assert_false(icmp_packet_same_address((struct sockaddr *)&to, (struct sockaddr *)&six));
	other.sin_addr.s_addr++;
	six2.sin6_addr.s6_addr[0]++;
	assert_false(icmp_packet_same_address((struct sockaddr *)&to, (struct sockaddr *)&other));
	assert_false(icmp_packet_same_address((struct sockaddr *)&six, (struct sockaddr *)&six2));
}

/* Any truncation and any changed byte is decoded without reading outside (the sanitizers watch: each
 * packet is a block of its own) and, cut short, never becomes a reply. */
static void cut_or_changed_packets_are_harmless(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	uint8_t whole[128];
	struct icmp_packet p;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 20000; i++) {
		size_t n = i % 2 == 0 ? reply4(whole) : error4(whole, 3, 1, ICMP_PACKET_HEAD);
		size_t cut = (size_t)rand() % (n + 1);
		uint8_t *bytes = malloc(cut + 1);

		memcpy(bytes, whole, cut);
		if (cut > 0 && i % 3 == 0)
			bytes[(size_t)rand() % cut] = (uint8_t)rand();
		icmp_packet_decode(FAMILY_V4, i % 5 != 0, bytes, cut, &p);
		icmp_packet_decode(FAMILY_V6, false, bytes, cut, &p);
		if (i % 2 == 0 && i % 3 != 0 && i % 5 != 0) {
			icmp_packet_decode(FAMILY_V4, true, bytes, cut, &p);
			assert_int_equal(p.kind, cut == n ? ICMP_PACKET_REPLY : ICMP_PACKET_FOREIGN);
		}
		free(bytes);
	}
}

static void every_type_and_code_has_words(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		for (unsigned code = 0; code < 256; code++) {
			assert_true(*icmp_packet_error_words(FAMILY_V4, (uint8_t)type, (uint8_t)code) != '\0');
			assert_true(*icmp_packet_error_words(FAMILY_V6, (uint8_t)type, (uint8_t)code) != '\0');
		}
	}
	assert_string_equal(icmp_packet_error_words(FAMILY_V6, 1, 0), "no route");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_checksum_of_an_ipv4_request_is_right),
		cmocka_unit_test(a_reply_names_its_echo),
		cmocka_unit_test(what_another_program_caused_is_foreign),
		cmocka_unit_test(an_error_names_the_echo_and_the_way),
		cmocka_unit_test(an_error_that_quotes_eight_bytes_still_names_slot_and_index),
		cmocka_unit_test(too_big_tells_the_mtu_of_both_families),
		cmocka_unit_test(extension_headers_of_a_quoted_ipv6_packet_are_stepped_over),
		cmocka_unit_test(an_error_is_about_the_request_that_it_quotes),
		cmocka_unit_test(cut_or_changed_packets_are_harmless),
		cmocka_unit_test(every_type_and_code_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

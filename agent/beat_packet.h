/*
 * beat_packet: what end points send when they report in. Pure decoders of bytes from outside, bounded.
 *
 *   report    STATE [ ' ' TEXT ]                  STATE: up, down; TEXT: why, or what it is doing
 *   datagram  "xunjian1 " WINDOW ' ' TIME ' ' COUNTER ' ' REPORT ' ' MAC
 *
 * WINDOW: id. TIME: seconds since 1970 by the clock of the sender. COUNTER: of its datagrams, 0 to 2^53. MAC: HMAC-SHA256 (RFC
 * 2104) of all bytes before the space before it, 64 hexadecimal digits; the key is the window's token.
 * One space between words; a newline at the end is taken, no other control character. A report is the body of an HTTPS
 * request; none at all is "up".
 */
#ifndef AGENT_BEAT_PACKET_H
#define AGENT_BEAT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

#define BEAT_MAC_LEN 32
#define BEAT_PACKET_MAX 1024 /* bytes of a datagram or a body */

struct beat_report {
	bool is_up;
	char text[SAMPLE_TEXT_MAX + 1];
};

struct beat_packet {
	char window[SAMPLE_ID_MAX + 1];
	int64_t time;    /* s, real */
	int64_t counter;
	struct beat_report report;
	size_t sealed;   /* bytes from the start that the MAC is of */
	uint8_t mac[BEAT_MAC_LEN];
};

bool beat_report_decode(const void *, size_t len, struct beat_report *);
bool beat_packet_decode(const void *, size_t len, struct beat_packet *);

#endif

/*
 * ntp_packet: queries of NTP as bytes, what comes back, and the arithmetic of its times. Pure.
 *
 * Sources: RFC 5905 section 7.3 (header), 7.4 (kiss codes), 8 (offset and delay); RFC 8633 and
 * draft-ietf-ntp-data-minimization: a query tells nothing of its sender, its transmit time is a random number that the
 * answer must repeat. Times are 64 bits that wrap in 2036; differences are right as long as the clocks are within 68 years.
 */
#ifndef PROBES_NTP_PACKET_H
#define PROBES_NTP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NTP_PACKET_SIZE 48

struct ntp_packet {
	unsigned leap, version, mode, stratum;
	int precision;                        /* power of two, s */
	double root_delay, root_dispersion;   /* s */
	char kiss[5];                         /* code of a kiss-o'-death, else "" */
	uint64_t reference, origin, receive, transmit; /* 32.32 s since 1900; reference 0: never set */
};

struct ntp_figures {
	double offset, delay; /* s; offset positive: the server is ahead of us */
	double root_distance; /* s, to the clock that everything comes from */
	double reference_age; /* s; negative: not known */
};

void ntp_packet_encode(uint64_t cookie, uint8_t out[NTP_PACKET_SIZE]);
/* False: too short. What follows the header (extensions, MAC) is of no interest. */
bool ntp_packet_decode(const void *data, size_t len, struct ntp_packet *);
/* Whether it is the answer of a server to the query of that cookie. */
bool ntp_packet_answers(const struct ntp_packet *, uint64_t cookie);

uint64_t ntp_time(int64_t real); /* of a UTC stamp in ns */
/* sent: our clock when the query went out; elapsed: ns until the answer was there. */
void ntp_packet_figures(const struct ntp_packet *, int64_t sent, int64_t elapsed, struct ntp_figures *);
/* Meaning of a kiss code; NULL when it is not known. */
const char *ntp_kiss_text(const char *code);

#endif

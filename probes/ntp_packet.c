#include "probes/ntp_packet.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "lib/clock.h"

#define SINCE_1900 INT64_C(2208988800) /* s from 1900 to 1970 */
#define MODE_CLIENT 3
#define MODE_SERVER 4
#define VERSION 4
#define TWO_32 4294967296.0

/* ---- bytes */

static uint64_t get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

void ntp_packet_encode(uint64_t cookie, uint8_t out[NTP_PACKET_SIZE])
{
	memset(out, 0, NTP_PACKET_SIZE);
	out[0] = VERSION << 3 | MODE_CLIENT;
	out[3] = 0x20; /* a precision that no clock has */
	for (int i = 0; i < 8; i++)
		out[40 + i] = (uint8_t)(cookie >> (56 - 8 * i));
}

/* Up to four letters or digits, filled with zeros. */
static void take_kiss(const uint8_t *p, char out[5])
{
	size_t n = 0;

	while (n < 4 && isalnum(p[n]))
		n++;
	for (size_t i = n; i < 4; i++) {
		if (p[i] != 0)
			return;
	}
	memcpy(out, p, n);
}

bool ntp_packet_decode(const void *data, size_t len, struct ntp_packet *p)
{
	const uint8_t *d = data;

	if (len < NTP_PACKET_SIZE)
		return false;
	*p = (struct ntp_packet){.leap = d[0] >> 6u, .version = d[0] >> 3u & 7u, .mode = d[0] & 7u, .stratum = d[1],
		.precision = (int8_t)d[3], .root_delay = (double)get(d + 4, 4) / 65536,
		.root_dispersion = (double)get(d + 8, 4) / 65536, .reference = get(d + 16, 8),
		.origin = get(d + 24, 8), .receive = get(d + 32, 8), .transmit = get(d + 40, 8)};
	if (p->stratum == 0)
		take_kiss(d + 12, p->kiss);
	return true;
}

bool ntp_packet_answers(const struct ntp_packet *p, uint64_t cookie)
{
	return p->mode == MODE_SERVER && (p->version == VERSION || p->version == VERSION - 1) && p->origin == cookie;
}

/* ---- times */

uint64_t ntp_time(int64_t real)
{
	int64_t s = real / NS_PER_S, ns = real % NS_PER_S;

	if (ns < 0)
		s--, ns += NS_PER_S;
	return (uint64_t)(s + SINCE_1900) << 32 | ((uint64_t)ns << 32) / (uint64_t)NS_PER_S;
}

/* a - b in s */
static double between(uint64_t a, uint64_t b)
{
	return (double)(int64_t)(a - b) / TWO_32;
}

void ntp_packet_figures(const struct ntp_packet *p, int64_t sent, int64_t elapsed, struct ntp_figures *f)
{
	uint64_t t1 = ntp_time(sent), t4 = ntp_time(sent + elapsed);
	double delay = (double)elapsed / NS_PER_S - between(p->transmit, p->receive);

	f->offset = (between(p->receive, t1) + between(p->transmit, t4)) / 2;
	f->delay = delay > 0 ? delay : 0;
	f->root_distance = (p->root_delay + f->delay) / 2 + p->root_dispersion + ldexp(1, p->precision);
	f->reference_age = p->reference != 0 ? between(p->transmit, p->reference) : -1;
}

const char *ntp_kiss_text(const char *code)
{
	static const struct {
		const char *code, *words;
	} kisses[] = {{"DENY", "access denied"}, {"RSTR", "access restricted"}, {"RATE", "it wants fewer queries"},
		{"INIT", "not yet synchronised"}, {"STEP", "its clock was stepped"}, {"NTSN", "it wants NTS"},
		{"AUTH", "authentication failed"}, {"CRYP", "authentication failed"}, {"NKEY", "no key for us"}};

	for (size_t i = 0; i < sizeof kisses / sizeof *kisses; i++) {
		if (strcmp(kisses[i].code, code) == 0)
			return kisses[i].words;
	}
	return NULL;
}

/* What end points report: a datagram, and the body of a request; any bytes. */
#include <stdlib.h>
#include <string.h>

#include "agent/beat_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct beat_packet p;
	struct beat_report r;

	if (beat_packet_decode(data, len, &p) && (p.sealed >= len || !text_is_clean(p.report.text, SAMPLE_TEXT_MAX) ||
		strlen(p.window) > SAMPLE_ID_MAX || p.time < 0 || p.counter < 0))
		abort();
	if (beat_report_decode(data, len, &r) && !text_is_clean(r.text, SAMPLE_TEXT_MAX))
		abort();
	return 0;
}

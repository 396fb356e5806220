/* NTP packets: the first 8 bytes are the cookie of the query. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sample.h"
#include "probes/ntp_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ntp_figures f;
	struct ntp_packet p;
	uint64_t cookie;

	if (len < sizeof cookie)
		return 0;
	memcpy(&cookie, data, sizeof cookie);
	if (!ntp_packet_decode(data + sizeof cookie, len - sizeof cookie, &p))
		return 0;
	ntp_packet_answers(&p, cookie);
	ntp_packet_figures(&p, (int64_t)(cookie >> 2), (int64_t)(cookie % 1000000000), &f);
	if (!isfinite(f.offset) || !(f.delay >= 0) || !isfinite(f.root_distance) || !isfinite(f.reference_age))
		abort();
	if (!text_is_clean(p.kiss, 4))
		abort();
	return 0;
}

/* ICMP packets as a socket hands them out: the first byte picks family and form. */
#include <stdlib.h>
#include <string.h>

#include "probes/icmp_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct icmp_packet p;

	if (len < 1)
		return 0;
	icmp_packet_decode(data[0] & 1 ? FAMILY_V6 : FAMILY_V4, (data[0] & 2) != 0, data + 1, len - 1, &p);
	if (p.kind == ICMP_PACKET_REPLY && p.name.nonce == 0)
		abort();
	if (*icmp_packet_error_words(data[0] & 1 ? FAMILY_V6 : FAMILY_V4, p.type, p.code) == '\0')
		abort();
	return 0;
}

/* SNMP notifications: any bytes. */
#include <stdlib.h>

#include "agent/trap_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct trap_packet p = trap_packet_decode(data, len);

	if (p.inform_at != 0 && (p.inform_at >= len || data[p.inform_at] != 0xa6 || p.kind == TRAP_NONE))
		abort();
	return 0;
}

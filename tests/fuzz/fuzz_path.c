/* What an error quotes of a UDP packet of a look at a path. */
#include <stdlib.h>
#include <string.h>

#include "probes/path_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint64_t nonce = 0x0706050403020100u;
	uint8_t whole[PATH_PAYLOAD];
	int index = path_payload_decode(nonce, data, len);

	if (index < -1 || index > 0xffff)
		abort();
	if (index < 0)
		return 0;
	path_payload_encode(nonce, (uint16_t)index, whole);
	if (memcmp(whole, data, 12) != 0)
		abort();
	return 0;
}

/* SIP responses: the first byte's low bit tells a stream from a packet. */
#include <stdlib.h>

#include "probes/sip_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct sip_ids ids = {.branch = "z9hG4bKab12", .call_id = "c1d2", .sequence = 7};
	struct sip_response r;

	if (len == 0)
		return 0;
	switch (sip_response_decode(data + 1, len - 1, data[0] & 1, &r)) {
	case SIP_WHOLE:
		if (r.len == 0 || r.len > len - 1 || r.code < 100 || r.code > 699)
			abort();
		sip_response_answers(&r, &ids);
		break;
	case SIP_MORE:
		if (!(data[0] & 1))
			abort();
		break;
	case SIP_INVALID:
		if (*r.words == '\0')
			abort();
	}
	return 0;
}

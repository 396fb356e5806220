/* Answers of SNMP v2c: any bytes. The request-id that they answer is that of the seeds. */
#include <stdlib.h>

#include "probes/snmp_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct snmp_packet p;
	struct snmp_oid name;
	struct snmp_value v;
	size_t n = 0;

	if (snmp_packet_decode(data, len, 7, &p) < 0)
		return 0;
	while (snmp_packet_next(&p, &name, &v) > 0) {
		const uint8_t *text = (const uint8_t *)v.text;

		if (++n > len || name.len > SNMP_OID_MAX || (v.text != NULL && (text < data || text + v.text_len > data + len)))
			abort();
		snmp_number(&v);
	}
	return 0;
}

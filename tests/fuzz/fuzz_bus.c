/* What a system bus answers: the first byte says how many units were asked for by name. What is done stays within its bounds, and all that
 * is a whole answer is still one when more follows. */
#include <stdlib.h>
#include <string.h>

#include "agent/bus_packet.h"
#include "lib/err.h"
#include "probes/host/systemd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct systemd_units units;
	struct err e;

	if (len == 0)
		return 0;
	if (bus_read_answers(data + 1, len - 1, data[0] % 65, &units, &e) != BUS_DONE)
		return 0;
	if (units.named_count > data[0] % 65u)
		abort();
	for (size_t i = 0; i < SYSTEMD_FAILED_MAX; i++)
		if (memchr(units.failed[i].name, '\0', sizeof units.failed[i].name) == NULL ||
			memchr(units.named[i].sub, '\0', sizeof units.named[i].sub) == NULL)
			abort();
	return 0;
}

/* SNMP notifications: any bytes. Those of v3 for an engine of ours, whose user proves nothing, so that what is in them is read. */
#include <stdlib.h>

#include "agent/trap_packet.h"
#include "agent/trap_usm.h"
#include "lib/buf.h"
#include "probes/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct trap_usm *make_usm(void)
{
	static struct credential users[] = {{.id = "n", .community = "", .user = "n", .auth_password = "", .priv_password = ""},
		{.id = "d", .community = "", .user = "d", .auth = CREDENTIAL_SHA256, .priv = CREDENTIAL_AES128,
			.auth_password = "maplesyrup", .priv_password = "syrupmaple"}};
	const struct credentials all = {{2, users}};
	struct trap_usm *usm = trap_usm_new("agent-2", 0x1750d6, 0);

	trap_usm_set_users(usm, &all);
	return usm;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct trap_usm *usm;
	struct trap_packet p = trap_packet_decode(data, len);
	struct buf answer = {0};
	struct trap_usm_said said;

	if (p.inform_at != 0 && (p.inform_at >= len || data[p.inform_at] != 0xa6 || p.kind == TRAP_NONE))
		abort();
	if (usm == NULL)
		usm = make_usm();
	said = trap_usm_take(usm, data, len, 2000000000, &answer);
	if ((said.end != TRAP_USM_NONE) != (answer.len > 0))
		abort();
	if (said.end == TRAP_USM_TAKEN && (said.kind == TRAP_NONE || p.kind != TRAP_ENGINE))
		abort();
	buf_fini(&answer);
	return 0;
}

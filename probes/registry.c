#include "probes/registry.h"

#include <stddef.h>
#include <string.h>

#include "probes/catalog.h"
#include "probes/dns.h"
#include "probes/exec.h"
#include "probes/heartbeat.h"
#include "probes/host/types.h"
#include "probes/http.h"
#include "probes/icmp.h"
#include "probes/ntp.h"
#include "probes/path.h"
#include "probes/probe.h"
#include "probes/scorecard.h"
#include "probes/sip.h"
#include "probes/snmp.h"
#include "probes/tcp.h"
#include "probes/tls.h"

const struct probe_type *const registry_types[] = {&icmp_probe, &tcp_probe, &http_probe, &http_steps_probe, &dns_probe, &ntp_probe,
	&tls_probe, &sip_probe, &snmp_probe, &path_probe, &scorecard_probe, &exec_probe, &heartbeat_probe,
	&cpu_probe, &memory_probe, &load_probe, &disk_probe, &interface_probe, &pressure_probe, &protocol_probe,
	&process_probe, &descriptors_probe, &entropy_probe, &uptime_probe, &users_probe, &self_probe, &clock_probe, &systemd_probe, NULL};

const struct probe_type *registry_find(const char *name)
{
	for (const struct probe_type *const *t = registry_types; *t != NULL; t++) {
		if (strcmp((*t)->catalog->name, name) == 0)
			return *t;
	}
	return NULL;
}

/* What the kernel counts of TCP, and of IP, ICMP and UDP in each family. */
#include <math.h>
#include <string.h>

#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/counters.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

enum { TCP_COUNT = PROTOCOL_LISTEN_DROPS - PROTOCOL_ACTIVE + 1, FAMILY_COUNT = PROTOCOL_UDP_BUFFER_OUT - PROTOCOL_IN + 1 };
/* What is a level and no counter. */
enum { TCP_LEVEL = PROTOCOL_ESTABLISHED - PROTOCOL_ACTIVE };

/* In the order of the metrics. */
static const struct counters_word tcp_words[TCP_COUNT] = {
	{"Tcp", "ActiveOpens"}, {"Tcp", "PassiveOpens"}, {"Tcp", "AttemptFails"}, {"Tcp", "EstabResets"}, {"Tcp", "CurrEstab"},
	{"Tcp", "InSegs"}, {"Tcp", "OutSegs"}, {"Tcp", "RetransSegs"}, {"Tcp", "InErrs"}, {"Tcp", "OutRsts"},
	{"TcpExt", "TCPTimeouts"}, {"TcpExt", "SyncookiesSent"}, {"TcpExt", "ListenOverflows"}, {"TcpExt", "ListenDrops"},
};
static const struct counters_word v4_words[FAMILY_COUNT] = {
	{"Ip", "InReceives"}, {"Ip", "OutRequests"}, {"Ip", "ForwDatagrams"}, {"Ip", "InDiscards"}, {"Ip", "OutDiscards"},
	{"Ip", "OutNoRoutes"}, {"Ip", "InAddrErrors"}, {"Ip", "ReasmFails"}, {"Ip", "FragFails"}, {"Icmp", "InErrors"},
	{"Icmp", "InDestUnreachs"}, {"Icmp", "OutDestUnreachs"}, {"Udp", "InDatagrams"}, {"Udp", "OutDatagrams"},
	{"Udp", "NoPorts"}, {"Udp", "InErrors"}, {"Udp", "RcvbufErrors"}, {"Udp", "SndbufErrors"},
};
static const struct counters_word v6_words[FAMILY_COUNT] = {
	{NULL, "Ip6InReceives"}, {NULL, "Ip6OutRequests"}, {NULL, "Ip6OutForwDatagrams"}, {NULL, "Ip6InDiscards"},
	{NULL, "Ip6OutDiscards"}, {NULL, "Ip6OutNoRoutes"}, {NULL, "Ip6InAddrErrors"}, {NULL, "Ip6ReasmFails"},
	{NULL, "Ip6FragFails"}, {NULL, "Icmp6InErrors"}, {NULL, "Icmp6InDestUnreachs"}, {NULL, "Icmp6OutDestUnreachs"},
	{NULL, "Udp6InDatagrams"}, {NULL, "Udp6OutDatagrams"}, {NULL, "Udp6NoPorts"}, {NULL, "Udp6InErrors"},
	{NULL, "Udp6RcvbufErrors"}, {NULL, "Udp6SndbufErrors"},
};

struct protocol_memory {
	struct look_file snmp, netstat, snmp6, sockets, sockets6;
	uint32_t seen_v6;
	uint64_t tcp[TCP_COUNT], v4[FAMILY_COUNT], v6[FAMILY_COUNT];
	bool has_tcp[TCP_COUNT]; /* netstat may be there at one look and not at the next */
};

static void tell_tcp(struct look *l, const struct protocol_memory *m, const uint64_t *now, const bool *has)
{
	uint64_t moved[TCP_COUNT], was[TCP_COUNT] = {0}, is[TCP_COUNT] = {0};
	double sent, again;

	if (has[TCP_LEVEL])
		look_value(l, PROTOCOL_ESTABLISHED, (double)now[TCP_LEVEL]);
	for (uint32_t i = 0; i < TCP_COUNT; i++) {
		if (i == TCP_LEVEL || !m->has_tcp[i] || !has[i])
			continue;
		was[i] = m->tcp[i];
		is[i] = now[i];
	}
	if (look_number(l) < 2 || !look_moved(was, is, TCP_COUNT, moved))
		return;
	for (uint32_t i = 0; i < TCP_COUNT; i++)
		if (m->has_tcp[i] && has[i] && i != TCP_LEVEL)
			look_value(l, PROTOCOL_ACTIVE + i, look_rate(l, (double)moved[i]));
	sent = (double)moved[PROTOCOL_SENT - PROTOCOL_ACTIVE];
	again = (double)moved[PROTOCOL_RETRANSMITTED - PROTOCOL_ACTIVE];
	if (sent > 0)
		look_value(l, PROTOCOL_RETRANSMITTED_SHARE, again / sent * 100);
}

/* "TCP6: inuse 3 ..." */
static void tell_sockets(struct run_part *p, struct scan text, const char *group, uint32_t metric)
{
	struct scan line, name, word;
	uint64_t n;

	while (scan_line(&text, &line)) {
		if (scan_until(&line, ':', &name) && scan_is(&name, group) && scan_word(&line, &word) && scan_is(&word, "inuse") &&
			scan_number(&line, &n))
			run_part_value(p, metric, (double)n);
	}
}

static void tell_all_sockets(struct look *l, struct run_part *p, struct look_file *f, bool is_v6)
{
	struct scan text;
	struct err ignored;

	if (p == NULL || look_read(l, f, is_v6 ? "proc/net/sockstat6" : "proc/net/sockstat", &text, &ignored) < 0)
		return;
	tell_sockets(p, text, is_v6 ? "TCP6" : "TCP", PROTOCOL_TCP_SOCKETS);
	tell_sockets(p, text, is_v6 ? "UDP6" : "UDP", PROTOCOL_UDP_SOCKETS);
}

static void tell_family(struct look *l, struct run_part *p, bool known, const uint64_t *before, const uint64_t *now, const bool *has)
{
	uint64_t moved[FAMILY_COUNT];

	if (!known || !look_moved(before, now, FAMILY_COUNT, moved))
		return;
	for (uint32_t i = 0; i < FAMILY_COUNT; i++)
		if (has[i])
			look_part_value(p, PROTOCOL_IN + i, look_rate(l, (double)moved[i]));
}

/* A host without IPv6 has no such file: that is no fault. */
static void look_v6(struct look *l, struct protocol_memory *m)
{
	uint64_t now[FAMILY_COUNT] = {0};
	bool has[FAMILY_COUNT] = {false};
	struct run_part *p;
	struct scan text;
	struct err ignored;

	if (look_read(l, &m->snmp6, "proc/net/snmp6", &text, &ignored) < 0)
		return;
	counters_read(text, v6_words, FAMILY_COUNT, now, has);
	p = look_part(l, "IPv6");
	tell_family(l, p, m->seen_v6 > 0 && m->seen_v6 + 1 == look_number(l), m->v6, now, has);
	tell_all_sockets(l, p, &m->sockets6, true);
	memcpy(m->v6, now, sizeof m->v6);
	m->seen_v6 = look_number(l);
}

static int protocol_look(struct look *l, struct err *e)
{
	struct protocol_memory *m = look_memory(l);
	uint64_t tcp[TCP_COUNT] = {0}, v4[FAMILY_COUNT] = {0};
	bool has_tcp[TCP_COUNT] = {false}, has_v4[FAMILY_COUNT] = {false};
	struct run_part *p;
	struct scan text;
	struct err ignored;

	if (look_read(l, &m->snmp, "proc/net/snmp", &text, e) < 0)
		return -1;
	counters_read(text, tcp_words, TCP_COUNT, tcp, has_tcp);
	counters_read(text, v4_words, FAMILY_COUNT, v4, has_v4);
	if (!has_tcp[0] || !has_v4[0])
		return err_set(e, "proc/net/snmp does not tell of TCP and IP");
	if (look_read(l, &m->netstat, "proc/net/netstat", &text, &ignored) == 0)
		counters_read(text, tcp_words, TCP_COUNT, tcp, has_tcp);
	tell_tcp(l, m, tcp, has_tcp);
	p = look_part(l, "IPv4");
	tell_family(l, p, look_number(l) > 1, m->v4, v4, has_v4);
	tell_all_sockets(l, p, &m->sockets, false);
	memcpy(m->tcp, tcp, sizeof m->tcp);
	memcpy(m->has_tcp, has_tcp, sizeof m->has_tcp);
	memcpy(m->v4, v4, sizeof m->v4);
	look_v6(l, m);
	return 0;
}

static void protocol_forget(void *memory)
{
	struct protocol_memory *m = memory;

	look_file_close(&m->snmp);
	look_file_close(&m->netstat);
	look_file_close(&m->snmp6);
	look_file_close(&m->sockets);
	look_file_close(&m->sockets6);
}

static const struct look_kind protocol_kind = {sizeof(struct protocol_memory), true, protocol_look, protocol_forget};
LOOK_PROBE(protocol);

/*
 * targets: which addresses may be probed from this host, whatever a collector assigns. Pure.
 *
 * A list of networks ("10.0.0.0/8", "2001:db8::/32", one address alone); an empty list allows all.
 * Never allowed: the metadata services of clouds, which hand out credentials of this host
 * (169.254.169.254, 100.100.100.200, fd00:ec2::254, fe80::a9fe:a9fe). An IPv4 address inside an
 * IPv6 one (::ffff:0:0/96, 64:ff9b::/96) is judged as the IPv4 address that it reaches.
 */
#ifndef AGENT_TARGETS_H
#define AGENT_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct config_texts;
struct err;
struct sockaddr;

struct targets_net {
	uint8_t address[16]; /* of an IPv4 network its mapped form */
	unsigned prefix;     /* 0..128, of an IPv4 network from 96 on */
};

struct targets {
	size_t count;
	struct targets_net *nets; /* in the arena */
};

/* One network: 0, or -1 with words that name the text and what to write instead. */
int targets_parse_net(const char *text, struct targets_net *, struct err *);
/* Networks that were checked before. */
void targets_parse(const struct config_texts *, struct arena *, struct targets *);
bool targets_allow(const struct targets *, const struct sockaddr *);

#endif

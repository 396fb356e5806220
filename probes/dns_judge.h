/*
 * dns_judge: whether a message of a name server is the answer that was expected, and the words when it is not. Pure.
 */
#ifndef PROBES_DNS_JUDGE_H
#define PROBES_DNS_JUDGE_H

#include <stdbool.h>

#include "lib/buf.h"
#include "probes/catalog_dns.h"
#include "probes/dns_packet.h"

/* Of a message whose records are decoded, and its answers of the type. False with words appended. */
bool dns_judge(const struct dns_options *, const struct dns_message *, unsigned type, const struct dns_answers *,
	struct buf *why);

#endif

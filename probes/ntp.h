/*
 * ntp: the probe type of a time server: how far its clock is from ours, and whether it is synchronised itself.
 *
 * The options are catalog_ntp.h's ntp_options. Each query has a random port (RFC 9109) and a random cookie in place of our
 * time; silence is asked again, with the next cookie. A server that says of itself that it is not synchronised
 * (leap indicator 3, stratum 0 or 16) is down; one that wants fewer queries (RATE) tells nothing about its clock: unknown.
 * Elapsed times are the monotonic clock's, so that a step of ours in between does not count.
 */
#ifndef PROBES_NTP_H
#define PROBES_NTP_H

#include "probes/probe.h"

#define NTP_DISTANCE_MAX 16 /* s, MAXDISP of RFC 5905: further away is not synchronised */

extern const struct probe_type ntp_probe;

#endif

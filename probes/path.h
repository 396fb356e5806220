/*
 * path: the hops to a target, how each answers, and which sizes of packets pass.
 *
 * All packets of a look are one flow (same identifier and checksum, or the same ports), and all looks of a check the
 * same one as well, so that routers that share load send them one way: a hop that differs is a path that
 * changed. Echo requests go out by one socket per family for all; udp mode has a connected socket per run, whose error
 * queue needs no rights.
 * Hops are the parts "hop 01", "hop 02" ... with the address of who answered; silent hops are counted only.
 * Black hole: packets of a size get no answer while smaller ones do, and nobody says "too big", also not when asked again
 * after a pause, while the routers at both ends of the hole report other packets. This is down. Where they stay silent it is
 * unknown, as they may only limit how many errors they send.
 * What does not answer a packet of the look, by its ids and addresses, is counted out.
 * Limits: of a router that quotes only 8 bytes (RFC 792 of 1981), udp mode hears nothing.
 */
#ifndef PROBES_PATH_H
#define PROBES_PATH_H

#include "probes/probe.h"

extern const struct probe_type path_probe;

#endif

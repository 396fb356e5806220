/*
 * scorecard: the probe type of a site's readiness for IPv6, beside IPv4. The options are catalog_scorecard.h's.
 *
 * One run for the whole name. It resolves both families, asks the zone's name servers over IPv6, fetches the home page several times
 * over each family through all redirects, follows its links into the same site and theirs (first over IPv4, and what is reached
 * there over IPv6), and connects to a list of ports in both. Never more than one request at a time, with a pause between.
 *
 * Indices (0 to 100, SCORECARD_AAAA ...) are made in scorecard_facts.c. What could not be measured is left out, also of the score.
 * Up: the home page is reached over IPv6 (2xx at the end); the reason then says what is missing. Down: it is not. Unknown: that cannot
 * be told here. Low scores are for the collector's limits to judge.
 * When time runs short the crawl ends and the levels are of what was tried.
 */
#ifndef PROBES_SCORECARD_H
#define PROBES_SCORECARD_H

#include "probes/probe.h"

extern const struct probe_type scorecard_probe;

#endif

/*
 * catalog_scorecard: the settings and the numbers of the metrics of the probe type "scorecard".
 */
#ifndef PROBES_CATALOG_SCORECARD_H
#define PROBES_CATALOG_SCORECARD_H

#include "probes/catalog.h"

enum {
	SCORECARD_SCORE = 1300,
	/* the indices, each of 0 to 100; in the order of the weights */
	SCORECARD_AAAA, SCORECARD_DELEGATION, SCORECARD_HOME, SCORECARD_SUCCESS, SCORECARD_LEVEL2, SCORECARD_LEVEL3,
	SCORECARD_SAME, SCORECARD_SPEED, SCORECARD_PORTS,
	/* what they are made of */
	SCORECARD_AAAA_COUNT = 1310, SCORECARD_AAAA_GLOBAL, SCORECARD_NS, SCORECARD_NS_V6,
	SCORECARD_STATUS_V4, SCORECARD_STATUS_V6, SCORECARD_SUCCESS_V4, SCORECARD_SUCCESS_V6,
	SCORECARD_LINKS2, SCORECARD_LINKS2_V6, SCORECARD_LINKS3, SCORECARD_LINKS3_V6,
	SCORECARD_SAME_STATUS, SCORECARD_SAME_TITLE, SCORECARD_SAME_TEXT, SCORECARD_SAME_RESOURCES,
	SCORECARD_RESOLVE_V4, SCORECARD_RESOLVE_V6, SCORECARD_RESOLVE_RATIO,
	SCORECARD_CONNECT_V4, SCORECARD_CONNECT_V6, SCORECARD_CONNECT_RATIO,
	SCORECARD_FIRST_V4, SCORECARD_FIRST_V6, SCORECARD_FIRST_RATIO,
	SCORECARD_PAGE_V4, SCORECARD_PAGE_V6, SCORECARD_PAGE_RATIO,
	SCORECARD_RATE_V4, SCORECARD_RATE_V6, SCORECARD_RATE_RATIO,
	SCORECARD_DEGRADATION, SCORECARD_PORTS_V4, SCORECARD_PORTS_V6, SCORECARD_PORTS_DIFFER,
};

#define SCORECARD_INDICES (SCORECARD_PORTS - SCORECARD_AAAA + 1)
#define SCORECARD_PORTS_MAX 32

struct scorecard_options {
	const char *url, *ipv4, *ipv6;
	struct config_texts hosts;   /* that are in the site as well */
	struct config_texts exclude; /* links that hold one of these are not followed */
	int64_t attempts;            /* of the home page in each family */
	int64_t links2, links3;      /* followed at most */
	int64_t delay, page_timeout, port_timeout; /* ns */
	int64_t page_max;            /* bytes */
	const char *ports;           /* "22,80,443" */
	bool verify;
	const char *ca;
	int64_t weights[SCORECARD_INDICES];
};

/* The ports of a checked list, without repeats; their count. -1 with words: it is none. */
int scorecard_ports(const char *text, uint16_t out[SCORECARD_PORTS_MAX], struct err *);

#endif

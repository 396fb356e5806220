/*
 * scorecard_facts: what a run of a scorecard has seen, and the values and words made of it. Pure.
 */
#ifndef PROBES_SCORECARD_FACTS_H
#define PROBES_SCORECARD_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"
#include "probes/catalog_scorecard.h"

#define SCORECARD_ATTEMPTS_MAX 50

struct buf;
struct sockaddr;

/* What one family saw of the home page. */
struct scorecard_home {
	bool has_address;
	unsigned attempts, reached; /* without those that failed by our own fault */
	bool connected;             /* once at least */
	int status;                 /* of the last answer; 0 none */
	double resolve;             /* s; NaN */
	double connect[SCORECARD_ATTEMPTS_MAX], first_byte[SCORECARD_ATTEMPTS_MAX], page[SCORECARD_ATTEMPTS_MAX],
		rate[SCORECARD_ATTEMPTS_MAX]; /* of those that were reached */
	char reason[256];           /* of the first that was not: what was seen of the site */
	char own[256];              /* why the first that was not asked for was not: our own fault; "" */
};

struct scorecard_level {
	size_t known, tried;       /* links to try; of these reached or not by now */
	size_t links, links_v6;    /* reached over IPv4, of these over IPv6 */
	char reason[400];          /* of the first that was not */
	size_t own;                /* that could not be asked for, by our own fault; in none but tried */
	char own_reason[400];      /* of the first of them */
};

struct scorecard_facts {
	bool has_aaaa; /* asked for, not pinned */
	unsigned aaaa, aaaa_global;
	bool has_delegation;
	size_t ns, ns_v6;
	char delegation[300];        /* words of what is missing, or why it was not measured */
	struct scorecard_home home[2]; /* IPv4, IPv6 */
	bool has_same;
	bool same_status, same_title;
	double same_text, same_resources; /* 0 to 1 */
	struct scorecard_level levels[2];
	bool has_ports;
	unsigned ports_count, ports_open[2], ports_differ;
	char ports[200];
};

/* Nothing is known of the home page over this family, by our own fault alone. */
bool scorecard_is_unmeasured(const struct scorecard_home *);
/* Calls value for each that is known; sorts the times. */
void scorecard_values(struct scorecard_facts *, const int64_t weights[SCORECARD_INDICES],
	void (*value)(void *ctx, uint32_t metric, double number), void *ctx);
/* What is missing, "; " between; nothing when nothing is. */
void scorecard_words(const struct scorecard_facts *, struct buf *out);
/* Can be reached from anywhere: 2000::/3 without the ranges of documentation, 6to4 and Teredo (RFC 6890). */
bool scorecard_is_global(const struct sockaddr *);

#endif

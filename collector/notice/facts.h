/*
 * facts: a notice as named values for programs: SNMP objects, parameters of syslog, variables of a command. Pure.
 *
 *   facts_make -> use -> facts_fini
 *
 * What came from outside is cleaned as in phrase.h, and a unit reads of its own systems alone. Thread: any.
 */
#ifndef COLLECTOR_NOTICE_FACTS_H
#define COLLECTOR_NOTICE_FACTS_H

#include <stddef.h>
#include <stdint.h>

struct incident_intent;
struct letter_facts;
struct phrase;
struct roster_channel;

enum fact {
	FACT_KEY,      /* of the notice: the same when it comes twice */
	FACT_KIND,     /* problem, close, ... digest, test, beat */
	FACT_INCIDENT, /* number; "" none */
	FACT_SUBJECT,  /* "link/tanghe-east"; "" another's */
	FACT_STATE,    /* "down" */
	FACT_FAMILIES, /* "IPv4 IPv6" */
	FACT_SEVERITY, /* "critical" */
	FACT_UNIT,     /* id of the unit that is told; "" others */
	FACT_SINCE, FACT_AT, /* ISO 8601 with the offset of Shanghai; since: "" when there is no incident */
	FACT_REASON, FACT_SYSTEMS, FACT_AUTHOR,
	FACT_COLLECTOR, FACT_CHANNEL,
	FACT_TITLE, FACT_TEXT,
	FACTS
};
const char *facts_name(enum fact); /* "severity" */

enum facts_type { FACTS_PROBLEM = 1, FACTS_RECOVERY, FACTS_DIGEST, FACTS_BEAT, FACTS_TEST, FACTS_REMARK };

/* As syslog counts (RFC 5424, 6.2.1). */
enum facts_severity { FACTS_EMERGENCY, FACTS_ALERT, FACTS_CRITICAL, FACTS_ERROR, FACTS_WARNING, FACTS_PLAIN_NOTICE, FACTS_INFO,
	FACTS_DEBUG };

struct facts {
	enum facts_type type;
	enum facts_severity severity;
	int64_t since, at; /* ns UTC; since 0: no incident */
	int state;     /* enum state */
	char *text[FACTS];
};

void facts_make(const struct roster_channel *, const struct incident_intent *, const struct phrase *, const struct letter_facts *,
	struct facts *);
void facts_fini(struct facts *);
/* "2026-11-27T04:08:05.123+08:00"; room: 40 */
char *facts_format_time(int64_t ns, char *out, size_t room);

#endif

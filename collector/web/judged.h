/*
 * judged: what judgement says, handed on to the page: incidents and the ledger. Handlers: ctx is struct web.
 */
#ifndef COLLECTOR_WEB_JUDGED_H
#define COLLECTOR_WEB_JUDGED_H

struct server_request;

void judged_incidents(void *web, struct server_request *); /* /api/v1/incidents */
void judged_ledger(void *web, struct server_request *);    /* /api/v1/ledger?subject=system/ID&from=&to= (UTC seconds) */
/* /api/v1/availability?period=2026-10, and unit=, system= or link=, family=ipv4|ipv6, hours=always, measured=1, maintenance=included */
void judged_availability(void *web, struct server_request *);

#endif

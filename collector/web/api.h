/*
 * api: the JSON of the pages, one handler per path; README and xunjian-collector(8) have the list.
 *
 * These answer from the model at once; values and pictures are in graph.h.
 * Thread: the loop's. Limits: API_SITES in one answer.
 */
#ifndef COLLECTOR_WEB_API_H
#define COLLECTOR_WEB_API_H

struct server_request;

#define API_SITES 5000

/* Handlers: ctx is struct web. */
void api_overview(void *web, struct server_request *);
void api_system(void *web, struct server_request *);
void api_link(void *web, struct server_request *);
void api_site(void *web, struct server_request *);
void api_host(void *web, struct server_request *);
void api_sites(void *web, struct server_request *);
void api_check(void *web, struct server_request *);

#endif

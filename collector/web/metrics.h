/*
 * metrics: /metrics in Prometheus text: figures of this process, states of the model, and what ingest, series and
 * render say of themselves. A peer that does not answer within METRICS_WAIT is told by
 * xunjian_peer_answered, not waited for. Thread: the loop's.
 */
#ifndef COLLECTOR_WEB_METRICS_H
#define COLLECTOR_WEB_METRICS_H

struct server_request;

#define METRICS_WAIT NS_PER_S

void metrics_handle(void *web, struct server_request *);

#endif

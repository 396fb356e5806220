/*
 * syslog: notices as messages of RFC 5424 over TLS (RFC 5425, octet counting).
 *
 * One connection per message: it is written, our end is closed (close_notify), and the receiver's end is waited for. The
 * protocol has no answer; that the receiver closes after our end says that it has read up to there, and an alert (say, that
 * it wants a certificate) or a reset shows that it has not. A receiver that leaves its end open for 5 s while the connection
 * is up counts as having taken it.
 * Thread: the loop's. Limit: messages of SYSLOG_MAX bytes; texts are cut to fit.
 */
#ifndef COLLECTOR_NOTICE_SYSLOG_H
#define COLLECTOR_NOTICE_SYSLOG_H

#include <stdint.h>

#define SYSLOG_MAX 8192 /* what receivers should take (RFC 5425, 4.3.1) */
#define SYSLOG_VALUE_MAX 240
#define SYSLOG_PORT 6514

struct buf;
struct facts;
struct roster_channel;

/* The message with its length in front. host: of this machine. Pure. */
void syslog_write(const struct roster_channel *, const struct facts *, const char *host, int64_t now, struct buf *out);

#endif

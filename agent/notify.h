/*
 * notify: tells systemd how we are (sd_notify(3)), without libsystemd. Without NOTIFY_SOCKET in the
 * environment every call does nothing.
 */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include <stdint.h>

struct notify {
	int fd;           /* -1: nobody listens */
	int64_t watchdog; /* ns between two signs of life that are wanted; 0: none */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment. */
void notify_open(struct notify *);
void notify_close(struct notify *);
void notify_ready(const struct notify *);
void notify_reloading(const struct notify *); /* then notify_ready */
void notify_stopping(const struct notify *);
void notify_alive(const struct notify *);

#endif

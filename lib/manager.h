/*
 * manager: tells the service manager, systemd, how we are (sd_notify(3)), without libsystemd. Without NOTIFY_SOCKET in the
 * environment every call does nothing.
 */
#ifndef LIB_MANAGER_H
#define LIB_MANAGER_H

#include <stdint.h>

struct manager {
	int fd;           /* -1: nobody listens */
	int64_t watchdog; /* ns between two signs of life that are wanted; 0: none */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment. */
void manager_open(struct manager *);
void manager_close(struct manager *);
void manager_ready(const struct manager *);
void manager_reloading(const struct manager *); /* then manager_ready */
void manager_stopping(const struct manager *);
void manager_alive(const struct manager *);

#endif

/*
 * clock: the two clocks of the house, as int64_t nanoseconds.
 *
 * Durations and schedules use clock_mono() (CLOCK_BOOTTIME: it goes on through suspend); stamps
 * use clock_real() (UTC). Nothing that decides calls these: deciders take `now` as an argument.
 */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

int64_t clock_mono(void);
int64_t clock_real(void);

/* A number that names this boot of this machine: the first 8 bytes of
 * /proc/sys/kernel/random/boot_id; 0 where that cannot be read. */
uint64_t clock_boot_id(void);

/* "2026-11-24T16:40:06Z" of a UTC stamp in ns; out holds at least 32 bytes. Returns out. */
char *clock_format_utc(int64_t real, char *out, size_t room);

#endif

/*
 * ingest_self: how the collector itself is: room on its disk, the end of its certificate and of those that agents show, whether a view that must see all is
 * left behind, whether notices come through, and commands of channels can be started. What changes is noted in the journal, where judgement makes an incident of it (subject monitoring/...).
 *
 *   self_new -> self_look every minute, which notes through `note` -> self_free
 *
 * Each matter is noted at the first look and whenever it changes; between good and bad lies a band in which it stays what it
 * was. Thread: the loop's.
 */
#ifndef COLLECTOR_INGEST_SELF_H
#define COLLECTOR_INGEST_SELF_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"

struct self;

enum self_matter { SELF_DISK, SELF_CERTIFICATE, SELF_SERIES, SELF_NOTICE, SELF_BEAT, SELF_COMMANDS, SELF_MATTERS };
const char *self_subject(enum self_matter); /* "monitoring/disk" */

#define SELF_BEHIND (900 * NS_PER_S) /* a view rounds its work within some minutes */

struct self *self_new(void (*note)(void *ctx, enum self_matter, bool is_bad, const char *words), void *ctx);
void self_free(struct self *); /* accepts NULL */
/* An agent has shown a certificate that holds from and until then, s UTC. */
void self_see(struct self *, const char *agent, int64_t from, int64_t until);
/* folder: on the disk in question. certificate: path of the PEM file. passed: seq that series is done with, of `synced`. */
void self_look(struct self *, const char *folder, const char *certificate, uint64_t passed, uint64_t synced, int64_t mono);

/* What another process says of one of the last two: delivery of notices, and the beat of judgement that it brings outside. */
void self_hear(struct self *, enum self_matter, bool is_bad, const char *words);

/* ---- Pure: whether it is bad now, as it was bad or not. */
bool self_disk_is_bad(uint64_t size, uint64_t free_bytes, bool was_bad);        /* below 5 % or 512 MiB; good again above 7 %, 1 GiB */
bool self_certificate_is_bad(double days_left, double days_of_life);           /* less than two weeks, and a third of its life */

#endif

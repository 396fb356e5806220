/*
 * bus_packet: what is said to the system bus (D-Bus) to learn of systemd's units, and what comes back. Pure decoders of
 * bytes from outside, bounded. Own code, as it is three calls and one form of answer, and libsystemd would bring the
 * compressors of its journal (lzma, lz4, zstd, gcrypt) into the process.
 *
 *   client   NUL "AUTH EXTERNAL <uid>" "BEGIN", then Hello, ListUnitsFiltered, ListUnitsByNames: all at once
 *   server   "OK <guid>", then the answers, signals between them
 *
 * D-Bus specification 0.41, "Authentication Protocol", "Message Protocol"; org.freedesktop.systemd1(5). Both calls are
 * open to every user. ListUnitsByNames is there from systemd 230 on, ListUnitsFiltered from 209 on. Messages are written
 * little-endian, which each bus takes, and read so: the other end is of this machine (big-endian ones are refused).
 */
#ifndef AGENT_BUS_PACKET_H
#define AGENT_BUS_PACKET_H

#include <stddef.h>
#include <sys/types.h>

#define BUS_ANSWER_MAX (2u << 20) /* bytes of all that comes back: some thousands of failed units */

struct buf;
struct err;
struct systemd_units;

/* names: of units, count may be 0. */
void bus_put_questions(struct buf *, uid_t uid, const char *const *names, size_t count);

enum bus_end {
	BUS_MORE,  /* is not whole yet */
	BUS_DONE,
	BUS_BROKEN /* with err: refused, or not of the protocol */
};
/* All that has come until now, and how many units were asked for by name. */
enum bus_end bus_read_answers(const void *, size_t len, size_t names, struct systemd_units *, struct err *);

#endif

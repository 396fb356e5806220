/*
 * disk: the tables of mounts, of mounts that should be, and of disks. The decoders are pure; the probe type stands
 * in types.h. What of it is measured:
 *
 *   file systems  those that hold data here. Left out: what the kernel only makes up, images that are always full
 *                 (squashfs, iso9660, ...), overlays except /, what is ignored; network and FUSE file systems and
 *                 all that is mounted below one, since asking a dead server for its size would stop the whole agent.
 *                 Of several mounts of one file system (bind mounts) the one of its root with the shortest path.
 *   devices       whole disks that ever did something, by the name of the device mapper where there is one.
 */
#ifndef PROBES_HOST_DISK_H
#define PROBES_HOST_DISK_H

#include "probes/host/scan.h"

/* A line of /proc/PID/mountinfo (proc(5)); paths are still escaped. */
struct disk_mount {
	uint64_t major, minor;
	struct scan root, point, options, type, source, super_options;
};
/* The next line that is one; false at the end. */
bool disk_next_mount(struct scan *text, struct disk_mount *);
bool disk_mount_is_read_only(const struct disk_mount *);

enum disk_kind { DISK_LOCAL, DISK_REMOTE, DISK_MADE_UP };
enum disk_kind disk_kind_of(const struct scan *type);

/* A line of fstab(5). */
struct disk_wish {
	struct scan source, point, type, options;
};
bool disk_next_wish(struct scan *text, struct disk_wish *);
/* It has to be mounted: not swap, not at will, not on demand, and may not be missing. */
bool disk_wish_is_must(const struct disk_wish *);

/* A line of /proc/diskstats. */
enum disk_counter {
	DISK_COUNT_READS, DISK_COUNT_READS_MERGED, DISK_COUNT_READ_SECTORS, DISK_COUNT_READ_MS, DISK_COUNT_WRITES,
	DISK_COUNT_WRITES_MERGED, DISK_COUNT_WRITE_SECTORS, DISK_COUNT_WRITE_MS, DISK_COUNT_UNDER_WAY,
	DISK_COUNT_BUSY_MS, DISK_COUNT_WAIT_MS, DISK_COUNTS,
};
struct disk_device {
	struct scan name;
	uint64_t counts[DISK_COUNTS];
};
bool disk_next_device(struct scan *text, struct disk_device *);

/* What happened between two looks; the times of the kernel have 32 bits and wrap. False: the device is another one. */
struct disk_moved {
	double reads, writes, read_bytes, write_bytes, read_s, write_s, busy_s, wait_s;
};
bool disk_moved(const uint64_t before[DISK_COUNTS], const uint64_t now[DISK_COUNTS], struct disk_moved *);

/* A path with \040 and the like as the kernel and fstab write it; out holds at least scan_left + 1 bytes. */
char *disk_unescape(const struct scan *, char *out);

#endif

#include "probes/host/disk.h"

#include <string.h>

#include "probes/host/look.h"

#define SECTOR 512 /* of these tables, whatever the device has */

static const char *const remote_types[] = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph",
	"glusterfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2", "coda", "orangefs", "pvfs2", "virtiofs", "vboxsf",
	"prl_fs", "hgfs", "davfs", "autofs"};
static const char *const made_up_types[] = {"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "pstore",
	"bpf", "tracefs", "debugfs", "configfs", "securityfs", "fusectl", "mqueue", "hugetlbfs", "binfmt_misc",
	"rpc_pipefs", "nfsd", "selinuxfs", "efivarfs", "nsfs", "ramfs", "rootfs", "overlay", "aufs", "squashfs",
	"iso9660", "udf", "erofs", "cramfs", "romfs", "binder", "resctrl"};

/* ---- mounts */

/* Numbers up to a sign, as in "8:1". */
static bool read_device(struct scan word, uint64_t *major, uint64_t *minor)
{
	if (!scan_number(&word, major) || word.at == word.end || *word.at != ':')
		return false;
	word.at++;
	return scan_number(&word, minor);
}

/* "36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw" */
static bool read_mount(struct scan line, struct disk_mount *out)
{
	struct scan word;

	if (!scan_word(&line, &word) || !scan_word(&line, &word) || !scan_word(&line, &word) ||
		!read_device(word, &out->major, &out->minor) || !scan_word(&line, &out->root) ||
		!scan_word(&line, &out->point) || !scan_word(&line, &out->options))
		return false;
	do {
		if (!scan_word(&line, &word))
			return false;
	} while (!scan_is(&word, "-"));
	if (!scan_word(&line, &out->type) || !scan_word(&line, &out->source))
		return false;
	scan_word(&line, &out->super_options);
	return true;
}

bool disk_next_mount(struct scan *text, struct disk_mount *out)
{
	struct scan line;

	while (scan_line(text, &line)) {
		if (read_mount(line, out))
			return true;
	}
	return false;
}

bool disk_mount_is_read_only(const struct disk_mount *m)
{
	return scan_lists(m->options, "ro") || scan_lists(m->super_options, "ro");
}

static bool is_one_of(const struct scan *type, const char *const *types, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (types[i][0] == *type->at && scan_is(type, types[i]))
			return true;
	}
	return false;
}

enum disk_kind disk_kind_of(const struct scan *type)
{
	if (is_one_of(type, remote_types, sizeof remote_types / sizeof *remote_types) || scan_starts(type, "fuse."))
		return DISK_REMOTE;
	if (scan_is(type, "fuse"))
		return DISK_REMOTE;
	return is_one_of(type, made_up_types, sizeof made_up_types / sizeof *made_up_types) ? DISK_MADE_UP : DISK_LOCAL;
}

static bool is_octal(const char *at, const char *end)
{
	return end - at >= 4 && at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
		at[3] >= '0' && at[3] <= '7';
}

char *disk_unescape(const struct scan *s, char *out)
{
	const char *at = s->at;
	char *to = out;

	while (at < s->end) {
		if (is_octal(at, s->end)) {
			*to++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*to++ = *at++;
		}
	}
	*to = '\0';
	return out;
}

/* ---- fstab */

bool disk_next_wish(struct scan *text, struct disk_wish *out)
{
	struct scan line;

	while (scan_line(text, &line)) {
		if (!scan_word(&line, &out->source) || *out->source.at == '#')
			continue;
		if (scan_word(&line, &out->point) && scan_word(&line, &out->type) && scan_word(&line, &out->options))
			return true;
	}
	return false;
}

bool disk_wish_is_must(const struct disk_wish *w)
{
	return *w->point.at == '/' && !scan_is(&w->type, "swap") && !scan_is(&w->type, "ignore") &&
		!scan_lists(w->options, "noauto") && !scan_lists(w->options, "nofail") &&
		!scan_lists(w->options, "x-systemd.automount");
}

/* ---- devices */

bool disk_next_device(struct scan *text, struct disk_device *out)
{
	struct scan line;

	while (scan_line(text, &line)) {
		uint64_t number;
		size_t n = 0;

		if (!scan_number(&line, &number) || !scan_number(&line, &number) || !scan_word(&line, &out->name))
			continue;
		while (n < DISK_COUNTS && scan_number(&line, &out->counts[n]))
			n++;
		if (n == DISK_COUNTS) /* partitions of old kernels have fewer */
			return true;
	}
	return false;
}

static double wrapping_ms(uint64_t before, uint64_t now)
{
	return (double)(uint32_t)(now - before) / 1000;
}

bool disk_moved(const uint64_t before[DISK_COUNTS], const uint64_t now[DISK_COUNTS], struct disk_moved *out)
{
	static const enum disk_counter plain[] = {
		DISK_COUNT_READS, DISK_COUNT_READ_SECTORS, DISK_COUNT_WRITES, DISK_COUNT_WRITE_SECTORS};
	uint64_t a[4], b[4], moved[4];

	for (size_t i = 0; i < 4; i++) {
		a[i] = before[plain[i]];
		b[i] = now[plain[i]];
	}
	if (!look_moved(a, b, 4, moved))
		return false;
	*out = (struct disk_moved){.reads = (double)moved[0], .read_bytes = (double)moved[1] * SECTOR,
		.writes = (double)moved[2], .write_bytes = (double)moved[3] * SECTOR,
		.read_s = wrapping_ms(before[DISK_COUNT_READ_MS], now[DISK_COUNT_READ_MS]),
		.write_s = wrapping_ms(before[DISK_COUNT_WRITE_MS], now[DISK_COUNT_WRITE_MS]),
		.busy_s = wrapping_ms(before[DISK_COUNT_BUSY_MS], now[DISK_COUNT_BUSY_MS]),
		.wait_s = wrapping_ms(before[DISK_COUNT_WAIT_MS], now[DISK_COUNT_WAIT_MS])};
	return true;
}

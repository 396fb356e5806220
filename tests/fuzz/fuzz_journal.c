/*
 * A journal's folder made from the input: read as it is, opened for writing (recovery), written, read again. Whatever
 * the bytes are, each seq comes once, as an entry or inside a gap, and what was synced afterwards is there.
 *
 * First byte even: the rest is the file of one segment. Odd: instructions of two bytes that make segments of valid
 * records with anything between them, since no mutation finds a checksum.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/journal_record.h"
#include "lib/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void empty_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	char name[400];

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (unlink(name) < 0) {
			empty_folder(name);
			rmdir(name);
		}
	}
	if (d != NULL)
		closedir(d);
}

static void write_file(const char *folder, const struct journal_segment *s, const void *data, size_t len)
{
	char name[JOURNAL_NAME_SIZE], path[400];
	int fd;

	journal_segment_name(s, name);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

/* Instructions: what to do, and how much of it. */
static void make_segments(const char *folder, const uint8_t *data, size_t len)
{
	struct journal_segment s = {.first = 1, .epoch = 0xe0c, .serial = 1};
	uint64_t seq = 1;
	uint8_t head[JOURNAL_SEGMENT_HEAD], payload[256];
	struct buf b = {0};

	memset(payload, 0x4a, sizeof payload);
	journal_segment_encode(&s, head);
	buf_add(&b, head, sizeof head);
	for (size_t i = 0; i + 1 < len; i += 2) {
		uint8_t n = data[i + 1];
		struct journal_gap g = {seq, seq + n, n + 1u};
		uint8_t gap[24];

		switch (data[i] % 9) {
		case 0: /* a record */
			journal_record_add(&b, journal_record_seed(s.epoch), seq++, ENTRY_RESULT, payload, n);
			break;
		case 1: /* some are missing */
			seq += n;
			break;
		case 2: /* bytes that are none, like a record's */
			buf_add(&b, payload, n);
			break;
		case 3: /* a damaged byte */
			b.data[b.len - 1 - n % b.len] ^= 0x10;
			break;
		case 4: /* a torn end */
			b.len -= n % b.len;
			break;
		case 5: /* a gap that was written */
			journal_record_add(&b, journal_record_seed(s.epoch), g.to, ENTRY_GAP, gap,
				journal_gap_encode(&g, gap));
			seq = g.to + 1;
			break;
		case 6: /* a record of another time */
			journal_record_add(&b, journal_record_seed(s.epoch), n + 1u, ENTRY_NOTE, payload, 3);
			break;
		case 7: /* a record of another epoch */
			journal_record_add(&b, journal_record_seed(n), seq, ENTRY_NOTE, payload, 3);
			break;
		default: /* the next segment, perhaps over the end of this one */
			write_file(folder, &s, b.data, b.len);
			seq = seq > n % 4u ? seq - n % 4u : seq;
			s = (struct journal_segment){.first = seq, .epoch = s.epoch + n % 2u, .serial = s.serial + 1};
			buf_clear(&b);
			journal_segment_encode(&s, head);
			buf_add(&b, head, sizeof head);
		}
		if (b.len == 0)
			buf_add_u8(&b, 0);
	}
	write_file(folder, &s, b.data, b.len);
	buf_fini(&b);
}

/* Seq of the last entry. */
static uint64_t read_all(const char *folder, const struct position *limit)
{
	struct err e;
	struct journal_reader *r = journal_reader_open(folder, (struct position){0, 0}, &e);
	struct journal_entry en;
	uint64_t last = 0;
	int n;

	if (r == NULL)
		abort();
	if (limit != NULL)
		journal_reader_limit(r, *limit);
	while ((n = journal_read_next(r, &en, &e)) == 1) {
		struct journal_gap g;

		if (en.kind == ENTRY_GAP && journal_gap_decode(en.payload, en.len, &g) == 0 && g.to == en.at.seq) {
			if (last != 0 && g.from != last + 1)
				abort();
		} else if (last != 0 && en.at.seq != last + 1) {
			abort();
		}
		last = en.at.seq;
	}
	if (n < 0)
		abort();
	journal_reader_close(r);
	return last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct journal_options options = {.segment_bytes = 2000};
	char folder[64];
	struct position synced;
	struct journal *j;
	struct err e;

	if (len < 1 || len > 20000)
		return 0;
	snprintf(folder, sizeof folder, "/dev/shm/xj-fuzz-journal-%ld", (long)getpid());
	mkdir(folder, 0700);
	empty_folder(folder);
	if (data[0] % 2 == 0)
		write_file(folder, &(struct journal_segment){.first = 1, .epoch = 0xe0c}, data + 1, len - 1);
	else
		make_segments(folder, data + 1, len - 1);
	read_all(folder, NULL);
	j = journal_open(folder, &options, &e);
	if (j == NULL)
		abort();
	journal_append(j, ENTRY_RESULT, "behind", 6);
	if (journal_sync(j, &e) < 0)
		abort();
	synced = journal_synced(j);
	if (read_all(folder, &synced) != synced.seq)
		abort();
	journal_cursor_set(j, "fuzz", (struct position){0xe0c, 1u + data[0]});
	if (journal_trim(j, &e) < 0 || read_all(folder, &synced) != synced.seq)
		abort();
	journal_close(j);
	return 0;
}

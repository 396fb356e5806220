/*
 * ingest_file: a small file of ingest's state folder, read whole and replaced durably.
 */
#ifndef COLLECTOR_INGEST_FILE_H
#define COLLECTOR_INGEST_FILE_H

struct buf;
struct err;

/* 1 read, 0 there is none, -1. At most 256 MiB. */
int ingest_file_read(const char *path, struct buf *out, struct err *e);
/* Written beside, synced, renamed, the folder synced. */
int ingest_file_write(const char *path, const struct buf *, struct err *e);

#endif

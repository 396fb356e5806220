/*
 * database: opening what judgement keeps, for those who only read it.
 */
#ifndef COLLECTOR_JUDGE_DATABASE_H
#define COLLECTOR_JUDGE_DATABASE_H

struct err;
struct sqlite3;

/* A connection that reads alone, also while another process writes; sqlite3_close. NULL with err. */
struct sqlite3 *database_open_read(const char *path, struct err *);

#endif

/*
 * settings: conf/collector.conf as a struct. One generation lives in one arena; reload makes a new one.
 */
#ifndef COLLECTOR_SETTINGS_H
#define COLLECTOR_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/config.h"
#include "lib/tls.h"

struct err;

#define SETTINGS_DEFAULT "/etc/xunjian/collector.conf"
#define SETTINGS_TEXT_MAX (1u << 20) /* of the file: it goes through channels */

struct settings_ingest {
	struct config_texts listen;     /* "0.0.0.0:8443" "[::]:8443" */
	struct tls_files tls;
	int64_t max_connections;        /* of all agents */
	int64_t max_connections_per_agent;
	int64_t idle_timeout;           /* ns */
	int64_t batches_per_minute;     /* per agent */
};

struct settings_journal {
	int64_t segment_bytes;
	int64_t max_bytes;
	int64_t max_age;
	struct config_where where;
};

/* One ring of each series file: rows of `step` width kept for `keep`. */
struct settings_archive {
	int64_t step; /* ns; 0: the check's own interval */
	int64_t keep; /* ns */
	struct config_where where;
};

struct settings_series {
	int64_t flush_within;           /* ns a queued value waits at most */
	int64_t max_parts;              /* per check */
	int64_t max_bytes;              /* of all files: plan refuses more */
	struct config_list archives;    /* struct settings_archive, the finest first, never empty */
};

struct settings_incidents {
	int64_t notices_per_minute;     /* to one audience, then a digest */
	struct config_texts escalate;   /* durations, ascending */
	struct config_texts hours;      /* of duty, as hours of service */
	struct config_where where;
};

struct settings_web {
	struct config_texts listen;     /* loopback only until accounts exist: checked */
};

struct settings {
	const char *name;               /* id of this collector */
	const char *text;               /* of the file, as it was read */
	const char *state;              /* folder: journal/ rrd/ series/ */
	const char *inventory;          /* folder with *.conf */
	const char *calendar;           /* folder with *.conf: holidays and make-up workdays */
	const char *notice;             /* file of channels and routes; "": nobody is told */
	const char *commands;           /* file of commands that channels may name; "": none */
	const char *user;               /* to become; "" stays */
	int log_level;                  /* enum log_level */
	int64_t answer_within;          /* ns; a process of ours that hangs longer is ended */
	struct settings_ingest ingest;
	struct settings_journal journal;
	struct settings_series series;
	struct settings_incidents incidents;
	struct settings_web web;
};

/* Reads and checks. Paths inside are made absolute, relative to the file. The result lives until settings_free. */
struct settings *settings_load(const char *path, struct err *);
/* The same of its text, for those who cannot read the file. */
struct settings *settings_parse(const char *path, const char *text, struct err *);
void settings_free(struct settings *); /* accepts NULL */
extern const struct config_schema settings_schema; /* for --help and the manual */

#endif

/*
 * settings: agent.conf as a struct. One generation lives in one arena; reload makes a new one.
 *
 * Paths are made absolute, relative to the file. The names begin with agent_settings because
 * collector/settings.h has its own, and the tests' tools link both programs.
 */
#ifndef AGENT_SETTINGS_H
#define AGENT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/beat_book.h"
#include "agent/targets.h"
#include "lib/config.h"
#include "lib/tls.h"
#include "probes/credentials.h"

#define AGENT_SETTINGS_DEFAULT "/etc/xunjian/agent.conf"

struct catalog_type;
struct err;

struct agent_settings_collector {
	const char *url;        /* "": none, results stay in the journal */
	struct tls_files tls;
	const char *address;    /* literal address to connect to instead of resolving; "" */
	struct config_where where;
};

struct agent_settings_journal {
	int64_t segment_bytes, max_bytes;
	int64_t max_age;        /* ns */
	struct config_where where;
};

struct agent_settings_traps {
	struct config_texts listen; /* addresses with port */
};

struct agent_settings_heartbeat {
	struct config_texts listen_https, listen_udp; /* addresses with port */
	const char *certificate, *key; /* PEM files of listen_https */
	const char *tokens;     /* file of windows (beat_book.h) */
	int64_t skew;           /* ns */
	struct config_where where;
	struct beat_windows windows; /* made by agent_settings_load */
};

struct agent_settings_metrics {
	struct config_texts listen; /* loopback addresses with port */
};

/* One check of the local list; its options are those of the type. */
struct agent_settings_check {
	const char *id, *type;
	int64_t interval, timeout; /* ns */
	int families;           /* index into "both|ipv4|ipv6" */
	bool priority;
	struct config_pairs options;
	struct config_where where;
	/* made by agent_settings_load: */
	const struct catalog_type *of_type;
	const void *of_options;
};

struct agent_settings {
	const char *id;
	const char *state;      /* folder */
	const char *user;       /* to become; "" stays */
	int log_level;          /* enum log_level */
	struct agent_settings_collector collector;
	struct agent_settings_journal journal;
	struct agent_settings_metrics metrics;
	struct agent_settings_traps traps;
	struct agent_settings_heartbeat heartbeat;
	struct config_texts allow_targets;
	struct config_texts readable; /* files and folders besides that checks may read */
	const char *plugins;    /* file of the plugins that checks may name (plugins.h); "": none */
	const char *plugin_user; /* whom plugins run as */
	const char *credentials_path; /* "": none */
	const char *resolver;   /* "192.0.2.1,[2001:db8::1]:5353"; "": /etc/resolv.conf */
	int64_t concurrency;    /* checks under way at most */
	struct config_list checks; /* struct agent_settings_check */
	/* made by agent_settings_load: */
	struct targets targets;
	struct credentials credentials;
	const char *path;       /* of the file, absolute */
	struct arena *arena;
};

/* Reads and checks; NULL with "file:line: words". The result lives until agent_settings_free. */
struct agent_settings *agent_settings_load(const char *path, struct err *);
void agent_settings_free(struct agent_settings *); /* accepts NULL */
extern const struct config_schema agent_settings_schema; /* for the manual */

/* RUN_V4 | RUN_V6 of a choice "both|ipv4|ipv6". */
unsigned agent_settings_families(int choice);
/* Cross-field check of a timetable: a run ends before the next one begins. */
int agent_settings_check_times(int64_t interval, int64_t timeout, struct err *);
/* "192.0.2.1:162" or "[::]:162". */
struct sockaddr_storage;
int agent_settings_parse_endpoint(const char *text, struct sockaddr_storage *, unsigned *len, struct err *);
/* "127.0.0.1:9464" or "[::1]:9464", loopback only. */
int agent_settings_parse_listen(const char *text, char host[64], uint16_t *port, struct err *);

#endif

/*
 * catalog_exec: the settings and the numbers of the metrics of the exec probe type.
 */
#ifndef PROBES_CATALOG_EXEC_H
#define PROBES_CATALOG_EXEC_H

#include "probes/catalog.h"

#define EXEC_ARGS_MAX 64
#define EXEC_ARG_MAX 1024   /* bytes of one, as configured */
#define EXEC_PLUGIN_MAX 63  /* bytes of the name of a plugin */
#define EXEC_TIMEOUT_MAX 300 /* s that one run may take */

/* What stands for the address and the rest in an argument. */
#define EXEC_ADDRESS "{address}"
#define EXEC_FAMILY "{family}"
#define EXEC_HOST "{host}"

enum {
	EXEC_STATE = 800, EXEC_TIME, EXEC_REFUSED,
	EXEC_RATE = 809, /* of a part whose unit is c */
	/* Of a part; bytes apart, as six digits after the point leave no room for large ones. Few columns: each series of
	 * the type has all. */
	EXEC_PLAIN = 810, EXEC_BYTES = 820,
};
/* After either. */
enum { EXEC_AT_VALUE, EXEC_AT_WARN, EXEC_AT_CRIT, EXEC_AT_MIN, EXEC_AT_MAX, EXEC_AT_WARN_LOW, EXEC_AT_CRIT_LOW };

struct exec_options {
	const char *host, *ipv4, *ipv6;
	const char *plugin;
	struct config_texts args;
};

/* [A-Za-z0-9] then these or any of "_.-". */
int catalog_exec_check_name(const char *name, struct err *);

#endif

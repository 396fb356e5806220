#include "probes/snmp_library.h"

#include <dlfcn.h>
#include <locale.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

/* The interface of the headers: net-snmp 5.9. */
#define LIBRARY "libnetsnmp.so.40"
/* Where it may look for files of its own: where nothing can be, so that it makes nothing there either. */
#define NOWHERE "/dev/null/snmp"

static int take_functions(void *handle, struct snmp_library *l, struct err *e)
{
	static const struct {
		const char *name;
		size_t at;
	} functions[] = {
#define SNMP_ROW(name) {#name, offsetof(struct snmp_library, name)},
		SNMP_FUNCTIONS(SNMP_ROW)
#undef SNMP_ROW
	};

	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		void *function = dlsym(handle, functions[i].name);

		if (function == NULL)
			return err_set(e, LIBRARY " has no %s", functions[i].name);
		memcpy((char *)l + functions[i].at, &function, sizeof function);
	}
	return 0;
}

/* Before init_snmp, which else reads MIBs and configurations and makes folders. */
static void forbid_files(const struct snmp_library *l)
{
	static const int switches[] = {NETSNMP_DS_LIB_DONT_READ_CONFIGS, NETSNMP_DS_LIB_DONT_PERSIST_STATE,
		NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD, NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE};

	setenv("MIBS", "", 1);
	setenv("MIBDIRS", NOWHERE, 1);
	setenv("SNMPCONFPATH", NOWHERE, 1);
	setenv("SNMP_PERSISTENT_DIR", NOWHERE, 1);
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
		l->netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, switches[i], 1);
	l->netsnmp_ds_set_string(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_PERSISTENT_DIR, NOWHERE);
}

int snmp_library_load(struct snmp_library *l, struct err *e)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL)
		return err_set(e, "%s", dlerror());
	if (take_functions(handle, l, e) < 0)
		return -1;
	l->snmp_disable_log(); /* what it has to say about packets is not for the log */
	forbid_files(l);
	l->init_snmp("xunjian");
	l->snmp_disable_log();
	setlocale(LC_CTYPE, "C"); /* it takes that of the environment */
	return 0;
}

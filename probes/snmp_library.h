/*
 * snmp_library: libnetsnmp, loaded when the first check needs it: it is large, and most agents ask no device.
 *
 *   snmp_library_load once a process -> its functions by their own names
 *
 * It reads no MIB, no configuration, and writes no file. It stays loaded: it keeps users and clocks of devices in itself.
 * Thread: one owns every call (it is built without locks).
 */
#ifndef PROBES_SNMP_LIBRARY_H
#define PROBES_SNMP_LIBRARY_H

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>
#include <net-snmp/library/large_fd_set.h>
#include <net-snmp/library/lcd_time.h>
#undef config_error /* its own, and lib/config.h's */

struct err;

#define SNMP_FUNCTIONS(X)                                                                          \
	X(init_snmp) X(netsnmp_ds_set_boolean) X(netsnmp_ds_set_string) X(snmp_disable_log)        \
	X(snmp_sess_init) X(snmp_sess_add) X(snmp_sess_session) X(snmp_sess_close)                 \
	X(snmp_sess_async_send) X(snmp_sess_read2) X(snmp_sess_timeout)                            \
	X(netsnmp_large_fd_set_init) X(netsnmp_large_fd_set_cleanup) X(netsnmp_large_fd_setfd)     \
	X(snmp_pdu_create) X(snmp_free_pdu) X(snmp_add_null_var) X(snmp_pdu_add_variable) X(snmpv3_get_report_type)         \
	X(usm_create_user_from_session) X(usm_get_user) X(usm_remove_user) X(usm_free_user)        \
	X(generate_Ku) X(snmp_api_errstring) X(set_enginetime)

struct snmp_library {
#define SNMP_MEMBER(name) __typeof__(name) *name;
	SNMP_FUNCTIONS(SNMP_MEMBER)
#undef SNMP_MEMBER
};

/* -1 with words: it is not there, or not the one that this was built for. */
int snmp_library_load(struct snmp_library *, struct err *);

#endif

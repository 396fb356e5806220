/*
 * snmp: the probe type of a device that is asked by SNMP v2c or v3.
 *
 * The options are catalog_snmp.h's snmp_options. A run reads what the check names by GETBULK walks and GETs, one request at a
 * time, and tells rates from what it read the run before, kept per check, address and family (one-shot: a second look a second
 * later). Parts: snmp_device.h.
 * Down: the device does not answer, or no more. Unknown: it answers, but not to us (wrong user, password or level), does not
 * have what is asked for, or has more of it than can be read in time.
 */
#ifndef PROBES_SNMP_H
#define PROBES_SNMP_H

#include "probes/probe.h"

extern const struct probe_type snmp_probe;

#endif

/*
 * duty: how incidents are told, from the settings: limits, and when one that nobody acknowledges is told further up, counted
 * in the hours in which somebody is on duty.
 *
 *   duty_new -> duty_settings, which borrow from it -> duty_free
 *
 * Thread: any.
 */
#ifndef COLLECTOR_JUDGE_DUTY_H
#define COLLECTOR_JUDGE_DUTY_H

#include <stdint.h>

#include "collector/judge/incident.h"

struct calendar;
struct duty;
struct err;
struct settings;

/* Takes the calendar that the settings name, NULL when they name none. NULL with err: something is wrong. */
struct duty *duty_new(const struct settings *, struct calendar *, struct err *);
/* Reads it. */
struct duty *duty_load(const struct settings *, struct err *);
void duty_free(struct duty *); /* accepts NULL */
const struct calendar *duty_calendar(const struct duty *); /* NULL: none is set */
void duty_settings(const struct duty *, struct incident_settings *);
/* When `work` of duty has passed since `from`. From the first day of a year whose holidays nobody has told all hours
 * count: better too early than never. */
int64_t duty_add(const void *duty, int64_t from, int64_t work);

#endif

/*
 * log: one line per event on standard error: time, level, program, a lower-case sentence, then
 * key=value pairs. Who decides logs, once.
 *
 *   error  an operator must act          info   life cycle
 *   warn   will heal by itself           debug  per run
 *
 * Control characters in a line are written as \xNN, so text from outside cannot forge a line.
 * A line that repeats (same format) more than 10 times in 10 seconds is damped: the rest is
 * counted and told in one line "repeated". This module and main.c alone hold mutable statics.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program: borrowed for the life of the process, e.g. "collector/ingest". */
void log_open(const char *program, enum log_level);
void log_level_set(enum log_level);
/* "error", "warn", "info", "debug"; 0 or -1. */
int log_level_parse(const char *text, enum log_level *);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Lines written (not damped) at warn or error since log_open, for /metrics. */
unsigned long log_count(enum log_level);

#endif

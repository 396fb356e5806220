/*
 * config_scan: reads the source of a configuration before libconfig 1.5 does and says in words
 * what that would take in silence or call "syntax error": integers beyond 32 bit without L, a BOM,
 * NUL and other bytes that are not text, a comma too many or missing, a bracket left open, a text
 * without quotes, full-width punctuation, a name set twice, @include.
 *
 * The grammar is libconfig's, narrowed; what passes here parses there. Pure. Limits: nesting of
 * CONFIG_SCAN_DEPTH, CONFIG_SCAN_NAMES settings in one group (libconfig compares each with all).
 */
#ifndef LIB_CONFIG_SCAN_H
#define LIB_CONFIG_SCAN_H

#include <stddef.h>

struct err;

#define CONFIG_SCAN_DEPTH 16
#define CONFIG_SCAN_NAMES 1024

/* 0, or -1 with "file:line: what to write instead". text need not end with a NUL. */
int config_scan(const char *file, const char *text, size_t len, struct err *);

#endif

/*
 * err: the words of an expected failure, written where they are known.
 *
 * A function that can fail takes a `struct err *`, fills it and returns -1 (or NULL). The caller
 * that decides what to do shows the text; those between may put a context before it.
 * For anything an operator wrote the text starts with "file:line: ".
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

struct err {
	char text[512];
};

/* Sets the text; always returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, followed by ": " and the words of errno. */
int err_errno(struct err *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before a text that is already there; always returns -1. */
int err_wrap(struct err *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

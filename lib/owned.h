/*
 * owned: files that say what may be started, and what is started: nobody but the administrator (root; without root also the
 * user himself) can change or exchange them, in themselves or by a folder above them.
 *
 * Thread: any. A file system that does not answer makes it wait.
 */
#ifndef LIB_OWNED_H
#define LIB_OWNED_H

#include <stdbool.h>

struct err;

/* Where the path leads, without links: a regular file of ours that nobody else can change. Owned; NULL with err. */
char *owned_resolve(const char *path, bool is_executable, struct err *);

#endif

/*
 * fence: give up rights for good. Each call narrows the process that makes it.
 */
#ifndef LIB_FENCE_H
#define LIB_FENCE_H

#include <stddef.h>

struct err;

/* Becomes the user (name or number; NULL or "" keeps the present one), clears groups and capabilities, sets
 * no_new_privs. */
int fence_drop_rights(const char *user, struct err *);
/* Landlock: reads below `readable`, writes below `writable` (NULL-terminated lists), nothing else of the
 * file system. 0 also where the kernel has no Landlock: *active says. */
int fence_paths(const char *const *readable, const char *const *writable, int *active, struct err *);

enum fence_profile { FENCE_ENGINE, FENCE_COMPUTE /* no sockets, no exec, no new files */ };
/* seccomp filter; a forbidden call fails with EPERM and is logged by the kernel. */
int fence_syscalls(enum fence_profile, struct err *);

#endif

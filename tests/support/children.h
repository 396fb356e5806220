/*
 * children: the processes that one has started, as /proc shows them.
 */
#ifndef TESTS_SUPPORT_CHILDREN_H
#define TESTS_SUPPORT_CHILDREN_H

#include <sys/types.h>

/* The one that was started last; 0: there is none. The test is skipped where the kernel does not tell, or the parent is gone. */
pid_t children_youngest(pid_t parent);

#endif

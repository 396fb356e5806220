/*
 * offspring: the end of all that was started below this process, whatever it did to be left alone (sessions and groups of its
 * own, forking on). Who is to be found must still stand below: PR_SET_CHILD_SUBREAPER before the start.
 *
 * Thread: any; processes that others of our threads start meanwhile are ended, too.
 */
#ifndef LIB_OFFSPRING_H
#define LIB_OFFSPRING_H

#include <stddef.h>
#include <sys/types.h>

/* Ends all below this process but the count processes of `spare` and what they started; waits for none. */
void offspring_end(const pid_t *spare, size_t count);

#endif

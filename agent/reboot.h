/*
 * reboot: whether this host was started anew since the agent ran here before: the name of its boot is kept in the state
 * folder. Told once for each boot; an agent that never ran here knows of none.
 */
#ifndef AGENT_REBOOT_H
#define AGENT_REBOOT_H

#include <stdbool.h>
#include <stdint.h>

/* boot: clock_boot_id(). A file that cannot be written is logged, and told again after the next start. */
bool reboot_note(const char *state, uint64_t boot);

#endif

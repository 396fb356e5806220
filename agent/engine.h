/*
 * engine: the agent at work, in the process that has no rights: timetable -> run -> result -> journal ->
 * uplink, on one loop, until SIGTERM or SIGINT. SIGHUP reads the settings again and changes only what
 * changed; settings with an error change nothing.
 */
#ifndef AGENT_ENGINE_H
#define AGENT_ENGINE_H

struct err;
struct helper;

/* The exit status of the program: 0 ended as told, 1 runtime error, 3 settings not valid (logged). */
int engine_run(const char *settings_path, struct helper *);
/* What `check-config` does beyond reading the settings: the files they name, and who the certificate
 * says we are. */
struct agent_settings;
int engine_check_files(const struct agent_settings *, struct err *);

#endif

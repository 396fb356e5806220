/*
 * confine: the fences of the collector's processes (design §10), each whole in one call: what lib/fence is told
 * for it. All but render read the inventory, as a reload does; the settings are handed to them, as keys stand
 * beside those.
 *
 *   ingest  accepts on the sockets that it has bound; reads the files of TLS; writes journal/ and ingest/
 *   series  writes rrd/ and series/, reads the journal (what is damaged there it may put aside); no socket
 *   judge   writes judge/, reads the journal (likewise); no socket
 *   web     accepts on the sockets that it has bound; writes nothing
 *   render  reads fonts
 *   notify  connects to channels; reads judge/, what stands beside the file of channels and what that names; writes notice/
 *   parent  what its children need until they have confined themselves, as nobody gets back what his parent
 *           gave up: network, the state folder, other users. It reads everything, starts no program.
 *
 * None but notify connects to anything, none starts a process or a program; none but the parent keeps a capability.
 * Thread: the first one of the process, while there is no other.
 */
#ifndef COLLECTOR_CONFINE_H
#define COLLECTOR_CONFINE_H

struct err;
struct roster;
struct settings;

/* Makes the state folder and gives it to the user of the settings. */
int confine_parent(const struct settings *, struct err *);
/* Each becomes the user. Sockets are bound before, files of the state are opened after. */
int confine_ingest(const struct settings *, struct err *);
int confine_series(const struct settings *, struct err *);
int confine_judge(const struct settings *, struct err *);
int confine_web(const struct settings *, struct err *);
int confine_render(const struct settings *, struct err *);
int confine_notify(const struct settings *, const struct roster *, struct err *); /* NULL: no channels */
/* -1 with words: the next settings name what the processes that run cannot reach, or are not. */
int confine_holds(const struct settings *now, const struct settings *next, struct err *);

#endif

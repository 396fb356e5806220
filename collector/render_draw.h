/*
 * render_draw: a picture of values that were handed over, drawn by librrd's graph functions. No file, no network.
 *
 * One layer shows all that its probe type knows (the smoke of round-trip times with loss, the phases of a request);
 * several layers show one line each, IPv4 drawn through, IPv6 dashed. What was not measured is grey, never a value.
 * Texts are cleaned and escaped here: none reaches librrd as it came.
 * Thread: one, always the same (librrd 1.7 draws with state that threads would share).
 */
#ifndef COLLECTOR_RENDER_DRAW_H
#define COLLECTOR_RENDER_DRAW_H

struct buf;
struct channel_render;
struct err;

/* Time axes are Asia/Shanghai. Call once, before anything is drawn. */
void render_draw_init(void);
/* Draws a first picture, which finds and opens the fonts and takes far longer than those that follow. */
void render_draw_warm_up(void);
/* Adds the picture, SVG or PNG, to out. */
int render_draw(const struct channel_render *, struct buf *out, struct err *);

#endif

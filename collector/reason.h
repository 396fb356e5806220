/*
 * reason: says in Chinese why something is as it is. Probes give reasons in short exact English, which stays what journal, ledger and
 * programs see; pages and letters in Chinese say it by this table of shapes. Pure.
 *
 * A shape is English with holes: {} any words, {#} a number, {*} words that are a reason themselves. What has no shape is
 * tried in its parts, divided by "; " and ": "; what is left, such as words of a plugin, stays as it is.
 * Thread: any. Limits: none but those of the words; the work grows with their length alone.
 */
#ifndef COLLECTOR_REASON_H
#define COLLECTOR_REASON_H

struct buf;
struct json;

/* Adds the words in Chinese. */
void reason_say_zh(const char *reason, struct buf *out);
/* "reason", and "reason_zh" where there is one. */
void reason_put(struct json *, const char *reason);

/* The table (reason_words.c), ends with a NULL. {1} to {9} of zh are the holes of en. */
struct reason_shape { const char *en, *zh; };
extern const struct reason_shape reason_shapes[];

#endif

/*
 * command: notices given to a local program that the file of commands allows, by way of the runner (runner.h).
 *
 * The program gets the facts of the notice as variables XUNJIAN_<NAME> (facts.h), title and text on its input. Exit status 0 is
 * success; what it wrote, its first COMMAND_WORDS_MAX bytes, goes into the words. It has ended COMMAND_MARGIN before the send is late.
 * Thread: the loop's.
 */
#ifndef COLLECTOR_NOTICE_COMMAND_H
#define COLLECTOR_NOTICE_COMMAND_H

#include "collector/notice/letter.h"

#define COMMAND_WORDS_MAX 300

struct facts;
struct runner_ask;
struct runner_end;

/* Variables of the ask are owned: command_free_ask. The input is borrowed from `input`. Pure. */
void command_write(const struct roster_channel *, const struct facts *, int64_t timeout, struct buf *input, struct runner_ask *);
void command_free_ask(struct runner_ask *);
/* What the end of a command means. Pure. */
enum letter_outcome command_answer(const struct runner_end *, struct err *words);

#endif

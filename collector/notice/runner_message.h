/*
 * runner_message: what those who send notices and the runner of commands say to each other, as bytes. Pure.
 *
 *   ask   u32 timeout in ms, text name of the command, u16 number of variables, their texts, u32 length and bytes of its input;
 *         a text: u16 length, bytes
 *   end   u32 how, u32 status, the rest: bytes of its output, or words
 *
 * An ask comes from a process with less rights and is taken only when all of it holds to the rules: variables are
 * XUNJIAN_[A-Z]+=text without NUL.
 */
#ifndef COLLECTOR_NOTICE_RUNNER_MESSAGE_H
#define COLLECTOR_NOTICE_RUNNER_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define RUNNER_TIMEOUT_MAX 300 /* s */
#define RUNNER_VARIABLES 32
#define RUNNER_VARIABLE_MAX 1500
#define RUNNER_INPUT_MAX 16384
#define RUNNER_ASK_MAX (RUNNER_VARIABLES * (RUNNER_VARIABLE_MAX + 2) + RUNNER_INPUT_MAX + 256)
#define RUNNER_OUTPUT_MAX 2048 /* bytes of output that are kept */

struct buf;

enum runner_how {
	RUNNER_EXITED = 1, /* status is what it exited with */
	RUNNER_SIGNALLED,  /* status is the signal */
	RUNNER_LATE,       /* ended at the deadline */
	RUNNER_BUSY,       /* as many run as may */
	RUNNER_FAILED,     /* never began: output says why */
};

struct runner_ask {
	int64_t timeout; /* ns */
	const char *name;
	size_t count;
	char *variables[RUNNER_VARIABLES];
	const void *input;
	size_t input_len;
};

struct runner_end {
	enum runner_how how;
	int status;
	const uint8_t *output;
	size_t len;
};

void runner_message_put_ask(struct buf *, const struct runner_ask *);
/* Texts are owned (runner_message_fini_ask, whatever comes back), the input borrowed. -1: against the rules. */
int runner_message_read_ask(const void *bytes, size_t len, struct runner_ask *);
void runner_message_fini_ask(struct runner_ask *);

void runner_message_put_end(struct buf *, const struct runner_end *);
int runner_message_read_end(const void *bytes, size_t len, struct runner_end *); /* borrows */

#endif

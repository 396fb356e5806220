#include "collector/notice/command.h"

#include <assert.h>
#include <ctype.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/notice/facts.h"
#include "collector/notice/phrase.h"
#include "collector/notice/runner.h"
#include "collector/notice/runner_message.h"
#include "collector/notice/send_kind.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define MARGIN NS_PER_S /* a command is ended this long before the send is late, so that its end is heard */
#define ANSWER_MAX (RUNNER_OUTPUT_MAX + 64)
#define INPUT_MAX (RUNNER_INPUT_MAX - 2)

/* ---- what it is given */

static char *variable(enum fact f, const char *value)
{
	const int len = (int)phrase_cut(value, RUNNER_VARIABLE_MAX - 64);
	char *text = mem_format("XUNJIAN_%s=%.*s", facts_name(f), len, value);

	for (char *p = text; *p != '='; p++)
		*p = (char)toupper((unsigned char)*p);
	return text;
}

void command_write(const struct roster_channel *c, const struct facts *f, int64_t timeout, struct buf *input, struct runner_ask *a)
{
	*a = (struct runner_ask){.timeout = timeout > 2 * MARGIN ? timeout - MARGIN : timeout / 2, .name = c->command};
	if (a->timeout > RUNNER_TIMEOUT_MAX * NS_PER_S)
		a->timeout = RUNNER_TIMEOUT_MAX * NS_PER_S;
	for (int i = 0; i < FACT_TEXT; i++)
		a->variables[a->count++] = variable((enum fact)i, f->text[i]);
	buf_add_format(input, "%s\n%s", f->text[FACT_TITLE], f->text[FACT_TEXT]);
	input->len = phrase_cut(buf_text(input), INPUT_MAX);
	buf_add_u8(input, '\n');
	a->input = input->data;
	a->input_len = input->len;
}

void command_free_ask(struct runner_ask *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->variables[i]);
}

/* ---- what it answers */

static char *words_of(const struct runner_end *end)
{
	struct buf text = {0}, clean = {0};
	char *words;

	buf_add(&text, end->output, end->len);
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.len--;
	phrase_add_clean(&clean, buf_text(&text));
	words = mem_strdup(buf_text(&clean));
	words[phrase_cut(words, COMMAND_WORDS_MAX)] = '\0';
	buf_fini(&text);
	buf_fini(&clean);
	return words;
}

enum letter_outcome command_answer(const struct runner_end *end, struct err *words)
{
	enum letter_outcome outcome = LETTER_AGAIN;
	char *text = words_of(end);
	const char *between = *text != '\0' ? ": " : "";

	switch (end->how) {
	case RUNNER_EXITED:
		err_set(words, "exit status %d%s%s", end->status, between, text);
		outcome = end->status == 0 ? LETTER_TAKEN : LETTER_AGAIN;
		break;
	case RUNNER_SIGNALLED:
		err_set(words, "ended by signal %d%s%s", end->status, between, text);
		break;
	case RUNNER_LATE:
		err_set(words, "did not end in time, and was ended%s%s", between, text);
		break;
	case RUNNER_BUSY:
		err_set(words, "as many commands as may run do so already");
		break;
	case RUNNER_FAILED:
		err_set(words, "could not be started%s%s", between, text);
		outcome = LETTER_REFUSED;
		break;
	}
	free(text);
	return outcome;
}

/* ---- the way there */

struct command_send {
	struct send *send;
	int fd;
	struct event *event;
	struct buf answer;
};

static void on_end(struct command_send *c)
{
	enum letter_outcome outcome = LETTER_AGAIN;
	struct runner_end end;
	struct err words;

	if (c->answer.len == 0)
		err_set(&words, "the process that started the command has ended");
	else if (runner_message_read_end(c->answer.data, c->answer.len, &end) < 0)
		err_set(&words, "the process that starts commands broke the rules");
	else
		outcome = command_answer(&end, &words);
	send_ended(c->send, outcome, words.text);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct command_send *c = ctx;
	ssize_t n = read(fd, buf_reserve(&c->answer, 4096), 4096);

	(void)what;
	if (n < 0)
		return; /* not yet */
	c->answer.len += (size_t)n;
	if (n > 0 && c->answer.len <= ANSWER_MAX)
		return;
	event_del(c->event);
	on_end(c);
}

static void command_stop(void *state)
{
	struct command_send *c = state;

	event_free(c->event);
	close(c->fd); /* which ends the command, should it run */
	buf_fini(&c->answer);
	free(c);
}

static int ask(struct sender *sender, const struct send_order *o, struct err *words)
{
	struct runner_ask a;
	struct buf input = {0};
	struct facts f;
	int fd;

	facts_make(o->channel, o->intent, o->phrase, o->facts, &f);
	command_write(o->channel, &f, o->timeout, &input, &a);
	fd = runner_send(sender->runner, &a, words);
	command_free_ask(&a);
	buf_fini(&input);
	facts_fini(&f);
	return fd;
}

static void *command_start(struct sender *sender, struct send *send, const struct send_order *o, struct err *words)
{
	struct command_send *c;
	int fd = -1;

	if (sender->runner < 0)
		err_set(words, "the process that starts commands is not known yet");
	else
		fd = ask(sender, o, words);
	if (fd < 0) {
		send_ended(send, fd == RUNNER_GONE ? LETTER_REFUSED : LETTER_AGAIN, words->text);
		return NULL;
	}
	c = mem_alloc(sizeof *c);
	*c = (struct command_send){.send = send, .fd = fd};
	c->event = event_new(sender->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	assert(c->event != NULL);
	event_add(c->event, NULL);
	return c;
}

static void command_late(void *state, struct err *words)
{
	(void)state;
	err_set(words, "the process that starts commands does not answer");
}

const struct send_kind send_command = {.start = command_start, .late = command_late, .stop = command_stop};

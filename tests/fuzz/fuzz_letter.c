/* What a receiver answers, by kind of channel: it ends in one of the outcomes, with words that are clean. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notice/letter.h"
#include "lib/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum roster_kind kinds[] = {
		ROSTER_SMTP, ROSTER_WECOM, ROSTER_DINGTALK, ROSTER_FEISHU, ROSTER_ALERTMANAGER, ROSTER_SMS};
	struct roster_channel c = {.id = "c", .success = "code=0"};
	struct err words = {.text = ""};
	enum letter_outcome outcome;

	if (len < 2)
		return 0;
	c.kind = kinds[data[0] % (sizeof kinds / sizeof *kinds)];
	outcome = letter_answer(&c, data[1] * 4L, data + 2, len - 2 < LETTER_ANSWER_MAX ? len - 2 : LETTER_ANSWER_MAX, &words);
	if (outcome > LETTER_REFUSED || words.text[0] == '\0')
		abort();
	/* Only what says so by its own code was taken. */
	if (outcome == LETTER_TAKEN && c.kind != ROSTER_SMTP && c.kind != ROSTER_ALERTMANAGER && memchr(data + 2, '0', len - 2) == NULL)
		abort();
	return 0;
}

#include "agent/beat_packet.h"

#include <string.h>

#include "lib/err.h"
#include "lib/num.h"

#define NUMBER_MAX (INT64_C(1) << 53)

struct words {
	const char *at, *end;
};

/* The bytes up to the next space, which is passed; false: there is none. */
static bool take_word(struct words *w, char *out, size_t room)
{
	const char *space = memchr(w->at, ' ', (size_t)(w->end - w->at));
	size_t len = space != NULL ? (size_t)(space - w->at) : 0;

	if (len == 0 || len >= room || memchr(w->at, '\0', len) != NULL)
		return false;
	memcpy(out, w->at, len);
	out[len] = '\0';
	w->at = space + 1;
	return true;
}

static bool take_number(struct words *w, int64_t *out)
{
	char digits[20];
	struct err ignored;

	return take_word(w, digits, sizeof digits) && num_parse_int(digits, 0, NUMBER_MAX, out, &ignored) == 0;
}

static bool decode_mac(const char *hex, uint8_t mac[BEAT_MAC_LEN])
{
	for (size_t i = 0; i < BEAT_MAC_LEN; i++) {
		int high = num_hex_digit(hex[2 * i]), low = num_hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static size_t without_newline(const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		len--;
	return len > 0 && text[len - 1] == '\r' ? len - 1 : len;
}

static bool decode_text(const char *text, size_t len, char out[SAMPLE_TEXT_MAX + 1])
{
	if (len > SAMPLE_TEXT_MAX || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return text_is_clean(out, SAMPLE_TEXT_MAX);
}

bool beat_report_decode(const void *data, size_t len, struct beat_report *r)
{
	const char *text = data;
	size_t word;

	memset(r, 0, sizeof *r);
	len = without_newline(text, len);
	r->is_up = len < 4 || memcmp(text, "down", 4) != 0;
	word = r->is_up ? 2 : 4;
	if (len == 0)
		return true;
	if (len < word || (r->is_up && memcmp(text, "up", 2) != 0))
		return false;
	if (len == word)
		return true;
	return text[word] == ' ' && decode_text(text + word + 1, len - word - 1, r->text);
}

bool beat_packet_decode(const void *data, size_t len, struct beat_packet *p)
{
	static const char name[] = "xunjian1 ";
	const size_t mac_len = 2 * BEAT_MAC_LEN;
	struct words w = {.at = data};
	struct err ignored;

	memset(p, 0, sizeof *p);
	if (len > BEAT_PACKET_MAX)
		return false;
	len = without_newline(data, len);
	if (len < sizeof name - 1 + 1 + mac_len || memcmp(data, name, sizeof name - 1) != 0)
		return false;
	p->sealed = len - 1 - mac_len;
	w.end = w.at + p->sealed;
	w.at += sizeof name - 1;
	if (*w.end != ' ' || !decode_mac(w.end + 1, p->mac))
		return false;
	if (!take_word(&w, p->window, sizeof p->window) || num_check_id(p->window, &ignored) < 0)
		return false;
	/* Here a state must stand. */
	return take_number(&w, &p->time) && take_number(&w, &p->counter) && w.at < w.end && *w.end == ' ' &&
		beat_report_decode(w.at, (size_t)(w.end - w.at), &p->report);
}

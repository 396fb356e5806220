#include "collector/series_queue.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

/* First byte(s) of a number: 0 unknown, 1 a double follows, else the integer, zigzag, plus 2. */
enum { CODE_UNKNOWN, CODE_DOUBLE, CODE_INTEGER };

#define ROOM_STEP 64
#define INTEGER_MAX 9007199254740992.0 /* 2^53: integers a double holds exactly */
#define NUMBER_BYTES 10

static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

void series_queue_fini(struct series_queue *q)
{
	free(q->data);
	*q = (struct series_queue){0};
}

void series_queue_clear(struct series_queue *q)
{
	int64_t newest = q->newest;

	series_queue_fini(q);
	q->newest = newest;
}

/* ---- encoding */

static uint8_t *reserve(struct series_queue *q, size_t more)
{
	if (q->room - q->len < more) {
		size_t room = q->len + more + q->len / 4;

		room += ROOM_STEP - room % ROOM_STEP;
		assert(room <= UINT32_MAX);
		q->data = mem_resize(q->data, room, 1);
		q->room = (uint32_t)room;
	}
	return q->data + q->len;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static uint8_t *put_number(uint8_t *p, double number, unsigned decimals)
{
	double scaled = number * powers[decimals];

	if (isnan(number)) {
		*p++ = CODE_UNKNOWN;
		return p;
	}
	if (fabs(scaled) < INTEGER_MAX) {
		int64_t integer = llround(scaled);

		if ((double)integer / powers[decimals] == number)
			return put_varint(p, zigzag(integer) + CODE_INTEGER);
	}
	*p++ = CODE_DOUBLE;
	memcpy(p, &number, sizeof number);
	return p + sizeof number;
}

static uint8_t *put_head(struct series_queue *q, uint8_t *p, int64_t time, uint32_t interval_s)
{
	assert(q->count == 0 || time > q->newest);
	p = put_varint(p, (uint64_t)(q->count == 0 ? time : time - q->newest));
	p = put_varint(p, interval_s);
	q->newest = time;
	q->count++;
	return p;
}

void series_queue_add(struct series_queue *q, int64_t time, uint32_t interval_s, const double *numbers,
	const uint8_t *decimals, size_t columns)
{
	uint8_t bytes[(2 + SERIES_COLUMNS_MAX) * NUMBER_BYTES], *p;

	assert(columns <= SERIES_COLUMNS_MAX);
	p = put_head(q, bytes, time, interval_s);
	for (size_t i = 0; i < columns; i++)
		p = put_number(p, numbers[i], decimals[i]);
	memcpy(reserve(q, (size_t)(p - bytes)), bytes, (size_t)(p - bytes));
	q->len += (uint32_t)(p - bytes);
}

void series_queue_keep(struct series_queue *q, const struct series_set *set)
{
	size_t bytes = (size_t)(set->end - set->numbers);
	uint8_t *p = reserve(q, 2 * NUMBER_BYTES + bytes);

	p = put_head(q, p, set->time, set->interval_s);
	memcpy(p, set->numbers, bytes);
	q->len = (uint32_t)(p + bytes - q->data);
}

/* ---- decoding: of bytes that were made above, so nothing is checked */

static const uint8_t *take_varint(const uint8_t *p, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0;; shift += 7) {
		*v |= (uint64_t)(*p & 0x7f) << shift;
		if ((*p++ & 0x80) == 0)
			return p;
	}
}

static const uint8_t *skip_number(const uint8_t *p)
{
	uint64_t code;

	p = take_varint(p, &code);
	return code == CODE_DOUBLE ? p + sizeof(double) : p;
}

struct series_queue_walk series_queue_walk(const struct series_queue *q, size_t columns)
{
	return (struct series_queue_walk){.at = q->data, .end = q->data + q->len, .columns = columns};
}

bool series_queue_next(struct series_queue_walk *w, struct series_set *set)
{
	uint64_t step, interval_s;

	if (w->at == w->end)
		return false;
	w->at = take_varint(w->at, &step);
	w->at = take_varint(w->at, &interval_s);
	w->time += (int64_t)step;
	*set = (struct series_set){w->time, (uint32_t)interval_s, w->at, NULL};
	for (size_t i = 0; i < w->columns; i++)
		w->at = skip_number(w->at);
	set->end = w->at;
	return true;
}

/* ---- text */

static char *put_digits(char *p, uint64_t v, unsigned at_least)
{
	char digits[20];
	unsigned n = 0;

	while (v > 0 || n < at_least) {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	}
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

static char *put_decimal(char *p, int64_t integer, unsigned decimals)
{
	uint64_t v = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
	uint64_t unit = (uint64_t)powers[decimals];

	if (integer < 0)
		*p++ = '-';
	p = put_digits(p, v / unit, 1);
	if (decimals > 0) {
		*p++ = '.';
		p = put_digits(p, v % unit, decimals);
	}
	return p;
}

static const uint8_t *put_text(const uint8_t *from, unsigned decimals, char **to)
{
	uint64_t code;

	from = take_varint(from, &code);
	if (code == CODE_UNKNOWN) {
		*(*to)++ = 'U';
	} else if (code == CODE_DOUBLE) {
		double number;

		memcpy(&number, from, sizeof number);
		from += sizeof number;
		*to += sprintf(*to, "%.17g", number);
	} else {
		*to = put_decimal(*to, unzigzag(code - CODE_INTEGER), decimals);
	}
	return from;
}

size_t series_set_text(const struct series_set *set, const uint8_t *decimals, char out[SERIES_SET_TEXT])
{
	char *p = put_digits(out, (uint64_t)set->time, 1);

	for (const uint8_t *from = set->numbers; from != set->end;) {
		*p++ = ':';
		from = put_text(from, *decimals++, &p);
	}
	*p = '\0';
	return (size_t)(p - out);
}

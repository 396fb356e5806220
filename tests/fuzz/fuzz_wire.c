/* Everything that is decoded from the wire; the first byte picks which. What is accepted must be walked
 * without harm, and a result that is accepted must fit a batch and come back from it. */
#include <stdlib.h>
#include <string.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void walk_rows(struct wire_rows *rows)
{
	for (size_t i = 0; i < wire_rows_count(rows); i++) {
		struct result r;
		uint64_t seq;

		wire_rows_next(rows, &r, &seq);
		if (!family_is_valid(r.family) || !outcome_is_valid(r.outcome) || r.count > SAMPLE_VALUES_MAX)
			abort();
		if (!text_is_clean(r.reason, SAMPLE_TEXT_MAX) || !text_is_clean(r.part, SAMPLE_TEXT_MAX))
			abort();
	}
}

static void try_batch(const uint8_t *data, size_t len)
{
	struct err e;
	struct wire_batch *b = wire_batch_decode(data, len, &e);

	if (b == NULL)
		return;
	if (b->head.first > b->head.last || b->head.first == 0)
		abort();
	walk_rows(b->rows);
	wire_batch_free(b);
}

static void try_now(const uint8_t *data, size_t len)
{
	struct err e;
	struct wire_batch *b = wire_now_decode(data, len, &e);

	if (b != NULL)
		walk_rows(b->rows);
	wire_batch_free(b);
}

static void try_result(const uint8_t *data, size_t len)
{
	struct wire_batch_head head = {.agent = "a", .epoch = 1, .first = 1, .last = 1, .sent_mono = 1, .sent_real = 1};
	struct wire_packer *packer = wire_packer_new(1u << 20);
	struct buf out = {0};
	struct err e;

	if (wire_packer_add(packer, 1, ENTRY_RESULT, data, len, &e) == 1) {
		struct wire_batch *b;

		wire_packer_finish(packer, &head, &out);
		b = wire_batch_decode(out.data, out.len, &e);
		if (b == NULL || wire_rows_count(b->rows) != 1)
			abort();
		wire_batch_free(b);
	}
	buf_fini(&out);
	wire_packer_free(packer);
}

static void try_request(const uint8_t *data, size_t len)
{
	struct err e;
	struct wire_request *r = wire_request_decode(data, len, &e), *again;
	struct buf out = {0};

	if (r == NULL)
		return;
	/* What is kept in the journal is what was understood, and must be understood again. */
	wire_request_encode(r, &out);
	again = wire_request_decode(out.data, out.len, &e);
	if (again == NULL || strcmp(again->author, r->author) != 0 || again->subjects_count != r->subjects_count)
		abort();
	wire_request_free(again);
	wire_request_free(r);
	buf_fini(&out);
}

static void try_small(uint8_t which, const uint8_t *data, size_t len)
{
	struct wire_answer answer;
	struct buf out = {0};
	struct err e;

	switch (which) {
	case 3:
		wire_answer_decode(data, len, &answer, &e);
		break;
	case 4:
		wire_assignments_free(wire_assignments_decode(data, len, &e));
		break;
	case 5:
		wire_envelope_free(wire_envelope_decode(data, len, &e));
		break;
	case 7:
		try_request(data, len);
		wire_note_free(wire_note_decode(data, len, &e));
		break;
	default:
		if (wire_decompress(data, len, &out, &e) == 0 && out.len > WIRE_BODY_MAX)
			abort();
		break;
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	switch (data[0] % 8) {
	case 0:
		try_batch(data + 1, len - 1);
		break;
	case 1:
		try_now(data + 1, len - 1);
		break;
	case 2:
		try_result(data + 1, len - 1);
		break;
	default:
		try_small(data[0] % 8, data + 1, len - 1);
		break;
	}
	return 0;
}

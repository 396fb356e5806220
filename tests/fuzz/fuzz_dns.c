/* Messages of the DNS: the first two bytes are the type that was asked for. */
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/sample.h"
#include "probes/dns_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void judge(const struct dns_message *m, unsigned type, const struct dns_answers *a)
{
	const char *expected[] = {"192.0.2.1", "~^10 mail", "mail.gov.example."};
	struct dns_options o = {.expect = {.count = 0, .items = expected}};
	struct buf why = {0};

	for (; o.expect.count <= 3; o.expect.count++) {
		buf_clear(&why);
		if (dns_judge(&o, m, type, a, &why) != (why.len == 0))
			abort();
	}
	o = (struct dns_options){.expect_status = DNS_WANT_NODATA, .dnssec = DNS_SECURITY_SIGNED, .authoritative = true};
	dns_judge(&o, m, type, a, &why);
	buf_fini(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[DNS_NAME_TEXT];
	struct dns_answers answers;
	struct dns_walk w = {0};
	struct dns_message m;
	struct dns_record r;
	unsigned type, count = 0;
	struct err e;

	if (len < 2)
		return 0;
	type = (unsigned)(data[0] << 8 | data[1]);
	if (dns_message_head(data + 2, len - 2, &m, &e) < 0 || dns_message_records(&m, &e) < 0)
		return 0;
	if (m.name_len > 0 && !text_is_clean(dns_name_text(m.name, text), sizeof text))
		abort();
	dns_message_follow(&m, type, &answers);
	while (dns_answer_next(&m, &answers, type, &w, &r)) {
		struct buf out = {0};

		count++;
		dns_record_text(&m, &r, &out);
		if (r.at + r.len > len - 2)
			abort();
		buf_fini(&out);
	}
	if (count != answers.count)
		abort();
	judge(&m, type, &answers);
	return 0;
}

/*
 * What a server says to a hello, and in the dialogues before one: whatever bytes come, however cut. The first byte of the input
 * chooses the decoder, the second how the rest is cut; certificates that were found are read as far as a probe does.
 */
#include <assert.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probes/certificate.h"
#include "probes/tls_ocsp.h"
#include "probes/tls_packet.h"
#include "probes/tls_starttls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_certificate(const uint8_t *der, size_t len)
{
	struct certificate c = {.host = "portal.gov.example", .verify = true};
	X509 *x = d2i_X509(NULL, &der, (long)len);
	X509_STORE *roots;
	char names[200], day[16];

	if (x == NULL)
		return;
	roots = X509_STORE_new();
	certificate_judge(roots, x, NULL, &c);
	certificate_is_sm2(x);
	certificate_format_names(x, names, sizeof names);
	certificate_format_day(X509_get0_notAfter(x), day);
	assert(strlen(c.words) > 0);
	X509_STORE_free(roots);
	X509_free(x);
}

static void fuzz_flight(uint16_t version, size_t cut, const uint8_t *data, size_t size)
{
	enum tls_flight_step step = TLS_FLIGHT_MORE;
	struct tls_flight f;

	tls_flight_init(&f, version);
	for (size_t at = 0; at < size && step == TLS_FLIGHT_MORE; at += cut)
		step = tls_flight_feed(&f, data + at, size - at < cut ? size - at : cut);
	assert((step == TLS_FLIGHT_REFUSED) == (f.words[0] != '\0'));
	assert(step != TLS_FLIGHT_AGREED || f.version == version);
	for (size_t i = 0; i < f.certificates_count; i++) {
		size_t len;
		const uint8_t *der = tls_flight_certificate(&f, i, &len);

		read_certificate(der, len);
	}
	tls_flight_fini(&f);
}

static void fuzz_dialogue(enum starttls_kind kind, size_t cut, const uint8_t *data, size_t size)
{
	enum starttls_step step = STARTTLS_MORE;
	struct starttls s;

	starttls_init(&s, kind);
	for (size_t at = 0; at < size && step == STARTTLS_MORE; at += cut) {
		step = starttls_feed(&s, data + at, size - at < cut ? size - at : cut);
		assert(s.out.len < 200 && s.in.len <= STARTTLS_MAX);
	}
	assert((step == STARTTLS_FAILED) == (s.words[0] != '\0'));
	starttls_fini(&s);
}

static void fuzz_staple(const uint8_t *data, size_t size)
{
	X509 *leaf = X509_new();
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509_STORE *roots = X509_STORE_new();
	struct tls_ocsp o;

	tls_ocsp_judge(data, (long)size, leaf, chain, roots, &o);
	assert(o.status == TLS_OCSP_UNUSABLE && o.words[0] != '\0');
	X509_STORE_free(roots);
	sk_X509_free(chain);
	X509_free(leaf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t versions[] = {TLS_V_TLCP, TLS_V_1_0, TLS_V_1_2, TLS_V_1_3};
	size_t cut;

	if (size < 2)
		return 0;
	cut = data[1] == 0 ? size : data[1];
	if (data[0] % 9 < 4)
		fuzz_flight(versions[data[0] % 9], cut, data + 2, size - 2);
	else if (data[0] % 9 < 8)
		fuzz_dialogue((enum starttls_kind)(data[0] % 9 - 3), cut, data + 2, size - 2);
	else
		fuzz_staple(data + 2, size - 2);
	return 0;
}

#include "agent/probe_cell.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "probes/catalog_dns.h"
#include "probes/catalog_exec.h"
#include "probes/catalog_tls.h"

#define A_DATE 1e9 /* s: no duration is as long, seconds since 1970 are */
#define LONG 120   /* s */

static void format_seconds(double s, char out[PROBE_CELL_MAX])
{
	char text[NUM_TEXT];
	time_t t = (time_t)s;
	struct tm tm;

	if (s < 1) {
		snprintf(out, PROBE_CELL_MAX, "%.3f ms", s * 1000);
	} else if (s < LONG) {
		snprintf(out, PROBE_CELL_MAX, "%.3f s", s);
	} else if (s >= A_DATE && s < 1e11 && gmtime_r(&t, &tm) != NULL) {
		strftime(out, PROBE_CELL_MAX, "%Y-%m-%d %H:%M:%SZ", &tm);
	} else {
		num_format_duration((int64_t)(s < A_DATE ? s : A_DATE) * NS_PER_S, text);
		snprintf(out, PROBE_CELL_MAX, "%s", text);
	}
}

#define SMALL 10000 /* B or bit/s: read as they are */

/* The largest unit that gives at least 1. */
static bool format_scaled(const char *unit, double n, char out[PROBE_CELL_MAX])
{
	static const char *const binary[] = {"KiB", "MiB", "GiB", "TiB", "PiB"}, *const decimal[] = {"k", "M", "G", "T", "P"};
	bool is_bytes = unit[0] == 'B' && (unit[1] == '\0' || unit[1] == '/');
	double step = is_bytes ? 1024 : 1000;
	int at = -1;

	if ((!is_bytes && strcmp(unit, "bit/s") != 0) || fabs(n) < SMALL)
		return false;
	while (fabs(n) >= step && at < 4) {
		n /= step;
		at++;
	}
	if (is_bytes)
		snprintf(out, PROBE_CELL_MAX, "%.2f %s%s", n, binary[at], unit + 1);
	else
		snprintf(out, PROBE_CELL_MAX, "%.2f %s%s", n, decimal[at], unit);
	return true;
}

/* Numbers that stand for something; nobody knows cipher suite 4866 by that. */
static const struct { uint32_t metric; uint16_t number; const char *name; } words[] = {
	{DNS_RCODE, 0, "NOERROR"}, {DNS_RCODE, 1, "FORMERR"}, {DNS_RCODE, 2, "SERVFAIL"}, {DNS_RCODE, 3, "NXDOMAIN"},
	{DNS_RCODE, 4, "NOTIMP"}, {DNS_RCODE, 5, "REFUSED"},
	{EXEC_STATE, 0, "OK"}, {EXEC_STATE, 1, "WARNING"}, {EXEC_STATE, 2, "CRITICAL"}, {EXEC_STATE, 3, "UNKNOWN"},
	{TLS_CIPHER, 0x1301, "AES_128_GCM_SHA256"}, {TLS_CIPHER, 0x1302, "AES_256_GCM_SHA384"},
	{TLS_CIPHER, 0x1303, "CHACHA20_POLY1305_SHA256"}, {TLS_CIPHER, 0x00c6, "SM4_GCM_SM3"}, {TLS_CIPHER, 0x00c7, "SM4_CCM_SM3"},
	{TLS_CIPHER, 0xc02b, "ECDHE_ECDSA_AES_128_GCM_SHA256"}, {TLS_CIPHER, 0xc02c, "ECDHE_ECDSA_AES_256_GCM_SHA384"},
	{TLS_CIPHER, 0xc02f, "ECDHE_RSA_AES_128_GCM_SHA256"}, {TLS_CIPHER, 0xc030, "ECDHE_RSA_AES_256_GCM_SHA384"},
	{TLS_CIPHER, 0xcca8, "ECDHE_RSA_CHACHA20_POLY1305"}, {TLS_CIPHER, 0xcca9, "ECDHE_ECDSA_CHACHA20_POLY1305"},
	{TLS_CIPHER, 0xc013, "ECDHE_RSA_AES_128_CBC_SHA"}, {TLS_CIPHER, 0xc014, "ECDHE_RSA_AES_256_CBC_SHA"},
	{TLS_CIPHER, 0x002f, "RSA_AES_128_CBC_SHA"}, {TLS_CIPHER, 0x0035, "RSA_AES_256_CBC_SHA"},
	{TLS_CIPHER, 0x009c, "RSA_AES_128_GCM_SHA256"}, {TLS_CIPHER, 0x009d, "RSA_AES_256_GCM_SHA384"},
	{TLS_TLCP_CIPHER, 0xe011, "ECDHE_SM4_CBC_SM3"}, {TLS_TLCP_CIPHER, 0xe013, "ECC_SM4_CBC_SM3"},
	{TLS_TLCP_CIPHER, 0xe051, "ECDHE_SM4_GCM_SM3"}, {TLS_TLCP_CIPHER, 0xe053, "ECC_SM4_GCM_SM3"},
	{TLS_GROUP, 23, "secp256r1"}, {TLS_GROUP, 24, "secp384r1"}, {TLS_GROUP, 25, "secp521r1"}, {TLS_GROUP, 29, "x25519"},
	{TLS_GROUP, 30, "x448"}, {TLS_GROUP, 41, "curveSM2"}, {TLS_GROUP, 4588, "X25519MLKEM768"},
};

static void format_number(const struct metric *m, double n, char out[PROBE_CELL_MAX])
{
	bool is_code = n >= 0 && n <= UINT16_MAX;

	for (size_t i = 0; is_code && i < sizeof words / sizeof *words; i++) {
		if (words[i].metric == m->number && words[i].number == (uint16_t)n) {
			snprintf(out, PROBE_CELL_MAX, "%s", words[i].name);
			return;
		}
	}
	if (is_code && (m->number == TLS_CIPHER || m->number == TLS_TLCP_CIPHER))
		snprintf(out, PROBE_CELL_MAX, "0x%04x", (unsigned)n);
	else
		snprintf(out, PROBE_CELL_MAX, "%.*f", (int)m->decimals, n);
}

void probe_cell_format(const struct metric *m, double n, char out[PROBE_CELL_MAX])
{
	if (strcmp(m->unit, "s") == 0)
		format_seconds(n, out);
	else if (format_scaled(m->unit, n, out))
		return;
	else if (strcmp(m->unit, "1") == 0)
		format_number(m, n, out);
	else
		snprintf(out, PROBE_CELL_MAX, "%.*f %s", (int)m->decimals, n, m->unit);
}

const char *probe_cell_label(const struct metric *m, const char *locale)
{
	return locale != NULL && strncmp(locale, "zh", 2) == 0 ? m->label_zh : m->label_en;
}

const char *probe_cell_locale(void)
{
	static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && *value != '\0')
			return value;
	}
	return NULL;
}

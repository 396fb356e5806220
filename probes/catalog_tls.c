#include "probes/catalog_tls.h"

#include <string.h>

#include "lib/err.h"
#include "probes/catalog_fields.h"

CATALOG_CHECK_TARGET(tls_options, host);

static const struct config_field tls_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct tls_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address to connect to"},
	CATALOG_FIELD_PINS(tls_options),
	{.name = "port", .kind = CONFIG_INT, .offset = offsetof(struct tls_options, port), .fallback = "0",
		.min = 0, .max = 65535,
		.help = "TCP port; 0 is that of the protocol: 443, with starttls 25, 143, 389, 5432"},
	{.name = "server_name", .kind = CONFIG_TEXT, .offset = offsetof(struct tls_options, server_name),
		.fallback = "", .max = CATALOG_HOST_MAX,
		.help = "name that is asked for (SNI) and that the certificate must be for, when it is not host"},
	{.name = "starttls", .kind = CONFIG_CHOICE, .offset = offsetof(struct tls_options, starttls),
		.fallback = "none", .choices = "none|smtp|imap|ldap|postgres",
		.help = "protocol in whose dialogue TLS begins"},
	{.name = "verify", .kind = CONFIG_BOOL, .offset = offsetof(struct tls_options, verify),
		.fallback = "true",
		.help = "whether a certificate that does not verify, or is revoked by a stapled answer, is down"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = offsetof(struct tls_options, ca), .fallback = "",
		.help = "PEM file on the agent to verify against instead of the system's"},
	{.name = "versions", .kind = CONFIG_BOOL, .offset = offsetof(struct tls_options, versions),
		.fallback = "true",
		.help = "whether TLS 1.0, 1.1, 1.2 and 1.3 are each asked for on a connection of its own"},
	{.name = "min_version", .kind = CONFIG_CHOICE, .offset = offsetof(struct tls_options, min_version),
		.fallback = "any", .choices = "any|1.1|1.2|1.3",
		.help = "lowest version that the server may speak: down when it agrees to a lower one"},
	{.name = "ciphers", .kind = CONFIG_CHOICE, .offset = offsetof(struct tls_options, ciphers),
		.fallback = "any", .choices = "any|strong|forward|aead",
		.help = "what every suite that the server agrees to must be: strong (not NULL, anonymous, export, RC4, "
			"DES, 3DES), of forward secrecy, with authenticated encryption; each word includes those before"},
	{.name = "ocsp_required", .kind = CONFIG_BOOL, .offset = offsetof(struct tls_options, ocsp_required),
		.fallback = "false", .help = "whether a good OCSP answer must be stapled"},
	{.name = "tlcp", .kind = CONFIG_CHOICE, .offset = offsetof(struct tls_options, tlcp),
		.fallback = "none", .choices = "none|offered|required|only",
		.help = "TLCP (GB/T 38636): not asked for, told, down when it is missing or its certificates are not "
			"good, or the same with no TLS beside it"},
	{.name = "certificates", .kind = CONFIG_BOOL, .offset = offsetof(struct tls_options, certificates),
		.fallback = "false",
		.help = "whether each certificate, named by its subject and issuer, is a part of its own, and the names that the "
			"first one is for are told"},
	{.name = NULL},
};

static const struct config_schema tls_schema = {
	.size = sizeof(struct tls_options), .fields = tls_fields, .where_offset = -1};

static const struct metric tls_metrics[] = {
	{TLS_CONNECT, "connect", "s", 6, "连接", "connect"},
	{TLS_STARTTLS, "starttls", "s", 6, "STARTTLS对话", "STARTTLS dialogue"},
	{TLS_HANDSHAKE, "handshake", "s", 6, "TLS握手", "TLS handshake"},
	{TLS_TOTAL, "total", "s", 6, "总时间", "total"},
	{TLS_VERSION, "version", "1", 1, "协商版本", "version agreed on"},
	{TLS_CIPHER, "cipher", "1", 0, "密码套件(IANA编号)", "cipher suite (IANA number)"},
	{TLS_GROUP, "group", "1", 0, "密钥交换组(IANA编号)", "key exchange group (IANA number)"},
	{TLS_1_0, "tls1_0", "1", 0, "接受TLS 1.0", "accepts TLS 1.0"},
	{TLS_1_1, "tls1_1", "1", 0, "接受TLS 1.1", "accepts TLS 1.1"},
	{TLS_1_2, "tls1_2", "1", 0, "接受TLS 1.2", "accepts TLS 1.2"},
	{TLS_1_3, "tls1_3", "1", 0, "接受TLS 1.3", "accepts TLS 1.3"},
	{TLS_CHAIN, "chain", "1", 0, "证书数", "certificates sent"},
	{TLS_CERT_DAYS, "cert_days", "d", 2, "证书剩余天数", "certificate days left"},
	{TLS_CHAIN_DAYS, "chain_days", "d", 2, "证书链最短剩余天数", "fewest days left in the chain"},
	{TLS_OCSP, "ocsp", "1", 0, "OCSP装订(0无 1正常 2吊销 3未知 4过期 5无效)",
		"stapled OCSP (0 none 1 good 2 revoked 3 unknown 4 outdated 5 not usable)"},
	{TLS_OCSP_DAYS, "ocsp_days", "d", 2, "OCSP应答剩余天数", "OCSP answer days left"},
	{TLS_SM2, "sm2", "1", 0, "SM2证书", "SM2 certificate"},
	{TLS_TLCP, "tlcp", "1", 0, "接受TLCP", "accepts TLCP"},
	{TLS_TLCP_CIPHER, "tlcp_cipher", "1", 0, "TLCP密码套件(编号)", "TLCP cipher suite (number)"},
	{TLS_TLCP_SIGN_DAYS, "tlcp_sign_days", "d", 2, "TLCP签名证书剩余天数", "TLCP signing certificate days left"},
	{TLS_TLCP_ENC_DAYS, "tlcp_enc_days", "d", 2, "TLCP加密证书剩余天数", "TLCP encryption certificate days left"},
	CATALOG_RATIO_METRIC(TLS_CONNECT, "connect", "连接", "connect"),
	CATALOG_RATIO_METRIC(TLS_STARTTLS, "starttls", "STARTTLS对话", "STARTTLS dialogue"),
	CATALOG_RATIO_METRIC(TLS_HANDSHAKE, "handshake", "TLS握手", "TLS handshake"),
	CATALOG_RATIO_METRIC(TLS_TOTAL, "total", "总时间", "total"),
	{.number = 0},
};
static const uint32_t tls_parity[] = {TLS_CONNECT, TLS_STARTTLS, TLS_HANDSHAKE, TLS_TOTAL, 0};

static int tls_check(const void *options, struct err *e)
{
	const struct tls_options *o = options;

	if (catalog_check_target(o, e) < 0)
		return -1;
	if (*o->server_name != '\0' && catalog_check_host(o->server_name, e) < 0)
		return err_wrap(e, "server_name");
	if (o->tlcp == TLS_TLCP_ONLY && (o->min_version != 0 || o->ciphers != 0 || o->ocsp_required))
		return err_set(e, "min_version, ciphers and ocsp_required are of TLS, which tlcp = \"only\" does not "
			"measure: remove them or write tlcp = \"required\"");
	if (o->tlcp != TLS_TLCP_NONE && o->starttls != 0)
		return err_set(e, "tlcp is asked for without a dialogue before it: remove starttls or tlcp");
	return 0;
}

const struct catalog_type catalog_tls = {
	.name = "tls",
	.summary = "a TLS server: versions, suite, certificates and their days, OCSP, STARTTLS, TLCP and SM2",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct tls_options),
	.schema = &tls_schema,
	.metrics = tls_metrics,
	.parity = tls_parity,
	.check = tls_check,
};

#include "probes/catalog_sip.h"

#include <string.h>

#include "lib/err.h"
#include "probes/catalog_fields.h"
#include "probes/match.h"

CATALOG_CHECK_TARGET(sip_options, host);

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static const struct config_field sip_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct sip_options, host), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name or address of the SIP server"},
	CATALOG_FIELD_PINS(sip_options),
	{.name = "port", .kind = CONFIG_INT, .offset = offsetof(struct sip_options, port), .fallback = "0",
		.min = 0, .max = 65535, .help = "port; 0 is that of the transport: 5060, of tls 5061"},
	{.name = "transport", .kind = CONFIG_CHOICE, .offset = offsetof(struct sip_options, transport),
		.fallback = "udp", .choices = "udp|tcp|tls", .help = "what carries the request"},
	{.name = "user", .kind = CONFIG_TEXT, .offset = offsetof(struct sip_options, user), .fallback = "",
		.max = 64, .help = "user in the address that is asked about; empty: the server itself"},
	{.name = "domain", .kind = CONFIG_TEXT, .offset = offsetof(struct sip_options, domain), .fallback = "",
		.max = CATALOG_HOST_MAX, .help = "domain in that address, when it is not host"},
	{.name = "user_agent", .kind = CONFIG_TEXT, .offset = offsetof(struct sip_options, user_agent),
		.fallback = "xunjian", .min = 1, .max = 200, .help = "what the request says it comes from"},
	{.name = "status", .kind = CONFIG_TEXT, .offset = offsetof(struct sip_options, status),
		.fallback = "200-299", .max = 200, .help = "final codes that are up: 200-299,401,404"},
	{.name = "server_name", .kind = CONFIG_TEXT, .offset = offsetof(struct sip_options, server_name),
		.fallback = "", .max = CATALOG_HOST_MAX,
		.help = "of tls: name that is asked for (SNI) and that the certificate must be for, when it is not host"},
	{.name = "verify", .kind = CONFIG_BOOL, .offset = offsetof(struct sip_options, verify), .fallback = "true",
		.help = "of tls: whether a certificate that does not verify, or is revoked by a stapled answer, is down"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = offsetof(struct sip_options, ca), .fallback = "",
		.help = "of tls: PEM file on the agent to verify against instead of the system's"},
	{.name = NULL},
};

static const struct config_schema sip_schema = {
	.size = sizeof(struct sip_options), .fields = sip_fields, .where_offset = -1};

static const struct metric sip_metrics[] = {
	{SIP_TIME, "time", "s", 6, "响应时间", "time to the final response"},
	{SIP_CODE, "code", "1", 0, "响应码", "code of the final response"},
	{SIP_RETRANSMISSIONS, "retransmissions", "1", 0, "重传次数", "requests sent again"},
	{SIP_CONNECT, "connect", "s", 6, "连接", "connect"},
	{SIP_FOREIGN, "foreign", "1", 0, "被拒收的报文", "messages not accepted"},
	{SIP_HANDSHAKE, "handshake", "s", 6, "TLS握手", "TLS handshake"},
	{SIP_CERT_DAYS, "cert_days", "d", 2, "证书剩余天数", "certificate days left"},
	CATALOG_RATIO_METRIC(SIP_TIME, "time", "响应时间", "time to the final response"),
	CATALOG_RATIO_METRIC(SIP_CONNECT, "connect", "连接", "connect"),
	CATALOG_RATIO_METRIC(SIP_HANDSHAKE, "handshake", "TLS握手", "TLS handshake"),
	{.number = 0},
};
static const uint32_t sip_parity[] = {SIP_TIME, SIP_CONNECT, SIP_HANDSHAKE, 0};

/* What goes into the request must not end a line or an address in it. */
static int sip_check(const void *options, struct err *e)
{
	const struct sip_options *o = options;

	if (catalog_check_target(o, e) < 0)
		return -1;
	if (o->user[strspn(o->user, ALPHANUMERIC "-_.!~*'()&=+$,%")] != '\0')
		return err_set(e, "user: \"%s\" is no user of a SIP address", o->user);
	if (o->domain[strspn(o->domain, ALPHANUMERIC "-._:[]")] != '\0')
		return err_set(e, "domain: \"%s\" is no domain of a SIP address", o->domain);
	if (o->transport != SIP_TLS && (*o->server_name != '\0' || *o->ca != '\0'))
		return err_set(e, "server_name and ca are of transport = \"tls\": remove them or set that");
	if (*o->server_name != '\0' && catalog_check_host(o->server_name, e) < 0)
		return err_wrap(e, "server_name");
	for (const char *c = o->user_agent; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~')
			return err_set(e, "user_agent: only printable ASCII");
	}
	return match_check_status(o->status, e);
}

const struct catalog_type catalog_sip = {
	.name = "sip",
	.summary = "a SIP server: whether and how fast it answers OPTIONS, over UDP, TCP or TLS",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct sip_options),
	.schema = &sip_schema,
	.metrics = sip_metrics,
	.parity = sip_parity,
	.check = sip_check,
};

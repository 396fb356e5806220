#include "probes/catalog_http_steps.h"

#include "lib/err.h"
#include "probes/catalog_fields.h"
#include "probes/http_steps.h"
#include "probes/match.h"

#define AT(member) offsetof(struct http_options, member)

static const struct config_field http_steps_fields[] = {
	{.name = "url", .kind = CONFIG_TEXT, .offset = AT(url), .min = 8, .max = HTTP_URL_MAX,
		.help = "http:// or https:// address that the addresses of steps are relative to"},
	CATALOG_FIELD_PINS(http_options),
	{.name = "steps", .kind = CONFIG_TEXTS, .offset = AT(steps), .min = 1, .max = HTTP_LINES_MAX, .check_last = http_steps_check,
		.help = "lines: one like \"login: POST /login\" begins a step, those behind it say what is sent (form name=value, body, header), "
			"what must come (status, expect, forbid, expect_header, json) and what is taken for the steps below "
			"(take name = json $.path, header Name or body ~pattern); see STEPS in xunjian-inventory(5)"},
	{.name = "headers", .kind = CONFIG_TEXTS, .offset = AT(headers), .fallback = "", .max = 16,
		.help = "headers of all requests to the server of the url, each \"Name: value\""},
	{.name = "status", .kind = CONFIG_TEXT, .offset = AT(status), .fallback = "200-399", .min = 3, .max = 128,
		.help = "status codes that are up where a step does not say others"},
	{.name = "redirects", .kind = CONFIG_INT, .offset = AT(redirects), .fallback = "5", .min = 0, .max = 20,
		.help = "redirects followed at most in a step that does not say another number"},
	{.name = "body_max", .kind = CONFIG_SIZE, .offset = AT(body_max), .fallback = "1MiB", .min = 1024, .max = INT64_C(64) << 20,
		.help = "bytes of a body that are read at most"},
	{.name = "verify", .kind = CONFIG_BOOL, .offset = AT(verify), .fallback = "true",
		.help = "whether a certificate that does not verify is down"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = AT(ca), .fallback = "",
		.help = "PEM file on the agent to verify against instead of the system's"},
	{.name = NULL},
};

static const struct config_schema http_steps_schema = {
	.size = sizeof(struct http_options), .fields = http_steps_fields, .where_offset = -1};

#define STEP(n) {HTTP_STEPS_TIME + n - 1, "step" #n, "s", 6, "步骤" #n, "step " #n}

static const struct metric http_steps_metrics[] = {
	{HTTP_STEPS_RESOLVE, "resolve", "s", 6, "解析", "resolve"},
	{HTTP_STEPS_CONNECT, "connect", "s", 6, "连接", "connect"},
	{HTTP_STEPS_TLS, "tls", "s", 6, "TLS握手", "TLS handshake"},
	{HTTP_STEPS_FIRST_BYTE, "first_byte", "s", 6, "首字节", "first byte"},
	{HTTP_STEPS_TOTAL, "total", "s", 6, "总时间", "total"},
	{HTTP_STEPS_STATUS, "status", "1", 0, "状态码", "status code of the last step"},
	{HTTP_STEPS_BODY_BYTES, "body_bytes", "B", 0, "正文字节", "body size of the last step"},
	{HTTP_STEPS_REDIRECTS, "redirects", "1", 0, "重定向", "redirects"},
	{HTTP_STEPS_CERT_DAYS, "cert_days", "d", 2, "证书剩余天数", "certificate days left"},
	{HTTP_STEPS_DONE, "done", "1", 0, "完成步骤数", "steps done"},
	STEP(1), STEP(2), STEP(3), STEP(4), STEP(5), STEP(6), STEP(7), STEP(8), STEP(9), STEP(10), STEP(11), STEP(12),
	CATALOG_RATIO_METRIC(HTTP_STEPS_RESOLVE, "resolve", "解析", "resolve"),
	CATALOG_RATIO_METRIC(HTTP_STEPS_CONNECT, "connect", "连接", "connect"),
	CATALOG_RATIO_METRIC(HTTP_STEPS_TLS, "tls", "TLS握手", "TLS handshake"),
	CATALOG_RATIO_METRIC(HTTP_STEPS_FIRST_BYTE, "first_byte", "首字节", "first byte"),
	CATALOG_RATIO_METRIC(HTTP_STEPS_TOTAL, "total", "总时间", "total"),
	{.number = 0},
};
static const uint32_t http_steps_parity[] = {HTTP_STEPS_RESOLVE, HTTP_STEPS_CONNECT, HTTP_STEPS_TLS, HTTP_STEPS_FIRST_BYTE, HTTP_STEPS_TOTAL, 0};
_Static_assert(HTTP_STEPS_MAX == 12, "each step has its metric");

static int check(const void *options, struct err *e)
{
	const struct http_options *o = options;
	const char *value;

	if (catalog_check_url(o->url, o->ipv4, o->ipv6, e) < 0)
		return -1;
	for (size_t i = 0; i < o->headers.count; i++) {
		if (match_check_header(o->headers.items[i], &value, e) < 0)
			return err_wrap(e, "headers");
	}
	return match_check_status(o->status, e) < 0 ? err_wrap(e, "status") : 0;
}

const struct catalog_type catalog_http_steps = {
	.name = "http-steps",
	.summary = "several HTTP requests in turn, with cookies and values carried on: a login, a form, what comes of it; time of each",
	.target = CATALOG_TARGET_URL,
	.options_size = sizeof(struct http_options),
	.schema = &http_steps_schema,
	.metrics = http_steps_metrics,
	.parity = http_steps_parity,
	.check = check,
};

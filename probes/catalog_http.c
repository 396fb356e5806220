#include "probes/catalog_http.h"

#include "lib/err.h"
#include "probes/catalog_fields.h"
#include "probes/json_path.h"
#include "probes/match.h"

CATALOG_CHECK_TARGET(http_options, url);

/* Of a check without steps: nothing was taken that it could name. */
static int check_json(const char *text, struct err *e)
{
	struct json_condition c;
	bool has_name;

	if (json_condition_init(&c, text, e) < 0)
		return -1;
	has_name = c.operand == JSON_OF_NAME;
	json_condition_fini(&c);
	return has_name ? err_set(e, "${...} stands for what a step has taken: here are no steps") : 0;
}

static const struct config_field http_fields[] = {
	{.name = "url", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, url), .min = 8,
		.max = HTTP_URL_MAX, .help = "http:// or https:// address to fetch"},
	CATALOG_FIELD_PINS(http_options),
	{.name = "method", .kind = CONFIG_CHOICE, .offset = offsetof(struct http_options, method),
		.fallback = "GET", .choices = "GET|HEAD|POST", .help = "request method"},
	{.name = "body", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, body),
		.fallback = "", .max = 4096, .help = "sent with POST"},
	{.name = "headers", .kind = CONFIG_TEXTS, .offset = offsetof(struct http_options, headers),
		.fallback = "", .max = 16, .help = "request headers, each \"Name: value\""},
	{.name = "status", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, status),
		.fallback = "200-399", .min = 3, .max = 128,
		.help = "status codes that are up, as in \"200-399,401\""},
	{.name = "expect_header", .kind = CONFIG_TEXT,
		.offset = offsetof(struct http_options, expect_header), .fallback = "", .max = CATALOG_PATTERN_MAX,
		.help = "header that must be there and hold the bytes: \"Name: bytes\", or \"Name: ~\" and "
			"a POSIX extended pattern"},
	{.name = "expect_body", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, expect_body),
		.fallback = "", .max = CATALOG_PATTERN_MAX,
		.help = "bytes that must appear in the body, or ~ and a POSIX extended pattern"},
	{.name = "forbid_body", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, forbid_body),
		.fallback = "", .max = CATALOG_PATTERN_MAX, .help = "the same, must not appear"},
	{.name = "json", .kind = CONFIG_TEXTS, .offset = offsetof(struct http_options, json), .fallback = "",
		.max = HTTP_JSON_CONDITIONS, .check = check_json,
		.help = "conditions on a body of JSON: a path alone that must be there, or behind it == != < <= > >= and a value, "
			"or =~ and a pattern, as in $.queue[0].size < 100 or length($.items) > 0 or $.status == 'ok'"},
	{.name = "redirects", .kind = CONFIG_INT, .offset = offsetof(struct http_options, redirects),
		.fallback = "5", .min = 0, .max = 20, .help = "redirects followed at most, with the cookies that they set"},
	{.name = "body_max", .kind = CONFIG_SIZE, .offset = offsetof(struct http_options, body_max),
		.fallback = "1MiB", .min = 1024, .max = INT64_C(64) << 20,
		.help = "bytes of the body that are read at most"},
	{.name = "verify", .kind = CONFIG_BOOL, .offset = offsetof(struct http_options, verify),
		.fallback = "true", .help = "whether a certificate that does not verify is down"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = offsetof(struct http_options, ca), .fallback = "",
		.help = "PEM file on the agent to verify against instead of the system's"},
	{.name = NULL},
};

static const struct config_schema http_schema = {
	.size = sizeof(struct http_options), .fields = http_fields, .where_offset = -1};

static const struct metric http_metrics[] = {
	{HTTP_RESOLVE, "resolve", "s", 6, "解析", "resolve"},
	{HTTP_CONNECT, "connect", "s", 6, "连接", "connect"},
	{HTTP_TLS, "tls", "s", 6, "TLS握手", "TLS handshake"},
	{HTTP_FIRST_BYTE, "first_byte", "s", 6, "首字节", "first byte"},
	{HTTP_TOTAL, "total", "s", 6, "总时间", "total"},
	{HTTP_STATUS, "status", "1", 0, "状态码", "status code"},
	{HTTP_BODY_BYTES, "body_bytes", "B", 0, "正文字节", "body size"},
	{HTTP_REDIRECTS, "redirects", "1", 0, "重定向", "redirects"},
	{HTTP_CERT_DAYS, "cert_days", "d", 2, "证书剩余天数", "certificate days left"},
	CATALOG_RATIO_METRIC(HTTP_RESOLVE, "resolve", "解析", "resolve"),
	CATALOG_RATIO_METRIC(HTTP_CONNECT, "connect", "连接", "connect"),
	CATALOG_RATIO_METRIC(HTTP_TLS, "tls", "TLS握手", "TLS handshake"),
	CATALOG_RATIO_METRIC(HTTP_FIRST_BYTE, "first_byte", "首字节", "first byte"),
	CATALOG_RATIO_METRIC(HTTP_TOTAL, "total", "总时间", "total"),
	{.number = 0},
};
static const uint32_t http_parity[] = {HTTP_RESOLVE, HTTP_CONNECT, HTTP_TLS, HTTP_FIRST_BYTE, HTTP_TOTAL, 0};

static int check_expected_header(const char *text, struct err *e)
{
	const char *value;

	if (*text == '\0')
		return 0;
	if (match_check_header(text, &value, e) < 0)
		return err_wrap(e, "expect_header");
	return catalog_check_match("expect_header", value, false, e);
}

static int http_check(const void *options, struct err *e)
{
	const struct http_options *o = options;
	const char *value;

	if (catalog_check_url(o->url, o->ipv4, o->ipv6, e) < 0)
		return -1;
	if (match_check_status(o->status, e) < 0)
		return err_wrap(e, "status");
	for (size_t i = 0; i < o->headers.count; i++) {
		if (match_check_header(o->headers.items[i], &value, e) < 0)
			return err_wrap(e, "headers");
	}
	if (*o->body != '\0' && o->method != 2)
		return err_set(e, "body is sent with POST only: write method = \"POST\" or remove it");
	if (check_expected_header(o->expect_header, e) < 0 ||
		catalog_check_match("expect_body", o->expect_body, false, e) < 0)
		return -1;
	return catalog_check_match("forbid_body", o->forbid_body, false, e);
}

const struct catalog_type catalog_http = {
	.name = "http",
	.summary = "an HTTP or HTTPS request: time of each phase, status, content, certificate",
	.target = CATALOG_TARGET_URL,
	.options_size = sizeof(struct http_options),
	.schema = &http_schema,
	.metrics = http_metrics,
	.parity = http_parity,
	.check = http_check,
};

#include "probes/catalog_dns.h"

#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "probes/catalog_fields.h"
#include "probes/dns_name.h"

#define EXPECT_MAX 64

CATALOG_CHECK_TARGET(dns_options, host);

static int check_record(const char *text, struct err *e)
{
	return dns_type_parse(text, e) < 0 ? -1 : 0;
}

static int check_expect(const char *text, struct err *e)
{
	return catalog_check_match("expect", text, false, e);
}

static const struct config_field dns_fields[] = {
	{.name = "host", .kind = CONFIG_TEXT, .offset = offsetof(struct dns_options, host), .min = 1,
		.max = CATALOG_HOST_MAX,
		.help = "name or address of the server to ask, or \"" DNS_RESOLVERS "\": each server of the measuring host"},
	CATALOG_FIELD_PINS(dns_options),
	{.name = "name", .kind = CONFIG_TEXT, .offset = offsetof(struct dns_options, name), .min = 1,
		.max = CATALOG_HOST_MAX, .help = "name to ask for; with record PTR also an address"},
	{.name = "record", .kind = CONFIG_TEXT, .offset = offsetof(struct dns_options, record), .fallback = "A",
		.min = 1, .max = 16, .check = check_record, .help = "type of record: A, AAAA, NS, SOA, MX ... or TYPE65"},
	{.name = "port", .kind = CONFIG_INT, .offset = offsetof(struct dns_options, port), .fallback = "53", .min = 1,
		.max = 65535, .help = "port of the server"},
	{.name = "protocol", .kind = CONFIG_CHOICE, .offset = offsetof(struct dns_options, protocol),
		.fallback = "udp", .choices = "udp|tcp", .help = "udp goes on by TCP when the answer is truncated"},
	{.name = "recursion", .kind = CONFIG_BOOL, .offset = offsetof(struct dns_options, recursion),
		.fallback = "true", .help = "whether the server shall ask others (RD flag)"},
	{.name = "authoritative", .kind = CONFIG_BOOL, .offset = offsetof(struct dns_options, authoritative),
		.fallback = "false", .help = "whether the server must answer with authority (AA flag)"},
	{.name = "dnssec", .kind = CONFIG_CHOICE, .offset = offsetof(struct dns_options, dnssec), .fallback = "off",
		.choices = "off|signed|validated",
		.help = "signed: signatures must be with the answer; validated: the server must have checked them (AD flag)"},
	{.name = "expect_status", .kind = CONFIG_CHOICE, .offset = offsetof(struct dns_options, expect_status),
		.fallback = "NOERROR", .choices = DNS_STATUS_WORDS,
		.help = "what must be answered; NOERROR is at least one record, NODATA none"},
	{.name = "expect", .kind = CONFIG_TEXTS, .offset = offsetof(struct dns_options, expect), .fallback = "",
		.max = EXPECT_MAX, .check = check_expect,
		.help = "records that must be among the answers, in any order: their text (\"192.0.2.1\", "
			"\"10 mail.gov.example\"), or ~ and a POSIX extended pattern that one of them must match"},
	{.name = "retries", .kind = CONFIG_INT, .offset = offsetof(struct dns_options, retries), .fallback = "2",
		.max = 5, .help = "queries that may follow one that is not answered, spread over the timeout"},
	{.name = NULL},
};

static const struct config_schema dns_schema = {
	.size = sizeof(struct dns_options), .fields = dns_fields, .where_offset = -1};

static const struct metric dns_metrics[] = {
	{DNS_TIME, "time", "s", 6, "应答时间", "answer time"},
	{DNS_TOTAL, "total", "s", 6, "总时间", "total"},
	{DNS_ANSWERS, "answers", "1", 0, "应答记录数", "answers"},
	{DNS_TTL, "ttl", "s", 0, "最小TTL", "smallest TTL"},
	{DNS_RCODE, "rcode", "1", 0, "响应码", "response code"},
	{DNS_SIZE, "size", "B", 0, "应答大小", "size of the answer"},
	{DNS_LOST, "lost", "1", 0, "未获应答的查询", "queries not answered"},
	{DNS_FOREIGN, "foreign", "1", 0, "被拒收的报文", "packets not accepted"},
	{DNS_IS_AUTHENTIC, "authentic", "1", 0, "已验证(AD)", "validated (AD)"},
	{DNS_IS_AUTHORITATIVE, "authoritative", "1", 0, "权威应答(AA)", "authoritative (AA)"},
	{DNS_IS_TRUNCATED, "truncated", "1", 0, "UDP应答被截断", "truncated over UDP"},
	{DNS_IS_TCP, "tcp", "1", 0, "经由TCP", "answered over TCP"},
	CATALOG_RATIO_METRIC(DNS_TIME, "time", "应答时间", "answer time"),
	CATALOG_RATIO_METRIC(DNS_TOTAL, "total", "总时间", "total"),
	{.number = 0},
};
static const uint32_t dns_parity[] = {DNS_TIME, DNS_TOTAL, 0};

static int dns_check(const void *options, struct err *e)
{
	const struct dns_options *o = options;
	uint8_t wire[DNS_NAME_MAX];
	int type = dns_type_parse(o->record, e);

	if (catalog_check_target(o, e) < 0)
		return -1;
	if (dns_name_parse(o->name, type == DNS_PTR, wire, e) < 0)
		return err_wrap(e, "name");
	if (o->expect.count > 0 && o->expect_status != DNS_NOERROR)
		return err_set(e, "expect: there are records only with expect_status = \"NOERROR\"");
	if (strcasecmp(o->host, DNS_RESOLVERS) == 0 && o->authoritative)
		return err_set(e, "authoritative: name the server to ask in \"host\"");
	return 0;
}

const struct catalog_type catalog_dns = {
	.name = "dns",
	.summary = "a question to a name server: time, records, response code, DNSSEC",
	.target = CATALOG_TARGET_HOST,
	.options_size = sizeof(struct dns_options),
	.schema = &dns_schema,
	.metrics = dns_metrics,
	.parity = dns_parity,
	.check = dns_check,
};

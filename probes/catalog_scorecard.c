#include "probes/catalog_scorecard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/num.h"
#include "probes/catalog_fields.h"
#include "probes/dns_name.h"

#define URL_MAX 2048
#define LINKS_MAX 1000

CATALOG_CHECK_TARGET(scorecard_options, url);

static int check_ports(const char *text, struct err *e)
{
	uint16_t ports[SCORECARD_PORTS_MAX];

	return scorecard_ports(text, ports, e) < 0 ? -1 : 0;
}

#define AT(member) offsetof(struct scorecard_options, member)
#define WEIGHT(key, index, usual)                                                                  \
	{.name = "weight_" key, .kind = CONFIG_INT, .offset = AT(weights) + (index - SCORECARD_AAAA) * sizeof(int64_t), \
		.fallback = usual, .min = 0, .max = 1000, .help = "weight of the index " key " in the score"}

static const struct config_field scorecard_fields[] = {
	{.name = "url", .kind = CONFIG_TEXT, .offset = AT(url), .min = 8, .max = URL_MAX,
		.help = "http:// or https:// address of the home page"},
	CATALOG_FIELD_PINS(scorecard_options),
	{.name = "hosts", .kind = CONFIG_TEXTS, .offset = AT(hosts), .fallback = "", .max = 16, .check = catalog_check_host,
		.help = "other hosts whose pages are of the site as well"},
	{.name = "exclude", .kind = CONFIG_TEXTS, .offset = AT(exclude), .fallback = "", .max = 32,
		.help = "links whose address holds one of these texts are left out"},
	{.name = "attempts", .kind = CONFIG_INT, .offset = AT(attempts), .fallback = "5", .min = 1, .max = 50,
		.help = "times that the home page is fetched in each family"},
	{.name = "links2", .kind = CONFIG_INT, .offset = AT(links2), .fallback = "50", .min = 0, .max = LINKS_MAX,
		.help = "links of the home page that are tried at most"},
	{.name = "links3", .kind = CONFIG_INT, .offset = AT(links3), .fallback = "50", .min = 0, .max = LINKS_MAX,
		.help = "links of those pages that are tried at most"},
	{.name = "delay", .kind = CONFIG_DURATION, .offset = AT(delay), .fallback = "200ms", .min = 0,
		.max = 60 * NS_PER_S, .help = "pause between two requests, of which there is never more than one"},
	{.name = "page_timeout", .kind = CONFIG_DURATION, .offset = AT(page_timeout), .fallback = "10s",
		.min = 100 * NS_PER_MS, .max = 60 * NS_PER_S, .help = "time that a page may take, at most an eighth of the timeout"},
	{.name = "port_timeout", .kind = CONFIG_DURATION, .offset = AT(port_timeout), .fallback = "1s",
		.min = 10 * NS_PER_MS, .max = 10 * NS_PER_S,
		.help = "time after which a port counts as filtered, at most a hundredth of the timeout"},
	{.name = "page_max", .kind = CONFIG_SIZE, .offset = AT(page_max), .fallback = "512KiB", .min = 1024,
		.max = INT64_C(2) << 20, .help = "bytes of a page that are read at most"},
	{.name = "ports", .kind = CONFIG_TEXT, .offset = AT(ports), .max = 256, .check = check_ports,
		.fallback = "21,22,23,25,80,135,139,443,445,1433,1521,3306,3389,5432,6379,8080,8443,9200",
		.help = "ports that must be open or not in both families alike; \"\" none"},
	{.name = "verify", .kind = CONFIG_BOOL, .offset = AT(verify), .fallback = "true",
		.help = "whether a certificate that does not verify makes a page fail"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = AT(ca), .fallback = "",
		.help = "PEM file on the agent to verify against instead of the system's"},
	WEIGHT("aaaa", SCORECARD_AAAA, "10"),
	WEIGHT("delegation", SCORECARD_DELEGATION, "10"),
	WEIGHT("home", SCORECARD_HOME, "20"),
	WEIGHT("success", SCORECARD_SUCCESS, "10"),
	WEIGHT("level2", SCORECARD_LEVEL2, "20"),
	WEIGHT("level3", SCORECARD_LEVEL3, "10"),
	WEIGHT("same", SCORECARD_SAME, "10"),
	WEIGHT("speed", SCORECARD_SPEED, "5"),
	WEIGHT("ports", SCORECARD_PORTS, "5"),
	{.name = NULL},
};

static const struct config_schema scorecard_schema = {
	.size = sizeof(struct scorecard_options), .fields = scorecard_fields, .where_offset = -1};

static const struct metric scorecard_metrics[] = {
	{SCORECARD_SCORE, "score", "%", 2, "IPv6总分", "IPv6 score"},
	{SCORECARD_AAAA, "aaaa", "%", 0, "AAAA记录", "AAAA record"},
	{SCORECARD_DELEGATION, "delegation", "%", 2, "授权体系", "delegation"},
	{SCORECARD_HOME, "home", "%", 0, "首页可达", "home page"},
	{SCORECARD_SUCCESS, "success", "%", 2, "访问成功率", "success rate"},
	{SCORECARD_LEVEL2, "level2", "%", 2, "二级链接支持率", "second-level links"},
	{SCORECARD_LEVEL3, "level3", "%", 2, "三级链接支持率", "third-level links"},
	{SCORECARD_SAME, "same", "%", 2, "内容一致性", "consistency"},
	{SCORECARD_SPEED, "speed", "%", 2, "访问速度", "speed"},
	{SCORECARD_PORTS, "ports", "%", 2, "端口一致性", "security parity"},
	{SCORECARD_AAAA_COUNT, "aaaa_count", "1", 0, "AAAA记录数", "AAAA records"},
	{SCORECARD_AAAA_GLOBAL, "aaaa_global", "1", 0, "全球单播AAAA记录数", "global AAAA records"},
	{SCORECARD_NS, "ns", "1", 0, "权威服务器数", "name servers"},
	{SCORECARD_NS_V6, "ns_v6", "1", 0, "经IPv6应答的权威服务器数", "name servers that answer over IPv6"},
	{SCORECARD_STATUS_V4, "status_v4", "1", 0, "IPv4首页状态码", "home page status, IPv4"},
	{SCORECARD_STATUS_V6, "status_v6", "1", 0, "IPv6首页状态码", "home page status, IPv6"},
	{SCORECARD_SUCCESS_V4, "success_v4", "%", 2, "IPv4访问成功率", "success rate, IPv4"},
	{SCORECARD_SUCCESS_V6, "success_v6", "%", 2, "IPv6访问成功率", "success rate, IPv6"},
	{SCORECARD_LINKS2, "links2", "1", 0, "二级链接数", "second-level links reached over IPv4"},
	{SCORECARD_LINKS2_V6, "links2_v6", "1", 0, "经IPv6可达的二级链接数", "of these over IPv6"},
	{SCORECARD_LINKS3, "links3", "1", 0, "三级链接数", "third-level links reached over IPv4"},
	{SCORECARD_LINKS3_V6, "links3_v6", "1", 0, "经IPv6可达的三级链接数", "of these over IPv6"},
	{SCORECARD_SAME_STATUS, "same_status", "1", 0, "状态码相同", "same status"},
	{SCORECARD_SAME_TITLE, "same_title", "1", 0, "标题相同", "same title"},
	{SCORECARD_SAME_TEXT, "same_text", "%", 2, "正文相似度", "similarity of the text"},
	{SCORECARD_SAME_RESOURCES, "same_resources", "%", 2, "资源相似度", "similarity of the resources"},
	{SCORECARD_RESOLVE_V4, "resolve_v4", "s", 6, "A解析时延", "resolve A"},
	{SCORECARD_RESOLVE_V6, "resolve_v6", "s", 6, "AAAA解析时延", "resolve AAAA"},
	{SCORECARD_RESOLVE_RATIO, "resolve_ratio", "1", 3, "解析时延v6/v4", "resolve, v6/v4"},
	{SCORECARD_CONNECT_V4, "connect_v4", "s", 6, "IPv4连接时延", "connect, IPv4"},
	{SCORECARD_CONNECT_V6, "connect_v6", "s", 6, "IPv6连接时延", "connect, IPv6"},
	{SCORECARD_CONNECT_RATIO, "connect_ratio", "1", 3, "连接时延v6/v4", "connect, v6/v4"},
	{SCORECARD_FIRST_V4, "first_byte_v4", "s", 6, "IPv4首字节时延", "first byte, IPv4"},
	{SCORECARD_FIRST_V6, "first_byte_v6", "s", 6, "IPv6首字节时延", "first byte, IPv6"},
	{SCORECARD_FIRST_RATIO, "first_byte_ratio", "1", 3, "首字节时延v6/v4", "first byte, v6/v4"},
	{SCORECARD_PAGE_V4, "page_v4", "s", 6, "IPv4首页时延", "home page, IPv4"},
	{SCORECARD_PAGE_V6, "page_v6", "s", 6, "IPv6首页时延", "home page, IPv6"},
	{SCORECARD_PAGE_RATIO, "page_ratio", "1", 3, "首页时延v6/v4", "home page, v6/v4"},
	{SCORECARD_RATE_V4, "rate_v4", "B/s", 0, "IPv4下载速度", "download rate, IPv4"},
	{SCORECARD_RATE_V6, "rate_v6", "B/s", 0, "IPv6下载速度", "download rate, IPv6"},
	{SCORECARD_RATE_RATIO, "rate_ratio", "1", 3, "下载速度v6/v4", "download rate, v6/v4"},
	{SCORECARD_DEGRADATION, "degradation", "%", 2, "劣化率", "degradation of the connect time"},
	{SCORECARD_PORTS_V4, "ports_v4", "1", 0, "IPv4开放端口数", "open ports, IPv4"},
	{SCORECARD_PORTS_V6, "ports_v6", "1", 0, "IPv6开放端口数", "open ports, IPv6"},
	{SCORECARD_PORTS_DIFFER, "ports_differ", "1", 0, "开放状态不一致的端口数", "ports open in one family only"},
	{.number = 0},
};

int scorecard_ports(const char *text, uint16_t out[SCORECARD_PORTS_MAX], struct err *e)
{
	size_t count = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, ", "), known = 0;
		char item[8];
		int64_t port;

		if (n >= sizeof item)
			return err_set(e, "\"%.20s\" is not a port", text);
		snprintf(item, sizeof item, "%.*s", (int)n, text);
		if (n > 0 && num_parse_int(item, 1, 65535, &port, e) < 0)
			return -1;
		while (n > 0 && known < count && out[known] != port)
			known++;
		if (n > 0 && known == count) {
			if (count == SCORECARD_PORTS_MAX)
				return err_set(e, "more than %d ports", SCORECARD_PORTS_MAX);
			out[count++] = (uint16_t)port;
		}
		text += text[n] != '\0' ? n + 1 : n;
	}
	return (int)count;
}

static int scorecard_check(const void *options, struct err *e)
{
	const struct scorecard_options *o = options;
	char host[CATALOG_HOST_MAX + 1];
	uint8_t wire[DNS_NAME_MAX];

	if (catalog_check_url(o->url, o->ipv4, o->ipv6, e) < 0)
		return -1;
	if (catalog_url_host(o->url, host, sizeof host) < 0)
		return err_set(e, "url: no host");
	if (catalog_literal_family(host) != FAMILY_NONE)
		return err_set(e, "url: %s is an address: a site is compared by its name", host);
	return dns_name_parse(host, false, wire, e) < 0 ? err_wrap(e, "url") : 0;
}

const struct catalog_type catalog_scorecard = {
	.name = "scorecard",
	.summary = "how well a site is reached over IPv6: names, pages, links, content, speed, ports, beside IPv4",
	.target = CATALOG_TARGET_SITE,
	.options_size = sizeof(struct scorecard_options),
	.schema = &scorecard_schema,
	.metrics = scorecard_metrics,
	.check = scorecard_check,
};

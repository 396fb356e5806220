// Every word of the page, in both languages; a key that one lacks does not compile.
const zh = {
	title: '巡检', wall: '监测墙', sites: '站点与链路', about: '关于', skip: '跳到内容',
	search: '搜索', searchSystems: '搜索单位或系统', searchSites: '搜索站点', theme: '切换昼夜', night: '夜间', day: '日间',
	up: '正常', down: '中断', degraded: '部分异常', unknown: '未知', maintenance: '检修', none: '未监测',
	units: '单位', systems: '信息系统', links: '链路', agents: '观测点',
	unitsCount: '{n} 个单位', systemsCount: '{n} 个信息系统', linksCount: '{n} 条链路',
	heard: '在线', lost: '失联', never: '从未上报',
	newest: '最新数据', ago: '{t}前', noData: '尚无数据', loading: '正在读取…', failed: '读取失败：{why}', retry: '重试',
	collectorLost: '与采集中心失去联系已 {t}。以下为 {at} 的状态，可能已过时。',
	peerLost: '采集中心的 {peers} 进程未就绪，正在重新启动；数据可能不是最新。',
	ingest: '接收', series: '时序', judge: '研判', render: '制图',
	incidents: '未恢复的事件（{n}）', noIncidents: '没有未恢复的事件', affects: '受影响 {n} 项', flapping: '反复', watched: '已恢复，观察中', acknowledgedBy: '{who} 已确认',
	system: '信息系统', host: '主机', agent: '观测点', ledger: '台账', wholeSubject: '总体', revised: '这段历史经过更正',
	span30d: '30 天', span90d: '90 天',
	monitoring: '巡检自身', matterDisk: '磁盘空间', matterCertificate: '证书到期', matterSeries: '数据处理', matterNotice: '通知送达', matterBeat: '心跳', matterCommands: '命令通道', matterClock: '时钟',
	agentLost: '观测点失联：{names}。它们负责的检测显示为“未知”。',
	legend: '图例', since: '自 {t}', sinceWord: '起始', forTime: '已持续 {t}', age: '数据时间', reason: '原因', address: '地址', vantage: '观测点',
	family: '协议族', state: '状态', notFound: '没有找到这一项', back: '返回监测墙',
	unit: '单位', depends: '依赖', dependents: '被依赖', nothing: '无', checks: '检测项', target: '目标',
	interval: '每 {t} 一次', priority: '重点', old: '超时未更新', gone: '地址已不再出现',
	noRows: '还没有任何结果', span10m: '10 分钟', span1h: '1 小时', span24h: '24 小时', span7d: '7 天', span1y: '1 年', span: '时间范围',
	zoomed: '已放大：{from} 至 {to}', resetZoom: '恢复', allVantages: '观测点', part: '分项', whole: '总体',
	picture: '图片', minmax: '最小–最大', quarter: '25%–75%', median: '时延中位数', rttMin: '最小时延', rttMax: '最大时延', loss: '丢包率',
	notMeasured: '未测到', wasDown: '不通', min: '最小', avg: '平均', max: '最大', last: '最近', metric: '指标',
	resolve: '解析', connect: '连接', tls: 'TLS握手', firstByte: '首字节', total: '总时间', available: '可用率', ms: '毫秒', secondsUnit: '秒', daysUnit: '天',
	graphOf: '{what} 曲线图', worstFirst: '最差在前', all: '全部', onlyNotUp: '只看不正常', grid: '网格', tree: '树形',
	level: '级别', city: '市', county: '县区', town: '镇街', village: '村居', site: '站点', name: '名称',
	below: '下级', expand: '展开 {name}', collapse: '收起 {name}', found: '找到 {n} 个', more: '再显示 {n} 个', path: '位置',
	noneFound: '没有符合条件的站点。', allUp: '没有不正常的站点。', link: '链路', upper: '上级',
	keys: '键盘：/ 搜索，w 监测墙，s 站点，t 昼夜，l 语言', dragZoom: '在图上拖动可放大，双击恢复。',
	seconds: '{n} 秒', minutes: '{n} 分钟', hours: '{n} 小时', days: '{n} 天',
	aboutText: '巡检（Xunjian）记录政务云与外网在 IPv4 与 IPv6 下的可用性与时延。本页只与本机的采集中心通信，不访问任何外部地址。',
	licences: '所用软件', wholePage: '状态由各观测点表决得出；检测项的明细是最新结果。', unjudged: '研判尚未跟上：单位、系统与链路显示的是最新一次结果，未经表决。', lastKnown: '最后所知',
};
type Key = keyof typeof zh;
const en: Record<Key, string> = {
	title: 'Xunjian', wall: 'Wall', sites: 'Sites and links', about: 'About', skip: 'Skip to content',
	search: 'Search', searchSystems: 'Search units or systems', searchSites: 'Search sites', theme: 'Day or night', night: 'Night', day: 'Day',
	up: 'up', down: 'down', degraded: 'degraded', unknown: 'unknown', maintenance: 'maintenance', none: 'not monitored',
	units: 'Units', systems: 'Systems', links: 'Links', agents: 'Vantages',
	unitsCount: '{n} unit|{n} units', systemsCount: '{n} system|{n} systems', linksCount: '{n} link|{n} links',
	heard: 'heard', lost: 'lost', never: 'never heard',
	newest: 'Newest data', ago: '{t} ago', noData: 'no data yet', loading: 'Reading …', failed: 'Cannot read: {why}', retry: 'Try again',
	collectorLost: 'No contact with the collector for {t}. This is the state of {at} and may be outdated.',
	peerLost: 'The {peers} process of the collector is not ready; it is being started again. Data may not be the newest.',
	ingest: 'ingest', series: 'series', judge: 'judge', render: 'render',
	incidents: 'Open incidents ({n})', noIncidents: 'No open incidents', affects: '{n} affected', flapping: 'comes and goes', watched: 'works again, watched', acknowledgedBy: 'acknowledged by {who}',
	system: 'System', host: 'Host', agent: 'Agent', ledger: 'Ledger', wholeSubject: 'All', revised: 'this past was corrected',
	span30d: '30 days', span90d: '90 days',
	monitoring: 'Monitoring itself', matterDisk: 'disk space', matterCertificate: 'certificate', matterSeries: 'series', matterNotice: 'delivery of notices', matterBeat: 'beat', matterCommands: 'commands of channels', matterClock: 'clock of',
	agentLost: 'Vantages lost: {names}. What they watch is shown as unknown.',
	legend: 'Legend', since: 'since {t}', sinceWord: 'Since', forTime: 'for {t}', age: 'Measured', reason: 'Reason', address: 'Address', vantage: 'Vantage',
	family: 'Family', state: 'State', notFound: 'There is nothing here', back: 'Back to the wall',
	unit: 'Unit', depends: 'Depends on', dependents: 'Depended on by', nothing: 'nothing', checks: 'Checks', target: 'Target',
	interval: 'every {t}', priority: 'priority', old: 'no news in time', gone: 'address no longer seen',
	noRows: 'No results yet', span10m: '10 minutes', span1h: '1 hour', span24h: '24 hours', span7d: '7 days', span1y: '1 year', span: 'Span',
	zoomed: 'Zoomed: {from} to {to}', resetZoom: 'Reset', allVantages: 'Vantage', part: 'Part', whole: 'whole',
	picture: 'Picture', minmax: 'min–max', quarter: '25%–75%', median: 'RTT median', rttMin: 'RTT min', rttMax: 'RTT max', loss: 'loss',
	notMeasured: 'not measured', wasDown: 'down', min: 'min', avg: 'average', max: 'max', last: 'last', metric: 'Metric',
	resolve: 'resolve', connect: 'connect', tls: 'TLS', firstByte: 'first byte', total: 'total', available: 'available', ms: 'ms', secondsUnit: 's', daysUnit: 'd',
	graphOf: 'Graph of {what}', worstFirst: 'worst first', all: 'All', onlyNotUp: 'Only not up', grid: 'Grid', tree: 'Tree',
	level: 'Level', city: 'city', county: 'county', town: 'town', village: 'village', site: 'Site', name: 'Name',
	below: 'Below', expand: 'Expand {name}', collapse: 'Collapse {name}', found: '{n} found', more: 'Show {n} more', path: 'Where',
	noneFound: 'No site fits.', allUp: 'No site is other than up.', link: 'Link', upper: 'Above',
	keys: 'Keys: / search, w wall, s sites, t day or night, l language', dragZoom: 'Drag on a graph to zoom, double-click to reset.',
	seconds: '{n} s', minutes: '{n} min', hours: '{n} h', days: '{n} d',
	aboutText: 'Xunjian (巡检) keeps availability and latency of a government cloud and extranet over IPv4 and IPv6. This page talks to its own collector alone; it loads nothing from anywhere else.',
	licences: 'Software used', wholePage: 'States go by votes of the vantages; details of checks are latest outcomes.', unjudged: 'Judgement is not up to date: units, systems and links show latest outcomes, not votes.', lastKnown: 'last known',
};

export type Language = 'zh' | 'en';
export type { Key };
let language: Language = 'zh';

export function setLanguage(l: Language) {
	language = l;
	document.documentElement.lang = l === 'zh' ? 'zh-CN' : 'en';
}
export const currentLanguage = () => language;

/** Words of a key: before a "|" those of one, behind it those of more. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
	const [one, more = one] = (language === 'zh' ? zh : en)[key].split('|');
	const words = values.n === 1 ? one : more;
	return words.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** The name of a thing of the inventory in the language of the page. */
export const nameOf = (x: { id: string; name: string; name_en?: string }) =>
	(language === 'en' && x.name_en) || x.name || x.id;

/** What a metric is called, as its type says. */
export const labelOf = (x: { label_zh: string; label_en: string }) => language === 'zh' ? x.label_zh : x.label_en;

/** Why something is as it is, in the language of the page where the collector knows how to say it. */
export const reasonOf = (x: { reason: string; reason_zh?: string }) => (language === 'zh' && x.reason_zh) || x.reason;

/* ---- times: the city is in one zone, wherever the browser is */

const zone = 'Asia/Shanghai';
const formats = new Map<string, Intl.DateTimeFormat>();
function format(options: Intl.DateTimeFormatOptions, seconds: number) {
	const key = JSON.stringify(options);
	let f = formats.get(key);
	if (!f)
		formats.set(key, f = new Intl.DateTimeFormat('en-CA', { timeZone: zone, hourCycle: 'h23', ...options }));
	return f.format(seconds * 1000).replace(', ', ' ');
}
export const formatTime = (s: number) =>
	format({ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' }, s);
export const formatClock = (s: number) => format({ hour: '2-digit', minute: '2-digit', second: '2-digit' }, s);
export const formatMinute = (s: number) => format({ hour: '2-digit', minute: '2-digit' }, s);
export const formatDay = (s: number) => format({ month: '2-digit', day: '2-digit' }, s);
export const formatMonth = (s: number) => format({ year: 'numeric', month: '2-digit' }, s);

export function formatDuration(seconds: number): string {
	const s = Math.max(0, Math.round(seconds));
	if (s < 120)
		return t('seconds', { n: s });
	if (s < 7200)
		return t('minutes', { n: Math.floor(s / 60) });
	if (s < 172800)
		return t('hours', { n: Math.floor(s / 3600) });
	return t('days', { n: Math.floor(s / 86400) });
}

#include "probes/catalog_host.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"

#define NAMES_MAX 64
#define NAME_MAX_BYTES 255

#define FIELD_ROOT                                                                                 \
	{.name = "root", .kind = CONFIG_TEXT, .offset = 0, .fallback = "/", .min = 1, .max = 1024, \
		.help = "folder that stands for / where files are read (a container's /host; tests)"}
#define FIELD_IGNORE(type, usual, what)                                                            \
	{.name = "ignore", .kind = CONFIG_TEXTS, .offset = offsetof(struct type, ignore),          \
		.fallback = usual, .max = NAMES_MAX, .help = what " that are left out; * and ? as in a shell"}
#define SCHEMA(type, table)                                                                        \
	static const struct config_schema table##_schema = {                                       \
		.size = sizeof(struct type), .fields = table##_fields, .where_offset = -1}
#define TYPE(word, type, check_function, text)                                                     \
	const struct catalog_type catalog_##word = {.name = #word, .summary = text,                \
		.target = CATALOG_TARGET_NONE, .options_size = sizeof(struct type),                \
		.schema = &word##_schema, .metrics = word##_metrics, .check = check_function}
/* A type without options but the root. */
#define PLAIN_TYPE(word, text)                                                                     \
	static const struct config_schema word##_schema = {                                        \
		.size = sizeof(struct host_options), .fields = plain_fields, .where_offset = -1};  \
	TYPE(word, host_options, check_root, text)

static int check_root(const void *options, struct err *e)
{
	const struct host_options *o = options;

	if (o->root[0] != '/')
		return err_set(e, "root: \"%.100s\" must be an absolute path", o->root);
	return 0;
}

static const struct config_field plain_fields[] = {FIELD_ROOT, {.name = NULL}};

/* ---- cpu */

static const struct config_field cpu_fields[] = {
	{.name = "cores", .kind = CONFIG_BOOL, .offset = offsetof(struct cpu_options, cores),
		.fallback = "true", .help = "whether each core is told as a part"},
	FIELD_ROOT,
	{.name = NULL},
};
SCHEMA(cpu_options, cpu);

static const struct metric cpu_metrics[] = {
	{CPU_BUSY, "busy", "%", 2, "使用率", "busy"},
	{CPU_USER, "user", "%", 2, "用户态", "user"},
	{CPU_NICE, "nice", "%", 2, "低优先级用户态", "user, nice"},
	{CPU_SYSTEM, "system", "%", 2, "内核态", "system"},
	{CPU_IDLE, "idle", "%", 2, "空闲", "idle"},
	{CPU_IOWAIT, "iowait", "%", 2, "等待I/O", "waiting for I/O"},
	{CPU_IRQ, "irq", "%", 2, "硬中断", "interrupts"},
	{CPU_SOFTIRQ, "softirq", "%", 2, "软中断", "soft interrupts"},
	{CPU_STEAL, "steal", "%", 2, "被宿主机占用", "stolen by the hypervisor"},
	{CPU_GUEST, "guest", "%", 2, "虚拟机", "guests"},
	{CPU_SWITCHES, "switches", "1/s", 1, "上下文切换", "context switches"},
	{CPU_INTERRUPTS, "interrupts", "1/s", 1, "中断次数", "interrupts per second"},
	{CPU_FORKS, "forks", "1/s", 2, "新建进程", "new processes"},
	{CPU_CORES, "cores", "1", 0, "在线核数", "cores online"},
	{.number = 0},
};
TYPE(cpu, cpu_options, check_root, "processors of this host: shares of time in all and per core, with steal");

/* ---- memory */

static const struct metric memory_metrics[] = {
	{MEMORY_TOTAL, "total", "B", 0, "总内存", "total"},
	{MEMORY_AVAILABLE, "available", "B", 0, "可用", "available"},
	{MEMORY_USED, "used", "B", 0, "已用", "used"},
	{MEMORY_USED_SHARE, "used_share", "%", 2, "使用率", "used share"},
	{MEMORY_FREE, "free", "B", 0, "空闲", "free"},
	{MEMORY_BUFFERS, "buffers", "B", 0, "缓冲区", "buffers"},
	{MEMORY_CACHED, "cached", "B", 0, "页缓存", "page cache"},
	{MEMORY_SHARED, "shared", "B", 0, "共享内存", "shared"},
	{MEMORY_SLAB, "slab", "B", 0, "内核对象", "kernel objects"},
	{MEMORY_UNRECLAIMABLE, "unreclaimable", "B", 0, "不可回收内核对象", "unreclaimable kernel objects"},
	{MEMORY_DIRTY, "dirty", "B", 0, "脏页", "dirty"},
	{MEMORY_WRITEBACK, "writeback", "B", 0, "回写中", "in writeback"},
	{MEMORY_COMMITTED, "committed", "B", 0, "已承诺", "committed"},
	{MEMORY_HUGE_TOTAL, "huge_total", "B", 0, "大页总量", "huge pages"},
	{MEMORY_HUGE_FREE, "huge_free", "B", 0, "大页空闲", "free huge pages"},
	{MEMORY_SWAP_TOTAL, "swap_total", "B", 0, "交换区总量", "swap"},
	{MEMORY_SWAP_USED, "swap_used", "B", 0, "交换区已用", "swap used"},
	{MEMORY_SWAP_SHARE, "swap_share", "%", 2, "交换区使用率", "swap used share"},
	{MEMORY_SWAP_IN, "swap_in", "B/s", 0, "换入", "swapped in"},
	{MEMORY_SWAP_OUT, "swap_out", "B/s", 0, "换出", "swapped out"},
	{MEMORY_MAJOR_FAULTS, "major_faults", "1/s", 2, "主缺页", "major page faults"},
	{MEMORY_OOM_KILLS, "oom_kills", "1/s", 4, "内存不足杀进程", "kills for want of memory"},
	{.number = 0},
};
PLAIN_TYPE(memory, "memory of this host: available, used, caches, swap, paging");

/* ---- load */

static const struct metric load_metrics[] = {
	{LOAD_1, "load1", "1", 2, "1分钟负载", "load, 1 min"},
	{LOAD_5, "load5", "1", 2, "5分钟负载", "load, 5 min"},
	{LOAD_15, "load15", "1", 2, "15分钟负载", "load, 15 min"},
	{LOAD_1_CORE, "load1_core", "1", 3, "每核1分钟负载", "load per core, 1 min"},
	{LOAD_RUNNABLE, "runnable", "1", 0, "可运行线程", "runnable threads"},
	{LOAD_THREADS, "threads", "1", 0, "线程数", "threads"},
	{LOAD_CORES, "cores", "1", 0, "在线核数", "cores online"},
	{.number = 0},
};
PLAIN_TYPE(load, "load of this host: averages, also per core, runnable threads");

/* ---- disk */

static const struct config_field disk_fields[] = {
	FIELD_IGNORE(disk_options, "/run/user/* /run/credentials/* /run/netns* /var/lib/docker/* /var/lib/containers/* "
		"/var/lib/kubelet/* /snap/* /sys/*", "mount points and devices"),
	FIELD_ROOT,
	{.name = NULL},
};
SCHEMA(disk_options, disk);

static const struct metric disk_metrics[] = {
	{DISK_SIZE, "size", "B", 0, "容量", "size"},
	{DISK_USED, "used", "B", 0, "已用", "used"},
	{DISK_AVAILABLE, "available", "B", 0, "可用", "available"},
	{DISK_USED_SHARE, "used_share", "%", 2, "使用率", "used share"},
	{DISK_INODES, "inodes", "1", 0, "inode总数", "inodes"},
	{DISK_INODES_FREE, "inodes_free", "1", 0, "空闲inode", "free inodes"},
	{DISK_INODES_SHARE, "inodes_share", "%", 2, "inode使用率", "used share of inodes"},
	{DISK_READ_ONLY, "read_only", "1", 0, "只读", "read-only"},
	{DISK_READ_BYTES, "read_bytes", "B/s", 0, "读取速率", "read"},
	{DISK_WRITE_BYTES, "write_bytes", "B/s", 0, "写入速率", "written"},
	{DISK_READS, "reads", "1/s", 2, "读次数", "reads"},
	{DISK_WRITES, "writes", "1/s", 2, "写次数", "writes"},
	{DISK_READ_AWAIT, "read_await", "s", 6, "读延迟", "time of a read"},
	{DISK_WRITE_AWAIT, "write_await", "s", 6, "写延迟", "time of a write"},
	{DISK_BUSY, "busy", "%", 2, "繁忙度", "busy"},
	{DISK_QUEUE, "queue", "1", 3, "平均队列", "requests under way"},
	{DISK_WORST_SHARE, "worst_share", "%", 2, "最高使用率", "used share of the fullest"},
	{DISK_WORST_INODES, "worst_inodes", "%", 2, "最高inode使用率", "used share of inodes, highest"},
	{DISK_FILE_SYSTEMS, "file_systems", "1", 0, "文件系统数", "file systems"},
	{.number = 0},
};
TYPE(disk, disk_options, check_root,
	"local file systems and disks of this host: space, inodes, gone read-only, not mounted; rates, latency");

/* ---- interface */

static const struct config_field interface_fields[] = {
	{.name = "names", .kind = CONFIG_TEXTS, .offset = offsetof(struct interface_options, names),
		.fallback = "", .max = NAMES_MAX,
		.help = "interfaces that must be there with a link; * and ? as in a shell"},
	FIELD_IGNORE(interface_options, "lo veth* cali* cni* lxc* tunl* sit* ip6tnl* ifb* dummy*", "interfaces"),
	FIELD_ROOT,
	{.name = NULL},
};
SCHEMA(interface_options, interface);

static const struct metric interface_metrics[] = {
	{INTERFACE_RX_BYTES, "rx_bytes", "B/s", 0, "接收速率", "received"},
	{INTERFACE_TX_BYTES, "tx_bytes", "B/s", 0, "发送速率", "sent"},
	{INTERFACE_RX_PACKETS, "rx_packets", "1/s", 2, "接收包", "packets received"},
	{INTERFACE_TX_PACKETS, "tx_packets", "1/s", 2, "发送包", "packets sent"},
	{INTERFACE_RX_ERRORS, "rx_errors", "1/s", 4, "接收错误", "receive errors"},
	{INTERFACE_TX_ERRORS, "tx_errors", "1/s", 4, "发送错误", "send errors"},
	{INTERFACE_RX_DROPS, "rx_drops", "1/s", 4, "接收丢弃", "receive drops"},
	{INTERFACE_TX_DROPS, "tx_drops", "1/s", 4, "发送丢弃", "send drops"},
	{INTERFACE_MULTICAST, "multicast", "1/s", 2, "组播包", "multicast packets"},
	{INTERFACE_COLLISIONS, "collisions", "1/s", 4, "冲突", "collisions"},
	{INTERFACE_LINK, "link", "1", 0, "链路", "has a link"},
	{INTERFACE_SPEED, "speed", "bit/s", 0, "速率", "speed"},
	{INTERFACE_MTU, "mtu", "B", 0, "MTU", "MTU"},
	{INTERFACE_GLOBAL_V4, "global_ipv4", "1", 0, "全局IPv4地址", "global IPv4 addresses"},
	{INTERFACE_GLOBAL_V6, "global_ipv6", "1", 0, "全局IPv6地址", "global IPv6 addresses"},
	{.number = 0},
};
TYPE(interface, interface_options, check_root,
	"network interfaces of this host: traffic, errors, drops, link, speed, global addresses of both families");

/* ---- pressure */

static const struct metric pressure_metrics[] = {
	{PRESSURE_CPU, "cpu", "%", 2, "CPU等待", "waiting for CPU"},
	{PRESSURE_CPU_FULL, "cpu_full", "%", 2, "CPU全部等待", "all waiting for CPU"},
	{PRESSURE_MEMORY, "memory", "%", 2, "内存等待", "waiting for memory"},
	{PRESSURE_MEMORY_FULL, "memory_full", "%", 2, "内存全部等待", "all waiting for memory"},
	{PRESSURE_IO, "io", "%", 2, "I/O等待", "waiting for I/O"},
	{PRESSURE_IO_FULL, "io_full", "%", 2, "I/O全部等待", "all waiting for I/O"},
	{PRESSURE_CPU_MINUTE, "cpu_60", "%", 2, "CPU等待（1分钟）", "waiting for CPU, 1 min"},
	{PRESSURE_CPU_FULL_MINUTE, "cpu_full_60", "%", 2, "CPU全部等待（1分钟）", "all waiting for CPU, 1 min"},
	{PRESSURE_MEMORY_MINUTE, "memory_60", "%", 2, "内存等待（1分钟）", "waiting for memory, 1 min"},
	{PRESSURE_MEMORY_FULL_MINUTE, "memory_full_60", "%", 2, "内存全部等待（1分钟）", "all waiting for memory, 1 min"},
	{PRESSURE_IO_MINUTE, "io_60", "%", 2, "I/O等待（1分钟）", "waiting for I/O, 1 min"},
	{PRESSURE_IO_FULL_MINUTE, "io_full_60", "%", 2, "I/O全部等待（1分钟）", "all waiting for I/O, 1 min"},
	{.number = 0},
};
PLAIN_TYPE(pressure, "pressure stall information of this host: shares of time in which work stood still for want of CPU, memory, I/O");

/* ---- protocol */

static const struct metric protocol_metrics[] = {
	{PROTOCOL_ACTIVE, "tcp_active", "1/s", 2, "主动建立", "TCP connections opened"},
	{PROTOCOL_PASSIVE, "tcp_passive", "1/s", 2, "被动建立", "TCP connections accepted"},
	{PROTOCOL_FAILED, "tcp_failed", "1/s", 3, "建立失败", "TCP connections failed"},
	{PROTOCOL_RESETS, "tcp_resets", "1/s", 3, "连接被重置", "TCP connections reset"},
	{PROTOCOL_ESTABLISHED, "tcp_established", "1", 0, "当前连接", "TCP connections now"},
	{PROTOCOL_RECEIVED, "tcp_received", "1/s", 1, "收到报文段", "TCP segments received"},
	{PROTOCOL_SENT, "tcp_sent", "1/s", 1, "发出报文段", "TCP segments sent"},
	{PROTOCOL_RETRANSMITTED, "tcp_retransmitted", "1/s", 3, "重传报文段", "TCP segments sent again"},
	{PROTOCOL_ERRORS, "tcp_errors", "1/s", 4, "错误报文段", "TCP segments with errors"},
	{PROTOCOL_RESETS_SENT, "tcp_resets_sent", "1/s", 3, "发出重置", "TCP resets sent"},
	{PROTOCOL_TIMEOUTS, "tcp_timeouts", "1/s", 4, "重传超时", "TCP time-outs"},
	{PROTOCOL_SYNCOOKIES, "tcp_syncookies", "1/s", 4, "SYN Cookie", "SYN cookies sent"},
	{PROTOCOL_OVERFLOWS, "listen_overflows", "1/s", 4, "监听队列溢出", "accept queue overflows"},
	{PROTOCOL_LISTEN_DROPS, "listen_drops", "1/s", 4, "监听丢弃", "connections dropped at listeners"},
	{PROTOCOL_RETRANSMITTED_SHARE, "tcp_retransmit_pc", "%", 3, "重传率", "TCP segments sent again"},
	{PROTOCOL_IN, "in", "1/s", 1, "收到数据报", "datagrams received"},
	{PROTOCOL_OUT, "out", "1/s", 1, "发出数据报", "datagrams sent"},
	{PROTOCOL_FORWARDED, "forwarded", "1/s", 1, "转发数据报", "datagrams forwarded"},
	{PROTOCOL_IN_DISCARDS, "in_discards", "1/s", 4, "接收丢弃", "received and discarded"},
	{PROTOCOL_OUT_DISCARDS, "out_discards", "1/s", 4, "发送丢弃", "discarded before sending"},
	{PROTOCOL_NO_ROUTES, "no_routes", "1/s", 4, "无路由", "no route"},
	{PROTOCOL_ADDRESS_ERRORS, "address_errors", "1/s", 4, "地址错误", "wrong addresses"},
	{PROTOCOL_REASSEMBLY_FAILS, "reassembly_fails", "1/s", 4, "重组失败", "reassembly failed"},
	{PROTOCOL_FRAGMENT_FAILS, "fragment_fails", "1/s", 4, "分片失败", "fragmentation failed"},
	{PROTOCOL_ICMP_ERRORS, "icmp_errors", "1/s", 4, "ICMP错误", "ICMP errors"},
	{PROTOCOL_ICMP_UNREACHABLE_IN, "unreachable_in", "1/s", 4, "收到不可达", "unreachables received"},
	{PROTOCOL_ICMP_UNREACHABLE_OUT, "unreachable_out", "1/s", 4, "发出不可达", "unreachables sent"},
	{PROTOCOL_UDP_IN, "udp_in", "1/s", 1, "收到UDP", "UDP received"},
	{PROTOCOL_UDP_OUT, "udp_out", "1/s", 1, "发出UDP", "UDP sent"},
	{PROTOCOL_UDP_NO_PORTS, "udp_no_ports", "1/s", 4, "UDP端口无监听", "UDP to no port"},
	{PROTOCOL_UDP_ERRORS, "udp_errors", "1/s", 4, "UDP错误", "UDP errors"},
	{PROTOCOL_UDP_BUFFER_IN, "udp_buffer_in", "1/s", 4, "UDP接收缓冲满", "UDP receive buffer full"},
	{PROTOCOL_UDP_BUFFER_OUT, "udp_buffer_out", "1/s", 4, "UDP发送缓冲满", "UDP send buffer full"},
	{PROTOCOL_TCP_SOCKETS, "tcp_sockets", "1", 0, "TCP套接字", "TCP sockets in use"},
	{PROTOCOL_UDP_SOCKETS, "udp_sockets", "1", 0, "UDP套接字", "UDP sockets in use"},
	{.number = 0},
};
PLAIN_TYPE(protocol, "protocol counters of this host: TCP, which the kernel counts for both families together; as a part for each family IP, ICMP and "
	"UDP, and sockets of TCP and UDP");

/* ---- process */

static const struct config_field process_fields[] = {
	{.name = "names", .kind = CONFIG_TEXTS, .offset = offsetof(struct process_options, names), .fallback = "",
		.max = NAMES_MAX, .help = "processes that must run, by the name that the kernel has (15 bytes at most); * and ? as in a shell"},
	FIELD_ROOT,
	{.name = NULL},
};
SCHEMA(process_options, process);

static const struct metric process_metrics[] = {
	{PROCESS_COUNT, "count", "1", 0, "进程数", "processes"},
	{PROCESS_RUNNING, "running", "1", 0, "可运行线程", "runnable threads"},
	{PROCESS_BLOCKED, "blocked", "1", 0, "不可中断", "uninterruptible"},
	{PROCESS_ZOMBIES, "zombies", "1", 0, "僵尸进程", "zombies"},
	{PROCESS_THREADS, "threads", "1", 0, "线程数", "threads"},
	{PROCESS_RESIDENT, "resident", "B", 0, "常驻内存", "resident"},
	{PROCESS_CPU, "cpu", "%", 2, "CPU（单核为100%）", "CPU, of one core"},
	{.number = 0},
};
TYPE(process, process_options, check_root, "processes of this host: count, zombies, threads; named ones as parts: that they run, their memory and CPU");

/* ---- descriptors */

static const struct metric descriptors_metrics[] = {
	{DESCRIPTORS_OPEN, "open", "1", 0, "打开文件", "open files"},
	{DESCRIPTORS_MOST, "most", "1", 0, "打开文件上限", "most open files"},
	{DESCRIPTORS_SHARE, "share", "%", 3, "打开文件占比", "share of open files"},
	{DESCRIPTORS_TRACKED, "tracked", "1", 0, "连接跟踪", "tracked connections"},
	{DESCRIPTORS_TRACKED_MOST, "tracked_most", "1", 0, "连接跟踪上限", "most tracked connections"},
	{DESCRIPTORS_TRACKED_SHARE, "tracked_share", "%", 2, "连接跟踪占比", "share of tracked connections"},
	{.number = 0},
};
static const struct config_field descriptors_fields[] = {
	{.name = "names", .kind = CONFIG_TEXTS, .offset = offsetof(struct descriptors_options, names), .fallback = "",
		.max = NAMES_MAX, .help = "processes whose own open files and limit are told, each name as in the type process a "
			"part: of several the one that is the nearest to its limit"},
	FIELD_ROOT,
	{.name = NULL},
};
SCHEMA(descriptors_options, descriptors);
TYPE(descriptors, descriptors_options, check_root,
	"what can be full on this host: open files, tracked connections; open files of named processes against their own limit");

/* ---- entropy, uptime, users, self */

static const struct metric entropy_metrics[] = {
	{ENTROPY_AVAILABLE, "available", "bit", 0, "可用熵", "entropy available"}, {.number = 0}};
PLAIN_TYPE(entropy, "entropy that this host's kernel has for random numbers");

static const struct metric uptime_metrics[] = {
	{UPTIME_SECONDS, "uptime", "s", 0, "运行时间", "uptime"},
	{UPTIME_BOOT, "boot", "s", 0, "启动时刻（UTC秒）", "started, UTC seconds"},
	{UPTIME_REBOOTED, "rebooted", "1", 0, "刚重启过", "started anew since the look before"},
	{.number = 0},
};
PLAIN_TYPE(uptime, "since when this host runs, and whether it was started anew since the look before");

static const struct metric users_metrics[] = {
	{USERS_SESSIONS, "sessions", "1", 0, "登录会话", "sessions"},
	{USERS_REMOTE, "remote", "1", 0, "远程会话", "from elsewhere"},
	{USERS_NAMES, "users", "1", 0, "登录用户", "users"},
	{.number = 0},
};
PLAIN_TYPE(users, "who is logged in at this host, by utmp or else by systemd-logind");

static const struct metric self_metrics[] = {
	{SELF_CPU, "cpu", "%", 3, "CPU（单核为100%）", "CPU, of one core"},
	{SELF_RESIDENT, "resident", "B", 0, "常驻内存", "resident"},
	{SELF_THREADS, "threads", "1", 0, "线程数", "threads"},
	{SELF_DESCRIPTORS, "descriptors", "1", 0, "打开文件", "open files"},
	{SELF_DESCRIPTORS_MOST, "descriptors_most", "1", 0, "打开文件上限", "most open files"},
	{SELF_DESCRIPTORS_SHARE, "descriptors_share", "%", 3, "打开文件占比", "share of open files"},
	{SELF_SHARES, "shares", "B", 0, "所有进程内存（PSS）", "memory of all its processes, PSS"},
	{SELF_PROCESSES, "processes", "1", 0, "进程数", "processes"},
	{SELF_JOURNAL, "journal", "B", 0, "日志大小", "journal"},
	{SELF_JOURNAL_MOST, "journal_most", "B", 0, "日志上限", "journal at most"},
	{SELF_JOURNAL_SHARE, "journal_share", "%", 2, "日志占比", "share of the journal"},
	{.number = 0},
};
PLAIN_TYPE(self, "what the agent itself costs this host: CPU, memory, open files, its journal");

/* ---- clock */

static const struct metric clock_metrics[] = {
	{CLOCK_SYNCHRONISED, "synchronised", "1", 0, "已同步", "synchronised"},
	{CLOCK_OFFSET, "offset", "s", 9, "待校正偏差", "offset being corrected"},
	{CLOCK_FREQUENCY, "frequency", "ppm", 3, "频率校正", "frequency correction"},
	{CLOCK_ERROR_MOST, "error_most", "s", 6, "最大误差", "error at most"},
	{CLOCK_ERROR_ESTIMATED, "error_estimated", "s", 6, "估计误差", "error, estimated"},
	{.number = 0},
};
PLAIN_TYPE(clock, "whether something keeps the clock of this host synchronised, and how well");

/* ---- systemd */

static const char *suffix_of(const char *name)
{
	static const char *const suffixes[] = {".service", ".socket", ".target", ".timer", ".mount", ".automount", ".path", ".slice",
		".scope", ".swap", ".device"};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < sizeof suffixes / sizeof *suffixes; i++)
		if (strcmp(dot, suffixes[i]) == 0)
			return dot;
	return NULL;
}

void catalog_unit_name(const char *name, char out[SYSTEMD_NAME_MAX + 1])
{
	snprintf(out, SYSTEMD_NAME_MAX + 1, "%s%s", name, suffix_of(name) != NULL ? "" : ".service");
}

/* As systemd wants them (systemd.unit(5)): of one name that it does not take it would answer nothing at all. */
static int check_unit(const char *name, struct err *e)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@";
	const char *suffix = suffix_of(name), *end = suffix != NULL ? suffix : name + strlen(name);

	if (end == name || name[strspn(name, letters)] != '\0' || strlen(name) > SYSTEMD_NAME_MAX - strlen(".service") || *name == '@')
		return err_set(e, "\"%.80s\" is not the name of a unit, as sshd.service; no pattern is taken", name);
	if (end[-1] == '@')
		return err_set(e, "\"%.80s\" is a template: name one of its instances, as getty@tty1.service", name);
	return 0;
}

static const struct config_field systemd_fields[] = {
	{.name = "names", .kind = CONFIG_TEXTS, .offset = offsetof(struct systemd_options, names), .fallback = "",
		.max = SYSTEMD_NAMES_MAX, .check = check_unit,
		.help = "units that must be active, each a part; without a suffix they are services"},
	FIELD_IGNORE(systemd_options, "", "failed units"),
	{.name = NULL},
};
SCHEMA(systemd_options, systemd);

static const struct metric systemd_metrics[] = {
	{SYSTEMD_FAILED, "failed", "1", 0, "失败单元数", "failed units"},
	{SYSTEMD_ACTIVE, "active", "1", 0, "运行中", "active"},
	{.number = 0},
};
TYPE(systemd, systemd_options, NULL, "units of systemd on this host: those that failed; named ones, as parts, must be active");

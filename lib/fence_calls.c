/* The system calls of fence.h. */
#include "lib/fence.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "lib/err.h"

#define NO_SET 0u /* known, for nobody */
#define ANY_OPEN (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)
#define OF_SOCKETS (FENCE_SERVE | FENCE_NETWORK)

/* By name, as no architecture has all of them and no version of libseccomp knows all: those are left out. Beside the
 * names of today stand those that the same function had, or has elsewhere (open, openat; epoll_wait, epoll_pwait). */
struct call {
	const char *name;
	unsigned sets; /* any of them allows it */
};

static const struct call calls[] = {
	/* descriptors that are there */
	{"read", FENCE_LOOP}, {"write", FENCE_LOOP}, {"readv", FENCE_LOOP}, {"writev", FENCE_LOOP},
	{"pread64", FENCE_LOOP}, {"pwrite64", FENCE_LOOP}, {"preadv", FENCE_LOOP}, {"pwritev", FENCE_LOOP},
	{"preadv2", FENCE_LOOP}, {"pwritev2", FENCE_LOOP}, {"close", FENCE_LOOP}, {"close_range", FENCE_LOOP},
	{"lseek", FENCE_LOOP}, {"fcntl", FENCE_LOOP}, {"dup", FENCE_LOOP}, {"dup2", FENCE_LOOP},
	{"dup3", FENCE_LOOP}, {"pipe", FENCE_LOOP}, {"pipe2", FENCE_LOOP}, {"sendfile", FENCE_LOOP},
	/* also what fstat is in newer C libraries; a path tells no more than that something is there */
	{"fstat", FENCE_LOOP}, {"stat", FENCE_LOOP}, {"lstat", FENCE_LOOP}, {"newfstatat", FENCE_LOOP},
	{"statx", FENCE_LOOP}, {"umask", FENCE_LOOP},
	/* memory */
	{"brk", FENCE_LOOP}, {"munmap", FENCE_LOOP}, {"mremap", FENCE_LOOP}, {"madvise", FENCE_LOOP},
	{"mincore", FENCE_LOOP}, {"msync", FENCE_LOOP}, {"membarrier", FENCE_LOOP},
	/* threads */
	{"futex", FENCE_LOOP}, {"futex_waitv", FENCE_LOOP}, {"set_robust_list", FENCE_LOOP},
	{"get_robust_list", FENCE_LOOP}, {"set_tid_address", FENCE_LOOP}, {"rseq", FENCE_LOOP},
	{"arch_prctl", FENCE_LOOP}, {"sched_yield", FENCE_LOOP}, {"sched_getaffinity", FENCE_LOOP},
	{"sched_getparam", FENCE_LOOP}, {"sched_getscheduler", FENCE_LOOP}, {"sched_getattr", FENCE_LOOP},
	{"getcpu", FENCE_LOOP}, {"exit", FENCE_LOOP}, {"exit_group", FENCE_LOOP}, {"wait4", FENCE_LOOP},
	{"waitid", FENCE_LOOP},
	/* signals */
	{"rt_sigaction", FENCE_LOOP}, {"rt_sigprocmask", FENCE_LOOP}, {"rt_sigreturn", FENCE_LOOP},
	{"rt_sigpending", FENCE_LOOP}, {"rt_sigtimedwait", FENCE_LOOP}, {"rt_sigsuspend", FENCE_LOOP},
	{"sigaltstack", FENCE_LOOP}, {"restart_syscall", FENCE_LOOP}, {"pause", FENCE_LOOP},
	{"alarm", FENCE_LOOP}, {"setitimer", FENCE_LOOP}, {"getitimer", FENCE_LOOP},
	/* time */
	{"nanosleep", FENCE_LOOP}, {"clock_nanosleep", FENCE_LOOP}, {"clock_gettime", FENCE_LOOP},
	{"clock_getres", FENCE_LOOP}, {"gettimeofday", FENCE_LOOP}, {"time", FENCE_LOOP}, {"times", FENCE_LOOP},
	{"timerfd_create", FENCE_LOOP}, {"timerfd_settime", FENCE_LOOP}, {"timerfd_gettime", FENCE_LOOP},
	/* who and where we are */
	{"getpid", FENCE_LOOP}, {"gettid", FENCE_LOOP}, {"getppid", FENCE_LOOP}, {"getpgid", FENCE_LOOP},
	{"getpgrp", FENCE_LOOP}, {"getsid", FENCE_LOOP}, {"getuid", FENCE_LOOP}, {"geteuid", FENCE_LOOP},
	{"getgid", FENCE_LOOP}, {"getegid", FENCE_LOOP}, {"getresuid", FENCE_LOOP}, {"getresgid", FENCE_LOOP},
	{"getgroups", FENCE_LOOP}, {"capget", FENCE_LOOP}, {"uname", FENCE_LOOP}, {"sysinfo", FENCE_LOOP},
	{"getrusage", FENCE_LOOP}, {"getrlimit", FENCE_LOOP}, {"getrandom", FENCE_LOOP},
	/* events */
	{"poll", FENCE_LOOP}, {"ppoll", FENCE_LOOP}, {"select", FENCE_LOOP}, {"pselect6", FENCE_LOOP},
	{"epoll_create", FENCE_LOOP}, {"epoll_create1", FENCE_LOOP}, {"epoll_ctl", FENCE_LOOP},
	{"epoll_wait", FENCE_LOOP}, {"epoll_pwait", FENCE_LOOP}, {"epoll_pwait2", FENCE_LOOP},
	{"eventfd", FENCE_LOOP}, {"eventfd2", FENCE_LOOP}, {"signalfd4", FENCE_LOOP},
	/* messages over sockets that are there */
	{"socketpair", FENCE_LOOP}, {"recvmsg", FENCE_LOOP}, {"recvfrom", FENCE_LOOP}, {"recvmmsg", FENCE_LOOP},
	{"shutdown", FENCE_LOOP}, {"getsockopt", FENCE_LOOP}, {"setsockopt", FENCE_LOOP},
	{"getsockname", FENCE_LOOP}, {"getpeername", FENCE_LOOP},

	{"access", FENCE_READ}, {"faccessat", FENCE_READ}, {"faccessat2", FENCE_READ}, {"readlink", FENCE_READ},
	{"readlinkat", FENCE_READ}, {"getcwd", FENCE_READ}, {"chdir", FENCE_READ}, {"fchdir", FENCE_READ},
	{"getdents", FENCE_READ}, {"getdents64", FENCE_READ}, {"statfs", FENCE_READ}, {"fstatfs", FENCE_READ},
	{"fadvise64", FENCE_READ}, {"readahead", FENCE_READ},

	{"unlink", FENCE_WRITE}, {"unlinkat", FENCE_WRITE}, {"rename", FENCE_WRITE}, {"renameat", FENCE_WRITE},
	{"renameat2", FENCE_WRITE}, {"mkdir", FENCE_WRITE}, {"mkdirat", FENCE_WRITE}, {"rmdir", FENCE_WRITE},
	{"creat", FENCE_WRITE}, {"truncate", FENCE_WRITE}, {"ftruncate", FENCE_WRITE}, {"fallocate", FENCE_WRITE},
	{"fsync", FENCE_WRITE}, {"fdatasync", FENCE_WRITE}, {"syncfs", FENCE_WRITE},
	{"sync_file_range", FENCE_WRITE}, {"chmod", FENCE_WRITE}, {"fchmod", FENCE_WRITE},
	{"fchmodat", FENCE_WRITE}, {"fchmodat2", FENCE_WRITE}, {"utime", FENCE_WRITE}, {"utimes", FENCE_WRITE},
	{"futimesat", FENCE_WRITE}, {"utimensat", FENCE_WRITE}, {"flock", FENCE_WRITE},
	{"copy_file_range", FENCE_WRITE}, {"memfd_create", FENCE_WRITE},

	{"accept", OF_SOCKETS}, {"accept4", OF_SOCKETS}, {"connect", FENCE_NETWORK | FENCE_STREAM}, {"bind", FENCE_NETWORK},
	{"listen", FENCE_NETWORK},

	{"fork", FENCE_FORK}, {"vfork", FENCE_FORK}, {"setpgid", FENCE_FORK}, {"setsid", FENCE_FORK},
	{"execve", FENCE_EXEC},

	{"setuid", FENCE_RIGHTS}, {"setgid", FENCE_RIGHTS}, {"setresuid", FENCE_RIGHTS},
	{"setresgid", FENCE_RIGHTS}, {"setgroups", FENCE_RIGHTS}, {"capset", FENCE_RIGHTS},
	{"seccomp", FENCE_RIGHTS}, {"landlock_create_ruleset", FENCE_RIGHTS}, {"landlock_add_rule", FENCE_RIGHTS},
	{"landlock_restrict_self", FENCE_RIGHTS},

	{"execveat", NO_SET}, {"link", NO_SET}, {"linkat", NO_SET}, {"symlink", NO_SET}, {"symlinkat", NO_SET},
	{"mknod", NO_SET}, {"mknodat", NO_SET}, {"chown", NO_SET}, {"fchown", NO_SET}, {"lchown", NO_SET},
	{"fchownat", NO_SET}, {"setxattr", NO_SET}, {"lsetxattr", NO_SET}, {"fsetxattr", NO_SET},
	{"setreuid", NO_SET}, {"setregid", NO_SET}, {"setfsuid", NO_SET}, {"setfsgid", NO_SET}, {"chroot", NO_SET},
	{"keyctl", NO_SET}, {"add_key", NO_SET}, {"request_key", NO_SET}, {"tkill", NO_SET},
	{"rt_sigqueueinfo", NO_SET}, {"rt_tgsigqueueinfo", NO_SET}, {"pidfd_open", NO_SET},
	{"pidfd_send_signal", NO_SET}, {"kcmp", NO_SET}, {"memfd_secret", NO_SET}, {"shmget", NO_SET},
	{"msgget", NO_SET}, {"semget", NO_SET}, {"mq_open", NO_SET}, {"name_to_handle_at", NO_SET},
	{"syslog", NO_SET}, {"sethostname", NO_SET}, {"setdomainname", NO_SET}, {"quotactl", NO_SET},
	{"acct", NO_SET}, {"vhangup", NO_SET}, {"adjtimex", FENCE_CLOCK}, {"clock_adjtime", FENCE_CLOCK},
};

/* Not even a part of a program that is taken over by chance: these are killed for. */
static const char *const hostile[] = {"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "bpf",
	"perf_event_open", "userfaultfd", "init_module", "finit_module", "delete_module", "kexec_load",
	"kexec_file_load", "mount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsconfig",
	"fsmount", "fspick", "mount_setattr", "unshare", "setns", "open_by_handle_at", "reboot", "swapon", "swapoff",
	"iopl", "ioperm", "settimeofday", "clock_settime"};

static const uint64_t namespaces[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
	CLONE_NEWUTS, CLONE_NEWCGROUP};
#define ALL_NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	CLONE_NEWCGROUP)

#define REFUSE SCMP_ACT_ERRNO(EPERM)
#define COUNT(array) (sizeof(array) / sizeof *(array))

struct filter {
	scmp_filter_ctx scmp;
	unsigned sets;
	int status; /* of the first rule that failed, -errno */
};

static void rule(struct filter *f, uint32_t action, const char *name, unsigned count, const struct scmp_arg_cmp *args)
{
	int number = seccomp_syscall_resolve_name(name), status;

	if (f->status != 0 || number == __NR_SCMP_ERROR)
		return;
	status = seccomp_rule_add_array(f->scmp, action, number, count, args);
	if (status != -EDOM) /* not on this architecture */
		f->status = status;
}

static void rule_if(struct filter *f, uint32_t action, const char *name, struct scmp_arg_cmp condition)
{
	rule(f, action, name, 1, &condition);
}

static void rule_if_both(struct filter *f, uint32_t action, const char *name, struct scmp_arg_cmp a,
	struct scmp_arg_cmp b)
{
	const struct scmp_arg_cmp both[] = {a, b};

	rule(f, action, name, 2, both);
}

static uint32_t when(const struct filter *f, unsigned sets)
{
	return (f->sets & sets) != 0 ? SCMP_ACT_ALLOW : REFUSE;
}

static struct scmp_arg_cmp equals(unsigned arg, uint64_t value)
{
	return SCMP_CMP64(arg, SCMP_CMP_EQ, value);
}

static struct scmp_arg_cmp differs(unsigned arg, uint64_t value)
{
	return SCMP_CMP64(arg, SCMP_CMP_NE, value);
}

static struct scmp_arg_cmp masked(unsigned arg, uint64_t mask, uint64_t value)
{
	return SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value);
}

/* Rules of one call must not overlap: each condition stands beside its opposite. */

static void add_open(struct filter *f, const char *name, unsigned flags)
{
	static const uint64_t writing[] = {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC};

	if ((f->sets & FENCE_WRITE) != 0 || (f->sets & FENCE_READ) == 0) {
		rule(f, when(f, FENCE_WRITE), name, 0, NULL);
		return;
	}
	rule_if(f, SCMP_ACT_ALLOW, name, masked(flags, ANY_OPEN, 0));
	for (size_t i = 0; i < COUNT(writing); i++)
		rule_if(f, REFUSE, name, masked(flags, writing[i], writing[i]));
}

static void add_code(struct filter *f, const char *name)
{
	rule_if(f, SCMP_ACT_ALLOW, name, masked(2, PROT_EXEC, 0));
	rule_if(f, when(f, FENCE_LOAD | FENCE_EXEC), name, masked(2, PROT_EXEC, PROT_EXEC));
}

/* In a namespace of its own a process has all capabilities again. */
static void add_clone(struct filter *f)
{
	rule_if(f, SCMP_ACT_ALLOW, "clone", masked(0, ALL_NAMESPACES | CLONE_THREAD, CLONE_THREAD));
	rule_if(f, when(f, FENCE_FORK), "clone", masked(0, ALL_NAMESPACES | CLONE_THREAD, 0));
	for (size_t i = 0; i < COUNT(namespaces); i++)
		rule_if(f, SCMP_ACT_KILL_PROCESS, "clone", masked(0, namespaces[i], namespaces[i]));
}

static void add_signals(struct filter *f)
{
	static const char *const names[] = {"kill", "tgkill"};
	uint64_t own = (uint64_t)getpid();

	for (size_t i = 0; i < COUNT(names); i++) {
		if ((f->sets & FENCE_FORK) != 0) {
			rule(f, SCMP_ACT_ALLOW, names[i], 0, NULL);
			continue;
		}
		rule_if(f, SCMP_ACT_ALLOW, names[i], equals(0, own));
		rule_if(f, REFUSE, names[i], differs(0, own));
	}
}

static void add_limits(struct filter *f)
{
	rule_if(f, SCMP_ACT_ALLOW, "prlimit64", equals(0, 0));
	rule_if(f, REFUSE, "prlimit64", differs(0, 0));
}

static void add_options(struct filter *f)
{
	static const uint64_t own[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_CAPBSET_READ,
		PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, 0x53564d41 /* PR_SET_VMA: names of the C library's memory */};

	if ((f->sets & (FENCE_RIGHTS | FENCE_EXEC)) != 0) {
		rule(f, SCMP_ACT_ALLOW, "prctl", 0, NULL);
		return;
	}
	for (size_t i = 0; i < COUNT(own); i++)
		rule_if(f, SCMP_ACT_ALLOW, "prctl", equals(0, own[i]));
}

/* TIOCSTI, which types on a terminal, is not among them. */
static void add_controls(struct filter *f)
{
	static const uint64_t own[] = {FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, SIOCOUTQ, TCGETS, TIOCGWINSZ};
	static const uint64_t network[] = {SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFMTU};

	for (size_t i = 0; i < COUNT(own); i++)
		rule_if(f, SCMP_ACT_ALLOW, "ioctl", equals(1, own[i]));
	for (size_t i = 0; i < COUNT(network); i++)
		rule_if(f, when(f, FENCE_NETWORK), "ioctl", equals(1, network[i]));
}

static void add_internet(struct filter *f, uint64_t domain, uint64_t icmp)
{
	if ((f->sets & FENCE_NETWORK) != 0) {
		rule_if(f, SCMP_ACT_ALLOW, "socket", equals(0, domain));
		return;
	}
	rule_if_both(f, when(f, FENCE_ICMP), "socket", equals(0, domain), equals(2, icmp));
	rule_if_both(f, REFUSE, "socket", equals(0, domain), differs(2, icmp));
}

/* Datagrams of UNIX are what the C library asks for the index of an interface with. */
static uint32_t of_unix(const struct filter *f, uint64_t type)
{
	if (type == SOCK_DGRAM)
		return when(f, FENCE_NETWORK);
	return type == SOCK_STREAM ? when(f, FENCE_STREAM) : REFUSE;
}

static void add_unix(struct filter *f)
{
	for (uint64_t type = 0; type < 16; type++)
		rule_if_both(f, of_unix(f, type), "socket", equals(0, AF_UNIX), masked(1, 15, type));
}

static void add_sockets(struct filter *f)
{
	add_internet(f, AF_INET, IPPROTO_ICMP);
	add_internet(f, AF_INET6, IPPROTO_ICMPV6);
	add_unix(f);
	rule_if_both(f, when(f, FENCE_NETWORK), "socket", equals(0, AF_NETLINK), equals(2, 0 /* routing */));
	rule_if_both(f, REFUSE, "socket", equals(0, AF_NETLINK), differs(2, 0));
	for (uint64_t domain = 0; domain < AF_NETLINK; domain++) {
		if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6)
			rule_if(f, REFUSE, "socket", equals(0, domain));
	}
	rule_if(f, REFUSE, "socket", SCMP_CMP64(0, SCMP_CMP_GT, AF_NETLINK));
}

/* With MSG_FASTOPEN sending connects, also a listener that was shut down. */
static void add_sending(struct filter *f, const char *name, unsigned flags)
{
	if ((f->sets & FENCE_NETWORK) != 0) {
		rule(f, SCMP_ACT_ALLOW, name, 0, NULL);
		return;
	}
	rule_if(f, SCMP_ACT_ALLOW, name, masked(flags, MSG_FASTOPEN, 0));
	rule_if(f, REFUSE, name, masked(flags, MSG_FASTOPEN, MSG_FASTOPEN));
}

static void add_rules(struct filter *f)
{
	rule(f, SCMP_ACT_ALLOW, "clone3", 0, NULL); /* below */
	for (size_t i = 0; i < COUNT(hostile); i++)
		rule(f, SCMP_ACT_KILL_PROCESS, hostile[i], 0, NULL);
	for (size_t i = 0; i < COUNT(calls); i++)
		rule(f, when(f, calls[i].sets), calls[i].name, 0, NULL);
	add_open(f, "open", 1);
	add_open(f, "openat", 2);
	add_code(f, "mmap");
	add_code(f, "mprotect");
	add_clone(f);
	add_signals(f);
	add_limits(f);
	add_options(f);
	add_controls(f);
	add_sockets(f);
	add_sending(f, "sendto", 3);
	add_sending(f, "sendmsg", 2);
	add_sending(f, "sendmmsg", 3);
}

/* The C library begins each thread with clone3 and goes back to clone: a filter of its own, which does not log. */
static void add_quiet_rules(struct filter *f)
{
	rule(f, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
}

static int load(unsigned sets, uint32_t otherwise, bool logs, void (*add)(struct filter *))
{
	struct filter f = {.scmp = seccomp_init(otherwise), .sets = sets};

	if (f.scmp == NULL)
		return -ENOMEM;
	/* Threads that are there already are fenced too. */
	f.status = seccomp_attr_set(f.scmp, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(f.scmp, SCMP_FLTATR_CTL_LOG, logs);
	seccomp_attr_set(f.scmp, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	add(&f);
	if (f.status == 0)
		f.status = seccomp_load(f.scmp);
	seccomp_release(f.scmp);
	return f.status;
}

int fence_syscalls(unsigned sets, struct err *e)
{
	int status = load(sets, SCMP_ACT_ALLOW, false, add_quiet_rules);

	assert((sets & FENCE_LOOP) != 0);
	if (status == 0)
		status = load(sets, SCMP_ACT_ERRNO(ENOSYS), true, add_rules);
	if (status == 0)
		return 0;
	errno = -status;
	return err_errno(e, "seccomp");
}

#ifdef __SANITIZE_ADDRESS__
/* Asked at the end of a process by the leak checker, which would trace its own process: not in a fence, where a call
 * that no set has is refused before its arguments are looked at. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return syscall(SYS_linkat, -1, NULL, -1, NULL, 0) < 0 && errno == EPERM;
}
#endif

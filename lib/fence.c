#include "lib/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/num.h"

/* ---- user and capabilities */

/* A name of the user database or a number. */
static int find_user(const char *user, uid_t *uid, gid_t *gid, struct err *e)
{
	const struct passwd *p = getpwnam(user);
	struct err ignored;
	int64_t number;

	if (p == NULL && num_parse_int(user, 0, UINT32_MAX - 1, &number, &ignored) == 0) {
		p = getpwuid((uid_t)number);
		*uid = (uid_t)number;
		*gid = p != NULL ? p->pw_gid : (gid_t)number;
		return 0;
	}
	if (p == NULL)
		return err_set(e, "there is no user \"%s\"", user);
	*uid = p->pw_uid;
	*gid = p->pw_gid;
	return 0;
}

static int become(const char *user, struct err *e)
{
	uid_t uid = 0;
	gid_t gid = 0;

	if (find_user(user, &uid, &gid, e) < 0)
		return -1;
	if (geteuid() == uid && getegid() == gid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_errno(e, "becoming user %s", user);
	return 0;
}

/* Of every set; the bounding set as far as we may. */
static int clear_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

	for (int cap = 0; cap <= 63; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, none) < 0)
		return err_errno(e, "dropping capabilities");
	return 0;
}

int fence_drop_rights(const char *user, struct err *e)
{
	if (user != NULL && *user != '\0' && become(user, e) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "no_new_privs");
	return clear_capabilities(e);
}

/* ---- paths (Landlock) */

/* Rights by number: the header of the build machine may be older than the kernel. */
#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define REFER UINT64_C(0x2000)    /* from ABI 2 on: rename between folders */
#define TRUNCATE UINT64_C(0x4000) /* from ABI 3 on */
#define ABI1_RIGHTS UINT64_C(0x1fff)

static uint64_t rights_of_abi(int abi)
{
	uint64_t rights = ABI1_RIGHTS;

	if (abi >= 2)
		rights |= REFER;
	if (abi >= 3)
		rights |= TRUNCATE;
	return rights;
}

/* A path that is not there needs no rule. */
static int allow_below(int ruleset, const char *path, uint64_t rights, struct err *e)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights};
	int status = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "fence around %.200s", path);
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0) {
		/* A file takes the rights of files alone. */
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE |
			LANDLOCK_ACCESS_FS_EXECUTE;
		if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
			status = err_errno(e, "fence around %.200s", path);
	}
	close(rule.parent_fd);
	return status;
}

int fence_paths(const char *const *readable, const char *const *writable, int *active, struct err *e)
{
	struct landlock_ruleset_attr attr = {0};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int ruleset, status = 0;

	*active = 0;
	if (abi < 1)
		return 0;
	attr.handled_access_fs = rights_of_abi((int)abi);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (ruleset < 0)
		return err_errno(e, "Landlock");
	for (; *readable != NULL && status == 0; readable++)
		status = allow_below(ruleset, *readable, READ_RIGHTS, e);
	for (; *writable != NULL && status == 0; writable++)
		status = allow_below(ruleset, *writable, attr.handled_access_fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE, e);
	if (status == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		status = err_errno(e, "no_new_privs");
	if (status == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		status = err_errno(e, "Landlock");
	close(ruleset);
	*active = status == 0;
	return status;
}

/* ---- system calls */

/* What neither needs: other programs, other processes, the machine. */
static const int never[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(kcmp), SCMP_SYS(pidfd_getfd), SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl), SCMP_SYS(add_key),
	SCMP_SYS(request_key), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
	SCMP_SYS(fsopen), SCMP_SYS(fspick), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(open_tree),
	SCMP_SYS(move_mount), SCMP_SYS(mount_setattr), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(process_madvise), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid),
	SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct),
	SCMP_SYS(quotactl), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(adjtimex),
	SCMP_SYS(clock_adjtime), SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(iopl),
	SCMP_SYS(ioperm), SCMP_SYS(personality), SCMP_SYS(syslog), SCMP_SYS(vhangup), SCMP_SYS(mknod),
	SCMP_SYS(mknodat), SCMP_SYS(chown), SCMP_SYS(fchown), SCMP_SYS(lchown), SCMP_SYS(fchownat),
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups),
	SCMP_SYS(capset), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
};

/* What a worker that computes on what it is handed does not need besides. */
static const int never_compute[] = {
	SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(creat), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
	SCMP_SYS(rmdir), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink), SCMP_SYS(symlinkat),
	SCMP_SYS(truncate), SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(setxattr),
	SCMP_SYS(memfd_create), SCMP_SYS(memfd_secret), SCMP_SYS(shmget), SCMP_SYS(mq_open),
	SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(inotify_init1),
};

static int forbid(scmp_filter_ctx f, const int *calls, size_t count)
{
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		status = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
	return status;
}

/* In a namespace of its own a process has all capabilities again. The flags of clone3 stand in memory, where a
 * filter cannot look: without it the C library takes clone. */
static int forbid_namespaces(scmp_filter_ctx f)
{
	static const uint64_t flags[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
		CLONE_NEWUTS, CLONE_NEWCGROUP};
	int status = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (size_t i = 0; i < sizeof flags / sizeof *flags && status == 0; i++)
		status = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
	return status;
}

/* Threads, but no process. */
static int forbid_processes(scmp_filter_ctx f)
{
	return seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
}

/* Opening for writing or making files, by each flag that says so. */
static int forbid_writing(scmp_filter_ctx f)
{
	static const uint64_t flags[] = {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC};
	int status = 0;

	for (size_t i = 0; i < sizeof flags / sizeof *flags && status == 0; i++) {
		status = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
		if (status == 0)
			status = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
	}
	/* Its flags stand in memory, where a filter cannot look. */
	return status == 0 ? seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0) : status;
}

int fence_syscalls(enum fence_profile profile, struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int status;

	if (f == NULL)
		return err_set(e, "seccomp cannot be set up");
	/* Threads that are there already are fenced too; refusals are logged where the kernel can. */
	status = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(f, SCMP_FLTATR_CTL_LOG, 1);
	if (status == 0)
		status = forbid(f, never, sizeof never / sizeof *never);
	if (status == 0)
		status = forbid_namespaces(f);
	if (status == 0 && profile == FENCE_COMPUTE)
		status = forbid(f, never_compute, sizeof never_compute / sizeof *never_compute);
	if (status == 0 && profile == FENCE_COMPUTE)
		status = forbid_processes(f);
	if (status == 0 && profile == FENCE_COMPUTE)
		status = forbid_writing(f);
	if (status == 0)
		status = seccomp_load(f);
	seccomp_release(f);
	if (status == 0)
		return 0;
	errno = -status;
	return err_errno(e, "seccomp");
}

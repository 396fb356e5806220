#include "lib/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/num.h"

/* ---- user and capabilities */

int fence_find_user(const char *user, uid_t *uid, gid_t *gid, struct err *e)
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

	if (fence_find_user(user, &uid, &gid, e) < 0)
		return -1;
	if (geteuid() == uid && getegid() == gid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_errno(e, "becoming user %s", user);
	return 0;
}

/* Its name in the folder above is on disk. */
static int make_folder(const char *path, unsigned mode, struct err *e)
{
	int fd, above;

	if (mkdir(path, mode) != 0)
		return errno == EEXIST ? 0 : err_errno(e, "%.200s", path);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	above = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (above >= 0) {
		fsync(above);
		close(above);
	}
	close(fd);
	return 0;
}

int fence_give_folder(const char *path, unsigned mode, const char *user, struct err *e)
{
	uid_t uid = 0;
	gid_t gid = 0;

	if (make_folder(path, mode, e) < 0)
		return -1;
	if (geteuid() != 0 || user == NULL || *user == '\0')
		return 0;
	if (fence_find_user(user, &uid, &gid, e) < 0)
		return -1;
	return chown(path, uid, gid) == 0 ? 0 : err_errno(e, "%.200s", path);
}

/* The bounding set goes as far as we may. */
int fence_keep_capabilities(uint64_t mask, struct err *e)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "no_new_privs");
	if (syscall(SYS_capget, &head, data) < 0)
		return err_errno(e, "looking at capabilities");
	for (int cap = 0; cap <= 63; cap++) {
		if ((mask >> cap & 1) == 0)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(mask >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return err_errno(e, "giving up capabilities");
	return 0;
}

int fence_pass_capabilities(uint64_t mask, struct err *e)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};

	if (fence_keep_capabilities(mask, e) < 0)
		return -1;
	if (syscall(SYS_capget, &head, data) < 0)
		return err_errno(e, "looking at capabilities");
	for (int i = 0; i < 2; i++)
		data[i].inheritable = data[i].permitted;
	if (syscall(SYS_capset, &head, data) < 0)
		return err_errno(e, "passing capabilities on");
	for (unsigned cap = 0; cap <= 63; cap++) {
		if ((data[cap / 32].permitted >> cap % 32 & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return err_errno(e, "passing capability %u on", cap);
	}
	return 0;
}

int fence_drop_rights(const char *user, struct err *e)
{
	if (user != NULL && *user != '\0' && become(user, e) < 0)
		return -1;
	return fence_keep_capabilities(0, e);
}

/* ---- paths (Landlock) */

/* By number, as in linux/landlock.h: the headers of the build machine may be older than the kernel. */
enum { CREATE_RULESET = 444, ADD_RULE, RESTRICT_SELF }; /* system calls, the same everywhere */
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

struct ruleset_attr {
	uint64_t handled_access_fs;
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

#define EXECUTE UINT64_C(1)
#define WRITE_FILE UINT64_C(2)
#define READ_FILE UINT64_C(4)
#define READ_FOLDER UINT64_C(8)
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
	struct path_beneath_attr rule = {.allowed_access = rights};
	int status = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "fence around %.200s", path);
	if (syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0) {
		/* A file takes the rights of files alone. */
		rule.allowed_access &= READ_FILE | WRITE_FILE | TRUNCATE | EXECUTE;
		if (syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
			status = err_errno(e, "fence around %.200s", path);
	}
	close(rule.parent_fd);
	return status;
}

static int landlock_abi(void)
{
	return (int)syscall(CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
}

bool fence_has_landlock(void)
{
	return landlock_abi() >= 1;
}

int fence_paths(const char *const *readable, const char *const *writable, int *active, struct err *e)
{
	struct ruleset_attr attr = {0};
	int abi = landlock_abi();
	int ruleset, status = 0;

	*active = 0;
	if (abi < 1)
		return 0;
	attr.handled_access_fs = rights_of_abi(abi);
	ruleset = (int)syscall(CREATE_RULESET, &attr, sizeof attr, 0);
	if (ruleset < 0)
		return err_errno(e, "Landlock");
	for (; *readable != NULL && status == 0; readable++)
		status = allow_below(ruleset, *readable, READ_FILE | READ_FOLDER, e);
	for (; *writable != NULL && status == 0; writable++)
		status = allow_below(ruleset, *writable, attr.handled_access_fs & ~EXECUTE, e);
	if (status == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		status = err_errno(e, "no_new_privs");
	if (status == 0 && syscall(RESTRICT_SELF, ruleset, 0) < 0)
		status = err_errno(e, "Landlock");
	close(ruleset);
	*active = status == 0;
	return status;
}

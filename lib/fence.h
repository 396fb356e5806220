/*
 * fence: give up rights for good. Each call narrows the process that makes it and all that it starts later.
 *
 *   fence_give_folder, fence_drop_rights -> fence_paths -> fence_syscalls, before the first byte from outside
 *
 * System calls are an allow-list, put together from named sets (enum fence_set). What is not allowed ends in
 * one of three ways, each but clone3 logged by the kernel (audit, type=SECCOMP):
 *   ENOSYS  a call that no set knows. An older kernel says the same, so that a C library which begins to use
 *           a new call falls back as it does there; EPERM would break it, and killing would be a crash loop
 *           on every host that updates it. Calls that hide their arguments in memory, where a filter cannot
 *           look, are of these: clone3, openat2, io_uring.
 *   EPERM   a call, or arguments of one, that belong to a set which this process has not.
 *   SIGSYS  what no library does and only an intruder tries: ptrace, bpf, kexec, modules, mounts, namespaces,
 *           the memory of other processes, calls of another architecture (32 bits, x32). The process is
 *           killed and started again by its parent: an exploit gets no second try in it, and is seen.
 * Calls are found by name: kernels from 4.19, glibc from 2.28, libseccomp from 2.4, x86_64 and aarch64.
 * Landlock (kernel 5.13) may be missing: then the rights of the file system alone bound paths.
 * Thread: fence_syscalls fences all threads of the process, the others only the one that calls: call them
 * before there are more.
 */
#ifndef LIB_FENCE_H
#define LIB_FENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Makes a folder when it is missing, durably. Root gives it to the user that it will become (see below). */
int fence_give_folder(const char *path, unsigned mode, const char *user, struct err *);
/* A name of the user database or a number. */
int fence_find_user(const char *user, uid_t *, gid_t *, struct err *);
/* Becomes the user (name or number; NULL or "" keeps the present one), clears groups and capabilities, sets
 * no_new_privs. */
int fence_drop_rights(const char *user, struct err *);
/* Gives up all capabilities but those of the mask (1 << CAP_...), which are kept as far as they are there; sets
 * no_new_privs. */
int fence_keep_capabilities(uint64_t mask, struct err *);
/* Gives those of the mask that are there to the programs which the process executes, without a way back to others. */
int fence_pass_capabilities(uint64_t mask, struct err *);

/* Landlock: reads below `readable`, writes below `writable` (NULL-terminated lists; what is not there is left out),
 * nothing else of the file system. 0 also where the kernel has no Landlock: *active says. */
int fence_paths(const char *const *readable, const char *const *writable, int *active, struct err *);
/* Whether this kernel has Landlock; to be asked before fence_syscalls. */
bool fence_has_landlock(void);

enum fence_set {
	FENCE_LOOP = 1 << 0,    /* everybody: memory, threads, time, events, descriptors that are there, itself */
	FENCE_READ = 1 << 1,    /* opens files and folders, but not for writing */
	FENCE_WRITE = 1 << 2,   /* makes, writes, renames, removes files */
	FENCE_SERVE = 1 << 3,   /* accepts on listening sockets that are there */
	FENCE_NETWORK = 1 << 4, /* makes sockets (IP, routing netlink, datagrams of UNIX), connects, binds, listens */
	FENCE_ICMP = 1 << 5,    /* makes ICMP sockets */
	FENCE_LOAD = 1 << 6,    /* maps code: shared objects (name services), what exec needs */
	FENCE_FORK = 1 << 7,    /* makes and signals processes */
	FENCE_EXEC = 1 << 8,    /* becomes another program */
	FENCE_RIGHTS = 1 << 9,  /* becomes another user, fences itself further */
	FENCE_STREAM = 1 << 11, /* makes streams of UNIX, connects */
	FENCE_CLOCK = 1 << 10,  /* asks how the clock is kept. The same calls set it, which the kernel leaves to CAP_SYS_TIME */
};
/* Allows the named sets, FENCE_LOOP among them. */
int fence_syscalls(unsigned sets, struct err *);

#endif

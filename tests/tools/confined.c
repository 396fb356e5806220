/*
 * confined: one process of the agent or the collector as an intruder would have it: fenced by the very function that
 * the process calls, with the settings that it has read, and then made to do what it is told.
 *
 *   confined WHO SETTINGS DEED ...    WHO: engine, helper, units, probe; parent, ingest, series, judge, web, render,
 *                                  notify
 *
 * Prints "landlock 0|1" and for each deed "DEED errno", 0 when it was done. Before the fence it has made a TCP socket
 * ("idle") and a listener, as processes have that bind first. Deeds: see the table.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "agent/confine.h"
#include "agent/settings.h"
#include "collector/confine.h"
#include "collector/settings.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/log.h"

struct prey {
	int idle, listener;
};

static int result(long status)
{
	return status < 0 ? errno : 0;
}

static struct sockaddr_in address_of(const char *port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int do_read(struct prey *p, const char *path) { (void)p; return result(open(path, O_RDONLY | O_CLOEXEC)); }
static int do_write(struct prey *p, const char *path)
{
	(void)p;
	return result(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static int do_remove(struct prey *p, const char *path) { (void)p; return result(unlink(path)); }
static int do_mode(struct prey *p, const char *path) { (void)p; return result(chmod(path, 04755)); }

static int do_exec(struct prey *p, const char *path)
{
	(void)p;
	execl(path, path, (char *)NULL);
	return errno;
}

static int do_fork(struct prey *p, const char *text)
{
	pid_t pid = fork();

	(void)p, (void)text;
	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : result(waitpid(pid, NULL, 0));
}

static int do_socket(struct prey *p, const char *text)
{
	int domain, type, protocol;

	(void)p;
	if (sscanf(text, "%d,%d,%d", &domain, &type, &protocol) != 3)
		return EINVAL;
	return result(socket(domain, type, protocol));
}

static int do_connect(struct prey *p, const char *port)
{
	struct sockaddr_in to = address_of(port);

	return result(connect(p->idle, (struct sockaddr *)&to, sizeof to));
}

/* Sending connects too, and a listener that is shut down is a socket as any other. */
static int do_fastopen(struct prey *p, const char *port)
{
	struct sockaddr_in to = address_of(port);

	shutdown(p->listener, SHUT_RDWR);
	return result(sendto(p->listener, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to));
}

static int do_bind(struct prey *p, const char *port)
{
	struct sockaddr_in to = address_of(port);

	return result(bind(p->idle, (struct sockaddr *)&to, sizeof to));
}

static int do_accept(struct prey *p, const char *text)
{
	int status = result(accept4(p->listener, NULL, NULL, SOCK_CLOEXEC));

	(void)text;
	return status == EAGAIN ? 0 : status; /* nobody was there */
}

static int do_kill(struct prey *p, const char *text) { (void)p, (void)text; return result(kill(getppid(), 0)); }
static int do_root(struct prey *p, const char *text) { (void)p, (void)text; return result(setresuid(0, 0, 0)); }
static int do_code(struct prey *p, const char *text)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)p, (void)text;
	return at == MAP_FAILED ? errno : 0;
}
static int do_ptrace(struct prey *p, const char *text)
{
	(void)p, (void)text;
	return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}
static int do_memory(struct prey *p, const char *text)
{
	(void)p, (void)text;
	return result(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}
static int do_namespace(struct prey *p, const char *text)
{
	(void)p, (void)text;
	return result(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */));
}
static int do_mount(struct prey *p, const char *text)
{
	(void)p, (void)text;
	return result(syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL));
}
static int do_bpf(struct prey *p, const char *text) { (void)p, (void)text; return result(syscall(SYS_bpf, 0, NULL, 0)); }

static const struct {
	const char *name; /* "name" or "name:argument" */
	int (*perform)(struct prey *, const char *argument);
} deeds[] = {
	{"read", do_read}, {"write", do_write}, {"remove", do_remove}, {"mode", do_mode}, {"exec", do_exec},
	{"fork", do_fork}, {"socket", do_socket}, {"connect", do_connect}, {"fastopen", do_fastopen},
	{"bind", do_bind}, {"accept", do_accept}, {"kill", do_kill}, {"root", do_root}, {"code", do_code},
	{"ptrace", do_ptrace}, {"memory", do_memory}, {"namespace", do_namespace}, {"mount", do_mount}, {"bpf", do_bpf},
};

static void perform(struct prey *p, const char *deed)
{
	const char *argument = strchr(deed, ':');
	size_t len = argument != NULL ? (size_t)(argument - deed) : strlen(deed);

	for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
		if (strlen(deeds[i].name) == len && strncmp(deeds[i].name, deed, len) == 0) {
			printf("%s %d\n", deed, deeds[i].perform(p, argument != NULL ? argument + 1 : ""));
			fflush(stdout);
			return;
		}
	}
	fprintf(stderr, "confined: no such deed: %s\n", deed);
	exit(2);
}

/* ---- the fences */

static int confine_as_engine(const char *path, struct err *e)
{
	struct agent_settings *s = agent_settings_load(path, e);
	bool has_paths;

	if (s == NULL || fence_drop_rights(s->user, e) < 0)
		return -1;
	return confine_engine(s, &has_paths, e);
}

/* Of the agent those that need no settings. */
static const struct {
	const char *name;
	int (*confine)(struct err *);
} plain[] = {{"helper", confine_helper}, {"helper-keeper", confine_helper_keeper}, {"probe", confine_probe},
	{"units", confine_units}, {"units-keeper", confine_units_keeper}};

static int confine_without_channels(const struct settings *s, struct err *e)
{
	return confine_notify(s, NULL, e);
}

static int confine_of_collector(const char *who, const char *path, struct err *e)
{
	static const struct {
		const char *name;
		int (*confine)(const struct settings *, struct err *);
	} roles[] = {{"ingest", confine_ingest}, {"series", confine_series}, {"judge", confine_judge},
		{"web", confine_web}, {"render", confine_render}, {"notify", confine_without_channels}};
	struct settings *s = settings_load(path, e);

	if (s == NULL || confine_parent(s, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		if (strcmp(roles[i].name, who) == 0)
			return roles[i].confine(s, e);
	}
	return strcmp(who, "parent") == 0 ? 0 : err_set(e, "nobody is called %s", who);
}

static int confine(const char *who, const char *path, struct err *e)
{
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		if (strcmp(plain[i].name, who) == 0)
			return plain[i].confine(e);
	}
	return strcmp(who, "engine") == 0 ? confine_as_engine(path, e) : confine_of_collector(who, path, e);
}

int main(int argc, char **argv)
{
	struct prey prey = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)};
	struct sockaddr_in any = address_of("0");
	struct err e;

	if (argc < 3) {
		fprintf(stderr, "usage: confined WHO SETTINGS DEED ...\n");
		return 2;
	}
	log_open("confined", LOG_LEVEL_INFO);
	bind(prey.listener, (struct sockaddr *)&any, sizeof any);
	listen(prey.listener, 1);
	printf("landlock %d\n", fence_has_landlock());
	fflush(stdout);
	if (confine(argv[1], argv[2], &e) < 0) {
		fprintf(stderr, "confined: %s\n", e.text);
		return 1;
	}
	for (int i = 3; i < argc; i++)
		perform(&prey, argv[i]);
	return 0;
}

/* SPDX-License-Identifier: ISC */

/*
 * Applies each process's real sandbox in a process of its own and tries one
 * call in it, for every line of the tables; then looks at such a process
 * from outside.  Twice: entered as root, and without.  With an argument only
 * that profile.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/capability.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "sandbox.h"
#include "sandbox_frontend.h"
#include "sandbox_parent.h"
#include "sandbox_vmengine.h"
#include "spawn.h"
#include "../unit/test.h"

#ifdef SBX_DEV
#define DEV	1
#else
#define DEV	0
#endif

#define ANSWER_NONE	(-2)	/* the process ended without one */

int	 probe_rootfd = -1;

static uint32_t
enter_frontend(int is_root)
{
	sbx_start(-1);
	sbx_warmup();
	return (fe_sandbox(is_root ? PROBE_ID : 0, is_root ? PROBE_ID : 0,
	    PROBE_NOFILE));
}

static uint32_t
enter_vmengine(int is_root)
{
	int	 rootfd = is_root ? SPAWN_ROOT_FD : -1;

	sbx_start(rootfd);
	sbx_warmup();
	return (vme_sandbox(is_root ? PROBE_ID : 0, is_root ? PROBE_ID : 0,
	    rootfd, PROBE_NOFILE));
}

static uint32_t
enter_parent(int is_root)
{
	parent_sandbox(is_root);
	return (SBX_SECCOMP);
}

static const struct probe_profile profiles[] = {
	{ "frontend", enter_frontend, { probe_base, probe_frontend, NULL } },
	{ "vmengine", enter_vmengine, { probe_base, probe_vmengine, NULL } },
	{ "layers", probe_enter_layers, { probe_layers, NULL } },
	{ "parent", enter_parent, { probe_parent, NULL } }
};

/*
 * Starts a process with the descriptors that spawn() gives, in the sandbox.
 * It sends its layers, then the errno of the line (or 0), then waits for
 * the end of the channel.
 */
static pid_t
start(const struct probe_profile *pr, int is_root,
    const struct probe_line *line, int *channel)
{
	uint32_t	 layers;
	const gid_t	 groups[] = { 1, 2 };
	int		 sv[2], a, root = -1, rv, answer;
	char		 byte;
	pid_t		 pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return (-1);
	fflush(stdout);
	if ((pid = fork()) != 0) {
		close(sv[1]);
		*channel = sv[0];
		return (pid);
	}

	a = fcntl(sv[1], F_DUPFD, 20);
	if (probe_rootfd != -1)
		root = fcntl(probe_rootfd, F_DUPFD, 20);
	if (dup2(a, SPAWN_CHANNEL_FD) == -1 || dup2(a, SPAWN_LOG_FD) == -1 ||
	    (root != -1 && dup2(root, SPAWN_ROOT_FD) == -1))
		_exit(1);
	closefrom(root == -1 ? SPAWN_ROOT_FD : SPAWN_ROOT_FD + 1);
	/* There must be something to take away. */
	if (is_root && setgroups(2, groups) == -1)
		_exit(1);
	if (!is_root && geteuid() == 0 && (setgroups(0, NULL) == -1 ||
	    setresgid(PROBE_ID, PROBE_ID, PROBE_ID) == -1 ||
	    setresuid(PROBE_ID, PROBE_ID, PROBE_ID) == -1))
		_exit(1);

	layers = pr->enter(is_root);
	if (write(SPAWN_CHANNEL_FD, &layers, sizeof(layers)) == -1)
		_exit(1);
	if (line != NULL) {
		errno = 0;
		if (line->fn != NULL)
			rv = line->fn();
		else
			rv = syscall(line->nr, line->arg[0], line->arg[1],
			    line->arg[2], line->arg[3], line->arg[4],
			    line->arg[5]) == -1 ? -1 : 0;
		answer = rv == -1 ? errno : 0;
		if (write(SPAWN_CHANNEL_FD, &answer, sizeof(answer)) == -1)
			_exit(1);
	}
	if (read(SPAWN_CHANNEL_FD, &byte, 1) == -1)
		_exit(1);
	_exit(0);
}

static int
receive(int fd, void *buf, size_t len)
{
	return (recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len ? 0 : -1);
}

static int
try(const struct probe_profile *pr, int is_root, const struct probe_line *line,
    uint32_t *layers)
{
	int	 fd, status, answer = ANSWER_NONE;
	pid_t	 pid;

	if ((pid = start(pr, is_root, line, &fd)) == -1)
		return (ANSWER_NONE);
	if (receive(fd, layers, sizeof(*layers)) == -1 ||
	    receive(fd, &answer, sizeof(answer)) == -1)
		answer = ANSWER_NONE;
	close(fd);
	if (waitpid(pid, &status, 0) != pid)
		return (ANSWER_NONE);
	if (answer == ANSWER_NONE && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGSYS)
		answer = P_SIGSYS;
	return (answer);
}

static int
applies(const struct probe_line *line, int is_root, uint32_t layers)
{
	const int	 variant = P_ROOT | P_USER;

	if ((line->only & variant) != 0 &&
	    (line->only & (is_root ? P_ROOT : P_USER)) == 0)
		return (0);
	if ((line->only & P_LANDLOCK) && !(layers & SBX_LANDLOCK))
		return (0);
	if ((line->only & P_LANDNET) && !(layers & SBX_LANDNET))
		return (0);
	if ((line->only & P_LANDSCOPE) && !(layers & SBX_LANDSCOPE))
		return (0);
	return (1);
}

static void
show(char *buf, size_t size, int answer)
{
	if (answer == P_SIGSYS)
		snprintf(buf, size, "SIGSYS");
	else if (answer == ANSWER_NONE)
		snprintf(buf, size, "nothing");
	else if (answer == 0)
		snprintf(buf, size, "ok");
	else
		snprintf(buf, size, "%s", strerrorname_np(answer));
}

/* One kind of outcome of one profile: let through, refused, killed. */
static void
probe_lines(const struct probe_profile *pr, int is_root, int killed)
{
	const struct probe_line	*line;
	char			 want[32], have[32];
	uint32_t		 layers;
	size_t			 i;
	int			 answer;

	for (i = 0; pr->lines[i] != NULL; i++)
		for (line = pr->lines[i]; line->name != NULL; line++) {
			if ((line->expect == P_SIGSYS) != killed)
				continue;
			if (!applies(line, is_root, UINT32_MAX))
				continue;
			layers = 0;
			answer = try(pr, is_root, line, &layers);
			if (answer == line->expect ||
			    !applies(line, is_root, layers))
				continue;
			show(want, sizeof(want), line->expect);
			show(have, sizeof(have), answer);
			fprintf(stderr, "%s %s: %s: %s, not %s\n", pr->name,
			    is_root ? "root" : "user", line->name, have, want);
			CHECK(answer == line->expect);
		}
}

/*
 * From outside.
 */

static int
proc_open(pid_t pid, const char *name, FILE **f)
{
	char	 path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return ((*f = fopen(path, "r")) == NULL ? -1 : 0);
}

/* The value of a line of /proc/PID/status, or of limits. */
static void
proc_value(pid_t pid, const char *file, const char *key, char *value,
    size_t size)
{
	char	 line[256], *p;
	FILE	*f;

	value[0] = '\0';
	if (proc_open(pid, file, &f) == -1)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		for (p = line + strlen(key); isspace((unsigned char)*p); p++)
			continue;
		p[strcspn(p, "\n")] = '\0';
		strlcpy(value, p, size);
		break;
	}
	fclose(f);
}

static int
proc_is(pid_t pid, const char *key, const char *want)
{
	char	 value[256];

	proc_value(pid, "status", key, value, sizeof(value));
	if (strcmp(value, want) == 0)
		return (1);
	fprintf(stderr, "%s '%s', not '%s'\n", key, value, want);
	return (0);
}

static int
limit_is(pid_t pid, const char *key, unsigned long long want)
{
	unsigned long long	 soft = 1, hard = 1;
	char			 value[256];

	proc_value(pid, "limits", key, value, sizeof(value));
	if (sscanf(value, "%llu %llu", &soft, &hard) == 2 && soft == want &&
	    hard == want)
		return (1);
	fprintf(stderr, "%s '%s', not %llu\n", key, value, want);
	return (0);
}

/* Names in a directory of /proc/PID; -1 if it cannot be read. */
static int
proc_count(pid_t pid, const char *name)
{
	struct dirent	*de;
	char		 path[64];
	DIR		*dir;
	int		 n = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	if ((dir = opendir(path)) == NULL)
		return (-1);
	while ((de = readdir(dir)) != NULL)
		n += de->d_name[0] != '.';
	closedir(dir);
	return (n);
}

static int
proc_lines(pid_t pid, const char *name)
{
	FILE	*f;
	int	 c, n = 0;

	if (proc_open(pid, name, &f) == -1)
		return (-1);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return (n);
}

static int
same_namespace(pid_t pid, const char *name)
{
	struct stat	 a, b;
	char		 path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	if (stat(path, &a) == -1)
		return (-1);
	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &b) == -1)
		return (-1);
	return (a.st_ino == b.st_ino);
}

/* By the version of the running kernel's. */
static uint32_t
landlock_layers(void)
{
	long	 abi;

	abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1);
	return ((abi >= 1 ? SBX_LANDLOCK : 0) | (abi >= 4 ? SBX_LANDNET : 0) |
	    (abi >= 6 ? SBX_LANDSCOPE : 0));
}

static void
look_child(const struct probe_profile *pr, int is_root)
{
	uint32_t	 layers = 0, want;
	char		 text[256];
	int		 fd, pivot = strcmp(pr->name, "frontend") == 0;
	pid_t		 pid;

	pid = start(pr, is_root, NULL, &fd);
	CHECK(pid != -1);
	CHECK(receive(fd, &layers, sizeof(layers)) == 0);
	sbx_describe(layers, text, sizeof(text));
	fprintf(stderr, "%s %s: %s\n", pr->name, is_root ? "root" : "user",
	    text);

	want = SBX_NODUMP | SBX_RLIMIT | SBX_NNP | SBX_SECCOMP;
	if (is_root)
		want |= SBX_ROOT | SBX_UID | SBX_CAPS;
	if (is_root && pivot)
		want |= SBX_NAMESPACES;
	CHECK(layers == (want | landlock_layers()));

	CHECK(proc_is(pid, "Seccomp:", "2"));
	CHECK(proc_is(pid, "NoNewPrivs:", "1"));
	CHECK(proc_is(pid, "CapInh:", "0000000000000000"));
	CHECK(proc_is(pid, "CapPrm:", "0000000000000000"));
	CHECK(proc_is(pid, "CapEff:", "0000000000000000"));
	CHECK(proc_is(pid, "CapAmb:", "0000000000000000"));
	CHECK(limit_is(pid, "Max open files", PROBE_NOFILE));
	CHECK(limit_is(pid, "Max processes", 0));
	CHECK(limit_is(pid, "Max file size", 0));
	CHECK(limit_is(pid, "Max core file size", 0));
	CHECK(limit_is(pid, "Max locked memory", 0));
	CHECK(limit_is(pid, "Max msgqueue size", 0));
	if (!pivot)
		CHECK(limit_is(pid, "Max data size", 512ULL << 20));
	if (is_root) {
		CHECK(proc_is(pid, "CapBnd:", "0000000000000000"));
		CHECK(proc_is(pid, "Uid:", "65534\t65534\t65534\t65534"));
		CHECK(proc_is(pid, "Gid:", "65534\t65534\t65534\t65534"));
		CHECK(proc_is(pid, "Groups:", ""));
		CHECK(proc_count(pid, "root") == 0);
		CHECK(proc_count(pid, "cwd") == 0);
	}
	if (is_root && pivot) {
		/* Only its own root is mounted there. */
		CHECK(proc_lines(pid, "mountinfo") == 1);
		CHECK(same_namespace(pid, "mnt") == 0);
		CHECK(same_namespace(pid, "cgroup") == 0);
	}
	if (geteuid() == 0)
		CHECK(proc_count(pid, "fd") == 5);
	close(fd);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void
look_parent(const struct probe_profile *pr, int is_root)
{
	char		 caps[32];
	uint32_t	 layers;
	int		 fd;
	pid_t		 pid;

	pid = start(pr, is_root, NULL, &fd);
	CHECK(pid != -1);
	CHECK(receive(fd, &layers, sizeof(layers)) == 0);
	CHECK(proc_is(pid, "Seccomp:", "2"));
	/* Its children's security domains must be able to change at exec. */
	CHECK(proc_is(pid, "NoNewPrivs:", is_root ? "0" : "1"));
	CHECK(limit_is(pid, "Max core file size", 0));
	snprintf(caps, sizeof(caps), "%016x", !is_root ? 0U :
	    1U << CAP_DAC_OVERRIDE | 1U << CAP_KILL | 1U << CAP_SETGID |
	    1U << CAP_SETUID | 1U << CAP_SETPCAP | 1U << CAP_SYS_CHROOT);
	CHECK(proc_is(pid, "CapPrm:", caps));
	CHECK(proc_is(pid, "CapEff:", caps));
	CHECK(proc_is(pid, "CapInh:", "0000000000000000"));
	if (is_root)
		CHECK(proc_is(pid, "CapBnd:", caps));
	close(fd);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* A name for the output that lives as long as the test. */
static void
begin(char *buf, size_t size, const struct probe_profile *pr, int is_root,
    const char *what)
{
	test_begin(NULL);
	snprintf(buf, size, "%s, %s: %s", pr->name,
	    is_root ? "started as root" : "without root", what);
	test_begin(buf);
	if (DEV)
		test_skip("a sanitizer's build has no filter");
	else if (is_root && geteuid() != 0)
		test_skip("needs root");
}

static void
probe_profile(const struct probe_profile *pr, int is_root)
{
	static char	 name[128];
	const int	 run = !DEV && (!is_root || geteuid() == 0);
	const int	 layers = pr->lines[0] == probe_layers;

	begin(name, sizeof(name), pr, is_root, layers ?
	    "what holds below the filter" : "let through or refused");
	if (run)
		probe_lines(pr, is_root, 0);
	if (layers)
		return;
	begin(name, sizeof(name), pr, is_root, "killed for");
	if (run)
		probe_lines(pr, is_root, 1);
	begin(name, sizeof(name), pr, is_root, "seen from outside");
	if (run && pr->lines[0] == probe_parent)
		look_parent(pr, is_root);
	else if (run)
		look_child(pr, is_root);
}

/*
 * Start-up that must fail; that it says so is no news here.
 */

static int
exit_status(void (*fn)(void))
{
	int	 status, null;
	pid_t	 pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		if ((null = open("/dev/null", O_WRONLY)) == -1 ||
		    dup2(null, STDERR_FILENO) == -1)
			_exit(0);
		fn();
		_exit(0);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid ||
	    !WIFEXITED(status))
		return (-1);
	return (WEXITSTATUS(status));
}

static void
give_sockets(void)
{
	int	 sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1 ||
	    dup2(sv[0], 20) == -1 || dup2(20, SPAWN_CHANNEL_FD) == -1 ||
	    dup2(20, SPAWN_LOG_FD) == -1)
		_exit(0);
}

static void
no_sockets(void)
{
	closefrom(3);
	sbx_start(-1);
}

static void
no_sockets_later(void)
{
	closefrom(3);
	(void)fe_sandbox(PROBE_ID, PROBE_ID, PROBE_NOFILE);
}

static void
socket_for_root(void)
{
	give_sockets();
	dup2(SPAWN_CHANNEL_FD, SPAWN_ROOT_FD);
	sbx_start(SPAWN_ROOT_FD);
}

static void
root_stays_root(void)
{
	give_sockets();
	(void)fe_sandbox(0, 0, PROBE_NOFILE);
}

static void
root_group_stays(void)
{
	give_sockets();
	(void)fe_sandbox(PROBE_ID, 0, PROBE_NOFILE);
}

static void
no_root_directory(void)
{
	give_sockets();
	(void)vme_sandbox(PROBE_ID, PROBE_ID, -1, PROBE_NOFILE);
}

/* Nothing can be mounted or loaded any more. */
static void
entered_twice(void)
{
	give_sockets();
	(void)fe_sandbox(PROBE_ID, PROBE_ID, PROBE_NOFILE);
	(void)fe_sandbox(PROBE_ID, PROBE_ID, PROBE_NOFILE);
}

static void
probe_refusals(void)
{
	test_begin("does not start without its descriptors");
	CHECK(exit_status(no_sockets) == 1);
	CHECK(exit_status(no_sockets_later) == 1);
	CHECK(exit_status(socket_for_root) == 1);

	test_begin("started as root: needs a uid, a gid, an empty root");
	if (DEV || geteuid() != 0) {
		test_skip(DEV ? "a sanitizer's build needs none" :
		    "needs root");
		return;
	}
	CHECK(exit_status(root_stays_root) == 1);
	CHECK(exit_status(root_group_stays) == 1);
	CHECK(exit_status(no_root_directory) == 1);

	test_begin("the sandbox cannot be entered twice");
	CHECK(exit_status(entered_twice) == -1);
}

int
main(int argc, char *argv[])
{
	size_t	 i;
	int	 abstract, found = 0;

	closefrom(3);
	abstract = probe_listen();
	if (geteuid() == 0 && (probe_rootfd = sbx_empty_root()) == -1)
		perror("empty root");
	for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (argc > 1 && strcmp(argv[1], profiles[i].name) != 0)
			continue;
		found = 1;
		probe_profile(&profiles[i], 1);
		probe_profile(&profiles[i], 0);
	}
	if (argc == 1)
		probe_refusals();
	if (abstract != -1)
		close(abstract);
	if (!found) {
		fprintf(stderr, "usage: probe [profile]\n");
		return (1);
	}
	return (test_end());
}

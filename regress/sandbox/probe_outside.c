/* SPDX-License-Identifier: ISC */

/*
 * Processes in their sandboxes as the rest of the machine sees them, and
 * sandboxes that must not be entered.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/capability.h>

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "sandbox.h"
#include "sandbox_frontend.h"
#include "sandbox_vmengine.h"
#include "spawn.h"

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

	pid = probe_start(pr, is_root, NULL, &fd);
	CHECK_THAT(pid != -1);
	CHECK_THAT(probe_receive(fd, &layers, sizeof(layers)) == 0);
	sbx_describe(layers, text, sizeof(text));
	fprintf(stderr, "%s %s: %s\n", pr->name, is_root ? "root" : "user",
	    text);

	want = SBX_NODUMP | SBX_RLIMIT | SBX_NNP | SBX_SECCOMP;
	if (is_root)
		want |= SBX_ROOT | SBX_UID | SBX_CAPS;
	if (is_root && pivot)
		want |= SBX_NAMESPACES;
	CHECK_THAT(layers == (want | landlock_layers()));

	CHECK_THAT(proc_is(pid, "Seccomp:", "2"));
	CHECK_THAT(proc_is(pid, "NoNewPrivs:", "1"));
	CHECK_THAT(proc_is(pid, "CapInh:", "0000000000000000"));
	CHECK_THAT(proc_is(pid, "CapPrm:", "0000000000000000"));
	CHECK_THAT(proc_is(pid, "CapEff:", "0000000000000000"));
	CHECK_THAT(proc_is(pid, "CapAmb:", "0000000000000000"));
	CHECK_THAT(limit_is(pid, "Max open files", PROBE_NOFILE));
	CHECK_THAT(limit_is(pid, "Max processes", 0));
	CHECK_THAT(limit_is(pid, "Max file size", 0));
	CHECK_THAT(limit_is(pid, "Max core file size", 0));
	CHECK_THAT(limit_is(pid, "Max locked memory", 0));
	CHECK_THAT(limit_is(pid, "Max msgqueue size", 0));
	if (!pivot)
		CHECK_THAT(limit_is(pid, "Max data size", 512ULL << 20));
	if (is_root) {
		CHECK_THAT(proc_is(pid, "CapBnd:", "0000000000000000"));
		CHECK_THAT(proc_is(pid, "Uid:", "65534\t65534\t65534\t65534"));
		CHECK_THAT(proc_is(pid, "Gid:", "65534\t65534\t65534\t65534"));
		CHECK_THAT(proc_is(pid, "Groups:", ""));
		CHECK_THAT(proc_count(pid, "root") == 0);
		CHECK_THAT(proc_count(pid, "cwd") == 0);
	}
	if (is_root && pivot) {
		/* Only its own root is mounted there. */
		CHECK_THAT(proc_lines(pid, "mountinfo") == 1);
		CHECK_THAT(same_namespace(pid, "mnt") == 0);
		CHECK_THAT(same_namespace(pid, "cgroup") == 0);
	}
	if (geteuid() == 0)
		CHECK_THAT(proc_count(pid, "fd") == 5);
	close(fd);
	CHECK_THAT(waitpid(pid, NULL, 0) == pid);
}

static void
look_parent(const struct probe_profile *pr, int is_root)
{
	char		 caps[32];
	uint32_t	 layers;
	int		 fd;
	pid_t		 pid;

	pid = probe_start(pr, is_root, NULL, &fd);
	CHECK_THAT(pid != -1);
	CHECK_THAT(probe_receive(fd, &layers, sizeof(layers)) == 0);
	CHECK_THAT(proc_is(pid, "Seccomp:", "2"));
	/* Its children's security domains must be able to change at exec. */
	CHECK_THAT(proc_is(pid, "NoNewPrivs:", is_root ? "0" : "1"));
	CHECK_THAT(limit_is(pid, "Max core file size", 0));
	snprintf(caps, sizeof(caps), "%016x", !is_root ? 0U :
	    1U << CAP_DAC_OVERRIDE | 1U << CAP_KILL | 1U << CAP_SETGID |
	    1U << CAP_SETUID | 1U << CAP_SETPCAP | 1U << CAP_SYS_CHROOT);
	CHECK_THAT(proc_is(pid, "CapPrm:", caps));
	CHECK_THAT(proc_is(pid, "CapEff:", caps));
	CHECK_THAT(proc_is(pid, "CapInh:", "0000000000000000"));
	if (is_root)
		CHECK_THAT(proc_is(pid, "CapBnd:", caps));
	close(fd);
	CHECK_THAT(waitpid(pid, NULL, 0) == pid);
}

void
probe_look(const struct probe_profile *pr, int is_root)
{
	if (pr->process == PROBE_PARENT)
		look_parent(pr, is_root);
	else
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

void
probe_refusals(int dev)
{
	probe_test("does not start without its descriptors");
	CHECK_THAT(exit_status(no_sockets) == 1);
	CHECK_THAT(exit_status(no_sockets_later) == 1);
	CHECK_THAT(exit_status(socket_for_root) == 1);

	probe_test("started as root: needs a uid, a gid, an empty root");
	if (dev || geteuid() != 0) {
		probe_skip(dev ? "a sanitizer's build needs none" :
		    "needs root");
		return;
	}
	CHECK_THAT(exit_status(root_stays_root) == 1);
	CHECK_THAT(exit_status(root_group_stays) == 1);
	CHECK_THAT(exit_status(no_root_directory) == 1);

	probe_test("the sandbox cannot be entered twice");
	CHECK_THAT(exit_status(entered_twice) == -1);
}

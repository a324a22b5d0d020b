/* SPDX-License-Identifier: ISC */

/*
 * What takes more than one call to try.
 */

#include <sys/types.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/capability.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "probe_try.h"
#include "spawn.h"

static int
proc_open(pid_t pid, const char *name, int flags)
{
	char	 path[64];
	int	 fd;

	if (pid == 0)
		(void)snprintf(path, sizeof(path), "/proc/self/%s", name);
	else
		(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid,
		    name);
	if ((fd = open(path, flags | O_CLOEXEC)) == -1)
		return (-1);
	/* Rights are judged when it is read. */
	if (pid != 0 && read(fd, probe_buf, 1) == -1)
		return (-1);
	return (0);
}

int
probe_proc_self_mem(void)
{
	return (proc_open(0, "mem", O_RDWR));
}

int
probe_proc_self_status(void)
{
	return (proc_open(0, "status", O_RDONLY));
}

int
probe_proc_init_environ(void)
{
	return (proc_open(1, "environ", O_RDONLY));
}

int
probe_proc_init_mem(void)
{
	return (proc_open(1, "mem", O_RDWR));
}

int
probe_proc_sibling_mem(void)
{
	return (proc_open(probe_sibling, "mem", O_RDWR));
}

int
probe_proc_sibling_environ(void)
{
	return (proc_open(probe_sibling, "environ", O_RDONLY));
}

int
probe_connect_path(void)
{
	struct sockaddr_un	 sun;
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strcpy(sun.sun_path, "/proc/self/no-socket");
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return (-1);
	return (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)));
}

int
probe_connect_name(void)
{
	int	 fd;

	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return (-1);
	return (probe_connect_abstract(fd));
}

/* sendto() is in the list, and takes an address. */
int
probe_send_channel(void)
{
	return (probe_send_abstract(SPAWN_CHANNEL_FD));
}

static int
ended(pid_t pid)
{
	return (pid == -1 || waitpid(pid, NULL, 0) != pid ? -1 : 0);
}

int
probe_fork(void)
{
#ifdef SYS_fork
	pid_t	 pid;

	if ((pid = (pid_t)syscall(SYS_fork)) == 0)
		_exit(0);
	return (ended(pid));
#else
	return (0);
#endif
}

int
probe_vfork(void)
{
	pid_t	 pid;

	if ((pid = vfork()) == 0)
		_exit(0);
	return (ended(pid));
}

int
probe_clone(void)
{
	pid_t	 pid;

	if ((pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0)
		_exit(0);
	return (ended(pid));
}

int
probe_ptrace_parent(void)
{
	return ((int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}

int
probe_ptrace_sibling(void)
{
	return ((int)ptrace(PTRACE_SEIZE, probe_sibling, NULL, NULL));
}

int
probe_kill_parent(void)
{
	return (kill(getppid(), 0));
}

int
probe_kill_sibling(void)
{
	return (kill(probe_sibling, 0));
}

/* The way out of a chroot for whoever may make another. */
int
probe_chroot_escape(void)
{
	int	 i;

	if (mkdirat(AT_FDCWD, "cc-proxy-probe", 0700) == -1 ||
	    chroot("cc-proxy-probe") == -1)
		return (-1);
	for (i = 0; i < 16; i++)
		if (chdir("..") == -1)
			return (-1);
	return (chroot("."));
}

int
probe_raise_caps(void)
{
	struct __user_cap_header_struct	 hdr;
	struct __user_cap_data_struct	 data[2];

	memset(&hdr, 0, sizeof(hdr));
	hdr.version = _LINUX_CAPABILITY_VERSION_3;
	memset(data, 0xff, sizeof(data));
	return ((int)syscall(SYS_capset, &hdr, data));
}

/* One that is 0, so that any other value is more. */
int
probe_raise_limit(void)
{
	const struct { uint64_t cur, max; } rl = { 1, 1 };

	return ((int)syscall(SYS_setrlimit, RLIMIT_CORE, &rl));
}

int
probe_raise_limit64(void)
{
	const struct { uint64_t cur, max; } rl = { 1, 1 };

	return ((int)syscall(SYS_prlimit64, 0, RLIMIT_CORE, &rl, NULL));
}

#ifdef __x86_64__
static int
i386(long nr, long a, long b)
{
	long	 rv;

	__asm__ volatile ("int $0x80" : "=a" (rv) : "a" (nr), "b" (a),
	    "c" (b), "d" (0L) : "memory", "r8", "r9", "r10", "r11");
	if (rv < 0 && rv > -4096) {
		errno = (int)-rv;
		return (-1);
	}
	return (0);
}

int
probe_i386(void)
{
	static int	 known = -1;
	int		 status;
	pid_t		 pid;

	if (known != -1)
		return (known);
	if ((pid = fork()) == 0)
		_exit(i386(20, 0, 0) == 0 ? 0 : 1);
	known = pid != -1 && waitpid(pid, &status, 0) == pid &&
	    WIFEXITED(status);
	return (known);
}

int
probe_i386_getpid(void)
{
	return (i386(20, 0, 0));
}

int
probe_i386_open(void)
{
	return (i386(5, 0, 0));
}

int
probe_i386_socketcall(void)
{
	return (i386(102, 1, 0));
}

int
probe_i386_execve(void)
{
	return (i386(11, 0, 0));
}
#else
int
probe_i386(void)
{
	return (0);
}
#endif

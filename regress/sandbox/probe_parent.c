/* SPDX-License-Identifier: ISC */

/*
 * What the parent's filter and capabilities leave and take.  Arguments are
 * such that a call that is made all the same has no effect on the host.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "sandbox.h"
#include "sandbox_vmengine.h"
#include "spawn.h"

#define BAD	((uintptr_t)-1)
#define BUF	((uintptr_t)probe_buf)
#define HIGH	((uintptr_t)1 << 32)

#define CALL(expect, nr, ...)						\
	{ #nr, expect, NULL, SYS_##nr, { __VA_ARGS__ }, 0 }
#define CALLN(expect, nr, what, ...)					\
	{ #nr " " what, expect, NULL, SYS_##nr, { __VA_ARGS__ }, 0 }
#define FN(expect, fn, only)	{ #fn, expect, fn, 0, { 0 }, only }

static int	 start_program(void);
static int	 connect_by_descriptor(void);
static int	 engine_in_child(void);
static int	 spawn_as_other(void);
static int	 read_other_users_file(void);
static int	 make_device(void);

static int
status_ok(pid_t pid)
{
	int	 status;

	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return (-1);
	errno = WIFSIGNALED(status) ? EINTR : ECANCELED;
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1);
}

static int
start_program(void)
{
	struct spawned	 s;

	if (spawn(&s, "/bin/true", NULL, -1) == -1)
		return (-1);
	return (status_ok(s.pid));
}

/* As a VM's socket is: looked at first, then reached without a second walk. */
static int
connect_by_descriptor(void)
{
	struct sockaddr_un	 sun;
	char			 dir[] = "/tmp/cc-proxy-probe-XXXXXX";
	int			 l, c, fd, rv = -1, save;

	if (mkdtemp(dir) == NULL)
		return (-1);
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", dir);
	l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l != -1 && c != -1 && bind(l, (const struct sockaddr *)&sun,
	    sizeof(sun)) == 0 && listen(l, 1) == 0 &&
	    (fd = open(sun.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC)) != -1) {
		(void)unlink(sun.sun_path);
		(void)snprintf(sun.sun_path, sizeof(sun.sun_path),
		    "/proc/self/fd/%d", fd);
		rv = connect(c, (const struct sockaddr *)&sun, sizeof(sun));
	}
	save = errno;
	(void)rmdir(dir);
	errno = save;
	return (rv);
}

/* The filters add up: an engine's steps must pass the parent's. */
static int
engine_in_child(void)
{
	uint32_t	 layers, want;
	pid_t		 pid;
	int		 is_root = geteuid() == 0;

	if ((pid = fork()) == 0) {
		sbx_start(is_root ? SPAWN_ROOT_FD : -1);
		layers = vme_sandbox(is_root ? PROBE_ID : 0,
		    is_root ? PROBE_ID : 0, is_root ? SPAWN_ROOT_FD : -1,
		    PROBE_NOFILE);
		want = SBX_NODUMP | SBX_RLIMIT | SBX_NNP | SBX_SECCOMP;
		if (is_root)
			want |= SBX_ROOT | SBX_UID | SBX_CAPS;
		_exit((layers & want) == want ? 0 : 1);
	}
	return (status_ok(pid));
}

static int
spawn_as_other(void)
{
	pid_t	 pid;

	if ((pid = fork()) == 0) {
		if (setgroups(0, NULL) == -1 ||
		    setresgid(PROBE_ID, PROBE_ID, PROBE_ID) == -1 ||
		    setresuid(PROBE_ID, PROBE_ID, PROBE_ID) == -1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	if (pid == -1)
		return (-1);
	/* CAP_KILL: a child of another uid. */
	if (kill(pid, SIGKILL) == -1)
		return (-1);
	return (waitpid(pid, NULL, 0) == pid ? 0 : -1);
}

/* CAP_DAC_OVERRIDE stays: sockets of hypervisors that are not root's. */
static int
read_other_users_file(void)
{
	char	 path[] = "/tmp/cc-proxy-probe-XXXXXX";
	int	 fd, rv;

	if ((fd = mkstemp(path)) == -1)
		return (-1);
	rv = fchmod(fd, 0);
	if (rv == 0)
		rv = open(path, O_RDWR | O_CLOEXEC) == -1 ? -1 : 0;
	(void)unlink(path);
	return (rv);
}

/* Without CAP_MKNOD. */
static int
make_device(void)
{
	char	 dir[] = "/tmp/cc-proxy-probe-XXXXXX", path[64];
	int	 rv, save;

	if (mkdtemp(dir) == NULL)
		return (-1);
	(void)snprintf(path, sizeof(path), "%s/d", dir);
	rv = mknod(path, S_IFCHR | 0600, 0x103);
	save = errno;
	(void)unlink(path);
	(void)rmdir(dir);
	errno = save;
	return (rv);
}

const struct probe_line probe_parent[] = {
	/* what supervision needs */
	FN(P_OK, start_program, 0),
	FN(P_OK, connect_by_descriptor, 0),
	FN(P_OK, engine_in_child, 0),
	FN(P_OK, spawn_as_other, P_ROOT),
	FN(P_OK, read_other_users_file, P_ROOT),
	CALLN(P_OK, socket, "unix", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	CALLN(P_OK, socketpair, "unix", AF_UNIX, SOCK_STREAM, 0, BUF),

	/* refused */
	FN(EPERM, make_device, 0),
	{ NULL, 0, NULL, 0, { 0 }, 0 }
};

/* SPDX-License-Identifier: ISC */

/*
 * What the layers below the filter hold when the filter lets a call
 * through: the same steps with a list that is far too long.
 */

#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "sandbox.h"

#define ALLOW(name)	{ name, SBX_ALLOW, 0, 0, { SBX_CMP_NONE } }
#define FN(expect, fn, only)	{ #fn, expect, fn, 0, { 0 }, only }

/*
 * The soft group refuses open, socket and connect by name in every child, so
 * descriptors and the calls beside these are what is tried here.
 */
static const struct sbx_rule layers_rules[] = {
	ALLOW("bind"), ALLOW("kill"), ALLOW("ptrace"), ALLOW("clone"),
	ALLOW("chroot"), ALLOW("setresuid"), ALLOW("mount"),
	ALLOW("mkdirat"), ALLOW("mknodat"), ALLOW("unlinkat"),
	ALLOW("truncate"), ALLOW("execve"), ALLOW("unshare"),
	ALLOW("setrlimit"), ALLOW("process_vm_readv"), ALLOW("prctl"),
	ALLOW("fchdir"), ALLOW("execveat"), ALLOW("getppid"),
	{ NULL, SBX_ALLOW, 0, 0, { SBX_CMP_NONE } }
};

static int	 layers_tcp = -1;	/* unbound sockets from before */
static int	 layers_unix = -1;
static int	 layers_dir = -1;	/* the host's root, kept open */
static struct sockaddr_un	 layers_abstract;
static socklen_t		 layers_abstract_len;

static int	 signal_parent(void);
static int	 trace_parent(void);
static int	 read_parent(void);
static int	 start_process(void);
static int	 run_program(void);
static int	 make_directory(void);
static int	 make_fifo(void);
static int	 truncate_file(void);
static int	 change_root(void);
static int	 become_root(void);
static int	 mount_proc(void);
static int	 unshare_mounts(void);
static int	 raise_limit(void);
static int	 not_dumpable(void);
static int	 dies_with_parent(void);
static int	 bind_tcp(void);
static int	 send_abstract(void);
static int	 escape_by_descriptor(void);
static int	 make_directory_by_descriptor(void);
static int	 run_program_by_descriptor(void);

/* A datagram socket with an abstract name, in the probe itself. */
int
probe_listen(void)
{
	int	 fd;

	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return (-1);
	memset(&layers_abstract, 0, sizeof(layers_abstract));
	layers_abstract.sun_family = AF_UNIX;
	(void)snprintf(layers_abstract.sun_path + 1,
	    sizeof(layers_abstract.sun_path) - 1, "cc-proxy-probe-%d",
	    (int)getpid());
	layers_abstract_len = (socklen_t)(offsetof(struct sockaddr_un,
	    sun_path) + 1 + strlen(layers_abstract.sun_path + 1));
	if (bind(fd, (const struct sockaddr *)&layers_abstract,
	    layers_abstract_len) == -1) {
		(void)close(fd);
		return (-1);
	}
	return (fd);
}

uint32_t
probe_enter_layers(int is_root)
{
	const struct sbx_conf	 conf = {
		.uid = is_root ? PROBE_ID : 0,
		.gid = is_root ? PROBE_ID : 0,
		.rootfd = -1,
		.namespaces = 1,
		.nofile = PROBE_NOFILE,
		.data = 0,
		.rules = layers_rules
	};

	sbx_start(-1);
	layers_tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	layers_unix = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	layers_dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return (sbx_enter(&conf));
}

int
probe_connect_abstract(int fd)
{
	return (connect(fd, (const struct sockaddr *)&layers_abstract,
	    layers_abstract_len));
}

int
probe_send_abstract(int fd)
{
	return (sendto(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
	    (const struct sockaddr *)&layers_abstract,
	    layers_abstract_len) == 1 ? 0 : -1);
}

static int
signal_parent(void)
{
	return (kill(getppid(), 0));
}

static int
trace_parent(void)
{
	return ((int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}

static int
read_parent(void)
{
	struct iovec	 local, remote;
	char		 byte;

	local.iov_base = &byte;
	remote.iov_base = probe_buf;
	local.iov_len = remote.iov_len = 1;
	return ((int)process_vm_readv(getppid(), &local, 1, &remote, 1, 0));
}

static int
start_process(void)
{
	long	 pid;

	if ((pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0)
		_exit(0);
	return (pid == -1 ? -1 : 0);
}

static int
run_program(void)
{
	char	 name[] = "true", *argv[] = { name, NULL };

	return (execve("/bin/true", argv, argv + 1));
}

static int
make_directory(void)
{
	char	 path[64];

	(void)snprintf(path, sizeof(path), "/tmp/cc-proxy-probe-%d",
	    (int)getpid());
	if (mkdirat(AT_FDCWD, path, 0700) == -1)
		return (-1);
	return (unlinkat(AT_FDCWD, path, AT_REMOVEDIR));
}

static int
make_fifo(void)
{
	char	 path[64];

	(void)snprintf(path, sizeof(path), "/tmp/cc-proxy-probe-%d",
	    (int)getpid());
	if (mknodat(AT_FDCWD, path, S_IFIFO | 0600, 0) == -1)
		return (-1);
	return (unlinkat(AT_FDCWD, path, 0));
}

static int
truncate_file(void)
{
	return (truncate("/dev/null", 0));
}

static int
change_root(void)
{
	return (chroot("/"));
}

static int
become_root(void)
{
	return (setresuid(0, 0, 0));
}

static int
mount_proc(void)
{
	return ((int)syscall(SYS_mount, "proc", "/", "proc", 0, NULL));
}

static int
unshare_mounts(void)
{
	return (unshare(CLONE_NEWNS));
}

static int
raise_limit(void)
{
	const struct { uint64_t cur, max; } rl = { 1000, 1000 };

	return ((int)syscall(SYS_setrlimit, 7, &rl));
}

static int
not_dumpable(void)
{
	errno = EACCES;
	return (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -1);
}

static int
dies_with_parent(void)
{
	int	 sig = 0;

	if (prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0) == -1)
		return (-1);
	errno = ESRCH;
	return (sig == SIGKILL ? 0 : -1);
}

static int
bind_tcp(void)
{
	struct sockaddr_in	 sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (bind(layers_tcp, (const struct sockaddr *)&sin, sizeof(sin)));
}

static int
send_abstract(void)
{
	return (probe_send_abstract(layers_unix));
}

/* Back to the host's root, had somebody left a descriptor of it. */
static int
escape_by_descriptor(void)
{
	return (fchdir(layers_dir) == -1 ? -1 : chroot("."));
}

static int
make_directory_by_descriptor(void)
{
	char	 path[64];

	(void)snprintf(path, sizeof(path), "tmp/cc-proxy-probe-%d",
	    (int)getpid());
	if (mkdirat(layers_dir, path, 0700) == -1)
		return (-1);
	return (unlinkat(layers_dir, path, AT_REMOVEDIR));
}

static int
run_program_by_descriptor(void)
{
	char	 name[] = "true", *argv[] = { name, NULL };

	return ((int)syscall(SYS_execveat, layers_dir, "bin/true", argv,
	    argv + 1, 0));
}

const struct probe_line probe_layers[] = {
	/* capabilities, uid */
	FN(EPERM, become_root, P_ROOT | P_USER),
	FN(EPERM, change_root, P_ROOT | P_USER),
	FN(EPERM, unshare_mounts, P_ROOT | P_USER),
	FN(EPERM, mount_proc, P_ROOT | P_USER),
	FN(EPERM, read_parent, P_ROOT | P_USER),
	FN(EPERM, trace_parent, P_ROOT | P_USER),
	FN(P_OK, not_dumpable, P_ROOT | P_USER),
	FN(P_OK, dies_with_parent, P_ROOT | P_USER),
	/* limits */
	FN(EAGAIN, start_process, P_ROOT | P_USER),
	FN(EPERM, raise_limit, P_ROOT | P_USER),
	/* the empty root has no program and no directory */
	FN(ENOENT, run_program, P_ROOT),
	FN(ENOENT, make_directory, P_ROOT),
	FN(ENOENT, make_fifo, P_ROOT),
	FN(ENOENT, truncate_file, P_ROOT),
	/* Landlock */
	FN(EACCES, run_program, P_USER | P_LANDLOCK),
	FN(EACCES, make_directory, P_USER | P_LANDLOCK),
	FN(EACCES, make_fifo, P_USER | P_LANDLOCK),
	FN(EACCES, bind_tcp, P_ROOT | P_USER | P_LANDNET),
	FN(EPERM, signal_parent, P_ROOT | P_USER | P_LANDSCOPE),
	FN(EPERM, send_abstract, P_ROOT | P_USER | P_LANDSCOPE),
	/* a directory of the host that was kept by mistake */
	FN(EPERM, escape_by_descriptor, P_ROOT | P_USER),
	FN(EACCES, make_directory_by_descriptor, P_ROOT | P_USER |
	    P_LANDLOCK),
	FN(EACCES, run_program_by_descriptor, P_ROOT | P_USER | P_LANDLOCK),
	{ NULL, 0, NULL, 0, { 0 }, 0 }
};

/* SPDX-License-Identifier: ISC */

/*
 * What a process that was taken over would try, and what it gets: in the
 * frontend and in an engine, in a parent that root started, and in another
 * parent.  Arguments are such that a call that is made all the same has no
 * effect on the host.
 *
 * The parent starts programs, so what these need is let through there: files,
 * processes, signals, other users.
 */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/seccomp.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "probe_try.h"

#define BAD	((uintptr_t)-1)		/* a descriptor */
#define BUF	((uintptr_t)probe_buf)
#define SLASH	((uintptr_t)"/")
#define CWD	((uintptr_t)AT_FDCWD)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)
#define RW	(PROT_READ | PROT_WRITE)
#define RX	(PROT_READ | PROT_EXEC)

#define K	P_SIGSYS

/* Expected in a child, in root's parent, in another's parent. */
#define CALL(c, r, u, nr, ...)						\
	{ #nr, c, r, u, NULL, SYS_##nr, { __VA_ARGS__ } }
#define CALLN(c, r, u, nr, what, ...)					\
	{ #nr " " what, c, r, u, NULL, SYS_##nr, { __VA_ARGS__ } }
#define FN(c, r, u, fn, what)						\
	{ what, c, r, u, fn, 0, { 0 } }

#define FAMILIES	46	/* socket families 0 to 45 */
#define OPTIONS		80	/* prctl(2) options 1 to 80 */
#define THINGS_MAX	512

static const struct probe_thing things_table[] = {
	/* files */
#ifdef SYS_open
	CALL(ENOENT, P_OK, P_OK, open, SLASH, O_RDONLY),
	CALL(K, EISDIR, EISDIR, creat, SLASH, 0),
#endif
	CALL(ENOENT, P_OK, P_OK, openat, CWD, SLASH, O_RDONLY),
	CALL(ENOENT, P_OK, P_OK, openat2, CWD, SLASH, BUF, 24),
	CALL(K, K, K, open_by_handle_at, BAD, 0, 0),
	CALL(K, K, K, name_to_handle_at, BAD, SLASH, BUF, BUF, 0),
	FN(ENOENT, P_OK, EACCES, probe_proc_self_mem, "/proc/self/mem"),
	FN(ENOENT, P_OK, P_OK, probe_proc_self_status, "/proc/self/status"),
	FN(ENOENT, EACCES, EACCES, probe_proc_init_environ,
	    "/proc/1/environ"),
	FN(ENOENT, EACCES, EACCES, probe_proc_init_mem, "/proc/1/mem"),
	FN(ENOENT, EACCES, EACCES, probe_proc_sibling_mem,
	    "/proc/SIBLING/mem"),
	FN(ENOENT, EACCES, EACCES, probe_proc_sibling_environ,
	    "/proc/SIBLING/environ"),

	/* sockets; families below */
	CALL(EACCES, EBADF, EBADF, connect, BAD, BUF, 16),
	FN(EACCES, ENOENT, ENOENT, probe_connect_path,
	    "connect to a path"),
	FN(EACCES, ECONNREFUSED, P_OK, probe_connect_name,
	    "connect to an abstract name"),
	FN(EISCONN, EISCONN, EISCONN, probe_send_channel,
	    "sendto another through the channel"),
	CALL(K, EBADF, EBADF, bind, BAD, BUF, 2),
	CALL(K, EBADF, EBADF, listen, BAD, 1),

	/* programs and processes; namespaces below */
	CALL(K, EFAULT, EFAULT, execve, BAD, 0, 0),
	CALL(K, K, K, execveat, BAD, BAD, 0, 0, 0),
#ifdef SYS_fork
	FN(K, P_OK, P_OK, probe_fork, "fork"),
	FN(K, P_OK, P_OK, probe_vfork, "vfork"),
#endif
	FN(K, P_OK, P_OK, probe_clone, "clone"),
	CALL(ENOSYS, ENOSYS, ENOSYS, clone3, BUF, 64),

	/* others' memory and descriptors */
	FN(K, K, K, probe_ptrace_parent, "ptrace of the parent"),
	FN(K, K, K, probe_ptrace_sibling, "ptrace of a sibling"),
	CALLN(K, K, K, ptrace, "PTRACE_TRACEME", PTRACE_TRACEME, 0, 0, 0),
	CALL(K, K, K, process_vm_readv, 1, 0, 0, 0, 0, BAD),
	CALL(K, K, K, process_vm_writev, 1, 0, 0, 0, 0, BAD),
	CALL(K, K, K, process_madvise, BAD, 0, 0, 0, 0),
	CALL(K, K, K, process_mrelease, BAD, BAD),
	CALL(K, K, K, kcmp, 0, 0, BAD, 0, 0),
	CALL(K, K, K, pidfd_getfd, BAD, 0, BAD),

	/* signals */
	FN(K, P_FOREIGN, P_FOREIGN, probe_kill_parent, "kill the parent"),
	FN(K, P_OK, P_OK, probe_kill_sibling, "kill a sibling"),
	CALLN(K, P_OK, EPERM, kill, "init", 1, 0),
	CALLN(K, P_OK, P_OK, kill, "itself", 0, 0),
	CALLN(K, P_OK, EPERM, tkill, "init", 1, 0),
	CALLN(K, P_OK, EPERM, tgkill, "init", 1, 1, 0),
	CALL(K, K, K, rt_sigqueueinfo, 1, 0, BUF),
	CALL(K, K, K, rt_tgsigqueueinfo, 1, 1, 0, BUF),
	CALL(K, EINVAL, EINVAL, pidfd_open, BAD, 0),
	CALL(K, EBADF, EBADF, pidfd_send_signal, BAD, 0, 0, 0),

	/* mounts, other roots; unshare() and setns() below */
	CALL(K, K, K, mount, 0, BAD, 0, 0, 0),
	CALL(K, K, K, umount2, BAD, BAD),
	CALL(K, K, K, pivot_root, BAD, BAD),
	CALL(K, K, K, move_mount, BAD, 0, BAD, 0, BAD),
	CALL(K, K, K, open_tree, BAD, 0, BAD),
	CALL(K, K, K, fsopen, BAD, BAD),
	CALL(K, K, K, fspick, BAD, BAD, BAD),
	CALL(K, K, K, fsconfig, BAD, BAD, 0, 0, 0),
	CALL(K, K, K, fsmount, BAD, BAD, BAD),
	CALL(K, K, K, mount_setattr, BAD, 0, BAD, 0, 0),
	CALL(K, EFAULT, EFAULT, chroot, BAD),
	CALL(K, EBADF, EBADF, fchdir, BAD),
	FN(K, P_NONE, P_NONE, probe_chroot_escape,
	    "mkdir, chroot, chdir .."),

	/* where attacks on the kernel begin */
	CALL(K, K, K, bpf, BAD, 0, 0),
	CALL(K, K, K, perf_event_open, 0, 0, 0, BAD, 0),
	CALL(K, K, K, io_uring_setup, 0, 0),
	CALL(K, K, K, io_uring_enter, BAD, 0, 0, 0, 0, 0),
	CALL(K, K, K, io_uring_register, BAD, 0, 0, 0),
	CALL(K, K, K, io_setup, 0, 0),
	CALL(K, K, K, userfaultfd, BAD),
	CALL(K, K, K, keyctl, BAD, 0, 0, 0, 0),
	CALL(K, K, K, add_key, 0, 0, 0, 0, 0),
	CALL(K, K, K, request_key, 0, 0, 0, 0),
	CALL(K, K, K, vmsplice, BAD, 0, 0, 0),
	CALL(K, K, K, inotify_init1, BAD),
	CALL(K, K, K, inotify_add_watch, BAD, 0, 0),
	CALL(K, K, K, fanotify_init, BAD, BAD),
	CALL(K, K, K, fanotify_mark, BAD, 0, 0, BAD, 0),
	CALL(K, K, K, remap_file_pages, 0, 0, 0, 0, 0),
	CALL(K, K, K, move_pages, 0, 0, 0, 0, 0, 0),
	CALL(K, K, K, migrate_pages, 0, 0, 0, 0),
	CALL(K, K, K, mbind, 0, 0, BAD, 0, 0, 0),
	CALL(K, K, K, set_mempolicy, BAD, 0, 0),
	CALL(K, K, K, personality, 0xffffffff),

	/* memory that becomes code */
	CALLN(K, K, K, mmap, "anonymous, read and exec", 0, 4096, RX, ANON,
	    BAD, 0),
	CALLN(K, K, K, mmap, "anonymous, write and exec", 0, 4096, RW | RX,
	    ANON, BAD, 0),
	CALLN(K, K, K, mmap, "of a file, write and exec", 0, 4096, RW | RX,
	    MAP_PRIVATE, BAD, 0),
	CALLN(K, EBADF, EBADF, mmap, "of a file, read and exec", 0, 4096, RX,
	    MAP_PRIVATE, BAD, 0),
	CALLN(K, K, K, mprotect, "exec", 0, 0, RX),
	CALLN(K, K, K, pkey_mprotect, "exec", 0, 0, RX, BAD),
	CALL(K, K, K, memfd_create, BAD, 0),
	CALL(K, K, K, memfd_secret, BAD),
	CALL(K, K, K, shmat, BAD, 0, 0),

	/* rights */
	CALL(K, P_OK, EPERM, setuid, 0),
	CALL(K, P_OK, EPERM, setgid, 0),
	CALL(K, P_OK, EPERM, setreuid, 0, 0),
	CALL(K, P_OK, EPERM, setregid, 0, 0),
	CALL(K, P_OK, EPERM, setresuid, 0, 0, 0),
	CALL(K, P_OK, EPERM, setresgid, 0, 0, 0),
	CALL(K, K, K, setfsuid, 0),
	CALL(K, K, K, setfsgid, 0),
	CALL(K, P_OK, EPERM, setgroups, 0, 0),
	FN(K, EPERM, EPERM, probe_raise_caps, "capset to everything"),
	CALLN(K, P_NONE, P_NONE, capset, "nothing", 0, 0),
	FN(K, EPERM, EPERM, probe_raise_limit, "setrlimit to more"),
	FN(EPERM, EPERM, EPERM, probe_raise_limit64, "prlimit64 to more"),
	CALLN(EPERM, K, K, prlimit64, "of init", 1, 7, 0, BUF),
	CALLN(K, EFAULT, EFAULT, seccomp, "another filter",
	    SECCOMP_SET_MODE_FILTER, 0, 0),

	/* options of prctl(2) that the parent is refused; all others below */
	CALLN(P_NONE, K, K, prctl, "PR_SET_DUMPABLE 1", PR_SET_DUMPABLE, 1,
	    0, 0, 0),
	CALLN(P_NONE, K, K, prctl, "PR_SET_DUMPABLE 2", PR_SET_DUMPABLE, 2,
	    0, 0, 0),
	CALLN(P_NONE, K, K, prctl, "PR_SET_KEEPCAPS", PR_SET_KEEPCAPS, 1, 0,
	    0, 0),
	CALLN(P_NONE, K, K, prctl, "PR_SET_SECUREBITS", PR_SET_SECUREBITS, 0,
	    0, 0, 0),
	CALLN(P_NONE, K, K, prctl, "PR_SET_PTRACER", PR_SET_PTRACER, BAD, 0,
	    0, 0),
	CALLN(P_NONE, K, K, prctl, "PR_SET_MM", PR_SET_MM, 0, 0, 0, 0),
	CALLN(P_NONE, K, K, prctl, "PR_CAP_AMBIENT_RAISE", PR_CAP_AMBIENT,
	    PR_CAP_AMBIENT_RAISE, 21, 0, 0),
	CALLN(P_NONE, P_OK, P_OK, prctl, "PR_SET_DUMPABLE 0",
	    PR_SET_DUMPABLE, 0, 0, 0, 0),

	/* ways to others that are no files */
	CALL(K, K, K, shmget, 0, 0, 0),
	CALL(K, K, K, shmctl, BAD, 0, 0),
	CALL(K, K, K, semget, 0, 0, 0),
	CALL(K, K, K, semop, BAD, 0, 0),
	CALL(K, K, K, semctl, BAD, 0, 0, 0),
	CALL(K, K, K, msgget, 0, 0),
	CALL(K, K, K, msgsnd, BAD, 0, 0, 0),
	CALL(K, K, K, msgrcv, BAD, 0, 0, 0, 0),
	CALL(K, K, K, msgctl, BAD, 0, 0),
	CALL(K, K, K, mq_open, 0, 0, 0, 0),
	CALL(K, K, K, mq_unlink, 0),
	CALLN(K, K, K, ioctl, "TIOCSTI", BAD, TIOCSTI, BUF),
	CALLN(K, K, K, ioctl, "TIOCLINUX", BAD, TIOCLINUX, BUF),

	/* the machine */
	CALL(K, K, K, kexec_load, 0, 0, 0, BAD),
	CALL(K, K, K, kexec_file_load, BAD, BAD, 0, 0, BAD),
	CALL(K, K, K, init_module, 0, 0, 0),
	CALL(K, K, K, finit_module, BAD, 0, BAD),
	CALL(K, K, K, delete_module, BAD, 0),
	CALL(K, K, K, syslog, BAD, 0, 0),
	CALL(K, K, K, reboot, 0, 0, 0, 0),
	CALL(K, K, K, swapon, BAD, BAD),
	CALL(K, K, K, swapoff, BAD),
	CALL(K, K, K, acct, BAD),
	CALL(K, K, K, quotactl, BAD, 0, 0, 0),
	CALL(K, K, K, quotactl_fd, BAD, BAD, 0, 0),
	CALL(K, K, K, sethostname, BAD, 1),
	CALL(K, K, K, setdomainname, BAD, 1),
	CALL(K, K, K, settimeofday, BAD, 0),
	CALL(K, K, K, clock_settime, BAD, 0),
	CALL(K, K, K, clock_adjtime, BAD, BAD),
	CALL(K, K, K, adjtimex, BAD),
	CALL(K, K, K, vhangup, 0),
#ifdef __x86_64__
	CALL(K, K, K, iopl, BAD),
	CALL(K, K, K, ioperm, 0, 0, 0),
	CALL(K, K, K, modify_ldt, BAD, 0, 0),
	CALL(K, K, K, uselib, BAD),

	/* the same calls under other numbers */
	{ "x32 read", K, K, K, NULL, 0x40000000L | SYS_read, { BAD } },
	{ "x32 socket", K, K, K, NULL, 0x40000000L | SYS_socket, { 1, 1 } },
	{ "x32 execve", K, K, K, NULL, 0x40000000L | 520, { BAD } },
	{ "x32 ptrace", K, K, K, NULL, 0x40000000L | 521, { BAD } },
	FN(P_I386, P_I386, P_I386, probe_i386_getpid, "i386 getpid"),
	FN(P_I386, P_I386, P_I386, probe_i386_open, "i386 open"),
	FN(P_I386, P_I386, P_I386, probe_i386_socketcall, "i386 socketcall"),
	FN(P_I386, P_I386, P_I386, probe_i386_execve, "i386 execve"),
#endif
	{ "no such call", K, ENOSYS, ENOSYS, NULL, 4000, { 0 } },
};

static const struct {
	const char	*name;
	uintptr_t	 flag;
} namespaces[] = {
	{ "CLONE_NEWNS", CLONE_NEWNS },
	{ "CLONE_NEWCGROUP", 0x02000000 },
	{ "CLONE_NEWUTS", CLONE_NEWUTS },
	{ "CLONE_NEWIPC", CLONE_NEWIPC },
	{ "CLONE_NEWUSER", CLONE_NEWUSER },
	{ "CLONE_NEWPID", CLONE_NEWPID },
	{ "CLONE_NEWNET", CLONE_NEWNET },
	{ "CLONE_NEWTIME", 0x00000080 }
};

static const char *const families[] = {
	[AF_UNSPEC] = "unspec", [AF_UNIX] = "unix", [AF_INET] = "inet",
	[AF_AX25] = "ax25", [AF_IPX] = "ipx", [AF_APPLETALK] = "appletalk",
	[AF_NETROM] = "netrom", [AF_BRIDGE] = "bridge",
	[AF_ATMPVC] = "atmpvc", [AF_X25] = "x25", [AF_INET6] = "inet6",
	[AF_ROSE] = "rose", [AF_KEY] = "key", [AF_NETLINK] = "netlink",
	[AF_PACKET] = "packet", [AF_ATMSVC] = "atmsvc", [AF_RDS] = "rds",
	[AF_PPPOX] = "pppox", [AF_LLC] = "llc", [AF_IB] = "ib",
	[AF_MPLS] = "mpls", [AF_CAN] = "can", [AF_TIPC] = "tipc",
	[AF_BLUETOOTH] = "bluetooth", [AF_IUCV] = "iucv",
	[AF_RXRPC] = "rxrpc", [AF_ISDN] = "isdn", [AF_PHONET] = "phonet",
	[AF_IEEE802154] = "ieee802154", [AF_CAIF] = "caif",
	[AF_ALG] = "alg", [AF_NFC] = "nfc", [AF_VSOCK] = "vsock",
	[AF_KCM] = "kcm", [AF_QIPCRTR] = "qipcrtr", [AF_SMC] = "smc",
	[AF_XDP] = "xdp", [45] = "mctp"
};

static const struct {
	const char	*name;
	uintptr_t	 option;
} options[] = {
	{ "PR_SET_PDEATHSIG", 1 }, { "PR_GET_DUMPABLE", 3 },
	{ "PR_SET_DUMPABLE", 4 }, { "PR_SET_KEEPCAPS", 8 },
	{ "PR_SET_NAME", 15 }, { "PR_SET_SECCOMP", 22 },
	{ "PR_CAPBSET_READ", 23 }, { "PR_CAPBSET_DROP", 24 },
	{ "PR_SET_TSC", 26 }, { "PR_SET_SECUREBITS", 28 },
	{ "PR_SET_TIMERSLACK", 29 }, { "PR_MCE_KILL", 33 },
	{ "PR_SET_MM", 35 }, { "PR_SET_CHILD_SUBREAPER", 36 },
	{ "PR_SET_NO_NEW_PRIVS", 38 }, { "PR_SET_THP_DISABLE", 41 },
	{ "PR_CAP_AMBIENT", 47 }, { "PR_SET_SPECULATION_CTRL", 53 },
	{ "PR_SET_IO_FLUSHER", 57 }, { "PR_SET_SYSCALL_USER_DISPATCH", 59 },
	{ "PR_SCHED_CORE", 62 }, { "PR_SET_MDWE", 65 },
	{ "PR_SET_MEMORY_MERGE", 67 }, { "PR_SET_PTRACER", 0x59616d61 },
	{ "PR_SET_VMA", 0x53564d41 }, { "PR_GET_AUXV", 0x41555856 }
};

static struct probe_thing	 things[THINGS_MAX];
static size_t			 nthings;

static struct probe_thing *
add(int child, int root, int user, long nr)
{
	struct probe_thing	*t;

	if (nthings == THINGS_MAX)
		_exit(1);
	t = &things[nthings++];
	t->child = child;
	t->root = root;
	t->user = user;
	t->nr = nr;
	return (t);
}

static void
add_families(void)
{
	struct probe_thing	*t;
	size_t			 n;
	int			 parent;

	for (n = 0; n < FAMILIES; n++) {
		parent = n == AF_UNIX ? P_OK : EAFNOSUPPORT;
		t = add(EACCES, parent, parent, SYS_socket);
		t->arg[0] = n;
		t->arg[1] = SOCK_STREAM;
		(void)snprintf(t->name, sizeof(t->name), "socket %zu%s%s", n,
		    n < sizeof(families) / sizeof(families[0]) &&
		    families[n] != NULL ? " " : "",
		    n < sizeof(families) / sizeof(families[0]) &&
		    families[n] != NULL ? families[n] : "");
	}
	/* A kernel's int drops the upper half. */
	t = add(EACCES, EAFNOSUPPORT, EAFNOSUPPORT, SYS_socket);
	t->arg[0] = AF_UNIX | (uintptr_t)1 << 32;
	t->arg[1] = SOCK_STREAM;
	(void)strcpy(t->name, "socket unix, upper half");
}

static void
add_namespaces(void)
{
	static const struct {
		const char	*name;
		long		 nr;
		int		 parent;
	} calls[] = {
		{ "clone", SYS_clone, P_SIGSYS },
		{ "unshare", SYS_unshare, P_SIGSYS },
		{ "setns", SYS_setns, P_SIGSYS }
	};
	struct probe_thing	*t;
	size_t			 n, i;

	for (n = 0; n < sizeof(namespaces) / sizeof(namespaces[0]); n++)
		for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
			/* The lowest bits are a signal for clone(). */
			if (calls[i].nr == SYS_clone &&
			    namespaces[n].flag < 0x100)
				continue;
			t = add(K, calls[i].parent, calls[i].parent,
			    calls[i].nr);
			t->arg[0] = calls[i].nr == SYS_setns ? BAD :
			    namespaces[n].flag;
			if (calls[i].nr == SYS_setns)
				t->arg[1] = namespaces[n].flag;
			(void)snprintf(t->name, sizeof(t->name), "%s %s",
			    calls[i].name, namespaces[n].name);
		}
}

static const char *
option_name(uintptr_t option)
{
	size_t	 i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].option == option)
			return (options[i].name);
	return (NULL);
}

static void
add_option(uintptr_t option)
{
	struct probe_thing	*t;
	const char		*name = option_name(option);

	t = add(K, P_NONE, P_NONE, SYS_prctl);
	t->arg[0] = option;
	t->arg[1] = 1;
	if (name != NULL)
		(void)snprintf(t->name, sizeof(t->name), "prctl %s", name);
	else
		(void)snprintf(t->name, sizeof(t->name), "prctl %lu",
		    (unsigned long)option);
}

/* None of them is in a child's list: whatever is added later, neither. */
static void
add_options(void)
{
	uintptr_t	 n;
	size_t		 i;

	for (n = 1; n <= OPTIONS; n++)
		add_option(n);
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].option > OPTIONS)
			add_option(options[i].option);
}

/* Calls that libseccomp may not know by name yet. */
static void
add_new_calls(void)
{
	struct probe_thing	*t;
	long			 nr;

	for (nr = 449; nr <= 480; nr++) {
		t = add(K, P_NONE, P_NONE, nr);
		t->arg[0] = t->arg[1] = BAD;
		(void)snprintf(t->name, sizeof(t->name), "call %ld", nr);
	}
}

const struct probe_thing *
probe_things(size_t *n)
{
	if (nthings == 0) {
		memcpy(things, things_table, sizeof(things_table));
		nthings = sizeof(things_table) / sizeof(things_table[0]);
		add_families();
		add_namespaces();
		add_options();
		add_new_calls();
	}
	*n = nthings;
	return (things);
}

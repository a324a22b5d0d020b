/* SPDX-License-Identifier: ISC */

/*
 * The system calls every child shares, and the code that turns tables into
 * a filter.  Every process's code; no input.
 *
 * What a libc may start to use in its next release is in the soft group:
 * refused, not fatal.  Nothing in it has an effect, so an attacker gains
 * nothing by trying.  Review it with each release.
 */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <linux/futex.h>

#include "log.h"
#include "scmp.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE	0x08	/* Linux 6.11 */
#endif
#ifndef MADV_FREE
#define MADV_FREE	8
#endif

/* Table lines: no comparison, one or two, all of which must hold. */
#define ALLOW(name)		{ name, SBX_ALLOW, 0, 0, { SBX_CMP_NONE } }
#define ALLOW_OPT(name)		{ name, SBX_ALLOW_OPT, 0, 0, { SBX_CMP_NONE } }
#define ALLOW1(name, c)		{ name, SBX_ALLOW, 0, 1, { c } }
#define ALLOW2(name, c, d)	{ name, SBX_ALLOW, 0, 2, { c, d } }
#define SOFT(name, err)		{ name, SBX_SOFT, err, 0, { SBX_CMP_NONE } }
#define SOFT1(name, err, c)	{ name, SBX_SOFT, err, 1, { c } }

/* The headers cannot say it without struct termios2. */
#define SBX_TCGETS2	0x802c542aU

#define NOT_EXEC	SBX_MASK(2, PROT_EXEC, 0)
#define MAP_FLAGS(harmless, must)	SBX_MASK(3, ~(uint64_t)(harmless), must)
#define FUTEX(op)	SBX_MASK(1,					\
	~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME), op)

const struct sbx_rule sbx_base[] = {
	/* stream and channel I/O; log.c writes */
	ALLOW("read"),
	ALLOW("write"),
	ALLOW("writev"),		/* libc's last words */
	ALLOW("close"),
	ALLOW("recvfrom"),		/* recv() */
	ALLOW("recvmsg"),		/* imsg: descriptors */
	ALLOW("sendto"),		/* send() */
	ALLOW("sendmsg"),

	/* libevent; which one depends on its version and on the machine */
	ALLOW("epoll_ctl"),
	ALLOW_OPT("epoll_wait"),
	ALLOW("epoll_pwait"),
	ALLOW_OPT("epoll_pwait2"),
	ALLOW_OPT("poll"),
	ALLOW("ppoll"),

	/* time, where the vDSO does not answer */
	ALLOW("clock_gettime"),
	ALLOW("gettimeofday"),
	ALLOW_OPT("time"),
	ALLOW("restart_syscall"),

	/* abort(); no handler is ever installed */
	ALLOW("rt_sigprocmask"),
	ALLOW("rt_sigaction"),
	ALLOW("getpid"),		/* imsg's header, too */
	ALLOW("gettid"),

	/* arc4random(), jansson */
	ALLOW("getrandom"),

	/* malloc() */
	ALLOW("brk"),
	ALLOW("munmap"),
	ALLOW("mremap"),
	ALLOW2("mmap", NOT_EXEC, MAP_FLAGS(MAP_NORESERVE | MAP_STACK,
	    MAP_PRIVATE | MAP_ANONYMOUS)),
	/* getrandom() in the vDSO */
	ALLOW2("mmap", NOT_EXEC, MAP_FLAGS(MAP_NORESERVE,
	    MAP_DROPPABLE | MAP_ANONYMOUS)),
	ALLOW1("mprotect", NOT_EXEC),
	ALLOW1("madvise", SBX_EQ(2, MADV_DONTNEED)),
	ALLOW1("madvise", SBX_EQ(2, MADV_FREE)),

	/* locks inside libc */
	ALLOW1("futex", FUTEX(FUTEX_WAIT)),
	ALLOW1("futex", FUTEX(FUTEX_WAKE)),

	ALLOW("exit_group"),
	{ NULL, SBX_ALLOW, 0, 0, { SBX_CMP_NONE } }
};

const struct sbx_rule sbx_soft[] = {
	/* files: locale, time zone, /dev/urandom, /proc/self */
	SOFT("open", ENOENT),
	SOFT("openat", ENOENT),
	SOFT("openat2", ENOENT),
	SOFT("stat", ENOENT),
	SOFT("lstat", ENOENT),
	SOFT("newfstatat", ENOENT),
	SOFT("statx", ENOENT),
	SOFT("readlink", ENOENT),
	SOFT("readlinkat", ENOENT),
	SOFT("access", ENOENT),
	SOFT("faccessat", ENOENT),
	SOFT("faccessat2", ENOENT),
	SOFT("getcwd", ENOENT),

	/* stdio, evbuffer: what kind of descriptor, how much is there */
	SOFT("fstat", EACCES),
	SOFT("lseek", ESPIPE),
	SOFT1("ioctl", ENOTTY, SBX_EQ(1, TCGETS)),
	SOFT1("ioctl", ENOTTY, SBX_EQ(1, SBX_TCGETS2)),
	SOFT1("ioctl", ENOTTY, SBX_EQ(1, TIOCGWINSZ)),
	SOFT1("ioctl", ENOTTY, SBX_EQ(1, FIONREAD)),

	/* syslog, name services */
	SOFT("socket", EACCES),
	SOFT("connect", EACCES),

	/* sizes and features a library asks for */
	SOFT("uname", ENOSYS),
	SOFT("sysinfo", ENOSYS),
	SOFT("prlimit64", EPERM),
	SOFT("getrlimit", EPERM),
	SOFT("sched_getaffinity", ENOSYS),
	SOFT("clone3", ENOSYS),
	SOFT("riscv_hwprobe", ENOSYS),
	{ NULL, SBX_SOFT, 0, 0, { SBX_CMP_NONE } }
};

static scmp_filter_ctx	 scmp_new(uint32_t);
static void		 scmp_add(scmp_filter_ctx, const struct sbx_rule *);
static void		 scmp_add_abort(scmp_filter_ctx);
static int		 scmp_load(scmp_filter_ctx);
static void		 scmp_check(int, const char *);

void
scmp_load_allow(const struct sbx_rule *own)
{
	scmp_filter_ctx	 ctx;

	ctx = scmp_new(SCMP_ACT_KILL_PROCESS);
	scmp_add(ctx, sbx_base);
	scmp_add(ctx, sbx_soft);
	if (own != NULL)
		scmp_add(ctx, own);
	scmp_add_abort(ctx);
	scmp_check(scmp_load(ctx), "load");
	seccomp_release(ctx);
}

void
scmp_load_deny(const struct sbx_rule *deny, int nnp)
{
	scmp_filter_ctx	 ctx;

	ctx = scmp_new(SCMP_ACT_ALLOW);
	scmp_check(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP,
	    nnp ? 1 : 0), "no-new-privs attribute");
	scmp_add(ctx, deny);
	scmp_check(scmp_load(ctx), "load");
	seccomp_release(ctx);
}

static scmp_filter_ctx
scmp_new(uint32_t action)
{
	scmp_filter_ctx	 ctx;

	if ((ctx = seccomp_init(action)) == NULL)
		fatalx("seccomp: init failed");
	/* 32-bit and x32 calls would have other numbers. */
	scmp_check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS), "bad architecture attribute");
	/* Kernels from 4.14 on name the call in the audit log. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	/* A binary tree instead of a list; older libraries cannot. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return (ctx);
}

static void
scmp_add(scmp_filter_ctx ctx, const struct sbx_rule *rule)
{
	uint32_t	 action = SCMP_ACT_ALLOW;
	int		 nr, rc;

	for (; rule->name != NULL; rule++) {
		/* Negative: unknown, or not a call of this machine. */
		if ((nr = seccomp_syscall_resolve_name(rule->name)) < 0) {
			if (rule->action == SBX_ALLOW)
				fatalx("seccomp: no system call %s",
				    rule->name);
			continue;
		}
		switch (rule->action) {
		case SBX_ALLOW:
		case SBX_ALLOW_OPT:
			action = SCMP_ACT_ALLOW;
			break;
		case SBX_SOFT:
			action = SCMP_ACT_ERRNO((unsigned int)rule->err);
			break;
		case SBX_KILL:
			action = SCMP_ACT_KILL_PROCESS;
			break;
		default:
			fatalx("seccomp: rule for %s", rule->name);
		}
		rc = seccomp_rule_add_exact_array(ctx, action, nr, rule->ncmp,
		    rule->ncmp == 0 ? NULL : rule->cmp);
		scmp_check(rc, rule->name);
	}
}

/* abort() and assert() die of SIGABRT as they should; no other target. */
static void
scmp_add_abort(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp self = SBX_EQ(0, (scmp_datum_t)getpid());

	scmp_check(seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW,
	    SCMP_SYS(tgkill), 1, &self), "tgkill");
}

static int
scmp_load(scmp_filter_ctx ctx)
{
#ifdef SBX_DEV
	/* A sanitizer's runtime needs more than any list should have. */
	(void)ctx;
	return (0);
#else
	return (seccomp_load(ctx));
#endif
}

static void
scmp_check(int rc, const char *what)
{
	if (rc < 0)
		fatalx("seccomp: %s: %s", what, log_strerror(-rc));
}

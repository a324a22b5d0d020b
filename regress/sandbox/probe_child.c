/* SPDX-License-Identifier: ISC */

/*
 * What a child's filter lets through, refuses and kills for.  All arguments
 * are such that the call has no effect if it is made.
 */

#include <sys/types.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/futex.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define BAD		((uintptr_t)-1)		/* a descriptor */
#define BUF		((uintptr_t)probe_buf)
#define DOT		((uintptr_t)".")
#define SLASH		((uintptr_t)"/")
#define HIGH		((uintptr_t)1 << 32)	/* what a kernel's int drops */
#define RW		(PROT_READ | PROT_WRITE)
#define SELF_PRIVATE	(MAP_PRIVATE | MAP_ANONYMOUS)

#define CALL(expect, nr, ...)						\
	{ #nr, expect, NULL, SYS_##nr, { __VA_ARGS__ }, 0 }
#define CALLN(expect, nr, what, ...)					\
	{ #nr " " what, expect, NULL, SYS_##nr, { __VA_ARGS__ }, 0 }
#define FN(expect, fn)	{ #fn, expect, fn, 0, { 0 }, 0 }
#define END		{ NULL, 0, NULL, 0, { 0 }, 0 }

unsigned char	 probe_buf[4096];

static int	 ignore_signal(void);
static int	 abort_with_words(void);
static int	 tgkill_parent(void);
static int	 allocate(void);
static int	 allocate_too_much(void);
static int	 too_many_descriptors(void);
static int	 tell_time(void);

/* raise() as abort() does it; a handler could not return. */
static int
ignore_signal(void)
{
	struct sigaction	 sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_IGN;
	if (sigaction(SIGUSR1, &sa, NULL) == -1)
		return (-1);
	return (raise(SIGUSR1) == 0 ? 0 : -1);
}

/* As libc does it when it finds its own data broken. */
static int
abort_with_words(void)
{
	void	*volatile p = probe_buf + 64;

	free(p);
	return (0);
}

static int
tgkill_parent(void)
{
	pid_t	 ppid = getppid();

	return ((int)syscall(SYS_tgkill, ppid, ppid, 0));
}

/* Small, large enough for mmap, grown, freed. */
static int
allocate(void)
{
	void	*volatile p, *volatile q;

	if ((p = malloc(100)) == NULL || (q = malloc(4 << 20)) == NULL)
		return (-1);
	memset(q, 1, 4 << 20);
	if ((q = realloc(q, 8 << 20)) == NULL)
		return (-1);
	free(p);
	free(q);
	return (0);
}

/* RLIMIT_NOFILE, by the only call that makes descriptors there. */
static int
too_many_descriptors(void)
{
	int	 i, sv[2];

	for (i = 0; i < PROBE_NOFILE; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1)
			return (-1);
	return (0);
}

static int
allocate_too_much(void)
{
	void	*volatile p;

	if ((p = malloc((size_t)600 << 20)) == NULL)
		return (-1);
	free(p);
	return (0);
}

static int
tell_time(void)
{
	struct timespec	 ts;
	struct tm	 tm;
	time_t		 now = time(NULL);

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		return (-1);
	return (localtime_r(&now, &tm) == NULL ? -1 : 0);
}

const struct probe_line probe_base[] = {
	/* let through */
	CALL(EBADF, read, BAD, BUF, 1),
	CALL(EBADF, write, BAD, BUF, 1),
	CALL(EBADF, writev, BAD, BUF, 0),
	CALL(EBADF, close, BAD),
	CALL(EBADF, recvfrom, BAD, BUF, 1, 0, 0, 0),
	CALL(EBADF, recvmsg, BAD, BUF, 0),
	CALL(EBADF, sendto, BAD, BUF, 1, 0, 0, 0),
	CALL(EBADF, sendmsg, BAD, BUF, 0),
	CALL(EBADF, epoll_ctl, BAD, EPOLL_CTL_DEL, BAD, 0),
	CALL(EBADF, epoll_pwait, BAD, BUF, 1, 0, 0, 8),
	CALL(P_OK, ppoll, 0, 0, BUF, 0, 8),
#ifdef SYS_epoll_wait
	CALL(EBADF, epoll_wait, BAD, BUF, 1, 0),
	CALL(P_OK, poll, 0, 0, 0),
#endif
	CALL(P_OK, clock_gettime, CLOCK_MONOTONIC, BUF),
	CALL(P_OK, gettimeofday, 0, 0),
	CALL(P_OK, rt_sigprocmask, SIG_BLOCK, 0, 0, 8),
	CALL(P_OK, rt_sigaction, SIGUSR1, 0, 0, 8),
	CALL(P_OK, getpid, 0),
	CALL(P_OK, gettid, 0),
	CALL(P_OK, getrandom, BUF, 16, 0),
	CALL(P_OK, brk, 0),
	CALL(EINVAL, munmap, 1, 0),
	CALL(EINVAL, mremap, 1, 0, 0, 0),
	CALL(P_OK, mmap, 0, 4096, RW, SELF_PRIVATE, BAD, 0),
	CALLN(P_OK, mmap, "reserve", 0, 4096, PROT_NONE,
	    SELF_PRIVATE | MAP_NORESERVE, BAD, 0),
	CALL(P_OK, mprotect, 0, 0, PROT_READ),
	CALL(P_OK, madvise, 0, 0, MADV_DONTNEED),
	CALLN(EAGAIN, futex, "wait", BUF, FUTEX_WAIT_PRIVATE, 1, 0, 0, 0),
	CALLN(P_OK, futex, "wake", BUF, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0),
	FN(P_OK, ignore_signal),
	FN(P_SIGABRT, abort_with_words),
	FN(P_OK, allocate),
	FN(P_OK, tell_time),

	/* refused, without effect */
	CALLN(ENOENT, openat, "channel", 3, DOT, O_RDONLY, 0),
	CALLN(ENOENT, openat, "urandom", (uintptr_t)AT_FDCWD,
	    (uintptr_t)"/dev/urandom", O_RDONLY, 0),
	CALL(ENOENT, newfstatat, (uintptr_t)AT_FDCWD, SLASH, BUF, 0),
	CALL(ENOENT, statx, (uintptr_t)AT_FDCWD, SLASH, 0, 0, BUF),
	CALL(ENOENT, readlinkat, (uintptr_t)AT_FDCWD, DOT, BUF, 10),
	CALL(ENOENT, faccessat, (uintptr_t)AT_FDCWD, SLASH, 0),
	CALL(ENOENT, getcwd, BUF, sizeof(probe_buf)),
	CALL(EACCES, fstat, 3, BUF),
	CALL(ESPIPE, lseek, 0, 0, SEEK_CUR),
	CALLN(ENOTTY, ioctl, "TCGETS", 3, TCGETS, BUF),
	CALLN(ENOTTY, ioctl, "FIONREAD", 3, FIONREAD, BUF),
	CALL(ENOSYS, uname, BUF),
	CALL(ENOSYS, sysinfo, BUF),
	CALL(EPERM, prlimit64, 0, 7, 0, BUF),
	CALL(ENOSYS, sched_getaffinity, 0, 128, BUF),
#ifdef SYS_open
	CALL(ENOENT, stat, SLASH, BUF),
	CALL(ENOENT, access, SLASH, 0),
	CALL(ENOENT, readlink, DOT, BUF, 10),
#endif

	/* dies of it: programs, processes */
	FN(P_SIGSYS, tgkill_parent),
	/* memory */
	CALLN(P_SIGSYS, mmap, "file", 0, 4096, PROT_READ, MAP_PRIVATE, 3, 0),
	CALLN(P_SIGSYS, mmap, "shared", 0, 4096, RW,
	    MAP_SHARED | MAP_ANONYMOUS, BAD, 0),
	CALLN(P_SIGSYS, mmap, "high half", 0, 4096, RW, SELF_PRIVATE | HIGH,
	    BAD, 0),
	CALLN(P_SIGSYS, madvise, "other", 0, 0, MADV_WILLNEED),
	CALLN(P_SIGSYS, futex, "requeue PI", BUF, FUTEX_CMP_REQUEUE_PI, 0, 0,
	    BUF, 0),
	CALLN(P_SIGSYS, futex, "requeue", BUF, FUTEX_REQUEUE, 0, 0, BUF, 0),
	CALLN(P_SIGSYS, futex, "wait, bits", BUF, FUTEX_WAIT_BITSET, 0, 0, 0,
	    1),
	/* what a library's threads would do */
	CALL(P_SIGSYS, readv, BAD, BUF, 0),
	CALL(P_SIGSYS, shutdown, BAD, SHUT_WR),
	CALL(P_SIGSYS, nanosleep, BUF, 0),
	CALL(P_SIGSYS, clock_nanosleep, CLOCK_MONOTONIC, 0, BUF, 0),
	CALL(P_SIGSYS, sigaltstack, 0, 0),
	CALL(P_SIGSYS, rt_sigreturn, 0),
	CALL(P_SIGSYS, set_robust_list, 0, 0),
	CALL(P_SIGSYS, rseq, 0, 0, 0, 0),
	CALL(P_SIGSYS, membarrier, 0, 0, 0),
	CALL(P_SIGSYS, getppid, 0),
	CALL(P_SIGSYS, exit, 0),
	/* arguments, each with the other one right */
	CALLN(P_SIGSYS, getsockopt, "option", BAD, SOL_SOCKET, SO_RCVBUF, 0,
	    0),
	CALLN(P_SIGSYS, getsockopt, "SO_ERROR", BAD, SOL_SOCKET, SO_ERROR, 0,
	    0),
	CALL(P_SIGSYS, setsockopt, BAD, SOL_SOCKET, SO_RCVBUF, 0, 0),
	CALLN(P_SIGSYS, fcntl, "F_SETOWN", BAD, F_SETOWN, 0),
	CALLN(P_SIGSYS, fcntl, "F_SETLK", BAD, F_SETLK, BUF),
	CALLN(P_SIGSYS, fcntl, "F_SETFL", BAD, F_SETFL, 0),
	CALLN(P_SIGSYS, fcntl, "F_SETFD", BAD, F_SETFD, 0),
	CALLN(P_SIGSYS, fcntl, "high half", BAD, F_DUPFD_CLOEXEC | HIGH, 0),
	/* sockets, descriptors */
	CALL(P_SIGSYS, getpeername, BAD, BUF, BUF),
	CALL(P_SIGSYS, dup, BAD),
	CALL(P_SIGSYS, dup3, BAD, BAD, 0),
	CALL(P_SIGSYS, pipe2, 0, BAD),
	CALL(P_SIGSYS, epoll_create1, BAD),
	CALL(P_SIGSYS, eventfd2, 0, BAD),
	CALL(P_SIGSYS, timerfd_create, BAD, 0),
	CALL(P_SIGSYS, sendfile, BAD, BAD, 0, 0),
	CALL(P_SIGSYS, splice, BAD, 0, BAD, 0, 0, 0),
	/* files */
	CALL(P_SIGSYS, getdents64, BAD, BUF, 10),
	CALL(P_SIGSYS, pread64, BAD, BUF, 1, 0),
	CALL(P_SIGSYS, unlinkat, BAD, 0, 0),
	CALL(P_SIGSYS, renameat2, BAD, 0, BAD, 0, 0),
	CALL(P_SIGSYS, mkdirat, BAD, 0, 0),
	CALL(P_SIGSYS, mknodat, BAD, 0, 0, 0),
	CALL(P_SIGSYS, fchmod, BAD, 0),
	CALL(P_SIGSYS, ftruncate, BAD, 0),
	CALL(P_SIGSYS, chdir, 0),
#ifdef __x86_64__
	CALL(P_SIGSYS, arch_prctl, 0x1004, BUF),
#endif
	END
};

const struct probe_line probe_frontend[] = {
	CALL(EBADF, accept4, BAD, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK),
	CALL(P_SIGSYS, accept, BAD, 0, 0),
	CALLN(EBADF, getsockopt, "SO_PEERCRED", BAD, SOL_SOCKET, SO_PEERCRED,
	    0, 0),
	CALLN(EBADF, fcntl, "F_DUPFD_CLOEXEC", BAD, F_DUPFD_CLOEXEC, 0),
	CALLN(EINVAL, fcntl, "at RLIMIT_NOFILE", 3, F_DUPFD_CLOEXEC,
	    PROBE_NOFILE),
	CALLN(P_OK, fcntl, "below RLIMIT_NOFILE", 3, F_DUPFD_CLOEXEC,
	    PROBE_NOFILE - 1),
	CALLN(P_SIGSYS, getsockopt, "SO_TYPE", BAD, SOL_SOCKET, SO_TYPE, 0,
	    0),
	CALLN(P_SIGSYS, getsockopt, "high half", BAD, SOL_SOCKET | HIGH,
	    SO_PEERCRED, 0, 0),
	CALLN(P_SIGSYS, getsockopt, "SO_PEERCRED, level", BAD, 6, SO_PEERCRED,
	    0, 0),
	CALL(P_SIGSYS, socketpair, AF_UNIX, SOCK_STREAM, 0, BUF),
	END
};

const struct probe_line probe_vmengine[] = {
	CALL(P_OK, socketpair, AF_UNIX, SOCK_STREAM, 0, BUF),
	CALLN(P_OK, socketpair, "flags", AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, BUF),
	CALLN(P_SIGSYS, socketpair, "type", AF_UNIX, SOCK_DGRAM, 0, BUF),
	CALLN(P_SIGSYS, socketpair, "family", AF_INET, SOCK_STREAM, 0, BUF),
	CALLN(P_SIGSYS, socketpair, "protocol", AF_UNIX, SOCK_STREAM, 1, BUF),
	CALL(P_SIGSYS, accept4, BAD, 0, 0, 0),
	CALL(P_SIGSYS, accept, BAD, 0, 0),
	CALLN(P_SIGSYS, getsockopt, "SO_PEERCRED", BAD, SOL_SOCKET,
	    SO_PEERCRED, 0, 0),
	CALLN(EBADF, getsockopt, "SO_TYPE", BAD, SOL_SOCKET, SO_TYPE, 0, 0),
	CALLN(EBADF, getsockopt, "SO_DOMAIN", BAD, SOL_SOCKET, SO_DOMAIN, 0,
	    0),
	CALLN(P_SIGSYS, getsockopt, "SO_TYPE, level", BAD, 6, SO_TYPE, 0, 0),
	CALLN(P_SIGSYS, getsockopt, "high half", BAD, SOL_SOCKET | HIGH,
	    SO_TYPE, 0, 0),
	CALLN(EBADF, fcntl, "F_DUPFD_CLOEXEC", BAD, F_DUPFD_CLOEXEC, 0),
	FN(EMFILE, too_many_descriptors),
	FN(ENOMEM, allocate_too_much),
	END
};

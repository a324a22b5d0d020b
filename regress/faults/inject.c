/* SPDX-License-Identifier: ISC */

/*
 * Something goes wrong in a running process at its Nth system call of some
 * kind: it is killed, stopped, told an error instead, or moves fewer bytes
 * than it wanted.  What strace(1) could do of this it counts for each call
 * apart; short transfers it cannot do.  Trusts whoever starts it.
 *
 * Lines on standard output: `attached'; `fired CALL' at the first fault;
 * at the end `ended N' or, after SIGTERM, `detached N': calls counted.
 */

#include <sys/types.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLS_MAX	64
#define SYSCALL_STOP	(SIGTRAP | 0x80)

#ifdef __x86_64__

enum action {
	COUNT,
	KILL,
	STOP,
	ERROR,
	SHORT
};

static int			 calls[CALLS_MAX];
static size_t			 ncalls;	/* 0: all */
static enum action		 action = COUNT;
static int			 onward;	/* not at the Nth only */
static long			 arg;		/* errno, or bytes */
static long			 without = -1;	/* a descriptor */
static unsigned long		 at = 1, seen;
static int			 fired;
static pid_t			 pid;
static volatile sig_atomic_t	 leaving;

/* What a call that was changed had before. */
static struct {
	struct user_regs_struct	 regs;
	int			 changed;
	long			 result;	/* to be told instead */
	int			 lie;
	unsigned long		 where[2];
	long			 was[2];
	int			 npokes;
} saved;

static void	leave(int);
static void	usage(void);
static void	say(const char *, const char *);
static void	parse_calls(char *);
static void	parse_action(const char *);
static int	parse_errno(const char *);
static int	matches(const struct user_regs_struct *);
static void	poke(unsigned long, long);
static void	entry(void);
static void	leaving_call(void);
static void	shorten(struct user_regs_struct *);
static int	shorten_iov(unsigned long, unsigned long);
static void	run(void);

static void
leave(int sig)
{
	(void)sig;
	leaving = 1;
	(void)ptrace(PTRACE_INTERRUPT, pid, 0, 0);
}

static void
usage(void)
{
	fprintf(stderr, "usage: inject [-c call,...] [-n N] [-x fd] pid "
	    "count | kill | stop | error[s]=ENAME | short=BYTES\n");
	exit(2);
}

static void
say(const char *what, const char *detail)
{
	printf("%s %s\n", what, detail);
	fflush(stdout);
}

static void
parse_calls(char *list)
{
	char	*name;
	int	 nr;

	while ((name = strsep(&list, ",")) != NULL) {
		nr = seccomp_syscall_resolve_name(name);
		if (nr < 0 || ncalls == CALLS_MAX)
			errx(2, "%s: no such system call", name);
		calls[ncalls++] = nr;
	}
}

static int
parse_errno(const char *name)
{
	int	 i;

	for (i = 1; i < 140; i++)
		if (strerrorname_np(i) != NULL &&
		    strcmp(strerrorname_np(i), name) == 0)
			return (i);
	errx(2, "%s: no such error", name);
}

static void
parse_action(const char *s)
{
	if (strcmp(s, "count") == 0)
		action = COUNT;
	else if (strcmp(s, "kill") == 0)
		action = KILL;
	else if (strcmp(s, "stop") == 0)
		action = STOP;
	else if (strncmp(s, "error=", 6) == 0) {
		action = ERROR;
		arg = parse_errno(s + 6);
	} else if (strncmp(s, "errors=", 7) == 0) {
		action = ERROR;
		onward = 1;
		arg = parse_errno(s + 7);
	} else if (strncmp(s, "short=", 6) == 0) {
		action = SHORT;
		onward = 1;
		arg = atol(s + 6);
	} else
		usage();
}

static int
matches(const struct user_regs_struct *r)
{
	size_t	 i;

	if (without != -1 && (long)r->rdi == without)
		return (0);
	for (i = 0; i < ncalls; i++)
		if ((long)r->orig_rax == calls[i])
			return (1);
	return (ncalls == 0);
}

static void
poke(unsigned long where, long value)
{
	saved.where[saved.npokes] = where;
	errno = 0;
	saved.was[saved.npokes] = ptrace(PTRACE_PEEKDATA, pid, where, 0);
	if (errno == 0 && ptrace(PTRACE_POKEDATA, pid, where, value) == 0)
		saved.npokes++;
}

/* Number of buffers that are left of n: the last one shortened. */
static int
shorten_iov(unsigned long iov, unsigned long n)
{
	unsigned long	 i;
	long		 len;

	for (i = 0; i < n; i++) {
		errno = 0;
		len = ptrace(PTRACE_PEEKDATA, pid, iov + 16 * i + 8, 0);
		if (errno != 0)
			return (0);
		if (len == 0)
			continue;
		if (len > arg)
			poke(iov + 16 * i + 8, arg);
		return ((int)i + 1);
	}
	return (0);
}

static void
shorten(struct user_regs_struct *r)
{
	unsigned long	 iov;
	long		 n;

	switch (r->orig_rax) {
	case SYS_read:
	case SYS_write:
	case SYS_recvfrom:
	case SYS_sendto:
		if ((long)r->rdx > arg)
			r->rdx = (unsigned long)arg;
		break;
	case SYS_readv:
	case SYS_writev:
		if ((n = shorten_iov(r->rsi, r->rdx)) > 0)
			r->rdx = (unsigned long)n;
		break;
	case SYS_recvmsg:
	case SYS_sendmsg:
		iov = (unsigned long)ptrace(PTRACE_PEEKDATA, pid,
		    r->rsi + 16, 0);
		n = ptrace(PTRACE_PEEKDATA, pid, r->rsi + 24, 0);
		if ((n = shorten_iov(iov, (unsigned long)n)) > 0)
			poke(r->rsi + 24, n);
		break;
	default:
		break;
	}
}

static void
entry(void)
{
	struct user_regs_struct	 r;
	char			*name;

	if (ptrace(PTRACE_GETREGS, pid, 0, &r) == -1 || !matches(&r))
		return;
	seen++;
	if (action == COUNT || (onward ? seen < at : seen != at))
		return;
	if (!fired) {
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE,
		    (int)r.orig_rax);
		say("fired", name == NULL ? "?" : name);
		free(name);
		fired = 1;
	}
	memset(&saved, 0, sizeof(saved));
	saved.regs = r;
	saved.changed = 1;
	switch (action) {
	case KILL:
		saved.changed = 0;
		kill(pid, SIGKILL);
		break;
	case STOP:
		/* Until we are told to leave. */
		while (!leaving)
			pause();
		saved.changed = 0;
		break;
	case ERROR:
		/* One that every filter lets pass and that does nothing. */
		saved.lie = 1;
		r.orig_rax = SYS_gettimeofday;
		r.rdi = r.rsi = 0;
		break;
	case SHORT:
		shorten(&r);
		break;
	case COUNT:
	default:
		break;
	}
	if (saved.changed)
		(void)ptrace(PTRACE_SETREGS, pid, 0, &r);
}

/* The arguments as they were, and the result that we want. */
static void
leaving_call(void)
{
	struct user_regs_struct	 r;
	int			 i;

	if (!saved.changed)
		return;
	saved.changed = 0;
	for (i = 0; i < saved.npokes; i++)
		(void)ptrace(PTRACE_POKEDATA, pid, saved.where[i],
		    saved.was[i]);
	if (ptrace(PTRACE_GETREGS, pid, 0, &r) == -1)
		return;
	if (saved.lie)
		saved.regs.rax = (unsigned long)-arg;
	else
		saved.regs.rax = r.rax;
	(void)ptrace(PTRACE_SETREGS, pid, 0, &saved.regs);
}

static void
run(void)
{
	struct __ptrace_syscall_info	 info;
	char				 text[32];
	int				 sig, st;

	for (;;) {
		if (waitpid(pid, &st, __WALL) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "waitpid");
		}
		if (!WIFSTOPPED(st))
			break;
		sig = WSTOPSIG(st);
		if (sig == SYSCALL_STOP) {
			sig = 0;
			if (ptrace(PTRACE_GET_SYSCALL_INFO, pid,
			    sizeof(info), &info) == -1)
				memset(&info, 0, sizeof(info));
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
				entry();
			else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
				leaving_call();
		} else if (st >> 16 != 0) {
			/* Asked for by us, or it is stopped by a signal. */
			if (sig == SIGSTOP)
				kill(pid, SIGCONT);
			sig = 0;
		}
		/* A sanitizer does not like to be watched to the end. */
		if ((leaving || (fired && action == ERROR && !onward)) &&
		    !saved.changed) {
			(void)ptrace(PTRACE_DETACH, pid, 0, sig);
			snprintf(text, sizeof(text), "%lu", seen);
			say("detached", text);
			return;
		}
		(void)ptrace(PTRACE_SYSCALL, pid, 0, sig);
	}
	snprintf(text, sizeof(text), "%lu", seen);
	say("ended", text);
}

int
main(int argc, char *argv[])
{
	struct sigaction	 sa;
	int			 ch;

	while ((ch = getopt(argc, argv, "c:n:x:")) != -1) {
		switch (ch) {
		case 'c':
			parse_calls(optarg);
			break;
		case 'n':
			at = strtoul(optarg, NULL, 10);
			break;
		case 'x':
			without = atol(optarg);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2)
		usage();
	pid = (pid_t)atol(argv[optind]);
	parse_action(argv[optind + 1]);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = leave;
	if (sigaction(SIGTERM, &sa, NULL) == -1 ||
	    ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) == -1 ||
	    ptrace(PTRACE_INTERRUPT, pid, 0, 0) == -1)
		err(1, "%d", (int)pid);
	say("attached", argv[optind]);
	run();
	return (0);
}

#else

int
main(void)
{
	errx(1, "not for this processor");
}

#endif

/* SPDX-License-Identifier: ISC */

/*
 * What a child of spawn() finds: its descriptors, environment, signals and
 * directory; and what the parent is left with.  Starts itself as the child,
 * which writes what it sees to descriptor 3.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include "spawn.h"
#include "test.h"

#define WAIT_MS		60000
#define REPORT_MAX	8192

#ifdef SBX_DEV
#define DEV	1
#else
#define DEV	0
#endif

static char	 self[PATH_MAX];	/* this program */

/*
 * The child.
 */

static char	 out[REPORT_MAX];
static size_t	 out_len;

static void	 say(const char *, ...)
		    __attribute__((__format__(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	va_list	 ap;
	int	 n;

	va_start(ap, fmt);
	n = vsnprintf(out + out_len, sizeof(out) - out_len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(out) - out_len)
		out_len += (size_t)n;
}

static void
say_fds(void)
{
	struct stat	 st;
	struct dirent	*de;
	DIR		*dir;
	int		 fd, type;
	socklen_t	 len;

	if ((dir = opendir("/proc/self/fd")) == NULL)
		return;
	say("fds");
	while ((de = readdir(dir)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		fd = atoi(de->d_name);
		if (fd == dirfd(dir) || fstat(fd, &st) == -1)
			continue;
		len = sizeof(type);
		if (S_ISCHR(st.st_mode) && st.st_rdev == 0x103)
			say(" %d:null", fd);
		else if (S_ISDIR(st.st_mode))
			say(" %d:dir%llu", fd, (unsigned long long)st.st_ino);
		else if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0)
			say(" %d:%s%s", fd,
			    type == SOCK_STREAM ? "stream" : "seqpacket",
			    (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 ? "" :
			    "-blocking");
		else
			say(" %d:other", fd);
	}
	say("\n");
	closedir(dir);
}

static void
say_status(void)
{
	char	 line[256];
	FILE	*f;

	if ((f = fopen("/proc/self/status", "r")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "SigBlk:", 7) == 0 ||
		    strncmp(line, "SigIgn:", 7) == 0)
			say("%s", line);
	fclose(f);
}

static int
child(int argc, char *argv[])
{
	char	 cwd[PATH_MAX];
	mode_t	 mask;
	int	 i, n;

	say_fds();
	say_status();
	mask = umask(0);
	say("umask %03o\n", mask);
	if (getcwd(cwd, sizeof(cwd)) != NULL)
		say("cwd %s\n", cwd);
	for (n = 0; environ != NULL && environ[n] != NULL; n++)
		continue;
	say("env %d\n", n);
	say("argv");
	for (i = 0; i < argc; i++)
		say(" %s", argv[i]);
	say("\n");
	if (write(SPAWN_LOG_FD, "log", 3) != 3)
		return (1);
	if (write(SPAWN_CHANNEL_FD, out, out_len) != (ssize_t)out_len)
		return (1);
	return (0);
}

/*
 * The parent.
 */

static int
readable(int fd)
{
	struct pollfd	 pfd = { .fd = fd, .events = POLLIN };

	return (poll(&pfd, 1, WAIT_MS) == 1);
}

/* All until end of file. */
static void
read_report(int fd, char *buf, size_t size)
{
	size_t	 len = 0;
	ssize_t	 n;

	while (len < size - 1 && readable(fd)) {
		if ((n = read(fd, buf + len, size - 1 - len)) <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
}

/* 32 and 33 are the C library's own; it does not let them be changed. */
static int
ignores_nothing(const char *report)
{
	const char	*p;

	p = strstr(report, "SigIgn:\t");
	return (p != NULL && (strtoull(p + 8, NULL, 16) &
	    ~(UINT64_C(3) << 31)) == 0);
}

static int
has_line(const char *report, const char *line)
{
	const char	*p = report;
	size_t		 len = strlen(line);

	while ((p = strstr(p, line)) != NULL) {
		if ((p == report || p[-1] == '\n') && p[len] == '\n')
			return (1);
		p += len;
	}
	fprintf(stderr, "no line '%s' in:\n%s", line, report);
	return (0);
}

static int
count_fds(void)
{
	DIR		*dir;
	int		 n = 0;

	if ((dir = opendir("/proc/self/fd")) == NULL)
		return (-1);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

static int
no_children(void)
{
	return (waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void
release(struct spawned *s)
{
	int	 status;

	close(s->channel);
	close(s->log);
	close(s->pidfd);
	CHECK(waitpid(s->pid, &status, 0) == s->pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
expect_fds(char *buf, size_t size, const struct stat *root)
{
	char	 dir[64] = "";

	if (root != NULL)
		snprintf(dir, sizeof(dir), " 5:dir%llu",
		    (unsigned long long)root->st_ino);
	snprintf(buf, size, "fds 0:null 1:null %s3:stream 4:seqpacket%s",
	    DEV ? "" : "2:null ", dir);
}

/* In a sanitizer's build descriptor 2 is the parent's, whatever it is. */
static void
hide_stderr(char *report)
{
	char	*p, *end;

	if (!DEV || (p = strstr(report, " 2:")) == NULL ||
	    (end = strchr(p + 1, ' ')) == NULL)
		return;
	memmove(p, end, strlen(end) + 1);
}

static void
test_child(void)
{
	const char *const	 args[] = { "child", "-u", "123", NULL };
	struct spawned		 s;
	struct sigaction	 ign, old;
	sigset_t		 set, oldset, now;
	char			 report[REPORT_MAX], want[256], log[16];
	const char		*name;

	test_begin("child: descriptors, environment, signals, directory");
	memset(&ign, 0, sizeof(ign));
	ign.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &ign, &old);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &oldset);

	CHECK(spawn(&s, self, args, -1) == 0);
	sigprocmask(SIG_SETMASK, &oldset, &now);
	CHECK(sigismember(&now, SIGUSR1) == 1);
	CHECK(sigismember(&now, SIGUSR2) == 0);
	sigaction(SIGPIPE, &old, NULL);

	read_report(s.channel, report, sizeof(report));
	hide_stderr(report);
	expect_fds(want, sizeof(want), NULL);
	CHECK(has_line(report, want));
	CHECK(has_line(report, "SigBlk:\t0000000000000000"));
	CHECK(ignores_nothing(report));
	CHECK(has_line(report, "umask 077"));
	CHECK(has_line(report, "cwd /"));
	CHECK(DEV || has_line(report, "env 0"));
	name = strrchr(self, '/') + 1;
	snprintf(want, sizeof(want), "argv %s child -u 123", name);
	CHECK(has_line(report, want));

	test_begin("parent: its ends of the channels, the pidfd");
	CHECK(readable(s.log));
	CHECK(read(s.log, log, sizeof(log)) == 3);
	CHECK(readable(s.pidfd));
	CHECK((fcntl(s.channel, F_GETFL) & O_NONBLOCK) != 0);
	CHECK((fcntl(s.log, F_GETFL) & O_NONBLOCK) != 0);
	CHECK((fcntl(s.channel, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK((fcntl(s.log, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK((fcntl(s.pidfd, F_GETFD) & FD_CLOEXEC) != 0);
	release(&s);
}

/* Every source on every number that is a target. */
static void
test_collisions(void)
{
	const char *const	 args[] = { "child", NULL };
	struct spawned		 s;
	struct stat		 st;
	char			 report[REPORT_MAX], want[256];
	int			 shift, rootfd, fill[8], n, i;

	test_begin("sources on descriptors 3 to 5");
	for (shift = 0; shift < 8; shift++) {
		/* shift descriptors before the root, 7 - shift closed ones */
		for (n = 0; n < shift; n++)
			fill[n] = open("/dev/zero", O_RDONLY);
		rootfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CHECK(fstat(rootfd, &st) == 0);
		for (i = 0; i < n; i += 2)
			close(fill[i]);
		CHECK(spawn(&s, self, args, rootfd) == 0);
		read_report(s.channel, report, sizeof(report));
		hide_stderr(report);
		expect_fds(want, sizeof(want), &st);
		CHECK(has_line(report, want));
		/* The caller's descriptor stays the caller's. */
		CHECK((fcntl(rootfd, F_GETFD) & FD_CLOEXEC) != 0);
		release(&s);
		close(rootfd);
		for (i = 1; i < n; i += 2)
			close(fill[i]);
	}

	test_begin("standard input closed in the parent");
	n = dup(STDIN_FILENO);
	close(STDIN_FILENO);
	CHECK(spawn(&s, self, args, -1) == 0);
	read_report(s.channel, report, sizeof(report));
	hide_stderr(report);
	expect_fds(want, sizeof(want), NULL);
	CHECK(has_line(report, want));
	release(&s);
	if (n != -1) {
		dup2(n, STDIN_FILENO);
		close(n);
	}
}

static void
test_failures_reported(void)
{
	const char	*many[64];
	struct spawned	 s;
	size_t		 i;
	int		 before;

	test_begin("a failed start: errno, nothing left");
	before = count_fds();
	errno = 0;
	CHECK(spawn(&s, "/nonexistent/program", NULL, -1) == -1);
	CHECK(errno == ENOENT);
	errno = 0;
	CHECK(spawn(&s, "/proc/self/status", NULL, -1) == -1);
	CHECK(errno == EACCES);
	errno = 0;
	CHECK(spawn(&s, "relative", NULL, -1) == -1);
	CHECK(errno == EINVAL);
	errno = 0;
	CHECK(spawn(&s, self, NULL, 12345) == -1);
	CHECK(errno == EBADF);
	for (i = 0; i < sizeof(many) / sizeof(many[0]) - 1; i++)
		many[i] = "x";
	many[i] = NULL;
	errno = 0;
	CHECK(spawn(&s, self, many, -1) == -1);
	CHECK(errno == E2BIG);
	CHECK(count_fds() == before);
	CHECK(no_children());
}

static void
test_leak(void)
{
	const char *const	 args[] = { "child", NULL };
	struct spawned		 s;
	char			 report[REPORT_MAX];
	int			 i, before;

	test_begin("200 starts and failures leave nothing behind");
	before = count_fds();
	for (i = 0; i < 200; i++) {
		CHECK(spawn(&s, self, args, -1) == 0);
		read_report(s.channel, report, sizeof(report));
		release(&s);
		CHECK(spawn(&s, "/nonexistent/program", NULL, -1) == -1);
	}
	CHECK(count_fds() == before);
	CHECK(no_children());
}

static void
test_pair(void)
{
	char	 buf[4];
	int	 sv[2], i;

	test_begin("socket pair: non-blocking, close-on-exec, both ends");
	CHECK(spawn_socketpair(sv) == 0);
	for (i = 0; i < 2; i++) {
		CHECK((fcntl(sv[i], F_GETFL) & O_NONBLOCK) != 0);
		CHECK((fcntl(sv[i], F_GETFD) & FD_CLOEXEC) != 0);
	}
	CHECK(write(sv[0], "abc", 3) == 3);
	CHECK(read(sv[1], buf, sizeof(buf)) == 3);
	close(sv[0]);
	close(sv[1]);
}

int
main(int argc, char *argv[])
{
	ssize_t	 n;

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return (child(argc, argv));

	if ((n = readlink("/proc/self/exe", self, sizeof(self) - 1)) == -1)
		return (1);
	self[n] = '\0';
	/* What the runner left open must not hide a collision. */
	closefrom(3);
	setenv("SPAWN_TEST", "must not arrive", 1);

	test_child();
	test_collisions();
	test_failures_reported();
	test_leak();
	test_pair();
	return (test_end());
}

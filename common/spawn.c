/* SPDX-License-Identifier: ISC */

/*
 * fork and exec one of our own binaries.  The parent's code; its input is
 * its own configuration.  Between fork and exec only calls that are safe
 * there are made.  An exec that fails is reported through a pipe that a
 * successful exec closes.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spawn.h"

#define SPAWN_ARGS_MAX	16
#define SPAWN_FD_HIGH	10	/* above every descriptor a child gets */

struct spawn_fds {
	int	 null;
	int	 channel;
	int	 log;
	int	 root;		/* -1: none */
	int	 err;		/* write end of the pipe */
};

static void	 spawn_child(const struct spawn_fds *, const char *,
		    char *const *) __attribute__((__noreturn__));
static int	 spawn_place_fds(const struct spawn_fds *, int *);
static void	 spawn_reset_signals(void);
static int	 spawn_argv(char **, const char *, const char *const *);
static void	 spawn_env(char **, size_t);
static int	 spawn_wait_exec(int, pid_t);
static int	 spawn_pidfd(pid_t);
static void	 spawn_kill(pid_t);
static void	 spawn_close(int *);

int
spawn_socketpair(int sv[2])
{
	return (socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv));
}

int
spawn(struct spawned *s, const char *path, const char *const *args, int rootfd)
{
	struct spawn_fds	 fds;
	char			*argv[SPAWN_ARGS_MAX + 2];
	sigset_t		 all, old;
	pid_t			 pid = -1;
	int			 channel[2] = { -1, -1 }, log[2] = { -1, -1 };
	int			 err[2] = { -1, -1 }, null = -1, pidfd = -1;
	int			 save;

	if (path[0] != '/') {
		errno = EINVAL;
		return (-1);
	}
	if (spawn_argv(argv, path, args) == -1)
		return (-1);

	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 ||
	    spawn_socketpair(channel) == -1 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0, log) == -1 || pipe2(err, O_CLOEXEC) == -1)
		goto fail;

	fds.null = null;
	fds.channel = channel[1];
	fds.log = log[1];
	fds.root = rootfd;
	fds.err = err[1];

	/* No handler of ours may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	if ((pid = fork()) == 0)
		spawn_child(&fds, path, argv);
	save = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = save;
	if (pid == -1)
		goto fail;

	spawn_close(&err[1]);
	if (spawn_wait_exec(err[0], pid) == -1) {
		pid = -1;
		goto fail;
	}
	/* The child is not reaped yet, so the number is still its own. */
	if ((pidfd = spawn_pidfd(pid)) == -1)
		goto fail;

	spawn_close(&err[0]);
	spawn_close(&null);
	spawn_close(&channel[1]);
	spawn_close(&log[1]);
	s->pid = pid;
	s->pidfd = pidfd;
	s->channel = channel[0];
	s->log = log[0];
	return (0);
fail:
	save = errno;
	if (pid != -1)
		spawn_kill(pid);
	spawn_close(&null);
	spawn_close(&channel[0]);
	spawn_close(&channel[1]);
	spawn_close(&log[0]);
	spawn_close(&log[1]);
	spawn_close(&err[0]);
	spawn_close(&err[1]);
	errno = save;
	return (-1);
}

static void
spawn_child(const struct spawn_fds *fds, const char *path, char *const *argv)
{
	char		*env[4];
	sigset_t	 none;
	int		 err = fds->err, save;

	if (spawn_place_fds(fds, &err) == -1)
		goto fail;
	umask(077);
	if (chdir("/") == -1)
		goto fail;
	spawn_env(env, sizeof(env) / sizeof(env[0]));
	spawn_reset_signals();
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) == -1)
		goto fail;
	execve(path, argv, env);
fail:
	save = errno;
	while (write(err, &save, sizeof(save)) == -1 && errno == EINTR)
		continue;
	_exit(127);
}

/*
 * Any source may sit on a number that is a target, so all of them move out
 * of the way first.  The pipe ends up on the first number that is not the
 * child's, and everything above is closed.
 */
static int
spawn_place_fds(const struct spawn_fds *fds, int *err)
{
	int	 null, channel, log, root = -1, first;

	if ((*err = fcntl(fds->err, F_DUPFD_CLOEXEC, SPAWN_FD_HIGH)) == -1) {
		*err = fds->err;
		return (-1);
	}
	if ((null = fcntl(fds->null, F_DUPFD_CLOEXEC, SPAWN_FD_HIGH)) == -1 ||
	    (channel = fcntl(fds->channel, F_DUPFD_CLOEXEC,
	    SPAWN_FD_HIGH)) == -1 ||
	    (log = fcntl(fds->log, F_DUPFD_CLOEXEC, SPAWN_FD_HIGH)) == -1)
		return (-1);
	if (fds->root != -1 && (root = fcntl(fds->root, F_DUPFD_CLOEXEC,
	    SPAWN_FD_HIGH)) == -1)
		return (-1);

	if (dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1)
		return (-1);
#ifndef SBX_DEV
	/* A sanitizer's report needs standard error. */
	if (dup2(null, STDERR_FILENO) == -1)
		return (-1);
#endif
	if (dup2(channel, SPAWN_CHANNEL_FD) == -1 ||
	    dup2(log, SPAWN_LOG_FD) == -1)
		return (-1);
	first = SPAWN_ROOT_FD;
	if (root != -1) {
		if (dup2(root, SPAWN_ROOT_FD) == -1)
			return (-1);
		first++;
	}
	if (dup3(*err, first, O_CLOEXEC) == -1)
		return (-1);
	*err = first;
	closefrom(first + 1);
	return (0);
}

/* exec keeps an ignored signal ignored: SIGPIPE, for one. */
static void
spawn_reset_signals(void)
{
	struct sigaction	 sa;
	int			 sig;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_DFL;
	for (sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &sa, NULL);
}

static int
spawn_argv(char **argv, const char *path, const char *const *args)
{
	const char	*name = strrchr(path, '/') + 1;
	size_t		 n;

	/* execve() takes char *const * for history's sake; it only reads. */
	memcpy(&argv[0], &name, sizeof(argv[0]));
	for (n = 0; args != NULL && args[n] != NULL; n++) {
		if (n == SPAWN_ARGS_MAX) {
			errno = E2BIG;
			return (-1);
		}
		memcpy(&argv[n + 1], &args[n], sizeof(argv[0]));
	}
	argv[n + 1] = NULL;
	return (0);
}

/* Empty, but that a sanitizer's options are for every process of a run. */
static void
spawn_env(char **env, size_t size)
{
	size_t	 n = 0;
#ifdef SBX_DEV
	static const char *const names[] = {
		"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="
	};
	size_t	 i, j;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (j = 0; environ != NULL && environ[j] != NULL &&
		    n + 1 < size; j++)
			if (strncmp(environ[j], names[i],
			    strlen(names[i])) == 0) {
				env[n++] = environ[j];
				break;
			}
#endif
	if (n < size)
		env[n] = NULL;
}

/* 0 once the exec has happened; -1 [errno] with the child reaped. */
static int
spawn_wait_exec(int fd, pid_t pid)
{
	ssize_t	 n;
	int	 error;

	while ((n = read(fd, &error, sizeof(error))) == -1 && errno == EINTR)
		continue;
	if (n == 0)
		return (0);
	if (n != (ssize_t)sizeof(error))
		error = EIO;
	spawn_kill(pid);
	errno = error;
	return (-1);
}

static int
spawn_pidfd(pid_t pid)
{
	/* Close-on-exec by itself. */
	return ((int)syscall(SYS_pidfd_open, pid, 0));
}

static void
spawn_kill(pid_t pid)
{
	int	 save = errno;

	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	errno = save;
}

void
spawn_undo(struct spawned *s)
{
	spawn_kill(s->pid);
	spawn_close(&s->pidfd);
	spawn_close(&s->channel);
	spawn_close(&s->log);
}

static void
spawn_close(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

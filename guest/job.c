/* SPDX-License-Identifier: ISC */

/*
 * Work in a forked child that reports through a socket: the start of a
 * process, the init of a container, set-up inside a VM.  Once the last copy
 * of the child's end is closed, by exec or exit, the work is done.  Messages
 * are packets of a type byte and data; only our own children can send them.
 */

#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define JOB_PID		'P'	/* the pid of the process being started */
#define JOB_TTY		'T'	/* with the descriptor of its terminal */
#define JOB_READY	'R'	/* done, though the socket stays open */
#define JOB_FAIL	'E'	/* text */

static int	job_status = -1;

static void	job_event(int, short, void *);
static void	job_end(struct guest *, const char *);
static void	job_send(int, uint8_t, const void *, size_t, int);
static ssize_t	job_recv(int, char *, size_t, int *);

/*
 * A signal between fork and here would run the parent's handler in the
 * child, and libevent's writes to a socket that both share.
 */
pid_t
guest_fork(int flags)
{
	struct sigaction	 sa;
	sigset_t		 all, old;
	pid_t			 pid;
	int			 i;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		memset(&sa, 0, sizeof(sa));
		sa.sa_handler = SIG_DFL;
		for (i = 1; i < NSIG; i++)
			(void)sigaction(i, &sa, NULL);
		sigemptyset(&old);
	}
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return (pid);
}

pid_t
guest_job_start(struct guest *g, int flags,
    void (*child)(struct guest *, int, void *),
    void (*done)(struct guest *, void *, const char *), void *arg)
{
	struct guest_job	*j = &g->g_job;
	pid_t			 pid;
	int			 sv[2], save;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		return (-1);
	if ((pid = guest_fork(flags)) == -1) {
		save = errno;
		close(sv[0]);
		close(sv[1]);
		errno = save;
		return (-1);
	}
	if (pid == 0) {
		close(sv[0]);
		child(g, sv[1], arg);
		_exit(0);
	}
	close(sv[1]);
	j->j_fd = sv[0];
	j->j_arg = arg;
	j->j_done = done;
	j->j_pid = NULL;
	j->j_tty = NULL;
	event_set(&j->j_ev, sv[0], EV_READ | EV_PERSIST, job_event, g);
	event_add(&j->j_ev, NULL);
	return (pid);
}

static void
job_event(int fd, short what, void *arg)
{
	struct guest		*g = arg;
	struct guest_job	*j = &g->g_job;
	char			 buf[1 + GUEST_ERRMAX];
	ssize_t			 n;
	pid_t			 pid;
	int			 passed = -1;

	(void)what;
	n = job_recv(fd, buf, sizeof(buf) - 1, &passed);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		job_end(g, NULL);
		return;
	}
	buf[n] = '\0';
	switch (buf[0]) {
	case JOB_PID:
		if (j->j_pid != NULL && n == 1 + (ssize_t)sizeof(pid)) {
			memcpy(&pid, buf + 1, sizeof(pid));
			j->j_pid(g, j->j_arg, pid);
			(void)send(fd, "g", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		}
		break;
	case JOB_TTY:
		if (j->j_tty != NULL && passed != -1) {
			j->j_tty(g, j->j_arg, passed);
			passed = -1;
		}
		break;
	case JOB_READY:
		job_end(g, NULL);
		break;
	case JOB_FAIL:
	default:
		job_end(g, buf + 1);
		break;
	}
	if (passed != -1)
		close(passed);
}

static void
job_end(struct guest *g, const char *err)
{
	struct guest_job	*j = &g->g_job;

	event_del(&j->j_ev);
	close(j->j_fd);
	j->j_fd = -1;
	j->j_done(g, j->j_arg, err);
}

static ssize_t
job_recv(int fd, char *buf, size_t size, int *passed)
{
	union {
		struct cmsghdr	 hdr;
		char		 buf[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct cmsghdr	*cmsg;
	struct msghdr	 msg;
	struct iovec	 iov;
	ssize_t		 n;

	memset(&msg, 0, sizeof(msg));
	iov.iov_base = buf;
	iov.iov_len = size;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = ctl.buf;
	msg.msg_controllen = sizeof(ctl.buf);
	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n <= 0)
		return (n);
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(passed, CMSG_DATA(cmsg), sizeof(int));
	return (n);
}

static void
job_send(int fd, uint8_t type, const void *data, size_t len, int pass)
{
	union {
		struct cmsghdr	 hdr;
		char		 buf[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct cmsghdr	*cmsg;
	struct msghdr	 msg;
	struct iovec	 iov;
	uint8_t		 buf[1 + GUEST_ERRMAX];

	buf[0] = type;
	if (len > GUEST_ERRMAX)
		len = GUEST_ERRMAX;
	if (len > 0)
		memcpy(buf + 1, data, len);
	memset(&msg, 0, sizeof(msg));
	iov.iov_base = buf;
	iov.iov_len = 1 + len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (pass != -1) {
		memset(&ctl, 0, sizeof(ctl));
		msg.msg_control = ctl.buf;
		msg.msg_controllen = sizeof(ctl.buf);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &pass, sizeof(int));
	}
	(void)sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Wait until the parent knows our pid; without a parent there is no work. */
void
guest_job_wait(int fd)
{
	char	c;

	if (recv(fd, &c, 1, 0) != 1)
		_exit(125);
}

void
guest_job_pid(int fd, pid_t pid)
{
	job_send(fd, JOB_PID, &pid, sizeof(pid), -1);
}

void
guest_job_tty(int fd, int tty)
{
	job_send(fd, JOB_TTY, NULL, 0, tty);
}

void
guest_job_ready(int fd)
{
	job_send(fd, JOB_READY, NULL, 0, -1);
}

void
guest_job_status(int status)
{
	job_status = status;
}

void
guest_job_fail(int fd, const char *fmt, ...)
{
	char	text[GUEST_ERRMAX];
	va_list	ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (job_status != -1) {
		(void)dprintf(STDERR_FILENO, "exec failed: %s\n", text);
		_exit(job_status);
	}
	job_send(fd, JOB_FAIL, text, strlen(text), -1);
	_exit(125);
}

/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl run: the shim's side of one running process.  stdin, stdout,
 * stderr and the signals of this program become those of the process.  One
 * poll loop; nothing in it blocks for long, so that a reader of our output
 * who stops does not keep us from noticing a signal.
 */

#include <sys/types.h>
#include <sys/signalfd.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "ctl.h"

#define UNANSWERED_MAX	32	/* signals sent and not answered */
#define STDIN_UNSENT	65536	/* bytes; then stdin is left alone */
#define END_MS		2000	/* longest wait for the daemon's close */
#define END_OF_INPUT	"\004\004"

struct loop {
	struct session	*s;
	const uint8_t	*out;		/* to be written to outfd */
	size_t		 outlen;
	int		 outfd;
	int		 sigfd;
	int		 stdin_open;
	int		 midline;	/* last input byte was no newline */
	int		 winch;		/* the size changed again meanwhile */
	int		 signals[UNANSWERED_MAX];	/* oldest first */
	size_t		 nsignals;
	int		 status;	/* -1: go on */
};

static void	 block_signals(struct loop *);
static int	 is_unanswered(const struct loop *, int);
static void	 send_signal(struct loop *, int);
static void	 send_size(struct loop *);
static void	 suspend(struct loop *);
static void	 on_signal(struct loop *);
static void	 on_answer(struct loop *, const struct ccp_event *);
static void	 on_events(struct loop *);
static void	 on_stdin(struct loop *);
static void	 write_out(struct loop *);
static void	 check(struct loop *, int);

/*
 * From here on signals are read from a descriptor.  Those that were ignored
 * when we started, as by nohup(1), stay ignored.
 */
static void
block_signals(struct loop *l)
{
	sigset_t	 set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	if (l->s->terminal)
		sigaddset(&set, SIGWINCH);
	/* to give back the terminal in good order before we stop */
	if (l->s->terminal && l->s->interactive)
		sigaddset(&set, SIGTSTP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1 ||
	    (l->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) == -1)
		ctl_errx("signals: %s", strerror(errno));
}

static void
check(struct loop *l, int r)
{
	if (r != -1)
		return;
	ctl_warnx("run: %s", ccp_error(l->s->shim));
	l->status = 1;
}

static int
is_unanswered(const struct loop *l, int signo)
{
	size_t	 i;

	for (i = 0; i < l->nsignals; i++)
		if (l->signals[i] == signo)
			return (1);
	return (0);
}

static void
send_size(struct loop *l)
{
	unsigned int	 rows, columns;

	if (l->s->terminal == 0 || term_size(&rows, &columns) == -1)
		return;
	if (is_unanswered(l, SIGWINCH) || l->nsignals == UNANSWERED_MAX) {
		l->winch = 1;
		return;
	}
	l->winch = 0;
	l->signals[l->nsignals++] = SIGWINCH;
	check(l, ccp_winsize(l->s->shim, rows, columns));
}

static void
send_signal(struct loop *l, int signo)
{
	/* asked twice, and the daemon has not even answered the first */
	if (is_unanswered(l, signo)) {
		if (signo == SIGUSR1 || signo == SIGUSR2)
			return;
		ctl_warnx("run: signal %d: no answer from the daemon", signo);
		l->status = 128 + signo;
		return;
	}
	if (l->nsignals == UNANSWERED_MAX)
		return;
	l->signals[l->nsignals++] = signo;
	check(l, ccp_signal(l->s->shim, signo));
}

static void
suspend(struct loop *l)
{
	int	 was_raw = term_is_raw();

	term_restore();
	raise(SIGSTOP);
	if (was_raw)
		term_raw();
	send_size(l);
}

static void
on_signal(struct loop *l)
{
	struct signalfd_siginfo	 info;

	while (l->status == -1 &&
	    read(l->sigfd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			send_size(l);
		else if (info.ssi_signo == SIGTSTP)
			suspend(l);
		else
			send_signal(l, (int)info.ssi_signo);
	}
}

/*
 * Some agents signal a container's first process only; with any other, the
 * wish to end the process can only end us.
 */
static void
on_answer(struct loop *l, const struct ccp_event *ev)
{
	int	 signo;

	if (l->nsignals == 0)
		return;
	signo = l->signals[0];
	l->nsignals--;
	memmove(l->signals, l->signals + 1,
	    l->nsignals * sizeof(l->signals[0]));
	if (ev->refused && signo != SIGWINCH) {
		ctl_warnx("run: signal %d: %s", signo,
		    ccp_error(l->s->shim));
		if (l->s->first == 0 && signo != SIGUSR1 && signo != SIGUSR2)
			l->status = 128 + signo;
	}
	if (l->winch)
		send_size(l);
}

static void
on_events(struct loop *l)
{
	struct ccp_event	 ev;
	int			 r;

	while (l->status == -1 && l->outlen == 0) {
		if ((r = ccp_read(l->s->shim, &ev)) == -1) {
			check(l, -1);
			return;
		}
		if (r == 0)
			return;
		switch (ev.type) {
		case CCP_STDOUT:
		case CCP_STDERR:
			l->outfd = ev.type == CCP_STDOUT ? STDOUT_FILENO :
			    STDERR_FILENO;
			l->out = ev.data;
			l->outlen = ev.len;
			break;
		case CCP_EXITED:
			l->s->exited = 1;
			l->status = ev.status;
			break;
		case CCP_ANSWER:
			on_answer(l, &ev);
			break;
		case CCP_CLOSED:
			ctl_warnx("run: the connection was closed before the "
			    "process ended");
			l->status = 1;
			break;
		}
	}
}

/*
 * A piece that poll(2) promises a pipe will take.  Our descriptors may be
 * shared with other programs and so are not made non-blocking.
 */
static void
write_out(struct loop *l)
{
	ssize_t	 n;

	n = write(l->outfd, l->out, l->outlen < PIPE_BUF ? l->outlen :
	    PIPE_BUF);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1 && errno == EPIPE) {
		l->status = 128 + SIGPIPE;
		return;
	}
	if (n == -1) {
		ctl_warnx("run: %s: %s", l->outfd == STDOUT_FILENO ?
		    "stdout" : "stderr", strerror(errno));
		l->status = 1;
		return;
	}
	l->out += n;
	l->outlen -= (size_t)n;
}

static void
on_stdin(struct loop *l)
{
	uint8_t	 buf[CCP_STDIN_MAX];
	ssize_t	 n;

	n = read(STDIN_FILENO, buf, sizeof(buf));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		l->midline = buf[n - 1] != '\n';
		check(l, ccp_stdin(l->s->shim, buf, (size_t)n));
		return;
	}
	/*
	 * A terminal has no end of file; what its line discipline makes into
	 * one takes two characters in the middle of a line.
	 */
	l->stdin_open = 0;
	if (l->s->terminal)
		check(l, ccp_stdin(l->s->shim, END_OF_INPUT,
		    l->midline ? 2 : 1));
	else
		check(l, ccp_stdin(l->s->shim, NULL, 0));
}

int
session_run(struct session *s)
{
	struct pollfd	 pfd[4];
	struct loop	 l;

	memset(&l, 0, sizeof(l));
	l.s = s;
	l.status = -1;
	block_signals(&l);
	send_size(&l);
	if (s->terminal && s->interactive)
		term_raw();
	l.stdin_open = s->interactive;
	if (s->interactive == 0)
		check(&l, ccp_stdin(s->shim, NULL, 0));

	while (l.status == -1) {
		on_events(&l);
		if (l.status != -1)
			break;
		pfd[0].fd = l.sigfd;
		pfd[0].events = POLLIN;
		pfd[1].fd = ccp_fd(s->shim);
		pfd[1].events = l.outlen == 0 ? POLLIN : 0;
		if (ccp_unsent(s->shim) > 0)
			pfd[1].events |= POLLOUT;
		pfd[2].fd = l.outlen > 0 ? l.outfd : -1;
		pfd[2].events = POLLOUT;
		pfd[3].fd = l.stdin_open &&
		    ccp_unsent(s->shim) < STDIN_UNSENT ? STDIN_FILENO : -1;
		pfd[3].events = POLLIN;
		/* a closed daemon is POLLHUP, asked for or not */
		if (pfd[1].events == 0)
			pfd[1].fd = -1;
		if (poll(pfd, 4, -1) == -1) {
			if (errno == EINTR)
				continue;
			ctl_errx("poll: %s", strerror(errno));
		}
		if (pfd[0].revents != 0)
			on_signal(&l);
		if (pfd[2].fd != -1 && pfd[2].revents != 0)
			write_out(&l);
		if (pfd[3].fd != -1 && pfd[3].revents != 0)
			on_stdin(&l);
		if (l.status == -1 && ccp_unsent(s->shim) > 0)
			check(&l, ccp_flush(s->shim));
	}
	term_restore();
	/* we leave first: nobody else will tell the process that input ends */
	if (s->exited == 0 && l.stdin_open && s->terminal == 0)
		ccp_stdin(s->shim, NULL, 0);
	session_end(s->shim);
	close(l.sigfd);
	return (l.status);
}

void
session_end(struct ccp *shim)
{
	struct ccp_event	 ev;
	struct pollfd		 pfd;
	struct timespec		 now, end;
	int			 r;

	if (ccp_disconnect_shim(shim) == -1)
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += END_MS / 1000;
	do {
		if ((r = ccp_read(shim, &ev)) == -1 ||
		    (r == 1 && ev.type == CCP_CLOSED))
			return;
		if (ccp_unsent(shim) > 0 && ccp_flush(shim) == -1)
			return;
		pfd.fd = ccp_fd(shim);
		pfd.events = POLLIN;
		if (ccp_unsent(shim) > 0)
			pfd.events |= POLLOUT;
		if (r == 0)
			poll(&pfd, 1, END_MS / 10);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
}

/* SPDX-License-Identifier: ISC */

/*
 * The processes that the benchmark starts: the daemon, scripted agents with
 * a control and an I/O channel, and a relay that does nothing but read from
 * one socket and write to another.  The agent is the same behind both, and
 * trusts what it is sent.
 */

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "client.h"
#include "hyper.h"

struct agent {
	int		 ctl;
	int		 io;
	uint64_t	 seq;		/* of the process started last */
	size_t		 sink;		/* bytes still to be read for it */
	size_t		 inlen;
	uint8_t		 in[PEER_READ];	/* of the control channel */
	uint8_t		 buf[PEER_READ];
};

static pid_t	 peer_fork(int, int);
static int	 peer_listen(char *, size_t, const char *, const char *,
		    const char *);
static int	 peer_accept(int);
static void	 agent(int, int);
static void	 agent_ctl(struct agent *);
static void	 agent_command(struct agent *, uint32_t, const char *);
static void	 agent_io(struct agent *);
static void	 agent_flood(struct agent *, size_t, size_t);
static void	 relay(int, int);
static int	 remove_one(const char *, const struct stat *, int,
		    struct FTW *);

void
peer_write(int fd, const void *p, size_t len)
{
	const char	*s = p;
	ssize_t		 n;

	while (len > 0) {
		n = send(fd, s, len, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			err(1, "send");
		s += n;
		len -= (size_t)n;
	}
}

void
peer_read(int fd, void *p, size_t len)
{
	char	*s = p;
	ssize_t	 n;

	while (len > 0) {
		n = read(fd, s, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			err(1, "read");
		if (n == 0)
			errx(1, "connection closed, %zu bytes missing", len);
		s += n;
		len -= (size_t)n;
	}
}

/*
 * The child keeps these two descriptors only: those of connections to the
 * daemon would hold them open.
 */
static pid_t
peer_fork(int a, int b)
{
	const unsigned int	 lo = (unsigned int)(a < b ? a : b);
	const unsigned int	 hi = (unsigned int)(a < b ? b : a);
	const pid_t		 us = getpid();
	pid_t			 pid;

	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid > 0)
		return (pid);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != us)
		_exit(1);
	if (lo > 3)
		close_range(3, lo - 1, 0);
	if (lo + 1 < hi)
		close_range(lo + 1, hi - 1, 0);
	close_range(hi + 1, ~0U, 0);
	return (0);
}

static int
peer_listen(char *path, size_t size, const char *dir, const char *id,
    const char *what)
{
	struct sockaddr_un	 sun;
	int			 fd;

	snprintf(path, size, "%s/%s.%s", dir, id, what);
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		errx(1, "%s: path too long", path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 8) == -1)
		err(1, "%s", path);
	return (fd);
}

static int
peer_accept(int listener)
{
	int	 fd;

	if ((fd = accept(listener, NULL, NULL)) == -1)
		err(1, "accept");
	close(listener);
	return (fd);
}

void
peer_vm_start(struct peer_vm *vm, const char *dir, const char *id)
{
	int	 ctl, io;

	strlcpy(vm->id, id, sizeof(vm->id));
	ctl = peer_listen(vm->ctl, sizeof(vm->ctl), dir, id, "ctl");
	io = peer_listen(vm->io, sizeof(vm->io), dir, id, "io");
	if ((vm->agent = peer_fork(ctl, io)) == 0) {
		ctl = peer_accept(ctl);
		agent(ctl, peer_accept(io));
	}
	close(ctl);
	close(io);
}

void
peer_vm_stop(struct peer_vm *vm)
{
	kill(vm->agent, SIGKILL);
	waitpid(vm->agent, NULL, 0);
	unlink(vm->ctl);
	unlink(vm->io);
}

void
peer_relay_start(struct peer_relay *r)
{
	uint8_t	 ready[HYP_CTL_HEADER_SIZE];
	int	 near[2], far[2], ctl[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, near) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, far) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, ctl) == -1)
		err(1, "socketpair");
	if (peer_fork(ctl[1], far[1]) == 0)
		agent(ctl[1], far[1]);
	if (peer_fork(near[1], far[0]) == 0)
		relay(near[1], far[0]);
	if (peer_fork(near[1], far[0]) == 0)
		relay(far[0], near[1]);
	close(ctl[1]);
	close(far[0]);
	close(far[1]);
	close(near[1]);
	r->ctl = ctl[0];
	r->io = near[0];
	peer_read(r->ctl, ready, sizeof(ready));
}

static void
relay(int from, int to)
{
	static uint8_t	 buf[PEER_READ];
	ssize_t		 n, done, m;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		for (done = 0; done < n; done += m)
			if ((m = write(to, buf + done,
			    (size_t)(n - done))) == -1)
				_exit(0);
	_exit(0);
}

static void
agent(int ctl, int io)
{
	static struct agent	 a;
	struct pollfd		 pfd[2];
	uint8_t			 ready[HYP_CTL_HEADER_SIZE];

	a.ctl = ctl;
	a.io = io;
	hyp_ctl_encode(ready, HYP_READY, 0);
	peer_write(ctl, ready, sizeof(ready));
	pfd[0].fd = ctl;
	pfd[1].fd = io;
	pfd[0].events = pfd[1].events = POLLIN;
	for (;;) {
		if (poll(pfd, 2, -1) == -1)
			err(1, "poll");
		if (pfd[0].revents != 0)
			agent_ctl(&a);
		if (pfd[1].revents != 0)
			agent_io(&a);
	}
}

/* One read, and all messages that are complete with it. */
static void
agent_ctl(struct agent *a)
{
	char		 text[HYP_MESSAGE_MAX + 1];
	size_t		 pos = 0, len;
	ssize_t		 n;
	uint32_t	 code;

	n = read(a->ctl, a->in + a->inlen, sizeof(a->in) - a->inlen);
	if (n <= 0)
		_exit(0);
	a->inlen += (size_t)n;
	while (a->inlen - pos >= HYP_CTL_HEADER_SIZE) {
		if (hyp_ctl_decode(a->in + pos, &code, &len) == -1 ||
		    len >= sizeof(text))
			errx(1, "agent: message too long");
		if (a->inlen - pos < HYP_CTL_HEADER_SIZE + len)
			break;
		memcpy(text, a->in + pos + HYP_CTL_HEADER_SIZE, len);
		text[len] = '\0';
		pos += HYP_CTL_HEADER_SIZE + len;
		agent_command(a, code, text);
	}
	a->inlen -= pos;
	memmove(a->in, a->in + pos, a->inlen);
}

static void
agent_command(struct agent *a, uint32_t code, const char *text)
{
	const char	*p;
	uint8_t		 ack[HYP_CTL_HEADER_SIZE];
	size_t		 size, count;
	unsigned int	 op;

	hyp_ctl_encode(ack, HYP_ACK, 0);
	peer_write(a->ctl, ack, sizeof(ack));
	if (code == HYP_NEWCONTAINER) {
		if ((p = strstr(text, "\"stdio\":")) == NULL)
			errx(1, "agent: a process without stdio");
		a->seq = strtoull(p + strlen("\"stdio\":"), NULL, 10);
	} else if (code == HYP_WRITEFILE) {
		if (sscanf(text, "[%u,%zu,%zu]", &op, &size, &count) != 3)
			errx(1, "agent: told nonsense");
		if (op == PEER_FLOOD)
			agent_flood(a, size, count);
		else
			a->sink = count * (PEER_HEADER + size);
	}
}

/* A write for each message, as agents do. */
static void
agent_flood(struct agent *a, size_t size, size_t count)
{
	if (PEER_HEADER + size > sizeof(a->buf))
		errx(1, "agent: told to write too much at once");
	hyp_tty_encode(a->buf, a->seq, size);
	memset(a->buf + PEER_HEADER, 'x', size);
	while (count-- > 0)
		peer_write(a->io, a->buf, PEER_HEADER + size);
}

static void
agent_io(struct agent *a)
{
	ssize_t	 n;

	if ((n = read(a->io, a->buf, sizeof(a->buf))) <= 0)
		_exit(0);
	if (a->sink == 0) {
		peer_write(a->io, a->buf, (size_t)n);
		return;
	}
	if ((size_t)n > a->sink)
		errx(1, "agent: more than was announced");
	a->sink -= (size_t)n;
	if (a->sink == 0)
		agent_flood(a, 1, 1);
}

void
proxy_start(struct proxy *px, const char *build, const char *dir)
{
	struct ccp	*h;
	char		 path[4096], log[128];
	pid_t		 us = getpid();
	int		 fd;

	snprintf(px->path, sizeof(px->path), "%s/proxy.sock", dir);
	snprintf(path, sizeof(path), "%s/cc-proxy", build);
	snprintf(log, sizeof(log), "%s/log", dir);
	/* a frontend that is about to end may still listen there */
	unlink(px->path);
	if ((px->pid = fork()) == -1)
		err(1, "fork");
	if (px->pid == 0) {
		unsetenv("LISTEN_FDS");
		unsetenv("LISTEN_PID");
		unsetenv("CC_PROXY_LOG_LEVEL");
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1 ||
		    getppid() != us)
			_exit(1);
		if ((fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600)) ==
		    -1 || dup2(fd, STDERR_FILENO) == -1)
			err(1, "%s", log);
		closefrom(3);
		execl(path, "cc-proxy", "-socket-path", px->path, "-log",
		    "error", "-libexec", build, "-ksm", "initial",
		    (char *)NULL);
		err(1, "%s", path);
	}
	if ((h = ccp_new()) == NULL)
		err(1, NULL);
	while (ccp_connect(h, px->path, 200) == -1)
		if (waitpid(px->pid, NULL, WNOHANG) != 0)
			errx(1, "cc-proxy ended: %s", ccp_error(h));
	ccp_free(h);
}

void
proxy_stop(struct proxy *px)
{
	kill(px->pid, SIGTERM);
	if (waitpid(px->pid, NULL, 0) == -1)
		err(1, "waitpid");
}

struct ccp *
proxy_client(const struct proxy *px)
{
	struct ccp	*h;

	if ((h = ccp_new()) == NULL)
		err(1, NULL);
	if (ccp_connect(h, px->path, 0) == -1)
		errx(1, "%s", ccp_error(h));
	return (h);
}

pid_t
proxy_child(const struct proxy *px, const char *comm)
{
	struct dirent	*de;
	FILE		*f;
	DIR		*d;
	char		 path[300], name[32];
	int		 pid, ppid, found = -1;

	if ((d = opendir("/proc")) == NULL)
		err(1, "/proc");
	while (found == -1 && (de = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)de->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", de->d_name);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		if (fscanf(f, "%d (%31[^)]) %*c %d", &pid, name,
		    &ppid) == 3 && ppid == px->pid && strcmp(name, comm) == 0)
			found = pid;
		fclose(f);
	}
	closedir(d);
	if (found == -1)
		errx(1, "%s does not run", comm);
	return (found);
}

long
proxy_memory(pid_t pid)
{
	FILE	*f;
	char	 path[64], line[256];
	long	 kib, sum = -1;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	if ((f = fopen(path, "r")) == NULL)
		return (-1);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Private_Clean: %ld kB", &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %ld kB", &kib) == 1)
			sum = sum == -1 ? kib : sum + kib;
	fclose(f);
	return (sum);
}

void
proxy_process(struct ccp *cmd, const char *token, size_t n)
{
	char	 text[100];

	snprintf(text, sizeof(text), "{\"id\":\"c%zu\",\"process\":"
	    "{\"args\":[\"sh\"],\"terminal\":false}}", n);
	if (ccp_hyper(cmd, "newcontainer", &token, 1, text, NULL,
	    NULL) == -1)
		errx(1, "newcontainer: %s", ccp_error(cmd));
}

int
proxy_detach(struct ccp *h)
{
	int	 fd;

	if ((fd = dup(ccp_fd(h))) == -1 || fcntl(fd, F_SETFL, 0) == -1)
		err(1, "a client's connection");
	ccp_free(h);
	return (fd);
}

void
proxy_clean(const char *dir, int show)
{
	FILE	*f;
	char	 line[1024];

	snprintf(line, sizeof(line), "%s/log", dir);
	if (show && (f = fopen(line, "r")) != NULL) {
		while (fgets(line, sizeof(line), f) != NULL)
			fputs(line, stderr);
		fclose(f);
	}
	if (nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == -1)
		warn("%s", dir);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

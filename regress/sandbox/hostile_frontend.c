/* SPDX-License-Identifier: ISC */

/*
 * A frontend that was taken over: it stands in for ccp-frontend and says to
 * the parent whatever a test has it say.  It finds the test at the socket
 * "puppet" beside its own binary and takes one line of text for a command:
 *	accept KIND		a connection of that enum msg_listener
 *	send TYPE HEX FD [N]	a message, payload in hex ("-": none), N times
 *	flush			until all of them are written
 *	flood TYPE HEX FD	as many as the parent takes; vmids count up
 *	quit
 * FD is what goes along: none, conn0, conn1, conn2 (the last accepted of that
 * kind), listen0, listen1, listen2, channel, log, engine, pair, dgram, stream,
 * inet, pipe, null or file.  Each command is answered with "ok ..." or
 * "no ..."; each message of the parent is told as "msg NAME HEX".
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"
#include "msg.h"
#include "spawn.h"

#define COMMAND_MAX	(2 * MAX_IMSGSIZE + 256)

static struct imsgbuf	 channel;
static int		 listeners[MSG_LISTEN_MAX] = { -1, -1, -1 };
static int		 conns[MSG_LISTEN_MAX] = { -1, -1, -1 };
static int		 engine = -1;
static int		 puppet;

static void	connect_puppet(void);
static void	tell(const char *, ...)
		    __attribute__((__format__(printf, 1, 2)));
static size_t	unhex(const char *, uint8_t *, size_t);
static int	descriptor(const char *);
static int	send_one(uint32_t, const uint8_t *, size_t, const char *);
static void	flood(uint32_t, uint8_t *, size_t, const char *);
static void	messages(void);
static void	heard(struct imsg *);
static void	command(char *);

static void
connect_puppet(void)
{
	struct sockaddr_un	 sun;
	char			*slash;
	ssize_t			 n;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	n = readlink("/proc/self/exe", sun.sun_path,
	    sizeof(sun.sun_path) - sizeof("puppet"));
	if (n == -1 || (slash = strrchr(sun.sun_path, '/')) == NULL)
		_exit(3);
	strcpy(slash + 1, "puppet");
	puppet = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (puppet == -1 ||
	    connect(puppet, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		_exit(4);
}

static void
tell(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	if (vdprintf(puppet, fmt, ap) < 0)
		_exit(5);
	va_end(ap);
}

static size_t
unhex(const char *s, uint8_t *p, size_t size)
{
	unsigned int	 v;
	size_t		 n;

	if (strcmp(s, "-") == 0)
		return (0);
	for (n = 0; n < size && sscanf(s + 2 * n, "%2x", &v) == 1; n++)
		p[n] = (uint8_t)v;
	return (n);
}

/* A new descriptor for imsg to take; -1: none. */
static int
descriptor(const char *name)
{
	int	 sv[2];

	if (strncmp(name, "conn", 4) == 0)
		return (dup(conns[name[4] - '0']));
	if (strncmp(name, "listen", 6) == 0)
		return (dup(listeners[name[6] - '0']));
	if (strcmp(name, "channel") == 0)
		return (dup(SPAWN_CHANNEL_FD));
	if (strcmp(name, "log") == 0)
		return (dup(SPAWN_LOG_FD));
	if (strcmp(name, "engine") == 0)
		return (dup(engine));
	if (strcmp(name, "null") == 0)
		return (open("/dev/null", O_RDONLY));
	if (strcmp(name, "file") == 0)
		return (open("/proc/self/exe", O_RDONLY));
	if (strcmp(name, "inet") == 0)
		return (socket(AF_INET, SOCK_STREAM, 0));
	if (strcmp(name, "dgram") == 0)
		return (socket(AF_UNIX, SOCK_DGRAM, 0));
	if (strcmp(name, "stream") == 0)
		return (socket(AF_UNIX, SOCK_STREAM, 0));
	if (strcmp(name, "pair") == 0) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1)
			return (-1);
		close(sv[1]);
		return (sv[0]);
	}
	if (strcmp(name, "pipe") == 0) {
		if (pipe(sv) == -1)
			return (-1);
		close(sv[1]);
		return (sv[0]);
	}
	return (-1);
}

static int
send_one(uint32_t type, const uint8_t *p, size_t len, const char *what)
{
	int	 fd;

	fd = descriptor(what);
	if (fd == -1 && strcmp(what, "none") != 0)
		return (-1);
	return (imsg_compose(&channel, type, 0, 0, fd, p, len) == 1 ? 0 : -1);
}

/* Until the parent has not taken one for a second; what it says is lost. */
static void
flood(uint32_t type, uint8_t *p, size_t len, const char *what)
{
	struct pollfd	 pfd = { SPAWN_CHANNEL_FD, POLLOUT, 0 };
	uint32_t	 n;

	for (n = 1; n <= 200000; n++) {
		if (len >= 4) {
			p[0] = (uint8_t)(n >> 24 | 0x80);
			p[1] = (uint8_t)(n >> 16);
			p[2] = (uint8_t)(n >> 8);
			p[3] = (uint8_t)n;
		}
		if (send_one(type, p, len, what) == -1)
			break;
		while (imsgbuf_queuelen(&channel) > 0) {
			if (imsgbuf_write(&channel) == -1) {
				tell("no %u %s\n", n, strerror(errno));
				return;
			}
			if (imsgbuf_queuelen(&channel) > 0 &&
			    poll(&pfd, 1, 1000) == 0) {
				tell("ok %u\n", n);
				return;
			}
		}
	}
	tell("ok %u\n", n);
}

static void
heard(struct imsg *imsg)
{
	struct ibuf	 b;
	const uint8_t	*p;
	char		 hex[2 * MAX_IMSGSIZE + 1];
	size_t		 i, n;
	int		 fd;

	fd = imsg_get_fd(imsg);
	n = imsg_get_len(imsg);
	if (n > 0 && imsg_get_ibuf(imsg, &b) == -1)
		_exit(6);
	p = n > 0 ? ibuf_data(&b) : NULL;
	hex[0] = '\0';
	for (i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", p[i]);
	tell("msg %s %s\n", msg_name(imsg_get_type(imsg)), n > 0 ? hex : "-");
	if (imsg_get_type(imsg) == MSG_SETUP_LISTEN && n == 1 &&
	    p[0] < MSG_LISTEN_MAX)
		listeners[p[0]] = fd;
	else if (fd != -1)
		engine = fd;
}

static void
messages(void)
{
	struct imsg	 imsg;
	int		 n;

	n = imsgbuf_read(&channel);
	while (imsgbuf_get(&channel, &imsg) == 1) {
		heard(&imsg);
		imsg_free(&imsg);
	}
	if (n != 1)
		_exit(0);
}

static void
command(char *line)
{
	static uint8_t	 p[MAX_IMSGSIZE];
	char		*word[5] = { NULL, NULL, NULL, NULL, NULL };
	size_t		 len;
	int		 i, n;

	for (n = 0; n < 5 && (word[n] = strsep(&line, " ")) != NULL; n++)
		;
	if (strcmp(word[0], "quit") == 0)
		_exit(0);
	if (strcmp(word[0], "accept") == 0) {
		i = atoi(word[1]);
		do {	/* it does not block */
			conns[i] = accept(listeners[i], NULL, NULL);
		} while (conns[i] == -1 && errno == EAGAIN);
		tell("%s\n", conns[i] == -1 ? strerror(errno) : "ok");
		return;
	}
	if (strcmp(word[0], "flush") == 0) {
		n = imsgbuf_flush(&channel);
		tell("%s\n", n == -1 ? strerror(errno) : "ok");
		return;
	}
	len = unhex(word[2], p, sizeof(p));
	if (strcmp(word[0], "flood") == 0) {
		flood((uint32_t)strtoul(word[1], NULL, 0), p, len, word[3]);
		return;
	}
	n = word[4] == NULL ? 1 : atoi(word[4]);
	for (i = 0; i < n; i++)
		if (send_one((uint32_t)strtoul(word[1], NULL, 0), p, len,
		    word[3]) == -1)
			break;
	(void)imsgbuf_write(&channel);
	tell(i == n ? "ok\n" : "no %s\n", strerror(errno));
}

int
main(int argc, char *argv[])
{
	struct pollfd	 pfd[2];
	static char	 line[COMMAND_MAX];
	uint8_t		 layers[4] = { 0, 0, 0, 0 };
	size_t		 len = 0;
	ssize_t		 n;
	char		*end;

	if (argc < 3)
		return (2);
	connect_puppet();
	if (geteuid() == 0 && (setgroups(0, NULL) == -1 ||
	    setresgid((gid_t)atoi(argv[2]), (gid_t)atoi(argv[2]),
	    (gid_t)atoi(argv[2])) == -1 || setresuid((uid_t)atoi(argv[1]),
	    (uid_t)atoi(argv[1]), (uid_t)atoi(argv[1])) == -1))
		return (7);
	if (imsgbuf_init(&channel, SPAWN_CHANNEL_FD) == -1)
		return (8);
	imsgbuf_allow_fdpass(&channel);
	imsg_compose(&channel, MSG_SETUP_READY, 0, 0, -1, layers, 4);
	for (;;) {
		pfd[0].fd = SPAWN_CHANNEL_FD;
		pfd[0].events = POLLIN;
		if (imsgbuf_queuelen(&channel) > 0)
			pfd[0].events |= POLLOUT;
		pfd[1].fd = puppet;
		pfd[1].events = POLLIN;
		if (poll(pfd, 2, -1) == -1)
			continue;
		if (pfd[0].revents & POLLOUT && imsgbuf_write(&channel) == -1)
			return (9);
		if (pfd[0].revents & (POLLIN | POLLHUP))
			messages();
		if (pfd[1].revents == 0)
			continue;
		n = read(puppet, line + len, sizeof(line) - 1 - len);
		if (n <= 0)
			return (0);
		len += (size_t)n;
		line[len] = '\0';
		while ((end = strchr(line, '\n')) != NULL) {
			*end = '\0';
			command(line);
			len -= (size_t)(end + 1 - line);
			memmove(line, end + 1, len + 1);
		}
	}
}

/* SPDX-License-Identifier: ISC */

/*
 * An engine that was taken over: it stands in for ccp-vmengine and does what
 * a test tells it, for every VM whose id begins with "hostile".  For others
 * it executes ccp-vmengine.real beside it, which finds its channel as the
 * parent left it.
 *
 * It finds the test at the socket "puppet" beside its own binary, says
 * "hello ID PID" and takes one line of text for a command:
 *	table			every message: "NAME NUMBER MIN MAX FD; ..."
 *	setup			take what the parent sends, to VM_COMMIT
 *	raw CHANNEL HEX N	these bytes with N descriptors
 *	flood CHANNEL HEX N MS	these bytes N times, or until nobody has taken
 *				any for MS (-1: for ever); how many times.  The
 *				next flood goes on where one ended.
 *	wait NAME [CHANNEL]	until the frontend sends that message, or the
 *				parent
 *	close CHANNEL
 *	exit STATUS
 * CHANNEL is parent, peer or log.  Each command is answered with "ok ..." or
 * "no ERRNO ...".
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"
#include "msg.h"
#include "spawn.h"

#define BYTES_MAX	(4 * MAX_IMSGSIZE)
#define COMMAND_MAX	(2 * BYTES_MAX + 256)
#define FDS_MAX		16
#define TYPE_MAX	0xffff

struct channel {
	const char	*name;
	int		 fd;
	struct imsgbuf	 in;
};

static struct channel	 channels[] = {
	{ .name = "parent", .fd = SPAWN_CHANNEL_FD },
	{ .name = "log", .fd = SPAWN_LOG_FD },
	{ .name = "peer", .fd = -1 }
};
#define PARENT		(&channels[0])
#define PEER		(&channels[2])

static int		 puppet;
static uint8_t		 bytes[BYTES_MAX];
static char		 hex[2 * MAX_IMSGSIZE + 1];
static char		 here[256];	/* directory of this program */

static void	tell(const char *, ...)
		    __attribute__((__format__(printf, 1, 2)));

static void
tell(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	if (vdprintf(puppet, fmt, ap) < 0)
		_exit(5);
	va_end(ap);
}

static void
find_here(void)
{
	char	*slash;
	ssize_t	 n;

	n = readlink("/proc/self/exe", here, sizeof(here) - 1);
	if (n <= 0)
		_exit(3);
	here[n] = '\0';
	if ((slash = strrchr(here, '/')) != NULL)
		*slash = '\0';
}

/* The id of the VM from the first message, which stays where it is. */
static void
peek_id(char *id, size_t size)
{
	struct msg_vm_conf	 conf;
	struct imsg_hdr		 hdr;
	struct ibuf		 b;
	struct pollfd		 pfd = { SPAWN_CHANNEL_FD, POLLIN, 0 };
	ssize_t			 n;

	for (;;) {
		(void)poll(&pfd, 1, -1);
		n = recv(SPAWN_CHANNEL_FD, bytes, MAX_IMSGSIZE, MSG_PEEK);
		if (n == 0)
			_exit(0);
		if (n < (ssize_t)sizeof(hdr))
			continue;
		memcpy(&hdr, bytes, sizeof(hdr));
		if (n >= (ssize_t)hdr.len)
			break;
	}
	ibuf_from_buffer(&b, bytes + sizeof(hdr), hdr.len - sizeof(hdr));
	if (hdr.type != MSG_VM_CONF || msg_vm_conf_decode(&b, &conf) == -1)
		_exit(4);
	strlcpy(id, conf.id, size);
}

static void
connect_puppet(void)
{
	struct sockaddr_un	 sun;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%.90s/puppet",
	    here) >= (int)sizeof(sun.sun_path))
		_exit(6);
	puppet = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (puppet == -1 ||
	    connect(puppet, (const struct sockaddr *)&sun, sizeof(sun)) == -1)
		_exit(7);
}

static size_t
unhex(const char *s)
{
	unsigned int	 v;
	size_t		 n, len = s == NULL ? 0 : strlen(s) / 2;

	for (n = 0; n < len && n < sizeof(bytes); n++) {
		if (sscanf(s + 2 * n, "%2x", &v) != 1)
			_exit(8);
		bytes[n] = (uint8_t)v;
	}
	return (n);
}

static const char *
tohex(struct imsg *imsg)
{
	struct ibuf	 b;
	size_t		 i, n = imsg_get_len(imsg);
	const uint8_t	*p;

	if (n == 0)
		return ("-");
	if (imsg_get_ibuf(imsg, &b) == -1)
		_exit(9);
	p = ibuf_data(&b);
	for (i = 0; i < n; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", p[i]);
	return (hex);
}

static void
open_channel(struct channel *ch, int fd)
{
	ch->fd = fd;
	if (imsgbuf_init(&ch->in, fd) == -1)
		_exit(10);
	imsgbuf_allow_fdpass(&ch->in);
}

static struct channel *
find_channel(const char *name)
{
	size_t	 i;

	for (i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
		if (strcmp(name, channels[i].name) == 0 &&
		    channels[i].fd != -1)
			return (&channels[i]);
	_exit(11);
}

/* 1: imsg is the next; 0: the channel ended. */
static int
next(struct channel *ch, struct imsg *imsg)
{
	struct pollfd	 pfd = { ch->fd, POLLIN, 0 };
	int		 n;

	while ((n = imsgbuf_get(&ch->in, imsg)) == 0) {
		(void)poll(&pfd, 1, -1);
		if (imsgbuf_read(&ch->in) != 1)
			return (0);
	}
	return (n == 1);
}

static void
do_table(void)
{
	const struct msg_info	*mi;
	uint32_t		 type;

	tell("ok ");
	for (type = 0; type < TYPE_MAX; type++)
		if ((mi = msg_info(type)) != NULL)
			tell("%s %u %zu %zu %d; ", mi->name, mi->type, mi->min,
			    mi->max, mi->fd == MSG_FD);
	tell("\n");
}

/* What comes for the VM is kept open; only the frontend's end is used. */
static void
do_setup(void)
{
	struct imsg	 imsg;
	uint32_t	 type;
	int		 fd;

	do {
		if (!next(PARENT, &imsg))
			_exit(0);
		type = imsg_get_type(&imsg);
		fd = imsg_get_fd(&imsg);
		if (type == MSG_VM_PEER)
			open_channel(PEER, fd);
		imsg_free(&imsg);
	} while (type != MSG_VM_COMMIT);
	tell("ok\n");
}

static void
do_wait(struct channel *ch, const char *name)
{
	struct imsg	 imsg;
	int		 found = 0;

	while (!found) {
		if (!next(ch, &imsg))
			break;
		found = strcmp(msg_name(imsg_get_type(&imsg)), name) == 0;
		if (found)
			tell("ok %s\n", tohex(&imsg));
		/* A client that came along must not be kept alive. */
		imsg_free(&imsg);
	}
	if (!found)
		tell("no %d\n", ECONNRESET);
}

/*
 * As much of len bytes as somebody takes within ms; -1 [errno] if that is
 * nothing.  The descriptors go with the first byte.
 */
static ssize_t
write_some(int fd, uint8_t *p, size_t len, int nfds, int ms)
{
	union {
		struct cmsghdr	 hdr;
		char		 buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct cmsghdr	*cmsg = &control.hdr;
	struct pollfd	 pfd = { fd, POLLOUT, 0 };
	struct msghdr	 msg;
	struct iovec	 iov = { p, len };
	ssize_t		 n;
	int		 i, null, fds[FDS_MAX];

	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	null = -1;
	if (nfds > 0) {
		if (nfds > FDS_MAX ||
		    (null = open("/dev/null", O_RDONLY | O_CLOEXEC)) == -1)
			_exit(12);
		for (i = 0; i < nfds; i++)
			fds[i] = null;
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		memset(&control, 0, sizeof(control));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, (size_t)nfds * sizeof(int));
	}
	while ((n = sendmsg(fd, &msg, MSG_NOSIGNAL)) == -1 &&
	    errno == EAGAIN)
		if (poll(&pfd, 1, ms) == 0) {
			errno = EAGAIN;
			break;
		}
	if (null != -1)
		(void)close(null);
	return (n);
}

static void
do_raw(struct channel *ch, size_t len, int nfds)
{
	ssize_t	 n;
	size_t	 off;

	for (off = 0; off < len; off += (size_t)n)
		if ((n = write_some(ch->fd, bytes + off, len - off,
		    off == 0 ? nfds : 0, -1)) == -1) {
			tell("no %d\n", errno);
			return;
		}
	tell("ok\n");
}

static void
do_flood(struct channel *ch, size_t len, int times, int ms)
{
	static size_t	 off;	/* of the message under way */
	ssize_t		 n;
	int		 i = 0;

	while (i < times) {
		if ((n = write_some(ch->fd, bytes + off, len - off, 0,
		    ms)) == -1) {
			tell("no %d %d\n", errno, i);
			return;
		}
		if ((off += (size_t)n) == len) {
			off = 0;
			i++;
		}
	}
	tell("ok %d\n", i);
}

static void
command(char *line)
{
	struct channel	*ch;
	char		*word[5] = { NULL, NULL, NULL, NULL, NULL };
	int		 n;

	for (n = 0; n < 5 && (word[n] = strsep(&line, " ")) != NULL; n++)
		continue;
	if (n < 2)
		word[1] = word[0];
	if (strcmp(word[0], "table") == 0)
		do_table();
	else if (strcmp(word[0], "setup") == 0)
		do_setup();
	else if (strcmp(word[0], "wait") == 0)
		do_wait(word[2] == NULL ? PEER : find_channel(word[2]),
		    word[1]);
	else if (strcmp(word[0], "raw") == 0)
		do_raw(find_channel(word[1]), unhex(word[2]), atoi(word[3]));
	else if (strcmp(word[0], "flood") == 0)
		do_flood(find_channel(word[1]), unhex(word[2]),
		    atoi(word[3]), atoi(word[4]));
	else if (strcmp(word[0], "close") == 0) {
		ch = find_channel(word[1]);
		(void)close(ch->fd);
		ch->fd = -1;
		tell("ok\n");
	} else if (strcmp(word[0], "exit") == 0)
		_exit(atoi(word[1]));
	else
		_exit(13);
}

static void
be_real(char *argv[])
{
	char	 path[300], *env[] = { NULL };

	(void)snprintf(path, sizeof(path), "%s/ccp-vmengine.real", here);
	(void)execve(path, argv, env);
	_exit(14);
}

int
main(int argc, char *argv[])
{
	static char	 line[COMMAND_MAX];
	char		 id[MSG_ID_MAX + 1], *end;
	size_t		 len = 0;
	ssize_t		 n;

	if (argc != 5)
		return (2);
	find_here();
	peek_id(id, sizeof(id));
	if (strncmp(id, "hostile", 7) != 0)
		be_real(argv);
	signal(SIGPIPE, SIG_IGN);
	connect_puppet();
	open_channel(PARENT, SPAWN_CHANNEL_FD);
	tell("hello %s %d\n", id, (int)getpid());
	for (;;) {
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

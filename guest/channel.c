/* SPDX-License-Identifier: ISC */

/*
 * The agent's two byte channels to the host: accept, read, write, and what
 * happens when the host goes away.  Bytes are not looked at here.
 *
 * A virtio port without a host reports a hang-up for as long as it lasts,
 * so all channels are watched for edges only; whatever must be looked at
 * again without an edge is scheduled with a kick.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define CHAN_IOV	64
#define CHAN_READS	16	/* before others have their turn */

static void	chan_event(int, short, void *);
static void	chan_accept(int, short, void *);
static void	chan_kicked(int, short, void *);
static void	chan_read(struct guest_chan *);
static void	chan_write(struct guest_chan *);
static void	chan_written(struct guest_chan *, size_t);
static void	chan_lost(struct guest_chan *);
static void	chan_hup(struct guest_chan *);

struct guest_buf *
guest_buf_new(size_t len)
{
	struct guest_buf	*b;

	b = guest_alloc(sizeof(*b) + len);
	b->b_len = len;
	b->b_keep = 0;
	return (b);
}

void
guest_chan_init(struct guest_chan *c, struct guest *g, const char *name,
    const struct guest_chan_ops *ops)
{
	memset(c, 0, sizeof(*c));
	c->c_guest = g;
	c->c_name = name;
	c->c_ops = ops;
	c->c_fd = c->c_lfd = -1;
	TAILQ_INIT(&c->c_out);
	evtimer_set(&c->c_kick, chan_kicked, c);
}

int
guest_chan_listen(struct guest_chan *c, const char *path)
{
	struct sockaddr_un	 sun;
	struct stat		 st;
	mode_t			 mask;
	int			 fd, save;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		errno = EADDRINUSE;
		return (-1);
	}
	/* It gets its name when it listens: who sees it can connect. */
	(void)strlcat(sun.sun_path, "~", sizeof(sun.sun_path));
	if (lstat(sun.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(sun.sun_path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0)) == -1)
		return (-1);
	mask = umask(077);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 8) == -1 || rename(sun.sun_path, path) == -1) {
		save = errno;
		(void)umask(mask);
		close(fd);
		errno = save;
		return (-1);
	}
	(void)umask(mask);
	c->c_path = guest_strdup(path);
	c->c_lfd = fd;
	event_set(&c->c_listen, fd, EV_READ, chan_accept, c);
	event_add(&c->c_listen, NULL);
	return (0);
}

void
guest_chan_attach(struct guest_chan *c, int fd, int port)
{
	int	flags;

	if ((flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		guest_fatal("%s: %s", c->c_name, strerror(errno));
	c->c_fd = fd;
	c->c_port = port;
	c->c_up = c->c_hup = 0;
	c->c_inoff = c->c_inlen = 0;
	c->c_gen++;
	event_set(&c->c_ev, fd,
	    EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST,
	    chan_event, c);
	event_add(&c->c_ev, NULL);
	guest_debug("%s: host connected", c->c_name);
	if (c->c_ops->connected != NULL)
		c->c_ops->connected(c);
	guest_chan_kick(c);
}

void
guest_chan_put(struct guest_chan *c, struct guest_buf *b)
{
	TAILQ_INSERT_TAIL(&c->c_out, b, b_entry);
	c->c_outlen += b->b_len;
	if (c->c_outlen >= GUEST_OUT_HIGH)
		c->c_high = 1;
	guest_chan_kick(c);
}

void
guest_chan_kick(struct guest_chan *c)
{
	struct timeval	now = { 0, 0 };

	if (c->c_fd != -1 && evtimer_pending(&c->c_kick, NULL) == 0)
		evtimer_add(&c->c_kick, &now);
}

void
guest_chan_flush(struct guest_chan *c)
{
	chan_write(c);
}

int
guest_chan_more(const struct guest_chan *c)
{
	struct pollfd	pfd;

	pfd.fd = c->c_fd;
	pfd.events = POLLIN;
	pfd.revents = 0;
	return (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLIN) != 0);
}

void
guest_chan_shut(struct guest_chan *c)
{
	if (c->c_path != NULL)
		(void)unlink(c->c_path);
	if (c->c_lfd != -1)
		close(c->c_lfd);
	if (c->c_fd != -1)
		close(c->c_fd);
	c->c_fd = c->c_lfd = -1;
}

static void
chan_accept(int lfd, short what, void *arg)
{
	struct guest_chan	*c = arg;
	struct timeval		 second = { 1, 0 };
	int			 fd;

	(void)what;
	fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1) {
		/* Out of descriptors: the timeout calls us again. */
		event_add(&c->c_listen,
		    errno == EMFILE || errno == ENFILE ? &second : NULL);
		return;
	}
	if (c->c_fd != -1) {
		guest_debug("%s: the last host's input is dropped", c->c_name);
		chan_lost(c);
		event_del(&c->c_listen);
	}
	guest_chan_attach(c, fd, 0);
}

static void
chan_event(int fd, short what, void *arg)
{
	struct guest_chan	*c = arg;

	(void)fd;
	if ((what & EV_CLOSED) != 0)
		chan_hup(c);
	chan_write(c);
	chan_read(c);
}

static void
chan_kicked(int fd, short what, void *arg)
{
	struct guest_chan	*c = arg;

	(void)fd;
	(void)what;
	chan_write(c);
	chan_read(c);
}

/*
 * The peer is gone but some of its input may be unread, perhaps for long.
 * The next host need not wait for that.
 */
static void
chan_hup(struct guest_chan *c)
{
	c->c_hup = 1;
	if (c->c_lfd != -1)
		event_add(&c->c_listen, NULL);
}

/*
 * A port without a host reads as at its end.  Bytes of a new host may come
 * before the driver has noticed that there is one, so they say nothing about
 * that: only a port that would block, or has taken output, has a host.
 */
static void
chan_read(struct guest_chan *c)
{
	size_t	used;
	ssize_t	n;
	int	i;

	for (i = 0; i < CHAN_READS && c->c_fd != -1; i++) {
		if (c->c_inlen > 0) {
			used = c->c_ops->input(c, c->c_in + c->c_inoff,
			    c->c_inlen);
			c->c_inoff += used;
			c->c_inlen -= used;
			if (c->c_inlen > 0)
				return;
		}
		c->c_inoff = 0;
		n = read(c->c_fd, c->c_in, sizeof(c->c_in));
		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN) {
				c->c_up = 1;
				return;
			}
		}
		if (n <= 0) {
			if (c->c_port == 0 || c->c_up == 1)
				chan_lost(c);
			return;
		}
		c->c_inlen = (size_t)n;
	}
	guest_chan_kick(c);
}

static void
chan_write(struct guest_chan *c)
{
	struct iovec		 iov[CHAN_IOV];
	struct guest_buf	*b;
	size_t			 off;
	ssize_t			 n;
	int			 i;

	while (c->c_fd != -1 && c->c_hold == 0 &&
	    (b = TAILQ_FIRST(&c->c_out)) != NULL) {
		off = c->c_headoff;
		for (i = 0; i < CHAN_IOV && b != NULL; i++) {
			iov[i].iov_base = b->b_data + off;
			iov[i].iov_len = b->b_len - off;
			off = 0;
			b = TAILQ_NEXT(b, b_entry);
		}
		n = writev(c->c_fd, iov, i);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN && c->c_port == 0)
				chan_hup(c);
			return;
		}
		c->c_up = 1;
		chan_written(c, (size_t)n);
	}
}

static void
chan_written(struct guest_chan *c, size_t n)
{
	struct guest_buf	*b;

	c->c_outlen -= n;
	n += c->c_headoff;
	while ((b = TAILQ_FIRST(&c->c_out)) != NULL && n >= b->b_len) {
		n -= b->b_len;
		TAILQ_REMOVE(&c->c_out, b, b_entry);
		free(b);
	}
	c->c_headoff = n;
	if (c->c_high == 1 && c->c_outlen <= GUEST_OUT_LOW) {
		c->c_high = 0;
		c->c_ops->drained(c, 0);
	}
	if (c->c_outlen == 0)
		c->c_ops->drained(c, 1);
}

/*
 * The host has gone.  A message that was cut is sent again from its start
 * to the next host, except by a port: what it took does arrive.
 */
static void
chan_lost(struct guest_chan *c)
{
	guest_debug("%s: host disconnected", c->c_name);
	c->c_gen++;
	c->c_up = 0;
	c->c_inoff = c->c_inlen = 0;
	if (c->c_port == 0) {
		event_del(&c->c_ev);
		evtimer_del(&c->c_kick);
		close(c->c_fd);
		c->c_fd = -1;
		c->c_hup = 0;
		c->c_outlen += c->c_headoff;
		c->c_headoff = 0;
	}
	c->c_ops->lost(c);
	if (c->c_port == 1)
		return;
	if (c->c_lfd == -1)
		guest_quit(c->c_guest, 0);
	event_add(&c->c_listen, NULL);
}

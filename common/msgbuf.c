/* SPDX-License-Identifier: ISC */

/*
 * Writing queued buffers to a stream, and cutting a stream into messages
 * again: the msgbuf part of ibuf_add(3).  Linked into every process.  What
 * is read is hostile until the header callback has judged it; descriptors
 * that come along are paired with messages here, or closed here.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

#define MSGBUF_NFDS	4

struct msgbuf {
	struct ibufqueue	 bufs;		/* to be written */
	struct ibufqueue	 rbufs;		/* complete, to be fetched */
	unsigned char		*rbuf;		/* NULL: not a reader */
	size_t			 rlen;		/* bytes of a partial header */
	size_t			 hdrsize;
	struct ibuf		*partial;	/* has its header */
	struct ibuf		*(*readhdr)(struct ibuf *, void *, int *);
	void			*rarg;
	/*
	 * Received and not claimed, oldest first.  On Linux a descriptor
	 * arrives with the first byte of its message, which may be a read
	 * before the one that completes the message's header.
	 */
	int			 fds[MSGBUF_NFDS];
	int			 nfds;
	int			 strict;
	int			 error;		/* of the read that failed */
};

union cmsgspace {
	struct cmsghdr	 hdr;
	unsigned char	 buf[CMSG_SPACE(sizeof(int))];
};

struct msgbuf *
msgbuf_new(void)
{
	struct msgbuf	*m;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		return (NULL);
	TAILQ_INIT(&m->bufs.bufs);
	TAILQ_INIT(&m->rbufs.bufs);
	return (m);
}

struct msgbuf *
msgbuf_new_reader(size_t hdrsz, struct ibuf *(*cb)(struct ibuf *, void *,
    int *), void *arg)
{
	struct msgbuf	*m;

	if (hdrsz == 0 || hdrsz > IBUF_READ_SIZE / 2) {
		errno = EINVAL;
		return (NULL);
	}
	if ((m = msgbuf_new()) == NULL)
		return (NULL);
	if ((m->rbuf = malloc(IBUF_READ_SIZE)) == NULL) {
		free(m);
		return (NULL);
	}
	m->hdrsize = hdrsz;
	m->readhdr = cb;
	m->rarg = arg;
	return (m);
}

static void
close_fds(struct msgbuf *m)
{
	int	 i, save = errno;

	for (i = 0; i < m->nfds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->nfds = 0;
	errno = save;
}

/* Drop what was read and is no complete message. */
static void
drop_partial(struct msgbuf *m)
{
	ibuf_free(m->partial);
	m->partial = NULL;
	m->rlen = 0;
	close_fds(m);
}

void
msgbuf_clear(struct msgbuf *m)
{
	ibufq_flush(&m->bufs);
	ibufq_flush(&m->rbufs);
	drop_partial(m);
	m->error = 0;
}

void
msgbuf_free(struct msgbuf *m)
{
	if (m == NULL)
		return;
	msgbuf_clear(m);
	freezero(m->rbuf, m->rbuf == NULL ? 0 : IBUF_READ_SIZE);
	free(m);
}

void
msgbuf_set_strict(struct msgbuf *m)
{
	m->strict = 1;
}

uint32_t
msgbuf_queuelen(const struct msgbuf *m)
{
	return (ibufq_queuelen(&m->bufs));
}

void
msgbuf_concat(struct msgbuf *m, struct ibufqueue *from)
{
	ibufq_concat(&m->bufs, from);
}

struct ibuf *
msgbuf_get(struct msgbuf *m)
{
	return (ibufq_pop(&m->rbufs));
}

void
ibuf_close(struct msgbuf *m, struct ibuf *buf)
{
	ibufq_push(&m->bufs, buf);
}

/*
 * Errors that pass: a full socket, no memory for it, or too many descriptors
 * on their way to a peer that has to receive some first.
 */
static int
is_soft(int error)
{
	return (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS ||
	    error == ENOMEM || error == ETOOMANYREFS);
}

/* A read failed with errno: the stream cannot be cut into messages again. */
static int
read_failed(struct msgbuf *m)
{
	m->error = errno != 0 ? errno : EBADMSG;
	drop_partial(m);
	errno = m->error;
	return (-1);
}

static int
check_reader(struct msgbuf *m)
{
	if (m->rbuf == NULL) {
		errno = EINVAL;
		return (-1);
	}
	if (m->error != 0) {
		errno = m->error;
		return (-1);
	}
	return (0);
}

/* Takes fd. */
static int
push_fd(struct msgbuf *m, int fd)
{
	if (m->nfds == MSGBUF_NFDS) {
		if (fd >= 0)
			close(fd);
		errno = EBADMSG;
		return (-1);
	}
	m->fds[m->nfds++] = fd;
	return (0);
}

/* Let the callback make the buffer for the message that starts at p. */
static int
begin_message(struct msgbuf *m, unsigned char *p)
{
	struct ibuf	 hdr, *buf;
	int		 fd = -1;

	ibuf_from_buffer(&hdr, p, m->hdrsize);
	if (m->nfds > 0)
		fd = m->fds[0];
	errno = 0;
	buf = m->readhdr(&hdr, m->rarg, &fd);
	if (m->nfds > 0 && fd == -1) {
		m->nfds--;
		memmove(m->fds, m->fds + 1, m->nfds * sizeof(m->fds[0]));
	}
	if (buf == NULL)
		return (-1);
	if (ibuf_left(buf) < m->hdrsize) {
		ibuf_free(buf);
		errno = EINVAL;
		return (-1);
	}
	m->partial = buf;
	return (0);
}

/* Cut the first len bytes of the read area into messages. */
static int
process(struct msgbuf *m, size_t len)
{
	size_t	 n, pos = 0;

	for (;;) {
		if (m->partial == NULL) {
			if (len - pos < m->hdrsize)
				break;
			if (begin_message(m, m->rbuf + pos) == -1)
				return (read_failed(m));
		}
		n = ibuf_left(m->partial);
		if (n > len - pos)
			n = len - pos;
		if (ibuf_add(m->partial, m->rbuf + pos, n) == -1)
			return (read_failed(m));
		pos += n;
		if (ibuf_left(m->partial) > 0)
			break;
		ibufq_push(&m->rbufs, m->partial);
		m->partial = NULL;
	}
	m->rlen = len - pos;
	if (m->rlen > 0 && pos > 0)
		memmove(m->rbuf, m->rbuf + pos, m->rlen);

	/* Only a header that is not complete yet may still claim one. */
	if (m->strict && m->nfds > (m->rlen > 0)) {
		errno = EBADMSG;
		return (read_failed(m));
	}
	if (m->rlen == 0)
		close_fds(m);
	return (1);
}

int
msgbuf_feed(struct msgbuf *m, const void *data, size_t len, int passed)
{
	const unsigned char	*p = data;
	size_t			 n;

	if (check_reader(m) == -1) {
		if (passed >= 0) {
			n = errno;
			close(passed);
			errno = n;
		}
		return (-1);
	}
	if (passed != -1 && push_fd(m, passed) == -1)
		return (read_failed(m));
	if (len == 0)
		return (0);
	for (; len > 0; p += n, len -= n) {
		n = IBUF_READ_SIZE - m->rlen;
		if (n > len)
			n = len;
		memcpy(m->rbuf + m->rlen, p, n);
		if (process(m, m->rlen + n) == -1)
			return (-1);
	}
	return (1);
}

int
ibuf_read(int fd, struct msgbuf *m)
{
	struct iovec	 iov;
	ssize_t		 n;

	if (check_reader(m) == -1)
		return (-1);
	iov.iov_base = m->rbuf + m->rlen;
	iov.iov_len = IBUF_READ_SIZE - m->rlen;
	do {
		n = readv(fd, &iov, 1);
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		if (is_soft(errno))
			return (1);
		return (read_failed(m));
	}
	if (n == 0)
		return (0);
	return (process(m, m->rlen + n));
}

/*
 * Keep the descriptor that came with one recvmsg(2).  We send one at a time:
 * a second one, which the padding of the control buffer leaves room for, is
 * the peer's doing.  If none could be installed a lost one takes its place,
 * so that later ones stay with their messages.
 */
static int
take_fds(struct msgbuf *m, struct msghdr *msg)
{
	struct cmsghdr	*cmsg;
	unsigned char	*p;
	size_t		 i, n;
	int		 fd, got = -1, extra = 0;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		p = CMSG_DATA(cmsg);
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < n; i++) {
			memcpy(&fd, p + i * sizeof(fd), sizeof(fd));
			if (got == -1)
				got = fd;
			else {
				close(fd);
				extra = 1;
			}
		}
	}
	if (msg->msg_flags & MSG_CTRUNC) {
		if (got == -1)
			got = IBUF_FD_LOST;
		else
			extra = 1;
	}
	if (extra) {
		close(got);
		errno = EBADMSG;
		return (-1);
	}
	if (got == -1)
		return (0);
	return (push_fd(m, got));
}

int
msgbuf_read(int fd, struct msgbuf *m)
{
	union cmsgspace	 space;
	struct msghdr	 msg;
	struct iovec	 iov;
	ssize_t		 n;

	if (check_reader(m) == -1)
		return (-1);
	memset(&space, 0, sizeof(space));
	memset(&msg, 0, sizeof(msg));
	iov.iov_base = m->rbuf + m->rlen;
	iov.iov_len = IBUF_READ_SIZE - m->rlen;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = &space;
	msg.msg_controllen = sizeof(space.buf);
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		if (is_soft(errno))
			return (1);
		return (read_failed(m));
	}
	if (take_fds(m, &msg) == -1)
		return (read_failed(m));
	if (n == 0)
		return (0);
	return (process(m, m->rlen + n));
}

/* A buffer that has a descriptor starts a write of its own. */
static int
gather(struct msgbuf *m, struct iovec *iov, int max, int pass)
{
	struct ibuf	*buf;
	int		 n = 0;

	TAILQ_FOREACH(buf, &m->bufs.bufs, entry) {
		if (n == max || (pass && n > 0 && ibuf_fd_avail(buf)))
			break;
		iov[n].iov_base = ibuf_data(buf);
		iov[n].iov_len = ibuf_size(buf);
		n++;
	}
	return (n);
}

/* The first n bytes are written. */
static void
drain(struct msgbuf *m, size_t n)
{
	struct ibuf	*buf;

	while ((buf = TAILQ_FIRST(&m->bufs.bufs)) != NULL) {
		if (n < ibuf_size(buf)) {
			ibuf_skip(buf, n);
			return;
		}
		n -= ibuf_size(buf);
		ibuf_free(ibufq_pop(&m->bufs));
	}
}

/* Empty buffers send nothing; returns the first one that does, or NULL. */
static struct ibuf *
first_to_write(struct msgbuf *m)
{
	drain(m, 0);
	return (TAILQ_FIRST(&m->bufs.bufs));
}

int
ibuf_write(int fd, struct msgbuf *m)
{
	struct iovec	 iov[IOV_MAX];
	ssize_t		 n;
	int		 niov;

	if (m->error != 0) {
		errno = m->error;
		return (-1);
	}
	if (first_to_write(m) == NULL)
		return (0);
	niov = gather(m, iov, IOV_MAX, 0);
	do {
		n = writev(fd, iov, niov);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return (is_soft(errno) ? 0 : -1);
	drain(m, n);
	return (0);
}

int
msgbuf_write(int fd, struct msgbuf *m)
{
	union cmsgspace	 space;
	struct iovec	 iov[IOV_MAX];
	struct msghdr	 msg;
	struct cmsghdr	*cmsg;
	struct ibuf	*first;
	ssize_t		 n;

	if (m->error != 0) {
		errno = m->error;
		return (-1);
	}
	if ((first = first_to_write(m)) == NULL)
		return (0);
	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = iov;
	msg.msg_iovlen = gather(m, iov, IOV_MAX, 1);
	if (ibuf_fd_avail(first)) {
		memset(&space, 0, sizeof(space));
		msg.msg_control = &space;
		msg.msg_controllen = sizeof(space.buf);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(cmsg), &first->fd, sizeof(int));
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return (is_soft(errno) ? 0 : -1);

	/* It travels with the first byte, even if the rest has to wait. */
	ibuf_fd_set(first, -1);
	drain(m, n);
	return (0);
}

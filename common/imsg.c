/* SPDX-License-Identifier: ISC */

/*
 * Typed messages over a stream socket between processes: imsg_init(3).
 * Linked into every process and cc-proxyctl.  A header that was received is
 * judged in parse_header() before anything is allocated for it; payloads are
 * judged by whoever fetches them.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

#define IMSG_FD_MARK		0x80000000U

#define IMSGBUF_FDPASS		0x01
#define IMSGBUF_STRICT		0x02

static struct ibuf *
parse_header(struct ibuf *view, void *arg, int *fd)
{
	struct imsgbuf	*imsgbuf = arg;
	struct imsg_hdr	 hdr;
	struct ibuf	*buf;
	uint32_t	 len;
	int		 marked;

	if (ibuf_get(view, &hdr, sizeof(hdr)) == -1)
		return (NULL);
	marked = (hdr.len & IMSG_FD_MARK) != 0;
	len = hdr.len & ~IMSG_FD_MARK;
	if (len < IMSG_HEADER_SIZE || len > imsgbuf->maxsize) {
		errno = ERANGE;
		return (NULL);
	}
	if (marked && *fd == -1 && (imsgbuf->flags & IMSGBUF_STRICT)) {
		errno = EBADMSG;
		return (NULL);
	}
	if ((buf = ibuf_open(len)) == NULL)
		return (NULL);
	if (marked) {
		ibuf_fd_set(buf, *fd);
		*fd = -1;
	}
	return (buf);
}

int
imsgbuf_init(struct imsgbuf *imsgbuf, int fd)
{
	memset(imsgbuf, 0, sizeof(*imsgbuf));
	imsgbuf->fd = fd;
	imsgbuf->pid = getpid();
	imsgbuf->maxsize = MAX_IMSGSIZE;
	imsgbuf->w = msgbuf_new_reader(IMSG_HEADER_SIZE, parse_header,
	    imsgbuf);
	return (imsgbuf->w == NULL ? -1 : 0);
}

void
imsgbuf_clear(struct imsgbuf *imsgbuf)
{
	msgbuf_free(imsgbuf->w);
	imsgbuf->w = NULL;
}

void
imsgbuf_allow_fdpass(struct imsgbuf *imsgbuf)
{
	imsgbuf->flags |= IMSGBUF_FDPASS;
}

void
imsgbuf_set_strict(struct imsgbuf *imsgbuf)
{
	imsgbuf->flags |= IMSGBUF_STRICT;
	msgbuf_set_strict(imsgbuf->w);
}

int
imsgbuf_set_maxsize(struct imsgbuf *imsgbuf, uint32_t payload)
{
	if (payload > UINT32_MAX - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return (-1);
	}
	payload += IMSG_HEADER_SIZE;
	if (payload & IMSG_FD_MARK) {
		errno = EINVAL;
		return (-1);
	}
	imsgbuf->maxsize = payload;
	return (0);
}

int
imsgbuf_read(struct imsgbuf *imsgbuf)
{
	if (imsgbuf->flags & IMSGBUF_FDPASS)
		return (msgbuf_read(imsgbuf->fd, imsgbuf->w));
	return (ibuf_read(imsgbuf->fd, imsgbuf->w));
}

int
imsgbuf_write(struct imsgbuf *imsgbuf)
{
	if (imsgbuf->flags & IMSGBUF_FDPASS)
		return (msgbuf_write(imsgbuf->fd, imsgbuf->w));
	return (ibuf_write(imsgbuf->fd, imsgbuf->w));
}

int
imsgbuf_flush(struct imsgbuf *imsgbuf)
{
	while (imsgbuf_queuelen(imsgbuf) > 0)
		if (imsgbuf_write(imsgbuf) == -1)
			return (-1);
	return (0);
}

uint32_t
imsgbuf_queuelen(const struct imsgbuf *imsgbuf)
{
	return (msgbuf_queuelen(imsgbuf->w));
}

/* Takes buf. */
static int
from_ibuf(struct imsg *imsg, struct ibuf *buf)
{
	struct imsg_hdr	 hdr;

	if (ibuf_get(buf, &hdr, sizeof(hdr)) == -1) {
		ibuf_free(buf);
		errno = EBADMSG;
		return (-1);
	}
	hdr.len &= ~IMSG_FD_MARK;
	imsg->hdr = hdr;
	imsg->data = ibuf_size(buf) == 0 ? NULL : ibuf_data(buf);
	imsg->buf = buf;
	return (1);
}

int
imsgbuf_get(struct imsgbuf *imsgbuf, struct imsg *imsg)
{
	struct ibuf	*buf;

	if ((buf = msgbuf_get(imsgbuf->w)) == NULL)
		return (0);
	return (from_ibuf(imsg, buf));
}

ssize_t
imsg_get(struct imsgbuf *imsgbuf, struct imsg *imsg)
{
	int	 n;

	if ((n = imsgbuf_get(imsgbuf, imsg)) != 1)
		return (n);
	return (imsg_get_len(imsg) + IMSG_HEADER_SIZE);
}

/* The pid as it is; max is the whole message's limit. */
static struct ibuf *
create(uint32_t type, uint32_t id, uint32_t pid, size_t payload, size_t max)
{
	struct imsg_hdr	 hdr;
	struct ibuf	*msg;

	if (payload > max - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return (NULL);
	}
	msg = ibuf_dynamic(IMSG_HEADER_SIZE + payload, max);
	if (msg == NULL)
		return (NULL);
	hdr.type = type;
	hdr.len = 0;
	hdr.peerid = id;
	hdr.pid = pid;
	if (ibuf_add(msg, &hdr, sizeof(hdr)) == -1) {
		ibuf_free(msg);
		return (NULL);
	}
	return (msg);
}

struct ibuf *
imsg_create(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid,
    size_t payload)
{
	return (create(type, id, pid == 0 ? imsgbuf->pid : pid, payload,
	    imsgbuf->maxsize));
}

int
imsg_add(struct ibuf *msg, const void *data, size_t len)
{
	if (ibuf_add(msg, data, len) == -1) {
		ibuf_free(msg);
		return (-1);
	}
	return (len);
}

int
imsg_set_maxsize(struct ibuf *msg, size_t payload)
{
	if (payload > SIZE_MAX - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return (-1);
	}
	return (ibuf_set_maxsize(msg, payload + IMSG_HEADER_SIZE));
}

/* payload: what follows msg in a buffer of its own */
static void
set_length(struct ibuf *msg, size_t payload)
{
	uint32_t	 len;

	ibuf_rewind(msg);
	len = ibuf_size(msg) + payload;
	if (ibuf_fd_avail(msg))
		len |= IMSG_FD_MARK;
	ibuf_set_h32(msg, offsetof(struct imsg_hdr, len), len);
}

void
imsg_close(struct imsgbuf *imsgbuf, struct ibuf *msg)
{
	set_length(msg, 0);
	ibuf_close(imsgbuf->w, msg);
}

int
imsg_compose(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid,
    int fd, const void *data, size_t len)
{
	struct ibuf	*msg;

	if ((msg = imsg_create(imsgbuf, type, id, pid, len)) == NULL)
		return (-1);
	if (imsg_add(msg, data, len) == -1)
		return (-1);
	ibuf_fd_set(msg, fd);
	imsg_close(imsgbuf, msg);
	return (1);
}

int
imsg_composev(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid,
    int fd, const struct iovec *iov, int n)
{
	struct ibuf	*msg;
	size_t		 len = 0;
	int		 i;

	for (i = 0; i < n; i++) {
		if (iov[i].iov_len > SIZE_MAX - len) {
			errno = ERANGE;
			return (-1);
		}
		len += iov[i].iov_len;
	}
	if ((msg = imsg_create(imsgbuf, type, id, pid, len)) == NULL)
		return (-1);
	for (i = 0; i < n; i++)
		if (imsg_add(msg, iov[i].iov_base, iov[i].iov_len) == -1)
			return (-1);
	ibuf_fd_set(msg, fd);
	imsg_close(imsgbuf, msg);
	return (1);
}

int
imsg_compose_ibuf(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id,
    pid_t pid, struct ibuf *buf)
{
	struct ibuf	*msg;
	size_t		 len = ibuf_size(buf);

	if (ibuf_fd_avail(buf)) {
		errno = EINVAL;
		goto fail;
	}
	if (len > imsgbuf->maxsize - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		goto fail;
	}
	if ((msg = imsg_create(imsgbuf, type, id, pid, 0)) == NULL)
		goto fail;
	set_length(msg, len);
	ibuf_close(imsgbuf->w, msg);
	ibuf_close(imsgbuf->w, buf);
	return (1);
fail:
	ibuf_free(buf);
	return (-1);
}

int
imsg_forward(struct imsgbuf *imsgbuf, struct imsg *imsg)
{
	struct ibuf	*msg;

	ibuf_rewind(imsg->buf);
	if (ibuf_skip(imsg->buf, IMSG_HEADER_SIZE) == -1)
		return (-1);
	msg = create(imsg->hdr.type, imsg->hdr.peerid, imsg->hdr.pid,
	    ibuf_size(imsg->buf), imsgbuf->maxsize);
	if (msg == NULL)
		return (-1);
	if (ibuf_add_ibuf(msg, imsg->buf) == -1) {
		ibuf_free(msg);
		return (-1);
	}
	imsg_close(imsgbuf, msg);
	return (1);
}

uint32_t
imsg_get_type(const struct imsg *imsg)
{
	return (imsg->hdr.type);
}

uint32_t
imsg_get_id(const struct imsg *imsg)
{
	return (imsg->hdr.peerid);
}

pid_t
imsg_get_pid(const struct imsg *imsg)
{
	return (imsg->hdr.pid);
}

size_t
imsg_get_len(const struct imsg *imsg)
{
	return (ibuf_size(imsg->buf));
}

int
imsg_get_data(struct imsg *imsg, void *data, size_t n)
{
	if (n == 0) {
		errno = EINVAL;
		return (-1);
	}
	if (ibuf_size(imsg->buf) != n) {
		errno = EBADMSG;
		return (-1);
	}
	return (ibuf_get(imsg->buf, data, n));
}

int
imsg_get_buf(struct imsg *imsg, void *data, size_t n)
{
	return (ibuf_get(imsg->buf, data, n));
}

int
imsg_get_strbuf(struct imsg *imsg, char *str, size_t n)
{
	return (ibuf_get_strbuf(imsg->buf, str, n));
}

int
imsg_get_ibuf(struct imsg *imsg, struct ibuf *view)
{
	if (ibuf_size(imsg->buf) == 0) {
		errno = EBADMSG;
		return (-1);
	}
	return (ibuf_get_ibuf(imsg->buf, ibuf_size(imsg->buf), view));
}

int
imsg_get_fd(struct imsg *imsg)
{
	return (ibuf_fd_get(imsg->buf));
}

void
imsg_free(struct imsg *imsg)
{
	ibuf_free(imsg->buf);
	imsg->buf = NULL;
	imsg->data = NULL;
}

int
imsg_ibufq_pop(struct ibufqueue *bufq, struct imsg *imsg)
{
	struct ibuf	*buf;

	if ((buf = ibufq_pop(bufq)) == NULL)
		return (0);
	return (from_ibuf(imsg, buf));
}

void
imsg_ibufq_push(struct ibufqueue *bufq, struct imsg *imsg)
{
	ibuf_rewind(imsg->buf);
	ibufq_push(bufq, imsg->buf);
	memset(imsg, 0, sizeof(*imsg));
}

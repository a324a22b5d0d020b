/* SPDX-License-Identifier: ISC */

/*
 * Buffers and queues of buffers: ibuf_add(3).  Linked into every process and
 * every test.  A buffer's content is not trusted, its positions are ours: no
 * length is believed before it has been compared with them.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

#define IBUF_FD_NONE	(-1)
#define IBUF_FD_VIEW	(-2)	/* memory is borrowed */

static int
is_view(const struct ibuf *buf)
{
	return (buf->fd == IBUF_FD_VIEW);
}

struct ibuf *
ibuf_open(size_t len)
{
	struct ibuf	*buf;

	if ((buf = calloc(1, sizeof(*buf))) == NULL)
		return (NULL);
	if (len > 0 && (buf->buf = malloc(len)) == NULL) {
		free(buf);
		return (NULL);
	}
	buf->size = buf->max = len;
	buf->fd = IBUF_FD_NONE;
	return (buf);
}

struct ibuf *
ibuf_dynamic(size_t len, size_t max)
{
	struct ibuf	*buf;

	if (max == 0 || max < len) {
		errno = EINVAL;
		return (NULL);
	}
	if ((buf = ibuf_open(len)) == NULL)
		return (NULL);
	buf->max = max;
	return (buf);
}

void
ibuf_free(struct ibuf *buf)
{
	int	 save = errno;

	if (buf == NULL)
		return;
	if (is_view(buf))
		abort();
	if (buf->fd >= 0)
		close(buf->fd);
	freezero(buf->buf, buf->size);
	free(buf);
	errno = save;
}

/* Make room for len more bytes; the size doubles so that adding is linear. */
static int
ibuf_grow(struct ibuf *buf, size_t len)
{
	unsigned char	*p;
	size_t		 need, size;

	if (is_view(buf)) {
		errno = EINVAL;
		return (-1);
	}
	if (buf->wpos > buf->max || len > buf->max - buf->wpos) {
		errno = ERANGE;
		return (-1);
	}
	need = buf->wpos + len;
	if (need <= buf->size)
		return (0);
	size = buf->max;
	if (buf->size < buf->max / 2)
		size = buf->size * 2;
	if (size < need)
		size = need;
	p = recallocarray(buf->buf, buf->size, size, 1);
	if (p == NULL)
		return (-1);
	buf->buf = p;
	buf->size = size;
	return (0);
}

void *
ibuf_reserve(struct ibuf *buf, size_t len)
{
	unsigned char	*p;

	if (ibuf_grow(buf, len) == -1)
		return (NULL);
	if (buf->buf == NULL)
		return (NULL);
	p = buf->buf + buf->wpos;
	memset(p, 0, len);
	buf->wpos += len;
	return (p);
}

int
ibuf_add(struct ibuf *buf, const void *data, size_t len)
{
	if (len == 0)
		return (0);
	if (ibuf_grow(buf, len) == -1)
		return (-1);
	memcpy(buf->buf + buf->wpos, data, len);
	buf->wpos += len;
	return (0);
}

int
ibuf_add_ibuf(struct ibuf *buf, const struct ibuf *from)
{
	return (ibuf_add(buf, ibuf_data(from), ibuf_size(from)));
}

int
ibuf_add_zero(struct ibuf *buf, size_t len)
{
	if (len == 0)
		return (0);
	return (ibuf_reserve(buf, len) == NULL ? -1 : 0);
}

int
ibuf_add_strbuf(struct ibuf *buf, const char *str, size_t len)
{
	char	*p;

	if (len == 0) {
		errno = EOVERFLOW;
		return (-1);
	}
	if ((p = ibuf_reserve(buf, len)) == NULL)
		return (-1);
	if (strlcpy(p, str, len) >= len) {
		errno = EOVERFLOW;
		return (-1);
	}
	return (0);
}

static int
fits(uint64_t value, uint64_t max)
{
	if (value <= max)
		return (1);
	errno = EINVAL;
	return (0);
}

int
ibuf_add_n8(struct ibuf *buf, uint64_t value)
{
	uint8_t	 v = value;

	if (!fits(value, UINT8_MAX))
		return (-1);
	return (ibuf_add(buf, &v, sizeof(v)));
}

int
ibuf_add_n16(struct ibuf *buf, uint64_t value)
{
	uint16_t	 v = htobe16(value);

	if (!fits(value, UINT16_MAX))
		return (-1);
	return (ibuf_add(buf, &v, sizeof(v)));
}

int
ibuf_add_n32(struct ibuf *buf, uint64_t value)
{
	uint32_t	 v = htobe32(value);

	if (!fits(value, UINT32_MAX))
		return (-1);
	return (ibuf_add(buf, &v, sizeof(v)));
}

int
ibuf_add_n64(struct ibuf *buf, uint64_t value)
{
	value = htobe64(value);
	return (ibuf_add(buf, &value, sizeof(value)));
}

int
ibuf_add_h16(struct ibuf *buf, uint64_t value)
{
	uint16_t	 v = value;

	if (!fits(value, UINT16_MAX))
		return (-1);
	return (ibuf_add(buf, &v, sizeof(v)));
}

int
ibuf_add_h32(struct ibuf *buf, uint64_t value)
{
	uint32_t	 v = value;

	if (!fits(value, UINT32_MAX))
		return (-1);
	return (ibuf_add(buf, &v, sizeof(v)));
}

int
ibuf_add_h64(struct ibuf *buf, uint64_t value)
{
	return (ibuf_add(buf, &value, sizeof(value)));
}

void *
ibuf_seek(struct ibuf *buf, size_t pos, size_t len)
{
	size_t	 size = ibuf_size(buf);

	if (pos > size || len > size - pos) {
		errno = ERANGE;
		return (NULL);
	}
	if (buf->buf == NULL)
		return (NULL);
	return (buf->buf + buf->rpos + pos);
}

int
ibuf_set(struct ibuf *buf, size_t pos, const void *data, size_t len)
{
	size_t	 size = ibuf_size(buf);

	if (pos > size || len > size - pos) {
		errno = ERANGE;
		return (-1);
	}
	if (len > 0)
		memcpy(buf->buf + buf->rpos + pos, data, len);
	return (0);
}

int
ibuf_set_n8(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint8_t	 v = value;

	if (!fits(value, UINT8_MAX))
		return (-1);
	return (ibuf_set(buf, pos, &v, sizeof(v)));
}

int
ibuf_set_n16(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint16_t	 v = htobe16(value);

	if (!fits(value, UINT16_MAX))
		return (-1);
	return (ibuf_set(buf, pos, &v, sizeof(v)));
}

int
ibuf_set_n32(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint32_t	 v = htobe32(value);

	if (!fits(value, UINT32_MAX))
		return (-1);
	return (ibuf_set(buf, pos, &v, sizeof(v)));
}

int
ibuf_set_n64(struct ibuf *buf, size_t pos, uint64_t value)
{
	value = htobe64(value);
	return (ibuf_set(buf, pos, &value, sizeof(value)));
}

int
ibuf_set_h16(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint16_t	 v = value;

	if (!fits(value, UINT16_MAX))
		return (-1);
	return (ibuf_set(buf, pos, &v, sizeof(v)));
}

int
ibuf_set_h32(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint32_t	 v = value;

	if (!fits(value, UINT32_MAX))
		return (-1);
	return (ibuf_set(buf, pos, &v, sizeof(v)));
}

int
ibuf_set_h64(struct ibuf *buf, size_t pos, uint64_t value)
{
	return (ibuf_set(buf, pos, &value, sizeof(value)));
}

int
ibuf_set_maxsize(struct ibuf *buf, size_t max)
{
	if (is_view(buf)) {
		errno = EINVAL;
		return (-1);
	}
	if (max > buf->max || max < buf->wpos) {
		errno = ERANGE;
		return (-1);
	}
	buf->max = max;
	return (0);
}

int
ibuf_skip(struct ibuf *buf, size_t len)
{
	if (len > ibuf_size(buf)) {
		errno = EBADMSG;
		return (-1);
	}
	buf->rpos += len;
	return (0);
}

int
ibuf_get(struct ibuf *buf, void *data, size_t len)
{
	if (ibuf_skip(buf, len) == -1)
		return (-1);
	if (len > 0)
		memcpy(data, buf->buf + buf->rpos - len, len);
	return (0);
}

int
ibuf_get_n8(struct ibuf *buf, uint8_t *value)
{
	return (ibuf_get(buf, value, sizeof(*value)));
}

int
ibuf_get_n16(struct ibuf *buf, uint16_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return (-1);
	*value = be16toh(*value);
	return (0);
}

int
ibuf_get_n32(struct ibuf *buf, uint32_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return (-1);
	*value = be32toh(*value);
	return (0);
}

int
ibuf_get_n64(struct ibuf *buf, uint64_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return (-1);
	*value = be64toh(*value);
	return (0);
}

int
ibuf_get_h16(struct ibuf *buf, uint16_t *value)
{
	return (ibuf_get(buf, value, sizeof(*value)));
}

int
ibuf_get_h32(struct ibuf *buf, uint32_t *value)
{
	return (ibuf_get(buf, value, sizeof(*value)));
}

int
ibuf_get_h64(struct ibuf *buf, uint64_t *value)
{
	return (ibuf_get(buf, value, sizeof(*value)));
}

int
ibuf_get_ibuf(struct ibuf *buf, size_t len, struct ibuf *view)
{
	void	*p = ibuf_data(buf);

	if (ibuf_skip(buf, len) == -1)
		return (-1);
	ibuf_from_buffer(view, p, len);
	return (0);
}

char *
ibuf_get_string(struct ibuf *buf, size_t len)
{
	char	*str;

	if (len > ibuf_size(buf)) {
		errno = EBADMSG;
		return (NULL);
	}
	str = strndup(len == 0 ? "" : ibuf_data(buf), len);
	if (str != NULL)
		buf->rpos += len;
	return (str);
}

int
ibuf_get_strbuf(struct ibuf *buf, char *str, size_t len)
{
	size_t	 n;

	if (len == 0) {
		errno = EINVAL;
		return (-1);
	}
	if (ibuf_get(buf, str, len) == -1)
		return (-1);
	if ((n = strnlen(str, len)) == len) {
		str[len - 1] = '\0';
		errno = EOVERFLOW;
		return (-1);
	}
	memset(str + n, 0, len - n);
	return (0);
}

int
ibuf_truncate(struct ibuf *buf, size_t len)
{
	size_t	 size = ibuf_size(buf);

	if (len <= size) {
		buf->wpos = buf->rpos + len;
		return (0);
	}
	if (is_view(buf)) {
		errno = ERANGE;
		return (-1);
	}
	return (ibuf_add_zero(buf, len - size));
}

void *
ibuf_data(const struct ibuf *buf)
{
	return (buf->buf == NULL ? NULL : buf->buf + buf->rpos);
}

size_t
ibuf_size(const struct ibuf *buf)
{
	return (buf->wpos - buf->rpos);
}

size_t
ibuf_left(const struct ibuf *buf)
{
	return (is_view(buf) ? 0 : buf->max - buf->wpos);
}

void
ibuf_rewind(struct ibuf *buf)
{
	buf->rpos = 0;
}

void
ibuf_from_buffer(struct ibuf *view, void *data, size_t len)
{
	memset(view, 0, sizeof(*view));
	view->buf = data;
	view->size = view->wpos = len;
	view->fd = IBUF_FD_VIEW;
}

void
ibuf_from_ibuf(struct ibuf *view, const struct ibuf *from)
{
	ibuf_from_buffer(view, ibuf_data(from), ibuf_size(from));
}

int
ibuf_fd_avail(const struct ibuf *buf)
{
	return (buf->fd >= 0);
}

int
ibuf_fd_get(struct ibuf *buf)
{
	int	 fd = buf->fd;

	if (fd >= 0) {
		buf->fd = IBUF_FD_NONE;
		return (fd);
	}
	if (fd == IBUF_FD_LOST)
		errno = EMFILE;
	return (-1);
}

void
ibuf_fd_set(struct ibuf *buf, int fd)
{
	int	 save = errno;

	if (is_view(buf))
		abort();
	if (buf->fd >= 0)
		close(buf->fd);
	buf->fd = IBUF_FD_NONE;
	if (fd >= 0 || fd == IBUF_FD_LOST)
		buf->fd = fd;
	errno = save;
}

struct ibufqueue *
ibufq_new(void)
{
	struct ibufqueue	*bufq;

	if ((bufq = calloc(1, sizeof(*bufq))) == NULL)
		return (NULL);
	TAILQ_INIT(&bufq->bufs);
	return (bufq);
}

void
ibufq_free(struct ibufqueue *bufq)
{
	if (bufq == NULL)
		return;
	ibufq_flush(bufq);
	free(bufq);
}

struct ibuf *
ibufq_pop(struct ibufqueue *bufq)
{
	struct ibuf	*buf;

	if ((buf = TAILQ_FIRST(&bufq->bufs)) == NULL)
		return (NULL);
	TAILQ_REMOVE(&bufq->bufs, buf, entry);
	bufq->queued--;
	return (buf);
}

void
ibufq_push(struct ibufqueue *bufq, struct ibuf *buf)
{
	if (is_view(buf))
		abort();
	TAILQ_INSERT_TAIL(&bufq->bufs, buf, entry);
	bufq->queued++;
}

uint32_t
ibufq_queuelen(const struct ibufqueue *bufq)
{
	return (bufq->queued);
}

void
ibufq_concat(struct ibufqueue *to, struct ibufqueue *from)
{
	to->queued += from->queued;
	TAILQ_CONCAT(&to->bufs, &from->bufs, entry);
	from->queued = 0;
}

void
ibufq_flush(struct ibufqueue *bufq)
{
	struct ibuf	*buf;

	while ((buf = ibufq_pop(bufq)) != NULL)
		ibuf_free(buf);
}

/* SPDX-License-Identifier: ISC */

/*
 * For the imsg tests: two channels on a socket pair, and ways to look at
 * descriptors.
 */

#ifndef CCP_IMSGPAIR_H
#define CCP_IMSGPAIR_H

#include <sys/types.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "imsg.h"
#include "test.h"

#define CHECK_ERR(expr, err) do {					\
	errno = 0;							\
	CHECK((expr) == -1);						\
	CHECK(errno == (err));						\
} while (0)

#define FD_MARK		0x80000000U

struct pair {
	int		 sv[2];		/* -1: closed */
	struct imsgbuf	 a;
	struct imsgbuf	 b;
};

static inline void
pair_init(struct pair *p, int fdpass)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    p->sv) == -1 || imsgbuf_init(&p->a, p->sv[0]) == -1 ||
	    imsgbuf_init(&p->b, p->sv[1]) == -1) {
		perror("pair_init");
		exit(1);
	}
	if (fdpass) {
		imsgbuf_allow_fdpass(&p->a);
		imsgbuf_allow_fdpass(&p->b);
	}
}

static inline void
pair_clear(struct pair *p)
{
	int	 i;

	imsgbuf_clear(&p->a);
	imsgbuf_clear(&p->b);
	for (i = 0; i < 2; i++)
		if (p->sv[i] != -1)
			close(p->sv[i]);
}

static inline int
is_open(int fd)
{
	return (fcntl(fd, F_GETFD) != -1);
}

/* Descriptors below 256 that are open: for leaks. */
static inline int
count_open(void)
{
	int	 fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += is_open(fd);
	return (n);
}

/* A descriptor that can be told from all others. */
static inline int
make_fd(void)
{
	int	 fd;

	if ((fd = memfd_create("test", MFD_CLOEXEC)) == -1) {
		perror("memfd_create");
		exit(1);
	}
	return (fd);
}

static inline ino_t
inode(int fd)
{
	struct stat	 sb;

	return (fd == -1 || fstat(fd, &sb) == -1 ? 0 : sb.st_ino);
}

/* Write a header, and whatever else, behind the sender's back. */
static inline void
raw_header(int fd, uint32_t type, uint32_t len)
{
	struct imsg_hdr	 hdr = { type, len, 0, 0 };

	CHECK(write(fd, &hdr, sizeof(hdr)) == (ssize_t)sizeof(hdr));
}

/* Send bytes with n descriptors, which stay open here. */
static inline int
raw_send(int s, const void *data, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr	 hdr;
		unsigned char	 buf[CMSG_SPACE(4 * sizeof(int))];
	} space;
	char		 copy[256];
	struct msghdr	 msg;
	struct iovec	 iov;

	if (len > sizeof(copy) || n > 4)
		return (-1);
	memcpy(copy, data, len);
	memset(&msg, 0, sizeof(msg));
	memset(&space, 0, sizeof(space));
	iov.iov_base = copy;
	iov.iov_len = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (n > 0) {
		msg.msg_control = &space;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		space.hdr.cmsg_len = CMSG_LEN(n * sizeof(int));
		space.hdr.cmsg_level = SOL_SOCKET;
		space.hdr.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&space.hdr), fds, n * sizeof(int));
	}
	return (sendmsg(s, &msg, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1);
}

#endif /* CCP_IMSGPAIR_H */

/* SPDX-License-Identifier: ISC */

/*
 * Descriptors on message channels: who owns them, which message they come
 * with when reads end in inconvenient places, and what a peer that breaks
 * the rules gets.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "imsgpair.h"

static char	 big[MAX_IMSGSIZE];

static void
write_all(struct pair *p)
{
	CHECK(imsgbuf_flush(&p->a) == 0);
}

static void
test_ownership(void)
{
	struct ibufqueue	*q;
	struct pair		 p;
	struct imsg		 m;
	struct ibuf		*b;
	int			 before, fd, got;

	test_begin("ownership: compose, clear, free, get once, forward, park");
	before = count_open();
	pair_init(&p, 1);

	fd = make_fd();
	CHECK_ERR(imsg_compose(&p.a, 1, 0, 0, fd, big, sizeof(big)), ERANGE);
	CHECK_ERR(imsg_composev(&p.a, 1, 0, 0, fd,
	    &(struct iovec){ big, sizeof(big) }, 1), ERANGE);
	CHECK(is_open(fd));
	b = ibuf_open(1);
	ibuf_fd_set(b, fd);
	CHECK_ERR(imsg_compose_ibuf(&p.a, 1, 0, 0, b), EINVAL);
	CHECK(!is_open(fd));

	fd = make_fd();
	CHECK(imsg_compose(&p.a, 1, 0, 0, fd, "x", 1) == 1);
	CHECK(is_open(fd));
	write_all(&p);
	CHECK(!is_open(fd));
	fd = make_fd();
	CHECK(imsg_composev(&p.a, 2, 0, 0, fd, NULL, 0) == 1);
	write_all(&p);
	CHECK(!is_open(fd));
	fd = make_fd();
	b = imsg_create(&p.a, 3, 0, 0, 0);
	CHECK(b != NULL);
	ibuf_fd_set(b, fd);
	imsg_close(&p.a, b);
	write_all(&p);
	CHECK(!is_open(fd));

	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == 1);
	CHECK(m.hdr.len == 17);
	got = imsg_get_fd(&m);
	CHECK(is_open(got));
	CHECK((fcntl(got, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK_ERR(imsg_get_fd(&m), 0);
	imsg_free(&m);
	CHECK(is_open(got));
	close(got);
	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == 2);
	fd = m.buf->fd;
	CHECK(is_open(fd));
	imsg_free(&m);
	CHECK(!is_open(fd));
	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == 3);
	CHECK(imsg_forward(&p.a, &m) == 1);
	fd = m.buf->fd;
	q = ibufq_new();
	imsg_ibufq_push(q, &m);
	CHECK(imsg_ibufq_pop(q, &m) == 1 && imsg_get_fd(&m) == fd);
	CHECK(is_open(fd));
	ibuf_fd_set(m.buf, fd);
	imsg_ibufq_push(q, &m);
	ibufq_free(q);
	CHECK(!is_open(fd));

	write_all(&p);	/* what was forwarded */
	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == 3);
	CHECK_ERR(imsg_get_fd(&m), 0);
	imsg_free(&m);

	/* Queued at a, received and not fetched at b. */
	CHECK(imsg_compose(&p.a, 1, 0, 0, make_fd(), NULL, 0) == 1);
	write_all(&p);
	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(imsg_compose(&p.a, 1, 0, 0, make_fd(), NULL, 0) == 1);
	b = imsg_create(&p.a, 3, 0, 0, 0);
	CHECK(b != NULL);
	ibuf_fd_set(b, make_fd());
	CHECK_ERR(imsg_add(b, big, sizeof(big)), ERANGE);
	CHECK(count_open() == before + 4);
	pair_clear(&p);
	CHECK(count_open() == before);
}

/* The parts of a message that a channel may hold when it is cleared. */
static void
test_partial_clear(void)
{
	struct imsg_hdr	 hdr = { 1, FD_MARK | 40, 0, 0 };
	struct pair	 p;
	int		 before, fd;

	test_begin("clear in mid header and in mid payload closes");
	before = count_open();
	fd = make_fd();
	pair_init(&p, 1);
	CHECK(raw_send(p.sv[0], &hdr, 5, &fd, 1) == 0);
	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(count_open() == before + 4);
	pair_clear(&p);
	CHECK(count_open() == before + 1);
	pair_init(&p, 1);
	CHECK(raw_send(p.sv[0], &hdr, sizeof(hdr), &fd, 1) == 0);
	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(count_open() == before + 4);
	pair_clear(&p);
	CHECK(count_open() == before + 1);
	close(fd);
}

/*
 * The first message with a descriptor starts so that k bytes of it end up
 * in the first read.
 */
static void
straddle(size_t k, int nfds, int strict)
{
	struct pair	 p;
	struct imsg	 m;
	ino_t		 want[3];
	size_t		 left, n;
	int		 fd, i, got = 0, reads, size = 1024 * 1024;

	pair_init(&p, 1);
	if (strict)
		imsgbuf_set_strict(&p.b);
	CHECK(setsockopt(p.sv[0], SOL_SOCKET, SO_SNDBUF, &size,
	    sizeof(size)) == 0);
	for (left = IBUF_READ_SIZE - k; left > 0; left -= n) {
		n = left > 16000 ? 15000 : left;
		CHECK(imsg_compose(&p.a, 100, 0, 0, -1, big,
		    n - IMSG_HEADER_SIZE) == 1);
	}
	write_all(&p);
	for (i = 0; i < nfds; i++) {
		fd = make_fd();
		want[i] = inode(fd);
		CHECK(imsg_compose(&p.a, i, 0, 0, fd, "data", 4) == 1);
	}
	CHECK(imsg_compose(&p.a, 100, 0, 0, -1, NULL, 0) == 1);
	write_all(&p);

	for (reads = 1; reads <= 1 + nfds; reads++) {
		CHECK(imsgbuf_read(&p.b) == 1);
		while (imsgbuf_get(&p.b, &m) == 1) {
			fd = imsg_get_fd(&m);
			if (imsg_get_type(&m) == 100)
				CHECK(fd == -1);
			else {
				CHECK(imsg_get_type(&m) == (uint32_t)got);
				CHECK(inode(fd) == want[got++]);
				close(fd);
			}
			imsg_free(&m);
		}
		if (reads == 1)
			CHECK(got == (k >= 20));
	}
	CHECK(got == nfds);
	pair_clear(&p);
}

static void
test_straddle(void)
{
	size_t	 k;
	int	 before, nfds;

	test_begin("64 KB + k straddles, k = 0..40: each fd with its message");
	before = count_open();
	for (k = 0; k <= 40; k++)
		for (nfds = 1; nfds <= 3; nfds++) {
			straddle(k, nfds, 0);
			straddle(k, nfds, 1);
		}
	CHECK(count_open() == before);
}

static void
test_back_to_back(void)
{
	struct pair	 p;
	struct imsg	 m;
	ino_t		 want[20];
	int		 fd, i, got = 0;

	test_begin("20 descriptors, each second message has none");
	pair_init(&p, 1);
	imsgbuf_set_strict(&p.b);
	for (i = 0; i < 20; i++) {
		fd = make_fd();
		want[i] = inode(fd);
		CHECK(imsg_compose(&p.a, 1, 0, 0, fd, big, i) == 1);
		CHECK(imsg_compose(&p.a, 2, 0, 0, -1, big, i) == 1);
	}
	write_all(&p);
	while (got < 20) {
		CHECK(imsgbuf_read(&p.b) == 1);
		while (imsgbuf_get(&p.b, &m) == 1) {
			fd = imsg_get_fd(&m);
			CHECK((fd != -1) == (imsg_get_type(&m) == 1));
			if (fd != -1) {
				CHECK(inode(fd) == want[got++]);
				close(fd);
			}
			imsg_free(&m);
		}
	}
	pair_clear(&p);
}

static void
test_bytewise(void)
{
	struct imsg_hdr	 hdr = { 1, FD_MARK | 20, 0, 0 };
	struct pair	 p;
	struct imsg	 m;
	unsigned char	 bytes[20] = "";
	int		 fd, got, i, round;

	test_begin("one byte at a time, the descriptor with the first");
	memcpy(bytes, &hdr, sizeof(hdr));
	pair_init(&p, 1);
	imsgbuf_set_strict(&p.b);
	for (round = 0; round < 3; round++) {
		fd = make_fd();
		for (i = 0; i < 20; i++) {
			CHECK(imsgbuf_get(&p.b, &m) == 0);
			CHECK(raw_send(p.sv[0], bytes + i, 1, &fd,
			    i == 0) == 0);
			CHECK(imsgbuf_read(&p.b) == 1);
		}
		CHECK(imsgbuf_get(&p.b, &m) == 1);
		got = imsg_get_fd(&m);
		CHECK(inode(got) == inode(fd));
		close(got);
		close(fd);
		imsg_free(&m);
	}
	pair_clear(&p);
}

static void
test_partial_write(void)
{
	struct pair	 p;
	struct imsg	 m;
	ino_t		 want;
	int		 fd, got = 0, size = 1, partial = 0;
	int		 before;

	test_begin("tiny SO_SNDBUF: a message in parts, its descriptor once");
	before = count_open();
	pair_init(&p, 1);
	imsgbuf_set_strict(&p.b);
	CHECK(setsockopt(p.sv[0], SOL_SOCKET, SO_SNDBUF, &size,
	    sizeof(size)) == 0);
	fd = make_fd();
	want = inode(fd);
	CHECK(imsg_compose(&p.a, 1, 0, 0, fd, big, 16000) == 1);
	CHECK(imsg_compose(&p.a, 2, 0, 0, make_fd(), big, 16000) == 1);
	CHECK(imsg_compose(&p.a, 3, 0, 0, -1, big, 16000) == 1);
	CHECK(imsgbuf_write(&p.a) == 0);
	CHECK(imsgbuf_queuelen(&p.a) == 3 && !is_open(fd));
	while (got < 3) {
		if (imsgbuf_queuelen(&p.a) > 0) {
			CHECK(imsgbuf_write(&p.a) == 0);
			partial++;
		}
		CHECK(imsgbuf_read(&p.b) == 1);
		while (imsgbuf_get(&p.b, &m) == 1) {
			CHECK(imsg_get_type(&m) == (uint32_t)++got);
			CHECK(imsg_get_len(&m) == 16000);
			fd = imsg_get_fd(&m);
			CHECK((fd == -1) == (got == 3));
			if (got == 1)
				CHECK(inode(fd) == want);
			if (fd != -1)
				close(fd);
			imsg_free(&m);
		}
	}
	CHECK(partial > 3);
	pair_clear(&p);
	CHECK(count_open() == before);
}

/* With k = 0 the lost one's header comes with it, else in a later read. */
static void
lost(int strict, size_t k)
{
	struct imsg_hdr	 hdr = { 1, FD_MARK | IMSG_HEADER_SIZE, 0, 0 };
	struct rlimit	 old, rl;
	struct pair	 p;
	struct imsg	 m;
	int		 fd[3], free_fd, i, got;

	pair_init(&p, 1);
	if (strict)
		imsgbuf_set_strict(&p.b);
	for (i = 0; i < 3; i++) {
		fd[i] = make_fd();
		hdr.type = i;
		if (i == 0 && k > 0) {
			CHECK(raw_send(p.sv[0], &hdr, k, &fd[i], 1) == 0);
			CHECK(write(p.sv[0], (char *)&hdr + k, sizeof(hdr) -
			    k) == (ssize_t)(sizeof(hdr) - k));
		} else
			CHECK(raw_send(p.sv[0], &hdr, sizeof(hdr), &fd[i],
			    1) == 0);
	}
	free_fd = dup(fd[0]);
	close(free_fd);
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	rl = old;
	rl.rlim_cur = free_fd;
	CHECK(setrlimit(RLIMIT_NOFILE, &rl) == 0);
	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	while (imsgbuf_read(&p.b) == 1 && i-- > 0)
		;
	for (i = 0; i < 3; i++) {
		CHECK(imsgbuf_get(&p.b, &m) == 1);
		CHECK(imsg_get_type(&m) == (uint32_t)i);
		if (i == 0) {
			CHECK_ERR(imsg_get_fd(&m), EMFILE);
		} else {
			got = imsg_get_fd(&m);
			CHECK(inode(got) == inode(fd[i]));
			close(got);
		}
		imsg_free(&m);
		close(fd[i]);
	}
	pair_clear(&p);
}

static void
test_lost(void)
{
	int	 before, strict;

	test_begin("no free slot: EMFILE for that message, later ones aligned");
	before = count_open();
	for (strict = 0; strict < 2; strict++) {
		lost(strict, 0);
		lost(strict, 1);
		lost(strict, 15);
	}
	CHECK(count_open() == before);
}

static void
test_two(void)
{
	struct imsg_hdr	 hdr = { 1, FD_MARK | IMSG_HEADER_SIZE, 0, 0 };
	struct pair	 p;
	struct imsg	 m;
	struct rlimit	 old, rl;
	int		 before, fds[3], free_fd;
	size_t		 n;

	test_begin("two or three descriptors in one message: EBADMSG, closed");
	before = count_open();
	for (n = 0; n < 3; n++)
		fds[n] = make_fd();
	for (n = 2; n <= 3; n++) {
		pair_init(&p, 1);
		CHECK(imsg_compose(&p.a, 5, 0, 0, -1, NULL, 0) == 1);
		write_all(&p);
		CHECK(imsgbuf_read(&p.b) == 1);
		CHECK(raw_send(p.sv[0], &hdr, sizeof(hdr), fds, n) == 0);
		CHECK_ERR(imsgbuf_read(&p.b), EBADMSG);
		CHECK(count_open() == before + 5);
		CHECK_ERR(imsgbuf_read(&p.b), EBADMSG);
		CHECK_ERR(imsgbuf_write(&p.b), EBADMSG);
		CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == 5);
		imsg_free(&m);
		CHECK(imsgbuf_get(&p.b, &m) == 0);
		pair_clear(&p);
	}

	/* Only one of two fits in: still two. */
	pair_init(&p, 1);
	CHECK(raw_send(p.sv[0], &hdr, sizeof(hdr), fds, 2) == 0);
	free_fd = dup(0);
	close(free_fd);
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	rl = old;
	rl.rlim_cur = free_fd + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &rl) == 0);
	CHECK_ERR(imsgbuf_read(&p.b), EBADMSG);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK(count_open() == before + 5);
	pair_clear(&p);
	for (n = 0; n < 3; n++)
		close(fds[n]);
}

static void
test_overflow(void)
{
	struct imsg_hdr	 hdr = { 1, FD_MARK | IMSG_HEADER_SIZE, 0, 0 };
	struct pair	 p;
	int		 before, fd, i;

	test_begin("a descriptor with each byte of a header: EBADMSG");
	before = count_open();
	fd = make_fd();
	pair_init(&p, 1);
	for (i = 0; i < 5; i++)
		CHECK(raw_send(p.sv[0], (char *)&hdr + i, 1, &fd, 1) == 0);
	for (i = 0; i < 4; i++)
		CHECK(imsgbuf_read(&p.b) == 1);
	CHECK(count_open() == before + 7);
	CHECK_ERR(imsgbuf_read(&p.b), EBADMSG);
	CHECK(count_open() == before + 3);
	pair_clear(&p);

	pair_init(&p, 1);
	imsgbuf_set_strict(&p.b);
	for (i = 0; i < 2; i++)
		CHECK(raw_send(p.sv[0], (char *)&hdr + i, 1, &fd, 1) == 0);
	CHECK(imsgbuf_read(&p.b) == 1);
	CHECK_ERR(imsgbuf_read(&p.b), EBADMSG);
	CHECK(count_open() == before + 3);
	pair_clear(&p);
	close(fd);
}

static void
test_unmarked(void)
{
	struct imsg_hdr	 hdr = { 1, IMSG_HEADER_SIZE, 0, 0 };
	struct pair	 p;
	struct imsg	 m;
	int		 before, fd, got, strict;

	test_begin("descriptor without a mark: closed; strict: EBADMSG");
	before = count_open();
	fd = make_fd();
	for (strict = 0; strict < 2; strict++) {
		pair_init(&p, 1);
		if (strict)
			imsgbuf_set_strict(&p.b);
		CHECK(raw_send(p.sv[0], &hdr, sizeof(hdr), &fd, 1) == 0);
		if (strict)
			CHECK_ERR(imsgbuf_read(&p.b), EBADMSG);
		else
			CHECK(imsgbuf_read(&p.b) == 1);
		CHECK(count_open() == before + 3);
		CHECK(imsgbuf_get(&p.b, &m) == 1);
		CHECK_ERR(imsg_get_fd(&m), 0);
		imsg_free(&m);
		if (!strict) {		/* and the next one is not shifted */
			got = make_fd();
			CHECK(imsg_compose(&p.a, 1, 0, 0, dup(got), NULL,
			    0) == 1);
			write_all(&p);
			CHECK(imsgbuf_read(&p.b) == 1);
			CHECK(imsgbuf_get(&p.b, &m) == 1);
			CHECK(inode(m.buf->fd) == inode(got));
			imsg_free(&m);
			close(got);
		}
		pair_clear(&p);
	}
	close(fd);
}

static void
test_no_fdpass(void)
{
	struct pair	 p;
	struct imsg	 m;
	int		 before, how;

	test_begin("fd passing off at one end: none arrives; strict: EBADMSG");
	before = count_open();
	for (how = 0; how < 4; how++) {
		pair_init(&p, 0);
		imsgbuf_allow_fdpass(how & 1 ? &p.a : &p.b);
		if (how & 2)
			imsgbuf_set_strict(&p.b);
		CHECK(imsg_compose(&p.a, 1, 0, 0, make_fd(), "x", 1) == 1);
		write_all(&p);
		CHECK(count_open() == before + 2);
		if (how & 2) {
			CHECK_ERR(imsgbuf_read(&p.b), EBADMSG);
			CHECK(imsgbuf_get(&p.b, &m) == 0);
		} else {
			CHECK(imsgbuf_read(&p.b) == 1);
			CHECK(imsgbuf_get(&p.b, &m) == 1);
			CHECK(imsg_get_len(&m) == 1);
			CHECK_ERR(imsg_get_fd(&m), 0);
			imsg_free(&m);
		}
		CHECK(count_open() == before + 2);
		pair_clear(&p);
	}
}

static void
test_feed(void)
{
	struct imsg_hdr	 hdr = { 1, FD_MARK | IMSG_HEADER_SIZE, 0, 0 };
	struct imsgbuf	 ch;
	struct imsg	 m;
	int		 fd;

	test_begin("bytes and descriptors fed by hand");
	CHECK(imsgbuf_init(&ch, -1) == 0);
	imsgbuf_set_strict(&ch);
	fd = make_fd();
	CHECK(msgbuf_feed(ch.w, &hdr, 3, fd) == 1);
	CHECK(msgbuf_feed(ch.w, (char *)&hdr + 3, sizeof(hdr) - 3, -1) == 1);
	CHECK(msgbuf_feed(ch.w, &hdr, sizeof(hdr), IBUF_FD_LOST) == 1);
	CHECK(imsgbuf_get(&ch, &m) == 1 && imsg_get_fd(&m) == fd);
	imsg_free(&m);
	close(fd);
	CHECK(imsgbuf_get(&ch, &m) == 1);
	CHECK_ERR(imsg_get_fd(&m), EMFILE);
	imsg_free(&m);
	hdr.len = IMSG_HEADER_SIZE;
	CHECK_ERR(msgbuf_feed(ch.w, &hdr, sizeof(hdr), IBUF_FD_LOST), EBADMSG);
	imsgbuf_clear(&ch);
}

/* 0: seen, 2: this kernel or user has no such limit */
static int
too_many(void)
{
	struct rlimit	 rl = { 32, 32 };
	struct pair	 p;
	int		 i;
	uint32_t	 n;

	if (getuid() == 0 && (setgid(65534) == -1 || setuid(65534) == -1))
		return (2);
	pair_init(&p, 1);
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		return (2);
	for (i = 0; i < 200; i++) {
		if (imsg_compose(&p.a, 1, 0, 0, dup(0), NULL, 0) != 1)
			return (1);
		n = imsgbuf_queuelen(&p.a);
		if (imsgbuf_write(&p.a) == -1)
			return (1);
		if (imsgbuf_queuelen(&p.a) == n) {
			/* Soft: goes on after the peer has received some. */
			for (i = 0; i < 100; i++)
				imsgbuf_read(&p.b);
			imsgbuf_clear(&p.b);
			return (imsgbuf_write(&p.a) == 0 &&
			    imsgbuf_queuelen(&p.a) == n - 1 ? 0 : 1);
		}
	}
	return (2);
}

static void
test_too_many(void)
{
	pid_t	 pid;
	int	 status;

	test_begin("too many descriptors in flight: 0, sent later");
	fflush(NULL);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0)
		_exit(too_many());
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		test_skip("no limit for this user");
	else
		CHECK(WEXITSTATUS(status) == 0);
}

int
main(void)
{
	test_ownership();
	test_partial_clear();
	test_straddle();
	test_back_to_back();
	test_bytewise();
	test_partial_write();
	test_lost();
	test_two();
	test_overflow();
	test_unmarked();
	test_no_fdpass();
	test_feed();
	test_too_many();
	return (test_end());
}

/* SPDX-License-Identifier: ISC */

/*
 * Random messages, some with descriptors, through a channel whose socket
 * and whose reads are cut in random places, against a model: a list of what
 * was sent.  MODEL_COUNT and MODEL_SEED in the environment change the run.
 */

#include <sys/types.h>

#include <inttypes.h>

#include "imsgpair.h"

#define NFILES		8
#define NEXPECT		4096	/* messages under way at most */

struct expect {
	uint32_t	 type;
	uint32_t	 id;
	pid_t		 pid;
	size_t		 len;
	size_t		 off;		/* of the payload in pool */
	int		 file;		/* -1: no descriptor */
};

static struct expect	 queue[NEXPECT];
static size_t		 head, tail;
static unsigned char	 pool[2 * MAX_IMSGSIZE];
static int		 files[NFILES];
static ino_t		 inodes[NFILES];
static uint64_t		 seed;

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((seed >> 32) % n);
}

static size_t
random_size(void)
{
	switch (rnd(16)) {
	case 0:
		return (0);
	case 1:
		return (MAX_IMSGSIZE - IMSG_HEADER_SIZE - rnd(3));
	case 2:
		return (rnd(MAX_IMSGSIZE - IMSG_HEADER_SIZE));
	default:
		return (rnd(200));
	}
}

static void
expect_next(struct expect *e, int with_fd)
{
	e->type = rnd(UINT32_MAX);
	e->id = rnd(UINT32_MAX);
	e->pid = 1 + rnd(100000);
	e->len = random_size();
	e->off = rnd(MAX_IMSGSIZE);
	e->file = with_fd && rnd(8) == 0 ? (int)rnd(NFILES) : -1;
}

/* Each way to send; the fd goes with those that can. */
static void
send_one(struct imsgbuf *ch, struct expect *e)
{
	const unsigned char	*data = pool + e->off;
	struct iovec		 iov[2];
	struct ibuf		*b;
	size_t			 cut = rnd(e->len + 1);
	int			 fd = -1, way = rnd(4);

	if (e->file != -1 && (fd = dup(files[e->file])) == -1) {
		perror("dup");
		exit(1);
	}
	if (way == 0 && fd == -1) {
		b = ibuf_dynamic(0, MAX_IMSGSIZE);
		CHECK(b != NULL && ibuf_add(b, data, e->len) == 0);
		CHECK(imsg_compose_ibuf(ch, e->type, e->id, e->pid, b) == 1);
	} else if (way == 1) {
		b = imsg_create(ch, e->type, e->id, e->pid, cut);
		CHECK(b != NULL && ibuf_add(b, data, cut) == 0);
		ibuf_fd_set(b, fd);
		CHECK(imsg_add(b, data + cut, e->len - cut) != -1);
		imsg_close(ch, b);
	} else if (way == 2) {
		iov[0].iov_base = pool + e->off;
		iov[0].iov_len = cut;
		iov[1].iov_base = pool + e->off + cut;
		iov[1].iov_len = e->len - cut;
		CHECK(imsg_composev(ch, e->type, e->id, e->pid, fd, iov,
		    2) == 1);
	} else
		CHECK(imsg_compose(ch, e->type, e->id, e->pid, fd, data,
		    e->len) == 1);
}

static int
same(struct imsg *m, const struct expect *e, int lost)
{
	struct ibuf	 view;
	int		 fd, ok;

	if (imsg_get_type(m) != e->type || imsg_get_id(m) != e->id ||
	    imsg_get_pid(m) != e->pid || imsg_get_len(m) != e->len)
		return (0);
	errno = 0;
	fd = imsg_get_fd(m);
	if (lost)
		ok = fd == -1 && errno == (e->file != -1 ? EMFILE : 0);
	else if (e->file == -1)
		ok = fd == -1;
	else
		ok = inode(fd) == inodes[e->file];
	if (fd != -1)
		close(fd);
	if (e->len == 0)
		return (ok && m->data == NULL);
	return (ok && imsg_get_ibuf(m, &view) == 0 &&
	    memcmp(ibuf_data(&view), pool + e->off, e->len) == 0);
}

static int
fetch(struct imsgbuf *ch, int lost)
{
	struct imsg	 m;
	int		 ok = 1;

	while (ok && imsgbuf_get(ch, &m) == 1) {
		ok = head != tail && same(&m, &queue[head % NEXPECT], lost);
		head++;
		imsg_free(&m);
	}
	return (ok);
}

static void
run_socket(uint32_t count, int fdpass)
{
	struct pair	 p;
	uint32_t	 sent = 0;
	int		 before = count_open(), ok = 1, size;

	head = tail = 0;
	pair_init(&p, fdpass);
	imsgbuf_set_strict(&p.b);
	while (ok && (sent < count || head != tail)) {
		if (rnd(1000) == 0) {
			size = 1 << rnd(20);
			setsockopt(p.sv[0], SOL_SOCKET, SO_SNDBUF, &size,
			    sizeof(size));
		}
		/* Most of the time several of a kind in a row. */
		switch (rnd(3)) {
		case 0:
			for (size = rnd(64); size > 0 && sent < count &&
			    tail - head < NEXPECT; size--, sent++) {
				expect_next(&queue[tail % NEXPECT], fdpass);
				send_one(&p.a, &queue[tail++ % NEXPECT]);
			}
			break;
		case 1:
			for (size = rnd(8); size >= 0; size--)
				ok &= imsgbuf_write(&p.a) == 0;
			break;
		case 2:
			for (size = rnd(8); size >= 0; size--)
				ok &= imsgbuf_read(&p.b) == 1;
			if (rnd(2) == 0 || sent == count)
				ok &= fetch(&p.b, 0);
			break;
		}
	}
	CHECK(ok && head == count);
	CHECK(imsgbuf_queuelen(&p.a) == 0);
	pair_clear(&p);
	CHECK(count_open() == before);
}

/* No socket: random chunks, with lost descriptors where Linux puts them. */
static void
run_feed(uint32_t count)
{
	static unsigned char	 stream[MAX_IMSGSIZE];
	struct imsgbuf		 ch;
	struct imsg_hdr		 hdr;
	struct expect		*e;
	uint32_t		 i;
	size_t			 n, off, len;
	int			 fd, ok = 1;

	head = tail = 0;
	CHECK(imsgbuf_init(&ch, -1) == 0);
	imsgbuf_set_strict(&ch);
	for (i = 0; ok && i < count; i++) {
		e = &queue[tail++ % NEXPECT];
		expect_next(e, 1);
		len = sizeof(hdr) + e->len;
		hdr.type = e->type;
		hdr.len = len | (e->file == -1 ? 0 : FD_MARK);
		hdr.peerid = e->id;
		hdr.pid = e->pid;
		memcpy(stream, &hdr, sizeof(hdr));
		memcpy(stream + sizeof(hdr), pool + e->off, e->len);
		fd = e->file == -1 ? -1 : IBUF_FD_LOST;
		for (off = 0; off < len; off += n, fd = -1) {
			n = 1 + rnd(rnd(2) == 0 ? 20 : MAX_IMSGSIZE);
			if (n > len - off)
				n = len - off;
			ok &= msgbuf_feed(ch.w, stream + off, n, fd) == 1;
		}
		if (rnd(8) == 0 || tail - head == NEXPECT)
			ok &= fetch(&ch, 1);
	}
	ok &= fetch(&ch, 1);
	CHECK(ok && head == count);
	imsgbuf_clear(&ch);
}

int
main(void)
{
	const char	*s;
	uint64_t	 first;
	uint32_t	 count = 100000;
	size_t		 i;

	seed = 0x9e3779b97f4a7c15ULL;
	if ((s = getenv("MODEL_SEED")) != NULL)
		seed = strtoull(s, NULL, 0) | 1;
	if ((s = getenv("MODEL_COUNT")) != NULL)
		count = strtoul(s, NULL, 0);
	first = seed;
	for (i = 0; i < sizeof(pool); i++)
		pool[i] = rnd(256);
	for (i = 0; i < NFILES; i++) {
		files[i] = make_fd();
		inodes[i] = inode(files[i]);
	}

	test_begin("random messages with descriptors against a model");
	run_socket(count, 1);
	test_begin("random messages without descriptors against a model");
	run_socket(count / 2, 0);
	test_begin("random messages in random chunks, fed by hand");
	run_feed(count / 2);

	for (i = 0; i < NFILES; i++)
		close(files[i]);
	if (test_end() != 0) {
		fprintf(stderr, "MODEL_SEED=0x%" PRIx64 "\n", first);
		return (1);
	}
	return (0);
}

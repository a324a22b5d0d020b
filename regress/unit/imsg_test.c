/* SPDX-License-Identifier: ISC */

/*
 * Message channels: sizes, framing, errors, every sender and every getter
 * of imsg_init(3).  Descriptors have a test of their own, and so has the
 * comparison with a model.
 */

#include <sys/types.h>
#include <sys/time.h>

#include <signal.h>

#include "imsgpair.h"

#define MAX_PAYLOAD	(MAX_IMSGSIZE - IMSG_HEADER_SIZE)

static char	 big[70000];

/* Until everything is written and read; both ends in one process. */
static void
pump(struct pair *p)
{
	while (imsgbuf_queuelen(&p->a) > 0) {
		CHECK(imsgbuf_write(&p->a) == 0);
		CHECK(imsgbuf_read(&p->b) == 1);
	}
	CHECK(imsgbuf_read(&p->b) == 1);
}

static int
payload_is(struct imsg *m, const void *data, size_t len)
{
	if (imsg_get_len(m) != len)
		return (0);
	return (len == 0 || memcmp(ibuf_data(m->buf), data, len) == 0);
}

static void
test_sizes(void)
{
	static const size_t	 sizes[] = { 0, 1, MAX_PAYLOAD };
	struct pair		 p;
	struct imsg		 m;
	size_t			 i;

	test_begin("sizes 0, 1, max; max + 1 is ERANGE");
	pair_init(&p, 0);
	for (i = 0; i < 3; i++) {
		CHECK(imsg_compose(&p.a, i + 7, i + 8, i, -1,
		    i == 0 ? NULL : big, sizes[i]) == 1);
		CHECK(imsgbuf_queuelen(&p.a) == i + 1);
	}
	CHECK_ERR(imsg_compose(&p.a, 1, 0, 0, -1, big, MAX_PAYLOAD + 1),
	    ERANGE);
	CHECK_ERR(imsg_compose(&p.a, 1, 0, 0, -1, big, SIZE_MAX), ERANGE);
	CHECK(imsgbuf_queuelen(&p.a) == 3);
	CHECK(imsgbuf_flush(&p.a) == 0 && imsgbuf_queuelen(&p.a) == 0);
	CHECK(imsgbuf_read(&p.b) == 1);
	for (i = 0; i < 3; i++) {
		CHECK(imsgbuf_get(&p.b, &m) == 1);
		CHECK(imsg_get_type(&m) == i + 7);
		CHECK(imsg_get_id(&m) == i + 8);
		CHECK(imsg_get_pid(&m) == (i == 0 ? getpid() : (pid_t)i));
		CHECK(m.hdr.len == sizes[i] + IMSG_HEADER_SIZE);
		CHECK((m.data == NULL) == (sizes[i] == 0));
		CHECK(payload_is(&m, big, sizes[i]));
		imsg_free(&m);
		imsg_free(&m);
	}
	CHECK(imsgbuf_get(&p.b, &m) == 0);
	CHECK(imsg_get(&p.b, &m) == 0);
	CHECK(imsg_compose(&p.a, 1, 0, 0, -1, "abc", 3) == 1);
	pump(&p);
	CHECK(imsg_get(&p.b, &m) == 19);
	imsg_free(&m);
	pair_clear(&p);
	imsgbuf_clear(&p.a);
}

static void
test_bad_length(void)
{
	static const uint32_t	 lens[] = {
		0, 1, 15, MAX_IMSGSIZE + 1, 0x7fffffff,
		0xffffffff, FD_MARK, FD_MARK | 15, FD_MARK | (MAX_IMSGSIZE + 1)
	};
	struct pair		 p;
	struct imsg		 m;
	size_t			 i;
	int			 fdpass;

	test_begin("impossible lengths: ERANGE, sticky; older messages stay");
	for (i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
		fdpass = i & 1;
		pair_init(&p, fdpass);
		CHECK(imsg_compose(&p.a, 5, 0, 0, -1, "ok", 2) == 1);
		CHECK(imsgbuf_flush(&p.a) == 0);
		raw_header(p.sv[0], 6, lens[i / 2]);
		CHECK_ERR(imsgbuf_read(&p.b), ERANGE);
		CHECK_ERR(imsgbuf_read(&p.b), ERANGE);
		CHECK(imsg_compose(&p.b, 5, 0, 0, -1, NULL, 0) == 1);
		CHECK_ERR(imsgbuf_write(&p.b), ERANGE);
		CHECK_ERR(imsgbuf_flush(&p.b), ERANGE);
		CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == 5);
		CHECK(payload_is(&m, "ok", 2));
		imsg_free(&m);
		CHECK(imsgbuf_get(&p.b, &m) == 0);
		pair_clear(&p);
	}
}

static void
test_bytewise(void)
{
	struct pair	 p;
	struct imsg	 m;
	unsigned char	 bytes[60];
	struct imsg_hdr	 hdr = { 9, 30, 3, 4 };
	size_t		 i;
	int		 fdpass, n;

	test_begin("one byte at a time: 1 and no message until the last");
	memcpy(bytes, &hdr, sizeof(hdr));
	memcpy(bytes + sizeof(hdr), "payload-of-14b", 14);
	memcpy(bytes + 30, bytes, 30);
	for (fdpass = 0; fdpass < 2; fdpass++) {
		pair_init(&p, fdpass);
		for (i = 0; i < 60; i++) {
			CHECK(imsgbuf_read(&p.b) == 1);
			CHECK(write(p.sv[0], bytes + i, 1) == 1);
			CHECK(imsgbuf_read(&p.b) == 1);
			n = imsgbuf_get(&p.b, &m);
			CHECK(n == (i % 30 == 29));
			if (n != 1)
				continue;
			CHECK(imsg_get_type(&m) == 9 && imsg_get_id(&m) == 3);
			CHECK(payload_is(&m, "payload-of-14b", 14));
			imsg_free(&m);
		}
		pair_clear(&p);
	}
}

static void
test_eof(void)
{
	static const size_t	 cuts[] = { 0, 1, 15, 16, 17, 29 };
	struct imsg_hdr		 hdr = { 9, 30, 3, 4 };
	unsigned char		 bytes[30] = "";
	struct pair		 p;
	struct imsg		 m;
	size_t			 i;

	test_begin("end of file: after all bytes, in mid header and payload");
	memcpy(bytes, &hdr, sizeof(hdr));
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		pair_init(&p, i & 1);
		CHECK(imsg_compose(&p.a, 5, 0, 0, -1, NULL, 0) == 1);
		CHECK(imsgbuf_flush(&p.a) == 0);
		CHECK(write(p.sv[0], bytes, cuts[i]) == (ssize_t)cuts[i]);
		close(p.sv[0]);
		p.sv[0] = -1;
		CHECK(imsgbuf_read(&p.b) == 1);
		CHECK(imsgbuf_read(&p.b) == 0);
		CHECK(imsgbuf_read(&p.b) == 0);
		CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == 5);
		imsg_free(&m);
		CHECK(imsgbuf_get(&p.b, &m) == 0);
		CHECK(imsg_compose(&p.b, 5, 0, 0, -1, NULL, 0) == 1);
		if (i & 1) {	/* no SIGPIPE where we can ask for none */
			CHECK_ERR(imsgbuf_write(&p.b), EPIPE);
			CHECK(imsgbuf_queuelen(&p.b) == 1);
		}
		pair_clear(&p);
	}
}

static void
test_again(void)
{
	struct pair	 p;
	struct imsg	 m;
	uint32_t	 n, sent = 0, got = 0;
	int		 fdpass;

	test_begin("would block: 1 from read, 0 from write, nothing lost");
	for (fdpass = 0; fdpass < 2; fdpass++) {
		pair_init(&p, fdpass);
		sent = got = 0;
		CHECK(imsgbuf_read(&p.b) == 1 && imsgbuf_get(&p.b, &m) == 0);
		CHECK(imsgbuf_write(&p.a) == 0);
		do {
			CHECK(imsg_compose(&p.a, sent++, 0, 0, -1, big,
			    10000) == 1);
			n = imsgbuf_queuelen(&p.a);
			CHECK(imsgbuf_write(&p.a) == 0);
		} while (imsgbuf_queuelen(&p.a) < n || n < 3);
		while (got < sent) {
			CHECK(imsgbuf_write(&p.a) == 0);
			CHECK(imsgbuf_read(&p.b) == 1);
			while (imsgbuf_get(&p.b, &m) == 1) {
				CHECK(imsg_get_type(&m) == got++);
				CHECK(payload_is(&m, big, 10000));
				imsg_free(&m);
			}
		}
		CHECK(imsgbuf_queuelen(&p.a) == 0);
		pair_clear(&p);
	}
}

static void
test_many(void)
{
	struct pair	 p;
	struct imsg	 m;
	uint32_t	 i;

	test_begin("more buffers than one write takes");
	pair_init(&p, 1);
	for (i = 0; i < 2500; i++)
		CHECK(imsg_compose(&p.a, i, 0, 0, -1, NULL, 0) == 1);
	CHECK(imsgbuf_write(&p.a) == 0);
	CHECK(imsgbuf_queuelen(&p.a) == 2500 - 1024);
	CHECK(imsgbuf_flush(&p.a) == 0);
	CHECK(imsgbuf_read(&p.b) == 1);
	for (i = 0; i < 2500; i++) {
		CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == i);
		imsg_free(&m);
	}
	pair_clear(&p);
}

static void
test_maxsize(void)
{
	struct pair	 p;
	struct imsg	 m;
	struct ibuf	*msg;

	test_begin("set_maxsize: grow, shrink, ERANGE, EINVAL");
	pair_init(&p, 0);
	CHECK_ERR(imsgbuf_set_maxsize(&p.a, UINT32_MAX), ERANGE);
	CHECK_ERR(imsgbuf_set_maxsize(&p.a, UINT32_MAX - 15), ERANGE);
	CHECK_ERR(imsgbuf_set_maxsize(&p.a, UINT32_MAX - 16), EINVAL);
	CHECK_ERR(imsgbuf_set_maxsize(&p.a, FD_MARK - 16), EINVAL);
	CHECK(imsgbuf_set_maxsize(&p.a, FD_MARK - 17) == 0);
	CHECK(imsgbuf_set_maxsize(&p.a, sizeof(big)) == 0);
	CHECK(imsgbuf_set_maxsize(&p.b, sizeof(big)) == 0);
	CHECK_ERR(imsg_compose(&p.a, 1, 0, 0, -1, big, sizeof(big) + 1),
	    ERANGE);
	CHECK(imsg_compose(&p.a, 1, 0, 0, -1, big, sizeof(big)) == 1);
	pump(&p);
	CHECK(imsgbuf_get(&p.b, &m) == 1);
	CHECK(payload_is(&m, big, sizeof(big)));
	imsg_free(&m);

	CHECK(imsgbuf_set_maxsize(&p.b, 4) == 0);
	CHECK(imsg_compose(&p.a, 1, 0, 0, -1, big, 4) == 1);
	pump(&p);
	CHECK(imsgbuf_get(&p.b, &m) == 1);
	imsg_free(&m);
	CHECK(imsg_compose(&p.a, 1, 0, 0, -1, big, 5) == 1);
	CHECK(imsgbuf_flush(&p.a) == 0);
	CHECK_ERR(imsgbuf_read(&p.b), ERANGE);
	CHECK(imsgbuf_set_maxsize(&p.b, 0) == 0);
	CHECK(imsg_compose(&p.b, 1, 0, 0, -1, NULL, 0) == 1);
	CHECK_ERR(imsg_compose(&p.b, 1, 0, 0, -1, big, 1), ERANGE);

	msg = imsg_create(&p.a, 1, 0, 0, 2);
	CHECK(msg != NULL && imsg_add(msg, "abcd", 4) == 4);
	CHECK_ERR(imsg_set_maxsize(msg, sizeof(big) + 1), ERANGE);
	CHECK_ERR(imsg_set_maxsize(msg, 3), ERANGE);
	CHECK_ERR(imsg_set_maxsize(msg, SIZE_MAX), ERANGE);
	CHECK(imsg_set_maxsize(msg, 5) == 0);
	CHECK(ibuf_add_n8(msg, 'e') == 0);
	CHECK_ERR(ibuf_add_n8(msg, 'f'), ERANGE);
	CHECK_ERR(imsg_set_maxsize(msg, 6), ERANGE);
	CHECK_ERR(imsg_add(msg, "f", 1), ERANGE);	/* frees it */
	pair_clear(&p);
}

static void
test_senders(void)
{
	struct iovec	 iov[3] = { { big, 2 }, { NULL, 0 }, { big + 2, 3 } };
	struct pair	 p;
	struct imsg	 m;
	struct ibuf	*b;
	char		 skipped;

	test_begin("composev, create and close, compose_ibuf");
	pair_init(&p, 0);
	CHECK(imsg_composev(&p.a, 1, 2, 3, -1, iov, 3) == 1);
	CHECK(imsg_composev(&p.a, 2, 2, 3, -1, NULL, 0) == 1);
	b = imsg_create(&p.a, 3, 2, 3, 0);
	CHECK(b != NULL && imsg_add(b, big, 0) == 0);
	CHECK(ibuf_add_n32(b, 1) == 0 && imsg_add(b, big, 2000) == 2000);
	CHECK(ibuf_get(b, &skipped, 1) == 0);	/* makes no difference */
	imsg_close(&p.a, b);
	CHECK(imsgbuf_queuelen(&p.a) == 3);
	b = ibuf_dynamic(0, 100);
	CHECK(b != NULL && ibuf_add(b, "xhello", 6) == 0);
	CHECK(ibuf_skip(b, 1) == 0);
	CHECK(imsg_compose_ibuf(&p.a, 4, 2, 3, b) == 1);
	CHECK(imsg_compose_ibuf(&p.a, 5, 2, 3, ibuf_open(0)) == 1);
	CHECK(imsgbuf_queuelen(&p.a) == 7);
	pump(&p);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && payload_is(&m, big, 5));
	CHECK(imsg_get_id(&m) == 2 && imsg_get_pid(&m) == 3);
	imsg_free(&m);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_len(&m) == 0);
	imsg_free(&m);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_len(&m) == 2004);
	imsg_free(&m);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && payload_is(&m, "hello", 5));
	CHECK(imsg_get_type(&m) == 4 && imsg_get_pid(&m) == 3);
	imsg_free(&m);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_len(&m) == 0);
	CHECK(imsg_get_type(&m) == 5);
	imsg_free(&m);

	iov[0].iov_len = SIZE_MAX;
	CHECK_ERR(imsg_composev(&p.a, 1, 0, 0, -1, iov, 3), ERANGE);
	iov[0].iov_len = MAX_PAYLOAD - 2;
	CHECK_ERR(imsg_composev(&p.a, 1, 0, 0, -1, iov, 3), ERANGE);
	b = ibuf_open(MAX_PAYLOAD + 1);
	CHECK(b != NULL && ibuf_add_zero(b, MAX_PAYLOAD + 1) == 0);
	CHECK_ERR(imsg_compose_ibuf(&p.a, 1, 0, 0, b), ERANGE);
	errno = 0;
	CHECK(imsg_create(&p.a, 1, 0, 0, MAX_PAYLOAD + 1) == NULL);
	CHECK(errno == ERANGE);
	CHECK(imsgbuf_queuelen(&p.a) == 0);
	pair_clear(&p);
}

static void
test_getters(void)
{
	struct pair	 p;
	struct imsg	 m;
	struct ibuf	 view;
	char		 s[16];

	test_begin("getters: short, exact, long, consumed length, empty");
	pair_init(&p, 0);
	CHECK(imsg_compose(&p.a, 1, 0, 0, -1, "0123456789", 10) == 1);
	CHECK(imsg_compose(&p.a, 1, 0, 0, -1, NULL, 0) == 1);
	pump(&p);
	CHECK(imsgbuf_get(&p.b, &m) == 1);
	CHECK_ERR(imsg_get_data(&m, s, 0), EINVAL);
	CHECK_ERR(imsg_get_data(&m, s, 9), EBADMSG);
	CHECK_ERR(imsg_get_data(&m, s, 11), EBADMSG);
	CHECK_ERR(imsg_get_buf(&m, s, 11), EBADMSG);
	CHECK(imsg_get_len(&m) == 10);
	CHECK(imsg_get_buf(&m, s, 2) == 0 && memcmp(s, "01", 2) == 0);
	CHECK(imsg_get_len(&m) == 8);
	CHECK_ERR(imsg_get_data(&m, s, 10), EBADMSG);
	CHECK(imsg_get_data(&m, s, 8) == 0 && memcmp(s, "23456789", 8) == 0);
	CHECK(imsg_get_len(&m) == 0);
	CHECK(m.hdr.len == 26 && memcmp(m.data, "0123456789", 10) == 0);
	CHECK_ERR(imsg_get_data(&m, s, 1), EBADMSG);
	CHECK(imsg_get_buf(&m, s, 0) == 0);
	CHECK_ERR(imsg_get_ibuf(&m, &view), EBADMSG);
	imsg_free(&m);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && m.data == NULL);
	CHECK(imsg_get_len(&m) == 0);
	CHECK_ERR(imsg_get_ibuf(&m, &view), EBADMSG);
	CHECK_ERR(imsg_get_data(&m, s, 1), EBADMSG);
	CHECK_ERR(imsg_get_data(&m, s, 0), EINVAL);
	CHECK_ERR(imsg_get_fd(&m), 0);
	imsg_free(&m);

	CHECK(imsg_compose(&p.a, 1, 0, 0, -1, "ab\0dEFGHijk\0mnop", 16) == 1);
	pump(&p);
	CHECK(imsgbuf_get(&p.b, &m) == 1);
	CHECK_ERR(imsg_get_strbuf(&m, s, 0), EINVAL);
	CHECK_ERR(imsg_get_strbuf(&m, s, 17), EBADMSG);
	CHECK(imsg_get_strbuf(&m, s, 4) == 0);
	CHECK(memcmp(s, "ab\0\0", 4) == 0);
	CHECK_ERR(imsg_get_strbuf(&m, s, 4), EOVERFLOW);
	CHECK(memcmp(s, "EFG", 4) == 0 && imsg_get_len(&m) == 8);
	CHECK(imsg_get_strbuf(&m, s, 4) == 0 && strcmp(s, "ijk") == 0);
	CHECK(imsg_get_ibuf(&m, &view) == 0 && imsg_get_len(&m) == 0);
	CHECK(ibuf_size(&view) == 4);
	CHECK(memcmp(ibuf_data(&view), "mnop", 4) == 0);
	imsg_free(&m);
	pair_clear(&p);
}

static void
test_forward(void)
{
	struct pair	 p, q;
	struct imsg	 m, f;
	char		 s[4];
	int		 i;

	test_begin("forward: whole payload, original pid, again and again");
	pair_init(&p, 0);
	pair_init(&q, 0);
	CHECK(imsg_compose(&p.a, 7, 8, 4242, -1, "payload", 7) == 1);
	pump(&p);
	CHECK(imsgbuf_get(&p.b, &m) == 1);
	for (i = 0; i < 2; i++) {
		CHECK(imsg_get_buf(&m, s, 3) == 0 && memcmp(s, "pay", 3) == 0);
		CHECK(imsg_forward(&q.a, &m) == 1);
		CHECK(payload_is(&m, "payload", 7));
	}
	pump(&q);
	for (i = 0; i < 2; i++) {
		CHECK(imsgbuf_get(&q.b, &f) == 1);
		CHECK(payload_is(&f, "payload", 7));
		CHECK(imsg_get_type(&f) == 7 && imsg_get_id(&f) == 8);
		CHECK(imsg_get_pid(&f) == 4242);
		imsg_free(&f);
	}
	CHECK(imsgbuf_set_maxsize(&q.a, 6) == 0);
	CHECK_ERR(imsg_forward(&q.a, &m), ERANGE);
	CHECK(imsgbuf_queuelen(&q.a) == 0);
	CHECK(payload_is(&m, "payload", 7));
	imsg_free(&m);

	raw_header(p.sv[0], 1, IMSG_HEADER_SIZE);	/* pid 0 is kept */
	CHECK(imsgbuf_read(&p.b) == 1 && imsgbuf_get(&p.b, &m) == 1);
	CHECK(imsg_forward(&q.a, &m) == 1);
	imsg_free(&m);
	pump(&q);
	CHECK(imsgbuf_get(&q.b, &f) == 1);
	CHECK(imsg_get_pid(&f) == 0 && imsg_get_len(&f) == 0);
	imsg_free(&f);
	pair_clear(&p);
	pair_clear(&q);
}

static void
test_park(void)
{
	struct ibufqueue	*q;
	struct pair		 p;
	struct imsg		 m;
	char			 s[2];

	test_begin("imsg_ibufq: rewound, zeroed, in order; junk: EBADMSG");
	q = ibufq_new();
	pair_init(&p, 0);
	CHECK(imsg_compose(&p.a, 1, 5, 6, -1, "one", 3) == 1);
	CHECK(imsg_compose(&p.a, 2, 5, 6, -1, NULL, 0) == 1);
	pump(&p);
	CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_buf(&m, s, 2) == 0);
	imsg_ibufq_push(q, &m);
	CHECK(m.buf == NULL && m.data == NULL && m.hdr.len == 0);
	imsg_free(&m);
	CHECK(imsgbuf_get(&p.b, &m) == 1);
	imsg_ibufq_push(q, &m);
	ibufq_push(q, ibuf_open(3));
	CHECK(ibufq_queuelen(q) == 3);
	CHECK(imsg_ibufq_pop(q, &m) == 1 && imsg_get_type(&m) == 1);
	CHECK(imsg_get_id(&m) == 5 && imsg_get_pid(&m) == 6);
	CHECK(payload_is(&m, "one", 3) && memcmp(m.data, "one", 3) == 0);
	imsg_free(&m);
	CHECK(imsg_ibufq_pop(q, &m) == 1 && imsg_get_type(&m) == 2);
	CHECK(m.data == NULL);
	imsg_free(&m);
	CHECK_ERR(imsg_ibufq_pop(q, &m), EBADMSG);
	CHECK(imsg_ibufq_pop(q, &m) == 0);
	ibufq_free(q);
	pair_clear(&p);
}

static volatile sig_atomic_t	 ticks;
static int			 tick_fd;
static int			 tick_reads;

/* Interrupts the first time, lets the call go on the second time. */
static void
on_tick(int sig)
{
	static char	 sink[1024 * 1024];
	struct imsg_hdr	 hdr = { 1, sizeof(hdr), 0, 0 };
	ssize_t		 n = 0;

	(void)sig;
	if (++ticks < 2)
		return;
	if (tick_reads)
		n = read(tick_fd, sink, sizeof(sink));
	else if (ticks == 2)
		n = write(tick_fd, &hdr, sizeof(hdr));
	if (n == -1)
		return;
}

static void
test_eintr(void)
{
	struct itimerval	 on = { { 0, 20000 }, { 0, 20000 } };
	struct itimerval	 off = { { 0, 0 }, { 0, 0 } };
	struct sigaction	 sa;
	struct pair		 p;
	struct imsg		 m;
	uint32_t		 n;
	int			 fdpass;

	test_begin("EINTR: reads and writes go on");
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_tick;
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	for (fdpass = 0; fdpass < 2; fdpass++) {
		pair_init(&p, fdpass);
		tick_fd = p.sv[0];
		tick_reads = 0;
		ticks = 0;
		CHECK(fcntl(p.sv[1], F_SETFL, 0) == 0);
		CHECK(setitimer(ITIMER_REAL, &on, NULL) == 0);
		CHECK(imsgbuf_read(&p.b) == 1 && ticks >= 2);
		CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
		CHECK(imsgbuf_get(&p.b, &m) == 1 && imsg_get_type(&m) == 1);
		imsg_free(&m);

		CHECK(fcntl(p.sv[1], F_SETFL, O_NONBLOCK) == 0);
		do {
			n = imsgbuf_queuelen(&p.b);
			CHECK(imsg_compose(&p.b, 1, 0, 0, -1, NULL, 0) == 1);
			CHECK(imsgbuf_write(&p.b) == 0);
		} while (imsgbuf_queuelen(&p.b) <= n);
		CHECK(fcntl(p.sv[1], F_SETFL, 0) == 0);
		tick_reads = 1;
		ticks = 0;
		CHECK(setitimer(ITIMER_REAL, &on, NULL) == 0);
		CHECK(imsgbuf_flush(&p.b) == 0 && ticks >= 2);
		CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
		pair_clear(&p);
	}
}

int
main(void)
{
	size_t	 i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = i * 7 + i / 251;
	test_sizes();
	test_bad_length();
	test_bytewise();
	test_eof();
	test_again();
	test_many();
	test_maxsize();
	test_senders();
	test_getters();
	test_forward();
	test_park();
	test_eintr();
	return (test_end());
}

/* SPDX-License-Identifier: ISC */

/*
 * Buffers, views, queues of buffers, and the reader fed by hand: every
 * function of ibuf_add(3) at its limits.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <signal.h>

#include "imsgpair.h"

#define CHECK_NULL(expr, err) do {					\
	errno = 0;							\
	CHECK((expr) == NULL);						\
	CHECK(errno == (err));						\
} while (0)

static void
test_open(void)
{
	struct ibuf	*b;

	test_begin("open and dynamic: sizes and limits");
	b = ibuf_open(0);
	CHECK(b != NULL && ibuf_size(b) == 0 && ibuf_left(b) == 0);
	CHECK(ibuf_data(b) == NULL);
	CHECK_ERR(ibuf_add(b, "x", 1), ERANGE);
	CHECK(ibuf_add(b, NULL, 0) == 0);
	CHECK(ibuf_add_zero(b, 0) == 0);
	CHECK(ibuf_add_ibuf(b, b) == 0);
	CHECK(ibuf_get(b, NULL, 0) == 0);
	CHECK(ibuf_set(b, 0, NULL, 0) == 0);
	CHECK(ibuf_truncate(b, 0) == 0);
	ibuf_free(b);

	b = ibuf_open(4);
	CHECK(ibuf_left(b) == 4);
	CHECK(ibuf_add(b, "abcd", 4) == 0);
	CHECK(ibuf_size(b) == 4 && ibuf_left(b) == 0);
	CHECK_ERR(ibuf_add(b, "e", 1), ERANGE);
	CHECK(memcmp(ibuf_data(b), "abcd", 4) == 0);
	ibuf_free(b);

	CHECK_NULL(ibuf_dynamic(0, 0), EINVAL);
	CHECK_NULL(ibuf_dynamic(2, 1), EINVAL);
	b = ibuf_dynamic(1, 1);
	CHECK(b != NULL);
	ibuf_free(b);
	b = ibuf_dynamic(0, 3);
	CHECK(b != NULL && ibuf_data(b) == NULL && ibuf_left(b) == 3);
	CHECK(ibuf_add(b, "ab", 2) == 0);
	CHECK_ERR(ibuf_add(b, "cd", 2), ERANGE);
	CHECK(ibuf_size(b) == 2);
	CHECK(ibuf_add(b, "c", 1) == 0);
	CHECK(memcmp(ibuf_data(b), "abc", 3) == 0);
	ibuf_free(b);

	errno = E2BIG;
	ibuf_free(NULL);
	CHECK(errno == E2BIG);
}

static void
test_reserve(void)
{
	struct ibuf	*b, view;
	unsigned char	*p;
	size_t		 i;

	test_begin("reserve: zeroed, ERANGE, overflow, EINVAL on a view");
	b = ibuf_dynamic(0, 100000);
	CHECK((p = ibuf_reserve(b, 10)) != NULL);
	for (i = 0; i < 10; i++)
		CHECK(p[i] == 0);
	memset(p, 'x', 10);
	CHECK(ibuf_truncate(b, 2) == 0);
	CHECK((p = ibuf_reserve(b, 8)) != NULL);
	for (i = 0; i < 8; i++)
		CHECK(p[i] == 0);
	CHECK_NULL(ibuf_reserve(b, 99991), ERANGE);
	CHECK_NULL(ibuf_reserve(b, SIZE_MAX), ERANGE);
	CHECK_NULL(ibuf_reserve(b, SIZE_MAX - 9), ERANGE);
	CHECK(ibuf_size(b) == 10);
	for (i = 10; i < 100000; i++)
		CHECK(ibuf_add_n8(b, i & 0xff) == 0);
	CHECK_ERR(ibuf_add_n8(b, 0), ERANGE);
	p = ibuf_data(b);
	for (i = 10; i < 100000; i++)
		if (p[i] != (i & 0xff))
			break;
	CHECK(i == 100000);

	ibuf_from_ibuf(&view, b);
	CHECK(ibuf_size(&view) == 100000 && ibuf_left(&view) == 0);
	CHECK_NULL(ibuf_reserve(&view, 1), EINVAL);
	CHECK_ERR(ibuf_add(&view, "x", 1), EINVAL);
	CHECK_ERR(ibuf_add_zero(&view, 1), EINVAL);
	CHECK_ERR(ibuf_add_n32(&view, 1), EINVAL);
	CHECK_ERR(ibuf_set_maxsize(&view, 1), EINVAL);
	ibuf_free(b);
}

static void
test_integers(void)
{
	static const unsigned char want[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
		0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f
	};
	struct ibuf	*b;
	uint64_t	 v64 = 0;
	uint32_t	 v32 = 0;
	uint16_t	 v16 = 0;
	uint8_t		 v8 = 0;

	test_begin("integers: byte order, EINVAL when they do not fit");
	b = ibuf_dynamic(0, 64);
	CHECK(ibuf_add_n8(b, 0x01) == 0);
	CHECK(ibuf_add_n16(b, 0x0203) == 0);
	CHECK(ibuf_add_n32(b, 0x04050607) == 0);
	CHECK(ibuf_add_n64(b, 0x08090a0b0c0d0e0fULL) == 0);
	CHECK(ibuf_size(b) == sizeof(want));
	CHECK(memcmp(ibuf_data(b), want, sizeof(want)) == 0);
	CHECK_ERR(ibuf_add_n8(b, 0x100), EINVAL);
	CHECK_ERR(ibuf_add_n16(b, 0x10000), EINVAL);
	CHECK_ERR(ibuf_add_n32(b, 0x100000000ULL), EINVAL);
	CHECK_ERR(ibuf_add_h16(b, 0x10000), EINVAL);
	CHECK_ERR(ibuf_add_h32(b, 0x100000000ULL), EINVAL);
	CHECK_ERR(ibuf_set_n8(b, 0, 0x100), EINVAL);
	CHECK_ERR(ibuf_set_n16(b, 0, 0x10000), EINVAL);
	CHECK_ERR(ibuf_set_n32(b, 0, 0x100000000ULL), EINVAL);
	CHECK_ERR(ibuf_set_h16(b, 0, 0x10000), EINVAL);
	CHECK_ERR(ibuf_set_h32(b, 0, 0x100000000ULL), EINVAL);
	CHECK(ibuf_size(b) == sizeof(want));
	CHECK(ibuf_get_n8(b, &v8) == 0 && v8 == 0x01);
	CHECK(ibuf_get_n16(b, &v16) == 0 && v16 == 0x0203);
	CHECK(ibuf_get_n32(b, &v32) == 0 && v32 == 0x04050607);
	CHECK(ibuf_get_n64(b, &v64) == 0 && v64 == 0x08090a0b0c0d0e0fULL);
	CHECK(ibuf_size(b) == 0);

	CHECK(ibuf_add_h16(b, UINT16_MAX) == 0);
	CHECK(ibuf_add_h32(b, 0x01020304) == 0);
	CHECK(ibuf_add_h64(b, UINT64_MAX) == 0);
	v32 = 0x01020304;
	CHECK(ibuf_size(b) == 14);
	CHECK(memcmp(ibuf_seek(b, 2, 4), &v32, 4) == 0);
	CHECK(ibuf_get_h16(b, &v16) == 0 && v16 == UINT16_MAX);
	CHECK(ibuf_get_h32(b, &v32) == 0 && v32 == 0x01020304);
	CHECK(ibuf_get_h64(b, &v64) == 0 && v64 == UINT64_MAX);
	ibuf_free(b);
}

static void
test_set(void)
{
	struct ibuf	*b;
	unsigned char	*p;

	test_begin("seek and set: inside the unread part only");
	b = ibuf_dynamic(20, 40);
	CHECK(ibuf_add_zero(b, 20) == 0);
	CHECK(ibuf_skip(b, 4) == 0);
	CHECK(ibuf_set(b, 0, "ab", 2) == 0);
	CHECK(ibuf_set(b, 14, "yz", 2) == 0);
	CHECK_ERR(ibuf_set(b, 15, "yz", 2), ERANGE);
	CHECK_ERR(ibuf_set(b, 17, "", 0), ERANGE);
	CHECK(ibuf_set(b, 16, "", 0) == 0);
	CHECK_ERR(ibuf_set(b, SIZE_MAX, "yz", 2), ERANGE);
	CHECK_ERR(ibuf_set(b, 2, "yz", SIZE_MAX), ERANGE);
	CHECK_NULL(ibuf_seek(b, 16, 1), ERANGE);
	CHECK_NULL(ibuf_seek(b, 1, SIZE_MAX), ERANGE);
	CHECK(ibuf_set_n8(b, 2, 0x22) == 0);
	CHECK(ibuf_set_n16(b, 3, 0x3344) == 0);
	CHECK(ibuf_set_n32(b, 5, 0x55667788) == 0);
	CHECK_ERR(ibuf_set_n64(b, 9, 1), ERANGE);
	CHECK(ibuf_set_n8(b, 9, 0x99) == 0);
	p = ibuf_seek(b, 0, 16);
	CHECK(p != NULL && memcmp(p, "ab\x22\x33\x44\x55\x66\x77\x88\x99"
	    "\0\0\0\0yz", 16) == 0);
	CHECK(ibuf_set_n64(b, 0, 0x0102030405060708ULL) == 0);
	CHECK(memcmp(p, "\1\2\3\4\5\6\7\x8", 8) == 0);
	CHECK(ibuf_set_h16(b, 0, 1) == 0);
	CHECK(ibuf_set_h32(b, 2, 1) == 0);
	CHECK(ibuf_set_h64(b, 6, 1) == 0);
	ibuf_rewind(b);
	CHECK(ibuf_size(b) == 20);
	CHECK(memcmp(ibuf_data(b), "\0\0\0\0", 4) == 0);
	ibuf_free(b);
}

#define CHECK_SHORT(b, get, type) do {					\
	type	 v_;							\
									\
	memset(&v_, 0xa5, sizeof(v_));					\
	CHECK(ibuf_truncate(b, sizeof(v_) - 1) == 0);			\
	CHECK_ERR(get(b, &v_), EBADMSG);				\
	CHECK(v_ == (type)0xa5a5a5a5a5a5a5a5ULL);			\
	CHECK(ibuf_size(b) == sizeof(v_) - 1);				\
	CHECK(ibuf_truncate(b, sizeof(v_)) == 0);			\
	CHECK(get(b, &v_) == 0);					\
	CHECK(ibuf_size(b) == 0);					\
	ibuf_rewind(b);							\
	CHECK(ibuf_truncate(b, sizeof(v_) + 1) == 0);			\
	CHECK(get(b, &v_) == 0);					\
	CHECK(ibuf_size(b) == 1);					\
	ibuf_rewind(b);							\
} while (0)

static void
test_short(void)
{
	struct ibuf	*b, view;
	char		 data[4] = "....";
	char		*s;

	test_begin("getters: short, exact, long; a short one touches nothing");
	b = ibuf_dynamic(0, 16);
	CHECK_SHORT(b, ibuf_get_n8, uint8_t);
	CHECK_SHORT(b, ibuf_get_n16, uint16_t);
	CHECK_SHORT(b, ibuf_get_n32, uint32_t);
	CHECK_SHORT(b, ibuf_get_n64, uint64_t);
	CHECK_SHORT(b, ibuf_get_h16, uint16_t);
	CHECK_SHORT(b, ibuf_get_h32, uint32_t);
	CHECK_SHORT(b, ibuf_get_h64, uint64_t);
	ibuf_free(b);

	b = ibuf_open(4);
	CHECK(ibuf_add(b, "abcd", 4) == 0);
	CHECK_ERR(ibuf_skip(b, 5), EBADMSG);
	CHECK_ERR(ibuf_skip(b, SIZE_MAX), EBADMSG);
	CHECK(ibuf_skip(b, 1) == 0);
	CHECK_ERR(ibuf_get(b, data, 4), EBADMSG);
	CHECK(memcmp(data, "....", 4) == 0);
	CHECK_ERR(ibuf_get_ibuf(b, 4, &view), EBADMSG);
	CHECK_NULL(ibuf_get_string(b, 4), EBADMSG);
	CHECK_ERR(ibuf_get_strbuf(b, data, 4), EBADMSG);
	CHECK(ibuf_size(b) == 3);
	CHECK(ibuf_get_ibuf(b, 2, &view) == 0);
	CHECK(ibuf_size(&view) == 2);
	CHECK(memcmp(ibuf_data(&view), "bc", 2) == 0);
	CHECK(ibuf_size(b) == 1);
	CHECK(ibuf_get_ibuf(b, 0, &view) == 0 && ibuf_size(&view) == 0);
	CHECK(ibuf_get(b, data, 1) == 0 && data[0] == 'd');
	s = ibuf_get_string(b, 0);
	CHECK(s != NULL && *s == '\0');
	free(s);
	ibuf_free(b);
}

static void
test_strings(void)
{
	struct ibuf	*b;
	char		 buf[8], *s;

	test_begin("strings: padding, missing NUL, zeroed tail");
	b = ibuf_dynamic(0, 64);
	CHECK(ibuf_add_strbuf(b, "abc", 8) == 0);
	CHECK(memcmp(ibuf_data(b), "abc\0\0\0\0\0", 8) == 0);
	CHECK(ibuf_add_strbuf(b, "abcdefg", 8) == 0);
	CHECK(ibuf_add_strbuf(b, "", 1) == 0);
	CHECK(ibuf_size(b) == 17);
	CHECK(ibuf_get_strbuf(b, buf, 8) == 0 && strcmp(buf, "abc") == 0);
	CHECK(ibuf_get_strbuf(b, buf, 8) == 0 && strcmp(buf, "abcdefg") == 0);
	CHECK(ibuf_get_strbuf(b, buf, 1) == 0 && buf[0] == '\0');
	CHECK_ERR(ibuf_get_strbuf(b, buf, 0), EINVAL);
	CHECK_ERR(ibuf_add_strbuf(b, "x", 0), EOVERFLOW);
	CHECK_ERR(ibuf_add_strbuf(b, "x", 48), ERANGE);
	CHECK_ERR(ibuf_add_strbuf(b, "abcdefgh", 8), EOVERFLOW);
	ibuf_free(b);

	b = ibuf_dynamic(0, 64);
	CHECK(ibuf_add(b, "a\0bcdefg" "12345678" "xy\0z", 20) == 0);
	CHECK(ibuf_get_strbuf(b, buf, 8) == 0);
	CHECK(memcmp(buf, "a\0\0\0\0\0\0\0", 8) == 0);
	CHECK_ERR(ibuf_get_strbuf(b, buf, 8), EOVERFLOW);
	CHECK(strcmp(buf, "1234567") == 0);
	CHECK(ibuf_size(b) == 4);
	s = ibuf_get_string(b, 4);
	CHECK(s != NULL && strcmp(s, "xy") == 0);
	free(s);
	CHECK(ibuf_size(b) == 0);
	CHECK(ibuf_add(b, "no nul", 6) == 0);
	s = ibuf_get_string(b, 6);
	CHECK(s != NULL && strcmp(s, "no nul") == 0);
	free(s);
	ibuf_free(b);
}

static void
test_truncate(void)
{
	struct ibuf	*b, view;
	char		 mem[] = "abcdef";

	test_begin("truncate, rewind, maxsize, views of a part");
	b = ibuf_dynamic(0, 10);
	CHECK(ibuf_add(b, "abcdef", 6) == 0);
	CHECK(ibuf_skip(b, 2) == 0);
	CHECK(ibuf_truncate(b, 3) == 0 && ibuf_size(b) == 3);
	CHECK(ibuf_truncate(b, 5) == 0 && ibuf_size(b) == 5);
	CHECK(memcmp(ibuf_data(b), "cde\0\0", 5) == 0);
	CHECK_ERR(ibuf_truncate(b, 9), ERANGE);
	CHECK(ibuf_size(b) == 5);
	CHECK(ibuf_truncate(b, 0) == 0 && ibuf_size(b) == 0);
	ibuf_rewind(b);
	CHECK(ibuf_size(b) == 2);

	CHECK(ibuf_left(b) == 8);
	CHECK_ERR(ibuf_set_maxsize(b, 11), ERANGE);
	CHECK_ERR(ibuf_set_maxsize(b, 1), ERANGE);
	CHECK(ibuf_left(b) == 8);
	CHECK(ibuf_set_maxsize(b, 3) == 0 && ibuf_left(b) == 1);
	CHECK_ERR(ibuf_set_maxsize(b, 10), ERANGE);
	CHECK(ibuf_add(b, "x", 1) == 0);
	CHECK_ERR(ibuf_add(b, "y", 1), ERANGE);
	CHECK(ibuf_set_maxsize(b, 3) == 0);
	ibuf_free(b);

	ibuf_from_buffer(&view, mem, 6);
	CHECK(ibuf_skip(&view, 1) == 0);
	CHECK(ibuf_truncate(&view, 2) == 0 && ibuf_size(&view) == 2);
	CHECK_ERR(ibuf_truncate(&view, 3), ERANGE);
	CHECK(ibuf_set_n8(&view, 0, 'B') == 0 && mem[1] == 'B');
	CHECK(!ibuf_fd_avail(&view));
	errno = 0;
	CHECK(ibuf_fd_get(&view) == -1 && errno == 0);
	CHECK_ERR(ibuf_fd_get(&view), 0);
	ibuf_from_buffer(&view, NULL, 0);
	CHECK(ibuf_size(&view) == 0 && ibuf_data(&view) == NULL);
	b = ibuf_open(8);
	CHECK(ibuf_add_ibuf(b, &view) == 0 && ibuf_size(b) == 0);
	ibuf_from_buffer(&view, mem, 6);
	CHECK(ibuf_skip(&view, 4) == 0);
	CHECK(ibuf_add_ibuf(b, &view) == 0);
	CHECK(ibuf_size(b) == 2 && memcmp(ibuf_data(b), "ef", 2) == 0);
	ibuf_free(b);
}

static void
test_fd(void)
{
	struct ibuf	*b;
	int		 p[2], q[2];

	test_begin("descriptor of a buffer: get once, set closes, free closes");
	CHECK(pipe(p) == 0 && pipe(q) == 0);
	b = ibuf_open(1);
	CHECK(!ibuf_fd_avail(b));
	CHECK_ERR(ibuf_fd_get(b), 0);
	ibuf_fd_set(b, p[0]);
	CHECK(ibuf_fd_avail(b));
	CHECK(ibuf_fd_get(b) == p[0]);
	CHECK_ERR(ibuf_fd_get(b), 0);
	CHECK(is_open(p[0]));
	ibuf_fd_set(b, p[0]);
	ibuf_fd_set(b, p[1]);
	CHECK(!is_open(p[0]) && is_open(p[1]));
	ibuf_fd_set(b, -1);
	CHECK(!is_open(p[1]) && !ibuf_fd_avail(b));
	ibuf_fd_set(b, IBUF_FD_LOST);
	CHECK(!ibuf_fd_avail(b));
	CHECK_ERR(ibuf_fd_get(b), EMFILE);
	ibuf_fd_set(b, q[0]);
	errno = E2BIG;
	ibuf_free(b);
	CHECK(errno == E2BIG && !is_open(q[0]));
	close(q[1]);
}

static void
test_queue(void)
{
	struct ibufqueue	*q, *r;
	struct ibuf		*b;
	int			 i, p[2];

	test_begin("ibufq: order, length, concat, flush and free");
	q = ibufq_new();
	r = ibufq_new();
	CHECK(q != NULL && r != NULL);
	CHECK(ibufq_pop(q) == NULL && ibufq_queuelen(q) == 0);
	for (i = 0; i < 6; i++) {
		b = ibuf_open(4);
		CHECK(ibuf_add_n32(b, i) == 0);
		ibufq_push(i < 3 ? q : r, b);
	}
	ibufq_concat(q, r);
	CHECK(ibufq_queuelen(q) == 6 && ibufq_queuelen(r) == 0);
	CHECK(ibufq_pop(r) == NULL);
	ibufq_concat(q, r);
	CHECK(ibufq_queuelen(q) == 6);
	for (i = 0; i < 4; i++) {
		uint32_t	 v = 99;

		b = ibufq_pop(q);
		CHECK(b != NULL && ibuf_get_n32(b, &v) == 0);
		CHECK(v == (uint32_t)i);
		ibuf_free(b);
	}
	CHECK(pipe(p) == 0);
	b = ibuf_open(0);
	ibuf_fd_set(b, p[0]);
	ibufq_push(q, b);
	ibufq_flush(q);
	CHECK(ibufq_queuelen(q) == 0 && !is_open(p[0]));
	b = ibuf_open(0);
	ibuf_fd_set(b, p[1]);
	ibufq_push(q, b);
	ibufq_free(q);
	CHECK(!is_open(p[1]));
	ibufq_free(r);
	ibufq_free(NULL);
}

enum abuse { FREE, CLOSE, PUSH, FD_SET_NONE, COMPOSE, ABUSE_MAX };

static void
abuse(enum abuse how)
{
	struct imsgbuf	 ch;
	struct ibuf	 view;
	char		 mem[4] = "";

	ibuf_from_buffer(&view, mem, sizeof(mem));
	switch (how) {
	case FREE:
		ibuf_free(&view);
		break;
	case CLOSE:
		ibuf_close(msgbuf_new(), &view);
		break;
	case PUSH:
		ibufq_push(ibufq_new(), &view);
		break;
	case FD_SET_NONE:
		ibuf_fd_set(&view, -1);
		break;
	case COMPOSE:
		if (imsgbuf_init(&ch, -1) == 0)
			imsg_compose_ibuf(&ch, 1, 0, 0, &view);
		break;
	default:
		break;
	}
}

static void
test_abort(void)
{
	struct rlimit	 none = { 0, 0 };
	pid_t		 pid;
	int		 how, status;

	test_begin("views: free, close, push, fd_set and compose abort");
	fflush(NULL);
	for (how = 0; how < ABUSE_MAX; how++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			setrlimit(RLIMIT_CORE, &none);
			abuse(how);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

/* A header of one byte: the length of the whole message. */
static struct ibuf *
read_header(struct ibuf *hdr, void *arg, int *fd)
{
	int		*calls = arg;
	uint8_t		 len;
	struct ibuf	*b;

	(*calls)++;
	if (ibuf_size(hdr) != 1 || ibuf_get_n8(hdr, &len) == -1)
		return (NULL);
	if (len == 0) {
		errno = 0;
		return (NULL);
	}
	if (len == 255)
		return (ibuf_open(0));
	if ((b = ibuf_open(len)) == NULL)
		return (NULL);
	if (len == 2) {
		ibuf_fd_set(b, *fd);
		*fd = -1;
	}
	return (b);
}

static void
test_reader(void)
{
	struct msgbuf	*m, *w;
	struct ibuf	*b;
	int		 calls = 0, p[2], s[2];

	test_begin("reader with a header of its own: msgbuf_ and ibuf_ calls");
	CHECK_NULL(msgbuf_new_reader(0, read_header, &calls), EINVAL);
	CHECK_NULL(msgbuf_new_reader(32768, read_header, &calls), EINVAL);
	m = msgbuf_new_reader(32767, read_header, &calls);
	CHECK(m != NULL);
	msgbuf_free(m);
	msgbuf_free(NULL);

	w = msgbuf_new();
	m = msgbuf_new_reader(1, read_header, &calls);
	CHECK(w != NULL && m != NULL);
	CHECK_ERR(ibuf_read(0, w), EINVAL);
	CHECK_ERR(msgbuf_read(0, w), EINVAL);
	CHECK_ERR(msgbuf_feed(w, "x", 1, -1), EINVAL);

	CHECK(msgbuf_feed(m, "\3ab\1", 4, -1) == 1 && calls == 2);
	b = msgbuf_get(m);
	CHECK(b != NULL && ibuf_size(b) == 3);
	CHECK(b != NULL && memcmp(ibuf_data(b), "\3ab", 3) == 0);
	ibuf_free(b);
	b = msgbuf_get(m);
	CHECK(b != NULL && ibuf_size(b) == 1);
	ibuf_free(b);
	CHECK(msgbuf_get(m) == NULL);
	CHECK(msgbuf_feed(m, "", 0, -1) == 0);

	CHECK(pipe(p) == 0);
	CHECK(msgbuf_feed(m, "\2a\2a", 4, p[0]) == 1);
	b = msgbuf_get(m);
	CHECK(b != NULL && ibuf_fd_get(b) == p[0]);
	ibuf_free(b);
	b = msgbuf_get(m);
	CHECK(b != NULL && !ibuf_fd_avail(b));
	ibuf_free(b);
	CHECK(msgbuf_feed(m, "\1", 1, p[0]) == 1);
	CHECK(!is_open(p[0]));

	CHECK_ERR(msgbuf_feed(m, "\1\0", 2, -1), EBADMSG);
	CHECK_ERR(msgbuf_feed(m, "\1", 1, p[1]), EBADMSG);
	CHECK(!is_open(p[1]));
	b = msgbuf_get(m);
	CHECK(b != NULL);
	ibuf_free(b);
	msgbuf_clear(m);
	CHECK(msgbuf_get(m) == NULL);
	CHECK(msgbuf_feed(m, "\1", 1, -1) == 1);
	CHECK_ERR(msgbuf_feed(m, "\377", 1, -1), EINVAL);
	msgbuf_clear(m);

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	CHECK(ibuf_write(s[0], w) == 0 && msgbuf_write(s[0], w) == 0);
	ibuf_close(w, ibuf_open(0));
	CHECK(msgbuf_queuelen(w) == 1);
	CHECK(ibuf_write(s[0], w) == 0 && msgbuf_queuelen(w) == 0);
	b = ibuf_open(3);
	CHECK(ibuf_add(b, "\3xy", 3) == 0);
	ibuf_close(w, b);
	ibuf_close(w, ibuf_open(0));
	CHECK(ibuf_write(s[0], w) == 0 && msgbuf_queuelen(w) == 0);
	CHECK(ibuf_read(s[1], m) == 1 && ibuf_read(s[1], m) == 1);
	b = msgbuf_get(m);
	CHECK(b != NULL && ibuf_size(b) == 3);
	ibuf_free(b);

	/* An empty buffer's descriptor must not go with the next bytes. */
	msgbuf_set_strict(m);
	b = ibuf_open(0);
	ibuf_fd_set(b, dup(s[0]));
	ibuf_close(w, b);
	b = ibuf_open(1);
	CHECK(ibuf_add_n8(b, 1) == 0);
	ibuf_close(w, b);
	CHECK(msgbuf_write(s[0], w) == 0 && msgbuf_queuelen(w) == 0);
	CHECK(msgbuf_read(s[1], m) == 1);
	b = msgbuf_get(m);
	CHECK(b != NULL && !ibuf_fd_avail(b));
	ibuf_free(b);
	close(s[0]);
	CHECK(ibuf_read(s[1], m) == 0);
	close(s[1]);
	CHECK_ERR(ibuf_read(-1, m), EBADF);
	CHECK_ERR(ibuf_read(-1, m), EBADF);
	msgbuf_free(m);
	msgbuf_free(w);
}

static void
test_concat(void)
{
	struct ibufqueue	*q;
	struct msgbuf		*w;
	struct ibuf		*b;
	char			 got[8];
	int			 i, p[2];

	test_begin("msgbuf_concat keeps the order; a pipe can be written to");
	q = ibufq_new();
	w = msgbuf_new();
	CHECK(q != NULL && w != NULL && pipe(p) == 0);
	for (i = 0; i < 4; i++) {
		b = ibuf_open(1);
		CHECK(ibuf_add_n8(b, 'a' + i) == 0);
		if (i == 0)
			ibuf_close(w, b);
		else
			ibufq_push(q, b);
	}
	msgbuf_concat(w, q);
	CHECK(msgbuf_queuelen(w) == 4 && ibufq_queuelen(q) == 0);
	CHECK(ibuf_write(p[1], w) == 0 && msgbuf_queuelen(w) == 0);
	CHECK(read(p[0], got, sizeof(got)) == 4 && memcmp(got, "abcd", 4) == 0);
	close(p[0]);
	close(p[1]);
	ibufq_free(q);
	msgbuf_free(w);
}

int
main(void)
{
	test_open();
	test_reserve();
	test_integers();
	test_set();
	test_short();
	test_strings();
	test_truncate();
	test_fd();
	test_queue();
	test_abort();
	test_reader();
	test_concat();
	return (test_end());
}

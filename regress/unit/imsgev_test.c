/* SPDX-License-Identifier: ISC */

/*
 * The dispatcher of channels: what the table does not allow never reaches a
 * handler, whatever the peer sends; how channels end; what is queued for a
 * peer that does not read.
 */

#include <sys/resource.h>

#include <event.h>

#include "imsgev.h"
#include "imsgpair.h"

#define STATE_A	0x01
#define STATE_B	0x02

struct side {
	struct imsgev	 iev;
	struct imsgbuf	 peer;
	int		 fd;		/* the peer's end; -1: closed */
	int		 calls, ends;
	int		 clear;		/* in the handler */
	int		 answer;	/* with a message */
	int		 keep;		/* the descriptor */
	enum imsgev_end	 end;
	uint32_t	 last;
	int		 lastfd;
};

static int	on_u32(struct imsgev *, struct ibuf *, int *);
static int	on_fd(struct imsgev *, struct ibuf *, int *);
static int	on_signal(struct imsgev *, struct ibuf *, int *);

static const struct imsgev_handler	 table[] = {
	{ MSG_VM_GONE,		STATE_A,		on_u32 },
	{ MSG_SETUP_LISTEN,	STATE_A | STATE_B,	on_fd },
	{ MSG_CTL_STATUS,	STATE_A,		on_signal },
	{ MSG_VM_CONF,		STATE_B,		on_signal },
	{ 0, 0, NULL }
};

static int
on_u32(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct side	*s = iev->iev_arg;

	s->calls++;
	CHECK(*fd == -1);
	if (s->clear) {
		imsgev_clear(iev);
		/* As if it were freed. */
		memset(iev, 0xa5, sizeof(*iev));
	}
	return (msg_u32_decode(b, &s->last));
}

static int
on_fd(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct side	*s = iev->iev_arg;
	int		 v;

	s->calls++;
	s->lastfd = *fd;
	if (s->keep)
		*fd = -1;
	return (msg_u8_decode(b, &v, 2));
}

static int
on_signal(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct side	*s = iev->iev_arg;

	(void)fd;
	s->calls++;
	CHECK(ibuf_size(b) == 0);
	while (s->answer > 0 && s->answer--)
		imsgev_signal(iev, MSG_CTL_END);
	if (s->answer == -1)
		imsgev_signal(iev, MSG_CTL_END);
	return (0);
}

static void
on_end(struct imsgev *iev, enum imsgev_end end)
{
	struct side	*s = iev->iev_arg;

	s->ends++;
	s->end = end;
	CHECK(iev->iev_fd == -1);
}

static void
side_init(struct side *s)
{
	int	 sv[2];

	memset(s, 0, sizeof(*s));
	s->lastfd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    sv) == -1 || imsgbuf_init(&s->peer, sv[1]) == -1 ||
	    imsgev_init(&s->iev, sv[0], table, STATE_A, on_end, s) == -1) {
		perror("side_init");
		exit(1);
	}
	imsgbuf_allow_fdpass(&s->peer);
	s->fd = sv[1];
}

static void
side_clear(struct side *s)
{
	imsgev_clear(&s->iev);
	imsgev_clear(&s->iev);
	imsgbuf_clear(&s->peer);
	if (s->fd != -1)
		close(s->fd);
}

/* All that is ready now. */
static void
loop(void)
{
	int	 i;

	for (i = 0; i < 50; i++)
		event_loop(EVLOOP_NONBLOCK);
}

static void
say(struct side *s, uint32_t type, int fd, const void *p, size_t len)
{
	CHECK(imsg_compose(&s->peer, type, 0, 0, fd, p, len) == 1);
	CHECK(imsgbuf_flush(&s->peer) == 0);
	loop();
}

/* One message that must not reach a handler. */
static void
refused(uint32_t state, uint32_t type, int fd, const void *p, size_t len,
    int calls, const char *why)
{
	struct side	 s;

	side_init(&s);
	s.iev.iev_state = state;
	say(&s, type, fd, p, len);
	CHECK(s.calls == calls);
	CHECK(s.ends == 1 && s.end == IMSGEV_VIOLATION);
	CHECK(strstr(s.iev.iev_why, why) != NULL);
	side_clear(&s);
}

static void
test_table(void)
{
	struct side	 s;
	uint8_t		 bytes[8] = { 0, 0, 0, 7 };
	int		 n;

	n = count_open();
	test_begin("a message that every column allows");
	side_init(&s);
	say(&s, MSG_VM_GONE, -1, bytes, 4);
	CHECK(s.calls == 1 && s.last == 7 && s.ends == 0);
	say(&s, MSG_CTL_STATUS, -1, NULL, 0);
	CHECK(s.calls == 2 && s.ends == 0);
	side_clear(&s);

	test_begin("unknown type");
	refused(STATE_A, 0x7777, -1, bytes, 4, 0, "unexpected message");
	refused(STATE_A, 0, -1, bytes, 4, 0, "unexpected message");
	test_begin("a type that this sender may not send");
	refused(STATE_A, MSG_VM_UP, -1, NULL, 0, 0, "VM_UP");
	test_begin("wrong state");
	refused(STATE_B, MSG_VM_GONE, -1, bytes, 4, 0, "in state");
	refused(STATE_A, MSG_VM_CONF, -1, bytes, 4, 0, "in state");
	test_begin("too short and too long");
	refused(STATE_A, MSG_VM_GONE, -1, bytes, 3, 0, "of 3 bytes");
	refused(STATE_A, MSG_VM_GONE, -1, bytes, 5, 0, "of 5 bytes");
	refused(STATE_A, MSG_VM_GONE, -1, NULL, 0, 0, "of 0 bytes");
	refused(STATE_A, MSG_CTL_STATUS, -1, bytes, 1, 0, "of 1 bytes");
	test_begin("descriptor missing, descriptor too much");
	refused(STATE_A, MSG_SETUP_LISTEN, -1, bytes, 1, 0, "without its");
	refused(STATE_A, MSG_VM_GONE, make_fd(), bytes, 4, 0, "with a");
	test_begin("malformed payload");
	bytes[0] = 2;
	refused(STATE_A, MSG_SETUP_LISTEN, make_fd(), bytes, 1, 1,
	    "malformed SETUP_LISTEN");
	test_begin("no descriptor is left behind");
	CHECK(count_open() == n);
}

static void
test_fd(void)
{
	struct side	 s;
	uint8_t		 zero = 0;

	test_begin("a descriptor is the handler's if it takes it, else closed");
	side_init(&s);
	say(&s, MSG_SETUP_LISTEN, make_fd(), &zero, 1);
	CHECK(s.calls == 1 && s.lastfd != -1 && !is_open(s.lastfd));
	s.keep = 1;
	say(&s, MSG_SETUP_LISTEN, make_fd(), &zero, 1);
	CHECK(s.calls == 2 && is_open(s.lastfd));
	close(s.lastfd);
	side_clear(&s);
}

static void
test_garbage(void)
{
	struct side	 s;

	test_begin("bytes that are no message");
	side_init(&s);
	raw_header(s.fd, MSG_VM_GONE, 15);
	loop();
	CHECK(s.calls == 0 && s.ends == 1 && s.end == IMSGEV_VIOLATION);
	side_clear(&s);
	side_init(&s);
	raw_header(s.fd, MSG_SETUP_LISTEN, 17 | FD_MARK);
	CHECK(write(s.fd, "", 1) == 1);
	loop();
	CHECK(s.calls == 0 && s.ends == 1 && s.end == IMSGEV_VIOLATION);
	side_clear(&s);
}

static void
test_end_of_file(void)
{
	struct side	 s;
	uint8_t		 bytes[4] = { 0, 0, 0, 9 };

	test_begin("what was said before the end is heard, then the end");
	side_init(&s);
	CHECK(imsg_compose(&s.peer, MSG_VM_GONE, 0, 0, -1, bytes, 4) == 1);
	CHECK(imsg_compose(&s.peer, MSG_VM_GONE, 0, 0, -1, bytes, 4) == 1);
	CHECK(imsgbuf_flush(&s.peer) == 0);
	close(s.fd);
	s.fd = -1;
	loop();
	CHECK(s.calls == 2 && s.ends == 1 && s.end == IMSGEV_EOF);
	/* Whatever is sent then is dropped, descriptors included. */
	s.lastfd = make_fd();
	imsgev_send(&s.iev, MSG_SETUP_LISTEN, s.lastfd, msg_u8_encode(1));
	CHECK(!is_open(s.lastfd));
	imsgev_flush(&s.iev);
	side_clear(&s);

	test_begin("a peer that takes nothing more, but stays");
	side_init(&s);
	CHECK(imsg_compose(&s.peer, MSG_VM_GONE, 0, 0, -1, bytes, 4) == 1);
	CHECK(imsgbuf_flush(&s.peer) == 0);
	CHECK(shutdown(s.fd, SHUT_RD) == 0);
	imsgev_signal(&s.iev, MSG_CTL_END);
	loop();
	CHECK(s.calls == 1 && s.ends == 1 && s.end == IMSGEV_EOF);
	side_clear(&s);
}

static void
test_clear(void)
{
	struct side	 s;
	uint8_t		 bytes[4] = { 0, 0, 0, 1 };
	int		 i, n;

	test_begin("cleared and freed inside a handler");
	n = count_open();
	side_init(&s);
	s.clear = 1;
	for (i = 0; i < 3; i++)
		CHECK(imsg_compose(&s.peer, MSG_VM_GONE, 0, 0, -1, bytes,
		    4) == 1);
	CHECK(imsgbuf_flush(&s.peer) == 0);
	loop();
	CHECK(s.calls == 1 && s.ends == 0);
	imsgbuf_clear(&s.peer);
	close(s.fd);
	CHECK(count_open() == n);
}

/* Read what came; returns how many messages. */
static int
hear(struct side *s)
{
	struct imsg	 imsg;
	int		 n;

	n = 0;
	(void)imsgbuf_read(&s->peer);
	while (imsgbuf_get(&s->peer, &imsg) == 1) {
		CHECK(imsg_get_type(&imsg) == MSG_CTL_END);
		imsg_free(&imsg);
		n++;
	}
	return (n);
}

static void
test_bound(void)
{
	struct side	 s;
	int		 i, n, asked, heard;

	test_begin("a peer that ignores answers is not heard any more");
	side_init(&s);
	s.answer = -1;
	for (asked = i = 0; i < 200; i++) {
		for (n = 0; n < 100; n++, asked++)
			CHECK(imsg_compose(&s.peer, MSG_CTL_STATUS, 0, 0, -1,
			    NULL, 0) == 1);
		CHECK(imsgbuf_write(&s.peer) == 0);
		event_loop(EVLOOP_NONBLOCK);
	}
	loop();
	CHECK(imsgbuf_queuelen(&s.iev.iev_ibuf) > 0);
	CHECK(imsgbuf_queuelen(&s.iev.iev_ibuf) <= IMSGEV_QUEUE_MAX + 1);
	CHECK(s.calls < asked && s.ends == 0);

	test_begin("and all is answered once it reads");
	for (heard = i = 0; i < 100000 && heard < asked; i++) {
		CHECK(imsgbuf_write(&s.peer) == 0);
		event_loop(EVLOOP_NONBLOCK);
		heard += hear(&s);
	}
	CHECK(heard == asked && s.calls == asked && s.ends == 0);
	side_clear(&s);

	test_begin("without a bound the peer is always heard");
	side_init(&s);
	s.iev.iev_queue_max = UINT32_MAX;
	s.answer = 20 * IMSGEV_QUEUE_MAX;
	say(&s, MSG_CTL_STATUS, -1, NULL, 0);
	CHECK(imsgbuf_queuelen(&s.iev.iev_ibuf) > IMSGEV_QUEUE_MAX);
	say(&s, MSG_CTL_STATUS, -1, NULL, 0);
	CHECK(s.calls == 2);
	side_clear(&s);
}

static void
test_room(void)
{
	const uint8_t	 zero = 0;
	struct rlimit	 old, few;
	struct side	 s;
	int		 fd;

	test_begin("without room for a descriptor nothing is read");
	side_init(&s);
	s.iev.iev_takes_fds = 1;
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	if ((fd = dup(s.fd)) == -1) {
		perror("dup");
		exit(1);
	}
	few = old;
	few.rlim_cur = (rlim_t)fd;
	close(fd);
	fd = make_fd();
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	say(&s, MSG_SETUP_LISTEN, fd, &zero, 1);
	CHECK(s.calls == 0 && s.ends == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	while (s.calls == 0 && s.ends == 0)
		event_loop(EVLOOP_ONCE);
	CHECK(s.calls == 1 && s.lastfd != -1 && s.ends == 0);
	side_clear(&s);
}

/* No channel: least of all descriptor 0. */
static void
test_memory(void)
{
	struct side	 s;
	struct rlimit	 old, none;
	void		*p, *all = NULL;
	int		 sv[2];

	test_begin("without memory there is no channel");
#ifdef __SANITIZE_ADDRESS__
	test_skip("the sanitizer's allocator ends the program");
	return;
#endif
	memset(&s, 0, sizeof(s));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	CHECK(getrlimit(RLIMIT_AS, &old) == 0);
	none = old;
	none.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_AS, &none) == 0);
	while ((p = malloc(32 * 1024)) != NULL) {
		memcpy(p, &all, sizeof(all));
		all = p;
	}
	CHECK(imsgev_init(&s.iev, sv[0], table, STATE_A, on_end, &s) == -1);
	CHECK(setrlimit(RLIMIT_AS, &old) == 0);
	while ((p = all) != NULL) {
		memcpy(&all, p, sizeof(all));
		free(p);
	}
	CHECK(s.iev.iev_fd == -1);
	imsgev_signal(&s.iev, MSG_CTL_END);
	imsgev_clear(&s.iev);
	CHECK(close(sv[0]) == 0 && close(sv[1]) == 0);
}

int
main(void)
{
	struct event_base	*base;

	base = event_init();
	test_table();
	test_fd();
	test_garbage();
	test_end_of_file();
	test_clear();
	test_bound();
	test_room();
	test_memory();
	event_base_free(base);
	return (test_end());
}

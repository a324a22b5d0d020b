/* SPDX-License-Identifier: ISC */

/*
 * For the fuzz target of the engine: the parent and the frontend, and what
 * all players share.  What the engine sends is judged as the frontend and
 * the parent judge it.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "log.h"
#include "play.h"

#define TOKENS_MAX	8192
#define TRIES		20	/* until a full channel is given up */

enum token_state { TK_NONE, TK_LIVE, TK_FREED };

struct tokens {
	unsigned int	 n;
	uint8_t		 state[TOKENS_MAX];
};

struct world		 w;
int			 play_memoryless, play_armed;
static struct tokens	 tokens;

static void	 play_conf(unsigned int);
static void	 play_message(struct imsg *);
static void	 play_freed(struct ibuf *);
static void	 play_stats(struct ibuf *);
static void	 play_asked(uint32_t, struct ibuf *);
static struct client *play_client(uint32_t);
static void	 play_reply(struct client *, unsigned int);
static void	 play_answer(struct input *);
static void	 play_lie(struct input *);
static void	 play_token_make(char [TOKEN_SIZE], unsigned int);
static void	 play_parent(void);
static void	 play_acked(struct imsg *);
static void	 play_reload(struct input *, unsigned int);

void
play_bug(const char *file, int line, const char *fmt, ...)
{
	va_list	 ap;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

uint8_t
in_u8(struct input *in)
{
	if (in->len == 0)
		return (0);
	in->len--;
	return (*in->p++);
}

const uint8_t *
in_bytes(struct input *in, size_t max, size_t *len)
{
	const uint8_t	*p;

	*len = in_u8(in);
	if (*len > max)
		*len = max;
	if (*len > in->len)
		*len = in->len;
	p = in->p;
	in->p += *len;
	in->len -= *len;
	return (p);
}

/* Ours is not blocking; the engine's end is what it would be given. */
void
play_pair(int sv[2], int small)
{
	int	 i, size = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    sv) == -1)
		BUG("socketpair: %s", strerror(errno));
	for (i = 0; small && i < 2; i++)
		setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void
play_put(int fd, const void *data, size_t len)
{
	const uint8_t	*p = data;
	size_t		 n;
	ssize_t		 sent;
	int		 pieces, tries;

	pieces = 0;
	for (tries = 0; fd != -1 && len > 0 && tries < 3;) {
		n = w.cut > 0 && w.cut < len && pieces++ < 8 ? w.cut : len;
		sent = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent == -1) {
			if (errno != EAGAIN)
				return;
			tries++;
			sent = 0;
		}
		p += sent;
		len -= (size_t)sent;
		if (len > 0)
			engine_run();
	}
}

/* Templates: @ is a container's number, # a process', $ a stream's. */
void
play_text(char *buf, size_t size, const char *tmpl, unsigned int arg)
{
	size_t	 n;

	for (n = 0; *tmpl != '\0' && n + 16 < size; tmpl++) {
		switch (*tmpl) {
		case '@':
			buf[n++] = (char)('0' + (arg & 3));
			break;
		case '#':
			buf[n++] = (char)('0' + (arg >> 2 & 3));
			break;
		case '$':
			n += (size_t)snprintf(buf + n, size - n, "%u",
			    arg >> 4 & 15);
			break;
		default:
			buf[n++] = *tmpl;
			break;
		}
	}
	buf[n] = '\0';
}

/*
 * Tokens: a number in characters.
 */

static void
play_token_make(char token[TOKEN_SIZE], unsigned int i)
{
	int	 n;

	memset(token, 'A', TOKEN_LEN - 1);
	n = snprintf(token, TOKEN_SIZE, "t%04u", i);
	token[n] = 'A';
	token[TOKEN_LEN - 1] = '=';
	token[TOKEN_LEN] = '\0';
}

const char *
play_token(unsigned int i)
{
	static char	 token[TOKEN_SIZE];

	play_token_make(token, i);
	return (token);
}

int
play_mint(char (*t)[TOKEN_SIZE], uint32_t n)
{
	uint32_t	 i;

	if (n > TOKENS_MAX - tokens.n)
		return (-1);
	for (i = 0; i < n; i++) {
		play_token_make(t[i], tokens.n);
		tokens.state[tokens.n++] = TK_LIVE;
	}
	return (0);
}

static void
play_freed(struct ibuf *b)
{
	char		 token[TOKEN_SIZE];
	unsigned int	 i;

	if (msg_token_decode(b, token) == -1)
		BUG("TOKEN_FREED without a token");
	i = (unsigned int)strtoul(token + 1, NULL, 10);
	if (!w.honest)
		return;
	if (i >= tokens.n || strcmp(play_token(i), token) != 0 ||
	    tokens.state[i] != TK_LIVE)
		BUG("a token was freed that is not live: %s", token);
	tokens.state[i] = TK_FREED;
}

/*
 * Channels
 */

void
play_send(struct imsgbuf *ch, uint32_t type, int fd, struct ibuf *payload)
{
	struct ibuf	*m;
	int		 i;

	m = imsg_create(ch, type, 0, 0,
	    payload == NULL ? 0 : ibuf_size(payload));
	if (m == NULL || (payload != NULL && ibuf_size(payload) > 0 &&
	    ibuf_add_ibuf(m, payload) == -1))
		BUG("imsg_create");
	if (fd != -1)
		ibuf_fd_set(m, fd);
	imsg_close(ch, m);
	ibuf_free(payload);
	for (i = 0; imsgbuf_queuelen(ch) > 0 && i < TRIES; i++) {
		if (imsgbuf_write(ch) == -1)
			return;
		if (imsgbuf_queuelen(ch) > 0)
			engine_run();
	}
}

/* Each configuration is answered once, in order. */
static void
play_acked(struct imsg *m)
{
	struct ibuf	 b;
	uint32_t	 gen;
	int		 ok;

	if (imsg_get_ibuf(m, &b) == -1 ||
	    msg_u32u8_decode(&b, &gen, &ok, 2) == -1 || !ok ||
	    gen != ++w.nacks || gen > w.generation)
		BUG("SETUP_ACK that is none");
}

/* The engine says little to its parent: that it is up, is lost, has heard. */
static void
play_parent(void)
{
	struct imsg	 m;
	int		 n, r;

	do {
		n = imsgbuf_read(&w.parent);
		while ((r = imsgbuf_get(&w.parent, &m)) == 1) {
			if (m.hdr.type == MSG_SETUP_ACK)
				play_acked(&m);
			else if (m.hdr.type != MSG_VM_UP &&
			    m.hdr.type != MSG_VM_LOST)
				BUG("to the parent: %s", msg_name(m.hdr.type));
			else if (imsg_get_len(&m) != 0)
				BUG("to the parent: %zu bytes",
				    imsg_get_len(&m));
			imsg_free(&m);
		}
		if (r == -1)
			BUG("to the parent: no message");
	} while (n == 1 && r == 1);
}

void
play_hear(void)
{
	struct imsg	 m;
	int		 r;

	if (w.parent_fd != -1)
		play_parent();
	if (w.frontend_fd == -1)
		return;
	(void)imsgbuf_read(&w.frontend);
	while ((r = imsgbuf_get(&w.frontend, &m)) == 1) {
		play_message(&m);
		imsg_free(&m);
	}
	if (r == -1)
		BUG("to the frontend: no message");
}

/* One answer for each question. */
static void
play_stats(struct ibuf *b)
{
	struct msg_vm_stats	 m;

	if (msg_vm_stats_decode(b, &m) == -1 || m.fullest > m.queued ||
	    m.full > m.streams || m.failed > m.commands)
		BUG("VM_STATS");
	if (w.nstats == 0)
		BUG("VM_STATS that nobody asked for");
	w.nstats--;
}

static struct client *
play_client(uint32_t connid)
{
	unsigned int	 i;

	for (i = 0; i < w.nclients; i++)
		if (w.clients[i].state != CL_IO &&
		    w.clients[i].connid == connid)
			return (&w.clients[i]);
	return (NULL);
}

static void
play_message(struct imsg *m)
{
	const struct msg_info	*mi;
	struct client		*c;
	struct ibuf		 b;
	char			 text[MSG_TEXT_MAX + 1];
	uint32_t		 connid;
	size_t			 len = imsg_get_len(m);

	if ((mi = msg_info(m->hdr.type)) == NULL || len < mi->min ||
	    len > mi->max || imsg_get_fd(m) != -1)
		BUG("message %u of %zu bytes", m->hdr.type, len);
	ibuf_from_buffer(&b, NULL, 0);
	if (len > 0 && imsg_get_ibuf(m, &b) == -1)
		BUG("imsg_get_ibuf");
	switch (m->hdr.type) {
	case MSG_VM_UP:
		if (w.up || w.lost)
			BUG("VM_UP at the wrong time");
		w.up = 1;
		break;
	case MSG_VM_LOST:
		if (!w.up || w.lost)
			BUG("VM_LOST at the wrong time");
		w.lost = 1;
		break;
	case MSG_VM_ERROR:
		if (w.up || w.lost || msg_text_decode(&b, text,
		    sizeof(text)) == -1)
			BUG("VM_ERROR");
		w.lost = w.error = 1;
		break;
	case MSG_CONN_TAKEN:
	case MSG_CONN_CLOSED:
		if (msg_u32_decode(&b, &connid) == -1)
			BUG("%s without a number", mi->name);
		if ((c = play_client(connid)) == NULL || c->state !=
		    (m->hdr.type == MSG_CONN_TAKEN ? CL_GIVEN : CL_TAKEN)) {
			if (w.honest)
				BUG("%s of %u", mi->name, connid);
			break;
		}
		c->state = m->hdr.type == MSG_CONN_TAKEN ? CL_TAKEN :
		    CL_CLOSED;
		c->ask = 0;
		break;
	case MSG_TOKEN_FREED:
		play_freed(&b);
		break;
	case MSG_VM_STATS:
		play_stats(&b);
		break;
	default:
		play_asked(m->hdr.type, &b);
		break;
	}
}

static void
play_asked(uint32_t type, struct ibuf *b)
{
	struct client	*c;
	char		 id[MSG_ID_MAX + 1], t[1][TOKEN_SIZE];
	uint32_t	 connid, n = 0;
	int		 bad;

	switch (type) {
	case MSG_ASK_UNREGISTER:
	case MSG_ASK_ID:
		bad = msg_u32str_decode(b, &connid, id, sizeof(id)) == -1;
		break;
	case MSG_ASK_TOKEN:
		bad = msg_tokens_decode(b, &connid, t, 1) != 1;
		break;
	case MSG_ASK_MINT:
		bad = msg_u32u32_decode(b, &connid, &n) == -1 || n > 1024;
		break;
	default:
		bad = 1;
		break;
	}
	if (bad)
		BUG("malformed %s", msg_name(type));
	c = play_client(connid);
	if (c == NULL || c->state != CL_TAKEN || c->ask != 0) {
		if (w.honest)
			BUG("%s of %u", msg_name(type), connid);
		return;
	}
	c->ask = type;
	c->nask = n;
}

/*
 * The parent's and the frontend's part
 */

static void
play_conf(unsigned int b)
{
	struct msg_vm_conf	*conf = &w.conf;

	conf->level = b & 0x08 ? LOGL_DEBUG : LOGL_INFO;
	conf->timeouts.shim = b & 0x10 ? 30000 : 100;
	conf->timeouts.process = b & 0x20 ? 30000 : 100;
	conf->timeouts.stdin_ = b & 0x40 ? 0 : 200;
	conf->timeouts.ready = 15000;
	conf->timeouts.agent = b & 0x80 ? 60000 : 300;
	conf->timeouts.destroy = 1000;
	engine_conf(conf);
	strlcpy(conf->id, "vm", sizeof(conf->id));
	strlcpy(conf->ctl, "/ctl", sizeof(conf->ctl));
	strlcpy(conf->path, "/proxy.sock", sizeof(conf->path));
}

/* Another configuration: to be used now, never, or later. */
static void
play_reload(struct input *in, unsigned int how)
{
	unsigned int	 b = in_u8(in);

	if (!w.loaded) {
		play_conf(b);
		if (b & 0x01)
			w.conf.out_shim *= 4;
		if (b & 0x02)
			w.conf.out_vm *= 4;
		w.generation++;
		play_send(&w.parent, MSG_SETUP_BEGIN, -1,
		    msg_u32_encode(w.generation));
		play_send(&w.parent, MSG_VM_CONF, -1,
		    msg_vm_conf_encode(&w.conf));
		play_send(&w.parent, MSG_SETUP_COMMIT, -1,
		    msg_u32_encode(w.generation));
		w.loaded = 1;
	}
	if (how == 0x60)
		return;
	play_send(&w.parent, how == 0x20 ? MSG_SETUP_SWITCH :
	    MSG_SETUP_ABORT, -1, msg_u32_encode(w.generation));
	w.loaded = 0;
}

int
play_init(struct input *in)
{
	unsigned int	 b, b1;
	int		 sv[2], fd;

	memset(&w, 0, sizeof(w));
	memset(tokens.state, 0, tokens.n);
	tokens.n = 0;
	b = in_u8(in);
	w.honest = (b & 3) != 3;
	w.auto_guest = (b & 0x04) == 0;
	w.auto_clients = (b & 0x08) == 0;
	w.small_guest = (b & 0x10) != 0;
	w.small_clients = (b & 0x20) != 0;
	w.hyperstart = (b & 0x40) != 0;
	w.console = -1;

	play_pair(sv, 0);
	fd = sv[1];
	w.parent_fd = sv[0];
	if (imsgbuf_init(&w.parent, sv[0]) == -1)
		BUG("imsgbuf_init");
	imsgbuf_allow_fdpass(&w.parent);
	b1 = in_u8(in);
	w.conf.vmid = 1;
	w.conf.proto = b1 & 1 ? MSG_PROTO_1 : MSG_PROTO_3;
	w.conf.guest = (int)(b1 >> 1 & 3) % MSG_GUEST_MAX;
	play_conf(b1);
	play_send(&w.parent, MSG_VM_CONF, -1, msg_vm_conf_encode(&w.conf));
	play_pair(sv, w.small_guest);
	w.ctl = sv[0];
	play_send(&w.parent, MSG_VM_CTL, sv[1], NULL);
	play_pair(sv, w.small_guest);
	w.io = sv[0];
	play_send(&w.parent, MSG_VM_IO, sv[1], NULL);
	if (b & 0x80) {
		play_pair(sv, 0);
		w.console = sv[0];
		play_send(&w.parent, MSG_VM_CONSOLE, sv[1], NULL);
	}
	play_pair(sv, 0);
	w.frontend_fd = sv[0];
	if (imsgbuf_init(&w.frontend, sv[0]) == -1)
		BUG("imsgbuf_init");
	imsgbuf_allow_fdpass(&w.frontend);
	play_send(&w.parent, MSG_VM_PEER, sv[1], NULL);
	play_send(&w.parent, MSG_VM_COMMIT, -1, NULL);
	return (fd);
}

/* how: an enum msg_answer, or more. */
static void
play_reply(struct client *c, unsigned int how)
{
	char		 t[MSG_TOKENS_MAX][TOKEN_SIZE];
	uint32_t	 n, type = c->ask;
	int		 answer;

	if (type == 0 || c->state != CL_TAKEN)
		return;
	c->ask = 0;
	answer = (int)(how % MSG_ANSWER_MAX);
	if (type == MSG_ASK_MINT && answer == MSG_ANSWER_OK) {
		for (; c->nask > 0; c->nask -= n) {
			n = c->nask < MSG_TOKENS_MAX ? c->nask :
			    MSG_TOKENS_MAX;
			if (play_mint(t, n) == -1) {
				answer = MSG_ANSWER_REFUSED;
				break;
			}
			play_send(&w.frontend, MSG_CONN_TOKENS, -1,
			    msg_tokens_encode(c->connid, t, n));
		}
	}
	play_send(&w.frontend, MSG_ASK_ANSWER, -1,
	    msg_u32u8_encode(c->connid, answer));
}

static void
play_answer(struct input *in)
{
	unsigned int	 b, i, n;

	b = in_u8(in);
	n = b >> 4;
	for (i = 0; i < w.nclients; i++)
		if (w.clients[i].ask != 0 && w.clients[i].state == CL_TAKEN &&
		    n-- == 0) {
			play_reply(&w.clients[i], b & 7);
			return;
		}
}

/* A frontend that was taken over: any message, with or without a socket. */
static void
play_lie(struct input *in)
{
	static const uint32_t	 types[] = { MSG_CONN_HANDOVER,
	    MSG_CONN_REQUEST, MSG_CONN_TOKENS, MSG_CONN_END, MSG_ASK_ANSWER,
	    MSG_VM_CLOSE, MSG_VM_COMMIT, MSG_TOKEN_FREED };
	struct msg_handover	 h;
	struct ibuf		*b = NULL;
	char			 t[2][TOKEN_SIZE];
	const uint8_t		*p;
	uint32_t		 connid;
	size_t			 len;
	unsigned int		 kind;
	int			 fd, sv[2];

	kind = in_u8(in);
	connid = in_u8(in) & 15;
	fd = -1;
	if (kind & 0x80) {
		play_pair(sv, 0);
		close(sv[0]);
		fd = sv[1];
	}
	if ((kind & 0x40) == 0) {
		p = in_bytes(in, 255, &len);
		if ((b = ibuf_open(len)) == NULL || ibuf_add(b, p, len) == -1)
			BUG("ibuf_add");
	} else switch (kind & 7) {
	case 0:
		memset(&h, 0, sizeof(h));
		h.connid = connid;
		h.reqlen = in_u8(in);
		h.ntokens = in_u8(in) & 3;
		h.proto = (int)(h.reqlen & 1);
		b = msg_handover_encode(&h);
		break;
	case 1:
		p = in_bytes(in, 255, &len);
		b = msg_chunk_encode(connid, p, len);
		break;
	case 2:
		play_token_make(t[0], in_u8(in) & 7);
		play_token_make(t[1], in_u8(in) & 7);
		b = msg_tokens_encode(connid, t, 1 + (kind >> 5 & 1));
		break;
	case 4:
		b = msg_u32u8_encode(connid, in_u8(in) % MSG_ANSWER_MAX);
		break;
	default:
		b = msg_u32_encode(connid);
		break;
	}
	play_send(&w.frontend, types[kind & 7], fd, b);
}

void
play_step(struct input *in)
{
	static const uint64_t	 times[] = { 1, 10, 50, 100, 250, 1000, 10000,
	    100000 };
	unsigned int		 op;

	op = in_u8(in);
	switch (op & 31) {
	case 0:
		if ((op & 0x60) != 0)
			play_reload(in, op & 0x60);
		break;
	case 1:
		engine_time(times[in_u8(in) & 7]);
		break;
	case 2: case 3: case 4: case 5: case 6: case 7: case 8: case 9:
	case 10: case 11: case 12: case 13: case 14:
		guest_step(in, op & 31);
		break;
	case 15:
		play_answer(in);
		break;
	case 16:
		if (!w.up && w.honest)
			break;
		play_send(&w.frontend, MSG_VM_CLOSE, -1, NULL);
		w.closed = 1;
		break;
	case 17:
		w.cut = in_u8(in);
		break;
	case 18:
		if (!w.honest)
			play_lie(in);
		else if (w.up) {
			w.nstats++;
			play_send(&w.frontend, MSG_VM_STATS_ASK, -1, NULL);
		}
		break;
	default:
		client_step(in, op & 31);
		break;
	}
	if ((op & 0x80) == 0)
		engine_run();
}

void
play_oblige(void)
{
	unsigned int	 i;

	play_hear();
	w.cut = 0;
	for (i = 0; i < w.nclients; i++) {
		play_reply(&w.clients[i], MSG_ANSWER_OK);
		client_read(&w.clients[i], SIZE_MAX);
	}
	guest_read(SIZE_MAX);
}

/* Only the frontend stays, to hear the rest. */
void
play_leave(void)
{
	unsigned int	 i;

	for (i = 0; i < w.nclients; i++)
		client_leave(&w.clients[i]);
	if (w.ctl != -1)
		close(w.ctl);
	if (w.io != -1)
		close(w.io);
	if (w.console != -1)
		close(w.console);
	w.ctl = w.io = w.console = -1;
}

/* The engine has ended and took leave. */
void
play_end(void)
{
	unsigned int	 i;

	play_hear();
	for (i = 0; w.honest && !play_memoryless && i < w.nclients; i++)
		if (w.clients[i].state == CL_TAKEN)
			BUG("connection %u was not given back",
			    w.clients[i].connid);
	imsgbuf_clear(&w.parent);
	imsgbuf_clear(&w.frontend);
	if (w.parent_fd != -1)
		close(w.parent_fd);
	if (w.frontend_fd != -1)
		close(w.frontend_fd);
}

/* SPDX-License-Identifier: ISC */

/*
 * For the fuzz target of the engine: clients of both protocols, and the
 * hand-over that brings each of them.  What the engine writes to them must be
 * whole frames, replies or messages that a client may get.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "hyper.h"
#include "play.h"
#include "rpc1.h"

#define TEXT_MAX	70000

static const char *const	 hyper_names[] = { "ping", "startpod",
    "newcontainer", "execcmd", "killcontainer", "removecontainer", "winsize",
    "destroypod", "version", "pscontainer", "setupinterface", "setuproute",
    "writefile", "ready", "nonsense", "newcontainer" };

static const char *const	 hyper_data[] = {
	"", "null", "{}", "[]", "\"x\"", "{\"hostname\":\"h\"}",
	"{\"id\":\"c@\",\"process\":{\"args\":[\"a\"]}}",
	"{\"id\":\"c@\",\"process\":{\"id\":\"p#\",\"terminal\":true,"
	    "\"args\":[\"a\"],\"envs\":[{\"env\":\"A\",\"value\":\"b\"}]}}",
	"{\"container\":\"c@\",\"process\":{\"args\":[\"a\"]}}",
	"{\"container\":\"c@\",\"process\":{\"id\":\"p#\","
	    "\"args\":[\"a\"]}}",
	"{\"container\":\"c@\",\"process\":{\"id\":\"p#\",\"stdio\":$,"
	    "\"stderr\":0}}",
	"{\"container\":\"c@\",\"signal\":9}",
	"{\"container\":\"c@\"}",
	"{\"seq\":$,\"row\":24,\"column\":80}",
	"{\"seq\":$,\"container\":\"c@\",\"process\":\"p#\",\"row\":1}",
	"{\"hostname\":\"h\",\"containers\":[{\"id\":\"c@\",\"process\":"
	    "{\"stdio\":$,\"args\":[\"a\"]}}],\"shareDir\":\"s\"}",
	"{\"id\":\"c@\",\"image\":\"i\",\"process\":{\"stdio\":$,"
	    "\"stderr\":2,\"args\":[]},\"rootfs\":\"r\",\"volumes\":[{}]}",
	"{\"device\":\"d\",\"newDeviceName\":\"eth0\","
	    "\"ipAddresses\":[{\"ipAddress\":\"1.2.3.4\",\"netMask\":\"24\"}]}",
	"{\"routes\":[{\"dest\":\"\",\"gateway\":\"1.1.1.1\"}]}"
};

static const char *const	 vm_texts[] = {
	"{\"containerId\":\"vm\",\"ctlSerial\":\"c\",\"ioSerial\":\"i\"}",
	"{\"containerId\":\"vm\",\"numIOStreams\":$}",
	"{\"containerId\":\"vm\",\"numIOStreams\":$00}",
	"{\"containerId\":\"other\",\"numIOStreams\":$}",
	"{\"containerId\":$}",
	"{\"containerId\":\"\",\"numIOStreams\":-$}",
	"{\"numIOStreams\":$}",
	"{\"containerId\":\"vm\",\"numIOStreams\":$"
};

static char	 text[TEXT_MAX];

static struct client *client_pick(struct input *, int);
static void	client_frame(struct client *, int, int, const char *,
		    size_t, int);
static void	client_rpc(struct client *, const char *, const char *);
static void	client_vm(struct client *, struct input *);
static void	client_hyper(struct client *, struct input *);
static void	client_shim(struct client *, struct input *);
static void	client_signal(struct client *, struct input *);
static void	client_stdin(struct client *, struct input *);
static void	client_raw(struct client *, struct input *);
static void	client_close(struct client *, unsigned int);
static void	client_give(struct client *, const void *, size_t, uint32_t,
		    int);
static void	client_end(struct client *);
static void	client_io(int);
static size_t	client_header(struct client *, const uint8_t *, size_t);
static void	client_data(const char *, unsigned int);

/* One that can write, of the kind; NULL: none. */
static struct client *
client_pick(struct input *in, int io)
{
	struct client	*c;
	unsigned int	 i, n;

	n = in_u8(in);
	for (i = 0; i < w.nclients; i++) {
		c = &w.clients[(n + i) % w.nclients];
		if (c->fd != -1 && (c->state == CL_IO) == io)
			return (c);
	}
	return (NULL);
}

static void
client_frame(struct client *c, int type, int opcode, const char *p,
    size_t len, int longer)
{
	static uint8_t	 buf[FRM_HEADER_SIZE + 4 + TEXT_MAX];
	size_t		 hdrlen = FRM_HEADER_SIZE;

	frm_encode(buf, (enum frm_type)type, opcode, 0, (uint32_t)len);
	if (longer) {
		buf[2] = 4;
		memset(buf + hdrlen, 0, 4);
		hdrlen += 4;
	}
	memcpy(buf + hdrlen, p, len);
	play_put(c->fd, buf, hdrlen + len);
}

static size_t
rpc_frame(uint8_t *buf, size_t size, const char *id, const char *data)
{
	int	 n;

	n = snprintf((char *)buf + RPC_HEADER_SIZE, size - RPC_HEADER_SIZE,
	    "{\"id\":\"%s\"%s%s}", id, data[0] == '\0' ? "" : ",\"data\":",
	    data);
	memset(buf, 0, RPC_HEADER_SIZE);
	buf[1] = (uint8_t)(n >> 16);
	buf[2] = (uint8_t)(n >> 8);
	buf[3] = (uint8_t)n;
	return (RPC_HEADER_SIZE + (size_t)n);
}

static void
client_rpc(struct client *c, const char *id, const char *data)
{
	static uint8_t	 buf[TEXT_MAX + 64];

	play_put(c->fd, buf, rpc_frame(buf, sizeof(buf), id, data));
}

static void
client_vm(struct client *c, struct input *in)
{
	static const char *const	 ids[] = { "hello", "bye", "attach" };
	char				 vm[256];
	unsigned int			 b, op;

	b = in_u8(in);
	op = (b & 3) == 3 ? 2 : b & 3;	/* the 3.x opcodes' order */
	play_text(vm, sizeof(vm), vm_texts[b >> 2 & 7], b >> 5 << 4);
	if (c->proto == MSG_PROTO_1)
		client_rpc(c, ids[op], vm);
	else
		client_frame(c, FRM_COMMAND, (int)op, vm, strlen(vm), 0);
}

/* What kind says, from the list, or a string of a certain length. */
static void
client_data(const char *extra, unsigned int kind)
{
	static const size_t	 lens[] = { 100, 1000, 10000, 10100, 10180,
	    10240, 20000, 60000 };
	size_t			 n = sizeof(hyper_data) / sizeof(hyper_data[0]);

	if (extra[0] != '\0') {
		strlcpy(text, extra, sizeof(text));
		return;
	}
	if ((kind & 31) < n) {
		play_text(text, sizeof(text), hyper_data[kind & 31],
		    kind >> 5 | kind >> 1);
		return;
	}
	n = lens[kind & 7];
	memset(text, 'x', n);
	memcpy(text, "{\"id\":\"", 7);
	strlcpy(text + n, "\",\"process\":{}}", sizeof(text) - n);
}

static void
client_hyper(struct client *c, struct input *in)
{
	static char	 req[TEXT_MAX + 256];
	char		 tokens[2 * TOKEN_SIZE + 32], data[TEXT_MAX];
	const char	*name;
	unsigned int	 b, n;

	b = in_u8(in);
	name = hyper_names[b & 15];
	n = in_u8(in);
	client_data("", n);
	if (b & 0x80 && (n & 31) < sizeof(hyper_data) / sizeof(hyper_data[0]))
		play_text(text, sizeof(text), hyper_data[n & 31],
		    in_u8(in));
	strlcpy(data, text, sizeof(data));
	tokens[0] = '\0';
	if (b & 0x10)
		snprintf(tokens, sizeof(tokens), ",\"tokens\":[\"%s\"]",
		    play_token(in_u8(in)));
	snprintf(req, sizeof(req), "{\"hyperName\":\"%s\"%s%s%s}", name,
	    tokens, data[0] == '\0' ? "" : ",\"data\":", data);
	if (c->proto == MSG_PROTO_1)
		client_rpc(c, "hyper", req);
	else
		client_frame(c, FRM_COMMAND, FRM_HYPER, req, strlen(req),
		    b & 0x20);
}

static void
client_shim(struct client *c, struct input *in)
{
	char		 req[256];
	unsigned int	 b;

	b = in_u8(in);
	if (c->proto == MSG_PROTO_1) {
		snprintf(req, sizeof(req), "{\"nStreams\":%u}", b & 3);
		client_rpc(c, "allocateIO", req);
		return;
	}
	if (b == 255) {
		client_frame(c, FRM_COMMAND, FRM_DISCONNECTSHIM, "", 0, 0);
		return;
	}
	snprintf(req, sizeof(req), "{\"token\":\"%s\"}", play_token(b));
	client_frame(c, FRM_COMMAND, FRM_CONNECTSHIM, req, strlen(req), 0);
}

static void
client_signal(struct client *c, struct input *in)
{
	char		 req[128];
	unsigned int	 b;

	b = in_u8(in);
	snprintf(req, sizeof(req),
	    "{\"signalNumber\":%u,\"columns\":%u,\"rows\":%u}", b & 31,
	    b & 0x40 ? 80 : 0, b & 0x80 ? 24 : 0);
	if (c->proto == MSG_PROTO_1)
		client_rpc(c, "signal", req);
	else
		client_frame(c, FRM_COMMAND, FRM_SIGNAL, req, strlen(req),
		    b & 0x20);
}

static void
client_stdin(struct client *c, struct input *in)
{
	static char	 buf[FRM_STDIN_MAX + 1024];
	unsigned int	 b;
	size_t		 len;

	b = in_u8(in);
	len = b < 64 ? b : b < 128 ? (b - 64) * 64 : (b - 127) * 520;
	memset(buf, 'i', len);
	client_frame(c, FRM_STREAM, FRM_STDIN, buf, len, b & 1);
}

/*
 * Bytes as they come, or as the payload of a frame with a true header; none
 * stand for an entry of the log.
 */
static void
client_raw(struct client *c, struct input *in)
{
	static const char	 entry[] = "{\"source\":\"shim\","
	    "\"containerId\":\"c\",\"level\":\"info\",\"msg\":\"m\"}";
	const uint8_t	*p;
	uint8_t		 hdr[RPC_HEADER_SIZE] = { 0 };
	unsigned int	 b;
	size_t		 len;

	b = in_u8(in);
	p = in_bytes(in, 255, &len);
	if (b & 0x80)
		play_put(c->fd, p, len);
	else if (c->proto == MSG_PROTO_1) {
		hdr[3] = (uint8_t)len;
		play_put(c->fd, hdr, sizeof(hdr));
		play_put(c->fd, p, len);
	} else if (len == 0 && (b & 15) == FRM_LOG)
		client_frame(c, FRM_STREAM, FRM_LOG, entry, strlen(entry), 0);
	else
		client_frame(c, b >> 4 & 3, b & 15, (const char *)p, len, 0);
}

static void
client_close(struct client *c, unsigned int how)
{
	if (how & 1) {
		shutdown(c->fd, how & 2 ? SHUT_WR : SHUT_RD);
		return;
	}
	close(c->fd);
	c->fd = -1;
}

void
client_leave(struct client *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
}

/*
 * The frontend brings a client.
 */

static void
client_give(struct client *c, const void *req, size_t len, uint32_t ntokens,
    int fd)
{
	struct msg_handover	 h;
	char			 t[8][TOKEN_SIZE];
	const uint8_t		*p = req;
	size_t			 n;

	memset(&h, 0, sizeof(h));
	h.connid = c->connid;
	h.client = c->connid;
	h.reqlen = (uint32_t)len;
	h.ntokens = ntokens;
	h.proto = c->proto;
	c->state = CL_HALF;
	if (ntokens > 0 && play_mint(t, ntokens) == -1)
		BUG("more than enough tokens");
	play_send(&w.frontend, MSG_CONN_HANDOVER, fd, msg_handover_encode(&h));
	if (ntokens > 0)
		play_send(&w.frontend, MSG_CONN_TOKENS, -1,
		    msg_tokens_encode(c->connid, t, ntokens));
	for (; len > 0; p += n, len -= n) {
		n = w.cut > 0 && w.cut < len ? w.cut : len;
		play_send(&w.frontend, MSG_CONN_REQUEST, -1,
		    msg_chunk_encode(c->connid, p, n));
	}
}

static void
client_end(struct client *c)
{
	c->state = CL_GIVEN;
	play_send(&w.frontend, MSG_CONN_END, -1, msg_u32_encode(c->connid));
}

/* The request is one that the frontend has judged. */
void
client_add(struct input *in)
{
	static uint8_t	 buf[512];
	char		 req[256];
	struct client	*c;
	unsigned int	 b, n;
	size_t		 len;
	int		 op, sv[2];

	b = in_u8(in);
	if (w.nclients == CLIENTS_MAX || ((!w.up || w.frontend_fd == -1) &&
	    w.honest))
		return;
	c = &w.clients[w.nclients++];
	memset(c, 0, sizeof(*c));
	play_pair(sv, w.small_clients);
	c->fd = sv[0];
	c->connid = ++w.connid;
	c->proto = b & 1 ? MSG_PROTO_1 : MSG_PROTO_3;
	n = b >> 5;
	op = b & 2 ? FRM_ATTACHVM : FRM_REGISTERVM;
	snprintf(req, sizeof(req), "{\"containerId\":\"vm\",%s"
	    "\"numIOStreams\":%u}", op == FRM_ATTACHVM ? "" :
	    "\"ctlSerial\":\"/ctl\",\"ioSerial\":\"/io\",", n);
	if (c->proto == MSG_PROTO_1) {
		len = rpc_frame(buf, sizeof(buf), b & 2 ? "attach" : "hello",
		    req);
		n = 0;
	} else {
		if ((b & 6) == 6) {
			snprintf(req, sizeof(req), "{\"token\":\"%s\"}",
			    play_token(n));
			op = FRM_CONNECTSHIM;
			n = 0;
		}
		len = strlen(req);
		frm_encode(buf, FRM_COMMAND, op, 0, (uint32_t)len);
		memcpy(buf + FRM_HEADER_SIZE, req, len);
		len += FRM_HEADER_SIZE;
	}
	client_give(c, buf, len, n, sv[1]);
	if ((b & 0x18) != 0x18)
		client_end(c);
}

void
client_step(struct input *in, unsigned int op)
{
	struct client	*c;
	uint8_t		 hdr[HYP_TTY_HEADER_SIZE];
	const uint8_t	*p;
	unsigned int	 b, i;
	size_t		 len;

	if (op == 19) {
		client_add(in);
		return;
	}
	if (op == 20) {
		for (i = 0; i < w.nclients; i++)
			if (w.clients[i].state == CL_HALF) {
				client_end(&w.clients[i]);
				return;
			}
		return;
	}
	if ((c = client_pick(in, op >= 29)) == NULL)
		return;
	switch (op) {
	case 21:
		client_vm(c, in);
		break;
	case 22:
		client_hyper(c, in);
		break;
	case 23:
		client_shim(c, in);
		break;
	case 24:
		client_signal(c, in);
		break;
	case 25:
		client_stdin(c, in);
		break;
	case 26:
		client_raw(c, in);
		break;
	case 27:
	case 29:
		client_close(c, in_u8(in));
		break;
	case 28:
	case 30:
		client_read(c, (size_t)(in_u8(in) + 1) * 128);
		break;
	case 31:
		/* A message for the agent, its number guessed. */
		b = in_u8(in);
		p = in_bytes(in, 255, &len);
		if (b & 0x80) {
			play_put(c->fd, p, len);
			break;
		}
		hyp_tty_encode(hdr, b & 15, len);
		play_put(c->fd, hdr, sizeof(hdr));
		play_put(c->fd, p, len);
		break;
	}
}

/*
 * Reading
 */

/* The descriptor of a 1.x client's streams. */
static void
client_io(int fd)
{
	struct client	*c;

	if (w.nclients == CLIENTS_MAX) {
		close(fd);
		return;
	}
	c = &w.clients[w.nclients++];
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->state = CL_IO;
	c->proto = MSG_PROTO_1;
}

/* Bytes of a header, or of what it announced; those that are done. */
static size_t
client_header(struct client *c, const uint8_t *p, size_t n)
{
	struct reader		*rd = &c->rd;
	struct frm_header	 h;
	uint64_t		 seq;
	size_t			 want;

	if (rd->skip > 0) {
		n = n < rd->skip ? n : rd->skip;
		rd->skip -= n;
		return (n);
	}
	want = c->state != CL_IO && c->proto == MSG_PROTO_1 ?
	    RPC_HEADER_SIZE : FRM_HEADER_SIZE;
	/* A descriptor's byte is between two replies. */
	if (want == RPC_HEADER_SIZE && rd->have == 0 && *p == RPC_FD_TAG)
		return (1);
	rd->hdr[rd->have++] = *p;
	if (rd->have < want)
		return (1);
	rd->have = 0;
	if (c->state == CL_IO) {
		if (hyp_tty_decode(rd->hdr, &seq, &rd->skip) == -1 ||
		    HYP_TTY_HEADER_SIZE + rd->skip > HYP_MESSAGE_MAX)
			BUG("to a 1.x client: output of %zu bytes", rd->skip);
	} else if (c->proto == MSG_PROTO_1) {
		if (rpc_header_decode(rd->hdr, &rd->skip) == -1 ||
		    rd->skip > RPC_REPLY_MAX)
			BUG("to a 1.x client: reply of %zu bytes", rd->skip);
	} else {
		if (frm_decode(rd->hdr, &h) != FRM_OK ||
		    h.hdrlen != FRM_HEADER_SIZE || h.type == FRM_COMMAND ||
		    (h.type == FRM_STREAM && h.opcode != FRM_STDOUT &&
		    h.opcode != FRM_STDERR) || h.len > 2 * HYP_RECV_MAX)
			BUG("to a client: frame %d of %zu bytes", h.type,
			    h.len);
		rd->skip = h.len;
	}
	return (1);
}

void
client_read(struct client *c, size_t max)
{
	union {
		struct cmsghdr	 hdr;
		uint8_t		 buf[CMSG_SPACE(sizeof(int))];
	} cmsg;
	struct msghdr	 msg;
	struct cmsghdr	*cm;
	struct iovec	 iov;
	uint8_t		 buf[4096];
	size_t		 off;
	ssize_t		 n;
	int		 fd;

	while (c->fd != -1 && max > 0) {
		memset(&msg, 0, sizeof(msg));
		iov.iov_base = buf;
		iov.iov_len = max < sizeof(buf) ? max : sizeof(buf);
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		msg.msg_control = cmsg.buf;
		msg.msg_controllen = sizeof(cmsg.buf);
		n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return;
		max -= (size_t)n;
		if ((cm = CMSG_FIRSTHDR(&msg)) != NULL) {
			memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
			client_io(fd);
		}
		for (off = 0; off < (size_t)n;)
			off += client_header(c, buf + off, (size_t)n - off);
	}
}

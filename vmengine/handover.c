/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: what the frontend passes on: connections with the request
 * they came with, and answers to questions.  A hand-over is several
 * messages, complete with CONN_END; nothing happens before that.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc1.h"
#include "vmengine.h"

#define VME_HANDOVERS_MAX	8	/* under way at the same time */

struct vme_handover {
	TAILQ_ENTRY(vme_handover) entry;
	struct msg_handover	 msg;
	int			 fd;
	uint8_t			*request;
	size_t			 reqlen;
	char			(*tokens)[TOKEN_SIZE];
	size_t			 ntokens;
};

static TAILQ_HEAD(, vme_handover) handovers =
    TAILQ_HEAD_INITIALIZER(handovers);
static unsigned int	 nhandovers;

static int	vme_handover(struct imsgev *, struct ibuf *, int *);
static int	vme_handover_request(struct imsgev *, struct ibuf *, int *);
static int	vme_handover_tokens(struct imsgev *, struct ibuf *, int *);
static int	vme_handover_end(struct imsgev *, struct ibuf *, int *);
static int	vme_answer(struct imsgev *, struct ibuf *, int *);
static int	vme_close(struct imsgev *, struct ibuf *, int *);
static struct vme_handover *vme_handover_find(uint32_t);
static int	vme_handover_socket(int);
static int	vme_ask_tokens(uint32_t, char (*)[TOKEN_SIZE], size_t);

#define VME_SERVING	(VME_UP | VME_LOST)

/* Who sends: the frontend. */
const struct imsgev_handler vme_frontend_table[] = {
	{ MSG_CONN_HANDOVER,	VME_SERVING,	vme_handover },
	{ MSG_CONN_REQUEST,	VME_SERVING,	vme_handover_request },
	{ MSG_CONN_TOKENS,	VME_SERVING,	vme_handover_tokens },
	{ MSG_CONN_END,		VME_SERVING,	vme_handover_end },
	{ MSG_ASK_ANSWER,	VME_SERVING,	vme_answer },
	{ MSG_VM_CLOSE,		VME_SERVING,	vme_close },
	{ MSG_VM_STATS_ASK,	VME_SERVING,	vme_stats },
	{ 0, 0, NULL }
};

static struct vme_handover *
vme_handover_find(uint32_t connid)
{
	struct vme_handover	*h;

	TAILQ_FOREACH(h, &handovers, entry)
		if (h->msg.connid == connid)
			return (h);
	return (NULL);
}

/* A client can only be a stream socket of the local domain. */
static int
vme_handover_socket(int fd)
{
	socklen_t	 len;
	int		 domain, type;

	len = sizeof(domain);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == -1)
		return (-1);
	len = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1)
		return (-1);
	return (domain == AF_UNIX && type == SOCK_STREAM ? 0 : -1);
}

static int
vme_handover(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct vme_handover	*h;
	struct msg_handover	 msg;

	(void)iev;
	if (msg_handover_decode(b, &msg) == -1 ||
	    msg.ntokens > REQ_STREAMS_MAX || msg.reqlen == 0 ||
	    msg.reqlen > FRM_HEADER_MAX + RPC_BODY_MAX ||
	    nhandovers >= VME_HANDOVERS_MAX ||
	    vme_handover_find(msg.connid) != NULL ||
	    vme_conn_find(msg.connid) != NULL ||
	    vme_handover_socket(*fd) == -1)
		return (-1);
	if ((h = calloc(1, sizeof(*h))) == NULL)
		fatal("%s", __func__);
	h->msg = msg;
	h->request = vme_malloc(msg.reqlen);
	h->tokens = vme_malloc((msg.ntokens + 1) * TOKEN_SIZE);
	h->fd = *fd;
	*fd = -1;
	TAILQ_INSERT_TAIL(&handovers, h, entry);
	nhandovers++;
	return (0);
}

static int
vme_handover_request(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct vme_handover	*h;
	struct ibuf		 view;
	uint32_t		 connid;
	size_t			 len;

	(void)iev;
	(void)fd;
	if (msg_chunk_decode(b, &connid, &view) == -1 ||
	    (h = vme_handover_find(connid)) == NULL)
		return (-1);
	len = ibuf_size(&view);
	if (len > h->msg.reqlen - h->reqlen)
		return (-1);
	memcpy(h->request + h->reqlen, ibuf_data(&view), len);
	h->reqlen += len;
	return (0);
}

/* For a hand-over under way, or the answer to vme_ask_mint(). */
static int
vme_handover_tokens(struct imsgev *iev, struct ibuf *b, int *fd)
{
	char			 tokens[MSG_TOKENS_MAX][TOKEN_SIZE];
	struct vme_handover	*h;
	uint32_t		 connid;
	int			 n;

	(void)iev;
	(void)fd;
	if ((n = msg_tokens_decode(b, &connid, tokens,
	    MSG_TOKENS_MAX)) == -1)
		return (-1);
	if ((h = vme_handover_find(connid)) == NULL)
		return (vme_ask_tokens(connid, tokens, (size_t)n));
	if ((size_t)n > h->msg.ntokens - h->ntokens)
		return (-1);
	memcpy(h->tokens[h->ntokens], tokens, (size_t)n * TOKEN_SIZE);
	h->ntokens += (size_t)n;
	return (0);
}

static int
vme_handover_end(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct vme_handover	*h;
	struct vme_conn		*c;
	struct audit_who	 who;
	uint32_t		 connid;

	(void)fd;
	if (msg_u32_decode(b, &connid) == -1 ||
	    (h = vme_handover_find(connid)) == NULL ||
	    h->reqlen != h->msg.reqlen || h->ntokens != h->msg.ntokens)
		return (-1);
	TAILQ_REMOVE(&handovers, h, entry);
	nhandovers--;
	who.client = h->msg.client;
	who.uid = h->msg.uid;
	who.gid = h->msg.gid;
	who.pid = h->msg.pid;
	who.proto = h->msg.proto == MSG_PROTO_1 ? 1 : 3;
	c = vme_conn_new(connid, &who, h->fd);
	c->fresh = 1;
	env->counts.served++;
	c->proto = h->msg.proto;
	if (c->proto == MSG_PROTO_1)
		c->frames = vme_rpc_frames;
	c->tokens = h->tokens;
	c->ntokens = c->wanted = h->ntokens;
	imsgev_send(iev, MSG_CONN_TAKEN, -1, msg_u32_encode(connid));
	vme_conn_feed(c, h->request, h->reqlen);
	free(h->request);
	free(h);
	return (0);
}

/* The VM was unregistered: when it is lost as well we are done. */
static int
vme_close(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)iev;
	(void)b;
	(void)fd;
	env->unregistered = 1;
	vme_check_done();
	return (0);
}

/*
 * Questions
 */

void
vme_ask(struct vme_conn *c, uint32_t type, const char *what)
{
	char	 token[1][TOKEN_SIZE];

	vme_conn_wait(c, VME_WAIT_ASK, 0);
	if (type == MSG_ASK_TOKEN) {
		strlcpy(token[0], what, sizeof(token[0]));
		imsgev_send(&env->frontend, type, -1,
		    msg_tokens_encode((uint32_t)c->connid, token, 1));
	} else
		imsgev_send(&env->frontend, type, -1,
		    msg_u32str_encode((uint32_t)c->connid, what));
}

/* May it attach, and n tokens, at most REQ_STREAMS_MAX. */
void
vme_ask_mint(struct vme_conn *c, uint32_t n)
{
	free(c->tokens);
	c->tokens = vme_malloc(((size_t)n + 1) * TOKEN_SIZE);
	c->ntokens = 0;
	c->wanted = n;
	vme_conn_wait(c, VME_WAIT_ASK, 0);
	imsgev_send(&env->frontend, MSG_ASK_MINT, -1,
	    msg_u32u32_encode((uint32_t)c->connid, n));
}

static int
vme_ask_tokens(uint32_t connid, char (*tokens)[TOKEN_SIZE], size_t n)
{
	struct vme_conn	*c;

	/* The client may have gone meanwhile: its tokens go back. */
	if ((c = vme_conn_find(connid)) == NULL || c->tokens == NULL) {
		for (; n > 0; n--)
			imsgev_send(&env->frontend, MSG_TOKEN_FREED, -1,
			    msg_token_encode(tokens[n - 1]));
		return (0);
	}
	if (n > c->wanted - c->ntokens)
		return (-1);
	memcpy(c->tokens[c->ntokens], tokens, n * TOKEN_SIZE);
	c->ntokens += n;
	return (0);
}

static int
vme_answer(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct vme_conn	*c;
	uint32_t	 connid;
	int		 answer;

	(void)iev;
	(void)fd;
	if (msg_u32u8_decode(b, &connid, &answer, MSG_ANSWER_MAX) == -1)
		return (-1);
	if ((c = vme_conn_find(connid)) == NULL)
		return (0);
	if (c->wait != VME_WAIT_ASK || (c->tokens != NULL &&
	    answer == MSG_ANSWER_OK && c->ntokens != c->wanted))
		return (-1);
	vme_command_answer(c, (enum msg_answer)answer);
	return (0);
}

/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: sessions: a token, its two sequence numbers, the shim that
 * holds it, and what the process behind it did so far.
 */

#include <sys/types.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "vmengine.h"

static int	vme_session_holder_gone(const struct vme_session *);
static void	vme_session_keep(struct vme_session *, struct vme_conn *);

static int
vme_token_cmp(struct vme_session *a, struct vme_session *b)
{
	return (memcmp(a->token, b->token, TOKEN_LEN));
}

/* Ranges of numbers: equal if they overlap. */
static int
vme_seq_cmp(struct vme_session *a, struct vme_session *b)
{
	if (a->base + a->nseq <= b->base)
		return (-1);
	return (a->base >= b->base + b->nseq);
}

RB_GENERATE(vme_tokens, vme_session, token_entry, vme_token_cmp)
RB_GENERATE(vme_seqs, vme_session, seq_entry, vme_seq_cmp)

struct vme_session *
vme_session_new(const char *token, uint64_t base, int nseq)
{
	struct vme_session	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("%s", __func__);
	strlcpy(s->token, token, sizeof(s->token));
	s->base = base;
	s->nseq = (unsigned int)nseq;
	TAILQ_INIT(&s->away);
	TAILQ_INIT(&s->waiters);
	if (token[0] != '\0' &&
	    RB_INSERT(vme_tokens, &env->tokens, s) != NULL) {
		free(s);
		return (NULL);
	}
	RB_INSERT(vme_seqs, &env->seqs, s);
	return (s);
}

/* For processes that are started without a token. */
struct vme_session *
vme_session_null(void)
{
	if (env->null_session == NULL && env->state == VME_UP) {
		env->null_session = vme_session_new("", env->next_seq, 2);
		env->next_seq += 2;
	}
	return (env->null_session);
}

struct vme_session *
vme_session_find(const char *token)
{
	struct vme_session	 key;

	if (!token_valid(token))
		return (NULL);
	memcpy(key.token, token, TOKEN_SIZE);
	return (RB_FIND(vme_tokens, &env->tokens, &key));
}

/* By either of its two numbers. */
struct vme_session *
vme_session_by_seq(uint64_t seq)
{
	struct vme_session	 key;

	if (seq == 0)
		return (NULL);
	key.base = seq;
	key.nseq = 1;
	return (RB_FIND(vme_seqs, &env->seqs, &key));
}

void
vme_session_free(struct vme_session *s)
{
	struct vme_chunk	*ch;
	struct vme_conn		*c;

	RB_REMOVE(vme_seqs, &env->seqs, s);
	if (s->token[0] != '\0') {
		RB_REMOVE(vme_tokens, &env->tokens, s);
		if (env->state == VME_UP)
			imsgev_send(&env->frontend, MSG_TOKEN_FREED, -1,
			    msg_token_encode(s->token));
	}
	if ((c = s->conn) != NULL) {
		LIST_REMOVE(s, claim_entry);
		if (c->session == s)
			c->session = NULL;
		TAILQ_FOREACH(ch, &c->out, entry)
			if (ch->session == s)
				ch->session = NULL;
	}
	while ((c = TAILQ_FIRST(&s->waiters)) != NULL) {
		vme_session_unwait(c);
		vme_conn_wake(c);
	}
	while ((ch = TAILQ_FIRST(&s->away)) != NULL) {
		TAILQ_REMOVE(&s->away, ch, entry);
		vme_chunk_free(ch);
	}
	vme_process_free(s);
	free(s->container);
	free(s);
	vme_tty_resume();
}

/* The holder's peer closed, but its end has not been read yet. */
static int
vme_session_holder_gone(const struct vme_session *s)
{
	struct pollfd	 pfd;

	pfd.fd = s->conn->fd;
	pfd.events = POLLRDHUP;
	return (poll(&pfd, 1, 0) == 1 &&
	    (pfd.revents & (POLLHUP | POLLERR)) != 0);
}

/*
 * Bind the session to a shim.  Returns -1 if another one holds it.  A shim
 * that reconnects may be faster than the end of its old connection.
 */
int
vme_session_claim(struct vme_session *s, struct vme_conn *c)
{
	if (s->conn != NULL && s->conn != c) {
		if (!vme_session_holder_gone(s))
			return (-1);
		vme_conn_close(s->conn);
	}
	if (s->conn == c)
		return (-1);
	s->conn = c;
	s->claimed = 1;
	s->lossy = 0;
	LIST_INSERT_HEAD(&c->claims, s, claim_entry);
	c->session = s;
	c->is_shim = 1;
	return (0);
}

/* The shim was told that it holds the token: it gets what was kept. */
void
vme_session_deliver(struct vme_session *s)
{
	struct vme_conn	*c, *w;

	c = s->conn;
	TAILQ_CONCAT(&c->out, &s->away, entry);
	c->outlen += s->awaylen;
	s->awaylen = 0;
	TAILQ_FOREACH(w, &s->waiters, wait_entry)
		vme_conn_wake(w);
	vme_conn_flush(c);
	vme_conn_update(c);
	vme_tty_resume();
}

/* The connection ended: every token it held can be claimed again. */
void
vme_session_left(struct vme_conn *c)
{
	struct vme_session	*s;

	while ((s = LIST_FIRST(&c->claims)) != NULL) {
		if (s->raw) {
			/* Nobody can claim it again. */
			vme_session_free(s);
			continue;
		}
		LIST_REMOVE(s, claim_entry);
		s->conn = NULL;
		s->left = clock_ms();
		vme_session_keep(s, c);
	}
	c->session = NULL;
	vme_tty_resume();
}

/* Output that was queued for the shim and not sent is kept for the next. */
static void
vme_session_keep(struct vme_session *s, struct vme_conn *c)
{
	struct vme_chunk	*ch, *next;

	TAILQ_FOREACH_SAFE(ch, &c->out, entry, next) {
		if (ch->session != s)
			continue;
		TAILQ_REMOVE(&c->out, ch, entry);
		c->outlen -= ch->len - ch->off;
		vme_chunk_rewind(ch);
		TAILQ_INSERT_TAIL(&s->away, ch, entry);
		s->awaylen += ch->len;
	}
}

/* Idempotent: a second successful start changes nothing. */
void
vme_session_started(struct vme_session *s)
{
	struct vme_conn	*c;

	s->started = 1;
	TAILQ_FOREACH(c, &s->waiters, wait_entry)
		vme_conn_wake(c);
}

/*
 * A client of 1.x may write before it starts the process.  hyperstart takes
 * that for a process that ended, and says so.
 */
int
vme_session_unstarted(const struct vme_session *s)
{
	if (s->started || (s->raw && (env->blind ||
	    env->dialect != VME_HYPERSTART)))
		return (0);
	return (1);
}

void
vme_session_exit(struct vme_session *s)
{
	uint8_t	 buf[2 * HYP_TTY_HEADER_SIZE + 1];

	s->exited = 1;
	if (s->raw) {
		hyp_tty_encode(buf, s->base, 0);
		hyp_tty_encode(buf + HYP_TTY_HEADER_SIZE, s->base, 1);
		buf[2 * HYP_TTY_HEADER_SIZE] = s->status;
		vme_session_output(s, buf, sizeof(buf));
	} else if (s->claimed) {
		frm_encode(buf, FRM_NOTIFICATION, FRM_PROCESSEXITED, 0, 1);
		buf[FRM_HEADER_SIZE] = s->status;
		vme_session_output(s, buf, FRM_HEADER_SIZE + 1);
	}
	vme_process_ended(s);
}

void
vme_session_wait(struct vme_session *s, struct vme_conn *c)
{
	c->waiting = s;
	TAILQ_INSERT_TAIL(&s->waiters, c, wait_entry);
}

void
vme_session_unwait(struct vme_conn *c)
{
	if (c->waiting == NULL)
		return;
	TAILQ_REMOVE(&c->waiting->waiters, c, wait_entry);
	c->waiting = NULL;
}

/*
 * The reader has run bytes in hand for the session and asks for len more.
 * When all queues together are full, one message at a time may still go to
 * a shim that has read everything.
 */
int
vme_session_room(struct vme_session *s, size_t run, size_t len)
{
	size_t	 queued;
	int	 full;

	if (env->state == VME_LOST)
		return (1);	/* the last bytes: see vme_tty_drain() */
	full = env->outbytes > env->conf.out_vm;
	if (s->conn != NULL) {
		queued = s->conn->outlen;
		if (queued == 0 && run == 0)
			return (1);
	} else if (s->claimed && !s->lossy)
		queued = s->awaylen;
	else
		return (1);
	return (!full && (queued + run == 0 ||
	    queued + run + len <= env->conf.out_shim));
}

int
vme_session_lossy(const struct vme_session *s, size_t len)
{
	return (s->conn == NULL && s->lossy &&
	    (s->awaylen + len > env->conf.out_shim ||
	    env->outbytes > env->conf.out_vm));
}

/* Whole frames for the session's shim, present or not. */
void
vme_session_output(struct vme_session *s, const uint8_t *p, size_t len)
{
	struct vme_chunk	*ch;

	if (s->conn != NULL) {
		vme_conn_send(s->conn, p, len, s);
		return;
	}
	ch = vme_chunk_new(p, len, 1, s);
	TAILQ_INSERT_TAIL(&s->away, ch, entry);
	s->awaylen += len;
}

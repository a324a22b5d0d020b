/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: the agent's control channel: commands go out whole and in
 * order, replies are matched to them strictly in order.  Every byte read
 * here comes from the guest.
 *
 * A command whose client stopped waiting keeps its place until its reply
 * came, so that no later command is given that reply.  An agent that says
 * with NEXT what it has read cannot shift answers either: a reply belongs to
 * a command of which something was read.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmengine.h"

struct vme_txn {
	TAILQ_ENTRY(vme_txn)	 entry;
	struct vme_conn		*conn;		/* NULL: nobody waits */
	vme_ctl_done		*done;
	struct vme_order	 order;
	int			 prepared;
	size_t			 off;		/* written */
	size_t			 next, first;	/* read, says the agent */
};
TAILQ_HEAD(vme_txns, vme_txn);

/* A reply that came before its command. */
struct vme_early {
	TAILQ_ENTRY(vme_early)	 entry;
	uint32_t		 code;
	size_t			 len;
	uint8_t			 payload[];
};
TAILQ_HEAD(vme_earlies, vme_early);

struct vme_ctl {
	int			 fd;
	struct event		 rev, wev;
	struct vme_txns		 sendq;		/* not or partly written */
	struct vme_txns		 waitq;		/* written, reply due */
	struct vme_txn		*destroy;	/* ditto, perhaps late */
	unsigned int		 inflight;	/* in waitq */
	int			 nexts;		/* the agent sends NEXT */
	int			 busy;		/* messages are being handled */
	struct vme_earlies	 early;
	unsigned int		 nearly;
	uint8_t			*in;
	size_t			 inlen, insize;
};

static struct vme_ctl	 ctl = { .fd = -1 };

static void	vme_ctl_read(int, short, void *);
static void	vme_ctl_write(int, short, void *);
static void	vme_ctl_timeout(int, short, void *);
static void	vme_ctl_send(void);
static struct vme_txn *vme_ctl_head(void);
static void	vme_ctl_sent(struct vme_txn *);
static size_t	vme_ctl_messages(void);
static void	vme_ctl_message(uint32_t, const uint8_t *, size_t);
static void	vme_ctl_ready(uint32_t, const uint8_t *, size_t);
static void	vme_ctl_next(const uint8_t *, size_t);
static struct vme_txn *vme_ctl_whose(void);
static void	vme_ctl_reply(uint32_t, const uint8_t *, size_t);
static void	vme_ctl_again(struct vme_txn *);
static void	vme_ctl_answer(struct vme_txn *, uint32_t, const void *,
		    size_t);
static void	vme_ctl_finish(struct vme_txn *, uint32_t, const void *,
		    size_t);
static void	vme_ctl_free(struct vme_txn *);
static int	vme_ctl_grow(void);

void
vme_ctl_init(int fd)
{
	struct timeval	 tv;

	ctl.fd = fd;
	TAILQ_INIT(&ctl.sendq);
	TAILQ_INIT(&ctl.waitq);
	TAILQ_INIT(&ctl.early);
	ctl.insize = HYP_MESSAGE_MAX;
	ctl.in = vme_malloc(ctl.insize);
	event_set(&ctl.rev, fd, EV_READ | EV_PERSIST, vme_ctl_read, NULL);
	event_set(&ctl.wev, fd, EV_WRITE, vme_ctl_write, NULL);
	vme_watch(&ctl.rev, NULL);
	tv.tv_sec = env->conf.timeouts.ready / 1000;
	tv.tv_usec = (suseconds_t)(env->conf.timeouts.ready % 1000) * 1000;
	evtimer_set(&env->ready_timer, vme_ctl_timeout, NULL);
	vme_watch(&env->ready_timer, &tv);
}

/* Whoever still waits is told. */
void
vme_ctl_close(void)
{
	static const char	 gone[] =
	    "No multicast available for CTL channel";
	struct vme_early	*e;
	struct vme_txn		*t;

	if (ctl.fd == -1)
		return;
	event_del(&ctl.rev);
	event_del(&ctl.wev);
	close(ctl.fd);
	ctl.fd = -1;
	if ((t = ctl.destroy) != NULL) {
		/* The pod is gone, and the VM with it: that was the order. */
		ctl.destroy = NULL;
		vme_ctl_finish(t, HYP_ACK, NULL, 0);
	}
	TAILQ_CONCAT(&ctl.waitq, &ctl.sendq, entry);
	while ((t = TAILQ_FIRST(&ctl.waitq)) != NULL) {
		TAILQ_REMOVE(&ctl.waitq, t, entry);
		vme_ctl_finish(t, t->off == t->order.len ? VME_UNANSWERED :
		    VME_NOREPLY, gone, sizeof(gone) - 1);
	}
	while ((e = TAILQ_FIRST(&ctl.early)) != NULL) {
		TAILQ_REMOVE(&ctl.early, e, entry);
		free(e);
	}
	free(ctl.in);
	ctl.in = NULL;
}

/* The caller validated name and length: only the dialect may still refuse. */
void
vme_ctl_command(struct vme_conn *c, uint32_t code, const void *payload,
    size_t len, uint64_t base, vme_ctl_done *done)
{
	struct vme_txn	*t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		fatal("%s", __func__);
	t->conn = c;
	t->done = done;
	t->order.code = code;
	t->order.base = base;
	t->order.len = HYP_CTL_HEADER_SIZE + len;
	t->order.msg = vme_malloc(t->order.len);
	hyp_ctl_encode(t->order.msg, code, len);
	if (len > 0)
		memcpy(t->order.msg + HYP_CTL_HEADER_SIZE, payload, len);
	c->txn = t;
	env->counts.commands++;
	TAILQ_INSERT_TAIL(&ctl.sendq, t, entry);
	vme_ctl_send();
}

/* How long to wait for the answer: hyperstart may never destroy its pod. */
uint32_t
vme_ctl_patience(int code)
{
	return (code == HYP_DESTROYPOD && env->dialect == VME_HYPERSTART ?
	    env->conf.timeouts.destroy : env->conf.timeouts.agent);
}

/* The client stopped waiting. */
void
vme_ctl_forget(struct vme_conn *c)
{
	struct vme_txn	*t, *u;

	if ((t = c->txn) == NULL)
		return;
	c->txn = NULL;
	t->conn = NULL;
	if (t->off > 0)
		return;
	/* Not written at all: it need not be. */
	TAILQ_FOREACH(u, &ctl.sendq, entry) {
		if (u == t) {
			TAILQ_REMOVE(&ctl.sendq, t, entry);
			vme_ctl_free(t);
			return;
		}
	}
}

void
vme_ctl_stats(struct msg_vm_stats *m)
{
	const struct vme_txn	*t;

	if (ctl.fd == -1)
		return;
	TAILQ_FOREACH(t, &ctl.sendq, entry)
		m->cmd_queued++;
	m->cmd_sent = ctl.inflight + (ctl.destroy != NULL);
}

static void
vme_ctl_finish(struct vme_txn *t, uint32_t code, const void *payload,
    size_t len)
{
	struct vme_conn	*c;

	if ((c = t->conn) != NULL) {
		c->txn = NULL;
		/* To 1.x a VM that ends has done as it was told. */
		if (code != HYP_ACK && (code != VME_UNANSWERED ||
		    c->proto != MSG_PROTO_1))
			env->counts.failed++;
		t->done(c, code, payload, len);
	}
	vme_ctl_free(t);
}

static void
vme_ctl_free(struct vme_txn *t)
{
	free(t->order.container);
	free(t->order.process);
	free(t->order.msg);
	free(t);
}

static void
vme_ctl_write(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	vme_ctl_send();
}

/*
 * Each message in a write of its own: the agent wants its header whole, and
 * some of its payload right behind it.
 */
static void
vme_ctl_send(void)
{
	struct vme_order	*o;
	struct vme_txn		*t;
	ssize_t			 n;

	while (ctl.fd != -1 && (t = vme_ctl_head()) != NULL) {
		o = &t->order;
		n = send(ctl.fd, o->msg + t->off, o->len - t->off,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && !peer_again(errno)) {
			vme_lost(log_strerror(errno));
			return;
		}
		if (n > 0)
			t->off += (size_t)n;
		if (t->off < o->len) {
			vme_watch(&ctl.wev, NULL);
			return;
		}
		vme_ctl_sent(t);
	}
}

/* What may be written now, in the agent's words; NULL: nothing. */
static struct vme_txn *
vme_ctl_head(void)
{
	struct vme_txn	*t;
	char		 err[JSON_ERRMAX];

	while ((t = TAILQ_FIRST(&ctl.sendq)) != NULL && !t->prepared) {
		if (!vme_dialect_ready(&t->order, ctl.inflight) ||
		    (ctl.destroy != NULL && t->order.code == HYP_DESTROYPOD))
			return (NULL);
		if (vme_dialect_prepare(&t->order, err) == 0)
			t->prepared = 1;
		else {
			TAILQ_REMOVE(&ctl.sendq, t, entry);
			vme_ctl_finish(t, VME_REFUSED, err, strlen(err));
		}
	}
	return (t);
}

static void
vme_ctl_sent(struct vme_txn *t)
{
	struct vme_early	*e;

	TAILQ_REMOVE(&ctl.sendq, t, entry);
	if ((e = TAILQ_FIRST(&ctl.early)) != NULL) {
		TAILQ_REMOVE(&ctl.early, e, entry);
		ctl.nearly--;
		vme_ctl_answer(t, e->code, e->payload, e->len);
		free(e);
	} else if (t->order.code == HYP_DESTROYPOD &&
	    env->dialect == VME_HYPERSTART)
		ctl.destroy = t;
	else {
		TAILQ_INSERT_TAIL(&ctl.waitq, t, entry);
		ctl.inflight++;
	}
}

static void
vme_ctl_read(int fd, short event, void *arg)
{
	ssize_t	 n;
	size_t	 used;

	(void)event;
	(void)arg;
	n = recv(fd, ctl.in + ctl.inlen, ctl.insize - ctl.inlen,
	    MSG_DONTWAIT);
	if (n == -1) {
		if (!peer_again(errno))
			vme_lost(log_strerror(errno));
		return;
	}
	if (n == 0) {
		vme_lost(env->state == VME_READY ?
		    "VM lost before the agent was ready" :
		    "control channel closed");
		return;
	}
	ctl.inlen += (size_t)n;
	used = vme_ctl_messages();
	if (ctl.fd == -1)
		return;
	ctl.inlen -= used;
	memmove(ctl.in, ctl.in + used, ctl.inlen);
	if (vme_ctl_grow() == -1)
		vme_broke("control message too long");
	else
		vme_ctl_send();
}

/*
 * The VM is lost, perhaps seen on the other channel: answers and events that
 * it sent before still count.
 */
void
vme_ctl_drain(void)
{
	size_t	 total, used;
	ssize_t	 n;

	for (total = 0; ctl.fd != -1 && !ctl.busy && total < VME_DRAIN_MAX;
	    total += (size_t)n) {
		n = recv(ctl.fd, ctl.in + ctl.inlen, ctl.insize - ctl.inlen,
		    MSG_DONTWAIT);
		if (n <= 0)
			break;
		ctl.inlen += (size_t)n;
		used = vme_ctl_messages();
		ctl.inlen -= used;
		memmove(ctl.in, ctl.in + used, ctl.inlen);
		if (vme_ctl_grow() == -1)
			break;
	}
}

/* A message larger than the buffer makes it grow by what really came. */
static int
vme_ctl_grow(void)
{
	uint8_t		*in;
	uint32_t	 code;
	size_t		 len, size;

	if (ctl.inlen >= HYP_CTL_HEADER_SIZE &&
	    hyp_ctl_decode(ctl.in, &code, &len) == -1)
		return (-1);
	if (ctl.inlen == ctl.insize)
		size = ctl.insize * 2;
	else if (ctl.inlen == 0 && ctl.insize > HYP_MESSAGE_MAX)
		size = HYP_MESSAGE_MAX;
	else
		return (0);
	if ((in = realloc(ctl.in, size)) == NULL)
		fatal("%s", __func__);
	ctl.in = in;
	ctl.insize = size;
	return (0);
}

/* All complete messages; returns the bytes used. */
static size_t
vme_ctl_messages(void)
{
	uint32_t	 code;
	size_t		 len, off;

	off = 0;
	ctl.busy = 1;
	while (ctl.fd != -1 && ctl.inlen - off >= HYP_CTL_HEADER_SIZE) {
		if (hyp_ctl_decode(ctl.in + off, &code, &len) == -1 ||
		    ctl.inlen - off < HYP_CTL_HEADER_SIZE + len)
			break;
		vme_ctl_message(code, ctl.in + off + HYP_CTL_HEADER_SIZE,
		    len);
		off += HYP_CTL_HEADER_SIZE + len;
	}
	ctl.busy = 0;
	return (off);
}

static void
vme_ctl_message(uint32_t code, const uint8_t *p, size_t len)
{
	if (code == HYP_NEXT) {
		vme_ctl_next(p, len);
		return;
	}
	if (env->state == VME_READY) {
		vme_ctl_ready(code, p, len);
		return;
	}
	switch (code) {
	case HYP_PROCESSEVENT:
		vme_process_event(p, len);
		break;
	case HYP_PODFINISHED:
		vme_dialect_statuses();
		/* FALLTHROUGH */
	case HYP_READY:
	case HYP_ASYNCEVENT:
		vme_vmlog(LOGL_DEBUG, NULL, "ignored %s (%u) from the agent",
		    hyp_name(code), code);
		break;
	default:
		vme_ctl_reply(code, p, len);
		break;
	}
}

/* The first message decides the registration. */
static void
vme_ctl_ready(uint32_t code, const uint8_t *p, size_t len)
{
	char	*text;
	int	 n;

	if (code == HYP_READY) {
		evtimer_del(&env->ready_timer);
		env->state = VME_UP;
		env->frontend.iev_state = VME_UP;
		imsgev_signal(&env->frontend, MSG_VM_UP);
		imsgev_signal(&env->parent, MSG_VM_UP);
		return;
	}
	if (len > MSG_TEXT_MAX / 2)
		len = MSG_TEXT_MAX / 2;
	if (env->conf.proto == MSG_PROTO_1 && code == HYP_ERROR)
		n = asprintf(&text, "ERROR received from Hyperstart");
	else if (env->conf.proto == MSG_PROTO_1)
		n = asprintf(&text, "CMD ID received %u not matching "
		    "expected %d", code, HYP_READY);
	else if (code == HYP_ERROR)
		n = asprintf(&text, "ERROR received from VM agent, "
		    "control msg received : %.*s", (int)len,
		    (const char *)p);
	else
		n = asprintf(&text, "CMD ID received %u not matching "
		    "expected %d, control msg received : %.*s", code,
		    HYP_READY, (int)len, (const char *)p);
	if (n == -1)
		fatal("%s", __func__);
	vme_lost(text);
	free(text);
}

static void
vme_ctl_timeout(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	vme_lost("timeout waiting for the VM agent to be ready");
}

/*
 * The agent read some bytes of what was written.  DESTROYPOD, if it waits,
 * was written before all others that do.
 */
static void
vme_ctl_next(const uint8_t *p, size_t len)
{
	struct vme_txn	*t;
	size_t		 n;

	if (len != 4)
		return;
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 |
	    (size_t)p[3];
	if ((t = ctl.destroy) == NULL || t->next >= t->order.len) {
		TAILQ_FOREACH(t, &ctl.waitq, entry)
			if (t->next < t->order.len)
				break;
	}
	if (t == NULL && (t = TAILQ_FIRST(&ctl.sendq)) != NULL && t->off == 0)
		t = NULL;
	if (t == NULL)
		return;
	if (t->next == 0)
		t->first = n;
	t->next += n;
}

/* Strictly first come, first served, but for DESTROYPOD. */
static struct vme_txn *
vme_ctl_whose(void)
{
	struct vme_txn	*t;

	t = TAILQ_FIRST(&ctl.waitq);
	if (t == NULL || (ctl.nexts && t->next == 0))
		t = ctl.destroy;
	if (t == NULL)
		return (NULL);
	if (t == ctl.destroy)
		ctl.destroy = NULL;
	else {
		TAILQ_REMOVE(&ctl.waitq, t, entry);
		ctl.inflight--;
	}
	return (t);
}

static void
vme_ctl_reply(uint32_t code, const uint8_t *p, size_t len)
{
	struct vme_early	*e;
	struct vme_txn		*t;
	enum vme_dialect	 before = env->dialect;

	if ((t = vme_ctl_whose()) != NULL) {
		vme_dialect_learn(&t->order, t->first, t->next, code, p, len);
		ctl.nexts = t->next > 0 && (env->dialect == VME_UNIVERSAL ||
		    env->dialect == VME_HYPERSTART);
		if (code == HYP_ERROR && before == VME_UNKNOWN &&
		    t->conn != NULL && vme_dialect_reword(&t->order))
			vme_ctl_again(t);
		else
			vme_ctl_answer(t, code, p, len);
		return;
	}
	/* Before the first command some agents have said yes already. */
	if ((code != HYP_ACK && code != HYP_ERROR) ||
	    env->dialect != VME_UNKNOWN || ctl.nearly == VME_EARLY_MAX) {
		vme_vmlog(LOGL_WARN, NULL,
		    "dropped message %u that no command waits for", code);
		return;
	}
	e = vme_malloc(sizeof(*e) + len);
	e->code = code;
	e->len = len;
	if (len > 0)
		memcpy(e->payload, p, len);
	TAILQ_INSERT_TAIL(&ctl.early, e, entry);
	ctl.nearly++;
}

/* Behind a message that was begun; vme_ctl_read() sends what can be sent. */
static void
vme_ctl_again(struct vme_txn *t)
{
	struct vme_txn	*head;

	t->off = t->next = t->first = 0;
	head = TAILQ_FIRST(&ctl.sendq);
	if (head != NULL && head->off > 0)
		TAILQ_INSERT_AFTER(&ctl.sendq, head, t, entry);
	else
		TAILQ_INSERT_HEAD(&ctl.sendq, t, entry);
}

static void
vme_ctl_answer(struct vme_txn *t, uint32_t code, const void *p, size_t len)
{
	uint32_t	 told;

	told = vme_dialect_answer(&t->order, code);
	vme_ctl_finish(t, told, p, told == code ? len : 0);
}

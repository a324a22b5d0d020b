/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: engines: opening VMs through the parent, handing
 * connections over, answering what engines ask.  An engine may have been
 * taken over by its guest: it can ask about ids and tokens and gets a yes,
 * a no, or "not yours"; it can end or free only what is its own.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend.h"

static void	fe_handover_now(struct fe_conn *, struct fe_vm *);
static void	fe_handover_next(struct fe_vm *);
static void	fe_vm_open_failed(struct fe_vm *, const char *);
static void	fe_engine_ended(struct imsgev *, enum imsgev_end);
static struct fe_conn *fe_engine_conn(struct fe_vm *, uint32_t);
static int	fe_up(struct imsgev *, struct ibuf *, int *);
static int	fe_error(struct imsgev *, struct ibuf *, int *);
static int	fe_lost(struct imsgev *, struct ibuf *, int *);
static int	fe_taken(struct imsgev *, struct ibuf *, int *);
static int	fe_closed(struct imsgev *, struct ibuf *, int *);
static int	fe_ask_unregister(struct imsgev *, struct ibuf *, int *);
static int	fe_ask_id(struct imsgev *, struct ibuf *, int *);
static int	fe_ask_token(struct imsgev *, struct ibuf *, int *);
static int	fe_ask_mint(struct imsgev *, struct ibuf *, int *);
static int	fe_token_freed(struct imsgev *, struct ibuf *, int *);
static void	fe_answer(struct fe_vm *, uint32_t, enum msg_answer);
static void	fe_clients_limit(const struct fe_conn *,
		    const struct fe_vm *);

enum fe_engine_state {
	FE_ENGINE_STARTING = 0x01,
	FE_ENGINE_SERVING = 0x02
};

/* Who sends: one engine. */
static const struct imsgev_handler fe_engine_table[] = {
	{ MSG_VM_UP,		FE_ENGINE_STARTING,	fe_up },
	{ MSG_VM_ERROR,		FE_ENGINE_STARTING,	fe_error },
	{ MSG_VM_LOST,		FE_ENGINE_SERVING,	fe_lost },
	{ MSG_VM_STATS,		FE_ENGINE_SERVING,	fe_stats_vm },
	{ MSG_CONN_TAKEN,	FE_ENGINE_SERVING,	fe_taken },
	{ MSG_CONN_CLOSED,	FE_ENGINE_SERVING,	fe_closed },
	{ MSG_ASK_UNREGISTER,	FE_ENGINE_SERVING,	fe_ask_unregister },
	{ MSG_ASK_ID,		FE_ENGINE_SERVING,	fe_ask_id },
	{ MSG_ASK_TOKEN,	FE_ENGINE_SERVING,	fe_ask_token },
	{ MSG_ASK_MINT,		FE_ENGINE_SERVING,	fe_ask_mint },
	{ MSG_TOKEN_FREED,	FE_ENGINE_SERVING,	fe_token_freed },
	{ 0, 0, NULL }
};

/*
 * RegisterVM: the connection waits here until the agent has said READY.
 */
void
fe_vm_open(struct fe_conn *c, const struct req_vm *req)
{
	struct msg_vm_open	 open;
	struct fe_vm		*vm;
	int			 fd;

	/* The parent asks the kernel itself who it is. */
	if ((fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		fe_conn_fail(c, FRM_REGISTERVM, "could not start the VM's "
		    "engine: %s", log_strerror(errno));
		return;
	}
	if ((vm = fe_vm_new(req->id, c->uid)) == NULL) {
		close(fd);
		fe_conn_fail(c, FRM_REGISTERVM, "out of memory");
		return;
	}
	strlcpy(vm->ctl, req->ctl, sizeof(vm->ctl));
	strlcpy(vm->io, req->io, sizeof(vm->io));
	vm->registrant = c;
	c->vm = vm;
	c->state = FE_PARKED;
	memset(&open, 0, sizeof(open));
	open.vmid = vm->vmid;
	open.proto = c->proto;
	strlcpy(open.id, req->id, sizeof(open.id));
	strlcpy(open.ctl, req->ctl, sizeof(open.ctl));
	strlcpy(open.io, req->io, sizeof(open.io));
	/* One that is too long cannot be connected to: there is no console. */
	if (strlcpy(open.console, req->console, sizeof(open.console)) >=
	    sizeof(open.console))
		open.console[0] = '\0';
	imsgev_send(&fenv->parent, MSG_VM_OPEN, fd,
	    msg_vm_open_encode(&open));
}

/* The engine runs; the agent has not said READY yet. */
int
fe_vm_opened(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*vm;
	uint32_t	 vmid, pid;

	(void)iev;
	if (msg_u32u32_decode(b, &vmid, &pid) == -1 ||
	    (vm = fe_vm_by_vmid(vmid)) == NULL ||
	    vm->state != MSG_STATE_OPENING)
		return (-1);
	if (!fe_room() || imsgev_init(&vm->engine, *fd, fe_engine_table,
	    FE_ENGINE_STARTING, fe_engine_ended, vm) == -1) {
		/* Without us it ends. */
		log_warnx("no memory for the engine of %s", vm->id);
		vm->engine.iev_fd = -1;
		fe_vm_open_failed(vm, "out of memory");
		return (0);
	}
	*fd = -1;
	vm->has_engine = 1;
	vm->engine_pid = pid;
	vm->state = MSG_STATE_STARTING;
	return (0);
}

int
fe_vm_failed(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct msg_vm_failed	 failed;
	struct fe_vm		*vm;
	char			 why[MSG_SUN_MAX + 128];

	(void)iev;
	(void)fd;
	if (msg_vm_failed_decode(b, &failed) == -1 ||
	    (vm = fe_vm_by_vmid(failed.vmid)) == NULL ||
	    vm->state != MSG_STATE_OPENING)
		return (-1);
	if (failed.step == MSG_STEP_ENGINE && failed.errnum != ECHILD)
		snprintf(why, sizeof(why), "could not start the VM's engine: "
		    "%s", log_strerror((int)failed.errnum));
	else if (failed.step == MSG_STEP_ENGINE)
		snprintf(why, sizeof(why), "could not start the VM's engine");
	else if (failed.step == MSG_STEP_POLICY)
		snprintf(why, sizeof(why), POLICY_DENIED);
	else if (failed.step == MSG_STEP_LIMIT)
		snprintf(why, sizeof(why), "too many VMs%s",
		    failed.errnum == EDQUOT ? " of this user" : "");
	else
		snprintf(why, sizeof(why), "dial unix %s: connect: %s",
		    failed.step == MSG_STEP_CTL ? vm->ctl : vm->io,
		    log_strerror((int)failed.errnum));
	fe_vm_dead(vm);
	fe_vm_open_failed(vm, why);
	fe_vm_check(vm);
	return (0);
}

/* The engine's process was reaped. */
int
fe_vm_gone(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*vm;
	uint32_t	 vmid;

	(void)iev;
	(void)fd;
	if (msg_u32_decode(b, &vmid) == -1 ||
	    (vm = fe_vm_by_vmid(vmid)) == NULL)
		return (-1);
	if (vm->gone)
		return (-1);
	fe_vm_dead(vm);
	vm->engine_pid = 0;
	fe_vm_check(vm);
	return (0);
}

/* The registration failed: its client is told why, the id is free again. */
static void
fe_vm_open_failed(struct fe_vm *vm, const char *why)
{
	struct fe_conn	*c;

	fe_vm_unregister(vm);
	if ((c = vm->registrant) != NULL) {
		vm->registrant = NULL;
		c->vm = NULL;
		fe_request_failed(c, why);
	}
	while ((c = TAILQ_FIRST(&vm->waiting)) != NULL) {
		TAILQ_REMOVE(&vm->waiting, c, wait_entry);
		c->vm = NULL;
		fe_request_failed(c, NULL);
	}
}

static int
fe_error(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*vm = iev->iev_arg;
	struct audit	 a;
	char		 why[MSG_TEXT_MAX + 1];

	(void)fd;
	if (msg_text_decode(b, why, sizeof(why)) == -1 ||
	    vm->state != MSG_STATE_STARTING)
		return (-1);
	if (vm->registrant != NULL) {
		fe_audit(&a, AUDIT_VM_FAILED, vm->registrant);
		audit_str(&a, "vm", vm->id);
		audit_str(&a, "reason", why);
		audit_log(&a, "registration of %s failed: %s", vm->id, why);
	}
	fe_vm_open_failed(vm, why);
	return (0);
}

static int
fe_up(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*vm = iev->iev_arg;
	struct fe_conn	*c;

	(void)b;
	(void)fd;
	if (vm->state != MSG_STATE_STARTING)
		return (-1);
	vm->state = MSG_STATE_UP;
	iev->iev_state = FE_ENGINE_SERVING;
	if ((c = vm->registrant) != NULL) {
		vm->registrant = NULL;
		TAILQ_INSERT_HEAD(&vm->waiting, c, wait_entry);
	}
	fe_handover_next(vm);
	return (0);
}

static int
fe_lost(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*vm = iev->iev_arg;

	(void)b;
	(void)fd;
	if (vm->state == MSG_STATE_UP)
		vm->state = MSG_STATE_TOMB;
	return (0);
}

/*
 * The channel to the engine ended: it went, or it broke the protocol, and
 * then losing this channel makes it go.
 */
static void
fe_engine_ended(struct imsgev *iev, enum imsgev_end end)
{
	struct fe_vm	*vm = iev->iev_arg;
	struct fe_conn	*c;
	struct audit	 a;

	if (end == IMSGEV_VIOLATION) {
		audit_begin(&a, AUDIT_PROTOCOL_VIOLATION);
		audit_str(&a, "process", "engine");
		audit_num(&a, "process_pid", vm->engine_pid);
		audit_str(&a, "vm", vm->id);
		audit_str(&a, "reason", iev->iev_why);
		audit_log(&a, "engine of %s broke the protocol: %s", vm->id,
		    iev->iev_why);
		imsgev_send(&fenv->parent, MSG_VM_KILL, -1,
		    msg_u32_encode(vm->vmid));
	}
	vm->has_engine = 0;
	vm->stats.asked = 0;
	fe_stats_gone(&vm->stats);
	while ((c = LIST_FIRST(&vm->conns)) != NULL)
		fe_conn_close(c);
	vm->unacked = 0;
	if (vm->state == MSG_STATE_STARTING)
		fe_vm_open_failed(vm, "the VM's engine died");
	if (vm->state == MSG_STATE_UP)
		vm->state = MSG_STATE_TOMB;
	while ((c = TAILQ_FIRST(&vm->waiting)) != NULL) {
		TAILQ_REMOVE(&vm->waiting, c, wait_entry);
		c->vm = NULL;
		fe_request_tomb(c, vm);
	}
	fe_vm_check(vm);
}

/* It may be asked how it is. */
int
fe_engine_serves(const struct fe_vm *vm)
{
	return (vm->has_engine && vm->engine.iev_state == FE_ENGINE_SERVING);
}

/*
 * Security events about a client and a VM.
 */

void
fe_attached(const struct fe_conn *c, const struct fe_vm *vm)
{
	struct audit	 a;

	fe_audit(&a, AUDIT_CLIENT_ATTACHED, c);
	audit_str(&a, "vm", vm->id);
	audit_log(&a, "client of uid %u attached to VM %s", c->uid, vm->id);
}

void
fe_audit_unregistered(const struct fe_conn *c, const struct fe_vm *vm)
{
	struct audit	 a;

	fe_audit(&a, AUDIT_VM_UNREGISTERED, c);
	audit_str(&a, "vm", vm->id);
	audit_log(&a, "VM %s unregistered by uid %u", vm->id, c->uid);
}

/* vm: NULL if it is not there yet. */
void
fe_tokens_limit(const struct fe_conn *c, const struct fe_vm *vm, size_t n)
{
	const struct msg_limits	*l = &fenv->conf.limits;
	struct audit		 a;

	fe_audit(&a, AUDIT_LIMIT_REACHED, c);
	if (vm != NULL && vm->ntokens + n > l->tokens_vm)
		audit_limit(&a, "tokens per vm", l->tokens_vm);
	else if (fenv->ntokens + n > l->tokens)
		audit_limit(&a, "tokens", l->tokens);
	else if (fe_share_tokens(vm == NULL ? c->user : vm->user, n))
		audit_limit(&a, "tokens per uid", l->tokens_uid);
	else
		audit_limit(&a, "memory", 0);
	if (vm != NULL)
		audit_str(&a, "vm", vm->id);
	audit_log(&a, "no more I/O tokens for uid %u", c->uid);
}

static void
fe_clients_limit(const struct fe_conn *c, const struct fe_vm *vm)
{
	struct audit	 a;

	fe_audit(&a, AUDIT_LIMIT_REACHED, c);
	audit_limit(&a, "clients per vm", fenv->clients_max);
	audit_str(&a, "vm", vm->id);
	audit_log(&a, "too many clients of VM %s: uid %u", vm->id, c->uid);
}

/*
 * Hand-over: descriptor, request, tokens, end.
 */

void
fe_handover(struct fe_conn *c, struct fe_vm *vm)
{
	c->state = FE_PARKED;
	c->vm = vm;
	TAILQ_INSERT_TAIL(&vm->waiting, c, wait_entry);
	fe_handover_next(vm);
}

static void
fe_handover_next(struct fe_vm *vm)
{
	struct fe_conn	*c;

	while (vm->unacked < FE_UNACKED_MAX && vm->has_engine &&
	    (c = TAILQ_FIRST(&vm->waiting)) != NULL) {
		TAILQ_REMOVE(&vm->waiting, c, wait_entry);
		fe_handover_now(c, vm);
	}
}

static void
fe_handover_now(struct fe_conn *c, struct fe_vm *vm)
{
	struct msg_handover	 h;
	char			(*tokens)[TOKEN_SIZE];
	const char		*why;
	size_t			 off, len;

	if (fe_share_served(c, &why) == -1) {
		c->vm = NULL;
		fe_conn_fail(c, c->hdr.opcode, "%s", why);
		return;
	}
	if (vm->nconns >= fenv->clients_max) {
		c->vm = NULL;
		fe_clients_limit(c, vm);
		fe_conn_fail(c, c->hdr.opcode, "too many clients of %s",
		    vm->id);
		return;
	}
	if ((tokens = fe_token_mint(vm, c->ntokens)) == NULL) {
		c->vm = NULL;
		fe_tokens_limit(c, vm, c->ntokens);
		fe_conn_fail(c, c->hdr.opcode, "no more I/O tokens");
		return;
	}
	if (c->hdr.opcode == FRM_ATTACHVM)
		fe_attached(c, vm);
	if (c->ev_flags != 0)
		event_del(&c->ev);
	c->ev_flags = 0;
	memset(&h, 0, sizeof(h));
	h.connid = c->connid;
	h.client = c->client;
	h.uid = c->uid;
	h.gid = c->gid;
	h.pid = c->pid;
	h.reqlen = (uint32_t)c->inlen;
	h.ntokens = c->ntokens;
	h.proto = c->proto;
	imsgev_send(&vm->engine, MSG_CONN_HANDOVER, c->fd,
	    msg_handover_encode(&h));
	c->fd = -1;
	for (off = 0; off < c->inlen; off += len) {
		len = c->inlen - off < MSG_CHUNK_MAX ? c->inlen - off :
		    MSG_CHUNK_MAX;
		imsgev_send(&vm->engine, MSG_CONN_REQUEST, -1,
		    msg_chunk_encode(c->connid, c->in + off, len));
	}
	fe_tokens_send(vm, c->connid, tokens, c->ntokens);
	imsgev_send(&vm->engine, MSG_CONN_END, -1,
	    msg_u32_encode(c->connid));
	free(tokens);

	/* What stays is the record that the engine has it. */
	fe_share_count(c, 0, c->insize - FRM_HEADER_SIZE);
	free(c->in);
	c->in = NULL;
	c->state = FE_ROUTED;
	c->taken = 0;
	LIST_INSERT_HEAD(&vm->conns, c, vm_entry);
	vm->nconns++;
	vm->unacked++;
	fenv->nunrouted--;
	fenv->nrouted++;
	c->user->nunrouted--;
	c->user->nrouted++;
}

/* One of the connections this engine has, or NULL. */
static struct fe_conn *
fe_engine_conn(struct fe_vm *vm, uint32_t connid)
{
	struct fe_conn	 key, *c;

	key.connid = connid;
	c = RB_FIND(fe_conns, &fenv->conns, &key);
	return (c != NULL && c->state == FE_ROUTED && c->vm == vm ? c : NULL);
}

static int
fe_taken(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*vm = iev->iev_arg;
	struct fe_conn	*c;
	uint32_t	 connid;

	(void)fd;
	if (msg_u32_decode(b, &connid) == -1 ||
	    (c = fe_engine_conn(vm, connid)) == NULL || c->taken)
		return (-1);
	c->taken = 1;
	vm->unacked--;
	fe_handover_next(vm);
	return (0);
}

static int
fe_closed(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*vm = iev->iev_arg;
	struct fe_conn	*c;
	uint32_t	 connid;

	(void)fd;
	if (msg_u32_decode(b, &connid) == -1 ||
	    (c = fe_engine_conn(vm, connid)) == NULL || !c->taken)
		return (-1);
	fe_conn_close(c);
	return (0);
}

/*
 * Questions of an engine, always on behalf of a connection it has.
 */

static void
fe_answer(struct fe_vm *vm, uint32_t connid, enum msg_answer answer)
{
	imsgev_send(&vm->engine, MSG_ASK_ANSWER, -1,
	    msg_u32u8_encode(connid, (int)answer));
}

/* In pod mode, before the client is told: it finds no listener then. */
void
fe_unlisten(void)
{
	if (fenv->conf.pod && fenv->nlisteners > 0) {
		fe_accept_stop();
		imsgev_signal(&fenv->parent, MSG_SETUP_UNLISTEN);
	}
}

/* After that: the parent may end a daemon that has nothing more to do. */
void
fe_unregistered(const struct fe_conn *c, struct fe_vm *vm)
{
	uint32_t	 vmid = vm->vmid;

	fe_audit_unregistered(c, vm);
	fe_vm_unregister(vm);
	fe_vm_check(vm);
	imsgev_send(&fenv->parent, MSG_VM_UNREGISTERED, -1,
	    msg_u32_encode(vmid));
}

static int
fe_ask_unregister(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*asker = iev->iev_arg, *vm;
	struct fe_conn	*c;
	char		 id[MSG_ID_MAX + 1];
	uint32_t	 connid;

	(void)fd;
	if (msg_u32str_decode(b, &connid, id, sizeof(id)) == -1 ||
	    (c = fe_engine_conn(asker, connid)) == NULL)
		return (-1);
	vm = fe_vm_by_id(id);
	if (!fe_may(c, POLICY_UNREGISTER, id, vm)) {
		fe_answer(asker, connid, MSG_ANSWER_DENIED);
		return (0);
	}
	if (vm == NULL || vm->state == MSG_STATE_OPENING ||
	    vm->state == MSG_STATE_STARTING) {
		fe_answer(asker, connid, MSG_ANSWER_UNKNOWN);
		return (0);
	}
	fe_unlisten();
	fe_answer(asker, connid, MSG_ANSWER_OK);
	fe_unregistered(c, vm);
	return (0);
}

static int
fe_ask_id(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*asker = iev->iev_arg, *vm;
	char		 id[MSG_ID_MAX + 1];
	uint32_t	 connid;

	(void)fd;
	if (msg_u32str_decode(b, &connid, id, sizeof(id)) == -1 ||
	    fe_engine_conn(asker, connid) == NULL)
		return (-1);
	vm = fe_vm_by_id(id);
	fe_answer(asker, connid, vm == NULL ? MSG_ANSWER_UNKNOWN :
	    vm == asker ? MSG_ANSWER_OK : MSG_ANSWER_FOREIGN);
	return (0);
}

static int
fe_ask_token(struct imsgev *iev, struct ibuf *b, int *fd)
{
	char		 token[1][TOKEN_SIZE];
	struct fe_vm	*asker = iev->iev_arg, *vm;
	uint32_t	 connid;

	(void)fd;
	if (msg_tokens_decode(b, &connid, token, 1) != 1 ||
	    fe_engine_conn(asker, connid) == NULL)
		return (-1);
	vm = fe_token_vm(token[0]);
	fe_answer(asker, connid, vm == NULL ? MSG_ANSWER_UNKNOWN :
	    vm == asker ? MSG_ANSWER_OK : MSG_ANSWER_FOREIGN);
	return (0);
}

static int
fe_ask_mint(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm	*vm = iev->iev_arg;
	struct fe_conn	*c;
	char		(*tokens)[TOKEN_SIZE];
	uint32_t	 connid, n;

	(void)fd;
	if (msg_u32u32_decode(b, &connid, &n) == -1 ||
	    n > REQ_STREAMS_MAX || (c = fe_engine_conn(vm, connid)) == NULL)
		return (-1);
	if (!fe_may(c, POLICY_ATTACH, vm->id, vm)) {
		fe_answer(vm, connid, MSG_ANSWER_DENIED);
		return (0);
	}
	if ((tokens = fe_token_mint(vm, n)) == NULL) {
		fe_tokens_limit(c, vm, n);
		fe_answer(vm, connid, MSG_ANSWER_REFUSED);
		return (0);
	}
	fe_attached(c, vm);
	fe_tokens_send(vm, connid, tokens, n);
	free(tokens);
	fe_answer(vm, connid, MSG_ANSWER_OK);
	return (0);
}

static int
fe_token_freed(struct imsgev *iev, struct ibuf *b, int *fd)
{
	char	 token[TOKEN_SIZE];

	(void)fd;
	if (msg_token_decode(b, token) == -1)
		return (-1);
	fe_token_free(iev->iev_arg, token);
	return (0);
}

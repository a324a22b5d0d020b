/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: one engine process for each VM: start it, give it and the
 * frontend the channel between them, ask it to reload, and see it end.  Its
 * guest may have taken it over: what it says is one of a few messages, each
 * when it is due.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "parent.h"
#include "sandbox.h"

static TAILQ_HEAD(, engine) engines = TAILQ_HEAD_INITIALIZER(engines);
static unsigned int	 nengines;
static uint32_t		 generation;	/* of the last BEGIN, to all */
static uint64_t		 nended, nfailed, nkilled;

static void	engine_conf(const struct engine *, const struct conf *,
		    struct msg_vm_conf *);
static void	engine_config(struct engine *, int);
static int	engine_counts(const struct engine *);
static void	engine_state(struct imsgev *, enum engine_state);
static void	engine_timeout(int, short, void *);
static void	engine_exited(struct child *, int, int);
static int	engine_ready(struct imsgev *, struct ibuf *, int *);
static int	engine_up(struct imsgev *, struct ibuf *, int *);
static int	engine_lost(struct imsgev *, struct ibuf *, int *);
static int	engine_ack(struct imsgev *, struct ibuf *, int *);

/* Who sends: an engine. */
static const struct imsgev_handler engine_table[] = {
	{ MSG_SETUP_READY,	ENGINE_STARTING,	engine_ready },
	{ MSG_VM_UP,		ENGINE_UP,		engine_up },
	{ MSG_VM_LOST,		ENGINE_SERVING,		engine_lost },
	{ MSG_SETUP_ACK,	ENGINE_OWED,		engine_ack },
	{ 0, 0, NULL }
};

struct engine *
engine_new(const struct msg_vm_open *open, const struct ucred *cred)
{
	struct engine	*e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		return (NULL);
	e->open = *open;
	e->cred = *cred;
	e->ctl = e->io = e->console = e->peer = -1;
	e->child.iev.iev_fd = -1;
	TAILQ_INSERT_TAIL(&engines, e, entry);
	nengines++;
	return (e);
}

struct engine *
engine_find(uint32_t vmid)
{
	struct engine	*e;

	TAILQ_FOREACH(e, &engines, entry)
		if (e->open.vmid == vmid)
			return (e);
	return (NULL);
}

unsigned int
engines_count(void)
{
	return (nengines);
}

unsigned int
engines_of(uid_t uid, int retries)
{
	struct engine	*e;
	unsigned int	 n = 0;

	TAILQ_FOREACH(e, &engines, entry)
		if (e->cred.uid == uid && (!retries || e->retries))
			n++;
	return (n);
}

static void
engine_state(struct imsgev *iev, enum engine_state state)
{
	iev->iev_state = (iev->iev_state & ENGINE_OWED) | (uint32_t)state;
}

int
engine_start(struct engine *e)
{
	struct timeval	 tv = { PARENT_READY_TIME, 0 };
	int		 error, sv[2];

	/* There is a uid for each: none before others are reaped. */
	error = EAGAIN;
	if ((e->has_ids = ids_take(&e->ids) == 0) &&
	    spawn_socketpair(sv) == -1)
		error = errno;
	else if (e->has_ids && child_start(&e->child, "ccp-vmengine",
	    &e->ids, penv->nofile, penv->rootfd, e->open.id,
	    engine_exited) == -1) {
		error = errno;
		close(sv[0]);
		close(sv[1]);
	} else if (e->has_ids)
		error = 0;
	if (error != 0)
		return (error);
	e->peer = sv[1];
	e->state = ENGINE_STARTING;
	evtimer_set(&e->timer, engine_timeout, e);
	evtimer_add(&e->timer, &tv);
	if (child_channel(&e->child, engine_table, ENGINE_STARTING) == -1) {
		/* Its end is that of a failed start. */
		log_warn("channel of the engine of %s", e->open.id);
		close(e->child.proc.channel);
		close(sv[0]);
		child_kill(&e->child);
		return (0);
	}
	engine_config(e, sv[0]);
	return (0);
}

/* What kind of agent it is does not change while it runs. */
static void
engine_conf(const struct engine *e, const struct conf *c,
    struct msg_vm_conf *conf)
{
	const uint32_t	*t = c->timeouts;

	memset(conf, 0, sizeof(*conf));
	conf->vmid = e->open.vmid;
	conf->level = c->level;
	conf->events = c->log_events;
	conf->proto = e->open.proto;
	conf->guest = e->guest;
	conf->timeouts.shim = t[FLT_SHIM];
	conf->timeouts.process = t[FLT_PROCESS];
	conf->timeouts.stdin_ = t[FLT_STDIN];
	conf->timeouts.ready = t[FLT_READY];
	conf->timeouts.agent = t[FLT_AGENT];
	conf->timeouts.destroy = t[FLT_DESTROY];
	conf->out_shim = c->limits[CONF_OUT_SHIM];
	conf->out_vm = c->limits[CONF_OUT_VM];
	strlcpy(conf->id, e->open.id, sizeof(conf->id));
	strlcpy(conf->ctl, e->open.ctl, sizeof(conf->ctl));
	strlcpy(conf->path, penv->path, sizeof(conf->path));
}

/*
 * What the engine works with; it reads it sandboxed.  peer is its end of the
 * channel to the frontend.
 */
static void
engine_config(struct engine *e, int peer)
{
	struct msg_vm_conf	 conf;
	struct imsgev		*iev = &e->child.iev;

	e->guest = conf_guest(&penv->conf, &penv->flags, e->open.ctl);
	engine_conf(e, &penv->conf, &conf);
	imsgev_send(iev, MSG_VM_CONF, -1, msg_vm_conf_encode(&conf));
	imsgev_send(iev, MSG_VM_CTL, e->ctl, NULL);
	imsgev_send(iev, MSG_VM_IO, e->io, NULL);
	if (e->console != -1)
		imsgev_send(iev, MSG_VM_CONSOLE, e->console, NULL);
	imsgev_send(iev, MSG_VM_PEER, peer, NULL);
	imsgev_signal(iev, MSG_VM_COMMIT);
	e->ctl = e->io = e->console = -1;
}

static void
engine_timeout(int fd, short event, void *arg)
{
	struct engine	*e = arg;
	struct audit	 a;

	(void)fd;
	(void)event;
	child_audit(&a, AUDIT_LIMIT_REACHED, &e->child);
	audit_limit(&a, "start time", PARENT_READY_TIME);
	audit_log(&a, "engine of %s did not start in %d seconds: killed",
	    e->open.id, PARENT_READY_TIME);
	child_kill(&e->child);
}

/* The engine is sandboxed: its VM's clients may be passed to it. */
static int
engine_ready(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct child	*ch = iev->iev_arg;
	struct engine	*e;
	uint32_t	 layers;
	char		 text[256];

	(void)fd;
	e = (struct engine *)((char *)ch - offsetof(struct engine, child));
	if (msg_u32_decode(b, &layers) == -1)
		return (-1);
	sbx_describe(layers, text, sizeof(text));
	log_debug("engine of %s sandbox: %s", e->open.id, text);
	start_settled(e);
	evtimer_del(&e->timer);
	e->state = ENGINE_UP;
	engine_state(iev, ENGINE_UP);
	imsgev_send(&penv->frontend.iev, MSG_VM_OPENED, e->peer,
	    msg_u32u32_encode(e->open.vmid, (uint32_t)ch->proc.pid));
	e->peer = -1;
	return (0);
}

static int
engine_up(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct child	*ch = iev->iev_arg;
	struct engine	*e;
	struct audit	 a;

	(void)b;
	(void)fd;
	e = (struct engine *)((char *)ch - offsetof(struct engine, child));
	engine_state(iev, ENGINE_SERVING);
	if (registrant_log(&e->cred, LOGL_INFO)) {
		registrant_audit(&a, AUDIT_VM_REGISTERED, &e->cred,
		    e->open.id);
		audit_num(&a, "protocol",
		    e->open.proto == MSG_PROTO_1 ? 1 : 3);
		audit_str(&a, "path", e->open.ctl);
		audit_log(&a, "VM %s registered by uid %u", e->open.id,
		    e->cred.uid);
	}
	ksm_kick();
	parent_status();
	return (0);
}

static int
engine_lost(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct child	*ch = iev->iev_arg;
	struct engine	*e;

	(void)b;
	(void)fd;
	engine_state(iev, ENGINE_LOST);
	e = (struct engine *)((char *)ch - offsetof(struct engine, child));
	e->lost = 1;
	parent_check_done();
	return (0);
}

/*
 * Every engine gets every configuration from its start on, and answers each
 * once: a shadow of it takes no memory, so there is no other answer.
 */
static int
engine_ack(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct child	*ch = iev->iev_arg;
	struct engine	*e;
	uint32_t	 gen;
	int		 ok;

	(void)fd;
	e = (struct engine *)((char *)ch - offsetof(struct engine, child));
	if (msg_u32u8_decode(b, &gen, &ok, 2) == -1 || !ok ||
	    gen != generation - e->owed + 1 ||
	    (iev->iev_state & ENGINE_STARTING) != 0)
		return (-1);
	if (--e->owed == 0)
		iev->iev_state &= ~(uint32_t)ENGINE_OWED;
	reload_check();
	return (0);
}

/* Whose channel is closed is about to end. */
static int
engine_counts(const struct engine *e)
{
	return (e->child.running && e->child.iev.iev_fd != -1);
}

void
engines_begin(const struct conf *c, uint32_t gen)
{
	struct msg_vm_conf	 conf;
	struct engine		*e;
	struct imsgev		*iev;

	generation = gen;
	TAILQ_FOREACH(e, &engines, entry) {
		if (!engine_counts(e))
			continue;
		iev = &e->child.iev;
		engine_conf(e, c, &conf);
		imsgev_send(iev, MSG_SETUP_BEGIN, -1, msg_u32_encode(gen));
		imsgev_send(iev, MSG_VM_CONF, -1, msg_vm_conf_encode(&conf));
		imsgev_send(iev, MSG_SETUP_COMMIT, -1, msg_u32_encode(gen));
		e->owed++;
		iev->iev_state |= ENGINE_OWED;
	}
}

void
engines_decide(uint32_t type)
{
	struct engine	*e;

	TAILQ_FOREACH(e, &engines, entry)
		if (engine_counts(e))
			imsgev_send(&e->child.iev, type, -1,
			    msg_u32_encode(generation));
}

unsigned int
engines_owing(void)
{
	struct engine	*e;
	unsigned int	 n = 0;

	TAILQ_FOREACH(e, &engines, entry)
		if (engine_counts(e) && e->owed > 0)
			n++;
	return (n);
}

void
engines_kill_owing(void (*tell)(const char *))
{
	struct engine	*e;
	char		 line[MSG_ID_MAX + 128];

	TAILQ_FOREACH(e, &engines, entry) {
		if (!engine_counts(e) || e->owed == 0)
			continue;
		snprintf(line, sizeof(line), "engine of %s did not answer the "
		    "reload in %u ms: killed", e->open.id,
		    penv->conf.timeouts[FLT_RELOAD]);
		tell(line);
		child_kill(&e->child);
		child_stop(&e->child);
	}
}

static void
engine_exited(struct child *ch, int how, int status)
{
	struct engine	*e;
	struct audit	 a;
	int		 started;

	e = (struct engine *)((char *)ch - offsetof(struct engine, child));
	started = e->state == ENGINE_UP;
	child_audit_end(&a, ch, how, status, started || penv->stopping);
	if (how != CLD_EXITED)
		nkilled++;
	else if (status != 0 || !started)
		nfailed++;
	else
		nended++;
	if (how != CLD_EXITED)
		audit_log(&a, "engine of %s, pid %d, died: signal %d (%s)",
		    e->open.id, (int)ch->proc.pid, status,
		    sigabbrev_np(status) == NULL ? "?" :
		    sigabbrev_np(status));
	else
		audit_log(&a, "engine of %s, pid %d, exited with status %d",
		    e->open.id, (int)ch->proc.pid, status);
	if (!started) {
		start_failed(e, MSG_STEP_ENGINE, ECHILD);
		return;
	}
	imsgev_send(&penv->frontend.iev, MSG_VM_GONE, -1,
	    msg_u32_encode(e->open.vmid));
	engine_release(e);
	engine_free(e);
	parent_check_done();
}

void
engine_release(struct engine *e)
{
	int	*fds[] = { &e->ctl, &e->io, &e->console, &e->peer };
	size_t	 i;

	evtimer_del(&e->timer);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] != -1)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

void
engine_free(struct engine *e)
{
	TAILQ_REMOVE(&engines, e, entry);
	if (e->has_ids)
		ids_give(&e->ids);
	nengines--;
	free(e);
}

void
engines_kill_one(uint32_t vmid)
{
	struct engine	*e;

	if ((e = engine_find(vmid)) != NULL)
		child_kill(&e->child);
}

int
engines_alive(void)
{
	struct engine	*e;
	int		 n;

	n = 0;
	TAILQ_FOREACH(e, &engines, entry)
		if (!e->lost)
			n++;
	return (n);
}

int
engines_running(void)
{
	struct engine	*e;
	int		 n;

	n = 0;
	TAILQ_FOREACH(e, &engines, entry)
		if (e->child.running)
			n++;
	return (n);
}

void
engines_stats(struct msg_daemon_stats *m)
{
	const struct engine	*e;

	TAILQ_FOREACH(e, &engines, entry) {
		if (e->state == ENGINE_QUEUED)
			m->waiting++;
		else if (e->state == ENGINE_UP)
			m->running++;
		else
			m->starting++;
	}
	m->ended = nended;
	m->failed = nfailed;
	m->killed = nkilled;
}

void
engines_stop(void)
{
	struct engine	*e;

	TAILQ_FOREACH(e, &engines, entry)
		if (e->child.running)
			child_stop(&e->child);
}

void
engines_kill(void)
{
	struct engine	*e;

	TAILQ_FOREACH(e, &engines, entry)
		child_kill(&e->child);
}

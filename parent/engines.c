/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: one engine process for each VM: connect its sockets,
 * start the engine, give both sides the channel between them, and see it
 * end.  Starts are asynchronous, a few at a time, limited in rate, and the
 * users whose VMs wait take turns.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "parent.h"
#include "sandbox.h"

#define ENGINE_RETRY_MS	20	/* a VM's backlog is full: try again */
#define ENGINE_FDS	256	/* for those being started, and the rest */
#define ENGINE_RETRIES	16	/* of one user's VMs as often as that */

enum engine_state {
	ENGINE_QUEUED = 0x01,
	ENGINE_CONNECTING = 0x02,
	ENGINE_STARTING = 0x04,	/* until SETUP_READY */
	ENGINE_UP = 0x08,
	/* Its channel only: what it has said, it says once. */
	ENGINE_SERVING = 0x10,
	ENGINE_LOST = 0x20,
	ENGINE_OWED = 0x40	/* as well: a SETUP_ACK */
};

/* What waits of one user. */
struct queue {
	TAILQ_ENTRY(queue)	 entry;
	uid_t			 uid;
	TAILQ_HEAD(, engine)	 engines;
};

struct engine {
	TAILQ_ENTRY(engine)	 entry;		/* all */
	TAILQ_ENTRY(engine)	 queue_entry;	/* waiting to be started */
	struct msg_vm_open	 open;
	struct ucred		 cred;		/* who registers it */
	const char		*why;		/* a socket is refused */
	struct child		 child;
	struct ids		 ids;		/* as whom it runs */
	int			 has_ids;
	enum engine_state	 state;
	struct event		 timer;
	uint64_t		 deadline;	/* of the connects */
	uint64_t		 late;		/* ditto, no socket there */
	int			 slot;		/* counts in nstarting */
	int			 retries;	/* not to be reached yet */
	int			 ctl, io, console;
	int			 peer;		/* the frontend's end */
	int			 guest;		/* what it was told */
	unsigned int		 owed;		/* answers to BEGINs */
	int			 lost;
};

static TAILQ_HEAD(, engine) engines = TAILQ_HEAD_INITIALIZER(engines);
/* The user whose turn it is comes first. */
static TAILQ_HEAD(, queue) queues = TAILQ_HEAD_INITIALIZER(queues);
static struct event	 rate_timer;
static unsigned int	 nengines, nstarting, rate_used;
static uint32_t		 generation;	/* of the last BEGIN, to all */
static uint64_t		 nended, nfailed, nkilled;

static uint64_t	engine_now(void);
static struct engine *engine_find(uint32_t);
static unsigned int engines_of(uid_t, int);
static unsigned int engines_max(void);
static int	engine_refused(const struct msg_vm_open *,
		    const struct ucred *);
static int	engine_queue(struct engine *);
static struct engine *engine_dequeue(void);
static void	engine_rate(int, short, void *);
static void	engine_connect(int, short, void *);
static int	engine_connect_one(struct engine *, const char *, int *);
static void	engine_unreached(const struct engine *, const char *, int);
static void	engine_no(const struct ucred *, const char *, int);
static void	engine_refuse(uint32_t, enum msg_step, int);
static void	engine_start(struct engine *);
static void	engine_conf(const struct engine *, const struct conf *,
		    struct msg_vm_conf *);
static void	engine_config(struct engine *, int);
static int	engine_counts(const struct engine *);
static void	engine_state(struct imsgev *, enum engine_state);
static void	engine_timeout(int, short, void *);
static void	engine_failed(struct engine *, enum msg_step, int);
static void	engine_exited(struct child *, int, int);
static void	engine_release(struct engine *);
static void	engine_free(struct engine *);
static void	engine_settled(struct engine *);
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

void
engines_init(void)
{
	evtimer_set(&rate_timer, engine_rate, NULL);
}

/* Milliseconds of a clock that does not jump. */
static uint64_t
engine_now(void)
{
	struct timespec	 ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		fatal("clock_gettime");
	return ((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
}

static struct engine *
engine_find(uint32_t vmid)
{
	struct engine	*e;

	TAILQ_FOREACH(e, &engines, entry)
		if (e->open.vmid == vmid)
			return (e);
	return (NULL);
}

int
engines_open(const struct msg_vm_open *open, int fd)
{
	struct ucred	 cred;
	struct engine	*e;

	if (registrant_cred(fd, open->proto, &cred) == -1 ||
	    engine_find(open->vmid) != NULL)
		return (-1);
	if (!policy_allows(&penv->conf.policy, POLICY_REGISTER, cred.uid,
	    cred.gid)) {
		registrant_denied(&cred, open->id, NULL, NULL);
		engine_refuse(open->vmid, MSG_STEP_POLICY, EACCES);
		return (0);
	}
	if (engine_refused(open, &cred))
		return (0);
	if ((e = calloc(1, sizeof(*e))) == NULL) {
		engine_no(&cred, open->id, ENOMEM);
		engine_refuse(open->vmid, MSG_STEP_ENGINE, ENOMEM);
		return (0);
	}
	e->open = *open;
	e->cred = cred;
	e->ctl = e->io = e->console = e->peer = -1;
	e->child.iev.iev_fd = -1;
	evtimer_set(&e->timer, engine_connect, e);
	TAILQ_INSERT_TAIL(&engines, e, entry);
	nengines++;
	if (engine_queue(e) == -1)
		engine_failed(e, MSG_STEP_ENGINE, ENOMEM);
	engines_next();
	return (0);
}

/* Its VMs, or those of them that are tried again and again. */
static unsigned int
engines_of(uid_t uid, int retries)
{
	struct engine	*e;
	unsigned int	 n = 0;

	TAILQ_FOREACH(e, &engines, entry)
		if (e->cred.uid == uid && (!retries || e->retries))
			n++;
	return (n);
}

/* Each takes three descriptors, and more while it is started. */
static unsigned int
engines_max(void)
{
	uint64_t	 n = penv->nofile;

	n = n > 2 * ENGINE_FDS ? (n - ENGINE_FDS) / 3 : n / 6;
	return (n < penv->conf.limits[CONF_VMS] ? (unsigned int)n :
	    penv->conf.limits[CONF_VMS]);
}

/* 1 if there are too many VMs, all together or of that user. */
static int
engine_refused(const struct msg_vm_open *open, const struct ucred *cred)
{
	const struct conf	*c = &penv->conf;
	const char		*whose = "";
	enum conf_limit_id	 id = CONF_VMS;
	struct audit		 a;
	uint32_t		 max;
	int			 error = EAGAIN;

	if (nengines < engines_max()) {
		if ((cred->uid == 0 && !c->limit_root) ||
		    engines_of(cred->uid, 0) < c->limits[CONF_VMS_UID])
			return (0);
		whose = " of this user";
		id = CONF_VMS_UID;
		error = EDQUOT;
	}
	if (registrant_log(cred, LOGL_WARN)) {
		max = id == CONF_VMS ? engines_max() : c->limits[id];
		registrant_audit(&a, AUDIT_LIMIT_REACHED, cred, open->id);
		audit_limit(&a, conf_limits[id].name, max);
		audit_log(&a, "too many VMs%s (max %u): register %s, uid %u, "
		    "gid %u, pid %d", whose, max, open->id, cred->uid,
		    cred->gid, (int)cred->pid);
	}
	engine_refuse(open->vmid, MSG_STEP_LIMIT, error);
	return (1);
}

/* Behind those of its user.  0, or -1: no memory. */
static int
engine_queue(struct engine *e)
{
	struct queue	*q;

	TAILQ_FOREACH(q, &queues, entry)
		if (q->uid == e->cred.uid)
			break;
	if (q == NULL) {
		if ((q = calloc(1, sizeof(*q))) == NULL)
			return (-1);
		q->uid = e->cred.uid;
		TAILQ_INIT(&q->engines);
		TAILQ_INSERT_TAIL(&queues, q, entry);
	}
	TAILQ_INSERT_TAIL(&q->engines, e, queue_entry);
	e->state = ENGINE_QUEUED;
	return (0);
}

/* The next user's first, or NULL; that user's turn comes last then. */
static struct engine *
engine_dequeue(void)
{
	struct queue	*q;
	struct engine	*e;

	if ((q = TAILQ_FIRST(&queues)) == NULL)
		return (NULL);
	e = TAILQ_FIRST(&q->engines);
	TAILQ_REMOVE(&q->engines, e, queue_entry);
	TAILQ_REMOVE(&queues, q, entry);
	if (TAILQ_EMPTY(&q->engines))
		free(q);
	else
		TAILQ_INSERT_TAIL(&queues, q, entry);
	return (e);
}

/*
 * Start who waits, as far as number and rate allow.  None is started in the
 * middle of a reload: it would miss the rest.
 */
void
engines_next(void)
{
	struct timeval	 second = { 1, 0 };
	struct engine	*e;

	while (!penv->stopping && !reload_running() &&
	    nstarting < PARENT_STARTS_MAX && rate_used < PARENT_STARTS_RATE &&
	    (e = engine_dequeue()) != NULL) {
		if (rate_used++ == 0)
			evtimer_add(&rate_timer, &second);
		nstarting++;
		e->slot = 1;
		e->state = ENGINE_CONNECTING;
		if (e->ctl != -1 && e->io != -1) {
			engine_start(e);
			continue;
		}
		e->late = e->deadline = engine_now();
		e->late += PARENT_DIAL_TIME * 1000;
		e->deadline += penv->conf.timeouts[FLT_READY] + 1000;
		engine_connect(-1, 0, e);
	}
}

static void
engine_rate(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	rate_used = 0;
	engines_next();
}

/*
 * The sockets in the order console, control, I/O.  One that has to be tried
 * again holds up nobody else meanwhile.
 */
static void
engine_connect(int fd, short event, void *arg)
{
	struct timeval	 retry = { 0, ENGINE_RETRY_MS * 1000 };
	struct engine	*e = arg;
	enum msg_step	 step;
	uint64_t	 now;
	int		 error;

	(void)fd;
	(void)event;
	if (penv->stopping)
		return;
	if (reload_running()) {
		evtimer_add(&e->timer, &retry);
		return;
	}
	if (penv->level == LOGL_DEBUG && penv->console &&
	    e->open.console[0] != '\0' && e->console == -1) {
		/* Only watched: no reason to fail. */
		e->console = vmopen_connect(e->open.console, &e->why);
		if (e->console == -1 && e->why != NULL)
			registrant_denied(&e->cred, e->open.id,
			    e->open.console, e->why);
		else if (e->console == -1)
			log_warn("console %s", e->open.console);
		e->open.console[0] = '\0';
	}
	step = MSG_STEP_CTL;
	if (engine_connect_one(e, e->open.ctl, &e->ctl) == 0) {
		step = MSG_STEP_IO;
		if (engine_connect_one(e, e->open.io, &e->io) == 0) {
			e->retries = 0;
			if (e->slot) {
				engine_start(e);
				return;
			}
			if (engine_queue(e) == -1)
				engine_failed(e, MSG_STEP_ENGINE, ENOMEM);
			engines_next();
			return;
		}
	}
	error = errno;
	now = engine_now();
	/* A 1.x runtime does not wait until its hypervisor listens. */
	if ((error == EAGAIN && now < e->deadline) ||
	    ((error == ENOENT || error == ECONNREFUSED) &&
	    e->open.proto == MSG_PROTO_1 && now < e->late)) {
		e->retries = 1;
		/* A user with many of them has each tried less often. */
		retry.tv_usec *= (suseconds_t)(engines_of(e->cred.uid, 1) /
		    ENGINE_RETRIES + 1);
		retry.tv_sec = retry.tv_usec / 1000000;
		retry.tv_usec %= 1000000;
		evtimer_add(&e->timer, &retry);
		engine_settled(e);
	} else {
		if (e->why != NULL)
			registrant_denied(&e->cred, e->open.id,
			    step == MSG_STEP_CTL ? e->open.ctl : e->open.io,
			    e->why);
		else
			engine_unreached(e, step == MSG_STEP_CTL ?
			    e->open.ctl : e->open.io, error);
		engine_failed(e, step, error);
	}
}

static void
engine_state(struct imsgev *iev, enum engine_state state)
{
	iev->iev_state = (iev->iev_state & ENGINE_OWED) | (uint32_t)state;
}

static int
engine_connect_one(struct engine *e, const char *path, int *fd)
{
	if (*fd == -1)
		*fd = vmopen_connect(path, &e->why);
	return (*fd == -1 ? -1 : 0);
}

static void
engine_unreached(const struct engine *e, const char *path, int error)
{
	struct audit	 a;

	if (!registrant_log(&e->cred, LOGL_INFO))
		return;
	registrant_audit(&a, AUDIT_VM_FAILED, &e->cred, e->open.id);
	audit_str(&a, "path", path);
	audit_str(&a, "reason", log_strerror(error));
	audit_log(&a, "registration of %s failed: %s: %s", e->open.id, path,
	    log_strerror(error));
}

/* There is none for the VM. */
static void
engine_no(const struct ucred *cred, const char *id, int error)
{
	struct audit	 a;

	if (!registrant_log(cred, LOGL_WARN))
		return;
	registrant_audit(&a, AUDIT_VM_FAILED, cred, id);
	audit_str(&a, "reason", log_strerror(error));
	audit_log_at(&a, LOGL_WARN, "engine of %s was not started: %s", id,
	    log_strerror(error));
}

static void
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
	if (error != 0) {
		engine_no(&e->cred, e->open.id, error);
		engine_failed(e, MSG_STEP_ENGINE, error);
		return;
	}
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
		return;
	}
	engine_config(e, sv[0]);
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
	engine_settled(e);
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

/* No longer one of those being started. */
static void
engine_settled(struct engine *e)
{
	if (!e->slot)
		return;
	e->slot = 0;
	nstarting--;
	e->state = ENGINE_UP;
	engines_next();
}

static void
engine_refuse(uint32_t vmid, enum msg_step step, int errnum)
{
	struct msg_vm_failed	 failed;

	memset(&failed, 0, sizeof(failed));
	failed.vmid = vmid;
	failed.step = (int)step;
	failed.errnum = (uint32_t)errnum;
	imsgev_send(&penv->frontend.iev, MSG_VM_FAILED, -1,
	    msg_vm_failed_encode(&failed));
}

/* It never ran. */
static void
engine_failed(struct engine *e, enum msg_step step, int errnum)
{
	engine_refuse(e->open.vmid, step, errnum);
	engine_release(e);
	engine_settled(e);
	engine_free(e);
	parent_check_done();
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
		engine_failed(e, MSG_STEP_ENGINE, ECHILD);
		return;
	}
	imsgev_send(&penv->frontend.iev, MSG_VM_GONE, -1,
	    msg_u32_encode(e->open.vmid));
	engine_release(e);
	engine_free(e);
	parent_check_done();
}

static void
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

static void
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

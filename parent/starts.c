/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: a VM until its engine is started: may it be registered,
 * whose turn is it, connect its sockets.  Starts are asynchronous, a few at
 * a time, limited in rate, and the users whose VMs wait take turns.  What
 * the frontend asks for may be made up by a client, or by a frontend that
 * was taken over.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "engine.h"
#include "parent.h"

#define START_RETRY_MS	20	/* a VM's backlog is full: try again */
#define START_FDS	256	/* for those being started, and the rest */
#define START_RETRIES	16	/* of one user's VMs as often as that */

/* What waits of one user. */
struct queue {
	TAILQ_ENTRY(queue)	 entry;
	uid_t			 uid;
	TAILQ_HEAD(, engine)	 engines;
};

/* The user whose turn it is comes first. */
static TAILQ_HEAD(, queue) queues = TAILQ_HEAD_INITIALIZER(queues);
static struct event	 rate_timer;
static unsigned int	 nstarting, rate_used;

static unsigned int start_max(void);
static int	start_refused(const struct msg_vm_open *,
		    const struct ucred *);
static void	start_refuse(uint32_t, enum msg_step, int);
static int	start_queue(struct engine *);
static struct engine *start_dequeue(void);
static void	start_rate(int, short, void *);
static void	start_connect(int, short, void *);
static int	start_connect_one(struct engine *, const char *, int *);
static void	start_unreached(const struct engine *, const char *, int);
static void	start_no(const struct ucred *, const char *, int);
static void	start_process(struct engine *);

void
starts_init(void)
{
	evtimer_set(&rate_timer, start_rate, NULL);
}

int
starts_open(const struct msg_vm_open *open, int fd)
{
	struct ucred	 cred;
	struct engine	*e;

	if (registrant_cred(fd, open->proto, &cred) == -1 ||
	    engine_find(open->vmid) != NULL)
		return (-1);
	if (!policy_allows(&penv->conf.policy, POLICY_REGISTER, cred.uid,
	    cred.gid)) {
		registrant_denied(&cred, open->id, NULL, NULL);
		start_refuse(open->vmid, MSG_STEP_POLICY, EACCES);
		return (0);
	}
	if (start_refused(open, &cred))
		return (0);
	if ((e = engine_new(open, &cred)) == NULL) {
		start_no(&cred, open->id, ENOMEM);
		start_refuse(open->vmid, MSG_STEP_ENGINE, ENOMEM);
		return (0);
	}
	evtimer_set(&e->timer, start_connect, e);
	if (start_queue(e) == -1)
		start_failed(e, MSG_STEP_ENGINE, ENOMEM);
	starts_next();
	return (0);
}

/* Each takes three descriptors, and more while it is started. */
static unsigned int
start_max(void)
{
	uint64_t	 n = penv->nofile;

	n = n > 2 * START_FDS ? (n - START_FDS) / 3 : n / 6;
	return (n < penv->conf.limits[CONF_VMS] ? (unsigned int)n :
	    penv->conf.limits[CONF_VMS]);
}

/* 1 if there are too many VMs, all together or of that user. */
static int
start_refused(const struct msg_vm_open *open, const struct ucred *cred)
{
	const struct conf	*c = &penv->conf;
	const char		*whose = "";
	enum conf_limit_id	 id = CONF_VMS;
	struct audit		 a;
	uint32_t		 max;
	int			 error = EAGAIN;

	if (engines_count() < start_max()) {
		if ((cred->uid == 0 && !c->limit_root) ||
		    engines_of(cred->uid, 0) < c->limits[CONF_VMS_UID])
			return (0);
		whose = " of this user";
		id = CONF_VMS_UID;
		error = EDQUOT;
	}
	if (registrant_log(cred, LOGL_WARN)) {
		max = id == CONF_VMS ? start_max() : c->limits[id];
		registrant_audit(&a, AUDIT_LIMIT_REACHED, cred, open->id);
		audit_limit(&a, conf_limits[id].name, max);
		audit_log(&a, "too many VMs%s (max %u): register %s, uid %u, "
		    "gid %u, pid %d", whose, max, open->id, cred->uid,
		    cred->gid, (int)cred->pid);
	}
	start_refuse(open->vmid, MSG_STEP_LIMIT, error);
	return (1);
}

static void
start_refuse(uint32_t vmid, enum msg_step step, int errnum)
{
	struct msg_vm_failed	 failed;

	memset(&failed, 0, sizeof(failed));
	failed.vmid = vmid;
	failed.step = (int)step;
	failed.errnum = (uint32_t)errnum;
	imsgev_send(&penv->frontend.iev, MSG_VM_FAILED, -1,
	    msg_vm_failed_encode(&failed));
}

/* Behind those of its user.  0, or -1: no memory. */
static int
start_queue(struct engine *e)
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
start_dequeue(void)
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
starts_next(void)
{
	struct timeval	 second = { 1, 0 };
	struct engine	*e;

	while (!penv->stopping && !reload_running() &&
	    nstarting < PARENT_STARTS_MAX && rate_used < PARENT_STARTS_RATE &&
	    (e = start_dequeue()) != NULL) {
		if (rate_used++ == 0)
			evtimer_add(&rate_timer, &second);
		nstarting++;
		e->slot = 1;
		e->state = ENGINE_CONNECTING;
		if (e->ctl != -1 && e->io != -1) {
			start_process(e);
			continue;
		}
		e->late = e->deadline = clock_ms();
		e->late += PARENT_DIAL_TIME * 1000;
		e->deadline += penv->conf.timeouts[FLT_READY] + 1000;
		start_connect(-1, 0, e);
	}
}

static void
start_rate(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	rate_used = 0;
	starts_next();
}

/*
 * The sockets in the order console, control, I/O.  One that has to be tried
 * again holds up nobody else meanwhile.
 */
static void
start_connect(int fd, short event, void *arg)
{
	struct timeval	 retry = { 0, START_RETRY_MS * 1000 };
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
	if (start_connect_one(e, e->open.ctl, &e->ctl) == 0) {
		step = MSG_STEP_IO;
		if (start_connect_one(e, e->open.io, &e->io) == 0) {
			e->retries = 0;
			if (e->slot) {
				start_process(e);
				return;
			}
			if (start_queue(e) == -1)
				start_failed(e, MSG_STEP_ENGINE, ENOMEM);
			starts_next();
			return;
		}
	}
	error = errno;
	now = clock_ms();
	/* A 1.x runtime does not wait until its hypervisor listens. */
	if ((error == EAGAIN && now < e->deadline) ||
	    ((error == ENOENT || error == ECONNREFUSED) &&
	    e->open.proto == MSG_PROTO_1 && now < e->late)) {
		e->retries = 1;
		/* A user with many of them has each tried less often. */
		retry.tv_usec *= (suseconds_t)(engines_of(e->cred.uid, 1) /
		    START_RETRIES + 1);
		retry.tv_sec = retry.tv_usec / 1000000;
		retry.tv_usec %= 1000000;
		evtimer_add(&e->timer, &retry);
		start_settled(e);
	} else {
		if (e->why != NULL)
			registrant_denied(&e->cred, e->open.id,
			    step == MSG_STEP_CTL ? e->open.ctl : e->open.io,
			    e->why);
		else
			start_unreached(e, step == MSG_STEP_CTL ?
			    e->open.ctl : e->open.io, error);
		start_failed(e, step, error);
	}
}

static int
start_connect_one(struct engine *e, const char *path, int *fd)
{
	if (*fd == -1)
		*fd = vmopen_connect(path, &e->why);
	return (*fd == -1 ? -1 : 0);
}

static void
start_unreached(const struct engine *e, const char *path, int error)
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
start_no(const struct ucred *cred, const char *id, int error)
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
start_process(struct engine *e)
{
	int	 error;

	if ((error = engine_start(e)) == 0)
		return;
	start_no(&e->cred, e->open.id, error);
	start_failed(e, MSG_STEP_ENGINE, error);
}

void
start_settled(struct engine *e)
{
	if (!e->slot)
		return;
	e->slot = 0;
	nstarting--;
	starts_next();
}

void
start_failed(struct engine *e, enum msg_step step, int errnum)
{
	start_refuse(e->open.vmid, step, errnum);
	engine_release(e);
	start_settled(e);
	engine_free(e);
	parent_check_done();
}

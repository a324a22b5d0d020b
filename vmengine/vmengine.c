/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: start, set-up by the parent, the life of the VM.
 * Started by the parent with its channel on 3, its log on 4 and the empty
 * root directory on 5; takes all rights away before the first message.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"
#include "sandbox_vmengine.h"
#include "spawn.h"
#include "vmengine.h"

static void	vme_dispatch_parent(struct imsgev *, enum imsgev_end);
static void	vme_frontend_ended(struct imsgev *, enum imsgev_end);
static int	vme_conf(struct imsgev *, struct ibuf *, int *);
static int	vme_fd(int *, int *);
static int	vme_fd_ctl(struct imsgev *, struct ibuf *, int *);
static int	vme_fd_io(struct imsgev *, struct ibuf *, int *);
static int	vme_fd_console(struct imsgev *, struct ibuf *, int *);
static int	vme_fd_peer(struct imsgev *, struct ibuf *, int *);
static int	vme_commit(struct imsgev *, struct ibuf *, int *);
static void	vme_leave(void);
static void	vme_exit(void);

/* Who sends: the parent. */
static const struct imsgev_handler vme_parent_table[] = {
	{ MSG_VM_CONF,		VME_SETUP | VME_LOADING, vme_conf },
	{ MSG_VM_CTL,		VME_SETUP,	vme_fd_ctl },
	{ MSG_VM_IO,		VME_SETUP,	vme_fd_io },
	{ MSG_VM_CONSOLE,	VME_SETUP,	vme_fd_console },
	{ MSG_VM_PEER,		VME_SETUP,	vme_fd_peer },
	{ MSG_VM_COMMIT,	VME_SETUP,	vme_commit },
	{ MSG_SETUP_BEGIN,	VME_READY,	vme_reload_begin },
	{ MSG_SETUP_COMMIT,	VME_LOADING,	vme_reload_commit },
	{ MSG_SETUP_SWITCH,	VME_LOADED,	vme_reload_switch },
	{ MSG_SETUP_ABORT,	VME_LOADED,	vme_reload_abort },
	{ 0, 0, NULL }
};

static struct vme_env	 vme_env;
struct vme_env		*env = &vme_env;

int
main(int argc, char *argv[])
{
	struct sbx_args	 args;
	uint32_t	 layers;

	if (sbx_args(&args, argc, argv) == -1) {
		fprintf(stderr, "ccp-vmengine: started by cc-proxy only\n");
		return (1);
	}
	sbx_start(args.rootfd);

	RB_INIT(&env->conns);
	RB_INIT(&env->tokens);
	RB_INIT(&env->seqs);
	TAILQ_INIT(&env->runq);
	env->ctl_fd = env->io_fd = env->console_fd = env->peer_fd = -1;
	env->frontend.iev_fd = -1;
	env->state = VME_SETUP;
	env->ios_max = args.nofile / 4 < VME_IOS_MAX ?
	    (unsigned int)(args.nofile / 4) : VME_IOS_MAX;
	env->scratch = vme_malloc(VME_READ_SIZE);

	sbx_warmup();
	event_init();
	layers = vme_sandbox(args.uid, args.gid, args.rootfd,
	    args.nofile);

	evtimer_set(&env->run_ev, vme_conn_run, NULL);
	if (imsgev_init(&env->parent, SPAWN_CHANNEL_FD, vme_parent_table,
	    VME_SETUP, vme_dispatch_parent, NULL) == -1)
		fatal("channel");
	env->parent.iev_queue_max = UINT32_MAX;
	imsgev_send(&env->parent, MSG_SETUP_READY, -1, msg_u32_encode(layers));
	event_dispatch();
	vme_exit();
	return (0);
}

void *
vme_malloc(size_t size)
{
	void	*p;

	if ((p = malloc(size)) == NULL)
		fatal("malloc");
	return (p);
}

void
vme_watch(struct event *ev, const struct timeval *tv)
{
	if (event_add(ev, tv) == -1)
		fatal("event_add");
}

/* After what is readable now.  That takes memory; else at once. */
static void
vme_leave(void)
{
	struct timeval	 now = { 0, 0 };

	if (event_loopexit(&now) == -1)
		event_loopbreak();
}

/* Everything is taken down so that a leak checker sees leaks only. */
static void
vme_exit(void)
{
	struct vme_conn		*c;
	struct vme_session	*s;

	vme_ctl_close();
	vme_tty_close();
	vme_console_close();
	while ((c = RB_MIN(vme_conns, &env->conns)) != NULL)
		vme_conn_close(c);
	while ((s = RB_MIN(vme_seqs, &env->seqs)) != NULL)
		vme_session_free(s);
	vme_conn_run(-1, 0, NULL);
	vme_gone_clear();
	imsgev_flush(&env->frontend);
	imsgev_flush(&env->parent);
	imsgev_clear(&env->frontend);
	imsgev_clear(&env->parent);
	free(env->scratch);
	evtimer_del(&env->run_ev);
	event_base_free(NULL);
}

/*
 * The parent went: so do we, but first let what is already readable, the
 * frontend's last answers, take effect.
 */
static void
vme_dispatch_parent(struct imsgev *iev, enum imsgev_end end)
{
	if (end == IMSGEV_VIOLATION)
		fatalx("parent: %s", iev->iev_why);
	vme_leave();
}

/* Without the frontend no client can come and none can be answered. */
static void
vme_frontend_ended(struct imsgev *iev, enum imsgev_end end)
{
	if (end == IMSGEV_VIOLATION)
		vme_frontend_broke(iev->iev_why);
	else
		vme_leave();
}

void
vme_frontend_broke(const char *why)
{
	struct audit	 a;

	audit_begin(&a, AUDIT_PROTOCOL_VIOLATION);
	audit_str(&a, "process", "frontend");
	audit_str(&a, "reason", why);
	audit_log(&a, "frontend: %s", why);
	vme_leave();
}

static int
vme_conf(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)fd;
	if (iev->iev_state == VME_LOADING)
		return (vme_reload_conf(b));
	if (msg_vm_conf_decode(b, &env->conf) == -1)
		return (-1);
	log_setlevel((enum log_level)env->conf.level);
	log_setevents(env->conf.events);
	return (0);
}

/* Each descriptor comes once. */
static int
vme_fd(int *slot, int *fd)
{
	if (*slot != -1)
		return (-1);
	*slot = *fd;
	*fd = -1;
	return (0);
}

static int
vme_fd_ctl(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)iev;
	(void)b;
	return (vme_fd(&env->ctl_fd, fd));
}

static int
vme_fd_io(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)iev;
	(void)b;
	return (vme_fd(&env->io_fd, fd));
}

static int
vme_fd_console(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)iev;
	(void)b;
	return (vme_fd(&env->console_fd, fd));
}

static int
vme_fd_peer(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)iev;
	(void)b;
	return (vme_fd(&env->peer_fd, fd));
}

static int
vme_commit(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)b;
	(void)fd;
	if (env->ctl_fd == -1 || env->io_fd == -1 || env->peer_fd == -1)
		return (-1);
	if (imsgev_init(&env->frontend, env->peer_fd, vme_frontend_table,
	    VME_READY, vme_frontend_ended, NULL) == -1)
		fatal("frontend channel");
	env->frontend.iev_queue_max = UINT32_MAX;
	env->frontend.iev_takes_fds = 1;
	iev->iev_state = VME_READY;
	env->state = VME_READY;
	env->started = clock_ms();
	vme_dialect_init();
	/* 1.x clients see the numbers: they begin with 1. */
	env->next_seq = 1;
	if (env->conf.proto == MSG_PROTO_3) {
		env->null_session = vme_session_new("", env->next_seq, 2);
		env->next_seq += 2;
	}
	if (env->console_fd != -1)
		vme_console_init(env->console_fd);
	vme_tty_init(env->io_fd);
	vme_ctl_init(env->ctl_fd);
	return (0);
}

/*
 * Either channel ended or the guest broke the protocol.  Everything that
 * waits is answered; shims get what is queued for them and are closed; the
 * id stays attachable until it is unregistered.
 */
void
vme_lost(const char *why)
{
	struct vme_conn		*c, *next;
	struct vme_session	*s;
	enum vme_state		 before;
	struct audit		 a;

	if (env->state == VME_LOST || env->state == VME_SETUP)
		return;
	before = env->state;
	env->state = VME_LOST;
	env->frontend.iev_state = VME_LOST;
	if (before == VME_READY) {
		vme_vmlog(LOGL_INFO, NULL, "VM lost: %s", why);
		/* The registration fails, and with it this engine. */
		imsgev_send(&env->frontend, MSG_VM_ERROR, -1,
		    msg_text_encode(why));
		env->unregistered = env->told_lost = 1;
	} else {
		audit_begin(&a, AUDIT_VM_LOST);
		audit_str(&a, "reason", why);
		audit_log(&a, "VM lost: %s", why);
		vme_ctl_drain();
		vme_tty_drain();
		imsgev_signal(&env->frontend, MSG_VM_LOST);
	}
	if (evtimer_pending(&env->ready_timer, NULL))
		evtimer_del(&env->ready_timer);
	vme_ctl_close();
	vme_tty_close();
	vme_console_close();
	env->nclosing++;		/* not done before the last one */
	RB_FOREACH_SAFE(c, vme_conns, &env->conns, next) {
		if (c->wait == VME_WAIT_SHIM || c->wait == VME_WAIT_PROCESS)
			vme_conn_wake(c);
		else if (c->is_shim)	/* or the kept end of one of 1.x */
			vme_conn_drain(c);
	}
	env->nclosing--;
	while ((s = RB_MIN(vme_seqs, &env->seqs)) != NULL)
		vme_session_free(s);
	env->null_session = NULL;
	vme_check_done();
}

void
vme_broke(const char *why)
{
	struct audit	 a;

	if (env->state != VME_LOST && env->state != VME_SETUP) {
		audit_begin(&a, AUDIT_PROTOCOL_VIOLATION);
		audit_str(&a, "process", "guest");
		audit_str(&a, "reason", why);
		audit_log(&a, "the guest broke the protocol: %s", why);
	}
	vme_lost(why);
}

/*
 * The parent may end us when it knows that the VM is lost, so the shims get
 * what is queued for them first.  Unregistered as well and nobody left:
 * nothing more to do.
 */
void
vme_check_done(void)
{
	if (env->state != VME_LOST || env->nclosing > 0)
		return;
	if (!env->told_lost)
		imsgev_signal(&env->parent, MSG_VM_LOST);
	env->told_lost = 1;
	if (env->unregistered && env->nconns == 0)
		vme_leave();
}

/* A line about the VM: field vm, and section if given. */
void
vme_vmlog(enum log_level level, const char *section, const char *fmt, ...)
{
	struct log_field	 fields[2];
	char			*msg;
	va_list			 ap;
	int			 n;

	if (level > log_getlevel())
		return;
	va_start(ap, fmt);
	n = vasprintf(&msg, fmt, ap);
	va_end(ap);
	if (n == -1)
		return;
	memset(fields, 0, sizeof(fields));
	if (section != NULL) {
		fields[0].key = "section";
		fields[0].value = section;
	}
	log_entry(level, fields, "%s", msg);
	free(msg);
}

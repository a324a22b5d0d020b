/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: start, messages of the parent.  Takes all rights away
 * before the listeners arrive.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend.h"
#include "sandbox.h"
#include "sandbox_frontend.h"
#include "spawn.h"

#define FE_SERVING	(FE_RUNNING | FE_LOADING | FE_LOADED)

static void	fe_parent_ended(struct imsgev *, enum imsgev_end);
static unsigned int fe_limit(uint32_t);
static int	fe_conf(struct imsgev *, struct ibuf *, int *);
static int	fe_listen(struct imsgev *, struct ibuf *, int *);
static int	fe_start(struct imsgev *, struct ibuf *, int *);

/* Who sends: the parent. */
static const struct imsgev_handler fe_parent_table[] = {
	{ MSG_SETUP_CONF,	FE_SETUP | FE_LOADING,	fe_conf },
	{ MSG_SETUP_RULE,	FE_SETUP | FE_LOADING,	fe_rule },
	{ MSG_SETUP_POLICY,	FE_SETUP | FE_LOADING,	fe_policy },
	{ MSG_SETUP_LISTEN,	FE_SETUP,	fe_listen },
	{ MSG_SETUP_START,	FE_SETUP,	fe_start },
	{ MSG_SETUP_BEGIN,	FE_RUNNING,	fe_begin },
	{ MSG_SETUP_COMMIT,	FE_LOADING,	fe_commit },
	{ MSG_SETUP_SWITCH,	FE_LOADED,	fe_switch },
	{ MSG_SETUP_ABORT,	FE_LOADED,	fe_abort },
	{ MSG_SETUP_TELL,	FE_SERVING,	fe_control_tell },
	{ MSG_SETUP_DONE,	FE_SERVING,	fe_control_done },
	{ MSG_VM_OPENED,	FE_SERVING,	fe_vm_opened },
	{ MSG_VM_FAILED,	FE_SERVING,	fe_vm_failed },
	{ MSG_VM_GONE,		FE_SERVING,	fe_vm_gone },
	{ MSG_DAEMON_STATS,	FE_SERVING,	fe_stats_daemon },
	{ 0, 0, NULL }
};

static struct fe_env	 fe_env;
struct fe_env		*fenv = &fe_env;

int
main(int argc, char *argv[])
{
	struct sbx_args	 args;
	uint32_t	 layers;

	if (sbx_args(&args, argc, argv) == -1) {
		fprintf(stderr, "ccp-frontend: started by cc-proxy only\n");
		return (1);
	}
	sbx_start(-1);

	RB_INIT(&fenv->conns);
	RB_INIT(&fenv->users);
	RB_INIT(&fenv->tokens);
	RB_INIT(&fenv->ids);
	RB_INIT(&fenv->vmids);
	fenv->started = (uint64_t)time(NULL);
	fenv->parent_pid = (uint32_t)getppid();
	fenv->nofile = args.nofile;

	sbx_warmup();
	event_init();
	layers = fe_sandbox(args.uid, args.gid, args.nofile);

	if (imsgev_init(&fenv->parent, SPAWN_CHANNEL_FD, fe_parent_table,
	    FE_SETUP, fe_parent_ended, NULL) == -1)
		fatal("channel");
	fenv->parent.iev_queue_max = UINT32_MAX;
	fenv->parent.iev_takes_fds = 1;
	imsgev_send(&fenv->parent, MSG_SETUP_READY, -1,
	    msg_u32_encode(layers));
	event_dispatch();
	return (0);
}

/* The parent went: end, after what is readable now was handled. */
static void
fe_parent_ended(struct imsgev *iev, enum imsgev_end end)
{
	struct timeval	 now = { 0, 0 };

	if (end == IMSGEV_VIOLATION)
		fatalx("parent: %s", iev->iev_why);
	if (event_loopexit(&now) == -1)
		event_loopbreak();
}

/* Of connections: half of the descriptors at most. */
static unsigned int
fe_limit(uint32_t limit)
{
	return (fenv->nofile / 2 < limit ? (unsigned int)(fenv->nofile / 2) :
	    limit);
}

void
fe_use_conf(const struct msg_conf *conf)
{
	fenv->conf = *conf;
	fenv->unrouted_max = fe_limit(fenv->conf.limits.clients);
	/* An engine that cannot receive a descriptor loses its VM. */
	fenv->clients_max = fe_limit(fenv->conf.limits.clients_vm);
	log_setlevel((enum log_level)fenv->conf.level);
	log_setevents(fenv->conf.events);
}

static int
fe_conf(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_next	*n = &fenv->next;

	(void)fd;
	if (msg_conf_decode(b, &n->conf) == -1)
		return (-1);
	n->has_conf = 1;
	if (iev->iev_state == FE_SETUP)
		fe_use_conf(&n->conf);
	return (0);
}

static int
fe_listen(struct imsgev *iev, struct ibuf *b, int *fd)
{
	int	 which;

	(void)iev;
	if (msg_u8_decode(b, &which, MSG_LISTEN_MAX) == -1 ||
	    fe_accept_add(*fd, which) == -1)
		return (-1);
	*fd = -1;
	return (0);
}

static int
fe_start(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)b;
	(void)fd;
	if (fenv->nlisteners == 0 || !fenv->has_policy)
		return (-1);
	iev->iev_state = FE_RUNNING;
	fe_accept_start();
	return (0);
}

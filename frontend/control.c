/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: the administration socket.  Its clients speak imsg; a
 * request that breaks a rule closes that client's connection.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend.h"

struct fe_control {
	struct imsgev	 iev;
	struct audit_who who;
};

static int	fe_control_status(struct imsgev *, struct ibuf *, int *);
static void	fe_control_ended(struct imsgev *, enum imsgev_end);

/* Who sends: cc-proxyctl, or anybody who may open the socket. */
static const struct imsgev_handler fe_control_table[] = {
	{ MSG_CTL_STATUS,	1,	fe_control_status },
	{ 0, 0, NULL }
};

static unsigned int	 ncontrols;

void
fe_control_accept(int fd, const struct audit_who *who)
{
	struct fe_control	*ctl;
	struct audit		 a;

	if (ncontrols >= FE_CONTROL_MAX) {
		audit_begin(&a, AUDIT_LIMIT_REACHED);
		audit_limit(&a, "control clients", FE_CONTROL_MAX);
		audit_who(&a, who);
		audit_log(&a, "too many clients of the control socket");
		close(fd);
		return;
	}
	if ((ctl = calloc(1, sizeof(*ctl))) == NULL) {
		close(fd);
		return;
	}
	if (imsgev_init(&ctl->iev, fd, fe_control_table, 1, fe_control_ended,
	    ctl) == -1) {
		close(fd);
		free(ctl);
		return;
	}
	ctl->who = *who;
	ncontrols++;
	audit_begin(&a, AUDIT_CONTROL_CONNECTED);
	audit_who(&a, who);
	audit_log(&a, "control client of uid %u", who->uid);
}

static void
fe_control_ended(struct imsgev *iev, enum imsgev_end end)
{
	struct fe_control	*ctl = iev->iev_arg;
	struct audit		 a;

	if (end == IMSGEV_VIOLATION) {
		audit_begin(&a, AUDIT_PROTOCOL_VIOLATION);
		audit_who(&a, &ctl->who);
		audit_str(&a, "reason", iev->iev_why);
		audit_log(&a, "control client broke the protocol: %s",
		    iev->iev_why);
	}
	ncontrols--;
	free(ctl);
}

static int
fe_control_status(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct msg_ctl_daemon	 d;
	struct msg_ctl_vm	 v;
	struct fe_vm		*vm;

	(void)b;
	(void)fd;
	memset(&d, 0, sizeof(d));
	d.started = fenv->started;
	d.pid = fenv->parent_pid;
	d.accepted = fenv->naccepted;
	d.unrouted = fenv->nunrouted;
	d.routed = fenv->nrouted;
	d.nvms = fenv->nvms;
	d.ntokens = fenv->ntokens;
	d.pod = (uint16_t)fenv->conf.pod;
	strlcpy(d.version, CCP_VERSION, sizeof(d.version));
	strlcpy(d.path, fenv->conf.path, sizeof(d.path));
	imsgev_send(iev, MSG_CTL_DAEMON, -1, msg_ctl_daemon_encode(&d));
	RB_FOREACH(vm, fe_vmids, &fenv->vmids) {
		memset(&v, 0, sizeof(v));
		v.vmid = vm->vmid;
		v.state = (int)vm->state;
		v.engine = vm->engine_pid;
		v.uid = vm->uid;
		v.clients = vm->nconns;
		v.tokens = vm->ntokens;
		strlcpy(v.id, vm->id, sizeof(v.id));
		imsgev_send(iev, MSG_CTL_VM, -1, msg_ctl_vm_encode(&v));
	}
	imsgev_signal(iev, MSG_CTL_END);
	return (0);
}

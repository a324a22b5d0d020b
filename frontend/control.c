/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: the administration socket.  Its clients speak imsg; a
 * request that breaks a rule closes that client's connection.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend.h"

enum fe_control_state {
	FE_CONTROL_IDLE = 0x01,
	FE_CONTROL_RELOADS = 0x02	/* and waits to hear how it ends */
};

struct fe_control {
	struct imsgev	 iev;
	struct audit_who who;
};

static int	fe_control_status(struct imsgev *, struct ibuf *, int *);
static int	fe_control_reload(struct imsgev *, struct ibuf *, int *);
static void	fe_control_ended(struct imsgev *, enum imsgev_end);

/* Who sends: cc-proxyctl, or anybody who may open the socket. */
static const struct imsgev_handler fe_control_table[] = {
	{ MSG_CTL_STATUS,	FE_CONTROL_IDLE,	fe_control_status },
	{ MSG_CTL_RELOAD,	FE_CONTROL_IDLE,	fe_control_reload },
	{ 0, 0, NULL }
};

static unsigned int	 ncontrols;

/* The parent takes one request at a time. */
static struct {
	int			 asked;
	uint32_t		 number;
	struct fe_control	*ctl;		/* NULL: it has gone */
} reload;

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
	if (imsgev_init(&ctl->iev, fd, fe_control_table, FE_CONTROL_IDLE,
	    fe_control_ended, ctl) == -1) {
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
	if (reload.ctl == ctl)
		reload.ctl = NULL;
	free(ctl);
}

static int
fe_control_reload(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)b;
	(void)fd;
	if (reload.asked) {
		imsgev_send(iev, MSG_CTL_TEXT, -1,
		    msg_text_encode("a reload is under way"));
		imsgev_send(iev, MSG_CTL_RESULT, -1, msg_u8_encode(1));
		return (0);
	}
	iev->iev_state = FE_CONTROL_RELOADS;
	reload.asked = 1;
	reload.ctl = iev->iev_arg;
	imsgev_send(&fenv->parent, MSG_SETUP_ASK, -1,
	    msg_u32_encode(++reload.number));
	return (0);
}

int
fe_control_tell(struct imsgev *iev, struct ibuf *b, int *fd)
{
	char		 text[MSG_TEXT_MAX + 1];
	uint32_t	 number;

	(void)iev;
	(void)fd;
	if (msg_u32str_decode(b, &number, text, sizeof(text)) == -1 ||
	    !reload.asked || number != reload.number)
		return (-1);
	if (reload.ctl != NULL)
		imsgev_send(&reload.ctl->iev, MSG_CTL_TEXT, -1,
		    msg_text_encode(text));
	return (0);
}

int
fe_control_done(struct imsgev *iev, struct ibuf *b, int *fd)
{
	uint32_t	 number;
	int		 failed;

	(void)iev;
	(void)fd;
	if (msg_u32u8_decode(b, &number, &failed, 2) == -1 ||
	    !reload.asked || number != reload.number)
		return (-1);
	if (reload.ctl != NULL) {
		imsgev_send(&reload.ctl->iev, MSG_CTL_RESULT, -1,
		    msg_u8_encode(failed));
		reload.ctl->iev.iev_state = FE_CONTROL_IDLE;
	}
	reload.asked = 0;
	reload.ctl = NULL;
	return (0);
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

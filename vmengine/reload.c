/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: another configuration while the VM is served.  The parent
 * sends it between SETUP_BEGIN and SETUP_COMMIT; it is put aside, which takes
 * no memory and so cannot fail, and counts when the parent says so.  A wait
 * that has begun keeps its end.
 */

#include <string.h>

#include "vmengine.h"

static int	vme_reload_generation(struct ibuf *);

int
vme_reload_begin(struct imsgev *iev, struct ibuf *b, int *fd)
{
	uint32_t	 gen;

	(void)fd;
	if (msg_u32_decode(b, &gen) == -1 || gen == env->generation)
		return (-1);
	env->generation = gen;
	env->has_next = 0;
	iev->iev_state = VME_LOADING;
	return (0);
}

/* What it says of the VM itself is what it was at the start. */
int
vme_reload_conf(struct ibuf *b)
{
	struct msg_vm_conf	*n = &env->next_conf, *c = &env->conf;

	if (msg_vm_conf_decode(b, n) == -1 || n->vmid != c->vmid ||
	    n->proto != c->proto || n->guest != c->guest ||
	    strcmp(n->id, c->id) != 0 || strcmp(n->ctl, c->ctl) != 0 ||
	    strcmp(n->path, c->path) != 0)
		return (-1);
	env->has_next = 1;
	return (0);
}

/* 0 if it is about the configuration at hand. */
static int
vme_reload_generation(struct ibuf *b)
{
	uint32_t	 gen;

	return (msg_u32_decode(b, &gen) == -1 || gen != env->generation ?
	    -1 : 0);
}

int
vme_reload_commit(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)fd;
	if (vme_reload_generation(b) == -1 || !env->has_next)
		return (-1);
	iev->iev_state = VME_LOADED;
	imsgev_send(iev, MSG_SETUP_ACK, -1,
	    msg_u32u8_encode(env->generation, 1));
	return (0);
}

/* There may be room now for output that was not read. */
int
vme_reload_switch(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)fd;
	if (vme_reload_generation(b) == -1)
		return (-1);
	env->conf = env->next_conf;
	log_setlevel((enum log_level)env->conf.level);
	log_setevents(env->conf.events);
	iev->iev_state = VME_READY;
	vme_tty_resume();
	return (0);
}

int
vme_reload_abort(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)fd;
	if (vme_reload_generation(b) == -1)
		return (-1);
	iev->iev_state = VME_READY;
	return (0);
}

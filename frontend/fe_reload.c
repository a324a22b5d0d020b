/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: another configuration while clients are served.  The parent
 * sends it between SETUP_BEGIN and SETUP_COMMIT; it is put aside and counts
 * when the parent says so, which it does once every process has it.
 */

#include <string.h>

#include "frontend.h"

static int	fe_generation(struct ibuf *);

int
fe_begin(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_next	*n = &fenv->next;
	uint32_t	 gen;

	(void)fd;
	if (msg_u32_decode(b, &gen) == -1 || gen != n->generation + 1)
		return (-1);
	policy_clear(&n->policy);
	memset(n, 0, sizeof(*n));
	n->generation = gen;
	iev->iev_state = FE_LOADING;
	return (0);
}

/* 0 if it is about the configuration at hand. */
static int
fe_generation(struct ibuf *b)
{
	uint32_t	 gen;

	return (msg_u32_decode(b, &gen) == -1 ||
	    gen != fenv->next.generation ? -1 : 0);
}

/* Mode and path are what they were since the start. */
int
fe_commit(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_next	*n = &fenv->next;

	(void)fd;
	if (fe_generation(b) == -1 || !n->has_conf || !n->has_policy ||
	    n->conf.pod != fenv->conf.pod ||
	    strcmp(n->conf.path, fenv->conf.path) != 0)
		return (-1);
	iev->iev_state = FE_LOADED;
	imsgev_send(iev, MSG_SETUP_ACK, -1,
	    msg_u32u8_encode(n->generation, !n->nomem));
	return (0);
}

int
fe_switch(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_next	*n = &fenv->next;

	(void)fd;
	if (fe_generation(b) == -1 || n->nomem)
		return (-1);
	fe_use_conf(&n->conf);
	fe_use_policy(&n->policy);
	iev->iev_state = FE_RUNNING;
	return (0);
}

int
fe_abort(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)fd;
	if (fe_generation(b) == -1)
		return (-1);
	policy_clear(&fenv->next.policy);
	iev->iev_state = FE_RUNNING;
	return (0);
}

/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl: how much of each limit is used, and by whom.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "status.h"

static void	 add(struct uses *, const char *, uint64_t, uint64_t,
		    const struct status_vm *, const struct msg_ctl_uid *);
static int	 by_share(const void *, const void *);

unsigned int
use_percent(const struct use *u)
{
	double	 percent = 100.0 * (double)u->value / (double)u->max;

	return (percent > 999 ? 999 : (unsigned int)percent);
}

/* A maximum of 0 is one that is not known. */
static void
add(struct uses *u, const char *limit, uint64_t value, uint64_t max,
    const struct status_vm *vm, const struct msg_ctl_uid *uid)
{
	struct use	*p;
	size_t		 n;

	if (max == 0)
		return;
	if (u->n == u->room) {
		n = u->room == 0 ? 64 : u->room * 2;
		if ((p = reallocarray(u->list, n, sizeof(*p))) == NULL)
			ctl_errx("%s", strerror(errno));
		u->list = p;
		u->room = n;
	}
	p = &u->list[u->n++];
	p->limit = limit;
	p->value = value;
	p->max = max;
	p->vm = vm;
	p->uid = uid;
}

/* VMs and users are in order where they are. */
static int
by_share(const void *a, const void *b)
{
	const struct use	*x = a, *y = b;
	double			 p, q;
	int			 r;

	p = (double)x->value / (double)x->max;
	q = (double)y->value / (double)y->max;
	if (p != q)
		return (p > q ? -1 : 1);
	if ((r = strcmp(x->limit, y->limit)) != 0)
		return (r);
	if (x->vm != y->vm)
		return (x->vm < y->vm ? -1 : 1);
	return (x->uid < y->uid ? -1 : x->uid > y->uid);
}

void
uses_vm(struct uses *u, const struct status *st, const struct status_vm *v)
{
	const struct msg_daemon_stats	*d = &st->parent.stats;
	const struct msg_vm_stats	*s = &v->numbers.stats;

	add(u, "clients per vm", v->vm.clients, st->limits.clients_vm, v,
	    NULL);
	add(u, "tokens per vm", v->vm.tokens, st->limits.tokens_vm, v, NULL);
	if (v->numbers.answered == MSG_ANSWERED_NEVER)
		return;
	add(u, "output per shim", s->fullest, d->max_out_shim, v, NULL);
	add(u, "output per vm", s->queued, d->max_out_vm, v, NULL);
}

void
uses_get(struct uses *u, const struct status *st)
{
	const struct msg_daemon_stats	*d = &st->parent.stats;
	const struct msg_ctl_limits	*l = &st->limits;
	const struct msg_ctl_uid	*uid;
	size_t				 i, j, n;

	add(u, "vms", d->running + d->starting + d->waiting, d->max_vms,
	    NULL, NULL);
	add(u, "clients", st->daemon.unrouted, st->limits.clients, NULL,
	    NULL);
	add(u, "served clients", st->daemon.routed, l->served, NULL, NULL);
	add(u, "tokens", st->daemon.ntokens, l->tokens, NULL, NULL);
	/* Those that nobody comes near to. */
	add(u, "vms per uid", 0, l->vms_uid, NULL, NULL);
	add(u, "clients per uid", 0, l->clients_uid, NULL, NULL);
	add(u, "served clients per uid", 0, l->served_uid, NULL, NULL);
	add(u, "tokens per uid", 0, l->tokens_uid, NULL, NULL);
	add(u, "clients per vm", 0, l->clients_vm, NULL, NULL);
	add(u, "tokens per vm", 0, l->tokens_vm, NULL, NULL);
	add(u, "output per shim", 0, d->max_out_shim, NULL, NULL);
	add(u, "output per vm", 0, d->max_out_vm, NULL, NULL);
	for (i = 0; i < st->nuids; i++) {
		uid = &st->uids[i];
		/* What is root's is not counted, unless it is said to be. */
		if (uid->uid == 0 && !l->root)
			continue;
		for (j = n = 0; j < st->nvms; j++)
			n += st->vms[j].vm.uid == uid->uid;
		add(u, "vms per uid", n, l->vms_uid, NULL, uid);
		add(u, "clients per uid", uid->unrouted, l->clients_uid,
		    NULL, uid);
		add(u, "served clients per uid", uid->routed, l->served_uid,
		    NULL, uid);
		add(u, "tokens per uid", uid->tokens, l->tokens_uid, NULL,
		    uid);
	}
	for (i = 0; i < st->nvms; i++)
		uses_vm(u, st, &st->vms[i]);
	if (u->n > 0)
		qsort(u->list, u->n, sizeof(*u->list), by_share);
}

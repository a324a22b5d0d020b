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
		    const struct status_vm *, const struct status_uid *);
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
    const struct status_vm *vm, const struct status_uid *uid)
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
	size_t				 i;

	add(u, "vms", d->running + d->starting + d->waiting, d->max_vms,
	    NULL, NULL);
	add(u, "clients", st->daemon.unrouted, st->limits.clients, NULL,
	    NULL);
	/* Whom nobody comes near to; nobody counts the clients of root. */
	add(u, "clients per uid", 0, st->limits.clients_uid, NULL, NULL);
	add(u, "clients per vm", 0, st->limits.clients_vm, NULL, NULL);
	add(u, "tokens per vm", 0, st->limits.tokens_vm, NULL, NULL);
	add(u, "output per shim", 0, d->max_out_shim, NULL, NULL);
	add(u, "output per vm", 0, d->max_out_vm, NULL, NULL);
	for (i = 0; i < st->nuids; i++)
		if (st->uids[i].uid != 0)
			add(u, "clients per uid", st->uids[i].clients,
			    st->limits.clients_uid, NULL, &st->uids[i]);
	for (i = 0; i < st->nvms; i++)
		uses_vm(u, st, &st->vms[i]);
	if (u->n > 0)
		qsort(u->list, u->n, sizeof(*u->list), by_share);
}

/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: what each user has of what there is for all, so that none
 * can use up the rest.  Whose a connection is the kernel said when it was
 * accepted; a VM, and its tokens, belong to who registered it.
 */

#include <sys/types.h>
#include <sys/mman.h>

#include <stdlib.h>

#include "clock.h"
#include "frontend.h"

static int	fe_user_over(const struct fe_user *, size_t, size_t);

static int
fe_user_cmp(struct fe_user *a, struct fe_user *b)
{
	return (a->uid < b->uid ? -1 : a->uid > b->uid);
}

RB_GENERATE(fe_users, fe_user, entry, fe_user_cmp)

struct fe_user *
fe_user_get(uint32_t uid)
{
	struct fe_user	 key, *u;

	key.uid = uid;
	if ((u = RB_FIND(fe_users, &fenv->users, &key)) == NULL) {
		if ((u = calloc(1, sizeof(*u))) == NULL)
			return (NULL);
		u->uid = uid;
		RB_INSERT(fe_users, &fenv->users, u);
	}
	u->refs++;
	return (u);
}

void
fe_user_put(struct fe_user *u)
{
	if (--u->refs > 0)
		return;
	RB_REMOVE(fe_users, &fenv->users, u);
	free(u);
}

/* Root has no share, unless it is said to. */
static int
fe_user_over(const struct fe_user *u, size_t want, size_t max)
{
	return ((u->uid != 0 || fenv->conf.limits.root) && want > max);
}

int
fe_share_unrouted(const struct fe_user *u)
{
	return (fe_user_over(u, (size_t)u->nunrouted + 1,
	    fenv->conf.limits.clients_uid));
}

int
fe_share_bytes(const struct fe_user *u, size_t len)
{
	return (fenv->inbytes + len > FE_RPC_TOTAL ||
	    fe_user_over(u, u->inbytes + len, FE_RPC_UID));
}

void
fe_share_count(struct fe_conn *c, size_t more, size_t less)
{
	fenv->inbytes += more;
	fenv->inbytes -= less;
	c->user->inbytes += more;
	c->user->inbytes -= less;
}

int
fe_share_served(struct fe_conn *c, const char **why)
{
	const struct msg_limits	*l = &fenv->conf.limits;
	struct audit_who	 who;

	fe_who(&who, c);
	if (fenv->nrouted >= l->served) {
		*why = "too many clients";
		fe_refused(c->user, &who, "served clients", l->served,
		    "too many clients");
	} else if (fe_user_over(c->user, (size_t)c->user->nrouted + 1,
	    l->served_uid)) {
		*why = "too many clients of this user";
		fe_refused(c->user, &who, "served clients per uid",
		    l->served_uid, "too many clients");
	} else
		return (0);
	return (-1);
}

int
fe_share_tokens(struct fe_user *u, size_t n)
{
	const struct msg_limits	*l = &fenv->conf.limits;

	/* There may be more than a reload allows: to take none is no more. */
	return (n > 0 && (fenv->ntokens + n > l->tokens ||
	    fe_user_over(u, u->ntokens + n, l->tokens_uid)));
}

/*
 * Those that have no engine any more: of those that have one the parent knows
 * the number, and decides.
 */
int
fe_share_vms(struct fe_conn *c, const char **why)
{
	const struct msg_limits	*l = &fenv->conf.limits;
	struct audit_who	 who;

	fe_who(&who, c);
	if (fenv->ndead >= l->vms) {
		*why = "too many VMs";
		fe_refused(c->user, &who, "vms", l->vms, "too many VMs");
	} else if (fe_user_over(c->user, (size_t)c->user->ndead + 1,
	    l->vms_uid)) {
		*why = "too many VMs of this user";
		fe_refused(c->user, &who, "vms per uid", l->vms_uid,
		    "too many VMs");
	} else
		return (0);
	return (-1);
}

int
fe_room(void)
{
	void	*p;

	p = mmap(NULL, FE_RESERVE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return (0);
	munmap(p, FE_RESERVE);
	return (1);
}

/* Once a second for each user: they can ask as often as they like. */
void
fe_refused(struct fe_user *u, const struct audit_who *who, const char *limit,
    uint32_t max, const char *what)
{
	struct audit	 a;
	uint64_t	 second = clock_ms() / 1000 + 1;

	if (u->said == second)
		return;
	u->said = second;
	audit_begin(&a, AUDIT_LIMIT_REACHED);
	audit_limit(&a, limit, max);
	audit_who(&a, who);
	audit_log_at(&a, LOGL_ERROR, "error serving client: %s of uid %u",
	    what, u->uid);
}

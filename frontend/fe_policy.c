/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: who may do what.  The rules are the parent's, uid and gid of
 * a client what the kernel said when it was accepted.  Registrations are
 * decided by the parent once more, which trusts nothing that comes from here.
 */

#include <errno.h>
#include <string.h>

#include "frontend.h"

/* One more rule of the policy that is to come. */
int
fe_rule(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_next		*n = &fenv->next;
	struct policy_rule	 rule;

	(void)fd;
	if (msg_rule_decode(b, &rule) == -1)
		return (-1);
	if (n->nomem || policy_add(&n->policy, &rule) == 0)
		return (0);
	if (errno != ENOMEM || iev->iev_state == FE_SETUP)
		return (-1);
	n->nomem = 1;
	return (0);
}

/* That were all. */
int
fe_policy(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_next	*n = &fenv->next;
	uint32_t	 nrules;

	(void)fd;
	if (msg_u32u8_decode(b, &nrules, &n->policy.attach_owner, 2) == -1 ||
	    (!n->nomem && nrules != n->policy.nrules))
		return (-1);
	n->has_policy = 1;
	if (iev->iev_state == FE_SETUP)
		fe_use_policy(&n->policy);
	return (0);
}

void
fe_use_policy(struct policy *p)
{
	policy_clear(&fenv->policy);
	fenv->policy = *p;
	memset(p, 0, sizeof(*p));
	fenv->has_policy = 1;
}

int
fe_allowed(const struct fe_conn *c, unsigned int op, const struct fe_vm *vm)
{
	if (vm == NULL)
		return (policy_allows(&fenv->policy, op, c->uid, c->gid));
	return (policy_allows_vm(&fenv->policy, op, c->uid, c->gid, vm->uid));
}

int
fe_may(const struct fe_conn *c, unsigned int op, const char *id,
    const struct fe_vm *vm)
{
	struct audit	 a;
	char		 name[MSG_ID_MAX + 1];

	if (fe_allowed(c, op, vm))
		return (1);
	strlcpy(name, id, sizeof(name));
	fe_audit(&a, op == POLICY_REGISTER ? AUDIT_VM_REFUSED :
	    AUDIT_CLIENT_REFUSED, c);
	audit_str(&a, "vm", name);
	if (op != POLICY_REGISTER)
		audit_str(&a, "op", policy_op_name(op));
	audit_str(&a, "reason", "policy");
	audit_log(&a,
	    POLICY_DENIED ": %s %s, uid %u, gid %u, pid %u",
	    policy_op_name(op), name, c->uid, c->gid, c->pid);
	return (0);
}

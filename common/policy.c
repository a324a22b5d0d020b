/* SPDX-License-Identifier: ISC */

/*
 * Who of the clients may do what.  Linked into the parent and the frontend.
 * The rules are the administrator's; uid and gid are what the kernel says.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

static int
policy_matches(const struct policy_rule *r, unsigned int op, uint32_t uid,
    uint32_t gid)
{
	return ((r->ops & op) != 0 && (!r->has_uid || r->uid == uid) &&
	    (!r->has_gid || r->gid == gid));
}

int
policy_allows(const struct policy *p, unsigned int op, uint32_t uid,
    uint32_t gid)
{
	size_t	 i;

	for (i = p->nrules; i > 0; i--)
		if (policy_matches(&p->rules[i - 1], op, uid, gid))
			return (p->rules[i - 1].allow);
	return (1);
}

int
policy_allows_vm(const struct policy *p, unsigned int op, uint32_t uid,
    uint32_t gid, uint32_t owner)
{
	if (p->attach_owner && uid != 0 && uid != owner)
		return (0);
	return (policy_allows(p, op, uid, gid));
}

int
policy_add(struct policy *p, const struct policy_rule *rule)
{
	struct policy_rule	*rules;

	if (p->nrules >= POLICY_RULES_MAX) {
		errno = ENOSPC;
		return (-1);
	}
	rules = reallocarray(p->rules, p->nrules + 1, sizeof(*rules));
	if (rules == NULL)
		return (-1);
	p->rules = rules;
	p->rules[p->nrules++] = *rule;
	return (0);
}

void
policy_clear(struct policy *p)
{
	free(p->rules);
	memset(p, 0, sizeof(*p));
}

const char *
policy_op_name(unsigned int op)
{
	switch (op) {
	case POLICY_REGISTER:
		return ("register");
	case POLICY_ATTACH:
		return ("attach");
	case POLICY_UNREGISTER:
		return ("unregister");
	default:
		return ("unknown");
	}
}

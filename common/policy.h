/* SPDX-License-Identifier: ISC */

/*
 * Who of the clients may do what: rules in the order of the configuration
 * file, of which the last that matches decides.  Pure; judged in the parent
 * (registrations) and in the frontend (all).
 */

#ifndef CCP_POLICY_H
#define CCP_POLICY_H

#include <stddef.h>
#include <stdint.h>

#define POLICY_RULES_MAX	1024

#define POLICY_REGISTER		0x01
#define POLICY_ATTACH		0x02
#define POLICY_UNREGISTER	0x04
#define POLICY_ALL		0x07

/* What a client is told, and how the log line begins. */
#define POLICY_DENIED	"permission denied"

struct policy_rule {
	int		 allow;
	unsigned int	 ops;		/* POLICY_* */
	int		 has_uid, has_gid;
	uint32_t	 uid, gid;	/* the client's: primary group only */
};

struct policy {
	struct policy_rule	*rules;	/* the last that matches decides */
	size_t			 nrules;
	int			 attach_owner;	/* attach, unregister: only
						   the uid that registered,
						   and 0 */
};

/* Without a matching rule: allowed.  op is one POLICY_*; no: 0. */
int	 policy_allows(const struct policy *, unsigned int op, uint32_t uid,
	    uint32_t gid);

/*
 * The same for a VM that owner registered: the rules and attach_owner both
 * have to agree.
 */
int	 policy_allows_vm(const struct policy *, unsigned int op,
	    uint32_t uid, uint32_t gid, uint32_t owner);

/* Add a copy of the rule.  0, or -1 [ENOMEM; ENOSPC: no more of them]. */
int	 policy_add(struct policy *, const struct policy_rule *);

/* Frees the rules and makes it the policy that allows everything. */
void	 policy_clear(struct policy *);

/* "register", "attach", "unregister": what log lines and rules call it. */
const char *policy_op_name(unsigned int op);

#endif /* CCP_POLICY_H */

/* SPDX-License-Identifier: ISC */

/*
 * Prints the lists of system calls of every process, one line for each rule:
 *	LIST ACTION CALL ERRNO [ARG OPERATION A B] ...
 * with numbers in hexadecimal and OPERATION one of eq, ne, masked (A is the
 * mask).  The tables are private to the sources that are included here.
 */

#include "../../parent/sandbox_parent.c"
#include "../../frontend/sandbox_frontend.c"
#include "../../vmengine/sandbox_vmengine.c"

#include <stdio.h>
#include <stdlib.h>

static const char *
operation(enum scmp_compare op)
{
	switch (op) {
	case SCMP_CMP_EQ:
		return ("eq");
	case SCMP_CMP_NE:
		return ("ne");
	case SCMP_CMP_MASKED_EQ:
		return ("masked");
	default:
		abort();
	}
}

static void
print_rules(const char *list, const struct sbx_rule *rule)
{
	static const char *const actions[] = {
		[SBX_ALLOW] = "allow", [SBX_ALLOW_OPT] = "allow",
		[SBX_SOFT] = "soft", [SBX_KILL] = "kill"
	};
	unsigned int	 i;

	for (; rule->name != NULL; rule++) {
		printf("%s %s %s %x", list, actions[rule->action], rule->name,
		    (unsigned int)rule->err);
		for (i = 0; i < rule->ncmp; i++)
			printf(" %x %s %llx %llx", rule->cmp[i].arg,
			    operation(rule->cmp[i].op),
			    (unsigned long long)rule->cmp[i].datum_a,
			    (unsigned long long)rule->cmp[i].datum_b);
		printf("\n");
	}
}

int
main(void)
{
	print_rules("base", sbx_base);
	print_rules("base", sbx_soft);
	print_rules("frontend", fe_rules);
	print_rules("vmengine", vme_rules);
	print_rules("parent", parent_deny);
	return (0);
}

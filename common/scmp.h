/* SPDX-License-Identifier: ISC */

/*
 * From tables of struct sbx_rule to a loaded seccomp filter.  Private to the
 * sandbox.
 */

#ifndef CCP_SCMP_H
#define CCP_SCMP_H

#include "sandbox.h"

/* base, soft and own, default kill.  Fatal on failure. */
void	 scmp_load_allow(const struct sbx_rule *own);

/*
 * Default allow.  nnp: 0 with CAP_SYS_ADMIN, else 1, which sets
 * no-new-privs.  Fatal on failure.
 */
void	 scmp_load_deny(const struct sbx_rule *, int nnp);

#endif /* CCP_SCMP_H */

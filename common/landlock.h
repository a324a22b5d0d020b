/* SPDX-License-Identifier: ISC */

/*
 * Landlock for a process that needs no file, no TCP port and no peer outside
 * its own descriptors.  Private to the sandbox.
 */

#ifndef CCP_LANDLOCK_H
#define CCP_LANDLOCK_H

#include <stdint.h>

/*
 * Denies everything the running kernel's Landlock can deny.  Needs
 * no-new-privs or CAP_SYS_ADMIN.  Sets *layers to the SBX_LAND* bits that
 * are now active: none if the kernel has no Landlock.  Returns 0, or -1
 * [errno].
 */
int	 landlock_deny_all(uint32_t *layers);

#endif /* CCP_LANDLOCK_H */

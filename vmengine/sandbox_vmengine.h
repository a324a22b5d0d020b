/* SPDX-License-Identifier: ISC */

/*
 * The engine's sandbox.
 */

#ifndef VME_SANDBOX_VMENGINE_H
#define VME_SANDBOX_VMENGINE_H

#include <sys/types.h>

#include <stdint.h>

/*
 * Takes all rights away but those an engine needs.  rootfd, an empty
 * directory, is needed when started as root, as are uid and gid; it is
 * closed.  Returns the active SBX_* layers; a failure is fatal.
 */
uint32_t vme_sandbox(uid_t uid, gid_t gid, int rootfd, uint64_t nofile);

#endif /* VME_SANDBOX_VMENGINE_H */

/* SPDX-License-Identifier: ISC */

/*
 * The frontend's sandbox.
 */

#ifndef FE_SANDBOX_FRONTEND_H
#define FE_SANDBOX_FRONTEND_H

#include <sys/types.h>

#include <stdint.h>

/*
 * Takes all rights away but those the frontend needs.  uid and gid are not
 * used unless started as root.  Returns the active SBX_* layers; a failure
 * is fatal.
 */
uint32_t fe_sandbox(uid_t uid, gid_t gid, uint64_t nofile);

#endif /* FE_SANDBOX_FRONTEND_H */

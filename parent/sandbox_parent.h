/* SPDX-License-Identifier: ISC */

/*
 * The parent's sandbox.
 */

#ifndef PARENT_SANDBOX_PARENT_H
#define PARENT_SANDBOX_PARENT_H

/*
 * After the frontend runs, limits are raised and everything that is opened
 * once is open.  A failure is fatal.
 */
void	 parent_sandbox(int is_root);

#endif /* PARENT_SANDBOX_PARENT_H */

/* SPDX-License-Identifier: ISC */

/*
 * What the frontend may do: accept connections, read a request from each,
 * pass them on.  No file, no socket of its own, no program.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <stddef.h>

#include "sandbox.h"
#include "sandbox_frontend.h"

static const struct sbx_rule fe_rules[] = {
	/* listeners */
	{ "accept4", SBX_ALLOW, 0, 0, { SBX_CMP_NONE } },
	/* who is it: the peer's credentials at accept */
	{ "getsockopt", SBX_ALLOW, 0, 2,
	    { SBX_EQ(1, SOL_SOCKET), SBX_EQ(2, SO_PEERCRED) } },
	/* the parent is shown who registers: handover.c */
	{ "fcntl", SBX_ALLOW, 0, 1, { SBX_EQ(1, F_DUPFD_CLOEXEC) } },
	{ NULL, SBX_ALLOW, 0, 0, { SBX_CMP_NONE } }
};

uint32_t
fe_sandbox(uid_t uid, gid_t gid, uint64_t nofile)
{
	const struct sbx_conf	 conf = {
		.uid = uid,
		.gid = gid,
		.rootfd = -1,
		.namespaces = 1,
		.nofile = nofile,
		.data = 0,
		.rules = fe_rules
	};

	return (sbx_enter(&conf));
}

/* SPDX-License-Identifier: ISC */

/*
 * What an engine may do: read and write what it was given, receive more of
 * it, and make the socket pair whose other end a 1.x client gets for its
 * I/O.  No file, no listener, no socket that reaches another process, no
 * program.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <stddef.h>

#include "sandbox.h"
#include "sandbox_vmengine.h"

/* Queues of one VM's clients are bounded; this is well above their sum. */
#define VME_DATA_MAX	(UINT64_C(512) << 20)

#define VME_SOCK_FLAGS	((uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK))

static const struct sbx_rule vme_rules[] = {
	/* command.c: the I/O descriptor of a 1.x client */
	{ "socketpair", SBX_ALLOW, 0, 3, { SBX_EQ(0, AF_UNIX),
	    SBX_MASK(1, ~VME_SOCK_FLAGS, SOCK_STREAM), SBX_EQ(2, 0) } },
	/* handover.c: what the frontend passes must be a local stream */
	{ "getsockopt", SBX_ALLOW, 0, 2,
	    { SBX_EQ(1, SOL_SOCKET), SBX_EQ(2, SO_DOMAIN) } },
	{ "getsockopt", SBX_ALLOW, 0, 2,
	    { SBX_EQ(1, SOL_SOCKET), SBX_EQ(2, SO_TYPE) } },
	/* imsgev.c: is there room for one more? */
	{ "fcntl", SBX_ALLOW, 0, 1, { SBX_EQ(1, F_DUPFD_CLOEXEC) } },
	{ NULL, SBX_ALLOW, 0, 0, { SBX_CMP_NONE } }
};

uint32_t
vme_sandbox(uid_t uid, gid_t gid, int rootfd, uint64_t nofile)
{
	const struct sbx_conf	 conf = {
		.uid = uid,
		.gid = gid,
		.rootfd = rootfd,
		.namespaces = 0,
		.nofile = nofile,
		.data = VME_DATA_MAX,
		.rules = vme_rules
	};

	return (sbx_enter(&conf));
}

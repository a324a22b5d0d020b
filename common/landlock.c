/* SPDX-License-Identifier: ISC */

/*
 * Landlock by raw system calls: a ruleset that handles every right the
 * kernel knows and grants none.  Every child's code; no input.
 *
 * The distribution's header may be older than the running kernel and the
 * other way round, so the constants are our own and masked by the ABI.
 */

#include <sys/types.h>
#include <sys/syscall.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "landlock.h"
#include "sandbox.h"

#define LL_CREATE_VERSION	(1U << 0)

/* File system rights, in the order the ABI grew. */
#define LL_FS_ABI1	((UINT64_C(1) << 13) - 1)
#define LL_FS_REFER	(UINT64_C(1) << 13)	/* ABI 2 */
#define LL_FS_TRUNCATE	(UINT64_C(1) << 14)	/* ABI 3 */
#define LL_FS_IOCTL_DEV	(UINT64_C(1) << 15)	/* ABI 5 */

#define LL_NET_BIND_TCP		(UINT64_C(1) << 0)	/* ABI 4 */
#define LL_NET_CONNECT_TCP	(UINT64_C(1) << 1)
#define LL_SCOPE_ABSTRACT_UNIX	(UINT64_C(1) << 0)	/* ABI 6 */
#define LL_SCOPE_SIGNAL		(UINT64_C(1) << 1)

/* An older kernel takes the longer struct if what it does not know is 0. */
struct ll_ruleset_attr {
	uint64_t	 handled_access_fs;
	uint64_t	 handled_access_net;
	uint64_t	 scoped;
};

int
landlock_deny_all(uint32_t *layers)
{
	struct ll_ruleset_attr	 attr;
	uint32_t		 active = SBX_LANDLOCK;
	long			 abi;
	int			 fd, save;

	*layers = 0;
	abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
	    LL_CREATE_VERSION);
	if (abi == -1) {
		/* Not built in, or not enabled at boot. */
		if (errno == ENOSYS || errno == EOPNOTSUPP)
			return (0);
		return (-1);
	}

	memset(&attr, 0, sizeof(attr));
	attr.handled_access_fs = LL_FS_ABI1;
	if (abi >= 2)
		attr.handled_access_fs |= LL_FS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= LL_FS_TRUNCATE;
	if (abi >= 4) {
		attr.handled_access_net = LL_NET_BIND_TCP | LL_NET_CONNECT_TCP;
		active |= SBX_LANDNET;
	}
	if (abi >= 5)
		attr.handled_access_fs |= LL_FS_IOCTL_DEV;
	if (abi >= 6) {
		attr.scoped = LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL;
		active |= SBX_LANDSCOPE;
	}

	/* The descriptor is close-on-exec, and closed here anyway. */
	if ((fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
	    sizeof(attr), 0)) == -1)
		return (-1);
	if (syscall(SYS_landlock_restrict_self, fd, 0) == -1) {
		save = errno;
		(void)close(fd);
		errno = save;
		return (-1);
	}
	if (close(fd) == -1)
		return (-1);
	*layers = active;
	return (0);
}

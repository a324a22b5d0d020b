/* SPDX-License-Identifier: ISC */

/*
 * What the probe's parts share.
 */

#ifndef CCP_PROBE_H
#define CCP_PROBE_H

#include <sys/types.h>

#include <stdint.h>

#define PROBE_NOFILE	100
#define PROBE_ID	65534	/* uid and gid in a sandbox entered as root */

/* Expected: 0 or more for an errno (0: success), or one of these. */
#define P_SIGSYS	(-1)	/* dies */
#define P_OK		0

/* Only in that variant. */
#define P_ROOT		0x1
#define P_USER		0x2
/* Only where Landlock has that layer. */
#define P_LANDLOCK	0x4
#define P_LANDNET	0x8
#define P_LANDSCOPE	0x10

struct probe_line {
	const char	*name;
	int		 expect;
	int		(*fn)(void);	/* -1 [errno]; NULL: the call below */
	long		 nr;
	uintptr_t	 arg[6];
	int		 only;
};

struct probe_profile {
	const char	*name;
	/* Applies it; in a process of its own.  Returns the layers. */
	uint32_t	(*enter)(int is_root);
	/* Lists, each of which ends with name NULL. */
	const struct probe_line	*lines[4];
};

/* Big enough, and zero, for what a call may read or write. */
extern unsigned char	 probe_buf[4096];

extern const struct probe_line	 probe_base[];		/* every child */
extern const struct probe_line	 probe_frontend[];
extern const struct probe_line	 probe_vmengine[];
extern const struct probe_line	 probe_layers[];
extern const struct probe_line	 probe_parent[];

/* An empty directory for the engine's root; -1 if not root. */
extern int		 probe_rootfd;

/* Where the layers profile tries to connect to. */
int	 probe_listen(void);

uint32_t probe_enter_layers(int);

#endif /* CCP_PROBE_H */

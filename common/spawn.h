/* SPDX-License-Identifier: ISC */

/*
 * fork and exec one of our own binaries: channel on descriptor 3, log on 4,
 * an optional directory for its root on 5, nothing above; 0-2 are /dev/null;
 * empty environment; nothing in argv but the program's name.
 */

#ifndef CCP_SPAWN_H
#define CCP_SPAWN_H

#include <sys/types.h>

#define SPAWN_CHANNEL_FD	3
#define SPAWN_LOG_FD		4
#define SPAWN_ROOT_FD		5

struct spawned {
	pid_t	 pid;
	int	 pidfd;		/* close-on-exec */
	int	 channel;	/* our end; non-blocking, close-on-exec */
	int	 log;		/* our end; non-blocking, close-on-exec */
};

/*
 * args: up to NULL, after argv[0]; identity to assume is passed in there as
 * numbers ("-u", uid, ...), which are no secret.  rootfd: -1 for none.
 * Returns 0 and fills *s, whose descriptors the caller owns; or -1 [errno]
 * with nothing left open.
 */
int	 spawn(struct spawned *s, const char *path, const char *const *args,
	    int rootfd);

/* Kills and reaps it, and closes the descriptors. */
void	 spawn_undo(struct spawned *s);

/* Non-blocking, close-on-exec stream socket pair.  0, or -1 [errno]. */
int	 spawn_socketpair(int sv[2]);

#endif /* CCP_SPAWN_H */

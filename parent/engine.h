/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: one VM, from its registration to the end of its engine;
 * what starts.c and engines.c know of it.  engines.c has the list and the
 * memory of all, and the process once there is one; starts.c has whose turn
 * it is, how many are being started, and those that have no process yet.
 */

#ifndef CCP_ENGINE_H
#define CCP_ENGINE_H

#include "parent.h"

enum engine_state {
	ENGINE_QUEUED = 0x01,
	ENGINE_CONNECTING = 0x02,
	ENGINE_STARTING = 0x04,	/* until SETUP_READY */
	ENGINE_UP = 0x08,
	/* Its channel only: what it has said, it says once. */
	ENGINE_SERVING = 0x10,
	ENGINE_LOST = 0x20,
	ENGINE_OWED = 0x40	/* as well: a SETUP_ACK */
};

struct engine {
	TAILQ_ENTRY(engine)	 entry;		/* all */
	TAILQ_ENTRY(engine)	 queue_entry;	/* waiting to be started */
	struct msg_vm_open	 open;
	struct ucred		 cred;		/* who registers it */
	const char		*why;		/* a socket is refused */
	struct child		 child;
	struct ids		 ids;		/* as whom it runs */
	int			 has_ids;
	enum engine_state	 state;
	struct event		 timer;		/* starts.c's until it runs */
	uint64_t		 deadline;	/* of the connects */
	uint64_t		 late;		/* ditto, no socket there */
	int			 slot;		/* counts in nstarting */
	int			 retries;	/* not to be reached yet */
	int			 ctl, io, console;
	int			 peer;		/* the frontend's end */
	int			 guest;		/* what it was told */
	unsigned int		 owed;		/* answers to BEGINs */
	int			 lost;
};

/* engines.c */
/*
 * One more, without sockets and process; NULL: no memory.  It is to go with
 * start_failed() or when its process ends.
 */
struct engine *engine_new(const struct msg_vm_open *, const struct ucred *);
struct engine *engine_find(uint32_t vmid);	/* or NULL */
unsigned int engines_count(void);
/* That user's VMs, or those of them that are tried again and again. */
unsigned int engines_of(uid_t, int retries);
/*
 * Start its process and hand it the connected sockets.  0: the rest is heard
 * from the process, or is its end.  Or the error: there is none, the sockets
 * stay where they are, and start_failed() is the caller's.
 */
int	 engine_start(struct engine *);
/* First close what it has; then take it off the list and free it. */
void	 engine_release(struct engine *);
void	 engine_free(struct engine *);

/* starts.c */
/* No longer one of those being started: another one may be. */
void	 start_settled(struct engine *);
/* It never ran: the frontend is told, and it is freed. */
void	 start_failed(struct engine *, enum msg_step, int errnum);

#endif /* CCP_ENGINE_H */

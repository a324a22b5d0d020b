/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy, the parent: starts, supervises and reaps the other processes,
 * connects to the VMs' sockets, owns KSM and the log.  It never parses a
 * byte that a client or a guest wrote: what it receives are the fixed
 * messages of msg.h.
 */

#ifndef CCP_PARENT_H
#define CCP_PARENT_H

#include <sys/queue.h>

#include <event.h>

#include "flags.h"
#include "imsgev.h"
#include "logsink.h"
#include "msg.h"
#include "spawn.h"

#define PARENT_ENGINES_MAX	4096	/* VMs */
#define PARENT_STARTS_MAX	16	/* engines being started at a time */
#define PARENT_STARTS_RATE	200	/* engine starts a second */
#define PARENT_READY_TIME	10	/* seconds a child has to get ready */
#define PARENT_DIAL_TIME	1	/* seconds sockets of 1.x may be late */
#define PARENT_STOP_TIME	3	/* seconds a child has to stop */
#define PARENT_USER_FRONTEND	"_ccproxy"
#define PARENT_USER_ENGINE	"_ccengine"

/* A child process: frontend or engine. */
struct child {
	struct spawned		 proc;	/* descriptors -1 when closed */
	struct imsgev		 iev;
	struct event		 log_ev;
	struct event		 exit_ev;
	struct logsink_bucket	 bucket;
	const char		*vm;	/* for the log; NULL: the frontend */
	int			 running;
	void			(*exited)(struct child *, int how, int status);
};

struct ids {
	uid_t			 uid;
	gid_t			 gid;
};

struct parent_env {
	struct flags		 flags;
	int			 is_root;
	int			 pod;
	int			 level;
	int			 console;	/* wanted at level debug */
	char			 path[MSG_PATH_MAX + 1];
	char			 ctlpath[MSG_PATH_MAX + 1];	/* "": none */
	const char		*paths[MSG_PROTO_MAX];
	int			 created[MSG_PROTO_MAX];	/* by us */
	struct ids		 frontend_ids, engine_ids;
	int			 rootfd;	/* engines' empty root */
	uint64_t		 nofile;
	struct child		 frontend;
	int			 unregistered;	/* pod mode: one was */
	int			 stopping;
	int			 status;	/* exit status when stopped */
};

extern struct parent_env	*penv;

/* parent.c */
void	 parent_stop(int status);
void	 parent_check_done(void);

/* child.c: what all children have in common */
/*
 * Start name from the libexec directory.  The exit handler runs once, after
 * the channel and the log were drained and closed.  0, or -1 [errno].
 */
int	 child_start(struct child *, const char *name, const struct ids *,
	    uint64_t nofile, int rootfd, const char *vm,
	    void (*)(struct child *, int, int));
int	 child_channel(struct child *, const struct imsgev_handler *,
	    uint32_t state);
void	 child_kill(struct child *);
/* Close the channel: the child ends by itself. */
void	 child_stop(struct child *);

/* listen.c */
/*
 * The listeners for both protocols, made at the paths ("": none) or passed
 * by systemd; -1 in fds: there is none.  0, or -1 with the reason in err.
 */
int	 listen_clients(const char *const paths[MSG_PROTO_MAX],
	    int fds[MSG_PROTO_MAX], int created[MSG_PROTO_MAX], char *err,
	    size_t);
/* Returns the listener, or -1 with the reason in err. */
int	 listen_control(const char *path, char *err, size_t);

/* vmopen.c */
/*
 * Begin to connect to a VM's socket: absolute, a socket, no magic links.
 * Returns a non-blocking close-on-exec descriptor, or -1 [errno]; EAGAIN:
 * its backlog is full, try again.
 */
int	 vmopen_connect(const char *path);

/* engines.c */
void	 engines_init(void);
void	 engines_open(const struct msg_vm_open *);
int	 engines_alive(void);	/* engines whose VM is not lost */
int	 engines_running(void);	/* engine processes */
void	 engines_stop(void);
void	 engines_kill(void);
void	 engines_kill_one(uint32_t vmid);

#endif /* CCP_PARENT_H */

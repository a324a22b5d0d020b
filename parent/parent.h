/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy, the parent: starts, supervises and reaps the other processes,
 * connects to the VMs' sockets, owns KSM and the log.  It never parses a
 * byte that a client or a guest wrote: what it receives are the fixed
 * messages of msg.h.
 */

#ifndef CCP_PARENT_H
#define CCP_PARENT_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event.h>

#include "audit.h"
#include "conf.h"
#include "flags.h"
#include "imsgev.h"
#include "ksm.h"
#include "logsink.h"
#include "msg.h"
#include "spawn.h"

#define PARENT_STARTS_MAX	16	/* engines being started at a time */
#define PARENT_STARTS_RATE	200	/* engine starts a second */
#define PARENT_READY_TIME	10	/* seconds a child has to get ready */
#define PARENT_DIAL_TIME	1	/* seconds sockets of 1.x may be late */
#define PARENT_STOP_TIME	3	/* seconds a child has to stop */

/* A child process: frontend or engine. */
struct child {
	struct spawned		 proc;	/* descriptors -1 when closed */
	struct imsgev		 iev;
	struct event		 log_ev;
	struct event		 exit_ev;
	struct logsink_source	 log;
	const char		*vm;	/* for the log; NULL: the frontend */
	int			 running;
	void			(*exited)(struct child *, int how, int status);
};

/* A socket that clients come to. */
struct listener {
	int			 fd;		/* -1: the frontend has it */
	int			 proto;		/* enum msg_proto */
	const char		*path;		/* NULL: it was passed to us */
};

struct ids {
	uid_t			 uid;
	gid_t			 gid;
};

struct parent_env {
	struct flags		 flags;
	struct conf		 conf;		/* flags included */
	int			 has_conf;	/* of a file */
	int			 is_root;
	int			 pod;
	int			 level;
	int			 console;	/* wanted at level debug */
	char			 path[MSG_PATH_MAX + 1];
	char			 ctlpath[MSG_PATH_MAX + 1];	/* "": none */
	struct listener		 listeners[CONF_LISTENERS_MAX];
	size_t			 nlisteners;
	struct ids		 frontend_ids, engine_ids;
	int			 rootfd;	/* engines' empty root */
	uint64_t		 nofile;
	struct child		 frontend;
	int			 unregistered;	/* pod mode: one was */
	int			 stopping;
	int			 status;	/* exit status when stopped */
};

extern struct parent_env	*penv;

enum parent_state {		/* of the frontend's channel */
	PARENT_STARTING = 0x01,
	PARENT_RUNNING = 0x02,
	PARENT_OWED = 0x04		/* as well: a SETUP_ACK */
};

/* parent.c */
/* What the frontend works with, but for the listeners. */
void	 parent_send_conf(const struct conf *);
void	 parent_send_policy(const struct policy *);
void	 parent_ksm_times(const struct conf *, struct ksm_times *);
void	 parent_stop(int status, const char *why);
void	 parent_check_done(void);
/* Tell the service manager how many VMs there are. */
void	 parent_status(void);

/* setup.c: what is done once, before there are other processes */
/*
 * Command line, configuration and log, into penv.  Returns if the daemon is
 * to start, or its version to be shown.
 */
void	 setup_conf(int argc, char *argv[]);
/*
 * Users, limit of descriptors and listeners, into penv.  Returns the control
 * socket, which is the caller's then, or -1: there is none.
 */
int	 setup_listen(void);
/*
 * Put the level that counts into the configuration.  Returns it; or -1 if
 * *name is none, and then the configuration is as it was.
 */
int	 setup_level(struct conf *, int *console, const char **name);
/* The daemon cannot start: say why, and exit. */
void	 setup_failed(const char *why);

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
/* Begin a security event about it. */
void	 child_audit(struct audit *, enum audit_event, const struct child *);
/* Begin the one that it ended, as waitid(2) says; wanted: it might. */
void	 child_audit_end(struct audit *, const struct child *, int how,
	    int status, int wanted);

/* listen.c */
/*
 * The listeners of the configuration, or instead those that systemd passes.
 * 0; or -1 with the reason in err: the first *n may be there.
 */
int	 listen_clients(const struct conf *,
	    struct listener [CONF_LISTENERS_MAX], size_t *n, char *err,
	    size_t);
/* Returns the listener, or -1 with the reason in err. */
int	 listen_control(const struct conf_socket *, char *err, size_t);

/* vmopen.c */
/*
 * The directories that VMs' sockets may be in; none: they may be anywhere.
 * Each is opened now, or if it is not there yet, when it is first needed.
 * They count from vmopen_switch() on, which takes them and drops those that
 * did before; vmopen_drop() is for those that never will (NULL: none).
 */
struct vmdirs *vmopen_load(const struct conf_vmdirs *);
void	 vmopen_switch(struct vmdirs *);
void	 vmopen_drop(struct vmdirs *);
/*
 * Begin to connect to a VM's socket: absolute, a socket, no magic links, and
 * what its directory demands.  Returns a non-blocking close-on-exec
 * descriptor, or -1 [errno]; EAGAIN: its backlog is full, try again.  *why
 * is NULL, or with EACCES why it is refused.
 */
int	 vmopen_connect(const char *path, const char **why);

/* registrant.c */
/* A listener of clients that the frontend is to have; call it before. */
void	 registrant_listener(int fd, int proto);
/*
 * Who is at the other end of a client's connection of that protocol.  0, or
 * -1: it is none.  fd stays the caller's; nothing is read from it.
 */
int	 registrant_cred(int fd, int proto, struct ucred *);
/* May there be one more event of that level about his registrations? */
int	 registrant_log(const struct ucred *, enum log_level);
/* Begin an event about his registration of id. */
void	 registrant_audit(struct audit *, enum audit_event,
	    const struct ucred *, const char *id);
/* The event that he may not register id; path: NULL, or which one, and why. */
void	 registrant_denied(const struct ucred *, const char *id,
	    const char *path, const char *why);

/* ids.c: as whom engines run */
/* All as ids, unless the configuration has a range. */
void	 ids_init(const struct conf *, const struct ids *);
/*
 * Of an engine that is to be started, its own as long as there are any.  0,
 * or -1: all are in use.
 */
int	 ids_take(struct ids *);
/* Its process has been reaped, or never was. */
void	 ids_give(const struct ids *);

/* starts.c: VMs whose engines have not been started yet */
void	 starts_init(void);
/*
 * The frontend asks for a VM on behalf of the client whose connection is fd,
 * which stays the caller's.  Refusals are answered; -1: the frontend lies.
 */
int	 starts_open(const struct msg_vm_open *, int fd);
void	 starts_next(void);	/* start who waits, as far as possible */

/* engines.c: the VMs, and their engines' processes */
/* Those that are running get another configuration, all or none of it. */
void	 engines_begin(const struct conf *, uint32_t generation);
/* SETUP_SWITCH or SETUP_ABORT. */
void	 engines_decide(uint32_t type);
unsigned int engines_owing(void);	/* that have not answered */
/* These are killed, and owe nothing any more: tell is called for each. */
void	 engines_kill_owing(void (*tell)(const char *));
int	 engines_alive(void);	/* engines whose VM is not lost */
int	 engines_running(void);	/* engine processes */
/* What is known of them, for cc-proxyctl(8). */
void	 engines_stats(struct msg_daemon_stats *);
void	 engines_stop(void);
void	 engines_kill(void);
void	 engines_kill_one(uint32_t vmid);

/* reload.c: another configuration, in all processes or in none */
void	 reload_init(void);
/* SIGHUP: now, or once more when the one under way has ended. */
void	 reload_again(void);
int	 reload_running(void);
/* Why the last one failed, for the service manager; NULL: it did not. */
const char *reload_failure(void);
/* A child has answered, or gone. */
void	 reload_check(void);
void	 reload_stop(void);	/* the daemon ends */
/* The frontend's: 0, or -1 if it breaks the protocol. */
int	 reload_ack(struct imsgev *, struct ibuf *, int *);
int	 reload_ask(struct imsgev *, struct ibuf *, int *);

#endif /* CCP_PARENT_H */

/* SPDX-License-Identifier: ISC */

/*
 * ccp-guest, the agent: what its files share.  One process, one event loop,
 * no threads; everything that may block happens in a forked child that
 * reports through a job's socket.  The host is trusted to command, its
 * input is parsed strictly; the processes of containers are not trusted.
 *
 * Sources: cc-proxy-protocol(7), ccp-guest(8).
 */

#ifndef CCP_GUEST_H
#define CCP_GUEST_H

#include <sys/queue.h>
#include <sys/types.h>

#include <event.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_CHUNK		65536	/* one read from a channel, bytes */
#define GUEST_OUT_HIGH		(256 * 1024)	/* queue bounds of a channel */
#define GUEST_OUT_LOW		(64 * 1024)
#define GUEST_ERRMAX		256	/* an error text, NUL included */
#define GUEST_ID_MAX		255	/* characters of an id */
#define GUEST_IO_MAX		4096	/* an I/O message for hyperstart */
#define GUEST_GRACE		2	/* DESTROYPOD: seconds after TERM, */
#define GUEST_REAP		3	/* after KILL, */
#define GUEST_FLUSH		4	/* and for the last output */

#define GUEST_GETPOD		2	/* a command nobody sends any more */

struct guest;
struct guest_cont;
struct guest_proc;

/* When NEXT says what was read of the control channel. */
enum guest_next {
	NEXT_NEVER,
	NEXT_PIECE,	/* once for what came together of a command */
	NEXT_NOW,	/* for the header, and then for each piece */
	NEXT_LATE	/* likewise, but never while a command runs */
};

/* What the payload of ERROR is. */
enum guest_errors {
	ERRORS_TEXT,
	ERRORS_EMPTY,
	ERRORS_KILL	/* a few words and a NUL, of KILLCONTAINER only */
};

/* Whose window WINSIZE means, and whether it matters that there is none. */
enum guest_winsize {
	WINSIZE_ANY,	/* a number's or a name's, no */
	WINSIZE_SEQ,	/* a number's, no */
	WINSIZE_POD,	/* a number's, no; but there must be a pod */
	WINSIZE_NAME	/* a name's, yes */
};

/* A second STARTPOD. */
enum guest_again {
	AGAIN_ERROR,
	AGAIN_ACK,
	AGAIN_EXIT
};

/* Where the id of a process must be the only one of its kind. */
enum guest_ids {
	IDS_CONTAINER,
	IDS_POD,
	IDS_NOWHERE
};

/* How STARTPOD and its like read JSON. */
enum guest_api {
	API_ANY = 0,	/* whatever makes sense */
	API_4242 = 1,
	API_4244 = 2
};

/* Which agent we are: all that differs between them. */
struct guest_profile {
	const char		*f_name;
	uint32_t		 f_version;	/* answer to VERSION */
	uint32_t		 f_commands;	/* known ones, a bit each */
	enum guest_api		 f_api;
	enum guest_next		 f_next;
	enum guest_errors	 f_errors;
	enum guest_winsize	 f_winsize;
	enum guest_again	 f_again;
	enum guest_ids		 f_ids;
	size_t			 f_output;	/* bytes of a message */
	size_t			 f_stdin;	/* bytes kept per process */
	size_t			 f_iomax;	/* I/O message, dropped if it
						 * does not fit; 0: any */
	int			 f_goodbye;	/* for unknown numbers */
	int			 f_signal;	/* status, plus the signal */
	int			 f_event;	/* no status byte */
	int			 f_whole;	/* headers come whole */
	int			 f_together;	/* and with their payload */
	int			 f_lengths;	/* and are no lies */
	int			 f_sharedir;	/* a VM's pod must have one */
	int			 f_sharedseq;	/* numbers may be shared */
	int			 f_sharedid;	/* ids of containers, too;
						 * -1: no, at a price */
	int			 f_ttyerr;	/* stderr beside a terminal */
	int			 f_ttysize;	/* set at the start */
	int			 f_lame;	/* no args: ends with 0 */
	int			 f_setup;	/* status if it fails, or -1 */
	int			 f_exec;	/* as a shell's, if it fails */
	int			 f_execany;	/* containers need not exist */
	int			 f_named;	/* users are known by name */
	int			 f_killed;	/* KILLCONTAINER is lenient */
	int			 f_killall;	/* allProcesses is heeded */
	int			 f_remove;	/* containers just go */
	int			 f_podends;	/* so does the pod, aloud */
	int			 f_ask;		/* DESTROYPOD kills nobody */
	int			 f_lost;	/* and the last words */
	int			 f_leave;	/* after it; -1: if told to */
	int			 f_startexit;	/* a failed STARTPOD ends all */
};

/* One message on its way to the host. */
struct guest_buf {
	TAILQ_ENTRY(guest_buf)	 b_entry;
	size_t			 b_len;
	int			 b_keep;	/* survives a lost host */
	uint8_t			 b_data[];
};
TAILQ_HEAD(guest_bufs, guest_buf);

struct guest_chan;
struct guest_chan_ops {
	/* Bytes used; less than given means blocked until a kick. */
	size_t	(*input)(struct guest_chan *, const uint8_t *, size_t);
	void	(*connected)(struct guest_chan *);
	void	(*lost)(struct guest_chan *);	/* reset the parser */
	void	(*drained)(struct guest_chan *, int empty);
};

/*
 * A byte channel to the host: a listening socket with at most one
 * connection, a descriptor that was connected before, or a virtio port.
 */
struct guest_chan {
	struct guest		*c_guest;
	const char		*c_name;
	const struct guest_chan_ops *c_ops;
	char			*c_path;	/* NULL: not listening */
	struct event		 c_ev;
	struct event		 c_listen;
	struct event		 c_kick;
	int			 c_fd;		/* -1: no host */
	int			 c_lfd;
	int			 c_port;	/* a virtio port */
	int			 c_up;		/* the port has a host */
	int			 c_hup;		/* the peer is gone */
	int			 c_high;	/* drained() is owed */
	int			 c_hold;	/* nothing is written now */
	uint32_t		 c_gen;		/* counts hosts */
	struct guest_bufs	 c_out;
	size_t			 c_outlen;	/* bytes not written */
	size_t			 c_headoff;	/* of the first buffer */
	size_t			 c_inoff;
	size_t			 c_inlen;
	uint8_t			 c_in[GUEST_CHUNK];
};

/* Work of a forked child.  Commands are serial: there is one at a time. */
struct guest_job {
	struct event		 j_ev;
	int			 j_fd;		/* -1: none */
	void			*j_arg;
	void			(*j_pid)(struct guest *, void *, pid_t);
	void			(*j_tty)(struct guest *, void *, int);
	void			(*j_done)(struct guest *, void *, const char *);
};

/* One output of a process. */
struct guest_pump {
	struct guest_proc	*u_proc;
	struct event		 u_ev;
	uint64_t		 u_seq;
	int			 u_fd;		/* -1: at its end */
};

struct guest_proc {
	TAILQ_ENTRY(guest_proc)	 p_entry;
	struct guest		*p_guest;
	struct guest_cont	*p_cont;	/* NULL: removed */
	char			*p_id;
	char			*p_cid;		/* the container's */
	json_t			*p_conf;	/* NULL once started */
	pid_t			 p_pid;		/* 0: not forked */
	int			 p_first;
	int			 p_terminal;
	int			 p_started;
	int			 p_reaped;
	uint8_t			 p_status;
	struct guest_pump	 p_out;
	struct guest_pump	 p_err;
	struct event		 p_inev;
	int			 p_infd;	/* -1: closed */
	int			 p_ineof;	/* close once it is written */
	int			 p_dropped;	/* some of it, and we said so */
	uint8_t			*p_inq;		/* ring, NULL until needed */
	size_t			 p_inoff;
	size_t			 p_inlen;
	int			 p_childfd[3];	/* the child's ends */
	void			(*p_done)(struct guest *, void *, const char *);
};
TAILQ_HEAD(guest_procs, guest_proc);

struct guest_cont {
	TAILQ_ENTRY(guest_cont)	 k_entry;
	char			*k_id;
	json_t			*k_conf;
	struct guest_proc	*k_first;	/* NULL: it has exited */
	int			 k_done;	/* and that was reported */
	uint8_t			 k_status;
	pid_t			 k_init;	/* has the namespaces, or 0 */
	pid_t			*k_sids;	/* sessions, if no namespaces */
	size_t			 k_nsids;
};
TAILQ_HEAD(guest_conts, guest_cont);

enum guest_destroy {
	DESTROY_NONE,
	DESTROY_TERM,
	DESTROY_KILL,
	DESTROY_FLUSH
};

struct guest {
	struct guest_chan	 g_ctl;
	struct guest_chan	 g_tty;
	struct guest_procs	 g_procs;
	struct guest_conts	 g_conts;
	struct guest_conts	 g_dying;	/* their init is to be reaped */
	struct guest_job	 g_job;
	const struct guest_profile *g_profile;
	const char		*g_rootdir;	/* NULL: none */
	const char		*g_sharedir;	/* NULL: none */
	char			*g_hostname;	/* NULL: none */
	int			 g_vm;		/* first process of a VM */
	int			 g_root;	/* may change ids */
	int			 g_ns;		/* containers get namespaces */
	int			 g_leave;	/* quit after DESTROYPOD */
	int			 g_pod;
	int			 g_mounted;	/* the share, by us */
	int			 g_dns;		/* resolv.conf was written */
	int			 g_paused;	/* output waits for the host */
	int			 g_quitting;
	int			 g_status;	/* to exit with */

	/* the command in hand */
	int			 g_busy;
	uint32_t		 g_replygen;
	size_t			 g_hdrlen;
	size_t			 g_need;
	size_t			 g_have;
	uint32_t		 g_code;
	char			*g_msg;		/* NULL: being skipped */
	uint8_t			 g_hdr[8];
	void			(*g_created)(struct guest *, const char *);
	json_t			*g_startconf;
	size_t			 g_startnext;
	struct guest_cont	*g_removing;
	enum guest_destroy	 g_destroy;
	unsigned int		 g_asked;	/* DESTROYPODs to be answered */
	uint32_t		 g_askedgen;
	unsigned int		 g_reports;
	int			 g_errtext;	/* of ERROR; 2: short */
	struct event		 g_timer;

	/* the tty message in hand */
	uint8_t			 g_ttyhdr[12];
	size_t			 g_ttyhdrlen;
	size_t			 g_ttyleft;
	size_t			 g_ttyhave;
	int			 g_ttyskip;
	uint64_t		 g_ttyseq;
	uint8_t			 g_ttybuf[GUEST_IO_MAX];

	/* the output of ps */
	struct event		 g_psev;
	int			 g_psfd;
	char			*g_psbuf;
	size_t			 g_pslen;
	struct guest_cont	*g_pscont;
};

/* ccp-guest.c */
void	 guest_debug(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
/* An error nothing can be done about: a VM powers off. */
__attribute__((__noreturn__, __format__(printf, 1, 2)))
void	 guest_fatal(const char *, ...);
/* Kills what runs, removes the sockets, exits or powers off. */
__attribute__((__noreturn__))
void	 guest_quit(struct guest *, int status);
/* Out of memory is fatal. */
void	*guest_alloc(size_t);
char	*guest_strdup(const char *);

/* channel.c */
void	 guest_chan_init(struct guest_chan *, struct guest *, const char *,
	    const struct guest_chan_ops *);
/* 0, or -1 [errno].  The path is copied; it is unlinked by shut(). */
int	 guest_chan_listen(struct guest_chan *, const char *);
/* The descriptor belongs to the channel. */
void	 guest_chan_attach(struct guest_chan *, int fd, int port);
/* len bytes of data to fill in; guest_chan_put() consumes it. */
struct guest_buf *guest_buf_new(size_t len);
void	 guest_chan_put(struct guest_chan *, struct guest_buf *);
/* Look at the channel again from the loop: input may go on. */
void	 guest_chan_kick(struct guest_chan *);
/* Write what can be written, now.  Calls drained(). */
void	 guest_chan_flush(struct guest_chan *);
/* 1 if there is more to be read. */
int	 guest_chan_more(const struct guest_chan *);
void	 guest_chan_shut(struct guest_chan *);

/* ctl.c */
extern const struct guest_chan_ops guest_ctl_ops;
/* Exactly one of these per command; the next command may then begin. */
void	 guest_ack(struct guest *, const void *, size_t);
void	 guest_error(struct guest *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
/* err NULL: ACK, else ERROR with that text. */
void	 guest_reply(struct guest *, const char *err);
/* Or this: the reply will come later, by guest_send(). */
void	 guest_defer(struct guest *);
/* A message that is no reply to the command in hand. */
void	 guest_send(struct guest *, uint32_t code, const void *, size_t);

/* tty.c */
extern const struct guest_chan_ops guest_tty_ops;

/* command.c: runs one command, which replies now or later. */
void	 guest_command(struct guest *, uint32_t code, const char *, size_t);

/* pod.c */
void	 guest_startpod(struct guest *, json_t *);
void	 guest_destroypod(struct guest *);
/* Something ended or was flushed: whoever waits for it goes on. */
void	 guest_progress(struct guest *);
/* Containers and pods that have ended go, between commands. */
void	 guest_pod_sweep(struct guest *);

/* profile.c */
const struct guest_profile *guest_profile_find(const char *);
/* Something the agent we play would not have survived, or lost. */
void	 guest_protocol(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
/* Tells the host that a process has ended, and frees it. */
void	 guest_report(struct guest_proc *);
void	 guest_podfinished(struct guest *);

/* accept.c: what hyperstart makes of an object. */
struct guest_accept {
	const char	*a_text;	/* why not */
	int		 a_dies;	/* it would crash or hang */
};
/*
 * Check the payload of a command as that version would; what it would not
 * read is removed.  0, or -1 with *a filled in.
 */
int	 guest_accept(enum guest_api, uint32_t code, json_t *,
	    struct guest_accept *a);
/* 1 if it minds no such text behind the payload. */
int	 guest_accept_tail(enum guest_api, uint32_t code, const char *,
	    size_t);

/*
 * json.c: members match exactly first, else ignoring case, unless the case
 * was made to matter.  Then, also, all is true that is not false, and a
 * number may be quoted.
 */
void	 guest_json_words(void);
json_t	*guest_json_parse(const char *, size_t, size_t *used,
	    char err[GUEST_ERRMAX]);
json_t	*guest_json_get(json_t *, const char *);
const char *guest_json_string(json_t *, const char *);	/* NULL: none */
/* 1: *v is set, 0: absent or null, -1: no integer */
int	 guest_json_int(json_t *, const char *, int64_t *v);
int	 guest_json_true(json_t *, const char *);

/* job.c */
/*
 * Fork with the clone flags given; the child's signals are back to their
 * defaults, its descriptors are the parent's.
 */
pid_t	 guest_fork(int flags);
/*
 * Run child(guest, socket, arg) in a forked process.  done() is called
 * with NULL when every copy of the socket was closed, or with the text of
 * guest_job_fail().  Returns the pid, or -1 [errno].
 */
pid_t	 guest_job_start(struct guest *, int flags,
	    void (*child)(struct guest *, int, void *),
	    void (*done)(struct guest *, void *, const char *), void *);
/* In the child: */
void	 guest_job_wait(int);
void	 guest_job_pid(int, pid_t);
void	 guest_job_tty(int, int fd);
void	 guest_job_ready(int);
__attribute__((__noreturn__, __format__(printf, 2, 3)))
void	 guest_job_fail(int, const char *, ...);
/*
 * From now on a failure is the process's own: the text on its standard
 * error and this status.  -1: it is the host's again.
 */
void	 guest_job_status(int);

/* process.c */
/*
 * Check a Process object.  Returns a process that is listed but not
 * started, or NULL with a text in err.  The container is not consumed; a
 * process without one fails when it is started.
 */
struct guest_proc *guest_proc_new(struct guest *, struct guest_cont *,
	    json_t *, int first, char err[GUEST_ERRMAX]);
/* Forks; done() gets p and the outcome, later.  0, or -1 [errno]. */
int	 guest_proc_start(struct guest_proc *,
	    void (*done)(struct guest *, void *, const char *));
/* It runs: let its output flow, from the loop. */
void	 guest_proc_go(struct guest_proc *);
void	 guest_proc_free(struct guest_proc *);
/* Bytes taken; less than given means that its queue is full. */
size_t	 guest_proc_stdin(struct guest_proc *, const uint8_t *, size_t);
/* Of len bytes, how many will not be dropped at once. */
size_t	 guest_proc_stdin_room(struct guest_proc *, size_t len);
void	 guest_proc_stdin_eof(struct guest_proc *);
struct guest_proc *guest_proc_byseq(struct guest *, uint64_t);
struct guest_proc *guest_proc_byid(struct guest_cont *, const char *);
void	 guest_proc_winsize(struct guest_proc *, int rows, int columns);
void	 guest_proc_abandon(struct guest_proc *);
void	 guest_pumps_pause(struct guest *, int pause);
void	 guest_reap(struct guest *);

/* spawn.c: the child's side of a start; does not return. */
__attribute__((__noreturn__))
void	 guest_spawn(struct guest *, int fd, struct guest_proc *);

/* cred.c: the child's identity and limits; guest_job_fail() on error. */
struct guest_user {
	uid_t		 u_uid;
	gid_t		 u_gid;
	char		 u_name[64];
	char		 u_home[256];
	char		 u_error[GUEST_ERRMAX];	/* empty: none */
};
void	 guest_user_find(struct guest *, json_t *, struct guest_user *);
void	 guest_cred_apply(int fd, struct guest *, json_t *,
	    const struct guest_user *);
void	 guest_rlimits_apply(int fd, json_t *);

/* container.c */
/* Begin a container; guest->g_created gets NULL or an error text. */
void	 guest_cont_create(struct guest *, json_t *);
struct guest_cont *guest_cont_find(struct guest *, const char *);
int	 guest_cont_running(const struct guest_cont *);
/* The first process was reaped. */
void	 guest_cont_exited(struct guest_cont *);
/* Signals each process but the init; returns how many. */
size_t	 guest_cont_signal(struct guest_cont *, int signo);
/* Kills until none is left. */
void	 guest_cont_kill(struct guest_cont *);
/* Unlists it; freed now or when its init was reaped. */
void	 guest_cont_remove(struct guest *, struct guest_cont *);
/* 1 if pid was the init of a container. */
int	 guest_cont_reaped(struct guest *, pid_t);
/* Its processes but the init; malloc'd, the caller frees; NULL: none. */
pid_t	*guest_cont_pids(struct guest_cont *, size_t *);
int	 guest_cont_session(struct guest_cont *, pid_t);
void	 guest_kill_descendants(void);
/* Can we make namespaces?  Tried once, in a child. */
int	 guest_cont_probe(void);

/* rootfs.c: the container's init, the child's side; does not return. */
__attribute__((__noreturn__))
void	 guest_rootfs_init(struct guest *, int fd, struct guest_cont *);
int	 guest_openat2(int dirfd, const char *, int flags, int mode);

/* mounts.c: in the container's new root, errors by guest_job_fail(). */
struct guest_bind;
struct guest_bind *guest_binds_open(struct guest *, int fd, json_t *,
	    int ownroot);
void	 guest_binds_attach(struct guest *, int fd, struct guest_bind *,
	    int ownroot);
void	 guest_mount_system(int fd, json_t *);
int	 guest_mount_private(void);
int	 guest_mount_readonly(const char *);
/* The directory and those above it; -1 [errno]. */
int	 guest_mkdirs(const char *, mode_t);
/* A disk or share in our own mount namespace; -1 [errno]. */
int	 guest_mount_disk(int fd, json_t *, const char *dir, int readonly);

/* file.c */
void	 guest_readfile(struct guest *, struct guest_cont *, const char *);
void	 guest_writefile(struct guest *, struct guest_cont *, const char *,
	    const char *, size_t);
/* ps.c */
void	 guest_ps(struct guest *, struct guest_cont *, json_t *);

/* vm.c */
void	 guest_vm_boot(void);
void	 guest_vm_ports(struct guest *);
__attribute__((__noreturn__))
void	 guest_vm_poweroff(void);
/* Children of STARTPOD and ONLINECPUMEM; errors by guest_job_fail(). */
void	 guest_vm_startpod(struct guest *, int fd, json_t *);
void	 guest_vm_online(void);
void	 guest_vm_unmount(void);
/* Path of a disk by name or SCSI address, once it is there; else -1. */
int	 guest_vm_disk(json_t *, char *, size_t);

/* net.c: run in a child; errors by guest_job_fail(). */
void	 guest_net_lo(void);
void	 guest_net_interface(int fd, json_t *);
void	 guest_net_delete(int fd, json_t *);
void	 guest_net_route(int fd, json_t *);

#define GUEST_VM_SHARE		"/run/hyper/shared"
#define GUEST_VM_RESOLV		"/run/hyper/resolv.conf"

#endif /* CCP_GUEST_H */

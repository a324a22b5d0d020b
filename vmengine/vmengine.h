/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: one VM's clients, sessions and agent.  Everything that comes
 * from clients and from the guest is hostile; the frontend and the parent
 * are obeyed, but what they send is checked as well.
 *
 * Who owns what: the environment owns all connections, sessions and
 * transactions.  A connection that is closed is taken off every list at
 * once and freed from the event loop, so a pointer to it stays valid until
 * the current event is done.
 */

#ifndef CCP_VMENGINE_H
#define CCP_VMENGINE_H

#include <sys/queue.h>
#include <sys/tree.h>

#include <event.h>

#include "audit.h"
#include "clock.h"
#include "frame.h"
#include "hyper.h"
#include "imsgev.h"
#include "json.h"
#include "msg.h"
#include "peer.h"
#include "request.h"

#define VME_REPLY_MAX	(16 * 1024)	/* unread replies of a client */
#define VME_REPLY_TOTAL	(64 * 1024 * 1024)	/* queued for all clients */
#define VME_AWAY_TIME	10000	/* ms the VM's output waits for a shim that
				   went with a full queue */
#define VME_IN_SMALL	(16 * 1024)	/* of a request, for any client */
#define VME_IN_TOTAL	(64 * 1024 * 1024)	/* all of them, beyond that */
#define VME_READ_SIZE	(128 * 1024)	/* one read from a client */
#define VME_READ_BLOCKED (16 * 1024)	/* ditto while the VM takes no stdin */
#define VME_TTY_SIZE	(256 * 1024)	/* one read from the I/O channel */
#define VME_IOS_MAX	4096		/* I/O descriptors of 1.x clients */
#define VME_INFLIGHT	64		/* commands sent and not answered */
#define VME_EARLY_MAX	16		/* replies kept for later commands */
#define VME_GONE_MAX	1024		/* ended containers remembered */
#define VME_PACE_TIME	10		/* ms between two writes to an input
					   of hyperstart */
#define VME_LOOKAHEAD	(80 * 1024)	/* of a client whose stdin waits: a
					   frame of it, and what follows */
#define VME_DRAIN_MAX	(4 * 1024 * 1024) /* read from a VM that is lost */
#define VME_CLOSE_TIME	10		/* seconds without progress of a
					   client that is to be closed */

struct vme_conn;
struct vme_process;
struct vme_session;
struct vme_txn;

/* Bytes that wait for a client: whole frames, or the rest of them. */
struct vme_chunk {
	TAILQ_ENTRY(vme_chunk)	 entry;
	int			 stream;	/* else a response */
	int			 fd;		/* goes with it, or -1 */
	struct vme_session	*session;	/* whose stream, or NULL */
	size_t			 off, len;
	uint8_t			 data[];
};
TAILQ_HEAD(vme_chunks, vme_chunk);

/* What a connection waits for; nothing but VME_IDLE reads new frames. */
enum vme_wait {
	VME_IDLE,
	VME_WAIT_ASK,		/* the frontend's answer */
	VME_WAIT_SHIM,		/* Hyper: the token's shim */
	VME_WAIT_AGENT,		/* Hyper, Signal: the agent's reply */
	VME_WAIT_PROCESS,	/* Signal: the session's process */
	VME_WAIT_STDIN,		/* stdin: the session's process */
	VME_WAIT_IO,		/* stdin: room in the I/O channel */
	VME_WAIT_PACE		/* stdin: the process took the last */
};

struct vme_conn {
	RB_ENTRY(vme_conn)	 entry;
	TAILQ_ENTRY(vme_conn)	 wait_entry;	/* session or I/O waiters */
	TAILQ_ENTRY(vme_conn)	 run_entry;
	uint64_t		 connid;	/* frontend's: 32 bits */
	uint32_t		 client;	/* number for the log */
	struct audit_who	 who;		/* as the frontend says */
	int			 proto;		/* enum msg_proto */
	int			 is_io;		/* our end for 1.x I/O */
	/* takes what can be handled of what was read, see vme_conn_frames() */
	size_t			(*frames)(struct vme_conn *, uint8_t *,
				    size_t);
	int			 fd;
	struct event		 ev;
	short			 ev_flags;
	struct event		 timer;
	enum vme_wait		 wait;
	int			 attached;
	int			 is_shim;
	int			 fresh;		/* next: what it came with */
	int			 queued;	/* on the run queue */
	int			 expired;	/* the wait's time is over */
	int			 eof;
	int			 closing;	/* drain, then close */
	int			 broken;	/* takes no more output */
	int			 dead;
	LIST_HEAD(, vme_session) claims;	/* every token it holds */
	struct vme_session	*session;	/* of the last token claimed */
	struct vme_session	*waiting;	/* whose waiter we are */
	struct vme_txn		*txn;
	uint8_t			*in;		/* bytes not yet handled */
	size_t			 inoff, inlen, insize;	/* in[inoff..inlen) */
	struct vme_chunks	 out;
	size_t			 outlen;	/* stream bytes in out */
	size_t			 replylen;	/* response bytes in out */
	/* the frame being worked on while we wait */
	char			*req;		/* payload, NUL terminated */
	size_t			 reqlen;
	int			 opcode;
	int			 signo;		/* for an exec'd process */
	char			(*tokens)[TOKEN_SIZE];	/* minted for it */
	size_t			 ntokens, wanted;
};
RB_HEAD(vme_conns, vme_conn);
TAILQ_HEAD(vme_connq, vme_conn);

struct vme_session {
	RB_ENTRY(vme_session)	 token_entry;
	RB_ENTRY(vme_session)	 seq_entry;
	LIST_ENTRY(vme_session)	 claim_entry;
	char			 token[TOKEN_SIZE];	/* "": null session */
	uint64_t		 base;		/* stdio; stderr is base + 1 */
	unsigned int		 nseq;		/* 2; 1.x: 1 or 2 */
	int			 raw;		/* 1.x: messages as they are */
	int			 requested;	/* the start was written */
	struct vme_conn		*conn;		/* the shim, if connected */
	int			 claimed;	/* a shim has been here */
	int			 started;
	int			 terminated;	/* EOF on stdio seen */
	int			 exited;	/* status passed on */
	int			 has_status;	/* came before the end */
	uint8_t			 status;
	int			 lossy;		/* shim away too long */
	char			*container;	/* id for signals, or NULL */
	struct vme_process	*proc;		/* if agents know it by name */
	uint64_t		 paced;		/* ms: no stdin before */
	struct vme_chunks	 away;		/* kept without a shim */
	size_t			 awaylen;
	uint64_t		 left;		/* when the shim went */
	struct vme_connq	 waiters;
};
RB_HEAD(vme_tokens, vme_session);
RB_HEAD(vme_seqs, vme_session);

/* What the agent calls the process of a session. */
struct vme_process {
	RB_ENTRY(vme_process)	 entry;
	char			*container, *process;
	int			 first;		/* of its container */
	struct vme_session	*session;
};
RB_HEAD(vme_procs, vme_process);

/* A container that ended, and that some agents then forget. */
struct vme_gone {
	TAILQ_ENTRY(vme_gone)	 entry;
	char			*container;
};
TAILQ_HEAD(vme_gones, vme_gone);

/* A command on its way to the agent, which the dialect may change. */
struct vme_order {
	uint32_t	 code;
	uint64_t	 base;		/* stdio of its process, or 0 */
	char		*container;	/* whom it is about, or NULL */
	char		*process;
	uint8_t		*msg;		/* header and payload */
	size_t		 len;
};

/* Which agent it is; see dialect.c. */
enum vme_dialect {
	VME_UNKNOWN,
	VME_AGENT,		/* cc-agent */
	VME_UNIVERSAL,		/* ccp-guest as itself */
	VME_HYPERSTART
};

/* What happened so far: only grows.  See msgstats.h. */
struct vme_counts {
	uint64_t	 commands, failed;
	uint64_t	 out, in, dropped;
	uint64_t	 opened, served;
};

enum vme_state {
	VME_SETUP = 0x01,	/* waiting for the parent's VM_COMMIT */
	VME_READY = 0x02,	/* waiting for the agent's READY */
	VME_UP = 0x04,
	VME_LOST = 0x08,
	/* of the parent's channel, between VME_READY and VME_READY */
	VME_LOADING = 0x10,	/* another configuration comes */
	VME_LOADED = 0x20	/* it is there: to be used, or not */
};

struct vme_env {
	struct imsgev		 parent;
	struct imsgev		 frontend;
	struct msg_vm_conf	 conf;
	struct msg_vm_conf	 next_conf;	/* see reload.c */
	int			 has_next;
	uint32_t		 generation;
	enum vme_state		 state;
	enum vme_dialect	 dialect;
	unsigned int		 api;		/* hyperstart's, 0: not known */
	int			 blind;		/* may have started processes
						   that nobody asked for */
	int			 told_dropped;
	struct vme_procs	 procs;
	struct vme_gones	 gone;
	unsigned int		 ngone;
	int			 unregistered;
	int			 told_lost;	/* the parent */
	uint64_t		 started;	/* ms, as clock_ms() */
	struct vme_counts	 counts;
	int			 ctl_fd, io_fd, console_fd, peer_fd;
	struct vme_conns	 conns;
	unsigned int		 nconns;
	unsigned int		 nclosing;	/* of them, draining */
	size_t			 inbytes;	/* kept of requests */
	size_t			 outbytes;	/* in all chunks of streams */
	size_t			 replybytes;	/* in all other chunks */
	struct vme_tokens	 tokens;
	struct vme_seqs		 seqs;
	struct vme_session	*null_session;	/* made when needed */
	uint64_t		 next_seq;
	unsigned int		 nios, ios_max;	/* descriptors of 1.x clients */
	struct vme_connq	 runq;		/* to be resumed or freed */
	struct event		 run_ev;
	struct event		 ready_timer;
	uint8_t			*scratch;	/* VME_READ_SIZE */
};

extern struct vme_env	*env;

/* vmengine.c */
void	 vme_lost(const char *why);
/* The same because the guest broke the protocol. */
void	 vme_broke(const char *why);
void	 vme_check_done(void);
/* The frontend broke the protocol in what passed its table: the end. */
void	 vme_frontend_broke(const char *why);
void	 vme_vmlog(enum log_level, const char *section, const char *, ...)
	    __attribute__((__format__(printf, 3, 4)));
void	*vme_malloc(size_t);
/* event_add(3); what nobody waits for would hang: fatal. */
void	 vme_watch(struct event *, const struct timeval *);

/* conn.c: connections; out.c: what goes to them */
struct vme_conn *vme_conn_new(uint64_t connid, const struct audit_who *,
	    int fd);
struct vme_conn *vme_conn_find(uint64_t connid);
size_t	 vme_conn_frames(struct vme_conn *, uint8_t *, size_t);
void	 vme_conn_close(struct vme_conn *);
/* Take bytes as if the client had sent them: the handed-over request. */
void	 vme_conn_feed(struct vme_conn *, const uint8_t *, size_t);
/* Close after what is queued went out, at most VME_CLOSE_TIME later. */
void	 vme_conn_drain(struct vme_conn *);
/*
 * Close it, with a line in the log: its connection failed; the client broke
 * a rule; it reached a limit of this name and value.
 */
void	 vme_conn_error(struct vme_conn *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
void	 vme_conn_violation(struct vme_conn *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
void	 vme_conn_limit(struct vme_conn *, const char *limit, uint32_t max,
	    const char *, ...) __attribute__((__format__(printf, 4, 5)));
/* Begin a security event about this client. */
void	 vme_audit(struct audit *, enum audit_event, const struct vme_conn *);
/* The event that it may not do op, because. */
void	 vme_refused(const struct vme_conn *, const char *op, const char *why);
/* Have the event loop look at it again. */
void	 vme_conn_wake(struct vme_conn *);
void	 vme_conn_update(struct vme_conn *);
/* Start a wait; ms 0 waits for ever. */
void	 vme_conn_wait(struct vme_conn *, enum vme_wait, uint32_t ms);
void	 vme_conn_done(struct vme_conn *);
/* Send or queue; data is copied if it must wait. */
void	 vme_conn_send(struct vme_conn *, const uint8_t *, size_t,
	    struct vme_session *);
/* One byte with a descriptor, which is ours to close; after a reply. */
void	 vme_conn_send_fd(struct vme_conn *, uint8_t tag, int fd);
/* Protocol 1.x: payload is NULL, or the text of a JSON object. */
void	 vme_conn_reply(struct vme_conn *, int opcode, const void *, size_t);
void	 vme_conn_fail(struct vme_conn *, int opcode, const char *, ...)
	    __attribute__((__format__(printf, 3, 4)));
void	 vme_conn_run(int, short, void *);
void	 vme_conn_flush(struct vme_conn *);
struct vme_chunk *vme_chunk_new(const uint8_t *, size_t, int stream,
	    struct vme_session *);
void	 vme_chunk_free(struct vme_chunk *);
void	 vme_chunk_rewind(struct vme_chunk *);
/* Keep a payload while the connection waits; -1: no room, client was told. */
int	 vme_conn_hold(struct vme_conn *, int opcode, const char *, size_t);
void	 vme_conn_release(struct vme_conn *);
RB_PROTOTYPE(vme_conns, vme_conn, entry, vme_conn_cmp);

/* command.c: frames of a client, one at a time */
void	 vme_command(struct vme_conn *, int opcode, const uint8_t *, size_t);
void	 vme_command_resume(struct vme_conn *);
void	 vme_command_answer(struct vme_conn *, enum msg_answer);
void	 vme_command_early_signal(struct vme_conn *, const uint8_t *, size_t);
int	 vme_command_is_kill(const uint8_t *, size_t);

/* Pass an agent's reply on. */
void	 vme_agent_reply(struct vme_conn *, int opcode, uint32_t code,
	    const uint8_t *, size_t);

/* signal.c */
void	 vme_signal(struct vme_conn *, const char *, size_t);
void	 vme_signal_go(struct vme_conn *, const struct req_signal *);

/* For both protocols; fresh: the request the connection came with. */
void	 vme_attach(struct vme_conn *, int, const char *, size_t, int fresh);
void	 vme_unregister(struct vme_conn *, const char *, size_t);

/* rpc.c, rpc_io.c: protocol 1.x */
size_t	 vme_rpc_frames(struct vme_conn *, uint8_t *, size_t);
size_t	 vme_rpc_io_frames(struct vme_conn *, uint8_t *, size_t);
void	 vme_rpc_io_new(const struct audit_who *, int fd, int nseq);
void	 vme_rpc_io_ended(struct vme_conn *);

/* session.c */
/* token "": found by its numbers only. */
struct vme_session *vme_session_new(const char *token, uint64_t base,
	    int nseq);
struct vme_session *vme_session_null(void);
struct vme_session *vme_session_find(const char *token);
struct vme_session *vme_session_by_seq(uint64_t seq);
void	 vme_session_free(struct vme_session *);
int	 vme_session_claim(struct vme_session *, struct vme_conn *);
void	 vme_session_deliver(struct vme_session *);
void	 vme_session_left(struct vme_conn *);
void	 vme_session_started(struct vme_session *);
/* Must its stdin wait until the process was started? */
int	 vme_session_unstarted(const struct vme_session *);
/* The exit status is known, and there is no more output. */
void	 vme_session_exit(struct vme_session *);
void	 vme_session_wait(struct vme_session *, struct vme_conn *);
void	 vme_session_unwait(struct vme_conn *);
/* Room for len more stream bytes?  For the reader of the I/O channel. */
int	 vme_session_room(struct vme_session *, size_t run, size_t len);
/* 1 if they are to be dropped instead: the shim is away for too long. */
int	 vme_session_lossy(const struct vme_session *, size_t len);
void	 vme_session_output(struct vme_session *, const uint8_t *, size_t);
RB_PROTOTYPE(vme_tokens, vme_session, token_entry, vme_token_cmp);
RB_PROTOTYPE(vme_seqs, vme_session, seq_entry, vme_seq_cmp);

/* process.c; vme_process_new() may take the order's names */
void	 vme_process_new(struct vme_session *, struct vme_order *);
void	 vme_process_ended(struct vme_session *);
void	 vme_process_free(struct vme_session *);
void	 vme_process_event(const uint8_t *, size_t);
int	 vme_gone(const char *container);
void	 vme_gone_forget(const char *container);
void	 vme_gone_clear(void);
RB_PROTOTYPE(vme_procs, vme_process, entry, vme_proc_cmp)

/* dialect.c */
void	 vme_dialect_init(void);
void	 vme_dialect_learn(const struct vme_order *, size_t first,
	    size_t next, uint32_t code, const uint8_t *, size_t);
int	 vme_dialect_events(void);
void	 vme_dialect_statuses(void);
size_t	 vme_dialect_max(int proto);
int	 vme_dialect_ready(const struct vme_order *, unsigned int);
int	 vme_dialect_prepare(struct vme_order *, char [JSON_ERRMAX]);
/* 1 if the agent, now known, may take a command that it refused. */
int	 vme_dialect_reword(struct vme_order *);
/* Returns the code that the client gets; another than given: no payload. */
uint32_t vme_dialect_answer(struct vme_order *, uint32_t code);

/* agent_ctl.c: the control channel */
void	 vme_ctl_init(int fd);
void	 vme_ctl_close(void);
void	 vme_ctl_drain(void);
/*
 * Queue a command for the agent.  done is called once with the reply's code
 * and payload, or, when there will be none, with a text and code VME_NOREPLY,
 * VME_UNANSWERED if the command was written, or VME_REFUSED if it cannot be.
 * It is not called after vme_ctl_forget().  base is the stdio number of the
 * process that the command is about, 0 if it tells itself or is about none.
 */
#define VME_NOREPLY	0xffffffff
#define VME_UNANSWERED	0xfffffffe
#define VME_REFUSED	0xfffffffd
typedef void vme_ctl_done(struct vme_conn *, uint32_t code, const uint8_t *,
    size_t);
void	 vme_ctl_command(struct vme_conn *, uint32_t code, const void *,
	    size_t, uint64_t base, vme_ctl_done *);
void	 vme_ctl_forget(struct vme_conn *);
void	 vme_ctl_stats(struct msg_vm_stats *);
uint32_t vme_ctl_patience(int code);

/* agent_tty.c: the I/O channel */
void	 vme_tty_init(int fd);
void	 vme_tty_close(void);
void	 vme_tty_drain(void);
void	 vme_tty_resume(void);
int	 vme_tty_waits(const struct vme_session *);	/* for its shim */
void	 vme_tty_hexdump(const char *, const uint8_t *, size_t);

/*
 * One write to the agent, or to a client of 1.x: three of the longest
 * messages.  Up to 32 KiB the kernel takes as a whole or not at all, so no
 * message is ever cut, however slow the other side reads.
 */
#define VME_TTY_WRITE	(3 * HYP_MESSAGE_MAX)

/* stdin.c: to the I/O channel, whose descriptor stays agent_tty.c's */
void	 vme_stdin_init(int fd);
void	 vme_stdin_close(void);
size_t	 vme_stdin_kept(void);	/* bytes the VM does not take */
/* May input be written at all; by this connection?  If not it waits. */
int	 vme_stdin_writable(void);
int	 vme_stdin_ready(struct vme_conn *);
void	 vme_stdin_unwait(struct vme_conn *);
/*
 * Turn the complete stdin frames at p into I/O messages, in place, and send
 * them.  Returns the bytes used, 0 if the first frame is no complete stdin
 * frame.
 */
size_t	 vme_stdin_frames(struct vme_conn *, uint8_t *p, size_t len);
/* The same for messages of the connection's session, of protocol 1.x. */
size_t	 vme_stdin_relay(struct vme_conn *, uint8_t *p, size_t len);

/* reload.c: another configuration */
int	 vme_reload_begin(struct imsgev *, struct ibuf *, int *);
int	 vme_reload_conf(struct ibuf *);
int	 vme_reload_commit(struct imsgev *, struct ibuf *, int *);
int	 vme_reload_switch(struct imsgev *, struct ibuf *, int *);
int	 vme_reload_abort(struct imsgev *, struct ibuf *, int *);

/* console.c */
void	 vme_console_init(int fd);
void	 vme_console_close(void);

/* stats.c */
int	 vme_stats(struct imsgev *, struct ibuf *, int *);

/* handover.c: what the frontend passes on */
extern const struct imsgev_handler vme_frontend_table[];
/* Ask the frontend; vme_command_answer() gets what it says. */
void	 vme_ask(struct vme_conn *, uint32_t type, const char *);
void	 vme_ask_mint(struct vme_conn *, uint32_t n);

/* sandbox_vmengine.c is declared in sandbox_vmengine.h */

#endif /* CCP_VMENGINE_H */

/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: accepts clients, reads one request of each, and passes the
 * connection on to the engine of the VM it names.  It owns the routing: id
 * to VM and token to VM.  It never sees stream data.
 */

#ifndef CCP_FRONTEND_H
#define CCP_FRONTEND_H

#include <sys/queue.h>
#include <sys/tree.h>

#include <event.h>

#include "audit.h"
#include "frame.h"
#include "imsgev.h"
#include "msg.h"
#include "peer.h"
#include "policy.h"
#include "request.h"

#define FE_UNACKED_MAX	8	/* hand-overs an engine has not confirmed */
#define FE_RPC_TOTAL	(64 * 1024 * 1024)	/* bytes of requests of 1.x */
#define FE_RPC_UID	(32 * 1024 * 1024)	/* of them, of one uid */
#define FE_RESERVE	(16 * 1024 * 1024)	/* bytes to begin work with */
#define FE_REQUEST_TIME	60	/* seconds for a request that was begun */
#define FE_ACCEPT_PAUSE	1	/* seconds without descriptors */
#define FE_CONTROL_MAX	16	/* administration clients */
#define FE_CONTROL_TIME	5	/* seconds one takes nothing of its answer */
#define FE_STATS_TIME	1	/* seconds that engines have to answer */
#define FE_STATS_PACE	100	/* ms between two rounds of questions */
#define FE_UIDS_SHOWN	1024	/* users in a status */
#define FE_LISTENERS_MAX 17	/* one of them for administration */

struct fe_vm;

/* What is of one user. */
struct fe_user {
	RB_ENTRY(fe_user)	 entry;
	uint32_t		 uid;
	unsigned int		 refs;		/* connections and VMs */
	unsigned int		 nunrouted, nrouted;
	unsigned int		 ndead;		/* VMs without an engine */
	unsigned int		 ntokens;	/* of its VMs */
	size_t			 inbytes;	/* see fe_env */
	uint64_t		 said;		/* second of the last line */
};
RB_HEAD(fe_users, fe_user);

enum fe_state {			/* of a connection that is still here */
	FE_HEADER,		/* reading FRM_HEADER_SIZE bytes */
	FE_REST,		/* reading the rest of the frame, exactly */
	FE_PARKED,		/* waiting for a VM or an engine's turn */
	FE_ROUTED		/* an engine has it: a record only */
};

struct fe_conn {
	RB_ENTRY(fe_conn)	 entry;		/* by connid */
	TAILQ_ENTRY(fe_conn)	 wait_entry;	/* vm_waiting */
	LIST_ENTRY(fe_conn)	 vm_entry;	/* vm_conns, if routed */
	uint32_t		 connid;
	uint32_t		 client;
	int			 fd;
	uint32_t		 uid, gid, pid;
	struct fe_user		*user;
	enum fe_state		 state;
	struct event		 ev;
	short			 ev_flags;
	struct event		 timer;		/* half a request */
	uint8_t			*in;		/* the frame, as it came */
	size_t			 inlen, insize, want;
	int			 proto;		/* enum msg_proto */
	struct frm_header	 hdr;		/* 1.x: offset, length, and the
						   3.x command, of data */
	uint8_t			*out;		/* rest of a response */
	size_t			 outoff, outlen;
	struct fe_vm		*vm;		/* parked for or routed to */
	struct fe_vm		*dead;		/* attached; its engine died */
	uint32_t		 ntokens;	/* to be minted */
	int			 taken;		/* the engine confirmed it */
};
RB_HEAD(fe_conns, fe_conn);

struct fe_token {
	RB_ENTRY(fe_token)	 entry;
	LIST_ENTRY(fe_token)	 vm_entry;
	struct fe_vm		*vm;
	char			 token[TOKEN_SIZE];
};
RB_HEAD(fe_tokens, fe_token);

/* Of one who is asked how things are. */
struct fe_stats {
	int			 asked;		/* and did not answer yet */
	int			 awaited;	/* in the present round */
	int			 fresh;		/* answered in the last one */
	int			 known;		/* answered, ever */
	uint64_t		 time;		/* ms, when */
};

struct fe_vm {
	RB_ENTRY(fe_vm)		 id_entry;	/* unless unregistered */
	RB_ENTRY(fe_vm)		 vmid_entry;
	uint32_t		 vmid;
	char			 id[MSG_ID_MAX + 1];
	char			 ctl[MSG_SUN_MAX + 1];
	char			 io[MSG_SUN_MAX + 1];
	uint32_t		 uid;		/* who registered it */
	struct fe_user		*user;
	enum msg_vm_state	 state;
	int			 has_engine;	/* channel open */
	int			 gone;		/* process reaped */
	uint32_t		 engine_pid;
	struct imsgev		 engine;
	struct fe_stats		 stats;
	struct msg_vm_stats	 numbers;	/* as the engine says */
	struct fe_conn		*registrant;	/* until it is up */
	TAILQ_HEAD(, fe_conn)	 waiting;
	LIST_HEAD(, fe_conn)	 conns;
	LIST_HEAD(, fe_token)	 tokens;
	unsigned int		 nconns, ntokens, unacked;
};
RB_HEAD(fe_ids, fe_vm);
RB_HEAD(fe_vmids, fe_vm);

enum fe_setup {			/* of the parent's channel */
	FE_SETUP = 0x01,
	FE_RUNNING = 0x02,
	FE_LOADING = 0x04,	/* another configuration comes */
	FE_LOADED = 0x08	/* it is there: to be used, or not */
};

/* What the parent sends until it says that it is all. */
struct fe_next {
	uint32_t		 generation;
	struct msg_conf		 conf;
	struct policy		 policy;
	int			 has_conf, has_policy;
	int			 nomem;
};

struct fe_env {
	struct imsgev		 parent;
	struct msg_conf		 conf;
	struct policy		 policy;
	struct fe_next		 next;
	int			 has_policy;
	uint64_t		 nofile;
	unsigned int		 nlisteners;	/* for clients, open */
	size_t			 inbytes;	/* of requests of 1.x */
	struct fe_conns		 conns;
	struct fe_users		 users;
	struct fe_tokens	 tokens;
	struct fe_ids		 ids;
	struct fe_vmids		 vmids;
	uint32_t		 last_connid, last_vmid;
	uint32_t		 naccepted;
	unsigned int		 nunrouted, nrouted, nvms, ntokens;
	unsigned int		 ndead;		/* VMs without an engine */
	unsigned int		 unrouted_max;
	unsigned int		 clients_max;	/* of one engine */
	uint64_t		 started;
	uint32_t		 parent_pid;
	struct fe_stats		 stats;		/* of the parent */
	struct msg_daemon_stats	 numbers;
};

extern struct fe_env	*fenv;

/* frontend.c */
void	 fe_use_conf(const struct msg_conf *);

/* accept.c */
/* Takes fd for the enum msg_listener; -1 if there are too many. */
int	 fe_accept_add(int fd, int kind);
void	 fe_accept_start(void);
void	 fe_accept_stop(void);		/* pod mode: no more clients */

/* handshake.c: a connection until it is routed */
void	 fe_conn_new(int fd, int proto, uint32_t uid, uint32_t gid,
	    uint32_t pid);
/* Close it because of this; violation: the client broke a rule. */
void	 fe_conn_error(struct fe_conn *, const char *);
void	 fe_conn_violation(struct fe_conn *, const char *);
/* Close it because of a limit, by its name and value. */
void	 fe_conn_limit(struct fe_conn *, const char *limit, uint32_t max,
	    const char *);
void	 fe_who(struct audit_who *, const struct fe_conn *);
/* Begin a security event about this client. */
void	 fe_audit(struct audit *, enum audit_event, const struct fe_conn *);
void	 fe_conn_close(struct fe_conn *);
void	 fe_conn_update(struct fe_conn *);
void	 fe_conn_reply(struct fe_conn *, int opcode, const void *, size_t);
void	 fe_conn_fail(struct fe_conn *, int opcode, const char *, ...)
	    __attribute__((__format__(printf, 3, 4)));
/* The request at hand was answered here: read the next. */
void	 fe_conn_next(struct fe_conn *);
RB_PROTOTYPE(fe_conns, fe_conn, entry, fe_conn_cmp);

/* fe_request.c: what a request asks for */
void	 fe_request(struct fe_conn *);
/* Of either protocol: the payload is at hdr. */
void	 fe_register(struct fe_conn *);
void	 fe_attach(struct fe_conn *);
void	 fe_unregister(struct fe_conn *);

/* fe_rpc.c: the same for a request of protocol 1.x */
void	 fe_rpc(struct fe_conn *);
/* Its registration failed because; NULL: the VM it waited for did. */
void	 fe_request_failed(struct fe_conn *, const char *why);
/* The VM it was parked for, or asks for, has lost its engine. */
void	 fe_request_tomb(struct fe_conn *, struct fe_vm *);

/* fe_policy.c: who may do what, op of POLICY_*; vm: NULL if there is none */
int	 fe_rule(struct imsgev *, struct ibuf *, int *);
int	 fe_policy(struct imsgev *, struct ibuf *, int *);
int	 fe_allowed(const struct fe_conn *, unsigned int op,
	    const struct fe_vm *);
/* The same with a security event if it may not. */
int	 fe_may(const struct fe_conn *, unsigned int op, const char *id,
	    const struct fe_vm *);

void	 fe_use_policy(struct policy *);	/* takes the rules */

/* fe_reload.c: another configuration */
int	 fe_begin(struct imsgev *, struct ibuf *, int *);
int	 fe_commit(struct imsgev *, struct ibuf *, int *);
int	 fe_switch(struct imsgev *, struct ibuf *, int *);
int	 fe_abort(struct imsgev *, struct ibuf *, int *);

/* shares.c: what one user may have of what there is */
/* One more that refers to it; NULL if there is no memory. */
struct fe_user *fe_user_get(uint32_t uid);
void	 fe_user_put(struct fe_user *);
/* One more that no engine has, or len bytes of requests, are too many? */
int	 fe_share_unrouted(const struct fe_user *);
int	 fe_share_bytes(const struct fe_user *, size_t len);
/* The bytes of a connection that no engine has have become more or less. */
void	 fe_share_count(struct fe_conn *, size_t more, size_t less);
/* May the engine have it, or it register one?  0, or -1 and why not. */
int	 fe_share_served(struct fe_conn *, const char **why);
int	 fe_share_vms(struct fe_conn *, const char **why);
/* n more tokens are too many? */
int	 fe_share_tokens(struct fe_user *, size_t n);
/*
 * Is there memory for whatever one request, or one client, can take?  What a
 * client asks for is refused without, so nothing on the way can run out.
 */
int	 fe_room(void);
/* A line in the log, as far as there are not too many of this user. */
void	 fe_refused(struct fe_user *, const struct audit_who *,
	    const char *limit, uint32_t max, const char *what);
RB_PROTOTYPE(fe_users, fe_user, entry, fe_user_cmp);

/* route.c: the two tables */
/* Of that user; NULL if there is no memory. */
struct fe_vm *fe_vm_new(const char *id, uint32_t uid);
struct fe_vm *fe_vm_by_id(const char *id);
struct fe_vm *fe_vm_by_vmid(uint32_t vmid);
/* Free the id; the VM goes when its engine is gone as well. */
void	 fe_vm_unregister(struct fe_vm *);
void	 fe_vm_check(struct fe_vm *);
/* Its engine's process is gone, or never was. */
void	 fe_vm_dead(struct fe_vm *);
struct fe_vm *fe_token_vm(const char *token);
/*
 * n tokens for vm, malloc'd; NULL if there are too many, or no randomness or
 * memory.
 */
char	(*fe_token_mint(struct fe_vm *, size_t n))[TOKEN_SIZE];
void	 fe_token_free(struct fe_vm *, const char *token);
void	 fe_tokens_send(struct fe_vm *, uint32_t connid,
	    char (*)[TOKEN_SIZE], size_t n);
RB_PROTOTYPE(fe_ids, fe_vm, id_entry, fe_id_cmp);
RB_PROTOTYPE(fe_vmids, fe_vm, vmid_entry, fe_vmid_cmp);
RB_PROTOTYPE(fe_tokens, fe_token, entry, fe_token_cmp);

/* handover.c: engines */
/* A registration; errors are answered. */
void	 fe_vm_open(struct fe_conn *, const struct req_vm *);
int	 fe_vm_opened(struct imsgev *, struct ibuf *, int *);
int	 fe_vm_failed(struct imsgev *, struct ibuf *, int *);
int	 fe_vm_gone(struct imsgev *, struct ibuf *, int *);
/*
 * Security events: it attached; it wanted more tokens than there are; it
 * frees the id.
 */
void	 fe_attached(const struct fe_conn *, const struct fe_vm *);
void	 fe_tokens_limit(const struct fe_conn *, const struct fe_vm *,
	    size_t n);
void	 fe_audit_unregistered(const struct fe_conn *, const struct fe_vm *);
/* Pass the connection on, now or when the engine has confirmed others. */
void	 fe_handover(struct fe_conn *, struct fe_vm *);

int	 fe_engine_serves(const struct fe_vm *);

/* An UnregisterVM of this client succeeds: before and after its answer. */
void	 fe_unlisten(void);
void	 fe_unregistered(const struct fe_conn *, struct fe_vm *);

/* control.c */
void	 fe_control_accept(int fd, const struct audit_who *);
/* What the parent says of the reload that a client asked for. */
int	 fe_control_tell(struct imsgev *, struct ibuf *, int *);
int	 fe_control_done(struct imsgev *, struct ibuf *, int *);
void	 fe_control_answer(void);	/* all who asked */

/* stats.c */
/* Begin a round of questions if there is none: fe_control_answer() ends it. */
void	 fe_stats_want(void);
void	 fe_stats_gone(struct fe_stats *);	/* who will not answer */
int	 fe_stats_vm(struct imsgev *, struct ibuf *, int *);
int	 fe_stats_daemon(struct imsgev *, struct ibuf *, int *);
/* enum msg_answered, and how many seconds ago. */
int	 fe_stats_answered(const struct fe_stats *, uint32_t *age);

#endif /* CCP_FRONTEND_H */

/* SPDX-License-Identifier: ISC */

/*
 * The messages between the daemon's processes: types, limits, and the
 * encode/decode pair of each payload.  Fixed-width big-endian fields,
 * strings as u16 length and bytes without NUL; no C struct crosses a
 * process boundary.  Pure.
 *
 * msg_*_encode() returns a new ibuf the caller owns (imsgev_send() consumes
 * it), NULL [ENOMEM].  msg_*_decode() reads the whole payload; it returns 0,
 * or -1 if a field is short, a string too long or holds a NUL, or bytes
 * trail.  Decoded strings are NUL terminated.
 */

#ifndef CCP_MSG_H
#define CCP_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "imsg.h"
#include "msgstats.h"
#include "policy.h"
#include "token.h"

#define MSG_ID_MAX	512	/* bytes of a container id */
#define MSG_PATH_MAX	1024	/* bytes of the daemon's socket path */
#define MSG_SUN_MAX	107	/* bytes of a VM's socket path */
#define MSG_TEXT_MAX	1024	/* bytes of an error text */
#define MSG_CHUNK_MAX	16000	/* request bytes in one message */
#define MSG_TOKENS_MAX	256	/* tokens in one message */

enum msg_fd { MSG_NOFD, MSG_FD };

enum msg_type {
#define MSG(name, number, min, max, fd)	MSG_##name = number,
#include "msg.def"
#undef MSG
	MSG_NONE = 0
};

struct msg_info {
	uint32_t	 type;
	const char	*name;
	size_t		 min;
	size_t		 max;
	enum msg_fd	 fd;
};

/* NULL if there is no such message. */
const struct msg_info *msg_info(uint32_t type);
const char	*msg_name(uint32_t type);	/* "unknown" if none */

/* What a client speaks, decided by the listener it came to. */
enum msg_proto {
	MSG_PROTO_3,		/* 3.x: frames */
	MSG_PROTO_1,		/* 1.x: JSON requests, descriptors for I/O */
	MSG_PROTO_MAX
};

/* What kind of agent a VM has, as far as the administrator says. */
enum msg_guest {
	MSG_GUEST_AUTO,		/* the engine is to find out */
	MSG_GUEST_AGENT,
	MSG_GUEST_HYPERSTART,
	MSG_GUEST_MAX
};

/* SETUP_LISTEN */
enum msg_listener {
	MSG_LISTEN_CLIENT,	/* protocol 3.x */
	MSG_LISTEN_CLIENT1,	/* protocol 1.x */
	MSG_LISTEN_CONTROL,
	MSG_LISTEN_MAX
};

/* What the frontend lets clients have; none is 0. */
struct msg_limits {
	uint32_t	 clients;	/* not yet with an engine */
	uint32_t	 clients_uid;	/* of them, of one uid */
	uint32_t	 clients_vm;	/* of one engine */
	uint32_t	 served;	/* with an engine */
	uint32_t	 served_uid;	/* of them, of one uid */
	uint32_t	 tokens;	/* live ones */
	uint32_t	 tokens_uid;	/* of the VMs of one uid */
	uint32_t	 tokens_vm;	/* of one VM */
	uint32_t	 vms;
	uint32_t	 vms_uid;	/* of one uid */
	int		 root;		/* those of one uid are for 0, too */
};

/* SETUP_CONF: what the frontend must know. */
struct msg_conf {
	int		 pod;		/* pod mode */
	int		 level;		/* enum log_level */
	int		 events;	/* log security events in any case */
	struct msg_limits limits;
	char		 path[MSG_PATH_MAX + 1];	/* what the URL names */
};

/* Waits in milliseconds; 0 means for ever (stdin only). */
struct msg_timeouts {
	uint32_t	 shim;		/* a Hyper command waits for its shim */
	uint32_t	 process;	/* a Signal waits for its process */
	uint32_t	 stdin_;	/* stdin waits for its process */
	uint32_t	 ready;		/* the agent's first message */
	uint32_t	 agent;		/* the agent's reply to a command */
	uint32_t	 destroy;	/* the agent's reply to destroypod */
};

/* Who registers is what its connection, the descriptor, says. */
struct msg_vm_open {
	uint32_t	 vmid;		/* never that of another in use */
	int		 proto;		/* enum msg_proto */
	char		 id[MSG_ID_MAX + 1];
	char		 ctl[MSG_SUN_MAX + 1];
	char		 io[MSG_SUN_MAX + 1];
	char		 console[MSG_SUN_MAX + 1];	/* "": none */
};

enum msg_step {		/* VM_FAILED: what went wrong */
	MSG_STEP_CTL,		/* connecting the control socket */
	MSG_STEP_IO,		/* connecting the I/O socket */
	MSG_STEP_ENGINE,	/* starting the engine */
	MSG_STEP_POLICY,	/* the client may not */
	MSG_STEP_LIMIT,		/* there are too many VMs */
	MSG_STEP_MAX
};

struct msg_vm_failed {
	uint32_t	 vmid;
	int		 step;		/* enum msg_step */
	uint32_t	 errnum;
};

struct msg_vm_conf {
	uint32_t	 vmid;
	int		 level;
	int		 events;	/* log security events in any case */
	int		 proto;		/* of its registration */
	int		 guest;		/* enum msg_guest */
	struct msg_timeouts timeouts;
	uint32_t	 out_shim;	/* bytes kept for one shim; not 0 */
	uint32_t	 out_vm;	/* ditto for all of them */
	char		 id[MSG_ID_MAX + 1];
	char		 ctl[MSG_SUN_MAX + 1];	/* names the peer in errors */
	char		 path[MSG_PATH_MAX + 1];
};

struct msg_handover {
	uint32_t	 connid;	/* never reused while it is in use */
	uint32_t	 client;	/* number shown in the log */
	uint32_t	 uid, gid, pid;
	uint32_t	 reqlen;	/* bytes that follow in CONN_REQUEST */
	uint32_t	 ntokens;	/* tokens that follow in CONN_TOKENS */
	int		 proto;		/* enum msg_proto */
};

enum msg_answer {	/* ASK_ANSWER */
	MSG_ANSWER_OK,
	MSG_ANSWER_UNKNOWN,
	MSG_ANSWER_FOREIGN,	/* known, but another VM's */
	MSG_ANSWER_REFUSED,	/* tokens: too many, or no randomness */
	MSG_ANSWER_DENIED,	/* the client may not */
	MSG_ANSWER_MAX
};

struct msg_ctl_daemon {
	uint64_t	 started;	/* seconds since the epoch */
	uint32_t	 pid;		/* of the parent */
	uint32_t	 accepted;	/* clients so far */
	uint32_t	 unrouted;	/* clients not yet with an engine */
	uint32_t	 routed;	/* clients with an engine */
	uint32_t	 nvms;
	uint32_t	 ntokens;
	uint16_t	 pod;
	char		 version[MSG_TEXT_MAX + 1];
	char		 path[MSG_PATH_MAX + 1];
};

enum msg_vm_state {
	MSG_STATE_OPENING,		/* sockets are being connected */
	MSG_STATE_STARTING,	/* engine waits for the agent's READY */
	MSG_STATE_UP,
	MSG_STATE_TOMB,		/* lost, not yet unregistered */
	MSG_STATE_GHOST,		/* unregistered, not yet lost */
	MSG_STATE_MAX
};

struct msg_ctl_vm {
	uint32_t	 vmid;
	int		 state;		/* enum msg_vm_state */
	uint32_t	 engine;	/* pid; 0: none */
	uint32_t	 uid;		/* who registered it */
	uint32_t	 clients;
	uint32_t	 tokens;
	char		 id[MSG_ID_MAX + 1];
};

const char *msg_vm_state_name(int state);	/* "up", ... */

struct ibuf *msg_conf_encode(const struct msg_conf *);
int	 msg_conf_decode(struct ibuf *, struct msg_conf *);
struct ibuf *msg_rule_encode(const struct policy_rule *);
int	 msg_rule_decode(struct ibuf *, struct policy_rule *);
struct ibuf *msg_vm_open_encode(const struct msg_vm_open *);
int	 msg_vm_open_decode(struct ibuf *, struct msg_vm_open *);
struct ibuf *msg_vm_failed_encode(const struct msg_vm_failed *);
int	 msg_vm_failed_decode(struct ibuf *, struct msg_vm_failed *);
struct ibuf *msg_vm_conf_encode(const struct msg_vm_conf *);
int	 msg_vm_conf_decode(struct ibuf *, struct msg_vm_conf *);
struct ibuf *msg_handover_encode(const struct msg_handover *);
int	 msg_handover_decode(struct ibuf *, struct msg_handover *);
struct ibuf *msg_ctl_daemon_encode(const struct msg_ctl_daemon *);
int	 msg_ctl_daemon_decode(struct ibuf *, struct msg_ctl_daemon *);
struct ibuf *msg_ctl_vm_encode(const struct msg_ctl_vm *);
int	 msg_ctl_vm_decode(struct ibuf *, struct msg_ctl_vm *);

/* A single u32: READY's layers, VM_GONE's vmid, CONN_TAKEN's connid,
   SETUP_BEGIN's generation, SETUP_ASK's request, ... */
struct ibuf *msg_u32_encode(uint32_t);
int	 msg_u32_decode(struct ibuf *, uint32_t *);
/* Two of them: VM_OPENED's vmid and pid, ASK_MINT's connid and number. */
struct ibuf *msg_u32u32_encode(uint32_t, uint32_t);
int	 msg_u32u32_decode(struct ibuf *, uint32_t *, uint32_t *);
/* A u32 and a byte below limit: ASK_ANSWER, SETUP_POLICY (the number of
   rules that came before it, attach_owner), SETUP_ACK (the generation, 0 if
   there was no memory), SETUP_DONE (the request, 1 if it failed). */
struct ibuf *msg_u32u8_encode(uint32_t, int);
int	 msg_u32u8_decode(struct ibuf *, uint32_t *, int *, int limit);
/* A u32 and a string of at most size - 1 bytes: ASK_ID, ASK_UNREGISTER,
   SETUP_TELL. */
struct ibuf *msg_u32str_encode(uint32_t, const char *);
int	 msg_u32str_decode(struct ibuf *, uint32_t *, char *, size_t size);
/* One string: VM_ERROR, CTL_TEXT. Longer text is cut to MSG_TEXT_MAX. */
struct ibuf *msg_text_encode(const char *);
int	 msg_text_decode(struct ibuf *, char *, size_t size);
/* One byte below limit: SETUP_LISTEN, CTL_RESULT (1 if it failed). */
struct ibuf *msg_u8_encode(int);
int	 msg_u8_decode(struct ibuf *, int *, int limit);
/* A u32 and n tokens (n <= MSG_TOKENS_MAX): CONN_TOKENS, ASK_TOKEN. */
struct ibuf *msg_tokens_encode(uint32_t, char (*)[TOKEN_SIZE], size_t n);
/* Returns the number of tokens, at most max; -1 if malformed. */
int	 msg_tokens_decode(struct ibuf *, uint32_t *, char (*)[TOKEN_SIZE],
	    size_t max);
/* One token: TOKEN_FREED. */
struct ibuf *msg_token_encode(const char *);
int	 msg_token_decode(struct ibuf *, char token[TOKEN_SIZE]);
/* A u32 and 1..MSG_CHUNK_MAX bytes; the decoded view lives in the ibuf. */
struct ibuf *msg_chunk_encode(uint32_t, const void *, size_t);
int	 msg_chunk_decode(struct ibuf *, uint32_t *, struct ibuf *view);

#endif /* CCP_MSG_H */

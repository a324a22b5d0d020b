/* SPDX-License-Identifier: ISC */

/*
 * Numbers about an engine and about the parent, as the frontend gets them
 * and cc-proxyctl(8) shows them: their messages' payloads.  Pure.
 *
 * An engine that was taken over can lie about its own VM: every number is
 * below 2^63, so that it can be shown, and added to a few others, as it is.
 */

#ifndef CCP_MSGSTATS_H
#define CCP_MSGSTATS_H

#include <stdint.h>

struct ibuf;

/* Which agent the guest was found to have. */
enum msg_dialect {
	MSG_DIALECT_UNKNOWN,
	MSG_DIALECT_AGENT,
	MSG_DIALECT_UNIVERSAL,
	MSG_DIALECT_HYPERSTART,
	MSG_DIALECT_MAX
};

/* What the parent does with the merging of equal pages. */
enum msg_ksm {
	MSG_KSM_NONE,		/* nothing */
	MSG_KSM_OFF,
	MSG_KSM_INITIAL,	/* tuned, and now as it was found */
	MSG_KSM_AGGRESSIVE,
	MSG_KSM_STANDARD,
	MSG_KSM_SLOW,
	MSG_KSM_MAX
};

/* Whether numbers are those that were asked for. */
enum msg_answered {
	MSG_ANSWERED_NEVER,
	MSG_ANSWERED_BEFORE,	/* but not this time */
	MSG_ANSWERED,
	MSG_ANSWERED_MAX
};

/* Of a VM.  Those from commands on only grow, but for an engine's end. */
#define MSG_VM_NUMBERS(X)						\
	X(uptime)	/* ms */					\
	X(clients)	/* connected */					\
	X(ios)		/* descriptors of 1.x clients */		\
	X(streams)	/* tokens in use and descriptors */		\
	X(full)		/* streams with no room for more output */	\
	X(queued)	/* bytes of output that wait for shims */	\
	X(fullest)	/* of them, the most for one */			\
	X(replies)	/* bytes of answers that wait for clients */	\
	X(waiting)	/* bytes from clients that wait */		\
	X(cmd_queued)	/* commands not sent to the agent yet */	\
	X(cmd_sent)	/* that it has not answered */			\
	X(commands)							\
	X(failed)	/* refused or not answered */			\
	X(out)		/* bytes of processes' output for shims */	\
	X(in)		/* bytes of their input from shims */		\
	X(dropped)	/* bytes of output that nobody could get */	\
	X(opened)	/* streams, ever */				\
	X(served)	/* clients, ever */

/* Of the parent. */
#define MSG_DAEMON_NUMBERS(X)						\
	X(running)	/* engines that can serve */			\
	X(starting)							\
	X(waiting)	/* for others to have started */		\
	X(ended)	/* engines, ever: with status 0 */		\
	X(failed)	/* with another, or never started */		\
	X(killed)	/* by a signal */				\
	X(suppressed)	/* log records, of who logs too much */		\
	X(dropped)	/* log records that nobody took */		\
	X(max_vms)	/* limits in force */				\
	X(max_out_shim)							\
	X(max_out_vm)

#define MSG_COUNT_ONE(name)	+ 1
#define MSG_MEMBER(name)	uint64_t name;
#define MSG_VM_STATS_LEN	(2 + 8 * (0 MSG_VM_NUMBERS(MSG_COUNT_ONE)))
#define MSG_DAEMON_STATS_LEN	\
	(1 + 8 * (0 MSG_DAEMON_NUMBERS(MSG_COUNT_ONE)))

struct msg_vm_stats {
	int		 dialect;	/* enum msg_dialect */
	int		 protos;	/* of clients there: 1 << MSG_PROTO_* */
	MSG_VM_NUMBERS(MSG_MEMBER)
};

struct msg_daemon_stats {
	int		 ksm;		/* enum msg_ksm */
	MSG_DAEMON_NUMBERS(MSG_MEMBER)
};

/* CTL_VM_STATS, CTL_PARENT: the last that were heard. */
struct msg_ctl_stats {
	uint32_t	 vmid;
	int		 answered;	/* enum msg_answered */
	uint32_t	 age;		/* seconds */
	struct msg_vm_stats stats;
};

struct msg_ctl_parent {
	int		 answered;
	uint32_t	 age;
	struct msg_daemon_stats stats;
};

/* CTL_LIMITS: those that the frontend watches. */
#define MSG_LIMIT_NUMBERS(X)						\
	X(clients)	/* not yet with a VM */				\
	X(clients_uid)							\
	X(clients_vm)							\
	X(served)	/* with a VM */					\
	X(served_uid)							\
	X(tokens)							\
	X(tokens_uid)							\
	X(tokens_vm)							\
	X(vms_uid)							\
	X(root)		/* those of one uid are for 0, too */

/* CTL_UID: what is a user's. */
#define MSG_UID_NUMBERS(X)						\
	X(uid)								\
	X(unrouted)	/* clients not yet with a VM */			\
	X(routed)	/* clients with one */				\
	X(tokens)	/* of the VMs it registered */

#define MSG_MEMBER32(name)	uint32_t name;
#define MSG_CTL_LIMITS_LEN	(4 * (0 MSG_LIMIT_NUMBERS(MSG_COUNT_ONE)))
#define MSG_CTL_UID_LEN		(4 * (0 MSG_UID_NUMBERS(MSG_COUNT_ONE)))

struct msg_ctl_limits {
	MSG_LIMIT_NUMBERS(MSG_MEMBER32)
};

struct msg_ctl_uid {
	MSG_UID_NUMBERS(MSG_MEMBER32)
};

const char *msg_dialect_name(int);
const char *msg_ksm_name(int);

/* As in msg.h. */
struct ibuf *msg_vm_stats_encode(const struct msg_vm_stats *);
int	 msg_vm_stats_decode(struct ibuf *, struct msg_vm_stats *);
struct ibuf *msg_daemon_stats_encode(const struct msg_daemon_stats *);
int	 msg_daemon_stats_decode(struct ibuf *, struct msg_daemon_stats *);
struct ibuf *msg_ctl_stats_encode(const struct msg_ctl_stats *);
int	 msg_ctl_stats_decode(struct ibuf *, struct msg_ctl_stats *);
struct ibuf *msg_ctl_parent_encode(const struct msg_ctl_parent *);
int	 msg_ctl_parent_decode(struct ibuf *, struct msg_ctl_parent *);
struct ibuf *msg_ctl_limits_encode(const struct msg_ctl_limits *);
int	 msg_ctl_limits_decode(struct ibuf *, struct msg_ctl_limits *);
struct ibuf *msg_ctl_uid_encode(const struct msg_ctl_uid *);
int	 msg_ctl_uid_decode(struct ibuf *, struct msg_ctl_uid *);

#endif /* CCP_MSGSTATS_H */

/* SPDX-License-Identifier: ISC */

/*
 * Encode and decode the numbers about engines and the parent.  The sender
 * may be an engine that was taken over: whatever cannot be is refused.
 */

#include "imsg.h"
#include "msg.h"
#include "msgstats.h"

static int	 add_vm(struct ibuf *, const struct msg_vm_stats *);
static int	 get_vm(struct ibuf *, struct msg_vm_stats *);
static int	 add_daemon(struct ibuf *, const struct msg_daemon_stats *);
static int	 get_daemon(struct ibuf *, struct msg_daemon_stats *);
static int	 get_enum(struct ibuf *, int *, int);
static int	 get_number(struct ibuf *, uint64_t *);
static struct ibuf *finish(struct ibuf *, int);

const char *
msg_dialect_name(int dialect)
{
	static const char *const names[] = {
		"unknown", "cc-agent", "ccp-guest", "hyperstart"
	};

	return (names[dialect < 0 || dialect >= MSG_DIALECT_MAX ? 0 :
	    dialect]);
}

const char *
msg_ksm_name(int ksm)
{
	static const char *const names[] = {
		"untouched", "off", "initial", "aggressive", "standard",
		"slow"
	};

	return (names[ksm < 0 || ksm >= MSG_KSM_MAX ? 0 : ksm]);
}

static int
get_enum(struct ibuf *b, int *v, int limit)
{
	uint8_t	 n;

	if (ibuf_get_n8(b, &n) == -1 || n >= limit)
		return (-1);
	*v = n;
	return (0);
}

static int
get_number(struct ibuf *b, uint64_t *v)
{
	return (ibuf_get_n64(b, v) == -1 || *v > INT64_MAX ? -1 : 0);
}

static struct ibuf *
finish(struct ibuf *b, int failed)
{
	if (failed) {
		ibuf_free(b);
		return (NULL);
	}
	return (b);
}

#define ADD(name)	|| ibuf_add_n64(b, s->name) == -1
#define GET(name)	|| get_number(b, &s->name) == -1

static int
add_vm(struct ibuf *b, const struct msg_vm_stats *s)
{
	return (ibuf_add_n8(b, (uint64_t)s->dialect) == -1 ||
	    ibuf_add_n8(b, (uint64_t)s->protos) == -1
	    MSG_VM_NUMBERS(ADD) ? -1 : 0);
}

static int
get_vm(struct ibuf *b, struct msg_vm_stats *s)
{
	return (get_enum(b, &s->dialect, MSG_DIALECT_MAX) == -1 ||
	    get_enum(b, &s->protos, 1 << MSG_PROTO_MAX) == -1
	    MSG_VM_NUMBERS(GET) ? -1 : 0);
}

static int
add_daemon(struct ibuf *b, const struct msg_daemon_stats *s)
{
	return (ibuf_add_n8(b, (uint64_t)s->ksm) == -1
	    MSG_DAEMON_NUMBERS(ADD) ? -1 : 0);
}

static int
get_daemon(struct ibuf *b, struct msg_daemon_stats *s)
{
	return (get_enum(b, &s->ksm, MSG_KSM_MAX) == -1
	    MSG_DAEMON_NUMBERS(GET) ? -1 : 0);
}

struct ibuf *
msg_vm_stats_encode(const struct msg_vm_stats *m)
{
	struct ibuf	*b;

	if ((b = ibuf_open(MSG_VM_STATS_LEN)) == NULL)
		return (NULL);
	return (finish(b, add_vm(b, m) == -1));
}

int
msg_vm_stats_decode(struct ibuf *b, struct msg_vm_stats *m)
{
	return (get_vm(b, m) == -1 || ibuf_size(b) != 0 ? -1 : 0);
}

struct ibuf *
msg_daemon_stats_encode(const struct msg_daemon_stats *m)
{
	struct ibuf	*b;

	if ((b = ibuf_open(MSG_DAEMON_STATS_LEN)) == NULL)
		return (NULL);
	return (finish(b, add_daemon(b, m) == -1));
}

int
msg_daemon_stats_decode(struct ibuf *b, struct msg_daemon_stats *m)
{
	return (get_daemon(b, m) == -1 || ibuf_size(b) != 0 ? -1 : 0);
}

struct ibuf *
msg_ctl_stats_encode(const struct msg_ctl_stats *m)
{
	struct ibuf	*b;

	if ((b = ibuf_open(9 + MSG_VM_STATS_LEN)) == NULL)
		return (NULL);
	return (finish(b, ibuf_add_n32(b, m->vmid) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->answered) == -1 ||
	    ibuf_add_n32(b, m->age) == -1 || add_vm(b, &m->stats) == -1));
}

int
msg_ctl_stats_decode(struct ibuf *b, struct msg_ctl_stats *m)
{
	return (ibuf_get_n32(b, &m->vmid) == -1 ||
	    get_enum(b, &m->answered, MSG_ANSWERED_MAX) == -1 ||
	    ibuf_get_n32(b, &m->age) == -1 ||
	    get_vm(b, &m->stats) == -1 || ibuf_size(b) != 0 ? -1 : 0);
}

struct ibuf *
msg_ctl_parent_encode(const struct msg_ctl_parent *m)
{
	struct ibuf	*b;

	if ((b = ibuf_open(5 + MSG_DAEMON_STATS_LEN)) == NULL)
		return (NULL);
	return (finish(b, ibuf_add_n8(b, (uint64_t)m->answered) == -1 ||
	    ibuf_add_n32(b, m->age) == -1 ||
	    add_daemon(b, &m->stats) == -1));
}

int
msg_ctl_parent_decode(struct ibuf *b, struct msg_ctl_parent *m)
{
	return (get_enum(b, &m->answered, MSG_ANSWERED_MAX) == -1 ||
	    ibuf_get_n32(b, &m->age) == -1 ||
	    get_daemon(b, &m->stats) == -1 || ibuf_size(b) != 0 ? -1 : 0);
}

#define ADD32(name)	|| ibuf_add_n32(b, m->name) == -1
#define GET32(name)	|| ibuf_get_n32(b, &m->name) == -1

struct ibuf *
msg_ctl_limits_encode(const struct msg_ctl_limits *m)
{
	struct ibuf	*b;

	if ((b = ibuf_open(MSG_CTL_LIMITS_LEN)) == NULL)
		return (NULL);
	return (finish(b, 0 MSG_LIMIT_NUMBERS(ADD32)));
}

int
msg_ctl_limits_decode(struct ibuf *b, struct msg_ctl_limits *m)
{
	return (0 MSG_LIMIT_NUMBERS(GET32) || ibuf_size(b) != 0 ? -1 : 0);
}

struct ibuf *
msg_ctl_uid_encode(const struct msg_ctl_uid *m)
{
	struct ibuf	*b;

	if ((b = ibuf_open(MSG_CTL_UID_LEN)) == NULL)
		return (NULL);
	return (finish(b, 0 MSG_UID_NUMBERS(ADD32)));
}

int
msg_ctl_uid_decode(struct ibuf *b, struct msg_ctl_uid *m)
{
	return (0 MSG_UID_NUMBERS(GET32) || ibuf_size(b) != 0 ? -1 : 0);
}

/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: how the VM is, for the frontend, which asks.  What is counted
 * while it happens is in env->counts; the rest is looked up here.
 */

#include <string.h>

#include "vmengine.h"

static void	vme_stats_streams(struct msg_vm_stats *);
static void	vme_stats_clients(struct msg_vm_stats *);
static int	vme_stats_dialect(void);

static int
vme_stats_dialect(void)
{
	switch (env->dialect) {
	case VME_AGENT:
		return (MSG_DIALECT_AGENT);
	case VME_UNIVERSAL:
		return (MSG_DIALECT_UNIVERSAL);
	case VME_HYPERSTART:
		return (MSG_DIALECT_HYPERSTART);
	case VME_UNKNOWN:
		break;
	}
	return (MSG_DIALECT_UNKNOWN);
}

/* A stream is full if not even a frame without payload would be taken. */
static void
vme_stats_streams(struct msg_vm_stats *m)
{
	struct vme_session	*s;
	size_t			 len;

	RB_FOREACH(s, vme_seqs, &env->seqs) {
		if (s == env->null_session)
			continue;
		m->streams++;
		len = s->conn != NULL ? s->conn->outlen : s->awaylen;
		if (len > m->fullest)
			m->fullest = len;
		if (vme_tty_waits(s) ||
		    len + FRM_HEADER_SIZE > env->conf.out_shim)
			m->full++;
	}
}

static void
vme_stats_clients(struct msg_vm_stats *m)
{
	struct vme_conn	*c;

	RB_FOREACH(c, vme_conns, &env->conns) {
		m->waiting += c->inlen - c->inoff;
		if (!c->is_io)
			m->protos |= 1 << c->proto;
	}
	m->clients = env->nconns - env->nios;
	m->ios = env->nios;
	m->waiting += vme_stdin_kept();
}

int
vme_stats(struct imsgev *iev, struct ibuf *b, int *fd)
{
	const struct vme_counts	*n = &env->counts;
	struct msg_vm_stats	 m;

	(void)b;
	(void)fd;
	memset(&m, 0, sizeof(m));
	m.dialect = vme_stats_dialect();
	m.uptime = clock_ms() - env->started;
	vme_stats_clients(&m);
	vme_stats_streams(&m);
	vme_ctl_stats(&m);
	m.queued = env->outbytes;
	m.replies = env->replybytes;
	m.commands = n->commands;
	m.failed = n->failed;
	m.out = n->out;
	m.in = n->in;
	m.dropped = n->dropped;
	m.opened = n->opened;
	m.served = n->served;
	imsgev_send(iev, MSG_VM_STATS, -1, msg_vm_stats_encode(&m));
	return (0);
}

/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: the kept ends of the I/O descriptors of protocol 1.x.  Each
 * belongs to one session; what is read there are I/O messages as the agent
 * has them, from a client.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <poll.h>
#include <unistd.h>

#include "vmengine.h"

/* Connection ids of the frontend have 32 bits: ours are above. */
static uint64_t	 last_id = UINT32_MAX;

static int	vme_rpc_io_check(struct vme_conn *, uint64_t);

/* nseq sequence numbers from env->next_seq on.  fd is ours from now on. */
void
vme_rpc_io_new(const struct audit_who *who, int fd, int nseq)
{
	struct vme_session	*s;
	struct vme_conn		*c;

	c = vme_conn_new(++last_id, who, fd);
	c->frames = vme_rpc_io_frames;
	c->is_io = 1;
	env->nios++;
	s = vme_session_new("", env->next_seq, nseq);
	env->next_seq += (uint64_t)nseq;
	s->raw = 1;
	env->counts.opened++;
	(void)vme_session_claim(s, c);
	vme_conn_update(c);
}

/*
 * The client closed its end: the session goes with it, and output that
 * still comes is dropped.  One that only stopped writing may read on.
 */
void
vme_rpc_io_ended(struct vme_conn *c)
{
	struct pollfd	 pfd;

	pfd.fd = c->fd;
	pfd.events = 0;
	if (c->broken || (poll(&pfd, 1, 0) == 1 &&
	    (pfd.revents & (POLLHUP | POLLERR)) != 0))
		vme_conn_close(c);
}

static int
vme_rpc_io_check(struct vme_conn *c, uint64_t seq)
{
	struct audit	 a;

	if (seq == c->session->base)
		return (0);
	vme_audit(&a, AUDIT_PROTOCOL_VIOLATION, c);
	audit_str(&a, "reason", "stdin seq not matching ioBase");
	audit_log(&a, "stdin seq %llu not matching ioBase "
	    "%llu", (unsigned long long)seq,
	    (unsigned long long)c->session->base);
	vme_conn_close(c);
	return (-1);
}

/* Complete messages; the bytes used. */
size_t
vme_rpc_io_frames(struct vme_conn *c, uint8_t *p, size_t len)
{
	uint64_t	 seq;
	size_t		 n, off;

	for (off = 0; !c->dead && !c->closing &&
	    c->wait == VME_IDLE && len - off >= HYP_TTY_HEADER_SIZE;) {
		if (hyp_tty_decode(p + off, &seq, &n) == -1 ||
		    n > FRM_STDIN_MAX) {
			vme_conn_violation(c, "message too long");
			return (off);
		}
		if (vme_rpc_io_check(c, seq) == -1)
			return (off);
		if (vme_session_unstarted(c->session)) {
			vme_session_wait(c->session, c);
			vme_conn_wait(c, VME_WAIT_STDIN, 0);
			break;
		}
		if (!vme_stdin_ready(c))
			break;
		if (len - off < HYP_TTY_HEADER_SIZE + n)
			break;
		off += vme_stdin_relay(c, p + off, len - off);
	}
	return (off);
}

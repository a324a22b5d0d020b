/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: what comes from the agent's I/O channel.  Its header and the
 * client's are both 12 bytes, so a message becomes a frame by rewriting the
 * header where it lies: one read and one write per burst, no copy unless
 * somebody is slow.  Every byte read here comes from the guest.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypjson.h"
#include "vmengine.h"

#define VME_STRAY_TIME	1000	/* ms between lines a guest can cause */

/* Frames for one session that lie back to back in the buffer. */
struct vme_run {
	struct vme_session	*session;
	uint8_t			*p;
	size_t			 len;
};

struct vme_tty {
	int			 fd;
	struct event		 rev;
	struct event		 away_timer;
	uint8_t			*in;
	size_t			 inoff, inlen, insize;
	int			 paused;	/* a shim's queue is full */
	int			 busy;		/* messages are being handled */
	int			 garbled;	/* broken framing */
	struct vme_session	*full;		/* whose */
	unsigned int		 strays;	/* dropped without a line */
	uint64_t		 stray_next;	/* when one may have a line */
};

static struct vme_tty	 tty = { .fd = -1 };

static void	vme_tty_read(int, short, void *);
static void	vme_tty_away(int, short, void *);
static int	vme_tty_fill(size_t);
static void	vme_tty_messages(void);
static int	vme_tty_message(struct vme_run *, uint64_t, uint8_t *, size_t);
static int	vme_tty_raw(struct vme_run *, struct vme_session *, uint64_t,
		    uint8_t *, size_t);
static void	vme_tty_end(struct vme_run *, struct vme_session *);
static void	vme_tty_goodbye(struct vme_session *, size_t);
static void	vme_tty_flush(struct vme_run *);
static void	vme_tty_append(struct vme_run *, struct vme_session *,
		    uint8_t *, size_t);
static void	vme_tty_pause(struct vme_session *);
static void	vme_tty_stray(const char *, uint64_t);

void
vme_tty_init(int fd)
{
	tty.fd = fd;
	tty.insize = VME_TTY_SIZE;
	tty.in = vme_malloc(tty.insize);
	event_set(&tty.rev, fd, EV_READ | EV_PERSIST, vme_tty_read, NULL);
	evtimer_set(&tty.away_timer, vme_tty_away, NULL);
	vme_watch(&tty.rev, NULL);
	vme_stdin_init(fd);
}

void
vme_tty_close(void)
{
	if (tty.fd == -1)
		return;
	event_del(&tty.rev);
	evtimer_del(&tty.away_timer);
	vme_stdin_close();
	close(tty.fd);
	tty.fd = -1;
	if (!tty.busy) {
		free(tty.in);
		tty.in = NULL;
	}
}

/*
 * From the VM to the shims
 */

static void
vme_tty_read(int fd, short event, void *arg)
{
	int	 n;

	(void)fd;
	(void)event;
	(void)arg;
	if ((n = vme_tty_fill(SIZE_MAX)) > 0)
		vme_tty_messages();
	else if (n == 0)
		vme_lost("I/O channel closed");
	else if (!peer_again(errno))
		vme_lost(log_strerror(errno));
}

/* At most max bytes. */
static int
vme_tty_fill(size_t max)
{
	size_t	 room = tty.insize - tty.inlen;
	ssize_t	 n;

	n = recv(tty.fd, tty.in + tty.inlen, room < max ? room : max,
	    MSG_DONTWAIT);
	if (n > 0)
		tty.inlen += (size_t)n;
	return ((int)n);
}

/*
 * The VM is lost: what it said before still counts, also what waits behind
 * a slow shim.  A guest that goes on writing is not listened to for ever.
 */
void
vme_tty_drain(void)
{
	size_t	 total;
	int	 n;

	if (tty.fd == -1 || tty.busy)
		return;
	tty.paused = 0;
	vme_tty_messages();
	for (total = 0; !tty.garbled && total < VME_DRAIN_MAX;
	    total += (size_t)n) {
		if ((n = vme_tty_fill(VME_DRAIN_MAX - total)) <= 0)
			break;
		vme_tty_messages();
	}
}

/* Everything complete in the buffer, until a shim's queue is full. */
static void
vme_tty_messages(void)
{
	struct vme_run	 run;
	uint64_t	 seq;
	size_t		 len, off;
	uint8_t		*in;

	memset(&run, 0, sizeof(run));
	tty.busy = 1;
	off = tty.inoff;
	len = 0;
	while (tty.inlen - off >= HYP_TTY_HEADER_SIZE) {
		if (hyp_tty_decode(tty.in + off, &seq, &len) == -1) {
			/* Nothing behind it can be told apart. */
			vme_tty_flush(&run);
			tty.inoff = tty.inlen = 0;
			tty.busy = 0;
			tty.garbled = 1;
			vme_broke("I/O message too long");
			return;
		}
		if (tty.inlen - off < HYP_TTY_HEADER_SIZE + len)
			break;
		if (vme_tty_message(&run, seq, tty.in + off, len) == -1)
			break;
		off += HYP_TTY_HEADER_SIZE + len;
	}
	vme_tty_flush(&run);
	tty.busy = 0;
	if (tty.fd == -1) {
		/* lost meanwhile */
		free(tty.in);
		tty.in = NULL;
		return;
	}
	if (tty.paused) {
		tty.inoff = off;
		return;
	}
	tty.inoff = 0;
	tty.inlen -= off;
	memmove(tty.in, tty.in + off, tty.inlen);
	/* One message larger than the buffer; or the size it had before. */
	if (tty.inlen == tty.insize || (tty.inlen == 0 &&
	    tty.insize > VME_TTY_SIZE)) {
		len = tty.inlen == 0 ? VME_TTY_SIZE : tty.insize * 2;
		if ((in = realloc(tty.in, len)) == NULL)
			fatal("%s", __func__);
		tty.in = in;
		tty.insize = len;
	}
}

/*
 * One message, header at p.  -1: the shim it is for has no room; stop here
 * and come back.
 */
static int
vme_tty_message(struct vme_run *run, uint64_t seq, uint8_t *p, size_t len)
{
	struct vme_session	*s;
	size_t			 total;
	int			 opcode;

	if (run->session != NULL && seq >= run->session->base &&
	    seq - run->session->base < run->session->nseq)
		s = run->session;
	else if ((s = vme_session_by_seq(seq)) == NULL) {
		env->counts.dropped += len;
		vme_tty_stray("couldn't find client with seq number", seq);
		return (0);
	}
	if (s->raw)
		return (vme_tty_raw(run, s, seq, p, len));
	if (s == env->null_session) {
		env->counts.dropped += len;
		vme_vmlog(LOGL_INFO, "io",
		    "discarded %zu bytes of the null session", len);
		vme_tty_hexdump("null session", p + HYP_TTY_HEADER_SIZE, len);
		return (0);
	}
	if (!s->claimed) {
		env->counts.dropped += len;
		vme_tty_stray("no shim has claimed the token of seq number",
		    seq);
		return (0);
	}
	if (len == 0) {
		if (seq == s->base)
			vme_tty_end(run, s);
		return (0);
	}
	if (seq == s->base)
		vme_tty_goodbye(s, len);
	total = FRM_HEADER_SIZE + len;
	if (!vme_session_room(s, run->session == s ? run->len : 0, total)) {
		vme_tty_flush(run);
		if (!vme_session_room(s, 0, total)) {
			vme_tty_pause(s);
			return (-1);
		}
	}
	vme_tty_hexdump("<- writing to client", p + HYP_TTY_HEADER_SIZE, len);
	if (s->terminated && !s->exited && seq == s->base && len == 1) {
		s->exited = 1;
		frm_encode(p, FRM_NOTIFICATION, FRM_PROCESSEXITED, 0, 1);
		vme_dialect_statuses();
		vme_process_ended(s);
	} else if (vme_session_lossy(s, (run->session == s ? run->len : 0) +
	    total)) {
		env->counts.dropped += len;
		return (0);
	} else {
		opcode = seq == s->base ? FRM_STDOUT : FRM_STDERR;
		frm_encode(p, FRM_STREAM, opcode, 0, (uint32_t)len);
		env->counts.out += len;
	}
	vme_tty_append(run, s, p, total);
	return (0);
}

/*
 * An empty message: the end of the process's output.  hyperstart sends one
 * also when it does not know the number, so it takes a process to end.
 */
static void
vme_tty_end(struct vme_run *run, struct vme_session *s)
{
	if (env->dialect == VME_HYPERSTART && !s->requested && !env->blind)
		return;
	s->terminated = 1;
	if (s->has_status && !s->exited) {
		vme_tty_flush(run);
		vme_session_exit(s);
	}
}

/* More output after an end, and no status: it was no end. */
static void
vme_tty_goodbye(struct vme_session *s, size_t len)
{
	if (env->dialect == VME_HYPERSTART && !s->exited &&
	    (len != 1 || env->api == HYP_API_U))
		s->terminated = 0;
}

/*
 * A session of protocol 1.x gets the messages as they are, ends and exit
 * status included, but none that its shim would die of.
 */
static int
vme_tty_raw(struct vme_run *run, struct vme_session *s, uint64_t seq,
    uint8_t *p, size_t len)
{
	size_t	 total;

	total = HYP_TTY_HEADER_SIZE + len;
	if (total > HYP_MESSAGE_MAX) {
		env->counts.dropped += len;
		return (0);
	}
	/* hyperstart's ends are passed on when they are known to be some. */
	if (env->dialect == VME_HYPERSTART && seq == s->base) {
		if (len == 0) {
			vme_tty_end(run, s);
			return (0);
		}
		vme_tty_goodbye(s, len);
		if (s->terminated && !s->exited) {
			vme_tty_flush(run);
			vme_dialect_statuses();
			s->status = p[HYP_TTY_HEADER_SIZE];
			vme_session_exit(s);
			return (0);
		}
	}
	/* In pieces the kernel takes whole: a frame is read with one call. */
	if (run->session == s && run->len + total > VME_TTY_WRITE)
		vme_tty_flush(run);
	if (!vme_session_room(s, run->session == s ? run->len : 0, total)) {
		vme_tty_flush(run);
		if (!vme_session_room(s, 0, total)) {
			vme_tty_pause(s);
			return (-1);
		}
	}
	hyp_tty_encode(p, seq, len);
	env->counts.out += len;
	vme_tty_hexdump("<- writing to client", p + HYP_TTY_HEADER_SIZE, len);
	vme_tty_append(run, s, p, total);
	return (0);
}

/* Extend the run if the frame follows it directly, else start a new one. */
static void
vme_tty_append(struct vme_run *run, struct vme_session *s, uint8_t *p,
    size_t len)
{
	if (run->session == s && run->p + run->len == p) {
		run->len += len;
		return;
	}
	vme_tty_flush(run);
	run->session = s;
	run->p = p;
	run->len = len;
}

static void
vme_tty_flush(struct vme_run *run)
{
	if (run->session != NULL)
		vme_session_output(run->session, run->p, run->len);
	run->session = NULL;
	run->len = 0;
}

/*
 * Read nothing more from the VM until this shim has taken some.  If it is
 * away, wait for it as long as a shim tries to come back, then drop.
 */
static void
vme_tty_pause(struct vme_session *s)
{
	struct timeval	 wait;
	uint64_t	 gone, ms;

	tty.paused = 1;
	tty.full = s;
	event_del(&tty.rev);
	if (s->conn != NULL)
		return;
	ms = env->conf.timeouts.shim < VME_AWAY_TIME ?
	    env->conf.timeouts.shim : VME_AWAY_TIME;
	gone = clock_ms() - s->left;
	ms = gone < ms ? ms - gone : 0;
	wait.tv_sec = (time_t)(ms / 1000);
	wait.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	vme_watch(&tty.away_timer, &wait);
}

static void
vme_tty_away(int fd, short event, void *arg)
{
	struct audit	 a;

	(void)fd;
	(void)event;
	(void)arg;
	if (!tty.paused || tty.full == NULL || tty.full->conn != NULL)
		return;
	tty.full->lossy = 1;
	audit_begin(&a, AUDIT_LIMIT_REACHED);
	audit_limit(&a, "output per shim", env->conf.out_shim);
	audit_str(&a, "section", "io");
	audit_log(&a, "shim of seq number %llu is away: "
	    "dropping output beyond %u bytes",
	    (unsigned long long)tty.full->base, env->conf.out_shim);
	vme_tty_resume();
}

/* Some queue has room again, or its session is gone. */
void
vme_tty_resume(void)
{
	if (!tty.paused || tty.busy || tty.fd == -1)
		return;
	tty.paused = 0;
	tty.full = NULL;
	evtimer_del(&tty.away_timer);
	vme_tty_messages();
	if (tty.fd != -1 && !tty.paused)
		vme_watch(&tty.rev, NULL);
}

int
vme_tty_waits(const struct vme_session *s)
{
	return (tty.paused && tty.full == s);
}

/* A guest can cause these at will: one line a second. */
static void
vme_tty_stray(const char *what, uint64_t seq)
{
	uint64_t	 now = clock_ms();

	if (now < tty.stray_next) {
		tty.strays++;
		return;
	}
	tty.stray_next = now + VME_STRAY_TIME;
	vme_vmlog(LOGL_WARN, "io", "%s %llu", what, (unsigned long long)seq);
	if (tty.strays > 0)
		vme_vmlog(LOGL_WARN, "io", "dropped %u more such messages",
		    tty.strays);
	tty.strays = 0;
}

/* 16 bytes a line, at level debug only. */
void
vme_tty_hexdump(const char *what, const uint8_t *p, size_t len)
{
	static const char	 hex[] = "0123456789abcdef";
	struct log_field	 fields[3];
	char			 line[3 * 16 + 1];
	size_t			 i, j, n;

	if (log_getlevel() < LOGL_DEBUG)
		return;
	memset(fields, 0, sizeof(fields));
	fields[0].key = "section";
	fields[0].value = "io";
	fields[1].key = "wm";
	fields[1].value = env->conf.id;
	log_entry(LOGL_DEBUG, fields, "%s", what);
	for (i = 0; i < len; i += n) {
		n = len - i < 16 ? len - i : 16;
		for (j = 0; j < n; j++) {
			line[3 * j] = hex[p[i + j] >> 4];
			line[3 * j + 1] = hex[p[i + j] & 0x0f];
			line[3 * j + 2] = ' ';
		}
		line[3 * n - 1] = '\0';
		log_entry(LOGL_DEBUG, fields, "%s", line);
	}
}

/* SPDX-License-Identifier: ISC */

/*
 * The engine as a whole: a string of bytes drives the parent, the frontend,
 * clients of both protocols and the guest against the engine's sources, which
 * are part of this file, so that each input starts with fresh variables and
 * little limits.  The clock stands still but for what the input says.
 *
 * It is a bug if anything is fatal to the engine, if its counts are wrong, if
 * a client waits for ever, if the engine does not end when it should, leaks a
 * descriptor, or says what its peers take for a breach of the protocol.
 */

#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "../../vmengine/vmengine.h"

/* Queues that a short input can fill. */
#undef VME_REPLY_MAX
#undef VME_REPLY_TOTAL
#undef VME_IN_SMALL
#undef VME_IN_TOTAL
#undef VME_READ_SIZE
#undef VME_READ_BLOCKED
#undef VME_TTY_SIZE
#undef VME_INFLIGHT
#undef VME_EARLY_MAX
#undef VME_GONE_MAX
#undef VME_LOOKAHEAD
#undef VME_DRAIN_MAX
#define VME_REPLY_MAX	1024
#define VME_REPLY_TOTAL	8192
#define VME_IN_SMALL	512
#define VME_IN_TOTAL	131072
#define VME_READ_SIZE	8192
#define VME_READ_BLOCKED 1024
#define VME_TTY_SIZE	4096
#define VME_INFLIGHT	4
#define VME_EARLY_MAX	2
#define VME_GONE_MAX	3
#define VME_LOOKAHEAD	(FRM_STDIN_MAX + 1024)
#define VME_DRAIN_MAX	16384

int	 vme_main(int, char *[]);

#define main		vme_main
#pragma GCC diagnostic ignored "-Wshadow"
#include "../../vmengine/agent_ctl.c"
#include "../../vmengine/agent_tty.c"
#include "../../vmengine/command.c"
#include "../../vmengine/conn.c"
#include "../../vmengine/console.c"
#include "../../vmengine/dialect.c"
#include "../../vmengine/handover.c"
#include "../../vmengine/out.c"
#include "../../vmengine/process.c"
#include "../../vmengine/reload.c"
#include "../../vmengine/rpc.c"
#include "../../vmengine/rpc_io.c"
#include "../../vmengine/sandbox_vmengine.c"
#include "../../vmengine/session.c"
#include "../../vmengine/signal.c"
#include "../../vmengine/stats.c"
#include "../../vmengine/stdin.c"
#include "../../vmengine/vmengine.c"
#undef main

#include "play.h"

#define STEPS_MAX	400
#define FDS		48	/* descriptors looked at for leaks */
#define PATIENCE	500	/* rounds until every client has its answer */

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static uint64_t			 play_ms;
static struct event_base	*base;
static int			 over, leaving;

static void	engine_log(enum log_level, const char *,
		    const struct log_field *);
static void	engine_start(int);
static void	engine_stop(void);
static void	engine_check(void);
static int	engine_waits(void);
static void	engine_answers(void);
static unsigned int fd_count(int);

/*
 * The clock of the engine and of libevent.  That of the day goes on, for
 * whoever runs this.
 */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE)
		return ((int)syscall(SYS_clock_gettime, id, ts));
	ts->tv_sec = (time_t)(play_ms / 1000);
	ts->tv_nsec = (long)(play_ms % 1000) * 1000000;
	return (0);
}

void
engine_conf(struct msg_vm_conf *conf)
{
	conf->out_shim = 4096;
	conf->out_vm = 16384;
}

void
engine_time(uint64_t ms)
{
	play_ms += ms;
}

int
engine_over(void)
{
	return (over);
}

/* A record that the parent refuses would end the engine. */
static void
engine_log(enum log_level level, const char *msg,
    const struct log_field *fields)
{
	static struct log_record	 rec;
	uint8_t				 buf[LOG_RECORD_MAX];
	size_t				 n;

	if (level <= LOGL_FATAL && fields == NULL && !play_memoryless)
		BUG("fatal: %s", msg);
	if (w.honest && !play_memoryless && fields == NULL &&
	    strncmp(msg, "frontend: ", 10) == 0)
		BUG("%s", msg);
	n = log_encode(buf, sizeof(buf), level, msg, fields);
	if (log_decode(&rec, buf, n) == -1)
		BUG("malformed log record: %s", msg);
}

/* As main() does, without the sandbox. */
static void
engine_start(int fd)
{
	memset(env, 0, sizeof(*env));
	memset(&ctl, 0, sizeof(ctl));
	memset(&tty, 0, sizeof(tty));
	memset(&in, 0, sizeof(in));
	ctl.fd = tty.fd = in.fd = console_fd = -1;
	console_len = 0;
	nhandovers = 0;
	last_id = UINT32_MAX;
	over = leaving = 0;

	RB_INIT(&env->conns);
	RB_INIT(&env->tokens);
	RB_INIT(&env->seqs);
	TAILQ_INIT(&env->runq);
	env->ctl_fd = env->io_fd = env->console_fd = env->peer_fd = -1;
	env->frontend.iev_fd = -1;
	env->state = VME_SETUP;
	env->ios_max = 4;
	env->scratch = vme_malloc(VME_READ_SIZE);
	base = event_init();
	evtimer_set(&env->run_ev, vme_conn_run, NULL);
	if (imsgev_init(&env->parent, fd, vme_parent_table, VME_SETUP,
	    vme_dispatch_parent, NULL) == -1)
		BUG("imsgev_init");
	env->parent.iev_queue_max = UINT32_MAX;
}

void
engine_run(void)
{
	unsigned int	 i;

	if (over || base == NULL)
		return;
	play_armed = 1;
	event_loop(EVLOOP_NONBLOCK);
	play_armed = 0;
	over = event_base_got_exit(base) || event_base_got_break(base);
	engine_check();
	if (w.honest || w.auto_clients)
		play_hear();
	for (i = 0; w.auto_clients && i < w.nclients; i++)
		client_read(&w.clients[i], SIZE_MAX);
	if (w.auto_guest)
		guest_read(SIZE_MAX);
	if (over && w.honest && !leaving && !play_memoryless &&
	    !(w.lost && (w.closed || w.error)))
		BUG("the engine ended");
}

/* Every count is the sum of what it counts. */
static void
engine_check(void)
{
	struct vme_conn		*c;
	struct vme_session	*s;
	struct vme_chunk	*ch;
	size_t			 inb = 0, outb = 0, replyb = 0, o, r;
	unsigned int		 n = 0, nclosing = 0, nios = 0;

	RB_FOREACH(c, vme_conns, &env->conns) {
		n++;
		nclosing += c->closing != 0;
		nios += c->is_io != 0;
		inb += c->insize + c->reqlen;
		o = r = 0;
		TAILQ_FOREACH(ch, &c->out, entry) {
			if (ch->stream) {
				outb += ch->len;
				o += ch->len - ch->off;
			} else {
				replyb += ch->len;
				r += ch->len - ch->off;
			}
		}
		if (o != c->outlen || r != c->replylen)
			BUG("client %u: %zu, %zu bytes queued, counted "
			    "%zu, %zu", c->client, o, r, c->outlen,
			    c->replylen);
		if (c->dead || c->inoff > c->inlen || c->inlen > c->insize)
			BUG("client %u: dead or in disorder", c->client);
	}
	RB_FOREACH(s, vme_seqs, &env->seqs) {
		o = 0;
		TAILQ_FOREACH(ch, &s->away, entry)
			o += ch->len;
		outb += o;
		if (o != s->awaylen)
			BUG("session %llu: %zu bytes kept, counted %zu",
			    (unsigned long long)s->base, o, s->awaylen);
	}
	TAILQ_FOREACH(c, &env->runq, run_entry) {
		if (!c->dead)
			continue;
		inb += c->insize + c->reqlen;
		TAILQ_FOREACH(ch, &c->out, entry)
			*(ch->stream ? &outb : &replyb) += ch->len;
	}
	if (n != env->nconns || nclosing != env->nclosing ||
	    nios != env->nios)
		BUG("%u clients, %u closing, %u I/O; counted %u, %u, %u", n,
		    nclosing, nios, env->nconns, env->nclosing, env->nios);
	if (inb != env->inbytes || outb != env->outbytes ||
	    replyb != env->replybytes)
		BUG("%zu, %zu, %zu bytes; counted %zu, %zu, %zu", inb, outb,
		    replyb, env->inbytes, env->outbytes, env->replybytes);
	if (inb > VME_IN_TOTAL + CLIENTS_MAX * 2 * VME_IN_SMALL ||
	    replyb > VME_REPLY_TOTAL)
		BUG("%zu, %zu bytes: beyond the limits", inb, replyb);
}

/* Does a client wait for what has a deadline? */
static int
engine_waits(void)
{
	struct vme_conn	*c;

	RB_FOREACH(c, vme_conns, &env->conns) {
		if (c->closing || c->wait == VME_WAIT_ASK ||
		    c->wait == VME_WAIT_SHIM || c->wait == VME_WAIT_AGENT ||
		    c->wait == VME_WAIT_PROCESS || c->wait == VME_WAIT_PACE)
			return (1);
	}
	return (0);
}

/* With everybody obliging, each client gets its answers and the engine ends. */
static void
engine_answers(void)
{
	int	 i;

	for (i = 0; !over && (i == 0 || engine_waits()); i++) {
		if (i == PATIENCE)
			BUG("a client waits for ever");
		play_oblige();
		engine_run();
		engine_time(100000);
		engine_run();
	}
	leaving = 1;
	play_leave();
	engine_run();
	if (!over && w.up && !w.closed)
		play_send(&w.frontend, MSG_VM_CLOSE, -1, NULL);
	for (i = 0; !over && i < 8; i++) {
		engine_run();
		engine_time(100000);
	}
	if (!over)
		BUG("the engine does not end");
}

static void
engine_stop(void)
{
	struct vme_handover	*h;

	vme_exit();
	while ((h = TAILQ_FIRST(&handovers)) != NULL) {
		TAILQ_REMOVE(&handovers, h, entry);
		close(h->fd);
		free(h->request);
		free(h->tokens);
		free(h);
	}
	if (env->nconns != 0 || env->inbytes != 0 || env->outbytes != 0 ||
	    env->replybytes != 0 || env->nios != 0 || env->ngone != 0)
		BUG("%u clients, %zu, %zu, %zu bytes are left", env->nconns,
		    env->inbytes, env->outbytes, env->replybytes);
	base = NULL;
}

static unsigned int
fd_count(int first)
{
	unsigned int	 n = 0;
	int		 fd;

	for (fd = first; fd < first + FDS; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return (n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input	 input = { data, size };
	unsigned int	 before, how, i;
	int		 first;

	signal(SIGPIPE, SIG_IGN);
	log_init_sink(engine_log, LOGL_INFO);
	play_ms = 1000000;
	if ((first = dup(0)) == -1 && (first = open("/dev/null",
	    O_RDONLY)) == -1)
		BUG("no descriptors");
	close(first);
	before = fd_count(first);

	base = NULL;
	how = in_u8(&input);
	engine_start(play_init(&input));
	engine_run();
	for (i = 0; input.len > 0 && i < STEPS_MAX && !over; i++)
		play_step(&input);
	if (w.honest && (how & 3) != 0)
		engine_answers();
	else if (!over) {
		/* The parent goes, or the frontend does. */
		leaving = 1;
		play_hear();
		if (how & 4) {
			close(w.parent_fd);
			w.parent_fd = -1;
		} else {
			/* It hears nothing more. */
			shutdown(w.frontend_fd, SHUT_WR);
			w.honest = 0;
		}
		engine_run();
		if (!over)
			BUG("the engine lives on");
	}
	engine_stop();
	play_leave();
	play_end();
	if (fd_count(first) != before)
		BUG("%u descriptors became %u", before, fd_count(first));
	return (0);
}

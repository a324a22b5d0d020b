/* SPDX-License-Identifier: ISC */

/*
 * The agent's side of a process: its pipes or terminal, input queued up to a
 * bound, output read only while the host takes it, and the report of its end
 * once it was reaped and its outputs are at their end.
 */

#include <sys/ioctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "hyper.h"

#define PROC_READS	4	/* of one output before others' turn */

static int	proc_check_conf(struct guest *, json_t *, char *);
static int	proc_check_seq(struct guest *, uint64_t, uint64_t, char *);
static int	proc_check_id(struct guest *, struct guest_cont *,
		    const char *, int);
static int	proc_pipe(struct guest_proc *, int, int *);
static void	proc_pid(struct guest *, void *, pid_t);
static void	proc_tty(struct guest *, void *, int);
static void	proc_done(struct guest *, void *, const char *);
static void	proc_child(struct guest *, int, void *);
static uint8_t	proc_status(const struct guest *, int);
static void	proc_close(int *);
static void	proc_finish(struct guest_proc *);
static void	proc_stdin_close(struct guest_proc *);
static void	proc_stdin_event(int, short, void *);
static void	pump_start(struct guest_pump *);
static void	pump_close(struct guest_pump *);
static void	pump_event(int, short, void *);

struct guest_proc *
guest_proc_new(struct guest *g, struct guest_cont *c, json_t *conf, int first,
    char err[GUEST_ERRMAX])
{
	struct guest_proc	*p;
	const char		*id;
	char			 buf[32];
	int64_t			 out = 0, errseq = 0;
	int			 terminal;

	if (proc_check_conf(g, conf, err) == -1)
		return (NULL);
	terminal = guest_json_true(conf, "terminal");
	if (guest_json_int(conf, "stdio", &out) != 1 || out <= 0) {
		(void)strlcpy(err, "process: no stdio number", GUEST_ERRMAX);
		return (NULL);
	}
	if (guest_json_int(conf, "stderr", &errseq) == -1 || errseq < 0 ||
	    (errseq == 0 && terminal == 0)) {
		(void)strlcpy(err, "process: bad stderr number", GUEST_ERRMAX);
		return (NULL);
	}
	if (terminal == 1 && g->g_profile->f_ttyerr == 0)
		errseq = 0;
	if (g->g_profile->f_sharedseq == 0 &&
	    proc_check_seq(g, (uint64_t)out, (uint64_t)errseq, err) == -1)
		return (NULL);
	if ((id = guest_json_string(conf, "id")) == NULL || *id == '\0') {
		(void)snprintf(buf, sizeof(buf), "%lld", (long long)out);
		id = buf;
	}
	if (proc_check_id(g, c, id, first) == -1) {
		(void)snprintf(err, GUEST_ERRMAX, "process %.64s exists", id);
		return (NULL);
	}
	p = guest_alloc(sizeof(*p));
	memset(p, 0, sizeof(*p));
	p->p_guest = g;
	p->p_cont = c;
	p->p_id = guest_strdup(id);
	p->p_cid = guest_strdup(c != NULL ? c->k_id : "");
	p->p_conf = json_incref(conf);
	p->p_first = first;
	p->p_terminal = terminal;
	p->p_out.u_proc = p->p_err.u_proc = p;
	p->p_out.u_seq = (uint64_t)out;
	p->p_err.u_seq = (uint64_t)errseq;
	p->p_out.u_fd = p->p_err.u_fd = p->p_infd = -1;
	p->p_childfd[0] = p->p_childfd[1] = p->p_childfd[2] = -1;
	TAILQ_INSERT_TAIL(&g->g_procs, p, p_entry);
	return (p);
}

static int
proc_check_conf(struct guest *g, json_t *conf, char *err)
{
	json_t	*args, *envs, *v;
	size_t	 i;
	int	 lame = g->g_profile->f_lame;

	args = guest_json_get(conf, "args");
	if (!json_is_array(args) || (json_array_size(args) == 0 && lame == 0)) {
		(void)strlcpy(err, "process: no args", GUEST_ERRMAX);
		return (-1);
	}
	json_array_foreach(args, i, v) {
		if (!json_is_string(v) ||
		    (i == 0 && *json_string_value(v) == '\0')) {
			(void)strlcpy(err, "process: bad args", GUEST_ERRMAX);
			return (-1);
		}
	}
	envs = guest_json_get(conf, "envs");
	json_array_foreach(envs, i, v) {
		if (guest_json_string(v, "env") == NULL && lame == 0) {
			(void)strlcpy(err, "process: bad envs", GUEST_ERRMAX);
			return (-1);
		}
	}
	return (0);
}

static int
proc_check_seq(struct guest *g, uint64_t out, uint64_t err, char *text)
{
	struct guest_proc	*p;

	if (out == err) {
		(void)strlcpy(text, "process: bad stderr number",
		    GUEST_ERRMAX);
		return (-1);
	}
	TAILQ_FOREACH(p, &g->g_procs, p_entry) {
		if (p->p_out.u_seq == out || p->p_err.u_seq == out ||
		    (err != 0 &&
		    (p->p_out.u_seq == err || p->p_err.u_seq == err))) {
			(void)snprintf(text, GUEST_ERRMAX,
			    "process: number %llu is in use",
			    (unsigned long long)out);
			return (-1);
		}
	}
	return (0);
}

static int
proc_check_id(struct guest *g, struct guest_cont *c, const char *id, int first)
{
	struct guest_proc	*p;

	switch (g->g_profile->f_ids) {
	case IDS_CONTAINER:
		return (guest_proc_byid(c, id) != NULL ? -1 : 0);
	case IDS_POD:
		if (first == 1)
			return (0);
		if (strcmp(id, "init") == 0)
			return (-1);
		TAILQ_FOREACH(p, &g->g_procs, p_entry)
			if (strcmp(p->p_id, id) == 0)
				return (-1);
		return (0);
	case IDS_NOWHERE:
	default:
		return (0);
	}
}

int
guest_proc_start(struct guest_proc *p,
    void (*done)(struct guest *, void *, const char *))
{
	struct guest	*g = p->p_guest;
	int		 i, save, rv = 0;

	p->p_done = done;
	if (p->p_terminal == 0 &&
	    (proc_pipe(p, 0, &p->p_infd) == -1 ||
	    proc_pipe(p, 1, &p->p_out.u_fd) == -1))
		return (-1);
	if (p->p_err.u_seq != 0 && proc_pipe(p, 2, &p->p_err.u_fd) == -1)
		return (-1);
	if (guest_job_start(g, 0, proc_child, proc_done, p) == -1)
		rv = -1;
	save = errno;
	for (i = 0; i < 3; i++)
		proc_close(&p->p_childfd[i]);
	errno = save;
	if (rv == -1)
		return (-1);
	g->g_job.j_pid = proc_pid;
	g->g_job.j_tty = proc_tty;
	return (0);
}

static int
proc_pipe(struct guest_proc *p, int n, int *ours)
{
	int	fds[2], mine;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return (-1);
	mine = n == 0 ? 1 : 0;
	*ours = fds[mine];
	p->p_childfd[n] = fds[1 - mine];
	return (fcntl(*ours, F_SETFL, O_NONBLOCK));
}

static void
proc_child(struct guest *g, int fd, void *arg)
{
	guest_spawn(g, fd, arg);
}

static void
proc_pid(struct guest *g, void *arg, pid_t pid)
{
	struct guest_proc	*p = arg;

	(void)g;
	p->p_pid = pid;
	if (p->p_cont != NULL && p->p_cont->k_init == 0 &&
	    guest_cont_session(p->p_cont, pid) == -1)
		guest_fatal("out of memory");
}

/* Input and output share the terminal, but each closes its own copy. */
static void
proc_tty(struct guest *g, void *arg, int fd)
{
	struct guest_proc	*p = arg;

	(void)g;
	if (p->p_terminal == 0 || p->p_out.u_fd != -1 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) == -1 ||
	    (p->p_infd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1) {
		close(fd);
		return;
	}
	p->p_out.u_fd = fd;
}

static void
proc_done(struct guest *g, void *arg, const char *err)
{
	struct guest_proc	*p = arg;

	if (err == NULL && (p->p_pid == 0 || p->p_out.u_fd == -1))
		err = "process: cannot start";
	p->p_done(g, p, err);
}

void
guest_proc_go(struct guest_proc *p)
{
	json_decref(p->p_conf);
	p->p_conf = NULL;
	p->p_started = 1;
	guest_debug("process %s: started, pid %d", p->p_id, (int)p->p_pid);
	if (p->p_infd != -1) {
		event_set(&p->p_inev, p->p_infd, EV_WRITE | EV_PERSIST,
		    proc_stdin_event, p);
		if (p->p_reaped == 1)
			proc_stdin_close(p);
		else if (p->p_inlen > 0)
			event_add(&p->p_inev, NULL);
		else if (p->p_ineof == 1)
			proc_stdin_close(p);
	}
	pump_start(&p->p_out);
	if (p->p_err.u_fd != -1)
		pump_start(&p->p_err);
	if (p->p_reaped == 1 && p->p_first == 1 && p->p_cont != NULL)
		guest_cont_exited(p->p_cont);
}

static void
proc_close(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void
guest_proc_free(struct guest_proc *p)
{
	struct guest	*g = p->p_guest;

	TAILQ_REMOVE(&g->g_procs, p, p_entry);
	if (p->p_cont != NULL && p->p_cont->k_first == p)
		p->p_cont->k_first = NULL;
	proc_stdin_close(p);
	pump_close(&p->p_out);
	pump_close(&p->p_err);
	proc_close(&p->p_childfd[0]);
	proc_close(&p->p_childfd[1]);
	proc_close(&p->p_childfd[2]);
	json_decref(p->p_conf);
	free(p->p_id);
	free(p->p_cid);
	free(p);
}

/* Reaped and silent for good. */
static void
proc_finish(struct guest_proc *p)
{
	struct guest	*g = p->p_guest;

	if (p->p_started == 0 || p->p_reaped == 0 || p->p_out.u_fd != -1 ||
	    p->p_err.u_fd != -1)
		return;
	guest_debug("process %s: finished, status %u", p->p_id, p->p_status);
	guest_report(p);
	guest_progress(g);
}

/* Give up on output that somebody out of our reach still holds open. */
void
guest_proc_abandon(struct guest_proc *p)
{
	if (p->p_reaped == 0)
		p->p_status = 128 + SIGKILL;
	p->p_reaped = 1;
	p->p_started = 1;
	pump_close(&p->p_out);
	pump_close(&p->p_err);
	proc_finish(p);
}

/* There are agents that call it a success to be killed. */
static uint8_t
proc_status(const struct guest *g, int st)
{
	if (!WIFSIGNALED(st))
		return ((uint8_t)WEXITSTATUS(st));
	if (g->g_profile->f_signal == 0)
		return (0);
	return ((uint8_t)(g->g_profile->f_signal + WTERMSIG(st)));
}

void
guest_reap(struct guest *g)
{
	struct guest_proc	*p;
	pid_t			 pid;
	int			 st;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (guest_cont_reaped(g, pid) == 1)
			continue;
		TAILQ_FOREACH(p, &g->g_procs, p_entry)
			if (p->p_pid == pid && p->p_reaped == 0)
				break;
		if (p == NULL)
			continue;
		p->p_reaped = 1;
		p->p_status = proc_status(g, st);
		if (p->p_started == 1)
			proc_stdin_close(p);
		if (p->p_first == 1 && p->p_cont != NULL)
			guest_cont_exited(p->p_cont);
		proc_finish(p);
	}
	guest_progress(g);
}

struct guest_proc *
guest_proc_byseq(struct guest *g, uint64_t seq)
{
	struct guest_proc	*p;

	if (seq == 0)
		return (NULL);
	TAILQ_FOREACH(p, &g->g_procs, p_entry)
		if (p->p_out.u_seq == seq)
			return (p);
	return (NULL);
}

struct guest_proc *
guest_proc_byid(struct guest_cont *c, const char *id)
{
	struct guest_proc	*p;

	if (c->k_first != NULL && strcmp(c->k_first->p_id, id) == 0)
		return (c->k_first);
	if (c->k_first == NULL)
		return (NULL);
	TAILQ_FOREACH(p, &c->k_first->p_guest->g_procs, p_entry)
		if (p->p_cont == c && strcmp(p->p_id, id) == 0)
			return (p);
	return (NULL);
}

void
guest_proc_winsize(struct guest_proc *p, int rows, int columns)
{
	struct winsize	ws;

	memset(&ws, 0, sizeof(ws));
	ws.ws_row = (unsigned short)rows;
	ws.ws_col = (unsigned short)columns;
	if (p->p_out.u_fd != -1)
		(void)ioctl(p->p_out.u_fd, TIOCSWINSZ, &ws);
}

size_t
guest_proc_stdin(struct guest_proc *p, const uint8_t *data, size_t len)
{
	size_t	max = p->p_guest->g_profile->f_stdin;
	size_t	n, end, used = 0;
	ssize_t	w;

	if (p->p_infd == -1 || p->p_ineof == 1)
		return (len);
	if (p->p_started == 1 && p->p_inlen == 0) {
		w = write(p->p_infd, data, len);
		if (w > 0)
			used = (size_t)w;
		else if (w == -1 && errno != EAGAIN && errno != EINTR) {
			proc_stdin_close(p);
			return (len);
		}
	}
	if (used == len)
		return (used);
	if (p->p_inq == NULL)
		p->p_inq = guest_alloc(max);
	while (used < len && p->p_inlen < max) {
		end = (p->p_inoff + p->p_inlen) % max;
		n = end < p->p_inoff ? p->p_inoff - end : max - end;
		if (n > len - used)
			n = len - used;
		memcpy(p->p_inq + end, data + used, n);
		p->p_inlen += n;
		used += n;
	}
	if (p->p_started == 1)
		event_add(&p->p_inev, NULL);
	return (used);
}

/* How much of a message is kept where what does not fit is lost. */
size_t
guest_proc_stdin_room(struct guest_proc *p, size_t len)
{
	size_t	room = p->p_guest->g_profile->f_stdin - p->p_inlen;

	if (len <= room || p->p_infd == -1 || p->p_ineof == 1)
		return (len);
	if (p->p_dropped++ == 0)
		guest_protocol("stdin dropped");
	return (room);
}

/* A terminal has no end of input: its driver makes one from a character. */
void
guest_proc_stdin_eof(struct guest_proc *p)
{
	if (p->p_terminal == 1 || p->p_infd == -1)
		return;
	p->p_ineof = 1;
	if (p->p_started == 1 && p->p_inlen == 0)
		proc_stdin_close(p);
}

static void
proc_stdin_close(struct guest_proc *p)
{
	if (p->p_infd == -1)
		return;
	if (p->p_started == 1 && event_initialized(&p->p_inev))
		event_del(&p->p_inev);
	proc_close(&p->p_infd);
	free(p->p_inq);
	p->p_inq = NULL;
	p->p_inlen = p->p_inoff = 0;
	guest_chan_kick(&p->p_guest->g_tty);
}

static void
proc_stdin_event(int fd, short what, void *arg)
{
	struct guest_proc	*p = arg;
	size_t			 n, max = p->p_guest->g_profile->f_stdin;
	ssize_t			 w;

	(void)what;
	n = max - p->p_inoff;
	if (n > p->p_inlen)
		n = p->p_inlen;
	if ((w = write(fd, p->p_inq + p->p_inoff, n)) == -1) {
		if (errno != EAGAIN && errno != EINTR)
			proc_stdin_close(p);
		return;
	}
	p->p_inoff = (p->p_inoff + (size_t)w) % max;
	p->p_inlen -= (size_t)w;
	guest_chan_kick(&p->p_guest->g_tty);
	if (p->p_inlen > 0)
		return;
	event_del(&p->p_inev);
	free(p->p_inq);
	p->p_inq = NULL;
	p->p_inoff = 0;
	if (p->p_ineof == 1)
		proc_stdin_close(p);
}

static void
pump_start(struct guest_pump *u)
{
	event_set(&u->u_ev, u->u_fd, EV_READ | EV_PERSIST, pump_event, u);
	if (u->u_proc->p_guest->g_paused == 0)
		event_add(&u->u_ev, NULL);
}

static void
pump_close(struct guest_pump *u)
{
	if (u->u_fd == -1)
		return;
	if (event_initialized(&u->u_ev))
		event_del(&u->u_ev);
	proc_close(&u->u_fd);
}

static void
pump_event(int fd, short what, void *arg)
{
	static uint8_t		 buf[HYP_TTY_PAYLOAD_MAX];
	struct guest_pump	*u = arg;
	struct guest		*g = u->u_proc->p_guest;
	struct guest_buf	*b;
	ssize_t			 n;
	int			 i;

	(void)what;
	for (i = 0; i < PROC_READS; i++) {
		n = read(fd, buf, g->g_profile->f_output);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			pump_close(u);
			proc_finish(u->u_proc);
			return;
		}
		b = guest_buf_new(HYP_TTY_HEADER_SIZE + (size_t)n);
		hyp_tty_encode(b->b_data, u->u_seq, (size_t)n);
		memcpy(b->b_data + HYP_TTY_HEADER_SIZE, buf, (size_t)n);
		guest_chan_put(&g->g_tty, b);
		if (g->g_tty.c_high == 1) {
			guest_pumps_pause(g, 1);
			return;
		}
	}
}

/* The host is slow: leave output where it slows its process down. */
void
guest_pumps_pause(struct guest *g, int pause)
{
	struct guest_proc	*p;
	struct guest_pump	*u[2];
	int			 i;

	if (g->g_paused == pause)
		return;
	g->g_paused = pause;
	TAILQ_FOREACH(p, &g->g_procs, p_entry) {
		u[0] = &p->p_out;
		u[1] = &p->p_err;
		for (i = 0; i < 2 && p->p_started == 1; i++) {
			if (u[i]->u_fd == -1)
				continue;
			if (pause == 1)
				event_del(&u[i]->u_ev);
			else
				event_add(&u[i]->u_ev, NULL);
		}
	}
}

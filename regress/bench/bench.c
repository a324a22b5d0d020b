/* SPDX-License-Identifier: ISC */

/*
 * What the real daemon costs: throughput, latency, memory and the start of
 * a VM's engine, next to a bare relay of the same bytes in the same run.
 * Measurements of both alternate, so that what else the machine does hits
 * both.  It prints numbers and judges none; who trusts them looks at the
 * spread.  The daemon, the agents and the relay are processes of their own.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "client.h"
#include "frame.h"
#include "hyper.h"

#define ROUNDS		7
#define OUT1_BYTES	(48 * 1024 * 1024)
#define OUT8_BYTES	(192 * 1024 * 1024)
#define IN8_BYTES	(192 * 1024 * 1024)
#define TRIPS		5000
#define CLIENTS		16
#define COMMANDS	20000
#define SHIMS		1000
#define REGISTRATIONS	50
#define VALUES_MAX	64
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#define MIB		(1024.0 * 1024.0)

enum side_name {
	DAEMON,
	RELAY,
	SIDES
};

enum row_name {
	ROW_OUT1,
	ROW_OUT8,
	ROW_IN8,
	ROW_PING_RATE,
	ROW_PING,
	ROW_PING_P99,
	ROW_COMMANDS,
	ROW_ECHO,
	ROW_ECHO_P99,
	ROW_PARENT,
	ROW_FRONTEND,
	ROW_ENGINE,
	ROW_SHIM_ENGINE,
	ROW_SHIM_FRONTEND,
	ROW_REGISTER,
	ROW_MAX
};

struct row {
	const char	*what;
	const char	*unit;
	int		 decimals;
	size_t		 n[SIDES];
	double		 v[SIDES][VALUES_MAX];
};

/* One way to an agent.  The descriptors block. */
struct side {
	struct ccp	*cmd;	/* commands; NULL: ctl leads to the agent */
	int		 ctl;
	int		 io;	/* the shim's connection, or the relay */
	int		 ping;	/* for pings; the relay has io for that */
};

static struct row	 rows[ROW_MAX] = {
	[ROW_OUT1] = { .what = "stdout, 1 KiB messages",
	    .unit = "MiB/s", .decimals = 1 },
	[ROW_OUT8] = { .what = "stdout, 8 KiB messages",
	    .unit = "MiB/s", .decimals = 1 },
	[ROW_IN8] = { .what = "stdin, 8 KiB frames",
	    .unit = "MiB/s", .decimals = 1 },
	[ROW_PING_RATE] = { .what = "ping, one client", .unit = "1/s" },
	[ROW_PING] = { .what = "ping, median",
	    .unit = "us", .decimals = 1 },
	[ROW_PING_P99] = { .what = "ping, 99th percentile",
	    .unit = "us", .decimals = 1 },
	[ROW_COMMANDS] = { .what = "ping, 16 clients", .unit = "1/s" },
	[ROW_ECHO] = { .what = "echo of one byte, median",
	    .unit = "us", .decimals = 1 },
	[ROW_ECHO_P99] = { .what = "echo of one byte, 99th pct",
	    .unit = "us", .decimals = 1 },
	[ROW_PARENT] = { .what = "memory of the parent", .unit = "KiB" },
	[ROW_FRONTEND] = { .what = "memory of the frontend", .unit = "KiB" },
	[ROW_ENGINE] = { .what = "memory of an idle engine", .unit = "KiB" },
	[ROW_SHIM_ENGINE] = { .what = "idle shim, in the engine",
	    .unit = "bytes" },
	[ROW_SHIM_FRONTEND] = { .what = "idle shim, in the frontend",
	    .unit = "bytes" },
	[ROW_REGISTER] = { .what = "RegisterVM to its response",
	    .unit = "ms", .decimals = 2 }
};

static const char	 ping_text[] = "{\"hyperName\":\"ping\"}";

static void		 measure(const char *, const char *);
static void		 side_start(struct side *, const struct proxy *,
			    const struct peer_vm *);
static void		 order(const struct side *, enum peer_op, size_t,
			    size_t);
static void		 measure_one(enum row_name, enum side_name,
			    const struct side *);
static void		 measure_stdout(enum row_name, enum side_name,
			    const struct side *, size_t, size_t);
static void		 measure_stdin(enum row_name, enum side_name,
			    const struct side *, size_t, size_t);
static void		 measure_ping(enum side_name, const struct side *);
static void		 measure_echo(enum side_name, const struct side *);
static double		 trips(int, const void *, size_t, size_t, double *);
static void		 measure_commands(const int *);
static void		 measure_memory(const char *, const char *);
static void		 measure_register(const struct proxy *, const char *);
static size_t		 ping_frame(uint8_t *);
static void		 check_answer(const uint8_t *);
static double		 now(void);
static int		 compare(const void *, const void *);
static void		 add(enum row_name, enum side_name, double);
static void		 report(void);
static void		 report_row(struct row *, enum side_name);

/*
 * Whatever becomes of the process that measures, the ones it started end
 * with it; they become ours, and the directory goes when all are gone.
 */
int
main(int argc, char *argv[])
{
	char	 dir[] = "/tmp/ccp-bench.XXXXXX";
	char	*build;
	pid_t	 pid;
	int	 status;

	if (argc != 2)
		errx(1, "usage: bench directory");
	if ((build = realpath(argv[1], NULL)) == NULL)
		err(1, "%s", argv[1]);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1)
		err(1, "prctl");
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) == -1)
		err(1, "%s", dir);
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1)
			err(1, "prctl");
		measure(build, dir);
		exit(0);
	}
	signal(SIGINT, SIG_IGN);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			err(1, "waitpid");
	while (wait(NULL) != -1 || errno == EINTR)
		continue;
	proxy_clean(dir, status != 0);
	free(build);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void
measure(const char *build, const char *dir)
{
	static const enum row_name paired[] = {
		ROW_OUT1, ROW_OUT8, ROW_IN8, ROW_PING, ROW_ECHO
	};
	struct side		 sides[SIDES];
	struct peer_relay	 bare;
	struct peer_vm		 vm;
	struct proxy		 px;
	struct rlimit		 rl;
	struct ccp		*h;
	size_t			 p;
	int			 clients[CLIENTS], round, i, s;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		err(1, "getrlimit");
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		err(1, "setrlimit");

	for (round = 0; round < ROUNDS; round++)
		measure_memory(build, dir);

	peer_relay_start(&bare);
	sides[RELAY].cmd = NULL;
	sides[RELAY].ctl = bare.ctl;
	sides[RELAY].io = sides[RELAY].ping = bare.io;
	proxy_start(&px, build, dir);
	peer_vm_start(&vm, dir, "main");
	side_start(&sides[DAEMON], &px, &vm);
	for (i = 0; i < CLIENTS; i++) {
		h = proxy_client(&px);
		if (ccp_attach(h, vm.id, NULL, 0) == -1)
			errx(1, "AttachVM: %s", ccp_error(h));
		clients[i] = proxy_detach(h);
	}
	sides[DAEMON].ping = clients[0];
	for (round = 0; round < ROUNDS; round++) {
		for (p = 0; p < nitems(paired); p++) {
			for (i = 0; i < SIDES; i++) {
				s = (round + i) % SIDES;
				measure_one(paired[p], s, &sides[s]);
			}
		}
		measure_commands(clients);
	}
	measure_register(&px, dir);
	proxy_stop(&px);
	peer_vm_stop(&vm);
	report();
}

static void
side_start(struct side *s, const struct proxy *px, const struct peer_vm *vm)
{
	struct ccp	*shim;
	char		*token;

	memset(s, 0, sizeof(*s));
	s->ctl = -1;
	s->cmd = proxy_client(px);
	if (ccp_register(s->cmd, vm->id, vm->ctl, vm->io, NULL, &token,
	    1) == -1)
		errx(1, "RegisterVM: %s", ccp_error(s->cmd));
	shim = proxy_client(px);
	if (ccp_connect_shim(shim, token) == -1)
		errx(1, "ConnectShim: %s", ccp_error(shim));
	proxy_process(s->cmd, token, 0);
	ccp_tokens_free(&token, 1);
	s->io = proxy_detach(shim);
}

/* Returns when the agent has acknowledged it, and begins. */
static void
order(const struct side *s, enum peer_op op, size_t size, size_t count)
{
	uint8_t	 buf[HYP_CTL_HEADER_SIZE + 64];
	char	 text[64];
	size_t	 len;

	snprintf(text, sizeof(text), "[%d,%zu,%zu]", (int)op, size, count);
	if (s->cmd != NULL) {
		if (ccp_hyper(s->cmd, "writefile", NULL, 0, text, NULL,
		    NULL) == -1)
			errx(1, "writefile: %s", ccp_error(s->cmd));
		return;
	}
	len = strlen(text);
	hyp_ctl_encode(buf, HYP_WRITEFILE, len);
	memcpy(buf + HYP_CTL_HEADER_SIZE, text, len);
	peer_write(s->ctl, buf, HYP_CTL_HEADER_SIZE + len);
	peer_read(s->ctl, buf, HYP_CTL_HEADER_SIZE);
}

static void
measure_one(enum row_name row, enum side_name name, const struct side *s)
{
	switch (row) {
	case ROW_OUT1:
		measure_stdout(row, name, s, 1024, OUT1_BYTES);
		break;
	case ROW_OUT8:
		measure_stdout(row, name, s, 8192, OUT8_BYTES);
		break;
	case ROW_IN8:
		measure_stdin(row, name, s, 8192, IN8_BYTES);
		break;
	case ROW_PING:
		measure_ping(name, s);
		break;
	default:
		measure_echo(name, s);
		break;
	}
}

static void
measure_stdout(enum row_name row, enum side_name name, const struct side *s,
    size_t size, size_t bytes)
{
	static uint8_t	 buf[PEER_READ];
	size_t		 count = bytes / size;
	size_t		 left = count * (PEER_HEADER + size);
	ssize_t		 n;
	double		 t;

	t = now();
	order(s, PEER_FLOOD, size, count);
	for (; left > 0; left -= (size_t)n) {
		if ((n = read(s->io, buf, sizeof(buf))) == -1)
			err(1, "read");
		if (n == 0 || (size_t)n > left)
			errx(1, "stdout: %zd bytes where %zu were left", n,
			    left);
	}
	add(row, name, (double)bytes / MIB / (now() - t));
}

static void
measure_stdin(enum row_name row, enum side_name name, const struct side *s,
    size_t size, size_t bytes)
{
	static uint8_t	 buf[PEER_READ];
	size_t		 count = bytes / size, i;
	double		 t;

	frm_encode(buf, FRM_STREAM, FRM_STDIN, 0, (uint32_t)size);
	memset(buf + FRM_HEADER_SIZE, 'x', size);
	order(s, PEER_SINK, size, count);
	t = now();
	for (i = 0; i < count; i++)
		peer_write(s->io, buf, FRM_HEADER_SIZE + size);
	peer_read(s->io, buf, PEER_HEADER + 1);
	add(row, name, (double)bytes / MIB / (now() - t));
}

static size_t
ping_frame(uint8_t *p)
{
	const size_t	 len = sizeof(ping_text) - 1;

	frm_encode(p, FRM_COMMAND, FRM_HYPER, 0, (uint32_t)len);
	memcpy(p + FRM_HEADER_SIZE, ping_text, len);
	return (FRM_HEADER_SIZE + len);
}

static void
check_answer(const uint8_t *p)
{
	struct frm_header	 hdr;

	if (frm_decode(p, &hdr) != FRM_OK || hdr.type != FRM_RESPONSE ||
	    hdr.opcode != FRM_HYPER || hdr.in_error || hdr.len != 0)
		errx(1, "ping was not answered as it should be");
}

/* Fills in TRIPS times in order of length; returns the time of them all. */
static double
trips(int fd, const void *frame, size_t len, size_t answerlen, double *times)
{
	uint8_t	 answer[64];
	double	 begin, t0, t1;
	int	 i;

	begin = t0 = now();
	for (i = 0; i < TRIPS; i++) {
		peer_write(fd, frame, len);
		peer_read(fd, answer, answerlen);
		t1 = now();
		times[i] = t1 - t0;
		t0 = t1;
	}
	qsort(times, TRIPS, sizeof(*times), compare);
	if (answerlen == FRM_HEADER_SIZE)
		check_answer(answer);
	return (t1 - begin);
}

/* The relay gets as many bytes and gives them back. */
static void
measure_ping(enum side_name name, const struct side *s)
{
	static double	 times[TRIPS];
	uint8_t		 frame[64];
	size_t		 len;
	double		 t;

	len = ping_frame(frame);
	t = trips(s->ping, frame, len, name == DAEMON ? FRM_HEADER_SIZE :
	    len, times);
	add(ROW_PING_RATE, name, TRIPS / t);
	add(ROW_PING, name, times[TRIPS / 2] * 1e6);
	add(ROW_PING_P99, name, times[TRIPS * 99 / 100] * 1e6);
}

static void
measure_echo(enum side_name name, const struct side *s)
{
	static double	 times[TRIPS];
	uint8_t		 frame[FRM_HEADER_SIZE + 1];

	frm_encode(frame, FRM_STREAM, FRM_STDIN, 0, 1);
	frame[FRM_HEADER_SIZE] = 'x';
	trips(s->io, frame, sizeof(frame), PEER_HEADER + 1, times);
	add(ROW_ECHO, name, times[TRIPS / 2] * 1e6);
	add(ROW_ECHO_P99, name, times[TRIPS * 99 / 100] * 1e6);
}

/* Each client has one command under way. */
static void
measure_commands(const int *fds)
{
	struct pollfd	 pfd[CLIENTS];
	uint8_t		 frame[64], answer[FRM_HEADER_SIZE];
	size_t		 len;
	double		 t;
	int		 sent = 0, done = 0, i;

	len = ping_frame(frame);
	t = now();
	for (i = 0; i < CLIENTS; i++, sent++) {
		pfd[i].fd = fds[i];
		pfd[i].events = POLLIN;
		peer_write(fds[i], frame, len);
	}
	while (done < COMMANDS) {
		if (poll(pfd, CLIENTS, -1) == -1)
			err(1, "poll");
		for (i = 0; i < CLIENTS; i++) {
			if (pfd[i].revents == 0)
				continue;
			peer_read(fds[i], answer, sizeof(answer));
			check_answer(answer);
			done++;
			if (sent < COMMANDS) {
				peer_write(fds[i], frame, len);
				sent++;
			}
		}
	}
	add(ROW_COMMANDS, DAEMON, COMMANDS / (now() - t));
}

/* A daemon of its own each time: what others left behind counts as well. */
static void
measure_memory(const char *build, const char *dir)
{
	static char		*tokens[SHIMS];
	static struct ccp	*shims[SHIMS];
	struct peer_vm		 vm;
	struct proxy		 px;
	struct ccp		*cmd;
	pid_t			 frontend, engine;
	long			 kib_frontend, kib_engine;
	size_t			 i;

	proxy_start(&px, build, dir);
	peer_vm_start(&vm, dir, "idle");
	cmd = proxy_client(&px);
	if (ccp_register(cmd, vm.id, vm.ctl, vm.io, NULL, NULL, 0) == -1)
		errx(1, "RegisterVM: %s", ccp_error(cmd));
	frontend = proxy_child(&px, "ccp-frontend");
	engine = proxy_child(&px, "ccp-vmengine");
	kib_frontend = proxy_memory(frontend);
	kib_engine = proxy_memory(engine);
	if (kib_engine != -1) {
		add(ROW_PARENT, DAEMON, (double)proxy_memory(px.pid));
		add(ROW_FRONTEND, DAEMON, (double)kib_frontend);
		add(ROW_ENGINE, DAEMON, (double)kib_engine);
	}
	if (ccp_attach(cmd, vm.id, tokens, SHIMS) == -1)
		errx(1, "AttachVM: %s", ccp_error(cmd));
	for (i = 0; i < SHIMS; i++) {
		shims[i] = proxy_client(&px);
		if (ccp_connect_shim(shims[i], tokens[i]) == -1)
			errx(1, "ConnectShim: %s", ccp_error(shims[i]));
		proxy_process(cmd, tokens[i], i);
	}
	if (kib_engine != -1) {
		add(ROW_SHIM_ENGINE, DAEMON, 1024.0 / SHIMS *
		    (double)(proxy_memory(engine) - kib_engine));
		add(ROW_SHIM_FRONTEND, DAEMON, 1024.0 / SHIMS *
		    (double)(proxy_memory(frontend) - kib_frontend));
	}
	for (i = 0; i < SHIMS; i++)
		ccp_free(shims[i]);
	ccp_tokens_free(tokens, SHIMS);
	ccp_free(cmd);
	proxy_stop(&px);
	peer_vm_stop(&vm);
}

static void
measure_register(const struct proxy *px, const char *dir)
{
	static struct peer_vm	 vms[REGISTRATIONS];
	struct ccp		*h[REGISTRATIONS];
	char			 id[16];
	double			 t;
	int			 i;

	for (i = 0; i < REGISTRATIONS; i++) {
		snprintf(id, sizeof(id), "vm%d", i);
		peer_vm_start(&vms[i], dir, id);
	}
	for (i = 0; i < REGISTRATIONS; i++) {
		h[i] = proxy_client(px);
		t = now();
		if (ccp_register(h[i], vms[i].id, vms[i].ctl, vms[i].io,
		    NULL, NULL, 0) == -1)
			errx(1, "RegisterVM: %s", ccp_error(h[i]));
		add(ROW_REGISTER, DAEMON, (now() - t) * 1e3);
	}
	for (i = 0; i < REGISTRATIONS; i++) {
		if (ccp_unregister(h[i], vms[i].id) == -1)
			errx(1, "UnregisterVM: %s", ccp_error(h[i]));
		ccp_free(h[i]);
		peer_vm_stop(&vms[i]);
	}
}

static double
now(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

static int
compare(const void *a, const void *b)
{
	const double	*x = a, *y = b;

	return ((*x > *y) - (*x < *y));
}

static void
add(enum row_name row, enum side_name name, double v)
{
	if (rows[row].n[name] < VALUES_MAX)
		rows[row].v[name][rows[row].n[name]++] = v;
}

static void
report(void)
{
	struct utsname	 uts;
	double		 load[1] = { 0 };
	size_t		 i;

	if (uname(&uts) == -1 || getloadavg(load, 1) == -1)
		err(1, "uname");
	printf("%d rounds, Linux %s, %ld processors, load %.2f\n", ROUNDS,
	    uts.release, sysconf(_SC_NPROCESSORS_ONLN), load[0]);
	printf("%-27s %-6s %-5s %9s %9s %9s %8s\n", "what", "by", "unit",
	    "min", "median", "max", "of relay");
	for (i = 0; i < ROW_MAX; i++) {
		report_row(&rows[i], DAEMON);
		if (rows[i].n[RELAY] > 0)
			report_row(&rows[i], RELAY);
	}
}

/* Rounds are compared with their like, before anything is sorted. */
static void
report_row(struct row *r, enum side_name name)
{
	double	 ratio[VALUES_MAX], *v = r->v[name];
	size_t	 n = r->n[name], i;

	if (n == 0) {
		printf("%-27s not known: needs root\n", r->what);
		return;
	}
	if (name == DAEMON)
		for (i = 0; i < r->n[RELAY]; i++)
			ratio[i] = v[i] / r->v[RELAY][i];
	qsort(v, n, sizeof(*v), compare);
	printf("%-27s %-6s %-5s %9.*f %9.*f %9.*f", r->what,
	    name == DAEMON ? "daemon" : "relay", r->unit, r->decimals, v[0],
	    r->decimals, v[n / 2], r->decimals, v[n - 1]);
	if (name == DAEMON && r->n[RELAY] > 0) {
		qsort(ratio, n, sizeof(*ratio), compare);
		printf(" %8.2f", ratio[n / 2]);
	}
	putchar('\n');
}

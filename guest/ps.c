/* SPDX-License-Identifier: ISC */

/*
 * PSCONTAINER: the processes of a container, as an array of process ids or
 * as what ps prints about them.  ps runs in a child and is not waited for;
 * its lines are kept if their PID column names one of the container's.
 * Where there is no ps, a small table of our own takes its place.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "hyper.h"

#define PS_MAX		(HYP_RECV_MAX - HYP_CTL_HEADER_SIZE)
#define PS_MISSING	127	/* as a shell says it */

static void	ps_json(struct guest *, const pid_t *, size_t);
static void	ps_start(struct guest *, json_t *);
__attribute__((__noreturn__))
static void	ps_exec(json_t *);
static void	ps_event(int, short, void *);
static void	ps_table(struct guest *, const pid_t *, size_t);
static void	ps_filter(struct guest *, char *, const pid_t *, size_t);
static int	ps_column(const char *);
static pid_t	ps_pid(const char *, int);
static void	ps_fields(pid_t, FILE *);

void
guest_ps(struct guest *g, struct guest_cont *c, json_t *arg)
{
	const char	*format;
	pid_t		*pids;
	size_t		 n = 0;

	format = guest_json_string(arg, "format");
	if (format != NULL && strcmp(format, "json") == 0) {
		pids = guest_cont_pids(c, &n);
		ps_json(g, pids, pids == NULL ? 0 : n);
		free(pids);
	} else if (format != NULL && strcmp(format, "table") == 0) {
		g->g_pscont = c;
		ps_start(g, guest_json_get(arg, "psargs"));
	} else
		guest_error(g, "ps: unknown format");
}

static void
ps_json(struct guest *g, const pid_t *pids, size_t n)
{
	char	*buf = NULL;
	size_t	 size, i;
	FILE	*f;

	if ((f = open_memstream(&buf, &size)) == NULL) {
		guest_error(g, "ps: %s", strerror(errno));
		return;
	}
	(void)fputc('[', f);
	for (i = 0; i < n; i++)
		(void)fprintf(f, "%s%d", i > 0 ? "," : "", (int)pids[i]);
	(void)fputc(']', f);
	if (fclose(f) == EOF || buf == NULL)
		guest_error(g, "ps: out of memory");
	else
		guest_ack(g, buf, size);
	free(buf);
}

static void
ps_start(struct guest *g, json_t *args)
{
	pid_t	pid;
	int	fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1) {
		guest_error(g, "ps: %s", strerror(errno));
		return;
	}
	if ((pid = guest_fork(0)) == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		ps_exec(args);
	}
	close(fds[1]);
	if (pid == -1 || fcntl(fds[0], F_SETFL, O_NONBLOCK) == -1) {
		guest_error(g, "ps: %s", strerror(errno));
		close(fds[0]);
		return;
	}
	g->g_psfd = fds[0];
	g->g_psbuf = guest_alloc(PS_MAX + 1);
	g->g_pslen = 0;
	event_set(&g->g_psev, fds[0], EV_READ | EV_PERSIST, ps_event, g);
	event_add(&g->g_psev, NULL);
}

static void
ps_exec(json_t *args)
{
	char	**argv, *dash = NULL, *name = NULL;
	json_t	*v;
	size_t	 i, n;
	int	 null;

	if ((null = open("/dev/null", O_RDWR)) != -1) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDERR_FILENO);
	}
	n = json_array_size(args);
	name = strdup("ps");
	dash = strdup("-ef");
	argv = calloc(n + 3, sizeof(*argv));
	if (argv == NULL || name == NULL || dash == NULL)
		_exit(PS_MISSING);
	argv[0] = name;
	argv[1] = dash;
	json_array_foreach(args, i, v) {
		if (!json_is_string(v) ||
		    (argv[i + 1] = strdup(json_string_value(v))) == NULL)
			_exit(PS_MISSING);
	}
	execvp("ps", argv);
	_exit(PS_MISSING);
}

static void
ps_event(int fd, short what, void *arg)
{
	struct guest	*g = arg;
	pid_t		*pids;
	ssize_t		 n;
	size_t		 np = 0;

	(void)what;
	n = read(fd, g->g_psbuf + g->g_pslen, PS_MAX - g->g_pslen);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		g->g_pslen += (size_t)n;
		if (g->g_pslen < PS_MAX)
			return;
	}
	event_del(&g->g_psev);
	close(g->g_psfd);
	g->g_psfd = -1;
	g->g_psbuf[g->g_pslen] = '\0';
	/* It cannot have been removed: commands are serial. */
	pids = guest_cont_pids(g->g_pscont, &np);
	if (pids == NULL)
		np = 0;
	if (g->g_pslen == 0)
		ps_table(g, pids, np);
	else
		ps_filter(g, g->g_psbuf, pids, np);
	free(pids);
	free(g->g_psbuf);
	g->g_psbuf = NULL;
	g->g_pscont = NULL;
}

static void
ps_filter(struct guest *g, char *text, const pid_t *pids, size_t n)
{
	char	*buf = NULL, *line;
	size_t	 size, i;
	pid_t	 pid;
	FILE	*f;
	int	 column;

	line = strsep(&text, "\n");
	if ((column = ps_column(line)) == -1) {
		guest_error(g, "ps: no PID column");
		return;
	}
	if ((f = open_memstream(&buf, &size)) == NULL) {
		guest_error(g, "ps: %s", strerror(errno));
		return;
	}
	(void)fprintf(f, "%s\n", line);
	while ((line = strsep(&text, "\n")) != NULL) {
		pid = ps_pid(line, column);
		for (i = 0; i < n; i++)
			if (pids[i] == pid)
				(void)fprintf(f, "%s\n", line);
	}
	if (fclose(f) == EOF || buf == NULL)
		guest_error(g, "ps: out of memory");
	else
		guest_ack(g, buf, size);
	free(buf);
}

/* The field of the header that says PID, or -1. */
static int
ps_column(const char *line)
{
	size_t	n;
	int	column;

	for (column = 0;; column++) {
		line += strspn(line, " \t");
		if ((n = strcspn(line, " \t")) == 0)
			return (-1);
		if (n == 3 && strncmp(line, "PID", 3) == 0)
			return (column);
		line += n;
	}
}

static pid_t
ps_pid(const char *line, int column)
{
	char		buf[16];
	size_t		n;

	for (;; column--) {
		line += strspn(line, " \t");
		if ((n = strcspn(line, " \t")) == 0)
			return (-1);
		if (column == 0)
			break;
		line += n;
	}
	if (n >= sizeof(buf))
		return (-1);
	memcpy(buf, line, n);
	buf[n] = '\0';
	return ((pid_t)strtonum(buf, 1, INT_MAX, NULL));
}

static void
ps_table(struct guest *g, const pid_t *pids, size_t n)
{
	char	*buf = NULL;
	size_t	 size, i;
	FILE	*f;

	if ((f = open_memstream(&buf, &size)) == NULL) {
		guest_error(g, "ps: %s", strerror(errno));
		return;
	}
	(void)fprintf(f, "%7s %7s %s CMD\n", "PID", "PPID", "S");
	for (i = 0; i < n; i++)
		ps_fields(pids[i], f);
	if (fclose(f) == EOF || buf == NULL)
		guest_error(g, "ps: out of memory");
	else
		guest_ack(g, buf, size);
	free(buf);
}

static void
ps_fields(pid_t pid, FILE *out)
{
	char	 path[64], buf[512], *name, *end, state;
	size_t	 n;
	FILE	*f;
	int	 ppid;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	(void)fclose(f);
	buf[n] = '\0';
	name = strchr(buf, '(');
	end = strrchr(buf, ')');
	if (name == NULL || end == NULL ||
	    sscanf(end + 1, " %c %d", &state, &ppid) != 2)
		return;
	*end = '\0';
	(void)fprintf(out, "%7d %7d %c %s\n", (int)pid, ppid, state,
	    name + 1);
}

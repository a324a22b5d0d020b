/* SPDX-License-Identifier: ISC */

/*
 * Containers: a first process and those executed beside it.
 *
 * With privileges a container has an init of ours, process 1 of its pid
 * namespace, which holds the namespaces and reaps strays.  The container's
 * processes are our own children (see spawn.c), so that the default action
 * of a signal applies to them, which it would not for a process 1.  When
 * the first process ends, the init is killed and the kernel ends the rest.
 *
 * Without, a container is the set of sessions of its processes.
 */

#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define CONT_FLAGS	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | \
			CLONE_NEWIPC)
#define CONT_SWEEPS	16	/* kills before a fork bomb wins */

static void	cont_child(struct guest *, int, void *);
static void	cont_ready(struct guest *, void *, const char *);
static void	cont_started(struct guest *, void *, const char *);
static void	cont_failed(struct guest *, struct guest_cont *, const char *);
static void	cont_free(struct guest_cont *);
static int	cont_stat(pid_t, pid_t *, pid_t *);
static int	cont_nsname(pid_t, char *, size_t);
static int	cont_member(struct guest_cont *, pid_t, const char *);
static pid_t	*cont_allpids(size_t *);

void
guest_cont_create(struct guest *g, json_t *conf)
{
	struct guest_cont	*c;
	json_t			*process;
	const char		*id;
	char			 err[GUEST_ERRMAX];
	pid_t			 pid;

	id = guest_json_string(conf, "id");
	process = guest_json_get(conf, "process");
	if (id == NULL || *id == '\0' || strlen(id) > GUEST_ID_MAX) {
		g->g_created(g, "container: no id");
		return;
	}
	if (g->g_profile->f_sharedid != 1 && guest_cont_find(g, id) != NULL) {
		if (g->g_profile->f_sharedid == -1)
			guest_protocol("container id in use");
		g->g_created(g, "container exists");
		return;
	}
	c = guest_alloc(sizeof(*c));
	memset(c, 0, sizeof(*c));
	c->k_id = guest_strdup(id);
	c->k_conf = json_incref(conf);
	TAILQ_INSERT_TAIL(&g->g_conts, c, k_entry);
	c->k_first = guest_proc_new(g, c, process, 1, err);
	if (c->k_first == NULL) {
		cont_failed(g, c, err);
		return;
	}
	if (g->g_ns == 0) {
		cont_ready(g, c, NULL);
		return;
	}
	pid = guest_job_start(g, CONT_FLAGS, cont_child, cont_ready, c);
	if (pid == -1)
		cont_failed(g, c, "container: cannot fork");
	else
		c->k_init = pid;
}

static void
cont_child(struct guest *g, int fd, void *arg)
{
	guest_rootfs_init(g, fd, arg);
}

static void
cont_ready(struct guest *g, void *arg, const char *err)
{
	struct guest_cont	*c = arg;

	if (err == NULL && g->g_ns == 1 && c->k_init == 0)
		err = "container: init ended";
	if (err == NULL && guest_proc_start(c->k_first, cont_started) == -1)
		err = "container: cannot fork";
	if (err != NULL)
		cont_failed(g, c, err);
}

static void
cont_started(struct guest *g, void *arg, const char *err)
{
	struct guest_proc	*p = arg;

	if (err != NULL) {
		cont_failed(g, p->p_cont, err);
		return;
	}
	guest_proc_go(p);
	g->g_created(g, NULL);
}

static void
cont_failed(struct guest *g, struct guest_cont *c, const char *err)
{
	struct guest_proc	*p, *next;
	char			 text[GUEST_ERRMAX];

	(void)strlcpy(text, err, sizeof(text));
	TAILQ_FOREACH_SAFE(p, &g->g_procs, p_entry, next)
		if (p->p_cont == c)
			guest_proc_free(p);
	guest_cont_remove(g, c);
	g->g_created(g, text);
}

struct guest_cont *
guest_cont_find(struct guest *g, const char *id)
{
	struct guest_cont	*c;

	TAILQ_FOREACH(c, &g->g_conts, k_entry)
		if (strcmp(c->k_id, id) == 0)
			return (c);
	return (NULL);
}

int
guest_cont_running(const struct guest_cont *c)
{
	return (c->k_first != NULL && c->k_first->p_reaped == 0);
}

/* The rest ends with the first process. */
void
guest_cont_exited(struct guest_cont *c)
{
	if (c->k_first != NULL && c->k_first->p_started == 1)
		c->k_first = NULL;
	guest_cont_kill(c);
}

/* Every process, once; returns their number. */
size_t
guest_cont_signal(struct guest_cont *c, int signo)
{
	pid_t	*pids;
	size_t	 i, n;

	if ((pids = guest_cont_pids(c, &n)) == NULL)
		return (0);
	for (i = 0; i < n; i++)
		(void)kill(pids[i], signo);
	free(pids);
	return (n);
}

void
guest_cont_kill(struct guest_cont *c)
{
	int	sweep;

	if (c->k_init > 0)
		(void)kill(c->k_init, SIGKILL);
	else
		for (sweep = 0; sweep < CONT_SWEEPS; sweep++)
			if (guest_cont_signal(c, SIGKILL) == 0)
				break;
}

void
guest_cont_remove(struct guest *g, struct guest_cont *c)
{
	struct guest_proc	*p;

	TAILQ_REMOVE(&g->g_conts, c, k_entry);
	guest_cont_kill(c);
	TAILQ_FOREACH(p, &g->g_procs, p_entry)
		if (p->p_cont == c)
			p->p_cont = NULL;
	c->k_first = NULL;
	if (c->k_init > 0)
		TAILQ_INSERT_TAIL(&g->g_dying, c, k_entry);
	else
		cont_free(c);
}

static void
cont_free(struct guest_cont *c)
{
	json_decref(c->k_conf);
	free(c->k_sids);
	free(c->k_id);
	free(c);
}

int
guest_cont_reaped(struct guest *g, pid_t pid)
{
	struct guest_cont	*c;

	TAILQ_FOREACH(c, &g->g_conts, k_entry)
		if (c->k_init == pid) {
			c->k_init = 0;
			return (1);
		}
	TAILQ_FOREACH(c, &g->g_dying, k_entry)
		if (c->k_init == pid) {
			TAILQ_REMOVE(&g->g_dying, c, k_entry);
			cont_free(c);
			return (1);
		}
	return (0);
}

int
guest_cont_session(struct guest_cont *c, pid_t sid)
{
	pid_t	*sids;

	sids = reallocarray(c->k_sids, c->k_nsids + 1, sizeof(*sids));
	if (sids == NULL)
		return (-1);
	sids[c->k_nsids++] = sid;
	c->k_sids = sids;
	return (0);
}

pid_t *
guest_cont_pids(struct guest_cont *c, size_t *np)
{
	pid_t	*pids;
	char	 ns[64];
	size_t	 i, n, all;

	if (c->k_init > 0 ? cont_nsname(c->k_init, ns, sizeof(ns)) == -1 :
	    c->k_nsids == 0)
		return (NULL);
	if ((pids = cont_allpids(&all)) == NULL)
		return (NULL);
	for (i = n = 0; i < all; i++)
		if (cont_member(c, pids[i], ns) == 1)
			pids[n++] = pids[i];
	*np = n;
	if (n == 0) {
		free(pids);
		return (NULL);
	}
	return (pids);
}

static int
cont_member(struct guest_cont *c, pid_t pid, const char *ns)
{
	char	buf[64];
	pid_t	ppid, sid;
	size_t	i;

	if (c->k_init > 0)
		return (pid != c->k_init &&
		    cont_nsname(pid, buf, sizeof(buf)) == 0 &&
		    strcmp(buf, ns) == 0);
	if (cont_stat(pid, &ppid, &sid) == -1)
		return (0);
	for (i = 0; i < c->k_nsids; i++)
		if (c->k_sids[i] == sid)
			return (1);
	return (0);
}

/* -1 for a zombie as well: it has no namespaces, and is as good as gone. */
static int
cont_nsname(pid_t pid, char *buf, size_t size)
{
	char	path[64];
	ssize_t	n;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	if ((n = readlink(path, buf, size - 1)) == -1)
		return (-1);
	buf[n] = '\0';
	return (0);
}

/* Parent and session of a process that is not a zombie; else -1. */
static int
cont_stat(pid_t pid, pid_t *ppid, pid_t *sid)
{
	char	 path[64], buf[512], *p, state;
	int	 pp, s;
	size_t	 n;
	FILE	*f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return (-1);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	(void)fclose(f);
	buf[n] = '\0';
	if ((p = strrchr(buf, ')')) == NULL ||
	    sscanf(p + 1, " %c %d %*d %d", &state, &pp, &s) != 3 ||
	    state == 'Z' || state == 'X')
		return (-1);
	*ppid = pp;
	*sid = s;
	return (0);
}

static pid_t *
cont_allpids(size_t *np)
{
	struct dirent	*de;
	const char	*errstr;
	size_t		 n = 0, size = 0;
	pid_t		*pids = NULL, *new, pid;
	DIR		*dir;

	if ((dir = opendir("/proc")) == NULL)
		return (NULL);
	while ((de = readdir(dir)) != NULL) {
		pid = (pid_t)strtonum(de->d_name, 1, INT_MAX, &errstr);
		if (errstr != NULL)
			continue;
		if (n == size) {
			size += 256;
			new = reallocarray(pids, size, sizeof(*pids));
			if (new == NULL)
				break;
			pids = new;
		}
		pids[n++] = pid;
	}
	(void)closedir(dir);
	*np = n;
	return (pids);
}

/*
 * Whoever left its session is our child by now, since we are the subreaper,
 * or a descendant of one.
 */
void
guest_kill_descendants(void)
{
	pid_t	*pids, ppid, sid, self = getpid();
	size_t	 i, n;
	int	 depth;

	if ((pids = cont_allpids(&n)) == NULL)
		return;
	for (i = 0; i < n; i++) {
		ppid = pids[i];
		for (depth = 0; depth < 256 && ppid > 1; depth++) {
			if (cont_stat(ppid, &ppid, &sid) == -1)
				break;
			if (ppid == self) {
				(void)kill(pids[i], SIGKILL);
				break;
			}
		}
	}
	free(pids);
}

int
guest_cont_probe(void)
{
	pid_t	pid;
	int	st;

	if ((pid = guest_fork(CONT_FLAGS)) == -1)
		return (0);
	if (pid == 0)
		_exit(guest_mount_private() == -1);
	while (waitpid(pid, &st, 0) == -1)
		if (errno != EINTR)
			return (0);
	return (WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

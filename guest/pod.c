/* SPDX-License-Identifier: ISC */

/*
 * The pod: started once, with containers of its own if the host wishes, and
 * destroyed in stages, each with a limit: ask all to end, make them, let the
 * host have the last output, reply.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "hyper.h"

static void	pod_child(struct guest *, int, void *);
static void	pod_ready(struct guest *, void *, const char *);
static void	pod_next(struct guest *, const char *);
static void	pod_clear(struct guest *);
static void	pod_forget(struct guest *);
static void	pod_asked(struct guest *);
static void	pod_again(struct guest *);
static void	pod_quit(struct guest *);
static void	pod_stage(struct guest *, enum guest_destroy, int);
static void	pod_timeout(int, short, void *);
static void	pod_destroyed(struct guest *);
static int	pod_empty(const struct guest *);
static int	pod_flushed(const struct guest *);

void
guest_startpod(struct guest *g, json_t *arg)
{
	const char	*name;

	if (g->g_pod == 1) {
		pod_again(g);
		return;
	}
	if (!json_is_object(arg) && !json_is_null(arg)) {
		guest_error(g, "pod: no object");
		return;
	}
	name = guest_json_string(arg, "shareDir");
	if (g->g_vm == 1 && g->g_profile->f_sharedir == 1 &&
	    (name == NULL || *name == '\0')) {
		guest_error(g, "pod: no shared directory");
		return;
	}
	free(g->g_hostname);
	g->g_hostname = NULL;
	name = guest_json_string(arg, "hostname");
	if (name != NULL && *name != '\0') {
		if (strlen(name) > 64) {
			guest_error(g, "pod: hostname too long");
			return;
		}
		g->g_hostname = guest_strdup(name);
	}
	g->g_startconf = json_incref(arg);
	g->g_startnext = 0;
	if (g->g_vm == 0) {
		pod_ready(g, NULL, NULL);
		return;
	}
	if (guest_job_start(g, 0, pod_child, pod_ready, NULL) == -1)
		pod_next(g, "pod: cannot fork");
}

static void
pod_again(struct guest *g)
{
	if (g->g_profile->f_again == AGAIN_ACK) {
		guest_ack(g, NULL, 0);
		return;
	}
	if (g->g_profile->f_again == AGAIN_EXIT)
		g->g_quitting = g->g_status = 1;
	guest_error(g, "pod already started");
}

static void
pod_child(struct guest *g, int fd, void *arg)
{
	(void)arg;
	guest_vm_startpod(g, fd, g->g_startconf);
}

static void
pod_ready(struct guest *g, void *arg, const char *err)
{
	json_t		*dns;
	const char	*tag;

	(void)arg;
	if (err == NULL && g->g_vm == 1) {
		tag = guest_json_string(g->g_startconf, "shareDir");
		dns = guest_json_get(g->g_startconf, "dns");
		if (tag != NULL && *tag != '\0') {
			g->g_sharedir = GUEST_VM_SHARE;
			g->g_mounted = 1;
		}
		g->g_dns = json_array_size(dns) > 0;
	}
	if (err == NULL)
		g->g_pod = 1;
	pod_next(g, err);
}

/* The containers of STARTPOD, one after another. */
static void
pod_next(struct guest *g, const char *err)
{
	json_t	*list, *conf;

	if (err == NULL) {
		list = guest_json_get(g->g_startconf, "containers");
		conf = json_array_get(list, g->g_startnext);
		if (conf != NULL) {
			g->g_startnext++;
			g->g_created = pod_next;
			guest_cont_create(g, conf);
			return;
		}
	} else {
		pod_clear(g);
		if (g->g_profile->f_startexit == 1)
			g->g_quitting = g->g_status = 1;
	}
	json_decref(g->g_startconf);
	g->g_startconf = NULL;
	guest_reply(g, err);
}

/* As if there had been no pod: nothing of it is reported any more. */
static void
pod_clear(struct guest *g)
{
	struct guest_cont	*c;
	struct guest_proc	*p;

	while ((c = TAILQ_FIRST(&g->g_conts)) != NULL)
		guest_cont_remove(g, c);
	while ((p = TAILQ_FIRST(&g->g_procs)) != NULL)
		guest_proc_free(p);
	pod_forget(g);
}

static void
pod_forget(struct guest *g)
{
	if (g->g_mounted == 1) {
		guest_vm_unmount();
		g->g_sharedir = NULL;
		g->g_mounted = 0;
	}
	g->g_dns = 0;
	g->g_pod = 0;
}

void
guest_destroypod(struct guest *g)
{
	struct guest_cont	*c;

	if (g->g_profile->f_ask == 1) {
		TAILQ_FOREACH(c, &g->g_conts, k_entry)
			if (guest_cont_running(c) == 1)
				(void)guest_cont_signal(c, SIGTERM);
		g->g_asked++;
		g->g_askedgen = g->g_replygen;
		guest_defer(g);
		guest_progress(g);
		return;
	}
	evtimer_set(&g->g_timer, pod_timeout, g);
	TAILQ_FOREACH(c, &g->g_conts, k_entry)
		(void)guest_cont_signal(c, SIGTERM);
	pod_stage(g, DESTROY_TERM, GUEST_GRACE);
	guest_progress(g);
}

static void
pod_stage(struct guest *g, enum guest_destroy stage, int seconds)
{
	struct timeval	tv = { seconds, 0 };

	g->g_destroy = stage;
	evtimer_add(&g->g_timer, &tv);
}

static void
pod_timeout(int fd, short what, void *arg)
{
	struct guest		*g = arg;
	struct guest_cont	*c;
	struct guest_proc	*p;

	(void)fd;
	(void)what;
	switch (g->g_destroy) {
	case DESTROY_TERM:
		TAILQ_FOREACH(c, &g->g_conts, k_entry)
			guest_cont_kill(c);
		if (g->g_ns == 0)
			guest_kill_descendants();
		pod_stage(g, DESTROY_KILL, GUEST_REAP);
		break;
	case DESTROY_KILL:
		pod_stage(g, DESTROY_FLUSH, GUEST_FLUSH);
		while ((p = TAILQ_FIRST(&g->g_procs)) != NULL)
			guest_proc_abandon(p);
		break;
	case DESTROY_FLUSH:
		pod_destroyed(g);
		break;
	case DESTROY_NONE:
	default:
		break;
	}
}

static int
pod_empty(const struct guest *g)
{
	const struct guest_cont	*c;

	TAILQ_FOREACH(c, &g->g_conts, k_entry)
		if (c->k_init > 0)
			return (0);
	return (TAILQ_EMPTY(&g->g_procs) && TAILQ_EMPTY(&g->g_dying));
}

static int
pod_flushed(const struct guest *g)
{
	return (g->g_tty.c_fd == -1 || g->g_tty.c_outlen == 0);
}

static void
pod_destroyed(struct guest *g)
{
	evtimer_del(&g->g_timer);
	g->g_destroy = DESTROY_NONE;
	pod_clear(g);
	free(g->g_hostname);
	g->g_hostname = NULL;
	g->g_quitting = g->g_leave;
	guest_ack(g, NULL, 0);
}

void
guest_pod_sweep(struct guest *g)
{
	struct guest_cont	*c, *next;
	int			 live = 0;

	if (g->g_busy == 1)
		return;
	TAILQ_FOREACH_SAFE(c, &g->g_conts, k_entry, next) {
		if (c->k_done == 0)
			live = 1;
		else if (g->g_profile->f_remove == 1)
			guest_cont_remove(g, c);
	}
	if (g->g_profile->f_podends == 0 || g->g_asked > 0 || live == 1 ||
	    TAILQ_EMPTY(&g->g_conts))
		return;
	guest_podfinished(g);
	while ((c = TAILQ_FIRST(&g->g_conts)) != NULL)
		guest_cont_remove(g, c);
	pod_forget(g);
}

/* Whether those who were asked to end have done so. */
static void
pod_asked(struct guest *g)
{
	struct guest_cont	*c;

	if (g->g_asked == 0 || g->g_busy == 1)
		return;
	TAILQ_FOREACH(c, &g->g_conts, k_entry)
		if (c->k_done == 0)
			return;
	if (g->g_profile->f_lost == 0 && !TAILQ_EMPTY(&g->g_procs))
		return;
	for (; g->g_asked > 0; g->g_asked--)
		if (g->g_askedgen == g->g_ctl.c_gen)
			guest_send(g, HYP_ACK, NULL, 0);
	pod_clear(g);
	free(g->g_hostname);
	g->g_hostname = NULL;
	g->g_quitting = g->g_leave;
}

static void
pod_quit(struct guest *g)
{
	if (g->g_quitting == 0 || g->g_busy == 1 ||
	    (g->g_ctl.c_fd != -1 && g->g_ctl.c_outlen > 0))
		return;
	if (g->g_profile->f_ask == 1 && g->g_profile->f_lost == 0 &&
	    pod_flushed(g) == 0)
		return;
	guest_chan_flush(&g->g_tty);
	guest_quit(g, g->g_status);
}

void
guest_progress(struct guest *g)
{
	struct guest_cont	*c = g->g_removing;

	guest_pod_sweep(g);
	pod_asked(g);

	if (c != NULL && c->k_init == 0) {
		g->g_removing = NULL;
		guest_cont_remove(g, c);
		guest_ack(g, NULL, 0);
	}
	if ((g->g_destroy == DESTROY_TERM || g->g_destroy == DESTROY_KILL) &&
	    pod_empty(g) == 1)
		pod_stage(g, DESTROY_FLUSH, GUEST_FLUSH);
	if (g->g_destroy == DESTROY_FLUSH && TAILQ_EMPTY(&g->g_procs) &&
	    pod_flushed(g) == 1)
		pod_destroyed(g);
	pod_quit(g);
}

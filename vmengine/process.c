/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: processes by the names that agents know them by, and the
 * containers that an agent has removed by itself.  The names come from
 * clients, events from the guest.
 */

#include <stdlib.h>
#include <string.h>

#include "hypjson.h"
#include "vmengine.h"

static void	vme_gone_add(const char *);
static struct vme_gone *vme_gone_find(const char *);

static int
vme_proc_cmp(struct vme_process *a, struct vme_process *b)
{
	int	 n;

	n = strcmp(a->container, b->container);
	return (n != 0 ? n : strcmp(a->process, b->process));
}

RB_GENERATE(vme_procs, vme_process, entry, vme_proc_cmp)

/*
 * A process was started for the session.  Its end may be known already.  A
 * name that is used again means the new one: the agent removed the old one.
 */
void
vme_process_new(struct vme_session *s, struct vme_order *o)
{
	struct vme_process	*p, *old;

	/* No event has longer names. */
	if (o->container == NULL || o->process == NULL ||
	    strlen(o->container) > HYP_NAME_MAX ||
	    strlen(o->process) > HYP_NAME_MAX || s == env->null_session)
		return;
	vme_process_free(s);
	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal("%s", __func__);
	p->container = o->container;
	p->process = o->process;
	p->first = o->code == HYP_NEWCONTAINER;
	p->session = s;
	o->container = o->process = NULL;
	if ((old = RB_FIND(vme_procs, &env->procs, p)) != NULL)
		vme_process_free(old->session);
	RB_INSERT(vme_procs, &env->procs, p);
	s->proc = p;
	if (s->exited)
		vme_process_ended(s);
}

/* Its exit status was passed on. */
void
vme_process_ended(struct vme_session *s)
{
	if (s->proc != NULL && s->proc->first)
		vme_gone_add(s->proc->container);
	vme_process_free(s);
}

void
vme_process_free(struct vme_session *s)
{
	struct vme_process	*p;

	if ((p = s->proc) == NULL)
		return;
	s->proc = NULL;
	RB_REMOVE(vme_procs, &env->procs, p);
	free(p->container);
	free(p->process);
	free(p);
}

/*
 * The agent says that a process ended.  Its shim hears that after all
 * output, whose end comes on the other channel.
 */
void
vme_process_event(const uint8_t *data, size_t len)
{
	struct vme_process	*p, key;
	struct vme_session	*s;
	uint8_t			 status;

	if (hyp_event(data, len, &key.container, &key.process,
	    &status) == -1 || vme_dialect_events() == -1) {
		vme_vmlog(LOGL_DEBUG, NULL, "ignored an event of the agent");
		free(key.container);
		free(key.process);
		return;
	}
	p = RB_FIND(vme_procs, &env->procs, &key);
	if (p == NULL ? strcmp(key.process, "init") == 0 : p->first)
		vme_gone_add(key.container);
	free(key.container);
	free(key.process);
	if (p == NULL)
		return;
	s = p->session;
	vme_process_free(s);
	if (s->exited || s->has_status)
		return;
	s->has_status = 1;
	s->status = status;
	if (s->terminated)
		vme_session_exit(s);
}

/* Bounded: the oldest is forgotten. */
static void
vme_gone_add(const char *container)
{
	struct vme_gone	*g;

	vme_gone_forget(container);
	if (env->ngone == VME_GONE_MAX)
		vme_gone_forget(TAILQ_FIRST(&env->gone)->container);
	if ((g = calloc(1, sizeof(*g))) == NULL ||
	    (g->container = strdup(container)) == NULL)
		fatal("%s", __func__);
	TAILQ_INSERT_TAIL(&env->gone, g, entry);
	env->ngone++;
}

static struct vme_gone *
vme_gone_find(const char *container)
{
	struct vme_gone	*g;

	TAILQ_FOREACH(g, &env->gone, entry)
		if (strcmp(g->container, container) == 0)
			return (g);
	return (NULL);
}

int
vme_gone(const char *container)
{
	return (vme_gone_find(container) != NULL);
}

void
vme_gone_forget(const char *container)
{
	struct vme_gone	*g;

	if ((g = vme_gone_find(container)) == NULL)
		return;
	TAILQ_REMOVE(&env->gone, g, entry);
	env->ngone--;
	free(g->container);
	free(g);
}

void
vme_gone_clear(void)
{
	while (!TAILQ_EMPTY(&env->gone))
		vme_gone_forget(TAILQ_FIRST(&env->gone)->container);
}

/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: how engines and the parent are.  They are asked in rounds, a
 * few a second at most, each for all administration clients that wait; a
 * round ends when all have answered, or in time.  Who still owes an answer
 * is neither asked nor waited for again.
 *
 * An engine may have been taken over: it may answer when it was asked, once,
 * and lie about its own VM.
 */

#include <string.h>
#include <time.h>

#include "clock.h"
#include "frontend.h"

static void	fe_stats_begin(void);
static void	fe_stats_end(void);
static void	fe_stats_timer(int, short, void *);
static void	fe_stats_one(struct fe_stats *, struct imsgev *, uint32_t);
static int	fe_stats_answer(struct fe_stats *);

static struct event	 timer;
static uint64_t		 last;		/* when the last round began, ms */
static unsigned int	 pending;	/* answers that are waited for */
static int		 under_way;	/* a round */
static int		 wanted;	/* another */

static void
fe_stats_sleep(uint64_t ms)
{
	struct timeval	 tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	if (!evtimer_initialized(&timer))
		evtimer_set(&timer, fe_stats_timer, NULL);
	evtimer_add(&timer, &tv);
}

void
fe_stats_want(void)
{
	uint64_t	 now;

	if (under_way || wanted)
		return;
	now = clock_ms();
	if (last == 0 || now - last >= FE_STATS_PACE)
		fe_stats_begin();
	else {
		wanted = 1;
		fe_stats_sleep(FE_STATS_PACE - (now - last));
	}
}

static void
fe_stats_timer(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	if (under_way)
		fe_stats_end();
	else if (wanted)
		fe_stats_begin();
}

static void
fe_stats_begin(void)
{
	struct fe_vm	*vm;

	wanted = 0;
	under_way = 1;
	last = clock_ms();
	pending = 0;
	fe_stats_one(&fenv->stats, &fenv->parent, MSG_DAEMON_STATS_ASK);
	RB_FOREACH(vm, fe_vmids, &fenv->vmids)
		fe_stats_one(&vm->stats, fe_engine_serves(vm) ? &vm->engine :
		    NULL, MSG_VM_STATS_ASK);
	if (pending == 0)
		fe_stats_end();
	else
		fe_stats_sleep(FE_STATS_TIME * 1000);
}

/* iev: NULL if there is nobody to ask. */
static void
fe_stats_one(struct fe_stats *s, struct imsgev *iev, uint32_t type)
{
	s->fresh = s->awaited = 0;
	if (iev == NULL || s->asked)
		return;
	s->asked = s->awaited = 1;
	pending++;
	imsgev_signal(iev, type);
}

static void
fe_stats_end(void)
{
	struct fe_vm	*vm;

	if (evtimer_initialized(&timer))
		evtimer_del(&timer);
	under_way = 0;
	pending = 0;
	fenv->stats.awaited = 0;
	RB_FOREACH(vm, fe_vmids, &fenv->vmids)
		vm->stats.awaited = 0;
	fe_control_answer();
}

/* -1: nobody asked. */
static int
fe_stats_answer(struct fe_stats *s)
{
	if (!s->asked)
		return (-1);
	s->asked = 0;
	s->fresh = s->known = 1;
	s->time = clock_ms();
	fe_stats_gone(s);
	return (0);
}

void
fe_stats_gone(struct fe_stats *s)
{
	if (!s->awaited)
		return;
	s->awaited = 0;
	if (--pending == 0)
		fe_stats_end();
}

int
fe_stats_vm(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct fe_vm		*vm = iev->iev_arg;
	struct msg_vm_stats	 m;

	(void)fd;
	if (msg_vm_stats_decode(b, &m) == -1)
		return (-1);
	if (vm->stats.asked)
		vm->numbers = m;
	return (fe_stats_answer(&vm->stats));
}

int
fe_stats_daemon(struct imsgev *iev, struct ibuf *b, int *fd)
{
	(void)iev;
	(void)fd;
	if (msg_daemon_stats_decode(b, &fenv->numbers) == -1)
		return (-1);
	return (fe_stats_answer(&fenv->stats));
}

int
fe_stats_answered(const struct fe_stats *s, uint32_t *age)
{
	*age = s->known ? (uint32_t)((clock_ms() - s->time) / 1000) : 0;
	return (s->fresh ? MSG_ANSWERED : s->known ? MSG_ANSWERED_BEFORE :
	    MSG_ANSWERED_NEVER);
}

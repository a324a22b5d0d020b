/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: another configuration for a daemon that runs, in all
 * processes or in none.  The file is read and checked here.  Then each child
 * gets SETUP_BEGIN, what it works with, and SETUP_COMMIT, and answers with
 * SETUP_ACK once it has put that aside; when all have answered they are told
 * SETUP_SWITCH, or else SETUP_ABORT.
 *
 * The frontend decides with us: without its answer nothing changes.  An
 * engine is one VM's and cannot keep the others from it: one that does not
 * answer in time is killed.
 */

#include <sys/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "notify.h"
#include "parent.h"

#define RELOAD_ASK_MS	1000	/* between two that the frontend asks for */

static struct {
	int		 running;	/* answers are awaited */
	int		 again;		/* once more when it has ended */
	uint32_t	 generation;
	struct conf	 conf;		/* the next one */
	int		 console;	/* wanted with it at level debug */
	struct vmdirs	*dirs;
	unsigned int	 nerrors;
	char		 failure[160];	/* of the last one; "": none */
	struct event	 deadline;
	/* the frontend's request, one at a time */
	int		 asked;
	int		 for_asker;	/* this one is its */
	uint32_t	 request;
	uint64_t	 last_ask;	/* ms; 0: never */
	struct event	 ask_timer;
} reload;

static void	reload_start(void);
static int	reload_read(void);
static void	reload_begin(void);
static void	reload_switch(void);
static void	reload_abort(const char *);
static void	reload_forget(void);
static void	reload_end(int);
static void	reload_error(const char *);
static void	reload_fail(const char *, ...)
		    __attribute__((__format__(printf, 1, 2)));
static void	reload_tell(const char *);
static void	reload_answer(int);
static void	reload_timeout(int, short, void *);
static void	reload_asked(int, short, void *);

void
reload_init(void)
{
	evtimer_set(&reload.deadline, reload_timeout, NULL);
	evtimer_set(&reload.ask_timer, reload_asked, NULL);
}

int
reload_running(void)
{
	return (reload.running);
}

const char *
reload_failure(void)
{
	return (reload.failure[0] == '\0' ? NULL : reload.failure);
}

void
reload_again(void)
{
	if (reload.running)
		reload.again = 1;
	else
		reload_start();
}

static void
reload_start(void)
{
	if (penv->stopping)
		return;
	notify_reloading();
	reload.nerrors = 0;
	reload.failure[0] = '\0';
	conf_init(&reload.conf);
	if (reload_read() == -1) {
		reload_fail("%u error%s", reload.nerrors,
		    reload.nerrors == 1 ? "" : "s");
		reload_forget();
		reload_end(1);
	} else if ((penv->frontend.iev.iev_state & PARENT_OWED) != 0) {
		reload_fail("the frontend has not answered the last one");
		reload_forget();
		reload_end(1);
	} else
		reload_begin();
}

/* As at the start of the daemon, and what only that can change. */
static int
reload_read(void)
{
	const struct flags	*fl = &penv->flags;
	struct conf		*c = &reload.conf;
	const char		*name;
	char			 err[512];

	if (fl->fl_conf[0] != '\0' && conf_load(c, fl->fl_conf,
	    (fl->fl_has & FLAGS_HAS_CONF) == 0, reload_error) == -1)
		return (-1);
	if (setup_level(c, &reload.console, &name) == -1) {
		snprintf(err, sizeof(err), "not a valid log level: %s", name);
		reload_error(err);
	} else if (conf_merge(c, fl, err, sizeof(err)) == -1)
		reload_error(err);
	else
		conf_fixed(&penv->conf, c, penv->pod, reload_error);
	return (reload.nerrors > 0 ? -1 : 0);
}

static void
reload_begin(void)
{
	struct imsgev	*iev = &penv->frontend.iev;
	struct timeval	 tv;
	uint32_t	 ms = penv->conf.timeouts[FLT_RELOAD];

	reload.dirs = vmopen_load(&reload.conf.vmdirs);
	reload.running = 1;
	reload.generation++;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(&reload.deadline, &tv);
	imsgev_send(iev, MSG_SETUP_BEGIN, -1,
	    msg_u32_encode(reload.generation));
	parent_send_conf(&reload.conf);
	parent_send_policy(&reload.conf.policy);
	imsgev_send(iev, MSG_SETUP_COMMIT, -1,
	    msg_u32_encode(reload.generation));
	iev->iev_state |= PARENT_OWED;
	engines_begin(&reload.conf, reload.generation);
}

int
reload_ack(struct imsgev *iev, struct ibuf *b, int *fd)
{
	uint32_t	 gen;
	int		 ok;

	(void)fd;
	if (msg_u32u8_decode(b, &gen, &ok, 2) == -1 ||
	    gen != reload.generation)
		return (-1);
	iev->iev_state &= ~(uint32_t)PARENT_OWED;
	if (!reload.running)
		return (0);	/* too late */
	if (ok)
		reload_check();
	else
		reload_abort("the frontend has no memory for it");
	return (0);
}

void
reload_check(void)
{
	if (reload.running &&
	    (penv->frontend.iev.iev_state & PARENT_OWED) == 0 &&
	    engines_owing() == 0)
		reload_switch();
}

static void
reload_timeout(int fd, short event, void *arg)
{
	char	 why[80];

	(void)fd;
	(void)event;
	(void)arg;
	/* If it has no time for us the engines may not have, either. */
	if ((penv->frontend.iev.iev_state & PARENT_OWED) != 0) {
		snprintf(why, sizeof(why), "the frontend did not answer in "
		    "%u ms", penv->conf.timeouts[FLT_RELOAD]);
		reload_abort(why);
		return;
	}
	engines_kill_owing(reload_error);
	reload_check();
}

static void
reload_switch(void)
{
	struct ksm_times	 times;
	struct audit		 a;
	char			 line[MSG_TEXT_MAX + 1], what[900];
	int			 events = penv->conf.log_events;

	imsgev_send(&penv->frontend.iev, MSG_SETUP_SWITCH, -1,
	    msg_u32_encode(reload.generation));
	engines_decide(MSG_SETUP_SWITCH);
	conf_changes(&penv->conf, &reload.conf, what, sizeof(what));
	conf_free(&penv->conf);
	conf_move(&penv->conf, &reload.conf);
	penv->level = penv->conf.level;
	penv->console = reload.console;
	log_setlevel((enum log_level)penv->level);
	/* The last event is that there will be no more. */
	log_setevents(events || penv->conf.log_events);
	vmopen_switch(reload.dirs);
	reload.dirs = NULL;
	parent_ksm_times(&penv->conf, &times);
	ksm_set_times(&times);
	snprintf(line, sizeof(line), "configuration reloaded: %s",
	    what[0] == '\0' ? "nothing changed" : what);
	audit_begin(&a, AUDIT_CONFIG_LOADED);
	audit_str(&a, "path", penv->flags.fl_conf);
	audit_log(&a, "%s", line);
	log_setevents(penv->conf.log_events);
	reload_tell(line);
	reload.failure[0] = '\0';
	reload_end(0);
}

static void
reload_abort(const char *why)
{
	imsgev_send(&penv->frontend.iev, MSG_SETUP_ABORT, -1,
	    msg_u32_encode(reload.generation));
	engines_decide(MSG_SETUP_ABORT);
	reload_fail("%s", why);
	reload_forget();
	reload_end(1);
}

static void
reload_forget(void)
{
	conf_free(&reload.conf);
	vmopen_drop(reload.dirs);
	reload.dirs = NULL;
}

static void
reload_end(int failed)
{
	evtimer_del(&reload.deadline);
	reload.running = 0;
	reload_answer(failed);
	parent_status();
	notify_ready();
	starts_next();
	if (reload.again) {
		reload.again = 0;
		reload_start();
	}
}

/* Nobody is left to be told but the log. */
void
reload_stop(void)
{
	evtimer_del(&reload.ask_timer);
	reload.again = 0;
	if (!reload.running)
		return;
	evtimer_del(&reload.deadline);
	reload.running = 0;
	reload_fail("the daemon ends");
	reload_forget();
}

/* The first one is what the service manager is told. */
static void
reload_error(const char *line)
{
	log_entry(LOGL_ERROR, NULL, "%s", line);
	if (reload.nerrors++ == 0)
		strlcpy(reload.failure, line, sizeof(reload.failure));
	reload_tell(line);
}

static void
reload_fail(const char *fmt, ...)
{
	va_list		 ap;
	struct audit	 a;
	char		 line[256], why[128];

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (reload.failure[0] == '\0')
		strlcpy(reload.failure, why, sizeof(reload.failure));
	snprintf(line, sizeof(line), "reload failed: %s: the old "
	    "configuration stays", why);
	audit_begin(&a, AUDIT_CONFIG_REFUSED);
	audit_str(&a, "path", penv->flags.fl_conf);
	audit_str(&a, "reason", why);
	audit_log(&a, "%s", line);
	reload_tell(line);
}

/*
 * A client of the control socket asks.  The frontend has one request at a
 * time; one that was taken over gains that the same file is read again, once
 * a second.
 */
int
reload_ask(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct timeval	 tv = { 0, 0 };
	uint64_t	 now = clock_ms(), wait;

	(void)iev;
	(void)fd;
	if (reload.asked || msg_u32_decode(b, &reload.request) == -1)
		return (-1);
	reload.asked = 1;
	if (reload.last_ask != 0 && now - reload.last_ask < RELOAD_ASK_MS) {
		wait = RELOAD_ASK_MS - (now - reload.last_ask);
		tv.tv_sec = (time_t)(wait / 1000);
		tv.tv_usec = (suseconds_t)(wait % 1000) * 1000;
	}
	evtimer_add(&reload.ask_timer, &tv);
	return (0);
}

static void
reload_asked(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	reload.for_asker = 1;
	if (reload.running) {
		reload_tell("a reload is under way");
		reload_answer(1);
		return;
	}
	reload.last_ask = clock_ms();
	reload_start();
}

static void
reload_tell(const char *line)
{
	char	 text[MSG_TEXT_MAX + 1];

	if (!reload.for_asker)
		return;
	strlcpy(text, line, sizeof(text));
	imsgev_send(&penv->frontend.iev, MSG_SETUP_TELL, -1,
	    msg_u32str_encode(reload.request, text));
}

static void
reload_answer(int failed)
{
	if (!reload.for_asker)
		return;
	reload.asked = reload.for_asker = 0;
	imsgev_send(&penv->frontend.iev, MSG_SETUP_DONE, -1,
	    msg_u32u8_encode(reload.request, failed));
}

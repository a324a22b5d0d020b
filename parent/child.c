/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: what the frontend and the engines have in common as
 * children: start, log records, end.  A child that breaks a rule is logged
 * and killed; the daemon goes on.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"

#define CHILD_LOG_BURST	64	/* records read before others have a turn */

static void	child_log(int, short, void *);
static int	child_log_read(struct child *);
static void	child_exit(int, short, void *);
static void	child_ended(struct imsgev *, enum imsgev_end);
static const char *child_name(const struct child *);

/* How much its clients may still have logged, each user by himself. */
static struct logsink_uids	 frontend_uids;

static const char *
child_name(const struct child *ch)
{
	return (ch->vm == NULL ? "frontend" : "engine");
}

void
child_audit(struct audit *a, enum audit_event event, const struct child *ch)
{
	audit_begin(a, event);
	audit_str(a, "process", child_name(ch));
	audit_num(a, "process_pid", (uint32_t)ch->proc.pid);
	if (ch->vm != NULL)
		audit_str(a, "vm", ch->vm);
}

void
child_audit_end(struct audit *a, const struct child *ch, int how, int status,
    int wanted)
{
	child_audit(a, wanted && how == CLD_EXITED && status == 0 ?
	    AUDIT_PROCESS_EXITED : AUDIT_PROCESS_DIED, ch);
	audit_num(a, how == CLD_EXITED ? "status" : "signal",
	    (uint32_t)status);
}

int
child_start(struct child *ch, const char *name, const struct ids *ids,
    uint64_t nofile, int rootfd, const char *vm,
    void (*exited)(struct child *, int, int))
{
	const char	*args[5];
	struct audit	 a;
	char		 path[MSG_PATH_MAX + 1], num[4][24];
	int		 i, n, save;

	n = snprintf(path, sizeof(path), "%s/%s", penv->flags.fl_libexec,
	    name);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	snprintf(num[0], sizeof(num[0]), "%u", ids->uid);
	snprintf(num[1], sizeof(num[1]), "%u", ids->gid);
	snprintf(num[2], sizeof(num[2]), "%llu", (unsigned long long)nofile);
	snprintf(num[3], sizeof(num[3]), "%d",
	    rootfd == -1 ? -1 : SPAWN_ROOT_FD);
	for (i = 0; i < 4; i++)
		args[i] = num[i];
	args[4] = NULL;
	if (spawn(&ch->proc, path, args, rootfd) == -1)
		return (-1);
	event_set(&ch->log_ev, ch->proc.log, EV_READ | EV_PERSIST, child_log,
	    ch);
	event_set(&ch->exit_ev, ch->proc.pidfd, EV_READ | EV_PERSIST,
	    child_exit, ch);
	if (event_add(&ch->log_ev, NULL) == -1 ||
	    event_add(&ch->exit_ev, NULL) == -1) {
		/* Nobody would see its end. */
		save = errno;
		event_del(&ch->log_ev);
		spawn_undo(&ch->proc);
		errno = save;
		return (-1);
	}
	ch->vm = vm;
	ch->exited = exited;
	ch->running = 1;
	memset(&ch->log, 0, sizeof(ch->log));
	ch->log.ls_from = vm == NULL ? AUDIT_FRONTEND : AUDIT_ENGINE;
	ch->log.ls_vm = vm;
	if (vm == NULL) {
		memset(&frontend_uids, 0, sizeof(frontend_uids));
		ch->log.ls_uids = &frontend_uids;
	}
	ch->iev.iev_fd = -1;
	child_audit(&a, AUDIT_PROCESS_STARTED, ch);
	audit_log(&a, "%s started, pid %d", child_name(ch),
	    (int)ch->proc.pid);
	return (0);
}

int
child_channel(struct child *ch, const struct imsgev_handler *table,
    uint32_t state)
{
	return (imsgev_init(&ch->iev, ch->proc.channel, table, state,
	    child_ended, ch));
}

void
child_kill(struct child *ch)
{
	if (ch->running)
		kill(ch->proc.pid, SIGKILL);
}

void
child_stop(struct child *ch)
{
	imsgev_clear(&ch->iev);
}

/* The end itself is seen at the pidfd. */
static void
child_ended(struct imsgev *iev, enum imsgev_end end)
{
	struct child	*ch = iev->iev_arg;
	struct audit	 a;

	if (end == IMSGEV_VIOLATION) {
		child_audit(&a, AUDIT_PROTOCOL_VIOLATION, ch);
		audit_str(&a, "reason", iev->iev_why);
		audit_log(&a, "%s %s%spid %d broke the protocol: %s: killed",
		    child_name(ch), ch->vm == NULL ? "" : ch->vm,
		    ch->vm == NULL ? "" : ": ", (int)ch->proc.pid,
		    iev->iev_why);
		child_kill(ch);
	}
	reload_check();
}

static void
child_log(int fd, short event, void *arg)
{
	struct child	*ch = arg;
	int		 i;

	(void)fd;
	(void)event;
	for (i = 0; i < CHILD_LOG_BURST; i++)
		if (child_log_read(ch) != 1)
			break;
}

/* 1 for a record, 0 if there is none, -1 at the end. */
static int
child_log_read(struct child *ch)
{
	struct audit	 a;
	uint8_t		 rec[LOG_RECORD_MAX];
	ssize_t		 n;

	n = recv(ch->proc.log, rec, sizeof(rec), MSG_DONTWAIT | MSG_TRUNC);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return (0);
	if (n <= 0) {
		event_del(&ch->log_ev);
		return (-1);
	}
	if ((size_t)n > sizeof(rec) ||
	    logsink_record(&ch->log, rec, (size_t)n) == -1) {
		child_audit(&a, AUDIT_PROTOCOL_VIOLATION, ch);
		audit_str(&a, "reason", "malformed log record");
		audit_log(&a, "%s pid %d sent a malformed log record: killed",
		    child_name(ch), (int)ch->proc.pid);
		event_del(&ch->log_ev);
		child_kill(ch);
		return (-1);
	}
	return (1);
}

static void
child_exit(int fd, short event, void *arg)
{
	struct child	*ch = arg;
	siginfo_t	 si;

	(void)event;
	memset(&si, 0, sizeof(si));
	if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG) == -1 ||
	    si.si_pid == 0)
		return;
	event_del(&ch->exit_ev);
	ch->running = 0;
	while (child_log_read(ch) == 1)
		;
	logsink_end(&ch->log);
	event_del(&ch->log_ev);
	close(ch->proc.log);
	close(ch->proc.pidfd);
	if (ch->iev.iev_fd != -1)
		imsgev_clear(&ch->iev);
	ch->exited(ch, si.si_code, si.si_status);
	reload_check();
}

/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl: asks the daemon's control socket.  The daemon is believed to
 * keep the protocol, and found out if it does not.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "status.h"

#define CONTROL_SUFFIX	".ctl"
#define ROWS_MAX	1000000		/* VMs; more is a broken daemon */

static int	 failed(struct asker *, const char *);
static int	 take(struct status *, struct imsg *);
static int	 take_vm(struct status *, struct ibuf *);
static int	 take_uid(struct status *, struct ibuf *);
static int	 by_id(const void *, const void *);

static int
failed(struct asker *a, const char *why)
{
	a->error = why;
	return (-1);
}

int
ctl_control(const struct ctl_conf *conf, const char **error)
{
	static char		 text[sizeof(struct sockaddr_un) + 128];
	struct sockaddr_un	 sun;
	const char		*address = conf->socket;
	int			 fd;

	if (strncmp(address, "unix://", 7) == 0)
		address += 7;
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if ((size_t)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s%s",
	    address, CONTROL_SUFFIX) >= sizeof(sun.sun_path)) {
		*error = "socket path too long";
		return (-1);
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1) {
		*error = strerror(errno);
		return (-1);
	}
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		snprintf(text, sizeof(text), "%s: %s", sun.sun_path,
		    strerror(errno));
		close(fd);
		*error = text;
		return (-1);
	}
	return (fd);
}

int
ask_try(struct asker *a, const struct ctl_conf *conf)
{
	memset(a, 0, sizeof(*a));
	if ((a->fd = ctl_control(conf, &a->error)) == -1)
		return (-1);
	if (imsgbuf_init(&a->ibuf, a->fd) == -1) {
		close(a->fd);
		return (failed(a, strerror(errno)));
	}
	return (0);
}

void
ask_open(struct asker *a, const struct ctl_conf *conf)
{
	if (ask_try(a, conf) == -1)
		ctl_errx("%s", a->error);
}

void
ask_close(struct asker *a)
{
	imsgbuf_clear(&a->ibuf);
	close(a->fd);
	status_free(a->status);
	a->status = NULL;
}

int
ask_send(struct asker *a)
{
	if (imsg_compose(&a->ibuf, MSG_CTL_STATUS, 0, 0, -1, NULL, 0) == -1 ||
	    imsgbuf_flush(&a->ibuf) == -1 ||
	    (a->status = calloc(1, sizeof(*a->status))) == NULL)
		return (failed(a, strerror(errno)));
	return (0);
}

int
ask_read(struct asker *a)
{
	struct imsg	 imsg;
	int		 n;

	if ((n = imsgbuf_read(&a->ibuf)) == -1)
		return (failed(a, strerror(errno)));
	if (n == 0)
		return (failed(a, "the daemon closed the connection"));
	while ((n = imsgbuf_get(&a->ibuf, &imsg)) == 1) {
		n = take(a->status, &imsg);
		imsg_free(&imsg);
		if (n == -1)
			break;
		if (a->status->part == MSG_CTL_END)
			return (1);
	}
	return (n == -1 ? failed(a, "malformed answer") : 0);
}

/*
 * The daemon, its limits and its parent, then each VM with its numbers, then
 * users, then the end.  0, or -1 if the message has no place there.
 */
static int
take(struct status *st, struct imsg *imsg)
{
	const struct msg_info	*info;
	struct ibuf		 b;
	size_t			 len;
	int			 last = st->part;

	len = imsg_get_len(imsg);
	if ((info = msg_info(imsg_get_type(imsg))) == NULL ||
	    len < info->min || len > info->max ||
	    (len > 0 && imsg_get_ibuf(imsg, &b) == -1))
		return (-1);
	st->part = (int)info->type;
	switch (info->type) {
	case MSG_CTL_DAEMON:
		return (last != 0 ? -1 :
		    msg_ctl_daemon_decode(&b, &st->daemon));
	case MSG_CTL_LIMITS:
		return (last != MSG_CTL_DAEMON ? -1 :
		    msg_ctl_limits_decode(&b, &st->limits));
	case MSG_CTL_PARENT:
		return (last != MSG_CTL_LIMITS ? -1 :
		    msg_ctl_parent_decode(&b, &st->parent));
	case MSG_CTL_VM:
		return (last != MSG_CTL_PARENT && last != MSG_CTL_VM_STATS ?
		    -1 : take_vm(st, &b));
	case MSG_CTL_VM_STATS:
		if (last != MSG_CTL_VM || msg_ctl_stats_decode(&b,
		    &st->vms[st->nvms - 1].numbers) == -1)
			return (-1);
		return (st->vms[st->nvms - 1].numbers.vmid ==
		    st->vms[st->nvms - 1].vm.vmid ? 0 : -1);
	case MSG_CTL_UID:
		return (last != MSG_CTL_PARENT && last != MSG_CTL_VM_STATS &&
		    last != MSG_CTL_UID ? -1 : take_uid(st, &b));
	case MSG_CTL_END:
		return (last == 0 || last == MSG_CTL_DAEMON ||
		    last == MSG_CTL_LIMITS || last == MSG_CTL_VM ? -1 : 0);
	default:
		return (-1);
	}
}

static int
take_vm(struct status *st, struct ibuf *b)
{
	struct status_vm	*p;
	size_t			 n;

	if (st->nvms == ROWS_MAX)
		return (-1);
	if (st->nvms == st->room) {
		n = st->room == 0 ? 64 : st->room * 2;
		if ((p = reallocarray(st->vms, n, sizeof(*p))) == NULL)
			ctl_errx("%s", strerror(errno));
		st->vms = p;
		st->room = n;
	}
	return (msg_ctl_vm_decode(b, &st->vms[st->nvms++].vm));
}

static int
take_uid(struct status *st, struct ibuf *b)
{
	return (st->nuids == STATUS_UIDS_MAX ? -1 :
	    msg_ctl_uid_decode(b, &st->uids[st->nuids++]));
}

static int
by_id(const void *a, const void *b)
{
	const struct status_vm	*x = a, *y = b;
	int			 r;

	if ((r = strcmp(x->vm.id, y->vm.id)) != 0)
		return (r);
	return (x->vm.vmid < y->vm.vmid ? -1 : x->vm.vmid > y->vm.vmid);
}

struct status *
ask_take(struct asker *a)
{
	struct status	*st = a->status;

	a->status = NULL;
	if (st->nvms > 0)
		qsort(st->vms, st->nvms, sizeof(*st->vms), by_id);
	return (st);
}

const struct status_vm *
status_find(const struct status *st, const struct status_vm *v)
{
	return (st->nvms == 0 ? NULL : bsearch(v, st->vms, st->nvms,
	    sizeof(*st->vms), by_id));
}

void
status_free(struct status *st)
{
	if (st == NULL)
		return;
	free(st->vms);
	free(st);
}

int
ask(const struct ctl_conf *conf, struct status **st, const char **error)
{
	struct asker	 a;
	int		 n;

	if (ask_try(&a, conf) == -1) {
		*error = a.error;
		return (-1);
	}
	n = ask_send(&a);
	while (n == 0)
		n = ask_read(&a);
	if (n == 1)
		*st = ask_take(&a);
	else
		*error = a.error;
	ask_close(&a);
	return (n == 1 ? 0 : -1);
}

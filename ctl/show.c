/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl status: asks the daemon's control socket and prints what it
 * answers, as a table or as JSON.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "ctl.h"
#include "imsg.h"
#include "msg.h"

#define CONTROL_SUFFIX	".ctl"
#define ROWS_MAX	1000000		/* VMs; more is a broken daemon */

struct status {
	struct msg_ctl_daemon	 daemon;
	struct msg_ctl_vm	*vms;
	size_t			 nvms;
	size_t			 room;
	int			 have_daemon;
	int			 end;
};

static void	 ask(int, struct status *);
static int	 take(struct status *, struct imsg *);
static int	 by_id(const void *, const void *);
static void	 print_text(const struct status *);
static void	 print_json(const struct status *);
static void	 time_text(uint64_t, char *, size_t);

int
ctl_control(const struct ctl_conf *conf, const char *command)
{
	struct sockaddr_un	 sun;
	const char		*address = conf->socket;
	int			 fd;

	if (strncmp(address, "unix://", 7) == 0)
		address += 7;
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if ((size_t)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s%s",
	    address, CONTROL_SUFFIX) >= sizeof(sun.sun_path))
		ctl_errx("%s: socket path too long", command);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		ctl_errx("socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		ctl_errx("%s: %s", sun.sun_path, strerror(errno));
	return (fd);
}

/* 0, or -1 if the message has no place in an answer. */
static int
take(struct status *st, struct imsg *imsg)
{
	const struct msg_info	*info;
	struct msg_ctl_vm	*p;
	struct ibuf		 view;
	size_t			 len, n;

	len = imsg_get_len(imsg);
	if ((info = msg_info(imsg_get_type(imsg))) == NULL ||
	    len < info->min || len > info->max)
		return (-1);
	switch (info->type) {
	case MSG_CTL_DAEMON:
		if (st->have_daemon || imsg_get_ibuf(imsg, &view) == -1)
			return (-1);
		st->have_daemon = 1;
		return (msg_ctl_daemon_decode(&view, &st->daemon));
	case MSG_CTL_VM:
		if (st->have_daemon == 0 || st->nvms == ROWS_MAX ||
		    imsg_get_ibuf(imsg, &view) == -1)
			return (-1);
		if (st->nvms == st->room) {
			n = st->room == 0 ? 64 : st->room * 2;
			if ((p = reallocarray(st->vms, n,
			    sizeof(*p))) == NULL)
				ctl_errx("%s", strerror(errno));
			st->vms = p;
			st->room = n;
		}
		return (msg_ctl_vm_decode(&view, &st->vms[st->nvms++]));
	case MSG_CTL_END:
		st->end = 1;
		return (st->have_daemon ? 0 : -1);
	default:
		return (-1);
	}
}

static void
ask(int fd, struct status *st)
{
	struct imsgbuf	 ibuf;
	struct imsg	 imsg;
	int		 n;

	if (imsgbuf_init(&ibuf, fd) == -1 ||
	    imsg_compose(&ibuf, MSG_CTL_STATUS, 0, 0, -1, NULL, 0) == -1 ||
	    imsgbuf_flush(&ibuf) == -1)
		ctl_errx("status: %s", strerror(errno));
	while (st->end == 0) {
		if ((n = imsgbuf_read(&ibuf)) == -1)
			ctl_errx("status: %s", strerror(errno));
		if (n == 0)
			ctl_errx("status: the daemon closed the connection");
		while (st->end == 0 &&
		    (n = imsgbuf_get(&ibuf, &imsg)) == 1) {
			if (take(st, &imsg) == -1)
				ctl_errx("status: malformed answer");
			imsg_free(&imsg);
		}
		if (n == -1)
			ctl_errx("status: malformed answer");
	}
	imsgbuf_clear(&ibuf);
}

static int
by_id(const void *a, const void *b)
{
	const struct msg_ctl_vm	*x = a, *y = b;
	int			 r;

	if ((r = strcmp(x->id, y->id)) != 0)
		return (r);
	return (x->vmid < y->vmid ? -1 : x->vmid > y->vmid);
}

static void
time_text(uint64_t seconds, char *buf, size_t size)
{
	struct tm	 tm;
	time_t		 t = (time_t)seconds;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, size, "@%llu", (unsigned long long)seconds);
}

static void
print_text(const struct status *st)
{
	const struct msg_ctl_daemon	*d = &st->daemon;
	const struct msg_ctl_vm		*v;
	char				 started[32], **ids, *s, *path;
	size_t				 i, width = 2;

	time_text(d->started, started, sizeof(started));
	if ((s = ctl_visible(d->version, strlen(d->version))) == NULL ||
	    (path = ctl_visible(d->path, strlen(d->path))) == NULL ||
	    (ids = calloc(st->nvms + 1, sizeof(*ids))) == NULL)
		ctl_errx("%s", strerror(errno));
	printf("cc-proxy %s, pid %u, %s mode, since %s\n", s, d->pid,
	    d->pod ? "pod" : "system", started);
	printf("socket   %s\n", path);
	printf("clients  %u now, %u so far, %u not yet with a VM\n",
	    d->routed + d->unrouted, d->accepted, d->unrouted);
	printf("VMs      %u, tokens %u\n", d->nvms, d->ntokens);
	free(s);
	free(path);
	for (i = 0; i < st->nvms; i++) {
		v = &st->vms[i];
		if ((ids[i] = ctl_visible(v->id, strlen(v->id))) == NULL)
			ctl_errx("%s", strerror(errno));
		if (strlen(ids[i]) > width)
			width = strlen(ids[i]);
	}
	if (st->nvms > 0)
		printf("\n%-*s  %-12s  %7s  %10s  %7s  %6s\n", (int)width,
		    "ID", "STATE", "ENGINE", "UID", "CLIENTS", "TOKENS");
	for (i = 0; i < st->nvms; i++) {
		v = &st->vms[i];
		printf("%-*s  %-12s  ", (int)width, ids[i],
		    msg_vm_state_name(v->state));
		if (v->engine == 0)
			printf("%7s  ", "-");
		else
			printf("%7u  ", v->engine);
		printf("%10u  %7u  %6u\n", v->uid, v->clients, v->tokens);
		free(ids[i]);
	}
	free(ids);
}

static void
print_json(const struct status *st)
{
	const struct msg_ctl_daemon	*d = &st->daemon;
	const struct msg_ctl_vm		*v;
	json_t				*o, *vms, *vm;
	size_t				 i;

	if ((vms = json_array()) == NULL)
		ctl_errx("%s", strerror(ENOMEM));
	for (i = 0; i < st->nvms; i++) {
		v = &st->vms[i];
		vm = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}",
		    "id", v->id, "state", msg_vm_state_name(v->state),
		    "number", (json_int_t)v->vmid,
		    "engine", (json_int_t)v->engine,
		    "uid", (json_int_t)v->uid,
		    "clients", (json_int_t)v->clients,
		    "tokens", (json_int_t)v->tokens);
		if (vm == NULL || json_array_append_new(vms, vm) == -1)
			ctl_errx("status: an id is not UTF-8 text");
	}
	o = json_pack("{s:{s:s,s:I,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I},s:o}",
	    "daemon", "version", d->version, "pid", (json_int_t)d->pid,
	    "pod", d->pod != 0, "socket", d->path,
	    "started", (json_int_t)d->started,
	    "accepted", (json_int_t)d->accepted,
	    "unrouted", (json_int_t)d->unrouted,
	    "routed", (json_int_t)d->routed,
	    "vms", (json_int_t)d->nvms,
	    "tokens", (json_int_t)d->ntokens,
	    "vms", vms);
	if (o == NULL)
		ctl_errx("status: the daemon's path is not UTF-8 text");
	if (json_dumpf(o, stdout, JSON_INDENT(2)) == -1)
		ctl_errx("stdout: %s", strerror(errno));
	putchar('\n');
	json_decref(o);
}

int
ctl_status(const struct ctl_conf *conf, int argc, char **argv)
{
	struct status	*st;
	int		 fd;

	if (argc != 1)
		ctl_usage();
	if ((st = calloc(1, sizeof(*st))) == NULL)
		ctl_errx("%s", strerror(errno));
	fd = ctl_control(conf, argv[0]);
	ask(fd, st);
	close(fd);
	if (st->nvms > 0)
		qsort(st->vms, st->nvms, sizeof(*st->vms), by_id);
	if (conf->json)
		print_json(st);
	else
		print_text(st);
	if (fflush(stdout) == EOF || ferror(stdout))
		ctl_errx("stdout: %s", strerror(errno));
	free(st->vms);
	free(st);
	return (0);
}

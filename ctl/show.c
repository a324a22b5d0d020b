/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl status: what the daemon's control socket answers, as a table
 * or as JSON.
 */

#include <sys/types.h>

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "ctl.h"
#include "status.h"

static char	*visible(const char *);
static void	 time_text(uint64_t, char *, size_t);
static void	 print_daemon(const struct status *);
static void	 print_vms(const struct status *);
static void	 print_vm(const struct status *, const struct status_vm *);
static void	 print_use(const struct use *);
static void	 print_uses(const struct status *, int);
static json_t	*must(json_t *);
static json_t	*json_vm(const struct status_vm *);
static json_t	*json_numbers(const struct msg_vm_stats *);
static json_t	*json_parent(const struct msg_ctl_parent *);
static void	 json_uses(json_t *, const struct status *);
static void	 print_json(const struct status *);
static void	 only(struct status *, const char *);

static char *
visible(const char *s)
{
	char	*out;

	if ((out = ctl_visible(s, strlen(s))) == NULL)
		ctl_errx("%s", strerror(errno));
	return (out);
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

char *
size_text(uint64_t v, char buf[SIZE_TEXT])
{
	static const char	 units[] = "KMGTPE";
	double			 d = (double)v;
	size_t			 i;

	if (v < 1024) {
		snprintf(buf, SIZE_TEXT, "%u", (unsigned int)v);
		return (buf);
	}
	for (i = 0, d /= 1024; d >= 1023.95 && i + 2 < sizeof(units); i++)
		d /= 1024;
	snprintf(buf, SIZE_TEXT, d < 99.95 ? "%.1f%c" : "%.0f%c", d,
	    units[i]);
	return (buf);
}

const char *
answer_text(const struct status_vm *v, char buf[SIZE_TEXT])
{
	const struct msg_ctl_stats	*s = &v->numbers;

	if (s->answered == MSG_ANSWERED)
		return ("now");
	if (s->answered == MSG_ANSWERED_BEFORE) {
		snprintf(buf, SIZE_TEXT, "%us ago", s->age);
		return (buf);
	}
	return (v->vm.engine != 0 && (v->vm.state == MSG_STATE_UP ||
	    v->vm.state == MSG_STATE_TOMB) ? "never" : "-");
}

static void
print_daemon(const struct status *st)
{
	const struct msg_ctl_daemon	*d = &st->daemon;
	const struct msg_daemon_stats	*p = &st->parent.stats;
	char				 started[32], *s, *path;

	time_text(d->started, started, sizeof(started));
	s = visible(d->version);
	path = visible(d->path);
	printf("cc-proxy %s, pid %u, %s mode, since %s\n", s, d->pid,
	    d->pod ? "pod" : "system", started);
	printf("socket   %s\n", path);
	printf("clients  %u now, %u so far, %u not yet with a VM\n",
	    d->routed + d->unrouted, d->accepted, d->unrouted);
	printf("VMs      %u, tokens %u\n", d->nvms, d->ntokens);
	free(s);
	free(path);
	if (st->parent.answered != MSG_ANSWERED)
		printf("parent   does not answer\n");
	if (st->parent.answered == MSG_ANSWERED_NEVER)
		return;
	printf("engines  %llu running, %llu starting, %llu waiting; %llu "
	    "ended, %llu failed, %llu killed\n",
	    (unsigned long long)p->running, (unsigned long long)p->starting,
	    (unsigned long long)p->waiting, (unsigned long long)p->ended,
	    (unsigned long long)p->failed, (unsigned long long)p->killed);
	printf("log      %llu records suppressed, %llu dropped\n",
	    (unsigned long long)p->suppressed,
	    (unsigned long long)p->dropped);
	printf("KSM      %s\n", msg_ksm_name(p->ksm));
}

/* New columns are at the end. */
static void
print_vms(const struct status *st)
{
	const struct msg_vm_stats	*s;
	const struct status_vm		*v;
	char				**ids, b[5][SIZE_TEXT], engine[16];
	size_t				 i, width = 2;

	if (st->nvms == 0)
		return;
	if ((ids = calloc(st->nvms, sizeof(*ids))) == NULL)
		ctl_errx("%s", strerror(errno));
	for (i = 0; i < st->nvms; i++) {
		ids[i] = visible(st->vms[i].vm.id);
		if (strlen(ids[i]) > width)
			width = strlen(ids[i]);
	}
	printf("\n%-*s  %-12s  %7s  %10s  %7s  %6s  %7s  %5s  %6s  %6s  %6s"
	    "  %8s  %s\n", (int)width, "ID", "STATE", "ENGINE", "UID",
	    "CLIENTS", "TOKENS", "STREAMS", "FULL", "QUEUED", "IN", "OUT",
	    "COMMANDS", "ASKED");
	for (i = 0; i < st->nvms; i++) {
		v = &st->vms[i];
		s = &v->numbers.stats;
		strlcpy(engine, "-", sizeof(engine));
		if (v->vm.engine != 0)
			snprintf(engine, sizeof(engine), "%u", v->vm.engine);
		printf("%-*s  %-12s  %7s  %10u  %7u  %6u", (int)width, ids[i],
		    msg_vm_state_name(v->vm.state), engine, v->vm.uid,
		    v->vm.clients, v->vm.tokens);
		if (v->numbers.answered == MSG_ANSWERED_NEVER)
			printf("  %7s  %5s  %6s  %6s  %6s  %8s  %s\n", "-",
			    "-", "-", "-", "-", "-", answer_text(v, b[0]));
		else
			printf("  %7llu  %5llu  %6s  %6s  %6s  %8llu  %s\n",
			    (unsigned long long)s->streams,
			    (unsigned long long)s->full,
			    size_text(s->queued, b[0]),
			    size_text(s->in, b[1]), size_text(s->out, b[2]),
			    (unsigned long long)s->commands,
			    answer_text(v, b[3]));
		free(ids[i]);
	}
	free(ids);
}

#define NUMBER(text, member)						\
	printf("    %-40s %llu\n", text, (unsigned long long)s->member)

static void
print_vm(const struct status *st, const struct status_vm *v)
{
	const struct msg_vm_stats	*s = &v->numbers.stats;
	struct uses			 uses;
	char				 b[SIZE_TEXT], *id;
	size_t				 i;

	id = visible(v->vm.id);
	printf("\n%s\n    %-40s %u\n    %-40s %s\n    %-40s %s\n", id,
	    "number", v->vm.vmid, "state", msg_vm_state_name(v->vm.state),
	    "asked", answer_text(v, b));
	free(id);
	if (v->numbers.answered != MSG_ANSWERED_NEVER) {
		printf("    %-40s %s\n", "agent",
		    msg_dialect_name(s->dialect));
		printf("    %-40s%s%s%s\n", "protocols of clients",
		    s->protos & 1 << MSG_PROTO_3 ? " 3.x" : "",
		    s->protos & 1 << MSG_PROTO_1 ? " 1.x" : "",
		    s->protos == 0 ? " -" : "");
		printf("    %-40s %.3f\n", "seconds up",
		    (double)s->uptime / 1000);
		NUMBER("clients", clients);
		NUMBER("clients so far", served);
		NUMBER("I/O descriptors of clients of 1.x", ios);
		NUMBER("streams", streams);
		NUMBER("streams so far", opened);
		NUMBER("streams whose output has no more room", full);
		NUMBER("bytes of output", out);
		NUMBER("bytes of output waiting", queued);
		NUMBER("bytes of output waiting, most for one", fullest);
		NUMBER("bytes of output dropped", dropped);
		NUMBER("bytes of input", in);
		NUMBER("bytes from clients waiting", waiting);
		NUMBER("bytes of responses waiting", replies);
		NUMBER("commands", commands);
		NUMBER("commands that failed", failed);
		NUMBER("commands not yet sent", cmd_queued);
		NUMBER("commands not yet answered", cmd_sent);
	}
	memset(&uses, 0, sizeof(uses));
	uses_vm(&uses, st, v);
	for (i = 0; i < uses.n; i++)
		printf("    limit: %-33s %llu of %llu, %u%%%s\n",
		    uses.list[i].limit,
		    (unsigned long long)uses.list[i].value,
		    (unsigned long long)uses.list[i].max,
		    use_percent(&uses.list[i]),
		    use_percent(&uses.list[i]) >= NEAR_PERCENT ? "!" : "");
	free(uses.list);
}

static void
print_use(const struct use *u)
{
	char	*id;

	printf("    %-22s  %llu of %llu, %u%%", u->limit,
	    (unsigned long long)u->value, (unsigned long long)u->max,
	    use_percent(u));
	if (u->vm != NULL) {
		id = visible(u->vm->vm.id);
		printf("  VM %s", id);
		free(id);
	} else if (u->uid != NULL)
		printf("  uid %u", u->uid->uid);
	putchar('\n');
}

/* Who is near a limit; all: and the one nearest to each. */
static void
print_uses(const struct status *st, int all)
{
	struct uses	 uses;
	size_t		 i, j;

	memset(&uses, 0, sizeof(uses));
	uses_get(&uses, st);
	if (all)
		printf("\nLimits, and who is nearest:\n");
	for (i = 0; all && i < uses.n; i++) {
		for (j = 0; j < i; j++)
			if (strcmp(uses.list[i].limit,
			    uses.list[j].limit) == 0)
				break;
		if (i == j)
			print_use(&uses.list[i]);
	}
	if (uses.n > 0 && use_percent(&uses.list[0]) >= NEAR_PERCENT)
		printf("\nNear a limit:\n");
	for (i = 0; i < uses.n; i++)
		if (use_percent(&uses.list[i]) >= NEAR_PERCENT)
			print_use(&uses.list[i]);
	free(uses.list);
}

static json_t *
must(json_t *o)
{
	if (o == NULL)
		ctl_errx("status: a text of the daemon is not UTF-8");
	return (o);
}

static json_t *
json_numbers(const struct msg_vm_stats *s)
{
	json_t	*o, *protocols;

	protocols = must(json_array());
	if (s->protos & 1 << MSG_PROTO_3)
		json_array_append_new(protocols, must(json_string("3.x")));
	if (s->protos & 1 << MSG_PROTO_1)
		json_array_append_new(protocols, must(json_string("1.x")));
	o = must(json_pack("{s:s,s:o}", "agent", msg_dialect_name(s->dialect),
	    "protocols", protocols));
#define SET(name, member)						\
	if (json_object_set_new(o, name,				\
	    json_integer((json_int_t)s->member)) == -1)			\
		ctl_errx("%s", strerror(ENOMEM))
	SET("uptime_ms", uptime);
	SET("clients", clients);
	SET("clients_total", served);
	SET("io_descriptors", ios);
	SET("streams", streams);
	SET("streams_total", opened);
	SET("streams_full", full);
	SET("output_bytes", out);
	SET("output_queued", queued);
	SET("output_fullest", fullest);
	SET("output_dropped", dropped);
	SET("input_bytes", in);
	SET("input_waiting", waiting);
	SET("responses_queued", replies);
	SET("commands_total", commands);
	SET("commands_failed", failed);
	SET("commands_queued", cmd_queued);
	SET("commands_sent", cmd_sent);
	return (o);
}

static json_t *
json_vm(const struct status_vm *v)
{
	static const char *const names[] = { "never", "before", "now" };
	const struct msg_ctl_stats	*n = &v->numbers;

	return (must(json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:s,s:I,s:o}",
	    "id", v->vm.id, "state", msg_vm_state_name(v->vm.state),
	    "number", (json_int_t)v->vm.vmid,
	    "engine", (json_int_t)v->vm.engine,
	    "uid", (json_int_t)v->vm.uid,
	    "clients", (json_int_t)v->vm.clients,
	    "tokens", (json_int_t)v->vm.tokens,
	    "answered", names[n->answered], "age", (json_int_t)n->age,
	    "stats", n->answered == MSG_ANSWERED_NEVER ? json_null() :
	    json_numbers(&n->stats))));
}

static json_t *
json_parent(const struct msg_ctl_parent *p)
{
	const struct msg_daemon_stats	*s = &p->stats;

	if (p->answered == MSG_ANSWERED_NEVER)
		return (json_null());
	return (must(json_pack("{s:b,s:{s:I,s:I,s:I,s:I,s:I,s:I},"
	    "s:{s:I,s:I},s:s}", "answered", p->answered == MSG_ANSWERED,
	    "engines", "running", (json_int_t)s->running,
	    "starting", (json_int_t)s->starting,
	    "waiting", (json_int_t)s->waiting,
	    "ended", (json_int_t)s->ended, "failed", (json_int_t)s->failed,
	    "killed", (json_int_t)s->killed,
	    "log", "suppressed", (json_int_t)s->suppressed,
	    "dropped", (json_int_t)s->dropped,
	    "ksm", msg_ksm_name(s->ksm))));
}

/* Of each limit the highest use, and all that are near. */
static void
json_uses(json_t *o, const struct status *st)
{
	json_t		*limits, *near, *e;
	struct uses	 uses;
	struct use	*u;
	size_t		 i, j;

	memset(&uses, 0, sizeof(uses));
	uses_get(&uses, st);
	limits = must(json_array());
	near = must(json_array());
	for (i = 0; i < uses.n; i++) {
		u = &uses.list[i];
		e = must(json_pack("{s:s,s:I,s:I,s:i}", "limit", u->limit,
		    "value", (json_int_t)u->value, "max", (json_int_t)u->max,
		    "percent", (int)use_percent(u)));
		if (u->vm != NULL)
			json_object_set_new(e, "vm",
			    must(json_string(u->vm->vm.id)));
		if (u->uid != NULL)
			json_object_set_new(e, "uid",
			    json_integer(u->uid->uid));
		for (j = 0; j < i && strcmp(u->limit,
		    uses.list[j].limit) != 0; j++)
			;
		if (i == j)
			json_array_append(limits, e);
		if (use_percent(u) >= NEAR_PERCENT)
			json_array_append(near, e);
		json_decref(e);
	}
	json_object_set_new(o, "limits", limits);
	json_object_set_new(o, "near", near);
	free(uses.list);
}

static void
print_json(const struct status *st)
{
	const struct msg_ctl_daemon	*d = &st->daemon;
	json_t				*o, *vms;
	size_t				 i;

	vms = must(json_array());
	for (i = 0; i < st->nvms; i++)
		if (json_array_append_new(vms, json_vm(&st->vms[i])) == -1)
			ctl_errx("%s", strerror(ENOMEM));
	o = must(json_pack("{s:{s:s,s:I,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I,"
	    "s:o},s:o}",
	    "daemon", "version", d->version, "pid", (json_int_t)d->pid,
	    "pod", d->pod != 0, "socket", d->path,
	    "started", (json_int_t)d->started,
	    "accepted", (json_int_t)d->accepted,
	    "unrouted", (json_int_t)d->unrouted,
	    "routed", (json_int_t)d->routed,
	    "vms", (json_int_t)d->nvms,
	    "tokens", (json_int_t)d->ntokens,
	    "parent", json_parent(&st->parent),
	    "vms", vms));
	json_uses(o, st);
	if (json_dumpf(o, stdout, JSON_INDENT(2)) == -1)
		ctl_errx("stdout: %s", strerror(errno));
	putchar('\n');
	json_decref(o);
}

/* Leave nothing but the VMs of that id. */
static void
only(struct status *st, const char *id)
{
	size_t	 i, n = 0;

	for (i = 0; i < st->nvms; i++)
		if (strcmp(st->vms[i].vm.id, id) == 0)
			st->vms[n++] = st->vms[i];
	if (n == 0)
		ctl_errx("status: no VM %s", id);
	st->nvms = n;
}

int
ctl_status(const struct ctl_conf *conf, int argc, char **argv)
{
	struct status	*st;
	const char	*error, *id = NULL;
	size_t		 i;
	int		 ch, verbose = 0;

	optind = 0;
	while ((ch = getopt(argc, argv, "+v")) != -1) {
		if (ch != 'v')
			ctl_usage();
		verbose = 1;
	}
	argc -= optind;
	argv += optind;
	if (verbose && argc == 1)
		id = argv[0];
	else if (argc != 0)
		ctl_usage();
	if (ask(conf, &st, &error) == -1)
		ctl_errx("status: %s", error);
	if (id != NULL)
		only(st, id);
	if (conf->json)
		print_json(st);
	else {
		if (id == NULL)
			print_daemon(st);
		if (!verbose)
			print_vms(st);
		for (i = 0; verbose && i < st->nvms; i++)
			print_vm(st, &st->vms[i]);
		if (id == NULL)
			print_uses(st, verbose);
	}
	if (fflush(stdout) == EOF || ferror(stdout))
		ctl_errx("stdout: %s", strerror(errno));
	status_free(st);
	return (0);
}

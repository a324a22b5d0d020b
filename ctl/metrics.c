/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl metrics: what the daemon answers as OpenMetrics text.  Ids are
 * chosen by tenants: in a label each is a text without control characters,
 * and no two of them are the same.
 */

#include <sys/types.h>

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "status.h"

static void	 family(FILE *, const char *, const char *, const char *,
		    const char *);
static size_t	 utf8(const unsigned char *, size_t);
static void	 label(FILE *, const char *);
static void	 of_daemon(FILE *, const struct status *);
static void	 of_parent(FILE *, const struct status *);
static void	 of_limits(FILE *, const struct status *);
static void	 of_vms(FILE *, const struct status *);
static void	 of_numbers(FILE *, const struct status *);

/* unit: NULL or the last word of the name. */
static void
family(FILE *f, const char *name, const char *type, const char *unit,
    const char *help)
{
	fprintf(f, "# TYPE ccproxy_%s %s\n", name, type);
	if (unit != NULL)
		fprintf(f, "# UNIT ccproxy_%s %s\n", name, unit);
	fprintf(f, "# HELP ccproxy_%s %s\n", name, help);
}

/* Length of the printable character at p; 0 if there is none. */
static size_t
utf8(const unsigned char *p, size_t len)
{
	static const uint32_t	 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t		 c;
	size_t			 i, n;

	if (p[0] < 0x80)
		return (p[0] >= 0x20 && p[0] != 0x7f);
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
		return (0);
	c = p[0] & (0x7fU >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return (0);
		c = c << 6 | (p[i] & 0x3fU);
	}
	/* Not the controls, separators, and what turns text around. */
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ||
	    c < 0xa0 || (c >= 0x200b && c <= 0x200f) ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	    c == 0xfeff)
		return (0);
	return (n);
}

/* What is not printable as \xNN, and the backslash of that doubled. */
static void
label(FILE *f, const char *s)
{
	const unsigned char	*p = (const unsigned char *)s;
	size_t			 len = strlen(s), n;

	for (; len > 0; p += n, len -= n) {
		n = utf8(p, len);
		if (n == 0) {
			fprintf(f, "\\\\x%02x", *p);
			n = 1;
		} else if (*p == '\\')
			fputs("\\\\\\\\", f);
		else if (*p == '"')
			fputs("\\\"", f);
		else
			fwrite(p, 1, n, f);
	}
}

static void
of_daemon(FILE *f, const struct status *st)
{
	const struct msg_ctl_daemon	*d = &st->daemon;
	unsigned int			 states[MSG_STATE_MAX];
	size_t				 i;

	family(f, "build", "info", NULL, "The daemon.");
	fputs("ccproxy_build_info{version=\"", f);
	label(f, d->version);
	fputs("\"} 1\n", f);
	family(f, "start_time_seconds", "gauge", "seconds",
	    "When the daemon was started, since the epoch.");
	fprintf(f, "ccproxy_start_time_seconds %llu\n",
	    (unsigned long long)d->started);
	family(f, "accepted_clients", "counter", NULL,
	    "Connections of clients accepted.");
	fprintf(f, "ccproxy_accepted_clients_total %u\n", d->accepted);
	family(f, "clients", "gauge", NULL,
	    "Clients connected, by whether a VM has them.");
	fprintf(f, "ccproxy_clients{state=\"unrouted\"} %u\n"
	    "ccproxy_clients{state=\"routed\"} %u\n", d->unrouted,
	    d->routed);
	family(f, "tokens", "gauge", NULL, "I/O tokens that are out.");
	fprintf(f, "ccproxy_tokens %u\n", d->ntokens);
	memset(states, 0, sizeof(states));
	for (i = 0; i < st->nvms; i++)
		states[st->vms[i].vm.state]++;
	family(f, "vms", "gauge", NULL, "Virtual machines by state.");
	for (i = 0; i < MSG_STATE_MAX; i++)
		fprintf(f, "ccproxy_vms{state=\"%s\"} %u\n",
		    msg_vm_state_name((int)i), states[i]);
	family(f, "parent_answering", "gauge", NULL,
	    "1 if the daemon's parent process answered in time.");
	fprintf(f, "ccproxy_parent_answering %d\n",
	    st->parent.answered == MSG_ANSWERED);
}

static void
of_parent(FILE *f, const struct status *st)
{
	const struct msg_daemon_stats	*p = &st->parent.stats;
	int				 i;

	if (st->parent.answered == MSG_ANSWERED_NEVER)
		return;
	family(f, "engines", "gauge", NULL, "Engine processes by state.");
	fprintf(f, "ccproxy_engines{state=\"running\"} %llu\n"
	    "ccproxy_engines{state=\"starting\"} %llu\n"
	    "ccproxy_engines{state=\"waiting\"} %llu\n",
	    (unsigned long long)p->running, (unsigned long long)p->starting,
	    (unsigned long long)p->waiting);
	family(f, "engine_ends", "counter", NULL,
	    "Engine processes that are no more, by how they ended.");
	fprintf(f, "ccproxy_engine_ends_total{how=\"ended\"} %llu\n"
	    "ccproxy_engine_ends_total{how=\"failed\"} %llu\n"
	    "ccproxy_engine_ends_total{how=\"killed\"} %llu\n",
	    (unsigned long long)p->ended, (unsigned long long)p->failed,
	    (unsigned long long)p->killed);
	family(f, "log_records_lost", "counter", NULL,
	    "Log records that were not written, by why.");
	fprintf(f, "ccproxy_log_records_lost_total{why=\"suppressed\"} %llu\n"
	    "ccproxy_log_records_lost_total{why=\"dropped\"} %llu\n",
	    (unsigned long long)p->suppressed,
	    (unsigned long long)p->dropped);
	family(f, "ksm", "stateset", NULL,
	    "How the merging of equal pages is set.");
	for (i = 0; i < MSG_KSM_MAX; i++)
		fprintf(f, "ccproxy_ksm{ccproxy_ksm=\"%s\"} %d\n",
		    msg_ksm_name(i), p->ksm == i);
}

/* Of each limit what it is, and the highest share in use. */
static void
of_limits(FILE *f, const struct status *st)
{
	struct uses	 uses;
	struct use	*u;
	size_t		 i, j, n = 0;

	memset(&uses, 0, sizeof(uses));
	uses_get(&uses, st);
	for (i = 0; i < uses.n; i++) {
		u = &uses.list[i];
		for (j = 0; j < n && strcmp(u->limit,
		    uses.list[j].limit) != 0; j++)
			;
		if (j == n)
			uses.list[n++] = *u;
	}
	family(f, "limit", "gauge", NULL, "Limits in force.");
	for (i = 0; i < n; i++)
		fprintf(f, "ccproxy_limit{limit=\"%s\"} %llu\n",
		    uses.list[i].limit,
		    (unsigned long long)uses.list[i].max);
	family(f, "limit_used_ratio", "gauge", "ratio",
	    "The share of each limit that is in use where it is highest.");
	for (i = 0; i < n; i++)
		fprintf(f, "ccproxy_limit_used_ratio{limit=\"%s\"} %.6g\n",
		    uses.list[i].limit, (double)uses.list[i].value /
		    (double)uses.list[i].max);
	free(uses.list);
}

/* An unregistered VM may have the id of another: it is counted above only. */
#define EACH_VM(v)							\
	for (v = st->vms; v < st->vms + st->nvms; v++)			\
		if (v->vm.state != MSG_STATE_GHOST)

static void
sample(FILE *f, const char *name, const struct status_vm *v,
    const char *more, unsigned long long value)
{
	fprintf(f, "ccproxy_vm_%s{vm=\"", name);
	label(f, v->vm.id);
	fprintf(f, "\"%s} %llu\n", more, value);
}

static void
of_vms(FILE *f, const struct status *st)
{
	const struct status_vm	*v;

	family(f, "vm_up", "gauge", NULL,
	    "1 if the VM can be used, 0 if it is starting or lost.");
	EACH_VM(v)
		sample(f, "up", v, "", v->vm.state == MSG_STATE_UP);
	family(f, "vm_answering", "gauge", NULL,
	    "1 if the VM's engine answered in time; if not, its numbers are "
	    "old or missing.");
	EACH_VM(v)
		sample(f, "answering", v, "",
		    v->numbers.answered == MSG_ANSWERED);
	family(f, "vm_clients", "gauge", NULL, "Clients the VM has.");
	EACH_VM(v)
		sample(f, "clients", v, "", v->vm.clients);
	family(f, "vm_tokens", "gauge", NULL, "I/O tokens of the VM.");
	EACH_VM(v)
		sample(f, "tokens", v, "", v->vm.tokens);
	family(f, "vm_agent", "info", NULL,
	    "The agent that the guest was found to have.");
	EACH_VM(v) {
		if (v->numbers.answered == MSG_ANSWERED_NEVER)
			continue;
		fputs("ccproxy_vm_agent_info{vm=\"", f);
		label(f, v->vm.id);
		fprintf(f, "\",agent=\"%s\"} 1\n",
		    msg_dialect_name(v->numbers.stats.dialect));
	}
	family(f, "vm_uptime_seconds", "gauge", "seconds",
	    "How long the VM's engine has served it.");
	EACH_VM(v) {
		if (v->numbers.answered == MSG_ANSWERED_NEVER)
			continue;
		fputs("ccproxy_vm_uptime_seconds{vm=\"", f);
		label(f, v->vm.id);
		fprintf(f, "\"} %llu.%03u\n",
		    (unsigned long long)v->numbers.stats.uptime / 1000,
		    (unsigned int)(v->numbers.stats.uptime % 1000));
	}
}

#define VALUE(member)	offsetof(struct msg_vm_stats, member)

static void
of_numbers(FILE *f, const struct status *st)
{
	static const struct {
		const char	*name;		/* "": one more of the last */
		const char	*type, *unit, *label;
		size_t		 value;
		const char	*help;
	} all[] = {
		{ "vm_io_descriptors", "gauge", NULL, "", VALUE(ios),
		    "I/O descriptors of clients of protocol 1.x." },
		{ "vm_streams", "gauge", NULL, "", VALUE(streams),
		    "Streams of processes." },
		{ "vm_streams_full", "gauge", NULL, "", VALUE(full),
		    "Streams that have no room for more output." },
		{ "vm_output_queued_bytes", "gauge", "bytes", "",
		    VALUE(queued), "Output that waits for shims." },
		{ "vm_output_fullest_bytes", "gauge", "bytes", "",
		    VALUE(fullest), "Of it, the most for one shim." },
		{ "vm_responses_queued_bytes", "gauge", "bytes", "",
		    VALUE(replies), "Responses that wait for clients." },
		{ "vm_input_waiting_bytes", "gauge", "bytes", "",
		    VALUE(waiting), "What clients sent and waits." },
		{ "vm_commands_pending", "gauge", NULL,
		    ",state=\"queued\"", VALUE(cmd_queued),
		    "Commands not yet sent to the agent, or not answered." },
		{ "", "gauge", NULL, ",state=\"sent\"", VALUE(cmd_sent), "" },
		{ "vm_commands", "counter", NULL, "", VALUE(commands),
		    "Commands for the agent." },
		{ "vm_commands_failed", "counter", NULL, "", VALUE(failed),
		    "Commands that were refused or not answered." },
		{ "vm_output_bytes", "counter", "bytes", "", VALUE(out),
		    "Output of processes for shims." },
		{ "vm_output_dropped_bytes", "counter", "bytes", "",
		    VALUE(dropped), "Output that nobody could get." },
		{ "vm_input_bytes", "counter", "bytes", "", VALUE(in),
		    "Input of processes from shims." },
		{ "vm_opened_streams", "counter", NULL, "", VALUE(opened),
		    "Streams there ever were." },
		{ "vm_served_clients", "counter", NULL, "", VALUE(served),
		    "Clients there ever were." }
	};
	const struct status_vm	*v;
	const char		*name = all[0].name;
	char			 metric[64];
	size_t			 i;
	uint64_t		 n;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].name[0] != '\0') {
			name = all[i].name;
			family(f, name, all[i].type, all[i].unit,
			    all[i].help);
		}
		snprintf(metric, sizeof(metric), "%s%s", name + 3,
		    strcmp(all[i].type, "counter") == 0 ? "_total" : "");
		EACH_VM(v) {
			if (v->numbers.answered == MSG_ANSWERED_NEVER)
				continue;
			memcpy(&n, (const char *)&v->numbers.stats +
			    all[i].value, sizeof(n));
			sample(f, metric, v, all[i].label, n);
		}
	}
}

int
metrics_print(FILE *f, const struct status *st)
{
	of_daemon(f, st);
	of_parent(f, st);
	of_limits(f, st);
	of_vms(f, st);
	of_numbers(f, st);
	fputs("# EOF\n", f);
	return (fflush(f) == EOF || ferror(f) ? -1 : 0);
}

int
ctl_metrics(const struct ctl_conf *conf, int argc, char **argv)
{
	static const struct option options[] = {
		{ "http",	no_argument,	NULL,	'H' },
		{ NULL,		0,		NULL,	0 }
	};
	struct status	*st;
	const char	*error;
	int		 ch, http = 0;

	optind = 0;
	while ((ch = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (ch != 'H')
			ctl_usage();
		http = 1;
	}
	if (argc != optind)
		ctl_usage();
	if (http)
		return (http_serve(conf));
	if (ask(conf, &st, &error) == -1)
		ctl_errx("metrics: %s", error);
	if (metrics_print(stdout, st) == -1)
		ctl_errx("stdout: %s", strerror(errno));
	status_free(st);
	return (0);
}

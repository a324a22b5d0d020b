/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: the configuration as text.  All of it, users and groups
 * as numbers; read back it is the same.
 */

#include <sys/types.h>

#include <stdio.h>

#include "conf.h"

static void	print_quoted(FILE *, const char *);
static void	print_socket(FILE *, const struct conf_socket *);
static void	print_duration(FILE *, const char *, uint32_t);
static void	print_vmdir(FILE *, const struct conf_vmdir *);
static void	print_rule(FILE *, const struct policy_rule *);
static void	print_limit(FILE *, const struct conf_limit *, uint32_t);
static const char *guest_name(int);

static void
print_quoted(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', f);
		putc(*s, f);
	}
	putc('"', f);
}

static void
print_socket(FILE *f, const struct conf_socket *s)
{
	fprintf(f, " mode %04o", (unsigned int)s->mode);
	if (s->uid != CONF_ID_NONE)
		fprintf(f, " owner %u", s->uid);
	if (s->gid != CONF_ID_NONE)
		fprintf(f, " group %u", s->gid);
	fprintf(f, "\n");
}

static void
print_duration(FILE *f, const char *name, uint32_t ms)
{
	if (ms % 1000 == 0)
		fprintf(f, "timeout %s %us\n", name, ms / 1000);
	else
		fprintf(f, "timeout %s %ums\n", name, ms);
}

static const char *
guest_name(int guest)
{
	return (guest == MSG_GUEST_AGENT ? "agent" :
	    guest == MSG_GUEST_HYPERSTART ? "hyperstart" : "auto");
}

static void
print_vmdir(FILE *f, const struct conf_vmdir *d)
{
	size_t	 i;

	fprintf(f, "vm directory ");
	print_quoted(f, d->path);
	if (d->nowners > 0) {
		fprintf(f, " owner {");
		for (i = 0; i < d->nowners; i++)
			fprintf(f, " %u", (unsigned int)d->owners[i]);
		fprintf(f, " }");
	}
	if (d->guest != -1)
		fprintf(f, " guest %s", guest_name(d->guest));
	fprintf(f, "\n");
}

static void
print_rule(FILE *f, const struct policy_rule *r)
{
	unsigned int	 op;

	fprintf(f, "%s", r->allow ? "allow" : "deny");
	if (r->ops == POLICY_ALL)
		fprintf(f, " any");
	else {
		fprintf(f, " {");
		for (op = 1; op < POLICY_ALL; op <<= 1)
			if (r->ops & op)
				fprintf(f, " %s", policy_op_name(op));
		fprintf(f, " }");
	}
	fprintf(f, " from");
	if (r->has_uid)
		fprintf(f, " user %u", r->uid);
	if (r->has_gid)
		fprintf(f, " group %u", r->gid);
	if (!r->has_uid && !r->has_gid)
		fprintf(f, " any");
	fprintf(f, "\n");
}

static void
print_limit(FILE *f, const struct conf_limit *l, uint32_t v)
{
	fprintf(f, "limit %s ", l->name);
	if (l->bytes && v % (1024 * 1024) == 0)
		fprintf(f, "%uM\n", v / (1024 * 1024));
	else if (l->bytes && v % 1024 == 0)
		fprintf(f, "%uK\n", v / 1024);
	else
		fprintf(f, "%u\n", v);
}

void
conf_print(FILE *f, const struct conf *c)
{
	const struct conf_vmdir	*d;
	size_t			 i;

	fprintf(f, "log level %s\n",
	    log_level_name((enum log_level)c->level));
	if (c->log_events)
		fprintf(f, "log events\n");
	fprintf(f, "ksm %s\n", c->ksm);
	fprintf(f, "guest %s\n", guest_name(c->guest));
	for (i = 0; i < FLT_MAX; i++)
		print_duration(f, flags_timeout_name((enum flags_timeout)i),
		    c->timeouts[i]);
	for (i = 0; i < CONF_LIMITS; i++)
		print_limit(f, &conf_limits[i], c->limits[i]);
	if (c->limit_root)
		fprintf(f, "limit root\n");
	if (c->engine_first != 0)
		fprintf(f, "engine uid %u - %u\n", c->engine_first,
		    c->engine_last);
	for (i = 0; i < c->nlisteners; i++) {
		fprintf(f, "listen on ");
		print_quoted(f, c->listeners[i].sock.path);
		fprintf(f, " protocol %d",
		    c->listeners[i].proto == MSG_PROTO_1 ? 1 : 3);
		print_socket(f, &c->listeners[i].sock);
	}
	if (c->control == CONF_CONTROL_NONE)
		fprintf(f, "no control\n");
	else if (c->control == CONF_CONTROL_PATH) {
		fprintf(f, "control ");
		print_quoted(f, c->ctlsock.path);
		print_socket(f, &c->ctlsock);
	}
	TAILQ_FOREACH(d, &c->vmdirs, entry)
		print_vmdir(f, d);
	if (c->policy.attach_owner)
		fprintf(f, "attach owner\n");
	for (i = 0; i < c->policy.nrules; i++)
		print_rule(f, &c->policy.rules[i]);
}

/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: what another configuration would change, and what of it a
 * running daemon cannot.  Pure.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "conf.h"

static int	 same_socket(const struct conf_socket *,
		    const struct conf_socket *);
static int	 fixed_listeners(const struct conf *, const struct conf *,
		    void (*)(const char *));
static const struct conf_listener *find_listener(const struct conf *,
		    const char *);
static int	 same_vmdir(const struct conf_vmdir *,
		    const struct conf_vmdir *);
static int	 same_vmdirs(const struct conf *, const struct conf *);
static int	 same_rule(const struct policy_rule *,
		    const struct policy_rule *);
static int	 same_rules(const struct policy *, const struct policy *);
static void	 add(char *, size_t, const char *, const char *);

static int
same_socket(const struct conf_socket *a, const struct conf_socket *b)
{
	return (strcmp(a->path, b->path) == 0 && a->mode == b->mode &&
	    a->uid == b->uid && a->gid == b->gid);
}

static const struct conf_listener *
find_listener(const struct conf *c, const char *path)
{
	size_t	 i;

	for (i = 0; i < c->nlisteners; i++)
		if (strcmp(c->listeners[i].sock.path, path) == 0)
			return (&c->listeners[i]);
	return (NULL);
}

/* The order counts: clients are told of the first one's path. */
static int
fixed_listeners(const struct conf *now, const struct conf *next,
    void (*report)(const char *))
{
	const struct conf_listener	*l, *other;
	char				 line[MSG_PATH_MAX + 64];
	size_t				 i;
	int				 n = 0, moved = 0;

	for (i = 0; i < now->nlisteners; i++) {
		l = &now->listeners[i];
		if (find_listener(next, l->sock.path) != NULL)
			continue;
		snprintf(line, sizeof(line), "no more \"listen on %s\": needs "
		    "a restart", l->sock.path);
		report(line);
		n++;
	}
	for (i = 0; i < next->nlisteners; i++) {
		l = &next->listeners[i];
		other = find_listener(now, l->sock.path);
		if (other != NULL && l->proto == other->proto &&
		    same_socket(&l->sock, &other->sock)) {
			moved |= other != &now->listeners[i];
			continue;
		}
		snprintf(line, sizeof(line), "%s \"listen on %s\": needs a "
		    "restart", other == NULL ? "new" : "other",
		    l->sock.path);
		report(line);
		n++;
	}
	if (n == 0 && moved) {
		report("other order of \"listen on\": needs a restart");
		n++;
	}
	return (n);
}

int
conf_fixed(const struct conf *now, const struct conf *next, int pod,
    void (*report)(const char *))
{
	int	 n;

	n = fixed_listeners(now, next, report);
	if (now->control != next->control ||
	    (now->control == CONF_CONTROL_PATH &&
	    !same_socket(&now->ctlsock, &next->ctlsock))) {
		report("other \"control\": needs a restart");
		n++;
	}
	if (now->engine_first != next->engine_first ||
	    now->engine_last != next->engine_last) {
		report("other \"engine uid\": needs a restart");
		n++;
	}
	if (!pod && strcmp(now->ksm, next->ksm) != 0) {
		report("other \"ksm\": needs a restart");
		n++;
	}
	return (n);
}

static int
same_vmdir(const struct conf_vmdir *a, const struct conf_vmdir *b)
{
	size_t	 i;

	if (strcmp(a->path, b->path) != 0 || a->guest != b->guest ||
	    a->nowners != b->nowners)
		return (0);
	for (i = 0; i < a->nowners; i++)
		if (a->owners[i] != b->owners[i])
			return (0);
	return (1);
}

static int
same_vmdirs(const struct conf *a, const struct conf *b)
{
	const struct conf_vmdir	*d, *e;

	e = TAILQ_FIRST(&b->vmdirs);
	TAILQ_FOREACH(d, &a->vmdirs, entry) {
		if (e == NULL || !same_vmdir(d, e))
			return (0);
		e = TAILQ_NEXT(e, entry);
	}
	return (e == NULL);
}

static int
same_rule(const struct policy_rule *a, const struct policy_rule *b)
{
	return (a->allow == b->allow && a->ops == b->ops &&
	    a->has_uid == b->has_uid && a->has_gid == b->has_gid &&
	    a->uid == b->uid && a->gid == b->gid);
}

static int
same_rules(const struct policy *a, const struct policy *b)
{
	size_t	 i;

	if (a->nrules != b->nrules)
		return (0);
	for (i = 0; i < a->nrules; i++)
		if (!same_rule(&a->rules[i], &b->rules[i]))
			return (0);
	return (1);
}

static void
add(char *text, size_t size, const char *word, const char *name)
{
	if (text[0] != '\0')
		strlcat(text, ", ", size);
	strlcat(text, word, size);
	strlcat(text, name, size);
}

void
conf_changes(const struct conf *now, const struct conf *next, char *text,
    size_t size)
{
	int	 i;

	text[0] = '\0';
	if (now->level != next->level)
		add(text, size, "log level", "");
	if (now->log_events != next->log_events)
		add(text, size, "log events", "");
	if (strcmp(now->ksm, next->ksm) != 0)
		add(text, size, "ksm", "");
	if (now->guest != next->guest)
		add(text, size, "guest", "");
	for (i = 0; i < FLT_MAX; i++)
		if (now->timeouts[i] != next->timeouts[i])
			add(text, size, "timeout ",
			    flags_timeout_name((enum flags_timeout)i));
	for (i = 0; i < CONF_LIMITS; i++)
		if (now->limits[i] != next->limits[i])
			add(text, size, "limit ", conf_limits[i].name);
	if (now->limit_root != next->limit_root)
		add(text, size, "limit root", "");
	if (!same_vmdirs(now, next))
		add(text, size, "vm directories", "");
	if (now->policy.attach_owner != next->policy.attach_owner)
		add(text, size, "attach owner", "");
	if (!same_rules(&now->policy, &next->policy))
		add(text, size, "rules", "");
}

/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: which agent the VM has, and what that means for commands on
 * their way to it and for its answers.  The agent is not asked: what it sends
 * tells.  cc-agent acknowledges a command and nothing else.  hyperstart says
 * with NEXT how many bytes it read, header and payload each; ccp-guest does
 * so too, but for both at once.  What comes from the agent is hostile, and
 * an agent that lies only spoils its own VM.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypjson.h"
#include "vmengine.h"

static void	vme_dialect_set(enum vme_dialect);
static int	vme_dialect_needs_object(uint32_t);
static int	vme_dialect_adapt(struct vme_order *, char [JSON_ERRMAX]);
static void	vme_dialect_names(struct vme_order *);
static char	*vme_dialect_string(struct json_slice, const char *);
static int	vme_dialect_starts(uint32_t);
static int	vme_dialect_over(const struct vme_order *);

static const char *const vme_dialect_name[] = {
	[VME_UNKNOWN] = "not known",
	[VME_AGENT] = "cc-agent",
	[VME_UNIVERSAL] = "ccp-guest",
	[VME_HYPERSTART] = "hyperstart"
};

void
vme_dialect_init(void)
{
	RB_INIT(&env->procs);
	TAILQ_INIT(&env->gone);
	env->dialect = env->conf.guest == MSG_GUEST_AGENT ? VME_AGENT :
	    env->conf.guest == MSG_GUEST_HYPERSTART ? VME_HYPERSTART :
	    VME_UNKNOWN;
}

static void
vme_dialect_set(enum vme_dialect dialect)
{
	if (env->dialect == dialect)
		return;
	env->dialect = dialect;
	vme_vmlog(LOGL_INFO, NULL, "the agent is %s",
	    vme_dialect_name[dialect]);
}

/*
 * A command was answered.  first and next: the bytes of its first NEXT and
 * of all.  A sum that is not the message's length says nothing.
 */
void
vme_dialect_learn(const struct vme_order *o, size_t first, size_t next,
    uint32_t code, const uint8_t *p, size_t len)
{
	if (env->conf.guest == MSG_GUEST_AUTO) {
		if (next == o->len && o->len > HYP_CTL_HEADER_SIZE)
			vme_dialect_set(first == HYP_CTL_HEADER_SIZE ?
			    VME_HYPERSTART : VME_UNIVERSAL);
		else if (next == 0 && env->dialect == VME_UNKNOWN &&
		    (code == HYP_ACK || code == HYP_ERROR))
			vme_dialect_set(VME_AGENT);
	}
	if (o->code == HYP_VERSION && code == HYP_ACK && len == 4 &&
	    env->dialect == VME_HYPERSTART)
		env->api = p[0] == 0 && p[1] == 0 &&
		    (p[2] << 8 | p[3]) <= HYP_API_F ? HYP_API_F : HYP_API_U;
}

/* An event came: only hyperstart 4243 and later has them.  -1: no, a lie. */
int
vme_dialect_events(void)
{
	if (env->dialect == VME_UNKNOWN)
		vme_dialect_set(VME_HYPERSTART);
	if (env->dialect != VME_HYPERSTART)
		return (-1);
	env->api = HYP_API_U;
	return (0);
}

/* A status on the I/O channel, or the pod's: hyperstart to 4242 has them. */
void
vme_dialect_statuses(void)
{
	if (env->dialect == VME_HYPERSTART && env->api == 0)
		env->api = HYP_API_F;
}

/*
 * Before it is known what the agent takes, no more than any takes; and no
 * client of 1.x expects more.
 */
size_t
vme_dialect_max(int proto)
{
	return (env->dialect == VME_UNKNOWN || proto == MSG_PROTO_1 ?
	    HYP_MESSAGE_MAX : HYP_COMMAND_MAX);
}

/*
 * May another command be written while n wait for their answers?  hyperstart
 * gets one at a time, for it does not survive a header without its payload.
 * What must be put in its words waits until it is known.
 */
int
vme_dialect_ready(const struct vme_order *o, unsigned int n)
{
	if (n == 0)
		return (1);
	if (env->conf.proto == MSG_PROTO_1 || env->dialect == VME_HYPERSTART ||
	    (env->dialect == VME_UNKNOWN && vme_dialect_starts(o->code)))
		return (0);
	return (n < VME_INFLIGHT);
}

static int
vme_dialect_starts(uint32_t code)
{
	return (code == HYP_NEWCONTAINER || code == HYP_EXECCMD);
}

/* hyperstart hangs or dies of anything else in their place. */
static int
vme_dialect_needs_object(uint32_t code)
{
	switch (code) {
	case HYP_STARTPOD:
	case HYP_NEWCONTAINER:
	case HYP_EXECCMD:
	case HYP_WINSIZE:
	case HYP_KILLCONTAINER:
	case HYP_REMOVECONTAINER:
	case HYP_SETUPINTERFACE:
	case HYP_SETUPROUTE:
		return (1);
	default:
		return (0);
	}
}

/*
 * Put a command in the agent's words and note whom it is about.  -1 with a
 * text: the agent would not survive it.
 */
int
vme_dialect_prepare(struct vme_order *o, char err[JSON_ERRMAX])
{
	struct vme_session	*s;

	if (env->dialect == VME_AGENT)
		return (0);
	if (env->dialect == VME_HYPERSTART && vme_dialect_adapt(o, err) == -1)
		return (-1);
	vme_dialect_names(o);
	if (vme_dialect_starts(o->code) &&
	    (s = vme_session_by_seq(o->base)) != NULL)
		s->requested = 1;
	return (0);
}

static int
vme_dialect_adapt(struct vme_order *o, char err[JSON_ERRMAX])
{
	struct vme_session	*s;
	struct hyp_target	 target;
	struct json_slice	 data, value;
	char			*container, *process, *text, id[24];
	char			 dropped[HYP_DROPPED_MAX];
	size_t			 len;
	int			 has;

	memset(&target, 0, sizeof(target));
	target.api = env->api;
	data.p = (const char *)o->msg + HYP_CTL_HEADER_SIZE;
	data.len = o->len - HYP_CTL_HEADER_SIZE;
	switch (o->code) {
	case HYP_STARTPOD:
		/* Their processes are not seen to start. */
		if (json_find(data, "containers", &value) == 1 &&
		    value.len > 2)
			env->blind = 1;
		break;
	case HYP_NEWCONTAINER:
		target.process = "init";
		break;
	case HYP_EXECCMD:
		if (o->base == 0) {
			if (hyp_names(o->code, data, &container, &process,
			    &has, &o->base) == -1)
				fatal("%s", __func__);
			free(container);
			free(process);
		}
		snprintf(id, sizeof(id), "%llu", (unsigned long long)o->base);
		target.process = id;
		break;
	case HYP_WINSIZE:
		if (hyp_winsize_seq(data, &o->base, &has) == 1 &&
		    (s = vme_session_by_seq(o->base)) != NULL &&
		    s->proc != NULL) {
			target.container = s->proc->container;
			target.process = s->proc->process;
		}
		break;
	default:
		break;
	}
	if (vme_dialect_needs_object(o->code) &&
	    (data.len == 0 || data.p[0] != '{')) {
		snprintf(err, JSON_ERRMAX, "%s: no object", hyp_name(o->code));
		return (-1);
	}
	text = hyp_adapt(o->code, data, &target, &len, dropped, err);
	if (text == NULL)
		return (-1);
	if (dropped[0] != '\0') {
		vme_vmlog(env->told_dropped ? LOGL_DEBUG : LOGL_WARN, NULL,
		    "hyperstart does not know %s: left out", dropped);
		env->told_dropped = 1;
	}
	free(o->msg);
	o->len = HYP_CTL_HEADER_SIZE + len;
	o->msg = vme_malloc(o->len);
	hyp_ctl_encode(o->msg, o->code, len);
	memcpy(o->msg + HYP_CTL_HEADER_SIZE, text, len);
	free(text);
	return (0);
}

/*
 * The first command of a pod was written before the agent was known.  One
 * that hyperstart refuses for its words changes nothing.
 */
int
vme_dialect_reword(struct vme_order *o)
{
	char	 err[JSON_ERRMAX], *old;
	size_t	 len;
	int	 same;

	if (env->dialect != VME_HYPERSTART || o->code != HYP_STARTPOD)
		return (0);
	len = o->len;
	old = vme_malloc(len);
	memcpy(old, o->msg, len);
	same = vme_dialect_adapt(o, err) == -1 ||
	    (o->len == len && memcmp(o->msg, old, len) == 0);
	free(old);
	return (!same);
}

static void
vme_dialect_names(struct vme_order *o)
{
	struct json_slice	 data;
	uint64_t		 stdio_;
	int			 has;

	data.p = (const char *)o->msg + HYP_CTL_HEADER_SIZE;
	data.len = o->len - HYP_CTL_HEADER_SIZE;
	if (o->code == HYP_KILLCONTAINER || o->code == HYP_REMOVECONTAINER)
		o->container = vme_dialect_string(data, "container");
	if (!vme_dialect_starts(o->code))
		return;
	if (hyp_names(o->code, data, &o->container, &o->process, &has,
	    &stdio_) == -1)
		fatal("%s", __func__);
	if (o->base == 0 && has)
		o->base = stdio_;
	/* That is the name agents give it. */
	if (o->process == NULL && asprintf(&o->process, "%llu",
	    (unsigned long long)o->base) == -1)
		fatal("%s", __func__);
}

/* A member that is a string, malloc'd; NULL: none. */
static char *
vme_dialect_string(struct json_slice object, const char *name)
{
	struct json_slice	 slice;
	char			*s, err[JSON_ERRMAX];
	json_t			*v;

	s = NULL;
	if (json_find(object, name, &slice) == 1 &&
	    (v = json_parse(slice.p, slice.len, err)) != NULL) {
		if (json_is_string(v) &&
		    (s = strdup(json_string_value(v))) == NULL)
			fatal("%s", __func__);
		json_decref(v);
	}
	return (s);
}

/*
 * The answer to a command, before its client gets it.  hyperstart forgets a
 * container when it ends, and a process with it; what a client then still
 * has to say about them is no error with other agents, and so not here.
 */
uint32_t
vme_dialect_answer(struct vme_order *o, uint32_t code)
{
	struct vme_session	*s;

	if (code == HYP_ACK && vme_dialect_starts(o->code)) {
		if (o->code == HYP_NEWCONTAINER && o->container != NULL)
			vme_gone_forget(o->container);
		if ((s = vme_session_by_seq(o->base)) != NULL) {
			if (env->dialect != VME_AGENT)
				vme_process_new(s, o);
			vme_session_started(s);
		}
	}
	if (code == HYP_ERROR && env->dialect == VME_HYPERSTART &&
	    vme_dialect_over(o))
		return (HYP_ACK);
	return (code);
}

static int
vme_dialect_over(const struct vme_order *o)
{
	struct vme_session	*s;

	switch (o->code) {
	case HYP_KILLCONTAINER:
	case HYP_REMOVECONTAINER:
		return (o->container != NULL && vme_gone(o->container));
	case HYP_WINSIZE:
	case HYP_SIGNALPROCESS:
		s = vme_session_by_seq(o->base);
		return (s != NULL && (s->terminated || s->exited ||
		    s->has_status));
	default:
		return (0);
	}
}

/* SPDX-License-Identifier: ISC */

/*
 * What the two versions of hyperstart make of the JSON of a command: which
 * members an object may have, and which it needs lest the agent refuse it,
 * or crash or hang over it.  Pure: an object in, a verdict out.
 */

#include <stdint.h>
#include <string.h>

#include "guest.h"
#include "hyper.h"

#define BOTH		(API_4242 | API_4244)

enum accept_shape {
	SHAPE_ANY,
	SHAPE_LIST,	/* of anything, or of objects */
	SHAPE_OBJECT,
	SHAPE_MAP	/* an object with any members */
};

struct accept_object;
struct accept_member {
	const char	*m_name;
	unsigned int	 m_api;
	enum accept_shape m_shape;
	const struct accept_object *m_object;
};

struct accept_object {
	const struct accept_member *o_members;
	int		(*o_need)(enum guest_api, json_t *,
			    struct guest_accept *);
	int		 o_stop;	/* reading ends at an unknown member */
	int		 o_lax;		/* unknown members are ignored */
};

static int	accept_object(enum guest_api, const struct accept_object *,
		    json_t *, struct guest_accept *);
static int	accept_member(enum guest_api, const struct accept_member *,
		    json_t *, int, struct guest_accept *);
static void	accept_cut(json_t *, const char *);
static int	refuse(struct guest_accept *, const char *);
static int	dies(struct guest_accept *, const char *);
static int	has(json_t *, const char *);
static int	need_env(enum guest_api, json_t *, struct guest_accept *);
static int	need_process(enum guest_api, json_t *, struct guest_accept *);
static int	need_volume(enum guest_api, json_t *, struct guest_accept *);
static int	need_fsmap(enum guest_api, json_t *, struct guest_accept *);
static int	need_container(enum guest_api, json_t *,
		    struct guest_accept *);
static int	need_address(enum guest_api, json_t *, struct guest_accept *);
static int	need_interface(enum guest_api, json_t *,
		    struct guest_accept *);
static int	need_route(enum guest_api, json_t *, struct guest_accept *);
static int	need_routes(enum guest_api, json_t *, struct guest_accept *);
static int	need_pod(enum guest_api, json_t *, struct guest_accept *);
static int	need_exec(enum guest_api, json_t *, struct guest_accept *);
static int	need_file(enum guest_api, json_t *, struct guest_accept *);

#define ANY(name, api)		{ name, api, SHAPE_ANY, NULL }
#define LIST(name, api)		{ name, api, SHAPE_LIST, NULL }
#define LISTOF(name, api, o)	{ name, api, SHAPE_LIST, o }
#define OBJECT(name, api, o)	{ name, api, SHAPE_OBJECT, o }
#define MAP(name, api)		{ name, api, SHAPE_MAP, NULL }
#define END			{ NULL, 0, SHAPE_ANY, NULL }

static const struct accept_member env_members[] = {
	ANY("env", BOTH), ANY("value", BOTH), END
};
static const struct accept_object env = { env_members, need_env, 0, 0 };

static const struct accept_member process_members[] = {
	ANY("id", API_4244), ANY("terminal", BOTH), ANY("stdio", BOTH),
	ANY("stderr", BOTH), LIST("args", BOTH), LISTOF("envs", BOTH, &env),
	ANY("workdir", BOTH), ANY("user", BOTH), ANY("group", BOTH),
	LIST("additionalGroups", BOTH), ANY("rows", API_4242),
	ANY("columns", API_4242), END
};
static const struct accept_object process = { process_members, need_process,
    1, 0 };

static const struct accept_member volume_members[] = {
	ANY("device", BOTH), ANY("addr", BOTH), ANY("mount", BOTH),
	ANY("fstype", BOTH), ANY("readOnly", BOTH),
	ANY("dockerVolume", BOTH), END
};
static const struct accept_object volume = { volume_members, need_volume,
    0, 0 };

static const struct accept_member fsmap_members[] = {
	ANY("source", BOTH), ANY("path", BOTH), ANY("readOnly", BOTH),
	ANY("dockerVolume", BOTH), END
};
static const struct accept_object fsmap = { fsmap_members, need_fsmap, 0, 0 };

static const struct accept_member port_members[] = {
	ANY("hostPort", BOTH), ANY("containerPort", BOTH),
	ANY("protocol", BOTH), END
};
static const struct accept_object port = { port_members, NULL, 0, 0 };

static const struct accept_member container_members[] = {
	ANY("id", BOTH), ANY("rootfs", BOTH), ANY("image", BOTH),
	ANY("fstype", BOTH), ANY("addr", BOTH),
	OBJECT("process", BOTH, &process), LISTOF("volumes", BOTH, &volume),
	LISTOF("fsmap", BOTH, &fsmap), MAP("sysctl", BOTH),
	ANY("readOnly", API_4244), ANY("initialize", BOTH),
	ANY("restartPolicy", BOTH), LISTOF("ports", BOTH, &port), END
};
static const struct accept_object container = { container_members,
    need_container, 0, 0 };

static const struct accept_member address_members[] = {
	ANY("ipAddress", BOTH), ANY("netMask", BOTH), END
};
static const struct accept_object address = { address_members, need_address,
    0, 0 };

static const struct accept_member interface_members[] = {
	ANY("device", BOTH), ANY("newDeviceName", BOTH),
	LISTOF("ipAddresses", BOTH, &address), ANY("ipAddress", BOTH),
	ANY("netMask", BOTH), ANY("mtu", BOTH), ANY("macAddr", API_4242), END
};
static const struct accept_object interface = { interface_members,
    need_interface, 0, 0 };

static const struct accept_member route_members[] = {
	ANY("dest", BOTH), ANY("gateway", BOTH), ANY("device", BOTH), END
};
static const struct accept_object route = { route_members, need_route, 0, 0 };

static const struct accept_member routes_members[] = {
	LISTOF("routes", BOTH, &route), END
};
static const struct accept_object routes = { routes_members, need_routes,
    0, 0 };

static const struct accept_member ports_members[] = {
	LIST("internalNetworks", BOTH), LIST("externalNetworks", BOTH), END
};
static const struct accept_object ports = { ports_members, NULL, 0, 0 };

static const struct accept_member pod_members[] = {
	ANY("hostname", BOTH), ANY("shareDir", BOTH),
	LISTOF("containers", BOTH, &container),
	LISTOF("interfaces", BOTH, &interface),
	LISTOF("routes", BOTH, &route), LIST("dns", BOTH),
	LIST("dnsSearch", API_4244), LIST("dnsOptions", API_4244),
	OBJECT("portmappingWhiteLists", BOTH, &ports),
	ANY("iptableRules", API_4242), ANY("restartPolicy", BOTH), END
};
static const struct accept_object pod = { pod_members, need_pod, 0, 0 };

static const struct accept_member exec_members[] = {
	ANY("container", BOTH), OBJECT("process", BOTH, &process), END
};
static const struct accept_object exec = { exec_members, need_exec, 0, 1 };

static const struct accept_member file_members[] = {
	ANY("container", BOTH), ANY("file", BOTH), END
};
static const struct accept_object file = { file_members, need_file, 0, 0 };

static const struct {
	uint32_t	 code;
	const struct accept_object *object;
} accept_commands[] = {
	{ HYP_STARTPOD,		&pod },
	{ HYP_EXECCMD,		&exec },
	{ HYP_WRITEFILE,	&file },
	{ HYP_READFILE,		&file },
	{ HYP_NEWCONTAINER,	&container },
	{ HYP_SETUPINTERFACE,	&interface },
	{ HYP_SETUPROUTE,	&routes },
	{ HYP_DELETEINTERFACE,	&interface }
};
#define ACCEPT_COMMANDS	(sizeof(accept_commands) / sizeof(accept_commands[0]))

static const struct accept_object *
accept_find(uint32_t code)
{
	size_t	i;

	for (i = 0; i < ACCEPT_COMMANDS; i++)
		if (accept_commands[i].code == code)
			return (accept_commands[i].object);
	return (NULL);
}

int
guest_accept(enum guest_api api, uint32_t code, json_t *v,
    struct guest_accept *a)
{
	const struct accept_object	*o;

	a->a_text = NULL;
	a->a_dies = 0;
	if (api == API_ANY || (o = accept_find(code)) == NULL)
		return (0);
	/* Nothing at all is an object without members to them. */
	if (json_is_null(v) && o->o_need != NULL)
		return (o->o_need(api, v, a));
	return (accept_object(api, o, v, a));
}

int
guest_accept_tail(enum guest_api api, uint32_t code, const char *text,
    size_t len)
{
	if (accept_find(code) == NULL)
		return (0);
	return (api == API_4244 || (memchr(text, '}', len) == NULL &&
	    memchr(text, ']', len) == NULL));
}

static int
refuse(struct guest_accept *a, const char *why)
{
	a->a_text = why;
	return (-1);
}

static int
dies(struct guest_accept *a, const char *why)
{
	a->a_dies = 1;
	return (refuse(a, why));
}

static int
has(json_t *o, const char *name)
{
	return (json_is_string(json_object_get(o, name)));
}

static int
accept_object(enum guest_api api, const struct accept_object *o, json_t *v,
    struct guest_accept *a)
{
	const struct accept_member	*m;
	const char			*key;
	json_t				*member;
	size_t				 n = 0;

	if (!json_is_object(v))
		return (refuse(a, "no object"));
	json_object_foreach(v, key, member) {
		n++;
		for (m = o->o_members; m->m_name != NULL; m++)
			if (((unsigned int)api & m->m_api) != 0 &&
			    strcmp(m->m_name, key) == 0)
				break;
		if (m->m_name == NULL) {
			if (o->o_stop == 1) {
				accept_cut(v, key);
				a->a_text = "unknown member of a process";
				break;
			}
			if (o->o_lax == 0)
				return (refuse(a, "unknown member"));
			continue;
		}
		a->a_text = NULL;
		if (accept_member(api, m, member, n == json_object_size(v),
		    a) == -1)
			return (-1);
		/* What follows was not read as part of the process. */
		if (m->m_object != NULL && m->m_object->o_stop == 1 &&
		    a->a_text != NULL && o->o_lax == 0 &&
		    n < json_object_size(v))
			return (-1);
	}
	return (o->o_need != NULL ? o->o_need(api, v, a) : 0);
}

static int
accept_member(enum guest_api api, const struct accept_member *m, json_t *v,
    int last, struct guest_accept *a)
{
	json_t	*item;
	size_t	 i;

	switch (m->m_shape) {
	case SHAPE_LIST:
		if (!json_is_array(v))
			return (refuse(a, "no list"));
		/* These lose their way behind an empty list. */
		if (json_array_size(v) == 0 && last == 0 &&
		    (m->m_object == &port ||
		    strstr(m->m_name, "Networks") != NULL))
			return (refuse(a, "empty list"));
		if (m->m_object == NULL)
			return (0);
		json_array_foreach(v, i, item) {
			if (accept_object(api, m->m_object, item, a) == -1)
				return (-1);
		}
		return (0);
	case SHAPE_OBJECT:
		return (accept_object(api, m->m_object, v, a));
	case SHAPE_MAP:
		return (json_is_object(v) ? 0 : refuse(a, "no object"));
	case SHAPE_ANY:
	default:
		return (0);
	}
}

/* Removes the member named and those behind it. */
static void
accept_cut(json_t *v, const char *key)
{
	void	*iter, *next;

	for (iter = json_object_iter_at(v, key); iter != NULL; iter = next) {
		next = json_object_iter_next(v, iter);
		(void)json_object_del(v, json_object_iter_key(iter));
	}
}

static int
need_env(enum guest_api api, json_t *v, struct guest_accept *a)
{
	if (api == API_4244 && (!has(v, "env") || !has(v, "value")))
		return (dies(a, "variable without a value"));
	return (0);
}

static int
need_process(enum guest_api api, json_t *v, struct guest_accept *a)
{
	json_t	*args = json_object_get(v, "args");

	if (api == API_4242)
		return (0);
	if (!has(v, "id"))
		return (dies(a, "process without id"));
	if (args != NULL && json_array_size(args) == 0)
		return (dies(a, "process without args"));
	return (0);
}

static int
need_volume(enum guest_api api, json_t *v, struct guest_accept *a)
{
	(void)api;
	if (!has(v, "fstype"))
		return (dies(a, "volume without fstype"));
	return (has(v, "mount") ? 0 : refuse(a, "volume without mount"));
}

static int
need_fsmap(enum guest_api api, json_t *v, struct guest_accept *a)
{
	(void)api;
	if (!has(v, "source") || !has(v, "path"))
		return (refuse(a, "fsmap without source or path"));
	return (0);
}

static int
need_container(enum guest_api api, json_t *v, struct guest_accept *a)
{
	if (!has(v, "id"))
		return (api == API_4244 ? dies(a, "container without id") :
		    refuse(a, "container without id"));
	if (json_object_get(v, "process") == NULL)
		return (dies(a, "container without process"));
	if (!has(v, "rootfs") || !has(v, "image"))
		return (refuse(a, "container without rootfs or image"));
	return (0);
}

static int
need_address(enum guest_api api, json_t *v, struct guest_accept *a)
{
	(void)api;
	if (!has(v, "ipAddress") || !has(v, "netMask"))
		return (dies(a, "address without its mask"));
	return (0);
}

static int
need_interface(enum guest_api api, json_t *v, struct guest_accept *a)
{
	if (has(v, "ipAddress") != has(v, "netMask"))
		return (dies(a, "address without its mask"));
	if (!has(v, "device") && !has(v, "macAddr"))
		return (refuse(a, "interface without a device"));
	if (api == API_4242 && !has(v, "ipAddress") &&
	    json_array_size(json_object_get(v, "ipAddresses")) == 0)
		return (refuse(a, "interface without an address"));
	return (0);
}

static int
need_route(enum guest_api api, json_t *v, struct guest_accept *a)
{
	(void)api;
	return (has(v, "dest") ? 0 : refuse(a, "route without a destination"));
}

static int
need_routes(enum guest_api api, json_t *v, struct guest_accept *a)
{
	if (json_object_size(v) == 0 && api == API_4242)
		return (dies(a, "no routes"));
	return (0);
}

static int
need_pod(enum guest_api api, json_t *v, struct guest_accept *a)
{
	(void)api;
	return (has(v, "hostname") ? 0 : dies(a, "pod without a hostname"));
}

static int
need_exec(enum guest_api api, json_t *v, struct guest_accept *a)
{
	(void)api;
	if (!has(v, "container"))
		return (dies(a, "execcmd without a container"));
	return (0);
}

static int
need_file(enum guest_api api, json_t *v, struct guest_accept *a)
{
	(void)api;
	if (!has(v, "container") || !has(v, "file"))
		return (refuse(a, "no container or file given"));
	return (0);
}

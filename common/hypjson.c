/* SPDX-License-Identifier: ISC */

/*
 * Commands in the words of hyperstart: which members its parsers know, in
 * which order they bear them, and what they must not be without.  Runs in
 * the engines, over text that an untrusted client wrote and json_parse() has
 * accepted.  Objects call each other as deep as the tables below go, however
 * deep the text is, and every step is linear in the text.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hyper.h"
#include "hypjson.h"
#include "jsontext.h"

#define HYP_ROWS_MAX	14	/* members of a container */
#define HYP_SCOPE_MAX	4	/* startpod: containers, process, envs */
#define HYP_SHOWN	32	/* bytes of a name that was left out */

/* How a member is kept; without any: unless its value is meaningless. */
#define HYP_EMPTY	0x01	/* also when it is "" */
#define HYP_ALWAYS	0x02	/* whatever the value */
#define HYP_LIST	0x04	/* put is for each of its elements */
#define HYP_ONLY_F	0x08
#define HYP_NOT_F	0x10
#define HYP_NOT_U	0x20

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

struct hyp_edit {
	struct json_buf	 b;
	const char	*command;	/* for error texts */
	struct json_slice id;		/* of a process that has none, quoted */
	const char	*scope[HYP_SCOPE_MAX];	/* where we are */
	unsigned int	 depth;
	unsigned int	 api;
	char		*dropped;
	char		*err;
};

/* A member that the guest knows, or that we look at. */
struct hyp_row {
	const char	*name;
	unsigned int	 flags;
	int		(*put)(struct hyp_edit *, struct json_slice);
};

/* An object, sorted into its table. */
struct hyp_object {
	const struct hyp_row	*rows;
	size_t			 nrows;
	struct json_slice	 text;
	int			 isobject;
	struct json_slice	 v[HYP_ROWS_MAX];	/* p NULL: none */
};

static int	 hyp_volume(struct hyp_edit *, struct json_slice);
static int	 hyp_fsmap(struct hyp_edit *, struct json_slice);
static int	 hyp_port(struct hyp_edit *, struct json_slice);
static int	 hyp_env(struct hyp_edit *, struct json_slice);
static int	 hyp_process(struct hyp_edit *, struct json_slice);
static int	 hyp_container(struct hyp_edit *, struct json_slice);
static int	 hyp_address(struct hyp_edit *, struct json_slice);
static int	 hyp_interface(struct hyp_edit *, struct json_slice);
static int	 hyp_route(struct hyp_edit *, struct json_slice);
static int	 hyp_whitelists(struct hyp_edit *, struct json_slice);

enum { VOLUME_FSTYPE = 3 };
static const struct hyp_row hyp_volume_rows[] = {
	{ "device", 0, NULL },
	{ "addr", 0, NULL },
	{ "mount", 0, NULL },
	[VOLUME_FSTYPE] = { "fstype", 0, NULL },
	{ "readOnly", 0, NULL },
	{ "dockerVolume", 0, NULL }
};

/* The last two must be meaningless, and so they are never put. */
enum { FSMAP_ABSOLUTEPATH = 4, FSMAP_SCSIADDR };
static const struct hyp_row hyp_fsmap_rows[] = {
	{ "source", 0, NULL },
	{ "path", 0, NULL },
	{ "readOnly", 0, NULL },
	{ "dockerVolume", 0, NULL },
	[FSMAP_ABSOLUTEPATH] = { "absolutePath", 0, NULL },
	[FSMAP_SCSIADDR] = { "scsiAddr", 0, NULL }
};

static const struct hyp_row hyp_port_rows[] = {
	{ "hostPort", 0, NULL },
	{ "containerPort", 0, NULL },
	{ "protocol", 0, NULL }
};

enum { ENV_ENV, ENV_VALUE };
static const struct hyp_row hyp_env_rows[] = {
	[ENV_ENV] = { "env", 0, NULL },
	[ENV_VALUE] = { "value", HYP_ALWAYS, NULL }
};

/*
 * The parser stops at the first name it does not know, and 4242 does not
 * know id: so id is the last of a process, and process of a container.
 */
enum { PROCESS_ARGS = 3, PROCESS_ID = 11 };
static const struct hyp_row hyp_process_rows[] = {
	{ "terminal", 0, NULL },
	{ "stdio", 0, NULL },
	{ "stderr", 0, NULL },
	[PROCESS_ARGS] = { "args", 0, NULL },
	{ "envs", HYP_LIST, hyp_env },
	{ "workdir", 0, NULL },
	{ "user", 0, NULL },
	{ "group", 0, NULL },
	{ "additionalGroups", 0, NULL },
	{ "rows", HYP_ONLY_F, NULL },
	{ "columns", HYP_ONLY_F, NULL },
	[PROCESS_ID] = { "id", HYP_NOT_F, NULL }
};

enum {
	CONTAINER_ID, CONTAINER_ADDR = 4, CONTAINER_SCSIADDR,
	CONTAINER_READONLY = 12, CONTAINER_PROCESS
};
static const struct hyp_row hyp_container_rows[] = {
	[CONTAINER_ID] = { "id", 0, NULL },
	{ "rootfs", HYP_EMPTY, NULL },
	{ "image", HYP_EMPTY, NULL },
	{ "fstype", 0, NULL },
	[CONTAINER_ADDR] = { "addr", 0, NULL },
	[CONTAINER_SCSIADDR] = { "scsiAddr", 0, NULL },
	{ "volumes", HYP_LIST, hyp_volume },
	{ "fsmap", HYP_LIST, hyp_fsmap },
	{ "sysctl", 0, NULL },
	{ "initialize", 0, NULL },
	{ "restartPolicy", 0, NULL },
	{ "ports", HYP_LIST, hyp_port },
	[CONTAINER_READONLY] = { "readOnly", HYP_ALWAYS, NULL },
	[CONTAINER_PROCESS] = { "process", HYP_ALWAYS, hyp_process }
};

_Static_assert(nitems(hyp_container_rows) <= HYP_ROWS_MAX,
    "the largest table");

enum { EXEC_CONTAINER, EXEC_PROCESS };
static const struct hyp_row hyp_exec_rows[] = {
	[EXEC_CONTAINER] = { "container", 0, NULL },
	[EXEC_PROCESS] = { "process", HYP_ALWAYS, hyp_process }
};

enum { ADDRESS_IPADDRESS, ADDRESS_NETMASK };
static const struct hyp_row hyp_address_rows[] = {
	[ADDRESS_IPADDRESS] = { "ipAddress", HYP_EMPTY, NULL },
	[ADDRESS_NETMASK] = { "netMask", 0, NULL }
};

enum {
	INTERFACE_DEVICE, INTERFACE_IPADDRESS = 3, INTERFACE_NETMASK,
	INTERFACE_MACADDR = 6
};
static const struct hyp_row hyp_interface_rows[] = {
	[INTERFACE_DEVICE] = { "device", 0, NULL },
	{ "newDeviceName", 0, NULL },
	{ "ipAddresses", HYP_LIST, hyp_address },
	[INTERFACE_IPADDRESS] = { "ipAddress", 0, NULL },
	[INTERFACE_NETMASK] = { "netMask", 0, NULL },
	{ "mtu", 0, NULL },
	[INTERFACE_MACADDR] = { "macAddr", HYP_NOT_U, NULL }
};

enum { ROUTE_DEST };
static const struct hyp_row hyp_route_rows[] = {
	[ROUTE_DEST] = { "dest", HYP_ALWAYS, NULL },
	{ "gateway", 0, NULL },
	{ "device", 0, NULL }
};

enum { ROUTES_ROUTES };
static const struct hyp_row hyp_routes_rows[] = {
	[ROUTES_ROUTES] = { "routes", HYP_ALWAYS | HYP_LIST, hyp_route }
};

static const struct hyp_row hyp_whitelist_rows[] = {
	{ "internalNetworks", 0, NULL },
	{ "externalNetworks", 0, NULL }
};

enum { POD_HOSTNAME };
static const struct hyp_row hyp_pod_rows[] = {
	[POD_HOSTNAME] = { "hostname", 0, NULL },
	{ "shareDir", 0, NULL },
	{ "containers", HYP_LIST, hyp_container },
	{ "interfaces", HYP_LIST, hyp_interface },
	{ "routes", HYP_LIST, hyp_route },
	{ "dns", 0, NULL },
	{ "dnsSearch", HYP_NOT_F, NULL },
	{ "dnsOptions", HYP_NOT_F, NULL },
	{ "portmappingWhiteLists", 0, hyp_whitelists },
	{ "iptableRules", HYP_NOT_U, NULL },
	{ "restartPolicy", 0, NULL }
};

/* What a command without its container does to the guest: it dies. */
enum { KILL_CONTAINER };
static const struct hyp_row hyp_kill_rows[] = {
	[KILL_CONTAINER] = { "container", HYP_EMPTY, NULL },
	{ "signal", HYP_ALWAYS, NULL },
	{ "allProcesses", HYP_ALWAYS, NULL }
};

static int
hyp_fail(struct hyp_edit *e, const char *command, const char *what)
{
	snprintf(e->err, JSON_ERRMAX, "%s: %s", command, what);
	return (-1);
}

/* For what may be a word without quotes, too. */
static int
hyp_isset(struct json_slice v)
{
	if (v.p != NULL && v.len > 0 && *v.p == '"')
		return (hyp_isstring(v));
	return (!hyp_meaningless(v));
}

static int
hyp_begins(struct json_slice v, char c)
{
	return (v.p != NULL && v.len > 0 && *v.p == c);
}

/* Absent, null or "". */
static int
hyp_absent(struct json_slice v)
{
	return (v.p == NULL || hyp_begins(v, 'n') ||
	    (v.len == 2 && *v.p == '"'));
}

/* Note a member that is left out, once. */
static void
hyp_leave_out(struct hyp_edit *e, const char *key, size_t keylen,
    struct json_slice value)
{
	const char	*p;
	char		 name[HYP_DROPPED_MAX];
	size_t		 len;
	unsigned int	 i;

	if (hyp_meaningless(value) ||
	    strlen(e->dropped) == HYP_DROPPED_MAX - 1)
		return;
	name[0] = '\0';
	for (i = 0; i < e->depth; i++) {
		strlcat(name, e->scope[i], sizeof(name));
		strlcat(name, ".", sizeof(name));
	}
	len = strlen(name);
	for (i = 0; i < keylen && i < HYP_SHOWN; i++)
		name[len++] = key[i] > ' ' && key[i] < 0x7f &&
		    key[i] != ',' ? key[i] : '?';
	if (keylen == 0)
		name[len++] = '?';
	name[len] = '\0';
	for (p = e->dropped; (p = strstr(p, name)) != NULL; p++) {
		if ((p == e->dropped || p[-1] == ' ') &&
		    (p[len] == ',' || p[len] == '\0'))
			return;
	}
	if (e->dropped[0] != '\0')
		strlcat(e->dropped, ", ", HYP_DROPPED_MAX);
	strlcat(e->dropped, name, HYP_DROPPED_MAX);
}

/* As above; the member is not put either. */
static void
hyp_leave_row(struct hyp_edit *e, struct hyp_object *o, size_t row)
{
	hyp_leave_out(e, o->rows[row].name, strlen(o->rows[row].name),
	    o->v[row]);
	o->v[row].p = NULL;
}

/* Sort an object into its table.  Of anything else, there is no member. */
static void
hyp_sort(struct hyp_edit *e, struct hyp_object *o,
    const struct hyp_row *rows, size_t nrows, struct json_slice text)
{
	struct json_members	 m;
	enum json_match		 match, best[HYP_ROWS_MAX];
	unsigned int		 flags;
	size_t			 i;

	memset(o, 0, sizeof(*o));
	memset(best, 0, sizeof(best));
	o->rows = rows;
	o->nrows = nrows;
	o->text = text;
	o->isobject = json_members(&m, text) == 0;
	while (o->isobject && json_member(&m)) {
		for (i = 0, match = JSON_NOMATCH; i < nrows; i++) {
			match = json_key_match(m.key, rows[i].name);
			if (match != JSON_NOMATCH)
				break;
		}
		if (match == JSON_NOMATCH)
			hyp_leave_out(e, m.key.p, m.key.len, m.value);
		else if (match >= best[i]) {
			best[i] = match;
			o->v[i] = m.value;
		}
	}
	for (i = 0; i < nrows; i++) {
		flags = rows[i].flags;
		if (((flags & HYP_NOT_U) && e->api == HYP_API_U) ||
		    ((flags & HYP_NOT_F) && e->api == HYP_API_F) ||
		    ((flags & HYP_ONLY_F) && e->api != HYP_API_F))
			hyp_leave_row(e, o, i);
	}
}

static void
hyp_add(struct hyp_edit *e, const char *s)
{
	json_buf_add(&e->b, s, strlen(s));
}

/* A comma, unless something has just been opened. */
static void
hyp_comma(struct hyp_edit *e)
{
	if (e->b.len > 0 &&
	    memchr("{[:", e->b.p[e->b.len - 1], 3) == NULL)
		json_buf_add(&e->b, ",", 1);
}

static void
hyp_copy(struct hyp_edit *e, struct json_slice text)
{
	hyp_comma(e);
	json_buf_add(&e->b, text.p, text.len);
}

static int
hyp_put_list(struct hyp_edit *e, const struct hyp_row *r,
    struct json_slice list)
{
	struct json_members	 m;

	if (json_elements(&m, list) == -1) {
		hyp_copy(e, list);
		return (0);
	}
	json_buf_add(&e->b, "[", 1);
	while (json_element(&m)) {
		if (r->put(e, m.value) == -1)
			return (-1);
	}
	json_buf_add(&e->b, "]", 1);
	return (0);
}

/* Nothing is put if all there was in the value is left out. */
static int
hyp_put_member(struct hyp_edit *e, const struct hyp_row *r,
    struct json_slice value)
{
	struct json_slice	 out;
	size_t			 from, start = e->b.len;
	int			 rv;

	hyp_comma(e);
	json_buf_add(&e->b, "\"", 1);
	hyp_add(e, r->name);
	json_buf_add(&e->b, "\":", 2);
	if (r->put == NULL) {
		hyp_copy(e, value);
		return (0);
	}
	if (e->depth == HYP_SCOPE_MAX)
		return (hyp_fail(e, e->command, "too deep"));
	from = e->b.len;
	e->scope[e->depth++] = r->name;
	rv = (r->flags & HYP_LIST) ? hyp_put_list(e, r, value) :
	    r->put(e, value);
	e->depth--;
	out.p = e->b.p + from;
	out.len = e->b.len - from;
	if (rv == 0 && !e->b.failed && !(r->flags & HYP_ALWAYS) &&
	    hyp_meaningless(out))
		e->b.len = start;
	return (rv);
}

/* What is not an object goes as it is: the guest refuses that by itself. */
static int
hyp_put(struct hyp_edit *e, const struct hyp_object *o)
{
	struct json_slice	 v;
	unsigned int		 flags;
	size_t			 i;

	if (!o->isobject) {
		hyp_copy(e, o->text);
		return (0);
	}
	hyp_comma(e);
	json_buf_add(&e->b, "{", 1);
	for (i = 0; i < o->nrows; i++) {
		v = o->v[i];
		flags = o->rows[i].flags;
		if (v.p == NULL || (hyp_meaningless(v) &&
		    !(flags & HYP_ALWAYS) &&
		    !((flags & HYP_EMPTY) && *v.p == '"')))
			continue;
		if (hyp_put_member(e, &o->rows[i], v) == -1)
			return (-1);
	}
	json_buf_add(&e->b, "}", 1);
	return (0);
}

static int
hyp_volume(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_volume_rows, nitems(hyp_volume_rows), text);
	if (!hyp_isset(o.v[VOLUME_FSTYPE]))
		return (hyp_fail(e, "newcontainer", "volume without fstype"));
	return (hyp_put(e, &o));
}

static int
hyp_fsmap(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_fsmap_rows, nitems(hyp_fsmap_rows), text);
	if (!hyp_meaningless(o.v[FSMAP_ABSOLUTEPATH]))
		return (hyp_fail(e, "newcontainer",
		    "the guest knows no absolutePath"));
	if (!hyp_meaningless(o.v[FSMAP_SCSIADDR]))
		return (hyp_fail(e, "newcontainer",
		    "the guest knows no scsiAddr"));
	return (hyp_put(e, &o));
}

static int
hyp_port(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_port_rows, nitems(hyp_port_rows), text);
	return (hyp_put(e, &o));
}

static int
hyp_whitelists(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_whitelist_rows, nitems(hyp_whitelist_rows), text);
	return (hyp_put(e, &o));
}

/* One without a value makes the guest hang. */
static int
hyp_env(struct hyp_edit *e, struct json_slice text)
{
	static const struct json_slice	 empty = { "\"\"", 2 };
	struct hyp_object		 o;

	hyp_sort(e, &o, hyp_env_rows, nitems(hyp_env_rows), text);
	if (!hyp_isset(o.v[ENV_ENV]))
		return (0);
	if (hyp_absent(o.v[ENV_VALUE]))
		o.v[ENV_VALUE] = empty;
	return (hyp_put(e, &o));
}

/* Its id is the client's, else ours. */
static int
hyp_process(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_process_rows, nitems(hyp_process_rows), text);
	if (e->api != HYP_API_F && !hyp_isstring(o.v[PROCESS_ID]))
		o.v[PROCESS_ID] = e->id;
	return (hyp_put(e, &o));
}

/* The guest hangs without a process, or with one that runs nothing. */
static int
hyp_check_process(struct hyp_edit *e, const char *command,
    struct json_slice process)
{
	struct json_slice	 args;

	if (!hyp_begins(process, '{'))
		return (hyp_fail(e, command, "no process"));
	if (json_find(process, hyp_process_rows[PROCESS_ARGS].name, &args) &&
	    hyp_meaningless(args))
		return (hyp_fail(e, command, "no args"));
	return (0);
}

static int
hyp_container(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_container_rows, nitems(hyp_container_rows), text);
	if (!hyp_isstring(o.v[CONTAINER_ID]))
		return (hyp_fail(e, "newcontainer", "no id"));
	if (hyp_check_process(e, "newcontainer", o.v[CONTAINER_PROCESS]) == -1)
		return (-1);
	if (hyp_meaningless(o.v[CONTAINER_ADDR])) {
		o.v[CONTAINER_ADDR] = o.v[CONTAINER_SCSIADDR];
		o.v[CONTAINER_SCSIADDR].p = NULL;
	}
	hyp_leave_row(e, &o, CONTAINER_SCSIADDR);
	if (hyp_meaningless(o.v[CONTAINER_READONLY]) &&
	    (e->api != HYP_API_U || !hyp_begins(o.v[CONTAINER_READONLY], 'f')))
		o.v[CONTAINER_READONLY].p = NULL;
	return (hyp_put(e, &o));
}

static int
hyp_exec(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_exec_rows, nitems(hyp_exec_rows), text);
	if (!hyp_isstring(o.v[EXEC_CONTAINER]))
		return (hyp_fail(e, e->command, "no container"));
	if (hyp_check_process(e, e->command, o.v[EXEC_PROCESS]) == -1)
		return (-1);
	return (hyp_put(e, &o));
}

/* Half an address kills the guest; an empty one, whole, is passed over. */
static int
hyp_check_address(struct hyp_edit *e, struct json_slice ipaddress,
    struct json_slice netmask)
{
	if (!hyp_isset(netmask))
		return (hyp_fail(e, e->command, "address without netMask"));
	if (!hyp_isset(ipaddress) &&
	    (ipaddress.p == NULL || ipaddress.len != 2 || *ipaddress.p != '"'))
		return (hyp_fail(e, e->command, "address without ipAddress"));
	return (0);
}

static int
hyp_address(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_address_rows, nitems(hyp_address_rows), text);
	if (hyp_check_address(e, o.v[ADDRESS_IPADDRESS],
	    o.v[ADDRESS_NETMASK]) == -1)
		return (-1);
	return (hyp_put(e, &o));
}

static int
hyp_interface(struct hyp_edit *e, struct json_slice text)
{
	struct hyp_object	 o;

	hyp_sort(e, &o, hyp_interface_rows, nitems(hyp_interface_rows), text);
	if (e->api == 0 && hyp_isset(o.v[INTERFACE_DEVICE]))
		hyp_leave_row(e, &o, INTERFACE_MACADDR);
	if ((!hyp_meaningless(o.v[INTERFACE_IPADDRESS]) ||
	    !hyp_meaningless(o.v[INTERFACE_NETMASK])) &&
	    hyp_check_address(e, o.v[INTERFACE_IPADDRESS],
	    o.v[INTERFACE_NETMASK]) == -1)
		return (-1);
	return (hyp_put(e, &o));
}

static int
hyp_route(struct hyp_edit *e, struct json_slice text)
{
	static const struct json_slice	 everywhere = { "\"default\"", 9 };
	struct hyp_object		 o;

	hyp_sort(e, &o, hyp_route_rows, nitems(hyp_route_rows), text);
	if (hyp_absent(o.v[ROUTE_DEST]))
		o.v[ROUTE_DEST] = everywhere;
	return (hyp_put(e, &o));
}

/* 4242 counts the routes of no list at random. */
static int
hyp_routes(struct hyp_edit *e, struct json_slice text)
{
	static const struct json_slice	 none = { "[]", 2 };
	struct hyp_object		 o;

	hyp_sort(e, &o, hyp_routes_rows, nitems(hyp_routes_rows), text);
	if (hyp_absent(o.v[ROUTES_ROUTES]))
		o.v[ROUTES_ROUTES] = none;
	return (hyp_put(e, &o));
}

static int
hyp_pod(struct hyp_edit *e, struct json_slice text)
{
	static const struct json_slice	 init = { "\"init\"", 6 };
	struct hyp_object		 o;

	hyp_sort(e, &o, hyp_pod_rows, nitems(hyp_pod_rows), text);
	if (!hyp_isstring(o.v[POD_HOSTNAME]))
		return (hyp_fail(e, e->command, "no hostname"));
	e->id = init;
	return (hyp_put(e, &o));
}

/* Unchanged, unless the guest, to whom case matters, would find no name. */
static int
hyp_kill(struct hyp_edit *e, struct json_slice text)
{
	struct json_members	 m;
	struct hyp_object	 o;
	struct json_slice	 name;

	if (!json_find(text, hyp_kill_rows[KILL_CONTAINER].name, &name) ||
	    (!hyp_isstring(name) &&
	    (name.len != 2 || !hyp_begins(name, '"'))))
		return (hyp_fail(e, e->command, "no container"));
	json_members(&m, text);
	while (json_member(&m)) {
		if (m.value.p == name.p && json_key_match(m.key,
		    hyp_kill_rows[KILL_CONTAINER].name) == JSON_EXACT) {
			hyp_copy(e, text);
			return (0);
		}
	}
	hyp_sort(e, &o, hyp_kill_rows, nitems(hyp_kill_rows), text);
	return (hyp_put(e, &o));
}

/* A text as a JSON string, malloc'd; NULL [ENOMEM]. */
static char *
hyp_quote(const char *text, size_t *len)
{
	struct json_buf	 b = { NULL, 0, 0, 0 };
	char		*s;

	if ((s = json_escape(text, strlen(text), len)) == NULL)
		return (NULL);
	json_buf_add(&b, "\"", 1);
	json_buf_add(&b, s, *len);
	json_buf_add(&b, "\"", 1);
	free(s);
	return (json_buf_end(&b, len));
}

static int
hyp_put_text(struct hyp_edit *e, const char *name, const char *text)
{
	struct hyp_row		 row = { name, HYP_ALWAYS, NULL };
	struct json_slice	 v;
	char			*s;
	int			 rv;

	if ((s = hyp_quote(text, &v.len)) == NULL)
		return (hyp_fail(e, e->command, "out of memory"));
	v.p = s;
	rv = hyp_put_member(e, &row, v);
	free(s);
	return (rv);
}

/* By number and by name: either guest passes over what the other reads. */
static int
hyp_winsize(struct hyp_edit *e, struct json_slice text,
    const struct hyp_target *target)
{
	struct json_members	 m;
	struct json_slice	 v;

	if (target->container == NULL || target->process == NULL ||
	    json_find(text, "container", &v) ||
	    json_find(text, "process", &v)) {
		hyp_copy(e, text);
		return (0);
	}
	json_members(&m, text);
	while (json_member(&m))
		continue;
	json_buf_add(&e->b, text.p, (size_t)(m.next - text.p));
	if (hyp_put_text(e, "container", target->container) == -1 ||
	    hyp_put_text(e, "process", target->process) == -1)
		return (-1);
	json_buf_add(&e->b, m.next, (size_t)(m.end - m.next));
	return (0);
}

static int
hyp_command(struct hyp_edit *e, uint32_t code, struct json_slice text,
    const struct hyp_target *target)
{
	switch (code) {
	case HYP_STARTPOD:
		return (hyp_pod(e, text));
	case HYP_NEWCONTAINER:
		return (hyp_container(e, text));
	case HYP_EXECCMD:
		return (hyp_exec(e, text));
	case HYP_KILLCONTAINER:
	case HYP_REMOVECONTAINER:
		return (hyp_kill(e, text));
	case HYP_WINSIZE:
		return (hyp_winsize(e, text, target));
	case HYP_SETUPINTERFACE:
		return (hyp_interface(e, text));
	case HYP_SETUPROUTE:
		return (hyp_routes(e, text));
	default:
		hyp_copy(e, text);
		return (0);
	}
}

char *
hyp_adapt(uint32_t code, struct json_slice data,
    const struct hyp_target *target, size_t *outlen,
    char dropped[HYP_DROPPED_MAX], char err[JSON_ERRMAX])
{
	struct json_members	 m;
	struct hyp_edit		 e;
	json_t			*root;
	char			*id = NULL, *out = NULL, why[JSON_ERRMAX];

	memset(&e, 0, sizeof(e));
	e.command = hyp_name(code);
	e.api = target->api;
	e.dropped = dropped;
	e.err = err;
	dropped[0] = '\0';
	if (target->process != NULL && target->process[0] != '\0') {
		if ((id = hyp_quote(target->process, &e.id.len)) == NULL) {
			hyp_fail(&e, e.command, "out of memory");
			return (NULL);
		}
		e.id.p = id;
	}
	root = json_members(&m, data) == -1 ? NULL :
	    json_parse(data.p, data.len, why);
	if (root == NULL)
		hyp_copy(&e, data);
	if (root == NULL || hyp_command(&e, code, data, target) == 0) {
		if ((out = json_buf_end(&e.b, outlen)) == NULL)
			hyp_fail(&e, e.command, "out of memory");
	} else
		free(e.b.p);
	json_decref(root);
	free(id);
	return (out);
}

/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: the grammar of cc-proxy.conf(5).  The input is the
 * administrator's.  Texts of tokens belong to conflex.c, so nothing here is
 * to be freed, whatever the line turns out to be.
 */

%require "3.6"
%define api.prefix {conf_yy}
%define api.pure full
%define api.location.type {struct conflex_loc}
%define parse.error detailed
%locations
%parse-param {struct parse *ps}

%code requires {
#include "conflex.h"

struct parse;

/* Words of a list: ps_list[from] and on. */
struct span {
	size_t		 from, n;
};
}

%code {
#include <sys/types.h>

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "guestdir.h"

/* A location is where the first of its tokens is. */
#define YYLLOC_DEFAULT(at, rhs, n)	\
	((at) = YYRHSLOC(rhs, (n) > 0 ? 1 : 0))

#define OPT_PROTOCOL	0x01
#define OPT_MODE	0x02
#define OPT_OWNER	0x04
#define OPT_GROUP	0x08
#define OPT_GUEST	0x10

struct listed {
	const char		*word;
	struct conflex_loc	 loc;
};

struct parse {
	struct conf		*ps_conf;
	struct conf_listener	 ps_listener;	/* of the line at hand */
	struct conf_vmdir	 ps_vmdir;	/* ditto */
	unsigned int		 ps_seen;	/* OPT_* */
	struct listed		 ps_list[POLICY_RULES_MAX];
	size_t			 ps_nlist;
	struct conflex_loc	 ps_engine;	/* of its uids, if any */
};

static int	 conf_yylex(CONF_YYSTYPE *, CONF_YYLTYPE *);
static void	 conf_yyerror(const CONF_YYLTYPE *, struct parse *,
		    const char *);
static void	 line_begin(struct parse *);
static void	 once(struct parse *, const struct conflex_loc *,
		    unsigned int, const char *);
static void	 set_level(struct parse *, const struct conflex_loc *,
		    const char *);
static void	 set_ksm(struct parse *, const struct conflex_loc *,
		    const char *);
static int	 to_guest(const struct conflex_loc *, const char *);
static void	 set_timeout(struct parse *, const struct conflex_loc *,
		    const char *, const struct conflex_loc *, const char *);
static void	 set_limit(struct parse *, const struct conflex_loc *,
		    const char *, const struct conflex_loc *, const char *);
static void	 set_engine(struct parse *, const struct conflex_loc *,
		    const char *, const struct conflex_loc *, const char *,
		    const struct conflex_loc *, const char *);
static void	 check_engine(struct parse *);
static int	 to_proto(const struct conflex_loc *, const char *);
static mode_t	 to_mode(const struct conflex_loc *, const char *);
static uint32_t	 to_uid(const struct conflex_loc *, const char *);
static uint32_t	 to_gid(const struct conflex_loc *, const char *);
static int	 to_number(const struct conflex_loc *, const char *,
		    uint32_t *);
static void	 set_path(struct parse *, const struct conflex_loc *,
		    const char *);
static void	 list_add(struct parse *, const struct conflex_loc *,
		    const char *);
static void	 add_listener(struct parse *, const struct conflex_loc *);
static void	 set_control(struct parse *);
static void	 add_vmdir(struct parse *, const struct conflex_loc *,
		    const char *);
static void	 set_owners(struct parse *, struct span);
static void	 add_rules(struct parse *, const struct conflex_loc *, int,
		    unsigned int, struct span, struct span);
}

%union {
	const char	*word;
	int		 number;
	struct span	 span;
}

%token	<word> WORD		"word"
%token	NEWLINE			"end of the line"
%token	ALLOW			"allow"
%token	ANY			"any"
%token	ATTACH			"attach"
%token	CONTROL			"control"
%token	DENY			"deny"
%token	DIRECTORY		"directory"
%token	ENGINE			"engine"
%token	EVENTS			"events"
%token	FROM			"from"
%token	GROUP			"group"
%token	GUEST			"guest"
%token	INCLUDE			"include"
%token	KSM			"ksm"
%token	LEVEL			"level"
%token	LIMIT			"limit"
%token	LISTEN			"listen"
%token	LOG			"log"
%token	MODE			"mode"
%token	NO			"no"
%token	ON			"on"
%token	OWNER			"owner"
%token	PROTOCOL		"protocol"
%token	REGISTER		"register"
%token	TIMEOUT			"timeout"
%token	UID			"uid"
%token	UNREGISTER		"unregister"
%token	USER			"user"
%token	VM			"vm"

%type	<word> value limit_name limit_part
%type	<number> action op ops op_list
%type	<span> id_list ids

%%

grammar		: %empty
		| grammar NEWLINE
		| grammar line NEWLINE {
			if (conflex_hopeless())
				YYABORT;
		}
		| grammar INCLUDE WORD NEWLINE {
			char	 err[256];

			/* No token behind the line was asked for yet. */
			if (conflex_push_file($3, err, sizeof(err)) == -1)
				conflex_error(&@3, "%s: %s", $3, err);
		}
		| grammar error NEWLINE {
			if (conflex_hopeless())
				YYABORT;
			yyerrok;
		}
		;

line		: macro
		| LOG LEVEL WORD	{ set_level(ps, &@3, $3); }
		| LOG EVENTS		{ ps->ps_conf->log_events = 1; }
		| NO LOG EVENTS		{ ps->ps_conf->log_events = 0; }
		| KSM WORD		{ set_ksm(ps, &@2, $2); }
		| GUEST WORD {
			ps->ps_conf->guest = to_guest(&@2, $2);
		}
		| TIMEOUT WORD WORD	{ set_timeout(ps, &@2, $2, &@3, $3); }
		| LIMIT limit_name WORD	{ set_limit(ps, &@2, $2, &@3, $3); }
		| LIMIT WORD {
			/* The one without a number. */
			if (strcmp($2, "root") == 0)
				ps->ps_conf->limit_root = 1;
			else
				conflex_error(&@2, "limit without a number");
		}
		| NO LIMIT WORD {
			if (strcmp($3, "root") == 0)
				ps->ps_conf->limit_root = 0;
			else
				conflex_error(&@3, "expecting root");
		}
		| listen
		| control
		| vm
		| ENGINE UID WORD WORD WORD {
			set_engine(ps, &@3, $3, &@4, $4, &@5, $5);
		}
		| ATTACH OWNER {
			ps->ps_conf->policy.attach_owner = 1;
		}
		| NO ATTACH OWNER {
			ps->ps_conf->policy.attach_owner = 0;
		}
		| rule
		;

macro		: WORD '=' value {
			char	 err[256];

			if (conflex_macro($1, $3, err, sizeof(err)) == -1)
				conflex_error(&@1, "%s", err);
		}
		;

value		: WORD			{ $$ = $1; }
		| value WORD {
			if (strlen($1) + strlen($2) < CONF_WORD_MAX)
				$$ = conflex_join(conflex_join($1, " "), $2);
			else {
				conflex_error(&@2, "value too long");
				YYERROR;
			}
		}
		;

limit_name	: limit_part		{ $$ = $1; }
		| limit_name limit_part {
			if (strlen($1) + strlen($2) < CONF_WORD_MAX)
				$$ = conflex_join(conflex_join($1, " "), $2);
			else {
				conflex_error(&@2, "unknown limit");
				YYERROR;
			}
		}
		;

limit_part	: WORD			{ $$ = $1; }
		| UID			{ $$ = "uid"; }
		| VM			{ $$ = "vm"; }
		;

listen		: LISTEN ON		{ line_begin(ps); }
		  WORD			{ set_path(ps, &@4, $4); }
		  listen_opts		{ add_listener(ps, &@4); }
		;

listen_opts	: %empty
		| listen_opts socket_opt
		| listen_opts PROTOCOL WORD {
			once(ps, &@2, OPT_PROTOCOL, "protocol");
			ps->ps_listener.proto = to_proto(&@3, $3);
		}
		;

socket_opt	: MODE WORD {
			once(ps, &@1, OPT_MODE, "mode");
			ps->ps_listener.sock.mode = to_mode(&@2, $2);
		}
		| OWNER WORD {
			once(ps, &@1, OPT_OWNER, "owner");
			ps->ps_listener.sock.uid = to_uid(&@2, $2);
		}
		| GROUP WORD {
			once(ps, &@1, OPT_GROUP, "group");
			ps->ps_listener.sock.gid = to_gid(&@2, $2);
		}
		;

control		: CONTROL		{ line_begin(ps); }
		  WORD			{ set_path(ps, &@3, $3); }
		  socket_opts		{ set_control(ps); }
		| NO CONTROL {
			ps->ps_conf->control = CONF_CONTROL_NONE;
		}
		;

socket_opts	: %empty
		| socket_opts socket_opt
		;

vm		: VM DIRECTORY		{ line_begin(ps); }
		  WORD vm_opts		{ add_vmdir(ps, &@4, $4); }
		;

vm_opts		: %empty
		| vm_opts OWNER ids {
			once(ps, &@2, OPT_OWNER, "owner");
			set_owners(ps, $3);
		}
		| vm_opts OWNER ANY	{ once(ps, &@2, OPT_OWNER, "owner"); }
		| vm_opts GUEST WORD {
			once(ps, &@2, OPT_GUEST, "guest");
			ps->ps_vmdir.guest = to_guest(&@3, $3);
		}
		;

rule		: action ops FROM ANY {
			struct span	 none = { 0, 0 };

			add_rules(ps, &@1, $1, (unsigned int)$2, none, none);
		}
		| action ops FROM USER ids {
			struct span	 none = { 0, 0 };

			add_rules(ps, &@1, $1, (unsigned int)$2, $5, none);
		}
		| action ops FROM GROUP ids {
			struct span	 none = { 0, 0 };

			add_rules(ps, &@1, $1, (unsigned int)$2, none, $5);
		}
		| action ops FROM USER ids GROUP ids {
			add_rules(ps, &@1, $1, (unsigned int)$2, $5, $7);
		}
		;

action		: ALLOW			{ line_begin(ps); $$ = 1; }
		| DENY			{ line_begin(ps); $$ = 0; }
		;

ops		: ANY			{ $$ = POLICY_ALL; }
		| op			{ $$ = $1; }
		| '{' optnl op_list '}'	{ $$ = $3; }
		;

op_list		: op sep		{ $$ = $1; }
		| op_list op sep	{ $$ = $1 | $2; }
		;

op		: REGISTER		{ $$ = POLICY_REGISTER; }
		| ATTACH		{ $$ = POLICY_ATTACH; }
		| UNREGISTER		{ $$ = POLICY_UNREGISTER; }
		;

ids		: WORD {
			$$.from = ps->ps_nlist;
			list_add(ps, &@1, $1);
			$$.n = ps->ps_nlist - $$.from;
		}
		| '{' optnl id_list '}'	{ $$ = $3; }
		;

id_list		: WORD sep {
			$$.from = ps->ps_nlist;
			list_add(ps, &@1, $1);
			$$.n = ps->ps_nlist - $$.from;
		}
		| id_list WORD sep {
			list_add(ps, &@2, $2);
			$$.from = $1.from;
			$$.n = ps->ps_nlist - $1.from;
		}
		;

sep		: optnl
		| ',' optnl
		;

optnl		: %empty
		| optnl NEWLINE
		;

%%

/* What is in quotes is none of them. */
static const struct keyword {
	const char	*name;
	int		 token;
} keywords[] = {
	{ "allow",	ALLOW },
	{ "any",	ANY },
	{ "attach",	ATTACH },
	{ "control",	CONTROL },
	{ "deny",	DENY },
	{ "directory",	DIRECTORY },
	{ "engine",	ENGINE },
	{ "events",	EVENTS },
	{ "from",	FROM },
	{ "group",	GROUP },
	{ "guest",	GUEST },
	{ "include",	INCLUDE },
	{ "ksm",	KSM },
	{ "level",	LEVEL },
	{ "limit",	LIMIT },
	{ "listen",	LISTEN },
	{ "log",	LOG },
	{ "mode",	MODE },
	{ "no",		NO },
	{ "on",		ON },
	{ "owner",	OWNER },
	{ "protocol",	PROTOCOL },
	{ "register",	REGISTER },
	{ "timeout",	TIMEOUT },
	{ "uid",	UID },
	{ "unregister",	UNREGISTER },
	{ "user",	USER },
	{ "vm",		VM }
};

static int
conf_yylex(CONF_YYSTYPE *value, CONF_YYLTYPE *loc)
{
	struct conflex_token	 t;
	size_t			 i;

	conflex_next(&t);
	*loc = t.loc;
	value->word = t.text;
	switch (t.kind) {
	case CONFLEX_END:
		return (CONF_YYEOF);
	case CONFLEX_NEWLINE:
		return (NEWLINE);
	case CONFLEX_SIGN:
		return (t.sign);
	case CONFLEX_STRING:
		return (WORD);
	case CONFLEX_WORD:
		for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
			if (strcmp(t.text, keywords[i].name) == 0)
				return (keywords[i].token);
		return (WORD);
	case CONFLEX_ERROR:
	default:
		return (CONF_YYerror);
	}
}

static void
conf_yyerror(const CONF_YYLTYPE *loc, struct parse *ps, const char *what)
{
	(void)ps;
	conflex_error(loc, "%s", what);
}

void
conf_grammar(struct conf *c)
{
	struct parse	*ps;

	if ((ps = calloc(1, sizeof(*ps))) == NULL)
		fatal("%s", __func__);
	ps->ps_conf = c;
	conf_yyparse(ps);
	check_engine(ps);
	free(ps);
}

static void
line_begin(struct parse *ps)
{
	struct conf_socket	*s = &ps->ps_listener.sock;

	ps->ps_seen = 0;
	ps->ps_nlist = 0;
	memset(&ps->ps_listener, 0, sizeof(ps->ps_listener));
	ps->ps_listener.proto = MSG_PROTO_3;
	s->uid = s->gid = CONF_ID_NONE;
	memset(&ps->ps_vmdir, 0, sizeof(ps->ps_vmdir));
	ps->ps_vmdir.guest = -1;
}

static void
once(struct parse *ps, const struct conflex_loc *loc, unsigned int opt,
    const char *name)
{
	if (ps->ps_seen & opt)
		conflex_error(loc, "%s is there twice", name);
	ps->ps_seen |= opt;
}

static void
set_level(struct parse *ps, const struct conflex_loc *loc, const char *word)
{
	int	 level;

	if ((level = log_level_parse(word)) == -1)
		conflex_error(loc, "unknown log level \"%s\"", word);
	else
		ps->ps_conf->level = level;
}

static void
set_ksm(struct parse *ps, const struct conflex_loc *loc, const char *word)
{
	struct conf	*c = ps->ps_conf;

	if (!flags_ksm_valid(word))
		conflex_error(loc, "unknown KSM mode \"%s\"", word);
	else
		strlcpy(c->ksm, word, sizeof(c->ksm));
}

static int
to_guest(const struct conflex_loc *loc, const char *word)
{
	int	 guest;

	if ((guest = guestdir_parse(word)) != -1)
		return (guest);
	conflex_error(loc, "unknown guest \"%s\"", word);
	return (MSG_GUEST_AUTO);
}

static void
set_timeout(struct parse *ps, const struct conflex_loc *nameloc,
    const char *name, const struct conflex_loc *loc, const char *value)
{
	char		 why[CONF_WORD_MAX];
	uint32_t	 dummy[FLT_MAX];

	if (flags_timeout_set(ps->ps_conf->timeouts, name, strlen(name),
	    value, why, sizeof(why)) != -1)
		return;
	/* Is it the name or the value? */
	if (flags_timeout_set(dummy, name, strlen(name), "1s", why,
	    sizeof(why)) == -1)
		conflex_error(nameloc, "unknown timeout \"%s\"", name);
	else
		conflex_error(loc, "invalid duration \"%s\"", value);
}

static void
set_limit(struct parse *ps, const struct conflex_loc *nameloc,
    const char *name, const struct conflex_loc *loc, const char *value)
{
	char	 err[CONF_WORD_MAX + 64];
	int	 i;

	for (i = 0; i < CONF_LIMITS; i++)
		if (strcmp(conf_limits[i].name, name) == 0)
			break;
	if (i == CONF_LIMITS)
		conflex_error(nameloc, "unknown limit \"%s\"", name);
	else if (conf_set_limit(ps->ps_conf, (enum conf_limit_id)i, value,
	    err, sizeof(err)) == -1)
		conflex_error(loc, "%s", err);
}

static void
set_engine(struct parse *ps, const struct conflex_loc *floc,
    const char *first, const struct conflex_loc *dashloc, const char *dash,
    const struct conflex_loc *lloc, const char *last)
{
	struct conf	*c = ps->ps_conf;
	uint32_t	 from = 0, to = 0;
	int		 isfrom, isto;

	if ((isfrom = to_number(floc, first, &from)) == 0)
		conflex_error(floc, "\"%s\" is no uid", first);
	if (strcmp(dash, "-") != 0)
		conflex_error(dashloc, "no \"-\" between two uids");
	if ((isto = to_number(lloc, last, &to)) == 0)
		conflex_error(lloc, "\"%s\" is no uid", last);
	if (isfrom != 1 || isto != 1)
		return;
	if (from == 0)
		conflex_error(floc, "engines cannot run as root");
	else if (to < from)
		conflex_error(lloc, "range of uids is empty");
	else if (to - from >= CONF_ENGINES_MAX)
		conflex_error(lloc, "more than %d uids", CONF_ENGINES_MAX);
	else {
		c->engine_first = from;
		c->engine_last = to;
		ps->ps_engine = *floc;
	}
}

/* At the end: the number of VMs may be said before or after it. */
static void
check_engine(struct parse *ps)
{
	struct conf	*c = ps->ps_conf;
	char		 err[256];

	if (ps->ps_engine.file != NULL && !conflex_hopeless() &&
	    conf_check_engine(c, err, sizeof(err)) == -1)
		conflex_error(&ps->ps_engine, "%s", err);
}

static int
to_proto(const struct conflex_loc *loc, const char *word)
{
	if (strcmp(word, "1") == 0)
		return (MSG_PROTO_1);
	if (strcmp(word, "3") != 0)
		conflex_error(loc, "protocol must be 1 or 3");
	return (MSG_PROTO_3);
}

static mode_t
to_mode(const struct conflex_loc *loc, const char *word)
{
	mode_t		 mode = 0;
	const char	*p;

	for (p = word; *p >= '0' && *p <= '7' && mode <= 0777; p++)
		mode = mode * 8 + (mode_t)(*p - '0');
	if (p == word || *p != '\0' || mode > 0777)
		conflex_error(loc, "mode must be octal, from 0 to 0777");
	return (mode);
}

/* 1 if word is a number that an id may be; -1 if it is one that may not. */
static int
to_number(const struct conflex_loc *loc, const char *word, uint32_t *id)
{
	const char	*errstr;

	if (word[strspn(word, "0123456789")] != '\0' || word[0] == '\0')
		return (0);
	*id = (uint32_t)strtonum(word, 0, UINT32_MAX - 1, &errstr);
	if (errstr == NULL)
		return (1);
	conflex_error(loc, "id %s is %s", word, errstr);
	return (-1);
}

static uint32_t
to_uid(const struct conflex_loc *loc, const char *word)
{
	struct passwd	*pw;
	uint32_t	 id = CONF_ID_NONE;

	if (to_number(loc, word, &id) == 0) {
		if ((pw = getpwnam(word)) == NULL)
			conflex_error(loc, "unknown user \"%s\"", word);
		else
			id = pw->pw_uid;
	}
	return (id);
}

static uint32_t
to_gid(const struct conflex_loc *loc, const char *word)
{
	struct group	*gr;
	uint32_t	 id = CONF_ID_NONE;

	if (to_number(loc, word, &id) == 0) {
		if ((gr = getgrnam(word)) == NULL)
			conflex_error(loc, "unknown group \"%s\"", word);
		else
			id = gr->gr_gid;
	}
	return (id);
}

static void
set_path(struct parse *ps, const struct conflex_loc *loc, const char *path)
{
	struct conf_socket	*s = &ps->ps_listener.sock;

	if (path[0] != '/')
		conflex_error(loc, "path must be absolute");
	else if (strlen(path) > MSG_SUN_MAX)
		conflex_error(loc, "path too long (max %d)", MSG_SUN_MAX);
	else
		strlcpy(s->path, path, sizeof(s->path));
}

static void
list_add(struct parse *ps, const struct conflex_loc *loc, const char *word)
{
	struct listed	*l;

	if (ps->ps_nlist == POLICY_RULES_MAX) {
		conflex_error(loc, "list too long (max %d)",
		    POLICY_RULES_MAX);
		return;
	}
	l = &ps->ps_list[ps->ps_nlist++];
	l->word = word;
	l->loc = *loc;
}

/* Without a path there was an error. */
static void
add_listener(struct parse *ps, const struct conflex_loc *loc)
{
	struct conf_listener	*l = &ps->ps_listener;
	char			 err[256];

	if (!(ps->ps_seen & OPT_MODE))
		l->sock.mode = 0660;
	if (l->sock.path[0] != '\0' && conf_add_listener(ps->ps_conf, l, err,
	    sizeof(err)) == -1)
		conflex_error(loc, "%s", err);
}

static void
set_control(struct parse *ps)
{
	struct conf_socket	*s = &ps->ps_listener.sock;

	if (!(ps->ps_seen & OPT_MODE))
		s->mode = 0600;
	ps->ps_conf->control = CONF_CONTROL_PATH;
	ps->ps_conf->ctlsock = *s;
}

static void
add_vmdir(struct parse *ps, const struct conflex_loc *loc, const char *path)
{
	char	 dir[MSG_SUN_MAX + 1], err[256];

	if (!guestdir_path_ok(path, strlen(path)))
		conflex_error(loc,
		    "directory must be absolute and without \"..\"");
	else if (strlcpy(dir, path, sizeof(dir)) >= sizeof(dir))
		conflex_error(loc, "path too long (max %d)", MSG_SUN_MAX);
	else {
		ps->ps_vmdir.path = dir;
		if (conf_add_vmdir(ps->ps_conf, &ps->ps_vmdir, err,
		    sizeof(err)) == -1)
			conflex_error(loc, "%s", err);
	}
}

static void
set_owners(struct parse *ps, struct span ids)
{
	struct conf_vmdir	*d = &ps->ps_vmdir;
	const struct listed	*l;
	size_t			 i;

	for (i = 0; i < ids.n; i++) {
		l = &ps->ps_list[ids.from + i];
		if (d->nowners == CONF_OWNERS_MAX) {
			conflex_error(&l->loc, "more than %d owners",
			    CONF_OWNERS_MAX);
			return;
		}
		d->owners[d->nowners++] = to_uid(&l->loc, l->word);
	}
}

/* One for each user and group that are named. */
static void
add_rules(struct parse *ps, const struct conflex_loc *loc, int allow,
    unsigned int ops, struct span users, struct span groups)
{
	const struct listed	*u = &ps->ps_list[users.from];
	const struct listed	*g = &ps->ps_list[groups.from];
	struct policy_rule	 r;
	size_t			 i, j;

	memset(&r, 0, sizeof(r));
	r.allow = allow;
	r.ops = ops;
	r.has_uid = users.n > 0;
	r.has_gid = groups.n > 0;
	for (i = 0; i == 0 || i < users.n; i++) {
		if (r.has_uid)
			r.uid = to_uid(&u[i].loc, u[i].word);
		for (j = 0; j == 0 || j < groups.n; j++) {
			if (r.has_gid)
				r.gid = to_gid(&g[j].loc, g[j].word);
			if (policy_add(&ps->ps_conf->policy, &r) == 0)
				continue;
			conflex_error(loc, "more than %d rules",
			    POLICY_RULES_MAX);
			return;
		}
	}
}

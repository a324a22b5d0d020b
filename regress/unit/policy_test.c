/* SPDX-License-Identifier: ISC */

/*
 * Who may do what: the rules; where a VM's sockets may be; and whose
 * connection it is that is shown for a registration.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"
#include "test.h"

#define OTHER	4711		/* a uid and gid that is not ours */

struct parent_env	*penv;

static char	 top[] = "/tmp/policy_test.XXXXXX";
static char	 paths[8][PATH_MAX];
static char	 said[1024];
static unsigned int nsaid;

static void
sink(enum log_level level, const char *msg, const struct log_field *fields)
{
	(void)level;
	(void)fields;
	strlcpy(said, msg, sizeof(said));
	nsaid++;
}

/* The path of a file of ours; the last eight stay valid. */
static const char *
in(const char *rest)
{
	static unsigned int	 next;
	char			*p = paths[next++ % 8];

	snprintf(p, PATH_MAX, "%s/%s", top, rest);
	return (p);
}

static int
listener(const char *path)
{
	struct sockaddr_un	 sun;
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 1000) == -1)
		abort();
	return (fd);
}

static int
caller(const char *path)
{
	struct sockaddr_un	 sun;
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		abort();
	return (fd);
}

static void
make_dir(const char *path)
{
	if (mkdir(path, 0755) == -1)
		abort();
}

/*
 * Rules
 */

static void
rule(struct policy *p, int allow, unsigned int ops, long uid, long gid)
{
	struct policy_rule	 r;

	memset(&r, 0, sizeof(r));
	r.allow = allow;
	r.ops = ops;
	r.has_uid = uid != -1;
	r.has_gid = gid != -1;
	r.uid = r.has_uid ? (uint32_t)uid : 0;
	r.gid = r.has_gid ? (uint32_t)gid : 0;
	CHECK(policy_add(p, &r) == 0);
}

static void
test_rules(void)
{
	struct policy	 p;
	unsigned int	 op;

	memset(&p, 0, sizeof(p));
	test_begin("no rule: everybody may do everything");
	for (op = POLICY_REGISTER; op <= POLICY_UNREGISTER; op <<= 1) {
		CHECK(policy_allows(&p, op, 0, 0));
		CHECK(policy_allows(&p, op, UINT32_MAX, UINT32_MAX));
		CHECK(policy_allows_vm(&p, op, 1, 1, 2));
	}

	test_begin("the last rule that matches decides");
	rule(&p, 0, POLICY_ALL, -1, -1);
	rule(&p, 1, POLICY_ATTACH | POLICY_UNREGISTER, -1, 20);
	rule(&p, 1, POLICY_ALL, 10, -1);
	rule(&p, 0, POLICY_UNREGISTER, 10, 20);
	CHECK(!policy_allows(&p, POLICY_REGISTER, 0, 0));
	CHECK(!policy_allows(&p, POLICY_REGISTER, 11, 20));
	CHECK(policy_allows(&p, POLICY_ATTACH, 11, 20));
	CHECK(policy_allows(&p, POLICY_UNREGISTER, 11, 20));
	CHECK(!policy_allows(&p, POLICY_ATTACH, 11, 21));
	CHECK(policy_allows(&p, POLICY_REGISTER, 10, 21));
	CHECK(policy_allows(&p, POLICY_ATTACH, 10, 20));
	CHECK(policy_allows(&p, POLICY_UNREGISTER, 10, 21));
	CHECK(!policy_allows(&p, POLICY_UNREGISTER, 10, 20));
	/* A uid is no gid, and 0 is a uid like others. */
	CHECK(!policy_allows(&p, POLICY_ATTACH, 20, 10));
	CHECK(!policy_allows(&p, POLICY_ATTACH, 0, 0));

	test_begin("attach owner: the owner and root, if the rules agree");
	policy_clear(&p);
	p.attach_owner = 1;
	CHECK(policy_allows_vm(&p, POLICY_ATTACH, 10, 1, 10));
	CHECK(!policy_allows_vm(&p, POLICY_ATTACH, 11, 1, 10));
	CHECK(!policy_allows_vm(&p, POLICY_UNREGISTER, 11, 10, 10));
	CHECK(policy_allows_vm(&p, POLICY_UNREGISTER, 0, 1, 10));
	CHECK(!policy_allows_vm(&p, POLICY_ATTACH, 10, 1, 0));
	CHECK(policy_allows(&p, POLICY_REGISTER, 11, 1));
	rule(&p, 0, POLICY_ATTACH, 10, -1);
	CHECK(!policy_allows_vm(&p, POLICY_ATTACH, 10, 1, 10));
	rule(&p, 1, POLICY_ATTACH, 11, -1);
	CHECK(!policy_allows_vm(&p, POLICY_ATTACH, 11, 1, 10));
	policy_clear(&p);
	CHECK(p.nrules == 0 && p.rules == NULL && !p.attach_owner);

	test_begin("as many rules as there may be, and one more");
	while (p.nrules < POLICY_RULES_MAX)
		rule(&p, p.nrules % 2, POLICY_ALL, -1, -1);
	CHECK(policy_allows(&p, POLICY_ATTACH, 1, 1));
	CHECK(policy_add(&p, &p.rules[0]) == -1 && errno == ENOSPC);
	CHECK(p.nrules == POLICY_RULES_MAX);
	policy_clear(&p);
}

/*
 * Directories
 */

static void
load(const char *path, int nowners, const uid_t *owners)
{
	struct conf_vmdirs	 dirs = TAILQ_HEAD_INITIALIZER(dirs);
	struct conf_vmdir	 d;
	char			*copy;

	memset(&d, 0, sizeof(d));
	if ((copy = strdup(path)) == NULL)
		abort();
	d.path = copy;
	d.nowners = (size_t)nowners;
	if (nowners > 0)
		memcpy(d.owners, owners, (size_t)nowners * sizeof(uid_t));
	TAILQ_INSERT_TAIL(&dirs, &d, entry);
	vmopen_switch(vmopen_load(&dirs));
	free(copy);
}

/* 0: it was connected; else the error.  refused: for a reason of ours. */
static int
dial(const char *path, int refused)
{
	const char	*why;
	int		 fd, save;

	fd = vmopen_connect(path, &why);
	save = errno;
	if (fd != -1) {
		close(fd);
		CHECK(!refused && why == NULL);
		return (0);
	}
	if ((why != NULL) != refused)
		fprintf(stderr, "%s: %s\n", path, why == NULL ? "?" : why);
	CHECK((why != NULL) == refused);
	CHECK(why == NULL || save == EACCES);
	return (save);
}

static void
test_nowhere(void)
{
	struct conf_vmdirs	 none = TAILQ_HEAD_INITIALIZER(none);

	test_begin("no directories: any path, links included");
	vmopen_switch(vmopen_load(&none));
	CHECK(dial(in("vms/a/sock"), 0) == 0);
	CHECK(dial(in("link/a/sock"), 0) == 0);
	CHECK(dial(in("vms/a/slink"), 0) == 0);
	CHECK(dial(in("vms/../out/sock"), 0) == 0);
	CHECK(dial(in("vms/a/two"), 0) == 0);
	CHECK(dial(in("vms/a/file"), 0) == ECONNREFUSED);
	CHECK(dial("vms/a/sock", 0) == EINVAL);
	CHECK(dial("", 0) == EINVAL);
	CHECK(dial(in("vms/none"), 0) == ENOENT);
}

static void
test_beneath(void)
{
	char	 path[PATH_MAX];

	test_begin("a socket in the directory, however it is written");
	load(in("vms"), 0, NULL);
	CHECK(dial(in("vms/sock"), 0) == 0);
	CHECK(dial(in("vms/a/sock"), 0) == 0);
	CHECK(dial(in("vms//a/./sock"), 0) == 0);
	CHECK(dial(in("./vms/a//sock"), 0) == 0);
	snprintf(path, sizeof(path), "//%s//vms/a/sock", top);
	CHECK(dial(path, 0) == 0);
	load(in("vms//"), 0, NULL);
	CHECK(dial(in("vms/a/sock"), 0) == 0);

	test_begin("the directory itself, its neighbours, the root");
	CHECK(dial(in("vms"), 1) == EACCES);
	CHECK(dial(in("vms/"), 1) == EACCES);
	CHECK(dial(in("vms/."), 1) == EACCES);
	CHECK(dial(in("vmsx/sock"), 1) == EACCES);
	CHECK(dial(in("vm"), 1) == EACCES);
	CHECK(dial(in("out/sock"), 1) == EACCES);
	CHECK(dial("/", 1) == EACCES);
	CHECK(dial(in("none"), 1) == EACCES);
	/* Without the slash in front it would be in the directory. */
	CHECK(dial(in("vms/a/sock") + 1, 0) == EINVAL);

	test_begin("dots do not lead out, nor in");
	CHECK(dial(in("vms/../out/sock"), 1) == EACCES);
	CHECK(dial(in("vms/a/../../out/sock"), 1) == EACCES);
	CHECK(dial(in("vms/a/../sock"), 1) == EACCES);
	CHECK(dial(in("out/../vms/sock"), 1) == EACCES);
	CHECK(dial(in("vms/.."), 1) == EACCES);

	test_begin("what is no socket, or is not there");
	CHECK(dial(in("vms/a/file"), 0) == ECONNREFUSED);
	CHECK(dial(in("vms/a"), 0) == ECONNREFUSED);
	CHECK(dial(in("vms/a/"), 0) == ECONNREFUSED);
	CHECK(dial(in("vms/a/pipe"), 0) == ECONNREFUSED);
	CHECK(dial(in("vms/a/none"), 0) == ENOENT);
	CHECK(dial(in("vms/none/sock"), 0) == ENOENT);
	CHECK(dial(in("vms/a/file/sock"), 0) == ENOTDIR);
	CHECK(dial(in("vms/a/sock/"), 0) == ENOTDIR);
	CHECK(dial(in("vms/a/dead"), 0) == ECONNREFUSED);
}

static void
test_links(void)
{
	test_begin("links in each place, wherever they lead");
	load(in("vms"), 0, NULL);
	CHECK(dial(in("vms/dlink/sock"), 1) == EACCES);
	CHECK(dial(in("vms/a/slink"), 1) == EACCES);
	CHECK(dial(in("vms/a/olink"), 1) == EACCES);
	CHECK(dial(in("vms/outlink/sock"), 1) == EACCES);
	CHECK(dial(in("vms/rootlink/etc/passwd"), 1) == EACCES);
	CHECK(dial(in("vms/a/loop"), 1) == EACCES);
	CHECK(dial(in("vms/a/nowhere"), 1) == EACCES);
	CHECK(dial(in("vms/proc/sock"), 1) == EACCES);
	/* One that leads to the directory is another path. */
	CHECK(dial(in("link/a/sock"), 1) == EACCES);

	test_begin("the administrator's own link is followed");
	load(in("link"), 0, NULL);
	CHECK(dial(in("link/a/sock"), 0) == 0);
	CHECK(dial(in("link/a/slink"), 1) == EACCES);
	CHECK(dial(in("vms/a/sock"), 1) == EACCES);

	test_begin("a second name of a socket");
	load(in("vms"), 0, NULL);
	CHECK(dial(in("vms/a/two"), 1) == EACCES);
}

static void
test_owners(void)
{
	const uid_t	 owners[] = { OTHER, OTHER + 1 };
	uid_t		 me = geteuid();

	test_begin("the owner of the socket");
	load(in("vms"), 1, &me);
	CHECK(dial(in("vms/a/sock"), 0) == 0);
	load(in("vms"), 2, owners);
	CHECK(dial(in("vms/a/sock"), 1) == EACCES);
	/* Who does not own it is not told more than others. */
	CHECK(dial(in("vms/a/file"), 0) == ECONNREFUSED);
	CHECK(dial(in("vms/a/none"), 0) == ENOENT);
	if (me != 0) {
		test_skip("needs root");
		return;
	}
	CHECK(chown(in("vms/a/sock"), OTHER + 1, 0) == 0);
	CHECK(dial(in("vms/a/sock"), 0) == 0);
	load(in("vms"), 1, owners);
	CHECK(dial(in("vms/a/sock"), 1) == EACCES);
	CHECK(chown(in("vms/a/sock"), 0, 0) == 0);
}

static void
test_nested(void)
{
	struct conf_vmdirs	 dirs = TAILQ_HEAD_INITIALIZER(dirs);
	struct conf_vmdir	 d[3];
	static char		 p[3][PATH_MAX];
	size_t			 i;

	test_begin("of directories in each other the inner one counts, and "
	    "of the same the later one");
	memset(d, 0, sizeof(d));
	strlcpy(p[0], in("vms/a"), PATH_MAX);
	strlcpy(p[1], in("vms"), PATH_MAX);
	strlcpy(p[2], in("vms/a/"), PATH_MAX);
	for (i = 0; i < 3; i++) {
		d[i].path = p[i];
		TAILQ_INSERT_TAIL(&dirs, &d[i], entry);
	}
	d[0].owners[0] = OTHER;
	d[0].nowners = 1;
	vmopen_switch(vmopen_load(&dirs));
	CHECK(dial(in("vms/sock"), 0) == 0);
	CHECK(dial(in("vms/a/sock"), 0) == 0);
	d[0].nowners = 0;
	d[2].owners[0] = OTHER;
	d[2].nowners = 1;
	vmopen_switch(vmopen_load(&dirs));
	CHECK(dial(in("vms/sock"), 0) == 0);
	CHECK(dial(in("vms/a/sock"), 1) == EACCES);
}

static void
test_replaced(void)
{
	int	 fd;

	test_begin("a directory that is replaced is not the directory");
	load(in("vms"), 0, NULL);
	CHECK(rename(in("vms"), in("old")) == 0);
	CHECK(dial(in("vms/a/sock"), 0) == 0);	/* the one that was opened */
	make_dir(in("vms"));
	fd = listener(in("vms/new"));
	CHECK(dial(in("vms/new"), 0) == ENOENT);
	CHECK(dial(in("old/a/sock"), 1) == EACCES);
	load(in("vms"), 0, NULL);
	CHECK(dial(in("vms/new"), 0) == 0);
	CHECK(unlink(in("vms/new")) == 0 && rmdir(in("vms")) == 0);
	close(fd);
	CHECK(symlink("out", in("vms")) == 0);
	load(in("old"), 0, NULL);
	CHECK(dial(in("vms/sock"), 1) == EACCES);
	CHECK(unlink(in("vms")) == 0 && rename(in("old"), in("vms")) == 0);

	test_begin("a directory that comes later");
	nsaid = 0;
	load(in("late"), 0, NULL);
	CHECK(nsaid == 1 && strstr(said, "late") != NULL);
	CHECK(dial(in("late/sock"), 0) == ENOENT);
	CHECK(dial(in("vms/sock"), 1) == EACCES);
	make_dir(in("late"));
	fd = listener(in("late/sock"));
	CHECK(dial(in("late/sock"), 0) == 0);
	close(fd);
	CHECK(unlink(in("late/sock")) == 0 && rmdir(in("late")) == 0);
}

/* The path changes all the time between a socket that may be and a link. */
static void
test_swapped(void)
{
	char		 sock[PATH_MAX], spare[PATH_MAX], bad[PATH_MAX];
	const char	*why;
	unsigned int	 good = 0, refused = 0, i;
	pid_t		 pid;
	int		 fd, l, bait;

	test_begin("a link swapped in, again and again, is never followed");
	load(in("vms"), 0, NULL);
	bait = listener(in("out/bait"));
	CHECK(fcntl(bait, F_SETFL, O_NONBLOCK) == 0);
	strlcpy(sock, in("vms/a/swap"), sizeof(sock));
	strlcpy(spare, in("vms/a/spare"), sizeof(spare));
	strlcpy(bad, in("vms/a/bad"), sizeof(bad));
	l = listener(sock);
	if ((pid = fork()) == 0) {
		if (symlink(in("out/bait"), bad) == -1)
			_exit(1);
		for (;;)
			if (rename(sock, spare) == -1 ||
			    rename(bad, sock) == -1 ||
			    rename(sock, bad) == -1 ||
			    rename(spare, sock) == -1)
				_exit(1);
	}
	for (i = 0; (good < 500 || refused < 500) && i < 10000000; i++) {
		if ((fd = vmopen_connect(sock, &why)) != -1) {
			good++;
			close(fd);
			if ((fd = accept(l, NULL, NULL)) != -1)
				close(fd);
		} else if (errno == EACCES)
			refused++;
		else
			CHECK(errno == ENOENT);
	}
	CHECK(waitpid(pid, NULL, WNOHANG) == 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(good > 0 && refused > 0);
	CHECK(accept(bait, NULL, NULL) == -1 && errno == EAGAIN);
	close(bait);
	close(l);
	unlink(sock);
	unlink(spare);
	unlink(bad);
	unlink(in("out/bait"));
}

/*
 * The client's connection
 */

static void
test_connections(void)
{
	struct ucred	 cred;
	int		 l3, l1, ctl, c, a, sv[2], p[2];

	l3 = listener(in("proxy"));
	l1 = listener(in("proxy1"));
	ctl = listener(in("proxy.ctl"));
	registrant_listener(l3, MSG_PROTO_3);
	registrant_listener(l1, MSG_PROTO_1);

	test_begin("a client's connection says whose it is, alive or closed");
	c = caller(in("proxy"));
	a = accept(l3, NULL, NULL);
	CHECK(registrant_cred(a, MSG_PROTO_3, &cred) == 0);
	CHECK(cred.uid == getuid() && cred.gid == getgid() &&
	    cred.pid == getpid());
	CHECK(registrant_cred(a, MSG_PROTO_1, &cred) == -1);
	CHECK(registrant_cred(c, MSG_PROTO_3, &cred) == -1);
	close(c);
	memset(&cred, 0xff, sizeof(cred));
	CHECK(registrant_cred(a, MSG_PROTO_3, &cred) == 0);
	CHECK(cred.uid == getuid());
	close(a);
	c = caller(in("proxy1"));
	a = accept(l1, NULL, NULL);
	CHECK(registrant_cred(a, MSG_PROTO_1, &cred) == 0);
	close(c);
	close(a);

	test_begin("listeners and connections of the control socket are none");
	CHECK(registrant_cred(l3, MSG_PROTO_3, &cred) == -1);
	CHECK(registrant_cred(l1, MSG_PROTO_1, &cred) == -1);
	CHECK(registrant_cred(ctl, MSG_PROTO_3, &cred) == -1);
	c = caller(in("proxy.ctl"));
	a = accept(ctl, NULL, NULL);
	CHECK(registrant_cred(a, MSG_PROTO_3, &cred) == -1);
	CHECK(registrant_cred(c, MSG_PROTO_3, &cred) == -1);
	close(c);
	close(a);

	test_begin("socket pairs and what is no such socket are none");
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	CHECK(registrant_cred(sv[0], MSG_PROTO_3, &cred) == -1);
	CHECK(registrant_cred(sv[1], MSG_PROTO_3, &cred) == -1);
	close(sv[0]);
	close(sv[1]);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == 0);
	CHECK(registrant_cred(sv[0], MSG_PROTO_3, &cred) == -1);
	close(sv[0]);
	close(sv[1]);
	CHECK((c = socket(AF_UNIX, SOCK_STREAM, 0)) != -1);
	CHECK(registrant_cred(c, MSG_PROTO_3, &cred) == -1);
	close(c);
	CHECK(pipe(p) == 0);
	CHECK(registrant_cred(p[0], MSG_PROTO_3, &cred) == -1);
	CHECK(registrant_cred(p[1], MSG_PROTO_3, &cred) == -1);
	close(p[0]);
	close(p[1]);
	CHECK((c = open("/dev/null", O_RDONLY)) != -1);
	CHECK(registrant_cred(c, MSG_PROTO_3, &cred) == -1);
	close(c);
	CHECK((c = open(in("proxy"), O_PATH)) != -1);
	CHECK(registrant_cred(c, MSG_PROTO_3, &cred) == -1);
	close(c);
	CHECK(registrant_cred(-1, MSG_PROTO_3, &cred) == -1);
	if ((c = socket(AF_INET, SOCK_STREAM, 0)) != -1) {
		CHECK(registrant_cred(c, MSG_PROTO_3, &cred) == -1);
		close(c);
	}
	close(l3);
	close(l1);
	close(ctl);
}

static void
test_denied_log(void)
{
	struct ucred	 cred = { 7, 8, 9 };
	unsigned int	 i;

	test_begin("refusals are logged, a bounded number of them");
	nsaid = 0;
	registrant_denied(&cred, "x", NULL, NULL);
	CHECK(nsaid == 1 && strcmp(said, "permission denied: register x, "
	    "uid 8, gid 9, pid 7") == 0);
	registrant_denied(&cred, "x", "/a", "because");
	CHECK(strcmp(said, "permission denied: register x, "
	    "uid 8, gid 9, pid 7, /a: because") == 0);
	for (i = 0; i < 100000; i++)
		registrant_denied(&cred, "x", NULL, NULL);
	CHECK(nsaid >= 100 && nsaid < 100000 / 2);
}

static void
set_up(void)
{
	int	 fd, l[3];

	if (mkdtemp(top) == NULL)
		abort();
	make_dir(in("vms"));
	make_dir(in("vms/a"));
	make_dir(in("vmsx"));
	make_dir(in("out"));
	l[0] = listener(in("vms/sock"));
	l[1] = listener(in("vms/a/sock"));
	l[2] = listener(in("out/sock"));
	listener(in("vmsx/sock"));
	listener(in("vms/a/one"));
	close(listener(in("vms/a/dead")));
	if (l[0] == -1 || l[1] == -1 || l[2] == -1 ||
	    link(in("vms/a/one"), in("vms/a/two")) == -1 ||
	    mkfifo(in("vms/a/pipe"), 0600) == -1 ||
	    (fd = open(in("vms/a/file"), O_CREAT | O_WRONLY, 0600)) == -1 ||
	    symlink("vms", in("link")) == -1 ||
	    symlink("a", in("vms/dlink")) == -1 ||
	    symlink("sock", in("vms/a/slink")) == -1 ||
	    symlink(in("out/sock"), in("vms/a/olink")) == -1 ||
	    symlink("../out", in("vms/outlink")) == -1 ||
	    symlink("/", in("vms/rootlink")) == -1 ||
	    symlink("loop", in("vms/a/loop")) == -1 ||
	    symlink("nowhere-at-all", in("vms/a/nowhere")) == -1 ||
	    symlink("/proc/self/cwd", in("vms/proc")) == -1)
		abort();
	close(fd);
}

static void
tear_down(void)
{
	static const char *const files[] = {
		"vms/sock", "vms/a/sock", "out/sock", "vmsx/sock",
		"vms/a/one", "vms/a/two", "vms/a/pipe", "vms/a/file",
		"vms/a/dead", "link", "vms/dlink", "vms/a/slink",
		"vms/a/olink", "vms/outlink", "vms/rootlink", "vms/a/loop",
		"vms/a/nowhere", "vms/proc", "proxy", "proxy1", "proxy.ctl"
	};
	size_t	 i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)unlink(in(files[i]));
	(void)rmdir(in("vms/a"));
	(void)rmdir(in("vms"));
	(void)rmdir(in("vmsx"));
	(void)rmdir(in("out"));
	(void)rmdir(top);
}

int
main(void)
{
	struct conf_vmdirs	 none = TAILQ_HEAD_INITIALIZER(none);

	log_init_sink(sink, LOGL_WARN);
	set_up();
	test_rules();
	test_nowhere();
	test_beneath();
	test_links();
	test_owners();
	test_nested();
	test_replaced();
	test_swapped();
	test_connections();
	test_denied_log();
	vmopen_switch(vmopen_load(&none));
	tear_down();
	return (test_end());
}

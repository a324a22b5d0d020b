#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What the processes may do, started as root and as anybody."""

import os
import pwd
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

NOBODY = 65534
PROGRAMS = ("cc-proxy", "ccp-frontend", "ccp-vmengine")
# CAP_DAC_OVERRIDE, KILL, SETGID, SETUID, SETPCAP, SYS_CHROOT
PARENT_CAPS = sum(1 << c for c in (1, 5, 6, 7, 8, 18))


def unprivileged(**kw):
	"""A daemon of an ordinary user, in a directory of its own."""
	d = Daemon(start=False, level="info", ksm=None, **kw)
	libexec = os.path.join(d.dir, "libexec")
	os.mkdir(libexec, 0o755)
	for p in PROGRAMS:
		shutil.copy(binary(p), libexec)
		os.chmod(os.path.join(libexec, p), 0o755)
	d.argv = [os.path.join(libexec, "cc-proxy") if a ==
	    binary("cc-proxy") else libexec if a == BUILD else a
	    for a in d.argv]
	if os.geteuid() == 0:
		d.argv = ["setpriv", "--reuid", str(NOBODY), "--regid",
		    str(NOBODY), "--clear-groups"] + d.argv
		os.chown(d.dir, NOBODY, NOBODY)
	return d


def open_agent(d, name):
	"""An agent whose sockets anybody may connect to."""
	a = d.agent(name)
	for p in (a.ctl_path, a.io_path):
		os.chmod(p, 0o666)
	return a


def full_session(d, vm):
	s = vm.shim()
	vm.agent.tty(s.base, b"out")
	vm.agent.tty(s.base + 1, b"err")
	equal(s.stdout(), b"out", "output")
	equal(s.stderr(), b"err", "error output")
	s.stdin(b"in")
	equal(vm.agent.next_tty(), (s.base, b"in"), "stdin")
	vm.agent.exit(s.base, 42)
	equal(s.exit_status(), 42, "exit status")
	s.disconnect_shim()
	c, tokens = vm.attach(2)
	equal(len(tokens), 2, "tokens")
	c.hyper("ping")
	c.close()


def locked_up(d, pid):
	"""What holds for a child whoever started it."""
	s = status(pid)
	equal(s["Seccomp"], "2", "seccomp of " + s["Name"])
	equal(s["NoNewPrivs"], "1", "no-new-privs of " + s["Name"])
	for caps in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
		equal(int(s[caps], 16), 0, "%s of %s" % (caps, s["Name"]))
	with open("/proc/%d/cmdline" % pid) as f:
		check("/" not in f.read(), "path in the arguments")


@test("unpriv", "an ordinary user's daemon serves, and says so once",
    private=False)
def ordinary():
	d = unprivileged()
	try:
		d.start()
		vm = VM(d, agent=open_agent(d, "u"))
		equal(len(d.children()), 2, "children")
		full_session(d, vm)
		mine = NOBODY if os.geteuid() == 0 else os.getuid()
		for p in d.processes():
			equal(status(p)["Uid"].split(), ["%d" % mine] * 4,
			    "uids")
		if not SANITIZED:
			for p in d.children():
				locked_up(d, p)
		said = [l for l in d.log_lines() if "not started as root" in l]
		equal(len(said), 1, "lines about root: %s" % said)
		other = VM(d, agent=open_agent(d, "v"))
		full_session(d, other)
		vm.agent.hang_up("ctl")
		vm.client.ok(UNREGISTER, {"containerId": vm.id})
		vm.client.close()
		wait_for(lambda: len(d.engines()) == 1, "end of the engine")
		said = [l for l in d.log_lines() if "not started as root" in l]
		equal(len(said), 1, "lines about root: %s" % said)
		equal(d.stop(), None, "end")
	except BaseException:
		show_log(d)
		raise
	finally:
		d.dispose()


@test("unpriv", "an ordinary user's dead parent takes everybody along",
    private=False)
def orphan():
	d = unprivileged()
	try:
		d.start()
		VM(d, agent=open_agent(d, "u"))
		pids = list(d.children())
		equal(len(pids), 2, "children")
		os.kill(d.pid, signal.SIGKILL)
		all_gone(pids)
	finally:
		d.dispose()


@test("unpriv", "a socket that the user may not use cannot be registered",
    private=False)
def forbidden():
	need_root()
	d = unprivileged()
	try:
		d.start()
		a = d.agent("p")
		for p in (a.ctl_path, a.io_path):
			os.chmod(p, 0o600)
		check("permission denied" in error_text(d.client().register(
		    "p", a.ctl_path, a.io_path)), "text of the error")
		vm = VM(d, agent=open_agent(d, "u"))
		full_session(d, vm)
	finally:
		d.dispose()


@test("unpriv", "root's children are nobody, with nothing, nowhere",
    daemon=QUIET)
def root(d):
	need_root()
	if SANITIZED:
		raise Skip("the sandbox is off in a sanitizer build")
	vm = d.vm()
	full_session(d, vm)
	users = {"ccp-frontend": "_ccproxy", "ccp-vmengine": "_ccengine"}
	equal(len(d.children()), 3, "children")
	for p, name in d.children().items():
		s = status(p)
		want = pwd.getpwnam(users[name])
		equal(s["Uid"].split(), [str(want.pw_uid)] * 4, "uids")
		equal(s["Gid"].split(), [str(want.pw_gid)] * 4, "gids")
		equal(s["Groups"], "", "groups")
		locked_up(d, p)
		equal(int(s["CapBnd"], 16), 0, "bounding set")
		equal(os.listdir("/proc/%d/root/" % p), [], "root directory")
		equal(os.readlink("/proc/%d/cwd" % p), "/", "directory")
		with open("/proc/%d/environ" % p, "rb") as f:
			equal(f.read(), b"", "environment")
		# Not dumpable: what it owns in /proc belongs to root.
		equal(os.stat("/proc/%d/mem" % p).st_uid, 0, "owner of mem")


# A root directory made of bind mounts, itself no mount point.
CHROOT = """set -e
new=$1 && shift
mkdir "$new"
for f in /*; do
	case $f in "/*") continue ;; esac
	if [ -h "$f" ]; then cp -P "$f" "$new$f"
	elif [ -d "$f" ]; then mkdir "$new$f" && mount --rbind "$f" "$new$f"
	fi
done
exec chroot "$new" "$@"
"""


@test("unpriv", "started in a chroot, whose root is no mount point",
    private=False)
def chrooted():
	need_root()
	if SANITIZED:
		raise Skip("the sandbox is off in a sanitizer build")
	need_mount_namespace()
	d = Daemon(start=False, level="debug")
	d.argv = ["unshare", "-m", "sh", "-c", CHROOT, "sh",
	    os.path.join(d.dir, "new")] + [os.path.abspath(d.argv[0])] + \
	    d.argv[1:]
	try:
		d.start()
		d.wait_log("the root directory is no mount point")
		vm = d.vm()
		full_session(d, vm)
		for p in d.children():
			equal(os.listdir("/proc/%d/root" % p), [], "root")
	finally:
		d.dispose()


@test("unpriv", "root's parent keeps six capabilities", daemon=QUIET)
def parent(d):
	need_root()
	if SANITIZED:
		raise Skip("the sandbox is off in a sanitizer build")
	s = status(d.pid)
	for caps in ("CapBnd", "CapPrm", "CapEff"):
		check(int(s[caps], 16) & ~PARENT_CAPS == 0, "%s is %s" %
		    (caps, s[caps]))
	for caps in ("CapInh", "CapAmb"):
		equal(int(s[caps], 16), 0, caps)
	equal(s["Seccomp"], "2", "seccomp")
	with open("/proc/%d/net/dev" % d.pid) as f:
		nets = [l.split(":")[0].strip() for l in f if ":" in l]
	check(set(nets) <= {"lo"} or all(n in ("lo", "tunl0", "sit0", "gre0",
	    "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0",
	    "ip6gre0") for n in nets), "network interfaces %s" % nets)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Protocol 1.x, section 1: listener, activation, flags, log levels."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp1 import *


def serves(d):
	"""A whole VM over 1.x."""
	vm = VM1(d)
	p = vm.process()
	vm.agent.exit(p.base, 3)
	p.io.expect_exit(3)
	p.close()
	vm.client.bye(vm.id)
	vm.client.close()


def serves3(d):
	"""A whole VM over 3.x."""
	vm = VM(d)
	s = vm.shim()
	vm.agent.exit(s.base, 3)
	equal(s.exit_status(), 3, "status")


def disposed(d):
	wrong = d.dispose()
	check(wrong is None, wrong)


def failing(d, text):
	"""The daemon ends at start, with this text on stderr."""
	d.start(ready=False)
	equal(d.wait_exit(), 1, "exit status")
	log = d.log_text()
	check(text in log.splitlines()[-1], "stderr: " + log)
	disposed(d)


# 1.1 Listener

@test("1.1", "modes, owner; directories are made", private=False)
def creation():
	for umask in (0o022, 0, 0o077):
		old = os.umask(umask)
		try:
			d = Daemon(start=False, path1="")
			d.path1 = os.path.join(d.dir, "a", "b", "c.sock")
			d.argv += ["-socket-path-1", d.path1]
			d.start()
		finally:
			os.umask(old)
		st = os.stat(d.path1)
		equal(stat.S_IMODE(st.st_mode), 0o660, "mode of the socket")
		equal(st.st_uid, os.geteuid(), "owner")
		for p in ("a", "a/b"):
			st = os.stat(os.path.join(d.dir, p))
			equal(stat.S_IMODE(st.st_mode), 0o750 & ~umask,
			    "mode of directory with umask %o" % umask)
		serves(d)
		serves3(d)
		disposed(d)


@test("1.1", "an old socket or file is replaced", private=False)
def replaced():
	for kind in ("socket", "file"):
		d = Daemon(start=False)
		os.mkdir(os.path.dirname(d.path1))
		if kind == "socket":
			s = socket.socket(socket.AF_UNIX)
			s.bind(d.path1)
			s.close()
		else:
			open(d.path1, "w").close()
		d.start()
		serves(d)
		disposed(d)


@test("1.1", "a signal leaves the socket; a restart on one that stayed",
    private=False)
def restart():
	d = Daemon()
	for sig in (signal.SIGKILL, signal.SIGTERM):
		d.stop(sig)
		check(os.path.exists(d.path1), "socket gone after %d" % sig)
		d.start()
		serves(d)
	disposed(d)


@test("1.1", "system mode without any path: both default paths",
    private=False)
def default_paths():
	need_mount_namespace()
	d = Daemon(socket_path="", path1="", start=False, wrap=["unshare",
	    "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"',
	    "/run"])
	d.start(ready=False)
	root = "/proc/%d/root/run/" % d.pid
	d.path = root + "clear-containers/proxy.sock"
	d.path1 = root + "cc-oci-runtime/proxy.sock"
	d.wait_listening()
	equal(stat.S_IMODE(os.stat(os.path.dirname(d.path1)).st_mode), 0o750,
	    "mode of the directory")
	equal(stat.S_IMODE(os.stat(d.path1).st_mode), 0o660, "mode")
	serves(d)
	serves3(d)
	disposed(d)


@test("1.1", "-socket-path alone: no 1.x listener; -socket-path-1 alone",
    private=False)
def one_path():
	need_mount_namespace()
	for flag in ("-socket-path", "-socket-path-1"):
		d = Daemon(socket_path="", path1="", start=False, wrap=[
		    "unshare", "-m", "sh", "-c",
		    'mount -t tmpfs none "$0" && exec "$@"', "/run"])
		path = os.path.join(d.dir, "x.sock")
		d.argv += [flag, path]
		d.path = path
		d.start()
		root = "/proc/%d/root/run/" % d.pid
		if flag == "-socket-path":
			serves3(d)
			check(not os.path.exists(root + "cc-oci-runtime"),
			    "default of 1.x made")
		else:
			d.path1 = path
			serves(d)
		disposed(d)


@test("1.1", "pod mode has a 1.x listener only on demand", private=False)
def pod():
	d = pod_daemon()
	check(not os.path.exists("/proc/%d/root/run/cc-oci-runtime/proxy.sock"
	    % d.pid), "default of 1.x made")
	disposed(d)
	log = Syslog()
	d = Daemon(uri="", wrap=log.wrap, ksm=None)
	d.agents.append(log)
	serves(d)
	disposed(d)


# 1.2 Activation

LAUNCH = """import os, sys
fds = [int(n) for n in sys.argv[1].split(",")]
high = [os.dup2(os.dup(n), 50 + i) for i, n in enumerate(fds)]
for i, n in enumerate(high):
	os.dup2(n, 3 + i)
for n in range(3 + len(high), 100):
	try:
		os.close(n)
	except OSError:
		pass
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
if sys.argv[2]:
	os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""


def activated(paths, names="", **kw):
	"""A daemon that is passed listeners at these paths of its folder."""
	d = Daemon(start=False, **kw)
	d.listeners = []
	d.passed = []
	for p in paths:
		path = os.path.join(d.dir, p)
		os.makedirs(os.path.dirname(path), exist_ok=True)
		s = socket.socket(socket.AF_UNIX)
		s.bind(path)
		s.listen(16)
		os.chmod(path, 0o600)
		d.listeners.append(s)
		d.passed.append(path)
	fds = [s.fileno() for s in d.listeners]
	d.argv = [sys.executable, "-c", LAUNCH, ",".join(map(str, fds)),
	    names] + d.argv
	d.pass_fds = fds
	return d


def released(d):
	for s in d.listeners:
		s.close()
	disposed(d)


@test("1.2", "two descriptors, told apart by name", private=False)
def activated_names():
	for names, first in (("proxy:proxy1", 0), ("proxy1:proxy", 1)):
		d = activated(["three.sock", "one.sock"][::1 - 2 * first],
		    names)
		made = d.path, d.path1
		d.path, d.path1 = d.passed[first], d.passed[1 - first]
		d.start()
		serves(d)
		serves3(d)
		for p in made:
			check(not os.path.exists(os.path.dirname(p)),
			    "directory made")
		for p in d.passed:
			equal(stat.S_IMODE(os.stat(p).st_mode), 0o600,
			    "mode of a passed socket")
		d.stop()
		for p in d.passed:
			check(os.path.exists(p), "passed socket unlinked")
		released(d)


@test("1.2", "two descriptors, told apart by path", private=False)
def activated_paths():
	for order in (1, -1):
		d = activated(["clear/p.sock", "cc-oci-runtime/p.sock"][
		    ::order])
		d.path, d.path1 = d.passed[::order]
		d.start()
		serves(d)
		serves3(d)
		released(d)


@test("1.2", "a path equal to -socket-path-1 is the 1.x one",
    private=False)
def activated_flag():
	for order in (1, -1):
		d = activated(["p.sock", "run1/proxy.sock"][::order])
		d.path, d.path1 = d.passed[::order]
		d.start()
		serves(d)
		serves3(d)
		released(d)


@test("1.2", "one descriptor of 1.x alone", private=False)
def activated_one():
	for names, path in (("proxy1", "x.sock"),
	    ("", "cc-oci-runtime/proxy.sock")):
		d = activated([path], names)
		d.path = d.path1 = d.passed[0]
		d.start()
		serves(d)
		released(d)


@test("1.2", "three descriptors, or two of one kind, are an error",
    private=False)
def activated_many():
	for paths, names in ((["a", "b", "c"], ""), (["a", "b"],
	    "proxy1:proxy1"), (["a", "b"], "proxy:proxy"),
	    (["a", "b"], "")):
		d = activated(paths, names)
		d.start(ready=False)
		equal(d.wait_exit(), 1, "exit status")
		released(d)


# 1.3 Failures

@test("1.3", "107 bytes are the longest path", private=False)
def path_length():
	d = Daemon(start=False, path1="")
	room = 107 - len(d.dir) - 1
	d.path1 = os.path.join(d.dir, "x" * room)
	d.argv += ["-socket-path-1", d.path1]
	d.start()
	serves(d)
	disposed(d)
	d = Daemon(start=False, path1="")
	d.argv += ["-socket-path-1", os.path.join(d.dir, "x" * (room + 1))]
	d.start(ready=False)
	equal(d.wait_exit(), 1, "exit status")
	check(re.search(r"init.*: .*socket path too long:? 108 \(max 107\)",
	    d.log_text()), "stderr: " + d.log_text())
	disposed(d)


@test("1.3", "what cannot be removed or made is fatal", private=False)
def init_failures():
	d = Daemon(start=False)
	os.makedirs(os.path.join(d.path1, "full"))
	failing(d, "couldn't remove exiting socket: ")
	d = Daemon(start=False)
	open(os.path.join(d.dir, "run1"), "w").close()
	failing(d, "couldn't create socket directory: ")


# 1.4 Flags and levels

@test("1.4", "the flags of glog and pprof, with one dash and two",
    private=False)
def glog_flags():
	d = Daemon(args=["-logtostderr", "-alsologtostderr=false",
	    "--stderrthreshold", "2", "-vmodule=a=1", "--log_backtrace_at",
	    "a.go:1", "-log_dir", "/nowhere", "-pprof=false",
	    "--pprof-host=localhost", "-pprof-port", "6060", "--v=1",
	    "--logtostderr=true", "-alsologtostderr", "-stderrthreshold",
	    "ERROR"])
	serves(d)
	check(not os.path.exists("/nowhere"), "-log_dir used")
	disposed(d)


@test("1.4", "-h: usage, no start; unknown flags and bad numbers: exit 2",
    private=False)
def usage():
	env = {k: v for k, v in os.environ.items()
	    if not k.startswith("LISTEN_")}
	for args, want in ((["-h"], (0, 2)), (["--help"], (0, 2)),
	    (["-nonsense"], (2,)), (["-v", "x"], (2,)), (["-v=1.5"], (2,)),
	    (["-v"], (2,)), (["-logtostderr=maybe"], (2,))):
		p = subprocess.run([binary("cc-proxy")] + args, env=env,
		    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
		    stderr=subprocess.PIPE, timeout=CEILING)
		check(p.returncode in want, "%s: exit status %d" % (args,
		    p.returncode))
		for flag in (b"-socket-path-1", b"-v"):
			check(flag in p.stderr, "%s: no usage" % args)


LEVELS = ((["-v", "0"], "", 0), ([], "0", 0), (["-v", "1"], "", 1),
    (["-v=2"], "", 2), ([], "1", 1), ([], "2", 2), (["--v=1"], "0", 1),
    (["-v", "0"], "2", 0), (["-v", "7"], "", 2))


@test("1.4", "-v and a number in CC_PROXY_LOG_LEVEL; -v wins",
    private=False)
def levels():
	for args, env, level in LEVELS:
		d = Daemon(level=None, args=args, env={
		    "CC_PROXY_LOG_LEVEL": env} if env else {})
		vm = VM(d)
		for word in ("debug", "info", "warn"):
			vm.client.log(source="shim", level=word, msg=word)
		d.wait_log("^warn$")
		got = [w for w in ("info", "debug") if d.find_log("^%s$" % w)]
		equal(got, ["info", "debug"][:level], "levels of %s %s" %
		    (args, env))
		disposed(d)


@test("1.4", "no payload is logged at level 1", private=False)
def no_payload():
	d = Daemon(level=None, args=["-v", "1"])
	vm = VM1(d)
	p = vm.process(start=False)
	p.start(envs=[{"env": "SECRET", "value": "s3cr3t-of-env"}])
	p.io.stdin(b"s3cr3t-of-stdin")
	vm.agent.tty(p.base, b"s3cr3t-of-stdout")
	p.io.expect(b"s3cr3t-of-stdout")
	vm.client.hyper("ping", "s3cr3t-of-hyper")
	d.stop()
	check("s3cr3t" not in d.log_text() and b"s3cr3t".hex() not in
	    d.log_text().replace(" ", ""), "payload in the log")
	disposed(d)


@test("1.4", "I/O is dumped at level 2", private=False)
def dumps():
	d = Daemon(level=None, args=["-v", "2"])
	p = VM1(d).process()
	for data, say in ((b"to the guest", lambda b: p.io.stdin(b)),
	    (b"to the shim", lambda b: p.vm.agent.tty(p.base, b))):
		say(data)
		wait_for(lambda: data.decode() in d.log_text() or data.hex()
		    in re.sub(r"\\n|\s", "", d.log_text()),
		    "dump of %s" % data)
	disposed(d)


@test("6.2", "the console at level 3: its lines, with the id's start",
    private=False)
def console():
	d = Daemon(level=None, args=["-v", "3"])
	vm = VM1(d, ident="0123456789abcdef", console=True)
	vm.agent.wait_accept("console")
	vm.agent.console.sendall(b"first line\n%s%n%999999d\npart")
	for text in ("first line", "%s%n%999999d"):
		wait_for(lambda: text in d.log_text(), "console line")
	check("01234567" in next(l for l in d.log_lines()
	    if "first line" in l), "id of the VM")
	vm.agent.hang_up("console")
	vm.client.hyper("ping")
	disposed(d)


@test("6.2", "no console below level 3, and none that is empty",
    private=False)
def no_console():
	for v in ("1", "2"):
		d = Daemon(level=None, args=["-v", v])
		vm = VM1(d, console=True)
		vm.client.hyper("ping")
		equal(vm.agent.accepted["console"], 0,
		    "connections to the console at -v " + v)
		disposed(d)
	d = Daemon(level=None, args=["-v", "3"])
	a = d.agent()
	d.client1().hello("x", a.ctl_path, a.io_path, "")
	disposed(d)


@test("6.2", "a console that cannot be reached: a warning only",
    private=False)
def console_failure():
	d = Daemon(level=None, args=["-v", "3"])
	a = d.agent()
	c = d.client1()
	c.hello("x", a.ctl_path, a.io_path, os.path.join(d.dir, "none"))
	wait_for(lambda: "none" in d.log_text(), "warning")
	c.hyper("ping")
	disposed(d)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The configuration file, as the daemon takes it."""

import glob
import grp
import os
import pwd
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *
import ccp1

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ACTIVATE = r"""
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = "1"
fd = int(sys.argv[1])
os.dup2(fd, 3, True)
os.execv(sys.argv[2], sys.argv[2:])
"""


def check_conf(*args, env=None):
	"""Run cc-proxy to its end: status, stdout, stderr."""
	e = {k: v for k, v in os.environ.items()
	    if not k.startswith("LISTEN_") and k != "CC_PROXY_LOG_LEVEL"}
	e.update(env or {})
	p = subprocess.run([binary("cc-proxy")] + list(args),
	    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
	    stderr=subprocess.PIPE, env=e, timeout=CEILING)
	return p.returncode, p.stdout.decode(), p.stderr.decode()


class Conf:
	"""A configuration file in a directory of its own, both ours alone."""

	def __init__(self, text, mode=0o600):
		self.dir = tempfile.mkdtemp(prefix="ccp-")
		self.path = os.path.join(self.dir, "cc-proxy.conf")
		with open(self.path, "w") as f:
			f.write(text.replace("DIR", self.dir))
		os.chmod(self.path, mode)

	def __enter__(self):
		return self

	def __exit__(self, *a):
		shutil.rmtree(self.dir, ignore_errors=True)


class FileDaemon(Daemon):
	"""A daemon that listens where its file says; path is one of them."""

	def __init__(self, conf, path, args=(), **kw):
		super().__init__(level=None, ksm=None, socket_path="",
		    start=False, args=["-f", conf.path] + list(args), **kw)
		self.path = path
		self.start()


def disposed(d):
	wrong = d.dispose()
	check(wrong is None, wrong)


def serves(d, path=None):
	"""A whole VM, through the socket at path."""
	if path is not None:
		d.path = path
	vm = d.vm()
	s = vm.shim()
	vm.agent.exit(s.base, 3)
	equal(s.exit_status(), 3, "status")
	s.disconnect_shim()


@test("conf", "-n: silent on stdout, status 0", private=False)
def check_good():
	with Conf("ksm off\nlisten on DIR/a.sock\n") as c:
		status, out, err = check_conf("-n", "-f", c.path)
		equal((status, out, err), (0, "", "configuration OK\n"), "-n")
		equal(os.listdir(c.dir), ["cc-proxy.conf"], "files")


@test("conf", "-n and a start: every error with line and column, status 1",
    private=False)
def check_bad():
	with Conf("ksm off\n  ksm fast\nlog level warn\n\nguest vm auto\n") \
	    as c:
		want = ('cc-proxy: %s:2:7: unknown KSM mode "fast"\n'
		    'cc-proxy: %s:5:7: syntax error, unexpected vm, '
		    'expecting word\n' % (c.path, c.path))
		for args in (["-n"], ["-nv"], []):
			status, out, err = check_conf("-f", c.path, *args)
			equal((status, out, err), (1, "", want), str(args))


@test("conf", "-nv prints a file that prints the same", private=False)
def print_again():
	names = sorted(glob.glob(os.path.join(TOP, "regress/conf/*.ok")) +
	    [os.path.join(TOP, "examples/cc-proxy.conf")])
	names = [n for n in names
	    if not os.path.basename(n).startswith("fail-")]
	check(len(names) > 4, "files")
	for name in names:
		with open(name) as f:
			text = f.read()
		with Conf(text) as c:
			status, out, err = check_conf("-nv", "-f", c.path)
			equal((status, err), (0, ""), name)
		for line in text.splitlines():
			check(line[:1] == "#" or line in out.splitlines() or
			    not line, "%s: not printed: %s" % (name, line))
		with Conf(out) as c:
			equal(check_conf("-nv", "-f", c.path), (0, out, ""),
			    name)


@test("conf", "the example says nothing but the defaults", private=False)
def example():
	with open(os.path.join(TOP, "examples/cc-proxy.conf")) as f:
		text = f.read()
	with Conf(text) as c:
		equal(check_conf("-nv", "-f", c.path),
		    check_conf("-nv", "-f", ""), "output")
	with Conf("".join(l[1:] if l[:1] == "#" and l[1:2].islower() else l
	    for l in text.splitlines(True))) as c:
		status, out, err = check_conf("-nv", "-f", c.path)
		equal(status, 0, err)
	# With what is commented out it still says that, where it is a default.
	has = out.splitlines()
	for line in check_conf("-nv", "-f", "")[1].splitlines():
		check(line in has, "not in the example: " + line)
	for line in ("log events", "attach owner", "limit root",
	    "engine uid 600000 - 665535"):
		check(line in has, "not in the example: " + line)


@test("conf", "a file that is missing, or that others may write to",
    private=False)
def access():
	status, out, err = check_conf("-n", "-f", "/nonexistent/x.conf")
	equal((status, err), (1, "cc-proxy: /nonexistent/x.conf: "
	    "no such file or directory\n"), "missing")
	equal(check_conf("-n", "-f", "")[0], 0, "none")
	with Conf("", 0o666) as c:
		status, out, err = check_conf("-f", c.path)
		equal((status, err), (1, "cc-proxy: %s: others may write to "
		    "it (mode 0666)\n" % c.path), "mode")


@test("conf", "flags and the environment win over the file", private=False)
def flags_win():
	with Conf("ksm off\nguest agent\ntimeout shim 1s\ntimeout ready 2s\n"
	    "log level info\n") as c:
		def lines(*args, **env):
			status, out, err = check_conf("-nv", "-f", c.path,
			    *args, env=env)
			equal(status, 0, err)
			return out.splitlines()

		for want in ("ksm off", "guest agent", "timeout shim 1s",
		    "log level info"):
			check(want in lines(), want)
		out = lines("-ksm", "initial", "-guest=auto", "-timeout",
		    "shim=3s", "-log", "error", "-socket-path", "/s",
		    "-control-path", "/c")
		for want in ("ksm initial", "guest auto", "timeout shim 3s",
		    "timeout ready 2s", "log level error",
		    'listen on "/s" protocol 3 mode 0660',
		    'control "/c" mode 0600'):
			check(want in out, "%s: %s" % (want, out))
		check("log level debug" in lines("-v", "2"), "-v")
		check("log level panic" in lines("-log", "error",
		    CC_PROXY_LOG_LEVEL="panic"), "environment")


@test("conf", "-version needs no file", private=False)
def version():
	status, out, err = check_conf("-f", "/nonexistent/x.conf", "-version")
	check(status == 0 and out.startswith("Version: "), out + err)


@test("conf", "listeners of both protocols, more than one of each",
    private=False)
def listeners():
	with Conf("log level info\nksm initial\nlisten on DIR/run/a.sock\n"
	    "listen on DIR/run/b.sock mode 0600\n"
	    "listen on DIR/run/c.sock mode 0666 protocol 1\n"
	    "listen on DIR/run/d.sock protocol 1\n") as c:
		run = os.path.join(c.dir, "run")
		d = FileDaemon(c, run + "/a.sock", ["-libexec", BUILD])
		try:
			d.wait_log("^proxy started$")
			modes = {n: stat.S_IMODE(os.stat(os.path.join(run,
			    n)).st_mode) for n in os.listdir(run)}
			equal(modes, {"a.sock": 0o660, "b.sock": 0o600,
			    "c.sock": 0o666, "d.sock": 0o660,
			    "a.sock.ctl": 0o600}, "modes")
			for n in modes:
				if n != "a.sock.ctl":
					d.wait_log("^listening on %s$" %
					    os.path.join(run, n))
			serves(d, run + "/a.sock")
			serves(d, run + "/b.sock")
			for n in "c.sock", "d.sock":
				a = d.agent("one-" + n)
				one = ccp1.Client1(d, os.path.join(run, n))
				one.ok("hello", {"containerId": n,
				    "ctlSerial": a.ctl_path,
				    "ioSerial": a.io_path})
				one.close()
		finally:
			disposed(d)


@test("conf", "16 listeners are all served", private=False)
def many_listeners():
	with Conf("ksm initial\nno control\n" + "".join(
	    "listen on DIR/%d.sock\n" % i for i in range(16))) as c:
		d = FileDaemon(c, c.dir + "/0.sock", ["-libexec", BUILD])
		try:
			for i in range(16):
				d.path = "%s/%d.sock" % (c.dir, i)
				d.client().fails(UNREGISTER, {"containerId":
				    "none"})
			check(not os.path.exists(c.dir + "/0.sock.ctl"),
			    "control socket in spite of no control")
		finally:
			disposed(d)


@test("conf", "owner and group of sockets and of new directories",
    private=False)
def owners():
	need_root()
	user = pwd.getpwnam("nobody")
	group = grp.getgrnam("daemon")
	with Conf("ksm initial\nlisten on DIR/run/a.sock owner nobody "
	    "group daemon mode 0620\nlisten on DIR/old/b.sock group daemon\n"
	    "control DIR/x.ctl owner nobody mode 0640\n") as c:
		os.mkdir(c.dir + "/old", 0o711)
		d = FileDaemon(c, c.dir + "/run/a.sock", ["-libexec", BUILD])
		try:
			def owner(name):
				st = os.stat(os.path.join(c.dir, name))
				return (st.st_uid, st.st_gid,
				    stat.S_IMODE(st.st_mode))

			serves(d)
			equal(owner("run/a.sock"), (user.pw_uid,
			    group.gr_gid, 0o620), "a.sock")
			equal(owner("run"), (0, group.gr_gid, 0o750), "run")
			equal(owner("old/b.sock"), (0, group.gr_gid, 0o660),
			    "b.sock")
			equal(owner("old"), (0, 0, 0o711), "old")
			equal(owner("x.ctl"), (user.pw_uid, 0, 0o640), "x.ctl")
		finally:
			disposed(d)


@test("conf", "a socket path on the command line: none of the file's",
    private=False)
def other_daemon():
	with Conf("ksm initial\nlisten on DIR/a.sock\ncontrol DIR/c.sock\n") \
	    as c:
		d = FileDaemon(c, c.dir + "/b.sock", ["-libexec", BUILD,
		    "-socket-path", c.dir + "/b.sock"])
		try:
			serves(d)
			equal(sorted(os.listdir(c.dir)), ["b.sock",
			    "b.sock.ctl", "cc-proxy.conf"], "files")
		finally:
			disposed(d)


@test("conf", "a socket that was passed wins over the file's",
    private=False)
def activated():
	with Conf("ksm initial\nlisten on DIR/a.sock\ncontrol DIR/c.sock\n") \
	    as c:
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.bind(c.dir + "/passed.sock")
		s.listen(16)
		d = FileDaemon(c, c.dir + "/passed.sock", ["-libexec", BUILD],
		    wrap=[sys.executable, "-c", ACTIVATE, str(s.fileno())],
		    pass_fds=[s.fileno()])
		s.close()
		try:
			serves(d)
			equal(sorted(os.listdir(c.dir)), ["c.sock",
			    "cc-proxy.conf", "passed.sock"], "files")
		finally:
			disposed(d)


main()

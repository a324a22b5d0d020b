#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""cc-proxyctl against the real daemon and the real guest agent.

Starts cc-proxy and ccp-guest in a private directory and uses the tool as
its user does, on pipes and on a pseudo-terminal.  Standard library only.
Waits for conditions; CEILING only ends a test that would hang for ever.
"""

import fcntl
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

CEILING = 60
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.abspath(os.path.join(TOP, os.environ.get("CCP_BUILD",
    "build")))
CTL = os.path.join(BUILD, "cc-proxyctl")
TESTS = []


class Fail(Exception):
	"""The behaviour under test is wrong."""


def test(func):
	TESTS.append(func)
	return func


def equal(got, want, what):
	if got != want:
		raise Fail("%s: got %.300r, want %.300r" % (what, got, want))


def contains(text, part, what):
	if part not in text:
		raise Fail("%s: no %r in %.500r" % (what, part, text))


def wait_for(cond, what):
	end = time.monotonic() + CEILING
	while True:
		v = cond()
		if v:
			return v
		if time.monotonic() > end:
			raise Fail("%s: not within %d s" % (what, CEILING))
		time.sleep(0.01)


def listening(path):
	s = socket.socket(socket.AF_UNIX)
	try:
		s.connect(path)
	except OSError:
		return False
	finally:
		s.close()
	return True


class Env:
	"""A daemon, and guests on demand."""

	def __init__(self):
		self.dir = tempfile.mkdtemp(prefix="ccp-ctl-")
		os.chmod(self.dir, 0o755)
		self.sock = os.path.join(self.dir, "run", "proxy.sock")
		self.procs = []
		self.guests = {}
		self.log = open(os.path.join(self.dir, "log"), "ab")
		p = self.spawn("cc-proxy", "-socket-path", self.sock, "-log",
		    "info", "-ksm", "off", "-libexec", BUILD)
		wait_for(lambda: p.poll() is not None or
		    listening(self.sock), "daemon's socket")
		if p.poll() is not None:
			raise Fail("cc-proxy ended: " + self.log_text())

	def log_text(self):
		with open(self.log.name, errors="replace") as f:
			return f.read()

	def spawn(self, name, *args):
		p = subprocess.Popen([os.path.join(BUILD, name)] + list(args),
		    stdin=subprocess.DEVNULL, stdout=self.log,
		    stderr=self.log)
		self.procs.append(p)
		return p

	def guest(self, name, *args):
		"""A guest agent; its two sockets."""
		ctl = os.path.join(self.dir, name + ".ctl")
		tty = os.path.join(self.dir, name + ".tty")
		p = self.spawn("ccp-guest", "-c", ctl, "-t", tty, *args)
		wait_for(lambda: p.poll() is not None or
		    os.path.exists(ctl) and os.path.exists(tty),
		    "guest's sockets")
		if p.poll() is not None:
			raise Fail("ccp-guest ended: " + self.log_text())
		self.guests[name] = p
		return ctl, tty

	def vm(self, name, *args):
		"""A registered VM whose pod is started."""
		ctl, tty = self.guest(name, *args)
		self.ok("register", name, ctl, tty)
		self.ok("hyper", name, "startpod",
		    '{"hostname":"%s","shareDir":"hyperShared"}' % name)
		return name

	def command(self, *args):
		return [CTL, "-s", self.sock] + list(args)

	def ctl(self, *args, stdin=b"", env=None):
		try:
			return subprocess.run(self.command(*args), input=stdin,
			    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
			    timeout=CEILING, env=env)
		except subprocess.TimeoutExpired as e:
			raise Fail("%r does not end: %.300r %.300r" % (args,
			    e.stdout, e.stderr))

	def ok(self, *args, **kw):
		r = self.ctl(*args, **kw)
		equal((r.returncode, r.stderr), (0, b""), "%r" % (args,))
		return r.stdout

	def fails(self, *args, **kw):
		"""The one line on stderr of a command that fails with 1."""
		r = self.ctl(*args, **kw)
		equal((r.returncode, r.stdout), (1, b""), "%r" % (args,))
		text = r.stderr.decode()
		if not text.startswith("cc-proxyctl: "):
			raise Fail("%r: stderr %r" % (args, text))
		return text

	def start(self, *args, **kw):
		return Running(self.command(*args), **kw)

	def close(self):
		for p in reversed(self.procs):
			if p.poll() is None:
				p.terminate()
		for p in self.procs:
			try:
				p.wait(CEILING)
			except subprocess.TimeoutExpired:
				p.kill()
				p.wait()
		self.log.close()
		shutil.rmtree(self.dir, ignore_errors=True)


class Running:
	"""cc-proxyctl in the background, on pipes."""

	def __init__(self, argv, **kw):
		self.p = subprocess.Popen(argv, stdin=subprocess.PIPE,
		    stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
		self.out = b""

	def read_until(self, part):
		end = time.monotonic() + CEILING
		while part not in self.out:
			left = end - time.monotonic()
			r = select.select([self.p.stdout], [], [],
			    max(0, left))[0]
			b = os.read(self.p.stdout.fileno(), 65536) if r else b""
			if not b:
				self.p.kill()
				raise Fail("no %r in the output: %.300r, "
				    "stderr %.300r" % (part, self.out,
				    self.p.stderr.read()))
			self.out += b

	def end(self):
		"""Exit status, all of stdout, all of stderr."""
		try:
			out, err = self.p.communicate(timeout=CEILING)
		except subprocess.TimeoutExpired:
			self.p.kill()
			raise Fail("%r does not end" % self.p.args)
		return self.p.returncode, self.out + out, err


class Terminal:
	"""A program on a pseudo-terminal of its own."""

	def __init__(self, argv, rows=24, columns=80):
		self.master, self.slave = pty.openpty()
		self.resize(rows, columns)
		self.before = termios.tcgetattr(self.slave)

		def child():
			os.setsid()
			fcntl.ioctl(0, termios.TIOCSCTTY, 0)

		self.p = subprocess.Popen(argv, stdin=self.slave,
		    stdout=self.slave, stderr=self.slave, preexec_fn=child)
		self.out = b""

	def resize(self, rows, columns):
		fcntl.ioctl(self.master, termios.TIOCSWINSZ,
		    struct.pack("HHHH", rows, columns, 0, 0))

	def type(self, text):
		os.write(self.master, text)

	def read(self, seconds):
		if select.select([self.master], [], [], seconds)[0]:
			self.out += os.read(self.master, 65536)

	def read_until(self, pattern):
		end = time.monotonic() + CEILING
		while re.search(pattern, self.out) is None:
			if time.monotonic() > end:
				raise Fail("no %r on the terminal: %.500r" %
				    (pattern, self.out))
			self.read(0.1)

	def is_raw(self):
		return not termios.tcgetattr(self.slave)[3] & \
		    (termios.ICANON | termios.ECHO | termios.ISIG)

	def end(self):
		def ended():
			self.read(0)
			return self.p.poll() is not None
		wait_for(ended, "end of %r" % self.p.args)
		self.read(0)
		equal(termios.tcgetattr(self.slave), self.before,
		    "terminal's state afterwards")
		return self.p.returncode

	def close(self):
		if self.p.poll() is None:
			self.p.kill()
			self.p.wait()
		os.close(self.master)
		os.close(self.slave)


# ----------------------------------------------------------------- tests

@test
def usage_and_errors_exit_with_1_and_say_why(e):
	for args in ([], ["-x"], ["status", "more"], ["register", "a"],
	    ["unregister"], ["hyper", "a"], ["run", "a", "b"],
	    ["run", "a", "b", "--"], ["run", "-E"], ["nonsense"],
	    ["status", "-x"], ["status", "-v", "a", "b"], ["metrics", "x"],
	    ["metrics", "--htt", "x"], ["top", "-x"]):
		r = subprocess.run([CTL] + args, stdin=subprocess.DEVNULL,
		    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
		equal((r.returncode, r.stdout), (1, b""), "%r" % args)
		contains(r.stderr, b"usage: cc-proxyctl", "%r" % args)
	nobody = os.path.join(e.dir, "nobody.sock")
	for args in (["status"], ["unregister", "x"], ["run", "a", "b", "c"],
	    ["metrics"], ["top", "-n", "1"]):
		r = subprocess.run([CTL, "-s", nobody] + args,
		    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
		equal(r.returncode, 1, "%r without a daemon" % args)
		contains(r.stderr, b"nobody.sock", "%r" % args)
	r = subprocess.run([CTL, "-s", "/" + "x" * 200, "unregister", "x"],
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
	equal(r.returncode, 1, "long path")
	contains(r.stderr, b"too long", "long path")
	contains(e.fails("run", "-E", "novalue", "a", "b", "c"),
	    "name=value", "-E")
	r = subprocess.run([CTL, "-V"], stdout=subprocess.PIPE)
	equal(r.returncode, 0, "-V")
	contains(r.stdout, b"cc-proxyctl ", "-V")


@test
def register_and_unregister(e):
	ctl, tty = e.guest("reg")
	equal(e.ok("register", "reg", ctl, tty), b"", "output")
	contains(e.fails("register", "reg", ctl, tty),
	    "reg: container already registered", "second register")
	equal(e.ok("unregister", "reg"), b"", "output")
	contains(e.fails("unregister", "reg"), "unknown containerID: reg",
	    "second unregister")
	contains(e.fails("register", "reg", e.dir + "/none", tty), "none",
	    "missing socket")
	contains(e.fails("hyper", "reg", "ping"), "unknown containerID: reg",
	    "hyper")


@test
def a_unix_url_and_relative_socket_names_work(e):
	ctl, tty = e.guest("rel")
	for args in (["register", "rel", os.path.basename(ctl),
	    os.path.basename(tty)], ["unregister", "rel"]):
		r = subprocess.run([CTL, "-s", "unix://" + e.sock] + args,
		    cwd=e.dir, stderr=subprocess.PIPE, timeout=CEILING)
		equal((r.returncode, r.stderr), (0, b""), "%r" % args)


@test
def status_as_text_and_as_json(e):
	e.vm("stat")
	text = e.ok("status").decode()
	contains(text, e.sock, "text")
	if re.search(r"^stat +up +\d+ +%d " % os.getuid(), text,
	    re.M) is None:
		raise Fail("no row for the VM: %r" % text)
	o = json.loads(e.ok("--json", "status"))
	equal(sorted(o), ["daemon", "limits", "near", "vms"], "members")
	equal(o["daemon"]["socket"], e.sock, "socket")
	equal(o["daemon"]["pid"], e.procs[0].pid, "pid")
	vm = [v for v in o["vms"] if v["id"] == "stat"]
	equal(len(vm), 1, "rows of the VM")
	equal((vm[0]["state"], vm[0]["uid"]), ("up", os.getuid()), "row")
	equal((vm[0]["answered"], vm[0]["stats"]["agent"],
	    vm[0]["stats"]["commands_total"]), ("now", "ccp-guest", 1),
	    "numbers")
	contains(e.ok("status", "-v", "stat"), b"ccp-guest", "details")
	e.ok("unregister", "stat")


@test
def hyper_passes_json_and_reply_through(e):
	e.vm("hyp")
	contains(e.fails("hyper", "hyp", "pscontainer",
	    '{"container":"none","format":"json"}'),
	    "ERROR received from VM agent", "agent's refusal")
	contains(e.fails("hyper", "hyp", "frobnicate"),
	    "unknown command 'frobnicate'", "unknown command")
	contains(e.fails("hyper", "hyp", "ping", '{} ,"tokens":[]'),
	    "not JSON", "data with a member of its own")
	equal(e.ok("hyper", "hyp", "ping"), b"", "ping")
	p = e.start("run", "-i", "hyp", "h1", "--", "/bin/sh", "-c",
	    "echo ready; cat")
	p.read_until(b"ready\n")
	pids = e.ok("hyper", "hyp", "pscontainer", "-",
	    stdin=b'{"container":"h1", "format":"json"}\n')
	if not json.loads(pids):
		raise Fail("no pid: %r" % pids)
	equal(p.end(), (0, b"ready\n", b""), "run")


@test
def status_of_the_process_is_ours(e):
	for status in (0, 1, 42, 255):
		equal(e.ctl("run", "pod", "s1", "--", "/bin/sh", "-c",
		    "exit %d" % status).returncode, status, "status")
	equal(e.ctl("run", "pod", "s1", "--", "/bin/sh", "-c",
	    "kill -9 $$").returncode, 137, "killed")
	contains(e.fails("run", "pod", "s1", "--", "/nonexistent/program"),
	    "ERROR received from VM agent", "no such program")
	contains(e.fails("run", "nopod", "s1", "--", "/bin/true"),
	    "unknown containerID: nopod", "no such VM")


@test
def the_pod_is_started_when_it_was_not(e):
	ctl, tty = e.guest("lazy")
	e.ok("register", "lazy", ctl, tty)
	equal(e.ok("run", "lazy", "l1", "--", "/bin/echo", "up"), b"up\n",
	    "output")
	contains(e.fails("hyper", "lazy", "startpod",
	    '{"hostname":"lazy","shareDir":"hyperShared"}'), "ERROR received",
	    "second startpod")


@test
def stdout_and_stderr_stay_apart(e):
	r = e.ctl("run", "pod", "o1", "--", "/bin/sh", "-c",
	    "echo out; echo err >&2; echo out2; echo err2 >&2")
	equal((r.returncode, r.stdout, r.stderr), (0, b"out\nout2\n",
	    b"err\nerr2\n"), "output")


@test
def arguments_environment_and_directory(e):
	out = e.ok("run", "-E", "A=b c", "-E", "EMPTY=", "-w", "/tmp",
	    "-u", "0:0", "pod", "a1", "--", "/bin/sh", "-c",
	    'echo "$A|$EMPTY|$PATH|$PWD|$1|$2"', "sh", "x  y", "\u00e9\"\\")
	equal(out.decode(), "b c||/usr/local/sbin:/usr/local/bin:/usr/sbin:"
	    "/usr/bin:/sbin:/bin|/tmp|x  y|\u00e9\"\\\n", "output")
	equal(e.ok("run", "-E", "PATH=/bin", "pod", "a1", "--", "/bin/sh",
	    "-c", "echo $PATH"), b"/bin\n", "PATH of our own")


@test
def without_i_stdin_is_at_its_end(e):
	equal(e.ok("run", "pod", "i1", "--", "/bin/cat", stdin=b"unseen"),
	    b"", "output")


@test
def a_megabyte_through_cat(e):
	data = hashlib.sha512(b"seed").digest() * (1024 * 1024 // 64)
	equal(len(data), 1024 * 1024, "size")
	out = e.ok("run", "-i", "pod", "m1", "--", "/bin/cat", stdin=data)
	equal((len(out), hashlib.sha256(out).digest()),
	    (len(data), hashlib.sha256(data).digest()), "what came back")


@test
def nothing_is_lost_when_we_are_read_slowly(e):
	want = b"".join(b"%07d\n" % i for i in range(100000))
	p = e.start("run", "pod", "w1", "--", "/bin/sh", "-c",
	    "seq -f %07.0f 0 99999")
	got = []

	def slowly():
		while True:
			b = os.read(p.p.stdout.fileno(), 4096)
			if not b:
				return
			got.append(b)
			if len(got) % 16 == 0:
				time.sleep(0.005)

	t = threading.Thread(target=slowly)
	t.start()
	t.join(CEILING)
	if t.is_alive():
		p.p.kill()
		raise Fail("output does not end")
	equal(hashlib.sha256(b"".join(got)).digest(),
	    hashlib.sha256(want).digest(), "output")
	equal(p.p.wait(CEILING), 0, "status")


@test
def a_reader_who_goes_ends_us(e):
	p = e.start("run", "pod", "g1", "--", "/bin/sh", "-c",
	    "while :; do echo y; done")
	p.read_until(b"y\n")
	p.p.stdout.close()
	equal(p.p.wait(CEILING), 128 + signal.SIGPIPE, "status")
	e.ok("hyper", "pod", "killcontainer",
	    '{"container":"g1","signal":9,"allProcesses":true}')
	p.p.stderr.close()


@test
def the_container_goes_with_its_first_process(e):
	for i in range(2):
		equal(e.ok("run", "pod", "r1", "--", "/bin/echo", "new"),
		    b"new\n", "run %d" % i)
	e.ok("run", "-k", "pod", "r1", "--", "/bin/true")
	contains(e.fails("run", "pod", "r1", "--", "/bin/true"),
	    "ERROR received from VM agent", "container that was kept")
	e.ok("hyper", "pod", "removecontainer", '{"container":"r1"}')
	contains(e.fails("run", "-e", "pod", "r1", "--", "/bin/true"),
	    "ERROR received from VM agent", "-e without a container")


@test
def a_second_process_in_a_container(e):
	p = e.start("run", "-i", "pod", "e1", "--", "/bin/sh", "-c",
	    "echo ready; read x; echo got $x; exit 3")
	p.read_until(b"ready\n")
	for args in (["run"], ["run", "-e"]):
		r = e.ctl(*(args + ["pod", "e1", "--", "/bin/sh", "-c",
		    "echo second; exit 4"]))
		equal((r.returncode, r.stdout), (4, b"second\n"), "exec")
	p.p.stdin.write(b"word\n")
	p.p.stdin.flush()
	equal(p.end(), (3, b"ready\ngot word\n", b""), "first")


@test
def signals_reach_the_first_process(e):
	for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP,
	    signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
		name = sig.name[3:]
		p = e.start("run", "pod", "k1", "--", "/bin/sh", "-c",
		    "trap 'echo got %s; exit 9' %s; echo ready; "
		    "while :; do sleep 0.05; done" % (name, name))
		p.read_until(b"ready\n")
		p.p.send_signal(sig)
		equal(p.end(), (9, b"ready\ngot %s\n" % name.encode(), b""),
		    "SIG%s" % name)


@test
def signals_reach_a_second_process(e):
	first = e.start("run", "-i", "pod", "x2", "--", "/bin/sh", "-c",
	    "echo ready; cat")
	first.read_until(b"ready\n")
	for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
		name = sig.name[3:]
		p = e.start("run", "pod", "x2", "--", "/bin/sh", "-c",
		    "trap 'echo got %s; exit 9' %s; echo ready; "
		    "while :; do sleep 0.05; done" % (name, name))
		p.read_until(b"ready\n")
		p.p.send_signal(sig)
		# Its whole group gets it, and the shell may say so.
		equal(p.end()[:2], (9, b"ready\ngot %s\n" % name.encode()),
		    "SIG%s" % name)
	equal(first.end()[0], 0, "first process")


@test
def a_signal_the_agent_cannot_send_ends_us(e):
	e.vm("old", "-profile", "agent")
	first = e.start("run", "-i", "old", "x1", "--", "/bin/sh", "-c",
	    "echo ready; cat")
	first.read_until(b"ready\n")
	for sig in (signal.SIGTERM, signal.SIGINT):
		p = e.start("run", "-i", "old", "x1", "--", "/bin/sh", "-c",
		    "echo ready; cat")
		p.read_until(b"ready\n")
		p.p.send_signal(signal.SIGUSR1)
		line = p.p.stderr.readline()
		contains(line, b"signal 10: ", "SIGUSR1")
		p.p.send_signal(sig)
		status, _, err = p.end()
		equal(status, 128 + sig, "status")
		contains(err, b"not supported", "stderr")
	equal(first.end()[0], 0, "first process")


@test
def a_lost_vm_ends_us(e):
	e.vm("lost")
	p = e.start("run", "-i", "lost", "v1", "--", "/bin/sh", "-c",
	    "echo ready; cat")
	p.read_until(b"ready\n")
	e.guests["lost"].kill()
	status, _, err = p.end()
	equal(status, 1, "status")
	contains(err, b"cc-proxyctl: run: ", "stderr")


def on_terminal(func):
	"""Gives the test a function that starts run -t -i."""
	def wrapped(e):
		opened = []

		def start(*args, **kw):
			t = Terminal(e.command("run", "-t", "-i", *args), **kw)
			opened.append(t)
			return t
		try:
			func(e, start)
		finally:
			for t in opened:
				t.close()
	wrapped.__name__ = func.__name__
	return test(wrapped)


@on_terminal
def terminal_is_raw_meanwhile_and_restored_after(e, start):
	t = start("pod", "t1", "--", "/bin/sh", "-c",
	    'test -t 0 && test -t 1 && test -t 2 && echo "TERM=$TERM"; '
	    'read x; echo "<$x>"; exit 6')
	t.read_until(rb"TERM=\w+\r\n")
	wait_for(t.is_raw, "raw mode")
	t.type(b"line\r")
	t.read_until(rb"<line>\r\n")
	equal(t.end(), 6, "status")


@on_terminal
def size_of_the_terminal_at_start_and_later(e, start):
	t = start("pod", "t2", "--", "/bin/sh", "-c",
	    "while read x; do stty size; done", rows=33, columns=101)

	def shows(size):
		def asked():
			t.type(b"\r")
			t.read(0.05)
			return re.search(size + rb"\r\n", t.out)
		wait_for(asked, "size %r" % size)

	shows(rb"33 101")
	t.resize(17, 55)
	shows(rb"17 55")
	t.type(b"\x04")
	equal(t.end(), 0, "status")


@on_terminal
def control_c_goes_to_the_process(e, start):
	t = start("pod", "t3", "--", "/bin/sh", "-c",
	    "trap 'echo interrupted; exit 7' INT; echo ready; "
	    "while :; do sleep 0.05; done")
	t.read_until(rb"ready\r\n")
	wait_for(t.is_raw, "raw mode")
	t.type(b"\x03")
	t.read_until(rb"interrupted\r\n")
	equal(t.end(), 7, "status")


@on_terminal
def terminal_is_restored_when_a_signal_ends_us(e, start):
	first = e.start("run", "-i", "pod", "t4", "--", "/bin/sh", "-c",
	    "echo ready; cat")
	first.read_until(b"ready\n")
	for sig in (signal.SIGTERM, signal.SIGHUP):
		t = start("pod", "t4", "--", "/bin/sh", "-c",
		    "echo ready; cat")
		t.read_until(rb"ready\r\n")
		wait_for(t.is_raw, "raw mode")
		t.p.send_signal(sig)
		equal(t.end(), 128 + sig, "status")
	equal(first.end()[0], 0, "first process")


@on_terminal
def terminal_is_restored_while_we_are_stopped(e, start):
	t = start("pod", "t5", "--", "/bin/sh", "-c",
	    "echo ready; read x; exit 8")
	t.read_until(rb"ready\r\n")
	wait_for(t.is_raw, "raw mode")
	t.p.send_signal(signal.SIGTSTP)
	wait_for(lambda: termios.tcgetattr(t.slave) == t.before,
	    "terminal's state while stopped")
	t.p.send_signal(signal.SIGCONT)
	wait_for(t.is_raw, "raw mode again")
	t.type(b"\r")
	equal(t.end(), 8, "status")


@test
def a_terminal_with_piped_input(e):
	p = e.start("run", "-t", "-i", "pod", "p1", "--", "/bin/cat")
	p.p.stdin.write(b"half")
	status, out, err = p.end()
	equal((status, err), (0, b""), "status")
	contains(out, b"half", "output")


@test
def no_token_is_left_behind(e):
	def settled():
		o = json.loads(e.ok("--json", "status"))
		vm = [v for v in o["vms"] if v["id"] == "pod"][0]
		return (vm["tokens"], vm["clients"]) == (0, 0)
	wait_for(settled, "neither tokens nor clients")


def main():
	failed = 0
	e = None
	try:
		e = Env()
		e.vm("pod")
	except (Fail, OSError) as why:
		print("not ok - start: %s" % why)
		if e is not None:
			e.close()
		sys.exit(1)
	only = sys.argv[1:]
	for func in TESTS:
		name = func.__name__
		if only and name not in only:
			continue
		try:
			func(e)
			print("ok - ctl: " + name.replace("_", " "),
			    flush=True)
		except (Fail, OSError, ValueError, KeyError, IndexError,
		    subprocess.TimeoutExpired) as why:
			failed += 1
			print("not ok - ctl: %s: %s: %s" % (name.replace("_",
			    " "), type(why).__name__, why), flush=True)
	if failed:
		sys.stderr.write(e.log_text()[-4000:])
	e.close()
	sys.exit(1 if failed else 0)


main()

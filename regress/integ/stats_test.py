#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What cc-proxyctl says about the daemon: status, metrics and top.  Numbers
are exact, who is near a limit is told, nobody is waited for in vain, and an
id does to a terminal or a collector no harm."""

import fcntl
import os
import pty
import re
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *
from tenants import *
import openmetrics

HOSTILE = 'x\x1b[31m\x07"\\\n\u202e\x9b\u00e9 x'
ALICE = 3000
STATUS = struct.pack("=IIII", 0x0501, 16, 0, 0)


def run(d, *args, ok=True, **kw):
	kw.setdefault("stdin", subprocess.DEVNULL)
	r = subprocess.run([binary("cc-proxyctl"), "-s", d.path] + list(args),
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=CEILING,
	    **kw)
	if ok:
		equal((r.returncode, r.stderr), (0, b""), "%r" % (args,))
	return r.stdout


def status(d):
	return json.loads(run(d, "--json", "status"))


def vm_of(st, ident):
	found = [v for v in st["vms"] if v["id"] == ident]
	equal(len(found), 1, "VMs %s" % ident)
	return found[0]


def stats(d, ident):
	v = vm_of(status(d), ident)
	equal(v["answered"], "now", "answer of %s" % ident)
	return v["stats"]


def settled(d, ident, **want):
	"""The numbers of the VM, when these are what they should be."""
	last = {}

	def right():
		last.update(stats(d, ident))
		return all(last[k] == v for k, v in want.items())
	try:
		wait_for(right, "numbers")
	except Fail:
		equal({k: last[k] for k in want}, want, "numbers of %s" %
		    ident)
	return last


def control(d):
	s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
	s.settimeout(CEILING)
	s.connect(d.path + ".ctl")
	return s


def closed(s):
	"""Bytes until the other side closes."""
	n = 0
	try:
		while True:
			part = s.recv(1 << 20)
			if not part:
				return n
			n += len(part)
	except (ConnectionResetError, BrokenPipeError):
		return n


def http_ask(path, request, end=False):
	"""(status, fields, body) of what cc-proxyctl responds."""
	ours, theirs = socket.socketpair()
	ours.settimeout(CEILING)
	p = subprocess.Popen([binary("cc-proxyctl"), "-s", path,
	    "metrics", "--http"], stdin=theirs, stdout=theirs,
	    stderr=subprocess.DEVNULL)
	theirs.close()
	for part in request if isinstance(request, list) else [
	    request]:
		try:
			ours.sendall(part)
		except BrokenPipeError:
			pass
		time.sleep(0.02)
	if end:
		ours.shutdown(socket.SHUT_WR)
	answer = b""
	while True:
		part = ours.recv(65536)
		if not part:
			break
		answer += part
	ours.close()
	equal(p.wait(CEILING), 0, "exit status")
	head, body = answer.split(b"\r\n\r\n", 1)
	lines = head.decode().split("\r\n")
	fields = dict(l.split(": ", 1) for l in lines[1:])
	if b"HEAD" not in request:
		equal(int(fields["Content-Length"]), len(body),
		    "length of the body")
	return lines[0].split(" ")[1], fields, body


# A client that never reads, from the first test to the last; and who sends
# half a request, or nothing.
class Stuck:
	def __init__(self):
		self.d = Daemon(**QUIET)
		agent = self.d.agent()
		for i in range(24):
			f = Client(self.d).register("%03d" % i + "x" * 500,
			    agent.ctl_path, agent.io_path)
			check(not f.err, "register: %s" % f.payload)
		self.s = control(self.d)
		self.s.settimeout(0.3)
		# Until not all of an answer fits: then nothing is asked.
		n = last = 0
		while True:
			self.s.sendall(STATUS)
			n = self.unread(last)
			if n - last < 24 * 600:
				break
			last = n

	def unread(self, last):
		"""When no more comes."""
		same = 0
		n = -1
		while same < 20:
			time.sleep(0.01)
			m = pending(self.s)
			same = same + 1 if m == n and m > last else 0
			n = m
			if n == last and same == 0:
				self.idle = getattr(self, "idle", 0) + 1
				if self.idle > 50:
					break
		self.idle = 0
		return n


stuck, slow = [], []


@test("stats", "counters are exact, of both protocols", private=False)
def counters():
	with serving("") as d:
		# So many engines take long to start with a sanitizer.
		if not SANITIZED:
			stuck.append(Stuck())
		slow.extend(Task(http_ask, "/none", r) for r in (b"",
		    b"GET /metrics HTTP/1.1\r\n"))
		vm, one = VM(d), d.vm1()
		zero = stats(d, vm.id)
		equal((zero["clients"], zero["streams"], zero["protocols"],
		    zero["commands_total"]), (1, 0, ["3.x"], 0), "at first")
		a, b = vm.shim(), vm.shim()
		vm.agent.tty(a.base, b"o" * 1000)
		vm.agent.tty(a.base + 1, b"e" * 234)
		vm.agent.tty(b.base, b"O" * 5)
		equal(len(a.stdout(1000)), 1000, "stdout")
		vm.agent.tty(999, b"nobody's" * 10)
		a.stdin(b"i" * 65536)
		b.stdin(b"I" * 7)
		vm.client.hyper("ping")
		vm.agent.mode = lambda agent, code, payload: agent.error(b"no")
		vm.client.hyper_fails("ping")
		vm.agent.mode = "ack"
		equal(len(b.stdout(5)), 5, "stdout")
		vm.agent.exit(b.base, 3)
		equal(b.exit_status(), 3, "exit status")
		want = {"clients": 3, "clients_total": 3, "streams": 2,
		    "streams_total": 2, "streams_full": 0,
		    "output_bytes": 1239, "output_dropped": 80,
		    "output_queued": 0, "input_bytes": 65543,
		    "input_waiting": 0, "commands_total": 4,
		    "commands_failed": 1, "commands_queued": 0,
		    "commands_sent": 0, "io_descriptors": 0,
		    "responses_queued": 0}
		got = settled(d, vm.id, **want)
		check(got["uptime_ms"] > 0, "uptime")
		p = one.process()
		p.io.stdin(b"s" * 300)
		one.agent.tty(p.base, b"out")
		p.io.expect(b"out")
		settled(d, one.id, clients=2, io_descriptors=1, streams=1,
		    streams_total=1, input_bytes=300, output_bytes=3,
		    protocols=["1.x"], commands_total=1, commands_failed=0)
		p.io.close()
		settled(d, one.id, io_descriptors=0, streams=0,
		    streams_total=1)
		# A command that is under way.
		vm.agent.mode = "manual"
		vm.client.hyper_send("ping")
		settled(d, vm.id, commands_sent=1, commands_total=5)
		vm.agent.ack()
		settled(d, vm.id, commands_sent=0)
		# The same numbers in the other shapes.
		m = openmetrics.parse(run(d, "metrics"))
		value = lambda name: openmetrics.value(m, "ccproxy_vm_" + name,
		    vm=vm.id)
		equal((value("output_bytes"), value("input_bytes"),
		    value("commands"), value("commands_failed"), value("up"),
		    value("answering")), (1239, 65543, 5, 1, 1, 1), "metrics")
		equal(openmetrics.value(m, "ccproxy_engines",
		    state="running"), 2, "engines")
		check(re.search(r"^%s +up +\d+ +%d +3 +2 +2 +0 +0 +64\.0K +"
		    r"1\.2K +5  now$" % (vm.id, os.getuid()), run(d,
		    "status").decode(), re.M), "the row of a table")
		text = run(d, "status", "-v", vm.id).decode()
		check(re.search(r"^ +bytes of output +1239$", text, re.M) and
		    one.id not in text, text)
		check(b"no VM nobody" in subprocess.run([binary(
		    "cc-proxyctl"), "-s", d.path, "status", "-v", "nobody"],
		    stderr=subprocess.PIPE).stderr, "an unknown id")


@test("stats", "a queue while a shim does not read, and its limit",
    private=False)
def queues():
	with serving("limit output per shim 64K\nlimit output per vm 1M\n") \
	    as d:
		vm = bulk_vm(d)
		s = vm.shim()
		size = MB
		t = Task(lambda: [vm.agent.tty(s.base, b"q" * 4000)
		    for i in range(size // 4000)])
		got = settled(d, vm.id, streams_full=1)
		check(60000 < got["output_fullest"] <= 65536 and
		    got["output_queued"] >= got["output_fullest"],
		    "queued: %s" % got)
		near = [n for n in status(d)["near"]
		    if n["limit"] == "output per shim"]
		equal([(n["vm"], n["max"]) for n in near], [(vm.id, 65536)],
		    "near")
		check(near[0]["percent"] >= 90, "percent")
		check("output per shim" in run(d, "status").decode().split(
		    "Near a limit:")[1], "no mark in the table")
		n = size // 4000 * 4000
		equal(len(s.stdout(n)), n, "all of it")
		t.get()
		got = settled(d, vm.id, streams_full=0, output_queued=0,
		    output_bytes=n)
		equal(status(d)["near"], [], "near")
		# Input that the VM does not take.
		vm.agent.reading["io"].clear()
		up = Task(feed, s, Source(MB, 5))
		wait_for(lambda: stats(d, vm.id)["input_waiting"] > 0,
		    "input that waits")
		vm.agent.reading["io"].set()
		up.get()
		settled(d, vm.id, input_waiting=0, input_bytes=MB)


@test("stats", "who is near a limit, and who is not yet", private=False)
def near():
	with serving("limit vms 5\nlimit clients 10\nlimit clients per vm 5\n"
	    "limit tokens per vm 5\nlimit clients per uid 5\n") as d:
		need_root()
		vms = [VM(d) for i in range(3)]
		idle = [Tenant(d, ALICE) for i in range(3)]
		others = [vms[0].attach()[0] for i in range(2)]
		vms[1].client.attach(vms[1].id, 3)
		wait_for(lambda: status(d)["daemon"]["unrouted"] == 3,
		    "three who said nothing")
		st = status(d)
		equal(st["near"], [], "at 60 %")
		equal({l["limit"]: l["max"] for l in st["limits"]},
		    {"vms": 5, "clients": 10, "clients per uid": 5,
		    "clients per vm": 5, "tokens per vm": 5,
		    "vms per uid": 2048, "served clients": 65536,
		    "served clients per uid": 32768, "tokens": 1048576,
		    "tokens per uid": 524288,
		    "output per shim": 262144, "output per vm": 67108864},
		    "limits")
		vms.append(VM(d))
		idle += [Tenant(d, ALICE) for i in range(1)]
		others.append(vms[0].attach()[0])
		vms[1].client.attach(vms[1].id, 1)
		wait_for(lambda: status(d)["daemon"]["unrouted"] == 4,
		    "four of them")
		st = status(d)
		equal(sorted((n["limit"], n["value"], n.get("vm"),
		    n.get("uid")) for n in st["near"]),
		    [("clients per uid", 4, None, ALICE),
		    ("clients per vm", 4, vms[0].id, None),
		    ("tokens per vm", 4, vms[1].id, None),
		    ("vms", 4, None, None)], "at 80 %")
		text = run(d, "status").decode().split("Near a limit:")[1]
		check("uid %d" % ALICE in text and vms[1].id in text, text)


@test("stats", "an engine whose VM cannot be reached yet does not run",
    private=False)
def unreached():
	with serving("timeout ready 60s\n") as d:
		VM(d)
		path = os.path.join(d.dir, "full")
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.bind(path)
		s.listen(0)
		fill = []
		while True:
			fill.append(socket.socket(socket.AF_UNIX,
			    socket.SOCK_STREAM))
			fill[-1].setblocking(False)
			try:
				fill[-1].connect(path)
			except BlockingIOError:
				break
		c = d.client()
		c.cmd(REGISTER, register_request("full", path, path))

		def engines():
			e = status(d)["daemon"]["parent"]["engines"]
			return e["running"], e["starting"], e["waiting"]
		wait_for(lambda: sum(engines()) == 2, "the second")
		equal(engines(), (1, 1, 0), "running, starting, waiting")
		s.close()
		check(c.response(REGISTER).err, "registered")
		equal(engines(), (1, 0, 0), "running, starting, waiting")


def stopped(pid):
	os.kill(pid, signal.SIGSTOP)
	wait_for(lambda: open("/proc/%d/stat" % pid).read().rsplit(
	    ")")[1].split()[0] == "T", "a stopped process")


@test("stats", "engines and a parent that do not answer")
def silent(d):
	first, pid = engine_of(d, d.vm)
	second, never = engine_of(d, d.vm)
	settled(d, first.id, clients=1)
	mark = time.monotonic()
	stopped(pid)
	# All who ask at a time wait for one round.
	for st in in_parallel(lambda i: status(d), range(4)):
		v = vm_of(st, first.id)
		equal((v["answered"], v["stats"]["clients"]), ("before", 1),
		    "numbers of before")
		equal(vm_of(st, "bystander")["answered"], "now", "another")
	check(time.monotonic() - mark >= 1, "it was not waited for")
	equal(openmetrics.value(openmetrics.parse(run(d, "metrics")),
	    "ccproxy_vm_answering", vm=first.id), 0, "metrics")
	check(re.search(r"^%s .* \ds ago$" % first.id, run(d,
	    "status").decode(), re.M), "no age in the table")
	os.kill(pid, signal.SIGCONT)
	wait_for(lambda: vm_of(status(d), first.id)["answered"] == "now",
	    "an answer")
	stopped(d.pid)
	try:
		equal(status(d)["daemon"]["parent"]["answered"], False,
		    "the parent's answer")
		check("parent   does not answer" in run(d,
		    "status").decode(), "no line in the table")
	finally:
		os.kill(d.pid, signal.SIGCONT)
	wait_for(lambda: status(d)["daemon"]["parent"]["answered"],
	    "the parent's answer")
	os.kill(never, signal.SIGKILL)
	wait_for(lambda: vm_of(status(d), second.id)["state"] == "lost",
	    "the end of an engine")
	wait_for(lambda: status(d)["daemon"]["parent"]["engines"]["killed"]
	    == 1, "an engine that was killed")


@test("stats", "control clients that flood")
def flood(d):
	d.vm()
	for n in (2, 1000):
		s = control(d)
		try:
			s.sendall(STATUS * n)
		except (BrokenPipeError, ConnectionResetError):
			pass
		check(closed(s) < 4096, "more than one answer")
		s.close()
	d.wait_log("control client broke the protocol: malformed CTL_STATUS")
	# One after the other is fine, and how often engines are asked has a
	# bound.
	mark = time.monotonic()
	for i in range(5):
		status(d)
	check(time.monotonic() - mark >= 0.4, "rounds without a pause")


@test("stats", "ids that would like to be more", private=False)
def hostile_ids():
	ids = [HOSTILE, "x\x1b", "x\\x1b", 'a",b="', "\u00e9", "\\\\", "\\"]
	with serving("") as d:
		for i in ids:
			VM(d, ident=i)
		for args in (("status",), ("status", "-v"), ("top", "-n", "1"),
		    ("status", "-v", HOSTILE)):
			text = run(d, *args)
			check(not re.search(rb"[^\n -~]", text), "%r: %r" %
			    (args, text))
		st = status(d)
		equal(sorted(v["id"] for v in st["vms"]), sorted(ids), "ids")
		f = openmetrics.parse(run(d, "metrics"))["ccproxy_vm_up"]
		equal(len(f.samples), len(ids), "labels")
		names = {dict(k)["vm"] for k in f.samples}
		check("\\\\x1b" not in names and "x\\\\x1b" in names and
		    "x\\x1b" in names and "\u00e9" in names, names)


BROKEN = ("", "# EOF", "a 1\n# EOF\n", "# TYPE a gauge\na 1\n# EOF\n",
    "# TYPE a counter\n# HELP a b\na 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na 1\na 2\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na{b=\"c} 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na{b=\"\\x\"} 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na{b=\"c\",b=\"d\"} 1\n# EOF\n",
    "# TYPE a gauge\n# UNIT a bytes\n# HELP a b\na 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na 1\n# TYPE c gauge\n# HELP c d\n"
    "# TYPE a gauge\n# EOF\n", "# TYPE a gauge\n# HELP a b\na one\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na 1\n# EOF\n\n")


@test("stats", "metrics over HTTP: good, bad and oversized requests",
    daemon=QUIET)
def http(d):
	for text in BROKEN:
		try:
			openmetrics.parse(text.encode())
		except openmetrics.Bad:
			continue
		raise Fail("the reader takes %r" % text)
	vm = d.vm()
	get = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

	ask = lambda *args, **kw: http_ask(d.path, *args, **kw)
	for request in (get, [get[:7], get[7:20], get[20:]],
	    get.replace(b"/metrics", b"/metrics?x=y"),
	    b"GET / HTTP/1.0\n\n", get + get):
		code, fields, body = ask(request)
		equal((code, fields["Content-Type"], fields["Connection"]),
		    ("200", "application/openmetrics-text; version=1.0.0; "
		    "charset=utf-8", "close"), "response to %r" % request)
		equal(openmetrics.value(openmetrics.parse(body),
		    "ccproxy_vm_up", vm=vm.id), 1, "metrics")
	code, fields, body = ask(get.replace(b"GET", b"HEAD"))
	equal((code, body), ("200", b""), "HEAD")
	for request, want in ((b"GET /x HTTP/1.1\r\n\r\n", "404"),
	    (b"POST /metrics HTTP/1.1\r\n\r\nxyz", "405"),
	    (b"GET /metrics\r\n\r\n", "400"), (b"\r\n\r\n", "400"),
	    (b"GET /metrics HTTP/2.0\r\n\r\n", "400"),
	    (b"GET /metrics HTTP/1.1\0\r\n\r\n", "400"),
	    (b"\xff" * 100 + b"\r\n\r\n", "400"),
	    (b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 20000, "431"),
	    (get[:-4] + b" " * (8192 - len(get)) + get[-4:], "200"),
	    (get[:-4] + b" " * (8193 - len(get)) + get[-4:], "431")):
		equal(ask(request)[0], want, "response to %.60r" % request)
	equal(ask(b"GET /me", end=True)[0], "400", "half a request")
	equal(http_ask(os.path.join(d.dir, "none"), get)[0], "503",
	    "response without a daemon")
	if shutil.which("systemd-socket-activate"):
		path = os.path.join(d.dir, "metrics.sock")
		p = subprocess.Popen(["systemd-socket-activate", "--accept",
		    "--inetd", "-l", path, binary("cc-proxyctl"), "-s", d.path,
		    "metrics", "--http"], stderr=subprocess.DEVNULL)
		try:
			def connected():
				"""It is there before it listens."""
				s = socket.socket(socket.AF_UNIX)
				s.settimeout(CEILING)
				return s if s.connect_ex(path) == 0 else None
			for i in range(2):
				s = wait_for(connected, "its socket")
				s.sendall(get)
				text = b"".join(iter(lambda: s.recv(65536),
				    b""))
				check(b" 200 OK" in text, text)
		finally:
			p.terminate()
			p.wait()


SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class Terminal:
	"""cc-proxyctl on a pseudo-terminal of its own."""

	def __init__(self, d, *args, rows=24, columns=100, **env):
		self.master, self.slave = pty.openpty()
		self.resize(rows, columns)
		self.before = termios.tcgetattr(self.slave)

		def child():
			# Who started the tests may have it ignored.
			for n in SIGNALS:
				signal.signal(n, signal.SIG_DFL)
			os.setsid()
			fcntl.ioctl(0, termios.TIOCSCTTY, 0)
		self.p = subprocess.Popen([binary("cc-proxyctl"), "-s",
		    d.path] + list(args), stdin=self.slave, stdout=self.slave,
		    stderr=self.slave, preexec_fn=child, env=dict(os.environ,
		    TERM="xterm", **env))
		self.out = b""

	def resize(self, rows, columns):
		fcntl.ioctl(self.master, termios.TIOCSWINSZ,
		    struct.pack("HHHH", rows, columns, 0, 0))

	def key(self, text):
		self.out = b""
		os.write(self.master, text)

	def read(self, seconds):
		if select.select([self.master], [], [], seconds)[0]:
			self.out += os.read(self.master, 65536)

	def until(self, pattern):
		end = time.monotonic() + CEILING
		while not re.search(pattern, self.out, re.S):
			check(time.monotonic() < end, "no %r on the terminal: "
			    "%.400r" % (pattern, self.out))
			self.read(0.1)

	def end(self, status):
		def ended():
			self.read(0)
			return self.p.poll() is not None
		try:
			wait_for(ended, "its end")
		except Fail as e:
			where = [open("/proc/%d/%s" % (self.p.pid, f)).read()
			    for f in ("stat", "syscall", "wchan")]
			raise Fail("%s, to be %d: %s, %.80r" % (e, status,
			    where, self.out[-80:]))
		self.read(0)
		equal(self.p.returncode, status, "exit status")
		equal(termios.tcgetattr(self.slave), self.before,
		    "terminal's state")
		check(b"\x1b[?25h\x1b[?1049l" in self.out[-60:],
		    "its screen is left: %r" % self.out[-100:])
		os.close(self.master)
		os.close(self.slave)


FIRST = rb"\x1b\[\?1049h.*VMs 2 .*by bytes.*VM +STATE.*bystander"


@test("stats", "top: screen, keys, sizes, ends", daemon=QUIET)
def top(d):
	vm = d.vm(ident="aaa\x1b[2Jb")
	s = vm.shim()
	t = Terminal(d, "top", "-d", "0.2")
	t.until(FIRST)
	check(b"\x1b[2Jb" not in t.out[t.out.index(b"VMs 2"):],
	    "an id went through")
	check(not termios.tcgetattr(t.slave)[3] & (termios.ICANON |
	    termios.ECHO), "keys are not seen at once")
	for key, name in ((b"i", b"id"), (b"r", b"id, reversed"),
	    (b"r", b"id"), (b"l", b"limit"), (b"c", b"commands"),
	    (b"n", b"clients"), (b"u", b"queued"), (b"s", b"streams"),
	    (b"b", b"bytes")):
		t.key(key)
		t.until(rb"by " + name + rb";")
	# What a VM does is seen, and moves it up.
	stop = threading.Event()

	def talk():
		while not stop.is_set():
			vm.agent.tty(s.base, b"x" * 1000)
			s.stdout(1000)
			time.sleep(0.005)
	talker = Task(talk)
	t.key(b" ")
	t.until(rb"LIMIT.{1,40}aaa\S+ +up +2 +1 +0 +[\d.]+K +0\.0 ")
	stop.set()
	talker.get()
	# A smaller window, in which not all have room.
	t.key(b"i")
	t.until(rb"by id;")
	t.out = b""
	t.resize(4, 30)
	t.until(rb"and 2 more|\r\n[^\r]{30}\x1b\[K\r\n")
	t.out = b""
	t.key(b" ")
	t.until(rb"and 2 more")
	screen = t.out[t.out.rindex(b"\x1b[H"):]
	lines = re.sub(rb"\x1b\[[\d;]*[A-Za-z]", b"", screen).replace(b"\r", b"").split(
	    b"\n")
	check(len(lines) <= 4 and max(len(l) for l in lines) <= 30,
	    "beyond the window: %r" % lines)
	t.key(b"q")
	t.end(0)
	for sig in (signal.SIGTERM, signal.SIGHUP):
		t = Terminal(d, "top")
		t.until(FIRST)
		t.p.send_signal(sig)
		t.end(128 + sig)
	t = Terminal(d, "top", NO_COLOR="1")
	t.until(FIRST)
	check(not re.search(rb"\x1b\[\d+m", t.out), "colours: %r" % t.out)
	t.key(b"\x1a")		# ^Z
	wait_for(lambda: open("/proc/%d/stat" % t.p.pid).read().rsplit(
	    ")")[1].split()[0] == "T", "it to stop")
	equal(termios.tcgetattr(t.slave), t.before, "terminal meanwhile")
	t.out = b""
	t.p.send_signal(signal.SIGCONT)
	t.until(FIRST)
	t.key(b"\x03")		# ^C
	t.end(128 + signal.SIGINT)
	# Its output stopped, as by ^S: a signal gets through.
	t = Terminal(d, "top", "-d", "0.1")
	t.until(FIRST)
	termios.tcflow(t.slave, termios.TCOOFF)
	time.sleep(0.5)
	t.p.send_signal(signal.SIGTERM)
	t.end(128 + signal.SIGTERM)
	t = Terminal(d, "top", "-n", "1")
	t.until(FIRST)
	t.end(0)
	plain = run(d, "top", "-n", "2", "-d", "0.1", "-o", "id").decode()
	equal(len(plain.split("\n\n")), 2, "tables: %r" % plain)
	rows = plain.split("\n\n")[1].split("\n")
	equal([r.split()[0] for r in rows[1:4]], ["VM", "aaa\\^[[2Jb"[:3] +
	    rows[2].split()[0][3:], "bystander"], "rows")
	for args in (("-d", "0"), ("-d", "x"), ("-n", "0"), ("-o", "x"),
	    ("x",)):
		equal(subprocess.run([binary("cc-proxyctl"), "-s", d.path,
		    "top"] + list(args), stderr=subprocess.DEVNULL,
		    stdout=subprocess.DEVNULL).returncode, 1, "%r" % (args,))


@test("stats", "who is too slow: a control client, requests of HTTP",
    private=False)
def unread():
	for t in slow:
		equal(t.get()[0], "408", "response to a slow request")
	if SANITIZED:
		return
	if not stuck:
		raise Skip("the first test did not run")
	k = stuck.pop()
	try:
		k.d.wait_log("control client does not read its answer: closed")
		equal(len(status(k.d)["vms"]), 24, "VMs")
		k.s.settimeout(CEILING)
		closed(k.s)
	finally:
		k.s.close()
		wrong = k.d.dispose()
	check(not wrong, wrong)


main()

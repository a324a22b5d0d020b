#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A frontend that was taken over lies to the parent.  The parent answers
with a refusal, or kills it and ends; it never connects to a socket that the
client whose connection it is shown may not have."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import note
from tenants import *

ALICE, BOB = 3001, 3002
VM_OPEN, VM_OPENED, VM_FAILED, VM_KILL = 0x201, 0x202, 0x203, 0x210
BEGIN, ACK, SWITCH, ASK, DONE = 0x108, 0x10a, 0x10b, 0x10d, 0x10f
STATS_ASK = 0x230
CTL, IO, ENGINE, POLICY, LIMIT = range(5)
EACCES, ENOENT, ECONNREFUSED = 13, 2, 111

CONF = """
vm directory "{dir}/vms" owner root
deny register from any
allow register from user 3001
limit vms 20
"""


def vm_open(vmid, ident, ctl, io, console="", proto=0):
	p = struct.pack(">IB", vmid, proto)
	for s in (ident, ctl, io, console):
		p += struct.pack(">H", len(s)) + s.encode()
	return p


class Puppet:
	"""A daemon whose frontend does what it is told here."""

	def __init__(self, text=CONF):
		need_root()
		d = self.d = ConfDaemon(text, start=False)
		self.libexec = vm = os.path.join(d.dir, "libexec")
		os.mkdir(vm, 0o755)
		shutil.copy(os.path.join(BUILD, "regress", "sandbox",
		    "hostile_frontend"), os.path.join(vm, "ccp-frontend"))
		shutil.copy(binary("ccp-vmengine"), vm)
		d.argv[d.argv.index(BUILD)] = vm
		self.vms = os.path.join(d.dir, "vms")
		self.out = os.path.join(d.dir, "out")
		os.mkdir(self.vms, 0o755)
		os.mkdir(self.out, 0o755)
		self.good = Agent(self.vms, "good")
		self.bad = Agent(self.out, "bad")
		d.agents += [self.good, self.bad]
		l = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		l.bind(os.path.join(vm, "puppet"))
		os.chmod(os.path.join(vm, "puppet"), 0o666)
		l.listen(1)
		l.settimeout(CEILING)
		d.start(ready=False)
		try:
			self.sock = l.accept()[0]
		except OSError:
			raise Fail("no hostile frontend: %s" % d.log_text())
		finally:
			l.close()
		self.sock.settimeout(CEILING)
		self.buf = b""
		self.dead = False
		self.vmid = 0
		self.wait_msg("SETUP_START")

	def __enter__(self):
		return self

	def __exit__(self, kind, value, tb):
		if kind is not None and not issubclass(kind, Skip):
			ccp.show_log(self.d)
		if kind is None:
			equal(self.bad.accepted["ctl"] +
			    self.bad.accepted["io"], 0,
			    "connections to what is forbidden")
		self.sock.close()
		wrong = self.d.dispose()
		if kind is None:
			check(not wrong, wrong)

	def line(self):
		"""The next line it says, None when it is dead."""
		while b"\n" not in self.buf:
			try:
				part = self.sock.recv(65536)
			except ConnectionResetError:
				part = b""
			except socket.timeout:
				raise Fail("the frontend says nothing")
			if not part:
				self.dead = True
				return None
			self.buf += part
		text, self.buf = self.buf.split(b"\n", 1)
		return text.decode()

	def wait_msg(self, *names):
		"""(name, payload) of the next such message, None at death."""
		while True:
			s = self.line()
			if s is None:
				return None
			w = s.split(" ")
			if w[0] == "msg" and w[1] in names:
				return w[1], bytes.fromhex(w[2]) \
				    if w[2] != "-" else b""

	def do(self, *words):
		"""A command; its answer, None at death."""
		try:
			self.sock.sendall((" ".join(str(w) for w in words) +
			    "\n").encode())
		except (BrokenPipeError, ConnectionResetError):
			self.dead = True
			return None
		while True:
			s = self.line()
			if s is None or not s.startswith("msg "):
				return s

	def send(self, kind, payload=b"", fd="none", times=1):
		return self.do("send", kind, payload.hex() or "-", fd, times)

	def client(self, uid=ALICE, kind=0):
		"""A client's connection, which the frontend accepts."""
		path = (self.d.path, self.d.path1, self.d.path + ".ctl")[kind]
		c = connect_as(path, uid, uid)
		self.d.clients.append(c)
		equal(self.do("accept", kind), "ok", "accept")
		return c

	def open(self, ident="x", ctl=None, io=None, fd="conn0", proto=0,
	    vmid=None, console=""):
		"""What a VM_OPEN gets: (step, errno), "opened" or "killed"."""
		if vmid is None:
			self.vmid += 1
			vmid = self.vmid
		r = self.send(VM_OPEN, vm_open(vmid, ident,
		    ctl or self.good.ctl_path, io or self.good.io_path,
		    console, proto), fd)
		check(r is None or r == "ok", "send: %s" % r)
		m = self.wait_msg("VM_OPENED", "VM_FAILED")
		if m is None:
			return "killed"
		equal(struct.unpack(">I", m[1][:4])[0], vmid, "vmid")
		if m[0] == "VM_OPENED":
			return "opened"
		return m[1][4], struct.unpack(">I", m[1][5:])[0]

	def killed(self, why):
		"""The parent says so, and ends."""
		self.d.wait_line(r"frontend pid \d+ broke the protocol: %s: "
		    "killed" % why)
		equal(self.d.wait_exit(), 1, "exit status")


@test("hostile", "the truth opens a VM", private=False)
def truth():
	with Puppet() as p:
		p.client()
		equal(p.open(), "opened", "the right connection and paths")
		p.good.wait_accept("io")
		p.client(kind=1)
		equal(p.open("y", fd="conn1", proto=1), "opened", "of 1.x")
		p.send(STATS_ASK)
		numbers = p.wait_msg("DAEMON_STATS")[1]
		equal((len(numbers), struct.unpack(">Q", numbers[1:9])[0]),
		    (89, 2), "numbers of the parent: engines that run")


@test("hostile", "paths outside, links, .., other owners", private=False)
def paths():
	with Puppet() as p:
		p.client()
		v, bad = p.vms, p.bad.ctl_path
		link = os.path.join(v, "link")
		os.symlink(bad, link)
		os.symlink("../out", os.path.join(v, "dir"))
		os.symlink("/", os.path.join(v, "root"))
		os.symlink("/proc/self/fd", os.path.join(v, "fds"))
		theirs = Agent(v, "theirs")
		p.d.agents.append(theirs)
		os.chown(theirs.ctl_path, BOB, BOB)
		os.link(p.good.ctl_path, os.path.join(v, "second"))
		tried = [bad, link, os.path.join(v, "dir", "bad.ctl"),
		    os.path.join(v, "root", bad[1:]),
		    os.path.join(v, "..", "out", "bad.ctl"),
		    v + "//../out/./bad.ctl", v, v + "/", v + "/.", "/",
		    v + "x/s", p.d.path, p.d.path1, p.d.path + ".ctl",
		    "/dev/log", "/proc/self/fd/3",
		    os.path.join(v, "fds", "3"), theirs.ctl_path,
		    p.good.ctl_path, os.path.join(p.libexec, "puppet")]
		for path in tried:
			equal(p.open(ctl=path), (CTL, EACCES), path)
		os.unlink(os.path.join(v, "second"))
		for path in tried:
			if path != p.good.ctl_path:
				equal(p.open(io=path), (IO, EACCES), path)
		for path, want in (("", 22), ("x", 22), (bad[1:], 22),
		    ("\1abstract", 22), (v + "/none", ENOENT)):
			equal(p.open(ctl=path) if path else p.open(ctl=path or
			    "-"), (CTL, want), repr(path))
		equal(theirs.accepted["ctl"], 0, "another owner's socket")
		equal(p.open(), "opened", "the truth after that")
		note("%d paths, each as ctl and io: EACCES" % len(tried))


@test("hostile", "connections of clients that may not register",
    private=False)
def clients():
	with Puppet() as p:
		for uid in (0, BOB):
			p.client(uid)
			equal(p.open(), (POLICY, EACCES), "uid %d" % uid)
			p.client(uid, 1)
			equal(p.open(fd="conn1", proto=1), (POLICY, EACCES),
			    "uid %d" % uid)
		p.d.wait_log("permission denied: register x, uid %d" % BOB)
		equal(sum(p.good.accepted.values()), 0, "connections")
		# The one who may, even if gone meanwhile.
		p.client().close()
		equal(p.open(), "opened", "the truth after that")


LIES = (("none", "VM_OPEN without its descriptor"),
    ("channel", "malformed VM_OPEN"), ("log", "malformed VM_OPEN"),
    ("listen0", "malformed VM_OPEN"), ("listen2", "malformed VM_OPEN"),
    ("conn2", "malformed VM_OPEN"), ("conn1", "malformed VM_OPEN"),
    ("pair", "malformed VM_OPEN"), ("stream", "malformed VM_OPEN"),
    ("dgram", "malformed VM_OPEN"), ("inet", "malformed VM_OPEN"),
    ("pipe", "malformed VM_OPEN"), ("null", "malformed VM_OPEN"),
    ("file", "malformed VM_OPEN"), ("engine", "malformed VM_OPEN"))


@test("hostile", "descriptors that are no client's connection",
    private=False)
def descriptors():
	"""Several of them have the parent's own credentials, root's."""
	for fd, why in LIES:
		with Puppet("allow register from user 0\n") as p:
			p.client(0, 2)
			p.client(0, 1)
			if fd == "engine":
				p.client(0)
				equal(p.open(), "opened", "the truth")
			before = sum(p.good.accepted.values())
			equal(p.open("y", fd=fd, vmid=99), "killed", fd)
			p.killed(why)
			if fd != "engine":
				equal(before + sum(p.good.accepted.values()),
				    0, "connections")
	note("%d descriptors: killed each" % len(LIES))


@test("hostile", "a vmid that is in use", private=False)
def vmids():
	with Puppet() as p:
		p.client()
		equal(p.open(vmid=7), "opened", "the first")
		equal(p.open("y", vmid=7), "killed", "another with its id")
		p.killed("malformed VM_OPEN")
	with Puppet() as p:
		p.client()
		# One that failed is free again.
		equal(p.open(ctl=p.bad.ctl_path, vmid=7), (CTL, EACCES), "no")
		equal(p.open(vmid=7), "opened", "the same, later")


@test("hostile", "malformed and untimely messages", private=False)
def malformed():
	good = vm_open(1, "x", "/x", "/y")
	lies = [(VM_OPEN, good[:-1], "malformed VM_OPEN"),
	    (VM_OPEN, good + b"\0", "malformed VM_OPEN"),
	    (VM_OPEN, good[:12], "VM_OPEN of 12 bytes"),
	    (VM_OPEN, vm_open(1, "x\0y", "/x", "/y"), "malformed VM_OPEN"),
	    (VM_OPEN, vm_open(1, "x" * 513, "/x", "/y"),
	    "malformed VM_OPEN"),
	    (VM_OPEN, vm_open(1, "x", "/" * 108, "/y"), "malformed VM_OPEN"),
	    (VM_OPEN, vm_open(1, "x" * 900, "/", "/y"),
	    "VM_OPEN of 916 bytes"),
	    (VM_OPEN, vm_open(1, "x", "/x", "/y", proto=2),
	    "malformed VM_OPEN"),
	    (0x104, b"\0" * 4, "SETUP_READY in state .*"),
	    (VM_OPENED, b"\0" * 8, "unexpected message VM_OPENED .*"),
	    (VM_FAILED, b"\0" * 9, "unexpected message VM_FAILED .*"),
	    (0x106, b"\1\7\0" + b"\0" * 8,
	    "unexpected message SETUP_RULE .*"),
	    (0x107, b"\0" * 5, "unexpected message SETUP_POLICY .*"),
	    (VM_KILL, b"\0" * 3, "VM_KILL of 3 bytes"),
	    (ACK, b"\0\0\0\1\1", "SETUP_ACK in state .*"),
	    (ASK, b"\0" * 3, "SETUP_ASK of 3 bytes"),
	    (BEGIN, b"\0" * 4, "unexpected message SETUP_BEGIN .*"),
	    (SWITCH, b"\0" * 4, "unexpected message SETUP_SWITCH .*"),
	    (DONE, b"\0" * 5, "unexpected message SETUP_DONE .*"),
	    (STATS_ASK, b"\0", "DAEMON_STATS_ASK of 1 bytes"),
	    (STATS_ASK + 1, b"\0" * 89, "unexpected message DAEMON_STATS .*"),
	    (0xffff, b"", "unexpected message unknown .*")]
	for kind, payload, why in lies:
		with Puppet() as p:
			p.client()
			p.send(kind, payload, "conn0" if kind == VM_OPEN
			    else "none")
			p.killed(why)
			equal(sum(p.good.accepted.values()), 0,
			    "connections")
	with Puppet() as p:
		p.client()
		p.send(VM_KILL, b"\0\0\0\1", "conn0")
		p.killed("VM_KILL with a descriptor")
	note("%d messages: killed each" % (len(lies) + 1))


def begun(p):
	"""A reload that waits for the frontend; its generation."""
	p.d.proc.send_signal(signal.SIGHUP)
	name, gen = p.wait_msg("SETUP_COMMIT")
	return struct.unpack(">I", gen)[0]


def ack(p, gen, ok=1, times=1):
	return p.send(ACK, struct.pack(">IB", gen & 0xffffffff, ok),
	    times=times)


@test("hostile", "answers to a reload that are none", private=False)
def acks():
	for n, ok, times, why in ((1, 1, 1, "malformed"),
	    (-1, 1, 1, "malformed"), (0, 2, 1, "malformed"),
	    (0, 1, 2, None), (0, 0, 2, None)):
		with Puppet() as p:
			ack(p, begun(p) + n, ok, times)
			p.killed("%s SETUP_ACK" % why if why else
			    "SETUP_ACK in state .*")


@test("hostile", "no memory for a reload: it failed, no more",
    private=False)
def nak():
	with Puppet() as p:
		gen = begun(p)
		ack(p, gen, 0)
		equal(p.wait_msg("SETUP_SWITCH", "SETUP_ABORT"),
		    ("SETUP_ABORT", struct.pack(">I", gen)), "it is told")
		p.d.wait_log("^reload failed: the frontend has no memory")
		gen = begun(p)
		ack(p, gen)
		equal(p.wait_msg("SETUP_SWITCH", "SETUP_ABORT"),
		    ("SETUP_SWITCH", struct.pack(">I", gen)), "the next")
		p.client()
		equal(p.open(), "opened", "a VM")


@test("hostile", "no answer to a reload, and one that is late",
    private=False)
def late_ack():
	with Puppet(CONF + "timeout reload 200ms\n") as p:
		gen = begun(p)
		equal(p.wait_msg("SETUP_SWITCH", "SETUP_ABORT")[0],
		    "SETUP_ABORT", "it is told")
		p.d.wait_log("^reload failed: the frontend did not answer in "
		    "200 ms: the old configuration stays")
		p.d.proc.send_signal(signal.SIGHUP)
		p.d.wait_log("^reload failed: the frontend has not answered "
		    "the last one")
		p.client()
		equal(p.open(), "opened", "a VM")
		ack(p, gen)
		equal(p.open("y"), "opened", "another")
		equal(begun(p), gen + 1, "the next generation")
		ack(p, gen)
		p.killed("malformed SETUP_ACK")


@test("hostile", "asking for reloads: one at a time, one a second",
    private=False)
def asks():
	with Puppet() as p:
		p.send(ASK, b"\0\0\0\1", times=2)
		p.killed("malformed SETUP_ASK")
	with Puppet() as p:
		start = time.monotonic()
		for n in (b"aaaa", b"bbbb"):
			p.send(ASK, n)
			gen = p.wait_msg("SETUP_COMMIT")[1]
			ack(p, struct.unpack(">I", gen)[0])
			equal(p.wait_msg("SETUP_DONE"), ("SETUP_DONE",
			    n + b"\0"), "the answer")
		check(time.monotonic() - start >= 0.9, "two in a second")
		# A reload that nobody here asked for is none of its own.
		gen = begun(p)
		p.send(ASK, b"cccc")
		told = b"a reload is under way"
		equal(p.wait_msg("SETUP_TELL"), ("SETUP_TELL", b"cccc" +
		    struct.pack(">H", len(told)) + told), "told")
		equal(p.wait_msg("SETUP_DONE"), ("SETUP_DONE", b"cccc\1"),
		    "refused")
		ack(p, gen)
		equal(p.wait_msg("SETUP_SWITCH")[0], "SETUP_SWITCH", "it")


@test("hostile", "floods", private=False)
def floods():
	def peak(pid):
		with open("/proc/%d/status" % pid) as f:
			return int(re.search(r"VmHWM:\s+(\d+)",
			    f.read()).group(1))

	for what, path, uid in (("refused", None, BOB),
	    ("outside", "bad", ALICE), ("real", "good", ALICE)):
		with Puppet() as p:
			p.client(uid)
			agent = p.bad if path == "bad" else p.good
			r = p.do("flood", VM_OPEN, vm_open(0, "x",
			    agent.ctl_path, agent.io_path).hex(), "conn0")
			kb, fds = peak(p.d.pid), len(os.listdir(
			    "/proc/%d/fd" % p.d.pid))
			note("%s: %s; parent at most %d KiB, %d descriptors, "
			    "%d log lines, %d engines" % (what, r, kb, fds,
			    len(p.d.log_lines()), len(p.d.engines())))
			check(p.d.running(), "the parent ended")
			check(ccp.sanitized() or kb < 32 * 1024,
			    "%d KiB" % kb)
			check(fds < 1000, "%d descriptors" % fds)
			check(len(p.d.engines()) <= 20, "engines")
			check(len(p.d.log_lines()) < 20000, "log lines")
	with Puppet() as p:
		note("questions: %s" % p.do("flood", STATS_ASK, "-", "none"))
		kb = peak(p.d.pid)
		check(p.d.running(), "the parent ended")
		check(ccp.sanitized() or kb < 32 * 1024, "%d KiB" % kb)


ccp.main()

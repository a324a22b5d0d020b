#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Limits: what one client, tenant or virtual machine can use up, and what it
cannot take from the others, with the real daemon."""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
import integ
from tenants import *
from integ import child, engine_of, fd_count, fd_types, note, SANITIZED, \
    scaled, status

ME = os.geteuid(), os.getegid()
FIRST = 700000


# A user for each engine.

def ids_of(pid):
	"""Its one uid and gid."""
	s = status(pid)
	ids = [set(s[k].split()) for k in ("Uid", "Gid")]
	equal([len(i) for i in ids], [1, 1], "ids of %d" % pid)
	return tuple(int(i.pop()) for i in ids)


def reached_as(uid, pid):
	"""The errors when a process of that user signals and traces pid."""
	ptrace = ctypes.CDLL(None, use_errno=True).ptrace
	r, w = os.pipe()
	if os.fork() == 0:
		os.setgroups([])
		os.setresgid(uid, uid, uid)
		os.setresuid(uid, uid, uid)
		try:
			os.kill(pid, 0)
			err = 0
		except OSError as e:
			err = e.errno
		ptrace(16, pid, None, None)	# PTRACE_ATTACH
		os.write(w, b"%d %d" % (err, ctypes.get_errno()))
		os._exit(0)
	os.wait()
	os.close(w)
	with os.fdopen(r) as f:
		return tuple(int(n) for n in f.read().split())


@test("limits", "engine uid: no two engines share one", private=False)
def engine_uids():
	need_root()
	with serving("limit vms 3\nengine uid %d - %d\n" % (FIRST,
	    FIRST + 2)) as d:
		for i in range(3):
			equal(Tenant(d, *ME).try_register("vm%d" % i,
			    d.agent("vm%d" % i)), None, "register")
		ids = {p: ids_of(p) for p in d.engines()}
		for p in ids:
			equal(status(p)["Groups"], "", "its other groups")
		equal(sorted(ids.values()), [(FIRST + i, FIRST + i)
		    for i in range(3)], "uids and gids")
		one, other = list(ids)[:2]
		eperm = 1
		equal(reached_as(ids[one][0], other), (eperm, eperm),
		    "what one can do to another")
		if not SANITIZED:
			# It is the uid that decides, and for a trace more.
			equal(reached_as(ids[one][0], one), (0, eperm),
			    "what its own user can do")
		# None is left, and none is used twice.
		equal(Tenant(d, *ME).try_register("more", d.agent("more")),
		    "too many VMs", "one more")
		os.kill(one, 9)
		wait_for(lambda: len(d.engines()) == 2, "its end")
		equal(Tenant(d, *ME).try_register("next", d.agent("next")),
		    None, "the next one")
		equal(sorted(ids_of(p)[0] for p in d.engines()),
		    [FIRST + i for i in range(3)], "uids")


@test("limits", "engine uid: used again, and by no two at a time",
    private=False)
def engine_uids_again():
	need_root()
	with serving("limit vms 4\nengine uid %d - %d\n" % (FIRST,
	    FIRST + 5), level="warn") as d:
		equal(Tenant(d, *ME).try_register("stays", d.agent("stays")),
		    None, "register")
		stays = ids_of(d.engines()[0])
		seen = collections.Counter()
		for i in range(scaled(300, 30)):
			c, a = Tenant(d, *ME), d.agent("a%d" % i)

			def registered():
				# Until an engine before it was reaped.
				got = c.try_register("vm", a)
				check(got in (None, "too many VMs"), got)
				return got is None

			wait_for(registered, "its turn")
			for p in d.engines():
				try:
					seen[ids_of(p)[0]] += 1
				except (OSError, KeyError):
					pass
			equal(c.try_unregister("vm"), None, "unregister")
			c.close()
			a.hang_up("ctl")
			a.close()
			d.agents.remove(a)
		equal(set(seen), set(range(FIRST, FIRST + 6)), "uids")
		wait_for(lambda: len(d.engines()) == 1, "end of the others")
		equal(ids_of(d.engines()[0]), stays, "who stayed")


@test("limits", "engine uid: without it, and without root", private=False)
def engine_uids_none():
	need_root()
	import pwd
	with serving("") as d:
		equal(Tenant(d, *ME).try_register("vm", d.agent("vm")), None,
		    "register")
		u = pwd.getpwnam("_ccengine")
		equal(ids_of(d.engines()[0]), (u.pw_uid, u.pw_gid), "its ids")


@test("limits", "engine uid: somebody else's is warned of", private=False)
def engine_uids_shared():
	need_root()
	import pwd
	who = pwd.getpwnam("nobody")
	with serving("limit vms 1\nengine uid %d - %d\n" % (who.pw_uid,
	    who.pw_uid)) as d:
		d.wait_log("engines may run as user nobody, uid %d" %
		    who.pw_uid)
		done = subprocess.run([binary("cc-proxy"), "-n", "-f",
		    d.conf], capture_output=True, text=True)
		equal((done.returncode, done.stderr),
		    (0, "cc-proxy: warning: engines may run as user nobody, "
		    "uid %d\nconfiguration OK\n" % who.pw_uid), "with -n")


# Shares of users.

ALICE, BOB = 3001, 3002


def tries(d, uid, name, n=None):
	"""A registration of a new VM by either protocol's client."""
	kind = TENANTS[len(d.agents) % 2] if n is None else Tenant
	return kind(d, uid).try_register(name, d.agent(name))


@test("limits", "limit vms per uid", private=False)
def vms_uid():
	need_root()
	with serving("limit vms per uid 3\n") as d:
		first = [Tenant(d, ALICE) for i in range(3)]
		for i, c in enumerate(first):
			equal(c.try_register("a%d" % i, d.agent("a%d" % i)),
			    None, "register")
		for kind in TENANTS:
			equal(kind(d, ALICE).try_register("more",
			    d.agent("more" + kind.__name__)),
			    "too many VMs of this user", "one more")
		d.wait_log(r"too many VMs of this user \(max 3\): register "
		    "more, uid 3001")
		for i in range(3):
			equal(tries(d, BOB, "b%d" % i), None, "another user")
		for i in range(4):
			equal(tries(d, 0, "r%d" % i), None, "root")
		equal(first[0].try_unregister("a0"), None, "unregister")
		first[0].close()
		before = len(d.engines())
		d.agents[0].hang_up("ctl")
		wait_for(lambda: len(d.engines()) < before, "its end")
		equal(tries(d, ALICE, "again"), None, "a place that is free")


@test("limits", "limit vms per uid: lost ones that nobody unregisters",
    private=False)
def vms_uid_dead():
	need_root()
	with serving("limit vms per uid 2\nlimit vms 5\n") as d:
		for i in range(2):
			before = set(d.engines())
			equal(tries(d, ALICE, "a%d" % i), None, "register")
			pid = (set(d.engines()) - before).pop()
			os.kill(pid, 9)
			wait_for(lambda: pid not in d.engines(), "its end")
		c = Tenant(d, ALICE)
		wait_for(lambda: c.try_register("more", d.agent("more"))
		    == "too many VMs of this user", "its refusal")
		equal(tries(d, BOB, "b"), None, "another user")
		equal(c.try_unregister("a0"), None, "unregister")
		equal(tries(d, ALICE, "last"), None, "a place that is free")


@test("limits", "limit root: root's share", private=False)
def root_share():
	need_root()
	with serving("limit vms per uid 1\nlimit clients per uid 3\n"
	    "limit root\n", level="warn") as d:
		equal(tries(d, 0, "one"), None, "register")
		equal(tries(d, 0, "two"), "too many VMs of this user",
		    "one more")
		equal(tries(d, ALICE, "three"), None, "another user")
		idle = [Tenant(d, 0) for i in range(4)]
		d.wait_log("too many connections of uid 0")
		# Those that were dropped are the ones that came last.
		idle[3].expect_closed()
		equal(Tenant(d, BOB).try_attach("one"), None, "another user")


@test("limits", "limit served clients, of all and per uid", private=False)
def served():
	need_root()
	with serving("limit served clients per uid 3\n"
	    "limit served clients 5\n") as d:
		equal(tries(d, 0, "vm"), None, "register")
		mine = [TENANTS[i % 2](d, ALICE) for i in range(3)]
		for c in mine:
			equal(c.try_attach("vm"), None, "attach")
		for kind in TENANTS:
			c = kind(d, ALICE)
			equal(c.try_attach("vm"),
			    "too many clients of this user", "one more")
			# It may not register one either, nor has to go.
			equal(c.try_register("x", d.agent("x" +
			    kind.__name__)), "too many clients of this user",
			    "a registration")
		d.wait_log("too many clients of uid %d" % ALICE)
		equal(Tenant1(d, BOB).try_attach("vm"), None, "another user")
		for kind in TENANTS:
			equal(kind(d, 0).try_attach("vm"),
			    "too many clients", "one more of all")
		mine[0].close()
		c = Tenant(d, ALICE)
		wait_for(lambda: c.try_attach("vm") is None,
		    "a place that is free")


@test("limits", "limit tokens, of all and per uid", private=False)
def tokens():
	need_root()
	more = "no more I/O tokens"
	with serving("limit tokens per uid 5\nlimit tokens 8\n") as d:
		for i in range(2):
			equal(tries(d, ALICE, "a%d" % i, 0), None, "register")
		equal(tries(d, BOB, "b", 0), None, "register")
		c = Tenant(d, ALICE)
		equal(c.try_attach("a0", 3), None, "attach")
		equal(c.try_attach("a0", 3), more, "asked by the engine")
		# Whoever asks, it is the VM's user that counts.
		equal(Tenant(d, BOB).try_attach("a1", 3), more, "another VM")
		equal(Tenant(d, BOB).try_attach("a1", 2), None, "the rest")
		equal(Tenant(d, ALICE).try_attach("a1", 1), more, "one more")
		r = Tenant(d, ALICE)
		f = r.register("x", d.agents[0].ctl_path,
		    d.agents[0].io_path, n=1)
		equal(error_text(f), more, "a registration")
		equal(Tenant(d, BOB).try_attach("b", 4), more, "of all")
		equal(Tenant(d, BOB).try_attach("b", 3), None, "as many")
		c.close()


@test("limits", "large requests of protocol 1.x: a user's share",
    private=False)
def rpc_share():
	need_root()
	body = 1024 * 1024
	with serving("", level="warn") as d:
		equal(tries(d, 0, "vm"), None, "register")
		held = []
		for i in range(33):
			c = Tenant1(d, ALICE)
			c.sock.sendall(struct.pack(">II", body, 0) + b"{")
			held.append(c)
		held[32].expect_closed()
		d.wait_log("no room for the request")
		c = Tenant1(d, BOB)
		text = request("attach", {"containerId": "vm"})
		c.sock.sendall(message(text + b" " * (body - len(text))))
		equal(c.reply().error, None, "another user's")
		equal(Tenant1(d, ALICE).try_attach("vm"), None, "a small one")


def connect_many(path, uid, n):
	"""Connections of a user, as sockets."""
	ours, theirs = socket.socketpair()
	if os.fork() == 0:
		os.setresgid(uid, uid, uid)
		os.setresuid(uid, uid, uid)
		for i in range(n):
			s = socket.socket(socket.AF_UNIX)
			s.connect(path)
			socket.send_fds(theirs, [b"x"], [s.fileno()])
			s.close()
		os._exit(0)
	theirs.close()
	out = [socket.socket(fileno=socket.recv_fds(ours, 1, 1)[1][0])
	    for i in range(n)]
	os.wait()
	ours.close()
	return out


@test("limits", "engine starts: users take turns", private=False)
def turns():
	need_root()
	with serving("", level="warn") as d:
		# As many as take some seconds, all asked for at once.
		flood = connect_many(d.path, ALICE, 800)
		for i, s in enumerate(flood):
			s.sendall(frame(COMMAND, REGISTER, compact(
			    register_request("f%d" % i, "/nonexistent/ctl",
			    "/nonexistent/io"))))
		equal(tries(d, BOB, "b"), None, "another user's")
		late = sum(1 for s in flood if pending(s) == 0)
		check(late > 0, "it was answered when all others were")
		note("%d of %d still waited" % (late, len(flood)))
		for s in flood:
			s.close()


@test("limits", "engine starts: VMs that cannot be reached yet hold up "
    "nobody", private=False)
def unreachable():
	need_root()
	with serving("timeout ready 60s\n", level="warn") as d:
		# Listening, with a backlog that is full.
		path = os.path.join(d.dir, "full")
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.bind(path)
		s.listen(0)
		fill = []
		while True:
			x = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
			x.setblocking(False)
			fill.append(x)
			try:
				x.connect(path)
			except BlockingIOError:
				break
		stuck = []
		for i in range(40):
			c = Tenant(d, ALICE)
			c.cmd(REGISTER, register_request("s%d" % i, path,
			    path))
			stuck.append(c)
		for uid in (BOB, ALICE):
			equal(tries(d, uid, "vm%d" % uid), None,
			    "while they wait")
		equal([c for c in stuck if pending(c.sock)], [],
		    "answers to those")
		# One that gets its chance takes it.
		s.close()
		for c in stuck:
			check("refused" in error_text(c.response(REGISTER)),
			    "why not")


# Descriptors run out.

def prlimit(pid, what, soft):
	"""Change a process's limit, as its user; the old one."""
	uid, gid = ids_of(pid)
	r, w = os.pipe()
	if os.fork() == 0:
		os.setresgid(gid, gid, gid)
		os.setresuid(uid, uid, uid)
		old, hard = resource.prlimit(pid, what)
		resource.prlimit(pid, what, (soft, hard))
		os.write(w, b"%d" % old)
		os._exit(0)
	os.wait()
	os.close(w)
	with os.fdopen(r) as f:
		return int(f.read())


class Squeezed:
	"""A process that can have spare descriptors more, for a while."""

	def __init__(self, pid, spare=0):
		self.pid, have = pid, set(fd_types(pid))
		n = free = 0
		while n in have or free < spare:
			free += n not in have
			n += 1
		self.old = prlimit(pid, resource.RLIMIT_NOFILE, n)

	def release(self):
		prlimit(self.pid, resource.RLIMIT_NOFILE, self.old)


def cpu(pid):
	"""Seconds of processor time."""
	with open("/proc/%d/stat" % pid) as f:
		v = f.read().rsplit(")", 1)[1].split()
	return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")


class Witness:
	"""A shim and a client that engines have, whose work goes on."""

	def __init__(self, vm):
		self.vm, self.shim = vm, vm.shim()
		self.client, _ = vm.attach()
		self.count = 0

	def check(self, n=1):
		for i in range(n):
			self.count += 1
			word = b"witness %d" % self.count
			self.vm.agent.tty(self.shim.base, word)
			equal(self.shim.stdout(len(word)), word, "output")
			self.client.hyper("ping", {"w": self.count})


NO_ROOM = "no room for a descriptor: waiting"
REFUSED_ACCEPT = "couldn't accept connection: too many open files"


@test("limits", "no descriptors are left: who needs one waits",
    private=False)
def exhausted():
	need_root()
	with serving("") as d:
		vm, pid = engine_of(d, lambda: VM(d))
		others = [Witness(vm), Witness(VM(d))]
		front = child(d, "frontend")
		squeezed = {p: Squeezed(p) for p in (pid, d.pid)}
		a = Tenant(d, *ME)
		a.cmd(ATTACH, {"containerId": vm.id})
		b = Tenant(d, *ME)
		g = d.agent("new")
		b.cmd(REGISTER, register_request("new", g.ctl_path,
		    g.io_path))
		wait_for(lambda: len([e for e in d.entries() if NO_ROOM in e["msg"]]) == 2,
		    "two who say that they wait")
		equal(Tenant(d, *ME).try_attach(others[1].vm.id), None,
		    "another VM's client")
		squeezed[front] = Squeezed(front)
		c = Tenant(d, *ME)
		c.cmd(ATTACH, {"containerId": others[1].vm.id})
		d.wait_log(REFUSED_ACCEPT)
		before = {p: cpu(p) for p in squeezed}
		began = time.monotonic()
		while time.monotonic() - began < 2.2:
			for w in others:
				w.check()
			time.sleep(0.1)
		for p in (d.pid, front):
			check(cpu(p) - before[p] < 0.5, "%d took %.2f s" %
			    (p, cpu(p) - before[p]))
		equal([c for c in (a, b, c) if pending(c.sock)], [],
		    "those who were served")
		# The frontend gets the new engine's channel when it can.
		squeezed[d.pid].release()
		wait_for(lambda: len([e for e in d.entries()
		    if NO_ROOM in e["msg"]]) == 3, "the frontend")
		for w in others:
			w.check()
		for p in (pid, front):
			squeezed[p].release()
		equal([x.response(op).err for x, op in ((a, ATTACH),
		    (b, REGISTER), (c, ATTACH))], [0, 0, 0], "in the end")
		equal(len([e for e in d.entries()
		    if REFUSED_ACCEPT in e["msg"]]), 1, "lines of the log")
		# What was recovered from is told of anew.
		s = Squeezed(pid)
		a = Tenant(d, *ME)
		a.cmd(ATTACH, {"containerId": vm.id})
		wait_for(lambda: len([e for e in d.entries()
		    if NO_ROOM in e["msg"]]) == 4, "once more")
		s.release()
		equal(a.response(ATTACH).err, 0, "its turn")


@test("limits", "few descriptors are left: an engine that cannot be started",
    private=False)
def few():
	need_root()
	with serving("", level="warn") as d:
		w = Witness(VM(d))
		s = Squeezed(d.pid, 6)
		for kind in TENANTS:
			name = kind.__name__
			equal(kind(d, *ME).try_register(name, d.agent(name)),
			    "could not start the VM's engine: too many open "
			    "files", "register")
		w.check()
		s.release()
		equal(tries(d, 0, "vm"), None, "with descriptors")
		equal(fd_count(d.pid) > 0, True, "descriptors")


@test("limits", "no descriptors are left for a 1.x client's I/O",
    private=False)
def no_pair():
	need_root()
	with serving("", level="warn") as d:
		vm, pid = engine_of(d, lambda: VM(d))
		w = Witness(vm)
		c = Tenant1(d, *ME)
		equal(c.try_attach(vm.id), None, "attach")
		s = Squeezed(pid, 1)
		equal(c.ask("allocateIO", {"nStreams": 1}).error,
		    "too many open files", "allocateIO")
		w.check()
		s.release()
		c.ok("allocateIO", {"nStreams": 1})


class Injected:
	"""System calls of a process fail.  What is made instead must be one
	that its filter allows."""

	def __init__(self, pid, calls, error, more=""):
		if shutil.which("strace") is None:
			raise Skip("no strace")
		self.proc = subprocess.Popen(["strace", "-p", str(pid), "-e",
		    "trace=" + calls, "-e", "inject=%s:error=%s%s" % (calls,
		    error, more)], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
		    text=True)
		line = self.proc.stderr.readline()
		if "attached" not in line:
			raise Skip("strace: " + line.strip())
		# What it writes is not to fill the pipe.
		integ.Task(self.proc.stderr.read)

	def release(self):
		self.proc.send_signal(signal.SIGINT)
		self.proc.wait()


START = "could not start the VM's engine: "
FAILING = (
	("socket", "EMFILE", "dial unix %s: connect: too many open files"),
	("socket", "ENFILE",
	    "dial unix %s: connect: too many open files in system"),
	("socketpair", "ENFILE", START + "too many open files in system"),
	("socketpair", "ENOMEM", START + "cannot allocate memory"),
	("pipe2", "EMFILE", START + "too many open files"),
	("clone,clone3,fork,vfork", "EAGAIN",
	    START + "resource temporarily unavailable"),
	("clone,clone3,fork,vfork", "ENOMEM",
	    START + "cannot allocate memory"),
	("pidfd_open", "EMFILE", START + "too many open files")
)


@test("limits", "each call of an engine's start fails", private=False)
def start_fails():
	need_root()
	with serving("", level="warn") as d:
		w = Witness(VM(d))
		fds = fd_count(d.pid)
		for i, (calls, error, want) in enumerate(FAILING):
			a = d.agent("f%d" % i)
			x = Injected(d.pid, calls, error)
			try:
				got = Tenant(d, *ME).try_register("f%d" % i,
				    a)
				w.check()
			finally:
				x.release()
			equal(got, want % a.ctl_path if "%s" in want else
			    want, "%s of %s" % (error, calls))
			wait_for(lambda: fd_count(d.pid) == fds,
			    "as many descriptors as before")
		equal(tries(d, 0, "vm"), None, "in the end")


@test("limits", "no files are left in the system: accepting goes on later",
    private=False)
def enfile():
	need_root()
	with serving("", level="warn") as d:
		w = Witness(VM(d))
		front = child(d, "frontend")
		x = Injected(front, "accept4", "ENFILE", ":syscall=getpid")
		try:
			c = Tenant(d, *ME)
			c.cmd(ATTACH, {"containerId": w.vm.id})
			d.wait_log("couldn't accept connection: too many open "
			    "files in system")
			before, began = cpu(front), time.monotonic()
			while time.monotonic() - began < 1.2:
				w.check()
				time.sleep(0.1)
			check(cpu(front) - before < 0.5, "it spins")
		finally:
			x.release()
		equal(c.response(ATTACH).err, 0, "in the end")
		equal(len(d.entries(level="error")), 1, "lines of the log")


# Memory runs out.

def starve(pid, spare):
	"""It may have spare bytes of data more; the old limit."""
	have = int(status(pid)["VmData"].split()[0]) * 1024
	return prlimit(pid, resource.RLIMIT_DATA, have + spare)


@test("limits", "no memory is left for an engine: that VM's loss",
    private=False)
def starved_engine():
	need_root()
	if SANITIZED:
		raise Skip("a sanitizer has memory of its own")
	with serving("", level="warn") as d:
		vm, pid = engine_of(d, lambda: VM(d, mode="manual"))
		w = Witness(VM(d))
		seen = d.log_mark()
		starve(pid, 4 * integ.MB)
		flood = [vm.attach()[0] for i in range(40)]
		for c in flood:
			c.sock.setblocking(False)
			try:
				c.sock.send(frame(COMMAND, HYPER,
				    b"{" + b" " * (integ.MB - 1000)))
			except OSError:
				pass
		for i in range(1000):
			for c in flood:
				try:
					c.sock.send(b" " * 65536)
				except OSError:
					pass
			if pid not in d.engines():
				break
			w.check()
		d.wait_log(r"engine of %s, pid %d, exited with status 1" %
		    (vm.id, pid), seen)
		d.wait_log("cannot allocate memory", seen)
		w.check(5)
		equal(Tenant(d, *ME).try_attach(vm.id), None, "its tombstone")
		equal(Tenant(d, *ME).try_unregister(vm.id), None, "its id")
		equal(tries(d, 0, vm.id), None, "a new one of that name")


@test("limits", "no memory is left for the frontend: what is new is refused",
    private=False)
def starved_frontend():
	need_root()
	if SANITIZED:
		raise Skip("a sanitizer has memory of its own")
	with serving("", level="warn") as d:
		vm = VM(d)
		w = Witness(vm)
		front = child(d, "frontend")
		early = Tenant(d, *ME)
		early1 = Tenant1(d, *ME)
		for c in (early, early1):
			c.try_unregister("none")
		old = starve(front, 26 * integ.MB)
		# Each a request of a megabyte without its end.
		held = []
		while not d.find_log("no memory for the request|cannot "
		    "allocate memory"):
			check(len(held) < 60, "more than there is")
			# All that was sent before has been looked at.
			early.ask(UNREGISTER, {"containerId": "none"})
			c = Tenant1(d, *ME)
			c.sock.sendall(message(b"{", length=integ.MB))
			held.append(c)
		note("%d held" % len(held))
		w.check(5)
		for c in (early, early1):
			equal(c.try_attach(vm.id), "out of memory", "refused")
		g = d.agent("g")
		equal(early.try_register("g", g), "out of memory", "refused")
		equal(sum(g.accepted.values()), 0, "connections")
		# An engine's question is answered as well.
		equal(w.client.ask(ATTACH, {"containerId": vm.id,
		    "numIOStreams": 1}).err, 1, "tokens")
		late = Tenant(d, *ME)
		late.cmd(ATTACH, {"containerId": vm.id})
		d.wait_log("couldn't accept connection: cannot allocate "
		    "memory")
		w.check(5)
		equal(child(d, "frontend"), front, "the frontend")
		prlimit(front, resource.RLIMIT_DATA, old)
		equal(late.response(ATTACH).err, 0, "in the end")
		equal(early.try_register("g", g), None, "in the end")
		equal(len([e for e in d.entries() if
		    "couldn't accept" in e["msg"]]), 1, "lines of the log")


@test("limits", "few descriptors: fewer VMs", private=False)
def few_vms():
	with serving("", level="warn", start=False) as d:
		d.argv = ["prlimit", "--nofile=60:60"] + d.argv
		d.start()
		if resource.prlimit(d.pid, resource.RLIMIT_NOFILE)[0] != 60:
			raise Skip("the daemon may have more")
		for i in range(10):
			equal(Tenant(d, *ME).try_register("vm%d" % i,
			    d.agent("vm%d" % i)), None, "register")
		equal(Tenant(d, *ME).try_register("more", d.agent("more")),
		    "too many VMs", "one more")
		d.wait_log(r"too many VMs \(max 10\)")


ccp.main()

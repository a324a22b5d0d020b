#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Exactly the descriptors that a process needs, and no other."""

import collections
import ctypes
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
import ccp1
from integ import *

HANDOVERS = 1000
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
SO_ACCEPTCONN = 30
O_CLOEXEC = 0o2000000
LOOP = ["eventpoll", "pipe", "pipe"]	# libevent's
INITIAL = dict(QUIET, ksm="initial")	# "initial": no KSM files


def kinds(pid):
	return sorted(fd_types(pid).values())


def want_parent(d, engines):
	"""/dev/null and its log from us; a channel, a log channel and the
	pidfd of each child; the empty root directory of the engines."""
	children = 1 + engines
	return sorted(["/dev/null", d.log_path, d.log_path] + LOOP +
	    ["socket", "socket", "pidfd"] * children +
	    (["/"] if os.geteuid() == 0 else []))


def stdio(d):
	"""A sanitizer's report needs somewhere to go."""
	return ["/dev/null"] * 2 + [d.log_path if SANITIZED else "/dev/null"]


def want_frontend(d, engines, clients=0):
	"""Channel, log, two listeners; one channel for each engine."""
	return sorted(stdio(d) + LOOP + ["socket"] * (4 + engines + clients))


def want_engine(d, clients=0):
	"""Channel, log, the VM's two sockets, channel to the frontend."""
	return sorted(stdio(d) + LOOP + ["socket"] * (5 + clients))


def compare(pid, want, who):
	try:
		wait_for(lambda: kinds(pid) == want, who)
	except Fail:
		raise Fail("%s: has %s, want %s" % (who, fd_types(pid), want))


def all_as(d, engines, frontend_clients=0, engine_clients={}):
	compare(d.pid, want_parent(d, engines), "parent")
	compare(child(d, "frontend"), want_frontend(d, engines,
	    frontend_clients), "frontend")
	equal(len(d.engines()), engines, "engines")
	for p in d.engines():
		compare(p, want_engine(d, engine_clients.get(p, 0)), "engine")


def start_number(d, pid):
	"""Descriptors 0 to 4 are what they are meant to be."""
	t = fd_types(pid)
	equal([t[n] for n in range(5)], stdio(d) + ["socket"] * 2, "0 to 4")


@test("fdlist", "each process after its start", daemon=INITIAL,
    bystander=False)
def after_start(d):
	fd_types(child(d, "frontend"))
	all_as(d, 0)
	start_number(d, child(d, "frontend"))
	vm = d.vm()
	pid = d.engines()[0]
	start_number(d, pid)
	all_as(d, 1, engine_clients={pid: 1})
	idle = d.client()
	all_as(d, 1, 1, {pid: 1})
	idle.attach(vm.id)
	all_as(d, 1, 0, {pid: 2})
	s = vm.shim()
	all_as(d, 1, 0, {pid: 3})
	s.disconnect_shim()
	idle.close()
	vm.client.close()
	all_as(d, 1)


@test("fdlist", "a console is one socket more", daemon=dict(INITIAL,
    level="debug"), bystander=False)
def console(d):
	vm = d.vm(console=True)
	compare(d.engines()[0], want_engine(d, 2), "engine with a console")
	compare(d.pid, want_parent(d, 1), "parent")
	vm.client.close()


@test("fdlist", "%d clients handed over, at once and one by one" % HANDOVERS,
    daemon=INITIAL, bystander=False)
def handovers(d):
	many_files()
	vms = {}
	for i in range(2):
		vm, pid = engine_of(d, d.vm)
		vms[pid] = vm
	both = list(vms.values())
	clients = []
	for i in range(HANDOVERS):
		clients.append(Client(d))
		clients[-1].cmd(ATTACH, {"containerId": both[i % 2].id})
	for c in clients:
		check(not c.response(ATTACH).err, "AttachVM")
	all_as(d, 2, 0, {p: 1 + HANDOVERS // 2 for p in vms})
	for c in clients:
		c.close()
	all_as(d, 2, 0, {p: 1 for p in vms})
	for i in range(HANDOVERS):
		c = Client(d)
		c.attach(both[i % 2].id)
		c.close()
	all_as(d, 2, 0, {p: 1 for p in vms})


@test("fdlist", "after VMs were lost and unregistered", daemon=INITIAL,
    bystander=False)
def vms(d):
	several = [d.vm() for i in range(5)]
	for i, vm in enumerate(several):
		vm.client.close()
		if i < 3:
			vm.agent.hang_up("io")
	c = d.client()
	for vm in several[:2]:
		c.ok(UNREGISTER, {"containerId": vm.id})
	c.close()
	wait_for(lambda: len(d.engines()) == 3, "end of two engines")
	compare(d.pid, want_parent(d, 3), "parent")
	compare(child(d, "frontend"), want_frontend(d, 3), "frontend")
	# Of the lost VM two sockets are closed.
	lost = sorted(stdio(d) + LOOP + ["socket"] * 3)
	wait_for(lambda: sorted(kinds(p) == lost for p in d.engines()) ==
	    [False, False, True], "sockets of the lost VM")


# What a socket is, not only that it is one.

def duplicate(pid, number):
	"""Another process's socket, for a look at it."""
	libc = ctypes.CDLL(None, use_errno=True)
	pidfd = libc.syscall(SYS_PIDFD_OPEN, pid, 0)
	fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
	error = ctypes.get_errno()
	os.close(pidfd)
	if fd == -1:
		raise OSError(error, "pidfd_getfd")
	return socket.socket(fileno=fd)


def peer_name(s):
	try:
		return s.getpeername() or ""
	except OSError:
		return None


def role(d, pid, number):
	"""What that socket is, as far as it can be told from outside."""
	with duplicate(pid, number) as s:
		if s.getsockopt(socket.SOL_SOCKET, SO_ACCEPTCONN):
			return "listener " + os.path.relpath(s.getsockname(),
			    d.dir)
		made, uid, gid = struct.unpack("iII", s.getsockopt(
		    socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
		if peer_name(s):
			return "to " + os.path.relpath(peer_name(s), d.dir)
		if s.getsockname():
			return "client of " + os.path.relpath(s.getsockname(),
			    d.dir)
		# One of a pair: who made it?
		kind = "log" if s.type == socket.SOCK_SEQPACKET else "pair"
		return "%s by %s" % (kind, "parent" if made == d.pid else
		    "engine" if made in d.engines() else made)


def roles(d, pid):
	out = collections.Counter()
	for n, t in fd_types(pid).items():
		try:
			if t == "socket":
				out[role(d, pid, n)] += 1
		except OSError:
			out["closed meanwhile"] += 1
	return out


def cloexec(pid):
	"""Those that a program would inherit."""
	out = []
	for n in fd_types(pid):
		with open("/proc/%d/fdinfo/%d" % (pid, n)) as f:
			flags = int(re.search(r"flags:\s+(\d+)",
			    f.read()).group(1), 8)
		if not flags & O_CLOEXEC:
			out.append(n)
	return sorted(out)


def roles_are(d, pid, want, who):
	want = collections.Counter(want)
	try:
		wait_for(lambda: roles(d, pid) == want, who)
	except Fail:
		raise Fail("%s: has %s, want %s" % (who, dict(roles(d, pid)),
		    dict(want)))


@test("fdlist", "every socket is the right one, before and after %d clients "
    "of each protocol" % HANDOVERS, private=False)
def identities():
	need_root()
	d = ccp1.Daemon(**INITIAL)
	try:
		identities_of(d)
	finally:
		wrong = d.dispose()
	check(not wrong, wrong)


def identities_of(d):
	vm, first = engine_of(d, d.vm)
	one, second = engine_of(d, d.vm1)
	shim = vm.shim()
	p = one.process()
	fe = child(d, "frontend")

	def all_right():
		roles_are(d, d.pid, {"pair by parent": 3, "log by parent": 3},
		    "parent")
		roles_are(d, fe, {"pair by parent": 3, "log by parent": 1,
		    "listener run/proxy.sock": 1,
		    "listener run/proxy.sock.ctl": 1,
		    "listener run1/proxy.sock": 1}, "frontend")
		roles_are(d, first, {"pair by parent": 2, "log by parent": 1,
		    "to a1.ctl": 1, "to a1.io": 1,
		    "client of run/proxy.sock": 2}, "engine")
		roles_are(d, second, {"pair by parent": 2,
		    "log by parent": 1, "to g2.ctl": 1, "to g2.io": 1,
		    "client of run1/proxy.sock": 2, "pair by engine": 1},
		    "engine of 1.x")
	all_right()
	equal(cloexec(d.pid), [0, 1, 2], "inheritable in the parent")
	for i in range(scaled(HANDOVERS)):
		c = Client(d)
		c.attach(vm.id)
		c.close()
		c = d.client1()
		c.attach(one.id)
		if i % 10 == 0:
			c.allocate_io(1).close()
		c.close()
	d.clients.clear()
	all_right()
	equal(cloexec(d.pid), [0, 1, 2], "inheritable in the parent")
	vm.agent.tty(shim.base, b"still")
	equal(shim.stdout(5), b"still", "output")
	one.agent.tty(p.base, b"still")
	p.io.expect(b"still")


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Clients and guests that mean harm cost themselves, and nobody else."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

ENGINE_MAX = 160 * 1024		# KiB that an engine may ever have taken
FRONTEND_MAX = 32 * 1024	# ditto, the frontend


def peak(pid):
	return int(status(pid)["VmHWM"].split()[0])


def bounded(pid, most, who):
	kb = peak(pid)
	note("%s: at most %d KiB" % (who, kb))
	if not SANITIZED:
		check(kb < most, "%s took %d KiB" % (who, kb))


class Witness:
	"""A well-behaved shim and client on the VM that is attacked."""

	def __init__(self, vm):
		self.vm, self.shim = vm, vm.shim()
		self.count = 0

	def check(self, commands=True):
		self.count += 1
		word = b"witness %d" % self.count
		self.vm.agent.tty(self.shim.base, word)
		equal(self.shim.stdout(len(word)), word, "witness's output")
		if commands:
			c, _ = self.vm.attach()
			c.hyper("ping", {"w": self.count})
			c.close()


def vanish(c):
	c.close()
	if c in c.daemon.clients:
		c.daemon.clients.remove(c)


def until_blocked(clients, data, most=64 * MB):
	"""Send until the proxy takes no more of anybody; most is what one
	may get rid of.  Returns how much that was."""
	sent = dict.fromkeys(clients, 0)
	for c in clients:
		c.sock.setblocking(False)
	idle = 0
	while idle < 10:
		before = sum(sent.values())
		for c in clients:
			try:
				while sent[c] < most:
					at = sent[c] % len(data)
					sent[c] += c.sock.send(data[at:])
			except OSError:
				pass
		idle = 0 if sum(sent.values()) > before else idle + 1
		time.sleep(0.005)
	for c in clients:
		c.sock.settimeout(CEILING)
	return max(sent.values())


# Clients.

@test("attack", "half frames, left alone or dropped, before an attach",
    daemon=QUIET)
def half_frames(d):
	whole = [frame(COMMAND, ATTACH, compact({"containerId": "bystander",
	    "numIOStreams": 1})), frame(COMMAND, HYPER, b"{}", words=255),
	    frame(STREAM, LOG, b'{"source":"a"}')]
	for f in whole:
		for n in range(1, len(f), 1 if len(f) < 100 else 13):
			for stay in (True, False):
				c = d.client()
				c.raw(f[:n])
				if not stay:
					vanish(c)
		d.bystander.check()


@test("attack", "half frames of attached clients and of shims",
    daemon=QUIET)
def half_frames_attached(d):
	vm = d.vm()
	w = Witness(vm)
	for f in (frame(COMMAND, HYPER, compact({"hyperName": "ping"})),
	    frame(COMMAND, SIGNAL, compact({"signalNumber": 15})),
	    frame(STREAM, STDIN, b"never")):
		for n in range(0, len(f), 3):
			for stay in (True, False):
				s = vm.shim()
				s.raw(f[:n])
				if not stay:
					vanish(s)
		w.check()
	check(all(len(data) == 0 or data != b"never" for seq, data in
	    vm.agent.tty_in), "half a frame was passed on")


@test("attack", "a flood of commands from clients that read no reply",
    daemon=QUIET)
def flood(d):
	vm, pid = engine_of(d, lambda: d.vm(mode="echo"))
	w = Witness(vm)
	burst = frame(COMMAND, HYPER, compact({"hyperName": "ping",
	    "data": {"x": "y" * 2000}})) * 50
	attackers = [vm.attach()[0] for i in range(10)]
	check(until_blocked(attackers, burst) < 64 * MB,
	    "a client was never stopped")
	w.check()
	d.bystander.check()
	# Errors are replies as well.
	more = [vm.attach()[0] for i in range(10)]
	until_blocked(more, frame(COMMAND, SIGNAL, b"{}") * 1000)
	w.check()
	for c in attackers + more:
		vanish(c)
	w.check()
	bounded(pid, ENGINE_MAX, "engine")


@test("attack", "a flood of commands before an attach", daemon=QUIET)
def flood_frontend(d):
	attackers = [d.client() for i in range(50)]
	kinds = [frame(COMMAND, HYPER, compact({"hyperName": "x" * 1000})),
	    frame(COMMAND, UNREGISTER, compact({"containerId": "y" * 4000})),
	    frame(COMMAND, CONNECT, compact({"token": "z" * 60000}))]
	for i, k in enumerate(kinds):
		until_blocked(attackers[i::3], k * 30)
	d.bystander.check()
	for c in attackers:
		vanish(c)
	d.bystander.check()
	bounded(child(d, "frontend"), FRONTEND_MAX, "frontend")


@test("attack", "clients that vanish at every point", daemon=QUIET)
def vanishing(d):
	vm = d.vm(mode="ack")
	w = Witness(vm)
	rng = random.Random(5)
	mute = d.agent("mute", ready=False)

	def one(n):
		c = d.client()
		steps = [lambda: c.raw(frame(COMMAND, ATTACH, compact(
		    {"containerId": vm.id, "numIOStreams": 2}))),
		    lambda: state.update(t=tokens_of(c.response(
		    ATTACH).payload)),
		    lambda: state.update(s=d.client()),
		    lambda: state["s"].raw(frame(COMMAND, CONNECT, compact(
		    {"token": state["t"][0]}))),
		    lambda: c.hyper_send("newcontainer", {"id": "v",
		    "process": {}}, [state["t"][n % 2]]),
		    lambda: state["s"].raw(frame(STREAM, STDIN, b"x" * 5000)),
		    lambda: c.hyper_send("ping"),
		    lambda: state["s"].raw(frame(COMMAND, SIGNAL, compact(
		    {"signalNumber": n % 31}))),
		    lambda: state["s"].raw(frame(COMMAND, DISCONNECT))]
		state = {}
		for step in steps[:rng.randrange(len(steps) + 1)]:
			step()
			if rng.random() < 0.1:
				d.bystander.check()
		for x in rng.sample([c] + ([state["s"]] if "s" in state
		    else []), 1 + ("s" in state)):
			vanish(x)
	for n in range(scaled(300)):
		one(n)
		if n % 20 == 0:
			w.check()
			r = d.client()
			r.cmd(REGISTER, register_request("r%d" % n,
			    mute.ctl_path, mute.io_path))
			vanish(r)
	w.check()


@test("attack", "2,000 idle connections", daemon=QUIET)
def idle(d):
	many_files()
	fe = child(d, "frontend")
	before = anonymous(fe)
	idle = [d.client() for i in range(2000)]
	wait_for(lambda: fd_count(fe) > 2000, "accepted connections")
	after = anonymous(fe)
	note("frontend: %.2f KiB for an idle connection" %
	    ((after - before) / 2000))
	if not SANITIZED:
		check(after - before < 2000, "%d KiB for 2000 connections" %
		    (after - before))
	d.bystander.check()
	d.vm().client.hyper("ping")
	idle[1000].attach("bystander")
	for c in idle:
		vanish(c)
	d.bystander.check()


@test("attack", "one user's idle connections leave room for others",
    daemon=QUIET)
def one_user(d):
	need_root()
	if SANITIZED:
		raise Skip("takes too long with a sanitizer")
	many_files()
	os.chmod(os.path.dirname(d.path), 0o755)
	os.chmod(d.path, 0o666)
	helper = subprocess.Popen([sys.executable, "-c", """
import os, socket, sys, time
path, n = sys.argv[1], int(sys.argv[2])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
held = []
for i in range(n):
	s = socket.socket(socket.AF_UNIX); s.connect(path); held.append(s)
for s in held[-50:]:
	s.settimeout(60); assert s.recv(1) == b"", "not refused"
print("done", flush=True)
sys.stdin.read()
""", d.path, "2200"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
	try:
		equal(helper.stdout.readline(), b"done\n", "helper")
		d.bystander.check()
		d.vm().client.hyper("ping")
	finally:
		helper.communicate()


@test("attack", "huge announced lengths", daemon=QUIET)
def lengths(d):
	vm, pid = engine_of(d, d.vm)
	w = Witness(vm)
	fe = child(d, "frontend")
	for n in (0xffffffff, 0x80000000, 0x7fffffff, 0x10000000, 2 * MB):
		for t, op in ((COMMAND, ATTACH), (COMMAND, HYPER),
		    (STREAM, LOG), (STREAM, STDIN)):
			c = d.client()
			c.send(t, op, b"x", length=n)
			c.expect_closed()
			c, _ = vm.attach()
			c.send(t, op, b"x", length=n)
			c.expect_closed()
			s = vm.shim()
			s.send(t, op, b"x", length=n)
			s.expect_closed()
	w.check()
	bounded(pid, ENGINE_MAX, "engine")
	bounded(fe, FRONTEND_MAX, "frontend")


@test("attack", "JSON that takes a hundred times its size", daemon=QUIET)
def bombs(d):
	vm, pid = engine_of(d, d.vm)
	w = Witness(vm)
	n = MB - 200
	for text in (b"[" * n, b"[" + b"{}," * (n // 3) + b"0]",
	    b"[" + b"[]," * (n // 3) + b"0]", b'{"a":' * (n // 5),
	    b"[" + b"1," * (n // 2) + b"0]", b"{" + b",".join(b'"%d":0' % i
	    for i in range(n // 10)) + b"}"):
		c, tokens = vm.attach(1)
		s = d.client()
		s.connect_shim(tokens[0])
		for data in (text, b'{"id":"i","process":' + text + b"}"):
			c.hyper_send("newcontainer", Raw(data), tokens)
			error_text(c.response(HYPER))
		vanish(s)
		vanish(c)
		w.check()
	bounded(pid, 2 * ENGINE_MAX, "engine")


@test("attack", "names of containers that are longer than messages",
    daemon=QUIET)
def names(d):
	vm, pid = engine_of(d, d.vm)
	w = Witness(vm)
	vm.agent.limit = MB
	vm.agent.flow = True	# so names are wanted later
	name = "n" * (MB - 1000)
	c, tokens = vm.attach(scaled(140))
	for t in tokens:
		s = d.client()
		s.connect_shim(t)
		c.hyper("newcontainer", {"id": name, "process": {}}, [t])
	w.check()
	bounded(pid, ENGINE_MAX, "engine")


@test("attack", "many clients that send most of the largest frame",
    daemon=QUIET)
def unfinished(d):
	vm, pid = engine_of(d, d.vm)
	w = Witness(vm)
	most = frame(COMMAND, HYPER, b"{" + b" " * (MB - 100), length=MB)
	clients = [vm.attach()[0] for i in range(150)]
	until_blocked(clients, most, len(most))
	w.check()
	d.bystander.check()
	for c in clients:
		vanish(c)
	w.check()
	bounded(pid, ENGINE_MAX, "engine")


@test("attack", "many clients that read no reply", daemon=QUIET)
def many_floods(d):
	many_files()
	vm, pid = engine_of(d, d.vm)
	w = Witness(vm)
	vm.agent.mode = lambda agent, code, payload: agent.ack(b"R" * 150000)
	ask = frame(COMMAND, HYPER, compact({"hyperName": "ping"})) * 10
	clients = [vm.attach()[0] for i in range(scaled(400))]
	until_blocked(clients, ask)
	w.check()
	d.bystander.check()
	for c in clients:
		vanish(c)
	w.check()
	bounded(pid, ENGINE_MAX, "engine")


@test("attack", "replies of a megabyte that nobody reads", daemon=QUIET)
def big_replies(d):
	many_files()
	vm, pid = engine_of(d, d.vm)
	w = Witness(vm)
	vm.agent.mode = lambda agent, code, payload: agent.ack(
	    b"R" * (MB - 8)) if code == 16 else agent.ack()
	clients = [vm.attach()[0] for i in range(200)]
	for c in clients:
		c.hyper_send("readfile")
	w.check()
	d.bystander.check()
	bounded(pid, ENGINE_MAX, "engine")
	for c in clients:
		vanish(c)
	w.check()


@test("attack", "many shims that never read", daemon=dict(QUIET,
    timeouts={"shim": "500ms"}))
def never_read(d):
	many_files()
	vm, pid = engine_of(d, d.vm)
	shims = [vm.shim() for i in range(scaled(600))]
	w = Witness(vm)
	piece = b"o" * 50000
	stop = threading.Event()

	def pour():
		for i in range(9):
			for s in shims:
				if stop.is_set():
					return
				vm.agent.tty(s.base, piece)
	t = Task(pour)
	# Whether the guest is stopped or not: commands are answered.
	for i in range(50):
		c, _ = vm.attach()
		c.hyper("ping")
		vanish(c)
		d.bystander.check()
		time.sleep(0.02)
	stop.set()
	for s in shims:
		vanish(s)
	t.get("output")
	w.check()
	d.bystander.check()
	bounded(pid, ENGINE_MAX, "engine")


# Guests.

def hostile(d, name):
	"""A VM, its engine and a shim, for a guest to misbehave."""
	vm, pid = engine_of(d, lambda: d.vm(name))
	return vm, pid, vm.shim()


def pour(send, data, most=32 * MB):
	"""Until the engine has gone or taken enough."""
	sent = 0
	try:
		while sent < most:
			send(data)
			sent += len(data)
	except OSError:
		pass
	return sent


def gone_or_well(d, vm, pid):
	"""The VM is lost or serves; its id can be used again either way."""
	d.bystander.check()
	c = d.client()
	c.cmd(ATTACH, {"containerId": vm.id})
	f = c.response(ATTACH)
	if not f.err:
		c.hyper_send("ping")
		c.response(HYPER)
	c.ok(UNREGISTER, {"containerId": vm.id})
	d.bystander.check()


@test("attack", "guests that send garbage", daemon=QUIET)
def garbage(d):
	for i in range(scaled(20, 4)):
		vm, pid, s = hostile(d, "g%d" % i)
		data = random.Random(i).randbytes(100000)
		pour((vm.agent.raw_ctl, vm.agent.raw_io)[i % 2], data, MB)
		if alive(pid):
			bounded_quietly(pid)
		gone_or_well(d, vm, pid)


def bounded_quietly(pid):
	try:
		kb = peak(pid)
	except (OSError, KeyError):
		return
	if not SANITIZED:
		check(kb < ENGINE_MAX, "engine took %d KiB" % kb)


@test("attack", "guests that announce endless lengths", daemon=QUIET)
def endless(d):
	for i, n in enumerate((0xffffffff, 0x80000000, MB + 1, MB, MB - 1)):
		for which in ("ctl", "io"):
			vm, pid, s = hostile(d, "e%d%s" % (i, which))
			if which == "ctl":
				send = vm.agent.raw_ctl
				head = struct.pack(">II", A_ACK, n)
			else:
				send = vm.agent.raw_io
				head = struct.pack(">QI", s.base, n)
			pour(send, head + b"x" * 200000, 3 * MB)
			bounded_quietly(pid)
			gone_or_well(d, vm, pid)


@test("attack", "guests that use unknown numbers and answer nobody",
    daemon=QUIET)
def strays(d):
	vm, pid, s = hostile(d, "strays")
	w = Witness(vm)
	rng = random.Random(6)
	size = scaled(32 * MB)
	pour(vm.agent.raw_io, b"".join(tty_message(rng.choice((0, 1, 2, 999,
	    2 ** 63, 2 ** 64 - 1)), b"s" * rng.randrange(3000))
	    for i in range(200)), size)
	w.check(commands=False)
	vm.agent.tty(s.base, b"end")
	equal(s.stdout(), b"end", "output after strays")
	pour(vm.agent.raw_ctl, b"".join(struct.pack(">II", rng.choice((
	    A_ACK, A_ERROR, A_READY, A_PING, 77, 0xffffffff)), 8 + 2000) +
	    b"r" * 2000 for i in range(200)), size)
	pour(vm.agent.raw_ctl, struct.pack(">II", A_NEXT, 12) + b"1234",
	    size // 8)
	vm.agent.tty(s.base, b"still")
	equal(s.stdout(), b"still", "output")
	bounded(pid, ENGINE_MAX, "engine")
	gone_or_well(d, vm, pid)


@test("attack", "a guest that keeps the largest replies for nobody",
    daemon=QUIET)
def early(d):
	vm, pid, s = hostile(d, "early")
	reply = struct.pack(">II", A_ACK, MB) + b"E" * (MB - 8)
	pour(vm.agent.raw_ctl, reply, scaled(64) * MB)
	vm.agent.tty(s.base, b"on")
	equal(s.stdout(), b"on", "output")
	bounded(pid, ENGINE_MAX, "engine")
	gone_or_well(d, vm, pid)


@test("attack", "a guest that ends processes again and again", daemon=QUIET)
def exits(d):
	vm, pid, s = hostile(d, "exits")
	one = tty_message(s.base, b"") + tty_message(s.base, b"\x07")
	vm.agent.raw_io(one * 5)
	equal(s.exit_status(), 7, "exit status")
	# What follows an exit status is output again, one byte each.
	equal(s.stdout(4), b"\x07" * 4, "output behind the end")
	pour(vm.agent.raw_io, one * 1000, MB // 8)
	d.bystander.check()
	s.disconnect_shim()
	gone_or_well(d, vm, pid)


@test("attack", "a guest that reads nothing", daemon=QUIET)
def deaf(d):
	vm, pid, s = hostile(d, "deaf")
	others = [vm.shim() for i in range(20)]
	vm.agent.mode = "manual"
	for e in vm.agent.reading.values():
		e.clear()
	until_blocked([s] + others, frame(STREAM, STDIN, b"i" * 60000))
	askers = [vm.attach()[0] for i in range(100)]
	for c in askers:
		c.hyper_send("ping", {"x": "y" * 9000})
	vm.agent.tty(s.base, b"talks")
	equal(s.stdout(), b"talks", "output")
	bounded(pid, ENGINE_MAX, "engine")
	vm.agent.hang_up("ctl")
	for c in askers:
		error_text(c.response(HYPER))
	# Messages cut by a full socket are read in pieces.
	vm.agent.complaints.clear()
	gone_or_well(d, vm, pid)
	for e in vm.agent.reading.values():
		e.set()
	vm.agent.close()
	vm.agent.complaints.clear()


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Each fixed limit, at it and one past it.

Where the limits of cc-proxy(8) and cc-proxy.conf(5) are tested:

	vms, clients per vm, tokens per vm, clients,
	    clients per uid, output per shim and vm	policy_test.py
	vms per uid, served clients, tokens, those per uid,
	    requests of 1.x of one user, starts		limits_test.py
	descriptors, memory of an engine and of the
	    frontend					limits_test.py
	10 s to start			hostile_engine_test.py
	files, words, errors, lists	unit/conf_test.c
	levels and values of JSON	unit/json_test.c
	tokens asked for		proto/s3_commands_test.py
	1 MiB for a request of 1.x	proto/v1_s2_frames_test.py
	1024 bytes for a reply of 1.x	proto/v1_s2_frames_test.py
	10240 bytes, 1 MiB to an agent	proto/dialect_test.py
	512 bytes, 10 ms, 1024 ended	proto/dialect_test.py
	1 MiB from an agent		hostile_guest_test.py
	16 KiB, 64 MiB of responses,
	    64 MiB of requests		attack_test.py
	5 s, 1 s, 100 ms of a control
	    client, of engines		stats_test.py
	messages queued			unit/imsgev_test.c
	log messages			unit/logsink_test.c
	all others			below

Those that are times are reached by setting the daemon's clock: no test waits
for one."""

import os
import resource
import select
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from tenants import *
from faults import Clock, stopped_state
from integ import engine_of, MB

ME = os.geteuid(), os.getegid()


def padded(obj, size):
	"""JSON of exactly that many bytes."""
	text = compact(obj)
	return text + b" " * (size - len(text))


@test("bounds", "16 clients of the control socket", daemon={})
def controls(d):
	path = d.path + ".ctl"

	def status(s):
		# Header: type, length, peer, pid.
		s.sendall(struct.pack("=IIII", 0x501, 16, 0, 0))
		return s.recv(4096)

	def connect():
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(CEILING)
		s.connect(path)
		return s

	held = [connect() for i in range(16)]
	for s in held:
		check(len(status(s)) > 0, "one of 16 is not answered")
	more = connect()
	try:
		equal(more.recv(1), b"", "the 17th")
	except ConnectionResetError:
		pass
	for s in held:
		check(len(status(s)) > 0, "one of 16 is not answered later")
	held.pop().close()

	def again():
		s = connect()
		try:
			return len(status(s)) > 0
		except OSError:
			return False
	wait_for(again, "a place that is free")


@test("bounds", "512 bytes for an id, 107 for a path", private=False)
def names():
	with serving("", level="warn") as d:
		for kind in TENANTS:
			pre = kind.__name__[-1]
			c = kind(d, *ME)
			long = pre * 512
			equal(c.try_register(long, d.agent("a" + pre)), None,
			    "an id of 512 bytes")
			equal(kind(d, *ME).try_attach(long), None, "attach")
			c = kind(d, *ME)
			equal(c.try_register(long + "x", d.agent("b" + pre)),
			    "containerId too long 513 (max 512)", "of 513")
			room = 107 - len(d.dir) - 1 - len(".ctl")
			a = d.agent(pre * room)
			equal(len(a.ctl_path), 107, "the path")
			equal(kind(d, *ME).try_register("p" + pre, a), None,
			    "a path of 107 bytes")
			a = d.agent("c" + pre)
			a.ctl_path = "/" * 107 + "x"
			equal(kind(d, *ME).try_register("q" + pre, a),
			    "dial unix %s: connect: invalid argument" %
			    a.ctl_path, "of 108")


@test("bounds", "64 KiB for a frame without an engine", daemon={})
def unrouted(d):
	c = d.client()
	obj = {"containerId": "none"}
	c.send(COMMAND, ATTACH, padded(obj, 65536))
	equal(error_text(c.response(ATTACH)), "unknown containerID: none",
	    "at the limit")
	c.send(COMMAND, ATTACH, b"{", length=65537)
	c.expect_closed()


@test("bounds", "64 KiB for stdin, 1 MiB for any other frame", daemon={})
def routed(d):
	vm = d.vm(mode="ack")
	c = vm.attach()[0]
	obj = {"containerId": "none"}
	c.send(COMMAND, UNREGISTER, padded(obj, MB))
	equal(error_text(c.response(UNREGISTER)),
	    "unknown containerID: none", "at the limit")
	c.send(COMMAND, UNREGISTER, b"{", length=MB + 1)
	c.expect_closed()
	s = vm.shim()
	s.stdin(b"i" * 65536)
	vm.agent.wait(lambda: sum(len(data) for seq, data in
	    vm.agent.tty_in if seq == s.base) == 65536, "all input")
	s.send(STREAM, STDIN, b"i", length=65537)
	s.expect_closed()


@test("bounds", "16 KiB for the text of an error", daemon={})
def text(d):
	c = d.client()
	head = "unknown containerID: "
	for n in (16384 - len(head), 16384 - len(head) + 1):
		f = c.ask(UNREGISTER, {"containerId": "y" * n})
		equal(error_text(f), (head + "y" * n)[:16384], "its text")


@test("bounds", "64 commands that an agent has not answered", daemon={})
def inflight(d):
	vm = d.vm(mode="ack")
	one = vm.attach()[0]
	# Known from now on.
	one.hyper("ping")
	clients = [vm.attach()[0] for i in range(66)]
	vm.agent.mode = "manual"
	before = len(vm.agent.ctl_in)

	def sent():
		return len(vm.agent.ctl_in) - before

	for i, c in enumerate(clients):
		c.hyper_send("ping", {"n": i})
		if i < 64:
			vm.agent.wait(lambda: sent() == i + 1, "a command")
	other = d.vm(mode="ack")
	other.client.hyper("ping")
	equal(vm.attach()[0].is_shim, False, "another request")
	equal(sent(), 64, "commands at the limit")
	for i in range(66):
		vm.agent.ack()
		f = clients[i].response(HYPER)
		equal(f.err, 0, "its reply")
		vm.agent.wait(lambda: sent() == min(65 + i, 66),
		    "the next command")


@test("bounds", "8 connections that an engine has not confirmed",
    daemon={})
def unconfirmed(d):
	vm, pid = engine_of(d, d.vm)
	other = d.vm()

	def clients():
		out = subprocess.run([binary("cc-proxyctl"), "-s", d.path,
		    "--json", "status"], capture_output=True, text=True)
		equal(out.returncode, 0, "status: " + out.stderr)
		return [v["clients"] for v in json.loads(out.stdout)["vms"]
		    if v["id"] == vm.id][0]

	before = clients()
	os.kill(pid, signal.SIGSTOP)
	try:
		cs = [d.client() for i in range(11)]
		for c in cs:
			c.cmd(ATTACH, {"containerId": vm.id})
		wait_for(lambda: clients() >= before + 8, "8 of them")
		other.attach()
		equal(clients(), before + 8, "connections passed on")
	finally:
		os.kill(pid, signal.SIGCONT)
	for c in cs:
		equal(c.response(ATTACH).err, 0, "in the end")
	wait_for(lambda: clients() == before + 11, "all of them")


@test("bounds", "I/O descriptors of 1.x: a quarter of the descriptors",
    private=False)
def ios():
	with serving("", level="warn", start=False) as d:
		d.argv = ["prlimit", "--nofile=80:80"] + d.argv
		d.start()
		if resource.prlimit(d.pid, resource.RLIMIT_NOFILE)[0] != 80:
			raise Skip("the daemon may have more")
		vm = VM(d)
		c = ccp1.Client1(d).attach(vm.id)
		ends = [c.allocate_io(1) for i in range(20)]
		equal(c.fails("allocateIO", {"nStreams": 1}),
		    "too many I/O descriptors (max 20)", "one more")
		c.hyper("ping")
		ends.pop().close()
		d.clients.pop()
		wait_for(lambda: c.ask("allocateIO",
		    {"nStreams": 1}).error is None, "one that is free")


@test("bounds", "16 replies before the first command", daemon={})
def early(d):
	for n in (16, 17):
		vm = d.vm(mode="manual")
		seen = d.log_mark()
		for i in range(n):
			vm.agent.ack(b"early")
		# Nobody asks for this one either, and it comes last.
		vm.agent.send_ctl(77, b"")
		d.wait_log("dropped message 77 that no command", seen)
		equal(d.find_log("dropped message %d that" % A_ACK, seen)
		    is not None, n > 16, "the last of %d was dropped" % n)


def ended(c):
	"""The daemon closed the connection; nothing is read or waited for."""
	p = select.poll()
	p.register(c.sock, select.POLLRDHUP)
	return bool(p.poll(0))


def rest(c):
	"""How many bytes come before the end."""
	n = 0
	while True:
		part = c.sock.recv(65536)
		if not part:
			return n
		n += len(part)


def look_frontend(d):
	"""The frontend has been through its events, and its deadlines."""
	for i in range(2):
		c = d.client()
		c.fails(UNREGISTER, {"containerId": "none"})
		c.close()


@test("bounds", "60 s for the rest of a request that was begun",
    private=False)
def begun():
	with Clock() as clock:
		d = clock.d
		# Nothing begun.
		idle = [d.client(), d.client1()]
		clock.freeze()
		req = {"containerId": "none"}
		begun, late = [], []
		for make, kind, whole in (
		    (d.client, Client, frame(COMMAND, ATTACH, compact(req))),
		    (d.client1, Client1, message(request("attach", req)))):
			for n in (1, len(whole) - 2):
				for where in (begun, late):
					c = make()
					c.raw(whole[:n])
					where.append((c, whole, n))
		look_frontend(d)
		clock.at(59999)
		look_frontend(d)
		equal([n for c, whole, n in begun + late if ended(c)], [],
		    "closed 1 ms before")
		for c, whole, n in late:
			# More, but not the rest: no other deadline.
			c.raw(whole[n:n + 1])
		for c, whole, n in begun:
			c.raw(whole[n:])
			if isinstance(c, Client1):
				answer = c.reply().error
			else:
				answer = error_text(c.response(ATTACH))
			check("none" in answer, "answer: %s" % answer)
		mark = d.log_mark()
		clock.at(60000)
		for c, whole, n in late:
			c.expect_closed()
		d.wait_log("timeout reading a request", mark)
		clock.at(200000)
		look_frontend(d)
		error_text(idle[0].ask(ATTACH, req))
		idle[1].fails("attach", req)


@test("bounds", "1 s for the sockets of a hello", private=False)
def dial():
	with Clock() as clock:
		d = clock.d

		def look_parent():
			for i in range(2):
				c = d.client()
				error_text(c.register("x", "/none", "/none"))
				c.close()

		for late in (False, True):
			name = "late" if late else "last"
			clock.freeze()
			r = d.client1()
			r.send("hello", ccp1.hello_request(name,
			    os.path.join(d.dir, name + ".ctl"),
			    os.path.join(d.dir, name + ".io")))
			look_frontend(d)
			look_parent()
			if late:
				# The next time it is tried.
				clock.at(1000)
				look_parent()
				check(not r.reply().success, "after 1 s")
				continue
			clock.at(999)
			look_parent()
			r.quiet()
			d.agent(name)
			clock.at(1019)
			look_parent()
			answer = r.reply()
			check(answer.success, "in time: %s" % answer.error)


@test("bounds", "10 s for output that a lost VM's shim does not take",
    private=False)
def closing():
	size = 600000
	with Clock() as clock:
		d = clock.d
		vms = [d.vm() for i in range(2)]
		shims = [vm.shim() for vm in vms]
		clock.freeze()
		for vm, s in zip(vms, shims):
			# Into its socket, the queue, and the agent's socket.
			for i in range(size // 10000):
				vm.agent.tty(s.base, b"o" * 10000)
			mark = d.log_mark()
			vm.agent.hang_up("ctl")
			d.wait_log("VM lost", mark)

		def look():
			for vm in vms:
				for i in range(2):
					vm.attach()[0].close()

		look()
		all = size // 10000 * 10012
		clock.at(9999)
		look()
		check(not any(ended(s) for s in shims), "closed too early")
		equal(rest(shims[0]), all, "output taken in time")
		# Some of it, so that there is room for more: another 10 s.
		s = shims[1].sock
		n = pending(s)
		check(n < all / 2, "%d bytes in the socket" % n)
		s.recv(n, socket.MSG_WAITALL)
		wait_for(lambda: pending(s) > 65536, "more of the output")
		clock.at(19997)
		look()
		check(not ended(shims[1]), "closed although it took some")
		clock.at(19999)
		wait_for(lambda: ended(shims[1]), "the end")
		n += rest(shims[1])
		check(n < all, "the rest is not dropped")


@test("bounds", "10 s for replies to a client that has hung up",
    private=False)
def replies():
	with Clock() as clock:
		d = clock.d
		vm = d.vm(mode="echo")
		clients = [vm.attach()[0] for i in range(2)]
		other = vm.attach()[0]
		clock.freeze()
		for c in clients:
			n = 0
			# Until one is queued: its socket is full.
			while pending(c.sock) == n:
				c.hyper_send("ping", {"x": "r" * 8000})
				n += 12 + len(vm.agent.next_ctl()[1])
				other.hyper("ping")
				vm.agent.skip_ctl()
			c.total = n
			c.sock.shutdown(socket.SHUT_WR)
		other.hyper("ping")
		clock.at(9999)
		other.hyper("ping")
		check(not any(ended(c) for c in clients), "closed too early")

		equal(rest(clients[0]), clients[0].total, "replies in time")
		clock.at(10000)
		wait_for(lambda: ended(clients[1]), "the end")
		check(rest(clients[1]) < clients[1].total, "not dropped")


def stopped(d):
	return [p for p in d.children() if stopped_state(p)]


def look_all(d, clock, ms):
	"""Frontend and parent have been through their events."""
	clock.at(ms)
	out = subprocess.run([binary("cc-proxyctl"), "-s", d.path, "status"],
	    capture_output=True, text=True)
	equal(out.returncode, 0, "status: " + out.stderr)


@test("bounds", "16 engine starts at a time", private=False)
def starts():
	with Clock() as clock:
		d = clock.d
		agents = [d.agent("a%d" % i) for i in range(18)]
		clock.freeze()
		clock.hooks.catch()
		clients = []
		for i, a in enumerate(agents):
			c = d.client()
			c.cmd(REGISTER, register_request("s%d" % i,
			    a.ctl_path, a.io_path))
			clients.append(c)
		look_frontend(d)
		wait_for(lambda: len(stopped(d)) >= 16, "16 starts")
		look_all(d, clock, 200)
		look_all(d, clock, 400)
		before = set(stopped(d))
		equal(len(before), 16, "engines being started")
		equal(len(d.engines()), 16, "engines")
		# One is done, one more begins.
		os.kill(min(before), signal.SIGCONT)
		wait_for(lambda: set(stopped(d)) - before, "the 17th")
		look_all(d, clock, 600)
		look_all(d, clock, 800)
		equal(len(stopped(d)), 16, "engines being started then")
		clock.hooks.catch(False)

		def go_on():
			for pid in stopped(d):
				os.kill(pid, signal.SIGCONT)
			return all(pending(c.sock) for c in clients)
		wait_for(go_on, "all of them")
		equal([c.response(REGISTER).err for c in clients], [0] * 18,
		    "answers")


@test("bounds", "200 engine starts in a second", private=False)
def rate():
	with Clock() as clock:
		d = clock.d
		# None comes up, which is quicker and counts as well.
		path = os.path.join(clock.hooks.dir, "ccp-vmengine")
		with open(path, "w") as f:
			f.write("#!/bin/sh\nexit 1\n")
		ctl = os.path.join(d.dir, "vm")
		with socket.socket(socket.AF_UNIX) as s:
			s.bind(ctl)
			s.listen(1000)
			clock.freeze()
			c = d.client()

			def register():
				c.cmd(REGISTER, register_request("x", ctl,
				    ctl))
			for i in range(200):
				register()
				error_text(c.response(REGISTER))
			register()
			look_all(d, clock, 500)
			equal(pending(c.sock), 0, "the 201st's answer")
			look_all(d, clock, 999)
			equal(pending(c.sock), 0, "its answer at 999 ms")
			clock.at(1000)
			error_text(c.response(REGISTER))


@test("bounds", "80 KiB from a shim whose stdin waits for its process",
    daemon={})
def lookahead(d):
	vm = d.vm(mode="ack")
	kill = frame(COMMAND, SIGNAL, compact({"signalNumber": 9}))
	for size in (80 * 1024, 80 * 1024 + 1):
		first = frame(STREAM, STDIN, b"i" * 65536)
		second = frame(STREAM, STDIN, b"i" * (size - len(first) - 12 -
		    len(kill)))
		for parts in ([first + second + kill], [first[:1],
		    first[1:] + second + kill]):
			s = vm.shim(start=False)
			for p in parts:
				s.raw(p)
				for i in range(10):
					vm.client.hyper("ping")
			vm.agent.skip_ctl()
			# Seen, or not before the stdin has gone.
			equal(pending(s.sock) > 0, size == 80 * 1024,
			    "KILL that ends at %d in %d parts" % (size,
			    len(parts)))
			s.start()
			s.close()


@test("bounds", "4 MiB of output of a VM that is lost",
    daemon={"level": "warn"})
def drain(d):
	for more in (0, 1):
		vm, pid = engine_of(d, d.vm)
		s = vm.shim()
		# 4194304 bytes of messages; what is behind is dropped.
		out = tty_message(s.base, b"o" * 988) * 4194
		out += tty_message(s.base, b"e" * (304 - 12 + more))
		try:
			# SO_SNDBUFFORCE
			vm.agent.io.setsockopt(socket.SOL_SOCKET, 32,
			    32 * MB)
		except OSError:
			raise Skip("the socket's buffer is too small")
		os.kill(pid, signal.SIGSTOP)
		try:
			wait_for(lambda: stopped_state(pid), "a stop")
			vm.agent.hang_up("ctl")
			vm.agent.raw_io(out)
		finally:
			os.kill(pid, signal.SIGCONT)
		got = 0
		while True:
			f = s.recv()
			if f is None:
				break
			got += len(f.payload)
		equal(got, 988 * 4194 + (0 if more else 292), "output")


ccp.main()

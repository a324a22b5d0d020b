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
	1 s for the sockets of a hello	proto/v1_s6_vm_test.py
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

Not at the limit, as that takes as long or cannot be seen from outside: 60 s
for a request that was begun, 10 s for a client that is to be closed, 16 and
200 engine starts, 80 KiB behind stdin that waits, and 4 MiB of output of a VM
that was lost."""

import os
import resource
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from tenants import *
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


ccp.main()

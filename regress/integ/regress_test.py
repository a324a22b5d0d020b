#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""One test for each mistake that was found in the running daemon."""

import array
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

MB = 1 << 20


def drop(c):
	"""End the connection as a killed process does."""
	c.close()
	if c in c.daemon.clients:
		c.daemon.clients.remove(c)


def numbered(first, n, size=1000):
	"""Messages that can be told apart."""
	return [b"%07d," % i + b"x" * (size - 8)
	    for i in range(first, first + n)]


def numbers(frames):
	return [int(f.payload[:7]) for f in frames
	    if (f.type, f.op) == (STREAM, STDOUT)]


def frames_until_quiet(c, last):
	"""Frames up to the one that starts with last."""
	out = []
	while not out or not out[-1].payload.startswith(last):
		out.append(c.output())
	return out


def stuff(c, data, most):
	"""Send until nothing is taken any more; returns how much was."""
	c.sock.setblocking(False)
	sent = idle = 0
	while sent < most and idle < 40:
		try:
			sent += c.sock.send(data[sent % len(data):])
			idle = 0
		except BlockingIOError:
			idle += 1
			time.sleep(0.025)
	c.sock.settimeout(CEILING)
	return sent


def unread_by_peer(c):
	buf = array.array("i", [0])
	fcntl.ioctl(c.sock.fileno(), termios.TIOCOUTQ, buf)
	return buf[0]


def stopped(pids):
	"""What arrives from now on is found all at once."""
	for p in pids:
		os.kill(p, signal.SIGSTOP)
		wait_for(lambda: open("/proc/%d/stat" % p).read().rsplit(
		    ")")[1].split()[0] == "T", "a stopped process")


def resumed(pids):
	for p in pids:
		os.kill(p, signal.SIGCONT)


@test("regress", "a shim that comes back gets no frame twice",
    daemon={"level": "warn"})
def twice(d):
	vm = d.vm()
	for n in range(100, 700, 25):
		s = vm.shim()
		token, base = s.token, s.base
		vm.agent.raw_io(b"".join(tty_message(base, m)
		    for m in numbered(0, 700)))
		# It leaves when some of what was queued has gone out.
		first = [s.output() for i in range(n)]
		drop(s)
		s = Shim(vm, start=False, token=token)
		vm.agent.tty(base, b"9999999,")
		got = numbers(first + frames_until_quiet(s, b"9999999"))
		equal(len(got), len(set(got)), "different messages at %d" % n)
		equal(got, sorted(got), "order")
		s.disconnect_shim()
		drop(s)


@test("regress", "kills sent early by a client that reads nothing")
def early_flood(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.stdin(b"")
	kill = frame(COMMAND, SIGNAL, compact({"signalNumber": 9}))
	n = stuff(s, kill * 1000, 64 * MB)
	check(n < 32 * MB, "%d bytes of kills were taken" % n)


@test("regress", "an early kill that was read before the wait began",
    daemon={"timeouts": {"stdin": "10m", "process": "10m"}})
def early_behind(d):
	vm = d.vm()
	s = vm.shim(start=False)
	# All in one write; the attach is answered by the frontend.
	s.raw(frame(COMMAND, ATTACH, compact({"containerId": vm.id,
	    "numIOStreams": 1})) + frame(STREAM, STDIN, b"x") +
	    frame(COMMAND, SIGNAL, compact({"signalNumber": 9})))
	equal(s.exit_status(), 0, "status")


@test("regress", "a kill that arrives together with the start")
def kill_at_start(d):
	vm = d.vm(mode="manual")
	s = vm.shim(start=False)
	s.stdin(b"in")
	cid = "c1"
	vm.client.hyper_send("newcontainer", {"id": cid,
	    "process": {"args": ["sh"]}}, [s.token])
	vm.agent.next_ctl(A_NEWCONTAINER)
	stopped(d.engines())
	vm.agent.ack()
	s.cmd(SIGNAL, {"signalNumber": 9})
	resumed(d.engines())
	code, payload = vm.agent.next_ctl()
	equal(code, A_KILLCONTAINER, "code at the agent")
	vm.agent.ack()
	f = s.recv()
	equal((f.type, f.op, f.err), (RESPONSE, SIGNAL, 0), "first frame")


@test("regress", "one-byte output for a shim that is long away",
    daemon={"level": "warn", "timeouts": {"shim": "100ms"}})
def away_bytes(d):
	vm = d.vm()
	s, other = vm.shim(), vm.shim()
	token, base = s.token, s.base
	drop(s)
	full = tty_message(base, b"z" * 60000)
	vm.agent.raw_io(full * 6)
	d.wait_log("is away")
	before = d.rss()
	# Never two of them back to back.
	pair = tty_message(base, b"b") + tty_message(other.base + 1, b"o")
	for i in range(30):
		vm.agent.raw_io(pair * 10000)
		for j in range(10000):
			other.stderr()
	grown = d.rss() - before
	check(grown < 8192, "grew by %d KiB" % grown)
	drop(other)


@test("regress", "the exit status of a shim that is long away",
    daemon={"timeouts": {"shim": "100ms"}})
def away_status(d):
	vm = d.vm()
	s = vm.shim()
	token, base = s.token, s.base
	drop(s)
	vm.agent.raw_io(tty_message(base, b"z" * 65000) * 6)
	d.wait_log("is away")
	# More output right behind the status.
	vm.agent.raw_io(tty_message(base) + tty_message(base, b"\x2a") +
	    tty_message(base + 1, b"late" * 1000))
	other = vm.shim()
	vm.agent.tty(other.base, b"done")
	other.stdout(4)
	s = Shim(vm, start=False, token=token)
	while True:
		f = s.output()
		if f.type == NOTIFICATION:
			break
	equal(f.payload, b"\x2a", "status")


@test("regress", "a token of a lost VM is not waited for",
    daemon={"timeouts": {"shim": "10m"}})
def lost_token(d):
	vm = d.vm()
	vm.agent.hang_up("io")
	vm.agent.hang_up("ctl")
	d.wait_log("VM lost")
	c = d.client()
	tokens = c.attach(vm.id, 1)
	equal(c.hyper_fails("newcontainer", {"id": "c", "process": {}},
	    tokens), "No multicast available for CTL channel", "error")


@test("regress", "a shim killed while its output is queued")
def killed_busy(d):
	vm = d.vm()
	s = vm.shim(cid="busy")
	vm.agent.raw_io(tty_message(s.base, b"o" * 10000) * 40)
	other = vm.shim()
	vm.agent.tty(other.base, b"done")
	other.stdout(4)
	stopped(d.engines())
	# What the shim's monitor does.
	s.cmd(SIGNAL, {"signalNumber": 9})
	drop(s)
	resumed(d.engines())
	code, payload = vm.agent.next_ctl()
	equal(code, A_KILLCONTAINER, "code at the agent")
	equal(json.loads(payload)["container"], "busy", "container")


@test("regress", "nothing is made of what follows a broken I/O message")
def broken_io(d):
	need_root()
	vm = d.vm()
	s = vm.shim()
	stopped(d.engines())
	vm.agent.io.setsockopt(socket.SOL_SOCKET, 32, MB)  # SO_SNDBUFFORCE
	first = struct.pack(">QI", s.base, 2 * MB)
	vm.agent.raw_io(first + bytes(256 * 1024 - len(first)) +
	    tty_message(s.base, b"ghost"))
	resumed(d.engines())
	s.expect_closed()


@test("regress", "administration client that shuts its reading side")
def control_shut(d):
	c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
	c.connect(d.path + ".ctl")
	c.shutdown(socket.SHUT_RD)
	c.sendall(struct.pack("=IIII", 0x0501, 16, 0, 0))
	p = select.poll()
	p.register(c, 0)
	check(p.poll(CEILING * 1000), "the connection was not ended")
	c.close()


@test("regress", "many questions of one engine at a time",
    daemon={"level": "warn"})
def ask_flood(d):
	need_root()
	vm = d.vm()
	n = 4000
	clients = [Client(d) for i in range(n)]
	for c in clients:
		c.attach(vm.id)
	front = [p for p, comm in d.children().items() if "front" in comm]
	stopped(front)
	ask = frame(COMMAND, ATTACH, compact({"containerId": "z" * 500}))
	for c in clients:
		c.raw(ask)
	for c in clients:
		wait_for(lambda: unread_by_peer(c) == 0, "the engine to read")
	resumed(front)
	for c in clients:
		error_text(c.response(ATTACH))
	for c in clients:
		drop(c)


def pod_exit(d, status=0):
	equal(d.wait_exit(), status, "exit status")


@test("regress", "pod mode: output queued for a slow shim when the VM ends",
    bystander=False, private=False)
def pod_slow():
	d = pod_daemon(level="info")
	try:
		vm = d.vm()
		s, other = vm.shim(), vm.shim()
		vm.agent.raw_io(tty_message(s.base, b"o" * 10000) * 40)
		vm.agent.exit(s.base, 7)
		vm.agent.tty(other.base, b"done")
		other.stdout(4)
		vm.unregister()
		vm.agent.hang_up("io")
		vm.agent.hang_up("ctl")
		d.wait_log("VM lost")
		equal(len(s.stdout(400000)), 400000, "bytes of output")
		equal(s.exit_status(), 7, "status")
		pod_exit(d)
	finally:
		d.dispose()


@test("regress", "pod mode: a registration that fails is not waited for",
    bystander=False, private=False)
def pod_failed():
	d = pod_daemon()
	try:
		vm = d.vm()
		# A VM that cannot be connected to for now.
		path = os.path.join(d.dir, "full")
		full = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		full.bind(path)
		full.listen(0)
		fill = []
		try:
			while True:
				fill.append(socket.socket(socket.AF_UNIX,
				    socket.SOCK_STREAM))
				fill[-1].setblocking(False)
				fill[-1].connect(path)
		except BlockingIOError:
			pass
		c = d.client()
		c.cmd(REGISTER, register_request("late", path, path))
		d.wait_log("RegisterVM.containerId=late")
		vm.unregister()
		drop(vm.client)
		vm.agent.hang_up("io")
		vm.agent.hang_up("ctl")
		wait_for(lambda: not d.engines(), "the end of the engine")
		check(d.running(), "it ended early")
		full.close()
		equal(error_text(c.response(REGISTER)), "dial unix %s: "
		    "connect: connection refused" % path, "error")
		pod_exit(d)
	finally:
		d.dispose()


# Instead of an engine: says twice that its VM failed.
LIAR = """#!%s
import array, os, socket, struct
def say(s, kind, payload):
    s.sendall(struct.pack("=IIII", kind, 16 + len(payload), 0, 0) + payload)
parent = socket.socket(fileno=3)
parent.setblocking(True)
say(parent, 0x0104, bytes(4))
fds = []
while len(fds) < 3:
    fds += socket.recv_fds(parent, 1, 1)[1]
peer = socket.socket(fileno=fds[2])
peer.setblocking(True)
for text in b"first", b"second":
    say(peer, 0x020c, struct.pack(">H", len(text)) + text)
peer.recv(1)
""" % sys.executable


@test("regress", "an engine that fails its registration twice",
    daemon={"start": False}, bystander=False)
def twice_failed(d):
	libexec = os.path.join(d.dir, "libexec")
	os.mkdir(libexec)
	os.chmod(libexec, 0o755)
	for name in ("cc-proxy", "ccp-frontend"):
		os.symlink(binary(name), os.path.join(libexec, name))
	liar = os.path.join(libexec, "ccp-vmengine")
	with open(liar, "w") as f:
		f.write(LIAR)
	os.chmod(liar, 0o755)
	d.argv += ["-libexec", libexec]
	d.start()
	agent = d.agent()
	for i in range(2):
		mark = d.log_mark()
		c = d.client()
		equal(error_text(c.register("vm", agent.ctl_path,
		    agent.io_path)), "first", "error")
		d.wait_log("broke the protocol", mark)


@test("regress", "more clients of a VM than descriptors",
    daemon={"start": False, "level": "warn"}, bystander=False)
def descriptors(d):
	need_root()
	os.chown(d.dir, 65534, 65534)
	d.argv = ["sh", "-c", 'ulimit -n 200; exec setpriv --reuid 65534 '
	    '--regid 65534 --clear-groups "$@"', "sh"] + d.argv
	d.start()
	agent = d.agent()
	for path in (agent.ctl_path, agent.io_path):
		os.chmod(path, 0o666)
	vm = d.vm(agent=agent)
	s = vm.shim()
	clients, refused = [], None
	while refused is None and len(clients) < 300:
		c = d.client()
		f = c.ask(ATTACH, {"containerId": vm.id})
		if f.err:
			refused = error_text(f)
		clients.append(c)
	equal(refused, "too many clients of %s" % vm.id, "error")
	vm.agent.tty(s.base, b"alive")
	equal(s.stdout(5), b"alive", "output")


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Section 9: what shipped clients send and expect, byte for byte."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

LONG = dict(timeouts={"shim": "300s", "process": "300s", "stdin": "300s"})
SAMPLE = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def unhex(text):
	return bytes.fromhex(text)


def head(t, op, n, err=0):
	return unhex("000203000000") + bytes([t | err << 4, op]) + \
	    struct.pack(">I", n)


def receives(c, want, what):
	got = c._exactly(len(want), what)
	equal(got, want, what)


# The worked frames, those that carry a token or a path as functions.
E1 = head(0, 4, 56) + b'{"token":"%s"}'
E2 = unhex("00 02 03 00 00 00 01 04 00 00 00 00")
E3 = unhex("00 02 03 00 00 00 11 04 00 00 00 1d") + \
    b'{"msg":"unknown token: nope"}'
E4 = unhex("00 02 03 00 00 00 00 02 00 00 00 27") + \
    b'{"containerId":"pod1","numIOStreams":1}'
E7 = unhex("00 02 03 00 00 00 00 03 00 00 00 22") + \
    b'{"hyperName":"ping","tokens":null}'
E8 = unhex("00 02 03 00 00 00 01 03 00 00 00 00")
E9 = unhex("00 02 03 00 00 00 00 06 00 00 00 13") + b'{"signalNumber":10}'
E10 = unhex("00 02 03 00 00 00 00 06 00 00 00 2d") + \
    b'{"signalNumber": 28, "rows":24, "columns":80}'
E11 = unhex("00 02 03 00 00 00 02 00 00 00 00 03 6c 73 0a")
E12 = unhex("00 02 03 00 00 00 02 00 00 00 00 00")
E13 = unhex("00 02 03 00 00 00 02 01 00 00 00 03 68 69 0a")
E14 = unhex("00 02 03 00 00 00 02 02 00 00 00 03 6e 6f 0a")
E15 = unhex("00 02 03 00 00 00 03 00 00 00 00 01 2a")
E16 = unhex("00 02 03 00 00 00 00 05 00 00 00 00")
E17 = unhex("00 02 03 00 00 00 02 03 00 00 00 2a") + \
    b'{"source":"shim","level":"warn","msg":"x"}'
E18 = unhex("00 02 06 00 00 00 02 00 00 00 00 01") + b"\xee" * 12 + b"A"
E19 = unhex("00 02 03 00 00 00 11 06 00 00 00 22") + \
    b'{"msg":"invalid signal number 31"}'
H1 = unhex("00 00 00 08 00 00 00 08")
H2 = unhex("00 00 00 0c 00 00 00 08")
H3 = unhex("00 00 00 09 00 00 00 08")
H4 = unhex("00 00 00 0a 00 00 00 0a 6e 6f")
H5 = unhex("00 00 00 0b 00 00 00 26") + b'{"seq":3,"row":24,"column":80}'
H6 = unhex("00 00 00 12 00 00 00 3b") + \
    b'{"container":"c1","signal":10,"allProcesses":false}'
H7 = unhex("00 00 00 00 00 00 00 03 00 00 00 0f 6c 73 0a")
H8 = unhex("00 00 00 00 00 00 00 03 00 00 00 0c")
H9 = unhex("00 00 00 00 00 00 00 03 00 00 00 0d 2a")
H10 = unhex("00 00 00 00 00 00 00 04 00 00 00 0f 6e 6f 0a")


class Bare:
	"""A guest's two sockets without any knowledge of the protocol."""

	def __init__(self, d, name):
		self.listeners = {}
		for which in ("ctl", "io"):
			s = socket.socket(socket.AF_UNIX)
			s.settimeout(CEILING)
			path = os.path.join(d.dir, name + "." + which)
			s.bind(path)
			s.listen(1)
			self.listeners[which] = s
			setattr(self, which + "_path", path)
		d.agents.append(self)

	def accept(self):
		self.ctl = self.listeners["ctl"].accept()[0]
		self.io = self.listeners["io"].accept()[0]
		for s in (self.ctl, self.io):
			s.settimeout(CEILING)

	def receives(self, which, want, what):
		s = getattr(self, which)
		got = b""
		while len(got) < len(want):
			part = s.recv(len(want) - len(got))
			check(part != b"", "EOF instead of " + what)
			got += part
		equal(got, want, what)

	def close(self):
		for s in list(self.listeners.values()) + [
		    getattr(self, "ctl", None), getattr(self, "io", None)]:
			if s is not None:
				s.close()


@test("9.4", "the worked frames in one life", daemon=dict())
def worked(d):
	guest = Bare(d, "bare")
	runtime = d.client()
	body = compact(register_request("pod1", guest.ctl_path,
	    guest.io_path))
	runtime.raw(head(0, 0, len(body)) + body)
	guest.accept()
	guest.ctl.sendall(H1)
	body = b'{"io":{"URL":"unix://' + d.path.encode() + \
	    b'","tokens":null}}'
	receives(runtime, head(1, 0, len(body)) + body, "E6 for RegisterVM")

	c = d.client()
	c.raw(E4.replace(b',"numIOStreams":1', b"").replace(b"\x27{",
	    b"\x16{"))
	receives(c, head(1, 2, len(body)) + body, "E6")
	c.raw(E7)
	guest.receives("ctl", H2, "H2")
	guest.ctl.sendall(H3)
	receives(c, E8, "E8")
	c.raw(E7)
	guest.receives("ctl", H2, "H2")
	guest.ctl.sendall(H4)
	f = c.response(HYPER)
	equal(f.payload, b'{"msg":"ERROR received from VM agent, control '
	    b'msg received : no"}', "payload")

	c.raw(E4)
	f = c.response(ATTACH)
	token = tokens_of(f.payload)[0].encode()
	equal(f.payload, b'{"io":{"URL":"unix://' + d.path.encode() +
	    b'","tokens":["' + token + b'"]}}', "E5")

	s = d.client()
	s.raw(head(0, 4, 16) + b'{"token":"nope"}')
	receives(s, E3, "E3")
	equal(len(E1 % token), 68, "length of E1")
	s.raw(E1 % token)
	receives(s, E2, "E2")
	s.is_shim = True

	body = b'{"hyperName":"newcontainer","tokens":["' + token + \
	    b'"],"data":{"id":"c1","process":{"args":["sh"]}}}'
	c.raw(head(0, 3, len(body)) + body)
	h = guest.ctl.recv(8)
	code, n = struct.unpack(">II", h)
	equal(code, 17, "code")
	p = json.loads(guest.ctl.recv(n))
	equal((p["process"]["stdio"], p["process"]["stderr"]), (3, 4),
	    "numbers")
	guest.ctl.sendall(H3)
	receives(c, E8, "E8")

	s.raw(E9)
	guest.receives("ctl", H6, "H6")
	guest.ctl.sendall(H3)
	receives(s, head(1, 6, 0), "response to E9")
	s.raw(E10)
	guest.receives("ctl", H5, "H5")
	guest.ctl.sendall(H3)
	receives(s, head(1, 6, 0), "response to E10")
	s.raw(head(0, 6, 19) + b'{"signalNumber":31}')
	receives(s, E19, "E19")

	s.raw(E11)
	guest.receives("io", H7, "H7")
	s.raw(E18)
	guest.receives("io", unhex("00 00 00 00 00 00 00 03 00 00 00 0d 41"),
	    "E18 at the agent")
	s.raw(E12)
	guest.receives("io", H8, "H8")
	mark = d.log_mark()
	s.raw(E17)
	d.wait_log("^x$", mark, source="shim", level="warning")

	guest.io.sendall(unhex("00 00 00 00 00 00 00 03 00 00 00 0f 68 69 "
	    "0a"))
	receives(s, E13, "E13")
	guest.io.sendall(H10)
	receives(s, E14, "E14")
	guest.io.sendall(H8 + H9)
	receives(s, E15, "E15")
	s.raw(E16)
	s.expect_closed(eof=True)


@test("9.4", "the sample token is unknown", shared=True)
def sample_token(d):
	c = d.client()
	c.raw(E1 % SAMPLE)
	equal(error_text(c.response(CONNECT)), "unknown token: " +
	    SAMPLE.decode(), "error")


# 9.1 virtcontainers

def operation(d, ident, name, data=None, tokens=None):
	"""One connection: AttachVM, one command, close."""
	c = Client(d)
	c.ok(ATTACH, {"containerId": ident})
	req = {"hyperName": name, "tokens": tokens}
	if data is not None:
		req["data"] = data
	payload = c.ok(HYPER, req)
	c.close()
	return payload


@test("9.1", "a pod's life as the runtime drives it", daemon=dict())
def pod_life(d):
	def agent(a, code, payload):
		a.ack(b'[{"pid":1}]' if code == A_PSCONTAINER else b"")
	a = d.agent("pod1", mode=agent, console=True)
	c = Client(d)
	c.ok(REGISTER, register_request("pod1", a.ctl_path, a.io_path,
	    a.console_path))
	c.close()
	operation(d, "pod1", "startpod", {"hostname": "pod1",
	    "containers": [], "shareDir": "hyperShared"})
	equal(a.next_ctl(A_STARTPOD)[1], b'{"hostname":"pod1","containers":'
	    b'[],"shareDir":"hyperShared"}', "startpod")
	shims = []
	for cid in ("c1", "c2"):
		c = Client(d)
		tokens = tokens_of(c.ok(ATTACH, {"containerId": "pod1",
		    "numIOStreams": 1}))
		equal(len(tokens), 1, "tokens")
		c.close()
		s = Client(d)
		s.cmd(CONNECT, {"token": tokens[0]})
		s.stdin(b"")
		operation(d, "pod1", "newcontainer", {"id": cid,
		    "process": {"args": ["sh"]}}, tokens)
		a.next_ctl(A_NEWCONTAINER)
		equal(s.response(CONNECT).err, 0, "error flag")
		s.is_shim = True
		shims.append(s)
		equal(a.next_tty(), (1 + 2 * len(shims), b""), "EOF")
	c = Client(d)
	tokens = c.attach("pod1", 1)
	c.close()
	s = Client(d)
	s.connect_shim(tokens[0])
	operation(d, "pod1", "execcmd", {"container": "c1", "process":
	    {"args": ["ls"]}}, tokens)
	a.next_ctl(A_EXECCMD)
	a.tty(7, b"bin\n")
	a.exit(7, 0)
	equal(s.stdout(), b"bin\n", "output")
	equal(s.exit_status(), 0, "status")
	s.disconnect_shim()
	equal(operation(d, "pod1", "pscontainer", {"container": "c1",
	    "format": "json", "psargs": None}), b'[{"pid":1}]', "processes")
	a.next_ctl(A_PSCONTAINER)
	for i, s in enumerate(shims):
		cid = "c%d" % (i + 1)
		operation(d, "pod1", "killcontainer", {"container": cid,
		    "signal": 15, "allProcesses": True})
		equal(a.next_ctl(A_KILLCONTAINER)[1],
		    b'{"container":"%s","signal":15,"allProcesses":true}' %
		    cid.encode(), "killcontainer")
		a.exit(3 + 2 * i, 143)
		equal(s.exit_status(), 143, "status")
		s.disconnect_shim()
		operation(d, "pod1", "removecontainer", {"container": cid})
		a.next_ctl(A_REMOVECONTAINER)
	operation(d, "pod1", "destroypod")
	equal(a.next_ctl(A_DESTROYPOD)[1], b"", "destroypod")
	c = Client(d)
	c.ok(UNREGISTER, {"containerId": "pod1"})
	c.close()
	a.hang_up("ctl")
	a.hang_up("io")
	wait_for(lambda: len(d.engines()) == 1, "engine gone")
	equal([e["msg"] for e in d.entries(level="error")], [],
	    "error entries")


@test("9.1", "RegisterVM blocks until READY; retrying clients",
    shared=True)
def blocked_register(d):
	a = d.agent("boot", ready=False)
	c = Client(d)
	c.cmd(REGISTER, register_request("boot", a.ctl_path, a.io_path))
	a.wait_accept("io")
	d.bystander.check()
	equal(pending(c.sock), 0, "answer before READY")
	a.send_ctl(A_READY)
	equal(c.response(REGISTER).err, 0, "error flag")


@test("9.1", "clients that close at once", shared=True)
def close_at_once(d):
	vm = d.vm(mode="echo")
	for i in range(100):
		c = d.client()
		if i % 3:
			c.cmd(ATTACH, {"containerId": vm.id})
		if i % 3 == 2:
			c.hyper_send("ping", i)
		c.close()
	equal(vm.client.hyper("ping", "end"), b'"end"', "reply")


# 9.2 cc-shim

@test("9.2", "ConnectShim and stdin without waiting for answers",
    daemon=LONG)
def shim_start(d):
	vm = d.vm()
	t = vm.token()
	s = Client(d)
	s.raw(frame(COMMAND, CONNECT, compact({"token": t})) +
	    frame(STREAM, STDIN, b"ls\n") + frame(STREAM, STDIN))
	equal(s.response(CONNECT).err, 0, "error flag")
	s.is_shim = True
	vm.client.hyper("newcontainer", {"id": "c", "process": {}}, [t])
	equal(vm.agent.next_tty(), (3, b"ls\n"), "stdin")
	equal(vm.agent.next_tty(), (3, b""), "EOF")


@test("9.2", "an unknown token followed by stdin", shared=True)
def shim_refused(d):
	s = d.client()
	s.raw(frame(COMMAND, CONNECT, compact({"token": "nope"})) +
	    frame(STREAM, STDIN))
	equal(error_text(s.response(CONNECT)), "unknown token: nope",
	    "error")
	s.expect_closed()


@test("9.2", "a killed shim: Signal 9 from its monitor, then EOF",
    daemon=LONG)
def shim_killed(d):
	vm = d.vm()
	s = vm.shim(cid="victim")
	monitor = s.sock.dup()
	vm.agent.skip_ctl()
	s.close()
	monitor.sendall(frame(COMMAND, SIGNAL, b'{"signalNumber":9}'))
	monitor.close()
	equal(json.loads(vm.agent.next_ctl(A_KILLCONTAINER)[1]),
	    {"container": "victim", "signal": 9, "allProcesses": False},
	    "killcontainer")
	vm.agent.exit(s.base, 137)
	n = Client(d)
	wait_for(lambda: not n.ask(CONNECT, {"token": s.token}).err,
	    "token free again")
	n.is_shim = True
	equal(n.exit_status(), 137, "status")


@test("9.2", "a shim killed before the start, stdin waiting", daemon=LONG)
def shim_killed_early(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.stdin(b"")
	monitor = s.sock.dup()
	s.close()
	monitor.sendall(frame(COMMAND, SIGNAL, b'{"signalNumber":9}'))
	monitor.close()
	n = Client(d)
	wait_for(lambda: not n.ask(CONNECT, {"token": s.token}).err,
	    "token free again")


@test("9.2", "DisconnectShim at once after ProcessExited, unread output "
    "behind", shared=True)
def shim_exit(d):
	vm = d.vm()
	s = vm.shim()
	for i in range(50):
		vm.agent.tty(s.base, b"o" * 1000)
	vm.agent.exit(s.base, 1)
	s.cmd(DISCONNECT)
	s.close()
	n = vm.shim()
	vm.agent.tty(n.base, b"x")
	equal(n.stdout(), b"x", "output")


@test("9.2", "a shim reconnects until it is told that its VM is gone",
    shared=True)
def shim_reconnect(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.hang_up("io")
	s.expect_closed(eof=True)
	n = Client(d)
	text = n.fails(CONNECT, {"token": s.token})
	equal(text, "vm: unknown token " + s.token, "error")


@test("9.2", "signals the shim forwards, 31 is refused", shared=True)
def shim_signals(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.skip_ctl()
	for n in (1, 2, 5, 6, 10, 12, 14, 15, 16, 17, 18, 20, 21, 22, 23,
	    24, 25, 26, 27, 29, 30):
		s.raw(frame(COMMAND, SIGNAL, b'{"signalNumber":%d}' % n))
		equal(s.response(SIGNAL), Frame(RESPONSE, SIGNAL, 0, b""),
		    "response")
		equal(json.loads(vm.agent.next_ctl(18)[1])["signal"], n,
		    "signal")
	equal(s.signal_fails(31), "invalid signal number 31", "error")


# 9.3 what must hold

@test("9.3", "tokens null or a list, key URL, no response to DisconnectShim",
    shared=True)
def musts(d):
	vm = d.vm()
	p = vm.client.ok(ATTACH, {"containerId": vm.id})
	check(p.endswith(b'","tokens":null}}'), "payload %r" % p)
	check(p.startswith(b'{"io":{"URL":"unix:///'), "payload %r" % p)
	p = vm.client.ok(ATTACH, {"containerId": vm.id, "numIOStreams": 2})
	check(re.search(rb'"tokens":\["[^"]{44}","[^"]{44}"\]}}$', p),
	    "payload %r" % p)


@test("9.3", "each response leaves in one write, as seen by a short read",
    shared=True)
def one_write(d):
	vm = d.vm(mode="echo")
	c, _ = vm.attach()
	for n in (0, 1, 1000, 8000):
		for i in range(20):
			data = Raw(b'"' + b"w" * n + b'"')
			c.hyper_send("ping", data)
			h = c.sock.recv(12)
			equal(len(h), 12, "bytes of one 12-byte read")
			equal(pending(c.sock), n + 2, "bytes behind it")
			c.sock.recv(n + 2)


# The real guest agent.

@test("9.1", "the real guest agent answers", daemon=dict())
def real_guest(d):
	g = Guest(d)
	c = d.client()
	f = c.register("guest", g.ctl_path, g.io_path)
	equal(f.err, 0, "error flag: %r" % f.payload)
	c.hyper("ping")
	for i in range(20):
		c.hyper("ping")
	g.close()

	def lost():
		n = d.client()
		n.attach("guest")
		n.hyper_send("ping")
		return n.response(HYPER).err
	wait_for(lost, "VM loss")


main()

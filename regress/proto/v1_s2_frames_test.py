#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Protocol 1.x, sections 2 and 10: framing, JSON, dispatch, worked frames."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp1 import *


def unhex(text):
	return bytes.fromhex(text)


def attached(d):
	"""A connection bound to a VM: it talks to the engine."""
	return VM1(d, mode="echo").client


def both(d):
	"""A fresh connection, then one that is bound to a VM."""
	yield Client1(d)
	yield attached(d)


NO_ID = b'{"success":false,"error":"no \'id\' field in request"}'
UNKNOWN = b'{"success":false,"error":"unknown containerID: nope"}'


def alive_on(c):
	"""The connection answers still."""
	r = c.ask("attach", {"containerId": "nope"})
	check(not r.success, "attach to nothing")


# 2 Framing

@test("2", "a request in single bytes, and header and body apart",
    shared=True)
def fragments(d):
	for c in both(d):
		m = message(request("bye", {"containerId": "nope"}))
		for i in range(len(m)):
			c.raw(m[i:i + 1])
			if i % 16 == 0:
				d.bystander.check()
		equal(c.reply().text, UNKNOWN, "reply")
		for cut in (4, 7, 8, 9):
			c.raw(m[:cut])
			d.bystander.check()
			c.raw(m[cut:])
			equal(c.reply().text, UNKNOWN, "reply")


@test("2", "replies come in order, one per request; pipelining",
    shared=True)
def pipelining(d):
	for c in both(d):
		text = b""
		for i in range(50):
			text += message(request("bye",
			    {"containerId": "no%d" % i}))
		c.raw(text)
		for i in range(50):
			equal(c.reply().error, "unknown containerID: no%d" %
			    i, "reply %d" % i)
		c.quiet()


@test("2", "a pipeline that crosses from the fresh to the bound state",
    shared=True)
def pipelining_hello(d):
	a = d.agent("pipe")
	c = Client1(d)
	c.raw(message(request("bye", {"containerId": "nope"})) +
	    message(request("hello", hello_request("pipe", a.ctl_path,
	    a.io_path))) +
	    message(request("hyper", hyper_data("ping", 1))) +
	    message(request("hyper", hyper_data("ping", 2))) +
	    message(request("allocateIO", {"nStreams": 2})) +
	    message(request("hyper", hyper_data("ping", 3))) +
	    message(request("bye", {"containerId": "pipe"})))
	equal(c.reply().text, UNKNOWN, "bye")
	equal(c.reply().text, VERSION, "hello")
	equal(c.reply().text, OK, "ping 1")
	equal(c.reply().text, OK, "ping 2")
	equal(c.reply().data, {"ioBase": 1}, "allocateIO")
	end = IoEnd(c.receive_fd(), 1)
	equal(c.reply().text, OK, "ping 3")
	equal(c.reply().text, OK, "bye")
	for i in (1, 2, 3):
		equal(a.next_ctl(A_PING)[1], b"%d" % i, "order at the agent")
	a.tty(1, b"x")
	end.expect(b"x")
	end.close()


@test("2", "a body of exactly 1 MiB is accepted", shared=True)
def largest(d):
	for c in both(d):
		text = request("bye", {"containerId": "nope"})
		c.raw(message(text + b" " * (BODY_MAX - len(text))))
		equal(c.reply().text, UNKNOWN, "reply")
		text = request("bye", {"x": "a" * (BODY_MAX - 100),
		    "containerId": "nope"})
		c.raw(message(b" " * (BODY_MAX - len(text)) + text))
		equal(c.reply().text, UNKNOWN, "reply")


@test("2", "a longer body or a reserved byte closes, without a reply",
    shared=True)
def bad_headers(d):
	for head in (message(b"", length=BODY_MAX + 1),
	    message(b"", length=0xffffffff), message(b"", length=0x01000000),
	    message(b"{}", reserved=1), message(b"{}", reserved=1 << 31),
	    message(b"{}", reserved=0x00010000),
	    message(b"{}", reserved=0x00000100)):
		for c in both(d):
			c.raw(head)
			c.expect_closed()
			c.close()


@test("2", "a length of 0 closes", shared=True)
def empty(d):
	for c in both(d):
		c.raw(message(b""))
		c.expect_closed()


@test("2", "what is no request closes, without a reply", shared=True)
def garbage(d):
	for body in (b"garbage", b"[]", b"1", b'"hello"', b'{"id":1}',
	    b'{"id":"bye"}x', b'{"id":"bye"}\0', b'{"id":"bye"', b"{",
	    b"\0", b'{"id":"bye","data":}', b"true"):
		for c in both(d):
			c.raw(message(body))
			c.expect_closed()
			c.close()


@test("2", "requests before a violation are answered", shared=True)
def before_violation(d):
	for c in both(d):
		c.raw(message(request("bye", {"containerId": "nope"})) +
		    message(b"[]"))
		equal(c.reply().text, UNKNOWN, "reply")
		c.expect_closed()


@test("2", "a violation harms no other connection of the VM", shared=True)
def violation_alone(d):
	vm = VM1(d)
	p = vm.process()
	vm.client.raw(message(b"garbage"))
	vm.client.expect_closed()
	p.client.hyper("ping")
	vm.agent.tty(p.base, b"out")
	p.io.expect(b"out")


@test("2", "white space around the text; null is a request", shared=True)
def white_space(d):
	for c in both(d):
		c.raw(message(b" \t\r\n" + request("bye",
		    {"containerId": "nope"}) + b" \n\t\r"))
		equal(c.reply().text, UNKNOWN, "reply")
		for body in (b"null", b" null "):
			c.raw(message(body))
			equal(c.reply().text, NO_ID, "reply")


@test("2", "a 3.x frame on the 1.x listener gets no answer; the end closes",
    shared=True)
def other_protocol(d):
	c = Client1(d)
	c.raw(frame(COMMAND, REGISTER, b"{}"))
	c.sock.shutdown(socket.SHUT_WR)
	c.expect_closed()
	c = Client1(d)
	c.raw(frame(COMMAND, CONNECT, b"{}"))
	c.expect_closed()


@test("2", "a 1.x request on the 3.x listener closes", shared=True)
def other_listener(d):
	c = Client1(d, path=d.path)
	c.raw(message(request("attach", {"containerId": "bystander"})))
	c.sock.shutdown(socket.SHUT_WR)
	c.expect_closed()


@test("2", "the daemon never speaks first; idle connections stay",
    shared=True)
def silent(d):
	idle = list(both(d)) + list(both(d))
	half = []
	for c in both(d):
		c.raw(message(request("bye", {"containerId": "nope"}))[:20])
		half.append(c)
	for i in range(20):
		d.bystander.check()
	for c in idle:
		c.quiet()
		alive_on(c)
	for c in half:
		c.quiet()
		c.raw(message(request("bye", {"containerId": "nope"}))[20:])
		equal(c.reply().text, UNKNOWN, "reply")


@test("2", "mutated requests end nothing but their connection")
def mutated(d):
	vm = VM1(d)
	rnd = random.Random(2)
	pids = set(d.processes())
	seeds = [message(request("attach", {"containerId": vm.id})),
	    message(request("bye", {"containerId": "nope"})),
	    message(request("allocateIO", {"nStreams": 2})),
	    message(request("hyper", hyper_data("ping", {"a": [1, "x"]}))),
	    message(request("hello", hello_request("m", "/none", "/none")))]
	for i in range(1500):
		c = vm.attach() if i % 2 else Client1(d)
		m = bytearray(rnd.choice(seeds) + rnd.choice(seeds))
		for j in range(rnd.randrange(1, 4)):
			at = rnd.randrange(4, len(m))
			m[at] = rnd.choice((0, 34, 92, 123, 125, 255,
			    rnd.randrange(256)))
		c.raw(bytes(m[:rnd.randrange(1, len(m) + 1)]))
		c.close()
		d.clients.remove(c)
	d.bystander.check()
	equal(pids - set(d.processes()), set(), "processes that ended")
	vm.attach().hyper("ping")


# 2.2 Replies

@test("2.2", "escapes in error texts", shared=True)
def escapes(d):
	for c in both(d):
		for ident, text in (("<a>&b", r"\u003ca\u003e\u0026b"),
		    ("\u2028\u2029", r"\u2028\u2029"), ("\u00e9", "\u00e9"),
		    ("\n\"\\", r'\n\"\\'), ("%s%n", "%s%n")):
			for name, key, lead in (("attach", "containerId",
			    "unknown containerID: "),):
				r = c.ask(name, {key: ident})
				equal(r.text, ('{"success":false,"error":"'
				    + lead + text + '"}').encode(), "reply")
		c.send("attach", Raw(b'{"containerId":"a\xffb"}'))
		equal(c.reply().error, "unknown containerID: a\ufffdb",
		    "invalid UTF-8")


@test("2.2", "no reply is longer than 1024 bytes; the cut leaves text whole",
    shared=True)
def bound(d):
	fixed = len('{"success":false,"error":"unknown containerID: "}')
	room = REPLY_MAX - fixed
	for c in both(d):
		for n in (room - 1, room, room + 1, room + 2, 5000, 100000):
			r = c.ask("attach", {"containerId": "x" * n})
			equal(r.text, b'{"success":false,"error":"unknown '
			    b'containerID: %s"}' % (b"x" * min(n, room)),
			    "reply for %d bytes" % n)
		for ch, size in (("\u00e9", 2), ("\u20ac", 3),
		    ("\U0001f433", 4), ("<", 6), ("\u2028", 6), ('"', 2)):
			for shift in range(7):
				r = c.ask("attach", {"containerId":
				    "y" * shift + ch * 2000})
				equal(r.error, "unknown containerID: " +
				    "y" * shift + ch * ((room - shift) //
				    size), "error of %s" % ascii(ch))
		for name in ("z" * 2000, "<" * 2000):
			r = c.ask(name, {})
			check(len(r.text) > REPLY_MAX - 6, "short reply")
			check(r.error.startswith("no payload named '" +
			    name[:100]), "error: " + brief(r.error))


# 2.3 Decoding

@test("2.3", "names of members in any case", shared=True)
def any_case(d):
	for c in both(d):
		c.raw(message(b'{"ID":"bye","DATA":{"CONTAINERID":"nope"}}'))
		equal(c.reply().text, UNKNOWN, "reply")
		c.raw(message(b'{"Id":"attach","dAta":{"containerid":'
		    b'"nope"}}'))
		equal(c.reply().text, UNKNOWN, "reply")
	c = attached(d)
	c.raw(message(b'{"iD":"hyper","Data":{"HYPERNAME":"ping"}}'))
	equal(c.reply().text, OK, "reply")
	c.raw(message(b'{"id":"allocateIO","data":{"NSTREAMS":1}}'))
	equal(c.reply().data, {"ioBase": 1}, "reply")
	os.close(c.receive_fd())


@test("2.3", "unknown members are ignored, the last duplicate wins",
    shared=True)
def duplicates(d):
	for c in both(d):
		c.raw(message(b'{"x":[1,{"id":"no"}],"id":"hyper","data":'
		    b'{"a":1},"id":"bye","data":{"containerId":"a","y":{},'
		    b'"containerId":"nope"}}'))
		equal(c.reply().text, UNKNOWN, "reply")


@test("2.3", "data absent: every payload says so, bound or not",
    shared=True)
def no_data(d):
	for c in both(d):
		for name in ("hello", "attach", "bye", "allocateIO", "hyper"):
			equal(c.fails(name), "unexpected end of JSON input",
			    name)


@test("2.3", "data null is all-zero", shared=True)
def null_data(d):
	free = "client not attached to a vm"
	for c, io, hyper in zip(both(d), (free, "asking for unexpected number"
	    " of streams (0)"), (free, "unknown command ''")):
		equal(c.fails("hello", None), "malformed hello command",
		    "hello")
		equal(c.fails("attach", None), "unknown containerID: ",
		    "attach")
		equal(c.fails("bye", None), "unknown containerID: ", "bye")
		equal(c.fails("allocateIO", None), io, "allocateIO")
		equal(c.fails("hyper", None), hyper, "hyper")


@test("2.3", "null for a member leaves its zero", shared=True)
def null_member(d):
	for c in both(d):
		equal(c.fails("attach", {"containerId": None}),
		    "unknown containerID: ", "attach")
		c.raw(message(b'{"id":null,"data":{}}'))
		equal(c.reply().text, NO_ID, "reply")


@test("2.3", "a wrong type inside data: an error, the connection stays",
    shared=True)
def wrong_types(d):
	text = "json: cannot unmarshal %s into Go struct field %s of type %s"
	for c in both(d):
		for name, data, args in (
		    ("allocateIO", {"nStreams": "2"}, ("string",
		    "AllocateIo.nStreams", "int")),
		    ("allocateIO", {"nStreams": 1.5}, ("number 1.5",
		    "AllocateIo.nStreams", "int")),
		    ("allocateIO", Raw(b'{"nStreams":2.0}'), ("number 2.0",
		    "AllocateIo.nStreams", "int")),
		    ("attach", {"containerId": 5}, ("number",
		    "Attach.containerId", "string")),
		    ("bye", {"containerId": []}, ("array",
		    "Bye.containerId", "string")),
		    ("hello", {"ctlSerial": {}}, ("object",
		    "Hello.ctlSerial", "string")),
		    ("hyper", {"hyperName": True}, ("bool",
		    "Hyper.hyperName", "string"))):
			equal(c.fails(name, data), text % args, name)
		for name in ("hello", "attach", "bye", "allocateIO", "hyper"):
			e = c.fails(name, [])
			check(e.startswith("json: cannot unmarshal array"),
			    "error: " + e)
		alive_on(c)


# 2.4 Dispatch

@test("2.4", "no id, an empty one, an unknown one", shared=True)
def dispatch(d):
	for c in both(d):
		for body in (b"{}", b'{"id":""}', b'{"data":{}}'):
			c.raw(message(body))
			equal(c.reply().text, NO_ID, "reply to %s" % body)
		for name in ("Hello", "allocateio", "BYE", "nope", "hyper ",
		    "RegisterVM", "a'b"):
			r = c.ask(name, {"containerId": "bystander"})
			equal(r.text, compact({"success": False, "error":
			    "no payload named '%s'" % name}), "reply")


# 10 Worked frames

E3 = unhex("00 00 00 25 00 00 00 00") + VERSION
E4 = unhex("00 00 00 2b 00 00 00 00") + \
    b'{"id":"attach","data":{"containerId":"c1"}}'
E5 = unhex("00 00 00 33 00 00 00 00") + \
    b'{"success":false,"error":"unknown containerID: c1"}'
E6 = unhex("00 00 00 29 00 00 00 00") + \
    b'{"id":"allocateIO","data":{"nStreams":2}}'
E7 = unhex("00 00 00 24 00 00 00 00") + \
    b'{"success":true,"data":{"ioBase":1}}'
E8 = unhex("00 00 00 2a 00 00 00 00") + \
    b'{"id":"hyper","data":{"hyperName":"ping"}}'
E8_REPLY = unhex("00 00 00 10 00 00 00 00") + OK
E9 = unhex("00 00 00 5a 00 00 00 00") + b'{"id":"hyper","data":' \
    b'{"hyperName":"killcontainer","data":{"container":"c1", "signal":15}}}'
E10 = unhex("00 00 00 3a 00 00 00 00") + \
    b'{"id":"hyper","data":{"hyperName":"destroypod","data":""}}'
E12 = unhex("00 00 00 28 00 00 00 00") + \
    b'{"id":"bye","data":{"containerId":"c1"}}'


def e1(ctl, io):
	return message(b'{"id":"hello","data":{"containerId":"c1",'
	    b'"ctlSerial":"%s","ioSerial":"%s"}}' % (ctl.encode(),
	    io.encode()))


class Bare:
	"""A guest's two sockets without any knowledge of the protocol."""

	def __init__(self, d):
		self.listeners = {}
		for which in ("ctl", "io"):
			s = socket.socket(socket.AF_UNIX)
			s.settimeout(CEILING)
			path = os.path.join(d.dir, "bare." + which)
			s.bind(path)
			s.listen(1)
			self.listeners[which] = s
			setattr(self, which + "_path", path)
		d.agents.append(self)

	def accept(self, which):
		s, _ = self.listeners[which].accept()
		s.settimeout(CEILING)
		setattr(self, which, s)

	def get(self, which, n):
		s = getattr(self, which)
		got = b""
		while len(got) < n:
			part = s.recv(n - len(got))
			check(part, "EOF at the guest")
			got += part
		return got

	def close(self):
		for s in self.listeners.values():
			s.close()


def receives(c, want, what):
	got = b""
	while len(got) < len(want):
		part = c._recv(len(want) - len(got))
		check(part, "EOF inside %s" % what)
		got += part
	equal(got, want, what)


@test("10", "E1 to E12, byte for byte")
def worked(d):
	g = Bare(d)
	c = Client1(d)
	c.raw(E4)
	receives(c, E5, "E5")
	c.raw(e1(g.ctl_path, g.io_path))
	g.accept("ctl")
	g.accept("io")
	g.ctl.sendall(unhex("00 00 00 08 00 00 00 08"))
	receives(c, E3, "E3 of hello")
	s = Client1(d)
	s.raw(E4)
	receives(s, E3, "E3 of attach")
	s.raw(E6)
	receives(s, E7, "E7")
	end = IoEnd(s.receive_fd(), 1)
	s.raw(E8)
	equal(g.get("ctl", 8), unhex("00 00 00 0c 00 00 00 08"), "E8 at ctl")
	g.ctl.sendall(unhex("00 00 00 0e 00 00 00 0c 00 00 00 08"))
	g.ctl.sendall(unhex("00 00 00 09 00 00 00 08"))
	receives(s, E8_REPLY, "reply of E8")
	s.raw(E9)
	equal(g.get("ctl", 39), unhex("00 00 00 12 00 00 00 27") +
	    b'{"container":"c1", "signal":15}', "E9 at ctl")
	g.ctl.sendall(unhex("00 00 00 09 00 00 00 08"))
	receives(s, E8_REPLY, "reply of E9")
	for text in ("00 00 00 00 00 00 00 01 00 00 00 0f 68 69 0a",
	    "00 00 00 00 00 00 00 02 00 00 00 0f 6e 6f 0a",
	    "00 00 00 00 00 00 00 01 00 00 00 0c",
	    "00 00 00 00 00 00 00 01 00 00 00 0d 11"):
		g.io.sendall(unhex(text))
		wait_for(lambda: pending(end.sock) >= len(unhex(text)),
		    "I/O frame")
		equal(end.sock.recv(8192), unhex(text), "E11")
	for text in ("00 00 00 00 00 00 00 01 00 00 00 0f 6c 73 0a",
	    "00 00 00 00 00 00 00 01 00 00 00 0c"):
		end.raw(unhex(text))
		equal(g.get("io", len(unhex(text))), unhex(text), "E11 stdin")
	s.raw(E10)
	equal(g.get("ctl", 10), unhex("00 00 00 04 00 00 00 0a 22 22"),
	    "E10 at ctl")
	s.close()
	g.ctl.sendall(unhex("00 00 00 09 00 00 00 08"))
	c.raw(E12)
	receives(c, E8_REPLY, "reply of E12")
	c.raw(E12)
	receives(c, E5, "E12 once more")
	end.close()


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Protocol 1.x, section 3: hello, attach, bye, allocateIO, hyper."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp1 import *

FREE = "client not attached to a vm"
MALFORMED = "malformed hello command"
ERROR = "ERROR received from Hyperstart"
DEAF = dict(timeouts={"ready": "600s", "agent": "600s"})


def hello_fails(c, ident, a, **paths):
	req = hello_request(ident, a.ctl_path, a.io_path)
	req.update(paths)
	return c.fails("hello", req)


# 3.1 hello

@test("3.1", "hello: version 1 after READY", shared=True)
def hello(d):
	a = d.agent("h", ready=False)
	c = Client1(d)
	c.send("hello", hello_request("h", a.ctl_path, a.io_path))
	a.wait_accept("io")
	d.bystander.check()
	c.quiet()
	a.send_ctl(A_READY)
	equal(c.reply().text, VERSION, "reply")
	equal(a.accepted, {"ctl": 1, "io": 1}, "connections to the agent")
	c.hyper("ping")
	equal(a.next_ctl(), (A_PING, b""), "message")


@test("3.1", "hello with a READY that has a payload", shared=True)
def hello_ready(d):
	a = d.agent("hr", ready=False)
	c = Client1(d)
	c.send("hello", hello_request("hr", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	a.send_ctl(A_NEXT, b"\0\0\0\x08")
	a.send_ctl(A_READY, b"payload")
	equal(c.reply().text, VERSION, "reply")
	c.hyper("ping")


@test("3.1", "malformed hello is refused at once, nothing is registered",
    shared=True)
def hello_malformed(d):
	a = d.agent("mal")
	whole = hello_request("mal", a.ctl_path, a.io_path, "")
	c = Client1(d)
	for key in ("containerId", "ctlSerial", "ioSerial"):
		for value in (ABSENT, "", None):
			req = dict(whole)
			if value is ABSENT:
				del req[key]
			else:
				req[key] = value
			equal(c.fails("hello", req), MALFORMED, key)
	equal(c.fails("hello", {}), MALFORMED, "empty data")
	for ident in ("", "mal"):
		equal(c.fails("attach", {"containerId": ident}),
		    "unknown containerID: " + ident, "attach")
	equal(dict(a.accepted), {}, "connections to the agent")
	c.hello("mal", a.ctl_path, a.io_path)


@test("3.1", "an id that is registered already; the connection's VM stays",
    shared=True)
def hello_twice(d):
	vm, other = VM1(d), VM1(d)
	a = d.agent("twice")
	for c in (vm.client, other.client, Client1(d), vm.attach()):
		equal(hello_fails(c, vm.id, a), vm.id +
		    ": container already registered", "hello")
	equal(dict(a.accepted), {}, "connections to the agent")
	other.client.hyper("ping", "mine")
	equal(other.agent.next_ctl()[1], b'"mine"', "the VM of the caller")
	c = Client1(d)
	hello_fails(c, vm.id, a)
	equal(c.hyper_fails("ping"), FREE, "hyper")


@test("3.1", "an id of a 3.x client's VM is registered too", shared=True)
def hello_other(d):
	vm = d.vm()
	a = d.agent("ho")
	equal(hello_fails(Client1(d), vm.id, a), vm.id +
	    ": container already registered", "hello")
	one = VM1(d)
	f = Client(d).register(one.id, a.ctl_path, a.io_path)
	check("already registered" in error_text(f), "RegisterVM: %s" %
	    f.payload)


@test("3.1", "a bound connection cannot move by hello", shared=True)
def hello_move(d):
	vm = VM1(d)
	a = d.agent("move")
	hello_fails(vm.client, "moved", a)
	vm.client.hyper("ping", 1)
	equal(vm.agent.next_ctl()[1], b"1", "the VM of the caller")
	equal(Client1(d).fails("attach", {"containerId": "moved"}),
	    "unknown containerID: moved", "attach")
	Client1(d).hello("moved", a.ctl_path, a.io_path)


@test("3.1", "sockets that cannot be reached; the id is free again",
    shared=True)
def hello_unreachable(d):
	a = d.agent("un")
	dead = os.path.join(d.dir, "dead")
	s = socket.socket(socket.AF_UNIX)
	s.bind(dead)
	s.close()
	c = Client1(d)
	fds = d.fds()
	for path in (os.path.join(d.dir, "none"), dead, d.dir):
		for key in ("ctlSerial", "ioSerial"):
			e = hello_fails(c, "un", a, **{key: path})
			check(path in e, "error: " + e)
			equal(c.fails("attach", {"containerId": "un"}),
			    "unknown containerID: un", "attach")
			equal(c.hyper_fails("ping"), FREE, "hyper")
	wait_for(lambda: d.fds() <= fds + 2, "end of leaked descriptors")
	c.hello("un", a.ctl_path, a.io_path)
	c.hyper("ping")


@test("3.1", "ERROR or another code instead of READY", shared=True)
def hello_refused(d):
	for code, text in ((A_ERROR, ERROR), (A_ACK,
	    "CMD ID received 9 not matching expected 8"), (A_PING,
	    "CMD ID received 12 not matching expected 8")):
		a = d.agent("ref%d" % code, ready=False)
		c = Client1(d)
		c.send("hello", hello_request("ref", a.ctl_path, a.io_path))
		a.wait_accept("ctl")
		a.send_ctl(code, b"text")
		r = c.reply()
		equal((r.error, r.data), (text, None), "reply")
		a.wait_eof("ctl")
		a.wait_eof("io")
		equal(c.hyper_fails("ping"), FREE, "hyper")
		b = d.agent("ref%db" % code)
		c.hello("ref", b.ctl_path, b.io_path)
		c.bye("ref")


@test("3.1", "EOF before READY is a failure; the id is free again",
    shared=True)
def hello_eof(d):
	for which in ("ctl", "io"):
		a = d.agent("eof" + which, ready=False)
		c = Client1(d)
		c.send("hello", hello_request("eof", a.ctl_path, a.io_path))
		a.wait_accept("ctl")
		a.wait_accept("io")
		a.hang_up(which)
		r = c.reply()
		check(not r.success and r.data is None, "reply: %s" % r.text)
		wait_for(lambda: "unknown containerID" in (Client1(d).ask(
		    "attach", {"containerId": "eof"}).error or ""),
		    "end of the registration")
		b = d.agent("eofb" + which)
		c = Client1(d)
		c.hello("eof", b.ctl_path, b.io_path)
		c.bye("eof")


@test("3.1", "attach during a pending hello; hyper waits behind READY")
def hello_pending(d):
	a = d.agent("pend", ready=False)
	c = Client1(d)
	c.send("hello", hello_request("pend", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	s = Client1(d)
	s.send("attach", {"containerId": "pend"})
	s.hyper_send("ping", "early")
	equal(hello_fails(Client1(d), "pend", a),
	    "pend: container already registered", "second hello")
	d.bystander.check()
	equal(a.ctl_unread(), [], "commands before READY")
	a.send_ctl(A_READY)
	equal(c.reply().text, VERSION, "hello")
	equal(s.reply().text, VERSION, "attach")
	equal(s.reply().text, OK, "hyper")
	equal(a.next_ctl(), (A_PING, b'"early"'), "command")


@test("3.1", "attach and hyper while a hello fails harm nobody")
def hello_window(d):
	for i in range(20):
		a = d.agent("win%d" % i, ready=False)
		c = Client1(d)
		c.send("hello", hello_request("win", a.ctl_path,
		    a.io_path if i % 2 else os.path.join(d.dir, "none")))
		others = [Client1(d) for j in range(5)]
		for x in others:
			x.send("attach", {"containerId": "win"})
			x.hyper_send("ping")
			x.send("allocateIO", {"nStreams": 2})
		if i % 2:
			a.wait_accept("ctl")
			a.error()
		check(not c.reply().success, "hello succeeded")
		for x in others:
			attached = x.reply().success
			r = x.reply()
			check(not r.success, "hyper succeeded")
			if not attached:
				equal(r.error, FREE, "hyper")
			r = x.reply()
			if r.success:
				os.close(x.receive_fd())
			x.close()
		c.close()
		d.bystander.check()


@test("3.1", "a client that dies during its hello leaves the VM registered")
def hello_orphan(d):
	a = d.agent("orphan", ready=False)
	c = Client1(d)
	c.send("hello", hello_request("orphan", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	c.close()
	d.bystander.check()
	a.send_ctl(A_READY)
	s = Client1(d).attach("orphan")
	s.hyper("ping")
	s.bye("orphan")


@test("3.1", "a READY that never comes blocks only its VM", daemon=DEAF)
def hello_deaf(d):
	a = d.agent("deaf", ready=False)
	c = Client1(d)
	c.send("hello", hello_request("deaf", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	for i in range(20):
		d.bystander.check()
	VM1(d).client.hyper("ping")
	c.quiet()


# 3.2 attach

@test("3.2", "attach: version 1; again; unknown", shared=True)
def attach(d):
	vm = VM1(d)
	c = Client1(d)
	equal(c.fails("attach", {"containerId": "nope"}),
	    "unknown containerID: nope", "attach")
	equal(c.hyper_fails("ping"), FREE, "hyper")
	for i in range(3):
		c.attach(vm.id)
	equal(c.fails("attach", {"containerId": "nope"}),
	    "unknown containerID: nope", "attach")
	c.hyper("ping", "still")
	equal(vm.agent.next_ctl()[1], b'"still"', "VM after a failed attach")


@test("3.2", "members of 3.x requests mean nothing here", shared=True)
def attach_members(d):
	for value in (1, 5000, -1, "x", {}, None):
		a = d.agent("mem%d" % id(value))
		req = hello_request("mem", a.ctl_path, a.io_path)
		req["numIOStreams"] = value
		c = Client1(d)
		equal(c.ok("hello", req).text, VERSION, "hello")
		for x in (c, Client1(d)):
			r = x.ok("attach", {"containerId": "mem",
			    "numIOStreams": value, "ctlSerial": 1})
			equal(r.text, VERSION, "attach")
		equal(c.allocate_io(1).base, 1, "number")
		equal(c.ok("bye", {"containerId": "mem",
		    "numIOStreams": value, "tokens": value}).text, OK, "bye")


@test("3.2", "a bound connection cannot move by attach", shared=True)
def attach_move(d):
	vm, other = VM1(d), VM1(d)
	c = vm.attach()
	c.fails("attach", {"containerId": other.id})
	c.hyper("ping", "here")
	equal(vm.agent.next_ctl()[1], b'"here"', "the VM of the caller")
	equal(other.agent.ctl_unread(), [], "commands at the other")


@test("3.2", "VMs are shared with 3.x clients, both ways", shared=True)
def attach_other(d):
	vm = d.vm(mode="echo")
	Client1(d).attach(vm.id).hyper("ping", {"a": 1})
	equal(vm.agent.next_ctl(), (A_PING, b'{"a":1}'), "command")
	one = VM1(d, mode="echo")
	c = Client(d)
	c.attach(one.id)
	equal(c.hyper("ping", {"b": 2}), b'{"b":2}', "answer")


# 3.3 bye

@test("3.3", "bye frees the id at once, whoever says it", shared=True)
def bye(d):
	vm, other = VM1(d), VM1(d)
	p = vm.process()
	for c in (Client1(d), other.client):
		c.bye(vm.id)
		for again in (c, Client1(d)):
			equal(again.fails("bye", {"containerId": vm.id}),
			    "unknown containerID: " + vm.id, "second bye")
			equal(again.fails("attach", {"containerId": vm.id}),
			    "unknown containerID: " + vm.id, "attach")
		a = d.agent(vm.id + "n%d" % id(c))
		Client1(d).hello(vm.id, a.ctl_path, a.io_path)
		Client1(d).attach(vm.id).hyper("ping")
		equal(a.next_ctl(), (A_PING, b""), "command at the new VM")
	equal(vm.agent.tty_unread() + vm.agent.ctl_unread()[1:], [],
	    "messages to the agent")
	equal(vm.agent.eof, set(), "EOF at the agent")
	p.client.hyper("ping", "old")
	vm.agent.wait(lambda: vm.agent.ctl_in[-1] == (A_PING, b'"old"'),
	    "command at the old VM")
	vm.agent.tty(p.base, b"out")
	p.io.expect(b"out")


@test("3.3", "bye leaves its connection without a VM, also for another id",
    shared=True)
def bye_detaches(d):
	vm, other = VM1(d), VM1(d)
	c = vm.attach()
	c.bye(vm.id)
	equal(c.hyper_fails("ping"), FREE, "hyper")
	equal(c.fails("allocateIO", {"nStreams": 1}), FREE, "allocateIO")
	vm = VM1(d)
	c = vm.attach()
	c.bye(other.id)
	equal(c.hyper_fails("ping"), FREE, "hyper")
	equal(c.fails("bye", {"containerId": other.id}),
	    "unknown containerID: " + other.id, "bye")
	c.attach(vm.id)
	c.hyper("ping")
	equal(vm.agent.next_ctl(), (A_PING, b""), "command")
	vm.client.hyper("ping")


@test("3.3", "a failed bye leaves the connection's VM", shared=True)
def bye_unknown(d):
	vm = VM1(d)
	equal(vm.client.fails("bye", {"containerId": "nope"}),
	    "unknown containerID: nope", "bye")
	vm.client.hyper("ping")


@test("3.3", "bye and UnregisterVM of each other's VMs", shared=True)
def bye_other(d):
	vm, one = d.vm(), VM1(d)
	Client1(d).bye(vm.id)
	check("unknown containerID" in Client(d).fails(ATTACH,
	    {"containerId": vm.id}), "attach to what is gone")
	c = Client(d)
	c.ok(UNREGISTER, {"containerId": one.id})
	equal(Client1(d).fails("attach", {"containerId": one.id}),
	    "unknown containerID: " + one.id, "attach")


@test("3.3", "bye through a connection of the same VM's other protocol",
    shared=True)
def bye_own(d):
	vm = d.vm()
	c = Client1(d).attach(vm.id)
	c.bye(vm.id)
	equal(c.hyper_fails("ping"), FREE, "hyper")
	vm.client.hyper("ping")


# 3.4 allocateIO

@test("3.4", "numbers start at 1, grow by nStreams, per VM", shared=True)
def allocate(d):
	for i in range(2):
		vm = VM1(d)
		got = [c.allocate_io(n).base for c, n in ((vm.client, 2),
		    (vm.client, 1), (vm.attach(), 1), (vm.attach(), 2),
		    (vm.client, 2))]
		equal(got, [1, 3, 4, 5, 7], "numbers")


@test("3.4", "numbers are never used again", shared=True)
def allocate_again(d):
	vm = VM1(d)
	for i in range(20):
		c = vm.attach()
		end = c.allocate_io(1)
		equal(end.base, i + 1, "number")
		end.close()
		c.close()


@test("3.4", "one counter for both protocols", shared=True)
def allocate_mixed(d):
	vm = d.vm()
	c = Client1(d).attach(vm.id)
	equal(c.allocate_io(2).base, 3, "first number of a 3.x VM")
	s = vm.shim()
	equal(s.base, 5, "number of a token")
	equal(c.allocate_io(1).base, 7, "next")
	s = vm.shim()
	equal(s.base, 8, "number of a token")
	one = VM1(d)
	equal(one.client.allocate_io(1).base, 1, "first of a 1.x VM")
	x = Client(d)
	token = x.attach(one.id, 1)[0]
	s = Client(d)
	s.connect_shim(token)
	x.hyper("newcontainer", {"id": "c", "process": {"args": ["x"]}},
	    [token])
	m = json.loads(one.agent.next_ctl(A_NEWCONTAINER)[1])
	base = m["process"]["stdio"]
	equal(m["process"]["stderr"], base + 1, "stderr")
	check(base >= 2, "number %d again" % base)
	after = one.client.allocate_io(2).base
	check(after >= base + 2, "number %d after %d" % (after, base))


@test("3.4", "a bad nStreams: no data, no descriptor, the counter stays",
    shared=True)
def allocate_range(d):
	vm = VM1(d)
	c = vm.client
	equal(c.allocate_io(1).base, 1, "number")
	fds = d.fds()
	for n in (0, 3, -1, -5, 1000, 1 << 40, -(1 << 63)):
		equal(c.fails("allocateIO", {"nStreams": n}),
		    "asking for unexpected number of streams (%d)" % n,
		    "error")
		c.quiet()
	equal(c.fails("allocateIO", {}),
	    "asking for unexpected number of streams (0)", "error")
	equal(d.fds(), fds, "descriptors")
	equal(c.allocate_io(2).base, 2, "number")


@test("3.4", "not attached: this goes before the range", shared=True)
def allocate_free(d):
	c = Client1(d)
	for n in (1, 2, 0, 7):
		equal(c.fails("allocateIO", {"nStreams": n}), FREE, "error")
		c.quiet()
	e = c.fails("allocateIO", {"nStreams": "x"})
	check(e.startswith("json: "), "error: " + e)


# 3.5 hyper

CODES = dict(version=0, startpod=1, destroypod=4, execcmd=6, winsize=11,
    ping=12, writefile=15, readfile=16, newcontainer=17, killcontainer=18,
    onlinecpumem=19, setupinterface=20, setuproute=21)


@test("3.5", "every name and its code", shared=True)
def hyper_names(d):
	vm = VM1(d)
	for name, code in CODES.items():
		vm.client.hyper(name, {"n": name})
		equal(vm.agent.next_ctl(), (code, compact({"n": name})),
		    name)


@test("3.5", "names that are none of a client's", shared=True)
def hyper_unknown(d):
	vm = VM1(d)
	for name in ("", "Ping", "PING", "ping ", "finishpod", "getpod",
	    "stoppod", "restartcontainer", "finishcmd", "ready", "ack",
	    "error", "next", "removecontainer", "pscontainer",
	    "processasyncevent", "<x>"):
		equal(vm.client.hyper_fails(name, {}), "unknown command '%s'"
		    % name, "error")
	equal(vm.client.hyper_fails(""), "unknown command ''", "error")
	equal(vm.agent.ctl_unread(), [], "messages to the agent")


@test("3.5", "data goes verbatim: white space, escapes, big numbers",
    shared=True)
def hyper_verbatim(d):
	vm = VM1(d)
	for data in (b'{ "a" :\t[ 1 , 2.50e1 ] ,\n"a":18446744073709551616 }',
	    b"null", b'""', b'"\\u0041\\/\xc3\xa9"', b"[]", b"1.000", b"{}",
	    b'{"process":{"stdio":0,"stderr":99}}', b'"\xff\xfe"'):
		for name in ("ping", "newcontainer", "execcmd"):
			vm.client.hyper(name, Raw(data))
			equal(vm.agent.next_ctl(), (CODES[name], data), name)
	vm.client.hyper("ping")
	equal(vm.agent.next_ctl(), (A_PING, b""), "absent data")


@test("3.5", "numbers in newcontainer and execcmd are the client's",
    shared=True)
def hyper_stdio(d):
	p = VM1(d).process(start=False)
	for name in ("newcontainer", "execcmd"):
		p.client.hyper(name, p.request())
		equal(p.vm.agent.next_ctl(), (CODES[name],
		    compact(p.request())), name)


@test("3.5", "10232 bytes of data are the most", shared=True)
def hyper_long(d):
	vm = VM1(d)
	for n in (10231, 10232):
		data = b'"' + b"x" * (n - 2) + b'"'
		vm.client.hyper("writefile", Raw(data))
		equal(vm.agent.next_ctl(), (A_WRITEFILE, data), "message")
	for n in (10233, 10240, 100000):
		data = b'"' + b"x" * (n - 2) + b'"'
		equal(vm.client.hyper_fails("writefile", Raw(data)),
		    "message too long %d" % (n + 8), "error")
	equal(vm.agent.ctl_unread(), [], "messages to the agent")
	equal(vm.client.hyper_fails("nope", Raw(b'"' + b"x" * 20000 + b'"')),
	    "unknown command 'nope'", "error")


@test("3.5", "the payload of an ACK is dropped", shared=True)
def hyper_ack(d):
	vm = VM1(d, mode="echo")
	for data in ({"a": 1}, "x" * 9000):
		vm.client.hyper("readfile", data)
	vm.agent.mode = "manual"
	vm.client.hyper_send("version")
	vm.agent.next_ctl(), vm.agent.next_ctl()
	vm.agent.next_ctl(A_VERSION)
	vm.agent.ack(b"v" * 300000)
	equal(vm.client.reply().text, OK, "reply")


@test("3.5", "ERROR and other codes from the guest", shared=True)
def hyper_errors(d):
	vm = VM1(d, mode="manual")
	c = vm.client
	for payload in (b"", b"text of the guest"):
		c.hyper_send("ping")
		vm.agent.next_ctl()
		vm.agent.error(payload)
		r = c.reply()
		equal((r.error, r.data), (ERROR, None), "reply")
	for code in (A_PING, A_NEWCONTAINER):
		c.hyper_send("ping")
		vm.agent.next_ctl()
		vm.agent.send_ctl(code)
		r = c.reply()
		equal(r.error, "CMD ID received %d not matching expected 9" %
		    code, "error")
	c.hyper_send("ping")
	vm.agent.next_ctl()
	vm.agent.ack()
	equal(c.reply().text, OK, "reply")


@test("3.5", "not attached", shared=True)
def hyper_free(d):
	c = Client1(d)
	for name in ("ping", "nope", ""):
		equal(c.hyper_fails(name, {}), FREE, "error")


main()

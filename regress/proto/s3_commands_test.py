#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Section 3: every command, every error text."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

LOST = "No multicast available for CTL channel"
SHORT = dict(timeouts={"shim": "100ms", "process": "100ms",
    "stdin": "100ms"})

SIGNALS = """signal 0|hangup|interrupt|quit|illegal instruction
trace/breakpoint trap|aborted|bus error|floating point exception|killed
user defined signal 1|segmentation fault|user defined signal 2|broken pipe
alarm clock|terminated|stack fault|child exited|continued|stopped (signal)
stopped|stopped (tty input)|stopped (tty output)|urgent I/O condition
CPU time limit exceeded|file size limit exceeded|virtual timer expired
profiling timer expired|window changed|I/O possible|power failure""".replace(
    "\n", "|").split("|")

CODES = {"version": 0, "startpod": 1, "destroypod": 4, "winsize": 11,
    "ping": 12, "writefile": 15, "readfile": 16, "killcontainer": 18,
    "onlinecpumem": 19, "setupinterface": 20, "setuproute": 21,
    "removecontainer": 22, "pscontainer": 23}


def lose(vm):
	"""End a VM and wait until its proxy side knows."""
	vm.agent.hang_up("ctl")
	vm.agent.hang_up("io")
	c = Client(vm.daemon)
	c.attach(vm.id)

	def lost():
		c.hyper_send("ping")
		return c.response(HYPER).err
	wait_for(lost, "VM loss")
	return c


# 3.1 RegisterVM

@test("3.1", "success: URL and tokens null", shared=True)
def register_success(d):
	a = d.agent("r1")
	c = d.client()
	f = c.register("r1", a.ctl_path, a.io_path)
	equal(f.payload, b'{"io":{"URL":"unix://' + d.path.encode() +
	    b'","tokens":null}}', "payload")
	c.hyper("ping")
	equal(a.accepted["ctl"], 1, "control connections")
	equal(a.accepted["io"], 1, "I/O connections")
	for n in (0, -1):
		a = d.agent("r1%d" % n)
		f = d.client().register("r1%d" % n, a.ctl_path, a.io_path,
		    n=n)
		equal(tokens_of(f.payload), None, "tokens")


@test("3.1", "tokens on request, up to 1024 in one call", shared=True)
def register_tokens(d):
	seen = set()
	for n in (1, 2, 255, 256, 257, 1024):
		a = d.agent("rt%d" % n)
		c = d.client()
		f = c.register("rt%d" % n, a.ctl_path, a.io_path, n=n)
		t = tokens_of(f.payload)
		equal(len(t), n, "tokens")
		seen |= set(t)
		t = c.attach("rt%d" % n, n)
		equal(len(t), n, "tokens of AttachVM")
		seen |= set(t)
	equal(len(seen), 2 * (1 + 2 + 255 + 256 + 257 + 1024),
	    "different tokens")


@test("3.1", "too many tokens are refused or cut", shared=True)
def register_too_many(d):
	vm = d.vm()
	for n in (1025, 65536, 2 ** 31, 2 ** 32 + 1, 2 ** 63 - 1):
		for c in (d.client(), vm.client):
			f = c.ask(ATTACH, {"containerId": vm.id,
			    "numIOStreams": n})
			if not f.err:
				check(len(tokens_of(f.payload)) <= 1024,
				    "%d tokens" % n)
		a = d.agent("many%d" % n)
		f = d.client().register("many%d" % n, a.ctl_path, a.io_path,
		    n=n)
		if not f.err:
			check(len(tokens_of(f.payload)) <= 1024,
			    "%d tokens" % n)
	vm.client.hyper("ping")


def url_of(d, path, shown):
	d.argv[d.argv.index("-socket-path") + 1] = path
	d.path = os.path.join(d.dir, path)
	d.start()
	d.bystander = Bystander(d)
	f = d.bystander.vm.client.ask(ATTACH, {"containerId": "bystander"})
	equal(json.loads(f.payload)["io"]["URL"], shown, "URL")


@test("3.1", "URL escaping", daemon=dict(start=False), bystander=False)
def url_escaping(d):
	path = os.path.join(d.dir, "a b%c", "\u00e9?#[x].sock")
	url_of(d, path, "unix://" + d.dir +
	    "/a%20b%25c/%C3%A9%3F%23%5Bx%5D.sock")
	d.bystander.check()


@test("3.1", "URL of a relative path", daemon=dict(start=False),
    bystander=False)
def url_relative(d):
	url_of(d, "rel/x.sock", "unix://rel/x.sock")
	d.bystander.check()


@test("3.1", "malformed: nothing is registered", shared=True)
def malformed(d):
	a = d.agent("mal")
	for ident, ctl, io in (("", a.ctl_path, a.io_path),
	    ("mal", "", a.io_path), ("mal", a.ctl_path, ""),
	    ("", "", "")):
		c = d.client()
		equal(c.fails(REGISTER, register_request(ident, ctl, io)),
		    "malformed RegisterVM command", "error")
		equal(c.fails(ATTACH, {"containerId": ident}),
		    "unknown containerID: " + ident, "error")
		equal(c.hyper_fails("ping"), "client not attached to a vm",
		    "error")
		equal(c.fails(UNREGISTER, {"containerId": ident}),
		    "unknown containerID: " + ident, "error")
	equal(a.accepted["ctl"], 0, "connections to the agent")
	f = d.client().register("mal", a.ctl_path, a.io_path)
	equal(f.err, 0, "error flag")


@test("3.1", "a duplicate changes nothing", shared=True)
def duplicate(d):
	vm = d.vm(mode="echo")
	other = d.agent("dup")
	for c in (d.client(), vm.client, d.client()):
		equal(c.fails(REGISTER, register_request(vm.id,
		    other.ctl_path, other.io_path)),
		    vm.id + ": container already registered", "error")
	equal(other.accepted["ctl"], 0, "connections to the other agent")
	equal(vm.client.hyper("ping", 1), b"1", "reply")
	c, _ = vm.attach()
	equal(c.hyper("ping", 2), b"2", "reply")


@test("3.1", "dial errors", shared=True)
def dial_errors(d):
	a = d.agent("dial")
	gone = os.path.join(d.dir, "gone.sock")
	dead = os.path.join(d.dir, "dead.sock")
	s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
	s.bind(dead)
	s.close()
	text = "dial unix %s: connect: %s"
	long = "/" + "x" * 120
	for ctl, io, want in (
	    (gone, a.io_path, text % (gone, "no such file or directory")),
	    (a.ctl_path, gone, text % (gone, "no such file or directory")),
	    (dead, a.io_path, text % (dead, "connection refused")),
	    (a.ctl_path, dead, text % (dead, "connection refused")),
	    (long, a.io_path, text % (long, "invalid argument")),
	    (a.ctl_path, long, text % (long, "invalid argument")),
	    (d.log_path, a.io_path, None),
	    (d.dir, a.io_path, None),
	    ("/dev/null", a.io_path, None),
	    ("relative.sock", a.io_path, None),
	    ("@abstract", a.io_path, None),
	    ("/" + "y" * 5000, a.io_path, None)):
		c = d.client()
		got = c.fails(REGISTER, register_request("dial", ctl, io))
		if want is not None:
			equal(got, want, "error")
		equal(c.fails(ATTACH, {"containerId": "dial"}),
		    "unknown containerID: dial", "error")
	c = d.client()
	equal(c.register("dial", a.ctl_path, a.io_path).err, 0, "error flag")
	c.hyper("ping")


@test("3.1", "retry on the same connection after a failure", shared=True)
def register_retry(d):
	a = d.agent("retry")
	c = d.client()
	for i in range(3):
		c.fails(REGISTER, register_request("retry", "/nowhere",
		    a.io_path))
	equal(c.register("retry", a.ctl_path, a.io_path).err, 0,
	    "error flag")
	c.hyper("ping")


@test("3.1", "ERROR instead of READY", shared=True)
def ready_error(d):
	a = d.agent("re", ready=False)
	c = d.client()
	c.cmd(REGISTER, register_request("re", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	a.error(b"guest is <broken>")
	equal(error_text(c.response(REGISTER)),
	    "ERROR received from VM agent, control msg received : "
	    "guest is <broken>", "error")
	a.wait_eof("ctl")
	a.wait_eof("io")
	a = d.agent("re2")
	equal(d.client().register("re", a.ctl_path, a.io_path).err, 0,
	    "error flag at the second attempt")


@test("3.1", "another code instead of READY", shared=True)
def ready_other(d):
	for code in (9, 12, 255):
		name = "ro%d" % code
		a = d.agent(name, ready=False)
		c = d.client()
		c.cmd(REGISTER, register_request(name, a.ctl_path,
		    a.io_path))
		a.wait_accept("ctl")
		a.send_ctl(code, b"text")
		equal(error_text(c.response(REGISTER)),
		    "CMD ID received %d not matching expected 8, control "
		    "msg received : text" % code, "error")
		equal(c.fails(ATTACH, {"containerId": name}),
		    "unknown containerID: " + name, "error")


@test("3.1", "NEXT before READY is skipped; READY in pieces", shared=True)
def ready_next(d):
	a = d.agent("rn", ready=False)
	c = d.client()
	c.cmd(REGISTER, register_request("rn", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	a.send_ctl(A_NEXT, b"\0\0\0\x08")
	for b in struct.pack(">II", A_READY, 8):
		a.raw_ctl(bytes([b]))
	equal(c.response(REGISTER).err, 0, "error flag")
	c.hyper("ping")


@test("3.1", "READY deadline", daemon=dict(timeouts={"ready": "200ms"}))
def ready_timeout(d):
	a = d.agent("late", ready=False)
	c = d.client()
	c.cmd(REGISTER, register_request("late", a.ctl_path, a.io_path))
	error_text(c.response(REGISTER))
	a.wait_eof("ctl")
	a.wait_eof("io")
	equal(c.fails(ATTACH, {"containerId": "late"}),
	    "unknown containerID: late", "error")
	a = d.agent("late2")
	equal(d.client().register("late", a.ctl_path, a.io_path).err, 0,
	    "error flag at the second attempt")


@test("3.1", "EOF before READY fails at once", shared=True)
def ready_eof(d):
	for which in ("ctl", "io"):
		name = "eof" + which
		a = d.agent(name, ready=False)
		c = d.client()
		c.cmd(REGISTER, register_request(name, a.ctl_path,
		    a.io_path))
		a.wait_accept("ctl")
		a.wait_accept("io")
		a.hang_up(which)
		error_text(c.response(REGISTER))
		a.wait_eof("ctl" if which == "io" else "io")
		equal(c.fails(ATTACH, {"containerId": name}),
		    "unknown containerID: " + name, "error")


@test("3.1", "a VM waiting for READY: others attach cleanly or fail",
    shared=True)
def attach_while_connecting(d):
	a = d.agent("slow", ready=False, mode="echo")
	c = d.client()
	c.cmd(REGISTER, register_request("slow", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	a.wait_accept("io")
	equal(d.client().fails(REGISTER, register_request("slow",
	    a.ctl_path, a.io_path)), "slow: container already registered",
	    "error")
	others = [d.client() for i in range(5)]
	for o in others:
		o.cmd(ATTACH, {"containerId": "slow"})
		o.hyper_send("ping", 1)
	d.bystander.check()
	a.send_ctl(A_READY)
	equal(c.response(REGISTER).err, 0, "error flag")
	for o in others:
		att, hyp = o.response(ATTACH), o.response(HYPER)
		equal(att.err, hyp.err, "error flag of AttachVM and Hyper")
		if not hyp.err:
			equal(hyp.payload, b"1", "reply")
	d.bystander.check()


@test("3.1", "the registering client leaves before READY", shared=True)
def leave_while_connecting(d):
	a = d.agent("leave", ready=False)
	c = d.client()
	c.cmd(REGISTER, register_request("leave", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	c.close()
	a.send_ctl(A_READY)

	def usable():
		c = d.client()
		f = c.ask(ATTACH, {"containerId": "leave"})
		if f.err:
			b = d.agent("leave%d" % d.log_mark())
			f = c.register("leave", b.ctl_path, b.io_path)
		return not f.err
	wait_for(usable, "VM usable or its id free")


@test("3.1", "an attached connection cannot move to a new VM", shared=True)
def register_on_attached(d):
	vm = d.vm(mode="echo")
	a = d.agent("move")
	vm.client.fails(REGISTER, register_request("move", a.ctl_path,
	    a.io_path))
	equal(vm.client.hyper("ping", 1), b"1", "reply")
	c = d.client()
	f = c.ask(ATTACH, {"containerId": "move"})
	if f.err:
		equal(c.register("move", a.ctl_path, a.io_path).err, 0,
		    "error flag")


# 3.2 UnregisterVM

@test("3.2", "unknown ids", shared=True)
def unregister_unknown(d):
	vm = d.vm()
	for c in (d.client(), vm.client):
		for ident in ("", "nobody", "x" * 3000, "\u20ac"):
			equal(c.fails(UNREGISTER, {"containerId": ident}),
			    "unknown containerID: " + ident, "error")


@test("3.2", "frees the id, keeps everything else", shared=True)
def unregister(d):
	vm = d.vm(mode="echo")
	s = vm.shim()
	token = vm.token()
	other, _ = vm.attach()
	equal(vm.client.ok(UNREGISTER, {"containerId": vm.id}), b"",
	    "payload")
	equal(vm.client.hyper_fails("ping"), "client not attached to a vm",
	    "error")
	equal(vm.client.fails(UNREGISTER, {"containerId": vm.id}),
	    "unknown containerID: " + vm.id, "error")
	equal(d.client().fails(ATTACH, {"containerId": vm.id}),
	    "unknown containerID: " + vm.id, "error")
	equal(other.hyper("ping", 1), b"1", "reply to another client")
	vm.agent.tty(s.base, b"out")
	equal(s.stdout(), b"out", "output of a shim")
	s.stdin(b"in")
	equal(vm.agent.next_tty(), (s.base, b"in"), "stdin of a shim")
	late = Client(d)
	late.connect_shim(token)
	other.hyper("newcontainer", {"id": "late", "process": {}}, [token])
	vm.agent.tty(s.base + 2, b"late")
	equal(late.stdout(), b"late", "output of a shim that came later")


@test("3.2", "the same id again while the old VM lives", shared=True)
def register_again(d):
	old = d.vm("again", mode="echo")
	s = old.shim()
	other, _ = old.attach()
	old.unregister()
	new = d.vm("again", mode="echo")
	t = s
	new_shim = new.shim()
	equal(other.hyper("ping", 1), b"1", "old VM's client")
	equal(new.client.hyper("ping", 2), b"2", "new VM's client")
	old.agent.tty(t.base, b"old")
	new.agent.tty(new_shim.base, b"new")
	equal(t.stdout(), b"old", "old VM's output")
	equal(new_shim.stdout(), b"new", "new VM's output")
	equal(other.hyper_fails("newcontainer", {"process": {}},
	    [new.token()])[:13], "unknown token", "error")
	new.unregister()
	equal(d.client().fails(ATTACH, {"containerId": "again"}),
	    "unknown containerID: again", "error")


@test("3.2", "of another VM's id from an attached connection", shared=True)
def unregister_foreign(d):
	one, two = d.vm(), d.vm(mode="echo")
	other, _ = two.attach()
	one.client.ok(UNREGISTER, {"containerId": two.id})
	equal(d.client().fails(ATTACH, {"containerId": two.id}),
	    "unknown containerID: " + two.id, "error")
	equal(other.hyper("ping", 1), b"1", "reply")
	c, _ = one.attach()
	c.hyper("ping")


@test("3.2", "of a lost VM", shared=True)
def unregister_lost(d):
	vm = d.vm()
	lose(vm)
	c = d.client()
	c.ok(UNREGISTER, {"containerId": vm.id})
	equal(c.fails(ATTACH, {"containerId": vm.id}),
	    "unknown containerID: " + vm.id, "error")
	again = d.vm(vm.id)
	again.client.hyper("ping")


# 3.3 AttachVM

@test("3.3", "unknown ids", shared=True)
def attach_unknown(d):
	vm = d.vm(mode="echo")
	for c in (d.client(), vm.client):
		for ident in ("", "nobody", vm.id + "x", vm.id[:-1],
		    vm.id.upper(), "x" * 3000):
			equal(c.fails(ATTACH, {"containerId": ident,
			    "numIOStreams": 1}),
			    "unknown containerID: " + ident, "error")
	equal(vm.client.hyper("ping", 1), b"1", "reply")


@test("3.3", "many times to the same VM", shared=True)
def attach_again(d):
	vm = d.vm(mode="echo")
	c = d.client()
	tokens = set()
	for i in range(20):
		for t in c.attach(vm.id, 2):
			tokens.add(t)
	equal(len(tokens), 40, "different tokens")
	equal(c.hyper("ping", 1), b"1", "reply")


@test("3.3", "to another VM on one connection is refused", shared=True)
def attach_other(d):
	one, two = d.vm(mode="echo"), d.vm(mode="echo")
	c, _ = one.attach()
	error_text(c.ask(ATTACH, {"containerId": two.id,
	    "numIOStreams": 1}))
	equal(c.hyper("ping", "one"), b'"one"', "reply")
	equal([p for code, p in two.agent.ctl_in], [], "messages at the "
	    "other agent")


@test("3.3", "to a lost VM succeeds and yields tokens", shared=True)
def attach_lost(d):
	vm = d.vm()
	lose(vm)
	c = d.client()
	equal(len(c.attach(vm.id, 2)), 2, "tokens")
	equal(c.hyper_fails("ping"), LOST, "error")


# 3.4 Hyper

@test("3.4", "names and codes", shared=True)
def codes(d):
	vm = d.vm(mode="echo")
	for name, code in CODES.items():
		equal(vm.client.hyper(name, {"n": name}),
		    compact({"n": name}), "reply")
		equal(vm.agent.next_ctl(), (code, compact({"n": name})),
		    "message of " + name)
	for name, code in (("newcontainer", 17), ("execcmd", 6)):
		vm.client.hyper(name, {"id": "c", "container": "c",
		    "process": {}})
		vm.agent.next_ctl(code)


@test("3.4", "unknown names; ready, ack, error and next are refused",
    shared=True)
def unknown_names(d):
	vm = d.vm(mode="echo")
	for name in ("finishpod", "", "Ping", "PING", "ping ", "podfinished",
	    "ready", "ack", "error", "next", "processasyncevent", "x" * 500,
	    "\u20ac"):
		equal(vm.client.hyper_fails(name, {"a": 1}),
		    "unknown command '%s'" % name, "error")
	equal(vm.client.hyper("ping", 1), b"1", "reply")
	vm.agent.next_ctl(A_PING)
	equal(vm.agent.ctl_unread(), [], "more messages at the agent")


@test("3.4", "data is passed on verbatim", shared=True)
def verbatim(d):
	vm = d.vm(mode="echo")
	for data in (b"null", b"true", b"1", b"-1.50e+02",
	    b"18446744073709551615", b'"s"', b'"\\u003c\\/"', b"[]",
	    b"{}", b"[ 1 ,\n\t2 ]", b'{ "b" : 1 , "a" : [ ] , "b":2 }',
	    b'{"n":123456789012345678901234567890.5}',
	    '"\u00e9\u2028<&>"'.encode(),
	    b'{"process":{"stdio":7,"stderr":8}}'):
		for name in ("ping", "startpod"):
			equal(vm.client.hyper(name, Raw(data)), data,
			    "payload at the agent")
	equal(vm.client.hyper("ping"), b"", "payload without data")
	f = vm.client.ask(HYPER, Raw(
	    b'{ "hyperName" : "ping" , "data" :  [1, 2]  ,"tokens":null }'))
	equal(f.payload, b"[1, 2]", "payload at the agent")
	f = vm.client.ask(HYPER, Raw(
	    b'{"DATA":[3],"HYPERNAME":"ping","Tokens":[]}'))
	equal(f.payload, b"[3]", "payload at the agent")
	f = vm.client.ask(HYPER, Raw(
	    b'{"x":{"data":1},"data":2,"hyperName":"ping","data":[4]}'))
	equal(f.payload, b"[4]", "payload at the agent")


@test("3.4", "10240 bytes pass, 10241 only once the agent is known",
    shared=True)
def too_long(d):
	vm = d.vm(mode="echo")
	vm.agent.limit = 60000
	for total in (10241, 10242, 60000):
		data = b'"' + b"x" * (total - 8 - 2) + b'"'
		equal(vm.client.hyper_fails("ping", Raw(data)),
		    "message too long %d" % total, "error")
	for total in (10240, 10239, 10241, 60000):
		data = b'"' + b"x" * (total - 8 - 2) + b'"'
		equal(vm.client.hyper("ping", Raw(data)), data, "reply")
	equal(vm.client.hyper("ping", 1), b"1", "reply")


@test("3.4", "token rules", shared=True)
def token_rules(d):
	vm, other = d.vm(mode="echo"), d.vm()
	c = vm.client
	t1, t2 = vm.token(), vm.token()
	foreign = other.token()
	data = {"id": "c", "process": {}}
	for name in ("newcontainer", "execcmd"):
		equal(c.hyper_fails(name, data, [t1, t2]),
		    "expected 0 or 1 token, got 2", "error")
		equal(c.hyper_fails(name, data, ["a", "b", "c"]),
		    "expected 0 or 1 token, got 3", "error")
		for t in ("nope", "", foreign, t1[:-1], t1 + "="):
			equal(c.hyper_fails(name, data, [t]),
			    "unknown token " + t, "error")
	for name in ("ping", "startpod", "nonsense", "ready"):
		equal(c.hyper_fails(name, data, [t1]), "%s doesn't need "
		    "tokens but 1 token(s) were given" % name, "error")
		equal(c.hyper_fails(name, data, ["a", "b"]), "%s doesn't "
		    "need tokens but 2 token(s) were given" % name, "error")
	equal(c.hyper("ping", 1, []), b"1", "reply with no token")
	equal(len(vm.agent.ctl_in), 1, "messages at the agent")


@test("3.4", "pre-filled sequence numbers", shared=True)
def prefilled(d):
	vm = d.vm()
	c = vm.client
	for name in ("newcontainer", "execcmd"):
		for process, text in (
		    ({"stdio": 5}, "Stdio to be 0, got 5"),
		    ({"stderr": 6}, "Stderr to be 0, got 6"),
		    ({"stdio": 5, "stderr": 6}, "Stdio to be 0, got 5"),
		    ({"stderr": 6, "stdio": 5}, "Stdio to be 0, got 5"),
		    ({"STDIO": 7}, "Stdio to be 0, got 7"),
		    ({"stdio": 2 ** 64 - 1}, None),
		    ({"stdio": -1}, None),
		    ({"stdio": "3"}, None),
		    ({"stdio": {}}, None)):
			got = c.hyper_fails(name, {"id": "c",
			    "process": process})
			if text is not None:
				equal(got, "expected process." + text,
				    "error")
	equal(vm.agent.ctl_in, [], "messages at the agent")
	c.hyper("newcontainer", {"id": "c", "process": {"stdio": 0,
	    "stderr": 0}})
	c.hyper("newcontainer", {"id": "c", "process": {"stdio": None,
	    "stderr": None}})
	for i in range(2):
		p = json.loads(vm.agent.next_ctl()[1])["process"]
		equal((p["stdio"], p["stderr"]), (1, 2), "null session")


@test("3.4", "unparsable data of newcontainer and execcmd", shared=True)
def relocation_errors(d):
	vm = d.vm()
	c = vm.client
	for name in ("newcontainer", "execcmd"):
		equal(c.hyper_fails(name), "unexpected end of JSON input",
		    "error")
		for data in (b"5", b'"s"', b"[]", b"true",
		    b'{"process":5}', b'{"process":[]}',
		    b'{"process":"s"}'):
			c.hyper_fails(name, Raw(data))
	for data in (b"{}", b'{"process":null}', b'{"id":"c"}', b"null"):
		c.hyper_fails("newcontainer", Raw(data))
	equal(vm.agent.ctl_in, [], "messages at the agent")
	for data in (b"{}", b'{"container":"c"}'):
		c.hyper("execcmd", Raw(data))
		p = json.loads(vm.agent.next_ctl(6)[1])["process"]
		equal((p["stdio"], p["stderr"]), (1, 2), "null session")


@test("3.4", "no shim: the command times out, nothing reaches the agent",
    daemon=SHORT)
def shim_timeout(d):
	vm = d.vm()
	t = vm.token()
	for name in ("newcontainer", "execcmd"):
		equal(vm.client.hyper_fails(name, {"id": "c", "process": {}},
		    [t]), "timeout waiting for shim with token " + t,
		    "error")
	vm.client.hyper("ping")
	equal(len(vm.agent.ctl_in), 1, "messages at the agent")
	s = Client(d)
	s.connect_shim(t)
	vm.client.hyper("newcontainer", {"id": "c", "process": {}}, [t])
	vm.agent.tty(3, b"x")
	equal(s.stdout(), b"x", "output")


@test("3.4", "bad data is refused before the wait for the shim",
    shared=True)
def before_wait(d):
	vm = d.vm()
	t = vm.token()
	equal(vm.client.hyper_fails("newcontainer", {"process": {"stdio":
	    3}}, [t]), "expected process.Stdio to be 0, got 3", "error")
	equal(vm.client.hyper_fails("execcmd", None, [t]),
	    "unexpected end of JSON input", "error")


@test("3.4", "agent's ERROR and other codes", shared=True)
def agent_errors(d):
	vm = d.vm(mode="manual")
	c = vm.client
	prefix = "ERROR received from VM agent, control msg received : "
	for text in (b"", b"no such container", b"a\nb"):
		c.hyper_send("ping")
		vm.agent.next_ctl()
		vm.agent.error(text)
		equal(error_text(c.response(HYPER)), prefix + text.decode(),
		    "error")
	c.hyper_send("ping")
	vm.agent.next_ctl()
	vm.agent.send_ctl(11, b"hm")
	equal(error_text(c.response(HYPER)), "CMD ID received 11 not "
	    "matching expected 9, control msg received : hm", "error")
	vm.agent.mode = "echo"
	equal(c.hyper("ping", 1), b"1", "reply")


@test("3.4", "an ERROR with 900 kB of text", shared=True)
def agent_error_long(d):
	vm = d.vm(mode=lambda a, code, p: a.error(b"e" * 900000))
	text = vm.client.hyper_fails("ping")
	check(text.startswith("ERROR received from VM agent"), "error")
	vm.agent.mode = "echo"
	equal(vm.client.hyper("ping", 1), b"1", "reply")


@test("3.4", "on a lost VM", shared=True)
def hyper_lost(d):
	vm = d.vm()
	s = vm.shim()
	t = s.token
	c = lose(vm)
	equal(c.hyper_fails("ping"), LOST, "error")
	equal(vm.client.hyper_fails("ping"), LOST, "error")
	equal(c.hyper_fails("newcontainer", {"id": "c", "process": {}}),
	    LOST, "error")
	equal(c.hyper_fails("ping", None, ["x"]), "ping doesn't need tokens "
	    "but 1 token(s) were given", "error")
	equal(c.hyper_fails("newcontainer", {"process": {}}, [t])[:13],
	    "unknown token", "error")


# 3.5 ConnectShim

@test("3.5", "unknown and claimed tokens", shared=True)
def connect_errors(d):
	vm = d.vm()
	s = vm.shim()
	t = vm.token()
	for c in (d.client(), vm.attach()[0], s):
		for bad in ("", "nope", t[:-1], t.lower() + "x",
		    "A" * 43 + "=", "x" * 5000):
			equal(c.fails(CONNECT, {"token": bad}),
			    "unknown token: " + bad, "error")
		equal(c.fails(CONNECT, {"token": s.token}),
		    "token already claimed: " + s.token, "error")
	vm.agent.tty(s.base, b"mine")
	equal(s.stdout(), b"mine", "output")


@test("3.5", "a failed claim makes no shim", shared=True)
def connect_failed(d):
	vm = d.vm()
	c = d.client()
	c.fails(CONNECT, {"token": "nope"})
	equal(c.signal_fails(1), "client isn't a shim", "error")
	c.connect_shim(vm.token())


@test("3.5", "an attached runtime becomes a shim and stays attached",
    shared=True)
def connect_attached(d):
	vm = d.vm(mode="echo")
	c, tokens = vm.attach(1)
	c.connect_shim(tokens[0])
	equal(c.hyper("ping", 1), b"1", "reply")
	c.hyper("newcontainer", {"id": "c", "process": {}}, tokens)
	vm.agent.tty(3, b"out")
	equal(c.stdout(), b"out", "output")


@test("3.5", "a token of another VM than the connection's is refused",
    shared=True)
def connect_foreign(d):
	one, two = d.vm(mode="echo"), d.vm()
	t = two.token()
	c, _ = one.attach()
	error_text(c.ask(CONNECT, {"token": t}))
	equal(c.hyper("ping", 1), b"1", "reply")
	s = Client(d)
	s.connect_shim(t)


@test("3.5", "several tokens on one connection", shared=True)
def connect_several(d):
	vm = d.vm(n=3)
	s = d.client()
	for t in vm.tokens:
		s.connect_shim(t)
	for i, t in enumerate(vm.tokens):
		vm.client.hyper("newcontainer", {"id": "c%d" % i,
		    "process": {}}, [t])
	for base in (3, 5, 7):
		vm.agent.tty(base, b"out%d" % base)
		equal(s.stdout(), b"out%d" % base, "output")
	s.stdin(b"to the last")
	equal(vm.agent.next_tty(), (7, b"to the last"), "stdin")
	vm.agent.skip_ctl()
	s.signal(10)
	equal(json.loads(vm.agent.next_ctl(18)[1])["container"], "c2",
	    "container of the signal")


@test("3.5", "a token of a lost VM", shared=True)
def connect_lost(d):
	vm = d.vm()
	s, t = vm.shim(), vm.token()
	lose(vm)
	s.expect_closed()
	for token in (t, s.token):
		for i in range(2):
			equal(d.client().fails(CONNECT, {"token": token}),
			    "vm: unknown token " + token, "error")


# 3.6 DisconnectShim

@test("3.6", "closes without an answer and without an error line",
    shared=True)
def disconnect(d):
	vm = d.vm()
	s = vm.shim()
	mark = d.log_mark()
	s.cmd(DISCONNECT)
	s.expect_closed(eof=True)
	vm.client.log(source="runtime", level="error", msg="fence 36")
	d.wait_log("^fence 36$", mark)
	equal([e["msg"] for e in d.entries(mark, level="error")],
	    ["fence 36"], "error lines")


@test("3.6", "its payload is ignored", shared=True)
def disconnect_payload(d):
	vm = d.vm()
	for payload in (b"garbage", b'{"token":"x"}', b"\0" * 1000):
		s = vm.shim()
		s.send(COMMAND, DISCONNECT, payload)
		s.expect_closed(eof=True)


@test("3.6", "frames behind it are not executed", shared=True)
def disconnect_last(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.skip_ctl()
	s.raw(frame(COMMAND, DISCONNECT) + frame(COMMAND, SIGNAL,
	    b'{"signalNumber":1}') + frame(STREAM, STDIN, b"x"))
	s.expect_closed()
	vm.client.hyper("ping")
	vm.agent.next_ctl(A_PING)
	equal(vm.agent.tty_unread(), [], "stdin at the agent")


@test("3.6", "the token is spent", shared=True)
def disconnect_token(d):
	vm = d.vm()
	s = vm.shim()
	s.disconnect_shim()

	def refused():
		text = d.client().fails(CONNECT, {"token": s.token})
		check("token" in text, "error " + text)
		return True
	refused()
	equal(vm.client.hyper_fails("newcontainer", {"process": {}},
	    [s.token]), "unknown token " + s.token, "error")
	vm.agent.tty(s.base, b"late")
	vm.agent.tty(s.base + 1, b"late")
	vm.agent.exit(s.base, 3)
	n = vm.shim()
	equal(n.base, s.base + 2, "next sequence number")
	vm.agent.tty(n.base, b"fresh")
	equal(n.stdout(), b"fresh", "output of the next shim")
	refused()


@test("3.6", "before the process started", shared=True)
def disconnect_early(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.disconnect_shim()
	vm.client.hyper("ping")


# 3.7 Signal

@test("3.7", "order of checks and error texts", shared=True)
def signal_errors(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.skip_ctl()
	equal(s.fails(SIGNAL, Raw(b"")), "unexpected end of JSON input",
	    "error")
	equal(s.fails(SIGNAL, Raw(b'{"signalNumber":"9"}')),
	    "json: cannot unmarshal string into Go struct field "
	    "Signal.signalNumber of type int", "error")
	for n in (31, 32, 64, 255, -1, -9, 2 ** 31, -2 ** 63, 2 ** 63 - 1):
		equal(s.signal_fails(n), "invalid signal number %d" % n,
		    "error")
		equal(s.signal_fails(n, 24, 80),
		    "invalid signal number %d" % n, "error")
	for rows, cols in ((0, 80), (24, 0), (0, 0), (None, 80),
	    (24, None), (None, None)):
		equal(s.signal_fails(28, rows, cols), "received SIGWINCH "
		    "but terminal size is invalid (%d,%d)" % (cols or 0,
		    rows or 0), "error")
	for n in [i for i in range(31) if i != 28]:
		equal(s.signal_fails(n, 24, 80), "received a terminal size "
		    "(80,24) for signal " + SIGNALS[n], "error")
	equal(s.signal_fails(10, 24), "received a terminal size (0,24) "
	    "for signal user defined signal 1", "error")
	equal(s.signal_fails(10, None, 80), "received a terminal size (80,0)"
	    " for signal user defined signal 1", "error")
	equal(vm.agent.ctl_unread(), [], "messages at the agent")


@test("3.7", "every signal becomes killcontainer", shared=True)
def signal_kill(d):
	vm = d.vm()
	s = vm.shim(cid="cc<1>")
	vm.agent.skip_ctl()
	for n in [i for i in range(31) if i != 28]:
		equal(s.ask(SIGNAL, {"signalNumber": n}).payload, b"",
		    "payload")
		code, p = vm.agent.next_ctl(A_KILLCONTAINER)
		equal(json.loads(p), {"container": "cc<1>", "signal": n,
		    "allProcesses": False}, "killcontainer")


@test("3.7", "the exact bytes of killcontainer and winsize", shared=True)
def signal_bytes(d):
	vm = d.vm()
	s = vm.shim(cid="c1")
	vm.agent.skip_ctl()
	s.signal(10)
	equal(vm.agent.next_ctl(), (18, b'{"container":"c1","signal":10,'
	    b'"allProcesses":false}'), "message")
	s.signal(28, 24, 80)
	equal(vm.agent.next_ctl(), (11, b'{"seq":3,"row":24,"column":80}'),
	    "message")


@test("3.7", "terminal sizes are truncated to 16 bits", shared=True)
def winsize(d):
	vm = d.vm()
	vm.shim()
	s = vm.shim()
	vm.agent.skip_ctl()
	for rows, cols in ((1, 1), (65535, 65535), (-1, -1),
	    (65537, 65538), (-2 ** 63, 2 ** 63 - 1)):
		s.signal(28, rows, cols)
		code, p = vm.agent.next_ctl(A_WINSIZE)
		equal(json.loads(p), {"seq": s.base, "row": rows & 0xffff,
		    "column": cols & 0xffff}, "winsize")


@test("3.7", "an exec'ed process takes winsize but no signal", shared=True)
def signal_exec(d):
	vm = d.vm()
	s = vm.shim(command="execcmd")
	vm.agent.skip_ctl()
	for n in (0, 9, 15, 10):
		equal(s.signal_fails(n), "Could not send the signal %s: "
		    "Sending a signal to a process different from the "
		    "initial container process is not supported" %
		    SIGNALS[n], "error")
	s.signal(28, 5, 6)
	vm.agent.next_ctl(A_WINSIZE)


@test("3.7", "KILL and TERM before the start: notification, then response",
    shared=True)
def signal_early(d):
	for n in (9, 15):
		vm = d.vm()
		s = vm.shim(start=False)
		s.cmd(SIGNAL, {"signalNumber": n})
		f = s.recv()
		equal(f, Frame(NOTIFICATION, EXITED, 0, b"\0"), "first")
		f = s.recv()
		equal(f, Frame(RESPONSE, SIGNAL, 0, b""), "second")
		vm.client.hyper("ping")
		equal([c for c, p in vm.agent.ctl_in], [A_PING],
		    "messages at the agent")
		s.disconnect_shim()


@test("3.7", "other signals wait for the start and expire", daemon=SHORT)
def signal_timeout(d):
	vm = d.vm()
	s = vm.shim(start=False)
	for n in (0, 1, 10):
		equal(s.signal_fails(n), "timeout waiting for process with "
		    "token " + s.token, "error")
	equal(s.signal_fails(28, 24, 80), "timeout waiting for process with "
	    "token " + s.token, "error")
	s.start()
	s.signal(10)
	vm.agent.next_ctl(A_KILLCONTAINER)


@test("3.7", "a signal that waits is sent at the start", shared=True)
def signal_waits(d):
	vm = d.vm()
	s = vm.shim(start=False, cid="c9")
	s.cmd(SIGNAL, {"signalNumber": 10})
	s.cmd(SIGNAL, {"signalNumber": 12})
	s.cmd(SIGNAL, {"signalNumber": 28, "rows": 2, "columns": 3})
	d.bystander.check()
	t = vm.client
	t.hyper("newcontainer", {"id": "c9", "process": {}}, [s.token])
	for i in range(3):
		equal(s.response(SIGNAL).err, 0, "error flag")
	vm.agent.next_ctl(A_NEWCONTAINER)
	equal(json.loads(vm.agent.next_ctl(18)[1])["signal"], 10, "signal")
	equal(json.loads(vm.agent.next_ctl(18)[1])["signal"], 12, "signal")
	vm.agent.next_ctl(A_WINSIZE)


@test("3.7", "agent errors come back", shared=True)
def signal_agent_error(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.mode = lambda a, code, p: a.error(b"gone")
	equal(s.signal_fails(10), "ERROR received from VM agent, control msg "
	    "received : gone", "error")
	equal(s.signal_fails(28, 1, 2), "ERROR received from VM agent, "
	    "control msg received : gone", "error")
	vm.agent.mode = lambda a, code, p: a.send_ctl(77, b"x")
	equal(s.signal_fails(10), "CMD ID received 77 not matching expected "
	    "9, control msg received : x", "error")
	vm.agent.mode = "ack"
	s.signal(10)


@test("3.7", "a container id is remembered even if newcontainer fails",
    shared=True)
def signal_after_error(d):
	vm = d.vm(mode=lambda a, code, p: a.error(b"no"))
	s = vm.shim(start=False)
	vm.client.hyper_fails("newcontainer", {"id": "kept", "process": {}},
	    [s.token])
	vm.agent.mode = "ack"
	vm.client.hyper("execcmd", {"container": "x", "process": {}},
	    [s.token])
	vm.agent.skip_ctl()
	s.signal(10)
	equal(json.loads(vm.agent.next_ctl(18)[1])["container"], "kept",
	    "container")


# 3.8 Streams

@test("3.8", "log entries: levels, fields, no response", shared=True)
def log_entries(d):
	vm = d.vm(mode="echo")
	for c in (d.client(), vm.client, vm.shim()):
		mark = d.log_mark()
		for level, word in (("debug", "debug"), ("info", "info"),
		    ("warn", "warning"), ("error", "error")):
			msg = 'log "%s" \n\u00e9' % level
			c.log(source="shim", level=level, msg=msg,
			    containerId="cont1")
			e = d.wait_log(re.escape(msg), mark)
			equal((e["level"], e["source"], e["container"]),
			    (word, "shim", "cont1"), "fields")
			check(e["client"].isdigit(), "client number")
			equal(e["name"], "cc-proxy", "name")
			equal(e["pid"], str(d.pid), "pid")
		c.log(source="runtime", level="info", msg="bare")
		e = d.wait_log("^bare$", mark)
		check("container" not in e, "container without a value")
		equal(e["source"], "runtime", "source")
		equal(c.fails(UNREGISTER, {"containerId": "nobody"}),
		    "unknown containerID: nobody", "next response")


@test("3.8", "a log text cannot forge entries", shared=True)
def log_forging(d):
	c = d.client()
	mark = d.log_mark()
	c.log(source="shim", level="warn", containerId='x" pid=1 y="',
	    msg='fake"\ntime="x" level=panic msg=forged\x1b[2J')
	e = d.wait_log("^fake", mark)
	equal(e["container"], 'x" pid=1 y="', "container")
	equal(d.entries(mark, level="panic"), [], "forged entries")
	check("\x1b" not in d.log_text(), "escape character in the log")


@test("3.8", "a long log text is accepted", shared=True)
def log_long(d):
	c = d.client()
	mark = d.log_mark()
	c.log(source="shim", level="warn", msg="long " + "m" * 50000)
	d.wait_log("^long m{1000}", mark)
	c.fails(UNREGISTER, {"containerId": "nobody"})


main()

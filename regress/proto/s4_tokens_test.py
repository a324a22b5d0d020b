#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Section 4: tokens, sessions, relocation, waiting."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

SHORT = dict(timeouts={"shim": "150ms", "process": "150ms",
    "stdin": "150ms"})
LONG = dict(timeouts={"shim": "300s", "process": "300s", "stdin": "300s"})


def newcontainer(c, token=None, cid="c", **process):
	c.hyper("newcontainer", {"id": cid, "process": process},
	    [token] if token else None)


def fence(vm, client=None):
	"""When this returns, what was sent to the agent before is there."""
	c = client or vm.attach()[0]
	c.hyper("ping")
	return [code for code, p in vm.agent.ctl_in].count(A_PING)


# 4.1 Format

@test("4.1", "44 characters of padded base64url, all different",
    shared=True)
def token_format(d):
	vm = d.vm(n=3)
	tokens = vm.tokens + vm.client.attach(vm.id, 500)
	equal(len(set(tokens)), 503, "different tokens")
	for t in tokens:
		check(re.fullmatch(r"[A-Za-z0-9_-]{43}=", t), "token " + t)
		raw = base64.urlsafe_b64decode(t)
		equal(len(raw), 32, "bytes")
		equal(base64.urlsafe_b64encode(raw).decode(), t,
		    "canonical encoding")
	raws = [base64.urlsafe_b64decode(t) for t in tokens]
	for i in range(32):
		check(len(set(r[i] for r in raws)) > 100,
		    "byte %d hardly varies" % i)


# 4.2 Sequence numbers

@test("4.2", "two numbers per token in allocation order, never reused",
    shared=True)
def sequence(d):
	vm = d.vm(n=2)
	tokens = list(vm.tokens)
	tokens += vm.client.attach(vm.id, 1)
	tokens += vm.attach(2)[1]
	shims = {}
	for i in (4, 0, 2, 1, 3):
		terminal = i % 2 == 1
		s = vm.shim(token=tokens[i], terminal=terminal)
		equal(s.base, 3 + 2 * i, "sequence number of token %d" % i)
		shims[i] = s
	for s in shims.values():
		vm.agent.tty(s.base, b"o%d" % s.base)
		vm.agent.tty(s.base + 1, b"e%d" % s.base)
	for s in shims.values():
		equal(s.stdout(), b"o%d" % s.base, "stdout")
		equal(s.stderr(), b"e%d" % s.base, "stderr")
	shims[4].disconnect_shim()
	equal(vm.shim().base, 13, "next sequence number")
	other = d.vm()
	equal(other.shim().base, 3, "first number of another VM")


# 4.3 Life-cycle

@test("4.3", "reconnect after the connection broke, many times",
    shared=True)
def reconnect(d):
	vm = d.vm()
	s = vm.shim()
	for i in range(8):
		s.close()
		new = Client(d)

		def claimed():
			f = new.ask(CONNECT, {"token": s.token})
			if f.err:
				equal(error_text(f), "token already claimed: "
				    + s.token, "error")
			return not f.err
		wait_for(claimed, "token free again")
		new.token, new.base, new.is_shim = s.token, s.base, True
		vm.agent.tty(s.base, b"round %d" % i)
		equal(new.stdout(), b"round %d" % i, "output")
		new.stdin(b"in %d" % i)
		equal(vm.agent.next_tty(), (s.base, b"in %d" % i), "stdin")
		vm.agent.skip_ctl()
		new.signal(10)
		vm.agent.next_ctl(A_KILLCONTAINER)
		s = new


@test("4.3", "reconnect after every kind of abrupt end", shared=True)
def reconnect_kinds(d):
	vm = d.vm()
	for ruin in (lambda s: s.raw(frame(COMMAND, HYPER, version=9)),
	    lambda s: s.raw(frame(STREAM, STDIN, length=1 << 30)),
	    lambda s: s.raw(frame(STREAM, STDOUT)),
	    lambda s: s.raw(frame(STREAM, LOG, b"{}")),
	    lambda s: s.raw(b"\0\2\3"),
	    lambda s: s.shutdown()):
		for start in (True, False):
			s = vm.shim(start=start)
			ruin(s)
			s.shutdown()
			s.expect_closed()
			s.close()
			new = Client(d)
			wait_for(lambda: not new.ask(CONNECT,
			    {"token": s.token}).err, "token free again")
			new.is_shim = True
			if not start:
				newcontainer(vm.client, s.token)
				vm.agent.wait(lambda: vm.agent.ctl_in, "")
				s.base = json.loads(vm.agent.ctl_in[-1][1])[
				    "process"]["stdio"]
			vm.agent.tty(s.base, b"again")
			equal(new.stdout(), b"again", "output")


@test("4.3", "one holder at a time", shared=True)
def one_holder(d):
	vm = d.vm()
	s = vm.shim()
	for i in range(5):
		equal(d.client().fails(CONNECT, {"token": s.token}),
		    "token already claimed: " + s.token, "error")
	equal(s.fails(CONNECT, {"token": s.token}),
	    "token already claimed: " + s.token, "error")
	vm.agent.tty(s.base, b"still mine")
	equal(s.stdout(), b"still mine", "output")


@test("4.3", "twenty claims at once: exactly one wins", shared=True)
def claim_race(d):
	vm = d.vm()
	for round in range(5):
		t = vm.token()
		cs = [d.client() for i in range(20)]
		for c in cs:
			c.cmd(CONNECT, {"token": t})
		won = [c for c in cs if not c.response(CONNECT).err]
		equal(len(won), 1, "winners")
		won[0].is_shim = True
		won[0].disconnect_shim()
		for c in cs:
			c.close()


@test("4.3", "tokens outlive the connection that asked for them",
    shared=True)
def outlive(d):
	vm = d.vm()
	c, tokens = vm.attach(1)
	c.close()
	s = vm.shim(token=tokens[0])
	vm.agent.tty(s.base, b"x")
	equal(s.stdout(), b"x", "output")


@test("4.3", "VM loss closes the shims", shared=True)
def loss_closes(d):
	vm = d.vm()
	shims = [vm.shim(start=i % 2 == 0) for i in range(4)]
	vm.agent.hang_up("io")
	for s in shims:
		s.expect_closed(eof=True)
	for s in shims:
		equal(d.client().fails(CONNECT, {"token": s.token}),
		    "vm: unknown token " + s.token, "error")


@test("4.3", "a restarted daemon knows no old token", daemon=dict(
    level="debug"))
def restart(d):
	vm = d.vm()
	s, t = vm.shim(), vm.token()
	d.stop()
	s.expect_closed()
	d.start()
	d.bystander = Bystander(d)
	for token in (s.token, t):
		equal(d.client().fails(CONNECT, {"token": token}),
		    "unknown token: " + token, "error")


# 4.4 Relocation

RICH = b'''{
  "id": "c1", "rootfs":"rootfs" , "image":"img", "futureTop": [1, {"x":null}],
  "fsmap":[{"source":"s","path":"p","future":true}],
  "sysctl":{"z":"1","a":"2"},
  "process": { "user":"0", "terminal":%s, "args":["sh","-c","echo <&>"],
    "envs":[{"env":"A","value":"B"}],
    "rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,
      "soft":18446744073709551615}],
    "future": {"stdio": 99, "stderr": 98, "process": {"stdio": 97}},
    "big": 1e308, "neg": -9223372036854775808,
    "exact": 0.1000000000000000055511151231257827021181583404541015625 },
  "constraints":{"CPUQuota":1,"CPUPeriod":2,"CPUShares":512},
  "restartPolicy":"","initialize":false
}'''


def parsed(text):
	"""Numbers as their source text, so that nothing is rounded."""
	return json.loads(text, parse_float=lambda s: "f" + s,
	    parse_int=lambda s: "i" + s)


@test("4.4", "everything but the two numbers survives", shared=True)
def relocation(d):
	vm = d.vm()
	for command, code in (("newcontainer", 17), ("execcmd", 6)):
		for terminal in (False, True):
			s = vm.shim(start=False)
			src = RICH % (b"true" if terminal else b"false")
			vm.agent.skip_ctl()
			vm.client.hyper(command, Raw(src), [s.token])
			_, got = vm.agent.next_ctl(code)
			want = parsed(src)
			base = int(parsed(got)["process"]["stdio"][1:])
			want["process"]["stdio"] = "i%d" % base
			if not terminal:
				want["process"]["stderr"] = "i%d" % (base + 1)
			equal(parsed(got), want, "relocated data")
			check(got.count(b"18446744073709551615") == 2,
			    "64-bit integer damaged")
			vm.agent.tty(base, b"b")
			equal(s.stdout(), b"b", "output on that number")


@test("4.4", "the observed example", shared=True)
def relocation_example(d):
	vm = d.vm()
	s = vm.shim(start=False)
	vm.client.hyper("newcontainer",
	    Raw(b'{"id":"c1","process":{"args":["sh"]}}'), [s.token])
	got = json.loads(vm.agent.next_ctl(17)[1])
	equal((got["id"], got["process"]["stdio"], got["process"]["stderr"],
	    got["process"]["args"]), ("c1", 3, 4, ["sh"]), "members")


@test("4.4", "no token: the null session 1 and 2", shared=True)
def relocation_null(d):
	vm = d.vm()
	for terminal in (False, True):
		newcontainer(vm.client, terminal=terminal)
		p = json.loads(vm.agent.next_ctl(17)[1])["process"]
		equal(p["stdio"], 1, "stdio")
		equal(p.get("stderr", 0), 0 if terminal else 2, "stderr")


@test("4.4", "awkward but legal data", shared=True)
def relocation_awkward(d):
	vm = d.vm()
	for src in (b'{"process":{}}', b' {\t"process"\n:\r{ } } ',
	    b'{"Process":{"Args":[]},"id":"x"}',
	    b'{"id":"x","process":{"args":null,"stdio":0}}',
	    b'{"process":{"a":"}\\"{[","stderr":0,"stdio":0}}',
	    b'{"id":"\\u0063","pro\\u0063ess":{}}',
	    '{"id":"\u00e9\U0001f600","process":{"args":["\u2028"]}}'
	    .encode()):
		vm.client.hyper("newcontainer", Raw(src))
		got = json.loads(vm.agent.next_ctl(17)[1])
		p = {k.lower(): v for k, v in got.items()}["process"]
		equal((p["stdio"], p["stderr"]), (1, 2), "numbers")


@test("4.4", "startpod is not relocated", shared=True)
def startpod(d):
	vm = d.vm()
	src = b'{"containers":[{"id":"c","process":{"args":["x"]}}]}'
	vm.client.hyper("startpod", Raw(src))
	equal(vm.agent.next_ctl(1)[1], src, "payload")


@test("4.4", "the length limit applies to the edited text", shared=True)
def relocation_limit(d):
	vm = d.vm()

	def sized(n):
		src = b'{"id":"c","process":{"args":["%s"]}}'
		return Raw(src % (b"x" * (n - len(src) + 2)))
	vm.client.hyper("newcontainer", sized(9000))
	extra = len(vm.agent.next_ctl(17)[1]) - 9000
	check(0 < extra < 60, "%d bytes added" % extra)
	# An agent that is not known yet.
	vm = d.vm(mode="manual")
	vm.client.hyper_send("newcontainer", sized(10232 - extra))
	equal(len(vm.agent.next_ctl(17)[1]), 10232, "length at the agent")
	vm, first = d.vm(), vm
	equal(vm.client.hyper_fails("newcontainer", sized(10233 - extra)),
	    "message too long 10241", "error")
	equal(vm.client.hyper_fails("newcontainer", sized(10233)),
	    "message too long %d" % (10241 + extra), "error")
	vm.client.hyper("ping")
	first.agent.ack()
	first.client.response(HYPER)


@test("4.4", "the second command of one token or of none is allowed",
    shared=True)
def twice(d):
	vm = d.vm()
	for i in range(3):
		newcontainer(vm.client)
		vm.client.hyper("execcmd", {"container": "c"})
	s = vm.shim()
	for i in range(3):
		newcontainer(vm.client, s.token)
		vm.client.hyper("execcmd", {"container": "c",
		    "process": {}}, [s.token])
	vm.agent.tty(s.base, b"x")
	equal(s.stdout(), b"x", "output")


# 4.5 Waiting

@test("4.5", "newcontainer waits for the shim", daemon=LONG)
def wait_shim(d):
	vm = d.vm()
	t = vm.token()
	c, _ = vm.attach()
	c.hyper_send("newcontainer", {"id": "w", "process": {}}, [t])
	fence(vm)
	equal([code for code, p in vm.agent.ctl_in], [A_PING],
	    "messages at the agent")
	s = Client(d)
	s.connect_shim(t)
	equal(c.response(HYPER).err, 0, "error flag")
	equal([code for code, p in vm.agent.ctl_in], [A_PING,
	    A_NEWCONTAINER], "messages at the agent")


@test("4.5", "several commands wait for one shim", daemon=LONG)
def wait_shim_many(d):
	vm = d.vm()
	t = vm.token()
	cs = [vm.attach()[0] for i in range(10)]
	for c in cs:
		c.hyper_send("execcmd", {"container": "w"}, [t])
	fence(vm)
	s = Client(d)
	s.connect_shim(t)
	for c in cs:
		equal(c.response(HYPER).err, 0, "error flag")


@test("4.5", "a waiting command's client may leave", daemon=LONG)
def wait_shim_leave(d):
	vm = d.vm()
	t = vm.token()
	c, _ = vm.attach()
	c.hyper_send("newcontainer", {"id": "w", "process": {}}, [t])
	fence(vm)
	c.close()
	s = Client(d)
	s.connect_shim(t)
	newcontainer(vm.client, t)
	vm.agent.tty(3, b"x")
	equal(s.stdout(), b"x", "output")


@test("4.5", "expiry leaves the token as it was", daemon=SHORT)
def wait_shim_expiry(d):
	vm = d.vm()
	t = vm.token()
	mark = d.log_mark()
	for i in range(2):
		equal(vm.client.hyper_fails("newcontainer",
		    {"process": {}}, [t]),
		    "timeout waiting for shim with token " + t, "error")
	d.wait_log("timeout waiting for shim", mark, level="error")
	check(t not in d.log_text(), "token in the log")
	s = Client(d)
	s.connect_shim(t)
	newcontainer(vm.client, t)


@test("4.5", "a shim that comes and goes does not stop a later wait",
    daemon=SHORT)
def wait_shim_flap(d):
	vm = d.vm()
	t = vm.token()
	s = Client(d)
	s.connect_shim(t)
	s.close()
	s = Client(d)
	wait_for(lambda: not s.ask(CONNECT, {"token": t}).err, "claim")
	s.is_shim = True
	newcontainer(vm.client, t)
	vm.agent.tty(3, b"x")
	equal(s.stdout(), b"x", "output")


@test("4.5", "stdin waits for the start and is then delivered in order",
    daemon=LONG)
def wait_stdin(d):
	vm = d.vm()
	s = vm.shim(start=False)
	for i in range(20):
		s.stdin(b"%d," % i)
	s.stdin(b"")
	fence(vm)
	equal(vm.agent.tty_in, [], "stdin before the start")
	newcontainer(vm.client, s.token)
	for i in range(20):
		equal(vm.agent.next_tty(), (3, b"%d," % i), "stdin")
	equal(vm.agent.next_tty(), (3, b""), "EOF")


@test("4.5", "nothing else of a waiting connection is executed",
    daemon=LONG)
def wait_serial(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.stdin(b"x")
	s.cmd(SIGNAL, {"signalNumber": 31})
	s.cmd(UNREGISTER, {"containerId": vm.id})
	fence(vm)
	vm.attach()
	equal(pending(s.sock), 0, "answers before the start")
	newcontainer(vm.client, s.token)
	equal(vm.agent.next_tty(), (3, b"x"), "stdin")
	equal(error_text(s.response(SIGNAL)), "invalid signal number 31",
	    "error")
	equal(s.response(UNREGISTER).err, 0, "error flag")


@test("4.5", "an agent's ERROR does not count as a start", daemon=LONG)
def wait_error(d):
	vm = d.vm(mode=lambda a, code, p: a.error(b"no"))
	s = vm.shim(start=False)
	s.stdin(b"x")
	vm.client.hyper_fails("newcontainer", {"process": {}}, [s.token])
	vm.agent.mode = "ack"
	fence(vm)
	equal(vm.agent.tty_in, [], "stdin before the start")
	newcontainer(vm.client, s.token)
	equal(vm.agent.next_tty(), (3, b"x"), "stdin")


@test("4.5", "stdin expiry: closed, frame dropped, token free",
    daemon=SHORT)
def stdin_expiry(d):
	vm = d.vm()
	s = vm.shim(start=False)
	mark = d.log_mark()
	s.stdin(b"lost")
	s.expect_closed()
	d.wait_log("timeout waiting for process with token", mark,
	    level="error")
	check(s.token not in d.log_text(), "token in the log")
	for i in range(3):
		n = Client(d)
		n.connect_shim(s.token)
		n.stdin(b"lost again")
		n.expect_closed()
	n = Client(d)
	n.connect_shim(s.token)
	newcontainer(vm.client, s.token)
	n.stdin(b"kept")
	equal(vm.agent.next_tty(), (3, b"kept"), "stdin")
	equal(vm.agent.tty_unread(), [], "dropped stdin")


@test("4.5", "after a stdin expiry a shim must connect again", daemon=SHORT)
def stdin_expiry_wait(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.stdin(b"lost")
	s.expect_closed()
	equal(vm.client.hyper_fails("newcontainer", {"process": {}},
	    [s.token]), "timeout waiting for shim with token " + s.token,
	    "error")


@test("4.5", "a DisconnectShim behind an expired stdin is not executed",
    daemon=SHORT)
def stdin_expiry_disconnect(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.raw(frame(STREAM, STDIN, b"x") + frame(COMMAND, DISCONNECT))
	s.expect_closed()
	n = Client(d)
	n.connect_shim(s.token)
	newcontainer(vm.client, s.token)
	vm.agent.tty(3, b"alive")
	equal(n.stdout(), b"alive", "output")


@test("4.5", "KILL or TERM behind a waiting stdin takes effect at once",
    daemon=LONG)
def look_ahead(d):
	for n in (9, 15):
		vm = d.vm()
		s = vm.shim(start=False)
		s.stdin(b"")
		s.cmd(SIGNAL, {"signalNumber": n})
		equal(s.recv(), Frame(NOTIFICATION, EXITED, 0, b"\0"),
		    "notification")
		s.cmd(DISCONNECT)
		fence(vm)
		equal(vm.agent.tty_in, [], "stdin at the agent")
		equal([c for c, p in vm.agent.ctl_in], [A_PING],
		    "messages at the agent")


@test("4.5", "TERM behind waiting stdin and another signal", daemon=LONG)
def look_ahead_far(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.raw(frame(STREAM, STDIN, b"a") + frame(STREAM, STDIN, b"") +
	    frame(COMMAND, SIGNAL, b'{"signalNumber":15}'))
	equal(s.recv(), Frame(NOTIFICATION, EXITED, 0, b"\0"),
	    "notification")


@test("4.5", "no look-ahead past a DisconnectShim", daemon=LONG)
def look_ahead_disconnect(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.raw(frame(STREAM, STDIN, b"x") + frame(COMMAND, DISCONNECT) +
	    frame(COMMAND, SIGNAL, b'{"signalNumber":9}'))
	fence(vm)
	vm.attach()
	equal(pending(s.sock), 0, "answers before the start")
	newcontainer(vm.client, s.token)
	equal(vm.agent.next_tty(), (3, b"x"), "stdin")
	s.expect_closed()
	equal(vm.client.hyper_fails("newcontainer", {"process": {}},
	    [s.token]), "unknown token " + s.token, "error")


@test("4.5", "a shim that dies while its stdin waits frees its token",
    daemon=SHORT)
def stdin_waiting_death(d):
	vm = d.vm()
	s = vm.shim(start=False)
	s.stdin(b"x")
	s.close()
	n = Client(d)
	wait_for(lambda: not n.ask(CONNECT, {"token": s.token}).err,
	    "token free again")
	n.is_shim = True
	newcontainer(vm.client, s.token)
	vm.agent.tty(3, b"y")
	equal(n.stdout(), b"y", "output")


@test("4.5", "VM loss ends every wait", daemon=LONG)
def wait_loss(d):
	vm = d.vm()
	t = vm.token()
	c, _ = vm.attach()
	c.hyper_send("newcontainer", {"process": {}}, [t])
	s1, s2 = vm.shim(start=False), vm.shim(start=False)
	s1.stdin(b"x")
	s2.cmd(SIGNAL, {"signalNumber": 10})
	fence(vm)
	vm.agent.hang_up("io")
	error_text(c.response(HYPER))
	s1.expect_closed()
	while s2.recv() is not None:
		pass


@test("4.5", "waiting connections delay no other", daemon=LONG)
def wait_others(d):
	vm = d.vm()
	waiting = []
	for i in range(10):
		s = vm.shim(start=False)
		s.stdin(b"")
		waiting.append(s)
	s = vm.shim()
	s.stdin(b"now")
	equal(vm.agent.next_tty(), (s.base, b"now"), "stdin")
	vm.agent.tty(s.base, b"out")
	equal(s.stdout(), b"out", "output")
	d.bystander.check()


@test("4.5", "a waiting shim that sends without end is held back",
    daemon=LONG)
def wait_bound(d):
	vm = d.vm()
	s = vm.shim(start=False)
	before = d.rss()
	s.sock.settimeout(0)
	sent = 0
	data = frame(STREAM, STDIN, b"z" * 8000)
	at = 0

	def stuck():
		nonlocal sent, at
		try:
			while sent < 64 << 20:
				n = s.sock.send(data[at:])
				at = (at + n) % len(data)
				sent += n
			return True
		except BlockingIOError:
			d.bystander.check()
			fence(vm)
			d.bystander.check()
			try:
				n = s.sock.send(data[at:])
				at = (at + n) % len(data)
				sent += n
			except BlockingIOError:
				return True
	wait_for(stuck, "proxy holding back")
	check(sent < 8 << 20, "%d bytes taken in" % sent)
	check(d.rss() - before < 16384, "memory grew by %d KiB" %
	    (d.rss() - before))
	s.sock.settimeout(CEILING)
	newcontainer(vm.client, s.token)
	got = 0
	while got < sent // len(data) * 8000:
		seq, part = vm.agent.next_tty()
		check(part == b"z" * len(part), "damaged stdin")
		got += len(part)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Section 7: what crashed, wedged or leaked once, while a second VM
keeps serving."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

LOST = "No multicast available for CTL channel"


def ensure_free(d, token):
	"""Connect with a token as soon as its former holder is gone."""
	c = Client(d)

	def claimed():
		f = c.ask(CONNECT, {"token": token})
		if f.err:
			equal(error_text(f), "token already claimed: " + token,
			    "error")
		return not f.err
	wait_for(claimed, "token free again")
	c.is_shim = True
	return c


# 7.1 What is serial and what is parallel

@test("7.1", "a command that takes long delays only its connection",
    shared=True)
def parallel(d):
	vm = d.vm(mode="manual")
	slow, tokens = vm.attach(1)
	slow.hyper_send("removecontainer", {"container": "x"})
	slow.hyper_send("ping", "behind")
	vm.agent.next_ctl(A_REMOVECONTAINER)
	c, _ = vm.attach(3)
	equal(c.fails(CONNECT, {"token": "nope"}), "unknown token: nope",
	    "error")
	s = Client(d)
	s.connect_shim(tokens[0])
	equal(s.signal_fails(40), "invalid signal number 40", "error")
	d.bystander.check()
	equal(vm.agent.ctl_unread(), [], "pipelined command sent early")
	vm.agent.ack(b"one")
	equal(slow.response(HYPER).payload, b"one", "reply")
	equal(vm.agent.next_ctl(), (A_PING, b'"behind"'), "next command")
	vm.agent.ack(b"two")
	equal(slow.response(HYPER).payload, b"two", "reply")


@test("7.1", "fifty VMs at once", daemon=dict(level="warn"))
def many_vms(d):
	vms = [d.vm(mode="echo") for i in range(50)]
	equal(len(d.engines()), 51, "engines")
	shims = [vm.shim() for vm in vms]
	for i, (vm, s) in enumerate(zip(vms, shims)):
		vm.agent.tty(s.base, b"vm %d" % i)
		vm.client.hyper_send("ping", i)
	for i, (vm, s) in enumerate(zip(vms, shims)):
		equal(s.stdout(), b"vm %d" % i, "output")
		equal(vm.client.response(HYPER).payload, b"%d" % i, "reply")
	for vm in vms[::2]:
		vm.agent.hang_up("io")
	for i, (vm, s) in enumerate(zip(vms, shims)):
		if i % 2 == 0:
			s.expect_closed()
		else:
			equal(vm.client.hyper("ping", i), b"%d" % i, "reply")


# 7.2 Remote crashes

@test("7.2", "B1 header length below three words", shared=True)
def b1(d):
	vm = d.vm()
	for words in (0, 1, 2):
		for t, op in ((COMMAND, HYPER), (COMMAND, REGISTER),
		    (STREAM, STDIN), (STREAM, LOG)):
			for c in (d.client(), vm.attach()[0], vm.shim()):
				c.raw(frame(t, op, words=words, extra=b""))
				c.expect_closed(eof=True)
	vm.client.hyper("ping")


@test("7.2", "B2 a shim reconnects after an abrupt end", shared=True)
def b2(d):
	vm = d.vm()
	s = vm.shim()
	for i in range(5):
		if i % 2:
			s.raw(frame(STREAM, STDIN, length=1 << 31))
			s.expect_closed()
		s.close()
		n = ensure_free(d, s.token)
		n.token, n.base = s.token, s.base
		s = n
		vm.agent.tty(s.base, b"%d" % i * 2)
		equal(s.stdout(), b"%d" % i * 2, "output")


@test("7.2", "B3 second newcontainer and execcmd without token",
    shared=True)
def b3(d):
	vm = d.vm()
	for i in range(4):
		vm.client.hyper("newcontainer", {"id": "c", "process": {}})
		vm.client.hyper("execcmd", {"container": "c", "process": {}})


@test("7.2", "B4 second newcontainer and execcmd with one token",
    shared=True)
def b4(d):
	vm = d.vm()
	s = vm.shim()
	for i in range(4):
		vm.client.hyper("newcontainer", {"id": "c", "process": {}},
		    [s.token])
		vm.client.hyper("execcmd", {"container": "c", "process": {}},
		    [s.token])
	s.stdin(b"x")
	equal(vm.agent.next_tty(), (s.base, b"x"), "stdin")


@test("7.2", "B5 newcontainer without process", shared=True)
def b5(d):
	vm = d.vm()
	s = vm.shim(start=False)
	for tokens in (None, [s.token]):
		for data in (b"{}", b'{"id":"c"}', b'{"process":null}',
		    b"null"):
			vm.client.hyper_fails("newcontainer", Raw(data),
			    tokens)
	vm.client.hyper("newcontainer", {"id": "c", "process": {}},
	    [s.token])


@test("7.2", "B6 output for unclaimed tokens", shared=True)
def b6(d):
	vm = d.vm(n=4)
	for seq in range(3, 11):
		vm.agent.tty(seq, b"boo")
		vm.agent.tty(seq)
		vm.agent.tty(seq, b"\x01")
	s = vm.shim()
	vm.agent.tty(s.base, b"fine")
	equal(s.stdout(), b"fine", "output")


@test("7.2", "B7 huge lengths from clients and guests", shared=True)
def b7(d):
	before = d.rss()
	vm = d.vm()
	for t, op in ((COMMAND, HYPER), (COMMAND, REGISTER), (STREAM, STDIN),
	    (STREAM, LOG)):
		for c in (d.client(), vm.attach()[0], vm.shim()):
			c.raw(frame(t, op, length=0xffffffff))
			c.expect_closed()
	for n in (2 ** 31, 2 ** 62):
		vm.client.ask(ATTACH, {"containerId": vm.id,
		    "numIOStreams": n})
		d.client().ask(ATTACH, {"containerId": vm.id,
		    "numIOStreams": n})
	s = vm.shim()
	vm.agent.tty(s.base, b"begin", length=0xffffffff)
	s.expect_closed()
	vm = d.vm()
	s = vm.shim()
	vm.agent.send_ctl(A_ACK, b"begin", length=0xffffffff)
	s.expect_closed()
	check(d.rss() - before < 32768, "memory grew by %d KiB" %
	    (d.rss() - before))


# 7.3 Other defects

@test("7.3", "D1 10,000 commands of 16 clients: every reply reaches its "
    "asker", daemon=dict(level="warn"))
def d1(d):
	vm = d.vm(mode="echo")
	wrong = []

	def ask(k, c):
		try:
			for i in range(625):
				want = b'"%d/%d"' % (k, i)
				got = c.hyper("ping", "%d/%d" % (k, i))
				if got != want:
					wrong.append((want, got))
		except Exception as e:
			wrong.append(e)
	threads = []
	for k in range(16):
		c, _ = vm.attach()
		threads.append(threading.Thread(target=ask, args=(k, c),
		    daemon=True))
	for t in threads:
		t.start()
	for i in range(20):
		d.bystander.check()
	for t in threads:
		t.join()
	if wrong and isinstance(wrong[0], Exception):
		raise wrong[0]
	equal(wrong[:3], [], "%d wrong replies" % len(wrong))


@test("7.3", "D1 signals among commands", daemon=dict(level="warn"))
def d1_signals(d):
	def answer(agent, code, payload):
		if code == A_KILLCONTAINER:
			agent.error(payload)
		else:
			agent.ack(payload)
	vm = d.vm(mode="ack")
	shims = [vm.shim(cid="cid%d" % i) for i in range(4)]
	vm.agent.mode = answer
	clients = [vm.attach()[0] for i in range(4)]
	for i in range(200):
		for k in range(4):
			clients[k].hyper_send("ping", "%d/%d" % (i, k))
			shims[k].cmd(SIGNAL, {"signalNumber": 10})
		for k in range(4):
			equal(clients[k].response(HYPER).payload,
			    b'"%d/%d"' % (i, k), "reply")
			text = error_text(shims[k].response(SIGNAL))
			check('"cid%d"' % k in text, "error of another: " +
			    text)


@test("7.3", "D2 commands that are refused wedge nothing", shared=True)
def d2(d):
	vm = d.vm(mode="echo")
	others = [vm.attach()[0] for i in range(4)]
	for i in range(50):
		for c in others:
			c.hyper_send("nonsense")
			c.hyper_send("ping", tokens=["x"])
			c.hyper_send("ping", i)
		for c in others:
			equal(error_text(c.response(HYPER)),
			    "unknown command 'nonsense'", "error")
			equal(error_text(c.response(HYPER)),
			    "ping doesn't need tokens but 1 token(s) were "
			    "given", "error")
			equal(c.response(HYPER).payload, b"%d" % i, "reply")


@test("7.3", "D3 an asynchronous event stops nothing", shared=True)
def d3(d):
	vm = d.vm(mode="echo")
	for i in range(20):
		vm.agent.send_ctl(A_ASYNCEVENT, b"e" * i)
		equal(vm.client.hyper("ping", i), b"%d" % i, "reply")


@test("7.3", "D4 pending commands are answered when the VM dies",
    shared=True)
def d4(d):
	vm = d.vm(mode="manual")
	cs = [vm.attach()[0] for i in range(20)]
	for c in cs:
		c.hyper_send("ping")
	for c in cs:
		vm.agent.next_ctl()
	vm.agent.hang_up("ctl")
	for c in cs:
		error_text(c.response(HYPER))
	a = d.agent("d4", ready=False)
	c = d.client()
	c.cmd(REGISTER, register_request("d4", a.ctl_path, a.io_path))
	a.wait_accept("ctl")
	a.hang_up("ctl")
	error_text(c.response(REGISTER))


@test("7.3", "D5 a failed registration closes and leaks nothing",
    daemon=dict(level="warn"))
def d5(d):
	a = d.agent("d5", console=True)
	bad = d.agent("d5bad", ready=False)

	def failures(n):
		for i in range(n):
			c = d.client()
			c.fails(REGISTER, register_request("d5", a.ctl_path,
			    "/nowhere", a.console_path, 5))
			c.fails(REGISTER, register_request("d5", "/nowhere",
			    a.io_path, a.console_path))
			count = bad.accepted["ctl"]
			c.cmd(REGISTER, register_request("d5", bad.ctl_path,
			    bad.io_path))
			bad.wait_accept("ctl", count + 1)
			bad.error(b"no")
			error_text(c.response(REGISTER))
			bad.wait_eof("ctl")
			c.close()
	failures(3)
	wait_for(lambda: len(d.engines()) == 1, "engines gone")
	low = d.fds()
	failures(20)
	wait_for(lambda: len(d.engines()) == 1, "engines gone")
	wait_for(lambda: d.fds() <= low + 1, "descriptors back at %d" % low)


@test("7.3", "D6 tokens of failed registrations and finished shims are "
    "erased", daemon=dict(level="warn"))
def d6(d):
	vm = d.vm()

	def cycle(n):
		for i in range(n):
			c = d.client()
			c.fails(REGISTER, register_request("d6", "/nowhere",
			    "/nowhere", n=1024))
			c.close()
			s = vm.shim()
			s.disconnect_shim()
			s.close()
	cycle(30)
	low, fds = d.rss(), d.fds()
	cycle(300)
	check(d.rss() - low < 4096, "memory grew by %d KiB" %
	    (d.rss() - low))
	wait_for(lambda: d.fds() <= fds + 1, "descriptors back at %d" % fds)


@test("7.3", "D6 tokens of lost and unregistered VMs", daemon=dict(
    level="warn"))
def d6_lost(d):
	def cycle(n):
		for i in range(n):
			vm = d.vm("d6", n=1024)
			vm.client.attach("d6", 1024)
			vm.agent.hang_up("ctl")
			vm.agent.wait_eof("io")
			vm.client.hyper_fails("ping")
			vm.unregister()
			vm.client.close()
			vm.agent.close()
	cycle(5)
	wait_for(lambda: len(d.engines()) == 1, "engines gone")
	low = d.rss()
	cycle(30)
	wait_for(lambda: len(d.engines()) == 1, "engines gone")
	wait_for(lambda: d.rss() - low < 4096, "memory grown by 4 MiB")


@test("7.3", "D7 a malformed RegisterVM stops at once", shared=True)
def d7(d):
	a = d.agent("d7")
	for i in range(2):
		c = d.client()
		equal(c.fails(REGISTER, register_request("", a.ctl_path,
		    a.io_path)), "malformed RegisterVM command", "error")
		equal(c.fails(ATTACH, {"containerId": ""}),
		    "unknown containerID: ", "error")
	equal(a.accepted["ctl"], 0, "connections")


@test("7.3", "D8 a normal run logs no error", daemon=dict(level="warn"))
def d8(d):
	vm = d.vm()
	for i in range(5):
		s = vm.shim()
		vm.agent.exit(s.base, i)
		equal(s.exit_status(), i, "status")
		s.disconnect_shim()
		s.close()
	vm.client.hyper("destroypod")
	vm.unregister()
	vm.client.close()
	d.bystander.check()
	mark = d.log_mark()
	c = d.client()
	c.log(source="runtime", level="warn", msg="fence")
	d.wait_log("^fence$", mark)
	equal([e["msg"] for e in d.entries()], ["fence"], "entries")


@test("7.3", "D9 loss is noticed on either socket", shared=True)
def d9(d):
	for which in ("ctl", "io"):
		vm = d.vm()
		s = vm.shim()
		vm.agent.hang_up(which)
		s.expect_closed(eof=True)
		vm.agent.wait_eof("io" if which == "ctl" else "ctl")


@test("7.3", "D10 CPUShares and unknown members reach the agent",
    shared=True)
def d10(d):
	vm = d.vm()
	vm.client.hyper("newcontainer", Raw(b'{"id":"c","process":{"x":1},'
	    b'"constraints":{"CPUShares":512,"New":18446744073709551615}}'))
	got = json.loads(vm.agent.next_ctl(17)[1])
	equal(got["constraints"], {"CPUShares": 512,
	    "New": 18446744073709551615}, "constraints")
	equal(got["process"]["x"], 1, "unknown member")


# D11 is tested in section 6.8.

@test("7.3", "D12 the UnregisterVM response is flushed before the end",
    private=False)
def d12():
	d = pod_daemon()
	vm = d.vm("pod")
	vm.agent.hang_up("io")
	vm.agent.wait_eof("ctl")
	vm.client.ok(UNREGISTER, {"containerId": "pod"})
	equal(d.wait_exit(), 0, "exit status")
	d.dispose()


@test("7.3", "D13 by default a pod proxy that nobody registered stays",
    private=False)
def d13():
	d = pod_daemon()
	c = d.client()
	c.fails(REGISTER, register_request("x", "/nowhere", "/nowhere"))
	c.fails(UNREGISTER, {"containerId": "x"})
	c.close()
	d.vm("pod").client.hyper("ping")
	check(d.running(), "ended")
	d.dispose()


@test("7.3", "D14 exit status 0 for KILL and TERM before the start",
    shared=True)
def d14(d):
	vm = d.vm()
	for n in (9, 15):
		s = vm.shim(start=False)
		s.signal(n)
		equal(s.exit_status(), 0, "status")


@test("7.3", "D15 SIGWINCH without a size is refused", shared=True)
def d15(d):
	s = d.vm().shim()
	equal(s.signal_fails(28), "received SIGWINCH but terminal size is "
	    "invalid (0,0)", "error")


@test("7.3", "D16 signals to exec'ed processes are refused", shared=True)
def d16(d):
	s = d.vm().shim(command="execcmd")
	check(s.signal_fails(15).startswith("Could not send the signal "
	    "terminated: "), "error")


@test("7.3", "D17 no token and no environment in the log at info",
    daemon=dict(level="info", timeouts={"shim": "100ms",
    "process": "100ms", "stdin": "100ms"}))
def d17(d):
	secret = "hunter2-do-not-log"
	vm = d.vm(n=2)
	t = vm.tokens[1]
	data = {"id": "c", "process": {"args": ["sh"],
	    "envs": [{"env": "PASSWORD", "value": secret}]}}
	vm.client.hyper_fails("newcontainer", data, [t])
	s = vm.shim(token=t, start=False)
	s.signal_fails(10)
	s.stdin(b"x")
	s.expect_closed()
	s = ensure_free(d, t)
	vm.client.hyper("newcontainer", data, [t])
	d.client().fails(CONNECT, {"token": t})
	s.disconnect_shim()
	d.client().fails(CONNECT, {"token": t})
	vm.client.hyper_fails("newcontainer", data, [t])
	vm.client.hyper_fails("ping", data, [t])
	vm.unregister()
	vm.agent.hang_up("io")
	vm.agent.wait_eof("ctl")
	d.bystander.check()
	text = d.log_text()
	check("timeout waiting for shim" in text, "no timeout logged")
	check("ConnectShim(" in text, "no command logged")
	for t in vm.tokens + [d.bystander.shim.token]:
		check(t not in text and t[:20] not in text,
		    "token in the log")
	check(secret not in text, "environment in the log")


@test("7.3", "D17 not even at debug", daemon=dict(level="debug"))
def d17_debug(d):
	secret = "hunter2-do-not-log"
	vm = d.vm()
	s = vm.shim(start=False)
	vm.client.hyper("newcontainer", {"id": "c", "process": {
	    "envs": [{"env": "PASSWORD", "value": secret}]}}, [s.token])
	s.disconnect_shim()
	d.bystander.check()
	text = d.log_text()
	check(s.token not in text, "whole token in the log")


@test("7.3", "D18 out of descriptors: no busy loop, then service again",
    daemon=dict(level="info", wrap=["sh", "-c", 'ulimit -n 64; exec "$@"',
    "sh"]))
def d18(d):
	fe = [p for p, comm in d.children().items() if "front" in comm]
	equal(len(fe), 1, "frontends")
	cs = [Client(d) for i in range(90)]
	mark = d.log_mark()

	def ticks():
		with open("/proc/%d/stat" % fe[0]) as f:
			s = f.read()
		return sum(map(int, s[s.rindex(")") + 2:].split()[11:13]))
	equal(d.bystander.vm.client.hyper("ping", 1), b"1", "reply")
	low = ticks()
	time.sleep(1)
	check(ticks() - low < os.sysconf("SC_CLK_TCK") // 2,
	    "the frontend spins")
	check(len(d.log_lines(mark)) < 200, "%d lines logged" %
	    len(d.log_lines(mark)))
	for c in cs[:80]:
		c.close()
	for c in cs[80:]:
		equal(c.fails(ATTACH, {"containerId": "nobody"}),
		    "unknown containerID: nobody", "error")


@test("7.3", "D19 all tokens of a connection are released", shared=True)
def d19(d):
	vm = d.vm(n=4)
	s = d.client()
	for t in vm.tokens:
		s.connect_shim(t)
	s.close()
	for i, t in enumerate(vm.tokens):
		n = ensure_free(d, t)
		vm.client.hyper("newcontainer", {"id": "c%d" % i,
		    "process": {}}, [t])
		vm.agent.tty(3 + 2 * i, b"x")
		equal(n.stdout(), b"x", "output")


@test("7.3", "D20 a claim that fails is rolled back", shared=True)
def d20(d):
	vm = d.vm(n=1)
	vm.agent.hang_up("io")
	vm.agent.wait_eof("ctl")
	for i in range(3):
		def lost():
			f = d.client().ask(CONNECT, {"token": vm.tokens[0]})
			return f.err and error_text(f)
		equal(wait_for(lost, "loss"), "vm: unknown token " +
		    vm.tokens[0], "error")


# 7.4 Recorded intentions

@test("7.4", "descriptors return to their number after heavy use",
    daemon=dict(level="warn"))
def leaks(d):
	def round():
		vm = d.vm("leak", mode="echo")
		for i in range(5):
			s = vm.shim()
			vm.agent.exit(s.base, 0)
			equal(s.exit_status(), 0, "status")
			s.disconnect_shim()
			s.close()
			s = vm.shim(start=False)
			s.close()
			c, _ = vm.attach(2)
			c.hyper("ping")
			c.close()
			c = d.client()
			c.raw(b"\0\2\3")
			c.close()
		vm.unregister()
		vm.client.close()
		vm.agent.close()

	def settled():
		return len(d.engines()) == 1
	round()
	wait_for(settled, "engines gone")
	low = d.fds()
	for i in range(10):
		round()
	wait_for(settled, "engines gone")
	wait_for(lambda: d.fds() <= low, "descriptors back at %d, are %d" %
	    (low, d.fds()))


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Guest dialects: an agent is known by what it sends, and spoken to in its
own words; no answer is shifted, no end invented, no status lost."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
import ccp
from ccp1 import *

A_SIGNALPROCESS = 24
A_EVENT = 23
FOREIGN = ("Could not send the signal %s: Sending a signal to a process "
    "different from the initial container process is not supported")

H3 = {"id": "web1", "rootfs": "rootfs", "image": "web1", "fsmap": [
    {"source": "s", "path": "/data", "readOnly": False,
    "dockerVolume": False, "absolutePath": False, "scsiAddr": ""}],
    "process": {"user": "0", "group": "0", "terminal": False,
    "args": ["sleep", "60"], "envs": [{"env": "PATH", "value": "/bin"}],
    "workdir": "/", "noNewPrivileges": True,
    "capabilities": {"bounding": ["CAP_CHOWN"]}},
    "restartPolicy": "", "initialize": False,
    "systemMountsInfo": {"bindMountDev": False, "devShmSize": 0},
    "constraints": {"CPUQuota": 0, "CPUPeriod": 0, "CPUShares": 0}}


def known(d, flow, mode="ack", **kw):
	"""A VM whose agent has answered a command with a payload."""
	vm = d.vm(flow=flow, mode="ack", **kw)
	vm.client.hyper("startpod", {"hostname": "h", "shareDir": "s"})
	vm.agent.skip_ctl()
	vm.agent.mode = mode
	return vm


def event(agent, container, process, status):
	agent.send_ctl(A_EVENT, json.dumps({"container": container,
	    "process": process, "event": "finished", "status": status},
	    separators=(",", ":")).encode())


def exited(shim, status):
	equal(shim.exit_status(), status, "exit status")


def silent(shim):
	"""The caller has seen to it that whatever comes is there."""
	equal(pending(shim.sock), 0, "unread bytes")


def container(vm, cid="c1", **kw):
	"""A shim whose first process was started."""
	return vm.shim(cid=cid, **kw)


# What is written

@test("dialect", "cc-agent gets what the client wrote", shared=True)
def agent_verbatim(d):
	vm = known(d, False)
	token = vm.token()
	shim = d.client()
	shim.connect_shim(token)
	vm.client.hyper("newcontainer", H3, [token])
	got = vm.agent.next_ctl(A_NEWCONTAINER)[1]
	want = json.loads(json.dumps(H3))
	sent = json.loads(got)
	check(sent["process"].pop("stdio") and sent["process"].pop("stderr"),
	    "numbers")
	equal(sent, want, "newcontainer")
	shim.ok(SIGNAL, {"signalNumber": 28, "rows": 40, "columns": 120})
	equal(vm.agent.next_ctl(A_WINSIZE)[1],
	    b'{"seq":3,"row":40,"column":120}', "winsize")


@test("dialect", "hyperstart gets what both its versions take", shared=True)
def hyperstart_words(d):
	vm = known(d, "split")
	token = vm.token()
	shim = d.client()
	shim.connect_shim(token)
	vm.client.hyper("newcontainer", H3, [token])
	got = vm.agent.next_ctl(A_NEWCONTAINER)[1]
	equal(list(json.loads(got))[-1], "process", "last member")
	sent = json.loads(got)
	equal(list(sent["process"])[-1], "id", "last member of process")
	equal(sent["process"]["id"], "init", "process id")
	for name in ("systemMountsInfo", "constraints", "readOnly"):
		check(name not in sent, name)
	for name in ("noNewPrivileges", "capabilities", "rlimits"):
		check(name not in sent["process"], name)
	equal(sorted(sent["fsmap"][0]), ["path", "source"], "fsmap")
	equal(sent["process"]["args"], ["sleep", "60"], "args")
	equal((sent["process"]["stdio"], sent["process"]["stderr"]), (3, 4),
	    "numbers")
	shim.ok(SIGNAL, {"signalNumber": 28, "rows": 40, "columns": 120})
	equal(json.loads(vm.agent.next_ctl(A_WINSIZE)[1]),
	    {"seq": 3, "row": 40, "column": 120, "container": "web1",
	    "process": "init"}, "winsize")
	e = vm.shim(cid="web1", command="execcmd", terminal=True)
	e.signal(28, 50, 100)
	equal(json.loads(vm.agent.next_ctl(A_WINSIZE)[1]),
	    {"seq": e.base, "row": 50, "column": 100, "container": "web1",
	    "process": str(e.base)}, "winsize of an exec")


@test("dialect", "what would kill or hang hyperstart is refused",
    shared=True)
def hyperstart_refused(d):
	vm = known(d, "split")
	for cmd, data, text in (
	    ("newcontainer", {"id": "c", "rootfs": "", "image": "",
	    "process": {"args": []}}, "newcontainer: no args"),
	    ("newcontainer", {"rootfs": "", "image": "",
	    "process": {"args": ["a"]}}, "newcontainer: no id"),
	    ("execcmd", {"process": {"args": ["a"]}},
	    "execcmd: no container"),
	    ("execcmd", {"container": "c", "process": {"args": []}},
	    "execcmd: no args"),
	    ("killcontainer", {"signal": 9}, "killcontainer: no container"),
	    ("startpod", {"shareDir": "s"}, "startpod: no hostname"),
	    ("startpod", None, "startpod: no object"),
	    ("killcontainer", Raw(b" null"), "killcontainer: no object"),
	    ("setuproute", [], "setuproute: no object"),
	    ("removecontainer", "c", "removecontainer: no object")):
		equal(vm.client.hyper_fails(cmd, data), text, cmd)
	vm.client.hyper("ping")
	equal(vm.agent.next_ctl()[0], A_PING, "what the agent got")
	c = d.client1().attach(vm.id)
	equal(c.hyper_fails("killcontainer", {"signal": 9}),
	    "killcontainer: no container", "1.x")


@test("dialect", "a pod refused for its words is asked for in others, once",
    shared=True)
def reworded(d):
	refuse = [True]

	def mode(a, code, p):
		if refuse[0] or b"unheard" in p:
			refuse[0] = False
			a.error()
		else:
			a.ack()
	for mine, want in (({"hostname": "h", "unheard": 1}, 2),
	    ({"hostname": "h"}, 1)):
		refuse[0] = True
		vm = d.vm(flow="split", mode=mode)
		if want == 2:
			vm.client.hyper("startpod", mine)
		else:
			vm.client.hyper_fails("startpod", mine)
		equal(len(vm.agent.ctl_unread()), want, "commands")
		equal(json.loads(vm.agent.ctl_unread()[-1][1]),
		    {"hostname": "h"}, "the last")
	# Refused for good.
	vm = d.vm(flow="split", mode=lambda a, code, p: a.error())
	vm.client.hyper_fails("startpod", {"hostname": "h", "unheard": 1})
	equal(len(vm.agent.ctl_unread()), 2, "commands")


@test("dialect", "an agent that turns out another one is known anew",
    shared=True)
def relearn(d):
	vm = known(d, False)
	vm.agent.flow = "split"
	vm.client.hyper("startpod", {"hostname": "h"})
	vm.agent.skip_ctl()
	s = container(vm)
	s.signal(28, 1, 2)
	check(b"container" in vm.agent.next_ctl(A_WINSIZE)[1], "winsize")


@test("dialect", "sums of NEXT that are wrong tell nothing", shared=True)
def wrong_sums(d):
	vm = d.vm(mode="manual")
	for n in (0, 7, 8, 9, 0xffffffff):
		vm.client.hyper_send("startpod", {"hostname": "h"})
		vm.agent.next_ctl()
		vm.agent.send_ctl(A_NEXT, struct.pack(">I", n))
		vm.agent.ack()
		vm.client.response(HYPER)
	vm.agent.mode = "ack"
	s = container(vm)
	s.signal(28, 1, 2)
	check(b"container" not in vm.agent.next_ctl(A_WINSIZE)[1], "winsize")


@test("dialect", "the mode can be fixed",
    daemon=dict(args=["-guest", "hyperstart"]))
def fixed_mode(d):
	vm = d.vm()
	s = container(vm)
	s.signal(28, 1, 2)
	check(b"container" in vm.agent.next_ctl(A_WINSIZE)[1], "winsize")


@test("dialect", "the mode can be fixed by directory", bystander=False,
    daemon=dict(args=["-guest", "hyperstart"], start=False))
def fixed_directory(d):
	d.argv += ["-guest-dir", d.dir + "=agent"]
	d.start()
	vm = d.vm(flow="split")
	vm.client.hyper("startpod", {"shareDir": "s"})
	vm.agent.skip_ctl()
	s = container(vm)
	s.signal(28, 1, 2)
	check(b"container" not in vm.agent.next_ctl(A_WINSIZE)[1], "winsize")


@test("dialect", "messages above 10,240 bytes, once the agent is known",
    shared=True)
def long_messages(d):
	for flow in (False, True, "split"):
		vm = d.vm(flow=flow, mode="ack")
		vm.agent.limit = 1024 * 1024
		big = {"hostname": "h", "shareDir": "x" * 20000}
		text = vm.client.hyper_fails("startpod", big)
		check(text.startswith("message too long 200"), text)
		vm.client.hyper("startpod", {"hostname": "h"})
		vm.agent.skip_ctl()
		vm.client.hyper("startpod", big)
		code, got = vm.agent.next_ctl()
		equal(json.loads(got), big, "message")


@test("dialect", "nearly 1 MiB to the agent; 1.x keeps its 10,240 bytes",
    shared=True)
def longest_messages(d):
	for flow in (False, "split"):
		vm = known(d, flow)
		vm.agent.limit = 1024 * 1024
		data = "x" * (1024 * 1024 - 100)
		vm.client.hyper("ping", data)
		code, got = vm.agent.next_ctl(A_PING)
		equal(len(got), len(data) + 2, "length")
		c = d.client1().attach(vm.id)
		equal(c.hyper_fails("ping", "y" * 10231),
		    "message too long 10241", "1.x")
		c.hyper("ping", "y" * 10230)


# What is answered

@test("dialect", "nothing stray shifts an answer", shared=True)
def strays(d):
	for flow in (False, True, "split"):
		vm = known(d, flow, mode="manual")
		s = vm.token()
		for i in range(30):
			for code, payload in ((8, b""), (13, b"\0\0\0\1"),
			    (23, b"{}"), (24, b""), (9, b"stray"),
			    (10, b"stray"), (14, b"\0\0\0\10")):
				vm.agent.send_ctl(code, payload)
			# What comes before the command is written is stray.
			d.bystander.check()
			vm.client.hyper_send("ping", i)
			vm.agent.next_ctl(A_PING)
			for code in (8, 13, 23, 24):
				vm.agent.send_ctl(code, b"")
			vm.agent.ack(b"%d" % i)
			equal(vm.client.response(HYPER).payload, b"%d" % i,
			    "reply")


@test("dialect", "a reply before the command was read is none", shared=True)
def unread_reply(d):
	vm = known(d, "split", mode="manual")
	vm.agent.flow = False
	vm.client.hyper_send("ping", 1)
	vm.agent.next_ctl(A_PING)
	vm.agent.ack(b"stray")
	for n in (8, 1):
		vm.agent.send_ctl(A_NEXT, struct.pack(">I", n))
	vm.agent.ack(b"real")
	equal(vm.client.response(HYPER).payload, b"real", "reply")


@test("dialect", "hyperstart gets one command at a time", shared=True)
def one_at_a_time(d):
	vm = known(d, "split", mode="manual")
	cs = [vm.attach()[0] for i in range(4)]
	for i, c in enumerate(cs):
		c.hyper_send("ping", i)
	for i in range(4):
		code, p = vm.agent.next_ctl(A_PING)
		d.bystander.check()
		equal(vm.agent.ctl_unread(), [], "more commands")
		vm.agent.ack(p)
	equal(sorted(c.response(HYPER).payload for c in cs),
	    [b"0", b"1", b"2", b"3"], "replies")


@test("dialect", "destroypod answered late, behind other answers",
    shared=True)
def destroy_late(d):
	vm = known(d, "split", mode="manual")
	vm.client.hyper_send("destroypod")
	vm.agent.next_ctl(A_DESTROYPOD)
	c, _ = vm.attach()
	for i in range(5):
		c.hyper_send("ping", i)
		vm.agent.next_ctl(A_PING)
		vm.agent.ack(b"ping %d" % i)
		equal(c.response(HYPER).payload, b"ping %d" % i, "reply")
	vm.agent.ack(b"destroyed")
	equal(vm.client.response(HYPER).payload, b"destroyed", "destroypod")
	c.hyper_send("ping", 9)
	vm.agent.next_ctl(A_PING)
	vm.agent.ack(b"9")
	equal(c.response(HYPER).payload, b"9", "reply")


@test("dialect", "destroypod answered while another command is unread",
    shared=True)
def destroy_first(d):
	vm = known(d, "split", mode="manual")
	vm.client.hyper_send("destroypod")
	vm.agent.next_ctl(A_DESTROYPOD)
	vm.agent.flow = False
	c, _ = vm.attach()
	c.hyper_send("ping", 1)
	vm.agent.next_ctl(A_PING)
	vm.agent.ack(b"destroyed")
	equal(vm.client.response(HYPER).payload, b"destroyed", "destroypod")
	for n in (8, 1):
		vm.agent.send_ctl(A_NEXT, struct.pack(">I", n))
	vm.agent.ack(b"1")
	equal(c.response(HYPER).payload, b"1", "ping")


@test("dialect", "the VM that ends after destroypod has done it",
    shared=True)
def destroy_eof(d):
	vm = known(d, "split", mode="manual")
	vm.client.hyper_send("destroypod")
	vm.agent.next_ctl(A_DESTROYPOD)
	vm.agent.hang_up("ctl")
	equal(vm.client.response(HYPER).err, 0, "error flag")


@test("dialect", "the last events and answers of a VM that ends count",
    shared=True)
def last_words(d):
	for first in ("io", "ctl"):
		vm = known(d, "split")
		shims = [container(vm, "c%d" % i) for i in range(8)]
		vm.agent.mode = "manual"
		vm.client.hyper_send("destroypod")
		vm.agent.next_ctl(A_DESTROYPOD)
		engine = d.engines()
		for pid in engine:
			os.kill(pid, signal.SIGSTOP)
		for i, s in enumerate(shims):
			vm.agent.tty(s.base, b"last words %d" % i)
			event(vm.agent, s.cid, "init", i)
			vm.agent.tty(s.base)
		vm.agent.ack(b"bye")
		vm.agent.hang_up(first)
		vm.agent.hang_up("ctl" if first == "io" else "io")
		for pid in engine:
			os.kill(pid, signal.SIGCONT)
		for i, s in enumerate(shims):
			equal(s.stdout(), b"last words %d" % i, "output")
			exited(s, i)
		equal(vm.client.response(HYPER).payload, b"bye", "reply")


@test("dialect", "destroypod never answered: a deadline ends it",
    daemon=dict(timeouts={"destroy": "300ms"}))
def destroy_never(d):
	vm = known(d, "split", mode="manual")
	equal(vm.client.hyper_fails("destroypod"),
	    "timeout waiting for the VM agent", "error")
	vm.agent.next_ctl(A_DESTROYPOD)
	vm.client.hyper_send("ping", 1)
	vm.agent.next_ctl(A_PING)
	vm.agent.ack(b"1")
	equal(vm.client.response(HYPER).payload, b"1", "reply")
	# A second one has the first before it.
	equal(vm.client.hyper_fails("destroypod"),
	    "timeout waiting for the VM agent", "second")
	equal(vm.agent.ctl_unread(), [], "commands")


@test("dialect", "cc-agent takes its time to destroy",
    daemon=dict(timeouts={"destroy": "1ms"}))
def destroy_agent(d):
	vm = known(d, False, mode="manual")
	vm.client.hyper_send("destroypod")
	vm.agent.next_ctl(A_DESTROYPOD)
	for i in range(5):
		d.bystander.check()
	vm.agent.ack(b"done")
	equal(vm.client.response(HYPER).payload, b"done", "reply")


@test("dialect", "a container that hyperstart removed by itself",
    shared=True)
def removed(d):
	vm = known(d, "split")
	s = container(vm, "c1")
	vm.agent.tty(s.base)
	event(vm.agent, "c1", "init", 3)
	exited(s, 3)
	vm.agent.mode = lambda a, code, p: a.error(b"no such container\0")
	for cmd in ("killcontainer", "removecontainer", "removecontainer"):
		vm.client.hyper(cmd, {"container": "c1", "signal": 9})
	check("ERROR received" in vm.client.hyper_fails("removecontainer",
	    {"container": "c2"}), "another one")
	s.signal(15)
	s.signal(28, 1, 2)
	# Started again it is a container like any other.
	vm.agent.mode = "ack"
	s = container(vm, "c1")
	vm.agent.mode = lambda a, code, p: a.error()
	vm.client.hyper_fails("removecontainer", {"container": "c1"})


@test("dialect", "1024 ended containers are remembered, then the oldest "
    "is not", shared=True)
def removed_bound(d):
	vm = known(d, "split")
	for i in range(1025):
		event(vm.agent, "c%d" % i, "init", 0)
	vm.agent.mode = lambda a, code, p: a.error()
	for i in (1, 1024):
		vm.client.hyper("removecontainer", {"container": "c%d" % i})
	vm.client.hyper_fails("removecontainer", {"container": "c0"})


# Exit status

@test("dialect", "status by event: before and behind the end of output",
    shared=True)
def event_order(d):
	vm = known(d, "split")
	for i, first in enumerate(("event", "end")):
		s = container(vm, "c%d" % i)
		vm.agent.tty(s.base, b"last words")
		if first == "event":
			event(vm.agent, s.cid, "init", 40 + i)
			d.bystander.check()
			equal(s.stdout(), b"last words", "output")
			silent(s)
			vm.agent.tty(s.base, b"more")
			vm.agent.tty(s.base)
			equal(s.stdout(), b"more", "output")
		else:
			vm.agent.tty(s.base)
			equal(s.stdout(), b"last words", "output")
			d.bystander.check()
			silent(s)
			event(vm.agent, s.cid, "init", 40 + i)
		exited(s, 40 + i)
		# Once.
		event(vm.agent, s.cid, "init", 99)
		vm.agent.tty(s.base)
		vm.client.hyper("ping")
		d.bystander.check()
		silent(s)


@test("dialect", "end and status come before the start is acknowledged",
    shared=True)
def early_exit(d):
	vm = known(d, "split", mode="manual")
	token = vm.token()
	s = d.client()
	s.connect_shim(token)
	vm.client.hyper_send("newcontainer", {"id": "c1", "rootfs": "",
	    "image": "", "process": {"args": ["a"]}}, [token])
	base = json.loads(vm.agent.next_ctl(A_NEWCONTAINER)[1])[
	    "process"]["stdio"]
	vm.agent.tty(base, b"out")
	vm.agent.exit(base, 5)
	equal(s.stdout(), b"out", "output")
	exited(s, 5)
	vm.agent.ack()
	vm.client.response(HYPER)
	vm.agent.mode = lambda a, code, p: a.error()
	vm.client.hyper("removecontainer", {"container": "c1"})


@test("dialect", "hostile events", shared=True)
def hostile_events(d):
	vm = known(d, "split")
	s = container(vm, "c1")
	for p in (b"", b"{", b"[]", b"null", b"{}", b'{"container":"c1"}',
	    b'{"container":"c1","process":1,"event":"finished","status":0}',
	    b'{"container":"c1","process":"init","event":"x","status":0}',
	    b'{"container":"c1","process":"init","event":"finished"}',
	    b'{"container":"c1","process":"init","event":"finished",'
	    b'"status":"0"}',
	    b'{"container":"c2","process":"init","event":"finished",'
	    b'"status":0}', b"x" * 100000,
	    b'{"container":"' + b"a" * 60000 + b'","process":"init",'
	    b'"event":"finished","status":0}'):
		vm.agent.send_ctl(A_EVENT, p)
	vm.agent.tty(s.base)
	vm.client.hyper("ping")
	d.bystander.check()
	silent(s)
	event(vm.agent, "c1", "init", 1)
	exited(s, 1)


@test("dialect", "a goodbye is no exit", shared=True)
def goodbye(d):
	vm = known(d, "split", mode="manual")
	token = vm.token()
	s = d.client()
	s.connect_shim(token)
	# Nothing was started: no end.
	vm.agent.tty(3)
	vm.agent.tty(3, b"1")
	equal(s.stdout(), b"1", "output")
	vm.agent.tty(4)
	vm.agent.tty(4, b"2")
	equal(s.stderr(), b"2", "output")
	vm.agent.mode = "ack"
	vm.client.hyper("newcontainer", {"id": "c1", "rootfs": "",
	    "image": "", "process": {"args": ["a"]}}, [token])
	# More output: it was no end either.
	vm.agent.tty(3)
	vm.agent.tty(3, b"lively")
	vm.agent.tty(3, b"3")
	equal(s.stdout() + s.stdout(), b"lively3", "output")
	vm.agent.exit(3, 4)
	exited(s, 4)


@test("dialect", "1.x: end and status together, whatever tells the status",
    daemon=dict())
def raw_exit(d):
	vm = d.vm1(flow="split")
	vm.client.hyper("startpod", {"hostname": "h", "containers": []})
	p = vm.process(cid="c1")
	vm.agent.tty(p.base, b"out")
	p.io.expect(b"out")
	vm.agent.tty(p.base)
	d.bystander.check()
	p.io.quiet()
	event(vm.agent, "c1", "init", 9)
	p.io.expect_exit(9)
	q = vm.process(cid="c2")
	event(vm.agent, "c2", "init", 8)
	vm.client.hyper("ping")
	vm.agent.tty(q.base, b"out")
	vm.agent.tty(q.base)
	q.io.expect(b"out")
	q.io.expect_exit(8)
	r = vm.process(cid="c3")
	vm.agent.tty(r.base)
	vm.agent.tty(r.base, b"text")
	r.io.expect(b"text")
	sent = json.loads(vm.agent.ctl_unread()[-1][1])
	equal(sent["process"]["id"], "init", "process id")
	equal("stderr" in sent["process"], True, "stderr")


@test("dialect", "1.x: a pair of end and status on the I/O channel",
    daemon=dict())
def raw_pair(d):
	vm = d.vm1(flow="split")
	vm.client.hyper("startpod", {"hostname": "h", "containers": []})
	p = vm.process(cid="c1")
	vm.agent.tty(p.base, b"o")
	vm.agent.exit(p.base, 7)
	p.io.expect(b"o")
	p.io.expect_exit(7)
	vm.agent.tty(p.base)
	d.bystander.check()
	p.io.quiet()


# Signals

@test("dialect", "signals to a process that exec started", shared=True)
def exec_signals(d):
	for flow, api in ((False, 0), (True, 0), ("split", 4244),
	    ("split", 0), ("split", 4242)):
		vm = known(d, flow)
		c = container(vm, "c1")
		e = vm.shim(cid="c1", command="execcmd")
		if api == 4244:
			event(vm.agent, "other", "x", 0)
		elif api == 4242:
			vm.agent.exit(c.base, 0)
			exited(c, 0)
		vm.client.hyper("ping")
		vm.agent.skip_ctl()
		f = None
		if flow == "split" and api == 0:
			vm.agent.mode = lambda a, code, p: a.error()
			f = e.ask(SIGNAL, {"signalNumber": 10})
			equal(vm.agent.next_ctl()[0], A_SIGNALPROCESS, "code")
		elif not flow or api == 4242:
			f = e.ask(SIGNAL, {"signalNumber": 10})
		if f is not None:
			equal(error_text(f), FOREIGN %
			    "user defined signal 1", "error")
			continue
		e.signal(10)
		code, p = vm.agent.next_ctl()
		equal((code, json.loads(p)), (A_SIGNALPROCESS,
		    {"container": "c1", "process": str(e.base),
		    "signal": 10}), "signal")


# stdin

@test("dialect", "stdin for hyperstart: at most 512 bytes at a time",
    shared=True)
def paced(d):
	vm = known(d, "split")
	s = container(vm)
	data = bytes(i * 7 % 251 for i in range(6000))
	for part in (data[:1], data[1:513], data[513:1026], data[1026:]):
		s.stdin(part)
	s.stdin(b"")
	got, frames = b"", 0
	while True:
		seq, p = vm.agent.next_tty()
		equal(seq, s.base, "number")
		if p == b"":
			break
		check(len(p) <= 512, "%d bytes" % len(p))
		got += p
		frames += 1
	equal(got, data, "stdin")
	check(frames >= 12, "%d messages" % frames)


@test("dialect", "stdin that finds the VM gone", daemon=dict())
def gone_stdin(d):
	for how in ("3.x", "1.x"):
		vm = known(d, "split")
		if how == "3.x":
			s = container(vm)
			write = s.stdin
		else:
			p = Process1(vm)
			write = p.io.stdin
		engines = d.engines()
		for pid in engines:
			os.kill(pid, signal.SIGSTOP)
		# Ready first, so that writing is how the loss is noticed.
		write(b"x" * 2000)
		vm.agent.hang_up("io")
		for pid in engines:
			os.kill(pid, signal.SIGCONT)
		wait_for(lambda: d.find_log("VM lost", vm=vm.id), "loss")
		c = d.client()
		equal(c.ask(ATTACH, {"containerId": vm.id}).err, 0, "attach")
	check(not d.find_log("died|killed|exited"), "an engine died")


@test("dialect", "two writes to an input of hyperstart have 10 ms between",
    shared=True)
def paced_time(d):
	vm = known(d, "split")
	s = container(vm)
	start = time.monotonic()
	s.stdin(b"x" * 512 * 40)
	for i in range(40):
		vm.agent.next_tty()
	took = time.monotonic() - start
	check(took >= 39 * 0.010, "%.3f s for 40 messages" % took)


@test("dialect", "no stdin for a process that ended", shared=True)
def dead_stdin(d):
	vm = known(d, "split")
	s = container(vm)
	t = container(vm, "c2")
	vm.agent.exit(s.base, 0)
	exited(s, 0)
	for i in range(5):
		s.stdin(b"nobody reads this")
	s.stdin(b"")
	t.stdin(b"lives")
	s.signal(28, 1, 2)
	equal(vm.agent.next_tty(), (t.base, b"lives"), "stdin")
	equal(vm.agent.tty_unread(), [], "messages")


@test("dialect", "1.x: stdin waits for the start, whole frames of 512 bytes",
    daemon=dict())
def raw_stdin(d):
	vm = d.vm1(flow="split")
	vm.client.hyper("startpod", {"hostname": "h", "containers": []})
	p = vm.process(cid="c1", start=False)
	data = bytes(i * 11 % 251 for i in range(3000))
	p.io.stdin(data)
	p.io.stdin(b"")
	d.bystander.check()
	equal(vm.agent.tty_unread(), [], "before the start")
	p.start()
	got = b""
	while True:
		seq, m = vm.agent.next_tty()
		equal(seq, p.base, "number")
		if m == b"":
			break
		check(len(m) <= 512, "%d bytes" % len(m))
		got += m
	equal(got, data, "stdin")


@test("dialect", "1.x: an end closed before the start is forgotten",
    daemon=dict())
def raw_closed(d):
	vm = d.vm1(flow="split")
	vm.client.hyper("startpod", {"hostname": "h", "containers": []})
	before = d.fds()
	for i in range(20):
		p = vm.process(cid="c1", start=False)
		p.io.stdin(b"early")
		p.close()
	wait_for(lambda: d.fds() <= before, "descriptors given back")


ccp.Daemon = Daemon
ccp.main()

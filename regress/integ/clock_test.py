#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The clock of the day is set while the daemon waits: nothing but the time
in the log goes by it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from faults import *

HOUR = 3600
STEPS = (HOUR, -HOUR)


def took(start):
	return time.monotonic() - start


@test("clock", "the log's time follows, the sandboxed processes' too",
    private=False)
def log():
	with Clock() as c:
		c.step(400 * 24 * HOUR)
		vm = c.d.vm()
		mark = c.d.log_mark()
		vm.agent.hang_up("ctl")
		e = c.d.wait_log("VM lost", mark)
		year = int(e["time"][:4])
		check(year > time.gmtime().tm_year, "time %s" % e["time"])


@test("clock", "a 1.x runtime whose sockets are late is waited for as ever",
    private=False)
def dial():
	with Clock() as c:
		for step in STEPS:
			# In time, although the clock says otherwise.
			name = "late%d" % step
			r = c.d.client1()
			r.send("hello", ccp1.hello_request(name,
			    os.path.join(c.d.dir, name + ".ctl"),
			    os.path.join(c.d.dir, name + ".io")))
			time.sleep(0.1)
			c.step(step)
			time.sleep(0.1)
			a = c.d.agent(name)
			answer = r.reply()
			check(answer.success, "hello: %s" % answer.error)
			# Never: the answer comes as soon as it should.
			start = time.monotonic()
			r = c.d.client1()
			r.send("hello", ccp1.hello_request("x" + name,
			    a.ctl_path + "x", a.io_path + "x"))
			time.sleep(0.1)
			c.step(step)
			check(not r.reply().success, "hello without a VM")
			check(took(start) < 30, "%.1f s" % took(start))
			check(took(start) >= 0.9, "%.1f s" % took(start))


def crowd(path):
	"""Connections that nobody accepts, until there is no room."""
	out = []
	while True:
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.setblocking(False)
		try:
			s.connect(path)
		except BlockingIOError:
			s.close()
			return out
		out.append(s)


@test("clock", "a VM with a full backlog is given up at its time",
    private=False)
def backlog():
	with Clock(timeouts={"ready": "1s"}) as c:
		path = os.path.join(c.d.dir, "full.ctl")
		l = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		l.bind(path)
		l.listen(0)
		keep = crowd(path)
		for step in STEPS:
			start = time.monotonic()
			r = c.d.client()
			r.cmd(REGISTER, register_request("full", path, path))
			time.sleep(0.2)
			c.step(step)
			error_text(r.response(REGISTER))
			check(1.5 < took(start) < 30, "%.1f s" % took(start))
		for s in keep + [l]:
			s.close()


@test("clock", "deadlines of VMs, agents and shims", private=False)
def deadlines():
	limits = {"ready": "700ms", "agent": "700ms", "shim": "700ms"}
	with Clock(timeouts=limits) as c:
		for i, step in enumerate(STEPS):
			a = c.d.agent("mute%d" % i, ready=False)
			start = time.monotonic()
			r = c.d.client()
			r.cmd(REGISTER, register_request("mute", a.ctl_path,
			    a.io_path))
			a.wait_accept("ctl")
			c.step(step)
			check("timeout" in error_text(r.response(REGISTER)),
			    "no timeout")
			check(0.6 < took(start) < 30, "%.1f s" % took(start))
			vm = c.d.vm(mode="manual")
			start = time.monotonic()
			vm.client.hyper_send("ping")
			vm.agent.next_ctl(A_PING)
			c.step(step)
			error_text(vm.client.response(HYPER))
			check(0.6 < took(start) < 30, "%.1f s" % took(start))


@test("clock", "output for a shim that is away is kept as long as ever",
    private=False)
def away():
	with Clock(timeouts={"shim": "1500ms"}) as c:
		for step in STEPS:
			vm = c.d.vm()
			s, other = vm.shim(), vm.shim()
			token, base = s.token, s.base
			s.close()
			wait_for(lambda: vm.agent.ctl is not None, "agent")
			d, mark = c.d, c.d.log_mark()
			c.step(step)
			start = time.monotonic()
			piece = b"x" * 8000
			for i in range(QUEUE_BOUND // 8000 + 2):
				vm.agent.tty(base, piece)
			vm.agent.tty(other.base, b"behind")
			equal(other.stdout(), b"behind", "output")
			check(1 < took(start) < 30, "%.1f s" % took(start))
			d.wait_log("is away", mark)


@test("clock", "a guest's strays are a line a second", private=False)
def strays():
	with Clock() as c:
		vm = c.d.vm()
		mark = c.d.log_mark()
		start = time.monotonic()
		for i in range(200):
			vm.agent.tty(10 ** 6 + i, b"x")
			if i % 10 == 0:
				vm.client.hyper("ping")
				c.step(STEPS[i // 10 % 2])
		vm.client.hyper("ping")
		c.d.wait_log("couldn't find client", mark)
		n = len([e for e in c.d.entries(mark)
		    if "couldn't find client" in e["msg"]])
		check(1 <= n <= took(start) + 2, "%d lines" % n)


main()

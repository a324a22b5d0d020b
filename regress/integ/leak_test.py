#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""After hundreds of sessions and VMs everything is as it was."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

SESSIONS = scaled(500)
CYCLES = scaled(100)
GROWTH = 192		# KiB of anonymous memory that a process may gain


def session(vm, n):
	c, tokens = vm.attach(1)
	s = Client(vm.daemon)
	s.connect_shim(tokens[0])
	vm.agent.skip_ctl()
	c.hyper("newcontainer", {"id": "c%d" % n, "process":
	    {"args": ["x"], "envs": [{"env": "E", "value": "v" * 500}]}},
	    tokens)
	base = json.loads(vm.agent.next_ctl(A_NEWCONTAINER)[1])["process"][
	    "stdio"]
	data = b"%d " % n * 700
	vm.agent.tty(base, data)
	vm.agent.tty(base + 1, b"err")
	equal(s.stdout(len(data)), data, "output")
	equal(s.stderr(), b"err", "error output")
	s.stdin(data)
	s.stdin(b"")
	s.signal(10)
	vm.agent.exit(base, n % 256)
	equal(s.exit_status(), n % 256, "exit status")
	s.disconnect_shim()
	for x in (s, c):
		x.close()
		vm.daemon.clients.remove(x)


def cycle(d, n):
	"""Register, lose, unregister: in both orders, and not at all."""
	a = Agent(d.dir, "cycle%d" % n)
	try:
		c = Client(d)
		f = c.register("cycle", a.ctl_path, a.io_path, None, 1)
		check(not f.err, "RegisterVM: %s" % brief(f.payload))
		s = Client(d)
		s.connect_shim(tokens_of(f.payload)[0])
		if n % 3 == 0:
			a.hang_up("ctl")
			s.expect_closed()
			c.ok(UNREGISTER, {"containerId": "cycle"})
		elif n % 3 == 1:
			c.ok(UNREGISTER, {"containerId": "cycle"})
			a.hang_up("io")
			s.expect_closed()
		else:
			s.hyper_fails("ping")
			for p in d.engines_of_cycle():
				os.kill(p, signal.SIGKILL)
			s.expect_closed()
			c.close()
			d.clients.remove(c)
			c = Client(d)
			c.ok(UNREGISTER, {"containerId": "cycle"})
		for x in (s, c):
			x.close()
			d.clients.remove(x)
	finally:
		a.close()
		for p in (a.ctl_path, a.io_path):
			os.unlink(p)


class State:
	"""Descriptors and memory of the processes that stay."""

	def __init__(self, d):
		self.fds = fd_counts(d)
		self.rss = {p: anonymous(p) for p in self.fds}
		self.names = {p: status(p)["Name"] for p in self.fds}


def same_fds(d, before):
	def same():
		try:
			return fd_counts(d) == before.fds
		except OSError:
			return False
	try:
		wait_for(same, "descriptors")
	except Fail:
		raise Fail("descriptors: %s before, %s after" % (before.fds,
		    fd_counts(d)))


def same_memory(d, before):
	after = State(d)
	for p, kb in before.rss.items():
		note("%s: anonymous memory %d KiB before, %d KiB after" %
		    (before.names[p], kb, after.rss[p]))
		if not SANITIZED:
			check(after.rss[p] <= kb + GROWTH,
			    "%s grew from %d to %d KiB" % (before.names[p],
			    kb, after.rss[p]))


@test("leak", "%d sessions of one VM" % SESSIONS, daemon=QUIET)
def sessions(d):
	vm = d.vm()
	for i in range(SESSIONS // 5):
		session(vm, i)
	d.bystander.check()
	settle(d)
	before = State(d)
	for i in range(SESSIONS):
		session(vm, i)
		if i % 50 == 0:
			d.bystander.check()
			for a in (vm.agent, d.bystander.vm.agent):
				a.skip_ctl()
	same_fds(d, before)
	same_memory(d, before)


def settle(d):
	"""Until those who closed are known to have gone."""
	seen = [None]

	def still():
		now = fd_counts(d)
		same, seen[0] = now == seen[0], now
		return same
	wait_for(still, "steady number of descriptors")


@test("leak", "%d VMs registered, lost or killed, and unregistered" % CYCLES,
    daemon=QUIET)
def cycles(d):
	keep = set(d.engines())
	d.engines_of_cycle = lambda: set(d.engines()) - keep
	for i in range(CYCLES // 5 + 3):
		cycle(d, i)
	wait_for(lambda: set(d.engines()) == keep, "end of the engines")
	d.bystander.check()
	settle(d)
	before = State(d)
	for i in range(CYCLES):
		cycle(d, i)
	wait_for(lambda: set(d.engines()) == keep, "end of the engines")
	same_fds(d, before)
	same_memory(d, before)


@test("leak", "%d registrations that fail" % CYCLES, daemon=QUIET)
def failures(d):
	nobody = os.path.join(d.dir, "nobody")
	quiet = d.agent("quiet", ready=False)

	def one(i):
		c = Client(d)
		if i % 2 == 0:
			error_text(c.register("f", nobody, nobody))
		else:
			seen = quiet.accepted["io"]
			c.cmd(REGISTER, register_request("f", quiet.ctl_path,
			    quiet.io_path))
			quiet.wait_accept("io", seen + 1)
			quiet.wait_accept("ctl", seen + 1)
			quiet.send_ctl(A_ERROR, b"no")
			error_text(c.response(REGISTER))
		c.close()
		d.clients.remove(c)
	for i in range(CYCLES // 5):
		one(i)
	settle(d)
	wait_for(lambda: len(d.engines()) == 1, "end of the engines")
	before = State(d)
	for i in range(CYCLES):
		one(i)
	same_fds(d, before)
	same_memory(d, before)


@test("leak", "%d clients that come and go without a word" % (SESSIONS * 4),
    daemon=QUIET)
def mute(d):
	def one(i):
		c = Client(d)
		if i % 3 == 1:
			c.raw(b"\0")
		elif i % 3 == 2:
			c.raw(frame(COMMAND, ATTACH, b"{}")[:-1])
		c.close()
		d.clients.remove(c)
	for i in range(SESSIONS):
		one(i)
	d.bystander.check()
	settle(d)
	before = State(d)
	for i in range(SESSIONS * 4):
		one(i)
	d.bystander.check()
	same_fds(d, before)
	same_memory(d, before)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""One process is killed: who is hurt, and who is not."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

GONE = "No multicast available for CTL channel"


class Traffic:
	"""Streams both ways through a VM until it is told to stop."""

	def __init__(self, d):
		self.vm = bulk_vm(d)
		self.shims = [self.vm.shim() for i in range(3)]
		self.stop = threading.Event()
		self.readers = [Reader(s) for s in self.shims]
		self.up = [Task(self._up, s) for s in self.shims]
		self.down = Task(self._down)

	def _pieces(self, seed):
		rng = random.Random(seed)
		block = rng.randbytes(MB)
		while not self.stop.is_set():
			n = rng.randrange(1, BULK)
			at = rng.randrange(MB - n)
			yield block[at:at + n]

	def _up(self, s):
		t = Tally()
		for piece in self._pieces(s.base):
			s.stdin(piece)
			t.add(piece)
		return t

	def _down(self):
		tallies = {s.base: Tally() for s in self.shims}
		tallies.update({s.base + 1: Tally() for s in self.shims})
		for i, piece in enumerate(self._pieces(0)):
			seq = list(tallies)[i % len(tallies)]
			self.vm.agent.tty(seq, piece)
			tallies[seq].add(piece)
		return tallies

	def moved(self):
		"""Bytes that arrived so far, both ways."""
		return sum(t.size for r in self.readers
		    for t in r.out.values()) + sum(t.size for t in
		    list(self.vm.agent.tally.values()))

	def wait_more(self, n=2 * MB):
		start = self.moved()
		wait_for(lambda: self.moved() >= start + n, "traffic")

	def end(self):
		"""Everything that was sent has arrived, byte for byte."""
		self.stop.set()
		sent = self.down.get("output")
		for i, s in enumerate(self.shims):
			self.vm.agent.exit(s.base, i)
		for i, s in enumerate(self.shims):
			r = self.readers[i].get()
			equal(r.status, i, "exit status")
			equal(r.out[STDOUT].digest(), sent[s.base].digest(),
			    "stdout")
			equal(r.out[STDERR].digest(),
			    sent[s.base + 1].digest(), "stderr")
			up = self.up[i].get("stdin")
			equal(self.vm.agent.wait_size(s.base, up.size),
			    up.digest(), "stdin")


def ends(c, what):
	"""The connection ends; what came before that."""
	got = []
	while True:
		f = c.recv()
		if f is None:
			return got
		got.append(f)


@test("kill", "an engine: its VM is lost cleanly, the others go on",
    daemon=QUIET)
def engine(d):
	other = Traffic(d)
	vm, pid = engine_of(d, lambda: d.vm(mode="manual"))
	vm.agent.mode = "ack"
	shims = [vm.shim() for i in range(3)]
	token = vm.token()
	vm.agent.mode = "manual"
	asker, _ = vm.attach()
	asker.hyper_send("ping", {"w": 1})
	vm.agent.next_ctl(A_PING)
	idle, _ = vm.attach()
	other.wait_more()
	count = len(d.children())

	os.kill(pid, signal.SIGKILL)
	for s in shims:
		equal(ends(s, "shim"), [], "frames for a shim")
	for f in ends(asker, "asker"):
		error_text(f)
	ends(idle, "idle client")
	vm.agent.wait_eof("ctl")
	vm.agent.wait_eof("io")
	other.wait_more()

	# The id stays, as that of any lost VM, until it is unregistered.
	c = d.client()
	c.attach(vm.id)
	equal(c.hyper_fails("ping"), GONE, "command for the dead VM")
	equal(len(c.attach(vm.id, 2)), 2, "tokens of the dead VM")
	equal(c.hyper_fails("ping"), GONE, "command for the dead VM")
	s = d.client()
	s.fails(CONNECT, {"token": token})
	f = d.client().register(vm.id, vm.agent.ctl_path, vm.agent.io_path)
	check("already registered" in error_text(f), "id is free already")
	c.ok(UNREGISTER, {"containerId": vm.id})
	d.client().fails(ATTACH, {"containerId": vm.id})
	other.wait_more()
	again = d.vm(vm.id)
	again.client.hyper("ping")
	s = again.shim()
	again.agent.tty(s.base, b"new")
	equal(s.stdout(), b"new", "output of the new VM")
	d.client().fails(CONNECT, {"token": token})
	wait_for(lambda: len(d.children()) == count, "number of processes")
	other.wait_more()
	other.end()
	d.wait_log(r"engine of %s.*died.*9" % vm.id)


@test("kill", "an engine that is starting: the registration fails",
    daemon=QUIET)
def starting(d):
	agent = d.agent("slow", ready=False)
	c = d.client()
	before = set(d.engines())
	c.cmd(REGISTER, register_request("slow", agent.ctl_path,
	    agent.io_path))
	agent.wait_accept("io")
	waiting = d.client()
	waiting.cmd(ATTACH, {"containerId": "slow"})
	wait_for(lambda: set(d.engines()) - before, "engine")
	pid = (set(d.engines()) - before).pop()
	os.kill(pid, signal.SIGKILL)
	error_text(c.response(REGISTER))
	error_text(waiting.response(ATTACH))
	c.fails(ATTACH, {"containerId": "slow"})
	agent.ready = True
	f = c.register("slow", agent.ctl_path, agent.io_path)
	check(not f.err, "second registration: %s" % brief(f.payload))
	equal(c.hyper("ping"), b"", "command")


@test("kill", "every engine at once: the daemon lives, ids are free again",
    daemon=QUIET, bystander=False)
def all_engines(d):
	vms = [d.vm() for i in range(8)]
	for p in d.engines():
		os.kill(p, signal.SIGKILL)
	for vm in vms:
		ends(vm.client, "client")
	for vm in vms:
		c = d.client()
		c.ok(UNREGISTER, {"containerId": vm.id})
		f = c.register(vm.id, vm.agent.ctl_path, vm.agent.io_path)
		check(not f.err, "registration: %s" % brief(f.payload))
		c.hyper("ping")
	equal(len(d.engines()), 8, "engines")
	check(d.running(), "the daemon ended")


def with_traffic(d):
	"""A daemon at work: its processes, and clients of it."""
	vm = d.vm()
	shims = [vm.shim() for i in range(2)]
	d.vm()
	time_wait = d.client()
	return list(d.children()), [vm.client, time_wait] + shims


@test("kill", "the frontend: the daemon ends with an error, nobody stays",
    private=False)
def frontend():
	d = Daemon(**QUIET)
	try:
		pids, clients = with_traffic(d)
		os.kill(child(d, "frontend"), signal.SIGKILL)
		check(d.wait_exit() != 0, "exit status 0")
		all_gone(pids)
		for c in clients:
			ends(c, "client")
		d.wait_log("frontend.*died.*9")
	finally:
		d.dispose()


@test("kill", "the parent: nobody stays", private=False)
def parent():
	d = Daemon(**QUIET)
	try:
		pids, clients = with_traffic(d)
		os.kill(d.pid, signal.SIGKILL)
		equal(d.wait_exit(), -signal.SIGKILL, "exit status")
		all_gone(pids)
		for c in clients:
			ends(c, "client")
		# The dead daemon's socket is in nobody's way.
		d.start()
		d.vm().client.hyper("ping")
	finally:
		d.dispose()


@test("kill", "stopped children do not keep the daemon from ending",
    private=False)
def stopped():
	d = Daemon(**QUIET)
	try:
		pids, clients = with_traffic(d)
		for p in pids:
			os.kill(p, signal.SIGSTOP)
		d.proc.terminate()
		d.wait_exit()
		all_gone(pids)
	finally:
		d.dispose()


main()

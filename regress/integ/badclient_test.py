#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Clients that stall, flood, dawdle, read nothing or hang up half way, at
each place where a client can be, of both protocols.  Each row of the table is
at work while a well-behaved neighbour on the same VM and one on another VM do
what they have to do; afterwards it has cost what it may and no more."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
import ccp1
import integ
from ccp1 import *
from integ import anonymous, child, engine_of, fd_count, SANITIZED

ATTACKERS = 3
STEPS = 2 if SANITIZED else 4	# of each neighbour while a row is at work
STOPPED = 512 * 1024		# bytes: who reads no reply sends no more
COST = 12 * 1024		# KiB that a row may take meanwhile

TOKEN = "A" * 43
REQUESTS3 = {
	"register": frame(COMMAND, REGISTER, b"{}"),
	"attach": frame(COMMAND, ATTACH, compact({"containerId": "none"})),
	"unregister": frame(COMMAND, UNREGISTER,
	    compact({"containerId": "none"})),
	"hyper": frame(COMMAND, HYPER, compact({"hyperName": "ping"})),
	"connect": frame(COMMAND, CONNECT, compact({"token": TOKEN})),
	"signal": frame(COMMAND, SIGNAL, compact({"signalNumber": 999})),
	"no command": frame(COMMAND, 77, b"{}"),
	"log": frame(STREAM, LOG, compact({"source": "shim", "msg": "m"}))
}
REQUESTS1 = {
	"hello": message(request("hello", {})),
	"attach": message(request("attach", {"containerId": "none"})),
	"bye": message(request("bye", {"containerId": "none"})),
	"allocateIO": message(request("allocateIO", {"nStreams": 3})),
	"hyper": message(request("hyper", hyper_data("ping"))),
	"no request": message(request("none", {}))
}
MUTE = ("log",)			# without a reply


class Neighbour:
	def __init__(self, vm):
		self.vm, self.shim, self.n = vm, vm.shim(), 0
		self.client, _ = vm.attach()
		self.old = Client1(vm.daemon).attach(vm.id)

	def work(self, output=True):
		self.n += 1
		word = b"neighbour %d" % self.n
		self.client.hyper("ping", {"n": self.n})
		self.old.hyper("ping")
		if output:
			self.vm.agent.tty(self.shim.base, word)
			equal(self.shim.stdout(len(word)), word, "output")
			self.shim.stdin(word)
			self.vm.agent.wait(lambda: (self.shim.base, word) in
			    self.vm.agent.tty_in, "a neighbour's input")


# The places: a connection and what can be asked there.

def place_new3(d, vm):
	return Client(d), REQUESTS3


def place_new1(d, vm):
	return Client1(d), REQUESTS1


def place_served3(d, vm):
	return vm.attach()[0], REQUESTS3


def place_served1(d, vm):
	return Client1(d).attach(vm.id), REQUESTS1


def place_shim(d, vm):
	return vm.shim(), dict(REQUESTS3, stdin=frame(STREAM, STDIN,
	    b"i" * 1000))


PLACES = (place_new3, place_new1, place_served3, place_served1, place_shim)


# The attacks: generators; a neighbour works after each step.

def attempt(c, data):
	"""Without waiting; the bytes that were taken."""
	c.sock.setblocking(False)
	try:
		return c.sock.send(data)
	except OSError:
		return 0


def stall(at):
	def attack(c, name, data):
		attempt(c, data[:at(len(data))])
		while True:
			yield
	return attack


def dawdle(c, name, data):
	for i in range(len(data)):
		attempt(c, data[i:i + 1])
		yield


def flood(c, name, data):
	"""And no reply is read."""
	burst, sent = data * (65536 // len(data) + 1), 0
	for i in range(4 * STEPS):
		n = 0
		for k in range(8):
			n += attempt(c, burst[sent % len(data):])
			sent += n
			if n == 0:
				break
		if i % 4 == 3:
			yield
	# Input goes as far as the agent reads it.
	check(name in MUTE + ("stdin",) or sent < STOPPED,
	    "%s: %d bytes were taken" % (name, sent))


ATTACKS = {
	"stall in the header": stall(lambda n: 5),
	"stall in the body": stall(lambda n: n - 1),
	"a byte at a time": dawdle,
	"flood": flood
}


class Costs:
	"""What the daemon's processes have, to be compared."""

	def __init__(self, pids):
		self.pids = pids
		self.fds = {p: fd_count(p) for p in pids}
		self.kb = {p: anonymous(p) for p in pids}

	def check(self, more, what):
		for p in self.pids:
			check(fd_count(p) <= self.fds[p] + more,
			    "%s: descriptors: %d and %d" % (what,
			    self.fds[p], fd_count(p)))
			kb = anonymous(p) - self.kb[p]
			check(SANITIZED or kb < COST, "%s: %d KiB" % (what,
			    kb))

	def settle(self, what):
		wait_for(lambda: all(fd_count(p) <= n for p, n in
		    self.fds.items()), what + ": descriptors are given back")


def drop(d, c):
	c.close()
	if c in d.clients:
		d.clients.remove(c)


def requests_of(d, vm, place):
	c, requests = place(d, vm)
	drop(d, c)
	# What comes later is served later: its end was seen.
	Client1(d).attach(vm.id)
	return requests


def run_rows(d, place):
	vm, pid = engine_of(d, lambda: d.vm(mode="ack"))
	other = Neighbour(d.vm(mode="ack"))
	same = Neighbour(vm)
	front = child(d, "frontend")
	rows = 0
	names = list(requests_of(d, vm, place))
	for title, attack in ATTACKS.items():
		# Where a request stops matters, and less which one it is.
		for name in names[:1] if SANITIZED else names \
		    if attack == flood else names[::3]:
			what = "%s, %s" % (title, name)
			costs = Costs((front, pid))
			clients, at = [], []
			for i in range(ATTACKERS):
				c, requests = place(d, vm)
				clients.append(c)
				at.append(attack(c, name, requests[name]))
			for i in range(STEPS if attack == flood else 1):
				for g in at:
					next(g, None)
				same.work()
				other.work()
			costs.check(ATTACKERS + 1, what)
			for g in at:
				g.close()
			for c in clients:
				drop(d, c)
			costs.settle(what)
			rows += 1
	integ.note("%d rows" % rows)


def half_closes(d, place):
	"""Each request, cut anywhere: the connection ends, and that is all."""
	vm, pid = engine_of(d, lambda: d.vm(mode="ack"))
	other, same = Neighbour(d.vm(mode="ack")), Neighbour(vm)
	requests = requests_of(d, vm, place)
	costs = Costs((child(d, "frontend"), pid))
	for name, data in list(requests.items())[::3 if SANITIZED else 1]:
		points = {0, 1, 7, 8, 11, 12, 13, len(data) - 1, len(data)}
		cut = []
		for n in sorted(p for p in points if p <= len(data)):
			c = place(d, vm)[0]
			c.sock.settimeout(CEILING)
			c.sock.sendall(data[:n])
			c.sock.shutdown(socket.SHUT_WR)
			cut.append(c)
		same.work()
		other.work()
		for c in cut:
			try:
				while c.sock.recv(65536):
					pass
			except ConnectionResetError:
				pass
			drop(d, c)
	costs.settle("half-closed")


for p in PLACES:
	def rows(d, p=p):
		run_rows(d, p)

	def halves(d, p=p):
		half_closes(d, p)

	where = {"new3": "before an engine", "new1":
	    "before an engine, 1.x", "served3": "with an engine",
	    "served1": "with an engine, 1.x", "shim": "a shim"}[
	    p.__name__[6:]]
	kw = {"daemon": dict(integ.QUIET), "bystander": False}
	test("badclient", "bad clients: " + where, **kw)(rows)
	test("badclient", "bad clients hang up half way: " + where,
	    **kw)(halves)


@test("badclient", "shims that never read their output",
    daemon=dict(integ.QUIET), bystander=False)
def never_reads(d):
	vm, pid = engine_of(d, lambda: d.vm(mode="ack"))
	other, same = Neighbour(d.vm(mode="ack")), Neighbour(vm)
	costs = Costs((child(d, "frontend"), pid))
	shims = [vm.shim(), Process1(vm).io]
	stop = threading.Event()

	def pour():
		for i in range(30 if SANITIZED else 300):
			for s in shims:
				if stop.is_set():
					return
				vm.agent.tty(s.base, b"o" * 9000)
	t = integ.Task(pour)
	for i in range(STEPS):
		# All output of that VM stops for them, as the manual says.
		same.work(output=False)
		other.work()
	costs.check(len(shims) + 1, "never read")
	stop.set()
	for s in shims:
		drop(d, s)
	t.get("output")
	vm.agent.complaints.clear()
	same.work()
	other.work()


ccp1.main()

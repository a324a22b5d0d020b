#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Commands of many clients: every reply reaches the one who asked."""

import os
import queue
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

COMMANDS_SENT = scaled(10000)
CLIENTS = 1000


class Echo:
	"""Answers commands with their payload, in order, but late, several
	at a time, and cut anywhere."""

	def __init__(self, seed):
		self.queue = queue.Queue()
		self.rng = random.Random(seed)
		self.errors = 0

	def __call__(self, agent, code, payload):
		if self.queue.qsize() == 0 and not hasattr(self, "task"):
			self.task = Task(self._run, agent)
		self.queue.put((code, payload))

	def _run(self, agent):
		while True:
			batch = [self.queue.get()]
			if self.rng.random() < 0.3:
				time.sleep(self.rng.random() / 500)
			while len(batch) < 20 and not self.queue.empty():
				batch.append(self.queue.get())
			data = b""
			for code, p in batch:
				fail = b"#fail" in p
				data += struct.pack(">II", A_ERROR if fail
				    else A_ACK, 8 + len(p)) + p
			cut = self.rng.randrange(len(data) + 1)
			for part in (data[:cut], data[cut:]):
				if part:
					agent.raw_ctl(part)


def word(i, n):
	text = "%d.%d%s" % (i, n, "#fail" if n % 7 == 3 else "")
	return {"w": text + "x" * (n * 37 % 3000 if n % 5 == 0 else 0)}


def judge(f, w, who):
	if "#fail" in w["w"]:
		check(compact(w).decode() in error_text(f),
		    "client %s: foreign error %s" % (who, brief(f.payload)))
	else:
		check(not f.err, "client %s: error %s" % (who,
		    brief(f.payload)))
		equal(f.payload, compact(w), "reply for client %s" % who)


@test("commands", "%d commands of 16 clients of one VM" % COMMANDS_SENT,
    daemon=QUIET)
def sixteen(d):
	vm = d.vm(mode=Echo(1))
	each = COMMANDS_SENT // 16

	def one(i):
		c, _ = vm.attach()
		depth = (1, 1, 2, 50)[i % 4]	# how many under way
		n = 0
		while n < each:
			some = range(n, min(each, n + depth))
			for k in some:
				c.hyper_send("ping", word(i, k))
			for k in some:
				judge(c.response(HYPER), word(i, k), i)
			n += len(some)
		c.close()
		return n
	equal(sum(in_parallel(one, range(16))), each * 16, "commands")
	equal(len(vm.agent.ctl_in), each * 16, "commands at the agent")


@test("commands", "%d clients at once, one command each" % CLIENTS,
    daemon=QUIET)
def thousand(d):
	many_files()
	vm = d.vm(mode=Echo(2))
	clients = [vm.attach()[0] for i in range(CLIENTS)]
	for i, c in enumerate(clients):
		c.hyper_send("ping", word(i, i))
	for i, c in reversed(list(enumerate(clients))):
		judge(c.response(HYPER), word(i, i), i)
	for c in clients:
		c.close()
	c, _ = vm.attach()
	equal(c.hyper("ping", {"w": "after"}), compact({"w": "after"}),
	    "afterwards")


@test("commands", "%d clients connect, attach and ask in one burst" % CLIENTS,
    daemon=QUIET)
def burst(d):
	many_files()
	vm = d.vm(mode=Echo(3))
	clients = [Client(d) for i in range(CLIENTS)]
	for i, c in enumerate(clients):
		c.raw(frame(COMMAND, ATTACH, compact({"containerId": vm.id,
		    "numIOStreams": 1})) + frame(COMMAND, HYPER, compact(
		    {"hyperName": "ping", "data": word(i, i)})))
	tokens = set()
	for i, c in enumerate(clients):
		tokens.add(tokens_of(c.response(ATTACH).payload)[0])
		judge(c.response(HYPER), word(i, i), i)
	equal(len(tokens), CLIENTS, "different tokens")


@test("commands", "askers that vanish take nobody's reply along",
    daemon=QUIET)
def vanishing(d):
	vm = d.vm(mode=Echo(4))

	def one(i):
		rng = random.Random(i)
		for n in range(scaled(150)):
			c, _ = vm.attach()
			for k in range(rng.randrange(1, 4)):
				c.hyper_send("ping", word(i, n))
			if i % 2 == 0:
				judge(c.response(HYPER), word(i, n), i)
			c.close()
	in_parallel(one, range(8))


main()

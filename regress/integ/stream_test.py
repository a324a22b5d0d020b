#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Streams: every byte arrives, in order, whatever the sizes and speeds."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

HUNDRED = scaled(100 * MB)


@test("stream", "%d MB each way at the same time" % (HUNDRED // MB),
    daemon=QUIET)
def both_ways(d):
	vm = bulk_vm(d)
	s = vm.shim()
	up = Source(HUNDRED, 1)
	down = {s.base: Source(HUNDRED * 2 // 3, 2, 200000),
	    s.base + 1: Source(HUNDRED - HUNDRED * 2 // 3, 3, 200000)}
	r = Reader(s)
	sender = Task(feed, s, up)
	vm.agent.emit(down)
	vm.agent.exit(s.base, 7)
	sent = sender.get("stdin")
	r.get()
	equal(r.status, 7, "exit status")
	equal(r.out[STDOUT].digest(), down[s.base].digest(), "stdout")
	equal(r.out[STDERR].digest(), down[s.base + 1].digest(), "stderr")
	equal(vm.agent.wait_size(s.base, HUNDRED), sent, "stdin")


@test("stream", "eight shims, smallest socket buffers, odd read sizes",
    daemon=QUIET)
def tiny_buffers(d):
	size = scaled(3 * MB)
	steps = random.Random(4)
	odd = lambda: steps.choice((1, 5, 11, 13, 1000, 4097, 30011))
	vm = bulk_vm(d, sndbuf=1, step=lambda: steps.choice((7, 997, 20011,
	    65521)))
	shims = [vm.shim() for i in range(8)]
	for s in shims:
		s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
	readers = [Reader(s, odd) for s in shims]
	up = [Source(size, 10 + i, 65536) for i in range(8)]
	senders = [Task(feed, s, u) for s, u in zip(shims, up)]
	down = {}
	for i, s in enumerate(shims):
		down[s.base] = Source(size // 2, 20 + i, 40000)
		down[s.base + 1] = Source(size // 2, 30 + i, 9000)
	vm.agent.emit(down)
	for i, s in enumerate(shims):
		vm.agent.exit(s.base, i)
	for i, s in enumerate(shims):
		r = readers[i].get()
		equal(r.status, i, "exit status")
		equal(r.out[STDOUT].digest(), down[s.base].digest(),
		    "stdout of shim %d" % i)
		equal(r.out[STDERR].digest(), down[s.base + 1].digest(),
		    "stderr of shim %d" % i)
		equal(vm.agent.wait_size(s.base, size), senders[i].get(),
		    "stdin of shim %d" % i)


@test("stream", "an agent that stops reading gets every byte afterwards",
    daemon=QUIET)
def stopped_agent(d):
	vm = bulk_vm(d)
	shims = [vm.shim() for i in range(3)]
	vm.agent.reading["io"].clear()
	up = [Source(scaled(2 * MB), 40 + i) for i in range(3)]
	senders = [Task(feed, s, u) for s, u in zip(shims, up)]
	# Output is not held up by stdin that nobody takes.
	down = {s.base: Source(scaled(5 * MB), 50 + s.base) for s in shims}
	readers = [Reader(s) for s in shims]
	vm.agent.emit(down)
	for s in shims:
		vm.agent.exit(s.base, 1)
	for s, r in zip(shims, readers):
		equal(r.get().out[STDOUT].digest(), down[s.base].digest(),
		    "stdout while stdin stands still")
	vm.agent.reading["io"].set()
	for s, t, u in zip(shims, senders, up):
		equal(vm.agent.wait_size(s.base, u.size), t.get(), "stdin")


@test("stream", "a shim that reads nothing does not delay the others",
    daemon=QUIET)
def slow_reader(d):
	vm = bulk_vm(d)
	slow = vm.shim()
	fast = [vm.shim() for i in range(4)]
	size = scaled(20 * MB)
	held = Source(QUEUE_BOUND - 40000, 60, 9000)
	down = {s.base: Source(size, 61 + s.base) for s in fast}
	readers = [Reader(s) for s in fast]
	vm.agent.emit({slow.base: held, **down})
	for s in fast:
		vm.agent.exit(s.base, 0)
	for s, r in zip(fast, readers):
		equal(r.get().out[STDOUT].digest(), down[s.base].digest(),
		    "fast shim")
	# Beyond the bound everyone waits, and nothing is lost.
	s, more = vm.shim(), Source(scaled(4 * MB), 70)
	rest = Source(scaled(4 * MB), 71)
	r = Reader(s)
	feeder = Task(vm.agent.emit, {slow.base: more, s.base: rest})
	d.bystander.check()
	slow_reader = Reader(slow)
	feeder.get("output")
	for x in (slow, s):
		vm.agent.exit(x.base, 3)
	equal(r.get().out[STDOUT].digest(), rest.digest(), "late shim")
	got = slow_reader.get()
	equal((got.status, got.out[STDOUT].size), (3, held.size + more.size),
	    "slow shim")
	want = hashlib.sha256()
	for src in (Source(held.size, 60, 9000), Source(more.size, 70)):
		for piece in src:
			want.update(piece)
	equal(got.out[STDOUT].digest()[1], want.hexdigest(), "slow shim")


@test("stream", "the real guest: %d MB through cat" % (HUNDRED // MB),
    daemon=QUIET)
def real_cat(d):
	vm = GuestVM(d)
	s = vm.start(["cat"])
	r = Reader(s)
	sent = feed(s, Source(HUNDRED, 80))
	s.stdin(b"")
	r.get()
	equal(r.status, 0, "exit status")
	equal(r.out[STDOUT].digest(), sent, "cat's output")
	equal(r.out[STDERR].size, 0, "bytes on stderr")


@test("stream", "the real guest: both streams of one process at once",
    daemon=QUIET)
def real_both(d):
	n = HUNDRED // 2
	vm = GuestVM(d)
	s = vm.start(["sh", "-c", "yes out-stream | head -c %d & "
	    "yes the-error-stream | head -c %d >&2; wait; exit 5" % (n, n)])
	r = Reader(s).get()
	equal(r.status, 5, "exit status")
	for op, word in ((STDOUT, b"out-stream\n"),
	    (STDERR, b"the-error-stream\n")):
		want = (word * (n // len(word) + 1))[:n]
		equal(r.out[op].digest(), (n,
		    hashlib.sha256(want).hexdigest()), "stream %d" % op)


@test("stream", "the real guest: eight at once", daemon=QUIET)
def real_eight(d):
	vm = GuestVM(d)
	shims = [vm.start(["cat"]) for i in range(8)]

	def one(i):
		r = Reader(shims[i])
		sent = feed(shims[i], Source(scaled(5 * MB), 90 + i))
		shims[i].stdin(b"")
		equal(r.get().out[STDOUT].digest(), sent, "cat %d" % i)
		equal(r.status, 0, "exit status")
	in_parallel(one, range(8))


main()

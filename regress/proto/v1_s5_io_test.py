#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Protocol 1.x, sections 4 and 5: the descriptor and its frames."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp1 import *

PIECE = IO_MAX - 12
STDIN_MAX = 64 * 1024	# of one frame


class Feeder(threading.Thread):
	"""Sends output from a thread, so that a test may block it."""

	def __init__(self, agent, messages):
		super().__init__(daemon=True)
		self.agent, self.messages = agent, messages
		self.sent = 0
		self.start()

	def run(self):
		try:
			for m in self.messages:
				self.agent.raw_io(m)
				self.sent += 1
		except OSError:
			pass


def stalled(d, feeder):
	"""Wait until the proxy reads no more; how many messages it took."""
	def still():
		n = feeder.sent
		for i in range(20):
			d.bystander.check()
			if feeder.sent != n:
				return False
		return True
	wait_for(still, "stopped I/O channel")
	return feeder.sent


# 4 The descriptor

@test("4", "the descriptor travels on the tag alone, behind the reply",
    shared=True)
def fd_passing(d):
	c = VM1(d).client
	c.send("allocateIO", {"nStreams": 2})
	want = message(b'{"success":true,"data":{"ioBase":1}}')
	wait_for(lambda: pending(c.sock) == len(want) + 1, "reply and tag")
	got, anc, flags, _ = c.sock.recvmsg(8, 4096)
	equal((got, anc), (want[:8], []), "header")
	got, anc, flags, _ = c.sock.recvmsg(len(want) - 8, 4096)
	equal((got, anc), (want[8:], []), "body")
	os.close(c.receive_fd())
	c.quiet()


@test("4", "the passed end blocks, is a stream socket, and has no other copy",
    shared=True)
def fd_mode(d):
	vm = VM1(d)
	for n in (1, 2):
		end = vm.client.allocate_io(n)
		check(end.blocking, "O_NONBLOCK is set")
		equal(end.sock.family, socket.AF_UNIX, "family")
		equal(end.sock.type, socket.SOCK_STREAM, "type")
		equal(end.sock.getpeername(), "", "name of the peer")
		end.close()
	end = vm.client.allocate_io(2)
	vm.agent.hang_up("io")
	end.expect_eof()


@test("4", "many allocations in one write, each with its descriptor",
    shared=True)
def fd_pipeline(d):
	vm = VM1(d)
	c = vm.client
	n = 40
	c.raw(message(request("allocateIO", {"nStreams": 1})) * n +
	    message(request("hyper", hyper_data("ping"))))
	ends = []
	for i in range(n):
		equal(c.reply().data, {"ioBase": i + 1}, "reply")
		ends.append(IoEnd(c.receive_fd(), i + 1))
	equal(c.reply().text, OK, "reply")
	for e in reversed(ends):
		vm.agent.tty(e.base, b"to %d" % e.base)
		e.expect(b"to %d" % e.base)
		e.stdin(b"from %d" % e.base)
		equal(vm.agent.next_tty(), (e.base, b"from %d" % e.base),
		    "stdin")
		e.close()


@test("4", "a session exists before its reply is read", shared=True)
def fd_early(d):
	vm = VM1(d)
	c = vm.client
	c.send("allocateIO", {"nStreams": 2})
	wait_for(lambda: pending(c.sock) > 0, "reply")
	vm.agent.tty(1, b"early")
	vm.agent.tty(2, b"errors")
	c.reply()
	end = IoEnd(c.receive_fd(), 1)
	end.expect(b"early")
	end.expect(b"errors", 2)
	end.close()


@test("4", "a client that is gone before its descriptor: nothing leaks",
    shared=True)
def fd_undelivered(d):
	vm = VM1(d)
	vm.client.hyper("ping")
	fds = d.fds()
	for i in range(20):
		c = vm.attach()
		c.raw(message(request("allocateIO", {"nStreams": 2})) * 3)
		c.close()
	wait_for(lambda: d.fds() <= fds, "descriptors given back")
	vm.client.hyper("ping")


# 5 Frames

@test("5", "output: each frame as it came, readable with one read",
    shared=True)
def output(d):
	vm = VM1(d)
	p = vm.process()
	for n in (1, 2, 100, 8192, PIECE - 1, PIECE):
		for seq in (p.base, p.base + 1):
			data = os.urandom(n)
			vm.agent.tty(seq, data)
			wait_for(lambda: pending(p.io.sock) > 0, "frame")
			got = p.io.sock.recv(65536)
			equal(got, tty_message(seq, data), "frame")


@test("5", "stdin: each frame as it came, in one write; header and data "
    "apart", shared=True)
def stdin(d):
	vm = VM1(d)
	p = vm.process()
	for n in (0, 1, 100, 8192, PIECE):
		data = os.urandom(n)
		p.io.stdin(data)
		equal(vm.agent.next_tty(), (p.base, data), "stdin")
		m = tty_message(p.base, data)
		for cut in (1, 11, 12):
			p.io.raw(m[:cut])
			d.bystander.check()
			p.io.raw(m[cut:])
			equal(vm.agent.next_tty(), (p.base, data), "stdin")
	p.io.raw(b"".join(tty_message(p.base, b"%d" % i)
	    for i in range(100)))
	for i in range(100):
		equal(vm.agent.next_tty(), (p.base, b"%d" % i), "stdin")


@test("5", "stdin frames beyond 10240 bytes are split", shared=True)
def stdin_long(d):
	vm = VM1(d)
	p = vm.process()
	for n in (PIECE + 1, 2 * PIECE, 50000, STDIN_MAX):
		data = os.urandom(n)
		p.io.stdin(data)
		got = b""
		while len(got) < n:
			seq, part = vm.agent.next_tty()
			equal(seq, p.base, "sequence number")
			check(0 < len(part) <= PIECE, "message of %d bytes" %
			    len(part))
			got += part
		equal(got, data, "stdin")
	p.io.stdin(b"after")
	equal(vm.agent.next_tty(), (p.base, b"after"), "stdin")


@test("5", "a stdin frame beyond 64 KiB closes its end only", shared=True)
def stdin_longest(d):
	vm = VM1(d)
	for length in (12 + STDIN_MAX + 1, 1 << 31, 0xffffffff):
		p = vm.process()
		p.io.raw(struct.pack(">QI", p.base, length))
		p.io.expect_eof()
		p.client.hyper("ping")
	equal(vm.agent.tty_unread(), [], "stdin")


@test("5", "a wrong number on stdin: a line, and the end is closed",
    shared=True)
def stdin_wrong(d):
	vm = VM1(d)
	quiet = vm.process()
	for wrong in (1, 0, -1, 1 << 40):
		p = vm.process()
		seq = p.base + wrong if wrong else 0
		mark = d.log_mark()
		p.io.stdin(b"good")
		p.io.stdin(b"bad", seq)
		equal(vm.agent.next_tty(), (p.base, b"good"), "stdin")
		p.io.expect_eof()
		d.wait_line("stdin seq %d not matching ioBase %d" % (seq,
		    p.base), mark)
		p.client.hyper("ping")
	quiet.io.stdin(b"x")
	equal(vm.agent.next_tty(), (quiet.base, b"x"), "stdin")


@test("5", "a stdin header below 12 bytes harms nobody else", shared=True)
def stdin_short(d):
	vm = VM1(d)
	p, q = vm.process(), vm.process()
	p.io.raw(struct.pack(">QI", p.base, 3))
	q.io.stdin(b"x")
	wait_for(lambda: (q.base, b"x") in vm.agent.tty_unread(), "stdin")
	vm.agent.tty(q.base, b"y")
	q.io.expect(b"y")


@test("5", "random bytes as stdin end nothing but their descriptor")
def stdin_random(d):
	vm = VM1(d)
	q = vm.process()
	rnd = random.Random(5)
	pids = set(d.processes())
	for i in range(300):
		e = vm.client.allocate_io(1)
		data = rnd.randbytes(rnd.randrange(1, 200))
		if i % 2:
			data = struct.pack(">Q", e.base) + data
		if i % 4 == 3:
			data = tty_message(e.base, data[8:]) + data
		try:
			e.raw(data)
		except BrokenPipeError:
			pass
		e.close()
	q.io.stdin(b"x")
	vm.agent.wait(lambda: (q.base, b"x") in vm.agent.tty_in, "stdin")
	d.bystander.check()
	equal(pids - set(d.processes()), set(), "processes that ended")


@test("5", "one stream: stderr's number belongs to the next", shared=True)
def one_stream(d):
	vm = VM1(d)
	a = vm.process(terminal=True)
	b = vm.process(terminal=True)
	equal((a.base, b.base), (1, 2), "numbers")
	vm.agent.tty(2, b"for b")
	vm.agent.tty(1, b"for a")
	a.io.expect(b"for a")
	b.io.expect(b"for b")


@test("5", "an unknown number: a line; the frame is dropped", shared=True)
def unknown(d):
	vm = VM1(d)
	p = vm.process()
	for seq in (0, p.base + 2, 99, (1 << 64) - 1):
		mark = d.log_mark()
		vm.agent.tty(seq, b"stray")
		vm.agent.tty(p.base, b"good")
		p.io.expect(b"good")
	d.wait_line("find client with seq number 0")
	p.io.quiet()


@test("5", "guest frames: below 12 bytes becomes 12, beyond 10240 is dropped",
    shared=True)
def guest_lengths(d):
	vm = VM1(d)
	p = vm.process()
	for length in (0, 1, 11, 12):
		vm.agent.tty(p.base, b"", length)
		p.io.expect(b"")
	for n in (PIECE + 1, 20000, 500000):
		vm.agent.tty(p.base, b"x" * n)
		vm.agent.tty(p.base, b"good")
		p.io.expect(b"good")
	vm.client.hyper("ping")


@test("5", "exit: an empty frame, then the status; the session goes on",
    shared=True)
def process_exit(d):
	vm = VM1(d)
	for status in (0, 1, 17, 255):
		p = vm.process()
		p.io.stdin(b"")
		equal(vm.agent.next_tty(), (p.base, b""), "EOF of stdin")
		vm.agent.exit(p.base, status)
		p.io.expect_exit(status)
		check(not p.io.closed(), "end closed after the exit")
		vm.agent.tty(p.base + 1, b"late")
		p.io.expect(b"late", p.base + 1)
		p.io.stdin(b"later")
		equal(vm.agent.next_tty(), (p.base, b"later"), "stdin")


@test("5", "closing the descriptor frees the kept end; output is dropped",
    shared=True)
def closed(d):
	vm = VM1(d)
	vm.client.hyper("ping")
	fds = d.fds()
	for i in range(3):
		ends = [vm.client.allocate_io(2) for j in range(20)]
		for e in ends:
			e.close()
		wait_for(lambda: d.fds() <= fds, "descriptors given back")
	p = vm.process()
	vm.agent.tty(ends[0].base, b"to nobody")
	vm.agent.exit(ends[1].base, 1)
	vm.agent.tty(p.base, b"good")
	p.io.expect(b"good")
	equal(vm.agent.tty_unread(), [], "EOF made up for the guest")


@test("5", "stdin that was written before the close arrives", shared=True)
def closed_stdin(d):
	vm = VM1(d)
	for i in range(20):
		p = vm.process()
		p.io.stdin(b"x" * 5000)
		p.io.stdin(b"last")
		p.io.close()
		equal(vm.agent.next_tty(), (p.base, b"x" * 5000), "stdin")
		equal(vm.agent.next_tty(), (p.base, b"last"), "stdin")


@test("5", "half closed: no more stdin, output goes on", shared=True)
def half_closed(d):
	vm = VM1(d)
	p = vm.process()
	p.io.stdin(b"last")
	p.io.sock.shutdown(socket.SHUT_WR)
	equal(vm.agent.next_tty(), (p.base, b"last"), "stdin")
	d.bystander.check()
	vm.agent.tty(p.base, b"output")
	p.io.expect(b"output")
	vm.agent.exit(p.base, 4)
	p.io.expect_exit(4)


@test("5", "half closed, then closed: freed with the next output",
    shared=True)
def half_then_closed(d):
	vm = VM1(d)
	vm.client.hyper("ping")
	fds = d.fds()
	ends = [vm.client.allocate_io(2) for i in range(20)]
	for e in ends:
		e.sock.shutdown(socket.SHUT_WR)
	d.bystander.check()
	for e in ends:
		e.close()
		vm.agent.tty(e.base, b"x")
	wait_for(lambda: d.fds() <= fds, "descriptors given back")


@test("5", "the descriptor outlives the control connection", shared=True)
def survives(d):
	vm = VM1(d)
	p = vm.process()
	p.client.close()
	vm.client.close()
	d.bystander.check()
	p.io.stdin(b"in")
	equal(vm.agent.next_tty(), (p.base, b"in"), "stdin")
	vm.agent.tty(p.base, b"out")
	p.io.expect(b"out")


@test("5", "a slow reader: 256 KiB are queued, then the VM's channel rests")
def slow(d):
	vm = VM1(d)
	p = vm.process()
	size = 8192
	total = 200
	f = Feeder(vm.agent, [tty_message(p.base, struct.pack(">I", i) +
	    b"s" * (size - 4)) for i in range(total)])
	sent = stalled(d, f)
	check(sent < total, "the proxy read everything")
	check(sent * size >= QUEUE_BOUND, "only %d bytes taken" %
	    (sent * size))
	vm.client.hyper("ping", "meanwhile")
	for i in range(total):
		seq, data = p.io.recv()
		equal((seq, data[:4], len(data)), (p.base,
		    struct.pack(">I", i), size), "frame")
	f.join(CEILING)
	equal(f.sent, total, "messages")


@test("5", "a slow reader delays nobody before its bound")
def slow_alone(d):
	vm = VM1(d)
	slow, quick = vm.process(), vm.process()
	n = QUEUE_BOUND // 2 // 8192
	for i in range(n):
		vm.agent.tty(slow.base, b"s" * 8192)
		vm.agent.tty(quick.base, b"%d" % i)
		quick.io.expect(b"%d" % i)
	for i in range(n):
		slow.io.expect(b"s" * 8192)


@test("5", "a slow reader that closes sets the others free")
def slow_closes(d):
	vm = VM1(d)
	slow, quick = vm.process(), vm.process()
	f = Feeder(vm.agent, [tty_message(slow.base, b"s" * 8192)] * 200 +
	    [tty_message(quick.base, b"free")])
	stalled(d, f)
	slow.io.close()
	quick.io.expect(b"free")


@test("5", "a slow reader does not hide the loss of its VM")
def slow_lost(d):
	vm = VM1(d)
	slow, quick = vm.process(), vm.process()
	f = Feeder(vm.agent, [tty_message(slow.base, b"s" * 8192)] * 20)
	f.join(CEILING)
	vm.agent.tty(quick.base, b"last")
	quick.io.expect(b"last")
	vm.agent.hang_up("io")
	quick.io.expect_eof()
	for i in range(20):
		slow.io.expect(b"s" * 8192)
	slow.io.expect_eof()


@test("5", "an agent that does not read stops its writers only")
def stdin_blocked(d):
	vm = VM1(d, mode="echo")
	p = vm.process()
	vm.agent.reading["io"].clear()
	want = b""
	p.io.sock.setblocking(False)
	def stuck():
		nonlocal want
		try:
			while True:
				n = p.io.sock.send(tty_message(p.base,
				    b"q" * 8180))
				equal(n, 8192, "bytes sent")
				want += b"q" * 8180
		except BlockingIOError:
			pass
		n = len(want)
		for i in range(10):
			d.bystander.check()
		return not select.select([], [p.io.sock], [], 0)[1]
	wait_for(stuck, "full buffers")
	check(len(want) < 64 << 20, "no bound")
	vm.client.hyper("ping")
	vm.agent.tty(p.base, b"out")
	timed(p.io.sock).setblocking(True)
	p.io.expect(b"out")
	vm.agent.reading["io"].set()
	got = b""
	while len(got) < len(want):
		got += vm.agent.next_tty()[1]
	equal(got, want, "stdin")


@test("5", "many writers and readers at once, each stream whole")
def many(d):
	vm = VM1(d)
	ps = [vm.process() for i in range(8)]
	want = {}

	def write(p):
		data = b"".join(os.urandom(997) for i in range(300))
		want[p.base] = data
		for i in range(0, len(data), 4001):
			p.io.stdin(data[i:i + 4001])
		p.io.stdin(b"")

	def emit():
		for i in range(500):
			for p in ps:
				vm.agent.tty(p.base + i % 2, b"%d-%d" %
				    (p.base, i))
	threads = [threading.Thread(target=write, args=(p,), daemon=True)
	    for p in ps] + [threading.Thread(target=emit, daemon=True)]
	for t in threads:
		t.start()
	for i in range(500):
		for p in ps:
			p.io.expect(b"%d-%d" % (p.base, i), p.base + i % 2)
	got = {p.base: [] for p in ps}
	ended = 0
	while ended < len(ps):
		seq, part = vm.agent.next_tty()
		got[seq].append(part)
		ended += part == b""
	for t in threads:
		t.join()
	for p in ps:
		equal(b"".join(got[p.base]), want[p.base], "stdin")


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Section 5: stdin, output, exit status, ordering, back-pressure."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

PIECE = AGENT_MAX - 12


def leave(d, s):
	"""Close a shim's connection; back when the proxy knows."""
	mark = d.log_mark()
	s.close()
	d.wait_log("connection closed", mark)


def back(d, s):
	n = Client(d)
	n.connect_shim(s.token)
	n.token, n.base = s.token, s.base
	return n


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


# 5.1 stdin

@test("5.1", "one frame, one message; long frames are split", shared=True)
def stdin_sizes(d):
	vm = d.vm()
	s = vm.shim()
	for n in (1, 2, 100, 1024, 8192, PIECE - 1, PIECE):
		data = os.urandom(n)
		s.stdin(data)
		equal(vm.agent.next_tty(), (s.base, data), "message")
	for n in (PIECE + 1, 2 * PIECE, 2 * PIECE + 1, 50000, 65536):
		data = os.urandom(n)
		s.stdin(data)
		got = []
		while sum(len(g) for g in got) < n:
			seq, part = vm.agent.next_tty()
			equal(seq, s.base, "sequence number")
			check(0 < len(part) <= PIECE, "piece of %d bytes" %
			    len(part))
			got.append(part)
		equal(b"".join(got), data, "stdin")
		equal(len(got), -(-n // PIECE), "messages")
	s.stdin(b"end")
	equal(vm.agent.next_tty(), (s.base, b"end"), "message")


@test("5.1", "empty stdin is forwarded every time", shared=True)
def stdin_eof(d):
	vm = d.vm()
	s = vm.shim()
	for i in range(3):
		s.stdin(b"")
		equal(vm.agent.next_tty(), (s.base, b""), "EOF")
	s.stdin(b"after")
	equal(vm.agent.next_tty(), (s.base, b"after"), "message")


@test("5.1", "many writers, each message whole and in order", shared=True)
def stdin_many(d):
	vm = d.vm()
	shims = [vm.shim() for i in range(8)]
	rnd = random.Random(5)
	want = {s.base: b"" for s in shims}

	def write(s, seed):
		rnd = random.Random(seed)
		for i in range(150):
			data = rnd.randbytes(rnd.choice((1, 10, 5000,
			    30000)))
			want[s.base] += data
			s.stdin(data)
		s.stdin(b"")
	threads = [threading.Thread(target=write, args=(s, i), daemon=True)
	    for i, s in enumerate(shims)]
	for t in threads:
		t.start()
	got = {s.base: [] for s in shims}
	ended = 0
	while ended < len(shims):
		seq, part = vm.agent.next_tty()
		got[seq].append(part)
		ended += part == b""
	for t in threads:
		t.join()
	for s in shims:
		equal(b"".join(got[s.base]), want[s.base], "stdin")


@test("5.1", "an agent that does not read its I/O channel delays only its "
    "writers")
def stdin_blocked(d):
	vm = d.vm(mode="echo")
	s, quiet = vm.shim(), vm.shim()
	vm.agent.reading["io"].clear()
	s.sock.settimeout(0)
	data = frame(STREAM, STDIN, b"q" * 8000)
	sent = 0

	def stuck():
		nonlocal sent
		for i in range(2):
			try:
				while sent < 64 << 20:
					sent += s.sock.send(
					    data[sent % len(data):])
				return True
			except BlockingIOError:
				pass
			d.bystander.check()
			equal(vm.client.hyper("ping", 1), b"1", "reply")
			try:
				sent += s.sock.send(data[sent % len(data):])
				return False
			except BlockingIOError:
				pass
		return True
	wait_for(stuck, "proxy holding back")
	check(sent < 8 << 20, "%d bytes taken in" % sent)
	vm.agent.tty(quiet.base, b"output goes on")
	equal(quiet.stdout(), b"output goes on", "output")
	equal(vm.client.hyper("ping", 2), b"2", "reply")
	vm.agent.reading["io"].set()
	s.sock.settimeout(CEILING)
	if sent % len(data):
		s.raw(data[sent % len(data):])
	frames = -(-sent // len(data))
	got = 0
	while got < frames * 8000:
		part = vm.agent.next_tty()[1]
		check(part == b"q" * len(part), "damaged stdin")
		got += len(part)
	equal(got, frames * 8000, "bytes")


@test("5.1", "no message is cut where a full socket ends", shared=True)
def stdin_whole(d):
	for size in (3000, 8000, 8192, PIECE, 30000, 65536):
		vm = d.vm()
		s = vm.shim()
		vm.agent.reading["io"].clear()
		s.stdin(b"first")
		s.sock.settimeout(0)
		blob = frame(STREAM, STDIN, b"w" * size) * 16
		at = 0

		def stuck():
			nonlocal at
			try:
				while True:
					at += s.sock.send(
					    blob[at % len(blob):])
			except BlockingIOError:
				pass
			n = at
			d.bystander.check()
			return n == at and pending(vm.agent.io) > 50000
		wait_for(stuck, "full socket")
		queue = vm.agent.io.recv(1 << 20, socket.MSG_PEEK)
		off = 0
		while off + 12 <= len(queue):
			off += struct.unpack(">I", queue[off + 8:
			    off + 12])[0]
		equal(off, len(queue), "end of the last message, frames of "
		    "%d bytes" % size)
		vm.agent.close()


# 5.2 output

@test("5.2", "stdout and stderr, one frame per message", shared=True)
def output_frames(d):
	vm = d.vm()
	s = vm.shim()
	for n in (1, 2, 1024, 4096, 65536, 100000, 1024 * 1024 - 12):
		data = os.urandom(n)
		f = Feeder(vm.agent, [tty_message(s.base, data),
		    tty_message(s.base + 1, data)])
		equal(s.output(), Frame(STREAM, STDOUT, 0, data), "stdout")
		equal(s.output(), Frame(STREAM, STDERR, 0, data), "stderr")
		f.join()


@test("5.2", "messages in pieces and many in one write", shared=True)
def output_fragments(d):
	vm = d.vm()
	s = vm.shim()
	for b in tty_message(s.base, b"by") + tty_message(s.base + 1, b"te"):
		vm.agent.raw_io(bytes([b]))
	equal(s.stdout(), b"by", "stdout")
	equal(s.stderr(), b"te", "stderr")
	rnd = random.Random(52)
	want = [(rnd.randint(0, 1), rnd.randbytes(rnd.choice((1, 7, 500,
	    3000, 70000)))) for i in range(400)]
	blob = b"".join(tty_message(s.base + e, data) for e, data in want)
	pieces = []
	while blob:
		n = rnd.choice((1, 5, 11, 12, 13, 4096, 100000))
		pieces.append(blob[:n])
		blob = blob[n:]
	f = Feeder(vm.agent, pieces)
	for e, data in want:
		equal(s.output(), Frame(STREAM, STDOUT + e, 0, data),
		    "output")
	f.join()


@test("5.2", "unknown numbers are dropped with a line", shared=True)
def output_unknown(d):
	vm = d.vm()
	s = vm.shim()
	for seq in (0, 99, 2 ** 32 + s.base, 2 ** 63, 2 ** 64 - 1):
		vm.agent.tty(seq, b"nobody's")
		vm.agent.tty(seq)
	vm.agent.tty(s.base, b"mine")
	equal(s.stdout(), b"mine", "output")
	d.wait_line("couldn't find client with seq number 0")


@test("5.2", "unknown numbers without end do not flood the log",
    daemon=dict(level="info"))
def output_unknown_flood(d):
	vm = d.vm()
	s = vm.shim()
	mark = d.log_mark()
	blob = b"".join(tty_message(1000 + i, b"x") for i in range(1000))
	for i in range(50):
		vm.agent.raw_io(blob)
	vm.agent.tty(s.base, b"mine")
	equal(s.stdout(), b"mine", "output")
	d.bystander.check()
	grown = d.log_mark() - mark
	check(grown < 1 << 20, "log grew by %d bytes" % grown)


@test("5.2", "the null session is dropped: info line, hex dump at debug",
    shared=True)
def output_null(d):
	vm = d.vm()
	vm.client.hyper("newcontainer", {"id": "n", "process": {}})
	s = vm.shim()
	mark = d.log_mark()
	vm.agent.tty(1, b"null session text")
	vm.agent.tty(2, b"null")
	vm.agent.exit(1, 7)
	vm.agent.tty(s.base, b"mine")
	equal(s.stdout(), b"mine", "output")
	wait_for(lambda: [l for l in d.log_lines(mark) if "level=info" in l
	    and "section=io" in l], "info line of the null session")
	wait_for(lambda: [l for l in d.log_lines(mark)
	    if "level=debug" in l and ("6e 75 6c 6c" in l or
	    "6e756c6c" in l)], "hex dump")


@test("5.2", "exit status", shared=True)
def exit_status(d):
	vm = d.vm()
	for status in (0, 1, 42, 127, 128, 137, 255):
		for terminal in (False, True):
			s = vm.shim(terminal=terminal)
			vm.agent.tty(s.base, b"last words")
			vm.agent.exit(s.base, status)
			equal(s.stdout(), b"last words", "output")
			f = s.recv()
			equal(f, Frame(NOTIFICATION, EXITED, 0,
			    bytes([status])), "notification")
			s.disconnect_shim()


@test("5.2", "no frame for EOF; a lone byte before EOF is output",
    shared=True)
def exit_not_yet(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.tty(s.base, b"1")
	vm.agent.tty(s.base + 1, b"2")
	vm.agent.tty(s.base)
	vm.agent.tty(s.base)
	vm.agent.tty(s.base, b"\x03")
	equal(s.stdout(), b"1", "stdout")
	equal(s.stderr(), b"2", "stderr")
	equal(s.exit_status(), 3, "status")


@test("5.2", "EOF on stderr arms nothing", shared=True)
def exit_stderr(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.tty(s.base + 1)
	vm.agent.tty(s.base, b"a")
	vm.agent.tty(s.base + 1, b"b")
	equal(s.stdout(), b"a", "stdout")
	equal(s.stderr(), b"b", "stderr")
	vm.agent.tty(s.base)
	vm.agent.tty(s.base + 1, b"c")
	equal(s.stderr(), b"c", "stderr after EOF")
	vm.agent.tty(s.base, b"\x09")
	equal(s.exit_status(), 9, "status")


@test("5.2", "two bytes and more after EOF are output", shared=True)
def exit_late_output(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.tty(s.base)
	vm.agent.tty(s.base, b"late")
	vm.agent.tty(s.base + 1, b"late too")
	vm.agent.tty(s.base, b"\x05")
	equal(s.stdout(), b"late", "stdout")
	equal(s.stderr(), b"late too", "stderr")
	equal(s.exit_status(), 5, "status")


@test("5.2", "the status comes once", shared=True)
def exit_once(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.exit(s.base, 1)
	vm.agent.exit(s.base, 2)
	vm.agent.tty(s.base, b"\x03")
	vm.agent.tty(s.base, b"end")
	equal(s.exit_status(), 1, "status")
	while True:
		f = s.recv()
		check(f.type == STREAM, "second status")
		if f.payload == b"end":
			break


# 5.3 ordering and flow control

@test("5.3", "order of one VM's messages is kept per shim", shared=True)
def order(d):
	vm = d.vm()
	shims = [vm.shim() for i in range(4)]
	rnd = random.Random(53)
	msgs = [(rnd.randrange(4), rnd.randrange(2),
	    b"%d:" % i + b"." * rnd.choice((0, 40, 900))) for i in
	    range(12000)]
	blobs = []
	for i in range(0, len(msgs), 50):
		blobs.append(b"".join(tty_message(shims[k].base + e, data)
		    for k, e, data in msgs[i:i + 50]))
	for s in shims:
		blobs.append(tty_message(s.base) + tty_message(s.base,
		    b"\x07"))
	f = Feeder(vm.agent, blobs)
	wrong = []

	def read(k):
		try:
			for w, e, data in msgs:
				if w == k:
					equal(shims[k].output(),
					    Frame(STREAM, STDOUT + e, 0,
					    data), "output")
			equal(shims[k].exit_status(), 7, "status")
		except Exception as e:
			wrong.append(e)
	threads = [threading.Thread(target=read, args=(k,), daemon=True)
	    for k in range(4)]
	for t in threads:
		t.start()
	for t in threads:
		t.join()
	if wrong:
		raise wrong[0]
	f.join()


@test("5.3", "a shim that does not read delays nobody before its bound",
    shared=True)
def slow_shim(d):
	vm = d.vm(mode="echo")
	slow, fast = vm.shim(), vm.shim()
	sent = b""
	for i in range(128):
		part = b"%4d" % i * 256
		vm.agent.tty(slow.base, part)
		sent += part
		vm.agent.tty(fast.base, b"fast %d" % i)
		equal(fast.stdout(), b"fast %d" % i, "output")
	vm.agent.exit(fast.base, 4)
	equal(fast.exit_status(), 4, "status")
	equal(vm.client.hyper("ping", 1), b"1", "reply")
	vm.agent.exit(slow.base, 6)
	equal(slow.stdout(len(sent)), sent, "output of the slow shim")
	equal(slow.exit_status(), 6, "status")


@test("5.3", "at its bound the VM's output stops, nothing is lost, "
    "commands go on")
def back_pressure(d):
	vm = d.vm(mode="echo")
	slow, fast = vm.shim(), vm.shim()
	before = d.rss()
	count = 4096
	feeder = Feeder(vm.agent, [tty_message(slow.base,
	    struct.pack(">I", i) * 1024) for i in range(count)] +
	    [tty_message(fast.base, b"behind"), tty_message(slow.base),
	    tty_message(slow.base, b"\x0b")])
	n = stalled(d, feeder)
	check(n * 4096 < 4 << 20, "%d bytes taken in" % (n * 4096))
	check(n * 4096 >= 128 * 1024, "%d bytes taken in" % (n * 4096))
	check(d.rss() - before < 8192, "memory grew by %d KiB" %
	    (d.rss() - before))
	equal(vm.client.hyper("ping", 1), b"1", "reply")
	c, _ = vm.attach(1)
	equal(c.hyper("ping", 2), b"2", "reply to a new client")
	fast.stdin(b"in")
	equal(vm.agent.next_tty(), (fast.base, b"in"), "stdin")
	for i in range(count):
		equal(slow.stdout(), struct.pack(">I", i) * 1024, "output")
	equal(slow.exit_status(), 11, "status")
	equal(fast.stdout(), b"behind", "output behind the stall")


@test("5.3", "big messages for a shim that does not read")
def back_pressure_big(d):
	vm = d.vm()
	slow, fast = vm.shim(), vm.shim()
	big = os.urandom(1024 * 1024 - 12)
	feeder = Feeder(vm.agent, [tty_message(slow.base, big)] * 6)
	stalled(d, feeder)
	for i in range(6):
		equal(slow.stdout(), big, "output")
	feeder.join()
	vm.agent.tty(fast.base, b"x")
	equal(fast.stdout(), b"x", "output")


@test("5.3", "a stalled shim that leaves releases the VM")
def stalled_leaves(d):
	vm = d.vm()
	slow, fast = vm.shim(), vm.shim()
	feeder = Feeder(vm.agent, [tty_message(slow.base, b"y" * 4096)] *
	    1024)
	stalled(d, feeder)
	slow.cmd(DISCONNECT)
	while slow._recv(65536):
		pass
	feeder.join(CEILING)
	check(not feeder.is_alive(), "the VM's output stays stopped")
	vm.agent.tty(fast.base, b"x")
	equal(fast.stdout(), b"x", "output")


@test("5.3", "a stalled VM that dies is noticed")
def stalled_dies(d):
	vm = d.vm()
	slow, fast = vm.shim(), vm.shim()
	feeder = Feeder(vm.agent, [tty_message(slow.base, b"y" * 4096)] *
	    1024)
	stalled(d, feeder)
	vm.agent.hang_up("ctl")
	fast.expect_closed()
	vm.agent.wait_eof("io")


@test("5.3", "responses and output mix on a shim", shared=True)
def mixed(d):
	vm = d.vm(mode="echo")
	s = vm.shim()
	s.attach(vm.id)
	for i in range(300):
		vm.agent.tty(s.base, b"out %d" % i)
		s.hyper_send("ping", i)
	for i in range(300):
		equal(s.response(HYPER).payload, b"%d" % i, "reply")
	for i in range(300):
		equal(s.stdout(), b"out %d" % i, "output")


@test("5.3", "a client that never reads its replies is bounded")
def unread_replies(d):
	vm = d.vm(mode=lambda a, code, p: a.ack(b"r" * 60000))
	c, _ = vm.attach()
	before = d.rss()
	c.sock.settimeout(0)
	request = frame(COMMAND, HYPER, b'{"hyperName":"ping"}')
	sent = 0

	def stuck():
		nonlocal sent
		for i in range(3):
			try:
				while sent < 8 << 20:
					sent += c.sock.send(
					    request[sent % len(request):])
				return True
			except BlockingIOError:
				pass
			for k in range(10):
				d.bystander.check()
		return True
	wait_for(stuck, "proxy holding back")
	check(d.rss() - before < 16384, "memory grew by %d KiB" %
	    (d.rss() - before))
	other, _ = vm.attach()
	other.hyper("ping")
	c.sock.settimeout(CEILING)
	for i in range(sent // len(request)):
		equal(len(c.response(HYPER).payload), 60000, "reply")


# 5.4 output before the shim

@test("5.4", "output for an unclaimed token is dropped", shared=True)
def unclaimed(d):
	vm = d.vm(n=2)
	for i in range(50):
		for seq in (3, 4, 5, 6):
			vm.agent.tty(seq, b"early %d" % i)
	vm.agent.exit(3, 9)
	s = vm.shim()
	vm.agent.tty(s.base, b"x")
	equal(s.stdout(), b"x", "output")
	s = vm.shim(token=vm.tokens[0])
	equal(s.base, 3, "sequence number")
	vm.agent.tty(3, b"first")
	equal(s.stdout(), b"first", "output")
	vm.agent.tty(3, b"x")
	f = s.recv()
	equal((f.type, f.payload), (STREAM, b"x"), "early EOF forgotten")


@test("5.4", "output while the shim is away is kept, with its status",
    shared=True)
def away(d):
	vm = d.vm()
	s = vm.shim()
	leave(d, s)
	want = b""
	for i in range(100):
		part = b"%3d," % i * 256
		vm.agent.tty(s.base, part)
		want += part
	vm.agent.tty(s.base + 1, b"err")
	vm.agent.exit(s.base, 17)
	other = vm.shim()
	vm.agent.tty(other.base, b"fence")
	equal(other.stdout(), b"fence", "output of another shim")
	s = back(d, s)
	equal(s.stdout(len(want)), want, "kept output")
	equal(s.stderr(), b"err", "kept stderr")
	equal(s.exit_status(), 17, "kept status")
	s.disconnect_shim()


@test("5.4", "output beyond the bound for an absent shim is bounded")
def away_bound(d):
	vm = d.vm(mode="echo")
	s = vm.shim()
	leave(d, s)
	before = d.rss()
	feeder = Feeder(vm.agent, [tty_message(s.base,
	    struct.pack(">I", i) * 1024) for i in range(1024)])
	n = stalled(d, feeder)
	check(d.rss() - before < 8192, "memory grew by %d KiB" %
	    (d.rss() - before))
	equal(vm.client.hyper("ping", 1), b"1", "reply")
	s = back(d, s)
	for i in range(1024):
		equal(s.stdout(), struct.pack(">I", i) * 1024, "output")


# 5.5 exit as seen by the shim

@test("5.5", "output, status, DisconnectShim, end", shared=True)
def life(d):
	vm = d.vm()
	mark = d.log_mark()
	for i in range(5):
		s = vm.shim(command="execcmd" if i % 2 else None)
		s.stdin(b"ls\n")
		equal(vm.agent.next_tty(), (s.base, b"ls\n"), "stdin")
		s.stdin(b"")
		equal(vm.agent.next_tty(), (s.base, b""), "EOF")
		vm.agent.tty(s.base, b"hi\n")
		vm.agent.tty(s.base + 1, b"no\n")
		vm.agent.exit(s.base, i)
		equal(s.stdout(), b"hi\n", "stdout")
		equal(s.stderr(), b"no\n", "stderr")
		equal(s.exit_status(), i, "status")
		s.disconnect_shim()
	equal([e["msg"] for e in d.entries(mark, level="error")], [],
	    "error lines")


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Sockets of a VM that refuse, hang, end at any time, half or whole, or send
garbage: beside a VM at work, for clients of both protocols.  The client is
told, its VM at most is lost, and nothing is left behind."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from faults import *

READY = "400ms"
SALT = SEED & 0xffff


class Sock:
	"""One end of the guest: what it does is up to the case."""

	def __init__(self, path, listen=8):
		self.path = path
		self.l = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		self.l.bind(path)
		self.l.settimeout(CEILING)
		self.crowd = []
		if listen is not None:
			self.l.listen(listen)
		self.s = None

	def fill(self):
		while True:
			c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
			c.setblocking(False)
			try:
				c.connect(self.path)
			except BlockingIOError:
				c.close()
				return
			self.crowd.append(c)

	def accept(self):
		self.s = self.l.accept()[0]
		self.s.settimeout(CEILING)

	def accept_last(self):
		"""The others that wait were there before."""
		for c in self.crowd:
			self.l.accept()[0].close()
			c.close()
		self.accept()

	def send(self, data):
		ignore(self.s.sendall, data)

	def shut(self, how):
		ignore(self.s.shutdown, how)

	def command(self, code):
		"""The next control message of that code; its payload."""
		while True:
			head = self.s.recv(8, socket.MSG_WAITALL)
			check(len(head) == 8, "EOF instead of a command")
			got, n = struct.unpack(">II", head)
			data = b""
			if n > 8:
				data = self.s.recv(n - 8, socket.MSG_WAITALL)
			if got == code:
				return data
			self.send(ctl(A_ACK))

	def ended(self):
		"""The daemon ends it."""
		try:
			while self.s.recv(65536):
				pass
		except ConnectionResetError:
			pass
		except socket.timeout:
			raise Fail("%s stays connected" % self.path)

	def close(self):
		for s in [self.l, self.s] + self.crowd:
			if s is not None:
				s.close()
		ignore(os.unlink, self.path)


def ctl(code, payload=b""):
	return struct.pack(">II", code, 8 + len(payload)) + payload


def garbage(n, seed):
	return random.Random(SALT + seed).randbytes(n)


class Runtime3:
	name = "3.x"

	def __init__(self, d):
		self.c = Client(d)

	def register(self, ident, c, i):
		self.c.cmd(REGISTER, register_request(ident, c, i))

	def answer(self):
		f = self.c.response(REGISTER)
		return error_text(f) if f.err else None

	def command(self):
		"""Sent only."""
		self.c.hyper_send("ping")

	def result(self):
		"""An error's text, or None."""
		f = self.c.response(HYPER)
		return error_text(f) if f.err else None

	def process(self, ident):
		"""A shim and a process being started: the shim."""
		token = self.c.attach(ident, 1)[0]
		s = Client(self.c.daemon)
		s.connect_shim(token)
		self.c.hyper_send("newcontainer", {"id": "c", "process": {}},
		    [token])
		return s

	def output(self, s):
		return s.stdout()

	def shim_ended(self, s):
		s.expect_closed()

	def unregister(self, ident):
		self.c.ok(UNREGISTER, {"containerId": ident})


class Runtime1:
	name = "1.x"

	def __init__(self, d):
		self.c = ccp1.Client1(d)

	def register(self, ident, c, i):
		self.c.send("hello", ccp1.hello_request(ident, c, i))

	def answer(self):
		return self.c.reply().error

	def command(self):
		self.c.hyper_send("ping")

	def result(self):
		return self.c.reply().error

	def process(self, ident):
		io = self.c.allocate_io()
		self.c.hyper_send("newcontainer", {"id": "c", "process":
		    {"stdio": io.base, "stderr": io.base + 1}})
		return io

	def output(self, s):
		return s.recv()[1]

	def shim_ended(self, s):
		s.expect_eof()

	def unregister(self, ident):
		self.c.bye(ident)


class Case:
	def __init__(self, d, kind, n):
		self.d, self.id = d, "s%d" % n
		self.rt = kind(d)
		self.sock = {}
		self.base = 1

	def listen(self, which, listen=8):
		s = Sock(os.path.join(self.d.dir, "%s.%s" % (self.id, which)),
		    listen)
		self.sock[which] = s
		return s

	def register(self):
		for which in ("ctl", "io"):
			if which not in self.sock:
				self.listen(which)
		self.rt.register(self.id, self.sock["ctl"].path,
		    self.sock["io"].path)

	def accept(self):
		for s in self.sock.values():
			s.accept()

	def up(self):
		self.register()
		self.accept()
		self.sock["ctl"].send(ctl(A_READY))
		equal(self.rt.answer(), None, "registration")

	def stream(self):
		"""A process with output; its shim."""
		s = self.rt.process(self.id)
		req = json.loads(self.sock["ctl"].command(A_NEWCONTAINER))
		self.base = req["process"]["stdio"]
		self.sock["ctl"].send(ctl(A_ACK))
		equal(self.rt.result(), None, "newcontainer")
		self.sock["io"].send(tty_message(self.base, b"before"))
		equal(self.rt.output(s), b"before", "output")
		return s

	def refused(self, pattern="."):
		e = self.rt.answer()
		check(e is not None and re.search(pattern, e),
		    "answer %r instead of %r" % (e, pattern))

	def lost(self, shim=None):
		self.rt.command()
		check(self.rt.result() is not None, "a lost VM has answered")
		if shim is not None:
			self.rt.shim_ended(shim)
		for s in self.sock.values():
			s.ended()
		self.rt.unregister(self.id)

	def close(self):
		self.rt.c.close()
		for s in self.sock.values():
			s.close()


# Before there is a connection.

def absent(c, which):
	c.listen(which).close()
	c.register()
	c.refused("no such file")


def refuses(c, which):
	c.listen(which, None)
	c.register()
	c.refused("connection refused")


def crowded(c, which):
	c.listen(which, 0).fill()
	start = time.monotonic()
	c.register()
	c.refused("temporarily unavailable")
	check(time.monotonic() - start >= 1, "given up too early")


def crowded_first(c, which):
	c.listen(which, 0).fill()
	c.register()
	# Room for it while it tries.
	c.sock[which].accept_last()
	for w, s in c.sock.items():
		if w != which:
			s.accept()
	c.sock["ctl"].send(ctl(A_READY))
	equal(c.rt.answer(), None, "registration")
	c.sock["io"].shut(socket.SHUT_RDWR)
	c.lost()


def mute(c, which):
	c.register()
	c.accept()
	if which == "io":	# half of a READY is none
		c.sock["ctl"].send(ctl(A_READY)[:7])
	c.refused("timeout")


# Before READY, at rest, with a command under way, with a stream.

ENDS = {
    "ends": lambda s: s.shut(socket.SHUT_RDWR),
    "closes": lambda s: s.s.close(),
    "ends its writing": lambda s: s.shut(socket.SHUT_WR),
    "breaks off a message": lambda s: (s.send(b"\0\0\0\x09\0\0\0\x63" +
	b"\0" * 4), s.shut(socket.SHUT_RDWR)),
    "breaks off a header": lambda s: (s.send(b"\0\0\0"),
	s.shut(socket.SHUT_WR)),
    "sends a huge length": lambda s: s.send(b"\0\0\0\x09\xff\xff\xff\xff" * 4),
}


def early(c, which, act):
	c.register()
	c.accept()
	act(c.sock[which])
	c.refused()


def idle(c, which, act):
	c.up()
	act(c.sock[which])
	for s in c.sock.values():
		if s.s.fileno() != -1:
			s.ended()
	c.rt.command()
	check(c.rt.result() is not None, "a lost VM has answered")
	c.rt.unregister(c.id)


def busy(c, which, act):
	c.up()
	c.rt.command()
	c.sock["ctl"].command(A_PING)
	act(c.sock[which])
	e = c.rt.result()
	# What was written to a 1.x VM that is lost then is a success.
	check(e is not None or c.rt.name == "1.x", "a lost VM has answered")
	c.rt.unregister(c.id)


def streaming(c, which, act):
	c.up()
	s = c.stream()
	act(c.sock[which])
	c.rt.shim_ended(s)
	s.close()
	c.rt.command()
	check(c.rt.result() is not None, "a lost VM has answered")
	c.rt.unregister(c.id)


def deaf(c, which):
	"""It reads nothing any more: noticed at the next write."""
	c.up()
	s = c.stream()
	c.sock[which].shut(socket.SHUT_RD)
	if which == "io":
		s.stdin(b"anybody?")
		c.rt.shim_ended(s)
	c.rt.command()
	check(c.rt.result() is not None, "a lost VM has answered")
	c.rt.unregister(c.id)
	s.close()


def noise(c, which, n):
	"""Random bytes: its VM may be lost, or not yet; then the end."""
	stage = n % 3
	if stage == 0:
		c.register()
		c.accept()
	else:
		c.up()
	s = c.stream() if stage == 2 else None
	c.sock[which].send(garbage(1 + n * 97 % 3000, n))
	c.sock[which].shut(socket.SHUT_RDWR)
	if stage == 0:
		c.refused()
		return
	if s is not None:
		while True:
			try:
				if s.recv() is None:
					break
			except ConnectionResetError:
				break
		s.close()
	for x in c.sock.values():
		x.ended()
	c.rt.command()
	check(c.rt.result() is not None, "a lost VM has answered")
	c.rt.unregister(c.id)


def cases():
	for which in ("ctl", "io"):
		for f in (absent, refuses, crowded, crowded_first, mute,
		    deaf):
			yield f.__name__, f, (which,)
		for name, act in ENDS.items():
			for f in (early, idle, busy, streaming):
				yield f.__name__ + ", " + name, f, (which,
				    act)
		for n in range(12):
			yield "noise %d" % n, noise, (which, n)


def run(kind):
	d = ccp1.Daemon(level="warn", ksm=None, timeouts={"ready": READY})
	with checked(d):
		d.bystander = Bystander(d)
		stream = Stream(d)
		stream.alive()
		base = set(d.engines())
		fds = {} if os.geteuid() != 0 else {p: fd_count(p)
		    for p in d.processes()}
		lock = threading.Lock()
		todo = list(enumerate(cases()))
		if SANITIZED and not ALL:
			todo = todo[SEED % 4::4]
		n = len(todo)

		def worker(_):
			while True:
				with lock:
					if not todo:
						return
					i, (name, f, args) = todo.pop(0)
				c = Case(d, kind, i)
				try:
					f(c, *args)
				except (Fail, OSError) as e:
					raise Fail("%s (%s): %r" % (name,
					    args[0], e))
				finally:
					c.close()
		tasks = [Task(worker, i) for i in range(6)]
		while any(t.is_alive() for t in tasks):
			d.bystander.check()
			time.sleep(0.05)
		for t in tasks:
			t.get("cases")
		wait_for(lambda: set(d.engines()) == base,
		    "end of the engines")
		wait_for(lambda: all(fd_count(p) == k
		    for p, k in fds.items()), "descriptors")
		stream.end()
		bad = [b for b in bad_news(d, 0) if "engine of" in b]
		equal(bad, [], "the log")
		note("%d cases" % n)


@test("vmsock", "sockets that refuse, hang, end or lie, 3.x", private=False)
def three():
	run(Runtime3)


@test("vmsock", "sockets that refuse, hang, end or lie, 1.x", private=False)
def one():
	run(Runtime1)


main()

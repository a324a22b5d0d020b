#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Reads and writes that move less than was wanted: by the kernel's doing, by
tiny buffers on every socket of every process, and by peers that cut what
they send anywhere.  Every byte is right."""

import ctypes
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from victims import *

PIECES = (1, 2, 3, 7, 11, 12, 13, 100, 1000)
SYS_pidfd_open, SYS_pidfd_getfd = 434, 438


class PieceGuest(Guestling):
	"""Takes messages in pieces, and data of any length."""

	def _message(self, s, size, which):
		self.reading[which].wait()
		head = b""
		while len(head) < size:
			part = s.recv(size - len(head))
			if not part:
				return None
			head += part
		n = struct.unpack(">I", head[-4:] if which == "io" else
		    head[4:])[0] - size
		check(0 <= n <= self.limit, "%s message of %d bytes" %
		    (which, n))
		return head, s.recv(n, socket.MSG_WAITALL) if n else b""


class PieceClient(Client):
	"""A frame may come in pieces."""

	def __init__(self, *args):
		super().__init__(*args)
		self.is_shim = True


class PieceClient1(ccp1.Client1):
	def _recv(self, n, flags=0):
		return super()._recv(n, flags | socket.MSG_WAITALL)


class Bulk:
	"""Data in both directions, and all of it is compared."""

	def __init__(self, d, ident, size):
		self.d, self.id = d, ident
		self.data = random.Random("%d%s" % (SEED, ident)).randbytes(
		    size)
		self.agent = PieceGuest(d.dir, "short-" + ident)
		self.conns = []

	def add(self, c):
		self.conns.append(c)
		return c

	def close(self):
		for c in self.conns:
			c.close()
			if c in self.d.clients:
				self.d.clients.remove(c)
		self.agent.close()
		check(not self.agent.complaints, "agent: %s" %
		    self.agent.complaints)

	def emit(self, base):
		"""All of the data as output of many lengths, and the end."""
		at = n = 0
		while at < len(self.data):
			n = n * 3 % 1999 + 1
			self.agent.tty(base, self.data[at:at + n])
			at += n
		self.agent.exit(base, 9)

	def received(self, base):
		a = self.agent
		a.until(lambda: sum(len(p) for s, p in a.tty_in if
		    s == base) >= len(self.data), "stdin", lambda: False)
		equal(b"".join(p for s, p in a.tty_in if s == base),
		    self.data, "stdin")


class Bulk3(Bulk):
	def begin(self):
		self.c = self.add(PieceClient(self.d))
		self.c.cmd(REGISTER, register_request(self.id,
		    self.agent.ctl_path, self.agent.io_path, None, 1))

	def go(self):
		f = self.c.response(REGISTER)
		check(not f.err, "registration: %s" % brief(f.payload))
		token = tokens_of(f.payload)[0]
		s = self.add(PieceClient(self.d))
		s.connect_shim(token)
		other = self.add(PieceClient(self.d))
		other.attach(self.id)
		text = {"w": self.data[:500].hex()}
		self.agent.mode = "echo"
		equal(other.hyper("ping", text), compact(text), "echo")
		self.agent.mode = "ack"
		other.hyper("newcontainer", {"id": "c", "process": {}},
		    [token])
		base = json.loads(self.agent.command(A_NEWCONTAINER,
		    lambda: False))["process"]["stdio"]
		feeder = Task(self.feed, s)
		emitter = Task(self.emit, base)
		out = b""
		while len(out) < len(self.data):
			out += s.stdout()
		equal(out, self.data, "stdout")
		equal(s.exit_status(), 9, "exit status")
		feeder.get("stdin")
		emitter.get("output")
		self.received(base)
		s.disconnect_shim()
		self.c.ok(UNREGISTER, {"containerId": self.id})

	def feed(self, s):
		for i in range(0, len(self.data), 777):
			s.stdin(self.data[i:i + 777])


class Bulk1(Bulk):
	def begin(self):
		self.c = self.add(PieceClient1(self.d))
		self.c.send("hello", ccp1.hello_request(self.id,
		    self.agent.ctl_path, self.agent.io_path))

	def go(self):
		r = self.c.reply()
		check(r.success, "hello: %s" % r.error)
		other = self.add(PieceClient1(self.d))
		other.attach(self.id)
		io = self.add(other.allocate_io())
		base = io.base
		other.hyper("newcontainer", {"id": "c", "process":
		    {"stdio": base, "stderr": base + 1}})
		feeder = Task(self.feed, io)
		emitter = Task(self.emit, base)
		got = b""
		while True:
			head = io.sock.recv(12, socket.MSG_WAITALL)
			equal(len(head), 12, "bytes of a header")
			seq, n = struct.unpack(">QI", head)
			equal(seq, base, "sequence number")
			if n == 12:
				break
			got += io.sock.recv(n - 12, socket.MSG_WAITALL)
		equal(got, self.data, "output")
		equal(io.sock.recv(13, socket.MSG_WAITALL)[12:], b"\x09",
		    "exit status")
		feeder.get("stdin")
		emitter.get("output")
		self.received(base)
		self.c.bye(self.id)

	def feed(self, io):
		for i in range(0, len(self.data), 777):
			io.stdin(self.data[i:i + 777])


# ----------------------------------------------------------- by the kernel

CALLS = {
    # Its log, on descriptor 4, keeps its records whole.
    "engine": ("recvfrom sendto recvmsg sendmsg", 4),
    "frontend": ("recvfrom sendto recvmsg sendmsg", 4),
    # Records are received whole as well.
    "parent": ("recvmsg sendmsg", None),
}


def short(who):
	@test("short", "calls of the %s move few bytes" % who, private=False)
	def run():
		with Engines() as e:
			e.settle()
			step = 1 if ALL else 4 if SANITIZED else 2
			for i, n in enumerate(PIECES[::step]):
				for kind in (Bulk3, Bulk1)[::1 if ALL else
				    -1 if i % 2 else 1][:2 if ALL else 1]:
					one(e, who, kind, n)
			e.stream.end()


def one(e, who, kind, n):
	d = e.d
	e.count += 1
	b = kind(d, "%s%d" % (kind.__name__, e.count), min(20000,
	    2000 * n) // (4 if SANITIZED else 1))
	calls, without = CALLS[who]
	how = ("short=%d" % n, 1, calls.split(), without)
	if who == "engine":
		e.hooks.catch()
		b.begin()
		inj = Inject(e.hooks.caught(lambda: [p for p in d.children()
		    if p not in e.base]), *how)
	else:
		inj = Inject(d.pid if who == "parent" else child(d, who),
		    *how)
		b.begin()
	try:
		b.go()
		check(inj.fired(), "nothing was shortened")
	except Fail as why:
		raise Fail("%s of %d bytes: %s" % (kind.__name__, n, why))
	finally:
		if who != "engine" or SANITIZED:
			inj.leave()
		b.close()
	inj.end()
	e.same()


for who in CALLS:
	short(who)


# --------------------------------------------------------- by tiny buffers

def tiny(pids):
	"""As little room as the kernel gives, in every socket they have."""
	libc = ctypes.CDLL(None, use_errno=True)
	n = 0
	for pid in pids:
		pidfd = libc.syscall(SYS_pidfd_open, pid, 0)
		if pidfd == -1:
			raise Skip("no pidfd_open here")
		for fd, kind in fd_types(pid).items():
			if kind != "socket":
				continue
			got = libc.syscall(SYS_pidfd_getfd, pidfd, fd, 0)
			if got == -1:
				if ctypes.get_errno() == 9:	# gone
					continue
				raise Skip("no pidfd_getfd here")
			s = socket.socket(fileno=got)
			for opt in (socket.SO_SNDBUF, socket.SO_RCVBUF):
				# but for the log, whose records are whole
				if s.type == socket.SOCK_STREAM:
					s.setsockopt(socket.SOL_SOCKET, opt,
					    1)
			n += 1
			s.close()
		os.close(pidfd)
	return n


@test("short", "tiny buffers in every socket of every process",
    private=False)
def buffers():
	need_root()
	d = ccp1.Daemon(level="warn", ksm=None)
	with checked(d):
		d.bystander = Bystander(d)
		n = tiny(d.processes())
		for i, kind in enumerate((Bulk3, Bulk1) * 2):
			b = kind(d, "tiny%d" % i, scaled(200000))
			before = set(d.engines())
			b.begin()
			wait_for(lambda: set(d.engines()) != before, "engine")
			n += tiny(d.processes())
			# Again when its clients are there.
			more = Task(lambda: [tiny(d.processes()) for j in
			    range(10)])
			b.go()
			n += sum(more.get("tiny buffers"))
			b.close()
			d.bystander.check()
		note("%d buffers made tiny" % n)


# ------------------------------------------------------------ by the peers

def taken(sock):
	"""Until the daemon has read all we have sent."""
	buf = array.array("i", [0])

	def none():
		fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, buf)
		return buf[0] == 0
	wait_for(none, "our bytes to be read")


def cut(sock, data, at):
	"""Two pieces, the second when the first was read; at 0: bytes."""
	pieces = [data[:at], data[at:]] if at else \
	    [data[i:i + 1] for i in range(len(data))]
	for p in pieces:
		sock.sendall(p)
		if at or len(data) < 200:
			taken(sock)


def splits(data):
	n = len(data)
	if ALL:
		return range(n)
	rng = random.Random(SEED)
	return sorted({0, 1, n - 1} | set(rng.sample(range(1, n),
	    min(n - 1, 8 if SANITIZED else 20))))


@test("short", "a client's requests and a shim's frames cut anywhere",
    private=False)
def client_cut():
	d = Daemon(level="warn", ksm=None)
	with checked(d):
		d.bystander = Bystander(d)
		vm = d.vm(mode="echo")
		request = frame(COMMAND, ATTACH, compact({"containerId":
		    vm.id})) + frame(COMMAND, HYPER, b'{"hyperName":"ping",'
		    b'"data":{"w":"twelve"}}')
		for at in splits(request):
			c = Client(d)
			cut(c.sock, request, at)
			check(not c.response(ATTACH).err, "attach")
			equal(c.response(HYPER).payload, b'{"w":"twelve"}',
			    "echo")
			c.close()
			d.clients.remove(c)
		s = vm.shim()
		blob = frame(STREAM, STDIN, b"one") + frame(COMMAND, SIGNAL,
		    compact({"signalNumber": 10})) + frame(STREAM, STDIN,
		    b"2") + frame(STREAM, LOG, compact({"level": "info",
		    "msg": "x", "source": "shim"})) + frame(STREAM, STDIN,
		    b"and three", words=5)
		for at in splits(blob):
			cut(s.sock, blob, at)
			check(not s.response(SIGNAL).err, "signal")
			got = b""
			while len(got) < 13:
				seq, p = vm.agent.next_tty()
				equal(seq, s.base, "number")
				got += p
			equal(got, b"one2and three", "stdin")
			vm.agent.skip_ctl()
		d.bystander.check()


@test("short", "a 1.x client's requests and stdin cut anywhere",
    private=False)
def client1_cut():
	d = ccp1.Daemon(level="warn", ksm=None)
	with checked(d):
		vm = d.vm1(mode="ack")
		request = ccp1.message(ccp1.request("attach", {"containerId":
		    vm.id})) + ccp1.message(ccp1.request("hyper",
		    ccp1.hyper_data("ping")))
		for at in splits(request):
			c = d.client1()
			cut(c.sock, request, at)
			check(c.reply().success and c.reply().success,
			    "replies")
			c.close()
			d.clients.remove(c)
		p = vm.process()
		blob = tty_message(p.base, b"one") + tty_message(p.base,
		    b"2") + tty_message(p.base, b"and three")
		for at in splits(blob):
			cut(p.io.sock, blob, at)
			got = b""
			while len(got) < 13:
				got += vm.agent.next_tty()[1]
			equal(got, b"one2and three", "stdin")


@test("short", "a guest's messages cut anywhere", private=False)
def guest_cut():
	d = ccp1.Daemon(level="warn", ksm=None)
	with checked(d):
		d.bystander = Bystander(d)
		vm, vm1 = d.vm(mode="manual"), d.vm1()
		vm.agent.mode = "ack"
		s, p = vm.shim(), vm1.process()
		vm.agent.mode = "manual"
		for a, base in ((vm.agent, s.base), (vm1.agent, p.base)):
			blob = tty_message(base, b"one") + tty_message(
			    base + 1, b"err") + tty_message(base, b"two")
			for at in splits(blob):
				cut(a.io, blob, at)
				if a is vm.agent:
					equal(s.stdout(3), b"one", "stdout")
					equal(s.stderr(), b"err", "stderr")
					equal(s.stdout(3), b"two", "stdout")
					continue
				p.io.expect(b"one")
				p.io.expect(b"err", base + 1)
				p.io.expect(b"two")
		blob = b"".join(struct.pack(">II", A_ACK, 8 + len(x)) + x
		    for x in (b"a", b"", b'{"answer":3}'))
		for at in splits(blob):
			cs = [vm.client] + [vm.attach()[0] for i in (1, 2)]
			for c in cs:
				c.hyper_send("ping")
				vm.agent.next_ctl(A_PING)
			cut(vm.agent.ctl, blob, at)
			for c, x in zip(cs, (b"a", b"", b'{"answer":3}')):
				equal(c.response(HYPER).payload, x, "answer")
			for c in cs[1:]:
				c.close()
				d.clients.remove(c)
		d.bystander.check()


main()

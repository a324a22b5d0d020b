# SPDX-License-Identifier: ISC
"""Protocol 1.x on top of ccp.py.

Client1 (one control connection), IoEnd (a received I/O descriptor), VM1 and
Process1 (the usual combinations), and a Daemon with both listeners.  The
names of ccp.py come along; main() prints `1.x` for `3.x`.
"""

import select

import ccp
from ccp import *

BODY_MAX = 1024 * 1024
REPLY_MAX = 1024
IO_MAX = 10240
ABSENT = object()
OK = b'{"success":true}'
VERSION = b'{"success":true,"data":{"version":1}}'
CLOSED = "use of closed network connection"


def message(body, length=None, reserved=0):
	"""A control message; body: bytes, or an object for JSON."""
	if not isinstance(body, bytes):
		body = compact(body)
	return struct.pack(">II", len(body) if length is None else length,
	    reserved) + body


def request(name, data=ABSENT):
	"""The JSON text of a request; data may be Raw."""
	text = b'{"id":' + compact(name)
	if data is not ABSENT:
		text += b',"data":' + to_json(data)
	return text + b"}"


def hyper_data(name, data=ABSENT):
	text = b'{"hyperName":' + compact(name)
	if data is not ABSENT:
		text += b',"data":' + to_json(data)
	return Raw(text + b"}")


def timed(sock):
	"""A ceiling for a socket that stays in blocking mode."""
	limit = struct.pack("ll", int(CEILING), 0)
	sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
	sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
	return sock


class Reply:
	"""A reply's text and members, judged as the shipped clients do."""

	def __init__(self, text):
		self.text = text
		check(len(text) <= REPLY_MAX, "reply body of %d bytes" %
		    len(text))
		self.obj = json.loads(text, object_pairs_hook=list)
		names = [k for k, v in self.obj]
		self.obj = dict(self.obj)
		equal(names, [n for n in ("success", "error", "data")
		    if n in names], "members of a reply")
		check(type(self.obj.get("success")) is bool, "no success")
		equal("error" in self.obj, not self.obj["success"],
		    "error beside success")
		check(b" " not in text.split(b'"error"')[0], "blanks")
		self.success = self.obj["success"]
		self.error = self.obj.get("error")
		self.data = None
		if "data" in self.obj:
			self.data = dict(self.obj["data"])


class Client1:
	"""One control connection."""

	def __init__(self, d, path=None):
		self.daemon = d
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		timed(self.sock)
		self.sock.connect(path or d.path1)
		self.reset = False
		d.clients.append(self)

	def close(self):
		self.sock.close()

	# Bytes.

	def raw(self, data):
		try:
			self.sock.sendall(data)
		except BlockingIOError:
			raise Fail("the proxy does not read for %d s" % CEILING)

	def send(self, name, data=ABSENT):
		"""A request, without waiting for its reply."""
		self.raw(message(request(name, data)))

	def _recv(self, n, flags=0):
		try:
			return self.sock.recv(n, flags)
		except BlockingIOError:
			raise Fail("nothing received within %d s" % CEILING)
		except ConnectionResetError:
			self.reset = True
			return b""

	def read(self):
		"""The next reply's body, None at the end of the connection.
		The header is read as every shipped client reads it."""
		head = self._recv(8)
		if head == b"":
			return None
		equal(len(head), 8, "bytes of a header in one read")
		length, reserved = struct.unpack(">II", head)
		equal(reserved, 0, "reserved bytes of a reply")
		body = b""
		while len(body) < length:
			part = self._recv(length - len(body))
			check(part, "EOF inside a reply")
			body += part
		return body

	def reply(self):
		body = self.read()
		if body is None:
			raise Fail("EOF instead of a reply")
		return Reply(body)

	def receive_fd(self):
		"""The descriptor behind an allocateIO reply; the tag is one
		byte, and there is room for one descriptor only."""
		try:
			data, anc, flags, _ = self.sock.recvmsg(1,
			    socket.CMSG_LEN(4), socket.MSG_CMSG_CLOEXEC)
		except BlockingIOError:
			raise Fail("no descriptor within %d s" % CEILING)
		fds = array.array("i")
		for level, kind, body in anc:
			equal((level, kind), (socket.SOL_SOCKET,
			    socket.SCM_RIGHTS), "control message")
			fds.frombytes(body[:len(body) & ~3])
		if data != b"F" or len(fds) != 1 or \
		    flags & socket.MSG_CTRUNC:
			for fd in fds:
				os.close(fd)
			raise Fail("tag %s with %d descriptors, flags %#x" %
			    (data, len(fds), flags))
		return fds[0]

	def quiet(self):
		"""Nothing is there to be read."""
		equal(pending(self.sock), 0, "unread bytes")

	def expect_closed(self):
		"""The connection ends, without a byte before that."""
		got = self._recv(4096)
		check(got == b"", "%s instead of a closed connection" %
		    brief(got))

	# Requests: ask() gives the reply, ok() and fails() judge it.

	def ask(self, name, data=ABSENT):
		self.send(name, data)
		return self.reply()

	def ok(self, name, data=ABSENT):
		r = self.ask(name, data)
		if not r.success:
			raise Fail("%s refused: %s" % (name, r.error))
		return r

	def fails(self, name, data=ABSENT):
		r = self.ask(name, data)
		check(not r.success, "%s succeeded" % name)
		equal(r.data, None, "data of a failure")
		return r.error

	def hello(self, ident, ctl, io, console=None):
		r = self.ok("hello", hello_request(ident, ctl, io, console))
		equal(r.text, VERSION, "reply to hello")

	def attach(self, ident):
		r = self.ok("attach", {"containerId": ident})
		equal(r.text, VERSION, "reply to attach")
		return self

	def bye(self, ident):
		r = self.ok("bye", {"containerId": ident})
		equal(r.text, OK, "reply to bye")

	def allocate_io(self, n=2):
		r = self.ok("allocateIO", {"nStreams": n})
		equal(list(r.data), ["ioBase"], "data of allocateIO")
		base = r.data["ioBase"]
		check(type(base) is int, "ioBase is no integer")
		equal(r.text, b'{"success":true,"data":{"ioBase":%d}}' % base,
		    "reply to allocateIO")
		end = IoEnd(self.receive_fd(), base)
		self.daemon.clients.append(end)
		return end

	def hyper_send(self, name, data=ABSENT):
		self.send("hyper", hyper_data(name, data))

	def hyper(self, name, data=ABSENT):
		r = self.ok("hyper", hyper_data(name, data))
		equal(r.text, OK, "reply to hyper")

	def hyper_fails(self, name, data=ABSENT):
		return self.fails("hyper", hyper_data(name, data))


def hello_request(ident, ctl, io, console=None):
	req = {"containerId": ident, "ctlSerial": ctl, "ioSerial": io}
	if console is not None:
		req["console"] = console
	return req


class IoEnd:
	"""A received I/O descriptor, left in the mode in which it came."""

	def __init__(self, fd, base):
		self.base = base
		self.blocking = not fcntl.fcntl(fd, fcntl.F_GETFL) & \
		    os.O_NONBLOCK
		self.sock = timed(socket.socket(fileno=fd))

	def close(self):
		self.sock.close()

	def raw(self, data):
		try:
			self.sock.sendall(data)
		except BlockingIOError:
			raise Fail("stdin is not read for %d s" % CEILING)

	def stdin(self, data, seq=None):
		self.raw(tty_message(self.base if seq is None else seq, data))

	def recv(self):
		"""(seq, payload) of the next frame, None at EOF.  A frame must
		be there as a whole: one read would get it."""
		try:
			head = self.sock.recv(12)
		except BlockingIOError:
			raise Fail("no I/O frame within %d s" % CEILING)
		except ConnectionResetError:
			return None
		if head == b"":
			return None
		equal(len(head), 12, "bytes of an I/O header in one read")
		seq, length = struct.unpack(">QI", head)
		check(12 <= length <= IO_MAX, "I/O frame of %d bytes" % length)
		check(pending(self.sock) >= length - 12, "I/O frame in pieces")
		return seq, self.sock.recv(length - 12) if length > 12 else b""

	def expect(self, data, seq=None):
		equal(self.recv(), (self.base if seq is None else seq, data),
		    "I/O frame")

	def expect_exit(self, status):
		self.expect(b"")
		self.expect(bytes([status]))

	def expect_eof(self):
		equal(self.recv(), None, "I/O frame instead of EOF")

	def quiet(self):
		equal(pending(self.sock), 0, "unread bytes of I/O")

	def closed(self):
		"""The daemon's end is closed; nothing is waited for."""
		p = select.poll()
		p.register(self.sock, select.POLLRDHUP)
		return bool(p.poll(0))


class Process1:
	"""What a 1.x runtime leaves to a shim: an attached connection, an I/O
	descriptor, and a process started in the guest."""

	def __init__(self, vm, cid=None, terminal=False, start=True):
		self.vm = vm
		self.terminal = terminal
		self.client = Client1(vm.daemon).attach(vm.id)
		self.io = self.client.allocate_io(1 if terminal else 2)
		self.base = self.io.base
		self.cid = cid or "c%d" % self.base
		if start:
			self.start()

	def request(self, **more):
		process = {"terminal": self.terminal, "stdio": self.base,
		    "stderr": 0 if self.terminal else self.base + 1,
		    "args": ["sh"], "envs": [], "workdir": "/"}
		process.update(more)
		return {"id": self.cid, "rootfs": "", "image": "",
		    "process": process}

	def start(self, **more):
		self.client.hyper("newcontainer", self.request(**more))

	def close(self):
		self.client.close()
		self.io.close()


class VM1:
	"""A VM registered by hello, and the connection that said it."""

	def __init__(self, d, ident=None, agent=None, **kw):
		self.daemon = d
		d.vm_count += 1
		self.id = ident or "one%d" % d.vm_count
		self.agent = agent or d.agent("g%d" % d.vm_count, **kw)
		self.client = Client1(d)
		self.client.hello(self.id, self.agent.ctl_path,
		    self.agent.io_path, self.agent.console_path)
		self.agent.wait_accept("io")

	def attach(self):
		return Client1(self.daemon).attach(self.id)

	def process(self, **kw):
		return Process1(self, **kw)

	def lose(self):
		"""Back when the daemon has noticed the loss."""
		end = self.client.allocate_io(1)
		self.agent.hang_up("io")
		end.expect_eof()
		end.close()


class Daemon(ccp.Daemon):
	"""A daemon with both listeners.  -v instead of -log: level=None and
	args."""

	def __init__(self, *args, path1=None, start=True, ready=True, **kw):
		super().__init__(*args, start=False, **kw)
		self.path1 = path1
		if path1 is None:
			self.path1 = os.path.join(self.dir, "run1",
			    "proxy.sock")
		if self.path1 != "":
			self.argv += ["-socket-path-1", self.path1]
		if start:
			self.start(ready)

	def _listening(self):
		path, self.path = self.path, self.path1
		try:
			if self.path != "" and not super()._listening():
				return False
		finally:
			self.path = path
		return super()._listening()

	def vm1(self, ident=None, **kw):
		return VM1(self, ident, **kw)

	def client1(self):
		return Client1(self)


class Renamed:
	"""Standard output with this protocol's number in the results."""

	def __init__(self, out):
		self.out = out

	def write(self, text):
		return self.out.write(re.sub(r"^((?:not )?ok - |skip - |)3\.x ",
		    r"\g<1>1.x ", text, count=1))

	def flush(self):
		self.out.flush()


def main():
	ccp.Daemon = Daemon
	sys.stdout = Renamed(sys.stdout)
	ccp.main()

# SPDX-License-Identifier: ISC
"""Drives the real cc-proxy over real sockets.

Daemon, Agent (a scripted guest agent), Client (one connection of protocol
3.x), Guest (the real ccp-guest), VM and Shim (the usual combinations of
them), and the runner behind @test and main().  Standard library only.

A test waits for a condition, never for a time; CEILING only stops a test
that would hang for ever.
"""

import array
import base64
import collections
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback

CEILING = float(os.environ.get("CCP_CEILING", "60"))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.abspath(os.path.join(TOP, os.environ.get("CCP_BUILD",
    "build")))

# Frame types and opcodes.
COMMAND, RESPONSE, STREAM, NOTIFICATION = range(4)
(REGISTER, UNREGISTER, ATTACH, HYPER, CONNECT, DISCONNECT,
    SIGNAL) = range(7)
STDIN, STDOUT, STDERR, LOG = range(4)
EXITED = 0
COMMANDS = ("RegisterVM", "UnregisterVM", "AttachVM", "Hyper", "ConnectShim",
    "DisconnectShim", "Signal")

# Codes of the agent.
A_VERSION, A_STARTPOD, A_DESTROYPOD, A_EXECCMD = 0, 1, 4, 6
A_READY, A_ACK, A_ERROR, A_WINSIZE, A_PING = 8, 9, 10, 11, 12
A_NEXT, A_WRITEFILE, A_READFILE, A_NEWCONTAINER = 14, 15, 16, 17
A_KILLCONTAINER, A_ONLINECPUMEM, A_SETUPINTERFACE = 18, 19, 20
A_SETUPROUTE, A_REMOVECONTAINER, A_PSCONTAINER, A_ASYNCEVENT = 21, 22, 23, 24

AGENT_MAX = 10240
QUEUE_BOUND = 256 * 1024


class Fail(Exception):
	"""The behaviour under test is wrong."""


class Skip(Exception):
	"""The test cannot run here; the text says why."""


def check(cond, what):
	if not cond:
		raise Fail(what)


def equal(got, want, what="value"):
	if got != want:
		raise Fail("%s: got %s, want %s" % (what, brief(got),
		    brief(want)))


def brief(v):
	s = repr(v)
	return s if len(s) <= 300 else s[:280] + "...(%d)" % len(s)


def wait_for(cond, what, ceiling=CEILING):
	"""Return cond()'s first true value."""
	end = time.monotonic() + ceiling
	pause = 0.002
	while True:
		v = cond()
		if v:
			return v
		if time.monotonic() > end:
			raise Fail("%s: not within %d s" % (what, ceiling))
		time.sleep(pause)
		pause = min(pause * 1.5, 0.05)


def need_root():
	if os.geteuid() != 0:
		raise Skip("needs root")


def need_mount_namespace():
	need_root()
	r = subprocess.run(["unshare", "-m", "true"],
	    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
	if r.returncode != 0:
		raise Skip("no private mount namespace here")


def binary(name):
	path = os.path.join(BUILD, name)
	if not os.access(path, os.X_OK):
		raise Fail("%s: not built" % path)
	return path


def sanitized():
	with open(binary("cc-proxy"), "rb") as f:
		return b"__asan_init" in f.read()


def pending(sock):
	"""Bytes that a read would return at once."""
	buf = array.array("i", [0])
	fcntl.ioctl(sock.fileno(), termios.FIONREAD, buf)
	return buf[0]


# ---------------------------------------------------------------- frames

Frame = collections.namedtuple("Frame", "type op err payload")


def frame(ftype, op, payload=b"", version=2, words=3, err=0, length=None,
    reserved=b"\0\0\0", flags=0, extra=None):
	if length is None:
		length = len(payload)
	if extra is None:
		extra = b"\xee" * max(0, words * 4 - 12)
	return struct.pack(">HB3sBBI", version, words, reserved,
	    ftype | (0x10 if err else 0) | flags, op, length) + extra + payload


def compact(obj):
	return json.dumps(obj, separators=(",", ":")).encode()


class Raw(bytes):
	"""JSON source text to be sent as it stands."""


def to_json(v):
	if isinstance(v, Raw):
		return bytes(v)
	return compact(v)


class Client:
	"""One connection.  While it is no shim, every header must arrive in
	one piece and its payload with it, as shipped clients demand."""

	def __init__(self, d, path=None):
		self.daemon = d
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		self.sock.settimeout(CEILING)
		self.sock.connect(path or d.path)
		self.stash = collections.deque()
		self.is_shim = False
		self.reset = False
		if d is not None:
			d.clients.append(self)

	def close(self):
		self.sock.close()

	def shutdown(self):
		self.sock.shutdown(socket.SHUT_WR)

	# Sending.

	def raw(self, data):
		try:
			self.sock.sendall(data)
		except socket.timeout:
			raise Fail("the proxy does not read for %d s" % CEILING)

	def send(self, ftype, op, payload=b"", **kw):
		self.raw(frame(ftype, op, payload, **kw))

	def cmd(self, op, obj=None, **kw):
		"""Send a command without waiting for its answer."""
		payload = b"" if obj is None else to_json(obj)
		self.send(COMMAND, op, payload, **kw)

	def stdin(self, data):
		self.send(STREAM, STDIN, data)

	def log(self, **fields):
		self.send(STREAM, LOG, compact(fields))

	# Receiving.

	def _recv(self, n):
		try:
			return self.sock.recv(n)
		except socket.timeout:
			raise Fail("nothing received within %d s" % CEILING)
		except ConnectionResetError:
			self.reset = True
			return b""

	def _exactly(self, n, what):
		buf = b""
		while len(buf) < n:
			part = self._recv(min(n - len(buf), 1 << 20))
			if not part:
				raise Fail("EOF inside %s after %d of %d bytes"
				    % (what, len(buf), n))
			buf += part
		return buf

	def _read(self):
		head = self._recv(12)
		if head == b"":
			return None
		if len(head) < 12:
			if not self.is_shim:
				raise Fail("header in pieces: %d bytes" %
				    len(head))
			head += self._exactly(12 - len(head), "header")
		version, words, reserved, t, op, length = struct.unpack(
		    ">HB3sBBI", head)
		equal((version, words, reserved), (2, 3, b"\0\0\0"),
		    "header of a frame from the proxy")
		equal(t & 0xe0, 0, "reserved flags")
		if not self.is_shim and 0 < length <= 4096:
			check(pending(self.sock) >= length,
			    "header and payload not in one write")
		return Frame(t & 0xf, op, t >> 4 & 1,
		    self._exactly(length, "payload"))

	def recv(self):
		"""The next frame, None at the end of the connection."""
		if self.stash:
			return self.stash.popleft()
		return self._read()

	def recv_if(self, pred, what):
		"""The next frame that matches; others are kept in order."""
		for i, f in enumerate(self.stash):
			if pred(f):
				del self.stash[i]
				return f
		while True:
			f = self._read()
			if f is None:
				raise Fail("EOF instead of %s" % what)
			if pred(f):
				return f
			self.stash.append(f)

	def response(self, op):
		f = self.recv_if(lambda f: f.type == RESPONSE,
		    "response to %s" % COMMANDS[op])
		equal(f.op, op, "opcode of the response")
		return f

	def output(self, kind=None):
		"""The next stream or notification frame."""
		f = self.recv_if(lambda f: f.type != RESPONSE, "output")
		if kind is not None:
			equal((f.type, f.op), kind, "kind of the frame")
		return f

	def stdout(self, n=None):
		f = self.output((STREAM, STDOUT))
		data = f.payload
		while n is not None and len(data) < n:
			data += self.output((STREAM, STDOUT)).payload
		return data

	def stderr(self):
		return self.output((STREAM, STDERR)).payload

	def exit_status(self):
		f = self.output((NOTIFICATION, EXITED))
		equal(len(f.payload), 1, "length of ProcessExited")
		equal(f.err, 0, "error flag of ProcessExited")
		return f.payload[0]

	def expect_closed(self, eof=False):
		f = self.recv()
		if f is not None:
			raise Fail("frame %s instead of a closed connection" %
			    brief(f))
		if eof:
			check(not self.reset, "ECONNRESET instead of EOF")

	# Commands: ask() gives the frame, ok() and fails() judge it.

	def ask(self, op, obj=None):
		self.cmd(op, obj)
		return self.response(op)

	def ok(self, op, obj=None):
		f = self.ask(op, obj)
		if f.err:
			raise Fail("%s refused: %s" % (COMMANDS[op],
			    brief(f.payload)))
		return f.payload

	def fails(self, op, obj=None):
		f = self.ask(op, obj)
		return error_text(f)

	def register(self, ident, ctl, io, console=None, n=None):
		return self.ask(REGISTER, register_request(ident, ctl, io,
		    console, n))

	def attach(self, ident, n=0):
		"""Returns the list of tokens, or None."""
		req = {"containerId": ident}
		if n:
			req["numIOStreams"] = n
		return tokens_of(self.ok(ATTACH, req))

	def hyper_send(self, name, data=None, tokens=None):
		req = b'{"hyperName":' + compact(name)
		if tokens is not None:
			req += b',"tokens":' + compact(tokens)
		if data is not None:
			req += b',"data":' + to_json(data)
		self.send(COMMAND, HYPER, req + b"}")

	def hyper(self, name, data=None, tokens=None):
		self.hyper_send(name, data, tokens)
		f = self.response(HYPER)
		if f.err:
			raise Fail("hyper %s refused: %s" % (name,
			    brief(f.payload)))
		return f.payload

	def hyper_fails(self, name, data=None, tokens=None):
		self.hyper_send(name, data, tokens)
		return error_text(self.response(HYPER))

	def connect_shim(self, token):
		self.ok(CONNECT, {"token": token})
		self.is_shim = True

	def disconnect_shim(self):
		"""Nothing is answered; the connection ends."""
		self.cmd(DISCONNECT)
		while True:
			f = self.recv()
			if f is None:
				return
			check(f.type != RESPONSE,
			    "DisconnectShim was answered: %s" % brief(f))

	def signal_request(self, signo, rows=None, columns=None):
		req = {"signalNumber": signo}
		if rows is not None:
			req["rows"] = rows
		if columns is not None:
			req["columns"] = columns
		return req

	def signal(self, signo, rows=None, columns=None):
		self.ok(SIGNAL, self.signal_request(signo, rows, columns))

	def signal_fails(self, signo, rows=None, columns=None):
		return self.fails(SIGNAL, self.signal_request(signo, rows,
		    columns))


def register_request(ident, ctl, io, console=None, n=None):
	req = {"containerId": ident, "ctlSerial": ctl, "ioSerial": io}
	if console is not None:
		req["console"] = console
	if n is not None:
		req["numIOStreams"] = n
	return req


def error_text(f):
	check(f.err, "success instead of an error: %s" % brief(f.payload))
	obj = json.loads(f.payload)
	equal(list(obj), ["msg"], "members of an error payload")
	return obj["msg"]


def tokens_of(payload):
	obj = json.loads(payload)
	equal(list(obj), ["io"], "members of the response")
	equal(list(obj["io"]), ["URL", "tokens"], "members of io")
	return obj["io"]["tokens"]


# ----------------------------------------------------------------- agent

class Agent:
	"""A guest agent under the test's control.

	mode "ack" acknowledges every command, "echo" acknowledges with the
	command's payload, "manual" leaves it to the test, and a callable
	gets (agent, code, payload) on the reader's thread.  flow: it says with
	NEXT what it reads, "split" for hyperstart, which reads a header first.
	"""

	def __init__(self, directory, name="vm", ready=True, mode="ack",
	    console=False, flow=False):
		self.cv = threading.Condition()
		self.mode = mode
		self.ready = ready
		self.flow = flow
		self.limit = AGENT_MAX
		self.ctl = self.io = self.console = None
		self.ctl_in, self.tty_in = [], []
		self.ctl_at = self.tty_at = 0
		self.eof = set()
		self.accepted = collections.Counter()
		self.complaints = []
		self.reading = {"ctl": threading.Event(),
		    "io": threading.Event()}
		for e in self.reading.values():
			e.set()
		self.lock = {"ctl": threading.Lock(), "io": threading.Lock()}
		self.closed = False
		self.listeners = []
		self.ctl_path = self._listen(directory, name, "ctl")
		self.io_path = self._listen(directory, name, "io")
		self.console_path = None
		if console:
			self.console_path = self._listen(directory, name,
			    "console")

	def _listen(self, directory, name, which):
		path = os.path.join(directory, "%s.%s" % (name, which))
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.bind(path)
		s.listen(8)
		self.listeners.append(s)
		threading.Thread(target=self._accept, args=(s, which),
		    daemon=True).start()
		return path

	def _accept(self, listener, which):
		while True:
			try:
				s, _ = listener.accept()
			except OSError:
				return
			with self.cv:
				if self.closed:
					s.close()
					return
				setattr(self, which, s)
				self.accepted[which] += 1
				self.eof.discard(which)
				self.cv.notify_all()
			if which == "ctl" and self.ready:
				try:
					self.send_ctl(A_READY)
				except OSError:
					pass
			target = {"ctl": self._read_ctl, "io": self._read_tty,
			    "console": self._read_console}[which]
			threading.Thread(target=target, args=(s,),
			    daemon=True).start()

	def _ended(self, which, s):
		with self.cv:
			if getattr(self, which) is s:
				self.eof.add(which)
			self.cv.notify_all()

	def _message(self, s, size, which):
		"""One message; the header must come in one piece with its
		payload behind it, since shipped agents read it once."""
		self.reading[which].wait()
		head = s.recv(size)
		if not head:
			return None
		if len(head) < size:
			raise Fail("%s header in pieces: %d bytes" % (which,
			    len(head)))
		length = struct.unpack(">I", head[-4:])[0] \
		    if which == "io" else struct.unpack(">I", head[4:])[0]
		if length < size or length > self.limit:
			raise Fail("%s message of length %d" % (which, length))
		left = length - size
		if pending(s) < min(left, 1):
			raise Fail("%s header without its payload" % which)
		if pending(s) < left and length <= AGENT_MAX:
			raise Fail("%s message not in one write" % which)
		return head, s.recv(left, socket.MSG_WAITALL) if left else b""

	def _read_ctl(self, s):
		try:
			while True:
				m = self._message(s, 8, "ctl")
				if m is None:
					break
				code = struct.unpack(">I", m[0][:4])[0]
				for n in self._pieces(len(m[1])):
					self.send_ctl(A_NEXT,
					    struct.pack(">I", n))
				with self.cv:
					mode = self.mode
					self.ctl_in.append((code, m[1]))
					self.cv.notify_all()
				self._answer(mode, code, m[1])
		except (OSError, ValueError):
			pass
		except Fail as e:
			self.complaints.append(str(e))
		self._ended("ctl", s)

	def _pieces(self, payload):
		"""What NEXT says of a message."""
		if self.flow == "split":
			return [8, payload] if payload else [8]
		return [8 + payload] if self.flow else []

	def _answer(self, mode, code, payload):
		if mode == "ack":
			self.ack()
		elif mode == "echo":
			self.ack(payload)
		elif callable(mode):
			mode(self, code, payload)

	def _read_tty(self, s):
		try:
			while True:
				m = self._message(s, 12, "io")
				if m is None:
					break
				seq = struct.unpack(">Q", m[0][:8])[0]
				with self.cv:
					self.tty_in.append((seq, m[1]))
					self.cv.notify_all()
		except (OSError, ValueError):
			pass
		except Fail as e:
			self.complaints.append(str(e))
		self._ended("io", s)

	def _read_console(self, s):
		try:
			while True:
				data = s.recv(4096)
				if not data:
					break
				self.complaints.append(
				    "the proxy wrote to the console")
		except (OSError, ValueError):
			pass
		self._ended("console", s)

	# What the guest sends.

	def raw_ctl(self, data):
		self.wait_accept("ctl")
		with self.lock["ctl"]:
			self.ctl.sendall(data)

	def raw_io(self, data):
		self.wait_accept("io")
		with self.lock["io"]:
			self.io.sendall(data)

	def send_ctl(self, code, payload=b"", length=None):
		if length is None:
			length = 8 + len(payload)
		self.raw_ctl(struct.pack(">II", code, length) + payload)

	def ack(self, payload=b""):
		self.send_ctl(A_ACK, payload)

	def error(self, payload=b""):
		self.send_ctl(A_ERROR, payload)

	def tty(self, seq, data=b"", length=None):
		self.raw_io(tty_message(seq, data, length))

	def exit(self, base, status):
		self.raw_io(tty_message(base, b"") +
		    tty_message(base, bytes([status])))

	# What the guest received.

	def wait(self, cond, what):
		end = time.monotonic() + CEILING
		with self.cv:
			while True:
				v = cond()
				if v:
					return v
				if self.complaints:
					raise Fail("agent: " +
					    self.complaints[0])
				left = end - time.monotonic()
				if left <= 0:
					raise Fail("agent: %s: not within "
					    "%d s" % (what, CEILING))
				self.cv.wait(min(left, 1))

	def next_ctl(self, code=None):
		self.wait(lambda: len(self.ctl_in) > self.ctl_at,
		    "a control message")
		m = self.ctl_in[self.ctl_at]
		self.ctl_at += 1
		if code is not None:
			equal(m[0], code, "code at the agent")
		return m

	def next_tty(self):
		self.wait(lambda: len(self.tty_in) > self.tty_at,
		    "an I/O message")
		m = self.tty_in[self.tty_at]
		self.tty_at += 1
		return m

	def ctl_unread(self):
		with self.cv:
			return self.ctl_in[self.ctl_at:]

	def tty_unread(self):
		with self.cv:
			return self.tty_in[self.tty_at:]

	def skip_ctl(self):
		with self.cv:
			self.ctl_at = len(self.ctl_in)

	def wait_eof(self, which):
		self.wait(lambda: which in self.eof, "EOF on " + which)

	def wait_accept(self, which, n=1):
		self.wait(lambda: self.accepted[which] >= n,
		    "connection to " + which)

	# The end.

	def hang_up(self, which):
		s = getattr(self, which)
		try:
			s.shutdown(socket.SHUT_RDWR)
		except OSError:
			pass
		s.close()

	def close(self):
		with self.cv:
			self.closed = True
		for e in self.reading.values():
			e.set()
		for s in self.listeners + [self.ctl, self.io, self.console]:
			if s is None:
				continue
			try:
				s.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass
			s.close()


def tty_message(seq, data=b"", length=None):
	if length is None:
		length = 12 + len(data)
	return struct.pack(">QI", seq, length) + data


# ------------------------------------------------------------ VM and shim

class VM:
	"""A registered VM: its agent, and a client attached to it."""

	def __init__(self, d, ident=None, agent=None, n=None, **kw):
		self.daemon = d
		d.vm_count += 1
		self.id = ident or "vm%d" % d.vm_count
		self.agent = agent or d.agent("a%d" % d.vm_count, **kw)
		self.client = Client(d)
		f = self.client.register(self.id, self.agent.ctl_path,
		    self.agent.io_path, self.agent.console_path, n)
		if f.err:
			raise Fail("RegisterVM %s: %s" % (self.id,
			    brief(f.payload)))
		self.tokens = tokens_of(f.payload)
		self.agent.wait_accept("io")

	def attach(self, n=0):
		"""A new connection attached to this VM, and its tokens."""
		c = Client(self.daemon)
		return c, c.attach(self.id, n)

	def token(self):
		return self.client.attach(self.id, 1)[0]

	def shim(self, start=True, cid=None, terminal=False, command=None,
	    token=None):
		return Shim(self, start, cid, terminal, command, token)

	def unregister(self):
		self.client.ok(UNREGISTER, {"containerId": self.id})


class Shim(Client):
	"""A shim connected with a token of its own; its process started."""

	def __init__(self, vm, start=True, cid=None, terminal=False,
	    command=None, token=None):
		super().__init__(vm.daemon)
		self.vm = vm
		self.token = token or vm.token()
		self.cid = cid or "c" + self.token[:6]
		self.base = None
		self.connect_shim(self.token)
		if start:
			self.start(terminal, command)

	def start(self, terminal=False, command=None, client=None):
		process = {"args": ["sh"], "terminal": terminal}
		if command == "execcmd":
			data = {"container": self.cid, "process": process}
		else:
			command = "newcontainer"
			data = {"id": self.cid, "process": process}
		agent = self.vm.agent
		seen = len(agent.ctl_in)
		(client or self.vm.client).hyper(command, data, [self.token])
		with agent.cv:
			got = agent.ctl_in[seen:]
		sent = [json.loads(p) for code, p in got
		    if code in (A_NEWCONTAINER, A_EXECCMD)]
		for m in sent:
			if m.get("id", m.get("container")) == self.cid:
				self.base = m["process"]["stdio"]
		check(self.base is not None, "no sequence number injected")
		agent.skip_ctl()


class Bystander:
	"""The second VM that must keep serving whatever a test does."""

	def __init__(self, d):
		self.vm = VM(d, ident="bystander", mode="echo")
		self.shim = self.vm.shim()
		self.count = 0

	def check(self):
		self.count += 1
		word = "still here %d" % self.count
		want = compact({"w": word})
		got = self.vm.client.hyper("ping", {"w": word})
		equal(got, want, "bystander's command")
		c, _ = self.vm.attach()
		equal(c.hyper("ping", {"w": word}), want,
		    "bystander's new client")
		c.close()
		self.vm.agent.tty(self.shim.base, word.encode())
		equal(self.shim.stdout(), word.encode(), "bystander's output")
		self.shim.stdin(word.encode())
		equal(self.vm.agent.next_tty(), (self.shim.base,
		    word.encode()), "bystander's stdin")
		if self.vm.agent.complaints:
			raise Fail("bystander: " + self.vm.agent.complaints[0])


# ---------------------------------------------------------------- daemon

LOGFMT = re.compile(r'([a-zA-Z_][a-zA-Z0-9_.-]*)='
    r'("(?:[^"\\]|\\.)*"|[A-Za-z0-9\-._/@^+]*)(?: |$)')
SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f",
    "v": "\v", "\\": "\\", '"': '"', "'": "'"}


def unquote(s):
	"""Undo Go's %q."""
	out = bytearray()
	i = 1
	while i < len(s) - 1:
		c = s[i]
		if c != "\\":
			out += c.encode()
			i += 1
			continue
		e = s[i + 1]
		width = {"x": 2, "u": 4, "U": 8}.get(e)
		if width is not None:
			v = int(s[i + 2:i + 2 + width], 16)
			out += bytes([v]) if e == "x" else chr(v).encode(
			    "utf-8", "surrogatepass")
			i += 2 + width
		elif e in SIMPLE:
			out += SIMPLE[e].encode()
			i += 2
		else:
			raise ValueError("escape \\%s" % e)
	return out.decode("utf-8", "replace")


def parse_logfmt(line):
	"""The fields of a log line in order; ValueError if it is none."""
	fields = {}
	at = 0
	while at < len(line):
		m = LOGFMT.match(line, at)
		if m is None or m.group(1) in fields:
			raise ValueError("not logfmt at %d: %s" % (at, line))
		v = m.group(2)
		fields[m.group(1)] = unquote(v) if v.startswith('"') else v
		at = m.end()
	if list(fields)[:2] != ["time", "level"]:
		raise ValueError("no time and level first: " + line)
	return fields


def children(pid):
	"""Direct children, {pid: command name}."""
	out = {}
	for path in glob.glob("/proc/[0-9]*/stat"):
		try:
			with open(path) as f:
				s = f.read()
		except OSError:
			continue
		comm = s[s.index("(") + 1:s.rindex(")")]
		rest = s[s.rindex(")") + 2:].split()
		if int(rest[1]) == pid and rest[0] not in "ZX":
			out[int(s.split(" ", 1)[0])] = comm
	return out


def alive(pid):
	try:
		with open("/proc/%d/stat" % pid) as f:
			s = f.read()
	except OSError:
		return False
	return s[s.rindex(")") + 2] not in "ZX"


def default_signals():
	"""What ran the suite may ignore some, and that is inherited."""
	for n in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT,
	    signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
		signal.signal(n, signal.SIG_DFL)


def trace():
	"""argv that traces what follows, to a file for each process."""
	place = os.environ.get("CCP_TRACE")
	if not place:
		return []
	return ["strace", "-D", "-q", "-ff", "-e", "raw=!execve", "-o",
	    os.path.join(tempfile.mkdtemp(dir=place), "calls")]


class Daemon:
	"""A cc-proxy of its own in a private directory.

	timeouts: {"shim": "200ms"}.  wrap: argv put in front.  start=False
	leaves starting to the test.  With CCP_TRACE in the environment the
	system calls of all its processes are written to a directory below
	that one.
	"""

	def __init__(self, level="debug", args=(), timeouts=None, ksm="initial",
	    uri=None, socket_path=None, env=None, wrap=(), pass_fds=(),
	    start=True, ready=True):
		self.dir = tempfile.mkdtemp(prefix="ccp-")
		os.chmod(self.dir, 0o755)
		self.level = level
		self.path = os.path.join(self.dir, "run", "proxy.sock")
		self.argv = trace() + list(wrap) + [binary("cc-proxy")]
		if uri is not None:
			self.argv += ["-uri", uri or "unix://" + self.path]
		elif socket_path != "":
			self.argv += ["-socket-path", socket_path or
			    self.path]
		if level is not None:
			self.argv += ["-log", level]
		self.argv += ["-libexec", BUILD]
		if "-f" not in args:	# not the host's own
			self.argv += ["-f", ""]
		if ksm is not None:
			self.argv += ["-ksm", ksm]
		for name, value in (timeouts or {}).items():
			self.argv += ["-timeout", "%s=%s" % (name, value)]
		self.argv += list(args)
		self.env = {k: v for k, v in os.environ.items()
		    if not k.startswith(("LISTEN_", "NOTIFY_",
		    "WATCHDOG_")) and
		    k != "CC_PROXY_LOG_LEVEL"}
		self.env.update(env or {})
		self.pass_fds = pass_fds
		self.proc = None
		self.clients, self.agents = [], []
		self.vm_count = 0
		self.bystander = None
		self.log_path = os.path.join(self.dir, "log")
		if start:
			self.start(ready)

	def start(self, ready=True):
		with open(self.log_path, "ab") as log:
			self.proc = subprocess.Popen(self.argv, stderr=log,
			    stdin=subprocess.DEVNULL, stdout=log, cwd=self.dir,
			    env=self.env, pass_fds=self.pass_fds,
			    preexec_fn=default_signals)
		if ready:
			self.wait_listening()

	def wait_listening(self):
		wait_for(lambda: self._listening() or
		    self.proc.poll() is not None, "listening socket")
		if self.proc.poll() is not None:
			raise Fail("cc-proxy ended at start, status %d: %s" %
			    (self.proc.returncode, brief(self.log_text())))

	def _listening(self):
		try:
			st = os.stat(self.path)
		except OSError:
			return False
		if not stat.S_ISSOCK(st.st_mode):
			return False
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		try:
			s.connect(self.path)
		except OSError:
			return False
		finally:
			s.close()
		return True

	@property
	def pid(self):
		return self.proc.pid

	def running(self):
		return self.proc is not None and self.proc.poll() is None

	def wait_exit(self):
		try:
			return self.proc.wait(CEILING)
		except subprocess.TimeoutExpired:
			raise Fail("cc-proxy does not exit")

	def agent(self, name="vm", **kw):
		a = Agent(self.dir, name, **kw)
		self.agents.append(a)
		return a

	def vm(self, ident=None, **kw):
		return VM(self, ident, **kw)

	def client(self):
		return Client(self)

	# Processes.

	def children(self):
		return children(self.pid)

	def engines(self):
		"""Pids of the engines; their names differ from cc-proxy."""
		return [p for p, comm in self.children().items()
		    if "engine" in comm]

	def processes(self):
		return [self.pid] + sorted(self.children())

	def fds(self):
		"""Number of open descriptors of all processes together."""
		n = 0
		for pid in self.processes():
			try:
				n += len(os.listdir("/proc/%d/fd" % pid))
			except PermissionError:
				raise Skip("descriptors can be counted by "
				    "root only")
			except OSError:
				pass
		return n

	def rss(self):
		"""Resident KiB of all processes together; 0 in a sanitizer
		build, which keeps what was freed."""
		n = 0
		if sanitized():
			return 0
		for pid in self.processes():
			try:
				with open("/proc/%d/status" % pid) as f:
					for line in f:
						if line.startswith("VmRSS:"):
							n += int(
							    line.split()[1])
			except OSError:
				pass
		return n

	# The log.

	def log_text(self):
		with open(self.log_path, "rb") as f:
			return f.read().decode("utf-8", "replace")

	def log_mark(self):
		return os.path.getsize(self.log_path)

	def log_lines(self, mark=0):
		"""Whole lines behind a mark."""
		with open(self.log_path, "rb") as f:
			f.seek(mark)
			text = f.read().decode("utf-8", "replace")
		return text[:text.rfind("\n") + 1].splitlines()

	def entries(self, mark=0, **want):
		"""Log entries as dicts, those whose fields match."""
		out = []
		for line in self.log_lines(mark):
			if not line.startswith("time="):
				continue
			try:
				e = parse_logfmt(line)
			except ValueError:
				continue
			if all(e.get(k) == v for k, v in want.items()):
				out.append(e)
		return out

	def find_log(self, pattern, mark=0, **want):
		for e in self.entries(mark, **want):
			if re.search(pattern, e.get("msg", "")):
				return e
		return None

	def wait_log(self, pattern, mark=0, **want):
		"""The first entry whose message matches the pattern."""
		return wait_for(lambda: self.find_log(pattern, mark, **want),
		    "log entry %r" % pattern)

	def wait_line(self, pattern, mark=0):
		"""The first line of stderr, entry or not, that matches."""
		return wait_for(lambda: next((l for l in
		    self.log_text()[mark:].splitlines()
		    if re.search(pattern, l)), None), "line %r" % pattern)

	# The end.

	def stop(self, sig=signal.SIGTERM):
		"""Returns what is wrong with the end, or None."""
		wrong = None
		if self.running():
			pids = self.children()
			self.proc.send_signal(sig)
			try:
				self.proc.wait(CEILING)
			except subprocess.TimeoutExpired:
				wrong = "does not end on signal %d" % sig
				self.proc.kill()
				self.proc.wait()
			end = time.monotonic() + CEILING
			while any(alive(p) for p in pids):
				if time.monotonic() > end:
					wrong = "children outlive it: %s" % \
					    [c for p, c in pids.items()
					    if alive(p)]
					break
				time.sleep(0.01)
		elif self.proc is not None:
			self.proc.wait()
		return wrong

	def dispose(self):
		wrong = self.stop()
		for c in self.clients:
			c.close()
		for a in self.agents:
			a.close()
		if self.proc is not None:
			text = self.log_text()
			m = re.search(r"^.*(AddressSanitizer|runtime error:|"
			    r"LeakSanitizer).*$", text, re.M)
			if m:
				wrong = m.group(0)
		shutil.rmtree(self.dir, ignore_errors=True)
		return wrong


class Syslog:
	"""Stands for /dev/log in a mount namespace of the daemon."""

	NODES = ("null", "zero", "full", "random", "urandom")

	def __init__(self, listen=True):
		need_mount_namespace()
		self.dir = tempfile.mkdtemp(prefix="ccp-dev-")
		os.chmod(self.dir, 0o755)
		for n in self.NODES:
			open(os.path.join(self.dir, n), "w").close()
		self.messages = []
		self.sock = None
		if listen:
			self.sock = socket.socket(socket.AF_UNIX,
			    socket.SOCK_DGRAM)
			self.sock.bind(os.path.join(self.dir, "log"))
			os.chmod(os.path.join(self.dir, "log"), 0o666)
			threading.Thread(target=self._read,
			    daemon=True).start()
		self.wrap = ["unshare", "-m", "sh", "-c",
		    "for n in %s; do mount --bind /dev/$n \"$0\"/$n || "
		    "exit 70; done; mount --rbind \"$0\" /dev && %s"
		    'exec "$@"' % (" ".join(self.NODES), "" if listen else
		    "mount -t tmpfs none /var/run && "), self.dir]

	def _read(self):
		while True:
			try:
				m = self.sock.recv(65536)
			except OSError:
				return
			if not m:
				return
			self.messages.append(m.rstrip(b"\0\n").decode(
			    "utf-8", "replace"))

	def wait(self, pattern):
		return wait_for(lambda: next((m for m in self.messages
		    if re.search(pattern, m)), None), "syslog %r" % pattern)

	def close(self):
		if self.sock is not None:
			try:
				self.sock.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass
			self.sock.close()
		shutil.rmtree(self.dir, ignore_errors=True)


def pod_daemon(**kw):
	"""A daemon in pod mode; its syslog is d.syslog."""
	log = Syslog()
	try:
		d = Daemon(uri=kw.pop("uri", ""), wrap=log.wrap, ksm=None, **kw)
	except BaseException:
		log.close()
		raise
	d.syslog = log
	d.agents.append(log)
	return d


class Guest:
	"""The real ccp-guest as a plain process on this host."""

	def __init__(self, d, name="guest", args=(), host_root=False):
		self.ctl_path = os.path.join(d.dir, name + ".ctl")
		self.io_path = os.path.join(d.dir, name + ".io")
		self.log_path = os.path.join(d.dir, name + ".log")
		self.root = os.path.join(d.dir, name + ".root")
		os.makedirs(self.root, exist_ok=True)
		with open(self.log_path, "ab") as log:
			self.proc = subprocess.Popen([binary("ccp-guest"),
			    "-c", self.ctl_path, "-t", self.io_path] +
			    ([] if host_root else ["-r", self.root]) +
			    list(args), stdin=subprocess.DEVNULL, stdout=log,
			    stderr=log)
		d.agents.append(self)
		wait_for(lambda: os.path.exists(self.ctl_path) and
		    os.path.exists(self.io_path) or
		    self.proc.poll() is not None, "sockets of ccp-guest")
		check(self.proc.poll() is None, "ccp-guest ended: " +
		    open(self.log_path).read())

	def close(self):
		if self.proc.poll() is None:
			self.proc.terminate()
			try:
				self.proc.wait(CEILING)
			except subprocess.TimeoutExpired:
				self.proc.kill()
				self.proc.wait()


# ---------------------------------------------------------------- runner

TESTS = []


def test(section, title, daemon=None, shared=False, bystander=True,
    private=True):
	"""Register a test.

	The function gets a Daemon.  daemon: the keyword arguments of a
	private one.  shared: one for all such tests of the file.
	private=False: the test starts its own processes and gets None.
	"""
	def register(func):
		TESTS.append((section, title, func, daemon or {}, shared,
		    bystander, private))
		return func
	return register


def hung(signum, stack):
	raise Fail("test hangs at " + "; ".join(
	    "%s:%d" % (os.path.basename(f.filename), f.lineno)
	    for f in traceback.extract_stack(stack)[-4:]))


def run_one(func, opts, shared, bystander, private, keep):
	d = None
	try:
		if private:
			d = keep.get("daemon") if shared else None
			if d is None or not d.running():
				d = Daemon(**opts)
				if bystander:
					d.bystander = Bystander(d)
				if shared:
					keep["daemon"] = d
		func(d) if private else func()
		if private and bystander:
			check(d.running(), "cc-proxy ended, status %s" %
			    d.proc.poll())
			d.bystander.check()
		if private:
			for a in d.agents:
				if getattr(a, "complaints", None):
					raise Fail("agent: " + a.complaints[0])
	except Skip:
		if d is not None and not shared:
			d.dispose()
		raise
	except BaseException:
		if d is not None:
			show_log(d)
			d.dispose()
			if keep.get("daemon") is d:
				del keep["daemon"]
		raise
	if d is not None and not shared:
		log = d.log_text() if d.proc is not None else ""
		wrong = d.dispose()
		if wrong:
			sys.stderr.write(log[-4000:])
			raise Fail(wrong)


def show_log(d):
	if d.proc is None or not os.path.exists(d.log_path):
		return
	lines = d.log_lines()
	if not d.running():
		lines.append("(cc-proxy ended: %s)" % d.proc.returncode)
	sys.stderr.write("".join("    | %s\n" % l[:300]
	    for l in lines[-int(os.environ.get("CCP_LOG_LINES", "15")):]))
	sys.stderr.flush()


def main():
	pattern = ""
	argv = sys.argv[1:]
	while argv:
		if argv[0] == "-k" and len(argv) > 1:
			pattern = argv[1]
			argv = argv[2:]
		elif argv[0] == "-l":
			for t in TESTS:
				print("3.x %s: %s" % t[:2])
			return
		else:
			sys.exit("usage: %s [-l] [-k pattern]" % sys.argv[0])
	signal.signal(signal.SIGALRM, hung)
	failures = 0
	keep = {}
	for section, title, func, opts, shared, bystander, private in TESTS:
		name = "3.x %s: %s" % (section, title)
		if not re.search(pattern, name):
			continue
		signal.alarm(900)
		try:
			run_one(func, opts, shared, bystander, private, keep)
			line = "ok - " + name
		except Skip as e:
			line = "skip - %s: %s" % (name, e)
		except Exception as e:
			failures += 1
			why = str(e)
			if not isinstance(e, Fail):
				traceback.print_exc()
				why = "%s: %s" % (type(e).__name__, e)
			else:
				at = [f for f in traceback.extract_tb(
				    e.__traceback__)
				    if f.filename == sys.argv[0]]
				if at:
					why = "line %d: %s" % (at[-1].lineno,
					    why)
			line = "not ok - %s: %s" % (name, why.replace("\n",
			    " "))
		signal.alarm(0)
		print(line, flush=True)
	if "daemon" in keep:
		wrong = keep["daemon"].dispose()
		if wrong:
			failures += 1
			print("not ok - 3.x: the shared daemon: %s" % wrong)
	sys.stdout.flush()
	os._exit(1 if failures else 0)

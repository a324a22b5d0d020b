# SPDX-License-Identifier: ISC
"""What the integration tests share: bulk streams, and a look at processes.

On top of ccp.py.  With a sanitizer build the amounts are a tenth.
"""

import contextlib
import hashlib
import random
import resource
import select
import struct

import ccp
from ccp import *

SANITIZED = os.environ.get("CCP_SANITIZED", "") not in ("", "0") or \
    "asan" in os.path.basename(BUILD)
MB = 1024 * 1024
BULK = 64 * 1024

# Log lines at level info cost more than the streams that they tell about.
QUIET = {"level": "warn", "ksm": None}


def scaled(n, least=1):
	return max(least, n // 10) if SANITIZED else n


@contextlib.contextmanager
def checked(d):
	"""with checked(d): what is done with a daemon that ends well after it;
	its log is shown if something fails."""
	try:
		yield d
	except BaseException:
		show_log(d)
		d.dispose()
		raise
	wrong = d.dispose()
	check(wrong is None, wrong)


def note(text):
	"""A remark among the results."""
	print("# " + text, flush=True)


def many_files():
	"""As many descriptors as we may have."""
	hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
	resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
	return hard


class Task(threading.Thread):
	"""A thread whose failure is the test's: join() raises it."""

	def __init__(self, func, *args):
		super().__init__(daemon=True)
		self.func, self.args = func, args
		self.error = self.result = None
		self.start()

	def run(self):
		try:
			self.result = self.func(*self.args)
		except BaseException as e:
			self.error = e

	def get(self, what="task", ceiling=300):
		self.join(ceiling)
		if self.is_alive():
			raise Fail("%s: not within %d s" % (what, ceiling))
		if self.error is not None:
			raise self.error
		return self.result


def in_parallel(func, items, what="task"):
	"""func for every item in a thread of its own; the results."""
	tasks = [Task(func, i) for i in items]
	return [t.get(what) for t in tasks]


# ------------------------------------------------------------ bulk streams

class Source:
	"""A known stream: size bytes in pieces, and their digest."""

	def __init__(self, size, seed=0, largest=BULK):
		self.size, self.largest = size, largest
		self.rng = random.Random(seed)
		self.block = self.rng.randbytes(MB + 4099)
		self.hash = hashlib.sha256()

	def __iter__(self):
		left = self.size
		while left > 0:
			n = min(left, self.rng.choice((1, 12, 13,
			    self.largest // 3, self.largest - 1,
			    self.largest, self.largest, self.largest)))
			at = self.rng.randrange(len(self.block) - n)
			piece = self.block[at:at + n]
			self.hash.update(piece)
			left -= n
			yield piece

	def digest(self):
		return self.size, self.hash.hexdigest()


class Tally:
	"""What arrived of one stream."""

	def __init__(self):
		self.size = 0
		self.hash = hashlib.sha256()

	def add(self, data):
		self.size += len(data)
		self.hash.update(data)

	def digest(self):
		return self.size, self.hash.hexdigest()


def split(sock, header, length_of, handle, step=None):
	"""Read messages until EOF or until handle() says stop.

	length_of(buffer, offset): payload bytes.  handle(buffer, offset, n).
	step(): the size of the next read.
	"""
	buf = bytearray()
	while True:
		try:
			part = sock.recv(step() if step else 256 * 1024)
		except socket.timeout:
			raise Fail("nothing received within %d s" % CEILING)
		except ConnectionResetError:
			part = b""
		if not part:
			return len(buf)
		buf += part
		off = 0
		while len(buf) - off >= header:
			n = length_of(buf, off)
			if len(buf) - off < header + n:
				break
			if handle(buf, off, n):
				return len(buf) - off - header - n
			off += header + n
		del buf[:off]


class Reader:
	"""Reads a shim's frames to its exit status or EOF, by the megabyte."""

	def __init__(self, shim, step=None, until=None):
		self.out = {STDOUT: Tally(), STDERR: Tally()}
		self.status = None
		self.eof = False
		self.shim, self.step, self.until = shim, step, until
		for f in shim.stash:
			raise Fail("frame before the stream: %s" % brief(f))
		self.task = Task(self._run)

	def _run(self):
		rest = split(self.shim.sock, 12, lambda b, o:
		    struct.unpack_from(">I", b, o + 8)[0], self._frame,
		    self.step)
		if self.status is None and not (self.until and self._full()):
			self.eof = True
		equal(rest, 0, "bytes behind the last frame")
		return self

	def _full(self):
		return sum(t.size for t in self.out.values()) >= self.until

	def _frame(self, buf, off, n):
		version, words, kind, op = struct.unpack_from(">HB3xBB", buf,
		    off)
		equal((version, words), (2, 3), "header")
		if (kind, op) == (NOTIFICATION, EXITED):
			equal(n, 1, "length of ProcessExited")
			self.status = buf[off + 12]
			return True
		check(kind == STREAM and op in self.out,
		    "unexpected frame, type %#x opcode %d" % (kind, op))
		with memoryview(buf)[off + 12:off + 12 + n] as data:
			self.out[op].add(data)
		return self.until is not None and self._full()

	def get(self, what="shim's output"):
		return self.task.get(what)


def feed(shim, source):
	"""A source as stdin frames of a shim."""
	for piece in source:
		shim.raw(frame(STREAM, STDIN, piece))
	return source.digest()


class BulkAgent(Agent):
	"""An agent for bulk streams: counts what comes per sequence number.

	Unlike Agent it takes messages in pieces: when the socket's buffer is
	full, nobody can write one whole.
	"""

	def __init__(self, *args, sndbuf=None, step=None, **kw):
		self.tally = {}
		self.ended = set()
		self.sndbuf, self.step = sndbuf, step
		super().__init__(*args, **kw)

	def _read_tty(self, s):
		if self.sndbuf is not None:
			s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF,
			    self.sndbuf)
		try:
			split(s, 12, lambda b, o: struct.unpack_from(">I", b,
			    o + 8)[0] - 12, self._message_in, self.step)
		except (OSError, ValueError):
			pass
		except Fail as e:
			self.complaints.append(str(e))
		self._ended("io", s)

	def _message_in(self, buf, off, n):
		self.reading["io"].wait()
		seq = struct.unpack_from(">Q", buf, off)[0]
		check(n + 12 <= AGENT_MAX, "I/O message of %d bytes" % n)
		if n == 0:
			self.ended.add(seq)
		with self.cv:
			self.tally.setdefault(seq, Tally()).add(
			    buf[off + 12:off + 12 + n])
			self.cv.notify_all()

	def wait_size(self, seq, size):
		"""Digest of what came, when it is all there."""
		end = time.monotonic() + 300
		with self.cv:
			while self.tally.get(seq) is None or \
			    self.tally[seq].size < size:
				if time.monotonic() > end:
					raise Fail("stdin does not arrive")
				self.cv.wait(1)
			return self.tally[seq].digest()

	def emit(self, sources):
		"""Sources as output: {sequence number: source}, mixed."""
		todo = [(seq, iter(s)) for seq, s in sources.items()]
		while todo:
			for t in list(todo):
				piece = next(t[1], None)
				if piece is None:
					todo.remove(t)
				else:
					self.tty(t[0], piece)


def bulk_vm(d, **kw):
	d.vm_count += 1
	a = BulkAgent(d.dir, "b%d" % d.vm_count, **kw)
	d.agents.append(a)
	return VM(d, agent=a)


class Steady:
	"""A VM whose streams go on, both ways, whatever happens."""

	def __init__(self, d):
		self.vm = bulk_vm(d)
		self.shim = self.vm.shim()
		self.stop = threading.Event()
		self.reader = Reader(self.shim)
		self.up = Task(self._pour, 1, self.shim.stdin)
		self.down = Task(self._pour, 2, lambda p:
		    self.vm.agent.tty(self.shim.base, p))

	def _pour(self, seed, send):
		rng = random.Random(seed)
		t = Tally()
		while not self.stop.is_set():
			p = rng.randbytes(rng.randrange(1, 4000))
			send(p)
			t.add(p)
			time.sleep(0.005)
		return t

	def end(self):
		self.stop.set()
		up, down = self.up.get("stdin"), self.down.get("output")
		self.vm.agent.exit(self.shim.base, 3)
		r = self.reader.get()
		equal(r.status, 3, "exit status")
		equal(r.out[STDOUT].digest(), down.digest(), "stdout")
		equal(self.vm.agent.wait_size(self.shim.base, up.size),
		    up.digest(), "stdin")
		return up.size + down.size


# ------------------------------------------------------- the real guest

class GuestVM:
	"""A registered VM behind the real ccp-guest, its pod started."""

	def __init__(self, d, name="real"):
		if not os.access(os.path.join(BUILD, "ccp-guest"), os.X_OK):
			raise Skip("ccp-guest is not built")
		self.daemon, self.id = d, name
		self.guest = Guest(d, name, host_root=True)
		self.client = Client(d)
		f = self.client.register(name, self.guest.ctl_path,
		    self.guest.io_path)
		check(not f.err, "RegisterVM: %s" % brief(f.payload))
		self.client.hyper("startpod", {"hostname": name,
		    "shareDir": "hyperShared"})
		self.count = 0

	def start(self, args):
		"""A shim whose process runs."""
		self.count += 1
		token = self.client.attach(self.id, 1)[0]
		s = Client(self.daemon)
		s.connect_shim(token)
		s.cid = "%s%d" % (self.id, self.count)
		self.client.hyper("newcontainer", {"id": s.cid, "rootfs": "",
		    "image": "", "process": {"args": args,
		    "terminal": False, "envs": [{"env": "PATH",
		    "value": os.environ.get("PATH", "/bin:/usr/bin")}],
		    "workdir": "/"}}, [token])
		return s


# --------------------------------------------------------- processes

def status(pid):
	"""/proc/PID/status as a dict."""
	with open("/proc/%d/status" % pid) as f:
		return dict((k, v.strip()) for k, v in
		    (l.split(":", 1) for l in f))


def rollup(pid, *fields):
	"""KiB, counted page by page; the sums in status are approximate."""
	with open("/proc/%d/smaps_rollup" % pid) as f:
		return sum(int(l.split()[1]) for l in f
		    if l.split(":")[0] in fields)


def anonymous(pid):
	"""KiB of memory that comes from no file."""
	try:
		return rollup(pid, "Anonymous")
	except PermissionError:
		return int(status(pid)["RssAnon"].split()[0])


def private_memory(pid):
	"""KiB that nobody shares."""
	return rollup(pid, "Private_Clean", "Private_Dirty")


def fd_types(pid):
	"""{number: kind} of a process's descriptors; {} if it has gone."""
	out = {}
	try:
		for n in os.listdir("/proc/%d/fd" % pid):
			try:
				t = os.readlink("/proc/%d/fd/%s" % (pid, n))
			except FileNotFoundError:
				continue
			t = re.sub(r":\[\d+\]$", "", t)
			m = re.match(r"anon_inode:\[?(\w+)\]?$", t)
			out[int(n)] = m.group(1) if m else t
	except FileNotFoundError:
		return {}
	except PermissionError:
		raise Skip("descriptors can be seen by root only")
	return out


def fd_count(pid):
	return len(fd_types(pid))


def fd_counts(d):
	"""{pid: number of descriptors} of the daemon's processes."""
	counts = {p: fd_count(p) for p in d.processes()}
	return {p: n for p, n in counts.items() if n > 0}


def child(d, word):
	"""The pid of the one child whose name contains word.  It may not
	have that name yet when the socket is there already."""
	def found():
		return [p for p, comm in d.children().items() if word in comm]
	wait_for(lambda: len(found()) == 1, "the one child named %s" % word)
	return found()[0]


def engine_of(d, make):
	"""make()'s result and the pid of the engine it brought."""
	before = set(d.engines())
	result = make()
	new = set(d.engines()) - before
	equal(len(new), 1, "new engines")
	return result, new.pop()


def all_gone(pids):
	wait_for(lambda: not any(alive(p) for p in pids),
	    "end of processes %s" % sorted(pids))

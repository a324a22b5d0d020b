# SPDX-License-Identifier: ISC
"""What the tests that break things share, on top of integ.py.

Inject (something goes wrong at the Nth system call of a process), Hooks (a
daemon whose children can be caught at their first instruction), Clock (one
whose clocks the test sets), lives of a VM from its registration to its end
that may be cut anywhere, and a Stream of another VM that may not.  FAULTS=all
in the environment: every step is walked; else some of them, chosen with
CCP_SEED, which is printed.
"""

import itertools
import select

import ccp1
from integ import *

ALL = os.environ.get("FAULTS") == "all"
SEED = int(os.environ.get("CCP_SEED", random.SystemRandom().randrange(1 <<
    32)))
GONE = "No multicast available for CTL channel"


class Cut(Exception):
	"""The other side went away."""


# Ends that are no hang and no lie, when somebody was killed.
CUTS = (Cut, BrokenPipeError, ConnectionResetError)
SAID = re.compile(r"EOF instead of|refused: |: not within 0 s")


def no_leak_check():
	"""LeakSanitizer cannot see what is traced; who is killed at the end
	leaks nothing."""
	if SANITIZED:
		os.environ["ASAN_OPTIONS"] = ":".join(filter(None, (
		    os.environ.get("ASAN_OPTIONS"), "detect_leaks=0")))


def need_inject():
	need_root()
	path = os.path.join(BUILD, "regress/faults/inject")
	if not os.access(path, os.X_OK):
		raise Skip("regress/faults/inject is not built")
	if os.uname().machine != "x86_64":
		raise Skip("inject is not for this processor")
	return path


def some(total, n, salt=""):
	"""n of the steps 1..total, or all of them: the ends, and others."""
	if ALL or n >= total:
		return list(range(1, total + 1))
	rng = random.Random("%d%s" % (SEED, salt))
	return sorted(set([1, total]) | set(rng.sample(range(1, total + 1),
	    max(1, n - 2))))


def ignore(func, *args):
	"""func, whose peer may be gone."""
	try:
		return func(*args)
	except (OSError, ValueError):
		return None


# ------------------------------------------------------------- injection

class Inject:
	"""A fault in a running process: see regress/faults/inject.c."""

	def __init__(self, pid, action, n=1, calls=None, without=None):
		argv = [need_inject(), "-n", "%d" % n]
		if calls:
			argv += ["-c", ",".join(calls)]
		if without is not None:
			argv += ["-x", "%d" % without]
		self.pid = pid
		self.lines = []
		self.proc = subprocess.Popen(argv + ["%d" % pid, action],
		    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
		if not self._line().startswith("attached"):
			raise Skip("cannot trace processes here")
		self.task = Task(self._read)

	def _line(self):
		return self.proc.stdout.readline().decode()

	def _read(self):
		for line in iter(self._line, ""):
			self.lines.append(line.split())

	def fired(self):
		"""The call at which it happened, or None."""
		return next((l[1] for l in list(self.lines)
		    if l[0] == "fired"), None)

	def leave(self):
		"""Let go of the process; the calls counted."""
		if self.proc.poll() is None:
			self.proc.terminate()
		return self.end()

	def end(self):
		"""The process has ended, or will soon."""
		try:
			self.proc.wait(CEILING)
		except subprocess.TimeoutExpired:
			self.proc.kill()
			raise Fail("process %d does not end" % self.pid)
		self.task.get("inject")
		self.proc.stdout.close()
		return next((int(l[1]) for l in self.lines
		    if l[0] in ("ended", "detached")), 0)


def stopped_state(pid):
	try:
		with open("/proc/%d/stat" % pid) as f:
			return f.read().rsplit(")")[1].split()[0] in "Tt"
	except OSError:
		return False


class Hooks:
	"""A directory of programs for a daemon; those named are scripts that
	stop before they become what they stand for, while catch() is on."""

	def __init__(self, d, *names, before=""):
		self.dir = os.path.join(d.dir, "libexec")
		self.flag = os.path.join(self.dir, "catch")
		os.mkdir(self.dir)
		for name in ("cc-proxy", "ccp-frontend", "ccp-vmengine"):
			path = os.path.join(self.dir, name)
			if name not in names:
				os.symlink(binary(name), path)
				continue
			with open(path, "w") as f:
				f.write("#!/bin/sh\n[ -e '%s' ] && "
				    "kill -STOP $$\n%s\nexec '%s' \"$@\"\n" %
				    (self.flag, before, binary(name)))
			os.chmod(path, 0o755)
		d.argv[d.argv.index("-libexec") + 1] = self.dir

	def catch(self, on=True):
		if on:
			open(self.flag, "w").close()
		elif os.path.exists(self.flag):
			os.unlink(self.flag)

	def caught(self, pids):
		"""The pid of a new, stopped process; pids(): candidates."""
		pid = wait_for(lambda: next((p for p in pids()
		    if stopped_state(p)), None), "a caught process")
		self.catch(False)
		return pid


def session_of(sid):
	"""Pids of a session that live."""
	out = []
	for path in glob.glob("/proc/[0-9]*/stat"):
		try:
			with open(path) as f:
				s = f.read()
		except OSError:
			continue
		rest = s[s.rindex(")") + 2:].split()
		if int(rest[3]) == sid and rest[0] not in "ZX":
			out.append(int(s.split(" ", 1)[0]))
	return out


# ------------------------------------------------------------- the clock

CLOCK = os.path.join(BUILD, "regress/faults/clock.so")


class Clock:
	"""A daemon all of whose processes go by a clock that can be set."""

	def __init__(self, **kw):
		if SANITIZED:
			raise Skip("sanitizers want to be loaded first")
		if not os.path.exists(CLOCK):
			raise Skip("regress/faults/clock.so is not built")
		self.d = d = ccp1.Daemon(start=False, level="info",
		    ksm=None, **kw)
		self.path = os.path.join(d.dir, "clock")
		self.value = self.now = 0
		with open(self.path, "wb") as f:
			f.write(struct.pack("qq", 0, 0))
		preload = "export LD_PRELOAD='%s' CCP_CLOCK='%s'" % (CLOCK,
		    self.path)
		self.hooks = Hooks(d, "ccp-frontend", "ccp-vmengine",
		    before=preload)
		d.env.update(LD_PRELOAD=CLOCK, CCP_CLOCK=self.path)
		d.start()

	def step(self, seconds):
		"""As settimeofday(2) would."""
		self.value += seconds
		self._write(0, self.value)

	def _write(self, offset, value):
		with open(self.path, "r+b", buffering=0) as f:
			f.seek(offset)
			f.write(struct.pack("q", value))

	def freeze(self):
		"""From now on no deadline comes but those at() is told of."""
		self.start = max(time.monotonic_ns(), self.now)
		self.at(0)

	def at(self, ms):
		"""So long after freeze().  Who sleeps does not see it before
		something wakes it."""
		self.now = self.start + ms * 1000000
		self._write(8, self.now)

	def __enter__(self):
		return self

	def __exit__(self, *a):
		self.d.dispose()


# ------------------------------------------------------- what is attacked

class Guestling(Agent):
	"""An agent that does not wait for what cannot come any more."""

	def until(self, cond, what, dead):
		def either():
			v = cond()
			if v or self.eof:
				return v or "eof"
			return "dead" if dead() else None
		try:
			v = wait_for(either, what)
		except Fail:
			raise Fail("agent: %s does not come" % what)
		if v in ("eof", "dead") and not cond():
			raise Cut(what)

	def command(self, code, dead):
		self.until(lambda: any(c == code for c, p in
		    self.ctl_in[self.ctl_at:]), "command %d" % code, dead)
		while self.ctl_in[self.ctl_at][0] != code:
			self.ctl_at += 1
		self.ctl_at += 1
		return self.ctl_in[self.ctl_at - 1][1]

	def input(self, seq, data, dead):
		"""Stdin, in one message or in several."""
		def got():
			return b"".join(p for q, p in self.tty_in if q == seq)
		self.until(lambda: len(got()) >= len(data), "stdin", dead)
		equal(got(), data, "stdin")


class Life:
	"""A VM's life.  run() goes through all of it; it may be cut: dead()
	says whether somebody has been killed that it needs."""

	number = itertools.count()

	def __init__(self, d, ident, dead=lambda: False, agent=None):
		self.d, self.id, self.dead = d, ident, dead
		self.agent = agent or Guestling(d.dir, "life%d" %
		    next(self.number))
		self.conns = []
		self.done = False

	def add(self, c):
		self.conns.append(c)
		return c

	def close(self):
		for c in self.conns:
			c.close()
			if c in self.d.clients:
				self.d.clients.remove(c)
		if not isinstance(self.agent, Guestling):
			return
		self.agent.close()
		for p in (self.agent.ctl_path, self.agent.io_path):
			if os.path.exists(p):
				os.unlink(p)
		bad = [c for c in self.agent.complaints if self.strict or
		    "in pieces" not in c and "one write" not in c and
		    "without its" not in c]
		check(not bad, "agent: %s" % bad)

	def before_end(self):
		pass

	def hung_up(self):
		"""Has any connection been ended by the other side?"""
		p = select.poll()
		for c in self.conns:
			if c.sock.fileno() != -1:
				p.register(c.sock, select.POLLRDHUP)
		return bool(p.poll(0))

	strict = True

	def try_run(self, daemon_too=False):
		"""As far as it goes.  Everything that is no clean end is an
		error, and so is a hang."""
		cuts = CUTS + ((ConnectionRefusedError, FileNotFoundError)
		    if daemon_too else ())
		try:
			self.begin()
			self.middle()
			self.finish()
			self.done = True
		except cuts as e:
			self.cut = repr(e)
		except Fail as e:
			if not SAID.search(str(e)):
				raise
			self.cut = str(e)


class Life3(Life):
	"""The clients of protocol 3.x."""

	def begin(self):
		self.client = self.add(Client(self.d))
		self.client.cmd(REGISTER, register_request(self.id,
		    self.agent.ctl_path, self.agent.io_path, None, 1))
		self.started()
		f = self.client.response(REGISTER)
		if f.err:
			error_text(f)
			raise Cut("registration")
		self.token = tokens_of(f.payload)[0]

	def started(self):
		pass

	def middle(self):
		a, dead = self.agent, self.dead
		self.shim = s = self.add(Client(self.d))
		s.connect_shim(self.token)
		other = self.add(Client(self.d))
		other.attach(self.id)
		other.hyper("newcontainer", {"id": "c", "process":
		    {"args": ["x"]}}, [self.token])
		process = json.loads(a.command(A_NEWCONTAINER, dead))[
		    "process"]
		base = process["stdio"]
		s.stdin(b"to the guest")
		a.input(base, b"to the guest", dead)
		ignore(a.tty, base, b"from the guest")
		equal(s.stdout(14), b"from the guest", "stdout")
		ignore(a.tty, base + 1, b"with an error")
		equal(self.stderr(13), b"with an error", "stderr")
		s.signal(10)
		a.command(A_KILLCONTAINER, dead)
		ignore(a.exit, base, 7)
		equal(s.exit_status(), 7, "exit status")
		s.disconnect_shim()

	def stderr(self, n):
		data = b""
		while len(data) < n:
			data += self.shim.stderr()
		return data

	def finish(self):
		self.before_end()
		self.client.ok(UNREGISTER, {"containerId": self.id})
		for c in self.conns:
			c.close()
		ignore(self.agent.hang_up, "ctl")


class Life1(Life):
	"""Those of 1.x."""

	def add1(self):
		return self.add(ccp1.Client1(self.d))

	def reply(self, c):
		body = c.read()
		if body is None:
			raise Cut("reply")
		r = ccp1.Reply(body)
		if not r.success:
			raise Cut(r.error)
		return r

	def begin(self):
		self.client = self.add1()
		self.client.send("hello", ccp1.hello_request(self.id,
		    self.agent.ctl_path, self.agent.io_path))
		self.started()
		self.reply(self.client)

	def started(self):
		pass

	def middle(self):
		a, dead = self.agent, self.dead
		other = self.add1()
		other.send("attach", {"containerId": self.id})
		self.reply(other)
		other.send("allocateIO", {"nStreams": 2})
		base = self.reply(other).data["ioBase"]
		try:
			got = other.sock.recvmsg(1, socket.CMSG_LEN(4), 0)
		except BlockingIOError:
			raise Fail("the descriptor does not come")
		if not got[0]:
			raise Cut("descriptor")
		fds = array.array("i", got[1][0][2])
		io = self.add(ccp1.IoEnd(fds[0], base))
		other.send("hyper", ccp1.hyper_data("newcontainer", {
		    "id": "c", "process": {"stdio": base, "stderr": base + 1,
		    "args": ["x"]}}))
		self.reply(other)
		a.command(A_NEWCONTAINER, dead)
		io.raw(tty_message(base, b"to the guest"))
		a.input(base, b"to the guest", dead)
		ignore(a.tty, base, b"from the guest")
		ignore(a.exit, base, 7)
		for want in (b"from the guest", b"", b"\x07"):
			got = self.output(io, want)
			if got is None:
				raise Cut("output")
			equal(got, (base, want), "I/O frame")

	def output(self, io, want):
		return io.recv()

	def finish(self):
		self.before_end()
		self.client.send("bye", {"containerId": self.id})
		self.reply(self.client)
		for c in self.conns:
			c.close()
		ignore(self.agent.hang_up, "ctl")


# ------------------------------------------------------------- bystanders

class Stream:
	"""A VM with a process whose input and output never rest; what has
	arrived at the end is what was sent."""

	def __init__(self, d, pause=0.003):
		self.pause = pause
		self.vm = bulk_vm(d)
		self.shim = self.vm.shim()
		self.sent = {STDIN: Tally(), STDOUT: Tally()}
		self.stop = threading.Event()
		self.reader = Reader(self.shim)
		self.task = Task(self._run)

	def _run(self):
		block = random.Random(1).randbytes(64 * 1024)
		i = 0
		while not self.stop.is_set():
			i += 1
			n = i * 7919 % 5000 + 1
			piece = block[i % 1000:i % 1000 + n]
			self.shim.stdin(piece)
			self.sent[STDIN].add(piece)
			self.vm.agent.tty(self.shim.base, piece)
			self.sent[STDOUT].add(piece)
			time.sleep(self.pause)

	def alive(self):
		"""Some more has come through since the last time."""
		if self.task.error is not None:
			raise self.task.error
		t = self.reader.out[STDOUT]
		at = t.size
		wait_for(lambda: t.size > at, "the bystander's stream")

	def end(self):
		self.stop.set()
		self.task.get("bystander's stream")
		self.vm.agent.exit(self.shim.base, 42)
		r = self.reader.get()
		equal(r.status, 42, "bystander's exit status")
		equal(r.out[STDOUT].digest(), self.sent[STDOUT].digest(),
		    "bystander's output")
		equal(self.vm.agent.wait_size(self.shim.base,
		    self.sent[STDIN].size), self.sent[STDIN].digest(),
		    "bystander's stdin")


def bad_news(d, mark):
	"""What the log says at warning and above, as texts."""
	return [e["msg"] for e in d.entries(mark)
	    if e["level"] in ("warning", "error", "fatal", "panic")]

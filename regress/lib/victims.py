# SPDX-License-Identifier: ISC
"""The processes that faults happen to, on top of faults.py: Engines is a
daemon whose engines are caught at birth, beside a VM at work; Whole a daemon
for each single fault of its parent or its frontend."""

from faults import *

FEW = 4 if SANITIZED else 12	# steps of each walk


def steps_of(total, title, step):
	"""step(n) for some or all n; it says whether its fault came.  Some
	calls depend on what the machine does meanwhile: a walk goes on until
	there was none."""
	n = fired = walked = 0
	calls = collections.Counter()
	todo = some(total, FEW, title)
	while todo:
		n = todo.pop(0)
		try:
			call = step(n)
		except Fail as e:
			raise Fail("step %d: %s" % (n, e))
		walked += 1
		if call:
			fired += 1
			calls[call] += 1
			if ALL and not todo:
				todo.append(n + 1)
	note("%s: %d steps in all, %d walked, %d killed (seed %d)" % (title,
	    total, walked, fired, SEED))
	if ALL:
		note("%s: %s" % (title, ", ".join("%s %d" % c
		    for c in calls.most_common())))


# ----------------------------------------------------------------- engines

class Engines:
	"""A daemon whose engines can be caught at birth, and a bystander."""

	level = "warn"

	def __init__(self):
		need_inject()
		self.d = d = ccp1.Daemon(start=False, level=self.level,
		    ksm=None)
		self.hooks = Hooks(d, "ccp-vmengine")
		d.start()
		d.bystander = Bystander(d)
		self.stream = Stream(d)
		self.stream.alive()
		self.count = 0
		self.settle()

	def settle(self):
		self.base = set(self.d.engines())
		wait_for(lambda: len(self.d.children()) == 3, "two engines")
		self.stay = {p: fd_count(p) for p in self.d.processes()
		    if p not in self.base}

	def __enter__(self):
		return self

	def __exit__(self, kind, e, tb):
		if e is not None:
			show_log(self.d)
		wrong = self.d.dispose()
		if e is None and wrong:
			raise Fail(wrong)

	def one(self, kind, action, n):
		"""A life whose engine is hit at its nth call: the injection."""
		d = self.d
		self.count += 1
		mark = d.log_mark()
		inj = []
		life = kind(d, "v%d" % self.count, lambda: inj and
		    not alive(inj[0].pid))

		def started():
			pid = self.hooks.caught(lambda: [p for p in
			    d.children() if p not in self.base])
			inj.append(Inject(pid, action, n))
		life.started = started
		self.hooks.catch()
		try:
			life.try_run()
			self.judge(life, inj[0], mark)
		finally:
			life.close()
		return inj[0].fired()

	def judge(self, life, inj, mark):
		d = self.d
		# Whatever happened to it, the id can be had again.
		c = Client(d)
		f = c.ask(UNREGISTER, {"containerId": life.id})
		check(f.err or not life.done, "unregistered twice")
		c.close()
		d.clients.remove(c)
		for c in life.conns:
			c.close()
		self.total = inj.end()
		killed = inj.fired()
		check(killed or life.done, "no fault, but %s" %
		    getattr(life, "cut", None))
		again = Life3(d, life.id)
		again.begin()
		again.finish()
		again.close()
		self.same()
		bad = bad_news(d, mark)
		want = [r"^engine of %s, pid %d, died: signal 9 \(KILL\)$" %
		    (life.id, inj.pid)] if killed else []
		check(len(bad) == len(want) and all(re.search(w, b) for w, b
		    in zip(want, bad)), "the log says %s" % bad)

	def same(self):
		"""The others live, and nothing is left of the one."""
		self.d.bystander.check()
		self.stream.alive()
		wait_for(lambda: set(self.d.engines()) == self.base,
		    "end of the engines")
		try:
			wait_for(lambda: all(fd_count(p) == n for p, n in
			    self.stay.items()), "descriptors")
		except Fail:
			raise Fail("descriptors: %s before, %s after" % (
			    self.stay, {p: fd_count(p) for p in self.stay}))

	def walk(self, kind, title):
		self.one(kind, "count", 1)
		steps_of(self.total, title, lambda n: self.one(kind, "kill",
		    n))
		self.stream.end()


# --------------------------------------------------- the daemon's processes

class Notified:
	"""NOTIFY_SOCKET: with somebody to tell, SIGTERM is an orderly end."""

	def __init__(self):
		self.dir = tempfile.mkdtemp(prefix="ccp-faults-")
		self.path = os.path.join(self.dir, "notify")
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		self.sock.bind(self.path)

	def close(self):
		self.sock.close()
		shutil.rmtree(self.dir)


class Whole:
	"""A daemon for one step: the parent or the frontend is hit."""

	def __init__(self, victim):
		need_inject()
		self.victim = victim
		self.notified = Notified()
		self.restarted = 0

	def one(self, action, n):
		d = ccp1.Daemon(start=False, wrap=["setsid"],
		    env={"NOTIFY_SOCKET": self.notified.path}, **QUIET)
		try:
			return self.run(d, action, n)
		except Fail:
			show_log(d)
			raise
		finally:
			for c in list(d.clients):
				c.close()
			for p in session_of(d.pid) if d.proc else ():
				os.kill(p, signal.SIGKILL)
			wrong = d.dispose()
			check(not wrong or sys.exc_info()[0], wrong)

	def run(self, d, action, n):
		hooks = Hooks(d, self.victim)
		plain = list(d.argv)
		if self.victim == "cc-proxy":
			at = d.argv.index(binary("cc-proxy"))
			d.argv[at] = os.path.join(hooks.dir, "cc-proxy")
		hooks.catch()
		d.start(ready=False)
		pid = hooks.caught(lambda: [d.pid] if self.victim ==
		    "cc-proxy" else d.children())
		inj = Inject(pid, action, n)
		wait_for(lambda: d._listening() or not d.running(),
		    "listening socket")
		lives = []
		asked = False
		if d.running():
			for kind in (Life3, Life1):
				life = kind(d, kind.__name__, lambda:
				    not alive(pid))
				lives.append(life)
				life.try_run(daemon_too=True)
			asked = inj.fired() is None
			if asked:
				d.proc.terminate()
		status = d.wait_exit()
		self.total = inj.end()
		killed = inj.fired()
		wait_for(lambda: not session_of(d.pid), "end of all processes "
		    "(%s)" % [read_comm(p) for p in session_of(d.pid)])
		for life in lives:
			for c in life.conns:
				self.ended(c)
			life.close()
			check(killed or life.done, "no fault, but %s" %
			    getattr(life, "cut", None))
		self.judge(d, pid, killed, asked, status)
		# What is left of it is in nobody's way.
		d.argv = plain
		d.start()
		d.vm().client.hyper("ping")
		return killed

	@staticmethod
	def ended(c):
		if c.sock.fileno() == -1:
			return
		c.sock.settimeout(CEILING)
		try:
			while c.sock.recv(65536):
				pass
		except ConnectionResetError:
			pass
		except socket.timeout:
			raise Fail("a client is left waiting")

	def judge(self, d, pid, killed, asked, status):
		bad = bad_news(d, 0)
		if not killed:
			equal((status, bad), (0, []), "status and log")
		elif self.victim == "cc-proxy":
			equal((status, bad), (-9, []), "status and log")
		else:
			said = "frontend, pid %d, died: signal 9: stopping" % \
			    pid
			if asked:
				check(status in (0, 1) and bad in ([], [said],
				    [said[:-len(": stopping")]]),
				    "status %d, log %s" % (status, bad))
			else:
				equal((status, bad), (1, [said]),
				    "status and log")

	def walk(self, title):
		try:
			self.one("count", 1)
			steps_of(self.total, title, lambda n: self.one("kill",
			    n))
		finally:
			self.notified.close()


def read_comm(pid):
	try:
		with open("/proc/%d/comm" % pid) as f:
			return f.read().strip()
	except OSError:
		return "?"

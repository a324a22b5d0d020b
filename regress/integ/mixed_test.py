#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A hundred VMs whose agents speak four dialects, both kinds of clients, and
a minute of whatever comes to mind: every byte and every exit status counts.

CCP_SECONDS is the length, CCP_SEED the seed, which is printed.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from pods import *

VMS = scaled(100, 24)
SECONDS = float(os.environ.get("CCP_SECONDS", "20" if SANITIZED else "60"))
SEED = int(os.environ.get("CCP_SEED", random.SystemRandom().randrange(1 <<
    32)))
WORKERS = 12
RATE = 60.0		# sessions a second, all workers together
# A daemon with its hundred engines, a hundred guests with their processes.
FILES = 1024
MEMORY = 4 * 1024 if SANITIZED else 1024	# MiB
NPROC = 6 * VMS


def need_resources():
	if many_files() < FILES:
		raise Skip("fewer than %d descriptors" % FILES)
	n = resource.getrlimit(resource.RLIMIT_NPROC)[0]
	if os.geteuid() != 0 and n != resource.RLIM_INFINITY and n < NPROC:
		raise Skip("fewer than %d processes" % NPROC)
	with open("/proc/meminfo") as f:
		free = next(int(l.split()[1]) // 1024 for l in f
		    if l.startswith("MemAvailable:"))
	if free < MEMORY:
		raise Skip("%d MiB of memory are free" % free)


class Load:
	"""One VM and what has been done to it."""

	def __init__(self, d, n):
		self.n = n
		kind = Pod3 if n // len(PROFILES) % 2 else Pod1
		self.pod = kind(d, PROFILES[n % len(PROFILES)], args=["-n"])
		self.owners = [self.pod, beside(self.pod)]
		self.lock = threading.Lock()
		self.count = 0
		self.used = collections.Counter()
		# The first container echoes all the time.
		self.pod.kept = self.echo = self.pod.start("keep", sh("cat; "
		    "exit %d" % (n % 256)))
		self.sent = hashlib.sha256()
		self.sent_size = 0

	def name(self):
		with self.lock:
			self.count += 1
			return "c%d" % self.count

	def feed(self, data):
		"""What the first container gets and gives back."""
		with self.lock:
			self.echo.piece(data)
			self.sent.update(data)
			self.sent_size += len(data)
			while len(self.echo.out) < self.sent_size:
				self.echo.take()

	def end(self):
		self.echo.end()
		equal(self.echo.run(), self.n % 256, "status of the first "
		    "container")
		equal((len(self.echo.out), hashlib.sha256(
		    self.echo.out).hexdigest()), (self.sent_size,
		    self.sent.hexdigest()), "its echo")
		equal(bytes(self.echo.err), b"", "its stderr")


# What a client may do with a VM.  Each returns when all is accounted for.

def size(rng, most=40000):
	"""Mostly small, often none, sometimes large."""
	return rng.choice((0, 1, 2, 12, 13, rng.randrange(200),
	    rng.randrange(5000), rng.randrange(most)))


def begin(load, owner, rng, args, terminal=False):
	"""As a further process, or in a container of its own."""
	if rng.random() < 0.8:
		return owner.start("keep", args, True, terminal)
	return owner.start(load.name(), args, False, terminal)


def finish(owner, p):
	p.silent()
	if p.cid != "keep":
		owner.remove(p.cid)
	p.done()


def outputs(load, owner, rng):
	out, err, status = size(rng), size(rng, 5000), rng.randrange(256)
	p = begin(load, owner, rng, sh("yes o%d | head -c %d; yes e%d | "
	    "head -c %d >&2; exit %d" % (out, out, err, err, status)))
	p.ends(status, words("o%d" % out, out), words("e%d" % err, err))
	finish(owner, p)
	return out + err


def inputs(load, owner, rng):
	data = rng.randbytes(size(rng, 6000))
	status = rng.randrange(256)
	early = isinstance(owner, Pod3) and rng.random() < 0.3
	args = sh("sha256sum; exit %d" % status)
	if early:
		p = owner.process()
		p.write(data)
		p.end()
		e = p.begin("keep", args, True)
		equal(e, None, "error of the start")
	else:
		p = begin(load, owner, rng, args)
		at = 0
		while at < len(data):
			n = rng.choice((1, 100, 512, 513, 4000))
			p.piece(data[at:at + n])
			at += n
		p.end()
	p.ends(status, hashlib.sha256(data).hexdigest().encode() + b"  -\n",
	    b"")
	finish(owner, p)
	return len(data)


def echoes(load, owner, rng):
	data = rng.randbytes(max(1, size(rng, 3000)))
	load.feed(data)
	return len(data)


def terminals(load, owner, rng):
	rows, columns = rng.randrange(1, 500), rng.randrange(1, 500)
	status = rng.randrange(256)
	p = begin(load, owner, rng, sh("echo up; read x; stty size; exit %d" %
	    status), True)
	p.until(b"up\r\n")
	p.resize(rows, columns)
	p.write(b"abc\n")
	want = b"up\r\nabc\r\n%d %d\r\n" % (rows, columns)
	p.ends(status, want, b"")
	finish(owner, p)
	return len(want)


def kills(load, owner, rng):
	signo = rng.choice((signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1))
	cid = load.name()
	p = owner.start(cid, sh("echo up; exec sleep 100000"))
	p.until(b"up\n")
	if rng.random() < 0.5:
		p.kill(signo)
	else:
		owner.kill(cid, signo)
	p.ends(owner.death(signo), b"up\n", b"")
	finish(owner, p)
	return 3


def signals(load, owner, rng):
	"""A signal to a further process; protocol 1.x cannot say that."""
	if isinstance(owner, Pod1):
		return kills(load, owner, rng)
	p = owner.execute(sh("trap 'echo caught; exit 8' USR1; echo up; "
	    "read x; exit 7"))
	p.until(b"up\n")
	if owner.profile in ("agent", "hyperstart-4242"):
		check("is not supported" in p.signal_fails(signal.SIGUSR1),
		    "error")
		p.end()
		p.ends(7, b"up\n", b"")
	else:
		# A shell may wait for the end of its read.
		p.kill(signal.SIGUSR1)
		p.end()
		p.ends(8, b"up\ncaught\n", b"")
	finish(owner, p)
	return 3


def reconnects(load, owner, rng):
	if isinstance(owner, Pod1):
		return outputs(load, owner, rng)
	n, status = size(rng), rng.randrange(256)
	p = begin(load, owner, rng, sh("read x; echo $x; yes r | head -c %d; "
	    "exit %d" % (n, status)))
	for i in range(rng.randrange(1, 3)):
		p.reconnect()
	p.piece(b"word\n")
	p.ends(status, b"word\n" + words("r", n), b"")
	finish(owner, p)
	return n


def leaves(load, owner, rng):
	"""A shim that goes before its process does."""
	p = begin(load, owner, rng, sh("sleep 0.05; yes x | head -c 20000"))
	p.done()
	return 0


def fails(load, owner, rng):
	p = owner.process()
	e = p.begin("keep", ["/nonexistent/program"], True)
	if e is None:
		check(owner.hyperstart, "it was started")
		equal(p.run(), 127, "exit status")
	else:
		check(owner.profile != "hyperstart-4244", "error: %s" % e)
		owner.hyper("ping")
	finish(owner, p)
	return 0


WORK = [outputs] * 6 + [inputs] * 4 + [echoes] * 4 + [terminals] * 2 + \
    [kills] * 2 + [signals] * 2 + [reconnects] * 3 + [leaves, fails]


class Worker:
	"""One of those who keep the VMs busy."""

	def __init__(self, loads, first, seed, end):
		self.loads, self.first, self.end = loads, first, end
		self.rng = random.Random(seed)
		self.count = collections.Counter()
		self.bytes = 0

	def run(self):
		pause = WORKERS / RATE
		due = time.monotonic()
		while self.first or time.monotonic() < self.end:
			load = self.first.pop() if self.first else \
			    self.rng.choice(self.loads)
			self.session(load)
			due += pause * self.rng.random() * 2
			late = time.monotonic() - due
			if late < 0:
				time.sleep(min(-late, 1))
			else:
				due += late
		return self

	def session(self, load):
		work = self.rng.choice(WORK)
		owner = self.rng.choice(load.owners)
		try:
			self.bytes += work(load, owner, self.rng)
		except Fail as e:
			e.args = ("%s, %s, %s by %s: %s" % (load.pod.id,
			    load.pod.profile, work.__name__,
			    type(owner).__name__[-1], e),)
			raise
		self.count[work.__name__] += 1
		load.used[type(owner).__name__] += 1


def descendants(pids):
	parent = {}
	for path in glob.glob("/proc/[0-9]*/stat"):
		try:
			with open(path) as f:
				text = f.read()
		except OSError:
			continue
		parent[int(text.split(" ", 1)[0])] = int(
		    text[text.rindex(")") + 2:].split()[1])
	every, new = set(), set(pids)
	while new:
		every |= new
		new = {p for p, pp in parent.items() if pp in new} - every
	return every


def fd_counts(d):
	"""Of the processes that stay; {} if nobody shows them to us."""
	if os.geteuid() != 0:
		return {}
	return {"%s %d" % (status(p)["Name"], p): fd_count(p)
	    for p in d.processes()}


def same_fds(d, before):
	"""None more than there were: some may have been about to close."""
	def settled():
		now = fd_counts(d)
		return now.keys() == before.keys() and all(
		    now[k] <= before[k] for k in now)
	try:
		wait_for(settled, "descriptors")
	except Fail:
		raise Fail("descriptors: %s before, %s after" % (before,
		    fd_counts(d)))


@test("mixed", "%d VMs of four dialects under random traffic for %d s" %
    (VMS, SECONDS), daemon=dict(level="warn", ksm="initial", start=False),
    bystander=False)
def mixed(d):
	need_resources()
	note("seed %d (CCP_SEED)" % SEED)
	d.start()
	# Whoever was there at the start is gone after a first VM.
	Pod3(d, "universal", args=["-n"]).keep().close()
	wait_for(lambda: not d.engines(), "end of the first engine")
	before = fd_counts(d)
	loads = [Load(d, i) for i in range(VMS)]
	equal(len(d.engines()), VMS, "engines")
	end = time.monotonic() + SECONDS
	rng = random.Random(SEED)
	workers = []
	for i in range(WORKERS):
		first = loads[i::WORKERS]
		rng.shuffle(first)
		workers.append(Worker(loads, first, rng.randrange(1 << 64),
		    end))
	tasks = [Task(w.run) for w in workers]
	for t in tasks:
		t.get("worker", SECONDS + 300)
	total = sum((w.count for w in workers), collections.Counter())
	note("%d sessions, %d KiB: %s" % (sum(total.values()),
	    sum(w.bytes for w in workers) // 1024, ", ".join("%s %d" % x
	    for x in sorted(total.items()))))
	check(all(l.used for l in loads), "a VM was not used")
	# The end, as each dialect knows it.
	guests = descendants(l.pod.guest.proc.pid for l in loads)
	in_parallel(Load.end, loads)
	for l in loads:
		pod = l.pod
		pod.kill("keep", 9)
		pod.remove("keep")
		e = pod.destroy()
		equal(e, None, "%s: error of destroypod" % pod.profile)
	lines = ["%s: %s" % (l.pod.profile, c) for l in loads
	    for c in l.pod.complaints()]
	check(not lines, "%d complaints of guests: %s" % (len(lines),
	    "; ".join(sorted(set(lines))[:5])))
	for l in loads:
		l.pod.close()
	wait_for(lambda: not d.engines(), "end of the engines")
	all_gone(guests)
	same_fds(d, before)
	bad = [e for e in d.entries() if e["level"] in ("error", "fatal",
	    "panic")]
	check(not bad, "%d errors in the log: %s" % (len(bad),
	    "; ".join(sorted({e["msg"] for e in bad})[:5])))
	# Some shims leave before their process does; 3.x says more than
	# hyperstart takes.
	odd = sorted({e["msg"] for e in d.entries(level="warning")
	    if not re.match("couldn't find client with seq number|"
	    "dropped \\d+ more such messages|hyperstart does not know ",
	    e["msg"])})
	check(not odd, "warnings in the log: %s" % "; ".join(odd[:5]))


main()

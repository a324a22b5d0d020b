#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A system call of one process fails at each place where it is made in the
life of a VM: no memory, no room, an interruption.  That VM may be lost, and
is told so; nothing else is.

FAULTS=all walks every place; else some are drawn with CCP_SEED.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from victims import *

# What may fail: (calls, how).  Harmless ones must change nothing.
HARMLESS = (
    ("sendmsg", "EINTR EAGAIN ENOBUFS ENOMEM"),
    ("recvmsg", "EINTR EAGAIN ENOMEM ENOBUFS"),
    ("recvfrom", "EINTR EAGAIN ENOMEM ENOBUFS"),
    ("sendto", "EINTR EAGAIN ENOMEM ENOBUFS"),
    ("accept4", "EINTR EAGAIN ECONNABORTED"),
    ("epoll_wait", "EINTR"),
    ("waitid", "EINTR"),
    ("connect", "EAGAIN"),
)
HARMFUL = {
    "engine": (
	("epoll_ctl", "ENOMEM ENOSPC"),
	("socketpair", "ENOMEM ENFILE"),
	("getsockopt", "ENOBUFS"),
	("mmap,brk,mremap", "ENOMEM"),
    ),
    "frontend": (
	("recvfrom", "ECONNRESET"),
	("epoll_ctl", "ENOMEM ENOSPC"),
	("accept4", "ENOBUFS ENOMEM EPERM EPROTO"),
	("getsockopt", "ENOBUFS"),
	("fcntl", "ENOMEM"),
    ),
    "parent": (
	("epoll_ctl", "ENOMEM ENOSPC"),
	("clone", "EAGAIN ENOMEM"),
	("pidfd_open", "ENOMEM EINVAL"),
	("socketpair", "ENOBUFS ENOMEM"),
	("pipe2", "ENFILE"),
	("openat", "ENFILE ENOMEM EIO"),
	("openat2", "ENOMEM EIO"),
	("readlink", "ENOMEM EIO"),
	("fstat,newfstatat", "ENOMEM EIO"),
	("socket", "ENOBUFS ENOMEM"),
	("connect", "ENOMEM ECONNREFUSED"),
    ),
}


class Errors(Engines):
	"""One fault in a process of a daemon that is to live on."""

	def victim(self, who):
		return self.d.pid if who == "parent" else child(self.d,
		    who)

	def fault(self, who, kind, calls, how, n):
		"""A life with a fault in it; (call, was it lived through)."""
		if who == "engine":
			return self.engine(kind, calls, how, n)
		d = self.d
		self.count += 1
		mark = d.log_mark()
		# Its log is a socket that is better not disturbed.
		inj = Inject(self.victim(who), how, n, calls, 4 if
		    "sendto" in calls else None)
		life = kind(d, "v%d" % self.count)
		life.dead = life.hung_up
		try:
			life.try_run()
			inj.leave()
			return self.outcome(life, inj, mark)
		finally:
			life.close()

	def engine(self, kind, calls, how, n):
		d = self.d
		self.count += 1
		mark = d.log_mark()
		inj = []
		life = kind(d, "v%d" % self.count, lambda: inj and
		    not alive(inj[0].pid) or life.hung_up())
		life.started = lambda: inj.append(Inject(self.hooks.caught(
		    lambda: [p for p in d.children()
		    if p not in self.base]), how, n, calls, 4 if
		    "sendto" in calls else None))
		if SANITIZED:	# whose last act bears no watching
			life.before_end = lambda: inj[0].leave()
		self.hooks.catch()
		try:
			life.try_run()
			return self.outcome(life, inj[0], mark)
		finally:
			self.hooks.catch(False)
			life.close()

	def outcome(self, life, inj, mark):
		d = self.d
		for c in life.conns:
			c.close()
		c = Client(d)
		c.ask(UNREGISTER, {"containerId": life.id})
		c.close()
		d.clients.remove(c)
		life.agent.close()
		self.same()
		inj.end()
		fired = inj.fired()
		check(fired or life.done, "no fault, but %s" %
		    getattr(life, "cut", None))
		again = Life3(d, life.id)
		again.begin()
		again.finish()
		again.close()
		self.same()
		bad = bad_news(d, mark)
		check(len(bad) <= 3 and len(bad) == len(set(bad)),
		    "the log says %s" % bad)
		if not fired:
			equal(bad, [], "the log")
		return fired, life.done, bad


class Walker:
	def __init__(self, who):
		self.who = who
		self.errors = None
		self.faults = self.lost = self.deaths = 0
		self.rng = random.Random("%d%s" % (SEED, who))

	def daemon(self):
		if self.errors is None:
			self.errors = Errors()
			self.errors.__enter__()
		return self.errors

	def one(self, kind, calls, how, n):
		e = self.daemon()
		try:
			return e.fault(self.who, kind, calls.split(","), how,
			    n)
		except (Fail, OSError) as why:
			show_log(e.d)
			self.errors = None
			e.d.dispose()
			raise Fail("%s, %s %s of %s at %d: %s" % (
			    kind.__name__, calls, how, self.who, n, why))

	def walk(self, kind, calls, name, harmless):
		"""One kind of error at every place, or at some."""
		wrong = []
		step = 1 if ALL else 3 + self.rng.randrange(9)
		n = 1 if ALL else 1 + self.rng.randrange(step)
		while True:
			try:
				fired, done, bad = self.one(kind, calls,
				    "error=" + name, n)
			except Fail as e:
				if not ALL:
					raise
				wrong.append(str(e))
				note(str(e))
				if len(wrong) > 2:
					break
				n += step
				continue
			if not fired:
				break
			self.faults += 1
			self.lost += not done
			if harmless:
				check(done and not bad, "%s %s of %s at %d: "
				    "%s" % (calls, name, self.who, n, bad))
			n += step
		if wrong:
			raise Fail("%d failures, first: %s" % (len(wrong),
			    wrong[0]))

	def run(self, harmless):
		table = HARMLESS if harmless else HARMFUL[self.who]
		todo = [(k, c, e) for c, names in table
		    for e in names.split() for k in (Life3, Life1)
		    # A sanitizer's own memory is no subject.
		    if not (SANITIZED and "mmap" in c)]
		if not ALL:
			todo = self.rng.sample(todo, min(len(todo),
			    2 if SANITIZED else 4))
		wrong = []
		for kind, calls, name in todo:
			try:
				self.walk(kind, calls, name, harmless)
			except Fail as e:
				if not ALL:
					raise
				note("FAIL " + str(e))
				wrong.append(str(e))
		note("%s: %d errors of %d kinds, %d lives cut short "
		    "(seed %d)" % (self.who, self.faults, len(todo),
		    self.lost, SEED))
		if self.errors is not None:
			self.errors.stream.end()
			self.errors.__exit__(None, None, None)
		check(not wrong, "%d kinds, first: %s" % (len(wrong),
		    (wrong + [""])[0]))


def tests():
	for who in ("engine", "frontend", "parent"):
		@test("syserr", "passing errors of calls of the %s change "
		    "nothing" % who, private=False)
		def passing(who=who):
			Walker(who).run(True)

		@test("syserr", "errors of calls of the %s cost one VM" % who,
		    private=False)
		def lasting(who=who):
			Walker(who).run(False)


tests()
main()

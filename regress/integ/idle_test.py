#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""At rest no process makes a system call but the one it sleeps in."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

SECONDS = 10
PRIVATE_MAX = 1024	# KiB of an engine
SHIMS = scaled(1000)	# each may cost 1 KiB


def switches(d):
	"""How often each process fell asleep or lost its turn."""
	out = {}
	for p in d.processes():
		s = status(p)
		out[p] = (s["voluntary_ctxt_switches"],
		    s["nonvoluntary_ctxt_switches"])
	return out


def at_rest(d):
	"""Until nobody has run for two seconds."""
	last = [None, 0]

	def still():
		now = switches(d)
		if now != last[0]:
			last[:] = [now, time.monotonic()]
		return time.monotonic() - last[1] > 2
	wait_for(still, "rest")


class Trace:
	"""strace on one process."""

	def __init__(self, d, pid):
		self.pid = pid
		self.name = status(pid)["Name"]
		self.path = os.path.join(d.dir, "trace.%d" % pid)
		self.err = open(self.path + ".err", "w+")
		self.proc = subprocess.Popen(["strace", "-f", "-p",
		    "%d" % pid, "-o", self.path], stdin=subprocess.DEVNULL,
		    stdout=subprocess.DEVNULL, stderr=self.err)

	def said(self):
		self.err.seek(0)
		return self.err.read()

	def wait(self):
		wait_for(lambda: "attached" in self.said() or
		    self.proc.poll() is not None, "strace")
		if self.proc.poll() is not None:
			raise Skip("cannot trace: " + self.said().strip())

	def end(self):
		"""The lines of the trace."""
		self.proc.send_signal(signal.SIGINT)
		self.proc.wait(CEILING)
		self.err.close()
		with open(self.path) as f:
			return f.read().splitlines()


def traced(d):
	"""Ten seconds of every process: {name: lines}."""
	traces = []
	try:
		for p in d.processes():
			traces.append(Trace(d, p))
			traces[-1].wait()
		time.sleep(SECONDS)
	finally:
		lines = [(t.name, t.end()) for t in traces]
	return lines


@test("idle", "%d seconds without a system call" % SECONDS,
    daemon=dict(QUIET, ksm="initial"), bystander=False)
def idle(d):
	if shutil.which("strace") is None:
		raise Skip("no strace")
	vm = d.vm()
	shims = [vm.shim() for i in range(3)]
	for s in shims:
		vm.agent.tty(s.base, b"before")
		equal(s.stdout(), b"before", "output")
	quiet = d.client()
	at_rest(d)
	for name, lines in traced(d):
		# Attaching interrupts the call that it sleeps in, which is
		# then made again.
		calls = [re.sub(r"^\d+ +", "", l) for l in lines]
		check(1 <= len(calls) <= 3, "%s: %s" % (name, brief(calls)))
		for c in calls:
			check(re.match(r"(epoll_(p?)wait2?|strace: Process|"
			    r"<\.\.\. epoll_p?wait2? resumed)", c),
			    "%s: %s" % (name, brief(c)))
	for s in shims:
		vm.agent.tty(s.base, b"after")
		equal(s.stdout(), b"after", "output")
	quiet.attach(vm.id)


@test("idle", "memory of an engine at rest", daemon=QUIET, bystander=False)
def memory(d):
	many_files()
	vm = d.vm()
	at_rest(d)
	try:
		for p in d.processes():
			note("%s: %d KiB private" % (status(p)["Name"],
			    private_memory(p)))
		first = private_memory(d.engines()[0])
		shims = [vm.shim() for i in range(SHIMS)]
		for s in shims:
			vm.agent.tty(s.base, b"x" * 100)
			s.stdout(100)
		at_rest(d)
		more = private_memory(d.engines()[0])
	except PermissionError:
		raise Skip("memory can be seen by root only")
	note("ccp-vmengine: %d KiB private with %d idle shims" % (more,
	    SHIMS))
	if SANITIZED:
		raise Skip("a sanitizer's own memory")
	check(first < PRIVATE_MAX, "engine at rest: %d KiB" % first)
	check(more - first < SHIMS, "%d idle shims: %d KiB" % (SHIMS,
	    more - first))


main()

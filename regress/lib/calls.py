# SPDX-License-Identifier: ISC
"""The system calls that the processes make, beside those they may make.

Rules are the lists as regress/sandbox/rules prints them; a Trace is what
strace wrote below the directory in CCP_TRACE (see ccp.Daemon).
"""

import collections
import glob
import re

from ccp import *

PROCESSES = {"cc-proxy": "parent", "ccp-frontend": "frontend",
    "ccp-vmengine": "vmengine"}
CALL = re.compile(r"(\w+)\((.*?)(?:\) *= |\) *$| <unfinished|$)")
EXEC = re.compile(r'execve\("([^"]*)".*\) = 0$')
ARG = re.compile(r"0x[0-9a-f]+|0|[0-9]+")


class Rule:
	def __init__(self, line):
		w = line.split()
		self.list, self.action, self.call = w[:3]
		self.err = int(w[3], 16)
		self.compare = [(int(w[i], 16), w[i + 1], int(w[i + 2], 16),
		    int(w[i + 3], 16)) for i in range(4, len(w), 4)]
		self.text = "%s %s%s" % (self.list, self.call, "".join(
		    " %d %s %#x %#x" % c for c in self.compare))
		self.hits = 0

	def matches(self, args):
		for n, op, a, b in self.compare:
			v = args[n] if n < len(args) else 0
			if not {"eq": v == a, "ne": v != a,
			    "masked": v & a == b}[op]:
				return False
		return True


class Rules:
	def __init__(self):
		out = subprocess.run([binary("regress/sandbox/rules")],
		    stdout=subprocess.PIPE, check=True).stdout.decode()
		self.rules = [Rule(l) for l in out.splitlines()]
		# Whose first argument is the process's own id; see scmp.c.
		self.rules.append(Rule("base allow tgkill 0"))
		self.by_call = collections.defaultdict(list)
		for r in self.rules:
			self.by_call[r.call].append(r)

	def judge(self, process, call, args):
		"""The action for it."""
		child = process != "parent"
		for r in self.by_call[call]:
			if (r.list == process or child and r.list == "base") \
			    and r.matches(args):
				r.hits += 1
				return r.action
		return "kill" if child else "allow"

	def unused(self):
		return [r for r in self.rules
		    if r.action == "allow" and r.hits == 0]


class Trace:
	"""Calls made inside of a sandbox, {process: {(call, args): n}}."""

	def __init__(self, place):
		self.place = place
		self.count = collections.Counter()	# processes
		self.calls = {p: collections.Counter()
		    for p in PROCESSES.values()}
		for path in glob.glob(os.path.join(place, "*", "calls.*")):
			self.read(path)

	@staticmethod
	def wait(place):
		"""Until all of it is written."""
		def ended(path):
			with open(path, "rb") as f:
				f.seek(max(0, os.path.getsize(path) - 200))
				return b"+++ " in f.read()
		wait_for(lambda: all(ended(p) for p in glob.glob(
		    os.path.join(place, "*", "calls.*"))),
		    "end of the traces")

	def read(self, path):
		with open(path, errors="replace") as f:
			lines = f.read().splitlines()
		process, start = None, None
		for i, line in enumerate(lines):
			m = EXEC.match(line)
			if m:
				process, start = PROCESSES.get(
				    os.path.basename(m.group(1))), None
			elif line.startswith("seccomp(0x1,") and \
			    line.endswith("= 0"):
				start = i + 1
		# A fork of the parent that came to no exec of its own has
		# neither: it inherits the parent's filter.
		if process is None or start is None:
			return
		self.count[process] += 1
		calls = self.calls[process]
		for line in lines[start:]:
			m = CALL.match(line)
			if m:
				calls[m.group(1), tuple(int(a, 16) if
				    a.startswith("0x") else int(a) for a in
				    ARG.findall(m.group(2)))] += 1

	def judge(self, rules):
		"""{process: {call: n}} for what is killed, and refused."""
		bad = collections.defaultdict(collections.Counter)
		for process, calls in self.calls.items():
			for (call, args), n in calls.items():
				action = rules.judge(process, call, args)
				if action != "allow":
					bad[action, process]["%s(%s)" % (call,
					    ", ".join("%#x" % a
					    for a in args))
					    if action == "kill" else call] += n
		return bad

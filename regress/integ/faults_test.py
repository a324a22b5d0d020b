#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Each process is killed at each system call that it makes in the life of a
VM: what else is there goes on, everybody is told, nothing is left behind,
and the log says it once.

FAULTS=all walks every step; else some are drawn with CCP_SEED.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from victims import *

no_leak_check()


@test("faults", "an engine killed at a step of a VM's life, 3.x",
    private=False)
def engine3():
	with Engines() as e:
		e.walk(Life3, "engine, 3.x")


@test("faults", "an engine killed at a step of a VM's life, 1.x",
    private=False)
def engine1():
	with Engines() as e:
		e.walk(Life1, "engine, 1.x")


# ------------------------------------------------- what is not the daemon's

class LifeGuest(Life3):
	"""With the real guest behind it."""

	def middle(self):
		c = self.client
		c.hyper("startpod", {"hostname": "x",
		    "shareDir": "hyperShared"})
		self.shim = s = self.add(Client(self.d))
		s.connect_shim(self.token)
		c.hyper("newcontainer", {"id": "c", "rootfs": "",
		    "image": "", "process": {"args": ["sh", "-c",
		    "echo up; cat; echo err >&2; exit 7"], "envs": [
		    {"env": "PATH", "value": os.environ["PATH"]}],
		    "terminal": False, "workdir": "/"}}, [self.token])
		equal(s.stdout(3), b"up\n", "stdout")
		s.stdin(b"to the guest")
		equal(s.stdout(12), b"to the guest", "stdout")
		s.stdin(b"")
		equal(self.stderr(4), b"err\n", "stderr")
		equal(s.exit_status(), 7, "exit status")
		c.hyper("removecontainer", {"container": "c"})
		s.disconnect_shim()

	def finish(self):
		self.client.ok(UNREGISTER, {"containerId": self.id})


class Outer(Engines):
	"""The same daemon beside a guest, or a client, that dies."""

	level = "info"

	def guest(self, action, n):
		d = self.d
		self.count += 1
		guest = Guest(d, "g%d" % self.count, host_root=True)
		mark = d.log_mark()
		inj = Inject(guest.proc.pid, action, n)
		life = LifeGuest(d, "v%d" % self.count)
		life.agent.close()
		life.agent = guest
		try:
			life.try_run()
			for c in life.conns:
				c.close()
			c = Client(d)
			c.ask(UNREGISTER, {"containerId": life.id})
			c.close()
			ignore(guest.proc.terminate)
			self.total = inj.end()
			check(inj.fired() or life.done, "no fault, but %s" %
			    getattr(life, "cut", None))
			self.same()
			lost = [e for e in d.entries(mark)
			    if e.get("vm") == life.id and
			    e["msg"].startswith("VM lost")]
			check(len(lost) <= 1, "VM lost: %s" % lost)
			# The VM went before its shim came, which is told so.
			bad = bad_news(d, mark)
			check(not bad or inj.fired() and len(bad) == 1 and
			    re.fullmatch(r"connect refused to uid \d+, pid "
			    r"\d+: unknown token", bad[0]),
			    "the log says %s" % bad)
		finally:
			guest.close()
			d.agents.remove(guest)
		return inj.fired()

	def tool(self, vm, action, n):
		d = self.d
		mark = d.log_mark()
		self.count += 1
		p = subprocess.Popen(["sh", "-c", 'kill -STOP $$; exec "$@"',
		    "sh", binary("cc-proxyctl"), "-s", d.path, "run",
		    vm.id, "c%d" % self.count, "--", "sh", "-c",
		    "echo out; exit 7"], stdout=subprocess.PIPE,
		    stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
		wait_for(lambda: stopped_state(p.pid), "a caught process")
		inj = Inject(p.pid, action, n)
		out, err = p.communicate(timeout=CEILING)
		self.total = inj.end()
		want = (-9 if inj.fired() else 7)
		equal(p.returncode, want, "status (%s)" % brief(err))
		if not inj.fired():
			equal((out, err), (b"out\n", b""), "output")
		vm.client.hyper("ping")
		self.same()
		# Each of its connections may end with something unread.
		bad = bad_news(d, mark)
		check(all(re.search("connection reset|broken pipe", b)
		    for b in bad) and
		    len(bad) <= (2 if inj.fired() else 0), "the log says %s" %
		    bad)
		return inj.fired()

@test("faults", "a guest killed at a step of its VM's life", private=False)
def guests():
	with Outer() as o:
		o.guest("count", 1)
		steps_of(o.total, "guest", lambda n: o.guest("kill", n))
		o.stream.end()


@test("faults", "a client killed at a step of what it does", private=False)
def clients():
	with Outer() as o:
		vm = GuestVM(o.d)
		o.base = set(o.d.engines())
		o.stay = {p: fd_count(p) for p in o.d.processes()}
		o.tool(vm, "count", 1)
		steps_of(o.total, "client", lambda n: o.tool(vm, "kill", n))
		o.stream.end()


@test("faults", "the parent killed at a step from its start to its end",
    private=False)
def parent():
	Whole("cc-proxy").walk("parent")


@test("faults", "the frontend killed at a step from its start to its end",
    private=False)
def frontend():
	Whole("ccp-frontend").walk("frontend")


main()

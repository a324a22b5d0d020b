#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Who may do what, where a VM's sockets may be, and the limits, with the
real daemon and clients of several users."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from tenants import *

ALICE, BOB, CAROL, TEAM = 3001, 3002, 3003, 3100
KINDS = ("register", "attach", "unregister")

RULES = """
deny any from any
allow register from user 3001
allow { attach unregister } from group 3100
deny unregister from user 3001
"""
# What of KINDS each may do under RULES.
MAY = {
	(0, 0): "",
	(ALICE, ALICE): "register",
	(ALICE, TEAM): "register attach",
	(BOB, TEAM): "attach unregister",
	(BOB, BOB): "",
	(CAROL, 0): ""
}


def judged(got, may, what):
	equal(got, None if may else DENIED, what)


def dial_error(path, why=DENIED):
	return "dial unix %s: connect: %s" % (path, why)


@test("policy", "who may register, attach and unregister, by uid and gid",
    private=False)
def rules():
	need_root()
	with serving(RULES) as d:
		want = []
		for kind in TENANTS:
			for (uid, gid), may in MAY.items():
				rules_for(d, kind, uid, gid, may.split(),
				    want)
		equal(sorted(d.wait_denied(len(want))), sorted(want),
		    "lines in the log")


def rules_for(d, kind, uid, gid, may, want):
	name = "%s-%d-%d" % (kind.__name__, uid, gid)
	who = "%s of uid %d, gid %d" % (kind.__name__, uid, gid)
	agent = d.agent(name)
	judged(kind(d, uid, gid).try_register(name, agent),
	    "register" in may, who + " registers")
	if "register" not in may:
		equal(sum(agent.accepted.values()), 0, "connections")
		equal(Tenant(d, ALICE).try_register(name, agent), None,
		    "the registration after it")
	c = kind(d, uid, gid)
	judged(c.try_attach(name), "attach" in may, who + " attaches")
	judged(c.try_unregister(name), "unregister" in may,
	    who + " unregisters")
	if "unregister" not in may:
		# It is there still.
		equal(Tenant(d, BOB, TEAM).try_attach(name), None,
		    "attaching after it")
	for what in KINDS:
		if what not in may:
			want.append(("%s %s" % (what, name), uid, gid))


@test("policy", "without rules everybody may do everything", private=False)
def no_rules():
	need_root()
	with serving("") as d:
		for kind in TENANTS:
			name = kind.__name__
			equal(kind(d, ALICE).try_register(name,
			    d.agent(name)), None, "register")
			c = kind(d, BOB)
			equal(c.try_attach(name), None, "attach")
			equal(c.try_unregister(name), None, "unregister")
		equal(d.denied(), [], "refusals in the log")


@test("policy", "who may nothing learns nothing", private=False)
def no_oracle():
	need_root()
	with serving("deny any from user %d\n" % BOB) as d:
		a = d.agent("vm")
		equal(Tenant(d, ALICE).try_register("vm", a), None,
		    "register")
		for kind in TENANTS:
			c = kind(d, BOB)
			for ident in ("vm", "none"):
				equal(c.try_register(ident, a), DENIED,
				    "registering " + ident)
				equal(c.try_attach(ident), DENIED,
				    "attaching to " + ident)
				equal(c.try_unregister(ident), DENIED,
				    "unregistering " + ident)


@test("policy", "a connection that an engine has is judged as well",
    private=False)
def asked():
	need_root()
	with serving("deny { attach unregister } from user %d\n"
	    "deny unregister from user %d\n" % (BOB, CAROL)) as d:
		agents = [d.agent(n) for n in ("one", "two")]
		alice = Tenant(d, ALICE)
		equal(alice.try_register("one", agents[0]), None, "register")
		equal(Tenant(d, ALICE).try_register("two", agents[1]), None,
		    "register")
		# One that may attach only.
		for kind in TENANTS:
			carol = kind(d, CAROL)
			equal(carol.try_attach("one"), None, "attach")
			for ident in ("one", "two", "none"):
				equal(carol.try_unregister(ident), DENIED,
				    "unregistering " + ident)
			equal(carol.try_attach("one"), None, "once more")
		# One that has a token only: it is a shim and no more.
		for n in (None, 1):
			bob = Tenant(d, BOB)
			bob.connect_shim(alice.attach("one", 1)[0])
			equal(bob.try_attach("one", n), DENIED, "attach")
			equal(bob.try_attach("one", n), DENIED, "again")
			equal(bob.hyper_fails("ping"),
			    "client not attached to a vm", "its command")
			equal(bob.try_unregister("two"), DENIED,
			    "unregister")
		d.wait_denied(2 * 3 + 2 * 3)
		# Those of whom the same is true, but who may.
		shim = Tenant(d, ALICE)
		shim.connect_shim(alice.attach("one", 1)[0])
		equal(shim.try_attach("one"), None, "attach")
		shim.hyper("ping")
		equal(shim.try_unregister("two"), None, "unregister")
		equal(len(agents[1].ctl_in), 0, "commands")


@test("policy", "attach owner: who registered, and root", private=False)
def owner():
	need_root()
	with serving("attach owner\ndeny unregister from user %d\n" % CAROL) \
	    as d:
		for kind in TENANTS:
			for me, other in ((ALICE, BOB), (0, ALICE)):
				owner_of(d, kind, me, other)
			name = "carol" + kind.__name__
			c = kind(d, CAROL)
			equal(c.try_register(name, d.agent(name)), None,
			    "register")
			equal(c.try_unregister(name), DENIED, "by a rule")
			equal(kind(d, 0).try_unregister(name), None, "root's")


def owner_of(d, kind, me, other):
	name = "%s%d" % (kind.__name__, me)
	agent = d.agent(name)
	equal(kind(d, me).try_register(name, agent), None, "register")
	for k in TENANTS:
		equal(k(d, other).try_attach(name), DENIED, "attach")
		equal(k(d, other, me).try_attach(name), DENIED,
		    "attach with the owner's gid")
		equal(k(d, other).try_unregister(name), DENIED, "unregister")
		equal(k(d, me).try_attach(name), None, "its own")
		equal(k(d, 0).try_attach(name), None, "root")
		# A VM of one's own is no way to another.
		mine = "%s%d.%d" % (k.__name__, me, other)
		c = k(d, other)
		equal(c.try_register(mine + name, d.agent(mine + name)), None,
		    "register")
		equal(c.try_unregister(name), DENIED, "asked by the engine")
	c = kind(d, me)
	equal(c.try_attach(name), None, "attach")
	equal(c.try_unregister(name), None, "unregister")


@test("policy", "attach owner: a lost VM is not taken over", private=False)
def takeover():
	need_root()
	with serving("attach owner\n") as d:
		equal(Tenant1(d, ALICE).try_register("vm", d.agent("vm")),
		    None, "register")
		d.agents[0].hang_up("io")
		d.wait_log("VM lost|lost", vm="vm")
		wait_for(lambda: Tenant(d, 0).ask(HYPER, {}) is not None,
		    "an answer")
		equal(Tenant1(d, BOB).try_register("vm", d.agent("bob")),
		    "vm: container already registered", "another's hello")
		equal(Tenant1(d, ALICE).try_register("vm", d.agent("new")),
		    None, "the owner's hello")


@test("policy", "a registration that may not happen is not logged twice",
    private=False)
def logged_once():
	need_root()
	with serving("deny register from user %d\n" % ALICE) as d:
		c = Tenant(d, ALICE)
		a = d.agent("vm")
		for i in range(5):
			equal(c.try_register("vm%d" % i, a), DENIED,
			    "register")
		equal(d.wait_denied(5), [("register vm%d" % i, ALICE, ALICE)
		    for i in range(5)], "lines")
		equal(sum(a.accepted.values()), 0, "connections")


# Directories.

def vm_dir(d, *names):
	path = os.path.join(d.dir, *names)
	os.makedirs(path, exist_ok=True)
	return path


class at:
	"""Stands for an agent: paths, and nothing behind them."""

	def __init__(self, ctl, io):
		self.ctl_path, self.io_path = ctl, io


@test("policy", "sockets must be in a vm directory", private=False)
def directories():
	with serving('vm directory "{dir}/vms"\nvm directory "{dir}/late"\n',
	    start=False) as d:
		vms = vm_dir(d, "vms", "a")
		out = vm_dir(d, "out")
		d.start()
		d.wait_log("vm directory .*/late")
		good = Agent(vms, "good")
		bad = Agent(out, "bad")
		d.agents += [good, bad]
		os.symlink(bad.ctl_path, os.path.join(vms, "link.ctl"))
		os.symlink(out, os.path.join(vms, "dir"))
		os.symlink(os.path.join(d.dir, "vms"),
		    os.path.join(d.dir, "alias"))
		os.link(good.io_path, os.path.join(vms, "two.io"))
		wrong = [bad.ctl_path, os.path.join(vms, "link.ctl"),
		    os.path.join(vms, "dir", "bad.ctl"),
		    os.path.join(vms, "..", "..", "out", "bad.ctl"),
		    os.path.join(vms, "..", "a", "good.ctl"),
		    os.path.join(d.dir, "alias", "a", "good.ctl"),
		    os.path.join(d.dir, "vms"), os.path.join(d.dir, "vms/"),
		    os.path.join(d.dir, "vmsx", "good.ctl"),
		    os.path.join(vms, "two.io")]
		me = os.geteuid(), os.getegid()
		for kind in TENANTS:
			c = kind(d, *me)
			for i, path in enumerate(wrong):
				equal(c.try_register("bad%d" % i, at(path,
				    path)), dial_error(path), "its answer")
			equal(c.try_register("bad", at(
			    os.path.join(vms, "none"), good.io_path)),
			    dial_error(os.path.join(vms, "none"),
			    "no such file or directory"), "its answer")
		d.wait_denied(2 * len(wrong))
		equal(bad.accepted["ctl"], 0, "connections")
		os.unlink(os.path.join(vms, "two.io"))
		# The I/O socket is judged like the control socket.
		c = Tenant(d, *me)
		equal(c.try_register("half", at(good.ctl_path, bad.io_path)),
		    dial_error(bad.io_path), "its answer")
		good.wait_accept("ctl")
		equal(bad.accepted["io"], 0, "connections")
		equal(c.try_register("good", good), None, "the right one")
		# Directories may come later.
		late = Agent(vm_dir(d, "late"), "vm")
		d.agents.append(late)
		equal(Tenant1(d, *me).try_register("late", late), None,
		    "in the one that came later")


@test("policy", "consoles must be in a vm directory", private=False)
def consoles():
	with serving('vm directory "{dir}/vms"\n', level="debug",
	    start=False) as d:
		vms, out = vm_dir(d, "vms"), vm_dir(d, "out")
		d.start()
		me = os.geteuid(), os.getegid()
		good = Agent(vms, "good", console=True)
		bad = Agent(out, "bad", console=True)
		d.agents += [good, bad]
		equal(Tenant(d, *me).try_register("vm", good,
		    bad.console_path), None, "register")
		d.wait_log("permission denied: register vm, .*bad.console")
		equal(bad.accepted["console"], 0, "connections")
		more = Agent(vms, "more", console=True)
		d.agents.append(more)
		equal(Tenant(d, *me).try_register("more", more,
		    more.console_path), None, "register")
		more.wait_accept("console")


@test("policy", "the owners of sockets in a vm directory", private=False)
def owners():
	need_root()
	with serving('vm directory "{dir}/vms" owner { %d root }\n'
	    'vm directory "{dir}/vms/any"\n' % ALICE, start=False) as d:
		vms = vm_dir(d, "vms")
		free = vm_dir(d, "vms", "any")
		d.start()
		for name, uid, where in (("root", 0, vms),
		    ("alice", ALICE, vms), ("bob", BOB, vms),
		    ("bobany", BOB, free)):
			a = Agent(where, name)
			d.agents.append(a)
			for p in (a.ctl_path, a.io_path):
				os.chown(p, uid, uid)
			# Who asks does not matter.
			got = Tenant(d, CAROL).try_register(name, a)
			equal(got, dial_error(a.ctl_path) if name == "bob"
			    else None, name)
		d.wait_denied(1)


def refused_during(d, change, path, times):
	"""Registrations at path all fail, whatever changes there meanwhile."""
	stop = threading.Event()

	def change_on():
		while not stop.is_set():
			change()

	t = threading.Thread(target=change_on, daemon=True)
	t.start()
	seen = collections.Counter()
	c = Tenant(d, os.geteuid(), os.getegid())
	for i in range(times):
		seen[c.try_register("vm%d" % i, at(path, path))] += 1
	stop.set()
	t.join()
	check(set(seen) <= {dial_error(path), dial_error(path,
	    "no such file or directory")}, "answers: %s" % seen)
	check(seen[dial_error(path)] > 0, "never refused")


@test("policy", "a link that is swapped in while clients register",
    private=False)
def swapped():
	with serving('vm directory "{dir}/vms"\n', start=False) as d:
		vms, out = vm_dir(d, "vms"), vm_dir(d, "out")
		d.start()
		good, bad = Agent(vms, "good"), Agent(out, "bad")
		d.agents += [good, bad]
		path = os.path.join(vms, "swap")

		def swap():
			os.symlink(bad.ctl_path, path + "~")
			os.rename(path + "~", path)
			os.unlink(path)
			os.link(good.ctl_path, path + "~")
			os.rename(path + "~", path)
			os.unlink(path)

		refused_during(d, swap, path, 1000)
		equal(bad.accepted["ctl"], 0, "connections")


@test("policy", "a second name that goes while clients register",
    private=False)
def vanishing():
	"""Its owner could have put any socket there, had the link's end
	between two looks made it the only one."""
	with serving('vm directory "{dir}/vms"\n', start=False) as d:
		vms, out = vm_dir(d, "vms"), vm_dir(d, "out")
		d.start()
		a = Agent(out, "other")
		d.agents.append(a)
		path = os.path.join(vms, "link")

		def blink():
			os.link(a.ctl_path, path)
			os.unlink(path)

		refused_during(d, blink, path, 1500)
		equal(a.accepted["ctl"], 0, "connections")


# Limits: at the limit, and one past it.

@test("policy", "limit vms", private=False)
def limit_vms():
	with serving("limit vms 3\n") as d:
		me = os.geteuid(), os.getegid()
		first = [Tenant(d, *me) for i in range(3)]
		for i, c in enumerate(first):
			equal(c.try_register("vm%d" % i,
			    d.agent("vm%d" % i)), None, "register")
		for kind in TENANTS:
			equal(kind(d, *me).try_register("more",
			    d.agent("more" + kind.__name__)), "too many VMs",
			    "one more")
		d.wait_log("too many VMs")
		for i in range(3):
			c = Tenant(d, *me)
			equal(c.try_attach("vm%d" % i), None, "the others")
			c.hyper("ping")
			c.close()
		equal(first[0].try_unregister("vm0"), None, "unregister")
		first[0].close()
		d.agents[0].hang_up("ctl")
		wait_for(lambda: len(d.engines()) == 2, "end of an engine")
		wait_for(lambda: Tenant(d, *me).try_register("again",
		    d.agent("again%d" % d.log_mark())) is None,
		    "another registration")


@test("policy", "limit clients per vm", private=False)
def limit_clients_vm():
	with serving("limit clients per vm 4\n") as d:
		me = os.geteuid(), os.getegid()
		equal(Tenant(d, *me).try_register("vm", d.agent("vm")), None,
		    "register")
		equal(Tenant(d, *me).try_register("other", d.agent("other")),
		    None, "register")
		cs = [TENANTS[i % 2](d, *me) for i in range(3)]
		for c in cs:
			equal(c.try_attach("vm"), None, "attach")
		for kind in TENANTS:
			equal(kind(d, *me).try_attach("vm"),
			    "too many clients of vm", "one more")
		equal(Tenant(d, *me).try_attach("other"), None,
		    "another VM's")
		cs[0].close()
		wait_for(lambda: Tenant(d, *me).try_attach("vm") is None,
		    "a place that is free again")


@test("policy", "limit tokens per vm", private=False)
def limit_tokens():
	with serving("limit tokens per vm 5\n") as d:
		me = os.geteuid(), os.getegid()
		c = Tenant(d, *me)
		for name in ("vm", "other"):
			equal(Tenant(d, *me).try_register(name,
			    d.agent(name)), None, "register")
		more = "no more I/O tokens"
		equal(c.try_attach("vm", 6), more, "one too many at once")
		equal(c.try_attach("vm", 5), None, "as many as there are")
		equal(c.try_attach("vm", 1), more, "the engine asks")
		equal(Tenant(d, *me).try_attach("vm", 1), more, "one more")
		equal(Tenant(d, *me).try_attach("vm"), None, "none")
		equal(Tenant(d, *me).try_attach("other", 5), None,
		    "another VM's")


@test("policy", "limit clients: those who have not said what they want",
    private=False)
def limit_clients():
	with serving("limit clients 4\n") as d:
		me = os.geteuid(), os.getegid()
		equal(Tenant(d, *me).try_register("vm", d.agent("vm")), None,
		    "register")
		# The test's own look at the listener may take a place.
		idle = []

		def full():
			if d.find_log("couldn't accept connection"):
				return True
			idle.append(Tenant(d, *me))
			return False

		wait_for(full, "the limit")
		served = len([e for e in d.entries() if
		    e["msg"] == "client connected"])
		late = Tenant(d, *me)
		late.cmd(ATTACH, {"containerId": "vm"})
		for c in idle[:5]:
			c.close()
		equal(late.response(ATTACH).err, 0, "its turn")
		check(served >= 4, "%d clients" % served)


@test("policy", "limit clients per uid: a tenant's share", private=False)
def limit_clients_uid():
	need_root()
	with serving("limit clients per uid 3\n") as d:
		equal(Tenant(d, ALICE).try_register("vm", d.agent("vm")),
		    None, "register")
		idle = [TENANTS[i % 2](d, ALICE) for i in range(3)]
		for c in idle:
			# It is served, and says nothing of interest.
			c.try_unregister("none")
		for kind in TENANTS:
			c = kind(d, ALICE)
			c.expect_closed()
		d.wait_log("too many connections of uid %d" % ALICE)
		for uid in (BOB, 0):
			for kind in TENANTS:
				equal(kind(d, uid).try_attach("vm"), None,
				    "uid %d" % uid)
		# Who has been passed on does not count.
		idle[0].close()
		wait_for(lambda: len([e for e in d.entries() if
		    e["msg"] == "connection closed"]) > 0, "its end")
		for i in range(5):
			equal(Tenant(d, ALICE).try_attach("vm"), None,
			    "attach %d" % i)


@test("policy", "limit output per shim", private=False)
def limit_output_shim():
	# A frame of output to a shim is 12 bytes and what is in it.
	n, piece = 4, 4096 - 12
	with serving("limit output per shim 16K\ntimeout shim 300ms\n") as d:
		vm = VM(d)
		other = VM(d)
		for extra in (0, 1):
			s = vm.shim()
			s.close()
			seen = d.log_mark()
			for i in range(n):
				vm.agent.tty(s.base, bytes([65 + i]) * piece)
			if extra:
				vm.agent.tty(s.base, b"x")
				d.wait_log("dropping output beyond 16384 "
				    "bytes", seen)
				vm.agent.tty(s.base, b"y")
			back = Client(d)
			back.connect_shim(s.token)
			got = back.stdout(n * piece)
			equal(got, b"".join(bytes([65 + i]) * piece
			    for i in range(n)), "what was kept")
			vm.agent.tty(s.base, b"z")
			equal(back.stdout(), b"z", "what came next")
			w = other.shim()
			other.agent.tty(w.base, b"served")
			equal(w.stdout(), b"served", "another VM's output")


@test("policy", "limit output per vm", private=False)
def limit_output_vm():
	# 256 KiB for all: two shims that read nothing fill it.
	with serving("limit output per vm 256K\nlimit output per shim 1M\n"
	    "timeout shim 300ms\n") as d:
		vm, other = VM(d), VM(d)
		away = []
		for i in range(2):
			s = vm.shim()
			s.close()
			away.append(s)
		sent = 0
		for i in range(70):
			vm.agent.tty(away[i % 2].base, b"o" * 8000)
			sent += 8000
		d.wait_log("dropping output beyond 1048576 bytes")
		# Its other shims go on, one message at a time.
		w = vm.shim()
		for i in range(20):
			vm.agent.tty(w.base, b"%d" % i)
			equal(w.stdout(), b"%d" % i, "a shim that reads")
		w = other.shim()
		other.agent.tty(w.base, b"served")
		equal(w.stdout(), b"served", "another VM's output")
		got = 0
		for s in away:
			back = Client(d)
			back.connect_shim(s.token)
			vm.agent.exit(s.base, 7)
			for f in iter(back.recv, None):
				if f.type == NOTIFICATION:
					equal(f.payload, b"\7", "status")
					break
				got += len(f.payload) + 12
		check(250 * 1024 < got <= 256 * 1024 + 2 * 10240,
		    "%d bytes were kept of %d" % (got, sent))


ccp.main()

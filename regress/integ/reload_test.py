#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Another configuration for a daemon that runs: every setting counts after a
reload, in all processes or in none, and no stream notices."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from manager import *
from tenants import *

ALICE, BOB = 3001, 3002
STAYS = ": the old configuration stays"


def ctl(d, *args):
	"""cc-proxyctl's exit status and its lines, of both outputs."""
	r = subprocess.run([binary("cc-proxyctl"), "-s", d.path] +
	    list(args or ["reload"]), stdin=subprocess.DEVNULL,
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=CEILING)
	out, err = r.stdout.decode(), r.stderr.decode()
	check(r.returncode in (0, 1) and not (out if r.returncode else err),
	    "cc-proxyctl: %s" % r)
	lines = (out + err).splitlines()
	if r.returncode:
		check(all(l.startswith("cc-proxyctl: ") for l in lines), out)
		lines = [l.split(": ", 1)[1] for l in lines]
	return r.returncode, lines


class ReloadDaemon(ConfDaemon):
	def __init__(self, text="", **kw):
		super().__init__(text, level=None, start=False, **kw)
		with open(self.conf) as f:
			whole = f.read()
		self.head = whole[:len(whole) - len(text.replace("{dir}",
		    self.dir))]
		self.lines = self.head.count("\n")
		self.write(text)

	def write(self, text, head=None):
		"""At once: a reload never sees half of it."""
		with open(self.conf + "~", "w") as f:
			f.write((self.head if head is None else head) +
			    "log level info\n" + text.replace("{dir}",
			    self.dir))
		os.rename(self.conf + "~", self.conf)

	def hup(self):
		self.proc.send_signal(signal.SIGHUP)

	def reload(self, text=None, want=None):
		"""By the signal, to its end; want: what changed."""
		if text is not None:
			self.write(text)
		mark = self.log_mark()
		self.hup()
		e = self.wait_log("^configuration reloaded: ", mark)
		if want is not None:
			equal(e["msg"].split(": ", 1)[1], want, "changes")

	def fails(self, why, *lines, client=False):
		"""A reload that changes nothing; the log is told why, and
		the client.  The daemon lets one ask once a second."""
		mark = self.log_mark()
		want = list(lines) + ["reload failed: " + why + STAYS]
		if client:
			equal(ctl(self), (1, want), "cc-proxyctl reload")
		else:
			self.hup()
		self.wait_log("^reload failed", mark)
		equal([e["msg"] for e in self.entries(mark, level="error")],
		    want, "errors in the log")


class reloading(serving):
	"""with reloading(text) as d: a ReloadDaemon with a VM whose streams
	go on, and one that is looked at in the end."""

	def __init__(self, text="", steady=True, start=True, **kw):
		self.d = ReloadDaemon(text, **kw)
		self.steady = steady
		if start:
			self.d.start()

	def __enter__(self):
		if self.d.proc is not None and self.steady:
			self.d.steady = Steady(self.d)
		return self.d

	def __exit__(self, kind, value, tb):
		try:
			if kind is None and self.steady:
				check(self.d.steady.end() > 0, "no streams")
		finally:
			super().__exit__(kind, value, tb)


def fails(call, *args):
	try:
		return call(*args)
	except (Fail, OSError) as e:
		return str(e)


def me():
	return os.geteuid(), os.getegid()


# ---------------------------------------------------------- the frontend

@test("reload", "rules, for clients that come and those an engine has",
    private=False)
def rules():
	need_root()
	with reloading() as d:
		vm = d.vm()
		there = [kind(d, BOB) for kind in TENANTS]
		for c in there:
			equal(c.try_attach(vm.id), None, "attach")
		for n in range(2):
			d.reload("deny any from user %d\n" % BOB, "rules")
			for kind, c in zip(TENANTS, there):
				new = kind(d, BOB)
				equal(new.try_register("x", vm.agent), DENIED,
				    "a new one registers")
				equal(new.try_attach(vm.id), DENIED,
				    "attaches")
				for x in (new, c):
					equal(x.try_unregister(vm.id), DENIED,
					    "unregisters")
				# What was attached stays so.
				equal(c.try_attach(vm.id), None, "attaches")
				equal(kind(d, ALICE).try_attach(vm.id), None,
				    "another's")
			equal(there[0].try_attach(vm.id, 1), DENIED, "tokens")
			d.reload("", "rules")
			for kind, c in zip(TENANTS, there):
				for x in (kind(d, BOB), c):
					equal(x.try_attach(vm.id), None,
					    "attaches again")
		d.reload("attach owner\n", "attach owner")
		equal(there[0].try_attach(vm.id, 1), DENIED, "tokens")
		equal(Tenant1(d, BOB).try_attach(vm.id), DENIED, "attach")
		equal(Tenant(d, ALICE).try_register("a", d.agent("a")), None,
		    "registers")
		equal(Tenant(d, ALICE).try_attach("a"), None, "its owner")


@test("reload", "limits of the frontend and the parent, up and down",
    private=False)
def limits():
	def vms(d):
		"""As many more as can be registered."""
		n = 0
		while Tenant(d, *me()).try_register("n%d" % n,
		    d.agent("n%d.%d" % (n, d.log_mark()))) is None:
			n += 1
		return n

	with reloading("limit vms 3\n") as d:
		vm = d.vm()
		d.reload("limit vms 4\nlimit clients per vm 3\n"
		    "limit tokens per vm 4\n", "limit vms, limit clients per "
		    "vm, limit tokens per vm")
		cs = [Tenant(d, *me()) for i in range(2)]
		equal([c.try_attach(vm.id) for c in cs], [None] * 2, "room")
		full = "too many clients of %s" % vm.id
		equal(Tenant(d, *me()).try_attach(vm.id), full, "one more")
		more = "no more I/O tokens"
		equal(cs[0].try_attach(vm.id, 4), None, "all of them")
		equal(cs[0].try_attach(vm.id, 1), more, "one more")
		# Of those it has it loses none, whatever the limit.
		d.reload("limit vms 4\nlimit clients per vm 1\n"
		    "limit tokens per vm 1\n")
		equal(Tenant(d, *me()).try_attach(vm.id), full, "less")
		equal([c.hyper("ping") for c in cs], [b""] * 2, "commands")
		equal(cs[0].try_attach(vm.id, 1), more, "less")
		d.reload("limit vms 4\nlimit clients per vm 4\n"
		    "limit tokens per vm 6\n")
		equal(Tenant(d, *me()).try_attach(vm.id), None, "more")
		equal(Tenant(d, *me()).try_attach(vm.id), full, "one more")
		equal(cs[0].try_attach(vm.id, 3), more, "too many")
		equal(cs[0].try_attach(vm.id, 2), None, "more")
		equal(vms(d), 2, "VMs beside the two")
		d.reload("limit vms 1\n")
		equal(vms(d), 0, "VMs")
		for i in range(2):
			equal(Tenant(d, *me()).try_attach("n%d" % i), None,
			    "one that is there")
		d.reload("limit vms 5\n")
		equal(Tenant(d, *me()).try_register("last", d.agent("last")),
		    None, "the last")
		equal(Tenant(d, *me()).try_register("more", d.agent("more")),
		    "too many VMs", "one more")


@test("reload", "fewer tokens: those that are out go on being used",
    private=False)
def limit_tokens():
	need_root()
	few = "limit %s 1\n"
	with reloading("") as d:
		vm = d.vm()
		tokens = vm.attach(5)[1]
		for name in ("tokens per vm", "tokens per uid", "tokens"):
			d.reload("limit root\n" + few % name)
			# What takes none has no limit of them.
			Tenant(d, *me()).connect_shim(tokens.pop())
			c = Tenant(d, *me())
			equal(c.try_attach(vm.id), None, "attach")
			equal(c.try_attach(vm.id, 0), None, "once more")
			equal(c.try_attach(vm.id, 1), "no more I/O tokens",
			    "a new one")
			c = Tenant(d, *me())
			equal(c.try_register(name, d.agent(name[-1])), None,
			    "registers")


@test("reload", "limits for clients that have not said what they want",
    private=False)
def limit_clients():
	need_root()
	with reloading("limit clients per uid 2\n") as d:
		def served(n):
			"""Of n clients those that are not closed."""
			cs = [Tenant(d, ALICE) for i in range(n)]
			return [c for c in cs if fails(c.try_attach,
			    "none") == "unknown containerID: none"]
		cs = served(3)
		equal(len(cs), 2, "at first")
		d.reload("limit clients per uid 4\n", "limit clients per uid")
		cs += served(3)
		equal(len(cs), 4, "more")
		d.reload("limit clients per uid 1\n")
		equal(served(1), [], "less")
		equal([c.try_attach("none") for c in cs],
		    ["unknown containerID: none"] * 4, "those that are there")
		# Those of all users together are not accepted for now.
		mark = d.log_mark()
		d.reload("limit clients 1\n")
		c = Tenant(d, *me())
		d.wait_log("couldn't accept connection", mark)
		# Who can do something about it is.
		d.write("limit clients 100\n")
		equal(ctl(d), (0, ["configuration reloaded: limit clients"]),
		    "reload")
		equal(c.try_attach("none"), "unknown containerID: none",
		    "accepted after all")


# ------------------------------------------------------------- the engine

@test("reload", "deadlines in a running engine", private=False)
def timeouts():
	with reloading("timeout process 1h\ntimeout shim 1h\n") as d:
		vm = d.vm()
		shim = vm.shim(start=False)
		old = vm.shim(start=False)
		old.cmd(SIGNAL, {"signalNumber": 10})
		# What waits already goes on waiting.
		d.wait_log("Signal")
		d.reload("timeout process 50ms\ntimeout shim 60ms\n",
		    "timeout shim, timeout process")
		shim.signal_fails(10)
		check("token" in vm.client.hyper_fails("newcontainer",
		    {"id": "x", "process": {"args": ["sh"]}}, [vm.token()]),
		    "a wait for a shim that does not end")
		d.reload("timeout process 1h\ntimeout shim 1h\n")
		late = vm.shim(start=False)
		late.cmd(SIGNAL, {"signalNumber": 10})
		vm.client.hyper("ping")
		equal((pending(old.sock), pending(late.sock)), (0, 0),
		    "answers to those that wait")
		for s in (old, late):
			s.start()
			equal(s.response(SIGNAL).err, 0, "its answer")
		# New engines work with it as well.
		d.reload("timeout process 50ms\n")
		d.vm().shim(start=False).signal_fails(10)


@test("reload", "stdin that waits for ever, or no more", private=False)
def stdin():
	with reloading("timeout stdin 0\n") as d:
		vm = d.vm()
		ever = [vm.shim(start=False) for i in range(2)]
		for s in ever:
			s.stdin(b"first")
		d.reload("timeout stdin 1h\n", "timeout stdin")
		# Who waits for ever waits only as long as it is there.
		mark = d.log_mark()
		ever[0].close()
		d.wait_log("connection closed", mark)
		ever[1].start()
		equal(vm.agent.next_tty(), (ever[1].base, b"first"), "stdin")
		bounded = vm.shim(start=False)
		bounded.stdin(b"second")
		d.reload("timeout stdin 0\n")
		bounded.start()
		equal(vm.agent.next_tty(), (bounded.base, b"second"), "stdin")


@test("reload", "output that may wait for a shim, up and down",
    private=False)
def output():
	piece = 4096 - 12
	with reloading("limit output per shim 16K\n") as d:
		vm = d.vm()
		s, other = vm.shim(), vm.shim()

		def take(shim, n):
			return shim.stdout(n * piece)

		def stuck():
			"""The agent's output stands still."""
			vm.agent.tty(other.base, b"x")
			vm.client.hyper("ping")
			return pending(other.sock) == 0
		s.close()
		mark = d.log_mark()
		for i in range(5):
			vm.agent.tty(s.base, b"a" * piece)
		vm.agent.tty(other.base, b"behind")
		vm.client.hyper("ping")
		equal(pending(other.sock), 0, "output behind what is full")
		# Room for it: what was held up goes on at once.
		d.reload("limit output per shim 64K\n",
		    "limit output per shim")
		equal(other.stdout(6), b"behind", "what was held up")
		d.reload("limit output per shim 16K\n")
		vm.agent.tty(s.base, b"b" * piece)
		check(stuck(), "not held up at the lower limit")
		back = Client(d)
		back.connect_shim(s.token)
		equal(take(back, 6), b"a" * 5 * piece + b"b" * piece,
		    "all that was kept")
		equal(other.stdout(1), b"x", "what was held up")
		equal(d.find_log("dropping", mark), None, "a line about loss")


@test("reload", "guest: for virtual machines that come", private=False)
def guest():
	big = {"x": "y" * 20000}
	with reloading() as d:
		vms = []

		def one(works):
			vm = d.vm(mode="echo")
			vm.agent.limit = 1 << 20
			vms.append((vm, works))
			return vm
		vm = one(False)
		d.reload("guest agent\n", "guest")
		one(True)
		d.reload('vm directory "{dir}" guest auto\nguest agent\n',
		    "vm directories")
		one(False)
		for vm, works in vms:
			if works:
				equal(len(vm.client.hyper("ping", big)) >
				    20000, True, "a long command")
			else:
				vm.client.hyper_fails("ping", big)


@test("reload", "vm directories", private=False)
def directories():
	with reloading() as d:
		where = {}
		for name in ("one", "two"):
			path = os.path.join(d.dir, name)
			os.mkdir(path)
			where[name] = Agent(path, "vm")
			d.agents.append(where[name])

		def may(one, two):
			for name, want in (("one", one), ("two", two)):
				a = where[name]
				c = Tenant(d, *me())
				n = a.accepted["ctl"]
				got = c.try_register("%s%d" % (name,
				    d.log_mark()), a)
				equal(got, None if want else
				    "dial unix %s: connect: %s" %
				    (a.ctl_path, DENIED), name)
				equal(a.accepted["ctl"] > n, want, name)
		may(True, True)
		one = 'vm directory "{dir}/one"\n'
		two = 'vm directory "{dir}/two"\n'
		d.reload(one, "vm directories")
		may(True, False)
		d.reload(two)
		may(False, True)
		d.reload(one + two)
		may(True, True)
		d.reload(one + two.replace("\n", " owner 4711\n"))
		may(True, False)
		d.reload(two)
		# One that took the other's place is found after a reload.
		os.rename(os.path.join(d.dir, "two"),
		    os.path.join(d.dir, "old"))
		os.mkdir(os.path.join(d.dir, "two"))
		new = where["two"] = Agent(os.path.join(d.dir, "two"), "vm")
		d.agents.append(new)
		equal(Tenant(d, *me()).try_register("new", new), None,
		    "in the old one")
		equal(new.accepted["ctl"], 0, "connections to the new one")
		d.reload()
		may(False, True)
		d.reload("")
		may(True, True)


@test("reload", "log level, in all processes", private=False)
def level():
	with reloading() as d:
		vm = d.vm()

		def debug():
			mark = d.log_mark()
			vm.client.hyper("ping")
			d.client().fails(ATTACH, {"containerId": "none"})
			return bool(d.entries(mark, level="debug"))

		def ping():
			"""There is a line of the engine, or the frontend."""
			mark = d.log_mark()
			vm.client.hyper("ping")
			return d.find_log("Hyper|hyper", mark) is not None
		wait_for(ping, "level info")
		check(not debug(), "level info")
		d.reload("log level debug\n", "log level")
		wait_for(debug, "level debug")
		d.write("log level warn\n")
		equal(ctl(d), (0, ["configuration reloaded: log level"]),
		    "reload")
		mark = d.log_mark()
		vm.client.hyper("ping")
		s = vm.shim()
		s.close()
		equal(d.entries(mark, level="info") +
		    d.entries(mark, level="debug"), [], "level warn")
		d.reload("", "log level")
		wait_for(ping, "level info again")


@test("reload", "security events, in all processes, to their end",
    private=False)
def events():
	with reloading("log level warn\n") as d:
		vm = d.vm()

		def happens():
			"""Events of who attaches, and of his shim."""
			mark = d.log_mark()
			vm.shim(start=False)
			d.client().fails(ATTACH, {"containerId": "none"})
			vm.client.hyper("ping")
			return sorted(e["event"] for e in d.entries(mark,
			    vm=vm.id))
		equal(happens(), [], "events at level warn")
		d.write("log level warn\nlog events\n")
		equal(ctl(d), (0, ["configuration reloaded: log events"]),
		    "reload")
		want = ["client-attached", "shim-connected"]
		wait_for(lambda: happens() == want, "events")
		# That there will be none is one.
		d.reload("log level warn\n", "log events")
		wait_for(lambda: happens() == [], "no events")


@test("reload", "the signal while the daemon starts", private=False)
def early():
	for i in range(scaled(10, 4)):
		with reloading(steady=False, start=False) as d:
			d.start(ready=False)
			d.wait_line("^starting in system mode")
			d.hup()
			d.wait_log("^configuration reloaded: nothing")
			d.vm()


# ------------------------------------------------------------- refusals

@test("reload", "an error in the file changes nothing anywhere",
    private=False)
def errors():
	with reloading("limit clients per vm 2\n") as d:
		vm = d.vm()
		n = d.lines + 1
		d.write("timout shim 1s\nlimit clients per vm 9\n"
		    "deny any from user nobody-of-that-name\n"
		    "deny any from any\nlog level debug\nlimit vms 1\n")
		d.fails("2 errors", "%s:%d:8: syntax error, unexpected word, "
		    "expecting '='" % (d.conf, n + 1), '%s:%d:20: unknown '
		    'user "nobody-of-that-name"' % (d.conf, n + 3),
		    client=True)
		with open(os.path.join(d.dir, "more"), "w") as f:
			f.write("\n  bad\n")
		d.write('include "more"\n')
		d.fails("1 error", "%s/more:2:6: syntax error, unexpected end "
		    "of the line, expecting '='" % d.dir)
		os.chmod(d.conf, 0o666)
		d.fails("1 error", "%s: others may write to it (mode 0666)" %
		    d.conf)
		if os.geteuid() == 0:
			os.chmod(d.conf, 0o600)
			os.chown(d.conf, ALICE, ALICE)
			d.fails("1 error", "%s: belongs to user %d" %
			    (d.conf, ALICE))
		os.unlink(d.conf)
		d.fails("1 error", "%s: no such file or directory" % d.conf)
		mark = d.log_mark()
		c = Tenant(d, *me())
		equal(c.try_attach(vm.id), None, "attach")
		equal(Tenant(d, *me()).try_attach(vm.id),
		    "too many clients of %s" % vm.id, "one more")
		equal(c.try_attach(vm.id, 2), None, "tokens")
		d.vm()
		equal(d.entries(mark, level="debug"), [], "level")
		# A file for root only, and one that it includes.
		with open(os.path.join(d.dir, "more"), "w") as f:
			f.write("limit clients per vm 3\n")
		d.write('include "more"\n')
		for name in ("more", os.path.basename(d.conf)):
			os.chmod(os.path.join(d.dir, name), 0o600)
		d.reload(None, "limit clients per vm")
		equal(Tenant(d, *me()).try_attach(vm.id), None, "one more")


@test("reload", "what needs a restart is refused with all else",
    private=False)
def restart():
	with reloading("limit clients per vm 2\n", ksm=None) as d:
		vm = d.vm()
		stay = "limit clients per vm 1\n"
		new = os.path.join(d.dir, "new.sock")
		d.write(stay + "listen on %s\n" % new)
		d.fails("1 error", 'new "listen on %s": needs a restart' % new)
		d.write(stay + "ksm off\ncontrol %s\n" % new)
		d.fails("2 errors", 'other "control": needs a restart',
		    'other "ksm": needs a restart', client=True)
		d.write(stay, d.head.replace("0666", "0660", 1))
		d.fails("1 error", 'other "listen on %s": needs a restart' %
		    d.path)
		c = Tenant(d, *me())
		equal(c.try_attach(vm.id), None, "attach")
		check(not os.path.exists(new), "a new socket")
		d.reload("limit clients per vm 2\n", "nothing changed")
		# What the command line says counts as it did at the start.
		d.write("timeout shim 5s\nguest agent\n")
	with reloading("timeout shim 1s\nksm off\n", timeouts={"shim": "2s"},
	    args=["-v", "1"]) as d:
		d.reload("timeout shim 3s\nksm auto\nlog level debug\n",
		    "nothing changed")


# ------------------------------------------------- processes that hang, die

def stopped(pid):
	"""A process that does not answer from now on."""
	os.kill(pid, signal.SIGSTOP)
	wait_for(lambda: status(pid)["State"][0] == "T", "a stopped process")


@test("reload", "an engine that does not answer is killed, and no other",
    private=False)
def silent_engine():
	need_root()
	with reloading("timeout reload 3s\n", start=False) as d, \
	    Manager() as m:
		d.env.update(m.env())
		d.start()
		d.steady = Steady(d)
		m.until("READY=1")
		vm, pid = engine_of(d, d.vm)
		token = vm.token()
		stopped(pid)
		d.write("timeout reload 3s\nlimit clients per vm 1\n")
		first = Task(ctl, d)
		m.until("RELOADING=1")
		# Another request, a signal and a registration meanwhile.
		equal(ctl(d), (1, ["a reload is under way"]), "another")
		late = Task(Tenant(d, *me()).try_register, "late",
		    d.agent("late"))
		d.write("timeout reload 3s\nlimit clients per vm 2\n")
		d.hup()
		told = "engine of %s did not answer the reload in 3000 ms: " \
		    "killed" % vm.id
		equal(first.get("reload"), (0, [told, "configuration "
		    "reloaded: limit clients per vm"]), "the first")
		d.wait_log(re.escape(told), level="error")
		d.wait_log("engine of %s, pid %d, died: signal 9" % (vm.id,
		    pid))
		wait_for(lambda: len([e for e in d.entries() if e["msg"] ==
		    "configuration reloaded: limit clients per vm"]) == 2,
		    "the one that the signal asked for")
		equal(late.get("registration"), None, "the registration")
		# Its VM is lost; the one that came in between works by now's.
		vm.client.expect_closed()
		c = d.client()
		c.attach(vm.id)
		check("unknown token" in c.fails(CONNECT, {"token": token}),
		    "a token of the lost VM")
		equal(Tenant(d, *me()).try_attach("late"), None, "attach")
		equal(Tenant(d, *me()).try_attach("late"),
		    "too many clients of late", "one more")
		m.until("READY=1")


@test("reload", "a frontend that does not answer: nothing changes",
    private=False)
def silent_frontend():
	need_root()
	with reloading("timeout reload 1s\n") as d:
		vm = d.vm()
		fe = child(d, "frontend")
		stopped(fe)
		d.write("timeout reload 10s\nlimit clients per vm 1\n")
		d.hup()
		d.wait_log("^reload failed: the frontend did not answer in "
		    "1000 ms" + STAYS)
		d.hup()
		d.wait_log("^reload failed: the frontend has not answered the "
		    "last one" + STAYS)
		equal(vm.client.hyper("ping"), b"", "a command")
		os.kill(fe, signal.SIGCONT)
		for i in range(3):
			equal(Tenant(d, *me()).try_attach(vm.id), None,
			    "attach")
		d.write("limit clients per vm 4\n")
		wait_for(lambda: ctl(d)[0] == 0, "a reload")
		equal(Tenant(d, *me()).try_attach(vm.id), "too many clients "
		    "of %s" % vm.id, "one more")


@test("reload", "processes that die in the middle", private=False)
def deaths():
	need_root()
	for who in ("engine", "frontend"):
		d = ReloadDaemon()
		try:
			with Manager() as m:
				d.env.update(m.env())
				d.start()
				m.until("READY=1")
				vm, pid = engine_of(d, d.vm)
				beside = d.vm()
				if who == "frontend":
					pid = child(d, "frontend")
				stopped(pid)
				d.write("limit clients per vm 1\n")
				d.hup()
				m.until("RELOADING=1")
				os.kill(pid, signal.SIGKILL)
				if who == "engine":
					d.wait_log("^configuration reloaded")
					beside.client.hyper("ping")
					continue
				equal(d.wait_exit(), 1, "exit status")
				d.wait_log("^reload failed: the daemon ends")
				equal(d.find_log("^configuration reloaded"),
				    None, "success")
		finally:
			wrong = d.dispose()
		check(not wrong, wrong)


# ------------------------------------------------------------ all around

@test("reload", "RELOADING, then READY, and STATUS tells of a failure",
    private=False)
def notified():
	with Manager() as m:
		d = ReloadDaemon()
		d.env.update(m.env())
		d.start()
		m.until("READY=1")
		last = [None]

		def told(text, failure):
			d.write(text)
			before = time.monotonic_ns() // 1000
			d.hup()
			got = m.until("RELOADING=1")[-1]
			usec = dict(l.split("=", 1) for l in got)[
			    "MONOTONIC_USEC"]
			check(before <= int(usec) <=
			    time.monotonic_ns() // 1000, "its time")
			equal(got, ["RELOADING=1", "MONOTONIC_USEC=" + usec],
			    "the beginning")
			end = sum(m.until("READY=1"), [])
			want = "STATUS=virtual machines: 0"
			if failure:
				want += "; reload failed: " + failure
			# It may be told a moment later, and is told once.
			while want not in end and last != [failure]:
				end += m.next()
			last[:] = [failure]
		told("limit vms 5\n", None)
		told("limit vms 0\n", "%s:%d:11: vms must be from 1 to 65536" %
		    (d.conf, d.lines + 2))
		told("limit vms 6\n", None)
		told("control /x\n", 'other "control": needs a restart')
		disposed = d.dispose()
		check(not disposed, disposed)


@test("reload", "100 in a row, with clients that come and go",
    private=False)
def many():
	n = scaled(100, 20)
	texts = ["vm directory \"{dir}\" owner { 0 %d }\nallow any from any\n"
	    "limit vms 100\n" % os.geteuid(), "timeout shim 1h\n" +
	    "allow any from user 0\n" * 200 + "allow any from any\n",
	    "no such thing\n", "listen on /run/x\n"]
	with reloading(timeouts={"reload": "60s"}) as d:
		vm = d.vm()
		stop = threading.Event()
		seen = collections.Counter()

		def flood():
			c = Tenant(d, *me())
			while not stop.is_set():
				i = sum(seen.values())
				vm = "f%d" % i
				e = c.try_register(vm, d.flood_agent)
				seen[e] += 1
				if e is None:
					c.try_unregister(vm)
					c.close()
					d.flood_agent.hang_up("ctl")
					c = Tenant(d, *me())
			c.close()

		def row(n):
			for i in range(n):
				mark = d.log_mark()
				d.write(texts[i % len(texts)])
				d.hup()
				d.wait_log("^(configuration reloaded|reload "
				    "failed)", mark)
			d.reload("")
		d.flood_agent = Agent(d.dir, "flood")
		d.agents.append(d.flood_agent)
		t = Task(flood)
		row(n // 4)
		stop.set()
		t.get("registrations")
		equal(set(seen), {None}, "registrations: %s" % seen)
		note("%d registrations in %d reloads" % (seen[None], n // 4))
		wait_for(lambda: len(d.engines()) == 2, "the other engines")
		pids = [d.pid, child(d, "frontend")] + d.engines()
		kinds = [sorted(fd_types(p).values()) for p in pids]
		size = [anonymous(p) for p in pids]
		row(n)
		wait_for(lambda: [sorted(fd_types(p).values()) for p in
		    pids] == kinds, "descriptors as before")
		now = [anonymous(p) for p in pids]
		note("KiB: %s, then %s" % (size, now))
		check(SANITIZED or all(b <= a + 128 for a, b in zip(size,
		    now)), "memory: %s, then %s" % (size, now))
		vm.client.hyper("ping")


@test("reload", "a pod's daemon that was given a file", private=False)
def pod():
	d = pod_daemon(args=["-f", "/nonexistent"], level=None, start=False)
	try:
		conf = os.path.join(d.dir, "conf")
		d.argv[d.argv.index("/nonexistent")] = conf
		with open(conf, "w") as f:
			f.write("log level warn\n")
		d.start()
		d.vm("pod")
		with open(conf, "w") as f:
			f.write("log level info\nksm off\nlisten on /x\n")
		d.proc.send_signal(signal.SIGHUP)
		d.wait_log("^configuration reloaded: log level")
	finally:
		wrong = d.dispose()
	check(not wrong, wrong)


@test("reload", "by a client that goes, or says what it may not",
    private=False)
def clients():
	def message(kind):
		return struct.pack("=IIII", kind, 16, 0, 0)

	def connect():
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(CEILING)
		s.connect(d.path + ".ctl")
		return s
	with reloading() as d:
		s = connect()
		s.sendall(message(0x505))
		s.close()
		d.wait_log("^configuration reloaded")
		s = connect()
		s.sendall(message(0x505) * 2)
		while s.recv(4096):
			pass
		d.wait_log("control client broke the protocol: CTL_RELOAD in "
		    "state")
		s.close()
		d.reload(want="nothing changed")


ccp.main()

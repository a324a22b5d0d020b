#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Security events: each that the manual lists is reported once for what it is
about, with the right fields, and nothing else is; nobody hides another's,
forges one, or finds a secret in one; and the journal gets them as they are."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from tenants import *
import integ

ALICE, BOB, CAROL = 3001, 3002, 3003
SEEN = set()


def table():
	"""{name: level} of the manual."""
	out = {}
	with open(os.path.join(TOP, "man", "cc-proxy-audit.7")) as f:
		for m in re.finditer(r"^\.It Cm ([a-z-]+) Pq (\w+) :",
		    f.read(), re.M):
			out[m.group(1)] = {"warn": "warning"}.get(m.group(2),
			    m.group(2))
	check(len(out) > 15, "events in the manual: %s" % out)
	return out


LEVELS = table()


def events(d, mark=0, **want):
	return [e for e in d.entries(mark, **want) if "event" in e]


class Ledger:
	"""The events there should be, in any order, and no others."""

	def __init__(self, d):
		self.d, self.want = d, []
		if d.running():
			self.starts()

	def __call__(self, event, **fields):
		check(event in LEVELS, "%s is not in the manual" % event)
		fields = {k: str(v) for k, v in fields.items()}
		self.want.append(dict(fields, event=event))
		want = self.want[-1]
		wait_for(lambda: len(self.matches(want, events(self.d))) >=
		    self.want.count(want), "event %s" % want)

	@staticmethod
	def matches(want, among):
		return [e for e in among
		    if all(e.get(k) == v for k, v in want.items())]

	def starts(self):
		self("config-loaded", path=self.d.conf)
		self("daemon-started")
		self("process-started", process="frontend", process_pid=
		    integ.child(self.d, "frontend"))

	def registered(self, c, tenant, ident, agent):
		"""A registration and what it brings about; the engine."""
		before = set(self.d.engines())
		equal(c.try_register(ident, agent), None, "register")
		self("vm-registered", vm=ident, path=agent.ctl_path,
		    **tenant)
		new = set(self.d.engines()) - before
		equal(len(new), 1, "engines")
		pid = new.pop()
		self("process-started", process="engine", vm=ident,
		    process_pid=pid)
		return pid

	def settle(self):
		left = events(self.d)
		for want in self.want:
			found = self.matches(want, left)
			check(found, "twice, or never: %s" % want)
			e = found[0]
			left.remove(e)
			SEEN.add(e["event"])
			line = e["msg"].startswith(("error serving client",
			    "couldn't accept connection"))
			equal(e["level"], "error" if line else
			    LEVELS[e["event"]], "level of %s" % e)
			equal(e.get("by") in ("frontend", "engine"),
			    e.get("by") is not None, "by")
			for k in e:
				check(k != "claimed_event", "claim: %s" % e)
		check(not left, "%d more events: %s" % (len(left), left))


def who(kind, d, uid, gid=None):
	"""A tenant, and what events say of it."""
	c = kind(d, uid, gid)
	return c, {"uid": uid, "gid": uid if gid is None else gid,
	    "peer": Peer.pid, "protocol": PROTO[kind]}


PROTO = {Tenant: 3, Tenant1: 1}
STOP = {"NOTIFY_SOCKET": "/nonexistent/notify"}	# so that SIGTERM is handled


class audited:
	"""with audited(conf) as (d, led): at level warn, with log events; at its
	end every event that there was is accounted for."""

	def __init__(self, text, **kw):
		kw.setdefault("level", "warn")
		self.s = serving("log events\n" + text, **kw)

	def __enter__(self):
		self.d = self.s.__enter__()
		self.led = Ledger(self.d)
		return self.d, self.led

	def __exit__(self, kind, value, tb):
		if kind is None:
			try:
				self.led.settle()
			except BaseException:
				self.s.__exit__(*sys.exc_info())
				raise
		self.s.__exit__(kind, value, tb)


@test("audit", "registering, attaching, leaving, by whom", private=False)
def success():
	need_root()
	with audited("", env=STOP) as (d, led):
		for kind in TENANTS:
			name = "vm-%d" % PROTO[kind]
			a = d.agent(name)
			c, _ = who(kind, d, ALICE)
			pid = led.registered(c, _, name, a)
			c, bob = who(kind, d, BOB, CAROL)
			equal(c.try_attach(name), None, "attach")
			led("client-attached", vm=name, by="frontend", **bob)
			if kind is Tenant:
				token = c.attach(name, 2)[0]
				led("client-attached", vm=name, **bob)
				s, shim = who(kind, d, CAROL)
				s.connect_shim(token)
				led("shim-connected", vm=name, by="engine",
				    **shim)
			else:
				c.allocate_io(1)
				led("io-allocated", vm=name, by="engine",
				    **bob)
			equal(c.try_unregister(name), None, "unregister")
			led("vm-unregistered", vm=name, by="frontend", **bob)
			for x in d.clients:
				x.close()
			a.hang_up("io")
			led("vm-lost", vm=name, by="engine",
			    reason="I/O channel closed")
			led("process-exited", process="engine", vm=name,
			    process_pid=pid, status=0)
		with socket.socket(socket.AF_UNIX) as s:
			s.connect(d.path + ".ctl")
			led("control-connected", uid=0, gid=0,
			    peer=os.getpid(), by="frontend")
		frontend = integ.child(d, "frontend")
		d.proc.send_signal(signal.SIGTERM)
		led("daemon-stopping", reason="SIGTERM")
		led("process-exited", process="frontend",
		    process_pid=frontend, status=0)
		d.wait_exit()
		led.settle()
		d.start()
		led.starts()


@test("audit", "another configuration, and one that is none", private=False)
def reloads():
	with audited("") as (d, led):
		with open(d.conf) as f:
			good = f.read()
		for text, event, more in (
		    (good + "limit vms none\n", "config-refused",
		    {"reason": "1 error"}),
		    (good + "limit vms 7\n", "config-loaded", {})):
			with open(d.conf, "w") as f:
				f.write(text)
			d.proc.send_signal(signal.SIGHUP)
			led(event, path=d.conf, **more)
			if not more:
				d.wait_log("^configuration reloaded: limit")


@test("audit", "refusals, by policy and for a token", private=False)
def refusals():
	need_root()
	with audited("deny any from user %d\n"
	    'vm directory "{dir}/vms"\n' % BOB, start=False) as (d, led):
		os.mkdir(os.path.join(d.dir, "vms"))
		d.start()
		led.starts()
		good = Agent(os.path.join(d.dir, "vms"), "good")
		bad = d.agent("bad")
		d.agents.append(good)
		c, alice = who(Tenant, d, ALICE)
		led.registered(c, alice, "good", good)
		for kind in TENANTS:
			c, bob = who(kind, d, BOB)
			equal(c.try_register("bob", good), DENIED, "register")
			led("vm-refused", vm="bob", reason="policy", **bob)
			for op in ("attach", "unregister"):
				equal(getattr(c, "try_" + op)("good"), DENIED,
				    op)
				led("client-refused", op=op, vm="good",
				    reason="policy", **bob)
			c, alice = who(kind, d, ALICE)
			path = dict(alice, vm="bad", path=bad.ctl_path)
			del path["protocol"]
			check(DENIED in c.try_register("bad", bad), "path")
			led("path-refused", reason="in no vm directory",
			    **path)
			path["path"] = os.path.join(d.dir, "vms", "none")
			bad.ctl_path = path["path"]
			check("no such file" in c.try_register("bad", bad),
			    "no socket")
			led("vm-failed", reason="no such file or directory",
			    **path)
			bad.ctl_path = path["path"] = os.path.join(d.dir,
			    "bad.ctl")
		tokens(d, led)


def tokens(d, led):
	"""Nobody learns another's, and guesses are seen."""
	c, alice = who(Tenant, d, ALICE)
	token = c.attach("good", 1)[0]
	led("client-attached", vm="good", **alice)
	guess = "A" * 43 + "="
	s, carol = who(Tenant, d, CAROL)
	for t in (guess, "x"):
		s.fails(CONNECT, {"token": t})
		led("client-refused", op="connect", by="frontend",
		    reason="unknown token", **carol)
		s, carol = who(Tenant, d, CAROL)
	s.connect_shim(token)
	led("shim-connected", vm="good", **carol)
	c.fails(CONNECT, {"token": token})
	led("client-refused", op="connect", by="engine",
	    reason="token already claimed", vm="good", **alice)
	c.fails(CONNECT, {"token": guess})
	led("client-refused", op="connect", by="engine",
	    reason="unknown token", vm="good", **alice)


@test("audit", "limits, by their names", private=False)
def limits():
	need_root()
	with audited("limit vms 1\nlimit clients per vm 3\n"
	    "limit tokens per vm 2\nlimit clients per uid 2\n"
	    "limit output per shim 16K\ntimeout shim 300ms\n") as (d, led):
		a = d.agent("vm")
		c, alice = who(Tenant, d, ALICE)
		led.registered(c, alice, "vm", a)
		for kind in TENANTS:
			m, bob = who(kind, d, BOB)
			del bob["protocol"]
			equal(m.try_register("more", a), "too many VMs",
			    "register")
			led("limit-reached", limit="vms", max=1, vm="more",
			    **bob)
			m.close()
		equal(c.try_attach("vm", 3), "no more I/O tokens", "attach")
		led("limit-reached", limit="tokens per vm", max=2, vm="vm",
		    **alice)
		token = c.attach("vm", 1)[0]
		led("client-attached", vm="vm", **alice)
		s, shim = who(Tenant, d, ALICE)
		s.connect_shim(token)
		led("shim-connected", vm="vm", **shim)
		for i in range(2):
			m, carol = who(TENANTS[i], d, CAROL)
			got = m.try_attach("vm")
			if i == 0:
				equal(got, None, "attach")
				led("client-attached", vm="vm", **carol)
				continue
			equal(got, "too many clients of vm", "one more")
			led("limit-reached", limit="clients per vm", max=3,
			    vm="vm", **carol)
			m.close()
		idle = [Tenant(d, BOB) for i in range(2)]
		m, bob = who(Tenant, d, BOB)
		m.expect_closed()
		led("limit-reached", limit="clients per uid", max=2, **bob)
		s.close()
		c.hyper("ping")
		for i in range(5):
			a.tty(1 + 2, b"x" * 4084)
		led("limit-reached", limit="output per shim", max=16384,
		    vm="vm", by="engine", section="io")


@test("audit", "rules that are broken, by clients and guests",
    private=False)
def violations():
	need_root()
	with audited("") as (d, led):
		for kind in TENANTS:
			c, alice = who(kind, d, ALICE)
			c.raw(b"\377" * 12)
			c.expect_closed()
			led("protocol-violation", by="frontend", **alice)
			name = "vm-%d" % PROTO[kind]
			a = d.agent(name)
			c, alice = who(kind, d, ALICE)
			led.registered(c, alice, name, a)
			c.raw(b"\377" * 12)
			c.expect_closed()
			led("protocol-violation", by="engine", vm=name,
			    **alice)
			a.raw_io(struct.pack(">QI", 1, 0xffffffff))
			led("protocol-violation", by="engine", vm=name,
			    process="guest", reason="I/O message too long")
			led("vm-lost", vm=name)
		with socket.socket(socket.AF_UNIX) as s:
			s.connect(d.path + ".ctl")
			led("control-connected", uid=0)
			s.sendall(b"\377" * 64)
			led("protocol-violation", uid=0, gid=0,
			    peer=os.getpid(), by="frontend")


@test("audit", "processes that die, and how", private=False)
def deaths():
	need_root()
	with audited("") as (d, led):
		for sig in (signal.SIGKILL, signal.SIGABRT):
			name = "vm%d" % sig
			c, alice = who(Tenant, d, ALICE)
			pid = led.registered(c, alice, name, d.agent(name))
			os.kill(pid, sig)
			led("process-died", process="engine", vm=name,
			    process_pid=pid, signal=int(sig))
		pid = integ.child(d, "frontend")
		os.kill(pid, signal.SIGKILL)
		led("process-died", process="frontend", process_pid=pid,
		    signal=9)
		led("daemon-stopping", reason="the frontend ended")
		equal(d.wait_exit(), 1, "exit status")
		d.start()
		led.starts()


@test("audit", "at level warn alone: what went wrong, and no more",
    private=False)
def quiet():
	need_root()
	with serving("deny attach from user %d\n" % BOB, level="warn") as d:
		c = Tenant(d, ALICE)
		equal(c.try_register("vm", d.agent("vm")), None, "register")
		equal(Tenant(d, BOB).try_attach("vm"), DENIED, "attach")
		wait_for(lambda: events(d), "an event")
		equal(Tenant(d, ALICE).try_attach("vm"), None, "attach")
		equal([e["event"] for e in events(d)], ["client-refused"],
		    "events")


@test("audit", "one user's flood leaves another's refusal", private=False)
def flood():
	need_root()
	with serving("log events\nlimit vms 1\n"
	    "deny { attach unregister } from user %d\n"
	    "deny { attach unregister } from user %d\n" % (ALICE, BOB),
	    level="warn") as d:
		a = d.agent("vm")
		equal(Tenant(d, CAROL).try_register("vm", a), None,
		    "register")
		n = integ.scaled(1500, 800)
		c = [k(d, ALICE) for k in TENANTS]
		for i in range(n):
			equal(c[i % 2].try_attach("vm"), DENIED, "attach")
		for op in ("attach", "unregister"):
			equal(getattr(Tenant(d, BOB), "try_" + op)("vm"),
			    DENIED, op)
			wait_for(lambda: events(d, event="client-refused",
			    uid=str(BOB), op=op), "the event of another user")
		# By the parent as well.
		for i in range(n):
			equal(c[i % 2].try_register("more", a),
			    "too many VMs", "register")
		equal(Tenant(d, BOB).try_register("more", a), "too many VMs",
		    "register")
		wait_for(lambda: events(d, event="limit-reached",
		    uid=str(BOB)), "the event of another user")
		# All are accounted for, when it is quiet.
		wait_for(lambda: accounted(d, a) == 2 * n,
		    "count of what is not there")
		check(events(d, event="events-suppressed"),
		    "nothing was suppressed")
		for e in events(d, event="events-suppressed"):
			equal(e["uid"], str(ALICE), "whose were suppressed")
			SEEN.add(e["event"])


def accounted(d, a):
	"""Of the one user: what is there and what is said not to be.  It is
	said with the next event, whose it is."""
	c = Tenant(d, BOB)
	c.try_attach("vm")
	c.try_register("more", a)
	return sum(int(e.get("count", 1)) for e in events(d, uid=str(ALICE))
	    if e["event"] in ("client-refused", "limit-reached",
	    "events-suppressed"))


FORGED = ('a" event=process-died', "a\nlevel=warning event=vm-lost x",
    "a\ttime=x\r\n", "\033[31mred\033[0m", "caf\u00e9 \u202e",
    "a=b", "\\", "\x7f")


@test("audit", "what clients choose forges nothing", private=False)
def forged():
	need_root()
	with audited("deny attach from user %d\n" % BOB) as (d, led):
		c, bob = who(Tenant, d, BOB)
		for ident in FORGED:
			equal(c.try_attach(ident), DENIED, "attach")
			led("client-refused", op="attach", vm=ident, **bob)
		# Bytes that are no text, and one that is too long.
		c.cmd(ATTACH, Raw(b'{"containerId":"a\377\376b"}'))
		equal(error_text(c.response(ATTACH)), DENIED, "attach")
		led("client-refused", op="attach", vm="a\ufffd\ufffdb",
		    **bob)
		equal(c.try_attach("x" * 3000), DENIED, "attach")
		led("client-refused", op="attach", vm="x" * 512, **bob)
		# A client's own log entries are none.
		c.log(level="warn", source="shim", msg="permission denied",
		    event="process-died")
		c.try_attach("end")
		led("client-refused", op="attach", vm="end", **bob)
		with open(d.log_path, "rb") as f:
			text = f.read()
		for line in text.decode().splitlines():
			if line != "starting in system mode":
				ccp.parse_logfmt(line)
		check(b"\033" not in text, "a line drives a terminal")


@test("audit", "no token and no environment in any line", private=False)
def secrets():
	need_root()
	secret = "sEcReT-4711-value"
	with serving("log events\n", level="debug") as d:
		a = d.agent("vm")
		c = Tenant(d, ALICE)
		equal(c.try_register("vm", a), None, "register")
		tokens = c.attach("vm", 3)
		s = [Tenant(d, BOB) for i in range(3)]
		for x, t in zip(s[:2], tokens):
			x.connect_shim(t)
		c.hyper("newcontainer", {"id": "c", "process": {"envs": [
		    {"env": "KEY", "value": secret}]}}, [tokens[0]])
		c.fails(CONNECT, {"token": tokens[0]})
		s[2].fails(CONNECT, {"token": tokens[2][:-2] + "A="})
		s[2].raw(frame(COMMAND, CONNECT, compact({"token":
		    tokens[2]}), version=3))
		s[2].expect_closed()
		s[1].disconnect_shim()
		Tenant(d, BOB).fails(CONNECT, {"token": tokens[1]})
		c1 = Tenant1(d, ALICE)
		equal(c1.try_attach("vm"), None, "attach")
		c1.hyper("newcontainer", {"id": "d", "process": {"envs": [
		    {"env": "KEY", "value": secret}]}})
		equal(c.try_unregister("vm"), None, "unregister")
		wait_for(lambda: events(d, event="vm-unregistered"), "event")
		text = d.log_text()
		check(secret not in text, "an environment in the log")
		for t in tokens:
			check(t not in text, "a token in the log")
			check(t[9:30] not in text, "most of a token")
		for e in events(d):
			for k, v in e.items():
				check(not any(t[:6] in v for t in tokens),
				    "a part of a token in the event %s" % e)


class Journal:
	"""Stands for the journal, in a mount namespace of the daemon's."""

	def __init__(self):
		need_mount_namespace()
		self.dir = tempfile.mkdtemp(prefix="ccp-journal-")
		os.chmod(self.dir, 0o755)
		self.name = os.path.join(self.dir, "socket")
		self.entries = []
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		self.sock.bind(self.name)
		threading.Thread(target=self._read, daemon=True).start()
		self.ours, self.theirs = socket.socketpair()
		st = os.fstat(self.theirs.fileno())
		self.env = {"JOURNAL_STREAM": "%d:%d" % (st.st_dev,
		    st.st_ino)}
		self.wrap = ["unshare", "-m", "sh", "-c",
		    "mount -t tmpfs none /run && "
		    "mkdir -p /run/systemd/journal && "
		    'mount --bind "$0" /run/systemd/journal && exec "$@"',
		    self.dir]

	def _read(self):
		while True:
			try:
				m = self.sock.recv(1 << 18)
			except OSError:
				return
			if not m:
				return
			self.entries.append(self.parse(m))

	@staticmethod
	def parse(m):
		out = {}
		while m:
			line, _, rest = m.partition(b"\n")
			name, eq, value = line.partition(b"=")
			if not eq:
				n = struct.unpack("<Q", rest[:8])[0]
				value = rest[8:8 + n]
				check(rest[8 + n:9 + n] == b"\n", "end of %s" %
				    name)
				rest = rest[9 + n:]
			check(name.decode() not in out, "%s twice" % name)
			out[name.decode()] = value
			m = rest
		return out

	def wait(self, **want):
		want = {k: v.encode() for k, v in want.items()}
		return wait_for(lambda: next((e for e in self.entries
		    if all(e.get(k) == v for k, v in want.items())), None),
		    "journal entry %s" % want)

	def stderr(self):
		self.ours.setblocking(False)
		try:
			return self.ours.recv(1 << 18)
		except BlockingIOError:
			return b""

	def close(self):
		for s in (self.sock, self.ours, self.theirs):
			try:
				s.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass
			s.close()
		shutil.rmtree(self.dir, ignore_errors=True)


@test("audit", "the journal gets fields, and standard error no line",
    private=False)
def journal():
	j = Journal()
	d = ConfDaemon("log events\ndeny attach from user %d\n" % BOB,
	    wrap=j.wrap, env=j.env, level="warn", start=False)
	d.agents.append(j)
	try:
		d.proc = subprocess.Popen(d.argv, stdin=subprocess.DEVNULL,
		    stderr=j.theirs, stdout=subprocess.DEVNULL, cwd=d.dir,
		    env=d.env)
		j.theirs.close()
		open(d.log_path, "w").close()
		d.wait_listening()
		j.wait(CCP_EVENT="daemon-started", SYSLOG_IDENTIFIER=
		    "cc-proxy", PRIORITY="6", CCP_SOURCE="proxy")
		equal(Tenant(d, ALICE).try_register("vm", d.agent("vm")),
		    None, "register")
		j.wait(CCP_EVENT="vm-registered", CCP_VM="vm",
		    CCP_UID=str(ALICE))
		for ident in FORGED:
			equal(Tenant(d, BOB).try_attach(ident), DENIED,
			    "attach")
			e = j.wait(CCP_EVENT="client-refused", CCP_VM=ident,
			    CCP_UID=str(BOB), CCP_OP="attach", PRIORITY="4",
			    CCP_BY="frontend", CCP_PEER=str(Peer.pid))
			line = ccp.parse_logfmt(e["MESSAGE"].decode())
			equal(line["vm"], ident, "the line's id")
			equal(line["msg"], e["CCP_MSG"].decode(), "message")
		equal(j.stderr(), b"starting in system mode\n", "stderr")
		# As long as it is away, lines are where they would be.
		j.sock.shutdown(socket.SHUT_RDWR)
		j.sock.close()
		os.unlink(j.name)
		equal(Tenant(d, BOB).try_attach("away"), DENIED, "attach")
		line = wait_for(j.stderr, "a line on stderr")
		equal(ccp.parse_logfmt(line.decode().splitlines()[0])["vm"],
		    "away", "the line")
	except BaseException:
		d.dispose()
		raise
	equal(d.dispose(), None, "its end")


# The last: what no test above has seen is not what the manual says.
@test("audit", "each event of the manual was reported", private=False)
def complete():
	need_root()
	equal(sorted(set(LEVELS) - SEEN), [], "events never seen")


ccp.main()

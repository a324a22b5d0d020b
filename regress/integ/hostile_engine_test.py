#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""An engine that was taken over says to the parent and to the frontend what
no engine may say.  It is logged once and killed, its VM is lost cleanly, and
nobody else notices."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

GONE = "No multicast available for CTL channel"
FD_MARK = 0x80000000
HEADER = 16
LARGEST = 16384		# header included
LAYERS = struct.pack(">I", 0x7ff)

# What an engine may say, and when: before READY and after VM_UP to the parent,
# before and after VM_UP to the frontend; and in a reload.
MAY = {("parent", "early"): {"SETUP_READY"},
    ("parent", "reload"): {"SETUP_ACK"},
    ("parent", "late"): {"VM_LOST"},
    ("peer", "early"): {"VM_UP", "VM_ERROR"},
    ("peer", "late"): {"VM_LOST", "VM_STATS", "CONN_TAKEN", "CONN_CLOSED",
    "ASK_UNREGISTER", "ASK_ID", "ASK_TOKEN", "ASK_MINT", "TOKEN_FREED"}}
NOBODYS = b"A" * 43 + b"="	# a token


def message(kind, payload=b"", length=None, mark=0):
	if length is None:
		length = HEADER + len(payload)
	return struct.pack("=IIII", kind, length | mark, 0, 0) + payload


def text(s):
	return struct.pack(">H", len(s)) + s


class Puppet:
	"""One hostile engine."""

	def __init__(self, rig, sock, pid):
		self.rig, self.sock, self.pid = rig, sock, pid
		self.buf = b""

	def do(self, *words):
		"""A command; its answer without "ok", None at its death."""
		try:
			self.sock.sendall((" ".join(str(w) for w in words) +
			    "\n").encode())
		except OSError:
			return None
		while b"\n" not in self.buf:
			try:
				part = self.sock.recv(65536)
			except ConnectionResetError:
				part = b""
			except socket.timeout:
				raise Fail("the engine says nothing")
			if not part:
				return None
			self.buf += part
		line, self.buf = self.buf.split(b"\n", 1)
		line = line.decode()
		return line[3:] if line.startswith("ok") else line

	def raw(self, channel, data, nfds=0):
		return self.do("raw", channel, data.hex(), nfds)

	def say(self, channel, name, payload=b""):
		return self.raw(channel, message(self.rig.number[name],
		    payload))

	def heard(self, name, channel="peer"):
		"""The payload of the frontend's next such message."""
		r = self.do("wait", name, channel)
		check(r is not None and not r.startswith("no"),
		    "%s: %s" % (name, r))
		return b"" if r == "-" else bytes.fromhex(r)

	def dead(self):
		self.sock.settimeout(CEILING)
		try:
			while self.sock.recv(65536):
				pass
		except ConnectionResetError:
			pass
		except socket.timeout:
			raise Fail("the engine lives")
		wait_for(lambda: not alive(self.pid), "end of the engine")

	def close(self):
		self.sock.close()


class Rig:
	"""The daemon with its hostile engines, and a VM beside them."""

	def __init__(self, d):
		need_root()
		self.d = d
		self.libexec = os.path.join(d.dir, "libexec")
		os.mkdir(self.libexec, 0o755)
		for name, source in (("ccp-frontend", "ccp-frontend"),
		    ("ccp-vmengine.real", "ccp-vmengine"),
		    ("ccp-vmengine", "regress/sandbox/hostile_engine")):
			shutil.copy(binary(source), os.path.join(self.libexec,
			    name))
		d.argv[d.argv.index("-libexec") + 1] = self.libexec
		self.listener = socket.socket(socket.AF_UNIX,
		    socket.SOCK_STREAM)
		self.listener.bind(os.path.join(self.libexec, "puppet"))
		self.listener.listen(64)
		self.listener.settimeout(CEILING)
		d.start()
		self.number, self.info = {}, {}
		self.n = self.tried = 0
		self.agent = d.agent("hostile", ready=False)
		d.bystander = Bystander(d)
		self.steady = Steady(d)
		p = self.engine()
		for entry in p.do("table").split("; ")[:-1]:
			name, kind, low, high, fd = entry.split()
			self.number[name] = int(kind)
			self.info[name] = int(low), int(high), int(fd)
		self.finish(p, p.do("exit", 0))
		self.fds, self.children = d.fds(), len(d.children())

	def engine(self, up=False):
		"""Of a new VM; up: until the client that registered it has
		come to the engine."""
		self.n += 1
		c = self.d.client()
		ident = "hostile%d" % self.n
		c.cmd(REGISTER, register_request(ident, self.agent.ctl_path,
		    self.agent.io_path))
		try:
			s = self.listener.accept()[0]
		except socket.timeout:
			raise Fail("no hostile engine")
		s.settimeout(CEILING)
		hello = b""
		while not hello.endswith(b"\n"):
			hello += s.recv(100)
		word, name, pid = hello.decode().split()
		equal(name, ident, "VM of the engine")
		p = Puppet(self, s, int(pid))
		p.id, p.client, p.up = ident, c, up
		p.raced = False		# it may or may not have come up
		p.mark = self.d.log_mark()
		equal(p.do("setup"), "", "setup")
		if up:
			p.say("parent", "SETUP_READY", LAYERS)
			p.say("parent", "VM_UP")
			p.say("peer", "VM_UP")
			p.handover = p.heard("CONN_HANDOVER")
			p.connid = p.handover[:4]
		return p

	def finish(self, p, *ignored):
		"""The engine goes: so does all that was its own."""
		p.dead()
		p.close()
		self.gone(p)

	def gone(self, p):
		"""By the rules for a VM that is lost."""
		c = self.d.client()
		if p.up:
			p.client.expect_closed()
			c.attach(p.id)
			equal(c.hyper_fails("ping"), GONE, "command")
			c.fails(REGISTER, register_request(p.id, "/a", "/b"))
			c.ok(UNREGISTER, {"containerId": p.id})
			return self.leave(c, p)
		f = p.client.recv()
		if f is None and p.raced:
			c.ok(UNREGISTER, {"containerId": p.id})
		else:
			check(f is not None, "RegisterVM is not answered")
			error_text(f)
		self.leave(c, p)

	def leave(self, c, p):
		c.fails(ATTACH, {"containerId": p.id})
		for x in (c, p.client):
			x.close()
			self.d.clients.remove(x)

	def killed(self, p, channel, why):
		"""It is, for a reason that is told once, by who saw it."""
		p.dead()
		p.close()
		died = self.d.wait_log(r"^engine of %s, pid %d, died: "
		    r"signal 9" % (p.id, p.pid), p.mark)
		lines = [e["msg"] for e in self.d.entries(p.mark)
		    if p.id in re.split("[ :,]+", e["msg"])]
		who = "engine %s: pid %d" % (p.id, p.pid) \
		    if channel == "parent" else "engine of %s" % p.id
		told = [l for l in lines if "broke the protocol" in l]
		equal(len(told), 1, "lines about it: %s" % lines)
		check(re.match(r"%s broke the protocol: %s(: killed)?$" % (who,
		    why), told[0]), "%s, not %s" % (told[0], why))
		equal(lines, [told[0], died["msg"]], "the log")
		self.gone(p)
		self.tried += 1

	def lie(self, channel, late, data, why, nfds=0, before=None,
	    raced=False):
		p = self.engine(late)
		p.raced = raced
		if channel == "peer" and not late:
			# The frontend gets its end with the engine's READY.
			p.say("parent", "SETUP_READY", LAYERS)
		if before is not None:
			before(p)
		p.raw(channel, data(p) if callable(data) else data, nfds)
		self.killed(p, channel, why)

	def settled(self):
		"""Nothing is left of any of them."""
		self.d.bystander.check()
		wait_for(lambda: len(self.d.children()) == self.children,
		    "number of processes")
		wait_for(lambda: self.d.fds() == self.fds,
		    "number of descriptors, %d" % self.fds)

	def end(self):
		self.settled()
		note("%d lies; %d bytes of another VM's streams" % (self.tried,
		    self.steady.end()))
		self.listener.close()


def rig(func):
	"""A test with a daemon of its own."""
	def run():
		d = ccp.Daemon(start=False, **QUIET)
		try:
			r = Rig(d)
			func(r)
			r.end()
			check(d.running(), "the daemon ended")
		except Skip:
			raise
		except BaseException:
			ccp.show_log(d)
			raise
		finally:
			wrong = d.dispose()
		check(not wrong, wrong)
	run.__name__ = func.__name__
	return run


PLACES = [(channel, late) for channel in ("parent", "peer")
    for late in (False, True)]


def may(channel, late):
	return MAY[channel, "late" if late else "early"]


def thinned(items):
	"""A sanitizer's processes take long to start."""
	items = list(items)
	return items[::6] if SANITIZED else items


def wrong_time(r, channel, late):
	known = set().union({"VM_UP"}, *(MAY.get((channel, w), ())
	    for w in ("early", "late", "reload")))
	for name, (low, high, fd) in thinned(r.info.items()):
		if name in may(channel, late):
			continue
		r.lie(channel, late, message(r.number[name], b"\0" * low,
		    mark=FD_MARK if fd else 0), "%s in state 0x\\w+" % name
		    if name in known else "unexpected message %s \\(%d\\)" %
		    (name, r.number[name]), fd)
	for kind in (0, 0xffffffff):
		r.lie(channel, late, message(kind), "unexpected message "
		    "unknown \\(%d\\)" % kind)


@test("hostile-engine", "every message at a time that is not its own, to the "
    "parent", private=False)
@rig
def untimely_parent(r):
	wrong_time(r, "parent", False)
	wrong_time(r, "parent", True)


@test("hostile-engine", "every message at a time that is not its own, to the "
    "frontend", private=False)
@rig
def untimely_frontend(r):
	wrong_time(r, "peer", False)
	wrong_time(r, "peer", True)


@test("hostile-engine", "wrong lengths, descriptors that are too many or "
    "missing", private=False)
@rig
def lengths(r):
	for channel, late in PLACES:
		for name in thinned(sorted(may(channel, late))):
			low, high, fd = r.info[name]
			kind = r.number[name]
			for n in sorted({low - 1, high + 1, high + 999}):
				if n < 0:
					continue
				r.lie(channel, late, message(kind, b"\0" * n),
				    "%s of %d bytes" % (name, n))
			raced = (channel, late, name) == ("peer", False,
			    "VM_UP")
			right = message(kind, b"\0" * low)
			# What was whole before is still looked at.
			either = "(read: .*|malformed %s)" % name
			r.lie(channel, late, message(kind, b"\0" * low,
			    mark=FD_MARK), "%s with a descriptor" % name, 1)
			r.lie(channel, late, right, either, 1,
			    raced=raced)
			r.lie(channel, late, right, either, 2,
			    raced=raced)
			r.lie(channel, late, message(kind, b"\0" * low,
			    mark=FD_MARK), "read: .*")
			r.lie(channel, late, message(kind, b"\0" * low,
			    mark=FD_MARK), "(read: .*|%s with a descriptor)" %
			    name, 16)
	for early in ("VM_UP", "VM_LOST"):
		p = r.engine()
		p.say("parent", "SETUP_READY", LAYERS)
		p.raw("parent", message(r.number["VM_UP"]) * 2 if early ==
		    "VM_UP" else message(r.number["VM_LOST"]))
		r.killed(p, "parent", "%s in state 0x\\w+" % early)
	p = r.engine(True)
	p.raw("parent", message(r.number["VM_LOST"]) * 2)
	r.killed(p, "parent", "VM_LOST in state 0x\\w+")


@test("hostile-engine", "headers that announce what cannot be", private=False)
@rig
def headers(r):
	for channel, late in PLACES:
		for n in thinned((0, 1, HEADER - 1, LARGEST + 1, 0x10000,
		    0x7fffffff, 0xffffffff & ~FD_MARK)):
			r.lie(channel, late, message(0x101, b"x" * 100,
			    length=n), "read: .*")
		r.lie(channel, late, b"\xff" * 64, "read: .*")


@test("hostile-engine", "lies about connections and tokens", private=False)
@rig
def payloads(r):
	theirs = r.d.bystander.vm
	token = theirs.token()
	taken = lambda p: p.say("peer", "CONN_TAKEN", p.connid)

	def closed(p):
		taken(p)
		p.say("peer", "CONN_CLOSED", p.connid)
	other = lambda p: struct.pack(">I", struct.unpack(">I", p.connid)[0]
	    - 1)
	lies = [("CONN_TAKEN", lambda p: b"\0" * 4, None),
	    ("CONN_TAKEN", other, None),
	    ("CONN_TAKEN", lambda p: b"\xff" * 4, None),
	    ("CONN_TAKEN", lambda p: p.connid, taken),
	    ("CONN_TAKEN", lambda p: p.connid, closed),
	    ("CONN_CLOSED", lambda p: p.connid, None),
	    ("CONN_CLOSED", other, taken),
	    ("CONN_CLOSED", lambda p: p.connid, closed),
	    ("ASK_ID", lambda p: other(p) + text(b"bystander"), taken),
	    ("ASK_ID", lambda p: p.connid + text(b"x\0y"), taken),
	    ("ASK_ID", lambda p: p.connid + text(b"xyz") + b"z", taken),
	    ("ASK_ID", lambda p: p.connid + b"\xff\xff", taken),
	    ("ASK_ID", lambda p: p.connid + text(b"x"), closed),
	    ("ASK_UNREGISTER", lambda p: other(p) + text(b"bystander"),
	    taken),
	    ("ASK_UNREGISTER", lambda p: p.connid + b"\0\5abc", taken),
	    ("ASK_TOKEN", lambda p: other(p) + token.encode(), taken),
	    ("ASK_MINT", lambda p: other(p) + struct.pack(">I", 1), taken),
	    ("ASK_MINT", lambda p: p.connid + struct.pack(">I", 1025),
	    taken),
	    ("ASK_MINT", lambda p: p.connid + b"\xff" * 4, taken)]
	for name, payload, before in thinned(lies):
		r.lie("peer", True, lambda p: message(r.number[name],
		    payload(p)), "malformed %s" % name, before=before)
	# Numbers: asked for, once, and such that they can be shown.
	size = r.info["VM_STATS"][0]
	numbers = lambda n, dialect=0: struct.pack(">BB", dialect, 3) + \
	    struct.pack(">Q", n) * ((size - 2) // 8)
	for payload in thinned((numbers(1), numbers(1 << 63), numbers(1, 9))):
		r.lie("peer", True, message(r.number["VM_STATS"], payload),
		    "malformed VM_STATS")
	def ask():
		return Task(lambda: json.loads(subprocess.run([binary(
		    "cc-proxyctl"), "-s", r.d.path, "--json", "status"],
		    stdout=subprocess.PIPE, timeout=CEILING).stdout))

	def of(t, p):
		return [v for v in t.get()["vms"] if v["id"] == p.id][0]
	p = r.engine(True)
	t = ask()
	p.heard("VM_STATS_ASK")
	p.say("peer", "VM_STATS", numbers((1 << 63) - 1))
	v = of(t, p)
	equal((v["answered"], v["stats"]["output_bytes"]), ("now",
	    (1 << 63) - 1), "what it says of itself")
	for args in (["status"], ["status", "-v"], ["metrics"],
	    ["top", "-n", "2", "-d", "0.1"]):
		subprocess.run([binary("cc-proxyctl"), "-s", r.d.path] + args,
		    stdout=subprocess.DEVNULL, timeout=CEILING, check=True)
	# It owed an answer.  By its own clock it did all that in a ms.
	later = lambda ms, n: numbers(n)[:2] + struct.pack(">Q", ms) + \
	    numbers(n)[10:]
	p.heard("VM_STATS_ASK")
	p.say("peer", "VM_STATS", later(1, 0))
	t = Task(lambda: subprocess.run([binary("cc-proxyctl"), "-s",
	    r.d.path, "top", "-n", "2", "-d", "1"],
	    stdout=subprocess.PIPE, timeout=CEILING, check=True).stdout)
	for ms, n in ((2, 0), (3, (1 << 63) - 1)):
		p.heard("VM_STATS_ASK")
		p.say("peer", "VM_STATS", later(ms, n))
	row = [l.split() for l in t.get().decode().splitlines()
	    if l.startswith(p.id + " ")][-1]
	equal(row[4:7], ["888P", "888P", "9.2e+21"], "rates it claims")
	subprocess.run([binary("cc-proxyctl"), "-s", r.d.path, "status"],
	    stdout=subprocess.DEVNULL, timeout=CEILING, check=True)
	# It owes an answer by now, one.
	p.raw("peer", message(r.number["VM_STATS"], numbers(5)) * 2)
	r.killed(p, "peer", "malformed VM_STATS")
	p = r.engine(True)
	t = ask()
	equal(of(t, p)["answered"], "never", "answer of a silent engine")
	p.do("exit", 0)
	r.finish(p)
	for bad in (b"\0\4x\0yz", b"\0\0z", b"\xff\xff"):
		r.lie("peer", False, message(r.number["VM_ERROR"], bad),
		    "malformed VM_ERROR")
	r.lie("peer", True, lambda p: message(r.number["VM_LOST"]) +
	    message(r.number["VM_UP"]), "VM_UP in state 0x\\w+")
	# What it may ask it is told, and no more; what is not its own stays.
	ok, unknown, foreign, refused = (bytes([n]) for n in range(4))
	p = r.engine(True)
	taken(p)

	def answer(name, payload):
		p.say("peer", name, p.connid + payload)
		a = p.heard("ASK_ANSWER")
		equal(a[:4], p.connid, "connection")
		return a[4:]
	equal(answer("ASK_ID", text(b"bystander")), foreign, "a foreign id")
	equal(answer("ASK_ID", text(b"nobody")), unknown, "an unknown id")
	equal(answer("ASK_ID", text(p.id.encode())), ok, "its own id")
	equal(answer("ASK_TOKEN", token.encode()), foreign, "foreign token")
	equal(answer("ASK_TOKEN", NOBODYS), unknown, "no token")
	for n in range(16):
		equal(answer("ASK_MINT", struct.pack(">I", 1024)), ok, "mint")
	equal(answer("ASK_MINT", struct.pack(">I", 1)), refused, "too many")
	p.say("peer", "TOKEN_FREED", token.encode())
	equal(answer("ASK_TOKEN", token.encode()), foreign, "freed by it")
	s = r.d.client()
	s.connect_shim(token)
	s.close()
	r.d.clients.remove(s)
	# An error's text is a text.
	p.do("exit", 0)
	r.finish(p)
	p = r.engine()
	p.say("parent", "SETUP_READY", LAYERS)
	p.say("peer", "VM_ERROR", text(b'"\x01\x7f\xff{}\n'))
	r.finish(p, p.do("wait", "VM_CLOSE"), p.do("exit", 0))


@test("hostile-engine", "answers to a reload that are none", private=False)
@rig
def reloads(r):
	def ack(gen, ok=1):
		return message(r.number["SETUP_ACK"],
		    struct.pack(">IB", gen, ok))

	def begun(p):
		"""A reload to which only this engine's answer is missing."""
		r.d.proc.send_signal(signal.SIGHUP)
		p.gen = struct.unpack(">I", p.heard("SETUP_BEGIN",
		    "parent"))[0]
		p.heard("SETUP_COMMIT", "parent")

	def ended(p):
		begun(p)
		p.raw("parent", ack(p.gen))
		p.heard("SETUP_SWITCH", "parent")
	wrong = "malformed SETUP_ACK"
	twice = "SETUP_ACK in state 0x\\w+"
	for late in (False, True):
		for n in (-1, 1, 0x80000000):
			r.lie("parent", late, lambda p: ack((p.gen + n) &
			    0xffffffff), wrong, before=begun)
		for ok in (0, 2):
			r.lie("parent", late, lambda p: ack(p.gen, ok), wrong,
			    before=begun)
	# It has not said that it is ready.
	r.lie("parent", False, lambda p: ack(p.gen), wrong, before=begun)
	r.lie("parent", True, lambda p: ack(p.gen) * 2, twice, before=begun)
	r.lie("parent", True, lambda p: ack(p.gen), twice, before=ended)
	r.lie("parent", True, lambda p: ack(p.gen + 1), twice, before=ended)
	# What goes in the middle of it is not waited for.
	for how in ("exit 0", "close parent"):
		p = r.engine(True)
		begun(p)
		p.do(*how.split())
		r.d.bystander.check()
		p.do("exit", 0)
		r.finish(p)
	p = r.engine(True)
	ended(p)
	ended(p)
	p.do("exit", 0)
	r.finish(p)


@test("hostile-engine", "half messages, ends at every point, silence",
    private=False)
@rig
def halves(r):
	silent = r.engine()
	silent.raw("parent", message(r.number["SETUP_READY"], LAYERS)[:19])
	whole = message(r.number["TOKEN_FREED"], NOBODYS)
	for channel, late in PLACES:
		for n in thinned((1, HEADER - 1, HEADER, HEADER + 1,
		    len(whole) - 1)):
			for how in ("exit 0", "exit 1", "close"):
				p = r.engine(late)
				if channel == "peer" and not late:
					p.say("parent", "SETUP_READY", LAYERS)
				p.raw(channel, whole[:n])
				if how == "close":
					p.do("close", channel)
					if channel == "parent" or late:
						r.d.bystander.check()
				p.do("exit", 7)
				r.finish(p)
				r.tried += 1
	# One that says nothing more delays nobody.
	p = r.engine(True)
	p.raw("parent", whole[:20])
	p.raw("peer", whole[:20])
	r.d.bystander.check()
	waiting = [r.d.client() for i in range(50)]
	for c in waiting:
		c.cmd(ATTACH, {"containerId": p.id})
	r.d.bystander.check()
	p.do("exit", 0)
	for c in waiting:
		# Some of them had come to the engine.
		f = c.recv()
		check(f is None or not f.err, "AttachVM to the dead VM")
		c.close()
		r.d.clients.remove(c)
	r.finish(p)
	# One that is never ready is killed in time.
	r.d.wait_log("engine of %s did not start in 10 seconds: killed" %
	    silent.id, silent.mark)
	r.finish(silent)


def peak(pid):
	return int(status(pid)["VmHWM"].split()[0])


@test("hostile-engine", "floods", private=False)
@rig
def floods(r):
	d = r.d
	fe = child(d, "frontend")
	times = scaled(20000)

	def flood(what, late, *command):
		p = r.engine(late)
		t = Task(p.do, *command)
		checks = 0
		while t.is_alive() or checks < 3:
			d.bystander.check()
			checks += 1
		answer = t.get("flood")
		note("%s: %s; %d checks meanwhile; at most %d KiB in the "
		    "parent, %d in the frontend" % (what, answer or
		    "all taken", checks, peak(d.pid), peak(fe)))
		p.do("exit", 0)
		r.finish(p)
		r.tried += 1
		return answer

	number = r.number
	record = b"flood " * 20
	mark, start = r.d.log_mark(), time.monotonic()
	flood("records for the log", True, "flood", "log", (b"\3\0" +
	    struct.pack(">H", len(record)) + record).hex(), times // 4, -1)
	got = sum("flood flood" in l for l in r.d.log_lines(mark))
	most = 2000 + 1000 * (1 + time.monotonic() - start)
	note("%d records are in the log" % got)
	check(got <= most, "more than %d" % most)
	flood("TOKEN_FREED", True, "flood", "peer",
	    message(number["TOKEN_FREED"], NOBODYS).hex(), times, -1)
	flood("VM_LOST to the frontend", True, "flood", "peer",
	    message(number["VM_LOST"]).hex(), times, -1)
	for name, tail in (("ASK_ID", text(b"x" * 512)),
	    ("ASK_MINT", struct.pack(">I", 1024))):
		p = r.engine(True)
		p.say("peer", "CONN_TAKEN", p.connid)
		# Nobody takes them any more once no answer is read: not
		# while others are served many times.
		sent = still = 0
		while still < 3:
			answer = p.do("flood", "peer", message(number[name],
			    p.connid + tail).hex(), times, 50)
			check(answer.startswith("no 11 "), "%s: %s" % (name,
			    answer))
			n = int(answer.split()[2])
			sent += n
			still = 0 if n else still + 1
			d.bystander.check()
		note("%s: nobody took more than %d" % (name, sent))
		p.do("exit", 0)
		r.finish(p)
		r.tried += 1
	if not SANITIZED:
		check(peak(d.pid) < 32 * 1024, "parent: %d KiB" % peak(d.pid))
		check(peak(fe) < 32 * 1024, "frontend: %d KiB" % peak(fe))
	d.bystander.check()


@test("hostile-engine", "records for the log", private=False)
@rig
def records(r):
	for bad in thinned((b"\xff" * 8, b"\0" * 8192, b"\4" * 8200)):
		p = r.engine(True)
		p.raw("log", bad)
		p.dead()
		p.close()
		died = [e["msg"] for e in r.d.entries(p.mark)
		    if str(p.pid) in e["msg"]]
		r.d.wait_log("pid %d, died: signal 9" % p.pid, p.mark)
		equal(len([m for m in died if "malformed log record" in m]),
		    1, "lines: %s" % died)
		r.gone(p)
		r.tried += 1


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Protocol 1.x, sections 8, 9, 13 and 15: shipped clients as scripts, the
real guest, and both protocols on one VM."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp1 import *


class Runtime:
	"""The C runtime: what it sends and in which order.  Every hello has a
	console, every hyper command has data."""

	def __init__(self, d):
		self.d = d
		self.client = None

	def connect(self):
		self.client = Client1(self.d)
		return self

	def attach(self, ident):
		self.connect()
		self.client.attach(ident)
		return self

	def disconnect(self):
		self.client.close()
		self.client = None

	def hello(self, ident, agent):
		self.client.hello(ident, agent.ctl_path, agent.io_path,
		    os.path.join(self.d.dir, "console.sock"))
		self.client.hyper("startpod", {"hostname": ident,
		    "containers": [], "shareDir": "rootfs", "interfaces": [],
		    "routes": []})

	def shim(self, cid, terminal=False, initial=False):
		"""allocateIO, and a shim that inherits this connection."""
		end = self.client.allocate_io(1 if terminal else 2)
		return CShim(self.client, end, cid, terminal, initial)

	def process(self, shim, args, **more):
		p = {"terminal": shim.terminal, "stdio": shim.base,
		    "stderr": 0 if shim.terminal else shim.base + 1,
		    "workdir": "/", "args": args, "envs": [
		    {"value": os.environ.get("PATH", "/bin:/usr/bin"),
		    "env": "PATH"}]}
		p.update(more)
		return p

	def newcontainer(self, shim, args):
		self.client.hyper("newcontainer", {"id": shim.cid,
		    "fsmap": [], "rootfs": "", "image": "",
		    "restartPolicy": "never", "initialize": False,
		    "process": self.process(shim, args)})

	def start(self, ident, shim, args):
		self.attach(ident)
		self.newcontainer(shim, args)
		self.disconnect()

	def execute(self, ident, cid, args):
		self.attach(ident)
		end = self.client.allocate_io(2)
		shim = CShim(self.client, end, cid, False, False)
		self.client.hyper("execcmd", {"container": cid,
		    "process": self.process(shim, args)})
		self.disconnect()
		return shim

	def kill(self, ident, cid, signo):
		self.attach(ident)
		self.client.hyper("killcontainer", {"container": cid,
		    "signal": signo, "allProcesses": False})
		self.disconnect()

	def delete(self, ident):
		self.attach(ident)
		self.client.hyper("destroypod", {})
		self.disconnect()
		self.connect()
		self.client.bye(ident)
		self.disconnect()


class CShim:
	"""The C shim: it inherits the runtime's connection and the I/O
	descriptor; replies are not awaited, nor parsed."""

	def __init__(self, client, end, cid, terminal, initial):
		self.ctl = socket.socket(fileno=os.dup(client.sock.fileno()))
		client.daemon.clients.append(self)
		self.io, self.base = end, end.base
		self.cid, self.terminal = cid, terminal
		self.initial = initial
		self.out = {end.base: b"", end.base + 1: b""}

	def close(self):
		self.ctl.close()
		self.io.close()

	def hyper(self, name, text):
		self.ctl.sendall(message(b'{"id":"hyper","data":{"hyperName":'
		    b'"%s","data":%s}}' % (name.encode(), text)))

	def signal(self, signo):
		self.hyper("killcontainer", b'{"container":"%s", "signal":%d}'
		    % (self.cid.encode(), signo))

	def winsize(self, rows, columns):
		self.hyper("winsize", b'{"seq":%d, "row":%d, "column":%d}' %
		    (self.base, rows, columns))

	def stdin(self, data):
		for i in range(0, len(data), 8192):
			self.io.stdin(data[i:i + 8192])

	def eof(self):
		self.io.stdin(b"")

	def stdout(self):
		return self.out[self.base]

	def stderr(self):
		return self.out[self.base + 1]

	def read(self, stop):
		"""Frames until stop() or the end: the exit status, or None."""
		exiting = False
		while not stop():
			f = self.io.recv()
			if f is None:
				return 1
			seq, data = f
			check(seq in self.out, "sequence number %d" % seq)
			if data == b"":
				exiting = True
			elif exiting and len(data) == 1:
				return data[0]
			else:
				self.out[seq] += data
		return None

	def run(self):
		"""To the end: the exit status; the last words are said."""
		status = self.read(lambda: False)
		if self.initial:
			self.hyper("destroypod", b'""')
		self.close()
		return status

	def alive(self):
		"""Its control connection is not closed."""
		try:
			while True:
				if self.ctl.recv(2047, socket.MSG_DONTWAIT) \
				    == b"":
					return False
		except BlockingIOError:
			return True
		except ConnectionResetError:
			return False


# 8 Runtime, 9 shim: against an agent under control

@test("8.1", "create of a standalone container, step by step", shared=True)
def create(d):
	r = Runtime(d).connect()
	for i in range(5):
		d.bystander.check()
	a = d.agent("c81", ready=False)
	r.client.send("hello", hello_request("c81", a.ctl_path, a.io_path,
	    os.path.join(d.dir, "console.sock")))
	a.wait_accept("ctl")
	a.send_ctl(A_READY)
	equal(r.client.reply().text, VERSION, "hello")
	r.client.hyper("startpod", {"hostname": "c81", "containers": []})
	a.next_ctl(A_STARTPOD)
	s = r.shim("c81", initial=True)
	equal(s.base, 1, "ioBase")
	r.disconnect()
	d.bystander.check()
	check(s.alive(), "the shim's copy of the connection is closed")
	r.start("c81", s, ["sh"])
	m = json.loads(a.next_ctl(A_NEWCONTAINER)[1])
	equal((m["process"]["stdio"], m["process"]["stderr"]), (1, 2),
	    "numbers")
	s.winsize(24, 80)
	equal(a.next_ctl(), (A_WINSIZE,
	    b'{"seq":1, "row":24, "column":80}'), "winsize")
	s.signal(15)
	equal(a.next_ctl(), (A_KILLCONTAINER,
	    b'{"container":"c81", "signal":15}'), "signal")
	s.stdin(b"ls\n")
	equal(a.next_tty(), (1, b"ls\n"), "stdin")
	a.tty(1, b"out")
	a.tty(2, b"err")
	a.exit(1, 42)
	equal(s.run(), 42, "exit status")
	equal((s.stdout(), s.stderr()), (b"out", b"err"), "output")
	equal(a.next_ctl(), (A_DESTROYPOD, b'""'), "the shim's last words")
	a.hang_up("ctl")
	a.hang_up("io")
	wait_for(lambda: CLOSED in Client1(d).attach("c81").ask("hyper",
	    hyper_data("ping", {})).error, "loss of the VM")
	Runtime(d).connect().client.bye("c81")


@test("8.1", "a terminal: one stream, stderr is 0", shared=True)
def create_terminal(d):
	a = d.agent("tty")
	r = Runtime(d).connect()
	r.hello("tty", a)
	a.skip_ctl()
	s = r.shim("tty", terminal=True)
	r.newcontainer(s, ["sh"])
	m = json.loads(a.next_ctl(A_NEWCONTAINER)[1])
	equal((m["process"]["stdio"], m["process"]["stderr"]), (1, 0),
	    "numbers")
	t = r.shim("tty", terminal=True)
	equal(t.base, 2, "next ioBase")


@test("8.1", "a create that fails says no bye; the next one replaces it",
    shared=True)
def create_failed(d):
	a = d.agent("f1")
	r = Runtime(d).connect()
	r.hello("failing", a)
	r.disconnect()
	a.hang_up("ctl")
	a.hang_up("io")
	b = d.agent("f2")

	def again():
		c = Client1(d)
		e = c.ask("hello", hello_request("failing", b.ctl_path,
		    b.io_path)).error
		return e is None or e != "failing: container already " \
		    "registered" and e
	equal(wait_for(again, "hello"), True, "hello")


@test("8.2", "a container inside a pod: attach, allocateIO, disconnect",
    shared=True)
def pod_container(d):
	vm = VM1(d)
	r = Runtime(d).attach(vm.id)
	s = r.shim("inner")
	r.disconnect()
	r.start(vm.id, s, ["sh"])
	m = json.loads(vm.agent.next_ctl(A_NEWCONTAINER)[1])
	equal(m["process"]["stdio"], s.base, "number")
	vm.agent.exit(s.base, 3)
	equal(s.run(), 3, "exit status")
	vm.client.hyper("ping")
	equal(vm.agent.next_ctl(), (A_PING, b""), "no destroypod before")


@test("8.4", "exec: output before the shim runs is kept", shared=True)
def execute_early(d):
	vm = VM1(d)
	s = Runtime(d).execute(vm.id, "c", ["ls"])
	vm.agent.next_ctl(A_EXECCMD)
	want = b""
	for i in range(20):
		want += b"%d" % i * 1000
		vm.agent.tty(s.base, b"%d" % i * 1000)
	vm.agent.exit(s.base, 0)
	d.bystander.check()
	equal(s.run(), 0, "exit status")
	equal(s.stdout(), want, "output")


@test("8.6", "delete of a running VM: power-off during destroypod is success",
    shared=True)
def delete(d):
	def power_off(agent, code, payload):
		if code == A_DESTROYPOD:
			agent.hang_up("ctl")
			agent.hang_up("io")
		else:
			agent.ack()
	for i in range(10):
		a = d.agent("del%d" % i, mode=power_off)
		r = Runtime(d).connect()
		r.hello("delete", a)
		s = r.shim("delete", initial=True)
		r.disconnect()
		r.delete("delete")
		equal(s.run(), 1, "exit status of the shim")


@test("8.6", "delete of a dead VM: attach works, destroypod fails, bye works",
    shared=True)
def delete_dead(d):
	vm = VM1(d)
	vm.lose()
	r = Runtime(d).attach(vm.id)
	check(CLOSED in r.client.hyper_fails("destroypod", {}), "error")
	r.disconnect()
	r.connect().client.bye(vm.id)
	e = r.client.fails("bye", {"containerId": vm.id})
	equal(e, "unknown containerID: " + vm.id, "second bye")


@test("8", "the runtime's length bug with text beyond ASCII: closed",
    shared=True)
def length_bug(d):
	text = json.dumps({"id": "hello", "data": {"containerId":
	    "c\u00e93", "ctlSerial": "/c", "ioSerial": "/i",
	    "console": "/k"}}, separators=(",", ":"), ensure_ascii=False)
	c = Client1(d)
	c.raw(message(text.encode()[:len(text)]))
	c.expect_closed()
	a = d.agent("utf")
	c = Client1(d)
	c.hello("c\u00e93", a.ctl_path, a.io_path)
	c.bye("c\u00e93")


@test("9", "a shim that pipelines and never reads its replies", shared=True)
def never_reads(d):
	vm = VM1(d)
	r = Runtime(d).attach(vm.id)
	s = r.shim("c", initial=True)
	r.disconnect()
	for i in range(500):
		s.winsize(i, 80)
	vm.agent.exit(s.base, 5)
	equal(s.run(), 5, "exit status")
	for i in range(500):
		equal(vm.agent.next_ctl(), (A_WINSIZE, b'{"seq":1, "row":%d,'
		    b' "column":80}' % i), "winsize")
	equal(vm.agent.next_ctl(), (A_DESTROYPOD, b'""'), "last words")


@test("9", "errors do not close a shim's connection", shared=True)
def errors_keep(d):
	vm = VM1(d, mode=lambda a, code, payload: a.error())
	r = Runtime(d).attach(vm.id)
	s = r.shim("c")
	r.disconnect()
	s.signal(1)
	s.hyper("nope", b"{}")
	s.hyper("winsize", b'"' + b"x" * 20000 + b'"')
	s.signal(2)
	vm.agent.next_ctl()
	equal(vm.agent.next_ctl(), (A_KILLCONTAINER,
	    b'{"container":"c", "signal":2}'), "signal")
	d.bystander.check()
	check(s.alive(), "connection closed")


@test("9", "loss of the VM: the shim ends by EOF of its I/O, not of control",
    shared=True)
def shim_loss(d):
	vm = VM1(d)
	r = Runtime(d).attach(vm.id)
	s = r.shim("c")
	r.disconnect()
	vm.agent.tty(s.base, b"last output")
	vm.agent.hang_up("io")
	equal(s.read(lambda: False), 1, "exit status")
	equal(s.stdout(), b"last output", "output")
	check(s.alive(), "control connection closed")


# The real guest

class RealVM:
	"""ccp-guest, registered through one of the protocols."""

	def __init__(self, d, name, protocol):
		self.daemon, self.id = d, name
		self.guest = Guest(d, name, host_root=True)
		self.three = Client(d)
		if protocol == 1:
			self.runtime = Runtime(d).connect()
			self.runtime.hello(name, self.guest)
			self.three.attach(name)
		else:
			f = self.three.register(name, self.guest.ctl_path,
			    self.guest.io_path)
			check(not f.err, "RegisterVM: %s" % f.payload)
			self.three.hyper("startpod", {"hostname": name,
			    "shareDir": "hyperShared"})
			self.runtime = Runtime(d).attach(name)

	def shim1(self, cid, args):
		s = self.runtime.shim(cid)
		self.runtime.newcontainer(s, args)
		return s

	def shim3(self, cid, args):
		token = self.three.attach(self.id, 1)[0]
		s = Client(self.daemon)
		s.connect_shim(token)
		self.three.hyper("newcontainer", {"id": cid, "rootfs": "",
		    "image": "", "process": {"args": args, "terminal": False,
		    "workdir": "/", "envs": [{"env": "PATH", "value":
		    os.environ.get("PATH", "/bin:/usr/bin")}]}}, [token])
		return s


@test("8", "with ccp-guest: create, start, exec, kill, delete")
def real_guest(d):
	g = Guest(d, "real", host_root=True)
	r = Runtime(d).connect()
	r.hello("real", g)
	s = r.shim("real", initial=True)
	r.disconnect()
	r.start("real", s, ["/bin/sh", "-c", "echo out; echo err >&2; "
	    "read x; echo got $x; exit 17"])
	s.read(lambda: s.stdout() == b"out\n" and s.stderr() == b"err\n")
	x = r.execute("real", "real", ["/bin/cat"])
	data = os.urandom(100000)
	feeder = threading.Thread(target=lambda: (x.stdin(data), x.eof()),
	    daemon=True)
	feeder.start()
	equal(x.run(), 0, "exit status of exec")
	feeder.join(CEILING)
	equal(x.stdout(), data, "output of exec")
	r.attach("real")
	k = r.shim("kill")
	r.newcontainer(k, ["/bin/sh", "-c", "echo up; exec sleep 1000"])
	r.disconnect()
	k.read(lambda: k.stdout() == b"up\n")
	r.kill("real", "kill", 9)
	equal(k.run(), 137, "exit status of what was killed")
	s.stdin(b"word\n")
	equal(s.run(), 17, "exit status")
	equal(s.stdout(), b"out\ngot word\n", "output")
	r.connect().client.bye("real")


def mixed(d, protocol):
	vm = RealVM(d, "mix%d" % protocol, protocol)
	size = 300000
	jobs = []
	for i in range(3):
		script = "cat; echo done%d >&2; exit %d" % (i, 20 + i)
		jobs.append((1, vm.shim1("one%d" % i, ["/bin/sh", "-c",
		    script]), os.urandom(size), i))
		jobs.append((3, vm.shim3("three%d" % i, ["/bin/sh", "-c",
		    script]), os.urandom(size), i))
	errors = []

	def feed(kind, s, data, i):
		try:
			if kind == 1:
				s.stdin(data)
				s.eof()
				return
			for at in range(0, size, 8192):
				s.stdin(data[at:at + 8192])
			s.stdin(b"")
		except BaseException as e:
			errors.append("feed: %s" % e)

	def drain(kind, s, data, i):
		try:
			out = err = b""
			if kind == 1:
				status = s.run()
				out, err = s.stdout(), s.stderr()
			else:
				while True:
					f = s.recv()
					check(f is not None, "EOF")
					if f.type == NOTIFICATION:
						status = f.payload[0]
						break
					if f.op == STDOUT:
						out += f.payload
					else:
						err += f.payload
			equal(status, 20 + i, "exit status")
			equal(err, b"done%d\n" % i, "stderr")
			check(out == data, "stdout differs")
		except BaseException as e:
			errors.append("%d.x shim %d: %s" % (kind, i, e))
	threads = [threading.Thread(target=f, args=j, daemon=True)
	    for j in jobs for f in (feed, drain)]
	for t in threads:
		t.start()
	for t in threads:
		t.join(300)
		check(not t.is_alive(), "a shim hangs")
	equal(errors, [], "errors")
	vm.three.hyper("ping")
	vm.runtime.client.hyper("ping", {})


@test("13", "1.x and 3.x shims at once on a VM of hello, with ccp-guest")
def mixed_1(d):
	mixed(d, 1)


@test("13", "1.x and 3.x shims at once on a VM of RegisterVM, with ccp-guest")
def mixed_3(d):
	mixed(d, 3)


@test("13", "signals and exits stay with their shim", shared=True)
def mixed_signals(d):
	vm = VM1(d)
	p = vm.process(cid="one")
	c = Client(d)
	token = c.attach(vm.id, 1)[0]
	s = Client(d)
	s.connect_shim(token)
	vm.agent.skip_ctl()
	c.hyper("newcontainer", {"id": "three", "process": {"args": ["x"]}},
	    [token])
	base = json.loads(vm.agent.next_ctl(A_NEWCONTAINER)[1])["process"][
	    "stdio"]
	s.signal(15)
	equal(json.loads(vm.agent.next_ctl(A_KILLCONTAINER)[1])["container"],
	    "three", "container")
	p.client.hyper("killcontainer", Raw(
	    b'{"container":"one", "signal":15}'))
	equal(vm.agent.next_ctl()[1], b'{"container":"one", "signal":15}',
	    "signal")
	vm.agent.tty(base, b"for three")
	vm.agent.tty(p.base, b"for one")
	vm.agent.tty(base + 1, b"errors of three")
	vm.agent.exit(base, 33)
	vm.agent.exit(p.base, 11)
	p.io.expect(b"for one")
	p.io.expect_exit(11)
	equal(s.stdout(), b"for three", "stdout")
	equal(s.stderr(), b"errors of three", "stderr")
	equal(s.exit_status(), 33, "exit status")


@test("13", "a stalled 1.x shim and a 3.x shim: before the bound, no delay")
def mixed_stalled(d):
	vm = VM1(d)
	p = vm.process()
	c = Client(d)
	token = c.attach(vm.id, 1)[0]
	s = Client(d)
	s.connect_shim(token)
	vm.agent.skip_ctl()
	c.hyper("newcontainer", {"id": "three", "process": {"args": ["x"]}},
	    [token])
	base = json.loads(vm.agent.next_ctl(A_NEWCONTAINER)[1])["process"][
	    "stdio"]
	for i in range(16):
		vm.agent.tty(p.base, b"s" * 8192)
		vm.agent.tty(base, b"%d" % i)
		equal(s.stdout(), b"%d" % i, "stdout")
	for i in range(16):
		p.io.expect(b"s" * 8192)


@test("13", "loss of a VM with clients of both protocols", shared=True)
def mixed_loss(d):
	vm = d.vm()
	s = vm.shim()
	c = Client1(d).attach(vm.id)
	end = c.allocate_io(2)
	vm.agent.hang_up("io")
	end.expect_eof()
	s.expect_closed()
	check(CLOSED in c.hyper_fails("ping"), "error")
	Client1(d).bye(vm.id)


# 15 The points of the checklist that no other section's test shows

@test("15", "numbers stay within 31 bits; integers are unquoted",
    shared=True)
def numbers(d):
	c = VM1(d).client
	for i in range(100):
		c.raw(message(request("allocateIO", {"nStreams": 2})))
		equal(c.reply().text, b'{"success":true,"data":{"ioBase":%d}}'
		    % (2 * i + 1), "reply")
		os.close(c.receive_fd())


@test("15", "a reply is never cut: the daemon's bytes arrive whole",
    shared=True)
def whole_replies(d):
	c = VM1(d).client
	c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
	c.raw(message(request("attach", {"containerId": "<" * 900})) * 300)
	for i in range(300):
		e = c.reply().error
		check(e.startswith("unknown containerID: <<<"), "error")


@test("15", "a thousand idle connections", daemon=dict(level="warn"))
def idle(d):
	vm = VM1(d)
	clients = [Client1(d) if i % 2 else vm.attach() for i in range(1000)]
	d.bystander.check()
	for i, c in enumerate(clients):
		if i % 2:
			c.attach(vm.id)
		c.hyper("ping")


main()

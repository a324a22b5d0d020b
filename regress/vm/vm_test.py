#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The daemon and ccp-guest with a real virtual machine between them.

QEMU boots Debian's kernel with the agent as the first process.  The first VM
serves all tests until one kills it, two more end by themselves.  Called by
`make check-vm` and `make check-all`; see image.sh for what is booted.
"""

import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

HERE = os.path.dirname(os.path.abspath(__file__))
BOOT = 120	# seconds; an emulated boot takes three, more under load
IMAGE = 120	# seconds for the download of a kernel and the rest
LIMIT = 240	# seconds for all of it, of which it takes less than twenty
TESTS = []
PATHS = [{"env": "PATH", "value": "/bin:/usr/bin:/sbin:/usr/sbin"}]


def test(title):
	def register(func):
		TESTS.append((title, func))
		return func
	return register


def make_image():
	"""Seconds that it took; Skip if it cannot be made."""
	began = time.monotonic()
	r = subprocess.run(["timeout", "-k", "5", str(IMAGE), "sh",
	    os.path.join(HERE, "image.sh"), BUILD],
	    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
	    stderr=subprocess.STDOUT, universal_newlines=True)
	last = (r.stdout.strip().splitlines() or ["no output"])[-1]
	if r.returncode == 77:
		raise Skip(last)
	if r.returncode == 124:
		raise Skip("no image within %d s" % IMAGE)
	if r.returncode != 0:
		sys.stderr.write(r.stdout)
		raise Fail("image.sh: status %d: %s" % (r.returncode, last))
	return time.monotonic() - began


def listening():
	"""Paths that take connections; a file is there a moment earlier."""
	with open("/proc/net/unix") as f:
		fields = [line.split() for line in f]
	return {l[7] for l in fields if len(l) == 8 and l[3] == "00010000"}


class Qemu:
	"""A VM that was started and, unless the test is its host, registered
	with the daemon, which reads its console from the first line on.  Its
	pod is not started yet."""

	def __init__(self, d, name, args=(), where=None, register=True):
		self.daemon, self.id = d, name
		self.dir = os.path.join(d.dir, where or name)
		self.share = os.path.join(self.dir, "share")
		os.makedirs(self.share)
		self.log_path = os.path.join(self.dir, "qemu.log")
		with open(self.log_path, "wb") as log:
			self.proc = subprocess.Popen(["sh", os.path.join(HERE,
			    "qemu.sh"), BUILD, self.dir, self.share, "-v"] +
			    list(args), stdin=subprocess.DEVNULL, stdout=log,
			    stderr=log)
		d.agents.append(self)
		paths = [os.path.join(self.dir, "vm." + n)
		    for n in ("ctl", "tty", "console")]
		wait_for(lambda: self.proc.poll() is not None or
		    listening() >= set(paths), "sockets of QEMU")
		check(self.proc.poll() is None, "QEMU ended: " + self.log())
		if not register:
			return
		self.mark = d.log_mark()
		self.client = Client(d)
		self.client.sock.settimeout(BOOT)
		f = self.client.register(name, *paths)
		check(not f.err, "RegisterVM: %s" % brief(f.payload))

	def connect(self, name):
		"""To a socket of QEMU's, as a host of our own."""
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.settimeout(CEILING)
		s.connect(os.path.join(self.dir, "vm." + name))
		return s

	def log(self):
		with open(self.log_path, errors="replace") as f:
			return f.read().strip()

	def console(self, pattern):
		return self.daemon.wait_log(pattern, self.mark, source="qemu")

	def startpod(self):
		self.client.hyper("startpod", {"hostname": self.id,
		    "shareDir": "hyperShared"})

	def root(self, name):
		"""A busybox root for a container, in the share."""
		where = os.path.join(self.share, name, "rootfs")
		shutil.copytree(os.path.join(BUILD, "vm", "rootfs"), where,
		    symlinks=True)
		return where

	def shim(self, cid, args, command="newcontainer", image=None, **kw):
		"""A shim whose process runs in a container."""
		s = Client(self.daemon)
		token = self.client.attach(self.id, 1)[0]
		s.connect_shim(token)
		process = dict({"args": args, "terminal": False,
		    "envs": PATHS, "workdir": "/"}, **kw)
		data = {"container": cid, "process": process}
		if command == "newcontainer":
			data = {"id": cid, "rootfs": "rootfs" if image else "",
			    "image": image or "", "process": process}
		self.client.hyper(command, data, [token])
		return s

	def close(self):
		if self.proc.poll() is None:
			self.proc.kill()
		self.proc.wait()

	def run(self, cid, args, stdin=None, **kw):
		"""Exit status, stdout and stderr of a process."""
		s = self.shim(cid, args, **kw)
		if stdin is not None:
			s.stdin(stdin)
			s.stdin(b"")
		return finish(s)

	def remove(self, cid):
		self.client.hyper("removecontainer", {"container": cid})


def finish(s):
	"""Exit status, stdout and stderr of what still runs."""
	out = {STDOUT: b"", STDERR: b""}
	while True:
		f = s.output()
		if (f.type, f.op) == (NOTIFICATION, EXITED):
			s.close()
			return f.payload[0], out[STDOUT], out[STDERR]
		equal(f.type, STREAM, "type of the frame")
		out[f.op] += f.payload


def until(s, pattern):
	"""Read stdout up to what matches the pattern."""
	data = b""
	while not re.search(pattern, data):
		try:
			data += s.stdout()
		except Fail as e:
			raise Fail("%s instead of %r behind %s" % (e, pattern,
			    brief(data)))


@test("boots, the agent answers, the pod starts and mounts the share")
def boot(d):
	began = time.monotonic()
	vm = d.machine = Qemu(d, "vm", ["-k"])
	note("vm: the agent was ready after %.1f s" %
	    (time.monotonic() - began))
	vm.startpod()
	vm.root("c1")
	vm.client.hyper("ping")


@test("a container from the share: stdout, stderr and exit status")
def output(d):
	vm = d.machine
	got = vm.run("c1", ["sh", "-c", "echo out; echo err >&2; exit 42"],
	    image="c1")
	equal(got, (42, b"out\n", b"err\n"), "status, stdout, stderr")
	vm.remove("c1")


@test("the container has its own root, host name and processes")
def inside(d):
	vm = d.machine
	vm.root("c2")
	with open(os.path.join(vm.share, "c2", "rootfs", "note"), "w") as f:
		f.write("from the host\n")
	status, out, err = vm.run("c2", ["sh", "-c", "cat /note; hostname; "
	    "ls /proc | grep -c '^[0-9]'; echo from the guest >/back; "
	    "ls /dev /init"], image="c2")
	text = out.decode().splitlines()
	equal((text[:2], int(text[2]) < 8), (["from the host", "vm"], True),
	    "what the container sees")
	check({"null", "pts", "shm", "stdin"} <= set(text[3:]),
	    "/dev has %s" % text[3:])
	check(b"/init" in err, "the guest's own root shows")
	with open(os.path.join(vm.share, "c2", "rootfs", "back")) as f:
		equal(f.read(), "from the guest\n", "file on the host")
	vm.remove("c2")


@test("stdin, its end, and a megabyte both ways")
def stdin(d):
	vm = d.machine
	vm.root("c3")
	equal(vm.run("c3", ["tr", "a-z", "A-Z"], b"to the guest\n",
	    image="c3"), (0, b"TO THE GUEST\n", b""), "tr")
	vm.remove("c3")
	s = vm.shim("c3", ["cat"], image="c3")
	r = Reader(s)
	sent = feed(s, Source(MB, 1))
	s.stdin(b"")
	r.get()
	equal((r.status, r.out[STDOUT].digest()), (0, sent), "cat")
	s.close()
	vm.remove("c3")


@test("a terminal: size, interrupt, end of input")
def terminal(d):
	vm = d.machine
	vm.root("c4")
	s = vm.shim("c4", ["sh"], image="c4", terminal=True)
	s.signal(signal.SIGWINCH, 33, 99)
	s.stdin(b"stty size; tty\n")
	until(s, rb"\n33 99\r\n/dev/pts/0\r\n")
	s.stdin(b"sh -c 'trap \"stty size\" WINCH; echo wai\"\"ting; "
	    b"read x; read y'\n")
	until(s, rb"\nwaiting\r\n")
	s.signal(signal.SIGWINCH, 12, 34)
	s.stdin(b"\n")
	until(s, rb"12 34\r\n")
	s.stdin(b"\n")
	# Input is echoed: what is waited for must not be in it.
	s.stdin(b"sh -c 'trap \"echo int; exit\" INT; echo rea\"\"dy; "
	    b"while :; do sleep 0.1; done'\n")
	until(s, rb"\nready\r\n")
	s.stdin(b"\003")
	until(s, rb"\^Cint\r\n")
	# The shell edits lines by itself: only what it runs sees ^D as such.
	s.stdin(b"sh -c 'echo go\"\"ing; cat; echo e\"\"nd'\n")
	until(s, rb"\ngoing\r\n")
	s.stdin(b"\004")
	until(s, rb"end\r\n")
	s.stdin(b"exit 6\n")
	equal(finish(s)[0], 6, "exit status")
	vm.remove("c4")


@test("signals, a second process, and the end of all with the first")
def signals(d):
	vm = d.machine
	vm.root("c5")
	s = vm.shim("c5", ["sh", "-c", "trap 'echo usr1' USR1; echo up; "
	    "while :; do sleep 0.1; done"], image="c5")
	until(s, rb"up\n")
	s.signal(signal.SIGUSR1)
	until(s, rb"usr1\n")
	equal(vm.run("c5", ["sh", "-c", "test -d /proc/2 && cat && exit 3"],
	    b"second", command="execcmd"), (3, b"second", b""),
	    "second process")
	other = vm.shim("c5", ["sleep", "1000"], command="execcmd")
	f = vm.client.hyper("pscontainer", {"container": "c5",
	    "format": "table", "psargs": ["-o", "pid,args"]})
	check(b"sleep 1000" in f, "no sleep in " + brief(f))
	s.signal(signal.SIGTERM)
	equal(finish(s)[0], 128 + 15, "status of the first")
	equal(finish(other)[0], 128 + 9, "status of the second")
	vm.remove("c5")


@test("what cannot be started is refused, and the agent lives")
def refused(d):
	vm = d.machine
	for image, args, why in (("nothing", ["true"], "image nothing"),
	    ("c1", ["/no/such"], "exec /no/such")):
		try:
			vm.shim("bad", args, image=image)
		except Fail as e:
			check(why in str(e), "refused otherwise: %s" % e)
		else:
			raise Fail("%s was not refused" % why)
	vm.client.hyper("ping")


@test("cc-proxyctl run in the VM: stdin, exit status, a terminal")
def ctl(d):
	vm = d.machine
	vm.root("c6")
	argv = [binary("cc-proxyctl"), "-s", d.path, "run", "-i", "vm", "c6",
	    "--", "sh", "-c", "tr a-z A-Z; hostname >&2; exit 5"]
	r = subprocess.run(argv, input=b"shout\n", stdout=subprocess.PIPE,
	    stderr=subprocess.PIPE, timeout=CEILING)
	equal((r.returncode, r.stdout, r.stderr), (5, b"SHOUT\n", b"vm\n"),
	    "status, stdout, stderr")
	argv[argv.index("-i")] = "-t"
	r = subprocess.run(argv[:-3] + ["sh", "-c", "test -t 1 && tty"],
	    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=CEILING)
	equal((r.returncode, r.stdout), (0, b"/dev/pts/0\r\n"), "terminal")


@test("lines of the console are in the log")
def console(d):
	vm = d.machine
	vm.console(r"^ccp-guest: ctl: host connected$")
	# Without an image it is the guest's own root, with its own /dev.
	vm.run("c7", ["sh", "-c", "echo a line from inside >/dev/ttyS0"])
	e = vm.console(r"^a line from inside$")
	equal((e["level"], e["vm"]), ("debug", "vm"), "fields of the line")


@test("DESTROYPOD ends what runs; the next pod starts in the same VM")
def destroypod(d):
	vm = d.machine
	s = vm.shim("c1", ["sh", "-c", "trap '' TERM; echo up; "
	    "while :; do sleep 0.1; done"], image="c1")
	until(s, rb"up\n")
	vm.client.hyper("destroypod")
	equal(finish(s)[0], 128 + 9, "status of what ignores SIGTERM")
	check(vm.proc.poll() is None, "QEMU ended")
	vm.startpod()
	equal(vm.run("c1", ["echo", "again"], image="c1"), (0, b"again\n",
	    b""), "a process of the next pod")


@test("a VM that is killed is lost: shims and clients are told")
def loss(d):
	vm = d.machine
	s = vm.shim("c8", ["sh", "-c", "echo up; exec sleep 1000"],
	    image="c1")
	until(s, rb"up\n")
	mark = d.log_mark()
	vm.proc.kill()
	s.expect_closed()
	d.wait_log("^VM lost", mark, vm="vm")
	vm.client.hyper_fails("ping")
	vm.client.ok(UNREGISTER, {"containerId": "vm"})
	check(d.running(), "cc-proxy ended")


@test("a VM under the same name; DESTROYPOD powers it off")
def poweroff(d):
	vm = Qemu(d, "vm", where="vm2")
	vm.startpod()
	vm.root("c1")
	s = vm.shim("c1", ["sh", "-c", "echo up; exec sleep 1000"],
	    image="c1")
	until(s, rb"up\n")
	vm.client.hyper("destroypod")
	equal(finish(s)[0], 128 + 15, "status of the process")
	equal(vm.proc.wait(CEILING), 0, "QEMU's exit status")
	vm.console(r"reboot: Power down")
	d.wait_log("^VM lost", vm.mark, vm="vm")
	vm.client.ok(UNREGISTER, {"containerId": "vm"})


@test("the agent serves the next host that opens its ports")
def next_host(d):
	vm = Qemu(d, "vm3", register=False)
	lines = vm.connect("console")
	ready = message(A_READY)
	ack = message(A_NEXT, b"\0\0\0\x08") + message(A_ACK)
	for n in range(4):
		host = vm.connect("ctl")
		if n == 0:
			host.settimeout(BOOT)
			equal(receive(host, len(ready)), ready,
			    "first message")
		# Half a command is left to nobody.
		host.sendall(message(A_PING) + b"\0")
		equal(receive(host, len(ack)), ack, "answer to host %d" % n)
		host.close()
		# Two hosts in one moment are one to the port's driver.
		text = b""
		while b"ctl: host disconnected" not in text:
			text += lines.recv(4096)
	host = vm.connect("ctl")
	host.sendall(message(A_DESTROYPOD))
	equal(vm.proc.wait(CEILING), 0, "QEMU's exit status")
	equal(receive(host, len(ack)), ack, "answer before the end")


def receive(s, n):
	"""n bytes, fewer at the end."""
	data = b""
	while len(data) < n:
		part = s.recv(n - len(data))
		if not part:
			break
		data += part
	return data


def message(code, payload=b""):
	return struct.pack(">II", code, 8 + len(payload)) + payload


def run(title, func, d):
	try:
		if func is not boot and not hasattr(d, "machine"):
			raise Fail("there is no VM")
		func(d)
	except Exception as e:
		if not isinstance(e, Fail):
			traceback.print_exc()
		if hasattr(d, "machine") or func is boot:
			show_log(d)
		print("not ok - vm: %s: %s" % (title, str(e).replace("\n",
		    " ")), flush=True)
		return 1
	print("ok - vm: " + title, flush=True)
	return 0


def main():
	signal.signal(signal.SIGALRM, hung)
	end = time.monotonic() + LIMIT
	pattern = sys.argv[1] if len(sys.argv) > 1 else ""
	tests = [(title, func) for title, func in TESTS
	    if func is boot or re.search(pattern, title)]
	try:
		took = make_image()
	except Skip as e:
		for title, func in tests:
			print("skip - vm: %s: %s" % (title, e))
		return 0
	except Fail as e:
		print("not ok - vm: %s" % e)
		return 1
	with open(os.path.join(BUILD, "vm", "accel")) as f:
		note("vm: image made in %.1f s, QEMU with %s" % (took,
		    f.read().strip()))
	began = time.monotonic()
	d = Daemon(timeouts={"ready": "%ds" % BOOT})
	failures = 0
	for title, func in tests:
		signal.alarm(max(1, int(end - time.monotonic())))
		failures += run(title, func, d)
		signal.alarm(0)
	wrong = d.dispose()
	if wrong:
		failures += 1
		print("not ok - vm: the daemon's end: %s" % wrong)
	note("vm: %.1f s" % (time.monotonic() - began))
	return 1 if failures else 0


status = main()
sys.stdout.flush()
os._exit(status)

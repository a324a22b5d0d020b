#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Section 6: the agent's side, VM loss, console, KSM."""

import os
import random
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

MIB = 1024 * 1024
LOST = "No multicast available for CTL channel"
LONG = dict(timeouts={"shim": "300s", "process": "300s", "stdin": "300s"})


# 6.1 sockets

@test("6.1", "one connection each; the console only if asked for",
    shared=True)
def one_connection(d):
	vm = d.vm(console=True)
	vm.agent.wait_accept("console")
	vm.client.hyper("ping")
	equal(dict(vm.agent.accepted), {"ctl": 1, "io": 1, "console": 1},
	    "connections")


# 6.2 limits

@test("6.2", "control messages up to 1 MiB; one byte more loses the VM",
    shared=True)
def ctl_limit(d):
	vm = d.vm(mode="manual")
	data = os.urandom(MIB - 8)
	vm.client.hyper_send("ping")
	vm.agent.next_ctl()
	vm.agent.ack(data)
	equal(vm.client.response(HYPER).payload, data, "reply")
	s = vm.shim(start=False)
	vm.client.hyper_send("ping")
	vm.agent.next_ctl()
	vm.agent.send_ctl(A_ACK, b"", length=MIB + 1)
	error_text(vm.client.response(HYPER))
	s.expect_closed()
	vm.agent.wait_eof("ctl")
	vm.agent.wait_eof("io")


@test("6.2", "huge lengths on either channel lose the VM", shared=True)
def huge(d):
	for which in ("ctl", "io"):
		for n in (MIB + 1, 0x7fffffff, 0x80000000, 0xffffffff):
			vm = d.vm()
			s = vm.shim()
			before = d.rss()
			if which == "ctl":
				vm.agent.send_ctl(A_ACK, b"", length=n)
			else:
				vm.agent.tty(s.base, b"", length=n)
			s.expect_closed()
			vm.agent.wait_eof("ctl")
			vm.agent.wait_eof("io")
			check(d.rss() - before < 32768, "memory")


@test("6.2", "a length below the header's size means no payload",
    shared=True)
def short_length(d):
	vm = d.vm(mode="manual")
	for n in range(8):
		vm.client.hyper_send("ping")
		vm.agent.next_ctl()
		vm.agent.send_ctl(A_ACK, b"", length=n)
		equal(vm.client.response(HYPER).payload, b"", "reply")
	vm.agent.mode = "ack"
	for n in range(12):
		s = vm.shim()
		vm.agent.tty(s.base, b"", length=n)
		vm.agent.tty(s.base, b"\x05")
		equal(s.exit_status(), 5, "status")


@test("6.2", "replies in pieces and many in one write", shared=True)
def ctl_fragments(d):
	vm = d.vm(mode="manual")
	cs = [vm.attach()[0] for i in range(20)]
	for i, c in enumerate(cs):
		c.hyper_send("ping", i)
	order = []
	for i in range(20):
		order.append(int(vm.agent.next_ctl()[1]))
	blob = b"".join(struct.pack(">II", A_ACK, 8 + len(b"%d" % i)) +
	    b"%d" % i for i in order)
	for b in blob[:40]:
		vm.agent.raw_ctl(bytes([b]))
	vm.agent.raw_ctl(blob[40:])
	for i, c in enumerate(cs):
		equal(c.response(HYPER).payload, b"%d" % i, "reply")


# 6.3 incoming control messages

@test("6.3", "NEXT is ignored wherever it comes", daemon=dict())
def next_ignored(d):
	vm = d.vm(flow=True)
	s = vm.shim()
	for i in range(20):
		vm.agent.send_ctl(A_NEXT, struct.pack(">I", i))
		vm.client.hyper("ping")
		s.signal(10)
	vm.agent.mode = "manual"
	vm.agent.skip_ctl()
	vm.client.hyper_send("ping")
	vm.agent.next_ctl(A_PING)
	for i in range(200):
		vm.agent.send_ctl(A_NEXT, struct.pack(">I", 8))
	vm.agent.send_ctl(A_ACK, b"real")
	equal(vm.client.response(HYPER).payload, b"real", "reply")


@test("6.3", "asynchronous events (24) are ignored", shared=True)
def event_ignored(d):
	vm = d.vm(mode="manual")
	for payload in (b"", b'{"event":"oom"}', b"e" * 5000):
		vm.agent.send_ctl(A_ASYNCEVENT, payload)
		vm.client.hyper_send("ping")
		vm.agent.next_ctl()
		vm.agent.send_ctl(A_ASYNCEVENT, payload)
		vm.agent.ack(b"real")
		equal(vm.client.response(HYPER).payload, b"real", "reply")


@test("6.3", "READY and other stray codes do not answer a later command",
    shared=True)
def stray_codes(d):
	vm = d.vm(mode="echo")
	for code in (8, 13, 14, 23, 24):
		for i in range(30):
			vm.agent.send_ctl(code, b"stray")
	equal(vm.client.hyper("ping", 1), b"1", "reply")
	equal(vm.client.hyper("ping", 2), b"2", "reply")


@test("6.3", "an early ACK is kept for the next command", shared=True)
def early_ack(d):
	vm = d.vm(mode="manual")
	vm.agent.ack(b"early 1")
	vm.agent.error(b"early 2")
	vm.agent.ack(b"early 3")
	equal(vm.client.hyper("ping"), b"early 1", "reply")
	equal(vm.client.hyper_fails("ping"), "ERROR received from VM agent, "
	    "control msg received : early 2", "error")
	equal(vm.client.hyper("ping"), b"early 3", "reply")
	for i in range(3):
		vm.agent.next_ctl(A_PING)
	vm.agent.mode = "echo"
	equal(vm.client.hyper("ping", 4), b"4", "reply")


@test("6.3", "replies nobody waits for, without end", shared=True)
def ack_flood(d):
	vm = d.vm(mode="manual")
	before = d.rss()
	for i in range(16):
		vm.agent.ack(b"kept %d" % i)
	for i in range(2000):
		vm.agent.ack(b"f" * 10000)
	vm.agent.send_ctl(A_NEXT, b"")
	for i in range(3):
		d.bystander.check()
	check(d.rss() - before < 16384, "memory grew by %d KiB" %
	    (d.rss() - before))
	c = d.client()
	f = c.ask(ATTACH, {"containerId": vm.id})
	equal(f.err, 0, "error flag of AttachVM")


# 6.4 transactions

@test("6.4", "replies go out in the order of the commands", shared=True)
def fifo(d):
	vm = d.vm(mode="manual")
	cs = [vm.attach()[0] for i in range(16)]
	rnd = random.Random(64)
	for round in range(10):
		for i, c in enumerate(cs):
			c.hyper_send("ping", "%d-%d" % (round, i))
		got = [vm.agent.next_ctl()[1] for c in cs]
		half = rnd.randrange(16)
		for p in got[:half]:
			vm.agent.ack(p)
		d.bystander.check()
		for p in got[half:]:
			vm.agent.ack(p)
		for i, c in enumerate(cs):
			equal(c.response(HYPER).payload, b'"%d-%d"' %
			    (round, i), "reply")


@test("6.4", "several commands are in flight at once", shared=True)
def in_flight(d):
	vm = d.vm(mode="manual")
	a, b = vm.attach()[0], vm.attach()[0]
	s = vm.shim(start=False)
	a.hyper_send("removecontainer", {"container": "slow"})
	vm.agent.next_ctl(A_REMOVECONTAINER)
	b.hyper_send("pscontainer", {"container": "x"})
	vm.agent.next_ctl(A_PSCONTAINER)
	vm.agent.ack(b"removed")
	equal(a.response(HYPER).payload, b"removed", "reply")
	vm.agent.ack(b"ps")
	equal(b.response(HYPER).payload, b"ps", "reply")


@test("6.4", "refused commands leave no waiter", shared=True)
def refused(d):
	vm = d.vm(mode="echo")
	c = vm.client
	for i in range(30):
		c.hyper_fails("nonsense")
		c.hyper_fails("ping", tokens=["x"])
		equal(c.hyper("ping", i), b"%d" % i, "reply")


@test("6.4", "a client that leaves does not shift the replies", shared=True)
def leaver(d):
	vm = d.vm(mode="manual")
	a, b = vm.attach()[0], vm.attach()[0]
	a.hyper_send("ping", "a")
	vm.agent.next_ctl()
	a.close()
	b.hyper_send("ping", "b")
	vm.agent.next_ctl()
	d.bystander.check()
	vm.agent.ack(b"to a")
	vm.agent.ack(b"to b")
	equal(b.response(HYPER).payload, b"to b", "reply")


@test("6.4", "an agent that never answers: deadline, then in order again",
    daemon=dict(timeouts={"agent": "300ms"}))
def reply_deadline(d):
	vm = d.vm(mode="manual")
	c = vm.client
	c.hyper_send("ping", "lost")
	error_text(c.response(HYPER))
	f = None
	o = d.client()
	if not o.ask(ATTACH, {"containerId": vm.id}).err:
		o.hyper_send("ping", "next")
		f = o.response(HYPER)
	check(f is None or f.err, "answer out of nothing")


@test("6.4", "an agent that does not read its control channel",
    daemon=dict(timeouts={"agent": "300s"}))
def ctl_blocked(d):
	vm = d.vm(mode="echo")
	s = vm.shim()
	vm.agent.hang = True
	vm.agent.reading["ctl"].clear()
	cs = [vm.attach()[0] for i in range(60)]
	big = Raw(b'"' + b"b" * 10000 + b'"')
	for c in cs:
		c.hyper_send("ping", big)
	vm.agent.tty(s.base, b"flows")
	equal(s.stdout(), b"flows", "output")
	s.stdin(b"in")
	equal(vm.agent.next_tty(), (s.base, b"in"), "stdin")
	d.bystander.check()
	vm.agent.reading["ctl"].set()
	for c in cs:
		equal(c.response(HYPER).payload, bytes(big), "reply")


# 6.6 VM loss

def loss(d, vm, how):
	shims = [vm.shim(), vm.shim(start=False)]
	vm.agent.mode = "manual"
	pending_ones = [vm.attach()[0] for i in range(5)]
	for c in pending_ones:
		c.hyper_send("ping")
	for c in pending_ones:
		vm.agent.next_ctl(A_PING)
	how()
	for c in pending_ones:
		check(error_text(c.response(HYPER)), "empty error text")
	for s in shims:
		s.expect_closed(eof=True)
	vm.agent.wait_eof("ctl")
	vm.agent.wait_eof("io")
	for c in pending_ones + [vm.attach()[0]]:
		equal(c.hyper_fails("ping"), LOST, "error")
	equal(d.client().fails(REGISTER, register_request(vm.id,
	    vm.agent.ctl_path, vm.agent.io_path)),
	    vm.id + ": container already registered", "error")
	vm.unregister()
	again = d.vm(vm.id)
	again.client.hyper("ping")


@test("6.6", "EOF on the control socket", shared=True)
def ctl_eof(d):
	vm = d.vm()
	loss(d, vm, lambda: vm.agent.ctl.shutdown(socket.SHUT_RDWR))


@test("6.6", "EOF on the I/O socket", shared=True)
def io_eof(d):
	vm = d.vm()
	loss(d, vm, lambda: vm.agent.io.shutdown(socket.SHUT_RDWR))


@test("6.6", "the guest only ends its writing, control or I/O", shared=True)
def half_eof(d):
	vm = d.vm()
	loss(d, vm, lambda: vm.agent.ctl.shutdown(socket.SHUT_WR))
	vm = d.vm()
	loss(d, vm, lambda: vm.agent.io.shutdown(socket.SHUT_WR))


@test("6.6", "both at once, and the console with them", shared=True)
def all_eof(d):
	vm = d.vm(console=True)
	vm.agent.wait_accept("console")

	def both():
		vm.agent.ctl.shutdown(socket.SHUT_RDWR)
		vm.agent.io.shutdown(socket.SHUT_RDWR)
	loss(d, vm, both)
	vm.agent.wait_eof("console")


@test("6.6", "EOF inside a message", shared=True)
def eof_inside(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.raw_io(tty_message(s.base, b"", length=500) + b"part")
	vm.agent.hang_up("io")
	s.expect_closed()
	vm = d.vm()
	s = vm.shim()
	vm.agent.raw_ctl(b"\0\0\0")
	vm.agent.hang_up("ctl")
	s.expect_closed()


@test("6.6", "output before the loss still arrives", shared=True)
def last_output(d):
	vm = d.vm()
	s = vm.shim()
	data = os.urandom(60000)
	vm.agent.tty(s.base, data)
	vm.agent.exit(s.base, 3)
	vm.agent.hang_up("io")
	vm.agent.hang_up("ctl")
	equal(s.stdout(), data, "output")
	equal(s.exit_status(), 3, "status")
	s.expect_closed()


@test("6.6", "losses leak no descriptor and no engine",
    daemon=dict(level="warn"))
def loss_leaks(d):
	def round():
		for i in range(10):
			vm = d.vm("leaky%d" % i)
			s = vm.shim()
			vm.agent.hang_up("io")
			s.expect_closed()
			vm.unregister()
			vm.client.close()
			s.close()
			vm.agent.close()
	round()

	def settled():
		return len(d.engines()) <= 1
	wait_for(settled, "engines gone")
	low = d.fds()
	for i in range(3):
		round()
	wait_for(settled, "engines gone")
	wait_for(lambda: d.fds() <= low + 2, "descriptors back at %d" % low)


@test("6.6", "an engine that is killed is a loss for its VM only",
    daemon=dict())
def engine_killed(d):
	need_root()
	before = set(d.engines())
	vm = d.vm()
	s = vm.shim()
	c, _ = vm.attach()
	vm.agent.mode = "manual"
	c.hyper_send("ping")
	vm.agent.skip_ctl()
	new = set(d.engines()) - before
	equal(len(new), 1, "new engines")
	os.kill(new.pop(), signal.SIGKILL)
	s.expect_closed()
	c.recv()
	vm.agent.wait_eof("ctl")
	vm.agent.wait_eof("io")
	d.bystander.check()

	def gone():
		c = d.client()
		f = c.ask(ATTACH, {"containerId": vm.id})
		c.close()
		return f
	gone()
	text = d.client().fails(CONNECT, {"token": s.token})
	check("token" in text, "error " + text)
	d.client().ask(UNREGISTER, {"containerId": vm.id})
	wait_for(lambda: d.client().ask(ATTACH, {"containerId": vm.id}).err,
	    "id free")
	d.vm(vm.id).client.hyper("ping")


# 6.7 console

@test("6.7", "console text in the debug log", shared=True)
def console(d):
	vm = d.vm(console=True)
	vm.agent.wait_accept("console")
	mark = d.log_mark()
	vm.agent.console.sendall(b'[    0.000000] "quoted" \x1b[1m\ttab\r\n'
	    b"second line\nthird \xff\xfe bytes\nincomplete")
	e = d.wait_log(r"\[    0\.000000\]", mark, source="qemu")
	equal((e["level"], e["vm"]), ("debug", vm.id), "fields")
	check('"quoted" \x1b[1m\ttab' in e["msg"], "text " + repr(e["msg"]))
	d.wait_log("^second line$", mark, source="qemu", vm=vm.id)
	d.wait_log("^third ", mark, source="qemu")
	check("\x1b" not in d.log_text(), "escape character in the log")
	vm.agent.console.sendall(b" now complete\n")
	d.wait_log("now complete", mark, source="qemu")


@test("6.7", "lines beyond 64 KiB are split, reading goes on", shared=True)
def console_long(d):
	vm = d.vm(console=True)
	vm.agent.wait_accept("console")
	mark = d.log_mark()
	def logged():
		return sum(e["msg"].count("A") for e in d.entries(mark,
		    source="qemu"))
	for n in range(10000, 140001, 10000):
		vm.agent.console.sendall(b"A" * 10000)
		wait_for(lambda: logged() > n - 4096, "%d characters" % n)
	vm.agent.console.sendall(b"\nafter the long line\n")
	d.wait_log("^after the long line$", mark, source="qemu")
	equal(logged(), 140000, "characters logged")


@test("6.7", "not connected below debug", daemon=dict(level="info"))
def console_info(d):
	vm = d.vm(console=True)
	vm.client.hyper("ping")
	equal(vm.agent.accepted["console"], 0, "console connections")


@test("6.7", "a console that cannot be connected fails nothing",
    shared=True)
def console_missing(d):
	a = d.agent("nocon")
	c = d.client()
	f = c.register("nocon", a.ctl_path, a.io_path,
	    os.path.join(d.dir, "no.console"))
	equal(f.err, 0, "error flag")
	c.hyper("ping")


@test("6.7", "a console's end is no loss; its flood delays nobody",
    shared=True)
def console_end(d):
	vm = d.vm(console=True)
	s = vm.shim()
	vm.agent.wait_accept("console")
	mark = d.log_mark()
	t = threading.Thread(target=lambda: vm.agent.console.sendall(
	    b"flood of the console\n" * 100000), daemon=True)
	t.start()
	for i in range(20):
		vm.client.hyper("ping")
		vm.agent.tty(s.base, b"x")
		equal(s.stdout(), b"x", "output")
		d.bystander.check()
	t.join(CEILING)
	check(not t.is_alive(), "console is not drained")
	vm.agent.hang_up("console")
	vm.client.hyper("ping")
	vm.agent.tty(s.base, b"y")
	equal(s.stdout(), b"y", "output")


# 6.8 KSM

class Ksm:
	"""A fake /sys/kernel/mm/ksm in a mount namespace of the daemon."""

	def __init__(self):
		need_mount_namespace()
		self.top = tempfile.mkdtemp(prefix="ccp-ksm-")
		os.chmod(self.top, 0o755)
		self.dir = os.path.join(self.top, "ksm")
		os.mkdir(self.dir)
		self.initial = {"run": "0\n", "pages_to_scan": "123\n",
		    "sleep_millisecs": "45\n"}
		for name, text in self.initial.items():
			with open(os.path.join(self.dir, name), "w") as f:
				f.write(text)
		real = "/sys/kernel/mm/ksm"
		src = self.dir
		if not os.path.isdir(real):
			real, src = "/sys/kernel/mm", self.top
		if not os.path.isdir(real):
			raise Skip("no /sys/kernel/mm here")
		self.wrap = ["unshare", "-m", "sh", "-c",
		    'mount --bind "$0" "$1" && shift && exec "$@"', src, real]

	def read(self):
		out = {}
		for name in self.initial:
			with open(os.path.join(self.dir, name)) as f:
				out[name] = f.read()
		return out

	def setting(self):
		return tuple(self.read()[n].strip() for n in ("run",
		    "pages_to_scan", "sleep_millisecs"))

	def wait(self, run, sleep, divisor):
		def there():
			r, pages, s = self.setting()
			return r == run and s == sleep and pages.isdigit() \
			    and pages != "123" and pages
		pages = int(wait_for(there, "KSM setting %s %s, now %s" %
		    (run, sleep, self.setting())))
		want = anon_pages() // divisor
		check(want / 4 - 10 <= pages <= want * 4 + 10,
		    "pages_to_scan %d, expected about %d" % (pages, want))

	def wait_initial(self):
		wait_for(lambda: self.read() == self.initial,
		    "initial KSM values")

	def daemon(self, mode, **kw):
		d = Daemon(ksm=mode, wrap=self.wrap, **kw)
		return d

	def dispose(self):
		shutil.rmtree(self.top, ignore_errors=True)


def anon_pages():
	with open("/proc/meminfo") as f:
		for line in f:
			if line.startswith("AnonPages:"):
				return int(line.split()[1]) * 1024 // \
				    os.sysconf("SC_PAGE_SIZE")


def with_ksm(func):
	def run():
		k = Ksm()
		try:
			func(k)
		finally:
			k.dispose()
	return run


def ended(d, sig=signal.SIGTERM):
	d.proc.send_signal(sig)
	status = d.wait_exit()
	wrong = d.dispose()
	check(wrong is None, wrong)
	return status


@test("6.8", "initial: read, never written", private=False)
@with_ksm
def ksm_initial(k):
	d = k.daemon("initial")
	d.vm().client.hyper("ping")
	equal(k.read(), k.initial, "KSM files")
	equal(ended(d), -signal.SIGTERM, "exit status")
	equal(k.read(), k.initial, "KSM files")


@test("6.8", "off: run is 0; TERM and INT restore and exit 0",
    private=False)
@with_ksm
def ksm_off(k):
	k.initial["run"] = "1\n"
	for sig in (signal.SIGTERM, signal.SIGINT):
		with open(os.path.join(k.dir, "run"), "w") as f:
			f.write("1\n")
		d = k.daemon("off")
		wait_for(lambda: k.setting()[0] == "0", "run 0")
		d.vm().client.hyper("ping")
		equal(k.setting(), ("0", "123", "45"), "KSM setting")
		equal(ended(d, sig), 0, "exit status")
		equal(k.read(), k.initial, "KSM files")


@test("6.8", "auto: initial until the first VM, then aggressive, standard, "
    "slow, initial", private=False)
@with_ksm
def ksm_auto(k):
	d = k.daemon("auto", timeouts={"ksm-kick": "3s",
	    "ksm-standard": "3s", "ksm-slow": "3s"})
	Client(d).fails(ATTACH, {"containerId": "nobody"})
	equal(k.read(), k.initial, "KSM files before a VM")
	vm = d.vm()
	k.wait("1", "1", 10)
	k.wait("1", "10", 100)
	k.wait("1", "100", 500)
	k.wait_initial()
	d.vm()
	k.wait("1", "1", 10)
	equal(ended(d), 0, "exit status")
	equal(k.read(), k.initial, "KSM files")


@test("6.8", "D11 auto: nothing is written while no VM comes", private=False)
@with_ksm
def ksm_idle(k):
	d = k.daemon("auto", timeouts={"ksm-kick": "20ms",
	    "ksm-standard": "20ms", "ksm-slow": "20ms"})
	stamp = [os.stat(os.path.join(k.dir, n)).st_mtime_ns
	    for n in k.initial]
	for i in range(100):
		c = Client(d)
		c.fails(ATTACH, {"containerId": "nobody"})
		c.close()
	equal([os.stat(os.path.join(k.dir, n)).st_mtime_ns
	    for n in k.initial], stamp, "time of the last write")
	equal(ended(d), 0, "exit status")


@test("6.8", "a failed registration does not kick", private=False)
@with_ksm
def ksm_failed(k):
	d = k.daemon("auto")
	Client(d).fails(REGISTER, register_request("x", "/nowhere", "/no"))
	equal(k.read(), k.initial, "KSM files")
	equal(ended(d, signal.SIGINT), 0, "exit status")


@test("6.8", "missing files: said on stderr, service goes on",
    private=False)
@with_ksm
def ksm_missing(k):
	for name in k.initial:
		os.unlink(os.path.join(k.dir, name))
	os.rmdir(k.dir)
	if "/sys/kernel/mm/ksm" in k.wrap:
		k.wrap[k.wrap.index("/sys/kernel/mm/ksm")] = \
		    "/sys/kernel/mm"
		k.wrap[k.wrap.index(k.dir)] = k.top
	d = k.daemon("auto")
	d.wait_line("KSM setup failed: /sys/kernel/mm/ksm/ is not available")
	d.vm().client.hyper("ping")
	equal(ended(d), -signal.SIGTERM, "exit status")


@test("6.8", "many registrations at once", private=False)
@with_ksm
def ksm_parallel(k):
	d = k.daemon("auto")
	agents = [d.agent("k%d" % i) for i in range(20)]
	cs = [Client(d) for a in agents]
	for i, (a, c) in enumerate(zip(agents, cs)):
		c.cmd(REGISTER, register_request("k%d" % i, a.ctl_path,
		    a.io_path))
	for c in cs:
		equal(c.response(REGISTER).err, 0, "error flag")
	k.wait("1", "1", 10)
	equal(ended(d), 0, "exit status")
	equal(k.read(), k.initial, "KSM files")


main()

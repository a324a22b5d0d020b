#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The system calls of a daemon at work beside the lists in its sources: none
that is not in them, and none in them that nothing uses.

With a directory as its argument it judges the traces that are there instead:
	CCP_TRACE=/tmp/dir make check
	CCP_TRACE= CCP_BUILD=build regress/integ/calls_test.py /tmp/dir
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
import ccp1
from ccp1 import Client1
from calls import *
from integ import *

# Allowed, and not used here: (part of the rule's text, why it stays).
REASONS = (
    ("base read", "libevent's pipe for signals"),
    ("base epoll_pwait", "machines without epoll_wait, libevent 2.2"),
    ("base epoll_wait", "machines with epoll_wait"),
    ("base ppoll", "machines without poll"),
    ("base clock_gettime", "where the vDSO does not answer"),
    ("base gettimeofday", "where the vDSO does not answer"),
    ("base time", "where the vDSO does not answer"),
    ("base restart_syscall", "poll() behind SIGSTOP and SIGCONT"),
    ("base rt_sigprocmask", "abort()"),
    ("base rt_sigaction", "abort()"),
    ("base gettid", "abort()"),
    ("base tgkill", "abort(), to itself only"),
    ("base write", "what libc says before abort()"),
    ("base mmap 2 masked 0x4 0x0 3 masked 0xffffffffffffbfff 0x28",
    "getrandom() in the vDSO of Linux 6.11"),
    ("base mprotect", "malloc() of other libcs"),
    ("base madvise", "malloc() of other libcs and releases"),
    ("base futex", "locks inside of libc, which nobody else holds"),
)


def process3(d):
	"""All that a client and a shim of 3.x do."""
	vm = d.vm(console=True)
	if d.level == "debug":
		vm.agent.wait_accept("console")
		vm.agent.console.sendall(b"a line on the console\n" * 20)
	s = vm.shim(terminal=True)
	s.signal(28, 20, 80)
	s.stdin(b"in")
	equal(vm.agent.next_tty(), (s.base, b"in"), "stdin")
	vm.agent.tty(s.base, b"out")
	equal(s.stdout(), b"out", "output")
	s.log(source="shim", msg="a line", level="info")
	x = vm.shim(command="execcmd")
	vm.agent.tty(x.base + 1, b"err")
	equal(x.stderr(), b"err", "error output")
	s.signal(15)
	vm.agent.exit(x.base, 143)
	equal(x.exit_status(), 143, "exit status")
	x.disconnect_shim()
	# Away, and back for what was kept.
	s.close()

	def again():
		n = d.client()
		f = n.ask(CONNECT, {"token": s.token})
		return None if f.err else n
	back = wait_for(again, "the token free again")
	back.is_shim = True
	vm.agent.tty(s.base, b"more")
	equal(back.stdout(4), b"more", "output")
	back.disconnect_shim()
	c, tokens = vm.attach(1024)
	equal(len(tokens), 1024, "tokens")
	c.hyper_fails("nonsense")
	c.fails(ATTACH, {"containerId": "nobody"})
	c.fails(CONNECT, {"token": "x"})


def process1(d):
	"""Of 1.x."""
	vm = d.vm1()
	p = vm.process()
	p.io.stdin(b"in")
	equal(vm.agent.next_tty(), (p.base, b"in"), "stdin")
	vm.agent.tty(p.base, b"out")
	p.io.expect(b"out")
	p.client.hyper("killcontainer", {"container": p.cid, "signal": 9})
	vm.agent.exit(p.base, 9)
	p.io.expect_exit(9)
	p.close()
	vm.lose()
	vm.client.bye(vm.id)
	vm.client.close()


def bulk(d):
	vm = bulk_vm(d)
	vm.agent.mode = lambda agent, code, payload: agent.ack(b"x" * (MB -
	    8)) if code == A_PING else agent.ack()
	equal(len(vm.client.hyper("ping")), MB - 8, "a large answer")
	s = vm.shim()
	up, down = Source(4 * MB, 1), Source(4 * MB, 2)
	r = Reader(s)
	out = Task(vm.agent.emit, {s.base: down})
	feed(s, up)
	equal(vm.agent.wait_size(s.base, up.size), up.digest(), "stdin")
	out.get()
	vm.agent.exit(s.base, 0)
	equal(r.get().out[STDOUT].digest(), down.digest(), "output")
	# One that reads nothing; what is for it waits.
	idle = vm.shim()
	for i in range(30):
		vm.agent.tty(idle.base, b"i" * 10000)
	idle.close()
	vm.client.close()


def misfortune(d):
	"""Registrations that fail, VMs that are lost, clients that go."""
	c = d.client()
	c.fails(REGISTER, register_request("none", d.dir + "/no", d.dir +
	    "/no"))
	a = d.agent("early", ready=False)
	c.cmd(REGISTER, register_request("early", a.ctl_path, a.io_path))
	a.wait_accept("io")
	a.error(b"no")
	error_text(c.response(REGISTER))
	vm = d.vm()
	waiting = vm.shim()
	vm.agent.mode = "manual"
	vm.client.hyper_send("ping")
	vm.agent.next_ctl()
	vm.agent.hang_up("ctl")
	error_text(vm.client.response(HYPER))
	waiting.expect_closed()
	vm.unregister()
	for data in (b"\0", b"\xff" * 100):
		bad = d.client()
		bad.raw(data)
		bad.close()
	one = Client1(d)
	one.raw(b"\0\0\0\2\0\0\0\0xx")
	one.close()
	# The log is full for a while.
	vm = d.vm()
	os.kill(d.pid, signal.SIGSTOP)
	try:
		for i in range(100):
			vm.agent.tty(999 + i, b"for nobody")
			vm.agent.send_ctl(A_ASYNCEVENT)
		vm.client.hyper("ping")
	finally:
		os.kill(d.pid, signal.SIGCONT)
	vm.client.hyper("ping")


def control(d):
	subprocess.run([binary("cc-proxyctl"), "-s", d.path,
	    "status"], stdout=subprocess.DEVNULL, check=True)


def activity(level, *parts):
	d = ccp1.Daemon(level=level)
	try:
		for p in parts:
			p(d)
	except BaseException:
		ccp.show_log(d)
		raise
	finally:
		wrong = d.dispose()
	check(wrong is None, wrong)


def judge(place):
	rules = Rules()
	t = Trace(place)
	note("traced: %s" % ", ".join("%d %s" % (n, p)
	    for p, n in sorted(t.count.items())))
	for p, calls in sorted(t.calls.items()):
		note("%s: %s" % (p, " ".join(sorted({c for c, a in calls}))))
	refused = []
	for (action, process), calls in sorted(t.judge(rules).items()):
		check(action == "soft", "%s may not call %s" % (process,
		    dict(calls)))
		refused += ["%s %s" % (process, c) for c in calls]
	note("refused without effect: %s" % (", ".join(refused) or "none"))
	used = sum(r.hits > 0 and r.action == "allow" for r in rules.rules)
	unused = [r.text for r in rules.unused()]
	odd = [u for u in unused
	    if not any(u.startswith(rule) for rule, why in REASONS)]
	note("%d allowed rules are used, %d are not: %s" % (used, len(unused),
	    ", ".join(unused)))
	check(not odd, "allowed, but nothing uses: %s" % odd)
	for p in PROCESSES.values():
		check(t.count[p] > 0, "no trace of %s" % p)


@test("calls", "those that are made are those that may be", private=False)
def calls():
	need_root()
	if SANITIZED:
		raise Skip("a sanitizer's build has no filter")
	if shutil.which("strace") is None:
		raise Skip("no strace")
	if len(PLACE) > 0:
		judge(PLACE[0])
		return
	place = tempfile.mkdtemp(prefix="ccp-calls-")
	os.environ["CCP_TRACE"] = place
	try:
		# At level debug all data is logged, and consoles are read.
		activity("debug", process3, process1, control)
		activity("warn", process3, process1, bulk, misfortune)
		Trace.wait(place)
		judge(place)
	finally:
		del os.environ["CCP_TRACE"]
		shutil.rmtree(place)


PLACE = [a for a in sys.argv[1:] if os.path.isdir(a)]
sys.argv = [a for a in sys.argv if a not in PLACE]
main()

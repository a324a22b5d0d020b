#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What a service manager is told, as sd_notify(3) has it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from manager import *

# The daemon's own pid, which nobody knows before it runs.
PIDS = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh"]

ACTIVATE = """import os, sys
fd = os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1",
    LISTEN_FDNAMES="proxy")
os.execv(sys.argv[2], sys.argv[2:])
"""


def told(m, **kw):
	return Daemon(env=m.env(**kw.pop("more", {})), **kw)


def serves(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.exit(s.base, 3)
	equal(s.exit_status(), 3, "status")
	s.disconnect_shim()
	return vm


def disposed(d):
	wrong = d.dispose()
	check(wrong is None, wrong)


def slow_frontend(d):
	"""A libexec directory whose frontend waits to be let go: open() of
	the pipe returned is the sign that it waits, close() lets it go."""
	where = os.path.join(d.dir, "libexec")
	fifo = os.path.join(d.dir, "go")
	os.mkdir(where)
	os.mkfifo(fifo)
	os.symlink(binary("ccp-vmengine"), os.path.join(where,
	    "ccp-vmengine"))
	with open(os.path.join(where, "ccp-frontend"), "w") as f:
		f.write('#!/bin/sh\nread x <%s\nexec %s "$@"\n' % (fifo,
		    binary("ccp-frontend")))
	os.chmod(f.name, 0o755)
	d.argv[d.argv.index("-libexec") + 1] = where
	return fifo


@test("notify", "READY once it listens, by path and abstract name",
    private=False)
def ready():
	for abstract in (False, True):
		with Manager(abstract) as m:
			d = told(m, start=False)
			fifo = slow_frontend(d)
			d.start(ready=False)
			with open(fifo, "w"):
				equal(m.silent(), None, "told too soon")
			lines = sum(m.until("READY=1", d.pid), [])
			check(d._listening(), "ready and not listening")
			equal(lines, ["STATUS=virtual machines: 0",
			    "READY=1"], "what is told")
			serves(d)
			disposed(d)


@test("notify", "READY of a daemon with a passed socket", private=False)
def activated():
	with Manager() as m:
		d = told(m, start=False)
		d.path = os.path.join(d.dir, "passed")
		s = socket.socket(socket.AF_UNIX)
		s.bind(d.path)
		s.listen(8)
		c = Client(d)	# is waiting since before the daemon
		d.argv = [sys.executable, "-c", ACTIVATE,
		    str(s.fileno())] + d.argv
		d.pass_fds = [s.fileno()]
		d.start(ready=False)
		m.until("READY=1", d.pid)
		s.close()
		c.fails(ATTACH, {"containerId": "none"})
		serves(d)
		disposed(d)


@test("notify", "STATUS counts the virtual machines", private=False)
def status_line():
	with Manager() as m:
		d = told(m)
		m.until("READY=1")
		a = d.vm()
		m.until("STATUS=virtual machines: 1", d.pid)
		b = d.vm()
		m.until("STATUS=virtual machines: 2")
		a.agent.hang_up("io")
		m.until("STATUS=virtual machines: 1")
		os.kill(d.engines()[-1], signal.SIGKILL)
		b.agent.hang_up("ctl")
		m.until("STATUS=virtual machines: 0")
		disposed(d)


@test("notify", "STOPPING at SIGTERM and SIGINT, and then status 0",
    private=False)
def stopping():
	for sig in (signal.SIGTERM, signal.SIGINT):
		with Manager() as m:
			d = told(m)
			m.until("READY=1")
			serves(d)
			d.proc.send_signal(sig)
			last = m.until("STOPPING=1", d.pid)[-1]
			equal(last, ["STOPPING=1", "STATUS=stopping"], "told")
			equal(d.wait_exit(), 0, "exit status")
			equal(m.silent(), None, "told behind STOPPING")
			disposed(d)


@test("notify", "STOPPING when the frontend dies, and then status 1",
    private=False)
def frontend_dies():
	with Manager() as m:
		d = told(m)
		m.until("READY=1")
		os.kill(child(d, "frontend"), signal.SIGKILL)
		m.until("STOPPING=1", d.pid)
		equal(d.wait_exit(), 1, "exit status")
		disposed(d)


@test("notify", "WATCHDOG at half of its time", private=False)
def watchdog():
	for wrap in ((), PIDS):
		with Manager() as m:
			start = time.monotonic()
			d = told(m, wrap=wrap, more={"WATCHDOG_USEC":
			    "1000000"})
			for i in range(2):
				m.until("WATCHDOG=1", d.pid)
			check(time.monotonic() - start >= 0.9,
			    "earlier than at half of its time")
			serves(d)
			d.proc.send_signal(signal.SIGTERM)
			m.until("STOPPING=1")
			equal(d.wait_exit(), 0, "exit status")
			disposed(d)


def switches(pid):
	s = status(pid)
	return (s["voluntary_ctxt_switches"], s["nonvoluntary_ctxt_switches"])


def at_rest(pid):
	"""Until the process has not run for two seconds."""
	last = [None, 0]

	def still():
		now = switches(pid)
		if now != last[0]:
			last[:] = [now, time.monotonic()]
		return time.monotonic() - last[1] > 2
	wait_for(still, "rest")


@test("notify", "a watchdog that is none: nothing wakes the daemon",
    private=False)
def no_watchdog():
	for more in ({"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"},
	    {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "-5"},
	    {"WATCHDOG_USEC": "1"}, {"WATCHDOG_USEC": ""},
	    {"WATCHDOG_USEC": "20000 "}, {"WATCHDOG_USEC": "9" * 30},
	    {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "x"}):
		with Manager() as m:
			d = told(m, more=more)
			m.until("READY=1")
			at_rest(d.pid)
			equal(m.silent(), None, "told with %s" % more)
			equal(bool(d.find_log("no watchdog")),
			    more.get("WATCHDOG_PID") != "1", "a warning")
			disposed(d)


@test("notify", "a manager that goes and another that comes",
    private=False)
def gone():
	with Manager() as m:
		d = told(m)
		m.until("READY=1")
		m.gone()
		serves(d)
		d.wait_log("^NOTIFY_SOCKET: ", level="warning")
		at_rest(d.pid)
		serves(d)
		equal(len([e for e in d.entries(level="warning")
		    if "NOTIFY_SOCKET" in e["msg"]]), 1, "warnings")
		m.listen()
		serves(d)
		m.until("STATUS=virtual machines: 3", d.pid)
		m.gone()
		d.proc.send_signal(signal.SIGTERM)
		equal(d.wait_exit(), 0, "exit status")
		disposed(d)


@test("notify", "a manager that reads nothing is waited for, not asked",
    private=False)
def full():
	with Manager() as m:
		n = m.fill()
		d = told(m)
		serves(d)
		at_rest(d.pid)
		serves(d)
		for i in range(n):
			equal(m.next(), ["other"], "message of others")
		equal(m.next(d.pid), ["READY=1",
		    "STATUS=virtual machines: 2"], "told")
		disposed(d)
	with Manager() as m:
		m.fill()
		d = told(m)
		serves(d)
		d.proc.send_signal(signal.SIGTERM)
		equal(d.wait_exit(), 0, "exit status")
		disposed(d)


@test("notify", "a socket that is none is ignored", private=False)
def hostile():
	d = Daemon(start=False)
	stream = socket.socket(socket.AF_UNIX)
	path = os.path.join(d.dir, "stream")
	stream.bind(path)
	stream.listen(1)
	for name in ("relative", "@", "/", "/dev/null", d.dir,
	    "/no/such/socket", "vsock:2:1234", "/" + "x" * 200,
	    "@" + "x" * 200, "@nobody", "-1", path, " " + path):
		d.env["NOTIFY_SOCKET"] = name
		mark = d.log_mark() if os.path.exists(d.log_path) else 0
		d.start()
		d.wait_log("^NOTIFY_SOCKET", mark, level="warning")
		serves(d)
		wrong = d.stop()
		check(wrong is None, "%s: %s" % (name, wrong))
	mark = d.log_mark()
	d.env["NOTIFY_SOCKET"] = ""
	d.start()
	serves(d)
	check(not d.find_log("NOTIFY_SOCKET", mark), "warning for nothing")
	stream.close()
	disposed(d)


@test("notify", "a pod's daemon tells nothing to its runtime's manager",
    private=False)
def pod():
	log = Syslog()
	with Manager() as m:
		d = Daemon(uri="", wrap=log.wrap, ksm=None, env=m.env(
		    WATCHDOG_USEC="20000"))
		d.agents.append(log)
		serves(d)
		at_rest(d.pid)
		equal(m.silent(), None, "told")
		disposed(d)


@test("notify", "no child knows of the manager", private=False)
def children_know_nothing():
	need_root()
	with Manager() as m:
		plain, d = Daemon(), told(m)
		m.until("READY=1")
		kinds = []
		for one in (plain, d):
			vm = one.vm()
			kids = [child(one, "frontend"), one.engines()[0]]
			for pid in kids:
				with open("/proc/%d/environ" % pid,
				    "rb") as f:
					check(b"NOTIFY" not in f.read(),
					    "environment")
			wait_for(lambda: fd_count(kids[0]) > 4, "frontend")
			kinds.append([one.pid] + kids)
		fds = [[fd_count(p) for p in k] for k in kinds]
		equal(fds[1], [fds[0][0] + 1] + fds[0][1:], "descriptors")
		disposed(plain)
		disposed(d)


main()

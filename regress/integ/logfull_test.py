#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Nowhere to put the log: the daemon serves on, does not spin, and says how
much was lost as soon as it can."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from faults import *

# Standard error becomes something else for the daemon alone.
REDIRECT = ["sh", "-c", 'exec "$@" %s', "sh"]
TMPFS = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=128k,mode=755 '
    'none "$0" && exec "$@" 2>>"$0"/log']


def redirected(how, **kw):
	return Daemon(wrap=REDIRECT[:2] + [REDIRECT[2] % how] + REDIRECT[3:],
	    level="debug", ksm=None, **kw)


def work(vm, s, n=1):
	"""What makes many lines, and nothing may come out wrong."""
	for i in range(n):
		data = b"%06d," % i * 100
		vm.agent.tty(s.base, data)
		equal(s.stdout(len(data)), data, "output")
		s.stdin(data)
		equal(vm.agent.next_tty(), (s.base, data), "stdin")
		equal(vm.client.hyper("ping"), b"", "command")
		vm.agent.skip_ctl()


def ticks(d):
	"""Processor time of all processes, in clock ticks."""
	n = 0
	for p in d.processes():
		with open("/proc/%d/stat" % p) as f:
			w = f.read().rsplit(")")[1].split()
		n += int(w[11]) + int(w[12])
	return n


def rests(d):
	"""They are idle within the ceiling: one busy process would not be."""
	def idle():
		at = ticks(d)
		time.sleep(0.2)
		return ticks(d) - at <= 4
	wait_for(idle, "rest")


def lost(lines):
	"""Sum of the lines that say how many are missing."""
	return sum(int(m.group(1)) for l in lines
	    for m in [re.search(r"suppressed (\d+) log records", l)] if m)


@test("logfull", "a file on a disk that gets full, and has room again",
    private=False)
def disk():
	need_mount_namespace()
	place = tempfile.mkdtemp(prefix="ccp-full-")
	try:
		d = Daemon(wrap=TMPFS + [place], level="debug", ksm=None)
	except BaseException:
		os.rmdir(place)
		raise
	try:
		inside = "/proc/%d/root%s" % (d.pid, place)
		log = os.path.join(inside, "log")
		vm = d.vm()
		s = vm.shim()
		work(vm, s)
		with open(os.path.join(inside, "filler"), "wb",
		    buffering=0) as f:
			try:
				while True:
					f.write(b"x" * 4096)
			except OSError as e:
				equal(e.errno, 28, "error")
		# It has the rest of its last page.
		wait_for(lambda: work(vm, s, 5) or
		    os.path.getsize(log) % 4096 == 0, "a full log")
		seen = os.path.getsize(log)
		work(vm, s, 50)
		d.vm().client.hyper("ping")
		equal(os.path.getsize(log), seen, "size of a full log")
		rests(d)
		os.unlink(os.path.join(inside, "filler"))

		def told():
			work(vm, s)
			with open(log) as f:
				return lost(f)
		n = wait_for(told, "a line about lost ones")
		check(n > 100, "%d records lost" % n)
		work(vm, s)
		with open(log) as f:
			lines = f.read().splitlines()
		check(lost(lines) >= n, "records lost, said")
		for l in lines[1:]:
			parse_logfmt(l)
		note("%d records lost and counted" % n)
		equal(d.stop(), None, "the end")
	finally:
		wrong = d.dispose()
		os.rmdir(place)
	check(wrong is None, wrong)


def nowhere(how, name):
	@test("logfull", name, private=False)
	def run():
		d = redirected(how)
		try:
			fds = fd_types(d.pid) if os.geteuid() == 0 else {0: "",
			    1: "", 2: ""}
			vm, other = d.vm(), d.vm()
			s, t = vm.shim(), other.shim()
			work(vm, s, 30)
			work(other, t, 30)
			rests(d)
			d.client().fails(ATTACH, {"containerId": "nobody"})
			for n in (0, 1, 2):
				check(n in fds, "descriptor %d is free" % n)
				check(fds[n] != "socket" or n == 1,
				    "descriptor %d is a socket" % n)
			for v in (vm, other):
				check(not v.agent.complaints, "agent: %s" %
				    v.agent.complaints)
			equal(d.stop(), None, "the end")
		finally:
			wrong = d.dispose()
		check(wrong is None, wrong)


nowhere("2>/dev/full", "a device that is always full")
nowhere("2>&-", "standard error closed")
nowhere("0<&- 1>&- 2>&-", "every standard descriptor closed")
nowhere("2</dev/null", "standard error open for reading only")


def piped():
	"""A daemon that logs to a pipe, and the end to read from."""
	d = Daemon(level="debug", ksm=None, start=False)
	r, w = os.pipe()
	d.proc = subprocess.Popen(d.argv, stdin=subprocess.DEVNULL,
	    stdout=subprocess.DEVNULL, stderr=w, cwd=d.dir, env=d.env)
	os.close(w)
	open(d.log_path, "w").close()
	return d, r


@test("logfull", "a pipe that nobody reads, and somebody again",
    private=False)
def pipe():
	d, r = piped()
	try:
		d.wait_listening()
		vm = d.vm()
		s = vm.shim()
		work(vm, s, 200)
		rests(d)
		out = []

		def drain():
			with os.fdopen(r, "r") as f:
				for line in f:
					out.append(line)
		reader = Task(drain)
		n = wait_for(lambda: work(vm, s) or lost(list(out)),
		    "a line about lost ones")
		work(vm, s)
		equal(d.stop(), None, "the end")
		reader.get("log")
		check(lost(out) >= n, "records lost, said")
		for l in out[1:]:
			parse_logfmt(l.rstrip("\n"))
		note("%d records lost and counted" % n)
	finally:
		wrong = d.dispose()
	check(wrong is None, wrong)


@test("logfull", "a pipe whose reader went away", private=False)
def broken_pipe():
	d, r = piped()
	try:
		d.wait_listening()
		vm = d.vm()
		s = vm.shim()
		work(vm, s)
		os.close(r)
		work(vm, s, 30)
		d.vm().client.hyper("ping")
		rests(d)
		equal(d.stop(), None, "the end")
	finally:
		wrong = d.dispose()
	check(wrong is None, wrong)


main()

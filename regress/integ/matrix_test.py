#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Either kind of client with every agent it may meet.

Each result names its cell: the client's protocol, and the profile of
ccp-guest; `told` where the daemon knows the dialect from -guest-dir instead
of finding it out.
"""

import functools
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from pods import *

TOLD = {"agent": "agent", "hyperstart-4244": "hyperstart"}
HYPERSTART = ("hyperstart-4242", "hyperstart-4244")
NOT_FIRST = "Sending a signal to a process different from the initial " \
    "container process is not supported"

OPTS = {"level": "info", "ksm": None}


class Daemon(ccp1.Daemon):
	"""A daemon that is told what agents have sockets in its
	directories of these names."""

	def __init__(self, start=True, ready=True, **kw):
		super().__init__(start=False, **kw)
		for mode in sorted(set(TOLD.values())):
			path = os.path.join(self.dir, mode)
			os.mkdir(path)
			self.argv += ["-guest-dir", "%s=%s" % (path, mode)]
		if start:
			self.start(ready)


CELLS = [(kind, profile, told) for kind in PODS for profile in PROFILES
    for told in (False, True) if not told or profile in TOLD]
CHECKS = []


def cell(title, kinds=tuple(PODS), profiles=PROFILES, keep=True,
    started=True, told=(False, True), timeouts=None, where=None,
    but="\n"):
	"""Register a check for the cells it is about.  keep: with a
	container that lives on, since hyperstart 4242 ends its pod with the
	last one.  but: what the guest may complain about."""
	def register(func):
		func.but = but
		for kind, profile, knows in CELLS:
			if kind in kinds and profile in profiles and \
			    knows in told and (where is None or
			    where(kind, profile)):
				CHECKS.append((kind, profile, knows, title,
				    func, keep, started, timeouts))
		return func
	return register


def held(kind, profile):
	"""Input of a process that is not there yet: 1.x passes it on to an
	agent that does not mind, and ignores it."""
	return kind == "3.x" or profile in HYPERSTART


def run(func, kind, profile, told, keep, started, d):
	pod = PODS[kind](d, profile, os.path.join(d.dir, TOLD[profile])
	    if told else None, started=started)
	try:
		if keep and started:
			pod.keep()
		func(pod)
		pod.judge(func.but)
	except Fail as e:
		lines = pod.complaints()
		if lines and "the guest says" not in str(e):
			e.args = ("%s; the guest says: %s" % (e,
			    "; ".join(lines[:3])),)
		raise
	pod.close()


# ------------------------------------------------------- output and status

@cell("300 KB of output, then the exit status, once")
def output(pod):
	p = pod.start("c1", sh("yes the-output | head -c 300000; yes "
	    "the-errors | head -c 100000 >&2; exit 7"))
	p.ends(7, words("the-output", 300000), words("the-errors", 100000))
	pod.settle()
	p.silent()
	pod.kept.silent()


@cell("the last container's end is reported like any other", keep=False)
def last(pod):
	p = pod.start("c1", sh("echo out; echo err >&2; exit 5"))
	p.ends(5, b"out\n", b"err\n")
	pod.kill("c1", 15)
	pod.remove("c1")
	for i in range(5):
		pod.hyper("ping")
	p.silent()


@cell("50 short processes, one exit status each")
def short(pod):
	def one(i):
		if i % 5 == 0:
			p = pod.execute(["true"])
			p.ends(0, b"", b"")
		else:
			p = pod.execute(sh("echo %d; exit %d" % (i, i)))
			p.ends(i, b"%d\n" % i, b"")
		return p
	done = [one(i) for i in range(25)]
	for start in range(25, 50, 5):
		done += in_parallel(one, range(start, start + 5))
	pod.settle()
	for p in done:
		p.silent()


@cell("a file of the shared directory, and the right environment")
def shared(pod):
	p = pod.start("c1", sh("cat /mnt/word; echo \" $A$B\""), envs=[
	    {"env": "A", "value": "first"}, {"env": "B", "value": ""}])
	word = pod.id if os.geteuid() == 0 else ""
	p.run()
	equal(bytes(p.out), b"%s first\n" % word.encode(), "output")
	if word:
		p.ends(0, err=b"")


@cell("an environment of 15 KB, for protocol 1.x of 8 KB")
def environment(pod):
	envs = [{"env": "V%03d" % i, "value": "%03d" % i * 33 + "!"}
	    for i in range(150)]
	script = "env | sort | sed -n 's/^V[0-9][0-9][0-9]=//p'"
	if isinstance(pod, Pod1):
		e = pod.process().begin("keep", sh(script), True, envs=envs)
		check(re.match("message too long 1\\d{4}$", e or ""),
		    "error %s" % e)
		del envs[60:]
	want = "".join(e["value"] + "\n" for e in envs).encode()
	pod.execute(sh(script), envs=envs).ends(0, want, b"")
	pod.start("c1", sh(script), envs=envs).ends(0, want, b"")


@cell("a first command of 15 KB is too long, a short one starts the pod",
    started=False, told=(False,))
def long_first(pod):
	data = {"hostname": pod.id, "shareDir": "rootfs", "filling":
	    "x" * 15000}
	e = pod.fails("startpod", data)
	equal(e, "message too long %d" % (8 + len(compact(data))), "error")
	pod.startpod()
	pod.start("c1", sh("exit 3")).ends(3, b"", b"")


@cell("a pod with a network", started=False)
def network(pod):
	link = {"newDeviceName": "eth0", "ipAddresses": [{"ipAddress":
	    "172.17.0.9", "netMask": "16"}], "mtu": 1500, "macAddr":
	    "02:00:ca:fe:00:04"}
	if pod.profile == "hyperstart-4244":
		# It does not find a device by its address.
		link["device"] = "eth0"
	pod.startpod(interfaces=[link], routes=[{"dest": "default",
	    "gateway": "172.17.0.1", "device": "eth0"}])
	pod.start("c1", sh("exit 3")).ends(3, b"", b"")


@cell("a program that cannot be started: an error or a status, not both")
def unstartable(pod):
	for execute in (False, True):
		for args, status in ((["/nonexistent/program"], 127),
		    (["/etc/passwd"], 126)):
			cid = "keep" if execute else "c%d" % status
			p = pod.process()
			e = p.begin(cid, args, execute)
			if pod.profile in ("agent", "universal"):
				check(e is not None, "%s started" % args)
			elif pod.profile == "hyperstart-4244":
				check(e is None, "%s: %s" % (args, e))
			if e is None:
				equal(p.run(), status, "exit status")
				pod.settle()
				p.silent()
				continue
			pod.settle()
			p.silent()
			# Nothing runs, so the shim may get another process.
			if isinstance(p, Process3):
				e = p.begin(cid, sh("echo x; exit 9"), execute)
				equal(e, None, "error of the next start")
				p.ends(9, b"x\n", b"")


# ------------------------------------------------------------------- stdin

@cell("stdin of 20 KB arrives byte by byte, then its end")
def stdin(pod):
	rng = random.Random(pod.id)
	data = rng.randbytes(20481)
	p = pod.execute(["cat"])
	p.write(data)
	p.end()
	p.ends(0, data, b"")
	q = pod.start("c1", sh("sleep 0.2; sha256sum; exit 4"))
	at = 0
	while at < len(data):
		n = rng.choice((1, 511, 512, 513, 5000))
		q.piece(data[at:at + n])
		at += n
	q.end()
	q.ends(4, hashlib.sha256(data).hexdigest().encode() + b"  -\n", b"")


@cell("stdin of a megabyte", profiles=("agent", "universal"))
def much_stdin(pod):
	data = random.Random(pod.id).randbytes(scaled(MB))
	p = pod.execute(["cat"])
	task = Task(lambda: (p.write(data), p.end()))
	p.ends(0, data, b"")
	task.get("stdin")


@cell("four inputs at once, and an output meanwhile")
def inputs(pod):
	noise = pod.execute(sh("yes noise | head -c 200000"))
	data = [random.Random(i).randbytes(6000 + i) for i in range(4)]
	some = [pod.execute(["cat"]) for i in range(4)]
	for at in range(0, 6004, 1000):
		for p, text in zip(some, data):
			p.piece(text[at:at + 1000])
	for p, text in zip(some, data):
		p.end()
	for p, text in zip(some, data):
		p.ends(0, text, b"")
	noise.ends(0, words("noise", 200000), b"")


@cell("stdin that is there before the process is", where=held)
def early(pod):
	for execute in (False, True):
		p = pod.process()
		p.write(b"early bird\n" * 300)
		p.end()
		e = p.begin("keep" if execute else "early", ["cat"], execute)
		equal(e, None, "error of the start")
		p.ends(0, b"early bird\n" * 300, b"")


@cell("one byte of output behind early stdin is no exit status", where=held)
def one_byte(pod):
	for execute in (False, True):
		p = pod.process()
		p.write(b"x")
		e = p.begin("keep" if execute else "early", ["cat"], execute)
		equal(e, None, "error of the start")
		p.until(b"x")
		p.write(b"y")
		p.until(b"xy")
		equal(p.status, None, "exit status of a running process")
		p.end()
		p.ends(0, b"xy", b"")


@cell("stdin after the end of a process changes nothing")
def late(pod):
	p = pod.execute(sh("exit 3"))
	p.ends(3, b"", b"")
	for text in (b"late", b"l", b"", b"after the end\n" * 500):
		p.piece(text)
	for i in range(5):
		q = pod.execute(sh("read x; echo $x; exit 6"))
		q.piece(b"%d\n" % i)
		q.ends(6, b"%d\n" % i, b"")
		p.piece(b"late again\n")
	pod.settle()
	p.silent()


@cell("a process that reads nothing loses its own input only",
    profiles=HYPERSTART, but="stdin dropped")
def unread(pod):
	p = pod.start("c1", sh("echo up; exec sleep 100000"))
	p.until(b"up\n")
	p.write(b"unread " * 10000)

	def dropped():
		q = pod.execute(["cat"])
		q.write(b"word")
		q.end()
		q.ends(0, b"word", b"")
		q.done()
		return pod.complaints()
	wait_for(dropped, "dropped input")
	pod.kill("c1", 9)
	p.ends(pod.death(9), b"up\n", b"")


# --------------------------------------------------------------- terminals

@cell("a terminal: echo, its size, the exit status")
def terminal(pod):
	for execute in (False, True):
		p = pod.start("keep" if execute else "term", sh("tty -s || "
		    "exit 1; echo ready; read x; stty size; echo got $x; "
		    "echo error >&2; exit 3"), execute, terminal=True)
		p.until(b"ready\r\n")
		p.resize(40, 120)
		p.write(b"abc\n")
		p.ends(3, b"ready\r\nabc\r\n40 120\r\ngot abc\r\nerror\r\n",
		    b"")
		pod.settle()
		p.silent()


@cell("a terminal takes an empty frame for nothing and ^D for the end")
def terminal_end(pod):
	for execute in (False, True):
		p = pod.start("keep" if execute else "term", ["cat"], execute,
		    terminal=True)
		p.end()
		p.write(b"line\n")
		p.until(b"line\r\nline\r\n")
		p.resize(50, 132)
		p.write(b"\x04")
		p.ends(0, b"line\r\nline\r\n", b"")


@cell("a terminal's size after its process has ended",
    profiles=("agent", "hyperstart-4242", "hyperstart-4244"))
def late_size(pod):
	"""The race is the shim's daily bread: nothing may go astray."""
	p = pod.execute(sh("exit 2"), terminal=True)
	equal(p.run(), 2, "exit status")
	try:
		p.resize(10, 20)
	except Fail as e:
		check("refused" in str(e), e)
	pod.settle()
	p.silent()


# ----------------------------------------------------------------- signals

TRAP = [sys.executable, "-ISc", """
import os, signal
def caught(n, f):
	os.write(1, b"caught\\n")
	os._exit(9)
signal.signal(signal.SIGUSR1, caught)
os.write(1, b"up\\n")
while True:
	signal.pause()
"""]


@cell("a signal to the first process")
def signals(pod):
	p = pod.start("c1", TRAP)
	p.until(b"up\n")
	p.kill(10)
	p.ends(9, b"up\ncaught\n", b"")
	p = pod.start("c2", sh("echo up; exec sleep 100000"))
	p.until(b"up\n")
	p.kill(9)
	p.ends(pod.death(9), b"up\n", b"")
	p = pod.start("c3", TRAP)
	p.until(b"up\n")
	pod.kill("c3", 10)
	p.ends(9, b"up\ncaught\n", b"")
	pod.settle()
	pod.kept.silent()


@cell("a signal to a further process arrives", kinds=("3.x",),
    profiles=("universal", "hyperstart-4244"))
def signal_exec(pod):
	p, q = pod.execute(TRAP), pod.execute(TRAP)
	for x in (p, q):
		x.until(b"up\n")
	p.kill(10)
	p.ends(9, b"up\ncaught\n", b"")
	q.kill(9)
	q.ends(pod.death(9), b"up\n", b"")
	pod.settle()
	pod.kept.silent()


@cell("a signal to a further process is refused in the old words",
    kinds=("3.x",), profiles=("agent", "hyperstart-4242"))
def signal_exec_refused(pod):
	p = pod.execute(sh("read x; exit 4"))
	for n, name in ((10, "user defined signal 1"), (9, "killed")):
		equal(p.signal_fails(n), "Could not send the signal %s: %s" %
		    (name, NOT_FIRST), "error")
	pod.settle()
	p.end()
	p.ends(4, b"", b"")
	pod.settle()
	pod.kept.silent()


@cell("a signal to a container that has exited succeeds")
def signal_exited(pod):
	p = pod.start("c1", sh("exit 3"))
	p.ends(3, b"", b"")
	pod.kill("c1", 15)
	pod.kill("c1", 9)
	p.kill(15)
	pod.settle()
	p.silent()
	check(pod.attempt("killcontainer", {"container": "never", "signal":
	    9, "allProcesses": False}), "a signal to nothing succeeded")


@cell("a container can be removed after its exit, and its id used again",
    kinds=("3.x",))
def remove(pod):
	for i in range(3):
		p = pod.start("c1", sh("exit %d" % i))
		p.ends(i, b"", b"")
		pod.kill("c1", 9)
		pod.remove("c1")
		p.done()
	check(pod.attempt("removecontainer", {"container": "keep"}),
	    "a running container was removed")
	pod.settle()


@cell("pscontainer", kinds=("3.x",))
def processes(pod):
	data = {"container": "keep", "format": "json", "psargs": None}
	f = pod.ask("pscontainer", data)
	if pod.hyperstart:
		error_text(f)
	else:
		check(not f.err, "refused: %s" % brief(f.payload))
		pids = json.loads(f.payload)
		check(isinstance(pids, list) and len(pids) >= 1 and
		    all(type(p) is int for p in pids), "answer %s" %
		    brief(f.payload))
	# The next answers belong to the next commands.
	pod.settle()
	pod.fails("newcontainer", {"id": "keep"})
	pod.settle()


# -------------------------------------------------------------- the pod

@cell("both kinds of clients on one VM at once")
def both(pod):
	other = beside(pod)

	def cat(owner, i):
		data = random.Random(i).randbytes(5000)
		p = owner.execute(sh("cat; exit %d" % i))
		p.write(data)
		p.end()
		p.ends(i, data, b"")

	def loud(owner, i):
		p = owner.start("loud%d" % i, sh("yes %d | head -c 50000; "
		    "yes e%d | head -c 9999 >&2; exit %d" % (i, i, i)))
		p.ends(i, words("%d" % i, 50000), words("e%d" % i, 9999))

	def term(owner, i):
		p = owner.execute(sh("read x; stty size; exit %d" % i),
		    terminal=True)
		p.resize(10 + i, 20 + i)
		p.write(b"\n")
		p.ends(i, b"\r\n%d %d\r\n" % (10 + i, 20 + i))

	jobs = [(f, owner, 10 * n + k) for n, f in enumerate((cat, loud,
	    term), 1) for k, owner in enumerate((pod, other) * 2)]
	in_parallel(lambda j: j[0](j[1], j[2]), jobs)
	p = other.start("theirs", sh("echo up; exec sleep 100000"))
	p.until(b"up\n")
	pod.kill("theirs", 9)
	p.ends(pod.death(9), b"up\n", b"")
	pod.settle()
	other.settle()
	pod.kept.silent()


@cell("two containers end, and the next command gets its own answer",
    profiles=("hyperstart-4242",), keep=False)
def pod_finished(pod):
	p = pod.start("c1", sh("read x; exit 4"))
	q = pod.start("c2", sh("read x; exit 5"))
	p.end()
	p.ends(4, b"", b"")
	q.end()
	q.ends(5, b"", b"")
	for i in range(10):
		pod.hyper("ping")
	check(pod.attempt("newcontainer", p.request("c3", ["true"], False,
	    {})[1]), "a container started in a pod that has ended")
	for i in range(10):
		pod.hyper("ping")
	p.silent()
	q.silent()


@cell("destroypod after the containers have been killed")
def destroy(pod):
	pod.kill("keep", 9)
	pod.kept.ends(pod.death(9), b"up\n", b"")
	pod.remove("keep")
	equal(pod.destroy(), None, "error of destroypod")


@cell("destroypod with running containers", profiles=("universal",
    "hyperstart-4242", "hyperstart-4244"))
def destroy_running(pod):
	p = pod.start("c1", sh("echo up; exec sleep 100000"))
	p.until(b"up\n")
	equal(pod.destroy(), None, "error of destroypod")
	if pod.hyperstart:
		pod.kept.lost()
		p.lost()
		# 4242 loses the status of its last container.
		want = [pod.death(15)] * 2
		got = [x.status for x in (pod.kept, p)]
		check(got == want or pod.profile == "hyperstart-4242" and
		    set(got) <= {None, pod.death(15)}, "statuses %s" % got)
	else:
		pod.kept.ends(pod.death(15), b"up\n", b"")
		p.ends(pod.death(15), b"up\n", b"")


@cell("destroypod while a process ends by itself", profiles=("agent",),
    keep=False)
def destroy_waits(pod):
	p = pod.start("c1", ["cat"])
	p.write(b"word")
	p.until(b"word")
	task = Task(pod.destroy)
	p.end()
	# cc-agent waits for it, ccp-guest hurries it on.
	check(p.run() in (0, pod.death(15)), "exit status %d" % p.status)
	equal(bytes(p.out), b"word", "output")
	equal(task.get("destroypod"), None, "error of destroypod")


@cell("destroypod that a process ignores: a deadline, order is kept",
    profiles=HYPERSTART, keep=False, timeouts={"destroy": "2s"})
def destroy_ignored(pod):
	p = pod.start("c1", sh("trap '' TERM; echo up; exec sleep 100000"))
	p.until(b"up\n")
	asked = time.monotonic()
	task = Task(pod.destroy)
	while task.is_alive():
		# Commands behind it are answered before it.
		pod.hyper("ping")
		time.sleep(0.05)
	e = task.get("destroypod")
	check(e is not None, "destroypod succeeded")
	check(time.monotonic() - asked >= 1.5, "refused at once: %s" % e)
	for i in range(3):
		pod.hyper("ping")
	check(pod.attempt("killcontainer", {"container": "never", "signal":
	    9, "allProcesses": False}), "a signal to nothing succeeded")
	pod.hyper("ping")
	p.silent()
	# Its reply comes after all, and is nobody's.
	pod.kill("c1", 9)
	p.lost()
	check(p.status in (None, pod.death(9)), "status %s" % p.status)


@cell("a standalone container's shim has the last word", kinds=("1.x",),
    keep=False)
def last_word(pod):
	p = pod.start("c1", sh("read x; echo $x; exit 17"))
	p.write(b"word\n")
	p.ends(17, b"word\n", b"")
	p.ctl.raw(message(b'{"id":"hyper","data":{"hyperName":"destroypod",'
	    b'"data":""}}'))
	check(p.ctl.reply().success, "destroypod refused")
	pod.destroy()


CHECKS.sort(key=lambda c: CELLS.index(c[:3]))
for kind, profile, told, title, func, keep, started, times in CHECKS:
	test("%s x %s%s" % (kind, profile, ", told" if told else ""), title,
	    daemon=dict(OPTS, timeouts=times) if times else OPTS,
	    shared=times is None)(functools.partial(run, func, kind, profile,
	    told, keep, started))

main(Daemon)

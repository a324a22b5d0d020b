#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The SECURITY section of cc-proxy(8), sentence by sentence: which tests show
that it is so, and those that fit nowhere else.

A line at the margin of CLAIMS is the beginning of a sentence, as it is
printed; below it are its tests: a file below regress/ and the title of a test
in it, or another text that stands there.  A dash says why there is none."""

import ctypes
import functools
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from tenants import *
from victims import *

CLAIMS = """
Clients and virtual machines are taken for hostile.
	- what follows tells it
Bytes of a client that break a rule
	proto/s2_frames_test.py: bad versions
	proto/v1_s2_frames_test.py: a violation harms no other connection of the VM
	integ/attack_test.py: huge announced lengths
Bytes of a virtual machine that break a rule
	integ/attack_test.py: guests that send garbage
	integ/attack_test.py: guests that announce endless lengths
	proto/s6_vm_test.py: huge lengths on either channel lose the VM
If a mistake in the daemon lets them do more
	- what follows tells it
Whoever takes over the frontend gets
	- an upper bound
It can refuse service to all.
	- an upper bound
It can have the parent start engines, but only
	integ/hostile_test.py: the truth opens a VM
it has to show the connection of one
	integ/hostile_test.py: connections of clients that may not register
	integ/hostile_test.py: paths outside, links, .., other owners
Without vm directory that is any socket
	integ/security_test.py: without vm directory: what leads to a socket, no more
A connection it has been passed serves for this
	integ/hostile_test.py: connections of clients that may not register
It can have the parent read the configuration again
	integ/hostile_test.py: asking for reloads: one at a time, one a second
	integ/hostile_test.py: no answer to a reload, and one that is late
What is not the connection of a client
	integ/hostile_test.py: descriptors that are no client's connection
It does not get the streams of clients
	integ/fdlist_test.py: %d clients handed over, at once and one by one
	integ/fdlist_test.py: every socket is the right one, before and after
	sandbox/probe_things.c: "connect to a path"
	sandbox/probe_things.c: CALL(K, EFAULT, EFAULT, execve
	sandbox/probe_child.c: CALL(P_SIGSYS, socketpair
	integ/unpriv_test.py: root's children are nobody, with nothing, nowhere
Whoever takes over an engine
	- an upper bound
It can ask the frontend whether
	integ/hostile_engine_test.py: lies about connections and tokens
	integ/policy_test.py: a connection that an engine has is judged as well
It does not get other virtual machines
	integ/hostile_engine_test.py: lies about connections and tokens
	integ/hostile_engine_test.py: every message at a time that is not its own, to the frontend
	integ/fdlist_test.py: every socket is the right one, before and after
	sandbox/probe_things.c: "connect to an abstract name"
	sandbox/probe_things.c: "kill the parent"
If it floods the log
	integ/hostile_engine_test.py: floods
	integ/hostile_engine_test.py: wrong lengths, descriptors that are too many or missing
Whoever takes over the parent gets everything.
	- an upper bound
It has no parser for anything
	lint/parent_nojson.sh: the parent does not link the JSON library
	integ/hostile_test.py: malformed and untimely messages
	integ/hostile_engine_test.py: every message at a time that is not its own, to the parent
Each of the other processes gives up its rights in the order
	integ/security_test.py: the steps of the sandbox, in their order, before any byte
If a step fails, the process ends.
	integ/security_test.py: a step that fails ends the frontend, and the daemon
	integ/security_test.py: a step that fails ends the engine, and no other
Only descriptors 0 to 4 are open
	integ/fdlist_test.py: each process after its start
	sandbox/probe_outside.c: proc_count(pid, "fd") == 5
The libraries have read what they will ever need
	integ/calls_test.py: those that are made are those that may be
An empty root directory.
	integ/unpriv_test.py: root's children are nobody, with nothing, nowhere
The frontend makes mount and cgroup namespaces
	sandbox/probe_outside.c: proc_lines(pid, "mountinfo") == 1
	integ/namespace_test.py: the frontend does without one of cgroups
Where the daemon was started in a root directory
	integ/unpriv_test.py: started in a chroot, whose root is no mount point
An engine changes its root
	integ/security_test.py: namespaces and the parent's filter are inherited
	integ/unpriv_test.py: root's children are nobody, with nothing, nowhere
This comes before Landlock
	- says why
The bounding set of capabilities is emptied
	sandbox/probe_outside.c: proc_is(pid, "CapBnd:", "0000000000000000")
Supplementary groups, group and user are given up
	sandbox/probe_layers.c: become_root
	sandbox/probe_outside.c: proc_is(pid, "Groups:", "")
	integ/security_test.py: the steps of the sandbox, in their order, before any byte
All capabilities are cleared.
	integ/unpriv_test.py: root's children are nobody, with nothing, nowhere
The process cannot be traced or dump core
	integ/security_test.py: nobody of the same user can look inside
	integ/security_test.py: stopped children die with the parent
	sandbox/probe_layers.c: not_dumpable
A change of user undoes both
	integ/security_test.py: the steps of the sandbox, in their order, before any byte
Resource limits:
	- see the next one
no core, no locked memory
	sandbox/probe_outside.c: limit_is(pid, "Max processes", 0)
	sandbox/probe_outside.c: limit_is(pid, "Max data size", 512ULL << 20)
	sandbox/probe_child.c: FN(EMFILE, too_many_descriptors)
	sandbox/probe_layers.c: raise_limit
No program can give it new privileges.
	sandbox/probe_outside.c: proc_is(pid, "NoNewPrivs:", "1")
The next two steps need this.
	- says why
Landlock denies all access to files
	sandbox/probe_layers.c: make_directory_by_descriptor
	sandbox/probe_layers.c: bind_tcp
	sandbox/probe_layers.c: send_abstract
	sandbox/probe_layers.c: signal_parent
It is a second wall
	sandbox/probe_layers.c: run_program_by_descriptor
A kernel without Landlock does without
	integ/security_test.py: a kernel without Landlock
A seccomp(2) filter
	sandbox/probe_things.c: CALLN(K, K, K, mprotect, "exec"
	sandbox/probe_child.c: const struct probe_line probe_vmengine
	integ/calls_test.py: those that are made are those that may be
It is last because
	integ/security_test.py: the steps of the sandbox, in their order, before any byte
The parent moves to empty network
	integ/security_test.py: namespaces and the parent's filter are inherited
	integ/unpriv_test.py: root's parent keeps six capabilities
It can still connect to sockets
	integ/security_test.py: namespaces and the parent's filter are inherited
Where it is not allowed to
	integ/namespace_test.py: those of a manager will do
	integ/namespace_test.py: those of the host will not
	integ/namespace_test.py: nor will one with a network
It gives up its rights once the frontend runs.
	integ/security_test.py: the steps of the sandbox, in their order, before any byte
It keeps the capabilities
	sandbox/probe_outside.c: CHECK_THAT(proc_is(pid, "CapBnd:", caps))
It cannot be traced or dump core.
	integ/security_test.py: nobody of the same user can look inside
Its filter, which the engines inherit
	integ/security_test.py: namespaces and the parent's filter are inherited
tracing, other processes' memory
	sandbox/probe_things.c: "ptrace of a sibling"
	sandbox/probe_things.c: CALL(K, K, K, bpf
	sandbox/probe_things.c: add_namespaces()
	sandbox/probe_things.c: parent = n == AF_UNIX ? P_OK : EAFNOSUPPORT
There is no option that turns any of this off.
	integ/security_test.py: no option turns a layer off
Started by another user than root, the daemon skips
	integ/unpriv_test.py: an ordinary user's daemon serves, and says so once
the change of root directory, namespaces
	sandbox/probe_outside.c: CHECK_THAT(layers == (want | landlock_layers()))
All else is done.
	sandbox/probe_outside.c: want = SBX_NODUMP | SBX_RLIMIT | SBX_NNP | SBX_SECCOMP
The processes then run as the user
	integ/unpriv_test.py: an ordinary user's daemon serves, and says so once
	integ/unpriv_test.py: a socket that the user may not use cannot be registered
Started by root, the frontend runs as
	integ/unpriv_test.py: root's children are nobody, with nothing, nowhere
	integ/security_test.py: without one of its users root's daemon does not start
They must own nothing
	- advice
Engines then share a user, but none can see
	integ/security_test.py: nobody of the same user can look inside
	sandbox/probe_things.c: "/proc/SIBLING/mem"
	sandbox/probe_things.c: "kill a sibling"
	sandbox/probe_things.c: "ptrace of a sibling"
With engine uid in cc-proxy.conf(5) each has
	integ/limits_test.py: engine uid: no two engines share one
	integ/limits_test.py: engine uid: used again, and by no two at a time
The modes of the sockets decide
	proto/s1_process_test.py: 0o660, "mode of the socket"
Without rules in cc-proxy.conf(5)
	integ/policy_test.py: without rules everybody may do everything
The rules allow and deny decide
	integ/policy_test.py: who may register, attach and unregister, by uid and gid
	integ/security_test.py: rules: the primary group counts, and no other
With attach owner only the user
	integ/policy_test.py: attach owner: who registered, and root
Who may attach may command.
	integ/policy_test.py: a connection that an engine has is judged as well
All of this is judged also when
	integ/policy_test.py: a connection that an engine has is judged as well
	integ/policy_test.py: attach owner: a lost VM is not taken over
What was attached stays attached.
	integ/reload_test.py: rules, for clients that come and those an engine has
A client that may not gets the error
	integ/policy_test.py: who may nothing learns nothing
	integ/audit_test.py: refusals, by policy and for a token
It begins with "permission denied:"
	integ/policy_test.py: who may register, attach and unregister, by uid and gid
If it was the path of a socket that was refused
	integ/policy_test.py: consoles must be in a vm directory
Other fields of it tell the same
	integ/audit_test.py: refusals, by policy and for a token
Of one user 400 such lines
	integ/audit_test.py: one user's flood leaves another's refusal
	lint/limits.sh: EVENT_BURST 400
A token is the right to be the shim
	unit/token_test.c: 3.x section 4.1: 44 characters of padded base64url
	unit/token_test.c: 3.x section 4.1: the whole alphabet occurs, no more
	unit/token_test.c: 3.x section 4.1: no two tokens are alike
	proto/s4_tokens_test.py: one holder at a time
No rule applies to a client that has one.
	integ/policy_test.py: a connection that an engine has is judged as well
With protocol 1.x a descriptor is that right.
	proto/v1_s5_io_test.py: the descriptor outlives the control connection
A client that registers a virtual machine names
	integ/policy_test.py: the owners of sockets in a vm directory
It insists on an absolute path
	integ/security_test.py: without vm directory: what leads to a socket, no more
	integ/policy_test.py: a link that is swapped in while clients register
	integ/policy_test.py: a second name that goes while clients register
With vm directory the path must begin
	integ/policy_test.py: sockets must be in a vm directory
	integ/policy_test.py: the owners of sockets in a vm directory
If the directory was not there then
	integ/policy_test.py: sockets must be in a vm directory
	integ/reload_test.py: vm directories
What is refused is reported
	integ/policy_test.py: sockets must be in a vm directory
Without vm directory it does not ask
	integ/security_test.py: without vm directory: what leads to a socket, no more
Membership in the group
	- advice
"""


# The manual, as it is printed.

def printed(line):
	"""A macro's text: quotes, and a page's section in parentheses."""
	name, _, text = line.partition(" ")
	text = re.sub(r"\b(Em|Ic|Cm|Dv|Li|Sy|Sx) ", "",
	    text.replace(" Ns ", "").replace(":\\&", ":"))
	end = re.search(r"( [.,;:])?$", text).group()
	text = text[:len(text) - len(end)]
	if name == ".Xr":
		text = re.sub(r"(\S+) (\d)", r"\1(\2)", text)
	elif name == ".Dq":
		text = '"%s"' % text
	return re.sub(r" ([.,;:])", r"\1", text + end)


def sentences():
	with open(os.path.join(TOP, "man/cc-proxy.8")) as f:
		text = f.read().split("\n.Sh SECURITY\n")[1]
	paragraphs, example = [[]], False
	for line in text.split("\n.Sh ")[0].split("\n"):
		name = line.split(" ")[0]
		if name in (".Pp", ".Ss", ".Bl", ".It", ".El", ".Bd", ".Ed"):
			paragraphs.append([])
			example = name == ".Bd"
		elif not example:
			paragraphs[-1].append(printed(line)
			    if line.startswith(".") else line)
	return [s for p in paragraphs for s in
	    re.split(r"(?<=[.:]) (?=[A-Za-z_])", " ".join(p)) if s]


def titles(path):
	"""The text of a file; of a Python one, literals are joined."""
	with open(os.path.join(TOP, "regress", path)) as f:
		text = f.read()
	return re.sub(r'"\s+"', "", text) if path.endswith(".py") else text


@test("security", "each sentence of the manual has its tests", private=False)
def claims():
	rows, files = [], {}
	for line in CLAIMS.strip().split("\n"):
		if not line.startswith("\t"):
			rows.append([line, 0])
			continue
		rows[-1][1] += 1
		if line.startswith("\t- "):
			continue
		path, title = line.strip().split(": ", 1)
		if path not in files:
			files[path] = titles(path)
		text = files[path]
		if path == "integ/security_test.py":
			text = text.replace(CLAIMS, "")
		check(title in text, "%s has no '%s'" % (path, title))
	said = sentences()
	for (claim, n), sentence in zip(rows, said):
		check(sentence.startswith(claim), "'%s' is not the beginning "
		    "of '%s'" % (claim, sentence))
		check(n > 0, "no test: " + claim)
	equal(len(rows), len(said), "claims, and sentences")
	note("%d sentences" % len(said))


def need_sandbox():
	need_root()
	if SANITIZED:
		raise Skip("the sandbox is off in a sanitizer build")


# What each step is made of, in the order of the manual.
STEPS = {
    "ccp-frontend": ("close_range(5,", "unshare(CLONE_NEWNS|CLONE_NEWCGROUP",
	"mount(NULL, ", "move_mount(", "pivot_root(", "umount2(",
	"prctl(PR_CAPBSET_DROP", "setgroups(0", "setresgid(", "setresuid(",
	"setresuid(0, 0, 0", "setresgid(0, 0, 0", "capset(",
	"prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE", "prctl(PR_SET_PDEATHSIG, "
	"SIGKILL", "prlimit64(0, RLIMIT_CORE, {", "prlimit64(0, RLIMIT_FSIZE,"
	" {", "prlimit64(0, RLIMIT_NOFILE, {", "prctl(PR_SET_NO_NEW_PRIVS, 1",
	"landlock_restrict_self(", "seccomp(SECCOMP_SET_MODE_FILTER, "
	"SECCOMP_FILTER_FLAG_LOG, {"),
    "ccp-vmengine": ("close_range(6,", "fchdir(", 'chroot("."', 'chdir("/"',
	"prctl(PR_CAPBSET_DROP", "setgroups(0", "setresgid(", "setresuid(",
	"setresuid(0, 0, 0", "setresgid(0, 0, 0", "capset(",
	"prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE", "prctl(PR_SET_PDEATHSIG, "
	"SIGKILL", "prlimit64(0, RLIMIT_CORE, {", "prlimit64(0, RLIMIT_DATA, "
	"{", "prlimit64(0, RLIMIT_NOFILE, {", "prctl(PR_SET_NO_NEW_PRIVS, 1",
	"landlock_restrict_self(", "seccomp(SECCOMP_SET_MODE_FILTER, "
	"SECCOMP_FILTER_FLAG_LOG, {"),
    "cc-proxy": ("unshare(CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWNET",
	"prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE",
	"seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, {",
	"prctl(PR_CAPBSET_DROP", "capset("),
}
CALLS = sorted({s.split("(")[0] for steps in STEPS.values() for s in steps})
BYTES = ("accept4", "recvfrom", "recvmsg")


@functools.lru_cache(None)
def traced():
	"""{program: its calls, from its start on, of a daemon and one VM}."""
	need_sandbox()
	need_mount_namespace()
	if shutil.which("strace") is None:
		raise Skip("no strace")
	if os.environ.get("CCP_TRACE"):
		raise Skip("is traced already")
	d = Daemon(start=False, **QUIET)
	out = os.path.join(d.dir, "calls")
	d.argv = ["strace", "-D", "-qq", "-ff", "-o", out, "-e", "trace=" +
	    ",".join(CALLS + ["execve", *BYTES])] + d.argv
	try:
		d.start()
		d.vm().client.hyper("ping")
		pids = d.children()
		calls = {}
		for pid, name in list(pids.items()) + [(d.pid, "cc-proxy")]:
			with open("%s.%d" % (out, pid)) as f:
				lines = f.read().split("\n")
			at = max(i for i, l in enumerate(lines)
			    if l.startswith("execve(") and l.endswith("= 0"))
			calls[name] = lines[at + 1:]
	finally:
		d.dispose()
	return calls


@test("security", "the steps of the sandbox, in their order, before any byte",
    private=False)
def order():
	for name, lines in traced().items():
		at = -1
		for step in STEPS[name]:
			if step.startswith("landlock") and not any(
			    l.startswith(step) for l in lines):
				note("no Landlock here")
				continue
			at = next((i for i in range(at + 1, len(lines))
			    if lines[i].startswith(step)), None)
			check(at is not None, "%s: no %s) after the step "
			    "before it" % (name, step))
			# The attempts to become root again.
			want = "= -1 EPERM" if "(0, 0, 0" in step else "= 0"
			check(want in lines[at], "%s: %s" % (name,
			    lines[at]))
		if name == "cc-proxy":
			# An end of the frontend's channel comes before: it
			# tells that its steps are done.
			continue
		early = [l for l in lines[:at] if l.split("(")[0] in BYTES]
		equal(early, [], name + " reads before its sandbox stands")
		check(any(l.split("(")[0] in BYTES for l in lines[at:]),
		    name + " reads nothing")


def failures(name):
	"""Steps that may fail, or some: (step, call, which of these calls)."""
	lines = traced()[name]
	out = []
	for step in STEPS[name]:
		call = step.split("(")[0]
		same = [l for l in lines if l.startswith(call + "(")]
		hits = [i for i, l in enumerate(same) if l.startswith(step)]
		if hits and "(0, 0, 0" not in step and call != "close_range":
			out.append((step, call, 1 + hits[-1 if call ==
			    "seccomp" else 0]))
	few = some(len(out), 8, name)
	note("%d of %d steps (seed %d)" % (len(few), len(out), SEED))
	return [out[i - 1] for i in few]


@test("security", "a step that fails ends the frontend, and the daemon",
    private=False)
def frontend_fails():
	need_sandbox()
	need_inject()
	for step, call, at in failures("ccp-frontend"):
		d = Daemon(start=False, **QUIET)
		try:
			hooks = Hooks(d, "ccp-frontend")
			hooks.catch()
			d.start(ready=False)
			pid = hooks.caught(d.children)
			inj = Inject(pid, "error=ENOMEM", at, [call])
			equal(d.wait_exit(), 1, "exit status: " + step)
			inj.end()
			equal(inj.fired(), call, step)
			check(d.find_log("^(sandbox|seccomp): ") is not None,
			    "no line tells of " + step)
		finally:
			d.dispose()


@test("security", "a step that fails ends the engine, and no other",
    private=False)
def engine_fails():
	need_sandbox()
	need_inject()
	d = Daemon(start=False, **QUIET)
	try:
		hooks = Hooks(d, "ccp-vmengine")
		d.start()
		good = d.vm()
		base = set(d.children())
		todo = failures("ccp-vmengine")
		for n, (step, call, at) in enumerate(todo):
			a = d.agent("bad%d" % n)
			mark = d.log_mark()
			hooks.catch()
			c = d.client()
			t = Task(lambda: c.register("bad%d" % n, a.ctl_path,
			    a.io_path))
			pid = hooks.caught(lambda: set(d.children()) - base)
			inj = Inject(pid, "error=ENOMEM", at, [call])
			check(t.get("registration").err, step)
			inj.end()
			equal(inj.fired(), call, step)
			d.wait_log("^(sandbox|seccomp): ", mark)
			equal(sum(len(x) for x in (a.ctl_in, a.tty_in)), 0,
			    "bytes to the agent")
			good.client.hyper("ping")
			equal(set(d.children()), base, "processes")
	finally:
		d.dispose()


LOOK = """import sys
for path in sys.argv[1:]:
	try:
		open(path, "rb")
		print("opened")
	except OSError as e:
		print(e.strerror)
"""


def looks(setpriv, pid, *names):
	"""What a process with other rights gets of its files in /proc."""
	out = subprocess.run(["setpriv", *setpriv, sys.executable, "-c", LOOK,
	    *("/proc/%d/%s" % (pid, n) for n in names)],
	    stdout=subprocess.PIPE, timeout=CEILING, check=True)
	return set(out.stdout.decode().split())


@test("security", "nobody of the same user can look inside", private=False)
def same_user():
	need_sandbox()
	no = {"Permission", "denied"}
	d = Daemon(**QUIET)
	try:
		d.vm()
		d.vm()
		for pid in d.children():
			s = status(pid)
			uid, gid = s["Uid"].split()[0], s["Gid"].split()[0]
			me = ["--reuid", uid, "--regid", gid,
			    "--clear-groups"]
			equal(looks(me, pid, "mem", "environ"), no, s["Name"])
		# Root, but for what lets it trace everybody.
		less = ["--bounding-set", "-sys_ptrace"]
		equal(looks(less, d.pid, "mem"), no, "the parent")
		with subprocess.Popen(["setpriv", *less, "sleep", "60"]) as p:
			try:
				wait_for(lambda: read_comm(p.pid) == "sleep",
				    "sleep")
				equal(looks(less, p.pid, "mem"), {"opened"},
				    "another process")
			finally:
				p.kill()
	finally:
		d.dispose()


@test("security", "stopped children die with the parent", private=False)
def orphans():
	"""They cannot see the end of their channels."""
	if SANITIZED:
		raise Skip("a sanitizer's processes may be stopped for long")
	d = Daemon(**QUIET)
	try:
		d.vm()
		pids = list(d.children())
		for p in pids:
			os.kill(p, signal.SIGSTOP)
		os.kill(d.pid, signal.SIGKILL)
		d.wait_exit()
		all_gone(pids)
	finally:
		d.dispose()


def namespace(pid, name):
	return os.readlink("/proc/%s/ns/%s" % (pid, name))


@test("security", "namespaces and the parent's filter are inherited",
    private=False)
def inherited():
	need_sandbox()
	d = Daemon(**QUIET)
	try:
		d.vm().client.hyper("ping")
		children = d.children()
		equal(len(children), 2, "children")
		for name in ("net", "ipc", "uts"):
			check(namespace(d.pid, name) != namespace("self",
			    name), "the parent is in the host's " + name)
		for pid, who in children.items():
			for name in ("net", "ipc", "uts"):
				equal(namespace(pid, name), namespace(d.pid,
				    name), "%s of %s" % (name, who))
			equal(namespace(pid, "mnt") == namespace(d.pid,
			    "mnt"), who == "ccp-vmengine", "mounts of " + who)
		mine = int(status(os.getpid()).get("Seccomp_filters", 0))
		for pid, n in [(d.pid, 1), (child(d, "frontend"), 1),
		    (d.engines()[0], 2)]:
			s = status(pid)
			if "Seccomp_filters" in s:
				equal(int(s["Seccomp_filters"]) - mine, n,
				    "filters of " + s["Name"])
	finally:
		d.dispose()


@test("security", "without one of its users root's daemon does not start",
    private=False)
def no_user():
	need_sandbox()
	need_mount_namespace()
	for user in ("_ccproxy", "_ccengine"):
		d = Daemon(start=False, **QUIET)
		try:
			users = os.path.join(d.dir, "passwd")
			with open("/etc/passwd") as f, open(users, "w") as g:
				g.writelines(l for l in f
				    if not l.startswith(user + ":"))
			d.argv = ["unshare", "-m", "sh", "-c", 'mount --bind '
			    '"$1" /etc/passwd && shift && exec "$@"', "sh",
			    users] + d.argv
			d.start(ready=False)
			equal(d.wait_exit(), 1, "exit status")
			check("init failed: the system user %s does not exist"
			    % user in d.log_text(), d.log_text())
		finally:
			d.dispose()


OPTIONS = ("-alsologtostderr", "-logtostderr", "-log_backtrace_at", "f.go:1",
    "-log_dir", "/tmp", "-stderrthreshold", "0", "-vmodule", "x=1", "-pprof",
    "-pprof-host", "localhost", "-pprof-port", "6060", "-guest", "agent",
    "-guest-dir", "/x=hyperstart", "-v", "3")
# Given by Daemon, or ends before there is anything to turn off.
OTHERS = {"control-path", "f", "help", "h", "ksm", "libexec", "log", "n",
    "nv", "socket-path", "socket-path-1", "timeout", "uri", "version"}
RIGHTS = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters",
    "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@test("security", "no option turns a layer off", private=False)
def options():
	need_sandbox()
	out = subprocess.run([binary("cc-proxy"), "-help"],
	    stderr=subprocess.PIPE, stdout=subprocess.DEVNULL).stderr.decode()
	there = set(re.findall(r"(?m)^ +-([\w-]+)", out))
	check(len(there) > 10, out)
	equal(there - {o[1:] for o in OPTIONS if o[0] == "-"} - OTHERS, set(),
	    "options that are not tried")

	def rights(**kw):
		d = Daemon(ksm="initial", **kw)
		try:
			d.vm().client.hyper("ping")
			return [(s["Name"], [s.get(k) for k in RIGHTS])
			    for s in sorted(map(status, d.processes()),
			    key=lambda s: s["Name"])]
		finally:
			d.dispose()
	want = rights(level="warn")
	equal(rights(level="debug", args=OPTIONS, timeouts={"shim": "1s"},
	    env={"CC_PROXY_LOG_LEVEL": "debug"}), want, "rights")


# Forbids the calls, as an old kernel does, and becomes the program.
OLD = """import ctypes, os, sys
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
ctx = ctypes.c_void_p(lib.seccomp_init(0x7fff0000))
nr = lib.seccomp_syscall_resolve_name(b"landlock_create_ruleset")
if lib.seccomp_rule_add_array(ctx, 0x00050026, nr, 0, None) or \\
    lib.seccomp_load(ctx):
	sys.exit("no filter")
os.execv(sys.argv[1], sys.argv[1:])
"""


@test("security", "a kernel without Landlock", private=False)
def no_landlock():
	need_sandbox()
	try:
		ctypes.CDLL("libseccomp.so.2")
	except OSError:
		raise Skip("no libseccomp")
	d = Daemon(level="debug", ksm="initial", wrap=[sys.executable, "-c",
	    OLD])
	try:
		e = d.wait_log("^frontend sandbox: ")
		check("landlock" not in e["msg"].lower(), e["msg"])
		d.vm().client.hyper("ping")
		for pid in d.children():
			equal(status(pid)["Seccomp"], "2", "seccomp")
	finally:
		d.dispose()


@test("security", "without vm directory: what leads to a socket, no more",
    private=False)
def any_socket():
	need_root()
	d = Daemon(**QUIET)
	try:
		a = d.agent("vm")
		for p in (a.ctl_path, a.io_path):
			os.chown(p, 4711, 4711)
			os.chmod(p, 0)
		link = os.path.join(d.dir, "link")
		os.symlink(a.ctl_path, link)
		regular = os.path.join(d.dir, "file")
		open(regular, "w").close()
		fifo = os.path.join(d.dir, "fifo")
		os.mkfifo(fifo)
		for path in ("vm", os.path.relpath(a.ctl_path, "/"), d.dir,
		    regular, fifo, "/dev/null", "@" + a.ctl_path):
			got = error_text(d.client().register("x", path,
			    a.io_path))
			check(got.startswith("dial unix %s: connect: " % path),
			    got)
		equal(a.accepted["io"], 0, "connections")
		check(not d.client().register("y", link, a.io_path).err,
		    "a link to a socket of another user")
	finally:
		d.dispose()


@test("security", "rules: the primary group counts, and no other",
    private=False)
def groups():
	need_root()
	with serving("deny any from any\nallow any from group 4712\n") as d:
		a = d.agent("vm")
		check(Tenant(d, 4711, 4712).try_register("vm", a) is None,
		    "its group may")
		path = d.path
		p = subprocess.run(["setpriv", "--reuid", "4711", "--regid",
		    "4711", "--groups", "4712", sys.executable, "-c",
		    "import socket, sys\n"
		    "s = socket.socket(socket.AF_UNIX)\n"
		    "s.connect(sys.argv[1])\n"
		    "s.sendall(bytes.fromhex(sys.argv[2]))\n"
		    "sys.stdout.buffer.write(s.recv(4096))", path,
		    frame(COMMAND, ATTACH, compact({"containerId": "vm"}))
		    .hex()], stdout=subprocess.PIPE, timeout=CEILING)
		check(DENIED.encode() in p.stdout, "answer %r" % p.stdout)
		d.wait_denied(1)


main()

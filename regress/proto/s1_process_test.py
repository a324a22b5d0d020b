#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Section 1: the process, its socket, its command line, its log."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

LEVELS = ("panic", "fatal", "error", "warn", "info", "debug")
LIBEXEC = ["-libexec", BUILD]


def run(*args, env=None, cwd=None, wrap=()):
	"""Run cc-proxy to its end: status, stdout, stderr."""
	e = {k: v for k, v in os.environ.items()
	    if not k.startswith("LISTEN_") and k != "CC_PROXY_LOG_LEVEL"}
	e.update(env or {})
	p = subprocess.run(list(wrap) + [binary("cc-proxy")] + list(args),
	    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
	    stderr=subprocess.PIPE, env=e, cwd=cwd, timeout=CEILING)
	return p.returncode, p.stdout.decode(), p.stderr.decode()


class Scratch:
	"""A directory that goes away."""

	def __enter__(self):
		self.dir = tempfile.mkdtemp(prefix="ccp-")
		return self.dir

	def __exit__(self, *a):
		shutil.rmtree(self.dir, ignore_errors=True)


def serves(d):
	"""The daemon serves a whole VM."""
	vm = d.vm()
	s = vm.shim()
	vm.agent.exit(s.base, 3)
	equal(s.exit_status(), 3, "status")
	s.disconnect_shim()
	return vm


def failing(d, text):
	"""The daemon ends at start with this text on stderr."""
	d.start(ready=False)
	equal(d.wait_exit(), 1, "exit status")
	log = d.log_text()
	last = log.splitlines()[-1]
	check(last.startswith("init failed: " + text), "stderr: " + log)
	check(not log.endswith("\n"), "newline behind init failed")


def disposed(d):
	wrong = d.dispose()
	check(wrong is None, wrong)


# 1.1 Modes

@test("1.1", "system mode: banner on raw stderr at every level",
    private=False)
def system_banner():
	for level in LEVELS:
		d = Daemon(level=level)
		check("starting in system mode" in d.log_lines(),
		    "no banner at " + level)
		disposed(d)


@test("1.1", "stays in the foreground as the started pid", daemon=dict())
def foreground(d):
	check(d.running(), "ended")
	with open("/proc/%d/comm" % d.pid) as f:
		equal(f.read().strip(), "cc-proxy", "command name")
	equal(os.getpgid(d.pid), os.getpgid(0), "process group")
	equal(os.getsid(d.pid), os.getsid(0), "session")


@test("1.1", "helpers are not named cc-proxy and run no cc-proxy",
    daemon=dict())
def helper_names(d):
	serves(d)
	kids = d.children()
	check(len(kids) >= 2, "children: %s" % kids)
	main_exe = os.path.realpath(binary("cc-proxy"))
	for pid, comm in kids.items():
		check(comm != "cc-proxy", "helper named cc-proxy")
		try:
			exe = os.readlink("/proc/%d/exe" % pid)
		except PermissionError:
			continue
		check(exe != main_exe, "helper is cc-proxy itself")


@test("1.1", "helpers leave root behind and get no secrets",
    daemon=dict())
def helper_rights(d):
	need_root()
	vm = d.vm(n=3)
	uids = []
	for pid in d.children():
		with open("/proc/%d/status" % pid) as f:
			status = dict(l.rstrip("\n").split(":\t", 1)
			    for l in f if ":\t" in l)
		check("0" not in status["Uid"].split(), "root helper")
		equal(int(status["CapEff"], 16), 0, "capabilities")
		equal(status["NoNewPrivs"], "1", "no new privileges")
		with open("/proc/%d/cmdline" % pid, "rb") as f:
			line = f.read()
		with open("/proc/%d/environ" % pid, "rb") as f:
			line += f.read()
		for t in vm.tokens:
			check(t.encode() not in line, "token in argv")


@test("1.1", "works with /dev/null as all three descriptors",
    private=False)
def dev_null():
	d = Daemon(start=False)
	d.proc = subprocess.Popen(d.argv, stdin=subprocess.DEVNULL,
	    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=d.dir,
	    env=d.env)
	open(d.log_path, "w").close()
	d.wait_listening()
	serves(d)
	disposed(d)


@test("1.1", "pod mode: banner, syslog", private=False)
def pod_banner():
	d = pod_daemon(level="info")
	e = d.wait_log("^starting$", mode="pod")
	equal(e["level"], "info", "level")
	check("starting in system mode" not in d.log_text(), "wrong banner")
	m = d.syslog.wait(r'level=info msg=starting .*mode=pod')
	check(re.match(r"<30>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d "
	    r"cc-proxy\[%d\]: time=" % d.pid, m), "syslog line " + m)
	disposed(d)


@test("1.1", "pod mode: severities in syslog", private=False)
def pod_severities():
	d = pod_daemon(level="debug")
	c = d.client()
	for level, pri in (("debug", 31), ("info", 30), ("warn", 28),
	    ("error", 27)):
		c.log(source="shim", level=level, msg="sev-" + level)
		m = d.syslog.wait("msg=sev-" + level)
		check(m.startswith("<%d>" % pri), "syslog line " + m)
		d.wait_log("^sev-%s$" % level)
	disposed(d)


@test("1.1", "pod mode: the level holds for syslog too", private=False)
def pod_level():
	d = pod_daemon(level="error")
	c = d.client()
	c.log(source="shim", level="warn", msg="not-shown")
	c.log(source="shim", level="error", msg="shown")
	d.syslog.wait("msg=shown")
	check(not [m for m in d.syslog.messages if "not-shown" in m],
	    "level ignored")
	disposed(d)


@test("1.1", "pod mode without a syslog socket is fatal, exit 1",
    private=False)
def pod_no_syslog():
	log = Syslog(listen=False)
	try:
		with Scratch() as tmp:
			sock = os.path.join(tmp, "p.sock")
			status, out, err = run("-uri", "unix://" + sock,
			    *LIBEXEC, wrap=log.wrap)
			equal(status, 1, "exit status")
			check(not os.path.exists(sock), "socket created")
			status, out, err = run("-uri", "unix://" + sock,
			    "-version", *LIBEXEC, wrap=log.wrap)
			equal(status, 1, "exit status with -version")
	finally:
		log.close()


@test("1.1", "pod mode ends with 0 after UnregisterVM and VM loss",
    private=False)
def pod_end():
	for order in ("unregister", "loss"):
		d = pod_daemon()
		vm = d.vm("pod")
		s = vm.shim()
		if order == "loss":
			vm.agent.hang_up("io")
			s.expect_closed()
			check(d.running(), "ended before UnregisterVM")
			vm.unregister()
		else:
			vm.unregister()
			vm.agent.tty(s.base, b"still")
			equal(s.stdout(), b"still", "output")
			wait_for(lambda: not os.path.exists(d.path),
			    "the socket's file to go")
			check(d.running(), "ended before the loss")
			vm.agent.hang_up("ctl")
			s.expect_closed()
		equal(d.wait_exit(), 0, "exit status")
		disposed(d)


@test("1.1", "pod mode: no new connection after UnregisterVM, others go on",
    private=False)
def pod_unregistered():
	d = pod_daemon()
	vm = d.vm("pod", mode="echo")
	other, _ = vm.attach()
	vm.unregister()
	try:
		Client(d)
		raise Fail("connection accepted")
	except OSError:
		pass
	equal(other.hyper("ping", 1), b"1", "reply")
	disposed(d)


@test("1.1", "pod mode: waits for every VM registered so far",
    private=False)
def pod_many():
	d = pod_daemon()
	a, b = d.vm("a"), d.vm("b", mode="echo")
	a.unregister()
	a.agent.hang_up("io")
	a.agent.wait_eof("ctl")
	equal(b.client.hyper("ping", 1), b"1", "reply")
	check(d.running(), "ended with a VM alive")
	b.agent.hang_up("io")
	equal(d.wait_exit(), 0, "exit status")
	disposed(d)


@test("1.1", "pod mode: an unknown id does not count", private=False)
def pod_unknown():
	d = pod_daemon()
	d.client().fails(UNREGISTER, {"containerId": "x"})
	vm = d.vm("pod")
	vm.agent.hang_up("io")
	vm.agent.wait_eof("ctl")
	d.client().fails(UNREGISTER, {"containerId": "x"})
	d.client().ok(ATTACH, {"containerId": "pod"})
	check(d.running(), "ended")
	vm.unregister()
	equal(d.wait_exit(), 0, "exit status")
	disposed(d)


@test("1.1", "pod mode never touches KSM", private=False)
def pod_ksm():
	need_root()
	base = "/sys/kernel/mm/ksm"
	if not os.path.isdir(base):
		raise Skip("no KSM here")

	def read():
		return [open(os.path.join(base, n)).read() for n in ("run",
		    "pages_to_scan", "sleep_millisecs")]
	before = read()
	d = pod_daemon(args=["-ksm", "off"])
	d.vm("pod")
	equal(read(), before, "KSM files")
	for pid in d.processes():
		for fd in os.listdir("/proc/%d/fd" % pid):
			try:
				to = os.readlink("/proc/%d/fd/%s" % (pid, fd))
			except OSError:
				continue
			check("/mm/ksm" not in to, "KSM file open")
	disposed(d)


# 1.2 Socket path

@test("1.2", "the default path", private=False)
def default_path():
	need_mount_namespace()
	d = Daemon(socket_path="", start=False, wrap=["unshare", "-m", "sh",
	    "-c", 'mount -t tmpfs none "$0" && exec "$@"', "/run"])
	d.start(ready=False)
	d.path = "/proc/%d/root/run/clear-containers/proxy.sock" % d.pid
	d.wait_listening()
	st = os.stat(os.path.dirname(d.path))
	equal(st.st_mode & 0o7777, 0o750, "mode of the directory")
	a = d.agent()
	f = d.client().register("x", a.ctl_path, a.io_path)
	equal(json.loads(f.payload)["io"]["URL"],
	    "unix:///var/run/clear-containers/proxy.sock", "URL")
	disposed(d)


@test("1.2", "-uri: only the literal prefix is stripped", private=False)
def uri_forms():
	for uri, path in (("unix://%s/u.sock", "%s/u.sock"),
	    ("%s/v.sock", "%s/v.sock"), ("unix://w.sock", "w.sock"),
	    ("x.sock", "x.sock"), ("tcp://a:1", "tcp://a:1"),
	    ("unix://sub%%20dir/y", "sub%%20dir/y"),
	    ("UNIX://z", "UNIX://z")):
		log = Syslog()
		d = Daemon(start=False, wrap=log.wrap, uri="x", ksm=None)
		d.agents.append(log)
		if "%s" in uri:
			uri, path = uri % d.dir, path % d.dir
		else:
			uri, path = uri % (), path % ()
		d.argv[d.argv.index("-uri") + 1] = uri
		d.path = os.path.join(d.dir, path)
		d.start()
		serves(d)
		disposed(d)


@test("1.2", "-socket-path overrides -uri", private=False)
def path_over_uri():
	d = pod_daemon(start=False)
	d.argv += ["-socket-path", os.path.join(d.dir, "other.sock")]
	uri_path = d.path
	d.path = os.path.join(d.dir, "other.sock")
	d.start()
	check(not os.path.exists(uri_path), "socket of -uri created")
	d.wait_log("^starting$", mode="pod")
	disposed(d)


@test("1.2", "107 bytes are the longest path", private=False)
def path_length():
	d = Daemon(start=False)
	room = 107 - len(d.dir) - 1
	d.path = os.path.join(d.dir, "x" * room)
	d.argv[d.argv.index("-socket-path") + 1] = d.path
	d.start()
	serves(d)
	disposed(d)
	d = Daemon(start=False)
	d.argv[d.argv.index("-socket-path") + 1] = os.path.join(d.dir,
	    "x" * (room + 1))
	failing(d, "couldn't get a valid socket path: socket path too long "
	    "108 (max 107)")
	disposed(d)


# 1.3 Creating the socket

@test("1.3", "modes, owner, log line; directories are made", private=False)
def creation():
	for umask in (0o022, 0, 0o077):
		old = os.umask(umask)
		try:
			d = Daemon(start=False)
			d.path = os.path.join(d.dir, "a", "b", "c.sock")
			d.argv[d.argv.index("-socket-path") + 1] = d.path
			d.start()
		finally:
			os.umask(old)
		st = os.stat(d.path)
		equal(stat.S_IMODE(st.st_mode), 0o660, "mode of the socket")
		equal(st.st_uid, os.geteuid(), "owner")
		for p in ("a", "a/b"):
			st = os.stat(os.path.join(d.dir, p))
			equal(stat.S_IMODE(st.st_mode), 0o750 & ~umask,
			    "mode of directory with umask %o" % umask)
		e = d.wait_log("^listening on " + re.escape(d.path) + "$")
		equal(e["level"], "info", "level")
		disposed(d)


@test("1.3", "old sockets, files and empty directories are replaced",
    private=False)
def replaced():
	for kind in ("socket", "file", "dir", "link"):
		d = Daemon(start=False)
		os.mkdir(os.path.dirname(d.path))
		os.chmod(os.path.dirname(d.path), 0o711)
		if kind == "socket":
			s = socket.socket(socket.AF_UNIX)
			s.bind(d.path)
			s.close()
		elif kind == "file":
			open(d.path, "w").close()
		elif kind == "link":
			os.symlink("/nowhere", d.path)
		else:
			os.mkdir(d.path)
		d.start()
		equal(stat.S_IMODE(os.lstat(d.path).st_mode), 0o660, "mode")
		equal(stat.S_IMODE(os.stat(os.path.dirname(
		    d.path)).st_mode), 0o711, "mode of the old directory")
		serves(d)
		disposed(d)


@test("1.3", "restart after SIGKILL on the path that stayed",
    daemon=dict(), bystander=False)
def restart(d):
	d.stop(signal.SIGKILL)
	check(os.path.exists(d.path), "socket gone")
	d.start()
	serves(d)


@test("1.3", "init failures", private=False)
def init_failures():
	d = Daemon(start=False)
	os.makedirs(os.path.join(d.path, "full"))
	failing(d, "couldn't remove exiting socket: ")
	disposed(d)
	d = Daemon(start=False)
	open(os.path.join(d.dir, "run"), "w").close()
	failing(d, "couldn't create socket directory: ")
	disposed(d)


@test("1.3", "init failure in pod mode is an error entry", private=False)
def init_failure_pod():
	d = pod_daemon(start=False)
	os.makedirs(os.path.join(d.path, "full"))
	d.start(ready=False)
	equal(d.wait_exit(), 1, "exit status")
	e = d.wait_log("couldn't remove exiting socket")
	equal(e["level"], "error", "level")
	d.syslog.wait("couldn't remove exiting socket")
	disposed(d)


# 1.4 Socket activation

LAUNCH = """import os, socket, sys
fds = [int(n) for n in sys.argv[1].split(",")]
high = [os.dup(n) for n in fds]
high = [os.dup2(n, 50 + i) for i, n in enumerate(high)]
for i, n in enumerate(high):
	os.dup2(n, 3 + i)
for n in range(3 + len(high), 100):
	try:
		os.close(n)
	except OSError:
		pass
os.environ["LISTEN_PID"] = sys.argv[2].replace("PID", str(os.getpid()))
os.environ["LISTEN_FDS"] = sys.argv[3]
os.execv(sys.argv[4], sys.argv[4:])
"""


def activated(listen_pid="PID", listen_fds="1", count=1, **kw):
	d = Daemon(start=False, **kw)
	d.activated_path = os.path.join(d.dir, "activated.sock")
	d.listeners = []
	for i in range(count):
		s = socket.socket(socket.AF_UNIX)
		s.bind(d.activated_path + (str(i) if i else ""))
		s.listen(16)
		d.listeners.append(s)
	os.chmod(d.activated_path, 0o600)
	fds = [s.fileno() for s in d.listeners]
	d.argv = [sys.executable, "-c", LAUNCH, ",".join(map(str, fds)),
	    listen_pid, listen_fds] + d.argv
	d.pass_fds = fds
	return d


@test("1.4", "the passed listener is used; nothing is created",
    private=False)
def activation():
	d = activated()
	url_path = d.path
	d.path = d.activated_path
	d.start()
	a = d.agent()
	f = d.client().register("x", a.ctl_path, a.io_path)
	equal(json.loads(f.payload)["io"]["URL"], "unix://" + url_path,
	    "URL")
	serves(d)
	check(not os.path.exists(url_path), "socket created")
	check(not os.path.exists(os.path.dirname(url_path)),
	    "directory created")
	equal(stat.S_IMODE(os.stat(d.activated_path).st_mode), 0o600,
	    "mode of the socket")
	check("listening on" not in d.log_text(), "listening line")
	d.stop()
	check(os.path.exists(d.activated_path), "socket unlinked")
	for s in d.listeners:
		s.close()
	disposed(d)


@test("1.4", "another pid or no number: no activation", private=False)
def activation_not():
	for pid, fds in (("1", "1"), ("", "1"), ("PIDx", "1"), ("PID", "0"),
	    ("PID", ""), ("PID", "x")):
		d = activated(pid, fds)
		d.start()
		serves(d)
		d.wait_log("^listening on ")
		for s in d.listeners:
			s.close()
		disposed(d)


@test("1.4", "more than one descriptor is an error", private=False)
def activation_many():
	d = activated(listen_fds="2", count=2)
	failing(d, "too many activated sockets (2)")
	disposed(d)


# 1.5 Flags

@test("1.5", "-version", private=False)
def version():
	for flag in ("-version", "--version", "-version=true", "-version=1",
	    "-version=T"):
		status, out, err = run(flag)
		equal(status, 0, "exit status")
		check(re.fullmatch(r"Version: \S+\n", out), "stdout " + out)
		equal(err, "", "stderr")


@test("1.5", "-version after log set-up: a bad level wins", private=False)
def version_level():
	status, out, err = run("-version", "-log", "loud")
	equal((status, out), (1, ""), "exit status and stdout")
	status, out, err = run("-log=debug", "--version")
	equal(status, 0, "exit status")


@test("1.5", "unknown flags and bad values: usage on stderr, exit 2",
    private=False)
def bad_flags():
	for args in (["-nonsense"], ["--nonsense=1"], ["-ksm", "fast"],
	    ["-ksm="], ["-version=maybe"], ["-pprof-port", "many"],
	    ["-pprof-port", "-1"], ["-log"], ["-socket-path"], ["-=x"],
	    ["---log", "info"]):
		status, out, err = run(*args)
		equal(status, 2, "exit status of %s" % args)
		equal(out, "", "stdout")
		check("-socket-path" in err and "-log" in err,
		    "no usage: " + err)
	check("Unsupported KSM knob fast" in run("-ksm", "fast")[2],
	    "text for a bad KSM mode")


@test("1.5", "-h and -help", private=False)
def help_flag():
	for flag in ("-h", "-help", "--help"):
		status, out, err = run(flag)
		check(status in (0, 2), "exit status %d" % status)
		check("-socket-path" in err, "no usage: " + err)


@test("1.5", "bad log level: exit 1", private=False)
def bad_level():
	for args in (["-log", "loud"], ["-log="], ["-log", "warnin"]):
		status, out, err = run(*args, *LIBEXEC)
		equal(status, 1, "exit status of %s" % args)


@test("1.5", "flag syntax: -x v, --x v, -x=v; names of levels in any case",
    private=False)
def flag_syntax():
	for flags in (["-log", "INFO"], ["--log", "Info"], ["-log=info"],
	    ["--log=iNFO"], ["-log", "debug", "-log", "info"]):
		d = Daemon(level=None, args=flags)
		d.wait_log("^listening on ")
		disposed(d)


@test("1.5", "a non-flag ends the flags; the rest is ignored",
    private=False)
def extra_args():
	d = Daemon(args=["extra", "-nonsense", "-version"])
	serves(d)
	disposed(d)
	d = Daemon(args=["--", "-nonsense"])
	serves(d)
	disposed(d)


@test("1.5", "-ksm takes a comma list, the first counts", private=False)
def ksm_list():
	d = Daemon(ksm="initial,nonsense")
	serves(d)
	disposed(d)


@test("1.5", "the pprof flags are accepted and ignored, with a warning",
    private=False)
def pprof():
	d = Daemon(level="warn", args=["-pprof", "-pprof-host", "localhost",
	    "-pprof-port", "6061"])
	e = d.wait_log("pprof")
	equal(e["level"], "warning", "level")
	serves(d)
	disposed(d)
	d = Daemon(level="warn", args=["-pprof=false"])
	serves(d)
	equal(d.find_log("pprof"), None, "warning")
	disposed(d)


@test("1.5", "the default level is warn", private=False)
def default_level():
	d = Daemon(level=None)
	c = d.client()
	c.log(source="shim", level="info", msg="hidden")
	c.log(source="shim", level="warn", msg="visible")
	d.wait_log("^visible$")
	equal(d.find_log("^hidden$"), None, "info entry")
	disposed(d)


# 1.6 Environment

@test("1.6", "CC_PROXY_LOG_LEVEL overrides -log", private=False)
def env_level():
	d = Daemon(level="error", env={"CC_PROXY_LOG_LEVEL": "Info"})
	d.wait_log("^listening on ")
	disposed(d)
	d = Daemon(level="info", env={"CC_PROXY_LOG_LEVEL": ""})
	d.wait_log("^listening on ")
	disposed(d)
	status, out, err = run("-log", "info", *LIBEXEC,
	    env={"CC_PROXY_LOG_LEVEL": "loud"})
	equal(status, 1, "exit status")
	status, out, err = run("-log", "info", "-version",
	    env={"CC_PROXY_LOG_LEVEL": "loud"})
	equal(status, 1, "exit status with -version")


# 1.7 Signals

@test("1.7", "TERM and INT end it by that signal with ksm initial",
    private=False)
def signals_initial():
	for sig in (signal.SIGTERM, signal.SIGINT):
		d = Daemon(ksm="initial")
		serves(d)
		kids = d.children()
		d.proc.send_signal(sig)
		equal(d.wait_exit(), -sig, "exit status")
		wait_for(lambda: not any(alive(p) for p in kids),
		    "helpers gone")
		check(os.path.exists(d.path), "socket unlinked")
		disposed(d)


@test("1.7", "TERM, INT and HUP end it by that signal in pod mode",
    private=False)
def signals_pod():
	for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
		d = pod_daemon()
		d.vm("pod")
		d.proc.send_signal(sig)
		equal(d.wait_exit(), -sig, "exit status")
		disposed(d)


# TERM and INT with ksm off and auto are tested in section 6.8.

@test("1.7", "USR1, USR2, PIPE, CHLD, WINCH are ignored", daemon=dict())
def signals_ignored(d):
	for sig in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE,
	    signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG):
		d.proc.send_signal(sig)
		d.bystander.check()
	vm = serves(d)
	check(d.running(), "ended")


@test("1.7", "SIGKILL of the main process takes the helpers with it",
    private=False)
def killed():
	d = Daemon()
	vm = d.vm()
	s = vm.shim()
	kids = d.children()
	d.proc.kill()
	d.proc.wait()
	s.expect_closed()
	wait_for(lambda: not any(alive(p) for p in kids), "helpers gone")
	disposed(d)


@test("1.7", "SIGQUIT ends it", private=False)
def quit():
	d = Daemon()
	d.proc.send_signal(signal.SIGQUIT)
	check(d.wait_exit() != 0, "exit status 0")
	disposed(d)


# 1.8 systemd units

@test("1.8", "unit files", private=False)
def units():
	found = {}
	for top in (os.path.join(TOP, "systemd"), BUILD):
		for path in glob.glob(os.path.join(top, "cc-proxy.s*")):
			kind = os.path.basename(path).split(".")[1]
			if kind not in ("service", "socket"):
				continue
			with open(path) as f:
				found.setdefault(kind, f.read())
	if len(found) < 2:
		raise Skip("no unit files in this tree")
	check(re.search(r"^ExecStart=\S*/clear-containers/cc-proxy",
	    found["service"], re.M), "ExecStart")
	for line in ("LimitNOFILE=infinity", "Restart=always",
	    "WantedBy=multi-user.target"):
		check(line in found["service"], line)
	for line in ("DirectoryMode=0770", "SocketMode=0660",
	    "WantedBy=sockets.target", "PartOf=cc-proxy.service"):
		check(line in found["socket"], line)
	check(re.search(r"^ListenStream=\S*/run/clear-containers/"
	    r"proxy\.sock$", found["socket"], re.M), "ListenStream")


# 1.9 Log

RAW = re.compile(r"starting in system mode|init failed|KSM setup failed|"
    r"couldn't find client with seq number|couldn't accept connection")


@test("1.9", "every line is logfmt, fields sorted, the constant ones there",
    daemon=dict(level="debug"))
def log_format(d):
	vm = d.vm(console=True)
	vm.agent.wait_accept("console")
	vm.agent.console.sendall(b'console "text"\n')
	s = vm.shim()
	s.stdin(b"in\n")
	vm.agent.next_tty()
	vm.agent.tty(s.base, bytes(range(256)))
	s.stdout(256)
	vm.agent.tty(999, b"x")
	s.signal(10)
	s.signal(28, 3, 4)
	vm.client.hyper_fails('non"sense')
	vm.client.log(source="runtime", level="warn", msg='a "b"\n\t\u00e9')
	bad = d.client()
	bad.raw(b"x" * 12)
	bad.expect_closed()
	s.disconnect_shim()
	vm.agent.hang_up("io")
	vm.agent.wait_eof("ctl")
	vm.unregister()
	d.bystander.check()
	d.wait_log("frame: bad version")
	lines = d.log_lines()
	check(len(lines) > 20, "only %d lines" % len(lines))
	for line in lines:
		if not line.startswith("time="):
			check(RAW.match(line), "raw line: " + line)
			continue
		e = parse_logfmt(line)
		keys = [k for k in e if k not in ("time", "level", "msg")]
		equal(keys, sorted(keys), "order of fields in " + line)
		if "msg" in e:
			equal(list(e)[2], "msg", "third key in " + line)
		check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?"
		    r"(Z|[+-]\d\d:\d\d)", e["time"]), "time: " + line)
		check(e["level"] in ("debug", "info", "warning", "error",
		    "fatal", "panic"), "level: " + line)
		equal((e.get("name"), e.get("pid")), ("cc-proxy",
		    str(d.pid)), "name and pid in " + line)
		check("source" in e, "no source: " + line)
		for key in ("time", "msg"):
			m = re.search(r'\b%s=("?)' % key, line)
			simple = re.fullmatch(r"[A-Za-z0-9\-._/@^+]*",
			    e.get(key, "x"))
			check(m is None or bool(m.group(1)) == (not simple),
			    "quoting of %s: %s" % (key, line))
	for e in d.entries():
		if "vm" in e:
			check(e["vm"] in (vm.id, "bystander"), "vm")


@test("1.9", "what info shows", daemon=dict(level="info"))
def log_info(d):
	mark = d.log_mark()
	vm = d.vm("shown")
	c, _ = vm.attach()
	s = vm.shim(cid="cidcid")
	s.signal(10)
	s.signal(28, 24, 80)
	c.hyper("ping", {"x": 'q"uote'})
	s.disconnect_shim()
	vm.unregister()
	c.close()
	for pattern, want in (
	    ("^client connected$", {}),
	    (r"^RegisterVM\(containerId=shown,ctlSerial=.*,ioSerial=.*,"
	    r"console=.*\)$", {}),
	    (r"^AttachVM\(containerId=shown\)$", {}),
	    (r"^ConnectShim\(token=.*\)$", {}),
	    (r"^Signal\(user defined signal 1,0,0\)$", {}),
	    (r"^Signal\(window changed,80,24\)$", {}),
	    (r"^hyper\(cmd=\"?\"?ping", {}),
	    (r"^hyper\(cmd=.*newcontainer", {}),
	    (r"^DisconnectShim\(\)$", {}),
	    (r"^UnregisterVM\(", {}),
	    ("^connection closed$", {})):
		e = d.wait_log(pattern, mark, **want)
		equal(e["level"], "info", "level of " + e["msg"])
		check(e.get("client", "").isdigit(), "client number of " +
		    e["msg"])
	equal(d.entries(level="debug"), [], "debug entries")
	numbers = [int(e["client"]) for e in d.entries()
	    if e.get("msg") == "client connected"]
	equal(numbers, sorted(set(numbers)), "client numbers")
	equal(numbers[0], 1, "first client number")


@test("1.9", "what debug adds: hex dumps of I/O", daemon=dict(
    level="debug"))
def log_debug(d):
	vm = d.vm()
	s = vm.shim()
	mark = d.log_mark()
	vm.agent.tty(s.base, b"dumped-output-1234567890")
	s.stdout(24)
	wait_for(lambda: [l for l in d.log_lines(mark)
	    if "level=debug" in l and "section=io" in l and
	    ("64 75 6d 70" in l or "64756d70" in l)], "dump of output")
	mark = d.log_mark()
	s.stdin(b"typed-input")
	wait_for(lambda: [l for l in d.log_lines(mark)
	    if "level=debug" in l and
	    ("74 79 70 65" in l or "74797065" in l)], "dump of stdin")
	wait_for(lambda: [l for l in d.log_lines(mark)
	    if "-> writing to hyper from #" in l], "direction line")


@test("1.9", "what each level hides", private=False)
def log_levels():
	order = ("error", "warning", "info", "debug")
	for level, shown in (("panic", 0), ("fatal", 0), ("error", 1),
	    ("warn", 2), ("warning", 2), ("info", 3), ("debug", 4)):
		d = Daemon(level=level)
		vm = d.vm()
		for c in (d.client(), vm.client):
			for l in ("debug", "info", "warn", "error"):
				c.log(source="shim", level=l, msg="m-" + l)
			c.fails(UNREGISTER, {"containerId": "nobody"})
		bad = d.client()
		bad.raw(b"x" * 12)
		bad.expect_closed()
		if shown:
			wait_for(lambda: len([e for e in d.entries(
			    level="error")]) >= 3, "error entries")
		if shown > 1:
			wait_for(lambda: len([e for e in d.entries()
			    if e.get("msg") == "m-warn"]) >= 2, "warnings")
		disposed_log = d.entries()
		levels = set(e["level"] for e in disposed_log)
		check(levels <= set(order[:shown]), "levels at %s: %s" %
		    (level, levels))
		d.stop()
		levels = set(e["level"] for e in d.entries())
		check(set(order[:shown]) <= levels, "levels at %s: %s" %
		    (level, levels))
		disposed(d)


@test("1.9", "stderr that is a terminal", private=False)
def log_tty():
	import pty
	import select
	d = Daemon(start=False)
	master, slave = pty.openpty()
	d.proc = subprocess.Popen(d.argv, stdin=subprocess.DEVNULL,
	    stdout=subprocess.DEVNULL, stderr=slave, cwd=d.dir, env=d.env)
	os.close(slave)
	open(d.log_path, "w").close()
	d.wait_listening()
	text = b""
	while b"listening on" not in text:
		check(select.select([master], [], [], CEILING)[0],
		    "no text on the terminal")
		text += os.read(master, 65536)
	threading.Thread(target=drain, args=(master,), daemon=True).start()
	serves(d)
	disposed(d)


def drain(fd):
	try:
		while os.read(fd, 65536):
			pass
	except OSError:
		pass


@test("1.9", "a reader of stderr that stops delays nobody", private=False)
def log_blocked():
	d = Daemon(level="debug", start=False)
	r, w = os.pipe()
	d.proc = subprocess.Popen(d.argv, stdin=subprocess.DEVNULL,
	    stdout=subprocess.DEVNULL, stderr=w, cwd=d.dir, env=d.env)
	os.close(w)
	open(d.log_path, "w").close()
	d.wait_listening()
	vm = d.vm()
	s = vm.shim()
	for i in range(2000):
		vm.agent.tty(s.base, b"o" * 200)
		s.stdout(200)
	vm.client.hyper("ping")
	threading.Thread(target=drain, args=(r,), daemon=True).start()
	d.vm().client.hyper("ping")
	disposed(d)


@test("1.9", "token redaction", daemon=dict(level="debug"))
def redaction(d):
	vm = d.vm(n=2)
	s = vm.shim(token=vm.tokens[0])
	d.client().fails(CONNECT, {"token": s.token})
	d.client().fails(CONNECT, {"token": vm.tokens[1] + "x"})
	vm.client.hyper("newcontainer", {"id": "c", "process": {}},
	    [s.token])
	s.disconnect_shim()
	d.wait_log(r"^DisconnectShim")
	for t in vm.tokens:
		check(t not in d.log_text(), "token in the log")


main()

# SPDX-License-Identifier: ISC
"""Clients of several users, and a daemon with a configuration file."""

import ccp
import ccp1
from ccp1 import *

DENIED = "permission denied"


class Peer:
	"""pid: of the process that connected last, as the daemon sees it."""

	pid = 0


def connect_as(path, uid, gid):
	"""A socket that a process of another user connected."""
	Peer.pid = os.getpid()
	if (uid, gid) == (os.geteuid(), os.getegid()):
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.connect(path)
		return s
	need_root()
	ours, theirs = socket.socketpair()
	pid = os.fork()
	if pid == 0:
		try:
			os.setgroups([])
			os.setresgid(gid, gid, gid)
			os.setresuid(uid, uid, uid)
			s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
			s.connect(path)
			socket.send_fds(theirs, [b"x"], [s.fileno()])
			os._exit(0)
		except BaseException:
			os._exit(1)
	theirs.close()
	Peer.pid = pid
	try:
		fds = socket.recv_fds(ours, 1, 1)[1]
		status = os.waitpid(pid, 0)[1]
		check(status == 0 and len(fds) == 1,
		    "uid %d cannot connect" % uid)
		return socket.socket(fileno=fds[0])
	finally:
		ours.close()


class Tenant(Client):
	"""A client of protocol 3.x with these ids."""

	def __init__(self, d, uid, gid=None, path=None):
		self.daemon = d
		self.sock = connect_as(path or d.path, uid,
		    uid if gid is None else gid)
		self.sock.settimeout(CEILING)
		self.stash = collections.deque()
		self.is_shim = False
		self.reset = False
		d.clients.append(self)

	# The same names for both protocols; None or the error.

	def try_register(self, ident, agent, console=None):
		f = self.register(ident, agent.ctl_path, agent.io_path,
		    console)
		return error_text(f) if f.err else None

	def try_attach(self, ident, n=None):
		req = {"containerId": ident}
		if n is not None:
			req["numIOStreams"] = n
		f = self.ask(ATTACH, req)
		return error_text(f) if f.err else None

	def try_unregister(self, ident):
		f = self.ask(UNREGISTER, {"containerId": ident})
		return error_text(f) if f.err else None


class Tenant1(Client1):
	"""The same for protocol 1.x."""

	def __init__(self, d, uid, gid=None, path=None):
		self.daemon = d
		self.sock = timed(connect_as(path or d.path1, uid,
		    uid if gid is None else gid))
		self.reset = False
		d.clients.append(self)

	def try_register(self, ident, agent, console=None):
		return self.ask("hello", hello_request(ident, agent.ctl_path,
		    agent.io_path, console)).error

	def try_attach(self, ident):
		return self.ask("attach", {"containerId": ident}).error

	def try_unregister(self, ident):
		return self.ask("bye", {"containerId": ident}).error


TENANTS = (Tenant, Tenant1)


class ConfDaemon(ccp1.Daemon):
	"""A daemon with a configuration file; {dir} in it is its directory.
	Anybody may connect to its sockets, of both protocols."""

	def __init__(self, text, level="info", start=True, args=(), **kw):
		super().__init__(level=level, socket_path="", path1="",
		    start=False, args=args, **kw)
		i = self.argv.index("-socket-path-1") \
		    if "-socket-path-1" in self.argv else None
		if i is not None:
			del self.argv[i:i + 2]
		self.path = os.path.join(self.dir, "p3.sock")
		self.path1 = os.path.join(self.dir, "p1.sock")
		self.conf = os.path.join(self.dir, "cc-proxy.conf")
		with open(self.conf, "w") as f:
			f.write('listen on "%s" mode 0666\n' % self.path)
			f.write('listen on "%s" protocol 1 mode 0666\n' %
			    self.path1)
			f.write('control "%s"\n' % (self.path + ".ctl"))
			f.write(text.replace("{dir}", self.dir))
		self.argv += ["-f", self.conf]
		if start:
			self.start()

	def denied(self, mark=0):
		"""The log lines about refusals, each (what, uid, gid)."""
		out = []
		for e in self.entries(mark, level="warning"):
			m = re.match(r"permission denied: (\w+ \S+), uid "
			    r"(\d+), gid (\d+), pid \d+", e["msg"])
			if m:
				out.append((m.group(1), int(m.group(2)),
				    int(m.group(3))))
		return out


	def wait_denied(self, n):
		"""denied() when there are n lines; more is wrong."""
		wait_for(lambda: len(self.denied()) >= n,
		    "%d lines about refusals" % n)
		got = self.denied()
		equal(len(got), n, "lines about refusals")
		return got


class serving:
	"""with serving(text) as d: a ConfDaemon that is checked at its end."""

	def __init__(self, text, **kw):
		self.d = ConfDaemon(text, **kw)

	def __enter__(self):
		return self.d

	def __exit__(self, kind, value, tb):
		if kind is not None and not issubclass(kind, Skip):
			ccp.show_log(self.d)
		ended = not self.d.running()
		wrong = self.d.dispose()
		if kind is None:
			check(not ended, "cc-proxy ended")
			check(not wrong, wrong)

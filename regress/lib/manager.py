# SPDX-License-Identifier: ISC
"""A service manager, as far as sd_notify(3) needs one."""

from integ import *

UCRED = struct.Struct("3i")
SO_PASSCRED = 16
SCM_CREDENTIALS = 2


class Manager:
	"""NOTIFY_SOCKET's other end."""

	def __init__(self, abstract=False):
		self.dir = tempfile.mkdtemp(prefix="ccp-notify-")
		os.chmod(self.dir, 0o755)
		self.name = os.path.join(self.dir, "notify")
		if abstract:
			self.name = "@" + os.path.basename(self.dir)
		self.sock = None
		self.listen()

	def listen(self):
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		self.sock.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
		self.sock.bind(self.name.replace("@", "\0"))
		self.sock.settimeout(CEILING)

	def env(self, **more):
		return dict(more, NOTIFY_SOCKET=self.name)

	def gone(self):
		self.sock.close()
		if self.name[0] == "/":
			os.unlink(self.name)

	def close(self):
		self.sock.close()
		shutil.rmtree(self.dir, ignore_errors=True)

	def __enter__(self):
		return self

	def __exit__(self, *a):
		self.close()

	def next(self, pid=None):
		"""The lines of the next message, which is the daemon's."""
		try:
			data, anc = self.sock.recvmsg(4096, 256)[:2]
		except socket.timeout:
			raise Fail("nothing is told within %d s" % CEILING)
		if pid is not None:
			creds = [UCRED.unpack(d[:UCRED.size]) for level, kind,
			    d in anc if kind == SCM_CREDENTIALS]
			equal(creds, [(pid, os.geteuid(), os.getegid())],
			    "who tells")
		check(data.endswith(b"\n"), "unfinished line %r" % data)
		return data.decode().splitlines()

	def until(self, line, pid=None):
		"""The messages up to the one with this line."""
		out = []
		while True:
			out.append(self.next(pid))
			if line in out[-1]:
				return out

	def silent(self):
		self.sock.setblocking(False)
		try:
			return self.sock.recv(4096)
		except BlockingIOError:
			return None
		finally:
			self.sock.settimeout(CEILING)

	def fill(self):
		"""Until there is no room for another message."""
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.setblocking(False)
		n = 0
		try:
			while True:
				s.sendto(b"other\n",
				    self.name.replace("@", "\0"))
				n += 1
		except BlockingIOError:
			pass
		s.close()
		return n

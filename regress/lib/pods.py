# SPDX-License-Identifier: ISC
"""The two shipped kinds of clients in front of the real ccp-guest.

Pod3 and Pod1: a VM registered by a 3.x or a 1.x runtime, with ccp-guest in
one of its profiles behind it.  Process3 and Process1: what a shim of that
kind sees of one process.  Both kinds have the same methods, so that one test
runs with either; payloads and their order are those of the shipped clients.
"""

import hashlib
import signal

import ccp1
from ccp1 import Client1, hyper_data, hello_request, message
from integ import *

PROFILES = ("agent", "universal", "hyperstart-4242", "hyperstart-4244")
PIECE = 8192		# bytes of stdin that a shim reads at a time
PATH = os.environ.get("PATH", "/bin:/usr/bin")
CAPS = ["CAP_" + c for c in ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER",
    "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")]
WINCH = 28
VALUE = ccp1.ABSENT


def sh(script):
	return ["sh", "-c", script]


def words(word, n):
	"""What `yes WORD | head -c N` prints."""
	line = word.encode() + b"\n"
	return (line * (n // len(line) + 1))[:n]


# ------------------------------------------------------------- processes

class Process:
	"""What one shim has got so far: out, err, and status at the end."""

	def setup(self, pod, terminal):
		self.pod, self.terminal = pod, terminal
		self.out, self.err = bytearray(), bytearray()
		self.status = None
		self.cid = None
		pod.processes.append(self)

	def until(self, text, where="out"):
		"""Read on until text is among the output."""
		while text not in getattr(self, where):
			self.take()
			check(self.status is None or text in
			    getattr(self, where), "exit status %s instead of "
			    "%s" % (self.status, brief(text)))

	def run(self):
		"""Read to the end: the exit status."""
		while self.status is None:
			self.take()
		return self.status

	def ends(self, status, out=None, err=None):
		equal(self.run(), status, "exit status (%s, %s)" % (
		    brief(bytes(self.out)), brief(bytes(self.err))))
		for what, got, want in (("stdout", self.out, out),
		    ("stderr", self.err, err)):
			if want is not None and got != want:
				raise Fail("%s: %d bytes %s, want %d bytes %s"
				    % (what, len(got), brief(bytes(got)),
				    len(want), brief(bytes(want))))

	def exited(self, status):
		check(self.status is None, "a second exit status")
		self.status = status

	def write(self, data):
		for i in range(0, len(data), PIECE):
			self.piece(data[i:i + PIECE])

	def end(self):
		self.piece(b"")


class Process3(Client, Process):
	"""A 3.x shim, connected with a token of its own."""

	def __init__(self, pod, terminal=False):
		super().__init__(pod.daemon)
		self.setup(pod, terminal)
		self.token = pod.token()
		self.connect_shim(self.token)

	def request(self, cid, args, execute, more):
		process = {"user": "0", "group": "0",
		    "terminal": self.terminal, "args": args, "envs": [
		    {"env": "PATH", "value": PATH}], "workdir": "/",
		    "noNewPrivileges": not execute, "capabilities":
		    dict.fromkeys(("bounding", "effective", "inheritable",
		    "permitted", "ambient"), None if execute else CAPS)}
		process["envs"] += more.pop("envs", [])
		process.update(more)
		if execute:
			return "execcmd", {"container": cid,
			    "process": process}
		return "newcontainer", {"id": cid, "rootfs": "", "image": "",
		    "fsmap": [{"source": "shared-0011-data", "path": "/mnt",
		    "readOnly": False, "dockerVolume": False,
		    "absolutePath": False, "scsiAddr": ""}],
		    "process": process, "restartPolicy": "",
		    "initialize": False, "systemMountsInfo":
		    {"bindMountDev": False, "devShmSize": 0}, "constraints":
		    {"CPUQuota": 0, "CPUPeriod": 0, "CPUShares": 0}}

	def begin(self, cid, args, execute=False, **more):
		"""Start the process: None, or the error's text."""
		name, data = self.request(cid, args, execute, more)
		e = self.pod.attempt(name, data, [self.token])
		self.cid = cid
		return e

	def take(self):
		f = self.output()
		if f is None:
			raise Fail("EOF instead of an exit status")
		if (f.type, f.op) == (NOTIFICATION, EXITED):
			equal(len(f.payload), 1, "length of ProcessExited")
			self.exited(f.payload[0])
			return
		check(f.type == STREAM and f.op in (STDOUT, STDERR),
		    "frame %s" % brief(f))
		check(self.status is None, "output behind the exit status: "
		    "%s" % brief(f.payload))
		(self.out if f.op == STDOUT else self.err).extend(f.payload)

	def piece(self, data):
		self.stdin(data)

	def resize(self, rows, columns):
		self.signal(WINCH, rows, columns)

	def kill(self, signo):
		self.signal(signo)

	def silent(self):
		"""Nothing is there to be read."""
		equal((list(self.stash), pending(self.sock)), ([], 0),
		    "unread frames and bytes")

	def lost(self):
		"""The VM goes: at most an exit status, then the end."""
		while True:
			f = self.recv()
			if f is None:
				return
			if (f.type, f.op) == (NOTIFICATION, EXITED):
				self.exited(f.payload[0])

	def done(self):
		"""The shim leaves after the end of its process."""
		self.disconnect_shim()
		self.forget()

	def forget(self):
		self.close()
		self.daemon.clients.remove(self)
		self.pod.processes.remove(self)

	def reconnect(self):
		"""The shim's connection is cut; it comes back."""
		self.sock.close()
		self.stash.clear()

		def again():
			n = Client(self.daemon)
			self.daemon.clients.remove(n)
			f = n.ask(CONNECT, {"token": self.token})
			if f.err:
				n.close()
				check(b"already claimed" in f.payload,
				    "ConnectShim: %s" % brief(f.payload))
				return None
			return n.sock
		self.sock = wait_for(again, "token free again")


class Process1(Process):
	"""A 1.x shim: an inherited control connection, and an I/O end."""

	def __init__(self, pod, terminal=False):
		self.setup(pod, terminal)
		self.daemon = pod.daemon
		self.ctl = Client1(pod.daemon).attach(pod.id)
		self.io = self.ctl.allocate_io(1 if terminal else 2)
		self.base = self.io.base
		self.ended = False

	def request(self, cid, args, execute, more):
		process = {"terminal": self.terminal, "stdio": self.base,
		    "stderr": 0 if self.terminal else self.base + 1,
		    "workdir": "/", "args": args, "envs": [{"value": PATH,
		    "env": "PATH"}]}
		process["envs"] += more.pop("envs", [])
		if self.terminal:
			process.update(rows=25, columns=81)
		process.update(more)
		if execute:
			return "execcmd", {"container": cid,
			    "process": process}
		return "newcontainer", {"id": cid, "fsmap": [{"path": "/mnt",
		    "source": "shared-0011-data"}], "rootfs": "",
		    "image": "", "restartPolicy": "never",
		    "initialize": False, "process": process}

	def begin(self, cid, args, execute=False, **more):
		name, data = self.request(cid, args, execute, more)
		e = self.pod.attempt(name, data)
		self.cid = cid
		return e

	def take(self):
		f = self.io.recv()
		if f is None:
			raise Fail("EOF instead of an exit status")
		seq, data = f
		check(self.status is None, "frame behind the exit status: %s"
		    % brief(f))
		if seq == self.base + 1 and not self.terminal:
			check(data != b"", "empty frame on stderr")
			self.err.extend(data)
			return
		equal(seq, self.base, "sequence number")
		if self.ended:
			equal(len(data), 1, "bytes of the exit status")
			self.exited(data[0])
		elif data == b"":
			self.ended = True
		else:
			self.out.extend(data)

	def piece(self, data):
		self.io.stdin(data)

	def hyper(self, name, text):
		self.ctl.raw(message(b'{"id":"hyper","data":{"hyperName":'
		    b'"%s","data":%s}}' % (name.encode(), text)))
		r = self.ctl.reply()
		check(r.success, "%s refused: %s" % (name, r.error))

	def resize(self, rows, columns):
		self.hyper("winsize", b'{"seq":%d, "row":%d, "column":%d}' %
		    (self.base, rows, columns))

	def kill(self, signo):
		self.hyper("killcontainer", b'{"container":"%s", "signal":%d}'
		    % (self.cid.encode(), signo))

	def silent(self):
		equal(pending(self.io.sock), 0, "unread bytes of I/O")

	def lost(self):
		while True:
			f = self.io.recv()
			if f is None:
				return
			if self.ended and len(f[1]) == 1:
				self.exited(f[1][0])
			self.ended = self.ended or f[1] == b""

	def close(self):
		self.ctl.close()
		self.io.close()

	def done(self):
		self.forget()

	def forget(self):
		self.close()
		self.daemon.clients.remove(self.ctl)
		self.daemon.clients.remove(self.io)
		self.pod.processes.remove(self)


# ------------------------------------------------------------------ pods

class Pod:
	"""A VM.  place: the directory of its sockets."""

	count = 0
	lock = threading.Lock()

	def __init__(self, d, profile, place=None, args=(), started=True):
		if not os.access(os.path.join(BUILD, "ccp-guest"), os.X_OK):
			raise Skip("ccp-guest is not built")
		with Pod.lock:
			Pod.count += 1
			self.id = "pod%d" % Pod.count
		self.daemon, self.profile = d, profile
		self.processes, self.kept = [], None
		share = os.path.join(d.dir, self.id + ".share")
		os.makedirs(os.path.join(share, "shared-0011-data"))
		with open(os.path.join(share, "shared-0011-data", "word"),
		    "w") as f:
			f.write(self.id)
		self.guest = Guest(d, os.path.join(place or d.dir, self.id),
		    ["-profile", profile, "-s", share] + list(args),
		    host_root=True)
		self.register()
		if started:
			self.startpod()

	@property
	def hyperstart(self):
		return self.profile.startswith("hyperstart")

	def death(self, signo):
		"""The status of a process that a signal killed."""
		return 0 if self.hyperstart else 128 + signo

	def hyper(self, name, data=VALUE):
		"""A command that must succeed, on a connection of its own."""
		e = self.attempt(name, data)
		check(e is None, "%s refused: %s" % (name, e))

	def fails(self, name, data=VALUE):
		e = self.attempt(name, data)
		check(e is not None, "%s succeeded" % name)
		return e

	def process(self, terminal=False):
		return self.Process(self, terminal)

	def start(self, cid, args, execute=False, terminal=False, **more):
		p = self.process(terminal)
		e = p.begin(cid, args, execute, **more)
		check(e is None, "%s refused: %s" % (args, e))
		return p

	def execute(self, args, terminal=False, **more):
		"""A further process in the container that is kept."""
		return self.start(self.kept.cid, args, True, terminal, **more)

	def keep(self):
		"""A container that lives on, and a shim that says so."""
		self.kept = self.start("keep", sh("echo up; exec sleep "
		    "100000"))
		self.kept.until(b"up\n")
		return self

	def kill(self, cid, signo):
		self.hyper("killcontainer", {"container": cid,
		    "signal": signo, "allProcesses": False})

	def settle(self):
		"""What was to come has come: a command and a process are
		behind it."""
		if self.kept is not None:
			p = self.execute(["true"])
			p.ends(0, b"", b"")
			p.done()
		self.hyper("ping")

	def complaints(self):
		"""The guest's lines about what a real one would not bear."""
		with open(self.guest.log_path, errors="replace") as f:
			return [l.strip() for l in f if "protocol:" in l]

	def judge(self, but="\n"):
		"""There are none but those."""
		lines = [l for l in self.complaints() if but not in l]
		check(not lines, "the guest says: %s" % "; ".join(lines[:5]))

	def close(self):
		for p in list(self.processes):
			p.forget()
		self.leave()
		self.guest.close()
		if self.guest in self.daemon.agents:
			self.daemon.agents.remove(self.guest)


class Pod3(Pod):
	Process = Process3

	def register(self):
		c = Client(self.daemon)
		f = c.register(self.id, self.guest.ctl_path,
		    self.guest.io_path)
		check(not f.err, "RegisterVM: %s" % brief(f.payload))
		self.drop(c)

	def startpod(self, **more):
		self.hyper("startpod", dict(hostname=self.id,
		    shareDir="hyperShared", **more))

	def drop(self, c):
		c.close()
		self.daemon.clients.remove(c)

	def token(self):
		c = Client(self.daemon)
		token, = c.attach(self.id, 1)
		self.drop(c)
		return token

	def ask(self, name, data=VALUE, tokens=None):
		"""As virtcontainers does: connect, attach, command, close."""
		c = Client(self.daemon)
		c.attach(self.id)
		c.hyper_send(name, None if data is VALUE else data, tokens)
		f = c.response(HYPER)
		self.drop(c)
		return f

	def attempt(self, name, data=VALUE, tokens=None):
		f = self.ask(name, data, tokens)
		return error_text(f) if f.err else None

	def remove(self, cid):
		self.hyper("removecontainer", {"container": cid})

	def destroy(self):
		return self.attempt("destroypod")

	def leave(self):
		c = Client(self.daemon)
		c.ok(UNREGISTER, {"containerId": self.id})
		self.drop(c)


class Pod1(Pod):
	Process = Process1

	def register(self):
		c = Client1(self.daemon)
		c.hello(self.id, self.guest.ctl_path, self.guest.io_path,
		    os.path.join(self.daemon.dir, "console.sock"))
		self.drop(c)

	def startpod(self, **more):
		self.hyper("startpod", dict(hostname=self.id,
		    containers=[], shareDir="rootfs", **more))

	def drop(self, c):
		c.close()
		self.daemon.clients.remove(c)

	def attempt(self, name, data=VALUE):
		c = Client1(self.daemon).attach(self.id)
		r = c.ask("hyper", hyper_data(name, {} if data is VALUE else
		    data))
		self.drop(c)
		return None if r.success else r.error

	def remove(self, cid):
		"""Protocol 1.x has no such command."""

	def destroy(self):
		return self.attempt("destroypod", {})

	def leave(self):
		c = Client1(self.daemon)
		c.bye(self.id)
		self.drop(c)


PODS = {"3.x": Pod3, "1.x": Pod1}


def beside(pod):
	"""The same VM in the hands of the other kind of client."""
	other = object.__new__(Pod1 if isinstance(pod, Pod3) else Pod3)
	other.__dict__ = pod.__dict__
	return other


class Named:
	"""Standard output with the protocol's number from the section."""

	def __init__(self, out):
		self.out = out

	def write(self, text):
		return self.out.write(re.sub(r"^((?:not )?ok - |skip - |)3\.x "
		    r"(?=[13]\.x )", r"\1", text, count=1))

	def flush(self):
		self.out.flush()


def main(daemon=ccp1.Daemon):
	ccp.Daemon = daemon
	sys.stdout = Named(sys.stdout)
	ccp.main()

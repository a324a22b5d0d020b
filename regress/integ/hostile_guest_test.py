#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A table of what a guest may send at which moment: every control code, and
every length that cannot be, many VMs at once.  It loses its own VM, or is
ignored; nobody else notices."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

GONE = "No multicast available for CTL channel"
A_PODFINISHED, A_PROCESSEVENT = 13, 23
AT_ONCE = 8

# Control messages that are no answer to a command.
NO_ANSWER = (A_READY, A_PODFINISHED, A_NEXT, A_PROCESSEVENT, A_ASYNCEVENT)
CODES = list(range(28)) + [99, 0x7fffffff, 0xffffffff]
PAYLOADS = (b"", b"\0\xff" * 50, b'{"event":{"x":[1,2,{}]}}', b"\xff" * 4)


def ctl(code, payload=b"", length=None):
	return struct.pack(">II", code, 8 + len(payload) if length is None
	    else length) + payload


def things():
	"""(name, channel, bytes, harm): harm None: a whole message of that
	code; "lost": breaks the framing; "cut": it ends inside of one."""
	for i, code in enumerate(CODES):
		for payload in (PAYLOADS[i % 4], PAYLOADS[(i + 1) % 4]):
			yield ("code %#x, %d bytes" % (code, len(payload)),
			    "ctl", ctl(code, payload), code)
	for n in (0, 1, 7, MB + 1, 0x7fffffff, 0xffffffff):
		# Less than a header is no payload; what follows is garbage.
		yield ("control message of length %#x" % n, "ctl",
		    ctl(77, b"x" * 20, n), "lost")
	for n in (0, 1, 11, MB + 1, 0x7fffffff, 0xffffffff):
		yield ("I/O message of length %#x" % n, "io",
		    tty_message(1, b"x" * 20, n), "lost")
	for which, data in (("ctl", ctl(A_ACK, b"x" * 100)),
	    ("io", tty_message(1, b"x" * 100))):
		for n in (1, 7, len(data) - 1):
			yield ("%d bytes of a message on %s, then the end" %
			    (n, which), which, data[:n], "cut")
	for seq in (0, 1, 2, 3, 999, 2 ** 63, 2 ** 64 - 1):
		for data in (b"", b"\x07", b"x" * 5000):
			yield ("I/O for %#x, %d bytes" % (seq, len(data)),
			    "io", tty_message(seq, data), "io")


class Case:
	"""One VM and one thing that its guest sends."""

	def __init__(self, d, ident, thing):
		self.d, self.id = d, ident
		self.name, self.channel, self.data, self.harm = thing
		self.agent = d.agent(ident, ready=False, mode="manual")
		self.client = d.client()
		self.client.cmd(REGISTER, register_request(ident,
		    self.agent.ctl_path, self.agent.io_path))
		self.agent.wait_accept("ctl")
		self.agent.wait_accept("io")

	def up(self):
		self.agent.send_ctl(A_READY)
		f = self.client.response(REGISTER)
		check(not f.err, "RegisterVM: %s" % brief(f.payload))

	def attack(self):
		send = self.agent.raw_ctl if self.channel == "ctl" else \
		    self.agent.raw_io
		try:
			send(self.data)
		except OSError:
			pass
		if self.harm == "cut":
			self.agent.hang_up(self.channel)

	def command(self):
		"""Is a command answered?  What is the answer's text?"""
		self.client.hyper_send("ping")
		f = self.client.response(HYPER)
		return error_text(f) if f.err else None

	def refused(self):
		error_text(self.client.response(REGISTER))
		self.client.fails(ATTACH, {"containerId": self.id})

	def lost(self):
		equal(self.command(), GONE, "command for a lost VM")
		self.client.attach(self.id)
		self.unregister()

	def lives(self):
		"""It may have answered a command beforehand; not a third."""
		self.agent.mode = "ack"
		with self.agent.cv:
			unread = self.agent.ctl_in[self.agent.ctl_at:]
			self.agent.skip_ctl()
		for m in unread:
			self.agent.ack()
		for i in range(3):
			e = self.command()
		equal(e, None, "command")
		self.unregister()

	def unregister(self):
		self.client.ok(UNREGISTER, {"containerId": self.id})

	def end(self):
		self.client.close()
		self.d.clients.remove(self.client)
		self.agent.close()
		check(not self.agent.complaints, "agent: %s" %
		    self.agent.complaints)
		self.d.agents.remove(self.agent)


def early(c):
	c.attack()
	if c.harm == A_READY:
		f = c.client.response(REGISTER)
		check(not f.err, "RegisterVM: %s" % brief(f.payload))
		c.lives()
	elif c.harm in (A_NEXT, "io"):
		c.up()
		c.lives()
	else:
		c.refused()


def idle(c):
	c.up()
	c.attack()
	if c.harm in ("lost", "cut"):
		c.agent.wait_eof("io" if c.channel == "ctl" else "ctl")
		c.lost()
	else:
		c.lives()


def flight(c):
	c.up()
	c.client.hyper_send("ping")
	c.agent.next_ctl(A_PING)
	c.attack()
	if c.harm in NO_ANSWER or c.harm == "io":
		c.agent.ack()
	f = c.client.response(HYPER)
	if c.harm in ("lost", "cut"):
		error_text(f)
		c.lost()
		return
	equal(f.err, 0 if c.harm in NO_ANSWER + (A_ACK, "io") else 1,
	    "error flag of the answer")
	c.lives()


def stream(c):
	"""With a shim whose stream is cut, or goes on."""
	c.up()
	c.agent.mode = "ack"
	token = c.client.attach(c.id, 1)[0]
	s = c.d.client()
	s.connect_shim(token)
	c.client.hyper("newcontainer", {"id": "c", "process": {}}, [token])
	c.agent.wait(lambda: any(code == A_NEWCONTAINER for code, p in
	    c.agent.ctl_in), "NEWCONTAINER")
	base = json.loads([p for code, p in c.agent.ctl_in
	    if code == A_NEWCONTAINER][-1])["process"]["stdio"]
	c.agent.skip_ctl()
	c.agent.tty(base, b"before")
	equal(s.stdout(6), b"before", "output")
	c.attack()
	if c.harm in ("lost", "cut"):
		s.expect_closed()
		c.lost()
	else:
		if c.harm != "io":
			c.agent.tty(base, b"after")
			equal(s.stdout(5), b"after", "output")
		c.lives()
	s.close()
	c.d.clients.remove(s)


def ghost(c):
	"""Its VM was unregistered; the agent is there still."""
	c.up()
	c.unregister()
	c.attack()
	other = c.d.client()
	other.fails(ATTACH, {"containerId": c.id})
	other.close()
	c.d.clients.remove(other)
	try:
		c.agent.hang_up("ctl")
	except OSError:
		pass
	c.agent.wait_eof("io")


def gone(c):
	"""One channel ended before."""
	c.up()
	c.agent.hang_up("io" if c.channel == "ctl" else "ctl")
	c.agent.wait_eof(c.channel)
	c.attack()
	c.lost()


def all_of(d, moment):
	before = len(d.children()), d.fds()
	todo = list(enumerate(things()))
	if SANITIZED:
		todo = todo[::7]
	lock = threading.Lock()

	def work(_):
		while True:
			with lock:
				if not todo:
					return
				i, thing = todo.pop(0)
			c = Case(d, "%s%d" % (moment.__name__, i), thing)
			try:
				moment(c)
			except Fail as e:
				raise Fail("%s: %s" % (c.name, e))
			c.end()
	n = len(todo)
	tasks = [Task(work, i) for i in range(AT_ONCE)]
	checks = 0
	while any(t.is_alive() for t in tasks):
		d.bystander.check()
		checks += 1
		time.sleep(0.02)
	for t in tasks:
		t.get("attackers")
	d.bystander.check()
	wait_for(lambda: len(d.children()) == before[0], "end of the engines")
	wait_for(lambda: d.fds() == before[1], "number of descriptors")
	note("%d things sent, the bystander checked %d times" % (n, checks))


def at(moment, title):
	@test("hostile-guest", title, daemon=QUIET)
	def run(d):
		need_root()
		all_of(d, moment)


at(early, "everything before the agent is ready")
at(idle, "everything to an engine at rest")
at(flight, "everything while a command waits for its answer")
at(stream, "everything beside the stream of a shim")
at(gone, "everything after the VM was lost")
at(ghost, "everything after the VM was unregistered")

main()

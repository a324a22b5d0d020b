#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Protocol 1.x, sections 6, 7 and 12: the agent's control channel, VM loss,
connection states, and each defect that the original had."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp1 import *

FREE = "client not attached to a vm"
ERROR = "ERROR received from Hyperstart"
PATIENT = dict(timeouts={"ready": "600s", "agent": "600s"})


# 6 Control channel

@test("6", "NEXT, READY and events are skipped while an ACK is awaited", shared=True)
def skipped(d):
	vm = VM1(d, mode="manual")
	vm.client.hyper_send("ping")
	vm.agent.next_ctl()
	vm.agent.send_ctl(A_NEXT, b"\0\0\0\x08")
	vm.agent.send_ctl(A_READY)
	vm.agent.send_ctl(A_NEXT, b"\0\0\0\x04")
	for event in (A_PSCONTAINER, A_ASYNCEVENT):
		vm.agent.send_ctl(event, b"{}")
	d.bystander.check()
	vm.client.quiet()
	vm.agent.ack()
	equal(vm.client.reply().text, OK, "reply")


@test("6", "received lengths of 8 and less mean no payload", shared=True)
def short_lengths(d):
	vm = VM1(d, mode="manual")
	for length in (0, 7, 8):
		vm.client.hyper_send("ping")
		vm.agent.next_ctl()
		vm.agent.send_ctl(A_ACK, length=length)
		equal(vm.client.reply().text, OK, "reply")


@test("6", "ACKs go to the commands in their order; other VMs go on",
    shared=True)
def serial(d):
	vm, other = VM1(d, mode="manual"), VM1(d)
	clients = {}
	for i in range(4):
		c = vm.attach()
		c.hyper_send("ping", i)
		clients[b"%d" % i] = c
	for i in range(4):
		other.client.hyper("ping")
		c = clients.pop(vm.agent.next_ctl()[1])
		for x in list(clients.values()) + [c]:
			x.quiet()
		vm.agent.ack() if i % 2 else vm.agent.error()
		r = c.reply()
		equal(r.error, None if i % 2 else ERROR, "error %d" % i)


@test("6", "a command that is never acknowledged: I/O and other VMs go on",
    daemon=PATIENT)
def never(d):
	vm = VM1(d)
	p = vm.process()
	vm.agent.mode = "manual"
	vm.client.hyper_send("ping")
	vm.agent.next_ctl(A_NEWCONTAINER)
	vm.agent.next_ctl(A_PING)
	c = vm.attach()
	equal(c.allocate_io(2).base, 3, "number")
	p.io.stdin(b"in")
	equal(vm.agent.next_tty(), (p.base, b"in"), "stdin")
	vm.agent.tty(p.base, b"out")
	p.io.expect(b"out")
	for i in range(10):
		d.bystander.check()
	vm.client.quiet()


@test("6", "the agent's deadline ends a wait", daemon=dict(
    timeouts={"agent": "300ms"}))
def deadline(d):
	vm = VM1(d, mode="manual")
	e = vm.client.hyper_fails("ping")
	check(e, "no text")
	d.bystander.check()


@test("6", "EOF of ctl behind a complete command is success, before it not",
    shared=True)
def ctl_eof(d):
	vm = VM1(d, mode="manual")
	c = vm.attach()
	vm.client.hyper_send("destroypod", {})
	vm.agent.next_ctl(A_DESTROYPOD)
	vm.agent.hang_up("ctl")
	equal(vm.client.reply().text, OK, "reply")
	for x in (c, vm.client, Client1(d).attach(vm.id)):
		e = x.hyper_fails("ping")
		check(CLOSED in e or "broken pipe" in e, "error: " + e)


@test("6", "EOF of ctl: every command that waits is answered", shared=True)
def ctl_eof_queue(d):
	vm = VM1(d, mode="manual")
	vm.agent.reading["ctl"].clear()
	clients = [vm.attach() for i in range(300)]
	for c in clients:
		c.hyper_send("writefile", "x" * 8000)
	for i in range(5):
		d.bystander.check()
	vm.agent.hang_up("ctl")
	vm.agent.reading["ctl"].set()
	got = [c.reply().success for c in clients]
	check(not all(got), "commands never sent succeeded")
	check(CLOSED in vm.client.hyper_fails("ping"), "error")


@test("6", "both channels end behind destroypod: success", shared=True)
def power_off(d):
	for order in (("ctl", "io"), ("io", "ctl")):
		vm = VM1(d, mode="manual")
		p = vm.process(start=False)
		vm.client.hyper_send("destroypod", {})
		vm.agent.next_ctl(A_DESTROYPOD)
		for which in order:
			vm.agent.hang_up(which)
		r = vm.client.reply()
		equal(r.text, OK, "reply when %s ends first" % order[0])
		p.io.expect_eof()
		c = Client1(d)
		c.bye(vm.id)


@test("6.1", "EOF of ctl is a loss too; output before it arrives",
    shared=True)
def ctl_alone(d):
	vm = VM1(d)
	p = vm.process()
	vm.agent.tty(p.base, b"out")
	vm.agent.exit(p.base, 2)
	vm.agent.hang_up("ctl")
	p.io.expect(b"out")
	p.io.expect_exit(2)
	p.io.expect_eof()
	vm.agent.wait_eof("io")


@test("6.1", "loss: what is buffered, then EOF; control connections stay",
    shared=True)
def loss(d):
	vm = VM1(d)
	p = vm.process()
	idle = vm.client.allocate_io(1)
	vm.agent.tty(p.base, b"one")
	vm.agent.tty(p.base + 1, b"two")
	vm.agent.exit(p.base, 9)
	vm.agent.hang_up("io")
	idle.expect_eof()
	p.io.expect(b"one")
	p.io.expect(b"two", p.base + 1)
	p.io.expect_exit(9)
	p.io.expect_eof()
	vm.agent.wait_eof("ctl")
	for c in (p.client, vm.client):
		check(CLOSED in c.hyper_fails("ping"), "error")


@test("6.1", "a lost VM: attach and bye work, hyper and allocateIO fail",
    shared=True)
def lost(d):
	vm = VM1(d)
	vm.lose()
	old = vm.client
	new = Client1(d).attach(vm.id)
	for c in (old, new):
		check(CLOSED in c.hyper_fails("destroypod", {}), "error")
		for n in (1, 2):
			check(c.fails("allocateIO", {"nStreams": n}),
			    "no text")
			c.quiet()
		c.attach(vm.id)
	Client1(d).bye(vm.id)
	equal(Client1(d).fails("attach", {"containerId": vm.id}),
	    "unknown containerID: " + vm.id, "attach")
	equal(old.fails("bye", {"containerId": vm.id}),
	    "unknown containerID: " + vm.id, "bye")


@test("6.1", "hello replaces a dead VM's entry, not a living one",
    shared=True)
def replace(d):
	vm = VM1(d)
	vm.lose()
	a = d.agent(vm.id + "b")
	c = Client1(d)
	c.hello(vm.id, a.ctl_path, a.io_path)
	c.hyper("ping")
	equal(a.next_ctl(), (A_PING, b""), "command")
	equal(c.allocate_io(1).base, 1, "number of the new VM")
	check(CLOSED in vm.client.hyper_fails("ping"), "error of the old")
	equal(Client1(d).fails("hello", hello_request(vm.id, a.ctl_path,
	    a.io_path)), vm.id + ": container already registered", "hello")
	Client1(d).attach(vm.id).hyper("ping", "new")
	equal(a.next_ctl()[1], b'"new"', "command")


@test("6.1", "a hello that fails keeps a dead VM's entry or frees it; "
    "then it works", shared=True)
def replace_failed(d):
	vm = VM1(d)
	vm.lose()
	c = Client1(d)
	c.fails("hello", hello_request(vm.id, "/none", "/none"))
	a = d.agent(vm.id + "b")
	c.hello(vm.id, a.ctl_path, a.io_path)
	c.hyper("ping")


@test("6.1", "an engine that is killed: its id answers as a lost VM's",
    shared=True)
def killed(d):
	before = set(d.engines())
	vm = VM1(d)
	p = vm.process()
	pid = (set(d.engines()) - before).pop()
	os.kill(pid, signal.SIGKILL)
	p.io.expect_eof()
	wait_for(lambda: pid not in d.engines(), "end of the engine")

	c = Client1(d).attach(vm.id)
	check(CLOSED in c.hyper_fails("ping"), "error")
	check(c.fails("allocateIO", {"nStreams": 1}), "no text")
	c.quiet()
	c.bye(vm.id)
	a = d.agent(vm.id + "b")
	Client1(d).hello(vm.id, a.ctl_path, a.io_path)


@test("6.1", "loss before anything was sent; many times", shared=True)
def churn(d):
	before = len(d.engines())
	for i in range(20):
		vm = VM1(d, ident="churn")
		end = vm.client.allocate_io(2)
		vm.agent.hang_up("io")
		end.expect_eof()
		end.close()
		vm.client.close()
		c = Client1(d).attach("churn")
		c.hyper_fails("destroypod", {})
		c.close()
		Client1(d).bye("churn")
		vm.client.close()
	wait_for(lambda: len(d.engines()) <= before, "end of the engines")


# 7 Connections

@test("7", "disconnecting leaves VM, entry, streams and others", shared=True)
def disconnect(d):
	vm = VM1(d)
	p = vm.process()
	vm.client.close()
	d.bystander.check()
	p.client.hyper("ping")
	c = Client1(d).attach(vm.id)
	c.hyper("ping")
	vm.agent.tty(p.base, b"out")
	p.io.expect(b"out")


@test("7", "requests of a client that has hung up are served", shared=True)
def last_words(d):
	for i in range(20):
		vm = VM1(d)
		s = vm.attach()
		s.hyper_send("destroypod", "")
		s.close()
		equal(vm.agent.next_ctl(), (A_DESTROYPOD, b'""'), "command")


@test("7", "also when replies before could not be delivered", shared=True)
def last_words_many(d):
	vm = VM1(d)
	s = vm.attach()
	for i in range(30):
		s.hyper_send("ping", i)
	s.hyper_send("destroypod", "")
	s.close()
	for i in range(30):
		equal(vm.agent.next_ctl(), (A_PING, b"%d" % i), "command")
	equal(vm.agent.next_ctl(), (A_DESTROYPOD, b'""'), "last command")


@test("7", "last words while a reply waits; unread replies", shared=True)
def last_words_waiting(d):
	vm = VM1(d, mode="manual")
	s = vm.attach()
	s.hyper_send("ping", 1)
	vm.agent.next_ctl()
	s.hyper_send("killcontainer", 2)
	s.hyper_send("destroypod", "")
	s.close()
	d.bystander.check()
	vm.agent.ack()
	equal(vm.agent.next_ctl(), (A_KILLCONTAINER, b"2"), "command")
	vm.agent.ack()
	equal(vm.agent.next_ctl(), (A_DESTROYPOD, b'""'), "command")
	vm.agent.ack()
	s = vm.attach()
	s.hyper_send("ping", 3)
	vm.agent.next_ctl()
	vm.agent.ack()
	wait_for(lambda: pending(s.sock) > 0, "reply")
	s.hyper_send("destroypod", "")
	s.close()
	equal(vm.agent.next_ctl(), (A_DESTROYPOD, b'""'), "command")
	vm.agent.ack()


@test("7", "everything in one write, then gone: attach and destroypod",
    shared=True)
def last_words_fresh(d):
	for i in range(20):
		vm = VM1(d)
		c = Client1(d)
		c.raw(message(request("attach", {"containerId": vm.id})) +
		    message(request("hyper", hyper_data("destroypod", ""))))
		c.close()
		equal(vm.agent.next_ctl(), (A_DESTROYPOD, b'""'), "command")


@test("7", "half a request and gone: dropped", shared=True)
def half_request(d):
	vm = VM1(d)
	m = message(request("hyper", hyper_data("destroypod", "")))
	for n in (3, 8, 20, len(m) - 1):
		c = vm.attach()
		c.raw(m[:n])
		c.close()
	vm.client.hyper("ping")
	equal(vm.agent.next_ctl(), (A_PING, b""), "command")


@test("7", "a client that reads no replies stops itself only", shared=True)
def no_reader(d):
	vm = VM1(d)
	c = vm.attach()
	c.sock.setblocking(False)
	m = message(request("attach", {"containerId": "n" * 900}))
	sent = 0
	def stuck():
		nonlocal sent
		try:
			while sent < 64 << 20:
				sent += c.sock.send(m * 50)
		except BlockingIOError:
			pass
		for i in range(5):
			d.bystander.check()
		return not select.select([], [c.sock], [], 0)[1]
	wait_for(stuck, "full buffers")
	vm.client.hyper("ping")
	c.close()
	vm.client.hyper("ping")


@test("7", "parallel connections of many kinds", shared=True)
def parallel(d):
	vm = VM1(d)
	errors = []

	def work(i):
		try:
			for j in range(20):
				c = vm.attach()
				e = c.allocate_io(1 + i % 2)
				c.hyper("ping", [i, j])
				e.stdin(b"x")
				c.fails("attach", {"containerId": "nope"})
				e.close()
				c.close()
		except BaseException as e:
			errors.append(str(e))
	threads = [threading.Thread(target=work, args=(i,), daemon=True)
	    for i in range(8)]
	for t in threads:
		t.start()
	for t in threads:
		t.join(300)
	equal(errors, [], "errors")
	equal(len(vm.agent.ctl_in), 160, "commands")
	vm.agent.wait(lambda: len(vm.agent.tty_in) == 160, "all stdin")
	c = vm.client.allocate_io(1)
	equal(c.base, 8 * 20 + 4 * 20 + 1, "number")


# 12 Defects; those that other sections' tests show are named there.

@test("12", "1: a malformed hello connects nothing", shared=True)
def defect_1(d):
	a = d.agent("d1")
	c = Client1(d)
	equal(c.fails("hello", hello_request("", a.ctl_path, a.io_path)),
	    "malformed hello command", "hello")
	d.bystander.check()
	equal(dict(a.accepted), {}, "connections")
	equal(c.fails("bye", {"containerId": ""}), "unknown containerID: ",
	    "bye")


@test("12", "2: a bad nStreams does not shift the next reply", shared=True)
def defect_2(d):
	c = VM1(d).client
	c.raw(message(request("allocateIO", {"nStreams": 3})) +
	    message(request("allocateIO", {"nStreams": 2})))
	r = c.reply()
	equal(r.text, b'{"success":false,"error":"asking for unexpected '
	    b'number of streams (3)"}', "reply")
	equal(c.reply().data, {"ioBase": 1}, "reply")
	os.close(c.receive_fd())


@test("12", "3: hyper while a hello fails does not end the daemon")
def defect_3(d):
	for i in range(30):
		c, x = Client1(d), Client1(d)
		c.send("hello", hello_request("d3", os.path.join(d.dir, "n"),
		    os.path.join(d.dir, "n")))
		x.raw(message(request("attach", {"containerId": "d3"})) +
		    message(request("hyper", hyper_data("ping"))))
		check(not c.reply().success, "hello")
		x.reply()
		check(not x.reply().success, "hyper")
		c.close()
		x.close()


@test("12", "5: a READY that does not come fails the hello in the end",
    daemon=dict(timeouts={"ready": "300ms"}))
def defect_5(d):
	a = d.agent("d5", ready=False)
	c = Client1(d)
	e = c.fails("hello", hello_request("d5", a.ctl_path, a.io_path))
	check(e, "no text")
	b = d.agent("d5b")
	c.hello("d5", b.ctl_path, b.io_path)


@test("12", "7: a thousand exec's leave no descriptor behind")
def defect_7(d):
	vm = VM1(d)
	fds = None
	for i in range(1000):
		c = vm.attach()
		c.allocate_io(2).close()
		c.close()
		d.clients.clear()
		if i == 100:
			fds = d.fds()
	wait_for(lambda: d.fds() <= fds, "descriptors given back")
	equal(vm.client.allocate_io(1).base, 2001, "number")


@test("12", "10: no mute descriptor of a dead VM", shared=True)
def defect_10(d):
	vm = VM1(d)
	vm.lose()
	fds = d.fds()
	for i in range(5):
		check(vm.client.fails("allocateIO", {"nStreams": 1}), "text")
		vm.client.quiet()
	check(d.fds() <= fds, "descriptors")


@test("12", "11: codes that nobody asked for do not shift the answers",
    shared=True)
def defect_11(d):
	vm = VM1(d)
	for code in (A_NEXT, A_READY):
		vm.agent.send_ctl(code, b"\0\0\0\x08")
	d.bystander.check()
	for i in range(3):
		vm.client.hyper("ping", i)


main()

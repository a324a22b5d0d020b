#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Exactly the descriptors that a process needs, and no other."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

HANDOVERS = 1000
LOOP = ["eventpoll", "pipe", "pipe"]	# libevent's
INITIAL = dict(QUIET, ksm="initial")	# "initial": no KSM files


def kinds(pid):
	return sorted(fd_types(pid).values())


def want_parent(d, engines):
	"""/dev/null and its log from us; a channel, a log channel and the
	pidfd of each child; the empty root directory of the engines."""
	children = 1 + engines
	return sorted(["/dev/null", d.log_path, d.log_path] + LOOP +
	    ["socket", "socket", "pidfd"] * children +
	    (["/"] if os.geteuid() == 0 else []))


def stdio(d):
	"""A sanitizer's report needs somewhere to go."""
	return ["/dev/null"] * 2 + [d.log_path if SANITIZED else "/dev/null"]


def want_frontend(d, engines, clients=0):
	"""Channel, log, two listeners; one channel for each engine."""
	return sorted(stdio(d) + LOOP + ["socket"] * (4 + engines + clients))


def want_engine(d, clients=0):
	"""Channel, log, the VM's two sockets, channel to the frontend."""
	return sorted(stdio(d) + LOOP + ["socket"] * (5 + clients))


def compare(pid, want, who):
	try:
		wait_for(lambda: kinds(pid) == want, who)
	except Fail:
		raise Fail("%s: has %s, want %s" % (who, fd_types(pid), want))


def all_as(d, engines, frontend_clients=0, engine_clients={}):
	compare(d.pid, want_parent(d, engines), "parent")
	compare(child(d, "frontend"), want_frontend(d, engines,
	    frontend_clients), "frontend")
	equal(len(d.engines()), engines, "engines")
	for p in d.engines():
		compare(p, want_engine(d, engine_clients.get(p, 0)), "engine")


def start_number(d, pid):
	"""Descriptors 0 to 4 are what they are meant to be."""
	t = fd_types(pid)
	equal([t[n] for n in range(5)], stdio(d) + ["socket"] * 2, "0 to 4")


@test("fdlist", "each process after its start", daemon=INITIAL,
    bystander=False)
def after_start(d):
	fd_types(child(d, "frontend"))
	all_as(d, 0)
	start_number(d, child(d, "frontend"))
	vm = d.vm()
	pid = d.engines()[0]
	start_number(d, pid)
	all_as(d, 1, engine_clients={pid: 1})
	idle = d.client()
	all_as(d, 1, 1, {pid: 1})
	idle.attach(vm.id)
	all_as(d, 1, 0, {pid: 2})
	s = vm.shim()
	all_as(d, 1, 0, {pid: 3})
	s.disconnect_shim()
	idle.close()
	vm.client.close()
	all_as(d, 1)


@test("fdlist", "a console is one socket more", daemon=dict(INITIAL,
    level="debug"), bystander=False)
def console(d):
	vm = d.vm(console=True)
	compare(d.engines()[0], want_engine(d, 2), "engine with a console")
	compare(d.pid, want_parent(d, 1), "parent")
	vm.client.close()


@test("fdlist", "%d clients handed over, at once and one by one" % HANDOVERS,
    daemon=INITIAL, bystander=False)
def handovers(d):
	many_files()
	vms = {}
	for i in range(2):
		vm, pid = engine_of(d, d.vm)
		vms[pid] = vm
	both = list(vms.values())
	clients = []
	for i in range(HANDOVERS):
		clients.append(Client(d))
		clients[-1].cmd(ATTACH, {"containerId": both[i % 2].id})
	for c in clients:
		check(not c.response(ATTACH).err, "AttachVM")
	all_as(d, 2, 0, {p: 1 + HANDOVERS // 2 for p in vms})
	for c in clients:
		c.close()
	all_as(d, 2, 0, {p: 1 for p in vms})
	for i in range(HANDOVERS):
		c = Client(d)
		c.attach(both[i % 2].id)
		c.close()
	all_as(d, 2, 0, {p: 1 for p in vms})


@test("fdlist", "after VMs were lost and unregistered", daemon=INITIAL,
    bystander=False)
def vms(d):
	several = [d.vm() for i in range(5)]
	for i, vm in enumerate(several):
		vm.client.close()
		if i < 3:
			vm.agent.hang_up("io")
	c = d.client()
	for vm in several[:2]:
		c.ok(UNREGISTER, {"containerId": vm.id})
	c.close()
	wait_for(lambda: len(d.engines()) == 3, "end of two engines")
	compare(d.pid, want_parent(d, 3), "parent")
	compare(child(d, "frontend"), want_frontend(d, 3), "frontend")
	# Of the lost VM two sockets are closed.
	lost = sorted(stdio(d) + LOOP + ["socket"] * 3)
	wait_for(lambda: sorted(kinds(p) == lost for p in d.engines()) ==
	    [False, False, True], "sockets of the lost VM")


main()

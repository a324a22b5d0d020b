#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A daemon that may not make namespaces, as under its unit for systemd."""

import ctypes
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from integ import *

NEWUTS, NEWIPC, NEWNET = 0x04000000, 0x08000000, 0x40000000
NEWCGROUP = 0x02000000

# Forbids unshare() with any of the flags, as RestrictNamespaces= does, and
# becomes the program.
FORBID = """import ctypes, os, sys
class Cmp(ctypes.Structure):
	_fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
	    ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
ctx = ctypes.c_void_p(lib.seccomp_init(0x7fff0000))
nr = lib.seccomp_syscall_resolve_name(b"unshare")
for flag in map(int, sys.argv[1].split(",")):
	if lib.seccomp_rule_add_array(ctx, 0x00050001, nr, 1,
	    ctypes.byref(Cmp(0, 7, flag, flag))):
		sys.exit("no rule")
if lib.seccomp_load(ctx):
	sys.exit("no filter")
os.execv(sys.argv[2], sys.argv[2:])
"""


def forbidden(unshare, flags, **kw):
	"""A daemon in namespaces of its own that must not make others."""
	need_root()
	try:
		ctypes.CDLL("libseccomp.so.2")
	except OSError:
		raise Skip("no libseccomp")
	if subprocess.run(["unshare"] + unshare + ["true"],
	    stderr=subprocess.DEVNULL).returncode != 0:
		raise Skip("no private namespaces here")
	return Daemon(wrap=["unshare"] + unshare + [sys.executable, "-c",
	    FORBID, ",".join(map(str, flags))], **kw)


def disposed(d):
	wrong = d.dispose()
	check(wrong is None, wrong)


def serves(d):
	vm = d.vm()
	s = vm.shim()
	vm.agent.exit(s.base, 3)
	equal(s.exit_status(), 3, "status")
	s.disconnect_shim()


@test("namespace", "those of a manager will do", private=False)
def of_a_manager():
	d = forbidden(["-n", "-i", "-u"], [NEWNET, NEWIPC, NEWUTS])
	d.wait_log("^namespaces: those of the service manager$")
	serves(d)
	disposed(d)


@test("namespace", "those of the host will not", private=False)
def of_the_host():
	for unshare in (["-n", "-i"], ["-n", "-u"], ["-i", "-u"]):
		d = forbidden(unshare, [NEWNET, NEWIPC, NEWUTS], start=False)
		d.start(ready=False)
		equal(d.wait_exit(), 1, "exit status with %s" % unshare)
		e = d.find_log("^unshare: ", level="fatal")
		check(e is not None, "no reason with %s" % unshare)
		disposed(d)


@test("namespace", "nor will one with a network", private=False)
def with_a_network():
	if shutil.which("ip") is None:
		raise Skip("no ip(8)")
	d = forbidden(["-n", "-i", "-u"], [NEWNET], start=False)
	i = d.argv.index(sys.executable)
	d.argv[i:i] = ["sh", "-c",
	    'ip link add type veth 2>/dev/null && exec "$@"; exit 77', "sh"]
	d.start(ready=False)
	code = d.wait_exit()
	if code == 77:
		disposed(d)
		raise Skip("no interface can be made here")
	equal(code, 1, "exit status")
	check(d.find_log("^unshare: ", level="fatal"), "no reason")
	disposed(d)


@test("namespace", "the frontend does without one of cgroups",
    private=False)
def no_cgroup():
	if SANITIZED:
		raise Skip("a sanitizer's build keeps its root directory")
	d = forbidden(["-m"], [NEWCGROUP])
	d.wait_log("^frontend sandbox: .*namespaces")
	serves(d)
	disposed(d)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Limits: what one client, tenant or virtual machine can use up, and what it
cannot take from the others, with the real daemon."""

import ctypes
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
import integ
from tenants import *
from integ import child, fd_count, note, SANITIZED, scaled, status

ME = os.geteuid(), os.getegid()
FIRST = 700000


# A user for each engine.

def ids_of(pid):
	"""Its one uid and gid."""
	s = status(pid)
	ids = [set(s[k].split()) for k in ("Uid", "Gid")]
	equal([len(i) for i in ids], [1, 1], "ids of %d" % pid)
	equal(s["Groups"], "", "its groups")
	return tuple(int(i.pop()) for i in ids)


def reached_as(uid, pid):
	"""The errors when a process of that user signals and traces pid."""
	ptrace = ctypes.CDLL(None, use_errno=True).ptrace
	r, w = os.pipe()
	if os.fork() == 0:
		os.setgroups([])
		os.setresgid(uid, uid, uid)
		os.setresuid(uid, uid, uid)
		try:
			os.kill(pid, 0)
			err = 0
		except OSError as e:
			err = e.errno
		ptrace(16, pid, None, None)	# PTRACE_ATTACH
		os.write(w, b"%d %d" % (err, ctypes.get_errno()))
		os._exit(0)
	os.wait()
	os.close(w)
	with os.fdopen(r) as f:
		return tuple(int(n) for n in f.read().split())


@test("limits", "engine uid: no two engines share one", private=False)
def engine_uids():
	need_root()
	with serving("limit vms 3\nengine uid %d - %d\n" % (FIRST,
	    FIRST + 2)) as d:
		for i in range(3):
			equal(Tenant(d, *ME).try_register("vm%d" % i,
			    d.agent("vm%d" % i)), None, "register")
		ids = {p: ids_of(p) for p in d.engines()}
		equal(sorted(ids.values()), [(FIRST + i, FIRST + i)
		    for i in range(3)], "uids and gids")
		one, other = list(ids)[:2]
		eperm = 1
		equal(reached_as(ids[one][0], other), (eperm, eperm),
		    "what one can do to another")
		if not SANITIZED:
			# It is the uid that decides, and for a trace more.
			equal(reached_as(ids[one][0], one), (0, eperm),
			    "what its own user can do")
		# None is left, and none is used twice.
		equal(Tenant(d, *ME).try_register("more", d.agent("more")),
		    "too many VMs", "one more")
		os.kill(one, 9)
		wait_for(lambda: len(d.engines()) == 2, "its end")
		equal(Tenant(d, *ME).try_register("next", d.agent("next")),
		    None, "the next one")
		equal(sorted(ids_of(p)[0] for p in d.engines()),
		    [FIRST + i for i in range(3)], "uids")


@test("limits", "engine uid: used again, and by no two at a time",
    private=False)
def engine_uids_again():
	need_root()
	with serving("limit vms 4\nengine uid %d - %d\n" % (FIRST,
	    FIRST + 5), level="warn") as d:
		equal(Tenant(d, *ME).try_register("stays", d.agent("stays")),
		    None, "register")
		stays = ids_of(d.engines()[0])
		seen = collections.Counter()
		for i in range(scaled(300, 30)):
			c, a = Tenant(d, *ME), d.agent("a%d" % i)

			def registered():
				# Until an engine before it was reaped.
				got = c.try_register("vm", a)
				check(got in (None, "too many VMs"), got)
				return got is None

			wait_for(registered, "its turn")
			for p in d.engines():
				try:
					seen[ids_of(p)[0]] += 1
				except (OSError, KeyError):
					pass
			equal(c.try_unregister("vm"), None, "unregister")
			c.close()
			a.hang_up("ctl")
			a.close()
			d.agents.remove(a)
		equal(set(seen), set(range(FIRST, FIRST + 6)), "uids")
		wait_for(lambda: len(d.engines()) == 1, "end of the others")
		equal(ids_of(d.engines()[0]), stays, "who stayed")


@test("limits", "engine uid: without it, and without root", private=False)
def engine_uids_none():
	need_root()
	import pwd
	with serving("") as d:
		equal(Tenant(d, *ME).try_register("vm", d.agent("vm")), None,
		    "register")
		u = pwd.getpwnam("_ccengine")
		equal(ids_of(d.engines()[0]), (u.pw_uid, u.pw_gid), "its ids")


@test("limits", "engine uid: somebody else's is warned of", private=False)
def engine_uids_shared():
	need_root()
	import pwd
	who = pwd.getpwnam("nobody")
	with serving("limit vms 1\nengine uid %d - %d\n" % (who.pw_uid,
	    who.pw_uid)) as d:
		d.wait_log("engines may run as user nobody, uid %d" %
		    who.pw_uid)
		done = subprocess.run([binary("cc-proxy"), "-n", "-f",
		    d.conf], capture_output=True, text=True)
		equal((done.returncode, done.stderr),
		    (0, "cc-proxy: warning: engines may run as user nobody, "
		    "uid %d\nconfiguration OK\n" % who.pw_uid), "with -n")


ccp.main()

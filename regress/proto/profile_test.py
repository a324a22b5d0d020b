#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
#
# The agents that ccp-guest can be taken for (-profile): what each of them
# does that others do not, on the wire, and the lines on standard error where
# the real one would have crashed, hung or lost something.

import json
import os
import select
import signal
import socket
import struct
import subprocess

import guest_test
from guest_test import *

guest_test.tests.clear()

UNI, AGENT, H42, H44 = ("universal", "agent", "hyperstart-4242",
                        "hyperstart-4244")
ALL = (UNI, AGENT, H42, H44)
HYPER = (H42, H44)


def each(name, *profiles, **kw):
    """A test that is run once per profile."""
    def add(fn):
        for profile in profiles or ALL:
            test("%s: %s" % (profile, name), "-profile", profile,
                 **kw)(fn)
        return fn
    return add


def be32(*values):
    return struct.pack(">%dI" % len(values), *values)


def frame(seq, data):
    return struct.pack(">QI", seq, len(data) + 12) + data


def raw(g, n):
    """The next n messages, NEXT included."""
    return [g.message() for _ in range(n)]


def expect(g, code, payload, want):
    """want: ACK or ERROR, or True for the one, False for the other."""
    answer = g.cmd(code, payload)
    check((answer[0] == ACK) == (want in (True, ACK)),
          "%d %r gave %r" % (code, payload, answer))
    return answer[1]


def complains(g, line, fn):
    """fn() makes the agent write that line, exactly once."""
    before = g.lines().count(line)
    fn()
    wait_for("line %r of %r" % (line, g.lines()),
             lambda: g.lines().count(line) > before)
    g.ok(PING)
    check(g.lines().count(line) == before + 1, "once: %r" % g.lines())


def container(g, cid, *args, **more):
    """The payload of NEWCONTAINER, process last."""
    p = g.process(*args, **more)
    g.names[p["stdio"]] = (cid, p.get("id"))
    return {"id": cid, "rootfs": "rootfs", "image": cid, "process": p}


def keeper(g):
    """A container that lives on."""
    return g.new("keep", "sleep", "1000")


def gone(g, status=0):
    check(g.proc.wait(CEILING) == status,
          "exit status %r" % g.proc.returncode)
    check(g.ctl.recv(1) == b"", "end of the control channel")
    g.tty.wait("end of the I/O channel", lambda: g.tty.eof)


def finish(g, status):
    """As g.end() of an agent that ends by itself."""
    g.proc.terminate = lambda: None
    g.proc.wait(CEILING)
    check(g.proc.returncode == status, "status %d" % g.proc.returncode)
    g.proc.wait = lambda timeout=None: 0
    g.end()


# ------------------------------------------------------------ the command

@test("the flag: names, forms, and the short flags beside it", own=True,
      modes=False)
def t_flag():
    def runs(*flags):
        return subprocess.run([GUEST] + list(flags), capture_output=True,
                              stdin=subprocess.DEVNULL, text=True)
    for flags in (("-profile", "nobody"), ("-profile=nobody",),
                  ("-profile=",), ("-profile",), ("-profile", "Agent")):
        r = runs("-c", "/nonexistent/c", "-t", "/nonexistent/t", *flags)
        check(r.returncode == 1 and "usage:" in r.stderr, "%r" % (flags,))
        check("profile" in r.stderr, r.stderr)
    for flags, version in (
            (("-profile=" + H44,), 4244), (("-profile", H42), 4242),
            (("--profile=" + H44,), 4244), (("-xvn", "-profile=" + H44), 4244),
            (("-profile", AGENT, "-profile", UNI), 4242)):
        g = Guest(*flags, pod=False)
        try:
            # The class reads the form with a blank only.
            g.ctl.sendall(g.pack(VERSION))
            got = raw(g, 2)
            check(got == [(NEXT, be32(8)), (ACK, be32(version))],
                  "%r: %r" % (flags, got))
        finally:
            g.end()
    d = tempfile.mkdtemp(prefix="ccp-guest-")
    try:
        # Values may follow short flags without a blank.
        p = subprocess.Popen([GUEST, "-profile", AGENT, "-c%s/c" % d,
                              "-t%s/t" % d], stdin=subprocess.DEVNULL)
        wait_for("sockets", lambda: os.path.exists(d + "/t"))
        p.terminate()
        check(p.wait(CEILING) == 0, "exit status")
    finally:
        shutil.rmtree(d)


# ----------------------------------------------------- the control channel

@each("NEXT and VERSION", modes=False)
def t_next(g):
    version = {UNI: be32(4242), H42: be32(4242), H44: be32(4244)}
    reply = (ACK, version[g.profile]) if g.profile in version else None
    ping = g.pack(PING)
    big = json.dumps(container(g, "c1", "/bin/sleep", "1000", envs=[
        {"env": "X", "value": "v" * 1500}])).encode()

    def nexts(*values):
        return [] if g.profile == AGENT else \
            [(NEXT, be32(v)) for v in values]

    def together(*values):
        return nexts(sum(values)) if g.profile == UNI else nexts(*values)

    def gives(data, want):
        g.ctl.sendall(data)
        got = raw(g, len(want))
        check(got == want, "%r, not %r" % (got, want))
    gives(ping, nexts(8) + [(ACK, b"")])
    if reply is not None:
        gives(g.pack(VERSION, "null"), together(8, 4) + [reply])
    gives(ping + ping, nexts(8) + [(ACK, b"")] + nexts(8) + [(ACK, b"")])
    gives(g.pack(NEWCONTAINER, big), together(8, len(big)) + [(ACK, b"")])
    if g.profile == AGENT:
        return
    # In pieces, each read before the next is written.
    gives(ping[:3], nexts(3))
    gives(ping[3:], nexts(5) + [(ACK, b"")])
    message = g.pack(PING, "x" * 1749)
    gives(message[:512], together(8, 504))
    gives(message[512:1024], nexts(512))
    gives(message[1024:1536], nexts(512))
    gives(message[1536:], nexts(221) + [(ACK, b"")])


@each("NEXT comes with the reply, not before", H44, modes=False)
def t_late(g):
    data = g.pack(NEWCONTAINER, container(g, "c1", "sleep", "1000"))
    g.ctl.sendall(data)
    got = g.ctl.recv(65536)
    want = b"".join((g.pack(NEXT, be32(8)), g.pack(NEXT, be32(len(data) - 8)),
                     g.pack(ACK)))
    check(got.startswith(want), "read at once: %r" % got)


@each("what is a command")
def t_commands(g):
    known = {4, 8, 12, 1, 6, 11, 17, 18, 22}
    known |= {UNI: {0, 15, 16, 19, 20, 21, 23, 24, 25}, AGENT: {23},
              H42: {0, 2, 15, 16, 19, 20, 21},
              H44: {0, 15, 16, 19, 20, 21, 24, 25}}[g.profile]
    plain = {0, 2, 8, 12, 19}
    for code in list(range(33)) + [99, 0xffffffff]:
        if code == DESTROYPOD or (g.profile == H44 and code == STARTPOD):
            continue
        for payload in (b"", "junk"):
            answer = g.cmd(code, payload)
            want = ACK if code in known & plain else ERROR
            check(answer[0] == want, "%d: %r" % (code, answer))
            if want == ERROR:
                check((answer[1] == b"") == g.hyperstart,
                      "text of %d: %r" % (code, answer))
    # The others are told from unknown ones by a payload that is good.
    iface = {"device": "lo", "ipAddresses": [
        {"ipAddress": "203.0.113.77", "netMask": "24"}]}
    keeper(g)
    expect(g, SETIF, iface, 20 in known)
    expect(g, SETROUTE, {"routes": [{"dest": "default"}]}, 21 in known)
    expect(g, DELIF, iface, 25 in known)
    expect(g, READFILE, {"container": "keep", "file": "/etc/passwd"},
           16 in known)
    expect(g, PS, {"container": "keep", "format": "json"}, 23 in known)
    if g.profile in (UNI, H44):
        seq = g.exec("keep", "sleep", "1000", id="e1")
        expect(g, EVENT, {"container": "keep", "process": "e1", "signal": 9},
               True)
        check(g.status(seq) == (137 if g.profile == UNI else 0), "status")
    check(g.profile == H42 or g.lines() == [] or g.profile == H44,
          "%r" % g.lines())


@each("headers in pieces, or without what belongs to them")
def t_pieces(g):
    seq = g.new("c1", "cat")
    lines = []

    def cut(sock, data, n, what):
        """what: the profiles that mind."""
        sock.sendall(data[:n])
        if sock is g.ctl and g.profile in (UNI, H42, H44):
            check(g.message() == (NEXT, be32(min(n, 8))), "NEXT")
        if g.profile in what:
            lines.append(what[g.profile])
            wait_for("%r of %r" % (lines, g.lines()),
                     lambda: g.lines() == lines)
        elif sock is not g.ctl:
            time.sleep(0.05)
        sock.sendall(data[n:])
    for n in (1, 7):
        cut(g.ctl, g.pack(PING), n, {AGENT: "control header in pieces"})
        check(g.reply() == (ACK, b""), "PING")
    cut(g.ctl, g.pack(PING, "xyz"), 8,
        {H44: "control header without its payload"})
    check(g.reply() == (ACK, b""), "PING")
    cut(g.ctl, g.pack(PING, "xyz"), 7, {AGENT: "control header in pieces"})
    check(g.reply() == (ACK, b""), "PING")
    # A payload may be cut.
    g.ctl.sendall(g.pack(PING, "xyz")[:9])
    if g.profile != AGENT:
        g.message()
    g.ctl.sendall(g.pack(PING, "xyz")[9:])
    check(g.reply() == (ACK, b""), "PING")
    cut(g.tty.sock, frame(seq, b"one\n"), 5,
        {AGENT: "I/O header in pieces"})
    g.tty.expect(seq, b"one\n")
    cut(g.tty.sock, frame(seq, b"two\n"), 12,
        {H44: "I/O header without its data"})
    g.tty.expect(seq, b"two\n")
    cut(g.tty.sock, frame(seq, b"three\n"), 14, {})
    g.tty.expect(seq, b"three\n")
    # Whatever comes together is fine, and much at once.
    g.ctl.sendall((g.pack(PING) + g.pack(PING, "x" * 1000)) * 300)
    for _ in range(600):
        check(g.reply() == (ACK, b""), "PING")
    g.tty.sock.sendall(frame(seq, b"four\n") * 2 + frame(seq, b""))
    check(g.status(seq) == 0, "status")
    check(b"".join(g.tty.of(seq)).startswith(b"one\ntwo\nthree\nfour\nfour\n"),
          "%r" % g.tty.of(seq))
    check(g.lines() == lines, "%r" % g.lines())


@each("lengths that lie", modes=False)
def t_lengths(g):
    keeper(g)
    seq = g.exec("keep", "cat")
    lines = []
    for n in (0, 4, 7):
        g.ctl.sendall(struct.pack(">II", PING, n))
        check(g.reply() == (ACK, b""), "length %d" % n)
        if g.profile in (AGENT, H44):
            lines.append("control message of %d bytes" % n)
    check(g.lines() == lines, "%r" % g.lines())
    for n in (0, 4, 11):
        g.tty.sock.sendall(struct.pack(">QI", 99, n))
        if g.profile != UNI:
            lines.append("I/O message of %d bytes" % n)
    g.tty.send(seq, b"alive\n")
    g.tty.expect(seq, b"alive\n")
    check(g.lines() == lines, "%r" % g.lines())
    check(g.tty.of(99) == ([b""] * 3 if g.profile == H42 else []),
          "goodbye: %r" % g.tty.of(99))


@each("commands in a row are answered in a row", modes=False)
def t_row(g):
    a = container(g, "c1", "cat")
    b = container(g, "c2", "cat")
    g.ctl.sendall(g.pack(NEWCONTAINER, a) + g.pack(99) + g.pack(PING) +
                  g.pack(NEWCONTAINER, b) + g.pack(PING) +
                  g.pack(KILL, {"container": "nope", "signal": 9}))
    got = [g.reply()[0] for _ in range(6)]
    check(got == [ACK, ERROR, ACK, ACK, ACK, ERROR], "%r" % got)


# --------------------------------------------------------- the I/O channel

@each("frames that nobody owns")
def t_goodbye(g):
    seq = keeper(g)
    cat = g.exec("keep", "cat")
    polite = g.hyperstart
    g.tty.send(77, b"early")
    g.tty.send(78, b"")
    g.tty.send(cat + 1, b"to stderr")
    g.tty.send(cat + 1, b"")
    g.tty.send(cat, b"x")
    g.tty.send(cat, b"")
    g.tty.expect(cat, b"x")
    check(g.status(cat) == 0, "status")
    end = len(g.tty.of(cat))
    g.tty.send(cat, b"late")
    g.tty.send(cat, b"")
    if polite:
        g.tty.wait("goodbyes", lambda: len(g.tty.of(cat)) == end + 2)
    last = g.exec("keep", "cat")
    g.tty.send(last, b"")
    check(g.status(last) == 0, "status")
    for n, want in ((77, 1), (78, 1), (cat + 1, 2)):
        check(g.tty.of(n) == [b""] * (want if polite else 0),
              "%d: %r" % (n, g.tty.of(n)))
    check(g.tty.of(cat)[end:] == ([b""] * 2 if polite else []), "late")
    check(g.tty.of(seq) == [] and g.lines() == [], "the others")


@each("goodbyes are dropped while the host does not read", *HYPER,
      modes=False)
def t_goodbye_full(g):
    g.tty.gate.clear()
    n = 200000
    data = frame(99, b"") * 1000
    for _ in range(n // 1000):
        g.tty.sock.sendall(data)
    g.ok(PING)
    g.tty.gate.set()
    seq = g.new("c1", "true")
    g.tty.wait("end", lambda: b"" in g.tty.of(seq))
    count = len(g.tty.of(99))
    check(1000 < count < n, "some were: %d" % count)


@each("input that does not fit")
def t_stdin(g):
    keeper(g)

    def run(*sizes):
        """What a process gets that does not read yet."""
        seq = g.sh("keep", "while ! test -e %s/go%d; do sleep 0.02; done; "
                   "wc -c" % (g.dir, len(os.listdir(g.dir))))
        flag = "%s/go%d" % (g.dir, len(os.listdir(g.dir)))
        for n in sizes:
            g.tty.send(seq, b"z" * n)
        g.tty.send(seq, b"")
        # The agent has read all of it when it answers this.
        probe = g.exec("keep", "cat")
        g.tty.send(probe, b"")
        g.status(probe)
        open(flag, "w").close()
        check(g.status(seq) == 0, "status")
        return int(b"".join(x for x in g.tty.of(seq)).split()[0])
    table = ((1,), (512,), (513,), (1000,), (4084,), (2000, 300),
             (500,) * 10, (200,) * 10)
    for sizes in table:
        got = run(*sizes)
        want = sum(min(n, 512) for n in sizes) if g.hyperstart else \
            sum(sizes)
        check(got == want, "%r: %d" % (sizes, got))
    lossy = sum(1 for t in table if max(t) > 512)
    check(g.lines() == ["stdin dropped"] * (lossy if g.hyperstart else 0),
          "a line per process: %r" % g.lines())
    if not g.hyperstart:
        return
    # A pipe holds 64 KiB, and the agent 512 bytes more.
    got = run(*[500] * 300)
    check(60000 < got <= 65536 + 512, "a full pipe: %d" % got)


@each("long I/O messages", modes=False)
def t_iomax(g):
    keeper(g)
    seq = g.exec("keep", "cat")
    for n in (4084, 4085, 10228, 100000):
        g.tty.send(seq, b"q" * n)
        g.tty.send(seq, b"<%d>" % n)
        g.tty.expect(seq, b"<%d>" % n)
    got = g.tty.data[seq].count(b"q")
    lines = g.lines()
    if g.hyperstart:
        check(got == 512, "%d" % got)
        check(lines == ["stdin dropped"] + ["I/O message of %d bytes" %
              (n + 12) for n in (4085, 10228, 100000)], "%r" % lines)
    else:
        check(got == 4084 + 4085 + 10228 + 100000, "%d" % got)
        check(lines == [], "%r" % lines)


@each("output: size of messages, all of it", modes=False)
def t_output(g):
    keeper(g)
    seq = g.sh("keep", "yes | head -c 1000000; exit 3")
    check(g.status(seq) == 3, "status")
    frames = g.tty.of(seq)
    data = frames[:frames.index(b"")]
    check(b"".join(data) == b"y\n" * 500000, "bytes")
    largest = max(len(x) for x in data)
    if g.profile == AGENT:
        check(largest <= 1024, "largest: %d" % largest)
    else:
        check(1024 < largest <= 10228, "largest: %d" % largest)


@each("terminals")
def t_terminal(g):
    keeper(g)
    p = g.process("/bin/sh", "-c", "stty size; echo o; echo e >&2; read x; "
                  "exit 9", terminal=True, stderr=900)
    if g.profile in (UNI, AGENT, H42):
        p.update(rows=33, columns=101)
    g.names[p["stdio"]] = ("keep", p.get("id"))
    seq = p["stdio"]
    g.ok(EXECCMD, {"container": "keep", "process": p})
    g.tty.expect(seq, b"o\r\n")
    # An empty frame is no end of input here.
    g.tty.send(seq, b"")
    g.tty.send(seq, b"\n")
    check(g.status(seq) == 9, "status")
    out = b"".join(g.tty.of(seq))
    err = b"".join(g.tty.of(900))
    size = b"33 101\r\n" if g.profile in (UNI, H42) else b"0 0\r\n"
    check(out.startswith(size + b"o\r\n"), repr(out))
    if g.profile == AGENT:
        check(b"e\r\n" in out and err == b"", "in the terminal")
    else:
        check(b"e\r\n" not in out and err == b"e\n", "apart: %r" % err)


@each("shared sequence numbers", *HYPER)
def t_shared(g):
    keeper(g)
    one = g.exec("keep", "cat")
    two = g.sh("keep", "cat; exit 4", stdio=one, stderr=one + 1)
    check(two == one, "the same number")
    g.tty.send(one, b"old\n")
    g.tty.expect(one, b"old\n")
    g.tty.send(one, b"")
    # The older one ends, the other is found from then on.
    g.tty.wait("its end", lambda: b"" in g.tty.of(one))
    g.tty.send(one, b"new\n")
    g.tty.expect(one, b"new\n")
    g.tty.send(one, b"")
    g.tty.wait("both ends", lambda: g.tty.of(one).count(b"") == 2)
    if g.profile == H44:
        g.reports(lambda: len(g.events) == 2)
        g.events.clear()


@each("numbers in use", UNI, AGENT, modes=False)
def t_unshared(g):
    seq = g.new("c1", "cat")
    g.error(EXECCMD, {"container": "c1",
                      "process": g.process("true", stdio=seq)})


# ------------------------------------------------------------------- ends

@each("exit codes and signals")
def t_exit(g):
    keeper(g)
    for status in (0, 1, 42, 127, 128, 255):
        seq = g.sh("keep", "exit %d" % status)
        check(g.status(seq) == status, "exit %d" % status)
        want = [b""] if g.profile == H44 else [b"", bytes([status])]
        check(g.tty.of(seq) == want, "%r" % g.tty.of(seq))
    for name, number in (("TERM", 15), ("KILL", 9), ("SEGV", 11)):
        seq = g.sh("keep", "ulimit -c 0; kill -%s $$; sleep 100" % name)
        check(g.status(seq) == (0 if g.hyperstart else 128 + number), name)
    check(not g.finished, "the pod lives")


@each("the event, byte for byte; both channels say it", H44)
def t_event(g):
    g.new("c2", "sleep", "1000", id="init")
    p = g.process("/bin/sh", "-c", "exit 3", id="e1")
    g.ok(EXECCMD, {"container": "c2", "process": p})
    check(raw(g, 1) == [(PS, b'{"container":"c2","process":"e1",'
                         b'"event":"finished","status":3}')], "E15")
    g.tty.wait("EOF", lambda: g.tty.of(p["stdio"]) == [b""])
    # Many at once: one event and one EOF each, never before the ACK.
    seqs = [g.sh("c2", "echo x; exit 5") for _ in range(20)]
    for seq in seqs:
        check(g.status(seq) == 5, "status")
        check(g.tty.of(seq) == [b"x\n", b""], "%r" % g.tty.of(seq))
    check(not g.events, "no more: %r" % g.events)
    # Names are not escaped.
    g.ok(EXECCMD, {"container": "c2", "process": g.process(
        "true", id='q"\\')})
    check(raw(g, 1)[0][1].startswith(b'{"container":"c2","process":"q"\\",'),
          "as it is")


@each("which channel says it first takes turns", H44, modes=False)
def t_turns(g):
    keeper(g)
    first = set()
    for _ in range(200):
        p = g.process("true")
        seq = p["stdio"]
        g.ok(EXECCMD, {"container": "keep", "process": p})
        while not select.select([g.ctl], [], [], 0.0001)[0] and \
                b"" not in g.tty.of(seq):
            pass
        first.add(b"" in g.tty.of(seq))
        g.names[seq] = ("keep", p["id"])
        check(g.status(seq) == 0, "status")
        if len(first) == 2:
            return
    raise Failed("always the same: %r" % first)


@each("the rest of a container dies with its first process")
def t_rest(g):
    keeper(g)
    first = g.new("c1", "/bin/sh", "-c", "sleep 1000 & read x; exit 2")
    other = g.exec("c1", "sleep", "1000")
    third = g.sh("c1", "trap '' TERM HUP; sleep 1000 & wait")
    g.tty.send(first, b"\n")
    check(g.status(first) == 2, "first")
    for seq in (other, third):
        check(g.status(seq) == (0 if g.hyperstart else 137), "killed")


FAILURES = (
    # what is wrong, then universal, agent, 4242, 4244: None is ERROR
    (dict(args=["/nonexistent"]), None, None, None, 127),
    (dict(args=["nonexistent"]), None, None, None, 127),
    (dict(args=["/etc/passwd"]), None, None, None, 126),
    (dict(args=["/"]), None, None, None, 126),
    (dict(workdir="/nonexistent"), None, None, 125, None),
    (dict(args=[]), None, None, 0, "process without args"),
    (dict(args=None), None, None, None, None),
    (dict(stdio=0), None, None, None, None),
    (dict(stderr=0), None, None, None, None),
    (dict(envs=[{"env": "A"}]), 0, 0, 0, "variable without a value"),
)
USERS = (
    (dict(user="nosuchuser"), None, None, 125, None),
    (dict(user="nosuchuser", group="0"), None, None, 125, None),
    (dict(user="54321"), 0, 0, 125, 0),
    (dict(group="nosuchgroup"), None, None, 125, None),
    (dict(user="0", group="nosuchgroup"), None, None, 125, None),
    (dict(group="1"), 0, 0, 125, 0),
    (dict(user="0", group="1"), 0, 0, 0, 0),
    (dict(user="0", additionalGroups=["nosuchgroup"]), None, None, 125,
     None),
)


@each("starts that fail")
def t_failures(g):
    keeper(g)
    column = 1 + ALL.index(g.profile)
    table = FAILURES
    if ROOT and not guest_test.UNPRIVILEGED:
        table += USERS
    lines = []
    for row in table:
        want = row[column]
        for terminal in (False, True):
            p = g.process("true", terminal=terminal)
            p.update(row[0])
            if terminal and "stderr" in row[0]:
                continue
            conf = {"container": "keep", "process": p}
            what = "%r terminal=%d" % (row[0], terminal)
            if want is None or isinstance(want, str):
                expect(g, EXECCMD, conf, False)
                lines += [want] if want else []
                check(g.lines() == lines, "%s: %r" % (what, g.lines()))
                continue
            g.names[p["stdio"]] = ("keep", p.get("id"))
            expect(g, EXECCMD, conf, True)
            got = g.status(p["stdio"])
            check(got == want, "%s: %r" % (what, got))
            text = b"".join(g.tty.of(p["stdio"] if terminal else
                                     p["stdio"] + 1))
            check((b"exec failed" in text) == (want > 0),
                  "%s: text %r" % (what, text))
    check(g.lines() == lines, "%r" % g.lines())
    seqs = [s for s in g.names if s != 3]
    check({s for s, _ in g.tty.frames} <= set(seqs) | {
        s + 1 for s in seqs}, "no frames of what failed")
    # For a first process, too.
    for i, (change, want) in enumerate(((row[0], row[column])
                                        for row in table)):
        conf = container(g, "n%d" % i, "true", **change)
        if want is None or isinstance(want, str):
            expect(g, NEWCONTAINER, conf, False)
        else:
            expect(g, NEWCONTAINER, conf, True)
            got = g.status(conf["process"]["stdio"])
            check(got == want, "%r: %r" % (change, got))


@each("no process runs as root for want of a user", H42, modes=False,
      root=True)
def t_noroot(g):
    keeper(g)
    for user in ("nosuchuser", "54321"):
        seq = g.exec("keep", "id", "-u", user=user)
        check(g.status(seq) == 125 and g.tty.of(seq)[0] == b"", user)


# ------------------------------------------------------------------- pods

@each("STARTPOD twice", own=True)
def t_again(*flags, **kw):
    g = Guest(*flags, **kw)
    seq = keeper(g)
    if g.profile == H44:
        g.error(STARTPOD, {"hostname": "h"})
        gone(g, 1)
        finish(g, 1)
        return
    expect(g, STARTPOD, {"hostname": "h"}, g.profile == H42)
    g.kill("keep")
    check(g.status(seq) == (0 if g.hyperstart else 137), "the first pod's")
    g.end()


@each("a STARTPOD that fails", own=True)
def t_startfails(*flags, **kw):
    g = Guest(*flags, pod=False, **kw)
    for bad in ("", "{", "[]", {}, None, {"hostname": 7}):
        if g.hyperstart or bad in ("", "{", "[]"):
            expect(g, STARTPOD, bad, False)
    if g.hyperstart:
        check(g.lines() == ["startpod without a payload"] +
              ["pod without a hostname"] * 3, "%r" % g.lines())
    bad = container(g, "c2", "/nonexistent")
    if g.profile == H44:
        bad["process"]["workdir"] = "/nonexistent"
    payload = {"hostname": "x", "containers": [
        container(g, "c1", "sleep", "1000"), bad]}
    expect(g, STARTPOD, payload, False)
    if g.hyperstart:
        gone(g, 1)
        finish(g, 1)
        return
    g.error(KILL, {"container": "c1", "signal": 0})
    g.ok(STARTPOD, {"hostname": "x"})
    g.end()


@each("commands before there is a pod", own=True)
def t_nopod(*flags, **kw):
    g = Guest(*flags, pod=False, **kw)
    expect(g, NEWCONTAINER, container(g, "c1", "true"), False)
    expect(g, EXECCMD, {"container": "c1", "process": g.process("true")},
           False)
    expect(g, KILL, {"container": "c1", "signal": 9}, g.profile == H42)
    expect(g, REMOVE, {"container": "c1"}, False)
    expect(g, WINSIZE, {"seq": 3, "row": 1, "column": 1},
           g.profile in (UNI, H42))
    g.ok(PING)
    g.ok(DESTROYPOD)
    if g.hyperstart:
        gone(g)
        finish(g, 0)
        return
    g.end()


@each("containers in the pod's own message", modes=False, own=True)
def t_containers(*flags):
    g = Guest(*flags, pod=False)
    a, b = container(g, "c1", "cat"), container(g, "c2", "cat")
    g.ok(STARTPOD, {"hostname": "h1", "shareDir": "s", "containers": [a, b],
                    "dns": ["1.1.1.1"], "interfaces": [], "routes": []})
    for c in (a, b):
        g.tty.send(c["process"]["stdio"], b"")
        check(g.status(c["process"]["stdio"]) == 0, "status")
    g.end()


@each("containers are gone when they have ended", H44)
def t_autoremove(g):
    for i in range(3):
        first = g.new("c1", "/bin/sh", "-c", "read x; exit 2", id="init")
        g.error(REMOVE, {"container": "c1"})
        g.tty.send(first, b"\n")
        check(g.status(first) == 2, "first")
        check(g.error(KILL, {"container": "c1", "signal": 9}) ==
              "no such container\0", "killcontainer")
        g.error(REMOVE, {"container": "c1"})
        g.error(EXECCMD, {"container": "c1", "process": g.process("true")})
    check(not g.finished, "the pod stays")
    # At once, all in a row: the id is free when the event was seen.
    for i in range(20):
        seq = g.new("c1", "true")
        check(g.status(seq) == 0, "status")
    wait_for("processes gone", lambda: not open(
        "/proc/%d/task/%d/children" % (g.proc.pid, g.proc.pid)).read())


@each("PODFINISHED, and the pod is gone", H42)
def t_podfinished(g):
    a = g.new("c1", "/bin/sh", "-c", "exit 5")
    check(g.status(a) == 5, "status")
    g.reports(lambda: g.finished)
    check(g.finished == [(5,)], "one container: %r" % g.finished)
    expect(g, NEWCONTAINER, container(g, "c1", "true"), False)
    expect(g, EXECCMD, {"container": "c1", "process": g.process("true")},
           False)
    g.ok(KILL, {"container": "c1", "signal": 9})
    g.ok(KILL, {"container": "other", "signal": 9})
    g.error(REMOVE, {"container": "c1"})
    g.finished.clear()
    g.ok(STARTPOD, {"hostname": "h2"})
    a = g.new("c1", "cat")
    b = g.new("c2", "/bin/sh", "-c", "cat; exit 7")
    c = g.new("c3", "true")
    e = g.exec("c1", "cat")
    check(g.status(c) == 0, "c3")
    g.tty.send(b, b"")
    check(g.status(b) == 7, "c2")
    g.ok(PING)
    check(not g.finished, "c1 runs")
    g.tty.send(a, b"")
    check(g.status(a) == 0, "c1")
    g.reports(lambda: g.finished)
    check(g.finished == [(0, 7, 0)], "in their order: %r" % g.finished)
    check(g.status(e) == 0, "killed")
    # A container that was removed is not counted.
    g.finished.clear()
    g.ok(STARTPOD, {"hostname": "h3"})
    a, b = g.new("c1", "cat"), g.new("c2", "true")
    check(g.status(b) == 0, "c2")
    g.ok(REMOVE, {"container": "c2"})
    g.kill("c1")
    check(g.status(a) == 0, "c1")
    g.reports(lambda: g.finished)
    check(g.finished == [(0,)], "%r" % g.finished)
    check(g.lines() == [], "%r" % g.lines())


@each("KILLCONTAINER and REMOVECONTAINER")
def t_kill(g):
    keeper(g)
    seq = g.new("c1", "sleep", "1000")
    answer = expect(g, KILL, {"container": "nope", "signal": 9}, False)
    if g.profile == H44:
        check(answer == b"no such container\0", repr(answer))
    for signo in (65, 999):
        answer = expect(g, KILL, {"container": "c1", "signal": signo},
                        g.profile == H42)
        if g.profile == H44:
            check(answer == b"invalid signal\0", repr(answer))
    g.ok(KILL, {"container": "c1"})
    g.ok(KILL, {"container": "c1", "signal": 0})
    expect(g, KILL, "{", False)
    expect(g, REMOVE, {"container": "c1"}, False)
    expect(g, REMOVE, {"container": "nope"}, False)
    check(g.lines() == [], "%r" % g.lines())
    expect(g, KILL, {"signal": 9}, False)
    check(g.lines() == (["killcontainer without a container"]
                        if g.hyperstart else []), "%r" % g.lines())
    g.kill("c1", signal.SIGTERM)
    check(g.status(seq) == (0 if g.hyperstart else 143), "status")
    expect(g, KILL, {"container": "c1", "signal": 9}, g.profile != H44)
    expect(g, REMOVE, {"container": "c1"}, g.profile != H44)
    expect(g, REMOVE, {"container": "c1"}, False)
    expect(g, KILL, {"container": "c1", "signal": 9}, False)


@each("allProcesses")
def t_killall(g):
    keeper(g)
    script = ("trap 'exit 4' USR1; echo up; while :; do sleep 0.05; done")
    first = g.new("c1", "/bin/sh", "-c", "trap 'echo hit' USR1; echo up; "
                  "while :; do sleep 0.05; done")
    other = g.sh("c1", script)
    g.tty.expect(first, b"up")
    g.tty.expect(other, b"up")
    g.kill("c1", signal.SIGUSR1, allProcesses=True)
    g.tty.expect(first, b"hit")
    if g.profile == H44:
        g.ok(EVENT, {"container": "c1", "process": g.names[other][1],
                     "signal": 9})
        check(g.status(other) == 0, "it was not hit")
    else:
        check(g.status(other) == 4, "it was hit")


@each("a killed container that somebody keeps open", H44, modes=False)
def t_unreleased(g):
    # Without namespaces a process may leave its session.
    g.end()
    g.__init__("-profile", H44, "-n")
    seq = g.new("c1", "/bin/sh", "-c", "setsid sh -c 'echo $$; exec sleep "
                "1000' & read x")
    g.tty.expect(seq, b"\n")
    pid = int(g.tty.data[seq])
    g.tty.send(seq, b"\n")
    answer = wait_for("its end", lambda: [
        a for a in [g.cmd(KILL, {"container": "c1", "signal": 0})]
        if a[0] == ERROR])[0]
    check(answer[1] == b"no such process\0", repr(answer))
    check(b"" not in g.tty.of(seq), "not reported")
    os.kill(pid, signal.SIGKILL)
    check(g.status(seq) == 0, "reported")
    answer = g.cmd(KILL, {"container": "c1", "signal": 0})
    check(answer[1] == b"no such container\0", repr(answer))


@each("ids of containers and processes")
def t_ids(g):
    more = {} if g.profile == H42 else {"id": "init"}
    one = g.new("c1", "cat", **more)
    twin = container(g, "c1", "cat")
    expect(g, NEWCONTAINER, twin, g.profile == H42)
    check(g.lines() == (["container id in use"] if g.profile == H44
                        else []), "%r" % g.lines())
    if g.profile == H42:
        g.tty.send(one, b"")
        check(g.status(one) == 0, "one of them")
        g.tty.send(twin["process"]["stdio"], b"")
        check(g.status(twin["process"]["stdio"]) == 0, "the other")
        g.reports(lambda: g.finished)
        check(g.finished == [(0, 0)], "%r" % g.finished)
        return
    two = g.new("c2", "cat", id="init")

    def fails(cid, pid, want):
        expect(g, EXECCMD, {"container": cid, "process": g.process(
            "cat", id=pid)}, want)
    g.exec("c1", "cat", id="e1")
    fails("c1", "e1", False)
    fails("c2", "e1", g.profile != H44)
    fails("c2", "init", False)
    if g.profile == H44:
        p = g.process("cat")
        del p["id"]
        expect(g, EXECCMD, {"container": "c1", "process": p}, False)
        expect(g, NEWCONTAINER, {"id": "c9", "rootfs": "", "image": "",
                                 "process": p}, False)
        check(g.lines()[1:] == ["process without id"] * 2,
              "%r" % g.lines())
    g.tty.send(two, b"")
    check(g.status(two) == 0, "status")


@each("SIGNALPROCESS", H44)
def t_signal(g):
    keeper(g)
    seq = g.exec("keep", "/bin/sh", "-c", "sleep 1000 & echo $!; wait",
                 id="e1")
    g.tty.expect(seq, b"\n")
    g.ok(EVENT, {"container": "keep", "process": "e1", "signal": 999})
    g.ok(EVENT, {"container": "keep", "process": "e1"})
    for bad in ({"container": "keep", "process": "e2", "signal": 9},
                {"container": "c2", "process": "e1", "signal": 9},
                {"container": "keep", "signal": 9}):
        g.error(EVENT, bad)
    check(g.lines() == [], "%r" % g.lines())
    g.error(EVENT, {"process": "e1", "signal": 9})
    check(len(g.lines()) == 1, "%r" % g.lines())
    g.ok(EVENT, {"container": "keep", "process": "e1", "signal": 9})
    check(g.status(seq) == 0, "its group: all have closed the output")
    g.error(EVENT, {"container": "keep", "process": "e1", "signal": 9})


@each("WINSIZE")
def t_winsize(g):
    keeper(g)
    more = {"id": "shell"} if g.profile in (UNI, AGENT, H44) else {}
    plain = g.exec("keep", "cat")
    tty = g.sh("keep", "trap 'stty size' WINCH; stty size; "
               "while :; do read x && break; done", terminal=True, **more)
    g.tty.expect(tty, b"0 0\r\n")

    def size(want, n, alive=True, **how):
        expect(g, WINSIZE, dict(how, row=n, column=n + 1), want)
        if want and alive and (how.get("seq") == tty or
                               how.get("process") == "shell"):
            g.tty.expect(tty, b"%d %d\r\n" % (n, n + 1))
    byseq = g.profile != H44
    byname = g.profile in (UNI, H44)
    size(byseq, 11, seq=tty)
    size(byseq, 12, seq=9999)
    size(False, 13, seq=plain)
    if byname:
        size(True, 14, container="keep", process="shell")
    else:
        # Taken for number 0.
        expect(g, WINSIZE, {"container": "keep", "process": "shell",
                            "row": 14, "column": 15}, True)
    lenient = g.profile != H44
    size(lenient, 15, container="keep", process="nope")
    size(lenient, 16, container="nope", process="nope")
    expect(g, WINSIZE, {"row": 1, "column": 1},
           g.profile in (AGENT, H42))
    # What works with all of hyperstart, and more than that.
    if g.profile != UNI:
        size(True, 17, seq=tty, container="keep", process="shell")
    for bad in ("{", "[]", '"x"', ""):
        expect(g, WINSIZE, bad, False)
    expect(g, WINSIZE, {"seq": "3", "row": 1, "column": 1},
           g.profile == H42)
    g.tty.send(tty, b"\n")
    check(g.status(tty) == 0, "status")
    size(byseq, 18, False, seq=tty)
    if byname:
        size(g.profile == UNI, 19, False, container="keep",
             process="shell")
    check(g.lines() == [], "%r" % g.lines())


@each("EXECCMD where there is no such container")
def t_exec(g):
    keeper(g)
    ended = g.new("c1", "true")
    check(g.status(ended) == 0, "status")
    for cid in ("nope", "c1"):
        for terminal in (False, True):
            p = g.process("true", terminal=terminal)
            expect(g, EXECCMD, {"container": cid, "process": p},
                   g.profile == H42)
            if g.profile == H42:
                check(g.status(p["stdio"]) == 125, "status")
    check(g.lines() == [], "%r" % g.lines())
    expect(g, EXECCMD, {"process": g.process("true")}, False)
    check(g.lines() == (["execcmd without a container"]
                        if g.hyperstart else []), "%r" % g.lines())


# ------------------------------------------------------------- DESTROYPOD

@each("DESTROYPOD without running containers", own=True)
def t_destroy_idle(*flags, **kw):
    for extra in ((), ("-x",)):
        g = Guest(*(flags + extra), **kw)
        seq = g.new("c1", "/bin/sh", "-c", "yes | head -c 3000; exit 3")
        check(g.status(seq) == 3, "status")
        g.ok(DESTROYPOD)
        if g.hyperstart or (g.profile == UNI and extra):
            gone(g)
            finish(g, 0)
            continue
        g.ok(PING)
        g.ok(STARTPOD, {"hostname": "again"})
        check(g.proc.poll() is None, "it stays")
        g.end()


@each("DESTROYPOD kills, in the end", UNI, AGENT, own=True, modes=False)
def t_destroy_kills(*flags):
    g = Guest(*(flags + (("-x",) if AGENT in flags else ())))
    soft = g.new("c1", "sleep", "1000")
    hard = g.new("c2", "/bin/sh", "-c", "trap '' TERM; echo up; "
                 "while :; do sleep 0.05; done")
    g.tty.expect(hard, b"up")
    g.ok(DESTROYPOD)
    check(g.status(soft) == 143 and g.status(hard) == 137, "statuses")
    g.ok(PING)
    g.end()


@each("DESTROYPOD waits, and serves others meanwhile", *HYPER, own=True)
def t_destroy_waits(*flags, **kw):
    g = Guest(*flags, **kw)
    quick = g.new("c1", "sleep", "1000")
    slow = g.new("c2", "/bin/sh", "-c",
                 "trap 'echo term' TERM; echo up; while ! test -e %s/go; "
                 "do sleep 0.02; done; exit 6" % g.dir)
    g.tty.expect(slow, b"up")
    g.ctl.sendall(g.pack(DESTROYPOD) + g.pack(PING) + g.pack(VERSION))
    g.sum = 0
    check(g.reply() == (ACK, b""), "PING is answered first")
    check(g.reply()[1] == be32(4242 if g.profile == H42 else 4244),
          "and so is VERSION")
    check(g.sum == 24, "sum of NEXT")
    check(g.status(quick) == 0, "the quick one")
    g.tty.expect(slow, b"term")
    p = g.process("/bin/sh", "-c", "exit 8")
    g.names[p["stdio"]] = ("c2", p.get("id"))
    g.ok(EXECCMD, {"container": "c2", "process": p})
    check(g.status(p["stdio"]) == 8, "an exec meanwhile")
    check(not g.finished, "no PODFINISHED")
    open(g.dir + "/go", "w").close()
    check(g.reply() == (ACK, b""), "DESTROYPOD")
    check(not g.finished, "no PODFINISHED")
    events = [json.loads(e) for e in g.events]
    gone(g)
    if g.profile == H42:
        check(b"" not in g.tty.of(slow), "the last words are lost")
    else:
        check(g.tty.of(slow)[-1] == b"", "EOF")
        check(events == [{"container": "c2", "process": g.names[slow][1],
                          "event": "finished", "status": 6}],
              "event before the reply: %r" % events)
    finish(g, 0)


@each("DESTROYPOD of one that survives SIGTERM is never answered", *HYPER,
      own=True, modes=False)
def t_destroy_never(*flags):
    g = Guest(*flags)
    seq = g.new("c1", "/bin/sh", "-c", "trap 'echo term' TERM; echo up; "
                "while :; do sleep 0.02; done")
    g.tty.expect(seq, b"up")
    g.ctl.sendall(g.pack(DESTROYPOD))
    g.tty.expect(seq, b"term")
    # Beyond the time that others give it.
    end = time.monotonic() + 3
    while time.monotonic() < end:
        g.ctl.sendall(g.pack(PING))
        check(g.reply() == (ACK, b""), "PING")
        time.sleep(0.1)
    g.ctl.setblocking(False)
    try:
        raise Failed("a reply: %r" % g.ctl.recv(100))
    except BlockingIOError:
        pass
    g.ctl.settimeout(CEILING)
    check(g.proc.poll() is None, "it lives")
    g.ctl.sendall(g.pack(KILL, {"container": "c1", "signal": 9}))
    check([g.reply(), g.reply()] == [(ACK, b"")] * 2, "both")
    gone(g)
    finish(g, 0)


@each("DESTROYPOD asked by a host that left", *HYPER, own=True, modes=False)
def t_destroy_left(*flags):
    g = Guest(*flags)
    seq = g.new("c1", "/bin/sh", "-c", "trap 'echo term' TERM; echo up; "
                "while ! test -e %s/go; do sleep 0.02; done" % g.dir)
    g.tty.expect(seq, b"up")
    g.ctl.sendall(g.pack(DESTROYPOD))
    g.tty.expect(seq, b"term")
    g.ctl.close()
    g.ctl = g.dial(g.ctl_path)
    g.ctl.settimeout(CEILING)
    g.ok(PING)
    open(g.dir + "/go", "w").close()
    # Not this one's reply; but events are.
    while True:
        try:
            data = g.ctl.recv(4096)
        except ConnectionResetError:
            break
        if not data:
            break
        check(g.profile == H44 and data[:4] == be32(PS), repr(data))
    check(g.proc.wait(CEILING) == 0, "it ends")
    finish(g, 0)


# ------------------------------------------------------------------- JSON

def change(conf, path, value, last=True):
    """A copy with a member set, at the end or else at the beginning."""
    conf = json.loads(json.dumps(conf))
    o = conf
    for key in path[:-1]:
        o = o[key]
    others = [(k, v) for k, v in o.items() if k != path[-1]]
    o.clear()
    o.update(others + [(path[-1], value)] if last else
             [(path[-1], value)] + others)
    return conf


@each("members of NEWCONTAINER and what is in it", modes=False)
def t_members(g):
    keeper(g)
    env = {"env": "A", "value": "1"}
    fsmap = {"source": "x", "path": "/data"}
    volume = {"device": "sda", "mount": "/m", "fstype": "ext4"}
    port = {"hostPort": 1, "containerPort": 2, "protocol": "tcp"}
    # path, value, then whether 4242 and 4244 take it
    table = (
        (("unknown",), 1, 0, 0), (("Id",), "x", 0, 0),
        (("readOnly",), False, 0, 1), (("addr",), "0:1", 1, 1),
        (("scsiAddr",), "", 0, 0), (("systemMountsInfo",), {}, 0, 0),
        (("constraints",), {}, 0, 0), (("initialize",), False, 1, 1),
        (("restartPolicy",), None, 1, 1), (("restartPolicy",), [7], 1, 1),
        (("sysctl",), {"vm.overcommit_memory": "1"}, 1, 1),
        (("sysctl",), [], 0, 0), (("volumes",), [], 1, 1),
        (("volumes",), None, 0, 0), (("volumes",), {}, 0, 0),
        (("volumes",), [dict(volume, addr="0:1", readOnly=True,
                             dockerVolume=False)], 1, 1),
        (("volumes",), [dict(volume, unknown=1)], 0, 0),
        (("volumes",), [{"device": "sda", "fstype": "ext4"}], 0, 0),
        (("fsmap",), [], 1, 1), (("fsmap",), ["x"], 0, 0),
        (("fsmap",), [dict(fsmap, readOnly=True, dockerVolume=False)], 1, 1),
        (("fsmap",), [dict(fsmap, absolutePath=False)], 0, 0),
        (("fsmap",), [dict(fsmap, scsiAddr="")], 0, 0),
        (("fsmap",), [{"source": "x"}], 0, 0),
        (("ports",), [port], 1, 1), (("ports",), [dict(port, x=1)], 0, 0),
        (("ports",), [], 1, 1),
        (("process", "envs"), [env], 1, 1), (("process", "envs"), [], 1, 1),
        (("process", "envs"), [dict(env, x=1)], 0, 0),
        (("process", "envs"), {}, 0, 0), (("process", "args"), {}, 0, 0),
        (("process", "additionalGroups"), [], 1, 1),
        (("process", "terminal"), False, 1, 1),
    )
    agents = 1 if not g.hyperstart else None
    n = 0
    for path, value, f, u in table:
        for last in (True, False):
            n += 1
            conf = change(container(g, "n%d" % n, "true"), path, value, last)
            want = agents if agents is not None else \
                f if g.profile == H42 else u
            if path == ("process", "args"):
                want = False
            if value in (["x"], [{"source": "x"}]):
                want = False
            if path == ("ports",) and value == [] and not last:
                want = agents == 1
            what = "%r=%r" % (path, value)
            answer = g.cmd(NEWCONTAINER, conf)
            check((answer[0] == ACK) == bool(want),
                  "%s last=%d: %r" % (what, last, answer))
            if want:
                check(g.status(conf["process"]["stdio"]) == 0, what)
    check(g.lines() == [], "%r" % g.lines())
    # Missing ones; a text where the agent hangs or crashes.
    for name, f, u in (("rootfs", False, False), ("image", False, False),
                       ("id", False, "container without id"),
                       ("process", "container without process",
                        "container without process")):
        conf = container(g, "missing", "true")
        del conf[name]
        want = f if g.profile == H42 else u
        before = len(g.lines())
        expect(g, NEWCONTAINER, conf,
               not g.hyperstart and name in ("rootfs", "image"))
        check(g.lines()[before:] == ([want] if g.hyperstart and want else []),
              "%s: %r" % (name, g.lines()))
        if not g.hyperstart and name in ("rootfs", "image"):
            g.status(conf["process"]["stdio"])
            g.ok(REMOVE, {"container": "missing"})
    if g.hyperstart:
        complains(g, "volume without fstype", lambda: expect(
            g, NEWCONTAINER, dict(container(g, "v", "true"), volumes=[
                {"device": "sda", "mount": "/m"}]), False))


@each("unknown members of a process end its reading", *HYPER, modes=False)
def t_unknown(g):
    keeper(g)

    def new(n, conf, want):
        answer = g.cmd(NEWCONTAINER, conf)
        check((answer[0] == ACK) == want, "%s: %r" % (n, answer))
        if want:
            seq = conf["process"]["stdio"]
            g.names[seq] = (conf["id"], conf["process"].get("id"))
            return g.status(seq), b"".join(g.tty.of(seq))
        return None
    strange = {"noNewPrivileges": True, "capabilities": {"bounding": None},
               "rlimits": [], "unknown": {"a": [1]}}
    if g.profile == H42:
        strange["id"] = "init"
    else:
        strange["rows"] = 1
    for i, (name, value) in enumerate(strange.items()):
        # At the end of a process that is the last member: harmless.
        conf = container(g, "a%d" % i, "pwd", workdir="/etc")
        conf["process"][name] = value
        check(new(name, conf, True)[1].startswith(b"/etc\n"), name)
        # The same, but something follows the process.
        conf["restartPolicy"] = "never"
        conf["id"] = "b%d" % i
        new(name, conf, False)
        # First: all else is not read.
        conf = container(g, "c%d" % i, "pwd")
        conf["process"] = dict([(name, value)] + list(
            conf["process"].items()))
        p = dict(conf["process"])
        expect(g, NEWCONTAINER, conf, False)
        expect(g, EXECCMD, {"container": "keep", "process": p}, False)
        # In between: what follows is not read, what precedes is.
        p = g.process("pwd", workdir="/etc")
        items = [(k, v) for k, v in p.items() if k != "workdir"]
        conf = {"id": "d%d" % i, "rootfs": "", "image": "", "process": dict(
            items + [(name, value), ("workdir", "/etc")])}
        check(new(name, conf, True)[1].startswith(b"/\n"), name)
        # EXECCMD does not mind what else there is.
        p = g.process("pwd", workdir="/etc")
        g.names[p["stdio"]] = ("keep", p.get("id"))
        p[name] = value
        g.ok(EXECCMD, {"container": "keep", "process": p, "unknown": 1,
                       "x": [{}]})
        check(g.status(p["stdio"]) == 0, name)
        check(g.tty.of(p["stdio"])[0] == b"/etc\n", name)
    if g.profile == H44:
        # Without an id it would crash: this one lost it.
        items = list(g.process("true").items())
        items.remove([x for x in items if x[0] == "id"][0])
        complains(g, "process without id", lambda: expect(
            g, EXECCMD, {"container": "keep", "process": dict(
                items + [("unknown", 1), ("id", "late")])}, False))


@each("members of STARTPOD, files and networks", *HYPER, own=True,
      modes=False)
def t_podmembers(*flags):
    g = Guest(*flags, pod=False)
    f = g.profile == H42
    iface = {"device": "eth0", "newDeviceName": "eth1", "mtu": 1500,
             "ipAddresses": [{"ipAddress": "10.0.0.2", "netMask": "24"}]}
    lists = {"internalNetworks": ["10.0.0.0/8"], "externalNetworks": []}
    for name, value, want in (
            ("unknown", 1, False), ("Hostname", "x", False),
            ("dns", {}, False), ("dns", None, False),
            ("iptableRules", "x", f), ("dnsSearch", [], not f),
            ("dnsOptions", [], not f),
            ("portmappingWhiteLists", lists, True),
            ("portmappingWhiteLists", dict(reversed(lists.items())), False),
            ("interfaces", [iface], True),
            ("interfaces", [dict(iface, macAddr="02:00:ca:fe:00:04")], f),
            ("interfaces", [dict(iface, unknown=1)], False),
            ("interfaces", [{"newDeviceName": "eth0"}], False),
            ("interfaces", [{"device": "eth0"}], not f),
            ("routes", [{"dest": "default", "gateway": "10.0.0.1",
                         "device": "eth0"}], True),
            ("routes", [{"dest": "default", "src": "10.0.0.2"}], False),
            ("routes", [{"gateway": "10.0.0.1"}], False),
            ("containers", [{"id": "c1", "unknown": 1}], False)):
        payload = {"hostname": "h", name: value}
        expect(g, STARTPOD, payload, want)
        check(g.lines() == [], "%r" % g.lines())
        if want:
            # Begin anew: a pod is started once.
            g.ctl.sendall(g.pack(DESTROYPOD))
            check(g.reply()[0] == ACK, "DESTROYPOD")
            finish(g, 0)
            g = Guest(*flags, pod=False)
    for bad in ({"ipAddress": "10.0.0.2"}, {"netMask": "24"},
                {"ipAddresses": [{"ipAddress": "10.0.0.2"}]}):
        complains(g, "address without its mask", lambda: expect(
            g, SETIF, dict({"device": "eth0"}, **bad), False))
    expect(g, SETROUTE, {"routes": []}, True)
    expect(g, SETROUTE, {"route": []}, False)
    for empty in ("{}", "null"):
        before = len(g.lines())
        expect(g, SETROUTE, empty, not f)
        check(g.lines()[before:] == (["no routes"] if f else []),
              "%r" % g.lines())
    g.ok(STARTPOD, '{"hostname":"h"}\n')
    keeper(g)
    name = {"container": "keep", "file": "/etc/passwd"}
    check(g.ok(READFILE, name) == open("/etc/passwd", "rb").read(), "file")
    expect(g, READFILE, dict(name, x=1), False)
    expect(g, READFILE, {"container": "keep"}, False)
    path = g.dir + "/w"
    for data in (b"DATA", b"", b"}{ \0 }"):
        g.ok(WRITEFILE, json.dumps({"container": "keep", "file": path})
             .encode() + data)
        check(open(path, "rb").read() == data, "written")
    # The first brace ends the object.
    expect(g, WRITEFILE, json.dumps({"container": "keep",
                                     "file": g.dir + "/a}b"}), False)
    g.end()


@each("text behind the JSON, words for values", modes=False)
def t_words(g):
    keeper(g)

    def execs(text, want, **more):
        p = g.process("pwd")
        p.update(more)
        g.names[p["stdio"]] = ("keep", p.get("id"))
        expect(g, EXECCMD, (json.dumps({"container": "keep", "process": p}) +
                            text).encode(), want)
        if want:
            check(g.status(p["stdio"]) == 0, "status")
            return b"".join(g.tty.of(p["stdio"]))
        return b""
    execs("", True)
    execs(" \r\n\t", True)
    execs(" junk", g.hyperstart)
    execs(" }", g.profile == H44)
    execs("]", g.profile == H44)
    for code in (KILL, REMOVE, WINSIZE):
        expect(g, code, '{"container":"x"} junk', False)
    if not g.hyperstart:
        return
    # Whatever is not false is true; numbers may be quoted.
    for value, want in ((False, b"/\n"), ("false", b"/\n"), (True, b"/\r\n"),
                        (0, b"/\r\n"), ("no", b"/\r\n"), (None, b"/\r\n")):
        check(execs("", True, terminal=value).startswith(want), repr(value))
    p = g.process("pwd")
    number = p["stdio"]
    g.names[number] = ("keep", p.get("id"))
    p["stdio"] = str(number)
    g.ok(EXECCMD, {"container": "keep", "process": p})
    check(g.status(number) == 0, "status")
    # Case matters.
    p = g.process("pwd")
    p["Workdir"] = "/etc"
    g.names[p["stdio"]] = ("keep", p.get("id"))
    g.ok(EXECCMD, {"container": "keep", "process": p, "Container": "x"})
    check(g.status(p["stdio"]) == 0, "status")
    expect(g, EXECCMD, {"Container": "keep", "process": g.process("pwd")},
           False)


@each("case of members, unknown ones, null", UNI, AGENT, modes=False)
def t_lenient(g):
    p = {k.upper(): v for k, v in g.process("true").items()}
    g.ok(NEWCONTAINER, {"ID": "c1", "Process": p, "unknown": {}})
    check(g.status(p["STDIO"]) == 0, "status")


if __name__ == "__main__":
    guest_test.main()

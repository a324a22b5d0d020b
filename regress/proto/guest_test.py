#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
#
# ccp-guest as a plain process: every part of the hyperstart protocol that
# concerns the agent, over its two sockets.  The numbers in the names are the
# chapters of the protocol's description.  Runs what it can without root.

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.environ.get("CCP_BUILD", "build")
GUEST = os.path.abspath(os.path.join(BUILD, "ccp-guest"))
ROOT = os.geteuid() == 0
CEILING = 60
NOBODY = 65534

VERSION, STARTPOD, DESTROYPOD, EXECCMD, READY, ACK, ERROR, WINSIZE, PING = \
    0, 1, 4, 6, 8, 9, 10, 11, 12
NEXT, WRITEFILE, READFILE, NEWCONTAINER, KILL, ONLINE, SETIF, SETROUTE = \
    14, 15, 16, 17, 18, 19, 20, 21
REMOVE, PS, EVENT, DELIF = 22, 23, 24, 25
PODFINISHED = 13

failures = 0


class Failed(Exception):
    pass


class Skip(Exception):
    pass


def check(cond, what):
    if not cond:
        raise Failed(what)


def wait_for(what, fn):
    end = time.monotonic() + CEILING
    while True:
        value = fn()
        if value:
            return value
        check(time.monotonic() < end, "timed out: " + what)
        time.sleep(0.005)


class Tty:
    """Reads the I/O channel in the background."""

    def __init__(self, sock):
        self.sock = sock
        self.cond = threading.Condition()
        self.frames = []        # (sequence, data), small ones
        self.data = {}          # sequence -> bytes
        self.hash = {}          # sequence -> [sha256, length], if asked for
        self.eof = False
        self.gate = threading.Event()
        self.gate.set()
        self.largest = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def exactly(self, n):
        buf = bytearray()
        while len(buf) < n:
            self.gate.wait()
            try:
                part = self.sock.recv(n - len(buf))
            except OSError:
                part = b""
            if not part:
                return None
            buf += part
        return bytes(buf)

    def run(self):
        while True:
            head = self.exactly(12)
            if head is None:
                break
            seq, length = struct.unpack(">QI", head)
            data = self.exactly(length - 12)
            if data is None:
                break
            with self.cond:
                self.largest = max(self.largest, len(data))
                if seq in self.hash and len(data) > 1:
                    self.hash[seq][0].update(data)
                    self.hash[seq][1] += len(data)
                else:
                    self.frames.append((seq, data))
                    self.data[seq] = self.data.get(seq, b"") + data
                self.cond.notify_all()
        with self.cond:
            self.eof = True
            self.cond.notify_all()

    def wait(self, what, fn):
        with self.cond:
            ok = self.cond.wait_for(lambda: fn() or self.eof, CEILING)
            check(ok and fn(), "timed out: " + what)

    def of(self, seq):
        return [d for s, d in self.frames if s == seq]

    def exited(self, seq):
        mine = self.of(seq)
        return b"" in mine and mine[-1] != b"" and len(mine[-1]) == 1

    def status(self, seq):
        self.wait("exit of %d" % seq, lambda: self.exited(seq))
        mine = self.of(seq)
        check(mine.count(b"") == 1, "one EOF frame")
        check(mine[-2] == b"", "status right after EOF")
        return mine[-1][0]

    def output(self, seq):
        """What came before EOF and status."""
        self.status(seq)
        return b"".join(self.of(seq)[:-2])

    def expect(self, seq, text):
        self.wait("%r on %d" % (text, seq),
                  lambda: text in self.data.get(seq, b""))

    def send(self, seq, data):
        self.sock.sendall(struct.pack(">QI", seq, len(data) + 12) + data)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(CEILING)
        self.sock.close()


class Guest:
    def __init__(self, *flags, uid=None, pod=True, connect=True):
        self.dir = tempfile.mkdtemp(prefix="ccp-guest-")
        os.chmod(self.dir, 0o777)
        self.ctl_path = os.path.join(self.dir, "ctl")
        self.tty_path = os.path.join(self.dir, "tty")
        self.log = open(os.path.join(self.dir, "log"), "w+")
        drop = (lambda: (os.setgroups([]), os.setgid(uid), os.setuid(uid))) \
            if uid is not None else None
        self.proc = subprocess.Popen(
            [GUEST, "-v", "-c", self.ctl_path, "-t", self.tty_path] +
            list(flags), stdin=subprocess.DEVNULL, stderr=self.log,
            preexec_fn=drop)
        self.profile = "universal"
        if "-profile" in flags:
            self.profile = flags[flags.index("-profile") + 1]
        self.hyperstart = self.profile.startswith("hyperstart")
        self.events = []        # of processes, from the agent
        self.finished = []      # of pods
        self.names = {}         # stdio number -> container, process
        self.seq = 3
        self.sum = 0
        self.ctl = self.tty = None
        if connect:
            self.connect()
            check(self.message() == (READY, b""), "READY first")
            if pod:
                self.ok(STARTPOD, {"hostname": "pod-a", "shareDir": "share"})

    def dial(self, path):
        def attempt():
            check(self.proc.poll() is None, "agent ended")
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(path)
            except OSError:
                s.close()
                return None
            return s
        return wait_for("connect", attempt)

    def connect(self):
        self.ctl = self.dial(self.ctl_path)
        self.ctl.settimeout(CEILING)
        self.tty = Tty(self.dial(self.tty_path))

    def exactly(self, n):
        buf = b""
        while len(buf) < n:
            try:
                part = self.ctl.recv(n - len(buf))
            except socket.timeout:
                raise Failed("timed out: control reply")
            check(part, "control channel closed")
            buf += part
        return buf

    def message(self):
        code, length = struct.unpack(">II", self.exactly(8))
        return code, self.exactly(length - 8)

    def reply(self):
        """The next message but NEXT, which are summed up, and reports."""
        while True:
            code, data = self.message()
            if code in (ACK, ERROR):
                return code, data
            self.report(code, data)

    def report(self, code, data):
        if code == NEXT:
            check(len(data) == 4, "length of NEXT")
            self.sum += struct.unpack(">I", data)[0]
        elif code == PS:
            check(self.profile == "hyperstart-4244", "an event")
            self.events.append(data)
        elif code == PODFINISHED:
            check(self.profile == "hyperstart-4242", "PODFINISHED")
            self.finished.append(struct.unpack(">%dI" % (len(data) // 4),
                                               data))
        else:
            raise Failed("message %d" % code)

    def reports(self, fn):
        """Read reports until fn() is true."""
        while not fn():
            self.report(*self.message())

    def status(self, seq):
        """Of a process, reported in the profile's own way."""
        if self.profile != "hyperstart-4244":
            return self.tty.status(seq)
        cid, pid = self.names[seq]
        self.tty.wait("end of %d" % seq, lambda: b"" in self.tty.of(seq))
        head = '{"container":"%s","process":"%s","event":"finished",' \
            '"status":' % (cid, pid)

        def mine():
            return [e for e in self.events
                    if e.decode().startswith(head)]
        self.reports(mine)
        check(len(mine()) == 1, "one event: %r" % self.events)
        event = mine()[0]
        self.events.remove(event)
        check(event.endswith(b"}"), repr(event))
        return int(event[len(head):-1])

    def lines(self):
        """What the agent played would not have borne."""
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return [x[len("ccp-guest: protocol: "):].strip() for x in f
                    if x.startswith("ccp-guest: protocol: ")]

    @staticmethod
    def pack(code, payload=b""):
        if isinstance(payload, (dict, list)) or payload is None:
            payload = json.dumps(payload).encode()
        elif isinstance(payload, str):
            payload = payload.encode()
        return struct.pack(">II", code, len(payload) + 8) + payload

    def cmd(self, code, payload=b""):
        message = self.pack(code, payload)
        self.sum = 0
        self.ctl.sendall(message)
        answer = self.reply()
        check(self.sum == (0 if self.profile == "agent" else len(message)),
              "sum of NEXT")
        return answer

    def ok(self, code, payload=b""):
        answer = self.cmd(code, payload)
        check(answer[0] == ACK, "%d gave %r" % (code, answer))
        return answer[1]

    def error(self, code, payload=b""):
        answer = self.cmd(code, payload)
        check(answer[0] == ERROR, "%d gave %r" % (code, answer))
        if self.hyperstart and (code != KILL or "4242" in self.profile):
            check(answer[1] == b"", "no text: %r" % (answer[1],))
        else:
            check(len(answer[1]) < 256, "short text: %r" % (answer[1],))
        check(self.hyperstart or answer[1] != b"", "no text")
        return answer[1].decode()

    def process(self, *args, **more):
        p = {"args": list(args), "terminal": False, "stdio": self.seq,
             "workdir": "/", "envs": [{"env": "PATH", "value": PATH}]}
        if not more.get("terminal"):
            p["stderr"] = self.seq + 1
        if self.profile == "hyperstart-4244":
            p["id"] = "e%d" % self.seq
        p.update(more)
        self.seq += 2
        return p

    def new(self, cid, *args, extra=None, **more):
        p = self.process(*args, **more)
        conf = {"id": cid, "rootfs": "rootfs", "image": cid, "process": p}
        conf.update(extra or {})
        self.names[p["stdio"]] = (cid, p.get("id"))
        self.ok(NEWCONTAINER, conf)
        return p["stdio"]

    def exec(self, cid, *args, **more):
        p = self.process(*args, **more)
        self.names[p["stdio"]] = (cid, p.get("id"))
        self.ok(EXECCMD, {"container": cid, "process": p})
        return p["stdio"]

    def sh(self, cid, script, **more):
        return self.exec(cid, "/bin/sh", "-c", script, **more)

    def kill(self, cid, signo=signal.SIGKILL, **more):
        self.ok(KILL, dict(container=cid, signal=int(signo), **more))

    def end(self):
        if self.tty is not None:
            self.tty.close()
        if self.ctl is not None:
            self.ctl.close()
        self.proc.terminate()
        status = self.proc.wait(CEILING)
        self.log.seek(0)
        text = self.log.read()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        check("ERROR: " not in text and "runtime error" not in text,
              "sanitizer: " + text[-2000:])
        check(status == 0, "agent's exit status %d" % status)


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


# One agent per test unless the test makes its own.
tests = []


def test(name, *flags, own=False, modes=True, root=False):
    def add(fn):
        tests.append((name, flags, own, modes, root, fn))
        return fn
    return add


@test("hyperstart 1.1: READY once; a new host finds the agent by PING",
      own=True, modes=False)
def t_ready():
    g = Guest(connect=False)
    try:
        g.connect()
        check(g.message() == (READY, b""), "READY")
        check(g.cmd(PING) == (ACK, b""), "PING")
        g.ctl.close()
        g.ctl = g.dial(g.ctl_path)
        g.ctl.settimeout(CEILING)
        check(g.cmd(PING) == (ACK, b""), "PING, no second READY")
    finally:
        g.end()


@test("hyperstart 1.1: output waits for the next host", modes=False)
def t_reconnect(g):
    n = 3000000
    seq = g.new("c1", "/bin/sh", "-c",
                "read x; yes | head -c %d; exit 4" % n)
    g.tty.close()
    first = g.tty
    g.tty = Tty(g.dial(g.tty_path))
    g.tty.hash[seq] = [hashlib.sha256(), 0]
    g.tty.send(seq, b"go\n")
    check(g.tty.status(seq) == 4, "status")
    check(g.tty.hash[seq][1] == n, "all of it: %d" % g.tty.hash[seq][1])
    check(first.of(seq) == [], "nothing before")
    # Cut within a frame: the next host gets it from its start.
    seq = g.new("c2", "/bin/sh", "-c", "read x; yes | head -c 2000000")
    g.tty.gate.clear()
    g.tty.send(seq, b"go\n")
    time.sleep(0.2)
    g.tty.sock.shutdown(socket.SHUT_RDWR)
    g.tty.gate.set()
    g.tty.close()
    g.tty = Tty(g.dial(g.tty_path))
    g.tty.hash[seq] = [hashlib.sha256(), 0]
    check(g.tty.status(seq) == 0, "framing survives")
    # A reply is not for another host.
    g.ctl.sendall(g.pack(PING) * 100)
    g.ctl.close()
    g.ctl = g.dial(g.ctl_path)
    g.ctl.settimeout(CEILING)
    check(g.ok(VERSION) == b"\0\0\x10\x92", "the new host's own reply")


@test("hyperstart 2: control messages cut and joined in any way",
      modes=False)
def t_fragments(g):
    message = g.pack(PING) + g.pack(VERSION, "null") + g.pack(PING, "x" * 50)
    g.sum = 0
    for byte in message:
        g.ctl.sendall(bytes([byte]))
    answers = [g.reply() for _ in range(3)]
    check(answers == [(ACK, b""), (ACK, b"\0\0\x10\x92"), (ACK, b"")],
          "byte at a time: %r" % answers)
    check(g.sum == len(message), "sum of NEXT")
    g.sum = 0
    g.ctl.sendall(message * 200)
    for _ in range(600):
        check(g.reply()[0] == ACK, "joined")
    check(g.sum == 200 * len(message), "sum of NEXT, joined")
    rnd = random.Random(5)
    rest = message * 30
    while rest:
        n = rnd.randint(1, 40)
        g.ctl.sendall(rest[:n])
        rest = rest[n:]
    for _ in range(90):
        check(g.reply()[0] == ACK, "cut anywhere")


@test("hyperstart 2: 190 kB command; 1 MiB is too long and is skipped",
      modes=False)
def t_long(g):
    seq = g.new("c1", "/bin/sh", "-c", "echo ${#BIG}",
                envs=[{"env": "BIG", "value": "x" * 100000},
                      {"env": "B2", "value": "y" * 90000}])
    check(g.tty.output(seq) == b"100000\n", "environment")
    text = g.error(EXECCMD, "x" * (1024 * 1024))
    check("long" in text, text)
    g.ok(PING)


@test("hyperstart 3: stream frames cut, joined, large", modes=False)
def t_frames(g):
    seq = g.new("c1", "cat")
    data = os.urandom(3000)
    for byte in struct.pack(">QI", seq, 12 + 300) + data[:300]:
        g.tty.sock.sendall(bytes([byte]))
    g.tty.sock.sendall(b"".join(
        struct.pack(">QI", seq, 13) + data[i:i + 1]
        for i in range(300, 3000)))
    big = os.urandom(10228)
    g.tty.send(seq, big)
    huge = os.urandom(900000)
    g.tty.send(seq, huge)
    g.tty.send(seq, b"")
    check(g.tty.output(seq) == data + big + huge, "bytes in order")
    check(g.tty.largest <= 10228, "payload of output frames")


@test("hyperstart 4: ids without a meaning are errors", modes=False)
def t_ids(g):
    for code in (2, 3, 5, 7, ACK, ERROR, 13, NEXT, 26, 99, 0xffffffff):
        g.error(code)
        g.error(code, "{}")
    check(g.cmd(READY) == (ACK, b""), "READY from the host")


@test("hyperstart 5: NEXT values and order of replies", modes=False)
def t_next(g):
    g.ctl.sendall(g.pack(VERSION, "null"))
    check([g.message() for _ in range(2)] == [
        (NEXT, struct.pack(">I", 12)), (ACK, b"\0\0\x10\x92")],
        "one NEXT for what came together")
    g.ctl.sendall(g.pack(PING)[:3])
    check(g.message() == (NEXT, struct.pack(">I", 3)), "cut 3")
    g.ctl.sendall(g.pack(PING)[3:])
    check(g.message() == (NEXT, struct.pack(">I", 5)), "cut 5")
    check(g.message() == (ACK, b""), "reply")
    # A host that sends 512 bytes and waits for their NEXT.
    conf = {"id": "c1", "process": g.process(
        "true", envs=[{"env": "X", "value": "v" * 1500}])}
    stream = g.pack(NEWCONTAINER, conf) + g.pack(PING) + g.pack(VERSION)
    codes = []
    while stream:
        part, stream = stream[:512], stream[512:]
        g.ctl.sendall(part)
        taken = 0
        while taken < len(part):
            code, data = g.message()
            if code == NEXT:
                taken += struct.unpack(">I", data)[0]
            else:
                codes.append(code)
        check(taken == len(part), "no overshoot")
    while len(codes) < 3:
        codes.append(g.reply()[0])
    check(codes == [ACK] * 3, "stop and wait")


@test("hyperstart 5: replies in order, slow commands included")
def t_order(g):
    c = g.pack(NEWCONTAINER, {"id": "c1", "process": g.process("cat")})
    bad = g.pack(NEWCONTAINER, {"id": "c2",
                                "process": g.process("/nonexistent")})
    g.ctl.sendall(c + g.pack(VERSION) + bad + g.pack(PING) + g.pack(99))
    answers = [g.reply() for _ in range(5)]
    check([a[0] for a in answers] == [ACK, ACK, ERROR, ACK, ERROR] and
          answers[1][1] == b"\0\0\x10\x92", "%r" % answers)


@test("hyperstart 6: version 4242 whatever the payload", modes=False)
def t_version(g):
    for payload in (b"", "null", "{}", '""', "junk"):
        check(g.ok(VERSION, payload) == struct.pack(">I", 4242), "version")


@test("hyperstart 7: unknown sequences are not answered")
def t_unknown(g):
    g.tty.send(77, b"early")
    g.tty.send(77, b"")
    g.tty.send(0, b"zero")
    g.tty.send(0, b"")
    seq = g.new("c1", "cat")
    g.tty.send(seq + 1, b"to stderr")
    g.tty.send(seq + 1, b"")
    g.tty.send(seq, b"x")
    g.tty.send(seq, b"")
    check(g.tty.status(seq) == 0, "status")
    g.tty.send(seq, b"late")
    g.tty.send(seq, b"")
    # What comes later proves that nothing came before.
    seq2 = g.new("c2", "cat")
    g.tty.send(seq2, b"")
    check(g.tty.status(seq2) == 0, "status")
    check([s for s, _ in g.tty.frames] == [seq] * 3 + [seq2] * 2,
          "frames: %r" % g.tty.frames)


@test("hyperstart 7: stdout and stderr apart, EOF on stdio only")
def t_streams(g):
    seq = g.new("c1", "/bin/sh", "-c",
                "echo out; echo err >&2; exec >&-; sleep 0.2; "
                "echo err2 >&2; exit 5")
    check(g.tty.status(seq) == 5, "status")
    check(g.tty.output(seq) == b"out\n", "stdout")
    check(b"".join(g.tty.of(seq + 1)) == b"err\nerr2\n", "stderr")
    check(b"" not in g.tty.of(seq + 1), "no EOF on stderr")
    check(g.tty.frames[-2:] == [(seq, b""), (seq, b"\x05")], "last")


@test("hyperstart 7: terminal, ONLCR, EOF ignored, echo, ^D")
def t_terminal(g):
    seq = g.new("c1", "/bin/sh", "-c",
                "test -t 0 && test -t 1 && test -t 2 && echo tty:$TERM; "
                "stty size; read a; echo got $a; cat; exit 9",
                terminal=True, rows=33, columns=101)
    g.tty.expect(seq, b"33 101\r\n")
    g.tty.send(seq, b"")
    g.tty.send(seq, b"abc\n")
    g.tty.expect(seq, b"got abc\r\n")
    g.tty.send(seq, b"")
    g.tty.send(seq, b"\x04")
    out = g.tty.output(seq)
    check(g.tty.status(seq) == 9, "status")
    check(out == b"tty:xterm\r\n33 101\r\nabc\r\ngot abc\r\n", repr(out))


@test("hyperstart 7: terminal is the controlling one, ^C interrupts")
def t_ctty(g):
    seq = g.new("c1", "/bin/sh", "-c",
                "trap 'echo INT; exit 3' INT; echo up >/dev/tty; "
                "while :; do sleep 0.05; done", terminal=True)
    g.tty.expect(seq, b"up\r\n")
    g.tty.send(seq, b"\x03")
    check(g.tty.status(seq) == 3, "status")
    seq = g.new("c2", "/bin/sh", "-c", "echo o; echo e >&2",
                terminal=True, stderr=900)
    check(g.tty.output(seq) == b"o\r\n", "terminal")
    check(b"".join(g.tty.of(900)) == b"e\n", "stderr of its own")


@test("hyperstart 8: exit codes and signals")
def t_exit(g):
    g.new("c1", "sleep", "1000")
    for status in (0, 1, 7, 42, 127, 128, 255):
        seq = g.sh("c1", "exit %d" % status)
        check(g.tty.status(seq) == status, "exit %d" % status)
        check(g.tty.output(seq) == b"", "no output")
    for name, number in (("TERM", 15), ("KILL", 9), ("HUP", 1),
                         ("USR1", 10), ("SEGV", 11)):
        seq = g.sh("c1", "ulimit -c 0; kill -%s $$; sleep 100" % name)
        check(g.tty.status(seq) == 128 + number, name)


@test("hyperstart 8: background holder of stdout delays the report")
def t_background(g):
    seq = g.new("c1", "/bin/sh", "-c", "read x; exit 1")
    b = g.sh("c1", "(sleep 0.5; echo late) & echo now; exit 6")
    check(g.tty.output(b) == b"now\nlate\n", "output after exit")
    check(g.tty.status(b) == 6, "status")
    g.tty.send(seq, b"\n")
    check(g.tty.status(seq) == 1, "first process")


@test("hyperstart 8: start failures are errors without frames")
def t_failures(g):
    g.new("c1", "sleep", "1000")
    bad = [dict(args=["/nonexistent"]), dict(args=["nonexistent"]),
           dict(args=["/etc/passwd"]), dict(args=["/"]), dict(args=[]),
           dict(args=[""]), dict(args=[1]), dict(args=None),
           dict(args="sh"), dict(workdir="/nonexistent"),
           dict(stdio=0), dict(stdio="x"), dict(stdio=-3), dict(stderr=0),
           dict(stderr=None), dict(envs=[{"value": "x"}]),
           dict(rlimits=[{"type": "RLIMIT_NONE", "hard": 1, "soft": 1}])]
    if ROOT and not UNPRIVILEGED:
        bad += [dict(user="nosuchuser"), dict(group="nosuchgroup"),
                dict(additionalGroups=["nosuchgroup"])]
    for i, change in enumerate(bad):
        for terminal in (False, True):
            p = g.process("true", terminal=terminal)
            p.update(change)
            if terminal and set(change) == {"stderr"}:
                continue
            g.error(EXECCMD, {"container": "c1", "process": p})
            g.error(NEWCONTAINER, {"id": "n%d" % i, "process": p})
    for p in (None, "x", []):
        g.error(EXECCMD, {"container": "c1", "process": p})
    g.error(NEWCONTAINER, {"id": "c2"})
    seq = g.new("n1", "true")
    check(g.tty.status(seq) == 0, "the id is free after a failure")
    check([s for s, _ in g.tty.frames] == [seq, seq], "no frames")


@test("hyperstart 8: environment, working directory, PATH search")
def t_env(g):
    seq = g.new("c1", "env", terminal=False,
                envs=[{"env": "A", "value": "1 2"}, {"env": "E"},
                      {"env": "HOME", "value": "/h"},
                      {"env": "PATH", "value": PATH}])
    lines = g.tty.output(seq).decode().splitlines()
    for line in ("A=1 2", "E=", "HOME=/h", "HOSTNAME=pod-a",
                 "PATH=" + PATH):
        check(line in lines, "%s in %r" % (line, lines))
    check(not [x for x in lines if x.startswith(("TERM=", "CCP"))], "clean")
    seq = g.new("c2", "pwd", workdir="/etc")
    check(g.tty.output(seq) == b"/etc\n", "workdir")
    seq = g.new("c3", "pwd", workdir="")
    check(g.tty.output(seq) == b"/\n", "default workdir")
    seq = g.new("c4", "/bin/sh", "-c", "ls -l /proc/self/fd | wc -l")
    check(int(g.tty.output(seq)) <= 6, "no descriptors leak")
    seq = g.new("c5", "/bin/sh", "-c", "grep -E 'Sig(Blk|Ign)' "
                "/proc/self/status")
    # 32 and 33 are the C library's own; it does not let them be changed.
    sets = [int(x, 16) & ~(3 << 31) for x in g.tty.output(seq).split()[1::2]]
    check(sets == [0, 0], "signals")


@test("hyperstart 8: session and process group leader")
def t_session(g):
    seq = g.new("c1", "/bin/sh", "-c",
                "set -- $(cat /proc/$$/stat); echo $1 $5 $6")
    pid, pgrp, sid = g.tty.output(seq).split()
    check(pid == pgrp == sid, "leader")


@test("hyperstart 8: the rest ends with the first process")
def t_rest(g):
    seq = g.new("c1", "/bin/sh", "-c", "sleep 1000 & read x; exit 2")
    e1 = g.exec("c1", "sleep", "1000")
    e2 = g.sh("c1", "trap '' TERM HUP; sleep 1000 & wait")
    pids = json.loads(g.ok(PS, {"container": "c1", "format": "json"}))
    wait_for("processes", lambda: len(json.loads(
        g.ok(PS, {"container": "c1", "format": "json"}))) >= 5)
    pids = json.loads(g.ok(PS, {"container": "c1", "format": "json"}))
    g.tty.send(seq, b"\n")
    check(g.tty.status(seq) == 2, "first")
    check(g.tty.status(e1) == 137, "exec 1")
    check(g.tty.status(e2) == 137, "exec 2")
    wait_for("end of %r" % pids, lambda: not [p for p in pids if alive(p)])


@test("hyperstart 9.1: STARTPOD once, bad ones can be repeated", own=True)
def t_startpod(*flags, **kw):
    g = Guest(*flags, pod=False, **kw)
    try:
        g.error(NEWCONTAINER, {"id": "c1", "process": g.process("true")})
        g.error(EXECCMD, {"container": "c1", "process": g.process("true")})
        g.error(STARTPOD, "")
        g.error(STARTPOD, "{")
        g.error(STARTPOD, "[]")
        g.error(STARTPOD, {"hostname": "h" * 65})
        a, b = g.process("echo", "a"), g.process("echo", "b")
        bad = g.process("/nonexistent")
        g.error(STARTPOD, {"hostname": "x", "containers": [
            {"id": "c1", "process": g.process("sleep", "1000")},
            {"id": "c2", "process": bad}]})
        g.error(KILL, {"container": "c1", "signal": 0})
        g.ok(STARTPOD, {
            "hostname": "h1", "shareDir": "hyperShared", "dns": ["1.1.1.1"],
            "iptableRules": "x", "restartPolicy": "never", "unknown": [1],
            "interfaces": [{"device": "eth9", "ipAddresses": []}],
            "routes": [{"dest": "default", "gateway": "10.0.0.1"}],
            "containers": [{"id": "c1", "process": a},
                           {"id": "c2", "process": b}]})
        check(g.tty.output(a["stdio"]) == b"a\n", "first container")
        check(g.tty.output(b["stdio"]) == b"b\n", "second container")
        g.error(STARTPOD, {"hostname": "h1"})
    finally:
        g.end()


@test("hyperstart 9.3: container ids", modes=False)
def t_ids_containers(g):
    seq = g.new("c1", "cat")
    for cid in ("c1", "", None, 7, "x" * 300):
        g.error(NEWCONTAINER, {"id": cid, "process": g.process("true")})
    g.error(NEWCONTAINER, {"id": "c2", "process": g.process(
        "true", stdio=seq)})
    g.error(NEWCONTAINER, {"id": "c2", "process": g.process(
        "true", stderr=seq + 1)})
    g.tty.send(seq, b"still\n")
    g.tty.expect(seq, b"still\n")
    odd = "a/../b ; rm -rf \u00e9"
    g.new(odd, "sleep", "1000")
    g.kill(odd)


@test("hyperstart 9.4: EXECCMD in unknown and ended containers")
def t_exec(g):
    p = g.process("true")
    g.error(EXECCMD, {"container": "nope", "process": p})
    g.error(EXECCMD, {"process": p})
    g.error(EXECCMD, "null")
    seq = g.new("c1", "true")
    check(g.tty.status(seq) == 0, "first")
    g.error(EXECCMD, {"container": "c1", "process": p})
    g.new("c2", "sleep", "1000")
    g.exec("c2", "sleep", "1000", id="e1")
    g.error(EXECCMD, {"container": "c2", "process": g.process(
        "true", id="e1")})
    seq = g.sh("c2", "echo $((6 * 7))")
    check(g.tty.output(seq) == b"42\n", "output")


@test("hyperstart 9.5: KILLCONTAINER")
def t_kill(g):
    seq = g.new("c1", "sleep", "1000")
    text = g.error(KILL, {"container": "nope", "signal": 9})
    check("nope" in text, text)
    g.error(KILL, {"signal": 9})
    g.error(KILL, {"container": "c1", "signal": 65})
    g.error(KILL, {"container": "c1", "signal": 999})
    g.error(KILL, {"container": "c1", "signal": -1})
    g.ok(KILL, {"container": "c1"})
    g.ok(KILL, {"container": "c1", "signal": 0})
    g.kill("c1", signal.SIGTERM)
    check(g.tty.status(seq) == 143, "TERM with its default action")
    g.kill("c1")
    g.ok(REMOVE, {"container": "c1"})
    g.error(KILL, {"container": "c1", "signal": 9})


@test("hyperstart 9.5: allProcesses")
def t_killall(g):
    first = g.new("c1", "/bin/sh", "-c",
                  "trap 'echo first; read x; exit 3' USR1; echo up; "
                  "while :; do sleep 0.05; done")
    other = g.sh("c1", "trap 'echo other; exit 4' USR1; echo up; "
                 "while :; do sleep 0.05; done")
    g.tty.expect(first, b"up")
    g.tty.expect(other, b"up")
    g.kill("c1", signal.SIGUSR1, allProcesses=True)
    check(g.tty.status(other) == 4, "other")
    g.tty.expect(first, b"first")
    g.tty.send(first, b"\n")
    check(g.tty.status(first) == 3, "first")


@test("hyperstart 9.6: SIGNALPROCESS if a process is named, else an error")
def t_signal(g):
    g.error(EVENT)
    g.error(EVENT, {})
    g.error(EVENT, {"container": "c1", "signal": 9})
    g.new("c1", "sleep", "1000", id="init")
    seq = g.exec("c1", "/bin/sh", "-c", "sleep 1000 & wait", id="e1")
    g.error(EVENT, {"container": "c1", "process": "e2", "signal": 9})
    g.error(EVENT, {"container": "c2", "process": "e1", "signal": 9})
    g.ok(EVENT, {"container": "c1", "process": "e1", "signal": 9})
    check(g.tty.status(seq) == 137, "its group")


@test("hyperstart 9.7: REMOVECONTAINER")
def t_remove(g):
    seq = g.new("c1", "cat")
    g.error(REMOVE, {"container": "c1"})
    g.error(REMOVE, {"container": "c2"})
    g.error(REMOVE, "null")
    g.tty.send(seq, b"")
    check(g.tty.status(seq) == 0, "status")
    g.ok(REMOVE, {"container": "c1"})
    g.error(REMOVE, {"container": "c1"})
    seq = g.new("c1", "true")
    check(g.tty.status(seq) == 0, "the id is free again")


@test("hyperstart 9.8: WINSIZE by sequence and by name")
def t_winsize(g):
    g.ok(WINSIZE, {"seq": 99, "row": 1, "column": 1})
    plain = g.new("c1", "cat", id="init")
    g.error(WINSIZE, {"seq": plain, "row": 1, "column": 1})
    tty = g.sh("c1", "trap 'stty size' WINCH; stty size; "
               "while :; do read x && break; done; echo done",
               terminal=True, id="shell")
    g.tty.expect(tty, b"0 0\r\n")
    g.ok(WINSIZE, {"seq": tty, "row": 24, "column": 80})
    g.tty.expect(tty, b"24 80\r\n")
    g.ok(WINSIZE, {"container": "c1", "process": "shell",
                   "row": 40, "column": 120})
    g.tty.expect(tty, b"40 120\r\n")
    g.ok(WINSIZE, {"container": "c1", "process": "x", "row": 1, "column": 1})
    g.ok(WINSIZE, {"container": "cx", "process": "x", "row": 1, "column": 1})
    g.error(WINSIZE, {"container": "c1", "process": "init", "row": 1,
                      "column": 1})
    for bad in ({}, {"row": 1, "column": 1}, {"seq": "3"},
                {"seq": tty, "row": 65536, "column": 1},
                {"seq": tty, "row": -1, "column": 1}, [], "x"):
        g.error(WINSIZE, bad)
    g.tty.send(tty, b"\n")
    check(g.tty.status(tty) == 0, "status")
    g.ok(WINSIZE, {"seq": tty, "row": 1, "column": 1})


@test("hyperstart 9.9: READFILE and WRITEFILE")
def t_files(g):
    base = os.path.join(g.dir, "files")
    os.mkdir(base)
    os.chmod(base, 0o777)
    path = base + "/f"
    seq = g.new("c1", "cat")

    def write(name, data, container="c1"):
        return g.cmd(WRITEFILE, json.dumps(
            {"container": container, "file": name}).encode() + data)
    for data in (b"DATA", b"", b"}{\0\xff binary } {", os.urandom(300000)):
        check(write(path, data) == (ACK, b""), "write")
        check(g.ok(READFILE, {"container": "c1", "file": path}) == data,
              "read back")
    check(write(base + "/with}brace", b"x") == (ACK, b""), "brace in name")
    check(b"Linux version" in g.ok(READFILE, {
        "container": "c1", "file": "/proc/version"}), "a file without size")
    os.mkfifo(base + "/fifo")
    for name in ("/nonexistent/x", base, base + "/fifo", "/dev/null", ""):
        g.error(READFILE, {"container": "c1", "file": name})
        check(write(name, b"x")[0] == ERROR, "write " + name)
    check(write(path, b"x", "c2")[0] == ERROR, "unknown container")
    g.error(READFILE, {"container": "c1"})
    g.error(READFILE, {"container": "c2", "file": path})
    g.error(WRITEFILE, "no json")
    g.error(WRITEFILE, "")
    with open(base + "/big", "wb") as f:
        f.truncate(2 * 1024 * 1024)
    g.error(READFILE, {"container": "c1", "file": base + "/big"})
    g.tty.send(seq, b"")
    g.tty.status(seq)
    g.error(READFILE, {"container": "c1", "file": path})


@test("hyperstart 9.10-9.13: machine and network are not ours", modes=False)
def t_noop(g):
    iface = {"device": "lo", "ipAddresses": [
        {"ipAddress": "203.0.113.77", "netMask": "24"}]}
    for payload in (b"", "null", "{}"):
        g.ok(ONLINE, payload)
    g.ok(SETIF, iface)
    g.ok(SETROUTE, {"routes": [{"dest": "203.0.113.0/24", "device": "lo"}]})
    g.ok(DELIF, {"device": "lo"})
    g.error(SETIF, "{")
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.bind(("203.0.113.77", 0))
        raise Failed("the address was set")
    except OSError:
        pass
    finally:
        s.close()


@test("hyperstart 9.14: PSCONTAINER")
def t_ps(g):
    first = g.new("c1", "sleep", "1000")
    g.new("c2", "sleep", "2000")
    g.sh("c1", "sleep 3000 & wait")

    def pids():
        return json.loads(g.ok(PS, {"container": "c1", "format": "json",
                                    "psargs": ["-o", "pid"]}))

    def names():
        found = []
        for pid in pids():
            try:
                with open("/proc/%d/cmdline" % pid) as f:
                    found.append(f.read().split("\0")[0])
            except OSError:
                pass
        return sorted(found)
    wait_for("three", lambda: names() == ["/bin/sh", "sleep", "sleep"])
    table = g.ok(PS, {"container": "c1", "format": "table",
                      "psargs": None}).decode().splitlines()
    check("PID" in table[0].split(), table[0])
    check(len(table) == 4 and sum("sleep" in x for x in table) == 3,
          "table: %r" % table)
    if shutil.which("ps"):
        out = g.ok(PS, {"container": "c1", "format": "table",
                        "psargs": ["-e", "-o", "pid,comm"]}).decode()
        check(len(out.splitlines()) == 4, out)
        g.error(PS, {"container": "c1", "format": "table",
                     "psargs": ["-e", "-o", "comm"]})
    g.error(PS, {"container": "c1", "format": "xml"})
    g.error(PS, {"container": "c1"})
    g.error(PS, {"container": "c9", "format": "json"})
    g.kill("c1")
    check(g.tty.status(first) == 137, "killed")
    g.error(PS, {"container": "c1", "format": "json"})


@test("hyperstart 9.15: PING with any payload", modes=False)
def t_ping(g):
    for payload in (b"", "null", "{}", '""', b"\xff\0"):
        check(g.cmd(PING, payload) == (ACK, b""), "ping")


@test("hyperstart 10: unknown members, big integers, bad JSON",
      modes=False)
def t_json(g):
    p = g.process("/bin/sh", "-c", "echo $A", envs=[
        {"env": "A", "value": "\u00e9 \U0001f600 \"\\"}], unknown=[1, {}])
    p["rlimits"] = [{"type": "RLIMIT_CORE", "hard": 18446744073709551615,
                     "soft": 0}]
    g.ok(NEWCONTAINER, {
        "first": 1, "id": "c1", "rootfs": "", "image": "", "process": p,
        "addr": "0:1", "scsiAddr": "0:1", "readOnly": False,
        "systemMountsInfo": {"bindMountDev": False, "devShmSize": 0},
        "constraints": {"CPUQuota": 1, "CPUPeriod": 0, "CPUShares": 0},
        "sysctl": {"vm.overcommit_memory": "1"}, "volumes": [], "ports": [],
        "restartPolicy": "never", "initialize": False, "fsmap": [
            {"source": "x", "path": "/data", "absolutePath": False,
             "scsiAddr": "", "dockerVolume": False, "readOnly": False}]})
    check(g.tty.output(p["stdio"]).decode() ==
          "\u00e9 \U0001f600 \"\\\n", "text")
    big = 9007199254740993
    seq = g.new("c2", "true", stdio=big, stderr=big + 1)
    check(g.tty.status(seq) == 0, "a number that is no double")
    for text in ("", "{", "}", "[", '{"id":}', "nonsense", '{"id":"x"} x',
                 b"\xff\xfe", '{"a":"\\ud800"}', "[" * 100000,
                 '{"id":"a\\u0000b"}', '"', "1e999"):
        g.error(NEWCONTAINER, text)
        g.error(KILL, text)
    for text in ("null", "[]", "1", '"x"', "{}"):
        for code in (NEWCONTAINER, EXECCMD, KILL, REMOVE, WINSIZE, PS,
                     READFILE, WRITEFILE):
            g.error(code, text)


@test("hyperstart 11.1: limits")
def t_rlimits(g):
    inf = 18446744073709551615
    seq = g.new("c1", "/bin/sh", "-c",
                "ulimit -c; ulimit -H -c; ulimit -n; ulimit -H -n",
                rlimits=[{"type": "RLIMIT_CORE", "hard": 4096, "soft": 512},
                         {"type": "RLIMIT_NOFILE", "hard": 128, "soft": 64}])
    check(g.tty.output(seq).split()[2:] == [b"64", b"128"], "NOFILE")
    seq = g.new("c2", "/bin/sh", "-c", "ulimit -v; grep 'file size' "
                "/proc/self/limits", rlimits=[
                    {"type": "RLIMIT_AS", "hard": inf, "soft": inf},
                    {"type": "RLIMIT_FSIZE", "hard": inf,
                     "soft": 9223372036854775806}])
    check(g.tty.output(seq).split()[0] == b"unlimited", "infinity")


@test("hyperstart 11.1: user, groups, privileges", modes=False, root=True)
def t_user(g):
    show = ["/bin/sh", "-c", "id -u; id -g; id -G; echo $HOME; "
            "grep NoNewPrivs /proc/self/status"]
    seq = g.new("c1", *show, user="nobody", group="daemon",
                additionalGroups=["sys", "4242"], noNewPrivileges=True)
    out = g.tty.output(seq).decode().splitlines()
    check(out[0] == "65534" and out[1] == "1", "nobody: %r" % out)
    check(sorted(out[2].split()) == ["1", "3", "4242"], "groups: %r" % out)
    check(out[4].split()[1] == "1", "no new privileges")
    seq = g.new("c2", *show, user="54321")
    out = g.tty.output(seq).decode().splitlines()
    check(out[:3] == ["54321", "0", "0"], "numeric: %r" % out)
    check(out[4].split()[1] == "0", "new privileges")
    seq = g.new("c3", *show, user="0", group="0")
    check(g.tty.output(seq).decode().splitlines()[:4] ==
          ["0", "0", "0", "/root"], "root")
    seq = g.new("c4", "/bin/sh", "-c", "echo x >/dev/stdout; tty; "
                "echo y >$(tty)", user="nobody", terminal=True)
    check(g.tty.output(seq).startswith(b"x\r\n/dev/pts/"), "terminal owned")


@test("hyperstart 11.1: capabilities", modes=False, root=True)
def t_caps(g):
    caps = ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]
    lists = dict.fromkeys(("bounding", "effective", "inheritable",
                           "permitted", "ambient"), caps)
    show = ["/bin/sh", "-c", "grep Cap /proc/self/status"]

    def sets(seq):
        return dict(line.split() for line in
                    g.tty.output(seq).decode().splitlines())
    want = "%016x" % (1 << 0 | 1 << 10)
    got = sets(g.new("c1", *show, capabilities=lists))
    check(got["CapEff:"] == got["CapBnd:"] == want, "root: %r" % got)
    got = sets(g.new("c2", *show, capabilities=lists, user="nobody"))
    check(got["CapEff:"] == got["CapAmb:"] == want, "ambient: %r" % got)
    got = sets(g.new("c3", *show, user="nobody"))
    check(got["CapEff:"] == "0" * 16, "none: %r" % got)
    got = sets(g.new("c4", *show, capabilities=dict.fromkeys(lists)))
    check(got["CapEff:"] != "0" * 16, "null lists: %r" % got)


@test("hyperstart 12: namespaces of a container", modes=False, root=True)
def t_namespaces(g):
    seq = g.new("c1", "/bin/sh", "-c",
                "hostname; echo $$; readlink /proc/self/ns/pid; "
                "readlink /proc/self/ns/mnt; readlink /proc/self/ns/ipc; "
                "readlink /proc/self/ns/net; "
                "mount -t tmpfs none /mnt && touch /mnt/mark; echo made; cat")
    g.tty.wait("lines", lambda: g.tty.data.get(seq, b"").count(b"\n") >= 7)
    lines = g.tty.data[seq].decode().splitlines()
    check(lines[0] == "pod-a", "hostname: %r" % lines)
    check(int(lines[1]) < 10, "pids of its own")
    for name, line in zip(("pid", "mnt", "ipc"), lines[2:5]):
        check(os.readlink("/proc/self/ns/" + name) != line, name)
    check(os.readlink("/proc/self/ns/net") == lines[5], "net is shared")
    check(not os.path.exists("/mnt/mark"), "mounts stay inside")
    seq2 = g.sh("c1", "readlink /proc/self/ns/pid /proc/self/ns/mnt; "
                "hostname; ls /mnt; ls /proc | grep -c '^[0-9]'")
    out = g.tty.output(seq2).decode().splitlines()
    check(out[:2] == lines[2:4] and out[2:4] == ["pod-a", "mark"],
          "exec joins: %r" % out)
    check(int(out[4]) < 12, "its own /proc")
    seq3 = g.new("c2", "ls", "/mnt")
    check(b"mark" not in g.tty.output(seq3), "containers apart")
    check(os.uname().nodename != "pod-a", "our name is ours")


def image(where):
    """A small root: sh, ls, cat and what they load."""
    for name in ("bin", "etc", "lib", "lib64", "usr"):
        os.makedirs(os.path.join(where, name), exist_ok=True)
    for tool in ("sh", "cat", "ls", "tty", "touch"):
        path = shutil.which(tool)
        out = subprocess.run(["ldd", path], capture_output=True, text=True)
        shutil.copy(path, os.path.join(where, "bin", tool))
        for word in out.stdout.split():
            if word.startswith("/"):
                dest = where + word
                os.makedirs(os.path.dirname(dest), exist_ok=True)
                shutil.copy(word, dest)
    with open(where + "/etc/passwd", "w") as f:
        f.write("root:x:0:0::/rooty:/bin/sh\ninner:x:777:778::/in:/bin/sh\n")
    with open(where + "/etc/group", "w") as f:
        f.write("root:x:0:\ninner:x:778:\n")


@test("hyperstart 12: image and mounts below the share", own=True,
      modes=False, root=True)
def t_rootfs():
    share = tempfile.mkdtemp(prefix="ccp-share-")
    os.chmod(share, 0o755)
    image(share + "/web1/rootfs")
    os.mkdir(share + "/web1-data")
    with open(share + "/web1-data/f", "w") as f:
        f.write("shared\n")
    os.symlink("/etc", share + "/web1/rootfs/link")
    with open(share + "/web1-hosts", "w") as f:
        f.write("127.0.0.1 x\n")
    g = Guest("-s", share)
    try:
        seq = g.new("web1", "/bin/sh", "-c",
                    "cat /data/f /etc/hosts; echo new > /data/g; "
                    "echo no > /ro/f; ls /dev; echo $HOME; tty; cat",
                    extra={"fsmap": [
                        {"source": "web1-data", "path": "/data"},
                        {"source": "web1-data", "path": "/ro",
                         "readOnly": True},
                        {"source": "web1-hosts", "path": "/etc/hosts"},
                        {"source": "../../etc", "path": "/esc"}]})
        g.tty.wait("output", lambda: b"tty" in g.tty.data.get(seq, b"")
                   .split(b"/rooty")[-1])
        out = g.tty.data[seq].decode()
        check("shared\n127.0.0.1 x\n" in out, out)
        for node in ("null", "zero", "urandom", "pts", "ptmx", "shm",
                     "stdin"):
            check(node in out.split(), node)
        check(open(share + "/web1-data/g").read() == "new\n", "written")
        check(open(share + "/web1-data/f").read() == "shared\n", "read-only")
        tty = g.exec("web1", "/bin/sh", "-c", "tty; ls /", terminal=True,
                     user="inner")
        text = g.tty.output(tty).decode()
        check(text.startswith("/dev/pts/0\r\n"), "own terminals: " + text)
        check("data" in text.split() and "work" not in text.split(), text)
        check(g.ok(READFILE, {"container": "web1", "file": "/link/passwd"})
              .startswith(b"root:x:0:0::/rooty"), "links stay inside")
        g.ok(WRITEFILE, b'{"container":"web1","file":"/wf"}DATA')
        check(open(share + "/web1/rootfs/wf").read() == "DATA", "WRITEFILE")
        check(g.exec("web1", "ls", user="inner", group="inner"), "by name")
        g.error(EXECCMD, {"container": "web1", "process": g.process(
            "ls", user="nobody")})
        g.tty.send(seq, b"")
        check(g.tty.status(seq) == 0, "status")
        g.ok(REMOVE, {"container": "web1"})
        seq = g.new("web2", "/bin/sh", "-c", "echo x >/f || echo ro",
                    extra={"image": "web1", "readOnly": True})
        check(g.tty.output(seq) == b"ro\n", "read-only root")
        seq = g.new("web3", "/bin/sh", "-c", "ls / && exit 3",
                    extra={"image": "missing"})
        check(g.tty.status(seq) == 3, "missing image: our own root")
    finally:
        g.end()
        shutil.rmtree(share)


@test("hyperstart 12: a root directory for all", own=True, modes=False,
      root=True)
def t_rootdir():
    where = tempfile.mkdtemp(prefix="ccp-root-")
    os.chmod(where, 0o755)
    image(where)
    g = Guest("-r", where)
    try:
        seq = g.new("c1", "/bin/sh", "-c", "ls /; ls /proc/1/status",
                    workdir="")
        out = g.tty.output(seq).split()
        check(b"bin" in out and b"root" not in out, "%r" % out)
        check(b"/proc/1/status" in out, "proc")
    finally:
        g.end()
        shutil.rmtree(where)


@test("hyperstart 14: DESTROYPOD ends everything, then the agent goes on")
def t_destroy(g):
    g.ok(DESTROYPOD)
    for payload in (b"", "null", "{}", '""'):
        g.ok(STARTPOD, {"hostname": "h"})
        a = g.new("c1", "sleep", "1000")
        b = g.sh("c1", "trap 'echo bye; exit 5' TERM; echo up; "
                 "while :; do sleep 0.05; done")
        c = g.new("c2", "/bin/sh", "-c", "sleep 1000 | cat")
        g.tty.expect(b, b"up")
        g.ok(DESTROYPOD, payload)
        for seq in (a, b, c):
            check(g.tty.exited(seq) or
                  g.tty.status(seq) is not None, "report")
        check(g.tty.status(a) == 143, "TERM: %d" % g.tty.status(a))
        check(g.tty.status(b) in (5, 137), "trapped")
        g.error(KILL, {"container": "c1", "signal": 0})
        g.error(NEWCONTAINER, {"id": "x", "process": g.process("true")})
    g.ok(DESTROYPOD)


@test("hyperstart 14: DESTROYPOD kills what ignores SIGTERM")
def t_destroy_hard(g):
    a = g.new("c1", "/bin/sh", "-c",
              "trap '' TERM; echo up; while :; do sleep 0.1; done")
    b = g.sh("c1", "trap '' TERM HUP; (while :; do sleep 0.1; done) & "
             "echo $$; wait; while :; do sleep 0.1; done")
    g.tty.expect(a, b"up")
    g.tty.expect(b, b"\n")
    g.ok(DESTROYPOD)
    check(g.tty.status(a) == 137 and g.tty.status(b) == 137, "killed")


@test("hyperstart 14: with -x the agent ends after the reply", own=True,
      modes=False)
def t_leave():
    g = Guest("-x")
    seq = g.new("c1", "/bin/sh", "-c", "yes | head -c 100000; sleep 1000")
    g.tty.wait("output", lambda: len(g.tty.data.get(seq, b"")) == 100000)
    g.ok(DESTROYPOD)
    check(g.proc.wait(CEILING) == 0, "exit status")
    check(g.tty.status(seq) == 143, "report before the end")
    check(not os.path.exists(g.ctl_path), "sockets removed")
    g.end()


@test("hyperstart 16: malformed headers do no harm", modes=False)
def t_malformed(g):
    for length in (0, 1, 4, 7):
        g.ctl.sendall(struct.pack(">II", PING, length))
        check(g.reply() == (ACK, b""), "length %d" % length)
    seq = g.new("c1", "cat")
    for length in (0, 4, 11):
        g.tty.sock.sendall(struct.pack(">QI", seq, length))
    g.tty.send(seq, b"alive\n")
    g.tty.expect(seq, b"alive\n")
    # A message beyond all bounds is skipped, however long that takes.
    g.ctl.sendall(struct.pack(">II", PING, 0xffffffff) + b"x" * 100000)
    g.ctl.close()
    g.ctl = g.dial(g.ctl_path)
    g.ctl.settimeout(CEILING)
    g.ok(PING)
    g.tty.sock.sendall(struct.pack(">QI", seq, 3000000))
    g.tty.sock.sendall(b"y" * (3000000 - 12))
    g.tty.send(seq, b"again\n")
    g.tty.expect(seq, b"again\n")
    check(b"y" not in g.tty.data[seq], "skipped")


@test("hyperstart 17: 100 MB of output, byte for byte")
def t_output(g):
    n = 100 * 1000 * 1000
    make = "seq 1 14000000 | head -c %d" % n
    want = subprocess.run(["/bin/sh", "-c", make + " | sha256sum"],
                          capture_output=True).stdout.split()[0].decode()
    p = g.process("/bin/sh", "-c", make + "; exit 3")
    seq = p["stdio"]
    g.tty.hash[seq] = [hashlib.sha256(), 0]
    g.ok(NEWCONTAINER, {"id": "c1", "process": p})
    check(g.tty.status(seq) == 3, "status")
    digest, total = g.tty.hash[seq]
    check(total == n, "length %d" % total)
    check(digest.hexdigest() == want, "hash")


@test("hyperstart 17: 100 MB of input, byte for byte")
def t_input(g):
    n = 100 * 1000 * 1000
    seq = g.new("c1", "sha256sum")
    digest = hashlib.sha256()
    rnd = random.Random(2)
    while n > 0:
        data = rnd.randbytes(min(n, rnd.choice((1, 16, 4084, 10228))))
        if len(data) > 10000:       # several frames in a write
            g.tty.sock.sendall(b"".join(
                struct.pack(">QI", seq, len(data) + 12) + data
                for _ in range(20)))
            for _ in range(20):
                digest.update(data)
            n -= 20 * len(data)
        else:
            g.tty.send(seq, data)
            digest.update(data)
            n -= len(data)
    g.tty.send(seq, b"")
    check(g.tty.output(seq).split()[0].decode() == digest.hexdigest(),
          "hash")


@test("hyperstart 19 G14: a slow reader loses nothing, others go on")
def t_backpressure(g):
    slow = g.new("c1", "/bin/sh", "-c",
                 "while ! test -e %s/go; do sleep 0.05; done; sha256sum"
                 % g.dir)
    echo = g.new("c2", "cat")
    ticks = g.new("c3", "/bin/sh", "-c",
                  "while :; do echo tick; sleep 0.02; done")
    # The queue and the pipe hold this: another's input is not delayed.
    data = os.urandom(100000)
    for i in range(0, len(data), 8000):
        g.tty.send(slow, data[i:i + 8000])
    g.tty.send(echo, b"through\n")
    g.tty.expect(echo, b"through\n")
    # Now more than anything holds: input stops, output does not.
    more = os.urandom(2000000)
    digest = hashlib.sha256(data + more)

    def feed():
        for i in range(0, len(more), 8000):
            g.tty.send(slow, more[i:i + 8000])
        g.tty.send(slow, b"")
        g.tty.send(echo, b"after\n")
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    before = len(g.tty.of(ticks))
    g.tty.wait("ticks", lambda: len(g.tty.of(ticks)) > before + 20)
    check(feeder.is_alive(), "input is held back")
    g.ok(PING)
    open(g.dir + "/go", "w").close()
    check(g.tty.output(slow).split()[0].decode() == digest.hexdigest(),
          "nothing lost")
    g.tty.expect(echo, b"after\n")


@test("hyperstart 19 G14: input of a process that ends unread is dropped")
def t_unread(g):
    seq = g.new("c1", "/bin/sh", "-c",
                "exec <&-; echo up; while ! test -e %s/go; do sleep 0.05; "
                "done" % g.dir)
    stuck = g.new("c2", "/bin/sh", "-c",
                  "while ! test -e %s/go; do sleep 0.05; done" % g.dir)
    echo = g.new("c3", "cat")
    g.tty.expect(seq, b"up")
    for _ in range(100):
        g.tty.send(seq, b"x" * 10000)
    g.tty.send(echo, b"one\n")
    g.tty.expect(echo, b"one\n")

    def feed():
        for _ in range(100):
            g.tty.send(stuck, b"x" * 10000)
        g.tty.send(echo, b"two\n")
    threading.Thread(target=feed, daemon=True).start()
    time.sleep(0.1)
    open(g.dir + "/go", "w").close()
    check(g.tty.status(stuck) == 0, "status")
    g.tty.expect(echo, b"two\n")


@test("hyperstart 19 G14: a host that left blocked does not block the next")
def t_hup(g):
    stuck = g.new("c1", "sleep", "1000")
    echo = g.new("c2", "cat")
    g.tty.sock.settimeout(1)
    try:
        while True:
            g.tty.send(stuck, b"x" * 10000)
    except OSError:
        pass
    g.tty.close()
    g.tty = Tty(g.dial(g.tty_path))
    g.kill("c1")
    check(g.tty.status(stuck) == 137, "output reaches the new host")
    g.tty.send(echo, b"hello\n")
    g.tty.expect(echo, b"hello\n")


@test("hyperstart 19 G8: output waits while the host does not read",
      modes=False)
def t_slow_host(g):
    n = 20000000
    seq = g.process("/bin/sh", "-c",
                    "yes | head -c %d; echo done >%s/done" % (n, g.dir))
    g.tty.hash[seq["stdio"]] = [hashlib.sha256(), 0]
    g.tty.gate.clear()
    g.ok(NEWCONTAINER, {"id": "c1", "process": seq})
    time.sleep(0.5)
    check(not os.path.exists(g.dir + "/done"), "held back")
    with open("/proc/%d/statm" % g.proc.pid) as f:
        pages = int(f.read().split()[1])
    if "asan" not in GUEST:
        check(pages * 4096 < 20000000, "agent's memory is bounded")
    g.ok(PING)
    g.tty.gate.set()
    check(g.tty.status(seq["stdio"]) == 0, "status")
    check(g.tty.hash[seq["stdio"]][1] == n, "all of it")


@test("hyperstart 19 G16: two connected descriptors", own=True, modes=False)
def t_fds():
    ctl, a = socket.socketpair()
    tty, b = socket.socketpair()
    p = subprocess.Popen([GUEST, "-f", "%d,%d" % (a.fileno(), b.fileno())],
                         pass_fds=(a.fileno(), b.fileno()))
    a.close()
    b.close()
    ctl.settimeout(CEILING)
    check(ctl.recv(8) == Guest.pack(READY), "READY")
    ctl.sendall(Guest.pack(PING))
    got = b""
    while len(got) < 20:
        part = ctl.recv(64)
        check(part, "closed")
        got += part
    check(got == Guest.pack(NEXT, b"\0\0\0\x08") + Guest.pack(ACK), "ACK")
    ctl.close()
    check(p.wait(CEILING) == 0, "ends with its host")
    tty.close()


@test("hyperstart 19: tokens of many sessions at once")
def t_many(g):
    g.new("c0", "sleep", "1000")
    seqs = []
    for i in range(40):
        p = g.process("cat")
        g.ok(EXECCMD, {"container": "c0", "process": p})
        seqs.append(p["stdio"])
    for i in range(20):
        for seq in seqs:
            g.tty.send(seq, b"%d:%d\n" % (seq, i))
    for seq in seqs:
        g.tty.send(seq, b"")
    for seq in seqs:
        check(g.tty.output(seq) == b"".join(
            b"%d:%d\n" % (seq, i) for i in range(20)), "session %d" % seq)


@test("hyperstart 19: 500 sessions leave nothing behind")
def t_leaks(g):
    def fds():
        return len(os.listdir("/proc/%d/fd" % g.proc.pid))
    def children():
        path = "/proc/%d/task/%d/children" % (g.proc.pid, g.proc.pid)
        with open(path) as f:
            return f.read().split()
    before = fds()
    g.new("c0", "sleep", "1000")
    base = fds()
    for i in range(430):
        if i % 3 == 0:
            seq = g.sh("c0", "echo x; exit 1", terminal=True)
        elif i % 3 == 1:
            seq = g.sh("c0", "cat; exit 1")
            g.tty.send(seq, b"")
        else:
            g.error(EXECCMD, {"container": "c0", "process": g.process(
                "/nonexistent", terminal=i % 2 == 0)})
            continue
        check(g.tty.status(seq) == 1, "status")
        g.tty.frames.clear()
    check(fds() == base, "descriptors: %d, then %d" % (base, fds()))
    for i in range(70):
        seq = g.new("c1", "true")
        check(g.tty.status(seq) == 0, "status")
        g.tty.frames.clear()
        g.ok(REMOVE, {"container": "c1"})
    check(fds() == base, "descriptors: %d, then %d" % (base, fds()))
    g.kill("c0")
    wait_for("children gone", lambda: not children())
    wait_for("descriptors gone", lambda: fds() == before)


@test("hyperstart 19: idle is idle", modes=False)
def t_idle(g):
    g.new("c1", "sleep", "1000")
    g.ok(PING)

    def switches():
        with open("/proc/%d/status" % g.proc.pid) as f:
            return sum(int(line.split()[1]) for line in f
                       if "ctxt_switches" in line)
    # The last wake-up may be on its way: then one more quiet spell.
    for _ in range(20):
        before = switches()
        time.sleep(0.5)
        if switches() == before:
            return
    raise Failed("wakes up without a reason")


@test("hyperstart 19: SIGTERM ends the agent and its containers", own=True)
def t_sigterm(*flags, **kw):
    g = Guest(*flags, **kw)
    g.new("c1", "/bin/sh", "-c", "trap '' TERM; sleep 1000 & wait")
    g.sh("c1", "sleep 1000")
    wait_for("four", lambda: len(json.loads(
        g.ok(PS, {"container": "c1", "format": "json"}))) >= 3)
    pids = json.loads(g.ok(PS, {"container": "c1", "format": "json"}))
    g.end()
    wait_for("end of %r" % pids, lambda: not [p for p in pids if alive(p)])


UNPRIVILEGED = False


def run(name, fn, flags, own, mode, kw):
    global failures
    g = None
    label = name + mode
    try:
        if own:
            fn(*flags, **kw)
        else:
            g = Guest(*flags, **kw)
            fn(g)
            g, last = None, g
            last.end()
        print("ok - " + label, flush=True)
    except Skip as e:
        print("skip - %s: %s" % (label, e), flush=True)
    except (Failed, OSError, ValueError, LookupError,
            subprocess.TimeoutExpired) as e:
        failures += 1
        print("not ok - %s: %s: %s" % (label, type(e).__name__, e),
              flush=True)
        if os.environ.get("V"):
            import traceback
            traceback.print_exc()
    finally:
        if g is not None:
            try:
                if os.environ.get("V"):
                    sys.stderr.write(open(g.dir + "/log").read()[-3000:])
                g.end()
            except (Failed, OSError, subprocess.TimeoutExpired):
                g.proc.kill()


def main():
    global UNPRIVILEGED
    if not os.access(GUEST, os.X_OK):
        print("not ok - ccp-guest: no such program: " + GUEST)
        sys.exit(1)
    only = sys.argv[1:]
    for name, flags, own, modes, root, fn in tests:
        if only and not any(o in name or o == fn.__name__ for o in only):
            continue
        if root and not ROOT:
            print("skip - %s: needs root" % name)
            continue
        UNPRIVILEGED = not ROOT
        run(name, fn, flags, own, "", {})
        if modes and ROOT:
            run(name, fn, flags + ("-n",), own, " (no namespaces)", {})
            UNPRIVILEGED = True
            run(name, fn, flags, own, " (no root)", {"uid": NOBODY})
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

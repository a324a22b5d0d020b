#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Section 2: frames, violations, responses, JSON decoding."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "lib"))
from ccp import *

MIB = 1024 * 1024


def routed(d):
	"""A VM and a connection attached to it."""
	vm = d.vm(mode="echo")
	c, _ = vm.attach()
	return vm, c


def answers(c):
	"""The connection still serves (it is attached)."""
	equal(c.hyper("ping", Raw(b'"x"')), b'"x"', "reply")


def violation(d, data, text, both=True, eof=True):
	"""A frame is answered by nothing but the end, and logged; on a new
	connection and on one that belongs to a VM's engine."""
	for attached in (False, True) if both else (False,):
		if attached:
			vm, c = routed(d)
		else:
			c = d.client()
		mark = d.log_mark()
		c.raw(data)
		c.expect_closed(eof=eof)
		if text is not None:
			d.wait_log("^error serving client: " + text, mark,
			    level="error")
		c.close()
		if attached:
			answers(vm.client)


@test("2.1", "header fields of a response", shared=True)
def header(d):
	vm, c = routed(d)
	c.cmd(HYPER, {"hyperName": "ping"})
	raw = c._exactly(12, "header")
	equal(raw, bytes.fromhex("000203000000010300000000"), "response")
	c.cmd(HYPER, {"hyperName": "nonsense"})
	raw = c._exactly(12, "header")
	equal(raw[:8], bytes.fromhex("0002030000001103"), "error response")


@test("2.1", "reserved bytes, flags and the error flag are ignored",
    shared=True)
def reserved(d):
	vm, c = routed(d)
	payload = b'{"hyperName":"ping"}'
	c.raw(frame(COMMAND, HYPER, payload, reserved=b"\xff\xfe\xfd"))
	c.raw(frame(COMMAND, HYPER, payload, flags=0xe0))
	c.raw(frame(COMMAND, HYPER, payload, err=1))
	for i in range(3):
		equal(c.response(HYPER).err, 0, "error flag")
	c = d.client()
	c.raw(frame(COMMAND, ATTACH, compact({"containerId": vm.id}),
	    reserved=b"\xff\xfe\xfd", flags=0xe0, err=1))
	equal(c.response(ATTACH).err, 0, "error flag")


@test("2.1", "long headers are skipped, 3 to 255 words", shared=True)
def long_headers(d):
	vm, c = routed(d)
	for words in (3, 4, 6, 100, 254, 255):
		c.raw(frame(COMMAND, HYPER,
		    b'{"hyperName":"ping","data":%d}' % words, words=words))
		equal(c.response(HYPER).payload, b"%d" % words, "reply")
		n = d.client()
		n.raw(frame(COMMAND, ATTACH, compact({"containerId": vm.id}),
		    words=words))
		equal(n.response(ATTACH).err, 0, "error flag")
		answers(n)
	s = vm.shim()
	s.raw(frame(STREAM, STDIN, b"A", words=6))
	equal(vm.agent.next_tty(), (s.base, b"A"), "stdin at the agent")


@test("2.1", "frames back to back in one write", shared=True)
def back_to_back(d):
	vm, c = routed(d)
	c.raw(b"".join(frame(COMMAND, HYPER,
	    b'{"hyperName":"ping","data":%d}' % i) for i in range(200)))
	for i in range(200):
		equal(c.response(HYPER).payload, b"%d" % i, "reply")


@test("2.1", "pipelined frames behind the first one of a connection",
    shared=True)
def pipelined_first(d):
	vm, _ = routed(d)
	c = d.client()
	c.raw(frame(COMMAND, ATTACH, compact({"containerId": vm.id})) +
	    b"".join(frame(COMMAND, HYPER,
	    b'{"hyperName":"ping","data":%d}' % i) for i in range(50)))
	equal(c.response(ATTACH).err, 0, "error flag")
	for i in range(50):
		equal(c.response(HYPER).payload, b"%d" % i, "reply")


@test("2.1", "RegisterVM and what follows in one write", shared=True)
def pipelined_register(d):
	a = d.agent("pipelined", mode="echo")
	c = d.client()
	c.raw(frame(COMMAND, REGISTER, compact(register_request("pipelined",
	    a.ctl_path, a.io_path))) + frame(COMMAND, HYPER,
	    b'{"hyperName":"ping","data":7}'))
	equal(c.response(REGISTER).err, 0, "error flag")
	equal(c.response(HYPER).payload, b"7", "reply")


@test("2.1", "a connection byte by byte", shared=True)
def byte_by_byte(d):
	vm, _ = routed(d)
	c = d.client()
	for b in frame(COMMAND, ATTACH, compact({"containerId": vm.id}),
	    words=5):
		c.raw(bytes([b]))
	equal(c.response(ATTACH).err, 0, "error flag")
	for b in frame(COMMAND, HYPER, b'{"hyperName":"ping","data":1}',
	    words=5):
		c.raw(bytes([b]))
	equal(c.response(HYPER).payload, b"1", "reply")


@test("2.1", "many connections with half a header delay nobody",
    shared=True)
def half_headers(d):
	idle = []
	for i in range(40):
		c = d.client()
		c.raw(b"\x00\x02\x03"[:i % 4])
		idle.append(c)
	vm, c = routed(d)
	answers(c)
	for c in idle:
		c.close()


@test("2.2", "every opcode of every type up to its limit", shared=True)
def opcodes(d):
	vm, c = routed(d)
	for op in range(7):
		c = d.client()
		c.cmd(op, Raw(b"["))
		f = c.response(op)
		equal((f.type, f.err), (RESPONSE, 1), "frame")
	violation(d, frame(COMMAND, 7), re.escape(
	    "frame: bad opcode (7) for type command"))
	violation(d, frame(COMMAND, 255), re.escape(
	    "frame: bad opcode (255) for type command"))
	violation(d, frame(RESPONSE, 7), re.escape(
	    "frame: bad opcode (7) for type response"))
	violation(d, frame(STREAM, 4), re.escape(
	    "frame: bad opcode (4) for type stream"))
	violation(d, frame(NOTIFICATION, 1), re.escape(
	    "frame: bad opcode (1) for type notification"))


@test("2.3", "Hyper needs a VM", shared=True)
def hyper_unattached(d):
	c = d.client()
	equal(c.hyper_fails("ping"), "client not attached to a vm", "error")
	equal(c.hyper_fails("nonsense"), "client not attached to a vm",
	    "error")
	vm = d.vm()
	c.attach(vm.id)
	c.hyper("ping")


@test("2.3", "Signal and DisconnectShim need a shim, before parsing",
    shared=True)
def not_a_shim(d):
	vm, attached = routed(d)
	for c in (d.client(), attached):
		equal(c.fails(SIGNAL, Raw(b"garbage")),
		    "client isn't a shim", "error")
		equal(c.signal_fails(10), "client isn't a shim", "error")
		equal(c.fails(DISCONNECT, Raw(b"garbage")),
		    "client isn't a shim", "error")
		equal(c.fails(DISCONNECT), "client isn't a shim", "error")
	answers(attached)


@test("2.3", "stdin without a session closes", shared=True)
def stdin_without_session(d):
	violation(d, frame(STREAM, STDIN, b"x"),
	    "stdin: client not associated with any I/O session", eof=False)
	violation(d, frame(STREAM, STDIN),
	    "stdin: client not associated with any I/O session")


@test("2.3", "Register, Attach, Unregister and log on a shim connection",
    shared=True)
def on_shim(d):
	vm = d.vm(mode="echo")
	s = vm.shim()
	mark = d.log_mark()
	s.log(source="shim", level="warn", msg="from a shim")
	equal(s.hyper_fails("ping"), "client not attached to a vm", "error")
	s.attach(vm.id)
	answers(s)
	check("already registered" in s.fails(REGISTER, register_request(
	    vm.id, "/x", "/y")), "duplicate accepted on a shim")
	equal(s.fails(UNREGISTER, {"containerId": "nobody"}),
	    "unknown containerID: nobody", "error")
	s.ok(UNREGISTER, {"containerId": vm.id})
	d.wait_log("^from a shim$", mark, level="warning")


@test("2.3", "UnregisterVM needs no attachment", shared=True)
def unregister_unattached(d):
	vm = d.vm()
	c = d.client()
	c.ok(UNREGISTER, {"containerId": vm.id})
	equal(c.fails(UNREGISTER, {"containerId": vm.id}),
	    "unknown containerID: " + vm.id, "error")


@test("2.4", "bad versions", shared=True)
def bad_version(d):
	for v in (0, 1, 3, 255, 256, 512, 65535):
		violation(d, frame(COMMAND, HYPER, version=v),
		    "frame: bad version %d$" % v, both=v == 3)


@test("2.4", "bad types", shared=True)
def bad_type(d):
	for t in (4, 9, 15):
		violation(d, frame(t, 0), "frame: bad type unknown$",
		    both=t == 4)


@test("2.4", "version is judged first, then type, then opcode", shared=True)
def order(d):
	violation(d, frame(15, 255, version=7), "frame: bad version 7$")
	violation(d, frame(15, 255), "frame: bad type unknown$")


@test("2.4", "header lengths below three words", shared=True)
def short_header_length(d):
	for words in (0, 1, 2):
		violation(d, frame(COMMAND, HYPER, words=words, extra=b""),
		    "frame: bad header length %d" % words)
		violation(d, frame(STREAM, STDIN, b"", words=words,
		    extra=b""), "frame: bad header length")


@test("2.4", "EOF between frames is silent, inside a header is logged",
    shared=True)
def eof_in_header(d):
	for attached in (False, True):
		vm, c = routed(d)
		if not attached:
			c = d.client()
		mark = d.log_mark()
		c.shutdown()
		c.expect_closed(eof=True)
		vm, c = routed(d)
		if not attached:
			c = d.client()
		c.raw(b"\x00\x02\x03\x00\x00")
		c.shutdown()
		c.expect_closed()
		d.wait_log("frame: couldn't read the full header", mark,
		    level="error")
		n = [e for e in d.entries(mark, level="error")
		    if "error serving client" in e["msg"]]
		equal(len(n), 1, "error lines")


@test("2.4", "EOF inside a long header and inside a payload", shared=True)
def eof_in_payload(d):
	for data in (frame(COMMAND, HYPER, words=9)[:20],
	    frame(COMMAND, HYPER, b'{"hy', length=30),
	    frame(STREAM, STDIN, b"", length=5)):
		vm, c = routed(d)
		for c in (c, d.client()):
			c.raw(data)
			c.shutdown()
			c.expect_closed()
		answers(vm.client)


@test("2.4", "responses and notifications from a client", shared=True)
def unexpected_types(d):
	for op in range(7):
		violation(d, frame(RESPONSE, op), re.escape(
		    "protocol: unexpected frame type (response)"),
		    both=op == 0)
	violation(d, frame(NOTIFICATION, 0), re.escape(
	    "protocol: unexpected frame type (notification)"))


@test("2.4", "stdout and stderr from a client", shared=True)
def unexpected_streams(d):
	violation(d, frame(STREAM, STDOUT, b"x"),
	    "no handler for stream stdout", eof=False)
	violation(d, frame(STREAM, STDERR, b"x"),
	    "no handler for stream stderr", eof=False)
	violation(d, frame(STREAM, STDOUT), "no handler for stream stdout")


@test("2.4", "every violation on a shim's connection", shared=True)
def violations_on_shim(d):
	vm = d.vm()
	for data, text in (
	    (frame(COMMAND, HYPER, version=9), "frame: bad version 9"),
	    (frame(8, 0), "frame: bad type unknown"),
	    (frame(STREAM, 9), "frame: bad opcode"),
	    (frame(STREAM, STDIN, words=2, extra=b""),
	    "frame: bad header length"),
	    (frame(STREAM, STDERR), "no handler for stream stderr"),
	    (frame(NOTIFICATION, 0), "protocol: unexpected frame type"),
	    (frame(STREAM, LOG, b"{}"), "invalid source: "),
	    (frame(STREAM, STDIN, length=64 * 1024 + 1), "")):
		s = vm.shim()
		mark = d.log_mark()
		s.raw(data)
		s.expect_closed(eof=True)
		d.wait_log("^error serving client: " + text, mark,
		    level="error")
		again = Client(d)
		again.connect_shim(s.token)
		vm.agent.tty(s.base, b"back")
		equal(again.stdout(), b"back", "output after reconnect")


@test("2.4", "log frames: JSON, source, level, msg in that order",
    shared=True)
def log_violations(d):
	for payload, text in (
	    (b"", "unexpected end of JSON input"),
	    (b"x", "invalid character 'x' looking for beginning of value"),
	    (b'{"source":1}', "json: cannot unmarshal number"),
	    (b"{}", "invalid source: "),
	    (b'{"source":"qemu","level":"x"}', "invalid source: qemu"),
	    (b'{"source":"Shim","level":"x"}', "invalid source: Shim"),
	    (b'{"source":"shim"}', "invalid level: "),
	    (b'{"source":"shim","level":"warning","msg":"m"}',
	    "invalid level: warning"),
	    (b'{"source":"runtime","level":"fatal","msg":"m"}',
	    "invalid level: fatal"),
	    (b'{"source":"runtime","level":"info"}',
	    "no message specified"),
	    (b'{"source":"runtime","level":"info","msg":""}',
	    "no message specified")):
		violation(d, frame(STREAM, LOG, payload), re.escape(text),
		    both=payload == b"{}")


@test("2.4", "command payload at the cap and one past it, unrouted",
    shared=True)
def cap_unrouted(d):
	vm, _ = routed(d)

	def request(total):
		head = b'{"containerId":"' + vm.id.encode() + b'"'
		return head + b" " * (total - len(head) - 1) + b"}"
	c = d.client()
	c.send(COMMAND, ATTACH, request(64 * 1024 - 12))
	equal(c.response(ATTACH).err, 0, "error flag near the cap")
	answers(c)
	c = d.client()
	mark = d.log_mark()
	c.raw(frame(COMMAND, ATTACH, length=64 * 1024 + 1))
	c.expect_closed(eof=True)
	d.wait_log("error serving client", mark, level="error")


@test("2.4", "command payload at the cap and one past it, attached",
    shared=True)
def cap_attached(d):
	vm, c = routed(d)
	body = b'{"hyperName":"ping","data":1}'
	c.send(COMMAND, HYPER, body + b" " * (MIB - len(body)))
	equal(c.response(HYPER).payload, b"1", "reply at the cap")
	mark = d.log_mark()
	c.raw(frame(COMMAND, HYPER, length=MIB + 1))
	c.expect_closed(eof=True)
	d.wait_log("error serving client", mark, level="error")
	answers(vm.client)


@test("2.4", "lengths up to 4 GiB are refused at once", shared=True)
def huge_lengths(d):
	for n in (0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff4):
		violation(d, frame(COMMAND, HYPER, length=n), "",
		    both=n == 0xffffffff)
		violation(d, frame(STREAM, LOG, length=n), "", both=False)


@test("2.4", "log payload at the cap and one past it", shared=True)
def cap_log(d):
	vm, c = routed(d)
	body = b'{"source":"shim","level":"warn","msg":"long log"}'
	mark = d.log_mark()
	c.send(STREAM, LOG, body + b" " * (MIB - len(body)))
	d.wait_log("^long log$", mark)
	answers(c)
	c.raw(frame(STREAM, LOG, length=MIB + 1))
	c.expect_closed(eof=True)


@test("2.4", "stdin at the cap and one past it", daemon=dict(level="info"))
def cap_stdin(d):
	vm = d.vm()
	s = vm.shim()
	data = os.urandom(64 * 1024)
	s.stdin(data)
	got = b""
	while len(got) < len(data):
		seq, part = vm.agent.next_tty()
		equal(seq, s.base, "sequence number")
		check(part != b"", "EOF at the agent")
		got += part
	equal(got, data, "stdin")
	mark = d.log_mark()
	s.raw(frame(STREAM, STDIN, length=64 * 1024 + 1))
	s.expect_closed(eof=True)
	d.wait_log("error serving client", mark, level="error")


@test("2.4", "bytes behind a valid frame are the next frame", shared=True)
def trailing_bytes(d):
	vm, c = routed(d)
	mark = d.log_mark()
	c.raw(frame(COMMAND, HYPER, b'{"hyperName":"ping"}') + b"junk" * 3)
	equal(c.response(HYPER).err, 0, "error flag")
	c.expect_closed()
	d.wait_log("frame: bad version %d" % 0x6a75, mark)


@test("2.5", "one response per command, in order, same opcode", shared=True)
def response_order(d):
	vm, c = routed(d)
	sent = []
	for i in range(60):
		op = (HYPER, ATTACH, SIGNAL, UNREGISTER, CONNECT)[i % 5]
		obj = {HYPER: {"hyperName": "ping", "data": i},
		    ATTACH: {"containerId": vm.id},
		    SIGNAL: {"signalNumber": 1},
		    UNREGISTER: {"containerId": "nobody"},
		    CONNECT: {"token": "nope"}}[op]
		sent.append((op, i))
		c.cmd(op, obj)
	for op, i in sent:
		f = c.recv()
		equal((f.type, f.op, f.err), (RESPONSE, op,
		    int(op in (SIGNAL, UNREGISTER, CONNECT))), "frame")
		if op == HYPER:
			equal(f.payload, b"%d" % i, "reply")


@test("2.5", "error payload: compact JSON and its escaping", shared=True)
def escaping(d):
	c = d.client()
	for text, want in (
	    ('plain', b'plain'),
	    ('q"b\\s/', b'q\\"b\\\\s/'),
	    ('\n\r\t', b'\\n\\r\\t'),
	    ('\x01\x08\x0c\x1f', b'\\u0001\\u0008\\u000c\\u001f'),
	    ('<&>', b'\\u003c\\u0026\\u003e'),
	    ('\u2028\u2029', b'\\u2028\\u2029'),
	    ('\x7f\u00e9\u20ac\U0001f600',
	    '\x7f\u00e9\u20ac\U0001f600'.encode())):
		f = c.ask(UNREGISTER, Raw(json.dumps({"containerId": text},
		    ensure_ascii=False).encode()))
		equal(f.payload, b'{"msg":"unknown containerID: ' + want +
		    b'"}', "payload")
	f = c.ask(UNREGISTER, Raw(b'{"containerId":"a\xff\xc0b"}'))
	check(f.payload in (
	    b'{"msg":"unknown containerID: a\\ufffd\\ufffdb"}',
	    '{"msg":"unknown containerID: a\ufffd\ufffdb"}'.encode()),
	    "invalid UTF-8: %r" % f.payload)


@test("2.5", "the same escapes from an engine", shared=True)
def escaping_engine(d):
	vm, c = routed(d)
	f = c.ask(HYPER, Raw(b'{"hyperName":"<\\u2028&\\"\\\\>\\u0001"}'))
	equal(f.payload, b'{"msg":"unknown command '
	    b"'\\u003c\\u2028\\u0026\\\"\\\\\\u003e\\u0001'\"}", "payload")
	vm.agent.mode = lambda a, code, p: a.error(b'bad <\xff\n>')
	f = c.ask(HYPER, {"hyperName": "ping"})
	equal(f.payload, b'{"msg":"ERROR received from VM agent, control '
	    b'msg received : bad \\u003c\\ufffd\\n\\u003e"}', "payload")


@test("2.5", "Hyper success is the agent's raw bytes", shared=True)
def raw_reply(d):
	vm, c = routed(d)
	for data in (b"", b"\x00\xff\xfe binary \n", b'{"a":1}',
	    os.urandom(5000), os.urandom(900000)):
		vm.agent.mode = lambda a, code, p, data=data: a.ack(data)
		equal(c.hyper("ping"), data, "reply")


@test("2.6", "unknown members, case, duplicates, null, white space",
    shared=True)
def json_rules(d):
	vm, _ = routed(d)
	ident = vm.id.encode()
	for body in (
	    b'{"containerId":"%s","future":{"a":[1,2,{"b":null}]}}',
	    b'{"CONTAINERID":"%s"}',
	    b'{"containerid":"%s"}',
	    b'{"containerId":"other","containerId":"%s"}',
	    b'{"containerId":"%s","numIOStreams":null}',
	    b' \t\r\n{ "containerId" : "%s" } \n ',
	    b'{"containerId":"%s","numIOStreams":0}',
	    b'{"containerId":"%s","numIOStreams":-5}',
	    b'{"containerId":"%s","numIOStreams":-9223372036854775808}'):
		c = d.client()
		equal(tokens_of(c.ok(ATTACH, Raw(body % ident))), None,
		    "tokens")
		answers(c)
	c = d.client()
	esc = "".join("\\u%04x" % b for b in ident).encode()
	c.ok(ATTACH, Raw(b'{"containerId":"%s"}' % esc))
	c = d.client()
	c.ok(ATTACH, Raw(b'{"containerId":"%s","containerId":null}' % ident))


@test("2.6", "null counts as an empty object", shared=True)
def json_null(d):
	c = d.client()
	equal(c.fails(ATTACH, Raw(b"null")), "unknown containerID: ", "error")
	equal(c.fails(ATTACH, Raw(b"{}")), "unknown containerID: ", "error")
	equal(c.fails(CONNECT, Raw(b"null")), "unknown token: ", "error")
	equal(c.fails(REGISTER, Raw(b"null")), "malformed RegisterVM command",
	    "error")


@test("2.6", "error texts of the JSON decoder", shared=True)
def json_errors(d):
	vm, attached = routed(d)
	go = "json: cannot unmarshal %s into Go "
	for payload, text in (
	    (b"", "unexpected end of JSON input"),
	    (b"{", "unexpected end of JSON input"),
	    (b'{"containerId":"x"', "unexpected end of JSON input"),
	    (b"x", "invalid character 'x' looking for beginning of value"),
	    (b"{a:1}", "invalid character 'a' looking for beginning of "
	    "object key string"),
	    (b'{"containerId":"x"}x', "invalid character 'x' after "
	    "top-level value"),
	    (b"[]", go % "array" + "value of type api.AttachVM"),
	    (b'"s"', go % "string" + "value of type api.AttachVM"),
	    (b'{"containerId":5}', go % "number" +
	    "struct field AttachVM.containerId of type string"),
	    (b'{"numIOStreams":1.5}', go % "number 1.5" +
	    "struct field AttachVM.numIOStreams of type int"),
	    (b'{"numIOStreams":"5"}', go % "string" +
	    "struct field AttachVM.numIOStreams of type int"),
	    (b'{"numIOStreams":9223372036854775808}', None),
	    (b'{"containerId":true}', None),
	    (b'{"containerId":"\x01"}', None),
	    (b'{"containerId":"x",}', None),
	    (b"\xef\xbb\xbf{}", None)):
		for c in (d.client(), attached):
			got = c.fails(ATTACH, Raw(payload))
			if text is not None:
				equal(got, text, "error for %r" % payload)
	answers(attached)


@test("2.6", "a JSON error leaves the connection usable", shared=True)
def json_error_survives(d):
	vm = d.vm(mode="echo")
	c = d.client()
	for op in range(7):
		for i in range(5):
			c.fails(op, Raw(b"garbage"))
	c.attach(vm.id)
	answers(c)


@test("2.6", "deep nesting harms nobody", shared=True)
def deep(d):
	vm, c = routed(d)
	for n in (1000, 30000):
		body = b'{"containerId":"' + vm.id.encode() + b'","x":' + \
		    b"[" * n + b"]" * n + b"}"
		for k in (c, d.client()):
			k.ask(ATTACH, Raw(body))
	body = b'{"hyperName":"ping","x":' + b'{"a":' * 100000
	c.ask(HYPER, Raw(body))
	answers(c)


@test("2.6", "random bytes", shared=True)
def random_bytes(d):
	import random
	rnd = random.Random(2025)
	vm, _ = routed(d)
	for i in range(150):
		c = d.client() if i % 2 else vm.attach()[0]
		data = bytearray(rnd.randbytes(rnd.randint(1, 60)))
		if rnd.random() < 0.7:
			data[:2] = b"\0\2"
		if rnd.random() < 0.5 and len(data) > 7:
			data[2] = 3
			data[6] &= 3
			data[7] = rnd.randint(0, 7)
		try:
			c.raw(data)
			c.shutdown()
		except OSError:
			pass
		while c.recv() is not None:
			pass
		c.close()
	answers(vm.client)


main()

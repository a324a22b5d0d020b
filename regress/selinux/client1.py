#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A client of protocol 1.x: registers a VM and runs a process whose output
comes through the descriptor that the daemon passes.

usage: client1.py socket vm directory
"""

import array
import re
import socket
import struct
import sys

PATH, VM, WHERE = sys.argv[1:4]


def read(s, n):
	data = b""
	while len(data) < n:
		part = s.recv(n - len(data))
		if not part:
			sys.exit("end of file")
		data += part
	return data


def ask(s, name, data):
	body = ('{"id":"%s","data":%s}' % (name, data)).encode()
	s.sendall(struct.pack(">II", len(body), 0) + body)
	reply = read(s, struct.unpack(">II", read(s, 8))[0]).decode()
	if '"success":true' not in reply:
		sys.exit("%s: %s" % (name, reply))
	return reply


def main():
	s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
	s.connect(PATH)
	ask(s, "hello", '{"containerId":"%s","ctlSerial":"%s/ctl",'
	    '"ioSerial":"%s/tty"}' % (VM, WHERE, WHERE))
	reply = ask(s, "allocateIO", '{"nStreams":2}')
	base = int(re.search('"ioBase":([0-9]+)', reply).group(1))
	tag, anc = s.recvmsg(1, socket.CMSG_LEN(4))[:2]
	fds = array.array("i")
	fds.frombytes(anc[0][2])
	# socket(fileno=) would ask for the socket's type.
	io = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fds[0])
	ask(s, "hyper", '{"hyperName":"startpod","data":{"hostname":"%s",'
	    '"containers":[],"shareDir":"hyperShared"}}' % VM)
	ask(s, "hyper", '{"hyperName":"newcontainer","data":{"id":"c1",'
	    '"rootfs":"","image":"","process":{"terminal":false,"stdio":%d,'
	    '"stderr":%d,"args":["/bin/sh","-c","read x; echo got $x; exit 7"'
	    '],"envs":[],"workdir":"/"}}}' % (base, base + 1))
	line = b"a line\n"
	io.sendall(struct.pack(">QI", base, 12 + len(line)) + line)
	ended = False
	while True:
		seq, length = struct.unpack(">QI", read(io, 12))
		data = read(io, length - 12)
		if ended:
			print("exit status %d" % data[0])
			break
		if data == b"":
			ended = seq == base
		else:
			print(data.decode().strip())
	ask(s, "bye", '{"containerId":"%s"}' % VM)


main()

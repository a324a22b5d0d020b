#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Runs the libFuzzer targets, and keeps what they found worth keeping.

usage: regress/fuzz/run.py run seconds target ...
       regress/fuzz/run.py keep target ...

`run' gives each target its time, one after the other, begins with the inputs
of regress/fuzz/corpus and those of earlier runs (build/fuzz/work), and
prints a table; inputs that kill a target go to build/fuzz/found.  The status
is 1 if there are any.  `keep' rewrites the target's corpus: the smallest set
of inputs that covers the same, within the limits below.
"""

import os
import re
import shutil
import subprocess
import sys

BUILD = "build/fuzz"
CORPUS = "regress/fuzz/corpus"
FILES_MAX = 180
BYTES_MAX = 180 * 1024
LENGTH = {"conf": 2048, "engine": 1500, "frame": 64, "hyper": 64, "imsg": 4096,
    "msg": 4096, "log": 9000}
JSON = ("json", "hypjson", "request", "rpc1")


def command(name, *options):
	argv = [os.path.join(BUILD, "regress/fuzz", name + "_fuzz"),
	    "-timeout=20", "-rss_limit_mb=2048",
	    "-max_len=%d" % LENGTH.get(name, 8192)]
	if name in JSON:
		argv.append("-dict=regress/fuzz/json.dict")
	return argv + list(options)


def places(name):
	work = os.path.join(BUILD, "work", name)
	corpus = os.path.join(CORPUS, name)
	found = os.path.join(BUILD, "found")
	for path in (work, corpus, found):
		os.makedirs(path, exist_ok=True)
	return work, corpus, found


def run(seconds, name):
	work, corpus, found = places(name)
	prefix = os.path.join(found, name + "-")
	log = os.path.join(BUILD, name + ".log")
	known = set(os.listdir(found))
	with open(log, "w") as out:
		p = subprocess.Popen(command(name, "-print_final_stats=1",
		    "-max_total_time=%d" % seconds, "-artifact_prefix=" + prefix,
		    work, corpus), stdout=out, stderr=out,
		    stdin=subprocess.DEVNULL)
		status = p.wait()
	with open(log, errors="replace") as f:
		text = f.read()
	cov = re.findall(r"cov: (\d+) ft: (\d+)", text)
	units = re.findall(r"number_of_executed_units: (\d+)", text)
	speed = re.findall(r"average_exec_per_sec: *(\d+)", text)
	new = sorted(set(os.listdir(found)) - known)
	if status != 0 and not new:
		new = ["status %d, see %s" % (status, log)]
	print("%-10s %12s %8s %8s %8s  %s" % (name, units[-1] if units else "?",
	    speed[-1] if speed else "?", cov[-1][0] if cov else "?",
	    cov[-1][1] if cov else "?", " ".join(new) or "none"), flush=True)
	return len(new)


def merge(name, how, *sources):
	"""The paths of a smaller set that covers the same, the best first."""
	merged = os.path.join(BUILD, "merged", name)
	shutil.rmtree(merged, ignore_errors=True)
	os.makedirs(merged)
	subprocess.run(command(name, "-set_cover_merge=1",
	    "-use_counters=%d" % how, merged, *sources), check=True,
	    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
	files = [os.path.join(merged, f) for f in os.listdir(merged)]
	return sorted(files, key=lambda f: os.stat(f).st_mtime_ns)


def read(path):
	with open(path, "rb") as f:
		return f.read()


def keep(name):
	work, corpus, _ = places(name)
	# What a finding left behind has a name of its own and stays.
	kept = {f: read(os.path.join(corpus, f)) for f in os.listdir(corpus)
	    if not re.fullmatch(r"[0-9a-f]{40}", f)}
	# All code first; then how often it runs, as far as there is room.
	for how in (0, 1):
		for path in merge(name, how, corpus, work):
			data = read(path)
			if len(kept) < FILES_MAX and len(data) + sum(
			    map(len, kept.values())) <= BYTES_MAX:
				kept.setdefault(os.path.basename(path), data)
	for f in os.listdir(corpus):
		if f not in kept:
			os.unlink(os.path.join(corpus, f))
	for f, data in kept.items():
		with open(os.path.join(corpus, f), "wb") as out:
			out.write(data)
	print("%s: %d inputs, %d bytes" % (name, len(kept),
	    sum(map(len, kept.values()))))


def main():
	verb, args = sys.argv[1], sys.argv[2:]
	if verb == "keep":
		for name in args:
			keep(name)
		return 0
	print("%-10s %12s %8s %8s %8s  %s" % ("target", "executions", "per s",
	    "cov", "ft", "findings"))
	return 1 if sum([run(int(args[0]), n) for n in args[1:]]) else 0


sys.exit(main())

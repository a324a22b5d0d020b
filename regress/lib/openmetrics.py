# SPDX-License-Identifier: ISC
"""A strict reader of OpenMetrics text, as far as cc-proxy writes it: every
family has a type and a help text, is there once, and has the samples that its
type allows, each once."""

import re

NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
FAMILY = re.compile(r"# (TYPE|UNIT|HELP) (%s) (.+)\Z" % NAME)
SAMPLE = re.compile(r"(%s)(?:\{(.*)\})? (\S+)\Z" % NAME)
LABEL = re.compile(r'(%s)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"' % NAME)
NUMBER = re.compile(r"-?(\d+(\.\d+)?([eE][+-]?\d+)?|\+?Inf)\Z|NaN\Z")
SUFFIX = {"gauge": "", "counter": "_total", "info": "_info", "stateset": ""}


class Bad(Exception):
	"""The text is no OpenMetrics text."""


class Family:
	def __init__(self, name):
		self.name, self.type, self.unit, self.help = name, None, None, \
		    None
		self.samples = {}	# {labels: value}


def need(cond, what, line):
	if not cond:
		raise Bad("%s: %r" % (what, line))


def unescape(s):
	return re.sub(r'\\(.)', lambda m: "\n" if m.group(1) == "n" else
	    m.group(1), s)


def labels(text, line):
	"""(name, value) pairs, sorted."""
	if text is None:
		return ()
	got, at = [], 0
	while at < len(text):
		if at > 0:
			need(text[at] == ",", "no comma", line)
			at += 1
		m = LABEL.match(text, at)
		need(m, "not a label", line)
		got.append((m.group(1), unescape(m.group(2))))
		at = m.end()
	need(got and len({k for k, v in got}) == len(got),
	    "no labels, or one twice", line)
	return tuple(sorted(got))


def sample(f, line):
	m = SAMPLE.match(line)
	need(m, "not a sample", line)
	need(f is not None and f.type and f.help, "no family before", line)
	need(m.group(1) == f.name + SUFFIX[f.type], "not the family's name",
	    line)
	need(NUMBER.match(m.group(3)), "not a number", line)
	key, value = labels(m.group(2), line), float(m.group(3))
	need(key not in f.samples, "twice", line)
	if f.type == "counter":
		need(value >= 0, "a counter below 0", line)
	elif f.type == "info":
		need(value == 1, "information that is not 1", line)
	elif f.type == "stateset":
		need(value in (0, 1) and f.name in dict(key), "not a state",
		    line)
	f.samples[key] = value


def parse(data):
	"""{family: Family} of the bytes."""
	text = data.decode()	# UTF-8 or an exception
	need(text.endswith("# EOF\n"), "no end", text[-20:])
	lines = text[:-len("# EOF\n")].split("\n")
	need(lines.pop() == "", "no newline before the end", text[-40:])
	families, f = {}, None
	for line in lines:
		need(not re.search("[\0-\x1f\x7f-\x9f]", line),
		    "a control character", line)
		if not line.startswith("#"):
			sample(f, line)
			continue
		m = FAMILY.match(line)
		need(m, "not a line of a family", line)
		what, name, value = m.groups()
		if f is None or f.name != name:
			need(name not in families, "a family twice", line)
			need(what == "TYPE", "TYPE does not come first", line)
			f = families[name] = Family(name)
		need(not f.samples and getattr(f, what.lower()) is None,
		    "out of order", line)
		if what == "TYPE":
			need(value in SUFFIX, "unknown type", line)
			need(value != "counter" or not name.endswith("_total"),
			    "a counter's family with _total", line)
		if what == "UNIT":
			need(name.endswith("_" + value), "not its unit", line)
		setattr(f, what.lower(), value)
	names = set()
	for f in families.values():
		n = f.name + SUFFIX[f.type]
		need(n not in names and (n == f.name or n not in families),
		    "names that clash", n)
		names.add(n)
	return families


def value(families, name, **want):
	"""That of the one sample with these labels."""
	return families[name].samples[tuple(sorted(want.items()))]

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Asks a linked policy what it allows, as sesearch(1) does.

usage: access.py policy <table

A line of the table is `yes` or `no`, source, target, class, permission; a
source or target is a type or an attribute, and commas separate several of
them, or of permissions.  `no` is for: not to any of the targets, with any of
the permissions; `yes` for: to each, with each.  `except` and more types may
follow.  Prints what is not as the table says.
"""

import sys

import setools


def types(policy, names):
	"""The types that a list of names stands for."""
	out = set()
	for name in names.split(","):
		out |= {str(t) for t in
		    policy.lookup_type_or_attr(name).expand()}
	return out


class Access:
	"""All allow rules of a policy, by type."""

	def __init__(self, policy, sources):
		self.rules = {}
		self.attrs = {}
		for rule in policy.terules():
			if rule.ruletype != setools.TERuletype.allow:
				continue
			for s in self.expand(rule.source) & sources:
				for t in self.expand(rule.target):
					self.rules.setdefault((s, t,
					    str(rule.tclass)), set()).update(
					    str(p) for p in rule.perms)

	def expand(self, name):
		key = str(name)
		if key not in self.attrs:
			self.attrs[key] = frozenset(str(t) for t in
			    name.expand())
		return self.attrs[key]

	def allowed(self, source, target, tclass):
		return self.rules.get((source, target, tclass), set())


def main():
	policy = setools.SELinuxPolicy(sys.argv[1])
	table = [line.split() for line in sys.stdin
	    if line.strip() and not line.startswith("#")]
	sources = set()
	for line in table:
		sources |= types(policy, line[1])
	access = Access(policy, sources)
	everything = {str(t) for t in policy.types()}
	for line in table:
		want, source, target, tclass, perms = line[:5]
		left = set()
		if line[5:]:
			assert line[5] == "except", line
			left = types(policy, line[6])
		targets = everything if target == "*" else types(policy,
		    target)
		classes = tclass.split(",")
		for s in types(policy, source):
			for c in classes:
				check(access, want, s, sorted(targets - left),
				    c, set(perms.split(",")))


def check(access, want, source, targets, tclass, perms):
	for t in targets:
		have = access.allowed(source, t, tclass)
		if want == "yes" and perms - have:
			print("missing: %s %s:%s %s" % (source, t, tclass,
			    " ".join(sorted(perms - have))))
		if want == "no" and (have if perms == {"*"} else
		    have & perms):
			print("allowed: %s %s:%s %s" % (source, t, tclass,
			    " ".join(sorted(have))))


main()

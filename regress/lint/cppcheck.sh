#!/bin/sh
# SPDX-License-Identifier: ISC
#
# cppcheck(1) over the programs and their libraries.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr
need "cppcheck" cppcheck

for dir in common lib parent frontend vmengine ctl guest; do
	verdict "cppcheck $dir" "$(cppcheck --quiet --std=c11 -j 2 \
	    --platform=unix64 --enable=warning,portability,performance \
	    --inconclusive --error-exitcode=1 \
	    --library=regress/lint/cppcheck.cfg \
	    --suppressions-list=regress/lint/cppcheck.supp \
	    -D_GNU_SOURCE -DLIBBSD_OVERLAY -D__linux__ -I/usr/include/bsd \
	    -Icommon -Ilib -I"$dir" \
	    --template='{file}:{line}: {severity}: {message} [{id}]' \
	    "$dir" 2>&1 || :)"
done
exit "$lint_failed"

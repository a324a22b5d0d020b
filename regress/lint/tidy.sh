#!/bin/sh
# SPDX-License-Identifier: ISC
#
# clang-tidy(1) with the checks of .clang-tidy, two files at a time.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr
need "clang-tidy" clang-tidy

for dir in common lib parent frontend vmengine ctl guest; do
	verdict "clang-tidy $dir" "$(find "$dir" -name '*.c' | sort |
	    xargs -P 2 -I '{}' clang-tidy --quiet '{}' -- -std=gnu11 \
	    -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
	    -Icommon -Ilib "-I$dir" -DCCP_VERSION='"lint"' 2>/dev/null || :)"
done
exit "$lint_failed"

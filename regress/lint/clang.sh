#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Everything builds without a warning with the other compiler as well.

set -u
cd "$(dirname "$0")/../.." || exit 1

if ! command -v clang >/dev/null 2>&1; then
	echo "skip - lint: build with clang: no clang"
	exit 0
fi
if out=$(env -u MAKEFLAGS -u MAKELEVEL make -s CC=clang BUILD=build/clang \
    programs tests 2>&1); then
	echo "ok - lint: build with clang"
else
	printf '%s\n' "$out" | grep -E 'error|warning' >&2
	echo "not ok - lint: build with clang"
	exit 1
fi

#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The manual pages: mandoc(1) finds nothing, and pages of ours that they
# refer to exist.  Which other packages' pages are installed does not matter.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr
need "manual pages" mandoc

for page in man/*.[1-9]; do
	verdict "${page#man/}" "$(mandoc -Tlint -Wstyle "$page" 2>&1 |
	    grep -v -e 'referenced manual not found' -e 'run makewhatis' ||
	    :)"
	verdict "${page#man/} renders" "$(mandoc -Tutf8 "$page" 2>&1 \
	    >/dev/null | head -n 5)"
done

verdict "manual pages refer to pages that exist" "$(for page in man/*.[1-9]
do
	sed -n 's/^\.Xr \(cc[a-z-]*\) \([1-9]\).*/\1.\2/p' "$page" | sort -u |
	    while read -r ref; do
		[ -f "man/$ref" ] || echo "$page: no $ref"
	done
done)"
exit "$lint_failed"

#!/bin/sh
# SPDX-License-Identifier: ISC
#
# What no compiler looks at: line lengths, white space, licences, leftovers.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr

# shellcheck disable=SC2046 # no name has blanks
set -- $(sources)
verdict "no line beyond column 80 in C" "$(for f; do
	expand "$f" | awk -v f="$f" 'length > 80 { print f ":" NR ": " $0 }'
done)"
verdict "tabs indent C" "$(grep -nP '^ {5,}[^ ]|^ {8}|^ +\t' "$@" |
    grep -vE '^[^:]*:[0-9]*: \*' || :)"
verdict "C begins with the licence" "$(for f; do
	head -n 1 "$f" | grep -qx '/\* SPDX-License-Identifier: ISC \*/' ||
	    echo "$f"
done)"

# shellcheck disable=SC2046
set -- $(find . -type f -not -path './.git/*' -not -path './build/*' \
    -not -path './regress/fuzz/corpus/*' -not -name '*.pyc' | sort)
verdict "no white space at the end of a line" \
    "$(grep -InE '[[:blank:]]+$' "$@" || :)"
verdict "files end with a newline" "$(for f; do
	[ -s "$f" ] && [ -n "$(tail -c 1 "$f")" ] && echo "$f"
done; :)"
verdict "nothing is left to be done" \
    "$(grep -InwE 'TODO|FIXME|XXX|HACK' "$@" |
    grep -v '^\./regress/lint/style\.sh:' || :)"
verdict "scripts and pages name the licence" "$(for f; do
	case $f in
	*.sh | *.py | *.mk | */Makefile | *.[1-9] | ./.ci/run)
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: ISC' ||
		    echo "$f" ;;
	esac
done)"
exit "$lint_failed"

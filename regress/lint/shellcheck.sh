#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Every shell script of the tree.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr
need "shell scripts" shellcheck

for script in $(find . -name '*.sh' -not -path './build/*' | sort) .ci/run
do
	[ -f "$script" ] || continue
	case $script in
	./regress/lint/lint.subr)	sh=--shell=sh ;;
	*)			sh= ;;
	esac
	verdict "${script#./}" "$(shellcheck ${sh:+"$sh"} -x --source-path=. \
	    "$script" || :)"
done
exit "$lint_failed"

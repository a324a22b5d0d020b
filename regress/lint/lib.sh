# SPDX-License-Identifier: ISC
#
# What the lint scripts share: . it after cd'ing to the top directory.
# A lint prints one line per check and exits 1 if any failed; what was
# found goes to standard error.

# shellcheck disable=SC2034 # used by those who read this file
CCP_BUILD=${CCP_BUILD:-build}
lint_failed=0

ok() {
	echo "ok - lint: $1"
}

not_ok() {
	echo "not ok - lint: $1"
	lint_failed=1
}

skip() {
	echo "skip - lint: $1: $2"
}

# need what tool: skip the whole script if the tool is not there.
need() {
	command -v "$2" >/dev/null 2>&1 && return
	skip "$1" "$2 is not installed"
	exit 0
}

# verdict what findings: empty is good.
verdict() {
	if [ -z "$2" ]; then
		ok "$1"
	else
		printf '%s\n' "$2" >&2
		not_ok "$1"
	fi
}

# Our C sources and headers.
sources() {
	find common lib parent frontend vmengine ctl guest regress \
	    -name '*.[ch]' | sort
}

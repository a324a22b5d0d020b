#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The clock of the day may be set at any time: only what is shown to somebody
# goes by it.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr

verdict "nothing waits by the clock of the day" "$(grep -nE \
    '\b(gettimeofday|time)\(|CLOCK_REALTIME|event_base_gettimeofday' \
    common/*.c parent/*.[cy] frontend/*.c vmengine/*.c lib/*.c |
    grep -vE '^(parent/logsink|common/(warmup|scmp))\.c:' |
    grep -v 'fenv->started = (uint64_t)time(NULL)' || :)"
exit "$lint_failed"

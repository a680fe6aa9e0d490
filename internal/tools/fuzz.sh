#!/bin/sh
# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

# Fuzzes every parser for a while: fuzz.sh 60s. An input that fails is left in testdata/fuzz
# of the package. Inputs that reach new code are tried 20 times in smaller form, not for a
# minute, in which nothing new is tried.
set -eu
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
grep -rEo --include='*_test.go' --exclude-dir='_*' '^func Fuzz[A-Za-z]+' . | sed 's|^\(.*\)/[^/]*:func |\1 |' |
	while read -r dir name; do
		go test -C "$dir" -run '^$' -fuzz "^$name\$" -fuzztime "$1" -fuzzminimizetime 20x . >"$log" 2>&1 </dev/null || {
			cat "$log"
			exit 1
		}
		echo "$dir $name: $(grep -o 'execs: [0-9]*' "$log" | tail -1)"
	done

#!/bin/sh
# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

# Regenerates everything in a copy of the work tree that has another name, and
# fails if a file changes there.
set -eu
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
copy=$tmp/another-name
mkdir "$copy"
# A copy, not a clone: it holds what is not committed yet, too.
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
	tar --null --ignore-failed-read -T - -cf - | tar -xf - -C "$copy"
cd "$copy"
git init -q .
git add -A
make -s generate
changed=$(git status --porcelain | grep -v '^A  ' || true)
if [ -n "$changed" ]; then
	echo "generated files are out of date, run make generate:"
	echo "$changed"
	git --no-pager diff --stat
	exit 1
fi
echo "generated files are up to date"

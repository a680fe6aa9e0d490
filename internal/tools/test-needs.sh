#!/bin/sh
# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

# Says at once what the tests lack on this machine. With the argument stacks: those of test/stacks.
set -eu
missing=
need() { # tool package
	command -v "$1" >/dev/null || missing="$missing
  $1: apt-get install $2"
}
command -v go >/dev/null || missing="
  go: install Go 1.26 or newer from https://go.dev/dl"
need gcc 'gcc libc6-dev'
need python3 python3
need git git
if [ "${1:-}" = stacks ]; then
	need g++ g++
	need clang-19 clang-19
	need clang++-19 clang-19
	need rustc rustc
	need musl-gcc musl-tools
fi
if [ -n "$missing" ]; then
	echo "The tests need tools that are missing:$missing"
	exit 1
fi

skipped() {
	echo "The tests on the kernel are skipped: $1"
	[ "${CI:-}" != true ] || { echo "CI=true does not accept that."; exit 1; }
}
if [ "$(uname -s)" != Linux ]; then
	skipped "this is no Linux."
elif [ "$(id -u)" != 0 ]; then
	skipped "not root. To run them: sudo env PATH=\"\$PATH\" make test"
elif [ ! -r /sys/kernel/btf/vmlinux ]; then
	skipped "the kernel has no BTF (/sys/kernel/btf/vmlinux), it needs CONFIG_DEBUG_INFO_BTF=y."
fi

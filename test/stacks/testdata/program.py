# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

"""Burns a CPU below 20 callbacks of sorted, each of which is a loop of the interpreter."""


def burn():
    n = 0
    while True:
        n ^= 1


def link(n):
    if n == 0:
        burn()
    sorted([n - 1], key=link)


print("ready", flush=True)
link(20)

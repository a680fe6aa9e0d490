# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

"""Burns one CPU in the interpreter."""


def burn(n):
    x = 0
    for i in range(n):
        x = (x * 31 + i) & 0xFFFFFFFF
    return x


print("ready", flush=True)
while True:
    burn(1_000_000)

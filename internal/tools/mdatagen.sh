#!/bin/sh
# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

# Runs mdatagen on the metadata.yaml of the repository, or of its folder $1. It
# names the package after the directory, so it works through a link with the right
# name, whatever this clone is called.
set -eu
tools=$(cd "$(dirname "$0")" && pwd -P)
link=$(mktemp -d)
trap 'rm -rf "$link"' EXIT
go build -C "$tools" -o "$link/mdatagen" go.opentelemetry.io/collector/cmd/mdatagen
ln -s "$(dirname "$(dirname "$tools")")" "$link/ebpfprofilerreceiver"
cd "$link/ebpfprofilerreceiver/${1:-.}"
"$link/mdatagen" metadata.yaml

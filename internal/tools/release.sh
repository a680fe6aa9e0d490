#!/bin/sh
# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

# Makes a release of the commit at hand, with a tag for each module that users import,
# and begins the next version: release.sh v0.1.0. Pushes nothing.
set -eu
cd "$(dirname "$0")/../.."
fail() {
	echo "release: $1" >&2
	exit 1
}
release=${1:-}
echo "$release" | grep -Eqx 'v(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}' || fail "\"$release\" is no version, want one like v0.1.0"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
tags=$release
for module in exporter/*/go.mod; do
	tags="$tags ${module%/go.mod}/$release"
done
for tag in $tags; do
	! git rev-parse -q --verify "refs/tags/$tag" >/dev/null || fail "tag $tag exists"
done
sed -n '/^## Unreleased$/,/^## v/p' CHANGELOG.md | grep -q '^- ' || fail "nothing is unreleased in CHANGELOG.md"

# number writes the version of what is built.
number() {
	sed -i "s/^  version: .*/  version: $1/" builder-config.yaml builder-config-contrib.yaml test/builder-config-e2e.yaml
	sed -i "s/^\( *image: .*otelcol-ebpf-profiler:\).*/\1$1/" deploy/kubernetes/daemonset.yaml
	sed -i "s/^  tag: .*/  tag: $1/" deploy/kubernetes/values.yaml
}

number "${release#v}"
sed -i "s/^## Unreleased$/&\n\n## $release/" CHANGELOG.md
# Manifests of readers name the version, and a clone no more.
sed -i -e "s/\(ebpfprofilerreceiver\) v[0-9.]*$/\1 $release/" -e '/path: \.\.\/ebpfprofilerreceiver/d' README.md docs/operate.md
git commit -qam "Release $release"
for tag in $tags; do
	git tag -a -m "$release" "$tag"
done
minor=${release#v*.}
next=${release%%.*}.$((${minor%.*} + 1)).0
number "${next#v}-dev"
git commit -qam "Begin $next"
echo "Check the commit and the tags, then: git push origin HEAD $tags"

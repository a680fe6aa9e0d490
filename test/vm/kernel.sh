#!/bin/bash
# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

# Fetches the newest kernel of a Debian suite into a folder: vmlinuz and version.
# apt checks the signatures. It has a configuration of its own, so the suites of
# this machine do not matter, and nothing is installed.
set -euo pipefail
suite=$1 folder=$2
case $suite in
bookworm) sources="bookworm bookworm-security" ;;
trixie) sources="trixie trixie-security" ;;
*) echo "unknown suite $suite" >&2; exit 2 ;;
esac
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
mkdir -p "$folder"/apt/{etc/apt/preferences.d,var/lib/apt/lists/partial,var/lib/dpkg,var/cache/apt/archives/partial}
touch "$folder/apt/var/lib/dpkg/status"
signed=[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]
for s in $sources; do
	case $s in
	*-security) echo "deb $signed http://deb.debian.org/debian-security $s main" ;;
	*) echo "deb $signed http://deb.debian.org/debian $s main" ;;
	esac
done >"$folder/apt/etc/apt/sources.list"
options=(-q -o "Dir=$folder/apt" -o Dir::State::status="$folder/apt/var/lib/dpkg/status" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
package=$(apt-cache "${options[@]}" depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -1)
version=$(apt-cache "${options[@]}" policy "$package" | sed -n 's/^ *Candidate: //p')
if [ "$(cat "$folder/version" 2>/dev/null)" = "$package $version" ]; then
	exit 0
fi
cd "$folder"
rm -rf ./*.deb unpacked
apt-get "${options[@]}" download "$package"
dpkg-deb -x ./*.deb unpacked
mv unpacked/boot/vmlinuz-* vmlinuz
rm -rf ./*.deb unpacked
echo "$package $version" >version

#!/bin/bash
# Copyright The ebpf_profiler authors
# SPDX-License-Identifier: Apache-2.0

# Fetches the newest kernel of a Debian suite for an architecture into a folder:
# vmlinuz and its version, some of its modules if it has them, and busybox. apt checks the signatures. It has a
# configuration of its own, so the suites of this machine do not matter, and nothing
# is installed.
set -euo pipefail
suite=$1 arch=$2 folder=$3
case $suite in
sid) sources="sid" ;;
bullseye | bookworm | trixie) sources="$suite $suite-security" ;;
*) echo "unknown suite $suite" >&2; exit 2 ;;
esac
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
mkdir -p "$folder"/apt/{etc/apt/preferences.d,var/lib/apt/lists/partial,var/lib/dpkg,var/cache/apt/archives/partial}
touch "$folder/apt/var/lib/dpkg/status"
signed="[arch=$arch signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
for s in $sources; do
	case $s in
	*-security) echo "deb $signed http://deb.debian.org/debian-security $s main" ;;
	*) echo "deb $signed http://deb.debian.org/debian $s main" ;;
	esac
done >"$folder/apt/etc/apt/sources.list"
options=(-q -o "Dir=$folder/apt" -o Dir::State::status="$folder/apt/var/lib/dpkg/status" -o APT::Sandbox::User=root
	-o "APT::Architecture=$arch" -o "APT::Architectures=$arch")
apt-get "${options[@]}" update -o APT::Update::Error-Mode=any
# depends names the package that another depends on, by the beginning of its name.
depends() { apt-cache "${options[@]}" depends "$1" | sed -n "s/^ *Depends: \($2.*\)/\1/p" | head -1; }
package=$(depends "linux-image-cloud-$arch" linux-image-)
binary=$(depends "$package" linux-binary-) # holds the kernel in newer suites
package=${binary:-$package}
version=$(apt-cache "${options[@]}" policy "$package" | sed -n 's/^ *Candidate: //p')
if [ "$(cat "$folder/version" 2>/dev/null)" = "$package $version" ] && [ -d "$folder/modules" ]; then
	exit 0
fi
cd "$folder"
rm -rf ./*.deb unpacked version modules
apt-get "${options[@]}" download "$package" busybox-static
for deb in ./*.deb; do
	dpkg-deb -x "$deb" unpacked
done
find unpacked -type f -name 'vmlinuz*' -exec mv {} vmlinuz \;
find unpacked -type f -name busybox -exec mv {} busybox \;
mkdir modules
for m in libcrc32c xfs af_alg algif_hash wp512; do
	find unpacked -type f -name "$m.ko" -exec mv {} modules \;
	find unpacked -type f -name "$m.ko.xz" -exec sh -c 'xz -dc "$1" >"modules/$2.ko"' sh {} "$m" \;
done
rm -rf ./*.deb unpacked
[ -e vmlinuz ] && [ -e busybox ] || { echo "$package holds no kernel" >&2; exit 1; }
echo "$package $version" >version

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"bytes"
	"cmp"
	"strconv"
	"unicode/utf8"
)

// containerIDLen is the length of a container ID in Docker, containerd, CRI-O
// and Podman: 32 random bytes in hex.
const containerIDLen = 64

// parseCgroup returns the container ID in /proc/PID/cgroup, whose lines are
// "hierarchy:controllers:path" (kernel/cgroup/cgroup.c, proc_cgroup_show, v6.12).
// The unified hierarchy, number 0, is asked first: on hybrid hosts it may be
// unused, then the first of the others that knows counts.
func parseCgroup(b []byte) string {
	first := ""
	for line := range bytes.Lines(b) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		hierarchy, rest, _ := bytes.Cut(line, []byte(":"))
		_, path, ok := bytes.Cut(rest, []byte(":"))
		if !ok {
			continue
		}
		id := containerOf(path)
		if id == "" {
			continue
		}
		if string(hierarchy) == "0" {
			return id
		}
		if first == "" {
			first = id
		}
	}
	return first
}

// unified returns the path in the hierarchy of version 2.
func unified(b []byte) string {
	for line := range bytes.Lines(b) {
		if path, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("0::")); ok {
			return string(path)
		}
	}
	return ""
}

// containerOf returns the innermost container ID in a cgroup path. Inside a
// container there may be cgroups of its own making (init.scope), or containers.
func containerOf(path []byte) string {
	var below []byte
	for len(path) > 0 {
		i := bytes.LastIndexByte(path, '/')
		part := path[i+1:]
		if id := cmp.Or(containerID(part), machine(part, below)); id != "" {
			return id
		}
		path, below = path[:max(i, 0)], part
	}
	return ""
}

// machine returns the name of a container of systemd-nspawn, which is its ID. It has a
// part of a cgroup path and the part below:
//
//	systemd-nspawn@<name>.service/payload  started as a service; without payload in
//	                                       hierarchies of version 1
//	machine-<name>.scope/payload           started from a shell
//
// What supervises it is outside of it. Virtual machines have no payload.
func machine(part, below []byte) string {
	if name, ok := between(part, "systemd-nspawn@", ".service"); ok && string(below) != "supervisor" {
		return unescape(name)
	}
	if name, ok := between(part, "machine-", ".scope"); ok && string(below) == "payload" {
		return unescape(name)
	}
	return ""
}

func between(part []byte, prefix, suffix string) ([]byte, bool) {
	rest, begins := bytes.CutPrefix(part, []byte(prefix))
	rest, ends := bytes.CutSuffix(rest, []byte(suffix))
	return rest, begins && ends
}

// unescape turns what systemd writes as \x2d into what it stands for (systemd.unit(5)).
func unescape(name []byte) string {
	var out []byte
	for len(name) > 0 {
		if hex, ok := bytes.CutPrefix(name, []byte(`\x`)); ok && len(hex) >= 2 {
			if c, err := strconv.ParseUint(string(hex[:2]), 16, 8); err == nil {
				out, name = append(out, byte(c)), hex[2:]
				continue
			}
		}
		out, name = append(out, name[0]), name[1:]
	}
	if !utf8.Valid(out) {
		return "" // no machine is called so
	}
	return string(out)
}

// containerID returns the ID in one part of a cgroup path:
//
//	<id>                                 Docker, Kubernetes with cgroupfs
//	docker-<id>.scope                    systemd; also cri-containerd-, crio-, libpod-
//	kubepods-pod1.slice:cri-containerd:<id>  containerd, systemd's name without systemd
//
// The monitors of CRI-O and Podman (crio-conmon-<id>.scope) carry the ID of their
// container and are outside of it.
func containerID(part []byte) string {
	part = bytes.TrimSuffix(part, []byte(".scope"))
	if len(part) < containerIDLen {
		return ""
	}
	prefix, id := part[:len(part)-containerIDLen], part[len(part)-containerIDLen:]
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	if n := len(prefix); n > 0 && prefix[n-1] != '-' && prefix[n-1] != ':' || bytes.HasSuffix(prefix, []byte("-conmon-")) {
		return ""
	}
	return string(id)
}

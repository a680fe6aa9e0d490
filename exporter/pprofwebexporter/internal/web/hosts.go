// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net"
	"strings"
)

// Loopback tells whether a host, which may have a port, is this machine as seen
// from itself.
func Loopback(host string) bool {
	host = bare(host)
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// bare is a host without port, brackets and zone, in lower case.
func bare(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host, _, _ = strings.Cut(strings.Trim(host, "[]"), "%")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// hosts are the names that a request may be for. A page of another name, whose
// owner lets it lead to this address, must not read ours.
type hosts map[string]bool

func newHosts(names []string) hosts {
	h := hosts{}
	for _, name := range names {
		h[bare(name)] = true
	}
	return h
}

func (h hosts) allow(host string) bool { return Loopback(host) || h[bare(host)] }

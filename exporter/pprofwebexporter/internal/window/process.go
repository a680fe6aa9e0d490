// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package window

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
)

// Process is who the samples of a resource are of, as far as its attributes tell.
type Process struct {
	// Key is the same in every window for the same process only, Program for all
	// that run the same file in the same container or service.
	Key, Program                             string
	Name, Path, PID, Created, Host           string
	Container, Service, Pod, ServiceInstance string
}

func processOf(attributes pcommon.Map) Process {
	get := func(name string) string {
		v, ok := attributes.Get(name)
		if !ok {
			return ""
		}
		return convert.Cut(v.AsString())
	}
	p := Process{
		Name: get("process.executable.name"), Path: get("process.executable.path"),
		PID: get("process.pid"), Created: get("process.creation.time"), Host: get("host.name"),
		Container: get("container.id"), Service: get("service.name"), Pod: get("k8s.pod.name"),
		ServiceInstance: get("service.instance.id"),
	}
	p.Key = key(p.Host, p.PID, p.Created, p.Name, p.Container, p.Service, p.ServiceInstance)
	p.Program = key(p.Host, p.Name, p.Path, p.Container, p.Service)
	if p.Name == "" {
		p.Name = p.fallback()
	}
	return p
}

// key is the same for the same texts only. A hash keeps addresses short.
func key(texts ...string) string {
	h := sha256.New()
	for _, s := range texts {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (p Process) fallback() string {
	for _, s := range []string{p.Service, p.Pod, p.Container, p.Host} {
		if s != "" {
			return s
		}
	}
	return "unknown"
}

// Matches tells whether the text is part of a name, whatever the case. All match
// the empty text.
func (p Process) Matches(search string) bool {
	search = strings.ToLower(search)
	for _, s := range []string{p.Name, p.PID, p.Path, p.Container, p.Service, p.Pod, p.Host} {
		if strings.Contains(strings.ToLower(s), search) {
			return true
		}
	}
	return false
}

func (p Process) size() int {
	return len(p.Key) + len(p.Program) + len(p.Name) + len(p.Path) + len(p.PID) + len(p.Created) + len(p.Host) +
		len(p.Container) + len(p.Service) + len(p.Pod) + len(p.ServiceInstance)
}

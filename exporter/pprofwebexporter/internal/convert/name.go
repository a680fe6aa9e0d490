// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"path"

	"github.com/google/pprof/profile"
)

// Name gives every location without a function the name of its file in brackets,
// for readers that show functions only.
func Name(p *profile.Profile) {
	named := map[string]*profile.Function{}
	for _, l := range p.Location {
		if len(l.Line) > 0 {
			continue
		}
		name := placeholder(l.Mapping)
		f, ok := named[name]
		if !ok {
			f = &profile.Function{ID: uint64(len(p.Function)) + 1, Name: name, SystemName: name}
			p.Function = append(p.Function, f)
			named[name] = f
		}
		l.Line = []profile.Line{{Function: f}}
	}
}

func placeholder(m *profile.Mapping) string {
	if m == nil || m.File == "" {
		return "[unknown]"
	}
	return "[" + path.Base(m.File) + "]"
}

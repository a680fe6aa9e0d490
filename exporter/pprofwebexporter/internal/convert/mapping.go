// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"github.com/google/pprof/profile"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

type mappingKey struct {
	start, limit, offset uint64
	file, buildID        string
}

// buildIDs are the attributes that tell which file a mapping is of, the one that
// pprof knows best first.
var buildIDs = []string{
	"process.executable.build_id.gnu",
	"process.executable.build_id.go",
	"process.executable.build_id.htlhash",
}

// mapping is nil if it is not set.
func (b *batch) mapping(i int32) *profile.Mapping {
	if i == 0 {
		return nil
	}
	if b.mappings[i] == nil {
		m := b.d.MappingTable().At(int(i))
		b.mappings[i] = b.into.mapping(mappingKey{
			m.MemoryStart(), m.MemoryLimit(), m.FileOffset(), text(b.d, m.FilenameStrindex()), b.buildID(m),
		})
	}
	return b.mappings[i]
}

// mapping returns the one mapping of that key.
func (b *Builder) mapping(key mappingKey) *profile.Mapping {
	if known, ok := b.mappings[key]; ok {
		return known
	}
	m := &profile.Mapping{Start: key.start, Limit: key.limit, Offset: key.offset, File: key.file, BuildID: key.buildID}
	b.profile.Mapping = append(b.profile.Mapping, m)
	m.ID = uint64(len(b.profile.Mapping))
	b.mappings[key] = m
	return m
}

func (b *batch) buildID(m pprofile.Mapping) string {
	found := make([]string, len(buildIDs))
	for _, i := range m.AttributeIndices().All() {
		if i == 0 {
			continue
		}
		a := b.d.AttributeTable().At(int(i))
		for j, name := range buildIDs {
			if text(b.d, a.KeyStrindex()) == name {
				found[j] = valid(a.Value().AsString())
			}
		}
	}
	for _, id := range found {
		if id != "" {
			return id
		}
	}
	return ""
}

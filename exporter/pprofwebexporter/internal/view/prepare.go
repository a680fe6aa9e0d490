// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"

	"github.com/google/pprof/profile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
)

const (
	// maxParts is how many packages and classes a name may have to be shortened.
	maxParts = 32
	// maxNames bounds the names of a page in bytes.
	maxNames = 64 << 20
)

// prepare makes the profile fit for reading: every frame has a name of reasonable
// length, its first file is the title that the driver shows, and there is no build
// ID for which it would search directories.
func prepare(p *profile.Profile, title string) error {
	if err := prepareNames(p); err != nil {
		return err
	}
	for _, s := range p.Sample {
		if process := s.Label["process"]; len(process) > 0 {
			s.Label["process"] = []string{keepWhole(convert.Cut(process[0]))}
		}
	}
	for _, m := range p.Mapping {
		m.BuildID = ""
	}
	front := &profile.Mapping{
		ID: uint64(len(p.Mapping)) + 1, File: title,
		HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true,
	}
	p.Mapping = append([]*profile.Mapping{front}, p.Mapping...)
	return nil
}

// prepareNames bounds names. The driver makes a list of each with every beginning
// cut off: a name of many parts would become as many names.
func prepareNames(p *profile.Profile) error {
	own := len(p.Function)
	convert.Name(p)
	total := 0
	for i, f := range p.Function {
		f.Name, f.Filename = convert.Cut(f.Name), convert.Cut(f.Filename)
		if i >= own || parts(f.Name) > maxParts {
			f.Name = keepWhole(f.Name)
		}
		total += len(f.Filename) + len(f.Name)*parts(f.Name)
	}
	if total > maxNames {
		return BadRequest("more names than a page can hold: choose a shorter time, or fewer processes")
	}
	return nil
}

// parts is into how many parts the driver takes a name.
func parts(name string) int { return 1 + strings.Count(name, ".") + strings.Count(name, "::") }

// whole has what looks like the separators.
var whole = strings.NewReplacer(".", "\u2024", "::", "\u2237")

// keepWhole makes a name that the driver takes for one part. Of a file's name it
// would leave out all but the ending where there is little room.
func keepWhole(name string) string { return whole.Replace(name) }

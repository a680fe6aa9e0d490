// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"debug/elf"
	_ "embed"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	//go:embed maps/main.c
	mapsSource []byte
	//go:embed maps/pages.c
	pagesSource []byte
)

// Maps is a program whose memory changes, see maps/main.c.
type Maps struct {
	// Program maps the pages of the files A and B, whose functions are a0 to a3 and b0
	// to b3.
	Program, A, B string
	offset        uint64
}

// BuildMaps builds it.
func BuildMaps(t testing.TB) Maps {
	t.Helper()
	m := Maps{Program: compile(t, "maps", mapsSource)}
	pages := func(name string) string {
		return compile(t, "pages_"+name, pagesSource, "-shared", "-nostdlib", "-fPIC", "-DPAGES="+name)
	}
	m.A, m.B = pages("a"), pages("b")
	f, err := elf.Open(m.A)
	require.NoError(t, err)
	defer f.Close()
	symbols, err := f.Symbols()
	require.NoError(t, err)
	for _, s := range symbols {
		if s.Name == "a0" {
			section := f.Sections[s.Section]
			m.offset = s.Value - section.Addr + section.Offset
		}
	}
	require.NotZero(t, m.offset)
	return m
}

// Command is what makes the program do something, for so long.
func (m Maps) Command(what string, number int) []string {
	return []string{m.Program, what, m.A, m.B, fmt.Sprint(m.offset), fmt.Sprint(number)}
}

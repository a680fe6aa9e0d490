// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bytes"
	"debug/elf"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVDSO(t *testing.T) {
	r, err := New("/", Given{})
	require.NoError(t, err)
	defer r.Close()
	image, err := r.VDSO()
	require.NoError(t, err)
	f, err := elf.NewFile(bytes.NewReader(image))
	require.NoError(t, err)
	symbols, err := f.DynamicSymbols()
	require.NoError(t, err)
	var names []string
	for _, s := range symbols {
		names = append(names, s.Name)
	}
	require.Contains(t, strings.Join(names, " "), "clock_gettime")
}

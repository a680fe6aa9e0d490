// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package vm

import (
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/symbols"
)

// addresses is how many of each module are named.
const addresses = 50_000

// addModules gives the machine kernel modules, with the names that llvm-symbolizer has for
// random places of their code.
func addModules(t *testing.T, dir, root string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "modules", "*.ko"))
	require.NoError(t, err)
	// The packages of sid keep modules elsewhere.
	require.True(t, len(files) > 0 || strings.HasPrefix(filepath.Base(dir), "sid-"), "no modules in %s", dir)
	at := filepath.Join(root, "modules")
	require.NoError(t, os.Mkdir(at, 0o755))
	for _, file := range files {
		run(t, "cp", file, at)
		want := names(t, file)
		require.NoError(t, os.WriteFile(filepath.Join(at, strings.TrimSuffix(filepath.Base(file), ".ko")+".want"), []byte(want), 0o644))
	}
}

// names are lines of an offset in the section of code and a name. The sections of a module
// begin all at 0, so the others are left out.
func names(t *testing.T, file string) string {
	t.Helper()
	code := filepath.Join(t.TempDir(), "code.o")
	run(t, "llvm-objcopy-19", "-j", ".text", "-j", ".symtab", "-j", ".strtab", file, code)
	f, err := elf.Open(code)
	require.NoError(t, err)
	size := f.Section(".text").Size
	require.NoError(t, f.Close())
	r := rand.New(rand.NewPCG(1, 2))
	offsets := make([]uint64, addresses)
	for i := range offsets {
		offsets[i] = r.Uint64N(size)
	}
	answers, err := symbols.Ask(code, offsets)
	require.NoError(t, err)
	var out strings.Builder
	for i, off := range offsets {
		name := ""
		if len(answers[i]) > 0 {
			name = answers[i][0].Function
		}
		fmt.Fprintf(&out, "%d %s\n", off, name)
	}
	return out.String()
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"bytes"
	"crypto/sha1"
	"debug/elf"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	//go:embed libraries/main.c
	librariesSource []byte
	//go:embed libraries/library.c
	librarySource []byte
)

// BuildLibraries makes a program that loads n libraries in turn, see
// libraries/main.c, and returns its command. No two are equal in build ID or in the
// name of the function they burn in, lib0000_burn and so on.
func BuildLibraries(t testing.TB, n int) []string {
	t.Helper()
	program := compile(t, "libraries", librariesSource)
	pattern, err := os.ReadFile(compile(t, "library", librarySource, "-shared", "-fPIC"))
	require.NoError(t, err)
	id := buildIDNote(t, pattern)
	dir := t.TempDir()
	for i := range n {
		name := fmt.Sprintf("lib%04d", i)
		sum := sha1.Sum([]byte(name))
		library := bytes.ReplaceAll(pattern, []byte("lib0000"), []byte(name))
		library = bytes.ReplaceAll(library, id, sum[:])
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".so"), library, 0o600))
	}
	return []string{program, dir, fmt.Sprint(n)}
}

// buildIDNote returns the bytes of a file's build ID.
func buildIDNote(t testing.TB, file []byte) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	require.NoError(t, err)
	note, err := f.Section(".note.gnu.build-id").Data()
	require.NoError(t, err)
	require.Len(t, note, 16+sha1.Size)
	return note[16:]
}

// LibraryOf returns the name of the library that a path is of, or nothing.
func LibraryOf(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".so")
	if strings.HasPrefix(name, "lib") && len(name) == len("lib0000") {
		return name
	}
	return ""
}

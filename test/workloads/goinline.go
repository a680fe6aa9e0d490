// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed goinline/main.go
var goInlineSource string

// BuildGoInline builds a Go program without symbols that burns two seconds of CPU
// time in main.inner, inlined into main.outer, and returns the line of inner that burns.
func BuildGoInline(t testing.TB) (program string, line int64) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	program = filepath.Join(dir, "goinline")
	require.NoError(t, os.WriteFile(source, []byte(goInlineSource), 0o600))
	out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, source).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for i, text := range strings.Split(goInlineSource, "\n") {
		if strings.Contains(text, "the line that burns") {
			return program, int64(i + 1)
		}
	}
	t.Fatal("no such line")
	return "", 0
}

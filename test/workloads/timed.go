// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

//go:embed timed/timed.c
var timedSource []byte

// Timed are programs that run with their accounts kept, see timed/timed.c.
type Timed struct{ dir, log string }

// BuildTimed makes the programs of these names be timed where Environment is used.
func BuildTimed(t testing.TB, names ...string) Timed {
	t.Helper()
	path := compile(t, "timed", timedSource, "-static")
	dir := filepath.Dir(path)
	for _, name := range names {
		require.NoError(t, os.Symlink(path, filepath.Join(dir, name)))
	}
	return Timed{dir, filepath.Join(dir, "log")}
}

// Environment is what makes a shell use them.
func (x Timed) Environment() []string {
	path := os.Getenv("PATH")
	return append(os.Environ(), "PATH="+x.dir+":"+path, "REAL_PATH="+path, "TIMED_LOG="+x.log)
}

// Run is a program that has run, with the CPU time of itself and of what it waited for.
type Run struct {
	Name string
	PID  int
	CPU  time.Duration
}

// Runs are those that have ended.
func (x Timed) Runs(t testing.TB) (all []Run) {
	t.Helper()
	log, err := os.ReadFile(x.log)
	require.NoError(t, err)
	for line := range strings.Lines(string(log)) {
		var r Run
		var us int64
		_, err := fmt.Sscan(line, &r.Name, &r.PID, &us)
		require.NoError(t, err, line)
		r.CPU = time.Duration(us) * time.Microsecond
		all = append(all, r)
	}
	return all
}

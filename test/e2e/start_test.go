// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// requireOneLine checks that the collector's last word is one line that says all
// of this. The log above it repeats it, framed by time and level.
func requireOneLine(t *testing.T, output string, says ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(output), "\n")
	last := lines[len(lines)-1]
	t.Log(last)
	require.True(t, strings.HasPrefix(last, "Error: "), output)
	for _, s := range says {
		assert.Contains(t, last, s)
	}
	assert.NotContains(t, output, "panic:")
	assert.NotContains(t, output, "goroutine ")
}

func TestGateIsNeeded(t *testing.T) {
	output := fails(t, []string{portVariable(t, "ZPAGES_PORT")}, collectorBinary(t), "--config=testdata/start.yaml")
	requireOneLine(t, output, `gated under the "service.profilesSupport" feature gate`)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(output), "\n")
	require.Contains(t, string(readme), lines[len(lines)-1], "README quotes the message")
}

// Every start that cannot work ends soon, and says why and what to do.
func TestBadStarts(t *testing.T) {
	roottest.Need(t)
	for _, test := range []struct {
		name string
		// within runs the collector where it cannot work.
		within []string
		env    []string
		says   []string
	}{
		{
			name:   "no capabilities",
			within: []string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"},
			says:   []string{"lacks CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE", "run as root or grant the capabilities"},
		},
		{
			name:   "PID namespace",
			within: []string{"unshare", "--pid", "--mount-proc", "--fork", "--kill-child"},
			says:   []string{"in a PID namespace of its own", "run on the host, or with hostPID: true or --pid=host"},
		},
		{
			name:   "shifted clock",
			within: []string{"unshare", "--time", "--monotonic", "1000", "--fork", "--kill-child"},
			says:   []string{"time namespace of this process shifts the monotonic clock by 1000 s", "run in the initial time namespace"},
		},
		{
			name: "root_path without proc",
			env:  []string{"ROOT_PATH=" + t.TempDir()},
			says: []string{"root_path", "must be where the host's root is mounted, with its /proc"},
		},
		{
			name: "no such listener",
			env:  []string{"LISTENERS=[completion_log/absent]"},
			says: []string{`completion_listeners: there is no extension "completion_log/absent"`, "add it under service::extensions"},
		},
		{
			name: "an extension that does not listen",
			env:  []string{"LISTENERS=[zpages]"},
			says: []string{`completion_listeners: the extension "zpages" does not listen to completions`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			command := append(test.within, collectorBinary(t), "--config=testdata/start.yaml", gate)
			requireOneLine(t, fails(t, append(test.env, portVariable(t, "ZPAGES_PORT")), command...), test.says...)
		})
	}
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// maxVerified is half of what the verifier looks at before it gives up
// (BPF_COMPLEXITY_LIMIT_INSNS in include/linux/bpf.h, v5.10 to v6.18).
const maxVerified = 500_000

var processed = regexp.MustCompile(`processed (\d+) insns`)

// A kernel that looks at some more instructions than this one takes the programs too.
func TestTheVerifierHasRoomToSpare(t *testing.T) {
	roottest.Need(t)
	require.NoError(t, rlimit.RemoveMemlock())
	for _, inParts := range []bool{false, true} {
		if !inParts && !hasLoop() {
			continue
		}
		spec, err := bpf.LoadProfiler()
		require.NoError(t, err)
		leaveOut(spec, inParts)
		c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
			Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
		})
		require.NoError(t, err)
		defer c.Close()
		for name, program := range c.Programs {
			found := processed.FindStringSubmatch(program.VerifierLog)
			require.NotNil(t, found, program.VerifierLog)
			n, err := strconv.Atoi(found[1])
			require.NoError(t, err)
			if n > 2 { // it is not left out
				t.Logf("verified %s %d", name, n)
			}
			require.Less(t, n, maxVerified, name)
		}
	}
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"encoding/binary"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// DamageUnwindInformation damages the first description in the .eh_frame of a program.
func DamageUnwindInformation(t testing.TB, program string) {
	t.Helper()
	section := program + ".eh_frame"
	objcopy := func(args ...string) {
		t.Helper()
		out, err := exec.Command("objcopy", append(args, program)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	objcopy("--dump-section", ".eh_frame="+section)
	content, err := os.ReadFile(section)
	require.NoError(t, err)
	first := 4 + binary.LittleEndian.Uint32(content)
	content[first+4] ^= 0x7f // how far back what it shares with others is
	require.NoError(t, os.WriteFile(section, content, 0o600))
	objcopy("--update-section", ".eh_frame="+section)
}

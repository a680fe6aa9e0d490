// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

// names resolves every frame to a function of its own.
type names struct{}

func (names) Resolve(f profile.Frame) profile.Location {
	l := profile.Location{Address: f.Offset, FrameType: "native", Mapping: profile.Mapping{Filename: "/lib/x.so"}}
	if f.Offset < 0x100 {
		l.Lines = []profile.Line{{Function: string(rune('a' + f.Offset))}}
	}
	return l
}

// write stores profiles as the file exporter does.
func write(t *testing.T, messages ...[]byte) string {
	t.Helper()
	var out []byte
	for _, m := range messages {
		out = binary.BigEndian.AppendUint32(out, uint32(len(m)))
		out = append(out, m...)
	}
	name := filepath.Join(t.TempDir(), "profiles")
	require.NoError(t, os.WriteFile(name, out, 0o600))
	return name
}

func window(t *testing.T) []byte {
	t.Helper()
	w := profile.NewWindow(0, 1000)
	owner := &profile.Owner{PID: 7, Attributes: []profile.Attribute{
		profile.IntAttribute("process.pid", 7), profile.StringAttribute("process.executable.name", "burn"),
	}}
	for i, offset := range []uint64{1, 1, 1, 0x1234} {
		w.Add(owner, profile.Labels{}, event.KTime(i+1), []profile.Frame{{Offset: offset}, {Offset: 2}})
	}
	var messages [][]byte
	for b := range w.Batches(profile.Settings{Period: time.Second, MaxBatchBytes: 1 << 20}, names{}) {
		b.Profiles.MarkReadOnly()
		m, err := (&pprofile.ProtoMarshaler{}).MarshalProfiles(b.Profiles)
		require.NoError(t, err)
		messages = append(messages, m)
	}
	require.Len(t, messages, 1)
	return messages[0]
}

func TestTheTableShowsWhatWasRunning(t *testing.T) {
	m := window(t)
	table, err := readTable(write(t, m, m), false)
	require.NoError(t, err)
	var out strings.Builder
	table.print(&out, 10)
	require.Equal(t, `
8 samples of busy CPU time, the functions that were running:

  SHARE  PROCESS                           FUNCTION
  75.0%  burn (7)                          b
  25.0%  burn (7)                          [x.so]
`, out.String())
}

func TestAFileThatIsStillWrittenEndsWithItsLastWholeMessage(t *testing.T) {
	m := window(t)
	name := write(t, m, m)
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	for _, cut := range []int{len(m) + 4, len(m) + 6, len(m) + 9, len(content) - 1} {
		require.NoError(t, os.WriteFile(name, content[:cut], 0o600))
		table, err := readTable(name, true)
		require.NoError(t, err)
		require.Equal(t, 4, table.total, "cut at %d", cut)
	}
}

func TestADamagedFileIsAnError(t *testing.T) {
	m := window(t)
	for name, content := range map[string][]byte{
		"cut":      append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m[:10]...),
		"too long": {0xff, 0xff, 0xff, 0xff, 0},
		"garbage":  {0, 0, 0, 2, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "profiles")
			require.NoError(t, os.WriteFile(file, content, 0o600))
			_, err := readTable(file, false)
			require.ErrorContains(t, err, file)
		})
	}
}

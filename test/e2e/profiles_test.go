// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/otlpcheck"
)

// sample is one moment at which a process was running.
type sample struct {
	pid     int64
	created string
	// at is Unix time in nanoseconds.
	at int64
	// kernel and user are the names of the frames, the innermost first; a frame
	// without a name is empty.
	kernel, user []string
}

// readProfiles reads what the file exporter writes in its proto format: messages,
// each behind its length in four bytes, big endian. All of them have to be whole
// and to keep the rules of OTLP.
func readProfiles(t testing.TB, name string) []pprofile.Profiles {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	var out []pprofile.Profiles
	for len(data) > 0 {
		require.GreaterOrEqual(t, len(data), 4, "%s ends within a length", name)
		size := int(binary.BigEndian.Uint32(data))
		require.GreaterOrEqual(t, len(data)-4, size, "%s ends within a message", name)
		p, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(data[4 : 4+size])
		require.NoError(t, err)
		require.NoError(t, otlpcheck.Check(p), "message %d of %s", len(out), name)
		out, data = append(out, p), data[4+size:]
	}
	require.NotEmpty(t, out, name)
	return out
}

// readSamples reads all samples of a file, whose messages are checked.
func readSamples(t testing.TB, name string) []sample {
	t.Helper()
	var out []sample
	for _, p := range readProfiles(t, name) {
		for _, rp := range p.ResourceProfiles().All() {
			owner := sample{
				pid:     attribute(rp.Resource().Attributes(), "process.pid").Int(),
				created: attribute(rp.Resource().Attributes(), "process.creation.time").Str(),
			}
			for _, sp := range rp.ScopeProfiles().All() {
				for _, profile := range sp.Profiles().All() {
					out = appendSamples(out, owner, p.Dictionary(), profile)
				}
			}
		}
	}
	return out
}

func appendSamples(out []sample, owner sample, d pprofile.ProfilesDictionary, p pprofile.Profile) []sample {
	for _, s := range p.Samples().All() {
		owner.kernel, owner.user = frames(d, s)
		for _, at := range s.TimestampsUnixNano().All() {
			owner.at = int64(at)
			out = append(out, owner)
		}
	}
	return out
}

func attribute(m pcommon.Map, key string) pcommon.Value {
	if v, ok := m.Get(key); ok {
		return v
	}
	return pcommon.NewValueEmpty()
}

func frames(d pprofile.ProfilesDictionary, s pprofile.Sample) (kernel, user []string) {
	stack := d.StackTable().At(int(s.StackIndex()))
	for _, i := range stack.LocationIndices().All() {
		location := d.LocationTable().At(int(i))
		name := ""
		if n := location.Lines().Len(); n > 0 {
			f := d.FunctionTable().At(int(location.Lines().At(n - 1).FunctionIndex()))
			name = d.StringTable().At(int(f.NameStrindex()))
		}
		if frameType(d, location) == "kernel" {
			kernel = append(kernel, name)
		} else {
			user = append(user, name)
		}
	}
	return kernel, user
}

func frameType(d pprofile.ProfilesDictionary, l pprofile.Location) string {
	for _, i := range l.AttributeIndices().All() {
		a := d.AttributeTable().At(int(i))
		if d.StringTable().At(int(a.KeyStrindex())) == "profile.frame.type" {
			return a.Value().Str()
		}
	}
	return ""
}

// of returns the samples of a process in (from, to].
func of(all []sample, pid int, from, to time.Time) []sample {
	var out []sample
	for _, s := range all {
		if s.pid == int64(pid) && s.at > from.UnixNano() && s.at <= to.UnixNano() {
			out = append(out, s)
		}
	}
	return out
}

// countBefore counts equal samples that were taken before a moment.
func countBefore(all []sample, end time.Time) map[string]int {
	out := map[string]int{}
	for _, s := range all {
		if s.at < end.UnixNano() {
			out[fmt.Sprintf("%d %d %s | %s", s.pid, s.at, strings.Join(s.kernel, ";"), strings.Join(s.user, ";"))]++
		}
	}
	return out
}

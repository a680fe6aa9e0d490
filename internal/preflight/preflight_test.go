// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package preflight

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKernelRelease(t *testing.T) {
	for release, want := range map[string]string{
		"5.9.16":                 "Linux 5.10 or newer is needed",
		"4.19.0-27-amd64":        "Linux 5.10 or newer is needed",
		"5.10.0-30-amd64":        "",
		"6.18.44-fc-v595":        "",
		"7.2.13+deb14-amd64":     "",
		"10.0-rc1":               "",
		"unknown":                "has no version",
		"x.y.z":                  "has no version",
		"99999999999999999999.1": "has no version",
	} {
		err := kernelRelease(release, false)
		if want == "" {
			require.NoError(t, err, release)
		} else {
			require.ErrorContains(t, err, want, release)
		}
	}
	require.ErrorContains(t, kernelRelease("6.6.1-rt", true), "Linux 6.12 or newer is needed")
	require.NoError(t, kernelRelease("6.12.1-rt", true))
}

func TestCapabilities(t *testing.T) {
	effective, err := parseCapabilities("Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n")
	require.NoError(t, err)
	require.EqualValues(t, 0x1ffffffffff, effective)
	_, err = parseCapabilities("nothing")
	require.ErrorContains(t, err, "read the capabilities")

	require.NoError(t, capabilitiesIn(0x1ffffffffff))
	require.NoError(t, capabilitiesIn(0xc000080000), "BPF, PERFMON and SYS_PTRACE")
	require.NoError(t, capabilitiesIn(0x280000), "SYS_ADMIN and SYS_PTRACE")
	require.EqualError(t, capabilitiesIn(0),
		"this process lacks CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE: run as root or grant the capabilities")
	require.ErrorContains(t, capabilitiesIn(0x200000), "lacks CAP_SYS_PTRACE:")
}

func TestOwnersFiles(t *testing.T) {
	require.NoError(t, ownersFilesWith(1<<2), "DAC_READ_SEARCH")
	require.ErrorContains(t, ownersFilesWith(1<<1), "grant CAP_DAC_READ_SEARCH", "DAC_OVERRIDE opens no control group by handle")
	require.ErrorContains(t, ownersFilesWith(0xc000080000), "grant CAP_DAC_READ_SEARCH")
}

func TestKernelAddresses(t *testing.T) {
	require.NoError(t, kernelAddressesIn("0000000000000000 A fixed\nffffffff81000000 T _text\n"))
	require.ErrorContains(t, kernelAddressesIn("0000000000000000 A fixed\n0000000000000000 T _text\n"), "grant CAP_SYSLOG")
	require.ErrorContains(t, kernelAddressesIn(""), "grant CAP_SYSLOG")
}

func TestTimeOffsets(t *testing.T) {
	require.NoError(t, timeOffsets("monotonic           0         0\nboottime            0         0\n"))
	require.ErrorContains(t, timeOffsets("monotonic        1000         0\n"), "shifts the monotonic clock by 1000 s")
	require.ErrorContains(t, timeOffsets("boottime            0        -5\n"), "initial time namespace")
}

func TestNowIsMonotonic(t *testing.T) {
	a, start := Now(), time.Now()
	time.Sleep(10 * time.Millisecond)
	b := Now()
	require.InDelta(t, time.Since(start).Seconds(), time.Duration(b-a).Seconds(), 0.5)
}

func TestSampleRate(t *testing.T) {
	require.NoError(t, sampleRate(997, "100000\n"))
	require.NoError(t, sampleRate(1000, "1000\n"))
	require.ErrorContains(t, sampleRate(4999, "1000\n"), "about 1000 are taken")
	require.ErrorContains(t, sampleRate(4999, ""), "look up the limit")
}

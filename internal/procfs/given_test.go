// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseArgs(t *testing.T) {
	long := strings.Repeat("x", maxArgsBytes-1)
	for name, tt := range map[string]struct {
		file string
		want []string
	}{
		"none":                  {"", nil},
		"empty":                 {"\x00\x00", nil},
		"one":                   {"init\x00", []string{"init"}},
		"several":               {"sh\x00-c\x00a b=c\x00", []string{"sh", "-c", "a b=c"}},
		"empty ones":            {"sh\x00\x00\x00-x\x00", []string{"sh", "", "", "-x"}},
		"a title":               {"nginx: worker process\x00\x00\x00\x00", []string{"nginx: worker process"}},
		"not UTF-8":             {"\xff\xfe\x00", []string{"\xff\xfe"}},
		"as long as may be":     {long + "\x00", []string{long}},
		"too long":              {long + "x\x00", nil},
		"too long together":     {"a\x00" + long + "\x00b\x00", []string{"a"}},
		"the last does not fit": {long[2:] + "\x00b\x00c\x00", []string{long[2:], "b"}},
	} {
		require.Equal(t, tt.want, parseArgs([]byte(tt.file)), name)
	}
}

func TestFindVariables(t *testing.T) {
	long := strings.Repeat("x", maxVariablesBytes)
	for name, tt := range map[string]struct {
		file  string
		names []string
		want  map[string]string
	}{
		"empty":            {"", []string{"A"}, nil},
		"among others":     {"AA=1\x00A=2\x00B=3\x00", []string{"A"}, map[string]string{"A": "2"}},
		"several":          {"A=1\x00B=2\x00C=3\x00", []string{"C", "A", "D"}, map[string]string{"A": "1", "C": "3"}},
		"exact case":       {"a=1\x00", []string{"A"}, nil},
		"value with =":     {"A=b=c\x00", []string{"A"}, map[string]string{"A": "b=c"}},
		"no value":         {"A=\x00B\x00", []string{"A", "B"}, map[string]string{"A": ""}},
		"the first counts": {"A=1\x00A=2\x00", []string{"A", "B"}, map[string]string{"A": "1"}},
		"cut off":          {"A=1\x00B=2", []string{"A", "B"}, map[string]string{"A": "1"}},
		"too long":         {"A=" + long + "\x00B=2\x00", []string{"A", "B"}, map[string]string{"B": "2"}},
		"too long together": {
			"A=" + long[:5000] + "\x00B=" + long[:5000] + "\x00C=3\x00", []string{"A", "B", "C"},
			map[string]string{"A": long[:5000], "C": "3"},
		},
		"the first counts, too long": {"A=" + long + "\x00A=1\x00B=2\x00", []string{"A", "B"}, map[string]string{"B": "2"}},
		"the first counts, left out": {
			"A=" + long[:5000] + "\x00B=" + long[:5000] + "\x00B=3\x00C=4\x00", []string{"A", "B", "C"},
			map[string]string{"A": long[:5000], "C": "4"},
		},
		"long others": {long + long + "\x00A=1\x00", []string{"A"}, map[string]string{"A": "1"}},
	} {
		found, _ := findVariables([]byte(tt.file), tt.names)
		require.Equal(t, tt.want, found, name)
	}
	_, left := findVariables([]byte("A="+long+"\x00A="+long+"\x00B="+long+"\x00"), []string{"A", "B", "C"})
	require.Equal(t, 2, left, "each variable is counted once")
}

func FuzzFindVariables(f *testing.F) {
	f.Add([]byte("A=1\x00B=2\x00"))
	names := []string{"A", "B"}
	f.Fuzz(func(t *testing.T, b []byte) {
		found, _ := findVariables(b, names)
		for name, value := range found {
			require.Contains(t, names, name)
			require.LessOrEqual(t, len(name)+len(value), maxVariablesBytes)
			entries := bytes.Split(b, []byte{0})
			require.True(t, slices.ContainsFunc(entries, func(e []byte) bool { return string(e) == name+"="+value }))
		}
	})
}

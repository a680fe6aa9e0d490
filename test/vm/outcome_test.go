// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package vm

import (
	"bufio"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// outcome is what a machine said.
type outcome struct {
	kernel string
	// passed are the programs that did.
	passed []string
	// tests says of each test whether it was passed or skipped, and how.
	tests map[string]string
	// verified is how many instructions the verifier looked at, by program.
	verified map[string]int
}

var (
	kernelLine   = regexp.MustCompile(`vm: kernel (\S+)$`)
	passedLine   = regexp.MustCompile(`^vm: passed (\S+)$`)
	testLine     = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\w+) `)
	verifiedLine = regexp.MustCompile(`: verified (\w+) (\d+)$`)
)

// follow logs what the machine says, up to its end.
func follow(t *testing.T, console io.Reader) *outcome {
	t.Helper()
	o, ended := &outcome{tests: map[string]string{}, verified: map[string]int{}}, false
	for lines := bufio.NewScanner(console); lines.Scan(); {
		line := strings.TrimRight(lines.Text(), "\r")
		t.Log(line)
		o.add(t, line)
		ended = ended || line == "vm: end"
	}
	require.True(t, ended, "the machine did not come to its end")
	return o
}

func (o *outcome) add(t *testing.T, line string) {
	t.Helper()
	if m := kernelLine.FindStringSubmatch(line); m != nil {
		o.kernel = m[1]
	}
	if m := passedLine.FindStringSubmatch(line); m != nil {
		o.passed = append(o.passed, m[1])
	}
	if m := testLine.FindStringSubmatch(line); m != nil {
		o.tests[m[2]] = m[1]
	}
	if m := verifiedLine.FindStringSubmatch(line); m != nil {
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		o.verified[m[1]] = n
	}
}

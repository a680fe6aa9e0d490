// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"bytes"
	"slices"
	"strings"
)

const (
	// maxArgsBytes bounds the arguments kept of a process, maxVariablesBytes the
	// names and values of its variables. Both together, three times longer when
	// they are not UTF-8, fit into the smallest batch.
	maxArgsBytes      = 4 << 10
	maxVariablesBytes = 8 << 10
	// maxEnvironBytes bounds what is searched for variables: more than a quarter
	// of the usual stack, which is all that exec takes (fs/exec.c, bprm_stack_limits,
	// v6.12).
	maxEnvironBytes = 4 << 20
)

// Given says which of the things a process was started with are read. They may
// hold secrets.
type Given struct {
	CommandArgs bool
	// Variables are names of environment variables.
	Variables []string
	// Service: the variables that say of which service it is a part.
	Service bool
}

// parseArgs splits a cmdline file. Arguments that do not fit into the limit are
// left out, with those behind them. Empty ones at the end are not told from what
// a process leaves behind that writes a title over its arguments.
func parseArgs(b []byte) (args []string) {
	b = bytes.TrimRight(b, "\x00")
	if len(b) == 0 {
		return nil
	}
	room := maxArgsBytes
	for arg := range strings.SplitSeq(string(b[:min(len(b), maxArgsBytes+1)]), "\x00") {
		if room -= len(arg) + 1; room < 0 {
			break
		}
		args = append(args, arg)
	}
	return args
}

// findVariables looks for variables in an environ file. Of several with one name the first
// counts, as it does for getenv. What does not fit into the limit is left out and counted;
// what has no NUL behind it is not one.
func findVariables(environ []byte, names []string) (found map[string]string, left int) {
	room, missing := maxVariablesBytes, slices.Clone(names)
	for len(missing) > 0 {
		entry, rest, ok := bytes.Cut(environ, []byte{0})
		if !ok {
			break
		}
		environ = rest
		name, value, ok := bytes.Cut(entry, []byte{'='})
		i := slices.Index(missing, string(name))
		if !ok || i < 0 {
			continue
		}
		missing = slices.Delete(missing, i, i+1)
		if len(entry) > room {
			left++
			continue
		}
		room -= len(entry)
		if found == nil {
			found = map[string]string{}
		}
		found[string(name)] = string(value)
	}
	return found, left
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
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

// findVariables reads an environ file for variables. Of several with one name
// the first counts, as it does for getenv. What is longer than a buffer or does
// not fit into the limit is left out and counted.
func findVariables(r io.Reader, names []string) (found map[string]string, left int, err error) {
	found = map[string]string{}
	room := maxVariablesBytes
	in := bufio.NewReaderSize(io.LimitReader(r, maxEnvironBytes), maxVariablesBytes)
	for len(found) < len(names) {
		entry, cut, err := readEntry(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		name, value, ok := strings.Cut(entry, "=")
		if _, again := found[name]; !ok || again || !slices.Contains(names, name) {
			continue
		}
		if size := len(entry); !cut && size <= room {
			room -= size
			found[name] = value
		} else {
			left++
		}
	}
	if len(found) == 0 {
		return nil, left, nil
	}
	return found, left, nil
}

// readEntry returns the next entry without its NUL, cut for one that is longer than the
// buffer. What has no NUL is not returned.
func readEntry(in *bufio.Reader) (text string, cut bool, err error) {
	entry, err := in.ReadSlice(0)
	if err == nil {
		return string(entry[:len(entry)-1]), false, nil
	}
	text = string(entry)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice(0)
	}
	return text, true, err
}

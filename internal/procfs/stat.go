// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"bytes"
	"errors"
	"strconv"
)

var errStat = errors.New("stat is not understood")

// stat is what we need of /proc/PID/stat.
type stat struct {
	// left: the main thread has ended; others may run on.
	left      bool
	parent    uint32
	startTick uint64
}

// Fields of /proc/PID/stat behind the name, which is the second field: the
// state is 0 (fs/proc/array.c, do_task_stat, v6.12).
const (
	fieldState  = 0
	fieldParent = 1
	fieldStart  = 19
)

// parseStat reads /proc/PID/stat. The name may hold anything, also spaces and
// parentheses; what follows it is numbers, so it ends at the last parenthesis.
func parseStat(b []byte) (stat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return stat{}, errStat
	}
	var s stat
	b = b[i+1:]
	for field := 0; field <= fieldStart; field++ {
		b = bytes.TrimLeft(b, " ")
		word := b
		if i := bytes.IndexAny(b, " \n"); i >= 0 {
			word = b[:i]
		}
		b = b[len(word):]
		var err error
		switch field {
		case fieldState:
			s.left = string(word) == "Z" || string(word) == "X"
		case fieldParent:
			var parent uint64
			parent, err = strconv.ParseUint(string(word), 10, 32)
			s.parent = uint32(parent)
		case fieldStart:
			s.startTick, err = strconv.ParseUint(string(word), 10, 64)
		}
		if err != nil || len(word) == 0 {
			return stat{}, errStat
		}
	}
	return s, nil
}

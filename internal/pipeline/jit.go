// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"path"
	"slices"
	"strings"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// PerfMapRequest asks for the names of the code that a process made at run time.
type PerfMapRequest struct {
	PID  uint32
	life *process.Life
	// Since is when its program began, or before: older lists are of what ran before.
	Since event.KTime
	// Size is how large the list was when it was read last. If it has that size
	// still there is nothing to read.
	Size int64
}

// PerfMapAnswer is what became of a request.
type PerfMapAnswer struct {
	PerfMapRequest
	// From and To enclose the read, StartTick is the start of who was read in ticks
	// of 10 ms, as in process.Answer.
	From, To  event.KTime
	StartTick uint64
	// Map is nil if there is no list, or nothing new. Size is that of the list. Refused:
	// there is, but it was not read.
	Map     *symbol.PerfMap
	Size    int64
	Refused bool
}

const (
	// maxPerfMapBytes bounds what is kept of all lists.
	maxPerfMapBytes = 64 << 20
	// maxPerfMapRequests bounds the requests that wait.
	maxPerfMapRequests = 256
)

// jit knows the code that processes made at run time.
type jit struct {
	on    bool
	maps  map[*process.Life]*perfMap
	bytes int
	queue []PerfMapRequest
	// answers wait for the completion that covers them.
	answers []PerfMapAnswer
	stats   PerfMaps
}

type perfMap struct {
	names *symbol.PerfMap
	size  int64
	asked bool // and not answered
}

// PerfMaps counts the reads of lists of code made at run time.
type PerfMaps struct {
	// Read brought names, Unchanged and Absent none. Refused are those of a process
	// that was over by then, TooLarge those beyond what is kept, or read, of all.
	Read, Unchanged, Absent, Refused, TooLarge uint64
}

func newJIT(on bool) *jit { return &jit{on: on, maps: map[*process.Life]*perfMap{}} }

// want asks for the names of a life's code, or for what was added to them.
func (j *jit) want(life *process.Life) {
	if !j.on || !life.Current() { // of what is over there is no list, and nobody would forget it
		return
	}
	m := j.maps[life]
	if m == nil {
		m = &perfMap{}
		j.maps[life] = m
	}
	if m.asked || len(j.queue) >= maxPerfMapRequests {
		return
	}
	m.asked = true
	j.queue = append(j.queue, PerfMapRequest{PID: life.Proc.PID, life: life, Since: life.Since(), Size: m.size})
}

// knows reports whether the code at an address has a name.
func (j *jit) knows(life *process.Life, address uint64) bool {
	m := j.maps[life]
	if m == nil || m.names == nil {
		return false
	}
	_, ok := m.names.Name(address)
	return ok
}

// of returns the names of a life's code, or nil.
func (j *jit) of(life *process.Life) *symbol.PerfMap {
	if m := j.maps[life]; m != nil {
		return m.names
	}
	return nil
}

func (j *jit) requests(n int) []PerfMapRequest {
	n = min(n, len(j.queue))
	out := j.queue[:n:n]
	j.queue = j.queue[n:]
	return out
}

// complete takes over the answers that w covers and that are of the life asked for:
// like any read of /proc, one may be of the next process with the PID.
func (j *jit) complete(w event.KTime) {
	j.answers = slices.DeleteFunc(j.answers, func(a PerfMapAnswer) bool {
		if a.To > w {
			return false
		}
		j.settle(&a)
		return true
	})
}

func (j *jit) settle(a *PerfMapAnswer) {
	m := j.maps[a.life]
	if m == nil {
		j.stats.Refused++
		return // it has been forgotten
	}
	m.asked = false
	switch {
	case a.Refused:
		j.stats.TooLarge++ // it is asked for again
	case a.Map == nil && a.Size > 0:
		j.stats.Unchanged++
	case a.Map == nil:
		j.stats.Absent++
	case !a.life.Ran(a.To) || !a.life.Started(a.StartTick):
		j.stats.Refused++
	case j.bytes-m.bytes()+a.Map.Bytes() > maxPerfMapBytes:
		j.stats.TooLarge++
		m.size = a.Size // not to read it again as it is
	default:
		j.stats.Read++
		j.bytes += a.Map.Bytes() - m.bytes()
		m.names, m.size = a.Map, a.Size
	}
}

func (m *perfMap) bytes() int {
	if m.names == nil {
		return 0
	}
	return m.names.Bytes()
}

// forget drops lives that are over.
func (j *jit) forget(lives []*process.Life) {
	for _, life := range lives {
		if m := j.maps[life]; m != nil {
			j.bytes -= m.bytes()
			delete(j.maps, life)
		}
	}
}

// runtimes are frame types of code that is made at run time, by the stem of the program
// or of a library of it (semantic conventions, profile.frame.type).
var runtimes = map[string]string{
	"node": "v8js", "nodejs": "v8js", "java": "jvm", "jvm": "jvm", "dotnet": "dotnet", "coreclr": "dotnet",
	"python": "cpython", "ruby": "ruby", "php": "php", "beam": "beam", "luajit": "luajit",
}

// jitFrameType is the type of a frame in code that a life made at run time.
func jitFrameType(life *process.Life) string {
	if t, ok := runtimes[stem(life.Executable())]; ok {
		return t
	}
	for m := range life.Mappings {
		if t, ok := runtimes[stem(m.Path)]; ok {
			return t
		}
	}
	return "native"
}

// stem is the name of a file without what marks libraries and versions.
func stem(file string) string {
	name := strings.TrimPrefix(path.Base(file), "lib")
	if end := strings.IndexAny(name, "-.0123456789"); end > 0 {
		return name[:end]
	}
	return name
}

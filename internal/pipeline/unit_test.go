// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

var everything = symbol.Options{Native: true, Go: true}

// inlined is a program with debug information.
type inlined struct {
	data []byte
	file *symbol.File
	// leaf is the offset of code that was inlined twice.
	leaf uint64
}

func buildInlined(t *testing.T) inlined {
	t.Helper()
	source, err := filepath.Abs("../dwarfsymbol/testdata/truth.c")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "truth")
	out, err := exec.Command("gcc", "-O2", "-g", "-no-pie", "-o", path, source).CombinedOutput()
	require.NoError(t, err, string(out))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	p := inlined{data: data}
	p.file, err = symbol.Read(bytes.NewReader(data), int64(len(data)), everything)
	require.NoError(t, err)
	f, err := elf.NewFile(bytes.NewReader(data))
	require.NoError(t, err)
	symbols, err := f.Symbols()
	require.NoError(t, err)
	for _, s := range symbols {
		if segment := p.file.Segments()[0]; s.Name == "in_leaf" {
			p.leaf = s.Value - segment.Address + segment.Offset
		}
	}
	require.NotZero(t, p.leaf)
	return p
}

// hit makes the pipeline see a sample of the code at k.
func (p inlined) hit(pl *Pipeline, k event.KTime) {
	s := sample(k, 7, 0x10000+p.leaf)
	s.Proc, s.Generation = walked, 1
	pl.Batch(batch(s))
}

// answer reads what is asked for.
func (p inlined) answer(t *testing.T, r UnitRequest) UnitAnswer {
	t.Helper()
	if r.Index == nil {
		x, err := symbol.ReadIndex(bytes.NewReader(p.data), int64(len(p.data)), everything)
		require.NoError(t, err)
		return UnitAnswer{ID: r.ID, Index: x}
	}
	units, err := symbol.ReadUnits(bytes.NewReader(p.data), int64(len(p.data)), everything, r.Index, r.Numbers)
	require.NoError(t, err)
	return UnitAnswer{ID: r.ID, Numbers: r.Numbers, Units: units}
}

// indexed answers the request for the index, and looks again at now.
func (p inlined) indexed(t *testing.T, pl *Pipeline, now event.KTime) {
	t.Helper()
	requests := pl.UnitRequests(9)
	require.Len(t, requests, 1)
	require.Nil(t, requests[0].Index)
	pl.UnitsRead(p.answer(t, requests[0]))
	pl.Complete(now)
}

// locate resolves the user frame of a window's only sample.
func locate(t *testing.T, w *Window, offset uint64) profile.Location {
	t.Helper()
	return w.Resolve(profile.Frame{Binary: firstMapped, Offset: offset})
}

func functions(l profile.Location) (out []string) {
	for _, line := range l.Lines {
		out = append(out, line.Function)
	}
	return out
}

// A window waits a completion at most: what is not read by then comes with the next, and is
// counted.
func TestLateNamesComeWithTheNextWindow(t *testing.T) {
	program := buildInlined(t)
	p := startWalked(t)
	program.hit(p, 1100*ms)
	p.Complete(1150 * ms)
	files := p.FileRequests(9)
	require.Len(t, files, 1)
	require.Empty(t, p.UnitRequests(9), "its file is not read yet")

	program.hit(p, 1999*ms)
	require.Empty(t, p.Complete(2000*ms))
	w := p.Complete(2010 * ms)
	require.Len(t, w, 1)
	l := locate(t, w[0], program.leaf)
	require.True(t, l.Pending)
	require.Empty(t, l.Lines)
	batches := 0
	for b := range w[0].Batches(profile.Settings{MaxBatchBytes: 1 << 20}, w[0]) {
		require.Equal(t, 1, b.PendingLocations, "the window says so")
		batches++
	}
	require.Equal(t, 1, batches)

	p.Loaded(FileAnswer{ID: files[0].ID, File: program.file})
	program.hit(p, 2100*ms)
	p.Complete(2150 * ms)
	program.indexed(t, p, 2200*ms)
	units := p.UnitRequests(9)
	require.Len(t, units, 1)
	require.Equal(t, files[0].ID, units[0].ID)
	require.Equal(t, [2]uint32{7, 0}, units[0].PIDs)
	require.Empty(t, p.Complete(3000*ms))
	w = p.Complete(3010 * ms)
	l = locate(t, w[0], program.leaf)
	require.True(t, l.Pending, "its debug information is not")
	require.Equal(t, []string{"outer"}, functions(l), "the symbol is known")

	program.hit(p, 3100*ms)
	p.UnitsRead(program.answer(t, units[0]))
	w = p.Complete(4000 * ms)
	l = locate(t, w[0], program.leaf)
	require.False(t, l.Pending)
	require.Equal(t, []string{"leaf", "middle", "outer"}, functions(l))
	require.Equal(t, "truth.c", filepath.Base(l.Lines[0].File))
	require.Empty(t, p.UnitRequests(9))
	require.Equal(t, DebugUnits{Read: 1}, p.Stats().DebugUnits)
}

// What is read before the window ends is in it.
func TestNamesInTimeAreInTheSameWindow(t *testing.T) {
	program := buildInlined(t)
	p := startWalked(t)
	program.hit(p, 1100*ms)
	p.Complete(1150 * ms)
	p.Loaded(FileAnswer{ID: p.FileRequests(9)[0].ID, File: program.file})
	p.Complete(1200 * ms)
	program.indexed(t, p, 1250*ms)
	units := p.UnitRequests(9)
	require.Len(t, units, 1)
	p.UnitsRead(program.answer(t, units[0]))
	w := p.Complete(2000 * ms)
	require.Equal(t, []string{"leaf", "middle", "outer"}, functions(locate(t, w[0], program.leaf)))
}

func TestUnitsThatCannotBeRead(t *testing.T) {
	program := buildInlined(t)
	p := startWalked(t)
	program.hit(p, 1100*ms)
	p.Complete(1150 * ms)
	p.Loaded(FileAnswer{ID: p.FileRequests(9)[0].ID, File: program.file})
	p.Complete(1160 * ms)
	program.indexed(t, p, 1170*ms)
	requests := p.UnitRequests(9)
	require.Len(t, requests, 1)
	ask := func(window event.KTime) []UnitRequest {
		program.hit(p, window+500*ms)
		p.Complete(window + 600*ms)
		return p.UnitRequests(9)
	}
	p.UnitsRead(UnitAnswer{ID: requests[0].ID, Numbers: requests[0].Numbers})
	requests = ask(2000 * ms)
	require.Len(t, requests, 1, "another process may show the file: it is asked for again")
	answer := program.answer(t, requests[0])
	answer.Units[0] = nil // damaged
	p.UnitsRead(answer)
	require.Empty(t, ask(3000*ms), "it stays damaged")
	w := p.Complete(4000 * ms)
	l := locate(t, w[0], program.leaf)
	require.Equal(t, []string{"outer"}, functions(l))
	require.False(t, l.Pending)
	require.Equal(t, DebugUnits{Failed: 1, Unreachable: 1}, p.Stats().DebugUnits)
}

// A file that does not fit keeps its identity, so that it is not read again and again.
func TestAFileThatExceedsTheCache(t *testing.T) {
	program := buildInlined(t)
	c := newCode(program.file.Bytes())
	m := &event.Mapping{Start: 1, End: 2, Path: "/x", BuildID: "abc"}
	c.want(c.id(m), m, holders(life))
	c.loaded(FileAnswer{ID: m.ID(), File: program.file})
	kept := c.file(m)
	require.NotNil(t, kept)
	require.Equal(t, program.file.HTLHash(), kept.HTLHash())
	require.Zero(t, kept.Functions())
	require.EqualValues(t, 1, c.known.Evicted())
}

func TestSwitchedOffNamesAreNotAskedFor(t *testing.T) {
	p := New(Settings{Start: start, Interval: 1_000_000_000, MaxHoldBytes: 1 << 20, MaxProcesses: 100, MaxSymbolBytes: 1 << 20})
	p.Scan([]event.Task{{Proc: maker}}, 1010*ms, 1020*ms)
	s := sample(1100*ms, 7, 0x1010)
	s.Proc = maker
	p.Batch(&event.Batch{Samples: []event.Sample{s}, Mapped: []event.Mapped{
		{KTime: 1050 * ms, PID: 7, Mapping: event.Mapping{Start: 0x1000, End: 0x2000}},
	}})
	p.Complete(1150 * ms)
	require.Empty(t, p.PerfMapRequests(9))
}

// An index is asked for once in a window, however often its file cannot be reached.
func TestIndexOfAFileThatIsGone(t *testing.T) {
	program := buildInlined(t)
	p := startWalked(t)
	program.hit(p, 1100*ms)
	p.Complete(1150 * ms)
	p.Loaded(FileAnswer{ID: p.FileRequests(9)[0].ID, File: program.file})
	p.Complete(1200 * ms)
	requests := p.UnitRequests(9)
	require.Len(t, requests, 1)
	p.UnitsRead(UnitAnswer{ID: requests[0].ID})
	p.Complete(1300 * ms)
	require.Empty(t, p.UnitRequests(9))
	program.hit(p, 2100*ms)
	p.Complete(2200 * ms)
	requests = p.UnitRequests(9)
	require.Len(t, requests, 1)
	p.UnitsRead(UnitAnswer{ID: requests[0].ID, Index: &symbol.Index{}, Damaged: true})
	program.hit(p, 3100*ms)
	p.Complete(3200 * ms)
	require.Empty(t, p.UnitRequests(9), "it stays damaged")
	require.Equal(t, DebugUnits{Failed: 1, Unreachable: 1}, p.Stats().DebugUnits)
}

// A window reads a file once when it meets units of it, and once when it ends.
func TestUnitsOfAFileAreReadTogether(t *testing.T) {
	c := newCode(1 << 20)
	x := &symbol.Index{}
	file := func(id string) *mapped { return &mapped{Mapping: &event.Mapping{End: 1, Path: id, BuildID: id}} }
	a, b := file("a"), file("b")
	asked := func(n int) (out []string) {
		for _, r := range c.units.requests(n) {
			out = append(out, fmt.Sprint(r.ID.BuildID, r.Numbers))
		}
		return out
	}
	c.wantUnit(a, x, 1)
	c.wantUnit(a, x, 2)
	require.Equal(t, []string{"a[1 2]"}, asked(9))
	c.wantUnit(a, x, 3)
	c.wantUnit(b, x, 1)
	c.wantUnit(a, x, 4)
	c.wantUnit(a, x, 2) // on its way
	c.wantIndex(a)
	require.Equal(t, []string{"b[1]"}, asked(1))
	require.Equal(t, []string{"a[]"}, asked(9))
	require.Empty(t, asked(9))
	c.units.window()
	require.Equal(t, []string{"a[3 4]"}, asked(9), "the window has ended")
	for i := range uint32(maxUnitsOfRequest + 1) {
		c.wantUnit(b, x, 10+i)
	}
	require.Len(t, asked(9), 2, "each of a bounded size")
}

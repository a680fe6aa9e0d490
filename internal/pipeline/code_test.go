// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// file has a hash of its own, as its text is no ELF file.
func file(text string) *symbol.File {
	f, _ := symbol.Read(bytes.NewReader([]byte(text)), int64(len(text)), symbol.Options{})
	return f
}

var life = &process.Life{Proc: event.ProcID{PID: 7}, Parent: event.ProcID{PID: 3}}

func TestAFileIsReadOnceByItsBuildID(t *testing.T) {
	c := newCode(1 << 20)
	m := &event.Mapping{Start: 1, End: 2, Path: "/x", BuildID: "abc"}
	c.want(c.id(m), m, holders(life))
	c.want(c.id(m), m, holders(life))
	require.Equal(t, []FileRequest{{ID: event.FileID{BuildID: "abc"}, Holders: Holders{PIDs: [2]uint32{7, 3}}, Mapping: *m}}, c.requests(9))
	require.Nil(t, c.file(m))
	one := file("one")
	c.loaded(FileAnswer{ID: m.ID(), Content: event.File{Inode: 1, ChangeTime: 1}, File: one})
	require.Same(t, one, c.file(m))
	c.want(c.id(m), m, holders(life))
	require.Empty(t, c.requests(9))
	c.want(event.FileID{}, &event.Mapping{Path: "[vdso]"}, holders(life))
	require.Empty(t, c.requests(9))
}

// What was left out of files is counted, by what it was.
func TestFaultsOfFilesAreCounted(t *testing.T) {
	p := newPipeline()
	for i, a := range []FileAnswer{{}, {Faulty: true}, {TableFaulty: true}, {TableFaulty: true}, {Full: true}, {Full: true}, {Full: true}} {
		a.ID, a.File = event.FileID{BuildID: fmt.Sprint(i)}, file("text")
		p.Loaded(a)
	}
	s := p.Stats()
	require.EqualValues(t, 1, s.FilesFaulty)
	require.EqualValues(t, 2, s.TablesFaulty)
	require.EqualValues(t, 3, s.TablesFull)
}

// Of a file without build ID a record tells the inode only, whose contents may be
// changed in place: it is looked at again.
func TestAFileThatIsChangedInPlaceIsReadAgain(t *testing.T) {
	c := newCode(1 << 20)
	m := &event.Mapping{Path: "/x", File: event.File{Device: 1, Inode: 2, Generation: 3}}
	ask := func() FileRequest {
		t.Helper()
		c.want(c.id(m), m, holders(life))
		requests := c.requests(9)
		require.Len(t, requests, 1)
		return requests[0]
	}
	require.Zero(t, ask().Known)
	before, after := event.File{Inode: 2, ChangeTime: 10}, event.File{Inode: 2, ChangeTime: 11}
	one, two := file("one"), file("two")
	c.loaded(FileAnswer{ID: m.ID(), Content: before, File: one})
	require.Same(t, one, c.file(m))

	x, u := &symbol.Index{}, &symbol.Unit{}
	c.unitsRead(UnitAnswer{ID: c.content(m), Index: x})
	c.unitsRead(UnitAnswer{ID: c.content(m), Numbers: []uint32{5}, Units: []*symbol.Unit{u}})

	require.Equal(t, before, ask().Known)
	require.Nil(t, c.file(m), "it may be another by now")
	require.True(t, c.asked(m))
	c.loaded(FileAnswer{ID: m.ID(), Content: before}) // it is the same
	require.Same(t, one, c.file(m))
	require.Same(t, x, c.index(c.content(m), one))
	require.Same(t, u, c.unit(c.content(m), 5))
	require.False(t, c.isAbsent(m))
	c.tables.sweep(true)
	require.Zero(t, ask().Known, "its table is to be made again")
	c.loaded(FileAnswer{ID: m.ID(), Content: before, File: one})
	ask()
	c.loaded(FileAnswer{ID: m.ID(), Content: after, File: two})
	require.Same(t, two, c.file(m))
	require.Nil(t, c.index(c.content(m), two), "lines are read again, too")
	require.Nil(t, c.unit(c.content(m), 5))
	require.Equal(t, after, ask().Known)
	c.loaded(FileAnswer{ID: m.ID()}) // it cannot be reached any more
	require.Same(t, two, c.file(m))
	require.True(t, c.isAbsent(m))
	ask()
	c.loaded(FileAnswer{ID: m.ID(), Content: after, File: two})
	require.False(t, c.isAbsent(m))
}

// What only a record tells of is asked for by that, whatever it is known by: once, and lives
// that wait for it are told.
func TestAFileKnownByItsInodeIsAskedForOnce(t *testing.T) {
	c := newCode(1 << 20)
	m := &event.Mapping{Path: "/x", File: event.File{Device: 1, Inode: 2, Generation: 3}}
	c.buildIDs[m.File] = "abc"
	for range 3 {
		require.True(t, c.want(c.id(m), m, holders(life)))
	}
	require.Len(t, c.requests(9), 1)
	require.True(t, c.asked(m))
	w := newWalk(c)
	require.False(t, w.await(c.id(m), m, life, false))
	c.loaded(FileAnswer{ID: m.ID()})
	w.arrived(m.ID(), false)
	require.Empty(t, w.waiting)
	require.Contains(t, w.lacking, life)
}

// A file that finds no room among those that wait is asked for when it comes up again.
func TestFilesThatWaitAreBounded(t *testing.T) {
	c := newCode(1 << 20)
	want := func(i int) bool {
		m := &event.Mapping{Path: "/x", BuildID: fmt.Sprint(i)}
		return c.want(c.id(m), m, holders(life))
	}
	for i := range maxFileRequests {
		require.True(t, want(i))
	}
	require.False(t, want(maxFileRequests))
	require.Len(t, c.requests(2*maxFileRequests), maxFileRequests)
	require.False(t, want(maxFileRequests), "they are on their way")
	c.loaded(FileAnswer{ID: event.FileID{BuildID: "0"}})
	require.True(t, want(maxFileRequests))
	require.Len(t, c.requests(9), 1)
}

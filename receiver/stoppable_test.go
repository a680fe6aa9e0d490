// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver

import (
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// Stopped returns what tells whether a receiver's files are not to be read any more, also
// after its Shutdown.
func Stopped(r *Receiver) func() bool { return r.run.reader.(procReader).stopped.Load }

// stopsAfter stops after some reads.
type stopsAfter struct {
	io.ReaderAt
	left    int
	stopped *atomic.Bool
}

func (s *stopsAfter) ReadAt(p []byte, offset int64) (int, error) {
	if s.left--; s.left < 0 {
		s.stopped.Store(true)
	}
	return s.ReaderAt.ReadAt(p, offset)
}

// Whenever the receiver is shut down, the reader of a file hears of it at its next read.
func TestReadsUnderWayStop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	program(t, path)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	for name, read := range map[string]func(io.ReaderAt) error{
		"names": func(r io.ReaderAt) error {
			_, err := symbol.Read(r, info.Size(), symbol.Options{Native: true, Go: true})
			return err
		},
		"tables": func(r io.ReaderAt) error { _, err := unwind.Compile(r, info.Size()); return err },
		"units":  func(r io.ReaderAt) error { _, err := symbol.ReadIndex(r, info.Size(), symbol.Options{}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			reads := 0
			for ; ; reads++ {
				stopped := new(atomic.Bool)
				err := read(stoppable{&stopsAfter{f, reads, stopped}, stopped})
				if err == nil {
					break
				}
				require.ErrorIs(t, err, errStopped, "after %d reads", reads)
			}
			require.Greater(t, reads, 2)
		})
	}
}

// A process has the same creation time after a reload.
func TestBootTimeIsToAMillisecond(t *testing.T) {
	require.Zero(t, bootTime()%1_000_000)
	require.InDelta(t, bootTime(), bootTime(), 1_000_000)
}

func TestPostponedReadsAreCounted(t *testing.T) {
	s := &snapshot{pipeline: pipeline.Stats{Processes: process.Stats{RequestsDropped: 3, Answers: process.Outcomes{Gone: 2}}}}
	require.EqualValues(t, 3, reads(s)["postponed"])
	require.EqualValues(t, 2, reads(s)["gone"])
}

func TestNothingIsReadOnceStopped(t *testing.T) {
	r, dir := hostileReader(t)
	path := filepath.Join(dir, "program")
	program(t, path)
	request := requestOf(t, path)
	answer, err := r.file(request)
	require.NoError(t, err)
	require.NotNil(t, answer.File)
	require.NotNil(t, answer.Table)
	r.stop()
	answer, err = r.file(request)
	require.ErrorIs(t, err, errStopped)
	require.Nil(t, answer.Table)
	_, err = r.units(pipeline.UnitRequest{FileRequest: request})
	require.ErrorIs(t, err, errStopped)

	core, logs := observer.New(zap.DebugLevel)
	f := faults{log: zap.New(core)}
	f.limited(err)
	require.Zero(t, logs.Len(), "that is no fault")
	f.limited(io.ErrUnexpectedEOF)
	require.Equal(t, 1, logs.Len())
}

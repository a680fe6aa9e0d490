// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// tabled reads files that have a table.
type tabled struct{ reader }

func (tabled) file(pipeline.FileRequest) (pipeline.FileAnswer, error) {
	return pipeline.FileAnswer{Table: &unwind.Table{}}, nil
}

// Anybody can run programs whose tables find no room: that is told as what is limited.
func TestATableWithoutRoomIsTold(t *testing.T) {
	full := errors.New("no room for 7 rows")
	var told []error
	c := clerk{
		reader:  tabled{},
		place:   func(*unwind.Table) ([]unwind.Piece, error) { return nil, full },
		warn:    func(err error) { require.Fail(t, err.Error()) },
		limited: func(err error) { told = append(told, err) },
	}
	c.file(pipeline.FileRequest{})()
	require.Equal(t, []error{nil, full}, told)
}

// modular has other modules whenever it is asked, or cannot tell.
type modular struct {
	reader
	kernelRead int
	err        error
}

func (m *modular) kernel() (pipeline.KernelAnswer, error) {
	m.kernelRead++
	k, err := symbol.ReadKallsyms(strings.NewReader("ffffffff81000000 T _stext\nffffffff82000000 T _etext\n"), nil)
	return pipeline.KernelAnswer{Symbols: k}, err
}

func (m *modular) modules() (uint64, error) { return uint64(m.kernelRead), m.err }

// The engine has modules looked at once in a window, and the kernel's symbols read again when
// they are others.
func TestModulesAreLookedAt(t *testing.T) {
	for name, err := range map[string]error{"others": nil, "not readable": errors.New("not readable")} {
		m := &modular{err: err}
		idle := func() *worker { return newWorker(name, time.Minute, func() {}, func(error) {}) }
		e := engine{
			pipeline:  pipeline.New(pipeline.Settings{Interval: time.Second, MaxProcesses: 9}),
			clerk:     clerk{reader: m, warn: func(err error) { require.Fail(t, err.Error()) }, limited: func(got error) { require.Equal(t, err, got) }},
			processes: idle(), files: idle(), units: idle(), contexts: idle(),
		}
		e.clerk.kernel()(e.pipeline)
		e.pipeline.Complete(event.KTime(1500 * time.Millisecond))
		e.dispatch()
		require.Len(t, e.processes.jobs, 1, name)
		(<-e.processes.jobs)()(e.pipeline)
		e.pipeline.Complete(event.KTime(1600 * time.Millisecond))
		e.dispatch()
		require.Empty(t, e.processes.jobs, "once in a window")
		if err != nil {
			require.Empty(t, e.files.jobs, name)
			continue
		}
		require.Len(t, e.files.jobs, 1, name)
		(<-e.files.jobs)()(e.pipeline)
		require.Equal(t, 2, m.kernelRead)
	}
}

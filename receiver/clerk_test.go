// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
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

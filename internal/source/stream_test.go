// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// writer writes a stream as the kernel does.
type writer struct {
	head, tail uint64
	data       []byte
	stream     *stream
}

func newWriter(size int) *writer {
	w := &writer{data: make([]byte, size)}
	w.stream = newStream(&w.head, &w.tail, w.data)
	return w
}

// write appends a record of that size whose bytes are n, if there is room.
func (w *writer) write(size int, n byte) bool {
	if w.head+uint64(size)-w.tail > uint64(len(w.data)) {
		return false
	}
	record := make([]byte, size)
	for i := range record {
		record[i] = n
	}
	binary.NativeEndian.PutUint16(record[6:], uint16(size))
	for i, b := range record {
		w.data[(w.head+uint64(i))%uint64(len(w.data))] = b
	}
	w.head += uint64(size)
	return true
}

// Every record comes out once and in order, and no loss goes unnoticed.
func TestStream(t *testing.T) {
	lost, wrapped := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWriter(32 << 10)
		var want, got []byte
		dropped := false
		for i := range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "what") > 0 {
				if w.write(8*rapid.IntRange(1, 512).Draw(t, "size"), byte(i)) {
					want = append(want, byte(i))
				} else {
					dropped = true
					lost++
				}
				continue
			}
			limit, stop := w.stream.written(), rapid.IntRange(0, 30).Draw(t, "stop")
			overrun := w.stream.drain(limit, func(record []byte) bool {
				if stop--; stop < 0 {
					return false
				}
				n := record[eventHeader:]
				if len(n) > 0 {
					require.Equal(t, n[0], n[len(n)-1])
				}
				got = append(got, record[0])
				return true
			})
			require.True(t, overrun || !dropped, "a loss was not noticed")
			dropped = false
		}
		wrapped += len(w.stream.wrapped)
		w.stream.drain(w.stream.written(), func(record []byte) bool {
			got = append(got, record[0])
			return true
		})
		require.Equal(t, want, got)
		require.Zero(t, w.stream.garbled)
		require.Equal(t, w.head, w.stream.position())
	})
	require.Positive(t, lost, "nothing was lost: the test has no power")
	require.Positive(t, wrapped, "nothing went over the end")
}

func TestAStreamThatIsGarbledGoesOn(t *testing.T) {
	w := newWriter(16 << 10)
	visit := func([]byte) bool { return true }
	for _, size := range []uint16{0, 7, 4096} {
		w.write(64, 1)
		binary.NativeEndian.PutUint16(w.data[w.head-64+6:], size)
		before := w.stream.garbled
		w.stream.drain(w.stream.written(), visit)
		require.Equal(t, before+1, w.stream.garbled)
		require.Equal(t, w.head, w.stream.position())
	}
	w.write(64, 1)
	require.False(t, w.stream.drain(w.stream.written(), visit))
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// producer writes a ring as the kernel does.
type producer struct {
	memory     []uint64
	head, tail uint64
	size       uint64
	ring       *ring
}

func newProducer(size int) *producer {
	p := &producer{memory: make([]uint64, size/8), size: uint64(size)}
	data := unsafe.Slice((*byte)(unsafe.Pointer(&p.memory[0])), size)
	p.ring = newRing(&p.head, &p.tail, data)
	return p
}

// reserve makes room for a record, if there is any.
func (p *producer) reserve(size int) (at uint64, ok bool) {
	need := (recordHeader + uint64(size) + 7) &^ 7
	if p.head+need-atomic.LoadUint64(&p.tail) > p.size {
		return 0, false
	}
	at = p.head
	p.setHeader(at, uint32(size)|recordBusy)
	p.head += need
	return at, true
}

func (p *producer) setHeader(at uint64, header uint32) {
	binary.NativeEndian.PutUint32(p.ring.data[at&(p.size-1):], header)
}

func (p *producer) commit(at uint64, content []byte, discard bool) {
	for i, b := range content {
		p.ring.data[(at+recordHeader+uint64(i))&(p.size-1)] = b
	}
	header := uint32(len(content))
	if discard {
		header |= recordDiscard
	}
	p.setHeader(at, header)
}

func TestTheRingGivesWhatWasCommittedInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newProducer(512)
		type record struct {
			at                 uint64
			content            []byte
			committed, discard bool
		}
		var queue []*record // reserved and not read, in order
		read := func() {
			limit := p.ring.written()
			p.ring.drain(limit, func(got []byte) bool {
				for queue[0].discard {
					queue = queue[1:]
				}
				require.True(t, queue[0].committed, "a record that is not committed was read")
				require.Equal(t, queue[0].content, append([]byte{}, got...))
				queue = queue[1:]
				return true
			})
			for len(queue) > 0 && queue[0].committed && queue[0].discard && queue[0].at < p.ring.position() {
				queue = queue[1:]
			}
			if len(queue) > 0 {
				require.False(t, queue[0].committed, "a committed record was left")
				require.Equal(t, queue[0].at, p.ring.position())
			} else {
				require.Equal(t, p.head, p.ring.position())
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				content := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "content")
				if at, ok := p.reserve(len(content)); ok {
					queue = append(queue, &record{at: at, content: append([]byte{}, content...)})
				}
			case 2:
				var open []*record
				for _, r := range queue {
					if !r.committed {
						open = append(open, r)
					}
				}
				if len(open) > 0 {
					r := rapid.SampledFrom(open).Draw(t, "record")
					r.committed, r.discard = true, rapid.IntRange(0, 3).Draw(t, "discard") == 0
					p.commit(r.at, r.content, r.discard)
				}
			default:
				read()
			}
		}
		read()
	})
}

func TestADrainStopsAtItsLimitAndWhenTold(t *testing.T) {
	p := newProducer(512)
	var ends []uint64
	for i := range 3 {
		at, ok := p.reserve(8)
		require.True(t, ok)
		p.commit(at, []byte{byte(i), 0, 0, 0, 0, 0, 0, 0}, false)
		ends = append(ends, p.head)
	}
	seen := 0
	p.ring.drain(ends[1], func([]byte) bool { seen++; return true })
	require.Equal(t, 2, seen)
	require.Equal(t, ends[1], p.ring.position())
	p.ring.drain(ends[2], func([]byte) bool { return false })
	require.Equal(t, ends[1], p.ring.position(), "a record that was refused stays")
}

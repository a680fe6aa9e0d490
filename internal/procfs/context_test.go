// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"
)

func TestParseMapRange(t *testing.T) {
	const memfd = "00:01"
	for line, want := range map[string]struct{ context, harmless bool }{
		"7f00-7f01 rw-p 00000000 00:00 0                          [anon:OTEL_CTX]":            {true, true},
		"7f00-7f01 rw-s 00000000 00:01 12                         [anon_shmem:OTEL_CTX]":      {true, true},
		"7f00-7f01 rw-p 00000000 00:01 12                         /memfd:OTEL_CTX (deleted)":  {true, true},
		"7f00-7f01 rw-p 00000000 00:01 12                         /memfd:OTEL_CTX":            {true, true},
		"7f00-7f01 rw-p 00000000 00:35 12                         /memfd:OTEL_CTX (deleted)":  {false, false},
		"7f00-7f01 rw-p 00000000 00:01 12                         /memfd:OTEL_CTX2 (deleted)": {false, true},
		"7f00-7f01 rw-p 00000000 00:00 0                          [anon:OTEL_CTX2]":           {false, true},
		"7f00-7f01 rw-p 00000000 00:00 0 ":                                                    {false, true},
		"7f00-7f01 rw-p 00000000 00:00 0                          [heap]":                     {false, true},
		"7f00-7f01 r-xp 00000000 08:01 12                         /usr/bin/OTEL_CTX":          {false, false},
		"7f00-7f01 r-xp 00000000 08:01 12                         /a file with  spaces ":      {false, false},
	} {
		r, err := parseMapRange([]byte(line))
		require.NoError(t, err, line)
		require.EqualValues(t, 0x7f00, r.start)
		require.EqualValues(t, 0x7f01, r.end)
		require.Equal(t, want.context, r.isContext(memfd), line)
		require.Equal(t, want.harmless, r.harmless(memfd), line)
		require.False(t, r.isContext("") && !r.anonymous, "without memfd nothing is of its device")
	}
	for _, line := range []string{"", "x", "7f00", "7f00-", "7f00-7eff rw-p 0 0 0 x", "7f00-7f01 rw-p"} {
		_, err := parseMapRange([]byte(line))
		require.ErrorIs(t, err, errMaps, line)
	}
}

func FuzzParseMapRange(f *testing.F) {
	f.Add([]byte("7f00-7f01 rw-p 00000000 00:00 0 [anon:OTEL_CTX]"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if r, err := parseMapRange(line); err == nil {
			require.LessOrEqual(t, r.start, r.end)
			_ = r.isContext("00:01")
		}
	})
}

// memory is that of a process, which acts between our reads.
type memory struct {
	bytes []byte
	reads int
	act   func(m *memory)
}

var errUnmapped = errors.New("unmapped")

func (m *memory) ReadAt(b []byte, at int64) (int, error) {
	m.reads++
	if m.act != nil {
		m.act(m)
	}
	if at < 0 || at+int64(len(b)) > int64(len(m.bytes)) {
		return 0, errUnmapped
	}
	return copy(b, m.bytes[at:]), nil
}

const contextAt = 64

func (m *memory) publish(at uint64, payload string, address uint64) {
	b := append([]byte("OTEL_CTX"), 2, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint64(b, at)
	b = binary.LittleEndian.AppendUint64(b, address)
	copy(m.bytes[contextAt:], b)
	if address < uint64(len(m.bytes)) {
		copy(m.bytes[address:], payload)
	}
}

func TestReadPublished(t *testing.T) {
	for name, test := range map[string]struct {
		known   uint64
		act     func(m *memory)
		harmful bool
		want    string
		err     error
		reads   int
	}{
		"as published":          {want: "first", reads: 3},
		"unchanged":             {known: 1, err: ErrUnchanged, reads: 1},
		"harmful":               {harmful: true, err: service.ErrMalformed, reads: 1},
		"changed after header":  {act: once(2, func(m *memory) { m.publish(2, "second", 512) }), want: "second", reads: 6},
		"changed after payload": {act: once(3, func(m *memory) { m.publish(2, "second", 512) }), want: "second", reads: 6},
		"being changed":         {act: once(1, func(m *memory) { m.publish(0, "", 512) }), err: ErrTorn, reads: 3},
		"always another":        {act: func(m *memory) { m.publish(uint64(m.reads), "x", 512) }, err: ErrTorn, reads: 9},
		"other time, same rest": {act: once(3, func(m *memory) { m.publish(7, "first", 512) }), want: "first", reads: 6},
		"gone meanwhile":        {act: once(3, func(m *memory) { clear(m.bytes) }), err: service.ErrMalformed, reads: 3},
		"unmapped":              {act: once(1, func(m *memory) { m.bytes = m.bytes[:contextAt] }), err: errUnmapped, reads: 1},
		"payload in nowhere":    {act: once(1, func(m *memory) { m.publish(1, "lost", 1<<62) }), err: errUnmapped, reads: 3},
		"payload beyond signed": {act: once(1, func(m *memory) { m.publish(1, "lost", 1<<63) }), err: errUnmapped, reads: 3},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{bytes: make([]byte, 1024), act: test.act}
			m.publish(1, "first", 512)
			harmless := func(start, end uint64) bool { return !test.harmful && end >= start }
			_, payload, err := readPublished(m, contextAt, test.known, make([]byte, bufSize), harmless)
			require.ErrorIs(t, err, test.err)
			if test.err == nil {
				require.Equal(t, test.want, string(payload))
			}
			require.Equal(t, test.reads, m.reads)
		})
	}
}

// once acts before the read of a number.
func once(read int, act func(m *memory)) func(m *memory) {
	return func(m *memory) {
		if m.reads == read {
			act(m)
		}
	}
}

// A file anywhere may be named like what memfd_create makes; it is of another device.
func TestOnlyMemoryIsAContext(t *testing.T) {
	fd, err := openat(unix.AT_FDCWD, "/proc/self", unix.O_PATH|unix.O_DIRECTORY)
	require.NoError(t, err)
	h := handle(fd)
	defer h.close()
	buf := make([]byte, bufSize)
	memfd := memfdDevice()
	require.NotEmpty(t, memfd)
	at, err := h.contexts(memfd, buf)
	require.NoError(t, err)
	require.Empty(t, at)

	own, err := unix.MemfdCreate(service.ContextName, unix.MFD_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(own)
	file, err := os.CreateTemp(t.TempDir(), "memfd:OTEL_CTX")
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, file.Truncate(4096))
	require.NoError(t, unix.Ftruncate(own, 4096))
	var start [2]uint64
	for i, fd := range []int{own, int(file.Fd())} {
		b, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
		require.NoError(t, err)
		defer func() { require.NoError(t, unix.Munmap(b)) }()
		err = h.eachRange(buf, func(r mapRange) {
			if strings.Contains(string(r.name), "memfd:OTEL_CTX") && r.start != start[0] {
				start[i] = r.start
			}
		})
		require.NoError(t, err)
	}
	at, err = h.contexts(memfd, buf)
	require.NoError(t, err)
	require.Equal(t, start[:1], at)
	ok, err := h.harmless(memfd, start[0], start[0]+4096, buf)
	require.NoError(t, err)
	require.True(t, ok)
	for _, r := range [][2]uint64{{start[1], start[1] + 1}, {0x10000, 0x10001}, {1 << 63, 1<<63 + 1}} {
		ok, err = h.harmless(memfd, r[0], r[1], buf)
		require.NoError(t, err)
		require.False(t, ok)
	}
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"
)

func TestMappingsOfContexts(t *testing.T) {
	const memfd = "00:01"
	for line, want := range map[string]struct{ context, harmless bool }{
		"7f00-7f01 rw-p 00000000 00:00 0                          [anon:OTEL_CTX]":            {true, true},
		"7f00-7f01 rw-s 00000000 00:01 12                         [anon_shmem:OTEL_CTX]":      {true, true},
		"7f00-7f01 rw-p 00000000 00:01 12                         /memfd:OTEL_CTX (deleted)":  {true, true},
		"7f00-7f01 rw-p 00000000 00:01 12                         /memfd:OTEL_CTX":            {true, true},
		"7f00-7f01 rw-p 00000000 00:35 12                         /memfd:OTEL_CTX (deleted)":  {false, false},
		"7f00-7f01 rw-p 00000000 00:35 0                          /memfd:OTEL_CTX (deleted)":  {false, false},
		"7f00-7f01 rw-p 00000000 00:01 12                         /memfd:OTEL_CTX2 (deleted)": {false, true},
		"7f00-7f01 rw-p 00000000 00:00 0                          [anon:OTEL_CTX2]":           {false, true},
		"7f00-7f01 rw-p 00000000 00:00 0 ":                                                    {false, true},
		"7f00-7f01 rw-p 00000000 00:00 0                          [heap]":                     {false, true},
		"7f00-7f01 r-xp 00000000 08:01 12                         /usr/bin/OTEL_CTX":          {false, false},
		"7f00-7f01 r-xp 00000000 08:01 12                         /a file with  spaces ":      {false, false},
	} {
		m, err := parseMapLine([]byte(line))
		require.NoError(t, err, line)
		require.EqualValues(t, 0x7f00, m.start)
		require.EqualValues(t, 0x7f01, m.end)
		require.Equal(t, want.context, m.isContext(memfd), line)
		require.Equal(t, want.harmless, m.harmless(memfd), line)
		require.Equal(t, want.context && string(m.device) == "00:00", m.isContext(""), "without memfd nothing is of its device")
	}
	for _, line := range []string{"", "x", "7f00", "7f00-", "7f00-7eff rw-p 0 0:0 0 x", "7f00-7f01 rw-p", "7f00-7f01 rw 0 0:0 0", "7f00-7f01 rw-p 0  0"} {
		_, err := parseMapLine([]byte(line))
		require.ErrorIs(t, err, errMaps, line)
	}
}

func FuzzParseMapLine(f *testing.F) {
	f.Add([]byte("7f00-7f01 rw-p 00000000 00:00 0 [anon:OTEL_CTX]"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if m, err := parseMapLine(line); err == nil {
			require.LessOrEqual(t, m.start, m.end)
			_ = m.isContext("00:01")
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
		"harmful":               {harmful: true, err: errNotAnonymous, reads: 1},
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
			check := func(service.Header) error {
				if test.harmful {
					return errNotAnonymous
				}
				return nil
			}
			_, payload, err := readPublished(m, contextAt, test.known, make([]byte, bufSize), check)
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

// ownContexts are the mappings of this process that are contexts by their names.
func ownContexts(t *testing.T) (at []uint64, found map[string]uint64) {
	t.Helper()
	text, err := os.Open("/proc/self/maps")
	require.NoError(t, err)
	defer text.Close()
	memfd := memfdDevice()
	require.NotEmpty(t, memfd)
	found = map[string]uint64{}
	_, err = eachMapping(text, make([]byte, bufSize), func(m mapLine) bool {
		if m.isContext(memfd) {
			at = append(at, m.start)
		}
		found[string(m.name)] = m.start
		return true
	})
	require.NoError(t, err)
	return at, found
}

// A file anywhere may be named like what memfd_create makes; it is of another device.
func TestOnlyMemoryIsAContext(t *testing.T) {
	at, _ := ownContexts(t)
	require.Empty(t, at)
	own, err := unix.MemfdCreate(service.ContextName, unix.MFD_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(own)
	require.NoError(t, unix.Ftruncate(own, 4096))
	path := filepath.Join(t.TempDir(), "memfd:OTEL_CTX")
	require.NoError(t, os.WriteFile(path, make([]byte, 4096), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	for _, fd := range []int{own, int(file.Fd())} {
		b, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
		require.NoError(t, err)
		defer func() { require.NoError(t, unix.Munmap(b)) }()
	}
	at, found := ownContexts(t)
	require.Contains(t, found, path)
	require.Equal(t, []uint64{found["/memfd:OTEL_CTX (deleted)"]}, at)
}

// A payload may lie beside its header. Elsewhere, what cannot be told of it is not its fault.
func TestWherePayloadsMayLie(t *testing.T) {
	own, head := mapLine{start: 0x7000, end: 0x8000}, service.Header{Payload: 0x7ff0, Size: 16}
	unreadable := Memory{pages: -1}
	require.NoError(t, unreadable.check(own, head))
	head.Size++
	require.ErrorIs(t, unreadable.check(own, head), unix.EBADF)
	require.NotErrorIs(t, unreadable.check(own, head), service.ErrMalformed)

	m, _, err := newReader(t).OpenMemory(uint32(os.Getpid()))
	require.NoError(t, err)
	defer m.Close()
	require.ErrorIs(t, m.check(own, head), service.ErrMalformed, "nothing is there")
}

// The mappings behind the one that is read are not looked at.
func TestAContextIsReadAsSoonAsItIsFound(t *testing.T) {
	text := "7f00-7f01 rw-p 00000000 00:00 0 [anon:OTEL_CTX]\nbroken\n"
	var at []uint64
	_, err := eachMapping(strings.NewReader(text), make([]byte, 200), func(m mapLine) bool {
		at = append(at, m.start)
		return false
	})
	require.NoError(t, err)
	require.Equal(t, []uint64{0x7f00}, at)
}

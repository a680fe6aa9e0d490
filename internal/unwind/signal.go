// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"fmt"
	"io"
	"math"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// signalReturnCode is what signal handlers return to: the system call rt_sigreturn. C
// libraries should describe it and not all do, musl does not, nor does Go. (GDB tells it
// by its instructions too, gdb/amd64-linux-tdep.c.)
var signalReturnCode = []byte{0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05} // mov $15, %rax; syscall

// signalReturnRule is the rule there: the stack pointer is at struct ucontext, whose
// registers lie behind 40 bytes (arch/x86/include/uapi/asm/sigcontext.h, v6.12).
var signalReturnRule = Rule{
	CFA: CFADerefSP, CFAOffset: 40 + 15*8,
	FP: AtSP, FPOffset: 40 + 10*8,
	RA: AtSP, RAOffset: 40 + 16*8,
	Signal: true,
}

const (
	// minBlind is how long code has to be undescribed to be searched: more than what
	// lies between functions.
	minBlind = 64
	// maxSignalReturns bounds how many are found.
	maxSignalReturns = 16
	// maxBlind bounds how much code is searched. Chromium has 250 MB.
	maxBlind = 1 << 30
	// blindWindow is how much of the file is in memory meanwhile.
	blindWindow = 256 << 10
)

// signalReturns are rows of where signal handlers return to in the code that known says
// nothing of.
func (b *builder) signalReturns(known []Row) ([]Row, error) {
	if b.table.Arch != AMD64 {
		return nil, nil
	}
	out := rows{dictionary: &b.dictionary, base: b.table.Base}
	look := search{r: b.r, left: maxBlind}
	for _, s := range b.code {
		end := s.Addr + min(s.Filesz, s.Memsz)
		for from, to := range blind(known, b.table.Base, s.Addr, end) {
			if err := look.in(s.Offset-s.Addr, from, to, &out); err != nil {
				return nil, err
			}
		}
	}
	return out.all, nil
}

// blind yields the ranges of addresses in [start, end) that rows say nothing of.
func blind(known []Row, base, start, end uint64) func(yield func(from, to uint64) bool) {
	return func(yield func(from, to uint64) bool) {
		from, seeing := start, false
		for _, row := range known {
			at := min(max(base+uint64(row.Offset), start), end)
			if !seeing && at-from >= minBlind && !yield(from, at) {
				return
			}
			from, seeing = at, row.Rule != 0
		}
		if !seeing && end > from && end-from >= minBlind {
			yield(from, end)
		}
	}
}

// search looks for them.
type search struct {
	r    io.ReaderAt
	buf  []byte
	left int // how many bytes may still be read
}

// in adds what it finds in the code [from, to), which is at address + bias in the
// file.
func (s *search) in(bias, from, to uint64, out *rows) error {
	size := uint64(len(signalReturnCode))
	for at := from; at < to && to-at >= size; {
		if s.buf == nil {
			s.buf = make([]byte, blindWindow)
		}
		code := s.buf[:min(to-at, uint64(len(s.buf)))]
		if s.left -= len(code); s.left < 0 {
			return fmt.Errorf("%w: more than %d bytes of code without description", ErrTooLarge, maxBlind)
		}
		if err := elffile.ReadFull(s.r, code, int64(at+bias)); err != nil {
			return fmt.Errorf("read code: %w", err)
		}
		i := bytes.Index(code, signalReturnCode)
		if i < 0 {
			at += uint64(len(code)) - size + 1
			continue
		}
		if len(out.all) >= 2*maxSignalReturns {
			return nil
		}
		if err := out.signalReturn(at + uint64(i)); err != nil {
			return err
		}
		at += uint64(i) + size
	}
	return nil
}

// signalReturn adds one. It is looked for a byte before it: what is found as a return
// address is taken to be behind a call.
func (r *rows) signalReturn(addr uint64) error {
	size := uint64(len(signalReturnCode))
	if addr <= max(r.base, r.end) || addr+size-r.base > math.MaxUint32 {
		return nil
	}
	if err := r.add(addr-1, signalReturnRule); err != nil {
		return fmt.Errorf("return of signal handlers: %w", err)
	}
	r.end = addr + size
	r.put(Row{Offset: uint32(r.end - r.base)})
	return nil
}

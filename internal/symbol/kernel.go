// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"errors"
	"unsafe"
)

var (
	// ErrHidden: the kernel shows its symbols without addresses.
	ErrHidden = errors.New("kernel addresses are hidden: run with CAP_SYSLOG and kernel.kptr_restrict at most 1")
	// ErrNoText: the list holds no function at all.
	ErrNoText = errors.New("no function in the kernel's symbol list")
)

// maxReach is how far beyond its start a kernel symbol can name an address: the list has
// no sizes.
const maxReach = 1 << 20

// Kernel names kernel addresses. It is immutable, and safe for concurrent use.
// A symbol costs 10 bytes and its name.
type Kernel struct {
	starts  []uint64 // ascending, without duplicates
	owners  []uint16 // index in modules, and whether it is padding
	names   names    // in the order of starts
	modules []string // the first is "", the kernel itself

	start, end uint64 // _stext, _etext
	malformed  int
}

const (
	// padding marks the owner of a symbol that is called like the next one, with a prefix:
	// what the linker leaves free before each function (CONFIG_PREFIX_SYMBOLS).
	padding       = 1 << 15
	paddingPrefix = "__pfx_"
)

// BPF is the module of programs of BPF.
const BPF = "bpf"

// Name returns the function at or below addr and its module, which is empty for
// the kernel itself and BPF for programs of BPF.
func (k *Kernel) Name(addr uint64) (name, module string, ok bool) {
	i := below(k.starts, addr)
	if i < 0 || addr-k.starts[i] >= maxReach {
		return "", "", false
	}
	if k.owners[i]&padding != 0 {
		name = paddingPrefix + k.names.at(uint32(i+1))
	} else if name = k.names.at(uint32(i)); name == "" { // the end of a group of functions
		return "", "", false
	}
	return name, k.modules[k.owners[i]&^padding], true
}

// Text returns the range of the kernel's own code, zeros if the list does not
// say. Modules, BPF programs and start-up code lie outside.
func (k *Kernel) Text() (start, end uint64) { return k.start, k.end }

// InText reports whether an address is in the kernel's own code.
func (k *Kernel) InText(addr uint64) bool { return k.start <= addr && addr < k.end }

// Nameless tells where the kernel's own code is, and no names.
func (k *Kernel) Nameless() *Kernel { return &Kernel{start: k.start, end: k.end} }

// Symbols is the number of functions, and of marks where a group of them ends.
func (k *Kernel) Symbols() int { return len(k.starts) }

// Malformed is the number of lines that were not understood, and left out.
func (k *Kernel) Malformed() int { return k.malformed }

// Bytes is the memory the Kernel holds.
func (k *Kernel) Bytes() int {
	n := int(unsafe.Sizeof(*k)) + 8*cap(k.starts) + 2*cap(k.owners) + k.names.bytes()
	for _, m := range k.modules {
		n += int(unsafe.Sizeof(m)) + len(m)
	}
	return n
}

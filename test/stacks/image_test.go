// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build stacks && linux

package stacks_test

import (
	"cmp"
	"debug/elf"
	"path/filepath"
	"slices"
	"strings"
)

// images names addresses by the symbols of files, on its own: what the receiver says of
// names is not asked.
type images struct {
	// twins are the files that have the symbols of others.
	twins map[string]string
	read  map[string]*image
}

// image is the functions of a file, by address.
type image struct {
	symbols []elf.Symbol
	stubs   []*elf.Section // of procedure linkage tables
}

func (all *images) frame(path string, address uint64) frame {
	f := frame{file: filepath.Base(path)}
	if path == "" || strings.HasPrefix(path, "//anon") {
		f.file = ""
		return f
	}
	if twin := all.twins[path]; twin != "" {
		path = twin
	}
	if all.read[path] == nil {
		all.read[path] = readImage(path)
	}
	f.names = all.read[path].names(address)
	return f
}

func readImage(path string) *image {
	img := &image{}
	f, err := elf.Open(path)
	if err != nil {
		return img // code without symbols, such as the vDSO
	}
	defer f.Close()
	symbols, _ := f.Symbols()
	dynamic, _ := f.DynamicSymbols()
	for _, s := range append(symbols, dynamic...) {
		kind := elf.ST_TYPE(s.Info)
		if s.Section != elf.SHN_UNDEF && (kind == elf.STT_FUNC || kind == elf.STT_GNU_IFUNC || kind == elf.STT_NOTYPE) {
			img.symbols = append(img.symbols, s)
		}
	}
	slices.SortStableFunc(img.symbols, func(a, b elf.Symbol) int { return cmp.Compare(a.Value, b.Value) })
	for _, s := range f.Sections {
		if strings.HasPrefix(s.Name, ".plt") || s.Name == ".iplt" {
			img.stubs = append(img.stubs, s)
		}
	}
	return img
}

// names are those of the functions that hold an address, without what compilers append
// to copies and parts. A symbol without a size, of assembly, reaches to the next one.
func (img *image) names(address uint64) (out []string) {
	for _, s := range img.stubs {
		if s.Addr <= address && address < s.Addr+s.Size {
			return []string{"plt"}
		}
	}
	end, _ := slices.BinarySearchFunc(img.symbols, address, func(s elf.Symbol, a uint64) int {
		if s.Value <= a {
			return -1
		}
		return 1
	})
	const far = 64 // symbols that lie in another one, or are its aliases
	for i := end - 1; i >= max(0, end-far); i-- {
		s := img.symbols[i]
		if address < s.Value+s.Size || s.Size == 0 && s.Value == img.symbols[end-1].Value {
			out = append(out, function(s.Name))
		}
	}
	return out
}

func function(symbol string) string {
	for _, mark := range []string{".constprop.", ".isra.", ".part.", ".cold", ".llvm.", ".abi0"} {
		symbol, _, _ = strings.Cut(symbol, mark)
	}
	return symbol
}

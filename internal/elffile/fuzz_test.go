// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"bytes"
	"debug/elf"
	"testing"
)

// FuzzContent reads all sections of whatever it is given.
func FuzzContent(f *testing.F) {
	text := bytes.Repeat([]byte("frame"), 100)
	for _, kind := range []elf.CompressionType{elf.COMPRESS_ZLIB, elf.COMPRESS_ZSTD} {
		f.Add(build(compressed(kind, 500, text), func(_ *elf.Header64, s *[]elf.Section64) {
			(*s)[2].Flags = uint64(elf.SHF_COMPRESSED)
		}))
	}
	f.Add(build(text, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		sections, err := img.Sections()
		if err != nil {
			return
		}
		if found, err := img.Named(sections, ".a", ".long"); err == nil && len(found) != 2 {
			t.Fatal(found)
		}
		const limit = 1 << 20
		for _, s := range sections[:min(len(sections), 16)] {
			content, err := img.Content("section", s, limit)
			if err == nil && (len(content) > limit || !s.Compressed() && s.InFile() && uint64(len(content)) != s.Size) {
				t.Fatalf("%d bytes of %d", len(content), s.Size)
			}
		}
	})
}

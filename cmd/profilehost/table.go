// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

// row is a function that was running, in a process.
type row struct {
	process  string
	pid      int64
	function string
}

// table counts samples by what was running.
type table struct {
	counts map[row]int
	total  int
}

// maxMessage bounds what one length prefix may ask for.
const maxMessage = 1 << 30

// readTable reads what the file exporter writes in its proto format: messages,
// each behind its length in four bytes, big endian. The last may be cut off if the
// file is still written.
func readTable(name string, written bool) (*table, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the profiles: %w", err)
	}
	defer f.Close()
	t := &table{counts: map[row]int{}}
	r := bufio.NewReader(f)
	for {
		message, err := nextMessage(r)
		if errors.Is(err, io.EOF) || (written && errors.Is(err, io.ErrUnexpectedEOF)) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the profiles in %s: %w", name, err)
		}
		p, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(message)
		if err != nil {
			return nil, fmt.Errorf("decode the profiles in %s: %w", name, err)
		}
		t.add(p)
	}
}

// nextMessage returns io.EOF at the end, and io.ErrUnexpectedEOF within a message.
func nextMessage(r io.Reader) ([]byte, error) {
	var size uint32
	if err := binary.Read(r, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	if size > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes is more than is ever written", size)
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return message, nil
}

func (t *table) add(p pprofile.Profiles) {
	for _, rp := range p.ResourceProfiles().All() {
		r := row{process: "?"}
		if name, ok := rp.Resource().Attributes().Get("process.executable.name"); ok {
			r.process = name.Str()
		}
		if pid, ok := rp.Resource().Attributes().Get("process.pid"); ok {
			r.pid = pid.Int()
		}
		for _, sp := range rp.ScopeProfiles().All() {
			for _, profile := range sp.Profiles().All() {
				for _, s := range profile.Samples().All() {
					r.function = running(p.Dictionary(), s)
					t.counts[r] += s.TimestampsUnixNano().Len()
					t.total += s.TimestampsUnixNano().Len()
				}
			}
		}
	}
}

// running is the innermost function of a sample, or the file it is in where the
// file does not tell its name.
func running(d pprofile.ProfilesDictionary, s pprofile.Sample) string {
	stack := d.StackTable().At(int(s.StackIndex()))
	if stack.LocationIndices().Len() == 0 {
		return "[no stack]"
	}
	location := d.LocationTable().At(int(stack.LocationIndices().At(0)))
	if location.Lines().Len() > 0 {
		f := d.FunctionTable().At(int(location.Lines().At(0).FunctionIndex()))
		return d.StringTable().At(int(f.NameStrindex()))
	}
	mapping := d.MappingTable().At(int(location.MappingIndex()))
	if file := d.StringTable().At(int(mapping.FilenameStrindex())); file != "" {
		return "[" + path.Base(file) + "]"
	}
	return "[unknown]"
}

// print writes the hottest rows.
func (t *table) print(w io.Writer, limit int) {
	rows := make([]row, 0, len(t.counts))
	for r := range t.counts {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(t.counts[b], t.counts[a]), cmp.Compare(a.process, b.process),
			cmp.Compare(a.pid, b.pid), cmp.Compare(a.function, b.function))
	})
	fmt.Fprintf(w, "\n%d samples of busy CPU time, the functions that were running:\n\n", t.total)
	fmt.Fprintf(w, "%7s  %-32s  %s\n", "SHARE", "PROCESS", "FUNCTION")
	for _, r := range rows[:min(limit, len(rows))] {
		share := 100 * float64(t.counts[r]) / float64(t.total)
		fmt.Fprintf(w, "%6.1f%%  %-32s  %s\n", share, fmt.Sprintf("%s (%d)", r.process, r.pid), r.function)
	}
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// WriteFolded writes a line per stack, as flame graph tools read them: the process
// and the functions, the outermost first, between semicolons, and the value of
// the last sample type behind a space. Name has to have run on p.
func WriteFolded(w io.Writer, p *profile.Profile) error {
	counts := map[string]int64{}
	for _, s := range p.Sample {
		line := foldedLine(s)
		counts[line] = Add(counts[line], s.Value[len(s.Value)-1])
	}
	lines := make([]string, 0, len(counts))
	for line := range counts {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	out := bufio.NewWriter(w)
	for _, line := range lines {
		out.WriteString(line)
		out.WriteByte(' ')
		out.WriteString(strconv.FormatInt(counts[line], 10))
		out.WriteByte('\n')
	}
	return out.Flush()
}

func foldedLine(s *profile.Sample) string {
	frames := []string{"[unknown process]"}
	if process := s.Label["process"]; len(process) > 0 {
		frames[0] = foldedFrame(process[0])
	}
	for _, l := range slices.Backward(s.Location) {
		for _, line := range slices.Backward(l.Line) {
			frames = append(frames, foldedFrame(functionName(line.Function)))
		}
	}
	return strings.Join(frames, ";")
}

func functionName(f *profile.Function) string {
	if f.Name == "" {
		return f.Filename
	}
	return f.Name
}

// foldedFrame replaces what would end a frame or a line.
func foldedFrame(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ';':
			return ':'
		case r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029':
			return ' '
		default:
			return r
		}
	}, name)
}

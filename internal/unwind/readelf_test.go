// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bufio"
	"bytes"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// interpRow is a row as readelf -wF (--debug-dump=frames-interp) prints it.
type interpRow struct {
	addr, end   uint64
	cfa, fp, ra string
	returnIn    string // the column of the return address
	signal      bool
}

// interpFDE is an FDE of readelf.
type interpFDE struct {
	section    string
	start, end uint64
	rows       []interpRow
}

var (
	cieLine = regexp.MustCompile(`^([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ CIE "(.*)" cf=\d+ df=-?\d+ ra=(\d+)`)
	fdeLine = regexp.MustCompile(`^[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ FDE .*cie=([0-9a-f]+) pc=([0-9a-f]+)\.\.([0-9a-f]+)`)
	// alias is the other name of a register in the column of one saved in it.
	alias = regexp.MustCompile(` \([a-z0-9]+\)`)
)

// interp is what readelf says of the frames of a file.
func interp(t testing.TB, path string) []interpFDE {
	t.Helper()
	cmd := exec.Command(tool(t, "readelf"), "-W", "-wFN", path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	p := interpParser{t: t}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.line(lines.Text())
	}
	require.NoError(t, lines.Err())
	require.NoError(t, cmd.Wait(), stderr.String())
	p.close()
	return p.fdes
}

type interpParser struct {
	t       testing.TB
	section string
	cies    map[string]*interpRow
	columns []string
	cie     *interpRow // that is being read
	common  interpRow  // what the rows of an FDE share
	fdes    []interpFDE
	open    bool // the last FDE is being read
}

func (p *interpParser) line(s string) {
	fields := strings.Fields(alias.ReplaceAllString(s, ""))
	switch {
	case strings.HasPrefix(s, "Contents of the "):
		p.close()
		p.section, p.cies = fields[3], make(map[string]*interpRow)
	case len(fields) == 0 || strings.HasSuffix(s, "ZERO terminator"):
	case fields[0] == "LOC":
		p.columns = fields
	case cieLine.MatchString(s):
		p.close()
		m := cieLine.FindStringSubmatch(s)
		p.cie = &interpRow{returnIn: m[3], signal: strings.Contains(m[2], "S")}
		p.cies[m[1]] = p.cie
	case fdeLine.MatchString(s):
		p.close()
		m := fdeLine.FindStringSubmatch(s)
		p.common = *p.cies[m[1]]
		p.fdes = append(p.fdes, interpFDE{section: p.section, start: p.hex(m[2]), end: p.hex(m[3])})
		p.open = true
	case len(fields) == len(p.columns):
		p.row(fields)
	}
}

func (p *interpParser) hex(s string) uint64 {
	n, err := strconv.ParseUint(s, 16, 64)
	require.NoError(p.t, err)
	return n
}

func (p *interpParser) row(fields []string) {
	row := p.common
	row.fp, row.ra = "u", "u"
	for i, column := range p.columns {
		switch column {
		case "LOC":
			row.addr = p.hex(fields[i])
		case "CFA":
			row.cfa = fields[i]
		case "rbp", "x29":
			row.fp = fields[i]
		case "ra":
			row.ra = fields[i]
		}
	}
	if p.open {
		f := &p.fdes[len(p.fdes)-1]
		f.rows = append(f.rows, row)
	} else if p.cie != nil {
		row.returnIn, row.signal = p.cie.returnIn, p.cie.signal
		*p.cie = row
	}
}

// close ends the FDE that is being read. One without rows has those of its CIE.
// Of rows at one address the last one holds.
func (p *interpParser) close() {
	p.cie, p.columns = nil, nil
	if !p.open {
		return
	}
	p.open = false
	f := &p.fdes[len(p.fdes)-1]
	if len(f.rows) == 0 {
		p.common.addr = f.start
		f.rows = []interpRow{p.common}
	}
	for i := range f.rows {
		f.rows[i].end = f.end
		if i+1 < len(f.rows) {
			f.rows[i].end = f.rows[i+1].addr
		}
	}
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/dwarfsymbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// source is an ELF file while it is being read.
type source struct {
	*elffile.File
	sections []elffile.Section
}

func openSource(r io.ReaderAt, size int64) (s source, err error) {
	if s.File, err = elffile.Open(r, size); err != nil {
		return s, err
	}
	s.sections, err = s.Sections()
	return s, err
}

// image is an executable file, and the file that holds what was stripped from it.
type image struct {
	source
	buildID string
	options Options

	looked  bool
	debug   *source // nil if there is none
	lookErr error
}

// stripped returns what was stripped from the file, nil if that is nowhere.
func (img *image) stripped() (*source, error) {
	if img.looked || img.options.Separate == nil {
		return img.debug, img.lookErr
	}
	img.looked = true
	r, size := img.options.Separate(separate(img.source, img.buildID))
	if r == nil {
		return nil, nil
	}
	s, err := openSource(r, size)
	if err != nil {
		img.lookErr = fmt.Errorf("separate debug file: %w", err)
		return nil, img.lookErr
	}
	img.debug = &s
	return img.debug, nil
}

// readDebug opens the debug information of the file.
func (img *image) readDebug() (*dwarfsymbol.Debug, error) {
	d, err := dwarfsymbol.Open(img.File, img.sections, img.options.Other)
	if !errors.Is(err, dwarfsymbol.ErrNone) {
		return d, err
	}
	s, err := img.stripped()
	if s == nil {
		return nil, errors.Join(dwarfsymbol.ErrNone, err)
	}
	return dwarfsymbol.Open(s.File, s.sections, img.options.Other)
}

// openDebug opens the debug information of the file of size bytes behind r.
func openDebug(r io.ReaderAt, size int64, o Options) (*dwarfsymbol.Debug, error) {
	s, err := openSource(r, size)
	if err != nil {
		return nil, err
	}
	f := File{}
	if err := f.readNotes(s.File, s.sections); err != nil {
		return nil, err
	}
	img := &image{source: s, buildID: f.gnuBuildID, options: o}
	return img.readDebug()
}

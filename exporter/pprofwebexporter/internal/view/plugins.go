// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
)

var errRefused = errors.New("not allowed")

// refusal is every plugin that would read or write something.
type refusal struct{}

func (refusal) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errRefused
}

func (refusal) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) { return nil, errRefused }

func (refusal) RoundTrip(*http.Request) (*http.Response, error) { return nil, errRefused }

// Symbolize leaves the profile as it is.
func (refusal) Symbolize(string, driver.MappingSources, *profile.Profile) error { return nil }

// writer refuses, too; its method has the name of another.
type writer struct{}

func (writer) Open(string) (io.WriteCloser, error) { return nil, errRefused }

// fetcher has the one profile there is.
type fetcher struct{ profile *profile.Profile }

func (f fetcher) Fetch(string, time.Duration, time.Duration) (*profile.Profile, string, error) {
	return f.profile, "", nil
}

// silence is a user interface without a user: what the driver says to one is also
// on the page.
type silence struct{}

func (silence) ReadLine(string) (string, error)     { return "", io.EOF }
func (silence) Print(...any)                        {}
func (silence) PrintErr(...any)                     {}
func (silence) IsTerminal() bool                    { return false }
func (silence) WantBrowser() bool                   { return false }
func (silence) SetAutoComplete(func(string) string) {}

// flagSet has the values of the flags that are set. The others have their default.
type flagSet map[string]string

func (f flagSet) String(name, value, _ string) *string {
	if set, ok := f[name]; ok {
		value = set
	}
	return &value
}

func (flagSet) Bool(_ string, value bool, _ string) *bool          { return &value }
func (flagSet) Int(_ string, value int, _ string) *int             { return &value }
func (flagSet) Float64(_ string, value float64, _ string) *float64 { return &value }
func (flagSet) StringList(string, string, string) *[]*string       { return &[]*string{} }
func (flagSet) ExtraUsage() string                                 { return "" }
func (flagSet) AddExtraUsage(string)                               {}

// Parse returns the name of the one profile, which nobody reads.
func (flagSet) Parse(func()) []string { return []string{"profile"} }

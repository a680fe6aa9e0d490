// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
)

// scripts has the views that are allowed, and how many scripts a page of each has.
// The others of the driver read source files and binaries, start programs, or save
// settings.
var scripts = map[string]int{"flamegraph": 3, "peek": 2, "top": 2}

// Exists tells whether Render knows a view.
func Exists(view string) bool { return scripts[view] > 0 }

// turn lets one request at a time into the driver, which has global state.
var turn = make(chan struct{}, 1)

// Request says what to render.
type Request struct {
	View string
	// Query has the parameters of the address that a page of the driver made.
	Query url.Values
	// Profile belongs to Render from now on.
	Profile *profile.Profile
	// Title is what the profile is of.
	Title string
	// ByProcess puts the process under the functions.
	ByProcess bool
}

// Page is what a browser gets.
type Page struct {
	Body []byte
	// Policy is the value of the header Content-Security-Policy. It lets run what
	// the driver put into the page, by its hash, and nothing else.
	Policy string
}

// BadRequest is what the driver says of parameters it does not like.
type BadRequest string

func (e BadRequest) Error() string { return string(e) }

// Render waits for its turn until ctx ends. An error that is no BadRequest is a
// fault, not the reader's.
func Render(ctx context.Context, req Request) (*Page, error) {
	if !Exists(req.View) {
		return nil, BadRequest("there is no such view")
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	answer, err := drive(req)
	if err != nil {
		return nil, err
	}
	if answer.status != http.StatusOK {
		return nil, BadRequest(answer.body.String())
	}
	return seal(answer.body.Bytes(), scripts[req.View])
}

// drive lets the driver answer one request.
func drive(req Request) (answer *recorder, err error) {
	defer func() {
		// The driver panics on some of what it does not expect.
		if p := recover(); p != nil {
			err = fmt.Errorf("pprof panicked: %v", p)
		}
	}()
	if err := prepare(req.Profile, req.Title); err != nil {
		return nil, err
	}
	answer = newRecorder()
	flags := flagSet{"http": "localhost:0", "symbolize": "none"}
	if req.ByProcess && req.View == "flamegraph" {
		flags["tagroot"] = "process"
	}
	serve := func(args *driver.HTTPServerArgs) error {
		handler := args.Handlers["/"+req.View]
		if handler == nil {
			return errors.New("pprof has no view " + req.View)
		}
		handler.ServeHTTP(answer, request(req.View, req.Query))
		return nil
	}
	defer noSettings()()
	err = driver.PProf(&driver.Options{
		Writer: writer{}, Flagset: flags, Fetch: fetcher{req.Profile}, Sym: refusal{}, Obj: refusal{},
		UI: silence{}, HTTPServer: serve, HTTPTransport: refusal{},
	})
	return answer, err
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"net/http"
)

// maxAnswers is how many answers are held for readers that may be slow.
const maxAnswers = 4

// gate bounds what readers can make the collector do: pages are made one at a
// time, and kept until their readers have them only so many at a time. Others
// wait.
type gate struct{ turn, answers chan struct{} }

func newGate() gate { return gate{make(chan struct{}, 1), make(chan struct{}, maxAnswers)} }

func (g gate) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !enter(g.answers, r) {
			return
		}
		defer leave(g.answers)
		answer := answer{header: w.Header(), status: http.StatusOK}
		if !g.make(next, &answer, r) {
			return
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body.Bytes())
	}
}

// make is false if the reader has gone.
func (g gate) make(next http.HandlerFunc, a *answer, r *http.Request) bool {
	if !enter(g.turn, r) {
		return false
	}
	defer leave(g.turn)
	next(a, r)
	return true
}

func enter(c chan struct{}, r *http.Request) bool {
	select {
	case c <- struct{}{}:
		return true
	case <-r.Context().Done():
		return false
	}
}

func leave(c chan struct{}) { <-c }

// answer is one that nobody has seen yet.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

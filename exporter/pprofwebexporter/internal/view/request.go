// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"net/http"
	"net/url"
)

// parameters are those that the pages themselves use: regular expressions that
// select functions, and the sample type.
var parameters = []string{"f", "i", "h", "s", "sf", "si"}

// maxParameter is in bytes, and enough to hide some hundred functions.
const maxParameter = 16 << 10

// request is what the driver sees of a reader's.
func request(view string, query url.Values) *http.Request {
	allowed := url.Values{}
	for _, name := range parameters {
		if v := query.Get(name); v != "" && len(v) <= maxParameter {
			allowed.Set(name, v)
		}
	}
	return &http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Path: "/" + view, RawQuery: allowed.Encode()},
		Header: http.Header{},
	}
}

// recorder keeps an answer, so that a slow reader holds nobody up.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, status: http.StatusOK} }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

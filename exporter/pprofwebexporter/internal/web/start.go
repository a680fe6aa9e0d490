// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	_ "embed"
	"html/template"
	"net/http"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

//go:embed start.html
var startText string

var start = template.Must(template.New("start").Parse(startText))

func (h *handler) start(w http.ResponseWriter, r *http.Request) {
	c, err := window.ParseChoice(r.URL.Query())
	if err != nil {
		h.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	h.render(w, http.StatusOK, start, newPage(c, h.Store.Windows()))
}

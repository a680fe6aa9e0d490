// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package web serves the start page, the views and the downloads.
package web

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/view"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

// Settings say what to serve and to whom.
type Settings struct {
	Store *window.Store
	// Hosts are names of this server beside those of the loopback address.
	Hosts []string
	// Refused is called for every request that is for another name.
	Refused func()
	Logger  *zap.Logger
}

// NewHandler returns the handler of all pages.
func NewHandler(s Settings) http.Handler { return newHandler(s, newGate()) }

func newHandler(s Settings, g gate) http.Handler {
	h := &handler{s}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", g.guard(h.start))
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /profile/{choice}/{$}", h.back)
	mux.HandleFunc("GET /profile/{choice}/{view}", g.guard(h.view))
	// "download" is where the pages of pprof link to.
	for _, name := range []string{"download", "profile.pb.gz"} {
		mux.HandleFunc("GET /profile/{choice}/"+name, g.guard(h.download))
	}
	mux.HandleFunc("GET /profile/{choice}/folded.txt", g.guard(h.folded))
	return guard(newHosts(s.Hosts), s.Refused, mux)
}

// guard answers only who asks for this host, and says what browsers may do with
// all answers.
func guard(names hosts, refused func(), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control":                "no-store",
			"Content-Security-Policy":      policy,
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
		} {
			w.Header().Set(name, value)
		}
		if !names.allow(r.Host) {
			refused()
			http.Error(w, "This server does not answer to that name. Its own names are localhost and what allowed_hosts says.",
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// policy is that of our own pages: no script at all.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

type handler struct{ Settings }

//go:embed style.css
var style []byte

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(style)
}

// everything stands for the empty choice in an address.
const everything = "all"

// address is where the views of a choice are.
func address(c window.Choice, view string) string {
	choice := c.Values().Encode()
	if choice == "" {
		choice = everything
	}
	return "/profile/" + url.PathEscape(choice) + "/" + view
}

func choiceOf(r *http.Request) (window.Choice, error) {
	text := r.PathValue("choice")
	if text == everything {
		text = ""
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return window.Choice{}, fmt.Errorf("read the choice in the address: %w", err)
	}
	return window.ParseChoice(values)
}

// back leads from a view to the start page, with the same choice.
func (h *handler) back(w http.ResponseWriter, r *http.Request) {
	c, err := choiceOf(r)
	if err != nil {
		h.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	http.Redirect(w, r, "/?"+c.Values().Encode(), http.StatusSeeOther)
}

// selected is the profile that a request is about; if it is nil, the request has
// been answered.
func (h *handler) selected(w http.ResponseWriter, r *http.Request) *window.Selected {
	c, err := choiceOf(r)
	if err != nil {
		h.fail(w, http.StatusBadRequest, err.Error())
		return nil
	}
	s, err := window.Select(c, h.Store.Windows())
	switch {
	case errors.Is(err, convert.ErrTooLarge):
		h.fail(w, http.StatusRequestEntityTooLarge, "This is "+err.Error()+".")
	case err != nil:
		h.fault(w, err)
	case s == nil:
		h.fail(w, http.StatusNotFound, "No profile matches this choice. Old windows make room for new ones.")
	}
	return s
}

func (h *handler) view(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("view")
	if !view.Exists(name) {
		h.fail(w, http.StatusNotFound, "There is no such page.")
		return
	}
	s := h.selected(w, r)
	if s == nil {
		return
	}
	page, err := view.Render(r.Context(), view.Request{
		View: name, Query: r.URL.Query(), Profile: s.Profile, Title: title(s), ByProcess: s.Processes > 1,
	})
	var bad view.BadRequest
	switch {
	case errors.As(err, &bad):
		h.fail(w, http.StatusBadRequest, bad.Error())
	case err != nil && r.Context().Err() != nil: // the reader has gone
	case err != nil:
		h.fault(w, err)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", page.Policy)
		_, _ = w.Write(page.Body)
	}
}

// title says of whom the profile is.
func title(s *window.Selected) string {
	switch {
	case s.Processes > 1 && s.Programs == 1:
		return fmt.Sprintf("%s, %d processes", s.Process.Name, s.Processes)
	case s.Processes > 1:
		return fmt.Sprintf("%d processes", s.Processes)
	case s.Process.PID != "":
		return s.Process.Name + " (" + s.Process.PID + ")"
	default:
		return s.Process.Name
	}
}

func (h *handler) download(w http.ResponseWriter, r *http.Request) {
	s := h.selected(w, r)
	if s == nil {
		return
	}
	h.attach(w, s, "application/vnd.google.protobuf+gzip", "pb.gz", func(b *bytes.Buffer) error { return s.Profile.Write(b) })
}

func (h *handler) folded(w http.ResponseWriter, r *http.Request) {
	s := h.selected(w, r)
	if s == nil {
		return
	}
	convert.Name(s.Profile)
	h.attach(w, s, "text/plain; charset=utf-8", "folded.txt", func(b *bytes.Buffer) error {
		return convert.WriteFolded(b, s.Profile)
	})
}

// attach sends what write writes as a file.
func (h *handler) attach(w http.ResponseWriter, s *window.Selected, kind, ending string, write func(*bytes.Buffer) error) {
	var body bytes.Buffer
	if err := write(&body); err != nil {
		h.fault(w, err)
		return
	}
	at := time.Unix(0, s.Profile.TimeNanos).UTC().Format("20060102T150405Z")
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", "attachment; filename=\"profile-"+at+"."+ending+"\"")
	_, _ = w.Write(body.Bytes())
}

// fault is an error that the reader can do nothing about.
func (h *handler) fault(w http.ResponseWriter, err error) {
	h.Logger.Error("A page could not be made", zap.Error(err))
	h.fail(w, http.StatusInternalServerError, "This page could not be made. The collector's log says why.")
}

//go:embed message.html
var messageText string

var message = template.Must(template.New("message").Parse(messageText))

func (h *handler) fail(w http.ResponseWriter, status int, text string) {
	h.render(w, status, message, struct{ Title, Text string }{http.StatusText(status), text})
}

func (h *handler) render(w http.ResponseWriter, status int, t *template.Template, data any) {
	var body bytes.Buffer
	if err := t.Execute(&body, data); err != nil {
		h.Logger.Error("A page could not be made", zap.Error(err))
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

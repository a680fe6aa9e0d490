// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build browser

package pprofwebexporter

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
)

// visit loads a page in Chromium, and returns what its scripts have made of it,
// the complaints, and the addresses that the page asked for.
func visit(t *testing.T, address string) (dom, console string, requests []string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	require.NoError(t, err, "this test needs the package chromium")
	dir := t.TempDir()
	netLog := filepath.Join(dir, "net.json")
	cmd := exec.Command(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--no-first-run", "--user-data-dir="+filepath.Join(dir, "data"),
		"--log-net-log="+netLog, "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", address)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	require.NoError(t, err, log.String())
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	return string(out), console, requested(t, netLog)
}

// requested are the addresses that pages asked for, in a net log of Chromium.
// https://www.chromium.org/for-testers/providing-network-details/
func requested(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var log struct {
		Constants struct{ LogEventTypes map[string]int }
		Events    []struct {
			Type   int
			Params struct{ URL, Initiator string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &log))
	start, ok := log.Constants.LogEventTypes["URL_REQUEST_START_JOB"]
	require.True(t, ok)
	var out []string
	for _, e := range log.Events {
		// What the browser asks for on its own account has no initiator.
		if e.Type == start && strings.HasPrefix(e.Params.Initiator, "http") {
			out = append(out, e.Params.URL)
		}
	}
	return out
}

func TestInABrowser(t *testing.T) {
	const script = "</script><script>document.title='PWNED'</script><img src=x onerror=\"document.title='PWNED'\">'\"`</style>"
	hostile := profiletest.CPU(script, 13, 2000)
	for _, key := range []string{"container.id", "service.name", "host.name", "process.executable.path"} {
		hostile.Attributes[key] = script
	}
	hostile.Samples = []profiletest.Sample{{Timestamps: 50, Attributes: map[string]any{"thread.name": script}, Frames: []profiletest.Frame{{
		Address: 1, Mapping: profiletest.Mapping{File: script, GNU: script},
		Lines: []profiletest.Line{{Function: script, File: "/etc/shadow", Line: 1}, {Function: "https://outside.example/" + script}},
	}}}}
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = freeAddress(t)
	e := started(t, cfg, componenttest.NewNopTelemetrySettings())
	consume(t, e, hostile, profiletest.CPU("server", 42, 2000, profiletest.Stack(100, "serve", "main")))

	for path, want := range map[string]struct {
		text  string
		count int
	}{
		"/":                       {`<td class="process">`, 2},
		"/profile/all/flamegraph": {`class="boxbg`, 7}, // root, two processes, and their two functions each
		"/profile/all/top":        {`<tr id="node`, 4},
		"/profile/all/peek":       {"serve", 1},
	} {
		t.Run(path, func(t *testing.T) {
			dom, console, requests := visit(t, "http://"+cfg.NetAddr.Endpoint+path)

			assert.GreaterOrEqual(t, strings.Count(dom, want.text), want.count, "the page works")
			assert.Empty(t, console, "nothing was refused, and no script failed")
			assert.NotContains(t, dom, "<title>PWNED")
			for _, r := range requests {
				u, err := url.Parse(r)
				require.NoError(t, err)
				if u.Scheme != "data" {
					assert.Equal(t, cfg.NetAddr.Endpoint, u.Host, r)
				}
			}
		})
	}
}

func TestInABrowserARequestToElsewhereWouldBeSeen(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<img src="http://outside.invalid/x.png"><script>document.title = "ran"; nothing()</script>`)
	}))
	defer page.Close()

	dom, console, requests := visit(t, page.URL)

	assert.Contains(t, requests, "http://outside.invalid/x.png")
	assert.Contains(t, console, "nothing is not defined")
	assert.Contains(t, dom, "<title>ran")
}

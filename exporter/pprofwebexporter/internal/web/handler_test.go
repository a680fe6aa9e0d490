// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"golang.org/x/net/html"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

const second = profiletest.Second

// site is a handler over a store.
type site struct {
	t       testing.TB
	store   *window.Store
	handler http.Handler
	refused int
}

func newSite(t testing.TB, windows ...[]profiletest.Profile) *site {
	s := &site{t: t, store: window.NewStore(window.Limits{Windows: 100, Bytes: 1 << 30})}
	for _, profiles := range windows {
		b, err := window.NewBatch(profiletest.Build(profiles...), time.Unix(0, 1))
		require.NoError(t, err)
		_, _, err = s.store.Add(b)
		require.NoError(t, err)
	}
	s.handler = NewHandler(Settings{
		Store: s.store, Hosts: []string{"profiles.example"}, Refused: func() { s.refused++ }, Logger: zap.NewNop(),
	})
	return s
}

func (s *site) get(address string) *httptest.ResponseRecorder {
	return s.request("GET", address, "localhost")
}

func (s *site) request(method, address, host string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, address, nil)
	r.Host = host
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func (s *site) page(address string) string {
	s.t.Helper()
	w := s.get(address)
	require.Equal(s.t, http.StatusOK, w.Code, w.Body)
	return w.Body.String()
}

// busy is two windows of two processes, one in a container.
func busy(t testing.TB) *site {
	server := func(start int64, count int) profiletest.Profile {
		p := profiletest.CPU("server", 42, start, profiletest.Stack(count, "serve", "main"))
		p.Attributes["container.id"], p.Attributes["service.name"] = "c0ffee0123456789", "shop"
		return p
	}
	return newSite(t,
		[]profiletest.Profile{server(100*second, 300), profiletest.CPU("batch", 7, 100*second, profiletest.Stack(100, "crunch"))},
		[]profiletest.Profile{server(105*second, 100)})
}

// text is what a reader sees of a page, with one space between words.
func text(page string) string {
	var words []string
	z := html.NewTokenizer(strings.NewReader(page))
	hidden := ""
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.Join(words, " ")
		case html.StartTagToken:
			if name, _ := z.TagName(); string(name) == "title" || string(name) == "select" {
				hidden = string(name)
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == hidden {
				hidden = ""
			}
		case html.TextToken:
			if hidden == "" {
				words = append(words, strings.Fields(string(z.Text()))...)
			}
		}
	}
}

func TestTheStartPageShowsWhoIsBusy(t *testing.T) {
	page := text(busy(t).page("/"))

	assert.Contains(t, page, "5 s CPU time · 0.50 cores busy")
	assert.Contains(t, page, "server shop c0ffee012345 42 80.0% 4 s 0.40")
	assert.Contains(t, page, "batch 7 20.0% 1 s 0.10")
	assert.Less(t, strings.Index(page, "server shop"), strings.Index(page, "batch 7"), "the busiest first")
}

func TestTheStartPageNarrowsDown(t *testing.T) {
	s := busy(t)
	for address, want := range map[string]string{
		"/?search=BAT":                 "1 s of 5 s CPU time",
		"/?container=c0ffee0123456789": "4 s of 5 s CPU time",
		"/?service=shop":               "4 s of 5 s CPU time",
		"/?from=105000000000":          "1 s CPU time · 0.20 cores busy",
		"/?to=100000000000":            "4 s CPU time · 0.80 cores busy",
		"/?last=5":                     "1 s CPU time",
		"/?search=nobody":              "Nothing matches this choice.",
		"/?kind=nothing":               "Nothing matches this choice.",
		"/?from=100000000000000":       "Nothing matches this choice.",
		"/?search=batch&service=shop":  "Nothing matches this choice.",
		"/?process=0000000000000000":   "Nothing matches this choice.",
		"/?search=batch&last=5":        "Nothing matches this choice.",
	} {
		assert.Contains(t, text(s.page(address)), want, address)
	}
}

func TestProgramsListTheirProcesses(t *testing.T) {
	var profiles []profiletest.Profile
	for pid := range 3 {
		profiles = append(profiles, profiletest.CPU("gzip", pid+10, 100*second, profiletest.Stack(100, "deflate")))
	}
	profiles = append(profiles, profiletest.CPU("xz", 20, 100*second, profiletest.Stack(200, "lzma")))
	s := newSite(t, profiles)

	page := s.page("/?by=program")
	require.Contains(t, text(page), "gzip 3 processes 60.0% 3 s 0.60")
	require.Contains(t, text(page), "xz 20 40.0% 2 s 0.40")
	require.Equal(t, 2, strings.Count(page, `<td class="process">`))

	program := regexp.MustCompile(`program=[0-9a-f]{16}`).FindString(page)
	processes := s.page("/?" + program)
	assert.Equal(t, 3, strings.Count(processes, `<td class="process">`))
	assert.Contains(t, text(processes), "program gzip", "the filter has its name")
	graph := s.page("/profile/" + program + "/flamegraph")
	assert.Contains(t, graph, "gzip, 3 processes")
	assert.Contains(t, graph, "deflate")
	assert.NotContains(t, graph, "lzma")
}

func TestBeforeTheFirstWindow(t *testing.T) {
	s := newSite(t)

	assert.Contains(t, text(s.page("/")), "No profile yet")
	assert.Equal(t, http.StatusNotFound, s.get("/profile/all/flamegraph").Code)
}

// links are the addresses that a page leads to.
func pageLinks(page string) []string {
	var out []string
	z := html.NewTokenizer(strings.NewReader(page))
	for z.Next() != html.ErrorToken {
		for _, a := range z.Token().Attr {
			if a.Key == "href" {
				out = append(out, a.Val)
			}
		}
	}
	return out
}

// Every link of the start page leads somewhere, and none away from here.
func TestLinksWork(t *testing.T) {
	s := busy(t)
	for _, start := range []string{"/", "/?by=program", "/?search=ser&last=60", "/?container=c0ffee0123456789&service=shop"} {
		links := pageLinks(s.page(start))
		require.Greater(t, len(links), 20)
		for _, link := range links {
			require.True(t, strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "//"), link)
			assert.Equal(t, http.StatusOK, s.get(link).Code, link)
		}
	}
}

func TestViewsShowTheChoiceOnly(t *testing.T) {
	s := busy(t)
	for _, view := range []string{"flamegraph", "top", "peek"} {
		page := s.page(address(window.Choice{Search: "batch"}, view))
		assert.Contains(t, page, "crunch")
		assert.Contains(t, page, "batch (7)", "the title")
		assert.NotContains(t, page, "serve")

		page = s.page(address(window.Choice{}, view))
		assert.Contains(t, page, "crunch")
		assert.Contains(t, page, "serve")
		assert.Contains(t, page, "2 processes")
	}
}

func TestDownloads(t *testing.T) {
	s := busy(t)
	for _, name := range []string{"profile.pb.gz", "download"} {
		w := s.get(address(window.Choice{}, name))
		require.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, `attachment; filename="profile-19700101T000140Z.pb.gz"`, w.Header().Get("Content-Disposition"))
		p, err := profile.Parse(bytes.NewReader(w.Body.Bytes()))
		require.NoError(t, err)
		totals := map[string]int64{}
		for _, sample := range p.Sample {
			totals[sample.Label["process"][0]] += sample.Value[1]
		}
		assert.Equal(t, map[string]int64{"server": 4 * second, "batch": second}, totals)
		assert.Equal(t, "abc123", p.Mapping[0].BuildID)
	}

	w := s.get(address(window.Choice{}, "folded.txt"))
	require.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "batch;crunch 1000000000\nserver;main;serve 4000000000\n", w.Body.String())
	assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
}

func TestBackFromAViewKeepsTheChoice(t *testing.T) {
	s := busy(t)

	w := s.get(address(window.Choice{Search: "a b", Service: "shop"}, ""))

	require.Equal(t, http.StatusSeeOther, w.Code)
	assert.Equal(t, "/?search=a+b&service=shop", w.Header().Get("Location"))
}

func TestWhatIsOff(t *testing.T) {
	s := busy(t)
	for _, path := range []string{
		"/profile/all/source", "/profile/all/disasm", "/profile/all/graph", "/profile/all/saveconfig?config=x",
		"/profile/all/deleteconfig?config=x", "/profile/all/weblist", "/profile/all/flamegraph/x", "/ui/", "/debug/pprof/",
		"/favicon.ico", "/start.html",
	} {
		assert.Equal(t, http.StatusNotFound, s.get(path).Code, path)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		assert.Equal(t, http.StatusMethodNotAllowed, s.request(method, "/profile/all/top", "localhost").Code, method)
	}
}

func TestBadAddresses(t *testing.T) {
	s := busy(t)
	for path, want := range map[string]int{
		"/?from=x":                          http.StatusBadRequest,
		"/profile/from=x/top":               http.StatusBadRequest,
		"/profile/from=x/":                  http.StatusBadRequest,
		"/profile/%25zz/top":                http.StatusBadRequest,
		"/profile/all/top?f=(":              http.StatusBadRequest,
		"/profile/search=nobody/top":        http.StatusNotFound,
		"/profile/search=nobody/folded.txt": http.StatusNotFound,
		"/profile/search=nobody/download":   http.StatusNotFound,
	} {
		assert.Equal(t, want, s.get(path).Code, path)
	}
}

// A page of another site whose name is made to lead here must not read anything.
func TestOtherNamesAreRefused(t *testing.T) {
	s := busy(t)
	for _, host := range []string{
		"evil.example", "evil.example:6077", "localhost.evil.example", "", "127.0.0.1.evil.example", "169.254.1.1", "0.0.0.0", "[::]:6077",
	} {
		for _, path := range []string{"/", "/style.css", "/profile/all/folded.txt", "/nothing"} {
			w := s.request("GET", path, host)
			assert.Equal(t, http.StatusMisdirectedRequest, w.Code, host)
			assert.NotContains(t, w.Body.String(), "batch")
		}
	}
	assert.Equal(t, 8*4, s.refused)
	for _, host := range []string{
		"localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1:6077", "127.8.8.8", "[::1]:6077", "[::1]", "profiles.example:1", "Profiles.Example",
	} {
		assert.Equal(t, http.StatusOK, s.request("GET", "/", host).Code, host)
	}
	assert.Equal(t, 8*4, s.refused)
}

func TestBrowsersAreToldWhatIsAllowed(t *testing.T) {
	s := busy(t)
	for _, path := range []string{"/", "/nothing", "/profile/all/top", "/profile/all/folded.txt", "/profile/search=nobody/top"} {
		h := s.get(path).Header()
		policy := h.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", path)
		assert.Contains(t, policy, "frame-ancestors 'none'", path)
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "no-store", h.Get("Cache-Control"), path)
		assert.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"), path)
		assert.Empty(t, h.Get("Access-Control-Allow-Origin"), path)
	}
	assert.NotContains(t, s.get("/").Header().Get("Content-Security-Policy"), "script-src")
	assert.Contains(t, s.get("/profile/all/top").Header().Get("Content-Security-Policy"), "script-src 'sha256-")
}

func TestNamesAreNoMarkup(t *testing.T) {
	const script = "</title></option><script>alert(1)</script><img src=x onerror=alert(1)>'\"`javascript:alert(1)"
	p := profiletest.CPU(script, 1, 1, profiletest.Stack(1, script))
	for _, key := range []string{
		"process.executable.path", "process.creation.time", "container.id", "service.name", "host.name", "k8s.pod.name",
	} {
		p.Attributes[key] = script
	}
	other := p
	other.Type, other.Unit = script, script
	s := newSite(t, []profiletest.Profile{p, other})
	everything := url.Values{"search": {"alert"}, "container": {script}, "service": {script}}.Encode()
	for _, path := range []string{"/", "/?" + everything, "/?kind=" + url.QueryEscape(script), "/?from=" + url.QueryEscape(script)} {
		w := s.get(path)
		z := html.NewTokenizer(w.Body)
		for z.Next() != html.ErrorToken {
			token := z.Token()
			assert.NotContains(t, []string{"script", "img", "iframe", "object"}, token.Data, path)
			for _, a := range token.Attr {
				assert.False(t, strings.HasPrefix(a.Key, "on"), "%s is a handler", a.Key)
				assert.NotEqual(t, "style", a.Key, "the policy forbids it")
			}
		}
	}
	w := s.get(address(window.Choice{}, "folded.txt"))
	assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
}

func TestAPageHasABoundedNumberOfRows(t *testing.T) {
	var profiles []profiletest.Profile
	for i := range maxRows + 5 {
		profiles = append(profiles, profiletest.CPU("p", i, 1, profiletest.Stack(1, "f")))
	}
	page := newSite(t, profiles).page("/")

	assert.Equal(t, maxRows, strings.Count(page, `<td class="process">`))
	assert.Contains(t, text(page), "5 more with less. Search to see them.")
}

func TestKindsCanBeChosen(t *testing.T) {
	alloc := profiletest.Profile{
		Attributes: map[string]any{"service.name": "shop"}, Time: 100 * second, Duration: second,
		Type: "alloc_space", Unit: "bytes", Samples: []profiletest.Sample{{Values: []int64{3 << 20}}},
	}
	s := newSite(t, []profiletest.Profile{alloc, profiletest.CPU("a", 1, 100*second, profiletest.Stack(1, "f"))})

	assert.Contains(t, text(s.page("/")), "10 ms CPU time")
	assert.Contains(t, text(s.page("/?kind=alloc_space%3Abytes%3A%3A")), "3 MiB alloc_space")
	assert.Contains(t, s.page(address(window.Choice{Kind: "alloc_space:bytes::"}, "top")), "shop")
}

func TestEachMomentIsCoveredOnce(t *testing.T) {
	assert.Zero(t, coverage(nil))
	assert.EqualValues(t, 35, coverage([]window.Window{{Start: 0, End: 10}, {Start: 5, End: 15}, {Start: 6, End: 8}, {Start: 100, End: 120}}))
}

func TestValuesHaveUnits(t *testing.T) {
	for _, test := range []struct {
		unit  string
		value int64
		want  string
	}{
		{"nanoseconds", 500_000, "0.5 ms"},
		{"nanoseconds", 12_345_000_000, "12.3 s"},
		{"nanoseconds", 123 * second, "123 s"},
		{"nanoseconds", 3725 * second, "1h2m5s"},
		{"bytes", 512, "512 B"},
		{"bytes", 3 << 30, "3 GiB"},
		{"count", 12, "12"},
		{"widgets", 12, "12 widgets"},
	} {
		assert.Equal(t, test.want, measure{unit: test.unit}.text(test.value))
	}
}

// Pages take memory and time of a collector that has other things to do.
func TestReadersWaitForEachOther(t *testing.T) {
	g := newGate()
	var making, most atomic.Int32
	release := make(chan struct{})
	handler := g.guard(func(w http.ResponseWriter, _ *http.Request) {
		now := making.Add(1)
		most.Store(max(most.Load(), now))
		<-release
		making.Add(-1)
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("made"))
	})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			w := httptest.NewRecorder()
			handler(w, httptest.NewRequest("GET", "/", nil))
			assert.Equal(t, http.StatusTeapot, w.Code)
			assert.Equal(t, "made", w.Body.String())
		})
	}
	for range 10 {
		release <- struct{}{}
	}
	wg.Wait()
	assert.EqualValues(t, 1, most.Load())

	for range maxAnswers {
		g.answers <- struct{}{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	assert.Empty(t, w.Body.String(), "who leaves does not wait")
}

func TestEveryProfileIsMadeInTurn(t *testing.T) {
	g := newGate()
	handler := newHandler(Settings{Store: busy(t).store, Refused: func() {}, Logger: zap.NewNop()}, g)
	g.turn <- struct{}{}
	for _, path := range []string{
		"/", "/profile/all/flamegraph", "/profile/all/top", "/profile/all/peek", "/profile/all/folded.txt",
		"/profile/all/download", "/profile/all/profile.pb.gz",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil).WithContext(ctx))
		cancel()
		assert.Empty(t, w.Body.String(), path)
	}
}

// A name may come from the symbol table of any user's program.
func TestNamesOfAnyLength(t *testing.T) {
	s := newSite(t, []profiletest.Profile{profiletest.CPU(strings.Repeat("p", 1<<20), 1, 1,
		profiletest.Stack(1, strings.Repeat("a.", 1<<19)), profiletest.Stack(1, strings.Repeat("b::", 1<<19)))})
	for _, path := range []string{"/", "/profile/all/flamegraph", "/profile/all/top", "/profile/all/peek"} {
		assert.Less(t, len(s.page(path)), 200_000, path)
	}
}

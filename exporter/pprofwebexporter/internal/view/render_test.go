// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
)

var views = []string{"flamegraph", "top", "peek"}

func converted(t testing.TB, profiles ...profiletest.Profile) *profile.Profile {
	t.Helper()
	message := profiletest.Build(profiles...)
	require.NoError(t, convert.Check(message))
	b := convert.NewBuilder(convert.Kind{Type: "samples", Unit: "count", PeriodType: "cpu", PeriodUnit: "nanoseconds"})
	require.NoError(t, b.Add(message, func(int) bool { return true }))
	return b.Profile()
}

func render(t testing.TB, view string, p *profile.Profile) *Page {
	t.Helper()
	page, err := Render(context.Background(), Request{View: view, Profile: p, Title: "title of it", ByProcess: true})
	require.NoError(t, err)
	return page
}

func TestViewsShowFunctionsAndProcesses(t *testing.T) {
	for _, view := range views {
		unnamed := profiletest.Sample{Timestamps: 1, Frames: []profiletest.Frame{{Mapping: profiletest.Mapping{File: "/lib/libc.so.6"}}}}
		page := string(render(t, view, converted(t, profiletest.CPU("busy.process", 1, 1,
			profiletest.Stack(3, "hot_function", "main_function"), unnamed))).Body)

		for _, want := range []string{"hot_function", "main_function", "title of it", "[libc\u2024so\u20246]"} {
			assert.Contains(t, page, want, view)
		}
		if view == "flamegraph" {
			assert.Contains(t, page, "busy\u2024process")
		}
	}
}

func TestParametersSelect(t *testing.T) {
	p := converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(3, "wanted"), profiletest.Stack(3, "other")))

	page, err := Render(context.Background(), Request{View: "top", Profile: p, Query: url.Values{"f": {"want.d"}}})

	require.NoError(t, err)
	assert.Contains(t, string(page.Body), "wanted")
	assert.NotContains(t, string(page.Body), "other")
}

func TestBadParametersAreTheReadersFault(t *testing.T) {
	p := converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(3, "f")))
	for _, query := range []url.Values{{"f": {"("}}, {"si": {"nothing"}}} {
		_, err := Render(context.Background(), Request{View: "top", Profile: p, Query: query})
		var bad BadRequest
		require.ErrorAs(t, err, &bad, "%v", query)
	}
}

// A number that does not fit makes the driver panic, and others cost it time.
func TestOtherParametersDoNotReachTheDriver(t *testing.T) {
	p := converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(3, "f")))
	for _, query := range []url.Values{
		{"tf": {"a=99999999999999999999"}}, {"n": {"x"}}, {"g": {"nothing"}}, {"f": {strings.Repeat("(", maxParameter+1)}},
	} {
		_, err := Render(context.Background(), Request{View: "top", Profile: p, Query: query})
		require.NoError(t, err)
	}
}

func TestThereAreNoOtherViews(t *testing.T) {
	p := converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(3, "f")))
	for _, view := range []string{
		"", "graph", "source", "disasm", "saveconfig", "deleteconfig", "download", "flamegraph2", "weblist", "/top", "../source",
	} {
		_, err := Render(context.Background(), Request{View: view, Profile: p})
		assert.Equal(t, BadRequest("there is no such view"), err, "%q", view)
	}
}

// secretive is a profile that names files nobody should see as its source and as
// its program.
func secretive(t testing.TB, file string) *profile.Profile {
	p := profiletest.CPU("a", 1, 1)
	p.Samples = []profiletest.Sample{{Timestamps: 5, Frames: []profiletest.Frame{{
		Address: 0x1000, Mapping: profiletest.Mapping{Start: 0x1000, Limit: 0x9000, File: file, GNU: "../../*"},
		Lines: []profiletest.Line{{Function: "leak", File: file, Line: 1}},
	}}}}
	return converted(t, p)
}

func TestNoFileIsRead(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("t0psecret\n"), 0o600))
	for _, file := range []string{secret, "/etc/shadow", "/proc/self/environ"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		first, _, _ := strings.Cut(string(content), "\n")
		for _, view := range views {
			page, err := Render(context.Background(), Request{
				View: view, Profile: secretive(t, file), Query: url.Values{"f": {"leak"}, "g": {"lines"}},
			})
			require.NoError(t, err)
			assert.NotContains(t, string(page.Body), first)
		}
	}

	p := secretive(t, secret)
	require.NoError(t, prepare(p, ""))
	for _, m := range p.Mapping {
		assert.Empty(t, m.BuildID, "the driver would list the directories that a build ID of ../* names")
	}

	answer, err := drive(Request{View: "source", Profile: secretive(t, secret), Query: url.Values{"f": {"leak"}}})
	require.NoError(t, err)
	require.Contains(t, answer.body.String(), "t0psecret", "this test could not fail if no view of pprof read files")
}

// The driver may not read the user's settings, and need not know where they are.
func TestNoSettingsAreReadOrWritten(t *testing.T) {
	home := t.TempDir()
	settings := filepath.Join(home, "pprof", "settings.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(settings), 0o700))
	require.NoError(t, os.WriteFile(settings, []byte(`{"configs":[{"name":"OWNSETTING"}]}`), 0o600))
	before, err := os.ReadFile(settings)
	require.NoError(t, err)
	t.Setenv(settingsVariable(), home)
	t.Setenv("PPROF_BINARY_PATH", home)
	for _, view := range views {
		page := render(t, view, converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f"))))
		assert.NotContains(t, string(page.Body), "OWNSETTING")
	}
	_, err = drive(Request{
		View: "saveconfig", Profile: converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f"))), Query: url.Values{"config": {"x"}},
	})
	require.NoError(t, err)
	after, err := os.ReadFile(settings)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
	assert.Equal(t, home, os.Getenv(settingsVariable()), "the environment is as it was")
	assert.Equal(t, home, os.Getenv("PPROF_BINARY_PATH"))
}

func TestAServiceWithoutHome(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "PPROF_BINARY_PATH"} {
		t.Setenv(name, "") // so that it comes back
		require.NoError(t, os.Unsetenv(name))
	}

	render(t, "top", converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f"))))

	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "PPROF_BINARY_PATH"} {
		_, ok := os.LookupEnv(name)
		assert.False(t, ok, name)
	}
}

// Hostile has a script wherever there is a string.
func hostile() profiletest.Profile {
	const script = "</script></style></title><script>alert(1)</script><img src=x onerror=alert(1)>'\"`;alert(1)//\u2028"
	p := profiletest.CPU(script, 1, 1)
	for _, key := range []string{"container.id", "service.name", "host.name"} {
		p.Attributes[key] = script
	}
	p.Samples = []profiletest.Sample{{
		Timestamps: 5,
		Attributes: map[string]any{"thread.name": script, script: script},
		Frames: []profiletest.Frame{
			{
				Address: 0x1000, Mapping: profiletest.Mapping{Start: 0x1000, Limit: 0x9000, File: script, GNU: script},
				Lines: []profiletest.Line{{Function: script, System: script, File: script, Line: 1}, {Function: "javascript:alert(1)"}},
			},
			{Address: 0x2000, Mapping: profiletest.Mapping{File: "/" + script, GNU: script}},
		},
	}}
	return p
}

func TestNamesAreNoCode(t *testing.T) {
	for _, view := range views {
		// The title is made of a process's name.
		p := hostile()
		page, err := Render(context.Background(), Request{
			View: view, Profile: converted(t, p), Title: p.Attributes["process.executable.name"].(string), ByProcess: true,
			Query: url.Values{"f": {"alert"}, "i": {"<script>'"}},
		})
		require.NoError(t, err)
		elements := map[string]int{}
		z := html.NewTokenizer(strings.NewReader(string(page.Body)))
		for z.Next() != html.ErrorToken {
			token := z.Token()
			if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
				continue
			}
			elements[token.Data]++
			for _, a := range token.Attr {
				assert.False(t, strings.HasPrefix(a.Key, "on"), "%s is a handler", a.Key)
				if a.Key == "href" || a.Key == "src" {
					assert.NotContains(t, strings.ToLower(a.Val), "javascript:")
				}
			}
		}
		assert.Equal(t, scripts[view], elements["script"], view)
		assert.Zero(t, elements["img"]+elements["iframe"]+elements["svg"]+elements["object"], view)
	}
}

func TestAPageWithAForeignScriptIsNotShown(t *testing.T) {
	_, err := seal([]byte("<head></head><script>1</script><script>2</script>"), 1)
	require.EqualError(t, err, "a page of pprof has 2 scripts, want 1")
	_, err = seal([]byte("<head></head></head><script>1</script>"), 1)
	require.Error(t, err)

	page, err := seal([]byte("<head></head><script>1</script>"), 1)
	require.NoError(t, err)
	assert.Contains(t, page.Policy, "default-src 'none'")
	// echo -n 1 | openssl dgst -sha256 -binary | base64
	assert.Contains(t, page.Policy, "script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s=';")
	assert.NotContains(t, page.Policy, "unsafe")
}

func TestOneAfterTheOther(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("function_%d_", i)
			page, err := Render(context.Background(), Request{
				View: views[i%len(views)], Title: "t", ByProcess: i%2 == 0,
				Profile: converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(1, name))),
			})
			assert.NoError(t, err)
			assert.Contains(t, string(page.Body), name)
			for other := range 8 {
				if other != i {
					assert.NotContains(t, string(page.Body), fmt.Sprintf("function_%d_", other))
				}
			}
		})
	}
	wg.Wait()
}

func TestWhoLeavesDoesNotWait(t *testing.T) {
	turn <- struct{}{}
	defer func() { <-turn }()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()

	_, err := Render(ctx, Request{View: "top", Profile: converted(t, profiletest.CPU("a", 1, 1))})

	require.ErrorIs(t, err, context.Canceled)
}

func TestAnEmptyProfile(t *testing.T) {
	for _, view := range []string{"flamegraph", "top"} {
		render(t, view, converted(t, profiletest.CPU("a", 1, 1)))
	}
	_, err := Render(context.Background(), Request{View: "peek", Profile: converted(t, profiletest.CPU("a", 1, 1))})
	require.ErrorContains(t, err, "no matches found")
}

func TestNamesAreBounded(t *testing.T) {
	assert.Equal(t, 4, parts("a.b::c.d"))
	assert.Equal(t, 1, parts(keepWhole("a.b::c.d")))

	p := converted(t, profiletest.CPU("a", 1, 1, profiletest.Stack(1, "short.name", strings.Repeat("x.", maxParts))))
	require.NoError(t, prepareNames(p))
	assert.Equal(t, "short.name", p.Function[0].Name)
	assert.Equal(t, strings.Repeat("x\u2024", maxParts), p.Function[1].Name)

	p = &profile.Profile{}
	for range 2500 {
		p.Function = append(p.Function, &profile.Function{Name: strings.Repeat("y", 980) + strings.Repeat(".", 31)})
	}
	var bad BadRequest
	require.ErrorAs(t, prepareNames(p), &bad)
}

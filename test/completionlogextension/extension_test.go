// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package completionlogextension

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
)

var profiler = component.MustNewIDWithName("ebpf_profiler", "a")

func newExtension(t *testing.T, path string, maxLines int) extension.Extension {
	t.Helper()
	f := NewFactory()
	e, err := f.Create(context.Background(), extensiontest.NewNopSettings(f.Type()),
		&Config{Path: path, MaxLines: maxLines})
	require.NoError(t, err)
	return e
}

func TestWritesCompletionsUpToTheLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "completions")
	e := newExtension(t, path, 2)
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))

	for until := completion.KTime(1); until <= 3; until++ {
		e.(completion.Listener).Completed(completion.Completion{Receiver: profiler, Until: until})
	}
	require.NoError(t, e.Shutdown(context.Background()))
	e.(completion.Listener).Completed(completion.Completion{Receiver: profiler, Until: 4})

	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "ebpf_profiler/a 1\nebpf_profiler/a 2\n", string(got))
	require.NoError(t, e.Shutdown(context.Background()), "a second Shutdown")
}

func TestServesSeveralReceiversAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "completions")
	e := newExtension(t, path, 1000)
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for until := completion.KTime(1); until <= 100; until++ {
				e.(completion.Listener).Completed(completion.Completion{Receiver: profiler, Until: until})
			}
		})
	}
	wg.Wait()
	require.NoError(t, e.Shutdown(context.Background()))

	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, 400, strings.Count(string(got), "\n"))
}

func TestLifecycleWithoutStart(t *testing.T) {
	e := newExtension(t, filepath.Join(t.TempDir(), "completions"), 1)

	e.(completion.Listener).Completed(completion.Completion{})

	require.NoError(t, e.Shutdown(context.Background()))
}

func TestStartNamesTheCause(t *testing.T) {
	e := newExtension(t, filepath.Join(t.TempDir(), "missing", "completions"), 1)

	err := e.Start(context.Background(), componenttest.NewNopHost())

	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "completion_log: open the file of path: ")
}

func TestConfig(t *testing.T) {
	cfg := NewFactory().CreateDefaultConfig()

	require.NoError(t, componenttest.CheckConfigStruct(cfg))
	require.NoError(t, confmap.NewFromStringMap(map[string]any{"path": "/tmp/x"}).Unmarshal(cfg))
	assert.Equal(t, &Config{Path: "/tmp/x", MaxLines: 100_000}, cfg)
	require.NoError(t, cfg.(*Config).Validate())
	require.EqualError(t, (&Config{}).Validate(),
		"path: \"\" is out of range, want the name of a file\nmax_lines: 0 is out of range, want at least 1")
}

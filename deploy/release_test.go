// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// clone is a copy of this repository as it is last committed.
type clone string

func newClone(t *testing.T) clone {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	c := clone(filepath.Join(t.TempDir(), "clone"))
	out, err := exec.Command("git", "-c", "safe.directory=*", "clone", "-q", root, string(c)).CombinedOutput()
	require.NoError(t, err, "%s", out)
	// What is released is what this work tree says.
	for _, name := range []string{"internal/tools/release.sh", "CHANGELOG.md", "README.md", "docs/operate.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(string(c), name), text, 0o755))
	}
	c.git(t, "config", "user.name", "tester")
	c.git(t, "config", "user.email", "tester@example.org")
	c.git(t, "config", "commit.gpgSign", "false")
	c.git(t, "add", "-A")
	c.git(t, "commit", "-q", "--allow-empty", "-m", "what is at hand")
	return c
}

func (c clone) git(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", string(c)}, arguments...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func (c clone) release(version string) (string, error) {
	out, err := exec.Command(filepath.Join(string(c), "internal/tools/release.sh"), version).CombinedOutput()
	return string(out), err
}

func TestARelease(t *testing.T) {
	c := newClone(t)
	before := c.git(t, "rev-parse", "HEAD")
	out, err := c.release("v0.7.0")
	require.NoError(t, err, out)

	require.Equal(t, "exporter/pprofwebexporter/v0.7.0\nv0.7.0", c.git(t, "tag"))
	require.Equal(t, before, c.git(t, "rev-parse", "v0.7.0~1"))
	require.Equal(t, c.git(t, "rev-parse", "v0.7.0^{}"), c.git(t, "rev-parse", "exporter/pprofwebexporter/v0.7.0^{}"))
	require.Contains(t, c.git(t, "show", "v0.7.0:CHANGELOG.md"), "## Unreleased\n\n## v0.7.0\n\n### New\n")
	versions := map[string][2]string{
		"builder-config.yaml":              {"version: 0.7.0\n", "version: 0.8.0-dev\n"},
		"builder-config-contrib.yaml":      {"version: 0.7.0\n", "version: 0.8.0-dev\n"},
		"test/builder-config-e2e.yaml":     {"version: 0.7.0\n", "version: 0.8.0-dev\n"},
		"deploy/kubernetes/values.yaml":    {"tag: 0.7.0\n", "tag: 0.8.0-dev\n"},
		"deploy/kubernetes/daemonset.yaml": {"otelcol-ebpf-profiler:0.7.0\n", "otelcol-ebpf-profiler:0.8.0-dev\n"},
	}
	for name, version := range versions {
		require.Contains(t, c.git(t, "show", "v0.7.0:"+name), version[0], name)
		require.Contains(t, c.git(t, "show", "HEAD:"+name), version[1], name)
	}
	for _, name := range []string{"README.md", "docs/operate.md"} {
		text := c.git(t, "show", "HEAD:"+name)
		require.Contains(t, text, "gomod: github.com/seed-a4c8bb2c/ebpfprofilerreceiver v0.7.0\n", name)
		require.NotContains(t, text, "path: ../ebpfprofilerreceiver", name)
	}
	require.Empty(t, c.git(t, "status", "--porcelain"))

	for version, message := range map[string]string{
		"0.8.0":   "is no version",
		"v0.8":    "is no version",
		"v0.08.0": "is no version",
		"v0.7.0":  "tag v0.7.0 exists",
		"v0.8.0":  "nothing is unreleased",
	} {
		out, err := c.release(version)
		require.Error(t, err, version)
		require.Contains(t, out, message, version)
	}
	require.NoError(t, os.WriteFile(filepath.Join(string(c), "stray"), nil, 0o644))
	out, err = c.release("v0.8.0")
	require.Error(t, err)
	require.Contains(t, out, "not committed")
}

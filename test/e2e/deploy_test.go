// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"google.golang.org/grpc/codes"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// needed are the capabilities without which nothing starts.
var needed = []string{"bpf", "perfmon", "sys_ptrace"}

// granted are the capabilities of the systemd unit.
func granted(t testing.TB) []string {
	t.Helper()
	unit, err := os.ReadFile("../../deploy/systemd/otelcol-ebpf-profiler.service")
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^AmbientCapabilities=(.*)$`).FindSubmatch(unit)
	require.NotNil(t, found)
	return strings.Fields(strings.ToLower(strings.ReplaceAll(string(found[1]), "CAP_", "")))
}

// nobodyWith runs a command as systemd runs the unit: a user that owns nothing, with these
// capabilities and no way to others.
func nobodyWith(capabilities []string) []string {
	set := "-all"
	for _, c := range capabilities {
		set += ",+" + c
	}
	return []string{
		"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
		"--inh-caps=" + set, "--ambient-caps=" + set, "--bounding-set=" + set,
	}
}

// without returns a set less one.
func without(set []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(set), func(c string) bool { return c == one })
}

// shown is what a collector names on this host.
type shown struct {
	// kernel functions, and those of a program that only its owner may read.
	kernel, owners bool
	log            string
}

// look profiles for a while with some capabilities.
func look(t *testing.T, capabilities []string) (s shown) {
	t.Helper()
	program := compileC(t, sources+"chain/chain.c")
	require.NoError(t, os.Chmod(program[0], 0o700))
	require.NoError(t, os.Chmod(filepath.Dir(program[0]), 0o700))
	burn(t, workload{"owner's", func(testing.TB) []string { return program }}, 0)
	burn(t, kernelC, 1)

	b := grpcBackend(t, always(codes.OK))
	b.seen = func(p pprofile.Profiles) {
		d := p.Dictionary()
		for _, f := range d.FunctionTable().All() {
			name := d.StringTable().At(int(f.NameStrindex()))
			s.kernel = s.kernel || name == "vfs_read"
			s.owners = s.owners || name == "chain_19"
		}
	}
	c := startWithin(t, nobodyWith(capabilities), []string{"BACKEND=" + b.endpoint}, "--config=testdata/capabilities.yaml")
	time.Sleep(4 * time.Second)
	c.stop()
	require.Positive(t, b.accepted.Load())
	s.log = string(c.log())
	return s
}

const (
	lessKernel = "kernel addresses are hidden, so functions of the kernel have no names: grant CAP_SYSLOG"
	lessOwners = "files that only their owner can read give no names, and short-lived processes no container: grant CAP_DAC_READ_SEARCH"
)

// Each capability that we ask for gives what docs/operate.md says, and nothing of that
// comes without it. What is less is said at the start.
func TestCapabilities(t *testing.T) {
	all := granted(t)
	t.Run("all", func(t *testing.T) {
		s := look(t, all)
		assert.True(t, s.kernel, "names of kernel functions")
		assert.True(t, s.owners, "names of an owner's program")
		assert.NotContains(t, s.log, lessKernel)
		assert.NotContains(t, s.log, lessOwners)
	})
	t.Run("least", func(t *testing.T) {
		s := look(t, needed)
		assert.Contains(t, s.log, lessKernel)
		assert.Contains(t, s.log, lessOwners)
		assert.False(t, s.kernel, "names of kernel functions")
		assert.False(t, s.owners, "names of an owner's program")
	})
	for _, one := range needed {
		t.Run("without "+one, func(t *testing.T) {
			roottest.Need(t)
			command := append(nobodyWith(without(all, one)), collectorBinary(t), "--config=testdata/capabilities.yaml", gate)
			requireOneLine(t, fails(t, []string{"BACKEND=localhost:1"}, command...),
				"lacks CAP_"+strings.ToUpper(one)+":", "run as root or grant the capabilities")
		})
	}
	assert.ElementsMatch(t, all, append([]string{"syslog", "dac_read_search"}, needed...))
}

// The image holds what the last stage of the Dockerfile copies into nothing, and that is
// enough: this runs it in such a directory, with the mounts that a container has.
func TestTheImageIsWhole(t *testing.T) {
	roottest.Need(t)
	root := t.TempDir()
	dockerfile, err := os.ReadFile("../../deploy/docker/Dockerfile")
	require.NoError(t, err)
	_, stage, found := strings.Cut(string(dockerfile), "\nFROM scratch\n")
	require.True(t, found)
	for _, c := range regexp.MustCompile(`(?m)^COPY (?:--from=build )?(\S+) (\S+)$`).FindAllStringSubmatch(stage, -1) {
		from := map[string]string{
			"/etc/ssl/certs/ca-certificates.crt": "/etc/ssl/certs/ca-certificates.crt",
			"/src/bin/otelcol-ebpf-profiler":     collectorBinary(t),
			"deploy/docker/config.yaml":          "../../deploy/docker/config.yaml",
		}[c[1]]
		require.NotEmpty(t, from, c[1])
		to := filepath.Join(root, c[2])
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		out, err := exec.Command("cp", from, to).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["(.*)"\]\nCMD \["(.*)", "(.*)"\]$`).FindStringSubmatch(stage)
	require.NotNil(t, entry)
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "hostfs"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	b := grpcBackend(t, always(codes.OK))
	const mounts = `set -e
mount --rbind / "$1/hostfs"
mount -t proc -o ro proc "$1/proc"
mount --rbind /sys "$1/sys"
shift
exec chroot "$@"`
	c := startCommand(t, []string{"OTLP_ENDPOINT=" + b.endpoint, "OTLP_INSECURE=true"},
		"unshare", "--mount", "--propagation=private", "sh", "-c", mounts, "sh", root, root,
		entry[1], entry[2], quiet, entry[3])
	time.Sleep(2 * time.Second)
	c.stop()
	assert.Equal(t, c.delivered(), b.accepted.Load())
	assert.NotContains(t, string(c.log()), lessKernel)
	assert.NotContains(t, string(c.log()), lessOwners)
}

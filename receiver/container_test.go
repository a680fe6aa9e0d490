// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// One path, one program, two containers: only the cgroup tells them apart, in the
// hierarchy of version 2 and where a host has those of version 1.
func TestTurnsInTwoContainers(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildLives(t)
	n := lifeCount()
	for kind, script := range map[string]string{
		// They end before anybody can read /proc.
		"cgroup2": "into %s at %d ( exec %s burn %d 12 ) ",
		"cgroup":  "fork ( join %s at %d ( exec %s burn %d 12 ) ) ",
	} {
		t.Run(kind, func(t *testing.T) {
			root := cgroupRoot(t, kind)
			groups := []string{container(t, root, "a"), container(t, root, "b")}
			pid := workloads.FreePID(t)
			var all strings.Builder
			for i := range n {
				fmt.Fprintf(&all, script, groups[i%2], pid, lives.Alpha, i%2)
			}
			slots := map[string]string{strings.Repeat("a", 64): "alpha_slot_0", strings.Repeat("b", 64): "alpha_slot_1"}
			right, none := 0, 0
			workloads.EachSample(profiled(t, lives, all.String()), lives.ByAddress, func(a pcommon.Map, slot string, n int) {
				switch id := text(a, "container.id").Str(); {
				case slot == "":
				case id == "":
					none += n
				default:
					require.Equal(t, slots[id], slot, id)
					right += n
				}
			})
			t.Logf("%d samples in their container, %d in none", right, none)
			require.Greater(t, right, n/2)
			require.Zero(t, none)
		})
	}
}

// container makes a cgroup with the name of a container.
func container(t *testing.T, root, digit string) string {
	t.Helper()
	dir := filepath.Join(root, "docker-"+strings.Repeat(digit, 64)+".scope")
	require.NoError(t, os.Mkdir(dir, 0o755))
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return os.Remove(dir) == nil }, 5*time.Second, 10*time.Millisecond)
	})
	return dir
}

// cgroupRoot is where the hierarchy of version 2 is mounted, or one of version 1 that
// the receiver looks at.
func cgroupRoot(t *testing.T, kind string) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.SplitSeq(string(mounts), "\n") {
		f := strings.Fields(line)
		if len(f) > 3 && f[2] == kind && (kind == "cgroup2" || slices.Contains(strings.Split(f[3], ","), "memory")) {
			return f[1]
		}
	}
	if kind == "cgroup" {
		roottest.Lacks(t, "this host has no hierarchies of version 1")
	}
	require.FailNow(t, "no cgroup2 is mounted")
	return ""
}

// room is a root directory with two programs: starter lives scripts, and where the host
// has the program alpha this has beta.
type room struct{ root, starter, program string }

// furnish fills the room.
func (r room) furnish(t *testing.T, lives *workloads.Lives) {
	t.Helper()
	for path, from := range map[string]string{r.starter: lives.Alpha, r.program: lives.Beta} {
		require.NoError(t, os.MkdirAll(filepath.Join(r.root, filepath.Dir(path)), 0o755))
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(r.root, path), content, 0o755))
	}
}

func newRoom(t *testing.T, lives *workloads.Lives) room {
	t.Helper()
	dir := t.TempDir()
	r := room{filepath.Join(dir, "root"), "/starter", filepath.Join(dir, "beta")}
	require.NoError(t, os.Mkdir(r.root, 0o755))
	require.NoError(t, os.Symlink(lives.Alpha, r.program))
	return r
}

func runs(t *testing.T, name string, arguments ...string) {
	t.Helper()
	out, err := exec.Command(name, arguments...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, arguments, out)
}

// The files of a container are in a mount namespace of its own, and where they are the
// host has others. A process and its parent are over before anybody can open them.
func TestFilesOfAContainer(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	const ms = 2
	for name, script := range map[string]string{
		"of a parent that lives": "repeat %d ( vfork ( exec %s burn 3 %d ) ) sleep 3000",
		"of parents that do not": "repeat %d ( fork ( fork ( exec %s burn 3 %d ) ) ) sleep 3000",
	} {
		t.Run(name, func(t *testing.T) {
			lives := workloads.BuildRelocatedLives(t)
			group := container(t, cgroupRoot(t, "cgroup2"), "c")
			r := newRoom(t, lives)
			template := room{t.TempDir(), r.starter, r.program}
			template.furnish(t, lives)
			all := profiledAsConfigured(t, 997, func() {
				runs(t, "unshare", append([]string{"-m", "--propagation", "private", "sh", "-ec", `
					echo 0 >"$1/cgroup.procs"; mount -t tmpfs tmpfs "$2"; cp -r "$3/." "$2"; root=$2; shift 3
					exec chroot "$root" "$@"`, "sh", group, r.root, template.root, r.starter},
					strings.Fields(fmt.Sprintf(script, burned()/ms, r.program, ms))...)...)
			})
			v := judge(all, workloads.ByName)
			require.Empty(t, v.wrong)
			coverageWhere(all, r.program, betaIn("c")).require(t, burned()/4)
		})
	}
}

// A file system can be unmounted as soon as nobody uses it but us.
func TestARootIsNotKeptBusy(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	for _, kind := range []string{"tmpfs", "overlay"} {
		t.Run(kind, func(t *testing.T) {
			lives := workloads.BuildRelocatedLives(t)
			group := container(t, cgroupRoot(t, "cgroup2"), "d")
			r := newRoom(t, lives)
			mount(t, "tmpfs", "tmpfs", r.root, "")
			if kind == "overlay" {
				lower := r.root
				for _, name := range []string{"upper", "work"} {
					require.NoError(t, os.Mkdir(filepath.Join(lower, name), 0o755))
				}
				r.root = filepath.Join(filepath.Dir(lower), "merged")
				require.NoError(t, os.Mkdir(r.root, 0o755))
				mount(t, "overlay", "overlay", r.root, fmt.Sprintf("lowerdir=%s,upperdir=%[1]s/upper,workdir=%[1]s/work", lower))
			}
			r.furnish(t, lives)
			sink := &consumertest.ProfilesSink{}
			receiver := startKernel(t, asConfigured(997), sink)
			for range 3 {
				runs(t, "sh", append([]string{"-ec", `echo 0 >"$1/cgroup.procs"; shift; exec chroot "$@"`, "sh", group, r.root, r.starter},
					strings.Fields(fmt.Sprintf("repeat %d ( vfork ( exec %s burn 3 2 ) )", burned()/4/2, r.program))...)...)
			}
			ended := time.Now()
			err := unix.Unmount(r.root, 0)
			for err == unix.EBUSY && time.Since(ended) < time.Second {
				time.Sleep(10 * time.Millisecond)
				err = unix.Unmount(r.root, 0)
			}
			t.Logf("unmounted after %v", time.Since(ended))
			require.NoError(t, err)
			require.NoError(t, receiver.Shutdown(t.Context()))
			if c := coverageWhere(sink.AllProfiles(), r.program, betaIn("d")); testing.Short() {
				require.Positive(t, c.placed) // the files may be gone before a slow reader has read them
			} else {
				c.require(t, burned()/16)
			}
		})
	}
}

// betaIn tells the resources of the program in the container of that digit.
func betaIn(digit string) func(pcommon.Map) bool {
	return func(a pcommon.Map) bool {
		return text(a, "process.executable.name").Str() == "beta" && text(a, "container.id").Str() == strings.Repeat(digit, 64)
	}
}

func mount(t *testing.T, source, kind, target, data string) {
	t.Helper()
	require.NoError(t, unix.Mount(source, target, kind, 0, data))
	t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package guest

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// modules are where the machine has kernel modules, and what llvm-symbolizer says of them.
const modules = "/modules"

// load loads a module and says whether it could.
func load(t *testing.T, name string) bool {
	t.Helper()
	f, err := os.Open(filepath.Join(modules, name+".ko"))
	if err != nil {
		return false // not of this kernel
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	require.True(t, err == nil || errors.Is(err, unix.EEXIST), "%s: %v", name, err)
	return true
}

// code is where the code of a loaded module is.
func code(t *testing.T, name string) (start, size uint64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/sys/module", name, "sections/.text"))
	require.NoError(t, err)
	start, err = strconv.ParseUint(strings.TrimSpace(string(text)), 0, 64)
	require.NoError(t, err)
	f, err := elf.Open(filepath.Join(modules, name+".ko"))
	require.NoError(t, err)
	defer f.Close()
	return start, f.Section(".text").Size
}

// kallsyms is the kernel's list, and where its names are.
func kallsyms(t *testing.T) (*symbol.Kernel, map[string][]uint64) {
	t.Helper()
	f, err := os.Open("/proc/kallsyms")
	require.NoError(t, err)
	defer f.Close()
	k, err := symbol.ReadKallsyms(f, nil)
	require.NoError(t, err)
	_, err = f.Seek(0, 0)
	require.NoError(t, err)
	at := map[string][]uint64{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		w := strings.Fields(lines.Text())
		start, err := strconv.ParseUint(w[0], 16, 64)
		require.NoError(t, err)
		at[w[2]] = append(at[w[2]], start)
	}
	return k, at
}

// TestModulesAreNamed compares the names of random addresses of modules with those that
// llvm-symbolizer has for the same places of their files.
func TestModulesAreNamed(t *testing.T) {
	var loaded []string
	for _, name := range []string{"libcrc32c", "xfs"} {
		if load(t, name) {
			loaded = append(loaded, name)
		}
	}
	if len(loaded) == 0 {
		t.Skip("this kernel has none of the modules")
	}
	k, at := kallsyms(t)
	same, alias, between, different := 0, 0, 0, 0
	for _, name := range loaded {
		start, _ := code(t, name)
		want, err := os.Open(filepath.Join(modules, name+".want"))
		require.NoError(t, err)
		for lines := bufio.NewScanner(want); lines.Scan(); {
			offset, theirs, _ := strings.Cut(lines.Text(), " ")
			off, err := strconv.ParseUint(offset, 10, 64)
			require.NoError(t, err)
			ours, module, _ := k.Name(start + off)
			switch {
			case ours == theirs:
				same++
			case theirs == "": // in no function, by the sizes that the list does not have
				between++
			case slices.ContainsFunc(at[ours], func(a uint64) bool { return slices.Contains(at[theirs], a) }):
				alias++
			default:
				if different++; different <= 3 {
					t.Logf("%s+%#x: %q, not %q", name, off, ours, theirs)
				}
			}
			require.True(t, ours == "" || module == name, "%s+%#x is in %q of %q", name, off, ours, module)
		}
		require.NoError(t, want.Close())
	}
	t.Logf("%v: %d same, %d alias, %d between, %d different", loaded, same, alias, between, different)
	require.Positive(t, same)
	require.LessOrEqual(t, different, (same+alias+between)/1000)
}

// wp512 are the functions of that module, of which the kernel tries all when it is loaded.
var wp512 = []string{"wp512_init", "wp512_process_buffer", "wp512_update", "wp512_final", "wp256_final", "wp384_final"}

// TestAModuleThatIsLoadedLater has its own names, and never those of the modules before it.
func TestAModuleThatIsLoadedLater(t *testing.T) {
	load(t, "libcrc32c")
	load(t, "xfs")
	p := start(t, 0)
	time.Sleep(3 * time.Second) // the kernel's list has been read
	for _, name := range []string{"af_alg", "algif_hash", "wp512"} {
		if !load(t, name) {
			require.NoError(t, p.Shutdown(t.Context()))
			t.Skip("this kernel has no module ", name)
		}
	}
	hash(t, "wp512", 12*time.Second)
	require.NoError(t, p.Shutdown(t.Context()))

	from, size := code(t, "wp512")
	named, nameless, wrong := 0, 0, map[string]int{}
	for _, profiles := range p.sink.AllProfiles() {
		d := profiles.Dictionary()
		for _, l := range d.LocationTable().All() {
			if l.Address() < from || l.Address()-from >= size {
				continue
			}
			file := d.StringTable().At(int(d.MappingTable().At(int(l.MappingIndex())).FilenameStrindex()))
			switch name := nameOf(d, l); {
			case name == "":
				nameless++
			case file == "[wp512]" && slices.Contains(wp512, name):
				named++
			default:
				wrong[file+" "+name]++
			}
		}
	}
	t.Logf("%d locations named, %d not yet, wrong: %v", named, nameless, wrong)
	require.Empty(t, wrong)
	require.Positive(t, named)
}

func nameOf(d pprofile.ProfilesDictionary, l pprofile.Location) string {
	if l.Lines().Len() == 0 {
		return ""
	}
	return d.StringTable().At(int(d.FunctionTable().At(int(l.Lines().At(0).FunctionIndex())).NameStrindex()))
}

// hash has the kernel compute hashes for a while.
func hash(t *testing.T, name string, d time.Duration) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrALG{Type: "hash", Name: name}))
	// It has no address for unix.Accept to return.
	op, _, errno := unix.Syscall(unix.SYS_ACCEPT, uintptr(fd), 0, 0)
	require.Zero(t, errno)
	defer unix.Close(int(op))
	data := make([]byte, 64<<10)
	for deadline := time.Now().Add(d); time.Now().Before(deadline); {
		n, err := unix.Write(int(op), data)
		require.NoError(t, err)
		require.Equal(t, len(data), n, fmt.Sprint("of ", name))
	}
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// Spans is a program whose threads publish the spans that they work for, see
// spans/main.c. It burns in its functions alpha, beta, none and hostile.
type Spans struct {
	Name string
	// Library is what it loads, if it does.
	Program, Library string
}

// Arguments are those for a mode.
func (s Spans) Arguments(mode string, more ...string) []string {
	if s.Library != "" {
		more = append([]string{s.Library}, more...)
	}
	return append([]string{mode}, more...)
}

// BuildSpans compiles it with the variable in the program and in libraries, to be found in
// all the ways that there are.
func BuildSpans(t testing.TB) (all []Spans) {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	from, dir := filepath.Join(filepath.Dir(file), "spans"), t.TempDir()
	sources := []string{filepath.Join(from, "main.c"), filepath.Join(from, "context.c")}
	gcc := func(out string, flags ...string) string {
		out = filepath.Join(dir, out)
		flags = append([]string{"-Wall", "-Werror", "-O2", "-g", "-pthread", "-fno-omit-frame-pointer", "-o", out}, flags...)
		output, err := exec.Command(cmp.Or(os.Getenv("CC"), "gcc"), flags...).CombinedOutput()
		require.NoError(t, err, "%s", output)
		return out
	}
	add := func(name, library string, flags ...string) {
		all = append(all, Spans{name, gcc(name, flags...), library})
	}
	export := "-Wl,--export-dynamic-symbol=otel_thread_ctx_v1"
	add("pie", "", append(sources, "-pie", "-fPIE", export)...)
	add("nopie", "", append(sources, "-no-pie", export)...)
	add("static_pie", "", append(sources, "-static-pie", "-fPIE", export)...)
	dialects := map[string]string{"gnu": "-mtls-dialect=gnu", "descriptor": "-mtls-dialect=gnu2"}
	if runtime.GOARCH == "arm64" {
		dialects = map[string]string{"gnu": "-mtls-dialect=trad", "descriptor": "-mtls-dialect=desc"}
	}
	for _, dialect := range []string{"gnu", "descriptor"} {
		library := gcc("lib"+dialect+".so", sources[1], "-shared", "-fPIC", dialects[dialect])
		add("linked_"+dialect, "", sources[0], library, "-Wl,-rpath,"+dir)
		add("loaded_"+dialect, library, sources[0], "-DLOADS", "-ldl")
	}
	library := gcc("libinitial.so", sources[1], "-shared", "-fPIC", "-ftls-model=initial-exec")
	add("linked_initial", "", sources[0], library, "-Wl,-rpath,"+dir)
	return all
}

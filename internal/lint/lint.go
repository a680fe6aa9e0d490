// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package lint holds the rules that keep the parts of the receiver apart: which
// package may import which, who may do IO, read a clock or start goroutines.
package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/seed-a4c8bb2c/ebpfprofilerreceiver"

// pure lists the packages that compute and do nothing else, so that their tests
// can run any history without a kernel or a clock, and what each may import of
// this module.
var pure = map[string][]string{
	"completion":           {},
	"internal/demangle":    {},
	"internal/dwarfsymbol": {"internal/elffile", "internal/interval"},
	"internal/elffile":     {},
	"internal/event":       {"completion"},
	"internal/filter":      {},
	"internal/gosymbol":    {"internal/elffile"},
	"internal/hold":        {"internal/event"},
	"internal/interval":    {},
	"internal/pipeline":    {"internal/demangle", "internal/dwarfsymbol", "internal/event", "internal/filter", "internal/hold", "internal/process", "internal/profile", "internal/service", "internal/symbol", "internal/threadlocal", "internal/unwind"},
	"internal/process":     {"internal/event", "internal/service"},
	"internal/profile":     {"internal/event"},
	"internal/service":     {},
	"internal/symbol":      {"internal/dwarfsymbol", "internal/elffile", "internal/event", "internal/gosymbol", "internal/interval", "internal/threadlocal"},
	"internal/threadlocal": {"internal/elffile"},
	"internal/unwind":      {"internal/elffile", "internal/event", "internal/gosymbol", "internal/threadlocal"},
	"internal/watermark":   {"internal/event"},

	"exporter/pprofwebexporter/internal/convert": {},
}

// impure are imports that no pure package has, with all packages below them.
var impure = []string{
	"os", "net", "sync", "syscall", "golang.org/x/sys", "go.uber.org/zap", "github.com/cilium/ebpf",
}

// clocks are what no pure package uses of package time.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// concurrent lists who may start goroutines, with all packages below them:
// receiver owns the pipeline's, the others are edges and tools.
var concurrent = []string{
	"receiver", "internal/source", "internal/sourcetest", "cmd", "test", exporters,
}

// exporters are modules of their own, under the same rules.
const exporters = "exporter"

// foreign are imports of the exporters that do not reach users of the receiver.
var foreign = []string{"github.com/google/pprof", module + "/" + exporters}

// importersOfReceiver are the only packages that know the wiring.
var importersOfReceiver = []string{".", "internal/sourcetest"}

// Check returns what breaks the rules in the files below root, one line each.
// Tests and nested modules are free, but for the exporters.
func Check(root string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, path)
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		inFile, err := checkFile(root, path)
		found = append(found, inFile...)
		return err
	})
	return found, err
}

// skip says which directories are no packages of the module.
func skip(root, dir string) error {
	if dir == root {
		return nil
	}
	name := filepath.Base(dir)
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	nested := err == nil && filepath.Dir(dir) != filepath.Join(root, exporters)
	if nested || name == "testdata" || name[0] == '.' || name[0] == '_' {
		return fs.SkipDir
	}
	return nil
}

type file struct {
	set *token.FileSet
	ast *ast.File
	// dir is the package's directory below the root, with slashes.
	dir   string
	found []string
}

func checkFile(root, path string) ([]string, error) {
	dir, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	f := &file{set: token.NewFileSet(), dir: filepath.ToSlash(dir)}
	f.ast, err = parser.ParseFile(f.set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	f.licence()
	if !strings.HasSuffix(path, "_test.go") {
		f.imports()
		f.goroutines()
		f.clocks()
	}
	return f.found, nil
}

func (f *file) report(pos token.Pos, format string, args ...any) {
	at := f.set.Position(pos)
	f.found = append(f.found, fmt.Sprintf("%s/%s:%d: %s",
		f.dir, filepath.Base(at.Filename), at.Line, fmt.Sprintf(format, args...)))
}

const licence = "// Copyright The ebpf_profiler authors\n// SPDX-License-Identifier: Apache-2.0"

func (f *file) licence() {
	if ast.IsGenerated(f.ast) {
		return
	}
	var first []string
	if len(f.ast.Comments) > 0 && f.ast.Comments[0].Pos() == f.ast.FileStart {
		for _, c := range f.ast.Comments[0].List {
			first = append(first, c.Text)
		}
	}
	if strings.Join(first, "\n") != licence {
		f.report(f.ast.FileStart, "does not begin with the licence header")
	}
}

func (f *file) imports() {
	mayImport, isPure := pure[f.dir]
	for _, spec := range f.ast.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		own, isOwn := strings.CutPrefix(path, module+"/")
		switch {
		case isPure && isOwn && !slices.Contains(mayImport, own):
			f.report(spec.Pos(), "imports %s, which it should not know", own)
		case isPure && below(path, impure):
			f.report(spec.Pos(), "imports %s, a pure package does no IO and shares no state", path)
		case !below(f.dir, []string{exporters}) && below(path, foreign):
			f.report(spec.Pos(), "imports %s, which users of the receiver need not have", path)
		case own == "receiver" && !slices.Contains(importersOfReceiver, f.dir):
			f.report(spec.Pos(), "imports receiver, which only the root package knows")
		}
	}
}

func (f *file) goroutines() {
	if below(f.dir, concurrent) {
		return
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			f.report(n.Pos(), "starts a goroutine, receiver does that")
		case *ast.CallExpr: // sync.WaitGroup and errgroup.Group
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" {
				f.report(n.Pos(), "starts a goroutine, receiver does that")
			}
		}
		return true
	})
}

func (f *file) clocks() {
	if _, isPure := pure[f.dir]; !isPure {
		return
	}
	name := f.importName("time")
	ast.Inspect(f.ast, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains(clocks, s.Sel.Name) {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == name {
			f.report(s.Pos(), "uses time.%s, a pure package is told the time", s.Sel.Name)
		}
		return true
	})
}

// importName is what the file calls a package; "" if it does not import it.
func (f *file) importName(path string) string {
	for _, spec := range f.ast.Imports {
		if spec.Path.Value != strconv.Quote(path) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path
	}
	return ""
}

func below(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package gosymbol names addresses of Go programs: function, file, line and the
// calls that the compiler inlined there. It reads what the Go runtime itself
// reads to print a stack, which is in every Go program, stripped or not.
//
// # Where things are
//
// The line table (runtime.pclntab) is a section of its own, .gopclntab or
// .data.rel.ro.gopclntab. Up to Go 1.25, C linkers put that of a position
// independent executable somewhere into .data.rel.ro, so Locate looks there for a
// header that holds together.
//
// From Go 1.18 on functions are relative to runtime.text, and inline
// trees to go:func.*: neither is reliably in the line table. The first is zero in the
// header from Go 1.26 on, and before where the loader fills it in, the second was
// never there. Both are in the runtime's description of the module,
// runtime.firstmoduledata, which is writable data of fixed order that begins with
// the address of the line table and goes on with the addresses of its parts.
// Locate looks for that pattern in .go.module (Go 1.26) and in writable sections,
// and among relocations where the loader is to write it. The symbol table would
// tell the same, but not in stripped programs, so it is not asked.
//
// Without that description there are functions and lines, but no inlined calls.
//
// # Memory
//
// The line table of a large program has tens of megabytes, so it is read by windows and
// on demand: Functions goes through the names of all functions, an Index says which unit of
// functions is about an address, and a Table keeps of a unit only what lookups need.
//
// # Hostile files
//
// Any process on the host can map any file. Every offset is checked before it is
// followed. What is copied is bounded by the size of the line table and by maxCopied,
// what a lookup does by maxSteps and maxDepth, whatever the tables say.
package gosymbol

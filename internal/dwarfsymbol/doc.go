// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package dwarfsymbol names addresses of programs by their debug information: file,
// line and the calls that the compiler inlined there. It reads DWARF 2 to 5, also
// when it is split into other files or shares parts of them.
//
// # On demand
//
// Debug information is often larger than the program by a factor of ten. An Index
// tells by address which compilation unit is about it; only that Unit is then read
// and kept, as a table of lines and one of inlined calls. The file is read by
// offset, not mapped: the fault of a mapping that became shorter would end the
// process, and one that a file system does not answer would stop the garbage
// collector.
//
// # Hostile files
//
// Any process on the host can map any file. Sizes are checked before memory is
// reserved, lists, nesting and references are bounded, and what is wrong costs the
// unit that it is in.
package dwarfsymbol

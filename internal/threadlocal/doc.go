// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package threadlocal finds where threads have their own copy of a variable that an
// executable file or library exports: from the file, and from what the dynamic linker
// wrote into the memory of a process.
//
// How thread-local storage is laid out: U. Drepper, ELF Handling For Thread-Local Storage
// (https://www.akkadia.org/drepper/tls.pdf); descriptors: A. Oliva and G. Araújo, Thread-
// Local Storage Descriptors (https://www.fsfla.org/~lxoliva/writeups/TLS/RFC-TLSDESC-x86.txt).
package threadlocal

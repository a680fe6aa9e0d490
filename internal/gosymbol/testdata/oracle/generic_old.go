// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build !go1.18
// +build !go1.18

package main

func generic(n int) { sink += outer(float64(n)) }

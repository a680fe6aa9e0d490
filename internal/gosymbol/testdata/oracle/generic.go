// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build go1.18
// +build go1.18

package main

type pair[K comparable, V any] struct {
	key   K
	value V
}

func (p *pair[K, V]) set(k K, v V) {
	p.key = assign(k)
	p.value = assign(v)
}

func assign[T any](t T) T { return t }

//go:noinline
func apply[T any](xs []T, f func(T)) {
	for _, x := range xs {
		f(assign(x))
	}
}

func generic(n int) {
	p := &pair[string, float64]{}
	apply([]float64{1, float64(n)}, func(x float64) {
		p.set("x", outer(x))
		sink += p.value
	})
	apply([]string{"a"}, func(s string) { p.set(s, 1) })
}

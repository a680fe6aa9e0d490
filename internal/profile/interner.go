// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

// interner numbers distinct keys in the order of their first use.
type interner[K comparable] struct {
	index map[K]uint32
	keys  []K
}

// find returns the number of a key.
func (n *interner[K]) find(key K) (uint32, bool) {
	i, known := n.index[key]
	return i, known
}

// add numbers a key that is not there yet.
func (n *interner[K]) add(key K) uint32 {
	if n.index == nil {
		n.index = map[K]uint32{}
	}
	i := uint32(len(n.keys))
	n.index[key] = i
	n.keys = append(n.keys, key)
	return i
}

// intern returns the number of a key, and whether it was added by this call.
func (n *interner[K]) intern(key K) (uint32, bool) {
	if i, known := n.find(key); known {
		return i, false
	}
	return n.add(key), true
}

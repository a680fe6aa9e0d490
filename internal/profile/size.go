// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import "math/bits"

// These functions give the length of protobuf encodings. All field numbers of
// the profiles messages are below 16, so a tag is one byte.

// varintSize is the length of v as a varint.
func varintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// numberSize is the length of a number as a field; zero is not sent.
func numberSize(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + varintSize(v)
}

// indexSize is the length of a table index as a field.
func indexSize(i uint32) int { return numberSize(uint64(i)) }

// bytesSize is the length of n bytes as a field, which has a length in front.
func bytesSize(n int) int { return 1 + varintSize(uint64(n)) + n }

// textSize is the length of a string as a field; an empty one is not sent.
func textSize(s string) int {
	if s == "" {
		return 0
	}
	return bytesSize(len(s))
}

// indicesSize is the length of a packed list of indices as a field.
func indicesSize(indices ...uint32) int {
	if len(indices) == 0 {
		return 0
	}
	n := 0
	for _, i := range indices {
		n += varintSize(uint64(i))
	}
	return bytesSize(n)
}

// sampleSize is the length of a sample with n timestamps in its profile.
func (d *dictionary) sampleSize(key sampleKey, n int) int {
	return bytesSize(indexSize(key.stack) + indexSize(key.link) + bytesSize(8*n) + indicesSize(d.ofSet(key.attributes)...))
}

// attributeSizes returns the length of a resource attribute in the two forms it
// takes on the wire: with its strings in place, and with references into the
// string table.
func attributeSizes(a Attribute) sizes {
	value := valueSizes(a)
	return sizes{
		plain:     bytesSize(textSize(a.key) + bytesSize(value.plain)),
		referring: bytesSize(referenceSize + bytesSize(value.referring)),
	}
}

// referenceSize is the most a reference takes: no table has 2^28 strings.
const referenceSize = 1 + 4

func valueSizes(a Attribute) sizes {
	switch a.kind {
	case ofNumber:
		n := intValueSize(a.number)
		return sizes{n, n}
	case ofList:
		var all sizes
		for _, t := range a.texts {
			s := textValueSizes(t)
			all = all.plus(sizes{bytesSize(s.plain), bytesSize(s.referring)})
		}
		return sizes{bytesSize(all.plain), bytesSize(all.referring)}
	default:
		return textValueSizes(a.texts[0])
	}
}

// intValueSize is the length of a value that is a number; zero is sent, too.
func intValueSize(n int64) int { return 1 + varintSize(uint64(n)) }

func textValueSizes(t string) sizes {
	if t == "" {
		return sizes{bytesSize(0), bytesSize(0)}
	}
	return sizes{bytesSize(len(t)), referenceSize}
}

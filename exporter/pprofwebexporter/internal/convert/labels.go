// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// resourceLabels are the attributes of a resource that become labels of all its
// samples, and how users of pprof and perf call them.
var resourceLabels = map[string]string{
	"process.executable.name": "process",
	"process.pid":             "pid",
	"container.id":            "container",
	"service.name":            "service",
	"host.name":               "host",
	"k8s.namespace.name":      "namespace",
	"k8s.pod.name":            "pod",
}

// sampleLabels are attributes of samples that are called otherwise as labels, beside
// those of resources, which samples can have too. All others keep their name.
var sampleLabels = map[string]string{
	"thread.id":   "thread",
	"thread.name": "comm",
}

// labels are what pprof calls the attributes of a sample.
type labels struct {
	texts   map[string][]string
	numbers map[string][]int64
	units   map[string][]string
}

func newLabels() labels {
	return labels{map[string][]string{}, map[string][]int64{}, map[string][]string{}}
}

func (l labels) clone() labels {
	return labels{maps.Clone(l.texts), maps.Clone(l.numbers), maps.Clone(l.units)}
}

// set replaces what the label was before.
func (l labels) set(name string, v pcommon.Value, unit string) {
	delete(l.texts, name)
	delete(l.numbers, name)
	delete(l.units, name)
	if v.Type() != pcommon.ValueTypeInt {
		l.texts[name] = []string{valid(v.AsString())}
		return
	}
	l.numbers[name] = []int64{v.Int()}
	if unit != "" {
		l.units[name] = []string{unit}
	}
}

// key is the same for equal labels only.
func (l labels) key() string {
	var key []byte
	for _, name := range slices.Sorted(maps.Keys(l.texts)) {
		key = appendText(appendText(append(key, 't'), name), l.texts[name][0])
	}
	for _, name := range slices.Sorted(maps.Keys(l.numbers)) {
		key = binary.AppendVarint(appendText(append(key, 'n'), name), l.numbers[name][0])
		for _, unit := range l.units[name] {
			key = appendText(append(key, 'u'), unit)
		}
	}
	return string(key)
}

func appendText(key []byte, s string) []byte {
	return append(binary.AppendUvarint(key, uint64(len(s))), s...)
}

func labelsOfResource(attributes pcommon.Map) labels {
	l := newLabels()
	for attribute, name := range resourceLabels {
		if v, ok := attributes.Get(attribute); ok {
			l.set(name, v, "")
		}
	}
	return l
}

// with returns the labels of a sample of the resource that l belongs to.
func (l labels) with(d pprofile.ProfilesDictionary, attributes pcommon.Int32Slice) labels {
	l = l.clone()
	for _, i := range attributes.All() {
		if i == 0 {
			continue
		}
		a := d.AttributeTable().At(int(i))
		name := text(d, a.KeyStrindex())
		name = cmp.Or(sampleLabels[name], resourceLabels[name], name)
		l.set(name, a.Value(), text(d, a.UnitStrindex()))
	}
	return l
}

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sort"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

func main() {
	f, _ := os.Open(os.Args[1])
	r := bufio.NewReader(f)
	um := pprofile.ProtoUnmarshaler{}
	ends := map[string]int{}
	stacks := map[string]int{}
	for {
		var n uint32
		if binary.Read(r, binary.BigEndian, &n) != nil {
			break
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			break
		}
		p, err := um.UnmarshalProfiles(b)
		if err != nil {
			fmt.Println(err)
			break
		}
		d := p.Dictionary()
		for _, rp := range p.ResourceProfiles().All() {
			v, _ := rp.Resource().Attributes().Get("process.executable.name")
			if v.AsString() != os.Args[2] {
				continue
			}
			for _, sp := range rp.ScopeProfiles().All() {
				for _, pr := range sp.Profiles().All() {
					for _, s := range pr.Samples().All() {
						for _, i := range s.AttributeIndices().All() {
							a := d.AttributeTable().At(int(i))
							if d.StringTable().At(int(a.KeyStrindex())) == "ebpf_profiler.stack_end" {
								ends[a.Value().AsString()] += s.TimestampsUnixNano().Len()
								st := a.Value().AsString() + ":"
								for _, li := range d.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
									l := d.LocationTable().At(int(li))
									name := "[" + d.StringTable().At(int(d.MappingTable().At(int(l.MappingIndex())).FilenameStrindex())) + "]"
									if l.Lines().Len() > 0 {
										name = d.StringTable().At(int(d.FunctionTable().At(int(l.Lines().At(0).FunctionIndex())).NameStrindex()))
									}
									st += "\n      " + name
								}
								stacks[st] += s.TimestampsUnixNano().Len()
							}
						}
					}
				}
			}
		}
	}
	fmt.Println(ends)
	var ks []string
	for k := range stacks {
		ks = append(ks, k)
	}
	sort.Slice(ks, func(i, j int) bool { return stacks[ks[i]] > stacks[ks[j]] })
	for _, k := range ks[:min(len(ks), 12)] {
		fmt.Println(stacks[k], k)
	}
}

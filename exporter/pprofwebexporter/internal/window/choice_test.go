// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package window_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

func TestAChoiceSurvivesAnAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := window.Choice{
			From: rapid.Int64Min(0).Draw(t, "from"), To: rapid.Int64Min(0).Draw(t, "to"),
			Last:    time.Duration(rapid.Int64Range(0, 100_000).Draw(t, "last")) * time.Second,
			Kind:    rapid.String().Draw(t, "kind"),
			Process: rapid.String().Draw(t, "process"), Program: rapid.String().Draw(t, "program"), Container: rapid.String().Draw(t, "container"),
			Service: rapid.String().Draw(t, "service"), Search: rapid.String().Draw(t, "search"),
			ByProgram: rapid.Bool().Draw(t, "by program"),
		}
		values, err := url.ParseQuery(want.Values().Encode())
		require.NoError(t, err)

		got, err := window.ParseChoice(values)

		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestChoicesThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"from=x":                   `from: "x" is no number that is possible`,
		"to=-1":                    `to: "-1" is no number that is possible`,
		"last=99999999999":         "last: 99999999999 s is out of range, want at most 31622400",
		"last=9999999999999999999": `last: "9999999999999999999" is no number that is possible`,
	} {
		values, err := url.ParseQuery(text)
		require.NoError(t, err)
		_, err = window.ParseChoice(values)
		assert.EqualError(t, err, want)
	}
}

func TestATimeIsChosen(t *testing.T) {
	var all []window.Window
	for i := range int64(10) {
		all = append(all, window.Window{Start: 1000 + i*5*profiletest.Second, End: 1000 + (i+1)*5*profiletest.Second})
	}
	at := func(i int) int64 { return all[i].Start }
	for _, test := range []struct {
		choice   window.Choice
		from, to int
	}{
		{window.Choice{}, 0, 10},
		{window.Choice{From: at(3)}, 3, 10},
		{window.Choice{To: at(3)}, 0, 4},
		{window.Choice{From: at(2), To: at(5)}, 2, 6},
		{window.Choice{Last: 10 * time.Second}, 8, 10},
		{window.Choice{Last: time.Hour}, 0, 10},
		{window.Choice{From: at(2), To: at(5), Last: 10 * time.Second}, 2, 6},
		{window.Choice{From: at(5), To: at(2)}, 5, 5},
	} {
		assert.Equal(t, starts(all[test.from:test.to]), starts(test.choice.Cut(all)), "%+v", test.choice)
	}
	assert.Empty(t, window.Choice{Last: time.Second}.Cut(nil))
}

func TestPartsOfAChoiceNarrowItDown(t *testing.T) {
	p := profiletest.CPU("server", 42, 1)
	p.Attributes["container.id"], p.Attributes["service.name"] = "c0ffee", "shop"
	share := batch(t, p).Shares[0]
	for _, c := range []window.Choice{
		{}, {Process: share.Process.Key}, {Program: share.Process.Program}, {Container: "c0ffee"}, {Service: "shop"}, {Search: "SERV"}, {Search: "42"},
		{Search: "ffee"}, {Search: "sho"}, {Container: "c0ffee", Service: "shop", Search: "server"},
	} {
		assert.True(t, c.Has(share), "%+v", c)
	}
	for _, c := range []window.Choice{
		{Process: "other"}, {Program: "other"}, {Process: share.Process.Program}, {Container: "c0ffe"}, {Service: "sho"}, {Search: "servers"}, {Container: "c0ffee", Service: "bank"},
	} {
		assert.False(t, c.Has(share), "%+v", c)
	}
}

func TestTimeOfTheCPUIsTheUsualKind(t *testing.T) {
	alloc := convert.Kind{Type: "alloc", Unit: "bytes"}
	kinds := []convert.Kind{alloc, cpu}

	kind, ok := window.Choice{}.KindOf(kinds)
	assert.Equal(t, cpu, kind)
	assert.True(t, ok)
	kind, ok = window.Choice{Kind: alloc.String()}.KindOf(kinds)
	assert.Equal(t, alloc, kind)
	assert.True(t, ok)
	kind, ok = window.Choice{}.KindOf(kinds[:1])
	assert.Equal(t, alloc, kind)
	assert.True(t, ok)
	_, ok = window.Choice{Kind: "other"}.KindOf(kinds)
	assert.False(t, ok)
	_, ok = window.Choice{}.KindOf(nil)
	assert.False(t, ok)
}

func TestAProfileOfAChoice(t *testing.T) {
	s := window.NewStore(window.Limits{Windows: 9, Bytes: 1 << 20})
	for i := range int64(3) {
		_, _, err := s.Add(batch(t,
			profiletest.CPU("a", 1, 100*(i+1), profiletest.Stack(1, "f")),
			profiletest.CPU("b", 2, 100*(i+1), profiletest.Stack(10, "g"))))
		require.NoError(t, err)
	}

	selected, err := window.Select(window.Choice{From: 200, Search: "b"}, s.Windows())

	require.NoError(t, err)
	assert.Equal(t, 1, selected.Processes)
	assert.Equal(t, "b", selected.Process.Name)
	require.Len(t, selected.Profile.Sample, 1)
	assert.Equal(t, []int64{20, 200_000_000}, selected.Profile.Sample[0].Value)

	selected, err = window.Select(window.Choice{}, s.Windows())
	require.NoError(t, err)
	assert.Equal(t, []int{2, 2}, []int{selected.Processes, selected.Programs})
	for _, c := range []window.Choice{{Search: "nobody"}, {Kind: "nothing"}, {From: 1000}} {
		selected, err = window.Select(c, s.Windows())
		require.NoError(t, err)
		assert.Nil(t, selected)
	}
}

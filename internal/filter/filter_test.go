// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func number(n uint32) *uint32 { return &n }

var id = strings.Repeat("0123456789abcdef", 4)

var nginx = Process{
	Executable: Known("/usr/sbin/nginx"), Comm: Known("nginx"), Cgroup: Known("/system.slice/nginx.service"),
	Container: Known(id), PID: 7, User: 33,
}

func TestARuleMatches(t *testing.T) {
	for _, tt := range []struct {
		rule Rule
		want Verdict
	}{
		{Rule{Executable: "/usr/sbin/nginx"}, In},
		{Rule{Executable: "/usr/sbin/*"}, In},
		{Rule{Executable: "/usr/*"}, Out},
		{Rule{Executable: "/usr/**"}, In},
		{Rule{Executable: "**/nginx"}, In},
		{Rule{Executable: "/usr/{bin,sbin}/ngin?"}, In},
		{Rule{Executable: "/usr/sbin/ngin"}, Out},
		{Rule{Comm: "nginx"}, In},
		{Rule{Comm: "[a-m]*"}, Out},
		{Rule{Cgroup: "/system.slice/**"}, In},
		{Rule{Cgroup: "/system.slice/nginx.service/**"}, In},
		{Rule{Cgroup: "/system.slice"}, Out},
		{Rule{Container: id[:12]}, In},
		{Rule{Container: id}, In},
		{Rule{Container: id[1:13]}, Out},
		{Rule{Container: id[:11]}, Out},
		{Rule{PID: number(7)}, In},
		{Rule{PID: number(8)}, Out},
		{Rule{User: number(33)}, In},
		{Rule{User: number(0)}, Out},
		{Rule{Comm: "nginx", User: number(0)}, Out},
		{Rule{Comm: "nginx", User: number(33), Executable: "/**"}, In},
	} {
		require.Equal(t, tt.want, Rules{Include: []Rule{tt.rule}}.Judge(&nginx), "%+v", tt.rule)
		require.Equal(t, In-tt.want, Rules{Exclude: []Rule{tt.rule}}.Judge(&nginx), "%+v", tt.rule)
	}
}

// systemd-nspawn gives containers names, of which the begin is another's.
func TestAContainerIsNamed(t *testing.T) {
	for _, tt := range []struct {
		rule, container string
		want            Verdict
	}{
		{"web-1.example", "web-1.example", In},
		{"web", "web-1.example", Out},
		{"db", "db", In},
		{"db", "db2", Out},
		{"db", "", Out},
		{"deadbeefcafe", "deadbeefcafe", In},
	} {
		rule := Rule{Container: tt.rule}
		require.NoError(t, rule.Check())
		p := Process{Container: Known(tt.container)}
		require.Equal(t, tt.want, Rules{Include: []Rule{rule}}.Judge(&p), "%+v", tt)
	}
	for _, name := range []string{"a b", "/web", "web*", "web_\xff", strings.Repeat("x", 65)} {
		require.ErrorContains(t, (&Rule{Container: name}).Check(), "no container", name)
	}
}

func TestRules(t *testing.T) {
	is, other := Rule{Comm: "nginx"}, Rule{Comm: "sshd"}
	for _, tt := range []struct {
		rules Rules
		want  Verdict
	}{
		{Rules{}, In},
		{Rules{Include: []Rule{other}}, Out},
		{Rules{Include: []Rule{other, is}}, In},
		{Rules{Exclude: []Rule{other}}, In},
		{Rules{Exclude: []Rule{other, is}}, Out},
		{Rules{Include: []Rule{is}, Exclude: []Rule{is}}, Out},
	} {
		require.Equal(t, tt.want, tt.rules.Judge(&nginx), "%+v", tt.rules)
	}
}

// What is not known keeps a verdict open only if it hangs on that.
func TestWhatIsNotKnown(t *testing.T) {
	p := nginx
	p.Cgroup = Text{}
	group, comm, other := Rule{Cgroup: "/a/**"}, Rule{Comm: "nginx"}, Rule{Comm: "sshd"}
	for _, tt := range []struct {
		rules Rules
		want  Verdict
	}{
		{Rules{Include: []Rule{group}}, Undecided},
		{Rules{Exclude: []Rule{group}}, Undecided},
		{Rules{Include: []Rule{group, comm}}, In},
		{Rules{Include: []Rule{group}, Exclude: []Rule{comm}}, Out},
		{Rules{Include: []Rule{other}, Exclude: []Rule{group}}, Out},
		{Rules{Include: []Rule{{Cgroup: "/a/**", Comm: "sshd"}}}, Out},
		{Rules{Exclude: []Rule{{Cgroup: "/a/**", Comm: "sshd"}}}, In},
	} {
		require.Equal(t, tt.want, tt.rules.Judge(&p), "%+v", tt.rules)
	}
}

func drawRule(t *rapid.T) Rule {
	pattern := rapid.SampledFrom([]string{"", "", "/a", "/b", "/**", "**/a"})
	r := Rule{
		Executable: pattern.Draw(t, "executable"), Comm: pattern.Draw(t, "comm"), Cgroup: pattern.Draw(t, "cgroup"),
		Container: rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "container"),
	}
	if rapid.Bool().Draw(t, "by user") {
		r.User = number(rapid.Uint32Range(0, 1).Draw(t, "user"))
	}
	return r
}

// A verdict holds whatever is learned later, and what is left open can become either.
func TestAVerdictIsNotRevoked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := Rules{
			Include: rapid.SliceOfN(rapid.Custom(drawRule), 0, 3).Draw(t, "include"),
			Exclude: rapid.SliceOfN(rapid.Custom(drawRule), 0, 3).Draw(t, "exclude"),
		}
		value := rapid.SampledFrom([]string{"", "/a", "/b", "a"})
		whole := Process{
			Executable: Known(value.Draw(t, "executable")), Comm: Known(value.Draw(t, "comm")),
			Cgroup: Known(value.Draw(t, "cgroup")), Container: Known(value.Draw(t, "container")),
			User: rapid.Uint32Range(0, 1).Draw(t, "user"),
		}
		final := rules.Judge(&whole)
		require.NotEqual(t, Undecided, final, "everything is known")
		part := whole
		for _, text := range []*Text{&part.Executable, &part.Comm, &part.Cgroup, &part.Container} {
			if rapid.Bool().Draw(t, "unknown") {
				*text = Text{}
			}
		}
		if v := rules.Judge(&part); v != Undecided {
			require.Equal(t, final, v)
		}
	})
}

func FuzzRule(f *testing.F) {
	f.Add("/usr/{a,b}/[!x]*", "/usr/a/b")
	f.Add("**/**/**/a", "/a/a/a/a/b")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		r := Rule{Executable: pattern, Comm: pattern, Cgroup: pattern}
		if r.Check() != nil {
			return
		}
		Rules{Include: []Rule{r}}.Judge(&Process{Executable: Known(path), Comm: Known(path), Cgroup: Known(path)})
	})
}

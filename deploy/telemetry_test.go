// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package deploy checks the files that operators install beside the collector.
package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// labels maps the labels of a metric to their values; nil stands for any.
type labels map[string][]string

// target are the labels that Prometheus adds to what it scrapes.
var target = labels{"job": nil, "instance": nil}

// metrics are the receiver's, by the names that the collector's Prometheus endpoint gives them.
func metrics(t *testing.T) map[string]labels {
	t.Helper()
	var metadata struct {
		Attributes map[string]struct {
			Name string   `yaml:"name_override"`
			Enum []string `yaml:"enum"`
		} `yaml:"attributes"`
		Telemetry struct {
			Metrics map[string]struct {
				Attributes []string       `yaml:"attributes"`
				Histogram  map[string]any `yaml:"histogram"`
			} `yaml:"metrics"`
		} `yaml:"telemetry"`
	}
	readYAML(t, "../metadata.yaml", &metadata)
	require.NotEmpty(t, metadata.Telemetry.Metrics)
	out := map[string]labels{}
	for name, m := range metadata.Telemetry.Metrics {
		own := labels{}
		for _, id := range m.Attributes {
			a, ok := metadata.Attributes[id]
			require.True(t, ok, id)
			if a.Name != "" {
				id = a.Name
			}
			own[id] = a.Enum
		}
		name = "otelcol_" + name
		if m.Histogram != nil {
			own["le"] = nil
			name += "_bucket"
		}
		out[name] = own
	}
	return out
}

func readYAML(t *testing.T, name string, to any) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, to), name)
}

// query is an expression, and texts beside it that name labels.
type query struct{ where, expr, text string }

func alerts(t *testing.T) (out []query) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	readYAML(t, "prometheus/alerts.yaml", &file)
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			require.NotEmpty(t, r.Alert)
			out = append(out, query{r.Alert, r.Expr, r.Annotations["summary"] + r.Annotations["description"]})
		}
	}
	require.NotEmpty(t, out)
	return out
}

func dashboard(t *testing.T) (out []query) {
	t.Helper()
	text, err := os.ReadFile("grafana/dashboard.json")
	require.NoError(t, err)
	var file struct {
		Templating struct {
			List []struct{ Name, Definition string }
		}
		Panels []struct {
			ID          int
			Title, Type string
			Targets     []struct{ Expr, LegendFormat string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &file))
	seen := map[int]bool{}
	for _, p := range file.Panels {
		require.False(t, seen[p.ID], "two panels have id %d", p.ID)
		seen[p.ID] = true
		require.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
		for _, target := range p.Targets {
			out = append(out, query{p.Title, target.Expr, target.LegendFormat})
		}
	}
	for _, v := range file.Templating.List {
		if v.Definition != "" {
			out = append(out, query{v.Name, v.Definition, ""})
		}
	}
	require.NotEmpty(t, out)
	return out
}

var (
	quoted      = regexp.MustCompile(`"[^"]*"`)
	variable    = regexp.MustCompile(`\$\w+`)
	selector    = regexp.MustCompile(`(\w+)\s*\{([^}]*)\}`)
	matcher     = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	word        = regexp.MustCompile(`[a-zA-Z_]\w*`)
	duration    = regexp.MustCompile(`\[[^]]*\]`)
	placeholder = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)
)

// language is what may stand in an expression beside metrics and labels.
var language = strings.Fields("sum max by and ignoring group_left rate increase histogram_quantile label_values")

// faults are the metrics, labels and values in a query that do not exist.
func (q query) faults(known map[string]labels) (out []string) {
	bare := duration.ReplaceAllString(quoted.ReplaceAllString(q.expr, `""`), "")
	bare = variable.ReplaceAllString(bare, "")
	mayUse := labels{"job": nil, "instance": nil}
	words := word.FindAllString(bare, -1)
	for _, w := range words {
		for name := range known[w] {
			mayUse[name] = nil
		}
	}
	for _, w := range words {
		_, isMetric := known[w]
		_, isLabel := mayUse[w]
		if !isMetric && !isLabel && !slices.Contains(language, w) {
			out = append(out, q.where+": "+w+" does not exist")
		}
	}
	for _, s := range selector.FindAllStringSubmatch(q.expr, -1) {
		out = append(out, q.selects(s[1], s[2], known[s[1]])...)
	}
	for _, p := range placeholder.FindAllStringSubmatch(q.text, -1) {
		if _, ok := mayUse[p[1]]; !ok {
			out = append(out, q.where+": no label "+p[1]+" for its text")
		}
	}
	return out
}

// selects checks the matchers of one metric.
func (q query) selects(metric, matchers string, has labels) (out []string) {
	for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
		name, values := m[1], strings.Split(m[3], "|")
		enum, own := has[name]
		_, added := target[name]
		if !own && !added {
			out = append(out, q.where+": "+metric+" has no label "+name)
		}
		for _, v := range values {
			if enum != nil && !slices.Contains(enum, v) {
				out = append(out, q.where+": "+metric+" has no "+name+" "+v)
			}
		}
	}
	return out
}

func TestQueriesUseWhatExists(t *testing.T) {
	known := metrics(t)
	for _, q := range append(alerts(t), dashboard(t)...) {
		assert.Empty(t, q.faults(known))
	}
}

// The check above has to see each kind of fault.
func TestFaultsAreSeen(t *testing.T) {
	const p = "otelcol_receiver_ebpf_profiler_"
	known := metrics(t)
	for _, test := range []struct{ expr, text, says string }{
		{"rate(" + p + "sample_lost[5m])", "", "sample_lost does not exist"},
		{"rate(foreign[5m])", "", "foreign does not exist"},
		{"rate(" + p + "barrier_duration[5m])", "", "barrier_duration does not exist"},
		{"sum by (reason) (" + p + "stacks)", "", "reason does not exist"},
		{p + `stacks{reason="hold"}`, "", "has no label reason"},
		{p + `stacks{end="cut"}`, "", "has no end cut"},
		{p + `stacks{end=~"complete|cut"}`, "", "has no end cut"},
		{p + "stacks", "{{ $labels.reason }}", "no label reason"},
	} {
		found := query{"q", test.expr, test.text}.faults(known)
		require.NotEmpty(t, found, test.expr)
		assert.Contains(t, strings.Join(found, "\n"), test.says)
	}
	assert.Empty(t, query{"q", `rate(` + p + `stacks{end="complete", job="a"}[5m])`, "{{end}}"}.faults(known))
}

func TestTheDashboardShowsEveryMetric(t *testing.T) {
	shown := map[string]bool{}
	for _, q := range dashboard(t) {
		for _, w := range word.FindAllString(q.expr, -1) {
			shown[w] = true
		}
	}
	for name := range metrics(t) {
		assert.True(t, shown[name], name)
	}
}

// promtool runs Prometheus' own checks, which CI must not skip.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	name, err := exec.LookPath("promtool")
	if err != nil {
		roottest.Lacks(t, "this test needs promtool (apt-get install prometheus)")
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Prometheus itself says whether the rules mean what they should.
func TestAlertsFire(t *testing.T) {
	promtool(t, "check", "rules", "prometheus/alerts.yaml")
	promtool(t, "test", "rules", "prometheus/alerts_test.yaml")
}

// Every query of the dashboard is one that Prometheus understands.
func TestPrometheusReadsTheDashboard(t *testing.T) {
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	for _, q := range dashboard(t) {
		if !strings.HasPrefix(q.expr, "label_values(") {
			rules = append(rules, rule{"dashboard:query", strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h").Replace(q.expr)})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	require.NoError(t, err)
	name := t.TempDir() + "/rules.yaml"
	require.NoError(t, os.WriteFile(name, text, 0o600))
	promtool(t, "check", "rules", "--lint=none", name)
}

package parity_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/parity"
)

const gomod = `module github.com/taktwork/takt

go 1.26.0

require (
	go.uber.org/fx v1.24.0
	github.com/google/go-cmp v0.7.0
)

require (
	go.uber.org/dig v1.19.0 // indirect
	go.uber.org/mock v0.6.0 // indirect
)

require golang.org/x/sys v0.49.0

tool go.uber.org/mock/mockgen
`

func dependenciesOf(t *testing.T, gomod, document string) []string {
	t.Helper()
	problems, err := parity.Dependencies(fstest.MapFS{
		"go.mod":               {Data: []byte(gomod)},
		"docs/dependencies.md": {Data: []byte("| Module | Why |\n|---|---|\n" + document)},
	}, "docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var report []string
	for _, p := range problems {
		report = append(report, p.String())
	}
	return report
}

func TestDependenciesComparesTheTableWithGoMod(t *testing.T) {
	const all = "| `go.uber.org/fx` | a |\n| `github.com/google/go-cmp` | b |\n| `go.uber.org/mock` | c |\n| `golang.org/x/sys` | d |\n"
	cases := []struct {
		name, document string
		want           []string
	}{
		{"one row for each, tools included", all, nil},
		{
			"missing rows", "| `go.uber.org/fx` | a |\n| `golang.org/x/sys` | d |\n",
			[]string{"docs/dependencies.md: no row for github.com/google/go-cmp", "docs/dependencies.md: no row for go.uber.org/mock"},
		},
		{"a stale row", all + "| `example.com/old` | e |\n", []string{"docs/dependencies.md:7: example.com/old is not a direct dependency of go.mod"}},
		{"a row for an indirect module", all + "| `go.uber.org/dig` | e |\n", []string{"docs/dependencies.md:7: go.uber.org/dig is not a direct dependency of go.mod"}},
		{"two rows", all + "| `go.uber.org/fx` | e |\n", []string{"docs/dependencies.md:7: go.uber.org/fx has two rows"}},
		{"a row without a module", all + "| fx | e |\n", []string{`docs/dependencies.md:7: "fx" is not a module in code quotes`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, dependenciesOf(t, gomod, c.document)); diff != "" {
				t.Errorf("Dependencies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDependenciesReadsAListOfTools(t *testing.T) {
	got := dependenciesOf(t, "require example.com/x/gen v1.0.0 // indirect\ntool (\n\texample.com/x/gen/cmd/gen\n)\n", "")
	want := []string{"docs/dependencies.md: no row for example.com/x/gen"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Dependencies (-want +got):\n%s", diff)
	}
}

func TestDependenciesFailsWithoutItsFiles(t *testing.T) {
	for _, tree := range []fstest.MapFS{{}, {"go.mod": {}}} {
		if _, err := parity.Dependencies(tree, "docs/dependencies.md"); err == nil {
			t.Errorf("Dependencies of %v = nil error, want one", tree)
		}
	}
}
